"""E12: multilayer perceptrons on digits, and which classes are left."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from .base import Claim, Criterion, Experiment, Results, Table, at_end, spread, unpack
from .draw import sheet
from .runs import DIGITS

ROWS = {
    "vanilla": "GAN, −log D",
    "saturating": "GAN, saturating",
    "wgan": "WGAN, clipping",
    "wgan_gp": "WGAN-GP",
    "primal, random": "primal p = 2, random batches",
    "primal, followed": "primal p = 2, batches follow",
}
COLLAPSED = 0.01  # a tenth of the share that a class has
CRITICS = ("wgan", "wgan_gp")

last = partial(at_end, DIGITS)


def halfway(name: str) -> Any:
    """W₁ when half of the steps are made."""

    def of(results: Results) -> list[float]:
        found = [one["curve"]["w1"] for one in results[DIGITS[name].name]]
        return [curve[len(curve) // 2] for curve in found]

    return of


def tables(results: Results) -> Iterator[tuple[str, Table]]:
    rows = []
    for name, says in ROWS.items():
        measures = (spread(last(name, measure)(results), 2) for measure in ("modes", "rarest", "entropy", "w1"))
        rows.append([says, DIGITS[name].run.keywords["steps"], *measures])
    head = ["objective", "steps", "classes", "share of the rarest class", "entropy", "W₁"]
    yield "2,500 samples at the end of each run, each in the class of the nearest training image", (head, rows)


def draw(results: Results, figure: Any) -> None:
    """Samples of the first seed over the steps."""
    names = ("vanilla", "wgan", "wgan_gp", "primal, followed")
    for axes, name in zip(figure.subplots(len(names), 4), names):
        for ax, (step, packed) in zip(axes, results[DIGITS[name].name][0]["samples"].items()):
            sheet(
                ax, unpack(packed)[:18], f"{ROWS[name].replace(', batches follow', '')}, step {int(step):,}", columns=6
            )


EXPERIMENT = Experiment(
    name="e12-mode-collapse",
    title="Mode collapse with plain networks",
    method=(
        "MLPs of three hidden layers of 128, no normalisation, on the 8 × 8 digits, batches of 64. A class counts as "
        "found with 1 % of 2,500 samples; entropy 1 means that all classes come equally often."
    ),
    parts=tuple(DIGITS[name] for name in ROWS),
    claims=(
        Claim(
            "Slides; notes 6.2; Wasserstein to WGAN 4",
            "with MLPs the GAN collapses, the WGAN does not",
            (
                Criterion(
                    "rarest class, GAN −log D, median",
                    lambda r: float(np.median(last("vanilla", "rarest")(r))),
                    "<",
                    COLLAPSED,
                ),
                *(
                    Criterion(
                        f"rarest class, {ROWS[name]}, least",
                        lambda r, name=name: min(last(name, "rarest")(r)),
                        "≥",
                        0.02,
                    )
                    for name in CRITICS
                ),
            ),
            "reproduced",
            "",
            "only under these conditions",
            "The GAN loses classes; so does, on some seeds, a Wasserstein critic: the criteria tell which.",
        ),
        Claim(
            "Primal WGAN 3, 1)",
            "the primal problem does not collapse",
            (
                Criterion(
                    "rarest class, batches follow, least",
                    lambda r: min(last("primal, followed", "rarest")(r)),
                    "≥",
                    0.02,
                ),
            ),
            "reproduced",
        ),
        Claim(
            "Slides, pace",
            "WGAN converges fast, the GAN slowly",
            tuple(
                Criterion(
                    f"W₁ half-way: {ROWS[name]} (greatest) less GAN −log D (least)",
                    lambda r, name=name: max(halfway(name)(r)) - min(halfway("vanilla")(r)),
                    "<",
                    0,
                )
                for name in CRITICS
            ),
            "reproduced",
            "On digits with MLPs. On the ring it is the other way round for clipped critics: E7.",
        ),
    ),
    tables=tables,
    figures={"Samples over the steps of each run, first seed": (6.6, 4.2, draw)},
)
