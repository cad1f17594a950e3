"""The example that motivates the Wasserstein GAN: two laws at distance theta, seen by KL, JS, TV and W_1."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np

from ._arrays import to_numpy
from ._show import grid_html
from .problem import Array

FamilyName = Literal["segments", "gaussian", "uniform"]

# JS of two unit Gaussians is log 2 to the last bit from 18 on; the trapezoidal rule below is exact up to 40.
_FAR = 40.0
# Half-width of the grid in standard deviations: the density is 5e-32 there.
_TAIL = 12.0
_NODES = 4801

TITLES = ["KL", "JS", "TV", "W_1", "dW/dtheta"]


@dataclass(frozen=True)
class Family:
    """A law P and its copy Q moved by theta along the first axis.

    Attributes
    ----------
    laws : str
        What P and Q are, in words.
    jumps : tuple of str
        The columns that are not continuous at theta = 0.
    exact : callable
        theta (k,) to the columns kl, js, tv, each (k,).
    points : callable
        n to the n points (n, d) that stand for P.
    masses : callable
        (theta, n) to the weights of P and Q on a support shared by both.
    """

    laws: str
    jumps: tuple[str, ...]
    exact: Callable[[Array], tuple[Array, Array, Array]]
    points: Callable[[int], Array]
    masses: Callable[[float, int], tuple[Array, Array]]


@dataclass(frozen=True, repr=False, eq=False)
class ThetaShift:
    """What each divergence makes of a shift by theta: exactly, and from n points or cells.

    All columns have shape (k,), in the order of the thetas asked for. `print` shows them as a table.

    Attributes
    ----------
    family : str
    n : int
        Points (for W_1) and cells (for KL, JS, TV) behind the sampled columns.
    theta : ndarray
    kl, js, tv, w1, dw_dtheta : ndarray
        KL(P || Q), JS, TV and W_1 in closed form (JS of Gaussians by quadrature to 1e-15), and the derivative
        of W_1; in nats, and in the unit of theta.
    kl_sampled, js_sampled, tv_sampled : ndarray
        The same between P and Q put on a shared support: the atoms for segments, else n equal cells.
    w1_sampled, dw_sampled : ndarray
        W_1 between n points of either law, solved exactly, and its derivative along the optimal plan.
    """

    family: str
    n: int
    theta: Array
    kl: Array
    js: Array
    tv: Array
    w1: Array
    dw_dtheta: Array
    kl_sampled: Array
    js_sampled: Array
    tv_sampled: Array
    w1_sampled: Array
    dw_sampled: Array

    @property
    def laws(self) -> str:
        """What the two laws are, in words."""
        return FAMILIES[self.family].laws

    @property
    def jumps(self) -> tuple[str, ...]:
        """The columns that jump at theta = 0: no gradient leads there."""
        return FAMILIES[self.family].jumps

    def rows(self) -> list[dict[str, float]]:
        """One dictionary for each theta, column name to value."""
        names = [column.name for column in fields(self) if column.name not in ("family", "n")]
        return [{name: float(getattr(self, name)[i]) for name in names} for i in range(self.theta.size)]

    def table(self) -> str:
        """The columns as aligned text."""
        exact, sampled = self._columns()
        left, right = _aligned(["theta", *TITLES], exact), _aligned(TITLES, sampled)
        heading = f"{'exact':^{len(left[0])}}  |  from n = {self.n} points or cells"
        body = [f"{one}  |  {other}" for one, other in zip(left, right)]
        return "\n".join([f"theta-shift of {self.family}: {self.laws}", "", heading, *body])

    def _columns(self) -> tuple[list[Array], list[Array]]:
        exact = [self.theta, self.kl, self.js, self.tv, self.w1, self.dw_dtheta]
        return exact, [self.kl_sampled, self.js_sampled, self.tv_sampled, self.w1_sampled, self.dw_sampled]

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        return f"ThetaShift(family={self.family!r}, n={self.n}, {self.theta.size} thetas; print it for the table)"

    def _repr_html_(self) -> str:
        exact, sampled = self._columns()
        rows = [[f"{value:.6g}" for value in row] for row in zip(*exact, *sampled)]
        head = ["theta", *TITLES, *(f"{title}, n = {self.n}" for title in TITLES)]
        return grid_html(f"theta-shift of {self.family}: {self.laws}", head, rows)

    def plot(self, ax: Any = None) -> Any:
        """Draw KL, JS, TV and W_1 against theta, after Figure 1 of Arjovsky et al. (2017). Returns the Axes."""
        from .plotting import plot_theta_shift

        return plot_theta_shift(self, ax=ax)


@np.errstate(under="ignore")  # of masses far out
def theta_shift(thetas: Any, *, family: FamilyName = "segments", n: int = 512) -> ThetaShift:
    """KL, JS, TV and W_1 between a law and the same law moved by theta.

    For two parallel segments, the supports are disjoint however small theta is::

        KL = +inf,   JS = log 2,   TV = 1,   W_1 = |theta|,   dW_1/dtheta = sign(theta);   all are 0 at theta = 0.

    W_1 alone tells near from far, and its gradient alone leads to theta = 0.

    Parameters
    ----------
    thetas : array_like, shape (k,)
        Shifts, in any order.
    family : {"segments", "gaussian", "uniform"}
        Law of (0, Z) against (theta, Z) with Z uniform on [0, 1]; N(0, 1) against N(theta, 1); or uniform on [0, 1]
        against uniform on [theta, 1 + theta]. Gaussians overlap everywhere, so all four divergences move.
    n : int
        Points and cells for the sampled columns.

    Returns
    -------
    ThetaShift

    Raises
    ------
    TypeError, ValueError
        For thetas that are not finite real numbers, n below 1, or an unknown family.

    Notes
    -----
    The n points are the midpoints of n parts of equal mass, the same for P and Q but for the shift. So W_1 between them
    is ``|theta|`` to rounding, for every n. KL, JS and TV between points that never coincide say nothing of the laws;
    they are taken between the masses of n equal cells, which cannot exceed the exact values (data processing) and tend
    to them. KL between Gaussian cells is inf from ``|theta|`` of about 30 on, where masses underflow.
    Time: one exact transport problem of n points for each theta.

    References
    ----------
    M. Arjovsky, S. Chintala, L. Bottou, "Wasserstein Generative Adversarial Networks", ICML 2017, Example 1, Figure 1.

    Examples
    --------
    >>> from ot_distances import theta_shift
    >>> shift = theta_shift([-0.5, 0, 2], n=16)
    >>> shift.w1, shift.dw_dtheta
    (array([0.5, 0. , 2. ]), array([-1.,  0.,  1.]))
    >>> print(shift)
    theta-shift of segments: (0, Z) against (theta, Z), Z uniform on [0, 1]
    <BLANKLINE>
                       exact                    |  from n = 16 points or cells
    theta   KL        JS  TV  W_1  dW/dtheta  |   KL        JS  TV  W_1  dW/dtheta
     -0.5  inf  0.693147   1  0.5         -1  |  inf  0.693147   1  0.5         -1
        0    0         0   0    0          0  |    0         0   0    0          0
        2  inf  0.693147   1    2          1  |  inf  0.693147   1    2          1
    """
    theta, count = _shifts(thetas), _count(n)
    if not isinstance(family, str) or family not in FAMILIES:
        known = ", ".join(map(repr, FAMILIES))
        raise ValueError(f"`family` must be one of {known}, but it is {family!r}. Pick one of them.")
    law = FAMILIES[family]
    kl, js, tv = law.exact(theta)
    divergences = [_between_masses(*law.masses(float(shift), count)) for shift in theta]
    points = law.points(count)
    transports = [_between_points(points, float(shift)) for shift in theta]
    sampled = np.array([(*left, *right) for left, right in zip(divergences, transports)], dtype=float)
    return ThetaShift(family, count, theta, kl, js, tv, np.abs(theta), np.sign(theta), *sampled.T)


def _shifts(thetas: Any) -> Array:
    """The shifts as a float64 vector, judged."""
    raw = to_numpy(thetas)
    if raw.dtype.kind not in "fiu":
        raise TypeError(f"`thetas` must hold real numbers, but it has dtype {raw.dtype}. Convert it to float64.")
    theta = np.array(raw, dtype=np.float64, ndmin=1)
    if theta.ndim != 1 or theta.size == 0:
        raise ValueError(f"`thetas` must be a non-empty vector, but it has shape {theta.shape}. Pass some shifts.")
    bad = np.flatnonzero(~np.isfinite(theta))
    if bad.size:
        raise ValueError(f"`thetas` must be finite, but thetas[{bad[0]}] = {theta[bad[0]]}. Remove such shifts.")
    return theta + 0.0  # no negative zero in the table


def _count(n: Any) -> int:
    if isinstance(n, (bool, np.bool_)) or not hasattr(n, "__index__"):
        raise TypeError(f"`n` must be an integer, but it is {n!r}. Pass a count of points.")
    count = operator.index(n)
    if count < 1:
        raise ValueError(f"`n` must be at least 1, but it is {count}. Pass a count of points.")
    return count


def _between_masses(p: Array, q: Array) -> tuple[float, float, float]:
    from . import js_divergence, kl_divergence, total_variation

    return float(kl_divergence(p, q)), float(js_divergence(p, q)), float(total_variation(p, q))


def _between_points(x: Array, theta: float) -> tuple[float, float]:
    """W_1 from x to x + theta along the first axis, and its derivative in theta with the plan held fixed.

    By the envelope theorem the derivative of the optimal cost is that of the cost under the optimal plan:
    the mean of (y_0 - x_0) / |y - x|; where points coincide, 0 is a subgradient.
    """
    from . import solve

    y = x.copy()
    y[:, 0] += theta
    transport = solve(x, y)
    rows, cols = transport.plan.coords
    move = y[cols] - x[rows]  # (k, d)
    length = np.hypot.reduce(move, axis=1)
    slope = np.divide(move[:, 0], length, out=np.zeros_like(length), where=length > 0)
    return float(transport.value), float(transport.plan.data @ slope)


def _never_equal(theta: Array, value: float) -> Array:
    """0 at theta = 0, else `value`."""
    return np.where(theta == 0, 0.0, value)


def _segments(theta: Array) -> tuple[Array, Array, Array]:
    return _never_equal(theta, np.inf), _never_equal(theta, float(np.log(2))), _never_equal(theta, 1.0)


def _uniform(theta: Array) -> tuple[Array, Array, Array]:
    apart = np.minimum(np.abs(theta), 1.0)  # the mass of either law that the other does not have
    return _never_equal(theta, np.inf), apart * np.log(2), apart


def _gaussian(theta: Array) -> tuple[Array, Array, Array]:
    from scipy.special import erf

    size = np.abs(theta)
    with np.errstate(over="ignore", under="ignore"):  # theta**2 beyond the largest float is inf, rightly
        kl = 0.5 * size * size
    js = np.array([_gaussian_js(min(float(one), _FAR)) for one in size])
    return kl, js, np.asarray(erf(size / np.sqrt(8)))


def _gaussian_js(theta: float) -> float:
    """JS(N(0, 1), N(theta, 1)) for theta in [0, 40], by the trapezoidal rule.

    The two halves of JS are equal by symmetry. With s = log(q / p) = theta x - theta^2 / 2 and x from N(0, 1),

        JS = log 2 - E log(1 + e^s) = theta^2 / 4 - E log cosh(s / 2).

    The first form is exact to rounding; the second keeps the relative accuracy where JS is about theta^2 / 8.
    The integrand is analytic in a strip of half-width pi / theta, so the error of step h is exp(-2 pi^2 / (theta h)).
    """
    x, step = np.linspace(-_TAIL, _TAIL, _NODES, retstep=True)
    weight = step * np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)
    s = theta * x - 0.5 * theta * theta
    if theta < 1:
        return float(0.25 * theta * theta - weight @ np.log1p(2 * np.sinh(s / 4) ** 2))
    return float(np.log(2) - weight @ np.logaddexp(0.0, s))


def _levels(n: int) -> Array:
    """The midpoints of n equal parts of [0, 1]."""
    return (np.arange(n) + 0.5) / n


def _segment_points(n: int) -> Array:
    return np.column_stack([np.zeros(n), _levels(n)])  # (n, 2)


def _uniform_points(n: int) -> Array:
    return _levels(n)[:, None]  # (n, 1)


def _gaussian_points(n: int) -> Array:
    from scipy.special import ndtri

    return np.asarray(ndtri(_levels(n)))[:, None]  # (n, 1)


def _segment_masses(theta: float, n: int) -> tuple[Array, Array]:
    """The atoms of both segments, each once: all shared at theta = 0, else none."""
    full, none = np.full(n, 1 / n), np.zeros(n)
    if theta == 0:
        return full, full
    return np.concatenate([full, none]), np.concatenate([none, full])


def _uniform_masses(theta: float, n: int) -> tuple[Array, Array]:
    edges = np.linspace(min(0.0, theta), max(1.0, 1.0 + theta), n + 1)
    edges[[0, -1]] = -np.inf, np.inf  # nothing is lost where 1 + theta rounds to theta
    return _normalised(np.diff(np.clip(edges, 0, 1))), _normalised(np.diff(np.clip(edges - theta, 0, 1)))


def _gaussian_masses(theta: float, n: int) -> tuple[Array, Array]:
    """Cells of equal width from 8 below the lower mean to 8 above the upper; the outer two are open."""
    edges = np.linspace(min(0.0, theta) - 8, max(0.0, theta) + 8, n + 1)
    edges[[0, -1]] = -np.inf, np.inf
    return _normalised(_gaussian_cells(edges)), _normalised(_gaussian_cells(edges - theta))


def _gaussian_cells(edges: Array) -> Array:
    """Masses between the edges, from whichever tail is the smaller: a difference of numbers near 1 loses the digits."""
    from scipy.special import ndtr

    low, high = edges[:-1], edges[1:]
    above = low > 0
    return np.asarray(ndtr(np.where(above, -low, high)) - ndtr(np.where(above, -high, low)))


def _normalised(masses: Array) -> Array:
    return masses / masses.sum()  # the sum is 1 but for rounding


def _aligned(titles: list[str], columns: list[Array]) -> list[str]:
    """Lines of right-aligned text, titles first."""
    cells = [[title, *(f"{value:.6g}" for value in column)] for title, column in zip(titles, columns)]
    widths = [max(map(len, column)) for column in cells]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths)) for row in zip(*cells)]


FAMILIES: dict[str, Family] = {
    "segments": Family(
        "(0, Z) against (theta, Z), Z uniform on [0, 1]",
        ("kl", "js", "tv"),
        _segments,
        _segment_points,
        _segment_masses,
    ),
    "gaussian": Family("N(0, 1) against N(theta, 1)", (), _gaussian, _gaussian_points, _gaussian_masses),
    "uniform": Family(
        "uniform on [0, 1] against uniform on [theta, 1 + theta]",
        ("kl",),
        _uniform,
        _uniform_points,
        _uniform_masses,
    ),
}
