"""What no peer offers, so that there is nothing to race: warm starts, longest moves (p = inf), costs by callables.

    python -m benchmarks.alone [--n 4000] [--repeat 3] [--out docs/benchmarks/alone.md]

Every answer carries its proof; calls take turns, and a time is the best of its turns.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

import ot_distances as ot

from .families import Problem, make
from .report import table
from .run import machine

WARM = ["square 2-D, p=2", "square 2-D, p=1", "shifted Gauss 2-D, p=2", "Gauss 16-D, p=2", "weighted, p=2"]
MOVES = (0.01, 0.1)  # of the mean distance of a point to the nearest of its own set
LONGEST = ["square 2-D, p=1", "shifted Gauss 2-D, p=1", "ring on square, p=1"]

Row = list[str]


def best(calls: list[Callable[[], Any]], repeat: int) -> tuple[list[float], list[Any]]:
    """Seconds of each call, the best of its turns, and what it returned."""
    seconds, answers = np.full(len(calls), np.inf), [call() for call in calls]
    for _ in range(repeat):
        for k, call in enumerate(calls):
            began = time.perf_counter()
            call()
            seconds[k] = min(seconds[k], time.perf_counter() - began)
    return list(seconds), answers


def solved(problem: Problem, **options: Any) -> ot.Transport:
    return ot.solve(problem.x, problem.y, problem.a, problem.b, **{"p": problem.p, **options})


def spacing(points: Any) -> float:
    """The mean distance of a point to its nearest neighbour, over 500 points."""
    distances = cdist(points[:500], points)
    return float(np.partition(distances, 1, axis=1)[:, 1].mean())


def warm_starts(n: int, repeat: int) -> Iterator[Row]:
    yield ["family", "points moved by", "cold", "warm", "cold / warm"]
    for name in WARM:
        problem = make("points", name, n)
        before = solved(problem)
        for move in MOVES:
            noise = np.random.default_rng(0).standard_normal(problem.x.shape) / np.sqrt(problem.x.shape[1])
            moved = replace(problem, x=problem.x + move * spacing(problem.x) * noise)
            (cold, warm), answers = best([partial(solved, moved), partial(solved, moved, start=before)], repeat)
            assert abs(answers[0].cost - answers[1].cost) <= 1e-9 * answers[0].cost
            yield [name, f"{move:g} of their spacing", f"{cold:.3f} s", f"{warm:.3f} s", f"{cold / warm:.1f}"]


def longest_moves(n: int, repeat: int) -> Iterator[Row]:
    yield ["family", "n", "seconds", "W∞", "gap", "peak MiB"]
    for name in LONGEST:
        for size in (n // 4, n, n * 5 // 2):
            problem = make("points", name, size)
            (seconds,), (answer,) = best([partial(solved, problem, p=np.inf)], repeat)
            memory = f"{answer.peak_bytes / 2**20:.0f}"
            yield [name[:-5], f"{size:,}", f"{seconds:.2f}", f"{answer.value:.5g}", f"{answer.gap:.0e}", memory]


def blocks(n: int, repeat: int) -> Iterator[Row]:
    yield ["family", "n", "named metric", "callable", "MiB, named / callable"]
    for name in ("square 2-D, p=1", "Gauss 16-D, p=1"):
        problem = make("points", name, n)
        calls = [partial(solved, problem), partial(solved, problem, metric=cdist)]
        (named, called), answers = best(calls, repeat)
        assert abs(answers[0].cost - answers[1].cost) <= 1e-9 * answers[0].cost
        memory = " / ".join(f"{one.peak_bytes / 2**20:.0f}" for one in answers)
        yield [name, f"{n:,}", f"{named:.2f} s", f"{called:.2f} s", memory]


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.alone", description=__doc__)
    parser.add_argument("--n", type=int, default=4000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks/alone.md"))
    given = parser.parse_args()
    here = machine()
    lines = [
        "# What no peer offers",
        "",
        "Written by `python -m benchmarks.alone`; not typed. Every answer is proven.",
        "",
    ]
    for title, text, rows in (
        (
            "Warm starts",
            f"`solve(x, y, p=p, start=previous)` with {given.n:,} points, after those of one side moved.",
            warm_starts,
        ),
        (
            "Longest moves",
            "`solve(x, y, p=inf)`: exact, with a proof by Hall's theorem and no n x n matrix.",
            longest_moves,
        ),
        (
            "Costs by callables",
            "`solve(x, y, metric=cdist)`, a callable that fills blocks, beside the same cost by its name.",
            blocks,
        ),
    ):
        head, *body = rows(given.n, given.repeat)
        lines += [f"## {title}", "", text, "", *table(head, body)]
    lines += [f"{here['date'][:10]}, {here['cpu']}, {here['cores']} cores, Python {here['python']}."]
    given.out.write_text("\n".join(lines) + "\n", "utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
