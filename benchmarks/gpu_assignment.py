"""Exact assignment on a GPU, side by side with the CPU and with other GPU solvers.

    python benchmarks/gpu_assignment.py [--n 1000 4000 16000] [--families uniform ...] [--minutes 9] [--out FOLDER]

Writes gpu_assignment.jsonl (a record a line, the machine first), gpu_assignment.md (tables) and gpu_assignment.png to
FOLDER, as it goes; nothing is begun after the minutes, and the next run with this FOLDER goes on from there. What tells
most comes first: a refresh, a round, rounds against the part of the rows that a phase leaves free, the host's part;
then the targets; then all sizes and families. Every answer's cost is summed again in float64 and held against the
bounds that our certificate gives. The floor of a problem is one pass over its matrix at the bandwidth with which this
device copies memory.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import json
import multiprocessing
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from benchmarks import families  # noqa: E402
from ot_distances import linear_assignment, wasserstein  # noqa: E402
from ot_distances._device import Cuda  # noqa: E402
from ot_distances.costs import PointCost  # noqa: E402
from ot_distances.solvers import device as device_solver  # noqa: E402
from ot_distances.solvers import device_auction  # noqa: E402
from ot_distances.solvers.device_costs import DeviceCloud, DeviceMatrix, OnDevice  # noqa: E402

Record = dict[str, Any]

# A family is the points of both sides and the power of their distance; None is a matrix of independent numbers.
FAMILIES: dict[str, tuple[Callable[..., Any], int] | None] = {
    "uniform": None,
    "2-D": (families.uniform, 2),
    "far apart": (partial(families.clouds, shift=4.0, spread=0.3), 1),
    "collapsed start": (families.collapsed, 2),
    "784-D": (partial(families.pictures, name="MNIST"), 2),
}
SIZES = [1000, 2000, 4000, 8000, 16000, 20000]
BATCHES = [(16384, 32), (4096, 128), (1024, 256), (256, 512), (16, 128)]  # problems, rows and columns of each
POINTS = [100_000, 20_000]
CLOUDS = [(4096, 128, 2), (4096, 32, 16), (256, 512, 2)]  # batches: problems, points of each, dimension
FIRST, TARGETS = 16_000, (4_000, 16_000)  # sizes of the first timings, and of the first comparisons
LEFT_FREE = [0.01, 0.005, 0.003, 0.002, 0.001, 0.0005]  # parts of the rows that a phase leaves free
COPIED = 2**28  # numbers, to measure the bandwidth
WARM_UP = [100, 600, 1200, 2500]  # sizes that between them compile, or load, every kernel

# A GPU's best of so many runs; other solvers run once, or twice where that is quick.
REPEATS, QUICK = 5, 2.0
# Most of the costs of all solvers but ours that may be off, relatively: some sum in float32.
TOLERANCE = 1e-5
# Growth of a peer's time with n, to foresee what fits: steep for the CPU, whose hard families are worse than cubic.
GROWTH = 3.0


class Clock:
    """The minutes that are left, and what a solver took at the last size of a family."""

    def __init__(self, minutes: float) -> None:
        self.end = time.perf_counter() + 60 * minutes
        self.last: dict[tuple[str, ...], tuple[float, float]] = {}

    @property
    def left(self) -> float:
        return self.end - time.perf_counter()

    def foreseen(self, record: Record) -> float:
        seconds, before = self.last.get(self._kind(record), (0.0, size(record)))
        return float(seconds * (size(record) / before) ** GROWTH)

    def took(self, record: Record) -> None:
        self.last[self._kind(record)] = record["seconds"], size(record)

    @staticmethod
    def _kind(record: Record) -> tuple[str, ...]:
        return record["suite"], record["solver"], record["family"]


def size(record: Record) -> float:
    """Rows of one problem that takes as long as all of the record's."""
    return float(record["count"] ** (1 / GROWTH) * record["n"])


def key(record: Record) -> tuple[Any, ...]:
    return tuple(record.get(name) for name in ("suite", "family", "n", "count", "solver", "what"))


class Book:
    """What was measured, also by earlier runs with the same folder."""

    def __init__(self, folder: Path, head: Record, clock: Clock) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.head, self.clock = folder, head, clock
        self.path = folder / "gpu_assignment.jsonl"
        self.records: dict[tuple[Any, ...], Record] = {}
        if self.path.exists():
            self.head, *before = map(json.loads, self.path.read_text().splitlines())
            if self.head["device"] != head["device"]:
                raise SystemExit(f"gpu_assignment: {self.path} is of {self.head['device']}. Name another folder.")
            self.records = {key(record): record for record in before}
            for record in before:
                if "seconds" in record and "solver" in record:
                    clock.took(record)
        else:
            self._append(head)

    def _append(self, record: Record) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(record) + "\n")

    def wants(self, record: Record) -> bool:
        """Whether there is time for it, and it is not there yet."""
        found = self.records.get(key(record), {})
        there = "seconds" in found or str(found.get("skipped", "")).startswith("failed")
        return not there and self.clock.left > 0

    def add(self, record: Record) -> None:
        self.records[key(record)] = record
        self._append(record)
        (self.folder / "gpu_assignment.md").write_text(report(self.head, [*self.records.values()]))
        name = record.get("solver") or record["what"]
        print(f"{record['suite']:<14}{record['family']:<16}{record.get('count', 1):>6} x {record['n']:<7}"
              f"{name:<34}{shown({'solver': '', **record})}", flush=True)  # fmt: skip


# --- problems -------------------------------------------------------------------------------------------------------


def costs(xp: Any, family: str, n: int) -> Any:
    """An n x n matrix in float32 on the device."""
    recipe = FAMILIES[family]
    if recipe is None:
        return xp.random.default_rng(n).random((n, n), dtype=xp.float32)
    draw, p = recipe
    x, y = (xp.asarray(side) for side in draw(n, np.random.default_rng(n)))
    centre = x.mean(axis=0)
    x, y = x - centre, y - centre
    out, step = xp.empty((n, n), xp.float32), max(1, 2**26 // n)
    for first in range(0, n, step):
        rows = x[first : first + step]
        if x.shape[1] <= 3:
            square = sum((rows[:, k, None] - y[:, k]) ** 2 for k in range(x.shape[1]))
        else:
            square = xp.maximum((rows**2).sum(1)[:, None] + (y**2).sum(1) - 2 * rows @ y.T, 0)
        out[first : first + step] = square if p == 2 else xp.sqrt(square)
    return out


def stacked(xp: Any, family: str, count: int, n: int) -> Any:
    """`count` n x n matrices in float32 on the device."""
    recipe = FAMILIES[family]
    if recipe is None:
        return xp.random.default_rng(n).random((count, n, n), dtype=xp.float32)
    (draw, p), rng = recipe, np.random.default_rng(n)
    x, y = (xp.asarray(np.stack(side)) for side in zip(*(draw(n, rng) for _ in range(count))))
    square = sum((x[:, :, None, k] - y[:, None, :, k]) ** 2 for k in range(x.shape[2]))
    return (square if p == 2 else xp.sqrt(square)).astype(xp.float32)


# --- solvers: (matrix or batch on the device, the same on the host) -> columns, on either side -----------------------


def ours_resident(there: Any, here: np.ndarray) -> Any:
    return linear_assignment(there)


def ours_with_transfers(there: Any, here: np.ndarray) -> Any:
    return linear_assignment(here, device="cuda")


def ours_on_cpu(there: Any, here: np.ndarray) -> Any:
    return linear_assignment(here)


def scipy_on_cpu(there: Any, here: np.ndarray) -> np.ndarray:
    from scipy.optimize import linear_sum_assignment

    return np.asarray(linear_sum_assignment(here)[1])


def torch_linear_assignment(there: Any, here: np.ndarray) -> Any:
    torch = importlib.import_module("torch")
    solver = importlib.import_module("torch_linear_assignment")
    batch = torch.from_dlpack(there if there.ndim == 3 else there[None])
    cols = solver.batch_linear_assignment(batch)
    torch.cuda.synchronize()
    return cols.cpu().numpy().reshape(here.shape[:-1])


def cugraph_hungarian(there: Any, here: np.ndarray) -> Any:
    cudf, cugraph = importlib.import_module("cudf"), importlib.import_module("cugraph")
    n, m = there.shape
    return cugraph.dense_hungarian(cudf.Series(there.ravel()), n, m)[1].to_numpy()


Solver = Callable[[Any, np.ndarray], Any]
OURS = "ours, resident"
ONE: dict[str, tuple[Solver, str]] = {  # name: (solver, the package it needs)
    OURS: (ours_resident, "ot_distances"),
    "ours, with transfers": (ours_with_transfers, "ot_distances"),
    "ours, CPU, all cores": (ours_on_cpu, "ot_distances"),
    "SciPy, one core": (scipy_on_cpu, "scipy"),
    "torch-linear-assignment": (torch_linear_assignment, "torch_linear_assignment"),
    "cuGraph": (cugraph_hungarian, "cugraph"),
}


def installed(package: str) -> bool:
    try:
        importlib.import_module(package)
    except ImportError:
        return False
    return True


class SciPyPool:
    """SciPy on all cores: a process each, which read the batch from a file that all of them share."""

    def __init__(self) -> None:
        self.cores = len(os.sched_getaffinity(0))
        self.pool = multiprocessing.get_context("spawn").Pool(self.cores)
        self.pool.map(abs, range(8 * self.cores))  # started before any clock is read
        self.folder = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        self.path = str(Path(self.folder.name) / "batch.npy")

    def hold(self, costs: np.ndarray) -> None:
        """The batch that is to be solved; every process has then imported SciPy."""
        np.save(self.path, costs)
        self.pool.map(scipy_part, [(self.path, 0, 1)] * 8 * self.cores, chunksize=1)

    def solve(self, there: Any, here: np.ndarray) -> np.ndarray:
        edges = np.linspace(0, len(here), 4 * self.cores + 1).astype(int)
        parts = [(self.path, first, last) for first, last in pairwise(edges) if first < last]
        return np.concatenate(self.pool.map(scipy_part, parts, chunksize=1))

    def close(self) -> None:
        self.pool.terminate()
        self.folder.cleanup()


def scipy_part(part: tuple[str, int, int]) -> np.ndarray:
    from scipy.optimize import linear_sum_assignment

    path, first, last = part
    return np.array([linear_sum_assignment(one)[1] for one in np.load(path, mmap_mode="r")[first:last]])


# --- measuring ------------------------------------------------------------------------------------------------------


def timed(device: Cuda, call: Callable[[], Any], most: float) -> tuple[float, Any]:
    """The best wall time of a few runs, within about `most` seconds, and the last result."""
    best, start = np.inf, time.perf_counter()
    for _ in range(REPEATS):
        device.xp.cuda.Device().synchronize()
        begin = time.perf_counter()
        result = call()
        device.xp.cuda.Device().synchronize()
        best = min(best, time.perf_counter() - begin)
        if best > QUICK or time.perf_counter() - start + best > most:
            break
    return best, result


def columns(xp: Any, found: Any) -> Any:
    return xp.asarray(getattr(found, "cols", found))


def total(xp: Any, there: Any, found: Any) -> np.ndarray:
    """The cost of each problem's matching in float64; nan where it is no matching."""
    cols = columns(xp, found)
    batch, cols = (there, cols) if there.ndim == 3 else (there[None], cols[None])
    entries = xp.take_along_axis(batch, cols[:, :, None].astype(xp.int64), axis=2)[:, :, 0]
    proper = (xp.sort(cols, axis=1) == xp.arange(cols.shape[1])).all(axis=1)
    return xp.where(proper, entries.astype(xp.float64).sum(axis=1), xp.nan).get()


def verdict(xp: Any, there: Any, found: Any, proof: Any) -> float:
    """How far the worst matching lies outside of the proven bounds, relative to its cost; nan where it is none."""
    lower, upper = (np.atleast_1d(host(bound)) for bound in (proof.lower, proof.upper))
    value = total(xp, there, found)
    outside = np.maximum(np.maximum(lower - value, value - upper), 0)
    return float((outside / np.maximum(np.abs(upper), np.finfo(float).tiny)).max())


def host(value: Any) -> np.ndarray:
    return np.asarray(value.get() if hasattr(value, "get") else value)


def compare(
    device: Cuda, book: Book, problem: Record, make: Callable[[], Any], solvers: dict[str, tuple[Solver, str]]
) -> None:
    """A record of each solver on one matrix or batch."""
    wanted = {name: row for name, row in solvers.items() if book.wants({**problem, "solver": name})}
    if not wanted:
        return
    try:
        there = make()
    except (families.FamilyUnavailable, device.xp.cuda.memory.OutOfMemoryError) as error:
        return book.add({**problem, "solver": OURS, "skipped": str(error)[:200]})
    here, proof = there.get(), None if OURS in wanted else linear_assignment(there)
    for name, (solver, package) in wanted.items():
        record, clock = {**problem, "solver": name}, book.clock
        foreseen = clock.foreseen(record)
        if not installed(package):
            record["skipped"] = "not installed"
        elif foreseen > clock.left / 3:
            record["skipped"] = f"would take some {foreseen:.0f} s"
        else:
            try:
                record["seconds"], found = timed(device, partial(solver, there, here), min(10.0, clock.left / 10))
            except Exception as error:  # a peer's failure is a result too
                record["skipped"] = f"failed: {type(error).__name__}: {str(error)[:200]}"
            else:
                clock.took(record)
                proof = found if name == OURS else proof
                record["off"] = None if proof is None else verdict(device.xp, there, found, proof)
                if name == OURS:
                    record["gap"] = float(np.max(host(found.gap)))
        book.add(record)
    del there
    device.xp.get_default_memory_pool().free_all_blocks()


# --- the suites -----------------------------------------------------------------------------------------------------


def bandwidth(device: Cuda) -> float:
    """Bytes per second that a copy within the device reads and writes."""
    xp = device.xp
    source = xp.zeros(COPIED, xp.float32)
    target = xp.empty_like(source)
    xp.copyto(target, source)
    return 2 * source.nbytes / timed(device, lambda: xp.copyto(target, source), 5.0)[0]


def first_timings(device: Cuda, book: Book, n: int) -> None:
    """One refresh, one replayed round, rounds against the part of rows that a phase leaves free, the host's part."""
    xp, head = device.xp, {"suite": "first timings", "family": "uniform", "n": n}
    whats = ["one refresh of all lists", "one replayed round without bidders"]
    parts = {f"phases to {part:.2%} free": part for part in LEFT_FREE}
    if any(book.wants({**head, "what": what}) for what in (*whats, *parts)):
        cost = DeviceMatrix(device, costs(xp, "uniform", n))
        auction = device_auction.DeviceAuction(cost)
        lists = auction.near, auction.near_cost, auction.length, auction.bound
        everyone = xp.asarray(np.array([n], np.int32))
        once = partial(cost.refresh, auction.prices, auction.everyone, everyone, n, device_auction.SELECT, lists)
        once()
        seconds = timed(device, once, 5.0)[0]
        speed = cost.values.nbytes / seconds
        book.add({**head, "what": whats[0], "seconds": seconds, "bytes_per_second": speed})
        auction.rounds()
        seconds = timed(device, auction.rounds, 5.0)[0] / device_auction.ROUNDS
        book.add({**head, "what": whats[1], "seconds": seconds})
        del auction, lists, once
        by_part(device, book, head, parts, cost)
    n = POINTS[0]
    head = {"suite": "first timings", "family": "2-D points", "n": n}
    if any(book.wants({**head, "what": what}) for what in parts):
        x, y = (xp.asarray(side) for side in families.uniform(n, np.random.default_rng(n)))
        by_part(device, book, head, parts, DeviceCloud(device, PointCost.scaled(x, y, "euclidean", 2.0)))


def by_part(device: Cuda, book: Book, head: Record, parts: dict[str, float], cost: OnDevice) -> None:
    left = device_auction.LEFT
    try:
        for what, device_auction.LEFT in parts.items():
            if book.wants({**head, "what": what}):
                book.add({**head, "what": what, **stages(device, cost)})
    finally:
        device_auction.LEFT = left


def stages(device: Cuda, cost: OnDevice) -> Record:
    """The whole matching, the auction and the rest of it, most of which is the host's; and what the auction did."""
    whole = timed(device, partial(device_solver.match, cost), 3.0)[0]
    auction = device_auction.DeviceAuction(cost)
    seconds, solved = timed(device, lambda: auction.run(lambda: None), 0.0)
    rounds, reads = (int(auction.counts[slot]) for slot in (device_auction.PASSED, device_auction.READS))
    times = {"seconds": whole, "auction": seconds, "rest": whole - seconds, "round": seconds / max(1, rounds)}
    return {**times, "solved": solved, "rounds": rounds, "reads": reads / cost.shape[0]}


def matrices(device: Cuda, book: Book, sizes: Iterable[int], names: list[str]) -> None:
    for n in sizes:
        for family in names:
            problem = {"suite": "one matrix", "family": family, "n": n, "count": 1}
            compare(device, book, problem, partial(costs, device.xp, family, n), ONE)


def batches(device: Cuda, book: Book, names: list[str], pool: SciPyPool) -> None:
    for count, n in BATCHES:
        for family in [name for name in names if name != "784-D"]:
            solvers = {name: row for name, row in ONE.items() if not name.startswith(("SciPy", "cuGraph"))}
            solvers[f"SciPy, {pool.cores} cores"] = pool.solve, "scipy"

            def make(family: str = family, count: int = count, n: int = n) -> Any:
                there = stacked(device.xp, family, count, n)
                pool.hold(there.get())
                linear_assignment(there[:2].copy())
                return there

            compare(device, book, {"suite": "batch", "family": family, "n": n, "count": count}, make, solvers)


def points(device: Cuda, book: Book) -> None:
    for n in POINTS:
        x, y = families.uniform(n, np.random.default_rng(n))
        clouds(device, book, {"suite": "points", "family": "2-D", "n": n, "count": 1}, x, y)
    for count, n, d in CLOUDS:
        x, y = np.random.default_rng(n).standard_normal((2, count, n, d))
        clouds(device, book, {"suite": "points", "family": f"{d}-D", "n": n, "count": count}, x, y)


def clouds(device: Cuda, book: Book, problem: Record, x: np.ndarray, y: np.ndarray) -> None:
    """W_2 of points there and here; both are proven, so they are held against each other."""
    ours, theirs = ({**problem, "solver": name} for name in (OURS, "ours, CPU, all cores"))
    if not (book.wants(ours) or book.wants(theirs)):
        return
    there = device.xp.asarray(x), device.xp.asarray(y)
    seconds, value = timed(
        device, lambda: wasserstein(*there, p=2, method="device"), min(10.0, max(1.0, book.clock.left / 4))
    )
    if book.wants(ours):
        book.add({**ours, "seconds": seconds})
    foreseen = book.clock.foreseen(theirs)
    if foreseen > book.clock.left / 2:
        return book.add({**theirs, "skipped": f"would take some {foreseen:.0f} s"})
    begin = time.perf_counter()
    here = wasserstein(x, y, p=2)
    theirs["seconds"] = time.perf_counter() - begin
    book.clock.took(theirs)
    book.add({**theirs, "off": float(np.max(np.abs(host(value) / here - 1)))})


# --- output ---------------------------------------------------------------------------------------------------------


def machine(device: Cuda, args: argparse.Namespace) -> Record:
    runtime, number = device.xp.cuda.runtime, device.xp.cuda.runtime.getDevice()
    versions = {}
    for package in ("ot_distances", "cupy-cuda13x", "cupy-cuda12x", "numpy", "scipy", "numba", "torch"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "device": runtime.getDeviceProperties(number)["name"].decode(),
        "multiprocessors": device.multiprocessors,
        "driver": runtime.driverGetVersion(),
        "runtime": runtime.runtimeGetVersion(),
        "cores": len(os.sched_getaffinity(0)),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "versions": versions,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "copy_bytes_per_second": bandwidth(device),
        "arguments": {"n": args.n, "families": args.families, "minutes": args.minutes},
    }


def shown(record: Record) -> str:
    if "skipped" in record:
        return f"({record['skipped']})"
    text = f"{record['seconds']:.3g}"
    off = record.get("off")
    if off is not None and not off <= (1e-9 if record["solver"].startswith("ours") else TOLERANCE):
        text += f" **wrong by {off:.1e}**"
    return text


def report(head: Record, records: list[Record]) -> str:
    copied = head["copy_bytes_per_second"]
    lines = [
        "# Assignment on a GPU",
        "",
        f"{head['device']}, driver {head['driver']}, {head['cores']} CPU cores, {head['date']}; "
        + ", ".join(f"{name} {number}" for name, number in head["versions"].items())
        + f". Copies within the device: {copied / 1e9:.0f} GB/s. Wall seconds, the best of up to {REPEATS} runs. "
        "The last column is our resident time over the floor, one read of the matrix at that speed.",
    ]
    for suite in ("one matrix", "batch", "points"):
        chosen = [record for record in records if record["suite"] == suite]
        if not chosen:
            continue
        solvers = list(dict.fromkeys(record["solver"] for record in chosen))
        title = " | ".join(["family", "problems", "n", *solvers, "floors"])
        lines += ["", f"## {suite.capitalize()}", "", f"| {title} |"]
        lines.append("|---" * (len(solvers) + 4) + "|")
        for key in dict.fromkeys((record["family"], record["count"], record["n"]) for record in chosen):
            row = {r["solver"]: r for r in chosen if (r["family"], r["count"], r["n"]) == key}
            mine = row.get(OURS, {}).get("seconds")
            floor = 4 * key[1] * key[2] ** 2 / copied
            cells = [shown(row[name]) if name in row else "" for name in solvers]
            floors = f"{mine / floor:.0f}" if mine and suite != "points" else ""
            lines.append("| " + " | ".join([*map(str, key), *cells, floors]) + " |")
    first = [record for record in records if record["suite"] == "first timings"]
    lines += ["", "## First timings", ""] if first else []
    for record in first:
        more = {key: value for key, value in record.items() if key not in ("suite", "family", "n", "what")}
        said = (f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in more.items())
        lines.append(f"- {record['family']}, n = {record['n']}, {record['what']}: " + ", ".join(said))
    return "\n".join(lines) + "\n"


def draw(head: Record, records: list[Record], path: Path) -> None:
    """Seconds against n, a panel for each family."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    chosen = [record for record in records if record["suite"] == "one matrix" and "seconds" in record]
    names = list(dict.fromkeys(record["family"] for record in chosen))
    if not names:
        return
    figure, panels = plt.subplots(1, len(names), figsize=(4 * len(names), 3.6), sharey=True, squeeze=False)
    for panel, family in zip(panels[0], names):
        for solver in dict.fromkeys(record["solver"] for record in chosen):
            line = [(r["n"], r["seconds"]) for r in chosen if (r["family"], r["solver"]) == (family, solver)]
            if line:
                panel.loglog(*zip(*line), "o-", label=solver)
        sizes = np.array(sorted({record["n"] for record in chosen}))
        panel.loglog(sizes, 4.0 * sizes**2 / head["copy_bytes_per_second"], "k:", label="one read of the matrix")
        panel.set(title=family, xlabel="n")
    panels[0][0].set_ylabel("seconds")
    panels[0][-1].legend(fontsize="small")
    figure.suptitle(head["device"])
    figure.tight_layout()
    figure.savefig(path, dpi=150)
    plt.close(figure)


def run(device: Cuda, book: Book, args: argparse.Namespace, pool: SciPyPool) -> None:
    """What tells most first; the largest sizes of slow solvers are what falls out when time is short."""
    xp, names = device.xp, args.families
    for n in WARM_UP:
        there = costs(xp, "uniform", n)
        linear_assignment(there)
        linear_assignment(there.get())
    for shape in ((WARM_UP[-1], 2), (3, 8, 2), (3, 8, 16)):
        x = xp.asarray(np.random.default_rng(0).random((2, *shape)))
        wasserstein(x[0], x[1], p=2)
    first_timings(device, book, min(FIRST, max(args.n)))
    matrices(device, book, [n for n in args.n if n in TARGETS], names[:1])
    batches(device, book, names[:1], pool)
    points(device, book)
    matrices(device, book, args.n, names)
    batches(device, book, names[1:], pool)


def main(args: argparse.Namespace) -> None:
    try:
        device = Cuda()
    except (ImportError, RuntimeError) as error:
        raise SystemExit(f"gpu_assignment: {error}") from None
    clock = Clock(args.minutes)
    book, pool = Book(args.out, machine(device, args), clock), SciPyPool()
    try:
        run(device, book, args, pool)
    finally:
        pool.close()
    try:
        draw(book.head, [*book.records.values()], args.out / "gpu_assignment.png")
    except ImportError:
        print("No figure: matplotlib is not installed.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, nargs="+", default=SIZES, help="rows and columns of one matrix")
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument(
        "--minutes", type=float, default=9.0, help="after which nothing more is begun; the next run goes on"
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/gpu"), help="folder")
    main(parser.parse_args())
