"""The picture of README.md, light and dark: `make figures`."""

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


def draw(path: Path) -> None:
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


if __name__ == "__main__":
    for name, style in PAPERS.items():
        with plt.style.context(style):
            draw(HERE / f"overview-{name}.png")
