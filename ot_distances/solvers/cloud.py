"""A cloud of points that answers: which of you are cheapest for these points, under these prices?"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..costs import METRICS, PointCost
from ..problem import Array

# From this dimension on boxes no longer prune: all pairs are visited, in blocks.
BLOCK_DIMENSION = 9

# Affine bounds cost d**2 operations for each point and level of the tree, and pay where boxes prune.
AFFINE_DIMENSION = 6

# Rows in a call of a kernel, so that Ctrl-C and the time limit are seen between calls.
SLICE = 2**13

# Rough values held at a time by the search in blocks.
BLOCK_VALUES = 2**21

Progress = Callable[[str, float], None]


class Interrupted(Exception):
    """The time is up, or the user pressed Ctrl-C."""


@dataclass
class Watch:
    """Looks at the clock between slices of work."""

    deadline: float = np.inf  # of time.perf_counter()
    progress: Progress | None = None  # told the stage and the certified gap so far, nan where not known
    peak: int = 0

    def check(self) -> None:
        if time.perf_counter() > self.deadline:
            raise Interrupted("time_limit")

    def tell(self, stage: str, gap: float = np.nan) -> None:
        self.check()
        if self.progress is not None:
            self.progress(stage, gap)

    def holds(self, *arrays: Array) -> None:
        self.peak = max(self.peak, sum(array.nbytes for array in arrays))


def folding(cost: PointCost) -> tuple[int, float]:
    """(fold, power) of the kernels: the cost is fold(|x - y|) ** power."""
    from ..kernels import candidates as kernel

    fold = {"cityblock": kernel.ABSOLUTES, "chebyshev": kernel.LARGEST}.get(cost.metric, kernel.SQUARES)
    return fold, METRICS[cost.metric].root * cost.p


@dataclass(frozen=True)
class Nearest:
    """For each point asked about: up to K columns of least reduced cost, ascending, and how many there are."""

    best: Array  # (k, K) intp
    value: Array  # (k, K) float64
    found: Array  # (k,) intp


@dataclass(frozen=True)
class Cloud:
    """Points in tree order with their masses, under a ground cost fold(|x - y|) ** power."""

    points: Array  # (k, d)
    mass: Array  # (k,) int64
    grains: Array  # cluster sizes that the tree keeps together, descending
    fold: int
    power: float
    watch: Watch = field(repr=False)

    def __len__(self) -> int:
        return len(self.points)

    @property
    def by_blocks(self) -> bool:
        return bool(self.points.shape[1] >= BLOCK_DIMENSION)

    @cached_property
    def tree(self) -> Any:
        from ..kernels import kd_tree as kernel

        return kernel.build_tree(self.points, self.grains)

    def coarser(self, ratio: int) -> Cloud:
        """The centroids of runs of `ratio` points, the last run being shorter."""
        k, d = self.points.shape
        starts = np.arange(0, k, ratio)
        mass = np.add.reduceat(self.mass, starts)
        points = np.add.reduceat(self.points * self.mass[:, None], starts) / mass[:, None]
        grains = self.grains[self.grains > ratio] // ratio
        return Cloud(points, mass, grains, self.fold, self.power, self.watch)

    def first(self, count: int) -> Cloud:
        return Cloud(self.points[:count], self.mass[:count], self.grains, self.fold, self.power, self.watch)

    def costs(self, x: Array, rows: Array, cols: Array) -> Array:
        from ..kernels import candidates as kernel

        out = np.empty(len(rows))
        kernel.pair_costs(x, rows, self.points, cols, self.fold, self.power, out)
        return out

    def nearest(self, x: Array, g: Array, size: int, rows: Array | None = None, limits: Array | None = None) -> Nearest:
        """The `size` columns j of least c(x_i, y_j) - g_j, below limits[t], for i = rows[t]."""
        rows = np.arange(len(x)) if rows is None else rows
        limits = np.full(len(rows), np.inf) if limits is None else limits
        size = min(size, len(self))
        out = Nearest(
            np.zeros((len(rows), size), np.intp), np.full((len(rows), size), np.inf), np.zeros(len(rows), np.intp)
        )
        if self.by_blocks:
            self._by_blocks(x, g, rows, limits, out)
        else:
            self._by_tree(x, g, rows, limits, out)
        return out

    def _by_tree(self, x: Array, g: Array, rows: Array, limits: Array, out: Nearest) -> None:
        from ..kernels import candidates, kd_tree

        nodes, d = self.tree[3].shape
        bounds = (np.empty(nodes), np.empty((nodes, d if d <= AFFINE_DIMENSION else 0)), np.empty(nodes))
        kd_tree.bound_nodes(self.points, g, self.tree, *bounds)
        for first in range(0, len(rows), SLICE):
            self.watch.check()
            last = min(first + SLICE, len(rows))
            candidates.tree_candidates(
                x, rows, self.points, g, self.tree, bounds, self.fold, self.power, limits, first, last,
                out.best, out.value, out.found,
            )  # fmt: skip

    @cached_property
    def _rough(self) -> tuple[Array, Array, Array]:
        """(centre, centred points by coordinates in float32, their squared norms)."""
        centre = self.points.mean(0)
        away = self.points - centre
        return centre, np.ascontiguousarray(away.T.astype(np.float32)), np.einsum("ij,ij->i", away, away)

    def _by_blocks(self, x: Array, g: Array, rows: Array, limits: Array, out: Nearest) -> None:
        from ..kernels import candidates as kernel

        centre, points, squares = self._rough
        d = x.shape[1]
        reach = np.sqrt(squares.max())
        offset = max(np.abs(centre).max(), np.abs(self.points).max()) * 2.0**-51
        step = max(1, BLOCK_VALUES // len(self))
        for first in range(0, len(rows), step):
            self.watch.check()
            away = x[rows[first : first + step]] - centre
            length = np.sqrt(np.einsum("ij,ij->i", away, away))
            rough = away.astype(np.float32)
            # Roundings: of the inputs to float32, of d products and sums in any order, of the centring.
            if self.fold == kernel.SQUARES:
                folded = rough @ points
                folded *= np.float32(-2)
                folded += (length**2)[:, None].astype(np.float32)
                folded += squares.astype(np.float32)
                error = (d + 10) * 2.0**-23 * (length + reach) ** 2 + 8 * d * offset * (length + reach)
            else:
                folded = np.empty((len(rough), len(self)), np.float32)
                kernel.fold_block(rough, points, self.fold, folded)
                error = (d + 10) * 2.0**-23 * np.sqrt(d) * (length + reach) + 8 * d * offset
            kernel.block_candidates(
                x, rows, self.points, g, folded, error, self.fold, self.power, limits, first, out.best, out.value,
                out.found,
            )  # fmt: skip

    def transform(self, x: Array, g: Array) -> Array:
        """min_j c(x_i, y_j) - g_j for all i."""
        return self.nearest(x, g, 1).value[:, 0]


def ordered(points: Array, grains: Array) -> Array:
    """The indices of the points in tree order."""
    from ..kernels import kd_tree as kernel

    order = np.empty(len(points), np.intp)
    kernel.sort_points(points, grains, order)
    return order
