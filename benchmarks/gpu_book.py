"""What the GPU's benchmark has measured: records as they come, failures among them, the pages made of them.

A kernel that fails takes the device from its whole process, and one that never ends takes the time. So the work is done
by a process of its own, which `supervise` starts again behind the record at which it died or stood still.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import signal
import subprocess
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from ot_distances._device import Cuda

Record = dict[str, Any]

OURS = "ours, resident"

# Most of the costs of all solvers but ours that may be off, relatively: some sum in float32.
TOLERANCE = 1e-5
# Growth of a peer's time with n, to foresee what fits: steep for the CPU, whose hard families are worse than cubic.
GROWTH = 3.0
# Characters of a traceback that are kept: its end tells most.
TRACE = 2000
# Seconds that one record may take, and deaths without one in progress after which no more is tried.
PATIENCE, DEATHS = 150.0, 3


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

    def __init__(self, folder: Path, head: Record, clock: Clock, alive: Callable[[], None] = lambda: None) -> None:
        """`alive` raises where the device no longer answers."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.head, self.clock, self.alive = folder, head, clock, alive
        self.records: dict[tuple[Any, ...], Record] = {}
        if not path_in(folder).exists():
            return append(folder, head)
        self.head, *before = read(folder)
        if self.head["device"] != head["device"]:
            raise SystemExit(f"gpu_assignment: {path_in(folder)} is of {self.head['device']}. Name another folder.")
        self.records = {key(record): record for record in before}
        for record in before:
            if "seconds" in record and "solver" in record:
                clock.took(record)

    def wants(self, record: Record) -> bool:
        """Whether there is time for it, and it is not there yet."""
        found = self.records.get(key(record), {})
        there = "seconds" in found or str(found.get("skipped", "")).startswith(("failed", "not installed"))
        return not there and self.clock.left > 0

    def add(self, record: Record) -> None:
        self.records[key(record)] = record
        append(self.folder, record)
        (self.folder / "gpu_assignment.md").write_text(report(self.head, [*self.records.values()]))
        name = record.get("solver") or record["what"]
        print(f"{record['suite']:<14}{record['family']:<16}{record.get('count', 1):>6} x {record['n']:<7}"
              f"{name:<34}{shown({'solver': '', **record})}", flush=True)  # fmt: skip

    @contextmanager
    def attempt(self, record: Record) -> Iterator[None]:
        """What fails within is written down, and the run goes on, in a new process if the device is lost."""
        begun_in(self.folder).write_text(json.dumps(record))
        try:
            yield
        except Exception as error:
            self.add(record | failure(error))
            try:
                self.alive()
            except Exception as lost:
                raise SystemExit(f"gpu_assignment: the device is lost: {lost}") from None
        finally:
            begun_in(self.folder).unlink(missing_ok=True)


def machine(device: Cuda, copied: float, arguments: Record) -> Record:
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
        "copy_bytes_per_second": copied,
        "arguments": {name: value for name, value in arguments.items() if name not in ("out", "work")},
    }


def failure(error: Exception) -> Record:
    return {
        "skipped": f"failed: {type(error).__name__}: {str(error)[:200]}",
        "traceback": traceback.format_exc()[-TRACE:],
    }


def path_in(folder: Path) -> Path:
    return folder / "gpu_assignment.jsonl"


def begun_in(folder: Path) -> Path:
    """The record in progress."""
    return folder / "begun.json"


def append(folder: Path, record: Record) -> None:
    with path_in(folder).open("a") as file:
        file.write(json.dumps(record) + "\n")


def read(folder: Path) -> list[Record]:
    return [json.loads(line) for line in path_in(folder).read_text().splitlines()]


# --- the process that does the work ---------------------------------------------------------------------------------


def supervise(command: Sequence[str], folder: Path, minutes: float, patience: float = PATIENCE) -> None:
    """Run the command, which takes --minutes, until it ends well or these are over."""
    end, deaths = time.monotonic() + 60 * minutes, 0
    while (left := end - time.monotonic()) > 0 and deaths < DEATHS:
        begun_in(folder).unlink(missing_ok=True)
        process = subprocess.Popen([*command, "--minutes", str(left / 60)], process_group=0)
        try:
            why = _watched(process, folder, end, patience)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # and what it has started itself
            process.wait()
        if why is None:
            return
        deaths += not begun_in(folder).exists()
        if begun_in(folder).exists():
            append(folder, json.loads(begun_in(folder).read_text()) | {"skipped": f"failed: {why}"})
        print(f"gpu_assignment: {why}", flush=True)


def _watched(process: subprocess.Popen[bytes], folder: Path, end: float, patience: float) -> str | None:
    """None where it ended well or in time, else what became of it."""
    while (code := process.poll()) is None:
        if time.monotonic() > end:
            return None
        if (began := begun_in(folder)).exists() and time.time() - began.stat().st_mtime > patience:
            return f"no end after {patience:.0f} s"
        time.sleep(0.1)
    return None if code == 0 else f"the process ended with {code}"


# --- pages ----------------------------------------------------------------------------------------------------------


def shown(record: Record) -> str:
    if "skipped" in record:
        return f"({record['skipped']})"
    text = f"{record['seconds']:.3g}"
    off = record.get("off")
    ours = record.get("solver", OURS).startswith("ours")
    if off is not None and not off <= (1e-9 if ours else TOLERANCE):
        text += f" **wrong by {off:.1e}**"
    return text


def report(head: Record, records: list[Record]) -> str:
    copied = head["copy_bytes_per_second"]
    lines = [
        "# Assignment on a GPU",
        "",
        f"{head['device']}, driver {head['driver']}, {head['cores']} CPU cores, {head['date']}; "
        + ", ".join(f"{name} {number}" for name, number in head["versions"].items())
        + f". Copies within the device: {copied / 1e9:.0f} GB/s. Wall seconds, the best of a few runs. "
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
        for problem in dict.fromkeys((record["family"], record["count"], record["n"]) for record in chosen):
            row = {r["solver"]: r for r in chosen if (r["family"], r["count"], r["n"]) == problem}
            mine = row.get(OURS, {}).get("seconds")
            floor = 4 * problem[1] * problem[2] ** 2 / copied
            cells = [shown(row[name]) if name in row else "" for name in solvers]
            floors = f"{mine / floor:.0f}" if mine and suite != "points" else ""
            lines.append("| " + " | ".join([*map(str, problem), *cells, floors]) + " |")
    for suite in ("checks", "first timings"):
        chosen = [record for record in records if record["suite"] == suite]
        lines += ["", f"## {suite.capitalize()}", ""] if chosen else []
        for record in chosen:
            named = ("suite", "family", "n", "count", "what", "solver", "traceback")
            said = [f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in record.items() if k not in named]
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
                panel.loglog(*zip(*sorted(line)), "o-", label=solver)
        sizes = np.array(sorted({record["n"] for record in chosen}))
        panel.loglog(sizes, 4.0 * sizes**2 / head["copy_bytes_per_second"], "k:", label="one read of the matrix")
        panel.set(title=family, xlabel="n")
    panels[0][0].set_ylabel("seconds")
    panels[0][-1].legend(fontsize="small")
    figure.suptitle(head["device"])
    figure.tight_layout()
    figure.savefig(path, dpi=150)
    plt.close(figure)
