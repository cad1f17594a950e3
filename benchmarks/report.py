"""JSON lines in, pages and figures out: `python -m benchmarks.report results.jsonl ... [--out docs/benchmarks]`.

With `--readme README.md` the speed figures between its two marks are written too. A page is never typed: run this
again instead. Where several runs hold one problem the latest one counts, whole: a ratio is only taken between times of
one run.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .peers import EXACT, OURS, PEERS, PROOF

PAGES = {  # suite: (page, title, what a problem and a time are)
    "assignment": (
        "assignment",
        "Dense assignment",
        "One square cost matrix (or as the family says) in, one optimal matching out.",
    ),
    "batch": (
        "batch",
        "Many small assignments",
        "A stack of n x n problems of about 1.2 million entries together (512 of 48 x 48) in one call; a family called "
        "one problem has a stack of one. Ragged lists go through a Python loop where a peer takes only stacks.",
    ),
    "transport": ("transport", "Transport with weights on a dense cost", "A cost matrix and two weight vectors in."),
    "points": (
        "point-clouds",
        "Wasserstein distances between point sets",
        "Points (and weights) in: a solver that needs a cost matrix computes it within its time.",
    ),
    "line": (
        "line",
        "Wasserstein distances on the line",
        "Unsorted points (and weights) in, the distance out: one number. `ot_distances solve`, which is no peer and "
        "counts in no ratio, hands out plan, potentials and bounds; every number is judged by them.",
    ),
}
# Okabe and Ito's colours (grey for their yellow), which the colour-blind tell apart, and a mark each; ours is black.
COLOURS = ["#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7", "#7F7F7F"]
STYLE = {
    name: {"color": COLOURS[i % 7], "marker": "osD^vPXph*<>8"[i], "ls": "-" if i < 7 else "--"}
    for i, name in enumerate(peer.name for peer in PEERS if peer.name != OURS)
}
# What the README compares with, a column each; its figures stand between these two lines.
AGAINST = ("SciPy", "POT")
MARKS = ("<!-- speed: written by `python -m benchmarks.report`, not typed -->", "<!-- end of speed -->")
GROWTH = (10_000, 100_000)  # the figure of growth: fitted from the first n on, for families that reach the second
CURVES = 6  # families in the figure of times against n
LABEL = 0.16  # width of a size below it, as a part of the axis

MEMORY = "peak_bytes", "told_bytes"  # what the process took beyond what was there, and what `Transport` says

Group = dict[str, dict[str, Any]]  # solver -> record, of one problem in one run


def read(paths: Iterable[Path]) -> tuple[dict[str, dict[str, Any]], dict[tuple[str, int, str, int], Group]]:
    """The heads of the runs, and the records by (suite, threads, family, n)."""
    runs: dict[str, dict[str, Any]] = {}
    groups: dict[tuple[str, int, str, int], Group] = {}
    for path in paths:
        for line in path.read_text().splitlines():
            record = json.loads(line)
            if "machine" in record:
                runs[record["run"]] = record
                continue
            key = (record["suite"], runs[record["run"]]["threads"], record["family"], record["n"])
            group = groups.setdefault(key, {})
            if group and next(iter(group.values()))["run"] != record["run"]:
                group.clear()
            group[record["solver"]] = record
    return runs, groups


def seconds(record: dict[str, Any] | None) -> float | None:
    return min(record["wall"]) if record and record["status"] == "ok" and record["wall"] else None


def best_peer(group: Group) -> tuple[str, float] | None:
    """The fastest exact peer."""
    times = {
        name: time
        for name, record in group.items()
        if name not in (OURS, PROOF) and (time := seconds(record)) is not None and record["error"] <= EXACT
    }
    return min(times.items(), key=lambda item: item[1]) if times else None


def ratio(group: Group) -> float | None:
    ours, peer = seconds(group.get(OURS)), best_peer(group)
    return peer[1] / ours if ours and peer else None


def mean(ratios: Iterable[float | None]) -> float:
    known = [r for r in ratios if r]
    return float(np.exp(np.mean(np.log(known)))) if known else float("nan")


def _time(value: float | None) -> str:
    if value is None:
        return ""
    unit, name = next((u for u in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")) if value >= u[0]), (1e-6, "us"))
    return f"{value / unit:.3g} {name}"


def _cell(record: dict[str, Any] | None, fastest: float | None) -> str:
    if record is None or record["status"] in ("refused", "missing"):
        return "-"
    time = seconds(record)
    if time is None:
        return {"over limit": record.get("detail", "over limit").replace("predicted ", "")}.get(
            record["status"], f"**{record['status']}**"
        )
    mark = "" if record["error"] <= EXACT else " (inexact)"
    return (f"**{_time(time)}**" if time == fastest else _time(time)) + mark


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Lines of a Markdown table, and an empty one."""
    yield "| " + " | ".join(head) + " |"
    yield "|" + " --- |" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


def ratios_table(groups: dict[tuple[str, int], Group]) -> Iterator[str]:
    """Best peer / ours, by family and size."""
    sizes = sorted({n for _, n in groups})
    families = list(dict.fromkeys(family for family, _ in groups))

    def cell(family: str, n: int) -> str:
        group = groups.get((family, n), {})
        value, peer = ratio(group), best_peer(group)
        if value is None or peer is None:
            return "" if not group else "no peer in time" if seconds(group.get(OURS)) else group[OURS]["status"]
        return f"{value:.2f} ({peer[0]})" if value >= 1 else f"**{value:.2f}** ({peer[0]})"

    yield from table(["family", *(f"n = {n:,}" for n in sizes)], ([f, *(cell(f, n) for n in sizes)] for f in families))
    against = {"the best peer": {n: mean(ratio(groups.get((f, n), {})) for f in families) for n in sizes}}
    for name in STYLE:
        values = {n: mean(_against(groups.get((f, n), {}), name) for f in families) for n in sizes}
        if np.isfinite(list(values.values())).any():
            against[name] = values
    yield "Geometric means over the families that both solved, theirs / ours:"
    yield ""
    rows = (
        [name, *("" if np.isnan(values[n]) else f"{values[n]:.2f}" for n in sizes)] for name, values in against.items()
    )
    yield from table(["against", *(f"n = {n:,}" for n in sizes)], rows)


def _against(group: Group, name: str) -> float | None:
    theirs, ours = seconds(group.get(name)), seconds(group.get(OURS))
    return theirs / ours if theirs and ours else None


def overdrawn(groups: dict[tuple[str, int], Group], threads: int) -> list[str]:
    """Solvers that took more CPU time than `threads` threads can, in runs long enough to tell."""
    most: dict[str, float] = {}
    for group in groups.values():
        for name, record in group.items():
            if (wall := seconds(record)) and wall > 0.01:
                most[name] = max(most.get(name, 0.0), min(record["cpu"]) / wall)
    return [f"{name} {cores:.1f}" for name, cores in most.items() if cores > 1.2 * threads]


def faults(groups: dict[tuple[str, int], Group], threads: int) -> Iterator[str]:
    """Losses, wrong answers and failures, each by name."""
    losses = [(r, f, n, g) for (f, n), g in groups.items() if (r := ratio(g)) is not None and r < 1]
    yield f"### Losses: {len(losses)} of {sum(ratio(g) is not None for g in groups.values())}"
    yield ""
    for value, family, n, group in sorted(losses, key=lambda loss: loss[0]):
        name, time = best_peer(group) or ("", 0.0)
        yield f"- {family}, n = {n:,}: {name} {_time(time)}, ours {_time(seconds(group[OURS]))}, ratio {value:.2f}"
    bad = [
        (f, n, r) for (f, n), g in groups.items() for r in g.values() if r["status"] in ("wrong", "failed", "crashed")
    ]
    yield "" if losses else "None.\n"
    yield f"### Wrong answers and failures: {len(bad)}"
    yield ""
    for family, n, record in bad:
        yield f"- {record['solver']}, {family}, n = {n:,}: {record['status']}, {record['detail']}"
    yield "" if bad else "None.\n"
    if greedy := overdrawn(groups, threads):
        yield "More cores in use than threads allowed: " + "; ".join(greedy) + "\n"
    if other := sorted(
        {f"{f}: {g[OURS]['detail']}" for (f, _), g in groups.items() if g[OURS]["status"] == "unavailable"}
    ):
        yield "Not run: " + "; ".join(other) + "\n"


def times_tables(groups: dict[tuple[str, int], Group]) -> Iterator[str]:
    for n in sorted({n for _, n in groups}):
        chosen = {family: group for (family, size), group in groups.items() if size == n}
        solvers = [name for name in (OURS, *STYLE) if any(seconds(g.get(name)) is not None for g in chosen.values())]
        yield f"### n = {n:,}"
        yield ""
        rows = []
        for family, group in chosen.items():
            fastest = min((t for name in solvers if (t := seconds(group.get(name)))), default=None)
            ours = group.get(PROOF) or group.get(OURS, {})
            gap = f"{ours['gap']:.0e}" if ours.get("gap") is not None else ""
            memory = ["" if (size := ours.get(key)) is None else f"{max(size, 0) / 2**20:.0f}" for key in MEMORY]
            rows.append([family, *(_cell(group.get(name), fastest) for name in solvers), gap, " / ".join(memory)])
        yield from table(["family", *solvers, "gap, ours", "MiB, ours: taken / `peak_bytes`"], rows)


def figure_ratios(groups: dict[tuple[str, int], Group], title: str, path: Path) -> bool:
    """One row a family, one dot a size: right of the line is faster than every peer. False if there is no dot."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, NullLocator

    families = list(dict.fromkeys(f for (f, _), group in groups.items() if ratio(group) is not None))[::-1]
    if not families:
        return False
    sizes = sorted({n for _, n in groups})
    fig, ax = plt.subplots(figsize=(7.5, 1.4 + 0.24 * len(families)), layout="constrained")
    ax.axvspan(0, 1, color="#D55E00", alpha=0.08, lw=0)
    ax.axvline(1, color="#333333", lw=1)
    shades = plt.get_cmap("cividis")(np.linspace(0.0, 0.85, len(sizes))[::-1])
    for n, shade, marker in zip(sizes, shades, "osD^vP*X" * len(sizes)):
        found = [(r, i) for i, f in enumerate(families) if (r := ratio(groups.get((f, n), {}))) is not None]
        if found:
            ax.scatter(*zip(*found), color=shade, marker=marker, s=28, label=f"n = {n:,}", zorder=3, ec="white", lw=0.4)
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    ax.set_xlim(min(low, 0.7), max(high, 1.5))
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 2000 * low else (1,)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}x")
    ax.set_yticks(range(len(families)), families, fontsize=8)
    ax.set_ylim(-0.7, len(families) - 0.3)
    ax.grid(axis="y", color="#DDDDDD", lw=0.5)
    ax.set_axisbelow(True)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("time of the fastest exact peer / ours (shaded: slower than it)")
    fig.suptitle(title, fontsize=11)
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=6, fontsize=8, frameon=False)
    fig.savefig(path, dpi=150)
    plt.close(fig)
    return True


def figure_times(groups: dict[tuple[str, int], Group], title: str, path: Path) -> bool:
    """Seconds against n for the families with most sizes, spread over the table; False if none has two."""
    import matplotlib.pyplot as plt

    families = list(dict.fromkeys(f for f, _ in groups))
    usual = [n for n in {n for _, n in groups} if 2 * sum((f, n) in groups for f in families) >= len(families)]
    counted = {f: sorted(n for g, n in groups if g == f and n >= min(usual, default=0)) for f in families}
    long = [f for f, sizes in counted.items() if len(sizes) > 1]
    if not long:
        return False
    sizes = sorted({n for f in long for n in counted[f]})
    chosen = [long[i] for i in np.unique(np.linspace(0, len(long) - 1, CURVES).round().astype(int))]
    columns = min(3, len(chosen))
    rows = -(-len(chosen) // columns)
    fig, axes = plt.subplots(
        rows,
        columns,
        figsize=(max(6.4, 3.2 * columns), 2.7 * rows + 0.6),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for ax, family in zip(axes.flat, chosen):
        for name in (*STYLE, OURS):
            line = [(n, t) for n in counted[family] if (t := seconds(groups[family, n].get(name))) is not None]
            if line:
                style = {"color": "black", "marker": "o", "lw": 2.2, "zorder": 4} if name == OURS else STYLE[name]
                ax.plot(*zip(*line), label=name, **{"lw": 1.1, "ms": 4, **style})
        ax.set(title=family, xscale="log", yscale="log")
        ax.title.set_fontsize(9)
        ax.set_xticks(sizes, labels_apart(sizes), fontsize=8)
        ax.set_xticks([], minor=True)
        ax.tick_params(labelbottom=True)
        ax.set_xlabel("n", fontsize=9)
        ax.grid(color="#E5E5E5", lw=0.5)
        ax.spines[["top", "right"]].set_visible(False)
    for ax in axes.flat[len(chosen) :]:
        ax.set_visible(False)
    handles = {label: handle for ax in axes.flat for handle, label in zip(*ax.get_legend_handles_labels())}
    names = [name for name in (OURS, *STYLE) if name in handles]
    fig.legend([handles[name] for name in names], names, loc="outside lower center", ncols=5, fontsize=8, frameon=False)
    fig.supylabel("seconds", fontsize=10)
    fig.suptitle(title, fontsize=11)
    fig.savefig(path, dpi=150)
    plt.close(fig)
    return True


def labels_apart(sizes: list[int]) -> list[str]:
    """What stands below each of the sizes on a logarithmic axis: nothing where it would touch the label before it."""
    shown, room = sizes[:1], LABEL * math.log(sizes[-1] / sizes[0])
    for n in sizes[1:]:
        fits = math.log(n / shown[-1]) >= room and (n == sizes[-1] or math.log(sizes[-1] / n) >= room)
        shown += [n] if fits or n == sizes[-1] else []
    return [f"{n:,}" if n in shown else "" for n in sizes]


def growth(groups: dict[tuple[str, int], Group]) -> dict[str, tuple[dict[str, list[tuple[int, float]]], float]]:
    """For each family that ours takes far: (n, seconds) by solver, and the exponent fitted to ours."""
    found = {}
    for family in dict.fromkeys(f for f, _ in groups):
        sizes = sorted(n for f, n in groups if f == family)
        lines = {
            name: [(n, t) for n in sizes if (t := seconds(groups[family, n].get(name))) is not None]
            for name in (OURS, *STYLE)
        }
        ours = np.log([point for point in lines[OURS] if point[0] >= GROWTH[0]])
        if len(ours) > 1 and lines[OURS][-1][0] >= GROWTH[1]:
            found[family] = lines, float(np.polyfit(*ours.T, 1)[0])
    return found


def figure_growth(groups: dict[tuple[str, int], Group], title: str, path: Path) -> bool:
    """Seconds against n as far as ours goes, peers beside, with the exponent of its growth; False without such runs."""
    import matplotlib.pyplot as plt

    families = growth(groups)
    if not families:
        return False
    fig, ax = plt.subplots(figsize=(7.5, 5.0), layout="constrained")
    marks = dict(zip(families, "osD^vPX*" * len(families)))
    for family, (lines, exponent) in families.items():
        ax.plot(
            *zip(*lines[OURS]), color="black", marker=marks[family], ms=5, label=f"ours, {family}: n^{exponent:.2f}"
        )
        for name in STYLE:
            if lines[name]:
                style = {**STYLE[name], "marker": marks[family], "lw": 0.9, "ms": 4}
                ax.plot(*zip(*lines[name]), label=f"{name}, {family}", **style)
    ax.set(xscale="log", yscale="log", xlabel="n", ylabel="seconds")
    ax.grid(color="#E5E5E5", lw=0.5)
    ax.spines[["top", "right"]].set_visible(False)
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=7, frameon=False)
    fig.suptitle(title, fontsize=11)
    fig.savefig(path, dpi=150)
    plt.close(fig)
    return True


FIGURES = [
    ("", figure_ratios, "Time of the fastest exact peer over ours, by family"),
    ("-times", figure_times, "Seconds against n"),
    ("-growth", figure_growth, "Growth of the time with n, fitted from n = 10,000 on"),
]


def page(
    suite: str, runs: Sequence[dict[str, Any]], by_threads: dict[int, dict[tuple[str, int], Group]], out: Path
) -> Path:
    name, title, what = PAGES[suite]
    lines = [f"# {title}", "", "Written by `python -m benchmarks.report`; not typed.", "", what, ""]
    lines += [
        "Every answer is judged before the clock starts: a plan by its marginals and its cost, ours also by pricing "
        "all pairs under its potentials (beyond 2e9 pairs its own lower bound stands), a bare number by the bounds "
        "that these leave. Then all solvers take turns in "
        "one process; a time is the best of its turns. *Ratio* is the fastest exact peer's time over ours: above 1 "
        "ours is faster; losses are bold and listed. A dash: the solver does not take such problems.",
        "",
    ]
    for threads, groups in sorted(by_threads.items()):
        label = f"{threads} thread" + "s" * (threads > 1)
        lines += [f"## {label}", "", *ratios_table(groups)]
        for suffix, draw, alt in FIGURES:
            figure = f"{name}-{threads}{suffix}.png"
            if draw(groups, f"{title}: {label}", out / figure):
                lines += [f"![{alt}]({figure})", ""]
        lines += [*faults(groups, threads), *times_tables(groups)]
    if {1, 2} <= by_threads.keys():
        both = [k for k in by_threads[1] if seconds(by_threads[1][k].get(OURS)) and k in by_threads[2]]
        pairs = [(k, seconds(by_threads[1][k][OURS]), seconds(by_threads[2][k].get(OURS))) for k in both]
        lines += ["## Two threads against one, ours", ""]
        rows = ([f, f"{n:,}", _time(one), _time(two), f"{one / two:.2f}"] for (f, n), one, two in pairs if one and two)
        lines += table(["family", "n", "1 thread", "2 threads", "ratio"], rows)
    lines += ["## Solvers", ""]
    used = {r for groups in by_threads.values() for group in groups.values() for r in group}
    versions = {k: v for run in runs for k, v in run["versions"].items()}
    lines += table(
        ["solver", "version", "called as"],
        ([p.name, versions.get(p.name) or "missing", p.note] for p in PEERS if p.name in used),
    )
    lines += ["## Runs", ""]
    for run in runs:
        m = run["machine"]
        lines += [
            f"- `{run['command']}`, {m['date'][:10]}, {m['cpu']} with {m['cores']} cores, {m['system']}, "
            f"Python {m['python']}, NumPy {m['numpy']}, commit {m.get('commit', 'unknown')}"
        ]
    if load := _load(by_threads.items()):
        lines += ["", load]
    (out / f"{name}.md").write_text("\n".join(lines).rstrip() + "\n")
    return out / f"{name}.md"


def _load(by_threads: Iterable[tuple[int, dict[tuple[str, int], Group]]]) -> str:
    """How busy the machine was, where it can tell; a warning where other work had a core."""
    sides = [(threads, group) for threads, groups in by_threads for group in groups.values()]
    loads = [record["load"] for _, group in sides for record in group.values() if record.get("load")]
    if not loads:
        return ""
    load = float(np.median(loads))
    busy = load > max(threads for threads, _ in sides) + 1
    warning = " **The machine was busy with other work: take these ratios as rough.**" if busy else ""
    return f"Median load while running, these runs included: {load:.1f}.{warning}"


def headline(
    runs: Sequence[dict[str, Any]], summary: Sequence[tuple[str, int, dict[tuple[str, int], Group]]], folder: str
) -> Iterator[str]:
    """The speed figures of the README: one line a suite, on as few threads as were measured."""
    least = {suite: min(threads for of, threads, _ in summary if of == suite) for suite, _, _ in summary}
    shown = [(suite, threads, groups) for suite, threads, groups in summary if threads == least[suite]]
    rows = []
    for suite, threads, groups in shown:
        ratios = [r for group in groups.values() if (r := ratio(group)) is not None]
        means = [mean(_against(group, name) for group in groups.values()) for name in AGAINST]
        cells = ["" if np.isnan(value) else f"{value:.2g}" for value in (mean(ratios), *means)]
        name, title, _ = PAGES[suite]
        rows.append([f"[{title}]({folder}/{name}.md)", _span(groups), str(len(ratios)), str(threads), *cells])
    head = ["time of theirs / ours", "n", "problems", "threads", "the fastest exact peer", *AGAINST]
    yield from table(head, rows)
    yield (
        "Geometric means over the families of a suite that both solved; above 1 ours is faster. Ours includes the "
        "plan, the potentials and the proof, but for the line, where all return the number alone. Every loss is listed "
        "on the page of its suite."
    )
    yield ""
    machines = [run["machine"] for run in runs]
    where = dict.fromkeys(f"{m['cpu']} with {m['cores']} cores, {m['date'][:10]}" for m in machines)
    commits = dict.fromkeys(m.get("commit", "unknown") for m in machines)
    yield f"{'; '.join(where)}; commit {', '.join(commits)}. {_load((k, groups) for _, k, groups in shown)}".rstrip()


def write_between_marks(path: Path, lines: Iterable[str]) -> None:
    """Put the lines in the place of what stands between the two marks of a page."""
    before, first, rest = path.read_text("utf-8").partition(MARKS[0])
    _, last, after = rest.partition(MARKS[1])
    if not (first and last):
        raise ValueError(f"`{path}` must hold the lines {MARKS[0]!r} and {MARKS[1]!r}, but it does not. Add them.")
    path.write_text("\n".join([before + first, "", *lines, "", last + after]), "utf-8")


def _span(groups: dict[tuple[str, int], Group]) -> str:
    """The sizes of a suite."""
    sizes = sorted({n for _, n in groups})
    return f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"


def contents(summary: Sequence[tuple[str, int, dict[tuple[str, int], Group]]]) -> Iterator[str]:
    """The first page: one line a suite and number of threads."""
    yield from ("# Benchmarks", "", "Written by `python -m benchmarks.report`; not typed.", "")
    rows = []
    for suite, threads, groups in summary:
        ratios = [r for group in groups.values() if (r := ratio(group)) is not None]
        losses = sum(r < 1 for r in ratios)
        name, title, _ = PAGES[suite]
        rows.append(
            [f"[{title}]({name}.md)", str(threads), _span(groups), str(len(ratios)), f"{mean(ratios):.2f}", str(losses)]
        )
    head = ["suite", "threads", "n", "problems", "fastest exact peer / ours, geometric mean", "losses"]
    yield from table(head, rows)
    yield "Every problem of a suite counts alike; each page lists every loss and every wrong answer. What no peer"
    yield "offers is timed on a page of its own: [warm starts, longest moves, costs by callables](alone.md)."


def report(paths: Sequence[Path], out: Path, readme: Path | None = None) -> list[Path]:
    import matplotlib

    matplotlib.use("Agg")
    out.mkdir(parents=True, exist_ok=True)
    runs, groups = read(paths)
    pages, summary = [], []
    for suite in PAGES:
        by_threads: dict[int, dict[tuple[str, int], Group]] = {}
        for (of, threads, family, n), group in groups.items():
            if of == suite:
                by_threads.setdefault(threads, {})[family, n] = group
        summary += [(suite, threads, found) for threads, found in sorted(by_threads.items())]
        if by_threads:
            used = {r["run"] for found in by_threads.values() for group in found.values() for r in group.values()}
            pages.append(page(suite, [run for stamp, run in runs.items() if stamp in used], by_threads, out))
    (out / "README.md").write_text("\n".join(contents(summary)) + "\n")
    if readme is None:
        return [out / "README.md", *pages]
    used = {r["run"] for _, _, found in summary for group in found.values() for r in group.values()}
    folder = os.path.relpath(out, readme.parent)
    write_between_marks(readme, headline([run for stamp, run in runs.items() if stamp in used], summary, folder))
    return [readme, out / "README.md", *pages]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__.split("\n\n")[0])
    parser.add_argument("results", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    parser.add_argument("--readme", type=Path, help="write the speed figures between the marks of this page too")
    args = parser.parse_args(argv)
    for path in report(args.results, args.out, args.readme):
        print(path)


if __name__ == "__main__":
    main()
