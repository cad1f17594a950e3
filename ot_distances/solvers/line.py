"""Points on a line: the monotone coupling is optimal for every convex cost, whatever the weights."""

from __future__ import annotations

import numpy as np

from ..costs import PointCost
from ..problem import Array, Flow, TransportProblem


def line(problem: TransportProblem) -> Flow:
    """The north-west corner rule on sorted atoms, with potentials along its staircase.

    Notes
    -----
    O((n + m) log(n + m)) time. The staircase visits n + m - 1 cells from the first pair of atoms to the last;
    each step moves on by one row or one column, so that the cost of its cell fixes one more potential.

    References
    ----------
    A. J. Hoffman, On simple linear programming problems, Proc. Symp. Pure Math. 7, 1963.
    F. Santambrogio, Optimal Transport for Applied Mathematicians, chapter 2, Birkhäuser, 2015.
    """
    cost = problem.cost
    if not isinstance(cost, PointCost):
        raise TypeError("the line solver takes points")
    n, m = problem.shape
    row_order, col_order = cost.line_orders
    ordered = cost.select(row_order, col_order)  # in memory too: to look up pairs is what takes the time
    g, size = np.empty(m), 8 * 20 * (n + m)  # the arrays below, and the points in order
    if problem.is_assignment and problem.power < np.inf:
        g[col_order] = _along_diagonal(ordered)
        return Flow(row_order, col_order, problem.row_mass, g, None, size)
    row_ends = np.cumsum(problem.row_mass[row_order])
    col_ends = np.cumsum(problem.col_mass[col_order])

    cuts = np.concatenate((row_ends[:-1], col_ends[:-1]))  # the masses at which the staircase turns
    order = np.argsort(cuts, kind="stable")
    down = order < n - 1  # this step leaves a row, else a column
    i = np.concatenate(([0], np.cumsum(down)))
    j = np.concatenate(([0], np.cumsum(~down)))
    mass = np.diff(cuts[order], prepend=0, append=problem.total)
    rows, cols = row_order[i], col_order[j]

    entries = ordered.entries(i, j)
    if problem.power == np.inf:
        f, g = _violators(problem, cost, entries, mass, (i, j), (row_order, col_order))
    else:
        f = None
        # A step along a row raises g by the difference of its two cells; a step down a column keeps it.
        rise = np.diff(entries)
        tied = np.flatnonzero(mass == 0)
        other = ordered.entries(i[tied - 1], j[tied + 1]) - entries[tied - 1]
        rise[tied] = _nearest_to_0(rise[tied], other)
        g[col_order] = _risen(rise[~down])
    return Flow(rows, cols, mass, g, f, size)


def _along_diagonal(ordered: PointCost) -> Array:
    """The column potentials, in order, where each row goes to the column in the same place."""
    k = np.arange(len(ordered.x))
    paid, below, beside = (ordered.entries(*pair) for pair in ((k, k), (k[1:], k[:-1]), (k[:-1], k[1:])))
    return _risen(_nearest_to_0(paid[1:] - below, beside - paid[:-1]))


def _nearest_to_0(one: Array, other: Array) -> Array:
    """Where a row and a column end together, either may be left first, and any rise between the two proves as much.

    The one nearest to 0 keeps the potentials as small as the moves are, however far apart the atoms lie.
    """
    nearest: Array = np.maximum(np.minimum(0.0, np.maximum(one, other)), np.minimum(one, other))
    return nearest


def _risen(steps: Array) -> Array:
    """Potentials that rise by these steps, added up from the middle outwards.

    Far atoms have large potentials, whose rounding stays with them.
    """
    middle = len(steps) // 2
    return np.concatenate((-np.cumsum(steps[:middle][::-1])[::-1], [0.0], np.cumsum(steps[middle:])))


def _violators(
    problem: TransportProblem,
    cost: PointCost,
    entries: Array,
    mass: Array,
    staircase: tuple[Array, Array],
    orders: tuple[Array, Array],
) -> tuple[Array, Array]:
    """Hall's proof that no plan avoids the longest move: all atoms at or beyond one end of it, against those before."""
    n, m = problem.shape
    longest = int(np.argmax(np.where(mass > 0, entries, -1.0)))
    i, j = staircase[0][longest], staircase[1][longest]
    row_rank, col_rank = np.empty(n, np.intp), np.empty(m, np.intp)
    row_rank[orders[0]], col_rank[orders[1]] = np.arange(n), np.arange(m)
    x, y = cost.x[orders[0][i], 0], cost.y[orders[1][j], 0]
    to_the_right = y > x
    near = row_rank > i if to_the_right else row_rank < i
    crowded = col_rank >= j if to_the_right else col_rank <= j
    return np.where(near, -1.0, 0.0), np.where(crowded, 1.0, 0.0)
