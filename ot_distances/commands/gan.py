"""`ot-distances gan train | resume | report | compare`: the harness from the command line."""

from __future__ import annotations

import inspect
import re
from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError, BooleanOptionalAction, Namespace
from collections.abc import Callable
from dataclasses import MISSING, Field, asdict, fields, replace
from itertools import chain
from pathlib import Path
from typing import Any

from .._arrays import require
from ..gan import OBJECTIVES, PRESETS, RunConfig, objective_of, plots, resume, train
from ..gan.config import CHOICES, flat
from ..gan.trainer import CONFIG, SUMMARY, read_json
from .output import columns_of

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
Answer = tuple[dict[str, Any], str]


def add_commands(command: ArgumentParser, common: ArgumentParser) -> None:
    """Hang the four commands below `ot-distances gan`."""
    command.epilog = EXAMPLES
    commands = command.add_subparsers(title="commands", metavar="COMMAND", required=True)
    display = ArgumentParser(add_help=False)
    display.add_argument("--quiet", action="store_true", help="show no progress bar")
    display.add_argument("--tensorboard", action="store_true", help="write the log for TensorBoard too")
    settings = _settings()

    def add(name: str, run: Callable[[Namespace], Answer], about: str, *parents: ArgumentParser) -> ArgumentParser:
        one = commands.add_parser(name, parents=[common, *parents], help=about, description=f"{about.capitalize()}.")
        one.set_defaults(run=run)
        return one

    one = add("train", _train, "train a generator from the start", display, settings)
    start = one.add_mutually_exclusive_group()
    start.add_argument("--objective", choices=tuple(OBJECTIVES), default="primal", help="default: primal")
    start.add_argument("--preset", choices=tuple(PRESETS), help="start from these settings")
    about = "train by several objectives from the same start on the same batches"
    several = add("compare", _compare, about, display, settings)
    several.add_argument("objectives", nargs="+", choices=tuple(OBJECTIVES), metavar="OBJECTIVE")
    one = add("resume", _resume, "go on with a run", display)
    one.add_argument("out", type=Path, metavar="DIR")
    last = one.add_mutually_exclusive_group(required=True)
    last.add_argument("--until", type=int, metavar="N", help="steps in all")
    last.add_argument("--more", type=int, metavar="N", help="steps from where it is")
    several = add("report", lambda args: _side_by_side(args.runs), "show runs side by side")
    several.add_argument("runs", nargs="+", type=Path, metavar="DIR")


def _settings() -> ArgumentParser:
    """One option for each field of the config and of the objectives: the tables are the classes."""
    parser = ArgumentParser(add_help=False)
    parser.add_argument("--steps", type=int, default=2000, help="of the generator; default: 2000")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder for the run")
    group = parser.add_argument_group("the run")
    for field in fields(RunConfig):
        if field.name != "objective":
            default = "" if field.default in (None, False, MISSING) else f" Default: {field.default}."
            _add_option(group, field, _described(RunConfig).get(field.name, "") + default)
    group = parser.add_argument_group("options of objectives")
    for field, owners in _options().values():
        about = dict.fromkeys(filter(None, (_described(OBJECTIVES[owner]).get(field.name) for owner in owners)))
        _add_option(group, field, f"({', '.join(owners)}) {' Or: '.join(about)}")
    return parser


def _options() -> dict[str, tuple[Field[Any], list[str]]]:
    """All options of objectives by name, and who has them."""
    found: dict[str, tuple[Field[Any], list[str]]] = {}
    for name, kind in OBJECTIVES.items():
        for field in fields(kind):
            found.setdefault(field.name, (field, []))[1].append(name)
    return found


def _described(kind: type) -> dict[str, str]:
    """What the docstrings of a class and of its bases say of each parameter."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        documented = re.findall(
            r"^(\w[\w, ]*) : .*\n((?:    .*\n)*)", inspect.cleandoc(base.__doc__ or "") + "\n", re.M
        )
        for names, text in documented:
            found |= dict.fromkeys(names.split(", "), " ".join(text.split()).replace("%", "%%"))
    return found


def _add_option(group: Any, field: Field[Any], about: str) -> None:
    """What is not typed is not there, so that the class keeps its say."""
    flag = "--term" if field.name == "terms" else f"--{field.name.replace('_', '-')}"
    known = [word for word in CHOICES.get(field.name, ()) if word]
    kind = {"choices": known} if known else KINDS[str(field.type).removesuffix(" | None")]
    group.add_argument(flag, dest=field.name, default=SUPPRESS, help=about, **kind)


def _shape(text: str) -> tuple[int, ...]:
    sizes = tuple(int(part) for part in text.split(","))
    if len(sizes) != 3:
        raise ArgumentTypeError("must be C,H,W")
    return sizes


def _term(text: str) -> tuple[str, float]:
    name, _, weight = text.partition("=")
    try:
        return name, float(weight or 1)
    except ValueError:
        raise ArgumentTypeError(f"must be NAME=WEIGHT, but the weight is {weight!r}") from None


# The type of a field: how its option is read.
KINDS: dict[str, dict[str, Any]] = {
    "str": {"metavar": "NAME"},
    "int": {"type": int, "metavar": "N"},
    "float": {"type": float, "metavar": "X"},
    "bool": {"action": BooleanOptionalAction},
    "Shape": {"type": _shape, "metavar": "C,H,W"},
    "Mapping[str, float]": {"type": _term, "action": "append", "metavar": "NAME=WEIGHT"},
}


def _config(args: Namespace, start: RunConfig, options: dict[str, Any]) -> RunConfig:
    """A config to start from, changed as was typed."""
    typed = {field.name: getattr(args, field.name) for field in fields(RunConfig) if field.name in args}
    objective = objective_of(start.objective.name, **asdict(start.objective) | options)
    return replace(start, **typed | {"objective": objective})


def _train(args: Namespace) -> Answer:
    start = PRESETS[args.preset]() if args.preset else RunConfig(objective=objective_of(args.objective))
    options = {name: getattr(args, name) for name in _options() if name in args}
    return _trained(args, {args.out: _config(args, start, options)})


def _compare(args: Namespace) -> Answer:
    configs = {}
    for objective in args.objectives:  # to each the options that it has
        options = {
            name: getattr(args, name) for name, (_, who) in _options().items() if name in args and objective in who
        }
        configs[args.out / objective] = _config(args, RunConfig(objective=objective_of(objective)), options)
    return _trained(args, configs)


def _trained(args: Namespace, configs: dict[Path, RunConfig]) -> Answer:
    require("matplotlib", "the pictures of a run")  # said before the training, not after it
    for out, config in configs.items():
        train(config, out, steps=args.steps, progress=not args.quiet, tensorboard=args.tensorboard)
    return _drawn(list(configs))


def _resume(args: Namespace) -> Answer:
    require("matplotlib", "the pictures of a run")
    resume(args.out, until=args.until, more=args.more, progress=not args.quiet, tensorboard=args.tensorboard)
    return _drawn([args.out])


def _drawn(folders: list[Path]) -> Answer:
    """The pictures of runs, and of several one more, beside their report."""
    pictures = [picture for folder in folders for picture in plots.draw_run(folder)]
    if len(folders) > 1:
        pictures.append(plots.draw_comparison(folders, folders[0].parent / "compare.png"))
    report, text = _side_by_side(folders)
    return report, "\n".join([text, "", *(f"picture: {path}" for path in pictures)])


def _side_by_side(folders: list[Path]) -> Answer:
    """The summaries of runs, one column each, below what differs between their configs."""
    runs: dict[str, dict[str, Any]] = {}
    for folder in folders:
        if not (folder / SUMMARY).is_file():
            raise FileNotFoundError(f"`DIR` must hold a run that came to an end, but {folder} has no {SUMMARY}.")
        config, summary = (read_json(folder / name) for name in (CONFIG, SUMMARY))
        runs[str(folder)] = {"config": config, "summary": summary}
    configs = [flat(run["config"]) for run in runs.values()]
    summaries = [{name: f"{value:.4g}" for name, value in run["summary"].items()} for run in runs.values()]
    table = [["", *runs]]
    for facts, always in ((configs, False), (summaries, True)):
        for name in dict.fromkeys(chain(*facts)):
            values = ["-" if one.get(name) is None else str(one[name]) for one in facts]
            table += [[name, *values]] if always or len(set(values)) > 1 else []
    return {"runs": runs}, "\n".join(columns_of(table))
