"""Uniform weights on a GPU: an auction there, an exact finish here on candidate lists, all pairs priced there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from .._device import Backend
from ..costs import NOISE
from ..problem import Array, Flow, TransportProblem
from .assignment import Matching
from .assignment import match as match_on_host
from .candidate_graph import search, settle
from .device_auction import DeviceAuction
from .device_costs import DeviceCloud, DeviceMatrix, OnDevice
from .multiscale import multiscale

# Columns that the finish has for each row, and room for more where some are equally good.
CANDIDATES, LONGEST = 12, 24

# Rounds of pricing, and rows visited by shortest paths in all, for each row: beyond these the host takes over.
MAX_ROUNDS, MAX_VISITS = 100, 300

# Pairs of free rows and free columns that are looked at to complete the matching.
MOST_SPARE = 20_000_000

METHOD = "auction on the device, shortest augmenting paths"


def match_matrix(backend: Backend, matrix: Any, sign: float) -> tuple[DeviceMatrix, bool, Matching] | None:
    """(cost, turned, matching) of a matrix on the device, turned so that n <= m; None where the host is to match it."""
    n, m = matrix.shape
    turned = n > m or (n == m and matrix.flags.f_contiguous and not matrix.flags.c_contiguous)
    cost = DeviceMatrix(backend, backend.xp.ascontiguousarray(matrix.T if turned else matrix), sign)
    matching = match(cost) if cost.ordinary else None
    return None if matching is None else (cost, turned, matching)


def device(problem: TransportProblem) -> Flow:
    """As many points or rows as columns, all of one mass: an optimal permutation, the passes over all pairs on a GPU.

    Notes
    -----
    Where the auction leads nowhere, costs or points are copied and the matching is left to the host.
    """
    cost = problem.cost
    check = problem.watch.check
    matching = match(cost, check) if isinstance(cost, OnDevice) else None
    if matching is None and isinstance(cost, DeviceCloud):
        return multiscale(replace(problem, cost=cost.on_host()))
    if matching is None:
        matching = match_on_host(cost.matrix(), check=check)
    everyone = np.arange(len(matching.u))
    return Flow(everyone, matching.col_of_row, problem.row_mass, matching.v, bytes=matching.bytes)


def match(cost: OnDevice, check: Callable[[], None] = lambda: None) -> Matching | None:
    """The cheapest matching of all rows, n <= m, or None where it is to be sought on the host.

    Every row bids in an auction on the device, with eps scaling. Then the lists of the cheapest columns of each row
    come to the host, where shortest augmenting paths make matching and duals exact on them; a pass over all pairs on
    the device, in float64, finds the pairs that these duals violate; they are added, until there are none. `check` is
    called between slices of work.

    References
    ----------
    D. P. Bertsekas, The auction algorithm: a distributed relaxation method for the assignment problem, Annals of
    Operations Research 14, 1988.
    """
    rough = cost.rough() if isinstance(cost, DeviceCloud) else None
    auction = DeviceAuction(rough or cost)
    if not auction.run(check):
        return None
    v, col_of_row = auction.outcome()
    listed = (rough or cost).nearest(np.arange(len(col_of_row)), v, CANDIDATES, LONGEST)
    del auction, rough  # their memory, before the passes that prove
    pairs = map(np.concatenate, zip(listed, _completed(cost, v, col_of_row)))
    return _finish(_Graph(cost, *pairs), v, col_of_row, check)


def _completed(cost: OnDevice, v: Array, col_of_row: Array) -> tuple[Array, Array]:
    """The matching, as pairs, with partners for the free rows: a graph that holds it lets every row find a column."""
    held, rows = np.flatnonzero(col_of_row >= 0), np.flatnonzero(col_of_row < 0)
    cols = np.delete(np.arange(cost.shape[1]), col_of_row[held])
    partners = cols[:0]
    if 0 < len(rows) * len(cols) <= MOST_SPARE:
        with suppress(ValueError):  # forbidden pairs are in the way: the lists may know a way around
            partners = cols[match_on_host(cost.select(rows, cols).matrix() - v[cols]).col_of_row]
    return np.concatenate((held, rows[: len(partners)])), np.concatenate((col_of_row[held], partners))


class _Graph:
    """Candidate pairs with their costs in float64, by rows."""

    def __init__(self, cost: OnDevice, rows: Array, cols: Array) -> None:
        from ..kernels.candidates import gather_rows

        n = cost.shape[0]
        self.cost, self.indptr, heads = cost, np.empty(n + 1, np.intp), np.empty(len(rows), np.intp)
        self.cols = heads[: gather_rows(n, rows, cols, self.indptr, heads)]
        self.rows = np.repeat(np.arange(n), np.diff(self.indptr))
        self.costs = cost.entries(self.rows, self.cols)

    def extended(self, rows: Array, cols: Array) -> _Graph:
        return _Graph(self.cost, np.concatenate((self.rows, rows)), np.concatenate((self.cols, cols)))

    @property
    def by_row(self) -> tuple[Array, Array, Array]:
        return self.indptr, self.cols, self.costs

    def by_col(self) -> tuple[Array, Array, Array]:
        """Columns as rows; each may also take a place of its own, numbers n, n + 1, ..., at no cost."""
        from ..kernels.sparse_assignment import transpose

        n, m = self.cost.shape
        colptr, rows, arc = np.empty(m + 1, np.intp), np.empty_like(self.cols), np.empty_like(self.cols)
        transpose(self.indptr, self.cols, colptr, rows, arc)
        ends = colptr[1:]
        return (
            colptr + np.arange(m + 1),
            np.insert(rows, ends, n + np.arange(m)),
            np.insert(self.costs[arc], ends, np.zeros(m)),
        )


def _finish(graph: _Graph, v: Array, col_of_row: Array, check: Callable[[], None]) -> Matching | None:
    """Shortest paths on the candidates, pricing of all pairs, repeat. None where the host had better start anew."""
    cost = graph.cost
    n, m = cost.shape
    u, row_of_col = np.zeros(n), np.full(m, -1)
    row_of_col[col_of_row[col_of_row >= 0]] = np.flatnonzero(col_of_row >= 0)
    visits = MAX_VISITS * n
    for _ in range(MAX_ROUNDS):
        visits = settle(graph.by_row, u, v, col_of_row, row_of_col, visits, check)
        if visits <= 0 or (col_of_row < 0).any():
            return None
        if n < m:
            visits = _release(graph, u, v, col_of_row, row_of_col, visits)
        least = cost.row_transform(v)
        noise = 2 * NOISE * (np.abs(u) + np.abs(v[col_of_row]))
        violated = np.flatnonzero(least < u - noise)
        if not len(violated):
            return Matching(col_of_row, u, v, METHOD, _bytes(graph))
        u[violated] = least[violated]
        arcs = len(graph.cols)
        graph = graph.extended(*cost.nearest(violated, v, CANDIDATES, LONGEST))
        if len(graph.cols) == arcs:
            return None
    return None


def _release(graph: _Graph, u: Array, v: Array, col_of_row: Array, row_of_col: Array, visits: int) -> int:
    """For n < m: a column without a row must be free of charge, v_j = 0.

    Those that are not look for the nearest column that may be left out instead. This is a search for shortest paths
    with the sides exchanged, where every column may also take a place of its own that costs nothing.
    """
    if not ((row_of_col < 0) & (v < 0)).any():
        return visits
    n, m = graph.cost.shape
    prices, places = np.concatenate((u, np.zeros(m))), np.full(n + m, -1)
    places[:n] = col_of_row
    owner = np.where((row_of_col < 0) & (v == 0), n + np.arange(m), row_of_col)
    places[owner[owner >= n]] = np.flatnonzero(owner >= n)
    visits = search(graph.by_col(), v, prices, owner, places, visits)
    u[:], col_of_row[:] = prices[:n], places[:n]
    row_of_col[:] = np.where(owner < n, owner, -1)
    v[owner >= n] = 0.0
    return visits


def _bytes(graph: _Graph) -> int:
    lists = sum(array.nbytes for array in (graph.rows, *graph.by_row))
    n, m = graph.cost.shape
    return lists + 8 * (3 * n + 3 * m)
