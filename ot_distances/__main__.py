"""The command line: `ot-distances theta-shift`, `compare`, `gan` and `info`, over the public names."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ._arrays import require
from ._files import READERS, Data, read_data
from ._show import outward
from .costs import METRICS
from .problem import Array, NotConverged, Transport
from .solvers import METHODS, SOLVERS
from .theta_shift import FAMILIES

OK, BAD_INPUT, NOT_CONVERGED, DIVERGED, INTERRUPTED = 0, 2, 3, 4, 130

THETAS = (-2.0, -1.0, -0.5, -0.1, 0.0, 0.1, 0.5, 1.0, 2.0)
CURVE_POINTS = 61  # thetas behind a picture
# The root of a covariance of more dimensions takes minutes.
GAUSSIAN_DIMENSIONS = 2000
PACKAGES = ("numpy", "scipy", "numba", "torch", "cupy", "matplotlib", "scikit-learn", "pyarrow", "POT")

TOP = """\
examples:
  ot-distances theta-shift --out theta.png      why the Wasserstein GAN uses the Wasserstein distance
  ot-distances compare real.npy fake.npy        every distance between two sets of points, certified
  ot-distances gan --help                       train generators by any of the distances
  ot-distances info                             what to paste into a bug report

exit codes: 0 done, 2 bad usage or input, 3 a distance could not be certified, 4 a training run diverged.
With --traceback, or OT_DISTANCES_DEBUG=1 in the environment, an error shows its traceback.
"""
THETA_SHIFT = """\
examples:
  ot-distances theta-shift                                  the table for two parallel segments
  ot-distances theta-shift --out theta.png                  and the picture
  ot-distances theta-shift --family gaussian --out g.pdf    laws that overlap: every divergence moves
  ot-distances theta-shift --thetas -0.01 0 0.01 --n 64
"""
COMPARE = """\
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
  ot-distances compare x.npz y.npz --json | python -m json.tool
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the return value is the exit code."""
    # argparse takes -1e-3 for an option; behind a blank it is the number it is.
    given = sys.argv[1:] if argv is None else argv
    tokens = [f" {token}" if token.startswith("-") and _is_number(token) else token for token in given]
    try:
        parser = _parser(gan=tokens[:1] == ["gan"])
    except ImportError as error:  # of torch
        print(f"ot-distances: error: {error}", file=sys.stderr)
        return BAD_INPUT
    args = parser.parse_args(tokens)
    try:
        report, text = args.run(args)
        if args.json:
            text = json.dumps(_jsonable(report), indent=2)
        print(text, flush=True)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print("ot-distances: stopped", file=sys.stderr)
        return INTERRUPTED
    except (ArithmeticError, ImportError, MemoryError, NotConverged, OSError, TypeError, ValueError) as error:
        if args.traceback or os.environ.get("OT_DISTANCES_DEBUG"):
            raise
        print(f"ot-distances: error: {' '.join(str(error).split())}", file=sys.stderr)
        if isinstance(error, ArithmeticError):
            return DIVERGED
        return NOT_CONVERGED if isinstance(error, NotConverged) else BAD_INPUT
    return OK


def _parser(*, gan: bool = False) -> argparse.ArgumentParser:
    """Of all commands; those below `gan` only where asked for, since they load torch."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print one JSON object; infinity is the string 'inf'")
    common.add_argument("--traceback", action="store_true", help="show the traceback of an error")
    parser = argparse.ArgumentParser(
        prog="ot-distances",
        description="Exact optimal transport with proofs, and KL, JS and total variation beside it.",
        epilog=TOP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"ot_distances {_version('ot_distances')}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, run, add_arguments, about, epilog in (
        ("theta-shift", theta_shift_command, _theta_shift_arguments, "KL, JS, TV and W_1 of a shift", THETA_SHIFT),
        ("compare", compare_command, _compare_arguments, "every distance between two data files", COMPARE),
        ("info", info_command, None, "versions, devices and solvers, for a bug report", None),
    ):
        command = commands.add_parser(
            name,
            parents=[common],
            help=about,
            description=f"Print {about}.",
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if add_arguments is not None:
            add_arguments(command)
        command.set_defaults(run=run)
    about = "train generators by any of the distances"
    below = commands.add_parser(
        "gan", help=about, description=f"{about.capitalize()}.", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if gan:
        from .gan.cli import add_commands

        add_commands(below, common)
    return parser


def _theta_shift_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("--family", choices=tuple(FAMILIES), default="segments", help="default: segments")
    command.add_argument("--thetas", type=float, nargs="+", default=THETAS, metavar="T", help="shifts of the table")
    command.add_argument("--n", type=int, default=512, help="points and cells for the sampled columns; default: 512")
    command.add_argument("--out", type=Path, metavar="FILE", help="write the picture there: .png, .pdf, .svg")


def theta_shift_command(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    from . import theta_shift

    if args.out is not None:
        _check_picture(args.out, "--out")
    shift = theta_shift(args.thetas, family=args.family, n=args.n)
    lines = [str(shift)]
    report = {"family": shift.family, "laws": shift.laws, "n": shift.n, "rows": shift.rows(), "picture": None}
    if args.out is not None:
        # A smooth curve needs more shifts than a table has room for.
        between = np.linspace(min(args.thetas), max(args.thetas), CURVE_POINTS)
        curve = theta_shift(np.union1d(between, args.thetas), family=args.family, n=args.n)
        _save(curve.plot(), args.out)
        report["picture"] = str(args.out)
        lines += ["", f"picture: {args.out}"]
    return report, "\n".join(lines)


def _compare_arguments(command: argparse.ArgumentParser) -> None:
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


def compare_command(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    if args.plot is not None:
        _check_picture(args.plot, "--plot")
    x, y = read_data(args.x, args.weights_x), read_data(args.y, args.weights_y)
    if x.points.shape[1] != y.points.shape[1]:
        raise ValueError(
            f"`X` and `Y` must have as many columns, but {x.path} has {x.points.shape[1]} and {y.path} has "
            f"{y.points.shape[1]}. Bring both into one space."
        )
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
    }
    if args.plot is not None:
        report["plotted_order"] = args.p or max(p for p in transports)
        _save(transports[report["plotted_order"]].plot(), args.plot)
        report["picture"] = str(args.plot)
    return report, _compare_text(report)


def _transports(args: argparse.Namespace, x: Data, y: Data) -> dict[float, Transport]:
    """The solved problems by order: 1, 2 and what was asked for."""
    from . import solve

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
    from . import sliced_wasserstein

    estimate = sliced_wasserstein(x.points, y.points, x.weights, y.weights, p=2, seed=seed)
    return {"p": 2, "value": estimate.value, "stderr": estimate.stderr, "method": estimate.method}


def _gaussian(x: Data, y: Data) -> dict[str, Any]:
    """W_2 between the Gaussians of the same means and covariances: never above W_2 (Gelbrich 1990)."""
    from . import gaussian_wasserstein

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
    from . import js_divergence, kl_divergence, total_variation

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
    lines += ["", *_columns(cells), f"metric: {report['metric']}; the bounds are proven, rounding included", ""]
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
    return "\n".join(lines)


def _described(facts: dict[str, Any]) -> str:
    n, d = facts["points"], facts["dimensions"]
    weights = "weighted" if facts["weighted"] else "equal weights"
    return f"{facts['file']}: {n} point{'s' * (n > 1)} in {d} dimension{'s' * (d > 1)}, {weights}"


def info_command(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    import platform

    threads = require("numba", "info").config.NUMBA_NUM_THREADS
    report = {
        "ot_distances": _version("ot_distances"),
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "cpu": f"{_cpu()}, {_cores()} cores to use",
        "threads": f"numba {threads}, OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'unset')}",
        "kernel cache": _kernel_cache(),
        "packages": {name: _version(name) for name in PACKAGES},
        "devices": _devices(),
        "solvers": {name: solver.about for name, solver in SOLVERS.items()},
    }
    lines = []
    for title, content in report.items():
        if isinstance(content, dict):
            rows = _columns([[f"  {name}", about] for name, about in content.items()], left=True)
            lines += ["", title, *rows]
        else:
            lines.append(f"{title:<13} {content}")
    return report, "\n".join(lines)


def _version(package: str) -> str:
    """The version that is installed, found without importing the package."""
    from importlib.metadata import PackageNotFoundError, packages_distributions, version

    names = [package]
    if package == "cupy":  # its wheels are named after the CUDA version
        names = packages_distributions().get("cupy", names)
    try:
        return version(names[0])
    except PackageNotFoundError:
        return "not installed"


def _cpu() -> str:
    import platform

    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        for line in listing.read_text(errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _kernel_cache() -> str:
    """Where numba keeps the compiled kernels."""
    chosen = require("numba", "info").config.CACHE_DIR
    if chosen:
        return f"{chosen} (NUMBA_CACHE_DIR)"
    beside = Path(__file__).parent / "kernels" / "__pycache__"
    home = beside if beside.is_dir() else beside.parent
    return str(beside) if os.access(home, os.W_OK) else "numba's folder in the user's cache: the package is read-only"


def _devices() -> dict[str, str]:
    """The devices that optional libraries see; a library that fails to load is said to."""
    devices = {"cpu": "always"}
    for name, look in (("torch", _torch_devices), ("cupy", _cupy_devices)):
        try:
            devices |= look()
        except ImportError:
            devices[name] = "not installed"
        except Exception as error:  # a driver too old, no device: whatever it is belongs into the bug report
            devices[name] = f"no device: {' '.join(str(error).split())}"
    return devices


def _torch_devices() -> dict[str, str]:
    torch = require("torch", "info")
    count = torch.cuda.device_count()
    return {f"torch cuda:{i}": torch.cuda.get_device_name(i) for i in range(count)} or {"torch": "cpu only"}


def _cupy_devices() -> dict[str, str]:
    runtime = require("cupy", "info").cuda.runtime
    count = runtime.getDeviceCount()
    return {f"cupy {i}": runtime.getDeviceProperties(i)["name"].decode() for i in range(count)}


def _is_number(token: str) -> bool:
    try:
        float(token)
    except ValueError:
        return False
    return True


def _check_picture(path: Path, option: str) -> None:
    """Refuse a picture that could not be written, before any work."""
    require("matplotlib", option)
    from matplotlib.backend_bases import FigureCanvasBase

    known = FigureCanvasBase.get_supported_filetypes()
    if path.suffix[1:].lower() not in known:
        raise ValueError(f"`{option}` must end in .png, .pdf or .svg, but it is {str(path)!r}. Add the ending.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"`{option}` must lie in a folder, but {path.parent} is none. Make it first.")


def _save(ax: Any, path: Path) -> None:
    ax.figure.savefig(path, dpi=200)
    require("matplotlib.pyplot", "a picture").close(ax.figure)


def _columns(rows: list[list[str]], left: bool = False) -> list[str]:
    """Lines of aligned text: the first column to the left, the others to the right unless `left`."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = []
    for row in rows:
        cells = [cell.ljust(w) if left or i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths))]
        lines.append("  ".join(cells).rstrip())
    return lines


def _jsonable(value: Any) -> Any:
    """The same with infinities as strings: JSON has no number for them."""
    if isinstance(value, dict):
        return {key: _jsonable(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_jsonable(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


if __name__ == "__main__":
    sys.exit(main())
