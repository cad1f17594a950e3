"""Pictures: what is drawn, what is said of what is not, and that nothing is shown or saved."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import FancyArrowPatch
from scipy.sparse import coo_array

from ot_distances import ThetaShift, Transport, theta_shift
from ot_distances.plotting import ARROWS, CELLS, CURVES, plot_plan, plot_theta_shift
from ot_distances.theta_shift import FAMILIES


@pytest.fixture(autouse=True)
def closed_figures() -> Iterator[None]:
    yield
    plt.close("all")


def transport(plan: np.ndarray, *points: np.ndarray) -> Transport:
    """A result with this plan: a picture asks for no proof."""
    n, m = plan.shape
    sparse = coo_array(plan)
    return Transport(2.5, 2.5, 2.5, 2.5, 0.0, sparse, np.arange(n) * 1.0, np.zeros(m), "lp", 0.1, 1, points or None)


def matching(n: int, d: int, rng: np.random.Generator) -> Transport:
    return transport(np.eye(n)[rng.permutation(n)] / n, rng.normal(size=(n, d)), rng.normal(size=(n, d)) + 3)


def shift_of(family: str, thetas: list[float]) -> ThetaShift:
    """The exact columns in the place of the sampled ones too, so that no problem is solved for a picture."""
    theta = np.array(thetas)
    kl, js, tv = FAMILIES[family].exact(theta)
    columns = (kl, js, tv, np.abs(theta), np.sign(theta))
    return ThetaShift(family, 64, theta, *columns, *columns)


def drawn(ax: Axes) -> None:
    """Everything can be rendered."""
    ax.figure.canvas.draw()


def curve(ax: Axes, name: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """The lines, markers apart, in the colour of a column."""
    colour = CURVES[name][1]
    return [line.get_data() for line in ax.lines if line.get_color() == colour and line.get_linestyle() != "None"]


def texts(ax: Axes) -> str:
    return " ".join(text.get_text() for text in ax.texts)


@pytest.mark.parametrize("family", FAMILIES)
def test_theta_shift_names_its_axes_and_curves(family: str) -> None:
    ax = shift_of(family, [-1, -0.5, 0, 0.5, 1]).plot()
    drawn(ax)
    assert r"$\theta$" in ax.get_xlabel()
    assert "n = 64" in ax.get_xlabel()
    assert ax.get_title().replace(r"$\theta$", "theta") == FAMILIES[family].laws
    assert all(title in texts(ax) for title, *_ in CURVES.values())


def test_infinity_lies_in_a_band_of_its_own() -> None:
    ax = plot_theta_shift(shift_of("segments", [-2, 0, 2]))
    labels = {label.get_text(): tick for label, tick in zip(ax.get_yticklabels(), ax.get_yticks())}
    infinity = labels[r"$+\infty$"]
    assert max(tick for tick in ax.get_yticks() if tick != infinity) <= 2 < infinity < ax.get_ylim()[1]
    assert all(np.all(y == infinity) for _, y in curve(ax, "kl"))
    assert r"KL = $+\infty$" in texts(ax)
    assert r"JS = $\log\,2$" in texts(ax)


def test_without_infinities_there_is_no_band() -> None:
    ax = plot_theta_shift(shift_of("gaussian", [-2, 0, 2]))
    assert r"$+\infty$" not in [label.get_text() for label in ax.get_yticklabels()]
    assert len(ax.patches) == 0


@pytest.mark.parametrize("thetas", [[1.0, -1.0, 0.0, 0.5], [1.0, -1.0, 0.5]])
def test_jumps_are_not_joined_and_kinks_are_kept(thetas: list[float]) -> None:
    """JS of segments breaks at 0, W_1 comes down to 0 there: whether or not 0 was asked for."""
    ax = plot_theta_shift(shift_of("segments", thetas))
    ((x, y),) = curve(ax, "w1")
    assert 0 in x
    np.testing.assert_array_equal(y, np.abs(x))
    left, right = curve(ax, "js")
    assert left[0].max() == right[0].min() == 0
    assert np.all(np.concatenate([left[1], right[1]]) == np.log(2))


@pytest.mark.parametrize("thetas", [[0.0], [1.0], [0.5, 2.0], [-2.0, -1.0]])
@pytest.mark.parametrize("family", FAMILIES)
def test_few_or_onesided_shifts_are_drawn(family: str, thetas: list[float]) -> None:
    drawn(plot_theta_shift(shift_of(family, thetas)))


def test_sampled_values_are_marked() -> None:
    ax = theta_shift([-1, 1], family="uniform", n=8).plot()
    marked = [line.get_data() for line in ax.lines if line.get_linestyle() == "None" and line.get_marker() == "o"]
    assert any(np.array_equal(x, [-1, 1]) and np.allclose(y, 1) for x, y in marked)


def test_plan_in_the_plane_has_an_arrow_for_every_move(rng: np.random.Generator) -> None:
    ax = matching(20, 2, rng).plot()
    drawn(ax)
    assert sum(isinstance(patch, FancyArrowPatch) for patch in ax.patches) == 20
    assert ax.get_aspect() == 1
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["x", "y"]
    assert ax.get_title() == "optimal transport: 2.5  (gap 0e+00)"


def test_arrows_are_as_wide_as_their_mass() -> None:
    plan = transport(np.array([[0.6, 0.0], [0.1, 0.3]]), np.array([[0.0, 0], [0, 1]]), np.array([[2.0, 0], [2, 1]]))
    arrows = [patch for patch in plan.plot().patches if isinstance(patch, FancyArrowPatch)]
    widths = np.array([arrow.get_linewidth() for arrow in arrows])
    np.testing.assert_allclose(widths / widths[0], [1, 1 / 6, 1 / 2])


def test_mass_that_stays_has_no_arrow() -> None:
    x = np.array([[0.0, 0.0], [1.0, 0.0]])
    ax = plot_plan(transport(np.eye(2) / 2, x, x + np.array([[0, 0], [1, 0]])))
    drawn(ax)
    assert len(ax.patches) == 1


def test_large_plans_draw_the_heaviest_arrows_and_say_so(rng: np.random.Generator) -> None:
    n = 2 * ARROWS
    x, y = rng.normal(size=(n, 2)), rng.normal(size=(n, 2))
    mass = np.arange(n) + 1.0
    ax = plot_plan(transport(np.diag(mass / mass.sum()), x, y))
    assert len(ax.patches) == ARROWS
    assert f"{ARROWS} of {n} arrows drawn, 75% of the mass" in ax.get_title()


def test_equal_arrows_are_thinned_evenly(rng: np.random.Generator) -> None:
    ax = plot_plan(matching(4 * ARROWS, 2, rng))
    assert len(ax.patches) == ARROWS
    assert "25% of the mass" in ax.get_title()


def test_plan_on_a_line_joins_both_sides() -> None:
    x, y = np.array([[0.0], [1.0]]), np.array([[3.0], [5.0], [4.0]])
    ax = plot_plan(transport(np.array([[0.5, 0, 0], [0, 0.25, 0.25]]), x, y))
    drawn(ax)
    lines = next(lines for lines in ax.collections if isinstance(lines, LineCollection))
    assert [segment.tolist() for segment in lines.get_segments()] == [
        [[0, 1], [3, 0]],
        [[1, 1], [5, 0]],
        [[1, 1], [4, 0]],
    ]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["y", "x"]
    assert ax.get_xlabel() == "position"


def test_many_points_on_a_line_become_histograms(rng: np.random.Generator) -> None:
    ax = plot_plan(matching(500, 1, rng))
    drawn(ax)
    assert len(ax.patches) == 2
    assert "arrows drawn" in ax.get_title()


def test_plan_of_a_cost_matrix_is_a_table_of_its_numbers() -> None:
    """The block moving of the texts: 3, 1, 2 blocks to 1, 1, 2, 2 places."""
    ax = plot_plan(transport(np.array([[1.0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 1, 1]])))
    drawn(ax)
    assert [text.get_text() for text in ax.texts] == ["1"] * 6
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("target j (index)", "source i (index)")
    assert len(ax.child_axes) == 2


def test_large_matrix_is_added_up_in_cells() -> None:
    n = 3 * CELLS - 1
    plan = np.zeros((n, 2))
    plan[:, 0] = 1 / n
    ax = plot_plan(transport(plan))
    drawn(ax)
    cells = ax.images[0].get_array().filled(0)
    np.testing.assert_allclose(cells, [[3 / n, 0]] * (CELLS - 1) + [[2 / n, 0]])
    assert ax.get_ylim() == (n - 0.5, -0.5)
    assert f"a cell adds up 3 x 1 entries of {n} x 2" in ax.get_title()


def test_points_in_space_are_ordered_by_potential(rng: np.random.Generator) -> None:
    """Rows from high f to low, columns from low g to high."""
    plan = np.array([[0.2, 0.0, 0.1], [0.0, 0.3, 0.0], [0.0, 0.0, 0.4]])
    result = transport(plan, rng.normal(size=(3, 5)), rng.normal(size=(3, 5)))
    ax = plot_plan(dataclasses.replace(result, f=np.array([1.0, 3.0, 2.0]), g=np.array([2.0, 3.0, 1.0])))
    drawn(ax)
    cells = ax.images[0].get_array().filled(0)
    np.testing.assert_array_equal(cells, [[0, 0, 0.3], [0.4, 0, 0], [0.1, 0.2, 0]])
    assert "ordered by potential" in ax.get_xlabel()


@pytest.mark.parametrize("d", [1, 2, 3])
def test_points_without_mass_are_no_trouble(d: int, rng: np.random.Generator) -> None:
    plan = np.zeros((3, 2))
    plan[1, 0] = 1
    drawn(plot_plan(transport(plan, rng.normal(size=(3, d)), rng.normal(size=(2, d)))))


@pytest.mark.parametrize("d", [0, 1, 2, 3])
def test_the_callers_axes_are_drawn_on_and_kept(d: int, rng: np.random.Generator) -> None:
    figure, ax = plt.subplots()
    result = matching(5, d, rng) if d else transport(np.eye(5))
    assert plot_plan(result, ax=ax) is ax
    assert plt.get_fignums() == [figure.number]


def test_no_style_is_left_behind(rng: np.random.Generator) -> None:
    before = dict(plt.rcParams)
    matching(5, 2, rng).plot()
    shift_of("segments", [0, 1]).plot()
    assert dict(plt.rcParams) == before


def test_a_dark_style_stays_dark() -> None:
    with plt.style.context("dark_background"):
        ax = shift_of("segments", [-1, 1]).plot()
    assert ax.figure.get_facecolor()[:3] == (0, 0, 0)
    hollow = [
        line for line in ax.lines if line.get_marker() == "o" and line.get_markerfacecolor() == ax.get_facecolor()
    ]
    assert len(hollow) == 3


def test_the_result_is_not_changed(rng: np.random.Generator) -> None:
    result = matching(4, 3, rng)
    before = result.plan.toarray()
    result.plot()
    np.testing.assert_array_equal(result.plan.toarray(), before)


def test_without_matplotlib_the_cure_is_named(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(
        ImportError, match=r"plotting needs the package 'matplotlib': pip install 'ot_distances\[plot\]'"
    ):
        matching(3, 2, rng).plot()
