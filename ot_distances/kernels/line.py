"""The c-transform on a line: row minima of a Monge matrix, by divide and conquer."""

from __future__ import annotations

from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def monge_minima(x, y, g, q, f, stack):
    """f_i = min_j |x_i - y_j|**q - g_j for ascending x and y, q >= 1.

    The minimiser moves right with the row, so that a row halfway between two known ones reads only the columns between
    theirs. `stack` (4 * 64,) is a workspace. Returns the number of levels, which bounds how often a tie between
    columns was decided by rounding on the way to a row.
    """
    top = 0
    stack[0], stack[1], stack[2], stack[3] = 0, x.shape[0], 0, y.shape[0] - 1
    depth = 1
    while top >= 0:
        first, stop = stack[4 * top], stack[4 * top + 1]
        left, right = stack[4 * top + 2], stack[4 * top + 3]
        top -= 1
        while first < stop:
            middle = (first + stop) // 2
            at = x[middle]
            best, where = abs(at - y[left]) ** q - g[left], left
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
            f[middle] = best
            # The rows below wait on the stack; those above come next.
            top += 1
            stack[4 * top], stack[4 * top + 1], stack[4 * top + 2], stack[4 * top + 3] = middle + 1, stop, where, right
            stop, right = middle, where
    while 2**depth <= x.shape[0]:
        depth += 1
    return depth + 1
