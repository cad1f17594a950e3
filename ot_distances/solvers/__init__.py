"""The table of solvers: problem in, proven Transport out. Adding a solver is one file and one row here."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib import import_module
from types import ModuleType

import numpy as np

from ..certificate import certify, reached
from ..costs import FunctionCost, PointCost
from ..problem import Array, Flow, Interrupted, NotConverged, Transport, TransportProblem
from .device_costs import DeviceMatrix, OnDevice
from .high_order import FEW, ORDER, in_units_of_longest


@dataclass(frozen=True)
class Solver:
    """A row of the table."""

    module: str  # the file in this folder; its function of the same name is the solver
    about: str  # one line for `ot-distances info` and the docs
    refuses: Callable[[TransportProblem], str | None]  # why it cannot solve a problem
    pays: Callable[[TransportProblem], bool] = lambda problem: True  # where "auto" prefers it to the rows below

    def __call__(self, problem: TransportProblem) -> Flow:
        flow: Flow = getattr(_file(self.module), self.module)(problem)
        return flow


@cache
def _file(name: str) -> ModuleType:
    return import_module(f".{name}", __name__)


def _different(problem: TransportProblem) -> str | None:
    from .identity import equal_atoms

    return "both measures must be the same" if equal_atoms(problem) is None else None


def _off_the_line(problem: TransportProblem) -> str | None:
    cost = problem.cost
    if isinstance(cost, PointCost) and cost.x.shape[1] == 1:
        return None
    return "points must lie on a line (d = 1) with a metric known by name"


def _not_bottleneck(problem: TransportProblem) -> str | None:
    return None if problem.power == np.inf else "p must be infinite"


def _bottleneck(problem: TransportProblem) -> str | None:
    return "p must be finite" if problem.power == np.inf else None


def _not_uniform(problem: TransportProblem) -> str | None:
    uneven = None if problem.is_assignment else "both sides must have as many points, all of equal weight"
    return uneven or _bottleneck(problem)


def _no_cloud(problem: TransportProblem) -> str | None:
    if not isinstance(problem.cost, (PointCost, FunctionCost)):
        return "there must be points"
    return _bottleneck(problem)


def _large_cloud(problem: TransportProblem) -> bool:
    """Where clusters beat the cost matrix (measured, on one thread), or there is no room for one."""
    n, m = problem.shape
    if isinstance(problem.cost, FunctionCost):
        return True
    crossings = CROSSINGS[(problem.is_assignment and problem.power < STEEP) or problem.start is not None]
    if n * m <= crossings[0][1] ** 2:
        return False
    d = problem.cost.dimension if isinstance(problem.cost, PointCost) else 0
    return n * m > next(size for dimension, size in crossings if d <= dimension) ** 2


def _not_on_device(problem: TransportProblem) -> str | None:
    cost = problem.cost
    if not isinstance(cost, OnDevice):
        return "the data must lie on a GPU, as cupy arrays and CUDA tensors do"
    if isinstance(cost, DeviceMatrix) and not cost.ordinary:
        return "the costs must be of normal magnitude"
    return _not_uniform(problem)


def _pays_there(problem: TransportProblem) -> bool:
    """In low dimension the host's clusters are faster beyond some size, though the points are copied for them."""
    n, cost = max(problem.shape), problem.cost
    low = isinstance(cost, PointCost) and cost.x.shape[1] <= LOW_DIMENSION
    return pays_on_device(problem.shape) and not (low and n > MOST_LOW_POINTS)


def pays_on_device(shape: tuple[int, ...]) -> bool:
    """Where the device is the faster: a smaller problem is solved before it has made its first rounds."""
    return min(shape) >= DEVICE_ROWS


SOLVERS: dict[str, Solver] = {
    "identity": Solver("identity", "equal measures: nothing moves, the cost is exactly 0", _different),
    "1d": Solver("line", "sort and merge cumulative masses, O((n + m) log(n + m))", _off_the_line),
    "bottleneck": Solver("bottleneck", "p = inf: maximum flows at radii that close in on it", _not_bottleneck),
    "device": Solver(
        "device", "uniform weights, n = m, data on a GPU: auction, exact finish", _not_on_device, _pays_there
    ),
    "multiscale": Solver("multiscale", "large point clouds, any weights, no cost matrix", _no_cloud, _large_cloud),
    "assignment": Solver("assignment", "shortest augmenting paths and auction, uniform weights, n = m", _not_uniform),
    "network_simplex": Solver("network_simplex", "primal network simplex on int64 masses, any weights", _bottleneck),
    "lp": Solver("linear_program", "the explicit linear program by HiGHS, small problems", _bottleneck),
}

# Points on each side from which on "multiscale" is the faster, up to a dimension: for equal weights or from a given
# start (True), and for others.
CROSSINGS = {
    False: ((2, 500), (3, 1_000), (np.inf, 2_700)),
    True: ((2, 2_500), (3, 3_500), (np.inf, 10_000)),
}

# From this order on equal weights are like others: a matrix of such costs takes up to thirty times as long.
STEEP = 5

# Rows and columns from which on a GPU is the faster: by a model of its speed, not by measurement.
DEVICE_ROWS = 1000

# Up to this dimension it is so only up to so many points: its finish on the host, which was measured, grows like n**2.
LOW_DIMENSION, MOST_LOW_POINTS = 3, 8_000

METHODS = ("auto", *SOLVERS)

# Those that read all costs as a matrix, and long where float64 potentials can hardly tell them.
OF_MATRICES = ("assignment", "network_simplex", "lp")


def choose(problem: TransportProblem) -> str:
    """The name of the solver that `method="auto"` runs: the first row that accepts the problem and pays there."""
    return next(name for name, row in SOLVERS.items() if row.refuses(problem) is None and row.pays(problem))


def runs_on_device(problem: TransportProblem, method: str) -> bool:
    """Whether a problem whose cost is on a device will be solved there."""
    return (choose(problem) if method == "auto" else method) == "device"


def solve_problem(problem: TransportProblem, method: str, rtol: float) -> Transport:
    """Run one solver and prove its answer.

    Raises
    ------
    ValueError
        The method does not apply to the problem.
    NotConverged
        The answer could not be certified to `rtol`, or the time was up before, or Ctrl-C was pressed.
    """
    problem.watch.bounds = partial(reached, problem)
    try:
        return _proven(problem, method, rtol, time.perf_counter())
    except (KeyboardInterrupt, Interrupted) as reason:
        raise _stopped(problem, "the time is up" if isinstance(reason, Interrupted) else "interrupted") from reason
    finally:
        problem.watch.bounds = problem.watch.reached = None


def _proven(problem: TransportProblem, method: str, rtol: float, started: float) -> Transport:
    """The certified answer; for high orders in other units: at once where that of a large matrix may fail in vain."""
    if method != "auto":
        _require_suited(problem, method)
    (n, m), other = problem.shape, None
    name = choose(problem) if method == "auto" and problem.power > ORDER else method
    if name in OF_MATRICES and n * m > FEW:
        other = in_units_of_longest(problem, find_flow)
    try:
        return _certified(problem, other, method, rtol, started)
    except NotConverged:
        if other is None and (name in OF_MATRICES or method == "auto"):
            other = in_units_of_longest(problem, find_flow)
            if other is not None:
                return _certified(problem, other, method, rtol, started)
        raise


def _certified(
    problem: TransportProblem, other: tuple[TransportProblem, int] | None, method: str, rtol: float, started: float
) -> Transport:
    """The certified answer to a problem, or to what stands for it: with its matrix, and what that took to find."""
    if other is None:
        return certify(problem, *find_flow(problem, method), rtol, started)
    restated, taken = other
    flow, name = find_flow(restated, method)
    held = 8 * problem.shape[0] * problem.shape[1] + flow.bytes
    return certify(restated, replace(flow, bytes=max(taken, held)), name, rtol, started)


def _stopped(problem: TransportProblem, reason: str) -> NotConverged:
    """The error that says how far the work went."""
    watch = problem.watch
    watch.deadline, watch.progress = np.inf, None
    lower, upper, gap = watch.bounds() if watch.bounds is not None else (-np.inf, np.inf, np.inf)
    return NotConverged(
        f"no certified optimum: {reason}, the cost lies in [{lower:.17g}, {upper:.17g}], a relative gap of {gap:.1e}. "
        "Allow more time.",
        lower,
        upper,
    )


def find_flow(
    problem: TransportProblem, method: str = "auto", solver: Callable[[TransportProblem], Flow] | None = None
) -> tuple[Flow, str]:
    """The flow of one solver (that of the table, unless given), unproven yet, and its name in the table.

    Atoms without mass never reach a solver.
    """
    active, whole = problem, all(np.count_nonzero(side) == len(side) for side in (problem.row_mass, problem.col_mass))
    if not whole:
        rows, cols = np.flatnonzero(problem.row_mass), np.flatnonzero(problem.col_mass)
        active = problem.between(rows, cols)
    name = choose(active) if method == "auto" else method
    problem.watch.bounds = partial(reached, active)
    flow = solver(active) if solver is not None else SOLVERS[name](active)
    return (flow if whole else _expand(flow, rows, cols, problem)), name


def _require_suited(problem: TransportProblem, method: str) -> None:
    reason = SOLVERS[method].refuses(problem)
    if reason is not None:
        raise ValueError(f'`method` must suit the problem, but for "{method}" {reason}. Use method="auto".')


def _expand(flow: Flow, rows: Array, cols: Array, problem: TransportProblem) -> Flow:
    """The flow of the atoms that carry mass, among all atoms."""
    g = np.full(problem.shape[1], -np.inf)
    g[cols] = flow.g
    f = None
    if flow.f is not None:  # atoms without mass take no part in Hall's condition: rows near, columns not crowded
        f = np.full(problem.shape[0], -1.0)
        f[rows] = flow.f
        g[g == -np.inf] = 0.0
    return Flow(rows[flow.rows], cols[flow.cols], flow.mass, g, f, flow.bytes)
