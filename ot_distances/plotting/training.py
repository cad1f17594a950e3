"""Training runs: what was generated, and the curves of a log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from ..problem import Array
from .look import BLUE, COLUMN, GREY, SQUARE, look


def plot_samples(points: Array, ax: Any = None, *, beneath: Array | None = None) -> Any:
    """Draw generated points over real ones, in a frame that the real ones fix, so that pictures compare.

    Parameters
    ----------
    points : ndarray, shape (n, d)
        The first two coordinates are drawn; points on a line lie flat.
    ax : matplotlib Axes, optional
        A new figure where left out.
    beneath : ndarray, shape (m, d), optional
        Grey; by default none, and the frame is that of the points.

    Returns
    -------
    matplotlib Axes
    """
    sides = [(points, BLUE)] if beneath is None else [(beneath, GREY), (points, BLUE)]
    with look(ax, SQUARE) as ax:
        flat = [np.hstack([side, np.zeros((len(side), 1))])[:, :2] for side, _ in sides]
        for side, (_, colour) in zip(flat, sides):
            size = min(max(3.0, 1000 / len(side)), 20.0)
            ax.scatter(*side.T, s=size, color=colour, alpha=0.5, linewidths=0)
        low, high = flat[0].min(axis=0), flat[0].max(axis=0)
        reach = 0.65 * float((high - low).max()) or 1.0
        (left, bottom), (right, top) = (low + high) / 2 - reach, (low + high) / 2 + reach
        ax.set(xlim=(left, right), ylim=(bottom, top), aspect="equal", xticks=[], yticks=[])
    return ax


def plot_images(
    images: Array, ax: Any = None, *, shape: tuple[int, int, int], span: tuple[float, float] = (-1, 1), columns: int = 8
) -> Any:
    """Draw flat images side by side.

    Parameters
    ----------
    images : ndarray, shape (n, channels * height * width)
        Of several rows, only whole ones are drawn.
    ax : matplotlib Axes, optional
        A new figure where left out.
    shape : (channels, height, width)
        One channel is grey, three are red, green and blue.
    span : (float, float)
        Values of black and of white.
    columns : int
        Images in a row.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        No images, or other than of that shape.
    """
    if len(images) == 0 or images[0].size != np.prod(shape):
        raise ValueError(
            f"`images` must have shape (n, {np.prod(shape)}), flat images of shape {tuple(shape)}, but its shape is "
            f"{images.shape}. Pass at least one, each as a row."
        )
    shades = np.clip((images.reshape(-1, *shape) - span[0]) / (span[1] - span[0]), 0, 1)
    tiles = np.pad(shades, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=0.5)  # (n, channels, H, W)
    channels, height, width = tiles.shape[1:]
    columns = min(columns, len(tiles))
    rows = len(tiles) // columns
    grid = tiles[: rows * columns].reshape(rows, columns, channels, height, width).transpose(0, 3, 1, 4, 2)
    with look(ax, SQUARE) as ax:
        ax.imshow(grid.reshape(rows * height, columns * width, channels), cmap="gray", vmin=0, vmax=1)
        ax.axis("off")
    return ax


def plot_log(
    rows: Sequence[Mapping[str, float]],
    lines: Mapping[str, tuple[str, str]],
    ax: Any = None,
    *,
    floors: Mapping[str, float] = MappingProxyType({}),
) -> Any:
    """Draw columns of a log against its steps.

    Parameters
    ----------
    rows : sequence of mappings
        Each with `step`, and what else was measured then.
    lines : mapping
        Column to its name and colour. A column that no row has is left out.
    ax : matplotlib Axes, optional
        A new figure where left out.
    floors : mapping, optional
        Column to the least value that can be hoped for, dotted.

    Returns
    -------
    matplotlib Axes
    """
    with look(ax, COLUMN) as ax:
        for column, (name, colour) in lines.items():
            drawn = [(row["step"], row[column]) for row in rows if column in row]
            if drawn:
                ax.plot(*zip(*drawn), color=colour, linewidth=1, label=name)
            if column in floors:
                ax.axhline(floors[column], color=colour, linewidth=0.8, linestyle=":")
        ax.set_xlabel("step")
        if ax.get_legend_handles_labels()[0]:
            ax.legend()
    return ax
