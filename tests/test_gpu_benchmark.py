"""The benchmark for a GPU, run through on the CPU's stand-in for one: its records, its judgement, its pages."""

from __future__ import annotations

import argparse
import json
import sys
import time
from types import SimpleNamespace

import distant
import numpy as np
import pytest
from distant import Distant, DistantFibers
from fibers import COMPILER

from benchmarks import gpu_assignment, gpu_book
from ot_distances import _resident, solvers
from ot_distances.solvers import device_auction

SMALL = {
    "BATCHES": [(3, 8)],
    "POINTS": [24],
    "CLOUDS": [(2, 8, 3)],
    "LEFT_FREE": [4],
    "LEFT_OF_POINTS": [4],
    "REPEATS": 1,
    "COPIED": 2**10,
    "TARGETS": (20,),
    "FIRST": [(26, "uniform"), (20, "2-D")],
    "COMPILED": [("matrix", 8)],
    "MATRICES": [(9, 12)],
    "STACKS": [(3, 6, 5)],
    "CHECKED_CLOUDS": [(9, 2)],
}


class Device(distant.Device):
    def __init__(self, number=0):
        super().__init__(number)

    def synchronize(self):
        pass


class Generator:
    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def random(self, size, dtype):
        return Distant(self.rng.random(size, dtype=dtype))


def copyto(target, source):
    target[...] = source


@pytest.fixture
def stand_in(monkeypatch):
    """CuPy as far as the benchmark uses it, beside what the solvers use."""
    parts = vars(distant.cupy) | {name: getattr(np, name) for name in ("float32", "float64", "int64", "nan")}
    parts |= {name: distant._far(getattr(np, name)) for name in ("empty_like", "sqrt")}
    runtime = SimpleNamespace(
        **vars(distant.RUNTIME),
        driverGetVersion=lambda: 13020,
        runtimeGetVersion=lambda: 13020,
        getDeviceProperties=lambda number: {"name": b"fibers"},
    )
    cuda = SimpleNamespace(runtime=runtime, Device=Device, memory=SimpleNamespace(OutOfMemoryError=MemoryError))
    xp = SimpleNamespace(**parts)
    xp.cuda, xp.random, xp.copyto = cuda, SimpleNamespace(default_rng=Generator), copyto
    xp.get_default_memory_pool = lambda: SimpleNamespace(free_all_blocks=lambda: None)
    device = type("StandIn", (DistantFibers,), {"xp": xp})
    monkeypatch.setitem(sys.modules, "cupy", xp)
    monkeypatch.setattr(_resident, "Cuda", device)
    monkeypatch.setattr(gpu_assignment, "Cuda", device)
    for name, value in SMALL.items():
        monkeypatch.setattr(gpu_assignment, name, value)
    for module, name, value in (
        (solvers, "DEVICE_ROWS", 2),
        (device_auction, "ROUNDS", 4),
    ):
        monkeypatch.setattr(module, name, value)
    return xp


def records_of(folder):
    return [json.loads(line) for line in (folder / "gpu_assignment.jsonl").read_text().splitlines()]


HEAD = {"device": "a", "driver": 1, "cores": 1, "date": "", "versions": {}, "copy_bytes_per_second": 1.0}


def arguments(folder, minutes=5.0, n=(20, 26), families=("uniform", "2-D")):
    return argparse.Namespace(n=[*n], families=[*families], minutes=minutes, out=folder)


@pytest.mark.skipif(COMPILER is None, reason="needs g++")
def test_the_whole_run_writes_records_tables_and_a_figure(stand_in, tmp_path, capsys):
    gpu_assignment.work(arguments(tmp_path, minutes=0.0))
    assert [record["device"] for record in records_of(tmp_path)] == ["fibers"]  # no time for more
    gpu_assignment.work(arguments(tmp_path))
    gpu_assignment.finish(tmp_path)
    head, *records = records_of(tmp_path)
    assert head["copy_bytes_per_second"] > 0 and not (tmp_path / "begun.json").exists()
    assert not [record for record in records if "traceback" in record]
    by_suite = {suite: [r for r in records if r["suite"] == suite] for suite in {r["suite"] for r in records}}
    assert by_suite.keys() == {"one matrix", "batch", "points", "first timings", "checks"}
    order = [*dict.fromkeys(record["suite"] for record in records)]
    assert order == ["checks", "one matrix", "batch", "points", "first timings"]
    assert len({*map(gpu_assignment.key, records)}) == len(records)
    assert len(by_suite["checks"]) == 7 and all(r["off"] <= 1e-6 for r in by_suite["checks"] if "off" in r)
    for suite in ("one matrix", "batch"):
        done = [record for record in by_suite[suite] if "seconds" in record]
        assert {record["family"] for record in done} == {"uniform", "2-D"}
        assert all(record["off"] <= 1e-9 for record in done)
        assert len({record["solver"] for record in done}) >= 4
        assert {r["skipped"] for r in by_suite[suite] if "skipped" in r} == {"not installed"}
    assert {(r["family"], r["count"]) for r in by_suite["points"]} == {("2-D", 1), ("3-D", 2)}
    assert all(record["off"] <= 1e-9 for record in by_suite["points"] if record["solver"] != gpu_assignment.OURS)
    assert {"2-D points", "2-D", "uniform"} == {record["family"] for record in by_suite["first timings"]}
    page = (tmp_path / "gpu_assignment.md").read_text()
    assert "fibers, driver 13020" in page and "wrong" not in page
    assert page.count("\n| uniform |") == 3 and "## First timings" in page and "## Checks" in page
    assert (tmp_path / "gpu_assignment.png").stat().st_size > 1000


@pytest.mark.skipif(COMPILER is None, reason="needs g++")
@pytest.mark.parametrize("broken", ["linear_assignment", "wasserstein", "stages", "costs"])
def test_what_fails_is_written_down_and_the_rest_goes_on(broken, stand_in, tmp_path, monkeypatch, capsys):
    def fail(*args, **options):
        raise RuntimeError("cudaErrorIllegalAddress")

    monkeypatch.setattr(gpu_assignment, broken, fail)
    monkeypatch.setattr(gpu_assignment, "checks_and_compilation", gpu_assignment.checks)
    gpu_assignment.work(arguments(tmp_path, n=(12,), families=("uniform",)))
    _, *records = records_of(tmp_path)
    failed = [record for record in records if "traceback" in record]
    assert failed and {r["skipped"] for r in failed} == {"failed: RuntimeError: cudaErrorIllegalAddress"}
    assert all("in fail" in record["traceback"] for record in failed)
    done = {record["suite"] for record in records if "seconds" in record}
    assert {"points"} <= done if broken != "wasserstein" else {"one matrix", "batch"} <= done
    gpu_assignment.finish(tmp_path)
    assert "cudaErrorIllegalAddress" in (tmp_path / "gpu_assignment.md").read_text()


def test_a_lost_device_ends_the_process(tmp_path, capsys):
    def lost():
        raise RuntimeError("no answer")

    row = {"suite": "checks", "family": "matrix", "n": 1, "count": 1, "what": "any"}
    book = gpu_book.Book(tmp_path, HEAD, gpu_book.Clock(1.0), lost)
    with pytest.raises(SystemExit, match="the device is lost: no answer"), book.attempt(row):
        assert json.loads((tmp_path / "begun.json").read_text()) == row
        raise ValueError("bad")
    assert records_of(tmp_path)[-1]["skipped"] == "failed: ValueError: bad"
    assert not (tmp_path / "begun.json").exists()


WORKER = """
import json, os, sys, time
from pathlib import Path
folder = Path(sys.argv[1])
done = (folder / "gpu_assignment.jsonl").read_text().splitlines() if (folder / "gpu_assignment.jsonl").exists() else []
for what in range(len(done), 4):
    row = {"what": what}
    (folder / "begun.json").write_text(json.dumps(row))
    if what == 1: os.kill(os.getpid(), 9)
    if what == 2: time.sleep(60)
    with (folder / "gpu_assignment.jsonl").open("a") as file: file.write(json.dumps(row | {"seconds": 1}) + "\\n")
    (folder / "begun.json").unlink()
"""


def test_a_process_that_dies_or_stands_still_is_started_again_behind_it(tmp_path, capsys):
    gpu_book.supervise([sys.executable, "-c", WORKER, str(tmp_path)], tmp_path, 1.0, patience=1.0)
    ended = [record.get("skipped") for record in records_of(tmp_path)]
    assert ended == [None, "failed: the process ended with -9", "failed: no end after 1 s", None]


@pytest.mark.parametrize(("text", "minutes"), [("raise SystemExit(1)", 1.0), ("import time; time.sleep(60)", 0.03)])
def test_a_process_that_does_nothing_is_given_up(text, minutes, tmp_path, capsys):
    begin = time.monotonic()
    gpu_book.supervise([sys.executable, "-c", text], tmp_path, minutes, patience=0.2)
    assert time.monotonic() - begin < 5 and not list(tmp_path.iterdir())


def test_a_run_goes_on_where_the_last_one_ended(tmp_path, capsys):
    clock = gpu_book.Clock(1.0)
    done, late, broken = (
        {"suite": "one matrix", "family": "uniform", "n": n, "count": 1, "solver": "SciPy"} for n in (10, 20, 30)
    )
    book = gpu_book.Book(tmp_path, HEAD, clock)
    book.add({**done, "seconds": 1.0})
    book.add({**late, "skipped": "would take some 90 s"})
    book.add({**broken, "skipped": "failed: RuntimeError: no"})
    again = gpu_book.Book(tmp_path, HEAD, clock)
    assert [again.wants(record) for record in (done, late, broken)] == [False, True, False]
    assert clock.foreseen(late) == 8.0
    assert not gpu_book.Book(tmp_path, HEAD, gpu_book.Clock(0.0)).wants(late)
    with pytest.raises(SystemExit, match=r"gpu_assignment\.jsonl is of a\. Name another folder"):
        gpu_book.Book(tmp_path, HEAD | {"device": "b"}, clock)


def test_the_process_that_works_is_asked_for_the_same(stand_in, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(gpu_assignment, "supervise", lambda *given: asked.append(given))
    given = ["--n", "100", "200", "--families", "2-D", "far apart", "--minutes", "9", "--out", str(tmp_path / "new")]
    args = gpu_assignment.parser().parse_args(given)
    gpu_assignment.main(args)
    ((command, folder, minutes),) = asked
    again = gpu_assignment.parser().parse_args([*command[2:], "--minutes", "9"])
    assert vars(again) == vars(args) | {"work": True} and folder.is_dir() and 8.5 < minutes < 9
    assert command[:2] == [sys.executable, gpu_assignment.__file__]


def test_wrong_answers_are_marked(stand_in):
    costs = Distant(np.arange(9.0).reshape(3, 3) ** 2)
    best = gpu_assignment.linear_assignment(costs.host)
    proof = SimpleNamespace(lower=best.lower, upper=best.upper)
    assert gpu_assignment.verdict(stand_in, costs, np.array(best.cols), proof) <= 1e-15
    worst = gpu_assignment.linear_assignment(costs.host, maximize=True).cols
    assert gpu_assignment.verdict(stand_in, costs, worst, proof) > 0.1
    assert np.isnan(gpu_assignment.verdict(stand_in, costs, np.array([0, 0, 1]), proof))
    shown = gpu_book.shown({"solver": "cuGraph", "seconds": 0.5, "off": float("nan")})
    assert shown == "0.5 **wrong by nan**"
    assert gpu_book.shown({"solver": "cuGraph", "seconds": 0.5, "off": 1e-7}) == "0.5"
    assert gpu_book.shown({"solver": "ours, resident", "seconds": 0.5, "off": 1e-7}).endswith("wrong by 1.0e-07**")


def test_what_would_take_too_long_is_skipped_with_its_reason(stand_in, tmp_path, capsys):
    clock = gpu_book.Clock(1.0)
    problem = {"suite": "one matrix", "family": "uniform", "n": 4000, "count": 1}
    clock.took({**problem, "n": 1000, "solver": "SciPy, one core", "seconds": 10.0})
    solvers = {"SciPy, one core": gpu_assignment.ONE["SciPy, one core"]}
    book = gpu_book.Book(tmp_path, HEAD, clock)
    gpu_assignment.compare(gpu_assignment.Cuda(), book, problem, lambda: Distant(np.eye(2)), solvers)
    (record,) = book.records.values()
    assert record["skipped"] == "would take some 640 s"


def test_without_a_device_it_says_so_in_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(SystemExit) as end:
        gpu_assignment.main(argparse.Namespace())
    assert str(end.value) == "gpu_assignment: the GPU needs the package 'cupy': pip install 'ot_distances[gpu]'"
