"""`python -m benchmarks.experiments [quick|full|pages] [NAME ...]`: run what is not finished, then write the pages."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable

from . import EXPERIMENTS
from .base import Experiment, Part, Record, finished, write
from .page import write_pages


def missing(experiments: list[Experiment], full: bool) -> list[tuple[int, Part]]:
    """What is to be run: the first seed of all parts, then the second, so that a run cut short has all of some."""
    parts = {part.name: part for experiment in experiments for part in experiment.parts}.values()
    pairs = [(seed, part) for part in parts if part.ready() for seed in range(part.seeds if full else part.quick)]
    return sorted((pair for pair in pairs if pair[0] not in finished(pair[1])), key=lambda pair: pair[0])


def timed(job: tuple[int, Callable[..., Record], int]) -> tuple[int, Record, float]:
    """The number of a job, what its run found with its seed, and the seconds of processor time."""
    number, run, seed = job
    began = time.process_time()
    return number, run(seed), time.process_time() - began


def run_all(pairs: list[tuple[int, Part]], processes: int) -> None:
    """Run parts side by side; each result is written when it comes."""
    jobs = [(number, part.run, seed) for number, (seed, part) in enumerate(pairs)]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for number, result, seconds in pool.imap_unordered(timed, jobs):
            seed, part = pairs[number]
            write(part, seed, seconds, result)
            print(f"{part.name}, seed {seed}: {seconds:.1f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.experiments", description=__doc__)
    parser.add_argument("preset", nargs="?", default="quick", choices=["quick", "full", "pages"])
    parser.add_argument("names", nargs="*", metavar="NAME", help="experiments whose name begins so, as e07")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="how many run at a time")
    given = parser.parse_args()
    chosen = [one for one in EXPERIMENTS if not given.names or one.name.startswith(tuple(given.names))]
    if not chosen:
        parser.error(f"no experiment begins so; there are: {', '.join(one.name for one in EXPERIMENTS)}")
    if given.preset != "pages" and (pairs := missing(chosen, given.preset == "full")):
        run_all(pairs, given.processes)
    for path in write_pages(chosen):
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
