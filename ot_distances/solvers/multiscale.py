"""Point clouds without a cost matrix: potentials from clusters, candidate arcs by reduced cost, all pairs priced."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from ..costs import FunctionCost, PointCost
from ..problem import Array, Flow, TransportProblem
from .basis import north_west
from .candidate_graph import CANDIDATES
from .cloud import Cloud, FunctionCloud, folding, ordered
from .duplicates import merged, split
from .level_flow import FlowLevel
from .level_matching import Assignment
from .rays import straightened

# Points of a level that become one point of the next coarser level.
RATIO = 4

# The coarsest level has at least this many points, and is solved with all arcs.
COARSEST = 64

# From so many bids for each row on, the next level is solved by the network simplex. Measured on 10 families of 4,000
# and 10,000 points: below 30, where the auction mostly takes less time, or above 50, where it takes up to twice as
# much. On more points the simplex slows down faster: there only where shortest paths gave up.
MANY_BIDS, MANY_POINTS = 32, 20_000

# Matched costs below this part of the largest potential drown in the roundings of these.
DROWNED = 2.0**-20

# Steps of eps in units of the spacing: on the way down, and on the finest level.
COARSE_STEPS = (1.0, 0.1)
FINE_STEPS = (1.0, 0.1, 0.01, 0.001)


def multiscale(problem: TransportProblem) -> Flow:
    """Exact transport between point clouds in memory of O(n + m).

    Clusters of four, of sixteen, ... points are matched first, coarse to fine. The potentials of a level, carried
    down by a c-transform, tell which pairs of the next may matter: those of least reduced cost for each row and each
    column, found through a k-d tree (in high dimension: in blocks of all pairs, roughly in float32, then exactly).
    On these the level is solved, by auction and shortest paths where all masses are equal, else by the network simplex.
    Then all pairs are priced, and those that violate dual feasibility are added, until there are none.

    `problem.start`, the flow of a similar problem, spares the coarse levels if it helps.

    Notes
    -----
    docs/benchmarks/point-clouds.md shows how time grows with n: slowly for squared distances, fastest along the rays of
    p = 1. Memory is 2 to 4 kB for each point.

    References
    ----------
    D. P. Bertsekas and D. A. Castanon, A forward/reverse auction algorithm for asymmetric assignment problems,
    Computational Optimization and Applications 1, 1992.
    B. Schmitzer, A sparse multiscale algorithm for dense optimal transport, J. Math. Imaging and Vision 56, 2016.
    Q. Merigot, A multiscale approach to optimal transport, Computer Graphics Forum 30, 2011.
    """
    smaller = merged(problem)
    if smaller is None:
        return _solve(problem)
    flow = _solve(smaller.problem)
    return split(flow, smaller, problem)


def _solve(problem: TransportProblem) -> Flow:
    pyramid = _pyramid(problem)
    descent = _Matching(pyramid) if problem.is_assignment else _Flowing(pyramid)
    problem.watch.reached = lambda: _flow(problem, descent)
    descent.run()
    return _flow(problem, descent)


@dataclass(frozen=True)
class _Pyramid:
    """The problem at all scales, finest first, in tree order."""

    levels: list[tuple[Cloud, Cloud]]
    row_order: Array
    col_order: Array
    tilt: Array  # (m,) what centring the clouds adds to g, in tree order
    start: Flow | None  # what to start from, in tree order and centred
    rays: bool  # mass moves along rays, where many pairs cost nearly the same


def _pyramid(problem: TransportProblem) -> _Pyramid:
    cost = cast(PointCost | FunctionCost, problem.cost)
    n, m = problem.shape
    fold, power = folding(cost) if isinstance(cost, PointCost) else (0, 0.0)
    x, y, tilt = cost.x, cost.y, np.zeros(m)
    if fold == 0 and power == 1:
        # Translations change squared costs by terms of one point each, which the potentials take up.
        here, there = np.median(x, axis=0), np.median(y, axis=0)
        x, y = x - here, y - there
        tilt = 2 * (y @ (here - there))
    bend = 1.0
    if fold == 0 and power == 0.5 and problem.start is None:
        x, y, bend = straightened(x, y, problem.row_mass, problem.col_mass)
    grains = RATIO ** np.arange(1, 32)
    grains = grains[min(n, m) // grains >= COARSEST][::-1]
    row_order, col_order = ordered(x, grains, bend), ordered(y, grains, bend)
    row_mass, col_mass = problem.row_mass[row_order], problem.col_mass[col_order]
    if problem.is_assignment:
        row_mass = col_mass = np.ones(n, np.int64)
    sides = ((x[row_order], row_mass), (y[col_order], col_mass))
    finest = [Cloud(points, mass, grains, fold, power, problem.watch) for points, mass in sides]
    if isinstance(cost, FunctionCost):
        finest = [FunctionCloud(**vars(cloud), cost=one) for cloud, one in zip(finest, (cost.T, cost))]
    levels = [_pair(*finest)]
    # Points in two orders, their tree with its bounds, and the four lists and few potentials of each.
    problem.watch.base = 8 * (n + m) * (4 * x.shape[1] + 2 * CANDIDATES + 8)
    for _ in grains:
        pair = levels[-1]
        if problem.is_assignment:  # clusters of equal mass; the few points left over take no part above
            pair = _pair(*(cloud.first(len(cloud) // RATIO * RATIO) for cloud in pair))
        levels.append(_pair(*(cloud.coarser(RATIO) for cloud in pair)))
    tilt, start = tilt[col_order], None
    if problem.start is not None:
        start = problem.start.between(row_order, col_order, problem.shape)
        start = replace(start, g=start.g + tilt)
    return _Pyramid(levels, row_order, col_order, tilt, start, bend < 1)


def _pair(x: Cloud, y: Cloud) -> tuple[Cloud, Cloud]:
    return x, y


class _Descent(ABC):
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

    @abstractmethod
    def warm(self, x: Cloud, y: Cloud, start: Flow) -> bool:
        """Solve the finest level from a given flow; False where it is too far from optimal to help."""

    @abstractmethod
    def enter(self, x: Cloud, y: Cloud) -> Assignment | FlowLevel:
        """The problem of a level, from the prices of the one above."""

    @abstractmethod
    def improve(self) -> None:
        """Solve it, as well as the level below needs."""

    def carried(self, x: Cloud, y: Cloud) -> Array:
        """Column potentials for the next level, near 0: from the level above, or from nothing."""
        u = y.transform(x.points, np.zeros(len(y))) if self.state is None else self.state.u
        v = (x if self.state is None else self.state.x).transform(y.points, u)
        centred: Array = v - np.median(v)
        return centred

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
    """All masses are equal: each level is an assignment problem, by auction while rows do not fight over columns."""

    rivalry = 0.0  # bids for each row at the level above

    def run(self) -> None:
        super().run()
        x, y = self.pyramid.levels[0]
        state = cast(Assignment | FlowLevel, self.state)
        match = state.completed()
        if y.costs(x.points, np.arange(len(x)), match).mean() < DROWNED * np.abs(state.v).max():
            # The clouds nearly coincide, and potentials may be anything up to the spacing: begin anew from none.
            again = Assignment(x, y, np.zeros(len(y)), match, warm=True)
            if again.nearest_is_best() or again.mend():
                self.state = again

    def warm(self, x: Cloud, y: Cloud, start: Flow) -> bool:
        match = np.arange(len(x))
        if len(start.rows) == len(np.unique(start.cols)) == len(x):  # else it had other weights
            match[start.rows] = start.cols
        self.state, self.depth = Assignment(x, y, start.g, match, warm=True), 0
        if self.state.mend():
            return True
        self.state, self.depth = None, len(self.pyramid.levels)
        return False

    def enter(self, x: Cloud, y: Cloud) -> Assignment | FlowLevel:
        if self.state is None:
            return Assignment(x, y, self.carried(x, y), np.arange(len(x)), everything=True)
        children = _children(self.state.completed(), len(x))
        if self.pyramid.rays or self.rivalry > (MANY_BIDS if len(x) <= MANY_POINTS else len(x)):
            return FlowLevel(x, y, self.carried(x, y), (np.arange(len(x)), children))
        return Assignment(x, y, self.carried(x, y), children)

    def improve(self) -> None:
        if isinstance(self.state, Assignment):
            state, coarsest = self.state, self.depth == len(self.pyramid.levels) - 1
            bids = state.auction(COARSE_STEPS if self.depth else FINE_STEPS, state.global_steps() if coarsest else ())
            self.rivalry = 0.0 if coarsest else bids / len(state.x)
            if state.finish():
                return
            self.rivalry = np.inf  # shortest paths took too long
            self.state = FlowLevel(state.x, state.y, state.v, (np.arange(len(state.x)), state.completed()))
        cast(FlowLevel, self.state).optimise()

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

    def warm(self, x: Cloud, y: Cloud, start: Flow) -> bool:
        self.state, self.depth = FlowLevel(x, y, start.g, (start.rows, start.cols), warm=True), 0
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


def _flow(problem: TransportProblem, descent: _Descent) -> Flow:
    pyramid = descent.pyramid
    rows, cols, mass = descent.plan()
    g = np.empty(problem.shape[1])
    g[pyramid.col_order] = descent.potentials() - pyramid.tilt
    if problem.is_assignment:
        mass = mass * problem.row_mass[0]
    return Flow(pyramid.row_order[rows], pyramid.col_order[cols], mass, g, None, pyramid.levels[0][0].watch.peak)
