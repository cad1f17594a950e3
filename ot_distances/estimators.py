"""KL, Jensen-Shannon and total variation between two laws of which only samples are known, with standard errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from . import measures
from ._arrays import require
from .problem import Array, Estimate

LEVEL = 0.95
FOLDS = 5
BLOCK = 1024

# Two samples are one where more than FEW different points, and ALIKE of all, occur as often in both: laws with atoms
# produce that by chance where these are few. They share points where chance would with a probability below CHANCE.
FEW, ALIKE = 10, 0.9
CHANCE = 1e-6

Noise = Array | float  # variance of a log
Logs = tuple[Array, Array, Noise, Noise]  # log of the density ratio p / q at the points x and y; what is known of noise

_PARAMETERS = """
    Parameters
    ----------
    x : array_like, shape (n, d) or (n,)
        Sample from p, independent points.
    y : array_like, shape (m, d) or (m,)
        Sample from q.
    method : {"knn", "histogram", "kde", "classifier"}, default "knn"
        How the density ratio is estimated; see the notes.
    k : int, default 5
        Neighbours counted by "knn": more of them mean less variance and a coarser view. For Jensen-Shannon and total
        variation it is raised to the square root of the smaller sample: these need the ratio itself, where KL needs
        the mean of its log, in which the noise of few neighbours cancels.
    seed : int, Generator or None
        For the fifths of "histogram", "kde" and "classifier".

    Returns
    -------
    Estimate
        In nats, with the asymptotic standard error and a 95 % interval. Nothing is clamped: noise may carry an estimate
        below 0.

    Raises
    ------
    TypeError, ValueError
        Bad input, too few points, one sample passed twice, or two that share points.
    ImportError
        "classifier" without scikit-learn.

    Notes
    -----
    The standard error is that of the sample mean of the influence function; it does not know of the bias, which for all
    four methods falls slowly with n in many dimensions. What the noise of few neighbours adds to it is taken out of
    Jensen-Shannon by "knn", to second order; total variation is still too small by it, in the mean, and
    between laws that hardly differ its standard error is a quarter too small, as points judge each other.

    - "knn": distances to the k-th neighbour in both samples (Wang, Kulkarni and Verdu, IEEE Trans. Inf. Theory 55,
      2009). Where more than k points coincide those at that place are counted instead: discrete and rounded data are
      welcome.
      O((n + m) log(n + m)) in few dimensions.
    - "histogram": counts in cells between quantiles of both samples together, half a point added to each.
    - "kde": Gaussian kernels with Scott's bandwidth. O((n + m)^2).
    - "classifier": odds of a logistic regression on the coordinates and their products.

    The last three judge every point by a model that was fitted to the other four fifths of the points.
"""


@dataclass(frozen=True)
class Divergence:
    """An f-divergence D = E_q f(p / q) as its first-order expansion: mean of `at_x` over p, plus of `at_y` over q."""

    at_x: Callable[[Array], Array]  # of log(p / q): f'
    at_y: Callable[[Array], Array]  # f - (p / q) f'
    noise_at_y: Callable[[Array], Array] | None = None  # where at_y has a mean of 0, but a variance
    of_ratio: bool = True  # not linear in the log: few neighbours bias it
    bend: Callable[[Array], Array | float] = lambda t: 0.0  # -1/2 of the second derivative of both in the log


def _softplus(t: Array) -> Array:
    return np.logaddexp(0.0, t)


def _side(t: Array) -> Array:
    """Which law a point speaks for; neither, where both samples have as many points near it."""
    return np.where(np.abs(t) * len(t) <= 2, 0.0, np.sign(t))


DIVERGENCES = {
    # No sample tells of ratios beyond its size.
    "kl": Divergence(lambda t: t, np.zeros_like, lambda t: np.exp(np.minimum(t, math.log(len(t)))), False),
    "js": Divergence(
        lambda t: (math.log(2) - _softplus(-t)) / 2,
        lambda t: (math.log(2) - _softplus(t)) / 2,
        bend=lambda t: np.exp(-_softplus(t) - _softplus(-t)) / 4,
    ),
    "tv": Divergence(lambda t: _side(t) / 2, lambda t: -_side(t) / 2),
}


def kl_from_samples(
    x: Any, y: Any, *, method: str = "knn", k: int = 5, seed: int | np.random.Generator | None = None
) -> Estimate:
    return _estimate("kl", x, y, method, k, seed)


def js_from_samples(
    x: Any, y: Any, *, method: str = "knn", k: int = 5, seed: int | np.random.Generator | None = None
) -> Estimate:
    return _estimate("js", x, y, method, k, seed)


def tv_from_samples(
    x: Any, y: Any, *, method: str = "knn", k: int = 5, seed: int | np.random.Generator | None = None
) -> Estimate:
    return _estimate("tv", x, y, method, k, seed)


kl_from_samples.__doc__ = f"""Estimate KL(p || q) = E_p log(p / q) from samples, in nats.

    The mean over x of the log of an estimated density ratio. Infinite divergences cannot be told from large ones.
{_PARAMETERS}
    Examples
    --------
    >>> import numpy as np
    >>> from ot_distances import kl_from_samples
    >>> rng = np.random.default_rng(0)
    >>> found = kl_from_samples(rng.normal(0, 1, 4000), rng.normal(1, 1, 4000))  # exactly 1/2
    >>> abs(found.value - 0.5) < 3 * found.stderr < 0.15
    True
    """

js_from_samples.__doc__ = f"""Estimate the Jensen-Shannon divergence of p and q from samples, in nats.

    It lies between 0 and log 2, and so does its estimate but for noise.
{_PARAMETERS}
    Examples
    --------
    >>> import numpy as np
    >>> from ot_distances import js_from_samples
    >>> rng = np.random.default_rng(0)
    >>> found = js_from_samples(rng.normal(0, 1, 500), rng.normal(100, 1, 500))
    >>> bool(abs(found.value - np.log(2)) < 0.02)
    True
    """

tv_from_samples.__doc__ = f"""Estimate the total variation distance of p and q from samples.

    How much more often the estimated ratio p / q exceeds 1 on x than on y: what the best test that follows the estimate
    would achieve, on points that it has not seen. It lies between 0 and 1 but for noise.
{_PARAMETERS}
    Examples
    --------
    >>> import numpy as np
    >>> from ot_distances import tv_from_samples
    >>> rng = np.random.default_rng(0)
    >>> found = tv_from_samples(rng.normal(0, 1, 4000), rng.normal(1, 1, 4000))  # exactly 0.3829
    >>> abs(found.value - 0.3829) < 0.05
    True
    """


@np.errstate(under="ignore")  # of densities far from all points
def _estimate(name: str, x: Any, y: Any, method: str, k: Any, seed: Any) -> Estimate:
    x, y = measures.point_sets(x, y)
    measures.option(method, "method", METHODS)
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)):
        raise TypeError(f"`k` must be an integer, but it is {k!r}. Pass 1 or more.")
    least = k + 1 if method == "knn" else 2 * FOLDS
    if k < 1:
        raise ValueError(f"`k` must be at least 1, but k = {k}. Pass 5, say.")
    for label, sample in (("x", x), ("y", y)):
        if len(sample) < least:
            raise ValueError(
                f"`{label}` must hold at least {least} points for method {method!r}, but it holds {len(sample)}. "
                "Draw more" + (", or pass a smaller `k`." if method == "knn" else ".")
            )
    _require_independent(x, y)
    row = DIVERGENCES[name]
    x, y = measures.in_units(x, y)[1]  # no divergence knows the unit of length
    k = max(int(k), math.isqrt(min(len(x), len(y)))) if row.of_ratio else int(k)
    at_x, at_y, noise_x, noise_y = METHODS[method](x, y, k, measures.generator(seed))
    # To second order the noise of a log lowers the mean of what bends down in it by so much.
    first = row.at_x(at_x) + row.bend(at_x) * noise_x
    second = row.at_y(at_y) + row.bend(at_y) * noise_y
    spread = second if row.noise_at_y is None else row.noise_at_y(at_y)
    value = float(first.mean() + second.mean())
    stderr = math.sqrt(first.var(ddof=1) / len(x) + spread.var(ddof=1) / len(y))
    reach = NormalDist().inv_cdf((1 + LEVEL) / 2) * stderr
    how = f"{method}, k = {k}" if method == "knn" else method
    return Estimate(value, stderr, (value - reach, value + reach), LEVEL, how)


def _require_independent(x: Array, y: Array) -> None:
    """Refuse copies of one sample, or of a part of it: of a law no point finds itself in the other sample.

    Whatever the laws, atoms of theirs that occur once on either side are at most as many in the mean as those that
    occur twice on one side and never on the other: l m <= (l^2 + m^2) / 2 for the expected numbers l and m of an atom.
    """
    from scipy.special import bdtrc

    which = np.unique(np.concatenate((x, y)), axis=0, return_inverse=True)[1].ravel()
    often, other = (np.bincount(side, minlength=which.max() + 1) for side in (which[: len(x)], which[len(x) :]))
    held = often > 0
    different, alike = int(held.sum()), int((held & (often == other)).sum())
    if different > FEW and alike >= ALIKE * different:
        raise ValueError(
            f"`x` and `y` must be independent samples, but {alike} of the {different} different points of x occur as "
            "often in y. Draw two samples, or compare two halves of one."
        )
    shared = int(((often == 1) & (other == 1)).sum())
    twice = int(((often == 2) & (other == 0) | (often == 0) & (other == 2)).sum())
    if shared > FEW and bdtrc(shared - 1, shared + twice, 0.5) < CHANCE:
        raise ValueError(
            f"`x` and `y` must be independent samples, but {shared} points occur once in each, and only {twice} twice "
            "in one of them. Leave out of one sample what the other holds."
        )


def _knn(x: Array, y: Array, k: int, rng: np.random.Generator) -> Logs:
    from scipy.spatial import cKDTree

    tree_x, tree_y = cKDTree(x), cKDTree(y)

    def logs(points: Array, own: Any, other: Any) -> tuple[Array, Array]:
        """Log of the ratio of the sample's own density to the other's at its points, each left out of its own.

        The log of the number of points of a law in a ball has so much variance as its density there is constant.
        """
        from scipy.special import polygamma

        mine, theirs = _last(own, points, k + 1), _last(other, points, k)
        found, noise = np.empty(len(points)), np.full(len(points), 2 * polygamma(1, k))
        apart = (mine > 0) & (theirs > 0)
        found[apart] = points.shape[1] * (np.log(theirs[apart]) - np.log(mine[apart]))
        # An atom, at which more than k points of one sample coincide: half a point more than the counts there, the
        # point itself left out, has the log of what they are in the mean but for the second order.
        here = points[~apart]
        mine, theirs = (tree.query_ball_point(here, 0.0, return_length=True) for tree in (own, other))
        found[~apart] = np.log((mine - 0.5) / (theirs + 0.5))
        noise[~apart] = 1 / (mine - 0.5) + 1 / (theirs + 0.5)
        return found + math.log(other.n / (own.n - 1)), noise

    (at_x, noise_x), (at_y, noise_y) = logs(x, tree_x, tree_y), logs(y, tree_y, tree_x)
    return at_x, -at_y, noise_x, noise_y


def _last(tree: Any, points: Array, k: int) -> Array:
    """The distance of each point to its k-th neighbour in the tree; Ctrl-C is heard between blocks of points."""
    blocks = (points[first : first + BLOCK] for first in range(0, len(points), BLOCK))
    return np.concatenate([tree.query(block, k=[k])[0][:, 0] for block in blocks])


def _histogram(x: Array, y: Array, k: int, rng: np.random.Generator) -> Logs:
    both = np.concatenate((x, y))
    d = both.shape[1]
    bins = max(2, math.ceil(min(len(x), len(y)) ** (1 / (d + 2))))
    cells = np.zeros(len(both), dtype=np.intp)
    for column in both.T:
        edges = np.unique(np.quantile(column, np.arange(1, bins) / bins))
        cells = np.unique(cells * (bins + 1) + np.searchsorted(edges, column, side="right"), return_inverse=True)[1]
    count = int(cells.max()) + 1

    def fitted(train_x: Array, train_y: Array) -> Callable[[Array], Array]:
        log_p, log_q = (
            np.log((np.bincount(own, minlength=count) + 0.5) / (len(own) + 0.5 * count)) for own in (train_x, train_y)
        )
        return lambda points: (log_p - log_q)[points]

    return _out_of_fold(cells[: len(x)], cells[len(x) :], rng, fitted)


def _kde(x: Array, y: Array, k: int, rng: np.random.Generator) -> Logs:
    from scipy.stats import gaussian_kde

    def fitted(train_x: Array, train_y: Array) -> Callable[[Array], Array]:
        try:
            p, q = gaussian_kde(train_x.T), gaussian_kde(train_y.T)
        except np.linalg.LinAlgError:
            raise ValueError(
                "`x` and `y` must each span all dimensions for method 'kde', but one of them lies in a plane or has "
                "too few different points. Use method='knn', or drop coordinates that depend on others."
            ) from None
        return lambda points: p.logpdf(points.T) - q.logpdf(points.T)

    return _out_of_fold(x, y, rng, fitted)


def _classifier(x: Array, y: Array, k: int, rng: np.random.Generator) -> Logs:
    require("sklearn", "method='classifier'")
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    def fitted(train_x: Array, train_y: Array) -> Callable[[Array], Array]:
        features = (StandardScaler(), PolynomialFeatures(2, include_bias=False), StandardScaler())
        model = make_pipeline(*features, LogisticRegression(max_iter=2000))
        labels = np.repeat([1, 0], [len(train_x), len(train_y)])
        model.fit(np.concatenate((train_x, train_y)), labels)
        shift = math.log(len(train_y) / len(train_x))
        return lambda points: model.decision_function(points) + shift

    return _out_of_fold(x, y, rng, fitted)


def _out_of_fold(
    x: Array, y: Array, rng: np.random.Generator, fitted: Callable[[Array, Array], Callable[[Array], Array]]
) -> Logs:
    """Log ratios at every point from a model of the other folds: no point speaks for itself."""
    fold_x, fold_y = (rng.permutation(len(sample)) % FOLDS for sample in (x, y))
    at_x, at_y = np.empty(len(x)), np.empty(len(y))
    for fold in range(FOLDS):
        ratio = fitted(x[fold_x != fold], y[fold_y != fold])
        at_x[fold_x == fold], at_y[fold_y == fold] = ratio(x[fold_x == fold]), ratio(y[fold_y == fold])
    return at_x, at_y, 0.0, 0.0


METHODS: dict[str, Callable[[Array, Array, int, np.random.Generator], Logs]] = {
    "knn": _knn,
    "histogram": _histogram,
    "kde": _kde,
    "classifier": _classifier,
}
