"""Every CUDA kernel compiles to machine code for three generations of GPUs, within its registers."""

from __future__ import annotations

from pathlib import Path

import nvrtc
import pytest

from ot_distances import _device

pytestmark = pytest.mark.skipif(nvrtc.library() is None, reason="needs nvidia-cuda-nvrtc")

SOURCES = sorted(path.stem for path in (Path(_device.__file__).parent / "kernels").glob("*.cu"))
ARCHITECTURES = ["sm_80", "sm_90", "sm_120"]  # A100; H100 and H200; GeForce RTX 50
STATIC_SHARED = 48 * 1024
OPTIONS = (*_device.OPTIONS, "-ftz=true")  # as CuPy compiles


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("source", SOURCES)
def test_kernels_compile_without_spilling(source, architecture):
    text = _device.code(source)
    limits = _device.instantiations(text)
    assert limits, "the head names no kernel"
    for name, found in nvrtc.compiled(text, list(limits), architecture, OPTIONS).items():
        assert found.spilled == 0, f"{name} spills {found.spilled} bytes for {architecture}"
        assert found.registers <= limits[name], f"{name} takes {found.registers} registers for {architecture}"
        assert found.shared <= STATIC_SHARED


@pytest.mark.parametrize(
    ("kernel", "costs", "prices", "loads"),
    [
        ("refresh_rows<Matrix<float>, float>", "v4.f32", "v4.f32", 8),
        ("refresh_rows<Matrix<float>, double>", "v4.f32", "v2.f64", 4),
        ("refresh_rows<Matrix<double>, double>", "v2.f64", "v2.f64", 8),
        ("row_minima<Matrix<float>>", "v4.f32", "v2.f64", 4),
        ("row_minima<Matrix<double>>", "v2.f64", "v2.f64", 8),
    ],
)
def test_a_thread_has_many_loads_on_the_way(kernel, costs, prices, loads):
    """One after the other they would take the time of as many ways to the memory."""
    text = _device.code("candidate_lists")
    found = {kind: nvrtc.loads_at_once(text, kernel, f"ld.global.{kind}", OPTIONS) for kind in (costs, prices)}
    assert found[prices] == loads and found[costs] >= loads / 2


def test_loads_that_branches_part_are_told_apart():
    text = """template <bool OPEN> __global__ void f(const float* in, float* out, int n) {
        float least = 1;
        #pragma unroll
        for (int s = 0; s < 4; s++)
            if (OPEN || threadIdx.x + s * blockDim.x < n) least = fminf(least, in[threadIdx.x + s * blockDim.x]) / 3;
        out[threadIdx.x] = least;
    }"""
    assert [nvrtc.loads_at_once(text, f"f<{way}>", "ld.global.f32", OPTIONS) for way in ("false", "true")] == [1, 4]


def test_faults_in_a_kernel_are_reported():
    with pytest.raises(SyntaxError, match="no_such_name"):
        nvrtc.compiled("__global__ void f() { no_such_name(); }", ["f"], "sm_90", OPTIONS)
    with pytest.raises(SyntaxError, match="g"):
        nvrtc.compiled("__global__ void f() {}", ["g"], "sm_90", OPTIONS)


def test_spills_are_seen():
    """A thread of 1,024 in a block has 64 registers; 48 numbers of eight bytes do not fit."""
    text = """__global__ void __launch_bounds__(1024) f(const volatile double* in, double* out) {
        double x[48];
        #pragma unroll
        for (int k = 0; k < 48; k++) x[k] = in[k * 1024 + threadIdx.x];
        __syncthreads();
        #pragma unroll
        for (int k = 0; k < 48; k++) out[k * 1024 + threadIdx.x] = x[k] * x[(5 * k + 7) % 48] + x[(7 * k + 11) % 48];
    }"""
    (found,) = nvrtc.compiled(text, ["f"], "sm_90", OPTIONS).values()
    assert found.spilled > 0 and found.registers <= 64
