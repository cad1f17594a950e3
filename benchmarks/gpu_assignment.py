"""Exact assignment on a GPU, side by side with the CPU and with other GPU solvers.

    python benchmarks/gpu_assignment.py [--n 1000 4000 16000] [--families uniform ...] [--minutes 9] [--out FOLDER]

Writes gpu_assignment.jsonl (a record a line, the machine first), gpu_assignment.md (tables) and gpu_assignment.png to
FOLDER, as it goes; it ends when the minutes are over, and the next run with this FOLDER goes on from there. What tells
most comes first: a few checks of each kernel, which also compile it; the targets; a refresh, a round, rounds against
the rows that a phase leaves free, the host's part; then all sizes and families. Every answer's cost is
summed again in float64 and held against the bounds that our certificate gives. The floor of a problem is one pass over
its matrix at the bandwidth with which this device copies memory. What fails is a record too, and the rest goes on.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from benchmarks import families  # noqa: E402
from benchmarks.gpu_book import (  # noqa: E402
    OURS,
    Book,
    Clock,
    Record,
    draw,
    key,
    machine,
    path_in,
    read,
    report,
    supervise,
)
from ot_distances import linear_assignment, wasserstein  # noqa: E402
from ot_distances._device import Cuda  # noqa: E402
from ot_distances.costs import PointCost  # noqa: E402
from ot_distances.solvers import device as device_solver  # noqa: E402
from ot_distances.solvers import device_auction  # noqa: E402
from ot_distances.solvers.device_costs import DeviceCloud, DeviceMatrix, OnDevice  # noqa: E402

# A family is the points of both sides and the power of their distance; None is a matrix of independent numbers.
FAMILIES: dict[str, tuple[Callable[..., Any], int] | None] = {
    "uniform": None,
    "2-D": (families.uniform, 2),
    "far apart": (partial(families.clouds, shift=4.0, spread=0.3), 1),
    "collapsed start": (families.collapsed, 2),
    "784-D": (partial(families.pictures, name="MNIST"), 2),
}
SIZES = [1000, 2000, 4000, 8000, 16000, 20000]
BATCHES = [(4096, 128), (16384, 32), (1024, 256), (256, 512), (16, 128)]  # problems, rows and columns of each
POINTS = [100_000, 20_000]
CLOUDS = [(4096, 128, 2), (4096, 32, 16), (256, 512, 2)]  # batches: problems, points of each, dimension
TARGETS = 4_000, 16_000  # sizes of the first comparisons
FIRST = [(16_000, "uniform"), (16_000, "2-D"), (4_000, "uniform"), (4_000, "2-D"), (4_000, "far apart")]
LEFT_FREE, LEFT_OF_POINTS = [48, 24, 96, 12, 160], [300, 1000, 100]  # rows that a phase leaves free
COPIED = 2**28  # numbers, to measure the bandwidth
# What is compiled for the CPU, by a process each, while the first checks run: rows of a matrix, points of a cloud.
COMPILED = [("matrix", 100), ("matrix", 1200), ("points", 20_000), ("points", 200)]
# Shapes of the first checks.
MATRICES = [(1100, 1100), (1050, 1300), (1300, 1050)]
STACKS = [(40, 20, 20), (9, 128, 128), (3, 100, 150), (2, 300, 512)]
CHECKED_CLOUDS = [(1100, 2), (1100, 3), (1100, 16)]

# A GPU's best of so many runs; other solvers run once, or twice where that is quick.
REPEATS, QUICK = 5, 2.0
# Seconds that a peer may be foreseen to take: for a target, and otherwise.
LONG, SHORT = 145.0, 20.0
# Seconds in which the last pages are made.
ENDING = 8.0


# --- problems -------------------------------------------------------------------------------------------------------


def costs(xp: Any, family: str, n: int) -> Any:
    """An n x n matrix in float32 on the device."""
    recipe = FAMILIES[family]
    if recipe is None:
        return xp.random.default_rng(n).random((n, n), dtype=xp.float32)
    sample, p = recipe
    x, y = (xp.asarray(side) for side in sample(n, np.random.default_rng(n)))
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
    (sample, p), rng = recipe, np.random.default_rng(n)
    x, y = (xp.asarray(np.stack(side)) for side in zip(*(sample(n, rng) for _ in range(count))))
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


Row = tuple[Callable[[Any, np.ndarray], Any], str]  # a solver, the package it needs
ONE: dict[str, Row] = {
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
        self.pool: Any = None
        self.folder = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        self.path = str(Path(self.folder.name) / "batch.npy")

    def hold(self, costs: np.ndarray) -> None:
        """The batch that is to be solved; every process has then started, and imported SciPy."""
        np.save(self.path, costs)
        self.pool = self.pool or multiprocessing.get_context("spawn").Pool(self.cores)
        self.pool.map(scipy_part, [(self.path, 0, 1)] * 8 * self.cores, chunksize=1)

    def solve(self, there: Any, here: np.ndarray) -> np.ndarray:
        edges = np.linspace(0, len(here), 4 * self.cores + 1).astype(int)
        parts = [(self.path, first, last) for first, last in pairwise(edges) if first < last]
        return np.concatenate(self.pool.map(scipy_part, parts, chunksize=1))

    def close(self) -> None:
        if self.pool is not None:
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
    device: Cuda, book: Book, problem: Record, make: Callable[[], Any], solvers: dict[str, Row], most: float = SHORT
) -> None:
    """A record of each solver on one matrix or batch, but of those that are foreseen to take `most` seconds."""
    wanted = {name: row for name, row in solvers.items() if book.wants({**problem, "solver": name})}
    if not wanted:
        return
    with book.attempt({**problem, "solver": next(iter(wanted))}):
        there = make()
        here, proof = there.get(), None if OURS in wanted else linear_assignment(there)
        for name, row in wanted.items():
            record = {**problem, "solver": name}
            with book.attempt(record):
                more, found = measured(device, book.clock, record, row, (there, here), most)
                proof = found if name == OURS else proof
                if found is not None and proof is not None:
                    more["off"] = verdict(device.xp, there, found, proof)
                if found is not None and name == OURS:
                    more["gap"] = float(np.max(host(found.gap)))
                book.add({**record, **more})
    there = None
    device.xp.get_default_memory_pool().free_all_blocks()


def measured(
    device: Cuda, clock: Clock, record: Record, row: Row, sides: tuple[Any, np.ndarray], most: float
) -> tuple[Record, Any]:
    """The seconds, or why there are none, and what the solver found."""
    solver, package = row
    foreseen = clock.foreseen(record)
    if not installed(package):
        return {"skipped": "not installed"}, None
    if foreseen > min(most, clock.left / 3):
        return {"skipped": f"would take some {foreseen:.0f} s"}, None
    seconds, found = timed(device, partial(solver, *sides), min(10.0, clock.left / 10))
    clock.took({**record, "seconds": seconds})
    return {"seconds": seconds}, found


# --- the suites -----------------------------------------------------------------------------------------------------


def optimum(cost: np.ndarray) -> float:
    from scipy.optimize import linear_sum_assignment

    exact = cost.astype(float)
    return float(exact[linear_sum_assignment(exact)].sum())


def apart(found: Any, best: Any) -> float:
    """The largest relative difference."""
    return float(np.max(np.abs(host(found) / np.asarray(best) - 1)))


def matrix_apart(xp: Any, shape: tuple[int, int], kind: str) -> float:
    cost = np.random.default_rng(0).random(shape).astype(kind)
    found = linear_assignment(xp.asarray(cost))
    return apart(cost.astype(float)[host(found.rows), host(found.cols)].sum(), optimum(cost))


def stack_apart(xp: Any, shape: tuple[int, int, int], kind: str) -> float:
    stack = np.random.default_rng(0).random(shape).astype(kind)
    return apart(linear_assignment(xp.asarray(stack)).cost, [optimum(one) for one in stack])


def clouds_apart(xp: Any, shape: tuple[int, int], kind: str) -> float:
    from scipy.spatial.distance import cdist

    x, y = np.random.default_rng(0).standard_normal((2, *shape)).astype(kind)
    squares = cdist(x.astype(float), y.astype(float), "sqeuclidean")
    found = wasserstein(xp.asarray(x), xp.asarray(y), p=2, method="device")
    return apart(found, np.sqrt(optimum(squares) / len(x)))


def checks(device: Cuda, book: Book) -> None:
    """Each kernel on small problems, against SciPy; their seconds are those of a first call."""
    rows = [("matrix", matrix_apart, shape) for shape in MATRICES]
    rows += [("batch", stack_apart, shape) for shape in STACKS]
    rows += [("points", clouds_apart, shape) for shape in CHECKED_CLOUDS]
    for family, check, shape in rows:
        for kind in ("float32", "float64"):
            what = f"{' x '.join(map(str, shape))}, {kind}"
            record = {"suite": "checks", "family": family, "n": max(shape), "count": 1, "what": what}
            if book.wants(record):
                with book.attempt(record):
                    begin = time.perf_counter()
                    off = check(device.xp, shape, kind)
                    book.add({**record, "seconds": time.perf_counter() - begin, "off": off})


def compile_on_cpu(item: tuple[str, int]) -> None:
    """What is compiled is kept on disk, for the process that measures."""
    kind, n = item
    rng = np.random.default_rng(0)
    if kind == "matrix":
        linear_assignment(rng.random((n, n), dtype=np.float32))
        linear_assignment(rng.random((3, 60, 60), dtype=np.float32))
    else:
        wasserstein(*rng.random((2, n, 2)), p=2)
        wasserstein(*rng.random((2, 3, 20, 2)), p=2)


def checks_and_compilation(device: Cuda, book: Book) -> None:
    record = {"suite": "checks", "family": "CPU", "n": 0, "count": 1, "what": "compiled meanwhile"}
    if not book.wants(record):
        return checks(device, book)
    begin = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(len(COMPILED)) as pool:
        compiled = pool.map_async(compile_on_cpu, COMPILED, chunksize=1)
        checks(device, book)
        with book.attempt(record):
            compiled.get(timeout=max(1.0, book.clock.left / 4))
            book.add({**record, "seconds": time.perf_counter() - begin})


def bandwidth(device: Cuda) -> float:
    """Bytes per second that a copy within the device reads and writes."""
    xp = device.xp
    source = xp.zeros(COPIED, xp.float32)
    target = xp.empty_like(source)
    xp.copyto(target, source)
    return 2 * source.nbytes / timed(device, lambda: xp.copyto(target, source), 5.0)[0]


def first_timings(device: Cuda, book: Book) -> None:
    """One refresh, one replayed round, rounds against the rows that a phase leaves free, the host's part."""
    xp = device.xp
    for n, family in FIRST:
        head = {"suite": "first timings", "family": family, "n": n}
        with book.attempt({**head, "what": "refresh and round"}):
            cost = DeviceMatrix(device, costs(xp, family, n))
            refresh_and_round(device, book, head, cost)
            by_rows_left(device, book, head, cost, LEFT_FREE)
        cost = None
    n = POINTS[0]
    head = {"suite": "first timings", "family": "2-D points", "n": n}
    with book.attempt({**head, "what": "points"}):
        x, y = (xp.asarray(side) for side in families.uniform(n, np.random.default_rng(n)))
        by_rows_left(device, book, head, DeviceCloud(device, PointCost.scaled(x, y, "euclidean", 2.0)), LEFT_OF_POINTS)


def refresh_and_round(device: Cuda, book: Book, head: Record, cost: DeviceMatrix) -> None:
    refresh, rounds = ({**head, "what": what} for what in ("one refresh of all lists", "one replayed round, no bidder"))
    if not (book.wants(refresh) or book.wants(rounds)):
        return
    xp, n = device.xp, head["n"]
    auction = device_auction.DeviceAuction(cost)
    lists = auction.near, auction.near_cost, auction.length, auction.bound
    everyone = xp.asarray(np.array([n], np.int32))
    once = partial(cost.refresh, auction.prices, auction.everyone, everyone, n, device_auction.SELECT, lists)
    once()
    seconds = timed(device, once, 5.0)[0]
    book.add({**refresh, "seconds": seconds, "bytes_per_second": cost.values.nbytes / seconds})
    least = timed(device, lambda: cost.row_transform(np.zeros(n)), 5.0)[0]
    book.add({**head, "what": "least of all rows", "seconds": least, "bytes_per_second": cost.values.nbytes / least})
    auction.rounds()
    seconds = timed(device, auction.rounds, 5.0)[0] / device_auction.ROUNDS
    book.add({**rounds, "seconds": seconds})


def by_rows_left(device: Cuda, book: Book, head: Record, cost: OnDevice, counts: Iterable[int]) -> None:
    usual = device_auction.LEFT, device_auction.LEAST_LEFT
    for left in counts:
        record = {**head, "what": f"phases to {left} free rows"}
        if book.wants(record):
            with book.attempt(record):
                device_auction.LEFT, device_auction.LEAST_LEFT = 0.0, left
                try:
                    book.add({**record, **stages(device, cost)})
                finally:
                    device_auction.LEFT, device_auction.LEAST_LEFT = usual


def stages(device: Cuda, cost: OnDevice) -> Record:
    """The whole matching, the auction and the rest of it, most of which is the host's; and what the auction did."""
    whole = timed(device, partial(device_solver.match, cost), 3.0)[0]
    auction = device_auction.DeviceAuction(cost)
    seconds, solved = timed(device, lambda: auction.run(lambda: None), 0.0)
    rounds, reads = (int(auction.counts[slot]) for slot in (device_auction.PASSED, device_auction.READS))
    times = {"seconds": whole, "auction": seconds, "rest": whole - seconds, "round": seconds / max(1, rounds)}
    return {
        **times,
        "settle": settling(cost),
        "solved": solved,
        "rounds": rounds,
        "reads": reads / cost.shape[0],
    }


def settling(cost: OnDevice) -> float:
    """Seconds of one matching that shortest paths take on the host."""
    spent, settle = [0.0], device_solver.settle

    def clocked(*args: Any) -> Any:
        begin = time.perf_counter()
        visits = settle(*args)
        spent[0] += time.perf_counter() - begin
        return visits

    device_solver.settle = clocked
    try:
        device_solver.match(cost)
    finally:
        device_solver.settle = settle
    return spent[0]


def matrices(device: Cuda, book: Book, sizes: Iterable[int], names: list[str], most: float = SHORT) -> None:
    for n in sizes:
        for family in names:
            problem = {"suite": "one matrix", "family": family, "n": n, "count": 1}
            compare(device, book, problem, partial(costs, device.xp, family, n), ONE, most)


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
    """W_2 of points there and here; all are proven, so they are held against each other."""
    there, values = [device.xp.asarray(side) for side in (x, y)], []
    ways = {
        OURS: partial(wasserstein, *there, p=2, method="device"),
        "ours, as chosen": partial(wasserstein, *there, p=2),
        "ours, CPU, all cores": partial(wasserstein, x, y, p=2),
    }
    for name, way in ways.items():
        record, clock = {**problem, "solver": name}, book.clock
        if not book.wants(record):
            continue
        with book.attempt(record):
            if (foreseen := clock.foreseen(record)) > clock.left / 2:
                book.add({**record, "skipped": f"would take some {foreseen:.0f} s"})
                continue
            seconds, value = timed(device, way, min(10.0, max(1.0, clock.left / 4)))
            values.append(host(value))
            clock.took({**record, "seconds": seconds})
            book.add({**record, "seconds": seconds, "off": apart(values[-1], values[0]) if values[1:] else None})


# --- the run --------------------------------------------------------------------------------------------------------


def run(device: Cuda, book: Book, args: argparse.Namespace, pool: SciPyPool) -> None:
    """What tells most first; the largest sizes of slow solvers are what falls out when time is short."""
    names = args.families
    checks_and_compilation(device, book)
    matrices(device, book, [n for n in args.n if n in TARGETS], names[:1], LONG)
    batches(device, book, names[:1], pool)
    points(device, book)
    first_timings(device, book)
    matrices(device, book, args.n, names)
    batches(device, book, names[1:], pool)


def work(args: argparse.Namespace) -> None:
    """The measurements, as far as the minutes go."""
    device, clock = Cuda(), Clock(args.minutes)

    def alive() -> None:
        device.xp.zeros(1)
        device.synchronize()

    book, pool = Book(args.out, machine(device, bandwidth(device), vars(args)), clock, alive), SciPyPool()
    try:
        run(device, book, args, pool)
    finally:
        pool.close()


def main(args: argparse.Namespace) -> None:
    try:
        Cuda()
    except (ImportError, RuntimeError) as error:
        raise SystemExit(f"gpu_assignment: {error}") from None
    args.out.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, __file__, "--work", "--out", str(args.out), "--n", *map(str, args.n)]
    supervise([*command, "--families", *args.families], args.out, args.minutes - ENDING / 60)
    finish(args.out)


def finish(folder: Path) -> None:
    """The pages once more: the last records may be of a process that was ended."""
    if not path_in(folder).exists():
        return
    head, *records = read(folder)
    records = [*{key(record): record for record in records}.values()]
    (folder / "gpu_assignment.md").write_text(report(head, records))
    try:
        draw(head, records, folder / "gpu_assignment.png")
    except ImportError:
        print("No figure: matplotlib is not installed.")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--n", type=int, nargs="+", default=SIZES, help="rows and columns of one matrix")
    made.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    made.add_argument("--minutes", type=float, default=9.0, help="after which it ends; the next run goes on")
    made.add_argument("--out", type=Path, default=Path("benchmarks/results/gpu"), help="folder")
    made.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    return made


if __name__ == "__main__":
    wanted = parser().parse_args()
    (work if wanted.work else main)(wanted)
