"""A large assignment problem: the matrix, the state of its solution, and the race of methods that ends it.

Candidate lists keep the cheapest columns of every row (`kernels.auction`). On them the method of Jonker and Volgenant
goes first, unbeatable on costs of little structure; where its budgets do not suffice follows the auction with eps
scaling, unbeatable on point clouds. Both end with the same exact search (`kernels.augmenting_paths`).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..problem import Array
from .survey import PORTION, Survey, survey

# Entries that a kernel reads before it returns, so that Python can see a Ctrl-C: about a tenth of a second.
SLICE = 50_000_000
# Entries that are worth a piece of work, and pieces that a thread gets at most.
GRAIN, SHARES = 100_000, 8
# Rows that are read ahead of their bids, at most and at least, in problems of so many rows.
AHEAD, FEWEST_AHEAD, MANY = 512, 64, 2000
UNBOUNDED = np.iinfo(np.int64).max // 4
CONSTANT, MONGE = "none: all costs are equal", "in order: a Monge array"
DENSE = "shortest augmenting paths"
BY_LISTS = "shortest augmenting paths on candidate lists"
BY_TIES = "greedy matching of column minima, shortest augmenting paths"
BY_AUCTION = "auction with eps scaling, shortest augmenting paths"

# All budgets are per row. Up to MIDDLE rows the dense method goes first, and so it does where n < m: its bids, and the
# rows that it may read if n = m or n < m; its bids may leave the part LOST without a column.
MIDDLE, DENSE_BIDS, DENSE_SQUARE, DENSE_WIDE, LOST = 640, 3, 80, 8, 0.75
# Rows with many equally good columns list TIES of them. The part FEW or less left free by these is searched densely.
TIES, FEW, DENSE_FEW, TIED = 8, 0.04, 5, (2, 2)
# On lists, FIRST_BIDS leave more than HOPELESS of the rows without a column, or BIDS more than FREE, on far-apart
# clouds and the like. The searches may settle so many columns and read so many rows: TRIAL, which also brings the
# lists up to date, TRIAL again, and LAST where no more than REST rows are left. If the second trial served more than
# PROMISING of the free rows, the auction goes on from its prices. WIDE is all that searches may do where n < m.
FIRST_BIDS, BIDS, HOPELESS, FREE = 3, 10, 0.3, 0.15
TRIAL, LAST, REST, PROMISING, WIDE = (5, 2), (25, 10), 45, 0.2, (40, 10)
# The auction: first eps as a part of the spread of the costs, from column means and from prices close to optimal, its
# fall from phase to phase, the last one as a part of spread / n, the part of the rows that a phase may leave free, and
# the bids at which a phase is given up.
COARSEST, CLOSE, FALL, FINEST, LEFT, MOST_BIDS = 16.0, 160.0, 5.0, 16.0, 0.002, 60


@dataclass
class Market:
    """A problem with n <= m and the state of its solution; the kernels write into the arrays."""

    cost: Array  # C-ordered float32 or float64
    sign: float
    turned: bool  # rows here are columns to the user
    threads: int
    check: Callable[[], None] = lambda: None  # called between slices of work
    survey: Survey = field(init=False)
    u: Array = field(init=False)
    v: Array = field(init=False)
    col_of_row: Array = field(init=False)
    row_of_col: Array = field(init=False)
    bytes: int = field(init=False)
    pool: ThreadPoolExecutor | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        n, m = self.cost.shape
        self.u, self.v = np.zeros(n), np.zeros(m)
        self.bytes = 0
        self.part_all()
        self.survey = survey(self.cost, self.sign, self.in_slices)

    def close(self) -> None:
        """Let the threads go, without waiting for work that nobody needs any more after a Ctrl-C."""
        if self.pool is not None:
            self.pool.shutdown(wait=False, cancel_futures=True)

    def holds(self, size: int) -> None:
        """Note that so many bytes are in use at one time."""
        self.bytes = max(self.bytes, size)

    def part_all(self) -> None:
        n, m = self.cost.shape
        self.col_of_row, self.row_of_col = (
            np.full(n, -1, dtype=np.intp),
            np.full(m, -1, dtype=np.intp),
        )

    def in_slices(
        self, work: Callable[[int, int], None], *, rows: int | None = None, portion: int | None = None
    ) -> None:
        """`work(first, last)` on all rows (or so many), by all threads, in pieces (of `portion` rows, if given).

        This thread takes part, so that one that finds no core free delays nothing.
        """
        n, m = self.cost.shape
        n = n if rows is None else rows
        shares = 1 if self.threads == 1 else SHARES * self.threads
        step = portion or max(1, min(SLICE // m, max(GRAIN // m, -(-n // shares))))
        pieces = iter(range(0, n, step))

        def share() -> None:
            for first in pieces:
                work(first, min(n, first + step))

        helpers: list[Future[None]] = []
        if self.threads > 1:
            self.pool = self.pool or ThreadPoolExecutor(self.threads - 1)
            helpers = [self.pool.submit(share) for _ in range(min(self.threads, -(-n // step)) - 1)]
        try:
            for first in pieces:
                work(first, min(n, first + step))
                self.check()
            for helper in helpers:
                if not helper.cancel():
                    helper.result()
                    self.check()
        finally:
            for _ in pieces:  # after an error nothing is left to take
                pass

    def impossible(self, rows: Array | list[int], cols: Array | list[int]) -> ValueError:
        return impossible(self.cost.shape, self.turned, rows, cols)

    def start_at_minima(self) -> None:
        """v = least cost of each column. With n < m it stays 0: the price of a column that nobody takes."""
        n, m = self.cost.shape
        self.v[:] = self.survey.least if n == m else 0.0
        if not self.survey.finite and np.isinf(self.v).any():
            raise self.impossible([-1 - int(np.argmax(np.isinf(self.v)))], [])

    def least_reduced(self, v: Array) -> Array:
        """Bounds below sign * cost_ij - v_j in every row, attained at the pairs of an optimal matching.

        Only rows for which the survey does not tell are read once more.
        """
        from ..kernels import survey as kernel

        n, m = self.cost.shape
        found, u = self.survey, np.full(n, -np.inf)
        if n < m:
            kernel.known_minima(self.cost, self.sign, v, self.col_of_row, found.choice, found.least, u)
        elif np.array_equal(v, found.least):
            kernel.nowhere_below(self.cost, self.sign, v, self.col_of_row, u)
        self.in_slices(lambda first, last: kernel.row_minima(self.cost, self.sign, v, first, last, u))
        return u


def impossible(shape: tuple[int, ...], turned: bool, rows: Array | list[int], cols: Array | list[int]) -> ValueError:
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


def workspace(m: int) -> tuple[tuple[Array, Array], Array]:
    """What the dense kernel needs for m columns: workspaces, and its state."""
    from ..kernels.shortest_path import LANES, LINE, STATE_SLOTS

    width = -(-m // LANES) * LANES
    space = np.empty(6 * width + LINE)
    aligned = -(space.ctypes.data // 8) % LINE
    reals = space[aligned : aligned + 6 * width].reshape(6, width)
    return (reals, np.empty((3, width), dtype=np.intp)), np.zeros(STATE_SLOTS, dtype=np.intp)


def violators(state: Array, whole_numbers: Array, row_of_col: Array) -> tuple[Array, Array]:
    """The rows that the dense kernel found to compete for too few columns, and these columns."""
    from ..kernels import shortest_path as kernel

    cols = whole_numbers[1, : state[kernel.SETTLED]]
    return np.append(row_of_col[cols], state[kernel.TARGET]), cols


def solve(market: Market, v: Array | None = None) -> str:
    """Match all rows; the cheapest method first, each within a budget. Returns the name of the one that got through.

    With prices v that are nearly optimal (n = m) the candidate lists are the first.
    """
    n, m = market.cost.shape
    if market.survey.finite and market.survey.low == market.survey.high:
        market.col_of_row[:], market.row_of_col[:n] = np.arange(n), np.arange(n)
        market.u[:], market.v[:] = (0.0, market.survey.low) if n == m else (market.survey.low, 0.0)
        return CONSTANT
    if n == m and market.survey.finite and _in_order(market):
        return MONGE
    if v is not None:
        market.v[:] = v
        return _by_lists(market, False)
    market.start_at_minima()
    tied = n == m and _by_ties(market)
    free = int(np.count_nonzero(market.col_of_row < 0))
    if tied and (free == 0 or (free <= FEW * n and _dense(market, 0, DENSE_FEW))):
        return BY_TIES
    if not tied and (n <= MIDDLE or n < m):
        if _dense(market, DENSE_BIDS, DENSE_SQUARE if n == m else DENSE_WIDE):
            return DENSE
        market.part_all()
        market.start_at_minima()
    return _by_lists(market, tied) if n == m else _wide_by_lists(market)


def _in_order(market: Market) -> bool:
    """Match the rows of a Monge array to the columns in their order, or to those in reverse; False where it is none.

    G. Monge, 1781; A. J. Hoffman, On simple linear programming problems, Proc. Symposia in Pure Mathematics, 1963.
    """
    from ..kernels.survey import monge

    order = monge(market.cost, market.sign)
    if order == 0:
        return False
    rows = np.arange(len(market.u))
    cols = rows[::order]
    market.col_of_row[:], market.row_of_col[cols] = cols, rows
    matched = market.sign * market.cost[rows, cols].astype(np.float64)
    market.v[cols[0]] = 0.0
    # Neighbours in the order are as good a choice, and all others follow from the property.
    market.v[cols[1:]] = np.cumsum(market.sign * market.cost[rows[:-1], cols[1:]].astype(np.float64) - matched[:-1])
    market.u[:] = matched - market.v[cols]
    return True


def _dense(market: Market, most_bids: float, most_reads: float) -> bool:
    """Jonker and Volgenant's method on the matrix; False where a budget (rows read, per row) did not suffice.

    With no bids it goes on from a matching along tight edges, and the prices v and u = 0 that go with it.
    """
    from ..kernels import shortest_path
    from ..kernels.survey import first_bids

    kernel: Any = shortest_path
    n, m = market.cost.shape
    space, state = workspace(m)
    market.holds(8 * (2 * n + 9 * m))
    budget = [int(min(UNBOUNDED, k * n)) for k in (most_bids, most_reads)]
    duals = market.u, market.v, market.col_of_row, market.row_of_col
    queue, queued = space[1][0], 0
    if n < m and most_bids:
        found = market.survey
        queued = first_bids(found.choice, found.least, budget[0], *duals, queue)
    elif most_bids:
        queue[:n] = np.arange(n)[::-1]
        queued = n
    state[kernel.PHASE], state[kernel.QUEUED] = kernel.BIDDING, queued
    for reads in (0, budget[1]):  # first the bids alone, for a look at what they leave
        status = kernel.RUNNING
        while status == kernel.RUNNING:
            status = kernel.augment(market.cost, market.sign, n == m, *duals, *space, state, budget[0], reads, SLICE)
            market.check()
        if status != kernel.SPENT or np.count_nonzero(market.col_of_row < 0) > LOST * n:
            break
    if status == kernel.INFEASIBLE:
        raise market.impossible(*violators(state, space[1], market.row_of_col))
    return bool(status == kernel.DONE)


def _by_lists(market: Market, tied: bool) -> str:
    """The same with candidate lists, which read each row once or twice; else the auction. `tied`: see _by_ties."""
    lists, n = Lists(market), len(market.u)
    if tied:
        lists.read_all()
        lists.match_tight(0.0)
        if lists.search(*TIED):
            return BY_TIES
    lists.read_all()
    free, close = lists.bid(0.0, FIRST_BIDS), False
    if free < HOPELESS * n and (free == 0 or lists.bid(0.0, BIDS - FIRST_BIDS, again=True) < FREE * n):
        lists.match_tight(0.0)
        if lists.search(*TRIAL):
            return BY_LISTS
        free = int(np.count_nonzero(market.col_of_row < 0))
        if lists.search(*TRIAL):
            return BY_LISTS
        left = int(np.count_nonzero(market.col_of_row < 0))
        if left <= REST and lists.search(*LAST):
            return BY_LISTS
        close = free - left > PROMISING * free
    lists.match_tight(lists.scaled_auction(close=close))
    lists.search(UNBOUNDED, UNBOUNDED)
    return BY_AUCTION


def _wide_by_lists(market: Market) -> str:
    """For n < m: on candidate lists from v = 0; where that goes on for too long, as a square problem."""
    lists = Lists(market)
    lists.read_all()
    lists.bid(0.0, BIDS)
    lists.match_tight(np.inf)
    if lists.search(*WIDE):
        return BY_LISTS
    try:
        _fill_up(market)
    except ValueError:  # it may name rows that are not there
        market.start_at_minima()
        lists.read_all()
        lists.bid(0.0, BIDS)
        lists.match_tight(np.inf)
        lists.search(UNBOUNDED, UNBOUNDED)
        return BY_LISTS
    return BY_AUCTION


def _fill_up(market: Market) -> None:
    """For n < m: add m - n rows that may take any column at no cost, and give the square problem to the auction.

    An auction with eps scaling carries prices from phase to phase, but columns that nobody takes must keep theirs: with
    the new rows somebody takes every column, and those of the new rows share the highest price, which becomes 0.
    """
    n, m = market.cost.shape
    filled = np.zeros((m, m), dtype=market.cost.dtype)
    filled[:n] = market.cost
    square = Market(filled, market.sign, market.turned, market.threads, market.check)
    lists = Lists(square)
    try:
        lists.match_tight(lists.scaled_auction())
        lists.search(UNBOUNDED, UNBOUNDED)
    finally:
        square.close()
    market.holds(filled.nbytes + square.bytes)
    rows = np.arange(n)
    cols = square.col_of_row[:n]
    market.part_all()
    market.col_of_row[:], market.row_of_col[cols] = cols, rows
    market.v[:] = 0.0
    market.v[cols] = np.minimum(square.v[cols] - square.v.max(), 0)
    market.u[:] = market.sign * market.cost[rows, cols].astype(np.float64) - market.v[cols]


def _by_ties(market: Market) -> bool:
    """Match rows to columns that are cheapest in them, if nearly every row has such a one: integers of small range."""
    from ..kernels.augmenting_paths import match_tight
    from ..kernels.survey import cheapest

    n = len(market.u)
    near, near_cost = np.empty((n, TIES), dtype=np.int32), np.empty((n, TIES), dtype=market.cost.dtype)
    length = np.empty(n, dtype=np.int32)
    lists = near, near_cost, length
    sample = min(64, n)
    cheapest(market.cost, market.sign, market.v, 0, sample, *lists)
    if np.count_nonzero(length[:sample]) < 0.9 * sample:
        return False
    market.in_slices(lambda first, last: cheapest(market.cost, market.sign, market.v, max(first, sample), last, *lists))
    spaces = np.empty((4, n), dtype=np.intp)
    duals = market.u, market.v, market.col_of_row, market.row_of_col
    match_tight(market.cost, market.sign, 0.0, *duals, *lists, np.full(n, np.inf), *spaces)
    return True


class Lists:
    """The candidate lists of a market, and what the kernels do with them."""

    def __init__(self, market: Market) -> None:
        from ..kernels import auction, augmenting_paths

        self.auction: Any = auction
        self.paths: Any = augmenting_paths
        self.market = market
        n, m = market.cost.shape
        self.near = np.empty((n, auction.LONGEST), dtype=np.int32)
        self.near_cost = np.empty((n, auction.LONGEST), dtype=market.cost.dtype)
        self.length, self.bound = np.zeros(n, dtype=np.int32), np.full(n, -np.inf)
        self.queue, self.doubtful = np.arange(n), np.empty(AHEAD, dtype=np.intp)
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
        self._read(np.arange(len(self.market.u)))

    def _read(self, rows: Array) -> None:
        here = self.market
        here.in_slices(
            lambda first, last: self.auction.refresh_rows(
                here.cost, here.sign, here.v, here.row_of_col, rows, first, last, *self.rows
            ),
            rows=len(rows),
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
            bids = min(until, self._read_ahead())
            status = self.auction.bid(
                here.cost, here.sign, here.v, eps, spread, here.col_of_row, here.row_of_col, *self.rows,
                self.queue, self.state, int(left * n), bids, SLICE,
            )  # fmt: skip
            here.check()
            if status == self.auction.SPENT and bids < until:
                status = self.auction.RUNNING
        if status == self.auction.STUCK:
            raise here.impossible([self.queue[self.state[self.auction.HEAD]]], [])
        return int(self.state[self.auction.QUEUED])

    def _read_ahead(self) -> int:
        """While many rows are free, read those that bid next by all threads. Returns how far the bids may go then."""
        here, head = self.market, self.state[self.auction.HEAD]
        ahead = min(AHEAD, int(self.state[self.auction.QUEUED]) // 2)
        if ahead < FEWEST_AHEAD or len(here.u) < MANY:
            return UNBOUNDED
        count = self.auction.undecided(here.sign, here.v, *self.rows, self.queue, head, ahead, self.doubtful)
        self._read(self.doubtful[:count])
        return int(self.state[self.auction.BIDS]) + ahead

    def scaled_auction(self, *, close: bool = False) -> float:
        """Phases of falling eps from column means on, then one at eps = 0. Returns the slack of the pairs it leaves.

        Prices that are `close` to optimal spare the coarse phases.
        """
        here, n = self.market, len(self.market.u)
        size = max(abs(here.survey.low), abs(here.survey.high))
        means = here.survey.sums / n if here.survey.finite else self._means()
        spread = self._spread(means)
        last = max(spread / (FINEST * n), 8 * np.spacing(size))
        if not (close and self._phases(spread / CLOSE, last, spread)):
            here.v[:] = means
            self.read_all()
            self._phases(spread / COARSEST, last, spread)
        self.bid(0.0, FIRST_BIDS)
        return float(4 * np.spacing(size + np.abs(here.v).max()))

    def _phases(self, eps: float, last: float, spread: float) -> bool:
        """Phases of falling eps; False where one of them leaves too many rows free."""
        while self.bid(eps, MOST_BIDS, spread=spread, left=LEFT) <= LEFT * len(self.market.u):
            if eps <= last:
                return True
            eps = max(eps / FALL, last)
        return False

    def _spread(self, means: Array) -> float:
        """Of the costs of a row, beyond what its mean and those of the columns explain: two standard deviations."""
        here, n = self.market, len(self.market.u)
        sample = here.sign * here.cost[:: max(1, n // 64)].astype(np.float64) - means
        sample[~np.isfinite(sample)] = np.nan
        sample -= np.nanmean(sample, axis=1, keepdims=True)
        unit = np.nanmax(np.abs(sample)) or 1.0  # squares of costs may overflow, or vanish
        return 2 * unit * float(np.nanstd(sample / unit))

    def _means(self) -> Array:
        """The mean cost of each column over the pairs that are allowed."""
        here, m = self.market, len(self.market.v)
        parts: dict[int, Array] = {}

        def work(first: int, last: int) -> None:
            parts[first] = np.zeros((2, m))
            self.auction.column_sums(here.cost, first, last, *parts[first])

        here.in_slices(work, portion=PORTION)
        sums, counts = np.sum([parts[first] for first in sorted(parts)], axis=0)
        return np.asarray(here.sign * sums / counts)

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
            here.check()
        if status == self.paths.INFEASIBLE:
            cols = self.spaces[1][: state[self.paths.SETTLED]]
            raise here.impossible([state[self.paths.TARGET], *here.row_of_col[cols]], cols)
        if status == self.paths.DONE:
            matched = here.cost[np.arange(n), here.col_of_row].astype(np.float64)
            here.u[:] = here.sign * matched - here.v[here.col_of_row]
        return bool(status == self.paths.DONE)
