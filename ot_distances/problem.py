"""What travels through the house: a transport problem on the way in, certified results on the way out."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

from ._arrays import to_numpy
from ._show import Rows, as_html, as_text, memory, number, proven

if TYPE_CHECKING:
    from scipy.sparse import coo_array

Array = np.ndarray[Any, np.dtype[Any]]


class NotConverged(RuntimeError):
    """No certified answer: raised instead of ever returning an uncertified number.

    Attributes
    ----------
    lower, upper : float
        Rigorous bounds on the optimal cost, as far as the work went.
    """

    def __init__(self, message: str, lower: float = 0.0, upper: float = float("inf")) -> None:
        super().__init__(message)
        self.lower = lower
        self.upper = upper


class Interrupted(Exception):
    """The time limit has passed: leaves a solver from within, and the house as `NotConverged`."""


# So few weights are added one by one; and so large ones, which leave no room for a larger unit.
FEW, FAR_OUT = 64, 2.0**1000

# Seconds from one line of progress to the next, and the least multiple of the time that its bounds took to compute.
PROGRESS_SECONDS, PROGRESS_SHARE = 1.0, 10.0


@dataclass
class Watch:
    """The clock of one solve. Solvers look at it between slices of work of well below a second."""

    deadline: float = math.inf  # of time.perf_counter()
    progress: Callable[[str], None] | None = None  # takes a line that says what is done
    stage: str = "starting"
    reached: Callable[[], Flow] | None = None  # the flow as it stands, at any moment; set by the solver
    bounds: Callable[[], tuple[float, float, float]] | None = None  # what it proves: lower, upper, gap
    base: int = 0  # bytes that are there throughout
    peak: int = 0
    started: float = field(default_factory=time.perf_counter)
    due: float = 0.0  # when the next line may come

    def check(self, stage: str | None = None) -> None:
        """Leave if the time is up; tell of progress if it is time to.

        Raises
        ------
        Interrupted
        """
        self.stage = stage or self.stage
        now = time.perf_counter()
        if now > self.deadline:
            raise Interrupted
        if self.progress is None or self.bounds is None or now < max(self.due, self.started + PROGRESS_SECONDS):
            return
        self.due = math.inf  # the bounds below come by here again
        lower, upper, gap = self.bounds()
        self.progress(
            f"{now - self.started:.0f} s, {self.stage}: the cost lies in [{lower:.9g}, {upper:.9g}], gap {gap:.1e}"
        )
        later = time.perf_counter()
        self.due = later + max(PROGRESS_SECONDS, PROGRESS_SHARE * (later - now))

    def holds(self, *arrays: Array, further: int = 0) -> None:
        """Note that these, and so many further bytes, are in memory at one time, beside what is there throughout."""
        self.peak = max(self.peak, self.base + further + sum(array.nbytes for array in arrays))


class Progress:
    """Counts what is done of many things, and says so on stderr now and then, if that is wanted."""

    def __init__(self, total: int, what: str, wanted: bool) -> None:
        self.total, self.what, self.wanted, self.done = total, what, wanted, 0
        self.told = time.monotonic()

    def advance(self, count: int) -> None:
        self.done += count
        if self.wanted and (self.done >= self.total or time.monotonic() > self.told + PROGRESS_SECONDS):
            self.told = time.monotonic()
            print(f"ot_distances: {self.done} of {self.total} {self.what}", file=sys.stderr)


class GroundCost(Protocol):
    """The cost of moving one unit from row i to column j, in units of 2**exponent (see `costs.py`)."""

    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def exponent(self) -> float:
        """An entry here times 2**exponent is an entry of the user's cost."""

    @property
    def relative_error(self) -> float:
        """Of an entry, against real arithmetic on the user's numbers; 0 for a cost matrix."""

    @property
    def forbids(self) -> bool:
        """Some entry is +inf."""

    @property
    def T(self) -> GroundCost:
        """The same cost with rows and columns exchanged."""

    @property
    def held(self) -> Array | None:
        """What `matrix()` returns, where it is in memory already."""

    def matrix(self) -> Array:
        """All entries, (n, m) float64, C-ordered; not to be written to. MemoryError, before any work, if too large."""

    def blocks(self) -> Iterator[tuple[slice, Array]]:
        """(rows, entries) from top to bottom; a block may be overwritten by its reader."""

    def entries(self, rows: Array, cols: Array) -> Array:
        """The entries at index pairs, (k,)."""

    def range(self) -> tuple[float, float]:
        """Bounds on the finite entries."""

    def least(self) -> float:
        """The least entry."""

    def absolute_error(self, rows: Array, cols: Array, entries: Array) -> float:
        """Of the entries at these index pairs, where scaling, squares or powers have brought one below the normal
        numbers; else 0.
        """

    def row_transform(self, g: Array) -> Array:
        """The c-transform min_j C_ij - g_j, (n,), rounded down so that f_i + g_j <= C_ij in real arithmetic."""

    def select(self, rows: Array, cols: Array) -> GroundCost:
        """The cost between some of the rows and some of the columns."""


def sum_of_weights(weights: Array) -> float:
    """The sum of numbers that are not negative, rounded twice at most.

    What they hold above the last digit of the sum adds up exactly; little is left, and little of that is lost (Rump,
    Ogita & Oishi, SIAM J. Sci. Comput. 2008).
    """
    if len(weights) <= FEW or (about := float(np.add.reduce(weights))) > FAR_OUT:
        return math.fsum(weights.tolist())
    unit = 2.0 ** (math.frexp(about)[1] + 1)
    high = (weights + unit) - unit
    return float(np.add.reduce(high)) + float(np.add.reduce(weights - high))


@dataclass(frozen=True)
class TransportProblem:
    """Move the masses `a` of the rows to the masses `b` of the columns at least cost.

    The masses are held twice: as float64 for the bounds, and as int64 that add up to the same `total` on both
    sides for the solvers, whose flows are then exact.
    """

    cost: GroundCost
    a: Array  # (n,) float64, not negative
    b: Array  # (m,) float64, not negative, a sum that agrees with that of a to what its dtype can tell
    row_mass: Array  # (n,) int64
    col_mass: Array  # (m,) int64, the same sum
    total: int
    exact_masses: bool  # the integers are proportional to the weights, not rounded from them
    power: float = 1.0  # value = cost ** (1 / power); inf for the bottleneck
    start: Flow | None = None  # that of a similar problem: a hint, right or wrong
    watch: Watch = field(default_factory=Watch, repr=False, compare=False)

    @property
    def shape(self) -> tuple[int, int]:
        return self.cost.shape

    @cached_property
    def mass(self) -> float:
        """The sum of the weights, in the user's units."""
        return sum_of_weights(self.a)

    @cached_property
    def is_assignment(self) -> bool:
        """As many rows as columns, all of equal mass: a permutation is optimal (Birkhoff)."""
        n, m = self.shape
        rows, cols = self.row_mass, self.col_mass
        return n == m and n * int(rows[rows.argmax()]) == self.total == n * int(cols[cols.argmax()])

    def between(self, rows: Array, cols: Array) -> TransportProblem:
        """The problem without the other atoms, which must carry no mass."""
        return replace(
            self,
            cost=self.cost.select(rows, cols),
            a=self.a[rows],
            b=self.b[cols],
            row_mass=self.row_mass[rows],
            col_mass=self.col_mass[cols],
            start=self.start and self.start.between(rows, cols, self.shape),
        )


@dataclass(frozen=True)
class Flow:
    """What a solver hands to the certificate: a plan in exact integers, and the column potentials that prove it.

    `g` is in the units of `problem.cost`; the certificate completes it to a feasible pair. For the bottleneck, `f`
    and `g` mark Hall's violators instead: columns with g = 1 hold more mass than all rows with f = -1.
    """

    rows: Array  # (k,) intp
    cols: Array  # (k,) intp
    mass: Array  # (k,) int64
    g: Array  # (m,)
    f: Array | None = None  # (n,), bottleneck only
    bytes: int = 0  # the most that the solver held at one time

    def between(self, rows: Array, cols: Array, shape: tuple[int, int]) -> Flow:
        """The part of it between some of the rows and some of the columns of a problem of this shape."""
        at = []
        for kept, size, index in ((rows, shape[0], self.rows), (cols, shape[1], self.cols)):
            place = np.full(size, -1, np.intp)
            place[kept] = np.arange(len(kept))
            at.append(place[index])
        both = (at[0] >= 0) & (at[1] >= 0)
        return Flow(at[0][both], at[1][both], self.mass[both], self.g[cols])


class _Late:
    """A result that makes some of its fields when asked for one: that takes as long as a small problem."""

    @classmethod
    def _late(cls, make: Callable[[], dict[str, Any]], **known: Any) -> Self:
        """The result of the `known` fields and those that `make` returns."""
        found = object.__new__(cls)
        found.__dict__.update(known, _rest=make)
        return found

    def _made(self, rest: Any) -> dict[str, Any]:
        """The other fields, from what is kept for them."""
        made: dict[str, Any] = rest()
        return made

    def __getattr__(self, name: str) -> Any:
        """Called for what is not there, or not there yet."""
        known = self.__dict__
        if name in type(self).__annotations__ and (rest := known.get("_rest")) is not None:
            known.update(self._made(rest))
            known.pop("_rest", None)
        if name not in known:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return known[name]


@dataclass(frozen=True, repr=False, eq=False)
class Transport(_Late):
    """An optimal transport plan together with the proof that it is one.

    Attributes
    ----------
    value : float
        The distance (`solve`), or the cost (`solve_cost`, `lp_primal`, `lp_dual`, `kantorovich_rubinstein`).
    cost : float
        <P, C>, summed from the plan with compensation; `value ** p` for a distance of order p.
    lower, upper : float
        Rigorous bounds on the optimal cost, rounding included.
    gap : float
        (upper - lower) / scale of the cost: how much the bounds leave open, without a unit.
    plan : scipy.sparse.coo_array, shape (n, m)
        The optimal plan, at most n + m - 1 entries.
    f, g : ndarray, shapes (n,) and (m,)
        Kantorovich potentials: f_i + g_j <= C_ij for every pair.
    method : str
        The solver that ran.
    seconds : float
        Wall time of the solve, certificate included.
    peak_bytes : int
        The largest amount of memory that the solve held at one time beside its input, by its own count of its arrays.
    """

    value: float
    cost: float
    lower: float
    upper: float
    gap: float
    plan: coo_array
    f: Array
    g: Array
    method: str
    seconds: float
    peak_bytes: int
    _points: tuple[Array, Array] | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        n, m = self.plan.shape
        return (
            f"Transport(value={self.value:.10g}, lower={self.lower:.10g}, upper={self.upper:.10g}, "
            f"gap={self.gap:.1e}, plan={n} x {m} with {self.plan.nnz} entries, method={self.method!r})"
        )

    def _summary(self) -> tuple[str, Rows]:
        n, m = self.plan.shape
        return f"Transport: {number(self.value)}", [
            ("cost", number(self.cost)),
            ("proven", proven(self.lower, self.upper, self.gap)),
            ("plan", f"{n} x {m}, {self.plan.nnz} entries"),
            ("potentials", f"f ({n},), g ({m},)"),
            ("solver", f"{self.method}, {self.seconds:.3g} s, {memory(self.peak_bytes)} at most"),
        ]

    def __str__(self) -> str:
        return as_text(*self._summary())

    def _repr_html_(self) -> str:
        return as_html(*self._summary())

    def _between(self, x: Array, y: Array) -> Self:
        """The same result, which knows its points from now on."""
        self.__dict__["_points"] = x, y
        return self

    def _atoms(self) -> tuple[Array, Array] | None:
        """The points of both sides, on the host wherever they lay."""
        return self._points and (to_numpy(self._points[0]), to_numpy(self._points[1]))

    def plot(self, ax: Any = None) -> Any:
        """Draw the plan: as arrows for points in one or two dimensions, else as a matrix. Returns the Axes."""
        from .plotting import plot_plan  # the one arrow that points outwards: a result draws itself on request

        return plot_plan(self, ax=ax)


@dataclass(frozen=True)
class Solved:
    """The distances of a batch, or of the only problem; the transports are made where they are asked for."""

    values: Array  # (B,)
    transports: Callable[[], list[Transport]]
    batched: bool


@dataclass(frozen=True, repr=False, eq=False)
class Assignment(_Late):
    """An optimal matching of rows to columns with its dual proof.

    Attributes
    ----------
    rows, cols : ndarray, shape (min(n, m),)
        Matched pairs, rows in ascending order (SciPy's convention).
    cost : float
        The sum of the matched entries.
    u, v : ndarray, shapes (n,) and (m,)
        Duals: u_i + v_j <= C_ij everywhere (>= when maximising); unmatched rows or columns carry 0.
    lower, upper : float
        Rigorous bounds on the optimal sum, rounding included.
    gap : float
        (upper - lower) / scale of the cost.
    """

    rows: Array
    cols: Array
    cost: float
    u: Array
    v: Array
    lower: float
    upper: float
    gap: float

    @classmethod
    def _packed(cls, cols: Array, numbers: Array) -> Assignment:
        """Of rows 0, 1, ... to `cols`; the other fields are made from `numbers`
        (cost, lower, upper, gap, then all u and all v) when asked for.
        """
        found = object.__new__(cls)
        known = found.__dict__  # filled one by one, in less time than `_late` takes
        known["cols"], known["_rest"] = cols, numbers
        return found

    def _made(self, rest: Array) -> dict[str, Any]:
        n = len(self.cols)
        cost, lower, upper, gap = rest[:4].tolist()
        u, v = rest[4 : 4 + n], rest[4 + n :]
        return {"rows": np.arange(n), "cost": cost, "u": u, "v": v, "lower": lower, "upper": upper, "gap": gap}

    def __repr__(self) -> str:
        pairs = f"pairs={self.cols.shape[-1]} of {self.u.shape[-1]} x {self.v.shape[-1]}"
        if self.cols.ndim == 2:
            return f"Assignment(batch={len(self.cols)}, gap<={np.max(self.gap):.1e}, {pairs} each)"
        bounds = f"lower={number(self.lower)}, upper={number(self.upper)}, gap={self.gap:.1e}"
        return f"Assignment(cost={number(self.cost)}, {bounds}, {pairs})"

    def _summary(self) -> tuple[str, Rows]:
        matched = f"{self.cols.shape[-1]} pairs of {self.u.shape[-1]} rows and {self.v.shape[-1]} columns"
        if self.cols.ndim == 1:
            return f"Assignment: cost {number(self.cost)}", [
                ("proven", proven(self.lower, self.upper, self.gap)),
                ("matched", matched),
            ]
        return f"Assignment: a batch of {len(self.cols)}", [
            ("costs", f"{number(np.min(self.cost))} to {number(np.max(self.cost))}"),
            ("proven", f"gaps of at most {np.max(self.gap):.1e}"),
            ("matched", f"{matched} each"),
        ]

    def __str__(self) -> str:
        return as_text(*self._summary())

    def _repr_html_(self) -> str:
        return as_html(*self._summary())


@dataclass(frozen=True)
class Certificate:
    """The verdict on somebody's answer.

    Attributes
    ----------
    primal, dual : float
        Cost of the plan (or the best known upper bound), and the value of the potentials after they were made
        feasible (or the best known lower bound).
    gap : float
        (primal - dual) / scale of the cost.
    marginal_error : float
        Largest deviation of a row or column sum of the plan from its weight, relative to the total mass.
    dual_violation : float
        Largest f_i + g_j - C_ij > 0 of the potentials as given, relative to the scale of the cost; 0 if feasible.
    optimal : bool
        The plan is feasible and optimal, the potentials feasible and optimal, each as far as given.
    """

    primal: float
    dual: float
    gap: float
    marginal_error: float
    dual_violation: float
    optimal: bool

    def _summary(self) -> tuple[str, Rows]:
        return f"Certificate: {'optimal' if self.optimal else 'not optimal'}", [
            ("primal", number(self.primal)),
            ("dual", number(self.dual)),
            ("gap", f"{self.gap:.1e}"),
            ("marginal error", f"{self.marginal_error:.1e} of the mass"),
            ("dual violation", f"{self.dual_violation:.1e} of the cost"),
        ]

    def __str__(self) -> str:
        return as_text(*self._summary())

    def _repr_html_(self) -> str:
        return as_html(*self._summary())


@dataclass(frozen=True)
class Estimate:
    """A number known up to an error: `float(estimate)` is its value.

    Attributes
    ----------
    value : float
    stderr : float
        Standard error (Monte Carlo), or the bound on the error (quadrature, 0 in closed form).
    interval : tuple of float
        (low, high), at confidence `level`.
    level : float
        1.0 where the interval is certain.
    method : str
    """

    value: float
    stderr: float
    interval: tuple[float, float]
    level: float
    method: str

    def __float__(self) -> float:
        return self.value

    def _summary(self) -> tuple[str, Rows]:
        low, high = (f"{end:.6g}" for end in self.interval)
        return f"Estimate: {self.value:.6g} ± {self.stderr:.2g}", [
            (f"{100 * self.level:.4g} % interval", f"{low} to {high}"),
            ("method", self.method),
        ]

    def __str__(self) -> str:
        return as_text(*self._summary())

    def _repr_html_(self) -> str:
        return as_html(*self._summary())
