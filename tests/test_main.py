"""The command line, through `main(argv)`: files of every kind, numbers, exit codes and sentences."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy

import ot_distances as ot
from ot_distances.__main__ import (
    BAD_INPUT,
    COMMANDS,
    DIVERGED,
    INTERRUPTED,
    NOT_CONVERGED,
    OK,
    main,
    parser_of_all,
)
from ot_distances._files import READERS, read_data
from ot_distances.commands.bench import OURS, SUITES, Rival
from ot_distances.solvers import SOLVERS
from ot_distances.theta_shift import FAMILIES

X = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 3.0]])
Y = np.array([[4.0, 0.0], [5.0, 1.0], [4.0, 2.0]])
WEIGHTS = np.array([2.0, 1.0, 1.0])
GAN_COMMANDS = ("train", "compare", "resume", "report")


def write_csv(path: Path, points: np.ndarray, weights: np.ndarray | None) -> None:
    columns, names = points, [f"x{i}" for i in range(points.shape[1])]
    if weights is not None:
        columns, names = np.column_stack([points, weights]), [*names, "weight"]
    lines = [",".join(names), *(",".join(map(repr, row)) for row in columns.tolist())]
    path.write_text("\n".join(lines) + "\n")


def write_npz(path: Path, points: np.ndarray, weights: np.ndarray | None) -> None:
    np.savez(path, **{"x": points} if weights is None else {"x": points, "weights": weights})


def write_parquet(path: Path, points: np.ndarray, weights: np.ndarray | None) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {f"x{i}": column for i, column in enumerate(points.T)}
    if weights is not None:
        columns["Weight"] = weights
    parquet.write_table(pyarrow.table(columns), path)


def write_npy(path: Path, points: np.ndarray, weights: None = None) -> None:
    np.save(path, points)


WRITERS: dict[str, Callable[..., None]] = {
    ".npy": write_npy,
    ".npz": write_npz,
    ".csv": write_csv,
    ".parquet": write_parquet,
}


@pytest.fixture
def pair(tmp_path: Path) -> tuple[str, str]:
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    return str(tmp_path / "x.npy"), str(tmp_path / "y.npy")


def report_of(capsys: pytest.CaptureFixture[str], *argv: object) -> dict[str, Any]:
    """What a command says with --json."""
    assert main([*map(str, argv), "--json"]) == 0
    report = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert isinstance(report, dict)
    return report


def sentence_of(capsys: pytest.CaptureFixture[str], *argv: object, code: int = 2) -> str:
    """The one line on standard error of a command that fails."""
    assert main([*map(str, argv)]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    prefix = "ot-distances: error: "
    assert line.startswith(prefix)
    return line.removeprefix(prefix)


def test_every_reader_is_tested() -> None:
    assert set(WRITERS) == set(READERS)


@pytest.mark.parametrize(
    ("suffix", "weights"),
    [(suffix, weights) for suffix in WRITERS for weights in (None, WEIGHTS) if suffix != ".npy" or weights is None],
)
def test_files_of_every_kind_say_the_same(suffix: str, weights: np.ndarray | None, tmp_path: Path) -> None:
    path = tmp_path / f"points{suffix}"
    WRITERS[suffix](path, X, weights)
    data = read_data(path)
    np.testing.assert_array_equal(data.points, X)
    np.testing.assert_array_equal(data.mass, [0.5, 0.25, 0.25] if weights is not None else [1 / 3] * 3)
    assert (data.weights is None) == (weights is None)
    assert data.notes == (() if weights is None else (f"weights in {path} sum to 4: divided by it.",))


@pytest.mark.parametrize(
    "text",
    [
        "1,2\n3,4\n",
        "\ufeff1,2\r\n3,4",
        "a,b\n1,2\n3,4\n",
        "# a,b\n1,2\n3,4",
        '"a;x";b\n1;2\n3;4\n',
        "a\tb\n1\t2\n\n3\t4",
    ],
    ids=["plain", "byte order mark", "names", "numpy's header", "semicolons", "tabs"],
)
def test_csv_dialects(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text, encoding="utf-8", newline="")
    np.testing.assert_array_equal(read_data(path).points, [[1, 2], [3, 4]])


def test_images_are_flattened_with_a_note(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
    data = read_data(tmp_path / "images.npy")
    np.testing.assert_array_equal(data.points, np.arange(24.0).reshape(2, 12))
    assert data.notes[0].endswith("has shape (2, 3, 4): each of its 2 entries is flattened to one point.")


def test_a_lone_array_needs_no_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", digits=X, a=WEIGHTS)
    np.testing.assert_array_equal(read_data(tmp_path / "x.npz").mass, [0.5, 0.25, 0.25])


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".csv", "-named.csv"])
def test_weights_may_lie_in_a_file_of_their_own(suffix: str, tmp_path: Path, pair: tuple[str, str]) -> None:
    path = tmp_path / f"weights{suffix}"
    if suffix.endswith("csv"):
        path.write_text("weight\n2\n1\n1\n" if "named" in suffix else "2\n1\n1\n")
    else:
        np.save(path, WEIGHTS) if suffix == ".npy" else np.savez(path, weights=WEIGHTS)
    np.testing.assert_array_equal(read_data(Path(pair[0]), path).mass, [0.5, 0.25, 0.25])


def test_compare_prints_every_distance_with_its_bounds(
    pair: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    report = report_of(capsys, "compare", *pair, "--p", "3")
    assert [row["p"] for row in report["wasserstein"]] == [1, 2, 3]
    for row in report["wasserstein"]:
        transport = ot.solve(X, Y, p=row["p"])
        for name in ("value", "cost", "lower", "upper", "gap", "method"):
            assert row[name] == getattr(transport, name), name
        assert row["at_least"] <= row["value"] <= row["at_most"]
        assert row["at_most"] - row["at_least"] <= 1e-9 * row["value"]
    assert report["sliced_wasserstein"]["value"] == ot.sliced_wasserstein(X, Y, p=2, seed=0).value
    moments = [(points.mean(axis=0), np.cov(points.T, bias=True)) for points in (X, Y)]
    gaussian = report["gaussian_wasserstein"]["value"]
    assert gaussian == pytest.approx(ot.gaussian_wasserstein(*moments[0], *moments[1]), rel=1e-12)
    assert gaussian <= report["wasserstein"][1]["at_most"]


def test_a_terminal_without_the_letters_gets_its_answer(pair: tuple[str, str]) -> None:
    command = [sys.executable, "-m", "ot_distances", "compare", *pair]
    shown = subprocess.run(command, env={**os.environ, "PYTHONIOENCODING": "ascii"}, capture_output=True, check=True)
    assert b"sliced W_2" in shown.stdout and b" ? " in shown.stdout and not shown.stderr


def test_compare_uses_the_weights(tmp_path: Path, pair: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "w.npy", WEIGHTS)
    report = report_of(capsys, "compare", *pair, "--weights-x", tmp_path / "w.npy", "--metric", "cityblock")
    assert report["wasserstein"][0]["value"] == ot.wasserstein(X, Y, WEIGHTS / 4, metric="cityblock")
    assert report["x"]["weighted"]
    assert not report["y"]["weighted"]
    assert report["metric"] == "cityblock"
    assert "sum to 4" in report["notes"][0]


@pytest.mark.parametrize("order", ["1.5", "inf"])
def test_one_point_against_many(
    order: str, tmp_path: Path, pair: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """No covariance, no choice of a plan, and every distance still has its value."""
    np.save(tmp_path / "one.npy", [[0.0, 0.0]])
    report = report_of(capsys, "compare", tmp_path / "one.npy", pair[0], "--p", order, "--plot", tmp_path / "plan.png")
    lengths = np.array([0.0, 1.0, 3.0])
    found = {row["p"]: row["value"] for row in report["wasserstein"]}
    assert found[1] == pytest.approx(4 / 3, rel=1e-12)
    assert found[2] == pytest.approx(math.sqrt(10 / 3), rel=1e-12)
    assert report["gaussian_wasserstein"]["value"] == pytest.approx(math.sqrt(10 / 3), rel=1e-12)
    last = found["inf"] if order == "inf" else found[1.5]
    assert last == pytest.approx(np.linalg.norm(lengths, float(order)) / (1 if order == "inf" else 3 ** (1 / 1.5)))


def test_squared_cost_has_order_1_only(pair: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    report = report_of(capsys, "compare", *pair, "--metric", "sqeuclidean")
    (row,) = report["wasserstein"]
    assert row["value"] == ot.wasserstein(X, Y, metric="sqeuclidean")


def test_divergences_of_one_common_support(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same points, in another order and twice: one list of points, with weights to compare."""
    write_csv(tmp_path / "p.csv", X, np.array([0.5, 0.25, 0.25]))
    write_csv(tmp_path / "q.csv", X[[2, 0, 1, 1]], np.array([0.25, 0.25, 0.25, 0.25]))
    found = report_of(capsys, "compare", tmp_path / "p.csv", tmp_path / "q.csv")["divergences"]
    p, q = [0.5, 0.25, 0.25], [0.25, 0.5, 0.25]
    assert found["kl"] == pytest.approx(ot.kl_divergence(p, q), rel=1e-14)
    assert found["kl_reverse"] == pytest.approx(ot.kl_divergence(q, p), rel=1e-14)
    assert found["js"] == pytest.approx(ot.js_divergence(p, q), rel=1e-14)
    assert found["tv"] == 0.25
    assert found["why_not"] is None


def test_infinite_divergence_is_valid_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_csv(tmp_path / "p.csv", X, np.array([0.5, 0.5, 0.0]))
    write_csv(tmp_path / "q.csv", X, np.array([0.5, 0.0, 0.5]))
    found = report_of(capsys, "compare", tmp_path / "p.csv", tmp_path / "q.csv")["divergences"]
    assert found["kl"] == "inf"
    assert math.isinf(float(found["kl"]))


def test_divergences_of_different_points_are_not_made_up(
    pair: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    report = report_of(capsys, "compare", *pair)
    assert report["divergences"]["kl"] is None
    assert "and 0 of 6 are in both files" in report["divergences"]["why_not"]
    assert main(["compare", *pair]) == 0
    assert "KL, JS, TV    not defined: they compare weights on common points" in capsys.readouterr().out


def test_compare_reads_well(pair: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *pair, "--p", "inf"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"X  {pair[0]}: 3 points in 2 dimensions, equal weights"
    head = next(i for i, line in enumerate(lines) if "at least" in line)
    assert [line.split()[0] for line in lines[head + 1 : head + 4]] == ["W_1", "W_2", "W_inf"]
    assert {len(line) for line in lines[head : head + 4]} == {len(lines[head])}
    assert max(map(len, lines[1:])) < 120
    for p, line in zip((1, 2, math.inf), lines[head + 1 :]):
        transport = ot.solve(X, Y, p=p)
        power = 1 if p == math.inf else p
        low, high = (Fraction(cell) ** power for cell in line.split()[2:4])
        assert low <= transport.lower, "the printed bound is above the proven one"
        assert high >= transport.upper, "the printed bound is below the proven one"


def test_compare_draws_the_plan(tmp_path: Path, pair: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "plan.png"
    report = report_of(capsys, "compare", *pair, "--plot", out)
    assert out.read_bytes().startswith(b"\x89PNG")
    assert (report["picture"], report["plotted_order"]) == (str(out), 2)


@pytest.mark.parametrize("scale", [1e-200, 1e-7, 1.0, 1e100, 1e150])
def test_distances_scale_with_the_points(scale: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In whatever unit the points come, all distances come in the same, and the bounds hold."""
    at_scale = []
    for unit in (1.0, scale):
        np.save(tmp_path / "x.npy", X * unit)
        np.save(tmp_path / "y.npy", Y * unit)
        at_scale.append(report_of(capsys, "compare", tmp_path / "x.npy", tmp_path / "y.npy"))
    one, other = at_scale
    for before, after in zip(one["wasserstein"], other["wasserstein"]):
        assert after["at_least"] <= after["value"] <= after["at_most"]
        assert after["value"] == pytest.approx(before["value"] * scale, rel=1e-12)
    for name in ("sliced_wasserstein", "gaussian_wasserstein"):
        assert other[name]["value"] == pytest.approx(one[name]["value"] * scale, rel=1e-12), name


@pytest.mark.parametrize("family", FAMILIES)
def test_theta_shift_prints_the_table(family: str, capsys: pytest.CaptureFixture[str]) -> None:
    thetas = [-0.5, 0.0, 2.0]
    assert main(["theta-shift", "--family", family, "--n", "16", "--thetas", *map(str, thetas)]) == 0
    assert capsys.readouterr().out.rstrip() == str(ot.theta_shift(thetas, family=family, n=16))


def test_theta_shift_is_valid_json(capsys: pytest.CaptureFixture[str]) -> None:
    report = report_of(capsys, "theta-shift", "--n", "8", "--thetas", "-1", "0")
    assert [(row["kl"], row["w1"], row["dw_dtheta"]) for row in report["rows"]] == [("inf", 1.0, -1.0), (0.0, 0.0, 0.0)]


def test_negative_numbers_may_have_exponents(capsys: pytest.CaptureFixture[str]) -> None:
    report = report_of(capsys, "theta-shift", "--n", "2", "--thetas", "-1e-3", "-.5", "1E2")
    assert [row["theta"] for row in report["rows"]] == [-1e-3, -0.5, 100]


def test_theta_shift_draws_the_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "theta.svg"
    assert main(["theta-shift", "--n", "4", "--out", str(out)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"picture: {out}"
    assert "<svg" in out.read_text()


def test_info_lists_solvers_versions_and_devices(capsys: pytest.CaptureFixture[str]) -> None:
    report = report_of(capsys, "info")
    assert report["solvers"] == {name: solver.about for name, solver in SOLVERS.items()}
    assert report["packages"]["numpy"] == np.__version__
    assert report["devices"]["cpu"] == "always"
    assert main(["info"]) == 0
    text = capsys.readouterr().out
    assert all(solver.about in text for solver in SOLVERS.values())
    assert "kernel cache" in text


def test_info_runs_without_the_optional_packages(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("torch", "cupy", "matplotlib", "sklearn", "pyarrow"):
        monkeypatch.setitem(sys.modules, name, None)
    devices = report_of(capsys, "info")["devices"]
    assert (devices["torch"], devices["cupy"]) == ("not installed", "not installed")


def test_info_reports_a_driver_that_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> dict[str, str]:
        raise RuntimeError("driver too old")

    monkeypatch.setattr("ot_distances.commands.info._cupy_devices", fail)
    assert report_of(capsys, "info")["devices"]["cupy"] == "no device: driver too old"


# File name -> what is in it (bytes, an array for np.save, arrays for np.savez, None: no file), and what is said of it.
NO_PICKLE = "must be a .npy file of numbers, but numpy cannot read it: "
BAD_FILES: dict[str, tuple[Any, str]] = {
    "text.txt": (b"1", "must be one of .npy, .npz, .csv, .parquet, but it ends in '.txt'."),
    "gone.npy": (None, "must be a file, but there is none of that name."),
    "empty.npy": (np.empty((0, 2)), "must hold at least one point, but its shape is (0, 2)."),
    "scalar.npy": (np.array(1.0), "must hold at least one point, but its shape is ()."),
    "nothing.npy": (b"", NO_PICKLE),
    "object.npy": (np.array([{}]), NO_PICKLE),
    "words.npy": (np.array(["a"]), "must hold real numbers, but its dtype is <U1."),
    "complex.npy": (X + 1j, "must hold real numbers, but its dtype is complex128."),
    "junk.npz": (b"junk", "must be a .npz file of numbers, but numpy cannot read it: "),
    "two.npz": ({"p": X, "q": Y}, "must hold one array of points, or one named 'x', but it holds 'p', 'q'."),
    "pair.npz": ({"a": X, "b": Y}, "must hold one array of points, or one named 'x', but it holds 'a', 'b'."),
    "short.npz": ({"x": X, "a": WEIGHTS[:2]}, "must hold one weight for each point, but it holds 2 for 3 points."),
    "weights.npz": ({"a": WEIGHTS}, "must hold at least one point"),
    "word.csv": (b"a,b\n1,2\n3,red\n", "must hold numbers, but line 3, column 'b' is 'red'."),
    "hole.csv": (b"1,2\n3,\n", "must hold numbers, but line 2, column 2 is empty."),
    "first.csv": (b"1,NA\n3,4\n", "must begin with a line of names or of numbers, but its first line holds both: 'NA'"),
    "ragged.csv": (b"1,2\n3,4\n5\n", "must have 2 columns, but line 3 has 1."),
    "names.csv": (b"a,b\n", "must hold at least one point"),
    "blank.csv": (b"", "must hold at least one point"),
    "latin.csv": (b"\xe9,b\n1,2\n", "must be UTF-8 text, but byte 0 is not."),
    "late-latin.csv": (b"1,2\n" * 5000 + b"\xe9,2\n", "must be UTF-8 text, but byte"),
    "junk.parquet": (b"junk", "must be a Parquet file, but it cannot be read as one"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_named(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    content, said = BAD_FILES[name]
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, dict):
        np.savez(path, **content)
    elif content is not None:
        np.save(path, content, allow_pickle=True)
    assert sentence_of(capsys, "compare", path, path).startswith(f"`{path}` {said}")


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ([1, -2, 1], "must be finite and not negative, but number 1 is -2.0."),
        ([1, 1, math.nan], "must be finite and not negative, but number 2 is nan."),
        ([0, 0, 0], "must have a positive sum, but all are 0."),
    ],
)
def test_bad_weights_are_named(
    weights: list[float], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, x=X, a=weights)
    assert sentence_of(capsys, "compare", path, path).startswith(f"weights in `{path}` {said}")


def test_text_columns_of_parquet_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"x": [1.0], "colour": ["red"]}), tmp_path / "x.parquet")
    said = sentence_of(capsys, "compare", tmp_path / "x.parquet", tmp_path / "x.parquet")
    assert "must hold numbers, but its column 'colour' holds string." in said


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_columns_stand_in_one_order(suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By position ages would be compared with incomes; weights may stand anywhere."""
    x, y, fine = (tmp_path / f"{name}{suffix}" for name in ("x", "y", "fine"))
    for path, names in ((x, "age,income"), (y, "income,age"), (fine, "weight,age,income")):
        columns = {name: [float(k), 1.0] for k, name in enumerate(names.split(","))}
        if suffix == ".csv":
            path.write_text("\n".join([names, *(",".join(map(str, row)) for row in zip(*columns.values()))]))
        else:
            pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
            parquet.write_table(pyarrow.table(columns), path)
    said = sentence_of(capsys, "compare", x, y)
    assert said.startswith(f"`{x}` and `{y}` must have their columns in one order, but number 0 is 'age' in {x}")
    assert said.endswith("Write one of them again in the order of the other.")
    assert report_of(capsys, "compare", x, fine)["y"]["dimensions"] == 2


def test_bad_points_are_named_with_their_files(
    tmp_path: Path, pair: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "nan.npy"
    np.save(path, np.where(X == 3, np.nan, X))
    said = sentence_of(capsys, "compare", pair[1], path)
    assert said.startswith("`y` must be finite, but y[2, 1] = nan.")
    assert said.endswith(f"(Here `x` is {pair[1]} and `y` is {path}.)")
    np.save(path, X[:, :1])
    assert "must have as many columns, but" in sentence_of(capsys, "compare", pair[0], path)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--p", "0.5", "`p` must"),
        ("--rtol", "-1", "`rtol` must"),
        ("--plot", "plan.xyz", "`--plot` must end in .png, .pdf or .svg, but it is 'plan.xyz'."),
        ("--plot", "no/such/plan.png", "`--plot` must lie in a folder, but no/such is none."),
    ],
)
def test_bad_options_are_named(
    option: str, value: str, said: str, pair: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert sentence_of(capsys, "compare", *pair, option, value).startswith(said)


def test_an_uncertified_distance_has_its_own_exit_code(
    monkeypatch: pytest.MonkeyPatch, pair: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    def give_up(*args: object, **options: object) -> None:
        raise ot.NotConverged("the cost lies\nbetween 1 and 2", 1.0, 2.0)

    monkeypatch.setattr(ot, "solve", give_up)
    assert sentence_of(capsys, "compare", *pair, code=3) == "the cost lies between 1 and 2"


def test_a_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, pair: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    said = sentence_of(capsys, "compare", *pair, "--plot", "plan.png")
    assert said == "--plot needs the package 'matplotlib': pip install 'ot_distances[plot]'"


@pytest.mark.parametrize("switch", ["option", "environment"])
def test_tracebacks_come_on_request(switch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    argv = ["theta-shift", "--n", "0"]
    if switch == "option":
        argv.append("--traceback")
    else:
        monkeypatch.setenv("OT_DISTANCES_DEBUG", "1")
    with pytest.raises(ValueError, match="`n` must be at least 1"):
        main(argv)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["compare"], "the following arguments are required: X, Y"),
        (["nonsense"], "argument COMMAND: invalid choice: 'nonsense' (choose from"),
        (["theta-shift", "--family", "cauchy"], "argument --family: invalid choice: 'cauchy' (choose from"),
        (["theta-shift", "--n", "many"], "argument --n: invalid int value: 'many'"),
        (["info", "--frobnicate"], "unrecognized arguments: --frobnicate"),
        (["bench", "--suite", "chess"], "argument --suite: invalid choice: 'chess' (choose from"),
        (["completion", "csh"], "argument shell: invalid choice: 'csh' (choose from"),
    ],
)
def test_bad_usage_is_one_sentence_with_its_cure(
    argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == BAD_INPUT
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ot-distances")
    assert f"error: {said}" in line
    assert line.endswith("--help")


def subcommands() -> list[list[str]]:
    return [[], *([name] for name in COMMANDS), ["gan"], *(["gan", name] for name in GAN_COMMANDS)]


@pytest.mark.parametrize("command", subcommands(), ids=" ".join)
def test_help_teaches_by_example(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Every example of a page of help is one that the parser takes."""
    if "gan" in command:
        pytest.importorskip("torch")
    with pytest.raises(SystemExit) as caught:
        main([*command, "--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: ot-distances")
    shown = re.findall(r"^  (?:source <\()?(ot-distances [^|>)]*?)(?: [|>].*|\).*|   .*)?$", text, re.MULTILINE)
    assert len(shown) >= (1 if command[:1] == ["gan"] else 3)
    parser = parser_of_all(gan="gan" in text)
    for example in shown:
        if "--help" not in example:
            parser.parse_args(example.split()[1:])


def test_exit_codes_are_documented_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("exit codes: "))
    codes = [int(part.split()[0]) for part in line.removeprefix("exit codes: ").rstrip(".").split(", ")]
    assert codes == [OK, BAD_INPUT, NOT_CONVERGED, DIVERGED, INTERRUPTED]


def stopped_solve() -> ot.NotConverged:
    """What Ctrl-C makes of a solve."""
    error = ot.NotConverged("interrupted, the cost lies in [1, 2]")
    error.__cause__ = KeyboardInterrupt()
    return error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyboardInterrupt(), INTERRUPTED),
        (FloatingPointError("the loss is nan"), DIVERGED),
        (MemoryError("8 GB"), BAD_INPUT),
        (ot.NotConverged("between 1 and 2"), NOT_CONVERGED),
        (stopped_solve(), INTERRUPTED),
        (OSError("disk full"), BAD_INPUT),
    ],
)
def test_each_kind_of_failure_has_its_exit_code(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(ot, "theta_shift", fail)
    assert main(["theta-shift"]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ot-distances: ")


def test_bench_puts_solvers_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    """Of every suite; each answer is judged, and each time is there."""
    report = report_of(capsys, "bench", "--n", 20, "--repeat", 1)
    found: dict[str, list[dict[str, Any]]] = {}
    for row in report["rows"]:
        found.setdefault(row["suite"], []).append(row)
    assert set(found) == set(SUITES)
    for name, rows in found.items():
        assert [row["solver"] for row in rows] == [OURS, *(rival.package for rival in SUITES[name].rivals)]
        assert rows[0]["answer"] == ("proven" if SUITES[name].number is None else "exact")
        for row in rows:
            assert row["answer"] in ("proven", "exact", "not installed")
            assert (row["seconds"] is None) == (row["answer"] == "not installed")
            assert row["n"] == 20
    assert next(row for row in found["line"] if row["solver"] == "scipy")["version"] == scipy.__version__


def test_bench_names_wrong_and_missing_peers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(*problem: object) -> float:
        raise ImportError("no such thing")

    def failing(*problem: object) -> float:
        raise RuntimeError("out of\npatience")

    rivals = (
        Rival("scipy", "too high", lambda C: 1.01 * SUITES["assignment"].bounds(C)[1]),
        Rival("nothing", "missing", missing),
        Rival("scipy", "failing", failing),
    )
    monkeypatch.setitem(SUITES, "assignment", replace(SUITES["assignment"], rivals=rivals))
    assert main(["bench", "--suite", "assignment", "--n", "8", "--repeat", "1"]) == 0
    high, missed, failed = capsys.readouterr().out.splitlines()[-3:]
    assert high.endswith("off by 1e-02")
    assert missed.endswith("not installed")
    assert failed.endswith("failed: out of patience")


@pytest.mark.parametrize(("option", "value"), [("--n", "0"), ("--repeat", "-1")])
def test_bench_refuses_counts_below_one(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert sentence_of(capsys, "bench", option, value).startswith(f"`{option}` must be at least 1, but it is {value}.")


def run_module(*argv: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "ot_distances", *argv], capture_output=True, text=True, **options)


def test_module_runs_under_the_name_of_the_command() -> None:
    run = run_module("compare", "gone.npy", "gone.npy")
    assert run.returncode == 2
    assert run.stderr.startswith("ot-distances: error: `gone.npy` must be a file")
    assert "Traceback" not in run.stderr


def test_console_script_is_main() -> None:
    from importlib.metadata import entry_points

    (script,) = entry_points(group="console_scripts", name="ot-distances")
    assert script.load() is main


def test_a_closed_pipe_is_no_error() -> None:
    """As in `ot-distances theta-shift | head -1`."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "ot_distances", "theta-shift", "--n", "2", "--family", "uniform"]
    run = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (run.returncode, run.stderr) == (0, "")
