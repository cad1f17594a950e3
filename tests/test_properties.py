"""What must hold for every transport problem: all solvers agree with each other and with their slow twins, every
result carries its proof, and W_p is the metric that the books say it is."""

from __future__ import annotations

import math

import cases
import naive
import numpy as np
import pytest
from hypothesis import given, note
from hypothesis import strategies as st

import ot_distances as ot

INF = math.inf
FINITE_ORDERS = tuple(p for p in cases.ORDERS if p < INF)

# Masses are held to 1e-18 of their sum and costs to a few roundings: what every comparison is allowed.
SLACK = 1e-13


def filled(a, b, n, m):
    """The weights that None stands for."""
    a = cases.uniform(n) if a is None else np.asarray(a, float)
    return a, cases.uniform(m, math.fsum(a)) if b is None else np.asarray(b, float)


@given(cases.point_sets(), st.sampled_from(FINITE_ORDERS), st.sampled_from(("euclidean", "cityblock", "chebyshev")))
def test_every_solver_finds_the_optimum_of_point_clouds(problem, p, metric):
    x, y, a, b = problem
    cost = naive.ground_cost(x, y, p, metric)
    full_a, full_b = filled(a, b, *cost.shape)
    truth = float(naive.exact_cost(cost.tolist(), full_a.tolist(), full_b.tolist()))
    allowed = SLACK * math.fsum(full_a) * cost.max()
    for method, result in cases.solve_all(x, y, a, b, p=p, metric=metric).items():
        note(method)
        cases.check_transport(result, cost, full_a, full_b)
        assert abs(result.cost - truth) <= allowed
        assert result.lower - allowed <= truth <= result.upper + allowed
        assert result.value**p == pytest.approx(result.cost, rel=1e-13, abs=1e-300)


@given(cases.point_sets(dims=(1,)), st.sampled_from(FINITE_ORDERS))
def test_on_a_line_the_quantile_formula_holds(problem, p):
    x, y, a, b = problem
    full_a, full_b = filled(a, b, len(x), len(y))
    truth = naive.quantile_cost(x, y, full_a, full_b, p)
    allowed = SLACK * math.fsum(full_a) * np.abs(x - y.T).max() ** p
    for method, result in cases.solve_all(x, y, a, b, p=p).items():
        note(method)
        assert abs(result.cost - truth) <= allowed


@given(cases.point_sets(max_n=5), st.sampled_from(("euclidean", "cityblock", "chebyshev")), st.data())
def test_the_bottleneck_is_the_least_threshold(problem, metric, data):
    x, y, _, _ = problem
    # whole masses: a bottleneck jumps where an atom of however little mass changes hands
    a, b = data.draw(cases.whole_masses(len(x), len(y)))
    distance = naive.ground_cost(x, y, INF, metric)
    truth = naive.bottleneck(distance.tolist(), a.tolist(), b.tolist())
    if x.shape[1] == 1:
        assert naive.quantile_cost(x, y, a, b, INF) == truth
    for method, result in cases.solve_all(x, y, a, b, p=INF, metric=metric).items():
        note(method)
        cases.check_plan(result.plan, a, b)
        assert result.value == pytest.approx(truth, rel=1e-14)
        assert result.lower <= truth * (1 + 1e-14) and result.upper >= truth * (1 - 1e-14)
        assert distance[result.plan.coords].max() == pytest.approx(truth, rel=1e-14)


@given(cases.transport_problems())
def test_every_solver_finds_the_optimum_of_a_cost_matrix(problem):
    cost, a, b = problem
    full_a, full_b = filled(a, b, *cost.shape)
    truth = float(naive.exact_cost(cost.tolist(), full_a.tolist(), full_b.tolist()))
    allowed = SLACK * math.fsum(full_a) * np.abs(cost).max()
    results = cases.solve_cost_all(cost, a, b)
    results["lp_primal"] = ot.lp_primal(cost, full_a, full_b)
    results["lp_dual"] = ot.lp_dual(cost, full_a, full_b)
    for name, result in results.items():
        note(name)
        cases.check_transport(result, cost, full_a, full_b)
        assert abs(result.cost - truth) <= allowed
        assert abs(result.f @ full_a + result.g @ full_b * (full_a.sum() / full_b.sum()) - truth) <= 10 * allowed


@given(cases.exact_problems())
def test_bounds_hold_in_rational_arithmetic(problem):
    cost, a, b = problem
    truth = naive.exact_cost(cost.tolist(), a.tolist(), b.tolist())
    for method, result in cases.solve_cost_all(cost, a, b).items():
        note(method)
        cases.check_bounds_exactly(result, truth)


@given(cases.transport_problems(max_n=5))
def test_bounds_hold_in_rational_arithmetic_whatever_the_weights(problem):
    cost, a, b = problem
    if a is None:
        a, b = np.full(cost.shape[0], cost.shape[1]), np.full(cost.shape[1], cost.shape[0])
    truth = naive.exact_cost(cost.tolist(), a.tolist(), b.tolist())
    for method, result in cases.solve_cost_all(cost, a, b).items():
        note(method)
        cases.check_bounds_exactly(result, truth)


@given(
    cases.point_sets(max_n=5, kinds=("grid", "integers", "collinear", "mixed scales", "general")),
    st.sampled_from((("euclidean", 2), ("cityblock", 1), ("chebyshev", 1), ("sqeuclidean", 1), ("cityblock", 3))),
    st.booleans(),
)
def test_bounds_of_point_clouds_hold_in_rational_arithmetic(problem, ground, equal):
    x, y, a, b = problem
    metric, p = ground
    n, m = len(x), len(y)
    if equal or a is None:
        a, b = np.full(n, m), np.full(m, n)
    truth = naive.exact_cost(naive.exact_ground_cost(x, y, p, metric), a.tolist(), b.tolist())
    for method, result in cases.solve_all(x, y, a, b, p=p, metric=metric).items():
        note(method)
        cases.check_bounds_exactly(result, truth)


@pytest.mark.parametrize(
    "ground",
    [("euclidean", 2), ("cityblock", 1), ("cityblock", 5), ("chebyshev", 7), ("sqeuclidean", 1), ("euclidean", 8)],
)
def test_bounds_hold_in_rational_arithmetic_in_many_dimensions(rng, ground):
    # one atom each: the rounding of the cost itself, at its largest
    metric, p = ground
    for _ in range(40):
        x, y = rng.random((1, 300)), rng.random((1, 300)) + rng.integers(0, 2)
        truth = naive.exact_ground_cost(x, y, p, metric)[0][0]
        cases.check_bounds_exactly(ot.solve(x, y, p=p, metric=metric), truth)


@given(st.integers(1, 7), st.data())
def test_the_assignment_is_the_best_permutation(n, data):
    cost = data.draw(cases.cost_matrices(n, n))
    truth = naive.brute_force_assignment(cost.tolist())
    allowed = SLACK * np.abs(cost).max() * n
    found = ot.linear_assignment(cost)
    assert abs(found.cost - truth) <= allowed
    assert found.lower <= found.upper and found.gap <= 1e-9
    assert found.lower <= truth + allowed and found.upper >= truth - allowed
    cases.check_potentials(found.u, found.v, cost)
    # Birkhoff: the plan between uniform measures is a permutation / n.
    result = ot.solve_cost(cost, method="assignment")
    assert abs(result.cost - truth / n) <= allowed / n
    assert sorted(result.plan.coords[0].tolist()) == sorted(result.plan.coords[1].tolist()) == list(range(n))
    assert result.plan.data == pytest.approx(np.full(n, 1 / n), rel=1e-15)


@given(st.integers(1, 4), st.integers(1, 6), st.booleans(), st.booleans(), st.data())
def test_a_rectangular_assignment_is_the_best_injection(n, m, transpose, maximize, data):
    n, m = min(n, m), max(n, m)
    cost = data.draw(cases.cost_matrices(n, m))
    truth = naive.brute_force_rectangular(cost.tolist(), maximize)
    found = ot.linear_assignment(cost.T if transpose else cost, maximize=maximize)
    allowed = SLACK * np.abs(cost).max() * n
    assert abs(found.cost - truth) <= allowed
    assert found.lower - allowed <= truth <= found.upper + allowed
    sign = -1 if maximize else 1
    u, v = (found.v, found.u) if transpose else (found.u, found.v)
    cases.check_potentials(sign * u, sign * v, sign * cost)


@given(cases.point_sets(), st.sampled_from((1, 2)))
def test_pot_finds_the_same_cost(problem, p):
    pot = pytest.importorskip("ot")
    x, y, a, b = problem
    cost = naive.ground_cost(x, y, p)
    full_a, full_b = filled(a, b, *cost.shape)
    mass = math.fsum(full_a)
    # POT has absolute tolerances: costs of O(1), masses of sum 1.
    peer = pot.emd2(full_a / mass, full_b / math.fsum(full_b), cost / max(cost.max(), 1e-300)) * max(cost.max(), 1e-300)
    assert ot.solve(x, y, a, b, p=p).cost == pytest.approx(peer * mass, rel=1e-9, abs=1e-10 * cost.max() * mass)


@given(cases.point_sets())
def test_scipy_finds_the_same_distance(problem):
    from scipy.stats import wasserstein_distance_nd

    x, y, a, b = problem
    if len(x) * len(y) > 16:
        x, y, a, b = x[:4], y[:4], None, None
    full_a, full_b = filled(a, b, len(x), len(y))
    largest = naive.ground_cost(x, y).max()
    if largest == 0:
        assert ot.wasserstein(x, y, a, b) == 0
        return
    peer = wasserstein_distance_nd(x / largest, y / largest, full_a / full_a.sum(), full_b / full_b.sum()) * largest
    assert ot.wasserstein(x, y, a, b) == pytest.approx(peer * full_a.sum(), rel=1e-7, abs=1e-8 * largest * full_a.sum())


@given(cases.transport_problems())
def test_the_plan_lives_where_the_potentials_are_tight(problem):
    cost, a, b = problem
    result = ot.solve_cost(cost, a, b)
    rows, cols = result.plan.coords
    slack = cost[rows, cols] - result.f[rows] - result.g[cols]
    mass = 1.0 if a is None else math.fsum(a)
    # complementary slackness, in the total: the gap is the sum of mass times slack
    assert abs(math.fsum(result.plan.data * slack)) <= SLACK * mass * np.abs(cost).max()


@given(cases.transport_problems())
def test_the_plan_of_a_basic_solution_is_a_forest(problem):
    cost, a, b = problem
    plan = ot.solve_cost(cost, a, b).plan
    parent = list(range(sum(cost.shape)))

    def root(k):
        while parent[k] != k:
            k = parent[k]
        return k

    for i, j in zip(plan.coords[0].tolist(), (plan.coords[1] + cost.shape[0]).tolist()):
        assert root(i) != root(j), "the support of the plan holds a cycle"
        parent[root(i)] = root(j)


@given(cases.transport_problems(), st.integers(-5, 5), st.integers(0, 5), st.data())
def test_a_constant_added_to_a_row_moves_the_cost_and_no_mass(problem, constant, row, data):
    cost, a, b = problem
    row %= cost.shape[0]
    moved = cost.copy()
    moved[row] += constant
    full_a, _ = filled(a, b, *cost.shape)
    shift = full_a[row] * constant
    size = (np.abs(cost).max() + abs(constant)) * math.fsum(full_a)
    assert abs(ot.solve_cost(moved, a, b).cost - ot.solve_cost(cost, a, b).cost - shift) <= SLACK * size


@given(cases.exact_problems(), st.integers(0, 10))
def test_the_cost_is_convex_in_the_weights(problem, tenths):
    cost, a, b = problem
    other_a, other_b = a[::-1], b[::-1]
    t = tenths / 10
    mixed = ot.solve_cost(cost, t * a + (1 - t) * other_a, t * b + (1 - t) * other_b).cost
    ends = t * ot.solve_cost(cost, a, b).cost + (1 - t) * ot.solve_cost(cost, other_a, other_b).cost
    assert mixed <= ends + SLACK * a.sum() * np.abs(cost).max()


@given(cases.transport_problems(), st.sampled_from((0.5, 3.0, 1e-6, 1e6)))
def test_the_cost_is_linear_in_the_mass_and_in_the_cost(problem, factor):
    cost, a, b = problem
    full_a, full_b = filled(a, b, *cost.shape)
    base = ot.solve_cost(cost, full_a, full_b).cost
    allowed = SLACK * math.fsum(full_a) * np.abs(cost).max() * factor
    assert abs(ot.solve_cost(cost, factor * full_a, factor * full_b).cost - factor * base) <= allowed
    assert abs(ot.solve_cost(factor * cost, full_a, full_b).cost - factor * base) <= allowed


metrics = st.sampled_from(("euclidean", "cityblock", "chebyshev"))
orders = st.sampled_from(cases.ORDERS)


def allowed_distance(p, mass, *clouds):
    """A rounding of 1e-13 in the cost, seen in the distance: its root."""
    size = max(np.abs(cloud).max() for cloud in clouds) * 4
    return size * (mass * SLACK) ** (1 / p) if p < INF else size * SLACK


@given(cases.point_sets(), orders, metrics, st.sampled_from(("auto", "network_simplex", "lp")))
def test_a_measure_is_at_distance_exactly_zero_from_itself(problem, p, metric, method):
    x, _, a, _ = problem
    if p == INF:
        method = "auto"
    result = ot.solve(x, x, a, a, p=p, metric=metric, method=method)
    assert result.value == 0 and result.cost == 0 and result.lower <= 0 <= result.upper
    assert ot.wasserstein(x, x.copy(), a, a, p=p, metric=metric, method=method) == 0


@given(cases.point_sets(), st.sampled_from(FINITE_ORDERS), metrics)
def test_distance_is_symmetric(problem, p, metric):
    x, y, a, b = problem
    there, back = ot.solve(x, y, a, b, p=p, metric=metric), ot.solve(y, x, b, a, p=p, metric=metric)
    scale = naive.ground_cost(x, y, p, metric).max() * (1 if a is None else math.fsum(a))
    assert abs(there.cost - back.cost) <= SLACK * scale


@given(cases.point_sets(max_n=4, kinds=("general", "grid", "integers")), orders, metrics, st.data())
def test_the_triangle_inequality_holds(problem, p, metric, data):
    x, y, a, b = problem
    a, b = filled(a, b, len(x), len(y))
    k = data.draw(st.integers(1, 4))
    z = data.draw(cases.coordinates(k, x.shape[1], "integers"))
    c = cases.uniform(k, math.fsum(a))
    direct = ot.wasserstein(x, z, a, c, p=p, metric=metric)
    detour = ot.wasserstein(x, y, a, b, p=p, metric=metric) + ot.wasserstein(y, z, b, c, p=p, metric=metric)
    assert direct <= detour + allowed_distance(p, math.fsum(a), x, y, z) * 1e-3 + 1e-12 * detour


@given(cases.point_sets(), metrics)
def test_distance_grows_with_its_order(problem, metric):
    x, y, a, b = problem
    if a is not None:  # in float64: the order would not grow with a mass above 1
        a, b = (weights.astype(float) / math.fsum(weights) for weights in (a, b))
    values = [ot.wasserstein(x, y, a, b, p=p, metric=metric) for p in cases.ORDERS]
    largest = naive.ground_cost(x, y, 1, metric).max()
    for low, high, p in zip(values, values[1:], cases.ORDERS):
        # Weights are normalised in floats: some last digits of them may move as far as any, which p = inf does not see.
        assert low <= high * (1 + 1e-15) + largest * 2 ** (-51 / p)


@given(cases.point_sets(), st.sampled_from(FINITE_ORDERS), metrics, st.sampled_from((0.5, 2.0, 1e-7, 1e5)))
def test_distance_is_homogeneous_in_the_coordinates(problem, p, metric, factor):
    x, y, a, b = problem
    base = ot.solve(x, y, a, b, p=p, metric=metric)
    scaled = ot.solve(factor * x, factor * y, a, b, p=p, metric=metric)
    size = max(np.abs(x).max(), np.abs(y).max())
    scale = (4 * size) ** p * (1 if a is None else math.fsum(a))
    assert abs(scaled.cost / factor**p - base.cost) <= 10 * SLACK * scale


@given(
    cases.point_sets(kinds=("grid", "integers", "collinear", "coincident")),
    st.sampled_from(FINITE_ORDERS),
    metrics,
    st.integers(-1000, 1000),
)
def test_a_common_translation_changes_nothing(problem, p, metric, shift):
    x, y, a, b = problem
    # whole numbers: the shifted coordinates are exact
    assert ot.wasserstein(x + shift, y + shift, a, b, p=p, metric=metric) == pytest.approx(
        ot.wasserstein(x, y, a, b, p=p, metric=metric), rel=1e-13, abs=1e-15
    )


@given(cases.point_sets(), orders, metrics)
def test_a_translated_measure_is_as_far_as_the_translation(problem, p, metric):
    x, _, a, _ = problem
    x = np.round(x * 8) / 8
    shift = np.full(x.shape[1], 3.0)
    mass = 1.0 if a is None else math.fsum(a)
    length = naive.ground_cost([np.zeros(len(shift))], [shift], 1, metric)[0, 0]
    expected = length * (1 if p == INF else mass ** (1 / p))
    assert ot.wasserstein(x, x + shift, a, a, p=p, metric=metric) == pytest.approx(expected, rel=1e-12)


@given(cases.point_sets(), st.sampled_from(FINITE_ORDERS), st.randoms(use_true_random=False))
def test_the_order_of_the_points_changes_nothing_but_the_order_of_the_plan(problem, p, random):
    x, y, a, b = problem
    rows, cols = list(range(len(x))), list(range(len(y)))
    random.shuffle(rows)
    random.shuffle(cols)
    base = ot.solve(x, y, a, b, p=p)
    a2, b2 = (None, None) if a is None else (a[rows], b[cols])
    other = ot.solve(x[rows], y[cols], a2, b2, p=p)
    cost = naive.ground_cost(x[rows], y[cols], p)
    cases.check_transport(other, cost, a2, b2)
    assert abs(base.cost - other.cost) <= SLACK * cost.max() * (1 if a is None else math.fsum(a))


@given(cases.point_sets(), st.sampled_from(FINITE_ORDERS), st.integers(0, 5), st.sampled_from((0.0, 0.25, 0.5)))
def test_an_atom_split_in_two_is_the_same_atom(problem, p, index, share):
    x, y, a, b = problem
    a, b = filled(a, b, len(x), len(y))
    index %= len(x)
    split_x = np.concatenate([x, x[index : index + 1]])
    split_a = np.append(a, a[index] * share)
    split_a[index] *= 1 - share
    cost = naive.ground_cost(x, y, p)
    # A weight of 1e-12 that moves 1e6 times as far as others leaves the cost open by more than 1e-9 of it.
    base, split = (ot.solve(*sides, b, p=p, rtol=1e-6).cost for sides in ((x, y, a), (split_x, y, split_a)))
    assert abs(base - split) <= SLACK * cost.max() * math.fsum(a)


@given(cases.point_sets(), st.sampled_from(FINITE_ORDERS), st.sampled_from((-1e3, 0.0, 50.0)))
def test_a_point_of_no_weight_changes_nothing(problem, p, place):
    x, y, a, b = problem
    a, b = filled(a, b, len(x), len(y))
    ghost = np.full((1, x.shape[1]), place)
    base = ot.solve(x, y, a, b, p=p)
    haunted = ot.solve(np.concatenate([ghost, x]), y, np.append(0, a), b, p=p)
    cost = naive.ground_cost(np.concatenate([ghost, x]), y, p)
    cases.check_transport(haunted, cost, np.append(0, a), b)
    assert abs(base.cost - haunted.cost) <= SLACK * naive.ground_cost(x, y, p).max() * math.fsum(a)
