"""KL, Jensen-Shannon and total variation of probability vectors."""

from __future__ import annotations

import itertools
import math
import operator
import re
import sys
import types

import hypothesis.strategies as st
import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis.extra import numpy as hnp

import ot_distances as ot
from ot_distances.divergences import DIVERGENCES

LOG2 = math.log(2)
TINIEST = 5e-324
NAMES = sorted(DIVERGENCES)
UPPER = {"kl_divergence": math.inf, "js_divergence": LOG2, "js_distance": math.sqrt(LOG2), "total_variation": 1.0}
WITH_BASE = ["kl_divergence", "js_divergence", "js_distance"]
SYMMETRIC = ["js_divergence", "js_distance", "total_variation"]


@st.composite
def vectors(draw, count=2, atoms=(1, 8)):
    """Probability vectors on one set of atoms; zeros, ties and very small entries included."""
    size = draw(st.integers(*atoms))
    entries = st.one_of(st.just(0.0), st.just(1.0), st.floats(1e-12, 1.0), st.sampled_from([1e-300, 1e-160, 0.5]))
    found = []
    for _ in range(count):
        masses = draw(hnp.arrays(float, size, elements=entries))
        masses[draw(st.integers(0, size - 1))] += 1.0
        found.append(masses / masses.sum())
    return found


def pairs_at_the_edge(rng, count=100_000, atoms=12):
    """Pairs that break naive formulas: nearly equal at all scales, disjoint, and with subnormal entries."""
    q = rng.gamma(10.0 ** rng.uniform(-2, 1, (count, 1)), size=(count, atoms)) + 1e-300
    q /= q.sum(axis=1, keepdims=True)
    p = q * (1 + 10.0 ** rng.uniform(-17, -1, (count, 1)) * rng.uniform(-1, 1, (count, atoms)))
    third = count // 3
    p[:third, ::2], q[:third, 1::2] = 0.0, 0.0
    shape = (third, atoms // 2)
    p[third : 2 * third, ::2] = rng.integers(0, 3, shape) * TINIEST
    q[third : 2 * third, ::2] = rng.integers(0, 3, shape) * TINIEST
    return p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)


# Known answers and identities


def test_known_values():
    p, q = [0.5, 0.25, 0.25, 0.0], [0.25, 0.25, 0.25, 0.25]
    assert ot.kl_divergence(p, q) == pytest.approx(0.5 * LOG2, rel=1e-15)
    assert ot.kl_divergence(p, q, base=2) == pytest.approx(0.5, rel=1e-15)
    assert ot.total_variation(p, q) == 0.25
    assert ot.js_divergence([1, 0], [0.5, 0.5]) == pytest.approx(0.75 * math.log(4 / 3), rel=1e-15)
    assert ot.js_distance([1, 0], [0.5, 0.5]) == pytest.approx(math.sqrt(0.75 * math.log(4 / 3)), rel=1e-15)


@pytest.mark.parametrize("name", NAMES)
def test_one_atom_is_at_distance_zero_from_itself(name):
    assert DIVERGENCES[name]([1.0], [1.0]) == 0.0


def in_many_digits(p, q):
    """(sum p log p/q - p + q, JS) to 60 digits; the first is KL up to the rounding in the sums of p and q."""
    with mpmath.workdps(60):
        pairs = [(mpmath.mpf(float(a)), mpmath.mpf(float(b))) for a, b in zip(p, q)]
        log_ratio = lambda a, b: a * mpmath.log(a / b) if a else mpmath.mpf(0)  # noqa: E731
        kl = mpmath.fsum(log_ratio(a, b) - a + b for a, b in pairs)
        js = mpmath.fsum(log_ratio(a, (a + b) / 2) + log_ratio(b, (a + b) / 2) for a, b in pairs) / 2
        return float(kl), float(js)


@pytest.mark.parametrize("nearness", [1e-15, 1e-12, 1e-9, 1e-6, 1e-3, 1e-1, None])
def test_values_are_right_relative_to_themselves(nearness, rng):
    for _ in range(40):
        atoms = rng.integers(2, 20)
        q = rng.dirichlet(np.full(atoms, 10 ** rng.uniform(-1, 1))) + 1e-200
        p = rng.dirichlet(np.ones(atoms)) if nearness is None else q * (1 + nearness * rng.uniform(-1, 1, atoms))
        p, q = p / p.sum(), q / q.sum()
        kl, js = in_many_digits(p, q)
        assert ot.kl_divergence(p, q) == pytest.approx(kl, rel=4e-15)
        assert ot.js_divergence(p, q) == pytest.approx(js, rel=4e-15)


@pytest.mark.parametrize("t", [0.2499999, 0.25, 0.2500001, 0.4999999, 0.5, 0.5000001])
def test_values_are_right_where_the_formula_changes(t):
    for sign in (-1, 1):
        p, q = np.array([1 + sign * t, 1 - sign * t]) / 2, np.array([1 - sign * t, 1 + sign * t]) / 2
        kl, js = in_many_digits(p, q)
        assert ot.kl_divergence(p, q) == pytest.approx(kl, rel=2e-15)
        assert ot.js_divergence(p, q) == pytest.approx(js, rel=2e-15)


def test_ratios_beyond_the_range_of_floats():
    kl, js = in_many_digits([1.0, 0.0], [TINIEST, 1.0])
    assert ot.kl_divergence([1.0, 0.0], [TINIEST, 1.0]) == pytest.approx(kl, rel=1e-15)
    assert ot.js_divergence([1.0, 0.0], [TINIEST, 1.0]) == pytest.approx(js, rel=1e-15)
    assert ot.kl_divergence([TINIEST, 1.0], [1.0, 0.0]) == math.inf


@pytest.mark.parametrize("name", NAMES)
def test_near_equal_disjoint_and_subnormal_pairs_stay_in_range(name, rng):
    p, q = pairs_at_the_edge(rng)
    found = DIVERGENCES[name](p, q)
    assert found.shape == (100_000,)
    assert ((found >= 0) & (found <= UPPER[name])).all()  # false for nan
    if name == "kl_divergence":
        np.testing.assert_array_equal(np.isinf(found), ((p > 0) & (q == 0)).any(axis=1))
    else:
        np.testing.assert_allclose(found[:33_333], UPPER[name], rtol=1e-15)  # the disjoint third


def test_scipy_issue_19436():
    assert 0 <= ot.js_divergence([0, 1], [TINIEST, 1]) <= TINIEST


@given(vectors())
def test_kl_is_infinite_exactly_where_q_vanishes_and_p_does_not(pair):
    p, q = pair
    assert math.isinf(ot.kl_divergence(p, q)) == bool(((p > 0) & (q == 0)).any())


@pytest.mark.parametrize("name", NAMES)
@given(pair=vectors())
def test_zero_for_equal_vectors_and_positive_otherwise(name, pair):
    p, q = pair
    divergence = DIVERGENCES[name]
    assert divergence(p, p) == 0.0
    if np.abs(p - q).max() > 1e-150:  # squares of smaller differences underflow
        assert divergence(p, q) > 0.0


@pytest.mark.parametrize("name", NAMES)
def test_sums_off_by_less_than_the_tolerance_cannot_make_it_negative(name):
    for scale in (1 - 1e-6, 1 - 1e-9, 1 + 1e-9, 1 + 1e-6):
        p = np.array([0.2, 0.3, 0.5])
        assert 0 < DIVERGENCES[name](p, scale * p) < 1e-5
        assert DIVERGENCES[name](scale * p, scale * p) == 0
        assert DIVERGENCES[name]([scale, 0.0], [0.0, scale]) <= UPPER[name]


@pytest.mark.parametrize("name", SYMMETRIC)
@given(pair=vectors())
def test_symmetric(name, pair):
    assert DIVERGENCES[name](*pair) == pytest.approx(DIVERGENCES[name](*pair[::-1]), rel=1e-14, abs=1e-300)


def test_kl_is_not_symmetric():
    assert ot.kl_divergence([0.9, 0.1], [0.5, 0.5]) < ot.kl_divergence([0.5, 0.5], [0.9, 0.1])


@pytest.mark.parametrize("name", ["js_distance", "total_variation"])
@given(triple=vectors(count=3))
def test_triangle_inequality(name, triple):
    p, q, r = triple
    d = DIVERGENCES[name]
    assert d(p, r) <= (d(p, q) + d(q, r)) * (1 + 1e-14) + 1e-300


@pytest.mark.parametrize("name", ["kl_divergence", "js_divergence"])
def test_squares_and_kl_break_the_triangle_inequality(name):
    p, q, r = [0.9, 0.1], [0.5, 0.5], [0.1, 0.9]
    d = DIVERGENCES[name]
    assert d(p, r) > 1.1 * (d(p, q) + d(q, r))


@given(vectors())
def test_js_is_log_2_only_for_mutually_singular_vectors(pair):
    p, q = pair
    singular = not ((p > 0) & (q > 0)).any()
    js = ot.js_divergence(p, q)
    if singular:
        assert js == pytest.approx(LOG2, rel=1e-15)
    elif np.minimum(p, q).max() > 1e-14:  # below, an overlap is lost in the rounding of log 2
        assert js < LOG2


@given(vectors(atoms=(1, 10)))
def test_tv_is_the_supremum_over_all_events(pair):
    p, q = pair
    events = np.array(list(itertools.product([0, 1], repeat=p.size)))
    assert ot.total_variation(p, q) == pytest.approx(np.abs(events @ (p - q)).max(), rel=1e-14, abs=1e-15)


@given(vectors())
def test_kl_is_cross_entropy_less_entropy(pair):
    p, q = pair
    q = (q + 1e-3) / (q + 1e-3).sum()
    inside = p > 0
    cross, entropy = -p[inside] @ np.log(q[inside]), -p[inside] @ np.log(p[inside])
    assert ot.kl_divergence(p, q) == pytest.approx(cross - entropy, abs=1e-12)


@given(vectors())
def test_inequalities_between_the_three(pair):
    """Pinsker's: 2 TV^2 <= KL; and Lin's: JS <= log 2 TV."""
    p, q = pair
    tv = ot.total_variation(p, q)
    assert 2 * tv**2 <= ot.kl_divergence(p, q) * (1 + 1e-12) + 1e-300
    assert ot.js_divergence(p, q) <= LOG2 * tv * (1 + 1e-14) + 1e-300


def test_the_best_discriminator_leaves_twice_js_less_log_4(rng):
    """D* = p / (p + q) maximises sum p log D + q log(1 - D), which is concave in D; base 10 moves no argmax."""
    for _ in range(1000):
        p, q = rng.dirichlet(np.ones(6)), rng.dirichlet(np.ones(6))
        best = p / (p + q)
        objective = lambda D: p @ np.log(D) + q @ np.log1p(-D)  # noqa: B023, E731
        assert objective(best) == pytest.approx(2 * ot.js_divergence(p, q) - 2 * LOG2, abs=1e-12)
        in_tens = 2 * ot.js_divergence(p, q, base=10) - 2 * math.log10(2)
        assert objective(best) / math.log(10) == pytest.approx(in_tens, abs=1e-12)
        np.testing.assert_allclose(p / best - q / (1 - best), 0.0, atol=1e-12)  # stationary
        assert (-p / best**2 - q / (1 - best) ** 2 < 0).all()  # concave
        assert objective(best) >= objective(np.clip(best + rng.normal(0, 0.05, 6), 1e-9, 1 - 1e-9))


@pytest.mark.parametrize("name", WITH_BASE)
def test_base_rescales(name, rng):
    p, q = rng.dirichlet(np.ones(5), 2)
    for base in (2, 10.0, np.float32(3.5)):
        unit = math.log(base) if name != "js_distance" else math.sqrt(math.log(base))
        assert DIVERGENCES[name](p, q, base=base) == pytest.approx(DIVERGENCES[name](p, q) / unit, rel=1e-14)
    if name != "kl_divergence":
        assert DIVERGENCES[name]([1, 0], [0, 1], base=2) == 1.0


# What may be passed


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "convert",
    [list, tuple, np.asfortranarray, lambda a: np.repeat(a, 2, axis=-1)[..., ::2], np.float32, np.float16],
    ids=["list", "tuple", "fortran", "strided", "float32", "float16"],
)
def test_any_array_of_numbers_is_accepted(name, convert):
    p, q = np.array([[0.5, 0.5], [0.25, 0.75]]), np.array([[0.125, 0.875], [1.0, 0.0]])
    expected = DIVERGENCES[name](p, q)
    assert expected.dtype == np.float64
    np.testing.assert_array_equal(DIVERGENCES[name](convert(p), convert(q)), expected)


@pytest.mark.parametrize("name", NAMES)
def test_inputs_are_left_alone(name):
    p, q = np.array([1.0, 3.0]), np.array([2.0, 2.0])
    p.flags.writeable = q.flags.writeable = False
    value = DIVERGENCES[name](p, q, normalize=True)
    assert isinstance(value, float)
    assert DIVERGENCES[name]([1, 3], [2, 2], normalize=True) == value


@pytest.mark.parametrize("name", NAMES)
def test_integers_and_booleans_are_numbers(name):
    assert DIVERGENCES[name]([0, 1], np.array([False, True])) == 0.0


@pytest.mark.parametrize("name", NAMES)
def test_batches_broadcast_over_leading_axes(name, rng):
    d = DIVERGENCES[name]
    p, q = rng.dirichlet(np.ones(4), (3, 1)), rng.dirichlet(np.ones(4), 5)
    found = d(p, q)
    assert found.shape == (3, 5)
    for i, j in np.ndindex(3, 5):
        assert found[i, j] == d(p[i, 0], q[j])
    np.testing.assert_allclose(d(np.moveaxis(p, -1, 0), q.T[:, None], axis=0), found, rtol=1e-15)
    np.testing.assert_allclose(d(np.moveaxis(p, -1, 1), q.T, axis=-2), found, rtol=1e-15)
    np.testing.assert_allclose(d(q[0], q.T, axis=0), d(q[0], q), rtol=1e-15)
    assert d(np.ones((0, 1)), np.ones(1)).shape == (0,)


@pytest.mark.parametrize("name", NAMES)
def test_normalize_divides_by_the_sums(name, rng):
    counts_p, counts_q = rng.integers(0, 9, 7) + 1, rng.integers(0, 9, 7) + 1
    expected = DIVERGENCES[name](counts_p / counts_p.sum(), counts_q / counts_q.sum())
    assert DIVERGENCES[name](counts_p, counts_q, normalize=True) == expected
    for scale in (1e-310, 1e-300, 1e300, 1.7e307):
        found = DIVERGENCES[name](scale * counts_p, counts_q, normalize=True)
        assert found == pytest.approx(expected, rel=1e-10)
    assert DIVERGENCES[name]([1e308, 1e308], [TINIEST, TINIEST], normalize=True) == 0.0


# What may not

GOOD = [0.5, 0.5]
NAN, INF = math.nan, math.inf
CURE = "Divide by the sum if it holds counts: "
ATOMS = "`p` and `q` must have one entry for each atom, but their shapes are "
BATCH = "`p` and `q` must broadcast over the axes other than `axis`, but their shapes are "
BAD_INPUTS = [
    ([0.5, NAN], GOOD, {}, ValueError, "`p` must be finite, but p[1] = nan."),
    (GOOD, [[0.5, 0.5], [-INF, 1.0]], {}, ValueError, "`q` must be finite, but q[1, 0] = -inf."),
    ([NAN, -1.0], GOOD, {}, ValueError, "`p` must be finite, but p[0] = nan."),
    ([1.1, -0.1], GOOD, {}, ValueError, "`p` must be non-negative, but p[1] = -0.1."),
    (GOOD, [1 + 1e-9, -1e-9], {}, ValueError, "`q` must be non-negative, but q[1] = -1e-09."),
    ([1, 3], GOOD, {}, ValueError, "`p` must sum to 1, but it sums to 4. " + CURE + "`p / p.sum()`."),
    (GOOD, [0.0, 0.0], {}, ValueError, "`q` must sum to 1, but it sums to 0. " + CURE + "`q / q.sum()`."),
    ([0.5, 0.50001], GOOD, {}, ValueError, "`p` must sum to 1, but it sums to 1.00001. Divide"),
    (
        [GOOD, [1, 3]],
        GOOD,
        {},
        ValueError,
        "`p` must sum to 1, but p[1, :] sums to 4. " + CURE + "`p / p.sum(axis=-1, keepdims=True)`.",
    ),
    ([[0.5, 1], [0.5, 3]], GOOD, {"axis": 0}, ValueError, "`p` must sum to 1, but p[:, 1] sums to 4."),
    (
        [0.0, 0.0],
        GOOD,
        {"normalize": True},
        ValueError,
        "`p` must have positive mass to be normalised, but it sums to 0.",
    ),
    (GOOD, [0.2, 0.3, 0.5], {}, ValueError, ATOMS + "(2,) and (3,)."),
    ([1.0], GOOD, {}, ValueError, ATOMS + "(1,) and (2,)."),
    (np.full((2, 2), 0.5), np.full((3, 2), 0.5), {}, ValueError, BATCH + "(2, 2) and (3, 2)."),
    ([], [], {}, ValueError, "`p` must not be empty, but its shape is (0,)."),
    (1.0, GOOD, {}, ValueError, "`p` must have at least one axis, but it is the number 1."),
    (GOOD, GOOD, {"axis": 1}, ValueError, "`axis` must be in [-1, 1) for arrays of 1 axes, but axis = 1."),
    (
        np.full((2, 2, 2), 0.5),
        np.full((2, 2), 0.5),
        {"axis": 0},
        ValueError,
        "`q` must have the axis 0, but its shape is (2, 2).",
    ),
    (GOOD, GOOD, {"axis": 0.5}, TypeError, "`axis` must be an integer, but its type is float."),
    ([0.5, 0.5j], GOOD, {}, TypeError, "`p` must be an array of real numbers, but it has dtype complex128."),
    (["a", "b"], GOOD, {}, TypeError, "`p` must be an array of real numbers, but it has dtype <U1."),
    (None, GOOD, {}, TypeError, "`p` must be an array of real numbers, but it has dtype object."),
    ([[0.5, 0.5], [1.0]], GOOD, {}, TypeError, "`p` must be an array of numbers, but it cannot be read as one:"),
    (
        np.ma.masked_array([0.5, 0.5], [False, True]),
        GOOD,
        {},
        TypeError,
        "`p` must be a plain array, but it is masked.",
    ),
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("p", "q", "options", "error", "text"), BAD_INPUTS, ids=[row[-1][:60] for row in BAD_INPUTS])
def test_bad_input_is_refused_by_name_index_and_value(name, p, q, options, error, text):
    with pytest.raises(error, match="^" + re.escape(text)):
        DIVERGENCES[name](p, q, **options)


@pytest.mark.parametrize("name", WITH_BASE)
@pytest.mark.parametrize("base", [1, 1.0, 0, -2, 0.5, NAN, INF])
def test_base_must_exceed_one(name, base):
    with pytest.raises(ValueError, match=r"^`base` must be finite and greater than 1, but base = "):
        DIVERGENCES[name](GOOD, GOOD, base=base)


@pytest.mark.parametrize("name", WITH_BASE)
@pytest.mark.parametrize("base", ["e", True, 2j, [2]])
def test_base_must_be_a_number(name, base):
    with pytest.raises(TypeError, match=r"^`base` must be a number, but its type is "):
        DIVERGENCES[name](GOOD, GOOD, base=base)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_sums_are_judged_in_the_precision_that_they_came_in(dtype, rng):
    p = rng.dirichlet(np.ones(1000)).astype(dtype)
    assert ot.js_divergence(p, p) == 0.0
    with pytest.raises(ValueError, match="`p` must sum to 1"):
        ot.js_divergence(1.1 * p, p)


# Torch


@pytest.mark.parametrize("name", NAMES)
def test_torch_agrees_with_numpy(name, rng):
    p, q = rng.dirichlet(np.ones(6), (4, 1)), rng.dirichlet(np.ones(6), 3)
    found = DIVERGENCES[name](torch.tensor(p), torch.tensor(q))
    assert found.dtype == torch.float64 and found.shape == (4, 3)
    np.testing.assert_allclose(found, DIVERGENCES[name](p, q), rtol=1e-14)
    assert DIVERGENCES[name](torch.tensor(p[0, 0]), list(q[0])).shape == ()
    np.testing.assert_array_equal(DIVERGENCES[name](torch.tensor(p), q), found)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_torch_keeps_the_dtype_and_its_accuracy(name, dtype, rng):
    p, q = (torch.tensor(v).to(dtype) for v in rng.dirichlet(np.ones(6), 2))
    found = DIVERGENCES[name](p, q)
    assert found.dtype == dtype
    exact = DIVERGENCES[name](p.double(), q.double(), normalize=True)
    assert float(found) == pytest.approx(float(exact), rel=8 * torch.finfo(dtype).eps)
    assert DIVERGENCES[name](p, p) == 0


def test_torch_promotes_as_torch_does():
    half, single, double = (torch.tensor(GOOD, dtype=d) for d in (torch.float16, torch.float32, torch.float64))
    assert ot.js_divergence(half, single).dtype == torch.float32
    assert ot.js_divergence(single, double).dtype == torch.float64
    assert ot.js_divergence(single, np.array(GOOD)).dtype == torch.float32
    assert ot.js_divergence(torch.tensor([1, 0]), torch.tensor([0, 1])).dtype == torch.get_default_dtype()


@pytest.mark.parametrize("name", NAMES)
def test_torch_gradients_are_those_of_finite_differences(name):
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.softmax(torch.randn(*shape, generator=generator, dtype=torch.float64), -1)  # noqa: E731
    p, q = draw(2, 5).requires_grad_(), draw(5).requires_grad_()
    assert torch.autograd.gradcheck(DIVERGENCES[name], (p, q))
    assert torch.autograd.gradgradcheck(DIVERGENCES[name], (p, q))
    raw = lambda p, q: DIVERGENCES[name](3 * p, 5 * q, normalize=True)  # noqa: E731
    assert torch.autograd.gradcheck(raw, (p, q))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    ("p", "q"),
    [
        ([0.0, 0.5, 0.5], [0.5, 0.0, 0.5]),
        ([1.0, 0.0, 0.0], [0.0, 0.0, 1.0]),
        ([0.5, 0.5, 0.0], [0.5, 0.5, 0.0]),
        ([0.0, 1.0, 0.0], [0.25, 0.5, 0.25]),
    ],
)
def test_torch_gradients_are_finite_at_zeros_and_ties(name, dtype, p, q):
    """Also behind a softmax whose outputs have underflowed to 0, where 0 * inf would be nan."""
    p, q = (torch.tensor(v, dtype=dtype, requires_grad=True) for v in (p, q))
    gradients = torch.autograd.grad(DIVERGENCES[name](p, q), (p, q))
    assert all(g.isfinite().all() for g in gradients)
    logits = torch.tensor([800.0, 0.0, -800.0], dtype=torch.float64, requires_grad=True)
    DIVERGENCES[name](torch.softmax(logits, -1), q.detach().double()).backward()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("name", ["kl_divergence", "js_divergence", "js_distance"])
def test_torch_gradient_at_zero_points_into_the_simplex(name):
    p = torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True)
    q = torch.tensor([0.5, 0.5], dtype=torch.float64)
    (slope,) = torch.autograd.grad(DIVERGENCES[name](p, q), p)
    assert slope[0] < -100 < slope[1]  # the one-sided derivative is -inf


@pytest.mark.parametrize("name", NAMES)
def test_torch_gradient_is_zero_at_equal_vectors(name):
    p = torch.tensor([0.25, 0.75, 0.0], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(DIVERGENCES[name](p, p.detach().clone()), p)
    assert (slope == 0).all()


def test_torch_gradient_of_disjoint_laws_vanishes_along_the_simplex():
    """Why a GAN at its best discriminator learns nothing: JS = log 2 wherever the supports are disjoint."""
    logits = torch.randn(3, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    p = torch.cat([torch.softmax(logits, -1), torch.zeros(3, dtype=torch.float64)])
    q = torch.tensor([0.0, 0.0, 0.0, 0.2, 0.3, 0.5], dtype=torch.float64)
    (slope,) = torch.autograd.grad(ot.js_divergence(p, q), logits)
    torch.testing.assert_close(slope, torch.zeros(3, dtype=torch.float64), atol=1e-15, rtol=0)


def test_torch_gradient_scales_with_what_follows():
    p, q = torch.tensor([0.2, 0.8], requires_grad=True), torch.tensor([0.5, 0.5])
    (once,) = torch.autograd.grad(ot.kl_divergence(p, q), p)
    (thrice,) = torch.autograd.grad(3 * ot.kl_divergence(p, q), p)
    torch.testing.assert_close(thrice, 3 * once)


@pytest.mark.parametrize(
    "p",
    [torch.tensor([0.5, 0.5j]), torch.tensor([0.5, 0.5]).to_sparse()],
    ids=["complex", "sparse"],
)
def test_torch_tensors_must_be_dense_and_real(p):
    with pytest.raises(TypeError, match="`p` must be an array of real numbers, but it has dtype torch"):
        ot.js_divergence(p, GOOD)


def test_torch_bad_input_is_refused_in_the_same_words():
    with pytest.raises(ValueError, match=re.escape("`p` must be non-negative, but p[1] = -0.5.")):
        ot.js_divergence(torch.tensor([1.5, -0.5]), GOOD)
    with pytest.raises(ValueError, match=re.escape("but q[1, :] sums to 2.")):
        ot.js_divergence(torch.tensor(GOOD), torch.tensor([GOOD, [1.0, 1.0]]))


# Cupy, by a stand-in that, like the real one, never turns into a numpy array on its own


class DeviceArray:
    """Numbers on another device: arithmetic, the methods used, and `get`."""

    def __init__(self, data):
        self.data = np.asarray(data)
        self.dtype, self.ndim, self.shape = self.data.dtype, self.data.ndim, self.data.shape

    def __array__(self, *args, **kwargs):
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    def __getitem__(self, index):
        return DeviceArray(self.data[index])

    def __bool__(self):
        return bool(self.data)

    def __float__(self):
        return float(self.data)

    def any(self):
        return DeviceArray(self.data.any())

    def get(self):
        return self.data


def on_device(function):
    unwrap = lambda value: value.data if isinstance(value, DeviceArray) else value  # noqa: E731
    return lambda *args, **options: DeviceArray(function(*map(unwrap, args), **options))


def swapped(function):
    return lambda self, other: on_device(function)(other, self)


for _name in ("add", "sub", "mul", "truediv", "lt", "le", "gt", "ge", "and_", "or_", "neg", "abs", "invert"):
    setattr(DeviceArray, f"__{_name.strip('_')}__", on_device(getattr(operator, _name)))
for _name in ("add", "sub", "mul", "truediv"):
    setattr(DeviceArray, f"__r{_name}__", swapped(getattr(operator, _name)))


@pytest.fixture
def cupy(monkeypatch):
    module = types.ModuleType("cupy")
    module.ndarray = DeviceArray
    module.__getattr__ = lambda name: on_device(getattr(np, name))
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


@pytest.mark.parametrize("name", NAMES)
def test_cupy_arrays_stay_on_the_device(name, cupy, rng):
    p, q = rng.dirichlet(np.ones(4), 3), rng.dirichlet(np.ones(4))
    found = DIVERGENCES[name](DeviceArray(p), DeviceArray(q))
    assert isinstance(found, DeviceArray)
    np.testing.assert_array_equal(found.get(), DIVERGENCES[name](p, q))
    assert isinstance(DIVERGENCES[name](DeviceArray(p[0]), q, normalize=True), DeviceArray)
    with pytest.raises(ValueError, match=re.escape("`p` must be non-negative, but p[0] = -1.0.")):
        DIVERGENCES[name](DeviceArray([-1.0, 2.0]), DeviceArray([0.5, 0.5]))


def test_cupy_and_torch_do_not_mix(cupy):
    with pytest.raises(TypeError, match="`p` and `q` must belong to one library"):
        ot.js_divergence(DeviceArray(GOOD), torch.tensor(GOOD))
