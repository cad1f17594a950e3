"""What every command needs to say what it found: text in columns, JSON, pictures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from .._arrays import require


def check_picture(path: Path, option: str) -> None:
    """Refuse a picture that could not be written, before any work."""
    require("matplotlib", option)
    from matplotlib.backend_bases import FigureCanvasBase

    known = FigureCanvasBase.get_supported_filetypes()
    if path.suffix[1:].lower() not in known:
        raise ValueError(f"`{option}` must end in .png, .pdf or .svg, but it is {str(path)!r}. Add the ending.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"`{option}` must lie in a folder, but {path.parent} is none. Make it first.")


def save(ax: Any, path: Path) -> None:
    ax.figure.savefig(path, dpi=200)
    require("matplotlib.pyplot", "a picture").close(ax.figure)


def columns_of(rows: list[list[str]], left: bool = False) -> list[str]:
    """Lines of aligned text: the first column to the left, the others to the right unless `left`."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = []
    for row in rows:
        cells = [cell.ljust(w) if left or i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths))]
        lines.append("  ".join(cells).rstrip())
    return lines


def jsonable(value: Any) -> Any:
    """The same with infinities as strings: JSON has no number for them."""
    if isinstance(value, dict):
        return {key: jsonable(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [jsonable(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
