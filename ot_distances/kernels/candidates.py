"""The least reduced costs c(x_i, y_j) - g_j of every row, through a k-d tree over the y or by blocks of all pairs.

A cost is fold(|x_k - y_k|) ** power with `fold` one of SQUARES, ABSOLUTES, LARGEST, evaluated as `costs.PointCost`
evaluates it: the minimum over the tree is bit by bit the minimum over all columns (to an ulp of `pow` for a general
power). A node is passed over only if the bound of its box, lowered by more than its rounding, exceeds what is known.
"""

import os
import threading
from functools import cache

import numpy as np
from numba import njit, prange, threading_layer

from .distances import ABSOLUTES, SQUARES, fold_row
from .kd_tree import LEAF

GROUP = 16  # rows that search together
RUN = 64  # columns looked at together, where all pairs are visited
CHUNK = 128  # rows in a work item: fixed, so that answers do not depend on the number of threads


class Region:
    """Calls parallel kernels, one at a time and where they may run.

    Where numba has no other threading layer than its own work queue, two of them at one time, as of a batch solved in
    threads, would abort the process. And GNU's OpenMP kills a process that was forked from one in which its threads
    ran, such as a worker of multiprocessing: there the kernels are compiled once more, without threads.
    """

    def __init__(self):
        self.launched = 0  # the process in which threads ran first
        self.renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.renew)

    def renew(self):
        """Another thread may have held the lock when the process was forked."""
        self.lock = threading.Lock()

    def __call__(self, kernel, *arguments):
        with self.lock:
            self.launched = self.launched or os.getpid()
            alone = self.launched != os.getpid() and threading_layer() == "omp"
            (_without_threads(kernel) if alone else kernel)(*arguments)


@cache
def _without_threads(kernel):
    return njit(nogil=True, error_model="numpy")(kernel.py_func)  # a cache on disk would hold one of the two


in_parallel = Region()


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
def _bounds_in_space(columns, row, d, power, bounds):
    """`_node_bound` of several points at a time, for distances in two or three dimensions and their squares.

    `columns` (3, k) holds the points by coordinates; the body of a loop has no branches, so that it becomes vectors.
    """
    x, y, z = columns[0], columns[1], columns[2]
    x_centre, x_half, x_slope, y_centre, y_half, y_slope = row[0], row[1], row[2], row[3], row[4], row[5]
    z_centre, z_half, z_slope = (row[6], row[7], row[8]) if d == 3 else (0.0, 0.0, 0.0)
    most, offset = row[3 * d], row[3 * d + 1]
    if power == 0.5:
        for r in range(len(bounds)):
            x_away, y_away, z_away = x_centre - x[r], y_centre - y[r], z_centre - z[r]
            x_out, y_out, z_out = abs(x_away) - x_half, abs(y_away) - y_half, abs(z_away) - z_half
            x_out, y_out, z_out = max(x_out, 0.0), max(y_out, 0.0), max(z_out, 0.0)
            box = np.sqrt(x_out * x_out + y_out * y_out + z_out * z_out) * (1.0 - 2.0**-40) - most
            cost = np.sqrt(x_away * x_away + y_away * y_away + z_away * z_away)
            rate = 1.0 / cost
            x_away, y_away, z_away = x_away * rate, y_away * rate, z_away * rate
            loss = abs(x_away - x_slope) * x_half + abs(y_away - y_slope) * y_half + abs(z_away - z_slope) * z_half
            size = (abs(x_away) + abs(x_slope)) * x_half + (abs(y_away) + abs(y_slope)) * y_half
            size += (abs(z_away) + abs(z_slope)) * z_half
            plane = cost - offset - loss - 2.0**-44 * (cost + abs(offset) + loss + 2.0 * size)
            bounds[r] = plane if plane > box else box  # not a number at the centre itself
        return
    for r in range(len(bounds)):
        x_away, y_away, z_away = x[r] - x_centre, y[r] - y_centre, z[r] - z_centre
        x_out, y_out, z_out = abs(x_away) - x_half, abs(y_away) - y_half, abs(z_away) - z_half
        x_out, y_out, z_out = max(x_out, 0.0), max(y_out, 0.0), max(z_out, 0.0)
        box = (x_out * x_out + y_out * y_out + z_out * z_out) * (1.0 - 2.0**-40) - most
        x_best = min(max(x_away + 0.5 * x_slope, -x_half), x_half)
        y_best = min(max(y_away + 0.5 * y_slope, -y_half), y_half)
        z_best = min(max(z_away + 0.5 * z_slope, -z_half), z_half)
        x_away, y_away, z_away = x_away - x_best, y_away - y_best, z_away - z_best
        x_gain, y_gain, z_gain = x_slope * x_best, y_slope * y_best, z_slope * z_best
        squares = x_away * x_away + y_away * y_away + z_away * z_away
        size = squares + abs(x_gain) + abs(y_gain) + abs(z_gain) + abs(offset)
        plane = squares - x_gain - y_gain - z_gain - offset - 2.0**-46 * size
        bounds[r] = plane if plane > box else box


@njit(cache=True, nogil=True, error_model="numpy")
def _node_bounds(group, columns, row, fold, power, limits, above, bounds):
    """`_node_bound` of each point of the group, (k, d), which `columns` (3, k) holds by coordinates as far as d = 3.

    `above` holds the bounds of a node around it: where these reach the limit, they may be kept.
    """
    if fold == SQUARES and 2 <= group.shape[1] <= 3 and (power == 0.5 or power == 1.0):
        _bounds_in_space(columns, row, group.shape[1], power, bounds)
        return
    for r in range(len(bounds)):
        limit = limits[r]
        bounds[r] = above[r] if above[r] >= limit else _node_bound(group[r], row, fold, power, limit)


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
def _raise_roughly(out, power):
    """Raise folded differences to a power of the distance that is no less than 1, or to somewhat less than that.

    `pow` takes longer than all else, and few columns need it: a convex power lies above its tangent at their mean.
    """
    if power == 0.5:
        for t in range(len(out)):
            out[t] = np.sqrt(out[t])
    if power == 1.0 or power == 0.5:
        return
    if power < 1.0:
        power *= 2.0
        for t in range(len(out)):
            out[t] = np.sqrt(out[t])
    mean = 0.0
    for t in range(len(out)):
        mean += out[t]
    mean /= len(out)
    cost = mean**power
    rate = power * cost / mean if mean > 0.0 else 0.0
    for t in range(len(out)):
        tangent = cost + rate * (out[t] - mean) - 2.0**-40 * (cost + rate * (out[t] + mean))
        out[t] = tangent if tangent > 0.0 else 0.0  # where that overflows, too


@njit(cache=True, nogil=True, error_model="numpy")
def _leaf_values(point, points, g, begin, fold, power, out):
    """Fill `out` with the reduced costs of the columns from `begin` on; `points` is (d, m)."""
    price = g[begin : begin + len(out)]
    if fold == SQUARES and len(point) == 2 and (power == 0.5 or power == 1.0):
        # In one loop, as most clouds lie in the plane.
        x, y = points[0, begin : begin + len(out)], points[1, begin : begin + len(out)]
        if power == 0.5:
            for t in range(len(out)):
                out[t] = np.sqrt((point[0] - x[t]) ** 2 + (point[1] - y[t]) ** 2) - price[t]
        else:
            for t in range(len(out)):
                out[t] = (point[0] - x[t]) ** 2 + (point[1] - y[t]) ** 2 - price[t]
        return
    for t in range(len(out)):
        out[t] = 0.0
    fold_row(point, points, begin, fold, out)
    _raise_roughly(out, power)
    for t in range(len(out)):
        out[t] -= price[t]


@njit(cache=True, nogil=True, error_model="numpy")
def _search(
    group, columns, y, points, g, tree, table, fold, power, limits, first, best, value, found, nodes, keys, values
):
    """For each point of the group: up to K columns of least reduced cost below its limit, which falls as they fill.

    Fills best[first + r] and value[first + r], ascending, and their number found[first + r]. A node is entered as long
    as one of the group may find something there.
    """
    start, stop, right = tree[0], tree[1], tree[2]
    for r in range(len(limits)):
        keys[0, r] = -np.inf
    _node_bounds(group, columns, table[0], fold, power, limits, keys[0], keys[0])
    nodes[0] = 0
    top = 1
    while top > 0:
        top -= 1
        v, key = nodes[top], keys[top]
        open_rows = 0
        for r in range(len(limits)):
            open_rows += key[r] < limits[r]
        if open_rows == 0:
            continue
        if right[v] >= 0:
            near, far = keys[top + 1], key
            nodes[top], nodes[top + 1] = right[v], v + 1
            _node_bounds(group, columns, table[v + 1], fold, power, limits, key, near)
            _node_bounds(group, columns, table[right[v]], fold, power, limits, key, far)
            balance = 0.0
            for r in range(len(limits)):
                balance += near[r] - far[r]
            if balance > 0:
                nodes[top], nodes[top + 1] = v + 1, right[v]
                for r in range(len(limits)):
                    near[r], far[r] = far[r], near[r]
            top += 2
            continue
        begin = start[v]
        out = values[: stop[v] - begin]
        for r in range(len(limits)):
            if key[r] >= limits[r]:
                continue
            _leaf_values(group[r], points, g, begin, fold, power, out)
            if _any_below(out, limits[r]):
                if power != 0.5 and power != 1.0:
                    for t in range(len(out)):
                        if out[t] < limits[r]:
                            out[t] = pair_cost(group, r, y, begin + t, fold, power) - g[begin + t]
                limits[r] = _take(out, begin, limits[r], first + r, best, value, found)


@njit(cache=True, nogil=True, error_model="numpy")
def _take(values, begin, limit, t, best, value, found):
    """Put the columns begin ... whose values are below the limit into the list of row t; returns its new limit."""
    size = best.shape[1]
    for s in range(len(values)):
        if values[s] < limit:
            found[t] = _insert(best[t], value[t], found[t], begin + s, values[s])
            if found[t] == size:
                limit = value[t, size - 1]
    return limit


@njit(cache=True, nogil=True, error_model="numpy")
def _any_below(values, limit):
    below = 0
    for t in range(len(values)):
        below += values[t] < limit
    return below > 0


@njit(cache=True, nogil=True, error_model="numpy", parallel=True)
def tree_candidates(x, rows, y, points, g, tree, table, fold, power, limits, first, last, best, value, found):
    """For t in first ... last - 1 and i = rows[t]: the columns of least c(x_i, y_j) - g_j, if below limits[t].

    Fills best[t] and value[t], (K,) each, K <= m, ascending, and their number found[t], 0 on entry. `tree` is over y,
    which `points` holds by coordinates, (d, m); `table` is what `bound_nodes` says of g there. Rows in tree order are
    fastest, as they search in groups, and the list of a row bounds those of the next group.
    """
    d = x.shape[1]
    for chunk in prange((last - first + CHUNK - 1) // CHUNK):
        nodes, keys, values = np.empty(128, np.intp), np.empty((128, GROUP)), np.empty(LEAF)
        group, columns, limit = np.empty((GROUP, d)), np.zeros((3, GROUP)), np.empty(GROUP)
        begin = first + chunk * CHUNK
        end = min(begin + CHUNK, last)
        for t in range(begin, end, GROUP):
            count = min(GROUP, end - t)
            for r in range(GROUP):
                i = rows[t + min(r, count - 1)]
                for k in range(d):
                    group[r, k] = x[i, k]
                for k in range(min(d, 3)):
                    columns[k, r] = x[i, k]
                limit[r] = limits[t + r] if r < count else -np.inf  # nothing is sought for what fills the group
                if t > begin and r < count:
                    limit[r] = min(limit[r], _limit_of_list(x, i, y, g, fold, power, best[t - 1], found[t - 1]))
            _search(
                group, columns, y, points, g, tree, table, fold, power, limit, t, best, value, found, nodes, keys,
                values,
            )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy", parallel=True)
def block_candidates(x, rows, y, g, folded, error, fold, power, limits, first, best, value, found):
    """As `tree_candidates`, from rough values of all pairs: folded[t - first, j], which may be wrong by `error`.

    `folded` is float32; what its error leaves in doubt is evaluated in float64.
    """
    count = len(folded)
    for chunk in prange((count + GROUP - 1) // GROUP):
        bounds, exact = np.empty(RUN), np.empty(1)
        for s in range(chunk * GROUP, min(chunk * GROUP + GROUP, count)):
            t = first + s
            i, limit = rows[t], limits[t]
            if s > chunk * GROUP:
                limit = min(limit, _limit_of_list(x, i, y, g, fold, power, best[t - 1], found[t - 1]))
            for begin in range(0, len(y), RUN):
                rough, price = folded[s, begin : begin + RUN], g[begin : begin + RUN]
                out = bounds[: len(rough)]
                _rough_bounds(rough, error[s], price, power, out)
                if not _any_below(out, limit):
                    continue
                for k in range(len(out)):
                    if out[k] < limit:
                        exact[0] = pair_cost(x, i, y, begin + k, fold, power) - price[k]
                        limit = _take(exact, begin + k, limit, t, best, value, found)


@njit(cache=True, nogil=True, error_model="numpy")
def _limit_of_list(x, i, y, g, fold, power, columns, found):
    """Just above the worst of a full list of columns, as seen from row i, so that as many meet this limit; else inf."""
    if found < len(columns):
        return np.inf
    worst = -np.inf
    for j in columns:
        worst = max(worst, pair_cost(x, i, y, j, fold, power) - g[j])
    return np.nextafter(worst, np.inf)


@njit(cache=True, nogil=True, error_model="numpy")
def _rough_bounds(rough, error, price, power, out):
    """Fill `out` with lower bounds on reduced costs from their folded differences, which may be wrong by `error`."""
    for k in range(len(out)):
        least = rough[k] - error
        out[k] = least if least > 0.0 else 0.0
    _raise_roughly(out, power)
    for k in range(len(out)):
        out[k] = out[k] * (1.0 - 2.0**-40) - price[k]


@njit(cache=True, nogil=True, error_model="numpy")
def _sort_steps(out, begin, end, gap):
    """Insertion sort of out[begin : end] in steps of `gap`: all of it with 1, most of it before (Shell, CACM 1959)."""
    for t in range(begin + gap, end):
        j, s = out[t], t
        while s >= begin + gap and out[s - gap] > j:
            out[s] = out[s - gap]
            s -= gap
        out[s] = j


@njit(cache=True, nogil=True, error_model="numpy")
def gather_rows(n, rows, cols, indptr, out):
    """Sort the pairs by row, then column, and drop repeats: fills indptr (n + 1,) and out[:k], returns k."""
    for i in range(n + 1):
        indptr[i] = 0
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
        gap = 1
        while gap < (end - begin) // 64:
            gap = 3 * gap + 1
        while gap > 1:
            _sort_steps(out, begin, end, gap)
            gap //= 3
        _sort_steps(out, begin, end, 1)
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
