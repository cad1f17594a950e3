"""p = inf without a matrix of costs: exact, proven, with ties and any weights, in a byte a pair."""

from __future__ import annotations

import tracemalloc
from bisect import bisect_left

import naive
import numpy as np
import pytest
from cases import check_plan
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_flow

import ot_distances as ot
from ot_distances.kernels import bipartite_flow as kernel
from ot_distances.solvers import bottleneck as module


def whole_weights(rng, n, m, top=50):
    a, b = rng.integers(1, top, n), rng.integers(1, top, m)
    a[0], b[0] = a[0] + max(0, b.sum() - a.sum()), b[0] + max(0, a.sum() - b.sum())
    return a, b


def least_threshold(distance, a, b):
    """By SciPy's maximum flow, at thresholds halved."""
    n, m = distance.shape
    values, total = np.unique(distance), int(np.sum(a))

    def fits(threshold):
        capacity = np.zeros((n + m + 2, n + m + 2), np.int32)
        capacity[:n, n : n + m] = (distance <= threshold) * total
        capacity[-2, :n], capacity[n : n + m, -1] = a, b
        return maximum_flow(csr_array(capacity), n + m, n + m + 1).flow_value == total

    return values[bisect_left(range(len(values) - 1), True, key=lambda k: fits(values[k]))]


def check(result, x, y, a, b, truth, metric="euclidean"):
    check_plan(result.plan, a, b)
    distance = naive.ground_cost(x, y, 1, metric)
    assert result.value == pytest.approx(truth, rel=1e-14, abs=1e-300)
    assert distance[result.plan.coords].max() <= truth * (1 + 1e-14)
    assert result.lower <= truth * (1 + 1e-15) and truth * (1 - 1e-15) <= result.upper
    assert result.gap <= 1e-12
    assert result.method == "bottleneck"


SHAPES = {
    "general": lambda rng, n: rng.normal(size=(n, 2)),
    "lattice": lambda rng, n: rng.integers(0, 4, (n, 2)) * 1.0,
    "16-D": lambda rng, n: rng.normal(size=(n, 16)),
    "two places": lambda rng, n: rng.integers(0, 2, (n, 1)) * np.ones((1, 3)),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sizes", [(30, 30), (40, 25), (7, 60), (1, 9)])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("listed", [0, 200, 10**6])
def test_equals_the_least_threshold(rng, monkeypatch, shape, sizes, weighted, listed):
    """However few pairs count as few enough to be listed."""
    monkeypatch.setattr(module, "LISTED", listed)
    monkeypatch.setattr(module, "SAMPLE", 500)
    n, m = sizes
    x, y = SHAPES[shape](rng, n), SHAPES[shape](rng, m) + 0.25
    a, b = whole_weights(rng, n, m) if weighted else (np.full(n, m), np.full(m, n))
    distance = naive.ground_cost(x, y, 1)
    check(ot.solve(x, y, a, b, p=np.inf), x, y, a, b, least_threshold(distance, a, b))


@pytest.mark.parametrize("metric", ["cityblock", "chebyshev"])
def test_every_metric(rng, metric):
    x, y = rng.normal(size=(50, 3)), rng.normal(size=(50, 3))
    a = b = np.ones(50, int)
    truth = least_threshold(naive.ground_cost(x, y, 1, metric), a, b)
    check(ot.solve(x, y, a, b, p=np.inf, metric=metric), x, y, a, b, truth, metric)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_large_one_takes_a_byte_a_pair_and_is_the_limit_of_large_p(rng, weighted):
    n, m = 1500, 1500 - 200 * weighted
    x, y = rng.random((n, 2)), rng.random((m, 2)) + 0.1
    a, b = whole_weights(rng, n, m) if weighted else (None, None)
    ot.solve(x[:50], y[:50], p=np.inf)
    tracemalloc.start()
    try:
        result = ot.solve(x, y, a, b, p=np.inf)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert result.gap <= 1e-12 and result.plan.nnz <= n + m - 1
    assert peak < 40 * 2**20  # and n m / 8 bytes for each radius: beside that, the pairs that are listed
    # Every plan has a move as long: W_p <= W_inf, and the longest move of W_p's plan is no shorter.
    other = ot.solve(x, y, a, b, p=8)
    mass = a.sum() if weighted else 1.0
    assert (other.cost / mass) ** (1 / 8) <= result.value * (1 + 1e-12)
    assert np.linalg.norm(x[other.plan.row] - y[other.plan.col], axis=1).max() >= result.value * (1 - 1e-12)


def test_only_the_bottleneck_solver_takes_it_and_it_takes_nothing_else():
    points = [[0.0, 0.0], [1.0, 0.0]], [[0.0, 2.0], [3.0, 3.0]]
    for method in ("assignment", "network_simplex", "multiscale", "lp"):
        with pytest.raises(ValueError, match=f'for "{method}" p must be finite'):
            ot.solve(*points, p=np.inf, method=method)
    with pytest.raises(ValueError, match='for "bottleneck" p must be infinite'):
        ot.solve(*points, p=2, method="bottleneck")


def test_the_time_limit_leaves_with_bounds(rng):
    x, y = rng.normal(size=(2, 1500, 2))
    truth = ot.solve(x, y, p=np.inf).value
    for seconds in (0.0, 0.005, 0.02, 0.1):
        try:
            found = ot.solve(x, y, p=np.inf, time_limit=seconds)
        except ot.NotConverged as stopped:
            assert "the time is up" in str(stopped)
            assert 0 <= stopped.lower <= truth <= stopped.upper < np.inf
        else:  # a fast machine
            assert seconds > 0 and found.value == truth


@settings(max_examples=60)
@given(st.data())
def test_cycles_are_emptied_and_nothing_else_changes(data):
    n, m = data.draw(st.integers(1, 8)), data.draw(st.integers(1, 8))
    dense = np.array(data.draw(st.lists(st.integers(0, 4), min_size=n * m, max_size=n * m))).reshape(n, m)
    rows, cols = np.nonzero(dense)
    flow = dense[rows, cols].astype(np.int64)
    kernel.cancel_cycles(rows, cols, flow, n, m)
    after = np.zeros((n, m), np.int64)
    after[rows, cols] = flow
    assert (flow >= 0).all() and np.count_nonzero(flow) <= n + m - 1
    np.testing.assert_array_equal(after.sum(0), dense.sum(0))
    np.testing.assert_array_equal(after.sum(1), dense.sum(1))


@pytest.mark.parametrize("word", [1, 2, 2**31, 2**32, 2**63, 2**63 + 2**40, 2**64 - 1])
def test_the_lowest_bit(word):
    assert kernel.lowest(np.uint64(word)) == (word & -word).bit_length() - 1
