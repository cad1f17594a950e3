"""The permutation test has its level and finds differences; intervals cover."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from ot_distances import confidence_interval, sliced_wasserstein, two_sample_test, wasserstein
from ot_distances.inference import STATISTICS


@pytest.mark.parametrize("statistic", ["wasserstein", "energy"])
def test_the_level_is_kept(statistic):
    """Under the hypothesis p-values are uniform: 60 of them, each one in 20 or more."""
    p_values = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(8, 2)), rng.normal(size=(10, 2))
        p_values.append(two_sample_test(x, y, statistic=statistic, n_permutations=39, seed=seed, n_jobs=1).p_value)
    # For a uniform law more than 9 of 60 below 0.05 have a chance of 1 in 1,000, as has a mean off by 0.12.
    assert np.count_nonzero(np.array(p_values) <= 0.05) <= 9
    assert abs(np.mean(p_values) - 0.5) < 0.13


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("sizes", [(30, 30), (25, 35)])
def test_a_shift_is_found(statistic, sizes, rng):
    x, y = rng.normal(size=(sizes[0], 2)), rng.normal(size=(sizes[1], 2)) + np.array([1.5, 0])
    found = two_sample_test(x, y, statistic=statistic, n_permutations=19, seed=0)
    assert found.p_value == 0.05
    assert found.null_distribution.shape == (19,)
    assert found.statistic > found.null_distribution.max()


def test_statistics_are_the_distances_of_the_library(rng):
    for n, m, d in ((9, 9, 2), (9, 12, 2), (9, 12, 1)):
        x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 1
        assert two_sample_test(x, y, n_permutations=2).statistic == pytest.approx(wasserstein(x, y), rel=1e-12)
        sliced = two_sample_test(x, y, statistic="sliced_wasserstein", n_permutations=2).statistic
        assert sliced == sliced_wasserstein(x, y, seed=0).value


def test_energy_is_its_definition(rng):
    x, y = rng.normal(size=7), rng.normal(size=9) + 1
    means = [np.abs(np.subtract.outer(p, q)).mean() for p, q in ((x, y), (x, x), (y, y))]
    found = two_sample_test(x, y, statistic="energy", n_permutations=2).statistic
    assert found == pytest.approx(np.sqrt(2 * means[0] - means[1] - means[2]), rel=1e-12)


def test_any_function_may_be_the_statistic_and_threads_change_nothing(rng):
    x, y = rng.normal(size=20), rng.normal(size=20) + 2

    def means_apart(x, y):
        return abs(x.mean() - y.mean())

    found = [two_sample_test(x, y, statistic=means_apart, n_permutations=99, seed=3, n_jobs=jobs) for jobs in (1, 4)]
    assert found[0].p_value == found[1].p_value == 0.01
    assert (found[0].null_distribution == found[1].null_distribution).all()


def test_equal_samples_are_as_ordinary_as_can_be(rng):
    x = rng.normal(size=(12, 2))
    assert two_sample_test(x, x, n_permutations=19).p_value == 1.0


def test_an_interval_of_equal_samples_is_one(rng):
    x = rng.normal(size=(8, 2))
    low, high = confidence_interval(x, x, seed=0, n_resamples=30).interval
    assert 0 <= low <= high


def test_intervals_cover(rng):
    inside = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        found = confidence_interval(rng.normal(size=200), rng.normal(1, 1, size=150), seed=seed, n_resamples=100)
        inside += found.interval[0] <= 1 <= found.interval[1]
        assert found.level == 0.95 and found.interval[0] >= 0 and found.stderr > 0
    assert inside >= 16  # below 16 of 20 has a chance of 1 in 400 at a level of 0.95


@pytest.mark.parametrize("d", [1, 3])
def test_intervals_of_one_law_cover_zero(d):
    begins = []
    for seed in range(20):
        x, y = np.random.default_rng(seed).normal(size=(2, 30, d))
        begins.append(confidence_interval(x, y, seed=seed, n_resamples=40).interval[0])
    assert np.count_nonzero(begins) <= 4  # more than 4 of 20 have a chance of 1 in 400


def test_upper_ends_cover_where_laws_are_close():
    above = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=50), rng.normal(0.2, 1, size=50)
        above += confidence_interval(x, y, seed=seed, n_resamples=100).interval[1] >= 0.2
    assert above >= 36  # below 36 of 40 has a chance of 1 in 50 at 97.5 %; the seeds are fixed


@pytest.mark.parametrize("law", ["normal", "exponential"])
def test_intervals_of_few_points_cover(law):
    """Nominally 95 %: 79 % of 400 normal samples without what few points call for."""
    inside = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        x, y = (getattr(rng, law)(size=10) for _ in "xy")
        low, high = confidence_interval(x, y + 1, seed=seed, n_resamples=100, n_jobs=1).interval
        inside += low <= 1 <= high
    assert inside >= 88  # below 88 of 100 has a chance of 1 in 250 at 95 %


def test_large_samples_are_permuted_a_few_at_a_time(rng):
    """All 999 orders of 200,000 points would be 1.6 GB; the memory of numpy's arrays is traced."""
    x, y = rng.normal(size=(2, 20_000))
    two_sample_test(x[:10], y[:10], n_permutations=9, n_jobs=1)
    tracemalloc.start()
    try:
        two_sample_test(x, y, n_permutations=199, n_jobs=1)
        assert tracemalloc.get_traced_memory()[1] < 199 * 40_000 * 8
    finally:
        tracemalloc.stop()


def test_higher_levels_are_wider(rng):
    x, y = rng.normal(size=50), rng.normal(size=50) + 1
    widths = []
    for level in (1e-17, 0.5, 0.9, 0.99):
        low, high = confidence_interval(x, y, level=level, seed=0, n_resamples=100).interval
        widths.append(high - low)
    assert widths == sorted(set(widths))


def test_progress_is_told_when_asked_for(rng, capsys):
    two_sample_test(rng.normal(size=5), rng.normal(size=5), n_permutations=9, progress=True)
    assert "9 of 9 permutations" in capsys.readouterr().err
    two_sample_test(rng.normal(size=5), rng.normal(size=5), n_permutations=9)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: two_sample_test([1.0], [[1.0, 2.0]]), ValueError, "must have the same number of columns"),
        (lambda: two_sample_test([1.0], [2.0], statistic="nonsense"), ValueError, "`statistic` must be one of"),
        (lambda: two_sample_test([1.0], [2.0], n_permutations=1), ValueError, "`n_permutations` must be at least 2"),
        (lambda: two_sample_test([1.0], [2.0], n_permutations=9.5), TypeError, "`n_permutations` must be an integer"),
        (
            lambda: two_sample_test([1.0, 2.0], [2.0, 3.0], statistic=lambda x, y: np.nan),
            ValueError,
            "`statistic` must be a function that returns numbers, but it returned nan",
        ),
        (lambda: confidence_interval([1.0], [2.0, 3.0]), ValueError, "`x` must hold at least 2 points"),
        (lambda: confidence_interval([1.0, 2.0], [2.0, 3.0], level=95), ValueError, "`level` must lie between 0 and 1"),
        (lambda: confidence_interval([1.0, 2.0], [2.0, 3.0], distance="x"), ValueError, "`distance` must be one of"),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_a_test_result_is_equal_to_itself_alone(rng):
    x, y = rng.normal(size=(2, 5))
    result, again = (two_sample_test(x, y, n_permutations=9, seed=0) for _ in range(2))
    assert result == result
    assert result != again
    assert len({result, again}) == 2


@pytest.mark.parametrize("scale", [2.0**-1000, 2.0**900])
@pytest.mark.parametrize("name", sorted(STATISTICS))
def test_the_unit_of_length_does_not_matter(rng, name, scale):
    x, y = rng.normal(size=(2, 12, 2))
    plain, scaled = (two_sample_test(s * x, s * y, statistic=name, n_permutations=9, seed=0) for s in (1.0, scale))
    factor = np.sqrt(scale) if name == "energy" else scale
    np.testing.assert_allclose(scaled.null_distribution, factor * plain.null_distribution, rtol=1e-12)
    assert (scaled.p_value, scaled.statistic) == (plain.p_value, pytest.approx(factor * plain.statistic, abs=0))


@pytest.mark.parametrize("name", sorted(STATISTICS))
def test_the_interval_holds_the_value(rng, name):
    found = confidence_interval(*rng.normal(size=(2, 20)), distance=name, n_resamples=20, seed=1)
    assert found.interval[0] <= found.value <= found.interval[1]


@pytest.mark.parametrize("returned", ["a", np.ones(3), np.nan])
def test_a_statistic_that_is_no_number_is_refused(rng, returned):
    with pytest.raises(ValueError, match=r"^`statistic` must be a function that returns numbers, but it returned "):
        two_sample_test([1.0, 2.0], [3.0], statistic=lambda x, y: returned, n_permutations=9)


@pytest.mark.parametrize("returned", [-1.0, np.inf])
def test_an_interval_is_one_of_a_distance(rng, returned):
    with pytest.raises(ValueError, match=f"must be a function that is never .*, but it returned {returned:g}"):
        confidence_interval(rng.normal(size=5), rng.normal(size=6), distance=lambda x, y: returned)


def test_the_spread_of_large_distances_does_not_overflow():
    x, y = np.random.default_rng(0).normal(size=(2, 20))
    far, near = (confidence_interval(unit * x, unit * y, seed=0) for unit in (2.0**1000, 1.0))
    assert far.stderr == near.stderr * 2.0**1000
