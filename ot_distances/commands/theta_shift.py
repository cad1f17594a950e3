"""`ot-distances theta-shift`: KL, JS, TV and W_1 of two laws that move apart."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from ..theta_shift import FAMILIES
from .output import check_picture, save

ABOUT = "KL, JS, TV and W_1 of a shift"
EXAMPLES = """\
examples:
  ot-distances theta-shift                                  the table for two parallel segments
  ot-distances theta-shift --out theta.png                  and the picture
  ot-distances theta-shift --family gaussian --out g.pdf    laws that overlap: every divergence moves
  ot-distances theta-shift --thetas -0.01 0 0.01 --n 64
"""

THETAS = (-2.0, -1.0, -0.5, -0.1, 0.0, 0.1, 0.5, 1.0, 2.0)
CURVE_POINTS = 61  # thetas behind a picture


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("--family", choices=tuple(FAMILIES), default="segments", help="default: segments")
    command.add_argument("--thetas", type=float, nargs="+", default=THETAS, metavar="T", help="shifts of the table")
    command.add_argument("--n", type=int, default=512, help="points and cells for the sampled columns; default: 512")
    command.add_argument("--out", type=Path, metavar="FILE", help="write the picture there: .png, .pdf, .svg")


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    from .. import theta_shift

    if args.out is not None:
        check_picture(args.out, "--out")
    shift = theta_shift(args.thetas, family=args.family, n=args.n)
    lines = [str(shift)]
    report = {"family": shift.family, "laws": shift.laws, "n": shift.n, "rows": shift.rows(), "picture": None}
    if args.out is not None:
        # A smooth curve needs more shifts than a table has room for.
        between = np.linspace(min(args.thetas), max(args.thetas), CURVE_POINTS)
        curve = theta_shift(np.union1d(between, args.thetas), family=args.family, n=args.n)
        save(curve.plot(), args.out)
        report["picture"] = str(args.out)
        lines += ["", f"picture: {args.out}"]
    return report, "\n".join(lines)
