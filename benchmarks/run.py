"""The clock: every answer is judged first, then all solvers take turns, and each result is one JSON line.

    python -m benchmarks.run assignment --n 500 1000 --families all --peers all --repeat 3 --out assignment.jsonl
    python -m benchmarks.run all --preset full --out results.jsonl

One worker process holds the problem and all solvers, so that they run under the same conditions. A solver that
exceeds the time limit, or dies, takes the worker with it; the next call starts another and goes on without it.
"""

from __future__ import annotations

import argparse
import datetime
import fnmatch
import gc
import json
import multiprocessing
import os
import platform
import subprocess
import sys
import time
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ot_distances import datasets

from . import families, peers
from .peers import OURS, PROOF, Peer, Verdict

THREAD_VARIABLES = ("OMP", "OPENBLAS", "MKL", "NUMBA", "RAYON", "VECLIB_MAXIMUM", "BLIS")
COMPILE_SECONDS = 240.0  # grace for warm-up, and for the first large call of a solver that compiles itself
SHORTEST_SAMPLE = 0.01  # seconds; a shorter call is repeated within one sample
LONG_SAMPLE = 30.0  # seconds; where the first call takes longer it is the time: what it compiles, or loads, is little

# Families of point sets: in the plane, in many dimensions, and with weights.
PLANE = ["square 2-D*", "shifted Gauss 2-D*", "banana on banana, p=2", "ring on square, p=2"]
HIGH = ["Gauss 16-D*", "Gauss 100-D*"]
WEIGHTED = ["weighted*", "weights over 1e6, p=2", "pixels, smooth*"]

# Rows of a preset: (suite, family patterns, sizes). `n` of a batch is the side of its problems.
PRESETS: dict[str, dict[str, Any]] = {
    "quick": {
        "rows": [
            ("assignment", ["*"], [500, 1000]),
            ("assignment", ["uniform"], [8]),
            ("batch", ["*"], [48]),
            ("transport", ["*"], [200, 1000]),
            ("points", ["*"], [1000]),
            ("line", ["*"], [1000, 100_000]),
        ],
        "repeat": 3,
        "limit": 5.0,
        "minutes": 30.0,
    },
    "full": {
        "rows": [
            ("assignment", ["uniform", "square 2-D, squared", "Gauss 784-D, plain"], [8, 64]),
            ("assignment", ["*"], [500, 1000, 2000, 4000]),
            ("assignment", ["uniform", "square 2-D, squared", "Gauss 16-D, squared"], [8000]),
            ("batch", ["*"], [8, 48, 128]),
            ("transport", ["*"], [200, 500, 1000, 2000, 4000]),
            ("points", ["*"], [1000, 4000]),
            ("points", ["square 2-D*", "shifted Gauss 2-D*", "cube 3-D*", "weighted,*"], [10_000]),
            ("line", ["*"], [100, 10_000, 1_000_000]),
        ],
        "repeat": 3,
        "limit": 15.0,
        "minutes": 300.0,
    },
    "large": {
        "rows": [
            ("points", [*PLANE, "cube 3-D*", "shifted Gauss 3-D*", *HIGH, *WEIGHTED], [4000, 10_000]),
            ("points", ["weighted*", "pixels, smooth, p=2"], [16_384]),
            ("points", ["square 2-D*", "shifted Gauss 2-D*"], [20_000, 50_000]),
            ("points", [*PLANE, "cube 3-D, p=2", "n against 0.8n, p=2"], [100_000]),
            ("points", ["square 2-D, p=2", "shifted Gauss 2-D, p=2"], [300_000]),
            ("points", ["square 2-D, p=2"], [1_000_000]),
            ("assignment", ["uniform, float32"], [16_000]),
        ],
        "repeat": 1,
        "limit": 600.0,
        "minutes": 300.0,
    },
}


# --- the worker -----------------------------------------------------------------------------------------------------


def _memory_limit() -> None:
    """A solver that wants too much gets a MemoryError instead of having the kernel choose a victim."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_DATA, (int(0.9 * available), resource.RLIM_INFINITY))


def _resident(what: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(what))


def _check(peer: Peer, suite: str, problem: families.Problem, threads: int) -> dict[str, Any]:
    """One run, judged, with the memory it took (Linux tells) beyond what was there."""
    peak = None
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts again from here
        peak = -_resident("VmRSS")
    start, cpu = time.perf_counter(), time.process_time()
    answer = peer.solve[suite](problem, threads)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    if peak is not None:
        peak += _resident("VmHWM")
    found = {"verdict": peers.judge(problem, answer), "seconds": seconds, "cpu_seconds": cpu, "peak_bytes": peak}
    if answer.bounds is not None and answer.peak_bytes is not None:
        lower, upper = answer.bounds
        found |= {"gap": (upper - lower) / max(abs(answer.value), 1e-300), "told_bytes": answer.peak_bytes}
    return found


def _clock(peer: Peer, suite: str, problem: families.Problem, threads: int) -> dict[str, float]:
    def sample(number: int) -> dict[str, float]:
        gc.disable()
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(number):
            peer.solve[suite](problem, threads)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        gc.enable()
        return {"wall": wall / number, "cpu": cpu / number, "took": wall}

    first = sample(1)
    return first if first["wall"] >= SHORTEST_SAMPLE else sample(1 + int(2 * SHORTEST_SAMPLE / first["wall"]))


def serve(pipe: Any, table: Sequence[Peer], threads: int) -> None:
    """Answer (task, solver name) until told to stop."""
    warnings.simplefilter("ignore")
    _memory_limit()
    rows = {peer.name: peer for peer in table}
    problem: families.Problem
    where: tuple[str, str, int, int]
    while (message := pipe.recv()) is not None:
        task, argument = message
        try:
            if task == "load":
                where, reply = argument, {}
                problem = families.make(*where)
                gc.collect()
            else:
                peer, suite = rows[argument], where[0]
                if refusal := peer.refuses(suite, problem):
                    reply = {"status": "refused", "detail": refusal}
                elif task == "warm":
                    peer.solve[suite](families.make(suite, where[1], min(where[2], 16), where[3]), threads)
                    reply = {}
                else:
                    reply = (_check if task == "check" else _clock)(peer, suite, problem, threads)
        except NotImplementedError as error:
            reply = {"status": "refused", "detail": str(error)}
        except datasets.DatasetMissing as error:
            reply = {"status": "unavailable", "detail": str(error)}
        except Exception as error:  # whatever a solver throws is a result, and is written down
            reply = {"status": "failed", "detail": f"{type(error).__name__}: {error}"[:300]}
        pipe.send(reply)


class Worker:
    """A process that can be lost: asks, waits, and starts another when the last one hung or died."""

    def __init__(self, table: Sequence[Peer], threads: int) -> None:
        self.table, self.threads = table, threads
        self.process: Any = None
        self.problem: tuple[str, str, int, int] | None = None

    def load(self, problem: tuple[str, str, int, int]) -> dict[str, Any]:
        self.problem = problem
        return self._send(("load", problem), None) if self.process else self._start()

    def ask(self, task: str, name: str, limit: float) -> dict[str, Any]:
        if not self.process:
            self._start()
        if name not in self.warm:
            reply = self._send(("warm", name), COMPILE_SECONDS)
            if reply:
                return reply
            self.warm.add(name)
        return self._send((task, name), limit)

    def _start(self) -> dict[str, Any]:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, self.table, self.threads), daemon=True)
        self.process.start()
        theirs.close()
        self.warm: set[str] = set()
        return self._send(("load", self.problem), None)

    def _send(self, message: Any, limit: float | None) -> dict[str, Any]:
        self.pipe.send(message)
        try:
            if self.pipe.poll(limit):
                return self.pipe.recv()
            reply = {"status": "over limit", "detail": f"> {limit:.0f} s"}
        except EOFError:
            self.process.join()
            reply = {"status": "crashed", "detail": f"exit code {self.process.exitcode}"}
        self.stop()
        return reply

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.join()
            self.process = None


# --- one problem ----------------------------------------------------------------------------------------------------


class Race:
    """All solvers on one problem after another, remembering who was too slow for what."""

    def __init__(self, table: Sequence[Peer], *, threads: int = 1, repeat: int = 3, limit: float = 20.0) -> None:
        self.table = {peer.name: peer for peer in table}
        self.worker = Worker(table, threads)
        self.repeat, self.limit = repeat, limit
        self.seen: dict[tuple[str, str, str], tuple[int, float]] = {}

    def _hopeless(self, suite: str, family: str, n: int, name: str) -> bool:
        """Growing only with the square, it would still be over the limit."""
        if name in (OURS, PROOF) or (suite, family, name) not in self.seen:
            return False
        smaller, seconds = self.seen[suite, family, name]
        return n >= smaller and seconds * (n / smaller) ** (1 if suite in ("line", "batch") else 2) > self.limit

    def __call__(self, suite: str, family: str, n: int, seed: int = 0) -> list[dict[str, Any]]:
        reply = self.worker.load((suite, family, n, seed))
        results: dict[str, dict[str, Any]] = {
            name: {"wall": [], "cpu": []} for name, peer in self.table.items() if suite in peer.solve
        }
        verdicts: dict[str, Verdict] = {}
        for name, result in results.items():
            if reply:
                result |= reply
            elif self._hopeless(suite, family, n, name):
                result |= {"status": "over limit", "detail": f"predicted > {self.limit:.0f} s"}
            else:
                grace = COMPILE_SECONDS if name in (OURS, PROOF) else 0.0
                result |= self.worker.ask("check", name, self.limit + grace)
                if result.get("status") == "over limit":
                    self.seen[suite, family, name] = (n, self.limit)
            if "verdict" in result:
                verdicts[name] = result.pop("verdict")
        for name, error in peers.compare(verdicts).items():
            verdict, result = verdicts[name], results[name]
            exact = error <= self.table[name].tolerance
            result |= {"value": verdict.value, "lower": verdict.lower, "error": error if np.isfinite(error) else None}
            result |= (
                {"status": "ok"} if exact else {"status": "wrong", "detail": verdict.fault or f"off by {error:.1e}"}
            )
        self._take_turns(results)
        for name, result in results.items():
            if result["wall"]:
                self.seen[suite, family, name] = (n, min(result["wall"]))
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
        where = {"suite": suite, "family": family, "n": n, "seed": seed, "load": load}
        return [{**where, "solver": name, **result} for name, result in results.items()]

    def _take_turns(self, results: dict[str, dict[str, Any]]) -> None:
        field = [name for name, result in results.items() if result["status"] == "ok"]
        spent = dict.fromkeys(field, 0.0)
        for turn in range(self.repeat):
            for name in field[turn % len(field) :] + field[: turn % len(field)] if field else []:
                result = results[name]
                if result["status"] != "ok" or spent[name] > self.limit:
                    continue
                if result["seconds"] > LONG_SAMPLE:
                    result |= {"wall": [result["seconds"]], "cpu": [result["cpu_seconds"]]}
                    continue
                reply = self.worker.ask("clock", name, 3 * max(self.limit, result["seconds"]))
                if "status" in reply:
                    result |= reply
                    continue
                spent[name] += reply["took"]
                for key in ("wall", "cpu"):
                    result[key].append(float(f"{reply[key]:.4g}"))


# --- a whole run ----------------------------------------------------------------------------------------------------


def machine() -> dict[str, Any]:
    model = platform.processor()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    with suppress(OSError, subprocess.SubprocessError):
        root = Path(__file__).parent
        tell = ["git", "-C", str(root), "describe", "--always", "--dirty"]
        commit = subprocess.run(tell, capture_output=True, text=True, check=True).stdout.strip()
        return {**_platform(model), "commit": commit}
    return _platform(model)


def _platform(model: str) -> dict[str, Any]:
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def pairs(suite: str, n: int) -> float:
    """About how many entries of a cost matrix a problem has, or is worth."""
    return {"line": 10.0 * n, "batch": 1.2e6}.get(suite, float(n) ** 2)


def plan(rows: Iterable[tuple[str, Sequence[str], Sequence[int]]]) -> list[tuple[str, str, int]]:
    """The problems of (suite, family patterns, sizes), each once; the largest last, where time may run out."""
    problems = {}
    for suite, patterns, sizes in rows:
        table = families.SUITES[suite]
        for pattern in patterns:
            names = (
                list(table) if pattern == "all" else [pattern] if pattern in table else fnmatch.filter(table, pattern)
            )
            if not names:
                raise SystemExit(f"--families: {suite} has no {pattern!r}. It has: {'; '.join(table)}.")
            problems |= {(suite, name, n): None for name in names for n in sorted(sizes)}
    return sorted(problems, key=lambda problem: pairs(problem[0], problem[2]))


def predicted_seconds(
    problems: Sequence[tuple[str, str, int]], table: Sequence[Peer], repeat: int, limit: float
) -> float:
    """A guess for a machine of today: 0.3 s for a dense solver at n = 2,000, and one solver too slow for its limit."""
    total = 0.0
    for suite, _, n in problems:
        cells = pairs(suite, n)
        dense = min(limit, 7e-8 * cells * (1 if suite in ("line", "batch") else max(1.0, n / 2000) ** 0.5))
        takers = [peer for peer in table if suite in peer.solve and cells <= peer.largest]
        fast = sum(min(dense, 3e-4 * n) if peer.name == OURS and suite == "points" else dense for peer in takers)
        total += 0.5 + fast * (1 + repeat) + min(100 * dense, limit + 4) * (len(takers) > 1)
    return total


def choose_peers(names: Sequence[str]) -> list[Peer]:
    known = {peer.name: peer for peer in peers.PEERS}
    if unknown := [name for name in names if name not in known and name not in ("all", "none")]:
        raise SystemExit(f"--peers: no {unknown[0]!r}. Known: {'; '.join(known)}.")
    return [peer for name, peer in known.items() if name == OURS or name in names or "all" in names]


def run(args: argparse.Namespace, table: Sequence[Peer]) -> None:
    done_before = held(args)
    problems = [problem for problem in plan(args.rows) if problem not in done_before]
    table = [peer for peer in table if any(suite in peer.solve for suite, _, _ in problems)]
    versions = {peer.name: peer.version() for peer in table}
    absent = [peer for peer in table if versions[peer.name] is None]
    missing = {suite: [peer.name for peer in absent if suite in peer.solve] for suite in families.SUITES}
    table = [peer for peer in table if peer not in absent]
    head = {"machine": machine(), "threads": args.threads, "command": args.command, "versions": versions}
    stamp = head["run"] = f"{head['machine']['date']}/{os.getpid()}"
    print(f"{len(problems)} problems, {len(table)} solvers: {', '.join(f'{p.name} {versions[p.name]}' for p in table)}")
    print("missing: " + ", ".join(peer.name for peer in absent) if absent else "no peer is missing")
    guess = predicted_seconds(problems, table, args.repeat, args.limit) / 60
    print(f"about {guess:.0f} minutes on a quiet machine, {args.minutes:.0f} at most", flush=True)
    race = Race(table, threads=args.threads, repeat=args.repeat, limit=args.limit)
    started, done = time.monotonic(), 0
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with open(args.out, "a" if args.append or args.resume else "w") as file:
        print(json.dumps(head), file=file, flush=True)
        try:
            for suite, family, n in problems:
                if time.monotonic() - started > 60 * args.minutes:
                    break
                records = race(suite, family, n, args.seed)
                records += [{**_where(records), "solver": m, "status": "missing", "wall": []} for m in missing[suite]]
                for record in records:
                    print(json.dumps({"run": stamp, **record}), file=file, flush=True)
                done += 1
                spent = time.monotonic() - started
                print(_progress(records, done, len(problems), spent), flush=True)
        finally:
            race.worker.stop()
    for suite, family, n in problems[done:]:
        print(f"NOT RUN, the {args.minutes:.0f} minutes are over: {suite}, {family}, n = {n}")
    print(f"{done} problems in {(time.monotonic() - started) / 60:.1f} minutes -> {args.out}")


def held(args: argparse.Namespace) -> set[tuple[str, str, int]]:
    """What `--out` holds already, with as many threads, where this run is to go on from there."""
    if not (args.resume and args.out.exists()):
        return set()
    lines = [json.loads(line) for line in args.out.read_text().splitlines()]
    stamps = {line["run"] for line in lines if line.get("threads") == args.threads}
    return {(line["suite"], line["family"], line["n"]) for line in lines if "suite" in line and line["run"] in stamps}


def _where(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {key: records[0][key] for key in ("suite", "family", "n", "seed")}


def _progress(records: Sequence[dict[str, Any]], done: int, problems: int, spent: float) -> str:
    best = {r["solver"]: min(r["wall"]) for r in records if r["wall"]}
    ours = best.pop(OURS, None)
    peer = min(best, key=best.__getitem__, default=None)
    first = records[0]
    line = f"[{done}/{problems}, {spent / 60:.1f} min] {first['suite']}, {first['family']}, n = {first['n']}:"
    line += f" ours {ours:.4g} s" if ours else " ours " + first["status"]
    if peer:
        line += f", best peer {peer} {best[peer]:.4g} s" + (f", ratio {best[peer] / ours:.2f}" if ours else "")
    wrong = [f"{r['solver']} ({r['detail']})" for r in records if r["status"] in ("wrong", "failed", "crashed")]
    return line + ("; WRONG OR FAILED: " + ", ".join(wrong) if wrong else "")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__.split("\n\n")[0])
    parser.add_argument("suites", nargs="+", choices=[*families.SUITES, "all"], metavar="suite")
    parser.add_argument("--preset", choices=PRESETS, default="quick", help="families, sizes and limits (%(default)s)")
    parser.add_argument("--n", type=int, nargs="+", help="of the preset's sizes only these; or others, of all families")
    parser.add_argument("--families", nargs="+", help="names or patterns instead of the preset's; all")
    parser.add_argument("--peers", nargs="+", default=["all"], help="names, all or none")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, help="timed runs of each solver")
    parser.add_argument("--limit", type=float, help="seconds that a solver may take for one problem")
    parser.add_argument("--minutes", type=float, help="start no further problem after these")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("results.jsonl"))
    parser.add_argument("--append", action="store_true", help="add to --out")
    parser.add_argument("--resume", action="store_true", help="add what --out does not hold yet")
    args = parser.parse_args(argv)
    preset = PRESETS[args.preset]
    suites = list(families.SUITES) if "all" in args.suites else args.suites
    args.rows = [row for row in preset["rows"] if row[0] in suites]
    chosen = [(suite, names, [n for n in sizes if n in (args.n or sizes)]) for suite, names, sizes in args.rows]
    if args.n and not args.families and any(sizes for *_, sizes in chosen):
        args.rows = [row for row in chosen if row[2]]
    elif args.n or args.families:
        sizes = {s: args.n or sorted({n for row in preset["rows"] if row[0] == s for n in row[2]}) for s in suites}
        args.rows = [(s, args.families or ["*"], sizes[s]) for s in suites]
    for option in ("repeat", "limit", "minutes"):
        if getattr(args, option) is None:
            setattr(args, option, preset[option])
    args.command = "python -m benchmarks.run " + " ".join(f"'{a}'" if set(a) & set(" *,") else a for a in argv)
    return args


def main(argv: Sequence[str] | None = None) -> None:
    args = parse(sys.argv[1:] if argv is None else argv)
    for variable in THREAD_VARIABLES:  # the worker is a new process: it reads these before it imports anything
        os.environ[f"{variable}_NUM_THREADS"] = str(args.threads)
    run(args, choose_peers(args.peers))


if __name__ == "__main__":
    main()
