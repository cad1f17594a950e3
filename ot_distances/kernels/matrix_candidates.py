"""The least reduced costs of every row and of every column of a dense cost matrix, in one pass over it.

Where many entries are as small, the first ones seen are taken: rows, and runs of columns, begin to look at different
places, so that their candidates spread over the whole other side.
"""

import numpy as np
from numba import njit

from .candidates import _any_below, _insert, _take

RUN = 64  # columns looked at together


@njit(cache=True, nogil=True, error_model="numpy")
def row_candidates(cost, g, limits, first, last, best, value, found):
    """For the rows i = first ... last - 1: the columns of least cost_ij - g_j, if below limits[i].

    Fills best[i] and value[i], (K,) each, K <= m, ascending, and their number found[i], 0 on entry.
    """
    n, m = cost.shape
    runs, out = (m + RUN - 1) // RUN, np.empty(RUN)
    for i in range(first, last):
        row, limit = cost[i], limits[i]
        for k in range(runs):
            begin = (i * runs // n + k) % runs * RUN
            part, price = row[begin : begin + RUN], g[begin : begin + RUN]
            here = out[: len(part)]
            for s in range(len(here)):
                here[s] = part[s] - price[s]
            if _any_below(here, limit):
                limit = _take(here, begin, limit, i, best, value, found)


@njit(cache=True, nogil=True, error_model="numpy")
def col_candidates(cost, f, limits, first, last, best, value, found):
    """The same for the columns j of the runs first ... last - 1: the rows of least cost_ij - f_i, if below limits[j].

    Modifies `limits`.
    """
    n, m = cost.shape
    runs, size = (m + RUN - 1) // RUN, best.shape[1]
    for run in range(first, last):
        begin = run * RUN
        limit = limits[begin : begin + RUN]
        for k in range(n):
            i = (run * n // runs + k) % n
            part, price, below = cost[i, begin : begin + RUN], f[i], 0
            for s in range(len(limit)):
                below += part[s] - price < limit[s]
            if below == 0:
                continue
            for s in range(len(limit)):
                reduced = part[s] - price
                if reduced < limit[s]:
                    j = begin + s
                    found[j] = _insert(best[j], value[j], found[j], i, reduced)
                    if found[j] == size:
                        limit[s] = value[j, size - 1]
