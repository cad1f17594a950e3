"""High orders: powers of distances that lie further apart than float64 has digits, brought to the size that counts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..costs import UNIT_ROUNDOFF, DenseCost, PointCost
from ..problem import Flow, TransportProblem, Watch

# Up to this order float64 potentials tell the costs of 2,500 points (measured). Beyond, so few pairs are tried as they
# are first, in no time; and up to so many, 0.2 GB, are written down anew.
ORDER, FEW, PAIRS = 8.0, 2**18, 5_000**2


def in_units_of_longest(
    problem: TransportProblem, solved: Callable[[TransportProblem], tuple[Flow, str]]
) -> tuple[TransportProblem, int] | None:
    """The same problem with its costs, as a matrix, in units of that of the longest move of the plan for p = inf.

    Comes with the bytes that it took to find that plan, the flow that `solved` returns, and to write down the costs.

    Whatever costs more than that plan does altogether is in no better one, not even for one unit of mass: such costs
    are cut off at twice as much, and what is left needs no more digits than float64 has. None where the problem is
    another.
    """
    cost, p, (n, m) = problem.cost, problem.power, problem.shape
    if not (ORDER < p < math.inf and type(cost) is PointCost and n * m <= PAIRS):
        return None
    distances = PointCost(cost.x, cost.y, cost.metric)
    watch = Watch(problem.watch.deadline)
    flow, _ = solved(replace(problem, cost=distances, power=math.inf, start=None, watch=watch))
    carried = flow.mass > 0
    paid = distances.entries(flow.rows, flow.cols)[carried]
    longest = float(paid.max())
    if longest == 0 or cost.rounded:
        return None
    part, steps = math.frexp(longest)
    exponent = p * (round(cost.exponent / p) + steps + math.log2(part))  # of which no large parts cancel
    error = p * (distances.relative_error + 2 * UNIT_ROUNDOFF) + (2 * abs(exponent) + 8) * UNIT_ROUNDOFF
    with np.errstate(over="ignore", under="ignore"):
        values = (distances.matrix() / longest) ** p
        spent = float(flow.mass[carried] @ (paid / longest) ** p)
    top = float(values.max())
    np.minimum(values, 2 * spent, out=values)
    scaled = DenseCost(values, unit=exponent, shift=0, extremes=(0.0, top), error=error)
    return replace(problem, cost=scaled, start=None), max(flow.bytes, 3 * values.nbytes)
