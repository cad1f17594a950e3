"""The linear programs as textbooks write them: primal, dual, constraint matrix, and Kantorovich-Rubinstein."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from . import measures
from .certificate import certify
from .costs import UNIT_ROUNDOFF, DenseCost
from .problem import Array, Flow, Transport
from .solvers import find_flow
from .wasserstein import transport_problem

if TYPE_CHECKING:
    from scipy.sparse import csr_array

RTOL = 1e-9


def lp_constraints(n: int, m: int) -> csr_array:
    """The explicit constraint matrix A of the transport program: ``A vec(G) = (a; b)`` for a plan G stacked by rows.

    Its first n rows sum the rows of G, its last m rows the columns; its rank is n + m - 1.

    Parameters
    ----------
    n, m : int
        Rows and columns of the plan.

    Returns
    -------
    scipy.sparse.csr_array, shape (n + m, n * m)
        Entries 0 and 1.

    Raises
    ------
    TypeError, ValueError
        n or m is no integer, or below 1.
    MemoryError
        It does not fit: it takes 64 bytes for each of the n m pairs while it is built.

    Examples
    --------
    >>> from ot_distances import lp_constraints
    >>> print(lp_constraints(2, 2).toarray().astype(int))
    [[1 1 0 0]
     [0 0 1 1]
     [1 0 1 0]
     [0 1 0 1]]
    """
    from .solvers.linear_program import constraints

    for name, value in (("n", n), ("m", m)):
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
            raise TypeError(f"`{name}` must be an integer, but it is {value!r}. Pass the number of atoms.")
        if value < 1:
            raise ValueError(f"`{name}` must be at least 1, but {name} = {value}. Pass the number of atoms.")
    return constraints(int(n), int(m))


def lp_primal(cost_matrix: Any, a: Any, b: Any) -> Transport:
    """The primal program ``min <C, G>`` subject to ``A vec(G) = (a; b)``, ``G >= 0``, solved by HiGHS.

    Parameters
    ----------
    cost_matrix : array_like, shape (n, m)
        Costs; +inf forbids a pair.
    a, b : array_like, shapes (n,) and (m,)
        Weights of the same sum; None for uniform ones of total mass 1.

    Returns
    -------
    Transport
        With plan, potentials and bounds like every other solver's; ``method`` is "lp".

    Raises
    ------
    TypeError, ValueError
        Bad input.
    NotConverged
        HiGHS failed, or its vertex could not be certified.

    Notes
    -----
    n m variables: for teaching and for checking others. `solve_cost` is faster by orders of magnitude.

    Examples
    --------
    >>> from ot_distances import lp_primal
    >>> lp_primal([[6, 7], [4, 5]], [1, 2], [2, 1]).cost
    15.0
    """
    return _program(cost_matrix, a, b, dual=False)


def lp_dual(cost_matrix: Any, a: Any, b: Any) -> Transport:
    """The dual program ``max a.f + b.g`` subject to ``f_i + g_j <= C_ij``, solved by HiGHS.

    Parameters, returns, errors and costs are those of `lp_primal`; strong duality makes the values equal.

    Parameters
    ----------
    cost_matrix : array_like, shape (n, m)
        Costs; +inf forbids a pair.
    a, b : array_like, shapes (n,) and (m,)
        Weights of the same sum; None for uniform ones of total mass 1.

    Returns
    -------
    Transport
        ``f`` and ``g`` are the optimal potentials, ``plan`` the multipliers of their constraints.

    Raises
    ------
    TypeError, ValueError, NotConverged
        As in `lp_primal`.

    Examples
    --------
    >>> from ot_distances import lp_dual
    >>> lp_dual([[6, 7], [4, 5]], [1, 2], [2, 1]).cost
    15.0
    """
    return _program(cost_matrix, a, b, dual=True)


def _program(cost_matrix: Any, a: Any, b: Any, *, dual: bool) -> Transport:
    from .solvers.linear_program import dual_program

    started = time.perf_counter()
    problem = transport_problem(DenseCost(measures.cost_matrix(cost_matrix, a, b)), a, b)
    flow, name = find_flow(problem, "lp", dual_program if dual else None)
    return certify(problem, flow, name, RTOL, started)


def kantorovich_rubinstein(cost_matrix: Any, p: Any, q: Any) -> Transport:
    """The dual with one potential: the maximum of ``sum_i f_i (p_i - q_i)`` over f with ``f_i - f_j <= C_ij``.

    For a metric cost on one common support this is the transport cost (Kantorovich & Rubinstein): the c-transform of
    a 1-Lipschitz f is -f, so that g = -f loses nothing. Without the triangle inequality it can: for the squared
    distance on {0, 1, 2} it falls from 4 to 2. A cost that is no metric is therefore refused.

    Parameters
    ----------
    cost_matrix : array_like, shape (n, n)
        A metric between the atoms: zero diagonal, symmetric, with the triangle inequality (to rounding).
    p, q : array_like, shape (n,)
        Weights of the two measures on the same atoms, of the same sum.

    Returns
    -------
    Transport
        ``f`` is 1-Lipschitz for the metric, ``g`` is -f; mass common to p and q stays where it is.

    Raises
    ------
    TypeError, ValueError
        Bad input, or a cost that is no metric: the error names the atoms that show it.
    NotConverged
        The value could not be certified.

    Notes
    -----
    The triangle inequality is checked for all triples, in O(n^3) time.

    References
    ----------
    L. V. Kantorovich and G. S. Rubinstein, On a space of totally additive functions, Vestnik Leningrad. Univ., 1958.

    Examples
    --------
    >>> from ot_distances import kantorovich_rubinstein
    >>> result = kantorovich_rubinstein([[0, 1, 2], [1, 0, 1], [2, 1, 0]], [1, 0, 0], [0, 0, 1])
    >>> result.cost, bool((result.f == -result.g).all())
    (2.0, True)
    """
    matrix = measures.cost_matrix(cost_matrix, p, q, forbid=False)
    _require_metric(matrix)
    problem = transport_problem(DenseCost(matrix), p, q, names=("p", "q"))
    started = time.perf_counter()
    # Mass on both sides of an atom need not move (triangle inequality): only the differences are transported.
    common = np.minimum(problem.row_mass, problem.col_mass)
    surplus, deficit = problem.row_mass - common, problem.col_mass - common
    atoms = np.arange(len(common))
    if surplus.any():
        flow, name = find_flow(replace(problem, row_mass=surplus, col_mass=deficit, total=int(surplus.sum())))
        f = problem.cost.row_transform(flow.g)
    else:
        flow, name, f = Flow(atoms[:0], atoms[:0], surplus[:0], np.zeros(len(atoms))), "identity", np.zeros(len(atoms))
    rows, cols = np.concatenate((atoms, flow.rows)), np.concatenate((atoms, flow.cols))
    stay_and_move = Flow(rows, cols, np.concatenate((common, flow.mass)), -f)
    result = certify(problem, stay_and_move, name, RTOL, started)
    return replace(result, g=-result.f)


def _require_metric(matrix: Array) -> None:
    """Zero diagonal, symmetry, and the triangle inequality up to the rounding of its three terms."""
    n, m = matrix.shape
    cure = "Use lp_dual, which takes any cost."
    if n != m:
        raise ValueError(
            f"`cost_matrix` must be square, one support for both measures, but its shape is {matrix.shape}. {cure}"
        )
    diagonal = np.diagonal(matrix)
    if diagonal.any():
        i = int(np.argmax(diagonal != 0))
        raise ValueError(f"`cost_matrix` must be a metric, but cost_matrix[{i}, {i}] = {diagonal[i]}, not 0. {cure}")
    slack = 8 * UNIT_ROUNDOFF * float(np.abs(matrix).max())
    uneven = np.abs(matrix - matrix.T) > slack
    if uneven.any():
        i, j = map(int, np.unravel_index(int(np.argmax(uneven)), matrix.shape))
        raise ValueError(
            f"`cost_matrix` must be a metric, but it is not symmetric: cost_matrix[{i}, {j}] = {matrix[i, j]} and "
            f"cost_matrix[{j}, {i}] = {matrix[j, i]}. {cure}"
        )
    for k in range(n):
        detour = matrix[:, k, None] + matrix[k]
        longer = matrix > detour + slack
        if longer.any():
            i, j = map(int, np.unravel_index(int(np.argmax(longer)), matrix.shape))
            raise ValueError(
                f"`cost_matrix` must be a metric, but from {i} to {j} the way through {k} is shorter: "
                f"{matrix[i, k]} + {matrix[k, j]} < {matrix[i, j]} (the triangle inequality fails). {cure}"
            )
