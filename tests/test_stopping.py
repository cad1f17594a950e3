"""Long solves: stopped by the clock or by Ctrl-C they leave with rigorous bounds; asked, they say how far they are."""

from __future__ import annotations

import re
import signal
import threading
import time

import numpy as np
import pytest
from cases import check_transport
from naive import ground_cost

import ot_distances as ot
from ot_distances import problem as problem_module
from ot_distances.kernels import network_simplex
from ot_distances.solvers.cloud import Cloud

METHODS = ("multiscale", "assignment", "network_simplex", "lp")
# Large enough that no method is through within the tenth of a second for which it is left alone.
SIZES = {"multiscale": 20_000, "assignment": 5000, "network_simplex": 3000, "lp": 500}


def clouds(rng, n, d=2):
    return rng.normal(size=(n, d)), rng.normal(size=(n, d)) + 1


def press_ctrl_c(seconds):
    """Send SIGINT to this process after a while, as a terminal does."""
    timer = threading.Timer(seconds, signal.raise_signal, (signal.SIGINT,))
    timer.start()
    return timer


def warmed_up(method):
    """No kernel is left to compile, which nothing interrupts."""
    rng = np.random.default_rng(0)
    for n in (40, 700 if method != "lp" else 40):
        ot.solve(*clouds(rng, n), method=method)


@pytest.mark.parametrize("method", METHODS)
def test_the_time_limit_leaves_with_bounds(rng, method):
    warmed_up(method)
    n = 300 if method == "lp" else 1500
    x, y = clouds(rng, n)
    truth = ot.solve(x, y).cost
    bounds = []
    for seconds in (0.0, 0.02, 0.1):
        try:
            ot.solve(x, y, method=method, time_limit=seconds)
        except ot.NotConverged as stopped:
            assert "the time is up" in str(stopped)
            assert 0 <= stopped.lower <= truth <= stopped.upper < np.inf
            bounds.append(stopped.upper - stopped.lower)
    assert len(bounds) >= 1 and bounds[-1] <= bounds[0]


@pytest.mark.parametrize("method", METHODS)
def test_ctrl_c_leaves_promptly_with_bounds(rng, method):
    warmed_up(method)
    x, y = clouds(rng, SIZES[method])
    timer, start = press_ctrl_c(0.3), time.process_time()
    with pytest.raises(ot.NotConverged, match="interrupted") as caught:
        ot.solve(x, y, method=method)
    timer.join()
    assert time.process_time() - start < 10
    assert 0 <= caught.value.lower < caught.value.upper < np.inf
    assert isinstance(caught.value.__cause__, KeyboardInterrupt)


def test_ctrl_c_ends_a_batch(rng):
    warmed_up("assignment")
    x, y = rng.normal(size=(2, 40, 900, 2))
    timer = press_ctrl_c(0.2)
    with pytest.raises(ot.NotConverged, match=r"interrupted after \d+ of 40 problems"):
        ot.wasserstein(x, y, n_jobs=2, method="assignment")
    timer.join()


def test_the_time_limit_holds_for_distances_costs_and_batches(rng):
    x, y = clouds(rng, 2000)
    for call in (
        lambda: ot.wasserstein(x, y, time_limit=0),
        lambda: ot.solve_cost(ground_cost(x[:600], y[:600]), time_limit=0),
        lambda: ot.wasserstein(x.reshape(4, 500, 2), y.reshape(4, 500, 2), time_limit=0),
    ):
        with pytest.raises(ot.NotConverged, match="the time is up"):
            call()


def test_bounds_so_far_know_forbidden_pairs(rng):
    cost = rng.random((600, 600))
    cost[rng.random(cost.shape) < 0.5] = np.inf
    truth = ot.solve_cost(cost).cost
    with pytest.raises(ot.NotConverged) as caught:
        ot.solve_cost(cost, time_limit=0)
    assert caught.value.lower <= truth <= caught.value.upper == np.inf


@pytest.mark.parametrize("weighted", [False, True])
def test_progress_tells_bounds_that_close(rng, weighted, capsys, monkeypatch):
    monkeypatch.setattr(problem_module, "PROGRESS_SECONDS", 0.0)
    monkeypatch.setattr(problem_module, "PROGRESS_SHARE", 0.0)
    x, y = clouds(rng, 500)
    a, b = rng.random((2, 500)) if weighted else (None, None)
    b = b if b is None else b * (a.sum() / b.sum())
    truth = ot.solve(x, y, a, b, method="multiscale", progress=True).cost
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "ot_distances: 500 x 500, solving"
    assert re.fullmatch(r"ot_distances: multiscale, .* s, certified gap .*", lines[-1])
    told = [re.search(r"s, \d.* points: the cost lies in \[(.*), (.*)\], gap (.*)$", line) for line in lines[1:-1]]
    told = [tuple(map(float, line.groups())) for line in told if line]
    assert len(told) > 3
    assert all(low <= truth * (1 + 1e-8) and truth * (1 - 1e-8) <= high for low, high, _ in told)
    assert told[-1][2] < 0.1 and told[-1][2] <= told[0][2]


def test_without_progress_nothing_is_said(rng, capsys):
    ot.solve(*clouds(rng, 500))
    assert capsys.readouterr() == ("", "")


# A start ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_start_changes_nothing_but_the_time(rng, method, p, weighted):
    if weighted and method == "assignment":
        pytest.skip("equal weights only")
    n = 60 if method == "lp" else 700
    x, y = clouds(rng, n)
    a, b = (rng.integers(1, 9, n), rng.integers(1, 9, n)) if weighted else (None, None)
    if weighted:
        a[0], b[0] = a[0] + max(0, b.sum() - a.sum()), b[0] + max(0, a.sum() - b.sum())
    before = ot.solve(x, y, a, b, p=p, method=method)
    moved = x + 1e-2 * rng.normal(size=x.shape)
    cold, warm = (ot.solve(moved, y, a, b, p=p, method=method, start=start) for start in (None, before))
    assert warm.cost == pytest.approx(cold.cost, rel=1e-12)
    check_transport(warm, ground_cost(moved, y, p), a, b, rtol=1e-9)


def starts(rng, n):
    """Results for other problems of the same size."""
    x, y = clouds(rng, n)
    w = rng.random((2, n))
    yield ot.solve(x, y, *w / w.sum(axis=1, keepdims=True))
    yield ot.solve(1e3 * rng.normal(size=(n, 2)), y)
    yield ot.solve(1e-200 * x, 1e-200 * y)
    yield ot.solve(1e200 * x, 1e200 * y)
    yield ot.solve(np.zeros((n, 2)), y)
    yield ot.solve(x, x)
    yield ot.solve(rng.normal(size=n), rng.normal(size=n) + 50, p=1)
    yield ot.solve(x, y, p=np.inf)


@pytest.mark.parametrize("method", ["multiscale", "assignment", "network_simplex"])
def test_a_start_from_nonsense_does_no_harm(rng, method):
    n = 400
    x, y = clouds(rng, n)
    expected = ot.solve(x, y).cost
    for start in starts(rng, n):
        result = ot.solve(x, y, method=method, start=start, time_limit=60)
        assert result.cost == pytest.approx(expected, rel=1e-12)
        assert result.gap <= 1e-9


def test_a_start_serves_cost_matrices_and_points_without_mass(rng):
    x, y = clouds(rng, 500)
    cost = ground_cost(x, y)
    noisy = cost * (1 + 1e-3 * rng.random(cost.shape))
    start = ot.solve_cost(cost)
    assert ot.solve_cost(noisy, start=start).cost == pytest.approx(ot.solve_cost(noisy).cost, rel=1e-12)
    a, b = np.ones(500), np.ones(500)
    a[:100] = b[200:300] = 0
    start = ot.solve(x, y, a, b)
    moved = x + 1e-3
    assert ot.solve(moved, y, a, b, start=start).cost == pytest.approx(ot.solve(moved, y, a, b).cost, rel=1e-12)


def test_a_start_merges_with_points_that_coincide(rng):
    x, y = rng.integers(0, 20, (2, 800, 2)) * 1.0
    start = ot.solve(x, y, method="multiscale")
    moved = y + 0.01
    assert ot.solve(x, moved, method="multiscale", start=start).cost == pytest.approx(
        ot.solve(x, moved).cost, rel=1e-12
    )


def test_a_start_spares_questions_and_pivots(rng, monkeypatch):
    """The work that does not depend on the machine: points asked about their cheapest pairs, and pivots."""
    asked, pivoted, ask, pivot = [0], [0], Cloud.nearest, network_simplex.pivots

    def counted_ask(self, points, *args, **options):
        asked[-1] += len(points)
        return ask(self, points, *args, **options)

    def counted_pivot(*args):
        cursor = args[-1]
        before = cursor[1]
        status = pivot(*args)
        pivoted[-1] += int(cursor[1] - before)
        return status

    monkeypatch.setattr(Cloud, "nearest", counted_ask)
    monkeypatch.setattr(network_simplex, "pivots", counted_pivot)
    x, y = clouds(rng, 1000)
    moved = x + 1e-3 * rng.normal(size=x.shape)
    weights = rng.random((2, 1000))
    weights /= weights.sum(axis=1, keepdims=True)
    for pair, count, factor in ((), asked, 3), (weights, pivoted, 10):
        start = ot.solve(x, y, *pair, p=2, method="multiscale")
        count[:] = [0]
        ot.solve(moved, y, *pair, p=2, method="multiscale")
        count.append(0)
        ot.solve(moved, y, *pair, p=2, method="multiscale", start=start)
        assert 0 < factor * count[1] < count[0]


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"start": 3.0}, TypeError, "`start` must be a Transport, but it is a float"),
        ({"time_limit": "1"}, TypeError, "`time_limit` must be a number of seconds, but it is '1'"),
        ({"time_limit": -1}, ValueError, "`time_limit` must not be negative, but time_limit = -1"),
        ({"time_limit": np.nan}, ValueError, "`time_limit` must not be negative, but time_limit = nan"),
    ],
)
def test_bad_options_are_named(options, error, text):
    for call in (lambda: ot.solve([0.0], [1.0], **options), lambda: ot.solve_cost([[0.0]], **options)):
        with pytest.raises(error, match=re.escape(text)):
            call()


def test_a_start_of_another_size_is_refused():
    start = ot.solve([0.0, 1.0], [2.0, 3.0])
    with pytest.raises(ValueError, match=r"`start` must be between as many points, 3 and 2, but it is between 2 and 2"):
        ot.solve([0.0, 1.0, 2.0], [2.0, 3.0], start=start)
