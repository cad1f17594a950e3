"""The Tab key, in the shells themselves where they are installed."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ot_distances.__main__ import COMMANDS, main
from ot_distances.commands.completion import SHELLS
from ot_distances.costs import METRICS

TYPED: dict[str, set[str]] = {
    "": {*COMMANDS, "gan"},
    "com": {"compare", "completion"},
    "compare --we": {"--weights-x", "--weights-y"},
    "compare --metric ": set(METRICS),
    "compare x.npy y.npy --metric c": {"cityblock", "chebyshev"},
    "completion ": set(SHELLS),
    "bench --suite po": {"points"},
    "gan re": {"resume", "report"},
    "gan resume --un": {"--until"},
    "gan compare --ten": {"--tensorboard"},
    "compare with": {"with blank.npy"},
    "compare --plot p": {"plan.png"},
}
SETTINGS = {"env": os.environ | {"TERM": "dumb"}, "text": True, "capture_output": True, "timeout": 60}


@pytest.fixture
def scripts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A folder with the three scripts, and files to complete."""
    pytest.importorskip("torch")  # what is below `gan` is torch's
    for shell in SHELLS:
        assert main(["completion", shell]) == 0
        (tmp_path / f"script.{shell}").write_text(capsys.readouterr().out)
    for name in ("with blank.npy", "plan.png"):
        (tmp_path / name).touch()
    return tmp_path


def shell(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@pytest.mark.parametrize("typed", TYPED)
def test_bash(typed: str, scripts: Path) -> None:
    words = ["ot-distances", *typed.split(" ")]
    line = " ".join(f"'{word}'" for word in words)
    script = f"""
        source script.bash
        [[ $(complete -p ot-distances) == *_ot_distances* ]] || exit 1
        COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}
        _ot_distances; printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    run = subprocess.run([shell("bash"), "--norc", "-c", script], cwd=scripts, **SETTINGS)
    assert run.returncode == 0, run.stderr
    found = {word for word in run.stdout.splitlines() if word}
    assert {word for word in found if not word.startswith("-") or "-" in typed} == TYPED[typed]


@pytest.mark.parametrize("typed", TYPED)
def test_fish(typed: str, scripts: Path) -> None:
    script = f"source script.fish; complete -C 'ot-distances {typed}'"
    run = subprocess.run([shell("fish"), "--no-config", "-c", script], cwd=scripts, **SETTINGS)
    assert run.returncode == 0, run.stderr
    assert {line.partition("\t")[0] for line in run.stdout.splitlines()} == TYPED[typed]


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("theta", "theta-shift"),
        ("compare --metric city", "--metric cityblock"),
        ("gan resume --unt", "gan resume --until"),
        ("bench --suite assi", "--suite assignment"),
        ("compare wit", "compare with\\ blank.npy"),
        ("completion fi", "completion fish"),
    ],
)
def test_zsh(typed: str, completed: str, scripts: Path) -> None:
    """Typed at a terminal of its own, since zsh completes nowhere else."""
    name = shell("zsh")
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(scripts)
        os.environ["TERM"] = "dumb"
        os.execv(name, [name, "-f", "-i"])

    def until(pattern: str) -> str:
        seen, end = "", time.monotonic() + 60
        while not re.search(pattern, seen) and time.monotonic() < end:
            if select.select([terminal], [], [], 0.2)[0]:
                seen += os.read(terminal, 4096).decode(errors="replace")
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen)

    try:
        os.write(terminal, b"autoload -U compinit && compinit -u -D; source script.zsh; PS1=; print re''ady\n")
        assert "ready" in until(r"\bready\r")
        os.write(terminal, f"ot-distances {typed}\t".encode())
        assert completed in until(re.escape(completed))
    finally:
        os.close(terminal)
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def test_without_torch_the_rest_is_still_completed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "torch" or ".gan" in name]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    assert "--weights-x" in script
    assert "--objective" not in script
