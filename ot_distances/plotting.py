"""Results in, Axes out: transport plans and the theta-shift. Nothing here solves, shows or saves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ._arrays import require
from .problem import Array, Transport

if TYPE_CHECKING:
    from .theta_shift import ThetaShift

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
STEMS = 60  # atoms on a line drawn one by one; more become a histogram
CELLS = 100  # rows or columns of a matrix drawn one by one; more are added up in blocks
NUMBERS = 12  # rows or columns of a matrix with its numbers written in

# column of ThetaShift -> its name, colour, dashes, width; the widest first, so that none hides another
CURVES: dict[str, tuple[str, str, Any, float]] = {
    "w1": (r"$W_1 = |\theta|$", BLUE, "-", 2.4),
    "kl": ("KL", PURPLE, (0, (1, 1.2)), 1.6),
    "tv": ("TV", GREEN, (0, (5, 1.5, 1, 1.5)), 1.4),
    "js": ("JS", VERMILION, (0, (4, 1.5)), 1.4),
}
MARKERS = 9  # thetas at which the sampled values are marked


def plot_theta_shift(result: ThetaShift, ax: Any = None) -> Any:
    """Draw KL, JS, TV and W_1 against theta, after Figure 1 of Arjovsky et al. (ICML 2017).

    Lines are exact, small markers come from n points. What is infinite lies in a band of its own above the axis.
    Where a curve jumps at theta = 0, a hollow circle is its limit; its value there is 0.

    Parameters
    ----------
    result : ThetaShift
    ax : matplotlib Axes, optional
        A new figure of one column's width where left out.

    Returns
    -------
    matplotlib Axes
    """
    order = np.argsort(result.theta)
    theta = result.theta[order]
    exact = {name: getattr(result, name)[order] for name in CURVES}
    sampled = {name: getattr(result, f"{name}_sampled")[order] for name in CURVES}
    finite = np.concatenate([*exact.values(), *sampled.values()])
    finite = finite[np.isfinite(finite)]
    top = float(finite.max()) or 1.0
    infinity = 1.2 * top  # the height that stands for +inf
    with _look(ax, COLUMN) as ax:
        for name, values in exact.items():
            jumps = name in result.jumps
            _draw_curve(ax, theta, np.where(np.isinf(values), infinity, values), CURVES[name], jumps)
        _draw_markers(ax, theta, sampled, infinity)
        if theta[0] <= 0 <= theta[-1] and result.jumps:
            ax.plot(0, 0, "o", color=_ink(), markersize=3.5, zorder=4)
        unbounded = any(np.isinf(values).any() for values in (*exact.values(), *sampled.values()))
        _draw_scale(ax, top, infinity if unbounded else None)
        _name_curves(ax, theta, exact, infinity)
        ax.set_xlabel(rf"shift $\theta$   (lines: exact, markers: from $n = {result.n}$)")
        ax.set_title(result.laws.replace("theta", r"$\theta$"))
    return ax


def _draw_curve(ax: Any, theta: Array, values: Array, style: tuple[str, str, Any, float], jumps: bool) -> None:
    """One curve; at 0, where every column is 0, it either passes through the origin or breaks."""
    _, colour, dashes, width = style
    options = {"color": colour, "linestyle": dashes, "linewidth": width, "solid_capstyle": "round"}
    before, after = theta < 0, theta > 0
    if not theta[0] <= 0 <= theta[-1]:
        ax.plot(theta, values, **options)
    elif not jumps:
        ax.plot([*theta[before], 0, *theta[after]], [*values[before], 0, *values[after]], **options)
    else:  # constant on either side of the jump
        if before.any():
            ax.plot([*theta[before], 0], [*values[before], values[before][-1]], **options)
        if after.any():
            ax.plot([0, *theta[after]], [values[after][0], *values[after]], **options)
        limit = values[after][:1] if after.any() else values[before][-1:]
        ax.plot(0 * limit, limit, "o", color=colour, markerfacecolor=ax.get_facecolor(), markersize=3.5, zorder=4)


def _draw_markers(ax: Any, theta: Array, sampled: dict[str, Array], infinity: float) -> None:
    picked = np.unique(np.linspace(0, theta.size - 1, min(MARKERS, theta.size)).round().astype(np.intp))
    picked = picked[theta[picked] != 0]
    for name, values in sampled.items():
        height = np.where(np.isinf(values), infinity, values)[picked]
        ax.plot(theta[picked], height, "o", color=CURVES[name][1], markersize=2.4, linestyle="none", zorder=3)


def _draw_scale(ax: Any, top: float, infinity: float | None) -> None:
    """The vertical axis: finite values up to `top`, and above a gap the band of what is infinite."""
    from matplotlib.ticker import MaxNLocator

    ticks = [tick for tick in MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(0, top) if 0 <= tick <= 1.0001 * top]
    labels = [f"{tick:g}" for tick in ticks]
    upper = 1.06 * top
    if infinity is not None:
        lower = (top + infinity) / 2
        upper = 2 * infinity - lower
        ax.axhspan(lower, upper, color=GREY, alpha=0.16, linewidth=0, zorder=0)
        ticks.append(infinity)
        labels.append(r"$+\infty$")
    ax.set_ylim(-0.03 * top, upper)
    ax.set_yticks(ticks, labels)


def _name_curves(ax: Any, theta: Array, exact: dict[str, Array], infinity: float) -> None:
    """Names beside the right ends of the curves, moved apart where the ends meet."""
    low, high = ax.get_ylim()
    step = 0.085 * (high - low)
    ends = sorted((min(values[-1], infinity), name) for name, values in exact.items())
    heights = np.array([end for end, _ in ends])
    for _ in range(20):  # push neighbours apart by halves: four names settle well within
        for i in range(1, len(ends)):
            lack = step - (heights[i] - heights[i - 1])
            if lack > 0:
                heights[i - 1 : i + 1] += -lack / 2, lack / 2
        heights = np.clip(heights, low + step / 2, high - step / 3)
    for height, (_, name) in zip(heights, ends):
        ax.annotate(
            _name(name, exact[name][theta != 0]),
            (1, height),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            color=CURVES[name][1],
            va="center",
            annotation_clip=False,
        )


def _name(column: str, values: Array) -> str:
    """The name of a curve, with its value where it has only one."""
    title = CURVES[column][0]
    for value, text in ((np.inf, r"$+\infty$"), (np.log(2), r"$\log\,2$"), (1.0, "1")):
        if column != "w1" and values.size and np.all(values == value):
            return f"{title} = {text}"
    return title


def plot_plan(transport: Transport, ax: Any = None) -> Any:
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

    Returns
    -------
    matplotlib Axes
        Its title says so if not every arrow is drawn, or if cells are added up in blocks.
    """
    dimension = transport._points[0].reshape(transport.plan.shape[0], -1).shape[1] if transport._points else 0
    size = SQUARE if dimension != 1 else COLUMN
    with _look(ax, size) as ax:
        draw = {1: _draw_line, 2: _draw_plane}.get(dimension, _draw_matrix)
        note = draw(ax, transport)
        ax.set_title("\n".join(filter(None, [_headline(transport), note])))
    return ax


def _headline(transport: Transport) -> str:
    return f"optimal transport: {transport.value:.6g}  (gap {transport.gap:.0e})"


def _entries(transport: Transport) -> tuple[Array, Array, Array]:
    """Rows, columns and masses of the plan, entries of no mass left out."""
    rows, cols = transport.plan.coords
    mass = transport.plan.data
    carried = mass > 0
    return rows[carried], cols[carried], mass[carried]


def _heaviest(mass: Array) -> tuple[Array, str]:
    """At most ARROWS entries, heaviest first, ties spread evenly; and a sentence if that is not all."""
    if mass.size <= ARROWS:
        return np.arange(mass.size), ""
    least = np.partition(mass, mass.size - ARROWS)[mass.size - ARROWS]
    above, level = np.flatnonzero(mass > least), np.flatnonzero(mass == least)
    spread = np.linspace(0, level.size - 1, ARROWS - above.size).round().astype(np.intp)
    drawn = np.concatenate([above, level[spread]])
    share = mass[drawn].sum() / mass.sum()
    return drawn, f"{ARROWS} of {mass.size} arrows drawn, {share:.0%} of the mass"


def _draw_line(ax: Any, transport: Transport) -> str:
    """Mass of x grows upwards from the upper line, mass of y downwards from the lower; between them the moves."""
    from matplotlib.collections import LineCollection

    x, y = (np.ravel(points) for points in transport._points or ())
    rows, cols, mass = _entries(transport)
    drawn, note = _heaviest(mass)
    moves = [((x[rows[k]], 1.0), (y[cols[k]], 0.0)) for k in drawn]
    ax.add_collection(LineCollection(moves, linewidths=_widths(mass[drawn]), color=GREY, alpha=_fade(drawn.size)))
    _draw_mass(ax, x, np.bincount(rows, mass, x.size), y, np.bincount(cols, mass, y.size))
    ax.set_yticks([0, 1], ["y", "x"])
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("position")
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

    x, y = transport._points or (np.empty((0, 2)),) * 2
    rows, cols, mass = _entries(transport)
    drawn, note = _heaviest(mass)
    for k, width in zip(drawn, _widths(mass[drawn])):
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
            alpha=_fade(drawn.size),
            zorder=1,
        )
        ax.add_patch(arrow)
    for points, weight, colour, name in (
        (x, np.bincount(rows, mass, len(x)), BLUE, "x"),
        (y, np.bincount(cols, mass, len(y)), VERMILION, "y"),
    ):
        ax.scatter(*points.T, s=_sizes(weight), color=colour, linewidths=0, alpha=0.85, zorder=2)
        ax.plot([], [], "o", color=colour, markersize=4, label=name)  # the key, whatever the sizes
    ax.set_aspect("equal", adjustable="datalim")
    ax.legend(handletextpad=0.1)
    return note


def _draw_matrix(ax: Any, transport: Transport) -> str:
    rows, cols, mass = _entries(transport)
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
        cmap=_ramp(),
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
            dark = cells[i, j] > 0.35 * cells.max()
            ax.text(j, i, f"{cells[i, j]:.3g}", ha="center", va="center", color="white" if dark else "black")
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


def _ramp() -> Any:
    """From a light to a full blue, readable on white and on black."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("mass", ["#C9DDF0", BLUE, "#003A5D"])


def _widths(mass: Array) -> Array:
    """Widths of lines in points, in proportion to the mass; fewer lines may be wider."""
    widest = 1.8 if mass.size <= 60 else 0.8
    return np.maximum(widest * mass / np.max(mass), 0.15)


def _sizes(weight: Array) -> Array:
    """Areas of markers in square points, in proportion to the mass."""
    mean = 20.0 if weight.size <= 100 else max(2000.0 / weight.size, 1.5)
    return np.where(weight > 0, np.clip(mean * weight / np.mean(weight), 1.5, 12 * mean), 0.0)


def _fade(lines: int) -> float:
    return 0.8 if lines <= 60 else 0.5


def _ink() -> Any:
    return require("matplotlib", "plotting").rcParams["text.color"]


@contextmanager
def _look(ax: Any, size: tuple[float, float]) -> Iterator[Any]:
    """The caller's Axes as it is, or a new one in the look of this page."""
    pyplot = require("matplotlib.pyplot", "plotting")
    if ax is not None:
        yield ax
        return
    # The first figure of a session sets up its backend, which must not be undone with the look: a notebook would then
    # show no later figure.
    figure = pyplot.figure(figsize=size, dpi=LOOK["figure.dpi"], layout="constrained")
    with pyplot.rc_context(LOOK):
        yield figure.subplots()
