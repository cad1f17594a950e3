"""The training runs that several experiments read: points on a ring, and digits of 8 x 8 pixels."""

from __future__ import annotations

from functools import partial
from typing import Any

from .base import Part
from .training import train

FOLLOWED = {"sampler": "stratified", "latent": "sobol"}
CLIPPED = {"objective": "wgan", "options": {"clip": 0.1}}


# `quick` below: three seeds of what is cheap, one of the rest; the full set has ten of everything.
def _ring(name: str, quick: int, steps: int, evaluations: int = 4, **settings: Any) -> Part:
    every = steps // evaluations
    shots = [0, steps // 4, steps // 2, steps]
    run = partial(train, steps=steps, shots=shots, data="ring8", eval_every=every, **settings)
    return Part(f"ring/{name}", run, quick=quick)


# Rates and steps as each objective needs them on this toy; two settings each for the critics that depend on them.
RING = {
    part.name.removeprefix("ring/"): part
    for part in (
        _ring("primal p=1, followed", 3, 2000, objective="primal", **FOLLOWED),
        _ring("primal p=2, followed", 3, 2000, objective="primal", options={"p": 2}, **FOLLOWED),
        _ring("primal p=1, random", 3, 2000, objective="primal"),
        _ring("primal p=2, random", 3, 2000, objective="primal", options={"p": 2}),
        _ring("primal p=2, reals followed", 3, 2000, objective="primal", options={"p": 2}, sampler="stratified"),
        _ring("primal p=2, debiased", 1, 2000, objective="primal", options={"p": 2, "debias": True}),
        _ring("primal p=2, random, m=256", 1, 2000, objective="primal", options={"p": 2}, batch=256),
        _ring("vanilla", 3, 2000, 20, objective="vanilla"),
        _ring("vanilla, saturating", 3, 2000, objective="vanilla", options={"saturating": True}),
        _ring("wgan, slow", 1, 1500, generator_rate=5e-4, critic_rate=5e-4, **CLIPPED),
        _ring("wgan, fast", 1, 2500, 20, generator_rate=1e-3, critic_rate=1e-3, **CLIPPED),
        _ring("wgan, as in the paper", 1, 1500, objective="wgan", options={"clip": 0.01}),
        _ring("wgan_gp, penalty 0.1", 1, 1500, 20, objective="wgan_gp", options={"penalty": 0.1}),
        _ring("wgan_gp, penalty 10", 1, 800, objective="wgan_gp", options={"penalty": 10.0}, beta1=0.5),
        _ring("semi_dual, random", 1, 1500, objective="semi_dual"),
        _ring("semi_dual, followed", 1, 1500, objective="semi_dual", **FOLLOWED),
    )
}


def _digits(name: str, quick: int, steps: int, every: int, **settings: Any) -> Part:
    shots = [0, steps // 10, steps // 2, steps]
    run = partial(train, steps=steps, shots=shots, data="digits", eval_every=every, **settings)
    return Part(f"digits/{name}", run, quick=quick)


DIGITS = {
    part.name.removeprefix("digits/"): part
    for part in (
        _digits("vanilla", 3, 1500, 50, objective="vanilla"),
        _digits("saturating", 3, 500, 25, objective="vanilla", options={"saturating": True, "n_critic": 5}),
        _digits("wgan", 3, 1000, 50, objective="wgan", options={"clip": 0.05}, generator_rate=5e-4, critic_rate=5e-4),
        _digits("wgan_gp", 3, 1000, 50, objective="wgan_gp"),
        _digits("primal, random", 3, 1000, 100, objective="primal", options={"p": 2}),
        _digits("primal, followed", 3, 1000, 100, objective="primal", options={"p": 2}, **FOLLOWED),
        _digits("primal, m=256", 1, 1000, 100, objective="primal", options={"p": 2}, batch=256),
        _digits("semi_dual", 1, 1000, 100, objective="semi_dual"),
    )
}


def _dcgan(name: str, steps: int, **settings: Any) -> Part:
    run = partial(
        train, steps=steps, shots=[steps], data="digits", net="dcgan", width=16, eval_every=steps // 4, **settings
    )
    return Part(f"dcgan/{name}", run, quick=1)


SLOW = {"objective": "wgan", "options": {"clip": 0.05}, "generator_rate": 5e-4, "critic_rate": 5e-4}
DCGAN = {
    part.name.removeprefix("dcgan/"): part
    for part in (
        _dcgan("vanilla, normalised", 600, objective="vanilla", batch_norm=True),
        _dcgan("vanilla, plain", 600, objective="vanilla"),
        _dcgan("wgan, normalised", 600, batch_norm=True, **SLOW),
        _dcgan("wgan, plain", 600, **SLOW),
        _dcgan("wgan_gp, plain", 400, objective="wgan_gp"),
    )
}


def _many_modes(name: str, steps: int, **settings: Any) -> Part:
    run = partial(train, steps=steps, shots=[steps], eval_every=steps, **settings)
    return Part(name, run, quick=1)


FORGIVING = {"objective": "wgan_gp", "options": {"penalty": 0.1}}
GRID = {
    part.name.removeprefix("grid/"): part
    for part in (
        _many_modes("grid/primal, followed, m=256", 2000, data="grid25", objective="primal", batch=256, **FOLLOWED),
        _many_modes("grid/primal, random, m=256", 2000, data="grid25", objective="primal", batch=256),
        _many_modes("grid/vanilla", 4000, data="grid25", objective="vanilla"),
        _many_modes("grid/wgan_gp", 2000, data="grid25", **FORGIVING),
    )
}
STACKED = {
    part.name.removeprefix("stacked/"): part
    for part in (
        _many_modes("stacked/primal", 1000, data="stacked", objective="primal", batch=128),
        _many_modes("stacked/vanilla", 2000, data="stacked", objective="vanilla"),
        _many_modes("stacked/wgan_gp", 1000, data="stacked", objective="wgan_gp"),
    )
}


def _mnist(name: str, steps: int, **settings: Any) -> Part:
    run = partial(
        train, steps=steps, shots=[steps], eval_every=steps, data="mnist5k", net="dcgan", width=16, **settings
    )
    return Part(f"mnist/{name}", run, quick=0)


MNIST = {
    part.name.removeprefix("mnist/"): part
    for part in (
        _mnist("vanilla, normalised", 300, objective="vanilla", batch_norm=True),
        _mnist("vanilla, plain", 300, objective="vanilla"),
        _mnist("wgan_gp, plain", 200, objective="wgan_gp"),
        _mnist("primal, normalised", 300, objective="primal", options={"p": 2}, batch_norm=True, sampler="stratified"),
    )
}
