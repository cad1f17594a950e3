"""The benchmark for a GPU, run through on the CPU's stand-in for one: its records, its judgement, its pages."""

from __future__ import annotations

import argparse
import json
import sys
from types import SimpleNamespace

import distant
import numpy as np
import pytest
from distant import Distant, DistantFibers
from fibers import COMPILER

from benchmarks import gpu_assignment
from ot_distances import _resident, solvers
from ot_distances.solvers import device_auction

SMALL = {"WARM_UP": [8], "BATCHES": [(3, 8)], "POINTS": [24], "LEFT_FREE": [0.2], "REPEATS": 1, "COPIED": 2**10}


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


@pytest.mark.skipif(COMPILER is None, reason="needs g++")
def test_the_whole_run_writes_records_tables_and_a_figure(stand_in, tmp_path, capsys):
    gpu_assignment.main(argparse.Namespace(n=[20, 26], families=["uniform", "2-D"], minutes=5.0, out=tmp_path))
    head, *records = [json.loads(line) for line in (tmp_path / "gpu_assignment.jsonl").read_text().splitlines()]
    assert head["device"] == "fibers" and head["copy_bytes_per_second"] > 0
    by_suite = {suite: [r for r in records if r["suite"] == suite] for suite in {r["suite"] for r in records}}
    assert by_suite.keys() == {"one matrix", "batch", "points", "first timings"}
    for suite in ("one matrix", "batch"):
        done = [record for record in by_suite[suite] if "seconds" in record]
        assert {record["family"] for record in done} == {"uniform", "2-D"}
        assert all(record["off"] <= 1e-9 for record in done)
        assert len({record["solver"] for record in done}) >= 4
        assert {r["skipped"] for r in by_suite[suite] if "skipped" in r} == {"not installed"}
    page = (tmp_path / "gpu_assignment.md").read_text()
    assert "fibers, driver 13020" in page and "wrong" not in page
    assert page.count("\n| uniform |") == 3 and "## First timings, n = 26" in page
    assert (tmp_path / "gpu_assignment.png").stat().st_size > 1000


def test_wrong_answers_are_marked(stand_in):
    costs = Distant(np.arange(9.0).reshape(3, 3) ** 2)
    best = gpu_assignment.linear_assignment(costs.host)
    proof = SimpleNamespace(lower=best.lower, upper=best.upper)
    assert gpu_assignment.verdict(stand_in, costs, np.array(best.cols), proof) <= 1e-15
    worst = gpu_assignment.linear_assignment(costs.host, maximize=True).cols
    assert gpu_assignment.verdict(stand_in, costs, worst, proof) > 0.1
    assert np.isnan(gpu_assignment.verdict(stand_in, costs, np.array([0, 0, 1]), proof))
    shown = gpu_assignment.shown({"solver": "cuGraph", "seconds": 0.5, "off": float("nan")})
    assert shown == "0.5 **wrong by nan**"
    assert gpu_assignment.shown({"solver": "cuGraph", "seconds": 0.5, "off": 1e-7}) == "0.5"
    assert gpu_assignment.shown({"solver": "ours, resident", "seconds": 0.5, "off": 1e-7}).endswith(
        "wrong by 1.0e-07**"
    )


def test_what_would_take_too_long_is_skipped_with_its_reason(stand_in):
    clock = gpu_assignment.Clock(1.0)
    clock.took("SciPy, one core", "uniform", 1000, 10.0)
    problem = {"suite": "one matrix", "family": "uniform", "n": 4000, "count": 1}
    solvers = {"SciPy, one core": gpu_assignment.ONE["SciPy, one core"]}
    (record,) = gpu_assignment.compare(None, clock, problem, Distant(np.zeros((2, 2))), solvers)
    assert record["skipped"] == "would take some 640 s"


def test_without_a_device_it_says_so_in_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(SystemExit) as end:
        gpu_assignment.main(argparse.Namespace())
    assert str(end.value) == "gpu_assignment: the GPU needs the package 'cupy': pip install 'ot_distances[gpu]'"
