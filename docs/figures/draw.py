"""The picture of README.md and the gallery of docs/how-to/pictures.md, light and dark: `make figures`."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import ot_distances as ot
from ot_distances import plotting

HERE = Path(__file__).parent
PAPERS = {"light": "default", "dark": "dark_background"}


def clouds(n: int = 110) -> tuple[np.ndarray, np.ndarray]:
    """A cloud, and a ring around it."""
    rng = np.random.default_rng(4)
    angle = 2 * np.pi * (np.arange(n) + 0.5) / n
    ring = 2 * np.column_stack([np.cos(angle), np.sin(angle)]) + rng.normal(0, 0.06, (n, 2))
    return rng.normal([-0.5, 0.3], 0.45, (n, 2)), ring


def overview(path: Path) -> None:
    shift = ot.theta_shift(np.linspace(-2, 2, 41), n=64)
    plan = ot.solve(*clouds(), p=2)
    line = np.random.default_rng(0)
    two = np.concatenate([line.normal(-2.5, 0.4, 900), line.normal(2.5, 0.6, 1100)])
    moving = ot.solve(line.normal(0, 0.8, 2000), two, p=2)
    figure = plt.figure(figsize=(10.2, 3.1), layout="constrained")
    with plt.rc_context(plotting.LOOK):
        left, middle, right = figure.subplots(1, 3)
        shift.plot(ax=left)
        left.set_title(r"two segments at distance $\theta$: only $W_1$ tells near from far")
        plan.plot(ax=middle)
        middle.set_title(rf"the optimal plan: $W_2$ = {plan.value:.6g}, proven to a gap of {plan.gap:.0e}")
        plotting.plot_displacement(moving, ax=right)
        right.set_title("mass on its way, at every time")
    figure.savefig(path, dpi=160, transparent=True)
    plt.close(figure)


def gallery(path: Path) -> None:
    """One of each picture of a plan."""
    rng = np.random.default_rng(1)
    plane = ot.solve(*clouds(60), p=2)
    near = ot.solve(*clouds(200), p=1)
    line = ot.solve(rng.normal(0, 1, 300), np.concatenate([rng.normal(-3, 0.4, 150), rng.normal(3, 0.5, 150)]), p=2)
    few = ot.solve(rng.normal(0, 1, 20), rng.normal(2, 1.5, 20), p=2)
    around = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    measures = [rng.normal(0, 1, (40, 2)) + 3 * np.array([np.cos(t), np.sin(t)]) for t in around]
    apart = ot.pairwise(measures, p=2)
    figure = plt.figure(figsize=(10.2, 9.6), layout="constrained")
    with plt.rc_context(plotting.LOOK):
        axes = figure.subplots(3, 3)
        plotting.plot_plan(plane, axes[0, 0])
        plotting.plot_plan(plane, axes[0, 1], kind="matrix")
        plotting.plot_plan(line, axes[0, 2])
        plotting.plot_potentials(few, axes[1, 0])
        plotting.plot_potentials(near, axes[1, 1])
        plotting.plot_displacement(line, axes[1, 2])
        plotting.plot_displacement(plane, axes[2, 0], times=(0, 0.5, 1))
        plotting.plot_bounds(closing(), axes[2, 1])
        plotting.plot_embedding(apart, axes[2, 2], groups=[f"side {1 + k // 3}" for k in range(12)])
    figure.savefig(path, dpi=120, transparent=True)
    plt.close(figure)


def closing(n: int = 4000) -> list[tuple[float, float, float]]:
    """Seconds and bounds of one problem, stopped again and again."""
    x, y = np.random.default_rng(2).normal(size=(2, n, 2))
    ot.solve(x[:1000], y[:1000], p=2)  # compiles
    record = []
    for limit in (0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.2, 1.6, 2.4, 3.2, None):
        try:
            done = ot.solve(x, y + 1, p=2, time_limit=limit)
        except ot.NotConverged as stopped:
            record.append((limit, stopped.lower, stopped.upper))
        else:
            return [*record, (done.seconds, done.lower, done.upper)]
    return record


if __name__ == "__main__":
    for name, style in PAPERS.items():
        with plt.style.context(style):
            overview(HERE / f"overview-{name}.png")
            gallery(HERE / f"gallery-{name}.png")
