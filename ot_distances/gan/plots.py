"""Pictures of a run, written into its folder: what was generated, the curves, and a walk between latent points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .._arrays import require
from ..plotting import BLUE, GREEN, LOOK, PURPLE, VERMILION, plot_images, plot_log, plot_samples
from ..problem import Array
from .config import RunConfig
from .data import Dataset, load
from .samplers import squared_distances
from .trainer import CONFIG, SUMMARY, WALK, read_json, read_log

PANELS = 5  # moments of a run beside each other
IMAGES = 64  # in each of them
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
    "what the critic takes for $W_1$": {"w_estimate": ("estimate", PURPLE), "w1": ("exact", BLUE)},
    "what the critic takes for JS": {"js_estimate": ("estimate", PURPLE)},
}


def draw_run(out: str | Path) -> list[Path]:
    """Write samples.png and curves.png into the folder of a run, and walk.png if its data are images."""
    out, data = Path(out), _data_of(Path(out))
    files = sorted((out / "samples").glob("*.npy"))
    shown = [files[i] for i in np.unique(np.linspace(0, len(files) - 1, PANELS).astype(int))]
    panels = [(f"step {int(file.stem):,}", np.load(file)) for file in shown]
    written = [_draw_panels(panels, data, out / "samples.png")]
    if read_log(out):
        written.append(_draw_curves(out, out / "curves.png"))
    return [*written, _draw_walk(np.load(out / WALK), data, out / "walk.png")] if (out / WALK).is_file() else written


def draw_comparison(folders: Sequence[str | Path], path: Path) -> Path:
    """Write what several runs on the same data generate at their ends beside each other."""
    panels = []
    for folder in map(Path, folders):
        w1 = read_json(folder / SUMMARY)["w1"]
        panels.append((f"{folder.name}\n$W_1$ = {w1:.3g}", np.load(max((folder / "samples").glob("*.npy")))))
    return _draw_panels(panels, _data_of(Path(folders[0])), path)


def _data_of(out: Path) -> Dataset:
    config = RunConfig.from_dict(read_json(out / CONFIG))
    return load(config.data, shape=config.shape, size=config.size)


def _draw_panels(panels: Sequence[tuple[str, Array]], data: Dataset, path: Path) -> Path:
    held = data.held[: len(panels[0][1])]
    columns = min(PANELS, len(panels)) + 1
    rows = -(-(len(panels) + 1) // columns)

    def draw(figure: Any) -> None:
        axes = figure.subplots(rows, columns, squeeze=False).flat
        for ax in axes[len(panels) + 1 :]:
            ax.axis("off")
        for ax, (title, points) in zip(axes, [*panels, ("held-out data", held)]):
            ax.set_title(title)
            if data.shape is None:
                plot_samples(points, ax, beneath=None if points is held else held)
            else:
                plot_images(points[:IMAGES], ax, shape=data.shape, span=_span(data), columns=8)

    return _save(path, (1.7 * columns, (1.95 + 0.15 * panels[0][0].count("\n")) * rows), draw)


def _draw_curves(out: Path, path: Path) -> Path:
    rows, summary = read_log(out), read_json(out / SUMMARY)
    shown = {title: lines for title, lines in CURVES.items() if any(next(iter(lines)) in row for row in rows)}
    floors = {column: summary[f"{column}_floor"] for column in ("w1", "w2")}

    def draw(figure: Any) -> None:
        for ax, (title, lines) in zip(figure.subplots(1, len(shown)), shown.items()):
            distances = "w2" in lines
            plot_log(rows, lines, ax, floors=floors if distances else {})
            ax.set(title=title, yscale="log" if distances else "linear")

    return _save(path, (2.8 * len(shown), 2.6), draw)


def _draw_walk(walk: Array, data: Dataset, path: Path) -> Path:
    """Between two latent points in equal steps; below each image the training image nearest to it."""
    nearest = data.train[squared_distances(walk.astype(float), data.train.astype(float)).argmin(axis=1)]

    def draw(figure: Any) -> None:
        ax = figure.subplots()
        both = np.concatenate([walk, nearest])
        plot_images(both, ax, shape=data.shape or (1, 1, 1), span=_span(data), columns=len(walk))
        ax.set_title("from one latent point to another, and the nearest training images")

    return _save(path, (5, 1.4), draw)


def _span(data: Dataset) -> tuple[float, float]:
    return float(data.train.min()), float(data.train.max())


def _save(path: Path, size: tuple[float, float], draw: Callable[[Any], None]) -> Path:
    with require("matplotlib", "a picture").rc_context(LOOK):
        figure = require("matplotlib.figure", "a picture").Figure(figsize=size, layout="constrained")
        draw(figure)
        figure.savefig(path, dpi=200)
    return path
