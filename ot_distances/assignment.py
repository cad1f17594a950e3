"""Linear assignment: the front door for matchings, one or many."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import fields, replace
from functools import partial
from typing import Any

import numpy as np

from . import _resident, measures
from ._arrays import to_numpy
from ._device import Backend
from .certificate import certify_assignment, unscale, unscale_array
from .costs import DenseCost
from .problem import Array, Assignment, NotConverged
from .solvers import device as on_device
from .solvers import pays_on_device
from .solvers.assignment import market_of
from .solvers.device_batch import MOST_COLUMNS, MOST_ROWS, match_batch
from .solvers.market import Market, solve
from .solvers.small_assignment import GAP, LONGEST, PLAIN, SLOTS, SMALL, WIDEST, match_one, match_small, prove

RTOL = 1e-9


def linear_assignment(cost_matrix: Any, *, maximize: bool = False, device: str | None = None) -> Any:
    """Match rows to columns at the least total cost, exactly, with duals and bounds that prove it.

    Every row of a (n, m) matrix with n <= m is matched, every column where n >= m, no row or column twice.

    Parameters
    ----------
    cost_matrix : array_like, shape (n, m), or (B, n, m) for a batch, or a list of matrices of different shapes
        Any real numbers; +inf forbids a pair (so does -inf when maximising).
    maximize : bool, default False
        Look for the greatest sum.
    device : None, "cpu", "cuda" or "cuda:k"
        Where to solve; None is where the data lie. A GPU needs CuPy: pip install 'ot_distances[gpu]'.

    Returns
    -------
    Assignment
        Matched ``rows`` (ascending) and ``cols``, their ``cost``, duals ``u`` and ``v`` with u_i + v_j <= C_ij
        (>= when maximising), rigorous bounds and gap. For a batch every field has a leading axis B; for a list of
        different shapes a list of results. For cupy arrays and torch tensors the arrays are of that library, on the
        same device.

    Raises
    ------
    TypeError, ValueError
        Bad input; or forbidden pairs that leave no matching.
    NotConverged
        The matching could not be certified to a relative gap of 1e-9.
    ImportError, RuntimeError
        A GPU is asked for, but CuPy or a device is missing.

    Notes
    -----
    O(n^3) at worst. Costs in float32 are read as they are, without a copy; sums are in float64. A matrix on a GPU stays
    there (docs/gpu.md): only lists of candidates come to the host.

    References
    ----------
    H. W. Kuhn, The Hungarian method for the assignment problem, Naval Research Logistics Quarterly 2, 1955.
    R. Jonker and A. Volgenant, A shortest augmenting path algorithm for dense and sparse linear assignment problems,
    Computing 38, 1987.

    Examples
    --------
    >>> from ot_distances import linear_assignment
    >>> result = linear_assignment([[4, 1, 3], [2, 0, 5], [3, 2, 2]])
    >>> result.cols, result.cost
    (array([1, 0, 2]), 5.0)
    >>> linear_assignment([[4, 1, 3], [2, 0, 5]], maximize=True).cost
    9.0
    """
    sign = -1.0 if maximize else 1.0
    if type(cost_matrix) is np.ndarray and cost_matrix.dtype.kind in "fiub" and device is None:
        return _here(cost_matrix, sign)
    if isinstance(cost_matrix, (list, tuple)):
        shapes = {one.shape if getattr(one, "ndim", 0) == 2 else None for one in cost_matrix}
        if None not in shapes and (len(shapes) > 1 or _resident.on_gpu(*cost_matrix)):
            return [linear_assignment(one, maximize=maximize, device=device) for one in cost_matrix]
    if device != "cpu" and (device is not None or _resident.on_gpu(cost_matrix)):
        with _resident.at(device, cost_matrix) as backend:
            read = partial(measures.real_array, name="cost_matrix")
            costs = measures.resident_costs(_resident.view(backend, cost_matrix, read), sign=sign, batch=True)
            return _like(_there(backend, costs, sign), cost_matrix)
    return _like(_here(measures.real_array(cost_matrix, "cost_matrix"), sign), cost_matrix)


def _like(found: Assignment, value: Any) -> Assignment:
    """The same with arrays of the library, and on the device, of the value."""
    parts = {field.name: getattr(found, field.name) for field in fields(found)}
    return replace(found, **{name: _resident.like(part, value) for name, part in parts.items() if np.ndim(part)})


def _here(array: Array, sign: float) -> Any:
    if array.ndim == 2:
        return _one(array, sign)
    if array.ndim != 3:
        return _one(measures.cost_matrix(array), sign)
    _require_entries(array)
    return _many(array, sign)


def _there(backend: Backend, array: Any, sign: float) -> Any:
    """The same for checked costs on a GPU; what does not pay there, or cannot be solved there, comes to the host."""
    if array.ndim == 3:
        _require_entries(array)
        batch = _many_there(backend, array, sign) if min(array.shape[1:]) <= MOST_ROWS else None
        if batch is None and pays_on_device(array.shape[1:]):
            return _one_by_one(array, sign, partial(_there, backend))
        return batch or _here(to_numpy(array), sign)
    found = on_device.match_matrix(backend, array, sign) if pays_on_device(array.shape) else None
    if found is None:
        return _here(to_numpy(array), sign)
    cost, turned, matching = found
    return _result(matching.col_of_row, _proof_of_scaled(cost, matching.col_of_row, matching.v), turned)


def _many_there(backend: Backend, array: Any, sign: float) -> Assignment | None:
    """A batch of small problems on a GPU; None where one of them has no matching there, or none that is proven."""
    if max(array.shape[1:]) > MOST_COLUMNS:
        return None
    xp, turned = backend.xp, array.shape[1] > array.shape[2]
    wide = xp.ascontiguousarray(array.transpose(0, 2, 1) if turned else array)
    cols, u, v, bounds, status = match_batch(backend, wide, sign)
    numbers = to_numpy(bounds)
    if to_numpy(status).any() or not (numbers[:, GAP] <= RTOL).all():
        return None
    return _batch(xp, cols, u, v, numbers, turned)


def _require_entries(array: Any) -> None:
    if 0 in array.shape:
        raise ValueError(f"`cost_matrix` must not be empty, but it has shape {array.shape}. Pass at least one entry.")


def _one(array: Array, sign: float) -> Assignment:
    """One problem; a small one in a single compiled call."""
    n, m = array.shape
    if n == 0 or m == 0:
        measures.cost_matrix(array)  # says what is wrong
    if n <= WIDEST >= m:
        plain = n <= m and array.dtype in PLAIN and array.flags.carray
        cols, numbers, gap = match_one(array if plain else _plain(array if n <= m else array.T), sign)
        if gap <= RTOL:
            found = Assignment._packed(cols, numbers)
            return found if n <= m else _across(found)
    market = market_of(array, sign)
    if not market.survey.numbers:
        market = market_of(measures.cost_matrix(array, sign=sign), sign)
    with closing(market):
        solve(market)
        return _certified(market)


def _plain(array: Array) -> Array:
    """The same numbers as the compiled call for small problems reads them."""
    kind = array.dtype if array.dtype in PLAIN else np.float64
    return np.require(array, kind, ("C", "A", "W"))


def _many(array: Array, sign: float) -> Any:
    """A batch: small problems by threads over them, others one after the other, each by all threads."""
    n, m = array.shape[1:]
    if min(n, m) > SMALL or max(n, m) > LONGEST:
        return _one_by_one(array, sign)
    costs = _plain(array if n <= m else array.transpose(0, 2, 1))
    cols, numbers, gap = match_small(costs, sign, measures.threads(None))
    if not gap <= RTOL:
        return _one_by_one(array, sign)
    k = SLOTS + min(n, m)
    return _batch(np, cols, numbers[:, SLOTS:k], numbers[:, k:], numbers, n > m)


def _batch(xp: Any, cols: Any, u: Any, v: Any, numbers: Array, turned: bool) -> Assignment:
    """Matchings (B, n) of rows to `cols`, which are columns to rows for the user if `turned`, with their bounds."""
    rows = xp.tile(xp.arange(cols.shape[1]), (len(cols), 1))
    if turned:
        order = xp.argsort(cols, axis=1)
        rows, cols, u, v = xp.take_along_axis(cols, order, axis=1), order, v, u
    parts: list[Any] = [rows, cols, numbers[:, 0], u, v, *numbers[:, 1:SLOTS].T]
    return Assignment(*parts)


def _one_by_one(array: Any, sign: float, solve_one: Callable[[Any, float], Assignment] = _one) -> Assignment:
    found = []
    for k, one in enumerate(measures.cost_values(array, sign=sign)):
        try:
            found.append(solve_one(one, sign))
        except ValueError as error:
            raise ValueError(f"Problem {k} of the batch: {error}") from None
    return _stacked(found)


def _certified(market: Market) -> Assignment:
    """The proof of one matching, in the user's units and sense."""
    cols = market.col_of_row
    cost = DenseCost(market.cost, market.sign, extremes=(market.survey.low, market.survey.high))
    return _result(cols, _proof_of_scaled(cost, cols, market.v) if cost.shift else prove(market), market.turned)


def _result(cols: Array, proof: tuple[float, float, float, float, Array, Array], turned: bool) -> Assignment:
    """What is proven of a matching of rows to `cols`, which are columns to rows for the user if `turned`."""
    cost, lower, upper, gap, u, v = proof
    if not gap <= RTOL:
        raise NotConverged(_apart(min(lower, upper), max(lower, upper), gap), min(lower, upper), max(lower, upper))
    found = Assignment(np.arange(len(cols)), cols, cost, u, v, lower, upper, gap)
    return _across(found) if turned else found


def _across(found: Assignment) -> Assignment:
    """The same of the transposed problem."""
    rows = np.argsort(found.cols)
    return replace(found, rows=found.cols[rows], cols=rows, u=found.v, v=found.u)


def _proof_of_scaled(cost: DenseCost, cols: Array, v: Array) -> tuple[float, float, float, float, Array, Array]:
    """The same numbers as `prove`, for costs some of which may be so large or small that they are scaled first."""
    sign, exponent = cost.sign, cost.exponent
    u, v, bounds = certify_assignment(cost, cols, unscale_array(v, -exponent))
    lower, upper = unscale(bounds.lower, exponent, -1), unscale(bounds.upper, exponent, +1)
    total = unscale(float(np.sum(cost.entries(np.arange(len(cols)), cols))), exponent)
    total = min(max(total, lower), upper)
    if sign < 0:
        lower, upper = -upper, -lower
    return sign * total, lower, upper, bounds.gap, sign * unscale_array(u, exponent), sign * unscale_array(v, exponent)


def _apart(lower: float, upper: float, gap: float) -> str:
    return (
        f"no certified matching: the optimal sum lies in [{lower:.17g}, {upper:.17g}], a relative gap of "
        f"{gap:.1e}. Bring the entries of `cost_matrix` to one scale."
    )


def _stacked(results: list[Assignment]) -> Assignment:
    """The results of a batch as one, with a leading axis."""
    fields: dict[str, Any] = {
        name: np.array([getattr(one, name) for one in results]) for name in Assignment.__annotations__
    }
    return Assignment(**fields)
