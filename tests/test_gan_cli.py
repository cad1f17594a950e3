"""`ot-distances gan` through main(argv): what is written, what is printed, what is refused; and what it is all for."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from ot_distances import gan  # noqa: E402
from ot_distances.__main__ import DIVERGED, main  # noqa: E402
from ot_distances.gan import data, objectives, plots, trainer  # noqa: E402

TINY = ["--width", "8", "--depth", "2", "--batch", "16", "--eval-points", "40", "--eval-every", "5", "--quiet"]


@pytest.fixture
def small_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "TRAIN", 72)
    monkeypatch.setattr(data, "HELD", 40)
    monkeypatch.setattr(trainer, "SAMPLES", 50)


def run(*argv: object) -> int:
    return main(["gan", *map(str, argv)])


def sentence_of(capsys: pytest.CaptureFixture[str], *argv: object) -> str:
    assert run(*argv) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line.removeprefix("ot-distances: error: ")


def is_picture(path: Path) -> bool:
    return path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("small_data")
def test_a_run_from_start_to_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "ring"
    options = ["--data", "ring8", "--objective", "primal", "--p", 2, "--sampler", "stratified", "--latent", "sobol"]
    assert run("train", *options, "--steps", 10, "--seed", 3, "--out", out, *TINY) == 0
    config = gan.RunConfig.from_dict(json.loads((out / "config.json").read_text()))
    assert (config.objective, config.sampler, config.latent, config.seed) == (gan.Primal(p=2), "stratified", "sobol", 3)
    summary = json.loads((out / "summary.json").read_text())
    assert {"modes", "high_quality", "w1", "w1_floor", "w2", "seconds"} <= set(summary)
    assert [row["step"] for row in map(json.loads, (out / "metrics.jsonl").read_text().splitlines())] == [0, 5, 10]
    assert all(is_picture(out / name) for name in ("samples.png", "curves.png"))
    assert not (out / "walk.png").exists()
    printed = capsys.readouterr().out
    assert f"{summary['w1']:.4g}" in printed
    assert str(out / "samples.png") in printed
    assert run("resume", out, "--more", 5, "--quiet") == 0
    assert run("resume", out, "--until", 20, "--quiet") == 0
    capsys.readouterr()
    assert run("report", out, out, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["runs"][str(out)]["summary"]["step"] == 20


@pytest.mark.usefixtures("small_data")
def test_compare_differs_in_the_objective_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["primal", "wgan_gp", "js"]
    assert run("compare", *names, "--p", 2, "--steps", 3, "--out", tmp_path, *TINY) == 0
    printed = capsys.readouterr().out
    assert is_picture(tmp_path / "compare.png")
    header, *rows = printed.splitlines()
    assert header.split() == [str(tmp_path / name) for name in names]
    table = {row.split()[0]: row.split()[1:] for row in rows if row}
    assert table["objective.name"] == names
    assert table["objective.p"] == ["2.0", "-", "-"]
    assert len(table["w1"]) == 3
    assert "batch" not in table
    assert "seed" not in table
    starts = [np.load(tmp_path / name / "samples" / "00000000.npy") for name in names]
    np.testing.assert_array_equal(starts[0], starts[1])
    np.testing.assert_array_equal(starts[0], starts[2])


@pytest.mark.parametrize(
    "options",
    [
        ["--net", "dcgan", "--objective", "vanilla", "--batch-norm"],
        ["--net", "dcgan", "--objective", "wgan_gp", "--attention"],
        ["--objective", "primal", "--term", "code", "--term", "orthogonal=1e-3"],
    ],
    ids=["dcgan", "self-attention", "infogan and biggan"],
)
def test_images_train_by_every_kind_of_network(options: list[str], tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    assert run("train", "--data", "digits", *options, "--steps", 5, "--out", tmp_path / "run", *TINY) == 0
    assert is_picture(tmp_path / "run" / "walk.png")
    rows = trainer.read_log(tmp_path / "run")
    if "--term" in options:
        assert {"term_code", "term_orthogonal"} <= set(rows[-1])
        assert rows[-1]["term_orthogonal"] > 0
    assert np.abs(np.load(tmp_path / "run" / "walk.npy")).max() <= 1


@pytest.mark.usefixtures("small_data")
def test_cyclegan_translates_one_data_set_into_another(tmp_path: Path) -> None:
    options = ["--latent", "swissroll", "--data", "ring8", "--term", "cycle=1", "--sampler", "stratified"]
    assert (
        run("train", *options, "--steps", 60, "--generator-rate", "0.01", "--out", tmp_path, *TINY, "--width", 32) == 0
    )
    cycle = [row["term_cycle"] for row in trainer.read_log(tmp_path) if "term_cycle" in row]
    assert cycle[-1] < 0.6 * cycle[0]
    assert gan.restore(tmp_path).fixed.shape[1] == 2


@pytest.mark.usefixtures("small_data")
def test_what_cannot_be_run_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert sentence_of(capsys, "train", "--objective", "vanilla", "--p", 2, "--out", out).startswith(
        "`vanilla option` must be one of 'saturating', 'n_critic', but it is 'p'."
    )
    assert sentence_of(capsys, "train", "--data", "cifar", "--out", out).startswith("`data` must be one of ring8")
    assert sentence_of(capsys, "report", out).startswith("`DIR` must hold a run that came to an end")
    assert run("train", "--steps", 1, "--out", out, *TINY) == 0
    capsys.readouterr()
    assert sentence_of(capsys, "train", "--steps", 1, "--out", out, *TINY).startswith("`out` must be a new folder")
    assert sentence_of(capsys, "resume", out, "--until", 0).startswith("`until` must be at least the 1 steps made")
    wrongs = ["train --objective gan", f"resume {out}", "train --shape 8,8", "train --term code=x", "nothing"]
    for wrong in (*wrongs, "train --out x --preset wgan_paper --objective primal"):
        with pytest.raises(SystemExit) as stopped:
            run(*wrong.split())
        assert stopped.value.code == 2


@pytest.mark.usefixtures("small_data")
def test_a_run_that_diverges_has_its_own_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rates = ["--generator-rate", "1e30", "--critic-rate", "1e30", "--save-every", "1"]
    options = ["--objective", "vanilla", *rates, "--steps", 50, "--out", tmp_path / "run"]
    assert run("train", *options, *TINY) == DIVERGED
    assert "The last good checkpoint is" in capsys.readouterr().err


@pytest.mark.usefixtures("small_data")
def test_the_preset_keeps_other_options(tmp_path: Path) -> None:
    options = ["--preset", "wgan_paper", "--seed", 5, "--clip", 0.02, "--steps", 1, "--out", tmp_path]
    assert run("train", *options, *TINY) == 0
    config = gan.restore(tmp_path).config
    assert (config.objective, config.optimizer, config.seed, config.width) == (gan.WGAN(clip=0.02), "rmsprop", 5, 8)


def test_every_setting_is_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("train", "--help")
    text = capsys.readouterr().out
    for name in ("--generator-rate", "--eval-every", "--clip", "--penalty", "--bandwidth", "--term", "--tensorboard"):
        assert name in text


def test_help_needs_no_torch(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "train generators" in capsys.readouterr().out
    for module in [name for name in sys.modules if name.startswith(("ot_distances.gan", "ot_distances.commands.gan"))]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["gan", "train", "--out", "x"]) == 2
    assert "needs the package 'torch': pip install 'ot_distances[torch]'" in capsys.readouterr().err


@pytest.mark.parametrize(("n", "d"), [(3, 1), (500, 2), (40, 5)])
def test_points_of_any_dimension_are_drawn(n: int, d: int, tmp_path: Path, rng: np.random.Generator) -> None:
    held = rng.normal(size=(30, d)).astype(np.float32)
    toy = gan.Dataset("toy", held, held)
    path = plots._draw_panels([(f"panel {k}", rng.normal(size=(n, d))) for k in range(8)], toy, tmp_path / "x.png")
    assert is_picture(path)


def ring(objective: gan.Objective, seed: int, followed: bool, steps: int, out: Path, **changes: Any) -> dict[str, Any]:
    sampler, latent = ("stratified", "sobol") if followed else ("random", "normal")
    config = gan.RunConfig(objective=objective, sampler=sampler, latent=latent, seed=seed, eval_every=steps, **changes)
    return gan.train(config, out, steps=steps)


def test_batches_that_follow_the_laws_make_the_difference(tmp_path: Path) -> None:
    """The short form of the next test."""
    followed, random = (ring(gan.Primal(p=2), 0, which, 400, tmp_path / str(which)) for which in (True, False))
    assert followed["modes"] == 8
    assert followed["high_quality"] > 2 * random["high_quality"]
    assert followed["w1"] < random["w1"] - 0.1


def test_the_solver_takes_the_smaller_part_of_a_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At m = 256, once the generator has left its start."""
    solve, spent = objectives.linear_assignment, [0.0]

    def clocked(costs: Any) -> Any:
        began = time.process_time()
        found = solve(costs)
        spent[0] += time.process_time() - began
        return found

    monkeypatch.setattr(objectives, "linear_assignment", clocked)
    run = gan.Trainer(gan.RunConfig(objective=gan.Primal(p=2), batch=256, eval_every=10**6), tmp_path)
    run.run(60)
    began, spent[0] = time.process_time(), 0.0
    run.run(160)
    assert 0 < spent[0] < 0.5 * (time.process_time() - began)


@pytest.mark.slow
def test_the_ring_of_8_on_five_seeds(tmp_path: Path) -> None:
    """Primal, p = 2, m = 64, 2,000 steps: all modes on every seed, and twice the share of good samples."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found: dict[bool, list[dict[str, Any]]] = {}
    try:
        for followed in (True, False):
            began = time.process_time()
            found[followed] = [
                ring(gan.Primal(p=2), seed, followed, 2000, tmp_path / f"{followed}{seed}") for seed in range(5)
            ]
            seconds = (time.process_time() - began) / 5
            assert seconds < 12, "6 s, or twice that on a busy machine"
    finally:
        torch.set_num_threads(threads)
    assert [one["modes"] for one in found[True]] == [8] * 5
    good, random = ([one["high_quality"] for one in found[which]] for which in (True, False))
    assert min(good) > 2 * max(random)
    assert max(one["w1"] for one in found[True]) < min(one["w1"] for one in found[False]) - 0.1
