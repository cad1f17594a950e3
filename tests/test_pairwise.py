"""Matrices of distances: every entry is what the distance itself says, and errors name their pair."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import ot_distances as ot
from ot_distances import pairwise
from ot_distances.pairwise import DISTANCES, SMALL, STACK
from ot_distances.problem import Array

# Of a measure of each kind, the arguments that the distance takes.
POINTS = ("wasserstein", "sliced_wasserstein")


def measures_for(distance: str, count: int, rng: np.random.Generator) -> list[Any]:
    if distance in POINTS:
        sizes = [4, 5, 4, 6][:count] + [4] * max(count - 4, 0)
        clouds = [rng.normal(size=(n, 2)) for n in sizes]
        weights = [rng.integers(1, 9, n).astype(float) for n in sizes]
        return [(x, a / a.sum()) if i % 3 == 0 else x for i, (x, a) in enumerate(zip(clouds, weights))]
    if distance == "gaussian_wasserstein":
        return [(rng.normal(size=2), np.diag(rng.random(2) + 0.1)) for _ in range(count)]
    return list(rng.dirichlet(np.ones(5), count))


def one_by_one(distance: str, x: Any, y: Any, options: dict[str, Any]) -> float:
    function = getattr(ot, distance)
    if distance in POINTS:
        (x, a), (y, b) = (one if isinstance(one, tuple) else (one, None) for one in (x, y))
        return float(function(x, y, a, b, **options))
    return float(function(*x, *y) if distance == "gaussian_wasserstein" else function(x, y, **options))


@pytest.mark.parametrize("distance", DISTANCES)
def test_every_entry_is_the_distance_itself(distance: str, rng: np.random.Generator) -> None:
    options = {"seed": 3} if distance == "sliced_wasserstein" else {}
    measures, others = measures_for(distance, 5, rng), measures_for(distance, 3, rng)
    seed = {"seed": int(np.random.default_rng(3).integers(2**63))} if options else {}
    found = pairwise(measures, others, distance=distance, **options)
    wanted = [[one_by_one(distance, x, y, seed) for y in others] for x in measures]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    assert found.dtype == np.float64


@pytest.mark.parametrize("distance", DISTANCES)
def test_one_list_against_itself(distance: str, rng: np.random.Generator) -> None:
    measures = measures_for(distance, 5, rng)
    options = {"seed": 3} if distance == "sliced_wasserstein" else {}
    within, against = (pairwise(measures, other, distance=distance, **options) for other in (None, measures))
    np.testing.assert_allclose(within, against, rtol=1e-12, atol=1e-7 if distance == "gaussian_wasserstein" else 0)
    assert not within.diagonal().any()
    assert np.array_equal(within, within.T) == DISTANCES[distance].symmetric


def test_half_of_a_symmetric_matrix_is_solved(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    solved = []
    real = ot.sliced_wasserstein

    def counted(*args: Any, **options: Any) -> Any:
        solved.append(args)
        return real(*args, **options)

    counted.__signature__ = inspect.signature(real)
    monkeypatch.setattr(ot, "sliced_wasserstein", counted)
    pairwise(list(rng.normal(size=(7, 3, 2))), distance="sliced_wasserstein")
    assert len(solved) == 7 * 6 // 2


def test_small_problems_travel_in_stacks(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    """Of one shape each, no stack above its size, and a large problem alone; the values are the same."""
    sizes = []
    real = ot.wasserstein

    def counted(x: Any, y: Any, *args: Any, **options: Any) -> Any:
        sizes.append(len(x) if np.ndim(x) == 3 else 1)
        return real(x, y, *args, **options)

    counted.__signature__ = inspect.signature(real)
    large = int(SMALL**0.5) + 1
    measures = [*rng.normal(size=(17, 3, 1)), rng.normal(size=(large, 1)), rng.normal(size=(large, 1))]
    expected = pairwise(measures)
    monkeypatch.setattr(ot, "wasserstein", counted)
    np.testing.assert_array_equal(pairwise(measures), expected)
    pairs = 17 * 16 // 2
    assert sorted(sizes, reverse=True) == [STACK, STACK, 2 * 17, pairs - 2 * STACK, 1]


def test_threads_change_nothing(rng: np.random.Generator) -> None:
    measures = list(rng.normal(size=(9, 6, 2)))
    np.testing.assert_array_equal(pairwise(measures, n_jobs=1, p=2), pairwise(measures, n_jobs=3, p=2))


def test_stacked_arrays_and_one_measure_are_lists_too(rng: np.random.Generator) -> None:
    stack = rng.normal(size=(3, 4, 2))
    np.testing.assert_array_equal(pairwise(stack), pairwise(list(stack)))
    np.testing.assert_array_equal(pairwise([stack[0]]), [[0.0]])


def test_metric_axioms_hold_over_many_clouds(rng: np.random.Generator) -> None:
    found = pairwise([rng.normal(size=(rng.integers(2, 7), 2)) for _ in range(8)], p=2)
    assert (found[:, :, None] + found[None, :, :] >= found[:, None, :] - 1e-12).all()


def test_sliced_distances_share_their_directions(rng: np.random.Generator) -> None:
    """Between x and x moved by v: |<v, w>| over the same w whatever x; so the two entries agree."""
    x, z, v = rng.normal(size=(5, 2)), rng.normal(size=(5, 2)), np.array([2.0, 1.0])
    found = pairwise([x, z], [x + v, z + v], distance="sliced_wasserstein", n_projections=8)
    assert found[0, 0] == pytest.approx(found[1, 1], rel=1e-12)


def test_a_metric_function_need_not_be_symmetric(rng: np.random.Generator) -> None:
    def uphill(x: Array, y: Array) -> Array:
        return np.maximum(y[None, :, 0] - x[:, None, 0], 0) + 1

    clouds = list(rng.normal(size=(4, 5, 1)))
    expected = [[ot.wasserstein(x, y, metric=uphill) for y in clouds] for x in clouds]
    np.testing.assert_array_equal(ot.pairwise(clouds, metric=uphill), expected)


def test_gaussians_on_the_line_are_pairs_of_numbers() -> None:
    np.testing.assert_array_equal(
        ot.pairwise([(0.0, 1.0), (3.0, 25.0)], distance="gaussian_wasserstein"), [[0.0, 5.0], [5.0, 0.0]]
    )


def test_progress_is_said_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    pairwise([[0.0], [1.0], [3.0]], progress=True)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines()[-1] == "ot_distances: 3 of 3 distances"
    pairwise([[0.0], [1.0]])
    assert capsys.readouterr().err == ""


BAD: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
    ("ab", {}, TypeError, "`measures` must be a sequence of measures, but it is a str."),
    ([], {}, ValueError, "`measures` must hold at least one measure, but it is empty."),
    ([[0.0]], {"others": []}, ValueError, "`others` must hold at least one measure"),
    ([[0.0], [[0.0, 1.0]]], {}, ValueError, r"`measures\[1\]` must have 1 columns like `measures\[0\]`, but it has 2."),
    ([[0.0], [np.nan]], {}, ValueError, r"`measures\[1\]` must be finite, but measures\[1\]\[0, 0\] = nan."),
    ([[0.0], ([1.0, 2.0], [1.0])], {}, ValueError, r"`measures\[1\]\[1\]` must have shape \(2,\) to go with 2 points"),
    ([([0.0], [1.0], 3)], {}, ValueError, r"`measures\[0\]` must be points or a tuple \(points, weights\), but it is"),
    ([[0.0], [1.0]], {"distance": "energy"}, ValueError, "`distance` must be one of 'wasserstein', "),
    ([[0.0], [1.0]], {"n_jobs": 0}, ValueError, "`n_jobs` must be at least 1"),
    ([[0.0], [1.0]], {"q": 2}, TypeError, "`q` must be an option of wasserstein, but that knows 'p', 'metric',"),
    ([[0.0], [1.0]], {"p": 0.5}, ValueError, r"`measures\[0\]` \(x, a\) against `measures\[1\]` \(y, b\): `p` must be"),
    (
        [[0.0], ([1.0], [3.0])],
        {},
        ValueError,
        r"`measures\[1\]\[1\]` must sum to 1 beside measures without weights, but",
    ),
    ([[1.0]], {"distance": "gaussian_wasserstein"}, ValueError, r"`measures\[0\]` must be a tuple \(mean, cov\)"),
    ([[[1.0]]], {"distance": "js_distance"}, ValueError, r"`measures\[0\]` must be a probability vector, but it has"),
    ([[1.0], [0.5, 0.5]], {"distance": "js_distance"}, ValueError, r"`measures\[1\]` must have 1 entries like"),
]


@pytest.mark.parametrize(("measures", "options", "error", "said"), BAD)
def test_bad_input_is_named(measures: Any, options: dict[str, Any], error: type, said: str) -> None:
    with pytest.raises(error, match=said):
        pairwise(measures, **options)


def test_counts_go_with_counts() -> None:
    """A measure without weights has a mass of 1, by which a distance between counts would not be in one unit."""
    assert pairwise([([0.0], [3.0]), ([2.0], [3.0])])[0, 1] == 6


def test_the_pair_that_fails_is_named(rng: np.random.Generator) -> None:
    """Among a stack of good ones."""
    heavy = (np.zeros((3, 1)), np.array([1.0, 1.0, 1.0]))
    light = [(rng.normal(size=(3, 1)), np.full(3, 1 / 3)) for _ in range(4)]
    with pytest.raises(ValueError, match=r"`measures\[0\]` \(x, a\) against `others\[2\]` \(y, b\): `a` and `b` must"):
        pairwise(light, [*light[:2], heavy, light[3]])


def test_bounds_of_an_uncertified_pair_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def give_up(*args: Any, **options: Any) -> None:
        raise ot.NotConverged("no", 1.0, 2.0)

    give_up.__signature__ = inspect.signature(ot.wasserstein)
    monkeypatch.setattr(ot, "wasserstein", give_up)
    with pytest.raises(ot.NotConverged, match=r"`measures\[0\]` \(x, a\) against `measures\[1\]`") as caught:
        pairwise([[0.0], [1.0]])
    assert (caught.value.lower, caught.value.upper) == (1.0, 2.0)
