"""Bounds that close around an optimum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..problem import Array
from .look import BLUE, COLUMN, GREEN, GREY, PURPLE, VERMILION, look

LINES = ((BLUE, "-"), (VERMILION, "--"), (GREEN, "-."), (PURPLE, ":"), (GREY, (0, (5, 1, 1, 1, 1, 1))))
CLOSED = 1e-17  # the height at which a gap of 0 is drawn on a scale that has none

Record = Sequence[tuple[float, float, float]]  # (seconds or steps, lower, upper)


def plot_bounds(record: Record, ax: Any = None, *, xlabel: str = "time (s)") -> Any:
    """Draw lower and upper bounds on a cost as they close; the optimum lies in the shaded band.

    The best bounds so far are drawn: what is proven once stays proven.

    Parameters
    ----------
    record : sequence of (float, float, float)
        (seconds or steps, lower, upper) in order, infinite where nothing is known yet.
    ax : matplotlib Axes, optional
        A new figure where left out.
    xlabel : str
        What the first numbers are, with their unit.

    Returns
    -------
    matplotlib Axes
        Its title says what is left open.

    Raises
    ------
    ValueError
        For an empty record, or a lower bound above its upper one.

    Examples
    --------
    A record of a solve that is stopped at several times, and of its end:

    >>> import numpy as np
    >>> from ot_distances import NotConverged, solve
    >>> x, y = np.random.default_rng(0).random((2, 1000, 2))
    >>> record = []
    >>> for limit in (0.001, 0.01, 0.1, 1, 10, None):
    ...     try:
    ...         done = solve(x, y, p=2, time_limit=limit)
    ...     except NotConverged as stopped:
    ...         record.append((limit, stopped.lower, stopped.upper))
    ...     else:
    ...         record.append((done.seconds, done.lower, done.upper))
    ...         break
    >>> bool(record[0][1] <= record[-1][1] <= record[-1][2] <= record[0][2])
    True
    """
    at, lower, upper = _columns(record, "record")
    with look(ax, COLUMN) as ax:
        lower, upper = (np.where(np.isfinite(side), side, np.nan) for side in (lower, upper))
        ax.fill_between(at, lower, upper, step="post", color=GREY, alpha=0.2, linewidth=0)
        ax.step(at, upper, where="post", color=VERMILION, marker="v", markersize=3, label="upper bound: a plan")
        ax.step(at, lower, where="post", color=BLUE, marker="^", markersize=3, label="lower bound: potentials")
        ax.set_xlabel(xlabel)
        ax.set_ylabel("cost (its own unit)")
        ax.legend()
        ax.set_title(f"between {lower[-1]:.6g} and {upper[-1]:.6g}: a gap of {_gaps(lower, upper)[-1]:.0e}")
    return ax


def plot_gaps(records: Mapping[str, Record], ax: Any = None, *, xlabel: str = "time (s)") -> Any:
    """Draw what the bounds of several solvers, or of several runs, leave open: (upper - lower) / upper.

    Parameters
    ----------
    records : mapping of str to sequence of (float, float, float)
        Name to rows (seconds or steps, lower, upper).
    ax : matplotlib Axes, optional
        A new figure where left out.
    xlabel : str
        What the first numbers are, with their unit.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        For an empty record, or a lower bound above its upper one.
    """
    with look(ax, COLUMN) as ax:
        for k, (name, record) in enumerate(records.items()):
            at, lower, upper = _columns(record, f"records[{name!r}]")
            colour, dashes = LINES[k % len(LINES)]
            gap = np.maximum(_gaps(lower, upper), CLOSED)
            ax.plot(at, gap, marker="o", markersize=2.5, color=colour, linestyle=dashes, linewidth=1.2, label=name)
        ax.set_yscale("log")
        ax.set_xlabel(xlabel)
        ax.set_ylabel("relative gap between the bounds")
        ax.legend()
    return ax


def _columns(record: Record, name: str) -> tuple[Array, Array, Array]:
    """The columns of a record, with the best bounds so far: what is proven once stays proven."""
    rows = np.asarray(record, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != 3 or not len(rows):
        raise ValueError(
            f"`{name}` must hold rows (at, lower, upper), but it has shape {rows.shape}. Pass one row at least."
        )
    bad = np.flatnonzero(~(rows[:, 1] <= rows[:, 2]))
    if bad.size:
        raise ValueError(
            f"`{name}` must have lower <= upper, but row {bad[0]} is {tuple(rows[bad[0]].tolist())}. "
            "Pass rows (at, lower, upper)."
        )
    at, lower, upper = rows.T
    return at, np.maximum.accumulate(lower), np.minimum.accumulate(upper)


def _gaps(lower: Array, upper: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        gap = (upper - lower) / np.maximum(np.abs(lower), np.abs(upper))
    return np.where(upper == lower, 0.0, gap)
