"""The rows, or the columns, of a cost matrix, asked as a cloud is: which of you are cheapest under these prices?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..problem import Array, Watch
from .cloud import Nearest

# Entries read between two looks at the clock.
SLICE = 100_000_000

# Atoms of more than HEAVY times the mean mass leave the others out of a sample where these hold less than the part
# LITTLE of theirs.
HEAVY, LITTLE = 3, 1 / 16


@dataclass(frozen=True)
class MatrixSide:
    """All rows of a matrix, or all columns; what `Cloud` calls points are their numbers."""

    matrix: Array  # (n, m), C-ordered, finite
    mass: Array  # (k,) int64
    watch: Watch
    columns: bool

    def __len__(self) -> int:
        return len(self.mass)

    @property
    def points(self) -> Array:
        return np.arange(len(self))

    def costs(self, others: Array, rows: Array, cols: Array) -> Array:
        """The costs of the listed pairs of a row and a column."""
        return np.asarray(self.matrix[rows, cols])

    def arc_costs(self, others: Array, indptr: Array, heads: Array) -> Array:
        """The costs of each row i and its columns heads[indptr[i] : indptr[i + 1]]."""
        return self.costs(others, np.repeat(others, np.diff(indptr)), heads)

    def nearest(
        self, others: Array, prices: Array, size: int, rows: Array | None = None, limits: Array | None = None
    ) -> Nearest:
        """For those numbered `rows` on the other side the `size` here of least cost, less the price, below a limit."""
        from ..kernels import matrix_candidates as kernel

        count, size = len(others), min(size, len(self))
        asked = np.arange(count) if rows is None else rows
        below = np.full(count, -np.inf)  # all are visited, but nothing is sought for those not asked about
        below[asked] = np.inf if limits is None else limits
        best, value = np.zeros((count, size), np.intp), np.full((count, size), np.inf)
        found = np.zeros(count, np.intp)
        search, run = (kernel.row_candidates, 1) if self.columns else (kernel.col_candidates, kernel.RUN)
        step, end = max(1, SLICE // (run * len(self))), -(-count // run)
        for first in range(0, end, step):
            self.watch.check()
            search(self.matrix, prices, below, first, min(first + step, end), best, value, found)
        return Nearest(best, value, found) if rows is None else Nearest(best[rows], value[rows], found[rows])

    def transform(self, others: Array, prices: Array) -> Array:
        """The least cost of each on the other side, less the price."""
        return self.nearest(others, prices, 1).value[:, 0]

    def drawn(self, size: int) -> Array:
        """So many of these, drawn systematically in proportion to their masses; but where a few hold nearly all of it,
        a quarter are drawn from the others, whose prices matter as well."""
        mass = self.mass.astype(np.float64)
        heavy = mass > HEAVY * mass.mean()
        most, rest = mass[heavy].sum(), mass[~heavy].sum()
        if 0 < rest < LITTLE * most:
            mass[heavy] *= 3 * rest / most
        ends = np.cumsum(mass)
        return np.searchsorted(ends, (np.arange(size) + 0.5) * (ends[-1] / size), side="right")
