"""Pictures of a run from its folder: what was generated, the curves, and a walk between two latent points."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .._arrays import require
from ..plotting import BLUE, GREEN, GREY, LOOK, PURPLE, VERMILION
from ..problem import Array
from .config import RunConfig
from .data import Dataset, load
from .samplers import squared_distances
from .trainer import CONFIG, SUMMARY, WALK, read_log

PANELS = 5  # moments of a run beside each other
SIDE = 8  # images in a row of a panel

ESTIMATES = {"w_estimate": "critic's $W_1$", "js_estimate": "critic's JS"}
# Curves of the third panel: column -> name, colour.
SHARES = {
    "high_quality": ("high quality", BLUE),
    "precision": ("precision", VERMILION),
    "recall": ("recall", GREEN),
    "entropy": ("entropy of modes", PURPLE),
}


def draw_run(out: str | Path) -> list[Path]:
    """Write samples.png and curves.png into the folder of a run, and walk.png if its data are images."""
    out = Path(out)
    data = _data_of(out)
    steps = [int(file.stem) for file in sorted((out / "samples").glob("*.npy"))]
    shown = [steps[i] for i in np.unique(np.linspace(0, len(steps) - 1, min(PANELS, len(steps))).astype(int))]
    panels = [(f"step {step:,}", np.load(out / "samples" / f"{step:08d}.npy")) for step in shown]
    written = [_draw_panels(panels, data, out / "samples.png"), _draw_curves(out, out / "curves.png")]
    if (out / WALK).is_file():
        written.append(_draw_walk(np.load(out / WALK), data, out / "walk.png"))
    return written


def draw_comparison(folders: Sequence[str | Path], path: Path) -> Path:
    """Write what several runs on the same data generate at their ends beside each other."""
    panels = []
    for folder in map(Path, folders):
        summary = json.loads((folder / SUMMARY).read_text("utf-8"))
        last = np.load(sorted((folder / "samples").glob("*.npy"))[-1])
        panels.append((f"{folder.name}\n$W_1$ = {summary['w1']:.3g}", last))
    return _draw_panels(panels, _data_of(Path(folders[0])), path)


def _data_of(out: Path) -> Dataset:
    config = RunConfig.from_dict(json.loads((out / CONFIG).read_text("utf-8")))
    return load(config.data, shape=config.shape, size=config.size)


def _draw_panels(panels: Sequence[tuple[str, Array]], data: Dataset, path: Path) -> Path:
    columns = min(PANELS + 1, len(panels) + 1)
    rows = -(-(len(panels) + 1) // columns)
    held = data.held[: len(panels[0][1])]

    def draw(figure: Any) -> None:
        axes = list(figure.subplots(rows, columns, squeeze=False).flat)
        for ax, (title, points) in zip(axes, [*panels, ("held-out data", held)]):
            ax.set_title(title)
            if data.shape is not None:
                ax.imshow(_tiled(points, data), cmap="gray", vmin=0, vmax=1)
                ax.axis("off")
            else:
                _draw_points(ax, points, held, generated=points is not held)
        for ax in axes[len(panels) + 1 :]:
            ax.axis("off")

    return _save(path, (1.7 * columns, (1.95 + 0.15 * panels[0][0].count("\n")) * rows), draw)


def _draw_points(ax: Any, points: Array, held: Array, *, generated: bool) -> None:
    """In one frame for all panels: the held-out points grey, the generated ones over them."""
    flat = held[:, :2] if held.shape[1] > 1 else np.column_stack([held, np.zeros(len(held))])
    centre, reach = (flat.max(0) + flat.min(0)) / 2, 0.65 * float(np.ptp(flat, axis=0).max()) or 1.0
    ax.scatter(*flat.T, s=3, color=GREY, alpha=0.5, linewidths=0)
    if generated:
        shown = points[:, :2] if points.shape[1] > 1 else np.column_stack([points, np.zeros(len(points))])
        ax.scatter(*shown.T, s=3, color=BLUE, alpha=0.6, linewidths=0)
    ax.set(xlim=centre[0] + np.array([-reach, reach]), ylim=centre[1] + np.array([-reach, reach]), aspect="equal")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[["top", "right"]].set_visible(True)


def _tiled(points: Array, data: Dataset, columns: int = SIDE) -> Array:
    """Flat images as one image of `columns` in a row, (H, W) or (H, W, 3), values in [0, 1], with gaps between."""
    channels, height, width = data.shape or (1, 1, 1)
    low, high = float(data.train.min()), float(data.train.max())
    images = np.clip((points.reshape(-1, channels, height, width) - low) / (high - low), 0, 1)
    images = images[: columns * max(1, min(SIDE, len(images) // columns))]
    images = np.pad(images.transpose(0, 2, 3, 1), ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=0.5)
    rows = [np.concatenate(list(images[i : i + columns]), axis=1) for i in range(0, len(images), columns)]
    whole = np.concatenate(rows, axis=0)
    return whole if channels == 3 else whole[..., 0]


def _draw_curves(out: Path, path: Path) -> Path:
    rows = read_log(out)
    floor = json.loads((out / SUMMARY).read_text("utf-8")) if (out / SUMMARY).is_file() else {}

    def curve(ax: Any, column: str, name: str, colour: str, dashes: str = "-") -> None:
        drawn = [(row["step"], row[column]) for row in rows if column in row]
        if drawn:
            ax.plot(*zip(*drawn), dashes, color=colour, label=name, linewidth=1)

    estimates = [name for name in ESTIMATES if any(name in row for row in rows)]

    def draw(figure: Any) -> None:
        losses, distances, shares, *others = figure.subplots(1, 3 + bool(estimates))
        curve(losses, "generator_loss", "generator", BLUE)
        curve(losses, "critic_loss", "critic", VERMILION)
        losses.set_title("losses")
        for p, colour in ((1, BLUE), (2, VERMILION)):
            curve(distances, f"w{p}", f"$W_{p}$", colour)
            if f"w{p}_floor" in floor:
                distances.axhline(floor[f"w{p}_floor"], color=colour, linewidth=0.8, linestyle=":")
        distances.set_title("exact distance to held-out data\n(dotted: of real points)")
        distances.set_yscale("log")
        ticks = require("matplotlib.ticker", "a picture")
        distances.yaxis.set_major_locator(ticks.LogLocator(subs=(1, 2, 3, 5)))
        distances.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        distances.yaxis.set_minor_formatter(ticks.NullFormatter())
        for column, (name, colour) in SHARES.items():
            curve(shares, column, name, colour)
        shares.set(title="shares", ylim=(-0.03, 1.03))
        for ax in others:
            for column in estimates:
                curve(ax, column, ESTIMATES[column], PURPLE)
            if "w_estimate" in estimates:
                curve(ax, "w1", "$W_1$, exact", BLUE)
            ax.set_title("what the critic estimates")
        for ax in (losses, distances, shares, *others):
            ax.set_xlabel("step")
            if ax.get_legend_handles_labels()[0]:
                ax.legend()

    return _save(path, (2.8 * (3 + bool(estimates)), 2.6), draw)


def _draw_walk(walk: Array, data: Dataset, path: Path) -> Path:
    """Between two latent points in equal steps; below each image the training image nearest to it."""
    nearest = data.train[squared_distances(walk.astype(float), data.train.astype(float)).argmin(axis=1)]

    def draw(figure: Any) -> None:
        ax = figure.subplots()
        ax.imshow(_tiled(np.concatenate([walk, nearest]), data, len(walk)), cmap="gray", vmin=0, vmax=1)
        ax.set_title("from one latent point to another, and the nearest training images")
        ax.axis("off")

    return _save(path, (5, 1.4), draw)


def _save(path: Path, size: tuple[float, float], draw: Any) -> Path:
    matplotlib = require("matplotlib", "a picture")
    with matplotlib.rc_context(LOOK):
        figure = require("matplotlib.figure", "a picture").Figure(figsize=size, layout="constrained")
        draw(figure)
        figure.savefig(path, dpi=200)
    return path
