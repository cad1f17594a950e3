"""Minimum cost perfect matching on a sparse bipartite graph: auction from given prices, then an exact finish.

The graph is held by rows (`indptr`, `cols`, `cost`) and by columns (`colptr`, `rows`, `arc`: where in the former an
entry stands). Duals are feasible when u_i + v_j <= c_ij on every arc; `row_match` and `col_match` hold -1 for free.
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def transpose(indptr, cols, colptr, rows, arc):
    """Fill the column view of the graph."""
    n, m = len(indptr) - 1, len(colptr) - 1
    colptr[:] = 0
    for e in range(indptr[n]):
        colptr[cols[e] + 1] += 1
    for j in range(m):
        colptr[j + 1] += colptr[j]
    for i in range(n):
        for e in range(indptr[i], indptr[i + 1]):
            t = colptr[cols[e]]
            rows[t], arc[t] = i, e
            colptr[cols[e]] += 1
    for j in range(m, 0, -1):
        colptr[j] = colptr[j - 1]
    colptr[0] = 0


@njit(cache=True, nogil=True, error_model="numpy")
def _bid(indptr, heads, cost, eps, limit, own, other, own_match, other_match, queue, queued, at, free, budget):
    """One side bids for the other: every bidder now free once, then on until one more pair is matched.

    A bidder takes the partner that is cheapest for it and pays up to its second choice plus eps. One whose second
    choice is dearer than its limit (where its list of partners ends) by more than eps leaves the queue unmatched.
    `at` is (first place, length) of the ring `queue`. Returns the number of free bidders and the bids made.
    """
    n = len(own_match)
    wanted, least, bids = free - 1, at[1], 0
    while at[1] > 0 and bids < budget and (bids < least or free > wanted):
        i = queue[at[0]]
        at[0] = at[0] + 1 if at[0] + 1 < n else 0
        at[1] -= 1
        queued[i] = False
        if own_match[i] >= 0:
            least -= 1
            continue
        best, second, j = np.inf, np.inf, -1
        for e in range(indptr[i], indptr[i + 1]):
            value = cost[e] - other[heads[e]]
            if value < second:
                if value < best:
                    best, second, j = value, best, heads[e]
                else:
                    second = value
        if second > limit[i] + eps[i] or j < 0:
            least -= 1
            continue
        if second == np.inf:
            second = best
        bids += 1
        own[i] = second + eps[i]
        other[j] -= (second - best) + eps[i]
        loser = other_match[j]
        own_match[i], other_match[j] = j, i
        if loser < 0:
            free -= 1
            continue
        own_match[loser] = -1
        if not queued[loser]:
            queued[loser] = True
            tail = at[0] + at[1]
            queue[tail if tail < n else tail - n] = loser
            at[1] += 1
    return free, bids


@njit(cache=True, nogil=True, error_model="numpy")
def _enqueue(match, queue, queued):
    """Put the free ones into the queue; returns their number."""
    free = 0
    for i in range(len(match)):
        if match[i] < 0:
            queue[free], queued[i] = i, True
            free += 1
    return free


@njit(cache=True, nogil=True, error_model="numpy")
def auction(by_row, by_col, row_eps, col_eps, row_limit, col_limit, u, v, row_match, col_match, budget):
    """Match rows and columns within eps of optimality, both sides bidding in turn.

    D. P. Bertsekas and D. A. Castanon, "A forward/reverse auction algorithm for asymmetric assignment problems",
    Computational Optimization and Applications 1, 1992. `by_row` and `by_col` are the graph from either side, as
    (indptr, heads, cost). It starts from the matching given: u_i + v_j <= c_ij + eps must hold, tight within eps where
    matched. Ends when all are matched or beyond their limits, or the bids are spent: call it again to go on.
    Modifies u, v and the matching. Returns (free rows, bids).
    """
    n = len(row_match)
    row_queue, col_queue = np.empty(n, np.intp), np.empty(n, np.intp)
    row_queued, col_queued = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    row_at, col_at = np.zeros(2, np.intp), np.zeros(2, np.intp)
    free, bids = _enqueue(row_match, row_queue, row_queued), 0
    row_at[1] = free
    col_at[1] = _enqueue(col_match, col_queue, col_queued)
    while free > 0 and bids < budget and row_at[1] + col_at[1] > 0:
        free, made = _bid(
            by_row[0], by_row[1], by_row[2], row_eps, row_limit, u, v, row_match, col_match, row_queue, row_queued,
            row_at, free, budget - bids,
        )  # fmt: skip
        bids += made
        free, made = _bid(
            by_col[0], by_col[1], by_col[2], col_eps, col_limit, v, u, col_match, row_match, col_queue, col_queued,
            col_at, free, budget - bids,
        )  # fmt: skip
        bids += made
    return free, bids


@njit(cache=True, nogil=True, error_model="numpy")
def take_tight(indptr, cols, cost, u, v, row_match, col_match, budget):
    """Augmenting row reduction: free rows bid without eps, a row with two equal choices waits if both are taken."""
    n = len(row_match)
    queue = np.empty(n, np.intp)
    head, waiting = 0, 0
    for i in range(n):
        if row_match[i] < 0:
            queue[waiting] = i
            waiting += 1
    while waiting > 0 and budget > 0:
        budget -= 1
        i = queue[head]
        head = head + 1 if head + 1 < n else 0
        waiting -= 1
        best, second, j, other = np.inf, np.inf, -1, -1
        for e in range(indptr[i], indptr[i + 1]):
            value = cost[e] - v[cols[e]]
            if value < second:
                if value < best:
                    best, second, j, other = value, best, cols[e], j
                else:
                    second, other = value, cols[e]
        if second == np.inf:
            continue
        if second <= best and col_match[j] >= 0:
            j = other
            if col_match[j] >= 0:
                continue
        v[j] -= second - best
        u[i] = second
        loser = col_match[j]
        row_match[i], col_match[j] = j, i
        if loser >= 0:
            row_match[loser] = -1
            tail = head + waiting
            queue[tail if tail < n else tail - n] = loser
            waiting += 1


@njit(cache=True, nogil=True, error_model="numpy")
def tighten(indptr, cols, cost, tolerance, u, v, row_match, col_match):
    """Make the duals feasible by u_i = min_j c_ij - v_j and free the pairs that are then not tight. Returns the free.

    A reduced cost counts as 0 up to `tolerance` times the size of its terms, here and below.
    """
    free = 0
    for i in range(len(row_match)):
        best, matched, size = np.inf, np.inf, 0.0
        for e in range(indptr[i], indptr[i + 1]):
            value = cost[e] - v[cols[e]]
            best = min(best, value)
            if cols[e] == row_match[i]:
                matched, size = value, abs(cost[e]) + abs(v[cols[e]])
        u[i] = best
        if row_match[i] >= 0 and matched - best > tolerance * (size + abs(best)):
            col_match[row_match[i]] = -1
            row_match[i] = -1
        free += row_match[i] < 0
    return free


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _is_tight(cost, u, v, tolerance):
    return cost - u - v <= tolerance * (abs(cost) + abs(u) + abs(v))


@njit(cache=True, nogil=True, error_model="numpy")
def match_tight(indptr, cols, cost, tolerance, u, v, row_match, col_match):
    """Maximum matching on the arcs of reduced cost <= tolerance, extending the given one. Returns the free rows.

    Depth first search with lookahead in phases, scanning backwards in every other one: A. Pothen and C.-J. Fan,
    "Computing the block triangular form of a sparse matrix", ACM TOMS 16, 1990.
    """
    n, m = len(row_match), len(col_match)
    ahead, at, seen = indptr[:-1].copy(), np.empty(n, np.intp), np.full(m, -1, np.intp)
    path, free = np.empty(n + 1, np.intp), np.empty(n, np.intp)
    count = 0
    for i in range(n):
        if row_match[i] < 0:
            free[count] = i
            count += 1
    phase, grown = 0, True
    while grown and count > 0:
        grown = False
        phase += 1
        step = 1 if phase & 1 else -1
        for i in range(n):
            at[i] = indptr[i] if step == 1 else indptr[i + 1] - 1
        left = 0
        for q in range(count):
            depth, found = 0, -1
            path[0] = free[q]
            while depth >= 0 and found < 0:
                i = path[depth]
                while ahead[i] < indptr[i + 1] and found < 0:
                    e = ahead[i]
                    ahead[i] += 1
                    if col_match[cols[e]] < 0 and _is_tight(cost[e], u[i], v[cols[e]], tolerance):
                        found = cols[e]
                if found >= 0:
                    break
                deeper = False
                while indptr[i] <= at[i] < indptr[i + 1] and not deeper:
                    e = at[i]
                    at[i] += step
                    j = cols[e]
                    if seen[j] != phase and col_match[j] >= 0 and _is_tight(cost[e], u[i], v[j], tolerance):
                        seen[j] = phase
                        path[depth + 1] = col_match[j]
                        deeper = True
                depth += 1 if deeper else -1
            if found < 0:
                free[left] = free[q]
                left += 1
                continue
            grown = True
            j = found
            while depth >= 0:
                i = path[depth]
                row_match[i], j = j, row_match[i]
                col_match[row_match[i]] = i
                depth -= 1
        count = left
    return count


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _push(keys, values, size, key, value):
    i = size
    while i > 0:
        parent = (i - 1) >> 1
        if keys[parent] <= key:
            break
        keys[i], values[i] = keys[parent], values[parent]
        i = parent
    keys[i], values[i] = key, value


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _pop(keys, values, size):
    """Remove the least key; `size` is the number of keys left after it."""
    key, value = keys[size], values[size]
    i, child = 0, 1
    while child < size:
        if child + 1 < size and keys[child + 1] < keys[child]:
            child += 1
        if keys[child] >= key:
            break
        keys[i], values[i] = keys[child], values[child]
        i, child = child, 2 * child + 1
    keys[i], values[i] = key, value


@njit(cache=True, nogil=True, error_model="numpy")
def _wider(held):
    """The same with room for twice as many."""
    wider = np.empty(2 * len(held), held.dtype)
    for t in range(len(held)):
        wider[t] = held[t]
    return wider


@njit(cache=True, nogil=True, error_model="numpy")
def shortest_paths(indptr, cols, cost, u, v, row_match, col_match, first, budget, distance, parent):
    """Augment along shortest paths from the free rows first ..., by Dijkstra on reduced costs, keeping duals feasible.

    `distance` (m,), all inf on entry and exit, and `parent` (m,) are workspaces. Returns the next row, the number of
    rows visited, and the number left without a path. Call again from the next row until it is n. A row without a path
    stays free: the graph is too thin.
    """
    n = len(row_match)
    capacity = 1024
    keys, values = np.empty(capacity), np.empty(capacity, np.intp)
    scanned, touched = np.empty(capacity, np.intp), np.empty(capacity, np.intp)
    visits, lost, row = 0, 0, first
    while row < n and visits < budget:
        if row_match[row] >= 0:
            row += 1
            continue
        size, count, reached, sink, base, i = 0, 0, 0, -1, 0.0, row
        while True:
            visits += 1
            for e in range(indptr[i], indptr[i + 1]):
                j = cols[e]
                length = base + max(cost[e] - u[i] - v[j], 0.0)
                if length < distance[j]:
                    if size + 1 >= capacity or reached + 1 >= capacity:
                        capacity *= 2
                        keys, values = _wider(keys), _wider(values)
                        scanned, touched = _wider(scanned), _wider(touched)
                    if distance[j] == np.inf:
                        touched[reached] = j
                        reached += 1
                    distance[j], parent[j] = length, i
                    _push(keys, values, size, length, j)
                    size += 1
            j = -1
            while size > 0:
                key, j = keys[0], values[0]
                size -= 1
                _pop(keys, values, size)
                if key == distance[j]:
                    break
                j = -1
            if j < 0:
                break
            base = key
            if col_match[j] < 0:
                sink = j
                break
            scanned[count] = j
            count += 1
            i = col_match[j]
        if sink < 0:
            lost += 1
        else:
            u[row] += base
            for t in range(count):
                j = scanned[t]
                v[j] -= base - distance[j]
                u[col_match[j]] += base - distance[j]
            j = sink
            while j >= 0:
                i = parent[j]
                col_match[j] = i
                row_match[i], j = j, row_match[i]
                if i == row:
                    break
        for t in range(reached):
            distance[touched[t]] = np.inf
        row += 1
    return row, visits, lost
