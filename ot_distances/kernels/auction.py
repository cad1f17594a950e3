"""Auction on candidate lists (Bertsekas 1988) for the assignment problem with a dense cost matrix.

A row keeps its cheapest columns under the prices of the moment, and a bound: every column that is not in its list
has a reduced cost sign * c_ij - v_j of at least that. Prices v only ever fall, so reduced costs only rise and the
bound stays true: a bid that is decided below it is the bid that a scan of the whole row would make. Only otherwise
is the row read again.

A row is reduced to 64 running minima, one for every residue of the column index modulo 64: that loop has no branches
and becomes vector instructions.
"""

import numpy as np
from numba import njit

LANES, CHUNK = 64, 512
# A list aims at FEWEST..USUAL columns and never holds more than LONGEST: enough that most bids find their second
# choice in it, few enough that a bid is cheap.
FEWEST, USUAL, LONGEST = 16, 28, 48

# What `bid` returns
DONE, RUNNING, SPENT, STUCK = 0, 1, 2, 3
# Slots of `state`
HEAD, QUEUED, BIDS, READS = 0, 1, 2, 3
STATE_SLOTS = 4


@njit(cache=True, nogil=True, error_model="numpy")
def column_sums(cost, first, last, sums, counts):
    """Add up the finite entries of cost[first:last], and their numbers, by columns."""
    for i in range(first, last):
        row = cost[i]
        for j in range(row.shape[0]):
            c = np.float64(row[j])
            finite = abs(c) < np.inf
            sums[j] += c if finite else 0.0
            counts[j] += 1.0 if finite else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def scratch(m):
    """The size of the workspace `low` of `refresh`."""
    return 2 * LANES * (m // CHUNK + 2)


@njit(cache=True, nogil=True, error_model="numpy")
def lane_minima(row, sign, v, low):
    """Least sign * row[j] - v[j]: low[k] of all j = k modulo 64, low[64 (c + 1) + k] of those with j // 512 = c.

    `low` needs room for 64 (m // 512 + 2) numbers.
    """
    m = row.shape[0]
    whole = m // CHUNK * CHUNK
    for k in range(LANES):
        low[k] = np.inf
    at = LANES
    for start in range(0, whole, CHUNK):
        for k in range(LANES):
            h = sign * row[start + k] - v[start + k]
            other = sign * row[start + 64 + k] - v[start + 64 + k]
            low[at + k] = other if other < h else h
        for begin in (128, 256, 384):  # no more than two streams at a time, or the processor does not fetch them ahead
            for k in range(LANES):
                j = start + begin + k
                h = sign * row[j] - v[j]
                other = sign * row[j + 64] - v[j + 64]
                h = other if other < h else h
                low[at + k] = h if h < low[at + k] else low[at + k]
        for k in range(LANES):
            low[k] = low[at + k] if low[at + k] < low[k] else low[k]
        at += LANES
    for k in range(LANES):
        low[at + k] = np.inf
    rest, rest_v = row[whole:], v[whole:]  # as arrays of their own: indices from 0, which become vectors
    for start in range(0, (m - whole) // LANES * LANES, LANES):
        for k in range(LANES):
            h = sign * rest[start + k] - rest_v[start + k]
            low[at + k] = h if h < low[at + k] else low[at + k]
    last = m // LANES * LANES
    rest, rest_v, low_rest = row[last:], v[last:], low[at:]
    for k in range(m - last):
        h = sign * rest[k] - rest_v[k]
        low_rest[k] = h if h < low_rest[k] else low_rest[k]
    for k in range(LANES):
        low[k] = low[at + k] if low[at + k] < low[k] else low[k]


@njit(cache=True, nogil=True, error_model="numpy")
def _threshold(low, fewest, usual):
    """A value that between `fewest` and `usual` of the minima do not exceed, or the nearest above where ties forbid."""
    below, above = -np.inf, np.inf
    for k in range(LANES):
        pivot = low[k]
        if below < pivot and pivot < above:
            count = 0
            for t in range(LANES):
                count += low[t] <= pivot
            if count < fewest:
                below = pivot
            else:
                above = pivot
                if count <= usual:
                    break
    return above


@njit(cache=True, nogil=True, error_model="numpy")
def refresh(row, sign, v, row_of_col, turn, low, near, near_cost):
    """Read a row anew: fill its list `near`, `near_cost`. Returns the length of the list and the bound.

    Where many columns are equally good, the list takes free ones first, and from lane `turn` on, so that rows that are
    all alike do not all list the same ones.
    """
    m = row.shape[0]
    ends = LANES * (m // CHUNK + 2)
    blocks = low[ends:]
    lane_minima(row, sign, v, low)
    fewest, usual = FEWEST, USUAL
    while True:
        limit = _threshold(low, fewest, usual)
        found = 0
        for k in range(LANES):
            if low[k] < limit:
                for at in range(LANES + k, ends, LANES):  # without a branch that nobody can foresee, here and below
                    blocks[found] = at
                    found += low[at] < limit
        count = 0
        for t in range(found):
            at = int(blocks[t])
            start = CHUNK * (at // LANES - 1) + at % LANES
            if start + CHUNK <= m and count < LONGEST - CHUNK // LANES:
                for j in range(start, start + CHUNK, LANES):
                    near[count] = j
                    near_cost[count] = row[j]
                    count += sign * row[j] - v[j] < limit
                continue
            for j in range(start, min(m, start + CHUNK), LANES):
                if sign * row[j] - v[j] < limit:
                    if count < LONGEST:
                        near[count] = j
                        near_cost[count] = row[j]
                    count += 1
        if count <= LONGEST:
            break
        # The good columns share few lanes. At fewest = 1 the limit is the minimum itself, and nothing is below that.
        fewest, usual = fewest // 2, usual // 2
    for wanted in range(2 if limit < np.inf else 0):
        for t in range(LANES):
            k = (t + turn) % LANES
            if low[k] == limit:
                for at in range(LANES + k, ends, LANES):
                    if low[at] == limit:
                        start = CHUNK * (at // LANES - 1) + k
                        for j in range(start, min(m, start + CHUNK), LANES):
                            free = row_of_col[j] < 0
                            if count < LONGEST and free == (wanted == 0) and sign * row[j] - v[j] == limit:
                                near[count] = j
                                near_cost[count] = row[j]
                                count += 1
    return count, limit


@njit(cache=True, nogil=True, error_model="numpy")
def refresh_rows(cost, sign, v, row_of_col, rows, first, last, near, near_cost, length, bound):
    """`refresh` for rows[first:last]."""
    low = np.empty(scratch(cost.shape[1]))
    for k in range(first, last):
        i = rows[k]
        length[i], bound[i] = refresh(cost[i], sign, v, row_of_col, i, low, near[i], near_cost[i])


@njit(cache=True, nogil=True, error_model="numpy")
def undecided(sign, v, near, near_cost, length, bound, queue, head, ahead, rows):
    """Put those of the first `ahead` rows of the ring `queue` into `rows` whose lists decide no bid any more."""
    count = 0
    for k in range(ahead):
        i = queue[(head + k) % queue.shape[0]]
        within = 0
        for t in range(length[i]):
            within += sign * near_cost[i, t] - v[near[i, t]] <= bound[i]
        if within < 2:
            rows[count] = i
            count += 1
    return count


@njit(cache=True, nogil=True, error_model="numpy")
def bid(
    cost,
    sign,
    v,
    eps,
    spread,
    col_of_row,
    row_of_col,
    near,
    near_cost,
    length,
    bound,
    queue,
    state,
    stop,
    most,
    work,
):
    """One phase of the auction: free rows bid in turn until at most `stop` of them are left.

    A row takes its best column and lowers the price there to where the second best is as good, and by eps more. At
    eps = 0 a row whose equally good columns are all taken gives up. `queue` is a ring of the free rows;
    `spread` is bid where a row has no second choice. Ends with SPENT after `most` bids, with STUCK if a row may take
    no column at all (queue[state[HEAD]]), with RUNNING after about `work` entries read: call again.

    Modifies v, col_of_row, row_of_col, the lists, queue and state.
    """
    n, m = cost.shape
    low = np.empty(scratch(m))
    head, queued, bids, reads = state[HEAD], state[QUEUED], state[BIDS], 0
    status = DONE
    while queued > stop:
        if bids >= most:
            status = SPENT
            break
        if reads * m + bids - state[BIDS] > work:
            status = RUNNING
            break
        i = queue[head]
        cols = near[i]
        costs = near_cost[i]
        while True:
            best, second, col = np.inf, np.inf, -1
            for t in range(length[i]):
                h = sign * costs[t] - v[cols[t]]
                if h < second:
                    if h < best:
                        second = best
                        best = h
                        col = cols[t]
                    else:
                        second = h
            if second <= bound[i] and col >= 0:
                break
            length[i], bound[i] = refresh(cost[i], sign, v, row_of_col, i + bids, low, cols, costs)
            reads += 1
            if length[i] == 0:
                state[HEAD], state[QUEUED], state[BIDS] = head, queued, bids
                state[READS] += reads
                return STUCK
        bids += 1
        head = head + 1 if head + 1 < n else 0
        queued -= 1
        if second == best and row_of_col[col] >= 0:
            for t in range(length[i]):
                if row_of_col[cols[t]] < 0 and sign * costs[t] - v[cols[t]] == best:
                    col = cols[t]
                    break
            if eps == 0 and row_of_col[col] >= 0:
                continue
        holder = row_of_col[col]
        if holder >= 0:
            col_of_row[holder] = -1
            tail = head + queued
            queue[tail if tail < n else tail - n] = holder
            queued += 1
        v[col] -= (second - best if second < np.inf else spread) + eps
        row_of_col[col] = i
        col_of_row[i] = col
    state[HEAD], state[QUEUED], state[BIDS] = head, queued, bids
    state[READS] += reads
    return status
