"""One look for all pictures: colours, sizes, and the Axes that they are drawn in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .._arrays import require
from ..problem import Array, Transport

# M. Okabe, K. Ito, "Color Universal Design", 2008: told apart under every kind of colour blindness.
BLUE, VERMILION, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8A8A8A"

# For figures made here; an Axes that the caller brings keeps the caller's look. No colour of ink or paper is named,
# so that a dark style stays dark.
LOOK: dict[str, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "figure.dpi": 150,
}
COLUMN = (3.4, 2.7)  # inches: one column of a two-column page
SQUARE = (3.4, 3.4)
ARROWS = 150  # more cannot be told apart
MANY = 1000  # more markers than this are stored as pixels in a .svg or .pdf

# Whatever unit the points came in, the pictures have.
POSITION = "position (unit of the points)"


@contextmanager
def look(ax: Any, size: tuple[float, float], *, space: bool = False) -> Iterator[Any]:
    """The caller's Axes as it is, in `space` also a three-dimensional one, or a new one in the look of this page."""
    pyplot = require("matplotlib.pyplot", "plotting")
    if ax is not None:
        if not isinstance(ax, require("matplotlib.axes", "plotting").Axes):
            raise TypeError(f"`ax` must be an Axes, but it is {ax!r}. Leave it out for a new one.")
        if ax.name == "polar" or (ax.name == "3d" and not space):
            raise ValueError(f"`ax` must be flat for this picture, but its projection is {ax.name!r}. Leave it out.")
        yield ax
        return
    # The first figure of a session sets up its backend, which must not be undone with the look: a notebook would then
    # show no later figure.
    figure = pyplot.figure(figsize=size, dpi=LOOK["figure.dpi"], layout="constrained")
    with pyplot.rc_context(LOOK):
        yield figure.add_subplot()


def ink() -> Any:
    return require("matplotlib", "plotting").rcParams["text.color"]


def ramp() -> Any:
    """From a faint to a full blue: the paper shines through, so that little mass is faint on white and on black."""
    from matplotlib.colors import LinearSegmentedColormap, to_rgba

    return LinearSegmentedColormap.from_list("mass", [to_rgba(BLUE, 0.25), to_rgba(BLUE, 1.0)])


def widths(mass: Array) -> Array:
    """Widths of lines in points, in proportion to the mass; fewer lines may be wider."""
    widest = np.clip(8 / np.sqrt(mass.size), 0.8, 1.8)
    return np.maximum(widest * mass / np.max(mass), 0.15)


def sizes(weight: Array) -> Array:
    """Areas of markers in square points, in proportion to the mass."""
    mean = 20.0 if weight.size <= 100 else max(2000.0 / weight.size, 1.5)
    return np.where(weight > 0, np.clip(mean * weight / np.mean(weight), 1.5, 12 * mean), 0.0)


def fade(lines: int) -> float:
    return 0.8 if lines <= 60 else 0.5


def passage() -> Any:
    """From the colour of x, at 0.0, to that of y, at 1.0; an integer would be an index into its table."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("passage", [BLUE, PURPLE, VERMILION])


def entries(transport: Transport) -> tuple[Array, Array, Array]:
    """Rows, columns and masses of the plan, entries of no mass left out."""
    rows, cols = transport.plan.coords
    mass = transport.plan.data
    carried = mass > 0
    return rows[carried], cols[carried], mass[carried]


def heaviest(mass: Array) -> tuple[Array, str]:
    """At most ARROWS entries, heaviest first, ties spread evenly; and a sentence if that is not all."""
    if mass.size <= ARROWS:
        return np.arange(mass.size), ""
    least = np.partition(mass, mass.size - ARROWS)[mass.size - ARROWS]
    above, level = np.flatnonzero(mass > least), np.flatnonzero(mass == least)
    spread = np.linspace(0, level.size - 1, ARROWS - above.size).round().astype(np.intp)
    drawn = np.concatenate([above, level[spread]])
    share = mass[drawn].sum() / mass.sum()
    return drawn, f"{ARROWS} of {mass.size} arrows drawn, {share:.0%} of the mass"


def dimension_of(transport: Transport) -> int:
    """Of the points; 0 for a cost matrix."""
    return 0 if transport._points is None else transport._points[0].shape[1]


def in_line_or_plane(transport: Transport, what: str) -> tuple[Array, Array]:
    """The points of both sides, (n, d) and (m, d), if they can be drawn.

    Raises
    ------
    ValueError
        For a cost matrix, and for points in more than two dimensions.
    """
    d = dimension_of(transport)
    atoms = transport._atoms()
    if atoms is None or d > 2:
        held = "a cost matrix" if atoms is None else f"points in {d} dimensions"
        raise ValueError(
            f"`transport` must be of points in one or two dimensions for {what}, but it is of {held}. "
            "Solve for points on a line or in the plane, or draw the plan: `transport.plot()`."
        )
    return atoms


def name_plane(ax: Any) -> None:
    """Both coordinates to one scale, with their names."""
    ax.set_aspect("equal", adjustable="datalim")
    ax.set_xlabel("coordinate 1 (unit of the points)")
    ax.set_ylabel("coordinate 2 (unit of the points)")
