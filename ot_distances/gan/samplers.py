"""Which real points and which latent points make a batch: the bias of a mini-batch loss is decided here.

Batches are numbered, and each is drawn from a seed of its own: a run that is resumed needs no more than its step.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from .. import solve_cost
from ..problem import Array

# A k-DPP decomposes the kernel matrix of its pool: 2,000 points take 32 MB and some seconds.
POOL = 2000
# Added to its eigenvalues: points in tight clusters leave fewer of them above rounding than a batch has points.
RIDGE = 1e-6
# Lloyd's iterations; most cells are at rest before.
ROUNDS = 10

Latent = Callable[[int, int, torch.Generator], Tensor]


class RandomBatches:
    """Batches without replacement: every epoch is a random partition of the data.

    Parameters
    ----------
    data : ndarray, shape (n, d)
    batch : int
        Points in a batch, m <= n. Where m does not divide n, each epoch leaves out n mod m points, each time others.
    seed : int
    """

    def __init__(self, data: Array, batch: int, seed: int = 0) -> None:
        self.n, self.batch, self.seed = len(data), batch, seed
        self.strata = self._strata(np.asarray(data, dtype=np.float64))
        self._epoch = lru_cache(1)(self._dealt)

    def __call__(self, k: int) -> Array:
        """The indices of batch number k, (m,)."""
        epoch, place = divmod(k, self.n // self.batch)
        return self._epoch(epoch)[place]

    def _strata(self, data: Array) -> Array:
        """The stratum of each point, (n,), numbered from 0."""
        return np.zeros(self.n, dtype=np.intp)

    def _dealt(self, epoch: int) -> Array:
        """Every stratum shuffled, and one point of each dealt to every batch, (batches, m)."""
        order = np.random.default_rng([self.seed, epoch]).permutation(self.n)
        order = order[np.argsort(self.strata[order], kind="stable")]
        starts = np.unique(self.strata[order], return_index=True)[1]
        batches = self.n // self.batch
        taken = starts[:, None] + np.arange(self.batch // len(starts) * batches)  # (strata, points of each)
        return order[taken.reshape(-1, batches)].T


class StratifiedBatches(RandomBatches):
    """Batches that follow the data: one point from each of m cells of equal size, so that an epoch is a partition.

    The cells are those of balanced k-means: Lloyd's iterations in which points go to centres by an exact transport
    plan with equal masses, not each to its nearest.
    """

    def _strata(self, data: Array) -> Array:
        m, strata = self.batch, np.zeros(self.n, dtype=np.intp)
        centres = data[np.random.default_rng(0).choice(self.n, m, replace=False)]  # the cells are those of the data
        sizes = np.full(m, float(self.n // m)) + (np.arange(m) < self.n % m)
        for _ in range(ROUNDS):
            plan, before = solve_cost(squared_distances(data, centres), np.ones(self.n), sizes).plan, strata.copy()
            whole = plan.data > 0.5  # an optimal vertex splits no point, but for crumbs of rounding
            strata[plan.row[whole]] = plan.col[whole]
            if np.array_equal(strata, before):
                break
            centres = np.stack([data[strata == k].mean(axis=0) for k in range(m)])
        return strata


class KDPPBatches(RandomBatches):
    """Batches from a k-DPP with a Gaussian kernel: points that repel each other.

    For comparison: such batches flatten the law of the data (small modes come too often), where stratified ones
    follow it. The pool is the first 2,000 points.

    References
    ----------
    A. Kulesza and B. Taskar, k-DPPs: fixed-size determinantal point processes, ICML 2011.
    C. Zhang, H. Kjellström and S. Mandt, Determinantal point processes for mini-batch diversification, UAI 2017.
    """

    def __init__(self, data: Array, batch: int, seed: int = 0) -> None:
        super().__init__(data[:POOL], batch, seed)
        squares = squared_distances(*[np.asarray(data[:POOL], dtype=np.float64)] * 2)
        width = np.median(squares[np.triu_indices(self.n, 1)]) / np.log(self.n)
        values, self._vectors = np.linalg.eigh(np.exp(-squares / width))
        self._values = np.maximum(values, 0) + RIDGE
        # log e_j of the first i values, (m + 1, n + 1): the elementary polynomials leave the range of floats.
        self._table = np.full((batch + 1, self.n + 1), -np.inf)
        self._table[0] = 0.0
        for i, value in enumerate(np.log(self._values)):
            self._table[1:, i + 1] = np.logaddexp(self._table[1:, i], value + self._table[:-1, i])

    def __call__(self, k: int) -> Array:
        """The indices of batch number k, (m,): no epochs, each batch is drawn from the whole pool."""
        rng = np.random.default_rng([self.seed, k])
        vectors = self._vectors[:, self._spanning(rng)]
        columns, chosen = np.zeros((self.n, self.batch)), np.zeros(self.batch, dtype=np.intp)
        share = np.square(vectors).sum(axis=1)  # the part of each point that the chosen ones do not span
        for j in range(self.batch):
            i = chosen[j] = rng.choice(self.n, p=share / share.sum())
            columns[:, j] = (vectors @ vectors[i] - columns @ columns[i]) / np.sqrt(share[i])  # Gram-Schmidt
            share = np.maximum(share - np.square(columns[:, j]), 0)
            share[chosen[: j + 1]] = 0  # exactly
        return chosen

    def _spanning(self, rng: np.random.Generator) -> list[int]:
        """m eigenvectors, with probability proportional to the product of their eigenvalues."""
        chosen: list[int] = []
        for i in reversed(range(self.n)):
            left = self.batch - len(chosen)
            if left and np.log(rng.random()) < (
                np.log(self._values[i]) + self._table[left - 1, i] - self._table[left, i + 1]
            ):
                chosen.append(i)
        return chosen


def squared_distances(x: Array, y: Array) -> Array:
    """|x_i - y_j|^2 by one matrix product, (n, m): for clusters and neighbours, not for a reported distance."""
    origin = x.mean(axis=0)
    x, y = x - origin, y - origin
    squares = np.square(x).sum(axis=1)[:, None] + np.square(y).sum(axis=1) - 2 * (x @ y.T)
    return np.maximum(squares, 0, out=squares)


BATCHES = {"random": RandomBatches, "stratified": StratifiedBatches, "kdpp": KDPPBatches}


def normal(n: int, d: int, rng: torch.Generator) -> Tensor:
    """Independent N(0, 1), (n, d)."""
    return torch.randn(n, d, generator=rng)


def uniform(n: int, d: int, rng: torch.Generator) -> Tensor:
    """Independent U(-1, 1), (n, d)."""
    return 2 * torch.rand(n, d, generator=rng) - 1


def sobol(n: int, d: int, rng: torch.Generator) -> Tensor:
    """N(0, 1) by the inverse of its distribution function from scrambled Sobol points, scrambled anew each time."""
    seed = int(torch.randint(2**31, (1,), generator=rng))
    engine = torch.quasirandom.SobolEngine(d, scramble=True, seed=seed)  # type: ignore[no-untyped-call]
    points: Tensor = engine.draw(n, dtype=torch.float64)
    return torch.special.ndtri(points.clamp(2.0**-32, 1 - 2.0**-32)).float()


LATENTS: dict[str, Latent] = {"normal": normal, "uniform": uniform, "sobol": sobol}
