"""The training loop, with what makes a run repeatable: separate streams, checkpoints, and a log that is appended."""

from __future__ import annotations

import csv
import json
import math
import os
import signal
import threading
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._arrays import require
from .config import RunConfig
from .data import Dataset, load
from .metrics import Yardstick
from .nets import critic_of, generator_of, has_batch_norm
from .objectives import WGAN, WGANGP, Primal
from .samplers import BATCHES, LATENTS
from .terms import TERMS

# Generated points on which the modes are counted, and how many of them each evaluation keeps in a file.
SAMPLES, KEPT = 2500, 500
WALK_STEPS = 9
# Of the latent points that every run is measured on.
EVALUATION_SEED = 12345
# Matching batches of this size on the CPU begins to take seconds a step.
LARGE_BATCH = 2000

CONFIG, CHECKPOINT, SUMMARY, WALK = "config.json", "checkpoint.pt", "summary.json", "walk.npy"
LOG, TABLE = "metrics.jsonl", "metrics.csv"


class Diverged(ArithmeticError):
    """A loss or a weight is no longer finite; the text names the step and the last good checkpoint."""


class Trainer:
    """A run: its networks, its data and where it stands.

    Parameters
    ----------
    config : RunConfig
    out : path
        The folder of the run, which must hold no other run.
    tensorboard : bool
        Write the log for TensorBoard too.

    Attributes
    ----------
    generator, critic : torch.nn.Module
    step : int
        Steps of the generator so far.
    """

    def __init__(self, config: RunConfig, out: str | os.PathLike[str], *, tensorboard: bool = False) -> None:
        began = time.perf_counter()
        self.data = load(config.data, shape=config.shape, size=config.size)
        n, d = self.data.train.shape
        if config.batch > n:
            raise ValueError(f"`batch` must be at most the {n} points of the training data, but it is {config.batch}.")
        self._latent, latent_dim = _latent_of(config, d)
        config = replace(config, latent_dim=latent_dim)
        self.config, self.out, self.device = config, Path(out), _device_of(config)
        self.step = 0
        self._networks(d)
        self._streams()
        _warn_or_refuse(config, self.critic)
        self.yardstick = Yardstick(self.data, config.eval_points)
        # Evaluation draws independent latent points, whatever training draws: that is how a generator is used.
        self.fixed = self._latent(SAMPLES, torch.Generator().manual_seed(EVALUATION_SEED), True).to(self.device)
        self.log = _Log(self.out, self._columns(), tensorboard)
        self._saved = 0
        self._on_bar = ("generator_loss", "w1", *config.objective.estimates)
        self._measured: tuple[int, dict[str, float]] = (-1, {})
        self.seconds = time.perf_counter() - began

    def _networks(self, d: int) -> None:
        """Every network from its own seed, so that one more network changes no other's start."""
        config, shape = self.config, self.data.shape
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_seed(config, "generator"))
            self.generator = generator_of(config, d, shape, self.data.bounded).to(self.device)
            torch.manual_seed(_seed(config, "critic"))
            self.critic = critic_of(config, d, shape).to(self.device) if config.objective.n_critic else nn.Identity()
            torch.manual_seed(_seed(config, "terms"))
            self.terms = nn.ModuleDict(
                {name: TERMS[name](config.latent_dim, d, config.width).to(self.device) for name in config.terms}
            )
        self._trained = [*self.generator.parameters(), *self.terms.parameters()]
        self._optimizers = [_optimizer(config, self._trained, config.recipe.generator_rate)]
        if config.objective.n_critic:
            self._optimizers.append(_optimizer(config, list(self.critic.parameters()), config.recipe.critic_rate))

    def _streams(self) -> None:
        config = self.config
        self._batches = BATCHES[config.sampler](
            self.data.train, config.batch, np.random.default_rng(_seed(config, "data"))
        )
        self._latents = torch.Generator().manual_seed(_seed(config, "latent"))
        self._noise = torch.Generator().manual_seed(_seed(config, "objective"))
        self._points = torch.from_numpy(self.data.train).to(self.device)
        weights = self.data.weights
        self._weights = None if weights is None else torch.from_numpy(weights).float().to(self.device)

    def draw(self) -> tuple[Tensor, Tensor | None, Tensor]:
        """The next batch: reals (m, d), their weights (m,) or None, and latent points (m, k)."""
        index = torch.from_numpy(self._batches()).to(self.device)
        b = None if self._weights is None else self._weights[index] / self._weights[index].sum()
        return self._points[index], b, self._latent(self.config.batch, self._latents, False).to(self.device)

    def run(self, until: int, *, progress: bool = False) -> dict[str, Any]:
        """Train until the generator has made `until` steps in all; returns, and writes, the summary."""
        if until < self.step:
            raise ValueError(f"`until` must be at least the {self.step} steps made so far, but it is {until}.")
        started = time.perf_counter() - self.seconds
        shown: dict[str, float] = {}
        with _bar(until, self.step, progress) as bar, _finishing_the_step() as interrupted:
            if self.step == 0:
                _replace(self.out / CONFIG, json.dumps(self.config.to_dict(), indent=2) + "\n")
                self._report({}, started)
                self.save()
            while self.step < until and not interrupted():
                losses = self._one_step()
                self.step += 1
                bar.update()
                if self.step % self.config.log_every == 0 or self.step % self.config.eval_every == 0:
                    shown |= self._report(losses, started)
                    bar.set_postfix({name: f"{shown[name]:.3g}" for name in self._on_bar if name in shown})
                self.seconds = time.perf_counter() - started
                if self.step % self.config.save_every == 0:
                    self.save()
            if self.step > self._saved:
                self.save()
            if interrupted():
                raise KeyboardInterrupt
        return self._summary(started)

    def _one_step(self) -> dict[str, float]:
        """Train the critic, then the generator: Algorithm 1 for every objective. Each update draws one batch."""
        objective, losses = self.config.objective, {}
        for _ in range(objective.n_critic):
            x, b, z = self.draw()
            with torch.no_grad():
                y = self.generator(z)
            loss = objective.critic_loss(self.critic, x, y, b, self._noise)
            losses["critic_loss"] = self._update(1, loss, list(self.critic.parameters()))
            objective.constrain(self.critic)
        x, b, z = self.draw()
        y = self.generator(z)
        loss = objective.generator_loss(self.critic, x, y, b, self._noise)
        for name, weight in self.config.terms.items():
            term = self.terms[name](self.generator, z, y, x)
            losses[f"term_{name}"] = float(term.detach())
            loss = loss + weight * term
        losses["generator_loss"] = self._update(0, loss, self._trained)
        return losses

    def _update(self, which: int, loss: Tensor, parameters: list[nn.Parameter]) -> float:
        value = float(loss.detach())
        if not math.isfinite(value):
            raise self._diverged(f"the loss of the {('generator', 'critic')[which]} is {value}")
        self._optimizers[which].zero_grad(set_to_none=True)
        loss.backward(inputs=parameters)  # type: ignore[no-untyped-call]
        self._optimizers[which].step()
        return value

    def _diverged(self, what: str) -> Diverged:
        path = self.out / CHECKPOINT
        last = f"The last good checkpoint is {path} (step {self._saved})" if path.exists() else "There is no checkpoint"
        return Diverged(f"{what} in step {self.step + 1}. {last}. Try a smaller learning rate.")

    @torch.no_grad()
    def sample(self, z: Tensor | None = None) -> np.ndarray[Any, Any]:
        """What the generator makes of latent points, by default of the 2,500 fixed ones, in evaluation mode."""
        self.generator.eval()
        y: np.ndarray[Any, Any] = self.generator(self.fixed if z is None else z).cpu().numpy()
        self.generator.train()
        return y

    def walk(self) -> np.ndarray[Any, Any]:
        """What lies between two of the fixed latent points, in equal steps."""
        share = torch.linspace(0, 1, WALK_STEPS)[:, None].to(self.fixed)
        return self.sample((1 - share) * self.fixed[0] + share * self.fixed[1])

    def evaluate(self) -> dict[str, float]:
        """All measures of what the generator makes now; what a critic estimates is named so."""
        if self._measured[0] == self.step:
            return self._measured[1]
        y = self.sample()
        np.save(self.log.samples / f"{self.step:08d}.npy", y[:KEPT])
        held = torch.from_numpy(self.yardstick.held).float().to(self.device)
        self.critic.eval()
        with torch.no_grad():
            made = torch.from_numpy(y[: len(held)]).to(self.device)
            estimates = self.config.objective.estimate(self.critic, held, made)
        self.critic.train()
        self._measured = self.step, {**estimates, **self.yardstick(y)}
        return self._measured[1]

    def _columns(self) -> list[str]:
        """Of the log: known before the first row, so that a table can be appended to."""
        objective = self.config.objective
        losses = [*(["critic_loss"] if objective.n_critic else []), *(f"term_{name}" for name in self.config.terms)]
        return [
            "step", "seconds", *losses, "generator_loss", *objective.estimates, *self.yardstick(self.yardstick.real)
        ]  # fmt: skip

    def _report(self, losses: dict[str, float], started: float) -> dict[str, float]:
        """One row of the log, with an evaluation where one is due."""
        row: dict[str, float] = {"step": self.step, "seconds": 0.0, **losses}
        if self.step % self.config.eval_every == 0:
            row |= self.evaluate()
        row["seconds"] = round(time.perf_counter() - started, 3)
        self.log.write(row)
        return row

    def _summary(self, started: float) -> dict[str, Any]:
        summary = {"step": self.step, **self.evaluate(), **self.yardstick.floor}
        if self.data.shape is not None:
            np.save(self.out / WALK, self.walk())
        self.seconds = time.perf_counter() - started
        summary["seconds"] = round(self.seconds, 3)
        _replace(self.out / SUMMARY, json.dumps(summary, indent=2) + "\n")
        return summary

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on."""
        return {
            "config": self.config.to_dict(),
            "data": self._fingerprint(),
            "step": self.step,
            "seconds": self.seconds,
            "networks": [net.state_dict() for net in (self.generator, self.critic, self.terms)],
            "optimizers": [one.state_dict() for one in self._optimizers],
            "batches": self._batches.state_dict(),
            "streams": [one.get_state() for one in (self._latents, self._noise)],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Stand where another trainer of the same config and data stood."""
        if state["data"] != self._fingerprint():
            raise ValueError(
                f"`data` must hold the points that the run was started with, but {self.config.data} holds others. "
                "Bring them back, or start another run."
            )
        for net, content in zip((self.generator, self.critic, self.terms), state["networks"]):
            net.load_state_dict(content)
        for optimizer, content in zip(self._optimizers, state["optimizers"]):
            optimizer.load_state_dict(content)
        self._batches.load_state_dict(state["batches"])
        for stream, content in zip((self._latents, self._noise), state["streams"]):
            stream.set_state(content)
        self.step, self.seconds, self._saved = state["step"], state["seconds"], state["step"]

    def _fingerprint(self) -> int:
        return zlib.crc32(self.data.train.tobytes())

    def save(self) -> None:
        """Write the checkpoint, whole or not at all, and only of weights that are finite."""
        for net in (self.generator, self.critic):
            for name, parameter in net.named_parameters():
                if not bool(torch.isfinite(parameter).all()):
                    raise self._diverged(f"{name} is not finite")
        part = self.out / f"{CHECKPOINT}.part"
        torch.save(self.state_dict(), part)
        os.replace(part, self.out / CHECKPOINT)
        self._saved = self.step


def train(
    config: RunConfig, out: str | os.PathLike[str], *, steps: int, progress: bool = False, tensorboard: bool = False
) -> dict[str, Any]:
    """Train a generator from the start and write the run into a new folder.

    Parameters
    ----------
    config : RunConfig
    out : path
        Gets config.json, checkpoint.pt, metrics.jsonl, metrics.csv, summary.json and samples/.
    steps : int
        Steps of the generator. `resume` goes on after them.
    progress : bool
        Show a bar.
    tensorboard : bool
        Write the log for TensorBoard too.

    Returns
    -------
    dict
        The summary: modes, high_quality, w1, w1_floor, w2, w2_floor, seconds and more.

    Raises
    ------
    FileExistsError
        The folder holds a run.
    Diverged
        A loss is no longer finite.
    """
    folder = Path(out)
    if (folder / CONFIG).exists():
        raise FileExistsError(
            f"`out` must be a new folder, but {folder} holds a run. Go on with it by `resume` (ot-distances gan resume "
            f"{folder} --more {steps}), or choose another."
        )
    return Trainer(config, folder, tensorboard=tensorboard).run(steps, progress=progress)


def resume(
    out: str | os.PathLike[str],
    *,
    until: int | None = None,
    more: int | None = None,
    config: RunConfig | None = None,
    progress: bool = False,
    tensorboard: bool = False,
) -> dict[str, Any]:
    """Go on with a run as if it had never stopped: on the CPU its weights and its log are equal to the last bit.

    Parameters
    ----------
    out : path
        The folder of the run.
    until, more : int
        Steps in all, or from here: exactly one of the two.
    config : RunConfig, optional
        Refused if it is not that of the run.
    progress, tensorboard : bool
        As for `train`.

    Raises
    ------
    ValueError
        A changed config, naming the field; or a step that lies behind.
    """
    trainer = restore(out, config=config, tensorboard=tensorboard)
    if (until is None) == (more is None):
        raise ValueError("`until` or `more` must be given, but not both: steps in all, or steps from here.")
    last = trainer.step + (more or 0) if until is None else until
    return trainer.run(last, progress=progress)


def restore(out: str | os.PathLike[str], *, config: RunConfig | None = None, tensorboard: bool = False) -> Trainer:
    """The trainer of a run, at its last checkpoint; rows of the log from after it are taken back."""
    folder = Path(out)
    if not (folder / CHECKPOINT).is_file():
        raise FileNotFoundError(f"`out` must hold a run, but {folder} has no {CHECKPOINT}.")
    state = torch.load(folder / CHECKPOINT, map_location="cpu", weights_only=True)
    saved = RunConfig.from_dict(state["config"])
    written = RunConfig.from_dict(json.loads((folder / CONFIG).read_text("utf-8")))
    given = config and replace(config, latent_dim=config.latent_dim or saved.latent_dim)
    for other, place in ((given, "`config`"), (written, str(folder / CONFIG))):
        changed = {} if other is None else saved.differences(other)
        for name, (before, now) in changed.items():
            raise ValueError(
                f"`{name}` must be {before!r}, as when the run was started, but it is {now!r} in {place}. Start "
                "another run for another config."
            )
    trainer = Trainer(saved, folder, tensorboard=tensorboard)
    trainer.load_state_dict(state)
    trainer.log.rewind(trainer.step)
    return trainer


class _Log:
    """The rows of a run as JSON lines and as a table, appended, never begun anew."""

    def __init__(self, out: Path, columns: list[str], tensorboard: bool) -> None:
        self.out, self.columns, self.samples = out, columns, out / "samples"
        self.samples.mkdir(parents=True, exist_ok=True)
        self.board: Any = None
        if tensorboard:
            require("tensorboard", "`tensorboard`")
            self.board = require("torch.utils.tensorboard", "`tensorboard`").SummaryWriter

    def write(self, row: dict[str, float]) -> None:
        """Append a row to every form of the log."""
        with open(self.out / LOG, "a", encoding="utf-8") as lines:
            lines.write(json.dumps(row) + "\n")
        with open(self.out / TABLE, "a", encoding="utf-8", newline="") as table:
            writer = csv.DictWriter(table, self.columns)
            if table.tell() == 0:
                writer.writeheader()
            writer.writerow(row)
        if isinstance(self.board, type):  # opened at the first row: points from there on are taken back
            self.board = self.board(str(self.out / "tensorboard"), purge_step=row["step"])
        if self.board is not None:
            for name, value in row.items():
                self.board.add_scalar(name, value, row["step"])
            self.board.flush()

    def rewind(self, step: int) -> None:
        """Take back the rows after a step, which a run that was killed wrote after its last checkpoint."""
        rows = read_log(self.out)
        if rows and rows[-1]["step"] > step:
            for path in (self.out / LOG, self.out / TABLE):
                path.unlink(missing_ok=True)
            for row in rows:
                if row["step"] <= step:
                    self.write(row)


def read_log(out: str | os.PathLike[str]) -> list[dict[str, float]]:
    """The rows of metrics.jsonl; a last line that was cut off by a crash is left out."""
    path = Path(out) / LOG
    lines = path.read_text("utf-8").splitlines(keepends=True) if path.is_file() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _replace(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    part.write_text(text, "utf-8")
    os.replace(part, path)


def _device_of(config: RunConfig) -> torch.device:
    try:
        return torch.empty(0, device=config.device).device
    except (AssertionError, RuntimeError) as error:  # torch built without it, no driver, no such name
        first = str(error).partition("\n")[0]
        raise ValueError(f"`device` must be one that torch can use, but {config.device!r} is not: {first}.") from error


def _seed(config: RunConfig, stream: str) -> int:
    """A seed for one of the streams of a run, far from those of the others."""
    names = ("generator", "critic", "terms", "data", "latent", "objective")
    return int(np.random.SeedSequence([config.seed, names.index(stream)]).generate_state(1)[0])


def _latent_of(config: RunConfig, d: int) -> tuple[Callable[[int, torch.Generator, bool], Tensor], int]:
    """(number of points, stream, independent?) -> latent points; and their dimension."""
    if config.latent in LATENTS:
        k = config.latent_dim or (2 if d <= 3 else 16)
        plain = "normal" if config.latent == "sobol" else config.latent
        return lambda n, rng, alone: LATENTS[plain if alone else config.latent](n, k, rng), k
    source = torch.from_numpy(_source(config).train)
    return lambda n, rng, alone: source[torch.randint(len(source), (n,), generator=rng)], source.shape[1]


def _source(config: RunConfig) -> Dataset:
    try:
        return load(config.latent)
    except ImportError as error:
        known = ", ".join(map(repr, LATENTS))
        raise ValueError(f"`latent` must be one of {known}, or data to translate from: {error}") from error


def _optimizer(config: RunConfig, parameters: list[nn.Parameter], rate: float) -> torch.optim.Optimizer:
    recipe = config.recipe
    if recipe.optimizer == "adam":
        return torch.optim.Adam(parameters, rate, betas=(recipe.beta1, recipe.beta2), fused=True)
    return (torch.optim.RMSprop if recipe.optimizer == "rmsprop" else torch.optim.SGD)(parameters, rate)


def _warn_or_refuse(config: RunConfig, critic: nn.Module) -> None:
    if isinstance(config.objective, WGANGP) and has_batch_norm(critic):
        raise ValueError(
            "`batch_norm` must be off for 'wgan_gp', whose penalty is on the slope of each point alone, but the critic "
            "has it. Pass batch_norm=False."
        )
    if isinstance(config.objective, WGAN) and config.recipe.optimizer == "adam":
        warnings.warn(
            "`optimizer` 'adam' has momentum, with which clipped critics tend to diverge: 'rmsprop' is usual.",
            stacklevel=4,
        )
    if isinstance(config.objective, Primal) and config.batch > LARGE_BATCH and config.device == "cpu":
        seconds = (config.batch / LARGE_BATCH) ** 2.5
        warnings.warn(
            f"`batch` {config.batch} is matched exactly in every step, which takes about {seconds:.0f} s. Batches "
            "of 64 to 512, stratified, train as well.",
            stacklevel=4,
        )


@contextmanager
def _bar(until: int, step: int, progress: bool) -> Iterator[Any]:
    bar = require("tqdm", "`progress`").tqdm(
        total=until, initial=step, disable=None if progress else True, unit="step", smoothing=0.05, dynamic_ncols=True
    )
    with bar:
        yield bar


@contextmanager
def _finishing_the_step() -> Iterator[Callable[[], bool]]:
    """Ctrl-C waits for the end of a step, where a run can be saved; the second one does not wait."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return

    def ask(number: int, frame: Any) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)
