"""The distances as training losses: `torch.nn.Module` objects over the public functions. Needs torch.

Each works in an ordinary training loop, under `torch.autocast` (half precision in, float32 out) and inside
`torch.compile`, where it breaks the graph once: solvers are not traced. docs/gradients.md says what each gradient is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import js_divergence, kl_divergence, sliced_wasserstein, total_variation, wasserstein
from ._arrays import require

try:
    import torch
    from torch import Tensor, nn
except ImportError:
    require("torch", "`ot_distances.losses`")  # says how to get it
    raise

__all__ = ["JSLoss", "KLLoss", "SlicedWassersteinLoss", "TVLoss", "WassersteinLoss"]

_untraced: Callable[[Callable[..., Tensor]], Callable[..., Tensor]] = torch.compiler.disable

REDUCTIONS = ("mean", "sum", "none")

# Probabilities below so many smallest normal numbers may have lost digits that their logits still have.
VANISHED = 2.0**60

# Relative difference of two total masses that is taken for rounding.
MASS_TOLERANCE = 1e-4


class _Loss(nn.Module):
    """What all losses share: how the values of a batch become one number."""

    def __init__(self, reduction: str) -> None:
        super().__init__()
        if reduction not in REDUCTIONS:
            raise ValueError(
                f"`reduction` must be one of {', '.join(map(repr, REDUCTIONS))}, but it is {reduction!r}. Pick one."
            )
        self.reduction = reduction

    def _reduced(self, values: Tensor) -> Tensor:
        values = _single(values)
        return values if self.reduction == "none" else getattr(values, self.reduction)()

    def extra_repr(self) -> str:
        """The settings, as `print(loss)` shows them."""
        plain = (bool, int, float, str)
        shown = {k: v for k, v in vars(self).items() if k[0] != "_" and k != "training" and isinstance(v, plain)}
        return ", ".join(f"{name}={value!r}" for name, value in shown.items())


class WassersteinLoss(_Loss):
    """The exact Wasserstein distance W_p between two batches of points, as a loss.

    ``loss(x, y)`` is ``wasserstein(x, y, p=p, metric=metric)``: the distance, not its p-th power. For the mean squared
    length of the moves, W_2^2, pass ``metric="sqeuclidean"`` with p = 1.

    Parameters
    ----------
    p : float, default 1
        Order, 1 <= p <= inf.
    metric : str or callable, default "euclidean"
        As in `wasserstein`; a callable takes two tensors of points, (k, d) and (l, d), and returns their (k, l)
        distances. Parameters inside of it are trained.
    features : callable, optional
        Applied to both sides before they are compared; the distance is then one between features, 0 also where
        features agree and points do not. A module becomes a part of the loss: its parameters are the loss's.
        `torch.nn.Flatten()` turns images into points.
    debias : bool, default False
        Two samples of one law are apart, so that W between batches prefers a law that is too narrow. With debias the
        batches x and y are halved, and the loss is the mean of W over the four pairs of a half of x with a half of y,
        less W(x1, x2) / 2 and W(y1, y2) / 2 (Salimans et al., 2018). Its mean is 0 for equal laws; in one batch it
        may be negative. Six solves of half the size. Rows must be in random order.
    reduction : {"mean", "sum", "none"}
        Over the problems of a batch (B, n, d).

    Notes
    -----
    A mini-batch loss is one between samples: it exceeds the distance of the laws by O(m**(-1/d)).

    References
    ----------
    T. Salimans, H. Zhang, A. Radford and D. Metaxas, Improving GANs using optimal transport, ICLR 2018.
    K. Fatras, Y. Zine, R. Flamary, R. Gribonval and N. Courty, Learning with minibatch Wasserstein, AISTATS 2020.

    Examples
    --------
    >>> import torch
    >>> from ot_distances.losses import WassersteinLoss
    >>> x = torch.tensor([[0.0, 0.0], [0.0, 4.0]], requires_grad=True)
    >>> loss = WassersteinLoss()(x, torch.tensor([[3.0, 4.0], [3.0, 0.0]]))
    >>> loss.backward()
    >>> loss.item(), x.grad.tolist()
    (3.0, [[-0.5, 0.0], [-0.5, 0.0]])
    """

    def __init__(
        self,
        p: float = 1,
        metric: str | Callable[[Tensor, Tensor], Tensor] = "euclidean",
        *,
        features: Callable[[Tensor], Tensor] | None = None,
        debias: bool = False,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction)
        known: Any = "euclidean" if callable(metric) else metric
        wasserstein([0.0], [0.0], p=p, metric=known)  # refuses what every batch would be refused for
        if features is not None and not callable(features):
            raise TypeError(f"`features` must be a function of points, but it is {features!r}. Pass a module, or None.")
        self.metric: Any = metric
        self.p, self.features, self.debias = p, features, debias

    def forward(self, x: Tensor, y: Tensor, a: Tensor | None = None, b: Tensor | None = None) -> Tensor:
        """The loss of points x (n, d) and y (m, d) with optional weights a (n,) and b (m,); or of a batch of them."""
        if self.features is not None:
            x, y = self.features(x), self.features(y)
        _require_tensors(x=x, y=y)
        x, y = _single(x), _single(y)
        if not self.debias:
            return self._reduced(self._distance(x, y, a, b))
        if a is not None or b is not None:
            raise ValueError("`a` and `b` must be left out with debias=True, which halves batches of equal weights.")
        (x1, x2), (y1, y2) = _halves(x, "x"), _halves(y, "y")
        between = sum(self._distance(u, v) for u in (x1, x2) for v in (y1, y2))
        return self._reduced(between / 4 - (self._distance(x1, x2) + self._distance(y1, y2)) / 2)

    def _distance(self, x: Tensor, y: Tensor, a: Tensor | None = None, b: Tensor | None = None) -> Any:
        return wasserstein(x, y, a, b, p=self.p, metric=self.metric)


class SlicedWassersteinLoss(_Loss):
    """The sliced Wasserstein distance of order p: exact distances on a line, averaged over directions.

    ``(mean over directions w of W_p(x w, y w)**p) ** (1/p)``, at most W_p, by sorting: cheap at any batch size.

    Parameters
    ----------
    p : float, default 2
        Order, 1 <= p < inf.
    n_projections : int, default 128
        Directions per call.
    seed : int, optional
        The same directions in every call, those of ``sliced_wasserstein(..., seed=seed)``. By default each call draws
        its own from torch's generator, so that the gradient is unbiased for that of the mean over all directions.
    reduction : {"mean", "sum", "none"}
        Over the problems of a batch (B, n, d).

    Notes
    -----
    O(n_projections (n + m) (d + log(n + m))) time; in float64 on the points' own device.

    References
    ----------
    N. Bonneel, J. Rabin, G. Peyré and H. Pfister, Sliced and Radon Wasserstein barycenters of measures, JMIV 2015.

    Examples
    --------
    >>> import torch
    >>> from ot_distances.losses import SlicedWassersteinLoss
    >>> SlicedWassersteinLoss(p=1)(torch.tensor([[0.0], [1.0]]), torch.tensor([[5.0], [2.0]]))
    tensor(3.)
    """

    def __init__(
        self, p: float = 2, n_projections: int = 128, *, seed: int | None = None, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction)
        whole = isinstance(n_projections, (int, np.integer)) and not isinstance(n_projections, bool)
        if not whole or n_projections < 1:
            raise (ValueError if whole else TypeError)(
                f"`n_projections` must be at least 1, an integer, but it is {n_projections!r}. Pass 128, say."
            )
        sliced_wasserstein([0.0], [0.0], p=p, seed=seed)  # refuses what every batch would be refused for
        self.p, self.n_projections, self.seed = p, n_projections, seed

    @_untraced
    def forward(self, x: Tensor, y: Tensor, a: Tensor | None = None, b: Tensor | None = None) -> Tensor:
        """The loss of points x (n, d) and y (m, d) with optional weights a (n,) and b (m,); or of a batch of them."""
        _require_tensors(x=x, y=y, a=a, b=b)
        dtype = _dtype(x, y)
        x, y = _points(x, "x"), _points(y, "y")
        if x.shape[-1] != y.shape[-1] or x.shape[:-2] != y.shape[:-2]:
            raise ValueError(
                f"`x` and `y` must have shapes (n, d) and (m, d), or (B, n, d) and (B, m, d), but their shapes are "
                f"{tuple(x.shape)} and {tuple(y.shape)}."
            )
        directions = self._directions(x.shape[-1]).to(x)
        # Offsets would cost digits in the products, and units in the powers: both are taken out first.
        origin = x.detach().mean(-2, keepdim=True)
        x, y = x - origin, y - origin
        unit = max(float(x.detach().abs().max()), float(y.detach().abs().max())) or 1.0
        # (..., directions, n) and (..., directions, m), each row in order
        (x_line, x_order), (y_line, y_order) = (
            torch.sort(torch.einsum("...nd,ld->...ln", points / unit, directions)) for points in (x, y)
        )
        if a is None and b is None and x.shape[-2] == y.shape[-2]:
            costs = (x_line - y_line).abs().pow(self.p).mean(-1)
        else:
            a, b = _weights(a, x, "a"), _weights(b, y, "b")
            _require_balance(a, b)
            costs = _line_costs(x_line, y_line, _in_order(a, x_order), _in_order(b, y_order), self.p)
        mean = costs.mean(-1)
        # At 0, a kink, the subgradient 0: the inner `where` keeps the root's infinite slope out of the chain rule.
        value = torch.where(mean > 0, torch.where(mean > 0, mean, 1.0) ** (1 / self.p), 0.0) * unit
        return self._reduced(value.to(dtype))

    def _directions(self, d: int) -> Tensor:
        if self.seed is None:
            normal = torch.randn(self.n_projections, d, dtype=torch.float64)
        else:
            normal = torch.from_numpy(np.random.default_rng(self.seed).normal(size=(self.n_projections, d)))
        return normal / torch.linalg.vector_norm(normal, dim=1, keepdim=True)


class _DivergenceLoss(_Loss):
    """A divergence between probability vectors along the last axis."""

    divergence: Callable[..., Any]

    def __init__(self, *, logits: str = "", reduction: str = "mean") -> None:
        super().__init__(reduction)
        if logits not in ("", "p", "q", "pq"):
            raise ValueError(
                f"`logits` must name the arguments that hold logits, '', 'p', 'q' or 'pq', but it is {logits!r}."
            )
        self.logits = logits

    @_untraced
    def forward(self, p: Tensor, q: Tensor) -> Tensor:
        """The loss of probability vectors p and q, (..., k); leading axes broadcast."""
        _require_tensors(p=p, q=q)
        dtype = _dtype(p, q)
        left, right = (_softmax(side) if name in self.logits else side for name, side in (("p", p), ("q", q)))
        return self._reduced(self._between(left, right, q).to(dtype))

    def _between(self, p: Tensor, q: Tensor, given: Tensor) -> Any:
        """The divergence of the vectors; `given` is q as it came."""
        return type(self).divergence(p, q)


class KLLoss(_DivergenceLoss):
    """The Kullback-Leibler divergence KL(p || q), in nats, as a loss: `kl_divergence` of probability vectors.

    Unlike `torch.nn.KLDivLoss` it takes probabilities, in the order of the formula. Data first, ``loss(data, model)``,
    is maximum likelihood; it is inf where the model excludes what the data hold, and so wants a softmax. Logits of q
    may lie any distance apart: where their softmax vanishes in floating point, its logarithm is used.

    Parameters
    ----------
    logits : {"", "p", "q", "pq"}
        Which of the two arguments hold logits: their softmax, in float64, is the vector.
    reduction : {"mean", "sum", "none"}
        Over the leading axes.

    Examples
    --------
    >>> import torch
    >>> from ot_distances.losses import KLLoss
    >>> z = torch.zeros(2, requires_grad=True)
    >>> loss = KLLoss(logits="q")(torch.tensor([0.75, 0.25]), z)
    >>> loss.backward()
    >>> z.grad
    tensor([-0.2500,  0.2500])
    """

    divergence = staticmethod(kl_divergence)

    def _between(self, p: Tensor, q: Tensor, given: Tensor) -> Any:
        values = super()._between(p, q, given)
        if "q" not in self.logits:
            return values
        p = _double(p)
        vanished = (p > 0) & (q < VANISHED * torch.finfo(q.dtype).tiny)
        if not bool(vanished.any()):
            return values
        # The inner `where` keep infinite slopes at p = 0 out of the chain rule.
        log_q = torch.where(p > 0, _double(given).log_softmax(-1), 0.0)
        terms = p * (torch.where(p > 0, p, 1.0).log() - log_q) - p + q
        return torch.where(vanished.any(-1), terms.sum(-1), values)


class JSLoss(_DivergenceLoss):
    """The Jensen-Shannon divergence, in nats, as a loss: `js_divergence` of probability vectors, in [0, log 2].

    Where p and q share no atom it is log 2 whatever the atoms are, and its gradient says nothing about them: a law on
    points that move is trained with `WassersteinLoss`.

    Parameters
    ----------
    logits : {"", "p", "q", "pq"}
        Which of the two arguments hold logits: their softmax, in float64, is the vector.
    reduction : {"mean", "sum", "none"}
        Over the leading axes.

    Examples
    --------
    >>> import torch
    >>> from ot_distances.losses import JSLoss
    >>> JSLoss()(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]))
    tensor(0.6931)
    """

    divergence = staticmethod(js_divergence)


class TVLoss(_DivergenceLoss):
    """The total variation distance as a loss: `total_variation` of probability vectors, in [0, 1].

    Its gradient is a sign for each atom, 0 where p and q agree.

    Parameters
    ----------
    logits : {"", "p", "q", "pq"}
        Which of the two arguments hold logits: their softmax, in float64, is the vector.
    reduction : {"mean", "sum", "none"}
        Over the leading axes.

    Examples
    --------
    >>> import torch
    >>> from ot_distances.losses import TVLoss
    >>> TVLoss()(torch.tensor([[0.5, 0.5], [1.0, 0.0]]), torch.tensor([0.25, 0.75]))
    tensor(0.5000)
    """

    divergence = staticmethod(total_variation)


def _single(value: Tensor) -> Tensor:
    """At least float32: what autocast made of the points would round the loss to three digits."""
    return value.float() if value.dtype in (torch.float16, torch.bfloat16) else value


def _dtype(x: Tensor, y: Tensor) -> torch.dtype:
    """Of a loss between the two."""
    dtype = torch.promote_types(_single(x).dtype, _single(y).dtype)
    return dtype if dtype.is_floating_point else torch.get_default_dtype()


def _require_tensors(**arguments: Any) -> None:
    for name, value in arguments.items():
        if value is not None and not isinstance(value, Tensor):
            raise TypeError(
                f"`{name}` must be a tensor, but it is a {type(value).__name__}. Convert it: torch.as_tensor({name})."
            )


def _double(value: Tensor) -> Tensor:
    return value.to(torch.float32 if value.device.type == "mps" else torch.float64)  # Apple's GPUs have no float64


def _softmax(logits: Tensor) -> Tensor:
    return _double(logits).softmax(-1)


def _halves(points: Tensor, name: str) -> tuple[Tensor, ...]:
    if points.ndim < 2 or points.shape[-2] < 2:
        raise ValueError(
            f"`{name}` must hold at least two points, (n, d) or (B, n, d), with debias=True, but its shape is "
            f"{tuple(points.shape)}."
        )
    return points.tensor_split(2, dim=-2)


def _points(value: Tensor, name: str) -> Tensor:
    _require_real(value, name)
    if value.ndim not in (2, 3) or 0 in value.shape:
        raise ValueError(f"`{name}` must have shape (n, d) or (B, n, d), but its shape is {tuple(value.shape)}.")
    _refuse(~torch.isfinite(value), value, name, "finite")
    return _double(value)


def _require_real(value: Tensor, name: str) -> None:
    if value.is_complex():
        raise TypeError(f"`{name}` must be real, but it has dtype {value.dtype}. Pass its real and imaginary parts.")


def _weights(value: Tensor | None, points: Tensor, name: str) -> Tensor:
    """(..., n) weights, uniform if none are given."""
    shape = points.shape[:-1]
    if value is None:
        return points.new_full(shape, 1 / shape[-1])
    _require_real(value, name)
    if value.shape not in (shape, shape[-1:]):
        raise ValueError(
            f"`{name}` must have shape {tuple(shape)} or {tuple(shape[-1:])}, one weight for each point, but its "
            f"shape is {tuple(value.shape)}."
        )
    _refuse(~torch.isfinite(value), value, name, "finite")
    _refuse(value < 0, value, name, "non-negative")
    return _double(value).expand(shape)


def _refuse(bad: Tensor, values: Tensor, name: str, rule: str) -> None:
    if bool(bad.any()):
        index = tuple(torch.nonzero(bad)[0].tolist())
        raise ValueError(f"`{name}` must be {rule}, but {name}[{', '.join(map(str, index))}] = {float(values[index])}.")


def _require_balance(a: Tensor, b: Tensor) -> None:
    mass_a, mass_b = a.detach().sum(-1), b.detach().sum(-1)
    bad = ((mass_a - mass_b).abs() > MASS_TOLERANCE * torch.maximum(mass_a, mass_b)) | (mass_a <= 0)
    if bool(bad.any()):
        worst = int(bad.flatten().to(torch.uint8).argmax())
        where = f"[{worst}]" if bad.ndim else ""
        raise ValueError(
            f"`a{where}` and `b{where}` must have the same positive sum, but they sum to "
            f"{float(mass_a.flatten()[worst]):.10g} and "
            f"{float(mass_b.flatten()[worst]):.10g}. Normalise both: a / a.sum(), b / b.sum()."
        )


def _in_order(weights: Tensor, order: Tensor) -> Tensor:
    """(..., n) weights in the order of each projection, (..., directions, n)."""
    return weights[..., None, :].expand(order.shape).gather(-1, order)


def _line_costs(x: Tensor, y: Tensor, a: Tensor, b: Tensor, p: float) -> Tensor:
    """W_p**p on a line, along the last axis of sorted points: both quantile functions are constant between cuts."""
    x_ends = a.cumsum(-1)
    y_ends = b.cumsum(-1) * (x_ends[..., -1:] / b.sum(-1, keepdim=True)).detach()
    cuts = torch.cat((x_ends, y_ends), -1).sort().values
    mass = cuts.diff(dim=-1, prepend=torch.zeros_like(cuts[..., :1]))
    i, j = (
        torch.searchsorted(ends.detach().contiguous(), cuts.detach()).clamp(max=ends.shape[-1] - 1)
        for ends in (x_ends, y_ends)
    )
    return (mass * (x.gather(-1, i) - y.gather(-1, j)).abs().pow(p)).sum(-1)
