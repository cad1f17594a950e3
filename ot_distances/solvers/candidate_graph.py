"""Candidate arcs between both sides: the least reduced costs of every row and of every column, as a sparse graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..costs import NOISE
from ..problem import Array
from .cloud import Nearest, Side

# Candidate arcs of each row and column: with fewer, pricing adds arcs in more rounds; with more, every pass is slower.
CANDIDATES = 12

# The spacing of a point is the reduced cost of its SPACING-th choice above its first: the unit of its eps.
SPACING = 6

# Rows visited by shortest paths between two looks at the clock.
VISITS = 500_000


@dataclass(frozen=True)
class Graph:
    """Candidate arcs from either side: (indptr, heads, cost) each."""

    by_row: tuple[Array, Array, Array]
    by_col: tuple[Array, Array, Array]
    arc: Array  # where each arc by column stands by row

    @property
    def arcs(self) -> int:
        return len(self.by_row[1])

    @property
    def tails(self) -> Array:
        return np.repeat(np.arange(len(self.by_row[0]) - 1), np.diff(self.by_row[0]))

    def extended(self, x: Side, y: Side, tails: Array, heads: Array) -> Graph:
        return graph_of(x, y, np.concatenate((self.tails, tails)), np.concatenate((self.by_row[1], heads)))


def graph_of(x: Side, y: Side, rows: Array, cols: Array) -> Graph:
    """The graph of the listed pairs, each of them once."""
    from ..kernels import candidates, sparse_assignment

    n, m = len(x), len(y)
    indptr, heads = np.empty(n + 1, np.intp), np.empty(len(rows), np.intp)
    heads = heads[: candidates.gather_rows(n, rows, cols, indptr, heads)].copy()
    cost = y.arc_costs(x.points, indptr, heads)
    colptr, tails, arc = np.empty(m + 1, np.intp), np.empty_like(heads), np.empty_like(heads)
    sparse_assignment.transpose(indptr, heads, colptr, tails, arc)
    # The pairs were put together from parts that are still there, and sorted in a copy.
    x.watch.holds(rows, cols, rows, cols, rows, heads, cost, tails, arc, cost)
    return Graph((indptr, heads, cost), (colptr, tails, cost[arc]), arc)


class Lists:
    """The candidates of each point of one side among those of the other.

    `best` (k, K); `least` the reduced cost of the first; `limit` that of the last, beyond which a list says nothing;
    `spacing` how far choices lie apart.
    """

    def __init__(self, points: Array, other: Side, prices: Array, size: int) -> None:
        self.points, self.other = points, other
        nearest = other.nearest(points, prices, size)
        self.best, self.limit, self.least = nearest.best, np.empty(len(points)), np.empty(len(points))
        self.spacing = np.empty(len(points))
        self._measure(np.arange(len(points)), nearest.value, prices)

    def _measure(self, which: Array, value: Array, prices: Array) -> None:
        size = value.shape[1]
        self.least[which] = value[:, 0]
        self.limit[which] = value[:, -1] if size < len(self.other) else np.inf
        rounding = 2.0**-44 * (np.abs(value[:, 0]) + 2 * np.abs(prices[self.best[which, 0]]))
        self.spacing[which] = np.maximum(value[:, min(SPACING, size - 1)] - value[:, 0], rounding)

    def refresh(self, which: Array, prices: Array) -> None:
        nearest = self.other.nearest(self.points, prices, self.best.shape[1], which)
        self.best[which] = nearest.best
        self._measure(which, nearest.value, prices)

    def pairs(self) -> tuple[Array, Array]:
        k, size = self.best.shape
        return np.repeat(np.arange(k), size), self.best.ravel()


def listed(nearest: Nearest, which: Array) -> tuple[Array, Array]:
    """The answers to some of the questions, as pairs (asker, answer)."""
    owner = np.repeat(which, nearest.found[which])
    held = np.arange(nearest.best.shape[1]) < nearest.found[which, None]
    return owner, nearest.best[which][held]


def settle(
    by_row: tuple[Array, Array, Array],
    u: Array,
    v: Array,
    row_match: Array,
    col_match: Array,
    visits: int,
    check: Callable[[], None] = lambda: None,
) -> int:
    """Optimal matching and duals on the arcs, from prices v near the optimum; returns what is left of the visits.

    `check` is called between slices of work.
    """
    from ..kernels import sparse_assignment as kernel

    state = u, v, row_match, col_match
    kernel.tighten(*by_row, NOISE, *state)
    kernel.take_tight(*by_row, *state, 2 * len(u))
    kernel.tighten(*by_row, NOISE, *state)
    check()
    kernel.match_tight(*by_row, NOISE, *state)
    return search(by_row, *state, visits, check)


def search(
    by_row: tuple[Array, Array, Array],
    u: Array,
    v: Array,
    row_match: Array,
    col_match: Array,
    visits: int,
    check: Callable[[], None] = lambda: None,
) -> int:
    """Shortest augmenting paths for all free rows, from feasible duals; returns what is left of the visits."""
    from ..kernels import sparse_assignment as kernel

    row, distance, parent = 0, np.full(len(v), np.inf), np.empty(len(v), np.intp)
    while row < len(u) and visits > 0:
        check()
        row, visited, _ = kernel.shortest_paths(*by_row, u, v, row_match, col_match, row, VISITS, distance, parent)
        visits -= visited
    return visits
