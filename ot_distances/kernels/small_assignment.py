"""Small assignment problems with their proof in one call: many of a kind, or one without Python on the way."""

from __future__ import annotations

import numpy as np
from numba import njit

from .shortest_path import HUGE, LANES, RUNNING, STATE_SLOTS, augment

# What stands before the duals in `numbers`
COST, LOWER, UPPER, GAP, SLOTS = 0, 1, 2, 3, 4

# Bids per row before the searches begin.
BIDS = 4

# Within these magnitudes no sum or difference of costs overflows or loses digits.
LARGEST, LEAST = 2.0**300, 2.0**-300


@njit(cache=True, nogil=True, error_model="numpy")
def solve_many(costs, sign, first, last, slack, share, cols, numbers):
    """Match the rows of problems first .. last - 1 of `costs` (B, n, m), n <= m, at the least sum of sign * cost.

    Fills `cols` (B, n) and `numbers` (B, SLOTS + n + m): cost and dual value, let out by the part `slack` of
    themselves to bounds, their gap relative to the cost or to the part `share` of the duals, and the duals, in the
    user's sense. Returns how many problems are irregular: an entry is not finite, or the entries are so large or small
    that they would have to be scaled first. Nothing is filled for these.
    """
    n, m = costs.shape[1], costs.shape[2]
    width = (m + LANES - 1) // LANES * LANES
    filled = np.empty((n, width), costs.dtype)
    for i in range(n):
        for j in range(m, width):
            filled[i, j] = sign * np.inf
    v, row_of_col, low = np.empty(width), np.empty(width, np.intp), np.empty(LANES)
    reals, whole_numbers, state = np.empty((5, width)), np.empty((2, width), np.intp), np.empty(STATE_SLOTS, np.intp)
    irregular = 0
    for b in range(first, last):
        if not _regular(costs[b], filled):
            irregular += 1
            continue
        u = numbers[b, SLOTS : SLOTS + n]
        for k in range(STATE_SLOTS):
            state[k] = 0
        status = RUNNING
        while status == RUNNING:
            status = augment(
                filled, sign, n == m, u, v, cols[b], row_of_col, reals, whole_numbers, state, BIDS * n, HUGE, HUGE
            )
        for j in range(width):
            v[j] = min(v[j], 0.0) if n < m else v[j]
        for i in range(n):
            row = filled[i]
            for k in range(LANES):
                low[k] = np.inf
            for start in range(0, width, LANES):
                for k in range(LANES):
                    h = sign * row[start + k] - v[start + k]
                    low[k] = h if h < low[k] else low[k]
            u[i] = np.inf
            for k in range(LANES):
                u[i] = low[k] if low[k] < u[i] else u[i]
        for j in range(m):
            numbers[b, SLOTS + n + j] = v[j]
        prove(filled, sign, slack, share, cols[b], u, numbers[b, SLOTS + n :], numbers[b])
    return irregular


@njit(cache=True, nogil=True, error_model="numpy")
def _regular(cost, filled):
    """Copy the entries into the first columns of `filled`; False where they are not what the kernel can do."""
    largest = 0.0
    for i in range(cost.shape[0]):
        for j in range(cost.shape[1]):
            filled[i, j] = cost[i, j]
            size = abs(np.float64(cost[i, j]))
            if not size <= LARGEST:  # nan too
                return False
            largest = max(largest, size)
    return largest == 0.0 or largest >= LEAST


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
    bounds[GAP] = (upper - lower) / scale if upper > lower else 0.0
    bounds[COST] = sign * min(max(primal, lower), upper)
    bounds[LOWER], bounds[UPPER] = (lower, upper) if sign > 0 else (-upper, -lower)
    if sign < 0:
        for i in range(n):
            u[i] = -u[i]
        for j in range(m):
            v[j] = -v[j]
