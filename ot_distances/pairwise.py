"""All distances between many measures, or between the measures of two lists."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import measures as gate
from ._arrays import require_same_atoms, require_same_order
from .problem import Array, NotConverged, Progress

SMALL = 128 * 128  # entries of a cost matrix: smaller problems of one shape travel in stacks
STACK = 64  # pairs in a stack

Measure = tuple[Array, ...]  # points, or points and weights; mean and covariance; one probability vector
Pairs = tuple[Array, Array]  # indices of rows and of columns


@dataclass(frozen=True)
class Distance:
    """A row of the table: how a measure is judged, and how stacks of them are compared."""

    judge: Callable[[Any, str], Measure]
    between: Callable[..., Any]  # (list of x, list of y, options) -> (k,); all of one shape
    stacks: bool = True  # one call compares many pairs of the same shapes
    symmetric: bool = True


def pairwise(
    measures: Any,
    others: Any = None,
    *,
    distance: str = "wasserstein",
    n_jobs: int | None = None,
    progress: bool = False,
    **options: Any,
) -> Array:
    """The matrix of distances between all measures, or from each of `measures` to each of `others`.

    Entry (i, j) is what ``distance`` says of ``measures[i]`` and ``others[j]``. Without `others` the matrix of a
    symmetric distance is solved once for each unordered pair, and is symmetric to the last bit, with a diagonal of 0;
    a `metric` that is a function may be anything, so that it is asked of every pair both ways.

    Parameters
    ----------
    measures : sequence
        For "wasserstein" and "sliced_wasserstein" point sets (n, d) or (n,), each alone or as a tuple
        ``(points, weights)``; numbers of points may differ, masses may not, which are 1 without weights. For
        "gaussian_wasserstein" tuples ``(mean, cov)``. For divergences probability vectors on common atoms.
    others : sequence, optional
        The same; where left out, `measures` themselves.
    distance : str, default "wasserstein"
        "wasserstein", "sliced_wasserstein", "gaussian_wasserstein", "kl_divergence", "js_divergence", "js_distance" or
        "total_variation". Of an estimate the value is taken.
    n_jobs : int, optional
        Threads over the problems; all cores if not given.
    progress : bool, default False
        Say on standard error what is done.
    **options
        Passed on, such as ``p=2`` or ``metric="cityblock"``.

    Returns
    -------
    ndarray, shape (k, l)
        Of torch tensors, too: it knows no gradients. `wasserstein` of a batch does.

    Raises
    ------
    TypeError, ValueError
        Bad input, with the index of the measure, or of the pair; an option that the distance does not have.
    NotConverged
        A distance that could not be certified, with the index of the pair.

    Notes
    -----
    Small problems of one shape travel together, up to 64 in a call. Sliced distances are all taken along the same
    directions, so that they differ by the measures alone.

    Examples
    --------
    >>> from ot_distances import pairwise
    >>> pairwise([[0.0, 1.0], [0.0, 3.0], ([2.0, 4.0], [0.75, 0.25])])
    array([[0. , 1. , 2. ],
           [1. , 0. , 1.5],
           [2. , 1.5, 0. ]])
    >>> pairwise([[0.5, 0.5]], [[1.0, 0.0], [0.5, 0.5]], distance="total_variation")
    array([[0.5, 0. ]])
    """
    kind = DISTANCES[gate.option(distance, "distance", DISTANCES)]
    workers = gate.threads(n_jobs)
    options = _judged_options(distance, options)
    left = _judged(measures, "measures", kind)
    right = left if others is None else _judged(others, "others", kind)
    _same_space(left, right)
    _same_labels(measures, others, kind)
    if kind.judge is _points:
        _same_mass(left, right)
    matrix = np.zeros((len(left), len(right)))
    within = others is None and not callable(options.get("metric"))  # a function is asked both ways, and of x and x
    tasks = _tasks(left, right, kind, within)
    names = "measures", "measures" if others is None else "others"
    told = Progress(sum(len(rows) for rows, _ in tasks), "distances", progress)

    def solve(pairs: Pairs) -> Array:
        values = _compared(kind, left, right, pairs, options, names)
        told.advance(len(values))
        return values

    pool = ThreadPoolExecutor(workers)
    try:
        for (rows, cols), values in zip(tasks, pool.map(solve, tasks)):
            matrix[rows, cols] = values
            if within and kind.symmetric:
                matrix[cols, rows] = values
    finally:
        pool.shutdown(cancel_futures=True)  # after an error nobody waits for the rest
    return matrix


def _judged_options(distance: str, options: dict[str, Any]) -> dict[str, Any]:
    """Refuse an option that the distance does not have; every sliced distance gets the same directions."""
    import ot_distances

    kinds = inspect.signature(getattr(ot_distances, distance)).parameters.values()
    known = [one.name for one in kinds if one.kind is one.KEYWORD_ONLY and one.name not in ("axis", "n_jobs")]
    for name in options:
        if name not in known:
            held = f"knows {', '.join(map(repr, known))}" if known else "has no options"
            raise TypeError(
                f"`{name}` must be an option of {distance}, but that {held}. Correct its name, or leave it."
            )
    if distance == "sliced_wasserstein":
        seed = gate.generator(options.get("seed")).integers(2**63)
        return {**options, "seed": int(seed)}
    return options


def _judged(measures: Any, name: str, kind: Distance) -> list[Measure]:
    if isinstance(measures, (str, bytes, dict)) or not hasattr(measures, "__len__"):
        raise TypeError(
            f"`{name}` must be a sequence of measures, but it is a {type(measures).__name__}. Pass a list of them."
        )
    if not len(measures):
        raise ValueError(f"`{name}` must hold at least one measure, but it is empty. Pass a list of them.")
    if hasattr(measures, "columns"):  # of which iteration gives the names
        raise TypeError(
            f"`{name}` must be a sequence of measures, but it is a {type(measures).__name__}. Pass its rows, "
            f"{name}.to_numpy(), or a list of frames."
        )
    return [kind.judge(one, f"{name}[{i}]") for i, one in enumerate(measures)]


def _same_space(left: list[Measure], right: list[Measure]) -> None:
    """All measures have as many columns."""
    wanted = left[0][0].shape[-1]
    for name, side in (("measures", left), ("others", right)):
        for i, one in enumerate(side):
            if one[0].shape[-1] != wanted:
                of = "columns" if one[0].ndim == 2 else "entries"
                raise ValueError(
                    f"`{name}[{i}]` must have {wanted} {of} like `measures[0]`, but it has {one[0].shape[-1]}. "
                    "Bring all into one space."
                )


def _same_mass(left: list[Measure], right: list[Measure]) -> None:
    """Measures without weights have a mass of 1, and so have those beside them."""
    if all(len(one) == 2 for one in (*left, *right)):
        return
    for name, side in (("measures", left), ("others", right)):
        for i, one in enumerate(side):
            mass = 1.0 if len(one) == 1 else float(one[1].sum())
            if abs(mass - 1) > gate.MASS_TOLERANCE["float32"]:
                raise ValueError(
                    f"`{name}[{i}][1]` must sum to 1 beside measures without weights, but it sums to {mass:.10g}. "
                    "Divide it by its sum."
                )


def _same_labels(measures: Any, others: Any, kind: Distance) -> None:
    """Data frames have their columns, and vectors of probabilities their atoms, in one order."""
    same, axis = (require_same_atoms, 0) if kind.judge is _vector else (require_same_order, 1)
    for name, side in (("measures", measures), ("others", () if others is None else others)):
        for i, one in enumerate(side):
            first, second = (part[0] if isinstance(part, tuple) and part else part for part in (measures[0], one))
            same(first, second, ("measures[0]", f"{name}[{i}]"), (axis, axis))


def _tasks(left: list[Measure], right: list[Measure], kind: Distance, within: bool) -> list[Pairs]:
    """The pairs to compare, in stacks of one shape where they are small."""
    if within and kind.symmetric:
        rows, cols = np.triu_indices(len(left), 1)
    else:
        rows, cols = (index.ravel() for index in np.indices((len(left), len(right))))
        if within:
            rows, cols = rows[rows != cols], cols[rows != cols]
    groups: dict[Any, list[tuple[int, int]]] = {}
    tasks = []
    for pair in zip(rows.tolist(), cols.tolist()):
        x, y = left[pair[0]], right[pair[1]]
        together = kind.stacks and (x[0].ndim == 1 or len(x[0]) * len(y[0]) <= SMALL)
        key = (len(x), *(part.shape for part in (*x, *y))) if together else pair
        groups.setdefault(key, []).append(pair)
        if not together or len(groups[key]) == STACK:
            tasks.append(groups.pop(key))
    return [(np.array(rows), np.array(cols)) for rows, cols in (zip(*task) for task in (*tasks, *groups.values()))]


def _compared(
    kind: Distance, left: list[Measure], right: list[Measure], pairs: Pairs, options: dict[str, Any],
    names: tuple[str, str],
) -> Array:  # fmt: skip
    """The distances of one task; where one fails, its pair is named."""
    rows, cols = pairs
    try:
        return np.asarray(kind.between([left[i] for i in rows], [right[j] for j in cols], options), dtype=np.float64)
    except (TypeError, ValueError, NotConverged) as error:
        if len(rows) > 1:  # one by one the culprit shows
            alone = [
                _compared(kind, left, right, (rows[k : k + 1], cols[k : k + 1]), options, names)
                for k in range(len(rows))
            ]
            return np.concatenate(alone)
        where = f"`{names[0]}[{rows[0]}]` (x, a) against `{names[1]}[{cols[0]}]` (y, b): {error}"
        if isinstance(error, NotConverged):
            raise NotConverged(where, error.lower, error.upper) from error
        raise type(error)(where) from error


def _points(value: Any, name: str) -> Measure:
    if not isinstance(value, tuple):
        return (gate.points(value, name),)
    if len(value) != 2:
        raise ValueError(
            f"`{name}` must be points or a tuple (points, weights), but it is a tuple of {len(value)}. "
            "Pass points as an array or a list."
        )
    require_same_order(value[0], value[1], (f"{name}[0]", f"{name}[1]"), (0, 0))
    x = gate.points(value[0], name)
    a = gate.weights(value[1], f"{name}[1]", len(x), f"{len(x)} points")
    return (x,) if a is None else (x, a)


def _moments(value: Any, name: str) -> Measure:
    if not isinstance(value, tuple) or len(value) != 2:
        raise ValueError(f"`{name}` must be a tuple (mean, cov), but it is a {type(value).__name__}. Pass both.")
    mean, cov = (gate.real_array(part, name) for part in value)
    return np.atleast_1d(mean), cov


def _vector(value: Any, name: str) -> Measure:
    p = gate.real_array(value, name)
    if p.ndim != 1:
        raise ValueError(f"`{name}` must be a probability vector, but it has shape {p.shape}. Pass one weight an atom.")
    return (p,)


def _wasserstein(x: list[Measure], y: list[Measure], options: dict[str, Any]) -> Any:
    from . import wasserstein

    if len(x) == 1:
        return [wasserstein(x[0][0], y[0][0], *_weights(x[0], y[0]), **options)]
    points = (np.stack([one[0] for one in side]) for side in (x, y))
    weights = (np.stack([one[1] for one in side]) if len(side[0]) == 2 else None for side in (x, y))
    return wasserstein(*points, *weights, n_jobs=1, **options)


def _weights(x: Measure, y: Measure) -> Iterator[Array | None]:
    return (one[1] if len(one) == 2 else None for one in (x, y))


def _sliced(x: list[Measure], y: list[Measure], options: dict[str, Any]) -> list[float]:
    from . import sliced_wasserstein

    return [sliced_wasserstein(p[0], q[0], *_weights(p, q), **options).value for p, q in zip(x, y)]


def _gaussian(x: list[Measure], y: list[Measure], options: dict[str, Any]) -> list[float]:
    from . import gaussian_wasserstein

    return [float(gaussian_wasserstein(*p, *q)) for p, q in zip(x, y)]


def _divergence(name: str) -> Callable[..., Any]:
    def between(x: list[Measure], y: list[Measure], options: dict[str, Any]) -> Any:
        import ot_distances

        p, q = (np.stack([one[0] for one in side]) for side in (x, y))
        return getattr(ot_distances, name)(p, q, **options)

    return between


DISTANCES: dict[str, Distance] = {
    "wasserstein": Distance(_points, _wasserstein),
    "sliced_wasserstein": Distance(_points, _sliced, stacks=False),
    "gaussian_wasserstein": Distance(_moments, _gaussian, stacks=False),
    "kl_divergence": Distance(_vector, _divergence("kl_divergence"), symmetric=False),
    "js_divergence": Distance(_vector, _divergence("js_divergence")),
    "js_distance": Distance(_vector, _divergence("js_distance")),
    "total_variation": Distance(_vector, _divergence("total_variation")),
}
