"""Batches and latent points: which law they follow, and that a stream goes on where it stood."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import ot_distances as ot  # noqa: E402
from ot_distances.gan.samplers import BATCHES, LATENTS, KDPPBatches, RandomBatches, StratifiedBatches  # noqa: E402


def mixture(rng: np.random.Generator, n: int) -> np.ndarray:
    """Three modes of shares .7, .2 and .1."""
    mode = np.repeat([0, 1, 2], [round(0.7 * n), round(0.2 * n), round(0.1 * n)])
    return np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])[mode] + 0.3 * rng.normal(size=(n, 2))


@pytest.mark.parametrize("kind", [RandomBatches, StratifiedBatches])
@pytest.mark.parametrize(("n", "m"), [(60, 12), (60, 1), (60, 60), (61, 12), (59, 12)])
def test_an_epoch_is_a_partition(kind: type[RandomBatches], n: int, m: int, rng: np.random.Generator) -> None:
    batch, count = kind(rng.normal(size=(n, 2)), m), n // m
    for first in (0, count):
        epoch = np.concatenate([batch(k) for k in range(first, first + count)])
        assert len(np.unique(epoch)) == len(epoch) == n - n % m
        assert ((epoch >= 0) & (epoch < n)).all()


def test_every_stratum_is_in_every_batch(rng: np.random.Generator) -> None:
    data = rng.normal(size=(130, 2))
    batch = StratifiedBatches(data, 12)
    sizes = np.bincount(batch.strata)
    assert sorted(set(sizes)) == [10, 11]
    for k in range(25):
        assert sorted(batch.strata[batch(k)]) == list(range(12))
    epochs = [np.concatenate([batch(10 * e + k) for k in range(10)]) for e in range(20)]
    left = {int(i) for epoch in epochs for i in set(range(130)) - set(epoch)}
    assert len(left) > 60, "each epoch leaves out others"


def test_strata_are_compact(rng: np.random.Generator) -> None:
    """Equal masses of the modes fall into whole strata, and their points lie together."""
    data = np.repeat([[0.0, 0.0], [9.0, 0.0]], 40, axis=0) + 0.1 * rng.normal(size=(80, 2))
    strata = StratifiedBatches(data, 4).strata
    for k in range(4):
        assert np.ptp(data[strata == k, 0]) < 1


def test_stratified_batches_follow_the_data_and_dpps_flatten_them(rng: np.random.Generator) -> None:
    """Shares of the modes, and W_1 between batch and data: stratified < random < k-DPP."""
    data = mixture(rng, 300)
    rare, away = {}, {}
    for name, kind in BATCHES.items():
        batch = kind(data, 30, seed=1)
        batches = [data[batch(k)] for k in range(20)]
        rare[name] = np.mean([(points[:, 1] > 2).mean() for points in batches])
        distances = [ot.wasserstein(points, data) for points in batches]
        away[name] = np.mean(distances), np.std(distances) / np.sqrt(20)
    assert rare["stratified"] == pytest.approx(0.1, abs=0.02)
    assert rare["kdpp"] > 0.15
    for closer, further in (("stratified", "random"), ("random", "kdpp")):
        gap = away[further][0] - away[closer][0]
        assert gap > 3 * np.hypot(away[closer][1], away[further][1]), (closer, further)


def test_a_kdpp_draws_by_determinants(rng: np.random.Generator) -> None:
    """P(S) is proportional to det K_S: against all subsets of a small pool."""
    data, k = rng.normal(size=(5, 2)), 2
    batch = KDPPBatches(data, k)
    kernel = batch._vectors @ np.diag(batch._values) @ batch._vectors.T
    sets = list(itertools.combinations(range(5), k))
    exact = np.array([np.linalg.det(kernel[np.ix_(s, s)]) for s in sets])
    exact /= exact.sum()
    n = 4000
    drawn = [tuple(sorted(batch(i))) for i in range(n)]
    counts = np.array([drawn.count(s) for s in sets])
    assert counts.sum() == n, "no point twice"
    assert (np.square(counts - n * exact) / (n * exact)).sum() < 27.9  # chi-square of 9 degrees, one in a thousand


def test_a_kdpp_fills_batches_larger_than_the_rank_of_its_clusters(rng: np.random.Generator) -> None:
    data = np.repeat(rng.normal(size=(4, 2)), 30, axis=0) + 1e-4 * rng.normal(size=(120, 2))
    assert len(set(KDPPBatches(data, 64)(0))) == 64


@pytest.mark.parametrize("name", BATCHES)
def test_a_batch_depends_on_its_number_and_the_seed_only(name: str, rng: np.random.Generator) -> None:
    data = rng.normal(size=(50, 2))
    one, again, other = (BATCHES[name](data, 8, seed) for seed in (0, 0, 1))
    forwards, backwards = (
        [batch(k).tolist() for k in order] for batch, order in ((one, range(15)), (again, range(14, -1, -1)))
    )
    assert forwards == backwards[::-1]
    assert len({tuple(indices) for indices in forwards}) == 15
    assert forwards != [other(k).tolist() for k in range(15)]


@pytest.mark.parametrize("name", LATENTS)
def test_latent_points_follow_their_law(name: str) -> None:
    stream = torch.Generator().manual_seed(0)
    batches = [LATENTS[name](64, 3, stream) for _ in range(60)]
    z = torch.cat(batches).double().numpy()
    assert batches[0].dtype == torch.float32
    assert not torch.equal(batches[0], batches[1])
    spread = 1 / np.sqrt(3) if name == "uniform" else 1.0
    np.testing.assert_allclose(z.mean(0), 0, atol=0.06)
    np.testing.assert_allclose(z.std(0), spread, atol=0.05)
    np.testing.assert_allclose(np.corrcoef(z.T), np.eye(3), atol=0.06)
    if name == "uniform":
        assert np.abs(z).max() <= 1


def test_sobol_batches_have_one_point_in_each_cell() -> None:
    """Of 64 points one lies in each of 64 intervals of equal probability, along every axis."""
    z = LATENTS["sobol"](64, 2, torch.Generator().manual_seed(3)).double()
    cells = (torch.special.ndtr(z) * 64).long()
    for axis in range(2):
        assert sorted(cells[:, axis].tolist()) == list(range(64))
    squares = cells // 8 @ torch.tensor([8, 1])
    assert sorted(squares.tolist()) == list(range(64))
