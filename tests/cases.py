"""Transport problems: a table of those whose answer is known on paper, strategies that draw all the awkward ones,
and the checks that every `Transport` must pass wherever it comes from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import hypothesis.strategies as st
import naive
import numpy as np
from hypothesis.extra import numpy as hnp

import ot_distances as ot
from ot_distances.solvers import METHODS

ORDERS = (1, 1.5, 2, 3, math.inf)
METRICS = tuple(naive.METRICS)
EPS = np.finfo(float).eps


@dataclass(frozen=True)
class PointCase:
    """Two weighted point sets and their distance W_p, unrounded by anything but the last bit."""

    name: str
    x: object
    y: object
    value: float
    a: object = None
    b: object = None
    p: float = 1
    metric: str = "euclidean"


@dataclass(frozen=True)
class CostCase:
    """A cost matrix, its masses (None: uniform) and the least cost."""

    name: str
    cost_matrix: object
    cost: float
    a: object = None
    b: object = None


BLOCK_SOURCES, BLOCK_TARGETS = (1, 2, 3), (7, 8, 9, 10)
BLOCKS, GAPS = (3, 1, 2), (1, 1, 2, 2)

POINT_CASES = (
    PointCase("one atom each", [[0.0, 0.0]], [[3.0, 4.0]], 5.0),
    PointCase("one atom each, p = 2", [[0.0, 0.0]], [[3.0, 4.0]], 5.0, p=2),
    PointCase("one atom each, p = inf", [[0.0, 0.0]], [[3.0, 4.0]], 5.0, p=math.inf),
    PointCase("one atom each, L1", [[0.0, 0.0]], [[3.0, 4.0]], 7.0, metric="cityblock"),
    PointCase("one atom each, L1, p = 3", [[0.0, 0.0]], [[3.0, 4.0]], 7.0, p=3, metric="cityblock"),
    PointCase("one atom each, L-infinity", [[0.0, 0.0]], [[3.0, 4.0]], 4.0, metric="chebyshev"),
    PointCase("one atom each, squared", [[0.0, 0.0]], [[3.0, 4.0]], 25.0, metric="sqeuclidean"),
    PointCase("same atoms, other weights", [0, 1], [0, 1], 0.25, a=[0.5, 0.5], b=[0.25, 0.75]),
    PointCase("same atoms, other weights, p = 2", [0, 1], [0, 1], 0.5, a=[0.5, 0.5], b=[0.25, 0.75], p=2),
    PointCase("same atoms, other weights, p = inf", [0, 1], [0, 1], 1.0, a=[0.5, 0.5], b=[0.25, 0.75], p=math.inf),
    PointCase("one atom to both sides", [0.0], [-1.0, 1.0], 1.0),
    PointCase("many to one: the mean distance", [0.0, 1.0, 5.0], [1.0], 5 / 3),
    PointCase("translation", [[0, 0], [1, 0], [0, 2]], [[3, 4], [4, 4], [3, 6]], 5.0, p=1.5),
    PointCase("order does not matter", [[0, 0], [5, 5], [9, 1]], [[9, 1], [0, 0], [5, 5]], 0.0, p=2),
    PointCase("all points coincide", [[2, 2]] * 3, [[2, 2]] * 4, 0.0),
    PointCase("duplicates add up", [0, 0, 0, 1], [0, 1, 1, 1], 0.5),
    PointCase("a far point of no weight", [0, 1e6], [1, -1e6], 1.0, a=[1, 0], b=[1, 0]),
    PointCase("a hair's weight far away", [0, 1], [0, 1], 1e-12, a=[1, 1e-12], b=[1 + 1e-12, 0]),
    PointCase("mass 6 costs six times as much", [0.0], [2.0], 12.0, a=[6], b=[6]),
    PointCase("mass 4, p = 2: the root comes last", [0.0], [3.0], 6.0, a=[4], b=[4], p=2),
    PointCase("on a diagonal", [[0, 0], [1, 1]], [[2, 2], [3, 3]], 2 * math.sqrt(2)),
    PointCase("crossing is dearer", [1, 3], [2, 4], 1.0),
    PointCase("p > 1 shifts both", [0, 1], [1, 2], 1.0, p=2),
    PointCase("W_3 of an atom split in two", [0.0], [1.0, 2.0], (4.5) ** (1 / 3), p=3),
    PointCase("two segments at distance theta", [[0, t] for t in range(5)], [[0.5, t] for t in range(5)], 0.5),
    PointCase("the block moving of the texts, mass 6", BLOCK_SOURCES, BLOCK_TARGETS, 42.0, a=BLOCKS, b=GAPS),
    PointCase(
        "the block moving, normalised",
        BLOCK_SOURCES,
        BLOCK_TARGETS,
        7.0,
        a=[1 / 2, 1 / 6, 1 / 3],
        b=[1 / 6, 1 / 6, 1 / 3, 1 / 3],
    ),
    PointCase("square on a square", [[0, 0], [1, 1]], [[1, 0], [0, 1]], 1.0, p=2),
    PointCase("square on a square, L-infinity", [[0, 0], [1, 1]], [[1, 0], [0, 1]], 1.0, metric="chebyshev"),
    PointCase("square on a square, bottleneck", [[0, 0], [1, 1]], [[1, 0], [0, 1]], 1.0, p=math.inf),
)

COST_CASES = (
    CostCase("one by one", [[3.5]], 3.5),
    CostCase("one by one, negative", [[-3.5]], -3.5),
    CostCase("all equal", [[2.0] * 3] * 4, 2.0),
    CostCase("all zero", [[0.0] * 3] * 4, 0.0),
    CostCase("all equal and negative", [[-2.0] * 3] * 2, -2.0),
    CostCase("identity is free", [[0, 1, 1], [1, 0, 1], [1, 1, 0]], 0.0),
    CostCase("anti-identity is free", [[1, 1, 0], [1, 0, 1], [0, 1, 1]], 0.0),
    CostCase("SciPy's example", [[4, 1, 3], [2, 0, 5], [3, 2, 2]], 5 / 3),
    CostCase("negative entries", [[-1, -2], [-4, -3]], -3.0),
    CostCase("a dear row", [[1e6, 1e6 + 1], [0, 5]], (1e6 + 1) / 2),
    CostCase("the north-west corner is wrong", [[1, 0], [0, 1]], 0.25, a=[0.5, 0.5], b=[0.25, 0.75]),
    CostCase("a forbidden pair", [[math.inf, 1], [1, 5]], 1.0),
    CostCase("a forbidden row of no mass", [[math.inf, math.inf], [2, 3]], 2.5, a=[0, 1], b=[0.5, 0.5]),
    CostCase("zero rows and columns", [[7, 7, 7], [7, 1, 7], [7, 7, 7]], 1.0, a=[0, 1, 0], b=[0, 1, 0]),
    CostCase("integer masses", [[1, 2], [3, 1]], 7.0, a=[4, 2], b=[3, 3]),
)


def uniform(n, mass=1.0):
    return np.full(n, mass / n)


def weights_of(case, n, m):
    """The masses of a case as float vectors, uniform where it has none, b with the mass of a."""
    a = uniform(n) if case.a is None else np.asarray(case.a, float)
    b = uniform(m, math.fsum(a)) if case.b is None else np.asarray(case.b, float)
    return a, b


@st.composite
def weights(draw, n):
    """n weights, not normalised: equal, integers, with zeros, tiny beside large ones, float32."""
    kind = draw(st.sampled_from(("equal", "integers", "zeros", "tiny", "float32", "any")))
    if kind == "equal":
        return np.full(n, draw(st.sampled_from((1.0, 1 / 3, 7.0, 1e-3))))
    if kind == "integers":
        return draw(hnp.arrays(np.int64, n, elements=st.integers(1, 5)))
    if kind == "zeros":
        w = draw(hnp.arrays(float, n, elements=st.sampled_from((0.0, 0.0, 0.25, 0.5, 1.0))))
        w[draw(st.integers(0, n - 1))] = 0.5
        return w
    if kind == "tiny":
        w = draw(hnp.arrays(float, n, elements=st.sampled_from((1e-30, 1e-12, 1e-6, 0.3, 1.0))))
        w[draw(st.integers(0, n - 1))] = 1.0
        return w
    dtype, width = (np.float32, 32) if kind == "float32" else (np.float64, 64)
    return draw(hnp.arrays(dtype, n, elements=st.floats(0.0625, 8, width=width)))


@st.composite
def masses(draw, n, m):
    """(a, b): None for both, or weights of one sum (to rounding), a's mass being whatever it is."""
    if draw(st.booleans()):
        return None, None
    a, b = draw(weights(n)), draw(weights(m)).astype(float)
    return a, b * (math.fsum(a) / math.fsum(b))


@st.composite
def coordinates(draw, n, d, kind):
    """n points in d dimensions; small whole numbers make ties and duplicates, floats make general position."""
    if kind == "coincident":
        return np.tile(draw(hnp.arrays(float, (1, d), elements=st.integers(-3, 3))), (n, 1))
    if kind == "collinear":
        step = draw(hnp.arrays(float, (1, d), elements=st.integers(-2, 2)))
        return draw(hnp.arrays(float, (n, 1), elements=st.integers(-5, 5))) * step
    if kind == "grid":
        return draw(hnp.arrays(float, (n, d), elements=st.integers(0, 2)))
    if kind == "integers":
        return draw(hnp.arrays(float, (n, d), elements=st.integers(-50, 50)))
    if kind == "mixed scales":
        return draw(hnp.arrays(float, (n, d), elements=st.sampled_from((0.0, 1e-9, -1e-5, 0.1, 1.0, -30.0, 1e6))))
    return draw(hnp.arrays(float, (n, d), elements=st.floats(-10, 10).map(_not_tiny)))


def _not_tiny(number):
    """0 in the place of numbers whose powers vanish beside 1; test_scale.py has those."""
    return number if abs(number) > 1e-60 else 0.0


KINDS = ("general", "grid", "integers", "collinear", "coincident", "mixed scales")


@st.composite
def point_sets(draw, max_n=6, dims=(1, 2, 3), kinds=KINDS):
    """x, y, a, b: n and m differ, are equal, or 1; y is at times x itself or holds some of its points."""
    n, m, d = draw(st.integers(1, max_n)), draw(st.integers(1, max_n)), draw(st.sampled_from(dims))
    kind = draw(st.sampled_from(kinds))
    if draw(st.booleans()):
        m = n
    x, y = draw(coordinates(n, d, kind)), draw(coordinates(m, d, kind))
    if draw(st.booleans()):
        shared = draw(st.integers(0, min(n, m)))
        y[:shared] = x[:shared]
    a, b = draw(masses(n, m))
    return x, y, a, b


@st.composite
def cost_matrices(draw, n, m):
    """Costs with ties, of both signs, constant, with one huge row, or in general position, over hundreds of decades."""
    kind = draw(st.sampled_from(("integers", "signed integers", "constant", "huge row", "general")))
    if kind == "constant":
        return np.full((n, m), draw(st.sampled_from((0.0, 1.0, -2.5, 1e9, 1e-9))))
    if kind == "integers":
        return draw(hnp.arrays(float, (n, m), elements=st.integers(0, 4)))
    if kind == "signed integers":
        return draw(hnp.arrays(float, (n, m), elements=st.integers(-9, 9)))
    cost = draw(hnp.arrays(float, (n, m), elements=st.floats(-10, 10, allow_subnormal=False)))
    if kind == "huge row":
        cost[draw(st.integers(0, n - 1))] += 1e12
    return cost


@st.composite
def transport_problems(draw, max_n=6):
    """cost matrix, a, b."""
    n, m = draw(st.integers(1, max_n)), draw(st.integers(1, max_n))
    if draw(st.booleans()):
        m = n
    a, b = draw(masses(n, m))
    return draw(cost_matrices(n, m)), a, b


@st.composite
def whole_masses(draw, n, m):
    """a, b in whole numbers whose sums agree exactly, zeros among them."""
    a = draw(st.lists(st.integers(0, 6), min_size=n, max_size=n).filter(any))
    cuts = sorted(draw(st.lists(st.integers(0, sum(a)), min_size=m - 1, max_size=m - 1)))
    b = [high - low for low, high in zip([0, *cuts], [*cuts, sum(a)])]
    return np.array(a), np.array(b)


@st.composite
def exact_problems(draw, max_n=5):
    """cost matrix, a, b with whole masses: the optimum is known as a fraction."""
    n, m = draw(st.integers(1, max_n)), draw(st.integers(1, max_n))
    a, b = draw(whole_masses(n, m))
    return draw(cost_matrices(n, m)), a, b


def _every_method(solve, expected):
    """The result of each row of the solver table that takes the problem, by name; those in `expected` must."""
    results = {}
    for method in METHODS:
        try:
            results[method] = solve(method)
        except ValueError as refusal:
            if "`method` must suit" not in str(refusal):
                raise
        else:
            assert results[method].method == method or method == "auto"
    assert results.keys() >= set(expected), f"only {list(results)} took the problem"
    return results


def solve_all(x, y, a=None, b=None, **options):
    """`solve` by every method that applies; a line or equal weights must find those that are made for them."""
    expected = ["auto"] + ["1d"] * (np.ndim(x) == 1 or np.shape(x)[1] == 1)
    if options.get("p") == math.inf:
        expected.append("bottleneck")
    elif len(x) == len(y) and (a is None or (np.ptp(a) == 0 and np.ptp(b) == 0)):
        expected += ["network_simplex", "lp", "assignment"]
    else:
        expected += ["network_simplex", "lp"]
    return _every_method(lambda method: ot.solve(x, y, a, b, method=method, **options), expected)


def solve_cost_all(cost, a=None, b=None):
    """`solve_cost` by every method that applies."""
    return _every_method(lambda method: ot.solve_cost(cost, a, b, method=method), ["auto", "network_simplex", "lp"])


def check_plan(plan, a, b):
    """The plan is sparse, not negative, and has the marginals a and b (b with the mass of a) to 1e-15 of the mass."""
    n, m = len(a), len(b)
    assert plan.shape == (n, m)
    assert plan.nnz <= n + m - 1
    assert (plan.data > 0).all()
    assert len({(i, j) for i, j in zip(*plan.coords)}) == plan.nnz
    mass = math.fsum(a)
    b = np.asarray(b, float) * (mass / math.fsum(b))
    for axis, marginal in ((0, np.asarray(a, float)), (1, b)):
        sums = [math.fsum(plan.data[plan.coords[axis] == k]) for k in range(len(marginal))]
        worst = np.abs(np.array(sums) - marginal).max()
        # one rounding of each of the entries of the plan, one of the masses
        assert worst <= 4 * EPS * mass, f"marginal {axis} is off by {worst / mass:.1e} of the mass"


def check_potentials(f, g, cost):
    """f_i + g_j <= C_ij for every pair, to the rounding of the sum itself."""
    cost = np.asarray(cost, float)
    assert f.shape == (cost.shape[0],) and g.shape == (cost.shape[1],)
    assert np.isfinite(f).all() and np.isfinite(g).all()
    finite = np.where(np.isfinite(cost), np.abs(cost), 0)
    size = np.maximum(np.abs(f)[:, None] + np.abs(g), finite)
    excess = f[:, None] + g - cost - 8 * EPS * size
    assert (excess <= 0).all(), f"f_i + g_j exceeds C_ij by {excess.max():.1e} beyond rounding"


def check_transport(result, cost, a, b, *, rtol=1e-9):
    """Everything that `Transport` promises, for a cost matrix and masses (None: uniform); the cost's own p applied."""
    cost = np.asarray(cost, float)
    n, m = cost.shape
    a = uniform(n, 1.0 if b is None else math.fsum(b)) if a is None else np.asarray(a, float)
    b = uniform(m, math.fsum(a)) if b is None else np.asarray(b, float)
    check_plan(result.plan, a, b)
    check_potentials(result.f, result.g, cost)
    assert result.lower <= result.upper
    assert 0 <= result.gap <= rtol
    rows, cols = result.plan.coords
    mass, scale = math.fsum(a), np.abs(cost[rows, cols]).max(initial=0)
    recomputed = math.fsum(result.plan.data * cost[rows, cols])
    assert abs(result.cost - recomputed) <= 32 * EPS * mass * scale
    assert result.lower <= result.cost + 32 * EPS * mass * scale
    assert result.upper >= result.cost - 32 * EPS * mass * scale
    assert isinstance(result.value, float) and isinstance(result.cost, float)
    assert result.seconds >= 0 and result.peak_bytes >= 0
    assert result.method in METHODS and result.method != "auto"


def check_bounds_exactly(result, truth):
    """lower <= truth <= upper, without any tolerance: truth is a Fraction."""
    assert Fraction(result.lower) <= truth <= Fraction(result.upper), (
        f"bounds [{result.lower!r}, {result.upper!r}] miss the optimum {float(truth)!r}"
    )
