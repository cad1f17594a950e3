"""Primal network simplex for the transportation problem: arcs from rows to columns, no capacities, int64 masses.

The spanning tree is kept in one int64 row of fields for each node, so that a step along a path reads one cache line.
Rows are nodes 0 .. n - 1, columns n .. n + m - 1, and the root is a column. A tree arc joins a node to its parent;
since all arcs run from rows to columns, it points up at a row and down at a column. The tree is strongly feasible
(Cunningham, Mathematical Programming 1976): an arc without flow hangs at a row, so that it points at the root.
With the leaving arc chosen as the last one that blocks the cycle, this excludes cycling, as long as reduced costs are
exact: the caller rounds costs to a grid on which float64 sums are.
"""

from __future__ import annotations

import numpy as np
from numba import njit

PARENT, CHILD, NEXT, PREVIOUS, DEPTH, FLOW = 0, 1, 2, 3, 4, 5
FIELDS = 8  # a cache line of 64 bytes

OPTIMAL, WORKING = 0, 1


@njit(cache=True, nogil=True, error_model="numpy")
def link(tree, node, parent):
    """Hang `node` under `parent` as its first child."""
    first = tree[parent, CHILD]
    tree[node, PARENT] = parent
    tree[node, PREVIOUS] = -1
    tree[node, NEXT] = first
    if first >= 0:
        tree[first, PREVIOUS] = node
    tree[parent, CHILD] = node


@njit(cache=True, nogil=True, error_model="numpy")
def unlink(tree, node):
    """Take `node` out of the children of its parent."""
    before, after = tree[node, PREVIOUS], tree[node, NEXT]
    if before >= 0:
        tree[before, NEXT] = after
    else:
        tree[tree[node, PARENT], CHILD] = after
    if after >= 0:
        tree[after, PREVIOUS] = before


@njit(cache=True, nogil=True, error_model="numpy")
def settle(tree, up_cost, potential, top):
    """Depths and potentials below `top`, in preorder, from those of its parent: tree arcs get reduced cost 0."""
    node = top
    while True:
        parent = tree[node, PARENT]
        if parent >= 0:
            tree[node, DEPTH] = tree[parent, DEPTH] + 1
            potential[node] = up_cost[node] - potential[parent]
        if tree[node, CHILD] >= 0:
            node = tree[node, CHILD]
            continue
        while node != top and tree[node, NEXT] < 0:
            node = tree[node, PARENT]
        if node == top:
            return
        node = tree[node, NEXT]


@njit(cache=True, nogil=True, error_model="numpy")
def reroot(tree, up_cost, top, new_parent, cost, flow):
    """Hang the component that holds `top` under `new_parent`, turning the path from `top` to its old root around.

    With `new_parent` -1 `top` becomes the root itself.
    """
    node, parent = top, new_parent
    while True:
        old_parent, old_cost, old_flow = tree[node, PARENT], up_cost[node], tree[node, FLOW]
        if old_parent >= 0:
            unlink(tree, node)
        if parent >= 0:
            link(tree, node, parent)
        else:
            tree[node, PARENT] = -1
        up_cost[node] = cost
        tree[node, FLOW] = flow
        if old_parent < 0:
            return
        node, parent, cost, flow = old_parent, node, old_cost, old_flow


@njit(cache=True, nogil=True, error_model="numpy")
def greedy_start(tails, heads, costs, row_left, col_left, tree, up_cost):
    """Send all that is left along the arcs, one after the other; the arcs used form a forest.

    An arc with flow uses up its row, its column or both: the one used up is a leaf from then on and becomes the child.
    Modifies `row_left`, `col_left`, `tree` and `up_cost`.
    """
    n = row_left.shape[0]
    for e in range(costs.shape[0]):
        i, j = tails[e], heads[e]
        flow = min(row_left[i], col_left[j])
        if flow == 0:
            continue
        row_left[i] -= flow
        col_left[j] -= flow
        if row_left[i] == 0:
            link(tree, i, n + j)
            up_cost[i] = costs[e]
            tree[i, FLOW] = flow
        else:
            link(tree, n + j, i)
            up_cost[n + j] = costs[e]
            tree[n + j, FLOW] = flow


@njit(cache=True, nogil=True, error_model="numpy")
def connect(col_start, col_rows, col_costs, root_costs, tree, up_cost, root, reached, queue):
    """Join the trees of the forest to that of `root` by arcs without flow, found breadth first from its columns.

    `col_start`, `col_rows`, `col_costs` list candidate arcs by column. Each arc joins a row of a new tree (the child)
    to a reached column: strongly feasible. What no candidate reaches hangs at the root itself, for `root_costs[i]`.
    Modifies `tree` and `up_cost`, fills `reached` (bool), uses `queue`.
    """
    n = reached.shape[0] - (col_start.shape[0] - 1)
    filled = _enter(tree, root, reached, queue, 0)
    head = 0
    for candidate in range(n + 1):
        while head < filled:
            node = queue[head]
            head += 1
            if node >= n:
                for e in range(col_start[node - n], col_start[node - n + 1]):
                    i = col_rows[e]
                    if not reached[i]:
                        reroot(tree, up_cost, i, node, col_costs[e], 0)
                        filled = _enter(tree, i, reached, queue, filled)
        if candidate < n and not reached[candidate]:
            reroot(tree, up_cost, candidate, root, root_costs[candidate], 0)
            filled = _enter(tree, candidate, reached, queue, filled)


@njit(cache=True, nogil=True, error_model="numpy")
def _enter(tree, top, reached, queue, filled):
    """Append the nodes below `top` to the queue."""
    node = top
    while True:
        reached[node] = True
        queue[filled] = node
        filled += 1
        if tree[node, CHILD] >= 0:
            node = tree[node, CHILD]
            continue
        while node != top and tree[node, NEXT] < 0:
            node = tree[node, PARENT]
        if node == top:
            return filled
        node = tree[node, NEXT]


@njit(cache=True, nogil=True, error_model="numpy")
def pivots(start, heads, costs, tree, up_cost, potential, cursor, block, budget):
    """Up to `budget` pivots, where row i has the arcs start[i] : start[i + 1].

    Block search: rows are read from `cursor[0]` on until `block` arcs are seen, and the arc with the most negative
    reduced cost enters. Returns OPTIMAL when a whole round finds none, else WORKING. `cursor[1]` counts pivots.
    Modifies `tree`, `up_cost`, `potential` and `cursor`.
    """
    n = start.shape[0] - 1
    row = cursor[0]
    arcs = start[n]
    for _ in range(budget):
        # Entering arc.
        seen, since = 0, 0
        best, best_row, best_arc = 0.0, -1, -1
        while seen < arcs:
            f = potential[row]
            for e in range(start[row], start[row + 1]):
                reduced = costs[e] - f - potential[n + heads[e]]
                if reduced < best:
                    best, best_row, best_arc = reduced, row, e
            count = start[row + 1] - start[row]
            seen += count
            since += count
            row += 1
            if row == n:
                row = 0
            if since >= block:
                if best_arc >= 0:
                    break
                since = 0
        if best_arc < 0:
            cursor[0] = row
            return OPTIMAL
        cursor[1] += 1
        _pivot(tree, up_cost, potential, n, best_row, n + heads[best_arc], costs[best_arc])
    cursor[0] = row
    return WORKING


@njit(cache=True, nogil=True, error_model="numpy")
def _pivot(tree, up_cost, potential, n, i, j, cost):
    """Let the arc from row `i` to column `j` (a node) enter."""
    # The cycle closes at the lowest common ancestor. Flow falls at rows on the way up from i, at columns from j.
    flow = np.iinfo(np.int64).max
    leaving, from_row = -1, True
    u, v = i, j
    blocked_u, blocked_v = flow, flow
    out_u, out_v = -1, -1
    while u != v:
        if tree[u, DEPTH] >= tree[v, DEPTH]:
            if u < n and tree[u, FLOW] < blocked_u:
                blocked_u, out_u = tree[u, FLOW], u
            u = tree[u, PARENT]
        else:
            if v >= n and tree[v, FLOW] <= blocked_v:
                blocked_v, out_v = tree[v, FLOW], v
            v = tree[v, PARENT]
    apex = u
    # The last blocking arc along the cycle, which runs from the apex down to i, over the new arc, and up from j.
    if blocked_v <= blocked_u:
        flow, leaving, from_row = blocked_v, out_v, False
    else:
        flow, leaving = blocked_u, out_u
    if flow > 0:
        u = i
        while u != apex:
            tree[u, FLOW] += -flow if u < n else flow
            u = tree[u, PARENT]
        v = j
        while v != apex:
            tree[v, FLOW] += flow if v < n else -flow
            v = tree[v, PARENT]
    # Cut the tree below the leaving arc and hang that part at the new one: only the path down to `leaving` turns.
    top, new_parent = (i, j) if from_row else (j, i)
    unlink(tree, leaving)
    tree[leaving, PARENT] = -1
    reroot(tree, up_cost, top, new_parent, cost, flow)
    settle(tree, up_cost, potential, top)
