"""How Sphinx builds the site: offline, from the pages and notebooks of this folder and the docstrings (`make docs`)."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator
from importlib.metadata import version as version_of
from typing import Any

from docutils import nodes
from docutils.utils.math import latex2mathml

import ot_distances
from ot_distances.__main__ import parser_of_all
from ot_distances.solvers import SOLVERS

os.environ["COLUMNS"] = "88"  # of the help texts

project = "ot_distances"
author = "the ot_distances authors"
release = version = version_of("ot_distances")
language = "en"

extensions = ["myst_nb", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary"]
exclude_patterns = ["_*"]
templates_path = ["_templates"]
nitpicky = True

# The docstrings are written once, for help() too.
add_module_names = False
autosummary_ignore_module_all = False
autosummary_imported_members = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
toc_object_entries = False


def _help_texts(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield f"```console\n$ {parser.prog} --help\n{parser.format_help()}```\n"
    for command in parser.commands.choices.values() if hasattr(parser, "commands") else ():
        yield from _help_texts(command)


# Notebooks are executed by `make notebooks` and compared by the tests; the site shows what they hold.
nb_execution_mode = "off"
nb_mime_priority_overrides = [("html", "image/gif", 35)]
myst_enable_extensions = ["amsmath", "deflist", "dollarmath", "substitution"]
myst_heading_anchors = 3
myst_substitutions = {
    "commands": "\n".join(_help_texts(parser_of_all(gan=True))),
    "solvers": "\n".join(
        ["| `method` | what it does |", "|---|---|"]
        + [f"| [`{name}`](/algorithms/{row.module}.md) | {row.about} |" for name, row in SOLVERS.items()]
    ),
}

html_theme = "furo"
pygments_dark_style = "github-dark"
html_title = "ot_distances"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
html_math_renderer = "mathml"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0072b2", "color-brand-content": "#0072b2"},
    "dark_css_variables": {"color-brand-primary": "#56b4e9", "color-brand-content": "#56b4e9"},
}


def _formula(translator: Any, node: nodes.Node) -> None:
    """MathML, which every browser draws itself: formulas need no script and no network."""
    block = isinstance(node, nodes.math_block)
    markup = latex2mathml.tex2mathml(node.astext(), as_block=block)
    translator.body.append(f'<div class="formula">{markup}</div>' if block else markup)
    raise nodes.SkipNode


def _link_names(_app: Any, _what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    """In docstrings `name` links to what is public, and is code otherwise."""

    def role(found: re.Match[str]) -> str:
        public = found[1] in ot_distances.__all__
        return f":py:obj:`~ot_distances.{found[1]}`" if public else f"``{found[1]}``"

    lines[:] = [line if ">>>" in line else re.sub(r"(?<![`:\w])`([^`]+)`(?![`_])", role, line) for line in lines]


def _hide_constructor(_app: Any, what: str, name: str, *_: Any) -> tuple[str, str] | None:
    """Results are returned, never made by hand."""
    return ("", "") if what == "class" and name.removeprefix("ot_distances.") in ot_distances.__all__ else None


def _list_folder(_app: Any, page: str, source: list[str]) -> None:
    """A folder's README, which is written by a program, lists the other pages of its folder in the sidebar."""
    if page.endswith("/README"):
        source[0] += "\n```{toctree}\n:hidden:\n:glob:\n*\n```\n"


def setup(app: Any) -> None:
    app.add_html_math_renderer("mathml", (_formula, None), (_formula, None))
    app.connect("source-read", _list_folder)
    app.connect("autodoc-process-signature", _hide_constructor)
    app.connect("autodoc-process-docstring", _link_names, priority=600)  # after numpydoc
