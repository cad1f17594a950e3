"""Minimum cost matching of the rows of a cost matrix to its columns, with dual prices."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from ..costs import made_bytes
from ..problem import Array, Flow, TransportProblem
from .market import DENSE, DENSE_BIDS, UNBOUNDED, Market, impossible, solve, violators, workspace
from .small_assignment import SLOTS, match_one

# Up to so many rows a transport problem is matched without vector instructions, which takes less compiling.
FEW = 24
# Up to so many rows only the dense method is tried: no other need be compiled.
SMALL = 300
# From so many rows on a small problem is worth filling up to the width of the kernel's blocks.
FILLED = 16
# Below this number of entries a second thread costs more than it brings.
PARALLEL = 1_000_000


@dataclass(frozen=True)
class Matching:
    """Who goes with whom, and the prices that prove it.

    Attributes
    ----------
    col_of_row : ndarray of intp, shape (n,)
        -1 where a row stays unmatched, which happens only where n > m.
    u, v : ndarray of float64, shapes (n,) and (m,)
        u_i + v_j <= cost_ij to rounding, with equality on matched pairs. The duals of unmatched rows or columns
        are 0 and all others on that side at most 0.
    method : str
        The algorithm that ran.
    bytes : int
        The memory taken besides the matrix that was handed in.
    """

    col_of_row: Array
    u: Array
    v: Array
    method: str
    bytes: int


def match(
    cost: Array,
    *,
    sign: float = 1.0,
    threads: int | None = None,
    v: Array | None = None,
    check: Callable[[], None] = lambda: None,
    opened: Callable[[Market], None] = lambda market: None,
) -> Matching:
    """The matching of min(n, m) pairs with the least sum of `sign * cost`.

    Parameters
    ----------
    cost : ndarray, shape (n, m)
        Real numbers without nan, in any memory order; `sign * cost` = +inf forbids a pair, -inf must not occur.
    sign : float, default 1.0
        -1.0 asks for the greatest sum, without a negated copy; the duals are then those of the negated costs.
    threads : int, optional
        All that this process may use, if not given. The answer does not depend on it.
    v : ndarray, shape (m,), optional
        Prices to start from, if n = m.
    check, opened : callable, optional
        Called between slices of work; and with the state of a large problem before work on it begins.

    Raises
    ------
    ValueError
        No matching of min(n, m) allowed pairs exists; the text names rows that compete for too few columns.
    """
    if min(cost.shape) <= SMALL:
        return _match_small(cost, sign)
    market = market_of(cost, sign, threads, check)
    opened(market)
    with closing(market):
        method = solve(market, None if market.turned else v)
    copied = 0 if np.may_share_memory(market.cost, cost) else market.cost.nbytes
    if market.turned:
        return Matching(market.row_of_col, market.v, market.u, method, market.bytes + copied)
    return Matching(market.col_of_row, market.u, market.v, method, market.bytes + copied)


def market_of(cost: Array, sign: float, threads: int | None = None, check: Callable[[], None] = lambda: None) -> Market:
    """The problem as the solver wants it, surveyed: no more rows than columns, rows contiguous."""
    turned = _turned(cost)
    if turned and cost.flags.c_contiguous and cost.dtype in (np.float32, np.float64):
        from ..kernels.survey import transpose

        wide = np.empty(cost.shape[::-1], dtype=cost.dtype)
        transpose(cost, wide)
    else:
        wide = _readable(cost.T if turned else cost)
    return Market(wide, sign, turned, _threads(threads, cost.size), check)


def _turned(cost: Array) -> bool:
    n, m = cost.shape
    return n > m or (n == m and cost.flags.f_contiguous and not cost.flags.c_contiguous)


def assignment(problem: TransportProblem) -> Flow:
    """A transport problem with as many rows as columns, all of one mass: an optimal permutation (Birkhoff)."""
    cost, start, watch = problem.cost.matrix(), problem.start, problem.watch
    watch.check(f"{len(cost)} x {len(cost)} costs")

    def opened(market: Market) -> None:
        watch.reached = lambda: _so_far(problem, market)

    n, made = len(cost), made_bytes(problem.cost, cost)
    if n <= FEW and cost.flags.carray:
        cols, numbers, gap = match_one(cost, 1.0)
        if gap < np.inf:
            return Flow(np.arange(n), cols, problem.row_mass, numbers[SLOTS + n :], None, made + 4 * numbers.nbytes)
    matching = match(cost, v=None if start is None else start.g, check=watch.check, opened=opened)
    return Flow(np.arange(n), matching.col_of_row, problem.row_mass, matching.v, None, made + matching.bytes)


def _so_far(problem: TransportProblem, market: Market) -> Flow:
    """The matching as it stands, what is left paired in order."""
    cols = market.col_of_row.copy()
    cols[cols < 0] = np.setdiff1d(np.arange(len(cols)), cols)
    return Flow(np.arange(len(cols)), cols, problem.row_mass, market.v)


def _threads(threads: int | None, entries: int) -> int:
    if entries < PARALLEL:
        return 1
    if threads is not None:
        return max(1, threads)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, int(allowed)) if allowed.isdigit() and int(allowed) else cores


def _readable(cost: Array) -> Array:
    """The same numbers as float32 or float64 with contiguous rows, copied only where they are not so already."""
    if cost.dtype not in (np.float32, np.float64):
        exact = cost.dtype.kind in "biu" and cost.dtype.itemsize <= 2  # float32 holds every integer up to 2**24
        return np.ascontiguousarray(cost, dtype=np.float32 if exact else np.float64)
    return np.ascontiguousarray(cost)


def _match_small(given: Array, sign: float) -> Matching:
    """`match` in one call of one kernel."""
    from ..kernels import shortest_path as kernel

    turned = _turned(given)
    cost = _readable(given.T if turned else given)
    copied = 0 if np.may_share_memory(cost, given) else cost.nbytes
    n, m = cost.shape
    width = -(-m // kernel.LANES) * kernel.LANES
    square = n == m
    if n >= FILLED and width > m:
        filled = np.full((n, width), sign * np.inf, dtype=cost.dtype)
        filled[:, :m] = cost
        cost, copied = filled, copied + filled.nbytes
    width = cost.shape[1]
    u, v = np.empty(n), np.empty(width)
    col_of_row, row_of_col = np.empty(n, dtype=np.intp), np.empty(width, dtype=np.intp)
    space, state = workspace(m)
    status = kernel.augment(
        cost, sign, square, u, v, col_of_row, row_of_col, *space, state, DENSE_BIDS * n, UNBOUNDED, UNBOUNDED
    )
    if status == kernel.INFEASIBLE:
        raise impossible((n, m), turned, *violators(state, space[1], row_of_col))
    size = 8 * (2 * n + 11 * width) + copied
    if turned:
        return Matching(row_of_col[:m], v[:m], u, DENSE, size)
    return Matching(col_of_row, u, v[:m], DENSE, size)
