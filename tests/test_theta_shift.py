"""The theta-shift: closed forms, what n points see of them, and the table."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad

from ot_distances import ThetaShift, theta_shift
from ot_distances.theta_shift import FAMILIES

EXACT = ("kl", "js", "tv", "w1", "dw_dtheta")
SAMPLED = ("kl_sampled", "js_sampled", "tv_sampled", "w1_sampled", "dw_sampled")
THETAS = np.array([0.5, -2.0, 0.0, 0.1, 1.0, -0.1])  # not sorted, both signs
LOG_2 = math.log(2)


@pytest.fixture(scope="module", params=FAMILIES)
def shift(request: pytest.FixtureRequest) -> ThetaShift:
    return theta_shift(THETAS, family=request.param, n=64)


def test_segments_are_as_far_as_can_be_to_all_but_w1() -> None:
    shift = theta_shift(THETAS, n=32)
    apart = THETAS != 0
    np.testing.assert_array_equal(shift.kl, np.where(apart, np.inf, 0))
    np.testing.assert_array_equal(shift.js, np.where(apart, LOG_2, 0))
    np.testing.assert_array_equal(shift.tv, np.where(apart, 1.0, 0))


def test_segments_from_points_are_exact() -> None:
    """On one grid of heights every column from points is the exact one, W_1 to rounding."""
    shift = theta_shift([0, 0.1, 0.5, 1, 2], n=100)
    np.testing.assert_array_equal(shift.kl_sampled, shift.kl)
    np.testing.assert_allclose(shift.js_sampled, shift.js, rtol=0, atol=1e-15)
    np.testing.assert_allclose(shift.tv_sampled, shift.tv, rtol=0, atol=1e-15)
    np.testing.assert_allclose(shift.w1_sampled, shift.theta, rtol=0, atol=1e-12)


def test_w1_is_the_size_of_the_shift(shift: ThetaShift) -> None:
    np.testing.assert_array_equal(shift.w1, np.abs(THETAS))
    np.testing.assert_array_equal(shift.dw_dtheta, np.sign(THETAS))
    np.testing.assert_allclose(shift.w1_sampled, np.abs(THETAS), rtol=1e-12, atol=0)
    np.testing.assert_allclose(shift.dw_sampled, np.sign(THETAS), rtol=0, atol=1e-12)


def test_columns_keep_the_order_asked_for(shift: ThetaShift) -> None:
    np.testing.assert_array_equal(shift.theta, THETAS)


@pytest.mark.parametrize("family", FAMILIES)
def test_everything_is_zero_without_a_shift(family: str) -> None:
    shift = theta_shift([0.0, -0.0], family=family, n=8)
    for name in (*EXACT, *SAMPLED):
        np.testing.assert_array_equal(getattr(shift, name), [0.0, 0.0], err_msg=name)


@pytest.mark.parametrize("family", FAMILIES)
def test_either_direction_is_as_far(family: str) -> None:
    right, left = (theta_shift(side * np.array([0.3, 1.7]), family=family, n=50) for side in (1, -1))
    for name in ("kl", "js", "tv", "w1"):
        np.testing.assert_array_equal(getattr(right, name), getattr(left, name), err_msg=name)
        np.testing.assert_allclose(
            getattr(right, f"{name}_sampled"), getattr(left, f"{name}_sampled"), rtol=1e-9, err_msg=name
        )


def test_uniform_laws_lose_their_overlap() -> None:
    shift = theta_shift([-3, -0.25, 0.5, 1, 7], family="uniform", n=4)
    np.testing.assert_array_equal(shift.kl, np.inf)
    np.testing.assert_allclose(shift.tv, [1, 0.25, 0.5, 1, 1], rtol=1e-15)
    np.testing.assert_allclose(shift.js, LOG_2 * shift.tv, rtol=1e-15)


def test_gaussians_have_their_closed_forms() -> None:
    theta = np.array([-3, -0.5, 1e-9, 1, 2])
    shift = theta_shift(theta, family="gaussian", n=4)
    np.testing.assert_allclose(shift.kl, theta**2 / 2, rtol=1e-15)
    np.testing.assert_allclose(shift.tv, [math.erf(abs(t) / (2 * math.sqrt(2))) for t in theta], rtol=1e-15)


@pytest.mark.parametrize("theta", [0.01, 0.7, 0.999, 1.0, 2.5, 6.0, 12.0])
def test_js_of_gaussians_is_its_integral(theta: float) -> None:
    """JS written out by its definition, on either side of the point where the two densities cross."""

    def density(x: float, mean: float) -> float:
        return math.exp(-((x - mean) ** 2) / 2) / math.sqrt(2 * math.pi)

    def integrand(x: float) -> float:
        p, q = density(x, 0.0), density(x, theta)
        return sum(0.5 * r * math.log(2 * r / (p + q)) for r in (p, q) if r > 0)

    pieces = [-15, 0, theta / 2, theta, theta + 15]
    integral = sum(quad(integrand, low, high, epsabs=1e-14, limit=200)[0] for low, high in pairwise(pieces))
    value = theta_shift(theta, family="gaussian", n=2).js[0]
    assert value == pytest.approx(integral, rel=1e-11, abs=1e-13)


def test_js_of_close_gaussians_keeps_its_digits() -> None:
    """JS = theta^2 / 8 + O(theta^4), far below the rounding of log 2."""
    theta = np.array([1e-12, 1e-8, 1e-5])
    np.testing.assert_allclose(theta_shift(theta, family="gaussian", n=2).js, theta**2 / 8, rtol=1e-9)


def test_js_of_gaussians_grows_to_log_2_and_no_further() -> None:
    js = theta_shift(np.linspace(0, 60, 121), family="gaussian", n=1).js
    assert np.all(np.diff(js) >= 0)
    assert np.all(js <= LOG_2)
    assert js[-1] == LOG_2


@pytest.mark.parametrize("family", ["gaussian", "uniform"])
@pytest.mark.parametrize("name", ["kl", "js", "tv"])
def test_cells_see_less_than_the_laws_and_finer_cells_more(family: str, name: str) -> None:
    """Data processing: putting laws into cells brings no divergence up; in the limit nothing is lost."""
    coarse, fine = (theta_shift([0.3, 1.5], family=family, n=n) for n in (20, 2000))
    exact = getattr(coarse, name)
    low, high = getattr(coarse, f"{name}_sampled"), getattr(fine, f"{name}_sampled")
    assert np.all(high <= exact * (1 + 1e-12))
    assert np.all(low <= high * (1 + 1e-12))
    np.testing.assert_allclose(high, exact, rtol=2e-3)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("theta", [1e-300, 1e-17, 1e9, 1e17, 1e150])
def test_tiny_and_huge_shifts_stay_in_range(family: str, theta: float) -> None:
    shift = theta_shift([theta, -theta], family=family, n=16)
    for name in ("js", "js_sampled"):
        assert np.all((getattr(shift, name) >= 0) & (getattr(shift, name) <= LOG_2)), name
    for name in ("tv", "tv_sampled"):
        assert np.all((getattr(shift, name) >= 0) & (getattr(shift, name) <= 1)), name
    assert not any(np.isnan(getattr(shift, name)).any() for name in (*EXACT, *SAMPLED))
    np.testing.assert_array_equal(shift.w1, theta)
    if theta > 1:
        np.testing.assert_allclose(shift.w1_sampled, theta, rtol=1e-12)


def test_one_shift_and_one_point_are_enough() -> None:
    (row,) = theta_shift(2, n=1).rows()
    exact = {"kl": math.inf, "js": LOG_2, "tv": 1.0, "w1": 2.0, "dw_dtheta": 1.0}
    assert row == {"theta": 2.0, **exact, **dict(zip(SAMPLED, exact.values()))}


def test_table_is_aligned_and_says_inf(shift: ThetaShift) -> None:
    title, blank, heading, columns, *body = str(shift).splitlines()
    assert shift.family in title
    assert blank == ""
    assert "from n = 64" in heading
    assert len(body) == THETAS.size
    assert {line.index("|") for line in (heading, columns, *body)} == {columns.index("|")}
    assert {len(line) for line in body} == {len(columns)}
    assert ("inf" in str(shift)) == (shift.family != "gaussian")


def test_repr_is_one_short_line(shift: ThetaShift) -> None:
    assert len(repr(shift)) < 100
    assert "\n" not in repr(shift)


BAD_INPUT: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
    ([0, math.nan], {}, ValueError, "`thetas` must be finite, but thetas[1] = nan."),
    ([0, 1, -math.inf], {}, ValueError, "`thetas` must be finite, but thetas[2] = -inf."),
    ([], {}, ValueError, "`thetas` must be a non-empty vector, but it has shape (0,)."),
    ([[0, 1]], {}, ValueError, "`thetas` must be a non-empty vector, but it has shape (1, 2)."),
    (["a"], {}, TypeError, "`thetas` must hold real numbers, but it has dtype <U1."),
    ([1j], {}, TypeError, "`thetas` must hold real numbers, but it has dtype complex128."),
    ([True], {}, TypeError, "`thetas` must hold real numbers, but it has dtype bool."),
    (0, {"n": 0}, ValueError, "`n` must be at least 1, but it is 0."),
    (0, {"n": 2.0}, TypeError, "`n` must be an integer, but it is 2.0."),
    (0, {"n": True}, TypeError, "`n` must be an integer, but it is True."),
    (
        0,
        {"family": "cauchy"},
        ValueError,
        "`family` must be one of 'segments', 'gaussian', 'uniform', but it is 'cauchy'.",
    ),
    (0, {"family": ["segments"]}, ValueError, "`family` must be one of"),
]


@pytest.mark.parametrize(("thetas", "options", "error", "text"), BAD_INPUT)
def test_bad_input_is_named(thetas: Any, options: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        theta_shift(thetas, **options)
    assert str(caught.value).startswith(text)
