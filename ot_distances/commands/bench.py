"""`ot-distances bench`: a small comparison with the peers that are installed; `benchmarks/` is the thorough one."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..problem import Array
from .info import cores, cpu, version_of
from .output import columns_of

ABOUT = "times and answers beside those of the peers that are installed"
EXAMPLES = """\
examples:
  ot-distances bench                                      all suites, half a minute
  ot-distances bench --suite points --n 1000 4000         one suite, in two sizes
  ot-distances bench --suite line assignment --repeat 9
  ot-distances bench --json > times.json

Every answer is first held against our proven bounds; then all solvers take turns, and the best time of each counts.
Ours makes plan, potentials and bounds in its time, or on the line one number, as peers do there. A peer that is not
installed is named: pip install 'ot_distances[bench]' brings those of the wheels. The repository's benchmarks/ has many
more problems.
"""
OURS = "ot_distances"
EXACT = 1e-9  # relative; an answer this close to our bounds is called exact

Problem = tuple[Array, ...]


@dataclass(frozen=True)
class Rival:
    """A solver of somebody else: its package, and the call that a user of it would write."""

    package: str
    called: str
    cost: Callable[..., float]


@dataclass(frozen=True)
class Suite:
    about: str
    sizes: tuple[int, ...]
    make: Callable[[np.random.Generator, int], Problem]
    bounds: Callable[..., tuple[float, float]]  # ours
    rivals: tuple[Rival, ...]
    number: Callable[..., float] | None = None  # ours where rivals return nothing else


def add_arguments(command: argparse.ArgumentParser) -> None:
    about = "; ".join(f"{name}: {suite.about}" for name, suite in SUITES.items())
    command.add_argument("--suite", nargs="+", choices=tuple(SUITES), metavar="NAME", help=f"{about}; default: all")
    command.add_argument("--n", type=int, nargs="+", metavar="N", help="points or rows a side; default: some hundreds")
    command.add_argument("--repeat", type=int, default=3, metavar="R", help="turns of each solver; default: 3")
    command.add_argument("--seed", type=int, default=0, help="of the problems; default: 0")


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    for value, option in ((min(args.n or [1]), "--n"), (args.repeat, "--repeat")):
        if value < 1:
            raise ValueError(f"`{option}` must be at least 1, but it is {value}. Pass a count.")
    rows = []
    for name in args.suite or SUITES:
        for n in args.n or SUITES[name].sizes:
            rows += _measured(name, n, args.repeat, args.seed)
    report = {"machine": f"{cpu()}, {cores()} cores to use", "repeat": args.repeat, "seed": args.seed, "rows": rows}
    return report, _text(report)


def _measured(name: str, n: int, repeat: int, seed: int) -> list[dict[str, Any]]:
    """A row for each solver of one problem: ours first."""
    suite = SUITES[name]
    problem = suite.make(np.random.default_rng(seed), n)
    lower, upper = suite.bounds(*problem)  # compiles what is not compiled yet
    calls: dict[str, Callable[..., Any]] = {OURS: suite.number or suite.bounds}
    rows = [_row(name, n, OURS, "") | {"answer": "proven", "error": 0.0}]
    if suite.number is not None:
        rows[0] |= _judged(suite.number(*problem), lower, upper)
    for rival in suite.rivals:
        row = _row(name, n, rival.package, rival.called)
        try:
            cost = float(rival.cost(*problem))
        except ImportError:
            row["answer"] = "not installed"
        except Exception as error:  # whatever it is, it is the peer's, and the row says so
            row["answer"] = f"failed: {' '.join(str(error).split())[:60]}"
        else:
            row |= _judged(cost, lower, upper)
            calls[rival.called] = rival.cost
        rows.append(row)
    times = _in_turns(calls, problem, repeat)
    return [row | times.get(row["called"] or OURS, {}) for row in rows]


def _judged(cost: float, lower: float, upper: float) -> dict[str, Any]:
    apart = max(lower - cost, cost - upper, 0.0) / (max(abs(lower), abs(upper)) or 1.0)
    return {"answer": "exact" if apart <= EXACT else f"off by {apart:.0e}", "error": apart}


def _row(suite: str, n: int, package: str, called: str) -> dict[str, Any]:
    facts = {"suite": suite, "n": n, "solver": package, "version": version_of(package), "called": called}
    return facts | {"seconds": None, "cpu_seconds": None, "error": None}


def _in_turns(calls: dict[str, Callable[..., Any]], problem: Problem, repeat: int) -> dict[str, dict[str, float]]:
    """The best wall and processor time of each call; one after the other, so that all see the same machine."""
    best = {name: {"seconds": np.inf, "cpu_seconds": np.inf} for name in calls}
    for _ in range(repeat):
        for name, call in calls.items():
            cpu_start, start = time.process_time(), time.perf_counter()
            call(*problem)
            spent = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu_start}
            best[name] = {clock: min(best[name][clock], spent[clock]) for clock in spent}
    return best


def _text(report: dict[str, Any]) -> str:
    cells = [["suite", "n", "solver", "version", "wall", "cpu", "wall / ours", "answer"]]
    for row in report["rows"]:
        if row["solver"] == OURS:
            ours = row["seconds"]
        timed = row["seconds"] is not None
        cells.append(
            [
                row["suite"],
                f"{row['n']:,}",
                row["called"] or OURS,
                row["version"] if row["answer"] != "not installed" else "-",
                _time(row["seconds"]) if timed else "-",
                _time(row["cpu_seconds"]) if timed else "-",
                f"{row['seconds'] / ours:.2f}" if timed else "-",
                row["answer"],
            ]
        )
    turns = f"best of {report['repeat']} turns" if report["repeat"] > 1 else "one turn"
    return "\n".join([report["machine"], f"{turns}; wall / ours above 1: ours is faster", "", *columns_of(cells, True)])


def _time(seconds: float) -> str:
    unit, name = next((u for u in ((1.0, "s"), (1e-3, "ms")) if seconds >= u[0]), (1e-6, "us"))
    return f"{seconds / unit:.3g} {name}"


def _matrix(rng: np.random.Generator, n: int) -> Problem:
    return (rng.random((n, n)),)


def _weighted(rng: np.random.Generator, n: int) -> Problem:
    x, y = rng.normal(size=(n, 2)), rng.normal(size=(n, 2)) + 1
    a, b = rng.random((2, n))
    squares = ((x[:, None, :] - y) ** 2).sum(axis=2)  # (n, n)
    return squares, a / a.sum(), b / b.sum()


def _plane(rng: np.random.Generator, n: int) -> Problem:
    return rng.normal(size=(n, 2)), rng.normal(size=(n, 2)) + 1


def _line(rng: np.random.Generator, n: int) -> Problem:
    return rng.normal(size=n), rng.standard_cauchy(size=n)


def _match(C: Array) -> tuple[float, float]:
    from .. import linear_assignment

    result = linear_assignment(C)
    return result.lower, result.upper


def _solve_cost(C: Array, a: Array, b: Array) -> tuple[float, float]:
    from .. import solve_cost

    result = solve_cost(C, a, b)
    return result.lower, result.upper


def _solve(p: float) -> Callable[..., tuple[float, float]]:
    def bounds(x: Array, y: Array) -> tuple[float, float]:
        from .. import solve

        result = solve(x, y, p=p)
        return result.lower, result.upper

    return bounds


def _scipy_assignment(C: Array) -> float:
    from scipy.optimize import linear_sum_assignment

    return float(C[linear_sum_assignment(C)].sum())


def _lapx(C: Array) -> float:
    import lap

    return float(lap.lapjv(C)[0])


def _pot_transport(C: Array, a: Array, b: Array) -> float:
    import ot

    return float(ot.emd2(a, b, C, numItermax=10**9))


def _pot_points(x: Array, y: Array) -> float:
    import ot

    return float(ot.solve_sample(x, y).value)


def _our_line(x: Array, y: Array) -> float:
    from .. import wasserstein

    return float(wasserstein(x, y))


def _scipy_line(x: Array, y: Array) -> float:
    from scipy.stats import wasserstein_distance

    return float(wasserstein_distance(x, y))


def _pot_line(x: Array, y: Array) -> float:
    import ot

    return float(ot.wasserstein_1d(x, y, p=1))


SUITES: dict[str, Suite] = {
    "assignment": Suite(
        "a square matrix of uniform costs",
        (500,),
        _matrix,
        _match,
        (Rival("scipy", "SciPy linear_sum_assignment", _scipy_assignment), Rival("lapx", "lapx lapjv", _lapx)),
    ),
    "transport": Suite(
        "a matrix of squared distances, with weights",
        (300,),
        _weighted,
        _solve_cost,
        (Rival("POT", "POT emd2", _pot_transport),),
    ),
    "points": Suite(
        "W_2 of points in the plane",
        (1000,),
        _plane,
        _solve(2),
        (Rival("POT", "POT solve_sample", _pot_points),),
    ),
    "line": Suite(
        "W_1 of points on a line",
        (100_000,),
        _line,
        _solve(1),
        (Rival("scipy", "SciPy wasserstein_distance", _scipy_line), Rival("POT", "POT wasserstein_1d", _pot_line)),
        _our_line,
    ),
}
