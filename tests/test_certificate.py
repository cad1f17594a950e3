"""Bounds hold in exact arithmetic where roundings conspire: each problem here breaks a proof with less slack."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from fractions import Fraction

import cases
import naive
import numpy as np
import pytest

import ot_distances as ot
from ot_distances import certificate
from ot_distances import costs as ground_costs
from ot_distances.costs import DenseCost, PointCost
from ot_distances.problem import Flow
from ot_distances.solvers.line_cost import Masses, least_cost
from ot_distances.wasserstein import transport_problem

INF = math.inf


def reached(solved, *problem, **options):
    """The result, or the refusal, both of which have bounds."""
    try:
        return solved(*problem, **options)
    except ot.NotConverged as refusal:
        return refusal


def holding(diagonal):
    """Costs of which the diagonal is the only cheap matching."""
    costs = np.full((len(diagonal), len(diagonal)), 4.0)
    np.fill_diagonal(costs, diagonal)
    return costs


@pytest.mark.parametrize("levels", [2, 3])
@pytest.mark.parametrize("sign", [1, -1])
def test_sums_that_cancel_beyond_twice_the_precision(levels, sign):
    # all but the last term cancel, and the running sums have no room for it meanwhile
    large = [2.0 ** (-60 * k) for k in range(levels)]
    paid = sign * np.array([*large, 2.0 ** (-60 * levels), *(-one for one in large[::-1])])
    costs, truth, ones = holding(paid), sum(map(Fraction, paid)), np.ones(len(paid))
    cases.check_bounds_exactly(ot.solve_cost(costs, ones, ones), truth)
    cases.check_bounds_exactly(ot.solve_cost(costs, ones, ones, method="network_simplex"), truth)
    cases.check_bounds_exactly(ot.linear_assignment(costs), truth)
    cases.check_bounds_exactly(ot.linear_assignment(costs, maximize=True), max(truth, 4 * len(paid)))
    scaled = costs * 2.0**400
    cases.check_bounds_exactly(ot.linear_assignment(scaled), truth * 2**400)


def test_what_sums_lose_is_rounded_in_its_turn(rng):
    for _ in range(20):
        lost = rng.random(60) * 2.0**-54
        paid = np.array([1, *lost, -1, -math.fsum(lost)])
        cases.check_bounds_exactly(ot.linear_assignment(holding(paid)), sum(map(Fraction, paid)))


@pytest.mark.parametrize("costs", [(-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0)])
@pytest.mark.parametrize("sign", [-1, 1])
def test_masses_all_rounded_the_same_way_and_their_sum_too(costs, sign):
    """Each light column wins, or loses, half a unit of 2**-60, and one more for the sum: together one and a half."""
    m, heavy, light = 6000, *costs
    whole = 4 * m + 1 + (sign < 0)  # halves are rounded to even
    b = np.full(m, (whole + 0.5) * 2.0**-60)
    rest = 2**59 + 2**40 - (whole + (sign > 0)) * (m - 1) - sign * m
    b[0] = (rest // 64 + (sign > 0)) * 2.0**-54
    a, prices = [0.5 + 2.0**-20], np.full((1, m), light)
    prices[0, 0] = heavy
    paid = sum(Fraction(c) * Fraction(w) for c, w in zip(prices[0], b))
    cases.check_bounds_exactly(ot.solve_cost(prices, a, b), paid * Fraction(a[0]) / sum(map(Fraction, b)))


def test_weights_that_differ_by_less_than_a_unit():
    light = np.array([0.3, 0.7]) * 2.0**-10
    a, b = np.array([1, *light]), np.array([1, *(light + np.array([2.0**-62, -(2.0**-62)]))])
    costs = 1 - np.eye(3)
    truth = naive.exact_cost(costs.tolist(), a.tolist(), b.tolist())
    assert truth == Fraction(2) ** -62
    cases.check_bounds_exactly(reached(ot.solve_cost, costs, a, b), truth)


@pytest.mark.parametrize("units", [1e-9, 0.25, 0.75, 1.5, 2.5])
@pytest.mark.parametrize("costs", [[[0.0, 1.0], [1.0, 1.0]], [[0.0, 4.0], [4.0, 1.0]], [[0.0, 4.0], [4.0, -1.0]]])
def test_weights_of_few_units(units, costs):
    weights = [1, units * 2.0**-59]
    truth = naive.exact_cost(costs, weights, weights)
    cases.check_bounds_exactly(reached(ot.solve_cost, costs, weights, weights), truth)
    problem, both = transport_problem(DenseCost(np.array(costs)), weights, weights), np.arange(2)
    matched = Flow(both, both, problem.row_mass, np.zeros(2))  # fits the weights as well as the masses
    cases.check_bounds_exactly(reached(certificate.certify, problem, matched, "none", 1e-9, 0.0), truth)


@pytest.mark.parametrize("mass", [[2, -1, -1, 2], [1, 1, 0, 1], [1, 0, 0, 0]])
@pytest.mark.parametrize("large", [False, True])
def test_what_is_no_plan_proves_nothing_from_above(mass, large, monkeypatch):
    if large:
        monkeypatch.setattr(certificate, "DENSE_ENTRIES", 0)
    problem = transport_problem(DenseCost(np.array([[-3.0, 1.0], [1.0, 0.0]])), [1, 1], [1, 1])
    flow = Flow(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.array(mass), np.zeros(2))
    with pytest.raises(ot.NotConverged) as caught:
        certificate.certify(problem, flow, "none", 1e-9, 0.0)
    assert caught.value.lower <= -3 and caught.value.upper == INF


def test_a_flow_of_one_unit_is_no_way_for_what_masses_have_been_rounded_by():
    # in units of 2**-60: one goes from the first row to the light columns, which in truth have too much already
    unit, light = 2.0**-60, 11
    a = [0.75, 384 * unit]
    b = [0.75 - 128 * unit, 127 * unit, *[34.75 * unit] * light]
    costs = np.array([[0.0] * (2 + light), [1.0, 1.0, *[0.0] * light]])
    truth = naive.exact_cost(costs.tolist(), a, b)
    assert truth > Fraction(unit)
    cases.check_bounds_exactly(reached(ot.solve_cost, costs, a, b), truth)


def test_columns_that_just_fit_into_the_rows_near_them_prove_nothing():
    problem = transport_problem(PointCost(np.array([[0.0], [9.0]]), np.array([[0.0], [9.0]])), [1, 1], [1, 1], INF)
    both, marks = np.arange(2), (np.array([1.0, 0.0]), np.array([-1.0, 0.0]))
    found = certificate.certify(problem, Flow(both, both, np.ones(2, int), *marks), "none", 1e-9, 0.0)
    assert found.lower == found.upper == 0


def test_costs_beyond_the_largest_float_have_a_finite_bound_from_below():
    found = ot.solve_cost([[1e308]], [1e10], [1e10])
    assert Fraction(found.lower) <= Fraction(1e308) * 10**10 and found.upper == INF


@pytest.mark.parametrize("mass", [1e-149, 1e-140, 3.0, 1e140])
@pytest.mark.parametrize("cost", [1e-180, 5e-324, 1.5e-323])
def test_products_with_the_mass_below_the_normal_numbers(mass, cost):
    found = reached(ot.solve_cost, [[cost, 1], [1, cost]], [mass, mass], [mass, mass])
    cases.check_bounds_exactly(found, 2 * Fraction(mass) * Fraction(cost))


@pytest.mark.parametrize("metric", ["euclidean", "cityblock", "chebyshev"])
@pytest.mark.parametrize("d", [1, 2])
def test_a_longest_move_that_vanishes_beside_the_extent(metric, d):
    x, y = np.zeros((2, d)), np.zeros((2, d))
    x[1, 0] = y[1, 0] = 1e300
    y[0, -1] = 5e-301
    found = reached(ot.solve, x, y, p=INF, metric=metric)
    cases.check_bounds_exactly(found, Fraction(5e-301))


@pytest.mark.parametrize("metric", ["cityblock", "chebyshev", "sqeuclidean"])
@pytest.mark.parametrize(("far", "move"), [(1e300, 0.6 * 2.0**-77), (1.0, 0.8 * 2.0**-537)])
@pytest.mark.parametrize("p", [1, INF])
def test_coordinates_that_all_lose_half_of_the_last_digit(metric, far, move, p):
    if metric == "sqeuclidean" and p == INF:
        pytest.skip("goes with p = 1 only")
    x, y, ones = np.zeros((2, 300)), np.zeros((2, 300)), [1, 1]
    x[1, 0] = y[1, 0] = far
    y[0, 1:] = move
    truth = naive.exact_ground_cost(x[:1], y[:1], 1, metric)[0][0]
    found = reached(ot.solve, x, y, ones, ones, p=p, metric=metric)
    assert Fraction(found.lower) <= truth and (found.upper == INF or truth <= Fraction(found.upper))


@pytest.mark.parametrize("cost", [1e-300, -1e-300])
def test_costs_that_vanish_beside_others_may_be_less_than_nothing(cost):
    costs = np.array([[cost, 1e300], [1e300, cost]])

    def metric(x, y):
        return costs[np.ix_(x[:, 0].astype(int), y[:, 0].astype(int))]

    truth = 2 * Fraction(cost)
    cases.check_bounds_exactly(reached(ot.solve_cost, costs, [1, 1], [1, 1]), truth)
    cases.check_bounds_exactly(reached(ot.linear_assignment, costs), truth)
    for method in ("auto", "multiscale"):
        found = reached(ot.solve, [0, 1], [0, 1], [1, 1], [1, 1], metric=metric, method=method)
        cases.check_bounds_exactly(found, truth)


@pytest.mark.parametrize("p", [9, 30, 300])
@pytest.mark.parametrize("extent", [40, 500])
def test_high_powers_of_moves_far_shorter_than_the_extent(rng, p, extent):
    for _ in range(10):
        x = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]]) * 2.0**extent
        y, move = x.copy(), rng.uniform(0.9, 1.4)
        y[0, 1] = move
        cases.check_bounds_exactly(reached(ot.solve, x, y, [1] * 3, [1] * 3, p=p), Fraction(move) ** p)


@pytest.mark.parametrize(("p", "exponent"), [(7.3, -120), (7.3, 30), (1.1, -591), (2.5, 41), (math.pi, 200)])
@pytest.mark.parametrize("method", ["network_simplex", "multiscale"])
@pytest.mark.parametrize("callable_", [False, True])
def test_the_unit_of_a_power_that_is_no_fraction_may_round_to_a_whole_exponent(rng, p, exponent, method, callable_):
    options = {"metric": lambda x, y: abs(x - y.T)} if callable_ else {}
    for mass in 2.0 ** np.array([-200.5, 0.5, 200.5]):
        move = math.ldexp(rng.uniform(0.5, 1), exponent)
        found = reached(ot.solve, [[0.0]], [[move]], [mass], [mass], p=p, method=method, **options)
        with localcontext(prec=50):
            truth = Decimal(move) ** Decimal(p) * Decimal(mass)
            assert Decimal(found.lower) <= truth <= Decimal(found.upper)


def test_whole_weights_whose_sum_is_no_int64(rng):
    a = rng.integers(2**52, 2**53, 3000).astype(float)
    x = np.arange(3000.0)
    total = sum(map(int, a))
    assert total > 2**63
    assert ot.wasserstein(x, x + 0.25, a, a) == pytest.approx(total / 4, rel=1e-15)
    cases.check_bounds_exactly(ot.solve(x, x + 0.25, a, a), Fraction(total, 4))


@pytest.mark.parametrize("scale", [0.72, 0.8, 0.9])
def test_the_c_transform_between_clouds_knows_what_squares_lose(scale, monkeypatch):
    monkeypatch.setattr(ground_costs, "CLOUD_ENTRIES", 0)
    x, move = np.array([[0.0, 0.0], [1.0, 0.0]]), scale * 2.0**-537
    f = PointCost(x, x + np.array([0, move])).row_transform(np.zeros(2))
    assert (f <= move).all() and (f >= -1e-150).all()


def near_power(rng):
    """A number just above a power of two, where a rounding is largest, or any."""
    return 1 + rng.integers(0, 8) * 2.0**-52 if rng.random() < 0.5 else rng.uniform(1, 2)


def test_roundings_of_sum_mean_mass_and_product_on_one_side(rng):
    for _ in range(300):
        m = rng.integers(1, 9)
        costs, b = np.array([[near_power(rng) for _ in range(m)]]), np.array([near_power(rng) for _ in range(m)])
        paid, total = sum(Fraction(c) * Fraction(w) for c, w in zip(costs[0], b)), sum(map(Fraction, b))
        cases.check_bounds_exactly(ot.solve_cost(costs, None, b), paid)
        cases.check_bounds_exactly(ot.solve_cost(costs, [float(total)], b), paid * Fraction(float(total)) / total)
        equal = Fraction(b[0]) * sum(map(Fraction, costs[0]))
        cases.check_bounds_exactly(ot.solve_cost(costs, None, np.full(m, b[0])), equal)


@pytest.mark.parametrize("rest", [2.0**-53 * (1 + 2.0**-20), 2.0**-53 * (1 - 2.0**-20)])
@pytest.mark.parametrize("exponent", [0, 400])
def test_a_sum_rounded_by_as_much_as_a_sum_can_be(rest, exponent):
    costs, truth = np.ldexp([[1, 4], [4, rest]], exponent), (1 + Fraction(rest)) * 2**exponent
    cases.check_bounds_exactly(ot.linear_assignment(costs), truth)
    cases.check_bounds_exactly(ot.linear_assignment(-costs, maximize=True), -truth)
    cases.check_bounds_exactly(ot.solve_cost(costs, [1, 1], [1, 1]), truth)


@pytest.mark.parametrize("share", [0.49, 0.51])
@pytest.mark.parametrize("spare", [0, 1])
def test_sums_of_a_matching_that_are_all_rounded_to_one_side(share, spare):
    paid = np.array([1, *[share * 2.0**-52] * 60])
    costs = np.column_stack((holding(paid), *[np.full(len(paid), 4.0)] * spare))
    cases.check_bounds_exactly(ot.linear_assignment(costs), sum(map(Fraction, paid)))
    cases.check_bounds_exactly(ot.linear_assignment(-costs.T, maximize=True), -sum(map(Fraction, paid)))


@pytest.mark.parametrize("share", [0.49, 0.51])
@pytest.mark.parametrize(
    ("metric", "p"),
    [("euclidean", 1), ("euclidean", 2), ("euclidean", 6), ("euclidean", INF), ("sqeuclidean", 1), ("cityblock", 5)],
)
def test_coordinates_whose_sums_are_all_rounded_to_one_side(metric, p, share):
    part = share * 2.0**-52  # of 1, which the sum is from the first coordinate on
    x, y = np.zeros((1, 300)), np.full((1, 300), part if metric == "cityblock" else math.sqrt(part))
    y[0, 0] = 1
    with localcontext(prec=60):
        square = naive.exact_ground_cost(x, y, 1, "cityblock" if metric == "cityblock" else "sqeuclidean")[0][0]
        power = Decimal(1 if p == INF else p) / (2 if metric == "euclidean" else 1)
        truth = (Decimal(square.numerator) / square.denominator) ** power
        for method in ("auto",) if p == INF else ("network_simplex", "multiscale"):
            found = ot.solve(x, y, p=p, metric=metric, method=method)
            assert Decimal(found.lower) <= truth <= Decimal(found.upper)


@pytest.mark.parametrize("p", [1, 2, 3, 300])
@pytest.mark.parametrize("share", [0.49, 0.51])
def test_a_difference_rounded_by_as_much_as_it_can_be(p, share):
    x, y = 1.0, -share * 2.0**-52
    truth = (Fraction(x) - Fraction(y)) ** p
    for method in ("1d", "network_simplex", "multiscale"):
        cases.check_bounds_exactly(ot.solve([x], [y], p=p, method=method), truth)
    for metric in ("chebyshev", "cityblock"):  # in the plane: there, the other coordinate counts by half, or not at all
        off = 0.5 * (metric == "chebyshev")
        found = ot.solve([[x, 0], [0, 1]], [[y, off], [0, 1]], [1, 1], [1, 1], p=p, metric=metric)
        cases.check_bounds_exactly(found, truth)
    found = least_cost(np.array([x]), np.array([y]), Masses.uniform(1, 1), float(p), float(p))
    cases.check_bounds_exactly(found.bounds, truth / Fraction(found.unit) ** p)


@pytest.mark.parametrize("n", [3, 400, 501, 3000])
def test_sums_and_products_are_right_to_twice_the_precision(rng, n):
    values = rng.normal(size=n) * 2.0 ** rng.integers(-30, 30, n)
    order, mass = rng.permutation(2 * n), rng.integers(2**59, 2**60, 2 * n)
    values, mass = np.concatenate((values, -values * (mass[:n] / mass[n:])))[order], mass[order]  # which nearly cancel
    for found, terms in (
        (certificate.exact_sum(values * mass), [Fraction(v) for v in values * mass]),
        (certificate.exact_dot(mass, values), [Fraction(v) * int(w) for v, w in zip(values, mass)]),
    ):
        truth = sum(terms)
        assert abs(Fraction(found) - truth) <= abs(truth) / 2**52 + sum(map(abs, terms)) / 2**95


def dense(rng, **options):
    return DenseCost(rng.normal(size=(40, 30)), **options)


def points(d, p=1.0, metric="euclidean"):
    return lambda rng: PointCost(rng.normal(size=(40, d)), rng.normal(size=(30, d)), metric, p)


# A cost, and the bounds on size from which other code would make its c-transform
TRANSFORMS = {
    "matrix": (dense, {}),
    "compiled": (dense, {"DENSE_ENTRIES": 0}),
    "columns": (lambda rng: DenseCost(rng.normal(size=(30, 40))).T, {"DENSE_ENTRIES": 0}),
    "scaled": (lambda rng: DenseCost(np.ldexp(rng.normal(size=(40, 30)), 500)), {"DENSE_ENTRIES": 0}),
    "greatest": (lambda rng: dense(rng, sign=-1.0), {"DENSE_ENTRIES": 0}),
    "points": (points(2), {}),
    "tree": (points(2), {"CLOUD_ENTRIES": 0}),
    "tree of squares": (points(3, 2.0), {"CLOUD_ENTRIES": 0}),
    "pairs in blocks": (points(12, 1.0, "cityblock"), {"CLOUD_ENTRIES": 0}),
    "line": (points(1, 1.0, "cityblock"), {"LINE_ENTRIES": 0}),
    "squares on a line": (points(1, 2.0, "cityblock"), {"LINE_ENTRIES": 0}),
    "powers on a line": (points(1, 2.5, "cityblock"), {"LINE_ENTRIES": 0}),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_the_c_transform_is_rounded_down(name, rng, monkeypatch):
    make, limits = TRANSFORMS[name]
    for limit, value in limits.items():
        monkeypatch.setattr(ground_costs, limit, value)
    cost, g = make(rng), rng.normal(size=30) * 2.0 ** rng.integers(-3, 3, 30)
    for f, row in zip(cost.row_transform(g), cost.matrix().tolist()):
        least = min(Fraction(c) - Fraction(v) for c, v in zip(row, g))
        assert Fraction(f) <= least <= Fraction(f) + Fraction(2) ** -40


def check_feasible(f, g, costs):
    sums = [[Fraction(u) + Fraction(v) for v in g] for u in f]
    assert all(s <= Fraction(c) for row, prices in zip(sums, costs.tolist()) for s, c in zip(row, prices))


@pytest.mark.parametrize("limit", [ground_costs.DENSE_ENTRIES, 0])
def test_potentials_are_feasible_to_the_last_digit(rng, monkeypatch, limit):
    monkeypatch.setattr(certificate, "DENSE_ENTRIES", limit)
    costs, a, b = rng.normal(size=(20, 30)), rng.random(20), rng.random(30)
    a[:3], b[:10] = 0, 0  # whose potentials come from those of the others
    found = ot.solve_cost(costs, a / a.sum(), b / b.sum())
    check_feasible(found.f, found.g, costs)


@pytest.mark.parametrize("shape", [(20, 20), (15, 30), (30, 15), (40, 40), (30, 60)])
def test_duals_of_a_matching_are_feasible_to_the_last_digit(rng, shape):
    costs = rng.normal(size=shape)
    found, greatest = ot.linear_assignment(costs), ot.linear_assignment(costs, maximize=True)
    check_feasible(found.u, found.v, costs)
    check_feasible(-greatest.u, -greatest.v, -costs)
    batch = ot.linear_assignment(np.stack((costs, 3 * costs)))
    check_feasible(batch.u[1], batch.v[1], 3 * costs)
    scaled = ot.linear_assignment(costs * 2.0**500)
    check_feasible(scaled.u, scaled.v, costs * 2.0**500)
