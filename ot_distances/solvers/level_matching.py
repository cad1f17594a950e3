"""One level of equal masses: an auction with steps as fine as the points are dense, and its exact finish."""

from __future__ import annotations

import numpy as np

from ..costs import NOISE
from ..problem import Array
from .candidate_graph import CANDIDATES, Graph, Lists, graph_of, listed, search, settle
from .cloud import Cloud

# Bids between two looks at the clock, and bids for each row that a phase may spend.
BIDS = 2_000_000
MAX_BIDS = 60

# Times that a phase may fetch new candidates for rows whose lists no longer reach, and the share of the rows, 1 in
# FEW, that are left to shortest paths or worse choices instead.
MAX_REFRESHES = 20
FEW = 200

# Rows visited by shortest paths, for each row: in a phase of the auction, and in the finish. Levels of more than LARGE
# points get more in proportion, as the simplex, which takes over then, slows down faster than that.
MAX_PHASE_VISITS = 20
MAX_VISITS = 50
LARGE = 5_000

# Where 1 row in FEW_VIOLATED or fewer is violated, the columns are not looked at.
FEW_VIOLATED = 50

# Global steps, which work on all arcs, carry all prices off; beyond so many times their spread it costs them digits.
DRIFT = 256

# Bids rise by more than nothing where all choices cost the same.
LEAST_EPS = 1e-300

# Rounds of pricing.
MAX_ROUNDS = 100


class Assignment:
    """A level of equal masses: potentials u, v and a matching, improved in place."""

    def __init__(
        self, x: Cloud, y: Cloud, v: Array, spare: Array, *, everything: bool = False, warm: bool = False
    ) -> None:
        """`spare` is a permutation whose pairs are always arcs, so that the graph holds a perfect matching.

        `everything` makes all pairs arcs. `warm` says that v and `spare` are nearly optimal: lists of the rows will do.
        """
        self.x, self.y, self.v, self.spare, self.watch = x, y, v, spare, x.watch
        n = len(x)
        size = n if everything else CANDIDATES
        self.rows = Lists(x.points, y, v, size)
        self.u = self.rows.least.copy()
        if not warm:
            self.cols = Lists(y.points, x, self.u, size)
        self.row_match, self.col_match = np.full(n, -1, np.intp), np.full(n, -1, np.intp)

    @property
    def _state(self) -> tuple[Array, Array, Array, Array]:
        return self.u, self.v, self.row_match, self.col_match

    def graph(self) -> Graph:
        (i, j), (q, p) = self.rows.pairs(), self.cols.pairs()
        matched = np.flatnonzero(self.row_match >= 0)
        everyone = np.arange(len(self.x))
        rows = np.concatenate((i, p, everyone, matched))
        cols = np.concatenate((j, q, self.spare, self.row_match[matched]))
        graph = graph_of(self.x, self.y, rows, cols)
        self.watch.holds(rows, cols, self.rows.best, self.cols.best, *graph.by_row, *graph.by_col)
        return graph

    def global_steps(self) -> tuple[float, ...]:
        """Steps from the range of all costs down to the spacing of the points, where nothing is known of the duals."""
        least = max(min(np.median(self.rows.spacing), np.median(self.cols.spacing)), LEAST_EPS)
        span = float(np.ptp(self.graph().by_row[2])) / 4
        return tuple(span / 5**k for k in range(40) if span / 5**k > least)

    def auction(self, steps: tuple[float, ...], global_steps: tuple[float, ...] = ()) -> int:
        """Bid with eps = each global step in turn, then with eps = each step times the spacing of the bidder.

        Returns the number of bids.
        """
        graph, bids = self.graph(), 0
        for eps, step in [(eps, 0.0) for eps in global_steps] + [(LEAST_EPS, step) for step in steps]:
            graph, left = self._phase(graph, eps, step)
            drift = np.median(self.v)
            if global_steps and abs(drift) > DRIFT * np.ptp(self.v):
                self.u, self.v = self.u + drift, self.v - drift
            bids += MAX_BIDS * len(self.x) - left
            self.watch.check(f"{len(self.x)} points")
        return bids

    def _phase(self, graph: Graph, global_eps: float, step: float) -> tuple[Graph, int]:
        """Match all within eps, from nothing, fetching new candidates where the old ones no longer reach.

        Returns the graph and the bids left.
        """
        from ..kernels import sparse_assignment as kernel

        n = len(self.x)
        self.row_match[:] = self.col_match[:] = -1
        kernel.tighten(*graph.by_row, 0.0, self.u, self.v, self.row_match, self.col_match)
        free = 0
        left, few = MAX_BIDS * n, n // FEW
        for refresh in range(MAX_REFRESHES + 1):
            limits = self.rows.limit, self.cols.limit
            if refresh == MAX_REFRESHES or 0 < free <= few:
                limits = np.full(n, np.inf), np.full(n, np.inf)
            eps = global_eps + step * self.rows.spacing, global_eps + step * self.cols.spacing
            while left > 0:
                free, bids = kernel.auction(
                    graph.by_row, graph.by_col, *eps, *limits, self.u, self.v, self.row_match, self.col_match,
                    min(BIDS, left),
                )  # fmt: skip
                left -= bids
                self.watch.check()
                if bids < BIDS:
                    break
            if free == 0:
                return graph, left
            if left <= 0:
                break
            graph = self._refresh()
        # What is left must move far: shortest paths go there at once, where bids would go in steps of eps.
        search(graph.by_row, *self._state, MAX_PHASE_VISITS * n, self.watch.check)
        return graph, left

    def _refresh(self) -> Graph:
        rows, cols = np.flatnonzero(self.row_match < 0), np.flatnonzero(self.col_match < 0)
        self.rows.refresh(rows, self.v)
        self.u[rows] = np.minimum(self.u[rows], self.rows.least[rows])
        self.cols.refresh(cols, self.u)
        self.v[cols] = np.minimum(self.v[cols], self.cols.least[cols])
        return self.graph()

    def completed(self) -> Array:
        """The matching as a permutation, free rows paired with free columns in order."""
        match = self.row_match.copy()
        match[match < 0] = np.flatnonzero(self.col_match < 0)
        return match

    def finish(self) -> bool:
        """Optimal matching and potentials: shortest paths on the candidates, pricing of all pairs, repeat.

        False where the work that this may take is spent.
        """
        self.rows = Lists(self.x.points, self.y, self.v, CANDIDATES)
        self.u = self.rows.least.copy()
        self.cols = Lists(self.y.points, self.x, self.u, CANDIDATES)
        self.v = np.minimum(self.v, self.cols.least)
        return self._close(self.graph())

    def nearest_is_best(self) -> bool:
        """Match each row to its cheapest column; False where two rows share one."""
        nearest = self.rows.best[:, 0]
        if len(np.unique(nearest)) < len(nearest):
            return False
        self.row_match[:], self.col_match[nearest] = nearest, np.arange(len(nearest))
        return True

    def mend(self) -> bool:
        """The same from potentials and a matching (`spare`) that are nearly optimal."""
        rows, cols = self.rows.pairs()
        everyone = np.arange(len(self.x))
        return self._close(
            graph_of(self.x, self.y, np.concatenate((rows, everyone)), np.concatenate((cols, self.spare)))
        )

    def _close(self, graph: Graph) -> bool:
        visits = MAX_VISITS * len(self.x) * max(LARGE, len(self.x)) // LARGE
        for _ in range(MAX_ROUNDS):
            # Prices v only fall below: pairs that are no arcs cost a row no less than where its list ended.
            feasible = np.maximum(self.u, self.rows.limit)
            visits = settle(graph.by_row, *self._state, visits, self.watch.check)
            if visits <= 0:
                break
            tails, heads = self._violated(np.flatnonzero((self.u > feasible) | (self.row_match < 0)))
            if len(tails) == 0:
                return True
            before, graph = graph.arcs, graph.extended(self.x, self.y, tails, heads)
            if graph.arcs == before:
                return bool((self.row_match >= 0).all())
        return False

    def _violated(self, which: Array) -> tuple[Array, Array]:
        """Arcs of negative reduced cost, which only the rows `which` can have.

        Mends the potentials on the side where fewer points have them, so that they are feasible for all pairs.
        """
        free = self.row_match < 0
        other = np.where(free, 0.0, self.v[self.row_match])
        noise = 2 * NOISE * (np.abs(self.u) + np.abs(other))
        limits = np.where(free, np.inf, self.u - noise)[which]
        rows = self.y.nearest(self.x.points, self.v, CANDIDATES, which, limits)
        violated = np.flatnonzero(rows.found)
        bad_rows, least = which[violated], rows.value[violated, 0]
        asked, heads = listed(rows, violated)
        tails = which[asked]
        if len(bad_rows) * FEW_VIOLATED <= len(free) or free.any():
            self.u[bad_rows] = least
            return tails, heads
        cols = self.x.nearest(self.y.points, self.u, CANDIDATES, limits=self.v - noise[self.col_match])
        bad_cols = np.flatnonzero(cols.found)
        if len(bad_rows) <= len(bad_cols):
            self.u[bad_rows] = least
        else:
            self.v[bad_cols] = cols.value[bad_cols, 0]
        more_heads, more_tails = listed(cols, bad_cols)
        return np.concatenate((tails, more_tails)), np.concatenate((heads, more_heads))
