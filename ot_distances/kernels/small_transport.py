"""A small transportation problem in one compiled call: the network simplex with all arcs, its tree kept in order.

Masses go from columns, nodes n .. n + m - 1, to rows, nodes 0 .. n - 1. Each node but the root knows the flow on the
arc to its parent. The tree is strongly feasible (Cunningham, Mathematical Programming 1976): an arc without flow hangs
at a column, so that it points at the root. With the leaving arc chosen as the last one that blocks the cycle, this
excludes cycling, as sums of costs are exact.
"""

import numpy as np
from numba import njit

from .least import higher, lower

# Costs of a round of pivots: up to CAP times the worst violation, beyond which they cannot matter yet, and rounded to
# multiples of CAP * GRID * 2**-53 of it. A path of the tree has then room for 2**10 rows.
CAP, GRID = 2.0**10, 2.0**12

# The most violated of so many arcs of one row enters; so many are looked at together, as vector instructions.
BLOCK, RUN = 1024, 64

LINKS = 5  # rows of the workspace `links`
PARENT = 0  # the first of them, which is part of the result


@njit(cache=True, nogil=True, error_model="numpy")
def _least(row, there, limit):
    """The least of row - there, if below the limit, and its place, else -1: only runs with such are read one by one."""
    place = -1
    for begin in range(0, len(row), RUN):
        part, other, below = row[begin : begin + RUN], there[begin : begin + RUN], 0
        for s in range(len(part)):
            below += part[s] - other[s] < limit
        if below == 0:
            continue
        for s in range(len(part)):
            if part[s] - other[s] < limit:
                limit, place = part[s] - other[s], begin + s
    return limit, place


@njit(cache=True, nogil=True, error_model="numpy")
def transport(cost, planted, links, flow, potential, shift, reduced, noise, limit):
    """Find the optimal basis for `cost` (n, m), n <= m, finite, with n of at most 2**9 rows.

    `flow` (n + m,) holds the masses, none of them 0, the sums of rows and columns equal; `potential` (n + m,) row
    prices to start from. Fills `links` (LINKS, n + m) int64, of which links[PARENT] are the parents, -1 at the last
    node, the root; `flow` with the masses on the arcs to them, `potential` with f and g, under which these arcs have
    reduced cost 0. Uses `shift` (n + m,) and `reduced` (n, m). Reduced costs above -`noise` times their terms pass.
    Returns the number of pivots; where it is `limit`, go on by the same call, but `planted`.
    """
    n, m = cost.shape
    parent, depth, child, after, before = links[0], links[1], links[2], links[3], links[4]
    blocks = (m + BLOCK - 1) // BLOCK

    # Columns in turn send to the row that is cheapest for them, until one of both is done with, and hangs at the other.
    open_rows, count, root = depth, n, n + m - 1
    for node in range(0 if planted else n + m):
        parent[node] = child[node] = after[node] = before[node] = -1
    for i in range(n):
        open_rows[i] = i
    for column in range(n + m if planted else n, n + m):
        while parent[column] < 0 and count > 0:
            least, place = np.inf, 0
            for k in range(count):
                h = cost[open_rows[k], column - n] - potential[open_rows[k]]
                if h < least:
                    least, place = h, k
            node, above = open_rows[place], column
            if flow[node] <= flow[column]:
                count -= 1
                open_rows[place] = open_rows[count]
            else:
                node, above = column, node
            flow[above] -= flow[node]
            parent[node], after[node] = above, child[above]
            if child[above] >= 0:
                before[child[above]] = node
            child[above] = node

    previous, pivots = np.inf, 0
    while True:
        # Potentials of the tree, parents first
        node, size = root, 0.0
        depth[root], potential[root] = 0, 0.0
        while node >= 0:
            above = parent[node]
            if above >= 0:
                depth[node] = depth[above] + 1
                potential[node] = (cost[node, above - n] if node < n else cost[above, node - n]) - potential[above]
                size = higher(size, abs(potential[node]))
            shift[node] = 0.0
            if child[node] >= 0:
                node = child[node]
                continue
            while node >= 0 and after[node] < 0:
                node = parent[node]
            if node >= 0:
                node = after[node]
        worst = 0.0
        for i in range(n):
            for j in range(m):
                h = cost[i, j] - potential[i] - potential[n + j]
                reduced[i, j] = h
                worst = lower(worst, h)
        if -worst <= 2 * noise * size or -worst > previous / 2 or pivots == limit:
            return pivots
        # What is added takes the last digits of a reduced cost, all in one place
        previous, top = -worst, -worst * CAP
        digits = top * GRID
        for i in range(n):
            for j in range(m):
                reduced[i, j] = (lower(reduced[i, j], top) + digits) - digits
        for node in range(n + m):
            above = parent[node]
            if above >= 0 and node < n:
                reduced[node, above - n] = 0.0
            elif above >= 0:
                reduced[above, node - n] = 0.0

        # The most violated arc of each block of arcs enters, until none of any block is violated.
        at, idle = 0, 0
        while idle < n * blocks and pivots < limit:
            i, first = at // blocks, at % blocks * BLOCK
            row, there = reduced[i, first : first + BLOCK], shift[n + first :]
            least, place = _least(row, there, shift[i])
            at = at + 1 if at + 1 < n * blocks else 0
            idle += 1
            if place < 0:
                continue
            least, column = least - shift[i], n + first + place
            idle, pivots = 0, pivots + 1

            # The cycle runs from where both paths to the root meet down to the column, over the new arc, up from the
            # row. It can carry what the arcs against it do, and the last of those that are used up leaves.
            a, b = column, i
            most, most_up, leaving, leaving_up = 1 << 62, 1 << 62, -1, -1
            while a != b:
                if depth[a] >= depth[b]:
                    if a >= n and flow[a] < most:
                        most, leaving = flow[a], a
                    a = parent[a]
                else:
                    if b < n and flow[b] <= most_up:
                        most_up, leaving_up = flow[b], b
                    b = parent[b]
            top_node, above, step = column, i, -least
            if most_up <= most:
                most, leaving = most_up, leaving_up
                top_node, above, step = i, column, least
            if most > 0:
                apex, a, b = a, column, i
                while a != apex:
                    flow[a] += most if a < n else -most
                    a = parent[a]
                while b != apex:
                    flow[b] += -most if b < n else most
                    b = parent[b]

            # What the leaving arc cuts off is hung at the new arc, the path between them turned around.
            node, passed = top_node, -1
            while passed != leaving:
                up = parent[node]
                if before[node] >= 0:
                    after[before[node]] = after[node]
                else:
                    child[up] = after[node]
                if after[node] >= 0:
                    before[after[node]] = before[node]
                parent[node], before[node], after[node] = above, -1, child[above]
                if child[above] >= 0:
                    before[child[above]] = node
                child[above] = node
                most, flow[node] = flow[node], most
                passed, node, above = node, up, node

            # There potentials move, so that the new arc has reduced cost 0.
            node = top_node
            while True:
                depth[node] = depth[parent[node]] + 1
                shift[node] += step if node < n else -step
                if child[node] >= 0:
                    node = child[node]
                    continue
                while node != top_node and after[node] < 0:
                    node = parent[node]
                if node == top_node:
                    break
                node = after[node]
