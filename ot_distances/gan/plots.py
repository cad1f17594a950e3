"""Pictures of a run from its folder: what was generated, the curves, and a walk between two latent points."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
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
# Panels of curves: title -> column of the log -> its name and colour.
CURVES = {
    "losses": {"generator_loss": ("generator", BLUE), "critic_loss": ("critic", VERMILION)},
    "exact distance to held-out data\n(dotted: of real points)": {"w1": ("$W_1$", BLUE), "w2": ("$W_2$", VERMILION)},
    "shares": {
        "high_quality": ("high quality", BLUE),
        "precision": ("precision", VERMILION),
        "recall": ("recall", GREEN),
        "entropy": ("entropy of modes", PURPLE),
    },
    "the critic's estimate of $W_1$": {"w_estimate": ("estimate", PURPLE), "w1": ("exact", BLUE)},
    "the critic's estimate of JS": {"js_estimate": ("estimate", PURPLE)},
}


def draw_run(out: str | Path) -> list[Path]:
    """Write samples.png and curves.png into the folder of a run, and walk.png if its data are images."""
    out, data = Path(out), _data_of(Path(out))
    files = sorted((out / "samples").glob("*.npy"))
    shown = [files[i] for i in np.unique(np.linspace(0, len(files) - 1, PANELS).astype(int))]
    panels = [(f"step {int(file.stem):,}", np.load(file)) for file in shown]
    written = [_draw_panels(panels, data, out / "samples.png"), _draw_curves(out, out / "curves.png")]
    if (out / WALK).is_file():
        written.append(_draw_walk(np.load(out / WALK), data, out / "walk.png"))
    return written


def draw_comparison(folders: Sequence[str | Path], path: Path) -> Path:
    """Write what several runs on the same data generate at their ends beside each other."""
    panels = []
    for folder in map(Path, folders):
        w1 = json.loads((folder / SUMMARY).read_text("utf-8"))["w1"]
        panels.append((f"{folder.name}\n$W_1$ = {w1:.3g}", np.load(max((folder / "samples").glob("*.npy")))))
    return _draw_panels(panels, _data_of(Path(folders[0])), path)


def _data_of(out: Path) -> Dataset:
    config = RunConfig.from_dict(json.loads((out / CONFIG).read_text("utf-8")))
    return load(config.data, shape=config.shape, size=config.size)


def _draw_panels(panels: Sequence[tuple[str, Array]], data: Dataset, path: Path) -> Path:
    held = data.held[: len(panels[0][1])]
    panels = [*panels, ("held-out data", held)]
    columns = min(PANELS + 1, len(panels))
    rows = -(-len(panels) // columns)

    def draw(figure: Any) -> None:
        axes = figure.subplots(rows, columns, squeeze=False).flat
        for ax in axes:
            ax.axis("off")
        for ax, (title, points) in zip(axes, panels):
            ax.set_title(title)
            if data.shape is None:
                _draw_points(ax, points, held)
            else:
                ax.imshow(_tiled(points, data), cmap="gray", vmin=0, vmax=1)

    return _save(path, (1.7 * columns, (1.95 + 0.15 * panels[0][0].count("\n")) * rows), draw)


def _draw_points(ax: Any, points: Array, held: Array) -> None:
    """In one frame for all panels: the held-out points grey, the generated ones over them."""
    below, above = (np.hstack([side, np.zeros((len(side), 1))])[:, :2] for side in (held, points))  # a line lies flat
    centre, reach = (below.max(0) + below.min(0)) / 2, 0.65 * float(np.ptp(below, axis=0).max()) or 1.0
    for side, colour in ((below, GREY), (above, BLUE))[: 1 + (points is not held)]:
        ax.scatter(*side.T, s=3, color=colour, alpha=0.5, linewidths=0)
    ax.axis("on")
    ax.set(xlim=centre[0] + np.array([-reach, reach]), ylim=centre[1] + np.array([-reach, reach]), aspect="equal")
    ax.set(xticks=[], yticks=[])


def _tiled(points: Array, data: Dataset, columns: int = SIDE) -> Array:
    """Flat images as one image of `columns` in a row, (H, W, channels), values in [0, 1], with gaps between."""
    low, high = float(data.train.min()), float(data.train.max())
    images = np.clip((points.reshape(-1, *data.shape) - low) / (high - low), 0, 1).transpose(0, 2, 3, 1)  # type: ignore[misc]
    images = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=0.5)
    rows = max(1, min(SIDE, len(images) // columns))
    height, width, channels = images.shape[1:]
    grid = images[: rows * columns].reshape(rows, -1, height, width, channels)
    return grid.swapaxes(1, 2).reshape(rows * height, -1, channels)


def _draw_curves(out: Path, path: Path) -> Path:
    rows = read_log(out)
    floor = json.loads((out / SUMMARY).read_text("utf-8")) if (out / SUMMARY).is_file() else {}
    shown = {title: lines for title, lines in CURVES.items() if any(next(iter(lines)) in row for row in rows)}

    def draw(figure: Any) -> None:
        for ax, (title, lines) in zip(figure.subplots(1, len(shown), squeeze=False).flat, shown.items()):
            for column, (name, colour) in lines.items():
                drawn = [(row["step"], row[column]) for row in rows if column in row]
                ax.plot(*np.array(drawn).reshape(-1, 2).T, color=colour, linewidth=1, label=name if drawn else None)
                if f"{column}_floor" in floor and "w2" in lines:
                    ax.axhline(floor[f"{column}_floor"], color=colour, linewidth=0.8, linestyle=":")
            ax.set(title=title, xlabel="step", yscale="log" if "w2" in lines else "linear")
            ax.legend()

    return _save(path, (2.8 * len(shown), 2.6), draw)


def _draw_walk(walk: Array, data: Dataset, path: Path) -> Path:
    """Between two latent points in equal steps; below each image the training image nearest to it."""
    nearest = data.train[squared_distances(walk.astype(float), data.train.astype(float)).argmin(axis=1)]

    def draw(figure: Any) -> None:
        ax = figure.subplots()
        ax.imshow(_tiled(np.concatenate([walk, nearest]), data, len(walk)), cmap="gray", vmin=0, vmax=1)
        ax.set_title("from one latent point to another, and the nearest training images")
        ax.axis("off")

    return _save(path, (5, 1.4), draw)


def _save(path: Path, size: tuple[float, float], draw: Callable[[Any], None]) -> Path:
    with require("matplotlib", "a picture").rc_context(LOOK):
        figure = require("matplotlib.figure", "a picture").Figure(figsize=size, layout="constrained")
        draw(figure)
        figure.savefig(path, dpi=200)
    return path
