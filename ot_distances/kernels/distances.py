"""Coordinate differences of all pairs of two sets of points, folded as `costs.METRICS` says."""

import numpy as np
from numba import njit

SQUARES, ABSOLUTES, LARGEST = 0, 1, 2  # how coordinate differences fold
TILE = 512  # columns whose running values stay in the first-level cache


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def fold_row(point, columns, begin, fold, value):
    """Fold |point[k] - columns[k, begin + t]| over k into value[t], coordinate after coordinate."""
    for k in range(len(point)):
        here, there = point[k], columns[k, begin : begin + len(value)]
        if fold == SQUARES:
            for t in range(len(value)):
                difference = here - there[t]
                value[t] += difference * difference
        elif fold == ABSOLUTES:
            for t in range(len(value)):
                value[t] += abs(here - there[t])
        else:
            for t in range(len(value)):
                value[t] = max(value[t], abs(here - there[t]))


@njit(cache=True, nogil=True, error_model="numpy")
def fold_few(x, y, fold, folded):
    """folded[i, j] = |x[i, k] - y[j, k]| folded over k. Returns the least. Little to compile, for small problems."""
    least = np.inf
    for i in range(x.shape[0]):
        for j in range(y.shape[0]):
            value = 0.0
            for k in range(x.shape[1]):
                h = abs(x[i, k] - y[j, k])
                if fold == LARGEST:
                    value = h if h > value else value
                else:
                    value += h * h if fold == SQUARES else h
            least = value if value < least else least
            folded[i, j] = value
    return least


@njit(cache=True, nogil=True, error_model="numpy")
def fold_differences(x, columns, fold, folded):
    """Fold |x[i, k] - columns[k, j]| over k into folded[i, j], from what stands there on."""
    for i in range(len(x)):
        for begin in range(0, columns.shape[1], TILE):
            fold_row(x[i], columns, begin, fold, folded[i, begin : begin + TILE])
