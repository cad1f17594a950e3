"""On a real device, through the public names: `pytest -m gpu`. Everything here is skipped where there is none.

The rows of the kernels' and the solver's own tests that need a device stand beside their CPU rows, in
test_device_batch.py and test_device_solver.py; here are the doors, and what only a device has: streams, memory, indices
beyond 2^31, a second device.
"""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from test_assignment import FAMILIES

import ot_distances as ot
from ot_distances._device import Cuda
from ot_distances.solvers.device_batch import match_batch

pytestmark = pytest.mark.gpu

SHAPES = [(1100, 1100), (1050, 1303), (1200, 1010)]
BATCHES = [
    (5, 1, 1),
    (70, 20, 20),
    (9, 64, 64),
    (4, 33, 90),
    (3, 128, 128),
    (2, 200, 130),
    (3, 300, 512),
    (2, 600, 520),
]


@pytest.fixture
def cp():
    import cupy

    yield cupy
    cupy.get_default_memory_pool().free_all_blocks()


@pytest.fixture
def torch():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this torch has no CUDA")
    return torch


def host(array):
    return array.get() if hasattr(array, "get") else array


def agree(there, cost, *, maximize=False):
    """The answer of the device is proven, and that of the host."""
    here = ot.linear_assignment(cost, maximize=maximize)
    rows, cols, u, v = (np.asarray(array.get()) for array in (there.rows, there.cols, there.u, there.v))
    assert len(set(rows)) == len(set(cols)) == min(cost.shape) and (np.diff(rows) > 0).all()
    assert there.lower <= here.upper and here.lower <= there.upper
    assert 0 <= there.gap <= 1e-9
    exact = cost.astype(float)
    size = np.abs(exact[rows, cols]).sum() + np.abs(u).sum() + np.abs(v).sum()
    assert there.cost == pytest.approx(exact[rows, cols].sum(), rel=1e-12, abs=1e-15 * size)
    slack = (exact - u[:, None] - v) * (-1 if maximize else 1)
    assert slack[np.isfinite(slack)].min() >= -1e-12 * max(np.abs(u).max(), np.abs(v).max())


# --- the doors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("family", FAMILIES)
def test_one_matrix(family, shape, dtype, cp, rng):
    cost = FAMILIES[family](*shape, rng).astype(dtype)
    there = ot.linear_assignment(cp.asarray(cost))
    assert isinstance(there.cols, cp.ndarray) and there.u.dtype == np.float64
    agree(there, cost)


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int32", "int64", "bool", "float16"])
def test_every_dtype_is_read_exactly(dtype, cp, rng):
    cost = (rng.random((1100, 1100)) * 100).astype(dtype)
    agree(ot.linear_assignment(cp.asarray(cost)), cost)
    batch = cost[:40, :60].reshape(2, 20, 60)
    assert ot.linear_assignment(cp.asarray(batch)).cost.tolist() == ot.linear_assignment(batch).cost.tolist()


@pytest.mark.parametrize("maximize", [False, True])
def test_strides_and_sign(maximize, cp, rng):
    cost = rng.random((1100, 1200))
    padded = cp.zeros((2200, 2400))
    padded[::2, ::2] = cp.asarray(cost)
    for view in (cp.asfortranarray(cp.asarray(cost)), padded[::2, ::2]):
        agree(ot.linear_assignment(view, maximize=maximize), cost, maximize=maximize)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1001, 1001), (1000, 1004), (3, 40, 41)])
def test_entries_may_begin_anywhere(shape, dtype, cp, rng):
    """Rows are read 16 bytes at a time only where they begin at a multiple of 16."""
    cost = rng.random(shape).astype(dtype)
    room = cp.zeros(cost.size + 3, dtype)
    for offset in range(4):
        there = room[offset : offset + cost.size].reshape(shape)
        there[...] = cp.asarray(cost)
        found = ot.linear_assignment(there)
        assert host(found.cost) == pytest.approx(ot.linear_assignment(cost).cost, rel=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", BATCHES)
@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"forbidden"}))
def test_batches(family, shape, dtype, cp, rng):
    count, n, m = shape
    costs = np.stack([FAMILIES[family](n, m, rng) for _ in range(count)]).astype(dtype)
    there, here = ot.linear_assignment(cp.asarray(costs)), ot.linear_assignment(costs)
    for name in ("rows", "cols", "u", "v", "cost", "lower", "upper", "gap"):
        assert isinstance(getattr(there, name), cp.ndarray)
        assert getattr(there, name).shape == getattr(here, name).shape
    lower, upper = there.lower.get(), there.upper.get()
    assert (lower <= here.upper).all() and (here.lower <= upper).all()
    assert (there.gap.get() <= 1e-9).all()
    rows, cols = there.rows.get(), there.cols.get()
    totals = np.take_along_axis(np.take_along_axis(costs.astype(float), rows[:, :, None], 1), cols[:, :, None], 2)
    assert np.allclose(totals.sum(axis=(1, 2)), there.cost.get(), rtol=1e-12, atol=1e-12)
    assert all(len(set(one)) == min(n, m) for one in cols)


def test_an_impossible_problem_of_a_batch_is_named(cp, rng):
    costs = rng.random((6, 30, 30))
    costs[4, :, 7] = np.inf
    with pytest.raises(ValueError, match=r"Problem 4 of the batch: .*must allow a matching"):
        ot.linear_assignment(cp.asarray(costs))


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("d", [2, 3, 5, 20])
def test_points(d, p, cp, rng):
    x, y = rng.standard_normal((1500, d)), 0.5 * rng.standard_normal((1500, d)) + 1
    there = ot.wasserstein(cp.asarray(x), cp.asarray(y), p=p)
    assert isinstance(there, cp.ndarray) and there.shape == ()
    assert float(there) == pytest.approx(ot.wasserstein(x, y, p=p), rel=1e-9)
    assert ot.solve(cp.asarray(x), cp.asarray(y), p=p).method == "device"


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("shape", [(50, 20, 2), (40, 128, 3), (3, 512, 2), (10, 64, 1), (6, 100, 20), (2, 1100, 2)])
def test_batches_of_clouds(shape, p, cp, rng):
    x, y = rng.standard_normal((2, *shape))
    there = ot.wasserstein(cp.asarray(x), cp.asarray(y), p=p)
    assert isinstance(there, cp.ndarray)
    assert there.get() == pytest.approx(ot.wasserstein(x, y, p=p), rel=1e-9)


def test_what_is_solved_on_the_host_comes_back(cp, rng):
    x, y = rng.standard_normal((2, 1200, 3))
    a = rng.random(1200)
    for options, there in (({"a": a}, {"a": cp.asarray(a)}), ({"p": np.inf}, {"p": np.inf})):
        found = ot.wasserstein(cp.asarray(x), cp.asarray(y), **there)
        assert isinstance(found, cp.ndarray)
        assert float(found) == pytest.approx(ot.wasserstein(x, y, **options), rel=1e-9)


def test_subnormal_floats_keep_their_value(cp, rng):
    """CuPy compiles with -ftz=true, under which an ordinary conversion to float64 makes them 0."""
    costs = (rng.integers(1, 2**20, (4, 30, 30)) * 2.0**-149).astype(np.float32)
    found = ot.linear_assignment(cp.asarray(costs))
    assert found.cost.get().tolist() == ot.linear_assignment(costs).cost.tolist()
    large = np.float32(1.0) * rng.integers(0, 2, (1100, 1100)).astype(np.float32)
    large[:550] *= np.float32(2.0**-140)
    agree(ot.linear_assignment(cp.asarray(large)), large)


def test_cost_matrices(cp, rng):
    cost = cdist(rng.random((1200, 2)), rng.random((1200, 2)))
    there = ot.solve_cost(cp.asarray(cost))
    assert there.method == "device" and there.gap <= 1e-9
    assert float(there.cost) == pytest.approx(ot.solve_cost(cost).cost, rel=1e-12)


def test_tensors_come_back_as_tensors_of_their_device(torch, rng):
    cost = rng.random((1100, 1100)).astype(np.float32)
    tensor = torch.as_tensor(cost, device="cuda")
    there, here = ot.linear_assignment(tensor), ot.linear_assignment(cost)
    for name in ("rows", "cols", "u", "v"):
        assert getattr(there, name).device == tensor.device
    assert there.lower <= here.upper and here.lower <= there.upper
    batch = torch.as_tensor(cost[:1000, :500].reshape(50, 100, 100), device="cuda")
    found = ot.linear_assignment(batch)
    assert found.cols.device == found.cost.device == tensor.device
    assert found.cost.cpu().numpy() == pytest.approx(ot.linear_assignment(batch.cpu().numpy()).cost, rel=1e-12)
    x = torch.randn(1200, 2, device="cuda", requires_grad=True)
    y = torch.randn(1200, 2, device="cuda")
    value = ot.wasserstein(x, y, p=2)
    value.backward()
    assert value.device == x.device and torch.isfinite(x.grad).all() and x.grad.abs().max() > 0
    assert ot.wasserstein(x.detach().cpu().numpy(), y.cpu().numpy(), p=2) == pytest.approx(value.item(), rel=1e-5)


# --- what only a device has -----------------------------------------------------------------------------------------


def test_work_waits_for_the_stream_that_made_the_costs(cp, rng):
    cost, busy = rng.random((1100, 1100)), cp.ones((4000, 4000))
    batch = np.ascontiguousarray(cost[:1000, :400]).reshape(100, 40, 100)
    device_cost, device_batch = cp.asarray(cost), cp.asarray(batch)
    cp.cuda.Device().synchronize()
    with cp.cuda.Stream(non_blocking=True) as stream:
        for source, wanted in ((device_cost, cost), (device_batch, batch)):
            late = cp.zeros_like(source)
            for _ in range(20):
                busy @ busy
            late += source  # far behind in the queue when the solver is called
            there, here = ot.linear_assignment(late), ot.linear_assignment(wanted)
            assert np.allclose(there.cost if wanted.ndim == 2 else there.cost.get(), here.cost, rtol=1e-12)
        assert cp.cuda.get_current_stream() == stream


def test_work_waits_for_the_stream_of_torch(torch, rng):
    cost = rng.random((1100, 1100))
    source, busy = torch.as_tensor(cost, device="cuda"), torch.ones(4000, 4000, device="cuda")
    torch.cuda.synchronize()
    with torch.cuda.stream(torch.cuda.Stream()):
        late = torch.zeros_like(source)
        for _ in range(20):
            busy @ busy
        late += source
        there = ot.linear_assignment(late)
        total = late[there.rows, there.cols].sum().item()  # the results are ready on this stream
    assert there.cost == pytest.approx(ot.linear_assignment(cost).cost, rel=1e-12) == pytest.approx(total, rel=1e-12)


def test_a_captured_launch_repeats(cp, rng):
    device, costs = Cuda(), rng.random((4, 30, 40))
    there = cp.asarray(costs)
    wanted = [array.get() for array in match_batch(device, there, 1.0)]
    found = []
    replay = device.graph(lambda: found.extend(match_batch(device, there, 1.0)))
    for array in found:
        array.fill(0)
    there[:] = there[::-1].copy()  # a graph reads what its arrays hold when it runs
    replay()
    device.synchronize()
    for array, right in zip(found, wanted):
        assert (array.get() == right[::-1]).all()


def test_rows_beyond_two_to_the_31_entries(cp):
    """A cheap permutation hidden in a matrix of more than 2^31 entries: each row's cheapest column is its own."""
    n = 46_400
    free, _ = cp.cuda.runtime.memGetInfo()
    if free < 4 * n * n * 1.3:
        pytest.skip(f"needs {4 * n * n * 1.3 / 2**30:.0f} GiB of GPU memory, {free / 2**30:.0f} are free")
    cost, hidden = cp.empty((n, n), cp.float32), cp.asarray(np.random.default_rng(1).permutation(n))
    draw, rows = cp.random.default_rng(0), n // 16
    for start in range(0, n, rows):
        part = 1 + draw.random((rows, n), dtype=cp.float32)
        part[cp.arange(rows), hidden[start : start + rows]] -= 1
        cost[start : start + rows] = part
    found = ot.linear_assignment(cost)
    assert (found.cols == hidden).all() and found.gap <= 1e-9


def test_a_batch_beyond_two_to_the_31_entries(cp):
    count, n = 131_200, 128
    free, _ = cp.cuda.runtime.memGetInfo()
    if free < 4 * count * n * n * 1.3:
        pytest.skip(f"needs {4 * count * n * n * 1.3 / 2**30:.0f} GiB of GPU memory, {free / 2**30:.0f} are free")
    costs, draw, some = cp.empty((count, n, n), cp.float32), cp.random.default_rng(0), count // 16
    for start in range(0, count, some):
        costs[start : start + some] = draw.random((some, n, n), dtype=cp.float32)
    found = ot.linear_assignment(costs)
    assert float(found.gap.max()) <= 1e-9
    last = costs[-3:].get()
    assert found.cost[-3:].get() == pytest.approx(ot.linear_assignment(last).cost, rel=1e-12)


def test_memory_is_given_back(cp, rng):
    cost = cp.asarray(rng.random((3000, 3000), dtype=np.float32))
    batch = cp.asarray(rng.random((500, 64, 64)))
    x, y = cp.asarray(rng.random((2000, 2))), cp.asarray(rng.random((2000, 2)))
    pool = cp.get_default_memory_pool()
    calls = (
        lambda: ot.linear_assignment(cost),
        lambda: ot.linear_assignment(batch),
        lambda: ot.wasserstein(x, y),
        lambda: ot.wasserstein(x.reshape(20, 100, 2), y.reshape(20, 100, 2)),
    )
    for call in calls:
        call()  # what the first call keeps, kernels, is no array
        gc.collect()
        before = pool.used_bytes()
        call()
        gc.collect()
        assert pool.used_bytes() == before


def test_a_matrix_is_not_copied(cp, rng):
    cost = cp.asarray(rng.random((6000, 6000), dtype=np.float32))
    pool = cp.get_default_memory_pool()
    pool.free_all_blocks()
    before = pool.total_bytes()
    ot.linear_assignment(cost)
    assert pool.total_bytes() - before < cost.nbytes / 2


def test_without_memory_it_says_so_and_keeps_none(cp, rng):
    cost = cp.asarray(rng.random((3000, 3000), dtype=np.float32))
    pool = cp.get_default_memory_pool()
    wanted = ot.linear_assignment(cost).cost
    gc.collect()
    pool.free_all_blocks()
    before = pool.used_bytes()
    pool.set_limit(size=pool.total_bytes() + 2**20)
    try:
        with pytest.raises(MemoryError):
            ot.linear_assignment(cost)
    finally:
        pool.set_limit(size=0)
    gc.collect()
    assert pool.used_bytes() == before
    assert ot.linear_assignment(cost).cost == pytest.approx(wanted, rel=1e-12)


def test_threads_work_on_streams_of_their_own(cp, rng):
    costs = [rng.random((1100, 1100), dtype=np.float32) for _ in range(4)]

    def solved(cost):
        with cp.cuda.Stream(non_blocking=True):
            return [ot.linear_assignment(cp.asarray(cost)).cost for _ in range(3)]

    with ThreadPoolExecutor(4) as threads:
        found = [*threads.map(solved, costs)]
    for cost, there in zip(costs, found):
        assert there == pytest.approx([ot.linear_assignment(cost).cost] * 3, rel=1e-12)


def test_a_second_device(cp, rng):
    if cp.cuda.runtime.getDeviceCount() < 2:
        pytest.skip("needs two GPUs")
    cost = rng.random((1100, 1100))
    batch = np.ascontiguousarray(cost[:1000, :400]).reshape(100, 40, 100)
    with cp.cuda.Device(1):
        there, many = cp.asarray(cost), cp.asarray(batch)
    assert cp.cuda.runtime.getDevice() == 0
    found, all_found = ot.linear_assignment(there), ot.linear_assignment(many)  # where the data lie
    assert found.cols.device.id == all_found.cols.device.id == 1 and cp.cuda.runtime.getDevice() == 0
    named = ot.linear_assignment(cost, device="cuda:1")
    assert isinstance(named.cols, np.ndarray)
    with cp.cuda.Device(0):
        moved = ot.linear_assignment(cp.asarray(cost), device="cuda:1")
    assert moved.cols.device.id == 0  # back with the caller's data
    for one in (found, named, moved):
        assert one.cost == pytest.approx(ot.linear_assignment(cost).cost, rel=1e-12)


def test_numbers_of_the_host_may_be_sent_to_the_device(rng):
    cost = rng.random((1100, 1100))
    found = ot.linear_assignment(cost, device="cuda")
    assert isinstance(found.cols, np.ndarray)
    assert found.cost == pytest.approx(ot.linear_assignment(cost).cost, rel=1e-12)
