"""Many distributions as points in the plane, as far apart as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..problem import Array
from .look import BLUE, GREEN, GREY, PURPLE, SQUARE, VERMILION, look

# Okabe and Ito's colours and a mark each, so that no group is told by its colour alone.
GROUPS = tuple(zip((BLUE, VERMILION, GREEN, PURPLE, GREY, "#E69F00", "#56B4E9"), "osD^vPX"))
NAMES = 40  # points that are named; more names would cover each other


def embed(distances: Any, d: int = 2) -> tuple[Array, float]:
    """Points whose Euclidean distances come close to those of a matrix: classical multidimensional scaling.

    Parameters
    ----------
    distances : array_like, shape (k, k)
        Symmetric, zero on the diagonal, as from `pairwise`.
    d : int, default 2
        Dimensions to embed into.

    Returns
    -------
    points : ndarray, shape (k, d)
        Centred, along their principal axes, in the unit of the distances.
    share : float
        Of the squared distances from the centre that these axes hold: 1 where nothing is lost.

    Raises
    ------
    ValueError
        For a matrix that is not square, finite and symmetric.

    References
    ----------
    W. S. Torgerson, Multidimensional scaling I: theory and method, Psychometrika 17, 1952.

    Examples
    --------
    >>> from ot_distances.plotting import embed
    >>> points, share = embed([[0, 3, 4], [3, 0, 5], [4, 5, 0]])
    >>> round(float(abs(points[1] - points[2]) @ abs(points[1] - points[2])), 12), round(share, 12)
    (25.0, 1.0)
    """
    squares = _judged(distances) ** 2
    k = len(squares)
    centring = np.eye(k) - 1 / k
    gram = -0.5 * centring @ squares @ centring
    values, vectors = np.linalg.eigh((gram + gram.T) / 2)
    values, vectors = values[::-1], vectors[:, ::-1]
    held = np.maximum(values[:d], 0)
    points = np.zeros((k, d))
    points[:, : len(held)] = vectors[:, : len(held)] * np.sqrt(held)
    whole = np.abs(values).sum()
    return points, float(held.sum() / whole) if whole > 0 else 1.0


def plot_embedding(
    distances: Any, ax: Any = None, *, groups: Sequence[Any] | None = None, names: Sequence[str] | None = None
) -> Any:
    """Draw distributions as points whose distances come close to those between them.

    Parameters
    ----------
    distances : array_like, shape (k, k)
        As from `pairwise(measures)`.
    ax : matplotlib Axes, optional
        A new figure where left out.
    groups : sequence, optional
        One label for each, drawn as colour and mark.
    names : sequence of str, optional
        One for each, written beside the first 40.

    Returns
    -------
    matplotlib Axes
        Its title says how much of the distances the two axes hold.

    Raises
    ------
    ValueError
        As `embed`; and for labels or names that are not as many as the distributions.
    """
    points, share = embed(distances)
    for labels, name in ((groups, "groups"), (names, "names")):
        if labels is not None and len(labels) != len(points):
            raise ValueError(
                f"`{name}` must have one entry for each of the {len(points)} distributions, but it has {len(labels)}. "
                "Pass one each."
            )
    with look(ax, SQUARE, space=True) as ax:
        of = np.array([""] * len(points) if groups is None else [str(group) for group in groups])
        for k, group in enumerate(dict.fromkeys(of)):
            colour, mark = GROUPS[k % len(GROUPS)]
            ax.scatter(*points[of == group].T, s=16, color=colour, marker=mark, linewidths=0, alpha=0.85, label=group)
        for point, name in zip(points[:NAMES], () if names is None else names):
            ax.annotate(name, point, xytext=(3, 3), textcoords="offset points", fontsize=6.5)
        if groups is not None:
            ax.legend(handletextpad=0.1, loc="upper left", bbox_to_anchor=(1, 1))
        ax.set_aspect("equal", adjustable="datalim")
        ax.set(xlabel="axis 1 (unit of the distance)", ylabel="axis 2 (unit of the distance)")
        ax.set_title(f"{len(points)} distributions, {share:.0%} of their spread in two axes")
    return ax


def _judged(distances: Any) -> Array:
    matrix = np.asarray(distances, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ValueError(
            f"`distances` must be a square matrix, but its shape is {matrix.shape}. Pass pairwise(measures)."
        )
    if not np.isfinite(matrix).all():
        i, j = np.argwhere(~np.isfinite(matrix))[0]
        raise ValueError(f"`distances` must be finite, but distances[{i}, {j}] = {matrix[i, j]}. Leave such ones out.")
    apart = np.abs(matrix - matrix.T)
    if apart.max() > 1e-6 * np.abs(matrix).max():
        i, j = np.unravel_index(apart.argmax(), apart.shape)
        raise ValueError(
            f"`distances` must be symmetric, but distances[{i}, {j}] = {matrix[i, j]:.6g} and distances[{j}, {i}] = "
            f"{matrix[j, i]:.6g}. Pass (D + D.T) / 2 for a divergence."
        )
    return matrix
