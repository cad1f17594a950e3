"""E10: batches that repel each other, against batches that follow the data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import ot_distances as ot
from ot_distances import gan

from .base import Array, Claim, Criterion, Experiment, Part, Record, Results, Table, column, pack, spread, unpack

SHARES, CENTRES, SIGMA = (0.7, 0.2, 0.1), np.array([[0.0, 0.0], [4.0, 0.0], [2.0, 3.5]]), 0.5
POINTS, BATCH, BATCHES = 750, 30, 20  # a fifth of the points is held out
SAMPLERS = {"random": "random", "stratified": "stratified", "kdpp": "k-DPP"}


def run(seed: int) -> Record:
    rng = np.random.default_rng(seed)
    counts = np.round(np.multiply(SHARES, POINTS)).astype(int)
    points = np.repeat(CENTRES, counts, axis=0) + SIGMA * rng.normal(size=(POINTS, 2))
    found: Record = {}
    with TemporaryDirectory() as folder:
        np.savez(Path(folder, "mixture.npz"), x=points)
        for sampler in SAMPLERS:
            config = gan.RunConfig(data=str(Path(folder, "mixture.npz")), sampler=sampler, batch=BATCH, seed=seed)
            trainer = gan.Trainer(config, Path(folder, sampler))
            data = trainer.data.train.astype(np.float64)
            batches = [trainer.draw()[0].numpy().astype(np.float64) for _ in range(BATCHES)]
            apart = [ot.wasserstein(batch, data) for batch in batches]
            found[sampler] = {
                "shares": np.mean([shares(batch) for batch in batches], axis=0).round(4).tolist(),
                "w1": float(np.mean(apart)),
                "error": float(np.std(apart, ddof=1) / np.sqrt(BATCHES)),
            }
            if seed == 0:
                found[sampler]["batch"] = pack(batches[0])
        if seed == 0:
            found["data"] = pack(data)
    return found


def shares(batch: Array) -> Array:
    """Of the three modes in a batch."""
    mode = np.square(batch[:, None] - CENTRES).sum(-1).argmin(1)
    return np.bincount(mode, minlength=len(CENTRES)) / len(batch)


def w1(sampler: str) -> Any:
    return lambda results: np.array(column(results["e10/batches"], sampler, "w1"))


def gap(less: str, more: str) -> Any:
    """By how many standard errors one is above the other, in the worst seed."""

    def of(results: Results) -> float:
        errors = (column(results["e10/batches"], sampler, "error") for sampler in (less, more))
        return float(((w1(more)(results) - w1(less)(results)) / np.hypot(*errors)).min())

    return of


def rare(sampler: str) -> Any:
    return lambda results: column(results["e10/batches"], sampler, "shares", 2)


def tables(results: Results) -> Iterator[tuple[str, Table]]:
    rows = []
    for sampler, name in SAMPLERS.items():
        modes = (spread(column(results["e10/batches"], sampler, "shares", k), 2) for k in range(3))
        rows.append([name, *modes, spread(w1(sampler)(results))])
    head = ["batches", *(f"share of the mode of {share:g}" for share in SHARES), "W₁(batch, data)"]
    yield f"Means over {BATCHES} batches of {BATCH}", (head, rows)


def draw(results: Results, figure: Any) -> None:
    found = results["e10/batches"][0]
    for ax, (sampler, name) in zip(figure.subplots(1, 3, sharey=True), SAMPLERS.items()):
        ax.scatter(*unpack(found["data"]).T, s=3, color="0.8")
        ax.scatter(*unpack(found[sampler]["batch"]).T, s=12, color="#0072B2")
        portions = " / ".join(f"{share:.2f}" for share in found[sampler]["shares"])
        ax.set(
            title=f"{name}\nshares {portions}\n$W_1$ = {found[sampler]['w1']:.2f}", aspect="equal", xticks=[], yticks=[]
        )


EXPERIMENT = Experiment(
    name="e10-kdpp",
    title="Batches by a determinantal point process",
    method=(
        f"Three Gaussians in the plane with shares 0.7, 0.2 and 0.1, {POINTS * 4 // 5} points. {BATCHES} batches of "
        f"{BATCH} each from the harness's random, stratified and k-DPP samplers; exact W₁ of each batch to all the "
        "points."
    ),
    parts=(Part("e10/batches", run),),
    claims=(
        Claim(
            "Primal WGAN 3, [3]",
            "sampling by a DPP in place of at random mends the batches",
            (
                Criterion("k-DPP above random, standard errors", gap("random", "kdpp"), ">", 3),
                Criterion("share of the rarest mode, k-DPP, least", lambda r: min(rare("kdpp")(r)), ">", 0.15),
            ),
            "wrong",
            "Points that repel each other flatten the law: the rarest mode comes too often, and such a batch is "
            "further from the data than a random one. (The work that the article cites, GDPP, is a penalty on the "
            "generator, no sampler.)",
        ),
        Claim(
            "Primal WGAN 3",
            "batches should follow the law of the data",
            (
                Criterion("stratified below random, standard errors", gap("stratified", "random"), ">", 3),
                Criterion(
                    "distance of the rarest share from 0.1, stratified, greatest",
                    lambda r: max(abs(share - 0.1) for share in rare("stratified")(r)),
                    "<",
                    0.02,
                ),
            ),
            "reproduced",
        ),
    ),
    tables=tables,
    figures={"A batch of each kind over the data, first seed": (6.2, 2.5, draw)},
    cheap=True,
)
