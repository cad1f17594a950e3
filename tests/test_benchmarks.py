"""The benchmark frame: its problems are what they say, its judge is strict, its clock survives its solvers."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import families, peers, report, run
from benchmarks.families import Problem
from benchmarks.peers import OURS, PEERS, PROOF, Answer, Peer, compare, judge
from ot_distances import datasets

EVERY_FAMILY = [(suite, family) for suite, table in families.SUITES.items() for family in table]
SCIPY = next(peer for peer in PEERS if peer.name == "SciPy")


def made(suite, family, n=24, seed=0):
    try:
        return families.make(suite, family, n, seed)
    except datasets.DatasetMissing as error:
        pytest.skip(str(error))


# --- families -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("suite", "family"), EVERY_FAMILY)
def test_a_family_is_a_problem_of_its_suite_and_the_seed_decides_it(suite, family):
    n = 100 if suite == "batch" else 24  # a stack of smaller ones would be a long stack
    problem, again = made(suite, family, n), made(suite, family, n)
    arrays = [problem.x, problem.y] if problem.cost is None else list(problem.cost)
    assert all(np.array_equal(s, t) for s, t in zip(arrays, [again.x, again.y] if problem.cost is None else again.cost))
    assert ("forbidden" in problem.features) == ("+inf" in family)
    assert ("rectangular" in problem.features) == any(word in family for word in ("x 2n", "5n x", "0.8n", "0.7n")) or (
        family.startswith("weighted")
    )
    for points, weights in ((problem.x, problem.a), (problem.y, problem.b)):
        if points is not None:
            assert np.isfinite(points).all() and points.ndim == (1 if suite == "line" else 2)
        if weights is not None:
            assert (weights >= 0).all() and abs(weights.sum() - 1) < 1e-12
            assert points is None or len(points) == len(weights)
        if weights is not None and "1e6" in family:
            assert weights.max() > 1e4 * weights.min()


def test_assignment_families_hold_what_their_names_say():
    cost = {family: np.asarray(made("assignment", family, 40).cost) for family in families.ASSIGNMENT}
    assert cost["uniform, float32"].dtype == np.float32 and cost["integers 1..1e6, int64"].dtype == np.int64
    assert set(np.unique(cost["zero-one"])) == {0.0, 1.0}
    for family, top in (("integers 1..100", 100), ("integers 1..n", 40), ("integers 1..1e6", 10**6)):
        assert cost[family].min() >= 1 and top / 2 < cost[family].max() <= top
        assert (cost[family] == np.floor(cost[family])).all()
    assert cost["Machol-Wien i*j"][2, 4] == 15
    assert np.linalg.matrix_rank(cost["low rank"]) == 4
    assert np.ptp(cost["constant"]) == 0
    assert cost["uniform, n x 2n"].shape == (40, 80) and cost["Gauss 2-D, 1.5n x n"].shape == (60, 40)
    for d in ("2-D", "784-D"):  # all columns are one place
        assert np.ptp(cost[f"collapsed {d}, plain"], axis=1).max() <= 2.1e-3
    assert cost["far apart 2-D, plain"].min() > 1 > cost["square 2-D, plain"].min()


@pytest.mark.parametrize("d", [2, 100])
def test_cost_matrices_are_distances_and_their_squares(rng, d):
    x, y = rng.random((5, d)), rng.random((4, d))
    naive = np.array([[np.sqrt(((u - v) ** 2).sum()) for v in y] for u in x])
    assert np.allclose(families.matrix(x, y, 1), naive, rtol=1e-12, atol=0)
    assert np.allclose(families.matrix(x, y, 2), naive**2, rtol=1e-12, atol=0)


def test_point_families_hold_what_their_names_say():
    cloud = {name: made("points", f"{name}, p=1", 200) for name in {f.rsplit(",", 1)[0] for f in families.POINTS}}
    for name, problem in cloud.items():
        for d in (3, 10, 16, 50, 100):
            if f"{d}-D" in name.split():
                assert problem.x.shape[1] == d
    ties = peers._entries(cloud["grid with ties"], None, *np.indices((200, 200)).reshape(2, -1))
    assert len(np.unique(ties)) < 200 < ties.size / 100
    doubled = cloud["duplicates"]
    places = [{tuple(point) for point in points} for points in (doubled.x, doubled.y)]
    assert max(map(len, places)) <= 20 and places[0] & places[1] and places[0] != places[1]
    assert np.linalg.matrix_rank(cloud["collinear"].x, tol=1e-9) == 1
    assert np.ptp(cloud["all in one place"].x) == 0
    assert abs(cloud["Cauchy tails"].x).max() > 30
    assert (cloud["pixels, discs"].a == 0).any() and (cloud["pixels, noise"].a > 0).all()


def test_pictures_beyond_the_collection_are_moved_copies():
    pytest.importorskip("sklearn")
    x, y = families.pictures(1000, np.random.default_rng(0), "digits")
    assert x.shape == y.shape == (1000, 64)
    assert len(np.unique(np.concatenate([x, y]), axis=0)) > 1990


# --- the judge ------------------------------------------------------------------------------------------------------


def errors_of(problem, **answers):
    return compare({name: judge(problem, answer) for name, answer in answers.items()})


def exact(problem):
    return peers.scipy_assignment(problem, 1)


def test_a_dearer_matching_a_false_claim_and_a_double_column_are_wrong():
    problem = made("assignment", "uniform")
    good = exact(problem)
    rows, cols, _ = good.plan[0]
    swapped = np.concatenate([cols[1::-1], cols[2:]])
    dearer = Answer(float(problem.cost[rows, swapped].sum()), [(rows, swapped, None)])
    double = np.concatenate([cols[:1], cols[:1], cols[2:]])
    errors = errors_of(
        problem,
        good=good,
        dearer=dearer,
        claims_less=replace(good, value=good.value * 0.99),
        twice=Answer(float(problem.cost[rows, double].sum()), [(rows, double, None)]),
        number_too_large=Answer(good.value * (1 + 1e-8)),
        nothing=Answer(float("nan")),
    )
    assert errors["good"] < 1e-12
    assert all(error > peers.EXACT for name, error in errors.items() if name != "good"), errors


def test_a_number_below_the_dual_bound_is_wrong_and_infeasible_duals_are_lowered():
    problem = Problem(np.array([[1.0, 3.0], [2.0, 1.0]]))
    plan = [(np.arange(2), np.arange(2), None)]
    proven = Answer(2.0, plan, [(np.ones(2), np.zeros(2))])
    boasting = Answer(2.0, plan, [(np.full(2, 1.5), np.zeros(2))])  # 0.5 too high everywhere
    assert judge(problem, proven).lower == judge(problem, boasting).lower == 2.0
    half = Answer(2.0, plan, [(np.array([1.0, 0.0]), np.zeros(2))])
    errors = errors_of(problem, proven=proven, unproven=half, low=Answer(1.9))
    assert errors["proven"] == 0 and errors["unproven"] > 0.1 and errors["low"] > 0.01


def test_duals_of_unmatched_columns_must_not_be_positive():
    problem = Problem(np.array([[1.0, 5.0]]))
    answer = Answer(1.0, [(np.array([0]), np.array([0]), None)], [(np.array([1.0]), np.array([0.0, 4.0]))])
    assert judge(problem, answer).lower == 1.0


def test_plans_with_wrong_marginals_are_no_plans(rng):
    problem = families.weighted(Problem(rng.random((3, 3))), rng)
    rows, cols = np.indices((3, 3)).reshape(2, -1)
    mass = np.outer(problem.a, problem.b).ravel()
    value = float((mass * problem.cost.ravel()).sum())
    assert judge(problem, Answer(value, [(rows, cols, mass)])).fault is None
    assert "marginals" in judge(problem, Answer(value, [(rows, cols, mass * 1.001)])).fault
    mass[[0, 1, 3, 4]] += np.array([-1, 1, 1, -1])  # the sums are kept
    assert "marginals" in judge(problem, Answer(value, [(rows, cols, mass)])).fault


@pytest.mark.parametrize(("suite", "family"), EVERY_FAMILY)
def test_all_solvers_are_called_rightly_and_agree(suite, family):
    problem = made(suite, family, 100 if suite == "batch" else 12)
    verdicts = {}
    for peer in PEERS:
        if peer.version() is not None and not peer.refuses(suite, problem):
            with suppress(NotImplementedError):
                verdicts[peer.name] = judge(problem, peer.solve[suite](problem, 1))
    assert OURS in verdicts
    assert verdicts[PROOF if suite == "line" else OURS].lower is not None
    for name, error in compare(verdicts).items():
        assert error <= next(peer.tolerance for peer in PEERS if peer.name == name), (name, error, verdicts)


def test_solvers_are_asked_by_what_they_look_at():
    lap, pot = (next(peer for peer in PEERS if peer.name == name) for name in ("SciPy", "POT"))
    line = made("line", "Gauss, n = m, p=1", 100_000)
    assert lap.refuses("line", line) is None and line.pairs == 10**10
    cloud = replace(line, x=line.x[:, None], y=line.y[:, None])
    assert "entries" in lap.refuses("points", cloud)
    assert lap.refuses("transport", cloud) == "not its kind of problem"
    assert pot.refuses("assignment", made("assignment", "sparse with +inf")) == "cannot: forbidden"


def test_our_own_proof_is_no_peer_of_our_number():
    times = {OURS: 1.0, PROOF: 0.5, "POT": 3.0}
    group = {name: {"status": "ok", "wall": [time], "error": 0.0} for name, time in times.items()}
    assert report.best_peer(group) == ("POT", 3.0) and report.ratio(group) == 3


# --- the clock ------------------------------------------------------------------------------------------------------


def wrong_solver(problem, threads):
    n = len(problem.cost)
    return Answer(float(np.trace(problem.cost)), [(np.arange(n), np.arange(n), None)])


def slow_solver(problem, threads):
    if len(problem.cost) > 16:  # the warm-up is small
        time.sleep(60)
    return peers.scipy_assignment(problem, threads)


def dying_solver(problem, threads):
    if len(problem.cost) > 16:
        os._exit(7)
    return peers.scipy_assignment(problem, threads)


def raising_solver(problem, threads):
    raise ArithmeticError("no answer today")


FAKES = [
    SCIPY,
    *(
        Peer(name, "numpy", "numpy", {"assignment": solve})
        for name, solve in {
            "wrong": wrong_solver,
            "slow": slow_solver,
            "dying": dying_solver,
            "raising": raising_solver,
            OURS: peers.scipy_assignment,
        }.items()
    ),
    Peer("absent", "no_such_module_here", "no-such-package", {"assignment": wrong_solver}),
]


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("benchmark") / "results.jsonl"
    argv = ["assignment", "--families", "uniform", "integers 1..100", "--n", "20", "30", "--repeat", "2"]
    run.run(run.parse([*argv, "--limit", "1", "--out", str(path)]), FAKES)
    return path


def test_a_run_writes_json_lines_with_machine_versions_and_times(results):
    head, *records = map(json.loads, results.read_text().splitlines())
    assert head["machine"]["cores"] == os.cpu_count() and head["machine"]["cpu"] and head["machine"]["date"]
    assert head["versions"]["SciPy"] and head["versions"]["absent"] is None and head["threads"] == 1
    assert "benchmarks.run assignment --families uniform 'integers" in head["command"]
    assert len(records) == 2 * 2 * len(FAKES)
    for record in records:
        assert record["run"] == head["run"]
        if record["solver"] in ("SciPy", OURS):
            assert record["status"] == "ok" and record["error"] == 0.0
            assert len(record["wall"]) == len(record["cpu"]) == 2 and 0 < min(record["wall"]) < 1


def test_wrong_slow_dying_raising_and_absent_solvers_are_named_and_not_timed(results):
    _, *records = map(json.loads, results.read_text().splitlines())
    told = {(r["solver"], r["n"]): (r["status"], r.get("detail", "")) for r in records if r["family"] == "uniform"}
    assert told["wrong", 20][0] == "wrong" and told["wrong", 20][1].startswith("off by")
    assert told["slow", 20] == ("over limit", "> 1 s")
    assert told["slow", 30] == ("over limit", "predicted > 1 s")
    assert told["dying", 20] == ("crashed", "exit code 7")
    assert told["raising", 20] == ("failed", "ArithmeticError: no answer today")
    assert told["absent", 20][0] == "missing"
    assert not any(r["wall"] for r in records if r["solver"] not in ("SciPy", OURS))


def test_the_report_tells_ratios_losses_and_faults_with_their_command(results, tmp_path):
    contents, page = report.report([results], tmp_path)
    assert "[Dense assignment](assignment.md) | 1 | 20 to 30 | 4 |" in contents.read_text()
    text = page.read_text()
    head, *records = map(json.loads, results.read_text().splitlines())
    best = {r["solver"]: min(r["wall"]) for r in records if (r["family"], r["n"]) == ("uniform", 20) and r["wall"]}
    assert f"{best['SciPy'] / best[OURS]:.2f}" in text
    assert head["command"] in text and head["machine"]["cpu"] in text
    assert "- wrong, uniform, n = 20: wrong, off by" in text and "- dying, uniform, n = 30: crashed" in text
    for figure in ("assignment-1.png", "assignment-1-times.png"):
        assert f"({figure})" in text and (tmp_path / figure).read_bytes().startswith(b"\x89PNG")


def test_the_readme_gets_the_figures_of_the_results(results, tmp_path):
    """Between the two marks, and nothing else of the page; again and again."""
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n\n{report.MARKS[0]}\nold figures\n{report.MARKS[1]}\n\nafter\n")
    for _ in range(2):
        report.report([results], tmp_path / "pages", readme)
    text = readme.read_text()
    assert text.startswith(f"before\n\n{report.MARKS[0]}\n") and text.endswith(f"{report.MARKS[1]}\n\nafter\n")
    assert "old figures" not in text and text.count("| [Dense assignment](pages/assignment.md) |") == 1
    groups = {(family, n): group for (_, _, family, n), group in report.read([results])[1].items()}
    best = report.mean(report.ratio(group) for group in groups.values())
    row = next(line for line in text.splitlines() if "Dense assignment" in line)
    assert [cell.strip() for cell in row.split("|")[2:7]] == ["20 to 30", "4", "1", f"{best:.2g}", f"{best:.2g}"]
    assert json.loads(results.read_text().splitlines()[0])["machine"]["cpu"] in text


def test_a_readme_without_marks_is_refused(results, tmp_path):
    (tmp_path / "README.md").write_text("nothing here\n")
    with pytest.raises(ValueError, match="must hold the lines '<!-- speed: written by"):
        report.report([results], tmp_path / "pages", tmp_path / "README.md")


def test_the_readme_of_this_repository_has_its_marks():
    text = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    assert [text.count(mark) for mark in report.MARKS] == [1, 1]


def test_a_later_run_replaces_a_problem_whole(results, tmp_path):
    head, *records = map(json.loads, results.read_text().splitlines())
    later = [r for r in records if r["family"] == "uniform" and r["n"] == 20 and r["solver"] == "SciPy"]
    lines = [head, *records, head | {"run": "later"}, *({**r, "run": "later"} for r in later)]
    (tmp_path / "both.jsonl").write_text("\n".join(map(json.dumps, lines)))
    _, groups = report.read([tmp_path / "both.jsonl"])
    assert set(groups["assignment", 1, "uniform", 20]) == {"SciPy"}
    assert set(groups["assignment", 1, "uniform", 30]) == {peer.name for peer in FAKES}


def test_a_run_goes_on_where_its_file_ends(tmp_path):
    path = tmp_path / "results.jsonl"
    argv = ["assignment", "--families", "uniform", "--peers", "none", "--repeat", "1", "--out", str(path), "--resume"]
    for sizes in (["20"], ["20", "30"], ["20", "30"]):
        run.run(run.parse([*argv, "--n", *sizes]), FAKES[:1])
    told = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["n"] for line in told if "suite" in line] == [20, 30]
    assert run.held(run.parse([*argv, "--threads", "2"])) == set()


def test_sizes_choose_among_the_rows_of_a_preset():
    rows = run.parse(["points", "--preset", "large", "--n", "100000"]).rows
    assert {n for *_, sizes in rows for n in sizes} == {100_000}
    assert ("points", "ring on square, p=2", 100_000) in run.plan(rows)
    assert ("points", "Gauss 100-D, p=2", 100_000) not in run.plan(rows)


def test_sizes_are_named_where_their_names_have_room():
    assert report.labels_apart([500, 1000, 8000]) == ["500", "1,000", "8,000"]
    sizes = [4000, 10_000, 16_384, 50_000, 100_000, 10**6]
    assert report.labels_apart(sizes) == ["4,000", "10,000", "", "50,000", "", "1,000,000"]
    assert report.labels_apart([4000, 90_000, 100_000]) == ["4,000", "", "100,000"]


def test_growth_is_fitted_where_ours_goes_far(tmp_path):
    def record(n, solver, wall):
        return {"status": "ok", "wall": [wall], "error": 0.0, "solver": solver, "n": n}

    groups = {("far", n): {OURS: record(n, OURS, 1e-5 * n**1.25)} for n in (1000, 10_000, 100_000, 10**6)}
    groups["far", 1000]["POT"] = record(1000, "POT", 1.0)
    groups |= {("near", n): {OURS: record(n, OURS, 1e-5 * n)} for n in (1000, 10_000)}
    found = report.growth(groups)
    assert list(found) == ["far"] and found["far"][1] == pytest.approx(1.25)
    assert report.figure_growth(groups, "title", tmp_path / "growth.png")
    assert not report.figure_growth({}, "title", tmp_path / "none.png")


def test_presets_and_options_name_problems_that_exist():
    for preset in run.PRESETS:
        args = run.parse(["all", "--preset", preset])
        problems = run.plan(args.rows)
        assert len(problems) == len(set(problems)) > 10
        assert run.predicted_seconds(problems, PEERS, args.repeat, args.limit) > 0
    assert run.plan(run.parse(["line", "--n", "7", "--families", "Cauchy*"]).rows) == [
        ("line", "Cauchy tails, p=2", 7),
        ("line", "Cauchy tails, p=1", 7),
    ]
    with pytest.raises(SystemExit, match=r"line has no 'Gauß'\. It has: Gauss, n = m"):
        run.plan(run.parse(["line", "--families", "Gauß"]).rows)
    with pytest.raises(SystemExit, match=r"no 'Gurobi'\. Known: ot_distances; SciPy"):
        run.choose_peers(["Gurobi"])
