"""Runs of the harness: repeatable to the last bit, stopped and resumed at any moment, refused where they must be."""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from ot_distances import gan  # noqa: E402
from ot_distances.gan import config as configs  # noqa: E402
from ot_distances.gan import data, objectives, trainer  # noqa: E402

TINY = gan.RunConfig(width=8, depth=2, batch=16, eval_points=40, log_every=1, eval_every=10, save_every=10)
# One row for each kind of state that a run carries along.
RUNS = {
    "primal": replace(TINY, sampler="stratified", latent="sobol"),
    "vanilla with batch normalisation": replace(TINY, objective=gan.Vanilla(), batch_norm=True),
    "wgan_gp": replace(TINY, objective=gan.WGANGP(), sampler="kdpp"),
    "wgan": replace(gan.wgan_paper(), width=8, batch=16, eval_points=40, log_every=1, eval_every=10, save_every=10),
    "semi-dual": replace(TINY, objective=gan.SemiDual(n_critic=2), latent="uniform"),
    "sliced with terms": replace(
        TINY, objective=gan.Sliced(n_projections=8), terms={"code": 1.0, "cycle": 0.5, "orthogonal": 0.01}
    ),
    "translation": replace(TINY, objective=gan.JS(), latent="segment", optimizer="sgd"),
}


@pytest.fixture(autouse=True)
def small_data(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Runs of these tests are about their course, not about their quality."""
    monkeypatch.setattr(data, "TRAIN", 72)
    monkeypatch.setattr(data, "HELD", 40)
    monkeypatch.setattr(trainer, "SAMPLES", 50)
    yield


def rows_of(out: Path) -> list[dict[str, float]]:
    """The log without the clock."""
    return [{name: value for name, value in row.items() if name != "seconds"} for row in trainer.read_log(out)]


def without_clock(value: Any) -> Any:
    return {key: entry for key, entry in value.items() if key != "seconds"}


def assert_same(a: Any, b: Any) -> None:
    """Equal to the last bit, through nested containers."""
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for one, other in zip(a, b):
            assert_same(one, other)
    elif isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    else:
        assert a == b


def assert_same_runs(one: Path, other: Path) -> None:
    first, second = (torch.load(out / trainer.CHECKPOINT, weights_only=True) for out in (one, other))
    assert_same(without_clock(first), without_clock(second))
    assert rows_of(one) == rows_of(other)
    tables = [(out / trainer.TABLE).read_text().splitlines() for out in (one, other)]
    assert len(tables[0]) == len(tables[1]) == len(rows_of(one)) + 1


@pytest.mark.parametrize("config", RUNS.values(), ids=RUNS)
def test_a_resumed_run_is_the_uninterrupted_one(config: gan.RunConfig, tmp_path: Path) -> None:
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    gan.train(config, straight, steps=20)
    gan.train(config, stopped, steps=7)
    gan.resume(stopped, more=4)
    summary = gan.resume(stopped, until=20)
    assert summary["step"] == 20
    assert_same_runs(straight, stopped)


@pytest.mark.parametrize("last", [7, 17])
def test_a_killed_run_takes_back_what_its_checkpoint_does_not_know(
    last: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    gan.train(RUNS["primal"], straight, steps=25)
    whole = gan.Trainer._one_step

    def step(self: gan.Trainer) -> dict[str, float]:
        if self.step == last:
            raise MemoryError("killed")
        return whole(self)

    monkeypatch.setattr(gan.Trainer, "_one_step", step)
    with pytest.raises(MemoryError):
        gan.train(RUNS["primal"], killed, steps=25)
    with open(killed / trainer.LOG, "a") as log:
        log.write('{"step": 18, "gener')  # a line cut off
    monkeypatch.undo()
    monkeypatch.setattr(data, "TRAIN", 72)
    monkeypatch.setattr(data, "HELD", 40)
    monkeypatch.setattr(trainer, "SAMPLES", 50)
    written = (killed / trainer.LOG).read_text()
    assert gan.restore(killed).step == last - 7
    assert (killed / trainer.LOG).read_text() == written, "whoever looks at a run changes nothing"
    gan.resume(killed, until=25)
    assert_same_runs(straight, killed)


def on_step(monkeypatch: pytest.MonkeyPatch, kind: type, step: int, act: Callable[[], None]) -> None:
    """Do something in the middle of one generator step of an objective."""
    whole, calls = kind.generator_loss, []

    def loss(self: Any, *arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == step:
            act()
        return whole(self, *arguments)

    monkeypatch.setattr(kind, "generator_loss", loss)


def test_ctrl_c_finishes_the_step_and_saves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    gan.train(RUNS["vanilla with batch normalisation"], straight, steps=20)
    on_step(monkeypatch, objectives.Vanilla, 13, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        gan.train(RUNS["vanilla with batch normalisation"], stopped, steps=20)
    assert gan.restore(stopped).step == 13
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    gan.resume(stopped, until=20)
    assert_same_runs(straight, stopped)


def test_the_second_ctrl_c_does_not_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    on_step(monkeypatch, objectives.Primal, 13, twice)
    with pytest.raises(KeyboardInterrupt):
        gan.train(TINY, tmp_path / "run", steps=20)
    assert gan.restore(tmp_path / "run").step == 10


@pytest.mark.parametrize("name", ["vanilla with batch normalisation", "wgan_gp", "semi-dual", "sliced with terms"])
def test_all_objectives_start_alike_and_see_the_same_batches(name: str, tmp_path: Path) -> None:
    settings = {"sampler": "stratified", "latent": "sobol", "batch_norm": RUNS[name].batch_norm}
    one = gan.Trainer(replace(TINY, **settings), tmp_path / "one")
    other = gan.Trainer(replace(RUNS[name], **settings), tmp_path / "other")
    for a, b in zip(one.generator.parameters(), other.generator.parameters()):
        assert torch.equal(a, b)
    drawn: list[list[Any]] = [[], []]
    for run, seen in zip((one, other), drawn):
        draw = run.draw
        run.draw = lambda draw=draw, seen=seen: seen.append(draw()) or seen[-1]  # type: ignore[method-assign, func-returns-value, misc]
        run.run(12)
    shared = min(map(len, drawn))
    assert shared == 12
    for (x, _, z), (other_x, _, other_z) in zip(*drawn):
        assert torch.equal(x, other_x)
        assert torch.equal(z, other_z)


def test_seeds_differ_in_every_stream(tmp_path: Path) -> None:
    one, other = (gan.Trainer(replace(TINY, seed=seed), tmp_path / str(seed)) for seed in (0, 1))
    assert not torch.equal(next(one.generator.parameters()), next(other.generator.parameters()))
    (x, _, z), (other_x, _, other_z) = one.draw(), other.draw()
    assert not torch.equal(x, other_x)
    assert not torch.equal(z, other_z)


def test_evaluation_does_not_touch_the_training(tmp_path: Path) -> None:
    config = RUNS["vanilla with batch normalisation"]
    runs = [gan.Trainer(replace(config, eval_every=every), tmp_path / str(every)) for every in (1, 1000)]
    for run in runs:
        run.run(6)
    for a, b in zip(*(run.generator.state_dict().values() for run in runs)):
        assert torch.equal(a, b)


@pytest.mark.parametrize("n_critic", [1, 3])
def test_the_critic_makes_exactly_n_critic_steps(n_critic: int, tmp_path: Path) -> None:
    run = gan.Trainer(replace(TINY, objective=gan.Vanilla(n_critic=n_critic)), tmp_path)
    run.run(4)
    steps = {role: {int(s["step"]) for s in one.state.values()} for role, one in run.optimizers.items()}
    assert steps == {"generator": {4}, "critic": {4 * n_critic}}


def test_weights_are_clipped_after_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(RUNS["wgan"], objective=gan.WGAN(clip=0.02), critic_rate=0.01)
    largest: list[float] = []
    whole = objectives.WGAN.constrain

    def constrain(self: Any, critic: Any) -> None:
        before = max(float(p.detach().abs().max()) for p in critic.parameters())
        whole(self, critic)
        largest.append(max(float(p.detach().abs().max()) for p in critic.parameters()))
        assert before > largest[-1], "the rate leaves nothing to clip"

    monkeypatch.setattr(objectives.WGAN, "constrain", constrain)
    gan.train(config, tmp_path / "run", steps=3)
    assert len(largest) == 15
    assert max(largest) == pytest.approx(0.02)


@pytest.mark.parametrize("name", gan.OBJECTIVES)
def test_what_is_not_finite_stops_the_run(name: str, tmp_path: Path) -> None:
    objective = configs.objective_of(name)
    config = replace(TINY, objective=objective, generator_rate=1e30, critic_rate=1e30, save_every=1)
    said = r"is (inf|nan|not finite) in step \d+\. The last good checkpoint is .* \(step \d+\)\."
    with pytest.raises(gan.Diverged, match=said):
        gan.train(config, tmp_path / "run", steps=50)
    for parameter in gan.restore(tmp_path / "run").generator.parameters():
        assert torch.isfinite(parameter).all()


def test_weights_that_are_not_finite_are_never_saved(tmp_path: Path) -> None:
    run = gan.Trainer(TINY, tmp_path)
    run.run(3)
    next(run.generator.parameters()).data[0] = torch.nan
    with pytest.raises(gan.Diverged, match=r"is not finite in step 4\. The last good checkpoint is .* \(step 3\)\."):
        run.save()
    assert gan.restore(tmp_path).step == 3


def test_a_changed_config_is_refused_by_the_name_of_its_field(tmp_path: Path) -> None:
    gan.train(TINY, tmp_path, steps=1)
    for changed, said in (
        (replace(TINY, batch=8), r"`batch` must be 16, as when the run was started, but it is 8 in `config`"),
        (replace(TINY, objective=gan.Primal(p=2)), r"`objective\.p` must be 1\.0, .* but it is 2 in `config`"),
        (replace(TINY, objective=gan.Vanilla()), r"`objective\.name` must be 'primal', .* but it is 'vanilla'"),
        (replace(TINY, terms={"code": 1.0}), r"`terms\.code` must be None, .* but it is 1\.0"),
    ):
        with pytest.raises(ValueError, match=said):
            gan.resume(tmp_path, more=1, config=changed)
    gan.resume(tmp_path, more=1, config=TINY)
    file = tmp_path / trainer.CONFIG
    file.write_text(json.dumps({**json.loads(file.read_text()), "seed": 7}))
    with pytest.raises(ValueError, match=r"`seed` must be 0, .* but it is 7 in .*config\.json"):
        gan.resume(tmp_path, more=1)


def test_changed_weights_are_refused(tmp_path: Path) -> None:
    file, points = tmp_path / "weighted.npz", np.random.default_rng(0).normal(size=(60, 2))
    for weights in (np.arange(60.0), np.arange(60.0)[::-1]):
        np.savez(file, x=points, weights=weights)
        if not (tmp_path / "run").exists():
            gan.train(replace(TINY, data=str(file), sampler="random", batch=8), tmp_path / "run", steps=1)
    with pytest.raises(ValueError, match="holds others, or other weights"):
        gan.resume(tmp_path / "run", more=1)


def test_changed_data_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gan.train(TINY, tmp_path, steps=1)
    monkeypatch.setattr(data, "TRAIN", 80)
    with pytest.raises(ValueError, match="`data` must hold the points that the run was started with, but ring8 holds"):
        gan.resume(tmp_path, more=1)


def test_where_to_stop_is_said_once_and_lies_ahead(tmp_path: Path) -> None:
    gan.train(TINY, tmp_path, steps=3)
    for both in ({}, {"until": 5, "more": 2}):
        with pytest.raises(ValueError, match="`until` or `more` must be given, but not both"):
            gan.resume(tmp_path, **both)
    with pytest.raises(ValueError, match="`until` must be at least the 3 steps made so far, but it is 2"):
        gan.resume(tmp_path, until=2)
    with pytest.raises(ValueError, match="`until` must be at least the 3 steps made so far, but it is -1"):
        gan.resume(tmp_path, more=-4)
    assert gan.resume(tmp_path, until=3)["step"] == 3
    assert gan.resume(tmp_path, more=2)["step"] == 5


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("checkpoint.pt", b"", r"checkpoint that can be read, but .*\.pt is damaged \(it is empty\)\. Restore"),
        ("checkpoint.pt", b"PK\3\4 cut off", r"checkpoint that can be read, but .*checkpoint\.pt is damaged \(Py"),
        ("checkpoint.pt", b"something else", r"checkpoint that can be read, but .*checkpoint\.pt is damaged \("),
        ("checkpoint.pt", None, r"checkpoint of a run, but .*checkpoint\.pt is of something else"),
        ("config.json", b"{", r"run that can be read, but .*config\.json is no JSON: Expecting"),
        ("config.json", b"[]", r"run that can be read, but .*config\.json is no JSON object"),
        ("metrics.jsonl", b"{}\n{\n", r"run that can be read, but line 2 of .*metrics\.jsonl is no JSON"),
    ],
)
def test_files_that_were_damaged_are_named(name: str, content: bytes | None, said: str, tmp_path: Path) -> None:
    gan.train(TINY, tmp_path, steps=1)
    if content is None:
        torch.save({"step": 1}, tmp_path / name)
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"`out` must hold a {said}"):
        gan.resume(tmp_path, more=1)


def test_folders_are_not_overwritten_and_not_made_up(tmp_path: Path) -> None:
    gan.train(TINY, tmp_path / "run", steps=1)
    with pytest.raises(FileExistsError, match=r"`out` must be a new folder, but .* holds a run. Go on with it"):
        gan.train(TINY, tmp_path / "run", steps=1)
    with pytest.raises(FileNotFoundError, match=r"`out` must hold a run, but .* has no checkpoint"):
        gan.resume(tmp_path, more=1)


def first(points: Any) -> Any:
    """Features: the first coordinate."""
    return points[:, :1]


# Each objective, and each option that makes another of it.
OPTIONS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in gan.OBJECTIVES),
    ("vanilla", {"saturating": True}),
    ("primal", {"debias": True}),
    ("primal", {"p": 2, "features": f"{__name__}:first"}),
    ("primal", {"p": 3, "cost": "cityblock"}),
    *((name, {"features": "histogram"}) for name in ("kl", "js", "tv")),
]


@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=str)
def test_every_objective_writes_a_whole_run(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    config = replace(TINY, objective=gan.objective_of(name, **options))
    summary = gan.train(config, tmp_path, steps=3)
    written = gan.RunConfig.from_dict(json.loads((tmp_path / trainer.CONFIG).read_text()))
    assert written.differences(config) == {}
    assert json.loads((tmp_path / trainer.SUMMARY).read_text()) == summary
    assert {"modes", "high_quality", "w1", "w1_floor", "w2", "w2_floor", "seconds"} <= set(summary)
    estimates = {"vanilla": "js", "wgan": "w", "wgan_gp": "w", "semi_dual": "w"}  # of what the critic believes
    assert [key for key in summary if "estimate" in key] == [
        f"{estimates[k]}_estimate" for k in (name,) if k in estimates
    ]
    header, *table = (tmp_path / trainer.TABLE).read_text().splitlines()
    assert len(table) == 4
    assert all(set(row) <= set(header.split(",")) for row in trainer.read_log(tmp_path))


def test_guards(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`batch_norm` must be off for 'wgan_gp'"):
        gan.Trainer(replace(RUNS["wgan_gp"], batch_norm=True), tmp_path)
    with pytest.warns(UserWarning, match="`optimizer` 'adam' has momentum"):
        gan.Trainer(replace(RUNS["wgan"], optimizer="adam"), tmp_path)
    with pytest.raises(ValueError, match="`batch` must be at most the 72 points of the training data, but it is 100"):
        gan.Trainer(replace(TINY, batch=100), tmp_path)
    with pytest.raises(ValueError, match="`latent` must be one of 'normal', 'uniform', 'sobol', or data to translate"):
        gan.Trainer(replace(TINY, latent="gaussian"), tmp_path)


@pytest.mark.parametrize("device", ["gpu", "cuda:99"])
def test_devices_that_are_not_there_are_refused(device: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"`device` must be one that torch can use, but '{device}' is not: "):
        gan.Trainer(replace(TINY, device=device), tmp_path)


def test_large_exact_batches_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configs, "LARGE_BATCH", 15)
    with pytest.warns(UserWarning, match=r"`batch` 16 is matched exactly in every step, which takes about 0\.3 s"):
        gan.RunConfig(batch=16)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("sampler", "grid", "`sampler` must be one of 'random', 'stratified', 'kdpp', but it is 'grid'"),
        ("net", "cnn", "`net` must be one of 'mlp', 'dcgan', but it is 'cnn'"),
        ("optimizer", "lion", "`optimizer` must be one of None, 'adam', 'rmsprop', 'sgd', but it is 'lion'"),
        ("terms", {"style": 1.0}, "`terms` must be one of 'code', 'cycle', 'orthogonal', but it is 'style'"),
        ("terms", {"code": math.nan}, "`terms` must have positive and finite weights, but that of 'code' is nan"),
        ("terms", {"cycle": -1.0}, "`terms` must have positive and finite weights, but that of 'cycle' is -1"),
        ("batch", 0, "`batch` must be at least 1, but it is 0"),
        ("depth", -1, "`depth` must be at least 0, but it is -1"),
        ("seed", -1, "`seed` must be at least 0, but it is -1"),
        ("size", 0, "`size` must be at least 1, but it is 0"),
        ("latent_dim", 0, "`latent_dim` must be at least 1, but it is 0"),
        ("generator_rate", -1.0, "`generator_rate` must be positive and finite, but it is -1"),
        ("critic_rate", math.nan, "`critic_rate` must be positive and finite, but it is nan"),
        ("beta1", 1.0, r"`beta1` must lie in \[0, 1\), but it is 1"),
        ("attention", True, "`attention` must go with net='dcgan', but the net is 'mlp'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(field: str, value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        gan.RunConfig(**{field: value})


@pytest.mark.parametrize("value", [2.5, "16", True, None])
def test_whole_numbers_are_whole(value: Any) -> None:
    with pytest.raises(TypeError, match=r"`batch` must be an integer, but it is "):
        gan.RunConfig(batch=value)


def test_options_of_other_objectives_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`primal option` must be one of 'p', 'cost', .* but it is 'clip'"):
        gan.objective_of("primal", clip=0.1)
    with pytest.raises(ValueError, match=r"`objective` must be one of 'vanilla', .* but it is 'wgan-gp'"):
        gan.objective_of("wgan-gp")


def test_the_preset_is_algorithm_1() -> None:
    paper = gan.wgan_paper()
    assert paper.objective == gan.WGAN(n_critic=5, clip=0.01)
    assert (paper.optimizer, paper.generator_rate, paper.critic_rate, paper.batch) == ("rmsprop", 5e-5, 5e-5, 64)


def test_the_log_goes_to_tensorboard_where_it_is_installed(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    gan.train(TINY, tmp_path, steps=2, tensorboard=True)
    assert list((tmp_path / "tensorboard").glob("events.out.*"))


def test_the_recipe_is_that_of_the_objective_unless_said_otherwise() -> None:
    config = gan.RunConfig(objective=gan.WGAN(), beta1=0.3)
    assert (config.recipe.optimizer, config.recipe.generator_rate, config.recipe.beta1) == ("rmsprop", 5e-5, 0.3)
    assert replace(config, objective=gan.WGANGP()).recipe.optimizer == "adam"
    assert config.to_dict()["optimizer"] == "rmsprop"


def test_tensorboard_is_asked_for_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tensorboard", None)
    with pytest.raises(ImportError, match="`tensorboard` needs the package 'tensorboard': pip install"):
        gan.train(TINY, tmp_path, steps=2, tensorboard=True)
