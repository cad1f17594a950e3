"""Which library an array belongs to, and what a data frame holds, found without importing any; optional packages."""

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
    plain = np.asarray(array)
    if plain.dtype == object and hasattr(array, "to_numpy") and not no_numbers(array):
        # Columns of several kinds, or of numbers that may be missing, of which pandas makes objects.
        return np.asarray(array.to_numpy(dtype=np.float64, na_value=np.nan))
    return plain


def no_numbers(frame: Any) -> list[tuple[Any, Any]]:
    """(name, dtype) of the columns of a data frame, or of a series, that hold no real numbers."""
    if hasattr(frame, "columns") and hasattr(frame, "dtypes"):
        held = list(zip(frame.columns, frame.dtypes))
    else:
        held = [(getattr(frame, "name", None), getattr(frame, "dtype", None))]
    return [(name, dtype) for name, dtype in held if not _is_real(dtype)]


def _is_real(dtype: Any) -> bool:
    """Whether it is one of real numbers: numpy's and pandas's have a kind, polars's are asked."""
    kind = getattr(dtype, "kind", None)
    return kind in tuple("fiub") if kind else bool(getattr(dtype, "is_numeric", bool)())


def labels(value: Any, axis: int) -> list[Any] | None:
    """What a data frame or a series calls its rows (axis 0) or its columns (axis 1); None for plain arrays."""
    if type(value) is np.ndarray:
        return None
    names = getattr(value, "column_names", getattr(value, "columns", None)) if axis else getattr(value, "index", None)
    return None if names is None or callable(names) else list(names)


def require_same_order(
    first: Any, second: Any, names: tuple[str, str], axes: tuple[int, int] = (1, 1), cure: str = ""
) -> None:
    """Refuse two sides that carry the same labels in different orders: by position they would go together wrongly.

    Raises
    ------
    ValueError
        With the first label that stands elsewhere.
    """
    there = labels(second, axes[1])
    here = None if there is None else labels(first, axes[0])
    if here is None or there is None or len(here) != len(there) or here == there or set(here) != set(there):
        return
    k = next(k for k, (one, other) in enumerate(zip(here, there)) if one != other)
    one, other = names
    what, usual = "columns", f"Pass {other}[list({one}.columns)]."
    if axes != (1, 1):
        what, usual = "labels", f"Reorder one of them, or pass {other}.to_numpy() if they agree by position."
    raise ValueError(
        f"`{one}` and `{other}` must have their {what} in one order, but number {k} is {here[k]!r} in {one} and "
        f"{there[k]!r} in {other}. {cure or usual}"
    )


def require_same_atoms(p: Any, q: Any, names: tuple[str, str], axes: tuple[int, int]) -> None:
    """Refuse probabilities that are named, as by `value_counts`, in different orders or for different atoms.

    Raises
    ------
    ValueError
        With the first name that only one of them has, or that stands elsewhere.
    """
    there = labels(q, axes[1])
    here = None if there is None else labels(p, axes[0])
    if here is not None and there is not None and not set(here).isdisjoint(there):
        for mine, theirs, (one, other) in ((here, there, names), (there, here, names[::-1])):
            missing = [name for name in mine if name not in set(theirs)]
            if missing:
                raise ValueError(
                    f"`{names[0]}` and `{names[1]}` must name the same atoms, but {missing[0]!r} of {one} is not in "
                    f"{other}. Give each the other's, of probability 0: reindex(atoms, fill_value=0)."
                )
    require_same_order(p, q, names, axes)
