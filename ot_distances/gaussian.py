"""Wasserstein distance between Gaussians, in closed form."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import measures
from .problem import Array

# Covariances are close where the map between the laws is as near to 1 as this, so that three steps of its iteration
# tell all its digits; and regular where the least eigenvalue is more than this part of the largest.
NEAR, LEAST = 1e-4, 1e-10


def gaussian_wasserstein(mean_x: Any, cov_x: Any, mean_y: Any, cov_y: Any) -> float:
    """W_2 between two normal distributions, in the unit of the means.

    ``W_2^2 = |m_x - m_y|^2 + tr(S_x + S_y - 2 (S_x^(1/2) S_y S_x^(1/2))^(1/2))``; the second term is the squared
    Bures distance of the covariances. It is a metric, and a lower bound for W_2 of any laws with these moments.

    Parameters
    ----------
    mean_x, mean_y : array_like, shape (d,), or float for d = 1
        Means.
    cov_x, cov_y : array_like, shape (d, d), or float (the variance) for d = 1
        Covariances: symmetric, positive semidefinite; singular ones are welcome.

    Returns
    -------
    float
        The distance.

    Raises
    ------
    TypeError, ValueError
        Bad input: wrong shapes, not finite, not symmetric, not positive semidefinite.

    Notes
    -----
    The trace formula cancels where the covariances are close. Here the Bures distance is the least Frobenius
    distance ``|A - B U|`` between square roots, A A' = S_x, B B' = S_y, over rotations U: a polar decomposition,
    which loses no digits; covariances that nearly agree are compared by their difference. O(d^3) time.

    References
    ----------
    C. R. Givens and R. M. Shortt, A class of Wasserstein metrics for probability distributions, Michigan Math. J. 1984.
    R. Bhatia, T. Jain and Y. Lim, On the Bures-Wasserstein distance between positive definite matrices,
    Expositiones Mathematicae 2019.

    Examples
    --------
    >>> from ot_distances import gaussian_wasserstein
    >>> gaussian_wasserstein(0.0, 1.0, 3.0, 25.0)
    5.0
    """
    means = [_mean(mean_x, "mean_x"), _mean(mean_y, "mean_y")]
    if means[0].shape != means[1].shape:
        raise ValueError(
            f"`mean_x` and `mean_y` must have the same length, but their shapes are {means[0].shape} and "
            f"{means[1].shape}. Bring both laws into one space."
        )
    d = len(means[0])
    covariances = [_covariance(cov_x, "cov_x", d), _covariance(cov_y, "cov_y", d)]
    # A power of two brings everything to O(1): squares neither overflow nor vanish.
    shift = max(
        [math.frexp(float(np.abs(m).max()))[1] for m in means]
        + [(math.frexp(float(np.abs(c).max()))[1] + 1) // 2 for c in covariances if c.any()],
    )
    scaled = [np.ldexp(c, -2 * shift) for c in covariances]
    roots = [_root(c, name, 2 * shift) for c, name in zip(scaled, ("cov_x", "cov_y"))]
    left, _, right = np.linalg.svd(roots[1].T @ roots[0])
    bures = _nearly_equal(*scaled)
    if bures is None:
        bures = float(np.linalg.norm(roots[0] - roots[1] @ (left @ right)))
    difference = np.linalg.norm(np.ldexp(means[0], -shift) - np.ldexp(means[1], -shift))
    return math.ldexp(math.hypot(float(difference), bures), shift)


def _nearly_equal(cov_x: Array, cov_y: Array) -> float | None:
    """The Bures distance from the difference of the covariances, exactly 0 for equal ones; None where they are apart.

    The best map from one law to the other is 1 + M with S M + M S + M S M = S_y - S, S = S_x, which is solved for M in
    the eigenvectors of S; the distance is |M S^(1/2)|.
    """
    if np.array_equal(cov_x, cov_y):
        return 0.0
    eigenvalues, vectors = np.linalg.eigh(cov_x)
    if eigenvalues[0] <= LEAST * eigenvalues[-1]:
        return None
    sums, moved = eigenvalues[:, None] + eigenvalues, vectors.T @ (cov_y - cov_x) @ vectors
    step = moved / sums
    if np.linalg.norm(step) > NEAR:
        return None
    for _ in range(3):
        step = (moved - (step * eigenvalues) @ step) / sums
    return float(np.linalg.norm(step * np.sqrt(eigenvalues)))


def _mean(value: Any, name: str) -> Array:
    array = np.atleast_1d(measures.real_array(value, name)).astype(np.float64)
    if array.ndim != 1 or len(array) == 0:
        raise ValueError(f"`{name}` must have shape (d,), but it has shape {array.shape}. Pass one mean vector.")
    measures.require_finite(array, name, "A Gaussian has a finite mean.")
    return array


def _covariance(value: Any, name: str, d: int) -> Array:
    array = measures.real_array(value, name).astype(np.float64)
    if array.ndim == 0:
        array = array[None, None]
    if array.shape != (d, d):
        raise ValueError(
            f"`{name}` must have shape ({d}, {d}), but it has shape {array.shape}. Pass one covariance matrix."
        )
    measures.require_finite(array, name, "A Gaussian has a finite covariance.")
    uneven = np.abs(array - array.T) > 1e-8 * np.abs(array).max()
    if uneven.any():
        i, j = np.unravel_index(int(np.argmax(uneven)), array.shape)
        raise ValueError(
            f"`{name}` must be symmetric, but {name}[{i}, {j}] = {array[i, j]} and {name}[{j}, {i}] = {array[j, i]}. "
            "Symmetrise it: (S + S.T) / 2."
        )
    return (array + array.T) / 2


def _root(covariance: Array, name: str, shift: int) -> Array:
    """The symmetric square root; eigenvalues negative by rounding count as 0. `shift` restores the unit in errors."""
    eigenvalues, vectors = np.linalg.eigh(covariance)
    if eigenvalues[0] < -1e-8 * max(eigenvalues[-1], 0.0) or (eigenvalues[-1] <= 0 and eigenvalues[0] < 0):
        raise ValueError(
            f"`{name}` must be positive semidefinite, but its least eigenvalue is "
            f"{math.ldexp(float(eigenvalues[0]), shift):.6g}. Project it, or estimate it again."
        )
    return np.asarray((vectors * np.sqrt(np.maximum(eigenvalues, 0.0))) @ vectors.T)
