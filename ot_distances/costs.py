"""Ground costs: one table of metrics, evaluated whole, by block of rows, or entry by entry."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ._arrays import parts, to_numpy
from .problem import Array, GroundCost, NotConverged

UNIT_ROUNDOFF = 2.0**-53

# Roundings that a reduced cost may carry, relative to its terms: they are no violation.
NOISE = 2.0**-50

# Entries of a block that stay in the second-level cache together with one temporary of the same size.
BLOCK_ENTRIES = 2**16

# A small matrix is worked on in eighths, but in no less than this: a large part of its time would else go into pages
# fresh from the system for buffers as large as itself.
LEAST_BLOCK = 2**14

# A cost matrix within these binary exponents is left as it is: squares and sums of its entries stay normal numbers.
SAFE_EXPONENT = 300

# Points of a small problem are left as they are, if that keeps their costs within these binary exponents.
NEAR = 64

# An allocation that no machine refuses.
MODEST_BYTES = 2**26

# Powers and squares below this have lost digits, or all of themselves.
VANISHING = 2.0**-960

# What a distance may be wrong by where squares of coordinate differences are no normal numbers, up to 2**32 dimensions.
ROOT_DUST = 2.0**-520

# Up to here a sorted line is transformed like any other cost, in blocks: nearly as fast as by divide and conquer, and
# nothing is compiled for it.
LINE_ENTRIES = 2**17

# From so many coordinate differences on compiled code takes them; for fewer nobody waits for the compiler.
DIFFERENCES = 2**20

# From here on compiled passes over a matrix pay, and so many entries are read between two chances for Ctrl-C.
DENSE_ENTRIES, SLICE_ENTRIES = 2**18, 2**26

# Points of each side that tell the magnitude of a user's costs, and pairs that are asked for together.
SAMPLE_SIDE, PAIRS_ASKED = 256, 256

# An axis along which points differ by less than this part of the most adds nothing to their dimension.
THIN = 2.0**-10

# Up to here points in space are; beyond, boxes and blocks spare most pairs.
CLOUD_ENTRIES = 2**23


@dataclass(frozen=True)
class Metric:
    """A row of the table: how coordinate differences add up to a distance.

    `reduce` folds |x_k - y_k| into the running value, `root` is the exponent that turns the folded value into the
    distance, `roundings(d)` counts the roundings of the folded value.
    """

    reduce: Callable[[Array, Array], None]
    fold: int  # the same for compiled code: SQUARES, ABSOLUTES or LARGEST of `kernels/distances.py`
    root: float
    degree: int  # coordinates times s: the cost times s**degree
    roundings: Callable[[int], int]


def _add_square(value: Array, difference: Array) -> None:
    np.multiply(difference, difference, out=difference)
    np.add(value, difference, out=value)


def _add_absolute(value: Array, difference: Array) -> None:
    np.absolute(difference, out=difference)
    np.add(value, difference, out=value)


def _take_larger(value: Array, difference: Array) -> None:
    np.absolute(difference, out=difference)
    np.maximum(value, difference, out=value)


METRICS: dict[str, Metric] = {
    "euclidean": Metric(_add_square, 0, 0.5, 1, lambda d: d + 2),
    "sqeuclidean": Metric(_add_square, 0, 1.0, 2, lambda d: d + 2),
    "cityblock": Metric(_add_absolute, 1, 1.0, 1, lambda d: d),
    "chebyshev": Metric(_take_larger, 2, 1.0, 1, lambda d: 1),
}


def require_memory(size: int, what: str, cure: str) -> None:
    """Refuse to allocate more than the machine has free, before the kernel kills the process.

    Raises
    ------
    MemoryError
        With the number of bytes needed and available.
    """
    if size < MODEST_BYTES:
        return
    try:
        with open("/proc/meminfo") as lines:
            available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        names = getattr(os, "sysconf_names", {})
        if "SC_PHYS_PAGES" not in names:  # a system that does not tell: let the allocation speak
            return
        available = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if size > available:
        raise MemoryError(f"{what} needs {size:,} bytes, but {available:,} are available. {cure}")


def made_bytes(cost: GroundCost, matrix: Array) -> int:
    """The memory that a cost's `matrix()` took: none where it is the user's own."""
    return 0 if isinstance(cost, DenseCost) and matrix is cost.values else matrix.nbytes


def corners(x: Array, y: Array) -> tuple[Array, Array]:
    """The least and the greatest coordinate on each axis, on the host."""
    return to_numpy(np.minimum(x.min(0), y.min(0))), to_numpy(np.maximum(x.max(0), y.max(0)))


def _of_unit(p: float, exponent: float) -> float:
    """The relative error of the unit 2**exponent of costs: a power of 2 unless p is broken, when both are rounded."""
    return 0.0 if p % 1 == 0 else (abs(exponent) + 4) * UNIT_ROUNDOFF


def rounded_down(f: Array, g: Array) -> Array:
    """A rigorous bound below differences with g: exact where they are 0 or g is, else the next number."""
    exact = (f == 0) | (f == np.inf) | (np.abs(g).max() == 0)
    with np.errstate(under="ignore"):  # the number below 0
        return np.where(exact, f, np.nextafter(f, -np.inf))


class _Blockwise:
    """What every cost does from blocks of its rows."""

    shape: tuple[int, int]
    held: Array | None = None

    def block(self, start: int, stop: int) -> Array:
        raise NotImplementedError("a ground cost defines its blocks")

    def blocks(self) -> Iterator[tuple[slice, Array]]:
        """(rows, entries) from top to bottom; a block may be overwritten by its reader."""
        n, m = self.shape
        step = max(1, min(max(n * m // 8, LEAST_BLOCK), BLOCK_ENTRIES) // m)
        for start in range(0, n, step):
            stop = min(start + step, n)
            yield slice(start, stop), self.block(start, stop)

    def matrix(self) -> Array:
        n, m = self.shape
        require_memory(8 * n * m, f"A {n} x {m} cost matrix", 'For points, method="auto" needs no matrix.')
        if n * m <= LEAST_BLOCK:
            return self.block(0, n)
        full = np.empty((n, m))
        for rows, entries in self.blocks():
            full[rows] = entries
        return full

    def row_transform(self, g: Array) -> Array:
        f = np.empty(self.shape[0])
        for rows, entries in self.blocks():
            np.subtract(entries, g, out=entries)
            np.min(entries, axis=1, out=f[rows])
        return rounded_down(f, g)


class DenseCost(_Blockwise):
    """The entries of a matrix, brought to a normal magnitude by a power of two where they need it."""

    def __init__(
        self,
        values: Array,
        sign: float = 1.0,
        unit: float = 0.0,
        shift: int | None = None,
        extremes: tuple[float, float] | None = None,
        error: float = 0.0,
    ) -> None:
        """The user's cost is sign * values * 2**unit; its sign costs no negated copy, its unit no digits.

        `extremes` are the least and greatest finite value of sign * values, where they are known; `error` is the
        relative one of every entry.
        """
        self.values, self.sign, self.unit, self.relative_error = values, sign, unit, error
        if extremes is not None:
            self._extremes = extremes
        self.shape = (values.shape[0], values.shape[1])
        self.shift = self._natural_shift() if shift is None else shift
        self.exponent = self.shift + unit
        plain = isinstance(values, np.ndarray) and values.dtype == np.float64 and values.flags.c_contiguous
        self.held = values if plain and self.shift == 0 and sign > 0 else None

    def _natural_shift(self) -> int:
        low, high = self._extremes
        exponent = math.frexp(max(abs(low), abs(high)))[1]
        return 0 if abs(exponent) <= SAFE_EXPONENT else exponent

    def _alike(self, values: Array) -> DenseCost:
        return DenseCost(values, self.sign, self.unit, self.shift, error=self.relative_error)

    @cached_property
    def _ends(self) -> tuple[float, float, bool]:
        """The least and the greatest finite value, 0 where there is none, and whether some pair is forbidden."""
        low, high, forbids = np.inf, -np.inf, False
        for _, part in parts(self.values):
            least, most = float(part.min()), float(part.max())
            if not -np.inf < least <= most < np.inf:
                finite, forbids = part[np.isfinite(part)], True
                least, most = (float(finite.min()), float(finite.max())) if len(finite) else (np.inf, -np.inf)
            low, high = min(low, least), max(high, most)
        return (low, high, forbids) if low <= high else (0.0, 0.0, forbids)

    @cached_property
    def _extremes(self) -> tuple[float, float]:
        low, high, _ = self._ends
        return (low, high) if self.sign > 0 else (-high, -low)

    @property
    def forbids(self) -> bool:
        return self._ends[2]

    @property
    def T(self) -> DenseCost:
        return self._alike(self.values.T)

    def _scaled(self, values: Array) -> Array:
        scaled = np.multiply(values, self.sign, dtype=np.float64)
        return np.ldexp(scaled, -self.shift) if self.shift else scaled

    def block(self, start: int, stop: int) -> Array:
        return self._scaled(self.values[start:stop])

    def matrix(self) -> Array:
        return super().matrix() if self.held is None else self.held

    def row_transform(self, g: Array) -> Array:
        n, m = self.shape
        if n * m <= DENSE_ENTRIES:
            return super().row_transform(g)
        if self.values.flags.f_contiguous:
            f = np.full(n, np.inf)
            for cols, entries in self.T.blocks():
                entries -= g[cols, None]
                np.minimum(f, entries.min(axis=0), out=f)
            return rounded_down(f, g)
        if self.shift or not self.values.flags.c_contiguous:
            return super().row_transform(g)
        from .kernels.survey import row_minima

        f, step = np.full(n, -np.inf), max(1, SLICE_ENTRIES // m)
        for first in range(0, n, step):
            row_minima(self.values, self.sign, g, first, min(first + step, n), f)
        return rounded_down(f, g)

    def entries(self, rows: Array, cols: Array) -> Array:
        return self._scaled(self.values[rows, cols])

    def absolute_error(self, rows: Array, cols: Array, entries: Array) -> float:
        if not self.shift:
            return 0.0
        hit = np.flatnonzero(np.abs(entries) < VANISHING)
        return VANISHING if self.values[rows[hit], cols[hit]].any() else 0.0

    def least(self) -> float:
        return float(self.row_transform(np.zeros(self.shape[1])).min())

    def range(self) -> tuple[float, float]:
        low, high = self._extremes
        return math.ldexp(low, -self.shift) or min(low, 0.0), math.ldexp(high, -self.shift)  # one below 0 stays there

    def select(self, rows: Array, cols: Array) -> DenseCost:
        return self._alike(self.values[rows[:, None], cols])


class PointCost(_Blockwise):
    """d(x_i, y_j)**p from coordinates scaled by a power of two to an extent near 1.

    Differences are taken before anything is squared: offsets cost no digits, and coincident points cost exactly 0.
    """

    forbids = False

    def __init__(self, x: Array, y: Array, metric: str = "euclidean", p: float = 1.0, exponent: float = 0.0) -> None:
        self.x, self.y = x, y  # (n, d), (m, d) float64, C-ordered
        self.metric, self.p, self.exponent = metric, p, exponent
        self.shape = (len(x), len(y))
        self.rounded = False

    @classmethod
    def scaled(cls, x: Array, y: Array, metric: str, p: float) -> PointCost:
        """The cost between the user's points, whatever their unit, wherever they lie."""
        n, both = len(x), np.concatenate((x, y))
        ends = list(zip(to_numpy(both.min(0)).tolist(), to_numpy(both.max(0)).tolist()))
        axes = [k for k, (low, high) in enumerate(ends) if low < high] or [0]
        if len(axes) < len(ends):  # an axis on which all points agree costs nothing, wherever it lies
            both, ends = both[:, axes].copy(), [ends[k] for k in axes]
        largest = math.frexp(max(max(-low, high) for low, high in ends))[1]
        # The extent of the largest floats is not a float, and half the least ones is none either.
        half = 1.0 if largest < 1000 else 0.5
        extent = math.frexp(max(high * half - low * half for low, high in ends))[1]
        many = math.frexp(len(axes))[1] if p * math.log2(len(axes)) > SAFE_EXPONENT else 0  # whose sum has no power p
        shift = max(extent + many, largest - 1000)
        if abs(shift) * METRICS[metric].degree * p <= NEAR and len(x) * len(y) <= DENSE_ENTRIES:
            shift = 0  # as good, and done with
        exponent = shift * METRICS[metric].degree * p
        if both.shape[1] == 1 and METRICS[metric].degree == 1:
            metric = "cityblock"  # one coordinate needs no squares, whose roots lose digits of tiny differences
        scaled = np.ldexp(both, -shift) if shift else both
        cost = cls(scaled[:n], scaled[n:], metric, p, exponent)
        # Scaled down, a coordinate near the least floats may have lost digits.
        cost.rounded = shift > 0 and bool((np.ldexp(scaled, shift) != both).any())
        return cost

    @property
    def relative_error(self) -> float:
        row = METRICS[self.metric]
        roundings = self.p * row.root * row.roundings(self.x.shape[1]) + 4
        return roundings * UNIT_ROUNDOFF + _of_unit(self.p, self.exponent)

    @property
    def T(self) -> PointCost:
        return PointCost(self.y, self.x, self.metric, self.p, self.exponent)

    @property
    def power(self) -> float:
        """Of the folded differences."""
        return METRICS[self.metric].root * self.p

    def _finish(self, value: Array, pairs: Callable[[Array], tuple[Array, Array]], least: float | None = None) -> Array:
        """Folded differences, of which the `least` may be known, to costs; `pairs` tells rows and columns of some."""
        row, power = METRICS[self.metric], self.power
        lost = np.empty(0, np.intp)
        if row.root < 1 and (value.min(initial=np.inf) if least is None else least) < VANISHING:
            lost = np.flatnonzero(value < VANISHING)
        if power == 0.5:
            np.sqrt(value, out=value)
        elif power != 1:
            np.power(value, power, out=value)
        if len(lost):  # squares too small for floats: take the distance in units of its largest part
            rows, cols = pairs(lost)
            parts = np.abs(self.x[rows] - self.y[cols])
            largest = parts.max(axis=1, keepdims=True)
            ratios = np.divide(parts, largest, out=np.zeros_like(parts), where=largest > 0)
            distances = largest[:, 0] * np.sqrt((ratios * ratios).sum(axis=1))
            value.reshape(-1)[lost] = distances if self.p == 1 else distances**self.p
        return value

    @cached_property
    def line_orders(self) -> tuple[Array, Array]:
        """What sorts the rows and the columns by their first coordinate."""
        return np.argsort(self.x[:, 0]), np.argsort(self.y[:, 0])

    @cached_property
    def dimension(self) -> int:
        """The number of axes along which points differ by more than the part THIN of the most."""
        extent = np.maximum(*(side.max(axis=0) - side.min(axis=0) for side in (self.x, self.y)))
        return int((extent > THIN * extent.max()).sum())

    @cached_property
    def _columns(self) -> Array:
        return np.ascontiguousarray(self.y.T)  # (d, m)

    def matrix(self) -> Array:
        """Made once: the proof reads what the solver read."""
        if self.held is None:
            self.held = super().matrix()
        return self.held

    def block(self, start: int, stop: int) -> Array:
        (n, m), row, least = self.shape, METRICS[self.metric], None
        if n * self.y.size >= DIFFERENCES:
            from .kernels.distances import fold_differences

            value = np.zeros((stop - start, m))
            fold_differences(self.x[start:stop], self._columns, row.fold, value)
        elif self.x.shape[1] > 1:
            from .kernels.distances import fold_few

            value = np.empty((stop - start, m))
            least = fold_few(self.x[start:stop], self.y, row.fold, value)
        else:
            value = np.zeros((stop - start, m))
            row.reduce(value, self.x[start:stop] - self.y[:, 0])

        def pairs(places: Array) -> tuple[Array, Array]:
            rows, cols = np.divmod(places, self.shape[1])
            return rows + start, cols

        return self._finish(value, pairs, least)

    def entries(self, rows: Array, cols: Array) -> Array:
        if self.held is not None:
            return self.held[rows, cols]
        value = np.zeros(len(rows))
        for k in range(self.x.shape[1]):
            METRICS[self.metric].reduce(value, self.x[:, k][rows] - self.y[:, k][cols])
        return self._finish(value, lambda places: (rows[places], cols[places]))

    def absolute_error(self, rows: Array, cols: Array, entries: Array) -> float:
        """Not 0 where different points cost so little that a power of their distance has lost digits."""
        exact = self.p == 1 and METRICS[self.metric].degree == 1
        if self.rounded or exact:
            return VANISHING if self.rounded else 0.0
        hit = np.flatnonzero(entries < VANISHING)
        return VANISHING if len(hit) and self._apart(rows[hit], cols[hit]).any() else 0.0

    def _apart(self, rows: Array, cols: Array) -> Array:
        """Which of the pairs are of different points."""
        different: Array = (self.x[rows] != self.y[cols]).any(axis=1)
        return different

    def range(self) -> tuple[float, float]:
        return 0.0, self._largest

    @cached_property
    def _largest(self) -> float:
        if self.held is not None:
            return self.held.item(self.held.argmax()) * (1 + 2 * self.relative_error)
        low, high = corners(self.x, self.y)
        corner = PointCost(low[None], high[None], self.metric, self.p)
        return float(corner.block(0, 1)[0, 0]) * (1 + 2 * self.relative_error)

    def least(self) -> float:
        if self.x.shape[1] > 1:
            return float(self.row_transform(np.zeros(self.shape[1])).min())
        y = np.sort(self.y[:, 0])
        after = np.searchsorted(y, self.x[:, 0])
        rows, line = np.arange(len(self.x)), PointCost(self.x, y[:, None], self.metric, self.p)
        left, right = (line.entries(rows, np.clip(after - step, 0, len(y) - 1)) for step in (1, 0))
        return float(np.minimum(left, right).min())

    def select(self, rows: Array, cols: Array) -> PointCost:
        return PointCost(self.x.take(rows, 0), self.y.take(cols, 0), self.metric, self.p, self.exponent)

    def row_transform(self, g: Array) -> Array:
        n, m = self.shape
        if self.held is not None:
            return DenseCost(self.held, shift=0).row_transform(g)
        if n * m <= (LINE_ENTRIES if self.x.shape[1] == 1 else CLOUD_ENTRIES):
            return super().row_transform(g)
        if self.x.shape[1] > 1:
            from .kernels.c_transform import c_transform

            least = c_transform(self.x, self.y, g, METRICS[self.metric].fold, self.power)
            return np.nextafter(least, -np.inf) - ROOT_DUST
        rows, cols = self.line_orders
        cols = cols[g[cols] > -np.inf]
        f = np.empty(n)
        f[rows] = _line_transform(self.select(rows, cols), g[cols])
        return f


def _line_transform(cost: PointCost, g: Array) -> Array:
    """min_j C_ij - g_j for sorted points on a line, in O((n + m) log n).

    The leftmost minimiser of a Monge matrix moves right from row to row (Aggarwal, Klawe, Moran, Shor & Wilber,
    Algorithmica 1987).
    """
    from .kernels.line import monge_minima

    f = np.empty(cost.shape[0])
    degree = float(METRICS[cost.metric].degree * cost.p)
    x, y = np.ascontiguousarray(cost.x[:, 0]), np.ascontiguousarray(cost.y[:, 0])
    relative = (degree + 4 * (degree not in (1, 2))) * UNIT_ROUNDOFF * 1.01  # one rounding a factor, or that of pow
    monge_minima(x, y, g, degree, relative, f, np.empty(4 * 64, dtype=np.int64), np.empty(64))
    return f


class FunctionCost(_Blockwise):
    """metric(x_i, y_j)**p for a user's function of two blocks of points, asked for as many pairs at a time as needed.

    The function must give a pair the same cost, to rounding, whatever block it stands in.
    """

    forbids = False

    def __init__(
        self, metric: Callable[[Array, Array], Any], x: Array, y: Array, p: float, shift: int | None = None
    ) -> None:
        self.metric, self.x, self.y, self.p = metric, x.view(), y.view(), p
        self.x.flags.writeable = self.y.flags.writeable = False  # a function that scribbles on its arguments is told so
        self.shape = (len(x), len(y))
        self.shift, self.exponent = 0, 0.0
        if p != np.inf:
            self.shift = self._natural_shift() if shift is None else shift
            if p == 1 and abs(self.shift) <= SAFE_EXPONENT:
                self.shift = 0
            self.exponent = self.shift * p
        self.relative_error = 4 * UNIT_ROUNDOFF + _of_unit(p, self.exponent)

    def _natural_shift(self) -> int:
        """The binary exponent of the largest cost of a sample of all pairs."""
        x, y = (points[:: -(-len(points) // SAMPLE_SIDE)] for points in (self.x, self.y))
        whole = 0 if max(self.shape) <= SAMPLE_SIDE else None
        return math.frexp(float(np.abs(self._asked(x, y, whole)).max()))[1]

    @property
    def T(self) -> FunctionCost:
        def turned(y: Array, x: Array) -> Array:
            return np.asarray(self.metric(x, y)).T

        return FunctionCost(turned, self.y, self.x, self.p, self.shift)

    def _asked(self, x: Array, y: Array, start: int | None = None) -> Array:
        entries = np.asarray(self.metric(x, y))
        if entries.dtype.kind not in "fiub":
            raise TypeError(
                f"`metric` must return real numbers, but it returned dtype {entries.dtype}. Mend the function."
            )
        if entries.shape != (len(x), len(y)):
            raise ValueError(
                f"`metric` must return a cost block of shape {(len(x), len(y))} for points of shapes {x.shape} "
                f"and {y.shape}, but it returned {entries.shape}. Return one cost for each pair."
            )
        bad = ~np.isfinite(entries) | ((entries < 0) & (self.p != 1))
        if bad.any():
            i, j = np.unravel_index(int(np.argmax(bad)), bad.shape)
            where = f"metric(x, y)[{start + i}, {j}]" if start is not None else f"between {x[i]} and {y[j]} it"
            raise ValueError(
                f"`metric` must return finite costs >= 0, but {where} = {entries[i, j]}. Mend the function."
            )
        return np.array(entries, dtype=np.float64, order="C")

    def between(self, x: Array, y: Array, start: int | None = None) -> Array:
        """The costs between any points, (k, l), of which x may be those from number `start` on, and y all."""
        asked = self._asked(x, y, start)
        if self.p in (1, np.inf):  # the bottleneck compares distances; what is less than 0 stays so
            return np.ldexp(asked, -self.shift) - (asked < 0) * math.ulp(0.0) if self.shift else asked
        with np.errstate(over="ignore"):
            powers = np.ldexp(asked, -self.shift) ** self.p
        if ((powers < VANISHING) & (asked > 0)).any() or powers.max(initial=0) == np.inf:
            raise NotConverged(
                f"costs to the power p = {self.p:g} leave the range of floats. Lower `p`, or pass p=inf."
            )
        return powers

    def block(self, start: int, stop: int) -> Array:
        return self.between(self.x[start:stop], self.y, start)

    def entries(self, rows: Array, cols: Array) -> Array:
        """Neighbouring rows are asked for together, with all their columns."""
        order = np.argsort(rows, kind="stable")
        values = np.empty(len(rows))
        for start in range(0, len(rows), PAIRS_ASKED):
            some = order[start : start + PAIRS_ASKED]
            (near_rows, i), (near_cols, j) = (np.unique(k[some], return_inverse=True) for k in (rows, cols))
            values[some] = self.between(self.x[near_rows], self.y[near_cols])[i, j]
        return values

    def absolute_error(self, rows: Array, cols: Array, entries: Array) -> float:
        if not self.shift or self.p != 1:
            return 0.0
        hit = np.flatnonzero(np.abs(entries) < VANISHING)
        asked = FunctionCost(self.metric, self.x, self.y, 1, 0).entries(rows[hit], cols[hit])
        return VANISHING if asked.any() else 0.0

    def range(self) -> tuple[float, float]:
        return self._extremes

    @cached_property
    def _extremes(self) -> tuple[float, float]:
        low, high = np.inf, -np.inf
        for _, entries in self.blocks():
            low, high = min(low, float(entries.min())), max(high, float(entries.max()))
        return low, high

    def least(self) -> float:
        return self._extremes[0]

    def select(self, rows: Array, cols: Array) -> FunctionCost:
        return FunctionCost(self.metric, self.x[rows], self.y[cols], self.p, self.shift)


def from_callable(
    metric: Callable[[Array, Array], Any], x: Array, y: Array, p: float, *, dense: bool
) -> DenseCost | FunctionCost:
    """The cost of a user's function of two blocks of points, raised to the power p: as a matrix, or asked for by block.

    Raises
    ------
    TypeError, ValueError
        A block of the wrong kind or shape, or a cost that is nan, infinite or (for p other than 1) negative.
    """
    cost = FunctionCost(metric, x, y, p, 0 if dense and p == 1 else None)  # a matrix finds its own unit
    error = 0.0 if p in (1, np.inf) else cost.relative_error
    return DenseCost(cost.matrix(), unit=cost.exponent, error=error) if dense else cost
