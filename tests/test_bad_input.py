"""Bad input is refused before any work: the exception's type, the argument's name, the fact and the cure."""

from __future__ import annotations

import math
import re
import time

import numpy as np
import pytest
from scipy.sparse import eye_array

import ot_distances as ot

NAN, INF = math.nan, math.inf

X, Y = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0], [2.0, 2.0]]
A, B = [0.5, 0.25, 0.25], [0.5, 0.5]
C = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
HALF = [0.5, 0.5]
METRIC = [[0.0, 1.0], [1.0, 0.0]]


def with_entry(array, index, value):
    array = np.array(array, dtype=np.result_type(type(value), float))
    array[index] = value
    return array


# (what, call, type, the pieces that the message must hold in this order)
POINTS = (
    ("nan in x", lambda f: f(with_entry(X, (1, 0), NAN), Y), ValueError, ("`x` must be finite", "x[1, 0] = nan")),
    ("inf in y", lambda f: f(X, with_entry(Y, (0, 1), INF)), ValueError, ("`y` must be finite", "y[0, 1] = inf")),
    ("-inf in x", lambda f: f(with_entry(X, (2, 1), -INF), Y), ValueError, ("`x` must be finite", "x[2, 1] = -inf")),
    ("nan in a vector", lambda f: f([0.0, NAN], [1.0]), ValueError, ("`x` must be finite", "x[1", "nan")),
    ("no points", lambda f: f(np.zeros((0, 2)), Y), ValueError, ("`x` must", "(0, 2)")),
    ("no points in a list", lambda f: f([], [1.0]), ValueError, ("`x` must", "(0,")),
    ("no columns", lambda f: f(np.zeros((3, 0)), Y), ValueError, ("`x` must", "(3, 0)")),
    ("a number", lambda f: f(1.0, [1.0]), ValueError, ("`x` must have shape", "()")),
    ("other dimension", lambda f: f(X, [[1.0, 2.0, 3.0]]), ValueError, ("`x` and `y` must", "(3, 2)", "(1, 3)")),
    ("complex points", lambda f: f(np.array(X) + 1j, Y), TypeError, ("`x` must be real", "complex128")),
    ("strings", lambda f: f([["a", "b"]], Y), TypeError, ("`x` must be an array of", "numbers")),
    ("ragged list", lambda f: f([[0.0, 1.0], [2.0]], Y), TypeError, ("`x` must be an array of",)),
    ("None", lambda f: f(None, Y), TypeError, ("`x` must be an array of",)),
    ("a dict", lambda f: f({"x": 1}, Y), TypeError, ("`x` must be an array of",)),
    ("dates", lambda f: f(np.array(["2020-01-01"], "M8[D]"), [1.0]), TypeError, ("`x` must be an array of",)),
    (
        "negative weight",
        lambda f: f(X, Y, [0.6, -0.1, 0.5], B),
        ValueError,
        ("`a` must be non-negative", "a[1] = -0.1"),
    ),
    ("nan weight", lambda f: f(X, Y, A, [0.5, NAN]), ValueError, ("`b` must be finite", "b[1] = nan")),
    ("nan before negative", lambda f: f(X, Y, [-1.0, NAN, 1.0], B), ValueError, ("`a` must be finite", "a[1] = nan")),
    ("infinite weight", lambda f: f(X, Y, [INF, 0.0, 0.0], B), ValueError, ("`a` must be finite", "a[0] = inf")),
    ("no weight at all", lambda f: f(X, Y, [0.0] * 3, [0.0] * 2), ValueError, ("`a` must have a positive sum",)),
    ("too few weights", lambda f: f(X, Y, [0.5, 0.5], B), ValueError, ("`a` must have shape (3,)", "(2,)")),
    (
        "weights in a column",
        lambda f: f(X, Y, np.array(A)[:, None], B),
        ValueError,
        ("`a` must have shape (3,)", "(3, 1)"),
    ),
    ("empty weights", lambda f: f(X, Y, A, []), ValueError, ("`b` must have shape (2,)", "(0,)")),
    ("complex weights", lambda f: f(X, Y, np.array(A) * 1j, B), TypeError, ("`a` must be real", "complex128")),
    ("string weights", lambda f: f(X, Y, ["a", "b", "c"], B), TypeError, ("`a` must be an array of",)),
    (
        "unequal masses",
        lambda f: f(X, Y, [1, 1, 2], [1, 1]),
        ValueError,
        ("`a` and `b` must have the same sum", "4", "2"),
    ),
    (
        "masses 1e-5 apart",
        lambda f: f(X, Y, A, [0.5, 0.50001]),
        ValueError,
        ("`a` and `b` must have the same sum", "1.00001", "a.sum()"),
    ),
    (
        "masses 1e-5 apart, all tiny",
        lambda f: f(X, Y, np.array(A) * 1e-20, np.array([0.5, 0.50001]) * 1e-20),
        ValueError,
        ("`a` and `b` must have the same sum", "e-20"),
    ),
    (
        "masses whose mean is no normal number",
        lambda f: f(X, Y, None, [1e-310, 0]),
        ValueError,
        ("`b` must have a sum of 3 normal numbers where `a` is not given", "1e-310", "b / b.max()"),
    ),
    ("p below 1", lambda f: f(X, Y, p=0.5), ValueError, ("`p` must be at least 1", "p = 0.5")),
    ("p negative infinity", lambda f: f(X, Y, p=-INF), ValueError, ("`p` must be at least 1", "p = -inf")),
    ("p nan", lambda f: f(X, Y, p=NAN), ValueError, ("`p` must be at least 1", "p = nan")),
    ("p a string", lambda f: f(X, Y, p="2"), TypeError, ("`p` must be a number", "'2'")),
    ("p None", lambda f: f(X, Y, p=None), TypeError, ("`p` must be a number", "None")),
    ("p complex", lambda f: f(X, Y, p=1j), TypeError, ("`p` must be a number", "1j")),
    (
        "unknown metric",
        lambda f: f(X, Y, metric="manhattan"),
        ValueError,
        ("`metric` must be", "euclidean", "sqeuclidean", "cityblock", "chebyshev", "'manhattan'"),
    ),
    ("metric of another kind", lambda f: f(X, Y, metric=3), (TypeError, ValueError), ("`metric` must be", "3")),
    (
        "squared metric with p = 2",
        lambda f: f(X, Y, p=2, metric="sqeuclidean"),
        ValueError,
        ("sqeuclidean", "p=2", '"euclidean"'),
    ),
    (
        "squared metric with p = inf",
        lambda f: f(X, Y, p=INF, metric="sqeuclidean"),
        ValueError,
        ("sqeuclidean", "euclidean"),
    ),
    (
        "metric of the wrong shape",
        lambda f: f(X, Y, metric=lambda s, t: np.zeros(len(s))),
        ValueError,
        ("`metric` must return", "(3, 2)", "(3,)"),
    ),
    (
        "metric that returns nan",
        lambda f: f(X, Y, metric=lambda s, t: np.full((len(s), len(t)), NAN)),
        ValueError,
        ("`metric` must return finite", "[0, 0] = nan"),
    ),
    (
        "metric that returns inf",
        lambda f: f(X, Y, metric=lambda s, t: np.full((len(s), len(t)), INF)),
        ValueError,
        ("`metric` must return finite", "[0, 0] = inf"),
    ),
    (
        "metric that is negative",
        lambda f: f(X, Y, p=2, metric=lambda s, t: np.full((len(s), len(t)), -1.0)),
        ValueError,
        ("`metric` must return", "[0, 0] = -1"),
    ),
    (
        "metric that is negative, p = inf",
        lambda f: f(X, Y, p=INF, metric=lambda s, t: np.full((len(s), len(t)), -1.0)),
        ValueError,
        ("`metric` must return", "[0, 0] = -1"),
    ),
    (
        "metric that returns words",
        lambda f: f(X, Y, metric=lambda s, t: [["far"] * len(t)] * len(s)),
        TypeError,
        ("`metric` must", "numbers"),
    ),
    (
        "metric that returns complex numbers",
        lambda f: f(X, Y, metric=lambda s, t: np.full((len(s), len(t)), 1j)),
        TypeError,
        ("`metric` must", "real", "complex128"),
    ),
    (
        "unknown method",
        lambda f: f(X, Y, method="sinkhorn"),
        ValueError,
        ("`method` must be one of", "'auto'", "'1d'", "'assignment'", "'network_simplex'", "'lp'", "'sinkhorn'"),
    ),
    ("1d in two dimensions", lambda f: f(X, Y, method="1d"), ValueError, ("`method` must", "1d", "on a line")),
    ("assignment of three to two", lambda f: f(X, Y, method="assignment"), ValueError, ("assignment", "auto")),
    (
        "assignment of unequal weights",
        lambda f: f(Y, Y, [0.25, 0.75], B, method="assignment"),
        ValueError,
        ("assignment", "auto"),
    ),
    ("rtol zero", lambda f: f(X, Y, rtol=0), ValueError, ("`rtol` must", "0")),
    ("rtol negative", lambda f: f(X, Y, rtol=-1e-9), ValueError, ("`rtol` must", "-1e-09")),
    ("rtol nan", lambda f: f(X, Y, rtol=NAN), ValueError, ("`rtol` must", "nan")),
    ("rtol a string", lambda f: f(X, Y, rtol="tiny"), TypeError, ("`rtol` must be a number", "'tiny'")),
)

COSTS = (
    (
        "nan cost",
        lambda f: f(with_entry(C, (2, 1), NAN)),
        ValueError,
        ("`cost_matrix` must", "cost_matrix[2, 1] = nan", "+inf"),
    ),
    (
        "-inf cost",
        lambda f: f(with_entry(C, (0, 1), -INF)),
        ValueError,
        ("`cost_matrix` must", "cost_matrix[0, 1] = -inf"),
    ),
    ("complex cost", lambda f: f(np.array(C) + 1j), TypeError, ("`cost_matrix` must be real", "complex128")),
    ("string cost", lambda f: f([["a", "b"]]), TypeError, ("`cost_matrix` must be an array of",)),
    ("ragged cost", lambda f: f([[1.0, 2.0], [3.0]]), TypeError, ("`cost_matrix` must be an array of",)),
    ("None", lambda f: f(None), TypeError, ("`cost_matrix` must be an array of",)),
    ("a vector", lambda f: f([1.0, 2.0]), ValueError, ("`cost_matrix` must have shape", "(2,)")),
    ("no rows", lambda f: f(np.zeros((0, 3))), ValueError, ("`cost_matrix` must", "(0, 3)")),
    ("no columns", lambda f: f(np.zeros((3, 0))), ValueError, ("`cost_matrix` must", "(3, 0)")),
    ("all nan", lambda f: f(np.full((3, 3), NAN)), ValueError, ("`cost_matrix` must", "[0, 0] = nan")),
    ("all forbidden", lambda f: f(np.full((3, 3), INF)), ValueError, ("`cost_matrix` must allow", "0")),
    ("a forbidden row", lambda f: f([[1.0, 2.0], [INF, INF]]), ValueError, ("`cost_matrix` must allow", "1")),
    (
        "a forbidden column",
        lambda f: f([[1.0, INF], [2.0, INF]]),
        ValueError,
        ("`cost_matrix` must allow", "1"),
    ),
)

WEIGHTED_COSTS = (
    (
        "three weights for two columns",
        lambda f: f(C, A, A),
        ValueError,
        ("`b` must have shape (2,)", "2 columns", "(3,)"),
    ),
    ("two weights for three rows", lambda f: f(C, B, B), ValueError, ("`a` must have shape (3,)", "3 rows", "(2,)")),
    ("negative weight", lambda f: f(C, A, [1.5, -0.5]), ValueError, ("`b` must be non-negative", "b[1] = -0.5")),
    ("forbidden from one row", lambda f: f([[1, INF]], [2], [1, 1]), ValueError, ("`cost_matrix` must allow a plan",)),
    ("forbidden to one column", lambda f: f([[INF], [1]], B, [1]), ValueError, ("`cost_matrix` must allow a plan",)),
    ("unequal masses", lambda f: f(C, A, [1, 1]), ValueError, ("`a` and `b` must have the same sum", "1", "2")),
)

DISTANCES = (ot.wasserstein, ot.solve)
SOLVERS = (ot.solve_cost, ot.linear_assignment)
WEIGHTED = (ot.solve_cost, ot.lp_primal, ot.lp_dual)


def runs(functions, table):
    return [
        pytest.param(lambda call=call, f=f: call(f), kind, parts, id=f"{f.__name__}-{what}")
        for what, call, kind, parts in table
        for f in functions
    ]


OTHERS = (
    (
        "assignment in four dimensions",
        lambda: ot.linear_assignment(np.zeros((2, 2, 2, 2))),
        ValueError,
        ("`cost_matrix` must", "(2, 2, 2, 2)"),
    ),
    (
        "nan deep in a batch",
        lambda: ot.linear_assignment(with_entry(np.zeros((3, 2, 2)), (2, 1, 0), NAN)),
        ValueError,
        ("cost_matrix[2, 1, 0] = nan",),
    ),
    ("LP sizes", lambda: ot.lp_constraints(0, 3), ValueError, ("`n` must", "0")),
    ("LP sizes of another kind", lambda: ot.lp_constraints(2, 1.5), TypeError, ("`m` must", "1.5")),
    ("LP masses", lambda: ot.lp_primal(C, [NAN, 1, 1], B), ValueError, ("`a` must be finite", "a[0] = nan")),
    ("cost method that needs points", lambda: ot.solve_cost(C, method="1d"), ValueError, ("1d",)),
    (
        "unknown cost method",
        lambda: ot.solve_cost(C, method="emd"),
        ValueError,
        ("`method` must be one of", "'network_simplex'", "'emd'"),
    ),
    (
        "Kantorovich sizes",
        lambda: ot.kantorovich_rubinstein(METRIC, [1.0], HALF),
        ValueError,
        ("`p` must have shape (2,)", "(1,)"),
    ),
    (
        "Kantorovich nan",
        lambda: ot.kantorovich_rubinstein(METRIC, HALF, [NAN, 1]),
        ValueError,
        ("`q` must be finite", "q[0] = nan"),
    ),
    (
        "Kantorovich masses",
        lambda: ot.kantorovich_rubinstein(METRIC, HALF, [1.0, 1.0]),
        ValueError,
        ("`p` and `q` must have the same sum", "1", "2"),
    ),
    (
        "Kantorovich cost",
        lambda: ot.kantorovich_rubinstein([[0.0, NAN], [1.0, 0.0]], HALF, HALF),
        ValueError,
        ("`cost_matrix` must", "[0, 1] = nan"),
    ),
    (
        "Gaussian sizes",
        lambda: ot.gaussian_wasserstein([0.0, 0.0], np.eye(3), [0.0, 0.0], np.eye(2)),
        ValueError,
        ("`cov_x` must have shape (2, 2)", "(3, 3)"),
    ),
    (
        "Gaussian dimensions",
        lambda: ot.gaussian_wasserstein([0.0], [[1.0]], [0.0, 0.0], np.eye(2)),
        ValueError,
        ("`mean_", "must", "(1,)", "(2,)"),
    ),
    (
        "method of no name",
        lambda: ot.wasserstein([0.0], [1.0], method=["auto"]),
        ValueError,
        ("`method` must be", "['a"),
    ),
    (
        "metric of no name",
        lambda: ot.wasserstein([0.0], [1.0], metric=["l2"]),
        ValueError,
        ("`metric` must be", "['l2']"),
    ),
    (
        "masked",
        lambda: ot.wasserstein(np.ma.array([0.0]), [1.0]),
        TypeError,
        ("`x` must be a plain array", "Fill it"),
    ),
    (
        "Gaussian asymmetric",
        lambda: ot.gaussian_wasserstein([0.0] * 2, [[1.0, 0.5], [0.0, 1.0]], [0.0] * 2, np.eye(2)),
        ValueError,
        ("`cov_x` must be symmetric", "[0, 1] = 0.5"),
    ),
    (
        "Gaussian not positive",
        lambda: ot.gaussian_wasserstein([0.0] * 2, np.eye(2), [0.0] * 2, np.diag([1.0, -1.0])),
        ValueError,
        ("`cov_y` must be positive semidefinite", "-1"),
    ),
    (
        "Gaussian nan",
        lambda: ot.gaussian_wasserstein([NAN, 0.0], np.eye(2), [0.0] * 2, np.eye(2)),
        ValueError,
        ("`mean_x` must be finite", "mean_x[0] = nan"),
    ),
    ("sliced order", lambda: ot.sliced_wasserstein(X, Y, p=0.5), ValueError, ("`p` must be at least 1", "p = 0.5")),
    (
        "sliced projections",
        lambda: ot.sliced_wasserstein(X, Y, n_projections=0),
        ValueError,
        ("`n_projections` must", "0"),
    ),
    (
        "sliced projections of another kind",
        lambda: ot.sliced_wasserstein(X, Y, n_projections=2.5),
        TypeError,
        ("`n_projections` must", "2.5"),
    ),
    (
        "sliced nan",
        lambda: ot.sliced_wasserstein(with_entry(X, (0, 0), NAN), Y),
        ValueError,
        ("`x` must be finite", "x[0, 0] = nan"),
    ),
    ("verify nothing", lambda: ot.verify(np.array(C), A, B), ValueError, ("`plan`", "`f`", "`g`")),
    (
        "verify a plan of another shape",
        lambda: ot.verify(np.array(C), A, B, plan=np.zeros((2, 3))),
        ValueError,
        ("`plan` must have shape (3, 2)", "(2, 3)"),
    ),
    (
        "verify a plan with nan",
        lambda: ot.verify(np.array(C), A, B, plan=np.full((3, 2), NAN)),
        ValueError,
        ("`plan` must be finite", "nan"),
    ),
    (
        "verify potentials of another shape",
        lambda: ot.verify(np.array(C), A, B, f=np.zeros(2)),
        ValueError,
        ("`f` must have shape (3,)", "(2,)"),
    ),
    (
        "verify potentials with nan",
        lambda: ot.verify(np.array(C), A, B, g=[NAN, 0.0]),
        ValueError,
        ("`g` must be finite", "g[0] = nan"),
    ),
    (
        "verify a cost with nan",
        lambda: ot.verify(with_entry(C, (0, 0), NAN), A, B, f=np.zeros(3)),
        ValueError,
        ("`cost_matrix` must", "[0, 0] = nan"),
    ),
    (
        "no threads",
        lambda: ot.wasserstein(np.zeros((2, 3, 1)), np.zeros((2, 3, 1)), n_jobs=0),
        ValueError,
        ("`n_jobs` must", "0"),
    ),
    (
        "batches of different length",
        lambda: ot.wasserstein(np.zeros((2, 3, 1)), np.zeros((3, 3, 1))),
        ValueError,
        ("`x` and `y` must", "(2, 3, 1)", "(3, 3, 1)"),
    ),
    (
        "nan deep in a batch of points",
        lambda: ot.wasserstein(with_entry(np.zeros((2, 3, 1)), (1, 2, 0), NAN), np.zeros((2, 3, 1))),
        ValueError,
        ("`x` must be finite", "x[1, 2, 0] = nan"),
    ),
    *(
        (
            f"{what} in a batch",
            lambda a=a, b=b: ot.wasserstein(np.zeros((2, 3, 1)), np.zeros((2, 3, 1)), a, b),
            ValueError,
            parts,
        )
        for what, a, b, parts in (
            ("a negative weight", [A, [0.5, 0.75, -0.25]], A, ("`a` must be non-negative", "a[1, 2] = -0.25")),
            ("a nan weight", A, [A, [NAN, 1.0, 1.0]], ("`b` must be finite", "b[1, 0] = nan")),
            ("no weight at all", [A, [0.0] * 3], A, ("`a[1]` must have a positive sum",)),
            ("unequal masses", A, [A, [1.0] * 3], ("`a` and `b[1]` must have the same sum", "1 and 3", "b[1].sum()")),
            ("too few weights", [HALF, HALF], A, ("`a[0]` must have shape (3,)", "(2,)")),
            ("weights in three axes", np.zeros((3, 2, 1)), A, ("`a` must have one row for each", "(3, 2, 1)")),
            ("a number as weights", 1.0, A, ("`a` must have shape (3,)", "()")),
        )
    ),
    ("a sparse cost", lambda: ot.solve_cost(eye_array(3)), TypeError, ("`cost_matrix` must be a dense", "toarray()")),
    (
        "ragged points",
        lambda: ot.wasserstein([[1, 2], [3]], Y),
        TypeError,
        ("`x` must", "its rows are of unequal length"),
    ),
    ("no Axes", lambda: ot.solve(X, Y).plot(ax=3), TypeError, ("`ax` must be an Axes", "3")),
    *(
        (
            f"seed {seed} of {f.__name__}",
            lambda f=f, seed=seed: f(X * 4, X * 4, seed=seed),
            kind,
            ("`seed` must", repr(seed)),
        )
        for f in (ot.kl_from_samples, ot.sliced_wasserstein, ot.two_sample_test, ot.confidence_interval)
        for seed, kind in (("a", TypeError), (-1, ValueError))
    ),
    (
        "a batch to solve",
        lambda: ot.solve(np.zeros((2, 3, 1)), np.zeros((2, 3, 1))),
        ValueError,
        ("`x` must have shape", "(2, 3, 1)"),
    ),
)

RUNS = [
    *runs(DISTANCES, POINTS),
    *runs(SOLVERS, COSTS),
    *runs(WEIGHTED, WEIGHTED_COSTS),
    *(pytest.param(call, kind, parts, id=what) for what, call, kind, parts in OTHERS),
]


@pytest.mark.parametrize(("call", "kind", "parts"), RUNS)
def test_bad_input_is_refused_with_name_fact_and_cure(call, kind, parts):
    with pytest.raises(kind) as caught:
        call()
    text = str(caught.value)
    assert re.search(".*".join(map(re.escape, parts)), text), f"{parts} are not in this order in: {text}"
    # `name` must RULE, but FACT. CURE.
    assert re.match(r"`[\w\[\]]+`", text) and " must " in text, f"the message does not start with the rule: {text}"
    assert ", but " in text, f"the message states no fact: {text}"
    assert text.endswith((".", "?", "`")) and re.search(r"[.?] [A-Z+]", text), f"the message offers no cure: {text}"


def test_masses_that_differ_by_rounding_are_accepted():
    tenths = [0.1] * 10  # adds up to 0.9999999999999999 one by one
    assert ot.wasserstein(np.zeros(10), np.ones(1), tenths, [1.0]) == pytest.approx(1.0, rel=1e-15)
    thirds = np.full(3, 1 / 3, np.float32)
    assert ot.wasserstein(np.zeros(3), np.ones(2), thirds, [0.5, 0.5]) == pytest.approx(1.0, rel=1e-6)
    assert ot.wasserstein([0.0], [1.0], [1.0], [1.0 + 1e-7]) == pytest.approx(1.0, rel=1e-6)


def test_the_mass_of_the_first_measure_is_the_one_that_is_kept():
    assert ot.wasserstein([0.0], [2.0], [3.0], [3.0 * (1 + 5e-7)]) == 6.0


def test_float32_weights_beside_float64_ones_move_all_mass(rng):
    a = rng.random(50).astype(np.float32)
    a /= a.sum()
    b = rng.random(50)
    result = ot.solve(rng.random(50), rng.random(50), a, b / b.sum())
    assert math.fsum(result.plan.data) == pytest.approx(math.fsum(a.astype(float)), rel=1e-15)


def test_refusal_comes_before_the_work():
    x = np.zeros((20_000, 2))
    x[-1, -1] = NAN
    start = time.perf_counter()
    with pytest.raises(ValueError, match=re.escape("x[19999, 1] = nan")):
        ot.wasserstein(x, x)
    assert time.perf_counter() - start < 1


def test_a_matrix_that_cannot_fit_is_refused_with_its_size():
    x = np.zeros((3_000_000, 2))
    with pytest.raises(MemoryError, match=r"\d[\d,]+ bytes"):
        ot.solve(x, x, method="lp")


def test_a_metric_that_writes_to_its_points_cannot_touch_the_users():
    x, y = np.ones((3, 2)), np.zeros((2, 2))

    def metric(s, t):
        cost = np.abs(s[:, None] - t).sum(-1)
        s *= 0
        return cost

    with pytest.raises(ValueError, match="read-only"):
        ot.wasserstein(x, y, metric=metric)
    assert (x == 1).all()


def test_the_first_of_many_bad_entries_is_named():
    x = np.ones((4, 2))
    x[2:, 1] = NAN
    with pytest.raises(ValueError, match=re.escape("x[2, 1] = nan")):
        ot.wasserstein(x, x)


def test_an_unknown_option_is_a_type_error():
    with pytest.raises(TypeError, match="order"):
        ot.wasserstein(X, Y, order=2)


def test_options_cannot_be_given_by_position():
    with pytest.raises(TypeError, match="positional"):
        ot.wasserstein(X, Y, A, B, 2)
