"""What `import ot_distances` brings in, and what its public names promise."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ot_distances

ROOT = Path(__file__).parents[1]
HEAVY = ["torch", "cupy", "matplotlib", "numba", "scipy.optimize", "scipy.sparse", "scipy.stats", "sklearn", "pyarrow"]
FUNCTIONS = [name for name in ot_distances.__all__ if inspect.isfunction(getattr(ot_distances, name))]
SECTIONS = ["Parameters", "Returns", "Raises", "Examples"]


def modules_after(code: str) -> set[str]:
    """What a fresh Python has loaded after running the code."""
    script = f"{code}\nimport sys\nprint(*sys.modules, sep='\\n')"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(run.stdout.split())


def test_import_loads_nothing_heavy() -> None:
    assert modules_after("import ot_distances").isdisjoint(HEAVY)


def test_divergences_of_vectors_load_nothing_heavy() -> None:
    loaded = modules_after("import ot_distances as ot; ot.js_divergence([0.5, 0.5], [1.0, 0.0])")
    assert loaded.isdisjoint(HEAVY)


def test_distances_load_no_other_array_library() -> None:
    loaded = modules_after("import ot_distances as ot; ot.wasserstein([0.0, 1.0], [2.0, 4.0])")
    assert loaded.isdisjoint({"torch", "cupy", "matplotlib", "sklearn", "pyarrow"})


def test_distances_on_a_line_compile_nothing() -> None:
    calls = "x, y = np.arange(9000.0), np.arange(7000.0); ot.wasserstein(x, y); ot.wasserstein(x, x + 1, x, x[::-1])"
    loaded = modules_after(f"import numpy as np, ot_distances as ot; {calls}")
    assert loaded.isdisjoint(HEAVY)


def test_public_names_are_sorted_and_real() -> None:
    assert ot_distances.__all__ == sorted(set(ot_distances.__all__), key=lambda name: (name.islower(), name))
    assert all(hasattr(ot_distances, name) for name in ot_distances.__all__)


def test_readme_lists_the_public_names() -> None:
    """The table under "The names" in README.md is the whole interface."""
    section = (ROOT / "README.md").read_text("utf-8").partition("## The names")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    listed = [name for row in rows for name in re.findall(r"`(\w+)", row.split("|")[1])]
    assert sorted(listed) == sorted(ot_distances.__all__)


@pytest.mark.parametrize("name", ot_distances.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    assert (getattr(ot_distances, name).__doc__ or "").strip()


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("section", SECTIONS)
def test_every_public_function_documents(name: str, section: str) -> None:
    doc = inspect.getdoc(getattr(ot_distances, name)) or ""
    assert re.search(rf"^{section}\n-{{{len(section)}}}$", doc, re.MULTILINE), f"{name} has no section {section}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_parameter_is_documented(name: str) -> None:
    function = getattr(ot_distances, name)
    doc = inspect.getdoc(function) or ""
    parameters = doc.partition("Parameters\n----------\n")[2].partition("\n\n")[0]
    named = {
        word.lstrip("*")
        for line in re.findall(r"^(\S.*?)(?: :|$)", parameters, re.MULTILINE)
        for word in line.split(", ")
    }
    assert named == set(inspect.signature(function).parameters)
