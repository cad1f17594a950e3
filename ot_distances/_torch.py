"""Distances and costs as tensors that know their gradients. Imported only once a tensor has arrived.

The envelope theorem is the whole idea (docs/gradients.md). At the optimum a small move of the points changes the cost
as if the plan stood still, and a small change of the weights changes it by the potentials. So the solver stays outside
of the graph, and what is kept for backward is a cost for each pair of the plan, never the n x m matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial, wraps
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.forward_ad import unpack_dual
from torch.autograd.function import once_differentiable

from ._arrays import to_numpy
from .problem import Array, Solved, Transport

# A metric of the user's takes blocks of points. It sees the pairs of a plan so many at a time, in a block of which the
# diagonal is used.
PAIRS = 32

# Differences outside of this range are scaled before they are squared.
SAFE = 2.0**-400, 2.0**400

# Between these, potentials in the user's units have kept all digits that a gradient needs.
COSTS = 2.0**-900, 2.0**1000

# d(x_k, y_k) from the differences, (k, d) -> (k,). Each row has the subgradient 0 where points coincide.
DISTANCES: dict[str, Callable[[Tensor], Tensor]] = {
    "euclidean": lambda difference: torch.linalg.vector_norm(difference, dim=-1),
    "sqeuclidean": lambda difference: difference.square().sum(-1),
    "cityblock": lambda difference: difference.abs().sum(-1),
    "chebyshev": lambda difference: difference.abs().amax(-1),
}


def untraced(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, before which torch.compile breaks the graph: no solver is traced.

    `torch.compiler.disable` loads the compiler, seconds that a program without it need not spend: only a trace asks.
    """

    @wraps(function)
    def call(*args: Any) -> Any:
        if torch.compiler.is_compiling():
            return torch.compiler.disable(function)(*args)  # type: ignore[no-untyped-call]
        return function(*args)

    return call


@untraced
def wasserstein(
    x: Any,
    y: Any,
    a: Any,
    b: Any,
    p: float,
    metric: str | Callable[..., Any],
    transports: Callable[..., Solved],
) -> Tensor:
    """W_p of tensors, (B,) or 0-d, in their dtype and on their device; `transports` solves what is detached."""
    solved = transports(*map(_detached, (x, y, a, b)), metric=ground(metric, x, y))
    value = torch.tensor(solved.values, dtype=torch.float64)
    if (callable(metric) and torch.is_grad_enabled()) or _needs_gradient(x, y, a, b):
        value = _attach(solved.transports(), value, partial(_pair_costs, metric, x, y), a, b, float(p))
    return _like_inputs(value if solved.batched else value[0], x, y, a, b)


@untraced
def rooted_with_gradient(
    result: Transport, x: Any, y: Any, a: Any, b: Any, p: float, metric: str | Callable[..., Any]
) -> Transport:
    """The result of `solve` with value and cost as tensors where any of the four has a gradient."""
    if not _needs_gradient(x, y, a, b):
        return result
    value = torch.tensor([result.value], dtype=torch.float64)
    value = _attach([result], value, partial(_pair_costs, metric, x, y), a, b, float(p))[0]
    root, cost = (_like_inputs(one, x, y, a, b) for one in (value, value if p == np.inf else value**p))
    return replace(result, value=root, cost=cost)  # type: ignore[arg-type]


@untraced
def with_gradient(result: Transport, cost_matrix: Any, a: Any, b: Any) -> Transport:
    """The result of `solve_cost` with value and cost as one tensor, differentiable in the matrix and the weights."""
    value = torch.tensor([result.cost], dtype=torch.float64)
    if _needs_gradient(cost_matrix, a, b):
        value = _attach([result], value, partial(_entries, cost_matrix), a, b, 1.0)
    tensor: Any = _like_inputs(value[0], cost_matrix, a, b)
    return replace(result, value=tensor, cost=tensor)


def with_slopes(value: float, slopes: Callable[[], Sequence[Array]], inputs: Sequence[Any]) -> Tensor:
    """A number as a 0-d tensor of the inputs' kind, whose derivatives in each of them are `slopes`."""
    tensor = torch.tensor(value, dtype=torch.float64)
    if _needs_gradient(*inputs):
        tensor = _Slopes.apply(tensor, slopes(), *map(_tensor, inputs))  # type: ignore[no-untyped-call]
    return _like_inputs(tensor, *inputs)


class _Slopes(torch.autograd.Function):
    """A number that is known with its derivatives; those of second order are not."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, slopes: Sequence[Array], *inputs: Tensor) -> Tensor:
        ctx.slopes = [
            _finite(slope, like=one) if needed else None
            for slope, one, needed in zip(slopes, inputs, ctx.needs_input_grad[2:])
        ]
        return value.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *(None if slope is None else slope * gradients[0].to(slope) for slope in ctx.slopes)


def _finite(slope: Array, like: Tensor) -> Tensor:
    """A slope of the kind and shape of its input, within the range of its dtype."""
    largest = torch.finfo(like.dtype).max
    return torch.from_numpy(slope).clip(-largest, largest).reshape(like.shape).to(like)


@dataclass(frozen=True)
class _Optimum:
    """What the solver found for B problems, with all pairs of all plans in a row."""

    value: Tensor  # (B,)
    owner: Tensor  # (k,) the problem that a pair belongs to
    share: Tensor  # (k,) mass of a pair; for p = inf 1 on one longest move of each problem, else 0
    f: Tensor | None  # (B, n) potentials with mean 0, where the weights a have gradients
    g: Tensor | None  # (B, m)
    power: float

    def at_pairs(self, values: Tensor) -> Tensor:
        """One value for each problem, (B,), given to its pairs."""
        return values if len(values) == 1 else values[self.owner]


class _Envelope(torch.autograd.Function):
    """(sum of share * cost**p) ** (1/p) at the optimum: (k,) costs of pairs, (B, n) and (B, m) weights -> (B,)."""

    # forward takes the context itself: `setup_context` would cost more time than all else that is done here.
    @staticmethod
    def forward(ctx: Any, costs: Tensor, a: Tensor | None, b: Tensor | None, optimum: _Optimum) -> Tensor:
        value = optimum.value.clone()
        ctx.optimum = optimum
        ctx.save_for_backward(costs, value)
        return value

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        costs, value = ctx.saved_tensors
        optimum, (gradient,) = ctx.optimum, gradients
        power, share, weight = optimum.power, optimum.share, gradient
        if power not in (1.0, np.inf):
            # W**(1-p) c**(p-1) as (c / W)**(p-1): no power leaves the range, and all is 0 at W = 0.
            unit = torch.where(value > 0, value, 1.0)
            share = share * (costs / optimum.at_pairs(unit)) ** (power - 1)
            weight = gradient * torch.where(value > 0, unit ** (1 - power) / power, 0.0)
        elif power == np.inf:  # the longest move stays the longest while the weights change a little
            weight = gradient * 0.0
        needed = ctx.needs_input_grad
        return (
            optimum.at_pairs(gradient) * share if needed[0] else None,
            weight[:, None] * optimum.f if needed[1] else None,
            weight[:, None] * optimum.g if needed[2] else None,
            None,
        )


def _attach(
    results: Sequence[Transport], value: Tensor, costs_at: Callable[[Tensor, Tensor], Tensor], a: Any, b: Any, p: float
) -> Tensor:
    """The value, (B,), with its gradient in the costs of the plans' pairs and in the weights."""
    rows, cols, share = _pairs(results)
    costs = costs_at(rows, cols)
    owner = torch.from_numpy(np.repeat(np.arange(len(results)), [one.plan.nnz for one in results]))
    if p == np.inf:
        share = _longest(costs.detach(), owner, len(results))
    elif p > 1 and _needs_gradient(a, b):
        _require_range(results)
    f = _centred([one.f for one in results]) if _needs_gradient(a) else None
    g = _centred([one.g for one in results]) if _needs_gradient(b) else None
    weights = [
        side.to("cpu", torch.float64).expand(len(results), -1) if _needs_gradient(side) else None for side in (a, b)
    ]
    optimum = _Optimum(value, owner, share, f, g, p)
    attached: Tensor = _Envelope.apply(costs, *weights, optimum)  # type: ignore[no-untyped-call]
    return attached


def _pairs(results: Sequence[Transport]) -> tuple[Tensor, Tensor, Tensor]:
    """Rows, columns and masses of all plans, (k,) each, as if the problems of a batch were stacked."""
    n, m = results[0].plan.shape
    rows = np.concatenate([one.plan.row + k * n for k, one in enumerate(results)])
    cols = np.concatenate([one.plan.col + k * m for k, one in enumerate(results)])
    mass = np.concatenate([one.plan.data for one in results])
    return torch.from_numpy(rows), torch.from_numpy(cols), torch.from_numpy(mass)


def _centred(potentials: Sequence[Array]) -> Tensor:
    """The part along the simplex: weights that keep their sum do not see a constant."""
    return torch.from_numpy(np.stack([one - one.mean() for one in potentials]))


def _longest(costs: Tensor, owner: Tensor, problems: int) -> Tensor:
    """1 at the first of the longest moves of each problem, 0 elsewhere."""
    share = torch.zeros_like(costs)
    for k in range(problems):
        mine = torch.nonzero(owner == k)[:, 0]
        share[mine[costs[mine].argmax()]] = 1.0
    return share


def _pair_costs(metric: str | Callable[..., Any], x: Any, y: Any, rows: Tensor, cols: Tensor) -> Tensor:
    """The distance of each pair, (k,) float64 on the host, in the graph of x and y."""
    if callable(metric):
        x_pairs, y_pairs = _select(_tensor(x, like=y), rows), _select(_tensor(y, like=x), cols)
        starts = range(0, len(rows), PAIRS)
        blocks = [metric(x_pairs[k : k + PAIRS], y_pairs[k : k + PAIRS]) for k in starts]
        return torch.cat([block.diagonal() for block in map(_require_tensor, blocks)]).to("cpu", torch.float64)
    sides = _tensor(x), _tensor(y)
    same = sides[0].is_cuda and sides[0].device == sides[1].device
    where = sides[0].device if same else "cpu"  # points on a GPU stay there
    x_pairs, y_pairs = (_select(points.to(where, torch.float64), index) for points, index in zip(sides, (rows, cols)))
    difference = x_pairs - y_pairs
    distance = DISTANCES[metric]
    largest = float(difference.detach().abs().max())
    if metric == "sqeuclidean" or largest == 0 or SAFE[0] < largest < SAFE[1]:
        return distance(difference).cpu()
    unit = 2.0 ** np.frexp(largest)[1]
    return (distance(difference / unit) * unit).cpu()


def _entries(cost_matrix: Any, rows: Tensor, cols: Tensor) -> Tensor:
    matrix = _tensor(cost_matrix)
    return matrix[rows.to(matrix.device), cols.to(matrix.device)].to("cpu", torch.float64)


def _select(points: Tensor, index: Tensor) -> Tensor:
    """Points (n, d), (n,) or (B, n, d) as rows, taken at the index."""
    flat = points.reshape(-1, points.shape[-1] if points.ndim > 1 else 1)
    return flat.index_select(0, index.to(points.device))


def ground(metric: str | Callable[..., Any], x: Any, y: Any) -> str | Callable[..., Any]:
    """The metric for the solver's blocks: the user's own sees tensors of the kind that it was written for."""
    if not callable(metric):
        return metric
    kinds = [(one.dtype, one.device) for one in (_tensor(x, like=y), _tensor(y, like=x))]

    def blocks(*sides: Array) -> Array:
        with torch.no_grad():
            tensors = [torch.tensor(s, dtype=dtype, device=where) for s, (dtype, where) in zip(sides, kinds)]
            return to_numpy(metric(*tensors))

    return blocks


def _require_tensor(block: Any) -> Tensor:
    if isinstance(block, Tensor):
        return block
    raise TypeError(
        f"`metric` must return a tensor where tensors are compared, but it returned a {type(block).__name__}. "
        "Write it with torch's functions, or compare under torch.no_grad()."
    )


def _require_range(results: Sequence[Transport]) -> None:
    for one in results:
        if one.value > 0 and not COSTS[0] < one.cost < COSTS[1]:
            raise ValueError(
                f"`x` and `y` must keep the cost W**p within [1e-270, 1e300] where weights have gradients, but it is "
                f"{one.cost:.3g} at W = {one.value:.3g}. Choose another unit of length."
            )


def _tensor(value: Any, dtype: Any = None, device: Any = None, like: Any = None) -> Tensor:
    """`value` in the graph it belongs to; what is no tensor becomes one, of the kind of `like` where that is one."""
    if not isinstance(value, Tensor):
        like = like if isinstance(like, Tensor) else torch.empty(0, dtype=torch.float64)
        value = torch.tensor(np.asarray(value), dtype=like.dtype, device=like.device)
    return value if dtype is None else value.to(device, dtype)


def _detached(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value


def _needs_gradient(*values: Any) -> bool:
    """Whether any has one, now; a tangent of forward mode counts, and is then refused by torch, not lost."""
    tensors = [value for value in values if isinstance(value, Tensor)]
    backward = torch.is_grad_enabled() and any(one.requires_grad for one in tensors)
    return backward or any(unpack_dual(one).tangent is not None for one in tensors)  # type: ignore[no-untyped-call]


def _like_inputs(value: Tensor, *inputs: Any) -> Tensor:
    """The value in the dtype that torch gives to a sum of the inputs, on the device of the first."""
    tensors = [one for one in inputs if isinstance(one, Tensor)]
    dtype = tensors[0].dtype
    for one in tensors[1:]:
        dtype = torch.promote_types(dtype, one.dtype)
    return value.to(tensors[0].device, dtype if dtype.is_floating_point else torch.get_default_dtype())
