"""The launcher of CUDA kernels: what it says where there is no GPU, and what it asks of CuPy where there is one."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ot_distances import _device

ROOT = Path(__file__).parents[1]
KERNELS = sorted((ROOT / "ot_distances/kernels").glob("*.cu"))


HEAD = "// instantiate: a<float>, a<int, b<2>>, b; registers: 40\n// instantiate: c; registers: 32\n"


class FakeFunction:
    shared_size_bytes = 1024

    def __init__(self, name, log):
        self.name, self.log = name, log

    def __call__(self, grid, block, args, shared_mem):
        self.log.append((self.name, grid, block, args, shared_mem))


class FakeGraph:
    def __init__(self, log, calls):
        self.log, self.calls = log, calls

    def launch(self):
        self.log.extend(self.calls)


class FakeStream:
    """Records instead of running, as a stream under capture does."""

    def __init__(self, log):
        self.log = log

    def __enter__(self):
        return self

    def __exit__(self, *args):
        pass

    def begin_capture(self):
        self.log.append("capture")

    def end_capture(self):
        start = self.log.index("capture")
        calls = [call[:3] for call in self.log[start + 1 :]]  # but for the arguments: a graph keeps none alive
        del self.log[start:]
        return FakeGraph(self.log, calls)


@pytest.fixture
def cupy(monkeypatch):
    """A stand-in for CuPy that writes down what it is asked for."""
    log, modules, functions = [], [], []

    def raw_module(code, options, name_expressions):
        modules.append((options, name_expressions))

        def get_function(name):
            functions.append(FakeFunction(name, log))
            return functions[-1]

        return SimpleNamespace(get_function=get_function)

    runtime = SimpleNamespace(
        getDeviceCount=lambda: 1,
        getDevice=lambda: 0,
        deviceGetAttribute=lambda attribute, device: {16: 132, 97: 232448}[attribute],
        cudaDevAttrMultiProcessorCount=16,
        cudaDevAttrMaxSharedMemoryPerBlockOptin=97,
        runtimeGetVersion=lambda: 13020,
    )
    cuda = SimpleNamespace(runtime=runtime, Stream=lambda non_blocking: FakeStream(log))
    fake = SimpleNamespace(
        __version__="14.2.0", cuda=cuda, RawModule=raw_module, log=log, modules=modules, functions=functions
    )
    monkeypatch.setitem(sys.modules, "cupy", fake)
    monkeypatch.setattr(_device, "code", lambda source: HEAD)
    _device._module.cache_clear()
    _device._function.cache_clear()
    yield fake
    _device._module.cache_clear()
    _device._function.cache_clear()


def test_a_missing_cupy_is_named_with_its_cure(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(ImportError, match=r"the GPU needs the package 'cupy': pip install 'ot_distances\[gpu\]'"):
        _device.Cuda()


@pytest.mark.parametrize("reason", ["cudaErrorInsufficientDriver: CUDA driver version", "cudaErrorNoDevice: no device"])
def test_a_missing_device_is_named_with_its_cure(cupy, reason):
    def fail():
        raise RuntimeError(reason)

    cupy.cuda.runtime.getDeviceCount = fail
    with pytest.raises(RuntimeError, match=f"the GPU cannot be used: {reason}.*a driver for CUDA 13.2; with an older"):
        _device.Cuda()


def test_a_missing_compiler_is_named_with_its_cure(cupy):
    def fail(**options):
        raise RuntimeError("CuPy failed to load libnvrtc.so.13")

    cupy.RawModule = fail
    with pytest.raises(RuntimeError, match=r"libnvrtc.so.13. NVRTC comes with: pip install 'ot_distances\[gpu\]'"):
        _device.Cuda().launch("any", "b", 1, 32, ())


def test_kernels_of_one_line_are_compiled_together_and_once(cupy):
    device = _device.Cuda()
    assert (device.multiprocessors, device.shared_memory) == (132, 232448)
    for kernel in ("a<float>", "b", "a<float>"):
        device.launch("any", kernel, 3, 64, (np.int32(1),), shared=512)
    assert cupy.modules == [(("--std=c++17",), ("a<float>", "a<int, b<2>>", "b"))]
    device.launch("any", "c", 3, 64, (np.int32(1),), shared=512)
    assert cupy.modules[1:] == [(("--std=c++17",), ("c",))]
    assert cupy.log == [(name, (3,), (64,), (1,), 512) for name in ("a<float>", "b", "a<float>", "c")]
    assert [function.max_dynamic_shared_size_bytes for function in cupy.functions] == [232448 - 1024] * 3


def test_a_graph_repeats_its_launches_and_nothing_else(cupy):
    device = _device.Cuda()

    def steps():
        device.launch("any", "a<float>", 1, 32, ("x",))
        device.launch("any", "b", 2, 32, ("y",))

    replay = device.graph(steps)
    assert cupy.log == []  # captured, not run
    replay()
    replay()
    assert [entry[0] for entry in cupy.log] == ["a<float>", "b"] * 2
    device.launch("any", "b", 1, 32, ())
    assert len(cupy.log) == 5  # no longer recording


def test_a_graph_keeps_the_arrays_that_it_was_captured_with(cupy):
    """It knows their addresses only; and lets go of them with itself."""
    device = _device.Cuda()

    def captured():
        array = np.zeros(3)
        return device.graph(lambda: device.launch("any", "b", 1, 32, (array,))), weakref.ref(array)

    replay, array = captured()
    gc.collect()
    assert array() is not None
    del replay
    gc.collect()
    assert array() is None


def test_a_failing_graph_leaves_the_device_usable(cupy):
    device = _device.Cuda()
    with pytest.raises(ZeroDivisionError):
        device.graph(lambda: 1 / 0)
    device.launch("any", "b", 1, 32, ())
    assert len(cupy.log) == 1


def test_heads_are_read():
    assert _device.groups(HEAD) == [(("a<float>", "a<int, b<2>>", "b"), 40), (("c",), 32)]
    assert _device.instantiations(HEAD) == {"a<float>": 40, "a<int, b<2>>": 40, "b": 40, "c": 32}


def test_every_cuda_file_ships_and_can_be_read():
    """What setuptools would put into the wheel."""
    script = (
        "from setuptools import Distribution\n"
        "dist = Distribution()\ndist.parse_config_files(['setup.cfg'])\n"
        "build = dist.get_command_obj('build_py')\nbuild.ensure_finalized()\n"
        "print(*[name for row in build.data_files for name in row[3]])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert {path.name for path in KERNELS} == {Path(name).name for name in run.stdout.split() if name.endswith(".cu")}
    for path in KERNELS:
        assert _device.instantiations(_device.code(path.stem)), f"{path.name} names no kernel in its head"
