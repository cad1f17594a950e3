"""The proof: every answer leaves with rigorous lower and upper bounds on the optimal cost, or not at all.

Weak duality is the whole idea. Any g, completed by its c-transform f_i = min_j C_ij - g_j, bounds the optimum from
below by sum a_i f_i + sum b_j g_j; any plan with the right marginals bounds it from above by <P, C>. The transform is
rounded towards feasibility, both sums are correctly rounded, masses are integers, and what rounding is left in the
costs and the masses is added to the bounds.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .costs import BLOCK_ENTRIES, DENSE_ENTRIES, UNIT_ROUNDOFF
from .problem import Array, Flow, GroundCost, NotConverged, Transport, TransportProblem

# The gap is measured against the cost; where the cost is a small difference of large potentials, against a thousandth
# of these: float64 potentials cannot prove more.
POTENTIAL_SHARE = 2.0**-10

# Rounding of a compensated sum and of the bound made from it, relative to the sum.
SUM_SLACK = 4 * UNIT_ROUNDOFF

# Roundings from those sums to a bound: 2 of the sums, 2 of the mean, 6 of the mass and its product, 6 to let it out.
BOUND_ROUNDINGS = 16

# Where float64 weights leave the cost itself open by `slack`, nothing below slack * 2**32 can be told to 9 digits.
SLACK_SHARE = 2.0**32

# Neither excuses an answer of which hardly a digit is known. Plan and potentials must agree within the part AGREED of
# what the plan pays, or the part ROUNDED of the largest potential; and the slack must leave the cost known so well, or
# the distance, its root, within the part FAINT of the longest one.
AGREED, ROUNDED, FAINT = 2.0**-20, 2.0**-48, 2.0**-13

# The part of the sum of all moduli by which a sum of 2**17 terms in twice the precision may be off, or two of them.
CANCELLED = 2.0**-70

# What rounding below the normal numbers takes at most of a cost: from a division, and from the coordinates of a pair.
DUST = 2.0**-1040

# Terms that Python's own exact sum adds up as fast as vector operations.
FEW = 500

# A power of two so large or small that every float becomes inf or 0 under it.
FAR = 10_000


@dataclass(frozen=True)
class Bounds:
    """Bounds on the optimal cost in units of 2**exponent, and the scale they are judged by."""

    lower: float
    upper: float
    scale: float

    @property
    def gap(self) -> float:
        if self.upper == self.lower:
            return 0.0
        return (self.upper - self.lower) / self.scale if self.scale > 0 else math.inf


class Sums(NamedTuple):
    """What a flow and a feasible pair add up to, for the whole mass: in twice the precision, then rounded."""

    dual: float  # the value of the pair
    cost: float  # that of the flow
    size: float  # the value of the pair if all potentials were positive
    paid: float  # the cost of the flow if all costs were
    largest: float  # of all absolute potentials


def exact_dot(mass: Array, values: Array) -> float:
    """The sum of mass * value as if in twice the precision, for int64 masses and float64 values."""
    if len(mass) > FEW:
        from .kernels.proof import dot

        return float(dot(mass, values))
    high = mass.astype(np.float64)
    low = (mass - high.astype(np.int64)).astype(np.float64)
    product, error = _two_product(high, values)
    return exact_sum(np.concatenate((product, error, low * values)))


def exact_sum(values: Array) -> float:
    """The sum as if in twice the precision: halves are added, and what rounding loses is carried along.

    The error is below log2(n)**2 * u**2 of the sum of absolute values (Ogita, Rump & Oishi, SIAM J. Sci. Comput. 2005).
    """
    carry = 0.0
    while len(values) > FEW:
        half = len(values) // 2
        odd = values[2 * half :]
        a, b = values[:half], values[half : 2 * half]
        total = a + b
        back = total - a
        carry += float(((a - (total - back)) + (b - back)).sum())
        values = np.concatenate((total, odd))
    return math.fsum([*values.tolist(), carry])


def _two_product(a: Array, b: Array) -> tuple[Array, Array]:
    """a * b as an unevaluated sum of two floats (Dekker, Numerische Mathematik 1971)."""
    product = a * b
    a_high, a_low = _split(a)
    b_high, b_low = _split(b)
    return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


def _split(a: Array) -> tuple[Array, Array]:
    carried = 134217729.0 * a  # 2**27 + 1
    high = carried - (carried - a)
    return high, a - high


def bound(problem: TransportProblem, flow: Flow, costs: Array, sums: Sums) -> Bounds:
    """Bounds, for a total mass of 1, from an integer plan that pays these costs and a feasible pair of potentials."""
    total, largest = problem.total, sums.largest
    dual, cost, size, paid = sums.dual / total, sums.cost / total, sums.size / total, sums.paid / total
    relative = problem.cost.relative_error * 1.01 + BOUND_ROUNDINGS * UNIT_ROUNDOFF
    below, above = _mass_slack(problem, flow, costs, largest)
    if above > AGREED * abs(cost) and _spans(problem, flow):
        above = below + max(cost - dual, 0.0) + 2 * abs(cost) * relative
    lower, scaled = dual - abs(dual) * relative - below - CANCELLED * size, problem.cost.exponent != 0
    lower = lower - (sums.dual != 0 or scaled) * DUST if math.isfinite(dual) else -math.inf
    lost = problem.cost.absolute_error(flow.rows, flow.cols, costs)
    upper = cost + abs(cost) * relative + above + CANCELLED * paid + (sums.cost != 0) * DUST + lost
    if lower < 0 <= problem.cost.range()[0]:
        lower = 0.0
    scale = max(abs(lower), abs(upper))
    slack, agreed = max(below, above), not lost and cost - dual - ROUNDED * largest <= AGREED * paid
    if agreed and _told(cost, slack, problem.power, partial(_span, problem)):
        scale = max(scale, POTENTIAL_SHARE * size, SLACK_SHARE * slack)
    return Bounds(lower, upper, scale)


def bound_of_sum(cost: float, relative: float, slack: float, power: float, span: float) -> Bounds:
    """Bounds, for a total mass of 1, on an optimal cost that is a sum in closed form, off by the part `relative` of it.

    `slack` is how far the optimum for the weights may lie from that for the integers that round them, `span` how far
    costs lie apart, and the distance is the cost to the power 1 / `power`.
    """
    lower, upper = cost - cost * relative - slack, cost + cost * relative + slack
    told = _told(cost, slack, power, lambda: span)
    return Bounds(max(lower, 0.0), upper, max(upper, SLACK_SHARE * slack if told else 0.0))


def _told(cost: float, slack: float, power: float, span: Callable[[], float]) -> bool:
    """Whether weights that are off by roundings still tell the cost, or the distance to what the eye can see."""
    return slack <= AGREED * abs(cost) or slack <= FAINT**power * span()


def _span(problem: TransportProblem) -> float:
    low, high = problem.cost.range()
    return high - low


def units_off(shape: tuple[int, int], total: int) -> float:
    """What masses rounded to integers are off by, as a part of the total: three units for each atom at most.

    Half a unit is rounded off, a unit more may make the sums the same, and the total is off by as much.
    """
    return 3 * sum(shape) / total


def _mass_slack(problem: TransportProblem, flow: Flow, costs: Array, largest: float) -> tuple[float, float]:
    """How far the optimum for the weights may lie below and above that for the integers that round them.

    A unit more or less changes the dual value by a potential; and the cost of a plan by the largest difference of
    costs, or, where the plan only matches atoms of the very same weight and so fits the weights as well, by the largest
    cost that it pays.
    """
    if problem.exact_masses:
        return 0.0, 0.0
    low, high = problem.cost.range()
    pairs = len(flow.rows) == len(problem.a) == np.count_nonzero(problem.b)
    matched = pairs and all(len(np.unique(side)) == len(side) for side in (flow.rows, flow.cols))
    if matched and np.array_equal(problem.a[flow.rows], problem.b[flow.cols]):
        low, high = 0.0, float(np.abs(costs).max())
    units = units_off(problem.shape, problem.total)
    return units * largest, units * (high - low)


def _spans(problem: TransportProblem, flow: Flow) -> bool:
    """Whether pairs that carry more than all roundings of the masses together connect all atoms that have weight.

    Then a plan for the weights goes along the same pairs: no flow turns around, and each unit more or less costs the
    potentials of its atoms, and no more beyond them than the plan does.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n, m = problem.shape
    heavy = flow.mass > 2 * (n + m)
    pairs = flow.rows[heavy], flow.cols[heavy] + n
    labels = connected_components(coo_array((flow.mass[heavy], pairs), shape=(n + m, n + m)), directed=False)[1]
    return len(set(labels[np.concatenate((problem.a, problem.b)) > 0])) == 1


def _centred(problem: TransportProblem, flow: Flow, costs: Array) -> Array:
    """`flow.g` shifted so that rows and columns carry equal shares of the dual value."""
    g = flow.g - flow.g[problem.col_mass.argmax()]  # exact where most of the mass may be
    return g - float(flow.mass @ (2 * g[flow.cols] - costs)) / (2 * problem.total)


def feasible_pair(problem: TransportProblem, g: Array) -> tuple[Array, Array]:
    """(f, g) with f_i + g_j <= C_ij at every pair; columns where g is -inf carry no mass and get theirs from f."""
    f = problem.cost.row_transform(g)
    f[f == np.inf] = 0.0  # all pairs forbidden: any number will do
    idle = np.flatnonzero(g == -np.inf)
    if len(idle):
        g = g.copy()
        backward, many = problem.cost.T, 2 * len(idle) > len(g)
        least = backward.row_transform(f)[idle] if many else backward.select(idle, np.arange(len(f))).row_transform(f)
        g[idle] = least
        g[g == np.inf] = 0.0
    return f, g


def certify(problem: TransportProblem, flow: Flow, method: str, rtol: float, started: float) -> Transport:
    """The transport of a solver's flow, with its bounds.

    Raises
    ------
    NotConverged
        The bounds lie further apart than `rtol` times the scale of the cost.
    """
    f, g, cost, bounds = _proven(problem, flow)
    lower, upper = _in_units(problem, bounds)
    mass, exponent = _mass(problem), problem.cost.exponent
    if not bounds.gap <= rtol:
        raise NotConverged(
            f"no certified optimum: the cost lies in [{lower:.17g}, {upper:.17g}], a relative gap of {bounds.gap:.1e}, "
            f"but rtol = {rtol:.1e} was asked of method {method!r}. {_cure(problem)}",
            lower,
            upper,
        )
    in_units = unscale(cost, exponent, 0, mass)
    return Transport._late(
        partial(_details, flow, problem.shape, problem.mass, problem.total, f, g, problem.cost.exponent),
        value=in_units if problem.power in (1, math.inf) else root(cost, exponent, problem.power, mass),
        cost=in_units,
        lower=min(lower, in_units),
        upper=max(upper, in_units),
        gap=bounds.gap,
        method=method,
        seconds=time.perf_counter() - started,
        peak_bytes=max(flow.bytes, _proof_bytes(problem)),
    )


def _cure(problem: TransportProblem) -> str:
    if getattr(problem.cost, "rounded", False):
        return "The least coordinates vanish beside the largest, beyond 300 decades. Leave out the points far off."
    if not 2 < problem.power < math.inf:
        return "Try another `method`, or a larger `rtol`."
    given = "" if problem.exact_masses else ", and than weights are given with"
    return f"Costs d**{problem.power:g} need more digits than float64 has{given}. Lower `p`, or pass p=inf."


def _proof_bytes(problem: TransportProblem) -> int:
    """What a proof holds: the potentials and the plan with their sums, and blocks of costs or a tree over points."""
    n, m = problem.shape
    return 8 * (15 * (n + m) + 2 * max(min(n * m, BLOCK_ENTRIES), m))


def reached(problem: TransportProblem) -> tuple[float, float, float]:
    """(lower, upper, gap): rigorous bounds on the optimal cost from what a solver has found so far."""
    rough = _first_flow(problem)
    try:
        flow = problem.watch.reached() if problem.watch.reached is not None else rough
    except (ValueError, IndexError):  # Ctrl-C came between two arrays that belong together
        flow = rough
    if not _fits(problem, flow):
        flow = replace(flow, rows=rough.rows, cols=rough.cols, mass=rough.mass)
    allowed = problem.cost.entries(flow.rows, flow.cols) < np.inf  # without the others it no longer fits
    flow = replace(flow, rows=flow.rows[allowed], cols=flow.cols[allowed], mass=flow.mass[allowed])
    bounds = _proven(problem, flow)[3]
    return *_in_units(problem, bounds), bounds.gap


def _first_flow(problem: TransportProblem) -> Flow:
    """Some plan: rows and columns filled in order."""
    cuts = np.union1d(np.cumsum(problem.row_mass), np.cumsum(problem.col_mass))
    rows, cols = (np.searchsorted(np.cumsum(mass), cuts, side="left") for mass in (problem.row_mass, problem.col_mass))
    return Flow(rows, cols, np.diff(cuts, prepend=0), np.zeros(problem.shape[1]))


def _proven(problem: TransportProblem, flow: Flow) -> tuple[Array, Array, float, Bounds]:
    """Feasible potentials, the cost of the plan and the bounds that both give, in units of `problem.cost`."""
    matrix = problem.cost.held
    costs = problem.cost.entries(flow.rows, flow.cols) if matrix is None else matrix[flow.rows, flow.cols]
    if problem.power == math.inf:
        f, g, cost, bounds = _bottleneck(problem, flow, costs)
        fits = _fits(problem, flow)
    else:
        if matrix is not None and matrix.size <= DENSE_ENTRIES:
            f, g, sums, fits = _at_once(problem, flow, costs, matrix)
        else:
            f, g, sums, fits = _step_by_step(problem, flow, costs)
        cost, bounds = sums.cost / problem.total, bound(problem, flow, costs, sums)
    return f, g, cost, bounds if fits else Bounds(bounds.lower, math.inf, bounds.scale)


def _step_by_step(problem: TransportProblem, flow: Flow, costs: Array) -> tuple[Array, Array, Sums, bool]:
    """A feasible pair from the potentials of a flow, what both prove, and whether the flow fits."""
    f, g = feasible_pair(problem, _centred(problem, flow, costs))
    rows, cols = problem.row_mass, problem.col_mass
    sums = Sums(
        dual=exact_dot(rows, f) + exact_dot(cols, g),
        cost=exact_dot(flow.mass, costs),
        size=float(rows @ np.abs(f) + cols @ np.abs(g)),
        paid=float(flow.mass @ np.abs(costs)),
        largest=float(max(np.abs(f).max(), np.abs(g).max())),
    )
    return f, g, sums, _fits(problem, flow)


def _at_once(problem: TransportProblem, flow: Flow, costs: Array, matrix: Array) -> tuple[Array, Array, Sums, bool]:
    """The same in one compiled call."""
    from .kernels.proof import prove

    masses = problem.row_mass, problem.col_mass
    f, g, left, sums = np.empty(problem.shape[0]), flow.g.copy(), np.concatenate(masses), np.empty(len(Sums._fields))
    carried = flow.rows, flow.cols, flow.mass, costs
    fits = prove(matrix, *carried, *masses, float(problem.total), f, g, left, sums)
    return f, g, Sums(*sums.tolist()), fits


def _mass(problem: TransportProblem) -> float:
    """What the bounds are multiplied by: the bottleneck is a cost, not a cost times mass."""
    return 1.0 if problem.power == math.inf else problem.mass


def _in_units(problem: TransportProblem, bounds: Bounds) -> tuple[float, float]:
    mass, exponent = _mass(problem), problem.cost.exponent
    return unscale(bounds.lower, exponent, -1, mass), unscale(bounds.upper, exponent, +1, mass)


def _fits(problem: TransportProblem, flow: Flow) -> bool:
    """The plan has the masses of the problem as its marginals: only then is its cost an upper bound."""
    if flow.mass.min(initial=0) < 0:
        return False
    for index, mass in ((flow.rows, problem.row_mass), (flow.cols, problem.col_mass)):
        left = mass.copy()
        np.subtract.at(left, index, flow.mass)
        if left.any():
            return False
    return True


def _details(
    flow: Flow, shape: tuple[int, int], mass: float, total: int, f: Array, g: Array, exponent: float
) -> dict[str, Any]:
    """Plan and potentials of a transport, in the user's units, of `mass` altogether, which is `total` in the flow."""
    from scipy.sparse import coo_array

    carried = flow.mass > 0
    unit, shift = math.frexp(mass)  # the mass of an integer may be no normal number
    with np.errstate(under="ignore"):
        moved = np.ldexp(flow.mass[carried] * (unit / total), shift)
    plan = coo_array((moved, (flow.rows[carried], flow.cols[carried])), shape=shape)
    return {"plan": plan, "f": unscale_array(f, exponent), "g": unscale_array(g, exponent)}


def _bottleneck(problem: TransportProblem, flow: Flow, costs: Array) -> tuple[Array, Array, float, Bounds]:
    """Potentials, value and bounds of the largest cost that carries mass.

    Columns marked by g = 1 hold more mass than all rows marked by f = -1 can send them. So every plan moves mass
    from another row to a marked column, and the least cost of doing so bounds the optimum from below (Hall,
    J. London Math. Soc. 1935).
    """
    carried = flow.mass > 0
    upper = float(costs[carried].max())
    lost = problem.cost.absolute_error(flow.rows[carried], flow.cols[carried], costs[carried])
    if flow.f is not None:
        lower = _hall_bound(problem, flow.f, flow.g)
    else:  # the plan pays no more than the least entry of all
        lower = problem.cost.range()[0]
        if upper > lower:
            lower = problem.cost.select(np.flatnonzero(problem.row_mass), np.flatnonzero(problem.col_mass)).least()
    relative, dust = problem.cost.relative_error * 1.01, (problem.cost.exponent != 0) * DUST
    least, most = max(lower - lower * relative - dust, 0.0), upper + upper * relative + lost
    bounds = Bounds(least, most, most)
    if flow.f is None:
        return np.zeros(problem.shape[0]), np.zeros(problem.shape[1]), upper, bounds
    return flow.f * lower, flow.g * lower, upper, bounds


def _hall_bound(problem: TransportProblem, f: Array, g: Array) -> float:
    crowded, near = g == 1, f == -1
    if int(problem.col_mass[crowded].sum()) <= int(problem.row_mass[near].sum()):
        return problem.cost.range()[0]
    out_of_reach = problem.cost.select(np.flatnonzero(~near), np.flatnonzero(crowded))
    return out_of_reach.least()


def _whole(exponent: float) -> int:
    return round(max(-FAR, min(exponent, FAR)))


def unscale(value: float, exponent: float, direction: int = 0, mass: float = 1.0) -> float:
    """value * mass * 2**exponent, rounded outwards for a bound (direction -1 or +1); past the largest float it is inf.

    Relative roundings, those of a power that is no whole one among them, are the caller's.
    """
    if exponent == 0 and (value == 0 or sys.float_info.min <= abs(value * mass) < math.inf):
        return value * mass
    whole = _whole(exponent)
    factor = 2.0 ** (exponent - whole) if abs(exponent) < FAR else 1.0
    (head, above), (unit, shift) = math.frexp(value), math.frexp(mass)  # so that no product leaves the normal numbers
    try:
        result = math.ldexp(head * unit * factor, above + shift + whole)
    except OverflowError:
        result = math.copysign(math.inf, value)
    if direction and value != 0 and (not math.isfinite(result) or abs(result) < sys.float_info.min):
        result = math.nextafter(result, direction * math.inf)
    return max(result, 0.0) if value >= 0 else result


def unscale_array(potential: Array, exponent: float) -> Array:
    if exponent == 0:
        return potential
    whole = _whole(exponent)
    factor = 2.0 ** (exponent - whole) if abs(exponent) < FAR else 1.0
    with np.errstate(over="ignore", under="ignore"):
        if factor == 1:
            return np.ldexp(potential, whole)
        # A factor that is no power of two rounds, as its exponent has been: step back by it to stay feasible.
        back = (4 + 2 * abs(exponent)) * UNIT_ROUNDOFF * np.abs(potential).max(initial=0)
        return np.ldexp(potential * factor - back, whole)


def root(cost: float, exponent: float, power: float, mass: float = 1.0) -> float:
    """(cost * mass * 2**exponent) ** (1 / power), which is a float even where the cost is not."""
    unit, shift = (mass, 0) if sys.float_info.min <= cost * mass < math.inf else math.frexp(mass)
    return unscale(max(cost * unit, 0.0) ** (1 / power), (exponent + shift) / power)


def certify_assignment(cost: GroundCost, cols: Array, v: Array) -> tuple[Array, Array, Bounds]:
    """(u, v, bounds) of a matching of every row i to cols[i], from prices v of the columns.

    With fewer rows than columns no price may be positive: leaving a column out then never beats the dual value.
    """
    if len(cols) < len(v):
        v = np.minimum(v, 0.0)
    u, rows = cost.row_transform(v), np.arange(len(cols))
    entries = cost.entries(rows, cols)
    total = exact_sum(entries)
    dual = exact_sum(np.concatenate((u, v)))
    size = float(np.abs(u).sum() + np.abs(v).sum())
    paid, lost = float(np.abs(entries).sum()), len(cols) * cost.absolute_error(rows, cols, entries)
    lower = dual - SUM_SLACK * abs(dual) - CANCELLED * size - len(cols) * DUST
    upper = total + SUM_SLACK * abs(total) + CANCELLED * paid + lost
    if lower < 0 <= cost.range()[0]:
        lower = 0.0
    return u, v, Bounds(lower, upper, max(abs(lower), abs(upper), 0.0 if lost else POTENTIAL_SHARE * size))
