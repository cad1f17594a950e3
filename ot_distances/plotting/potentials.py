"""Kantorovich potentials, as curves over a line or as a surface over the plane."""

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
    look,
    name_plane,
)  # fmt: skip

LEVELS = 14  # lines of equal height


def plot_potentials(transport: Transport, ax: Any = None) -> Any:
    """Draw the potentials that prove a plan optimal.

    On a line: f over the points of x and -g over those of y, two curves that are nowhere further apart than the cost
    of the move between them, and exactly so far along the grey lines, on which mass moves. For W_1 both lie on one
    curve of slope at most 1. In the plane: f over the points of x, by lines of equal height; as a surface where `ax`
    is a 3-D Axes. Mass moves downhill; for W_1 along the steepest slope, which is 1.

    Parameters
    ----------
    transport : Transport
        Of points on a line or in the plane.
    ax : matplotlib Axes, optional
        A new figure where left out.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        For a cost matrix, or points in more than two dimensions.
    """
    points = in_line_or_plane(transport, "a picture of potentials")
    line = dimension_of(transport) == 1
    with look(ax, COLUMN if line else SQUARE, space=not line) as ax:
        if line:
            _draw_curves(ax, transport, *points)
        else:
            _draw_surface(ax, points[0], transport.f)
    return ax


def _draw_curves(ax: Any, transport: Transport, x: Array, y: Array) -> None:
    from matplotlib.collections import LineCollection

    f, minus_g = transport.f, -transport.g
    rows, cols, mass = entries(transport)
    drawn, _ = heaviest(mass)
    moves = [((x[rows[k], 0], f[rows[k]]), (y[cols[k], 0], minus_g[cols[k]])) for k in drawn]
    ax.add_collection(LineCollection(moves, linewidths=0.6, color=GREY, alpha=fade(drawn.size), zorder=1))
    for points, values, colour, name in ((x[:, 0], f, BLUE, "f at x"), (y[:, 0], minus_g, VERMILION, "$-$g at y")):
        order = np.argsort(points, kind="stable")
        marker = "o" if points.size <= 60 else ""
        ax.plot(points[order], values[order], marker=marker, color=colour, linewidth=1.4, markersize=2.5, label=name)
    ax.plot([], [], color=GREY, linewidth=0.8, label="moves: f + g = cost")
    ax.set_xlabel(POSITION)
    ax.set_ylabel("potential (unit of the cost)")
    ax.legend()


def _draw_surface(ax: Any, points: Array, height: Array) -> None:
    """Over the triangles of the points; only the points themselves where they all lie on one line."""
    label = "potential f (unit of the cost)"
    surface = _triangulated(points)
    if surface is not None and ax.name == "3d":
        ax.plot_trisurf(surface, height, cmap="cividis", linewidth=0, antialiased=True)
        ax.set(xlabel="coordinate 1", ylabel="coordinate 2", title=label)
        return
    if surface is not None:
        shading = ax.tricontourf(surface, height, levels=LEVELS, cmap="cividis", zorder=-3)
        ax.tricontour(surface, height, levels=LEVELS, colors="white", linewidths=0.3, alpha=0.6, zorder=-2)
        ax.plot(*points.T, ".", color="black", markersize=1.2, alpha=0.6, zorder=-1)
        if len(points) > MANY:
            ax.set_rasterization_zorder(0)  # contours alone cannot be rasterized before matplotlib 3.11
    else:
        shading = ax.scatter(*points.T, c=height, cmap="cividis", s=8)
    ax.figure.colorbar(shading, ax=ax, label=label, shrink=0.85)
    name_plane(ax)


def _triangulated(points: Array) -> Any:
    """Triangles between the points, or None where they lie on one line, if only to rounding."""
    from matplotlib.tri import Triangulation

    centred = points - points.mean(axis=0)
    size = np.abs(centred).max()
    if len(points) < 3 or size == 0 or np.linalg.matrix_rank(centred / size) < 2:
        return None
    try:
        triangles = Triangulation(*(centred / size).T).triangles
    except RuntimeError:  # of Qhull
        return None
    return Triangulation(points[:, 0], points[:, 1], triangles)
