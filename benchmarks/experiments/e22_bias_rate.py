"""E22: how fast the bias of mini-batches falls with their size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import ot_distances as ot

from .base import Array, Claim, Criterion, Experiment, Part, Record, Results, Table, column, spread

DIMENSIONS, SIZES = (1, 2, 3, 5, 10), (16, 64, 256, 1024)
BATCHES = {16: 64, 64: 16, 256: 4, 1024: 2}  # behind each mean
WAYS = {"random": "random", "sobol": "scrambled Sobol points"}


def run(seed: int) -> Record:
    """Of one law against itself, whose distance is 0: the mean distance of two batches is all bias."""
    rng = np.random.default_rng(seed)
    return {
        f"{d}, {way}": [float(f"{batch_mean(rng, d, m, way):.5g}") for m in SIZES] for d in DIMENSIONS for way in WAYS
    }


def batch_mean(rng: np.random.Generator, d: int, m: int, way: str) -> float:
    from scipy.stats import qmc

    def draw() -> Array:
        return qmc.Sobol(d, rng=rng).random(m) if way == "sobol" else rng.random((m, d))

    return float(np.mean([ot.wasserstein(draw(), draw()) for _ in range(BATCHES[m])]))


def rates(d: int, way: str) -> Any:
    """The exponent of m that fits each seed best."""
    return lambda results: [
        float(np.polyfit(np.log(SIZES), np.log(one[f"{d}, {way}"]), 1)[0]) for one in results["e22/rate"]
    ]


def off(way: str, exponent: dict[int, float]) -> Any:
    """The largest distance of a rate from the one that theory gives."""
    return lambda results: max(abs(rate - exponent[d]) for d in exponent for rate in rates(d, way)(results))


def tables(results: Results) -> Iterator[tuple[str, Table]]:
    rows = []
    for d in DIMENSIONS:
        for way, name in WAYS.items():
            means = (spread(column(results["e22/rate"], f"{d}, {way}", k), 2) for k in range(len(SIZES)))
            rows.append([d, name, *means, spread(rates(d, way)(results), 2)])
    yield (
        "Mean W₁ between two batches of m points of one law",
        (["d", "batches", *(f"m = {m}" for m in SIZES), "exponent of m"], rows),
    )


def draw(results: Results, figure: Any) -> None:
    colours = ("#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00")
    for ax, (way, name) in zip(figure.subplots(1, 2, sharey=True), WAYS.items()):
        for d, colour, marker in zip(DIMENSIONS, colours, "os^Dv"):
            values = np.array([one[f"{d}, {way}"] for one in results["e22/rate"]])
            ax.plot(SIZES, np.median(values, 0), color=colour, marker=marker, markersize=4, label=f"d = {d}")
        ax.set(xscale="log", yscale="log", xlabel="batch size m", title=name)
        ax.set_xticks(SIZES, [str(m) for m in SIZES])
        ax.set_xticks([], minor=True)
    figure.axes[0].set_ylabel("mean $W_1$ of two batches")
    figure.axes[0].legend(ncols=2)


EXPERIMENT = Experiment(
    name="e22-bias-rate",
    title="Bias against batch size",
    method=(
        "Two independent batches of m points, uniform on the unit cube of d dimensions: the distance of the laws is "
        "0, so that the mean W₁ of such batches is all bias. With random points, and with scrambled Sobol points, "
        "which follow the law. The exponent of m is fitted over m = 16 … 1,024."
    ),
    parts=(Part("e22/rate", run),),
    claims=(
        Claim(
            "Primal WGAN 3",
            "B_M goes to 0",
            (
                Criterion(
                    "exponent less −1/max(d, 2), random, greatest distance",
                    off("random", {d: -1 / max(d, 2) for d in DIMENSIONS}),
                    "<",
                    0.15,
                ),
                Criterion(
                    "exponent less −1/d, Sobol, greatest distance",
                    off("sobol", {d: -1 / d for d in DIMENSIONS}),
                    "<",
                    0.1,
                ),
                Criterion(
                    "bias at m = 1,024 / at m = 16, d = 10, Sobol, least",
                    lambda r: min(one["10, sobol"][-1] / one["10, sobol"][0] for one in r["e22/rate"]),
                    ">",
                    0.4,
                ),
            ),
            "only under these conditions",
            "As m^(−1/d): quickly in the plane, hardly at all in many dimensions. Points that follow the law raise "
            "the rate for d ≤ 2 and leave it as it is above.",
        ),
    ),
    tables=tables,
    figures={"Mean distance of two batches of one law (median of the seeds)": (6.0, 2.6, draw)},
)
