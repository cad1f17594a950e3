"""What the certificate asks of a cost matrix in memory, in one call."""

import numpy as np
from numba import njit

from .least import higher, lower

# Slots of `sums`
DUAL, COST, SIZE, PAID, LARGEST = 0, 1, 2, 3, 4


@njit(cache=True, nogil=True, error_model="numpy")
def prove(cost, rows, cols, mass, paid, row_mass, col_mass, total, f, g, left, sums):
    """Complete `g` (m,) to feasible potentials of `cost` (n, m) and add up what they and a flow of `total` prove.

    The flow pays `paid`, its entries of `cost`. Shifts `g` so that rows and columns carry equal shares of the dual
    value, fills `f` (n,) with its c-transform, rounded down, and -inf in `g`, columns without mass, with that of f; and
    `sums`: for `total`, the dual value, the cost of the flow and the sums of absolute potentials and of absolute costs;
    and the largest of these potentials. Takes what the flow moves from `left` (n + m,), the masses of rows and columns;
    returns whether nothing is left.
    """
    n, m = cost.shape
    shift, size, paid_size, largest, exact, fits = 0.0, 0.0, 0.0, 0.0, True, True
    for k in range(mass.shape[0]):
        shift += mass[k] * (2 * g[cols[k]] - paid[k])
        paid_size += mass[k] * abs(paid[k])
        left[rows[k]] -= mass[k]
        left[n + cols[k]] -= mass[k]
        fits &= mass[k] >= 0
    for k in range(n + m):
        fits &= left[k] == 0
    shift /= 2 * total
    for j in range(m):
        g[j] -= shift
        exact &= g[j] == 0
    for i in range(0, n, 2):  # two rows at a time, which do not wait for each other
        k, a, b = i + 1 if i + 1 < n else i, np.inf, np.inf
        for j in range(m):
            a, b = lower(a, cost[i, j] - g[j]), lower(b, cost[k, j] - g[j])
        f[i], f[k] = a, b
    for i in range(n):
        f[i] = f[i] if exact and f[i] < np.inf else _below(f[i])
        size, largest = size + row_mass[i] * abs(f[i]), higher(largest, abs(f[i]))
    for j in range(m):
        if g[j] == -np.inf:
            a = np.inf
            for i in range(n):
                a = lower(a, cost[i, j] - f[i])
            g[j] = _below(a)
        size, largest = size + col_mass[j] * abs(g[j]), higher(largest, abs(g[j]))
    sums[DUAL], sums[COST] = dot(row_mass, f) + dot(col_mass, g), dot(mass, paid)
    sums[SIZE], sums[PAID], sums[LARGEST] = size, paid_size, largest
    return fits


@njit(cache=True, nogil=True, error_model="numpy")
def _below(a):
    """Below a difference rounded to `a`; 0, or no normal number, is exact. Where no pair is allowed any number does."""
    return a - abs(a) * 2.0**-52 if a < np.inf else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def dot(mass, values):
    """The sum of mass * value as if in twice the precision, for int64 masses.

    Products are split exactly (Dekker, Numerische Mathematik 1971), what a sum loses is added up apart (Ogita, Rump &
    Oishi, SIAM J. Sci. Comput. 2005).
    """
    total, rest = 0.0, 0.0
    for k in range(values.shape[0]):
        high, value = np.float64(mass[k]), values[k]
        low = np.float64(mass[k] - np.int64(high))
        product = high * value
        carried = 134217729.0 * high  # 2**27 + 1
        head = carried - (carried - high)
        carried = 134217729.0 * value
        front = carried - (carried - value)
        tail, back = high - head, value - front
        error = ((head * front - product) + head * back + tail * front) + tail * back
        for term in (product, error, low * value):
            old, total = total, total + term
            back = total - old
            rest += (old - (total - back)) + (term - back)
    return total + rest
