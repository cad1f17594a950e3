"""`ot-distances compare --report`: one page with tables, pictures, certificates and versions, that opens anywhere."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from .._arrays import require
from .._files import Data
from .._show import outward
from ..problem import Certificate, Transport
from .info import cpu, python, version_of

# Colours that no picture uses: in the page they become those of its text and of its paper, light or dark.
INK, PAPER = "#010203", "#fdfcfb"
OF_THE_PAGE = dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK)
STYLE: dict[str, Any] = {**OF_THE_PAGE, "axes.facecolor": PAPER, "figure.facecolor": "none", "svg.hashsalt": "page"}
NOT_JUDGED = "not judged again: p = inf, too many pairs, or a cost beyond the largest float"
MOST_PAIRS = 10**8  # looked at again by `verify`: some seconds
VERDICT = ("", "verdict", "primal", "dual", "marginal error", "dual violation")
VERSIONS = ("ot_distances", "numpy", "scipy", "numba", "matplotlib")

Cells = Sequence[Sequence[str]]


def check_report(path: Path) -> None:
    """Refuse a page that could not be written, before any work."""
    require("matplotlib", "--report")
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"`--report` must end in .html, but it is {str(path)!r}. Add the ending.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"`--report` must lie in a folder, but {path.parent} is none. Make it first.")


def write_report(path: Path, report: dict[str, Any], x: Data, y: Data, transports: dict[float, Transport]) -> None:
    """Write the page of one comparison; `report` is what `--json` prints."""
    title = f"{x.path.name} against {y.path.name}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        *(f"<p>{escape(line)}</p>" for line in _lead(report)),
        "<h2>Distances</h2>",
        _table(("", "value", "at least", "at most", "gap", "solver", "seconds"), _distances(report)),
        "<p>At least and at most are proven, rounding included: the plan bounds a distance from above, the potentials "
        f"from below. Ground metric: {escape(report['metric'])}.</p>",
        _table(("", "value", ""), _others(report)),
        "<h2>Pictures</h2>",
        *_figures(transports),
        "<h2>Certificates</h2>",
        "<p>Each plan and its potentials, judged again from the points alone.</p>",
        _table(
            ("", "verdict", "primal", "dual", "marginal error", "dual violation"),
            _verdicts(report["metric"], x, y, transports),
        ),
        "<h2>Made with</h2>",
        _table(("", "version"), [(name, version_of(name)) for name in VERSIONS] + [("python", python())]),
        f"<p>{escape(cpu())}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC.</p>",
    ]
    path.write_text(PAGE.format(title=escape(title), body="\n".join(parts)), encoding="utf-8")


def _lead(report: dict[str, Any]) -> Iterator[str]:
    for side in ("x", "y"):
        facts = report[side]
        weights = "weighted" if facts["weighted"] else "equal weights"
        yield f"{side.upper()}: {facts['file']}, {facts['points']:,} x {facts['dimensions']} coordinates, {weights}."
    yield from report["notes"]


def _distances(report: dict[str, Any]) -> Iterator[Sequence[str]]:
    for row in report["wasserstein"]:
        bounds = outward(row["at_least"], up=False), outward(row["at_most"], up=True)
        name = f"W_{row['p']:g}"
        yield name, f"{row['value']:.10g}", *bounds, f"{row['gap']:.0e}", row["method"], f"{row['seconds']:.3g}"


def _others(report: dict[str, Any]) -> Iterator[Sequence[str]]:
    sliced, gaussian, divergences = (report[k] for k in ("sliced_wasserstein", "gaussian_wasserstein", "divergences"))
    yield "sliced W_2", f"{sliced['value']:.6g} ± {sliced['stderr']:.2g}", "over random lines"
    known = gaussian["value"] is not None
    yield (
        "Gaussian W_2",
        f"{gaussian['value']:.6g}" if known else "",
        gaussian["why_not"] or "of equal means and covariances",
    )
    if divergences["why_not"]:
        yield "KL, JS, TV", "", divergences["why_not"]
        return
    for name, key in (("KL(X || Y)", "kl"), ("KL(Y || X)", "kl_reverse"), ("JS", "js"), ("TV", "tv")):
        yield name, f"{divergences[key]:.6g}", "of the weights"


def _verdicts(metric: str, x: Data, y: Data, transports: dict[float, Transport]) -> Iterator[Sequence[str]]:
    for p, transport in transports.items():
        verdict = _judged(metric, x, y, p, transport)
        if verdict is None:
            yield (
                f"W_{p:g}",
                "not judged again: p = inf, too many pairs, or a cost beyond the largest float",
                "",
                "",
                "",
                "",
            )
            continue
        said = "optimal" if verdict.optimal else "not optimal"
        sides = f"{verdict.primal:.12g}", f"{verdict.dual:.12g}"
        yield f"W_{p:g}", said, *sides, f"{verdict.marginal_error:.0e}", f"{verdict.dual_violation:.0e}"


def _judged(metric: str, x: Data, y: Data, p: float, transport: Transport) -> Certificate | None:
    from .. import verify

    if math.isinf(p) or math.isinf(transport.cost) or len(x.points) * len(y.points) > MOST_PAIRS:
        return None
    answer = {"plan": transport.plan, "f": transport.f, "g": transport.g}
    return verify((x.points, y.points), x.weights, y.weights, p=p, metric=metric, **answer)


def _figures(transports: dict[float, Transport]) -> Iterator[str]:
    """The pictures that the points have room for, of the highest order asked for."""
    from .. import plotting

    order = max(transports)
    transport = transports[order]
    drawable = transport._points is not None and transport._points[0].shape[1] <= 2
    pictures: list[tuple[str, Callable[[], Any]]] = [(f"The optimal plan of W_{order:g}", transport.plot)]
    if drawable:
        pictures.append(("Mass on its way from X to Y", lambda: plotting.plot_displacement(transport)))
        if order != float("inf"):
            pictures.append(("The potentials that prove it", lambda: plotting.plot_potentials(transport)))
        pictures.append(("The plan as a matrix", lambda: plotting.plot_plan(transport, kind="matrix")))
    yield '<div class="pictures">'
    for k, (caption, draw) in enumerate(pictures):
        image = inline_svg(draw, f"p{k}-", caption)
        yield f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>"
    yield "</div>"


def inline_svg(draw: Callable[[], Any], prefix: str, label: str) -> str:
    """A picture as text for a page: its ink and paper are the page's, its names begin with `prefix`."""
    matplotlib = require("matplotlib", "--report")
    pyplot = require("matplotlib.pyplot", "--report")
    with matplotlib.rc_context(STYLE):
        figure = draw().figure
        text = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(text, format="svg", dpi=200, metadata=nothing)
        pyplot.close(figure)
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)  # within a page they go without saying
    svg = re.sub(r'(\sid="|href="#|url\(#)', rf"\g<1>{prefix}", svg)
    svg = svg.replace(INK, "currentColor").replace(PAPER, "var(--paper)")
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1)


def _table(head: Sequence[str], rows: Iterator[Sequence[str]] | Cells) -> str:
    """The first column names the rows; empty columns at the end are left out."""
    names = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>' + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
        for first, *cells in rows
    )
    return f'<div class="wide"><table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table></div>'


PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --ink: #1b1b1b; --paper: #ffffff; --soft: #5a5a5a; --rule: #d9d9d9; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #e8e8e8; --paper: #161616; --soft: #a8a8a8; --rule: #3a3a3a; }}
}}
body {{ margin: 2rem auto; padding: 0 1rem; max-width: 62rem; color: var(--ink); background: var(--paper);
  font: 1rem/1.5 system-ui, sans-serif; }}
h1 {{ font-size: 1.6rem; line-height: 1.2; overflow-wrap: anywhere; }}
h2 {{ font-size: 1.15rem; margin-top: 2rem; }}
p {{ margin: 0.4rem 0; overflow-wrap: anywhere; }}
.wide {{ overflow-x: auto; margin: 0.6rem 0; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ padding: 0.25rem 1rem 0.25rem 0; text-align: left; white-space: nowrap; }}
thead th {{ color: var(--soft); font-weight: normal; border-bottom: 1px solid var(--rule); }}
tbody th {{ font-weight: 600; }}
.pictures {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 1.5rem; }}
figure {{ margin: 0; }}
figure svg {{ width: 100%; height: auto; }}
figcaption {{ color: var(--soft); text-align: center; }}
</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""
