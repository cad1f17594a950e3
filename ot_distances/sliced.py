"""Sliced Wasserstein distance: the mean over directions of exact distances on a line."""

from __future__ import annotations

import math
from functools import partial
from statistics import NormalDist
from typing import Any

import numpy as np

from . import measures
from .costs import PointCost
from .problem import Array, Estimate
from .solvers.line_cost import Masses, least_cost
from .wasserstein import transport_problem

LEVEL = 0.95


def sliced_wasserstein(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    p: float = 2,
    n_projections: int = 128,
    seed: int | np.random.Generator | None = None,
) -> Estimate:
    """Monte Carlo estimate of the sliced Wasserstein distance of order p, in the unit of the points.

    ``SW_p^p`` is the mean of ``W_p^p`` between the projections of both measures, over directions uniform on the
    sphere. It is a metric, at most ``W_p``. In one dimension it is ``W_p`` itself, without an error.

    Parameters
    ----------
    x : array_like, shape (n, d) or (n,)
        Points of the first measure.
    y : array_like, shape (m, d) or (m,)
        Points of the second measure.
    a, b : array_like, shapes (n,) and (m,), optional
        Weights, not negative, of the same sum; uniform if not given, of the mass of the other side or 1.
    p : float, default 2
        Order, 1 <= p < inf.
    n_projections : int, default 128
        Directions drawn, at least 2.
    seed : int, Generator or None
        For the directions.

    Returns
    -------
    Estimate
        ``stderr`` is the standard error from the spread over directions, ``interval`` the 95 % confidence interval.
        Numbers, of torch tensors, too: the one with gradients is `losses.SlicedWassersteinLoss`.

    Raises
    ------
    TypeError, ValueError
        Bad input.

    Notes
    -----
    O(n_projections (n + m) (d + log(n + m))) time. Each projection is exact, so that the error is that of the
    directions alone.

    References
    ----------
    J. Rabin, G. Peyré, J. Delon and M. Bernot, Wasserstein barycenter and its application to texture mixing, SSVM 2011.
    N. Bonneel, J. Rabin, G. Peyré and H. Pfister, Sliced and Radon Wasserstein barycenters of measures, JMIV 2015.

    Examples
    --------
    >>> from ot_distances import sliced_wasserstein
    >>> sliced_wasserstein([0.0, 1.0], [2.0, 5.0], p=1).value
    3.0
    """
    x, y = measures.point_sets(x, y, a, b)
    p = measures.order(p)
    if p == math.inf:
        raise ValueError("`p` must be finite for the sliced distance, but p = inf. Use wasserstein(x, y, p=inf).")
    if isinstance(n_projections, bool) or not isinstance(n_projections, (int, np.integer)):
        raise TypeError(f"`n_projections` must be an integer, but it is {n_projections!r}. Pass 2 or more.")
    if n_projections < 2:
        raise ValueError(f"`n_projections` must be at least 2, but it is {n_projections}. One direction has no spread.")
    rng = measures.generator(seed)
    # An axis on which all points agree moves nothing, but it is one of those that directions are drawn among.
    varying = (x != x[0]).any(axis=0) | (y != x[0]).any(axis=0)
    varying[0] |= not varying.any()
    # One problem checks the weights; the scale of the coordinates is taken out before anything is raised to p.
    points = PointCost.scaled(x[:, varying], y[:, varying], "euclidean", 1.0)
    problem = transport_problem(points, a, b, power=p)
    # Atoms of no mass move nothing, and the line solver counts on masses above 0.
    rows, cols = np.flatnonzero(problem.row_mass), np.flatnonzero(problem.col_mass)
    problem, points = problem.between(rows, cols), points.select(rows, cols)
    scale = 2.0**points.exponent * problem.mass ** (1 / p)
    masses = Masses.of(problem.row_mass, problem.col_mass, problem.total, problem.exact_masses)
    distance = partial(_line_distance, masses, p)
    if x.shape[1] == 1:
        value = distance(points.x[:, 0], points.y[:, 0]) * scale
        return Estimate(value, 0.0, (value, value), 1.0, "exact: one dimension")
    directions = rng.normal(size=(n_projections, x.shape[1]))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    distances = np.array([distance(points.x @ w, points.y @ w) for w in directions[:, varying]])
    longest = float(distances.max()) or 1.0
    return _rooted((distances / longest) ** p, p, longest * scale)


def _line_distance(masses: Masses, p: float, x: Array, y: Array) -> float:
    """W_p between two projections, of mass 1."""
    least = least_cost(x, y, masses, p, p)
    return float(least.mean ** (1 / p) * least.unit)


def _rooted(costs: Array, p: float, scale: float) -> Estimate:
    """The p-th root of a mean of costs; its error by the delta method, its interval from that of the mean."""
    mean = float(costs.mean())
    error = float(costs.std(ddof=1)) / math.sqrt(len(costs))
    value = mean ** (1 / p)
    stderr = error * value / (p * mean) if mean > 0 else 0.0
    width = NormalDist().inv_cdf(0.5 + LEVEL / 2) * error
    low, high = (max(mean + sign * width, 0.0) ** (1 / p) for sign in (-1, 1))
    method = f"monte carlo: {len(costs)} directions"
    return Estimate(value * scale, stderr * scale, (low * scale, high * scale), LEVEL, method)
