"""The textbook linear program, primal and dual, by HiGHS; its vertex is made exact on integer masses."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..problem import Array, Flow, NotConverged, TransportProblem
from .network_simplex import forest_order, network_simplex

# The least tolerances that HiGHS accepts, for costs and masses scaled to 1.
TOLERANCES = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}

NO_PLAN = (
    "`cost_matrix` must allow a plan with finite cost, but the forbidden pairs (+inf) leave none. Allow more pairs."
)


def constraints(n: int, m: int) -> Any:
    """The (n + m, n m) matrix of row sums, then column sums, of a plan stacked row by row."""
    from scipy.sparse import csr_array, eye_array, kron, vstack

    ones = np.ones
    return csr_array(vstack([kron(eye_array(n), ones((1, m))), kron(ones((1, n)), eye_array(m))]))


def linear_program(problem: TransportProblem, *, dual: bool = False) -> Flow:
    """Solve min <C, G>, A vec(G) = (a; b), G >= 0, or its dual max a.f + b.g, f_i + g_j <= C_ij, with HiGHS.

    Notes
    -----
    HiGHS works to absolute tolerances in floats. The support of its plan is a forest, on which integer masses fix
    the flows exactly; the network simplex takes over from there, with nothing or next to nothing left to do.

    References
    ----------
    Q. Huangfu and J. A. J. Hall, Parallelizing the dual revised simplex method, Mathematical Programming
    Computation 10, 2018.
    """
    matrix = problem.cost.matrix()
    allowed = matrix < np.inf
    if not (allowed.any(axis=0).all() and allowed.any(axis=1).all()):
        raise ValueError(NO_PLAN)
    rows, cols = np.nonzero(allowed)
    reduced = matrix - matrix.min(axis=1, keepdims=True)
    reduced = (reduced - reduced.min(axis=0))[rows, cols]
    scale = reduced.max(initial=0.0)
    costs = reduced / scale if scale > 0 else reduced
    equations = constraints(*problem.shape)[:, rows * problem.shape[1] + cols]
    masses = np.concatenate((problem.row_mass, problem.col_mass)) / problem.total
    plan = _highs(costs, equations, masses, dual, problem.cost.forbids)
    used = np.flatnonzero(plan > 1e-12)
    flow = network_simplex(problem, forest_order(rows[used], cols[used], plan[used]))
    size = 3 * matrix.nbytes + 5 * costs.nbytes
    return Flow(flow.rows, flow.cols, flow.mass, flow.g, None, max(size, flow.bytes))


def dual_program(problem: TransportProblem) -> Flow:
    """The same through the dual program; its plan is the multipliers of the constraints f_i + g_j <= C_ij."""
    return linear_program(problem, dual=True)


def _highs(costs: Array, equations: Any, masses: Array, dual: bool, forbids: bool) -> Array:
    """The plan that HiGHS finds, as a solution of the primal program or as the multipliers of the dual one."""
    from scipy.optimize import linprog

    for presolve in (True, False):
        options = {**TOLERANCES, "presolve": presolve}
        if dual:
            free = (None, None)
            result = linprog(-masses, A_ub=equations.T, b_ub=costs, bounds=free, method="highs", options=options)
        else:
            result = linprog(costs, A_eq=equations, b_eq=masses, method="highs", options=options)
        if result.status == 0:
            return np.asarray(-result.ineqlin.marginals if dual else result.x)
        if result.status in (2, 3) and forbids:  # infeasible primal, unbounded dual
            raise ValueError(NO_PLAN)
        # Presolve takes masses below its tolerance for contradictions.
    raise NotConverged(f"HiGHS stopped without an optimum: {result.message} Try method='network_simplex'.")
