"""The textbook linear program, primal and dual, by HiGHS; its vertex is made exact on integer masses."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from threading import Thread
from typing import Any

import numpy as np

from ..costs import require_memory
from ..problem import Array, Flow, NotConverged, TransportProblem, Watch
from .network_simplex import network_simplex

# The least tolerances that HiGHS accepts, for costs and masses scaled to 1.
TOLERANCES = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}

# Seconds between two looks at the clock while HiGHS works.
LOOK_SECONDS = 0.1

NO_PLAN = (
    "`cost_matrix` must allow a plan with finite cost, but the forbidden pairs (+inf) leave none. Allow more pairs."
)


def constraints(n: int, m: int) -> Any:
    """The (n + m, n m) matrix of row sums, then column sums, of a plan stacked row by row."""
    from scipy.sparse import csr_array, eye_array, kron, vstack

    require_memory(64 * n * m, f"The constraint matrix of {n} x {m} pairs", "Use solve_cost, which needs none.")
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
    n, m = problem.shape
    require_memory(40 * 8 * n * m, f"The linear program of {n} x {m} pairs", 'Use method="network_simplex".')
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
    problem.watch.check("HiGHS")
    plan = _highs(costs, equations, masses, dual, problem.cost.forbids, problem.watch)
    used = np.flatnonzero(plan > 1e-12)
    found = Flow(rows[used], cols[used], plan[used], np.zeros(problem.shape[1]))
    flow = network_simplex(replace(problem, start=found))
    size = 3 * matrix.nbytes + 36 * costs.nbytes  # pairs, the sparse program and what is made of it on the way
    return Flow(flow.rows, flow.cols, flow.mass, flow.g, None, max(size, flow.bytes))


def dual_program(problem: TransportProblem) -> Flow:
    """The same through the dual program; its plan is the multipliers of the constraints f_i + g_j <= C_ij."""
    return linear_program(problem, dual=True)


def _highs(costs: Array, equations: Any, masses: Array, dual: bool, forbids: bool, watch: Watch) -> Array:
    """The plan that HiGHS finds, as a solution of the primal program or as the multipliers of the dual one."""
    from scipy.optimize import linprog

    for presolve in (True, False):
        options = {**TOLERANCES, "presolve": presolve}
        if dual:
            free = (None, None)
            program = partial(linprog, -masses, A_ub=equations.T, b_ub=costs, bounds=free)
        else:
            program = partial(linprog, costs, A_eq=equations, b_eq=masses)
        result = _watched(partial(program, method="highs", options=options), watch)
        if result.status == 0:
            return np.asarray(-result.ineqlin.marginals if dual else result.x)
        if result.status in (2, 3) and forbids:  # infeasible primal, unbounded dual
            raise ValueError(NO_PLAN)
        # Presolve takes masses below its tolerance for contradictions.
    raise NotConverged(f"HiGHS stopped without an optimum: {result.message} Try method='network_simplex'.")


def _watched(program: Callable[[], Any], watch: Watch) -> Any:
    """What a call returns that would not notice Ctrl-C: in a thread of its own, which is left to itself if need be."""
    found: Future[Any] = Future()

    def work() -> None:
        try:
            found.set_result(program())
        except BaseException as error:  # whatever it is, the caller gets it
            found.set_exception(error)

    Thread(target=work, daemon=True).start()
    while True:
        try:
            return found.result(timeout=LOOK_SECONDS)
        except TimeoutError:
            watch.check()
