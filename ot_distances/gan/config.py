"""One frozen description of a run, which two runs share exactly if they agree in every number."""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from .nets import Shape
from .objectives import OBJECTIVES, WGAN, WGANGP, Objective, Primal, Recipe, one_of
from .samplers import BATCHES
from .terms import TERMS

CHOICES: dict[str, Collection[str | None]] = {
    "sampler": BATCHES,
    "net": ("mlp", "dcgan"),
    "optimizer": (None, "adam", "rmsprop", "sgd"),
}
# The least value of every whole number.
LEAST = {"batch": 1, "width": 1, "depth": 0, "log_every": 1, "eval_every": 1, "save_every": 1, "eval_points": 1}
LEAST |= {"latent_dim": 1, "size": 1, "seed": 0}
# Matching a batch of this size takes a quarter of a second on one core.
LARGE_BATCH = 2000


@dataclass(frozen=True)
class RunConfig:
    """All that decides a run, but for how long it goes on.

    Parameters
    ----------
    data : str
        ring8, grid25, swissroll, segment, digits, stacked, mnist5k; a file of points or images (.npy, .npz, ...); or a
        folder of images.
    shape : tuple of int, optional
        (channels, height, width) of images that lie flat in a file.
    size : int, optional
        Side to which the images of a folder are resized.
    objective : Objective
    batch : int
        Points in a batch.
    sampler : {"random", "stratified", "kdpp"}
        Which real points make a batch.
    latent : str
        normal, uniform or sobol; or data to translate from, as in `data`.
    latent_dim : int, optional
        By default 2 for points in up to three dimensions, else 16.
    net : {"mlp", "dcgan"}
        Of the generator and of the critic.
    width : int
        Units of a hidden layer, or channels of the largest image.
    depth : int
        Hidden layers of an mlp.
    batch_norm : bool
        Batch normalisation, in the generator and in the critic.
    attention : bool
        Self-attention, in a dcgan.
    optimizer : {"adam", "rmsprop", "sgd"}, optional
        By default, as for the rates and betas, what the objective is used to: its `recipe`.
    generator_rate, critic_rate : float, optional
        Learning rates.
    beta1, beta2 : float, optional
        Of Adam.
    terms : mapping of str to float
        Weights of extra terms of the generator's loss: code, cycle, orthogonal.
    seed : int
        Of four separate streams: initial networks, batches, latent points, and the objective's own random numbers. Two
        objectives with one seed start from the same generator and see the same batches.
    log_every : int
        Steps of the generator between two rows of the log.
    eval_every : int
        Steps between two evaluations.
    save_every : int
        Steps between two checkpoints.
    eval_points : int
        Points a side of the exact distances to held-out data.
    device : str
        A torch device.
    """

    data: str = "ring8"
    shape: Shape | None = None
    size: int | None = None
    objective: Objective = field(default_factory=Primal)
    batch: int = 64
    sampler: str = "random"
    latent: str = "normal"
    latent_dim: int | None = None
    net: str = "mlp"
    width: int = 128
    depth: int = 3
    batch_norm: bool = False
    attention: bool = False
    optimizer: str | None = None
    generator_rate: float | None = None
    critic_rate: float | None = None
    beta1: float | None = None
    beta2: float | None = None
    terms: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    log_every: int = 20
    eval_every: int = 500
    save_every: int = 500
    eval_points: int = 1000
    device: str = "cpu"

    def __post_init__(self) -> None:
        object.__setattr__(self, "terms", dict(self.terms))
        object.__setattr__(self, "shape", self.shape and tuple(self.shape))
        for name, known in CHOICES.items():
            one_of(getattr(self, name), name, known)
        for name, weight in self.terms.items():
            one_of(name, "terms", TERMS)
            if not 0 < weight < math.inf:
                raise ValueError(f"`terms` must have positive and finite weights, but that of {name!r} is {weight}.")
        for name, least in LEAST.items():
            value = getattr(self, name)
            if value is None and name in ("size", "latent_dim"):
                continue
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"`{name}` must be an integer, but it is {value!r}.")
            if value < least:
                raise ValueError(f"`{name}` must be at least {least}, but it is {value}.")
        for name, value in asdict(self.recipe).items():
            if name.endswith("rate") and not 0 < value < math.inf:
                raise ValueError(f"`{name}` must be positive and finite, but it is {value}.")
            if name.startswith("beta") and not 0 <= value < 1:
                raise ValueError(f"`{name}` must lie in [0, 1), but it is {value}.")
        self._warn_or_refuse()

    def _warn_or_refuse(self) -> None:
        """Settings that are known not to go together."""
        if self.attention and self.net != "dcgan":
            raise ValueError("`attention` must go with net='dcgan', but the net is 'mlp'. Leave it out.")
        if isinstance(self.objective, WGANGP) and self.batch_norm:
            raise ValueError(
                "`batch_norm` must be off for 'wgan_gp', whose penalty is on the slope of each point alone, but it is "
                "on. Pass batch_norm=False."
            )
        if isinstance(self.objective, WGAN) and self.recipe.optimizer == "adam":
            warnings.warn(
                "`optimizer` 'adam' has momentum, with which clipped critics tend to diverge: 'rmsprop' is usual.",
                stacklevel=4,
            )
        if isinstance(self.objective, Primal) and self.batch > LARGE_BATCH and self.device == "cpu":
            warnings.warn(
                f"`batch` {self.batch} is matched exactly in every step, which takes about "
                f"{(self.batch / LARGE_BATCH) ** 1.7 / 4:.1g} s. Batches of 64 to 512, stratified, train as well.",
                stacklevel=4,
            )

    @property
    def recipe(self) -> Recipe:
        """The optimiser: what the objective is used to, but for what this config says otherwise."""
        given = {f.name: getattr(self, f.name) for f in fields(Recipe) if getattr(self, f.name) is not None}
        return replace(self.objective.recipe, **given)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it, the recipe written out."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)} | asdict(self.recipe)
        plain["objective"] = {"name": self.objective.name, **asdict(self.objective)}
        return plain | {"shape": self.shape and list(self.shape)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> RunConfig:
        """The config that `to_dict` wrote."""
        for name in content:
            one_of(name, "config", [f.name for f in fields(cls)])
        return cls(**{**content, "objective": objective_of(**content["objective"])})

    def differences(self, other: RunConfig) -> dict[str, tuple[Any, Any]]:
        """The fields in which two configs differ, as objective.p, with both values."""
        mine, theirs = (flat(config.to_dict()) for config in (self, other))
        pairs = {name: (mine.get(name), theirs.get(name)) for name in mine | theirs}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def objective_of(name: str, **options: Any) -> Objective:
    """The objective of a name in `OBJECTIVES` with its options.

    Raises
    ------
    ValueError
        An option that the objective does not have.
    """
    one_of(name, "objective", OBJECTIVES)
    for option in options:
        one_of(option, f"{name} option", [f.name for f in fields(OBJECTIVES[name])])
    return OBJECTIVES[name](**options)


def wgan_paper(**changes: Any) -> RunConfig:
    """Algorithm 1 of the WGAN paper: RMSProp at 5e-5, clipping at 0.01, batches of 64, 5 critic steps a step.

    Examples
    --------
    >>> from ot_distances.gan import wgan_paper
    >>> config = wgan_paper()
    >>> config.objective, config.optimizer, config.generator_rate, config.critic_rate, config.batch
    (WGAN(n_critic=5, clip=0.01), 'rmsprop', 5e-05, 5e-05, 64)
    """
    paper: dict[str, Any] = {"objective": WGAN(n_critic=5, clip=0.01), "batch": 64, "optimizer": "rmsprop"}
    return RunConfig(**paper | {"generator_rate": 5e-5, "critic_rate": 5e-5} | changes)


PRESETS = {"wgan_paper": wgan_paper}


def flat(content: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Of nested mappings one, with names as objective.p."""
    found: dict[str, Any] = {}
    for name, value in content.items():
        found |= flat(value, f"{above}{name}.") if isinstance(value, dict) else {above + name: value}
    return found
