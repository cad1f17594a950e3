"""The exact end of an assignment: augmenting paths over the candidate lists of `auction`, none of them missed.

Edges of reduced cost 0 are matched first (Pothen and Fan 1990); then every free row searches for its nearest free
column (Dijkstra with a heap). A list ends at its bound, and so does what it says: a search that comes to the bound
reads the row again. No list is trusted beyond what it proves, and the result is optimal for the whole matrix.
"""

import numpy as np
from numba import njit

from .auction import LONGEST, refresh, scratch

# What `search` returns
DONE, RUNNING, INFEASIBLE, SPENT = 0, 1, 2, 3
# Slots of `state`
TARGET, SETTLED, POPS, READS = 0, 1, 2, 3
STATE_SLOTS = 4
# Columns that are looked at together before one by one
BLOCK = 64


@njit(cache=True, nogil=True, error_model="numpy")
def tighten(
    cost,
    sign,
    slack,
    u,
    v,
    col_of_row,
    row_of_col,
    taken,
    near,
    near_cost,
    length,
    bound,
    first,
    last,
):
    """u_i = least reduced cost of row i; a pair that is dearer than that by more than `slack` is parted.

    `taken` is a copy of `row_of_col`, so that threads at work on other rows do not change what this one does.
    Modifies u, col_of_row, row_of_col and the lists of the rows first..last.
    """
    low = np.empty(scratch(cost.shape[1]))
    for i in range(first, last):
        while True:
            best = np.inf
            for t in range(length[i]):
                h = sign * near_cost[i, t] - v[near[i, t]]
                best = h if h < best else best
            if best <= bound[i] and length[i] > 0:
                break
            length[i], bound[i] = refresh(cost[i], sign, v, taken, i, low, near[i], near_cost[i])
            if length[i] == 0:
                break
        u[i] = best
        j = col_of_row[i]
        if j >= 0 and sign * cost[i, j] - v[j] > best + slack:
            col_of_row[i] = -1
            row_of_col[j] = -1


@njit(cache=True, nogil=True, error_model="numpy")
def match_tight(
    cost,
    sign,
    slack,
    u,
    v,
    col_of_row,
    row_of_col,
    near,
    near_cost,
    length,
    bound,
    seen,
    look,
    place,
    path,
):
    """Match free rows along listed edges of reduced cost at most `slack`: depth first, with lookahead, in rounds.

    Where a list ends among equally good columns, the lookahead for a free one goes on in the matrix.

    Workspaces: `seen` (m,), `look`, `place` and `path` (n,). Returns the number of rows still free.
    """
    n, m = cost.shape
    look[:] = 0
    seen[:] = 0
    turn = 0
    while True:
        turn += 1
        place[:] = 0
        free, found = 0, 0
        for f in range(n):
            if col_of_row[f] >= 0:
                continue
            free += 1
            depth = 0
            path[0] = f
            while depth >= 0:
                i = path[depth]
                end = -1
                while look[i] < length[i]:
                    t = look[i]
                    look[i] += 1
                    j = near[i, t]
                    if row_of_col[j] < 0 and sign * near_cost[i, t] - v[j] <= u[i] + slack:
                        end = j
                        break
                if end < 0 and bound[i] <= u[i] + slack:
                    while look[i] < length[i] + m:
                        j = look[i] - length[i]
                        look[i] += 1
                        if row_of_col[j] < 0 and sign * cost[i, j] - v[j] <= u[i] + slack:
                            end = j
                            break
                if end >= 0:
                    while depth >= 0:
                        i = path[depth]
                        j = col_of_row[i]
                        col_of_row[i] = end
                        row_of_col[end] = i
                        end = j
                        depth -= 1
                    found += 1
                    free -= 1
                    break
                deeper = False
                while place[i] < length[i]:
                    t = place[i]
                    place[i] += 1
                    # every other round from the end of the lists: no row is always served last
                    t = t if turn & 1 else length[i] - 1 - t
                    j = near[i, t]
                    if seen[j] != turn and sign * near_cost[i, t] - v[j] <= u[i] + slack:
                        seen[j] = turn
                        depth += 1
                        path[depth] = row_of_col[j]
                        deeper = True
                        break
                if not deeper:
                    depth -= 1
        if found == 0 or free == 0:
            return free


@njit(cache=True, nogil=True, error_model="numpy")
def _raise(heap, where, key, item, size):
    """Put `item` on the heap, or move it up after its key fell. Returns the new size."""
    k = where[item]
    if k < 0:
        k = size
        size += 1
    x = key[item]
    while k > 0:
        parent = (k - 1) >> 1
        other = heap[parent]
        if key[other] <= x:
            break
        heap[k] = other
        where[other] = k
        k = parent
    heap[k] = item
    where[item] = k
    return size


@njit(cache=True, nogil=True, error_model="numpy")
def _drop_first(heap, where, key, size):
    """Take the first item off the heap. Returns the new size."""
    where[heap[0]] = -1
    size -= 1
    if size == 0:
        return size
    item = heap[size]
    x = key[item]
    k = 0
    while True:
        child = 2 * k + 1
        if child >= size:
            break
        if child + 1 < size and key[heap[child + 1]] < key[heap[child]]:
            child += 1
        other = heap[child]
        if key[other] >= x:
            break
        heap[k] = other
        where[other] = k
        k = child
    heap[k] = item
    where[item] = k
    return size


@njit(cache=True, nogil=True, error_model="numpy")
def search(
    cost, sign, u, v, col_of_row, row_of_col, near, near_cost, length, bound, key, where, heap, pred, settled, touched,
    read_in, state, most_pops, most_reads, work,
):  # fmt: skip
    """Give every free row its nearest free column, under feasible duals and tight pairs.

    Item j < m of the heap is a column at distance key[j], item m + i the place where the list of row i ends. `key`
    (m + n,) is inf, `where` (m + n,) and `read_in` (n,) -1 on entry and on return; `heap` (m + n,), `pred`, `settled`
    and `touched` (m,) are workspaces. Between two searches it returns RUNNING after about `work` entries read, and
    SPENT where `most_pops` columns were settled or `most_reads` rows read; duals are feasible then and pairs tight. On
    INFEASIBLE row state[TARGET] and the rows matched with settled[:state[SETTLED]] allow no other columns than these.
    """
    n, m = cost.shape
    low = np.empty(scratch(cost.shape[1]))
    reads, pops = state[READS], state[POPS]
    stop_reads = reads + work // m
    stop_pops = pops + work // LONGEST
    status = DONE
    f = state[TARGET]
    while f < n:
        if col_of_row[f] >= 0:
            f += 1
            continue
        if pops > most_pops or reads > most_reads:
            status = SPENT
            break
        if reads > stop_reads or pops > stop_pops:
            status = RUNNING
            break
        size, count, seen = 0, 0, 0
        sink, end = -1, np.inf
        i, reached = f, 0.0
        again = False  # row i is reached for the first time, or at the end of its list
        while True:
            base = (0.0 if i == f else key[col_of_row[i]]) - u[i]
            dense, tied = False, False
            if again:
                reads += 1
                # Read all of the row at a second time in one search, or if the list ends among columns that are as good
                # as the best: many may be, and a free one among them ends the search.
                tied = bound[i] <= u[i] and length[i] > 0
                dense = tied or read_in[i] == f
                if not dense:
                    old = bound[i]
                    length[i], bound[i] = refresh(
                        cost[i],
                        sign,
                        v,
                        row_of_col,
                        i + reads,
                        low,
                        near[i],
                        near_cost[i],
                    )
                    dense = bound[i] <= old
                read_in[i] = f
            listed = m if dense else length[i]
            for start in range(0, listed, BLOCK):
                stop = min(start + BLOCK, listed)
                if dense:
                    costs, prices, keys, hits = cost[i, start:stop], v[start:stop], key[start:stop], 0
                    for k in range(stop - start):  # without a branch: most columns are nearer already
                        x = base + (sign * costs[k] - prices[k])
                        hits += (x < keys[k]) & (x < end) & (reached < keys[k])
                    if hits == 0:
                        continue
                for t in range(start, stop):
                    j = t if dense else near[i, t]
                    x = base + (sign * (cost[i, t] if dense else near_cost[i, t]) - v[j])
                    x = x if x > reached else reached
                    if x < key[j] and x < end:
                        if key[j] == np.inf:
                            touched[seen] = j
                            seen += 1
                        key[j] = x
                        pred[j] = i
                        if row_of_col[j] < 0:
                            end = x
                            sink = j
                        else:
                            size = _raise(heap, where, key, j, size)
                if end <= reached:
                    break
            if tied and end > reached:
                reads += 1
                length[i], bound[i] = refresh(cost[i], sign, v, row_of_col, i + reads, low, near[i], near_cost[i])
            if not dense:
                x = base + bound[i]
                if x < end:
                    key[m + i] = x if x > reached else reached
                    size = _raise(heap, where, key, m + i, size)
            if size == 0 or key[heap[0]] >= end:
                break
            item = heap[0]
            size = _drop_first(heap, where, key, size)
            reached = key[item]
            again = item >= m
            if again:
                i = item - m
            else:
                settled[count] = item
                count += 1
                pops += 1
                i = row_of_col[item]
        if sink < 0:
            state[SETTLED] = count
            status = INFEASIBLE
            break
        for k in range(size):
            where[heap[k]] = -1
        u[f] += end
        for k in range(count):
            j = settled[k]
            v[j] -= end - key[j]
            u[row_of_col[j]] += end - key[j]
        for k in range(seen):
            key[touched[k]] = np.inf
        j = sink
        while True:
            i = pred[j]
            row_of_col[j] = i
            previous = col_of_row[i]
            col_of_row[i] = j
            if i == f:
                break
            j = previous
        f += 1
    state[TARGET], state[POPS], state[READS] = f, pops, reads
    return status
