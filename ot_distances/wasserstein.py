"""The front door: Wasserstein distances of point sets, and transport on a cost matrix."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar, cast

import numpy as np

from . import _resident, measures
from ._arrays import library
from ._device import Backend
from .certificate import unscale_array
from .costs import METRICS, DenseCost, PointCost, from_callable
from .problem import (
    Array,
    Flow,
    GroundCost,
    Interrupted,
    NotConverged,
    Solved,
    Transport,
    TransportProblem,
    Watch,
)
from .solvers import METHODS, pays_on_device, runs_on_device, solve_problem
from .solvers.device_batch import MOST_ROWS, match_clouds
from .solvers.device_costs import DeviceCloud, DeviceMatrix
from .solvers.line_cost import PART, Masses, line_distance, line_distances

# Optimal potentials vary by no more than the costs do; those of a start may, but not by more than so many times that.
PROPORTION = 16.0

# Up to here a user's metric is asked for all costs once, 0.2 GB of them; beyond, for blocks of them, several times.
MATRIX_ENTRIES = 5_000**2

# Methods that are asked for no plan on a line.
LINE = "auto", "1d"

Metric = str | Callable[[Array, Array], Any]

Result = TypeVar("Result")


def wasserstein(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    p: float = 1,
    metric: Metric = "euclidean",
    method: str = "auto",
    rtol: float = 1e-9,
    n_jobs: int | None = None,
    progress: bool = False,
    time_limit: float | None = None,
) -> Any:
    """Exact Wasserstein distance of order p between two weighted point sets, in the unit of the points.

    ``W_p = (min over P of sum_ij P_ij d(x_i, y_j)**p) ** (1/p)`` over all plans P >= 0 with row sums a and column
    sums b; for p = inf the least possible length of the longest move. It is a metric on measures with p finite
    moments: 0 exactly for equal measures, symmetric, and W_p grows with p.

    Parameters
    ----------
    x : array_like, shape (n, d) or (n,)
        Points of the first measure; (B, n, d) for a batch of B.
    y : array_like, shape (m, d) or (m,)
        Points of the second measure; (B, m, d) for a batch.
    a, b : array_like, shapes (n,) and (m,), optional
        Weights, not negative, of the same sum: a difference of 1e-6 of it, 1e-4 for float32, is taken for rounding,
        and b scaled to the sum of a. Uniform if not given, of the mass of the other side or 1.
        A batch takes (B, n) and (B, m), or one vector for all. Where they do not sum to 1 the cost scales with them.
    p : float, default 1
        Order, 1 <= p <= inf.
    metric : str or callable, default "euclidean"
        "euclidean", "cityblock" or "chebyshev"; "sqeuclidean", the cost ||x - y||**2 itself, goes with p = 1 only;
        or a function of two blocks of points, (k, d) and (l, d), that returns their (k, l) distances (with p = 1 costs
        of any kind, also negative: the value is then the least cost, and no distance). It is asked for
        all at once, or, between large clouds, for blocks, for each pair some ten times, and no matrix is held.
    method : str, default "auto"
        "auto" picks the fastest that applies; `Transport.method` of `solve` says which.
    rtol : float, default 1e-9
        Certified relative gap of the cost.
    n_jobs : int, optional
        Threads for a batch; all cores if not given.
    progress : bool, default False
        Say on standard error what is done: of a long solve also, every few seconds, the bounds certified so far.
    time_limit : float, optional
        Seconds after which to give up.

    Returns
    -------
    float
        The distance; for a batch an array of shape (B,). Where any of x, y, a, b is a torch tensor, a tensor, 0-d or
        (B,), in the dtype and on the device of the tensors, differentiable in all of them (docs/gradients.md); a
        callable `metric` is then given tensors. For cupy arrays a cupy array, 0-d or (B,); docs/gpu.md says
        what runs on their GPU.

    Raises
    ------
    TypeError, ValueError
        Bad input, named with its first bad index.
    MemoryError
        A cost matrix that cannot fit, with its size in bytes.
    NotConverged
        The distance could not be certified to `rtol`; or the time was up before, or Ctrl-C was pressed: `lower` and
        `upper` are then the bounds on the cost that are certified so far.

    See Also
    --------
    solve : the same with plan, potentials and bounds.

    Notes
    -----
    On a line O((n + m) log(n + m)), and no plan is made. Large clouds in low dimension take memory of O(n + m); other
    problems a cost matrix of 8 n m bytes and, in practice, O(n**2) to O(n**3) time.

    References
    ----------
    C. Villani, Optimal Transport: Old and New, Springer, 2009.
    G. Peyré and M. Cuturi, Computational Optimal Transport, Foundations and Trends in Machine Learning, 2019.

    Examples
    --------
    >>> from ot_distances import wasserstein
    >>> wasserstein([0.0, 1.0], [2.0, 5.0])
    3.0
    >>> wasserstein([[0, 0], [0, 4]], [[3, 0], [3, 4]], p=2)
    3.0
    """
    kind = library(x, y, a, b)
    if kind == "numpy":
        return _distances(
            x, y, a, b, p=p, metric=metric, method=method, rtol=rtol, n_jobs=n_jobs, progress=progress,
            time_limit=time_limit,
        )  # fmt: skip
    transports = partial(
        _transports, p=p, method=method, rtol=rtol, n_jobs=n_jobs, progress=progress, time_limit=time_limit
    )
    if kind == "torch":
        from . import _torch

        return _torch.wasserstein(x, y, a, b, p, metric, transports)
    solved = transports(x, y, a, b, metric=metric)
    return _resident.like(solved.values if solved.batched else solved.values[0], x, y, a, b)


def solve(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    p: float = 1,
    metric: Metric = "euclidean",
    method: str = "auto",
    rtol: float = 1e-9,
    n_jobs: int | None = None,
    progress: bool = False,
    start: Transport | None = None,
    time_limit: float | None = None,
) -> Transport:
    """The optimal plan between two weighted point sets, with its potentials and its proof.

    ``value`` is the distance W_p in the unit of the points, ``cost`` its p-th power, and ``lower <= optimum <= upper``
    are rigorous bounds on that cost.

    Parameters
    ----------
    x : array_like, shape (n, d) or (n,)
        Points of the first measure.
    y : array_like, shape (m, d) or (m,)
        Points of the second measure.
    a, b : array_like, shapes (n,) and (m,), optional
        Weights, not negative, of the same sum; uniform if not given, of the mass of the other side or 1.
    p, metric, method, rtol, n_jobs, progress, time_limit
        As in `wasserstein`.
    start : Transport, optional
        The result for similar points in the same order, such as those of the last step of a training loop. The answer
        does not depend on it; the time does: a few times less where points have moved by less than their spacing.

    Returns
    -------
    Transport
        Plan, potentials, bounds, and the solver that ran. ``value`` and ``cost`` are floats, but 0-d tensors where a
        torch tensor among x, y, a, b requires a gradient, and know it (docs/gradients.md).

    Raises
    ------
    TypeError, ValueError, MemoryError, NotConverged
        As in `wasserstein`.

    Examples
    --------
    >>> from ot_distances import solve
    >>> result = solve([[0.0], [1.0]], [[3.0], [1.0]], [0.25, 0.75], [0.5, 0.5])
    >>> result.value, result.method
    (1.25, '1d')
    >>> print(result.plan.toarray())
    [[0.   0.25]
     [0.5  0.25]]
    >>> solve([[0.1], [1.1]], [[3.0], [1.0]], [0.25, 0.75], [0.5, 0.5], start=result).value
    1.2
    """
    measures.threads(n_jobs)
    watch, tensors = _watch(progress, time_limit), library(x, y, a, b) == "torch"
    ground = metric
    if tensors:
        from . import _torch

        ground = _torch.ground(metric, x, y)
    result = _solve(x, y, a, b, p=p, metric=ground, method=method, rtol=rtol, start=start, watch=watch)
    return _torch.rooted_with_gradient(result, x, y, a, b, p, metric) if tensors else result


def _solve(
    x: Any,
    y: Any,
    a: Any,
    b: Any,
    names: tuple[str, str] = ("a", "b"),
    *,
    p: float,
    metric: Metric,
    method: str,
    rtol: float,
    watch: Watch,
    start: Transport | None = None,
) -> Transport:
    measures.tolerance(rtol)
    measures.option(method, "method", METHODS)
    measures.same_labels(x, y, a, b)
    with _resident.visit(x, y) as backend:
        if backend is not None and _may_stay(x, y, metric, method):
            x, y = _resident_sides(backend, x, y)
        else:
            backend, x, y = None, measures.points(x, "x"), measures.points(y, "y")
        measures.same_dimension(x, y)
        p = measures.order(p)
        similar = measures.similar(start, (len(x), len(y)))
        cost = ground_cost(x, y, metric, p, method)
        if backend is not None:
            cost = DeviceCloud(backend, cast(PointCost, cost))
        problem = transport_problem(cost, a, b, p, names, watch)
        if isinstance(cost, DeviceCloud) and not runs_on_device(problem, method):
            problem = replace(problem, cost=cost.on_host())
        return _run(problem, method, rtol, similar)._between(x, y)


def _may_stay(x: Any, y: Any, metric: Metric, method: str) -> bool:
    """Whether points on a GPU are checked there: not what is solved on the host at a glance."""
    rows = tuple((getattr(side, "shape", ()) or (0,))[0] for side in (x, y))
    return not callable(metric) and (method == "device" or (method == "auto" and pays_on_device(rows)))


def _resident_sides(backend: Backend, x: Any, y: Any, ndim: int = 2) -> tuple[Any, Any]:
    """Both sides on the GPU, checked there."""
    here, there = (
        measures.resident_points(_resident.view(backend, side, partial(measures.real_array, name=name)), name, ndim)
        for side, name in ((x, "x"), (y, "y"))
    )
    return here, there


def solve_cost(
    cost_matrix: Any,
    a: Any = None,
    b: Any = None,
    *,
    method: str = "auto",
    rtol: float = 1e-9,
    n_jobs: int | None = None,
    progress: bool = False,
    start: Transport | None = None,
    time_limit: float | None = None,
) -> Transport:
    """Optimal transport on a dense cost matrix: min <P, C> over plans P >= 0 with row sums a and column sums b.

    Parameters
    ----------
    cost_matrix : array_like, shape (n, m)
        Any finite numbers; +inf forbids a pair.
    a, b : array_like, shapes (n,) and (m,), optional
        Weights, not negative, of the same sum; uniform if not given, of the mass of the other side or 1.
    method, rtol, n_jobs, progress, time_limit
        As in `wasserstein`.
    start : Transport, optional
        The result for similar costs.

    Returns
    -------
    Transport
        ``value`` and ``cost`` are both the optimal cost, not rooted; for torch tensors one 0-d tensor, differentiable
        in cost_matrix, a and b; for cupy arrays one 0-d array.

    Raises
    ------
    TypeError, ValueError
        Bad input, or forbidden pairs that leave no plan.
    NotConverged
        As in `wasserstein`.

    Examples
    --------
    >>> from ot_distances import solve_cost
    >>> solve_cost([[0, 1], [1, 0]], [0.75, 0.25], [0.5, 0.5]).cost
    0.25
    """
    watch = _watch(progress, time_limit)
    measures.tolerance(rtol)
    measures.threads(n_jobs)
    measures.option(method, "method", METHODS)
    with _resident.visit(cost_matrix) as backend:
        problem = _cost_problem(cost_matrix, a, b, backend, method, watch)
        result = _run(problem, method, rtol, measures.similar(start, problem.shape))
    kind = library(cost_matrix, a, b)
    if kind == "torch":
        from . import _torch

        return _torch.with_gradient(result, cost_matrix, a, b)
    if kind == "cupy":
        value: Any = _resident.like(result.cost, cost_matrix, a, b)
        return replace(result, value=value, cost=value)
    return result


def _cost_problem(
    cost_matrix: Any, a: Any, b: Any, backend: Backend | None, method: str, watch: Watch
) -> TransportProblem:
    """The problem on a cost matrix, which stays on its GPU where it can be solved there."""
    if backend is not None:
        matrix = backend.xp.ascontiguousarray(measures.resident_costs(_resident.view(backend, cost_matrix)))
        problem = transport_problem(DeviceMatrix(backend, matrix), a, b, watch=watch)
        if runs_on_device(problem, method):
            return problem
    return transport_problem(DenseCost(measures.cost_matrix(cost_matrix, a, b)), a, b, watch=watch)


def ground_cost(x: Array, y: Array, metric: Metric, p: float, method: str = "auto") -> GroundCost:
    """The cost d(x, y)**p (d itself for p = inf) of checked points."""
    if callable(metric):
        by_block = method in ("multiscale", "bottleneck") or (method == "auto" and len(x) * len(y) > MATRIX_ENTRIES)
        return from_callable(metric, x, y, p, dense=not by_block)
    _require_metric(metric, p)
    return PointCost.scaled(x, y, metric, 1.0 if p == np.inf else p)


def _require_metric(metric: str, p: float) -> None:
    """Refuse an unknown name, and an order that does not go with one."""
    measures.option(metric, "metric", METRICS)
    if metric == "sqeuclidean" and p != 1:
        raise ValueError(
            f'`p` must be 1 with metric="sqeuclidean", which is the cost ||x - y||^2 itself, but p = {p:g}. '
            'For W_2 pass p=2 with metric="euclidean".'
        )


def transport_problem(
    cost: GroundCost,
    a: Any,
    b: Any,
    power: float = 1.0,
    names: tuple[str, str] = ("a", "b"),
    watch: Watch | None = None,
) -> TransportProblem:
    """Cost and weights, checked and balanced."""
    balanced = measures.both_weights(a, b, cost.shape, names)
    row_mass, col_mass, total, exact = measures.integer_masses(*balanced)
    return TransportProblem(cost, *balanced, row_mass, col_mass, total, exact, power, None, watch or Watch())


def _distances(
    x: Any, y: Any, a: Any, b: Any, *, n_jobs: int | None, progress: bool, time_limit: float | None, **options: Any
) -> float | Array:
    """The distance of each pair of point sets of numpy, or of the only one."""
    workers, watch = measures.threads(n_jobs), _watch(progress, time_limit)
    if _dimensions(x) != 3 != _dimensions(y):
        return _distance(x, y, a, b, watch=watch, **options)
    values = _line_distances(x, y, **options) if a is None and b is None else None
    if values is None:
        values = np.array(_each(partial(_distance, **options), _batch(x, y, a, b), workers, time_limit))
    if progress:
        _say(f"{len(values)} problems solved")
    return values


def _distance(
    x: Any, y: Any, a: Any, b: Any, names: tuple[str, str] = ("a", "b"), *, watch: Watch, **options: Any
) -> float:
    """W_p alone, for which points on a line need no plan."""
    measures.same_labels(x, y, a, b)
    x, y = measures.real_array(x, "x"), measures.real_array(y, "y")
    try:
        value = _line_distance(x, y, a, b, names, **options) if watch.progress is None else None
    except KeyboardInterrupt as reason:
        raise NotConverged("no certified optimum: interrupted. Allow more time.") from reason
    return _solve(x, y, a, b, names, watch=watch, **options).value if value is None else value


def _line_distance(
    x: Array, y: Array, a: Any, b: Any, names: tuple[str, str], *, p: float, metric: Metric, method: str, rtol: float
) -> float | None:
    """W_p in closed form; None off a line, and where that does not tell it."""
    if callable(metric) or method not in LINE or not all(side.ndim == 1 or side.shape[1:] == (1,) for side in (x, y)):
        return None
    x, y = measures.points(x, "x")[:, 0], measures.points(y, "y")[:, 0]
    p, mass = measures.order(p), 1.0
    _require_metric(metric, p)
    if a is None and b is None:
        masses = Masses.uniform(len(x), len(y))
    else:
        a, b = measures.both_weights(a, b, (len(x), len(y)), names)
        if np.count_nonzero(a) < len(a) or np.count_nonzero(b) < len(b):
            x, y, a, b = x[a > 0], y[b > 0], a[a > 0], b[b > 0]
        mass, masses = float(np.add.reduce(a)), Masses.of(*measures.integer_masses(a, b))
    return line_distance(x, y, masses, mass, p, METRICS[metric].degree, measures.tolerance(rtol))


def _line_distances(x: Any, y: Any, *, p: float, metric: Metric, method: str, rtol: float) -> Array | None:
    """The same for a batch of sets of as many points, of equal weights."""
    x, y = measures.real_array(x, "x"), measures.real_array(y, "y")
    if x.shape != y.shape or x.shape[2:] != (1,) or not 0 < x.shape[1] <= PART or len(x) == 0:
        return None
    if callable(metric) or method not in LINE:
        return None
    p = measures.order(p)
    _require_metric(metric, p)
    x, y = measures.resident_points(x, "x", 3)[..., 0], measures.resident_points(y, "y", 3)[..., 0]
    return line_distances(x, y, p, METRICS[metric].degree, measures.tolerance(rtol))


def _transports(
    x: Any, y: Any, a: Any, b: Any, *, n_jobs: int | None, progress: bool, time_limit: float | None, **options: Any
) -> Solved:
    """The transport of each pair of point sets, or of the only one."""
    if _dimensions(x) != 3 != _dimensions(y):
        measures.threads(n_jobs)
        result = _solve(x, y, a, b, watch=_watch(progress, time_limit), **options)
        return Solved(np.array([result.value]), lambda: [result], False)
    solved, workers = None, measures.threads(n_jobs)
    if a is None and b is None and _resident.on_gpu(x, y):
        solved = _batch_there(x, y, watch=_watch(False, time_limit), **options)
    if solved is None:
        results = _each(partial(_solve, **options), _batch(x, y, a, b), workers, time_limit)
        solved = Solved(np.array([one.value for one in results]), lambda: results, True)
    if progress:
        _say(f"{len(solved.values)} problems solved")
    return solved


def _each(
    one: Callable[..., Result], batch: list[Sequence[Any]], workers: int, time_limit: float | None
) -> list[Result]:
    """`one` of each problem of a batch, in threads."""
    watches: list[Watch] = [_watch(False, time_limit) for _ in batch]
    results: list[Result] = []
    with ThreadPoolExecutor(workers) as pool:
        try:
            every = pool.map if workers > 1 else map  # handing over a small problem takes as long as solving it
            for result in every(lambda problem, watch: one(*problem, watch=watch), batch, watches):
                results.append(result)
        except NotConverged as error:
            raise NotConverged(f"problem {len(results)}: {error}", error.lower, error.upper) from error
        except KeyboardInterrupt as reason:
            for watch in watches:
                watch.deadline = -math.inf
            raise NotConverged(f"interrupted after {len(results)} of {len(batch)} problems.") from reason
    return results


def _dimensions(side: Any) -> int:
    return int(side.ndim if hasattr(side, "ndim") else measures.real_array(side, "x").ndim)


def _batch_there(x: Any, y: Any, *, watch: Watch, p: float, metric: Metric, method: str, rtol: float) -> Solved | None:
    """A batch of uniform clouds on a GPU, in one launch or one after the other; None where it is the host's."""
    shape, other = (tuple(getattr(side, "shape", ())) for side in (x, y))
    if len(shape) != 3 or 0 in shape or other != shape or callable(metric) or p == np.inf:
        return None
    if pays_on_device(shape[1:2]):
        one = partial(_solve, a=None, b=None, p=p, metric=metric, method=method, rtol=rtol)
        results = [one(*sides, watch=replace(watch)) for sides in zip(x, y)]
        return Solved(np.array([one.value for one in results]), lambda: results, True)
    if shape[1] > MOST_ROWS or method not in ("auto", "device"):
        return None
    with _resident.visit(x, y) as visited:
        backend = cast(Backend, visited)
        x, y = _resident_sides(backend, x, y, 3)
        p = measures.order(p)
        cost = ground_cost(x.reshape(-1, shape[2]), y.reshape(-1, shape[2]), metric, p)
        try:
            matched = match_clouds(backend, cast(PointCost, cost), len(x), watch.check)
        except Interrupted as reason:
            raise NotConverged("no certified optimum: the time is up. Allow more time.") from reason
    if matched is None or not (matched.gap <= measures.tolerance(rtol)).all():
        return None
    return Solved(matched.values(p), lambda: matched.transports(p), True)


def _watch(progress: bool, time_limit: float | None) -> Watch:
    """The clock starts here."""
    deadline = time.perf_counter() + measures.time_limit(time_limit)
    return Watch(deadline, _say if progress else None)


def _say(line: str) -> None:
    print(f"ot_distances: {line}", file=sys.stderr, flush=True)


def _run(problem: TransportProblem, method: str, rtol: float, start: Transport | None) -> Transport:
    """Solve and prove, and say so if asked to."""
    (n, m), watch = problem.shape, problem.watch
    if watch.progress is not None:
        watch.progress(f"{n} x {m}, solving")
    if start is not None:
        problem = replace(problem, start=_as_flow(start, problem))
    result = solve_problem(problem, method, rtol)
    if watch.progress is not None:
        watch.progress(f"{result.method}, {result.seconds:.3g} s, certified gap {result.gap:.1e}")
    return result


def _as_flow(start: Transport, problem: TransportProblem) -> Flow | None:
    """An earlier result in the units of a problem; None where its potentials are out of all proportion."""
    plan, g = start.plan, unscale_array(start.g - start.g.mean(), -problem.cost.exponent)
    low, high = problem.cost.range()
    if not np.ptp(g) <= PROPORTION * (high - low):
        return None
    mass = np.rint(plan.data * (problem.total / plan.data.sum())).astype(np.int64)
    return Flow(plan.row.astype(np.intp), plan.col.astype(np.intp), mass, g)


def _batch(x: Any, y: Any, a: Any, b: Any) -> list[Sequence[Any]]:
    """One (x, y, a, b), and the names of a and b, for each problem of a batch."""
    x, y = measures.real_array(x, "x"), measures.real_array(y, "y")
    if x.ndim != 3 or y.ndim != 3 or len(x) != len(y):
        raise ValueError(
            f"`x` and `y` must both have shape (B, n, d) with one B, but their shapes are {x.shape} and {y.shape}. "
            "Stack as many point sets on both sides."
        )
    measures.require_finite(x, "x", "Remove or impute such points.")
    measures.require_finite(y, "y", "Remove or impute such points.")
    sides: list[Sequence[Any]] = []
    names = []
    for value, name in ((a, "a"), (b, "b")):
        array = None if value is None else measures.real_array(value, name)
        if array is None or array.ndim < 2:
            sides.append([array] * len(x))
            names.append([name] * len(x))
            continue
        if len(array) != len(x):
            raise ValueError(
                f"`{name}` must have one row for each of the {len(x)} problems, but it has shape {array.shape}. "
                "Pass (B, n) weights, or one vector for all."
            )
        measures.require_weights(array, name)
        sides.append(list(array))
        names.append([f"{name}[{k}]" for k in range(len(x))])
    return list(zip(x, y, *sides, zip(*names), strict=True))
