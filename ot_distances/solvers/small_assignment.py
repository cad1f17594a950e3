"""Small assignment problems, one or a batch, solved and proven in one compiled call; and the proof of large ones."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np

from ..certificate import POTENTIAL_SHARE, SUM_SLACK
from ..problem import Array
from .market import Market

# Up to this many rows the dense method is the fastest, and its one call short enough for Ctrl-C.
SMALL = 300

# Entries of a batch that make another thread worth its start, and that one slice of it may hold.
ENTRIES_A_THREAD = 100_000
SLICE_ENTRIES = 2_000_000

# Cost, lower and upper bound and gap stand before the duals in what the compiled call returns.
SLOTS, GAP = 4, 3


@cache
def _kernel() -> Any:
    from ..kernels.small_assignment import solve_many

    return solve_many


def prove(market: Market) -> tuple[float, float, float, float, Array, Array]:
    """Cost, lower and upper bound, gap, u and v of a solved market, in the user's sense."""
    from ..kernels.small_assignment import prove as kernel

    n, m = market.cost.shape
    v = np.minimum(market.v, 0.0) if n < m else market.v.copy()
    u, bounds = market.least_reduced(v), np.empty(SLOTS)
    kernel(market.cost, market.sign, SUM_SLACK, POTENTIAL_SHARE, market.col_of_row, u, v, bounds)
    cost, lower, upper, gap = bounds.tolist()
    return cost, lower, upper, gap, u, v


def match_small(costs: Array, sign: float, threads: int = 1) -> tuple[Array, Array, int]:
    """(cols, numbers, irregular) for costs (B, n, m), n <= m, C-ordered float32 or float64.

    `cols` is (B, n); a row of `numbers` holds SLOTS bounds, then u and v. Both are to be believed only where no
    problem is irregular (not finite, or to be scaled first).
    """
    count, n, m = costs.shape
    cols, numbers = np.empty((count, n), dtype=np.intp), np.empty((count, SLOTS + n + m))
    solve = _kernel()
    if count == 1:
        return cols, numbers, solve(costs, sign, 0, 1, SUM_SLACK, POTENTIAL_SHARE, cols, numbers)
    threads = min(threads, count, 1 + costs.size // ENTRIES_A_THREAD)
    step = max(1, min(-(-count // threads), SLICE_ENTRIES // (n * m)))

    def work(first: int) -> int:
        last = min(first + step, count)
        return int(solve(costs, sign, first, last, SUM_SLACK, POTENTIAL_SHARE, cols, numbers))

    with ThreadPoolExecutor(threads) as pool:
        return cols, numbers, sum(pool.map(work, range(0, count, step)))
