"""The least reduced costs c(x_i, y_j) - g_j of every row, through a k-d tree over the y or by blocks of all pairs.

A cost is fold(|x_k - y_k|) ** power with `fold` one of SQUARES, ABSOLUTES, LARGEST, evaluated as `costs.PointCost`
evaluates it: the minimum over the tree is bit by bit the minimum over all columns (to an ulp of `pow` for a general
power). A node is passed over only if the bound of its box, lowered by more than its rounding, exceeds what is known.
"""

import threading

import numpy as np
from numba import njit, prange

from .distances import ABSOLUTES, SQUARES, fold_row

# Held around parallel kernels: where numba has no other threading layer than its own work queue, two parallel regions
# at one time, as of a batch solved in threads, would abort the process.
PARALLEL = threading.Lock()

CHUNK = 128  # rows in a work item: fixed, so that answers do not depend on the number of threads


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def pair_cost(x, i, y, j, fold, power):
    """The cost of the pair of points (x_i, y_j)."""
    value = 0.0
    if fold == SQUARES:
        for k in range(x.shape[1]):
            difference = x[i, k] - y[j, k]
            value += difference * difference
    elif fold == ABSOLUTES:
        for k in range(x.shape[1]):
            value += abs(x[i, k] - y[j, k])
    else:
        for k in range(x.shape[1]):
            value = max(value, abs(x[i, k] - y[j, k]))
    if power == 1.0:
        return value
    return np.sqrt(value) if power == 0.5 else value**power


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _raised(value, power):
    if power == 1.0:
        return value
    return np.sqrt(value) if power == 0.5 else value**power


@njit(cache=True, nogil=True, error_model="numpy")
def _node_bound(point, row, fold, power, limit):
    """A lower bound on c(x, y) - g(y) over the points of a node, lowered by more than its rounding.

    `row` is that of the table of `bound_nodes`. What reaches `limit` already by the distance of the box stops there.
    """
    d = len(point)
    folded = 0.0
    for k in range(d):
        difference = max(abs(point[k] - row[3 * k]) - row[3 * k + 1], 0.0)
        if fold == SQUARES:
            folded += difference * difference
        elif fold == ABSOLUTES:
            folded += difference
        else:
            folded = max(folded, difference)
    bound = _raised(folded, power) * (1.0 - 2.0**-40) - row[3 * d]
    if bound >= limit:
        return bound
    offset = row[3 * d + 1]
    if fold == SQUARES and power == 1.0:
        # Minimise (x - y)^2 - slope . (y - centre) over the box, coordinate by coordinate.
        value, size = -offset, abs(offset)
        for k in range(d):
            half, slope = row[3 * k + 1], row[3 * k + 2]
            away = point[k] - row[3 * k]
            t = min(max(away + 0.5 * slope, -half), half)
            gain, square = slope * t, (away - t) * (away - t)
            value += square - gain
            size += square + abs(gain)
        return max(bound, value - 2.0**-46 * size)
    # A cost is convex in y: above its tangent plane at the centre of the box.
    folded, widest = 0.0, 0
    for k in range(d):
        away = abs(point[k] - row[3 * k])
        if fold == SQUARES:
            folded += away * away
        elif fold == ABSOLUTES:
            folded += away
        elif away > folded:
            folded, widest = away, k
    if folded == 0.0:
        return bound
    cost = _raised(folded, power)
    rate = power * cost / folded
    value, size = cost - offset, cost + abs(offset)
    for k in range(d):
        away, half, slope = row[3 * k] - point[k], row[3 * k + 1], row[3 * k + 2]
        gradient = 0.0
        if fold == SQUARES:
            gradient = 2.0 * rate * away
        elif fold == ABSOLUTES or k == widest:
            gradient = rate if away > 0 else -rate
        loss = abs(gradient - slope) * half
        value -= loss
        size += loss + 2.0 * (abs(gradient) + abs(slope)) * half
    return max(bound, value - 2.0**-44 * size)


@njit(cache=True, nogil=True, error_model="numpy")
def pair_costs(x, rows, y, cols, fold, power, out):
    """Fill `out` with the costs of the listed pairs."""
    for t in range(len(rows)):
        out[t] = pair_cost(x, rows[t], y, cols[t], fold, power)


@njit(cache=True, nogil=True, error_model="numpy")
def _insert(best, value, found, j, reduced):
    """Put column j in its place among the `found` best; returns the new count. The last falls out of a full list."""
    t = found if found < len(best) else len(best) - 1
    while t > 0 and value[t - 1] > reduced:
        value[t], best[t] = value[t - 1], best[t - 1]
        t -= 1
    value[t], best[t] = reduced, j
    return min(found + 1, len(best))


@njit(cache=True, nogil=True, error_model="numpy")
def _leaf_values(point, points, g, begin, end, fold, power, values):
    """Fill values[: end - begin] with the reduced costs of the columns begin ... end - 1; `points` is (d, m)."""
    out = values[: end - begin]
    out[:] = 0.0
    fold_row(point, points, begin, fold, out)
    price = g[begin:end]
    if power == 1.0:
        for t in range(len(out)):
            out[t] -= price[t]
    elif power == 0.5:
        for t in range(len(out)):
            out[t] = np.sqrt(out[t]) - price[t]
    else:
        for t in range(len(out)):
            out[t] = out[t] ** power - price[t]


@njit(cache=True, nogil=True, error_model="numpy")
def _search(point, points, g, tree, table, fold, power, limit, best, value, nodes, keys, values):
    """Up to len(best) columns of least reduced cost below `limit`, ascending in `value`; returns their count."""
    start, stop, right = tree[0], tree[1], tree[2]
    found = 0
    keys[0] = _node_bound(point, table[0], fold, power, limit)
    nodes[0] = 0
    top = 1
    while top > 0:
        top -= 1
        v = nodes[top]
        if keys[top] >= limit:
            continue
        if right[v] >= 0:
            near, far = v + 1, right[v]
            near_key = _node_bound(point, table[near], fold, power, limit)
            far_key = _node_bound(point, table[far], fold, power, limit)
            if far_key < near_key:
                near, far, near_key, far_key = far, near, far_key, near_key
            if far_key < limit:
                nodes[top], keys[top] = far, far_key
                top += 1
            if near_key < limit:
                nodes[top], keys[top] = near, near_key
                top += 1
            continue
        begin = start[v]
        _leaf_values(point, points, g, begin, stop[v], fold, power, values)
        for t in range(stop[v] - begin):
            if values[t] < limit:
                found = _insert(best, value, found, begin + t, values[t])
                if found == len(best):
                    limit = value[found - 1]
    return found


@njit(cache=True, nogil=True, error_model="numpy", parallel=True)
def tree_candidates(x, rows, y, points, g, tree, table, fold, power, limits, first, last, best, value, found):
    """For t in first ... last - 1 and i = rows[t]: the columns of least c(x_i, y_j) - g_j, if below limits[t].

    Fills best[t] and value[t], (K,) each, K <= m, ascending, and their number found[t]. `tree` is over y, which
    `points` holds by coordinates, (d, m); `table` is what `bound_nodes` says of g there. Rows in tree order are
    fastest, as the list of one bounds that of the next.
    """
    size = best.shape[1]
    for chunk in prange((last - first + CHUNK - 1) // CHUNK):
        nodes, keys, values = np.empty(128, np.intp), np.empty(128), np.empty(64)
        begin = first + chunk * CHUNK
        for t in range(begin, min(begin + CHUNK, last)):
            i, limit = rows[t], limits[t]
            if t > begin and found[t - 1] == size:
                # Columns that meet a bound: the worst of the previous list, as seen from here.
                seen = -np.inf
                for s in range(size):
                    j = best[t - 1, s]
                    seen = max(seen, pair_cost(x, i, y, j, fold, power) - g[j])
                limit = min(limit, np.nextafter(seen, np.inf))
            found[t] = _search(x[i], points, g, tree, table, fold, power, limit, best[t], value[t], nodes, keys, values)


@njit(cache=True, nogil=True, error_model="numpy", parallel=True)
def block_candidates(x, rows, y, g, folded, error, fold, power, limits, first, best, value, found):
    """As `tree_candidates`, from rough values of all pairs: folded[t - first, j], which may be wrong by `error`.

    `folded` is float32; what its error leaves in doubt is evaluated in float64.
    """
    m = len(y)
    size = best.shape[1]
    for s in prange(folded.shape[0]):
        t = first + s
        i, limit, count = rows[t], limits[t], 0
        lowest = np.empty(256)
        for begin in range(0, m, 256):
            end = min(begin + 256, m)
            for j in range(begin, end):
                least = max(folded[s, j] - error[s], 0.0)
                lowest[j - begin] = least
            if power == 0.5:
                for j in range(end - begin):
                    lowest[j] = np.sqrt(lowest[j])
            elif power != 1.0:
                for j in range(end - begin):
                    lowest[j] = lowest[j] ** power
            for j in range(begin, end):
                if lowest[j - begin] * (1.0 - 2.0**-40) - g[j] < limit:
                    reduced = pair_cost(x, i, y, j, fold, power) - g[j]
                    if reduced < limit:
                        count = _insert(best[t], value[t], count, j, reduced)
                        if count == size:
                            limit = value[t, count - 1]
        found[t] = count


@njit(cache=True, nogil=True, error_model="numpy")
def gather_rows(n, rows, cols, indptr, out):
    """Sort the pairs by row, then column, and drop repeats: fills indptr (n + 1,) and out[:k], returns k."""
    indptr[:] = 0
    for i in rows:
        indptr[i + 1] += 1
    for i in range(n):
        indptr[i + 1] += indptr[i]
    for t in range(len(rows)):
        out[indptr[rows[t]]] = cols[t]
        indptr[rows[t]] += 1
    size, begin = 0, 0
    for i in range(n):
        end = indptr[i]
        if end - begin > 64:
            out[begin:end] = np.sort(out[begin:end])
        else:
            for t in range(begin + 1, end):
                j, s = out[t], t
                while s > begin and out[s - 1] > j:
                    out[s] = out[s - 1]
                    s -= 1
                out[s] = j
        indptr[i] = size
        for t in range(begin, end):
            if size == indptr[i] or out[size - 1] != out[t]:
                out[size] = out[t]
                size += 1
        begin = end
    indptr[n] = size
    return size


@njit(cache=True, nogil=True, error_model="numpy", parallel=True)
def arc_costs(x, y, indptr, cols, fold, power, cost):
    """Fill `cost` with c(x_i, y_j) on the arcs of a graph held by rows."""
    for i in prange(len(indptr) - 1):
        for e in range(indptr[i], indptr[i + 1]):
            cost[e] = pair_cost(x, i, y, cols[e], fold, power)
