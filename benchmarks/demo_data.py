"""Real images for the demo: writes pairs of classes as .npy files and prints one line a pair (name, first, second).

python benchmarks/demo_data.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from ot_distances import datasets


def write_pair(folder: Path, name: str, images: np.ndarray, labels: np.ndarray, first: int, second: int) -> None:
    """Pixels in [0, 1], an image a row."""
    rows = images.reshape(len(images), -1) / images.max()
    files = [f"{name}-{label}.npy" for label in (first, second)]
    for file, label in zip(files, (first, second)):
        np.save(folder / file, rows[labels == label])
    print(name, *files)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_pair(folder, "digits", *datasets.digits(), 3, 8)
    try:
        write_pair(folder, "mnist", *datasets.mnist(), 4, 9)
    except datasets.DatasetMissing as missing:
        print(f"MNIST is left out. {missing}", file=sys.stderr)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
