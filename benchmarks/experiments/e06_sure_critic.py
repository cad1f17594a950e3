"""E6: a generator whose critic is sure learns nothing, and its estimate of JS says so."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .base import Claim, Criterion, Experiment, Results, Table, column, spread
from .draw import BLUE, VERMILION, band
from .runs import DIGITS

SATURATING, PENALTY = DIGITS["saturating"], DIGITS["wgan_gp"]
BURN_IN = 0.2  # share of the run before the JS estimate is judged


def curves(part: Any, name: str) -> Any:
    """One measure at every evaluation, (seeds, k)."""
    return lambda results: np.array([one["curve"][name] for one in results[part.name]])


def from_log_2(results: Results) -> float:
    estimate = curves(SATURATING, "js_estimate")(results)
    return float(np.abs(estimate[:, int(BURN_IN * estimate.shape[1]) :] - math.log(2)).max())


def w1(part: Any, step: int) -> Any:
    def of(results: Results) -> list[float]:
        steps = results[part.name][0]["curve"]["step"]
        return [float(v) for v in curves(part, "w1")(results)[:, steps.index(step)]]

    return of


def tables(results: Results) -> Iterator[tuple[str, Table]]:
    js = curves(SATURATING, "js_estimate")(results)
    steps = results[SATURATING.name][0]["curve"]["step"]
    rows = []
    for step in (0, 50, 100, 250, 500):
        estimate = spread([float(v) for v in js[:, steps.index(step)]], 4)
        rows.append([step, estimate, spread(w1(SATURATING, step)(results)), spread(w1(PENALTY, step)(results))])
    head = ["step", "JS estimate, saturating", "exact W₁, saturating", "exact W₁, WGAN-GP"]
    floor = column(results[PENALTY.name], "summary", "w1_floor")[0]
    yield f"Held-out digits (real training images: W₁ = {floor:.3g}; log 2 = {math.log(2):.4f})", (head, rows)


def draw(results: Results, figure: Any) -> None:
    estimate, exact = figure.subplots(1, 2)
    steps = results[SATURATING.name][0]["curve"]["step"]
    band(estimate, steps, curves(SATURATING, "js_estimate")(results), VERMILION, "saturating GAN")
    estimate.axhline(math.log(2), color="0.5", linestyle=":", label="log 2")
    estimate.set(xlabel="step", title="the critic's estimate of JS")
    band(exact, steps, curves(SATURATING, "w1")(results), VERMILION, "saturating GAN")
    longer = results[PENALTY.name][0]["curve"]["step"]
    kept = [k for k, step in enumerate(longer) if step <= steps[-1]]
    band(exact, [longer[k] for k in kept], curves(PENALTY, "w1")(results)[:, kept], BLUE, "WGAN-GP")
    exact.set(xlabel="step", title="exact $W_1$ to held-out digits", ylim=(0, None))
    for ax in (estimate, exact):
        ax.legend()


EXPERIMENT = Experiment(
    name="e06-sure-critic",
    title="A generator with a sure critic",
    method=(
        "MLPs on the 8 × 8 digits. The min-max GAN (saturating loss) with five critic steps for each of the "
        "generator, 500 steps, against WGAN-GP with five critic steps. The estimate of JS is the critic's own on "
        "held-out data; W₁ is exact."
    ),
    parts=(SATURATING, PENALTY),
    claims=(
        Claim(
            "Primal WGAN 1; slides, problem 1; notes 7.1",
            "with a good critic JS is constant, and the GAN cannot be trained",
            (
                Criterion("JS estimate, distance from log 2 after a fifth of the run", from_log_2, "<", 1e-3),
                Criterion(
                    "W₁ at step 500, saturating / WGAN-GP, least",
                    lambda r: min(w1(SATURATING, 500)(r)) / max(w1(PENALTY, 500)(r)),
                    "≥",
                    1.5,
                ),
            ),
            "reproduced",
            otherwise="only under these conditions",
            why_otherwise=(
                "The stall is real where the critic stays sure of every sample. On other seeds the generator "
                "escapes, slowly: the estimate falls a little below log 2 and W₁ falls with it."
            ),
        ),
    ),
    tables=tables,
    figures={"The estimate of JS, and the exact distance (median and range of the seeds)": (6.2, 2.5, draw)},
)
