"""Every shape that the benchmarks name, solved without a matrix: proven, with a plan that fits, and in bounded work."""

from __future__ import annotations

import numpy as np
import pytest
from cases import check_plan
from naive import linear_program

import ot_distances as ot
import ot_distances.solvers.network_simplex as solver
from benchmarks import families
from ot_distances.kernels import network_simplex, small_transport
from ot_distances.problem import Watch
from ot_distances.solvers.matrix_side import MatrixSide

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


COSTS = {
    "all equal": lambda rng, n, m: np.full((n, m), 3.0),
    "0 or 1": lambda rng, n, m: (rng.random((n, m)) < 0.9).astype(float),
    "Machol and Wien": lambda rng, n, m: np.outer(np.arange(n), np.arange(m)).astype(float),
    "its negative": lambda rng, n, m: -np.outer(np.arange(n), np.arange(m)).astype(float),
    "grid": lambda rng, n, m: np.abs(np.arange(n)[:, None] - np.arange(m)).astype(float),
    "15 orders of magnitude": lambda rng, n, m: 10.0 ** rng.uniform(-12, 3, (n, m)),
}
MASSES = {
    "random": lambda rng, n: rng.dirichlet(np.full(n, 2.0)),
    "few values": lambda rng, n: rng.integers(1, 4, n).astype(float),
    "equal": lambda rng, n: np.ones(n),
}


@pytest.mark.parametrize("shape", [(2, 2), (9, 9), (3, 40), (40, 3), (120, 120), (2, 3_000), (1_000, 30)])
@pytest.mark.parametrize("masses", MASSES)
@pytest.mark.parametrize("costs", COSTS)
def test_small_problems_full_of_ties_are_proven_in_bounded_work(costs, masses, shape, rng, monkeypatch):
    pivots, transport = [], small_transport.transport

    def counted(*args):
        pivots.append(transport(*args))
        return pivots[-1]

    monkeypatch.setattr(small_transport, "transport", counted)
    (n, m), C = shape, COSTS[costs](rng, *shape)
    a, b = (mass / mass.sum() for mass in (MASSES[masses](rng, n), MASSES[masses](rng, m)))
    result = ot.solve_cost(C, a, b, method="network_simplex")
    check_plan(result.plan, a, b)
    assert result.gap <= 1e-9
    assert 0 <= sum(pivots) <= MOST_PIVOTS * (n + m) * np.log2(n + m) and len(pivots) > 0
    if max(shape) <= 40:
        assert result.cost == pytest.approx(linear_program(C, a, b), rel=1e-7, abs=1e-7 * np.abs(C).max())


@pytest.mark.parametrize("shape", [(3, 40), (90, 110), (300, 60)])
@pytest.mark.parametrize("masses", MASSES)
@pytest.mark.parametrize("costs", COSTS)
def test_arcs_as_pricing_finds_them_lead_to_the_same_optimum(costs, masses, shape, rng, monkeypatch):
    (n, m), C = shape, COSTS[costs](rng, *shape)
    a, b = (mass / mass.sum() for mass in (MASSES[masses](rng, n), MASSES[masses](rng, m)))
    at_once = ot.solve_cost(C, a, b, method="network_simplex")
    monkeypatch.setattr(solver, "_at_once", lambda n, m: False)
    result = ot.solve_cost(C, a, b, method="network_simplex")
    check_plan(result.plan, a, b)
    assert result.gap <= 1e-9
    assert max(at_once.lower, result.lower) <= min(at_once.upper, result.upper)


def test_a_small_problem_is_solved_in_slices(rng, monkeypatch):
    C, (a, b) = rng.random((70, 90)), (rng.dirichlet(np.ones(n)) for n in (70, 90))
    whole = ot.solve_cost(C, a, b)
    calls, transport = [], small_transport.transport
    monkeypatch.setattr(small_transport, "transport", lambda *args: calls.append(args) or transport(*args))
    monkeypatch.setattr(solver, "SLICE", 20 * (70 + 90))
    sliced = ot.solve_cost(C, a, b)
    assert len(calls) > 5
    assert sliced.cost == pytest.approx(whole.cost, rel=1e-12) and sliced.gap <= 1e-9


@pytest.mark.parametrize("shape", [(25, 12_000), (12_000, 25)])
def test_one_long_side_asks_for_no_square_matrix(shape, rng, monkeypatch):
    monkeypatch.setattr(solver, "match", None)
    a, b = (rng.dirichlet(np.full(n, 2.0)) for n in shape)
    result = ot.solve_cost(rng.random(shape), a, b)
    check_plan(result.plan, a, b)
    assert result.gap <= 1e-9


@pytest.mark.parametrize("shape", [(70, 4_000), (4_000, 70)])
def test_a_long_matrix_begins_with_a_matching_of_its_short_side(shape, rng, monkeypatch):
    sizes, match = [], solver.match
    monkeypatch.setattr(solver, "match", lambda sample, **kwargs: sizes.append(sample.shape) or match(sample, **kwargs))
    a, b = (rng.dirichlet(np.ones(n)) for n in shape)
    result = ot.solve_cost(rng.integers(0, 3, shape), a, b)
    assert sizes == [(140, 140)]
    check_plan(result.plan, a, b)
    assert result.gap <= 1e-9


@pytest.mark.parametrize("size", [100, 800])
@pytest.mark.parametrize("least", [1, 900])
def test_atoms_are_drawn_in_proportion_to_their_masses(size, least, rng):
    mass = rng.integers(900, 1100, 400)
    mass[:10] = least
    drawn = MatrixSide(np.zeros((400, 1)), mass, Watch(), columns=False).drawn(size)
    assert np.abs(np.bincount(drawn, minlength=400) - size * mass / mass.sum()).max() <= 1


def test_where_one_atom_holds_nearly_all_mass_others_are_drawn_as_well():
    mass = np.ones(400, np.int64)
    mass[7] = 10**15
    drawn = MatrixSide(np.zeros((400, 1)), mass, Watch(), columns=False).drawn(100)
    assert (drawn == 7).sum() == 75 and len(set(drawn)) == 26


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["smooth", "noise", "discs"])
@pytest.mark.parametrize("p", [1, 2])
def test_images_of_64_by_64_pixels(kind, p):
    problem = families.make("points", f"pixels, {kind}, p={p}", 64 * 64)
    result = ot.solve(problem.x, problem.y, problem.a, problem.b, p=p, time_limit=300)
    assert result.gap <= 1e-9 and result.plan.nnz <= 2 * 64 * 64 - 1
