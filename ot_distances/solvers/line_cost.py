"""The least cost on a line in closed form: no plan, no potentials, only a sum and what rounding does to it."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..certificate import Bounds, bound_of_sum, units_off
from ..costs import UNIT_ROUNDOFF
from ..problem import Array

# Terms that are added as they come: none is negative, so that each addition costs one rounding at most. Temporary
# arrays of so many stay in the cache, and take no fresh pages from the system.
PART = 2**12

# Up to this power moves are taken in units of a power of two, which costs no digits; beyond, in units of the longest,
# whose power is 1 however high.
PLAIN = 2.0

# Powers of two below this are floats.
LARGEST = 1000.0


class Masses(NamedTuple):
    """What the atoms of both sides weigh, in integers of one sum; a number where all of a side weigh the same."""

    rows: Array | int
    cols: Array | int
    total: int
    exact: bool  # not rounded from the weights

    @classmethod
    def uniform(cls, n: int, m: int) -> Masses:
        divisor = math.gcd(n, m)
        return cls(m // divisor, n // divisor, n * m // divisor, True)

    @classmethod
    def of(cls, rows: Array, cols: Array, total: int, exact: bool) -> Masses:
        if exact and len(rows) * int(rows.max()) == total == len(cols) * int(cols.max()):
            return cls(int(rows[0]), int(cols[0]), total, True)
        return cls(rows, cols, total, exact)


class Least(NamedTuple):
    """The least mean cost in units of unit**power, and bounds on it."""

    mean: float
    unit: float
    bounds: Bounds


def least_cost(x: Array, y: Array, masses: Masses, power: float, order: float) -> Least:
    """The least mean of |x - y|**power over all plans between atoms on a line, (n,) and (m,); for inf the longest move.

    Sorted atoms fill each other in order: no plan is cheaper, for any convex cost. So all that is left open is what
    differences, powers, sums and masses have been rounded by. The distance is the cost to the power 1 / `order`.

    Nothing is known where atoms lie further apart than the largest float.

    Notes
    -----
    O((n + m) log(n + m)) time; 5 (n + m) numbers of memory, 1 (n + m) where all masses are equal.

    References
    ----------
    F. Santambrogio, Optimal Transport for Applied Mathematicians, chapter 2, Birkhäuser, 2015.
    """
    rows, cols = _Side.of(x, masses.rows), _Side.of(y, masses.cols)
    (low, high), (least, most) = rows.range, cols.range
    apart = max(high, most) - min(low, least)
    if apart == math.inf or not (rows.in_order and cols.in_order):
        return Least(math.inf, 1.0, Bounds(0.0, math.inf, math.inf))
    if power == math.inf:
        longest = max(float(moves.max()) for moves, _ in _moves(rows, cols))
        error = 2 * longest * UNIT_ROUNDOFF
        return Least(longest, 1.0, Bounds(longest - error, longest + error, longest))
    total, unit = _sum_of_powers(_moves(rows, cols), power, apart or 1.0)
    span = _power(apart / unit, power)
    slack = 0.0 if masses.exact else (units_off((len(x), len(y)), masses.total) + UNIT_ROUNDOFF) * span
    mean = total / masses.total
    return Least(mean, unit, bound_of_sum(mean, _relative_error(power, len(x) + len(y)), slack, order, span))


def line_distance(x: Array, y: Array, masses: Masses, mass: float, p: float, degree: int, rtol: float) -> float | None:
    """W_p between atoms on a line of `mass` altogether, for the costs |x - y|**degree.

    None where the closed form does not tell it to `rtol`, or it is no normal number: a solver has more to say.
    """
    least = least_cost(x, y, masses, p * degree, p)
    if not least.bounds.gap <= rtol:
        return None
    if p == math.inf or least.mean == 0:
        return least.mean
    cost = least.mean * mass
    value = cost ** (1 / p) * least.unit
    if degree == 2:
        value *= least.unit
    return value if sys.float_info.min <= min(cost, value) and value < math.inf else None


def line_distances(x: Array, y: Array, p: float, degree: int, rtol: float) -> Array | None:
    """The same for each row of (B, n) atoms of mass 1 altogether, n <= PART; None where one row needs a solver."""
    power, values, step = p * degree, np.empty(len(x)), max(1, 4 * PART // x.shape[1])
    if not 2 * _relative_error(power, x.shape[1]) <= rtol:
        return None
    for start in range(0, len(x), step):
        low, high = np.sort(x[start : start + step]), np.sort(y[start : start + step])
        with np.errstate(over="ignore", under="ignore"):
            moves = np.abs(low - high)
            longest = moves.max(axis=1)
            unit = np.where(longest > 0, longest, 1.0)
            if power <= PLAIN:
                unit = np.ldexp(1.0, np.frexp(unit)[1] - 1)
            if p == math.inf:
                found = longest
            else:
                moves /= unit[:, None]
                found = (np.add.reduce(_powers(moves, power), axis=1) / x.shape[1]) ** (1 / p) * unit**degree
        ordinary = (longest == 0) | ((found >= sys.float_info.min) & (found < math.inf) & (longest < math.inf))
        if not ordinary.all() or any((side[:, :-1] > side[:, 1:]).any() for side in (low, high)):
            return None
        values[start : start + step] = found
    return values


class _Side(NamedTuple):
    """The atoms of one side in order."""

    points: Array  # (n,) ascending
    mass: int | None  # of each, where it is the same
    ends: Array  # (n + 1,) the masses up to each atom, and all

    @classmethod
    def of(cls, points: Array, mass: Array | int) -> _Side:
        if isinstance(mass, int):  # in whatever order: the coordinates are all that is sorted
            return cls(np.sort(points), mass, np.arange(0, mass * len(points) + 1, mass))
        order, ends = points.argsort(), np.zeros(len(points) + 1, np.int64)
        np.cumsum(mass[order], out=ends[1:])
        return cls(points[order], None, ends)

    @property
    def range(self) -> tuple[float, float]:
        return self.points.item(0), self.points.item(-1)

    @property
    def in_order(self) -> bool:
        return not np.count_nonzero(self.points[:-1] > self.points[1:])

    def ended(self, at: Array, side: str) -> Array:
        """How many atoms end before the running masses `at`, or, with `side` "right", there or before."""
        if self.mass is None:
            return self.ends[1:].searchsorted(at, side)  # type: ignore[call-overload]
        return (at if side == "right" else at - 1) // self.mass


def _moves(rows: _Side, cols: _Side) -> Iterator[tuple[Array, Array | None]]:
    """The lengths of all moves, in parts, and the masses that make them; None where these are all the same.

    A move ends where an atom of either side is full. Where both are, that of the column moves nothing.
    """
    if rows.mass is not None and rows.mass == cols.mass:
        for start in range(0, len(rows.points), PART):
            part = slice(start, start + PART)
            yield np.abs(rows.points[part] - cols.points[part]), None
        return
    for one, other, side in ((rows, cols, "left"), (cols, rows, "right")):
        for start in range(0, len(one.points), PART):
            points, ends = one.points[start : start + PART], one.ends[start : start + PART + 1]
            k = other.ended(ends[1:], side)
            mass = ends[1:] - np.maximum(ends[:-1], other.ends.take(k))
            moves = np.abs(points - other.points.take(k, mode="clip"))
            moves *= mass > 0
            yield moves, mass


@np.errstate(under="ignore")  # of moves far below the longest
def _sum_of_powers(parts: Iterator[tuple[Array, Array | None]], power: float, default: float) -> tuple[float, float]:
    """The sum of mass * move**power, in units of unit**power, and that unit: the `default` where nothing moves."""
    sums = []
    for moves, mass in parts:
        longest = float(moves[moves.argmax()])
        if longest == 0:
            continue
        unit = longest if power > PLAIN else 2.0 ** (math.frexp(longest)[1] - 1)
        moves /= unit
        terms = _powers(moves, power)
        sums.append((unit, float(np.add.reduce(terms) if mass is None else terms.dot(mass.astype(np.float64)))))
    unit = max((unit for unit, _ in sums), default=default)
    return math.fsum(part * (own / unit) ** power for own, part in sums), unit


def _powers(moves: Array, power: float) -> Array:
    return moves if power == 1 else moves * moves if power == 2 else moves**power


def _relative_error(power: float, terms: int) -> float:
    """Of the mean cost: what rounding does to all its steps.

    Differences, units and those of the parts round the base of a power; two powers round by 4, as in `PointCost`;
    masses and the mean by 8, and what lies below the normal numbers beside the longest move by less.
    """
    roundings = (3 * power + 16 + min(terms, PART)) * UNIT_ROUNDOFF
    return roundings / (1 - roundings) if roundings < 1 else math.inf


def _power(ratio: float, power: float) -> float:
    """ratio**power, inf where that is too large."""
    return math.inf if ratio > 1 and power * math.log2(ratio) > LARGEST else ratio**power
