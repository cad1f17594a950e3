"""Auction for the transportation problem on a sparse graph: soon a flow and potentials near the optimum.

D. P. Bertsekas and D. A. Castanon, "The auction algorithm for the transportation problem", Annals of Operations
Research 20, 1989; here with one price a node, and with both sides bidding in turn. The graph is held from either side
as (indptr, heads, cost, arc): `flow` is held by row, and `arc` tells where in it. No arc has a reduced cost c - u - v
below -eps, none with flow above eps (both nearly, as each point has its own eps); what is left is never negative.
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def _choose(side, i, flow, other, capacity):
    """The cheapest partner that does not belong to i as a whole already: (arc, its value, that of the next, whether
    any belongs to i as a whole)."""
    ptr, heads, cost, arc = side
    best, second, chosen, whole = np.inf, np.inf, -1, False
    for e in range(ptr[i], ptr[i + 1]):
        value = cost[e] - other[heads[e]]
        if value < second:
            if flow[arc[e]] == capacity[heads[e]]:
                whole = True
            elif value < best:
                best, second, chosen = value, best, e
            else:
                second = value
    return chosen, best, second if second < np.inf else best, whole


@njit(cache=True, nogil=True, error_model="numpy")
def _weakest(back, j, i, flow, own, price, eps):
    """Of those that send to j, without i: (arc of the one that would leave first, how much the price of j may rise
    until it does, and until the next does)."""
    ptr, heads, cost, arc = back
    first, second, chosen = np.inf, np.inf, -1
    for t in range(ptr[j], ptr[j + 1]):
        k = heads[t]
        if flow[arc[t]] > 0 and k != i:
            rise = eps[k] - (cost[t] - own[k] - price)
            if rise < first:
                first, second, chosen = rise, first, t
            else:
                second = min(second, rise)
    return chosen, first, second


@njit(cache=True, nogil=True, error_model="numpy")
def _bid(side, back, flow, left, other_left, capacity, own, other, eps, queue, queued, at, unsent, budget):
    """One side bids for the other: every bidder with mass left once, then on until some more mass is sent.

    A bidder sends to its cheapest partner: first what is free there, then what it takes from those that would leave
    first, at a price that rises as far as it can before another one leaves, or until the second choice is cheaper by
    eps. `at` is (first place, length) of the ring `queue`. Returns the mass not sent and the bids made.
    """
    n = len(left)
    least, bids, before = at[1], 0, unsent
    while at[1] > 0 and bids < budget and (least > 0 or unsent == before):
        i = queue[at[0]]
        at[0] = at[0] + 1 if at[0] + 1 < n else 0
        at[1] -= 1
        least -= 1
        queued[i] = False
        while left[i] > 0 and bids < budget:
            bids += 1
            chosen, level, second, whole = _choose(side, i, flow, other, capacity)
            if chosen < 0:
                break
            j = side[1][chosen]
            if other_left[j] > 0:
                sent = min(left[i], other_left[j])
                other_left[j] -= sent
                unsent -= sent
            else:
                weakest, rise, next_rise = _weakest(back, j, i, flow, own, other[j], eps)
                k, held = back[1][weakest], flow[back[3][weakest]]
                sent = min(left[i], held)
                rise = max(min(second - level + eps[i], rise if sent < held else next_rise), 0.0)
                flow[back[3][weakest]] -= sent
                left[k] += sent
                if not queued[k]:
                    queued[k] = True
                    tail = at[0] + at[1]
                    queue[tail if tail < n else tail - n] = k
                    at[1] += 1
                other[j] -= rise
                level += rise
            left[i] -= sent
            flow[side[3][chosen]] += sent
            if level > own[i]:
                own[i] = level
                if whole:  # nobody else holds their prices
                    for e in range(side[0][i], side[0][i + 1]):
                        j = side[1][e]
                        if flow[side[3][e]] == capacity[j]:
                            other[j] = min(other[j], side[2][e] - level)
    return unsent, bids


@njit(cache=True, nogil=True, error_model="numpy")
def _enqueue(left, queue, queued, at):
    """Put those with mass left into the queue; returns their mass."""
    mass = 0
    for i in range(len(left)):
        queued[i] = left[i] > 0
        if queued[i]:
            mass += left[i]
            queue[at[1]] = i
            at[1] += 1
    return mass


@njit(cache=True, nogil=True, error_model="numpy")
def auction(by_row, by_col, row_mass, col_mass, flow, row_left, col_left, row_eps, col_eps, u, v, budget):
    """Send what is left, rows and columns bidding in turn, until nothing is or the bids are spent; returns the bids.

    It starts from the flow and the potentials given. Modifies `flow`, `row_left`, `col_left`, `u` and `v`.
    """
    row_queue, col_queue = np.empty(len(u), np.intp), np.empty(len(v), np.intp)
    row_queued, col_queued = np.empty(len(u), np.bool_), np.empty(len(v), np.bool_)
    row_at, col_at = np.zeros(2, np.intp), np.zeros(2, np.intp)
    unsent, bids = _enqueue(row_left, row_queue, row_queued, row_at), 0
    _enqueue(col_left, col_queue, col_queued, col_at)
    while unsent > 0 and bids < budget:
        unsent, made = _bid(
            by_row, by_col, flow, row_left, col_left, col_mass, u, v, row_eps, row_queue, row_queued, row_at, unsent,
            budget - bids,
        )  # fmt: skip
        bids += made
        unsent, made = _bid(
            by_col, by_row, flow, col_left, row_left, row_mass, v, u, col_eps, col_queue, col_queued, col_at, unsent,
            budget - bids,
        )  # fmt: skip
        bids += made
    return bids
