"""The front door: known answers, conventions, and what every result promises."""

from __future__ import annotations

import dataclasses
import math
import pickle
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from fractions import Fraction

import cases
import naive
import numpy as np
import pytest
import scipy.sparse
from scipy.optimize import linear_sum_assignment

import ot_distances as ot

INF = math.inf


def close(value, truth, scale=None):
    """Equal to 1e-14 of the largest number that entered."""
    return abs(value - truth) <= 1e-14 * max(abs(truth), abs(value), scale or 0.0)


@pytest.mark.parametrize("case", cases.POINT_CASES, ids=lambda case: case.name)
def test_points_with_a_known_answer(case):
    options = {"p": case.p, "metric": case.metric}
    cost = naive.ground_cost(case.x, case.y, case.p, case.metric)
    a, b = cases.weights_of(case, *cost.shape)
    power = 1 if case.p == INF else case.p
    for result in cases.solve_all(case.x, case.y, case.a, case.b, **options).values():
        # An optimal plan moves cost; the root of a small error in a cost is a larger error in a distance.
        assert close(result.value**power, case.value**power, cost.max() * math.fsum(a))
        if case.p < INF:
            cases.check_transport(result, cost, a, b)
            assert close(result.value**power, result.cost)
    assert (
        ot.wasserstein(case.x, case.y, case.a, case.b, **options)
        == ot.solve(case.x, case.y, case.a, case.b, **options).value
    )


@pytest.mark.parametrize("case", cases.COST_CASES, ids=lambda case: case.name)
def test_costs_with_a_known_answer(case):
    cost = np.array(case.cost_matrix, float)
    a, b = cases.weights_of(case, *cost.shape)
    for result in cases.solve_cost_all(case.cost_matrix, case.a, case.b).values():
        cases.check_transport(result, cost, a, b)
        assert close(result.cost, case.cost, np.abs(cost[np.isfinite(cost)]).max())
        assert result.value == result.cost


def medium_problem(rng, places, weights):
    """70 points against 50, in the plane, on a grid, on top of each other, in clusters; equal or wild weights."""
    n, m = 70, 50
    x, y = {
        "plane": lambda: (rng.random((n, 2)), rng.random((m, 2))),
        "grid": lambda: (rng.integers(0, 4, (n, 2)), rng.integers(0, 4, (m, 2))),
        "clusters": lambda: (rng.normal(size=(n, 3)) * 10.0 ** rng.integers(-4, 2, (n, 1)), rng.normal(size=(m, 3))),
        "resampled": lambda: ((cloud := rng.random((n, 5))), cloud[rng.integers(0, n, m)]),
        "line": lambda: (rng.random((n, 1)), rng.random((m, 1))),
    }[places]()
    a, b = {
        "equal": lambda: (np.ones(n), np.full(m, n / m)),
        "whole": lambda: (rng.integers(0, 9, n), rng.integers(0, 9, m)),
        "over 20 magnitudes": lambda: (10.0 ** rng.uniform(-20, 0, n), 10.0 ** rng.uniform(-20, 0, m)),
        "mostly zero": lambda: (rng.random(n) * (rng.random(n) < 0.2), rng.random(m) * (rng.random(m) < 0.2)),
    }[weights]()
    return x, y, a, b * (a.sum() / b.sum())


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("weights", ["equal", "whole", "over 20 magnitudes", "mostly zero"])
@pytest.mark.parametrize("places", ["plane", "grid", "clusters", "resampled", "line"])
def test_problems_of_some_size_have_one_answer(rng, places, weights, p):
    x, y, a, b = medium_problem(rng, places, weights)
    cost = naive.ground_cost(x, y, p)
    allowed = 1e-13 * cost.max() * math.fsum(a)
    # HiGHS alone, on the textbook's matrix, to its own tolerance
    truth = naive.linear_program(cost, a, b) if weights != "over 20 magnitudes" else None
    results = cases.solve_all(x, y, a, b, p=p)
    for result in results.values():
        cases.check_transport(result, cost, a, b)
        assert abs(result.cost - results["auto"].cost) <= allowed
        assert truth is None or abs(result.cost - truth) <= 1e-7 * cost.max() * math.fsum(a)


def test_a_result_cannot_be_changed():
    result = ot.solve([0.0, 1.0], [2.0, 3.0])
    for name in ("value", "plan", "f"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(result, name, None)


def test_a_result_prints_its_proof():
    text = repr(ot.solve([0.0, 1.0], [2.0, 4.0]))
    for part in ("Transport(value=2.5", "lower=", "upper=", "gap=", "plan=2 x 2", "method="):
        assert part in text


def test_the_plan_is_sparse():
    result = ot.solve(np.arange(20.0), np.arange(30.0))
    assert isinstance(result.plan, scipy.sparse.coo_array)
    assert result.plan.nnz <= 49


def test_auto_says_which_solver_ran(rng):
    square, cost = rng.random((6, 2)), rng.random((6, 5))
    assert ot.solve(square[:, 0], rng.random(9)).method == "1d"
    assert ot.solve(square, square + 1).method == "assignment"
    assert ot.solve_cost(cost).method == "network_simplex"
    assert ot.lp_primal(cost, [1 / 6] * 6, [1 / 5] * 5).method == "lp"


def test_equal_weights_are_found_by_value_not_by_their_absence(rng):
    x, y = rng.random((2, 5, 2))
    assert ot.solve(x, y, np.full(5, 0.3), np.full(5, 0.3)).method == ot.solve(x, y).method == "assignment"


def test_masses_beside_uniform_ones_take_the_given_sum():
    assert ot.wasserstein([0.0], [1.0, 2.0], a=[6.0]) == 9.0
    assert ot.wasserstein([1.0, 2.0], [0.0], b=[6.0]) == 9.0


@pytest.mark.parametrize("method", ["auto", "1d", "assignment", "network_simplex", "lp"])
def test_an_answer_that_cannot_be_certified_raises_with_its_bounds(rng, method):
    x, y = rng.random((2, 7))
    truth = naive.quantile_cost(x, y, [1 / 7] * 7, [1 / 7] * 7, 1)
    with pytest.raises(ot.NotConverged) as caught:
        ot.solve(x, y, method=method, rtol=1e-300)
    assert caught.value.lower <= truth * (1 + 1e-15)
    assert caught.value.upper >= truth * (1 - 1e-15)
    assert caught.value.upper - caught.value.lower < 1e-12
    assert "rtol" in str(caught.value)


def without_its_largest_entry(flow):
    kept = np.arange(len(flow.mass)) != flow.mass.argmax()
    return dataclasses.replace(flow, rows=flow.rows[kept], cols=flow.cols[kept], mass=flow.mass[kept])


def with_a_negative_cycle(flow):
    extra = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.array([-5, 5, 5, -5])
    rows, cols, mass = (np.append(old, new) for old, new in zip((flow.rows, flow.cols, flow.mass), extra))
    return dataclasses.replace(flow, rows=rows, cols=cols, mass=mass)


@pytest.mark.parametrize(
    "spoil",
    [
        without_its_largest_entry,
        with_a_negative_cycle,
        lambda flow: dataclasses.replace(flow, mass=flow.mass // 2),
        lambda flow: dataclasses.replace(flow, mass=flow.mass[::-1].copy()),
        lambda flow: dataclasses.replace(flow, cols=flow.cols[::-1].copy()),
        lambda flow: dataclasses.replace(flow, g=np.zeros_like(flow.g)),
        lambda flow: dataclasses.replace(flow, g=flow.g + np.arange(len(flow.g))),
        lambda flow: dataclasses.replace(flow, g=np.full_like(flow.g, np.nan)),
    ],
    ids=["drops mass", "negative mass", "half", "wrong masses", "wrong pairs", "no duals", "wrong duals", "nan duals"],
)
def test_a_solver_that_errs_is_caught(rng, monkeypatch, spoil):
    # the certificate stands between every solver and the user: a wrong flow must not pass, whatever is wrong with it
    from ot_distances.solvers import network_simplex

    solve = network_simplex.network_simplex
    monkeypatch.setattr(network_simplex, "network_simplex", lambda problem: spoil(solve(problem)))
    cost, a, b = rng.random((6, 5)), rng.integers(1, 9, 6), rng.integers(1, 9, 5)
    with pytest.raises(ot.NotConverged):
        ot.solve_cost(cost, a * b.sum(), b * a.sum(), method="network_simplex")


def test_layout_and_kind_of_the_input_do_not_matter(rng):
    x, y = rng.integers(-9, 9, (5, 3)), rng.integers(-9, 9, (4, 3))
    a, b = np.array([1, 2, 3, 4, 2]), np.array([3, 3, 3, 3])
    expected = ot.wasserstein(x.astype(float), y.astype(float), a.astype(float), b.astype(float))
    frozen = x.astype(float)
    frozen.setflags(write=False)
    wide = np.zeros((10, 6))
    wide[::2, ::2] = x
    variants = {
        "integers": (x, y, a, b),
        "lists": (x.tolist(), y.tolist(), a.tolist(), b.tolist()),
        "tuples": (tuple(map(tuple, x)), tuple(map(tuple, y)), tuple(a), tuple(b)),
        "float32": (x.astype("f4"), y.astype("f4"), a.astype("f4"), b.astype("f4")),
        "mixed": (x.astype("f4"), y.astype("i2"), a.astype("f4"), b.astype("f8")),
        "big-endian": (x.astype(">f8"), y.astype(">f8"), a.astype(">f8"), b.astype(">i4")),
        "read-only": (frozen, y, a, b),
        "Fortran": (np.asfortranarray(frozen), np.asfortranarray(y), a, b),
        "strided": (wide[::2, ::2], y, np.repeat(a, 2)[::2], b),
        "reversed": (frozen[::-1][::-1], y[::-1], a, b[::-1]),
        "float16": (x.astype("f2"), y.astype("f2"), a, b),
        "unsigned": (x + 9, (y + 9).astype("u1"), a.astype("u1"), b),
    }
    for name, arguments in variants.items():
        assert ot.wasserstein(*arguments) == pytest.approx(expected, rel=1e-14, abs=0), name


def test_the_input_is_left_as_it_was(rng):
    x, y, a, b = rng.random((5, 2)), rng.random((4, 2)), rng.random(5), rng.random(4)
    b *= a.sum() / b.sum()
    cost = rng.normal(size=(5, 4))
    copies = [array.copy() for array in (x, y, a, b, cost)]
    for method in ("auto", "network_simplex", "lp"):
        ot.solve(x, y, a, b, method=method, p=2)
        ot.solve_cost(cost, a, b, method=method)
    ot.linear_assignment(cost)
    ot.linear_assignment(cost, maximize=True)
    for array, copy in zip((x, y, a, b, cost), copies):
        assert (array == copy).all()


@pytest.mark.parametrize("dtype", ["f4", "i8", "i2", "u1", "?"])
def test_cost_matrices_of_any_real_kind_are_read(rng, dtype):
    cost = rng.integers(0, 2 if dtype == "?" else 200, (6, 5)).astype(dtype)
    a, b = cases.uniform(6), cases.uniform(5)
    assert ot.solve_cost(cost).cost == pytest.approx(naive.linear_program(cost.astype(float), a, b), abs=1e-12)
    rows, cols = linear_sum_assignment(cost)
    assert ot.linear_assignment(cost).cost == cost[rows, cols].astype(float).sum()


def test_a_vector_is_points_on_a_line(rng):
    x, y = rng.random(6), rng.random(5)
    assert ot.wasserstein(x, y) == ot.wasserstein(x[:, None], y[:, None])


def test_a_metric_may_be_a_function(rng):
    x, y = rng.random((6, 3)), rng.random((5, 3))

    def metric(s, t):
        return np.abs(s[:, None] - t).sum(-1)

    for p in (1, 2):
        expected = ot.wasserstein(x, y, p=p, metric="cityblock")
        assert ot.wasserstein(x, y, p=p, metric=metric) == pytest.approx(expected, rel=1e-14)


def test_a_batch_gives_one_distance_each(rng):
    x, y = rng.random((4, 6, 2)), rng.random((4, 5, 2))
    for p in (1, 2, INF):
        values = ot.wasserstein(x, y, p=p)
        assert values.shape == (4,)
        single = [ot.wasserstein(s, t, p=p) for s, t in zip(x, y)]
        assert np.abs(values - single).max() <= 1e-15


def test_a_weighted_batch_gives_one_distance_each(rng):
    x, y, a, b = rng.random((3, 6, 2)), rng.random((3, 5, 2)), rng.random((3, 6)), rng.random((3, 5))
    a, b = a / a.sum(1, keepdims=True), b / b.sum(1, keepdims=True)
    single = [ot.wasserstein(*one) for one in zip(x, y, a, b)]
    assert np.abs(ot.wasserstein(x, y, a, b) - single).max() <= 1e-15


def test_eight_threads_get_the_answers_of_one(rng):
    problems = [(rng.random((n, 2)), rng.random((n + n % 2, 2)), method) for n in range(8, 24) for method in ("auto",)]
    problems += [(rng.random((n, 1)), rng.random((n, 1)), "network_simplex") for n in range(8, 16)]

    def run(problem):
        x, y, method = problem
        return ot.wasserstein(x, y, method=method)

    alone = [run(problem) for problem in problems]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            assert list(pool.map(run, problems)) == alone


def test_the_same_call_gives_the_same_bits(rng):
    x, y = rng.random((30, 2)), rng.random((20, 2))
    first, second = ot.solve(x, y, p=2), ot.solve(x, y, p=2)
    assert first.value == second.value
    assert (first.f == second.f).all() and (first.plan.toarray() == second.plan.toarray()).all()


def check_assignment(result, cost, maximize=False):
    """SciPy's conventions, its value, and the dual proof."""
    cost = np.asarray(cost, float)
    n, m = cost.shape
    assert (np.diff(result.rows) > 0).all() and len(result.rows) == min(n, m)
    assert len(set(result.cols.tolist())) == min(n, m)
    assert np.issubdtype(result.rows.dtype, np.integer) and np.issubdtype(result.cols.dtype, np.integer)
    if n <= m:
        assert (result.rows == np.arange(n)).all()
    assert result.cost == pytest.approx(math.fsum(cost[result.rows, result.cols]), rel=1e-15, abs=1e-300)
    rows, cols = linear_sum_assignment(cost, maximize=maximize)
    scale = np.abs(cost[np.isfinite(cost)]).max(initial=0) * min(n, m)
    assert abs(result.cost - math.fsum(cost[rows, cols])) <= 1e-14 * scale
    assert result.lower <= result.cost + 1e-14 * scale and result.upper >= result.cost - 1e-14 * scale
    assert 0 <= result.gap <= 1e-9
    sign = -1 if maximize else 1
    cases.check_potentials(sign * result.u, sign * result.v, sign * cost)
    matched_rows, matched_cols = set(result.rows.tolist()), set(result.cols.tolist())
    assert all(result.u[i] == 0 for i in range(n) if i not in matched_rows)
    assert all(result.v[j] == 0 for j in range(m) if j not in matched_cols)
    assert abs(math.fsum(result.u) + math.fsum(result.v) - result.cost) <= 1e-13 * scale


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (6, 6), (4, 7), (7, 4), (60, 60), (40, 90), (90, 40)])
@pytest.mark.parametrize("kind", ["general", "signed integers", "ties", "constant"])
def test_an_assignment_is_scipys(rng, shape, maximize, kind):
    cost = {
        "general": rng.random(shape),
        "signed integers": rng.integers(-20, 20, shape),
        "ties": rng.integers(0, 2, shape),
        "constant": np.full(shape, 2.5),
    }[kind]
    check_assignment(ot.linear_assignment(cost, maximize=maximize), cost, maximize)


def test_forbidden_pairs_are_never_matched(rng):
    for _ in range(20):
        n, m = rng.integers(2, 9, 2)
        cost = rng.random((n, m))
        cost[rng.random((n, m)) < 0.5] = INF
        try:
            linear_sum_assignment(cost)
        except ValueError:
            with pytest.raises(ValueError, match=r"`cost_matrix` must allow"):
                ot.linear_assignment(cost)
            continue
        result = ot.linear_assignment(cost)
        assert np.isfinite(cost[result.rows, result.cols]).all()
        check_assignment(result, cost)


def test_forbidden_pairs_are_never_matched_when_maximising(rng):
    for _ in range(20):
        cost = rng.random((5, 7))
        forbidden = rng.random((5, 7)) < 0.4
        forbidden[np.arange(5), np.arange(5)] = False
        truth = naive.brute_force_rectangular(np.where(forbidden, -INF, cost).tolist(), maximize=True)
        for mark in (INF, -INF):
            result = ot.linear_assignment(np.where(forbidden, mark, cost), maximize=True)
            assert not forbidden[result.rows, result.cols].any()
            assert result.cost == pytest.approx(truth, rel=1e-14)
            assert result.lower - 1e-14 <= truth <= result.upper + 1e-14
            cases.check_potentials(-result.u, -result.v, np.where(forbidden, INF, -cost))


def test_a_row_of_forbidden_pairs_is_infeasible():
    with pytest.raises(ValueError, match=r"`cost_matrix` must allow .* rows \[1\]"):
        ot.linear_assignment([[1.0, 2.0], [INF, INF]])


def test_hall_violations_are_infeasible():
    # rows 0 and 1 both have column 0 only
    with pytest.raises(ValueError, match=r"`cost_matrix` must allow"):
        ot.linear_assignment([[1.0, INF, INF], [2.0, INF, INF], [1.0, 2.0, 3.0]])
    with pytest.raises(ValueError, match=r"`cost_matrix` must allow"):
        ot.solve_cost([[1.0, INF, INF], [2.0, INF, INF], [1.0, 2.0, 3.0]], [1, 1, 1], [1, 1, 1])


def test_a_batch_of_assignments_gives_one_each(rng):
    for shape in ((5, 4, 4), (5, 3, 6), (5, 6, 3)):
        costs = rng.random(shape)
        batch = ot.linear_assignment(costs)
        for k, cost in enumerate(costs):
            single = ot.linear_assignment(cost)
            assert (batch.rows[k] == single.rows).all() and (batch.cols[k] == single.cols).all()
            assert batch.cost[k] == single.cost
            cases.check_potentials(batch.u[k], batch.v[k], cost)


def test_an_assignment_of_small_integers_is_exact(rng):
    for _ in range(20):
        n = int(rng.integers(1, 7))
        cost = rng.integers(-50, 50, (n, n))
        result = ot.linear_assignment(cost)
        assert result.cost == naive.brute_force_assignment(cost.tolist())
        assert result.lower <= result.cost <= result.upper


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 4), (3, 4), (5, 2)])
def test_the_constraint_matrix_is_the_textbooks(n, m):
    matrix = ot.lp_constraints(n, m)
    assert scipy.sparse.issparse(matrix)
    assert (matrix.toarray() == naive.constraint_matrix(n, m)).all()
    assert np.linalg.matrix_rank(matrix.toarray()) == n + m - 1


def test_primal_and_dual_programs_agree_with_everything_else(rng):
    cost, a, b = rng.normal(size=(5, 7)), rng.random(5), rng.random(7)
    b *= a.sum() / b.sum()
    primal, dual, other = ot.lp_primal(cost, a, b), ot.lp_dual(cost, a, b), ot.solve_cost(cost, a, b)
    truth = naive.linear_program(cost, a, b)
    for result in (primal, dual, other):
        cases.check_transport(result, cost, a, b)
        assert result.value == pytest.approx(truth, rel=1e-12)
    assert dual.f @ a + dual.g @ b == pytest.approx(truth, rel=1e-12)
    gamma = primal.plan.toarray().ravel()
    assert np.abs(ot.lp_constraints(5, 7) @ gamma - np.concatenate([a, b])).max() <= 1e-15 * a.sum()


def metric_on_support(rng, k=6):
    points = rng.random((k, 2))
    return naive.ground_cost(points, points)


def test_the_reduced_dual_equals_the_primal_for_a_metric(rng):
    for _ in range(10):
        distance, p, q = metric_on_support(rng), rng.random(6), rng.random(6)
        p, q = p / p.sum(), q / q.sum()
        result = ot.kantorovich_rubinstein(distance, p, q)
        cases.check_transport(result, distance, p, q)
        assert result.value == pytest.approx(naive.lipschitz_dual(distance, p, q), rel=1e-12)
        assert result.value == pytest.approx(naive.linear_program(distance, p, q), rel=1e-12)
        slopes = np.abs(result.f[:, None] - result.f) - distance
        assert slopes.max() <= 1e-15
        assert np.abs(result.g + result.f).max() <= 1e-15
        assert result.f @ (p - q) == pytest.approx(result.value, rel=1e-12)


def test_a_cost_that_is_no_metric_is_refused_with_the_triple_that_shows_it():
    squared = [[0.0, 1, 4], [1, 0, 1], [4, 1, 0]]
    with pytest.raises(
        ValueError, match=r"`cost_matrix` must be a metric.* 0 .* 2 .* 1 .*1\.0 \+ 1\.0 < 4\.0.*triangle"
    ):
        ot.kantorovich_rubinstein(squared, [1, 0, 0], [0, 0, 1])


@pytest.mark.parametrize(
    ("cost", "message"),
    [
        ([[0.0, 1, 2], [1, 0, 1]], r"`cost_matrix` must .*\(2, 3\)"),
        ([[0.0, 1], [2, 0]], r"`cost_matrix` must .*symmetric.*\[0, 1\]"),
        ([[0.0, 1], [1, 0.5]], r"`cost_matrix` must .*\[1, 1\] = 0\.5"),
        ([[0.0, -1], [-1, 0]], r"`cost_matrix` must .*-1"),
    ],
    ids=["not square", "not symmetric", "diagonal", "negative"],
)
def test_other_costs_that_are_no_metric_are_refused(cost, message):
    with pytest.raises(ValueError, match=message):
        ot.kantorovich_rubinstein(cost, [0.5, 0.5], [0.5, 0.5])


def covariance(rng, d, rank=None):
    root = rng.normal(size=(d, rank or d))
    return root @ root.T


@pytest.mark.parametrize("d", [1, 2, 3, 6])
def test_the_gaussian_distance_equals_the_closed_form_in_many_digits(rng, d):
    for _ in range(5):
        mean_x, mean_y, cov_x, cov_y = rng.normal(size=d), rng.normal(size=d), covariance(rng, d), covariance(rng, d)
        expected = naive.bures(mean_x, cov_x, mean_y, cov_y)
        assert ot.gaussian_wasserstein(mean_x, cov_x, mean_y, cov_y) == pytest.approx(expected, rel=1e-12)


def test_on_the_line_the_gaussian_distance_is_that_of_mean_and_deviation():
    assert ot.gaussian_wasserstein([1.0], [[4.0]], [4.0], [[36.0]]) == pytest.approx(5.0, rel=1e-15)


def test_gaussian_covariances_that_commute_have_the_distance_of_their_roots():
    first, second = np.array([1.0, 4.0, 9.0]), np.array([4.0, 0.0, 9.0])
    value = ot.gaussian_wasserstein(np.zeros(3), np.diag(first), np.zeros(3), np.diag(second))
    assert value == pytest.approx(math.dist(np.sqrt(first), np.sqrt(second)), rel=1e-14)


def test_bounds_know_of_a_weight_that_integers_round_to_none():
    for found in (
        ot.solve_cost([[0.0, 1.0]], [1.0], [1.0, 1e-30]),
        ot.solve([[0.0]], [[0.0], [1.0]], [1.0], [1.0, 1e-30], p=2, method="network_simplex"),
        ot.solve([[0.0, 0.0]], [[0.0, 0.0], [1.0, 0.0]], [1.0], [1.0, 1e-30]),
    ):
        assert found.lower <= 1e-30 <= found.upper <= 1e-15


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_covariances_of_few_points_are_singular_to_rounding_and_welcome(rng, dtype):
    cov = np.cov(rng.normal(size=(20, 5)).astype(dtype), dtype=dtype)
    value = ot.gaussian_wasserstein(np.zeros(20), cov, np.zeros(20), np.zeros((20, 20)))
    assert value == pytest.approx(math.sqrt(np.trace(cov)), rel=1e-6)


def test_equal_gaussians_are_at_distance_zero(rng):
    cov = covariance(rng, 4)
    assert ot.gaussian_wasserstein(np.ones(4), cov, np.ones(4), cov) == 0


@pytest.mark.parametrize("shift", [1e-3, 1e-5, 1e-9, 1e-13])
def test_near_equal_gaussians_keep_their_digits(rng, shift):
    cov = covariance(rng, 4) + np.eye(4)
    near = cov + shift * covariance(rng, 4)
    for first, second in ((cov, near), (near, cov)):
        expected = naive.bures(np.zeros(4), first, np.zeros(4), second)
        value = ot.gaussian_wasserstein(np.zeros(4), first, np.zeros(4), second)
        assert value == pytest.approx(expected, rel=1e-11, abs=0)


def test_singular_gaussians_are_measured(rng):
    cov_x, cov_y = covariance(rng, 5, rank=2), covariance(rng, 5, rank=3)
    expected = naive.bures(np.zeros(5), cov_x, np.ones(5), cov_y)
    assert ot.gaussian_wasserstein(np.zeros(5), cov_x, np.ones(5), cov_y) == pytest.approx(expected, rel=1e-7)
    assert ot.gaussian_wasserstein([0, 0], np.zeros((2, 2)), [3, 4], np.zeros((2, 2))) == pytest.approx(5, rel=1e-15)


@pytest.mark.parametrize("scale", [1e-100, 1e-7, 1e7, 1e100])
def test_the_gaussian_distance_scales_with_the_coordinates(rng, scale):
    mean_x, mean_y, cov_x, cov_y = rng.normal(size=3), rng.normal(size=3), covariance(rng, 3), covariance(rng, 3)
    value = ot.gaussian_wasserstein(mean_x, cov_x, mean_y, cov_y)
    scaled = ot.gaussian_wasserstein(mean_x * scale, cov_x * scale**2, mean_y * scale, cov_y * scale**2)
    assert scaled == pytest.approx(value * scale, rel=1e-12)


def test_the_gaussian_distance_is_near_that_of_large_samples(rng):
    cov = np.array([[1.0, 0.5], [0.5, 2.0]])
    x = rng.multivariate_normal([0, 0], np.eye(2), 400)
    y = rng.multivariate_normal([3, 4], cov, 400)
    closed = ot.gaussian_wasserstein([0, 0], np.eye(2), [3, 4], cov)
    assert ot.wasserstein(x, y, p=2) == pytest.approx(closed, rel=0.05)


def test_on_a_line_the_sliced_distance_is_the_distance(rng):
    x, y = rng.random(7), rng.random(5)
    for p in (1, 2):
        estimate = ot.sliced_wasserstein(x, y, p=p, n_projections=16, seed=0)
        assert float(estimate) == pytest.approx(ot.wasserstein(x, y, p=p), rel=1e-12)
        assert estimate.stderr <= 1e-12


def test_high_orders_of_the_sliced_distance_do_not_vanish():
    x, y = np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[0.1, 0.0], [1.1, 0.0]])
    assert ot.sliced_wasserstein(x[:, 0], y[:, 0], p=1000).value == pytest.approx(0.1, rel=1e-12)
    assert 0.099 < ot.sliced_wasserstein(x, y, p=1000, seed=0).value <= 0.1 * (1 + 1e-12)


def test_a_seed_makes_the_sliced_distance_repeatable(rng):
    x, y = rng.random((20, 3)), rng.random((30, 3))
    first, second, other = (ot.sliced_wasserstein(x, y, seed=seed) for seed in (7, 7, 8))
    assert first == second
    assert first.value != other.value


def test_the_sliced_distance_of_two_atoms_is_known():
    # E <u, r>^2 = |r|^2 / d over directions u of the sphere
    estimate = ot.sliced_wasserstein([[0.0, 0, 0]], [[1.0, 2, 2]], n_projections=4000, seed=1)
    assert abs(estimate.value - math.sqrt(3)) <= 5 * estimate.stderr
    assert estimate.stderr < 0.05


def test_the_sliced_distance_meets_its_slow_twin(rng):
    x, y, a, b = rng.random((6, 2)), rng.random((5, 2)) + 1, rng.random(6), rng.random(5)
    a, b = a / a.sum(), b / b.sum()
    angles = (np.arange(2000) + 0.5) * math.pi / 2000
    truth = naive.sliced(x, y, a, b, 2, np.stack([np.cos(angles), np.sin(angles)], 1))
    estimate = ot.sliced_wasserstein(x, y, a, b, n_projections=2000, seed=3)
    assert abs(estimate.value - truth) <= 5 * estimate.stderr


def test_the_sliced_interval_holds_the_truth_as_often_as_it_says(rng):
    x, y = rng.random((8, 3)), rng.random((8, 3)) + np.array([1.0, 0, 0])
    truth = float(ot.sliced_wasserstein(x, y, n_projections=20000, seed=0))
    estimates = [ot.sliced_wasserstein(x, y, n_projections=64, seed=seed) for seed in range(1, 201)]
    hits = sum(estimate.interval[0] <= truth <= estimate.interval[1] for estimate in estimates)
    level = estimates[0].level
    assert abs(hits - 200 * level) <= 5 * math.sqrt(200 * level * (1 - level))
    spread = np.std([estimate.value for estimate in estimates])
    assert np.mean([estimate.stderr for estimate in estimates]) == pytest.approx(spread, rel=0.25)


def test_whole_weights_move_whole_masses(rng):
    columns = np.full(12, 5)
    columns[0] = 6  # 61 in all: no sum of scaled weights is exact
    plan = ot.solve_cost(rng.random((61, 12)), np.ones(61), columns).plan
    assert set(plan.data) == {1.0}


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "cityblock", "chebyshev"])
@pytest.mark.parametrize("d", [1, 3, 40])
def test_compiled_blocks_of_costs_are_those_of_numpy(rng, monkeypatch, metric, d):
    from ot_distances import costs

    x, y = rng.normal(size=(70, d)), rng.normal(size=(1100, d))  # more than one tile of columns, the last a part
    x[5] = y[7]
    told = costs.PointCost(x, y, metric, 1.5).block(3, 64)
    monkeypatch.setattr(costs, "DIFFERENCES", 0)
    np.testing.assert_array_equal(costs.PointCost(x, y, metric, 1.5).block(3, 64), told)


@pytest.mark.parametrize("method", ["assignment", "network_simplex", "lp"])
def test_solver_and_proof_share_one_matrix_that_nobody_writes_to(rng, method):
    from ot_distances import costs
    from ot_distances.solvers import solve_problem
    from ot_distances.wasserstein import transport_problem

    cost = costs.PointCost.scaled(*rng.normal(size=(2, 60, 3)), "euclidean", 2.0)
    before = cost.matrix().copy()
    solve_problem(transport_problem(cost, None, None), method, 1e-9)
    assert cost.matrix() is cost.matrix()
    np.testing.assert_array_equal(cost.matrix(), before)


@pytest.mark.parametrize("hole", ["none", "no mass", "forbidden", "equal costs", "next to nothing"])
def test_the_proof_in_one_call_is_that_in_steps(rng, monkeypatch, hole):
    from ot_distances import certificate
    from ot_distances.costs import DenseCost
    from ot_distances.solvers import find_flow
    from ot_distances.wasserstein import transport_problem

    cost, a, b = rng.normal(size=(9, 14)), rng.integers(1, 2**40, 9), rng.dirichlet(np.ones(14))
    if hole == "no mass":
        a[[2, 5]], b[3] = 0, 0
    if hole == "forbidden":
        cost[rng.random(cost.shape) < 0.2] = INF
    if hole == "equal costs":
        cost[:] = 0.1
    if hole == "next to nothing":
        cost = np.abs(cost) * 1e-310
    problem = transport_problem(DenseCost(cost, shift=0), a / a.sum(), b / b.sum())
    flow, _ = find_flow(problem)
    paid = cost[flow.rows, flow.cols]
    for wrong in (flow, dataclasses.replace(flow, mass=flow.mass + 1)):
        f, g, sums, fits = certificate._at_once(problem, wrong, paid, cost)
        *_, told, fitting = certificate._step_by_step(problem, wrong, paid)
        assert fits == fitting == (wrong is flow)
        np.testing.assert_allclose(sums, told, rtol=1e-14, atol=5e-310 * problem.total)
        for i, j in np.argwhere(np.isfinite(cost)):
            assert Fraction(f[i]) + Fraction(g[j]) <= Fraction(cost[i, j])
    beside = dataclasses.replace(flow, rows=flow.rows + 1)
    with pytest.raises(IndexError):
        certificate._proven(problem, beside)


def test_plan_and_potentials_are_made_once_when_asked_for(rng):
    x, y = rng.normal(size=(2, 7, 2))
    result = ot.solve(x, y)
    for other in (pickle.loads(pickle.dumps(result)), deepcopy(result), dataclasses.replace(ot.solve(x, y))):
        assert other.plan is other.plan and other.f is other.f
        assert (other.plan != result.plan).nnz == 0 and (other.f == result.f).all() and (other.g == result.g).all()
    with ThreadPoolExecutor(4) as pool:
        shared = ot.solve(x, y)
        assert {tuple(f) for f in pool.map(lambda _: shared.f, range(16))} == {tuple(result.f)}
    with pytest.raises(AttributeError, match="'Transport' object has no attribute 'duals'"):
        result.duals  # noqa: B018


def test_results_compare_by_identity():
    one, other = (ot.solve([0.0, 1.0], [2.0, 3.0]) for _ in range(2))
    assert one == one and one != other and len({one, other}) == 2
    assert ot.linear_assignment([[1.0]]) != ot.linear_assignment([[1.0]])
