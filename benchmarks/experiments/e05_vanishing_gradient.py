"""E5: what reaches the generator while the critic learns."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

import ot_distances as ot
from ot_distances import gan

from .base import Claim, Criterion, Experiment, Part, Record, Results, Table, column, spread

THETA, BATCH, WIDTH = 1.0, 128, 64
LOOKS = [50, 200, 500, 1000, 2000]
RATE = 1e-3
SLOPES = {
    "saturating": "saturating, log(1 − D)",
    "log_d": "−log D",
    "penalty": "critic with gradient penalty",
    "exact": "exact W₁",
}


def run(seed: int) -> Record:
    """Both critics see the same batches; the generator, θ, stays where it is."""
    import torch

    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    theta = torch.tensor(THETA, requires_grad=True)

    def batch() -> Any:
        x, y = torch.rand(2, BATCH, 1, generator=rng)
        return torch.cat([torch.zeros_like(x), x], 1), torch.cat([theta.expand_as(y), y], 1)

    def slope(loss: Any) -> float:
        return abs(float(torch.autograd.grad(loss, theta)[0]))

    classifier, lipschitz = gan.Vanilla(), gan.WGANGP()
    critics = [network() for _ in range(2)]
    optimizers = [torch.optim.Adam(critic.parameters(), RATE) for critic in critics]
    found: Record = {name: [] for name in ("js", "w", *SLOPES)}
    for step in range(1, LOOKS[-1] + 1):
        x, y = batch()
        for objective, critic, optimizer in zip((classifier, lipschitz), critics, optimizers):
            optimizer.zero_grad()
            objective.critic_loss(critic, x, y.detach(), None, rng).backward()
            optimizer.step()
        if step in LOOKS:
            x, y = batch()
            found["js"].append(classifier.estimate(critics[0], x, y)["js_estimate"])
            found["w"].append(lipschitz.estimate(critics[1], x, y)["w_estimate"])
            for name, saturating in (("saturating", True), ("log_d", False)):
                loss = gan.Vanilla(saturating=saturating).generator_loss(critics[0], x, y, None, rng)
                found[name].append(slope(loss))
            x, y = batch()
            found["penalty"].append(slope(lipschitz.generator_loss(critics[1], x, y, None, rng)))
            x, y = batch()
            found["exact"].append(slope(ot.wasserstein(x, y)))
    return {name: [float(f"{number:.5g}") for number in values] for name, values in found.items()}


def network() -> Any:
    from torch import nn

    return nn.Sequential(
        nn.Linear(2, WIDTH), nn.LeakyReLU(0.2), nn.Linear(WIDTH, WIDTH), nn.LeakyReLU(0.2), nn.Linear(WIDTH, 1)
    )


def at(name: str, k: int) -> Any:
    return lambda results: column(results["e05/critics"], name, LOOKS.index(k))


def every(name: str, start: int = 50) -> Any:
    """The values of all seeds at all looks from `start` on."""
    return lambda results: [number for k in LOOKS if k >= start for number in at(name, k)(results)]


def tables(results: Results) -> Iterator[tuple[str, Table]]:
    head = ["k", "JS estimate", *(f"dθ, {says}" for says in SLOPES.values())]
    rows = [
        [k, *(spread(at(name, k)(results), 2 if name in ("saturating", "log_d") else 3) for name in ("js", *SLOPES))]
        for k in LOOKS
    ]
    yield "Length of the gradient that reaches θ after k steps of the critic", (head, rows)


def draw(results: Results, figure: Any) -> None:
    slopes, estimate = figure.subplots(1, 2)
    looks = zip(SLOPES, ("#D55E00", "#CC79A7", "#009E73", "#0072B2"), "os^D")
    for name, colour, marker in looks:
        values = np.array([at(name, k)(results) for k in LOOKS])
        slopes.plot(LOOKS, np.median(values, 1), color=colour, marker=marker, markersize=4, label=SLOPES[name])
        slopes.fill_between(LOOKS, values.min(1), values.max(1), color=colour, alpha=0.2, linewidth=0)
    slopes.set(xscale="log", yscale="log", xlabel="steps of the critic", title="gradient that reaches the generator")
    slopes.legend(loc="lower left")
    values = np.array([at("js", k)(results) for k in LOOKS])
    estimate.plot(LOOKS, np.median(values, 1), color="#D55E00", marker="o", markersize=4)
    estimate.fill_between(LOOKS, values.min(1), values.max(1), color="#D55E00", alpha=0.2, linewidth=0)
    estimate.axhline(math.log(2), color="0.5", linestyle=":", label="log 2")
    estimate.set(xscale="log", xlabel="steps of the critic", title="its estimate of JS")
    estimate.legend(loc="lower right")


EXPERIMENT = Experiment(
    name="e05-vanishing-gradient",
    title="The vanishing gradient",
    method=(
        f"Two segments at θ = {THETA:g}, the generator fixed. A classifier and a critic with gradient penalty (two "
        f"hidden layers of {WIDTH}, Adam, batches of {BATCH}) learn for k steps; then the gradient of each "
        "generator's loss by θ is taken, and that of the exact W₁ between the same batches."
    ),
    parts=(Part("e05/critics", run),),
    claims=(
        Claim(
            "Primal WGAN 1; slides, problem 1; notes 7.1",
            "the better D is, the less gradient is left",
            (
                Criterion("saturating, k = 2,000", lambda r: max(at("saturating", 2000)(r)), "<", 1e-2),
                Criterion(
                    "its fall from k = 50",
                    lambda r: min(np.divide(at("saturating", 50)(r), at("saturating", 2000)(r))),
                    "≥",
                    100,
                ),
                Criterion("JS estimate / log 2, k = 2,000", lambda r: min(at("js", 2000)(r)) / math.log(2), "≥", 0.99),
            ),
            "reproduced",
        ),
        Claim(
            "Notes 3",
            "arg max log D(G) is equivalent to arg min log(1 − D(G))",
            (
                Criterion(
                    "ratio of their gradients, k = 2,000",
                    lambda r: min(np.divide(at("log_d", 2000)(r), at("saturating", 2000)(r))),
                    ">",
                    100,
                ),
            ),
            "wrong",
            "They share their fixed point, and nothing else: with a sure critic the one vanishes and the other grows.",
        ),
        Claim(
            "Primal WGAN 2; slides",
            "the gradient of the Wasserstein distance stays, also without overlap",
            (
                Criterion(
                    "exact W₁, distance from 1 at any k",
                    lambda r: max(abs(v - 1) for v in every("exact")(r)),
                    "≤",
                    0.01,
                ),
            ),
            "reproduced",
        ),
        Claim(
            "Primal WGAN 2.2; notes 7.3",
            "a Lipschitz critic has that gradient",
            (
                Criterion("critic with penalty, k = 50, least", lambda r: min(at("penalty", 50)(r)), "<", 0.8),
                Criterion("the same, k ≥ 500, least", lambda r: min(every("penalty", 500)(r)), "≥", 0.8),
                Criterion("the same, k ≥ 500, greatest", lambda r: max(every("penalty", 500)(r)), "≤", 1.25),
            ),
            "only under these conditions",
            "Once it is trained. Early on it has any gradient: see its range in the first rows, where the limits "
            "were to hold at first. The penalty draws the slope near 1, on either side of it: its estimate of W is "
            "no bound.",
        ),
    ),
    tables=tables,
    figures={"Gradients and the estimate of JS against the steps of the critic (bands: all seeds)": (6.4, 2.7, draw)},
    cheap=True,
)
