"""Gradients of the distances, and the losses made of them."""

from __future__ import annotations

import copy
import itertools
import math
import subprocess
import sys

import numpy as np
import pytest

import ot_distances as ot
from ot_distances.costs import METRICS

torch = pytest.importorskip("torch")
from torch.autograd import gradcheck, gradgradcheck  # noqa: E402

from ot_distances import _resident, _torch, losses  # noqa: E402

INF = math.inf
ORDERS = [1, 1.5, 2, 3, INF]
GROUND = [(metric, p) for metric in METRICS for p in ORDERS if metric != "sqeuclidean" or p == 1]
torch.manual_seed(0)  # of the features: those of an unlucky draw tell too little of the ring
LOSSES = {
    "wasserstein": losses.WassersteinLoss(p=2),
    "wasserstein, debiased": losses.WassersteinLoss(debias=True),
    "wasserstein of features": losses.WassersteinLoss(features=torch.nn.Linear(2, 3)),
    "sliced": losses.SlicedWassersteinLoss(n_projections=20),
}
DIVERGENCES = {"kl": losses.KLLoss, "js": losses.JSLoss, "tv": losses.TVLoss}


def points(rng, *shape, dtype=torch.float64):
    return torch.tensor(rng.normal(size=shape), dtype=dtype, requires_grad=True)


def positive(rng, n):
    """Weights before they are divided by their sum; no two subsets of the two sides then weigh the same."""
    return torch.tensor(rng.uniform(0.5, 1.5, size=n), requires_grad=True)


def euclidean(x, y):
    return torch.linalg.vector_norm(x[:, None] - y[None], dim=-1)


def gradients(value, *inputs):
    return torch.autograd.grad(value, inputs)


def test_every_metric_of_the_table_is_differentiated():
    assert _torch.DISTANCES.keys() == METRICS.keys()


@pytest.mark.parametrize(("n", "m", "d"), [(6, 6, 2), (5, 7, 3), (6, 4, 1)])
@pytest.mark.parametrize(("metric", "p"), GROUND)
def test_gradients_are_those_of_finite_differences(rng, n, m, d, metric, p):
    x, y = points(rng, n, d), points(rng, m, d)
    assert gradcheck(lambda x, y: ot.wasserstein(x, y, p=p, metric=metric), (x, y))

    def weighted(x, y, a, b):
        return ot.wasserstein(x, y, a / a.sum(), b / b.sum(), p=p, metric=metric)

    assert gradcheck(weighted, (x, y, positive(rng, n), positive(rng, m)))


@pytest.mark.parametrize("p", [1, 1.5, 2, 3])
def test_gradients_of_a_batch_with_shared_and_own_weights(rng, p):
    x, y = points(rng, 2, 4, 2), points(rng, 2, 3, 2)

    def weighted(x, y, a, b):
        return ot.wasserstein(x, y, a / a.sum(), b / b.sum(-1, keepdim=True), p=p)

    own = torch.stack([positive(rng, 3), positive(rng, 3)]).detach().requires_grad_()
    assert gradcheck(weighted, (x, y, positive(rng, 4), own))


@pytest.mark.parametrize("p", [1, 2, 3])
def test_second_derivatives_in_the_points(rng, p):
    assert gradgradcheck(lambda x, y: ot.wasserstein(x, y, p=p), (points(rng, 4, 2), points(rng, 5, 2)))


def test_gradients_of_solve_cost(rng):
    def cost(matrix, a, b):
        return ot.solve_cost(matrix, a / a.sum(), b / b.sum()).value

    assert gradcheck(cost, (points(rng, 4, 6), positive(rng, 4), positive(rng, 6)))


def test_the_gradient_in_the_cost_matrix_is_the_plan(rng):
    matrix = points(rng, 5, 7)
    with torch.no_grad():
        matrix[0, 0] = INF
    result = ot.solve_cost(matrix)
    assert result.value is result.cost and result.value.shape == ()
    assert result.cost.item() == ot.solve_cost(matrix.detach().numpy()).cost
    assert result.lower <= result.cost.item() <= result.upper
    (plan,) = gradients(result.cost, matrix)
    np.testing.assert_array_equal(plan.numpy(), result.plan.toarray())
    assert not ot.solve_cost(matrix.detach()).value.requires_grad


@pytest.mark.parametrize("p", ORDERS)
def test_tensors_have_the_distance_of_their_numbers(rng, p):
    x, y = points(rng, 9, 3), points(rng, 9, 3)
    value = ot.wasserstein(x, y, p=p)
    expected = ot.wasserstein(x.detach().numpy(), y.detach().numpy(), p=p)
    assert value.shape == () and value.dtype == torch.float64 and value.requires_grad
    assert value.item() == expected
    with torch.no_grad():
        still = ot.wasserstein(x, y, p=p)
    assert still.item() == expected and not still.requires_grad
    assert not ot.wasserstein(x.detach(), y.detach(), p=p).requires_grad


@pytest.mark.parametrize(("metric", "p"), [*GROUND, ("euclidean", np.inf), (torch.cdist, 2)])
def test_solve_of_tensors_has_the_gradients_of_the_distance(rng, p, metric):
    x, y, a = points(rng, 6, 2), points(rng, 6, 2), torch.full((6,), 1 / 6, dtype=torch.float64, requires_grad=True)
    solved, distance = ot.solve(x, y, a, p=p, metric=metric), ot.wasserstein(x, y, a, p=p, metric=metric)
    assert solved.value == distance and float(solved.cost.detach()) == pytest.approx(solved.lower, rel=1e-12)
    for found, known in zip(*(torch.autograd.grad(one, (x, y, a)) for one in (solved.value, distance))):
        assert torch.equal(found, known)
    if p != np.inf:
        assert gradcheck(lambda x, y: ot.solve(x, y, p=p, metric=metric).cost, (x, y))


def test_solve_gives_floats_where_nothing_has_a_gradient(rng):
    x, y = points(rng, 4, 2), points(rng, 4, 2)
    with torch.no_grad():
        assert type(ot.solve(x, y).value) is float
    assert type(ot.solve(x.detach(), y.detach()).cost) is float


def test_verify_gives_tensors_to_a_metric(rng):
    x, y = points(rng, 4, 2), points(rng, 4, 2)
    assert ot.verify((x, y), plan=ot.solve(x, y).plan, metric=torch.cdist).optimal


@pytest.mark.parametrize("keep", [True, False])
def test_tangents_of_forward_mode_are_refused_not_lost(rng, keep):
    x, y = (points(rng, 4, 2).detach() for _ in "xy")
    cases = {
        "wasserstein": lambda dual: ot.wasserstein(dual, y),
        "solve": lambda dual: ot.solve(dual, y),
        "solve_cost": lambda dual: ot.solve_cost(dual),
        "gaussian": lambda dual: ot.gaussian_wasserstein(dual[0], torch.eye(2), y[0], torch.eye(2)),
    }
    for case in cases.values():
        with torch.set_grad_enabled(keep), torch.autograd.forward_ad.dual_level():
            dual = torch.autograd.forward_ad.make_dual(x, torch.ones_like(x))
            with pytest.raises(NotImplementedError, match="forward mode AD"):
                case(dual)


@pytest.mark.parametrize("call", [torch.vmap, torch.func.grad, lambda f: lambda x: f(x.to("meta"))])
def test_tensors_that_hold_no_numbers_are_named(rng, call):
    x, y = (points(rng, 4, 2).detach() for _ in "xy")
    with pytest.raises(TypeError, match=r"`x` must be a tensor that holds numbers, but torch says: .*\. Outside of"):
        call(lambda x: ot.wasserstein(x, y))(x[None] if call is torch.vmap else x)


def test_a_batch_is_its_problems_one_by_one(rng):
    x, y = points(rng, 3, 8, 2), points(rng, 3, 5, 2)
    values = ot.wasserstein(x, y, p=2)
    assert values.shape == (3,)
    upstream = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    in_x, in_y = torch.autograd.grad(values, (x, y), upstream)
    for k in range(3):
        one = ot.wasserstein(x[k], y[k], p=2)
        assert one.item() == values[k].item()
        for whole, alone in zip((in_x, in_y), gradients(one, x, y), strict=True):
            torch.testing.assert_close(whole[k], upstream[k] * alone[k], rtol=1e-14, atol=0)


def test_gradients_follow_what_is_done_with_the_distance(rng):
    x, y = points(rng, 6, 2), points(rng, 6, 2)
    value = ot.wasserstein(x, y, p=2)
    (plain,) = gradients(value, x)
    (scaled,) = gradients(-7 * ot.wasserstein(x, y, p=2), x)
    torch.testing.assert_close(scaled, -7 * plain, rtol=1e-15, atol=0)
    (squared,) = gradients(ot.wasserstein(x, y, p=2) ** 2, x)
    torch.testing.assert_close(squared, 2 * value.detach() * plain, rtol=1e-14, atol=0)


@pytest.mark.parametrize(("metric", "p"), GROUND)
def test_points_on_their_targets_have_gradient_zero(rng, metric, p):
    y = 8 * torch.tensor(rng.permutation(36)[:6, None] // [6, 1] % 6, dtype=torch.float64)  # places on a grid
    x = y.clone()
    x[0] += torch.tensor([0.25, 0.125])
    x.requires_grad_()
    (in_x,) = gradients(ot.wasserstein(x, y, p=p, metric=metric), x)
    assert torch.isfinite(in_x).all()
    assert in_x[0].abs().sum() > 0 and (in_x[1:] == 0).all()


@pytest.mark.parametrize("p", ORDERS)
def test_equal_measures_have_gradient_zero(rng, p):
    x = points(rng, 5, 2)
    a = positive(rng, 5)
    order = torch.randperm(5)
    share = a / a.sum()
    value = ot.wasserstein(x, x.detach()[order], share, share.detach()[order], p=p)
    assert value.item() == 0
    for gradient in gradients(value, x, a):
        assert (gradient == 0).all()


def test_gradients_in_weights_are_centred_potentials(rng):
    x, y = points(rng, 6, 2).detach(), points(rng, 4, 2).detach()
    a, b = (positive(rng, k).detach() for k in (6, 4))
    a, b = (a / a.sum()).requires_grad_(), (b / b.sum()).requires_grad_()
    result = ot.solve(x, y, a, b)
    for gradient, potential in zip(gradients(ot.wasserstein(x, y, a, b), a, b), (result.f, result.g), strict=True):
        np.testing.assert_array_equal(gradient.numpy(), potential - potential.mean())


def test_an_atom_of_no_mass_has_a_gradient(rng):
    x, y = points(rng, 3, 2), points(rng, 2, 2)
    a = torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64, requires_grad=True)
    in_x, in_a = gradients(ot.wasserstein(x, y, a, p=2), x, a)
    assert (in_x[2] == 0).all() and torch.isfinite(in_a).all()
    step = torch.tensor([-1e-7, 0.0, 1e-7], dtype=torch.float64)
    rise = ot.wasserstein(x, y, (a + step).detach(), p=2) - ot.wasserstein(x, y, a, p=2)
    assert rise.item() == pytest.approx((in_a @ step).item(), rel=1e-4)


def test_the_bottleneck_moves_with_one_longest_move():
    x = torch.tensor([[0.0, 0.0], [10.0, 0.0]], requires_grad=True)
    y = torch.tensor([[3.0, 4.0], [10.0, 1.0]], requires_grad=True)
    in_x, in_y = gradients(ot.wasserstein(x, y, p=INF), x, y)
    assert torch.equal(in_x, torch.tensor([[-0.6, -0.8], [0.0, 0.0]])) and torch.equal(in_y, -in_x)


@pytest.mark.parametrize("theta", [-2.0, -0.5, 0.0, 0.1, 1.0])
def test_the_theta_shift_has_slope_sign_theta(theta):
    height = torch.linspace(0, 1, 20, dtype=torch.float64)
    shift = torch.tensor(theta, dtype=torch.float64, requires_grad=True)
    moved = torch.stack((shift.expand(20), height), dim=1)
    value = ot.wasserstein(torch.stack((torch.zeros(20), height), dim=1), moved)
    (slope,) = gradients(value, shift)
    assert value.item() == pytest.approx(abs(theta), rel=1e-14)
    assert slope.item() == pytest.approx(np.sign(theta), rel=1e-14)


def test_single_precision_far_from_the_origin_keeps_the_gradient():
    y = torch.full((40, 3), 100.0) + torch.arange(40.0)[:, None]
    x = y.clone()
    x[:, 0] += 2.0**-10
    x.requires_grad_()
    value = ot.wasserstein(x, y)
    assert value.dtype == torch.float32 and value.item() == 2.0**-10
    (in_x,) = gradients(value, x)
    assert in_x.dtype == torch.float32
    torch.testing.assert_close(in_x, torch.tensor([1 / 40, 0, 0]).expand(40, 3), rtol=1e-6, atol=0)


@pytest.mark.parametrize("exponent", [-600, -150, 150, 500])
@pytest.mark.parametrize(("metric", "p"), [(metric, p) for metric, p in GROUND if metric != "sqeuclidean"])
def test_gradients_do_not_depend_on_the_unit_of_length(rng, metric, p, exponent):
    x, y = points(rng, 5, 2), points(rng, 7, 2)
    unit = 2.0**exponent
    plain = gradients(ot.wasserstein(x, y, p=p, metric=metric), x, y)
    scaled = [(points.detach() * unit).requires_grad_() for points in (x, y)]
    for a, b in zip(plain, gradients(ot.wasserstein(*scaled, p=p, metric=metric), *scaled), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-15)


def test_weights_of_a_cost_beyond_the_floats_are_refused_a_gradient():
    a = torch.tensor([0.5, 0.5], requires_grad=True)
    with pytest.raises(ValueError, match=r"`x` and `y` must keep the cost W\*\*p within .* but it is 0 at W = "):
        ot.wasserstein(np.array([0.0, 1e-200]), np.array([3e-200, 5e-200]), a, p=3)


def test_backward_keeps_the_pairs_of_the_plan_only(rng):
    n, m = 60, 80
    x, y = points(rng, n, 2), points(rng, m, 2)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        ot.wasserstein(x, y, p=2)
    assert kept and sum(kept) < 20 * (n + m) < n * m


@pytest.mark.parametrize("p", [1, 2, 3, INF])
def test_a_callable_metric_is_differentiated_like_the_named_one(rng, p):
    x, y = points(rng, 50, 2, dtype=torch.float32), points(rng, 40, 2, dtype=torch.float32)
    named = ot.wasserstein(x, y, p=p)
    called = ot.wasserstein(x, y, p=p, metric=euclidean)
    torch.testing.assert_close(named, called)
    for one, other in zip(gradients(named, x, y), gradients(called, x, y), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_parameters_inside_a_metric_get_gradients(rng):
    x, y = points(rng, 6, 2).detach(), points(rng, 6, 2).detach()
    scale = torch.tensor([1.0, 3.0], dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda s: ot.wasserstein(x, y, metric=lambda u, v: euclidean(u * s, v * s)), (scale,))


def test_a_metric_that_returns_no_tensor_is_refused_a_gradient(rng):
    def numbers(x, y):
        return np.abs(x.detach().numpy()[:, None, 0] - y.detach().numpy()[None, :, 0])

    x = points(rng, 3, 1)
    with pytest.raises(TypeError, match=r"`metric` must return a tensor .* but it returned a ndarray"):
        ot.wasserstein(x, x + 1, metric=numbers)
    with torch.no_grad():
        assert float(ot.wasserstein(x, x + 1, metric=numbers)) == pytest.approx(1)


def test_tensors_mix_with_arrays_and_lists():
    x = torch.tensor([[0.0], [1.0]], requires_grad=True)
    for y in ([[2.0], [5.0]], np.array([[2.0], [5.0]]), torch.tensor([[2.0], [5.0]])):
        assert gradients(ot.wasserstein(x, y), x)[0].tolist() == [[-0.5], [-0.5]]
        assert gradients(ot.wasserstein(y, x, [0.5, 0.5]), x)[0].tolist() == [[-0.5], [-0.5]]
    assert ot.wasserstein(torch.tensor([0, 1]), torch.tensor([2, 5])).dtype == torch.float32
    line = torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True)
    assert gradients(ot.wasserstein(line, [2.0, 5.0]), line)[0].tolist() == [-0.5, -0.5]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_solved_in_double(rng, dtype):
    x, y = (torch.tensor(rng.normal(size=(6, 2)), dtype=dtype, requires_grad=True) for _ in range(2))
    value = ot.wasserstein(x, y, p=2)
    assert value.dtype == dtype
    assert value.item() == torch.tensor(ot.wasserstein(x.double(), y.double(), p=2).item(), dtype=dtype).item()
    assert gradients(value, x)[0].dtype == dtype
    weights = torch.softmax(x[:, 0], 0)
    assert torch.isfinite(ot.wasserstein(x, y, weights))


def test_bad_tensors_are_named():
    x = torch.tensor([[0.0], [math.nan]], requires_grad=True)
    with pytest.raises(ValueError, match=r"`x` must be finite, but x\[1, 0\] = nan"):
        ot.wasserstein(x, torch.zeros(2, 1))
    with pytest.raises(TypeError, match="`x` must be real"):
        ot.wasserstein(torch.zeros(2, 1, dtype=torch.complex64), torch.zeros(2, 1))


@pytest.mark.gpu
def test_a_gpu_gets_its_results_back_where_its_points_are(rng):
    if not torch.cuda.is_available():
        pytest.skip("needs an NVIDIA GPU")
    host = [points(rng, 9, 2), points(rng, 7, 2)]
    device = [side.detach().cuda().requires_grad_() for side in host]
    value = ot.wasserstein(*device, p=2)
    assert value.device.type == "cuda"
    for one, other in zip(gradients(value, *device), gradients(ot.wasserstein(*host, p=2), *host), strict=True):
        torch.testing.assert_close(one.cpu(), other)


def test_tensors_on_a_gpu_come_to_the_host_without_cupy(rng, monkeypatch):
    monkeypatch.setattr(torch.Tensor, "is_cuda", True)
    monkeypatch.setattr(_resident, "find_spec", lambda name: None)
    x, y = points(rng, 6, 2).detach(), points(rng, 6, 2).detach()
    assert ot.wasserstein(x, y, p=3) > 0 and ot.linear_assignment(euclidean(x, y)).cost > 0
    monkeypatch.setattr(_resident, "find_spec", lambda name: True)
    assert _resident.on_gpu(x)


# Losses


@pytest.mark.parametrize("name", LOSSES)
def test_a_generator_learns_the_ring(name):
    torch.manual_seed(0)
    angles = torch.arange(64) * (2 * math.pi / 64)
    ring = 2 * torch.stack((angles.cos(), angles.sin()), dim=1)
    net = torch.nn.Sequential(torch.nn.Linear(2, 32), torch.nn.ReLU(), torch.nn.Linear(32, 2))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    loss_of = copy.deepcopy(LOSSES[name])
    latent = torch.randn(64, 2)
    before = ot.wasserstein(net(latent), ring).item()
    for _ in range(60):
        optimizer.zero_grad()
        loss = loss_of(net(torch.randn(64, 2)), ring[torch.randperm(64)])
        loss.backward()
        optimizer.step()
    assert loss.shape == () and loss.dtype == torch.float32
    assert ot.wasserstein(net(latent), ring).item() < 0.6 * before


@pytest.mark.parametrize("name", DIVERGENCES)
def test_logits_learn_a_histogram(name):
    target = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1]])
    logits = torch.zeros(2, 4, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.02)
    loss_of = DIVERGENCES[name](logits="q")
    for _ in range(400):
        optimizer.zero_grad()
        loss_of(target, logits).backward()
        optimizer.step()
    torch.testing.assert_close(logits.softmax(-1), target, rtol=0, atol=0.02)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_of_points_under_autocast_are_in_single_precision(rng, name):
    net, x, y = torch.nn.Linear(2, 2), torch.randn(16, 2), torch.randn(16, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        fake = net(x)
        loss = LOSSES[name](fake, y)
    assert fake.dtype == torch.bfloat16 and loss.dtype == torch.float32
    loss.backward()
    assert all(torch.isfinite(weight.grad).all() and weight.grad.abs().sum() > 0 for weight in net.parameters())


@pytest.mark.parametrize("name", DIVERGENCES)
def test_losses_of_vectors_under_autocast_are_in_single_precision(name):
    net = torch.nn.Linear(3, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = DIVERGENCES[name](logits="p")(net(torch.randn(5, 3)), torch.full((4,), 0.25))
    assert loss.dtype == torch.float32
    loss.backward()
    assert torch.isfinite(net.weight.grad).all()


@pytest.mark.filterwarnings("ignore")  # the compiler's own
def test_every_loss_breaks_a_compiled_graph_cleanly():
    torch._dynamo.reset()
    net = torch.nn.Linear(2, 2)
    sliced = losses.SlicedWassersteinLoss(n_projections=5, seed=0)

    def step(x, y):
        fake = net(x) * 2
        value = losses.WassersteinLoss(p=2)(fake, y) + sliced(fake, y) * 3 + ot.wasserstein(fake, y)
        for divergence in DIVERGENCES.values():
            value = value + divergence(logits="pq")(fake, y)
        return value + fake.mean()

    x, y = torch.randn(8, 2), torch.randn(8, 2)
    compiled = torch.compile(step, backend="eager")
    for _ in range(2):
        torch.testing.assert_close(compiled(x, y), step(x, y))
        expected = gradients(step(x, y), *net.parameters())
        for one, other in zip(gradients(compiled(x, y), *net.parameters()), expected, strict=True):
            torch.testing.assert_close(one, other)
    torch._dynamo.reset()


@pytest.mark.parametrize("reduction", losses.REDUCTIONS)
def test_reductions_are_over_the_batch(rng, reduction):
    x, y = points(rng, 3, 6, 2), points(rng, 3, 6, 2)
    expected = ot.wasserstein(x, y)
    expected = expected if reduction == "none" else getattr(expected, reduction)()
    torch.testing.assert_close(losses.WassersteinLoss(reduction=reduction)(x, y), expected)
    one_by_one = torch.stack([losses.SlicedWassersteinLoss(seed=1)(u, v) for u, v in zip(x, y, strict=True)])
    expected = one_by_one if reduction == "none" else getattr(one_by_one, reduction)()
    torch.testing.assert_close(losses.SlicedWassersteinLoss(seed=1, reduction=reduction)(x, y), expected)
    p, q = x[..., 0].softmax(-1), y[..., 0].softmax(-1)
    expected = ot.kl_divergence(p, q)
    expected = expected if reduction == "none" else getattr(expected, reduction)()
    torch.testing.assert_close(losses.KLLoss(reduction=reduction)(p, q), expected)


@pytest.mark.parametrize("name", DIVERGENCES)
@pytest.mark.parametrize("logits", ["", "p", "q", "pq"])
def test_divergence_losses_are_the_functions_of_that_name(rng, name, logits):
    function = {"kl": ot.kl_divergence, "js": ot.js_divergence, "tv": ot.total_variation}[name]
    z, w = points(rng, 5), points(rng, 5)
    p, q = z.softmax(-1), w.softmax(-1)
    loss = DIVERGENCES[name](logits=logits)(z if "p" in logits else p, w if "q" in logits else q)
    torch.testing.assert_close(loss, function(p, q), rtol=1e-14, atol=0)


@pytest.mark.parametrize("d", [1, 2, 5])
@pytest.mark.parametrize("near", [False, True])
def test_the_gaussian_distance_has_the_gradient_of_finite_differences(rng, d, near):
    mean, root, other = points(rng, d), points(rng, d, d), points(rng, d, d)
    one = torch.eye(d, dtype=torch.float64)
    fixed = (root @ root.T).detach() + 1.0001 * one

    def distance(mean, root, other):
        cov_x = root @ root.T + one
        return ot.gaussian_wasserstein(mean, cov_x, 0 * mean, fixed if near else other @ other.T + one)

    assert gradcheck(distance, (mean, root, other.requires_grad_(not near)))


def test_the_gaussian_distance_of_tensors_is_a_tensor_of_their_kind():
    variance = torch.tensor(4.0, requires_grad=True)
    distance = ot.gaussian_wasserstein(0.0, variance, torch.tensor(3.0), 25)
    distance.backward()
    assert distance.dtype == torch.float32 and distance.item() == pytest.approx(math.sqrt(18))
    assert variance.grad.item() == pytest.approx((2 - 5) / (2 * math.sqrt(18) * 2))
    assert not ot.gaussian_wasserstein(torch.zeros(2), torch.eye(2), [1, 0], torch.eye(2)).requires_grad
    cov = torch.eye(2, requires_grad=True)
    ot.gaussian_wasserstein(torch.zeros(2), cov, torch.zeros(2), torch.eye(2)).backward()
    assert (cov.grad == 0).all()


@pytest.mark.parametrize("gap", [600.0, 680.0, 720.0, 744.0, 1e4, 1e30])
@pytest.mark.parametrize("logits", ["q", "pq"])
def test_kl_of_logits_is_finite_however_far_they_lie_apart(gap, logits):
    z = torch.tensor([[0.0, -gap, -5.0], [0.0, 1.0, 2.0]], dtype=torch.float64, requires_grad=True)
    w = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64).log().requires_grad_()
    loss_of = losses.KLLoss(logits=logits, reduction="none")
    values = loss_of(w if "p" in logits else w.softmax(0), z)
    p, log_q = w.softmax(0).detach(), z.detach().log_softmax(-1)
    torch.testing.assert_close(values.detach(), (p * (p.log() - log_q)).sum(-1), rtol=1e-13, atol=0)
    in_z, in_w = gradients(values.sum(), z, w)
    torch.testing.assert_close(in_z, log_q.exp() - p, rtol=1e-12, atol=1e-15)
    log_ratio = (p.log() - log_q).sum(0)
    torch.testing.assert_close(in_w, p * (log_ratio - p @ log_ratio), rtol=1e-12, atol=1e-15)


def test_kl_of_a_forbidden_logit_is_infinite_only_where_data_are():
    z = torch.tensor([0.0, -INF, -1e3], requires_grad=True)
    loss = losses.KLLoss(logits="q")(torch.tensor([0.5, 0.0, 0.5]), z)
    loss.backward()
    assert loss.item() == pytest.approx(500 - math.log(2))
    assert z.grad.tolist() == [0.5, 0.0, -0.5]
    assert losses.KLLoss(logits="q")(torch.tensor([0.5, 0.5, 0.0]), z).item() == INF


def test_debiased_loss_is_zero_in_the_mean_for_equal_laws(rng):
    plain, debiased = losses.WassersteinLoss(), losses.WassersteinLoss(debias=True)
    draws = [(points(rng, 32, 2), points(rng, 32, 2)) for _ in range(60)]
    values = [debiased(x, y).item() for x, y in draws]
    floor = np.mean([plain(x, y).item() for x, y in draws])
    assert floor > 0.3
    assert abs(np.mean(values)) < 4 * np.std(values) / math.sqrt(len(values)) < 0.3 * floor


def test_debiased_loss_is_its_formula(rng):
    x, y = points(rng, 5, 2), points(rng, 6, 2)
    halves = (x[:3], x[3:]), (y[:3], y[3:])
    between = sum(ot.wasserstein(u, v) for u, v in itertools.product(*halves)) / 4
    expected = between - (ot.wasserstein(*halves[0]) + ot.wasserstein(*halves[1])) / 2
    torch.testing.assert_close(losses.WassersteinLoss(debias=True)(x, y), expected)


def test_features_are_compared_and_trained(rng):
    net = torch.nn.Linear(4, 2)
    loss_of = losses.WassersteinLoss(features=torch.nn.Sequential(torch.nn.Flatten(), net))
    images, other = torch.randn(6, 1, 2, 2), torch.randn(6, 1, 2, 2)
    loss = loss_of(images, other)
    torch.testing.assert_close(loss, ot.wasserstein(net(images.flatten(1)), net(other.flatten(1))))
    loss.backward()
    assert list(loss_of.parameters()) == list(net.parameters()) and net.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("p", [1, 1.5, 2, 3])
@pytest.mark.parametrize(("n", "m", "weighted"), [(6, 6, False), (5, 8, False), (6, 4, True)])
def test_sliced_loss_is_the_sliced_distance(rng, p, n, m, weighted):
    x, y = points(rng, n, 3), points(rng, m, 3)
    weights = [(w / w.sum()).detach() for w in (positive(rng, n), positive(rng, m))] if weighted else []
    loss = losses.SlicedWassersteinLoss(p=p, n_projections=16, seed=5)(x + 1e3, y + 1e3, *weights)
    expected = ot.sliced_wasserstein(x + 1e3, y + 1e3, *weights, p=p, n_projections=16, seed=5)
    assert loss.item() == pytest.approx(expected.value, rel=1e-11)


@pytest.mark.parametrize("p", [1, 1.5, 2, 3])
def test_sliced_loss_has_the_gradient_of_finite_differences(rng, p):
    loss_of = losses.SlicedWassersteinLoss(p=p, n_projections=4, seed=0)
    assert gradcheck(loss_of, (points(rng, 5, 2), points(rng, 5, 2)))

    def weighted(x, y, a, b):
        return loss_of(x, y, a / a.sum(), b / b.sum())

    assert gradcheck(weighted, (points(rng, 3, 2), points(rng, 4, 2), positive(rng, 3), positive(rng, 4)))


def test_sliced_loss_on_a_line_is_the_distance(rng):
    x, y = points(rng, 7, 1), points(rng, 4, 1)
    loss = losses.SlicedWassersteinLoss(p=2, n_projections=3)(x, y)
    assert loss.item() == pytest.approx(ot.wasserstein(x, y, p=2).item(), rel=1e-13)


@pytest.mark.parametrize("p", [1, 1.5, 2])
def test_sliced_loss_of_equal_points_has_gradient_zero(rng, p):
    x = points(rng, 5, 2)
    loss = losses.SlicedWassersteinLoss(p=p)(x, x.detach().flip(0))
    assert loss.item() == 0 and (gradients(loss, x)[0] == 0).all()
    same = torch.ones(4, 2, requires_grad=True)
    assert (gradients(losses.SlicedWassersteinLoss(p=p)(same, torch.ones(3, 2)), same)[0] == 0).all()


def test_sliced_loss_draws_from_the_generator_of_torch(rng):
    x, y = points(rng, 6, 3), points(rng, 6, 3)
    loss_of = losses.SlicedWassersteinLoss(n_projections=2)
    torch.manual_seed(3)
    first, second = loss_of(x, y).item(), loss_of(x, y).item()
    torch.manual_seed(3)
    assert loss_of(x, y).item() == first != second
    fixed = losses.SlicedWassersteinLoss(n_projections=2, seed=3)
    assert fixed(x, y).item() == fixed(x, y).item()


def test_losses_are_ordinary_modules():
    loss_of = losses.WassersteinLoss(p=2, metric="cityblock", features=torch.nn.Linear(2, 2))
    assert "p=2" in repr(loss_of) and "metric='cityblock'" in repr(loss_of) and "Linear" in repr(loss_of)
    again = losses.WassersteinLoss(p=2, metric="cityblock", features=torch.nn.Linear(2, 2))
    again.load_state_dict(loss_of.state_dict())
    x, y = torch.randn(5, 2), torch.randn(5, 2)
    assert again(x, y).item() == loss_of(x, y).item() == copy.deepcopy(loss_of)(x, y).item()


BAD = {
    "reduction": (lambda: losses.KLLoss(reduction="batchmean"), "`reduction` must be one of 'mean', 'sum', 'none'"),
    "logits": (lambda: losses.JSLoss(logits="x"), "`logits` must name the arguments .* it is 'x'"),
    "order": (lambda: losses.SlicedWassersteinLoss(p=INF), "`p` must be finite for the sliced distance, but p = inf"),
    "order below 1": (lambda: losses.WassersteinLoss(p=0.3), "`p` must be at least 1, but p = 0.3"),
    "metric": (lambda: losses.WassersteinLoss(metric="manhattan"), "`metric` must be one of 'euclidean'"),
    "directions": (lambda: losses.SlicedWassersteinLoss(n_projections=0), "`n_projections` must be at least 1"),
    "sliced shapes": (
        lambda: losses.SlicedWassersteinLoss()(torch.ones(3, 2), torch.ones(3, 1)),
        r"`x` and `y` must have shapes .* are \(3, 2\) and \(3, 1\)",
    ),
    "sliced line": (lambda: losses.SlicedWassersteinLoss()(torch.ones(3), torch.ones(3, 1)), "`x` must have shape"),
    "sliced nan": (
        lambda: losses.SlicedWassersteinLoss()(torch.ones(3, 1), torch.full((3, 1), math.nan)),
        r"`y` must be finite, but y\[0, 0\] = nan",
    ),
    "sliced weights": (
        lambda: losses.SlicedWassersteinLoss()(torch.ones(2, 1), torch.ones(2, 1), torch.tensor([1.0, -1.0])),
        r"`a` must be non-negative, but a\[1\] = -1",
    ),
    "sliced masses": (
        lambda: losses.SlicedWassersteinLoss()(torch.ones(2, 1), torch.ones(2, 1), torch.tensor([1.0, 1.0])),
        "`a` and `b` must have the same positive sum, but they sum to 2 and 1",
    ),
    "sliced masses of a batch": (
        lambda: losses.SlicedWassersteinLoss()(torch.ones(2, 1, 1), torch.ones(2, 1, 1), torch.tensor([[1.0], [2.0]])),
        r"`a\[1\]` and `b\[1\]` must have the same positive sum, but they sum to 2 and 1",
    ),
    "sliced weights' shape": (
        lambda: losses.SlicedWassersteinLoss()(torch.ones(2, 1), torch.ones(2, 1), torch.ones(3)),
        r"`a` must have shape \(2,\)",
    ),
    "debiased weights": (
        lambda: losses.WassersteinLoss(debias=True)(torch.ones(2, 1), torch.ones(2, 1), torch.ones(2) / 2),
        "`a` and `b` must be left out with debias=True",
    ),
    "debiased point": (
        lambda: losses.WassersteinLoss(debias=True)(torch.ones(1, 1), torch.ones(2, 1)),
        r"`x` must hold at least two points, .* its shape is \(1, 1\)",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_use_of_a_loss_is_refused(name):
    call, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: losses.KLLoss()(np.ones(1), torch.ones(1)), "`p` must be a tensor, but it is a ndarray. Convert it: "),
        (lambda: losses.TVLoss()(torch.ones(1), [1.0]), "`q` must be a tensor, but it is a list. Convert it: torch.as"),
        (lambda: losses.WassersteinLoss()([[1.0]], torch.ones(1, 1)), "`x` must be a tensor, but it is a list"),
        (lambda: losses.WassersteinLoss(debias=True)(torch.ones(2, 1), np.ones((2, 1))), "`y` must be a tensor"),
        (lambda: losses.WassersteinLoss(features=3), "`features` must be a function of points, but it is 3"),
        (lambda: losses.WassersteinLoss(p="2"), "`p` must be a number, but it is '2'"),
        (lambda: losses.SlicedWassersteinLoss()(torch.ones(1, 1), torch.ones(1, 1), [1.0]), "`a` must be a tensor"),
        (lambda: losses.SlicedWassersteinLoss(n_projections=2.5), "`n_projections` must be at least 1, an integer"),
        (lambda: losses.SlicedWassersteinLoss(n_projections=True), "`n_projections` must be at least 1, an integer"),
        (lambda: losses.SlicedWassersteinLoss(seed="a"), "`seed` must be an integer >= 0, a Generator or None"),
    ],
)
def test_what_is_no_tensor_or_no_number_is_named(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_losses_of_integers_are_real():
    points = torch.tensor([[0], [2]])
    assert losses.SlicedWassersteinLoss()(points, points + 1).item() == 1.0
    assert losses.TVLoss()(torch.tensor([1, 0]), torch.tensor([0, 1])).item() == 1.0


def test_without_torch_the_losses_say_how_to_get_it():
    script = "import sys; sys.modules['torch'] = None; import ot_distances.losses"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "`ot_distances.losses` needs the package 'torch': pip install 'ot_distances[torch]'" in run.stderr


def test_tensors_do_not_load_the_compiler():
    """It takes longer to load than everything else here together."""
    script = (
        "import sys, torch, ot_distances as ot; x = torch.zeros(2, 1, requires_grad=True); "
        "ot.wasserstein(x, [[1.0], [2.0]]).backward(); sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
