"""The gallery of docs/gallery: the cheap experiments run again, and every page follows from the results beside it."""

from __future__ import annotations

import ast
import json
import pickle
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import ot_distances
from benchmarks.experiments import EXPERIMENTS, base, page
from benchmarks.experiments.base import Claim, Criterion, Experiment, Part
from benchmarks.experiments.schedule import missing
from ot_distances import gan

CHEAP = [experiment for experiment in EXPERIMENTS if experiment.cheap]
SEEDS = {"e05-vanishing-gradient": 1}  # a few seconds a seed; the others take less than one
KNOWN = {"reproduced", "only under these conditions", "wrong", "not reproduced here"}


def failed(experiment: Experiment, results: base.Results) -> list[str]:
    return [one.says for claim in experiment.claims for one in claim.criteria if not one.holds(results)]


@pytest.mark.parametrize("experiment", CHEAP, ids=lambda one: one.name)
def test_criteria_hold_when_run_again(experiment: Experiment) -> None:
    seeds = SEEDS.get(experiment.name, 3)
    results = {
        part.name: [json.loads(json.dumps(part.run(seed))) for seed in range(min(seeds, part.seeds))]
        for part in experiment.parts
    }
    assert failed(experiment, results) == []


@pytest.mark.parametrize("experiment", CHEAP, ids=lambda one: one.name)
def test_criteria_hold_on_all_seeds_that_were_kept(experiment: Experiment) -> None:
    results = base.read(experiment.parts)
    assert {len(results[part.name]) - part.seeds for part in experiment.parts} == {0}
    assert failed(experiment, results) == []


@pytest.mark.parametrize("name, text", page.pages().items())
def test_pages_agree_with_the_results(name: str, text: str) -> None:
    """If not: python -m benchmarks.experiments pages."""
    assert (base.GALLERY / name).read_text("utf-8") == text


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda one: one.name)
def test_every_claim_names_its_source_and_its_criteria(experiment: Experiment) -> None:
    for claim in experiment.claims:
        assert claim.source and claim.criteria
        assert {claim.verdict, claim.otherwise} <= KNOWN
    files = {path.name for path in (base.GALLERY / "figures").glob(f"{experiment.name}-*")}
    drawn = len(experiment.figures) if page.drawable(experiment, base.read(experiment.parts)) else 0
    assert files == {page.figure_path(experiment, k).name for k in range(drawn)}


def test_experiments_know_public_names_only() -> None:
    """How figures look is the one thing shared with the pictures of the package."""
    files = Path(page.__file__).parent.glob("*.py")
    for path in files:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ot_distances"):
                names = {alias.name for alias in node.names}
                allowed = {"LOOK"} if node.module == "ot_distances.plotting" else {"gan", *ot_distances.__all__}
                assert names <= allowed, path.name
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("ot", "gan"):
                assert node.attr in {"losses", *ot_distances.__all__, *gan.__all__}, f"{path.name}: {node.attr}"


def test_figures_are_small() -> None:
    for path in (base.GALLERY / "figures").glob("*.png"):
        assert path.stat().st_size <= page.LARGEST_FIGURE


def test_the_errata_point_at_claims_that_do_not_simply_hold() -> None:
    text = (base.GALLERY.parent / "errata.md").read_text("utf-8").partition("## What only an experiment can tell")[2]
    by_name = {experiment.name: experiment for experiment in EXPERIMENTS}
    rows = [re.findall(r"gallery/(e\d\d-[\w-]+)\.md", row) for row in text.splitlines() if "gallery/" in row]
    assert len(rows) >= 8
    for named in rows:
        verdicts = {
            page.verdict(claim, base.read(by_name[name].parts)) for name in named for claim in by_name[name].claims
        }
        assert verdicts - {"reproduced"}, named


def toy(value: float, *, ready: bool = True) -> Experiment:
    part = Part("toy/part", partial(lambda seed, scale: {"x": scale * seed}, scale=value), 4, 2, lambda: ready)
    largest = Criterion("largest", lambda r: max(base.column(r["toy/part"], "x")), "<", 5.0)
    claim = Claim("here", "x is small", (largest,), "reproduced", "As it should.", "wrong", "It grows.")
    return Experiment(
        "e99-toy", "Toy", "Numbers.", (part,), (claim,), lambda r: iter([("All", (["n"], [[len(r["toy/part"])]]))])
    )


@pytest.fixture
def gallery(tmp_path, monkeypatch):
    monkeypatch.setattr(base, "GALLERY", tmp_path)
    return tmp_path


def fill(experiment: Experiment, full: bool = True) -> None:
    for seed, part in missing([experiment], full):
        base.write(part, seed, 0.0, part.run(seed))


def test_a_run_that_was_cut_short_goes_on_where_it_stood(gallery) -> None:
    experiment = toy(1.0)
    fill(experiment, full=False)
    assert [seed for seed, _ in missing([experiment], True)] == [2, 3]
    fill(experiment)
    assert missing([experiment], True) == []
    assert base.column(base.read(experiment.parts)["toy/part"], "x") == [0, 1, 2, 3]


def test_the_command_runs_what_is_missing_in_processes_of_its_own(tmp_path) -> None:
    shutil.copytree(Path(page.__file__).parents[1], tmp_path / "benchmarks", ignore=shutil.ignore_patterns("results"))
    command = [sys.executable, "-m", "benchmarks.experiments", "quick", "e02", "--processes", "2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "e02/blocks, seed 0:" in done.stdout
    assert (tmp_path / "docs" / "gallery" / "e02-blocks.md").exists()


def test_every_part_can_be_sent_to_a_process() -> None:
    for part in (part for experiment in EXPERIMENTS for part in experiment.parts):
        pickle.loads(pickle.dumps(part.run))


def test_results_of_other_settings_do_not_count(gallery) -> None:
    fill(toy(1.0))
    assert dict(base.read(toy(2.0).parts)) == {}
    assert len(missing([toy(2.0)], True)) == 4


def test_what_this_machine_lacks_is_not_run(gallery) -> None:
    assert missing([toy(1.0, ready=False)], True) == []


@pytest.mark.parametrize("scale, verdict, why", [(1.0, "reproduced", "As it should."), (2.0, "wrong", "It grows.")])
def test_a_verdict_hangs_on_its_criteria(gallery, scale: float, verdict: str, why: str) -> None:
    experiment = toy(scale)
    fill(experiment)
    text = page.render(experiment, base.read(experiment.parts))
    assert f"| x is small | here | **{verdict}** |" in text
    assert f"{verdict}. {why}" in text
    assert ("| **no** |" in text) == (verdict == "wrong")
    assert "4 seeds" in text


def test_a_page_without_results_says_so(gallery) -> None:
    experiment = toy(1.0)
    text = page.render(experiment, base.read(experiment.parts))
    assert "Not run yet" in text and "**not run**" in text and "## Results" not in text


def test_a_page_tells_how_many_seeds_are_missing(gallery) -> None:
    experiment = toy(1.0)
    fill(experiment, full=False)
    assert "2 of 4 planned seeds" in page.render(experiment, base.read(experiment.parts))


def test_points_survive_their_packing(rng) -> None:
    points = rng.normal(size=(20, 2))
    found = base.unpack(json.loads(json.dumps(base.pack(points))))
    assert np.abs(found - points).max() <= np.ptp(points) / 510 * 1.001
    assert (base.unpack(base.pack(np.zeros((2, 3)))) == 0).all()
