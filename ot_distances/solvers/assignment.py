"""Minimum cost matching of the rows of a cost matrix to its columns, with dual prices: one problem or a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..problem import Array, Flow, TransportProblem

# Entries that a kernel reads before it returns, so that Python can see a Ctrl-C: about a tenth of a second.
SLICE = 50_000_000


@dataclass(frozen=True)
class Matching:
    """Who goes with whom, and the prices that prove it.

    Attributes
    ----------
    col_of_row : ndarray of intp, shape (n,)
        -1 where a row stays unmatched, which happens only where n > m.
    u, v : ndarray of float64, shapes (n,) and (m,)
        u_i + v_j <= cost_ij to rounding, with equality on matched pairs. The duals of unmatched rows or columns
        are 0 and all others on that side at most 0.
    method : str
        The algorithm that ran.
    bytes : int
        The memory taken besides the matrix that was handed in.
    """

    col_of_row: Array
    u: Array
    v: Array
    method: str
    bytes: int


def match(cost: Array, *, sign: float = 1.0) -> Matching:
    """The matching of min(n, m) pairs with the least sum of `sign * cost`.

    Parameters
    ----------
    cost : ndarray, shape (n, m)
        Real numbers without nan, in any memory order; `sign * cost` = +inf forbids a pair, -inf must not occur.
    sign : float, default 1.0
        -1.0 asks for the greatest sum, without a negated copy; the duals are then those of the negated costs.

    Raises
    ------
    ValueError
        No matching of min(n, m) allowed pairs exists; the text names rows that compete for too few columns.
    """
    n, m = cost.shape
    turned = n > m or (n == m and cost.flags.f_contiguous and not cost.flags.c_contiguous)
    wide = _readable(cost.T if turned else cost)
    u, v, col_of_row, row_of_col, method, size = _match_wide(wide, sign, turned)
    size += 0 if np.shares_memory(wide, cost) else wide.nbytes
    if turned:
        return Matching(row_of_col, v, u, method, size)
    return Matching(col_of_row, u, v, method, size)


def assignment(problem: TransportProblem) -> Flow:
    """A transport problem with as many rows as columns, all of one mass: an optimal permutation (Birkhoff)."""
    cost = problem.cost.matrix()
    matching = match(cost)
    n = len(matching.u)
    return Flow(
        np.arange(n), matching.col_of_row, problem.row_mass, matching.v, None, 8 * n * n + matching.bytes
    )


def _readable(cost: Array) -> Array:
    """The same numbers as float32 or float64 with contiguous rows, copied only where they are not so already."""
    kind = cost.dtype if cost.dtype in (np.float32, np.float64) else np.float64
    return np.ascontiguousarray(cost, dtype=kind)


def _match_wide(cost: Array, sign: float, turned: bool) -> tuple[Array, Array, Array, Array, str, int]:
    from ..kernels import shortest_path as kernel

    n, m = cost.shape
    u, v = np.zeros(n), np.zeros(m)
    if n == m:
        v.fill(np.inf)
        for first in range(0, n, max(1, SLICE // m)):
            kernel.column_minima(cost, sign, first, min(n, first + max(1, SLICE // m)), v)
        if np.isinf(v).any():
            column = int(np.argmax(np.isinf(v)))
            raise ValueError(_infeasible([column], [], not turned, n, m))
    col_of_row, row_of_col = np.full(n, -1), np.full(m, -1)
    queue = np.arange(n)[::-1].copy()
    space = np.empty(m), np.empty(m), np.empty(m, dtype=np.intp), np.empty(m)
    state = np.zeros(kernel.STATE_SLOTS, dtype=np.intp)
    state[kernel.QUEUED] = n
    status = kernel.RUNNING
    while status == kernel.RUNNING:
        status = kernel.augment(
            cost, sign, u, v, col_of_row, row_of_col, queue, *space, state, 4 * n, np.iinfo(np.intp).max, SLICE
        )
    if status == kernel.INFEASIBLE:
        cols = space[2][: state[kernel.SETTLED]]
        raise ValueError(_infeasible([state[kernel.TARGET], *row_of_col[cols]], cols, turned, n, m))
    size = 8 * (4 * n + 6 * m)
    return u, v, col_of_row, row_of_col, "shortest augmenting paths", size


def _infeasible(rows: Sequence[int] | Array, cols: Sequence[int] | Array, turned: bool, n: int, m: int) -> str:
    """The sentence for rows that are allowed fewer columns than they are; `turned` swaps the two words."""
    row, col = ("columns", "rows") if turned else ("rows", "columns")
    few = f"columns {_listed(cols)}" if row == "rows" else f"rows {_listed(cols)}"
    allowed = f"only {few}" if len(cols) else f"no {col} at all"
    return (
        f"`cost_matrix` must allow a matching of {min(n, m)} pairs, but {row} {_listed(rows)} are allowed {allowed}. "
        "Make some of the +inf entries there finite, or leave out what cannot be matched."
    )


def _listed(numbers: Sequence[int] | Array, most: int = 8) -> str:
    head = ", ".join(str(int(k)) for k in sorted(numbers)[:most])
    return f"[{head}]" if len(numbers) <= most else f"[{head}, ...] ({len(numbers)} in all)"
