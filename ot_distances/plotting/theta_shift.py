"""KL, JS, TV and W_1 against theta, after Figure 1 of Arjovsky et al. (ICML 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..problem import Array
from .look import BLUE, COLUMN, GREEN, GREY, PURPLE, VERMILION, ink, look

if TYPE_CHECKING:
    from ..theta_shift import ThetaShift

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
    with look(ax, COLUMN) as ax:
        for name, values in exact.items():
            jumps = name in result.jumps
            _draw_curve(ax, theta, np.where(np.isinf(values), infinity, values), CURVES[name], jumps)
        _draw_markers(ax, theta, sampled, infinity)
        if theta[0] <= 0 <= theta[-1] and result.jumps:
            ax.plot(0, 0, "o", color=ink(), markersize=3.5, zorder=4)
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
