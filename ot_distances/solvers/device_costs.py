"""Costs that lie on a GPU: what the certificate and the auction ask of them is answered there."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from .._arrays import to_numpy
from .._device import Backend
from ..costs import ROOT_DUST, VANISHING, DenseCost, PointCost, rounded_down
from ..problem import Array
from .cloud import folding

# A thread of a row takes this many columns, and a block has no more than so many threads.
COLUMNS, MOST_THREADS = 16, 512

# Threads of a multiprocessor that are kept busy: enough to have a row's worth of loads on the way.
RESIDENT = 1024

# Dimensions whose kernels hold a point in registers; others look its coordinates up.
UNROLLED = (2, 3)

# From this dimension on matrix products are cheaper than sums over coordinates, in blocks of so many entries.
BY_PRODUCTS, BLOCK_ENTRIES = 9, 2**26

# Rows of a tile, as candidate_lists.cu has them.
ROWS = 8

# Threads of a block that looks up pairs.
PAIR_THREADS = 128

# Largest entries of float32 matrices between which sums of prices neither overflow nor vanish.
SINGLE = 2.0**-90, 2.0**110

# Parts that sums over rows are cut into.
PARTS = 64


class DeviceCost:
    """A ground cost whose passes over all pairs run in kernels/candidate_lists.cu, on the backend's device."""

    backend: Backend
    accessor: str  # the class that reads a row there
    number: type[np.floating]  # of the entries there
    shape: tuple[int, int]

    @property
    def pairs(self) -> tuple[Any, ...]:
        """What the accessor is made from."""
        raise NotImplementedError("a cost on a device says where it lies")

    def row_transform(self, g: Array) -> Array:
        n, xp = self.shape[0], self.backend.xp
        least = xp.empty(n)
        self._minima((*self.pairs[:2], np.int32(n), *self.pairs[2:], xp.asarray(-g), least))
        return rounded_down(to_numpy(least), g)

    def _minima(self, arguments: tuple[Any, ...]) -> None:
        self._by_row(f"row_minima<{self.accessor}>", self.shape[0], *arguments)

    def refresh(self, prices: Any, rows: Any, count: Any, most: int, select: int, lists: tuple[Any, ...]) -> None:
        """Bring the `lists` (near, near_cost, length, bound) of the first `count` of `rows` up to date."""
        longest = np.int32(lists[0].shape[1])
        what = prices, rows, count, np.int32(select), longest, *lists
        price = "float" if prices.dtype == np.float32 else "double"
        self._by_row(f"refresh_rows<{self.accessor}, {price}>", most, *self.pairs, *what)

    def nearest(self, rows: Array, v: Array, select: int, longest: int) -> tuple[Array, Array]:
        """The `select` or so columns of least c_ij - v_j for some rows, as pairs (row, column) on the host."""
        (n, _), xp = self.shape, self.backend.xp
        lists = (
            xp.empty((n, longest), np.int32),
            xp.empty((n, longest), self.number),
            xp.empty(n, np.int32),
            xp.empty(n),
        )
        which = xp.asarray(rows.astype(np.int32))
        self.refresh(xp.asarray(-v), which, xp.asarray(np.array([len(rows)], np.int32)), len(rows), select, lists)
        near, length = to_numpy(lists[0][which]), to_numpy(lists[2][which])
        return np.repeat(rows, length), near[np.arange(longest) < length[:, None]].astype(np.intp)

    def column_means(self) -> tuple[Array, Array]:
        """The mean of the allowed entries of each column, and the number of these."""
        (n, m), xp = self.shape, self.backend.xp
        threads, parts = _threads(m), min(PARTS, n)
        sums, counts = xp.empty((parts, m)), xp.empty((parts, m))
        self.backend.launch(
            "candidate_lists", f"column_sums<{self.accessor}>", -(-m // threads) * parts, threads,
            (*self.pairs[:2], np.int32(n), *self.pairs[2:], np.int32(parts), sums, counts),
        )  # fmt: skip
        total, allowed = to_numpy(sums.sum(axis=0)), to_numpy(counts.sum(axis=0))
        return total / np.maximum(allowed, 1), allowed

    def entries(self, rows: Array, cols: Array) -> Array:
        xp = self.backend.xp
        costs = xp.empty(len(rows))
        if len(rows):
            where = xp.asarray(rows.astype(np.int32)), xp.asarray(cols.astype(np.int32))
            blocks = min(-(-len(rows) // PAIR_THREADS), self.backend.multiprocessors * RESIDENT)
            self.backend.launch(
                "candidate_lists", f"pair_costs<{self.accessor}>", blocks, PAIR_THREADS,
                (*self.pairs[:2], np.int64(len(rows)), *self.pairs[2:], *where, costs),
            )  # fmt: skip
        return to_numpy(costs)

    def on_host(self) -> DenseCost | PointCost:
        """The same cost, copied."""
        raise NotImplementedError("a cost on a device says how it is copied")

    def matrix(self) -> Array:
        return self.on_host().matrix()

    def _by_row(self, kernel: str, rows: int, *arguments: Any) -> None:
        threads = _threads(self.shape[1])
        blocks = max(1, min(rows, self.backend.multiprocessors * RESIDENT // threads))
        self.backend.launch("candidate_lists", kernel, blocks, threads, arguments)


def _threads(m: int) -> int:
    """A power of two, of threads that share a row."""
    return int(min(MOST_THREADS, max(32, 2 ** (max(1, m // COLUMNS) - 1).bit_length())))


class DeviceMatrix(DeviceCost, DenseCost):
    """A cost matrix of the backend's array library: C-ordered, float32 or float64, of normal magnitude."""

    def __init__(self, backend: Backend, values: Any, sign: float = 1.0, shift: int | None = None) -> None:
        self.backend = backend
        super().__init__(values, sign, shift=shift)
        single = values.dtype == np.float32
        self.number = np.float32 if single else np.float64
        self.accessor = f"Matrix<{'float' if single else 'double'}>"

    @property
    def ordinary(self) -> bool:
        """Whether no entry has to be scaled. Floats must also stay clear of numbers that a device takes for 0."""
        largest = max(map(abs, self.range()))
        single = self.number == np.float32
        return not self.shift and (not single or largest == 0 or SINGLE[0] < largest < SINGLE[1])

    @property
    def pairs(self) -> tuple[Any, ...]:
        zero = np.int32(0)
        return self.values, self.values, np.int32(self.shape[1]), zero, zero, np.float64(self.sign)

    @cached_property
    def T(self) -> DeviceMatrix:
        return DeviceMatrix(self.backend, self.backend.xp.ascontiguousarray(self.values.T), self.sign, self.shift)

    def on_host(self) -> DenseCost:
        return DenseCost(to_numpy(self.values), self.sign, shift=self.shift)

    def absolute_error(self, rows: Array, cols: Array, entries: Array) -> float:
        return 0.0

    def select(self, rows: Array, cols: Array) -> DenseCost:
        xp = self.backend.xp
        part = to_numpy(self.values[xp.asarray(rows)[:, None], xp.asarray(cols)])
        return DenseCost(part, self.sign, shift=self.shift)


class DeviceCloud(DeviceCost, PointCost):
    """The cost between points that lie on the device: only single points of them come to the host."""

    number = np.float64

    def __init__(self, backend: Backend, cost: PointCost) -> None:
        super().__init__(cost.x, cost.y, cost.metric, cost.p, cost.exponent)
        self.rounded = cost.rounded
        self.backend = backend
        d = cost.x.shape[1]
        self.accessor = f"Cloud<{d if d in UNROLLED else 0}>"

    @cached_property
    def pairs(self) -> tuple[Any, ...]:
        xp, (fold, power) = self.backend.xp, folding(self)
        y = xp.ascontiguousarray(self.y.T)
        return self.x, y, np.int32(self.shape[1]), np.int32(self.x.shape[1]), np.int32(fold), np.float64(power)

    def row_transform(self, g: Array) -> Array:
        return super().row_transform(g) - ROOT_DUST

    @property
    def T(self) -> DeviceCloud:
        return DeviceCloud(self.backend, super().T)

    def on_host(self) -> PointCost:
        cost = PointCost(to_numpy(self.x), to_numpy(self.y), self.metric, self.p, self.exponent)
        cost.rounded = self.rounded
        return cost

    def select(self, rows: Array, cols: Array) -> PointCost:
        xp = self.backend.xp
        x, y = to_numpy(self.x[xp.asarray(rows)]), to_numpy(self.y[xp.asarray(cols)])
        return PointCost(x, y, self.metric, self.p, self.exponent)

    def entries(self, rows: Array, cols: Array) -> Array:
        costs = super().entries(rows, cols)
        lost = np.flatnonzero(costs < VANISHING)
        if len(lost) and len(lost := lost[self._apart(rows[lost], cols[lost])]):  # squares too small for floats
            few = np.arange(len(lost))
            costs[lost] = self.select(rows[lost], cols[lost]).entries(few, few)
        return costs

    def _apart(self, rows: Array, cols: Array) -> Array:
        xp = self.backend.xp
        return to_numpy((self.x[xp.asarray(rows)] != self.y[xp.asarray(cols)]).any(axis=1))

    def _minima(self, arguments: tuple[Any, ...]) -> None:
        if self.x.shape[1] < BY_PRODUCTS:
            return super()._minima(arguments)
        return self._by_row("tiled_minima", -(-self.shape[0] // ROWS), *arguments)

    def rough(self) -> DeviceMatrix | None:
        """The matrix in float32, made by matrix products; None where they do not help, or there is no room for it."""
        xp, (fold, power), (n, m) = self.backend.xp, folding(self), self.shape
        d = self.x.shape[1]
        if fold != 0 or d < BY_PRODUCTS:
            return None
        centre = self.y.mean(axis=0)
        x, y = ((side - centre).astype(np.float32) for side in (self.x, self.y))
        try:
            full = xp.empty((n, m), np.float32)
        except MemoryError:
            return None
        lengths = (y * y).sum(axis=1)
        step = max(1, BLOCK_ENTRIES // m)
        for first in range(0, n, step):
            block = full[first : first + step]
            here = x[first : first + step]
            xp.matmul(here, y.T, out=block)
            block *= np.float32(-2)
            block += (here * here).sum(axis=1)[:, None]
            block += lengths
            xp.maximum(block, np.float32(0), out=block)
            if power != 1:
                xp.power(block, np.float32(power), out=block)
        return DeviceMatrix(self.backend, full)


OnDevice = DeviceMatrix | DeviceCloud
