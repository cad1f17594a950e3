"""Wasserstein distance between Gaussians, in closed form."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import measures
from ._arrays import library
from .problem import Array

# Covariances are close where the map between the laws is as near to 1 as this, so that three steps of its iteration
# tell all its digits; and regular where the least eigenvalue is more than this part of the largest.
NEAR, LEAST = 1e-4, 1e-10

# Negative eigenvalues, and differences across the diagonal, that are taken for rounding: relative to the largest.
ROUNDING = {"float64": 1e-8, "float32": 1e-5, "float16": 2e-2, "bfloat16": 1e-1}


@np.errstate(under="ignore")
def gaussian_wasserstein(mean_x: Any, cov_x: Any, mean_y: Any, cov_y: Any) -> float | Any:
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
    float or tensor
        The distance; a 0-d tensor for torch, differentiable in all four.

    Raises
    ------
    TypeError, ValueError
        Bad input: wrong shapes, not finite, not symmetric, not positive semidefinite.

    Notes
    -----
    The trace formula cancels where the covariances are close. Here the Bures distance is the least Frobenius
    distance ``|A - B U|`` between square roots, A A' = S_x, B B' = S_y, over rotations U: a polar decomposition,
    which loses no digits; covariances that nearly agree are compared by their difference. O(d^3) time.

    The slope in S_x is ``(1 - T) / (2 W_2)`` with the linear map T from one law to the other. Along directions in which
    S_x has no variance it is infinite where S_y has some, and 0 is given; at W_2 = 0, a kink, all slopes are 0.

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
    roots = [_root(c, name, 2 * shift, given) for c, name, given in zip(scaled, ("cov_x", "cov_y"), (cov_x, cov_y))]
    left, _, right = np.linalg.svd(roots[1].T @ roots[0])
    rotation = left @ right
    apart = _nearly_equal(*scaled)
    if apart is None:
        apart = roots[0] - roots[1] @ rotation
    difference = np.ldexp(means[0], -shift) - np.ldexp(means[1], -shift)
    distance = math.hypot(float(np.linalg.norm(difference)), float(np.linalg.norm(apart)))
    value = math.ldexp(distance, shift)
    given = mean_x, cov_x, mean_y, cov_y
    if library(*given) != "torch":
        return value
    from . import _torch

    return _torch.with_slopes(value, lambda: _slopes(difference, apart, rotation, roots, distance, shift), given)


def _slopes(
    difference: Array, apart: Array, rotation: Array, roots: list[Array], distance: float, shift: int
) -> tuple[Array, Array, Array, Array]:
    """Partial derivatives of the distance in the means and covariances: all but the last argument in its unit.

    `apart` is A - B U, the roots in their best position: (1 - T) A with the map T, and so 1 - T = (A - B U) / A.
    """
    if distance == 0:
        return np.zeros_like(difference), np.zeros_like(apart), np.zeros_like(difference), np.zeros_like(apart)
    in_x, in_y = (
        np.ldexp((side + side.T) / (4 * distance), -shift)
        for side in (apart @ _inverse(roots[0]), -apart @ rotation.T @ _inverse(roots[1]))
    )
    return difference / distance, in_x, -difference / distance, in_y


def _inverse(root: Array) -> Array:
    """Of a symmetric root, on the directions in which it has a variance."""
    return np.linalg.pinv(root, rcond=math.sqrt(LEAST), hermitian=True)


def _nearly_equal(cov_x: Array, cov_y: Array) -> Array | None:
    """A - B U, the roots in their best position, from the difference of the covariances; None where they are apart.

    The best map from one law to the other is 1 + M with S M + M S + M S M = S_y - S, S = S_x, which is solved for M in
    the eigenvectors of S; then A - B U is -M S^(1/2), exactly 0 for equal covariances.
    """
    if np.array_equal(cov_x, cov_y):
        return np.zeros_like(cov_x)
    eigenvalues, vectors = np.linalg.eigh(cov_x)
    if eigenvalues[0] <= LEAST * eigenvalues[-1]:
        return None
    sums, moved = eigenvalues[:, None] + eigenvalues, vectors.T @ (cov_y - cov_x) @ vectors
    step = moved / sums
    if np.linalg.norm(step) > NEAR:
        return None
    for _ in range(3):
        step = (moved - (step * eigenvalues) @ step) / sums
    return -vectors @ (step * np.sqrt(eigenvalues)) @ vectors.T


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
    uneven = np.abs(array - array.T) > _rounding(value) * np.abs(array).max()
    if uneven.any():
        i, j = np.unravel_index(int(np.argmax(uneven)), array.shape)
        raise ValueError(
            f"`{name}` must be symmetric, but {name}[{i}, {j}] = {array[i, j]} and {name}[{j}, {i}] = {array[j, i]}. "
            "Symmetrise it: (S + S.T) / 2."
        )
    return (array + array.T) / 2


def _rounding(given: Any) -> float:
    """What is rounding in a covariance of the dtype that the user's has."""
    return ROUNDING.get(str(getattr(given, "dtype", "float64")).rpartition(".")[2], ROUNDING["float64"])


def _root(covariance: Array, name: str, shift: int, given: Any) -> Array:
    """The symmetric square root; eigenvalues negative by rounding count as 0. `shift` restores the unit in errors."""
    eigenvalues, vectors = np.linalg.eigh(covariance)
    least = -_rounding(given) * max(eigenvalues[-1], 0.0)
    if eigenvalues[0] < least or (eigenvalues[-1] <= 0 and eigenvalues[0] < 0):
        raise ValueError(
            f"`{name}` must be positive semidefinite, but its least eigenvalue is "
            f"{math.ldexp(float(eigenvalues[0]), shift):.6g}. Project it, or estimate it again."
        )
    return np.asarray((vectors * np.sqrt(np.maximum(eigenvalues, 0.0))) @ vectors.T)
