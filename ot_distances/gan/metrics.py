"""How good the generated points are, against points that nothing was trained on."""

from __future__ import annotations

import math

import numpy as np

from .. import linear_assignment
from ..problem import Array
from .data import Dataset
from .samplers import squared_distances

# A mode counts as found where it holds this share of the samples, so that no stray point finds one.
FOUND = 0.01
# The neighbour whose distance is the radius of a ball in precision and recall.
NEIGHBOUR = 3
# What a yardstick tells; the measures of modes only where the data know theirs.
MEASURES = ("w1", "w2", "modes", "high_quality", "entropy", "rarest", "spread", "precision", "recall", "nearest_ratio")


class Yardstick:
    """What does not change while a generator learns: held-out points, and how far real points are from them.

    Parameters
    ----------
    data : Dataset
    points : int
        Points a side of the exact distances; fewer if the held-out set has fewer.
    """

    def __init__(self, data: Dataset, points: int) -> None:
        self.data, self.train = data, data.train.astype(np.float64)
        self.variance = float(self.train.var(axis=0).sum())
        if not self.variance:
            raise ValueError(
                f"`data` must hold different points, but all {len(self.train)} of {data.name} are the same. Nothing is "
                "to be learnt."
            )
        size = min(points, len(data.held), len(data.train))
        self.held = data.held[:size].astype(np.float64)
        self.real = np.random.default_rng(0).permutation(self.train)[:size]
        self.floor = dict(zip(("w1_floor", "w2_floor"), exact_distances(self.real, self.held)))
        nearest = self._nearest(self.held)
        # A generated image further from every training image than 95 in 100 new real ones is not a good one.
        self.held_nearest, self.far = float(nearest.mean()) or 1.0, float(np.quantile(nearest, 0.95))

    def __call__(self, y: Array) -> dict[str, float]:
        """All measures of generated points (k, d); the exact distances take the first of them."""
        y = y.astype(np.float64)
        some, nearest = y[: len(self.held)], self._nearest(y)
        return {
            **dict(zip(("w1", "w2"), exact_distances(some, self.held))),
            **self._modes(y, nearest <= self.far),
            "spread": math.sqrt(float(y.var(axis=0).sum()) / self.variance),
            **dict(zip(("precision", "recall"), precision_and_recall(self.real, some))),
            "nearest_ratio": float(nearest.mean()) / self.held_nearest,
        }

    def _nearest(self, y: Array) -> Array:
        """The distance of each point to the nearest that is trained on."""
        return np.sqrt(squared_distances(y, self.train).min(axis=1))

    def _modes(self, y: Array, near: Array) -> dict[str, float]:
        """Modes found, share of good samples, entropy of the modes (1: all alike) and share of the rarest."""
        k = self.data.modes
        if self.data.mode_of is None:
            return {"high_quality": float(near.mean())}
        mode = self.data.mode_of(y)
        share = np.bincount(mode[mode >= 0], minlength=k) / len(y)
        inside = share[share > 0] / (share.sum() or 1.0)
        return {
            "modes": int(np.sum((share > 0) & (share >= min(FOUND, 0.25 / k)))),
            # Every image has a nearest class: whether it is a good one, its neighbours tell.
            "high_quality": float(np.mean(mode >= 0 if self.data.shape is None else near)),
            "entropy": abs(float(inside @ np.log(inside))) / math.log(k),
            "rarest": float(share.min()),
        }


def exact_distances(x: Array, y: Array) -> tuple[float, float]:
    """(W_1, W_2) of two equally large sets, exact: two matchings on one matrix of distances."""
    from scipy.spatial.distance import cdist

    distances = cdist(x, y)
    w1, w2_squared = (linear_assignment(costs).cost / len(x) for costs in (distances, np.square(distances)))
    return w1, math.sqrt(w2_squared)


def precision_and_recall(real: Array, fake: Array) -> tuple[float, float]:
    """The shares of generated points near real ones, and of real points near generated ones.

    Near a set is who lies in a ball around one of its points that reaches to that point's third neighbour.

    References
    ----------
    T. Kynkäänniemi, T. Karras, S. Laine, J. Lehtinen and T. Aila, Improved precision and recall metric for assessing
    generative models, NeurIPS 2019.
    """
    k = min(NEIGHBOUR, len(real) - 1, len(fake) - 1)
    of_real, of_fake = (np.partition(squared_distances(side, side), k, axis=1)[:, k] for side in (real, fake))
    between = squared_distances(real, fake)
    precision, recall = (between <= of_real[:, None]).any(axis=0), (between <= of_fake).any(axis=1)
    return float(precision.mean()), float(recall.mean())
