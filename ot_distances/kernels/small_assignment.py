"""Small assignment problems with their proof in one call: many of a kind, or one without Python on the way."""

from __future__ import annotations

import numpy as np
from numba import njit

from .shortest_path import BIDDING, DONE, HUGE, LANES, PHASE, QUEUED, RUNNING, STATE_SLOTS, augment
from .survey import columns, first_bids, known_minima, row_minima, rows

# What stands before the duals and the columns in `numbers`
COST, LOWER, UPPER, GAP, SLOTS = 0, 1, 2, 3, 4

# Up to so many columns plain searches are faster than vector instructions.
FEW = 48

# Bids per row before the searches begin, with more columns.
BIDS = 2

# Within these magnitudes no sum or difference of costs overflows or loses digits.
LARGEST, LEAST = 2.0**300, 2.0**-300


@njit(cache=True, nogil=True, error_model="numpy")
def solve_one(cost, sign, slack, share, cols, numbers):
    """Match the rows of `cost` (n, m), n <= m, at the least sum of sign * cost.

    Fills `cols` (n,) and `numbers` (SLOTS + n + m): cost and dual value, let out by the part `slack` of themselves to
    bounds, their gap relative to the cost or to the part `share` of the duals; and the duals, in the user's sense.
    Returns the gap. It is inf, and all else void, where there is no matching, or where entries are no numbers, or so
    large or small that they would have to be scaled first.
    """
    return _solve(cost, sign, slack, share, cols, numbers, *_workspace(cost, sign))


@njit(cache=True, nogil=True, error_model="numpy")
def solve_many(costs, sign, first, last, slack, share, cols, numbers):
    """The same for the problems first .. last - 1 of a batch (B, n, m). Returns the largest gap."""
    filled, reals, whole_numbers = _workspace(costs[0], sign)
    worst = 0.0
    for b in range(first, last):
        gap = _solve(costs[b], sign, slack, share, cols[b], numbers[b], filled, reals, whole_numbers)
        worst = max(worst, gap)
    return worst


@njit(cache=True, nogil=True, error_model="numpy")
def _workspace(cost, sign):
    n, m = cost.shape
    width = m if m <= FEW else (m + LANES - 1) // LANES * LANES
    filled = np.empty((n, width), cost.dtype)
    for i in range(n):
        for j in range(m, width):
            filled[i, j] = sign * np.inf
    return filled, np.empty((8, width)), np.empty((4, width), np.intp)


@njit(cache=True, nogil=True, error_model="numpy")
def _solve(cost, sign, slack, share, cols, numbers, filled, reals, whole_numbers):
    n, m = cost.shape
    for i in range(n):
        for j in range(m):
            filled[i, j] = cost[i, j]
    u, v, row_of_col = numbers[SLOTS : SLOTS + n], reals[5], whole_numbers[2]
    if m <= FEW:
        matched = _by_searches(filled, sign, u, v, cols, row_of_col, reals, whole_numbers)
    elif n == m:
        matched = _square(filled, sign, u, v, cols, row_of_col, reals, whole_numbers)
    else:
        matched = _wide(filled, sign, u, v, cols, row_of_col, reals, whole_numbers)
    if not matched:
        return np.inf
    for j in range(m):
        numbers[SLOTS + n + j] = v[j]
    prove(filled, sign, slack, share, cols, u, numbers[SLOTS + n :], numbers)
    return numbers[GAP] if numbers[GAP] < np.inf else np.inf  # also for nan


@njit(cache=True, nogil=True, error_model="numpy")
def _regular(least, greatest, total):
    """No sum is nan, which shows an entry that is none, and the finite extremes are of a magnitude to be dealt with."""
    every, largest = 0.0, 0.0
    for j in range(total.shape[0]):
        every += total[j]
        if greatest[j] > -np.inf:
            largest = max(largest, abs(greatest[j]))
    for j in range(least.shape[0]):
        if least[j] < np.inf:
            largest = max(largest, abs(least[j]))
    return every == every and (largest == 0.0 or LEAST <= largest <= LARGEST)


@njit(cache=True, nogil=True, error_model="numpy")
def _column_minima(cost, sign, m, least, greatest, total):
    """Fill `least` with the least of sign * cost in each column; False where entries of the first m are irregular."""
    for j in range(cost.shape[1]):
        least[j], greatest[j], total[j] = np.inf, -np.inf, 0.0
    columns(cost, sign, 0, cost.shape[0], least, greatest, total)
    return _regular(least[:m], greatest[:m], total[:m])


@njit(cache=True, nogil=True, error_model="numpy")
def _by_searches(cost, sign, u, v, cols, row_of_col, reals, whole_numbers):
    """Match rows to columns that are least in them, all others by Dijkstra's search. Fills u, v and `cols`.

    False where there is no matching, or entries are irregular.
    """
    n, m = cost.shape
    dist, least, left, origin = reals[0], reals[6], whole_numbers[0], whole_numbers[1]
    if not _column_minima(cost, sign, m, least, reals[1], reals[2]):
        return False
    for j in range(m):
        v[j], row_of_col[j] = least[j] if n == m else 0.0, -1
    for i in range(n):
        cols[i], u[i] = -1, 0.0
        if n < m:
            continue
        for j in range(m):
            if sign * cost[i, j] == least[j] < np.inf and row_of_col[j] < 0:
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
                return False
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
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _square(cost, sign, u, v, cols, row_of_col, reals, whole_numbers):
    """The same for more columns, n = m: filled up to a multiple of LANES, see shortest_path.augment."""
    n, width = cost.shape
    if not _column_minima(cost, sign, n, v, reals[0], reals[1]):
        return False
    for j in range(width):
        row_of_col[j] = -1
        if j >= n:
            v[j] = 0.0
        elif v[j] == np.inf:  # no row may take this column
            return False
    for i in range(n):
        u[i], cols[i], whole_numbers[0, i] = 0.0, -1, n - 1 - i
    if not _augment(cost, sign, n, True, u, v, cols, row_of_col, reals, whole_numbers):
        return False
    for i in range(n):
        u[i] = -np.inf
    row_minima(cost, sign, v, 0, n, u)
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _wide(cost, sign, u, v, cols, row_of_col, reals, whole_numbers):
    """The same for n < m."""
    n, m = cost.shape
    least, second, choice = reals[6], reals[7], whole_numbers[3]
    greatest, total = reals[0, :LANES], reals[1, :LANES]
    for k in range(LANES):
        greatest[k], total[k] = -np.inf, 0.0
    rows(cost, sign, 0, n, choice, least, second, greatest, total)
    if not _regular(least[:n], greatest, total):
        return False
    for j in range(m):
        v[j], row_of_col[j] = 0.0, -1
    for i in range(n):
        u[i], cols[i] = 0.0, -1
    queued = first_bids(choice[:n], least, second, u, v, cols, row_of_col, whole_numbers[0])
    if not _augment(cost, sign, queued, False, u, v, cols, row_of_col, reals, whole_numbers):
        return False
    for i in range(n):
        u[i] = -np.inf
    known_minima(cost, sign, v, cols, choice, least, second, u)
    row_minima(cost, sign, v, 0, n, u)
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _augment(cost, sign, queued, square, u, v, cols, row_of_col, reals, whole_numbers):
    state = np.zeros(STATE_SLOTS, np.intp)
    state[PHASE], state[QUEUED] = BIDDING, queued
    status = RUNNING
    while status == RUNNING:
        status = augment(
            cost, sign, square, u, v, cols, row_of_col, reals, whole_numbers, state, BIDS * cost.shape[0], HUGE, HUGE
        )
    return status == DONE


@njit(cache=True, nogil=True, error_model="numpy")
def prove(cost, sign, slack, share, cols, u, v, bounds):
    """Fill `bounds` for a matching, from the prices v and the least reduced costs u, which are rounded down first.

    Both sides are added up in twice the precision (Ogita, Rump & Oishi, SIAM J. Sci. Comput. 2005). u and v become
    those of the user's sense.
    """
    n, m = u.shape[0], v.shape[0]
    primal, primal_rest, dual, dual_rest, size = 0.0, 0.0, 0.0, 0.0, 0.0
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
    primal, dual = primal + primal_rest, dual + dual_rest
    lower, upper = dual - slack * abs(dual), primal + slack * abs(primal)
    scale = max(abs(lower), abs(upper), share * size)
    bounds[GAP] = 0.0 if upper <= lower else (upper - lower) / scale
    bounds[COST] = sign * min(max(primal, lower), upper)
    bounds[LOWER], bounds[UPPER] = (lower, upper) if sign > 0 else (-upper, -lower)
    if sign < 0:
        for i in range(n):
            u[i] = -u[i]
        for j in range(m):
            v[j] = -v[j]
