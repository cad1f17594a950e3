"""`ot-distances info`: versions, devices and solvers, for a bug report."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from .._arrays import require
from ..solvers import SOLVERS
from .output import columns_of

ABOUT = "versions, devices and solvers, for a bug report"
EXAMPLES = """\
examples:
  ot-distances info                     what to paste into a bug report
  ot-distances info --json              the same for a script
  ot-distances info --json | python -c "import json, sys; print(json.load(sys.stdin)['packages']['numpy'])"
"""
PACKAGES = ("numpy", "scipy", "numba", "torch", "cupy", "matplotlib", "scikit-learn", "pyarrow", "POT")


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Nothing but what all commands have."""


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    threads = require("numba", "info").config.NUMBA_NUM_THREADS
    report = {
        "ot_distances": version_of("ot_distances"),
        "python": python(),
        "cpu": f"{cpu()}, {cores()} cores to use",
        "threads": f"numba {threads}, OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'unset')}",
        "kernel cache": _kernel_cache(),
        "packages": {name: version_of(name) for name in PACKAGES},
        "devices": _devices(),
        "solvers": {name: solver.about for name, solver in SOLVERS.items()},
    }
    lines = []
    for title, content in report.items():
        if isinstance(content, dict):
            rows = columns_of([[f"  {name}", about] for name, about in content.items()], left=True)
            lines += ["", title, *rows]
        else:
            lines.append(f"{title:<13} {content}")
    return report, "\n".join(lines)


def version_of(package: str) -> str:
    """The version that is installed, found without importing the package."""
    from importlib.metadata import PackageNotFoundError, packages_distributions, version

    names = [package]
    if package == "cupy":  # its wheels are named after the CUDA version
        names = packages_distributions().get("cupy", names)
    try:
        return version(names[0])
    except PackageNotFoundError:
        return "not installed"


def python() -> str:
    import platform

    return f"{platform.python_version()} on {platform.system()} {platform.machine()}"


def cpu() -> str:
    import platform

    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        for line in listing.read_text(errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _kernel_cache() -> str:
    """Where numba keeps the compiled kernels."""
    chosen = require("numba", "info").config.CACHE_DIR
    if chosen:
        return f"{chosen} (NUMBA_CACHE_DIR)"
    beside = Path(__file__).parents[1] / "kernels" / "__pycache__"
    home = beside if beside.is_dir() else beside.parent
    return str(beside) if os.access(home, os.W_OK) else "numba's folder in the user's cache: the package is read-only"


def _devices() -> dict[str, str]:
    """The devices that optional libraries see; a library that fails to load is said to."""
    devices = {"cpu": "always"}
    for name, look in (("torch", _torch_devices), ("cupy", _cupy_devices)):
        try:
            devices |= look()
        except ImportError:
            devices[name] = "not installed"
        except Exception as error:  # a driver too old, no device: whatever it is belongs into the bug report
            devices[name] = f"no device: {' '.join(str(error).split())}"
    return devices


def _torch_devices() -> dict[str, str]:
    torch = require("torch", "info")
    count = torch.cuda.device_count()
    return {f"torch cuda:{i}": torch.cuda.get_device_name(i) for i in range(count)} or {"torch": "cpu only"}


def _cupy_devices() -> dict[str, str]:
    runtime = require("cupy", "info").cuda.runtime
    count = runtime.getDeviceCount()
    return {f"cupy {i}": runtime.getDeviceProperties(i)["name"].decode() for i in range(count)}
