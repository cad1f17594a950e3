"""Objectives, networks and terms, each against what it is by definition."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

import ot_distances as ot  # noqa: E402
from ot_distances import gan  # noqa: E402
from ot_distances.gan import nets, objectives, terms  # noqa: E402


class Scores(nn.Module):
    """A critic that knows the score of every point of two batches by its first coordinate."""

    def __init__(self, x: Tensor, fx: Tensor, y: Tensor, fy: Tensor) -> None:
        super().__init__()
        self.known, self.scores = torch.cat([x, y])[:, 0], torch.cat([fx, fy])

    def forward(self, points: Tensor) -> Tensor:
        return self.scores[(points[:, :1] == self.known).int().argmax(dim=1)][:, None]


@pytest.fixture
def noise() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def points(rng: np.random.Generator, m: int, d: int = 2, shift: float = 0.0) -> Tensor:
    return torch.from_numpy(rng.normal(size=(m, d)) + shift)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("options", [{"p": 1}, {"p": 1.5}, {"p": 2}, {"p": 3, "cost": "cityblock"}, {"debias": True}])
def test_gradient_of_the_primal_loss(
    options: dict[str, Any], weighted: bool, rng: np.random.Generator, noise: torch.Generator
) -> None:
    """Against central differences."""
    x, y = points(rng, 6, shift=1.0), points(rng, 6).requires_grad_()
    b = torch.softmax(points(rng, 6, 1)[:, 0], 0) if weighted and not options.get("debias") else None
    objective = gan.Primal(**options)
    (gradient,) = torch.autograd.grad(objective.generator_loss(nn.Identity(), x, y, b, noise), y)
    step = 1e-6
    for i, k in np.ndindex(6, 2):
        moved = []
        for sign in (1, -1):
            at = y.detach().clone()
            at[i, k] += sign * step
            moved.append(float(objective.generator_loss(nn.Identity(), x, at, b, noise)))
        assert float(gradient[i, k]) == pytest.approx((moved[0] - moved[1]) / (2 * step), abs=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
def test_primal_values(weighted: bool, rng: np.random.Generator, noise: torch.Generator) -> None:
    x, y = points(rng, 8), points(rng, 8, shift=0.5)
    b = torch.softmax(points(rng, 8, 1)[:, 0], 0) if weighted else None
    weights = None if b is None else b.numpy()

    def loss(**options: Any) -> float:
        return float(gan.Primal(**options).generator_loss(nn.Identity(), x, y, b, noise))

    u, v = y.numpy(), x.numpy()
    assert loss() == pytest.approx(ot.wasserstein(u, v, None, weights), rel=1e-12)
    assert loss(p=2) == pytest.approx(ot.wasserstein(u, v, None, weights, p=2) ** 2, rel=1e-12)
    assert loss(p=3, cost="chebyshev") == pytest.approx(
        ot.wasserstein(u, v, None, weights, p=3, metric="chebyshev"), rel=1e-12
    )
    assert loss(cost=f"{__name__}:doubled") == pytest.approx(2 * loss(), rel=1e-12)
    assert loss(features=f"{__name__}:first") == pytest.approx(ot.wasserstein(u[:, 0], v[:, 0], None, weights))


@pytest.mark.parametrize("p", [1, 2, 3])
def test_primal_losses_of_points_that_meet_and_lie_far_out(p: int, noise: torch.Generator) -> None:
    """Where points meet the gradient is 0, not nan; and far from the origin small moves are not lost."""
    x = torch.rand(40, 2) + 1e4
    y = x.flip(0).requires_grad_()
    loss = gan.Primal(p=p).generator_loss(nn.Identity(), x, y, None, noise)
    (gradient,) = torch.autograd.grad(loss, y)
    assert loss.item() == 0
    assert (gradient == 0).all()
    moved = torch.tensor([0.0, 2.0**-9])
    loss = gan.Primal(p=p).generator_loss(nn.Identity(), x, x.flip(0) + moved, None, noise)
    assert loss.item() == pytest.approx(2.0 ** (-18 if p == 2 else -9), rel=0.35)


def doubled(x: Tensor, y: Tensor) -> Tensor:
    return 2 * torch.linalg.vector_norm(x[:, None] - y[None], dim=-1)


def first(x: Tensor) -> Tensor:
    return x[:, :1]


@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_of_the_first_gan(weighted: bool, rng: np.random.Generator, noise: torch.Generator) -> None:
    x, y = points(rng, 5), points(rng, 5, shift=1.0)
    critic = Scores(x, points(rng, 5, 1)[:, 0], y, points(rng, 5, 1)[:, 0])
    b = torch.softmax(points(rng, 5, 1)[:, 0], 0) if weighted else torch.full((5,), 0.2, dtype=torch.float64)
    of_x, of_y = torch.sigmoid(critic(x))[:, 0], torch.sigmoid(critic(y))[:, 0]
    given = b if weighted else None
    loss = gan.Vanilla().critic_loss(critic, x, y, given, noise)
    assert float(loss) == pytest.approx(float(-(b @ of_x.log()) - (1 - of_y).log().mean()), rel=1e-12)
    saturating, usual = (
        gan.Vanilla(saturating=which).generator_loss(critic, x, y, given, noise) for which in (True, False)
    )
    assert float(saturating) == pytest.approx(float((1 - of_y).log().mean()), rel=1e-12)
    assert float(usual) == pytest.approx(float(-of_y.log().mean()), rel=1e-12)


def test_a_sure_critic_starves_the_saturating_loss_only(noise: torch.Generator) -> None:
    y = torch.full((3, 1), -40.0, dtype=torch.float64, requires_grad=True)  # logits of generated points
    slopes = []
    for saturating in (True, False):
        loss = gan.Vanilla(saturating=saturating).generator_loss(nn.Identity(), y, y, None, noise)
        slopes.append(float(torch.autograd.grad(loss, y)[0].abs().sum()))
    assert slopes[0] == pytest.approx(math.exp(-40), rel=1e-9)
    assert slopes[1] == pytest.approx(1.0, rel=1e-9)


def test_the_best_critic_estimates_js_exactly(rng: np.random.Generator) -> None:
    """On common atoms: D = p / (p + q) has the logit log p / q."""
    counts_p, counts_q = np.array([1, 2, 5]), np.array([4, 2, 2])
    atoms = torch.arange(3.0, dtype=torch.float64)[:, None]
    x, y = (atoms[np.repeat(np.arange(3), counts)] for counts in (counts_p, counts_q))
    logits = torch.from_numpy(np.log(counts_p / counts_q))
    critic = Scores(atoms, logits, atoms[:0], logits[:0])
    found = gan.Vanilla().estimate(critic, x, y)
    assert found == {"js_estimate": pytest.approx(ot.js_divergence(counts_p / 8, counts_q / 8), rel=1e-12)}


def test_dual_losses_are_mean_differences(rng: np.random.Generator, noise: torch.Generator) -> None:
    x, y = points(rng, 5), points(rng, 5)
    critic = nn.Linear(2, 1, dtype=torch.float64)
    with torch.no_grad():
        of_y = float(critic(y).mean())
        difference = float(critic(x).mean()) - of_y
    for objective in (gan.WGAN(), gan.WGANGP(penalty=1e-300)):
        loss = objective.critic_loss(critic, x, y, None, noise).detach()
        assert float(loss) == pytest.approx(-difference, rel=1e-9)
        assert objective.estimate(critic, x, y) == {"w_estimate": pytest.approx(difference, rel=1e-12)}
        generator_loss = objective.generator_loss(critic, x, y, None, noise).detach()
        assert float(generator_loss) == pytest.approx(-of_y, rel=1e-12)


@pytest.mark.parametrize("shape", [(6,), (2, 3, 1), (2, 1, 3)])
def test_the_penalty_takes_the_norm_of_the_whole_slope(shape: tuple[int, ...], noise: torch.Generator) -> None:
    """Of a linear critic it is (|w| - 1)^2, whatever the shape that the points come in."""
    critic = nn.Sequential(nn.Flatten(), nn.Linear(6, 1, dtype=torch.float64))
    length = float(torch.linalg.vector_norm(critic[1].weight.detach()))
    x, y = torch.randn(2, 4, *shape, dtype=torch.float64)
    assert float(objectives.slope_penalty(critic, x, y, noise).detach()) == pytest.approx((length - 1) ** 2, rel=1e-12)


def test_the_penalty_looks_between_the_points(noise: torch.Generator) -> None:
    seen: list[Tensor] = []

    def critic(between: Tensor) -> Tensor:
        seen.append(between.detach())
        return between.sum(1, keepdim=True)

    x, y = torch.zeros(500, 2), torch.tensor([[1.0, 2.0]]).expand(500, 2)
    objectives.slope_penalty(critic, x, y, noise)
    share = seen[0][:, 0]
    torch.testing.assert_close(seen[0], torch.stack([share, 2 * share], 1))
    assert 0 <= share.min() < 0.05 < 0.95 < share.max() <= 1
    assert share.mean() == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_semi_dual_critic_learns_exact_potentials(
    weighted: bool, rng: np.random.Generator, noise: torch.Generator
) -> None:
    x, y = points(rng, 7), points(rng, 7, shift=1.0)
    b = torch.softmax(points(rng, 7, 1)[:, 0], 0) if weighted else None
    found = ot.solve(x.numpy(), y.numpy(), None if b is None else b.numpy())
    f, g = found.f, found.g
    if b is None:  # optimal potentials are not unique: those of the matching
        matching = ot.linear_assignment(np.sqrt(((x[:, None] - y) ** 2).sum(2).numpy()))
        f, g = matching.u, matching.v
    f, g = torch.from_numpy(f), torch.from_numpy(g)
    shift = f.mean()
    exact, off = Scores(x, f - shift, y, -g - shift), Scores(x, f - shift, y, 1 - g - shift)
    assert float(gan.SemiDual().critic_loss(exact, x, y, b, noise)) == pytest.approx(0, abs=1e-20)
    assert float(gan.SemiDual().critic_loss(off, x, y, b, noise)) == pytest.approx(1, rel=1e-12)
    if b is None:
        assert gan.SemiDual().estimate(exact, x, y) == {"w_estimate": pytest.approx(found.value, rel=1e-12)}


def test_the_semi_dual_objective_wants_a_metric() -> None:
    with pytest.raises(ValueError, match=r"`cost` must be one of 'euclidean', 'cityblock', .* but it is 'sqeuclidean'"):
        gan.SemiDual(cost="sqeuclidean")


@pytest.mark.parametrize("features", ["kernel", "histogram"])
@pytest.mark.parametrize("kind", [gan.KL, gan.JS, gan.TV])
def test_divergences_of_smoothed_laws(
    kind: Any, features: str, rng: np.random.Generator, noise: torch.Generator
) -> None:
    objective = kind(features=features)
    x = points(rng, 40)
    assert float(objective.generator_loss(nn.Identity(), x, x.clone(), None, noise)) == pytest.approx(0, abs=1e-12)
    far = (x + 1).requires_grad_()
    optimizer, losses = torch.optim.Adam([far], 0.05), []
    for _ in range(60):
        loss = objective.generator_loss(nn.Identity(), x, far, None, noise)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]
    # Weights count like repeated points.
    counts = torch.tensor([3, 1])
    pair, b = x[:2], counts / counts.sum(dtype=torch.float64)
    objective = kind(features=features, bandwidth=0.3)
    weighted = objective._grid(pair, 0.6) if features == "histogram" else torch.cat([pair, far[:2].detach()])
    p = objectives._smoothed(pair, weighted, 0.3, b)
    torch.testing.assert_close(p, objectives._smoothed(pair.repeat_interleave(counts, 0), weighted, 0.3, None))
    assert float(p.sum()) == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("kind", [gan.Primal, gan.SemiDual])
def test_costs_that_nobody_knows_are_refused(kind: Any, rng: np.random.Generator, noise: torch.Generator) -> None:
    with pytest.raises(ValueError, match=r"`cost` must be one of 'euclidean', .*, 'module:function', but it is 'cos"):
        kind(cost="cosine")
    x = points(rng, 4)
    with pytest.raises(ValueError, match="'math:cosine' must name a callable, but module 'math' has no attribute"):
        loss = kind.critic_loss if kind is gan.SemiDual else kind.generator_loss
        loss(kind(cost="math:cosine"), nn.Identity(), x, x, None, noise)


def test_histograms_stay_in_the_plane(noise: torch.Generator) -> None:
    with pytest.raises(
        ValueError, match="`features` 'histogram' must be given points in one or two dimensions, but the"
    ):
        gan.JS(features="histogram").generator_loss(nn.Identity(), torch.rand(4, 3), torch.rand(4, 3), None, noise)
    with pytest.raises(ValueError, match="`features` must be one of 'kernel', 'histogram', but it is 'pixels'"):
        gan.JS(features="pixels")


def test_limits_of_the_dual_are_positive() -> None:
    with pytest.raises(ValueError, match="`clip` must be positive, but it is 0"):
        gan.WGAN(clip=0)
    with pytest.raises(ValueError, match="`penalty` must be positive, but it is -1"):
        gan.WGANGP(penalty=-1)
    with pytest.raises(ValueError, match="`n_critic` must be positive, but it is 0"):
        gan.Vanilla(n_critic=0)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 14, 14), (1, 28, 28), (3, 32, 32)])
@pytest.mark.parametrize("options", [{}, {"batch_norm": False}, {"attention": True}])
def test_dcgan_shapes(shape: nets.Shape, options: dict[str, bool]) -> None:
    generator = nets.dcgan_generator(5, shape, width=4, **options)
    critic = nets.dcgan_critic(shape, width=4, **options)
    images = generator(torch.randn(3, 5))
    assert images.shape == (3, math.prod(shape))
    assert critic(images).shape == (3, 1)
    for net in (generator, critic):
        assert any(isinstance(part, nn.BatchNorm2d) for part in net.modules()) == options.get("batch_norm", True)
        assert any(isinstance(part, nets.SelfAttention2d) for part in net.modules()) == options.get("attention", False)
        assert not any(isinstance(part, nn.Linear) for part in net.modules())


@pytest.mark.parametrize("shape", [(1, 9, 9), (1, 4, 4), (1, 8, 16)])
def test_dcgan_refuses_sides_that_it_cannot_double(shape: nets.Shape) -> None:
    with pytest.raises(
        ValueError, match="`net` 'dcgan' must double a square of 4 to 7 pixels into the images, but they"
    ):
        nets.dcgan_critic(shape, width=4)


def test_dcgan_wants_images(tmp_path: Any) -> None:
    with pytest.raises(ValueError, match="`net` 'dcgan' must be given images, but ring8 are points"):
        gan.Trainer(gan.RunConfig(net="dcgan"), tmp_path)


def test_attention_starts_as_the_identity_and_then_mixes_pixels() -> None:
    layer = nets.SelfAttention2d(8)
    x = torch.randn(2, 8, 3, 3)
    torch.testing.assert_close(layer(x), x, rtol=0, atol=0)
    layer.strength.data.fill_(1.0)
    moved = x.clone()
    moved[:, :, 0, 0] += 1
    assert (layer(moved) - layer(x))[:, :, 2, 2].abs().max() > 1e-4


def test_a_code_can_be_read_back_after_training(noise: torch.Generator) -> None:
    """InfoGAN's term by itself: generator and reader agree on how to write the code."""
    torch.manual_seed(0)
    generator, term = nets.mlp(4, 2, width=16, depth=1), terms.CodeTerm(4, 2, 16)
    optimizer = torch.optim.Adam([*generator.parameters(), *term.parameters()], 0.02)
    losses = []
    for _ in range(150):
        z = torch.randn(64, 4, generator=noise)
        loss = term(generator, z, generator(z), z)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[0] > 0.7
    assert losses[-1] < 0.15


def test_a_cycle_that_leads_home_costs_nothing() -> None:
    term = terms.CycleTerm(2, 2, 8)
    term.back = nn.Identity()
    z, x = torch.randn(5, 2), torch.randn(5, 2)
    assert float(term(nn.Identity(), z, z, x)) == 0
    there = 2 * z
    assert float(term(nn.Identity(), z, there, x)) == pytest.approx(float(z.abs().mean()), rel=1e-6)


def test_rows_that_are_orthogonal_cost_nothing() -> None:
    net = nn.Linear(3, 2, bias=True)
    net.weight.data = torch.tensor([[2.0, 0.0, 0.0], [0.0, 0.0, 5.0]])
    y = torch.zeros(1, 2)
    assert float(terms.OrthogonalTerm(3, 2, 8)(net, y, y, y).detach()) == 0
    net.weight.data = torch.tensor([[2.0, 0.0, 0.0], [1.0, 0.0, 5.0]])
    assert float(terms.OrthogonalTerm(3, 2, 8)(net, y, y, y).detach()) == pytest.approx(2 * 2.0**2)
