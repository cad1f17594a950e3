"""`ot-distances completion`: what the Tab key needs to know, for bash, zsh and fish, read off the parser itself."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ABOUT = "a script that completes commands, options and files"
EXAMPLES = """\
examples:
  source <(ot-distances completion bash)                                  this shell; for all, a line of ~/.bashrc
  source <(ot-distances completion zsh)                                   the same for ~/.zshrc, after compinit
  ot-distances completion fish > ~/.config/fish/completions/ot-distances.fish
"""


@dataclass(frozen=True)
class Argument:
    """An option, or a place where something stands."""

    flags: tuple[str, ...]  # none: a place
    about: str
    choices: tuple[str, ...] = ()
    files: bool = False
    values: bool = True  # something follows


@dataclass
class Node:
    """A command with what may follow it; `path` is "/" for the program, "/gan/train" for a command below."""

    path: str
    about: str
    arguments: list[Argument] = field(default_factory=list)
    below: dict[str, Node] = field(default_factory=dict)

    def walk(self) -> Iterator[Node]:
        yield self
        for node in self.below.values():
            yield from node.walk()

    @property
    def options(self) -> list[Argument]:
        return [argument for argument in self.arguments if argument.flags]

    @property
    def places(self) -> list[Argument]:
        return [argument for argument in self.arguments if not argument.flags]


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("shell", choices=tuple(SHELLS))


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    try:
        parser = args.parser_of_all(gan=True)
    except ImportError:  # without torch there is nothing to complete below `gan`
        parser = args.parser_of_all()
    script = SHELLS[args.shell](_read(parser)).rstrip()
    return {"shell": args.shell, "script": script}, script


def _read(parser: argparse.ArgumentParser, path: str = "/", about: str = "") -> Node:
    node = Node(path, about)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            abouts = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, below in action.choices.items():
                node.below[name] = _read(below, f"{path.rstrip('/')}/{name}", abouts.get(name, ""))
        else:
            node.arguments.append(
                Argument(
                    tuple(action.option_strings),
                    str(action.help or action.metavar or action.dest).replace("%%", "%"),
                    tuple(str(choice) for choice in action.choices or ()),
                    action.type is Path,
                    action.nargs != 0,
                )
            )
    return node


def _bash(root: Node) -> str:
    cases = []
    for node in root.walk():
        values = [
            f"        {'|'.join(option.flags)}) {_bash_values(option)};;" for option in node.options if option.values
        ]
        words = [*node.below, *(choice for place in node.places for choice in place.choices)]
        words += [flag for option in node.options for flag in option.flags]
        files = "files=1" if any(place.files for place in node.places) else "files="
        cases += [
            f"    {node.path})",
            '      case "$previous" in',
            *values,
            f"        *) words='{' '.join(words)}'; {files};;",
            "      esac;;",
        ]
    paths = "|".join(node.path for node in root.walk() if node.path != "/")
    return BASH.format(paths=paths, cases="\n".join(cases))


def _bash_values(option: Argument) -> str:
    return "files=1" if option.files else f"words='{' '.join(option.choices)}'"


BASH = """\
# Completion of ot-distances for bash.
_ot_distances() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}} at=/ words= files= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "${{at%/}}/${{COMP_WORDS[i]}}" in
      {paths}) at="${{at%/}}/${{COMP_WORDS[i]}}";;
    esac
  done
  case "$at" in
{cases}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  if [[ $files ]]; then
    local IFS=$'\\n'  # a name of a file may hold blanks
    compopt -o filenames 2>/dev/null
    COMPREPLY+=($(compgen -f -- "$current"))
  fi
}}
complete -F _ot_distances ot-distances
"""


def _zsh(root: Node) -> str:
    functions = "\n".join(_zsh_function(node) for node in root.walk())
    return ZSH.format(functions=functions)


def _zsh_name(path: str) -> str:
    return "_ot_distances" + path.rstrip("/").replace("/", "__").replace("-", "_")


def _zsh_function(node: Node) -> str:
    specs = [_zsh_option(option, flag) for option in node.options for flag in option.flags]
    if not node.below:
        specs += [f"'*:{_zsh_text(place.about)}:{_zsh_values(place)}'" for place in node.places[-1:]]
        return f"{_zsh_name(node.path)}() {{\n  _arguments -s {_lines(specs)}\n}}"
    commands = " ".join(f"'{name}:{_zsh_text(below.about)}'" for name, below in node.below.items())
    calls = "\n".join(f"        {name}) {_zsh_name(below.path)};;" for name, below in node.below.items())
    specs += ["'1: :->command'", "'*:: :->rest'"]
    return f"""{_zsh_name(node.path)}() {{
  local state line
  local -a commands=({commands})
  _arguments -C {_lines(specs)}
  case $state in
    command) _describe -t commands command commands;;
    rest)
      case $line[1] in
{calls}
      esac;;
  esac
}}"""


def _lines(specs: list[str]) -> str:
    return " \\\n    ".join(specs)


def _zsh_option(option: Argument, flag: str) -> str:
    value = f":{_zsh_text(option.about)}:{_zsh_values(option)}" if option.values else ""
    return f"'{flag}[{_zsh_text(option.about)}]{value}'"


def _zsh_values(argument: Argument) -> str:
    return "_files" if argument.files else f"({' '.join(argument.choices)})" if argument.choices else ""


def _zsh_text(text: str) -> str:
    """Without what _arguments reads as its own."""
    return text.replace("'", "").replace("\\", "").replace("[", "(").replace("]", ")").replace(":", " -")


ZSH = """\
#compdef ot-distances
# Completion of ot-distances for zsh.
{functions}
if [ "$funcstack[1]" = "_ot_distances" ]; then
  _ot_distances "$@"
else
  compdef _ot_distances ot-distances
fi
"""


def _fish(root: Node) -> str:
    lines = []
    for node in root.walk():
        at = f"complete -c ot-distances -n '__ot_distances_at {node.path}'"
        files = any(place.files for place in node.places)
        lines.append(f"{at} {'-F' if files else '-f'}")
        lines += [f"{at} -a {name} -d '{_fish_text(below.about)}'" for name, below in node.below.items()]
        lines += [f"{at} -a '{' '.join(place.choices)}'" for place in node.places if place.choices]
        for option in node.options:
            names = " ".join(f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags)
            value = "" if not option.values else " -r -F" if option.files else " -x"
            value += f" -a '{' '.join(option.choices)}'" if option.choices else ""
            lines.append(f"{at} {names}{value} -d '{_fish_text(option.about)}'")
    paths = " ".join(node.path for node in root.walk() if node.path != "/")
    return FISH.format(paths=paths, lines="\n".join(lines))


def _fish_text(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


FISH = """\
# Completion of ot-distances for fish.
function __ot_distances_at
    set -l at /
    for word in (commandline -opc)[2..-1]
        set -l below (string trim -r -c / -- $at)/$word
        contains -- $below {paths}; and set at $below
    end
    test $at = $argv[1]
end
{lines}
"""

SHELLS: dict[str, Callable[[Node], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
