"""A user's metric asked for by block: the same answers as a matrix, in memory that does not grow like one."""

from __future__ import annotations

import tracemalloc
from importlib import import_module

import naive
import numpy as np
import pytest
from cases import check_plan, check_potentials
from scipy.spatial.distance import cdist

import ot_distances as ot
from ot_distances import costs

NAMES = ("euclidean", "cityblock", "chebyshev")


def one_sided(x, y):
    """No metric at all: dearer one way than the other, so that a block turned around is found out."""
    step = x[:, None] - y
    return np.maximum(step, 0).sum(-1) + 3 * np.maximum(-step, 0).sum(-1)


def weights(rng, n, m):
    a, b = np.ceil(9 * rng.random(n)), np.ceil(9 * rng.random(m))
    a[0], b[0] = a[0] + max(0, b.sum() - a.sum()), b[0] + max(0, a.sum() - b.sum())
    return a, b


@pytest.mark.parametrize("p", [1, 1.5, 2, 3, np.inf])
@pytest.mark.parametrize("weighted", [False, True])
def test_equals_the_linear_program_or_the_least_threshold(rng, p, weighted):
    n, m = (22, 31) if weighted else (25, 25)
    x, y = rng.normal(size=(n, 2)), rng.normal(size=(m, 2))
    a, b = weights(rng, n, m) if weighted else (np.ones(n), np.ones(n))
    method = "bottleneck" if p == np.inf else "multiscale"
    result = ot.solve(x, y, a, b, p=p, metric=one_sided, method=method)
    check_plan(result.plan, a, b)
    if p == np.inf:
        assert result.value == ot.solve(x, y, a, b, p=p, metric=one_sided).value
        return
    cost = one_sided(x, y) ** p
    check_potentials(result.f, result.g, cost)
    assert result.gap <= 1e-12
    assert result.cost == pytest.approx(naive.linear_program(cost, a, b), rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("p", [1, 2.5])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("d", [1, 2, 50])
def test_equals_the_named_metric_and_the_matrix(rng, name, p, weighted, d):
    n, m = 700, 700 - 100 * weighted
    x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 0.5
    a, b = weights(rng, n, m) if weighted else (None, None)
    metric = lambda s, t: cdist(s, t, name)  # noqa: E731
    by_block = ot.solve(x, y, a, b, p=p, metric=metric, method="multiscale")
    by_matrix = ot.solve(x, y, a, b, p=p, metric=metric)
    named = ot.solve(x, y, a, b, p=p, metric=name)
    assert by_matrix.method in ("assignment", "network_simplex") and by_block.method == "multiscale"
    assert by_block.cost == pytest.approx(by_matrix.cost, rel=1e-12) == pytest.approx(named.cost, rel=1e-12)
    assert by_block.gap <= 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_three_thousand_points_equal_the_dense_solver(rng, name):
    x, y = rng.normal(size=(3000, 3)), rng.normal(size=(3000, 3)) + 0.5
    by_block = ot.solve(x, y, metric=lambda s, t: cdist(s, t, name), method="multiscale")
    assert by_block.cost == pytest.approx(ot.solve(x, y, metric=name, method="assignment").cost, rel=1e-12)


@pytest.mark.parametrize("p", [1, 2, np.inf])
def test_no_matrix_is_held(rng, p, monkeypatch):
    n = 1500
    monkeypatch.setattr(import_module("ot_distances.wasserstein"), "MATRIX_ENTRIES", 10**6)
    x, y = rng.normal(size=(n, 3)), rng.normal(size=(n, 3))
    largest = []

    def metric(s, t):
        largest.append(len(s) * len(t))
        return cdist(s, t)

    ot.solve(x[:200], y[:200], p=p, metric=metric, method="multiscale" if p < np.inf else "auto")
    tracemalloc.start()
    try:
        result = ot.solve(x, y, p=p, metric=metric)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert result.method == ("bottleneck" if p == np.inf else "multiscale") and result.gap <= 1e-12
    assert max(largest) <= max(costs.BLOCK_ENTRIES, n)
    assert peak < (8 if p < np.inf else 16) * n * n


def test_coincident_points_and_starts_go_with_a_function(rng):
    x, y = rng.integers(0, 9, (300, 2)) * 1.0, rng.integers(0, 9, (300, 2)) * 1.0
    before = ot.solve(x, y, metric=one_sided, method="multiscale")
    assert before.cost == pytest.approx(ot.solve(x, y, metric=one_sided).cost, rel=1e-12)
    moved = x + 0.01 * rng.normal(size=x.shape)
    after = ot.solve(moved, y, metric=one_sided, method="multiscale", start=before)
    assert after.cost == pytest.approx(ot.solve(moved, y, metric=one_sided).cost, rel=1e-12)


def test_a_bad_cost_is_found_by_block_as_well(rng):
    x, y = rng.random((400, 2)), rng.random((400, 2))

    def broken(s, t):
        cost = cdist(s, t)
        cost[s[:, 0] == x[77, 0], 0] = np.nan
        return cost

    with pytest.raises(ValueError, match="`metric` must return finite costs"):
        ot.solve(x, y, metric=broken, method="multiscale")


def test_the_time_limit_stops_a_slow_function(rng):
    x, y = rng.random((900, 2)), rng.random((900, 2))
    truth = ot.solve(x, y).cost
    with pytest.raises(ot.NotConverged, match="the time is up") as caught:
        ot.solve(x, y, metric=lambda s, t: cdist(s, t), method="multiscale", time_limit=0.02)
    assert caught.value.lower <= truth <= caught.value.upper
