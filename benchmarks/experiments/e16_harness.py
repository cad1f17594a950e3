"""E16: what the comparison of objectives rests on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import numpy as np

from ot_distances import gan

from .base import Claim, Criterion, Experiment, Part, Record, Results, Table, column

STEPS = 6
OBJECTIVES = ("primal", "sliced", "semi_dual", "wgan", "wgan_gp", "vanilla")


@dataclass(frozen=True)
class Watched(gan.WGAN):
    """A WGAN that counts the steps of its critic, and the weights beyond the clip at the start of each."""

    seen: ClassVar[list[float]] = []

    def critic_loss(self, critic: Any, *batch: Any) -> Any:
        self.seen.append(max(float(weight.detach().abs().max()) for weight in critic.parameters()))
        return super().critic_loss(critic, *batch)


def run(seed: int) -> Record:
    small = {"data": "segment", "width": 16, "depth": 1, "eval_points": 50, "seed": seed}
    with TemporaryDirectory() as folder:
        out = Path(folder)
        straight, resumed = gan.RunConfig(**small, eval_every=STEPS), gan.RunConfig(**small, eval_every=STEPS)
        gan.train(straight, out / "straight", steps=STEPS)
        gan.train(resumed, out / "resumed", steps=STEPS // 2)
        gan.resume(out / "resumed", more=STEPS - STEPS // 2)
        weights = [list(gan.restore(out / name).generator.parameters()) for name in ("straight", "resumed")]
        Watched.seen.clear()
        gan.Trainer(gan.RunConfig(**small, objective=Watched(clip=0.01, n_critic=3)), out / "watched").run(STEPS)
        return {
            "resumed": sum(not bool((a == b).all()) for a, b in zip(*weights)),
            "streams": len(
                {stream(gan.RunConfig(**small, objective=gan.objective_of(name)), out / name) for name in OBJECTIVES}
            ),
            "critic_steps": len(Watched.seen) / STEPS,
            "beyond_clip": float(np.float32(max(Watched.seen[1:])) - np.float32(0.01)),
            "penalty": penalty_of_images(seed),
            "gradient": primal_gradient(seed),
        }


def stream(config: gan.RunConfig, out: Path) -> bytes:
    """The first weights of the generator and the first batches, as bytes."""
    trainer = gan.Trainer(config, out)
    parts = [parameter.detach() for parameter in trainer.generator.parameters()]
    for _ in range(3):
        x, _, z = trainer.draw()
        parts += [x, z]
    return b"".join(part.numpy().tobytes() for part in parts)


def penalty_of_images(seed: int) -> float:
    """The penalty on B x C x H x W against the one that the norms of the flattened gradients give."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    critic = nn.Sequential(nn.Conv2d(3, 4, 3), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(4 * 36, 1))
    x, y = torch.randn(2, 5, 3, 8, 8)

    def rng() -> Any:
        return torch.Generator().manual_seed(seed)

    flat = nn.Sequential(nn.Unflatten(1, (3, 8, 8)), critic)
    objective = gan.WGANGP(penalty=10.0)
    whole = objective.critic_loss(critic, x, y, None, rng())
    rows = objective.critic_loss(flat, x.flatten(1), y.flatten(1), None, rng())
    return abs(float((whole - rows).detach()))


def primal_gradient(seed: int) -> float:
    """The gradient of the primal loss against central differences, the largest difference."""
    import torch

    x, y = torch.randn(2, 12, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    y.requires_grad_()
    rng, worst, step = torch.Generator(), 0.0, 1e-6
    for p in (1, 2):
        objective = gan.Primal(p=p)

        def loss(points: Any, objective: Any = objective) -> Any:
            return objective.generator_loss(None, x, points, None, rng)

        (gradient,) = torch.autograd.grad(loss(y), y)
        for i, j in np.ndindex(*y.shape):
            move = torch.zeros_like(y)
            move[i, j] = step
            with torch.no_grad():
                slope = (loss(y + move) - loss(y - move)) / (2 * step)
            worst = max(worst, abs(float(slope - gradient[i, j])))
    return worst


def value(name: str) -> Any:
    return lambda results: max(column(results["e16/harness"], name))


CRITERIA = (
    Criterion("weights that a resumed run has otherwise", value("resumed"), "=", 0),
    Criterion(f"different first weights and batches among {len(OBJECTIVES)} objectives", value("streams"), "=", 1),
    Criterion("steps of the critic for each of the generator, n_critic = 3", value("critic_steps"), "=", 3),
    Criterion("largest weight less the clip, after each step", value("beyond_clip"), "≤", 0),
    Criterion("penalty on images less that on flat rows", value("penalty"), "≤", 1e-5),
    Criterion("primal gradient less finite differences", value("gradient"), "≤", 1e-5),
)


def tables(results: Results) -> Iterator[tuple[str, Table]]:
    rows = [[one.says, f"{one.value(results):.2g}"] for one in CRITERIA]
    yield "The worst of the seeds", (["what", "value"], rows)


EXPERIMENT = Experiment(
    name="e16-harness",
    title="What the comparisons rest on",
    method=(
        "Small runs of the harness: a run resumed half-way against one that was not, the first weights and batches "
        "of all objectives with one seed, a WGAN whose critic is counted and measured at each of its steps, the "
        "gradient penalty on images, and the gradient of the primal loss against central differences."
    ),
    parts=(Part("e16/harness", run),),
    claims=(
        Claim("Slides 2", "the same network, only the objective changed", CRITERIA[:2], "reproduced"),
        Claim(
            "Slides, Wasserstein to WGAN 3: Algorithm 1",
            "n_critic steps of the critic, each followed by clipping",
            CRITERIA[2:4],
            "reproduced",
            "“for t = 0, …, n_critic” would be one more; the harness makes exactly n_critic.",
        ),
        Claim("Notes 7.3", "the penalty is on the norm of the whole gradient", CRITERIA[4:5], "reproduced"),
        Claim("Primal WGAN 3", "the optimal matching gives the gradient", CRITERIA[5:], "reproduced"),
    ),
    tables=tables,
    cheap=True,
)
