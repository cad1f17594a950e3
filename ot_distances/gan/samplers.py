"""Which real points and which latent points make a batch: the bias of a mini-batch loss is decided here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import solve_cost
from ..problem import Array

# A k-DPP decomposes the kernel matrix of its pool: 2,000 points take 32 MB and some seconds.
POOL = 2000
# Added to its eigenvalues: points in tight clusters leave fewer of them above rounding than a batch has points.
RIDGE = 1e-6
# Lloyd's iterations: first with each point in the nearest cell, which is cheap, then with cells of equal size.
FREE_ROUNDS, BALANCED_ROUNDS = 10, 2


class RandomBatches:
    """Batches without replacement: every epoch is a random partition of the data.

    Parameters
    ----------
    data : ndarray, shape (n, d)
    batch : int
        Points in a batch, m <= n. Where m does not divide n, each epoch leaves out n mod m points, each time others.
    rng : numpy.random.Generator
        Its own: nothing else may draw from it.
    """

    def __init__(self, data: Array, batch: int, rng: np.random.Generator) -> None:
        self.n, self.batch, self.rng = len(data), batch, rng
        self.strata = self._strata(data)
        self._begin()

    def __call__(self) -> Array:
        """The indices of the next batch, (m,)."""
        if self._next == len(self._epoch):
            self._begin()
        self._next += 1
        return self._epoch[self._next - 1]

    def _strata(self, data: Array) -> Array:
        """The stratum of each point, (n,), numbered from 0."""
        return np.zeros(self.n, dtype=np.int64)

    def _begin(self) -> None:
        """Shuffle the strata, and deal one point of each to every batch."""
        self._state = self.rng.bit_generator.state
        order = self.rng.permutation(self.n)
        order = order[np.argsort(self.strata[order], kind="stable")]
        starts = np.searchsorted(self.strata[order], np.arange(self.strata.max() + 1))
        share = self.batch // len(starts)
        batches = self.n // self.batch
        taken = starts[:, None] + np.arange(share * batches)  # (strata, share * batches)
        self._epoch = order[taken.reshape(-1, batches)].T  # (batches, m)
        self._next = 0

    def state_dict(self) -> dict[str, Any]:
        """Where the stream is: the generator at the start of the epoch, and the batches dealt since."""
        return {"rng": self._state, "next": self._next, "strata": torch.from_numpy(self.strata)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where another sampler of the same data and batch size stood."""
        self.strata = state["strata"].numpy()
        self.rng.bit_generator.state = state["rng"]
        self._begin()
        self._next = state["next"]


class StratifiedBatches(RandomBatches):
    """Batches that follow the data: one point from each of m cells of equal size, so that an epoch is a partition.

    The cells are those of balanced k-means: Lloyd's iterations in which points go to centres by an exact transport
    plan with equal masses, not each to its nearest.
    """

    def _strata(self, data: Array) -> Array:
        rng, m = np.random.default_rng(0), self.batch  # the cells belong to the data, not to the run's stream
        data = np.asarray(data, dtype=np.float64)
        centres = data[rng.choice(self.n, m, replace=False)]
        for _ in range(FREE_ROUNDS):
            centres = _means(data, squared_distances(data, centres).argmin(axis=1), centres)
        sizes = np.full(m, self.n // m) + (np.arange(m) < self.n % m)
        for _ in range(BALANCED_ROUNDS):
            plan = solve_cost(squared_distances(data, centres), np.ones(self.n), sizes.astype(float)).plan
            strata = np.zeros(self.n, dtype=np.int64)
            whole = plan.data > 0.5  # an optimal vertex splits no point, but for crumbs of rounding
            strata[plan.row[whole]] = plan.col[whole]
            centres = _means(data, strata, centres)
        return strata


def _means(data: Array, cell: Array, centres: Array) -> Array:
    """The mean of each cell, (m, d); an empty one keeps its centre."""
    size = np.bincount(cell, minlength=len(centres))
    sums = np.zeros_like(centres)
    np.add.at(sums, cell, data)
    return np.where(size[:, None] > 0, sums / np.maximum(size, 1)[:, None], centres)


class KDPPBatches(RandomBatches):
    """Batches from a k-DPP with a Gaussian kernel: points that repel each other.

    For comparison: such batches flatten the law of the data (small modes come too often), where stratified ones
    follow it. The pool is the first 2,000 points.

    References
    ----------
    A. Kulesza and B. Taskar, k-DPPs: fixed-size determinantal point processes, ICML 2011.
    C. Zhang, H. Kjellström and S. Mandt, Determinantal point processes for mini-batch diversification, UAI 2017.
    """

    def __init__(self, data: Array, batch: int, rng: np.random.Generator) -> None:
        pool = np.asarray(data[:POOL], dtype=np.float64)
        squares = squared_distances(pool, pool)
        width = np.median(squares[np.triu_indices(len(pool), 1)]) / np.log(len(pool))
        values, self._vectors = np.linalg.eigh(np.exp(-squares / width))
        self._values = np.maximum(values, 0) + RIDGE
        self._table = _log_elementary(self._values, batch)
        super().__init__(data, batch, rng)

    def _begin(self) -> None:
        """No epochs: every batch is drawn from the whole pool."""
        self._state, self._next = self.rng.bit_generator.state, 0

    def __call__(self) -> Array:
        """The indices of the next batch, (m,)."""
        basis = self._vectors[:, self._eigenvectors()]
        chosen = []
        for _ in range(self.batch):
            share = np.square(basis).sum(axis=1)
            chosen.append(int(self.rng.choice(len(share), p=share / share.sum())))
            # The part of the space that vanishes at the point just chosen.
            pivot = int(np.abs(basis[chosen[-1]]).argmax())
            column = basis[:, pivot] / basis[chosen[-1], pivot]
            basis = np.delete(basis - np.outer(column, basis[chosen[-1]]), pivot, axis=1)
            if basis.shape[1]:
                basis = np.linalg.qr(basis)[0]
        self._state = self.rng.bit_generator.state
        return np.array(chosen)

    def _eigenvectors(self) -> list[int]:
        """k of them, with probability proportional to the product of their eigenvalues."""
        left, chosen = self.batch, []
        for i in range(len(self._values) - 1, -1, -1):
            if not left:
                break
            taken = np.log(self._values[i]) + self._table[left - 1, i] - self._table[left, i + 1]
            if np.log(self.rng.random()) < taken:
                chosen.append(i)
                left -= 1
        return chosen


def _log_elementary(values: Array, k: int) -> Array:
    """log e_j of the first i values, (k + 1, n + 1): the polynomials themselves leave the range of floats."""
    table = np.full((k + 1, len(values) + 1), -np.inf)
    table[0] = 0.0
    for i, value in enumerate(values):
        table[1:, i + 1] = np.logaddexp(table[1:, i], np.log(value) + table[:-1, i])
    return table


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


LATENTS: dict[str, Callable[[int, int, torch.Generator], Tensor]] = {
    "normal": normal,
    "uniform": uniform,
    "sobol": sobol,
}
