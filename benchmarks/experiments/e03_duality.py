"""E3: the linear program and its dual, and when one potential is enough."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import ot_distances as ot
from benchmarks.texts import GROUND_COSTS, corner_slopes, distances, random_problems, reduced_dual, residuals

from .base import Claim, Criterion, Experiment, Part, Record, Results, Table, column

INSTANCES = 30
SIGNS = {"cityblock": "‖x − y‖₁", "euclidean": "‖x − y‖₂", "sqeuclidean": "‖x − y‖₂²"}
FACTORS = (0.5, 2.0, 5.0)


def run(seed: int) -> Record:
    """The largest residuals of random problems, as shares of the cost."""
    import ot as pot

    rng = np.random.default_rng(seed)
    found: Record = {}
    for name, ground in GROUND_COSTS.items():
        worst = np.zeros(4)
        for cost, a, b in random_problems(rng, ground, INSTANCES):
            primal = ot.lp_primal(cost, a, b).cost
            worst = np.maximum(worst, [*residuals(cost, a, b), abs(primal - pot.emd2(a, b, cost)) / primal])
        found[name] = dict(zip(("gap", "violation", "slackness", "oracle"), worst.tolist()))
    points = rng.random((12, 2))
    cost = GROUND_COSTS["euclidean"](points, points)
    p, q = rng.dirichlet(np.ones(12)), rng.dirichlet(np.ones(12))
    full = ot.solve_cost(cost, p, q).cost
    found["reduced"] = abs(reduced_dual(cost, p, q) / full - 1)
    found["scaled"] = max(abs(reduced_dual(cost, p, q, k) / full / k - 1) for k in FACTORS)
    square = distances(np.arange(3), np.arange(3)) ** 2
    start, end = np.array([1.0, 0, 0]), np.array([0, 0, 1.0])
    found["square"] = [ot.solve_cost(square, start, end).cost, reduced_dual(square, start, end)]
    found["slopes"] = list(corner_slopes())
    return found


def worst(*keys: Any) -> Any:
    return lambda results: max(column(results["e03/duality"], *keys))


def residual(name: str) -> Any:
    return lambda results: max(worst(ground, name)(results) for ground in SIGNS)


def tables(results: Results) -> Iterator[tuple[str, Table]]:
    rows = []
    for name, sign in SIGNS.items():
        values = (worst(name, key)(results) for key in ("gap", "violation", "slackness", "oracle"))
        rows.append([sign, *("≤ 1e-9" if number <= 1e-9 else f"{number:.1e}" for number in values)])
    head = ["cost", "primal − dual", "f + g − d", "slack on the plan", "primal − POT"]
    yield f"Largest residuals of {INSTANCES} random problems a seed, as shares of the cost", (head, rows)
    full, reduced = results["e03/duality"][0]["square"]
    yield (
        "All mass at 0 goes to 2, on {0, 1, 2} with the squared cost",
        (["max over f, g", "max with g = −f"], [[f"{full:g}", f"{reduced:g}"]]),
    )


def draw(results: Results, figure: Any) -> None:
    """Potentials on a line: one function for the distance, two for its square."""
    rng = np.random.default_rng(1)
    points = np.sort(rng.random(40))
    p, q = np.exp(-(((points - 0.3) / 0.12) ** 2)), np.exp(-(((points - 0.7) / 0.12) ** 2))
    p, q = p / p.sum(), q / q.sum()
    for ax, power, title in zip(figure.subplots(1, 2), (1, 2), ("|x − y|: g = −f", "|x − y|²: g ≠ −f")):
        found = ot.lp_dual(distances(points, points) ** power, p, q)
        f, g = found.f - found.f.mean(), found.g + found.f.mean()
        ax.plot(points, f, color="#0072B2", linewidth=2.5, label="f")
        ax.plot(points, -g, color="#D55E00", linestyle="--", label="−g")
        ax.set(title=title, xlabel="x")
        ax.legend()


EXPERIMENT = Experiment(
    name="e03-duality",
    title="Primal and dual",
    method=(
        f"{INSTANCES} random transport problems a seed for each of the three costs that the text names, through "
        "`lp_primal`, `lp_dual` and, as an oracle, POT. The dual with g = −f put in is a linear program of its own, on "
        "12 points of a square and on {0, 1, 2}; and its K-Lipschitz form for K = 0.5, 2 and 5."
    ),
    parts=(Part("e03/duality", run),),
    claims=(
        Claim(
            "Wasserstein to WGAN 2",
            "min ⟨Γ, D⟩ = max ⟨b, F⟩, with f(x) + g(y) ≤ d(x, y)",
            tuple(
                Criterion(f"{says}, all costs", residual(key), "<", 1e-9)
                for key, says in (
                    ("gap", "primal − dual"),
                    ("violation", "violation of f + g ≤ d"),
                    ("slackness", "slack where the plan moves mass"),
                    ("oracle", "difference to POT"),
                )
            ),
            "reproduced",
        ),
        Claim(
            "Wasserstein to WGAN 2",
            "the maximum needs g = −f",
            (
                Criterion("W less the reduced dual, a metric", worst("reduced"), "<", 1e-9),
                Criterion("W on {0, 1, 2}, squared cost", worst("square", 0), "=", 4),
                Criterion("its reduced dual", worst("square", 1), "=", 2),
            ),
            "only under these conditions",
            "−f in the place of g must stay feasible, which takes the triangle inequality. The squared distance has "
            "none: 0 → 1 → 2 costs 1 + 1 < 4.",
        ),
        Claim(
            "Slides eq. 11; notes 7.3; Wasserstein to WGAN 3",
            "K-Lipschitz critics report K·W",
            (Criterion("largest error of the ratio", worst("scaled"), "<", 1e-9),),
            "reproduced",
            "For the whole ball of K-Lipschitz functions. Clipped networks are another set: E11.",
        ),
        Claim(
            "Wasserstein to WGAN 3",
            "under the norm p, the p-norm of the gradient is at most K",
            (
                Criterion("steepest slope along an axis, L1 distance", worst("slopes", 0), "≤", 1 + 1e-12),
                Criterion(
                    "steepest slope by Euclidean length", lambda r: min(column(r["e03/duality"], "slopes", 1)), ">", 1.4
                ),
            ),
            "wrong",
            "The gradient is bounded in the dual norm, 1/p + 1/q = 1: for the L1 distance its greatest component is "
            "at most 1, its Euclidean length up to √2 in the plane.",
        ),
    ),
    tables=tables,
    figures={"Optimal potentials of two bumps on a line": (5.6, 2.3, draw)},
    cheap=True,
)
