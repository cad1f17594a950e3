"""p = inf: the least largest cost, by bisection over the entries; each test is a transport problem of costs 0 and 1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..costs import DenseCost
from ..problem import Array, Flow, TransportProblem


def bottleneck(problem: TransportProblem, solver: Callable[[TransportProblem], Flow]) -> Flow:
    """The plan whose largest cost is least, with Hall's violators at the next lower entry as proof.

    Notes
    -----
    A threshold admits a plan where the cheapest transport at cost 1[C > threshold] is free. Otherwise its dual,
    which is integer, has a level set of columns that hold more mass than the rows within the threshold can send.
    O(log(n m)) solves.
    """
    matrix = problem.cost.matrix()
    values = np.unique(matrix[matrix < np.inf])
    # No threshold below the least cost of every row and column can do: start there.
    floor = max(matrix.min(axis=1).max(), matrix.min(axis=0).max())
    low, high = int(np.searchsorted(values, floor)) - 1, len(values) - 1
    flow, proof = _test(problem, solver, matrix, values[high]), None
    while high - low > 1 or (low >= 0 and proof is None):
        middle = (low + high) // 2 if high - low > 1 else low
        answer = _test(problem, solver, matrix, values[middle])
        if answer.f is None:
            high, flow = middle, answer
        else:
            low, proof = middle, answer
    size = 3 * matrix.nbytes + flow.bytes
    if proof is None:  # the least entry of all: no proof needed
        return replace(flow, bytes=size)
    return replace(flow, f=proof.f, g=proof.g, bytes=size)


def _test(
    problem: TransportProblem, solver: Callable[[TransportProblem], Flow], matrix: Array, threshold: float
) -> Flow:
    """A plan within the threshold, or (`f` not None) the violators that forbid one."""
    beyond = DenseCost((matrix > threshold).astype(np.float64))
    flow = solver(replace(problem, cost=beyond, power=1.0))
    if not (flow.mass[beyond.entries(flow.rows, flow.cols) > 0] > 0).any():
        return replace(flow, f=None, g=np.zeros(problem.shape[1]))
    # Optimal potentials of costs 0 and 1 differ by integers.
    g = np.rint(flow.g - flow.g[0])
    f = np.rint(beyond.row_transform(g))
    for level in np.unique(g):
        crowded, near = g >= level, -f >= level
        if int(problem.col_mass[crowded].sum()) > int(problem.row_mass[near].sum()):
            return replace(flow, f=np.where(near, -1.0, 0.0), g=np.where(crowded, 1.0, 0.0))
    return replace(flow, f=np.zeros(problem.shape[0]), g=np.zeros(problem.shape[1]))
