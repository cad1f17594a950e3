"""One pass over a dense cost matrix before it is solved: its range, what is not a number, and where it is cheapest."""

import numpy as np
from numba import njit

LANES = 32


@njit(cache=True, nogil=True, error_model="numpy")
def transpose(cost, turned):
    """turned[j, i] = cost[i, j]: eight rows at a time, whose entries fill lines of the cache."""
    n, m = cost.shape
    for first in range(0, n, 8):
        last = min(n, first + 8)
        for j in range(m):
            for i in range(first, last):
                turned[j, i] = cost[i, j]


@njit(cache=True, nogil=True, error_model="numpy")
def columns(cost, sign, first, last, least, greatest, total):
    """Least, greatest finite entry and sum of sign * cost[first:last] by columns, added to what the (m,) hold already.

    A nan shows in the sum alone.
    """
    m = cost.shape[1]
    i = first
    while i + 4 <= last:  # four rows at a time: the three arrays are read and written once for them
        r0, r1, r2, r3 = cost[i], cost[i + 1], cost[i + 2], cost[i + 3]
        for j in range(m):
            a, b, c, d = sign * r0[j], sign * r1[j], sign * r2[j], sign * r3[j]
            total[j] += (a + b) + (c + d)
            low = a if a < b else b
            other = c if c < d else d
            low = low if low < other else other
            a, b = a if a < np.inf else -np.inf, b if b < np.inf else -np.inf
            c, d = c if c < np.inf else -np.inf, d if d < np.inf else -np.inf
            high = a if a > b else b
            other = c if c > d else d
            high = high if high > other else other
            least[j] = low if low < least[j] else least[j]
            greatest[j] = high if high > greatest[j] else greatest[j]
        i += 4
    for k in range(i, last):
        row = cost[k]
        for j in range(m):
            a = sign * row[j]
            total[j] += a
            least[j] = a if a < least[j] else least[j]
            greatest[j] = a if greatest[j] < a < np.inf else greatest[j]


@njit(cache=True, nogil=True, error_model="numpy")
def rows(cost, sign, first, last, choice, least, second, greatest, total):
    """The two least of sign * cost in each of the rows first .. last - 1, and the column of the least (-1: none).

    Greatest finite entry and sum are taken over 32 residues of the column index, for all rows together.
    """
    m = cost.shape[1]
    long, whole = m // (4 * LANES) * (4 * LANES), m // LANES * LANES
    low, next_low = np.empty(LANES), np.empty(LANES)
    for i in range(first, last):
        row = cost[i]
        for k in range(LANES):
            low[k] = np.inf
            next_low[k] = np.inf
        for start in range(0, long, 4 * LANES):
            for k in range(LANES):
                j = start + k
                a, b = sign * row[j], sign * row[j + LANES]
                c, d = sign * row[j + 2 * LANES], sign * row[j + 3 * LANES]
                total[k] += (a + b) + (c + d)
                low_1, high_1 = (a, b) if a < b else (b, a)
                low_2, high_2 = (c, d) if c < d else (d, c)
                high = high_1 if low_2 < high_1 < np.inf else low_2
                high = high_2 if high < high_2 < np.inf else high
                high = low_1 if high < low_1 < np.inf else high
                greatest[k] = high if greatest[k] < high < np.inf else greatest[k]
                worse = high_1 if high_1 < high_2 else high_2
                least_2, other = (low_1, low_2) if low_1 < low_2 else (low_2, low_1)
                worse = other if other < worse else worse
                other = low[k] if least_2 < low[k] else least_2
                low[k] = least_2 if least_2 < low[k] else low[k]
                worse = other if other < worse else worse
                next_low[k] = worse if worse < next_low[k] else next_low[k]
        rest = row[long:]  # as an array of its own: indices from 0, which become vectors
        for start in range(0, whole - long, LANES):
            for k in range(LANES):
                h = sign * rest[start + k]
                total[k] += h
                greatest[k] = h if greatest[k] < h < np.inf else greatest[k]
                worse = low[k] if h < low[k] else h
                low[k] = h if h < low[k] else low[k]
                next_low[k] = worse if worse < next_low[k] else next_low[k]
        rest = row[whole:]
        for k in range(m - whole):
            h = sign * rest[k]
            total[k] += h
            greatest[k] = h if greatest[k] < h < np.inf else greatest[k]
            worse = low[k] if h < low[k] else h
            low[k] = h if h < low[k] else low[k]
            next_low[k] = worse if worse < next_low[k] else next_low[k]
        best, lane, after = np.inf, -1, np.inf
        for k in range(LANES):
            if low[k] < best:
                after = best
                best = low[k]
                lane = k
            elif low[k] < after:
                after = low[k]
        choice[i] = -1
        if lane >= 0:
            after = next_low[lane] if next_low[lane] < after else after
            j = lane
            while sign * row[j] != best:
                j += LANES
            choice[i] = j
        least[i], second[i] = best, after


@njit(cache=True, nogil=True, error_model="numpy")
def cheapest(cost, sign, least, first, last, near, near_cost, length):
    """List the columns j with sign * cost[i, j] <= least[j], for the rows first .. last - 1, as many as fit.

    Rows begin at different columns, so that rows that are alike do not list the same ones.
    """
    m = cost.shape[1]
    blocks, most = m // 64 + 1, near.shape[1]
    found = np.empty(64, np.intp)
    for i in range(first, last):
        row = cost[i]
        count = 0
        for b in range(i, i + blocks):
            start = b % blocks * 64
            block, bar = row[start : start + 64], least[start : start + 64]
            if block.shape[0] == 64:
                hits = 0
                for k in range(64):
                    hits += sign * block[k] <= bar[k]
                if hits == 0:
                    continue
            hits = 0
            for k in range(block.shape[0]):  # without a branch that nobody can foresee
                found[hits] = k
                hits += sign * block[k] <= bar[k]
            t = i // blocks % max(hits, 1)
            for _ in range(min(hits, most - count)):
                k = found[t]
                t = t + 1 if t + 1 < hits else 0
                near[i, count] = start + k
                near_cost[i, count] = block[k]
                count += 1
            if count == most:
                break
        length[i] = count


@njit(cache=True, nogil=True, error_model="numpy")
def monge(cost, sign):
    """1 where sign * cost is a Monge array, c_ij + c_kl <= c_il + c_kj for i < k and j < l; -1 where >= holds; else 0.

    Neighbours i, i + 1 and j, j + 1 are enough. Most matrices are through after one row.
    """
    n, m = cost.shape
    rising, falling = True, True
    for i in range(n - 1):
        above, below = cost[i], cost[i + 1]
        up, down = 0, 0
        for j in range(m - 1):
            bend = sign * ((np.float64(above[j + 1]) - above[j]) - (np.float64(below[j + 1]) - below[j]))
            up += not bend >= 0
            down += not bend <= 0
        rising, falling = rising and up == 0, falling and down == 0
        if not rising and not falling:
            return 0
    return 1 if rising else -1


@njit(cache=True, nogil=True, error_model="numpy")
def first_bids(choice, least, second, u, v, col_of_row, row_of_col, queue):
    """Every row bids once, from v = 0, for the column that is least in it: see shortest_path.augment.

    `second` is taken for the second choice, though that may have become dearer: the bid is then smaller than it might
    be. Fills `queue` with the rows left without a column; returns their number. Modifies all but the first three.
    """
    queued = 0
    for i in range(choice.shape[0]):
        j = choice[i]
        if j < 0 or second[i] == np.inf or not least[i] - v[j] < second[i]:
            queue[queued] = i
            queued += 1
            continue
        v[j] -= second[i] - (least[i] - v[j])
        u[i] = second[i]
        holder = row_of_col[j]
        if holder >= 0:
            col_of_row[holder] = -1
            queue[queued] = holder
            queued += 1
        row_of_col[j] = i
        col_of_row[i] = j
    return queued


@njit(cache=True, nogil=True, error_model="numpy")
def known_minima(cost, sign, v, cols, choice, least, second, u):
    """u[i] = a bound below sign * cost[i, j] - v[j] for all j, where v <= 0 and the three are what `rows` found.

    It is -inf where they do not prove that the pair (i, cols[i]) is the cheapest in its row.
    """
    for i in range(cols.shape[0]):
        j = choice[i]
        known = second[i]
        if j >= 0 and least[i] - v[j] < known:
            known = least[i] - v[j]
        u[i] = known if known >= sign * cost[i, cols[i]] - v[cols[i]] else -np.inf


@njit(cache=True, nogil=True, error_model="numpy")
def row_minima(cost, sign, v, first, last, u):
    """u[i] = least of sign * cost[i, j] - v[j] over all j, for the rows first .. last - 1 where u[i] = -inf."""
    m = cost.shape[1]
    long, whole = m // (4 * LANES) * (4 * LANES), m // LANES * LANES
    low = np.empty(LANES)
    for i in range(first, last):
        if u[i] > -np.inf:
            continue
        row = cost[i]
        for k in range(LANES):
            low[k] = np.inf
        for start in range(0, long, 4 * LANES):
            for k in range(LANES):
                j = start + k
                a = sign * row[j] - v[j]
                b = sign * row[j + LANES] - v[j + LANES]
                c = sign * row[j + 2 * LANES] - v[j + 2 * LANES]
                d = sign * row[j + 3 * LANES] - v[j + 3 * LANES]
                a = a if a < b else b
                c = c if c < d else d
                a = a if a < c else c
                low[k] = a if a < low[k] else low[k]
        rest, rest_v = row[long:], v[long:]  # as arrays of their own: indices from 0, which become vectors
        for start in range(0, whole - long, LANES):
            for k in range(LANES):
                h = sign * rest[start + k] - rest_v[start + k]
                low[k] = h if h < low[k] else low[k]
        rest, rest_v = row[whole:], v[whole:]
        for k in range(m - whole):
            h = sign * rest[k] - rest_v[k]
            low[k] = h if h < low[k] else low[k]
        best = np.inf
        for k in range(LANES):
            best = low[k] if low[k] < best else best
        u[i] = best
