"""Which runs are missing, and how they are made side by side."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence

from .base import Experiment, Part, Record, finished, write


def missing(experiments: Sequence[Experiment], full: bool) -> list[tuple[int, Part]]:
    """What is to be run: the first seed of all parts, then the second, so that a run cut short has all of some."""
    parts = {part.name: part for experiment in experiments for part in experiment.parts}.values()
    pairs = [(seed, part) for part in parts if part.ready() for seed in range(part.seeds if full else part.quick)]
    return sorted((pair for pair in pairs if pair[0] not in finished(pair[1])), key=lambda pair: pair[0])


def timed(job: tuple[int, Callable[..., Record], int]) -> tuple[int, Record, float]:
    """The number of a job, what its run found with its seed, and the seconds of processor time."""
    number, run, seed = job
    began = time.process_time()
    return number, run(seed), time.process_time() - began


def run_all(pairs: Sequence[tuple[int, Part]], processes: int) -> None:
    """Run parts side by side; each result is written when it comes."""
    jobs = [(number, part.run, seed) for number, (seed, part) in enumerate(pairs)]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for number, result, seconds in pool.imap_unordered(timed, jobs):
            seed, part = pairs[number]
            write(part, seed, seconds, result)
            print(f"{part.name}, seed {seed}: {seconds:.1f} s", flush=True)
