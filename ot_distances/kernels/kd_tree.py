"""A k-d tree over points that lie in its order: every node is a run of neighbours with a bounding box.

The tree is four arrays. Nodes are numbered in preorder, so the left child of node v is v + 1; `right[v]` is the other
child, or -1 at a leaf; node v holds the points start[v] ... stop[v] - 1. Where a run is cut depends on its length
alone: the clusters of a coarser level are then runs of equal length, and whole nodes.
"""

import numpy as np
from numba import njit

LEAF = 64  # points in a leaf: fewer cost more node visits than the distances they save


@njit(cache=True, nogil=True, error_model="numpy")
def _cut(count, grains):
    """Length of the left part of a run of `count` > 1 points: about half, a multiple of the largest fitting grain."""
    half = (count + 1) // 2
    for grain in grains:
        if grain < count:
            return min(max((half + grain // 2) // grain, 1), (count - 1) // grain) * grain
    return half


@njit(cache=True, nogil=True, error_model="numpy")
def _select(keys, order, start, stop, nth):
    """Quickselect: order[start:nth] have keys <= those of order[nth:stop]."""
    low, high = start, stop - 1
    while low < high:
        pivot = keys[order[(low + high) >> 1]]
        i, j = low, high
        while i <= j:
            while keys[order[i]] < pivot:
                i += 1
            while keys[order[j]] > pivot:
                j -= 1
            if i <= j:
                order[i], order[j] = order[j], order[i]
                i += 1
                j -= 1
        if nth <= j:
            high = j
        elif nth >= i:
            low = i
        else:
            return


@njit(cache=True, nogil=True, error_model="numpy")
def sort_points(points, grains, order):
    """Fill `order` with the indices of the points in tree order; runs are cut down to single points.

    `grains`: the cluster sizes to keep together, descending. O(n d log n).
    """
    n, d = points.shape
    keys = np.empty(n)
    starts, stops = np.empty(128, dtype=np.intp), np.empty(128, dtype=np.intp)
    for i in range(n):
        order[i] = i
    starts[0], stops[0] = 0, n
    top = 1
    while top > 0:
        top -= 1
        start, stop = starts[top], stops[top]
        if stop - start < 2:
            continue
        widest, axis = -1.0, 0
        for k in range(d):
            low, high = np.inf, -np.inf
            for t in range(start, stop):
                value = points[order[t], k]
                low, high = min(low, value), max(high, value)
            if high - low > widest:
                widest, axis = high - low, k
        middle = start + _cut(stop - start, grains)
        if widest > 0:
            for t in range(start, stop):
                keys[order[t]] = points[order[t], axis]
            _select(keys, order, start, stop, middle)
        # The longer part waits below: the stack stays as deep as the logarithm of n.
        if middle - start > stop - middle:
            starts[top], stops[top] = start, middle
            starts[top + 1], stops[top + 1] = middle, stop
        else:
            starts[top], stops[top] = middle, stop
            starts[top + 1], stops[top + 1] = start, middle
        top += 2


@njit(cache=True, nogil=True, error_model="numpy")
def _topology(n, grains, start, stop, right):
    """Lay out the nodes in preorder; returns their number. Counts only where the arrays are empty."""
    fill = len(start) > 0
    starts, stops, parents = np.empty(128, np.intp), np.empty(128, np.intp), np.empty(128, np.intp)
    starts[0], stops[0], parents[0] = 0, n, -1
    top, nodes = 1, 0
    while top > 0:
        top -= 1
        first, last, parent = starts[top], stops[top], parents[top]
        if fill:
            start[nodes], stop[nodes], right[nodes] = first, last, -1
            if parent >= 0:
                right[parent] = nodes
        if last - first > LEAF:
            middle = first + _cut(last - first, grains)
            starts[top], stops[top], parents[top] = middle, last, nodes
            starts[top + 1], stops[top + 1], parents[top + 1] = first, middle, -1
            top += 2
        nodes += 1
    return nodes


@njit(cache=True, nogil=True, error_model="numpy")
def build_tree(points, grains):
    """(start, stop, right, low, high) of the tree over points in tree order; low and high are its boxes."""
    n, d = points.shape
    none = np.empty(0, dtype=np.intp)
    nodes = _topology(n, grains, none, none, none)
    start, stop, right = np.empty(nodes, np.intp), np.empty(nodes, np.intp), np.empty(nodes, np.intp)
    _topology(n, grains, start, stop, right)
    low, high = np.empty((nodes, d)), np.empty((nodes, d))
    for v in range(nodes - 1, -1, -1):
        for k in range(d):
            if right[v] >= 0:
                low[v, k] = min(low[v + 1, k], low[right[v], k])
                high[v, k] = max(high[v + 1, k], high[right[v], k])
            else:
                low[v, k], high[v, k] = np.inf, -np.inf
                for t in range(start[v], stop[v]):
                    low[v, k] = min(low[v, k], points[t, k])
                    high[v, k] = max(high[v, k], points[t, k])
    return start, stop, right, low, high


@njit(cache=True, nogil=True, error_model="numpy")
def _fit_slope(points, values, start, stop, slope, normal):
    """Fill `slope` with the least squares gradient of the values over a run, from 64 of its points at most."""
    d = points.shape[1]
    step = max(1, (stop - start) // 64)
    count = (stop - start + step - 1) // step
    centre = np.zeros(d + 1)
    for t in range(start, stop, step):
        for k in range(d):
            centre[k] += points[t, k] / count
        centre[d] += values[t] / count
    for k in range(d):
        for s in range(d + 1):
            normal[k, s] = 0.0
    for t in range(start, stop, step):
        for k in range(d):
            a = points[t, k] - centre[k]
            normal[k, d] += a * (values[t] - centre[d])
            for s in range(k + 1):
                normal[k, s] += a * (points[t, s] - centre[s])
    trace = 0.0
    for k in range(d):
        trace += normal[k, k]
    # Cholesky in place; directions in which the run has no extent get no slope.
    for k in range(d):
        for s in range(k + 1):
            value = normal[k, s]
            for r in range(s):
                value -= normal[k, r] * normal[s, r]
            if s < k:
                normal[k, s] = value / normal[s, s]
            else:
                normal[k, k] = np.sqrt(value) if value > 1e-9 * trace else np.inf
    for k in range(d):
        value = normal[k, d]
        for s in range(k):
            value -= normal[k, s] * slope[s]
        slope[k] = value / normal[k, k]
    for k in range(d - 1, -1, -1):
        value = slope[k]
        for s in range(k + 1, d):
            value -= normal[s, k] * slope[s]
        slope[k] = value / normal[k, k]


@njit(cache=True, nogil=True, error_model="numpy")
def bound_nodes(points, values, tree, affine, table):
    """Fill `table` (nodes, 3 d + 2) with what a search needs of each node, in one or two cache lines.

    Row v holds centre, half extent and slope of each coordinate, then two bounds on the values y in the node from
    above: their maximum, and the offset of offset + slope . (y - centre), exact to second order in the extent of the
    node. Without `affine` slopes are 0 and the offset is that maximum.
    """
    start, stop, right, low, high = tree
    d = points.shape[1]
    normal, slope = np.empty((d, d + 1)), np.zeros(d)
    for v in range(len(start) - 1, -1, -1):
        row = table[v]
        for k in range(d):
            centre = 0.5 * (low[v, k] + high[v, k])
            half = max(high[v, k] - centre, centre - low[v, k])
            row[3 * k], row[3 * k + 1] = centre, half * (1.0 + 2.0**-51)
        if right[v] >= 0:
            row[3 * d] = max(table[v + 1, 3 * d], table[right[v], 3 * d])
        else:
            row[3 * d] = -np.inf
            for t in range(start[v], stop[v]):
                row[3 * d] = max(row[3 * d], values[t])
        most, size = row[3 * d], 0.0
        if affine:
            _fit_slope(points, values, start[v], stop[v], slope, normal)
            most = -np.inf
            for t in range(start[v], stop[v]):
                value = values[t]
                for k in range(d):
                    value -= slope[k] * (points[t, k] - row[3 * k])
                most = max(most, value)
            size = abs(most) + abs(row[3 * d])
            for k in range(d):
                size += 2.0 * abs(slope[k]) * row[3 * k + 1]
        for k in range(d):
            row[3 * k + 2] = slope[k]
        row[3 * d + 1] = most + 2.0**-48 * size
