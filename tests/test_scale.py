"""The unit of the coordinates, of the costs and of the masses is the user's business: the answer scales with it, the
plan stays, and the certificate holds."""

from __future__ import annotations

import itertools
import math
import re
from decimal import Decimal, localcontext
from fractions import Fraction

import cases
import naive
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

import ot_distances as ot
from ot_distances.solvers import network_simplex

INF = math.inf
COORDINATE_SCALES = (1e-300, 1e-150, 1e-140, 1e-50, 1e-15, 1e-10, 1e-7, 1e-6, 1e7, 1e50, 1e120, 1e150)
COST_SCALES = (1e-305, 1e-300, 1e-200, 1e-100, 1e-12, 1e-10, 1e10, 1e100, 1e200, 1e300, 1e305)


def clouds(rng, d):
    x, y, a, b = rng.normal(size=(12, d)), rng.normal(size=(9, d)) + 0.5, rng.random(12), rng.random(9)
    return x, y, a / a.sum(), b / b.sum()


def same_plan(one, other, tolerance=1e-14):
    assert np.abs(one.plan.toarray() - other.plan.toarray()).max() <= tolerance


STRICT = {
    "points": lambda x, y: ot.solve(1e-170 * x, 1e-170 * y, p=2).cost,
    "weights": lambda x, y: ot.wasserstein(x, y, *np.random.default_rng(0).dirichlet(np.ones(12), 2)),
    "order": lambda x, y: ot.wasserstein(x, y, p=40),
    "line": lambda x, y: ot.wasserstein(x[:, 0], y[:7, 0], p=400),
    "lines": lambda x, y: ot.wasserstein(x[None, :, :1], y[None, :, :1], p=400)[0],
    "duality": lambda x, y: ot.kantorovich_rubinstein([[0, 1], [1, 0]], [1, 0], [0, 1]).cost,
    "Gaussians": lambda x, y: ot.gaussian_wasserstein([0, 0], np.zeros((2, 2)), [1, 1], 1e-300 * np.eye(2)),
    "vectors": lambda x, y: ot.kl_divergence([1 - 1e-300, 1e-300], [1, 1e-310]),
    "samples": lambda x, y: ot.kl_from_samples(x, y + 1e3, method="kde", seed=0).value,
    "shift": lambda x, y: ot.theta_shift([0.5, 50], family="gaussian").js[0],
}


@pytest.mark.parametrize("name", STRICT)
def test_numpy_that_raises_on_every_rounding_changes_nothing(rng, name):
    x, y = rng.normal(size=(2, 12, 2))
    expected = STRICT[name](x, y)
    with np.errstate(all="raise"):
        assert STRICT[name](x, y) == expected


FINITE_METHODS = ("1d", "assignment", "network_simplex", "lp", "auto")


@pytest.mark.parametrize(
    ("method", "p"), [(method, p) for method in FINITE_METHODS for p in (1, 2)] + [("1d", INF), ("auto", INF)]
)
@pytest.mark.parametrize("scale", COORDINATE_SCALES)
def test_distance_and_plan_do_not_depend_on_the_unit_of_length(rng, scale, p, method):
    x, y, a, b = clouds(rng, 1 if method == "1d" else 2)
    if method == "assignment":
        x, a, b = x[:9], None, None
    base = ot.solve(x, y, a, b, p=p, method=method)
    scaled = ot.solve(x * scale, y * scale, a, b, p=p, method=method)
    assert scaled.value == pytest.approx(base.value * scale, rel=1e-12, abs=0)
    assert scaled.gap <= 1e-9
    if p < INF:
        same_plan(base, scaled)
    if p == 1:
        assert scaled.lower <= scaled.cost * (1 + 1e-14) and scaled.upper >= scaled.cost * (1 - 1e-14)
        assert scaled.upper - scaled.lower <= 1e-9 * scaled.value


@pytest.mark.parametrize("metric", ["euclidean", "cityblock", "chebyshev"])
@pytest.mark.parametrize("exponent", [-1000, -500, -60, 60, 400, 1000])
def test_a_power_of_two_changes_not_a_bit(rng, exponent, metric):
    x, y, a, b = clouds(rng, 3)
    base = ot.solve(x, y, a, b, metric=metric)
    scaled = ot.solve(np.ldexp(x, exponent), np.ldexp(y, exponent), a, b, metric=metric)
    assert scaled.value == math.ldexp(base.value, exponent)
    assert (scaled.plan.toarray() == base.plan.toarray()).all()
    assert (scaled.f == np.ldexp(base.f, exponent)).all()


@pytest.mark.parametrize("scale", [5e-324, 1e-320, 1e-310])
def test_subnormal_coordinates_are_measured(scale):
    assert ot.wasserstein([0.0, 0.0], [scale, scale]) == scale
    assert ot.wasserstein([[0.0, 0.0]], [[0.0, scale]], p=2) == scale


def test_the_largest_floats_are_measured():
    top = np.finfo(float).max
    assert ot.wasserstein([0.0], [top]) == top
    assert ot.wasserstein([[0.0, 0.0]], [[top / 2, 0.0]], p=2) == pytest.approx(top / 2, rel=1e-15)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("move", [1e-60, 1e-120, 1e-155, 1e-158, 1e-161, 1e-165, 1e-250, 1e-300, 5e-324])
def test_moves_that_vanish_beside_the_extent_are_measured_or_refused_but_never_wrong(move, d, p):
    # of two atoms at distance 1, one stays and one moves by so little that its square is no normal number
    x, y = np.zeros((2, d)), np.zeros((2, d))
    x[1, 0] = y[1, 0] = 1
    y[0, -1] = move
    truth = Fraction(move) ** p / 2
    try:
        result = ot.solve(x, y, p=p)
        assert result.value == pytest.approx(move / 2 if p == 1 else move / math.sqrt(2), rel=1e-12, abs=5e-324)
    except ot.NotConverged as refusal:
        assert move < 1e-100
        result = refusal
    assert Fraction(result.lower) <= truth <= Fraction(result.upper)


@pytest.mark.parametrize("method", ["1d", "network_simplex", "lp"])
def test_a_far_point_of_no_weight_does_not_set_the_scale(method):
    result = ot.solve([[1e-285], [3e-285]], [[0.0], [1.0]], [1, 1], [2, 0], method=method)
    assert result.value == pytest.approx(4e-285, rel=1e-12)


def test_a_distance_beyond_the_largest_float_is_an_error_or_infinite():
    top = np.finfo(float).max
    try:
        value = ot.wasserstein([-top], [top])
    except (OverflowError, ValueError) as error:
        assert "float" in str(error) or "overflow" in str(error) or "scale" in str(error).lower()
    else:
        assert value == INF


def test_a_large_offset_on_one_axis_leaves_small_differences_on_the_other(rng):
    x, y, a, b = clouds(rng, 2)
    expected = ot.wasserstein(x[:, 1], y[:, 1], a, b)
    for offset, unit in ((1e9, 1e-310), (1e200, 1e-150), (1e300, 1e-300), (-1e308, 1e-5)):
        far_x = np.stack([np.full(12, offset), x[:, 1] * unit], 1)
        far_y = np.stack([np.full(9, offset), y[:, 1] * unit], 1)
        rel = 1e-12 if unit > 1e-305 else 1e-9  # subnormal coordinates have lost digits
        assert ot.wasserstein(far_x, far_y, a, b) == pytest.approx(expected * unit, rel=rel), (offset, unit)


@pytest.mark.parametrize("offset", [1e3, 1e9, -1e9, 1e12])
@pytest.mark.parametrize("p", [1, 2])
def test_an_offset_common_to_both_clouds_costs_no_digits(rng, offset, p):
    x, y = rng.integers(-64, 64, (10, 2)) / 8, rng.integers(-64, 64, (8, 2)) / 8  # exact at every offset
    base, far = ot.solve(x, y, p=p), ot.solve(x + offset, y + offset, p=p)
    assert far.value == pytest.approx(base.value, rel=1e-14)
    assert far.gap <= 1e-9


def test_clouds_far_apart_keep_their_plan(rng):
    x, y = rng.random((10, 2)), rng.random((10, 2))
    near, far = ot.solve(x, y, p=2), ot.solve(x, y + np.array([2.0**20, 0]), p=2)
    # under squared distance a translation changes the cost by a function of each point
    same_plan(near, far)
    assert far.value == pytest.approx(2.0**20, rel=1e-5)


def test_float32_clouds_at_an_offset_are_measured_as_given(rng):
    x, y = (rng.random((40, 3)) + 1e3).astype(np.float32), (rng.random((40, 3)) + 1e3).astype(np.float32)
    truth = naive.linear_program(naive.ground_cost(x - 1e3, y - 1e3), np.ones(40) / 40, np.ones(40) / 40)
    assert ot.wasserstein(x, y) == pytest.approx(truth, rel=1e-12)
    assert ot.wasserstein(x, x.copy()) == 0


@pytest.mark.parametrize("method", ["network_simplex", "lp", "auto"])
@pytest.mark.parametrize("scale", COST_SCALES)
def test_cost_and_plan_do_not_depend_on_the_unit_of_cost(rng, scale, method):
    cost, a, b = rng.random((8, 6)), rng.random(8), rng.random(6)
    a, b = a / a.sum(), b / b.sum()
    base, scaled = ot.solve_cost(cost, a, b, method=method), ot.solve_cost(cost * scale, a, b, method=method)
    assert scaled.cost == pytest.approx(base.cost * scale, rel=1e-12, abs=0)
    same_plan(base, scaled)
    cases.check_transport(scaled, cost * scale, a, b)


@pytest.mark.parametrize("scale", COST_SCALES)
def test_assignments_do_not_depend_on_the_unit_of_cost(rng, scale):
    cost = rng.random((20, 20))
    base, scaled = ot.linear_assignment(cost), ot.linear_assignment(cost * scale)
    assert (scaled.cols == base.cols).all()
    assert scaled.cost == pytest.approx(base.cost * scale, rel=1e-12, abs=0)
    assert 0 <= scaled.gap <= 1e-9
    cases.check_potentials(scaled.u, scaled.v, cost * scale)


@pytest.mark.parametrize("mass", [1e-300, 1e-100, 1e-12, 1e-6, 1e6, 1e100, 1e300])
def test_the_plan_scales_with_the_mass(rng, mass):
    cost, a, b = rng.random((8, 6)), rng.random(8), rng.random(6)
    a, b = a / a.sum(), b / b.sum()
    for method in ("network_simplex", "lp"):
        base = ot.solve_cost(cost, a, b, method=method)
        scaled = ot.solve_cost(cost, a * mass, b * mass, method=method)
        assert scaled.cost == pytest.approx(base.cost * mass, rel=1e-12, abs=0)
        cases.check_transport(scaled, cost, a * mass, b * mass)


@pytest.mark.parametrize("method", ["network_simplex", "lp", "auto"])
@pytest.mark.parametrize("huge", [1e6, 1e9, 1e12, -1e12, 1e15])
def test_one_huge_row_leaves_the_plan_as_it_was(rng, huge, method):
    cost = rng.integers(0, 1000, (10, 8)) / 8.0  # a huge row added is exact: whole eighths below 2^53
    a, b = rng.integers(1, 9, 10), rng.integers(1, 9, 8)
    a, b = a * b.sum(), b * a.sum()
    base = naive.exact_cost(cost.tolist(), a.tolist(), b.tolist())
    moved = cost.copy()
    moved[3] += huge
    result = ot.solve_cost(moved, a, b, method=method)
    rows, cols = result.plan.coords
    # the cost of the plan under the costs without the row: exactly the old optimum
    on_old = sum(Fraction(mass) * Fraction(c) for mass, c in zip(result.plan.data, cost[rows, cols]))
    assert abs(float(on_old - base)) <= 1e-9 * float(base)
    cases.check_transport(result, moved, a, b)


@pytest.mark.parametrize("huge", [1e9, 1e12, 1e15])
def test_one_huge_row_leaves_the_assignment_as_it_was(rng, huge):
    cost = rng.integers(0, 1000, (30, 30)) / 8.0
    moved = cost.copy()
    moved[7] += huge
    base, result = ot.linear_assignment(cost), ot.linear_assignment(moved)
    assert cost[result.rows, result.cols].sum() == base.cost


@pytest.mark.parametrize("method", ["auto", "assignment", "network_simplex", "lp"])
@pytest.mark.parametrize(("large", "small"), [(1e50, 1e-50), (1e200, 1e-200), (1e300, 1e-300), (1e308, 5e-324)])
def test_small_costs_beside_huge_ones_are_found_or_refused_but_never_wrong(large, small, method):
    try:
        result = ot.solve_cost([[large, small], [small, large]], method=method)
        assert result.cost == small
    except ot.NotConverged as refusal:
        assert large > 1e100  # costs 600 orders apart leave the range in which they could be scaled
        result = refusal
    assert result.lower <= small <= result.upper


@pytest.mark.parametrize("method", ["auto", "multiscale"])
@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e-150, 1e150, 1e200, 1e300])
def test_a_metric_function_may_use_any_unit(rng, scale, method):
    x, y = rng.random((5, 2)), rng.random((6, 2))

    def metric(s, t):
        return scale * np.abs(s[:, None] - t).sum(-1)

    for p in (1, 2, 3, INF):
        expected = scale * ot.wasserstein(x, y, p=p, metric="cityblock")
        found = ot.wasserstein(x, y, p=p, metric=metric, method=method if p < INF else "auto")
        assert found == pytest.approx(expected, rel=1e-12, abs=0)


def test_large_entries_beside_small_ones_do_not_hide_the_optimum():
    # of the kind of POT issue 229: a few entries dwarf the rest, and the answer is made of the rest
    for large in (1e5, 1e9, 1e14):
        cost = np.array([[50.0, large, 90.0], [7.5, 40.0, large], [large, 20.0, 10.0]])
        truth = naive.brute_force_assignment(cost.tolist())
        for method in ("auto", "assignment", "network_simplex", "lp"):
            result = ot.solve_cost(cost, [1, 1, 1], [1, 1, 1], method=method)
            assert result.cost == pytest.approx(truth, rel=1e-12), (large, method)
        assert ot.linear_assignment(cost).cost == truth


@pytest.mark.parametrize("method", ["auto", "network_simplex", "lp"])
def test_where_others_go_wrong_at_small_coordinates_the_answer_is_right(rng, method):
    x, y = rng.normal(size=(60, 2)), rng.normal(size=(50, 2))
    truth = ot.solve(x, y, metric="sqeuclidean").cost
    for scale in (1e-6, 1e-7):
        result = ot.solve(x * scale, y * scale, metric="sqeuclidean", method=method)
        assert result.cost == pytest.approx(truth * scale**2, rel=1e-12)


def near_pairs_far_apart(p):
    """Two pairs, each moved a little, at distance 1000 of each other; and their distance W_p."""
    moves = np.array([0.25, 0.5, 0.125, 0.25])
    return [0.0, 1.0, 1000.0, 1001.0], [0.25, 1.5, 1000.125, 1001.25], 0.5 * np.mean((moves / 0.5) ** p) ** (1 / p)


@pytest.mark.parametrize("p", [10, 50])
def test_high_orders_are_measured(p):
    x, y, truth = near_pairs_far_apart(p)
    assert ot.wasserstein(x, y, p=p) == pytest.approx(truth, rel=1e-10)
    assert ot.wasserstein([[u, 0.0] for u in x], [[u, 0.0] for u in y], p=p) == pytest.approx(truth, rel=1e-10)
    assert ot.wasserstein([[0.0, 0.0]], [[3e-5, 4e-5]], p=p) == pytest.approx(5e-5, rel=1e-12)


def least_of_all_matchings(x, y, p):
    """W_p by looking at every permutation, in units of each one's longest move."""
    d = naive.ground_cost(x, y)
    paid = np.array([d[np.arange(len(d)), order] for order in itertools.permutations(range(len(d)))])
    longest = paid.max(1, keepdims=True)
    with np.errstate(under="ignore"):
        return (longest[:, 0] * ((paid / longest) ** p).mean(1) ** (1 / p)).min()


@pytest.mark.parametrize("method", ["auto", "assignment", "network_simplex", "lp"])
@pytest.mark.parametrize("p", [30, 300, 1000, 1e5])
def test_orders_beyond_the_range_of_floats_are_measured(rng, p, method):
    for d in (1, 3):
        x, y = rng.normal(size=(2, 6, d)) * 1e-5
        assert ot.wasserstein(x, y, p=p, method=method) == pytest.approx(least_of_all_matchings(x, y, p), rel=1e-9)
    x, y = rng.normal(size=(2, 3, 2))
    a, b = np.array([1, 2, 3]), np.array([4, 1, 1])
    truth = least_of_all_matchings(np.repeat(x, a, axis=0), np.repeat(y, b, axis=0), p)
    assert ot.wasserstein(x, y, a, b, p=p) == pytest.approx(truth * 6 ** (1 / p), rel=1e-9)


@pytest.mark.parametrize("p", [12, 60, 1000])
def test_high_orders_of_many_points_are_certified(rng, p):
    x, y = rng.normal(size=(2, 450, 2))
    cost = naive.ground_cost(x, y) / ot.wasserstein(x, y, p=INF)
    with np.errstate(over="ignore", under="ignore"):
        cost = np.minimum(cost**p, 1200)
    truth = cost[linear_sum_assignment(cost)].mean() ** (1 / p) * ot.wasserstein(x, y, p=INF)
    found = ot.solve(x, y, p=p)
    assert found.value == pytest.approx(truth, rel=1e-12) and found.gap <= 1e-9
    assert found.lower <= found.cost <= found.upper and found.method == "assignment"


@pytest.mark.parametrize("p", [30, 100, 1000])
@pytest.mark.parametrize("n", [40, 300, 700])
def test_high_orders_are_certified_whatever_the_weights(rng, n, p):
    x, y = rng.normal(size=(2, n, 2))
    a, b = rng.dirichlet(np.ones(n), 2)
    found, longest = ot.solve(x, y, a, b, p=p), ot.solve(x, y, a, b, p=INF)
    distances = naive.ground_cost(x, y)
    moved = found.plan.data @ (distances[found.plan.coords] / longest.value) ** p
    assert found.gap <= 1e-9 and found.lower <= found.cost <= found.upper
    assert found.value == pytest.approx(moved ** (1 / p) * longest.value, rel=1e-12)
    assert found.value <= longest.value * (1 + 1e-12)


@pytest.mark.parametrize("apart", [1e-8, 1e-7, 9e-7])
def test_bounds_hold_where_the_sums_of_weights_differ(rng, apart):
    cost = np.array([[0.0, 1.0], [1.0, 0.0]])
    for _ in range(100):
        a = rng.random(2)
        b = a * (1 + apart * rng.uniform(0.9, 1))
        try:
            found = ot.solve_cost(cost, a, b)
        except ot.NotConverged as error:
            found = error
        cases.check_bounds_exactly(found, naive.exact_cost(cost.tolist(), a.tolist(), b.tolist()))


@pytest.mark.parametrize("weights", [[1e-320, 3e-320, 5e-320], [1e-310, 2e-310, 1e-312], [1e-300, 2e-300, 1e-302]])
@pytest.mark.parametrize("scale", [1.0, 1e200])
def test_masses_below_the_normal_numbers_keep_their_digits(rng, weights, scale):
    cost, b = rng.random((3, 3)) * scale, weights[::-1]
    truth = naive.exact_cost(cost.tolist(), weights, b)
    found = ot.solve_cost(cost, weights, b)
    cases.check_bounds_exactly(found, truth)
    assert found.upper - found.lower <= 1e-13 * found.upper + 1e-323
    np.testing.assert_allclose(found.plan.sum(axis=1), weights, rtol=1e-14, atol=1e-323)


def test_bounds_know_what_the_sum_of_the_weights_has_lost():
    # each of eight running sums of numpy stays at 1: so many weights below half an ulp of it are lost
    a = np.full(128, 0.999 * 2.0**-53)
    a[:8] = 1
    truth = sum(map(Fraction, a.tolist()))
    cases.check_bounds_exactly(ot.solve_cost(np.ones((128, 1)), a, [float(truth)]), truth)


def test_coordinates_that_vanish_beside_others_are_said_to():
    with pytest.raises(ot.NotConverged, match="The least coordinates vanish beside the largest") as caught:
        ot.solve([1e-300, 1e300], [0, 1e300])
    assert caught.value.lower <= 5e-301 <= caught.value.upper


def test_a_refusal_of_a_high_order_says_why(rng):
    x, y = rng.normal(size=(2, 30, 2))
    a, b = rng.dirichlet(np.ones(30), 2)
    for options, text in (
        (
            {"a": a, "b": b, "p": 1e9},
            "Costs d**1e+09 need more digits than float64 has, and than weights are given with.",
        ),
        ({"p": 1e9}, "Costs d**1e+09 need more digits than float64 has. Lower `p`, or pass p=inf."),
    ):
        with pytest.raises(ot.NotConverged, match=re.escape(text)):
            ot.wasserstein(x, y, **options)
    assert ot.wasserstein(x, x[::-1], p=1e9) == 0


@pytest.mark.parametrize("p", [90, 155, 400, 1000, 1e6, 1e300])
def test_orders_too_high_for_floats_are_measured_or_refused_but_never_wrong(p):
    # 1000^p and 0.25^p do not fit into one range of floats
    x, y, truth = near_pairs_far_apart(p)
    try:
        assert ot.wasserstein(x, y, p=p) == pytest.approx(truth, rel=1e-10)
    except ot.NotConverged as refusal:
        assert refusal.lower == 0 or p * math.log(truth) >= math.log(refusal.lower)
        assert refusal.upper > 0


@pytest.mark.parametrize("method", ["auto", "network_simplex", "lp"])
def test_a_plan_that_the_potentials_cannot_tell_from_cheaper_ones_is_refused(method):
    costs = [[1e-17, 1e18, 1e-13], [1e-15, 10, 1e-11], [1e-18, 1e-18, 1e9]]
    try:
        found = ot.solve_cost(costs, [3, 1, 3], [1, 3, 3], method=method).cost
    except ot.NotConverged as refused:
        assert refused.lower <= 3.01e-13 <= refused.upper
    else:
        assert found == pytest.approx(3.0100200000000003e-13, rel=1e-3)


@pytest.mark.parametrize("shape", [(10, 15), (40, 60)])
@pytest.mark.parametrize("span", [40, 60, 250])
def test_costs_over_many_decades_are_certified(span, shape, monkeypatch):
    for seed in range(50):
        costs = 10.0 ** np.random.default_rng(seed).uniform(-0.8 * span, 0.2 * span, shape)
        all_masses = np.repeat(np.repeat(costs, 3, axis=0), 2, axis=1)
        least = all_masses[linear_sum_assignment(all_masses)].sum() / len(all_masses)
        found = ot.solve_cost(costs)
        assert found.cost == pytest.approx(least, rel=1e-12) and found.gap <= 1e-9
        with monkeypatch.context() as patched:
            patched.setattr(network_simplex, "_at_once", lambda n, m: False)
            assert ot.solve_cost(costs).cost == pytest.approx(least, rel=1e-12)


@pytest.mark.parametrize("method", ["1d", "network_simplex", "multiscale", "lp"])
def test_one_atom_with_nearly_all_the_mass_costs_no_digits(method):
    x, y = [[0.0], [3.0]], [[0.0], [3.0], [0.0], [0.0], [0.0]]
    found = ot.solve(x, y, [1, 1e-30], [1, 1e-12, 1e-12, 1e-12, 1e-12], method=method)
    assert found.lower <= 3e-12 <= found.upper and found.gap <= 1e-9


@pytest.mark.parametrize("method", ["auto", "assignment", "network_simplex", "multiscale"])
@pytest.mark.parametrize("d", [1, 2])
def test_the_least_move_that_floats_can_tell_lies_within_the_bounds(d, method):
    x = np.zeros((2, d))
    x[1, 0] = 0.9
    y = x.copy()
    y[0, 0] = 5e-324
    try:
        found = ot.solve(x, y, p=1, method=method)
    except ot.NotConverged as refused:
        found = refused
    assert Fraction(found.lower) <= Fraction(5e-324) / 2 <= Fraction(found.upper)


@pytest.mark.parametrize("method", ["1d", "network_simplex", "multiscale"])
def test_high_orders_of_weighted_points_are_right_or_refused(rng, method):
    x, y = np.sort(rng.normal(size=(2, 30)))
    a, b = rng.dirichlet(np.ones(30), 2)
    ends = [np.cumsum([Fraction(mass) for mass in side / side.sum()]) for side in (a, b)]
    cuts = np.sort(np.concatenate(ends)[:-1])
    i, j = (np.minimum(np.searchsorted(one, cuts), 29) for one in ends)
    mass = np.diff(cuts, prepend=Fraction(0)).astype(float)
    for p in (10, 20, 50):
        truth = float(mass @ np.abs(x[i] - y[j]) ** p)
        try:
            found = ot.solve(x, y, a, b, p=p, method=method)
        except ot.NotConverged as refused:
            assert p == 50 and method != "1d"  # the line's potentials are as small as the moves
            found = refused
        else:
            assert found.cost == pytest.approx(truth, rel=1e-6)  # as well as rounded weights tell it
        assert found.lower <= truth * (1 + 1e-12) and found.upper >= truth * (1 - 1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_high_orders_of_large_clouds_are_certified(rng, weighted):
    x, y = rng.normal(size=(2, 1000, 2))
    a, b = rng.dirichlet(np.ones(1000), 2) if weighted else (None, None)
    found = ot.solve(x, y, a, b, p=12)
    assert found.method == "multiscale"
    assert found.value == pytest.approx(ot.wasserstein(x, y, a, b, p=12, method="network_simplex"), rel=1e-9)


def test_matched_costs_that_vanish_beside_others_are_refused():
    for large in (1e200, 1e300):
        with pytest.raises(ot.NotConverged) as caught:
            ot.linear_assignment([[1 / large, large], [large, 3 / large]])
        assert caught.value.lower <= 4 / large <= caught.value.upper


@pytest.mark.parametrize("exponent", [-300, -77, -40, 40, 77, 200])
def test_bounds_hold_where_the_order_is_no_fraction(exponent):
    """The unit of the cost is then 2**(shift * p), whose exponent has itself been rounded."""
    move, p = math.ldexp(3.0, exponent), math.pi
    result = ot.solve([[0.0]], [[move]], p=p)
    with localcontext(prec=50):
        truth = Decimal(move) ** Decimal(p)
        assert Decimal(result.lower) <= truth <= Decimal(result.upper)
        assert Decimal(result.f[0]) + Decimal(result.g[0]) <= truth


@pytest.mark.parametrize("metric", ["cityblock", "euclidean", "chebyshev"])
def test_high_powers_of_long_sums_are_floats(metric):
    """Each coordinate lies within one unit, the distance does not: its 1,000th power would be infinite."""
    x, y = np.zeros((1, 4)), np.full((1, 4), 0.99)
    longest = {"cityblock": 3.96, "euclidean": 1.98, "chebyshev": 0.99}[metric]
    for unit in (1.0, 1e-12):
        assert ot.wasserstein(x * unit, y * unit, p=1000, metric=metric) == pytest.approx(longest * unit, rel=1e-14)
