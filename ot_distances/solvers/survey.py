"""What one pass over a cost matrix tells before it is solved: its range, and where it is cheapest."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..problem import Array

Slices = Callable[..., None]  # see Market.in_slices
# Rows whose costs are added up at one time: not cut by the number of threads, on which no sum may depend.
PORTION = 512


@dataclass(frozen=True)
class Survey:
    """Of sign * cost with shape (n, m), n <= m.

    Attributes
    ----------
    low, high : float
        Least and greatest finite entry; 0 and 0 where there is none.
    finite : bool
        All entries are finite. (False may also say that a sum of them overflows.)
    numbers : bool
        No entry is nan or -inf. (False may also say that sums of them overflow both ways.)
    least : ndarray of float64, shape (m,) if n = m, else (n, 3)
        Least entry of every column; or, with n < m, the two least of every row and a bound below all others.
    sums : ndarray of float64, shape (m,), or of no length if n < m
        The sum of every column, if all entries are finite.
    choice : ndarray of intp, shape (n, 2), or of no length if n = m
        The columns of the two, -1 for none.
    """

    low: float
    high: float
    finite: bool
    numbers: bool
    least: Array
    sums: Array
    choice: Array


def survey(cost: Array, sign: float, in_slices: Slices) -> Survey:
    """Read the C-ordered float32 or float64 matrix `cost` once; `in_slices` deals its rows out to threads."""
    from ..kernels import survey as kernel

    n, m = cost.shape
    square = n == m
    choice, of_rows = np.empty((0 if square else n, 2), dtype=np.intp), np.empty((0 if square else n, 3))
    found = np.empty((3, -(-n // PORTION), m if square else kernel.LANES))
    found[0], found[1], found[2] = math.inf, -math.inf, 0.0

    def work(first: int, last: int) -> None:
        part = found[:, first // PORTION]
        if square:
            kernel.columns(cost, sign, first, last, *part)
        else:
            kernel.rows(cost, sign, first, last, choice, of_rows, *part[1:])

    in_slices(work, portion=PORTION)
    least, sums = (found[0].min(axis=0), found[2].sum(axis=0)) if square else (of_rows, of_rows[0, :0])
    low, high = float(least.min()), float(found[1].max())
    finite = bool(np.isfinite(found[2]).all())
    numbers = low > -math.inf and (finite or not np.isnan(found[2]).any())
    if low > high:  # all pairs are forbidden
        low = high = 0.0
    return Survey(low, high, finite, numbers, least, sums, choice)
