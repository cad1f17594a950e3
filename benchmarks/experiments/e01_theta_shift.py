"""E1: two segments at distance theta, seen by KL, JS, TV and W_1."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

import ot_distances as ot

from .base import Claim, Criterion, Experiment, Part, Record, Results, Table, column, spread

THETAS = [0.0, 0.1, 0.5, 1.0, 2.0]
POINTS = 1000
STEPS = [0.1, 0.01, 0.001, 1e-6]  # towards θ = 0


def run(seed: int) -> Record:
    import torch

    rng = np.random.default_rng(seed)
    exact = ot.theta_shift(THETAS, n=128)
    sampled, slopes = [], []
    for theta in THETAS:
        x, y = (np.column_stack([np.zeros(POINTS), rng.random(POINTS)]) for _ in range(2))
        sampled.append(ot.wasserstein(x, y + np.array([theta, 0.0])))
        if theta:
            moved = torch.tensor(theta, dtype=torch.float64, requires_grad=True)
            heights = torch.from_numpy(
                x[:, 1]
            )  # one grid of heights on both sides: the points are matched straight across
            apart = ot.wasserstein(torch.from_numpy(x), torch.stack([torch.zeros_like(heights) + moved, heights], 1))
            apart.backward()
            slopes.append(abs(float(moved.grad) - 1))
    near, gaussian = ot.theta_shift(STEPS, n=128), ot.theta_shift([0.5, 1.0, 2.0], family="gaussian", n=128)
    return {
        "sampled": sampled,
        "sampling_error": max(abs(w - theta) for w, theta in zip(sampled, THETAS)),
        "grid_error": float(np.abs(exact.w1_sampled - exact.theta).max()),
        "slope_error": max(slopes),
        "kl_finite": int(np.isfinite(exact.kl[1:]).sum()),
        "js_error": float(np.abs(exact.js[1:] - math.log(2)).max()),
        "at_zero": float(max(exact.kl[0], exact.js[0], exact.w1[0])),
        "w_near_zero": float(near.w1[-1]),
        "js_near_zero": float(near.js[-1]),
        "js_rise_gaussian": float(np.diff(gaussian.js).min()),
    }


def value(name: str) -> Any:
    return lambda results: max(column(results["e01/shift"], name))


def tables(results: Results) -> Iterator[tuple[str, Table]]:
    exact = ot.theta_shift(THETAS, n=128)
    rows = []
    for k, theta in enumerate(THETAS):
        row = [exact.kl[k], exact.js[k], exact.tv[k], exact.w1[k]]
        sampled = spread(column(results["e01/shift"], "sampled", k), 4)
        rows.append([f"{theta:g}", *(f"{number:.6g}" for number in row), sampled])
    yield (
        f"Exact values, and W₁ between {POINTS} random points a side",
        (["θ", "KL", "JS", "TV", "W₁", "W₁, from points"], rows),
    )


def draw(results: Results, figure: Any) -> None:
    """The two laws, and what four divergences say of them."""
    laws, curves = figure.subplots(1, 2, width_ratios=[1, 1.5])
    for x, name in ((0.0, "$P_r$: (0, Z)"), (0.6, r"$P_g$: ($\theta$, Z)")):
        laws.plot([x, x], [0, 1], color="#0072B2" if x == 0 else "#D55E00", linewidth=3)
        laws.annotate(name, (x, 1.06), ha="center")
    laws.annotate("", (0.57, 0.5), (0.03, 0.5), arrowprops={"arrowstyle": "->", "color": "0.4"})
    laws.annotate(r"$\theta$", (0.3, 0.53), ha="center", color="0.3")
    laws.set(xlim=(-0.35, 0.95), ylim=(-0.05, 1.2), xlabel="$x_1$", ylabel="$x_2$", title="Z ~ U[0, 1]")
    ot.theta_shift(np.linspace(-1, 1, 41), n=64).plot(curves)
    curves.set_xticks([-1, -0.5, 0, 0.5, 1])


EXPERIMENT = Experiment(
    name="e01-theta-shift",
    title="Two segments at distance θ",
    method=(
        "P is uniform on {0} × [0, 1], Q on {θ} × [0, 1]. KL, JS, TV and W₁ by `theta_shift` in closed form and on a "
        f"shared grid, W₁ also between {POINTS} random points a side, and dW₁/dθ by torch's automatic differentiation "
        "through `wasserstein`. For comparison two unit Gaussians at distance θ, whose supports overlap."
    ),
    parts=(Part("e01/shift", run),),
    claims=(
        Claim(
            "Primal WGAN 2.1; slides; notes 7.1; Wasserstein to WGAN 1",
            "KL is +∞ for θ ≠ 0 and 0 for θ = 0; JS is log 2 and 0",
            (
                Criterion("finite KL at θ ≠ 0", value("kl_finite"), "=", 0),
                Criterion("error of JS at θ ≠ 0", value("js_error"), "≤", 1e-15),
                Criterion("KL, JS and W₁ at θ = 0", value("at_zero"), "=", 0),
            ),
            "reproduced",
        ),
        Claim(
            "Notes 7.2; Wasserstein to WGAN 1",
            "W₁ = |θ|",
            (
                Criterion("error on a shared grid", value("grid_error"), "≤", 1e-12),
                Criterion(f"error from {POINTS} points a side", value("sampling_error"), "<", 0.1),
            ),
            "reproduced",
        ),
        Claim(
            "Primal WGAN 2.1; Wasserstein to WGAN 1",
            "W₁ = θ is smooth, with a derivative everywhere",
            (
                Criterion("error of dW₁/dθ = 1 for θ > 0", value("slope_error"), "≤", 1e-6),
                Criterion("W₁ at θ = 10⁻⁶", value("w_near_zero"), "≤", 1.0001e-6),
            ),
            "only under these conditions",
            "W₁ = |θ| is continuous, and has the slope ±1 wherever θ ≠ 0; at 0 it has a kink and no derivative.",
        ),
        Claim(
            "Primal WGAN 2.1",
            "KL and JS are not continuous in θ",
            (Criterion("log 2 − JS at θ = 10⁻⁶", lambda r: math.log(2) - value("js_near_zero")(r), "≤", 1e-15),),
            "reproduced",
        ),
        Claim(
            "Primal WGAN 1; notes 7.1",
            "JS gives no gradient to laws that are far apart",
            (
                Criterion(
                    "least rise of JS from θ = 0.5 to 1 to 2, Gaussians",
                    lambda r: min(column(r["e01/shift"], "js_rise_gaussian")),
                    ">",
                    0.05,
                ),
            ),
            "only under these conditions",
            "It is constant only where the supports are disjoint. Between Gaussians at the same distances JS rises "
            "with θ.",
        ),
    ),
    tables=tables,
    figures={"The two laws, and KL, JS, TV and W₁ against θ": (6.4, 2.6, draw)},
    cheap=True,
)
