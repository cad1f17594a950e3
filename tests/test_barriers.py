"""Every barrier of every kernel is needed: with any one left out, some order of the threads changes what comes out."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from fibers import COMPILER, Fault, Fibers, barriers

from ot_distances import _device
from ot_distances.costs import PointCost
from ot_distances.solvers.device_auction import LONGEST, SELECT, DeviceAuction
from ot_distances.solvers.device_batch import match_batch
from ot_distances.solvers.device_costs import DeviceCloud, DeviceMatrix

pytestmark = pytest.mark.skipif(COMPILER is None, reason="needs g++")

SOURCES = sorted(path.stem for path in (Path(_device.__file__).parent / "kernels").glob("*.cu"))
TRIES = [("adversarial", 1), ("backward", 1), ("adversarial", 2), ("forward", 1), ("round robin", 1)]


def batches(backend: Fibers) -> Iterable[np.ndarray]:
    """Batches for teams of one warp and of more, with costs in shared memory and without."""
    rng = np.random.default_rng(5)
    for count, n, m, room in ((2, 34, 34, 0), (1, 33, 40, 10**6), (1, 66, 68, 10**6)):
        costs = rng.integers(0, 99, (count, n, m)).astype(np.float32)
        backend.shared_memory = room
        yield from match_batch(backend, costs, 1.0)


def lists(backend: Fibers) -> Iterable[np.ndarray]:
    """Passes over rows of several warps, all rows by one block; with few ties, and with more than a list can hold."""
    rng = np.random.default_rng(5)
    backend.multiprocessors = 0
    n, m = 3, 1100
    for values in (rng.random((n, m)), rng.integers(0, 3, (n, m)).astype(float), np.zeros((n, m))):
        cost = DeviceMatrix(backend, values.astype(np.float32))
        near, near_cost = np.full((n, LONGEST), m, np.int32), np.full((n, LONGEST), np.inf, np.float32)
        length, bound = np.zeros(n, np.int32), np.zeros(n, np.float32)
        rows, count, prices = np.arange(n, dtype=np.int32), np.array([n], np.int32), np.zeros(m, np.float32)
        cost.refresh(prices, rows, count, n, SELECT, (near, near_cost, length, bound))
        yield from (np.sort(near_cost, axis=1), length, bound)  # which of equally good ones is open
        yield np.array([len(set(row)) for row in near])
        yield cost.row_transform(rng.random(m))
        yield from cost.column_means()
    x, y = rng.random((10, 40)), rng.random((70, 40))
    yield DeviceCloud(backend, PointCost(x, y)).row_transform(rng.random(70))


def auctions(backend: Fibers) -> Iterable[np.ndarray]:
    rng = np.random.default_rng(5)
    auction = DeviceAuction(DeviceMatrix(backend, rng.random((40, 40)).astype(np.float32)))
    auction.run(lambda: None)
    yield from (auction.prices, auction.col_of_row)


# What exercises the kernels of each file: the arrays that come out, the same under every schedule.
EXERCISES: dict[str, Callable[[Fibers], Iterable[np.ndarray]]] = {
    "bids": auctions,
    "candidate_lists": lists,
    "lap_batch": batches,
}

# Barriers that alone change nothing that can be seen, and why they stay: text of the line -> reason.
KEPT: dict[str, dict[str, str]] = {
    "lap_batch": {"__syncwarp();  // a vote alone orders no memory": "on a GPU that is so; votes of fibers order all"}
}


def outcome(source: str, backend: Fibers) -> bytes:
    return b"".join(array.tobytes() for array in EXERCISES[source](backend))


@cache
def expected(source: str) -> tuple[bytes, float]:
    """What must come out, and a processor time that no run needs."""
    start = time.process_time()
    return outcome(source, Fibers("round robin")), 1 + 3 * (time.process_time() - start)


def differs(source: str, line: int, schedule: str, seed: int) -> bool:
    """In a process of its own: what runs without a barrier may crash or never end."""
    right, enough = expected(source)
    child = os.fork()
    if child == 0:
        signal.setitimer(signal.ITIMER_VIRTUAL, enough)
        try:
            os._exit(outcome(source, Fibers(schedule, seed, dropped=(source, line))) != right)
        except Fault:
            os._exit(1)
        finally:
            os._exit(2)
    return os.waitpid(child, 0)[1] != 0


def lines() -> list[tuple[str, int]]:
    return [(source, line) for source in SOURCES for line in barriers(source)]


def text_of(source: str, line: int) -> str:
    return _device.code(source).splitlines()[line - 1].strip()


def test_every_file_is_exercised():
    assert sorted(EXERCISES) == SOURCES


@pytest.mark.parametrize("source", SOURCES)
def test_the_order_of_threads_changes_nothing(source):
    assert all(outcome(source, Fibers(schedule, seed)) == expected(source)[0] for schedule, seed in TRIES)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3, 40))
@pytest.mark.parametrize("source", SOURCES)
def test_no_order_of_threads_changes_anything(source, seed):
    assert outcome(source, Fibers("adversarial", seed)) == expected(source)[0]


@pytest.mark.parametrize(("source", "line"), lines())
def test_no_barrier_can_be_left_out(source, line):
    if text_of(source, line) in KEPT.get(source, {}):
        pytest.skip(KEPT[source][text_of(source, line)])
    changes = any(differs(source, line, schedule, seed) for schedule, seed in TRIES)
    assert changes, f"nothing changes without line {line} of {source}.cu: {text_of(source, line)}"
