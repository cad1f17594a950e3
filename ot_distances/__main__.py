"""The command line: `ot-distances theta-shift`, `compare`, `bench`, `gan`, `info` and `completion`."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NoReturn

from .commands import bench, compare, completion, info, theta_shift
from .commands.output import jsonable
from .problem import NotConverged

OK, BAD_INPUT, NOT_CONVERGED, DIVERGED, INTERRUPTED = 0, 2, 3, 4, 130

COMMANDS: dict[str, ModuleType] = {
    "theta-shift": theta_shift,
    "compare": compare,
    "bench": bench,
    "info": info,
    "completion": completion,
}
EXAMPLES = """\
examples:
  ot-distances theta-shift --out theta.png      why the Wasserstein GAN uses the Wasserstein distance
  ot-distances compare real.npy fake.npy        every distance between two sets of points, certified
  ot-distances bench                            side by side with the peers that are installed
  ot-distances gan --help                       train generators by any of the distances
  ot-distances info                             what to paste into a bug report
  source <(ot-distances completion bash)        the Tab key knows commands, options and files

exit codes: 0 done, 2 bad usage or input, 3 a distance could not be certified, 4 a training run diverged, 130 Ctrl-C.
With --traceback, or OT_DISTANCES_DEBUG=1 in the environment, an error shows its traceback.
"""


class Parser(argparse.ArgumentParser):
    """Bad usage is one sentence with its cure, as every other error is."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: error: {message}. For examples: {self.prog} --help\n")

    def add_subparsers(self, **options: Any) -> Any:
        self.commands = super().add_subparsers(**options)
        return self.commands


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the return value is the exit code."""
    # argparse takes -1e-3 for an option; behind a blank it is the number it is.
    given = sys.argv[1:] if argv is None else argv
    tokens = [f" {token}" if token.startswith("-") and is_number(token) else token for token in given]
    try:
        parser = parser_of_all(gan=tokens[:1] == ["gan"])
    except ImportError as error:  # of torch
        print(f"ot-distances: error: {error}", file=sys.stderr)
        return BAD_INPUT
    args = parser.parse_args(tokens)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a plain terminal has no ±: rather a question mark than nothing
        sys.stdout.reconfigure(errors="replace")
    try:
        report, text = args.run(args)
        if args.json:
            text = json.dumps(jsonable(report), indent=2)
        print(text, flush=True)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print("ot-distances: stopped", file=sys.stderr)
        return INTERRUPTED
    except (ArithmeticError, ImportError, MemoryError, NotConverged, OSError, TypeError, ValueError) as error:
        if args.traceback or os.environ.get("OT_DISTANCES_DEBUG"):
            raise
        print(f"ot-distances: error: {' '.join(str(error).split())}", file=sys.stderr)
        if isinstance(error.__cause__, KeyboardInterrupt):  # with the bounds that were reached
            return INTERRUPTED
        if isinstance(error, ArithmeticError):
            return DIVERGED
        return NOT_CONVERGED if isinstance(error, NotConverged) else BAD_INPUT
    return OK


def parser_of_all(*, gan: bool = False) -> argparse.ArgumentParser:
    """Of all commands; those below `gan` only where asked for, since they load torch."""
    common = Parser(add_help=False)
    common.add_argument("--json", action="store_true", help="print one JSON object; infinity is the string 'inf'")
    common.add_argument("--traceback", action="store_true", help="show the traceback of an error")
    parser = Parser(
        prog="ot-distances",
        description="Exact optimal transport with proofs, and KL, JS and total variation beside it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"ot_distances {info.version_of('ot_distances')}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, module in COMMANDS.items():
        command = commands.add_parser(
            name,
            parents=[common],
            help=module.ABOUT,
            description=f"Print {module.ABOUT}.",
            epilog=module.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run, parser_of_all=parser_of_all)
    about = "train generators by any of the distances"
    below = commands.add_parser(
        "gan", help=about, description=f"{about.capitalize()}.", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if gan:
        from .commands.gan import add_commands

        add_commands(below, common)
        for name, command in below.commands.choices.items():  # each its own lines of the common page
            own = [line for line in (below.epilog or "").splitlines() if line.startswith(f"  {below.prog} {name} ")]
            command.epilog, command.formatter_class = "\n".join(["examples:", *own]), below.formatter_class
    return parser


def is_number(token: str) -> bool:
    try:
        float(token)
    except ValueError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
