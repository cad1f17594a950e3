"""How Sphinx builds the site: offline, from the pages and notebooks of this folder and the docstrings (`make docs`)."""

from __future__ import annotations

import re
from importlib.metadata import version as version_of
from typing import Any

from docutils import nodes
from docutils.utils.math import latex2mathml

import ot_distances
from ot_distances.solvers import SOLVERS

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

# Notebooks are executed by `make notebooks` and compared by the tests; the site shows what they hold.
nb_execution_mode = "off"
nb_mime_priority_overrides = [("html", "image/gif", 35)]
myst_enable_extensions = ["amsmath", "deflist", "dollarmath", "substitution"]
myst_heading_anchors = 3
myst_substitutions = {
    "solvers": "\n".join(
        ["| `method` | what it does |", "|---|---|"]
        + [f"| [`{name}`](/algorithms/{row.module}.md) | {row.about} |" for name, row in SOLVERS.items()]
    )
}

html_theme = "furo"
pygments_style, pygments_dark_style = "tango", "github-dark"
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


def setup(app: Any) -> None:
    app.add_html_math_renderer("mathml", (_formula, None), (_formula, None))
    app.connect("autodoc-process-docstring", _link_names, priority=600)  # after numpydoc
