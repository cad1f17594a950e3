"""Coordinate differences of all pairs of two sets of points, folded as `costs.METRICS` says."""

from numba import njit

from .candidates import ABSOLUTES, SQUARES

TILE = 512  # columns whose running values stay in the first-level cache


@njit(cache=True, nogil=True, error_model="numpy")
def fold_differences(x, columns, fold, folded):
    """Fold |x[i, k] - columns[k, j]| over k into folded[i, j], coordinate after coordinate, from 0 on."""
    n, d = x.shape
    m = columns.shape[1]
    for i in range(n):
        for begin in range(0, m, TILE):
            value = folded[i, begin : begin + TILE]
            for k in range(d):
                here, there = x[i, k], columns[k, begin : begin + TILE]
                if fold == SQUARES:
                    for j in range(len(value)):
                        difference = here - there[j]
                        value[j] += difference * difference
                elif fold == ABSOLUTES:
                    for j in range(len(value)):
                        value[j] += abs(here - there[j])
                else:
                    for j in range(len(value)):
                        value[j] = max(value[j], abs(here - there[j]))
