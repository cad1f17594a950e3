"""Data sets: toys made here, small images, and the user's own files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .._files import read_array
from ..datasets import DatasetMissing, digits, image_folder, mnist
from ..problem import Array
from .nets import Shape
from .samplers import squared_distances

# Made points: enough for batches of any size that one core solves, divisible by the usual ones.
TRAIN, HELD = 2048, 1000
# The part of images and files that is held out.
HELD_SHARE = 0.2
ANGLES = np.arange(8) * np.pi / 4
SIDE = np.arange(-4.0, 5.0, 2.0)


@dataclass(frozen=True)
class Dataset:
    """Points to train on, and points that nothing is ever trained on.

    Attributes
    ----------
    name : str
    train, held : ndarray of float32, shapes (n, d) and (k, d)
    shape : tuple of int, optional
        (channels, height, width) of images, which lie in rows.
    modes : int
        How many modes or classes the law has; 0 where that is not known.
    mode_of : callable, optional
        Points (k, d) to the number of the mode or class of each, -1 for none.
    weights : ndarray, optional
        Of the training points, shape (n,).
    """

    name: str
    train: Array
    held: Array
    shape: Shape | None = None
    modes: int = 0
    mode_of: Callable[[Array], Array] | None = None
    weights: Array | None = None

    @property
    def bounded(self) -> bool:
        """Images with values in [-1, 1], for which a generator ends in tanh."""
        return self.shape is not None and float(np.abs(self.train).max()) <= 1.0


def load(name: str, *, shape: Shape | None = None, size: int | None = None) -> Dataset:
    """The data set of a name in `DATASETS`, of a .npz or .npy file (or a table of numbers), or of a folder of images.

    Made data and splits are the same in every call, so that distances to held-out points compare across runs.

    Parameters
    ----------
    name : str
    shape : tuple of int, optional
        (channels, height, width), for a file whose rows are flat images.
    size : int, optional
        Images of a folder are resized to this side.

    Raises
    ------
    DatasetMissing
        With the line that gets the data.
    """
    rng, path = np.random.default_rng(0), Path(name)
    if name in DATASETS:
        if shape is not None or size is not None:
            raise ValueError(f"`shape` and `size` must be left out for {name!r}: they are for the user's own images.")
        return DATASETS[name](rng)
    if not path.exists():
        known = ", ".join(DATASETS)
        raise DatasetMissing(f"`data` must be one of {known}, a file or a folder of images, but it is {name!r}.")
    array, weights = (image_folder(path, size), None) if path.is_dir() else read_array(path)[:2]
    rows, shape = _rows(array, shape, path)
    if len(rows) < 10:
        raise ValueError(f"`data` must hold at least 10 points, but {path} holds {len(rows)}.")
    held, train = np.split(rng.permutation(len(rows)), [int(len(rows) * HELD_SHARE)])
    if weights is None:
        return Dataset(name, rows[train], rows[held], shape)
    for which, index in (("trained on", train), ("held out", held)):
        if not weights[index].any():
            raise ValueError(f"`data` must weigh some of the points that are {which}, but {path} weighs none of them.")
    # Distances to held-out points know no weights: each appears as often as it weighs.
    drawn = rng.choice(held, len(held), p=weights[held] / weights[held].sum())
    return Dataset(name, rows[train], rows[drawn], shape, weights=weights[train])


def _rows(array: Array, shape: Shape | None, path: Path) -> tuple[Array, Shape | None]:
    """Points as float32 rows, channels first; bytes become [-1, 1]."""
    if array.ndim not in (1, 2, 3, 4):
        raise ValueError(
            f"`data` must have shape (n, d), (n, H, W), (n, H, W, C) or (n, C, H, W), but {path} has {array.shape}."
        )
    if array.dtype == np.uint8:
        array = array / 127.5 - 1
    if array.ndim == 4 and array.shape[1] > 4 >= array.shape[3]:  # channels last
        array = array.transpose(0, 3, 1, 2)
    if array.ndim > 2:
        shape = (array.shape[1] if array.ndim == 4 else 1, array.shape[-2], array.shape[-1])
    rows = np.ascontiguousarray(array.reshape(len(array), -1), dtype=np.float32)
    if shape is not None and rows.shape[1] != np.prod(shape):
        raise ValueError(f"`shape` must have {rows.shape[1]} pixels, one for each column of {path}, but it is {shape}.")
    if not np.isfinite(rows).all():
        i, j = np.argwhere(~np.isfinite(rows))[0]
        raise ValueError(f"`data` must be finite, but {path} holds {rows[i, j]} in row {i}, column {j}.")
    return rows, shape


def _mixture(name: str, centres: Array, rng: np.random.Generator, sigma: float = 0.05) -> Dataset:
    """Gaussians of equal shares. Counts are balanced, so that no distance measures the luck of the draw."""

    def draw(n: int) -> Array:
        points = centres[rng.permutation(n) % len(centres)] + sigma * rng.normal(size=(n, 2))
        return points.astype(np.float32)

    def mode_of(points: Array) -> Array:
        squares = squared_distances(points.astype(np.float64), centres)
        return np.where(squares.min(axis=1) <= (3 * sigma) ** 2, squares.argmin(axis=1), -1)

    return Dataset(name, draw(TRAIN), draw(HELD), modes=len(centres), mode_of=mode_of)


def _swiss_roll(rng: np.random.Generator) -> Dataset:
    angle = 1.5 * np.pi * (1 + 2 * rng.random((TRAIN + HELD, 1)))
    roll = angle * np.hstack([np.cos(angle), np.sin(angle)]) / 7 + 0.03 * rng.normal(size=(len(angle), 2))
    train, held = np.split(roll.astype(np.float32), [TRAIN])
    return Dataset("swissroll", train, held)


def _segment(rng: np.random.Generator) -> Dataset:
    """The real law of the theta-shift example: points (0, Z) with Z uniform in [0, 1]."""
    train, held = np.split((rng.random((TRAIN + HELD, 1)) * [0, 1]).astype(np.float32), [TRAIN])
    return Dataset("segment", train, held)


def _images(name: str, images: Array, labels: Array, white: float, rng: np.random.Generator) -> Dataset:
    """Images with values in [0, white], in [-1, 1]; their classes are told by the nearest one that is trained on."""
    order = rng.permutation(len(images))
    rows = (images.reshape(len(images), -1)[order] / (white / 2) - 1).astype(np.float32)
    (held, train), (_, classes) = (np.split(side, [int(len(images) * HELD_SHARE)]) for side in (rows, labels[order]))
    known = train.astype(np.float64)

    def mode_of(points: Array) -> Array:
        return classes[squared_distances(points.astype(np.float64), known).argmin(axis=1)]

    return Dataset(name, train, held, (1, *images.shape[1:]), int(labels.max()) + 1, mode_of)


def _stacked(rng: np.random.Generator) -> Dataset:
    """Three digits in the three colours of one image: 1,000 classes."""
    single = DATASETS["digits"](rng)

    def draw(images: Array, n: int) -> Array:
        return images[rng.integers(len(images), size=(n, 3))].reshape(n, -1)

    def mode_of(points: Array) -> Array:
        return single.mode_of(points.reshape(-1, 64)).reshape(-1, 3) @ [100, 10, 1]  # type: ignore[misc]

    return Dataset("stacked", draw(single.train, 4 * TRAIN), draw(single.held, HELD), (3, 8, 8), 1000, mode_of)


DATASETS: dict[str, Callable[[np.random.Generator], Dataset]] = {
    "ring8": lambda rng: _mixture("ring8", 2 * np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1), rng),
    "grid25": lambda rng: _mixture("grid25", np.stack(np.meshgrid(SIDE, SIDE), axis=-1).reshape(-1, 2), rng),
    "swissroll": _swiss_roll,
    "segment": _segment,
    "digits": lambda rng: _images("digits", *digits(), 16, rng),
    "stacked": _stacked,
    "mnist5k": lambda rng: _images("mnist5k", *mnist(), 255, rng),
}
