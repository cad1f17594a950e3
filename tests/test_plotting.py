"""Pictures: what is drawn, what is said of what is not, and that nothing is shown or saved."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.contour import ContourSet
from matplotlib.patches import FancyArrowPatch
from scipy.sparse import coo_array

from ot_distances import ThetaShift, Transport, solve, theta_shift
from ot_distances.plotting import (
    animate_displacement,
    displacement,
    embed,
    plot_bounds,
    plot_displacement,
    plot_embedding,
    plot_gaps,
    plot_images,
    plot_log,
    plot_plan,
    plot_potentials,
    plot_samples,
    plot_theta_shift,
)
from ot_distances.plotting.look import ARROWS, BLUE, GREEN, GREY, PURPLE, VERMILION
from ot_distances.plotting.plan import CELLS
from ot_distances.plotting.theta_shift import CURVES
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
    assert ax.get_xlabel() == "position (unit of the points)"


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


def test_a_matrix_is_drawn_of_points_too(rng: np.random.Generator) -> None:
    ax = plot_plan(matching(8, 2, rng), kind="matrix")
    drawn(ax)
    assert ax.images[0].get_array().count() == 8
    assert "ordered by potential" in ax.get_xlabel()


@pytest.mark.parametrize(
    ("kind", "d", "said"),
    [
        ("circles", 2, "`kind` must be one of 'arrows', 'matrix', but it is 'circles'. Pick one of them."),
        ("arrows", 3, "`transport` must be of points in one or two dimensions for arrows, but it is of points in 3"),
        ("arrows", 0, "`transport` must be of points in one or two dimensions for arrows, but it is of a cost matrix"),
    ],
)
def test_pictures_that_cannot_be_are_refused(kind: str, d: int, said: str, rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match=said):
        plot_plan(matching(4, d, rng) if d else transport(np.eye(2)), kind=kind)
    assert plt.get_fignums() == []


@pytest.mark.parametrize("p", [1, 2])
def test_potentials_on_a_line_are_as_far_apart_as_mass_moves(p: int, rng: np.random.Generator) -> None:
    """f at x and -g at y; along each grey line their difference is the cost, p = 1 or 2."""
    result = solve(rng.normal(size=12), rng.normal(size=9) + 2, p=p)
    ax = plot_potentials(result)
    drawn(ax)
    f, minus_g, _ = (np.column_stack(line.get_data()) for line in ax.lines)
    assert set(map(tuple, f)) == set(zip(result._points[0][:, 0], result.f))
    assert set(map(tuple, minus_g)) == set(zip(result._points[1][:, 0], -result.g))
    moves = next(lines for lines in ax.collections if isinstance(lines, LineCollection)).get_segments()
    assert len(moves) == result.plan.nnz
    for (x, high), (y, low) in moves:
        assert high - low == pytest.approx(abs(x - y) ** p, abs=1e-9)
    assert "unit of the cost" in ax.get_ylabel()
    assert [text.get_text() for text in ax.get_legend().get_texts()][:2] == ["f at x", "$-$g at y"]


def test_potentials_in_the_plane_are_levels_over_the_points(rng: np.random.Generator) -> None:
    result = solve(rng.normal(size=(40, 2)), rng.normal(size=(40, 2)) + 3)
    ax = plot_potentials(result)
    drawn(ax)
    lowest, highest = ax.collections[0].get_clim()
    assert lowest <= result.f.min() < result.f.max() <= highest
    assert ax.figure.axes[1].get_ylabel() == "potential f (unit of the cost)"
    assert ax.get_aspect() == 1


def test_potentials_are_a_surface_in_space(rng: np.random.Generator) -> None:
    result = solve(rng.normal(size=(20, 2)), rng.normal(size=(20, 2)) + 3)
    ax = plot_potentials(result, ax=plt.figure().add_subplot(projection="3d"))
    drawn(ax)
    np.testing.assert_allclose(ax.get_zlim(), (result.f.min(), result.f.max()), atol=0.1 * np.ptp(result.f))


@pytest.mark.parametrize("x", [np.zeros((1, 2)), np.column_stack([np.arange(6.0), 2 * np.arange(6.0)])])
def test_potentials_of_points_on_one_line_of_the_plane_are_dots(x: np.ndarray) -> None:
    ax = plot_potentials(solve(x, x + 1))
    drawn(ax)
    assert ax.collections[0].get_array().size == len(x)


@pytest.mark.parametrize("scale", [1e-200, 1e-7, 1e150])
def test_potentials_have_levels_in_any_unit(scale: float, rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 20, 2))
    ax = plot_potentials(solve(scale * x, scale * y))
    drawn(ax)
    assert isinstance(ax.collections[0], ContourSet)


@pytest.mark.parametrize("draw", [plot_potentials, plot_displacement, animate_displacement])
@pytest.mark.parametrize("d", [0, 3])
def test_what_has_no_place_on_paper_is_refused(draw: Callable[..., Any], d: int, rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match="`transport` must be of points in one or two dimensions"):
        draw(matching(4, d, rng) if d else transport(np.eye(2)))


@pytest.mark.parametrize(("p", "d"), [(1, 2), (2, 1), (2, 3), (3, 2)])
def test_displacement_is_a_geodesic(p: int, d: int, rng: np.random.Generator) -> None:
    """W_p from x to the measure at t is t W_p, and the rest from there; masses rounded by 1e-16 make 5e-6 of W_3."""
    x, y, a = rng.normal(size=(9, d)), rng.normal(size=(7, d)) + 1, rng.random(9)
    result = solve(x, y, a / a.sum(), p=p)
    for t in (0.0, 0.3, 1.0):
        points, mass = displacement(result, t)
        assert mass.sum() == pytest.approx(1, rel=1e-12)
        assert solve(x, points, a / a.sum(), mass, p=p).value == pytest.approx(t * result.value, abs=1e-5)
        assert solve(points, y, mass, p=p).value == pytest.approx((1 - t) * result.value, abs=1e-5)


@pytest.mark.parametrize(
    ("t", "error", "said"),
    [
        (1.5, ValueError, r"`t` must lie in \[0, 1\], but it is 1.5"),
        (float("nan"), ValueError, r"`t` must lie in \[0, 1\], but it is nan"),
        ("half", TypeError, "`t` must be a number, but it is 'half'"),
        (True, TypeError, "`t` must be a number"),
    ],
)
def test_times_are_judged(t: Any, error: type, said: str, rng: np.random.Generator) -> None:
    with pytest.raises(error, match=said):
        displacement(matching(3, 2, rng), t)


def test_a_cost_matrix_has_nothing_between() -> None:
    with pytest.raises(ValueError, match="`transport` must be of points, but it is of a cost matrix"):
        displacement(transport(np.eye(2)), 0.5)


def test_mass_moves_through_histograms_on_a_line(rng: np.random.Generator) -> None:
    """All histograms hold the same mass, in bins that cover every time."""
    ax = plot_displacement(matching(80, 1, rng), times=(0, 0.5, 1))
    drawn(ax)
    held = []
    for steps in ax.patches:
        values, _, base = steps.get_data()
        held.append((values - base).sum())
    assert len(held) == 3
    np.testing.assert_allclose(held, held[0])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["t = 0", "t = 0.5", "t = 1"]


@pytest.mark.parametrize("times", [(0, 1), (0.0, 1.0)])
def test_mass_starts_in_the_colour_of_x_and_ends_in_that_of_y(times: Any, rng: np.random.Generator) -> None:
    ax = plot_displacement(matching(5, 2, rng), times=times)
    assert [to_hex(marks.get_facecolor()[0]).upper() for marks in ax.collections] == [BLUE, VERMILION]


def test_mass_moves_as_clouds_in_the_plane(rng: np.random.Generator) -> None:
    result = matching(30, 2, rng)
    ax = plot_displacement(result)
    drawn(ax)
    assert len(ax.collections) == 5
    np.testing.assert_array_equal(ax.collections[1].get_offsets(), displacement(result, 0.25)[0])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["0", "0.25", "0.5", "0.75", "1"]


@pytest.mark.parametrize("stretch", [(1.0, 1.1), (1.0, 5.0), (5.0, 1.0)])
def test_animated_points_stay_in_the_frame(stretch: tuple[float, float], rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 12, 2)) * stretch
    animation = animate_displacement(solve(x, y, p=2), frames=2)
    animation.to_jshtml()
    ax = plt.gcf().axes[0]
    corners = np.array([ax.get_xlim(), ax.get_ylim()])
    both = np.concatenate([x, y])
    assert (corners[:, 0] <= both.min(axis=0)).all() and (both.max(axis=0) <= corners[:, 1]).all()


@pytest.mark.parametrize("d", [1, 2])
def test_animation_goes_there_and_back(d: int, rng: np.random.Generator) -> None:
    result = matching(12, d, rng)
    animation = animate_displacement(result, frames=4)
    html = animation.to_jshtml()
    assert html.count("data:image/png;base64") == 6  # 4 there, 2 back: the ends once each
    ax = plt.gcf().axes[0]
    animation._func(3)
    assert ax.get_title() == "t = 1.00"
    if d == 2:
        np.testing.assert_allclose(ax.collections[0].get_offsets(), displacement(result, 1.0)[0])
    with pytest.raises(ValueError, match="`frames` must be at least 2, but it is 1"):
        animate_displacement(result, frames=1)


RECORD = [(0.0, 0.0, np.inf), (0.5, 2.0, 6.0), (1.0, 3.9, 4.0), (2.0, 4.0, 4.0)]


def test_bounds_close_around_the_optimum() -> None:
    ax = plot_bounds(RECORD)
    drawn(ax)
    upper, lower = (line.get_ydata() for line in ax.lines)
    np.testing.assert_array_equal(lower, [0, 2, 3.9, 4])
    np.testing.assert_array_equal(upper, [np.nan, 6, 4, 4])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time (s)", "cost (its own unit)")
    assert ax.get_title() == "between 4 and 4: a gap of 0e+00"


def test_what_is_proven_once_stays_proven() -> None:
    ax = plot_bounds([(0, 2.0, 5.0), (1, 1.0, 4.0), (2, 3.0, 6.0)])
    upper, lower = (line.get_ydata() for line in ax.lines)
    np.testing.assert_array_equal(lower, [2, 2, 3])
    np.testing.assert_array_equal(upper, [5, 4, 4])


def test_gaps_of_several_solvers_share_one_scale() -> None:
    ax = plot_gaps({"one": RECORD, "other": [(1.0, 1.0, 2.0)]}, xlabel="points n")
    drawn(ax)
    one, other = (line.get_ydata() for line in ax.lines)
    np.testing.assert_allclose(one[1:3], [4 / 6, 0.1 / 4])
    assert 0 < one[3] < 1e-16, "a closed gap has its place on a logarithmic scale"
    np.testing.assert_allclose(other, [0.5])
    assert (ax.get_yscale(), ax.get_xlabel()) == ("log", "points n")


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ([], r"`record` must hold rows \(at, lower, upper\), but it has shape \(0,\)"),
        ([(0, 1, 2), (1, 3, 2)], r"`record` must have lower <= upper, but row 1 is \(1.0, 3.0, 2.0\)"),
        ([(0, float("nan"), 2)], "`record` must have lower <= upper, but row 0"),
    ],
)
def test_bad_records_are_named(record: list[Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        plot_bounds(record)


@pytest.mark.parametrize(("k", "d"), [(6, 2), (5, 1), (1, 2), (2, 2)])
def test_points_of_the_plane_are_embedded_as_they_are(k: int, d: int, rng: np.random.Generator) -> None:
    points = rng.normal(size=(k, d))
    apart = np.linalg.norm(points[:, None] - points, axis=2)
    found, share = embed(apart)
    np.testing.assert_allclose(np.linalg.norm(found[:, None] - found, axis=2), apart, atol=1e-7)
    assert share == pytest.approx(1)
    assert found.shape == (k, 2)


def test_what_two_axes_lose_is_said() -> None:
    """A regular simplex of 5 has 4 equal axes: two of them hold half."""
    apart = 1 - np.eye(5)
    assert embed(apart)[1] == pytest.approx(0.5)
    ax = plot_embedding(apart)
    assert ax.get_title() == "5 distributions, 50% of their spread in two axes"


def test_embedding_tells_groups_by_colour_and_mark(rng: np.random.Generator) -> None:
    points = rng.normal(size=(6, 2))
    apart = np.linalg.norm(points[:, None] - points, axis=2)
    ax = plot_embedding(apart, groups=np.array([3, 3, 8, 8, 8, 3]), names=list("abcdef"))
    drawn(ax)
    assert [len(marks.get_offsets()) for marks in ax.collections] == [3, 3]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["3", "8"]
    colours = {tuple(marks.get_facecolor()[0]) for marks in ax.collections}
    shapes = {marks.get_paths()[0].vertices.tobytes() for marks in ax.collections}
    assert len(colours) == len(shapes) == 2
    assert [text.get_text() for text in ax.texts] == list("abcdef")
    assert "unit of the distance" in ax.get_xlabel()


@pytest.mark.parametrize(
    ("distances", "options", "said"),
    [
        (np.zeros((2, 3)), {}, r"`distances` must be a square matrix, but its shape is \(2, 3\)"),
        ([[0, 1], [2, 0]], {}, r"must be symmetric, but distances\[0, 1\] = 1 and distances\[1, 0\] = 2"),
        ([[0, np.inf], [np.inf, 0]], {}, r"must be finite, but distances\[0, 1\] = inf"),
        (np.zeros((2, 2)), {"groups": [1]}, "`groups` must have one entry for each of the 2 distributions, but it has"),
        (np.zeros((2, 2)), {"names": "abc"}, "`names` must have one entry for each of the 2"),
    ],
)
def test_bad_distances_are_named(distances: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        plot_embedding(distances, **options)


@pytest.mark.parametrize("paper", ["#FFFFFF", "#121212"])
def test_colours_stand_out_on_light_and_dark(paper: str) -> None:
    """A contrast of 2.9 at least, as graphics need (WCAG 1.4.11 asks for 3; the purple of Okabe and Ito has 2.97)."""

    def luminance(colour: str) -> float:
        channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    for colour in (BLUE, VERMILION, GREEN, PURPLE, GREY):
        dark, light = sorted([luminance(colour), luminance(paper)])
        assert (light + 0.05) / (dark + 0.05) > 2.9, colour


@pytest.mark.parametrize("d", [1, 2, 3])
def test_points_without_mass_are_no_trouble(d: int, rng: np.random.Generator) -> None:
    plan = np.zeros((3, 2))
    plan[1, 0] = 1
    drawn(plot_plan(transport(plan, rng.normal(size=(3, d)), rng.normal(size=(2, d)))))


@pytest.mark.parametrize("projection", ["3d", "polar"])
def test_axes_that_a_picture_cannot_be_drawn_on_are_refused(projection: str, rng: np.random.Generator) -> None:
    """Before anything is drawn: matplotlib fails when the figure is saved, with a word on arrows in space."""
    plane, line = (solve(*rng.normal(size=(2, 5, d))) for d in (2, 1))
    for draw in (plane.plot, line.plot, lambda ax: plot_displacement(line, ax), lambda ax: plot_potentials(line, ax)):
        with pytest.raises(ValueError, match=f"`ax` must be flat .*, but its projection is .{projection}"):
            draw(plt.figure().add_subplot(projection=projection))


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


@pytest.mark.parametrize("d", [1, 2, 5])
def test_samples_are_framed_by_the_real_points(d: int, rng: np.random.Generator) -> None:
    real = rng.uniform(-1, 1, (50, d))
    ax = plot_samples(100 * real, beneath=real)
    assert [points.get_offsets().shape for points in ax.collections] == [(50, 2), (50, 2)]
    assert max(map(abs, ax.get_xlim())) < 2
    assert len(plot_samples(real).collections) == 1


@pytest.mark.parametrize("shape", [(1, 3, 2), (3, 3, 2)])
def test_images_lie_side_by_side(shape: tuple[int, int, int]) -> None:
    """Seven images, three in a row: two whole rows, each image in a grey frame of one pixel."""
    channels, size = shape[0], int(np.prod(shape))
    images = np.repeat(np.arange(7.0)[:, None], size, axis=1)
    (drawn,) = plot_images(images, shape=shape, span=(0, 5), columns=3).images
    pixels = np.asarray(drawn.get_array()).reshape(2 * 5, 3 * 4, channels)
    assert (pixels[[0, 4, 5, 9]] == 0.5).all()
    np.testing.assert_allclose(pixels[[1, 1, 1, 6, 6, 6], [1, 5, 9, 1, 5, 9], 0], [0, 0.2, 0.4, 0.6, 0.8, 1])


def test_few_images_make_one_row() -> None:
    (drawn,) = plot_images(np.zeros((2, 4)), shape=(1, 2, 2)).images
    assert np.asarray(drawn.get_array()).shape[:2] == (4, 8)


@pytest.mark.parametrize("images", [np.zeros((0, 4)), np.zeros((3, 5))])
def test_images_of_another_shape_are_refused(images: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"^`images` must have shape \(n, 4\), flat images of shape \(1, 2, 2\), but"):
        plot_images(images, shape=(1, 2, 2))


def test_an_empty_log_is_an_empty_picture() -> None:
    assert plot_log([], {"w1": ("exact", GREEN)}).get_legend() is None


def test_few_samples_are_drawn_larger(rng: np.random.Generator) -> None:
    few, many = (plot_samples(rng.normal(size=(n, 2))).collections[0].get_sizes()[0] for n in (50, 2500))
    assert few > 3 * many


def test_a_log_is_drawn_where_it_has_values() -> None:
    rows = [{"step": 0, "w1": 2.0}, {"step": 5, "loss": 1.0}, {"step": 10, "loss": 0.5, "w1": 1.0}]
    lines = {"loss": ("loss", BLUE), "w1": ("exact", GREEN), "js": ("none", GREY)}
    ax = plot_log(rows, lines, floors={"w1": 0.5})
    curves = {line.get_label(): line.get_xydata().tolist() for line in ax.lines}
    assert curves["loss"] == [[5, 1], [10, 0.5]]
    assert curves["exact"] == [[0, 2], [10, 1]]
    assert "none" not in curves
    assert ax.lines[-1].get_ydata()[0] == 0.5
