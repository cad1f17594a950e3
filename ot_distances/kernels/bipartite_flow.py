"""Maximum flow from rows to columns along the pairs that a bit mask allows: phases of shortest paths (Dinic 1970).

A word of the mask holds 64 columns of a row, so that the columns not seen yet are found 64 at a time. Where all masses
are 1 this is the matching algorithm of Hopcroft and Karp (SIAM J. Comput. 1973). The arcs with flow are kept in one
list for each column.
"""

from __future__ import annotations

import numpy as np
from numba import njit

DONE, STUCK, WORKING, FULL = 0, 1, 2, 3

ONE = np.uint64(1)
WORD = 64


@njit(cache=True, nogil=True, error_model="numpy")
def lowest(word):
    """The place of the lowest bit that is set."""
    place, shift = 0, 32
    while shift > 0:
        if (word & ((ONE << np.uint64(shift)) - ONE)) == 0:
            word >>= np.uint64(shift)
            place += shift
        shift //= 2
    return place


@njit(cache=True, nogil=True, error_model="numpy")
def allow(near, rows, cols):
    """Set the bits of the listed pairs."""
    for e in range(rows.shape[0]):
        near[rows[e], cols[e] // WORD] |= ONE << np.uint64(cols[e] % WORD)


@njit(cache=True, nogil=True, error_model="numpy")
def _levels(near, row_left, col_left, first, arc_row, arc_next, arc_flow, row_level, unseen, col_level, queue):
    """Breadth first from the rows with mass left. Returns the level of the first columns with room, or -1."""
    n, words = near.shape
    m = col_left.shape[0]
    filled = 0
    for i in range(n):
        row_level[i] = -1
        if row_left[i] > 0:
            row_level[i] = 0
            queue[filled] = i
            filled += 1
    for w in range(words):
        unseen[w] = ~np.uint64(0)
    for j in range(m):
        col_level[j] = -1
    head, last = 0, -1
    while head < filled:
        i = queue[head]
        head += 1
        level = row_level[i]
        if last >= 0 and level > last:
            break
        for w in range(words):
            hit = near[i, w] & unseen[w]
            unseen[w] &= ~hit
            while hit != 0:
                j = w * WORD + lowest(hit)
                hit &= hit - ONE
                col_level[j] = level
                if col_left[j] > 0:
                    last = level
                e = first[j]
                while e >= 0:
                    k = arc_row[e]
                    if arc_flow[e] > 0 and row_level[k] < 0:
                        row_level[k] = level + 1
                        queue[filled] = k
                        filled += 1
                    e = arc_next[e]
    return last


@njit(cache=True, nogil=True, error_model="numpy")
def compact(first, arc_row, arc_next, arc_flow, count):
    """Drop the arcs without flow; returns how many are left."""
    owner = np.empty(count, np.intp)
    for j in range(first.shape[0]):
        e = first[j]
        while e >= 0:
            owner[e] = j
            e = arc_next[e]
        first[j] = -1
    kept = 0
    for e in range(count):
        if arc_flow[e] > 0:
            arc_row[kept], arc_flow[kept], arc_next[kept] = arc_row[e], arc_flow[e], first[owner[e]]
            first[owner[e]] = kept
            kept += 1
    return kept


@njit(cache=True, nogil=True, error_model="numpy")
def phase(
    near, row_left, col_left, first, arc_row, arc_next, arc_flow, count, row_level, unseen, col_level, queue, path
):
    """Send what can be sent along shortest paths. Returns DONE, STUCK, WORKING or FULL (more arcs are needed).

    Modifies `row_left`, `col_left`, the arcs and `count[0]`, their number. Where STUCK, `row_level` >= 0 marks the rows
    that what is left can reach, and `unseen` the columns that it cannot. Uses `col_level`, `queue` and `path`, (4, n).
    """
    n, words = near.shape
    count[0] = compact(first, arc_row, arc_next, arc_flow, count[0])
    last = _levels(near, row_left, col_left, first, arc_row, arc_next, arc_flow, row_level, unseen, col_level, queue)
    if last < 0:
        for i in range(n):
            if row_left[i] > 0:
                return STUCK
        return DONE
    open_cols = np.zeros((last + 1, words), np.uint64)
    at = first.copy()
    for j in range(col_level.shape[0]):
        if col_level[j] >= 0:
            open_cols[col_level[j], j // WORD] |= ONE << np.uint64(j % WORD)
    word, rows, cols, arcs = path[0], path[1], path[2], path[3]
    for i in range(n):
        word[i] = 0
    for source in range(n):
        while row_left[source] > 0:
            depth, rows[0] = 0, source
            found = False
            while depth >= 0:
                i, w = rows[depth], word[rows[depth]]
                while w < words and (near[i, w] & open_cols[depth, w]) == 0:
                    w += 1
                word[i] = w
                if w == words:  # nothing left from here: the arc that led here is of no use either
                    row_level[i] = -1
                    depth -= 1
                    continue
                j = w * WORD + lowest(near[i, w] & open_cols[depth, w])
                cols[depth] = j
                if col_left[j] > 0:
                    found = True
                    break
                e = at[j]
                while e >= 0 and (arc_flow[e] == 0 or row_level[arc_row[e]] != depth + 1):
                    e = arc_next[e]
                at[j] = e
                if e < 0 or depth == last:
                    open_cols[depth, w] &= ~(ONE << np.uint64(j % WORD))
                    continue
                arcs[depth] = e
                depth += 1
                rows[depth] = arc_row[e]
            if not found:
                break
            if count[0] + depth + 1 > arc_row.shape[0]:
                return FULL
            _augment(rows, cols, arcs, depth, row_left, col_left, first, arc_row, arc_next, arc_flow, count)
    return WORKING


@njit(cache=True, nogil=True, error_model="numpy")
def _augment(rows, cols, arcs, depth, row_left, col_left, first, arc_row, arc_next, arc_flow, count):
    """Send as much as fits along rows[0], cols[0], rows[1], ..., cols[depth]."""
    flow = min(row_left[rows[0]], col_left[cols[depth]])
    for k in range(depth):
        flow = min(flow, arc_flow[arcs[k]])
    row_left[rows[0]] -= flow
    col_left[cols[depth]] -= flow
    for k in range(depth):
        arc_flow[arcs[k]] -= flow
    for k in range(depth + 1):
        e = first[cols[k]]
        while e >= 0 and arc_row[e] != rows[k]:
            e = arc_next[e]
        if e < 0:
            e = count[0]
            count[0] += 1
            arc_row[e], arc_flow[e], arc_next[e] = rows[k], 0, first[cols[k]]
            first[cols[k]] = e
        arc_flow[e] += flow


@njit(cache=True, nogil=True, error_model="numpy")
def cancel_cycles(rows, cols, flow, n, m):
    """Move flow around the cycles of a plan until none is left: at most n + m - 1 entries stay above 0.

    The arcs seen so far form a forest of `parent` pointers; one that closes a cycle is emptied, or takes the place of
    one that is. Modifies `flow`.
    """
    parent, arc, mark = np.full(n + m, -1, np.intp), np.full(n + m, -1, np.intp), np.full(n + m, -1, np.intp)
    for e in range(rows.shape[0]):
        if flow[e] == 0:
            continue
        i, j = rows[e], n + cols[e]
        node = i
        while node >= 0:
            mark[node] = e
            node = parent[node]
        top = j
        while top >= 0 and mark[top] != e:
            top = parent[top]
        if top >= 0:
            # Less from i to j, more on the next arc along the path on either side, less on the one after it, ...
            least, where = flow[e], -1
            for side in range(2):
                node = i if side == 0 else j
                falls = False
                while node != top:
                    if falls and flow[arc[node]] < least:
                        least, where = flow[arc[node]], node
                    falls = not falls
                    node = parent[node]
            flow[e] -= least
            for side in range(2):
                node = i if side == 0 else j
                falls = False
                while node != top:
                    flow[arc[node]] += -least if falls else least
                    falls = not falls
                    node = parent[node]
            if where < 0:
                continue
            parent[where], arc[where] = -1, -1
            node = i  # the part that was cut off hangs at the new arc: turn it so that its end of that arc is its root
            while node >= 0 and node != where:
                node = parent[node]
            if node < 0:
                i, j = j, i
        node, above, by = i, j, e
        while node >= 0:
            parent[node], arc[node], node, above, by = above, by, parent[node], node, arc[node]
