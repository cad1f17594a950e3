"""Dense assignment by shortest augmenting paths (Jonker and Volgenant 1987), square or rectangular.

Costs are read in the precision in which they are stored and added up in float64. A row is reduced to 32 running
minima, one for every residue of the column index modulo 32: that loop has no branches and becomes vector
instructions, where a search for the position of the minimum would not. The work is done in slices, so that the
caller can stop between them.
"""

import numpy as np
from numba import njit

from .least import higher, lower, two_least

LANES = 32
FOLD = LANES // 4  # of them at a time are folded to one
LINE = 8  # numbers in a line of the cache: searches take a fifth longer where vectors of the workspace lie across two
HUGE = 1 << 60

# What `augment` returns
DONE, RUNNING, INFEASIBLE, SPENT = 0, 1, 2, 3
# Slots of `state`
PHASE, QUEUED, BIDDEN, TARGET, CURRENT, SETTLED, SCANS = 0, 1, 2, 3, 4, 5, 6
STATE_SLOTS = 7
# Values of state[PHASE]
STARTING, BIDDING, SEARCHING = 0, 1, 2


@njit(cache=True, nogil=True, error_model="numpy")
def augment(cost, sign, square, u, v, col_of_row, row_of_col, reals, whole_numbers, state, max_bids, budget, work):
    """Match every row of `cost` (n, m), n <= m, at least total `sign * cost`, reading about `work` entries in a call.

    On the first call state[PHASE] is STARTING; or BIDDING, with `v` feasible prices (column minima where n = m, zeros
    where n < m), whole_numbers[0, :state[QUEUED]] the rows, the last to bid first, the other slots of `state` 0, u = 0,
    `col_of_row` and `row_of_col` -1. Call it again while it returns RUNNING, with all arrays left alone; `reals`
    (5, max(m, 32)) and `whole_numbers` (2, m) are workspaces. After `max_bids` bids or `budget` rows read it goes on to
    the next phase or returns SPENT: the duals are feasible then, and the matched pairs tight.

    Columns beyond the first n of a `square` problem must be forbidden to all rows: they fill the width up to a multiple
    of 32, which is faster.

    Modifies every array but `cost`. On DONE: u_i + v_j <= sign * cost_ij, with equality on matched pairs, to rounding;
    if bids were enough (SCANS = BIDDEN), u_i is no greater than any rounded difference of its row. On INFEASIBLE the
    rows matched with the columns whole_numbers[1, :state[SETTLED]], and row state[TARGET], allow no others; or, if
    that is negative, no row allows column -1 - state[TARGET].
    """
    n, m = cost.shape
    long, whole = m // (4 * LANES) * (4 * LANES), m // LANES * LANES
    dist = reals[0]
    open_v = reals[1]
    # The last columns as arrays of their own: indices from 0, which become vector instructions
    v_rest, v_tail, dist_rest, open_rest = v[long:], v[whole:], dist[whole:], open_v[whole:]
    settled_dist = reals[2]
    low = reals[3]
    next_low = reals[4]
    queue = whole_numbers[0]
    settled = whole_numbers[1]
    stop = state[SCANS] + work // m + 1

    if state[PHASE] == STARTING:
        for j in range(m):
            v[j] = np.inf if square and j < n else 0.0
            row_of_col[j] = -1
        for i in range(n):
            u[i] = 0.0
            col_of_row[i] = -1
            queue[i] = n - 1 - i
            if square:
                row = cost[i]
                for j in range(n):
                    c = sign * row[j]
                    v[j] = lower(v[j], c)
        for j in range(m):
            if v[j] == np.inf:  # no row may take this column, so n rows have n - 1 columns
                state[TARGET], state[SETTLED] = -1 - j, 0
                return INFEASIBLE
        state[QUEUED] = n
        state[PHASE] = BIDDING

    # Augmenting row reduction: a row takes its best column and lowers v there until its second best is as good;
    # the row that held the column bids again. This may go on for long (a price war), hence the bound.
    queued = state[QUEUED]
    while state[PHASE] == BIDDING:
        if queued == 0 or state[BIDDEN] >= max_bids:
            state[PHASE] = SEARCHING
            state[TARGET] = 0
            state[CURRENT] = -1
            for k in range(queued):
                i = queue[k]
                u[i] = np.inf
                for j in range(m):
                    h = sign * cost[i, j] - v[j]
                    u[i] = lower(u[i], h)
            break
        if state[SCANS] >= stop:
            state[QUEUED] = queued
            return RUNNING
        queued -= 1
        i = queue[queued]
        state[SCANS] += 1
        state[BIDDEN] += 1
        row = cost[i]
        for k in range(LANES):
            low[k] = np.inf
            next_low[k] = np.inf
        # Four blocks at a time, whose two least are the winners of a tournament.
        for start in range(0, long, 4 * LANES):
            for k in range(LANES):
                j = start + k
                a, b = sign * row[j] - v[j], sign * row[j + LANES] - v[j + LANES]
                c, d = sign * row[j + 2 * LANES] - v[j + 2 * LANES], sign * row[j + 3 * LANES] - v[j + 3 * LANES]
                h, worse = two_least(a, b, c, d)
                next_low[k] = lower(next_low[k], lower(worse, higher(low[k], h)))
                low[k] = lower(low[k], h)
        row_rest = row[long:]
        for start in range(0, whole - long, LANES):
            for k in range(LANES):
                h = sign * row_rest[start + k] - v_rest[start + k]
                next_low[k] = lower(next_low[k], higher(low[k], h))
                low[k] = lower(low[k], h)
        if whole < m:
            row_tail = row[whole:]
            for k in range(m - whole):
                h = sign * row_tail[k] - v_tail[k]
                next_low[k] = lower(next_low[k], higher(low[k], h))
                low[k] = lower(low[k], h)
        fold, next_fold = dist, open_v  # not in use before the search
        for k in range(FOLD):  # the two least of four lanes, as vectors, then of all
            fold[k], worse = two_least(low[k], low[k + FOLD], low[k + 2 * FOLD], low[k + 3 * FOLD])
            a, b = lower(next_low[k], next_low[k + FOLD]), lower(next_low[k + 2 * FOLD], next_low[k + 3 * FOLD])
            next_fold[k] = lower(worse, lower(a, b))
        least, lane, second = np.inf, -1, np.inf
        for k in range(FOLD):
            second = lower(second, lower(higher(least, fold[k]), next_fold[k]))
            least = lower(least, fold[k])
        if least == np.inf:
            state[TARGET], state[SETTLED] = i, 0
            return INFEASIBLE
        for k in range(LANES):
            lane = k if low[k] == least else lane
        u[i] = least
        if second == np.inf:
            continue  # the only column that this row may take: no finite bid tells its worth, the search will
        col = -1
        if least < second:
            for j in range(lane, m, LANES):
                if sign * row[j] - v[j] == least:
                    col = j
                    break
            v[col] -= second - least
            u[i] = second
        else:
            # Many columns are equally good: one that is free, or leave the row to the search
            for k in range(LANES):
                if low[k] == least:
                    for j in range(k, m, LANES):
                        if row_of_col[j] < 0 and sign * row[j] - v[j] == least:
                            col = j
                            break
                    if col >= 0:
                        break
            if col < 0:
                continue
        holder = row_of_col[col]
        col_of_row[i] = col
        row_of_col[col] = i
        if holder >= 0:
            col_of_row[holder] = -1
            queue[queued] = holder
            queued += 1

    # One search for every free row: Dijkstra's over alternating paths, to the nearest free column. A settled column
    # has open_v = -inf, so that its distance stays inf. Predecessors are not stored: they are found again afterwards
    # from the distances, for the few columns on the path.
    f = state[TARGET]
    while f < n:
        if col_of_row[f] >= 0:
            f += 1
            continue
        state[TARGET] = f
        i = state[CURRENT]
        count = state[SETTLED]
        if i < 0:
            i = f
            count = 0
            for j in range(m):
                dist[j] = np.inf
                open_v[j] = v[j]
        reached = settled_dist[count - 1] if count > 0 else 0.0
        sink = -1
        while sink < 0:
            if state[SCANS] >= stop or state[SCANS] >= budget:
                state[CURRENT], state[SETTLED] = i, count
                return SPENT if state[SCANS] >= budget else RUNNING
            state[SCANS] += 1
            row = cost[i]
            base = reached - u[i]
            for k in range(LANES):
                low[k] = np.inf
            for start in range(0, whole, LANES):
                for k in range(LANES):
                    j = start + k
                    x = base + (sign * row[j] - open_v[j])
                    x = lower(dist[j], x)
                    dist[j] = x
                    low[k] = lower(low[k], x)
            row_rest = row[whole:]
            for k in range(m - whole):
                x = base + (sign * row_rest[k] - open_rest[k])
                x = lower(dist_rest[k], x)
                dist_rest[k] = x
                low[k] = lower(low[k], x)
            for k in range(FOLD):
                next_low[k] = lower(lower(low[k], low[k + FOLD]), lower(low[k + 2 * FOLD], low[k + 3 * FOLD]))
            reached = np.inf
            for k in range(FOLD):
                reached = lower(reached, next_low[k])
            if reached == np.inf:
                state[SETTLED] = count
                return INFEASIBLE
            lane, ties, free = -1, 0, 0
            for k in range(LANES):
                if low[k] == reached:
                    lane = k
                    ties += 1
            if ties > 1:
                for j in range(m):
                    free += (dist[j] == reached) & (row_of_col[j] < 0)
            taken = lane
            while dist[taken] != reached:
                taken += LANES
            if free > 0:
                taken = 0
                while dist[taken] != reached or row_of_col[taken] >= 0:
                    taken += 1
            if row_of_col[taken] < 0:
                sink = taken
            if sink < 0:
                settled[count] = taken
                settled_dist[count] = reached
                count += 1
                dist[taken] = np.inf
                open_v[taken] = -np.inf
                i = row_of_col[taken]
        # Flip the path: the row that gave column j its distance is f, or the row of a column settled before j.
        # Looking backwards, all steps together look at every settled column once.
        j, d, before, i = sink, reached, count, -1
        while i != f:
            i = f
            for k in range(before - 1, -1, -1):
                r = row_of_col[settled[k]]
                if settled_dist[k] - u[r] + (sign * cost[r, j] - v[j]) == d:
                    i, d, before = r, settled_dist[k], k
                    break
            j, col_of_row[i] = col_of_row[i], j
        u[f] += reached
        for k in range(count):
            r = row_of_col[settled[k]]
            gain = reached - settled_dist[k]
            v[settled[k]] -= gain
            u[r] += gain
            queue[k] = r
        row_of_col[col_of_row[f]] = f
        for k in range(count):
            row_of_col[col_of_row[queue[k]]] = queue[k]
        state[CURRENT], state[SETTLED] = -1, 0
        f += 1
    for i in range(n):  # tight; and no more than was least when the row bid, since prices have only fallen
        u[i] = lower(
            u[i] if state[SCANS] == state[BIDDEN] else np.inf, sign * cost[i, col_of_row[i]] - v[col_of_row[i]]
        )
    return DONE
