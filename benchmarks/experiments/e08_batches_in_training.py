"""E8: what batches that follow the laws do to training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .base import Claim, Criterion, Experiment, Results, Table, spread
from .draw import cloud
from .e07_ring import last
from .runs import RING

ROWS = {
    "primal p=2, random": "random, p = 2",
    "primal p=2, reals followed": "reals follow, p = 2",
    "primal p=2, followed": "reals and latents follow, p = 2",
    "primal p=2, debiased": "random, debiased loss, p = 2",
    "primal p=2, random, m=256": "random, m = 256, p = 2",
    "primal p=1, random": "random, p = 1",
    "primal p=1, followed": "reals and latents follow, p = 1",
}
RANDOM, REALS, FOLLOWED = list(ROWS)[:3]


def paired(one: str, other: str, measure: str) -> Any:
    """The measures of the same seeds in two parts."""
    return lambda results: zip(last(one, measure)(results), last(other, measure)(results))


def tables(results: Results) -> Iterator[tuple[str, Table]]:
    rows = []
    for name, says in ROWS.items():
        rows.append([says, *(spread(last(name, measure)(results), 2) for measure in ("modes", "high_quality", "w1"))])
    yield "Ring of eight, 2,000 steps, m = 64 unless said otherwise", (["batches", "modes", "high quality", "W₁"], rows)


def draw(results: Results, figure: Any) -> None:
    for ax, name in zip(figure.subplots(1, 4), (RANDOM, REALS, FOLLOWED, "primal p=1, followed")):
        found = results[f"ring/{name}"][0]
        cloud(ax, list(found["samples"].values())[-1], ROWS[name].replace(", p", "\np"))


EXPERIMENT = Experiment(
    name="e08-batches-in-training",
    title="Mini-batches in training",
    method=(
        "The primal objective on the ring of eight: the same networks and steps, only the batches differ. Reals "
        "follow the data by strata of equal size, latents by scrambled Sobol points, drawn anew for each batch."
    ),
    parts=tuple(RING[name] for name in ROWS),
    claims=(
        Claim(
            "Primal WGAN 3, 2)",
            "random mini-batches harm the primal problem, batches that follow the data mend it",
            (
                Criterion(
                    "high quality: followed (least) / random (greatest)",
                    lambda r: min(last(FOLLOWED, "high_quality")(r)) / max(last(RANDOM, "high_quality")(r)),
                    ">",
                    2,
                ),
                Criterion(
                    "W₁: random less followed, same seed, least",
                    lambda r: min(a - b for a, b in paired(RANDOM, FOLLOWED, "w1")(r)),
                    "≥",
                    0.1,
                ),
            ),
            "reproduced",
        ),
        Claim(
            "Primal WGAN 3",
            "it is enough that the batch follows the data set X",
            (
                Criterion(
                    "high quality: reals followed (median) / both followed (median)",
                    lambda r: float(
                        np.median(last(REALS, "high_quality")(r)) / np.median(last(FOLLOWED, "high_quality")(r))
                    ),
                    "<",
                    0.5,
                ),
            ),
            "wrong",
            "Latent points are half of each batch: unless they follow their law too, most of the harm stays.",
        ),
    ),
    tables=tables,
    figures={"Generated points (blue) over held-out ones (grey), first seed": (6.6, 2.0, draw)},
)
