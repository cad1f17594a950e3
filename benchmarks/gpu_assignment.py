"""Exact assignment on a GPU, side by side with the CPU and with other GPU solvers.

    python benchmarks/gpu_assignment.py [--n 1000 4000 16000] [--families uniform ...] [--minutes 9] [--out FOLDER]

Writes gpu_assignment.jsonl (a record a line, the machine first), gpu_assignment.md (tables) and gpu_assignment.png to
FOLDER. Every answer's cost is summed again in float64 and held against the bounds that our certificate gives. What does
not fit into the minutes is listed as skipped. The floor of a problem is one pass over its matrix at the bandwidth with
which this device copies memory.
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
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from benchmarks import families  # noqa: E402
from ot_distances import linear_assignment, solve, wasserstein  # noqa: E402
from ot_distances._device import Cuda  # noqa: E402
from ot_distances.solvers import device as device_solver  # noqa: E402
from ot_distances.solvers import device_auction  # noqa: E402
from ot_distances.solvers.device_costs import DeviceMatrix  # noqa: E402

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
POINTS = [20_000, 100_000]
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
        self.last: dict[tuple[str, str], tuple[float, float]] = {}

    @property
    def left(self) -> float:
        return self.end - time.perf_counter()

    def foreseen(self, solver: str, family: str, size: float) -> float:
        seconds, before = self.last.get((solver, family), (0.0, size))
        return seconds * (size / before) ** GROWTH

    def took(self, solver: str, family: str, size: float, seconds: float) -> None:
        self.last[solver, family] = seconds, size


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

    def solver(self, here: np.ndarray) -> Solver:
        path = str(Path(self.folder.name) / "batch.npy")
        np.save(path, here)
        edges = np.linspace(0, len(here), 4 * self.cores + 1).astype(int)
        parts = [(path, first, last) for first, last in pairwise(edges) if first < last]

        def solver(there: Any, here: np.ndarray) -> np.ndarray:
            return np.concatenate(self.pool.map(scipy_part, parts, chunksize=1))

        solver(None, here[:1])  # every process has imported SciPy
        return solver

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
    device: Cuda, clock: Clock, problem: Record, there: Any, solvers: dict[str, tuple[Solver, str]]
) -> Iterator[Record]:
    """A record of each solver on one matrix or batch."""
    here, proof = there.get(), None
    family, size = problem["family"], problem["count"] ** (1 / GROWTH) * problem["n"]
    for name, (solver, package) in solvers.items():
        record = {**problem, "solver": name}
        foreseen = clock.foreseen(name, family, size)
        if not installed(package):
            yield {**record, "skipped": "not installed"}
        elif foreseen > clock.left / 3:
            yield {**record, "skipped": f"would take some {foreseen:.0f} s"}
        else:
            try:
                seconds, found = timed(device, partial(solver, there, here), min(10.0, clock.left / 10))
            except Exception as error:  # a peer's failure is a result too
                yield {**record, "skipped": f"failed: {type(error).__name__}: {str(error)[:200]}"}
                continue
            clock.took(name, family, size, seconds)
            proof = found if name == OURS else proof
            off = None if proof is None else verdict(device.xp, there, found, proof)
            record |= {"seconds": seconds, "off": off}
            if name == OURS:
                record["gap"] = float(np.max(host(found.gap)))
            yield record


# --- the suites -----------------------------------------------------------------------------------------------------


def bandwidth(device: Cuda) -> float:
    """Bytes per second that a copy within the device reads and writes."""
    xp = device.xp
    source = xp.zeros(COPIED, xp.float32)
    target = xp.empty_like(source)
    xp.copyto(target, source)
    return 2 * source.nbytes / timed(device, lambda: xp.copyto(target, source), 5.0)[0]


def first_timings(device: Cuda, clock: Clock, n: int) -> Iterator[Record]:
    """One refresh, one replayed round, rounds against the part of rows that a phase leaves free, the host's part."""
    xp, head = device.xp, {"suite": "first timings", "family": "uniform", "n": n}
    cost = DeviceMatrix(device, costs(xp, "uniform", n))
    auction = device_auction.DeviceAuction(cost)
    lists = auction.near, auction.near_cost, auction.length, auction.bound
    everyone = xp.asarray(np.array([n], np.int32))
    once = partial(cost.refresh, auction.prices, auction.everyone, everyone, n, device_auction.SELECT, lists)
    once()
    seconds = timed(device, once, 5.0)[0]
    speed = cost.values.nbytes / seconds
    yield {**head, "what": "one refresh of all lists", "seconds": seconds, "bytes_per_second": speed}
    auction.rounds()
    seconds = timed(device, auction.rounds, 5.0)[0] / device_auction.ROUNDS
    yield {**head, "what": "one replayed round without bidders", "seconds": seconds}
    left = device_auction.LEFT
    try:
        for part in LEFT_FREE:
            if clock.left < 60:
                yield {**head, "what": f"phases to {part:.2%} free", "skipped": "no time"}
                continue
            device_auction.LEFT = part
            yield {**head, "what": f"phases to {part:.2%} free", **stages(device, cost)}
    finally:
        device_auction.LEFT = left


def stages(device: Cuda, cost: DeviceMatrix) -> Record:
    """The whole matching, the part of it that is the auction, and what that did."""
    whole = timed(device, partial(device_solver.match, cost), 3.0)[0]
    auction = device_auction.DeviceAuction(cost)
    seconds, solved = timed(device, lambda: auction.run(lambda: None), 0.0)
    rounds, reads = (int(auction.counts[slot]) for slot in (device_auction.PASSED, device_auction.READS))
    return {"seconds": whole, "auction": seconds, "solved": solved, "rounds": rounds, "reads": reads / cost.shape[0]}


def matrices(device: Cuda, clock: Clock, sizes: list[int], names: list[str]) -> Iterator[Record]:
    for n in sizes:
        for family in names:
            problem = {"suite": "one matrix", "family": family, "n": n, "count": 1}
            try:
                there = costs(device.xp, family, n)
            except (families.FamilyUnavailable, device.xp.cuda.memory.OutOfMemoryError) as error:
                yield {**problem, "solver": OURS, "skipped": str(error)[:200]}
                continue
            yield from compare(device, clock, problem, there, ONE)
            del there
            device.xp.get_default_memory_pool().free_all_blocks()


def batches(device: Cuda, clock: Clock, names: list[str], pool: SciPyPool) -> Iterator[Record]:
    xp = device.xp
    for count, n in BATCHES:
        for family in [name for name in names if name != "784-D"]:
            if family == "uniform":
                there = xp.random.default_rng(n).random((count, n, n), dtype=xp.float32)
            else:
                draw, p = FAMILIES[family]
                rng = np.random.default_rng(n)
                x, y = (xp.asarray(np.stack(side)) for side in zip(*(draw(n, rng) for _ in range(count))))
                square = sum((x[:, :, None, k] - y[:, None, :, k]) ** 2 for k in range(x.shape[2]))
                there = (square if p == 2 else xp.sqrt(square)).astype(xp.float32)
                del square
            solvers = {name: row for name, row in ONE.items() if not name.startswith(("SciPy", "cuGraph"))}
            solvers[f"SciPy, {pool.cores} cores"] = pool.solver(there.get()), "scipy"
            linear_assignment(there[:2].copy())
            problem = {"suite": "batch", "family": family, "n": n, "count": count}
            yield from compare(device, clock, problem, there, solvers)


def points(device: Cuda, clock: Clock) -> Iterator[Record]:
    for n in POINTS:
        x, y = families.uniform(n, np.random.default_rng(n))
        there = device.xp.asarray(x), device.xp.asarray(y)
        head = {"suite": "points", "family": "2-D", "n": n, "count": 1}
        seconds, value = timed(device, lambda pair=there: wasserstein(*pair, p=2), clock.left / 4)
        yield {**head, "solver": OURS, "seconds": seconds, "value": float(value)}
        foreseen = clock.foreseen("CPU", "points", n)
        if foreseen > clock.left / 2:
            yield {**head, "solver": "ours, CPU, all cores", "skipped": f"would take some {foreseen:.0f} s"}
            continue
        begin = time.perf_counter()
        result = solve(x, y, p=2)
        seconds = time.perf_counter() - begin
        clock.took("CPU", "points", n, seconds)
        off = max(result.lower - float(value) ** 2, float(value) ** 2 - result.upper, 0.0) / result.upper
        yield {**head, "solver": "ours, CPU, all cores", "seconds": seconds, "value": result.value, "off": off}


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
    if first:
        lines += ["", f"## First timings, n = {first[0]['n']}", ""]
        for record in first:
            more = {key: value for key, value in record.items() if key not in ("suite", "family", "n", "what")}
            said = (f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in more.items())
            lines.append(f"- {record['what']}: " + ", ".join(said))
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


def run(device: Cuda, args: argparse.Namespace, pool: SciPyPool) -> Iterator[Record]:
    """What the targets ask first; the largest sizes of slow solvers are what falls out when time is short."""
    clock = Clock(args.minutes)
    for n in WARM_UP:
        there = costs(device.xp, "uniform", n)
        linear_assignment(there)
        linear_assignment(there.get())
    yield from batches(device, clock, args.families[:1], pool)
    yield from first_timings(device, clock, max(args.n))
    yield from matrices(device, clock, args.n, args.families)
    yield from points(device, clock)
    yield from batches(device, clock, args.families[1:], pool)


def main(args: argparse.Namespace) -> None:
    try:
        device = Cuda()
    except (ImportError, RuntimeError) as error:
        raise SystemExit(f"gpu_assignment: {error}") from None
    args.out.mkdir(parents=True, exist_ok=True)
    head, records, pool = machine(device, args), [], SciPyPool()
    try:
        with (args.out / "gpu_assignment.jsonl").open("w") as file:
            print(json.dumps(head), file=file, flush=True)
            for record in run(device, args, pool):
                records.append(record)
                print(json.dumps(record), file=file, flush=True)
                name = record.get("solver") or record["what"]
                print(f"{record['suite']:<14}{record['family']:<16}{record.get('count', 1):>6} x {record['n']:<7}"
                      f"{name:<34}{shown({'solver': '', **record})}", flush=True)  # fmt: skip
    finally:
        pool.close()
    (args.out / "gpu_assignment.md").write_text(report(head, records))
    try:
        draw(head, records, args.out / "gpu_assignment.png")
    except ImportError:
        print("No figure: matplotlib is not installed.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, nargs="+", default=SIZES, help="rows and columns of one matrix")
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--minutes", type=float, default=9.0, help="after which nothing more is begun")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/gpu"), help="folder")
    main(parser.parse_args())
