"""A backend without a GPU: the .cu files run on the CPU, a fiber a thread, under schedules that look for trouble.

The same contract as `ot_distances._device.Cuda`, with numpy in the place of cupy. It is stricter than a device: types
of arguments, launches beyond a device's limits, misaligned access, writes outside an array and barriers that not all
threads reach are errors; and what nobody wrote is no number.
"""

from __future__ import annotations

import ctypes
import hashlib
import itertools
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ot_distances import _device

SCHEDULES = {"round robin": 0, "forward": 1, "backward": 2, "adversarial": 3}
SHIM = Path(__file__).with_name("cuda_shim.h")
CACHE = Path(__file__).parents[1] / ".pytest_cache" / "fibers"
FLAGS = ["-std=c++20", "-O2", "-w", "-shared", "-fPIC", "-ffp-contract=off", "-frounding-math", "-U_FORTIFY_SOURCE"]
FLAGS += ["-fsanitize=alignment"]
BARRIER = re.compile(r"(?:\w+\.)?\b(?:sync|__syncthreads|__syncwarp)\([^()]*\);")
GUARD = 256  # bytes around each array
MOST_BLOCKS, MOST_THREADS, REGISTERS = 2**31 - 1, 1024, 2**16  # of a grid, of a block, of a block

COMPILER = shutil.which("g++")

# What a test of both kinds of devices is run with: the one needs no compiler, the other no GPU.
DEVICES = [
    pytest.param("fibers", marks=pytest.mark.skipif(COMPILER is None, reason="needs g++")),
    pytest.param("cuda", marks=pytest.mark.gpu),
]


class Fault(RuntimeError):
    """A kernel did what no kernel may do."""


class How(ctypes.Structure):
    _fields_ = (
        ("grid", ctypes.c_uint),
        ("block", ctypes.c_uint),
        ("shared", ctypes.c_size_t),
        ("schedule", ctypes.c_int),
        ("seed", ctypes.c_uint64),
        ("patience", ctypes.c_int64),
        ("dropped", ctypes.c_int),
    )


class Numbers:
    """Numpy, but for memory that was not written: there it holds whatever leads astray."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    @staticmethod
    def empty(shape: Any, dtype: Any = np.float64) -> np.ndarray:
        return np.full(shape, np.nan if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max // 2, dtype)


class Fibers:
    """Kernels on the CPU; `dropped` is the (source, line) of a barrier that is left out.

    A launch of more than `patience` switches between threads counts as endless.
    """

    xp = Numbers()
    multiprocessors = 2
    shared_memory = 227 * 1024

    patience = 100_000_000

    def __init__(self, schedule: str = "adversarial", seed: int = 1, dropped: tuple[str, int] = ("", 0)) -> None:
        self.schedule = SCHEDULES[schedule]
        self.seeds = itertools.count(1000 * seed)
        self.dropped = dropped
        self._recorded: list[tuple[Any, ...]] | None = None

    def launch(self, source: str, kernel: str, grid: int, block: int, args: tuple[Any, ...], shared: int = 0) -> None:
        if self._recorded is not None:
            return self._recorded.append((source, kernel, grid, block, args, shared))
        run, types, registers = _kernel(source, kernel)
        if not (0 < grid <= MOST_BLOCKS and 0 < block <= min(MOST_THREADS, REGISTERS // registers)):
            raise Fault(f"{kernel} cannot be launched with {grid} blocks of {block} threads of {registers} registers")
        if len(args) != len(types):
            raise Fault(f"{kernel} takes {len(types)} arguments, not {len(args)}")
        guarded = _Guarded()
        values = [_value(kernel, k, arg, kind, guarded) for k, (arg, kind) in enumerate(zip(args, types))]
        pointers = (ctypes.c_void_p * len(values))(*[value.ctypes.data for value in values])
        dropped = self.dropped[1] if self.dropped[0] == source else 0
        how = How(int(grid), int(block), shared, self.schedule, next(self.seeds), self.patience, dropped)
        if fault := run(ctypes.byref(how), pointers).decode():
            raise Fault(f"{kernel}: {fault}")
        guarded.give_back(kernel)

    def graph(self, steps: Callable[[], None]) -> Callable[[], None]:
        """As on a device: the arrays and numbers are those of now."""
        self._recorded = []
        try:
            steps()
            launches = self._recorded
        finally:
            self._recorded = None

        def replay() -> None:
            for launch in launches:
                Fibers.launch(self, *launch)

        return replay

    def synchronize(self) -> None:
        pass


class _Guarded:
    """Copies of arrays with a margin on both sides; views of one array stay views of one."""

    def __init__(self) -> None:
        self.copies: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def address(self, array: np.ndarray) -> int:
        root = array
        while isinstance(root.base, np.ndarray):
            root = root.base
        if not root.flags.c_contiguous:
            root = array
        if id(root) not in self.copies:
            copy = np.full(root.nbytes + 2 * GUARD, 0xFE, np.uint8)
            copy[GUARD : GUARD + root.nbytes] = root.reshape(-1).view(np.uint8)
            self.copies[id(root)] = root, copy
        return self.copies[id(root)][1].ctypes.data + GUARD + array.ctypes.data - root.ctypes.data

    def give_back(self, kernel: str) -> None:
        for root, copy in self.copies.values():
            if (copy[:GUARD] != 0xFE).any() or (copy[GUARD + root.nbytes :] != 0xFE).any():
                raise Fault(f"{kernel}: a write outside an array of shape {root.shape}")
            after = copy[GUARD : GUARD + root.nbytes]
            if root.flags.writeable:
                root.reshape(-1).view(np.uint8)[:] = after
            elif (after != root.reshape(-1).view(np.uint8)).any():
                raise Fault(f"{kernel}: a write to a read-only array")


def _value(kernel: str, k: int, arg: Any, kind: str, guarded: _Guarded) -> np.ndarray:
    """The argument as C++ gets it, a number or an address."""
    where = f"argument {k} of {kernel}"
    if kind.startswith("*"):
        if not isinstance(arg, np.ndarray) or not arg.flags.c_contiguous:
            raise Fault(f"{where} must be a C-ordered array, but is {type(arg).__name__}")
        _same_type(where, arg.dtype, kind[1:])
        return np.array(guarded.address(arg), np.uint64)
    if not isinstance(arg, np.generic):
        raise Fault(f"{where} must be a numpy scalar, but is {type(arg).__name__}")
    _same_type(where, arg.dtype, kind)
    return np.array(arg)


def _same_type(where: str, dtype: np.dtype, kind: str) -> None:
    found = ("f" if dtype.kind == "f" else "i") + str(dtype.itemsize)
    if found != kind:
        raise Fault(f"{where} is {dtype}, but the kernel wants {kind}")


def barriers(source: str) -> list[int]:
    """The lines of kernels/<source>.cu on which a barrier stands, or a call of a function `sync` that is one."""
    return [k for k, line in enumerate(_device.code(source).splitlines(), 1) if BARRIER.search(line)]


@cache
def _kernel(source: str, kernel: str) -> tuple[Any, list[str], int]:
    """The compiled kernel, the types of its parameters, and the registers that a thread may take."""
    limits = _device.instantiations(_device.code(source))
    names = list(limits)
    if kernel not in names:
        raise Fault(f"{kernel} is not named in the head of {source}.cu")
    library, number = _library(source), names.index(kernel)
    run, signature = getattr(library, f"launch_{number}"), getattr(library, f"signature_{number}")
    run.restype = signature.restype = ctypes.c_char_p
    return run, signature().decode().split(), limits[kernel]


@cache
def _library(source: str) -> ctypes.CDLL:
    """The file compiled for the CPU; kept until it or the shim changes."""
    program = _program(source)
    key = hashlib.sha256("".join((program, SHIM.read_text(), *FLAGS)).encode()).hexdigest()[:16]
    library = CACHE / f"{source}-{key}.so"
    if not library.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        half = library.with_suffix(f".{os.getpid()}")
        command = [COMPILER or "g++", *FLAGS, f"-I{SHIM.parent}", "-x", "c++", "-", "-o", str(half)]
        built = subprocess.run(command, input=program, capture_output=True, text=True)
        if built.returncode:
            raise Fault(f"{source}.cu does not compile for the CPU:\n{built.stderr}")
        half.replace(library)
    return ctypes.CDLL(str(library))


def _program(source: str) -> str:
    text = _device.code(source)
    # Dynamic shared memory: C++ has no such array.
    body = re.sub(r"extern __shared__ (.+?) (\w+)\[\];", r"\1* const \2 = (\1*)shim::dynamic;", text)
    # The first thing that such a kernel does, since C++ has no such attribute either.
    body = re.sub(r"__launch_bounds__\((.+), .+\)(\s+\w+\([^{]*\{)", r"\2 shim::bounded(\1);", body)
    lines = enumerate(body.splitlines(), 1)
    body = "\n".join(BARRIER.sub(rf"{{ if (shim::kept({k})) \g<0> }}", line) for k, line in lines)
    table = "".join(
        f'extern "C" const char* launch_{k}(const shim::Launch* how, void** args) '
        f"{{ return shim::Kernel<&{name}>::launch(how, args); }}\n"
        f'extern "C" const char* signature_{k}() {{ return shim::Kernel<&{name}>::signature(); }}\n'
        for k, name in enumerate(_device.instantiations(text))
    )
    return f'#include "cuda_shim.h"\nnamespace {{\n#line 1 "{source}.cu"\n{body}\n}}\n#line 1 "table"\n{table}'
