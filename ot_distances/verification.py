"""Judge anybody's plan or potentials."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import measures
from ._arrays import library
from .certificate import POTENTIAL_SHARE, SLACK_SHARE, exact_dot, unscale, unscale_array
from .costs import UNIT_ROUNDOFF, DenseCost
from .problem import Array, Certificate, GroundCost, TransportProblem
from .solvers import solve_problem
from .wasserstein import Metric, ground_cost, transport_problem

# Larger deviations are not rounding, whatever library the answer comes from.
TOLERANCE = 1e-9


def verify(
    cost_or_points: Any,
    a: Any = None,
    b: Any = None,
    *,
    plan: Any = None,
    f: Any = None,
    g: Any = None,
    p: float = 1,
    metric: Metric = "euclidean",
) -> Certificate:
    """Judge a transport plan, or potentials, or both, whichever library they come from.

    A plan is optimal if its marginals are the weights and its cost meets the best lower bound; potentials are optimal
    if ``f_i + g_j <= C_ij`` everywhere and their value meets the best upper bound. What is not given is solved for
    here, so that a verdict never rests on the answer that it judges.

    Parameters
    ----------
    cost_or_points : array_like, shape (n, m), or tuple (x, y)
        The cost matrix, or the two point sets.
    a, b : array_like, shapes (n,) and (m,), optional
        Weights; uniform if not given, of the mass of the other side or 1.
    plan : array_like or scipy.sparse array, shape (n, m), optional
        Mass moved from i to j.
    f, g : array_like, shapes (n,) and (m,), optional
        Potentials; one alone is completed by its c-transform.
    p : float, default 1
        With points: the cost is ``metric(x, y) ** p``, not rooted.
    metric : str or callable, default "euclidean"
        With points, as in `wasserstein`.

    Returns
    -------
    Certificate
        ``primal``, ``dual``, ``gap``, ``marginal_error``, ``dual_violation`` and the verdict ``optimal``: all three
        errors are at most 1e-9, relative to the scale of the cost and to the total mass.

    Raises
    ------
    TypeError, ValueError
        Bad input, or nothing to judge.
    NotConverged
        The missing side could not be solved for.

    Examples
    --------
    >>> from ot_distances import verify
    >>> verify([[0, 1], [1, 0]], plan=[[0.5, 0], [0, 0.5]]).optimal
    True
    >>> verdict = verify([[0, 1], [1, 0]], plan=[[0, 0.5], [0.5, 0]])
    >>> verdict.primal, verdict.dual, verdict.optimal
    (1.0, 0.0, False)
    """
    if plan is None and f is None and g is None:
        raise ValueError("`plan`, `f` or `g` must be given, but all are None. Pass what should be judged.")
    problem = transport_problem(_cost(cost_or_points, a, b, p, metric), a, b)
    n, m = problem.shape
    solved = None
    if plan is None or (f is None and g is None):
        solved = solve_problem(problem, "auto", TOLERANCE)

    marginal_error = violation = size = 0.0
    if plan is not None:
        primal, marginal_error = _judge_plan(problem, _entries(plan, n, m))
    if f is not None or g is not None:
        dual, violation, size = _judge_potentials(problem, _potential(f, "f", n), _potential(g, "g", m))
    if solved is not None:
        primal, dual = (solved.upper, dual) if plan is None else (primal, solved.lower)
    low, high = problem.cost.range()
    rounding = unscale(UNIT_ROUNDOFF * (high - low), problem.cost.exponent, 0, problem.mass)
    scale = max(abs(primal), abs(dual), POTENTIAL_SHARE * size, SLACK_SHARE * rounding)
    gap = 0.0 if scale == 0 else (primal - dual) / scale if scale < math.inf else math.inf
    violation = violation * problem.mass / scale if violation > 0 < scale else violation
    optimal = abs(gap) <= TOLERANCE and marginal_error <= TOLERANCE and violation <= TOLERANCE
    return Certificate(primal, dual, gap, marginal_error, violation, bool(optimal))


def _cost(cost_or_points: Any, a: Any, b: Any, p: float, metric: Metric) -> GroundCost:
    if isinstance(cost_or_points, tuple):
        if len(cost_or_points) != 2:
            raise ValueError(
                f"`cost_or_points` must be a cost matrix or a pair (x, y), but it is a tuple of {len(cost_or_points)}. "
                "Pass verify((x, y), ...)."
            )
        x, y = measures.point_sets(*cost_or_points, a, b)
        if library(*cost_or_points) == "torch":
            from . import _torch

            metric = _torch.ground(metric, *cost_or_points)
        return ground_cost(x, y, metric, _finite_order(p))
    if p != 1:
        raise ValueError(f"`p` must be 1 with a cost matrix, which is the cost itself, but p = {p}. Raise its entries.")
    return DenseCost(measures.cost_matrix(cost_or_points, a, b))


def _finite_order(p: float) -> float:
    if measures.order(p) == math.inf:
        raise ValueError("`p` must be finite here, but p = inf. Check the largest cost of the plan's entries.")
    return float(p)


def _entries(plan: Any, n: int, m: int) -> tuple[Array, Array, Array]:
    """(rows, cols, mass) of a sparse or dense plan."""
    if hasattr(plan, "tocoo"):
        coo = plan.tocoo()
        shape, rows, cols, mass = coo.shape, coo.row, coo.col, measures.real_array(coo.data, "plan")
    else:
        dense = measures.real_array(plan, "plan")
        shape = dense.shape
        if dense.ndim == 2:
            rows, cols = np.nonzero(dense)
            mass = dense[rows, cols]
    if tuple(shape) != (n, m):
        raise ValueError(
            f"`plan` must have shape ({n}, {m}) like the cost, but it has shape {tuple(shape)}. Transpose it?"
        )
    mass = mass.astype(np.float64)
    if not np.isfinite(mass).all():
        k = int(np.argmax(~np.isfinite(mass)))
        raise ValueError(
            f"`plan` must be finite, but plan[{rows[k]}, {cols[k]}] = {mass[k]}. No plan holds such a mass."
        )
    return rows, cols, mass


def _potential(value: Any, name: str, n: int) -> Array | None:
    if value is None:
        return None
    array = measures.real_array(value, name)
    if array.shape != (n,):
        raise ValueError(
            f"`{name}` must have shape ({n},), but it has shape {array.shape}. Pass one number for each atom."
        )
    measures.require_finite(array, name, "Potentials are real numbers.")
    return array.astype(np.float64)


def _judge_plan(problem: TransportProblem, entries: tuple[Array, Array, Array]) -> tuple[float, float]:
    """The cost of a plan, and the largest error of its marginals or negative entry, relative to the total mass."""
    rows, cols, mass = entries
    costs = problem.cost.entries(rows, cols)
    primal = math.fsum((mass * costs)[mass != 0].tolist())
    errors = [
        np.abs(np.bincount(index, mass, len(weights)) - weights).max()
        for index, weights in ((rows, problem.a), (cols, problem.b * (problem.mass / problem.b.sum())))
    ]
    error = max(*errors, -mass.min(initial=0.0)) / problem.mass
    return unscale(primal, problem.cost.exponent), float(error)


def _judge_potentials(problem: TransportProblem, f: Array | None, g: Array | None) -> tuple[float, float, float]:
    """The value of potentials, lowered where infeasible; their largest violation as given; their mass-weighted size."""
    exponent, total = problem.cost.exponent, problem.total
    f, g = (None if given is None else unscale_array(given, -exponent) for given in (f, g))
    violation = 0.0
    if g is None and f is not None:
        g = problem.cost.T.row_transform(f)
    if g is None:
        raise TypeError("one potential at least must be given")
    feasible = problem.cost.row_transform(g)
    if f is not None:
        violation = max(0.0, float((f - feasible).max()))
        feasible = np.minimum(f, feasible)
    f = feasible
    dual = exact_dot(problem.row_mass, f) + exact_dot(problem.col_mass, g)
    shift = float(problem.row_mass @ f - problem.col_mass @ g) / (2 * total)
    size = float(problem.row_mass @ np.abs(f - shift) + problem.col_mass @ np.abs(g + shift))
    dual, size = (unscale(sum_ / total, exponent, 0, problem.mass) for sum_ in (dual, size))
    return dual, unscale(violation, exponent), size
