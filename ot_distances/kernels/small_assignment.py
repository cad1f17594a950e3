"""Small assignment problems with their proof in one call: many of a kind, or one without Python on the way."""

from __future__ import annotations

import numpy as np
from numba import njit

from .least import finite, higher
from .shortest_path import (
    BIDDEN,
    BIDDING,
    DONE,
    HUGE,
    LANES,
    LINE,
    PHASE,
    QUEUED,
    RUNNING,
    SCANS,
    SPENT,
    STATE_SLOTS,
    augment,
)
from .survey import columns, row_minima

# What stands before the duals and the columns in `numbers`
COST, LOWER, UPPER, GAP, SLOTS = 0, 1, 2, 3, 4

# Up to so many columns plain searches are faster than vector instructions.
FEW = 24

# Bids per row before the searches begin, with more columns.
BIDS = 2

# Where so many of the first rows have, on the average, more than TIES columns each that are least in them, rows take
# such columns first of all. With more than MANY there are faster methods for a large problem that this hardly solves.
TASTED, TIES, MANY = 8, 3, 4

# With this part of the rows free no problem counts as hard.
HARDEST = 10.0

# The part of the sum of all moduli by which a sum of 2**17 terms in twice the precision may be off.
CANCELLED = 2.0**-70

# Within these magnitudes no sum or difference of costs overflows or loses digits.
LARGEST, LEAST = 2.0**300, 2.0**-300


@njit(cache=True, nogil=True, error_model="numpy")
def solve_one(cost, sign, slack, share, hard, cols, numbers):
    """Match the rows of `cost` (n, m), n <= m, at the least sum of sign * cost; for m > FEW.

    Fills `cols` (n,) and `numbers` (SLOTS + n + m): cost and dual value, let out by the part `slack` of themselves to
    bounds, their gap relative to the cost or to the part `share` of the duals; and the duals, in the user's sense.
    Returns the gap. It is inf, and all else void, where there is no matching, or where entries are no numbers, or so
    large or small that they would have to be scaled first; or where more than the part `hard` of the rows is free when
    the searches begin, or a tenth of that when the bids begin, ties being many.
    """
    n, m = cost.shape
    square, width = n == m, (m + LANES - 1) // LANES * LANES
    space, whole_numbers = np.empty(7 * width + LINE), np.empty((4, width), np.intp)
    aligned = -(space.ctypes.data // 8) % LINE
    reals = space[aligned : aligned + 7 * width].reshape(7, width)
    fills = square and m % 4 > 0  # rows that begin within a vector are worth a copy, if they are read more than twice
    filled = np.empty((n, width), cost.dtype) if fills else cost
    width = filled.shape[1]
    greatest, total, v, least = reals[0], reals[1], reals[5], reals[6]
    queue, row_of_col, u = whole_numbers[0], whole_numbers[2], numbers[SLOTS : SLOTS + n]
    for j in range(width):
        v[j], row_of_col[j], least[j], greatest[j], total[j] = 0.0, -1, np.inf, -np.inf, 0.0
    for i in range(n):
        u[i], cols[i], queue[i] = 0.0, -1, n - 1 - i
        for j in range(m if fills else 0):
            filled[i, j] = cost[i, j]
        for j in range(m, width):
            filled[i, j] = sign * np.inf

    start, unbounded = np.intp(0), np.intp(HUGE)  # no literals, for which all that is called would be compiled again
    columns(filled, sign, start, n, least, greatest, total)
    every, largest = 0.0, 0.0
    for j in range(width):
        every += total[j]  # nan where an entry is
        largest = higher(largest, finite(abs(least[j])))
        largest = higher(largest, finite(abs(greatest[j])))
    if every != every or not (largest == 0.0 or LEAST <= largest <= LARGEST):
        return np.inf

    for j in range(n if square else 0):
        v[j] = least[j]
        if v[j] == np.inf:  # no row may take this column
            return np.inf
    hits, queued = 0, n
    for i in range(TASTED if square else 0):
        for j in range(m):
            hits += sign * filled[i, j] == v[j]
    if hits > TASTED * TIES:  # rows take columns that are least in them, before any other row is read as a whole
        queued = 0
        for i in range(n - 1, -1, -1):
            for j in range(m):
                if (row_of_col[j] < 0) & (sign * filled[i, j] == v[j]):
                    cols[i], row_of_col[j] = j, i
                    break
            queue[queued] = i
            queued += cols[i] < 0
        if 10 * queued > hard * n and hits > TASTED * MANY:
            return np.inf
    state, status, budget = whole_numbers[3], RUNNING, start
    for k in range(STATE_SLOTS):
        state[k] = 0
    state[PHASE], state[QUEUED] = BIDDING, queued
    while status == RUNNING:
        status = augment(
            filled, sign, square, u, v, cols, row_of_col, reals, whole_numbers, state, BIDS * n, budget, unbounded
        )
        if status == SPENT:  # the bids are over, the searches begin
            free, status, budget = 0, RUNNING, unbounded
            for i in range(n):
                free += cols[i] < 0
            if free > hard * n:
                return np.inf
    if status != DONE:
        return np.inf
    if state[SCANS] > state[BIDDEN]:  # searches change prices both ways
        for i in range(n):
            u[i] = -np.inf
        row_minima(filled, sign, v, start, n, u)
    for j in range(m):
        numbers[SLOTS + n + j] = v[j]
    prove(filled, sign, slack, share, cols, u, numbers[SLOTS + n :], numbers)
    return numbers[GAP] if numbers[GAP] < np.inf else np.inf  # also for nan


@njit(cache=True, nogil=True, error_model="numpy")
def solve_few(cost, sign, slack, share, cols, numbers):
    """The same for m <= FEW: rows to columns that are least in them, all others by Dijkstra's search."""
    n, m = cost.shape
    u, v = numbers[SLOTS : SLOTS + n], numbers[SLOTS + n :]
    dist, whole_numbers = np.empty(m), np.empty((3, m), np.intp)
    left, origin, row_of_col = whole_numbers[0], whole_numbers[1], whole_numbers[2]
    every, largest = 0.0, 0.0
    for j in range(m):
        v[j], row_of_col[j], dist[j] = 0.0, -1, np.inf
    for i in range(n):
        u[i], cols[i] = 0.0, -1
        for j in range(m):
            entry = sign * np.float64(cost[i, j])
            every += entry  # nan where an entry is
            if entry < np.inf:
                largest = max(largest, abs(entry))
                dist[j] = min(dist[j], entry)
    if every != every or not (largest == 0.0 or LEAST <= largest <= LARGEST):
        return np.inf

    for j in range(m if n == m else 0):
        v[j] = dist[j]
    for i in range(n if n == m else 0):
        for j in range(m):
            if sign * cost[i, j] == v[j] < np.inf and row_of_col[j] < 0:
                cols[i], row_of_col[j] = j, i
                break
    for f in range(n):
        if cols[f] >= 0:
            continue
        for j in range(m):
            dist[j], left[j] = np.inf, j
        count, i, reached, sink = m, f, 0.0, -1
        while sink < 0:  # left[:count] are the columns not settled yet
            nearest, place, base = np.inf, -1, reached - u[i]
            for k in range(count):
                j = left[k]
                d = base + (sign * cost[i, j] - v[j])
                if d < dist[j]:
                    dist[j], origin[j] = d, i
                else:
                    d = dist[j]
                if d < nearest or (d == nearest and row_of_col[j] < 0):
                    nearest, place = d, k
            if nearest == np.inf:
                return np.inf
            count -= 1
            j = left[place]
            left[place], left[count] = left[count], j
            i, reached = row_of_col[j], nearest
            if i < 0:
                sink = j
        for k in range(count + 1, m):
            j = left[k]
            gain = reached - dist[j]
            v[j] -= gain
            u[row_of_col[j]] += gain
        u[f] += reached
        j, i = sink, -1
        while i != f:
            i = origin[j]
            row_of_col[j] = i
            j, cols[i] = cols[i], j
    for i in range(n):
        low = np.inf
        for j in range(m):
            h = sign * cost[i, j] - v[j]
            low = h if h < low else low
        u[i] = low
    prove(cost, sign, slack, share, cols, u, v, numbers)
    return numbers[GAP] if numbers[GAP] < np.inf else np.inf  # also for nan


@njit(cache=True, nogil=True, error_model="numpy")
def solve_many(costs, sign, first, last, slack, share, cols, numbers):
    """The same for the problems first .. last - 1 of a batch (B, n, m). Returns the largest gap."""
    worst, few = 0.0, costs.shape[2] <= FEW
    for b in range(first, last):
        if few:
            gap = solve_few(costs[b], sign, slack, share, cols[b], numbers[b])
        else:
            gap = solve_one(costs[b], sign, slack, share, HARDEST, cols[b], numbers[b])
        worst = max(worst, gap)
    return worst


@njit(cache=True, nogil=True, error_model="numpy")
def prove(cost, sign, slack, share, cols, u, v, bounds):
    """Fill `bounds` for a matching, from the prices v and the least reduced costs u, which are rounded down first.

    Both sides are added up in twice the precision (Ogita, Rump & Oishi, SIAM J. Sci. Comput. 2005). u and v become
    those of the user's sense.
    """
    n, m = u.shape[0], v.shape[0]
    primal, primal_rest, dual, dual_rest, size, paid = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for j in range(m):
        total = dual + v[j]
        back = total - dual
        dual_rest += (dual - (total - back)) + (v[j] - back)
        dual = total
        size += abs(v[j])
    for i in range(n):
        u[i] -= abs(u[i]) * 2.0**-52
        total = dual + u[i]
        back = total - dual
        dual_rest += (dual - (total - back)) + (u[i] - back)
        dual = total
        size += abs(u[i])
        entry = sign * np.float64(cost[i, cols[i]])
        total = primal + entry
        back = total - primal
        primal_rest += (primal - (total - back)) + (entry - back)
        primal = total
        paid += abs(entry)
    primal, dual = primal + primal_rest, dual + dual_rest
    lower, upper = dual - slack * abs(dual) - CANCELLED * size, primal + slack * abs(primal) + CANCELLED * paid
    scale = max(abs(lower), abs(upper), share * size)
    bounds[GAP] = 0.0 if upper <= lower else (upper - lower) / scale
    bounds[COST] = sign * min(max(primal, lower), upper)
    bounds[LOWER], bounds[UPPER] = (lower, upper) if sign > 0 else (-upper, -lower)
    if sign < 0:
        for i in range(n):
            u[i] = -u[i]
        for j in range(m):
            v[j] = -v[j]
