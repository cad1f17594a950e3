"""General weights on a dense cost: network simplex on the arcs that matter, priced against all of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..costs import NOISE, made_bytes, require_memory
from ..problem import Array, Flow, TransportProblem
from .assignment import match
from .level_flow import FlowLevel
from .matrix_side import MatrixSide

# Up to SMALL arcs one compiled call with all of them is the fastest; up to MOST also where one side has FEW at most.
# Beyond, arcs enter the graph as pricing finds them.
SMALL, MOST, FEW = 2**18, 2**24, 2**6

# A large problem begins with a matching of one atom in SAMPLED of the larger side, but of no more than REPEATED times
# the smaller one: atoms drawn over and over are equal rows, which matchings are slow at.
SAMPLED, REPEATED = 3, 2

# Nodes of a small problem moved between two chances for Ctrl-C: well below a second at any size.
SLICE = 100_000_000


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
    copies = (problem.cost.held is None) + problem.cost.forbids + _at_once(n, m)
    require_memory(8 * n * m * copies, f"Network simplex on {n} x {m} costs", 'For points, use method="auto".')
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
    return n * m <= (MOST if min(n, m) <= FEW else SMALL)


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
    start, watch = problem.start, problem.watch
    watch.base = made_bytes(problem.cost, matrix)
    x = MatrixSide(matrix, problem.row_mass, watch, columns=False)
    y = MatrixSide(matrix, problem.col_mass, watch, columns=True)
    if start is not None and np.isfinite(start.g).all() and start.g.any():
        g, pairs = start.g, (start.rows, start.cols)
    else:
        g, pairs = _resampled(x, y)
        pairs = pairs if start is None else (start.rows, start.cols)
    level = FlowLevel(x, y, g, pairs, warm=start is not None)

    def reached() -> Flow:
        return Flow(*level.basis(), level.v, None, watch.peak)

    watch.reached = reached
    level.optimise()
    return reached()


def _resampled(x: MatrixSide, y: MatrixSide) -> tuple[Array, tuple[Array, Array]]:
    """Prices of the columns, and pairs, from a matching of atoms drawn in proportion to their masses."""
    few, many = sorted((len(x), len(y)))
    size = min(-(-many // SAMPLED), REPEATED * few)
    rows, cols = x.drawn(size), y.drawn(size)
    sample = x.matrix[np.ix_(rows, cols)]
    matching = match(sample, check=x.watch.check)
    x.watch.holds(sample, further=matching.bytes)
    g = np.full(len(y), -np.inf)
    g[cols] = matching.v
    others = x.transform(y.points, y.transform(x.points, g))
    return np.where(g > -np.inf, g, others), (rows, cols[matching.col_of_row])
