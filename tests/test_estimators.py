"""Divergences from samples: near the truth by their own standard errors, and honest where they cannot be."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad

from ot_distances import js_divergence, js_from_samples, kl_from_samples, tv_from_samples
from ot_distances.estimators import METHODS


def normal(t: float, mean: float) -> float:
    return math.exp(-((t - mean) ** 2) / 2) / math.sqrt(2 * math.pi)


def js_summand(t: float) -> float:
    p, q = normal(t, 0), normal(t, 1)
    return (p * math.log(2 * p / (p + q)) + q * math.log(2 * q / (p + q))) / 2


# Between N(0, 1) and N(1, 1)
TRUTH = {
    kl_from_samples: 0.5,
    js_from_samples: quad(js_summand, -12, 13)[0],
    tv_from_samples: math.erf(0.5 / math.sqrt(2)),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("estimate", TRUTH, ids=lambda f: f.__name__)
def test_the_truth_lies_within_the_stated_error(estimate, method):
    found = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        found.append(estimate(rng.normal(0, 1, 900), rng.normal(1, 1, 1100), method=method, seed=seed))
    stderr = np.mean([one.stderr for one in found])
    assert abs(np.mean([one.value for one in found]) - TRUTH[estimate]) <= 2.5 * stderr
    spread = np.std([one.value for one in found], ddof=1)
    assert stderr / 3 <= spread <= 3 * stderr


@pytest.mark.parametrize("method", METHODS)
def test_one_law_in_the_plane_is_no_distance_away(method):
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(800, 2)), rng.normal(size=(700, 2))
    for estimate in TRUTH:
        found = estimate(x, y, method=method, seed=0)
        assert abs(found.value) <= max(4 * found.stderr, 0.06)


@pytest.mark.parametrize("method", METHODS)
def test_js_and_tv_of_disjoint_samples_are_at_their_limits(method):
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(300, 2)), rng.normal(size=(400, 2)) + 50
    assert js_from_samples(x, y, method=method, seed=0).value == pytest.approx(math.log(2), abs=0.03)
    assert tv_from_samples(x, y, method=method, seed=0).value == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("method", ["knn", "histogram"])
def test_points_that_coincide_are_counted(method):
    rng = np.random.default_rng(3)
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])
    x, y = rng.choice(3, 4000, p=p), rng.choice(3, 5000, p=q)
    found = kl_from_samples(x, y, method=method)
    assert abs(found.value - float(p @ np.log(p / q))) <= 4 * found.stderr


@pytest.mark.parametrize("digits", [0, 1, 2, 3])
def test_rounded_samples_of_one_law_are_no_distance_away(digits):
    for estimate in TRUTH:
        found = []
        for seed in range(8):
            x, y = np.round(np.random.default_rng(seed).normal(size=(2, 400)), digits)
            found.append(estimate(x, y))
        assert abs(np.mean([one.value for one in found])) <= 2.5 * np.mean([one.stderr for one in found])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("estimate", TRUTH, ids=lambda f: f.__name__)
def test_one_sample_passed_twice_is_refused(estimate, method):
    rng = np.random.default_rng(9)
    x = rng.normal(size=(300, 2))
    for sample in (x, np.round(x, 1)):
        with pytest.raises(ValueError, match="`x` and `y` must be independent samples, but "):
            estimate(sample, rng.permutation(sample), method=method)
    coin = rng.choice(2, 4000)  # few atoms come out alike by chance
    assert abs(kl_from_samples(coin, coin).value) < 0.01


@pytest.mark.parametrize("estimate", TRUTH, ids=lambda f: f.__name__)
def test_samples_that_share_points_are_refused(estimate):
    rng = np.random.default_rng(9)
    x, y = rng.normal(size=(2, 300))
    for shared in (np.r_[x[:30], y], np.r_[x[:30], y, np.zeros(300)]):
        with pytest.raises(ValueError, match="but 30 points occur once in each, and only 0 twice in one of them"):
            estimate(np.r_[x, np.zeros(50)], shared)


@pytest.mark.parametrize("atoms", [30, 300, 3_000, 30_000, 300_000])
@pytest.mark.parametrize(("n", "m"), [(30, 30), (1_000, 1_000), (30, 3_000)])
def test_points_that_coincide_by_chance_are_welcome(atoms, n, m):
    rng = np.random.default_rng(atoms + n + m)
    for _ in range(10):
        assert math.isfinite(kl_from_samples(rng.integers(atoms, size=n), rng.integers(atoms, size=m)).value)
        assert math.isfinite(js_from_samples(rng.poisson(atoms, n), rng.poisson(atoms, m)).value)


def test_samples_may_change_places():
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(200, 3)), rng.normal(1, 2, size=(250, 3))
    for estimate in (js_from_samples, tv_from_samples):
        assert estimate(x, y).value == pytest.approx(estimate(y, x).value, abs=1e-12)


def test_the_interval_is_that_of_the_level():
    rng = np.random.default_rng(6)
    found = kl_from_samples(rng.normal(size=400), rng.normal(size=300))
    low, high = found.interval
    assert found.level == 0.95 and found.method == "knn, k = 5"
    assert (high - found.value) / found.stderr == pytest.approx(1.959964, abs=1e-5)
    assert found.value - low == pytest.approx(high - found.value)


def test_neighbours_are_as_many_as_the_ratio_needs():
    rng = np.random.default_rng(8)
    x, y = rng.normal(size=400), rng.normal(1, 1, size=500)
    assert js_from_samples(x, y).method == "knn, k = 20"
    assert tv_from_samples(x, y, k=50).method == "knn, k = 50"


@pytest.mark.parametrize("d", [1, 5])
def test_neighbours_do_not_bias_js_of_one_law(d):
    """The noise of few neighbours alone would lower it by 0.015, over two standard errors of one estimate."""
    found = [js_from_samples(*np.split(np.random.default_rng(seed).normal(size=(800, d)), [500])) for seed in range(40)]
    values = [one.value for one in found]
    assert abs(np.mean(values)) < 0.005
    assert sum(one.interval[0] <= 0 <= one.interval[1] for one in found) >= 33  # fewer have a chance of 1 in 800


def test_atoms_of_one_law_are_not_lent_by_its_neighbours():
    """Laws on numbers of which they share one: 0.32 where the counts reach as far as the other sample."""
    p, q = [0.3, 0.3, 0.4, 0.0, 0.0], [0.0, 0.0, 0.2, 0.3, 0.5]
    rng = np.random.default_rng(9)
    x, y = rng.choice(5, 1000, p=p), rng.choice(5, 800, p=q)
    for estimate, exact in ((js_from_samples, js_divergence(p, q)), (tv_from_samples, 0.8)):
        found = estimate(x, y)
        assert abs(found.value - exact) < 3 * found.stderr < 0.06
    assert js_from_samples(x, y + 10).value == pytest.approx(math.log(2), abs=1e-3)


@pytest.mark.parametrize("scale", [2.0**-1000, 2.0**1000])
@pytest.mark.parametrize("method", METHODS)
def test_the_unit_of_length_does_not_matter(method, scale):
    x, y = np.random.default_rng(0).normal(size=(2, 60, 2))
    plain, scaled = (kl_from_samples(s * x, s * y, method=method, seed=0) for s in (1.0, scale))
    assert scaled == plain


def test_seeds_repeat_themselves():
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=100), rng.normal(1, 1, size=100)
    assert kl_from_samples(x, y, method="kde", seed=1) == kl_from_samples(x, y, method="kde", seed=1)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"x": [1.0, 2.0], "y": np.arange(9.0)}, ValueError, "`x` must hold at least 6 points for method 'knn'"),
        ({"x": np.arange(11.0), "y": np.arange(11.0)}, ValueError, "but 11 of the 11 different points of x occur as"),
        ({"x": np.arange(9.0), "y": np.arange(9.0), "method": "kde"}, ValueError, "must hold at least 10 points"),
        ({"x": np.arange(9.0), "y": np.arange(9.0), "k": 0}, ValueError, "`k` must be at least 1"),
        ({"x": np.arange(9.0), "y": np.arange(9.0), "k": 2.5}, TypeError, "`k` must be an integer"),
        ({"x": np.arange(9.0), "y": np.arange(9.0), "method": "magic"}, ValueError, "`method` must be one of 'knn'"),
        ({"x": np.arange(9.0), "y": np.full(9, np.nan)}, ValueError, r"y\[0, 0\] = nan|y\[0\] = nan"),
        ({"x": np.ones((20, 2)), "y": np.ones((20, 2)), "method": "kde"}, ValueError, "must each span all dimensions"),
    ],
)
def test_bad_input_is_named(arguments, error, text):
    with pytest.raises(error, match=text):
        kl_from_samples(**arguments)
