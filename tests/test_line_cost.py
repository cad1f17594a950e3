"""The cost on a line in closed form: bounds that hold exactly, the number of `solve`, and no plan made for it."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import cases
import hypothesis.strategies as st
import naive
import numpy as np
import pytest
from hypothesis import given

import ot_distances as ot
from ot_distances import measures
from ot_distances.solvers import line_cost
from ot_distances.solvers.line_cost import PART, Masses, least_cost, line_distances

INF = math.inf
scales = st.sampled_from((1e-300, 1e-150, 1e-7, 1.0, 1e7, 1e150, 1e300))


def masses_of(a, b, n, m):
    """The masses of a problem as `wasserstein` hands them over; uniform where there are no weights."""
    if a is None and b is None:
        return Masses.uniform(n, m)
    return Masses.of(*measures.integer_masses(*measures.both_weights(a, b, (n, m))))


def least(x, y, a, b, power):
    x, y = np.ravel(x).astype(float), np.ravel(y).astype(float)
    a, b = (None if w is None else np.asarray(w, float) for w in (a, b))
    if a is not None:
        x, y, a, b = x[a > 0], y[b > 0], a[a > 0], b[b > 0]
    return least_cost(x, y, masses_of(a, b, len(x), len(y)), float(power), float(power))


def exact_mean(x, y, a, b, power):
    """The least mean cost as a fraction, by a solver that knows nothing of lines."""
    price = naive.exact_ground_cost(x, y, power, "cityblock")
    a, b = (np.ones(len(points)) if w is None else w.astype(float) for points, w in ((x, a), (y, b)))
    return naive.exact_cost(price, a, b) / sum(map(Fraction, a))


def whole_mean(x, y, a, b, power):
    """The mean over all levels of both quantile functions, for whole coordinates, masses and powers: a fraction."""
    (x, a), (y, b) = ((points[o := np.argsort(points)], np.cumsum(mass[o])) for points, mass in ((x, a), (y, b)))
    cuts = np.union1d(a, b)
    moves = np.abs(x[np.searchsorted(a, cuts)] - y[np.searchsorted(b, cuts)])
    paid = (int(move) ** power * int(mass) for move, mass in zip(moves, np.diff(cuts, prepend=0)))
    return Fraction(sum(paid), int(cuts[-1]))


@given(cases.point_sets(max_n=5, dims=(1,)), st.sampled_from((1, 2, 3, 7)), scales)
def test_bounds_hold_exactly_and_the_number_lies_within(problem, power, scale):
    x, y, a, b = problem
    x, y = x * scale, y * scale
    found = least(x, y, a, b, power)
    truth = exact_mean(x, y, a, b, power) / Fraction(found.unit) ** power
    cases.check_bounds_exactly(found.bounds, truth)
    assert found.bounds.lower <= found.mean <= found.bounds.upper
    if a is None:
        assert found.bounds.gap <= 1e-13


@given(cases.point_sets(max_n=5, dims=(1,), kinds=("general", "grid", "integers")), scales)
def test_the_longest_move_is_found_exactly(problem, scale):
    x, y, a, b = problem
    x, y = x * scale, y * scale
    w = [np.ones(len(points)) if w is None else w.astype(float) for points, w in ((x, a), (y, b))]
    if all(float(each).is_integer() for each in itertools.chain(*w)):  # others are told up to their rounding
        truth = naive.bottleneck(naive.exact_ground_cost(x, y, 1, "cityblock"), *w)
        cases.check_bounds_exactly(least(x, y, a, b, INF).bounds, truth)


@given(cases.point_sets(max_n=12, dims=(1,)), st.sampled_from((*cases.ORDERS, 10)), st.sampled_from(cases.METRICS))
def test_it_is_the_number_of_solve(problem, p, metric):
    x, y, a, b = problem
    if metric == "sqeuclidean":
        p = 1
    solved = ot.solve(x, y, a, b, p=p, metric=metric)
    for method in ("auto", "1d"):
        assert ot.wasserstein(x, y, a, b, p=p, metric=metric, method=method) == pytest.approx(
            solved.value, rel=1e-12, abs=0
        )
    assert ot.wasserstein(y, x, b, a, p=p, metric=metric) == pytest.approx(solved.value, rel=1e-9, abs=1e-300)


@pytest.mark.parametrize(("n", "m"), [(PART, PART), (PART + 1, PART + 1), (3 * PART, 2 * PART + 1), (2 * PART + 7, 5)])
@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_many_atoms_are_added_up_in_parts(rng, n, m, p, weighted):
    x, y = rng.integers(-1000, 1000, n), rng.integers(-500, 2000, m)
    a, b = np.full(n, m), np.full(m, n)
    if weighted:
        a, b = rng.integers(0, 9, n), rng.integers(0, 9, m)
        a, b = a * b.sum(), b * a.sum()
    found = least(x, y, *(a, b) if weighted else (None, None), p)
    cases.check_bounds_exactly(found.bounds, whole_mean(x, y, a, b, p) / Fraction(found.unit) ** p)
    assert found.mean * found.unit**p == pytest.approx(float(whole_mean(x, y, a, b, p)), rel=1e-14)
    assert found.bounds.gap <= 1e-11


def test_ties_of_points_and_of_masses_count_once():
    x, y = [0.0, 0.0, 1.0, 5.0], [1.0, 3.0, 1.0, 3.0]
    assert ot.wasserstein(x, y) == 6 / 4
    assert ot.wasserstein(x, y, [0.5] * 4, [0.5] * 4) == 6 / 2
    assert ot.wasserstein(x, y, [1, 1, 2, 4], [4, 2, 0, 2]) == 2 * 1 + 2 * 0 + 4 * 2
    assert ot.wasserstein(x, y, [0.1, 0.1, 0.2, 0.4], [0.4, 0.2, 0, 0.2]) == pytest.approx(1, rel=1e-15)


@pytest.mark.parametrize("p", [1, 1.5, 2, 5, INF])
@pytest.mark.parametrize("n", [1, 2, 30, PART])
def test_a_batch_holds_the_distances_of_its_problems(rng, n, p):
    x, y = rng.normal(size=(2, 7, n, 1))
    y[2] = x[2]
    alone = [ot.wasserstein(*pair, p=p) for pair in zip(x, y)]
    assert ot.wasserstein(x, y, p=p) == pytest.approx(alone, rel=1e-14, abs=0)
    assert ot.wasserstein(x, y, p=p, method="1d") == pytest.approx(alone, rel=1e-14, abs=0)
    a = rng.random((7, n)) + 0.1
    weighted = [ot.wasserstein(*pair, w, w[::-1], p=p) for *pair, w in zip(x, y, a)]
    assert ot.wasserstein(x, y, a, a[:, ::-1], p=p) == pytest.approx(weighted, rel=1e-14, abs=0)


@pytest.mark.parametrize("scale", [1e-320, 1e-300, 1e300])
def test_a_batch_may_use_any_unit(rng, scale):
    x, y = rng.normal(size=(2, 5, 4, 1)) * scale
    for p in (1, 2, 3):
        assert ot.wasserstein(x, y, p=p) == pytest.approx([ot.solve(*xy, p=p).value for xy in zip(x, y)], rel=1e-12)


def test_atoms_out_of_order_are_not_added_up(rng, monkeypatch):
    x, y = rng.normal(size=(2, 50))
    right = ot.wasserstein(x, y)
    monkeypatch.setattr(line_cost.np, "sort", lambda points: points.copy())
    bounds = least_cost(x, y, Masses.uniform(50, 50), 1.0, 1.0).bounds
    assert (bounds.lower, bounds.upper) == (0, INF)
    assert line_distances(x[None], y[None], 1.0, 1, 1e-9) is None
    assert ot.wasserstein(x, y) == pytest.approx(right, rel=1e-12)  # by the solver, which sorts for itself


def test_what_the_sum_does_not_tell_is_left_to_the_solver(rng, monkeypatch):
    asked = []
    solved = ot.wasserstein.__globals__["_solve"]
    monkeypatch.setitem(ot.wasserstein.__globals__, "_solve", lambda *a, **k: asked.append(1) or solved(*a, **k))
    x, y = rng.normal(size=(2, 50))
    a, b = rng.dirichlet(np.ones(50), 2)
    ot.wasserstein(x, y), ot.wasserstein(x, y, a, b, p=2), ot.wasserstein(x[None, :, None], y[None, :, None])
    assert asked == []
    assert ot.wasserstein(x, y, rtol=1e-14) == pytest.approx(ot.wasserstein(x, y), rel=1e-13)
    assert len(asked) == 1
    with pytest.raises(ot.NotConverged, match=r"Costs d\*\*1e\+09 need more digits") as caught:
        ot.wasserstein(x, y, a, b, p=1e9)
    assert caught.value.lower <= caught.value.upper and len(asked) == 2


def test_moves_of_any_size_beside_each_other_are_measured():
    assert ot.wasserstein([1e-300, 1e300], [0, 1e300]) == 5e-301
    assert ot.wasserstein([1e-300, 1e300], [0, 1e300], p=2) == pytest.approx(1e-300 / math.sqrt(2), rel=1e-15)
    assert ot.wasserstein([1e-300, 1e300], [0, 1e300], p=INF) == 1e-300
    assert ot.wasserstein([0, 1], [1.5, 3], p=1e4) == pytest.approx(2 / 2**1e-4, rel=1e-12)


@pytest.mark.parametrize("p", [1, 2, INF])
def test_equal_measures_are_at_distance_0_whatever_their_weights(rng, p):
    x, a = rng.normal(size=40) * 1e200, rng.random(40) ** 9
    order = rng.permutation(40)
    assert ot.wasserstein(x, x[order], a, a[order], p=p) == 0


def test_bounds_know_of_weights_too_small_for_integers():
    x, a = np.ones(1001), np.full(1001, 0.4 * 2.0**-60)
    x[0], a[0] = 0.0, 0.5
    found = least(x, [0.0], a, [0.5], 1)
    assert found.mean == 0 and found.bounds.gap <= 1e-9
    cases.check_bounds_exactly(found.bounds, Fraction(1000 * a[1]) / sum(map(Fraction, a)))


def test_bounds_know_of_weights_rounded_to_the_sum_of_the_others(rng):
    for _ in range(200):
        a = rng.random(2)
        b = a[::-1] * (1 + 2.0**-22)
        found = least([0.0, 1.0], [1.0, 1e-9], a, b, 1)
        cases.check_bounds_exactly(found.bounds, exact_mean([0.0, 1.0], [1.0, 1e-9], a, b, 1) / Fraction(found.unit))
