"""Linear assignment: the front door for matchings, one or many."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import numpy as np

from . import measures
from .certificate import certify_assignment, unscale, unscale_array
from .costs import DenseCost
from .problem import Array, Assignment, NotConverged
from .solvers.assignment import market_of
from .solvers.market import Market, solve
from .solvers.small_assignment import GAP, SLOTS, SMALL, match_small, prove

RTOL = 1e-9

DEVICES = (None, "cpu")


def linear_assignment(cost_matrix: Any, *, maximize: bool = False, device: str | None = None) -> Any:
    """Match rows to columns at the least total cost, exactly, with duals and bounds that prove it.

    Every row of a (n, m) matrix with n <= m is matched, every column where n >= m, no row or column twice.

    Parameters
    ----------
    cost_matrix : array_like, shape (n, m), or (B, n, m) for a batch, or a list of matrices of different shapes
        Any real numbers; +inf forbids a pair (so does -inf when maximising).
    maximize : bool, default False
        Look for the greatest sum.
    device : None or "cpu"
        Where to solve; None is where the data lie.

    Returns
    -------
    Assignment
        Matched ``rows`` (ascending) and ``cols``, their ``cost``, duals ``u`` and ``v`` with u_i + v_j <= C_ij
        (>= when maximising), rigorous bounds and gap. For a batch every field has a leading axis B; for a list of
        different shapes a list of results.

    Raises
    ------
    TypeError, ValueError
        Bad input; or forbidden pairs that leave no matching.
    NotConverged
        The matching could not be certified to a relative gap of 1e-9.

    Notes
    -----
    O(n^3) at worst. Costs in float32 are read as they are, without a copy; sums are in float64.

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
    if device is not None:
        measures.option(device, "device", DEVICES)
    sign = -1.0 if maximize else 1.0
    if type(cost_matrix) is np.ndarray and cost_matrix.ndim == 2:
        return _one(cost_matrix, sign)
    if isinstance(cost_matrix, (list, tuple)):
        shapes = {one.shape if getattr(one, "ndim", 0) == 2 else None for one in cost_matrix}
        if len(shapes) > 1 and None not in shapes:
            return [_one(measures.real_array(one, "cost_matrix"), sign) for one in cost_matrix]
    array = measures.real_array(cost_matrix, "cost_matrix")
    if array.ndim != 3:
        return _one(array, sign)
    if 0 in array.shape:
        raise ValueError(f"`cost_matrix` must not be empty, but it has shape {array.shape}. Pass at least one entry.")
    return _many(array, sign)


def _one(array: Array, sign: float) -> Assignment:
    """One problem; a small one in a single compiled call."""
    if array.ndim == 2 and 0 < array.shape[0] <= array.shape[1] and _small(array.shape) and _plain(array):
        cols, numbers, irregular = match_small(array[None], sign)
        if not irregular:
            n, found = len(array), numbers[0]
            cost, lower, upper, gap = found[:SLOTS].tolist()
            if gap <= RTOL:
                u, v = found[SLOTS : SLOTS + n], found[SLOTS + n :]
                return Assignment(np.arange(n), cols[0], cost, u, v, lower, upper, gap)
    if array.ndim != 2 or 0 in array.shape:
        measures.cost_matrix(array)  # says what is wrong
    market = market_of(array, sign)
    if not market.survey.numbers:
        market = market_of(measures.cost_matrix(array, sign=sign), sign)
    with closing(market):
        solve(market)
        return _certified(market)


def _small(shape: tuple[int, ...]) -> bool:
    return min(shape) <= SMALL and max(shape) <= 2 * SMALL


def _plain(array: Array) -> bool:
    return (array.dtype == np.float64 or array.dtype == np.float32) and array.flags.c_contiguous


def _many(array: Array, sign: float) -> Any:
    """A batch: small problems by threads over them, others one after the other, each by all threads."""
    if not _small(array.shape[1:]):
        return _one_by_one(array, sign)
    turned = array.shape[1] > array.shape[2]
    wide = array.transpose(0, 2, 1) if turned else array
    wide = np.ascontiguousarray(wide, dtype=array.dtype if array.dtype == np.float32 else np.float64)
    cols, numbers, irregular = match_small(wide, sign, measures.threads(None))
    if irregular or not (numbers[:, GAP] <= RTOL).all():
        return _one_by_one(array, sign)
    count, n = cols.shape
    bounds, u, v = numbers[:, :SLOTS], numbers[:, SLOTS : SLOTS + n], numbers[:, SLOTS + n :]
    rows = np.tile(np.arange(n), (count, 1))
    if turned:
        order = np.argsort(cols, axis=1)
        rows, cols, u, v = np.take_along_axis(cols, order, axis=1), order, v, u
    fields: list[Any] = [rows, cols, bounds[:, 0], u, v, bounds[:, 1], bounds[:, 2], bounds[:, 3]]
    return Assignment(*fields)


def _one_by_one(array: Array, sign: float) -> Assignment:
    found = []
    for k, one in enumerate(measures.cost_values(array, sign=sign)):
        try:
            found.append(_one(one, sign))
        except ValueError as error:
            raise ValueError(f"Problem {k} of the batch: {error}") from None
    return _stacked(found)


def _certified(market: Market) -> Assignment:
    """The proof of one matching, in the user's units and sense."""
    cols, rows = market.col_of_row, np.arange(len(market.col_of_row))
    cost = DenseCost(market.cost, market.sign, extremes=(market.survey.low, market.survey.high))
    cost_sum, lower, upper, gap, u, v = _proof_of_scaled(cost, market) if cost.shift else prove(market)
    if not gap <= RTOL:
        raise NotConverged(_apart(min(lower, upper), max(lower, upper), gap), min(lower, upper), max(lower, upper))
    if market.turned:
        rows = np.argsort(cols)
        rows, cols, u, v = cols[rows], rows, v, u
    return Assignment(rows, cols, cost_sum, u, v, lower, upper, gap)


def _proof_of_scaled(cost: DenseCost, market: Market) -> tuple[float, float, float, float, Array, Array]:
    """The same numbers as `prove` for costs of which some are so large or small that they are scaled first."""
    sign, exponent, cols = market.sign, cost.exponent, market.col_of_row
    u, v, bounds = certify_assignment(cost, cols, unscale_array(market.v, -exponent))
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
