"""Which library an array belongs to, found without importing any; and extras, imported when needed."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Literal

import numpy as np

Library = Literal["numpy", "torch", "cupy"]

# What to type when an optional package is missing: import name -> pip requirement.
EXTRAS = {
    "torch": "ot_distances[torch]",
    "cupy": "ot_distances[gpu]",
    "matplotlib": "ot_distances[plot]",
    "sklearn": "ot_distances[data]",
    "pyarrow": "ot_distances[data]",
    "tqdm": "ot_distances[torch]",
    "PIL": "Pillow",
}


# Entries of a part of a large array that is worked on at a time.
PART_ENTRIES = 2**28


def library(*arrays: Any) -> Library:
    """The library that the arrays belong to: torch or cupy where any one of them does, else numpy.

    A library that was never imported cannot own an array, so `sys.modules` answers without importing it.
    """
    for name, kind in (("torch", "Tensor"), ("cupy", "ndarray")):
        module = sys.modules.get(name)
        owner = getattr(module, kind, None)
        if owner is not None and any(isinstance(array, owner) for array in arrays):
            return name  # type: ignore[return-value]
    return "numpy"


def namespace(*arrays: Any) -> ModuleType:
    """The module itself: numpy, torch or cupy."""
    return sys.modules[library(*arrays)]


def require(name: str, why: str) -> ModuleType:
    """Import an optional package, or say which extra brings it.

    Raises
    ------
    ImportError
        With the pip line that installs it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        top = name.partition(".")[0]
        wanted = EXTRAS.get(top, top)
        raise ImportError(f"{why} needs the package {top!r}: pip install '{wanted}'") from error


def parts(array: Any) -> Iterator[tuple[int, Any]]:
    """(first row, rows) in slices of at most so many entries: not all of CuPy's functions can count beyond 2**31."""
    step = max(1, PART_ENTRIES * len(array) // max(1, array.size))
    for start in range(0, len(array), step):
        yield start, array[start : start + step]


def to_numpy(array: Any) -> np.ndarray:
    """The same numbers as a numpy array on the host (no copy where none is needed)."""
    if type(array) is np.ndarray:
        return array
    kind = library(array)
    if kind == "torch":
        host = array.detach().cpu()
        return np.asarray(host.float() if str(host.dtype) == "torch.bfloat16" else host)  # numpy has no such type
    if kind == "cupy":
        return np.asarray(array.get())
    return np.asarray(array)
