"""Results in, pages and figures of docs/gallery out. A page is never typed."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks import texts
from benchmarks.texts import prose
from ot_distances.plotting import LOOK

from . import EXPERIMENTS
from .base import GALLERY, Claim, Criterion, Experiment, NotRun, Results, Table, read, store

NOT_RUN = "not run"  # a verdict
LARGEST_FIGURE = 150_000  # bytes


def verdict(claim: Claim, results: Results) -> str:
    """What a claim comes to."""
    try:
        return claim.verdict if all(one.holds(results) for one in claim.criteria) else claim.otherwise
    except NotRun:
        return NOT_RUN


def table(head: list[str], rows: list[list[Any]]) -> list[str]:
    """Markdown lines; a modulus is not the edge of a cell."""
    head, *rows = (
        [cell.replace("|", r"\|") if isinstance(cell, str) else cell for cell in row] for row in (head, *rows)
    )
    return texts.table(head, rows)


def figure_path(experiment: Experiment, k: int) -> Path:
    return Path("figures") / f"{experiment.name}-{k + 1}.png"


def number(experiment: Experiment) -> str:
    """As E5."""
    return f"E{int(experiment.name[1:3])}"


def render(experiment: Experiment, results: Results) -> str:
    """The page of an experiment."""
    lines = [f"# {number(experiment)} · {experiment.title}", ""]
    files = sorted({store(part).name for part in experiment.parts if part.name in results})
    sources = ", ".join(f"[{name}](results/{name})" for name in files) or "no results yet"
    lines += prose(f"Written by `python -m benchmarks.experiments` from {sources}.")
    lines += ["## What was run", "", *prose(experiment.method), *prose(_seeds(experiment, results))]
    lines += ["## What the texts say, and what it comes to", ""]
    lines += table(
        ["claim", "from", "verdict"],
        [[claim.text, claim.source, f"**{verdict(claim, results)}**"] for claim in experiment.claims],
    )
    lines += _found(experiment, results) if results else []
    return "\n".join(lines).rstrip() + "\n"


def _seeds(experiment: Experiment, results: Results) -> str:
    """How many seeds stand behind each part."""
    planned = {part.name: part.seeds for part in experiment.parts}
    behind: dict[tuple[int, int], list[str]] = {}
    for name, seeds in planned.items():
        behind.setdefault((len(results.get(name, ())), seeds), []).append(name.partition("/")[2])
    if not results:
        return "Not run yet: see `make experiments-full`."
    counts = [
        f"{found} {f'of {seeds} planned ' if found < seeds else ''}{'seed' if seeds == 1 else 'seeds'}"
        + ("" if len(behind) == 1 else f" ({'; '.join(names)})")
        for (found, seeds), names in behind.items()
    ]
    return f"Behind every number: {', '.join(counts)}. Cells hold the median of the seeds (and their range)."


def _found(experiment: Experiment, results: Results) -> Iterator[str]:
    yield "## Results"
    yield ""
    for caption, (head, rows) in _tables(experiment, results):
        yield from prose(f"{caption}:")
        yield from table(head, rows)
    for k, caption in enumerate(experiment.figures if drawable(experiment, results) else ()):
        yield f"![{caption}]({figure_path(experiment, k)})"
        yield ""
        yield f"*{caption}.*"
        yield ""
    yield "## The criteria"
    yield ""
    yield from prose(
        "Set before these runs, from earlier measurements or pilot seeds, unless the text below says otherwise; each "
        "number is that of the worst seed."
    )
    rows = []
    for claim in experiment.claims:
        for one in claim.criteria:
            rows.append([one.says, f"{one.sign} {one.limit:.6g}", *_judged(one, results)])
    yield from table(["number", "must be", "found", "holds"], rows)
    for claim in experiment.claims:
        came_to = verdict(claim, results)
        if why := claim.why if came_to == claim.verdict else claim.why_otherwise:
            yield from textwrap.wrap(f"- *{claim.text}*: {came_to}. {why}", 118, subsequent_indent="  ")
    yield ""


def _tables(experiment: Experiment, results: Results) -> Iterator[tuple[str, Table]]:
    """The tables up to the first one that lacks its results."""
    with suppress(NotRun):
        yield from experiment.tables(results)


def drawable(experiment: Experiment, results: Results) -> bool:
    """Whether all parts are there; pictures show all."""
    return len(results) == len(experiment.parts)


def _judged(one: Criterion, results: Results) -> tuple[str, str]:
    """The number that was found, and whether it holds."""
    try:
        return _number(one.value(results)), "yes" if one.holds(results) else "**no**"
    except NotRun:
        return "–", NOT_RUN


def _number(value: float) -> str:
    """Rounding noise differs from machine to machine: only that it is noise is told."""
    return "< 1e-12" if 0 < abs(value) < 1e-12 else f"{value:.3g}"


def overview(found: dict[str, Results]) -> str:
    """The first page of the gallery: every claim with its verdict."""
    lines = ["# The four texts, reproduced", ""]
    lines += prose(
        "Every claim of the source texts that a computer can check, with the verdict that the runs came to. The "
        "pages hold the numbers, their spread over seeds and pictures; what the texts get wrong is listed in "
        "[errata.md](../errata.md), their worked examples in [texts.md](../texts.md). `make experiments` runs the "
        "quick set, `make experiments-full` all seeds, as far as results/ lacks them. A claim comes from one of four "
        "texts (Primal WGAN: the article on the primal problem; slides: of the WGAN; notes: the chapter on GANs; "
        "Wasserstein to WGAN: the article on the dual) and its section, or was added here."
    )
    rows = []
    for experiment in EXPERIMENTS:
        page = f"[{number(experiment)}]({experiment.name}.md)"
        for claim in experiment.claims:
            rows.append([page, claim.text, claim.source, f"**{verdict(claim, found[experiment.name])}**"])
    lines += table(["page", "claim", "from", "verdict"], rows)
    return "\n".join(lines).rstrip() + "\n"


def pages() -> dict[str, str]:
    """Every page of the gallery from the results that are there, by name of file."""
    found = {experiment.name: read(experiment.parts) for experiment in EXPERIMENTS}
    written = {f"{one.name}.md": render(one, found[one.name]) for one in EXPERIMENTS}
    return {"README.md": overview(found), **written}


def write_pages(chosen: Sequence[Experiment]) -> Iterator[Path]:
    """Write all pages, the figures of those chosen, and what other figures are missing."""
    GALLERY.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (GALLERY / name).write_text(text, encoding="utf-8")
        yield GALLERY / name
    for experiment in EXPERIMENTS:
        results = read(experiment.parts)
        for k, (width, height, draw) in enumerate(experiment.figures.values() if drawable(experiment, results) else ()):
            path = GALLERY / figure_path(experiment, k)
            if experiment in chosen or not path.exists():
                yield _draw(path, (width, height), draw, results)


def _draw(path: Path, size: tuple[float, float], draw: Any, results: Results) -> Path:
    import matplotlib
    from matplotlib.figure import Figure

    path.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(LOOK):
        figure = Figure(figsize=size, layout="constrained")
        draw(results, figure)
        figure.savefig(path, dpi=150)
    if path.stat().st_size > LARGEST_FIGURE:
        raise ValueError(f"{path} must have at most {LARGEST_FIGURE} bytes, but it has {path.stat().st_size}.")
    return path
