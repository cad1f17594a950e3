"""The auction on a device: all free rows bid at once, eps falls from phase to phase, and the host looks on rarely."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._arrays import to_numpy
from ..problem import Array
from .device_costs import OnDevice

# Columns that a list is to hold, and room for more where many are equally good.
SELECT, LONGEST = 32, 64

# Rounds that the device runs between two looks of the host, and rounds of a phase after which it is given up.
ROUNDS, MOST_ROUNDS = 32, 20_000

# Levels of prices in a phase, where n < m.
MOST_LEVELS = 50

# First eps as a part of the spread of the costs, its fall from phase to phase, the last as a part of spread / n.
COARSEST, FALL, FINEST = 4.0, 5.0, 64.0

# A phase leaves this part of the rows free: the last rows take most of the rounds, and the host is faster with them. Of
# fewer than 16,000 rows twice that part, up to MANY_LEFT: there rounds count for more, the host's paths are short.
LEFT, LEAST_LEFT, MANY_LEFT = 0.003, 12, 48

# Rows and columns of the sample that tells the spread.
SAMPLE = 64, 4096

# Slots of `counts` and `terms`, as kernels/bids.cu numbers them.
FREE, NEXT, STALE, STUCK, STOP, BIDS, READS, PASSED, SLOTS = range(9)
EPS, UNIT = 0, 1

# Threads of a block of bidders, and of blocks for each multiprocessor.
THREADS, BLOCKS = 128, 4


def left_free(n: int) -> int:
    """The rows of n that a phase leaves to the next, the last one to the host."""
    return max(LEAST_LEFT, int(LEFT * n), min(int(2 * LEFT * n), MANY_LEFT))


class DeviceAuction:
    """The state of an auction of the columns of a cost, n <= m; all of it lies on the device."""

    def __init__(self, cost: OnDevice) -> None:
        self.cost = cost
        (n, m), xp = cost.shape, cost.backend.xp
        self.name = "float" if cost.number == np.float32 else "double"
        self.prices = xp.zeros(m, cost.number)
        self.near, self.near_cost = xp.empty((n, LONGEST), np.int32), xp.empty((n, LONGEST), cost.number)
        self.length, self.bound = xp.zeros(n, np.int32), xp.full(n, -np.inf, cost.number)
        self.queue, self.next, self.stale, self.wanted = (xp.empty(n, np.int32) for _ in range(4))
        self.col_of_row, self.row_of_col = xp.full(n, -1, np.int32), xp.full(m, -1, np.int32)
        self.offers = xp.zeros(m, np.uint64)
        self.counts, self.terms = xp.zeros(SLOTS, np.int32), xp.zeros(2)
        self.everyone = xp.arange(n, dtype=np.int32)
        self.rounds = cost.backend.graph(self._rounds)

    def run(self, check: Callable[[], None]) -> bool:
        """Phases of falling eps, prices carried from one to the next. False where a row may take no column."""
        (n, m), xp = self.cost.shape, self.cost.backend.xp
        means, allowed = self.cost.column_means()
        if allowed.min() == 0 and n == m:
            return False
        start = -means  # clouds that lie far apart are then no harder than others
        self.prices[:] = xp.asarray(start.astype(self.cost.number))
        spread = self._spread(start)
        size = max(map(abs, self.cost.range())) + float(np.abs(start).max())
        eps, last = spread / COARSEST, max(spread / (FINEST * n), 8 * float(np.spacing(self.cost.number(size))))
        while True:
            self.col_of_row.fill(-1)
            self.row_of_col.fill(-1)  # prices stay, and lists stay good while they only rise
            self._phase(eps, spread, check)
            counts = to_numpy(self.counts)
            if counts[STUCK]:
                return False
            if eps <= last or counts[FREE] > counts[STOP]:
                return True
            eps = max(eps / FALL, last)

    def outcome(self) -> tuple[Array, Array]:
        """(v, col_of_row) on the host. For n < m a column that nobody takes has v = 0, and no other a larger one."""
        prices, col_of_row = (to_numpy(array) for array in (self.prices, self.col_of_row))
        v = -prices.astype(np.float64)
        n, m = self.cost.shape
        if n < m:
            taken = np.zeros(m, bool)
            taken[col_of_row[col_of_row >= 0]] = True
            v = np.where(taken, np.minimum(v - np.sort(v)[n], 0.0), 0.0)
        return v, col_of_row.astype(np.intp)

    def _spread(self, start: Array) -> float:
        """Twice the standard deviation of the costs within rows, from a sample."""
        rows, cols = (np.arange(0, k, max(1, k // most)) for k, most in zip(self.cost.shape, SAMPLE))
        sample = self.cost.select(rows, cols).matrix() + start[cols]
        sample = np.where(np.isfinite(sample), sample, np.nan)
        kept = sample[~np.isnan(sample).all(axis=1)]
        if not kept.size:
            return 1.0
        kept = kept - np.nanmean(kept, axis=1, keepdims=True)
        unit = float(np.nanmax(np.abs(kept))) or 1.0
        return 2 * unit * float(np.nanstd(kept / unit)) or 1.0

    def _phase(self, eps: float, spread: float, check: Callable[[], None]) -> None:
        """Bids until few rows are free. For n < m, levels of prices too."""
        (n, m), xp = self.cost.shape, self.cost.backend.xp
        counts = to_numpy(self.counts).copy()
        counts[[FREE, NEXT, STALE, STOP]] = n, 0, 0, left_free(n)
        until = counts[PASSED] + MOST_ROUNDS
        self.queue[:] = self.everyone
        self.terms[:] = xp.asarray(np.array([eps, 2.0 ** np.ceil(np.log2(spread))]))
        for _ in range(MOST_LEVELS if n < m else 1):
            self.counts[:] = xp.asarray(counts)
            while counts[FREE] > counts[STOP] and counts[PASSED] < until and not counts[STUCK]:
                check()
                self.rounds()
                counts = to_numpy(self.counts).copy()
            if n == m or counts[FREE] > counts[STOP] or not self._level(eps, counts):
                return

    def _level(self, eps: float, counts: Array) -> bool:
        """Take the columns of the m - n lowest prices from the rows, which bid anew. False where few hold such ones.

        So it is as if m - n rows more could take any column at no cost. They all pay one price, the lowest of all.
        """
        (n, m), xp = self.cost.shape, self.cost.backend.xp
        level = xp.sort(self.prices)[m - n - 1]
        cheap = (self.row_of_col >= 0) & (self.prices < level - eps)
        rows = self.row_of_col[cheap]
        if len(rows) <= counts[STOP]:
            return False
        self.col_of_row[rows] = -1
        self.row_of_col[cheap] = -1
        self.prices[:] = xp.where(self.row_of_col < 0, xp.maximum(self.prices, level), self.prices)
        free = int(counts[FREE])
        self.queue[free : free + len(rows)] = rows
        counts[FREE] += len(rows)
        return True

    def _rounds(self) -> None:
        (n, m), backend = self.cost.shape, self.cost.backend
        threads = min(THREADS, 32 * n)
        blocks = max(1, min(-(-32 * n // threads), BLOCKS * backend.multiprocessors))
        lists = self.near, self.near_cost, self.length, self.bound
        for _ in range(ROUNDS):
            backend.launch(
                "bids", f"bid<{self.name}>", blocks, threads,
                (self.queue, self.counts, *lists, np.int32(LONGEST), np.int32(m), self.prices, self.terms, self.offers,
                 self.wanted, self.stale),
            )  # fmt: skip
            self.cost.refresh(self.prices, self.stale, self.counts[STALE : STALE + 1], n, SELECT, lists)
            backend.launch(
                "bids", f"award<{self.name}>", blocks, threads,
                (self.queue, self.next, self.counts, self.wanted, self.offers, self.terms, self.prices,
                 self.col_of_row, self.row_of_col),
            )  # fmt: skip
            backend.launch(
                "bids", "end_round", 1, min(1024, -(-n // 32) * 32),
                (self.queue, self.next, self.counts, self.wanted, self.offers),
            )  # fmt: skip
