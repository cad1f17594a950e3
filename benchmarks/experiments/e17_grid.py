"""E17: the grid of 25 Gaussians."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from .base import Claim, Criterion, Experiment, Results, Table, at_end, spread
from .draw import cloud
from .runs import GRID

last = partial(at_end, GRID)


def tables(results: Results) -> Iterator[tuple[str, Table]]:
    rows = []
    for name, part in GRID.items():
        measures = (spread(last(name, measure)(results), 2) for measure in ("modes", "high_quality", "w1"))
        rows.append([name, part.run.keywords["steps"], *measures])
    floor = last("vanilla", "w1_floor")(results)[0]
    head = ["objective", "steps", "modes of 25", "high quality", "W₁"]
    yield f"At the end of each run (W₁ of real points: {floor:.3f})", (head, rows)


def draw(results: Results, figure: Any) -> None:
    for ax, (name, part) in zip(figure.subplots(1, len(GRID)), GRID.items()):
        last_samples = list(results[part.name][0]["samples"].values())[-1]
        cloud(ax, last_samples, name.replace(", m=256", "").replace(", ", ",\n"), "grid25")


EXPERIMENT = Experiment(
    name="e17-grid",
    title="A grid of 25 Gaussians",
    method="As E7, on 25 modes at distance 2 (σ = 0.05). Not in the texts: are more modes still found?",
    parts=tuple(GRID.values()),
    claims=(
        Claim(
            "beyond the texts",
            "the primal problem loses no modes, on 25 as on 8",
            (
                Criterion(
                    "modes, primal, followed, least",
                    lambda r: min(last("primal, followed, m=256", "modes")(r)),
                    "≥",
                    24,
                ),
                Criterion("modes, GAN −log D, least", lambda r: min(last("vanilla", "modes")(r)), "<", 25),
            ),
            "reproduced",
            "",
            "only under these conditions",
            "The budget is too short for all 25: the criteria tell how many each found.",
        ),
        Claim(
            "beyond the texts",
            "batches that follow the laws help there too",
            (
                Criterion(
                    "W₁, followed (greatest) less random (least)",
                    lambda r: (
                        max(last("primal, followed, m=256", "w1")(r)) - min(last("primal, random, m=256", "w1")(r))
                    ),
                    "<",
                    0,
                ),
            ),
            "reproduced",
        ),
    ),
    tables=tables,
    figures={"Generated points (blue) over held-out ones (grey) at the end, first seed": (6.6, 2.1, draw)},
)
