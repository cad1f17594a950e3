"""Point clouds without a cost matrix: potentials from clusters, candidate arcs by reduced cost, all pairs priced."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import cast

import numpy as np

from ..certificate import bound, centred, exact_dot, feasible_pair, unscale
from ..costs import PointCost
from ..problem import Array, Flow, NotConverged, TransportProblem
from .basis import north_west
from .cloud import Cloud, Interrupted, Progress, Watch, folding, ordered
from .duplicates import merged, split
from .level_flow import FlowLevel
from .level_matching import Assignment

# Points of a level that become one point of the next coarser level.
RATIO = 4

# The coarsest level has at least this many points, and is solved with all arcs.
COARSEST = 64

# Steps of eps in units of the spacing: on the way down, on the finest level, and there from given potentials.
COARSE_STEPS = (1.0, 0.1)
FINE_STEPS = (1.0, 0.1, 0.01, 0.001)
WARM_STEPS = (0.01,)


def multiscale(
    problem: TransportProblem,
    start: Array | None = None,
    *,
    time_limit: float | None = None,
    progress: Progress | None = None,
) -> Flow:
    """Exact transport between point clouds in memory of O(n + m).

    Clusters of four, of sixteen, ... points are matched first, coarse to fine. The potentials of a level, carried
    down by a c-transform, tell which pairs of the next may matter: those of least reduced cost for each row and each
    column, found through a k-d tree (in high dimension: in blocks of all pairs, roughly in float32, then exactly).
    On these the level is solved, by auction and shortest paths where all masses are equal, else by the network simplex.
    Then all pairs are priced, and those that violate dual feasibility are added, until there are none.

    Parameters
    ----------
    problem : TransportProblem
        Between points, with positive masses.
    start : ndarray, shape (m,), optional
        Column potentials of a similar problem, in units of `problem.cost`: coarse levels are skipped if they help.
    time_limit : float, optional
        Seconds.
    progress : callable, optional
        Called with a stage and the relative gap that its potentials leave; the gaps cost some of the time.

    Returns
    -------
    Flow

    Raises
    ------
    NotConverged
        The time is up, or Ctrl-C was pressed: with the bounds reached so far.

    Notes
    -----
    Time grows like n**1.1 to n**1.3 for uniform weights in low dimension; memory is about 1 kB for each point.

    References
    ----------
    D. P. Bertsekas and D. A. Castanon, A forward/reverse auction algorithm for asymmetric assignment problems,
    Computational Optimization and Applications 1, 1992.
    B. Schmitzer, A sparse multiscale algorithm for dense optimal transport, J. Math. Imaging and Vision 56, 2016.
    Q. Merigot, A multiscale approach to optimal transport, Computer Graphics Forum 30, 2011.
    """
    deadline = np.inf if time_limit is None else time.perf_counter() + time_limit
    watch = Watch(deadline, progress)
    smaller = merged(problem)
    if smaller is None:
        return _solve(problem, start, watch)
    return split(_solve(smaller.problem, None if start is None else start[smaller.first_cols], watch), smaller, problem)


def _solve(problem: TransportProblem, start: Array | None, watch: Watch) -> Flow:
    descent: _Descent | None = None
    try:
        pyramid = _pyramid(problem, start, watch)
        descent = _Matching(pyramid) if problem.is_assignment else _Flowing(pyramid)
        descent.run()
    except (KeyboardInterrupt, Interrupted) as reason:
        what = "the time limit was reached" if isinstance(reason, Interrupted) else "interrupted"
        raise _stopped(problem, descent, what) from reason
    return _flow(problem, descent)


@dataclass(frozen=True)
class _Pyramid:
    """The problem at all scales, finest first, in tree order."""

    levels: list[tuple[Cloud, Cloud]]
    row_order: Array
    col_order: Array
    tilt: Array  # (m,) what centring the clouds adds to g, in tree order
    start: Array | None  # g to start from, in tree order and centred


def _pyramid(problem: TransportProblem, start: Array | None, watch: Watch) -> _Pyramid:
    cost = cast(PointCost, problem.cost)
    n, m = problem.shape
    fold, power = folding(cost)
    x, y, tilt = cost.x, cost.y, np.zeros(m)
    if fold == 0 and power == 1:
        # Translations change squared costs by terms of one point each, which the potentials take up.
        here, there = np.median(x, axis=0), np.median(y, axis=0)
        x, y = x - here, y - there
        tilt = 2 * (y @ (here - there))
    grains = RATIO ** np.arange(1, 32)
    grains = grains[min(n, m) // grains >= COARSEST][::-1]
    row_order, col_order = ordered(x, grains), ordered(y, grains)
    row_mass, col_mass = problem.row_mass[row_order], problem.col_mass[col_order]
    if problem.is_assignment:
        row_mass = col_mass = np.ones(n, np.int64)
    sides = ((x[row_order], row_mass), (y[col_order], col_mass))
    levels = [_pair(*(Cloud(points, mass, grains, fold, power, watch) for points, mass in sides))]
    for _ in grains:
        pair = levels[-1]
        if problem.is_assignment:  # clusters of equal mass; the few points left over take no part above
            pair = _pair(*(cloud.first(len(cloud) // RATIO * RATIO) for cloud in pair))
        levels.append(_pair(*(cloud.coarser(RATIO) for cloud in pair)))
    tilt = tilt[col_order]
    return _Pyramid(levels, row_order, col_order, tilt, None if start is None else start[col_order] + tilt)


def _pair(x: Cloud, y: Cloud) -> tuple[Cloud, Cloud]:
    return x, y


class _Descent:
    """The way down the pyramid: what is known at the level reached, and what it says about the finest."""

    state: Assignment | FlowLevel | None = None

    def __init__(self, pyramid: _Pyramid) -> None:
        self.pyramid, self.depth = pyramid, len(pyramid.levels)

    def run(self) -> None:
        if self.pyramid.start is not None and self.warm(*self.pyramid.levels[0], self.pyramid.start):
            return
        for depth in range(len(self.pyramid.levels) - 1, -1, -1):
            x, y = self.pyramid.levels[depth]
            self.state = self.enter(x, y)
            self.depth = depth
            self.improve()

    def warm(self, x: Cloud, y: Cloud, start: Array) -> bool:
        """Solve the finest level from given potentials; False where they are too far from optimal to help."""
        raise NotImplementedError

    def enter(self, x: Cloud, y: Cloud) -> Assignment | FlowLevel:
        raise NotImplementedError

    def improve(self) -> None:
        raise NotImplementedError

    def carried(self, x: Cloud, y: Cloud) -> Array:
        """Column potentials for the next level: from the level above, or from nothing."""
        if self.state is not None:
            return self.state.x.transform(y.points, self.state.u)
        return x.transform(y.points, y.transform(x.points, np.zeros(len(y))))

    def potentials(self) -> Array:
        """Column potentials of the finest level, as far as the work went."""
        x, y = self.pyramid.levels[0]
        return self.state.v if self.depth == 0 and self.state is not None else self.carried(x, y)

    def plan(self) -> tuple[Array, Array, Array]:
        """A plan on the finest level: (rows, cols, mass)."""
        x, y = self.pyramid.levels[0]
        rows, cols = north_west(x.mass, y.mass)
        ends_row, ends_col = np.cumsum(x.mass)[rows], np.cumsum(y.mass)[cols]
        return rows, cols, np.diff(np.minimum(ends_row, ends_col), prepend=0)


class _Matching(_Descent):
    """All masses are equal: each level is an assignment problem."""

    state: Assignment | None

    def warm(self, x: Cloud, y: Cloud, start: Array) -> bool:
        state = Assignment(x, y, start, np.arange(len(x)))
        if not state.auction(WARM_STEPS) or not state.finish():
            return False
        self.state, self.depth = state, 0
        return True

    def enter(self, x: Cloud, y: Cloud) -> Assignment:
        if self.state is None:
            return Assignment(x, y, self.carried(x, y), np.arange(len(x)), everything=True)
        return Assignment(x, y, self.carried(x, y), _children(self.state.completed(), len(x)))

    def improve(self) -> None:
        state = cast(Assignment, self.state)
        coarsest = self.depth == len(self.pyramid.levels) - 1
        state.auction(COARSE_STEPS if self.depth else FINE_STEPS, state.global_steps() if coarsest else ())
        if not state.finish():
            _hand_over(state)

    def plan(self) -> tuple[Array, Array, Array]:
        if self.state is None:
            return super().plan()
        match = self.state.completed()
        for x, _ in self.pyramid.levels[: self.depth][::-1]:
            match = _children(match, len(x))
        return np.arange(len(match)), match, np.ones(len(match), np.int64)


class _Flowing(_Descent):
    """Any masses: each level is a transportation problem."""

    state: FlowLevel | None

    def warm(self, x: Cloud, y: Cloud, start: Array) -> bool:
        self.state, self.depth = FlowLevel(x, y, start, north_west(x.mass, y.mass)), 0
        self.state.optimise()
        return True

    def enter(self, x: Cloud, y: Cloud) -> FlowLevel:
        if self.state is None:
            spare = np.repeat(np.arange(len(x)), len(y)), np.tile(np.arange(len(y)), len(x))
        else:
            spare = _grandchildren(*self.state.basis(), len(x), len(y))
        return FlowLevel(x, y, self.carried(x, y), spare)

    def improve(self) -> None:
        cast(FlowLevel, self.state).optimise()

    def plan(self) -> tuple[Array, Array, Array]:
        return self.state.basis() if self.state is not None and self.depth == 0 else super().plan()


def _children(match: Array, count: int) -> Array:
    """The permutation of a level whose clusters are matched so: clusters in order, the points left over likewise."""
    clusters = (match[:, None] * RATIO + np.arange(RATIO)).ravel()
    return np.concatenate((clusters, np.arange(len(clusters), count)))


def _grandchildren(rows: Array, cols: Array, mass: Array, n: int, m: int) -> tuple[Array, Array]:
    """All pairs of points whose clusters exchange mass."""
    rows, cols = rows[mass > 0], cols[mass > 0]
    inside = np.arange(RATIO)
    shape = (len(rows), RATIO, RATIO)
    tails = np.broadcast_to((rows[:, None] * RATIO + inside)[:, :, None], shape).ravel()
    heads = np.broadcast_to((cols[:, None] * RATIO + inside)[:, None, :], shape).ravel()
    held = (tails < n) & (heads < m)
    return tails[held], heads[held]


def _hand_over(state: Assignment) -> None:
    """Shortest paths took too long: the network simplex, from the same potentials and matching."""
    flow = FlowLevel(state.x, state.y, state.v, (np.arange(len(state.x)), state.completed()))
    flow.optimise()
    rows, cols, mass = flow.basis()
    state.u, state.v = flow.u, flow.v
    state.row_match[rows[mass > 0]] = cols[mass > 0]
    state.col_match[cols[mass > 0]] = rows[mass > 0]


def _flow(problem: TransportProblem, descent: _Descent) -> Flow:
    pyramid = descent.pyramid
    rows, cols, mass = descent.plan()
    g = np.empty(problem.shape[1])
    g[pyramid.col_order] = descent.potentials() - pyramid.tilt
    if problem.is_assignment:
        mass = mass * problem.row_mass[0]
    return Flow(pyramid.row_order[rows], pyramid.col_order[cols], mass, g, None, pyramid.levels[0][0].watch.peak)


def _stopped(problem: TransportProblem, descent: _Descent | None, reason: str) -> NotConverged:
    """The error that says how far the work went."""
    if descent is None:
        return NotConverged(f"no certified optimum: {reason} before the first bounds.")
    for x, _ in descent.pyramid.levels[:1]:
        x.watch.deadline = np.inf
    flow = _flow(problem, descent)
    f, g = feasible_pair(problem, centred(problem, flow))
    cost = exact_dot(flow.mass, problem.cost.entries(flow.rows, flow.cols)) / problem.total
    bounds, exponent = bound(problem, flow, cost, f, g), problem.cost.exponent
    lower = unscale(bounds.lower * problem.mass, exponent, -1)
    upper = unscale(bounds.upper * problem.mass, exponent, +1)
    return NotConverged(
        f"no certified optimum: {reason}, the cost lies in [{lower:.17g}, {upper:.17g}]. Allow more time.", lower, upper
    )
