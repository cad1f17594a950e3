"""The solver for data on a GPU: its kernels against numpy, its matchings against SciPy, its answers at the front doors.

Without a GPU the kernels run as fibers on the CPU, on arrays that refuse what CuPy's refuse; with one, the same bodies
run there too (pytest -m gpu).
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from distant import Distant, DistantFibers, cupy
from fibers import DEVICES, SCHEDULES
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from test_assignment import FAMILIES, check

import ot_distances as ot
from ot_distances import _arrays, _resident, assignment, solvers
from ot_distances._arrays import to_numpy
from ot_distances._device import Cuda
from ot_distances.costs import PointCost
from ot_distances.solvers import device, device_auction, device_batch
from ot_distances.solvers.device_batch import match_clouds
from ot_distances.solvers.device_costs import BY_PRODUCTS, DeviceCloud, DeviceMatrix

front_door = sys.modules["ot_distances.wasserstein"]

# Lists and phases that are short beside problems of a few dozen rows.
SHORT = {
    (device_auction, "SELECT"): 5,
    (device_auction, "LONGEST"): 9,
    (device_auction, "LEAST_LEFT"): 2,
    (device_auction, "ROUNDS"): 4,
    (device, "CANDIDATES"): 3,
    (device, "LONGEST"): 5,
    (solvers, "DEVICE_ROWS"): 2,
}


@pytest.fixture(params=DEVICES)
def backend(request, monkeypatch):
    """A device, or its stand-in, that small problems go to as well."""
    for (module, name), value in SHORT.items():
        monkeypatch.setattr(module, name, value)
    if request.param == "cuda":
        return Cuda()
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setattr(_resident, "Cuda", DistantFibers)
    return DistantFibers()


def matrix_on(backend, cost, sign=1.0):
    return DeviceMatrix(backend, backend.xp.asarray(cost), sign)


def cloud_on(backend, x, y, metric="euclidean", p=1.0):
    return DeviceCloud(backend, PointCost.scaled(backend.xp.asarray(x), backend.xp.asarray(y), metric, p))


def with_holes(cost, rng, share):
    return np.where(rng.random(cost.shape) < share, cost, np.inf)


# --- kernels --------------------------------------------------------------------------------------------------------

ROWS = {
    "uniform": lambda m, rng: rng.random((7, m)),
    "ties": lambda m, rng: rng.integers(0, 3, (7, m)).astype(float),
    "constant": lambda m, rng: np.zeros((7, m)),
    "sorted": lambda m, rng: np.sort(rng.random((7, m)), axis=1),
    "one cheapest": lambda m, rng: 1.0 - (np.arange(m) == m // 2) + np.zeros((7, 1)),
    "cheap block": lambda m, rng: np.where(np.arange(m) < m / 2, 1e-3, 1.0) * rng.random((7, m)),
    "one thread's": lambda m, rng: np.where(np.arange(m) % 32 == 3, 1e-3, 1.0) * rng.random((7, m)),
    "holes": lambda m, rng: with_holes(rng.random((7, m)), rng, 0.1),
    "all forbidden": lambda m, rng: np.full((7, m), np.inf),
}


@pytest.mark.parametrize("price", [np.float32, np.float64])
@pytest.mark.parametrize("m", [1, 2, 3, 9, 32, 65, 300, 1203])
@pytest.mark.parametrize("family", ROWS)
def test_a_list_holds_every_column_up_to_its_bound(backend, family, m, price, rng):
    cost, select, longest = ROWS[family](m, rng).astype(np.float32), 5, 9
    xp, n = backend.xp, len(cost)
    prices = (rng.random(m) * (family != "constant")).astype(price)
    near, near_cost = xp.full((n, longest), -1, np.int32), xp.zeros((n, longest), np.float32)
    length, bound = xp.zeros(n, np.int32), xp.zeros(n, price)
    wanted = np.array([4, 0, 5, 2], np.int32)
    matrix_on(backend, cost).refresh(
        xp.asarray(prices), xp.asarray(wanted), xp.asarray(np.array([3], np.int32)), 3, select,
        (near, near_cost, length, bound),
    )  # fmt: skip
    near, near_cost, length, bound = map(to_numpy, (near, near_cost, length, bound))
    assert (length[[1, 2, 3, 6]] == 0).all()  # not asked for
    for i in wanted[:3]:
        h = cost[i] + prices
        listed = near[i, : length[i]]
        allowed = np.isfinite(h).sum()
        assert len(set(listed)) == length[i] >= min(2, allowed)
        assert (near_cost[i, : length[i]] == cost[i, listed]).all()
        assert set(np.flatnonzero(h < bound[i])) <= set(listed) and (h[listed] <= bound[i]).all()
        assert bound[i] == np.inf or length[i] == longest or bound[i] == h[listed].max()
        assert bound[i] < np.inf or length[i] == allowed


def test_equally_good_columns_are_not_the_same_for_all_rows(backend):
    n = m = 64
    lists = DeviceMatrix(backend, backend.xp.zeros((n, m), np.float32)).nearest(np.arange(n), np.zeros(m), 5, 9)
    first = [lists[1][lists[0] == i] for i in range(n)]
    assert all(len(cols) == 9 for cols in first)
    assert len(np.unique(np.concatenate(first))) == m


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (70, 130), (3, 1030)])
def test_passes_over_a_matrix(backend, shape, dtype, rng):
    values = with_holes(rng.random(shape) - 0.5, rng, 0.9).astype(dtype)
    v = rng.random(shape[1]) * 1e-3
    cost = matrix_on(backend, values)
    exact = (values.astype(float) - v).min(axis=1)
    found = cost.row_transform(v)
    assert ((found == np.nextafter(exact, -np.inf)) | (found == exact) & ((exact == 0) | np.isinf(exact))).all()
    means, allowed = cost.column_means()
    assert (allowed == np.isfinite(values).sum(axis=0)).all()
    sums = np.where(np.isfinite(values), values, 0.0).sum(axis=0, dtype=float)
    assert means * np.maximum(allowed, 1) == pytest.approx(sums, abs=1e-14)


def test_subnormal_floats_keep_their_value(backend):
    """CuPy compiles with -ftz=true, under which an ordinary conversion to float64 makes them 0."""
    values = np.float32(2**-149) * np.array([[1, 5, 2**22], [-3, 7, 0], [2**24, -(2**23), 2**23 - 1]], np.float32)
    cost = matrix_on(backend, values)
    rows, cols = np.divmod(np.arange(9), 3)
    assert (cost.entries(rows, cols) == values.astype(float).ravel()).all()
    assert (cost.row_transform(np.zeros(3)) == values.astype(float).min(axis=1)).all()
    assert not cost.ordinary  # for an auction in floats
    found = ot.linear_assignment(backend.xp.asarray(np.tile(values, (2, 1, 1))))
    assert to_numpy(found.cost).tolist() == [2 * ot.linear_assignment(values).cost / 2] * 2


@pytest.mark.parametrize("p", [1.0, 2.0, 2.5])
@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "cityblock", "chebyshev"])
@pytest.mark.parametrize("d", [2, 3, 5, 70])
def test_costs_of_points_on_the_device(backend, d, metric, p, rng):
    if metric == "sqeuclidean" and p != 1:
        pytest.skip("goes with p = 1 only")
    x, y = rng.standard_normal((9, d)), rng.standard_normal((600, d)) + 1
    y[:3] = x[:3]
    host = PointCost.scaled(x, y, metric, p)
    cost, g = cloud_on(backend, x, y, metric, p), rng.random(600)
    assert cost.range() == host.range()
    slack = 2 * host.relative_error * host.range()[1]
    assert np.abs(cost.row_transform(g) - host.row_transform(g)).max() <= slack
    rows, cols = cost.nearest(np.array([1, 4]), g, 5, 9)
    reduced = host.matrix() - g
    for i in (1, 4):
        assert np.sort(reduced[i, cols[rows == i]])[:5] == pytest.approx(np.sort(reduced[i])[:5], abs=slack)
    means, _ = cost.column_means()
    assert means == pytest.approx(host.matrix().mean(axis=0), rel=1e-12)
    rows, cols = rng.integers(0, 9, 50), rng.integers(0, 600, 50)
    assert cost.entries(rows, cols) == pytest.approx(host.entries(rows, cols), rel=2 * host.relative_error)
    entries = host.entries(rows, cols)
    assert cost.absolute_error(rows, cols, entries) == host.absolute_error(rows, cols, entries) == 0


def test_squares_too_small_for_floats_are_taken_apart(backend):
    x, y = np.array([[0.0, 0.0], [1.0, 1.0]]), np.array([[3e-200, 4e-200], [1.0, 1.0]])
    cost = cloud_on(backend, x, y)
    assert cost.entries(np.arange(2), np.arange(2)).tolist() == pytest.approx([5e-200, 0.0], rel=1e-15)
    move = 0.8 * 2.0**-537  # whose square is rounded up
    assert cloud_on(backend, x, x + np.array([0, move])).row_transform(np.zeros(2))[0] <= move
    squared = cloud_on(backend, x, y, "euclidean", 2.0)
    first, second = np.zeros(1, int), np.ones(1, int)
    lost = [squared.absolute_error(k, k, squared.entries(k, k)) for k in (first, second)]
    assert lost[0] > 0 == lost[1]


# --- matchings ------------------------------------------------------------------------------------------------------


def optimum(cost):
    rows, cols = linear_sum_assignment(cost.astype(float))
    return cost.astype(float)[rows, cols].sum()


@pytest.mark.parametrize("shape", [(44, 44), (30, 44), (9, 60)])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_optimum_of_every_family(backend, family, shape, rng):
    dtype = (np.float32, np.float64)[sorted(FAMILIES).index(family) % 2]
    cost = FAMILIES[family](*shape, rng).astype(dtype)
    found = device.match(matrix_on(backend, cost))
    if family != "one dear row" or dtype == np.float64:
        assert found is not None
    if found is not None:
        assert check(cost, found) == pytest.approx(optimum(cost), rel=1e-13, abs=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [0.0, 1e6, -1e6])
def test_an_offset_costs_nothing_but_digits(backend, offset, dtype, rng):
    cost = (rng.random((40, 40)) + offset).astype(dtype)
    assert check(cost, device.match(matrix_on(backend, cost))) == pytest.approx(optimum(cost), rel=1e-14)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_ends_in_the_optimum(backend, schedule, rng):
    if not isinstance(backend, DistantFibers):
        pytest.skip("a device chooses its own")
    cost = rng.integers(0, 20, (40, 40)).astype(np.float32)
    found = device.match(matrix_on(DistantFibers(schedule), cost))
    assert check(cost, found) == optimum(cost)


def test_what_leads_nowhere_is_left_to_the_host(backend, monkeypatch, rng):
    monkeypatch.setattr(device_auction, "MOST_ROUNDS", 40)
    cost = rng.random((30, 30))
    cost[:20, 10:] = np.inf  # twenty rows for ten columns
    assert device.match(matrix_on(backend, cost)) is None
    cost = rng.random((30, 30))
    cost[7] = np.inf
    assert device.match(matrix_on(backend, cost)) is None
    cost = rng.random((30, 30))
    cost[:, 7] = np.inf
    assert device.match(matrix_on(backend, cost)) is None


def test_large_dimensions_go_through_matrix_products(backend, rng):
    x, y = rng.standard_normal((2, 40, BY_PRODUCTS + 3))
    cost = cloud_on(backend, x, y)
    rough = cost.rough()
    assert to_numpy(rough.values) == pytest.approx(cost.matrix(), rel=1e-5)
    found = device.match(cost)
    assert check(cost.matrix(), found) == pytest.approx(optimum(cost.matrix()), rel=1e-13)


# --- front doors ----------------------------------------------------------------------------------------------------


def on_device(value):
    return _resident.on_gpu(value)


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("shape", [(30, 30), (20, 30), (30, 20)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.int64])
def test_linear_assignment_of_arrays_on_a_device(backend, dtype, shape, maximize, rng):
    cost = (rng.random(shape) * 100).astype(dtype)
    there = ot.linear_assignment(backend.xp.asarray(cost), maximize=maximize)
    here = ot.linear_assignment(cost, maximize=maximize)
    assert there.cost == pytest.approx(here.cost, rel=1e-13)
    assert there.lower <= there.cost <= there.upper and 0 <= there.gap <= 1e-9
    assert all(on_device(array) for array in (there.rows, there.cols, there.u, there.v))
    rows, cols, u, v = map(to_numpy, (there.rows, there.cols, there.u, there.v))
    assert (np.diff(rows) > 0).all() and cost.astype(float)[rows, cols].sum() == pytest.approx(there.cost)
    slack = cost.astype(float) - u[:, None] - v
    assert ((slack <= 0) if maximize else (slack >= 0)).all()


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("shape", [(12, 12), (7, 12), (12, 7)])
def test_a_batch_of_arrays_on_a_device(backend, shape, maximize, rng):
    costs = rng.random((5, *shape))
    there = ot.linear_assignment(backend.xp.asarray(costs), maximize=maximize)
    here = ot.linear_assignment(costs, maximize=maximize)
    for name in ("rows", "cols", "cost", "u", "v", "lower", "upper", "gap"):
        part = getattr(there, name)
        assert on_device(part) and part.shape == getattr(here, name).shape
    assert to_numpy(there.cost) == pytest.approx(here.cost, rel=1e-13)
    assert (to_numpy(there.rows) == here.rows).all() and (to_numpy(there.cols) == here.cols).all()
    slack = costs - to_numpy(there.u)[:, :, None] - to_numpy(there.v)[:, None, :]
    assert ((slack <= 1e-15) if maximize else (slack >= -1e-15)).all()


def test_large_problems_of_a_batch_are_solved_there_one_by_one(backend, monkeypatch, rng):
    monkeypatch.setattr(assignment, "MOST_ROWS", 11)
    solved = []
    monkeypatch.setattr(device, "match", lambda cost, match=device.match: solved.append(cost.shape) or match(cost))
    costs = rng.random((3, 15, 12))
    there, here = ot.linear_assignment(backend.xp.asarray(costs)), ot.linear_assignment(costs)
    assert solved == [(12, 15)] * 3
    assert on_device(there.cols) and (to_numpy(there.cols) == here.cols).all()
    assert to_numpy(there.cost) == pytest.approx(here.cost, rel=1e-13)


def test_an_impossible_problem_of_a_batch_is_named_as_on_the_host(backend, rng):
    costs = rng.random((3, 6, 6))
    costs[1, 2] = np.inf
    with pytest.raises(ValueError, match=r"Problem 1 of the batch: .*rows \[2\] are allowed no columns"):
        ot.linear_assignment(backend.xp.asarray(costs))


def test_a_matrix_in_fortran_order_is_not_copied(backend, monkeypatch, rng):
    cost = rng.random((30, 30))
    turned = backend.xp.asarray(np.ascontiguousarray(cost.T)).T
    seen = []
    monkeypatch.setattr(device, "match", lambda cost, match=device.match: seen.append(cost.values) or match(cost))
    found = ot.linear_assignment(turned)
    assert found.cost == pytest.approx(optimum(cost), rel=1e-13)
    assert (to_numpy(seen[0]) == cost.T).all()


def test_numbers_of_the_host_may_be_sent_to_a_device(backend, rng):
    cost = rng.random((30, 30))
    there = ot.linear_assignment(cost, device="cuda")
    assert type(there.rows) is np.ndarray and there.cost == pytest.approx(optimum(cost), rel=1e-13)
    back = ot.linear_assignment(backend.xp.asarray(cost), device="cpu")
    assert on_device(back.cols) and back.cost == pytest.approx(there.cost, rel=1e-14)


def test_an_unknown_device_is_named(backend):
    with pytest.raises(ValueError, match=r"`device` must name one of the \d+ GPUs here, but it is 'cuda:99'"):
        ot.linear_assignment(np.eye(3), device="cuda:99")
    with pytest.raises(ValueError, match=r'`device` must be None, "cpu", "cuda" or "cuda:k", but it is \'gpu\''):
        ot.linear_assignment(np.eye(3), device="gpu")


def test_the_gate_judges_costs_on_the_device(backend):
    bad = np.ones((5, 5))
    bad[2, 3] = np.nan
    with pytest.raises(ValueError, match=r"must not hold nan or -inf, but cost_matrix\[2, 3\] = nan"):
        ot.linear_assignment(backend.xp.asarray(bad))
    with pytest.raises(ValueError, match=r"must have shape \(n, m\)"):
        ot.solve_cost(backend.xp.asarray(np.ones((2, 5, 5))))
    with pytest.raises(TypeError, match=r"`cost_matrix` must be real"):
        ot.linear_assignment(backend.xp.asarray(bad.astype(complex)))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_large_array_is_looked_at_in_parts(backend, monkeypatch, sign, rng):
    """Some of CuPy's functions count in 32 bits."""
    monkeypatch.setattr(_arrays, "PART_ENTRIES", 30)
    cost = sign * np.where(rng.random((17, 12)) < 0.8, rng.random((17, 12)) - 0.5, np.inf)
    there = matrix_on(backend, cost, sign)
    finite = np.sort(sign * cost[np.isfinite(cost)])
    assert there.forbids and there.range() == (finite[0], finite[-1])
    cost[14, 5] = np.nan
    with pytest.raises(ValueError, match=r"cost_matrix\[14, 5\] = nan"):
        ot.linear_assignment(backend.xp.asarray(cost), maximize=sign < 0)


def test_impossible_problems_are_told_as_on_the_host(backend, monkeypatch):
    monkeypatch.setattr(device_auction, "MOST_ROUNDS", 40)
    cost = np.ones((20, 20))
    cost[:5, 3:] = np.inf
    with pytest.raises(ValueError) as here:
        ot.linear_assignment(cost)
    with pytest.raises(ValueError) as there:
        ot.linear_assignment(backend.xp.asarray(cost))
    assert str(here.value) == str(there.value)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_extreme_magnitudes_take_the_host(backend, scale, rng):
    cost = rng.random((12, 12)) * scale
    found = ot.linear_assignment(backend.xp.asarray(cost))
    assert found.cost == pytest.approx(optimum(cost / scale) * scale, rel=1e-12)


@pytest.mark.parametrize("p", [1, 2, np.inf])
@pytest.mark.parametrize("d", [1, 2, 12])
def test_wasserstein_of_points_on_a_device(backend, d, p, rng):
    x, y = rng.standard_normal((2, 30, d))
    there = ot.wasserstein(backend.xp.asarray(x), backend.xp.asarray(y), p=p)
    assert on_device(there) and there.shape == ()
    assert float(there) == pytest.approx(ot.wasserstein(x, y, p=p), rel=1e-12)


def test_solve_names_the_device_as_its_method(backend, rng):
    x, y = rng.standard_normal((30, 2)), rng.standard_normal((30, 2)) * [0.3, 1] + 4
    there, here = ot.solve(backend.xp.asarray(x), backend.xp.asarray(y), p=2), ot.solve(x, y, p=2)
    assert there.method == "device" != here.method
    assert there.cost == pytest.approx(here.cost, rel=1e-12) and there.gap <= 1e-9
    assert there.plan.toarray().sum(axis=0) == pytest.approx(np.full(30, 1 / 30))
    assert (there.f[:, None] + there.g <= cdist(x, y, "sqeuclidean") + 1e-12).all()


@pytest.fixture
def brought(backend):
    """The shapes of what came to the host from the stand-in; CuPy keeps no account."""
    Distant.brought.clear()
    return Distant.brought


@pytest.mark.parametrize("d", [2, 12])
def test_points_stay_on_the_device(backend, brought, d, monkeypatch, rng):
    monkeypatch.setattr(device_auction, "SAMPLE", (4, 8))
    n = 40
    x, y = (backend.xp.asarray(side) for side in rng.standard_normal((2, n, d)))
    found = ot.solve(x, y, p=2)
    assert found.method == "device" and on_device(found._points[0])
    assert not [shape for shape in brought if len(shape) == 2 and max(shape) >= n and d in shape]
    assert brought or isinstance(backend, Cuda)
    assert (found._atoms()[1] == y.get()).all()


@pytest.mark.parametrize(
    ("options", "method"),
    [
        ({"a": np.arange(1.0, 41)}, "network_simplex"),
        ({"p": np.inf}, "bottleneck"),
        ({"metric": lambda x, y: cdist(x, y)}, "assignment"),
        ({"method": "multiscale"}, "multiscale"),
    ],
)
def test_what_is_solved_on_the_host_is_copied_once_and_comes_back(backend, brought, options, method, rng):
    n, d = 40, 3
    host = rng.standard_normal((2, n, d))
    x, y = map(backend.xp.asarray, host)
    there = {name: backend.xp.asarray(value) if name == "a" else value for name, value in options.items()}
    found = ot.wasserstein(x, y, **there)
    assert on_device(found) and found.shape == ()
    assert (brought.count((n, d)), brought.count((n,))) == (2, "a" in options) or isinstance(backend, Cuda)
    assert ot.solve(x, y, **there).method == method
    assert float(found) == pytest.approx(ot.wasserstein(*host, **options), rel=1e-12)


@pytest.mark.parametrize(("d", "method"), [(3, "multiscale"), (4, "device")])
def test_large_clouds_of_low_dimension_are_the_hosts(backend, brought, d, method, monkeypatch, rng):
    monkeypatch.setattr(device_auction, "SAMPLE", (4, 8))
    monkeypatch.setattr(solvers, "MOST_LOW_POINTS", 39)
    monkeypatch.setitem(
        solvers.SOLVERS, "multiscale", replace(solvers.SOLVERS["multiscale"], pays=lambda problem: True)
    )
    host = rng.standard_normal((2, 40, d))
    x, y = map(backend.xp.asarray, host)
    found = ot.wasserstein(x, y, p=2)
    assert on_device(found) and float(found) == pytest.approx(ot.wasserstein(*host, p=2), rel=1e-12)
    assert brought.count((40, d)) == 2 * (method == "multiscale") or isinstance(backend, Cuda)
    assert ot.solve(x, y, p=2).method == method
    assert ot.solve(x, y, p=2, method="device").method == "device"


def test_equal_clouds_are_told_apart_from_similar_ones(backend, brought, rng):
    x = rng.standard_normal((40, 3))
    there = ot.solve(backend.xp.asarray(x), backend.xp.asarray(x[::-1].copy()))
    assert there.method == "identity" and there.cost == 0
    brought.clear()
    other = np.where(x == x.max(axis=0), x, x + 0.1)
    assert ot.solve(backend.xp.asarray(x), backend.xp.asarray(other)).method == "device"


def test_points_on_a_device_are_judged_there(backend, brought):
    good, bad = np.ones((40, 2)), np.ones((40, 2))
    bad[3, 1] = np.inf
    with pytest.raises(ValueError, match=r"`y` must be finite, but y\[3, 1\] = inf"):
        ot.solve(backend.xp.asarray(good), backend.xp.asarray(bad))
    with pytest.raises(ValueError, match=r"`x` must have shape \(n, d\) or \(n,\), but it has shape \(40, 2, 1\)"):
        ot.solve(backend.xp.asarray(good[:, :, None]), backend.xp.asarray(good))
    with pytest.raises(TypeError, match="`y` must be real, but it has dtype complex128"):
        ot.solve(backend.xp.asarray(good), backend.xp.asarray(bad.astype(complex)))
    with pytest.raises(ValueError, match="the same number of columns"):
        ot.solve(backend.xp.asarray(good), backend.xp.asarray(np.ones((40, 3))))
    with pytest.raises(TypeError, match="`y` must be an array of real numbers"):
        ot.solve(backend.xp.asarray(good), np.full((40, 2), "a"))
    assert (40, 2) not in brought


def test_axes_on_which_all_points_agree_cost_nothing_there(backend, rng):
    x, y = rng.standard_normal((2, 30, 3))
    x[:, 1] = y[:, 1] = 7.0
    there = ot.solve(backend.xp.asarray(x), backend.xp.asarray(y))
    assert there.method == "device" and there.cost == pytest.approx(ot.solve(x, y).cost, rel=1e-12)


def test_where_the_device_leads_nowhere_points_are_copied(backend, monkeypatch, rng):
    monkeypatch.setattr(device, "match", lambda *args: None)
    x, y = rng.standard_normal((2, 30, 2))
    there = ot.solve(backend.xp.asarray(x), backend.xp.asarray(y), p=2)
    assert there.cost == pytest.approx(ot.solve(x, y, p=2).cost, rel=1e-12)


@pytest.fixture
def small(monkeypatch):
    """Problems of a batch are small again."""
    monkeypatch.setattr(solvers, "DEVICE_ROWS", 1000)


@pytest.mark.parametrize(("metric", "p"), [("euclidean", 1), ("euclidean", 2), ("cityblock", 3), ("sqeuclidean", 1)])
@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_a_batch_of_clouds_is_matched_in_one_launch(backend, brought, small, d, metric, p, monkeypatch, rng):
    monkeypatch.setattr(device_batch, "COSTS_AT_ONCE", 3 * 81)  # in slices of three
    x, y = rng.standard_normal((2, 5, 9, d)) * 1e3
    y[2] = x[2, ::-1]
    there = ot.wasserstein(backend.xp.asarray(x), backend.xp.asarray(y), p=p, metric=metric)
    assert on_device(there) and there.shape == (5,) and not [s for s in brought if len(s) > 1 and s[-1] == d]
    here = ot.wasserstein(x, y, p=p, metric=metric)
    assert to_numpy(there) == pytest.approx(here, rel=1e-12) and there[2] == 0.0


def test_a_batch_of_clouds_comes_with_its_proof(backend, rng):
    x, y = rng.standard_normal((2, 4, 12, 2)) + 1e4
    cost = PointCost.scaled(*(backend.xp.asarray(side.reshape(-1, 2)) for side in (x, y)), "euclidean", 2.0)
    matched = match_clouds(backend, cost, 4)
    for k, (there, value) in enumerate(zip(matched.transports(2.0), matched.values(2.0))):
        here = ot.solve(x[k], y[k], p=2)
        assert there.value == value == pytest.approx(here.value, rel=1e-12)
        assert there.lower <= here.upper and here.lower <= there.upper and 0 <= there.gap <= 1e-12
        assert there.lower <= there.cost <= there.upper
        assert ot.verify((x[k], y[k]), plan=there.plan, f=there.f, g=there.g, p=2).optimal


@pytest.mark.parametrize("case", ["one pair too close", "weights", "inf", "callable", "too many points"])
def test_other_batches_are_the_hosts(backend, small, case, monkeypatch, rng):
    x, y = rng.standard_normal((2, 3, 8, 2))
    options = {
        "weights": {"a": np.arange(1.0, 9)},
        "inf": {"p": np.inf},
        "callable": {"metric": cdist},
    }.get(case, {})
    if case == "one pair too close":
        y[1, :2] = x[1, :2] = 0.0
        y[1, 1] = 1e-160
    if case == "too many points":
        monkeypatch.setattr(front_door, "MOST_ROWS", 7)
    matched = []
    monkeypatch.setattr(front_door, "match_clouds", lambda *args: matched.append(match_clouds(*args)) or matched[0])
    there = ot.wasserstein(backend.xp.asarray(x), backend.xp.asarray(y), **options)
    assert matched == [None] * (case == "one pair too close")
    assert on_device(there) and to_numpy(there) == pytest.approx(ot.wasserstein(x, y, **options), rel=1e-12)


def test_large_clouds_of_a_batch_stay_there_one_by_one(backend, brought, monkeypatch, rng):
    monkeypatch.setattr(device_auction, "SAMPLE", (4, 8))
    x, y = rng.standard_normal((2, 2, 30, 4))
    there = ot.wasserstein(backend.xp.asarray(x), backend.xp.asarray(y))
    assert on_device(there) and not [shape for shape in brought if shape[-2:] == (30, 4)]
    assert to_numpy(there) == pytest.approx(ot.wasserstein(x, y), rel=1e-12)


def test_a_batch_of_clouds_is_judged_there(backend, small):
    x = np.ones((2, 5, 3))
    bad = x.copy()
    bad[1, 2, 0] = np.nan
    with pytest.raises(ValueError, match=r"`y` must be finite, but y\[1, 2, 0\] = nan"):
        ot.wasserstein(backend.xp.asarray(x), backend.xp.asarray(bad))
    with pytest.raises(ValueError, match='`p` must be 1 with metric="sqeuclidean"'):
        ot.wasserstein(backend.xp.asarray(x), backend.xp.asarray(x), p=2, metric="sqeuclidean")
    with pytest.raises(ValueError, match="must both have shape"):
        ot.wasserstein(backend.xp.asarray(x), backend.xp.asarray(x[0]))
    with pytest.raises(ot.NotConverged, match="the time is up"):
        ot.wasserstein(backend.xp.asarray(x), backend.xp.asarray(x), time_limit=0)
    with pytest.raises(ot.NotConverged, match="method 'assignment'"):  # nor does the host prove it so well
        ot.wasserstein(backend.xp.asarray(x), backend.xp.asarray(x - np.arange(5)[:, None] / 3), rtol=1e-16)


def test_solve_cost_of_a_matrix_on_a_device(backend, rng):
    cost = rng.random((30, 30))
    there = ot.solve_cost(backend.xp.asarray(cost))
    assert there.method == "device" and on_device(there.value)
    assert float(there.cost) == pytest.approx(ot.solve_cost(cost).cost, rel=1e-12)
    weighted = ot.solve_cost(backend.xp.asarray(cost), np.arange(30) + 1.0)
    assert weighted.method == "network_simplex"


def test_the_device_is_refused_where_the_data_are_on_the_host(rng):
    x, y = rng.standard_normal((2, 30, 2))
    with pytest.raises(ValueError, match=r"for \"device\" the data must lie on a GPU"):
        ot.solve(x, y, method="device")


def test_time_is_kept_on_a_device(backend, rng):
    x, y = (backend.xp.asarray(rng.standard_normal((60, 2))) for _ in range(2))
    with pytest.raises(ot.NotConverged, match="the time is up, the cost lies in") as stopped:
        ot.solve(x, y, method="device", time_limit=1e-4)
    assert stopped.value.lower <= ot.solve(to_numpy(x), to_numpy(y)).cost <= stopped.value.upper


@pytest.fixture
def tensors(backend, monkeypatch):
    """CUDA tensors, or tensors of the host that claim to be such."""
    torch = pytest.importorskip("torch")
    if isinstance(backend, Cuda):
        if not torch.cuda.is_available():
            pytest.skip("this torch has no CUDA")
        return lambda array: torch.as_tensor(array, device="cuda")

    class Claiming(torch.Tensor):
        is_cuda = property(lambda self: True)
        device = property(lambda self: torch.device("cpu", 0))

    stream = SimpleNamespace(cuda_stream=7, __cuda_stream__=lambda: (0, 7))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda number: stream)
    return lambda array: torch.as_tensor(array).as_subclass(Claiming)


def test_tensors_on_a_device(tensors, monkeypatch, rng):
    torch = sys.modules["torch"]
    cost = rng.random((30, 20)).astype(np.float32)
    for costs, solve_there in ((cost, True), (np.stack([cost[:9, :7]] * 3), False)):
        there, here = ot.linear_assignment(tensors(costs)), ot.linear_assignment(costs)
        assert all(isinstance(part, torch.Tensor) for part in (there.rows, there.cols, there.u, there.v))
        assert np.asarray(there.cost) == pytest.approx(np.asarray(here.cost), rel=1e-13)
        assert isinstance(there.cost, float) == solve_there
        assert (to_numpy(there.cols) == here.cols).all()
    x, y = rng.standard_normal((2, 30, 2))
    distance = ot.wasserstein(tensors(x).requires_grad_(), tensors(y), p=2)
    assert float(distance.detach()) == pytest.approx(ot.wasserstein(x, y, p=2), rel=1e-12)
    assert distance.requires_grad
    assert ot.solve_cost(tensors(cost[:20])).method == "device"
    monkeypatch.setattr(solvers, "DEVICE_ROWS", 1000)
    sides = [torch.as_tensor(side.reshape(3, 10, 2)) for side in (x, y)]
    moved = [tensors(side).requires_grad_() for side in sides]
    for some in (sides[0].requires_grad_(), sides[1]), moved:
        ot.wasserstein(*some, p=2).sum().backward()
    assert moved[0].grad.cpu().numpy() == pytest.approx(sides[0].grad.numpy(), rel=1e-9)


@pytest.mark.parametrize("release", [13, 14])
def test_work_is_queued_on_the_stream_of_torch(tensors, backend, monkeypatch, release, rng):
    if isinstance(backend, Cuda):
        pytest.skip("test_gpu.py does this with a real one")
    if release == 13:
        old = SimpleNamespace(entered=[])
        monkeypatch.setattr(cupy.cuda, "Stream", old)
        call = lambda pointer, number: old.entered.append((number, pointer)) or nullcontext()  # noqa: E731
        monkeypatch.setattr(cupy.cuda, "ExternalStream", call, raising=False)
    cupy.cuda.Stream.entered.clear()
    ot.linear_assignment(tensors(rng.random((9, 9))))
    assert cupy.cuda.Stream.entered == [(0, 7)]


def test_tensors_of_the_host_come_back_as_tensors(rng):
    torch = pytest.importorskip("torch")
    cost = rng.random((6, 6))
    found = ot.linear_assignment(torch.as_tensor(cost))
    assert isinstance(found.cols, torch.Tensor) and found.cols.device.type == "cpu"
    assert (found.cols.numpy() == ot.linear_assignment(cost).cols).all()
