"""Minimum cost matching of the rows of a cost matrix to its columns, with dual prices.

Small problems go to dense shortest augmenting paths. Larger ones keep a list of the cheapest columns of every row
(`kernels.auction`), on which two methods race within budgets: the method of Jonker and Volgenant, unbeatable on costs
of little structure, and the auction with eps scaling, unbeatable on point clouds. Both end with the same exact search.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..problem import Array, Flow, TransportProblem

# Entries that a kernel reads before it returns, so that Python can see a Ctrl-C: about a tenth of a second.
SLICE = 50_000_000
# Up to so many rows only the dense method is tried: no other need be compiled. Up to MIDDLE it goes first.
SMALL, MIDDLE = 300, 640
# From so many rows on a small problem is worth filling up to the width of the kernel's blocks.
FILLED = 16
# Below this number of entries a second thread costs more than it brings.
PARALLEL = 1_000_000

# The first try, with budgets per row, so that it costs little where it does not lead to the end. FIRST_BIDS leave more
# than HOPELESS of the rows without a column, or BIDS more than FREE, on far-apart clouds and the like. The searches
# may settle so many columns and read so many rows: at first TRIAL, and LIMIT if TRIAL served one free row in PROMISING.
DENSE_BIDS, DENSE_SQUARE, DENSE_WIDE = 3, 80, 8  # of the dense method: bids, and rows read where n = m or n < m
FIRST_BIDS, BIDS, HOPELESS, FREE = 3, 10, 0.3, 0.15
FEW, TIED, TRIAL, LIMIT, PROMISING = 0.02, (2, 2), (5, 2), (35, 10), 6
# The auction: first eps as a part of the spread of the costs, its fall from phase to phase, the last one as a part of
# spread / n, the part of the rows that a phase may leave free, and bids per row at which a phase is given up.
COARSEST, FALL, FINEST, LEFT, MOST_BIDS = 16.0, 5.0, 16.0, 0.002, 60
DENSE = "shortest augmenting paths"
UNBOUNDED = np.iinfo(np.int64).max // 4


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


def match(cost: Array, *, sign: float = 1.0, threads: int | None = None) -> Matching:
    """The matching of min(n, m) pairs with the least sum of `sign * cost`.

    Parameters
    ----------
    cost : ndarray, shape (n, m)
        Real numbers without nan, in any memory order; `sign * cost` = +inf forbids a pair, -inf must not occur.
    sign : float, default 1.0
        -1.0 asks for the greatest sum, without a negated copy; the duals are then those of the negated costs.
    threads : int, optional
        All that this process may use, if not given. The answer does not depend on it.

    Raises
    ------
    ValueError
        No matching of min(n, m) allowed pairs exists; the text names rows that compete for too few columns.
    """
    n, m = cost.shape
    turned = n > m or (n == m and cost.flags.f_contiguous and not cost.flags.c_contiguous)
    wide = _readable(cost.T if turned else cost)
    copied = 0 if wide.base is cost or wide is cost or np.may_share_memory(wide, cost) else wide.nbytes
    if min(n, m) <= SMALL:
        return _match_small(wide, sign, turned, copied)
    market = _Market(wide, sign, turned, _threads(threads, n * m))
    method = _solve(market)
    if turned:
        return Matching(market.row_of_col, market.v, market.u, method, market.bytes + copied)
    return Matching(market.col_of_row, market.u, market.v, method, market.bytes + copied)


def match_batch(
    costs: Array | Sequence[Array], *, sign: float = 1.0, threads: int | None = None
) -> Matching | list[Matching]:
    """Many problems: the same as `match` on each, without Python between small ones.

    Parameters
    ----------
    costs : ndarray, shape (B, n, m), or sequence of 2-D ndarrays
        B >= 1 problems, each as in `match`.
    sign, threads
        As in `match`; the threads work on different problems.

    Returns
    -------
    Matching or list of Matching
        With arrays of shapes (B, n), (B, n) and (B, m); for a sequence one for each problem.

    Raises
    ------
    ValueError
        As in `match`, for the first problem that has no matching.
    """
    stacked = isinstance(costs, np.ndarray)
    sizes = np.array([c.shape for c in costs] if not stacked else [costs.shape[1:]] * len(costs), dtype=np.intp)
    turned = sizes[:, 0] > sizes[:, 1]
    if sizes.min(axis=1).max() > SMALL:
        return _match_one_by_one(costs, sign, threads)
    wide: Array
    if stacked:
        wide = _readable(costs.swapaxes(1, 2) if turned[0] else costs).reshape(-1)
    else:
        flat = [_readable(c.T if swap else c).reshape(-1) for c, swap in zip(costs, turned, strict=True)]
        wide = flat[0] if len(flat) == 1 else np.concatenate(flat)
    sizes.sort(axis=1)
    ends = np.cumsum(np.column_stack([sizes.prod(axis=1), sizes]), axis=0)
    starts = np.zeros_like(ends)
    starts[1:] = ends[:-1]
    u, v = np.empty(ends[-1, 1]), np.empty(ends[-1, 2])
    col_of_row, row_of_col = np.empty(ends[-1, 1], dtype=np.intp), np.empty(ends[-1, 2], dtype=np.intp)
    bad = _solve_batch(wide, sign, sizes, starts, (u, v, col_of_row, row_of_col), _threads(threads, wide.size))
    if bad >= 0:
        try:
            match(costs[bad], sign=sign)
        except ValueError as error:
            raise ValueError(f"Problem {bad} of the batch: {error}") from None
    held = u.nbytes + v.nbytes + col_of_row.nbytes + row_of_col.nbytes + sizes.nbytes + 2 * starts.nbytes
    held += 0 if stacked and np.may_share_memory(wide, costs) else wide.nbytes
    if stacked:
        sides = [array.reshape(len(costs), -1) for array in (col_of_row, u, v, row_of_col)]
        cols, f, g = (sides[3], sides[2], sides[1]) if turned[0] else sides[:3]
        return Matching(cols, f, g, DENSE, held)
    results = []
    for k, swap in enumerate(turned.tolist()):
        i, j = (slice(starts[k, side], ends[k, side]) for side in (1, 2))
        parts = (row_of_col[j], v[j], u[i]) if swap else (col_of_row[i], u[i], v[j])
        results.append(Matching(*parts, DENSE, held))
    return results


def _match_one_by_one(costs: Array | Sequence[Array], sign: float, threads: int | None) -> Matching | list[Matching]:
    """A batch of large problems, as many at a time as there are threads."""
    with ThreadPoolExecutor(_threads(threads, PARALLEL)) as pool:
        found = list(pool.map(lambda cost: match(cost, sign=sign, threads=1), costs))
    if not isinstance(costs, np.ndarray):
        return found
    stack = [np.stack([getattr(one, name) for one in found]) for name in ("col_of_row", "u", "v")]
    return Matching(*stack, found[0].method, max(one.bytes for one in found))


def _solve_batch(
    costs: Array, sign: float, sizes: Array, starts: Array, results: tuple[Array, ...], threads: int
) -> int:
    """Solve the small problems that lie one after the other in `costs`. Returns the first without a matching, or -1."""
    from ..kernels import shortest_path as kernel

    # a problem reads each of its entries some twenty times
    pieces = max(threads, -(-20 * costs.size // SLICE))
    bounds = np.unique(np.searchsorted(starts[:, 0], np.linspace(0, costs.size, pieces + 1)[:-1]))
    spans = list(zip(bounds.tolist(), [*bounds[1:].tolist(), len(sizes)], strict=True))

    def work(span: tuple[int, int]) -> int:
        rows, cols = sizes.max(axis=0).tolist()
        space, state = _workspace(cols)
        filled = np.empty(rows * space[0].shape[1], dtype=costs.dtype)
        done: int = kernel.solve_batch(costs, sign, DENSE_BIDS, sizes, starts, *span, *results, filled, *space, state)
        return -1 if done == span[1] else done

    if threads == 1:
        return next((bad for bad in map(work, spans) if bad >= 0), -1)
    with ThreadPoolExecutor(threads) as pool:
        return next((bad for bad in list(pool.map(work, spans)) if bad >= 0), -1)


def assignment(problem: TransportProblem) -> Flow:
    """A transport problem with as many rows as columns, all of one mass: an optimal permutation (Birkhoff)."""
    cost = problem.cost.matrix()
    matching = match(cost)
    return Flow(
        rows=np.arange(len(matching.u)),
        cols=matching.col_of_row,
        mass=problem.row_mass,
        g=matching.v,
        bytes=cost.nbytes + matching.bytes,
    )


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


@dataclass
class _Market:
    """A problem with n <= m and the state of its solution; the kernels write into the arrays."""

    cost: Array
    sign: float
    turned: bool  # rows here are columns to the user
    threads: int
    u: Array = field(init=False)
    v: Array = field(init=False)
    col_of_row: Array = field(init=False)
    row_of_col: Array = field(init=False)
    bytes: int = field(init=False)

    def __post_init__(self) -> None:
        n, m = self.cost.shape
        self.u, self.v = np.zeros(n), np.zeros(m)
        self.bytes = 0
        self.part_all()

    def holds(self, size: int) -> None:
        """Note that so many bytes are in use at one time."""
        self.bytes = max(self.bytes, size)

    def part_all(self) -> None:
        n, m = self.cost.shape
        self.col_of_row, self.row_of_col = (
            np.full(n, -1, dtype=np.intp),
            np.full(m, -1, dtype=np.intp),
        )

    def in_slices(self, work: Callable[[int, int], None]) -> None:
        """`work(first, last)` on all rows, in pieces, by as many threads as there are."""
        n, m = self.cost.shape
        step = max(1, min(SLICE // m, -(-n // self.threads)))
        pieces = [(first, min(n, first + step)) for first in range(0, n, step)]
        if self.threads == 1:
            for first, last in pieces:
                work(first, last)
            return
        with ThreadPoolExecutor(self.threads) as pool:
            for _ in pool.map(lambda piece: work(*piece), pieces):
                pass

    def impossible(self, rows: Array | list[int], cols: Array | list[int]) -> ValueError:
        return _impossible(self.cost.shape, self.turned, rows, cols)

    def start_at_minima(self) -> None:
        """v = least cost of each column. With n < m it stays 0: the price of a column that nobody takes."""
        from ..kernels.shortest_path import column_minima

        n, m = self.cost.shape
        if n < m:
            self.v[:] = 0.0
            return
        parts: list[Array] = []

        def work(first: int, last: int) -> None:
            least = np.full(m, np.inf)
            column_minima(self.cost, self.sign, first, last, least)
            parts.append(least)

        self.in_slices(work)
        np.minimum.reduce(parts, out=self.v)
        if np.isinf(self.v).any():
            raise self.impossible([-1 - int(np.argmax(np.isinf(self.v)))], [])


def _impossible(shape: tuple[int, ...], turned: bool, rows: Array | list[int], cols: Array | list[int]) -> ValueError:
    """The error for rows that are allowed fewer columns than they are; row -1 - j stands for column j without rows."""
    if rows[-1] < 0:
        turned, rows = not turned, [-1 - int(rows[-1])]
    row, col = ("columns", "rows") if turned else ("rows", "columns")
    allowed = f"only {col} {_listed(cols)}" if len(cols) else f"no {col} at all"
    return ValueError(
        f"`cost_matrix` must allow a matching of {min(shape)} pairs, but {row} {_listed(rows)} are allowed {allowed}. "
        "Make some of the infinite entries there finite, or leave out what cannot be matched."
    )


def _listed(numbers: Array | list[int], most: int = 8) -> str:
    head = ", ".join(str(int(k)) for k in sorted(numbers)[:most])
    return f"[{head}]" if len(numbers) <= most else f"[{head}, ...] ({len(numbers)} in all)"


def _workspace(m: int) -> tuple[tuple[Array, Array], Array]:
    """What the dense kernel needs for m columns: workspaces, and its state."""
    from ..kernels.shortest_path import LANES, STATE_SLOTS

    width = -(-m // LANES) * LANES
    return (np.empty((6, width)), np.empty((3, width), dtype=np.intp)), np.zeros(STATE_SLOTS, dtype=np.intp)


def _match_small(cost: Array, sign: float, turned: bool, copied: int) -> Matching:
    """`match` for n <= m, in one call of one kernel."""
    from ..kernels import shortest_path as kernel

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
    space, state = _workspace(m)
    status = kernel.augment(
        cost, sign, square, u, v, col_of_row, row_of_col, *space, state, DENSE_BIDS * n, UNBOUNDED, UNBOUNDED
    )
    if status == kernel.INFEASIBLE:
        raise _impossible((n, m), turned, *_violators(state, space[1], row_of_col))
    size = 8 * (2 * n + 11 * width) + copied
    if turned:
        return Matching(row_of_col[:m], v[:m], u, DENSE, size)
    return Matching(col_of_row, u, v[:m], DENSE, size)


def _violators(state: Array, whole_numbers: Array, row_of_col: Array) -> tuple[Array, Array]:
    """The rows that the dense kernel found to compete for too few columns, and these columns."""
    from ..kernels import shortest_path as kernel

    cols = whole_numbers[1, : state[kernel.SETTLED]]
    return np.append(row_of_col[cols], state[kernel.TARGET]), cols


def _solve(market: _Market) -> str:
    """Match all rows; the cheapest method first, each within a budget. Returns the name of the one that got through."""
    n, m = market.cost.shape
    market.start_at_minima()
    tied = n == m and _by_ties(market)
    few = tied and np.count_nonzero(market.col_of_row < 0) <= FEW * n
    if few and _dense(market, 0, 1):
        return "greedy matching of column minima, shortest augmenting paths"
    if not tied and (n <= MIDDLE or n < m):
        if _dense(market, DENSE_BIDS, DENSE_SQUARE if n == m else DENSE_WIDE):
            return DENSE
        market.part_all()
        market.start_at_minima()
    return _by_lists(market, tied)


def _dense(market: _Market, most_bids: float, most_reads: float) -> bool:
    """Jonker and Volgenant's method on the matrix; False where a budget (rows read, per row) did not suffice.

    With no bids it goes on from a matching along tight edges, and the prices v and u = 0 that go with it.
    """
    from ..kernels import shortest_path as kernel

    n, m = market.cost.shape
    space, state = _workspace(m)
    space[1][0, :n] = np.arange(n)[::-1]
    state[kernel.PHASE], state[kernel.QUEUED] = kernel.BIDDING, n if most_bids else 0
    market.holds(8 * (2 * n + 9 * m))
    budget = [int(min(UNBOUNDED, k * n)) for k in (most_bids, most_reads)]
    duals = market.u, market.v, market.col_of_row, market.row_of_col
    status = kernel.RUNNING
    while status == kernel.RUNNING:
        status = kernel.augment(market.cost, market.sign, n == m, *duals, *space, state, *budget, SLICE)
    if status == kernel.INFEASIBLE:
        raise market.impossible(*_violators(state, space[1], market.row_of_col))
    return bool(status == kernel.DONE)


def _by_lists(market: _Market, tied: bool) -> str:
    """The same with candidate lists, which read each row once or twice; else the auction. `tied`: see _by_ties."""
    lists = _Lists(market)
    n, m = market.cost.shape
    if tied:
        lists.read_all()
        lists.match_tight(0.0)
        if lists.search(*TIED):
            return "greedy matching of column minima, shortest augmenting paths"
    lists.read_all()
    free = lists.bid(0.0, FIRST_BIDS)
    if n < m:
        lists.bid(0.0, BIDS - FIRST_BIDS, again=True)
        lists.match_tight(np.inf)
        lists.search(UNBOUNDED, UNBOUNDED)
        return "shortest augmenting paths on candidate lists"
    if free < HOPELESS * n and (free == 0 or lists.bid(0.0, BIDS - FIRST_BIDS, again=True) < FREE * n):
        free = lists.match_tight(0.0)
        if lists.search(*TRIAL):
            return "shortest augmenting paths on candidate lists"
        done = free - np.count_nonzero(market.col_of_row < 0)
        if done * PROMISING > free and lists.search(*LIMIT):
            return "shortest augmenting paths on candidate lists"
    lists.match_tight(lists.scaled_auction())
    lists.search(UNBOUNDED, UNBOUNDED)
    return "auction with eps scaling, shortest augmenting paths"


def _by_ties(market: _Market) -> bool:
    """Match rows to columns that are cheapest in them, if nearly every row has such a one: integers of small range."""
    from ..kernels.shortest_path import match_cheapest

    n, m = market.cost.shape
    open_v = market.v.copy()
    found, first = 0, 0
    for last in (*range(64, n, max(1, SLICE // m)), n):
        found += match_cheapest(
            market.cost,
            market.sign,
            market.v,
            first,
            last,
            open_v,
            market.col_of_row,
            market.row_of_col,
        )
        if found < (0.9 if first == 0 else 0.6) * last:  # later rows find fewer columns free
            market.part_all()
            return False
        first = last
    return True


class _Lists:
    """The candidate lists of a market, and what the kernels do with them."""

    def __init__(self, market: _Market) -> None:
        from ..kernels import auction, augmenting_paths

        self.auction: Any = auction
        self.paths: Any = augmenting_paths
        self.market = market
        n, m = market.cost.shape
        self.near = np.empty((n, auction.LONGEST), dtype=np.int32)
        self.near_cost = np.empty((n, auction.LONGEST), dtype=market.cost.dtype)
        self.length, self.bound = np.zeros(n, dtype=np.int32), np.full(n, -np.inf)
        self.queue = np.arange(n)
        self.state = np.zeros(auction.STATE_SLOTS, dtype=np.int64)
        self.key, self.where = np.full(n + m, np.inf), np.full(n + m, -1)
        self.heap, self.read_in = np.empty(n + m, dtype=np.intp), np.full(n, -1)
        self.spaces = [np.empty(m, dtype=np.intp) for _ in range(3)]
        held = (
            self.near,
            self.near_cost,
            self.length,
            self.bound,
            self.queue,
            self.key,
            self.where,
            self.heap,
        )
        market.holds(sum(array.nbytes for array in held) + 8 * (5 * n + 6 * m))

    @property
    def rows(self) -> tuple[Array, Array, Array, Array]:
        return self.near, self.near_cost, self.length, self.bound

    def read_all(self) -> None:
        here = self.market
        here.in_slices(
            lambda first, last: self.auction.refresh_rows(
                here.cost, here.sign, here.v, here.row_of_col, first, last, *self.rows
            )
        )

    def bid(
        self,
        eps: float,
        most: float,
        *,
        spread: float = 1.0,
        left: float = 0.0,
        again: bool = False,
    ) -> int:
        """One phase, of at most `most` bids per row, until the part `left` of the rows is free. Returns how many are.

        `again` goes on with the rows that are free, else all bid anew.
        """
        here, n = self.market, len(self.market.u)
        if not again:
            here.part_all()
            self.queue[:] = np.arange(n)
            self.state[self.auction.HEAD], self.state[self.auction.QUEUED] = 0, n
        until = self.state[self.auction.BIDS] + int(most * n)
        status = self.auction.RUNNING
        while status == self.auction.RUNNING:
            status = self.auction.bid(
                here.cost, here.sign, here.v, eps, spread, here.col_of_row, here.row_of_col, *self.rows,
                self.queue, self.state, int(left * n), until, SLICE,
            )  # fmt: skip
        if status == self.auction.STUCK:
            raise here.impossible([self.queue[self.state[self.auction.HEAD]]], [])
        return int(self.state[self.auction.QUEUED])

    def scaled_auction(self) -> float:
        """Phases of falling eps from column means on, then one at eps = 0. Returns the slack of the pairs it leaves."""
        here, n = self.market, len(self.market.u)
        spread, size = self._start_at_means()
        self.read_all()
        eps, last = spread / COARSEST, max(spread / (FINEST * n), 8 * np.spacing(size))
        while True:
            free = self.bid(eps, MOST_BIDS, spread=spread, left=LEFT)
            if eps <= last or free > LEFT * n:
                break
            eps = max(eps / FALL, last)
        self.bid(0.0, FIRST_BIDS)
        return float(4 * np.spacing(size + np.abs(here.v).max()))

    def _start_at_means(self) -> tuple[float, float]:
        """v = mean cost of each column, over the pairs that are allowed. Returns the spread and size of the costs."""
        here, (n, m) = self.market, self.market.cost.shape
        sums, counts = np.zeros(m), np.zeros(m)
        step = max(1, min(n, 1_000_000 // m))
        size = 0.0
        for first in range(0, n, step):
            block = here.cost[first : first + step]
            allowed = np.isfinite(block)
            block = np.where(allowed, block, 0)
            sums += block.sum(axis=0, dtype=np.float64)
            counts += allowed.sum(axis=0)
            size = max(size, float(np.abs(block).max()))
        here.v[:] = here.sign * sums / counts
        sample = here.sign * here.cost[:: max(1, n // 64)].astype(np.float64) - here.v
        sample[~np.isfinite(sample)] = np.nan
        sample -= np.nanmean(sample, axis=1, keepdims=True)
        return 2 * float(np.nanstd(sample)), size

    def match_tight(self, slack: float) -> int:
        """Set u to the least reduced costs, part the pairs that are dearer by more than slack, match along the others.

        Returns the number of free rows.
        """
        here, n = self.market, len(self.market.u)
        duals = here.u, here.v, here.col_of_row, here.row_of_col
        taken = here.row_of_col.copy()
        here.in_slices(
            lambda first, last: self.paths.tighten(here.cost, here.sign, slack, *duals, taken, *self.rows, first, last)
        )
        tight = slack if slack < np.inf else 0.0
        places = [np.empty(n, dtype=np.intp) for _ in range(3)]
        return int(self.paths.match_tight(here.cost, here.sign, tight, *duals, *self.rows, self.spaces[0], *places))

    def search(self, most_pops: float, most_reads: float) -> bool:
        """Make the matching complete and optimal; False where a budget (per row) did not suffice."""
        here, n = self.market, len(self.market.u)
        state = np.zeros(self.paths.STATE_SLOTS, dtype=np.int64)
        budget = [int(min(UNBOUNDED, k * n)) for k in (most_pops, most_reads)]
        status = self.paths.RUNNING
        while status == self.paths.RUNNING:
            status = self.paths.search(
                here.cost, here.sign, here.u, here.v, here.col_of_row, here.row_of_col, *self.rows, self.key,
                self.where, self.heap, *self.spaces, self.read_in, state, *budget, SLICE,
            )  # fmt: skip
        if status == self.paths.INFEASIBLE:
            cols = self.spaces[1][: state[self.paths.SETTLED]]
            raise here.impossible([state[self.paths.TARGET], *here.row_of_col[cols]], cols)
        if status == self.paths.DONE:
            matched = here.cost[np.arange(n), here.col_of_row].astype(np.float64)
            here.u[:] = here.sign * matched - here.v[here.col_of_row]
        return bool(status == self.paths.DONE)
