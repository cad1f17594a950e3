"""E4: the loss of the GAN at its best critic is the Jensen-Shannon divergence."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

import ot_distances as ot
from benchmarks.texts import best_critic, gan_loss

from .base import Claim, Criterion, Experiment, Part, Record, Results, Table, column, spread

PAIRS, ATOMS, SHOWN = 300, 8, 40
STEPS, RATE = 20_000, 0.5  # of gradient ascent on a table of D


def run(seed: int) -> Record:
    rng = np.random.default_rng(seed)
    residual, least_drop, pairs = 0.0, math.inf, []
    for _ in range(PAIRS):
        p, q = rng.dirichlet(np.full(ATOMS, 0.5)), rng.dirichlet(np.full(ATOMS, 0.5))
        critic, js = best_critic(p, q), ot.js_divergence(p, q)
        loss = gan_loss(p, q, critic)
        residual = max(residual, abs(loss - (2 * js - 2 * math.log(2))))
        moved = np.clip(critic + 0.01 * rng.choice([-1, 1], ATOMS), 1e-9, 1 - 1e-9)
        least_drop = min(least_drop, loss - gan_loss(p, q, moved))
        pairs.append([js, loss])
    p, q = rng.dirichlet(np.full(ATOMS, 2.0)), rng.dirichlet(np.full(ATOMS, 2.0))
    return {
        "residual": residual,
        "least_drop": least_drop,
        "pairs": np.round(pairs[:SHOWN], 4).tolist() if seed == 0 else [],
        "learnt": float(np.abs(learnt_critic(p, q) - best_critic(p, q)).max()),
        "at_equality": gan_loss(p, p, np.full(ATOMS, 0.5)),
        "base_ten": base_ten(p, q),
    }


def learnt_critic(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """A table of logits by gradient ascent on E log D(x) + E log(1 − D(y))."""
    logits = np.zeros(ATOMS)
    for _ in range(STEPS):
        critic = 1 / (1 + np.exp(-logits))
        logits += RATE / (p + q) * (p * (1 - critic) - q * critic)
    return 1 / (1 + np.exp(-logits))


def base_ten(p: np.ndarray, q: np.ndarray) -> float:
    """How far the best critic of the loss in base 10 lies from that of natural logarithms, on a fine grid of D."""
    grid = np.linspace(1e-3, 1 - 1e-3, 999)
    argmax = [[(p[k] * log(grid) + q[k] * log(1 - grid)).argmax() for k in range(len(p))] for log in (np.log, np.log10)]
    return float(np.abs(np.subtract(*argmax)).max())


def value(name: str) -> Any:
    return lambda results: max(column(results["e04/critic"], name))


def tables(results: Results) -> Iterator[tuple[str, Table]]:
    found = results["e04/critic"]
    rows = [
        ["|L(G, D*) − (2 JS − 2 log 2)|", "≤ 1e-12" if value("residual")(results) <= 1e-12 else "> 1e-12"],
        ["least loss of L from moving D* by 0.01", spread(column(found, "least_drop"), 2)],
        ["L at p = q (−2 log 2 = −1.386294)", f"{found[0]['at_equality']:.6f}"],
        [f"distance of D from D* after {STEPS:,} steps on a table of D", spread(column(found, "learnt"), 2)],
    ]
    yield f"{PAIRS} random pairs of laws on {ATOMS} atoms a seed", (["what", "value"], rows)


def draw(results: Results, figure: Any) -> None:
    """Why D* = A / (A + B), and the line on which L lies."""
    curves, line = figure.subplots(1, 2)
    grid = np.linspace(0.005, 0.995, 300)
    for a, b, colour in ((0.5, 0.5, "#0072B2"), (0.7, 0.3, "#D55E00"), (0.2, 0.8, "#009E73")):
        curves.plot(grid, a * np.log(grid) + b * np.log(1 - grid), color=colour, label=f"A = {a}, B = {b}")
        top = a / (a + b)
        curves.plot(top, a * math.log(top) + b * math.log(1 - top), "o", color=colour)
    curves.set(ylim=(-2.2, -0.3), xlabel="D", title="A log D + B log(1 − D); dots: A / (A + B)")
    curves.legend(loc="lower center")
    line.plot(
        *np.transpose(results["e04/critic"][0]["pairs"]), "o", markersize=3, color="#D55E00", label="random pairs"
    )
    ends = np.array([0, math.log(2)])
    line.plot(ends, 2 * ends - 2 * math.log(2), color="#0072B2", zorder=0, label="2 JS − 2 log 2")
    line.set(xlabel="JS(p, q)", ylabel="L(G, D*)", title="the loss at the best critic")
    line.legend()


EXPERIMENT = Experiment(
    name="e04-best-critic",
    title="The GAN loss at its best critic",
    method=(
        f"{PAIRS} random pairs of laws on {ATOMS} atoms a seed: L(G, D*) against `js_divergence`, D* moved by 0.01 at "
        f"every atom, a table of D trained by {STEPS:,} steps of gradient ascent (2,000 at first, which were too few "
        "for its criterion), and the maximum in base 10."
    ),
    parts=(Part("e04/critic", run),),
    claims=(
        Claim(
            "Primal WGAN 1; slides eq. 1; notes 5.2",
            "L(G, D*) = 2 JS − 2 log 2",
            (Criterion("difference of the two sides", value("residual"), "≤", 1e-12),),
            "reproduced",
        ),
        Claim(
            "Primal WGAN 1; notes 5.1",
            "D* = p / (p + q) is the maximum",
            (
                Criterion(
                    "least drop of L from moving D*", lambda r: min(column(r["e04/critic"], "least_drop")), ">", 0
                ),
                Criterion("distance of a trained D from D*", value("learnt"), "<", 1e-6),
            ),
            "reproduced",
        ),
        Claim(
            "Notes 5.3",
            "at the Nash point p = q, D* = ½ and L = −2 log 2",
            (Criterion("|L + 2 log 2|", lambda r: abs(value("at_equality")(r) + 2 * math.log(2)), "≤", 1e-15),),
            "reproduced",
        ),
        Claim(
            "Notes 5.1",
            "derivatives with 1/ln 10 beside constants with log 2",
            (Criterion("cells between the maxima in base e and base 10", value("base_ten"), "=", 0),),
            "only under these conditions",
            "D* is the same in every base; the constants are log 2 with natural logarithms only.",
        ),
    ),
    tables=tables,
    figures={"Where the maximum lies, and L(G, D*) against JS": (6.2, 2.5, draw)},
    cheap=True,
)
