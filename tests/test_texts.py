"""What the four source texts claim, checked; and what they get wrong, shown. docs/errata.md names these tests."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from pathlib import Path

import naive
import numpy as np
import pytest
from scipy.optimize import linprog

import ot_distances as ot
from benchmarks import texts

DOCS = Path(__file__).parents[1] / "docs"
LOG2 = math.log(2)


@pytest.fixture
def blocks():
    return texts.distances(texts.SOURCES, texts.TARGETS), texts.BLOCKS, texts.ROOM


def test_the_texts_plans_move_all_blocks_and_cost_42(blocks):
    cost, a, b = blocks
    for plan in (texts.GAMMA_1, texts.GAMMA_2):
        assert (plan.sum(1) == a).all() and (plan.sum(0) == b).all()
        assert (plan * cost).sum() == 42
        assert ot.verify(cost, a, b, plan=plan).optimal


def test_every_plan_of_the_blocks_costs_42(blocks):
    cost, a, b = blocks
    assert ot.lp_primal(cost, a, b).cost == 42
    assert -ot.lp_primal(-cost, a, b).cost == 42
    dual = ot.lp_dual(cost, a, b)
    assert a @ dual.f + b @ dual.g == pytest.approx(42, rel=1e-14)
    for method in ("auto", "network_simplex", "lp"):
        assert ot.solve_cost(cost, a, b, method=method).cost == 42


def test_the_normalised_blocks_are_at_distance_7():
    assert ot.wasserstein(texts.SOURCES, texts.TARGETS, texts.BLOCKS / 6, texts.ROOM / 6) == pytest.approx(7, rel=1e-15)


def test_plans_differ_in_cost_where_sources_and_targets_interlace():
    cost = texts.distances(np.array([1, 3]), np.array([2, 4]))
    assert ot.linear_assignment(cost).cost == 2
    assert ot.linear_assignment(cost, maximize=True).cost == 4


def test_the_blocks_constraints_are_7_by_12_of_rank_6(blocks):
    _, a, b = blocks
    matrix = ot.lp_constraints(3, 4).toarray()
    assert matrix.shape == (7, 12) and np.linalg.matrix_rank(matrix) == 6
    for plan in (texts.GAMMA_1, texts.GAMMA_2):
        assert (matrix @ plan.ravel() == np.concatenate([a, b])).all()


def test_primal_equals_dual_with_complementary_slackness_for_the_three_costs_of_the_texts():
    for name, residuals in texts.duality_residuals(30).items():
        assert max(residuals) <= 1e-12, name


def test_entries_of_the_optimal_plan_may_be_zero_and_most_are(rng):
    # the article asks for pi_ij > 0; no plan between 8 and 8 uniform atoms of least cost has that
    cost = rng.random((8, 8))
    plan = ot.solve_cost(cost).plan
    assert plan.nnz == 8
    positive = linprog(
        cost.ravel(), A_eq=naive.constraint_matrix(8, 8), b_eq=np.full(16, 1 / 8), bounds=(1e-3, None), method="highs"
    )
    assert positive.fun > ot.solve_cost(cost).cost * 1.01


def test_strong_duality_needs_a_feasible_side():
    # masses 1 and 2: the primal has no plan, the dual no bound
    matrix, masses = naive.constraint_matrix(2, 2), np.array([0.5, 0.5, 1.0, 1.0])
    cost = np.array([0.0, 1.0, 1.0, 0.0])
    assert linprog(cost, A_eq=matrix, b_eq=masses, method="highs").status == 2
    dual = linprog(-masses, A_ub=matrix.T, b_ub=cost, bounds=(None, None), method="highs")
    assert dual.status in (3, 4)
    with pytest.raises(ValueError, match="same sum"):
        ot.lp_primal(cost.reshape(2, 2), masses[:2], masses[2:])


def test_the_infimum_is_a_minimum_here_and_plans_have_a_dearest(blocks):
    # {x: 1 < x < 3} has the infimum 1 and no least element; plans form a compact polytope, which has both ends
    cost, a, b = np.array([[1.0, 3.0], [1.0, 1.0]]), [0.5, 0.5], [0.5, 0.5]
    least, most = ot.lp_primal(cost, a, b), ot.lp_primal(-cost, a, b)
    assert (least.plan.toarray() * cost).sum() == least.cost == 1
    assert (most.plan.toarray() * cost).sum() == -most.cost == 2


def test_with_uniform_atoms_every_sample_is_used_exactly_once(rng):
    x, y = rng.random((16, 2)), rng.random((16, 2))
    plan = ot.solve(x, y, method="network_simplex").plan
    assert sorted(plan.coords[0].tolist()) == sorted(plan.coords[1].tolist()) == list(range(16))
    assert plan.data == pytest.approx(np.full(16, 1 / 16), rel=1e-15)
    linear = naive.linear_program(naive.ground_cost(x, y), np.full(16, 1 / 16), np.full(16, 1 / 16))
    assert ot.linear_assignment(naive.ground_cost(x, y)).cost / 16 == pytest.approx(linear, rel=1e-12)


LINE = texts.distances(np.arange(3), np.arange(3))


def test_g_is_minus_f_for_a_metric_cost(rng):
    for ground in list(texts.GROUND_COSTS.values())[:2]:
        points = rng.random((9, 2))
        cost = ground(points, points)
        p, q = rng.dirichlet(np.ones(9)), rng.dirichlet(np.ones(9))
        result = ot.kantorovich_rubinstein(cost, p, q)
        assert np.abs(result.f + result.g).max() <= 1e-15
        assert result.value == pytest.approx(ot.solve_cost(cost, p, q).cost, rel=1e-12)
        assert texts.reduced_dual(cost, p, q) == pytest.approx(result.value, rel=1e-10)


def test_g_is_not_minus_f_for_squared_cost():
    p, q = np.array([1.0, 0, 0]), np.array([0, 0, 1.0])
    assert ot.solve_cost(LINE**2, p, q).cost == 4
    assert texts.reduced_dual(LINE**2, p, q) == pytest.approx(2, abs=1e-12)
    assert naive.lipschitz_dual(LINE**2, p, q) == pytest.approx(2, abs=1e-12)
    with pytest.raises(ValueError, match="triangle"):
        ot.kantorovich_rubinstein(LINE**2, p, q)


def test_raising_g_to_minus_f_can_break_feasibility():
    # the step of the article's proof: g <= -f holds, -f in its place violates f(x) + g(y) <= d(x, y)
    p, q = np.array([1.0, 0, 0]), np.array([0, 0, 1.0])
    f = ot.lp_dual(LINE**2, p, q).f
    assert (np.subtract.outer(f, f) - LINE**2).max() > 0


def test_both_potentials_must_live_on_the_union_of_the_supports():
    # on {0} and {2} alone there is no middle point, and the square of one distance passes for a metric
    cost = np.array([[0.0, 4.0], [4.0, 0.0]])
    assert ot.kantorovich_rubinstein(cost, [1, 0], [0, 1]).value == 4
    assert texts.reduced_dual(LINE**2, np.array([1.0, 0, 0]), np.array([0, 0, 1.0])) == pytest.approx(2)


@pytest.mark.parametrize("constant", [0.1, 1, 3])
def test_k_lipschitz_critics_report_k_times_the_distance(rng, constant):
    points = rng.random((12, 2))
    cost = naive.ground_cost(points, points)
    p, q = rng.dirichlet(np.ones(12)), rng.dirichlet(np.ones(12))
    exact = ot.kantorovich_rubinstein(cost, p, q)
    assert naive.lipschitz_dual(cost, p, q, constant) == pytest.approx(constant * exact.value, rel=1e-9)
    assert (constant * exact.f) @ (p - q) == pytest.approx(constant * exact.value, rel=1e-12)


def test_a_family_of_critics_gives_a_lower_bound(rng):
    # max over a parametric family inside the ball <= sup over the ball: here, all functions of one direction
    x, y = rng.random((20, 2)), rng.random((20, 2)) + 0.3
    exact = ot.wasserstein(x, y)
    angles = np.linspace(0, 2 * math.pi, 60)
    critics = [np.array([math.cos(angle), math.sin(angle)]) for angle in angles]
    best = max((x @ w).mean() - (y @ w).mean() for w in critics)
    assert 0 < best < exact


def test_the_lipschitz_constant_is_a_supremum_over_all_pairs():
    # one quotient (f(x) - f(y)) / d is not the norm: it may be 0 while another is 1
    f = ot.kantorovich_rubinstein(LINE, [1.0, 0, 0], [0, 0, 1.0]).f
    quotients = np.abs(f[:, None] - f)[LINE > 0] / LINE[LINE > 0]
    assert quotients.max() == pytest.approx(1)
    bent = np.array([0.0, 1.0, 0.0])
    quotients = np.abs(bent[:, None] - bent)[LINE > 0] / LINE[LINE > 0]
    assert quotients.min() == 0 and quotients.max() == 1


def test_the_gradient_is_bounded_in_the_dual_norm():
    along_an_axis, per_euclidean_length = texts.corner_slopes()
    assert along_an_axis == pytest.approx(1)
    assert per_euclidean_length == pytest.approx(math.sqrt(2))


def test_total_variation_is_a_supremum_over_events_not_points(rng):
    p, q = rng.dirichlet(np.ones(6)), rng.dirichlet(np.ones(6))
    assert ot.total_variation(p, q) == pytest.approx(naive.total_variation(p, q), rel=1e-13)
    assert np.abs(p - q).max() < ot.total_variation(p, q)


def test_kl_breaks_symmetry_and_the_triangle_inequality():
    p, t, q = [0.9, 0.1], [0.5, 0.5], [0.1, 0.9]
    assert ot.kl_divergence(p, q) > ot.kl_divergence(p, t) + ot.kl_divergence(t, q)
    assert ot.kl_divergence([0.9, 0.1], t) != ot.kl_divergence(t, [0.9, 0.1])


def test_kl_is_cross_entropy_less_entropy_summed_over_the_atoms(rng):
    p, q = rng.dirichlet(np.ones(5)), rng.dirichlet(np.ones(5))
    cross, entropy = -math.fsum(p * np.log(q)), -math.fsum(p * np.log(p))
    assert ot.kl_divergence(p, q) == pytest.approx(cross - entropy, rel=1e-12)


def test_kl_is_infinite_not_meaningless_without_overlap_and_under_partial_overlap():
    assert ot.kl_divergence([1, 0], [0, 1]) == math.inf
    assert ot.kl_divergence([0.5, 0.5, 0], [0.5, 0, 0.5]) == math.inf


def test_js_is_zero_exactly_for_equal_laws_and_log_2_for_disjoint_ones(rng):
    p = rng.dirichlet(np.ones(5))
    assert ot.js_divergence(p, p) == 0
    nudged = p.copy()
    nudged[:2] += [1e-9, -1e-9]
    assert ot.js_divergence(p, nudged) > 0
    assert ot.js_divergence([0.5, 0.5, 0, 0], [0, 0, 0.3, 0.7]) == pytest.approx(LOG2, rel=1e-15)


def test_js_without_its_halves_tends_to_twice_log_2():
    p, q = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    mixture = (p + q) / 2
    assert ot.kl_divergence(p, mixture) + ot.kl_divergence(q, mixture) == pytest.approx(2 * LOG2)


def test_the_loss_at_the_best_critic_is_twice_js_less_twice_log_2(rng):
    for _ in range(1000):
        p, q = rng.dirichlet(np.full(6, 0.4)), rng.dirichlet(np.full(6, 0.4))
        loss = texts.gan_loss(p, q, texts.best_critic(p, q))
        assert loss == pytest.approx(2 * ot.js_divergence(p, q) - 2 * LOG2, abs=1e-12)


def test_no_critic_beats_p_over_p_plus_q(rng):
    p, q = rng.dirichlet(np.ones(6)), rng.dirichlet(np.ones(6))
    critic = texts.best_critic(p, q)
    best = texts.gan_loss(p, q, critic)
    for _ in range(100):
        assert texts.gan_loss(p, q, np.clip(critic + rng.normal(0, 0.1, 6), 1e-6, 1 - 1e-6)) < best
    # a critic of one free logit for each atom climbs there by gradient ascent
    logits = np.zeros(6)
    for _ in range(20_000):
        found = 1 / (1 + np.exp(-logits))
        logits += p * (1 - found) - q * found
    assert found == pytest.approx(critic, abs=1e-3)


def test_disjoint_laws_leave_the_loss_at_zero_not_js():
    p, q = np.array([0.5, 0.5, 0, 0]), np.array([0, 0, 0.5, 0.5])
    assert texts.gan_loss(p, q, texts.best_critic(p, q)) == 0
    assert 2 * ot.js_divergence(p, q) - 2 * LOG2 == pytest.approx(0, abs=1e-15)


def test_at_equal_laws_the_best_critic_is_a_half_and_the_loss_minus_twice_log_2(rng):
    p = rng.dirichlet(np.ones(6))
    assert (texts.best_critic(p, p) == 0.5).all()
    assert texts.gan_loss(p, p, texts.best_critic(p, p)) == pytest.approx(-2 * LOG2, rel=1e-14)


def test_a_logarithm_of_base_ten_moves_the_loss_and_not_the_best_critic(rng):
    p, q = rng.dirichlet(np.ones(4)), rng.dirichlet(np.ones(4))
    grid = np.linspace(0.001, 0.999, 999)
    for k in range(4):
        natural = p[k] * np.log(grid) + q[k] * np.log(1 - grid)
        decimal = p[k] * np.log10(grid) + q[k] * np.log10(1 - grid)
        assert natural.argmax() == decimal.argmax()
        assert grid[decimal.argmax()] == pytest.approx(texts.best_critic(p, q)[k], abs=1e-3)
    decimal_loss = texts.gan_loss(p, q, texts.best_critic(p, q)) / math.log(10)
    in_base_ten = 2 * ot.js_divergence(p, q, base=10) - 2 * math.log10(2)
    assert decimal_loss == pytest.approx(in_base_ten, rel=1e-12)
    assert decimal_loss != pytest.approx(in_base_ten * math.log(10), rel=1e-3)


def test_the_two_generator_losses_share_a_fixed_point_and_not_a_gradient():
    # with s the critic's logit at a fake sample: d/ds log(1 - D) = -D, and d/ds (-log D) = -(1 - D)
    step = 1e-6

    def critic(s):
        return 1 / (1 + math.exp(-s))

    def slope(loss, s):
        return (loss(s + step) - loss(s - step)) / (2 * step)

    def saturating(s):
        return math.log(1 - critic(s))

    def other(s):
        return -math.log(critic(s))

    for s in (-9.0, -2.0, 0.0, 2.0):
        assert slope(saturating, s) == pytest.approx(-critic(s), rel=1e-3)
        assert slope(other, s) == pytest.approx(-(1 - critic(s)), rel=1e-3)
        assert slope(saturating, s) < 0 and slope(other, s) < 0  # both push the same way
    assert slope(other, -9.0) / slope(saturating, -9.0) > 5000  # a critic that is sure of itself


def test_segments_at_a_distance_have_the_texts_values():
    shift = ot.theta_shift([-2, -0.5, 0, 1e-9, 0.5, 2], n=64)
    away = shift.theta != 0
    assert (shift.kl == np.where(away, math.inf, 0)).all()
    assert np.abs(shift.js - np.where(away, LOG2, 0)).max() <= 1e-15
    assert (shift.tv == np.where(away, 1, 0)).all()
    assert np.abs(shift.w1_sampled - np.abs(shift.theta)).max() <= 1e-12


def test_the_distance_of_segments_is_the_modulus_of_theta_with_a_kink_at_zero():
    shift = ot.theta_shift([-0.5, 0.5], n=32)
    assert (shift.w1 == 0.5).all()  # not theta: one of them is negative
    assert shift.dw_dtheta.tolist() == [-1, 1] and shift.dw_sampled == pytest.approx([-1, 1], abs=1e-12)
    step = 1e-3
    left, middle, right = ot.theta_shift([-step, 0, step], n=32).w1_sampled
    assert (middle - left) / step == pytest.approx(-1) and (right - middle) / step == pytest.approx(1)


def test_w_is_continuous_where_js_jumps():
    thetas = [10.0**-k for k in range(1, 13)]
    shift = ot.theta_shift(thetas, n=16)
    assert all(low < high for high, low in pairwise(shift.w1_sampled))
    assert shift.w1_sampled[-1] <= 1.1e-12
    assert shift.js == pytest.approx(np.full(12, LOG2)) and ot.theta_shift([0.0]).js[0] == 0


EUCLIDEAN, SQUARED = texts.GROUND_COSTS["euclidean"], texts.GROUND_COSTS["sqeuclidean"]


def moved_cube(rng, n, d):
    return rng.random((n, d)), rng.random((n, d)) + np.eye(d)[0]


@pytest.mark.parametrize("ground", [EUCLIDEAN, SQUARED], ids=["metric", "squared"])
@pytest.mark.parametrize("d", [1, 2, 10])
def test_the_bias_of_batches_is_never_negative_and_at_most_the_articles_sum(rng, d, ground):
    for m in (1, 4, 16):
        x, y = moved_cube(rng, 64, d)
        _, bias, absolute, _ = texts.batch_bias(x, y, texts.random_batches(rng, 64, m), ground)
        assert -1e-12 <= bias <= absolute + 1e-12


def test_the_articles_sum_is_no_equality(rng):
    # on a line, with all of y to the right of x, every plan costs the same: the bias is 0, the sum is not
    x, y = moved_cube(rng, 256, 1)
    _, bias, absolute, _ = texts.batch_bias(x, y, texts.random_batches(rng, 256, 8), EUCLIDEAN)
    assert abs(bias) <= 1e-12 and absolute > 0.1


def test_the_articles_bound_holds_for_a_metric_and_fails_for_squared_cost(rng):
    for d in (1, 2):
        x, y = moved_cube(rng, 128, d)
        batches = texts.random_batches(rng, 128, 8)
        _, _, absolute, limit = texts.batch_bias(x, y, batches, EUCLIDEAN)
        assert absolute <= limit + 1e-12
    x, y = moved_cube(rng, 128, 1)
    _, _, absolute, limit = texts.batch_bias(x, y + 3, texts.random_batches(rng, 128, 8), SQUARED)
    assert absolute > 5 * limit


@pytest.mark.parametrize("ground", [EUCLIDEAN, SQUARED], ids=["metric", "squared"])
def test_batches_along_the_optimal_matching_have_no_bias(rng, ground):
    x, y = moved_cube(rng, 64, 2)
    _, bias, _, _ = texts.batch_bias(x, y, texts.aligned_batches(x, y, 8, ground), ground)
    assert abs(bias) <= 1e-13


def test_the_bias_falls_with_the_batch_and_with_batches_that_follow_the_data(rng):
    x, y = moved_cube(rng, 256, 2)
    random = {m: texts.batch_bias(x, y, texts.random_batches(rng, 256, m), EUCLIDEAN)[1] for m in (4, 16, 64)}
    follow = {m: texts.batch_bias(x, y, texts.stratified_batches(rng, x, y, m), EUCLIDEAN)[1] for m in (4, 16, 64)}
    assert random[4] > random[16] > random[64] and follow[4] > follow[16] > follow[64]
    assert all(follow[m] < random[m] for m in random)
    assert follow[4] > 1e-3  # following the data alone does not make the bias vanish


def test_in_ten_dimensions_following_the_data_helps_little(rng):
    x, y = moved_cube(rng, 256, 10)
    random = texts.batch_bias(x, y, texts.random_batches(rng, 256, 16), EUCLIDEAN)[1]
    follow = texts.batch_bias(x, y, texts.stratified_batches(rng, x, y, 16), EUCLIDEAN)[1]
    assert 0.7 * random < follow < 1.1 * random


def test_the_page_of_results_is_what_its_generator_writes():
    assert (DOCS / "texts.md").read_text("utf-8") == texts.page()


def test_the_errata_name_tests_that_exist():
    text = (DOCS / "errata.md").read_text("utf-8")
    named = set(re.findall(r"`(test_\w+)`", text))
    assert len(named) >= 12
    assert not {name for name in named if name not in globals()}
    for row in re.findall(r"^\|.*\|$", text, re.MULTILINE):
        assert row.count("|") - row.count(r"\|") == 5, f"not four columns: {row}"
