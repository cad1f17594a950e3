"""Kernels in CUDA C++ on the caller's device and stream, through CuPy.

What launches is a *backend*: `xp`, `launch`, `graph`, `synchronize`, and the two sizes that a launch is made for. The
solvers know no more of a device than that, so the tests run them on one without a GPU.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from importlib import resources
from types import ModuleType
from typing import Any, Protocol

from ._arrays import EXTRAS, require

# The head of a .cu file names what is compiled from it, a line at a time, and the registers that a thread may take:
# // instantiate: first<float>, second<float>; registers: 40
INSTANTIATE = re.compile(r"^// instantiate: (.+); registers: (\d+)$", re.MULTILINE)

OPTIONS = ("--std=c++17",)

# Dynamic shared memory beyond this has to be asked for.
PLAIN_SHARED = 48 * 1024


class Backend(Protocol):
    """What runs kernels: a device, or the tests' stand-in for one."""

    xp: Any
    multiprocessors: int
    shared_memory: int  # bytes that one block may have

    def launch(self, source: str, kernel: str, grid: int, block: int, args: tuple[Any, ...], shared: int = 0) -> None:
        """Start kernels/<source>.cu's `kernel`, a name from its head, on the current stream.

        Arguments are arrays of `xp`, C-ordered, and numpy scalars of the very types of the parameters.
        """

    def graph(self, steps: Callable[[], None]) -> Callable[[], None]:
        """The launches that `steps` makes, and only these, as one: each call of the result repeats them all."""

    def synchronize(self) -> None:
        """Wait until the current stream is idle."""


class Cuda:
    """The current device and stream of CuPy, at every call."""

    def __init__(self) -> None:
        self.xp = _cupy()
        runtime = self.xp.cuda.runtime
        device = runtime.getDevice()
        self.multiprocessors = int(runtime.deviceGetAttribute(runtime.cudaDevAttrMultiProcessorCount, device))
        self.shared_memory = int(runtime.deviceGetAttribute(runtime.cudaDevAttrMaxSharedMemoryPerBlockOptin, device))
        self._recorded: list[Callable[[], None]] | None = None

    def launch(self, source: str, kernel: str, grid: int, block: int, args: tuple[Any, ...], shared: int = 0) -> None:
        function = _function(source, kernel, self.xp.cuda.runtime.getDevice())

        def start() -> None:
            function((grid,), (block,), args, shared_mem=shared)

        if self._recorded is None:
            start()
        else:
            self._recorded.append(start)

    def graph(self, steps: Callable[[], None]) -> Callable[[], None]:
        self._recorded = []
        try:
            steps()  # loads the kernels: nothing may be loaded while a stream is captured
            starts = self._recorded
        finally:
            self._recorded = None
        stream = self.xp.cuda.Stream(non_blocking=True)
        with stream:
            stream.begin_capture()
            try:
                for start in starts:
                    start()
            finally:
                captured = stream.end_capture()

        def replay(_arrays: Any = starts) -> None:  # a graph knows addresses; the arrays live as long as it does
            captured.launch()

        return replay

    def synchronize(self) -> None:
        self.xp.cuda.get_current_stream().synchronize()


def code(source: str) -> str:
    """The text of kernels/<source>.cu."""
    return (resources.files(__package__) / "kernels" / f"{source}.cu").read_text("utf-8")


def instantiations(text: str) -> dict[str, int]:
    """The kernels that the head of a .cu file names, and the registers that each may take."""
    return {name: limit for group, limit in groups(text) for name in group}


def groups(text: str) -> list[tuple[tuple[str, ...], int]]:
    """The same by lines: what is compiled together, when the first of them is used."""
    return [(_split(names), int(limit)) for names, limit in INSTANTIATE.findall(text)]


def _split(names: str) -> tuple[str, ...]:
    """At the commas between kernels, not at those between template arguments."""
    depth, marked = 0, ""
    for letter in names:
        depth += (letter == "<") - (letter == ">")
        marked += "\n" if letter == "," and depth == 0 else letter
    return tuple(name.strip() for name in marked.split("\n"))


def _cupy() -> ModuleType:
    """CuPy, with at least one device behind it."""
    cupy = require("cupy", "the GPU")
    try:
        cupy.cuda.runtime.getDeviceCount()
    except RuntimeError as error:  # what a driver that is missing or too old, or no device, all raise
        raise RuntimeError(
            f"the GPU cannot be used: {error}. CuPy {cupy.__version__} needs an NVIDIA device and a driver for CUDA "
            f"{_version(cupy.cuda.runtime.runtimeGetVersion())}; with an older driver, install the CuPy made for it "
            "(for CUDA 12: pip install 'cupy-cuda12x[ctk]')."
        ) from error
    return cupy


def _version(number: int) -> str:
    """13020 -> 13.2"""
    return f"{number // 1000}.{number % 1000 // 10}"


@cache
def _module(source: str, group: tuple[str, ...]) -> Any:
    return require("cupy", "the GPU").RawModule(code=code(source), options=OPTIONS, name_expressions=group)


@cache
def _function(source: str, kernel: str, device: int) -> Any:
    """The kernel, compiled at its first use on a kind of device (CuPy keeps the result on disk), and loaded."""
    cupy = require("cupy", "the GPU")
    (group,) = (names for names, _ in groups(code(source)) if kernel in names)
    try:
        function = _module(source, group).get_function(kernel)
        static = function.shared_size_bytes
    except RuntimeError as error:  # a fault in the source is none of these
        raise RuntimeError(
            f"the GPU's kernels could not be compiled or loaded: {error}. NVRTC comes with: pip install "
            f"'{EXTRAS['cupy']}'"
        ) from error
    runtime = cupy.cuda.runtime
    most = runtime.deviceGetAttribute(runtime.cudaDevAttrMaxSharedMemoryPerBlockOptin, device)
    if most > PLAIN_SHARED:
        function.max_dynamic_shared_size_bytes = most - static
    return function
