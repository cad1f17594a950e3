"""Mass on its way: McCann's displacement interpolation between two measures."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..problem import Array, Transport
from .look import (
    COLUMN,
    MANY,
    POSITION,
    SQUARE,
    dimension_of,
    entries,
    in_line_or_plane,
    look,
    name_plane,
    passage,
    sizes,
)  # fmt: skip

TIMES = (0.0, 0.25, 0.5, 0.75, 1.0)
BINS = 60
OVERLAP = 1.6  # height of the tallest histogram, in distances between their base lines


def displacement(transport: Transport, t: float) -> tuple[Array, Array]:
    """The measure at time t on the way from x to y: mass P_ij at (1 - t) x_i + t y_j.

    For the Euclidean metric, and every order p, this is the geodesic of W_p: after the share t of the time the mass is
    at the distance t W_p from where it started (McCann 1997).

    Parameters
    ----------
    transport : Transport
        Of points, in any dimension.
    t : float
        From 0, at x, to 1, at y.

    Returns
    -------
    points : ndarray, shape (k, d)
        One for each entry of the plan that carries mass.
    mass : ndarray, shape (k,)

    Raises
    ------
    TypeError, ValueError
        For a t that is no number of [0, 1], and for a cost matrix, which has no points.

    References
    ----------
    R. J. McCann, A convexity principle for interacting gases, Advances in Mathematics 128, 1997.

    Examples
    --------
    >>> from ot_distances import solve
    >>> from ot_distances.plotting import displacement
    >>> points, mass = displacement(solve([0.0, 1.0], [4.0, 3.0], p=2), 0.5)
    >>> points.ravel(), mass
    (array([1.5, 2.5]), array([0.5, 0.5]))
    """
    if isinstance(t, bool) or not isinstance(t, numbers.Real):
        raise TypeError(f"`t` must be a number, but it is {t!r}. Pass a time from 0 to 1.")
    if not 0 <= t <= 1:
        raise ValueError(f"`t` must lie in [0, 1], but it is {t}. 0 is at x, 1 at y.")
    atoms = transport._atoms()
    if atoms is None:
        raise ValueError(
            "`transport` must be of points, but it is of a cost matrix, in which nothing lies between row and column. "
            "Solve for the points: solve(x, y)."
        )
    x, y = atoms
    rows, cols, mass = entries(transport)
    return (1 - t) * x[rows] + t * y[cols], mass


def plot_displacement(transport: Transport, ax: Any = None, *, times: Sequence[float] = TIMES) -> Any:
    """Draw the mass at several times on its way, from the colour of x to that of y.

    On a line: a histogram for each time, from the first at the top to the last. In the plane: all of them in one frame.

    Parameters
    ----------
    transport : Transport
        Of points on a line or in the plane.
    ax : matplotlib Axes, optional
        A new figure where left out.
    times : sequence of float
        In [0, 1].

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    TypeError, ValueError
        As `displacement`; also for points in more than two dimensions.
    """
    in_line_or_plane(transport, "a picture of their way")
    moments = [displacement(transport, t) for t in times]
    line = dimension_of(transport) == 1
    with look(ax, COLUMN if line else SQUARE, space=not line) as ax:
        (_draw_ridges if line else _draw_clouds)(ax, times, moments)
    return ax


def _draw_ridges(ax: Any, times: Sequence[float], moments: list[tuple[Array, Array]]) -> None:
    edges = _edges(moments)
    heights = [np.histogram(points[:, 0], edges, weights=mass)[0] for points, mass in moments]
    scale = OVERLAP / max(float(height.max()) for height in heights)
    for k, (t, height) in enumerate(zip(times, heights)):
        base, colour = -float(k), passage()(float(t))
        ax.stairs(base + scale * height, edges, baseline=base, fill=True, color=colour, alpha=0.75, zorder=2 + k)
        ax.axhline(base, color=colour, linewidth=0.6, zorder=2 + k)
    ax.set_yticks(-np.arange(len(times)), [f"t = {t:.4g}" for t in times])
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(POSITION)
    ax.margins(x=0.02)


def _draw_clouds(ax: Any, times: Sequence[float], moments: list[tuple[Array, Array]]) -> None:
    for t, (points, mass) in zip(times, moments):
        shown = {"s": 0.6 * sizes(mass), "alpha": 0.7, "rasterized": len(points) * len(times) > MANY}
        ax.scatter(*points.T, color=passage()(float(t)), linewidths=0, **shown)
        ax.plot([], [], "o", color=passage()(float(t)), markersize=4, label=f"{t:.4g}")
    name_plane(ax)
    place = {"loc": "lower center", "bbox_to_anchor": (0.5, 1)}  # beside the points, not over them
    ax.legend(title="time t", ncols=min(len(times), 6), handletextpad=0, columnspacing=1, borderpad=0, **place)


def animate_displacement(transport: Transport, ax: Any = None, *, frames: int = 40, interval: int = 60) -> Any:
    """The mass moving from x to y and back, slower towards both ends.

    Parameters
    ----------
    transport : Transport
        Of points on a line or in the plane.
    ax : matplotlib Axes, optional
        A new figure where left out.
    frames : int, default 40
        Pictures from x to y.
    interval : int, default 60
        Milliseconds between two of them.

    Returns
    -------
    matplotlib.animation.FuncAnimation
        Keep it, show it in a notebook by ``HTML(animation.to_jshtml())``, or write it by ``animation.save``.

    Raises
    ------
    ValueError
        For a cost matrix, points in more than two dimensions, or fewer than 2 frames.
    """
    if frames < 2:
        raise ValueError(f"`frames` must be at least 2, but it is {frames}. Two are the start and the end.")
    in_line_or_plane(transport, "an animation")
    there = [(1 - math.cos(math.pi * k / (frames - 1))) / 2 for k in range(frames)]
    times = [*there, *there[-2:0:-1]]
    line = dimension_of(transport) == 1
    with look(ax, COLUMN if line else SQUARE, space=not line) as ax:
        draw = _moving_histogram(ax, transport) if line else _moving_cloud(ax, transport)
        draw(0.0)
    from matplotlib.animation import FuncAnimation

    return FuncAnimation(ax.figure, lambda k: draw(times[k]), frames=len(times), interval=interval)


def _moving_histogram(ax: Any, transport: Transport) -> Any:
    edges = _edges([displacement(transport, t) for t in (0.0, 1.0)])

    def heights(t: float) -> Array:
        points, mass = displacement(transport, t)
        return np.histogram(points[:, 0], edges, weights=mass)[0]

    steps = ax.stairs(heights(0.0), edges, fill=True)
    ax.set(ylim=(0, 1.05 * max(heights(t).max() for t in TIMES)), xlabel=POSITION, ylabel="mass")

    def draw(t: float) -> list[Any]:
        steps.set_data(heights(t))
        steps.set_color(passage()(float(t)))
        ax.set_title(f"t = {t:.2f}")
        return [steps]

    return draw


def _moving_cloud(ax: Any, transport: Transport) -> Any:
    x, y = in_line_or_plane(transport, "an animation")
    mass = displacement(transport, 0.0)[1]
    cloud = ax.scatter(*displacement(transport, 0.0)[0].T, s=sizes(mass), linewidths=0, alpha=0.8)
    both = np.concatenate([x, y])
    room = 0.05 * (np.ptp(both, axis=0).max() or 1.0)
    low, high = both.min(axis=0) - room, both.max(axis=0) + room
    name_plane(ax)
    ax.set_aspect("equal", adjustable="box")  # the frame stands still, and holds all points
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))

    def draw(t: float) -> list[Any]:
        cloud.set_offsets(displacement(transport, t)[0])
        cloud.set_color(passage()(float(t)))
        ax.set_title(f"t = {t:.2f}")
        return [cloud]

    return draw


def _edges(moments: list[tuple[Array, Array]]) -> Array:
    """Common bins of the first coordinate."""
    return np.histogram_bin_edges(np.concatenate([points[:, 0] for points, _ in moments]), bins=BINS)
