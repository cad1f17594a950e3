"""General weights on a dense cost: network simplex on the arcs that matter, priced against all of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..costs import NOISE, DenseCost, made_bytes, require_memory
from ..problem import Array, Flow, TransportProblem
from .assignment import match
from .basis import filled, forest_order, pivot_to_optimum, starting_tree, tree_arcs, tree_potential

# Up to SMALL arcs one compiled call with all of them is the fastest; up to MOST also where one side, of FEW at most, is
# LONG times shorter than the other. Beyond, arcs enter the graph as pricing finds them.
SMALL, MOST, FEW, LONG = 2**18, 2**24, 2**9, 4

# Candidate arcs for each row and column at the start, and violated arcs that a row may add in one round of pricing.
CANDIDATES = 8

# Entries read, or nodes of a small problem moved, between two chances for Ctrl-C: well below a second at any size.
SLICE = 100_000_000


@dataclass
class _Arcs:
    """Candidate arcs by row; costs are reduced by the starting potentials."""

    start: Array  # (n + 1,)
    heads: Array
    costs: Array

    @property
    def tails(self) -> Array:
        return np.repeat(np.arange(len(self.start) - 1), np.diff(self.start))


def network_simplex(problem: TransportProblem) -> Flow:
    """Solve on candidate arcs, price all pairs, add what violates dual feasibility, repeat from the basis.

    The support of `problem.start` is filled before all other pairs: where its masses fit, that plan is the first.

    Notes
    -----
    The starting basis is greedy along the arcs of least reduced cost, so that no artificial arc of large cost
    (and no loss of digits to one) is needed; only forbidden pairs get a large finite cost.

    References
    ----------
    G. B. Dantzig, Linear Programming and Extensions, chapter 17, Princeton University Press, 1963.
    W. H. Cunningham, A network simplex method, Mathematical Programming 11, 1976.
    """
    n, m = problem.shape
    if n == 1 or m == 1:
        return _only_plan(problem)
    held = 8 * n * m * (1 if isinstance(problem.cost, DenseCost) else 2)  # at times a copy beside the matrix
    require_memory(held, f"A {n} x {m} cost matrix with a copy", 'For points, use method="auto".')
    matrix = problem.cost.matrix()
    solve = _solve_at_once if _at_once(n, m) else _solve
    if not problem.cost.forbids:
        return solve(problem, matrix)
    low, high = problem.cost.range()
    penalty = 16 * (high - low) + abs(high) + 1e-300
    while True:
        flow = solve(problem, np.where(np.isinf(matrix), high + penalty, matrix))
        forbidden = np.isinf(problem.cost.entries(flow.rows, flow.cols))
        used = forbidden & (flow.mass > 0)
        if not used.any():
            allowed = ~forbidden
            return replace(flow, rows=flow.rows[allowed], cols=flow.cols[allowed], mass=flow.mass[allowed])
        if penalty > 4 * min(n, m) * (high - low) + abs(high):
            raise _no_plan(flow.rows, flow.cols, used)
        penalty *= 16


def _no_plan(rows: Array, cols: Array, used: Array) -> ValueError:
    k = int(np.argmax(used))
    return ValueError(
        "`cost_matrix` must allow a plan with finite cost, but the forbidden pairs (+inf) leave none: some "
        f"mass of row {rows[k]} can go nowhere but to column {cols[k]}. Allow more pairs."
    )


def _only_plan(problem: TransportProblem) -> Flow:
    """One atom on one side: the product plan."""
    n, m = problem.shape
    rows, cols = np.repeat(np.arange(n), m), np.tile(np.arange(m), n)
    mass = problem.row_mass if m == 1 else problem.col_mass
    costs = problem.cost.entries(rows, cols)
    used = np.isinf(costs) & (mass > 0)
    if used.any():
        raise _no_plan(rows, cols, used)
    return Flow(rows, cols, mass, np.zeros(1) if m == 1 else costs, None, 40 * n * m)


def _at_once(n: int, m: int) -> bool:
    few, many = min(n, m), max(n, m)
    return n * m <= SMALL or (few <= FEW and many >= LONG * few and n * m <= MOST)


def _solve_at_once(problem: TransportProblem, matrix: Array) -> Flow:
    """On all arcs, in one compiled call whose rows are the shorter side."""
    from ..kernels import small_transport as kernel

    n, m = matrix.shape
    turned = n > m
    cost = np.ascontiguousarray(matrix.T if turned else matrix)
    sides = (problem.col_mass, problem.row_mass) if turned else (problem.row_mass, problem.col_mass)
    flow, links = np.concatenate(sides), np.empty((kernel.LINKS, n + m), np.int64)
    potential, shift, reduced = np.empty(n + m), np.empty(n + m), np.empty(cost.shape)
    potential[: len(cost)] = _row_prices(problem.start, cost, turned)
    planted, limit = False, SLICE // (n + m)
    while True:
        problem.watch.check(f"{n * m} arcs")
        if kernel.transport(cost, planted, links, flow, potential, shift, reduced, NOISE, limit) < limit:
            break
        planted = True
    parent, child = links[kernel.PARENT, :-1], np.arange(n + m - 1)
    rows, cols = np.minimum(child, parent), np.maximum(child, parent) - len(cost)
    size = made_bytes(problem.cost, matrix) + links.nbytes + (2 if turned else 1) * reduced.nbytes
    if turned:
        return Flow(cols, rows, flow[:-1], potential[:m], None, size)
    return Flow(rows, cols, flow[:-1], potential[n:], None, size)


def _row_prices(start: Flow | None, cost: Array, turned: bool) -> Array:
    """Prices of the rows, which are the user's columns if `turned`, to start from."""
    if start is None or not np.isfinite(start.g).all():
        return cost.min(axis=1)
    return start.g if turned else (cost - start.g).min(axis=1)


def _solve(problem: TransportProblem, matrix: Array) -> Flow:
    from ..kernels import network_simplex as kernel

    n, m = matrix.shape
    start, check = problem.start, problem.watch.check
    first = np.empty(0, np.intp), np.empty(0, np.intp)
    if start is not None:
        first = forest_order(start.rows, start.cols, n, m)
    if start is not None and np.isfinite(start.g).all() and start.g.any():
        g0 = start.g
        f0 = (matrix - g0).min(axis=1)
    else:
        f0, g0, pairs = _resampled(problem, matrix)
        first = pairs if start is None else first

    def reduced(rows: Array, cols: Array) -> Array:
        return (matrix[rows, cols] - f0[rows]) - g0[cols]

    arcs = _least_arcs(matrix, f0, g0)
    row_left, col_left = problem.row_mass.astype(np.int64), problem.col_mass.astype(np.int64)
    sent = filled(*first, row_left, col_left)
    tree = starting_tree(row_left, col_left, (arcs.tails, arcs.heads, arcs.costs), sent)
    size = made_bytes(problem.cost, matrix) + matrix.nbytes  # a second matrix while potentials are sought

    def reached() -> Flow:
        rows, cols, child = tree_arcs(tree, n)
        return Flow(rows, cols, tree[child, kernel.FLOW], tree_potential(tree, n, reduced)[n:] + g0)

    problem.watch.reached = reached
    while True:
        check(f"{len(arcs.heads)} of {n * m} arcs")
        potential = pivot_to_optimum(arcs.start, arcs.heads, arcs.costs, tree, reduced, check)
        size = max(size, made_bytes(problem.cost, matrix) + 4 * (arcs.costs.nbytes + arcs.heads.nbytes))
        if not _add_violated(matrix, f0, g0, potential, arcs):
            break
    rows, cols, child = tree_arcs(tree, n)
    return Flow(rows, cols, tree[child, kernel.FLOW], potential[n:] + g0, None, size + tree.nbytes)


def _resampled(problem: TransportProblem, matrix: Array) -> tuple[Array, Array, tuple[Array, Array]]:
    """Potentials and pairs from an assignment between atoms drawn systematically, in proportion to their masses."""
    n, m = matrix.shape
    size = max(n, m)
    at = (np.arange(size) * 2 + 1) * (problem.total // (2 * size))
    rows = np.searchsorted(np.cumsum(problem.row_mass), at, side="right")
    cols = np.searchsorted(np.cumsum(problem.col_mass), at, side="right")
    matching = match(matrix[np.ix_(rows, cols)], check=problem.watch.check)
    g = np.full(m, -np.inf)
    g[cols] = matching.v
    f = (matrix - g).min(axis=1)
    idle = g == -np.inf
    g[idle] = (matrix[:, idle] - f[:, None]).min(axis=0)
    return f, g, (rows, cols[matching.col_of_row])


def _least_arcs(matrix: Array, f0: Array, g0: Array) -> _Arcs:
    """The arcs of least reduced cost of each row and each column."""
    from ..kernels import pricing

    n, m = matrix.shape
    cols, rows = np.full((n, CANDIDATES), -1), np.full((m, CANDIDATES), -1)
    row_values, col_values = np.full(cols.shape, np.inf), np.full(rows.shape, np.inf)
    for start, stop in _slices(n, m):
        pricing.least_reduced(matrix, f0, g0, start, stop, row_values, cols, col_values, rows)
    keys = np.concatenate(
        ((np.arange(n)[:, None] * m + cols)[cols >= 0], (rows * m + np.arange(m)[:, None])[rows >= 0])
    )
    return _from_keys(np.unique(keys), matrix, f0, g0)


def _slices(n: int, m: int) -> list[tuple[int, int]]:
    """Runs of rows between two chances for Ctrl-C."""
    step = max(1, SLICE // m)
    return [(start, min(start + step, n)) for start in range(0, n, step)]


def _from_keys(keys: Array, matrix: Array, f0: Array, g0: Array) -> _Arcs:
    n, m = matrix.shape
    rows, cols = np.divmod(keys, m)
    start = np.searchsorted(rows, np.arange(n + 1))
    return _Arcs(start, cols, (matrix[rows, cols] - f0[rows]) - g0[cols])


def _add_violated(matrix: Array, f0: Array, g0: Array, potential: Array, arcs: _Arcs) -> bool:
    """Price all pairs and add the most violated arcs of each row; False where there are none."""
    from ..kernels import pricing

    n, m = matrix.shape
    cols = np.full((n, CANDIDATES), -1)
    values = np.zeros(cols.shape)
    f, g = potential[:n] + f0, potential[n:] + g0
    violated = sum(pricing.most_violated(matrix, f, g, *rows, NOISE, values, cols) for rows in _slices(n, m))
    if not violated:
        return False
    old = arcs.tails * m + arcs.heads
    union = np.union1d(old, (np.arange(n)[:, None] * m + cols)[cols >= 0])
    if len(union) == len(old):
        return False
    new = _from_keys(union, matrix, f0, g0)
    arcs.start, arcs.heads, arcs.costs = new.start, new.heads, new.costs
    return True
