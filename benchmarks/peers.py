"""The solvers: one table row each, with what it can do and how it is called; and the judge of their answers.

A row's functions do what a user of that library would have to do, conversions and cost matrices included, and return
an `Answer`. One that hands back a plan is judged by that plan, one that hands back a number by its number.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from .families import Array, Problem, matrix

EXACT = 1e-9  # relative; an answer this close to the best proven one is called exact
SCALE_BITS = 30  # for solvers of whole numbers: more overflows OR-tools at n = 4,000
BLOCK = 1 << 22  # entries of a cost matrix that the judge holds at one time
MOST_PRICED = 2e9  # pairs that the judge looks at: some 20 s


@dataclass(frozen=True)
class Answer:
    """The cost (never rooted), and whatever else the solver tells."""

    value: float
    plan: list[tuple[Array, Array, Array | None]] | None = None  # (rows, cols, mass) of each problem; None: unit mass
    duals: list[tuple[Array, Array]] | None = None
    bounds: tuple[float, float] | None = None
    peak_bytes: int | None = None  # that the solver says it held


@dataclass(frozen=True)
class Peer:
    name: str
    module: str
    package: str  # its name on PyPI
    solve: dict[str, Callable[[Problem, int], Answer]]  # by suite; the second argument is the number of threads
    can: frozenset[str] = field(default=frozenset())  # of Problem.features
    largest: float = 3e8  # rows times columns that fit its memory, or its patience
    tolerance: float = EXACT
    note: str = ""

    def version(self) -> str | None:
        """Installed and importable, or None."""
        try:
            found = importlib.import_module(self.module)
            return getattr(found, "__version__", None) or importlib.metadata.version(self.package)
        except ImportError:
            return None

    def refuses(self, suite: str, problem: Problem) -> str | None:
        if suite not in self.solve:
            return "not its kind of problem"
        if missing := sorted(problem.features - self.can):
            return "cannot: " + ", ".join(missing)
        return f"more than {self.largest:.0e} entries" if problem.size > self.largest else None


# --- assignment and batch -------------------------------------------------------------------------------------------


def _assigned(cost: float, rows: Array, cols: Array) -> Answer:
    return Answer(float(cost), [(rows, cols, None)])


def scipy_assignment(problem: Problem, threads: int) -> Answer:
    from scipy.optimize import linear_sum_assignment

    rows, cols = linear_sum_assignment(problem.cost)
    return _assigned(problem.cost[rows, cols].sum(dtype=float), rows, cols)


def lap_module(problem: Problem, threads: int, *, module: str, function: str, **options: Any) -> Answer:
    """The lapx family: (cost, rows, cols) = f(C); a float64 C is worked on in float64."""
    C = problem.cost
    C = C if np.issubdtype(C.dtype, np.floating) else C.astype(float)
    return _assigned(*getattr(importlib.import_module(module), function)(C, extend_cost=True, **options))


def lapjv_assignment(problem: Problem, threads: int) -> Answer:
    from lapjv import lapjv

    C = problem.cost if np.issubdtype(problem.cost.dtype, np.floating) else problem.cost.astype(float)
    cols = lapjv(C, force_doubles=C.dtype == np.float64)[0]
    rows = np.arange(len(C))
    return _assigned(C[rows, cols].sum(dtype=float), rows, cols)


def pot_assignment(problem: Problem, threads: int) -> Answer:
    import ot

    n, m = problem.cost.shape
    if n != m:
        raise NotImplementedError("cannot: leave columns unmatched")
    return Answer(n * float(ot.emd2([], [], np.asarray(problem.cost, dtype=float), numItermax=10**9)))


def ortools_assignment(problem: Problem, threads: int) -> Answer:
    from ortools.graph.python.linear_sum_assignment import SimpleLinearSumAssignment

    C = problem.cost
    finite = np.isfinite(C)
    rows, cols = np.nonzero(finite)
    values = C[finite]
    whole = np.issubdtype(C.dtype, np.integer) or bool((values == np.floor(values)).all())
    top = float(np.abs(values).max()) or 1.0
    scaled = values if whole and top < 2**SCALE_BITS else np.rint(values.astype(float) * (2.0**SCALE_BITS / top))
    solver = SimpleLinearSumAssignment()
    solver.add_arcs_with_cost(rows.astype(np.int32), cols.astype(np.int32), scaled.astype(np.int64))
    if solver.solve() != solver.OPTIMAL:
        raise RuntimeError("OR-tools gave up")
    rows = np.arange(len(C))
    cols = np.array([solver.right_mate(i) for i in range(len(C))])
    return _assigned(C[rows, cols].sum(dtype=float), rows, cols)


def one_by_one(problem: Problem, threads: int, *, solve: Callable[[Problem, int], Answer]) -> Answer:
    answers = [solve(Problem(C), threads) for C in problem.cost]
    return Answer(sum(answer.value for answer in answers), [answer.plan[0] for answer in answers])


def lap_module_batch(
    problem: Problem, threads: int, *, function: str, single: Callable[[Problem, int], Answer], **options: Any
) -> Answer:
    if isinstance(problem.cost, list):  # their batches are stacks
        return one_by_one(problem, threads, solve=single)
    module = importlib.import_module(single.keywords["module"])
    values, rows, cols = getattr(module, function)(problem.cost, n_threads=threads, **options)
    return Answer(float(np.sum(values)), [(r, c, None) for r, c in zip(rows, cols)])


# --- transport, points, line ----------------------------------------------------------------------------------------


def _weights(problem: Problem) -> tuple[Array, Array]:
    n, m = problem.cost.shape if problem.cost is not None else (len(problem.x), len(problem.y))
    a = np.full(n, 1 / n) if problem.a is None else problem.a
    return a, np.full(m, 1 / m) if problem.b is None else problem.b


def pot_transport(problem: Problem, threads: int) -> Answer:
    import ot

    return Answer(float(ot.emd2(*_weights(problem), problem.cost, numItermax=10**9)))


def highs_transport(problem: Problem, threads: int) -> Answer:
    from scipy.optimize import linprog
    from scipy.sparse import eye_array, kron, vstack

    (n, m), (a, b) = problem.cost.shape, _weights(problem)
    A = vstack([kron(eye_array(n), np.ones((1, m))), kron(np.ones((1, n)), eye_array(m))], format="csr")
    result = linprog(problem.cost.ravel(), A_eq=A, b_eq=np.concatenate([a, b]), method="highs-ds")
    if result.status != 0:
        raise RuntimeError(result.message)
    return Answer(float(result.fun))


def pot_points(problem: Problem, threads: int) -> Answer:
    # Not `ot.dist`: between coincident points it is 1e-8, and the answer no longer exact.
    C = matrix(problem.x, problem.y, problem.p)
    return pot_transport(Problem(C, a=problem.a, b=problem.b), threads)


def pot_lazy_points(problem: Problem, threads: int) -> Answer:
    import ot

    metric = "sqeuclidean" if problem.p == 2 else "euclidean"
    found = ot.solve_sample(problem.x, problem.y, *_weights(problem), metric=metric, lazy=True, max_iter=10**9)
    return Answer(float(found.value))


def matching_points(problem: Problem, threads: int, *, solve: Callable[[Problem, int], Answer]) -> Answer:
    """Equal weights and n = m make an assignment: the detour that experienced users take."""
    if "rectangular" in problem.features:
        raise NotImplementedError("cannot: n and m that differ")
    found = solve(Problem(matrix(problem.x, problem.y, problem.p)), threads)
    n = len(problem.x)
    return Answer(found.value / n, [(rows, cols, np.full(n, 1 / n)) for rows, cols, _ in found.plan])


def scipy_line(problem: Problem, threads: int) -> Answer:
    from scipy.stats import wasserstein_distance

    if problem.p != 1:
        raise NotImplementedError("p = 1 only")
    return Answer(float(wasserstein_distance(problem.x, problem.y, problem.a, problem.b)))


def pot_line(problem: Problem, threads: int, *, function: str) -> Answer:
    import ot

    if function == "wasserstein_1d":  # W_p ** p
        return Answer(float(ot.wasserstein_1d(problem.x, problem.y, problem.a, problem.b, p=problem.p)))
    return Answer(float(ot.emd2_1d(problem.x, problem.y, problem.a, problem.b, metric="minkowski", p=problem.p)))


# --- ours -----------------------------------------------------------------------------------------------------------


def our_assignment(problem: Problem, threads: int) -> Answer:
    from ot_distances import linear_assignment

    found = linear_assignment(problem.cost)
    return Answer(found.cost, [(found.rows, found.cols, None)], [(found.u, found.v)], (found.lower, found.upper))


def our_batch(problem: Problem, threads: int) -> Answer:
    from ot_distances import linear_assignment

    found = linear_assignment(problem.cost)
    if isinstance(found, list):  # ragged
        plan, duals = [(one.rows, one.cols, None) for one in found], [(one.u, one.v) for one in found]
        cost, bounds = sum(one.cost for one in found), [(one.lower, one.upper) for one in found]
    else:
        plan, duals = [(rows, cols, None) for rows, cols in zip(found.rows, found.cols)], list(zip(found.u, found.v))
        cost, bounds = found.cost.sum(), list(zip(found.lower, found.upper))
    lower, upper = np.sum(bounds, axis=0)
    return Answer(float(cost), plan, duals, (float(lower), float(upper)))


def our_transport(problem: Problem, threads: int) -> Answer:
    from ot_distances import solve, solve_cost

    if problem.cost is not None:
        found = solve_cost(problem.cost, problem.a, problem.b, n_jobs=threads)
    else:
        found = solve(problem.x, problem.y, problem.a, problem.b, p=problem.p, n_jobs=threads)
    plan = [(found.plan.row, found.plan.col, found.plan.data)]
    return Answer(found.cost, plan, [(found.f, found.g)], (found.lower, found.upper), found.peak_bytes)


def our_line(problem: Problem, threads: int) -> Answer:
    from ot_distances import wasserstein

    found = wasserstein(problem.x, problem.y, problem.a, problem.b, p=problem.p, n_jobs=threads)
    return Answer(found**problem.p)


OURS = "ot_distances"
PROOF = "ot_distances solve"  # on the line, where the number alone takes a way of its own
MATCHING = frozenset({"rectangular", "forbidden", "ragged"})


def _lap_row(package: str, module: str, function: str, note: str = "", **options: Any) -> Peer:
    one = partial(lap_module, module=module, function=function, **options)
    many = partial(lap_module_batch, function=f"{function}_batch", single=one, **options)
    solve = {"assignment": one, "batch": many, "points": partial(matching_points, solve=one)}
    return Peer(f"lapx {function}" if package == "lapx" else package, module, package, solve, MATCHING, note=note)


PEERS: list[Peer] = [
    Peer(
        OURS,
        "ot_distances",
        "ot_distances",
        {
            "assignment": our_assignment,
            "batch": our_batch,
            **dict.fromkeys(("transport", "points"), our_transport),
            "line": our_line,
        },
        frozenset({"rectangular", "forbidden", "weights", "ragged"}),
        largest=np.inf,
    ),
    Peer(
        "SciPy",
        "scipy",
        "scipy",
        {
            "assignment": scipy_assignment,
            "batch": partial(one_by_one, solve=scipy_assignment),
            "points": partial(matching_points, solve=scipy_assignment),
            "line": scipy_line,
        },
        MATCHING,
        note="`linear_sum_assignment`; a Python loop for batches; `stats.wasserstein_distance` on the line",
    ),
    _lap_row("lapx", "lap", "lapjvr"),
    _lap_row("lapx", "lap", "lapjvh"),
    _lap_row("lapx", "lap", "lapjvs", "`prefer_float32=False`: its default is not exact", prefer_float32=False),
    _lap_row("lapcpp", "lapcpp", "lapjv"),
    _lap_row("laprust", "laprust", "lapjv"),
    Peer(
        "lapjv",
        "lapjv",
        "lapjv",
        {"assignment": lapjv_assignment, "points": partial(matching_points, solve=lapjv_assignment)},
        note="in doubles for float64 input",
    ),
    Peer(
        "POT",
        "ot",
        "POT",
        {
            "assignment": pot_assignment,
            "transport": pot_transport,
            "points": pot_points,
            "line": partial(pot_line, function="emd2_1d"),
        },
        frozenset({"rectangular", "weights"}),
        largest=1.2e8,  # 5 GB
        note="`emd2`, no limit on iterations, on a matrix of SciPy's; `emd2_1d` on the line",
    ),
    Peer(
        "POT lazy",
        "ot",
        "POT",
        {"points": pot_lazy_points},
        frozenset({"rectangular", "weights"}),
        largest=4e9,
        note="`solve_sample(lazy=True)`: no cost matrix",
    ),
    Peer(
        "POT wasserstein_1d",
        "ot",
        "POT",
        {"line": partial(pot_line, function="wasserstein_1d")},
        frozenset({"rectangular", "weights"}),
    ),
    Peer(
        "OR-tools",
        "ortools",
        "ortools",
        {"assignment": ortools_assignment},
        frozenset({"forbidden"}),
        largest=7e7,
        tolerance=1e-6,
        note=f"`SimpleLinearSumAssignment`; costs rounded to {SCALE_BITS} bits unless whole: exact only to that",
    ),
    Peer(
        "HiGHS",
        "scipy",
        "scipy",
        {"transport": highs_transport},
        frozenset({"rectangular", "weights"}),
        largest=1e5,
        note="the textbook linear program, dual simplex",
    ),
    Peer(
        PROOF,
        "ot_distances",
        "ot_distances",
        {"line": our_transport},
        frozenset({"rectangular", "weights"}),
        largest=np.inf,
        note="no peer, but the judge of the number: plan, potentials and bounds",
    ),
]


# --- the judge ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """What an answer is worth, found from the problem and the answer by code that no solver shares."""

    value: float  # as claimed
    upper: float | None  # cost of the plan, if it is a plan
    lower: float | None  # value of the potentials, lowered until they are feasible
    scale: float  # total absolute cost that moved
    fault: str | None = None


def _blocks(problem: Problem, C: Array | None) -> Iterator[tuple[slice, Array]]:
    from scipy.spatial.distance import cdist

    n, m = C.shape if C is not None else (len(problem.x), len(problem.y))
    metric = "sqeuclidean" if problem.p == 2 else "euclidean"
    step = max(1, BLOCK // m)
    for start in range(0, n, step):
        rows = slice(start, min(n, start + step))
        yield rows, C[rows] if C is not None else cdist(*_columns(problem, rows), metric)


def _columns(problem: Problem, rows: Any = slice(None), cols: Any = slice(None)) -> tuple[Array, Array]:
    return problem.x.reshape(len(problem.x), -1)[rows], problem.y.reshape(len(problem.y), -1)[cols]


def _entries(problem: Problem, C: Array | None, rows: Array, cols: Array) -> Array:
    if C is not None:
        return C[rows, cols].astype(float)
    x, y = _columns(problem, rows, cols)
    square = ((x - y) ** 2).sum(axis=1)
    return square if problem.p == 2 else np.sqrt(square)


def _plan_fault(problem: Problem, C: Array | None, rows: Array, cols: Array, mass: Array | None) -> str | None:
    n, m = C.shape if C is not None else (len(problem.x), len(problem.y))
    if len(rows) and (rows.min() < 0 or rows.max() >= n or cols.min() < 0 or cols.max() >= m):
        return "indices outside the matrix"
    if mass is None:
        whole = len(rows) == min(n, m) and len(np.unique(rows)) == len(rows) and len(np.unique(cols)) == len(cols)
        return None if whole else "not a full matching"
    a, b = _weights(problem)
    off = max(
        np.abs(np.bincount(rows, mass, n) - a / a.sum()).max(), np.abs(np.bincount(cols, mass, m) - b / b.sum()).max()
    )
    return f"marginals wrong by {off:.1e}" if off > EXACT * max(a.max(), b.max()) or mass.min(initial=0) < 0 else None


def _dual_value(problem: Problem, C: Array | None, f: Array, g: Array, total: float | None) -> float:
    """A lower bound on the optimal cost from any f and g: what they violate is taken off everywhere."""
    n, m = len(f), len(g)
    if total is None:  # assignment: the longer side may stay unmatched, so its duals must not be positive
        f, g = (f if n <= m else np.minimum(f, 0)), (g if m <= n else np.minimum(g, 0))
        objective, total = float(f.sum() + g.sum()), float(min(n, m))
    else:
        a, b = _weights(problem)
        objective = float(a @ f + b @ g)
    slack = min(float((block - f[rows, None] - g[None, :]).min()) for rows, block in _blocks(problem, C))
    return objective + total * min(0.0, slack)


def judge(problem: Problem, answer: Answer) -> Verdict:
    """Cost the plan, test its marginals, and price every pair under the potentials.

    Where all pairs are too many for that, the solver's own lower bound is taken at its word.
    """
    upper, scale, fault = None, abs(answer.value), None
    stacked = problem.cost is not None and np.ndim(problem.cost[0]) == 2
    pieces: list[Any] = list(problem.cost) if stacked else [problem.cost]
    if answer.plan is not None:
        upper = scale = 0.0
        for C, (rows, cols, mass) in zip(pieces, answer.plan, strict=True):
            if fault := _plan_fault(problem, C, rows, cols, mass):
                return Verdict(answer.value, None, None, abs(answer.value), fault)
            moved = _entries(problem, C, rows, cols) * (1.0 if mass is None else mass)
            upper, scale = upper + float(moved.sum()), scale + float(np.abs(moved).sum())
        if not abs(answer.value - upper) <= EXACT * scale:
            fault = f"claims {answer.value:.12g}, its plan costs {upper:.12g}"
    lower = answer.bounds[0] if answer.bounds is not None else None
    if answer.duals is not None and problem.pairs <= MOST_PRICED:
        total = None if answer.plan is not None and answer.plan[0][2] is None else float(_weights(problem)[0].sum())
        lower = sum(_dual_value(problem, C, f, g, total) for C, (f, g) in zip(pieces, answer.duals, strict=True))
    return Verdict(answer.value, upper, lower, scale, fault)


def compare(verdicts: dict[str, Verdict]) -> dict[str, float]:
    """The relative error of each answer against the best proven bounds; +inf for one that is none.

    The optimum lies between the greatest feasible dual value and the least cost of a plan. Without any plan the
    smallest value claimed stands in for it: a wrong answer that is too small is then caught only by a dual value.
    """
    sound = {name: v for name, v in verdicts.items() if v.fault is None and np.isfinite(v.value)}
    plans = [v.upper for v in sound.values() if v.upper is not None] or [v.value for v in sound.values()]
    if not plans:
        return dict.fromkeys(verdicts, np.inf)
    upper = min(plans)
    lower = max([v.lower for v in sound.values() if v.lower is not None], default=upper)
    scale = max(v.scale for v in sound.values() if (v.upper if v.upper is not None else v.value) <= upper) or 1.0
    errors = {}
    for name, v in verdicts.items():
        own = [v.value] + [u for u in (v.upper,) if u is not None]
        error = max(max(max(w - upper, min(lower, upper) - w, 0.0) for w in own), 0.0) / scale
        if v.lower is not None:  # whoever gives a proof answers for it too
            error = max(error, abs(upper - v.lower) / scale)
        errors[name] = error if name in sound else np.inf
    return errors
