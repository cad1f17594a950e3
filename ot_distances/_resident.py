"""Arrays that live on a GPU, CuPy's or torch's: seen as CuPy arrays without a copy, results handed back in kind."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.util import find_spec
from typing import Any

from ._arrays import library, to_numpy
from ._device import Backend, Cuda

DEVICE = re.compile(r"cuda(?::(\d+))?")


def on_gpu(*values: Any) -> bool:
    """Whether any of the values is an array on a GPU that can be worked on there; without CuPy torch's are copied."""
    return any(map(_on_gpu, values))


def _on_gpu(value: Any) -> bool:
    kind = library(value)
    return kind == "cupy" or (kind == "torch" and value.is_cuda and find_spec("cupy") is not None)


@contextmanager
def at(device: str | None, *values: Any) -> Iterator[Backend]:
    """Work on `device`, "cuda" or "cuda:k" (None: where the first value on a GPU lies), on the caller's stream.

    Raises
    ------
    ImportError, RuntimeError
        CuPy is missing, or finds no device.
    ValueError
        There is no such device.
    """
    wanted = DEVICE.fullmatch(device or "cuda")
    if wanted is None:
        raise ValueError(f'`device` must be None, "cpu", "cuda" or "cuda:k", but it is {device!r}. Pick one of them.')
    cuda = Cuda().xp.cuda
    here = next((value for value in values if _on_gpu(value)), None)
    number = cuda.runtime.getDevice() if here is None else _number(here)
    number = int(wanted[1]) if wanted[1] else number
    if number >= (count := cuda.runtime.getDeviceCount()):
        raise ValueError(f"`device` must name one of the {count} GPUs here, but it is {device!r}. Pick a lower number.")
    with cuda.Device(number), _stream(cuda, here, number):
        yield Cuda()


def visit(*values: Any) -> AbstractContextManager[Backend | None]:
    """Work where the first value on a GPU lies; None where all are on the host."""
    return at(None, *values) if on_gpu(*values) else nullcontext()


def _number(value: Any) -> int:
    return int(value.device.id if library(value) == "cupy" else value.device.index)


def _stream(cuda: Any, value: Any, number: int) -> Any:
    """The stream that torch works on there; CuPy's own is current as it is."""
    if library(value) != "torch":
        return nullcontext()
    stream = sys.modules["torch"].cuda.current_stream(number)
    if hasattr(cuda.Stream, "from_external") and hasattr(stream, "__cuda_stream__"):  # newer releases of both
        return cuda.Stream.from_external(stream)
    return cuda.ExternalStream(stream.cuda_stream, number)


def view(backend: Backend, value: Any, read: Callable[[Any], Any] = to_numpy) -> Any:
    """The value as a CuPy array on the current device; copied only where it is not there yet.

    `read` makes an array of what lies on the host.
    """
    xp, kind = backend.xp, library(value)
    if kind == "torch" and value.is_cuda:
        value = value.detach()
        # No array library but torch has this type.
        value = xp.from_dlpack(value.float() if str(value.dtype) == "torch.bfloat16" else value)
    elif kind != "cupy":
        return xp.asarray(read(value))
    if value.device.id == xp.cuda.runtime.getDevice():
        return value
    with value.device:  # a copy to another device runs on a stream of that one, which knows nothing of this one's
        xp.cuda.get_current_stream().synchronize()
    return value.copy()


def like(result: Any, *values: Any) -> Any:
    """The result as an array of the library, and on the device, of the first of the values that is no numpy array."""
    owner = next((value for value in values if library(value) != "numpy"), None)
    if owner is None:
        return to_numpy(result)
    if library(owner) == "torch":
        torch = sys.modules["torch"]
        tensor = torch.from_dlpack(result) if library(result) == "cupy" else torch.as_tensor(to_numpy(result))
        return tensor.to(owner.device)
    if library(result) == "cupy" and result.device.id == owner.device.id:
        return result
    with owner.device:
        return sys.modules["cupy"].asarray(to_numpy(result))
