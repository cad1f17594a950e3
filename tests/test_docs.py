"""The pages are run: every example in them, every make target and every link that they name."""

from __future__ import annotations

import ast
import base64
import contextlib
import doctest
import importlib
import io
import json
import re
import shlex
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import matplotlib.pyplot as plt
import naive
import pytest

from ot_distances.__main__ import parser_of_all
from ot_distances.costs import METRICS
from ot_distances.solvers import SOLVERS, Solver

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
NOTEBOOKS = sorted((ROOT / "docs").rglob("*.ipynb"))
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def page_id(path: Path) -> str:
    return str(path.relative_to(ROOT))


def examples(page: Path) -> str:
    """The Python blocks of a page that hold `>>>`, one after the other: a page is read from top to bottom."""
    blocks = re.findall(r"^```(?:python|pycon)\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return "\n".join(block for block in blocks if ">>>" in block)


@pytest.mark.parametrize("page", [page for page in PAGES if examples(page)], ids=page_id)
def test_examples_print_what_the_page_shows(page: Path) -> None:
    test = doctest.DocTestParser().get_doctest(examples(page), {}, page.name, str(page), 0)
    report = io.StringIO()
    result = doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=report.write)
    assert result.failed == 0, report.getvalue()


def test_readme_has_an_example() -> None:
    assert examples(ROOT / "README.md")


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text("utf-8"), re.MULTILINE))
    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)\s#]+)", page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_commands_are_understood(page: Path) -> None:
    text = re.sub(r" [>|] .*", "", page.read_text("utf-8").replace("\\\n", " "))  # redirections are the shell's
    for line in re.findall(r"^(?:\$ )?ot-distances (.*)", text, re.MULTILINE):
        tokens = takewhile(lambda token: token not in {"|", ">"}, shlex.split(line, comments=True))
        parser_of_all(gan=line.startswith("gan")).parse_args([*tokens])


@pytest.mark.parametrize("row", SOLVERS.values(), ids=SOLVERS)
def test_every_solver_has_its_page_with_what_runs(row: Solver) -> None:
    page = (ROOT / f"docs/algorithms/{row.module}.md").read_text("utf-8")
    assert f"`solvers/{row.module}.py`" in page and "```text" in page and len(page) > 500


def test_adding_things_names_tables_that_exist() -> None:
    _, _, section = (ROOT / "docs/design.md").read_text("utf-8").partition("## Adding things in one place")
    tables = re.findall(r"`([A-Z]+)` in\s`([\w/]+)\.py`", section)
    assert {"METRICS", "SOLVERS", "DIVERGENCES"} <= {name for name, _ in tables}
    for name, path in tables:
        module = f"ot_distances.{path.replace('/', '.').removesuffix('.__init__')}"
        assert hasattr(importlib.import_module(module), name), f"no {name} in {path}.py"


def test_ground_costs_have_slow_twins() -> None:
    assert naive.METRICS.keys() == METRICS.keys()


def test_citation_names_this_version() -> None:
    """CITATION.cff and setup.cfg say the same of title, version and licence."""
    citation = dict(re.findall(r"^([\w-]+): (.+)$", (ROOT / "CITATION.cff").read_text("utf-8"), re.MULTILINE))
    metadata = dict(re.findall(r"^(\w+) = (.+)$", (ROOT / "setup.cfg").read_text("utf-8"), re.MULTILINE))
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == metadata["version"]
    assert citation["license"] == metadata["license"]
    assert citation["title"].strip('"').startswith(metadata["name"])


def test_pictures_of_the_readme_are_there() -> None:
    shown = re.findall(r'(?:src|srcset)="([^"]+)"', (ROOT / "README.md").read_text("utf-8"))
    assert len(shown) == 2
    assert all((ROOT / picture).read_bytes().startswith(b"\x89PNG") for picture in shown)


def cells(notebook: Path) -> list[dict]:
    return [cell for cell in json.loads(notebook.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]


def run_cell(source: str, names: dict) -> str:
    """What the cell prints, with the value of its last expression, as a notebook shows it."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "cell", "exec"), names)
        value = eval(compile(ast.Expression(last.value), "cell", "eval"), names) if last else None
    return printed.getvalue() + ("" if value is None else f"{value!r}\n")


def texts(cell: dict) -> Iterator[str]:
    """The text that the notebook keeps of a cell; a picture is looked at by `test_notebooks_hold_pictures`."""
    for output in cell["outputs"]:
        if output["output_type"] == "stream" and output["name"] == "stdout":
            yield "".join(output["text"])
        elif output["output_type"] == "execute_result":
            yield "".join(output["data"]["text/plain"]) + "\n"


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=page_id)
def test_notebooks_say_what_they_said(notebook: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "Agg")
    names: dict = {}
    for cell in cells(notebook):
        assert run_cell("".join(cell["source"]), names) == "".join(texts(cell))
        plt.close("all")  # as a notebook does once it has drawn them


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=page_id)
def test_notebooks_hold_pictures_and_no_errors(notebook: Path) -> None:
    outputs = [output for cell in cells(notebook) for output in cell["outputs"]]
    assert all(output["output_type"] != "error" for output in outputs)
    pictures = [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    assert pictures
    assert all(base64.b64decode(picture).startswith(b"\x89PNG") for picture in pictures)
