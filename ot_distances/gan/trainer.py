"""The training loop, with what makes a run repeatable: numbered streams, checkpoints, and a log that is appended."""

from __future__ import annotations

import csv
import json
import math
import os
import pickle
import signal
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from .._arrays import require
from ..problem import Array
from .config import RunConfig
from .data import load
from .metrics import MEASURES, Yardstick
from .nets import critic_of, generator_of
from .objectives import Recipe
from .samplers import BATCHES, LATENTS, Latent
from .terms import TERMS

# Generated points on which the modes are counted, and how many of them each evaluation keeps in a file.
SAMPLES, KEPT = 2500, 500
WALK_STEPS = 9
# Of the latent points that every run is measured on.
EVALUATION_SEED = 12345

CONFIG, CHECKPOINT, SUMMARY, WALK = "config.json", "checkpoint.pt", "summary.json", "walk.npy"
LOG, TABLE = "metrics.jsonl", "metrics.csv"
STREAMS = ("generator", "critic", "terms", "data", "latent", "objective")
ESTIMATES = ("w_estimate", "js_estimate")
LOSSES = ("critic_loss", "generator_loss", *(f"term_{name}" for name in TERMS))
COLUMNS = ("step", "seconds", *LOSSES, *ESTIMATES, *MEASURES)

Folder = str | os.PathLike[str]
Net = TypeVar("Net", bound=nn.Module)


class Diverged(ArithmeticError):
    """A loss or a weight is no longer finite; the text names the step and the last good checkpoint."""


class Trainer:
    """A run: its networks, its data and where it stands.

    Parameters
    ----------
    config : RunConfig
    out : path
        The folder of the run.

    Attributes
    ----------
    data : Dataset
    generator, critic : torch.nn.Module
    fixed : Tensor
        Latent points that the run is measured on: independent, as a generator is used, whatever training draws.
    step : int
        Steps of the generator so far.
    seconds : float
        Wall time so far.
    """

    def __init__(self, config: RunConfig, out: Folder) -> None:
        began = time.perf_counter()
        self.config, self.out, self.device = config, Path(out), _device_of(config)
        self.data = load(config.data, shape=config.shape, size=config.size)
        n, d = self.data.train.shape
        if config.batch > n:
            raise ValueError(f"`batch` must be at most the {n} points of the training data, but it is {config.batch}.")
        self._latent, k = _latent_of(config, d)
        independent = LATENTS["normal"] if config.latent == "sobol" else self._latent
        self.fixed = independent(SAMPLES, k, torch.Generator().manual_seed(EVALUATION_SEED)).to(self.device)
        self.generator = self._built("generator", lambda: generator_of(config, k, self.data))
        self.critic = self._built("critic", lambda: critic_of(config, self.data))
        self.terms = self._built(
            "terms", lambda: nn.ModuleDict({name: TERMS[name](k, d, config.width) for name in config.terms})
        )
        self._trained = {"generator": [*self.generator.parameters(), *self.terms.parameters()]}
        if config.objective.n_critic:
            self._trained["critic"] = [*self.critic.parameters()]
        self.optimizers = {role: _optimizer(config.recipe, role, group) for role, group in self._trained.items()}
        self._batches = BATCHES[config.sampler](self.data.train, config.batch, self._seed("data"))
        self._points = torch.from_numpy(self.data.train).to(self.device)
        self._weights = None if self.data.weights is None else torch.from_numpy(self.data.weights).to(self._points)
        self.yardstick = Yardstick(self.data, config.eval_points)
        self._measured: dict[str, float] = {}
        self.step = self._drawn = self._saved = 0
        self.seconds = time.perf_counter() - began

    def _seed(self, stream: str, number: int = 0) -> int:
        """A seed for one of the streams of the run, and for one update of it, far from those of all others."""
        entropy = [self.config.seed, STREAMS.index(stream), number]
        return int(np.random.SeedSequence(entropy).generate_state(1)[0])

    def _stream(self, name: str) -> torch.Generator:
        """Random numbers for the next update alone: a run depends on nothing but its config and its step."""
        return torch.Generator().manual_seed(self._seed(name, self._drawn))

    def _built(self, name: str, build: Callable[[], Net]) -> Net:
        """A network from a seed of its own, on the host, so that every device and every objective sees one start."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self._seed(name))
            return build().to(self.device)

    def draw(self) -> tuple[Tensor, Tensor | None, Tensor]:
        """The next batch: reals (m, d), their weights (m,) or None, and latent points (m, k)."""
        index = torch.from_numpy(self._batches(self._drawn)).to(self.device)
        b = None if self._weights is None else self._weights[index] / self._weights[index].sum()
        z = self._latent(self.config.batch, self.fixed.shape[1], self._stream("latent")).to(self.device)
        self._drawn += 1
        return self._points[index], b, z

    def run(self, until: int, *, progress: bool = False, tensorboard: bool = False) -> dict[str, Any]:
        """Train until the generator has made `until` steps in all; returns, and writes, the summary.

        Rows of the log from after this step, which a killed run wrote after its last checkpoint, are taken back.
        """
        if until < self.step:
            raise ValueError(f"`until` must be at least the {self.step} steps made so far, but it is {until}.")
        config, began = self.config, time.perf_counter() - self.seconds
        bar = require("tqdm", "training").tqdm(
            total=until, initial=self.step, disable=None if progress else True, unit="step"
        )
        board = _board(self.out, self.step) if tensorboard else nullcontext()
        with bar, board as board, _finishing_the_step() as interrupted:
            self.out.mkdir(parents=True, exist_ok=True)
            write_log(self.out, [row for row in read_log(self.out) if row["step"] <= self.step > 0], "w")
            if self.step == 0:
                _replace(self.out / CONFIG, json.dumps(config.to_dict(), indent=2) + "\n")
                self._report({}, bar, board)
                self.save()
            while self.step < until and not interrupted:
                losses = self._one_step()
                self.step += 1
                self.seconds = time.perf_counter() - began
                if self.step % config.log_every == 0 or self.step % config.eval_every == 0:
                    self._report(losses, bar, board)
                if self.step % config.save_every == 0:
                    self.save()
                bar.update()
            self.save()
        if interrupted:
            raise KeyboardInterrupt
        summary = {"step": self.step, **self.evaluate(), **self.yardstick.floor}
        if self.data.shape is not None:
            np.save(self.out / WALK, self.walk())
        self.seconds = time.perf_counter() - began
        summary["seconds"] = round(self.seconds, 3)
        _replace(self.out / SUMMARY, json.dumps(summary, indent=2) + "\n")
        return summary

    def _one_step(self) -> dict[str, float]:
        """Train the critic, then the generator: Algorithm 1 for every objective. Each update draws one batch."""
        objective, losses = self.config.objective, {}
        for _ in range(objective.n_critic):
            x, b, z = self.draw()
            with torch.no_grad():
                y = self._generated(z)
            loss = objective.critic_loss(self.critic, x, y, b, self._stream("objective"))
            losses["critic_loss"] = self._update("critic", loss)
            objective.constrain(self.critic)
        x, b, z = self.draw()
        y = self._generated(z)
        loss = objective.generator_loss(self.critic, x, y, b, self._stream("objective"))
        for name, weight in self.config.terms.items():
            term = self.terms[name](self.generator, z, y, x)
            losses[f"term_{name}"] = float(term.detach())
            loss = loss + weight * term
        losses["generator_loss"] = self._update("generator", loss)
        return losses

    def _generated(self, z: Tensor) -> Tensor:
        y: Tensor = self.generator(z)
        if not bool(torch.isfinite(y).all()):
            raise self._diverged("a generated point is not finite")
        return y

    def _update(self, role: str, loss: Tensor) -> float:
        value, optimizer = float(loss.detach()), self.optimizers[role]
        if not math.isfinite(value):
            raise self._diverged(f"the loss of the {role} is {value}")
        optimizer.zero_grad()
        loss.backward(inputs=self._trained[role])  # type: ignore[no-untyped-call]
        optimizer.step()
        return value

    def _diverged(self, what: str) -> Diverged:
        path = self.out / CHECKPOINT
        last = f"The last good checkpoint is {path} (step {self._saved})" if path.exists() else "There is no checkpoint"
        return Diverged(f"{what} in step {self.step + 1}. {last}. Try a smaller learning rate.")

    @torch.no_grad()
    def sample(self, z: Tensor | None = None) -> Array:
        """What the generator makes of latent points, by default of the 2,500 fixed ones, in evaluation mode."""
        self.generator.eval()
        y = self.generator(self.fixed if z is None else z.to(self.device)).cpu().numpy()
        self.generator.train()
        return y

    def walk(self) -> Array:
        """What lies between two of the fixed latent points, in equal steps."""
        return self.sample(
            torch.lerp(self.fixed[0], self.fixed[1], torch.linspace(0, 1, WALK_STEPS)[:, None].to(self.fixed))
        )

    def evaluate(self) -> dict[str, float]:
        """All measures of what the generator makes now; what a critic estimates is named so."""
        if self._measured.get("step") != self.step:
            y = self.sample()
            if not np.isfinite(y).all():
                raise self._diverged("a generated point is not finite")
            folder = self.out / "samples"
            folder.mkdir(parents=True, exist_ok=True)
            np.save(folder / f"{self.step:08d}.npy", y[:KEPT])
            held = torch.from_numpy(self.yardstick.held).float().to(self.device)
            self.critic.eval()
            estimates = self.config.objective.estimate(self.critic, held, torch.from_numpy(y[: len(held)]).to(held))
            self.critic.train()
            self._measured = {"step": self.step, **estimates, **self.yardstick(y)}
        return {name: value for name, value in self._measured.items() if name != "step"}

    def _report(self, losses: dict[str, float], bar: Any, board: Any) -> None:
        """One row of the log, with an evaluation where one is due."""
        row = {"step": self.step, "seconds": round(self.seconds, 3), **losses}
        if self.step % self.config.eval_every == 0:
            row |= self.evaluate()
        write_log(self.out, [row], "a")
        bar.set_postfix({name: self._measured[name] for name in ("w1", "modes") if name in self._measured} | losses)
        for name, value in row.items() if board else ():
            board.add_scalar(name, value, self.step)

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on."""
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        facts = {"config": self.config.to_dict(), "data": self._fingerprint()}
        return {**facts, "step": self.step, "seconds": self.seconds, **parts}

    def _fingerprint(self) -> int:
        """Of the points that are trained on, and of their weights."""
        points, weights = self.data.train, self.data.weights
        return zlib.crc32(b"" if weights is None else weights.tobytes(), zlib.crc32(points.tobytes()))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Stand where another trainer of the same config and data stood."""
        if state["data"] != self._fingerprint():
            raise ValueError(
                f"`data` must hold the points that the run was started with, but {self.config.data} holds others, or "
                "other weights. Bring them back, or start another run."
            )
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.step, self.seconds, self._saved = state["step"], state["seconds"], state["step"]
        self._drawn = self.step * (self.config.objective.n_critic + 1)

    def _parts(self) -> dict[str, Any]:
        optimizers = {f"{role}_optimizer": optimizer for role, optimizer in self.optimizers.items()}
        return {"generator": self.generator, "critic": self.critic, "terms": self.terms} | optimizers

    def save(self) -> None:
        """Write the checkpoint, whole or not at all, and only of weights that are finite."""
        for name, parameter in [*self.generator.named_parameters(), *self.critic.named_parameters()]:
            if not bool(torch.isfinite(parameter).all()):
                raise self._diverged(f"{name} is not finite")
        part = self.out / f"{CHECKPOINT}.part"
        torch.save(self.state_dict(), part)
        os.replace(part, self.out / CHECKPOINT)
        self._saved = self.step


def train(
    config: RunConfig, out: Folder, *, steps: int, progress: bool = False, tensorboard: bool = False
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
    if Path(out, CONFIG).exists():
        raise FileExistsError(
            f"`out` must be a new folder, but {out} holds a run. Go on with it by `resume` (ot-distances gan resume "
            f"{out} --more {steps}), or choose another."
        )
    return Trainer(config, out).run(steps, progress=progress, tensorboard=tensorboard)


def resume(
    out: Folder,
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
    trainer = restore(out, config=config)
    if (until is None) == (more is None):
        raise ValueError("`until` or `more` must be given, but not both: steps in all, or steps from here.")
    last = trainer.step + (more or 0) if until is None else until
    return trainer.run(last, progress=progress, tensorboard=tensorboard)


def restore(out: Folder, *, config: RunConfig | None = None) -> Trainer:
    """The trainer of a run, at its last checkpoint; its folder is left as it is."""
    folder = Path(out)
    if not (folder / CHECKPOINT).is_file():
        raise FileNotFoundError(f"`out` must hold a run, but {folder} has no {CHECKPOINT}.")
    state = _checkpoint(folder / CHECKPOINT)
    saved = RunConfig.from_dict(state["config"])
    written = RunConfig.from_dict(read_json(folder / CONFIG))
    for other, place in ((config or saved, "`config`"), (written, folder / CONFIG)):
        for name, (before, now) in saved.differences(other).items():
            raise ValueError(
                f"`{name}` must be {before!r}, as when the run was started, but it is {now!r} in {place}. Start "
                "another run for another config."
            )
    trainer = Trainer(saved, folder)
    trainer.load_state_dict(state)
    return trainer


def write_log(out: Folder, rows: Iterable[dict[str, float]], mode: str) -> None:
    """Append rows to metrics.jsonl and metrics.csv, or with mode "w" write these alone."""
    with open(Path(out, LOG), mode, encoding="utf-8") as lines, open(Path(out, TABLE), mode, newline="") as table:
        writer = csv.DictWriter(table, COLUMNS)
        if table.tell() == 0:
            writer.writeheader()
        for row in rows:
            lines.write(json.dumps(row) + "\n")
            writer.writerow(row)


def read_log(out: Folder) -> list[dict[str, float]]:
    """The rows of metrics.jsonl; a last line that was cut off by a crash is left out."""
    path = Path(out, LOG)
    lines = path.read_text("utf-8").splitlines(keepends=True) if path.is_file() else []
    return [_parsed(line, f"line {k} of {path}") for k, line in enumerate(lines, 1) if line.endswith("\n")]


def read_json(path: Path) -> dict[str, Any]:
    """What a file of a run says."""
    return _parsed(path.read_text("utf-8"), str(path))


def _parsed(text: str, where: str) -> dict[str, Any]:
    try:
        read = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"`out` must hold a run that can be read, but {where} is no JSON: {error}.") from error
    if not isinstance(read, dict):
        raise ValueError(f"`out` must hold a run that can be read, but {where} is no JSON object.")
    return read


def _checkpoint(path: Path) -> dict[str, Any]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (EOFError, LookupError, RuntimeError, TypeError, ValueError, pickle.UnpicklingError) as error:
        first = str(error).partition("\n")[0].partition(". ")[0] or "it is empty"
        raise ValueError(
            f"`out` must hold a checkpoint that can be read, but {path} is damaged ({first.rstrip('.')}). "
            "Restore it from a copy, or train anew."
        ) from error
    if not isinstance(state, dict) or "config" not in state:
        raise ValueError(f"`out` must hold a checkpoint of a run, but {path} is of something else. Train anew.")
    return state


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


def _latent_of(config: RunConfig, d: int) -> tuple[Latent, int]:
    """What draws latent points, and their dimension."""
    if config.latent in LATENTS:
        return LATENTS[config.latent], config.latent_dim or (2 if d <= 3 else 16)
    try:
        source = torch.from_numpy(load(config.latent).train)
    except ImportError as error:
        known = ", ".join(map(repr, LATENTS))
        raise ValueError(f"`latent` must be one of {known}, or data to translate from: {error}") from error
    return lambda n, k, rng: source[torch.randint(len(source), (n,), generator=rng)], source.shape[1]


def _optimizer(recipe: Recipe, role: str, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    adam = partial(torch.optim.Adam, betas=(recipe.beta1, recipe.beta2), fused=True)
    kinds: dict[str, Any] = {"adam": adam, "rmsprop": torch.optim.RMSprop, "sgd": torch.optim.SGD}
    return kinds[recipe.optimizer](parameters, lr=getattr(recipe, f"{role}_rate"))


def _board(out: Path, step: int) -> Any:
    """TensorBoard's log, in which points from after this step are taken back."""
    require("tensorboard", "`tensorboard`")
    writer = require("torch.utils.tensorboard", "`tensorboard`").SummaryWriter
    return writer(str(out / "tensorboard"), purge_step=step + 1)


@contextmanager
def _finishing_the_step() -> Iterator[list[int]]:
    """Ctrl-C waits for the end of a step, where a run can be saved; the second one does not wait."""
    asked: list[int] = []

    def ask(number: int, frame: Any) -> None:
        asked.append(number)
        if len(asked) > 1:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # no other may listen to signals
        yield asked
        return
    before = signal.signal(signal.SIGINT, ask)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
