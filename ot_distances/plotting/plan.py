"""An optimal plan: as arrows, as masses on a line, or as a matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..problem import Array, Transport
from .look import (
    BLUE,
    COLUMN,
    GREY,
    MANY,
    POSITION,
    SQUARE,
    VERMILION,
    dimension_of,
    entries,
    fade,
    heaviest,
    in_line_or_plane,
    ink,
    look,
    name_plane,
    ramp,
    sizes,
    widths,
)

STEMS = 60  # atoms on a line drawn one by one; more become a histogram
CELLS = 100  # rows or columns of a matrix drawn one by one; more are added up in blocks
KINDS = ("arrows", "matrix")
NUMBERS = 12  # rows or columns of a matrix with its numbers written in


def plot_plan(transport: Transport, ax: Any = None, *, kind: str | None = None) -> Any:
    """Draw an optimal plan.

    Points on a line: both masses and the lines along which they move. Points in the plane: arrows as wide as
    the mass they carry. Otherwise the matrix of the plan with its marginals; for points in more dimensions, rows run
    from high potential f to low and columns from low g to high. Mass moves at the cost f + g, so that moves of one
    length lie along a diagonal, and the dearest towards the upper right corner.

    Parameters
    ----------
    transport : Transport
    ax : matplotlib Axes, optional
        A new figure where left out.
    kind : {"arrows", "matrix"}, optional
        Arrows where the points can be drawn, else the matrix, if left out.

    Returns
    -------
    matplotlib Axes
        Its title says so if not every arrow is drawn, or if cells are added up in blocks.

    Raises
    ------
    ValueError
        For an unknown kind, or arrows of anything but points in one or two dimensions.
    """
    if kind not in (None, *KINDS):
        raise ValueError(f"`kind` must be one of {', '.join(map(repr, KINDS))}, but it is {kind!r}. Pick one of them.")
    dimension = 0 if kind == "matrix" else dimension_of(transport)
    if kind == "arrows":
        in_line_or_plane(transport, "arrows")
    with look(ax, COLUMN if dimension == 1 else SQUARE) as ax:
        draw = {1: _draw_line, 2: _draw_plane}.get(dimension, _draw_matrix)
        note = draw(ax, transport)
        ax.set_title("\n".join(filter(None, [_headline(transport), note])))
    return ax


def _headline(transport: Transport) -> str:
    return f"optimal transport: {transport.value:.6g}  (gap {transport.gap:.0e})"


def _draw_line(ax: Any, transport: Transport) -> str:
    """Mass of x grows upwards from the upper line, mass of y downwards from the lower; between them the moves."""
    from matplotlib.collections import LineCollection

    x, y = (points[:, 0] for points in in_line_or_plane(transport, "arrows"))
    rows, cols, mass = entries(transport)
    drawn, note = heaviest(mass)
    moves = [((x[rows[k]], 1.0), (y[cols[k]], 0.0)) for k in drawn]
    ax.add_collection(LineCollection(moves, linewidths=widths(mass[drawn]), color=GREY, alpha=fade(drawn.size)))
    _draw_mass(ax, x, np.bincount(rows, mass, x.size), y, np.bincount(cols, mass, y.size))
    ax.set_yticks([0, 1], ["y", "x"])
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(POSITION)
    ax.margins(x=0.03)
    return note


def _draw_mass(ax: Any, x: Array, a: Array, y: Array, b: Array) -> None:
    """The masses as stems, or as histograms with common bins where stems would run into one another."""
    stems = x.size <= STEMS and y.size <= STEMS
    edges = np.histogram_bin_edges(np.concatenate([x, y]), bins=STEMS)
    heights = [a, b] if stems else [np.histogram(points, edges, weights=w)[0] for points, w in ((x, a), (y, b))]
    scale = 0.4 / max(float(np.max(height)) for height in heights)
    for points, height, base, sign, colour in ((x, heights[0], 1, 1, BLUE), (y, heights[1], 0, -1, VERMILION)):
        level = base + sign * scale * height
        ax.axhline(base, color=colour, linewidth=0.6)
        if stems:
            ax.vlines(points, base, level, color=colour, linewidth=1.4)
            ax.plot(points, level, "o", color=colour, markersize=2.5, linestyle="none")
        else:
            ax.stairs(level, edges, baseline=base, fill=True, color=colour, alpha=0.85)
    ax.set_ylim(-0.48, 1.48)


def _draw_plane(ax: Any, transport: Transport) -> str:
    from matplotlib.patches import FancyArrowPatch

    x, y = in_line_or_plane(transport, "arrows")
    rows, cols, mass = entries(transport)
    drawn, note = heaviest(mass)
    for k, width in zip(drawn, widths(mass[drawn])):
        tail, head = x[rows[k]], y[cols[k]]
        if np.array_equal(tail, head):
            continue  # what stays has no direction
        arrow = FancyArrowPatch(
            tail,
            head,
            arrowstyle="-|>",
            mutation_scale=4 + 1.5 * width,
            shrinkA=0,
            shrinkB=1,
            linewidth=width,
            color=GREY,
            alpha=fade(drawn.size),
            zorder=1,
        )
        ax.add_patch(arrow)
    for points, weight, colour, name in (
        (x, np.bincount(rows, mass, len(x)), BLUE, "x"),
        (y, np.bincount(cols, mass, len(y)), VERMILION, "y"),
    ):
        shown = {"s": sizes(weight), "alpha": 0.85, "rasterized": len(points) > MANY}
        ax.scatter(*points.T, color=colour, linewidths=0, zorder=2, **shown)
        ax.plot([], [], "o", color=colour, markersize=4, label=name)  # the key, whatever the sizes
    name_plane(ax)
    ax.legend(handletextpad=0.1)
    return note


def _draw_matrix(ax: Any, transport: Transport) -> str:
    rows, cols, mass = entries(transport)
    n, m = transport.plan.shape
    order = "index"
    if transport._points is not None:
        rows, cols = _rank(-transport.f)[rows], _rank(transport.g)[cols]
        order = "ordered by potential"
    height, width = -(-n // CELLS), -(-m // CELLS)  # of a cell, in entries
    cells = np.zeros((-(-n // height), -(-m // width)))
    np.add.at(cells, (rows // height, cols // width), mass)
    ax.imshow(
        np.ma.masked_equal(cells, 0),  # no mass, no ink
        cmap=ramp(),
        vmin=0,
        aspect="auto",
        interpolation="nearest",
        extent=(-0.5, cells.shape[1] * width - 0.5, cells.shape[0] * height - 0.5, -0.5),
    )
    ax.set(xlim=(-0.5, m - 0.5), ylim=(n - 0.5, -0.5))
    if n <= NUMBERS and m <= NUMBERS:
        ax.hlines(np.arange(1, n) - 0.5, -0.5, m - 0.5, color=ax.get_facecolor(), linewidth=1)
        ax.vlines(np.arange(1, m) - 0.5, -0.5, n - 0.5, color=ax.get_facecolor(), linewidth=1)
        for i, j in np.argwhere(cells > 0):
            full = cells[i, j] > 0.6 * cells.max()
            ax.text(j, i, f"{cells[i, j]:.3g}", ha="center", va="center", color="white" if full else ink())
    _draw_marginals(ax, np.bincount(rows, mass, n), np.bincount(cols, mass, m))
    _whole_ticks(ax)
    for spine in ax.spines.values():
        spine.set_visible(True)
    ax.set_xlabel(f"target j ({order})")
    ax.set_ylabel(f"source i ({order})")
    return "" if height == width == 1 else f"a cell adds up {height} x {width} entries of {n} x {m}"


def _rank(values: Array) -> Array:
    """The place of each entry in ascending order."""
    rank = np.empty(values.size, dtype=np.intp)
    rank[np.argsort(values, kind="stable")] = np.arange(values.size)
    return rank


def _draw_marginals(ax: Any, a: Array, b: Array) -> None:
    """The two weight vectors along the upper and the right edge."""
    n, m = a.size, b.size
    above = ax.inset_axes((0, 1.02, 1, 0.14), sharex=ax)
    above.stairs(b, np.arange(m + 1) - 0.5, fill=True, color=VERMILION)
    beside = ax.inset_axes((1.02, 0, 0.14, 1), sharey=ax)
    beside.stairs(a, np.arange(n + 1) - 0.5, fill=True, color=BLUE, orientation="horizontal")
    for edge in (above, beside):
        edge.axis("off")


def _whole_ticks(ax: Any) -> None:
    """Indices are whole numbers."""
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
    ax.yaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
