"""Point clouds without a cost matrix: potentials from clusters, candidate arcs by reduced cost, pricing of all pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..problem import Array, Flow, TransportProblem
from .cloud import Cloud, Progress, Watch, folding, ordered
from .level_flow import FlowLevel
from .level_matching import Assignment

# Points of a level that become one point of the next coarser level.
RATIO = 4

# The coarsest level has at least this many points, and is solved with all arcs.
COARSEST = 64

# Steps of eps in units of the spacing, on the way down and on the finest level.
COARSE_STEPS = (1.0, 0.1)
FINE_STEPS = (1.0, 0.1, 0.01, 0.001)


@dataclass(frozen=True)
class _Pyramid:
    """The problem at all scales, finest first, in tree order."""

    levels: list[tuple[Cloud, Cloud]]
    row_order: Array
    col_order: Array
    tilt: Array  # (m,) what centring the clouds took from g, in tree order
    start: Array | None  # g of an earlier problem, in tree order and centred


def _pyramid(problem: TransportProblem, start: Array | None, watch: Watch) -> _Pyramid:
    cost = problem.cost
    n, m = problem.shape
    fold, power = folding(cost)
    x, y = cost.x, cost.y
    tilt = np.zeros(m)
    if fold == 0 and power == 1:
        # Translations change squared costs by terms of one point each, which the potentials take up.
        here, there = np.median(x, axis=0), np.median(y, axis=0)
        x, y = x - here, y - there
        tilt = 2 * (y @ (here - there))
    grains = RATIO ** np.arange(1, 32)
    grains = grains[min(n, m) // grains >= COARSEST][::-1]
    row_order, col_order = ordered(x, grains), ordered(y, grains)
    uniform = problem.is_assignment
    row_mass, col_mass = problem.row_mass[row_order], problem.col_mass[col_order]
    if uniform:
        row_mass = col_mass = np.ones(n, np.int64)
    levels = [
        (
            Cloud(x[row_order], row_mass, grains, fold, power, watch),
            Cloud(y[col_order], col_mass, grains, fold, power, watch),
        )
    ]
    for _ in grains:
        here, there = levels[-1]
        if uniform:  # clusters of equal mass; the few points left over take no part in coarser levels
            here, there = (cloud.first(len(cloud) // RATIO * RATIO) for cloud in (here, there))
        levels.append((here.coarser(RATIO), there.coarser(RATIO)))
    tilt = tilt[col_order]
    return _Pyramid(levels, row_order, col_order, tilt, None if start is None else start[col_order] + tilt)


def multiscale(
    problem: TransportProblem, start: Array | None = None, *, deadline: float = np.inf, progress: Progress | None = None
) -> Flow:
    """Exact transport between point clouds in memory of O(n + m)."""
    watch = Watch(deadline, progress)
    pyramid = _pyramid(problem, start, watch)
    if problem.is_assignment:
        state = _matched(pyramid, watch)
        rows, cols, mass = np.arange(len(state.x)), state.row_match, problem.row_mass
    else:
        state = _flowing(pyramid, watch)
        rows, cols, mass = state.basis()
    g = np.empty(problem.shape[1])
    g[pyramid.col_order] = state.v - pyramid.tilt
    return Flow(pyramid.row_order[rows], pyramid.col_order[cols], mass, g, None, watch.peak)


def _matched(pyramid: _Pyramid, watch: Watch) -> Assignment:
    levels = pyramid.levels
    state = None
    for depth in range(len(levels) - 1, -1, -1):
        here, there = levels[depth]
        watch.tell(f"{len(here)} points")
        if state is None:
            k = len(here)
            u = there.transform(here.points, np.zeros(k))
            state = Assignment(here, there, here.transform(there.points, u), np.arange(k), size=k)
            state.auction(FINE_STEPS if depth == 0 else COARSE_STEPS, state.global_steps())
        else:
            v = state.x.transform(there.points, state.u)
            state = Assignment(here, there, v, _children(state.completed(), len(here)))
            state.auction(FINE_STEPS if depth == 0 else COARSE_STEPS)
        state.finish()
    return state


def _children(match: Array, count: int) -> Array:
    """The permutation of a level whose clusters are matched so: clusters in order, the points left over likewise."""
    clusters = (match[:, None] * RATIO + np.arange(RATIO)).ravel()
    return np.concatenate((clusters, np.arange(len(clusters), count)))


def _flowing(pyramid: _Pyramid, watch: Watch) -> FlowLevel:
    levels = pyramid.levels
    state = None
    for depth in range(len(levels) - 1, -1, -1):
        here, there = levels[depth]
        n, m = len(here), len(there)
        watch.tell(f"{n} and {m} points")
        if state is None:
            v = here.transform(there.points, there.transform(here.points, np.zeros(m)))
            spare = np.repeat(np.arange(n), m), np.tile(np.arange(m), n)
        else:
            v = state.x.transform(there.points, state.u)
            spare = _grandchildren(*state.basis(), n, m)
        state = FlowLevel(here, there, v, spare)
        state.optimise()
    return state


def _grandchildren(rows: Array, cols: Array, mass: Array, n: int, m: int) -> tuple[Array, Array]:
    """All pairs of points whose clusters exchange mass."""
    rows, cols = rows[mass > 0], cols[mass > 0]
    inside = np.arange(RATIO)
    tails = (rows[:, None, None] * RATIO + inside[:, None] + 0 * inside).ravel()
    heads = (cols[:, None, None] * RATIO + inside + 0 * inside[:, None]).ravel()
    held = (tails < n) & (heads < m)
    return tails[held], heads[held]
