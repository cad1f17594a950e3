"""`ot-distances compare`: every distance between two data files, with its proof."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np

from .._files import READERS, Data, read_data, require_same_columns
from .._show import outward
from ..costs import METRICS
from ..problem import Array, Transport
from ..solvers import METHODS
from .output import check_picture, columns_of, save
from .report import check_report, write_report

ABOUT = "every distance between two data files"
# The root of a covariance of more dimensions takes minutes.
GAUSSIAN_DIMENSIONS = 2000
EXAMPLES = """\
files:
  .npy       points (n, d), or (n,) on a line; images (n, h, w) are flattened
  .npz       the array named 'x', or the only one; weights in 'weights' or 'a'
  .csv       one point a line, with or without a line of names; a column 'weight' holds weights
  .parquet   one point a row; a column 'weight' holds weights
  Weights may be counts: they are divided by their sum.

examples:
  ot-distances compare real.npy fake.npy
  ot-distances compare before.csv after.csv --p 3 --metric cityblock
  ot-distances compare x.npy y.npy --weights-x wx.npy --weights-y wy.npy --plot plan.png
  ot-distances compare real.npy fake.npy --report comparison.html
  ot-distances compare x.npz y.npz --json | python -m json.tool
"""


def add_arguments(command: argparse.ArgumentParser) -> None:
    known = " ".join(READERS)
    command.add_argument("x", type=Path, metavar="X", help=f"data file: {known}")
    command.add_argument("y", type=Path, metavar="Y", help="data file with as many columns")
    command.add_argument("--p", type=float, help="print W_p for this order too, 1 <= p <= inf")
    command.add_argument("--metric", choices=tuple(METRICS), default="euclidean", help="default: euclidean")
    command.add_argument("--method", choices=METHODS, default="auto", help="solver; default: auto")
    command.add_argument("--rtol", type=float, default=1e-9, help="gap that is still certified; default: 1e-9")
    command.add_argument("--seed", type=int, default=0, help="of the random lines of sliced W; default: 0")
    for side in ("x", "y"):
        command.add_argument(f"--weights-{side}", type=Path, metavar="FILE", help=f"weights of {side.upper()}")
    command.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw the plan there (.png, .pdf, .svg): of W_2, or of --p if given"
    )
    command.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="write a page there (.html) with tables, pictures and certificates",
    )


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    if args.plot is not None:
        check_picture(args.plot, "--plot")
    if args.report is not None:
        check_report(args.report)
    x, y = read_data(args.x, args.weights_x), read_data(args.y, args.weights_y)
    require_same_columns(x, y)
    transports = _transports(args, x, y)
    report: dict[str, Any] = {
        "x": _facts(x),
        "y": _facts(y),
        "notes": [*x.notes, *y.notes],
        "metric": args.metric,
        "wasserstein": [_certified(p, transport) for p, transport in transports.items()],
        "sliced_wasserstein": _sliced(x, y, args.seed),
        "gaussian_wasserstein": _gaussian(x, y),
        "divergences": _divergences(x, y),
        "picture": None,
        "report": None,
    }
    if args.plot is not None:
        report["plotted_order"] = args.p or max(p for p in transports)
        save(transports[report["plotted_order"]].plot(), args.plot)
        report["picture"] = str(args.plot)
    if args.report is not None:
        write_report(args.report, report, x, y, transports)
        report["report"] = str(args.report)
    return report, _compare_text(report)


def _transports(args: argparse.Namespace, x: Data, y: Data) -> dict[float, Transport]:
    """The solved problems by order: 1, 2 and what was asked for."""
    from .. import solve

    orders = {1.0} if args.metric == "sqeuclidean" else {1.0, 2.0}
    orders |= set() if args.p is None else {args.p}
    options = {"metric": args.metric, "method": args.method, "rtol": args.rtol}
    try:
        return {p: solve(x.points, y.points, x.weights, y.weights, p=p, **options) for p in sorted(orders)}
    except (TypeError, ValueError) as error:
        raise type(error)(f"{error} (Here `x` is {x.path} and `y` is {y.path}.)") from error


def _facts(data: Data) -> dict[str, Any]:
    n, d = data.points.shape
    return {"file": str(data.path), "points": n, "dimensions": d, "weighted": data.weights is not None}


def _certified(p: float, transport: Transport) -> dict[str, Any]:
    """A distance with its bounds: those of the cost, and the same in the unit of the distance."""
    return {
        "p": p,
        "value": transport.value,
        "at_least": _root(transport.lower, p, -1),
        "at_most": _root(transport.upper, p, 1),
        "cost": transport.cost,
        "lower": transport.lower,
        "upper": transport.upper,
        "gap": transport.gap,
        "method": transport.method,
        "seconds": transport.seconds,
        "peak_bytes": transport.peak_bytes,
    }


def _root(bound: float, p: float, side: int) -> float:
    """The p-th root of a bound, rounded outwards: `side` is -1 for a lower bound, 1 for an upper one."""
    if p in (1, math.inf) or not 0 < bound < math.inf:
        return max(bound, 0.0)
    # 1 / p is off by half an ulp, which the power magnifies by log(bound) / p; the power itself by an ulp.
    return bound ** (1 / p) * (1 + side * (2 + abs(math.log(bound)) / p) * 2.0**-52)


def _sliced(x: Data, y: Data, seed: int) -> dict[str, Any]:
    from .. import sliced_wasserstein

    estimate = sliced_wasserstein(x.points, y.points, x.weights, y.weights, p=2, seed=seed)
    return {"p": 2, "value": estimate.value, "stderr": estimate.stderr, "method": estimate.method}


def _gaussian(x: Data, y: Data) -> dict[str, Any]:
    """W_2 between the Gaussians of the same means and covariances: never above W_2 (Gelbrich 1990)."""
    from .. import gaussian_wasserstein

    d = x.points.shape[1]
    if d > GAUSSIAN_DIMENSIONS:
        return {"p": 2, "value": None, "why_not": f"not computed in {d} dimensions, above {GAUSSIAN_DIMENSIONS}"}
    # In a unit near the largest coordinate no square overflows or vanishes; a power of two rounds nothing.
    exponent = math.frexp(max(float(np.abs(data.points).max()) for data in (x, y)))[1]
    value = float(gaussian_wasserstein(*_moments(x, exponent), *_moments(y, exponent)))
    return {"p": 2, "value": math.ldexp(value, exponent), "why_not": None}


def _moments(data: Data, exponent: int) -> tuple[Array, Array]:
    """Mean and covariance of the law itself, of which the points are all there is, in units of 2**exponent."""
    points = np.ldexp(data.points, -exponent)
    mean = data.mass @ points  # (d,)
    root = np.sqrt(data.mass)[:, None] * (points - mean)
    return mean, root.T @ root


def _divergences(x: Data, y: Data) -> dict[str, Any]:
    """KL, JS and TV of the weights where both files list the same points, else the reason why not."""
    from .. import js_divergence, kl_divergence, total_variation

    atoms, place = np.unique(np.concatenate([x.points, y.points]), axis=0, return_inverse=True)
    place = place.ravel()
    n = len(x.points)
    of_x, of_y = (np.isin(np.arange(len(atoms)), side) for side in (place[:n], place[n:]))
    shared = int(np.sum(of_x & of_y))
    if shared < len(atoms):
        why = f"not defined: they compare weights on common points, and {shared} of {len(atoms)} are in both files"
        return {"kl": None, "kl_reverse": None, "js": None, "tv": None, "why_not": why}
    p, q = (np.bincount(side, mass, len(atoms)) for side, mass in ((place[:n], x.mass), (place[n:], y.mass)))
    return {
        "kl": float(kl_divergence(p, q, normalize=True)),
        "kl_reverse": float(kl_divergence(q, p, normalize=True)),
        "js": float(js_divergence(p, q, normalize=True)),
        "tv": float(total_variation(p, q, normalize=True)),
        "why_not": None,
    }


def _compare_text(report: dict[str, Any]) -> str:
    lines = [f"{name.upper()}  {_described(report[name])}" for name in ("x", "y")]
    lines += [f"note: {note}" for note in report["notes"]]
    cells = [["", "value", "at least", "at most", "gap", "method", "seconds"]]
    for row in report["wasserstein"]:
        bounds = [outward(row["at_least"], up=False), outward(row["at_most"], up=True)]
        cells.append(
            [
                f"W_{row['p']:g}",
                f"{row['value']:.15g}",
                *bounds,
                f"{row['gap']:.0e}",
                row["method"],
                f"{row['seconds']:.3f}",
            ]
        )
    lines += ["", *columns_of(cells), f"metric: {report['metric']}; the bounds are proven, rounding included", ""]
    sliced, gaussian, divergences = (report[k] for k in ("sliced_wasserstein", "gaussian_wasserstein", "divergences"))
    lines.append(f"sliced W_2    {sliced['value']:.6g} ± {sliced['stderr']:.2g}  (random lines, Euclidean)")
    value = gaussian["why_not"] or f"{gaussian['value']:.6g}  (equal means and covariances: never above Euclidean W_2)"
    lines.append(f"Gaussian W_2  {value}")
    if divergences["why_not"]:
        lines.append(f"KL, JS, TV    {divergences['why_not']}")
    else:
        for name, key in (("KL(X || Y)", "kl"), ("KL(Y || X)", "kl_reverse"), ("JS", "js"), ("TV", "tv")):
            lines.append(f"{name:<13} {divergences[key]:.6g}")
    if report["picture"]:
        lines += ["", f"picture of the plan of W_{report['plotted_order']:g}: {report['picture']}"]
    if report["report"]:
        lines += ["", f"report: {report['report']}"]
    return "\n".join(lines)


def _described(facts: dict[str, Any]) -> str:
    n, d = facts["points"], facts["dimensions"]
    weights = "weighted" if facts["weighted"] else "equal weights"
    return f"{facts['file']}: {n} point{'s' * (n > 1)} in {d} dimension{'s' * (d > 1)}, {weights}"
