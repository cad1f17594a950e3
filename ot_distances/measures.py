"""The gate: points, weights and costs are judged here, once; past it all is float64, finite and of equal mass."""

from __future__ import annotations

import math
import os
import sys
from typing import Any

import numpy as np

from ._arrays import no_numbers, parts, require_same_order, to_numpy
from .problem import Array, Transport, sum_of_weights

# Relative difference of the two total masses that is taken for rounding: sums of float32 weights, or of decimals.
MASS_TOLERANCE = {"float64": 1e-6, "float32": 1e-4, "float16": 1e-2, "bfloat16": 1e-2}

# What torch says of tensors without numbers: those of torch.func and torch.vmap, and those on the device "meta".
NO_NUMBERS = "storage", "meta tensor"

# The larger side's masses add up to at most 2**MASS_BITS, so that sums and differences of flows stay inside int64.
MASS_BITS = 60


def real_array(value: Any, name: str) -> Array:
    """`value` as a numpy array of real numbers; the caller's library and dtype are read, not kept."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"`{name}` must be a plain array, but it is masked. Fill it, or leave out what is masked.")
    if hasattr(value, "toarray"):  # without this numpy makes one object of it
        raise TypeError(
            f"`{name}` must be a dense array, but it is a sparse {type(value).__name__}. "
            f"Pass {name}.toarray(), in which all that was not stored is 0."
        )
    try:
        array = to_numpy(value)
    except (TypeError, ValueError) as error:
        said = str(error).rstrip(".")
        fact = "its rows are of unequal length" if "inhomogeneous" in said else f"it cannot be read: {said}"
        raise TypeError(f"`{name}` must be an array of numbers, but {fact}. Pass rows of equal length.") from error
    except RuntimeError as error:
        if not any(word in str(error) for word in NO_NUMBERS):
            raise
        raise TypeError(
            f"`{name}` must be a tensor that holds numbers, but torch says: {str(error).rstrip('.!')}. Outside of "
            "torch.func take a batch, (B, n, d), for vmap, and torch.autograd.grad for grad."
        ) from error
    if array.dtype == object and hasattr(value, "dtypes") and hasattr(value, "columns"):
        column, dtype = no_numbers(value)[0]
        raise TypeError(
            f"`{name}` must hold real numbers, but its column {column!r} has dtype {dtype}. "
            "Leave it out, or encode it as numbers."
        )
    require_real(array, name)
    return array


def require_real(array: Any, name: str) -> None:
    """Refuse what holds no real numbers, wherever it lies."""
    if array.dtype.kind in "fiub":
        return
    if array.dtype == object or array.dtype.kind in "USVmM":
        raise TypeError(
            f"`{name}` must be an array of real numbers, but it has dtype {array.dtype}. Convert it to float64, "
            "with rows of equal length."
        )
    if array.dtype.kind == "c":
        raise TypeError(f"`{name}` must be real, but it has dtype {array.dtype}. Pass its real and imaginary parts.")


def index_text(name: str, array: Array, bad: Array, start: int = 0) -> str:
    """`name[i, j] = value` of the first entry where `bad` holds; i counts from `start`."""
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(bad)), bad.shape))
    if not index:
        return f"{name} = {array[()]}"
    return f"{name}[{', '.join(map(str, (start + index[0], *index[1:])))}] = {array[index]}"


def require_finite(array: Array, name: str, cure: str) -> None:
    """Refuse nan and inf by name, index and value."""
    finite = np.isfinite(array)
    if not finite.all():
        raise ValueError(f"`{name}` must be finite, but {index_text(name, array, ~finite)}. {cure}")


def points(value: Any, name: str) -> Array:
    """A point set as a (n, d) float64 array; one-dimensional input is n points on a line."""
    array: Array = resident_points(real_array(value, name), name)
    return array


def resident_points(array: Any, name: str, ndim: int = 2) -> Any:
    """The same for an array that may lie on a GPU, and stays there; with `ndim` 3 a batch, (B, n, d)."""
    require_real(array, name)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != ndim:
        raise ValueError(
            f"`{name}` must have shape (n, d) or (n,), but it has shape {array.shape}. "
            "Reshape it so that each row is one point."
        )
    if 0 in array.shape:
        raise ValueError(f"`{name}` must hold at least one point, but it has shape {array.shape}. Pass some points.")
    if array.dtype != np.float64 or not array.flags.c_contiguous:
        with np.errstate(over="ignore"):
            array = array.astype(np.float64, order="C")
    require_finite(array, name, "Remove or impute such points.")
    return array


def same_labels(x: Any, y: Any, a: Any = None, b: Any = None) -> None:
    """Refuse data frames whose columns, or whose rows and weights, have the same labels in different orders."""
    if type(x) is type(y) is np.ndarray:
        return
    require_same_order(x, y, ("x", "y"))
    require_same_order(x, a, ("x", "a"), (0, 0))
    require_same_order(y, b, ("y", "b"), (0, 0))


def point_sets(x: Any, y: Any, a: Any = None, b: Any = None) -> tuple[Array, Array]:
    """Both point sets, in one space; the weights are only asked for their labels."""
    same_labels(x, y, a, b)
    x, y = points(x, "x"), points(y, "y")
    same_dimension(x, y)
    return x, y


def in_units(*sides: Array) -> tuple[int, list[Array]]:
    """An even binary exponent, and the sides in that unit: coordinates of at most 1, whose squares stay floats."""
    shift = math.frexp(max(float(np.abs(side).max()) for side in sides))[1]
    shift += shift % 2
    return shift, [np.ldexp(side, -shift) for side in sides]


def same_dimension(x: Array, y: Array) -> None:
    if x.shape[-1] != y.shape[-1]:
        raise ValueError(
            f"`x` and `y` must have the same number of columns, but their shapes are {x.shape} and {y.shape}. "
            "Bring both into one space."
        )


def cost_matrix(value: Any, a: Any = None, b: Any = None, *, forbid: bool = True, sign: float = 1.0) -> Array:
    """A dense cost matrix, in its own dtype if that is float32 or float64; weights are only asked for their labels."""
    require_same_order(value, a, ("cost_matrix", "a"), (0, 0))
    require_same_order(value, b, ("cost_matrix", "b"), (1, 0))
    array = real_array(value, "cost_matrix")
    _require_matrix(array)
    return cost_values(array, forbid=forbid, sign=sign)


def resident_costs(array: Any, *, sign: float = 1.0, batch: bool = False) -> Any:
    """A cost matrix (or a batch of them) on a GPU: checked there, in float32 if that holds its numbers, or float64."""
    require_real(array, "cost_matrix")
    if array.ndim != 3 or not batch:
        _require_matrix(array)
    if array.dtype.itemsize <= 2:
        array = array.astype(np.float32)
    return cost_values(array, sign=sign)


def _require_matrix(array: Any) -> None:
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(
            f"`cost_matrix` must have shape (n, m) with n, m >= 1, but it has shape {array.shape}. "
            "Pass one row for each source and one column for each target."
        )


def cost_values(array: Array, *, forbid: bool = True, sign: float = 1.0) -> Array:
    """The entries of a cost array of any shape, checked: no nan, and no infinity but that of a forbidden pair.

    +inf forbids a pair. Where the greatest sum is wanted (sign -1), so does -inf, and +inf is turned into it.
    """
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float64)
    # The sum is finite where every entry is: one fast pass in the ordinary case.
    with np.errstate(over="ignore", invalid="ignore"):
        if all(math.isfinite(part.sum()) for _, part in parts(array)):
            return array
    for start, part in parts(array):
        bad = np.isnan(part) | ((part == -np.inf) & (sign > 0))
        if bad.any():
            raise ValueError(
                f"`cost_matrix` must not hold nan or -inf, but {index_text('cost_matrix', part, bad, start)}. "
                "Use +inf for a forbidden pair."
            )
    if not forbid:
        require_finite(array, "cost_matrix", "Only linear_assignment and solve_cost know forbidden pairs.")
    return np.where(np.isinf(array), -np.inf, array) if sign < 0 else array


def weights(value: Any, name: str, n: int, against: str) -> Array | None:
    """Weights as (n,) float64, or None where the user passed none (uniform, of total mass 1)."""
    if value is None:
        return None
    array = real_array(value, name)
    if array.shape != (n,):
        raise ValueError(
            f"`{name}` must have shape ({n},) to go with {against}, but it has shape {array.shape}. "
            "Pass one weight for each point."
        )
    low, high = float(array[array.argmin()]), float(array[array.argmax()])  # nan where an entry is
    if not 0 <= low <= high < np.inf:
        require_weights(array, name)
    array = np.ascontiguousarray(array, dtype=np.float64)
    if high * n == np.inf:
        with np.errstate(over="ignore"):
            total = array.sum()
        if total == np.inf:
            raise ValueError(
                f"`{name}` must have a finite sum, but it overflows. Scale the weights down: {name} / {name}.max()."
            )
    if high == 0:
        raise ValueError(f"`{name}` must have a positive sum, but all its entries are 0. Pass at least one weight > 0.")
    return array


def require_weights(array: Array, name: str) -> None:
    """Refuse weights that are nan, infinite or negative."""
    require_finite(array, name, "Replace it by a number, or drop the point.")
    negative = array < 0
    if negative.any():
        raise ValueError(
            f"`{name}` must be non-negative, but {index_text(name, array, negative)}. Set it to 0 or drop the point."
        )


def mass_tolerance(*values: Any) -> float:
    """The loosest tolerance that the dtypes of the user's weights call for."""
    kinds = [str(getattr(value, "dtype", "float64")).rpartition(".")[2] for value in values if value is not None]
    return max((MASS_TOLERANCE.get(kind, 1e-6) for kind in kinds), default=1e-6)


def balance(
    a: Array | None,
    b: Array | None,
    n: int,
    m: int,
    given: tuple[Any, Any] = (None, None),
    names: tuple[str, str] = ("a", "b"),
) -> tuple[Array, Array]:
    """Two weight vectors of totals that agree, or else an error; a missing one is uniform, of the other's mass.

    The dtypes that were `given` tell what difference is rounding. It stays: scaling would round each weight, and
    `integer_masses` makes the sums the same to far more digits.
    """
    if a is None:
        a = np.full(n, _equal_share(1.0 if b is None else sum_of_weights(b), n, names[::-1]))
        mass_a = n * float(a[0])  # as exact as a sum of them
    else:
        mass_a = float(np.add.reduce(a))
    if b is None:
        return a, np.full(m, _equal_share(sum_of_weights(a), m, names))
    mass_b = float(np.add.reduce(b))
    apart = abs(mass_a - mass_b) / max(mass_a, mass_b)
    if apart > MASS_TOLERANCE["float64"] and apart > mass_tolerance(*given):
        raise ValueError(
            f"`{names[0]}` and `{names[1]}` must have the same sum, but they sum to {mass_a:.10g} "
            f"and {mass_b:.10g}, "
            f"{apart:.1e} apart relative to the larger. "
            f"Normalise both: {names[0]} / {names[0]}.sum(), {names[1]} / {names[1]}.sum()."
        )
    return a, b


def _equal_share(total: float, count: int, names: tuple[str, str]) -> float:
    """What each atom of the side without weights gets."""
    if total / count < sys.float_info.min:
        raise ValueError(
            f"`{names[0]}` must have a sum of {count} normal numbers where `{names[1]}` is not given, but it sums to "
            f"{total:.3g}. Scale the weights up: {names[0]} / {names[0]}.max()."
        )
    return total / count


def both_weights(a: Any, b: Any, shape: tuple[int, int], names: tuple[str, str] = ("a", "b")) -> tuple[Array, Array]:
    """The weights of both sides, checked, of totals that agree."""
    n, m = shape
    checked = weights(a, names[0], n, f"{n} rows"), weights(b, names[1], m, f"{m} columns")
    return balance(*checked, n, m, (a, b), names)


def integer_masses(a: Array, b: Array) -> tuple[Array, Array, int, bool]:
    """Both weight vectors as int64 of exactly the same total.

    Uniform weights become multiplicities and integer weights stay what they are: exact. Other weights are scaled by
    a power of two to a total near 2**60, so that only weights below 2**-8 of the total are rounded at all, by at
    most half a unit of 2**-60; the columns take up the difference of the two sums, in proportion, and the heavy ones
    what is left of it, less than a unit for each column.

    Returns the masses of rows and columns, their total, and whether they are exactly proportional to the weights.
    """
    n, m = len(a), len(b)
    if a[0] == a[-1] and (a == a[0]).all() and (b == b[0]).all():
        divisor = math.gcd(n, m)
        return np.full(n, m // divisor), np.full(m, n // divisor), n * m // divisor, True
    whole = float(a[0]).is_integer() and max(np.add.reduce(a), np.add.reduce(b)) < 2**MASS_BITS  # sums fit into int64
    if whole and not (a % 1).any() and not (b % 1).any():
        rows, cols = a.astype(np.int64), b.astype(np.int64)
        if rows.sum() == cols.sum():
            return rows, cols, int(rows.sum()), True
    shift = MASS_BITS - math.frexp(float(np.add.reduce(a)))[1]
    rows, scaled = np.rint(np.ldexp(a, shift)).astype(np.int64), np.ldexp(b, shift)
    cols = np.rint(scaled).astype(np.int64)
    total, sent = int(np.add.reduce(rows)), int(np.add.reduce(cols))
    surplus = total - sent
    if abs(surplus) > m:
        cols += np.rint(scaled * (surplus / sent)).astype(np.int64)
        surplus = total - int(np.add.reduce(cols))  # now at most one unit a column
    heavy, one = np.flatnonzero(cols > m), 1 if surplus > 0 else -1
    share, rest = divmod(abs(surplus), len(heavy))
    cols[heavy[:rest]] += one
    if share:
        cols[heavy] += one * share
    return rows, cols, total, False


def order(p: Any) -> float:
    """The order of a Wasserstein distance: 1 <= p <= inf."""
    if isinstance(p, bool) or not isinstance(p, (int, float, np.integer, np.floating)):
        raise TypeError(f"`p` must be a number, but it is {p!r}. Pass 1 <= p <= inf.")
    if not p >= 1:
        raise ValueError(f"`p` must be at least 1, but p = {p}. Below 1 it is no distance; pass 1 <= p <= inf.")
    return float(p)


def tolerance(rtol: Any) -> float:
    """The certified relative gap to ask for."""
    if isinstance(rtol, bool) or not isinstance(rtol, (int, float, np.integer, np.floating)):
        raise TypeError(f"`rtol` must be a number, but it is {rtol!r}. Pass 0 < rtol < 1, such as 1e-9.")
    if not 0 < rtol < 1:
        raise ValueError(f"`rtol` must lie between 0 and 1, but rtol = {rtol}. Pass a small number, such as 1e-9.")
    return float(rtol)


def time_limit(seconds: Any) -> float:
    """The time that a solve may take."""
    if seconds is None:
        return math.inf
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float, np.integer, np.floating)):
        raise TypeError(f"`time_limit` must be a number of seconds, but it is {seconds!r}. Pass None for no limit.")
    if not seconds >= 0:
        raise ValueError(f"`time_limit` must not be negative, but time_limit = {seconds}. Pass None for no limit.")
    return float(seconds)


def similar(start: Any, shape: tuple[int, int]) -> Transport | None:
    """An earlier result to start from."""
    if start is None:
        return None
    if not isinstance(start, Transport):
        raise TypeError(
            f"`start` must be a Transport, but it is a {type(start).__name__}. Pass what an earlier solve returned."
        )
    if start.plan.shape != shape:
        raise ValueError(
            f"`start` must be between as many points, {shape[0]} and {shape[1]}, but it is between "
            f"{start.plan.shape[0]} and {start.plan.shape[1]}. Solve without it."
        )
    return start


def threads(n_jobs: Any) -> int:
    """How many threads may work: for None or -1 all cores that this process may use."""
    if n_jobs is None or n_jobs == -1:
        # Asking for the affinity is also fifty times faster than counting cores, which reads files.
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, (int, np.integer)):
        raise TypeError(f"`n_jobs` must be an integer, but it is {n_jobs!r}. Pass None for all cores.")
    if n_jobs < 1:
        raise ValueError(f"`n_jobs` must be at least 1, but n_jobs = {n_jobs}. Pass None for all cores.")
    return int(n_jobs)


def generator(seed: Any) -> np.random.Generator:
    """The source of random numbers that a seed stands for."""
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"`seed` must be an integer >= 0, a Generator or None, but it is {seed!r}. Pass an integer, such as 0."
        ) from error


def option(value: Any, name: str, known: Any) -> str:
    """One of a fixed set of names."""
    if not isinstance(value, str) or value not in known:
        raise ValueError(
            f"`{name}` must be one of {', '.join(map(repr, known))}, but it is {value!r}. Pick one of them."
        )
    return str(value)
