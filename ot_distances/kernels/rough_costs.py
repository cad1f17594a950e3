"""Costs between a block of points and all others in float32, with a rigorous bound on what they are wrong by."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange

from .candidates import PARALLEL
from .distances import SQUARES, fold_row


def prepare(points: Any) -> Any:
    """(centre, centred points by coordinates in float32 with rows of ones and of squared lengths, the greatest length,
    how far centring rounds a coordinate)."""
    centre = points.mean(0)
    away = points - centre
    squares = np.einsum("ij,ij->i", away, away)
    rounding = max(np.abs(centre).max(), np.abs(points).max()) * 2.0**-51
    columns = np.concatenate((away.T, np.ones((1, len(points))), squares[None])).astype(np.float32)
    return centre, columns, np.sqrt(squares.max()), rounding


def fold(x: Any, prepared: Any, kind: int) -> Any:
    """(folded (k, m) float32, error (k,)): sum of squares, sum or maximum of |x_ik - y_jk|, each wrong by error[i]."""
    centre, columns, reach, rounding = prepared
    away = x - centre
    squares = np.einsum("ij,ij->i", away, away)
    length, d = np.sqrt(squares), x.shape[1]
    # Errors of the inputs in float32, of d + 2 products and sums in any order, and of the centring.
    if kind == SQUARES:
        rows = np.concatenate((-2 * away, squares[:, None], np.ones((len(x), 1))), axis=1).astype(np.float32)
        return rows @ columns, (d + 10) * 2.0**-23 * (length + reach) ** 2 + 8 * d * rounding * (length + reach)
    rough, points = away.astype(np.float32), columns[:d]
    folded = np.empty((len(x), points.shape[1]), np.float32)
    with PARALLEL:
        _fold(rough, points, kind, folded)
    return folded, (d + 10) * 2.0**-23 * np.sqrt(d) * (length + reach) + 8 * d * rounding


@njit(cache=True, nogil=True, error_model="numpy", parallel=True)
def _fold(x, y, fold, folded):
    """Fill `folded` (k, m) with sum or maximum of |x_ik - y_kj| in float32; y is held by coordinates, (d, m)."""
    for i in prange(x.shape[0]):
        for begin in range(0, y.shape[1], 2048):
            part = folded[i, begin : begin + 2048]
            part[:] = np.float32(0.0)
            fold_row(x[i], y, begin, fold, part)
