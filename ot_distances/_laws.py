"""One view of the distribution objects of scipy.stats and torch.distributions."""

from __future__ import annotations

import copy
import math
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .problem import Array

# Distributions of scipy that take many points along the last axis.
AS_COLUMNS = {"scipy.dirichlet_frozen", "scipy.wishart_frozen", "scipy.invwishart_frozen"}


@dataclass(frozen=True)
class Law:
    """One distribution, whichever library it came from."""

    family: tuple[Any, ...]  # a name of CLOSED_FORMS and its parameters, or ()
    discrete: bool
    univariate: bool
    low: float  # the hull of the support
    high: float
    faithful: bool  # a log density of -inf means no density, not one that underflowed
    log_density: Callable[[Array], Array]
    draw: Callable[[int], Array]
    source: Any  # the user's object; a copy in double precision for torch
    atoms: Array | None = None  # where a table has its masses


def is_distribution(value: Any) -> bool:
    """Whether value has a log density to ask for, as the distributions of scipy.stats and torch have."""
    return any(hasattr(value, name) for name in ("logpdf", "logpmf", "log_prob"))


def law(source: Any, name: str) -> Law:
    """Any supported distribution object as a `Law`."""
    kind, arrays = type(source).__name__, "Pass its members one by one."
    if hasattr(source, "freeze") and _is_table(source):
        source = source()  # a table has all its parameters
    if any(c.__module__.startswith("torch.distributions") for c in type(source).__mro__):
        if tuple(source.batch_shape):
            raise ValueError(
                f"`{name}` must be one distribution, but its batch shape is {tuple(source.batch_shape)}. {arrays}"
            )
        result = _torch_law(source)
        if np.isnan(result.draw(1)).any():
            raise ValueError(f"`{name}` must have valid parameters, but its draws are nan.")
        return result
    if hasattr(source, "freeze") or not (hasattr(source, "rvs") or hasattr(source, "sample")):
        raise TypeError(
            f"`{name}` must be a distribution with its parameters set, but it is {kind}. "
            "Set them: `scipy.stats.norm(loc, scale)`."
        )
    _require_density(source, name)
    result = _scipy_law(source)
    if math.isnan(result.low) or math.isnan(result.high):
        raise ValueError(f"`{name}` must have valid parameters, but its support is [{result.low}, {result.high}].")
    shape = np.shape(result.log_density(np.zeros(1) if result.univariate else result.draw(3)))
    if shape != ((1,) if result.univariate else (3,)):
        raise ValueError(f"`{name}` must be one distribution, but its log density at one point is an array. {arrays}")
    return result


def _is_table(dist: Any) -> bool:
    """Whether a distribution of scipy was made from values or from a histogram."""
    from scipy import stats

    return hasattr(dist, "xk") or isinstance(dist, stats.rv_histogram)


def _require_density(source: Any, name: str) -> None:
    """A law on a plane has one on the plane alone: it cannot be compared with a law on the whole space."""
    shape = getattr(source, "cov_object", getattr(source, "shape_info", None))
    rank, d = getattr(shape, "rank", None), getattr(source, "dim", None)
    if rank is not None and rank < d:
        raise ValueError(
            f"`{name}` must have a density, but its covariance has rank {rank} in {d} dimensions. "
            "Drop coordinates that depend on others."
        )


def _scipy_law(source: Any) -> Law:
    frozen, univariate = hasattr(source, "dist"), hasattr(source, "support")
    key = f"scipy.{source.dist.name if frozen else type(source).__name__}"
    discrete = not hasattr(source, "logpdf") or any(c.__name__ == "DiscreteDistribution" for c in type(source).__mro__)
    density = source.logpmf if discrete else source.logpdf
    low, high = source.support() if univariate else (-math.inf, math.inf)
    if key == "scipy.vonmises":  # once around
        low, high = -math.pi, math.pi
    if key == "scipy.pearson3":  # a gamma law from some end on, or up to it: scipy says the whole line
        mean, variance, skew = map(float, source.stats("mvs"))
        end = mean - 2 * math.sqrt(variance) / skew if skew else math.inf
        low, high = (end, math.inf) if skew > 0 else (-math.inf, end)
    table = getattr(source.dist, "xk", None) if frozen else None

    def log_density(x: Array) -> Array:
        if key in AS_COLUMNS:
            x = np.moveaxis(x, 0, -1)
        return np.asarray(density(x / x.sum(axis=0) if key == "scipy.dirichlet_frozen" else x))  # wants sums of 1

    def draw(n: int) -> Array:
        rng = np.random.default_rng(0)
        return np.asarray(source.rvs(n, random_state=rng) if hasattr(source, "rvs") else source.sample(n, rng=rng))

    return Law(
        _family(key, source),
        discrete=discrete,
        univariate=univariate,
        low=float(np.min(low)),
        high=float(np.max(high)),
        faithful=not (frozen and _takes_log_of_density(source.dist, discrete)),
        log_density=log_density,
        draw=draw,
        source=source,
        atoms=None if table is None else table + (low - np.min(table)),
    )


def _takes_log_of_density(dist: Any, discrete: bool) -> bool:
    """Whether a distribution of scipy has no log density of its own, so that it underflows; tables have exact zeros."""
    from scipy import stats

    if _is_table(dist):
        return False
    if discrete:
        return type(dist)._logpmf is stats.rv_discrete._logpmf
    return type(dist)._logpdf is stats.rv_continuous._logpdf


def _torch_law(source: Any) -> Law:
    import torch

    twin = _in_double(source)
    univariate = not source.event_shape
    support = getattr(twin.support, "base_constraint", twin.support) if univariate else twin.support
    ends = (0.0, 1.0) if support is torch.distributions.constraints.boolean else (-math.inf, math.inf)
    if isinstance(twin, torch.distributions.VonMises):  # once around
        ends = (-math.pi, math.pi)

    def log_density(x: Array) -> Array:
        points = torch.as_tensor(np.asarray(x, dtype=np.float64))
        if not univariate:
            return np.asarray(twin.log_prob(points))
        inside = support.check(points)  # a table has no rows for points outside
        return np.asarray(torch.where(inside, twin.log_prob(torch.where(inside, points, within)), -math.inf))

    def draw(n: int) -> Array:
        with torch.random.fork_rng(devices=[]):  # the user's random state stays as it is
            torch.manual_seed(0)
            return np.asarray(twin.sample((n,)).double())

    within = torch.as_tensor(draw(1))
    return Law(
        _family(f"torch.{type(source).__name__}", twin),
        discrete=support.is_discrete,
        univariate=univariate,
        low=float(getattr(support, "lower_bound", ends[0])),
        high=float(getattr(support, "upper_bound", ends[1])),
        faithful=True,
        log_density=log_density,
        draw=draw,
        source=twin,
    )


def _in_double(source: Any, seen: dict[int, Any] | None = None) -> Any:
    """A copy of a torch distribution in double precision, on the host: float32 would spoil the seventh digit."""
    import torch

    seen = {} if seen is None else seen  # a transform and its inverse hold each other
    if id(source) in seen:
        return seen[id(source)]
    if torch.is_tensor(source):
        return source.detach().cpu().to(torch.float64) if source.is_floating_point() else source.detach().cpu()
    if isinstance(source, list):
        return [_in_double(item, seen) for item in source]
    if isinstance(source, weakref.ref):
        return None  # a cached inverse, made again on demand
    if not isinstance(source, (torch.distributions.Distribution, torch.distributions.Transform)):
        return source
    twin = seen[id(source)] = copy.copy(source)
    vars(twin).update({name: _in_double(value, seen) for name, value in vars(source).items()})
    vars(twin)["_validate_args"] = False
    return twin


# Class name -> the family that the closed forms know, with its parameters. The scipy functions of frozen distributions
# take (*shapes, loc, scale); all others the object.
FAMILIES: dict[str, Callable[..., tuple[Any, ...]]] = {
    "scipy.norm": lambda loc, scale: ("normal", loc, scale),
    "scipy.uniform": lambda loc, scale: ("uniform", loc, loc + scale),
    "scipy.laplace": lambda loc, scale: ("laplace", loc, scale),
    "scipy.expon": lambda loc, scale: ("gamma", 1.0, loc, scale),
    "scipy.chi2": lambda df, loc, scale: ("gamma", df / 2.0, loc, 2.0 * scale),
    "scipy.gamma": lambda a, loc, scale: ("gamma", a, loc, scale),
    "scipy.beta": lambda a, b, loc, scale: ("beta", a, b, loc, scale),
    "scipy.bernoulli": lambda p, loc, scale: ("binomial", 1.0, p, loc),
    "scipy.binom": lambda n, p, loc, scale: ("binomial", n, p, loc),
    "scipy.geom": lambda p, loc, scale: ("geometric", p, loc + 1.0),
    "scipy.poisson": lambda mu, loc, scale: ("poisson", mu, loc),
    "scipy.Normal": lambda d: ("normal", d.mu, d.sigma),
    "scipy.StandardNormal": lambda d: ("normal", 0.0, 1.0),
    "scipy.Uniform": lambda d: ("uniform", d.a, d.b),
    "scipy.multivariate_normal_frozen": lambda d: ("multivariate normal", d.mean, d.cov),
    "scipy.dirichlet_frozen": lambda d: ("dirichlet", d.alpha),
    "torch.Normal": lambda d: ("normal", d.loc, d.scale),
    "torch.Uniform": lambda d: ("uniform", d.low, d.high),
    "torch.Laplace": lambda d: ("laplace", d.loc, d.scale),
    "torch.Exponential": lambda d: ("gamma", 1.0, 0.0, 1.0 / d.rate),
    "torch.Gamma": lambda d: ("gamma", d.concentration, 0.0, 1.0 / d.rate),
    "torch.Chi2": lambda d: ("gamma", d.concentration, 0.0, 1.0 / d.rate),
    "torch.Beta": lambda d: ("beta", d.concentration1, d.concentration0, 0.0, 1.0),
    "torch.Bernoulli": lambda d: ("binomial", 1.0, d.probs, 0.0),
    "torch.Binomial": lambda d: ("binomial", d.total_count, d.probs, 0.0),
    "torch.Geometric": lambda d: ("geometric", d.probs, 0.0),
    "torch.Poisson": lambda d: ("poisson", d.rate, 0.0),
    "torch.MultivariateNormal": lambda d: ("multivariate normal", d.loc, d.covariance_matrix),
    "torch.Dirichlet": lambda d: ("dirichlet", d.concentration),
}


def _family(key: str, source: Any) -> tuple[Any, ...]:
    row = FAMILIES.get(key)
    if row is None:
        return ()
    if hasattr(source, "dist"):
        shapes, loc, scale = source.dist._parse_args(*source.args, **source.kwds)  # scipy has no public way to ask
        name, *parameters = row(*shapes, loc, scale)
    else:
        name, *parameters = row(source)
    arrays = [np.asarray(value, dtype=np.float64) for value in parameters]
    return (name, *(float(a) if a.ndim == 0 else a for a in arrays))
