"""NVIDIA's compiler as a library (PyPI's nvidia-cuda-nvrtc): machine code for any GPU, without one."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, files

PACKAGE = "nvidia-cuda-nvrtc"


@dataclass(frozen=True)
class Compiled:
    """What ptxas says of one kernel."""

    registers: int
    spilled: int  # bytes
    stack: int  # bytes
    shared: int  # bytes, static


@cache
def library() -> ctypes.CDLL | None:
    try:
        found = [file for file in files(PACKAGE) or () if re.fullmatch(r"libnvrtc\.so\.\d+", file.name)]
    except PackageNotFoundError:
        return None
    return ctypes.CDLL(str(found[0].locate())) if found else None


def version() -> tuple[int, int]:
    major, minor = ctypes.c_int(), ctypes.c_int()
    library().nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    return major.value, minor.value


def compiled(text: str, names: list[str], architecture: str, options: tuple[str, ...]) -> dict[str, Compiled]:
    """Compile the kernels to a cubin, and read the report on each.

    Raises
    ------
    SyntaxError
        The compiler's log.
    """
    nvrtc, size = library(), ctypes.c_size_t()
    with _program(text, names, (*options, f"-arch={architecture}", "--ptxas-options=-v")) as (program, log):
        if nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size)) or not size.value:
            raise SyntaxError(log)
        return {name: _report(log, _lowered(nvrtc, program, name)) for name in names}


def loads_at_once(text: str, name: str, kind: str, options: tuple[str, ...]) -> int:
    """The most loads of a kind (ld.global.v4.f32) of a kernel that no branch, barrier or store stands between."""
    with _program(text, [name], (*options, "-arch=compute_80")) as (program, _):
        ptx = _text(library().nvrtcGetPTX, library().nvrtcGetPTXSize, program)
        body = ptx[ptx.index(f"{_lowered(library(), program, name)}(") :]
    runs = re.split(r"\n\s*(?:@\S+\s+)?(?:bra|bar|st|shfl|atom|ret|\$L)\b.*|\n\$L\S*:", body)
    return max(len(re.findall(rf"\b{kind}\b", run)) for run in runs)


@contextmanager
def _program(text: str, names: list[str], flags: tuple[str, ...]) -> Iterator[tuple[ctypes.c_void_p, str]]:
    nvrtc, program = library(), ctypes.c_void_p()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"kernels.cu", 0, None, None)
    try:
        for name in names:
            nvrtc.nvrtcAddNameExpression(program, name.encode())
        status = nvrtc.nvrtcCompileProgram(
            program, len(flags), (ctypes.c_char_p * len(flags))(*[flag.encode() for flag in flags])
        )
        log = _text(nvrtc.nvrtcGetProgramLog, nvrtc.nvrtcGetProgramLogSize, program)
        if status:
            raise SyntaxError(log)
        yield program, log
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def _text(get, get_size, program) -> str:
    size = ctypes.c_size_t()
    get_size(program, ctypes.byref(size))
    buffer = ctypes.create_string_buffer(size.value)
    get(program, buffer)
    return buffer.value.decode()


def _lowered(nvrtc, program, name: str) -> str:
    lowered = ctypes.c_char_p()
    if nvrtc.nvrtcGetLoweredName(program, name.encode(), ctypes.byref(lowered)):
        raise SyntaxError(f"{name} is no kernel of this file")
    return lowered.value.decode()


def _report(log: str, symbol: str) -> Compiled:
    """The lines of ptxas on one entry function."""
    part = re.search(rf"Compiling entry function '{re.escape(symbol)}'.*?Used \d+ registers[^\n]*", log, re.DOTALL)
    if part is None:
        raise SyntaxError(f"ptxas says nothing of {symbol}:\n{log}")

    def number(pattern: str) -> int:
        found = re.search(pattern, part[0])
        return int(found[1]) if found else 0

    spilled = number(r"(\d+) bytes spill stores") + number(r"(\d+) bytes spill loads")
    return Compiled(
        number(r"Used (\d+) registers"), spilled, number(r"(\d+) bytes stack frame"), number(r"(\d+) bytes smem")
    )
