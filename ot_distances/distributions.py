"""KL, Jensen-Shannon and total variation between two distribution objects of scipy.stats or torch.distributions.

Closed form where one is known; else the integral or the sum of the divergence's own terms, with a bound on the error;
else, in several dimensions, an average over draws with its standard error.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ._laws import Law, is_distribution, law
from ._terms import KL, TINY, Divergence
from .problem import Array, Estimate, NotConverged

Parameters = tuple[Any, ...]

_DRAWS = 1 << 16  # of a Monte Carlo average: a standard error near 0.4 % of one standard deviation
_PANELS = 20_000  # of a quadrature, at most
_ATOMS = 1 << 20  # of a sum, at most
_ACCEPTED = 1e-5  # an error bound beyond this is no answer
_NORMAL_95 = 1.959963984540054  # half the width of a 95 % interval, in standard errors

# Kronrod's 15 nodes and weights on [-1, 1], and the weights of the 7 Gauss nodes among them (QUADPACK, dqk15).
_HALF_NODES = [
    0.991455371120812639206854697526329, 0.949107912342758524526189684047851, 0.864864423359769072789712788640926,
    0.741531185599394439863864773280788, 0.586087235467691130294144691693013, 0.405845151377397166906606412076961,
    0.207784955007898467600689403773245,
]  # fmt: skip
_HALF_KRONROD = [
    0.022935322010529224963732008058970, 0.063092092629978553290700663189204, 0.104790010322250183839876322541518,
    0.140653259715525918745189590510238, 0.169004726639267902826583426598550, 0.190350578064785409913256402421014,
    0.204432940075298892414161999234649,
]  # fmt: skip
_HALF_GAUSS = [0, 0.129484966168869693270611432679082, 0, 0.279705391489276667901467771423780, 0, 0.381830050505118944950369775488975, 0]  # fmt: skip # noqa: E501
_NODES = np.array([-x for x in _HALF_NODES] + [0.0] + _HALF_NODES[::-1])
_KRONROD = np.array([*_HALF_KRONROD, 0.209482141084727828012999174891714, *_HALF_KRONROD[::-1]])
_GAUSS = np.array([*_HALF_GAUSS, 0.417959183673469387755102040816327, *_HALF_GAUSS[::-1]])


def between(divergence: Divergence, p: Any, q: Any, unit: float) -> Estimate:
    """The divergence between two distribution objects, in multiples of `unit` nats."""
    for value, name in ((p, "p"), (q, "q")):
        if not is_distribution(value):
            raise TypeError(f"`p` and `q` must both be distributions or both arrays, but `{name}` is an array.")
    law_p, law_q = law(p, "p"), law(q, "q")
    numeric = _univariate if law_p.univariate and law_q.univariate else _monte_carlo
    value, error, method = _exact(divergence, law_p, law_q) or numeric(divergence, law_p, law_q)
    width, level = (_NORMAL_95 * error, 0.95) if method == "monte carlo" else (error, 1.0)
    ends = [min(max(end, 0.0), divergence.upper) / unit for end in (value, value - width, value + width)]
    if divergence.root:
        ends = [math.sqrt(end) for end in ends]
        # To first order the error of a root; at the kink at 0 the interval itself.
        error = error / unit / (2 * ends[0]) if ends[0] ** 2 > width / unit else math.sqrt(error / unit)
    else:
        error /= unit
    return Estimate(ends[0], error, (ends[1], ends[2]), level, method)


def _exact(divergence: Divergence, p: Law, q: Law) -> tuple[float, float, str] | None:
    """A closed form, or a rule on supports."""
    row = CLOSED_FORMS.get((divergence.name, *p.family[:1])) if p.family[:1] == q.family[:1] else None
    with np.errstate(all="ignore"):
        value = row(p.family[1:], q.family[1:]) if row else None
    if value is not None:
        return float(value), 0.0, "closed form"
    if p.discrete != q.discrete and p.univariate == q.univariate:
        return divergence.upper, 0.0, "mutually singular"  # atoms have no density
    inside = p.low >= q.low and p.high <= q.high
    if divergence.upper == math.inf and p.univariate and q.univariate and not p.discrete and not inside:
        return math.inf, 0.0, "support"
    return None


def _univariate(divergence: Divergence, p: Law, q: Law) -> tuple[float, float, str]:
    method = "summation" if p.discrete else "quadrature"
    with np.errstate(all="ignore"):
        total, errors = (_sum if p.discrete else _integral)(divergence, p, q)
        # The densities themselves integrate to 1, unless the nodes have missed some of the mass.
        value = float(total[0])
        error = float(errors[0] + (1.0 + value) * np.abs(total[1:] - 1.0).sum())
    if value == divergence.upper == math.inf:
        return math.inf, 0.0, "support" if p.discrete else method
    if error <= _ACCEPTED * max(1.0, value):
        return value, error, method
    if divergence.upper < math.inf:
        return _monte_carlo(divergence, p, q)
    tabled = _torch_table(p, q)
    if tabled is not None:
        return tabled
    lower = max(0.0, value - error) if math.isfinite(error) else 0.0
    raise NotConverged(f"KL(p || q) has no {method} with a small error: it may be infinite.", lower, math.inf)


def _rows(divergence: Divergence, p: Law, q: Law, x: Array) -> Array:
    """The divergence's terms and both densities at the points x: (3, ...)."""
    log_f, log_g = p.log_density(x.ravel()).reshape(x.shape), q.log_density(x.ravel()).reshape(x.shape)
    # Far out a formula of the library may give no number: what lies there counts as missed, against the check of sums.
    known = ~(np.isnan(log_f) | np.isnan(log_g))
    log_f, log_g = (np.where(known, log, -math.inf) for log in (log_f, log_g))
    f, g = np.exp(log_f), np.exp(log_g)
    if divergence.upper < math.inf:
        return np.stack([divergence.terms(np, f, g), f, g])
    # KL from the logarithms: in a tail g may vanish in floating point where log g does not.
    hidden = (f > 0) & (log_g == -math.inf) & (x > q.low) & (x < q.high) & (not q.faithful)
    log_g = np.where(hidden, -745.0, log_g)  # what underflowed lies below; its mass counts against the check of sums
    return np.stack([np.where(f > 0, f * (log_f - log_g - 1.0) + g, g), np.where(hidden, -1e3 * f, f), g])


def _integral(divergence: Divergence, p: Law, q: Law) -> tuple[Array, Array]:
    """Integrals of the three rows over the line, and bounds on their errors."""
    low, high = min(p.low, q.low), max(p.high, q.high)
    marks = np.concatenate([_landmarks(p), _landmarks(q), [p.low, p.high, q.low, q.high]])
    edges = np.unique(marks[np.isfinite(marks) & (marks >= low) & (marks <= high)])
    scale = max(float(edges[-1] - edges[0]), 1e-300)
    reach = math.log(1e150 / scale)  # squares of points must not overflow inside a log density
    inside = (np.nextafter(low, math.inf), np.nextafter(high, -math.inf))

    def core(x: Array) -> Array:
        return _rows(divergence, p, q, np.clip(x, *inside))

    total, error = _adaptive(core, edges)
    for sign, start, infinite in ((-1, edges[0], low == -math.inf), (1, edges[-1], high == math.inf)):
        if not infinite:
            continue

        def tail(w: Array, sign: int = sign, start: float = start) -> Array:  # a power of x decays like exp(-w)
            return core(start + sign * scale * np.expm1(w)) * (scale * np.exp(w))

        w = np.linspace(0.0, reach, 256)
        # Beyond what is seen, both densities underflow; too short a sight tells nothing of a limit.
        seen = w[core(start + sign * scale * np.expm1(w))[1:].max(axis=0) > TINY].max(initial=0.0)
        far = tail(np.array([0.75, 1.0]) * (seen if seen > reach / 4 else reach))
        middle, end = far[0]
        # The terms do not fall, though the densities do.
        if end > 1e-12 and end >= (1.0 - 1e-9) * middle and far[1:].max() < 1e-3:
            return np.array([math.inf, 1.0, 1.0]), np.zeros(3)
        part, part_error = _adaptive(tail, np.concatenate([[0.0], np.geomspace(0.5, reach, 12)]))
        total, error = total + part, error + part_error
        error[0] += end * reach
    return total, error


def _adaptive(rows: Callable[[Array], Array], edges: Array) -> tuple[Array, Array]:
    """Gauss-Kronrod on every panel at once; panels whose error is not small are halved, and so on."""
    low, high = edges[:-1], edges[1:]
    total, error, panels = np.zeros(3), np.zeros(3), 0
    while low.size:
        panels += low.size
        middle, half = (low + high) / 2, (high - low) / 2
        values = rows(middle[:, None] + half[:, None] * _NODES)  # (3, panels, 15)
        kronrod = half * (values @ _KRONROD)  # (3, panels)
        errors = np.abs(kronrod - half * (values @ _GAUSS))
        # Where f - g may change sign, |f - g| may have a kink that both rules miss; the integral bounds its part.
        gap = values[1] - values[2]
        kinked = np.abs(gap).min(axis=-1) <= np.abs(np.diff(gap)).max(axis=-1)
        errors[0] = np.where(kinked, np.maximum(errors[0], kronrod[0]), errors[0])
        rough = (errors > 1e-14 * np.maximum(1.0, np.abs(kronrod))).any(axis=0)
        # Nodes of a panel a few roundings wide coincide; beyond the budget what is left stays as error.
        split = rough & (half > 8 * np.finfo(float).eps * np.abs(middle)) & (half > 1e-300)
        split &= panels + 2 * np.count_nonzero(split) <= _PANELS
        # A node is off by a rounding, which moves its row by what the row changes along the way.
        errors += np.abs(middle) * np.finfo(float).eps / 2 * np.abs(np.diff(values)).sum(axis=-1)
        total += kronrod[:, ~split].sum(axis=1)
        error += errors[:, ~split].sum(axis=1)
        if total[0] == math.inf:
            break
        low, high = np.concatenate([low[split], middle[split]]), np.concatenate([middle[split], high[split]])
    return total, error


def _landmarks(law: Law) -> Array:
    """Points that tell where the mass lies: quantiles of draws, and steps out from the median that double."""
    levels = [0.0, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0]
    quantiles = np.quantile(law.draw(4096), levels)
    steps = (quantiles[6] - quantiles[2]) * 2.0 ** np.arange(11)
    return np.concatenate([quantiles, quantiles[4] - steps, quantiles[4] + steps])


def _sum(divergence: Divergence, p: Law, q: Law) -> tuple[Array, Array]:
    """Sums of the three rows over the atoms, and bounds on what lies beyond the last one."""
    if p.atoms is not None and q.atoms is not None:
        return _rows(divergence, p, q, np.union1d(p.atoms, q.atoms)).sum(axis=1), np.zeros(3)
    draws = p.draw(4096), q.draw(4096)
    atoms = [law.low if math.isfinite(law.low) else float(draw[0]) for law, draw in zip((p, q), draws)]
    shifts = np.unique([atom - math.floor(atom) for atom in atoms])  # the lattices are the integers plus a shift
    low, high = min(p.low, q.low), max(p.high, q.high)
    first, last = math.floor(min(d.min() for d in draws)), math.floor(max(d.max() for d in draws)) + 1

    def block(start: int, stop: int) -> Array:  # (3,), over start <= x < stop
        x = (np.arange(start, stop)[:, None] + shifts).ravel()
        x = x[(x >= low) & (x <= high)]
        return _rows(divergence, p, q, x).sum(axis=1) if x.size else np.zeros(3)

    if last - first > _ATOMS:
        return np.array([0.0, 0.0, 0.0]), np.full(3, math.inf)
    total, error = block(first, last), np.zeros(3)
    for sign, edge in ((-1, first), (1, last)):
        width, before = max(last - first, 16), total
        while low - 1 <= edge <= high + 1:
            part = block(edge, edge + width) if sign > 0 else block(edge - width, edge)
            total = total + part
            if (part <= 1e-17 * total).all():
                break
            if 2 * width > _ATOMS:  # blocks that double shrink geometrically: the rest of the series
                ratio = np.minimum(part / before, 0.999)
                error += part * ratio / (1.0 - ratio)
                break
            edge, width, before = edge + sign * width, 2 * width, part
    return total, error


def _monte_carlo(divergence: Divergence, p: Law, q: Law) -> tuple[float, float, str]:
    """Averages over draws, of p alone for KL and of both for the others; torch's own KL where it has one."""
    tabled = _torch_table(p, q) if divergence.upper == math.inf else None
    if tabled is not None:
        return tabled
    x, y = p.draw(_DRAWS), q.draw(_DRAWS)
    if x.shape != y.shape:
        raise ValueError(
            f"`p` and `q` must live in one space, but their draws have shapes {x.shape[1:]}, {y.shape[1:]}."
        )
    with np.errstate(all="ignore"):
        at_x, at_y = (q.log_density(z) - p.log_density(z) for z in (x, y))  # log g/f
        if divergence.upper == math.inf:
            averages = [-at_x]
        else:  # terms(f, g) / (f + g) depends on the ratio alone: average it over the mixture of p and q
            shares = (1.0 / (1.0 + np.exp(z)) for z in (at_x, at_y))
            averages = [divergence.terms(np, share, 1.0 - share) for share in shares]
    value = sum(float(np.mean(z)) for z in averages)
    variance = sum(float(np.var(z)) / z.size for z in averages) if math.isfinite(value) else 0.0
    if math.isnan(value):
        reason = "both densities are infinite, or not numbers, where some of the draws fall"
        raise NotConverged(f"The divergence has no average over draws: {reason}.", 0.0, divergence.upper)
    return value, math.sqrt(variance), "monte carlo" if math.isfinite(value) else "support"


def _torch_table(p: Law, q: Law) -> tuple[float, float, str] | None:
    """KL from the closed forms that torch keeps. The last resort in one dimension, where integrals carry a bound and
    some of the table is wrong: +inf for ContinuousBernoulli against Uniform(0, 1) in torch 2.13."""
    if not (hasattr(p.source, "log_prob") and hasattr(q.source, "log_prob")):
        return None
    from torch.distributions import kl_divergence

    try:
        value = float(kl_divergence(p.source, q.source))
    except NotImplementedError:
        return None
    return None if math.isnan(value) else (value, 0.0, "closed form")


def _kl_normal(p: Parameters, q: Parameters) -> Any:
    (m, s), (n, t) = p, q
    return (KL.terms(np, np.array(1.0), (s / t) ** 2) + ((m - n) / t) ** 2) / 2.0  # u - 1 - log u, without cancelling


def _tv_normal(p: Parameters, q: Parameters) -> Any:
    (m, s), (n, t) = p, q
    return math.erf(abs(m - n) / (math.sqrt(8.0) * s)) if s == t else None  # the densities cross once, half way


def _kl_uniform(p: Parameters, q: Parameters) -> Any:
    (a, b), (c, d) = p, q
    return np.log((d - c) / (b - a)) if c <= a and b <= d else math.inf


def _tv_uniform(p: Parameters, q: Parameters) -> Any:
    (a, b), (c, d) = p, q
    return 1.0 - max(0.0, min(b, d) - max(a, c)) / max(b - a, d - c)


def _kl_laplace(p: Parameters, q: Parameters) -> Any:
    (m, s), (n, t) = p, q
    shift, ratio = abs(m - n) / s, s / t
    # u - 1 - log u of both, without cancelling
    return KL.terms(np, np.array(1.0), ratio) + ratio * KL.terms(np, np.array(1.0), np.exp(-shift))


def _kl_gamma(p: Parameters, q: Parameters) -> Any:
    from scipy.special import digamma, gammaln

    (a, left, s), (b, other_left, t) = p, q
    if left != other_left:
        return None
    return (a - b) * digamma(a) - gammaln(a) + gammaln(b) + b * np.log(t / s) + a * (s / t - 1.0)


def _kl_beta(p: Parameters, q: Parameters) -> Any:
    return _kl_dirichlet((np.array(p[:2]),), (np.array(q[:2]),)) if p[2:] == q[2:] else None  # the same interval


def _kl_dirichlet(p: Parameters, q: Parameters) -> Any:
    from scipy.special import digamma, gammaln

    (a,), (b,) = p, q
    if a.shape != b.shape:
        return None
    normalizers = gammaln(a.sum()) - gammaln(a).sum() - gammaln(b.sum()) + gammaln(b).sum()
    return normalizers + (a - b) @ (digamma(a) - digamma(a.sum()))


def _kl_coin(u: float, v: float) -> float:
    return float(KL.terms(np, np.array([u, 1.0 - u]), np.array([v, 1.0 - v])).sum())


def _kl_binomial(p: Parameters, q: Parameters) -> Any:
    (n, u, start), (m, v, other_start) = p, q
    return n * _kl_coin(u, v) if n == m and start == other_start else None


def _kl_geometric(p: Parameters, q: Parameters) -> Any:
    (u, start), (v, other_start) = p, q
    return _kl_coin(u, v) / u if start == other_start else None


def _kl_poisson(p: Parameters, q: Parameters) -> Any:
    (u, start), (v, other_start) = p, q
    return KL.terms(np, np.array(u), np.array(v)) if start == other_start else None


def _kl_multivariate_normal(p: Parameters, q: Parameters) -> Any:
    (m, s), (n, t) = p, q
    if m.shape != n.shape:
        return None
    try:
        root_s, root_t = np.linalg.cholesky(s), np.linalg.cholesky(t)
    except np.linalg.LinAlgError:  # a covariance without a density
        return None
    ratio, shift = np.linalg.solve(root_t, root_s), np.linalg.solve(root_t, n - m)
    log_determinants = 2.0 * np.log(np.diag(root_t) / np.diag(root_s)).sum()
    return ((ratio**2).sum() - m.size + shift @ shift + log_determinants) / 2.0


# (divergence, family) -> a function of the parameters of p and of q, in nats; None where it does not apply.
CLOSED_FORMS: dict[tuple[str, str], Callable[[Parameters, Parameters], Any]] = {
    ("kl_divergence", "normal"): _kl_normal,
    ("kl_divergence", "uniform"): _kl_uniform,
    ("kl_divergence", "laplace"): _kl_laplace,
    ("kl_divergence", "gamma"): _kl_gamma,
    ("kl_divergence", "beta"): _kl_beta,
    ("kl_divergence", "dirichlet"): _kl_dirichlet,
    ("kl_divergence", "binomial"): _kl_binomial,
    ("kl_divergence", "geometric"): _kl_geometric,
    ("kl_divergence", "poisson"): _kl_poisson,
    ("kl_divergence", "multivariate normal"): _kl_multivariate_normal,
    ("total_variation", "normal"): _tv_normal,
    ("total_variation", "uniform"): _tv_uniform,
}
