"""KL, Jensen-Shannon and total variation between probability vectors, in the library that the vectors belong to.

What is summed stands in `_terms.py`; here are the public functions, the gate for probability vectors, and torch's glue.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ._arrays import library, namespace, require_same_atoms, to_numpy
from ._laws import is_distribution
from ._terms import JS, JS_DISTANCE, KL, TINY, TV, Divergence

if TYPE_CHECKING:
    from .problem import Estimate

# How far a sum may be from 1 in double precision: rounding in the user's own normalisation, and the steps of 1e-6 that
# torch.autograd.gradcheck takes. In lower precision half of the digits must be right.
_SUM_TOLERANCE = 2e-6


def kl_divergence(
    p: Any, q: Any, *, axis: int = -1, base: float | None = None, normalize: bool = False
) -> float | Any | Estimate:
    r"""Kullback-Leibler divergence KL(p || q), in nats: what is lost when q stands in for p.

    .. math:: KL(p \| q) = \sum_i p_i \log (p_i / q_i)

    Never negative, 0 only for p = q, and +inf exactly where some :math:`p_i > 0 = q_i`. Not symmetric.

    Parameters
    ----------
    p, q : array_like, shape (..., k), or distribution objects
        Probability vectors along `axis`; the other axes broadcast. Lists, numpy, torch and cupy arrays; or two
        distributions, each a frozen `scipy.stats` one or a `torch.distributions.Distribution`.
    axis : int
        The axis of the atoms, counted as in the broadcast shape. A one-dimensional argument has only one.
    base : float, optional
        Base of the logarithm, above 1; e by default. 2 gives bits.
    normalize : bool
        Divide p and q by their sums first. Without it, sums other than 1 are an error.

    Returns
    -------
    float, ndarray or tensor
        A float for two vectors, an array for a batch; a tensor of the inputs' dtype for torch, differentiable in p
        and q; a cupy array for cupy. For distribution objects an `Estimate`.

    Raises
    ------
    TypeError
        Where p or q does not hold real numbers, or only one of them is a distribution.
    ValueError
        Where an entry is not finite or is negative, a sum is not 1, or the shapes do not go together.

    Notes
    -----
    Time and memory are linear in the number of entries. What is summed is :math:`p \log(p/q) - p + q`, which is not
    negative and equals KL where both sums are 1; sums that are off by a rounding error :math:`\epsilon` then move the
    result by :math:`\epsilon^2` instead of :math:`\epsilon`. The gradient is that of this sum,
    :math:`(\log(p/q), 1 - p/q)`: along directions that keep the sums it is the textbook one. At p = 0 the slope
    :math:`-\infty` is replaced by log of the smallest normal number, -708, and slopes never leave the finite range,
    so that they survive a product with 0.

    References
    ----------
    S. Kullback and R. A. Leibler. On information and sufficiency. Annals of Mathematical Statistics, 1951.

    Examples
    --------
    >>> import ot_distances as ot
    >>> round(ot.kl_divergence([0.5, 0.5], [0.9, 0.1]), 6)
    0.510826
    >>> ot.kl_divergence([0.5, 0.5], [1.0, 0.0])
    inf
    >>> ot.kl_divergence([[1.0, 0.0], [0.5, 0.5]], [0.5, 0.5], base=2)
    array([1., 0.])
    """
    return _evaluate(KL, p, q, axis, base, normalize)


def js_divergence(
    p: Any, q: Any, *, axis: int = -1, base: float | None = None, normalize: bool = False
) -> float | Any | Estimate:
    r"""Jensen-Shannon divergence, in nats: the mean divergence of p and q from their midpoint.

    .. math:: JS(p, q) = \tfrac12 KL(p \| m) + \tfrac12 KL(q \| m), \qquad m = (p + q) / 2

    Symmetric, in [0, log 2]: 0 only for p = q, log 2 only where p and q share no atom.

    Parameters
    ----------
    p, q : array_like, shape (..., k), or distribution objects
        Probability vectors along `axis`; the other axes broadcast. See `kl_divergence`.
    axis : int
        The axis of the atoms, counted as in the broadcast shape.
    base : float, optional
        Base of the logarithm, above 1; e by default. With 2 the range is [0, 1].
    normalize : bool
        Divide p and q by their sums first. Without it, sums other than 1 are an error.

    Returns
    -------
    float, ndarray or tensor
        As in `kl_divergence`.

    Raises
    ------
    TypeError, ValueError
        As in `kl_divergence`.

    Notes
    -----
    Time and memory are linear in the number of entries. At p = 0 < q the slope :math:`-\infty` is replaced by half the
    log of the smallest normal number, -354; where p = q = 0 the slope is 0.

    The best discriminator of a GAN, D* = p / (p + q), leaves the generator the loss 2 JS(p, q) - 2 log 2
    (Goodfellow et al., 2014).

    References
    ----------
    J. Lin. Divergence measures based on the Shannon entropy. IEEE Transactions on Information Theory, 1991.

    I. Goodfellow, J. Pouget-Abadie, M. Mirza, B. Xu, D. Warde-Farley, S. Ozair, A. Courville and Y. Bengio.
    Generative adversarial nets. NeurIPS, 2014.

    Examples
    --------
    >>> import ot_distances as ot
    >>> ot.js_divergence([1.0, 0.0], [0.0, 1.0], base=2)
    1.0
    >>> round(ot.js_divergence([0.5, 0.5], [0.9, 0.1]), 6)
    0.101749
    >>> ot.js_divergence([0.3, 0.7], [0.3, 0.7])
    0.0
    """
    return _evaluate(JS, p, q, axis, base, normalize)


def js_distance(
    p: Any, q: Any, *, axis: int = -1, base: float | None = None, normalize: bool = False
) -> float | Any | Estimate:
    r"""Jensen-Shannon distance, in the square root of nats: a metric on probability vectors.

    .. math:: d(p, q) = \sqrt{JS(p, q)}

    Symmetric, 0 only for p = q, at most :math:`\sqrt{\log 2}`, and it satisfies the triangle inequality.

    Parameters
    ----------
    p, q : array_like, shape (..., k), or distribution objects
        Probability vectors along `axis`; the other axes broadcast. See `kl_divergence`.
    axis : int
        The axis of the atoms, counted as in the broadcast shape.
    base : float, optional
        Base of the logarithm, above 1; e by default. With 2 the range is [0, 1].
    normalize : bool
        Divide p and q by their sums first. Without it, sums other than 1 are an error.

    Returns
    -------
    float, ndarray or tensor
        As in `kl_divergence`.

    Raises
    ------
    TypeError, ValueError
        As in `kl_divergence`.

    Notes
    -----
    Time and memory are linear in the number of entries. At p = q, a kink, the gradient is the subgradient 0.

    References
    ----------
    D. M. Endres and J. E. Schindelin. A new metric for probability distributions. IEEE Transactions on Information
    Theory, 2003.

    Examples
    --------
    >>> import ot_distances as ot
    >>> ot.js_distance([1.0, 0.0], [0.0, 1.0], base=2)
    1.0
    >>> round(ot.js_distance([0.5, 0.5], [0.9, 0.1]), 6)
    0.318982
    """
    return _evaluate(JS_DISTANCE, p, q, axis, base, normalize)


def total_variation(p: Any, q: Any, *, axis: int = -1, normalize: bool = False) -> float | Any | Estimate:
    r"""Total variation distance: the largest difference in the probability that p and q give to one event.

    .. math:: TV(p, q) = \sup_A |p(A) - q(A)| = \tfrac12 \sum_i |p_i - q_i|

    A metric, in [0, 1]: 0 only for p = q, 1 only where p and q share no atom.

    Parameters
    ----------
    p, q : array_like, shape (..., k), or distribution objects
        Probability vectors along `axis`; the other axes broadcast. See `kl_divergence`.
    axis : int
        The axis of the atoms, counted as in the broadcast shape.
    normalize : bool
        Divide p and q by their sums first. Without it, sums other than 1 are an error.

    Returns
    -------
    float, ndarray or tensor
        As in `kl_divergence`.

    Raises
    ------
    TypeError, ValueError
        As in `kl_divergence`.

    Notes
    -----
    Time and memory are linear in the number of entries. Where p_i = q_i, a kink, the gradient is the subgradient 0.

    References
    ----------
    D. A. Levin, Y. Peres and E. L. Wilmer. Markov Chains and Mixing Times, chapter 4. AMS, 2009.

    Examples
    --------
    >>> import ot_distances as ot
    >>> ot.total_variation([0.5, 0.5, 0.0], [0.25, 0.5, 0.25])
    0.25
    >>> ot.total_variation([2, 2], [4, 0], normalize=True)
    0.5
    """
    return _evaluate(TV, p, q, axis, None, normalize)


# Every divergence by name: tests, the command line and the benchmarks read it.
DIVERGENCES: dict[str, Callable[..., Any]] = {
    "kl_divergence": kl_divergence,
    "js_divergence": js_divergence,
    "js_distance": js_distance,
    "total_variation": total_variation,
}


def _evaluate(divergence: Divergence, p: Any, q: Any, axis: int, base: float | None, normalize: bool) -> Any:
    """The one path from user input to result."""
    unit = _unit(base)
    if is_distribution(p) or is_distribution(q):
        from .distributions import between

        if axis != -1 or normalize:
            raise TypeError("`axis` and `normalize` are for probability vectors; leave them out for distributions.")
        return between(divergence, p, q, unit)
    xp, kind = namespace(p, q), library(p, q)
    with np.errstate(all="ignore"):  # sums that overflow are judged by value; the branches that `where` drops
        values_p, values_q, dtype = _gate(xp, p, q, axis, normalize)
        if kind == "torch":
            values_p, values_q = xp.broadcast_tensors(values_p, values_q)
            total = _autograd().apply(values_p, values_q, divergence, float(xp.finfo(dtype).max))
        else:
            total = _total(xp, divergence, values_p, values_q)
    result = total / unit
    if divergence.root:
        # The inner `where` keeps the infinite slope of the root at 0 out of torch's chain rule: the subgradient 0.
        result = xp.where(result > 0, xp.sqrt(xp.where(result > 0, result, 1.0)), 0.0)
    if kind == "torch":
        return result.to(dtype)
    return float(result) if kind == "numpy" and np.ndim(result) == 0 else result


def _total(xp: Any, divergence: Divergence, p: Any, q: Any) -> Any:
    """The sum over the atoms. Sums of p and q that exceed 1 by a rounding error must not leave the range."""
    return xp.clip(xp.sum(divergence.terms(xp, p, q), -1), 0.0, divergence.upper)


@cache
def _autograd() -> Any:
    """The sum over the atoms as a torch function with the partial derivatives written out."""
    import torch

    # forward takes the context itself: `setup_context` would cost more time than the sums of small vectors.
    class Total(torch.autograd.Function):  # type: ignore[misc,unused-ignore]
        @staticmethod
        def forward(ctx: Any, p: Any, q: Any, divergence: Divergence, largest: float) -> Any:
            ctx.divergence, ctx.largest = divergence, largest
            ctx.save_for_backward(p, q)
            return _total(torch, divergence, p, q)

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            slopes = ctx.divergence.slopes(torch, *ctx.saved_tensors)
            # Finite in the caller's precision: 0 * inf in a softmax that follows would be nan.
            in_p, in_q = (torch.clip(slope, -ctx.largest, ctx.largest) for slope in slopes)
            return gradient[..., None] * in_p, gradient[..., None] * in_q, None, None

    return Total


def _unit(base: float | None) -> float:
    """One unit of the result, in nats."""
    if base is None:
        return 1.0
    if isinstance(base, (bool, str)) or not hasattr(base, "__float__") or isinstance(base, complex):
        raise TypeError(f"`base` must be a number, but its type is {type(base).__name__}.")
    value = float(base)
    if not (value > 1.0 and math.isfinite(value)):
        raise ValueError(f"`base` must be finite and greater than 1, but base = {value:g}. Use 2 for bits.")
    return math.log(value)


def _gate(xp: Any, p: Any, q: Any, axis: int, normalize: bool) -> tuple[Any, Any, Any]:
    """Judge p and q once; return them in double precision with the atoms on the last axis, and the result's dtype."""
    if {library(p), library(q)} == {"torch", "cupy"}:
        raise TypeError("`p` and `q` must belong to one library, but one is a torch tensor and the other a cupy array.")
    require_same_atoms(p, q, ("p", "q"), (_atoms(p, axis), _atoms(q, axis)))
    values_p, eps_p = _as_double(xp, p, "p", like=q)
    values_q, eps_q = _as_double(xp, q, "q", like=p)
    from_end = _axis_from_end(axis, max(values_p.ndim, values_q.ndim))
    values_p = _vectors(xp, values_p, "p", axis, from_end, normalize, eps_p)
    values_q = _vectors(xp, values_q, "q", axis, from_end, normalize, eps_q)
    shapes = tuple(np.shape(p)), tuple(np.shape(q))
    if values_p.shape[-1] != values_q.shape[-1]:
        raise ValueError(
            f"`p` and `q` must have one entry for each atom, but their shapes are {shapes[0]} and {shapes[1]}."
        )
    try:
        np.broadcast_shapes(tuple(values_p.shape), tuple(values_q.shape))
    except ValueError:
        raise ValueError(
            f"`p` and `q` must broadcast over the axes other than `axis`, but their shapes are "
            f"{shapes[0]} and {shapes[1]}."
        ) from None
    return values_p, values_q, _result_dtype(xp, p, q) if library(p, q) == "torch" else None


def _atoms(value: Any, axis: int) -> int:
    """Whether it is the rows (0) or the columns (1) of a data frame that name the atoms."""
    return int(getattr(value, "ndim", 1) > 1 and axis not in (0, -2))


def _as_double(xp: Any, value: Any, name: str, like: Any) -> tuple[Any, float]:
    """`value` as a float64 array of xp, and the precision that it came in (0 for integers)."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"`{name}` must be a plain array, but it is masked. Fill it first: `{name}.filled(0)`.")
    if library(value) == "torch":
        if value.is_complex() or value.layout != xp.strided:
            raise TypeError(
                f"`{name}` must be an array of real numbers, but it has dtype {value.dtype}, {value.layout}."
            )
        wide = xp.float32 if value.device.type == "mps" else xp.float64  # Apple's GPUs have no float64
        return value.to(wide), float(xp.finfo(value.dtype).eps) if value.is_floating_point() else 0.0
    try:
        array = value if library(value) == "cupy" else to_numpy(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"`{name}` must be an array of numbers, but it cannot be read as one: {error}.") from error
    if array.dtype.kind not in "biuf":
        raise TypeError(f"`{name}` must be an array of real numbers, but it has dtype {array.dtype}.")
    eps = float(np.finfo(array.dtype).eps) if array.dtype.kind == "f" else 0.0
    if library(like) == "torch":
        return xp.as_tensor(array.astype(np.float64), device=like.device), eps
    return xp.asarray(array, dtype=np.float64), eps


def _result_dtype(xp: Any, p: Any, q: Any) -> Any:
    """The dtype that torch would give to p + q; lists and numpy arrays follow the tensor."""
    dtypes = [value.dtype for value in (p, q) if library(value) == "torch"]
    dtype = xp.promote_types(dtypes[0], dtypes[-1])
    return dtype if dtype.is_floating_point else xp.get_default_dtype()


def _axis_from_end(axis: int, ndim: int) -> int:
    """`axis` counted from the end of the broadcast shape."""
    try:
        index = operator.index(axis)
    except TypeError:
        raise TypeError(f"`axis` must be an integer, but its type is {type(axis).__name__}.") from None
    if ndim and not -ndim <= index < ndim:
        raise ValueError(f"`axis` must be in [{-ndim}, {ndim}) for arrays of {ndim} axes, but axis = {index}.")
    return index if index < 0 else index - ndim


def _vectors(xp: Any, array: Any, name: str, axis: int, from_end: int, normalize: bool, eps: float) -> Any:
    """`array` with its atoms on the last axis, once it is known to hold probability vectors."""
    if array.ndim == 0:
        raise ValueError(f"`{name}` must have at least one axis, but it is the number {float(array):g}.")
    where = -1 if array.ndim == 1 else from_end
    if array.ndim < -where:
        raise ValueError(f"`{name}` must have the axis {axis}, but its shape is {tuple(array.shape)}.")
    if array.shape[where] == 0:
        raise ValueError(f"`{name}` must not be empty, but its shape is {tuple(array.shape)}.")
    _refuse(~xp.isfinite(array), array, name, "finite")
    _refuse(array < 0, array, name, "non-negative")
    array = xp.moveaxis(array, where, -1)
    total = xp.sum(array, -1)
    if normalize:
        _refuse_sums(xp.amax(array, -1) <= 0, total, name, "have positive mass to be normalised", where, array.ndim)
        # Where the sum overflows or is subnormal, the largest entry brings the vector into range first.
        regular = xp.isfinite(total) & (total > TINY)
        array = array / xp.where(regular, 1.0, xp.amax(array, -1))[..., None]
        return array / xp.sum(array, -1)[..., None]
    counts = f"`{name} / {name}.sum()`" if array.ndim == 1 else f"`{name} / {name}.sum(axis={axis}, keepdims=True)`"
    cure = f" Divide by the sum if it holds counts: {counts}."
    _refuse_sums(abs(total - 1) > max(_SUM_TOLERANCE, math.sqrt(eps)), total, name, "sum to 1", where, array.ndim, cure)
    return array


def _refuse(bad: Any, array: Any, name: str, rule: str) -> None:
    if bool(bad.any()):
        index = tuple(int(i) for i in np.argwhere(to_numpy(bad))[0])
        at = ", ".join(map(str, index))
        raise ValueError(f"`{name}` must be {rule}, but {name}[{at}] = {float(array[index])}.")


def _refuse_sums(bad: Any, total: Any, name: str, rule: str, where: int, ndim: int, cure: str = "") -> None:
    if bool(bad.any()):
        index = tuple(int(i) for i in np.argwhere(to_numpy(bad))[0])
        parts = [str(i) for i in index]
        parts.insert(ndim + where, ":")
        subject = f"{name}[{', '.join(parts)}]" if index else "it"
        raise ValueError(f"`{name}` must {rule}, but {subject} sums to {float(total[index]):.10g}.{cure}")
