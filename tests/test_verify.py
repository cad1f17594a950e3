"""`verify` judges any library's answer: right ones pass, wrong ones do not, and the numbers say by how much."""

from __future__ import annotations

import math

import cases
import naive
import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from scipy.optimize import linear_sum_assignment

import ot_distances as ot


@pytest.fixture
def problem(rng):
    cost, a, b = rng.random((7, 5)), rng.random(7), rng.random(5)
    a, b = a / a.sum(), b / b.sum()
    return cost, a, b, ot.lp_primal(cost, a, b)


@pytest.mark.parametrize("given_parts", ["plan", "f", "g", "plan f", "plan g", "f g", "plan f g"])
def test_a_right_answer_passes_whatever_part_is_given(problem, given_parts):
    cost, a, b, right = problem
    parts = {name: getattr(right, name) for name in given_parts.split()}
    verdict = ot.verify(cost, a, b, **parts)
    assert isinstance(verdict, ot.Certificate)
    assert verdict.optimal is True
    assert verdict.primal == pytest.approx(right.cost, rel=1e-12)
    assert verdict.dual == pytest.approx(right.cost, rel=1e-12)
    assert 0 <= verdict.gap <= 1e-9
    assert verdict.marginal_error <= 1e-15 and verdict.dual_violation <= 1e-15


@pytest.mark.parametrize("form", [np.asarray, np.asfortranarray, scipy.sparse.coo_array, scipy.sparse.csr_matrix, list])
def test_a_plan_may_be_dense_or_sparse(problem, form):
    cost, a, b, right = problem
    verdict = ot.verify(cost, a, b, plan=form(right.plan.toarray()))
    assert verdict.optimal and verdict.primal == pytest.approx(right.cost, rel=1e-12)


@pytest.mark.parametrize(("p", "metric"), [(1, "euclidean"), (2, "euclidean"), (1, "sqeuclidean"), (3, "cityblock")])
def test_points_are_judged_like_their_cost_matrix(rng, p, metric):
    x, y = rng.random((8, 2)), rng.random((6, 2))
    right = ot.solve(x, y, p=p, metric=metric)
    for parts in ({"plan": right.plan}, {"f": right.f, "g": right.g}, {"g": right.g}):
        verdict = ot.verify((x, y), p=p, metric=metric, **parts)
        assert verdict.optimal
        assert verdict.primal == pytest.approx(right.cost, rel=1e-12)


def test_scipys_assignment_passes(rng):
    for n in (1, 2, 20, 60):
        cost = rng.random((n, n))
        rows, cols = linear_sum_assignment(cost)
        plan = np.zeros((n, n))
        plan[rows, cols] = 1 / n
        verdict = ot.verify(cost, plan=plan)
        assert verdict.optimal
        assert verdict.primal == pytest.approx(cost[rows, cols].mean(), rel=1e-13)


@given(cases.transport_problems())
def test_our_own_answers_pass(problem):
    cost, a, b = problem
    result = ot.solve_cost(cost, a, b)
    assert ot.verify(cost, a, b, plan=result.plan).optimal
    assert ot.verify(cost, a, b, plan=result.plan, f=result.f, g=result.g).optimal
    assert ot.verify(cost, a, b, f=result.f, g=result.g).optimal


def test_potentials_may_differ_by_a_constant(problem):
    cost, a, b, right = problem
    verdict = ot.verify(cost, a, b, f=right.f + 3.5, g=right.g - 3.5)
    assert verdict.optimal and verdict.dual == pytest.approx(right.cost, rel=1e-12)


def test_a_dear_plan_is_refused(problem):
    cost, a, b, right = problem
    plan = np.outer(a, b)
    verdict = ot.verify(cost, a, b, plan=plan)
    assert verdict.optimal is False
    assert verdict.marginal_error <= 1e-15
    assert verdict.primal == pytest.approx((plan * cost).sum(), rel=1e-13)
    assert verdict.primal > right.cost * 1.1
    assert verdict.dual <= right.cost * (1 + 1e-13)
    assert verdict.gap > 1e-3


@given(cases.exact_problems())
def test_a_plan_is_accepted_exactly_if_it_is_optimal(problem):
    cost, a, b = problem
    a, b = a.astype(float), b.astype(float)
    plan = np.outer(a, b) / a.sum()
    truth = float(naive.exact_cost(cost.tolist(), a.tolist(), b.tolist()))
    excess = math.fsum((plan * cost).ravel()) - truth
    scale = a.sum() * np.abs(cost).max()
    verdict = ot.verify(cost, a, b, plan=plan)
    if excess > 1e-6 * scale:
        assert not verdict.optimal
    elif excess <= 1e-14 * scale:
        assert verdict.optimal


def test_wrong_marginals_are_measured(problem):
    cost, a, b, right = problem
    plan = right.plan.toarray()
    i, j = np.unravel_index(plan.argmax(), plan.shape)
    plan[i, j] -= 0.01
    verdict = ot.verify(cost, a, b, plan=plan)
    assert verdict.optimal is False
    assert verdict.marginal_error == pytest.approx(0.01, rel=1e-9)


def test_a_cheap_plan_that_moves_too_little_is_no_upper_bound(problem):
    cost, a, b, _ = problem
    verdict = ot.verify(cost, a, b, plan=np.zeros((7, 5)))
    assert verdict.optimal is False
    assert verdict.marginal_error == pytest.approx(max(a.max(), b.max()), rel=1e-12)


def test_a_plan_with_a_negative_entry_is_refused(problem):
    cost, a, b, right = problem
    plan = right.plan.toarray()
    # a cycle of mass: the marginals stay, an entry turns negative
    plan[0, 0] += 1
    plan[0, 1] -= 1
    plan[1, 1] += 1
    plan[1, 0] -= 1
    try:
        verdict = ot.verify(cost, a, b, plan=plan)
    except ValueError as error:
        assert "`plan` must be non-negative" in str(error) and "plan[" in str(error)
    else:
        assert verdict.optimal is False


def test_infeasible_potentials_are_measured(problem):
    cost, a, b, right = problem
    f = right.f.copy()
    f[2] += 0.25
    verdict = ot.verify(cost, a, b, plan=right.plan, f=f, g=right.g)
    slack = (cost[2] - right.f[2] - right.g).min()
    scale = verdict.dual_violation and (0.25 - slack) / verdict.dual_violation
    assert verdict.optimal is False
    assert verdict.dual_violation > 0
    assert cost.mean() / 10 < scale <= cost.max() * 10  # relative to a scale of the cost
    assert verdict.dual <= right.cost * (1 + 1e-13)  # made feasible before they count


def test_feasible_potentials_that_are_too_low_are_refused(problem):
    cost, a, b, right = problem
    verdict = ot.verify(cost, a, b, f=right.f - 0.2, g=np.zeros(5) + cost.min() - right.f.max())
    assert verdict.optimal is False
    assert verdict.dual_violation == 0
    assert verdict.dual <= right.cost * (1 + 1e-13)


def test_a_potential_on_a_point_of_no_weight_must_be_feasible_too():
    cost = np.array([[1.0, 2.0], [0.0, 0.0]])
    a, b = [1.0, 0.0], [0.5, 0.5]
    verdict = ot.verify(cost, a, b, f=[0.0, 5.0], g=[1.0, 2.0])
    assert verdict.optimal is False and verdict.dual_violation > 0


def clouds(rng, n=100):
    return rng.normal(size=(n, 2)), rng.normal(size=(n, 2)) + 1


@pytest.mark.filterwarnings("ignore")
def test_pots_answer_passes_at_coordinates_of_one_and_fails_at_a_ten_millionth(rng):
    pot = pytest.importorskip("ot")
    x, y = clouds(rng)
    weights = np.full(100, 0.01)
    verdicts = {}
    for scale in (1.0, 1e-7):
        cost = pot.dist(x * scale, y * scale)
        plan, log = pot.emd(weights, weights, cost, log=True)
        assert log["warning"] is None  # POT says that it converged
        verdicts[scale] = ot.verify((x * scale, y * scale), metric="sqeuclidean", plan=plan)
        by_cost = ot.verify(cost, weights, weights, plan=plan)
        assert by_cost.optimal == verdicts[scale].optimal
    assert verdicts[1.0].optimal is True
    assert verdicts[1e-7].optimal is False and verdicts[1e-7].gap > 1e-3


@pytest.mark.filterwarnings("ignore")
def test_pots_wrong_potentials_are_caught_too(rng):
    pot = pytest.importorskip("ot")
    x, y = clouds(rng)
    weights = np.full(100, 0.01)
    cost = pot.dist(x * 1e-7, y * 1e-7)
    _, log = pot.emd(weights, weights, cost, log=True)
    verdict = ot.verify(cost, weights, weights, f=log["u"], g=log["v"])
    truth = ot.solve_cost(cost).cost
    assert verdict.optimal is False
    assert verdict.dual <= truth * (1 + 1e-12)


@pytest.mark.filterwarnings("ignore")
def test_pots_batch_solver_is_caught(rng):
    batch = pytest.importorskip("ot.batch")
    x, y = rng.normal(size=(4, 32, 2)), rng.normal(size=(4, 32, 2))
    answer = batch.solve_sample_batch(x, y)
    for k in range(4):
        verdict = ot.verify((x[k], y[k]), metric="sqeuclidean", plan=np.asarray(answer.plan[k]))
        assert verdict.optimal is False
        assert verdict.gap > 1e-3


def test_a_float32_plan_passes_only_if_the_tolerance_is_its_own(problem):
    cost, a, b, right = problem
    verdict = ot.verify(cost, a, b, plan=right.plan.toarray().astype(np.float32))
    # its marginals are off by a float32 rounding, and the number says so
    assert 1e-10 < verdict.marginal_error < 1e-6


def test_masses_below_the_normal_numbers_are_judged(problem):
    cost, a, b, right = problem
    verdict = ot.verify(cost, a * 1e-310, b * 1e-310, plan=right.plan * 1e-310, f=right.f, g=right.g)
    assert verdict.optimal and verdict.dual == pytest.approx(right.cost * 1e-310, rel=1e-11)
