"""The stand-in for a GPU itself: it runs what CUDA runs, and reports what CUDA forbids."""

from __future__ import annotations

import platform

import numpy as np
import pytest
from fibers import COMPILER, SCHEDULES, Fault, Fibers, barriers

from ot_distances import _device

pytestmark = pytest.mark.skipif(COMPILER is None, reason="needs g++")

SOURCE = r"""
// instantiate: total<float>, total<double>, maximum; registers: 32
// instantiate: own<int>, lanes, claim, diverge, stray, beyond, forever, mixed; registers: 32
// instantiate: quarter, halve, bound<2>; registers: 128
template <class T>
__global__ void total(const T* values, int n, double* out) {
    extern __shared__ double part[];
    double mine = 0;
    for (int k = threadIdx.x; k < n; k += blockDim.x) mine += values[k];
    part[threadIdx.x] = mine;
    __syncthreads();
    for (int half = blockDim.x / 2; half; half /= 2) {
        if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0) out[blockIdx.x] = part[0];
}
extern "C" __global__ void maximum(const int* values, int n, int* out) {
    __shared__ int best;
    if (threadIdx.x == 0) best = -1;
    __syncthreads();
    for (int k = blockIdx.x * blockDim.x + threadIdx.x; k < n; k += gridDim.x * blockDim.x) atomicMax(&best, values[k]);
    __syncthreads();
    if (threadIdx.x == 0) atomicMax(out, best);
}
template <class T>
__global__ void own(T* out) {
    __shared__ T of_block;
    if (threadIdx.x == 0) of_block = blockIdx.x;
    __syncthreads();
    out[blockIdx.x * blockDim.x + threadIdx.x] = of_block;
}
extern "C" __global__ void lanes(const float* values, unsigned* ballot, float* least, float* next, int* shared_out) {
    __shared__ int box[64];
    int t = threadIdx.x;
    float x = values[t];
    unsigned bits = __ballot_sync(~0u, x > 0.5f);
    for (int s = 16; s; s >>= 1) x = fminf(x, __shfl_xor_sync(~0u, x, s));
    next[t] = __shfl_down_sync(~0u, values[t], 1);
    box[t] = t;
    __syncwarp();
    shared_out[t] = box[t ^ 1];
    if ((t & 31) == 0) ballot[t / 32] = bits, least[t / 32] = __shfl_sync(1u, x, 0);
}
extern "C" __global__ void claim(int* counter, int* place) {
    place[atomicAdd(counter, 1)] = blockIdx.x * blockDim.x + threadIdx.x;
}
extern "C" __global__ void diverge(int* out) { if (threadIdx.x < 7) __syncthreads(); else out[0] = 1; }
extern "C" __global__ void mixed(int* out) {
    if (threadIdx.x < 16) __shfl_sync(~0u, 1, 0);
    else __shfl_sync(~0u, 2, 0);
}
extern "C" __global__ void stray(int* out, int n) { out[n + threadIdx.x] = 1; }
extern "C" __global__ void beyond(int* out) { extern __shared__ int sm[]; sm[blockDim.x + threadIdx.x] = 1; }
struct alignas(16) Four { int of[4]; };
extern "C" __global__ void quarter(const int* from, int* out) { *(Four*)out = *(const Four*)from; }
extern "C" __global__ void halve(const float* from, double* out) { out[threadIdx.x] = from[threadIdx.x] / 2; }
template <int WARPS>
__global__ void __launch_bounds__(WARPS == 1 ? 128 : 32 * WARPS, 2)
    bound(int* out) { out[0] = 1; }
extern "C" __global__ void forever(int* flag) { while (atomicAdd(flag, 0) == 0) __syncwarp(); }
"""


@pytest.fixture(params=SCHEDULES)
def fibers(request, monkeypatch):
    monkeypatch.setattr(_device, "code", lambda source: SOURCE)
    return Fibers(request.param)


def int32(*values):
    return tuple(np.int32(value) for value in values)


def test_the_shared_memory_of_a_template_is_that_of_its_block(fibers):
    out = np.zeros((40, 64), np.int32)
    fibers.launch("sample", "own<int>", 40, 64, (out,))
    assert (out == np.arange(40)[:, None]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("block", [1, 32, 64, 128])
def test_a_reduction_in_shared_memory(fibers, dtype, block, rng):
    values, out = rng.integers(0, 9, 300).astype(dtype), np.zeros(2)
    name = "total<float>" if dtype == "float32" else "total<double>"
    fibers.launch("itself", name, 2, block, (values, np.int32(300), out), shared=8 * block)
    assert (out == values.sum()).all()


def test_warps_vote_and_hand_over(fibers, rng):
    values = rng.random(64).astype(np.float32)
    ballot, least = np.zeros(2, np.uint32), np.zeros(2, np.float32)
    following, box = np.zeros(64, np.float32), np.zeros(64, np.int32)
    fibers.launch("itself", "lanes", 1, 64, (values, ballot, least, following, box))
    for w in (0, 1):
        warp = values[32 * w : 32 * w + 32]
        assert ballot[w] == sum(1 << k for k in range(32) if warp[k] > 0.5)
        assert least[w] == warp.min()
        assert (following[32 * w : 32 * w + 31] == warp[1:]).all()
    assert (box == np.arange(64) ^ 1).all()


def test_atomic_operations_lose_nothing(fibers, rng):
    counter, place = np.zeros(1, np.int32), np.full(96, -1, np.int32)
    fibers.launch("itself", "claim", 3, 32, (counter, place))
    assert counter[0] == 96 and sorted(place) == list(range(96))
    values, best = rng.integers(0, 10**6, 1000).astype(np.int32), np.full(1, -1, np.int32)
    fibers.launch("itself", "maximum", 5, 64, (values, np.int32(1000), best))
    assert best[0] == values.max()


def test_adversaries_take_threads_in_many_orders(monkeypatch):
    monkeypatch.setattr(_device, "code", lambda source: SOURCE)
    orders = set()
    for seed in range(5):
        place = np.empty(64, np.int32)
        Fibers("adversarial", seed).launch("itself", "claim", 1, 64, (np.zeros(1, np.int32), place))
        orders.add(place.tobytes())
    assert len(orders) == 5


@pytest.mark.parametrize("line", [11, 14, 21, 23])
def test_a_missing_barrier_is_noticed(line, monkeypatch, rng):
    """The barriers of the two kernels above, each left out in turn."""
    monkeypatch.setattr(_device, "code", lambda source: SOURCE)
    assert line in barriers("itself")
    values = rng.permutation(2000).astype(np.int32)

    def right(schedule, seed):
        fibers = Fibers(schedule, seed, dropped=("itself", line))
        out, best = np.zeros(1), np.full(1, -1, np.int32)
        fibers.launch("itself", "total<float>", 1, 128, (values.astype(np.float32), np.int32(2000), out), shared=1024)
        fibers.launch("itself", "maximum", 1, 128, (values, np.int32(2000), best))
        return out[0] == values.sum() and best[0] == 1999

    assert not all(right(schedule, seed) for schedule in SCHEDULES for seed in range(4))


@pytest.mark.parametrize(
    ("kernel", "args", "shared", "text"),
    [
        ("diverge", (np.zeros(1, np.int32),), 0, "divergent barrier"),
        ("mixed", (np.zeros(1, np.int32),), 0, "divergent barrier"),
        ("stray", (np.zeros(4, np.int32), np.int32(4)), 0, "outside an array of shape"),
        ("forever", (np.zeros(1, np.int32),), 0, "no end"),
        ("beyond", (np.zeros(4, np.int32),), 4 * 32, "beyond the dynamic shared memory"),
        ("quarter", (np.zeros(5, np.int32)[1:], np.zeros(4, np.int32)), 0, "misaligned access on line 56"),
        ("claim", (np.zeros(1, np.int32), np.zeros(32, np.int32)), 228 * 1024, "more shared memory than a block has"),
        ("total<float>", (np.zeros(4), np.int32(4), np.zeros(1)), 256, "argument 0 of total<float> is float64"),
        ("stray", (np.zeros(4, np.int32), 4), 0, "must be a numpy scalar"),
        ("stray", (np.zeros((4, 4), np.int32)[:, 0], np.int32(0)), 0, "must be a C-ordered array"),
        ("stray", (np.zeros(4, np.int32),), 0, "takes 2 arguments, not 1"),
        ("other", (), 0, "not named in the head"),
    ],
)
def test_faults_are_reported(fibers, kernel, args, shared, text):
    fibers.patience = 10_000
    with pytest.raises(Fault, match=text):
        fibers.launch("itself", kernel, 1, 32, args, shared=shared)


@pytest.mark.parametrize(("grid", "block"), [(0, 32), (2**31, 32), (1, 0), (1, 1056), (1, 544)])
def test_a_launch_beyond_the_limits_of_a_device_is_a_fault(fibers, grid, block):
    with pytest.raises(Fault, match=f"halve cannot be launched with {grid} blocks of {block} threads of 128 registers"):
        fibers.launch("itself", "halve", grid, block, (np.zeros(2048, np.float32), np.zeros(2048)))


def test_the_bounds_of_a_kernel_hold(fibers):
    out = np.zeros(1, np.int32)
    fibers.launch("itself", "bound<2>", 1, 64, (out,))
    assert out == 1
    with pytest.raises(Fault, match=r"bound<2>: more threads in a block than 64"):
        fibers.launch("itself", "bound<2>", 1, 96, (out,))


@pytest.mark.skipif(platform.machine() != "x86_64", reason="other processors flush in other ways")
def test_subnormal_floats_are_taken_for_0(fibers):
    """As with -ftz=true, which CuPy compiles with."""
    given, out = np.array([1.0, 2.0**-126, 2.0**-127, 2.0**-149], np.float32), fibers.xp.empty(4)
    fibers.launch("itself", "halve", 1, 4, (given, out))
    assert out.tolist() == [0.5, 0, 0, 0]
    assert given[2] / 2 == 2.0**-128  # here they are numbers


def test_what_was_not_written_is_no_number(fibers):
    assert np.isnan(fibers.xp.empty((2, 3), np.float32)).all()
    assert fibers.xp.empty(2, np.int32).tolist() == [2**30 - 1] * 2


def test_a_graph_repeats_its_launches_with_the_arguments_of_then(fibers):
    counter, place = np.zeros(1, np.int32), np.zeros(64, np.int32)
    steps = []

    def claim():
        steps.append(1)
        fibers.launch("itself", "claim", 1, 16, (counter, place))

    replay = fibers.graph(claim)
    assert counter[0] == 0 and len(steps) == 1
    first, counter = counter, np.zeros(1, np.int32)
    replay(), replay()
    assert (first[0], counter[0], len(steps)) == (32, 0, 1)
    fibers.launch("itself", "claim", 1, 16, (counter, place))
    assert counter[0] == 16


def test_views_of_one_array_stay_one(fibers):
    whole = np.zeros(8, np.int32)
    fibers.launch("itself", "claim", 1, 4, (whole[:1], whole[4:]))
    assert whole[0] == 4 and sorted(whole[4:]) == [0, 1, 2, 3]
