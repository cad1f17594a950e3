"""What each divergence sums, entry by entry, with its partial derivatives: for numpy, torch and cupy alike.

Every summand is non-negative and written in t = (p - q) / (p + q) so that nothing cancels: sums are accurate relative
to themselves even where p and q agree to fifteen digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

LOG2 = math.log(2.0)
TINY = 2.0**-1022  # the smallest normal number


class Divergence(NamedTuple):
    """What sets one divergence apart: functions of (namespace, p, q), entry by entry, and the range."""

    name: str
    terms: Callable[..., Any]  # -> the summands
    slopes: Callable[..., Any]  # -> the partial derivatives of the summands in p and in q
    upper: float  # the largest value, in nats
    root: bool = False  # report the square root of the sum


def _tilt(xp: Any, p: Any, q: Any) -> tuple[Any, Any]:
    """p + q, and t = (p - q) / (p + q) in [-1, 1] to one rounding; t = 0 where both vanish."""
    total = p + q
    return total, (p - q) / xp.where(total > 0, total, 1.0)


def _positive(xp: Any, x: Any) -> Any:
    """x with 1 in place of 0, for an argument of log whose result is masked."""
    return xp.where(x > 0, x, 1.0)


def _log_ratio(xp: Any, p: Any, q: Any, t: Any) -> Any:
    """log(p / q) where both are positive."""
    near = abs(t) < 0.25
    p, q = _positive(xp, p), _positive(xp, q)
    ratio = p / q
    # The quotient of a normal and a subnormal number overflows or loses its digits; the difference of logs does not.
    in_range = (ratio > TINY) & (ratio < 1.0 / TINY)
    far = xp.where(in_range, xp.log(xp.where(in_range, ratio, 1.0)), xp.log(p) - xp.log(q))
    return xp.where(near, 2.0 * xp.arctanh(xp.where(near, t, 0.0)), far)


def _kl_terms(xp: Any, p: Any, q: Any) -> Any:
    """p log(p/q) - p + q, which is (p + q) ((1 + t) artanh t - t)."""
    total, t = _tilt(xp, p, q)
    near = abs(t) < 0.25
    small = xp.where(near, t, 0.0)
    square = small * small
    # artanh(t) / t - 1 = t^2/3 + t^4/5 + ...: the first twelve terms leave less than 1e-16 of the term below.
    excess = square * 0.0
    for k in range(12, 0, -1):
        excess = square * (1.0 / (2 * k + 1) + excess)
    close = total * (square * (1.0 + excess) + small * excess)
    apart = xp.where(p > 0, p * _log_ratio(xp, p, q, t) - (p - q), q)
    return xp.where((p > 0) & (q <= 0), math.inf, xp.where(near, close, apart))


def _kl_slopes(xp: Any, p: Any, q: Any) -> tuple[Any, Any]:
    _, t = _tilt(xp, p, q)
    floor = math.log(TINY)
    in_p = xp.where(p > 0, xp.where(q > 0, _log_ratio(xp, p, q, t), -floor), xp.where(q > 0, floor, 0.0))
    in_q = xp.where(q > 0, (q - p) / _positive(xp, q), xp.where(p > 0, -math.inf, 1.0))
    return in_p, in_q


def _js_terms(xp: Any, p: Any, q: Any) -> Any:
    """(p log(p/m) + q log(q/m)) / 2, which is (p + q) ((1 + t) log(1 + t) + (1 - t) log(1 - t)) / 4."""
    total, t = _tilt(xp, p, q)
    near = abs(t) < 0.5
    small = xp.where(near, t, 0.0)
    # -t^2 + 2 t^2 to first order: a third of the digits of one bit is all that this difference can lose.
    close = xp.log1p(-small * small) + 2.0 * small * xp.arctanh(small)
    whole = _positive(xp, total)
    up, down = 2.0 * (p / whole), 2.0 * (q / whole)
    apart = up * xp.log(_positive(xp, up)) + down * xp.log(_positive(xp, down))
    return total * xp.where(near, close, apart) / 4.0


def _js_slopes(xp: Any, p: Any, q: Any) -> tuple[Any, Any]:
    total, t = _tilt(xp, p, q)
    near = abs(t) < 0.5
    small = xp.where(near, t, 0.0)
    whole = _positive(xp, total)

    def slope(x: Any, sign: float) -> Any:  # log(x / m) / 2
        return xp.where(near, xp.log1p(sign * small), xp.log(xp.clip(2.0 * (x / whole), TINY, 2.0))) / 2.0

    return slope(p, 1.0), slope(q, -1.0)


def _tv_terms(xp: Any, p: Any, q: Any) -> Any:
    return abs(p - q) / 2.0


def _tv_slopes(xp: Any, p: Any, q: Any) -> tuple[Any, Any]:
    sign = xp.sign(p - q) / 2.0
    return sign, -sign


KL = Divergence("kl_divergence", _kl_terms, _kl_slopes, math.inf)
JS = Divergence("js_divergence", _js_terms, _js_slopes, LOG2)
JS_DISTANCE = Divergence("js_distance", _js_terms, _js_slopes, LOG2, root=True)
TV = Divergence("total_variation", _tv_terms, _tv_slopes, 1.0)
