"""E18: three digits in the three colours of an image: 1,000 modes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from .base import Claim, Criterion, Experiment, Results, Table, at_end, spread, unpack
from .draw import data, sheet
from .runs import STACKED

last = partial(at_end, STACKED)


def tables(results: Results) -> Iterator[tuple[str, Table]]:
    rows = []
    for name, part in STACKED.items():
        measures = (spread(last(name, one)(results), 3) for one in ("modes", "entropy", "high_quality", "w1", "spread"))
        rows.append([name, part.run.keywords["steps"], *measures])
    floor = last("vanilla", "w1_floor")(results)[0]
    head = ["objective", "steps", "modes of 1,000", "entropy", "high quality", "W₁", "spread"]
    yield f"2,500 samples (of a uniform law they would hit 918 modes; W₁ of real images: {floor:.3g})", (head, rows)


def draw(results: Results, figure: Any) -> None:
    first, *others = figure.subplots(1, 1 + len(STACKED))
    sheet(first, data("stacked").held[:16].astype(float), "real", "stacked")
    for ax, (name, part) in zip(others, STACKED.items()):
        sheet(ax, unpack(list(results[part.name][0]["samples"].values())[-1])[:16], name, "stacked")


EXPERIMENT = Experiment(
    name="e18-stacked",
    title="Stacked digits: 1,000 modes",
    method=(
        "Three 8 × 8 digits in the three colours of an image, MLPs, batches of 64 (primal: 128, p = 1). A mode is a "
        "triple of classes, each told by the nearest training digit; it counts with one sample."
    ),
    parts=tuple(STACKED.values()),
    claims=(
        Claim(
            "beyond the texts",
            "WGAN-GP finds more of 1,000 modes than the GAN",
            (
                Criterion(
                    "modes, WGAN-GP (least) / GAN (greatest)",
                    lambda r: min(last("wgan_gp", "modes")(r)) / max(last("vanilla", "modes")(r)),
                    ">",
                    1.5,
                ),
            ),
            "reproduced",
        ),
        Claim(
            "beyond the texts",
            "exact W₁ of small batches buys its low value by blur here as well",
            (
                Criterion("spread, primal, greatest", lambda r: max(last("primal", "spread")(r)), "<", 0.7),
                Criterion(
                    "W₁, primal (greatest) less WGAN-GP (least)",
                    lambda r: max(last("primal", "w1")(r)) - min(last("wgan_gp", "w1")(r)),
                    "<",
                    0,
                ),
            ),
            "reproduced",
            "128 points in 192 dimensions say little about 1,000 modes: the mean of many images is the best match.",
        ),
    ),
    tables=tables,
    figures={"Real images, and samples at the end of each run, first seed": (6.4, 1.9, draw)},
)
