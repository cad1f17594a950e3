"""The c-transform between clouds of points, without a cost matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import candidates, kd_tree, rough_costs

# From this dimension on boxes no longer prune: all pairs are visited, in blocks.
BLOCK_DIMENSION = 9

# Affine bounds take d**2 operations for each point and level of the tree, and pay where boxes prune.
AFFINE_DIMENSION = 6

# Rows in a call of a kernel, so that Ctrl-C is seen between calls; values held at a time by the search in blocks.
SLICE = 2**13
BLOCK_VALUES = 2**21


def c_transform(x: Any, y: Any, g: Any, fold: int, power: float) -> Any:
    """f_i = min_j c(x_i, y_j) - g_j over the columns with g_j > -inf, as float64 evaluates each of them.

    c = fold(|x - y|) ** power with a fold of `distances`. About O((n + m) log m) where d is small, O(n m d) else.
    """
    cols = np.flatnonzero(g > -np.inf)
    y, g = y[cols], g[cols]
    n, d = x.shape
    best, value, found = np.zeros((n, 1), np.intp), np.full((n, 1), np.inf), np.zeros(n, np.intp)
    limits = np.full(n, np.inf)
    if d >= BLOCK_DIMENSION:
        prepared = rough_costs.prepare(y, fold)
        step = max(1, BLOCK_VALUES // len(y))
        for first in range(0, n, step):
            folded, error = rough_costs.fold(x[first : first + step], prepared, fold)
            candidates.in_parallel(
                candidates.block_candidates, x, np.arange(n), y, g, folded, error, fold, power, limits, first, best,
                value, found,
            )  # fmt: skip
        return value[:, 0]
    grains = np.empty(0, np.intp)
    rows, order = np.empty(n, np.intp), np.empty(len(y), np.intp)
    kd_tree.sort_points(x, grains, rows)
    kd_tree.sort_points(y, grains, order)
    x, everyone = np.ascontiguousarray(x[rows]), np.arange(n)
    y, g = np.ascontiguousarray(y[order]), g[order]
    tree = kd_tree.build_tree(y, grains)
    table = np.empty((len(tree[0]), 3 * d + 2))
    kd_tree.bound_nodes(y, g, tree, d <= AFFINE_DIMENSION, table)
    points = np.ascontiguousarray(y.T)
    for first in range(0, n, SLICE):
        last = min(first + SLICE, n)
        candidates.in_parallel(
            candidates.tree_candidates, x, everyone, y, points, g, tree, table, fold, power, limits, first, last, best,
            value, found,
        )  # fmt: skip
    f = np.empty(n)
    f[rows] = value[:, 0]
    return f
