"""Pivots of the network simplex in exact arithmetic, round by round."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..costs import NOISE, VANISHING
from ..problem import Array

# Pivots in a batch, in units of the root of the number of nodes: fewer, and the tree is put in order too often; more,
# and it falls into too many fragments. Arcs that compete to enter, in units of the root of their number.
BATCH, BLOCK = 3, 6

# Costs of a round of pivots: whole multiples of 1 / GRID of the largest, which is CAP times the worst violation. Costs
# beyond that cannot matter yet. Potentials, sums of costs, have room up to 2**63 / GRID = 2**23 times the largest.
GRID, CAP = 2.0**40, 2.0**10

# A tree in some order, what lies where in it, and potentials.
_Ordered = tuple[Array, Array, Array]


def tree_arcs(tree: Array, n: int) -> tuple[Array, Array, Array]:
    """(rows, cols, children) of the arcs of the basis."""
    from ..kernels import network_simplex as kernel

    child = np.flatnonzero(tree[:, kernel.PARENT] >= 0)
    parent = tree[child, kernel.PARENT]
    return np.minimum(child, parent), np.maximum(child, parent) - n, child


def tree_potential(tree: Array, n: int, cost_of: Callable[[Array, Array], Array]) -> Array:
    """The potentials, (n + m,), under which all arcs of the basis have reduced cost 0."""
    from ..kernels import network_simplex as kernel

    rows, cols, child = tree_arcs(tree, n)
    up_cost, potential = np.zeros(len(tree)), np.zeros(len(tree))
    up_cost[child] = cost_of(rows, cols)
    order = np.empty(len(tree), np.int32)
    kernel.preorder(tree, np.empty((len(tree), kernel.SPOT), np.int32), order)
    kernel.settle(tree, order, up_cost, potential)
    return potential


def forest_order(rows: Array, cols: Array, n: int, m: int) -> tuple[Array, Array]:
    """The support of a plan, leaves first, so that filling it greedily gives the plan itself back.

    A leaf's only entry must carry all that is left there. Entries that close a cycle, which a vertex has none of, are
    left out.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import breadth_first_order, connected_components

    def graph(tails: Array, heads: Array) -> coo_array:
        return coo_array((np.ones(len(tails)), (tails, heads)), shape=(n + m + 1, n + m + 1)).tocsr()

    # One node more joins all trees: breadth first from there, every node comes after its parent.
    above = n + m
    _, tree = connected_components(graph(rows, n + cols), directed=False)
    _, top = np.unique(tree, return_index=True)
    edges = np.concatenate((rows, np.full(len(top), above))), np.concatenate((n + cols, top))
    order, parents = breadth_first_order(graph(*edges), above, directed=False)
    child = order[:0:-1]
    parent = parents[child]
    child, parent = child[parent < above], parent[parent < above]
    return np.minimum(child, parent), np.maximum(child, parent) - n


def starting_tree(
    row_left: Array, col_left: Array, arcs: tuple[Array, Array, Array], sent: tuple[Array, Array, Array]
) -> Array:
    """A strongly feasible basis that holds the flow `sent`, (rows, cols, mass), but for its cycles.

    The masses left are sent along the `arcs`, (tails, heads, reduced costs), the least cost first, then by the
    north-west corner rule; arcs of little cost and no flow join the pieces. Modifies `row_left` and `col_left`.
    """
    from ..kernels import network_simplex as kernel

    n, m = len(row_left), len(col_left)
    tails, heads, costs = arcs
    open_arcs = np.flatnonzero((row_left[tails] > 0) & (col_left[heads] > 0))
    order = open_arcs[np.argsort(costs[open_arcs], kind="stable")]
    near = filled(tails[order], heads[order], row_left, col_left)
    far = filled(*north_west(row_left, col_left), row_left, col_left)
    rows, cols, mass = map(np.concatenate, zip(sent, near, far))
    tree = np.zeros((n + m, kernel.FIELDS), np.int64)
    tree[:, kernel.PARENT] = tree[:, kernel.MARK] = -1
    kernel.plant(n, rows, cols, mass, tree, *np.empty((2, n + m), np.int64))
    root = n
    kernel.reroot(tree, root, -1, 0, -1)
    _join(tree, root, n, arcs)
    return tree


def filled(rows: Array, cols: Array, row_left: Array, col_left: Array) -> tuple[Array, Array, Array]:
    """The flow, (rows, cols, mass), when all that is left is sent along the pairs in their order."""
    from ..kernels import network_simplex as kernel

    sent = np.empty(len(rows), np.int64)
    kernel.send_greedily(rows, cols, row_left, col_left, sent)
    some = np.flatnonzero(sent)
    return rows[some], cols[some], sent[some]


def _join(tree: Array, root: int, n: int, arcs: tuple[Array, Array, Array]) -> None:
    """Make a forest one tree with this root, along arcs of little cost where it can be; modifies `tree`."""
    from ..kernels import network_simplex as kernel

    nodes = np.arange(len(tree))
    tops = np.where(tree[:, kernel.PARENT] < 0, nodes, tree[:, kernel.PARENT])
    while (tops != tops[tops]).any():
        tops = tops[tops]
    members = np.argsort(tops, kind="stable")
    begin = np.searchsorted(tops[members], np.arange(len(tree) + 1))
    if begin[tops[root] + 1] - begin[tops[root]] == len(tree):
        return
    tails, heads, costs = arcs
    by_col = np.argsort(heads, kind="stable")
    col_start = np.searchsorted(heads[by_col], np.arange(len(tree) - n + 1))
    ranks = len(tree) * np.array([1, 2, 4])
    ranks = ranks[ranks < len(costs)]
    limits = np.append(np.partition(costs, ranks)[ranks], np.inf)
    kernel.connect(col_start, tails[by_col], costs[by_col], limits, tree, root, tops, begin, members, nodes)


def pivot_to_optimum(
    start: Array,
    heads: Array,
    costs: Array,
    tree: Array,
    cost_of: Callable[[Array, Array], Array],
    check: Callable[[], None] = lambda: None,
) -> Array:
    """Pivot until no arc has a reduced cost below the level of rounding; returns the potentials of the tree, (n + m,).

    Row i has the arcs start[i] : start[i + 1]; `cost_of(rows, cols)` gives the costs of the tree's own arcs. Modifies
    `tree`.

    Each round takes reduced costs under the potentials of its first tree, which are 0 on it, for costs, and rounds them
    to a grid: sums of them along any path of the tree are then exact, ties are ties, and the pivots cannot cycle. A
    round leaves reduced costs at the level of its grid, some ten digits below where it began; the next takes up there.
    """
    from ..kernels import network_simplex as kernel

    n, nodes = len(start) - 1, len(tree)
    tails = np.repeat(np.arange(n), np.diff(start))
    work, block = kernel.workspace(BATCH * math.isqrt(nodes), n), BLOCK * math.isqrt(len(costs))
    place, below, order = np.empty((3, nodes), np.int32)
    spots, cursor = np.empty((nodes, kernel.SPOT), np.int32), np.zeros(2, np.int64)
    worst = math.inf
    while True:
        potential = tree_potential(tree, n, cost_of)
        reduced = costs - potential[tails] - potential[n + heads]
        previous, worst = worst, -float(reduced.min())
        if worst <= 2 * NOISE * np.abs(potential).max() + VANISHING or worst > previous / 2:
            return potential
        top = 2.0 ** math.ceil(math.log2(worst * CAP))
        rounded = np.rint(np.minimum(reduced, top) * (GRID / top)).astype(np.int64)
        now: _Ordered = tree.copy(), np.arange(nodes, dtype=np.int32), np.zeros(nodes, np.int64)
        now[0][:, kernel.MARK], cursor[1] = -1, 0
        other: _Ordered = np.empty_like(now[0]), np.empty_like(now[1]), np.empty_like(now[2])
        status = kernel.WORKING
        try:
            while status == kernel.WORKING:
                kernel.arrange(*now, *other, place, below, spots, order)
                now, other = other, now
                arranged, _, moved = now
                status = kernel.pivots(
                    arranged, start, heads, rounded, moved, place, below, work, block, cursor
                )  # fmt: skip
                check()
        finally:
            kernel.put_back(*now[:2], tree)


def north_west(row_left: Array, col_left: Array) -> tuple[Array, Array]:
    """Pairs along which the masses fit when rows and columns are filled in order."""
    rows, cols = np.flatnonzero(row_left), np.flatnonzero(col_left)
    if len(rows) == 0:
        return rows, cols
    cuts = np.concatenate((np.cumsum(row_left[rows])[:-1], np.cumsum(col_left[cols])[:-1]))
    down = np.argsort(cuts, kind="stable") < len(rows) - 1
    i, j = np.concatenate(([0], np.cumsum(down))), np.concatenate(([0], np.cumsum(~down)))
    return rows[i], cols[j]
