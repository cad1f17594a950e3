"""Small assignment problems, one or a batch, solved and proven in one compiled call; and the proof of large ones."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np

from ..certificate import POTENTIAL_SHARE, SUM_SLACK
from ..problem import Array
from .market import Market

# What the compiled calls read as it is, and what they write indices to.
PLAIN, INTP = (np.dtype(np.float64), np.dtype(np.float32)), np.dtype(np.intp)

# Up to this many rows, and so many columns, the dense method is the fastest, and its one call short enough for Ctrl-C.
SMALL, LONGEST = 300, 600

# One problem of up to so many rows and columns is tried so too; but where more than the part HARD of its rows is left
# without a column by bids, other methods are faster.
WIDEST, HARD = 1000, 0.5

# Entries of a batch that make another thread worth its start, and that one slice of it may hold.
ENTRIES_A_THREAD = 100_000
SLICE_ENTRIES = 2_000_000

# Cost, lower and upper bound and gap stand before the duals in what the compiled call returns.
SLOTS, GAP = 4, 3


@cache
def _kernels() -> Any:
    from ..kernels import small_assignment

    return small_assignment


def prove(market: Market) -> tuple[float, float, float, float, Array, Array]:
    """Cost, lower and upper bound, gap, u and v of a solved market, in the user's sense."""
    from ..kernels.small_assignment import prove as kernel

    n, m = market.cost.shape
    v = np.minimum(market.v, 0.0) if n < m else market.v.copy()
    u, bounds = market.least_reduced(v), np.empty(SLOTS)
    kernel(market.cost, market.sign, SUM_SLACK, POTENTIAL_SHARE, market.col_of_row, u, v, bounds)
    cost, lower, upper, gap = bounds.tolist()
    return cost, lower, upper, gap, u, v


def match_one(cost: Array, sign: float) -> tuple[Array, Array, float]:
    """(cols, numbers, gap) for costs (n, m), n <= m, C-ordered and writeable, of a type that is PLAIN.

    `numbers` are SLOTS bounds, u and v. All are to be believed where the gap is finite: without a matching, with
    entries that are no numbers or have to be scaled first, or where other methods are faster, it is not.
    """
    n, m = cost.shape
    kernels, cols, numbers = _kernels(), np.empty(n, INTP), np.empty(SLOTS + n + m)
    if m <= kernels.FEW:
        return cols, numbers, kernels.solve_few(cost, sign, SUM_SLACK, POTENTIAL_SHARE, cols, numbers)
    hard = kernels.HARDEST if n <= SMALL and m <= LONGEST else HARD
    return cols, numbers, kernels.solve_one(cost, sign, SUM_SLACK, POTENTIAL_SHARE, hard, cols, numbers)


def match_small(costs: Array, sign: float, threads: int = 1) -> tuple[Array, Array, float]:
    """The same for a batch (B, n, m); the gap is the largest."""
    from ..kernels.small_assignment import solve_many

    count, n, m = costs.shape
    cols, numbers = np.empty((count, n), np.intp), np.empty((count, SLOTS + n + m))
    threads = min(threads, count, 1 + costs.size // ENTRIES_A_THREAD)
    step = max(1, min(-(-count // threads), SLICE_ENTRIES // (n * m)))

    def work(first: int) -> float:
        return float(
            solve_many(costs, sign, first, min(first + step, count), SUM_SLACK, POTENTIAL_SHARE, cols, numbers)
        )

    firsts = range(0, count, step)
    if threads == 1:  # to start a thread takes longer than a problem
        return cols, numbers, max(map(work, firsts))
    with ThreadPoolExecutor(threads) as pool:
        return cols, numbers, max(pool.map(work, firsts))
