"""Costs between a block of points and all others in float32, with a rigorous bound on what they are wrong by."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import get_num_threads, njit, prange

from .candidates import in_parallel
from .distances import SQUARES, fold_row

# Products of up to FEW_TERMS terms are made in pieces of ROWS rows and of PIECE multiplications, so small that BLAS
# does not wake its own threads, which would then be in the way of those of the search.
FEW_TERMS, ROWS, PIECE = 130, 64, 2**18


def prepare(points: Any, kind: int) -> Any:
    """(centre, centred points in float32, their greatest length, how far centring rounds a coordinate).

    The points are held by coordinates, (d, m); for squares one by one, with 1 and their squared length: (m, d + 2).
    """
    centre = points.mean(0)
    away = points - centre
    squares = np.einsum("ij,ij->i", away, away)
    rounding = max(np.abs(centre).max(), np.abs(points).max()) * 2.0**-51
    held = np.column_stack((away, np.ones(len(points)), squares)) if kind == SQUARES else away.T
    return centre, np.ascontiguousarray(held, dtype=np.float32), np.sqrt(squares.max()), rounding


def fold(x: Any, prepared: Any, kind: int) -> Any:
    """(folded (k, m) float32, error (k,)): sum of squares, sum or maximum of |x_ik - y_jk|, each wrong by error[i]."""
    centre, points, reach, rounding = prepared
    away = x - centre
    squares = np.einsum("ij,ij->i", away, away)
    length, d = np.sqrt(squares), x.shape[1]
    # Errors of the inputs in float32, of d + 2 products and sums in any order, and of the centring.
    if kind == SQUARES:
        rows = np.column_stack((-2 * away, squares, np.ones(len(x)))).astype(np.float32)
        return _product(rows, points), (d + 10) * 2.0**-23 * (length + reach) ** 2 + 8 * d * rounding * (length + reach)
    rough = away.astype(np.float32)
    folded = np.empty((len(x), points.shape[1]), np.float32)
    in_parallel(_fold, rough, points, kind, folded)
    return folded, (d + 10) * 2.0**-23 * np.sqrt(d) * (length + reach) + 8 * d * rounding


def _product(rows: Any, columns: Any) -> Any:
    """rows @ columns.T."""
    if rows.shape[1] > FEW_TERMS or get_num_threads() == 1:
        return rows @ columns.T
    product = np.empty((len(rows), len(columns)), np.float32)
    in_parallel(_multiply, rows, columns, PIECE // (ROWS * rows.shape[1]), product)
    return product


@njit(cache=True, nogil=True, error_model="numpy", parallel=True)
def _multiply(rows, columns, size, product):
    """Fill `product` with rows @ columns.T, `size` columns at a time."""
    for chunk in prange((len(rows) + ROWS - 1) // ROWS):
        first = chunk * ROWS
        part = rows[first : first + ROWS]
        for begin in range(0, len(columns), size):
            piece = np.dot(part, columns[begin : begin + size].T)
            for i in range(len(part)):
                out = product[first + i, begin : begin + size]
                for j in range(len(out)):
                    out[j] = piece[i, j]


@njit(cache=True, nogil=True, error_model="numpy", parallel=True)
def _fold(x, y, fold, folded):
    """Fill `folded` (k, m) with sum or maximum of |x_ik - y_kj| in float32; y is held by coordinates, (d, m)."""
    for i in prange(x.shape[0]):
        for begin in range(0, y.shape[1], 2048):
            part = folded[i, begin : begin + 2048]
            part[:] = np.float32(0.0)
            fold_row(x[i], y, begin, fold, part)
