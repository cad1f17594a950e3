"""Every shape that the benchmarks name, solved without a matrix: proven, with a plan that fits, and in bounded work."""

from __future__ import annotations

import numpy as np
import pytest
from cases import check_plan

import ot_distances as ot
from benchmarks import families
from ot_distances.kernels import network_simplex

# A pivot or two for each arc that there is would be a price war.
MOST_PIVOTS = 60


@pytest.mark.parametrize("family", families.POINTS)
def test_every_shape_is_proven_in_bounded_work(family, monkeypatch):
    pivots, pivot = [0], network_simplex.pivots

    def counted(*args):
        cursor = args[-1]
        before = int(cursor[1])
        status = pivot(*args)
        pivots[0] += int(cursor[1]) - before
        return status

    monkeypatch.setattr(network_simplex, "pivots", counted)
    problem = families.make("points", family, 400)
    result = ot.solve(problem.x, problem.y, problem.a, problem.b, p=problem.p, method="multiscale", time_limit=120)
    n, m = result.plan.shape
    a = np.full(n, 1 / n) if problem.a is None else problem.a
    b = np.full(m, 1 / m) if problem.b is None else problem.b
    check_plan(result.plan, a, b)
    assert result.gap <= 1e-9
    assert pivots[0] <= MOST_PIVOTS * (n + m)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["smooth", "noise", "discs"])
@pytest.mark.parametrize("p", [1, 2])
def test_images_of_64_by_64_pixels(kind, p):
    problem = families.make("points", f"pixels, {kind}, p={p}", 64 * 64)
    result = ot.solve(problem.x, problem.y, problem.a, problem.b, p=p, time_limit=300)
    assert result.gap <= 1e-9 and result.plan.nnz <= 2 * 64 * 64 - 1
