"""A cloud of points that answers: which of you are cheapest for these points, under these prices?"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from ..costs import BLOCK_ENTRIES, METRICS, FunctionCost, PointCost
from ..problem import Array, Watch


def folding(cost: PointCost) -> tuple[int, float]:
    """(fold, power) of the kernels: the cost is fold(|x - y|) ** power."""
    return METRICS[cost.metric].fold, cost.power


@dataclass(frozen=True)
class Nearest:
    """For each point asked about: up to K columns of least reduced cost, ascending, and how many there are."""

    best: Array  # (k, K) intp
    value: Array  # (k, K) float64
    found: Array  # (k,) intp


class Side(Protocol):
    """One side of a transport problem, asked by the points of the other."""

    @property
    def points(self) -> Array: ...
    @property
    def mass(self) -> Array: ...
    @property
    def watch(self) -> Watch: ...
    def __len__(self) -> int: ...
    def costs(self, x: Array, rows: Array, cols: Array, /) -> Array:
        """The costs of the listed pairs of x and points here."""

    def arc_costs(self, x: Array, indptr: Array, heads: Array, /) -> Array:
        """The costs of the pairs of x_i with the points heads[indptr[i] : indptr[i + 1]]."""

    def nearest(
        self, x: Array, g: Array, size: int, /, rows: Array | None = None, limits: Array | None = None
    ) -> Nearest:
        """The `size` columns j of least c(x_i, y_j) - g_j, below limits[t], for i = rows[t]."""

    def transform(self, x: Array, g: Array, /) -> Array:
        """min_j c(x_i, y_j) - g_j for all i."""


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
        from ..kernels.c_transform import BLOCK_DIMENSION

        return bool(self.points.shape[1] >= BLOCK_DIMENSION)

    @cached_property
    def tree(self) -> Any:
        from ..kernels import kd_tree as kernel

        return kernel.build_tree(self.points, self.grains)

    @cached_property
    def _by_coordinate(self) -> Array:
        return np.ascontiguousarray(self.points.T)

    def coarser(self, ratio: int) -> Cloud:
        """The centroids of runs of `ratio` points, the last run being shorter."""
        starts = np.arange(0, len(self), ratio)
        mass = np.add.reduceat(self.mass, starts)
        points = np.add.reduceat(self.points * self.mass[:, None], starts) / mass[:, None]
        grains = self.grains[self.grains > ratio] // ratio
        return replace(self, points=points, mass=mass, grains=grains)

    def first(self, count: int) -> Cloud:
        """Without the points from number `count` on."""
        return replace(self, points=self.points[:count], mass=self.mass[:count])

    def costs(self, x: Array, rows: Array, cols: Array) -> Array:
        from ..kernels import candidates as kernel

        out = np.empty(len(rows))
        kernel.pair_costs(x, rows, self.points, cols, self.fold, self.power, out)
        return out

    def arc_costs(self, x: Array, indptr: Array, heads: Array) -> Array:
        from ..kernels import candidates as kernel

        out = np.empty(len(heads))
        kernel.in_parallel(kernel.arc_costs, x, self.points, indptr, heads, self.fold, self.power, out)
        return out

    def nearest(self, x: Array, g: Array, size: int, rows: Array | None = None, limits: Array | None = None) -> Nearest:
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
        from ..kernels.c_transform import AFFINE_DIMENSION, SLICE

        nodes, d = self.tree[3].shape
        table = np.empty((nodes, 3 * d + 2))
        kd_tree.bound_nodes(self.points, g, self.tree, d <= AFFINE_DIMENSION, table)
        for first in range(0, len(rows), SLICE):
            self.watch.check()
            last = min(first + SLICE, len(rows))
            candidates.in_parallel(
                candidates.tree_candidates, x, rows, self.points, self._by_coordinate, g, self.tree, table, self.fold,
                self.power, limits, first, last, out.best, out.value, out.found,
            )  # fmt: skip

    @cached_property
    def _rough(self) -> Any:
        from ..kernels import rough_costs

        return rough_costs.prepare(self.points, self.fold)

    def _by_blocks(self, x: Array, g: Array, rows: Array, limits: Array, out: Nearest) -> None:
        from ..kernels import candidates, rough_costs
        from ..kernels.c_transform import BLOCK_VALUES

        step = max(1, BLOCK_VALUES // len(self))
        for first in range(0, len(rows), step):
            self.watch.check()
            folded, error = rough_costs.fold(x[rows[first : first + step]], self._rough, self.fold)
            self.watch.holds(folded, *self._rough, out.best, out.value)
            candidates.in_parallel(
                candidates.block_candidates, x, rows, self.points, g, folded, error, self.fold, self.power, limits,
                first, out.best, out.value, out.found,
            )  # fmt: skip

    def transform(self, x: Array, g: Array) -> Array:
        return self.nearest(x, g, 1).value[:, 0]


@dataclass(frozen=True)
class FunctionCloud(Cloud):
    """Points under a user's cost: a cluster is represented by one of its points; all pairs are visited in blocks."""

    cost: FunctionCost  # from points asked about to points here

    def coarser(self, ratio: int) -> Cloud:
        starts = np.arange(0, len(self), ratio)
        grains = self.grains[self.grains > ratio] // ratio
        middle = np.minimum(starts + ratio // 2, len(self) - 1)
        return replace(self, points=self.points[middle], mass=np.add.reduceat(self.mass, starts), grains=grains)

    def costs(self, x: Array, rows: Array, cols: Array) -> Array:
        return FunctionCost(self.cost.metric, x, self.points, self.cost.p, self.cost.shift).entries(rows, cols)

    def arc_costs(self, x: Array, indptr: Array, heads: Array) -> Array:
        return self.costs(x, np.repeat(np.arange(len(x)), np.diff(indptr)), heads)

    def nearest(self, x: Array, g: Array, size: int, rows: Array | None = None, limits: Array | None = None) -> Nearest:
        rows = np.arange(len(x)) if rows is None else rows
        size, count = min(size, len(self)), len(rows)
        best, value = np.zeros((count, size), np.intp), np.full((count, size), np.inf)
        step = max(1, BLOCK_ENTRIES // len(self))
        for first in range(0, count, step):
            self.watch.check()
            here = slice(first, first + step)
            reduced = self.cost.between(x[rows[here]], self.points) - g
            near = np.argpartition(reduced, size - 1, axis=1)[:, :size]
            near.sort(axis=1)  # ties: the first column first
            found = np.take_along_axis(reduced, near, axis=1)
            order = np.argsort(found, axis=1, kind="stable")
            best[here], value[here] = (np.take_along_axis(part, order, axis=1) for part in (near, found))
        below = np.full(count, size) if limits is None else (value < limits[:, None]).sum(axis=1)
        return Nearest(best, value, below)


def ordered(points: Array, grains: Array, first: float = 1.0) -> Array:
    """The indices of the points in tree order, where an extent along the first axis counts `first` times."""
    from ..kernels import kd_tree as kernel

    if first != 1.0:
        points = points.copy()
        points[:, 0] *= first
    order = np.empty(len(points), np.intp)
    kernel.sort_points(points, grains, order)
    return order
