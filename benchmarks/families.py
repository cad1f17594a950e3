"""The problems: one literal table per suite, each row a name and a generator `(n, rng) -> Problem`.

Every generator draws all its randomness from the generator it is given, so (suite, family, n, seed) names a problem
for ever.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np

from ot_distances import datasets

Array = np.ndarray[Any, np.dtype[Any]]
Rng = np.random.Generator
PLANE_COST_DIMENSIONS = 16  # above it a cost matrix comes from a matrix product: only its speed differs, not its shape


@dataclass(frozen=True)
class Problem:
    """A cost matrix (or a stack or list of them), or two point sets with the cost distance ** p."""

    cost: Array | Sequence[Array] | None = None
    x: Array | None = None
    y: Array | None = None
    a: Array | None = None  # None: uniform
    b: Array | None = None
    p: int = 1

    @property
    def features(self) -> frozenset[str]:
        """What a solver has to understand to be asked."""
        found = set()
        costs = [] if self.cost is None else [self.cost] if isinstance(self.cost, np.ndarray) else list(self.cost)
        if isinstance(self.cost, list):
            found.add("ragged")
        if any(c.shape[-2] != c.shape[-1] for c in costs) or (self.x is not None and len(self.x) != len(self.y)):
            found.add("rectangular")
        if any(not np.isfinite(c).all() for c in costs):
            found.add("forbidden")
        if self.a is not None or self.b is not None:
            found.add("weights")
        return frozenset(found)

    @property
    def pairs(self) -> int:
        """Rows times columns."""
        if self.cost is not None:
            return sum(c.size for c in self.cost)
        return len(self.x) * len(self.y)

    @property
    def size(self) -> int:
        """What a solver without a tree has to look at: the pairs, or on the line the points."""
        return len(self.x) + len(self.y) if self.x is not None and self.x.ndim == 1 else self.pairs


# --- clouds: (n, rng) -> (x, y) -------------------------------------------------------------------------------------


def clouds(
    n: int, rng: Rng, d: int = 2, *, shift: float = 0.0, spread: float = 1.0, m: float = 1.0
) -> tuple[Array, Array]:
    """N(0, I) against N(shift, spread^2 I); m is the size of the second cloud relative to n."""
    return rng.standard_normal((n, d)), spread * rng.standard_normal((round(m * n), d)) + shift


def uniform(n: int, rng: Rng, d: int = 2) -> tuple[Array, Array]:
    return rng.random((n, d)), rng.random((n, d))


def ring_square(n: int, rng: Rng) -> tuple[Array, Array]:
    angle, radius = rng.random(n) * 2 * np.pi, 1 + 0.05 * rng.standard_normal(n)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), rng.random((n, 2)) * 2 - 1


def bananas(n: int, rng: Rng) -> tuple[Array, Array]:
    def banana() -> Array:
        t = rng.standard_normal(n)
        return np.stack([t, t**2 + 0.3 * rng.standard_normal(n)], axis=1)

    return banana(), banana() @ np.array([[0.0, 1.0], [-1.0, 0.0]])


def collapsed(n: int, rng: Rng, d: int = 2) -> tuple[Array, Array]:
    """Data against a generator at the start of its training: every point within 1e-3 of one place."""
    step = rng.standard_normal((n, d))
    step *= 1e-3 * rng.random((n, 1)) ** (1 / d) / np.linalg.norm(step, axis=1, keepdims=True)
    return rng.standard_normal((n, d)), rng.standard_normal(d) + step


def cauchy(n: int, rng: Rng) -> tuple[Array, Array]:
    return rng.standard_cauchy((n, 2)), rng.standard_cauchy((n, 2))


def collinear(n: int, rng: Rng) -> tuple[Array, Array]:
    direction = np.array([3.0, 4.0]) / 5
    return rng.random((n, 1)) * direction, (rng.random((n, 1)) ** 2 + 0.5) * direction


def grids(n: int, rng: Rng) -> tuple[Array, Array]:
    """The unit lattice against itself half a cell away: nearly every distance occurs many times."""
    side = int(np.ceil(np.sqrt(n)))
    lattice = np.stack(np.divmod(np.arange(n), side), axis=1).astype(float)
    return lattice, rng.permutation(lattice) + 0.5


def cluster_hundred(n: int, rng: Rng) -> tuple[Array, Array]:
    centres = rng.uniform(-10, 10, (100, 2))
    return 0.1 * rng.standard_normal((n, 2)), centres[rng.integers(100, size=n)] + 0.05 * rng.standard_normal((n, 2))


def duplicates(n: int, rng: Rng) -> tuple[Array, Array]:
    """About ten points of each side at every place; half of the places are common to both."""
    places = rng.random((max(2, n // 10), 2))
    half = len(places) // 2
    return places[rng.integers(half * 3 // 2, size=n)], places[rng.integers(half // 2, len(places), size=n)]


def one_place(n: int, rng: Rng) -> tuple[Array, Array]:
    return np.full((n, 2), 0.25), rng.standard_normal((n, 2))


@cache
def _pictures(name: str) -> Array:
    return {"digits": datasets.digits, "MNIST": datasets.mnist}[name]()[0].astype(float)


def pictures(n: int, rng: Rng, name: str) -> tuple[Array, Array]:
    """2n different pictures; where the collection is too small each further pass over it moves it by some pixels."""
    images = _pictures(name)
    passes = [np.roll(rng.permutation(images), (k, 2 * k), axis=(1, 2)) for k in range(-(-2 * n // len(images)))]
    flat = np.concatenate(passes)[: 2 * n].reshape(2 * n, -1)
    return flat[:n], flat[n:]


# --- cost matrices --------------------------------------------------------------------------------------------------


def matrix(x: Array, y: Array, p: float) -> Array:
    """Distances to the power p, each at least 0."""
    from scipy.spatial.distance import cdist

    if x.shape[1] <= PLANE_COST_DIMENSIONS:
        return cdist(x, y, "sqeuclidean") if p == 2 else cdist(x, y) ** p
    centre = x.mean(axis=0)
    x, y = x - centre, y - centre
    square = np.maximum((x**2).sum(1)[:, None] + (y**2).sum(1)[None, :] - 2 * x @ y.T, 0)
    return square if p == 2 else np.sqrt(square, out=square)


def integers(n: int, rng: Rng, top: int | None = None, dtype: str = "float64") -> Problem:
    return Problem(rng.integers(1, (top or n) + 1, (n, n)).astype(dtype))


def blocks(n: int, rng: Rng) -> Problem:
    """Ten groups a side, cheap within a group; the groups differ in size, so some have to leave."""
    away = rng.integers(10, size=n)[:, None] != rng.integers(10, size=n)[None, :]
    return Problem(rng.random((n, n)) + 10 * away)


def sparse(n: int, rng: Rng) -> Problem:
    """About thirty allowed columns a row, +inf elsewhere; a hidden permutation keeps it feasible."""
    allowed = rng.random((n, n)) < min(0.5, 30 / n)
    allowed[np.arange(n), rng.permutation(n)] = True
    return Problem(np.where(allowed, rng.random((n, n)), np.inf))


def geometric(n: int, rng: Rng, draw: Callable[..., tuple[Array, Array]], p: int) -> Problem:
    return Problem(matrix(*draw(n, rng), p))


def _geometries() -> dict[str, Callable[[int, Rng], Problem]]:
    draws: dict[str, Callable[..., tuple[Array, Array]]] = {
        "square 2-D": uniform,
        "far apart 2-D": partial(clouds, shift=4.0, spread=0.3),
        "collapsed 2-D": collapsed,
        "ring on square": ring_square,
        "cube 3-D": partial(uniform, d=3),
        "Gauss 16-D": partial(clouds, d=16),
        "far apart 16-D": partial(clouds, d=16, shift=4.0, spread=0.3),
        "Gauss 100-D": partial(clouds, d=100),
        "Gauss 784-D": partial(clouds, d=784),
        "collapsed 784-D": partial(collapsed, d=784),
        "MNIST": partial(pictures, name="MNIST"),
        "digits": partial(pictures, name="digits"),
    }
    costs = {"squared": 2, "plain": 1}
    return {
        f"{name}, {word}": partial(geometric, draw=draw, p=p)
        for name, draw in draws.items()
        for word, p in costs.items()
    }


ASSIGNMENT: dict[str, Callable[[int, Rng], Problem]] = {
    "uniform": lambda n, rng: Problem(rng.random((n, n))),
    "uniform, float32": lambda n, rng: Problem(rng.random((n, n), dtype=np.float32)),
    "exponential": lambda n, rng: Problem(rng.exponential(size=(n, n))),
    "integers 1..100": partial(integers, top=100),
    "integers 1..n": integers,
    "integers 1..1e6": partial(integers, top=10**6),
    "integers 1..1e6, int64": partial(integers, top=10**6, dtype="int64"),
    "zero-one": lambda n, rng: Problem((rng.random((n, n)) < 0.9).astype(float)),
    "Machol-Wien i*j": lambda n, rng: Problem(np.outer(np.arange(1.0, n + 1), np.arange(1.0, n + 1))),
    "low rank": lambda n, rng: Problem(rng.random((n, 4)) @ rng.random((4, n))),
    "constant": lambda n, rng: Problem(np.full((n, n), 7.5)),
    "blocks": blocks,
    "sparse with +inf": sparse,
    "uniform, n x 2n": lambda n, rng: Problem(rng.random((n, 2 * n))),
    "Gauss 2-D, 1.5n x n": lambda n, rng: Problem(matrix(*clouds(n, rng, m=1.5), 2).T.copy()),
    **_geometries(),
}

# n is the side of one problem; the stack holds about 1.2 million entries whatever n is (512 problems of 48 x 48).


def stack(n: int, rng: Rng, draw: Callable[[int, Rng], Problem], count: int | None = None) -> Problem:
    return Problem(np.stack([np.asarray(draw(n, rng).cost) for _ in range(count or max(4, 512 * 48**2 // n**2))]))


def ragged(n: int, rng: Rng) -> Problem:
    """Problems of n/2 to 3n/2 rows and as many columns."""
    sides = rng.integers(max(1, n // 2), max(2, 3 * n // 2) + 1, size=max(4, 512 * 48**2 // n**2))
    return Problem([rng.random((side, side)) for side in sides])


BATCH: dict[str, Callable[[int, Rng], Problem]] = {
    "uniform": partial(stack, draw=ASSIGNMENT["uniform"]),
    "integers 1..100": partial(stack, draw=ASSIGNMENT["integers 1..100"]),
    "square 2-D, squared": partial(stack, draw=ASSIGNMENT["square 2-D, squared"]),
    "far apart 2-D, plain": partial(stack, draw=ASSIGNMENT["far apart 2-D, plain"]),
    "Gauss 784-D, plain": partial(stack, draw=ASSIGNMENT["Gauss 784-D, plain"]),
    "ragged, uniform": ragged,
    "one problem, uniform": partial(stack, draw=ASSIGNMENT["uniform"], count=1),
}


# --- weights --------------------------------------------------------------------------------------------------------


def simplex(n: int, rng: Rng, decades: float = 0.0) -> Array:
    """Weights that sum to 1: exponential, or spread evenly over that many powers of ten."""
    w = rng.exponential(size=n) if decades == 0 else 10.0 ** rng.uniform(-decades, 0, n)
    return w / w.sum()


def weighted(problem: Problem, rng: Rng, decades: float = 0.0) -> Problem:
    n, m = np.shape(problem.cost) if problem.cost is not None else (len(problem.x), len(problem.y))
    return replace(problem, a=simplex(n, rng, decades), b=simplex(m, rng, decades))


def counts(n: int, rng: Rng) -> Problem:
    """Whole-number masses and costs: as degenerate as transport becomes."""
    a, b = (rng.multinomial(10 * n, np.full(n, 1 / n)) / (10.0 * n) for _ in range(2))
    return Problem(rng.integers(1, 21, (n, n)).astype(float), a=a, b=b)


def images(n: int, rng: Rng, kind: str) -> Problem:
    """Two pictures with about n pixels each as measures on one pixel grid, in the manner of DOTmark."""
    from scipy.ndimage import gaussian_filter

    side = max(2, round(np.sqrt(n)))
    grid = np.stack(np.divmod(np.arange(side**2), side), axis=1).astype(float)

    def picture() -> Array:
        if kind == "noise":
            return rng.random(side**2)
        if kind == "smooth":
            field = gaussian_filter(rng.standard_normal((side, side)), side / 12, mode="wrap")
            return np.exp(2 * field / field.std()).ravel()
        shape = np.zeros(side**2)  # discs on a background of no mass
        for centre, radius in zip(rng.uniform(0.2, 0.8, (3, 2)) * side, rng.uniform(0.08, 0.2, 3) * side):
            shape[((grid - centre) ** 2).sum(1) <= max(radius, 1) ** 2] = 1
        return shape

    a, b = picture(), picture()
    return Problem(x=grid, y=grid.copy(), a=a / a.sum(), b=b / b.sum())


def dense(problem: Problem, p: int) -> Problem:
    return Problem(matrix(problem.x, problem.y, p), a=problem.a, b=problem.b)


def points(n: int, rng: Rng, draw: Callable[..., tuple[Array, Array]]) -> Problem:
    x, y = draw(n, rng)
    return Problem(x=x, y=y)


TRANSPORT: dict[str, Callable[[int, Rng], Problem]] = {
    "uniform costs": lambda n, rng: weighted(Problem(rng.random((n, n))), rng),
    "uniform costs, n x 2n, equal weights": lambda n, rng: Problem(
        rng.random((n, 2 * n)), a=np.full(n, 1 / n), b=np.full(2 * n, 0.5 / n)
    ),
    "counts": counts,
    "Gauss 2-D, plain": lambda n, rng: weighted(dense(points(n, rng, clouds), 1), rng),
    "Gauss 2-D, squared, weights over 1e6": lambda n, rng: weighted(dense(points(n, rng, clouds), 2), rng, 6),
    "far apart 2-D, squared": lambda n, rng: weighted(
        dense(points(n, rng, partial(clouds, shift=4.0, spread=0.3)), 2), rng
    ),
    "Gauss 16-D, squared": lambda n, rng: weighted(dense(points(n, rng, partial(clouds, d=16)), 2), rng),
    "Gauss 784-D, plain": lambda n, rng: weighted(dense(points(n, rng, partial(clouds, d=784)), 1), rng),
    "pixels, smooth, plain": lambda n, rng: dense(images(n, rng, "smooth"), 1),
    "pixels, discs, squared": lambda n, rng: dense(images(n, rng, "discs"), 2),
}


def _both_powers(rows: dict[str, Callable[[int, Rng], Problem]]) -> dict[str, Callable[[int, Rng], Problem]]:
    def powered(n: int, rng: Rng, make: Callable[[int, Rng], Problem], p: int) -> Problem:
        return replace(make(n, rng), p=p)

    return {f"{name}, p={p}": partial(powered, make=make, p=p) for name, make in rows.items() for p in (2, 1)}


POINTS: dict[str, Callable[[int, Rng], Problem]] = _both_powers(
    {
        **{
            name: partial(points, draw=draw)
            for name, draw in {
                "square 2-D": uniform,
                "cube 3-D": partial(uniform, d=3),
                "shifted Gauss 2-D": partial(clouds, shift=1.0),
                "shifted Gauss 3-D": partial(clouds, d=3, shift=1.0),
                "Gauss 10-D": partial(clouds, d=10),
                "Gauss 16-D": partial(clouds, d=16),
                "Gauss 50-D": partial(clouds, d=50),
                "Gauss 100-D": partial(clouds, d=100),
                "banana on banana": bananas,
                "ring on square": ring_square,
                "far apart": partial(clouds, shift=4.0, spread=0.3),
                "Cauchy tails": cauchy,
                "collinear": collinear,
                "grid with ties": grids,
                "cluster on a hundred": cluster_hundred,
                "duplicates": duplicates,
                "all in one place": one_place,
            }.items()
        },
        "n against 0.8n": lambda n, rng: points(n, rng, partial(clouds, shift=1.0, m=0.8)),
        "weighted": lambda n, rng: weighted(points(n, rng, partial(clouds, shift=1.0, m=0.8)), rng),
        "weights over 1e6": lambda n, rng: weighted(points(n, rng, partial(clouds, shift=1.0)), rng, 6),
        "weighted 16-D": lambda n, rng: weighted(points(n, rng, partial(clouds, d=16, m=0.8)), rng),
        "pixels, smooth": partial(images, kind="smooth"),
        "pixels, noise": partial(images, kind="noise"),
        "pixels, discs": partial(images, kind="discs"),
    }
)

LINE: dict[str, Callable[[int, Rng], Problem]] = _both_powers(
    {
        "Gauss, n = m": lambda n, rng: Problem(x=rng.standard_normal(n), y=rng.standard_normal(n) + 1),
        "Gauss, n against 0.7n": lambda n, rng: Problem(
            x=rng.standard_normal(n), y=rng.standard_normal(max(1, 7 * n // 10)) + 1
        ),
        "weights over 1e6": lambda n, rng: weighted(
            Problem(x=rng.standard_normal(n), y=rng.standard_normal(n) + 1), rng, 6
        ),
        "whole numbers": lambda n, rng: Problem(
            x=rng.integers(0, 50, n).astype(float), y=rng.integers(10, 60, n).astype(float)
        ),
        "Cauchy tails": lambda n, rng: Problem(x=rng.standard_cauchy(n), y=rng.standard_cauchy(n)),
    }
)

SUITES = {"assignment": ASSIGNMENT, "batch": BATCH, "transport": TRANSPORT, "points": POINTS, "line": LINE}


def make(suite: str, family: str, n: int, seed: int = 0) -> Problem:
    """The problem that (suite, family, n, seed) names."""
    return SUITES[suite][family](n, np.random.default_rng([seed, n, zlib.crc32(f"{suite}/{family}".encode())]))
