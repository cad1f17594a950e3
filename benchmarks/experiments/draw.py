"""What several pages draw: clouds of points and sheets of images."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ot_distances import gan

from .base import Array, Record, unpack

BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"


@cache
def data(name: str) -> gan.Dataset:
    return gan.load(name)


def cloud(ax: Any, packed: Record, title: str, name: str = "ring8") -> None:
    """Generated points over held-out ones."""
    held = data(name).held[:500]
    reach = 1.25 * float(np.abs(held).max())
    ax.scatter(*held.T, s=2, color="0.75", linewidths=0)
    ax.scatter(*unpack(packed).T, s=2, color=BLUE, linewidths=0)
    ax.set(title=title, xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xticks=[], yticks=[])


def sheet(ax: Any, images: Array, title: str, name: str = "digits", columns: int = 4) -> None:
    """Flat images in rows of `columns`, with gaps between."""
    channels, height, width = data(name).shape or (1, 1, 1)
    tiles = np.pad(images.reshape(-1, channels, height, width), ((0, 0), (0, 0), (1, 1), (1, 1)))
    tiles = tiles.reshape(-1, columns, channels, height + 2, width + 2).transpose(0, 3, 1, 4, 2)
    whole = np.clip((tiles.reshape(tiles.shape[0] * (height + 2), -1, channels) + 1) / 2, 0, 1)
    ax.imshow(whole if channels == 3 else whole[..., 0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    ax.set(title=title)
    ax.axis("off")


def nearest(images: Array, name: str = "digits") -> Array:
    """The training image nearest to each."""
    train = data(name).train.astype(float)
    return train[np.square(images[:, None] - train).sum(-1).argmin(1)]


def band(ax: Any, x: Any, values: Array, colour: str, label: str, **look: Any) -> None:
    """The median of the seeds, (seeds, k), in the band of all."""
    ax.plot(x, np.median(values, 0), color=colour, label=label, **look)
    ax.fill_between(x, values.min(0), values.max(0), color=colour, alpha=0.15, linewidth=0)
