"""General masses: the network simplex on candidate arcs, priced against all pairs; of points or of a matrix."""

from __future__ import annotations

import numpy as np

from ..costs import NOISE
from ..problem import Array
from .basis import filled, forest_order, pivot_to_optimum, starting_tree, tree_arcs, tree_potential
from .candidate_graph import CANDIDATES, Lists, graph_of, listed
from .cloud import Side

# Eps in units of the spacing, bids that the auction may take for each point, and bids between two looks at the clock.
EPS = 0.5
BIDS_EACH = 8
BIDS = 1_000_000

# Where 1 row in FEW_VIOLATED or fewer has them, arcs of negative reduced cost are not sought from the columns as well.
FEW_VIOLATED = 20

# Potentials that costs are reduced by may be so many times larger than those of the basis, and hide no digits of it.
HIDING = 16


class FlowLevel:
    """A level of general masses: potentials u, v and a basis tree, improved in place."""

    def __init__(self, x: Side, y: Side, v: Array, spare: tuple[Array, Array], *, warm: bool = False) -> None:
        """`spare` lists pairs that are arcs from the start, so that the start need not move mass far.

        `warm` says that they are a basis, nearly optimal, and v its potentials: lists of the rows will do.
        """
        self.x, self.y, self.v, self.watch = x, y, v, x.watch
        rows = Lists(x.points, y, v, CANDIDATES)
        self.u = rows.least
        pairs = [rows.pairs(), spare]
        if not warm:
            cols = Lists(y.points, x, self.u, CANDIDATES)
            self.v = np.minimum(v, cols.least)
            pairs.append(cols.pairs()[::-1])
        self.graph = graph_of(x, y, *map(np.concatenate, zip(*pairs)))
        row_left, col_left = x.mass.copy(), y.mass.copy()
        if warm:
            sent = filled(*forest_order(*spare, len(x), len(y)), row_left, col_left)
        else:
            sent = self._auction(rows.spacing, cols.spacing, row_left, col_left)
        # Costs are reduced by these potentials once and for all; the basis is kept in them.
        self.base_u, self.base_v = self.u.copy(), self.v.copy()
        self.tree = starting_tree(row_left, col_left, self._arcs(), sent)

    def _reduced(self, rows: Array, cols: Array, cost: Array) -> Array:
        return (cost - self.base_u[rows]) - self.base_v[cols]

    def _arcs(self) -> tuple[Array, Array, Array]:
        """(tails, heads, reduced costs) of the graph, by row."""
        tails, (_, heads, cost) = self.graph.tails, self.graph.by_row
        return tails, heads, self._reduced(tails, heads, cost)

    def _auction(
        self, row_spacing: Array, col_spacing: Array, row_left: Array, col_left: Array
    ) -> tuple[Array, Array, Array]:
        """Better potentials, and a flow, (rows, cols, mass), that is nearly optimal and nearly all.

        Modifies the masses left, `row_left` and `col_left`.
        """
        from ..kernels import flow_auction as kernel

        graph, nodes = self.graph, len(self.x) + len(self.y)
        flow, here = np.zeros(graph.arcs, np.int64), np.arange(graph.arcs)
        by_row, by_col = (*graph.by_row, here), (*graph.by_col, graph.arc)
        self.watch.holds(*by_row, *by_col, flow, flow)
        row_eps, col_eps, bids = EPS * row_spacing, EPS * col_spacing, BIDS_EACH * nodes
        self.u = self._least()
        while bids > 0:
            budget = min(bids, BIDS)
            made = kernel.auction(
                by_row, by_col, self.x.mass, self.y.mass, flow, row_left, col_left, row_eps, col_eps, self.u, self.v,
                budget,
            )  # fmt: skip
            bids -= made if made == budget else bids
            self.watch.check()
        self.u = self._least()
        used = np.flatnonzero(flow)
        return graph.tails[used], graph.by_row[1][used], flow[used]

    def _least(self) -> Array:
        """Row potentials, feasible on the graph and as large as they can be."""
        indptr, heads, cost = self.graph.by_row
        return np.asarray(np.minimum.reduceat(cost - self.v[heads], indptr[:-1]))

    def optimise(self) -> None:
        """Pivot to the optimum of the candidates, price all pairs, add what violates, repeat."""
        while True:
            self._pivot()
            self.watch.check(f"{len(self.x)} and {len(self.y)} points")
            if not (self._extend(*self._violated()) or self._rebase()):
                return

    def _extend(self, tails: Array, heads: Array) -> bool:
        """Add arcs; whether there was any that is new."""
        before = self.graph.arcs
        if len(tails):
            self.graph = self.graph.extended(self.x, self.y, tails, heads)
        return self.graph.arcs > before

    def _rebase(self) -> bool:
        """Whether what costs are reduced by hid digits of the basis, being so much larger; it does so no more."""
        n = len(self.x)
        potential = tree_potential(self.tree, n, lambda rows, cols: self.y.costs(self.x.points, rows, cols))
        hidden: bool = max(np.abs(self.base_u).max(), np.abs(self.base_v).max()) > HIDING * np.abs(potential).max()
        if hidden:
            self.base_u, self.base_v = potential[:n], potential[n:]
        return hidden

    def _pivot(self) -> None:
        n = len(self.x)
        indptr = self.graph.by_row[0]
        _, heads, costs = self._arcs()
        self.watch.holds(self.tree, heads, costs, costs, *self.graph.by_row, *self.graph.by_col)

        def cost_of(rows: Array, cols: Array) -> Array:
            return self._reduced(rows, cols, self.y.costs(self.x.points, rows, cols))

        potential = pivot_to_optimum(indptr, heads, costs, self.tree, cost_of, self.watch.check)
        self.u, self.v = self.base_u + potential[:n], self.base_v + potential[n:]

    def _violated(self) -> tuple[Array, Array]:
        """Arcs of negative reduced cost, from both sides where there are many; none if there is none at all."""
        rows = self.y.nearest(self.x.points, self.v, CANDIDATES, limits=self.u - self._noise(self.u, self.v, 0))
        bad = np.flatnonzero(rows.found)
        if len(bad) * FEW_VIOLATED <= len(self.x):
            return listed(rows, bad)
        cols = self.x.nearest(self.y.points, self.u, CANDIDATES, limits=self.v - self._noise(self.v, self.u, 1))
        tails, heads = listed(rows, bad)
        more_heads, more_tails = listed(cols, np.flatnonzero(cols.found))
        return np.concatenate((tails, more_tails)), np.concatenate((heads, more_heads))

    def _noise(self, own: Array, other: Array, side: int) -> Array:
        """Roundings of a reduced cost near 0, from the potentials of a point and of its first neighbour."""
        indptr, heads, _ = (self.graph.by_row, self.graph.by_col)[side]
        return 2 * NOISE * (np.abs(own) + np.abs(other[heads[indptr[:-1]]]))

    def basis(self) -> tuple[Array, Array, Array]:
        """(rows, cols, mass) of the tree."""
        from ..kernels import network_simplex as kernel

        rows, cols, child = tree_arcs(self.tree, len(self.x))
        return rows, cols, self.tree[child, kernel.FLOW]

    def completed(self) -> Array:
        """Of points of unit mass: the column of each row."""
        rows, cols, mass = self.basis()
        match = np.empty(len(self.x), np.intp)
        match[rows[mass > 0]] = cols[mass > 0]
        return match
