"""How long a user waits for the import, and for the first answer of a fresh process.

    python benchmarks/startup.py [--repeat 3]

"Empty" is the first process after an installation: numba's cache is a new folder. "Warm" is the best of the processes
after it. Seconds of the whole process, its interpreter and numpy included, as a user at a prompt would count them; and
in brackets the processor's seconds, which other work on the machine disturbs less.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version

DATA = """
import numpy as np
import ot_distances as ot
rng = np.random.default_rng(0)
x, y = rng.normal(size=(2, {n}, 2))
a, b = rng.dirichlet(np.ones({n}), size=2)
C = np.linalg.norm(x[:, None] - y, axis=-1)
"""
FIRST_ANSWERS = {
    "vectors": "ot.js_divergence(a, b)",
    "line, uniform": "ot.wasserstein(x[:, 0], y[:, 0])",
    "line, weighted": "ot.wasserstein(x[:, 0], y[:, 0], a, b)",
    "points, uniform": "ot.wasserstein(x, y)",
    "points, weighted": "ot.wasserstein(x, y, a, b)",
    "matrix, uniform": "ot.solve_cost(C)",
    "matrix, weighted": "ot.solve_cost(C, a, b)",
    "assignment": "ot.linear_assignment(C)",
}


def seconds(code: str, cache: str) -> tuple[float, float]:
    """Wall time, and processor time, of a fresh process that runs the code."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
    before, start = os.times(), time.perf_counter()
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    wall, after = time.perf_counter() - start, os.times()
    return wall, sum(after[2:4]) - sum(before[2:4])


def shown(times: tuple[float, float]) -> str:
    return f"{times[0]:>8.2f} ({times[1]:.2f})"


def main(repeat: int) -> None:
    versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "numba"))
    print(f"Python {platform.python_version()}, {versions}, {os.cpu_count()} cores; seconds of the whole process\n")
    with tempfile.TemporaryDirectory() as cache:
        for name, code in {"python": "pass", "numpy": "import numpy", "ot_distances": "import ot_distances"}.items():
            print(f"{'start ' + name:<24}{shown(min(seconds(code, cache) for _ in range(repeat)))}")
    print(f"\n{'first answer':<18}{'n':>6}{'empty':>8}{'warm':>16}")
    for name, call in FIRST_ANSWERS.items():
        for n in (8, 300):
            code = DATA.format(n=n) + call
            with tempfile.TemporaryDirectory() as cache:  # one each: no case compiles for another
                empty = seconds(code, cache)
                warm = min(seconds(code, cache) for _ in range(repeat))
            print(f"{name:<18}{n:>6}{shown(empty)}{shown(warm)}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3, help="warm processes, of which the best counts")
    main(parser.parse_args().repeat)
