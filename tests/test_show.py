"""What results say of themselves: short in a terminal, a safe small table in a notebook."""

from __future__ import annotations

import dataclasses
import re
from fractions import Fraction
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

import ot_distances as ot
from ot_distances._show import MOST_ROWS, memory

RNG = np.random.default_rng(0)
CLOUD = RNG.normal(size=(60, 2))
RESULTS: dict[str, Any] = {
    "transport": ot.solve(CLOUD, CLOUD[:40] + 3, p=2),
    "cost": ot.solve_cost(RNG.random((30, 20))),
    "assignment": ot.linear_assignment(RNG.random((40, 50))),
    "batch": ot.linear_assignment(RNG.random((7, 4, 5))),
    "certificate": ot.verify(RNG.random((9, 9)), plan=np.eye(9) / 9),
    "estimate": ot.sliced_wasserstein(CLOUD, CLOUD + 1, seed=0),
    "test": ot.two_sample_test(CLOUD[:9], CLOUD[9:20], n_permutations=99, seed=0),
    "theta": ot.theta_shift([-1.0, 0.0, 1.0], n=8),
}
# What must be told at a glance.
TOLD: dict[str, list[str]] = {
    "transport": ["value", "lower", "upper", "gap", "60 x 40", "method"],
    "cost": ["value", "30 x 20", "network_simplex"],
    "assignment": ["cost", "lower", "upper", "40 of 40 x 50"],
    "batch": ["batch=7", "4 of 4 x 5", "gap<="],
    "certificate": ["optimal=False", "primal", "dual", "marginal_error"],
    "estimate": ["value", "stderr", "interval", "level", "method"],
    "test": ["statistic", "p_value", "99 permutations"],
    "theta": ["segments", "3 thetas"],
}


class Table(HTMLParser):
    """Tags, texts and attributes of a snippet; it refuses tags that do not close in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.attributes: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.tags.append(tag)
        self.attributes += [f"{name}={value}" for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.parametrize("kind", RESULTS)
def test_repr_is_one_line_that_tells_all(kind: str) -> None:
    text = repr(RESULTS[kind])
    assert "\n" not in text
    assert len(text) < 240
    assert "array" not in text
    for part in TOLD[kind]:
        assert part in text


@pytest.mark.parametrize("kind", RESULTS)
def test_print_is_a_short_table(kind: str) -> None:
    lines = str(RESULTS[kind]).splitlines()
    assert 2 <= len(lines) <= 8
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize("kind", RESULTS)
def test_notebooks_show_a_table_without_colours(kind: str) -> None:
    table = Table(RESULTS[kind]._repr_html_())
    assert set(table.tags) <= {"table", "caption", "thead", "tbody", "tr", "th", "td"}
    assert not any("color" in attribute or "background" in attribute for attribute in table.attributes)
    assert table.tags.count("tr") <= MOST_ROWS + 2
    shown = " ".join(table.texts)
    for line in str(RESULTS[kind]).splitlines()[1:]:
        if kind != "theta":
            assert line.split("  ")[-1].strip() in shown


def test_numbers_are_those_of_the_result() -> None:
    result = RESULTS["transport"]
    text, html = str(result), result._repr_html_()
    for value in (result.value, result.cost):
        assert f"{value:.10g}" in text
        assert f"{value:.10g}" in html
    low, high = re.search(r"at least (\S+), at most (\S+),", text).groups()
    assert Fraction(low) <= result.lower, "the printed bound is above the proven one"
    assert Fraction(high) >= result.upper, "the printed bound is below the proven one"
    assert f"{result.plan.nnz} entries" in text


def test_what_looks_like_html_stays_text() -> None:
    for name in ("transport", "estimate"):
        html = dataclasses.replace(RESULTS[name], method="<script>alert('&')</script>")._repr_html_()
        assert "<script" not in html
        assert "<script>alert('&')</script>" in " ".join(Table(html).texts)


def test_a_large_plan_is_told_as_shortly_as_a_small_one() -> None:
    large, small = (ot.solve(np.arange(n) * 1.0, np.arange(n) + 0.5) for n in (20_000, 3))
    assert len(repr(large)) < len(repr(small)) + 40
    assert len(str(large)) < len(str(small)) + 40
    assert len(large._repr_html_()) < len(small._repr_html_()) + 40


def test_large_matchings_are_not_dumped() -> None:
    assert len(repr(ot.linear_assignment(np.eye(300)))) < 120


def test_many_shifts_are_cut_in_a_notebook() -> None:
    html = ot.theta_shift(np.linspace(-1, 1, 101), n=2)._repr_html_()
    table = Table(html)
    assert table.tags.count("tr") == MOST_ROWS + 2
    assert "-1" in table.texts
    assert "1" in table.texts
    assert "⋮" in table.texts


def test_torch_costs_are_shown_as_numbers() -> None:
    torch = pytest.importorskip("torch")
    cost = torch.tensor([[0.0, 2.0], [2.0, 1.0]], dtype=torch.float64, requires_grad=True)
    result = ot.solve_cost(cost)
    for text in (repr(result), str(result), result._repr_html_()):
        assert "0.5" in text
        assert "tensor" not in text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (999_600, "1 MB"), (2.5e9, "2.5 GB"), (3e12, "3 TB")],
)
def test_memory_has_a_unit(count: float, text: str) -> None:
    assert memory(count) == text
