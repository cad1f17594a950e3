"""`python -m benchmarks.experiments [quick|full|pages] [NAME ...]`: run what is not finished, then write the pages."""

from __future__ import annotations

import argparse
import time

from . import EXPERIMENTS
from .base import Experiment, Part, finished, write
from .page import write_pages


def missing(experiments: list[Experiment], full: bool) -> list[tuple[int, Part]]:
    """What is to be run: the first seed of all parts, then the second, so that a run cut short has all of some."""
    parts = {part.name: part for experiment in experiments for part in experiment.parts}.values()
    pairs = [(seed, part) for part in parts if part.ready() for seed in range(part.seeds if full else part.quick)]
    return sorted((pair for pair in pairs if pair[0] not in finished(pair[1])), key=lambda pair: pair[0])


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.experiments", description=__doc__)
    parser.add_argument("preset", nargs="?", default="quick", choices=["quick", "full", "pages"])
    parser.add_argument("names", nargs="*", metavar="NAME", help="experiments whose name begins so, as e07")
    given = parser.parse_args()
    chosen = [one for one in EXPERIMENTS if not given.names or one.name.startswith(tuple(given.names))]
    if not chosen:
        parser.error(f"no experiment begins so; there are: {', '.join(one.name for one in EXPERIMENTS)}")
    for seed, part in missing(chosen, given.preset == "full") if given.preset != "pages" else []:
        began = time.process_time()
        result = part.run(seed)
        seconds = time.process_time() - began
        write(part, seed, seconds, result)
        print(f"{part.name}, seed {seed}: {seconds:.1f} s", flush=True)
    for path in write_pages(chosen):
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
