"""Points and weights from the user's files."""

from __future__ import annotations

import csv
import math
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ._arrays import require, require_same_order
from .problem import Array

# Names that a column, or an array in an .npz file, has if it holds weights; so has 'a', unless 'b' is its equal.
WEIGHT_COLUMNS = ("weight", "weights")

CSV_OPTIONS: dict[str, Any] = {"quotechar": '"', "comments": None, "encoding": "utf-8-sig"}

# What a file gives: its array, the weights in it if any, the names of the columns if any, and remarks for the user.
Content = tuple[Array, Array | None, list[str], list[str]]


@dataclass(frozen=True)
class Data:
    """What one file holds."""

    path: Path
    points: Array  # (n, d) float64
    weights: Array | None  # (n,), sum 1
    columns: tuple[str, ...]  # their names, empty where the file has none
    notes: tuple[str, ...]

    @property
    def mass(self) -> Array:
        """The weights, equal ones written out."""
        return np.full(len(self.points), 1 / len(self.points)) if self.weights is None else self.weights


def read_data(path: Path, weights_path: Path | None = None) -> Data:
    """Points and weights from a .npy, .npz, .csv or .parquet file.

    Raises
    ------
    ValueError, FileNotFoundError
        With the file, what is wrong in it, and the cure.
    """
    array, weights, columns, notes = read_array(path, weights_path)
    if array.ndim > 2:
        notes.append(f"{path} has shape {array.shape}: each of its {len(array)} entries is flattened to one point.")
    points = array.reshape(len(array), -1).astype(np.float64)
    return Data(path, points, weights, tuple(columns), tuple(notes))


def require_same_columns(x: Data, y: Data) -> None:
    """Refuse two files of different dimensions, or of the same columns in different orders."""
    if x.points.shape[1] != y.points.shape[1]:
        raise ValueError(
            f"`X` and `Y` must have as many columns, but {x.path} has {x.points.shape[1]} and {y.path} has "
            f"{y.points.shape[1]}. Bring both into one space."
        )
    require_same_order(x, y, (str(x.path), str(y.path)), cure="Write one of them again in the order of the other.")


def read_array(path: Path, weights_path: Path | None = None) -> Content:
    """The array of a file in its own shape and dtype, with weights of sum 1 if any, its columns' names, and remarks."""
    array, weights, columns, notes = _read(path)
    if array.ndim == 0 or array.size == 0:
        raise ValueError(f"`{path}` must hold at least one point, but its shape is {array.shape}. Pass some points.")
    if weights_path is not None:
        column, extra, _, _ = _read(weights_path)
        weights = column if extra is None else extra
    if weights is not None:
        weights = _fractions(weights, len(array), weights_path or path, notes)
    return array, weights, columns, notes


def _read(path: Path) -> Content:
    """What a file gives, its weights as they stand there."""
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(READERS)
        raise ValueError(f"`{path}` must be one of {known}, but it ends in {path.suffix!r}. Convert it, as by np.save.")
    if not path.is_file():
        raise FileNotFoundError(f"`{path}` must be a file, but there is none of that name. Check the path.")
    try:
        array, weights, columns, notes = reader(path)
    except UnicodeDecodeError as error:
        raise ValueError(f"`{path}` must be UTF-8 text, but byte {error.start} is not. Save it as UTF-8.") from error
    if array.dtype.kind not in "fiub":
        raise ValueError(f"`{path}` must hold real numbers, but its dtype is {array.dtype}. Convert it to float64.")
    return array, weights, columns, notes


def _fractions(weights: Array, n: int, path: Path, notes: list[str]) -> Array:
    """Weights, which may be counts, as fractions of 1."""
    fractions = np.asarray(weights, dtype=np.float64).ravel()
    if fractions.size != n:
        raise ValueError(
            f"`{path}` must hold one weight for each point, but it holds {fractions.size} for {n} points. "
            "Pass weights and points of the same rows."
        )
    bad = np.flatnonzero(~(np.isfinite(fractions) & (fractions >= 0)))
    if bad.size:
        raise ValueError(
            f"weights in `{path}` must be finite and not negative, but number {bad[0]} is {fractions[bad[0]]}. "
            "Remove or mend such rows."
        )
    largest = fractions.max()
    if largest == 0:
        raise ValueError(f"weights in `{path}` must have a positive sum, but all are 0. Give some point a weight.")
    total = math.fsum(fractions)
    if abs(total - 1) > 1e-9:
        notes.append(f"weights in {path} sum to {total:.6g}: divided by it.")
    fractions = fractions / largest  # the sum of the largest floats would overflow
    return fractions / math.fsum(fractions)


def _read_npy(path: Path) -> Content:
    return _loaded(path), None, [], []


def _read_npz(path: Path) -> Content:
    arrays: dict[str, Array] = _loaded(path)
    known = WEIGHT_COLUMNS if "b" in arrays and "x" not in arrays else (*WEIGHT_COLUMNS, "a")
    weights = next((arrays[key] for key in known if key in arrays), None)
    names = [name for name in arrays if name not in known]
    if weights is not None and not names:
        return np.empty((0, 0)), weights, [], []
    name = "x" if "x" in names else names[0] if len(names) == 1 else None
    if name is None:
        held = ", ".join(map(repr, arrays)) or "nothing"
        raise ValueError(
            f"`{path}` must hold one array of points, or one named 'x', but it holds {held}. "
            "Save it by np.savez(path, x=points, weights=weights)."
        )
    return arrays[name], weights, [], []


def _loaded(path: Path) -> Any:
    """The array of a .npy file, or the arrays of a .npz file by name."""
    try:
        loaded = np.load(path, allow_pickle=False)
        return loaded if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"`{path}` must be a {path.suffix} file of numbers, but numpy cannot read it: {str(error).rstrip('.')}. "
            "Save it again by np.save or np.savez, with a numeric dtype."
        ) from error


def _read_csv(path: Path) -> Content:
    with path.open(newline="", encoding="utf-8-sig") as file:
        first = file.readline()
    delimiter = next((mark for mark in ";\t," if mark in first), ",")
    cells = [cell.strip(" #") for cell in next(csv.reader([first.rstrip("\r\n")], delimiter=delimiter), [])]
    named = [cell for cell in cells if cell and not _is_number(cell)]
    if named and any(map(_is_number, cells)):
        raise ValueError(
            f"`{path}` must begin with a line of names or of numbers, but its first line holds both: {named[0]!r} "
            "among numbers. Name every column, or remove what is no number."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # no data: the caller says so with the name of the file
            table = np.loadtxt(path, delimiter=delimiter, skiprows=1 if named else 0, ndmin=2, **CSV_OPTIONS)
    except UnicodeDecodeError:
        raise
    except ValueError as error:
        raise ValueError(_first_bad_cell(path, delimiter, cells if named else []) or f"`{path}`: {error}") from error
    notes = []
    if len(cells) > 1 and cells == [str(i) for i in range(len(cells))]:
        notes.append(
            f"the first line of {path} reads 0, 1, ... and counts as a point: name the columns if it does not."
        )
    return *_without_weights(table, cells if named else []), notes


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _first_bad_cell(path: Path, delimiter: str, names: list[str]) -> str | None:
    """The sentence on the first cell that is no number, or the first line of another length."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        width = 0
        reader = csv.reader(file, delimiter=delimiter)
        for cells in reader:
            line = reader.line_num
            if not cells or (names and line == 1):
                continue
            width = width or len(cells)
            if len(cells) != width:
                return f"`{path}` must have {width} columns, but line {line} has {len(cells)}. Mend that line."
            for column, cell in enumerate(cells):
                if not _is_number(cell):
                    title = repr(names[column]) if column < len(names) else column + 1
                    fact = (
                        f"line {line}, column {title} is {cell!r}" if cell else f"line {line}, column {title} is empty"
                    )
                    return f"`{path}` must hold numbers, but {fact}. Remove the column, or fill or encode it."
    return None


def _read_parquet(path: Path) -> Content:
    parquet = require("pyarrow.parquet", "reading .parquet files")
    types = require("pyarrow.types", "reading .parquet files")
    try:
        table = parquet.read_table(path)
    except require("pyarrow", "reading .parquet files").ArrowInvalid as error:
        raise ValueError(f"`{path}` must be a Parquet file, but it cannot be read as one: {error}") from error
    for column in table.schema:
        kind = column.type
        if not (types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)):
            raise ValueError(
                f"`{path}` must hold numbers, but its column {column.name!r} holds {kind}. "
                "Remove the column, or encode it as numbers."
            )
    columns = [np.asarray(column.to_numpy(), dtype=np.float64) for column in table.columns]
    values = np.column_stack(columns) if columns else np.empty((0, 0))
    return *_without_weights(values, list(table.column_names)), []


def _without_weights(table: Array, names: list[str]) -> tuple[Array, Array | None, list[str]]:
    """The columns of points, that of weights where a column is named so, and the names of the former."""
    found = [i for i, name in enumerate(names) if name.lower() in WEIGHT_COLUMNS]
    if not found or table.shape[1] != len(names):
        return table, None, names
    rest = [name for i, name in enumerate(names) if i != found[0]]
    return np.delete(table, found[0], axis=1), table[:, found[0]], rest


READERS: dict[str, Callable[[Path], Content]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
