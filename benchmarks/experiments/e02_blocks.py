"""E2: the blocks that are moved, and the plan that costs more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import ot_distances as ot
from benchmarks.texts import BLOCKS, GAMMA_1, GAMMA_2, ROOM, SOURCES, TARGETS, distances

from .base import Claim, Criterion, Experiment, Part, Record, Results, Table


def run(seed: int) -> Record:
    cost = distances(SOURCES, TARGETS)
    dual = ot.lp_dual(cost, BLOCKS, ROOM)
    small = distances(np.array([1, 3]), np.array([2, 4]))
    return {
        "γ1": float((GAMMA_1 * cost).sum()),
        "γ2": float((GAMMA_2 * cost).sum()),
        "cheapest": ot.lp_primal(cost, BLOCKS, ROOM).cost,
        "dual": round(float(BLOCKS @ dual.f + ROOM @ dual.g), 12),
        "dearest": -ot.lp_primal(-cost, BLOCKS, ROOM).cost,
        "normalised": ot.wasserstein(SOURCES, TARGETS, BLOCKS / 6, ROOM / 6),
        "rank": int(np.linalg.matrix_rank(ot.lp_constraints(3, 4).toarray())),
        "least of two": ot.linear_assignment(small).cost,
        "most of two": ot.linear_assignment(small, maximize=True).cost,
    }


def value(name: str) -> Any:
    return lambda results: results["e02/blocks"][0][name]


def tables(results: Results) -> Iterator[tuple[str, Table]]:
    found = results["e02/blocks"][0]
    names = {
        "γ1": "γ1 of the text",
        "γ2": "γ2 of the text",
        "cheapest": "cheapest plan, primal program",
        "dual": "best bound, dual program",
        "dearest": "dearest plan",
        "normalised": "W₁ of the normalised measures",
        "least of two": "{1, 3} → {2, 4}: 1→2, 3→4",
        "most of two": "{1, 3} → {2, 4}: 1→4, 3→2",
    }
    yield "What the plans cost", (["plan", "cost"], [[names[key], f"{found[key]:g}"] for key in names])


def draw(results: Results, figure: Any) -> None:
    """The blocks and the places, the two plans as tables, and two plans that differ."""
    stacks, first, second, small = figure.subplots(1, 4, width_ratios=[1.7, 1, 1, 1])
    for places, heights, filled in ((SOURCES, BLOCKS, True), (TARGETS, ROOM, False)):
        for x, height in zip(places, heights):
            for y in range(height):
                look = {"facecolor": "#0072B2", "edgecolor": "white"} if filled else {"fill": False, "linestyle": "--"}
                stacks.bar(x, 1, bottom=y, width=0.9, **look)
    stacks.set(title="blocks, and where they go", xticks=[*SOURCES, *TARGETS], yticks=[0, 1, 2, 3])
    stacks.set_xticklabels([f"#{x}" for x in [*SOURCES, *TARGETS]])
    for ax, plan, name in ((first, GAMMA_1, r"$\gamma_1$"), (second, GAMMA_2, r"$\gamma_2$")):
        ax.imshow(plan, cmap="Blues", vmin=0, vmax=3)
        for (i, j), blocks in np.ndenumerate(plan):
            ax.text(j, i, blocks, ha="center", va="center", color="0.6" if not blocks else "black")
        ax.set(title=f"{name}: cost {(plan * distances(SOURCES, TARGETS)).sum():g}")
        ax.set_xticks(range(4), [f"#{y}" for y in TARGETS])
        ax.set_yticks(range(3), [f"#{x}" for x in SOURCES])
    for y, ways, colour in ((1.0, ((1, 2), (3, 4)), "#0072B2"), (0.0, ((1, 4), (3, 2)), "#D55E00")):
        for start, end in ways:
            bend = -0.35 if end > start else 0.35
            arrow = {"arrowstyle": "->", "color": colour, "connectionstyle": f"arc3,rad={bend}"}
            small.annotate("", (end, y), (start, y), arrowprops=arrow)
        small.plot([1, 3], [y, y], "o", color="black", markersize=4)
        small.plot([2, 4], [y, y], "o", color="black", markersize=4, fillstyle="none")
        small.text(2.5, y + 0.48, f"cost {sum(abs(end - start) for start, end in ways)}", ha="center", color=colour)
    small.set(title="plans that differ", xlim=(0.6, 4.4), ylim=(-0.5, 1.75), xticks=[1, 2, 3, 4], yticks=[])


EXPERIMENT = Experiment(
    name="e02-blocks",
    title="Moving blocks",
    method=(
        "3, 1, 2 blocks at #1, #2, #3 go to 1, 1, 2, 2 places at #7 to #10. Both plans of the text are priced, and the "
        "linear program, explicit as the text stacks it, is solved for its least cost, its dual and its greatest cost. "
        "Nothing here is random."
    ),
    parts=(Part("e02/blocks", run, 1, 1),),
    claims=(
        Claim(
            "Wasserstein to WGAN 1",
            "γ1 and γ2 cost the same, and least",
            (
                Criterion("cost of γ1", value("γ1"), "=", 42),
                Criterion("cost of γ2", value("γ2"), "=", 42),
                Criterion("least cost", value("cheapest"), "=", 42),
                Criterion("dual bound", value("dual"), "=", 42),
            ),
            "reproduced",
        ),
        Claim(
            "Wasserstein to WGAN 1",
            "other plans of these blocks cost more",
            (
                Criterion("greatest cost", value("dearest"), "=", 42),
                Criterion("cost of 1→2, 3→4", value("least of two"), "=", 2),
                Criterion("cost of 1→4, 3→2", value("most of two"), "=", 4),
            ),
            "wrong",
            "All targets lie to the right of all sources, so that every plan costs Σy − Σx. Plans differ where "
            "sources and targets interlace, as {1, 3} and {2, 4} do.",
        ),
        Claim(
            "Wasserstein to WGAN 2",
            "the constraints are AΓ = b with one row for each marginal",
            (Criterion("rank of the 7 rows", value("rank"), "=", 6),),
            "reproduced",
            "One of the n + m rows follows from the others, since both sides have one total.",
        ),
    ),
    tables=tables,
    figures={"The blocks, the two plans of the text, and two plans whose costs differ": (7.0, 1.9, draw)},
    cheap=True,
)
