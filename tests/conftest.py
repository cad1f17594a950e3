"""What every test shares: one source of randomness, the hypothesis profiles, and who is skipped where."""

from __future__ import annotations

import os
import signal
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# A shell that runs this in the background has SIGINT ignored, and Python then has no Ctrl-C to test.
signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ.setdefault("MPLBACKEND", "Agg")

# Compiling a kernel on its first call is slow, and not the example's fault: no deadlines.
settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True, max_examples=60)
settings.register_profile("nightly", settings.get_profile("dev"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow as well")


def pytest_configure(config: pytest.Config) -> None:
    """For compute-sanitizer each array is an allocation of its own: inside a pool it cannot tell one from the next."""
    if os.environ.get("PLAIN_GPU_MEMORY") and gpu_ready():
        import cupy

        cupy.cuda.set_allocator(None)


def gpu_ready() -> bool:
    try:
        import cupy

        return bool(cupy.cuda.runtime.getDeviceCount())
    except Exception:  # no cupy, no driver, no device: each says so in its own way
        return False


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--slow"):
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="slow: run with --slow"))
    marked = [item for item in items if item.get_closest_marker("gpu")]
    for item in marked:  # what CuPy or a driver warns of is not ours
        item.add_marker(pytest.mark.filterwarnings("default"))
    if marked and not gpu_ready():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs an NVIDIA GPU and cupy"))


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """Random numbers of this test's own: the same in every run, whatever other tests run beside it."""
    return np.random.default_rng(zlib.crc32(request.node.nodeid.encode()))
