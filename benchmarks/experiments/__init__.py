"""The claims of the four source texts, run: one file an experiment, over the public interface.

`python -m benchmarks.experiments` runs the quick set and writes docs/gallery; see `base` for what an experiment is.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from .base import Experiment

# Every file e01_... to e99_... is an experiment.
FILES = sorted(path.stem for path in Path(__file__).parent.glob("e[0-9][0-9]_*.py"))
EXPERIMENTS: list[Experiment] = [importlib.import_module(f"{__name__}.{name}").EXPERIMENT for name in FILES]
