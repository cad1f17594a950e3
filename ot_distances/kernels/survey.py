"""One pass over a dense cost matrix before it is solved: its range, what is not a number, and where it is cheapest."""

import numpy as np
from numba import njit

from .least import finite, higher, lower, two_least

LANES = 16


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
    while i + 8 <= last:  # eight rows at a time: the three arrays are read and written once for them
        r0, r1, r2, r3 = cost[i], cost[i + 1], cost[i + 2], cost[i + 3]
        r4, r5, r6, r7 = cost[i + 4], cost[i + 5], cost[i + 6], cost[i + 7]
        for j in range(m):
            a, b, c, d = sign * r0[j], sign * r1[j], sign * r2[j], sign * r3[j]
            e, f, g, h = sign * r4[j], sign * r5[j], sign * r6[j], sign * r7[j]
            total[j] += ((a + b) + (c + d)) + ((e + f) + (g + h))
            least[j] = lower(least[j], lower(lower(lower(a, b), lower(c, d)), lower(lower(e, f), lower(g, h))))
            a, b, c, d = finite(a), finite(b), finite(c), finite(d)
            e, f, g, h = finite(e), finite(f), finite(g), finite(h)
            high = higher(higher(higher(a, b), higher(c, d)), higher(higher(e, f), higher(g, h)))
            greatest[j] = higher(greatest[j], high)
        i += 8
    for k in range(i, last):
        row = cost[k]
        for j in range(m):
            a = sign * row[j]
            total[j] += a
            least[j] = lower(least[j], a)
            greatest[j] = higher(greatest[j], finite(a))


@njit(cache=True, nogil=True, error_model="numpy")
def rows(cost, sign, first, last, choice, least, greatest, total):
    """The two least of sign * cost in each of the rows first .. last - 1, and a bound below all others: least (n, 3).

    `choice` (n, 2) are the columns of the two, -1 where none is found; then the entry is inf. Greatest finite entry and
    sum are taken over 16 residues of the column index, for all rows together.
    """
    m = cost.shape[1]
    long = m // (4 * LANES) * (4 * LANES)
    low, next_low, where = np.empty(LANES), np.empty(LANES), np.empty(LANES, np.intp)
    for i in range(first, last):
        row = cost[i]
        for k in range(LANES):
            low[k], next_low[k], where[k] = np.inf, np.inf, 0
        for start in range(0, long, 4 * LANES):
            for k in range(LANES):
                j = start + k
                a, b = sign * row[j], sign * row[j + LANES]
                c, d = sign * row[j + 2 * LANES], sign * row[j + 3 * LANES]
                total[k] += (a + b) + (c + d)
                high = higher(higher(finite(a), finite(b)), higher(finite(c), finite(d)))
                greatest[k] = higher(greatest[k], high)
                h, worse = two_least(a, b, c, d)
                other = higher(low[k], h)
                where[k] = start if h < low[k] else where[k]  # or the search for it would read all the row
                low[k] = lower(low[k], h)
                next_low[k] = lower(next_low[k], lower(worse, other))
        for start in range(long, m, LANES):
            rest = row[start:]  # as an array of its own: indices from 0, which become vectors
            for k in range(min(LANES, m - start)):
                h = sign * rest[k]
                total[k] += h
                greatest[k] = higher(greatest[k], finite(h))
                next_low[k] = lower(next_low[k], higher(low[k], h))
                where[k] = start if h < low[k] else where[k]
                low[k] = lower(low[k], h)
        best, second, bound, lane, other = np.inf, np.inf, np.inf, -1, -1
        for k in range(LANES):
            h = low[k]
            if h < best:
                best, second, bound, lane, other = h, best, second, k, lane
            elif h < second:
                second, bound, other = h, second, k
            elif h < bound:
                bound = h
        if lane >= 0 and next_low[lane] < second:  # it lies somewhere in the same lane
            second, bound, other = np.inf, next_low[lane], -1
        elif other >= 0:
            bound = lower(bound, lower(next_low[lane], next_low[other]))
        least[i, 0], least[i, 1], least[i, 2] = best, second, bound
        choice[i, 0], choice[i, 1] = lane, other
        for t in range(2):
            if choice[i, t] >= 0:
                j = choice[i, t] + where[choice[i, t]]
                while sign * row[j] != least[i, t]:
                    j += LANES
                choice[i, t] = j


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
def first_bids(choice, least, most, u, v, col_of_row, row_of_col, queue):
    """From v = 0, rows bid for one of the two columns that `rows` tells of, as in shortest_path.augment.

    At most `most` bids. Rows that these two do not suffice for, since a third may be as good, are left without a
    column: fills `queue` with them, returns their number. Modifies all but the first three.
    """
    queued = 0
    for f in range(choice.shape[0]):
        i = f
        while i >= 0:
            j, other = choice[i]
            a, b = least[i, 0] - v[j], least[i, 1] - v[other]  # inf where there is none
            j, a, b = (other, b, a) if b < a else (j, a, b)
            b = lower(b, least[i, 2])
            if most == 0 or not a < b < np.inf:
                queue[queued] = i
                queued += 1
                break
            most -= 1
            v[j] -= b - a
            u[i] = b
            holder = row_of_col[j]
            row_of_col[j] = i
            col_of_row[i] = j
            if holder >= 0:
                col_of_row[holder] = -1
            i = holder
    return queued


@njit(cache=True, nogil=True, error_model="numpy")
def known_minima(cost, sign, v, cols, choice, least, u):
    """u[i] = a bound below sign * cost[i, j] - v[j] for all j, where v <= 0 and `rows` found `choice` and `least`.

    It is -inf where they do not prove that the pair (i, cols[i]) is the cheapest in its row.
    """
    for i in range(cols.shape[0]):
        j, other = choice[i]
        known = lower(lower(least[i, 0] - v[j], least[i, 1] - v[other]), least[i, 2])
        u[i] = known if known >= sign * cost[i, cols[i]] - v[cols[i]] else -np.inf


@njit(cache=True, nogil=True, error_model="numpy")
def nowhere_below(cost, sign, v, cols, u):
    """The same with u[i] = 0, where v are the least entries of the columns."""
    for i in range(cols.shape[0]):
        u[i] = 0.0 if sign * cost[i, cols[i]] - v[cols[i]] <= 0 else -np.inf


@njit(cache=True, nogil=True, error_model="numpy")
def row_minima(cost, sign, v, first, last, u):
    """u[i] = least of sign * cost[i, j] - v[j] over all j, for the rows first .. last - 1 where u[i] = -inf."""
    m = cost.shape[1]
    whole = m // (2 * LANES) * (2 * LANES)
    low, four = np.empty((4, LANES)), np.empty(4, np.intp)
    low_0, low_1, low_2, low_3 = low[0], low[1], low[2], low[3]
    i = first
    while True:  # four rows at a time: v is read once for them
        count = 0
        while i < last and count < 4:
            four[count] = i
            count += u[i] == -np.inf
            i += 1
        if count == 0:
            return
        for t in range(count, 4):
            four[t] = four[0]
        r0, r1, r2, r3 = cost[four[0]], cost[four[1]], cost[four[2]], cost[four[3]]
        for k in range(LANES):
            low_0[k], low_1[k], low_2[k], low_3[k] = np.inf, np.inf, np.inf, np.inf
        for start in range(0, whole, 2 * LANES):
            for k in range(LANES):
                j = start + k
                a, b = v[j], v[j + LANES]
                low_0[k] = lower(low_0[k], lower(sign * r0[j] - a, sign * r0[j + LANES] - b))
                low_1[k] = lower(low_1[k], lower(sign * r1[j] - a, sign * r1[j + LANES] - b))
                low_2[k] = lower(low_2[k], lower(sign * r2[j] - a, sign * r2[j + LANES] - b))
                low_3[k] = lower(low_3[k], lower(sign * r3[j] - a, sign * r3[j + LANES] - b))
        for t in range(count):
            best = np.inf
            for k in range(LANES):
                best = lower(best, low[t, k])
            for j in range(whole, m):
                best = lower(best, sign * cost[four[t], j] - v[j])
            u[four[t]] = best
