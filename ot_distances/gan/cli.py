"""`ot-distances gan train | resume | report | compare`: the harness from the command line."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

from .._arrays import require
from ..costs import METRICS
from . import plots
from .config import NETS, OPTIMIZERS, PRESETS, RunConfig, objective_of
from .data import DATASETS
from .objectives import OBJECTIVES
from .samplers import BATCHES, LATENTS
from .terms import TERMS
from .trainer import CONFIG, SUMMARY, resume, train

EXAMPLES = """\
examples:
  ot-distances gan train --data ring8 --objective primal --p 2 --sampler stratified --latent sobol --out ring
  ot-distances gan train --preset wgan_paper --data digits --steps 20000 --out wgan
  ot-distances gan train --data my-images/ --size 32 --net dcgan --batch-norm --steps 5000 --out mine
  ot-distances gan resume ring --more 2000
  ot-distances gan compare primal vanilla wgan_gp --data ring8 --steps 2000 --out side-by-side
  ot-distances gan report ring wgan

Data, objectives and options are described in docs/gan.md. Ctrl-C saves the run; `resume` goes on with it.
"""
# What an option is for; the default is added.
ABOUT = {
    "data": f"{', '.join(DATASETS)}, a .npz or .npy file, or a folder of images",
    "size": "side to which the images of a folder are resized",
    "batch": "points in a batch",
    "sampler": ", ".join(BATCHES),
    "latent": f"{', '.join(LATENTS)}, or data to translate from",
    "latent_dim": "default: 2 for points, 16 for images",
    "net": ", ".join(NETS),
    "width": "units of a hidden layer, or channels of the largest image",
    "depth": "hidden layers of an mlp",
    "attention": "self-attention in a dcgan",
    "optimizer": f"{', '.join(OPTIMIZERS)}; default, as for rates and betas: what the objective is used to",
    "seed": "of the networks, the batches, the latent points and the objective",
    "log_every": "steps between two rows of the log",
    "eval_every": "steps between two evaluations",
    "save_every": "steps between two checkpoints",
    "eval_points": "points a side of the exact distances",
    "device": "a torch device",
    "cost": f"{', '.join(METRICS)}, or module:function",
    "features": "primal: module:function; else kernel or histogram",
    "clip": "bound of the critic's weights",
    "penalty": "weight of the penalty on the critic's slope",
    "n_critic": "steps of the critic for each of the generator",
    "p": "order of the distance",
    "bandwidth": "width of the kernel; default: a quarter of the spread of the data",
    "bins": "cells a side of the histogram",
    "saturating": "the min-max loss, whose gradient vanishes",
    "debias": "less the distances within each side",
}
# Columns of a report, where a run has them.
REPORTED = (
    "step", "modes", "high_quality", "w1", "w1_floor", "w2", "w2_floor", "spread", "recall", "w_estimate",
    "js_estimate", "seconds",
)  # fmt: skip


def add_commands(command: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Hang the four commands below `ot-distances gan`."""
    command.epilog = EXAMPLES
    commands = command.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, run: Callable[[argparse.Namespace], Any], about: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, parents=[common], help=about, description=f"{about.capitalize()}.")
        one.set_defaults(run=run)
        return one

    one = add("train", _train, "train a generator from the start")
    one.add_argument("--objective", choices=tuple(OBJECTIVES), help="default: primal")
    one.add_argument("--preset", choices=tuple(PRESETS), help="start from these settings")
    _add_settings(one)
    several = add("compare", _compare, "train by several objectives from the same start on the same batches")
    several.add_argument(
        "objectives", nargs="+", choices=tuple(OBJECTIVES), metavar="OBJECTIVE", help=", ".join(OBJECTIVES)
    )
    _add_settings(several)
    one = add("resume", _resume, "go on with a run")
    one.add_argument("out", type=Path, metavar="DIR")
    last = one.add_mutually_exclusive_group(required=True)
    last.add_argument("--until", type=int, metavar="N", help="steps in all")
    last.add_argument("--more", type=int, metavar="N", help="steps from where it is")
    _add_display(one)
    several = add("report", _report, "show runs side by side")
    several.add_argument("runs", nargs="+", type=Path, metavar="DIR")


def _add_settings(command: argparse.ArgumentParser) -> None:
    """One option for each field of the config, and one for each field of any objective: the tables are the classes."""
    command.add_argument("--steps", type=int, default=2000, help="of the generator; default: 2000")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder for the run")
    _add_display(command)
    settings = command.add_argument_group("the run")
    for setting in _settings():
        _add_option(settings, setting)
    options = command.add_argument_group("options of objectives")
    for name, owners in _objective_options().items():
        setting = next(f for f in fields(OBJECTIVES[owners[0]]) if f.name == name)
        _add_option(options, setting, f"({', '.join(owners)}) ")


def _add_display(command: argparse.ArgumentParser) -> None:
    command.add_argument("--quiet", action="store_true", help="show no progress bar")
    command.add_argument("--tensorboard", action="store_true", help="write the log for TensorBoard too")


def _settings() -> Iterator[Field[Any]]:
    return (setting for setting in fields(RunConfig) if setting.name != "objective")


def _objective_options() -> dict[str, list[str]]:
    """The names of all options of objectives, and who has them."""
    owners: dict[str, list[str]] = {}
    for name, kind in OBJECTIVES.items():
        for setting in fields(kind):
            owners.setdefault(setting.name, []).append(name)
    return owners


def _add_option(group: Any, setting: Field[Any], owners: str = "") -> None:
    flag, kind = f"--{setting.name.replace('_', '-')}", str(setting.type)
    about = owners + ABOUT.get(setting.name, "")
    if not owners and setting.default is not None and kind != "bool":
        about = f"{about}; default: {setting.default}"
    if setting.name == "terms":
        group.add_argument(
            "--term", action="append", dest="terms", type=_term, metavar="NAME=WEIGHT", help=", ".join(TERMS)
        )
    elif setting.name == "shape":
        group.add_argument(flag, type=_shape, metavar="C,H,W", help="of images that lie flat in a file")
    elif kind == "bool":
        group.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=about)
    else:
        parse = int if kind.startswith("int") else float if kind.startswith("float") else str
        group.add_argument(flag, type=parse, metavar=parse.__name__.upper(), help=about)


def _term(text: str) -> tuple[str, float]:
    name, _, weight = text.partition("=")
    return name, float(weight or 1)


def _shape(text: str) -> tuple[int, ...]:
    sizes = tuple(int(part) for part in text.split(","))
    if len(sizes) != 3:
        raise argparse.ArgumentTypeError("must be C,H,W")
    return sizes


def _config(args: argparse.Namespace, objective: str | None, *, strict: bool) -> RunConfig:
    """What was typed. With `strict`, an option that the objective does not have is refused, else left out."""
    given = {f.name: getattr(args, f.name) for f in _settings() if getattr(args, f.name) is not None}
    if "terms" in given:
        given["terms"] = dict(given["terms"])
    owners = _objective_options()
    options = {name: getattr(args, name) for name in owners if getattr(args, name) is not None}
    preset = getattr(args, "preset", None)
    if preset is not None:
        if objective is not None or options:
            raise ValueError(
                "`--preset` must stand alone, but an objective or an option of one is given. Leave it out."
            )
        return PRESETS[preset](**given)
    name = objective or "primal"
    if not strict:
        options = {option: value for option, value in options.items() if name in owners[option]}
    return RunConfig(objective=objective_of(name, **options), **given)


def _train(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    require("matplotlib", "the pictures of a run")  # said before the training, not after it
    config = _config(args, args.objective, strict=True)
    train(config, args.out, steps=args.steps, progress=not args.quiet, tensorboard=args.tensorboard)
    return _drawn(args.out)


def _resume(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    require("matplotlib", "the pictures of a run")
    resume(args.out, until=args.until, more=args.more, progress=not args.quiet, tensorboard=args.tensorboard)
    return _drawn(args.out)


def _drawn(out: Path) -> tuple[dict[str, Any], str]:
    pictures = plots.draw_run(out)
    report, text = _side_by_side([out])
    return report, "\n".join([text, "", *(f"picture: {path}" for path in pictures)])


def _compare(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    require("matplotlib", "the pictures of a run")
    configs = {name: _config(args, name, strict=False) for name in args.objectives}
    folders = []
    for name, config in configs.items():
        folders.append(args.out / name)
        train(config, folders[-1], steps=args.steps, progress=not args.quiet, tensorboard=args.tensorboard)
        plots.draw_run(folders[-1])
    picture = plots.draw_comparison(folders, args.out / "compare.png")
    report, text = _side_by_side(folders)
    return report, f"{text}\n\npicture: {picture}"


def _report(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    return _side_by_side(args.runs)


def _side_by_side(folders: list[Path]) -> tuple[dict[str, Any], str]:
    """The summaries of runs, one column each, below what differs between their configs."""
    report: dict[str, Any] = {}
    for folder in folders:
        if not (folder / SUMMARY).is_file():
            raise FileNotFoundError(f"`DIR` must hold a run that came to an end, but {folder} has no {SUMMARY}.")
        config, summary = (json.loads((folder / name).read_text("utf-8")) for name in (CONFIG, SUMMARY))
        report[str(folder)] = {"config": config, "summary": summary}
    configs = [RunConfig.from_dict(run["config"]) for run in report.values()]
    differ: dict[str, list[Any]] = {}
    for k, config in enumerate(configs[1:], 1):
        for name, (first, other) in configs[0].differences(config).items():
            differ.setdefault(name, [first] * len(configs))[k] = other
    rows = [["", *report]] + [
        [name, *("-" if v is None else str(v) for v in values)] for name, values in differ.items()
    ]
    for name in REPORTED:
        values = [run["summary"].get(name) for run in report.values()]
        if any(value is not None for value in values):
            rows.append([name, *("-" if value is None else f"{value:.4g}" for value in values)])
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = [
        "  ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths)))
        for row in rows
    ]
    return {"runs": report}, "\n".join(lines)
