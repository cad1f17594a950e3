"""E15: what a training step takes, on the CPU and on a GPU."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import ot_distances as ot
from ot_distances import gan

from .base import Array, Claim, Criterion, Experiment, Part, Record, Results, Table, column, spread

BATCHES, STEPS, ROUNDS = (64, 256, 1024), 50, 3
SIZES = (64, 256, 1024)
GEOMETRIES = ("uniform, d = 64", "clusters in the plane", "collapsed start")


def have_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def steps(seed: int, *, device: str) -> Record:
    """Seconds a step of the GAN and of the primal objective, the data resident on the device: the best round."""
    found: Record = {}
    for name in ("vanilla", "primal"):
        for m in BATCHES:
            with TemporaryDirectory() as folder:
                config = gan.RunConfig(
                    data="digits", objective=gan.objective_of(name), batch=m, device=device, seed=seed, eval_points=10,
                    log_every=10**6, eval_every=10**6, save_every=10**6,
                )  # fmt: skip
                trainer = gan.Trainer(config, Path(folder))
                trainer.run(STEPS)
                found[f"{name}, {m}"] = min(timed(trainer) for _ in range(ROUNDS))
    return found


def timed(trainer: gan.Trainer) -> float:
    """Seconds a step: what log and summary take at the end of a run, however short, is taken off."""
    marks = []
    for until in (trainer.step, trainer.step + STEPS):
        began = time.perf_counter()
        trainer.run(until)
        marks.append(time.perf_counter() - began)
    return (marks[1] - marks[0]) / STEPS


def matching(seed: int) -> Record:
    """Processor seconds of `linear_assignment` by size and by where the points lie."""
    rng = np.random.default_rng(seed)
    ot.linear_assignment(rng.random((SIZES[0], SIZES[0])))
    found = {}
    for geometry in GEOMETRIES:
        for n in SIZES:
            cost = costs(rng, geometry, n)
            began = time.process_time()
            ot.linear_assignment(cost)
            found[f"{geometry}, {n}"] = float(f"{time.process_time() - began:.3g}")
    return found


def costs(rng: np.random.Generator, geometry: str, n: int) -> Array:
    from scipy.spatial.distance import cdist

    if geometry == GEOMETRIES[0]:
        return cdist(rng.random((n, 64)), rng.random((n, 64)))
    angles = 2 * np.pi * rng.integers(8, size=n) / 8
    real = 2 * np.stack([np.cos(angles), np.sin(angles)], 1) + 0.05 * rng.normal(size=(n, 2))
    fake = real[rng.permutation(n)] + 0.3 * rng.normal(size=(n, 2))
    return cdist(real, fake if geometry == GEOMETRIES[1] else 1e-3 * rng.normal(size=(n, 2)))


CPU = Part("device/matching on the CPU", matching)
GPU = Part("device/steps on a GPU", partial(steps, device="cuda"), quick=0, ready=have_gpu)
HOST = Part("device/steps on the CPU beside it", partial(steps, device="cpu"), quick=0, ready=have_gpu)


def ratio(name: str, m: int) -> Any:
    """Seconds a step on the GPU, in those of the CPU of the same machine."""

    def of(results: Results) -> list[float]:
        gpu, cpu = (column(results[part.name], f"{name}, {m}") for part in (GPU, HOST))
        return [a / b for a, b in zip(gpu, cpu)]

    return of


def tables(results: Results) -> Iterator[tuple[str, Table]]:
    rows = []
    for geometry in GEOMETRIES:
        times = (column(results[CPU.name], f"{geometry}, {n}") for n in SIZES)
        rows.append([geometry, *(spread([1e3 * value for value in seconds], 2) for seconds in times)])
    yield "Milliseconds of one matching on a CPU thread", (["costs", *(f"n = {n}" for n in SIZES)], rows)
    rows = [[name, m, spread(ratio(name, m)(results), 2)] for name in ("vanilla", "primal") for m in BATCHES]
    yield "A training step on the GPU, in units of one on the CPU", (["objective", "m", "ratio"], rows)


EXPERIMENT = Experiment(
    name="e15-device",
    title="Where the time goes, CPU and GPU",
    method=(
        "`linear_assignment` on costs of three kinds: uniform points in 64 dimensions, clusters in the plane, and "
        "the start of a training run, where all generated points lie in one place. With a GPU at hand also a "
        "training step there and on the CPU of the same machine, the data resident on the device."
    ),
    parts=(CPU, GPU, HOST),
    claims=(
        Claim(
            "Slides 3",
            "on a GPU the program ran slower than at home: its input pipeline",
            (
                Criterion(
                    "step on the GPU / on the CPU, GAN, m = 1,024, greatest",
                    lambda r: max(ratio("vanilla", 1024)(r)),
                    "<",
                    1,
                ),
            ),
            "only under these conditions",
            "With resident data and large batches the GPU is the faster one; small networks do not fill it.",
        ),
        Claim(
            "Primal WGAN 3",
            "the Hungarian algorithm is fast enough for each step",
            (
                Criterion(
                    "seconds of a matching of 64, any costs, greatest",
                    lambda r: max(v for g in GEOMETRIES for v in column(r[CPU.name], f"{g}, 64")),
                    "<",
                    0.005,
                ),
            ),
            "reproduced",
            "At the batch sizes of GANs. At n = 1,024 the costs decide: uniform ones flatter every solver.",
        ),
    ),
    tables=tables,
)
