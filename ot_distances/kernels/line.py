"""The c-transform on a line: row minima of a Monge matrix, by divide and conquer."""

from __future__ import annotations

import numpy as np
from numba import njit

UNIT_ROUNDOFF = 2.0**-53


@njit(cache=True, nogil=True, error_model="numpy")
def _entry(x, y, g, q):
    distance = abs(x - y)
    if q == 1.0:
        return distance - g
    return distance * distance - g if q == 2.0 else distance**q - g


@njit(cache=True, nogil=True, error_model="numpy")
def monge_minima(x, y, g, q, relative, f, stack, errors):
    """f_i = min_j |x_i - y_j|**q - g_j for ascending x and y, q >= 1, rounded down to a rigorous bound.

    The minimiser moves right with the row, so that a row halfway between two known ones reads only the columns between
    theirs. Where rounding decides a tie between columns the wrong way, a row below may miss its minimiser, but not its
    minimum by more than that rounding (the matrix is Monge): each row is lowered by the roundings of all the rows that
    bounded its columns, those of columns that may have tied. `relative` is the relative error of a power; `stack`
    (4 * 64,) and `errors` (64,) are workspaces.
    """
    top = 0
    stack[0], stack[1], stack[2], stack[3] = 0, x.shape[0], 0, y.shape[0] - 1
    errors[0] = 0.0
    while top >= 0:
        first, stop = stack[4 * top], stack[4 * top + 1]
        left, right = stack[4 * top + 2], stack[4 * top + 3]
        error = errors[top]
        top -= 1
        while first < stop:
            middle = (first + stop) // 2
            at = x[middle]
            best, where, size = np.inf, left, 0.0
            if q == 1.0:
                for j in range(left, right + 1):
                    value = abs(at - y[j]) - g[j]
                    if value < best:
                        best, where = value, j
            elif q == 2.0:
                for j in range(left, right + 1):
                    value = (at - y[j]) * (at - y[j]) - g[j]
                    if value < best:
                        best, where = value, j
            else:
                for j in range(left, right + 1):
                    value = abs(at - y[j]) ** q - g[j]
                    if value < best:
                        best, where = value, j
            # Two entries were compared; the power in either is at most |value| + |g|.
            for j in range(left, right + 1):
                doubt = 3 * (relative + UNIT_ROUNDOFF) * (abs(best) + abs(g[j]))
                if abs(g[j]) > size and _entry(at, y[j], g[j], q) <= best + doubt:
                    size = abs(g[j])
            error += 2 * (relative * (abs(best) + size) + UNIT_ROUNDOFF * abs(best))
            f[middle] = best - error
            # The rows below wait on the stack; those above come next.
            top += 1
            stack[4 * top], stack[4 * top + 1], stack[4 * top + 2], stack[4 * top + 3] = middle + 1, stop, where, right
            errors[top] = error
            stop, right = middle, where
