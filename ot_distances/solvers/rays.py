"""Plain distances along transport rays: coordinates along and across them, and how much finer clusters are across."""

from __future__ import annotations

import numpy as np

from ..problem import Array, Watch
from .cloud import Cloud, ordered
from .level_flow import FlowLevel

# A shift below 1 / SHORT of the spread of the points makes no rays, and would drown in the roundings of a rotation.
SHORT = 16

# Clusters that tell how straight the rays are, SAMPLE of each side.
SAMPLE = 64

# Rays whose directions vary by more than this do not pay: there are about as many pairs to look at as without them.
STRAIGHT = 0.25

# Clusters are so many times as wide as that would have them: with fewer pivots, thinner ones are dearer to search.
WIDER = 2


def straightened(x: Array, y: Array, row_mass: Array, col_mass: Array) -> tuple[Array, Array, float]:
    """Both clouds turned so that the first axis runs along the rays, if there are any; how finely to cut along it.

    Mass that moves by z and is delta off across it pays |z| + delta^2 / (2 |z|): which of the points on a ray goes
    to which costs all the same. Clusters are to be as thin across the rays as these are straight, then: the last
    answer is WIDER times the root mean square of tan(angle between z and the first axis), or 1 without rays.
    """
    here, there = (np.average(points, axis=0, weights=mass) for points, mass in ((x, row_mass), (y, col_mass)))
    shift = there - here
    length = float(np.linalg.norm(shift))
    if x.shape[1] != 2 or SHORT * length <= np.sqrt(x.var(axis=0).sum() + y.var(axis=0).sum()):
        return x, y, 1.0
    # A reflection that takes the shift to the first axis; about the middle, where coordinates are least.
    mirror = shift / length
    mirror[0] += np.copysign(1.0, mirror[0])
    mirror /= np.linalg.norm(mirror)
    turned = [points - (here + there) / 2 for points in (x, y)]
    for points in turned:
        points -= np.outer(2 * (points @ mirror), mirror)
    bend = 1.0
    for _ in range(2):  # the second time without what square clusters are off across the rays
        clusters = [_clusters(points, mass, bend) for points, mass in zip(turned, (row_mass, col_mass))]
        bend = max(_bend(*clusters), 1 / len(x))
    return (turned[0], turned[1], WIDER * bend) if bend < STRAIGHT else (x, y, 1.0)


def _clusters(points: Array, mass: Array, bend: float) -> Cloud:
    order = ordered(points, np.empty(0, np.intp), bend)
    cloud = Cloud(points[order], mass[order], np.empty(0, np.intp), 0, 0.5, Watch())
    return cloud.coarser(-(-len(points) // SAMPLE))


def _bend(x: Cloud, y: Cloud) -> float:
    """How far an optimal plan goes across the first axis, relative to along it: root mean square."""
    spare = np.repeat(np.arange(len(x)), len(y)), np.tile(np.arange(len(y)), len(x))
    level = FlowLevel(x, y, np.zeros(len(y)), spare)
    level.optimise()
    rows, cols, mass = level.basis()
    squares = (y.points[cols] - x.points[rows]) ** 2
    length = np.sqrt(squares.sum(axis=1))
    weight = np.divide(mass, length**3, out=np.zeros(len(mass)), where=length > 0)
    along, across = weight @ squares
    return min(float(np.sqrt(across / along)), 1.0) if along > 0 else 1.0
