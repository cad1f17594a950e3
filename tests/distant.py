"""A stand-in for CuPy: arrays that keep their distance, and refuse what CuPy's refuse, such as numpy's company."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
from fibers import Fibers


class Distant(np.lib.mixins.NDArrayOperatorsMixin):
    """An array that only `get` brings to the host."""

    brought: ClassVar[list[tuple[int, ...]]] = []  # the shapes of all that came there

    def __init__(self, host: np.ndarray) -> None:
        self.host = host

    def get(self) -> np.ndarray:
        self.brought.append(self.host.shape)
        return self.host.copy()

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return _apply(getattr(ufunc, method), inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return _apply(function, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.host, name)
        if callable(value):
            return lambda *args, **kwargs: _apply(value, args, kwargs)
        return Distant(value) if isinstance(value, np.ndarray) else value

    def __getitem__(self, key: Any) -> Any:
        return _apply(self.host.__getitem__, (key,), {})

    def __setitem__(self, key: Any, value: Any) -> None:
        _apply(self.host.__setitem__, (key, value), {})

    def __len__(self) -> int:
        return len(self.host)

    def __bool__(self) -> bool:
        return bool(self.host)

    def __int__(self) -> int:
        return int(self.host)

    def __float__(self) -> float:
        return float(self.host)

    def __format__(self, spec: str) -> str:
        return format(self.host[()], spec)

    def __dlpack__(self, **options: Any) -> Any:
        return self.host.__dlpack__()

    def __dlpack_device__(self) -> Any:
        return self.host.__dlpack_device__()

    __index__ = __int__

    @property
    def T(self) -> Distant:
        return Distant(self.host.T)

    @property
    def device(self) -> Any:
        return Device(0)


def _near(value: Any) -> Any:
    if isinstance(value, Distant):
        return value.host
    if isinstance(value, (tuple, list)):
        return type(value)(map(_near, value))
    if isinstance(value, np.ndarray) and value.ndim:
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")
    return value


def _apply(function: Any, args: Any, kwargs: Any) -> Any:
    for name in kwargs.keys() & {"initial", "where"}:  # numpy's alone
        raise TypeError(f"{function.__name__}() got an unexpected keyword argument {name!r}")
    result = function(*_near(tuple(args)), **{key: _near(value) for key, value in kwargs.items()})
    return Distant(np.asarray(result)) if isinstance(result, (np.ndarray, np.generic)) else result


def _asarray(value: Any, dtype: Any = None) -> Distant:
    return value if isinstance(value, Distant) else Distant(np.array(value, dtype))


class Device:
    """The one device; a context too."""

    def __init__(self, number: int) -> None:
        self.id = number

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *args: Any) -> None:
        pass


class Stream:
    """What another library's stream becomes."""

    entered: ClassVar[list[tuple[int, int]]] = []

    @classmethod
    def from_external(cls, stream: Any) -> Any:
        cls.entered.append(stream.__cuda_stream__())
        return nullcontext()


RUNTIME = SimpleNamespace(getDevice=lambda: 0, getDeviceCount=lambda: 2)
NAMES = (
    "arange",
    "argsort",
    "ascontiguousarray",
    "full",
    "matmul",
    "maximum",
    "power",
    "sort",
    "where",
    "zeros",
    "take_along_axis",
    "tile",
)


def _far(function: Any) -> Any:
    return lambda *args, **kwargs: _apply(function, args, kwargs)


cupy = SimpleNamespace(
    __spec__=SimpleNamespace(name="cupy"),
    ndarray=Distant,
    asarray=_asarray,
    empty=_far(Fibers.xp.empty),
    from_dlpack=lambda value: Distant(np.from_dlpack(value)),
    cuda=SimpleNamespace(runtime=RUNTIME, Device=Device, Stream=Stream),
    **{name: _far(getattr(np, name)) for name in NAMES},
)


class DistantFibers(Fibers):
    """Kernels on the CPU, on distant arrays."""

    xp = cupy

    def launch(self, source: str, kernel: str, grid: int, block: int, args: tuple[Any, ...], shared: int = 0) -> None:
        super().launch(source, kernel, grid, block, tuple(map(_near_argument, args)), shared)


def _near_argument(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        raise TypeError("a kernel was given an array of the host")
    return value.host if isinstance(value, Distant) else value
