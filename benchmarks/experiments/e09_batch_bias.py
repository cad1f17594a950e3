"""E9: what a distance between mini-batches exceeds the distance by, and what the article says it is."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.texts import (
    GROUND_COSTS,
    Array,
    aligned_batches,
    batch_bias,
    draw_matchings,
    random_batches,
    strata,
    stratified_batches,
)

from .base import Claim, Criterion, Experiment, Part, Record, Results, Table, column, spread

POINTS, DIMENSIONS, SIZES = 512, (2, 10), (8, 32, 128)
WAYS = {"random": "random", "one side": "x follows", "followed": "x and y follow", "aligned": "cut along π*"}


def one_side(rng: np.random.Generator, x: Array, m: int) -> list[tuple[Array, Array]]:
    """Batches in which x follows the data, one point of each of m strata, and y is drawn at random."""
    sides = np.stack([rng.permutation(part) for part in strata(x, m)], 1)
    return list(zip(sides, rng.permutation(len(x)).reshape(-1, m)))


def run(seed: int) -> Record:
    rng = np.random.default_rng(seed)
    euclidean = GROUND_COSTS["euclidean"]
    found: Record = {"bias": {}, "ewd": {}, "formula": {}}
    for d in DIMENSIONS:
        x, y = rng.random((POINTS, d)), rng.random((POINTS, d)) + np.eye(d)[0]
        for m in SIZES:
            batches = {
                "random": random_batches(rng, POINTS, m),
                "one side": one_side(rng, x, m),
                "followed": stratified_batches(rng, x, y, m),
                "aligned": aligned_batches(x, y, m, euclidean),
            }
            for way, pairs in batches.items():
                ewd, bias, absolute, bound = batch_bias(x, y, pairs, euclidean)
                found["bias"][f"{d}, {m}, {way}"] = float(f"{bias:.6g}")
                found["formula"][f"{d}, {m}, {way}"] = bool(-1e-12 <= bias <= absolute + 1e-12 <= bound + 2e-12)
        found["ewd"][d] = float(f"{ewd:.6g}")
    x, y = rng.random((POINTS, 1)), rng.random((POINTS, 1)) + 1
    for name in ("euclidean", "sqeuclidean"):
        ewd, bias, absolute, bound = batch_bias(x, y, random_batches(rng, POINTS, 8), GROUND_COSTS[name])
        found[name] = {"ewd": ewd, "bias": abs(bias), "absolute": absolute, "bound": bound}
    return found


def bias(d: int, m: int, way: str) -> Any:
    return lambda results: column(results["e09/bias"], "bias", f"{d}, {m}, {way}")


def ratio(d: int) -> Any:
    """Bias of batches that follow the data, as a share of that of random ones: each seed and size."""
    return lambda r: [s / b for m in SIZES for s, b in zip(bias(d, m, "followed")(r), bias(d, m, "random")(r))]


def line(name: str, key: str) -> Any:
    return lambda results: column(results["e09/bias"], name, key)


def steps_down(results: Results) -> float:
    """The least fall of the bias from one batch size to the next, as a factor."""
    return min(
        small / large
        for d in DIMENSIONS
        for way in ("random", "followed")
        for m, next_m in pairwise(SIZES)
        for small, large in zip(bias(d, m, way)(results), bias(d, next_m, way)(results))
    )


def tables(results: Results) -> Iterator[tuple[str, Table]]:
    rows = []
    for d in DIMENSIONS:
        for m in SIZES:
            biases = (bias(d, m, way)(results) for way in WAYS)
            cells = ("≤ 1e-12" if max(map(abs, values)) <= 1e-12 else spread(values, 2) for values in biases)
            rows.append([d, spread(column(results["e09/bias"], "ewd", str(d)), 3), m, *cells])
    yield f"B_M = MBWD − EWD, {POINTS} points a side, Euclidean cost", (["d", "EWD", "m", *WAYS.values()], rows)
    rows = [
        [
            name,
            *(
                spread([0.0 if v < 1e-12 else v for v in line(name, key)(results)], 2)
                for key in ("bias", "absolute", "bound")
            ),
        ]
        for name in ("euclidean", "sqeuclidean")
    ]
    yield (
        "The formula of the article, d = 1, m = 8, random batches",
        (["cost", "B_M", "sum of absolute values", "its bound"], rows),
    )


def draw(results: Results, figure: Any) -> None:
    for ax, d in zip(figure.subplots(1, 2, sharey=True), DIMENSIONS):
        for way, colour, marker in (
            ("random", "#D55E00", "o"),
            ("one side", "#CC79A7", "^"),
            ("followed", "#0072B2", "s"),
        ):
            values = np.array([bias(d, m, way)(results) for m in SIZES])
            ax.plot(SIZES, np.median(values, 1), color=colour, marker=marker, markersize=4, label=WAYS[way])
            ax.fill_between(SIZES, values.min(1), values.max(1), color=colour, alpha=0.2, linewidth=0)
        ax.set(xscale="log", yscale="log", xlabel="batch size m", title=f"d = {d}")
        ax.set_xticks(SIZES, [str(m) for m in SIZES])
        ax.set_xticks([], minor=True)
    figure.axes[0].set_ylabel("bias $B_M$")
    figure.axes[0].legend()


EXPERIMENT = Experiment(
    name="e09-batch-bias",
    title="The bias of mini-batches",
    method=(
        f"{POINTS} points uniform on a cube against {POINTS} on the same cube moved by 1 along its first axis. EWD is "
        "their exact distance, MBWD the mean over batches of m: random ones; with one point of each of m strata on "
        "the side of x, or on both sides; and cut along the optimal matching π*. For the article's formula, the same "
        "on a line."
    ),
    parts=(Part("e09/bias", run),),
    claims=(
        Claim(
            "Primal WGAN 3",
            "|B_M| = Σ |c − c*| / n ≤ Σ c(y, y′) / n",
            (
                Criterion(
                    "seeds where 0 ≤ B_M ≤ sum ≤ bound fails, a metric",
                    lambda r: sum(not all(one["formula"].values()) for one in r["e09/bias"]),
                    "=",
                    0,
                ),
                Criterion("B_M on a line, |x − y|", lambda r: max(line("euclidean", "bias")(r)), "≤", 1e-12),
                Criterion("the sum there, least", lambda r: min(line("euclidean", "absolute")(r)), ">", 0.1),
                Criterion(
                    "sum / bound for |x − y|², least",
                    lambda r: min(np.divide(line("sqeuclidean", "absolute")(r), line("sqeuclidean", "bound")(r))),
                    ">",
                    2,
                ),
            ),
            "wrong",
            "The sum is an upper bound: on a line B_M vanishes and the sum does not. Its own bound takes the triangle "
            "inequality, and fails for the squared distance.",
        ),
        Claim(
            "Primal WGAN 3",
            "a random mini-batch matches differently, and the distance is biased",
            (
                Criterion(
                    "least B_M of random batches",
                    lambda r: min(v for d in DIMENSIONS for m in SIZES for v in bias(d, m, "random")(r)),
                    ">",
                    0,
                ),
                Criterion("least fall of B_M as m grows fourfold, a factor", steps_down, ">", 1),
                Criterion(
                    "largest |B_M| of batches cut along π*",
                    lambda r: max(abs(v) for d in DIMENSIONS for m in SIZES for v in bias(d, m, "aligned")(r)),
                    "≤",
                    1e-12,
                ),
            ),
            "reproduced",
        ),
        Claim(
            "Primal WGAN 3",
            "batches that follow the data make B_M vanish",
            (
                Criterion("B_M, following / random, d = 2, greatest", lambda r: max(ratio(2)(r)), "<", 0.5),
                Criterion("the same, d = 10, least", lambda r: min(ratio(10)(r)), ">", 0.8),
            ),
            "only under these conditions",
            "In the plane, and if both sides follow: then most of the bias goes. In ten dimensions m strata are few, "
            "and hardly any of it goes. It is zero only for batches cut along π*, which needs the solution "
            "beforehand.",
        ),
    ),
    tables=tables,
    figures={
        "Eight points matched to eight, and two batches of four": (6.0, 2.9, lambda _, figure: draw_matchings(figure)),
        "Bias against batch size (bands: all seeds)": (6.0, 2.6, draw),
    },
    cheap=True,
)
