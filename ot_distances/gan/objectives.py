"""What to minimise: one small class for each way to train a generator. The loop in `trainer` treats all alike."""

from __future__ import annotations

import math
import pkgutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss, softplus

from .. import js_divergence, kl_divergence, linear_assignment, solve, total_variation
from ..costs import METRICS
from ..losses import SlicedWassersteinLoss, WassersteinLoss
from ..problem import Assignment

# What stands for any callable, by the place that it is imported from.
PLACE = "module:function"


@dataclass(frozen=True)
class Recipe:
    """The optimiser that an objective is used to; a config may say otherwise."""

    optimizer: str = "adam"
    generator_rate: float = 1e-3
    critic_rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999


@dataclass(frozen=True)
class Objective:
    """What every objective can be asked; by itself it trains nothing.

    Reals are x (m, d) with weights b (m,) that sum to 1, or None for equal ones; generated points are y (m, d). The
    critic returns raw scores, (m, 1).
    """

    name: ClassVar[str]
    recipe: ClassVar[Recipe] = Recipe()
    # Options that are words, and which.
    choices: ClassVar[Mapping[str, Collection[str]]] = {}
    # Critic steps for each step of the generator: an option of those that have a critic.
    n_critic = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in self.choices:
                one_of(value, field.name, self.choices[field.name])
            elif field.type in ("int", "float") and not (value > 0 or value == field.default):
                raise ValueError(f"`{field.name}` must be positive, but it is {value}.")

    def critic_loss(self, critic: nn.Module, x: Tensor, y: Tensor, b: Tensor | None, rng: torch.Generator) -> Tensor:
        """What the critic minimises; y carries no gradient."""
        raise NotImplementedError(f"{self.name} has no critic")

    def constrain(self, critic: nn.Module) -> None:
        """Called after each step of the critic."""

    def generator_loss(self, critic: nn.Module, x: Tensor, y: Tensor, b: Tensor | None, rng: torch.Generator) -> Tensor:
        """What the generator minimises."""
        raise NotImplementedError(f"{self.name} has no generator loss")

    def estimate(self, critic: nn.Module, x: Tensor, y: Tensor) -> dict[str, float]:
        """What the critic believes the distance to be. The names say so, since no critic proves a distance."""
        return {}


def mean(values: Tensor, b: Tensor | None = None) -> Tensor:
    """The mean of scores, (m, 1), weighted by b (m,) if given."""
    return values.mean() if b is None else values.flatten() @ b


@dataclass(frozen=True)
class Vanilla(Objective):
    """The first GAN: a classifier of real against generated, in logits.

    Parameters
    ----------
    saturating : bool, default False
        The generator minimises mean log(1 - D(y)), the min-max game, whose gradient vanishes as D becomes sure;
        else it maximises mean log D(y), with the same fixed point.
    n_critic : int, default 1
        Steps of the critic for each of the generator.

    Notes
    -----
    ``js_estimate`` is log 2 + (mean log D(x) + mean log(1 - D(y))) / 2: JS itself if D were optimal, else below it.
    """

    saturating: bool = False
    n_critic: int = 1

    name = "vanilla"
    recipe = Recipe(beta1=0.5)

    def critic_loss(self, critic: nn.Module, x: Tensor, y: Tensor, b: Tensor | None, rng: torch.Generator) -> Tensor:
        """Cross entropy with label 1 for real and 0 for generated points."""
        return mean(softplus(-critic(x)), b) + mean(softplus(critic(y)))

    def generator_loss(self, critic: nn.Module, x: Tensor, y: Tensor, b: Tensor | None, rng: torch.Generator) -> Tensor:
        """log(1 - D) = -softplus(logit), and -log D = softplus(-logit): no logarithm of a rounded 0."""
        score = critic(y)
        return -mean(softplus(score)) if self.saturating else mean(softplus(-score))

    @torch.no_grad()
    def estimate(self, critic: nn.Module, x: Tensor, y: Tensor) -> dict[str, float]:
        """Of the Jensen-Shannon divergence."""
        loss = mean(softplus(-critic(x))) + mean(softplus(critic(y)))
        return {"js_estimate": math.log(2) - float(loss) / 2}


@dataclass(frozen=True)
class Dual(Objective):
    """What all critics of the dual problem share: scores, and a generator that climbs them.

    ``w_estimate`` is mean D(x) - mean D(y): W_1 if the critic were optimal and its Lipschitz constant 1.

    Parameters
    ----------
    n_critic : int, default 5
        Steps of the critic for each of the generator.
    """

    n_critic: int = 5

    def critic_loss(self, critic: nn.Module, x: Tensor, y: Tensor, b: Tensor | None, rng: torch.Generator) -> Tensor:
        """mean D(y) - mean D(x)."""
        return mean(critic(y)) - mean(critic(x), b)

    def generator_loss(self, critic: nn.Module, x: Tensor, y: Tensor, b: Tensor | None, rng: torch.Generator) -> Tensor:
        """-mean D(y)."""
        return -mean(critic(y))

    @torch.no_grad()
    def estimate(self, critic: nn.Module, x: Tensor, y: Tensor) -> dict[str, float]:
        """Of W_1."""
        return {"w_estimate": float(mean(critic(x)) - mean(critic(y)))}


@dataclass(frozen=True)
class WGAN(Dual):
    """The dual problem: a critic kept Lipschitz by clipping its weights to [-clip, clip] after each of its steps.

    Parameters
    ----------
    clip : float, default 0.01
        Bound of the critic's weights.

    Notes
    -----
    The Lipschitz constant is some constant, not 1: ``w_estimate`` is W_1 times an unknown factor at best.

    References
    ----------
    M. Arjovsky, S. Chintala and L. Bottou, Wasserstein generative adversarial networks, ICML 2017.
    """

    clip: float = 0.01

    name = "wgan"
    recipe = Recipe("rmsprop", 5e-5, 5e-5)

    @torch.no_grad()
    def constrain(self, critic: nn.Module) -> None:
        """Clip every parameter."""
        for parameter in critic.parameters():
            parameter.clamp_(-self.clip, self.clip)


@dataclass(frozen=True)
class WGANGP(Dual):
    """The dual problem, with the critic's slope drawn to 1 between real and generated points.

    Parameters
    ----------
    penalty : float, default 10.0
        Weight of the mean of ``(|grad D(t x + (1 - t) y)| - 1)**2`` with t uniform in [0, 1].

    Notes
    -----
    The slope is that of each point alone, so that a critic with batch normalisation is refused.

    References
    ----------
    I. Gulrajani, F. Ahmed, M. Arjovsky, V. Dumoulin and A. Courville, Improved training of Wasserstein GANs, NeurIPS
    2017.
    """

    penalty: float = 10.0

    name = "wgan_gp"
    recipe = Recipe("adam", 1e-3, 1e-3, 0.0, 0.9)

    def critic_loss(self, critic: nn.Module, x: Tensor, y: Tensor, b: Tensor | None, rng: torch.Generator) -> Tensor:
        """mean D(y) - mean D(x), and the penalty."""
        return super().critic_loss(critic, x, y, b, rng) + self.penalty * slope_penalty(critic, x, y, rng)


def slope_penalty(critic: nn.Module, x: Tensor, y: Tensor, rng: torch.Generator) -> Tensor:
    """mean (|grad D|_2 - 1)^2 at random points between x and y: the norm of the whole gradient of each point."""
    t = torch.rand(len(x), *[1] * (x.ndim - 1), generator=rng).to(x)
    between = (t * x + (1 - t) * y).requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    # Images flattened first: a norm along dim=1 would be one for each pixel.
    return (torch.linalg.vector_norm(slope.flatten(1), dim=1) - 1).square().mean()


@dataclass(frozen=True)
class Primal(Objective):
    """The primal problem: the exact Wasserstein distance between the two batches, by optimal matching. No critic.

    Parameters
    ----------
    p : float, default 1
        Order: W_1 is trained as it is, 2 on W_2 squared, whose gradient is the mean displacement, any other on W_p.
    cost : str, default "euclidean"
        A metric of `wasserstein`, or "module:function" for a callable of two blocks of points.
    features : str, default "none"
        "module:function" of a callable, such as a frozen network, that both sides pass before they are compared. The
        distance is then one between features, 0 also where features agree and points do not.
    debias : bool, default False
        Less the distances within each side: see `losses.WassersteinLoss`.

    Notes
    -----
    By the envelope theorem the optimal plan is a constant for the gradient. Weighted data, as in a file with
    `weights`, are solved as a transport problem. The loss between batches of m points exceeds that between the laws
    by O(m**(-1/d)): batches that follow the laws (`stratified` data, `sobol` latents) take most of it away.
    """

    p: float = 1.0
    cost: str = "euclidean"
    features: str = "none"
    debias: bool = False

    name = "primal"
    choices: ClassVar = {"cost": (*METRICS, PLACE), "features": ("none", PLACE)}

    def generator_loss(self, critic: nn.Module, x: Tensor, y: Tensor, b: Tensor | None, rng: torch.Generator) -> Tensor:
        """W_p(y, x), or W_2(y, x)^2."""
        if self.features != "none":
            x, y = (imported(self.features)(points) for points in (x, y))
        if b is None and self.p in (1, 2) and self.cost == "euclidean" and not self.debias:
            return _matched(x, y, int(self.p))
        squared = self.p == 2 and self.cost == "euclidean"
        metric = "sqeuclidean" if squared else imported(self.cost)
        return WassersteinLoss(1 if squared else self.p, metric, debias=self.debias)(y, x, None, b)


def _matched(x: Tensor, y: Tensor, p: int) -> Tensor:
    """The mean of |y_i - x_j|^p over the best matching: what WassersteinLoss is too, in a third of its time."""
    moves = y - x[torch.as_tensor(_matching(_distances(y.detach(), x) ** p).cols, device=x.device)]
    return moves.square().sum(1).mean() if p == 2 else torch.linalg.vector_norm(moves, dim=1).mean()


def _matching(costs: Tensor) -> Assignment:
    """Of the least cost, where the costs lie: arrays come and go with less ado than tensors."""
    matching: Assignment = linear_assignment(costs if costs.is_cuda else costs.cpu().numpy())
    return matching


def _distances(x: Tensor, y: Tensor) -> Tensor:
    """|x_i - y_j|, (n, m) float64, from differences: a matrix product, torch's default, loses the small ones."""
    return torch.cdist(x.double(), y.double(), compute_mode="donot_use_mm_for_euclid_dist")


@dataclass(frozen=True)
class SemiDual(Dual):
    """A critic that regresses the exact Kantorovich potentials of each batch, and a generator that climbs it.

    Parameters
    ----------
    cost : str, default "euclidean"
        As of the primal objective, but a metric, for the critic is one function for both sides: not "sqeuclidean".

    References
    ----------
    H. Liu, X. Gu and D. Samaras, A two-step computation of the exact GAN Wasserstein distance, ICML 2018.
    """

    cost: str = "euclidean"

    name = "semi_dual"
    recipe = Recipe(generator_rate=3e-4, beta1=0.5)
    choices: ClassVar = {"cost": [cost for cost in (*METRICS, PLACE) if cost != "sqeuclidean"]}

    def critic_loss(self, critic: nn.Module, x: Tensor, y: Tensor, b: Tensor | None, rng: torch.Generator) -> Tensor:
        """Squared distance of D(x) from f and of D(y) from -g, with potentials f, g centred on the reals."""
        if b is None and self.cost == "euclidean":  # the same in a fifth of the time
            matching = _matching(_distances(x, y))
            f, g = matching.u, matching.v
        else:
            exact = solve(x, y, b, metric=imported(self.cost))
            f, g = exact.f, exact.g
        centre = f.mean()
        of_x, of_y = (torch.as_tensor(one).to(x)[:, None] for one in (f - centre, -g - centre))
        return mse_loss(critic(x), of_x) + mse_loss(critic(y), of_y)


@dataclass(frozen=True)
class Sliced(Objective):
    """The sliced Wasserstein distance between the two batches: the primal problem on random lines, by sorting.

    Parameters
    ----------
    p : float, default 2
    n_projections : int, default 128
        Lines in each step.
    """

    p: float = 2.0
    n_projections: int = 128

    name = "sliced"

    def generator_loss(self, critic: nn.Module, x: Tensor, y: Tensor, b: Tensor | None, rng: torch.Generator) -> Tensor:
        """The sliced W_p(y, x)."""
        seed = int(torch.randint(2**31, (1,), generator=rng))
        return SlicedWassersteinLoss(self.p, self.n_projections, seed=seed)(y, x, None, b)


@dataclass(frozen=True)
class Divergence(Objective):
    """A divergence between kernel densities of the two batches, whose points have no atoms in common.

    Parameters
    ----------
    features : {"kernel", "histogram"}
        Where the densities are compared. kernel: at all points of the two batches. histogram: on a grid over the
        reals' range, in one or two dimensions.
    bandwidth : float, default 0.0
        Width of the kernel; 0: a quarter of the root mean squared distance of the reals from their mean.
    bins : int, default 24
        Cells a side of the grid.

    Notes
    -----
    Where the densities hardly overlap the gradient is small, unlike that of the Wasserstein distance.
    """

    features: str = "kernel"
    bandwidth: float = 0.0
    bins: int = 24

    choices: ClassVar = {"features": ("kernel", "histogram")}
    divergence: ClassVar[Callable[..., Any]]

    def generator_loss(self, critic: nn.Module, x: Tensor, y: Tensor, b: Tensor | None, rng: torch.Generator) -> Tensor:
        """The divergence from the density of x to that of y."""
        with torch.no_grad():
            width = self.bandwidth or float((x - x.mean(0)).square().sum(1).mean().sqrt()) / 4
            anchors = torch.cat([x, y]) if self.features == "kernel" else self._grid(x, 2 * width)
        value: Tensor = type(self).divergence(_smoothed(x, anchors, width, b), _smoothed(y, anchors, width))
        return value

    def _grid(self, x: Tensor, margin: float) -> Tensor:
        d = x.shape[1]
        if d > 2:
            raise ValueError(
                f"`features` 'histogram' must be given points in one or two dimensions, but they have {d}. Use "
                "features='kernel'."
            )
        ends = zip((x.amin(0) - margin).tolist(), (x.amax(0) + margin).tolist())
        return torch.cartesian_prod(*(torch.linspace(*one, self.bins) for one in ends)).view(-1, d).to(x)


def _smoothed(points: Tensor, anchors: Tensor, width: float, weights: Tensor | None = None) -> Tensor:
    """The kernel density of points at anchors, (k,) float64, with sum 1."""
    kernel = (1 + (_distances(anchors, points) / width).square()) ** -2  # (k, m), of heavy tails: no entry vanishes
    density = kernel.mean(1) if weights is None else kernel @ weights.double()
    return density / density.sum()


class KL(Divergence):
    """KL(data || model) of kernel densities: see `Divergence`."""

    name, divergence = "kl", kl_divergence


class JS(Divergence):
    """The Jensen-Shannon divergence of kernel densities: see `Divergence`."""

    name, divergence = "js", js_divergence


class TV(Divergence):
    """The total variation distance of kernel densities: see `Divergence`."""

    name, divergence = "tv", total_variation


OBJECTIVES: dict[str, type[Objective]] = {
    kind.name: kind for kind in (Vanilla, WGAN, WGANGP, Primal, SemiDual, Sliced, KL, JS, TV)
}


def imported(name: str) -> Any:
    """The object named by "module:function"; any other string is itself."""
    try:
        return pkgutil.resolve_name(name) if ":" in name else name
    except (AttributeError, ImportError) as error:
        raise ValueError(f"{name!r} must name a callable, but {error}. Check the spelling.") from error


def one_of(value: Any, name: str, known: Collection[Any]) -> None:
    """Refuse what is not in the list; "module:function" in it stands for any place of that form."""
    if value not in known and not (PLACE in known and ":" in value):
        raise ValueError(f"`{name}` must be one of {', '.join(map(repr, known))}, but it is {value!r}.")
