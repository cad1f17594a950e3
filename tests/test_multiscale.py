"""Point clouds without a matrix: right on every shape, proven, bounded in work and memory, and stopped when told."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import naive
import numba
import numpy as np
import pytest
from cases import METRICS, check_plan, check_potentials, point_sets
from hypothesis import given, settings
from hypothesis import strategies as st

from ot_distances import solve
from ot_distances.certificate import certify
from ot_distances.costs import PointCost
from ot_distances.kernels import candidates, flow_auction, kd_tree, network_simplex
from ot_distances.kernels.c_transform import c_transform
from ot_distances.problem import Watch
from ot_distances.solvers import level_matching, matrix_side
from ot_distances.solvers.basis import tree_arcs
from ot_distances.solvers.candidate_graph import graph_of
from ot_distances.solvers.cloud import Cloud, folding, ordered
from ot_distances.solvers.matrix_side import MatrixSide
from ot_distances.solvers.multiscale import multiscale
from ot_distances.wasserstein import ground_cost, transport_problem


def cloud(kind, n, rng, d=2):
    """Two clouds of n points that are hard in one way each."""
    x, y = rng.normal(size=(2, n, d))
    angle = rng.uniform(0, 2 * np.pi, n)
    side = int(np.ceil(np.sqrt(n)))
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2)[:n].astype(float)
    return {
        "square": lambda: (rng.random((n, d)), rng.random((n, d))),
        "shifted": lambda: (x, y + 1),
        "far apart": lambda: (x, 0.3 * y + 1e6),
        "ring": lambda: (x, np.c_[np.cos(angle), np.sin(angle)] * (3 + 0.1 * y[:, :1])),
        "bananas": lambda: (
            np.c_[2 * x[:, 0], 0.3 * x[:, 1] + x[:, 0] ** 2],
            np.c_[0.3 * y[:, 1] + y[:, 0] ** 2, -2 * y[:, 0]],
        ),
        "heavy tails": lambda: (rng.standard_cauchy((n, d)), rng.standard_cauchy((n, d))),
        "a hundred clusters": lambda: (x, 10 * rng.normal(size=(100, d))[rng.integers(0, 100, n)] + 0.05 * y),
        "collinear": lambda: (np.outer(rng.random(n), [1, 2]), np.outer(rng.random(n) ** 2, [1, 2]) + 0.3),
        "grids": lambda: (grid, grid + np.array([0.5, 0.25])),
        "duplicates": lambda: (rng.integers(0, 12, (n, d)) * 1.0, rng.integers(0, 12, (n, d)) * 1.0),
        "one place": lambda: (np.zeros((n, d)), y),
        "nearly one place": lambda: (1e-9 * x, y),
    }[kind]()


SHAPES = (
    "square",
    "shifted",
    "far apart",
    "ring",
    "bananas",
    "heavy tails",
    "a hundred clusters",
    "collinear",
    "grids",
    "duplicates",
    "one place",
    "nearly one place",
)


def solved(x, y, a=None, b=None, *, p=1, metric="euclidean", rtol=1e-12, start=None, seconds=np.inf):
    problem = transport_problem(ground_cost(np.asarray(x, float), np.asarray(y, float), metric, p), a, b, power=p)
    problem = replace(problem, start=start, watch=Watch(time.perf_counter() + seconds))
    flow = multiscale(problem)
    return certify(problem, flow, "multiscale", rtol, time.perf_counter()), flow


def uneven(rng, n, m, spread=1.0):
    """Weights that vary by a factor of 10**spread: whole numbers of one sum, so that no mass is rounded."""
    a, b = (np.ceil(1000 * 10 ** (spread * rng.random(k))) for k in (n, m))
    lighter = a if a.sum() < b.sum() else b
    lighter[rng.integers(len(lighter))] += abs(a.sum() - b.sum())
    return a, b


# Right -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("p", [1, 1.5, 2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_equals_the_linear_program(rng, metric, p, weighted):
    if metric == "sqeuclidean" and p != 1:
        pytest.skip("the squared distance is a cost of its own, not the power of one")
    n, m = (17, 23) if weighted else (20, 20)
    x, y = rng.normal(size=(n, 3)), rng.normal(size=(m, 3)) + 0.5
    a, b = uneven(rng, n, m) if weighted else (None, None)
    result, _ = solved(x, y, a, b, p=p, metric=metric)
    cost = naive.ground_cost(x, y, p, metric)
    a, b = (np.full(n, 1 / n), np.full(m, 1 / m)) if a is None else (a, b)
    check_plan(result.plan, a, b)
    check_potentials(result.f, result.g, cost)
    assert result.gap <= 1e-12
    assert result.cost == pytest.approx(naive.linear_program(cost, a, b), rel=1e-9)


@settings(max_examples=40)
@given(point_sets(max_n=7), st.sampled_from([1, 2, 2.5]))
def test_small_problems_of_any_kind_equal_the_linear_program(points, p):
    x, y, a, b = points
    a = np.full(len(x), 1 / len(x)) if a is None else np.maximum(a, 1e-3) / np.maximum(a, 1e-3).sum()
    b = np.full(len(y), 1 / len(y)) if b is None else np.maximum(b, 1e-3) / np.maximum(b, 1e-3).sum()
    result, _ = solved(x, y, a, b, p=p, rtol=1e-9)
    cost = naive.ground_cost(x, y, p)
    assert result.cost == pytest.approx(naive.linear_program(cost, a, b), rel=1e-6, abs=1e-9 * cost.max(initial=0))


@pytest.mark.parametrize("d", [1, 2, 3, 8, 9, 40, 200])
@pytest.mark.parametrize("metric", ["euclidean", "cityblock", "chebyshev"])
def test_every_dimension_equals_the_assignment(rng, d, metric):
    from scipy.optimize import linear_sum_assignment

    x, y = rng.normal(size=(130, d)), 1.2 * rng.normal(size=(130, d))
    result, _ = solved(x, y, p=1, metric=metric)
    cost = naive.ground_cost(x, y, 1, metric)
    assert result.cost == pytest.approx(cost[linear_sum_assignment(cost)].mean(), rel=1e-12)
    assert result.gap <= 1e-12


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_no_shape_blows_up(rng, shape, p, weighted):
    n, m = (1200, 1000) if weighted else (1200, 1200)
    x, y = cloud(shape, n, rng)
    a, b = uneven(rng, n, m, spread=6) if weighted else (None, None)
    result, _ = solved(x, y[:m], a, b, p=p, seconds=30)
    assert result.gap <= 1e-12


def test_images_on_pixel_grids(rng):
    pixels = np.stack(np.meshgrid(np.arange(32), np.arange(32)), -1).reshape(-1, 2)
    a, b = (np.ceil(1e6 * np.exp(-((pixels - at) ** 2).sum(1) / 50)) for at in (10, 15))
    a[0] += max(b.sum() - a.sum(), 0)
    b[0] += max(a.sum() - b.sum(), 0)
    assert solved(pixels, pixels, a, b, p=2)[0].gap <= 1e-12


@pytest.mark.parametrize("n", [1, 2, 3, 5, 13, 64, 65, 257])
def test_every_small_size(rng, n):
    from scipy.optimize import linear_sum_assignment

    x, y = rng.random((n, 2)), rng.random((n, 2))
    cost = naive.ground_cost(x, y, 2)
    assert solved(x, y, p=2)[0].cost == pytest.approx(cost[linear_sum_assignment(cost)].mean(), rel=1e-12)


@pytest.mark.parametrize("n, m", [(1, 400), (400, 1), (2, 300), (700, 50)])
def test_very_different_sizes(rng, n, m):
    x, y = rng.random((n, 2)), rng.random((m, 2))
    a, b = uneven(rng, n, m)
    assert solved(x, y, a, b, p=2)[0].gap <= 1e-12


@pytest.mark.parametrize("weighted", [False, True])
def test_coincident_points_share_their_mass(rng, weighted):
    x, y = rng.integers(0, 3, (60, 2)) * 1.0, rng.integers(0, 4, (60, 2)) * 1.0
    a, b = uneven(rng, 60, 60) if weighted else (np.ones(60), np.ones(60))
    result, flow = solved(x, y, a, b, p=2)
    check_plan(result.plan, a, b)
    cost = naive.ground_cost(x, y, 2)
    assert result.cost == pytest.approx(naive.linear_program(cost, a, b), rel=1e-9)
    assert len(flow.rows) < 120


# Its parts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [1, 2, 3, 7, 12])
@pytest.mark.parametrize("metric, p", [("euclidean", 1), ("euclidean", 2), ("euclidean", 1.5), ("euclidean", 3.0)] + [
    (metric, p) for metric in ("cityblock", "chebyshev") for p in (1, 2)])  # fmt: skip
def test_the_transform_is_the_minimum_over_all_columns(rng, d, metric, p):
    x, y = rng.normal(size=(150, d)), rng.normal(size=(700, d)) + 100
    smooth = (y @ rng.normal(size=d)) / d + 0.1 * (y**2).sum(1) / d
    for g in (np.zeros(700), rng.normal(size=700), smooth, 1e6 * rng.standard_cauchy(700)):
        g[::50] = -np.inf
        cost = PointCost(x, y, metric, p)
        truth = (cost.block(0, 150) - g).min(axis=1)
        ulps = 0 if p in (1, 2) and (metric, p) != ("cityblock", 2) and (metric, p) != ("chebyshev", 2) else 4
        found = c_transform(x, y, g, *folding(cost))
        assert (np.abs(found - truth) <= ulps * np.spacing(np.abs(cost.range()[1]))).all()


@pytest.mark.parametrize("d", [2, 12])
def test_candidates_are_the_least_reduced_costs(rng, d):
    x, y, g = rng.random((80, d)), rng.random((500, d)), rng.random(500)
    order = ordered(y, np.array([64, 16, 4]))
    search = Cloud(y[order], np.ones(500, np.int64), np.array([64, 16, 4]), candidates.SQUARES, 0.5, Watch())
    nearest = search.nearest(x, g, 9)
    reduced = PointCost(x, y[order], "euclidean", 1).block(0, 80) - g
    np.testing.assert_array_equal(nearest.value, np.sort(reduced, axis=1)[:, :9])
    np.testing.assert_array_equal(np.take_along_axis(reduced, nearest.best, axis=1), nearest.value)
    limits = np.sort(reduced, axis=1)[:, 3]
    assert (search.nearest(x, g, 9, limits=limits).found == 3).all()


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (80, 500), (500, 80), (130, 129)])
def test_both_sides_of_a_matrix_tell_the_least_reduced_costs(rng, shape, monkeypatch):
    monkeypatch.setattr(matrix_side, "SLICE", 10_000)
    matrix, masses, watch = rng.random(shape), [np.ones(n, np.int64) for n in shape], Watch()
    x, y = (MatrixSide(matrix, mass, watch, columns) for mass, columns in zip(masses, (False, True)))
    for here, others, costs in ((y, x, matrix), (x, y, matrix.T)):
        prices, size = rng.random(len(here)), min(7, len(here))
        reduced = costs - prices
        nearest = here.nearest(others.points, prices, 7)
        np.testing.assert_array_equal(nearest.value, np.sort(reduced, axis=1)[:, :size])
        np.testing.assert_array_equal(np.take_along_axis(reduced, nearest.best, axis=1), nearest.value)
        assert (nearest.found == size).all()
        some, limits = others.points[::3], np.sort(reduced, axis=1)[::3, size // 2]
        few = here.nearest(others.points, prices, 7, some, limits)
        assert (few.found == size // 2).all()
        np.testing.assert_array_equal(few.best[:, : size // 2], nearest.best[some, : size // 2])


def test_candidates_of_equal_costs_spread_over_the_matrix():
    """As all rows find the same costs, the same few columns for all would leave the others without partners."""
    n, mass = 640, np.ones(640, np.int64)
    for columns in (False, True):
        side = MatrixSide(np.ones((n, n)), mass, Watch(), columns)
        assert len(np.unique(side.nearest(side.points, np.zeros(n), 8).best)) >= 80


def test_runs_of_the_tree_are_clusters(rng):
    points, grains = rng.random((1000, 2)), np.array([64, 16, 4])
    order = ordered(points, grains)
    np.testing.assert_array_equal(np.sort(order), np.arange(1000))
    start, stop, right, low, high = kd_tree.build_tree(points[order], grains)
    assert (start[0], stop[0]) == (0, 1000)
    for v in range(len(start)):
        run = points[order][start[v] : stop[v]]
        np.testing.assert_array_equal((run.min(0), run.max(0)), (low[v], high[v]))
        if right[v] >= 0:
            assert (start[v + 1], stop[right[v]]) == (start[v], stop[v])
            assert stop[v + 1] == start[right[v]]
            assert stop[v + 1] % 4 == 0
    runs = points[order].reshape(-1, 4, 2)
    assert np.ptp(runs, axis=1).mean() < 0.1


# Bounded -----------------------------------------------------------------------------------------------------------


def test_a_spent_budget_hands_over_to_the_simplex(rng, monkeypatch):
    x, y = cloud("shifted", 600, rng)
    expected = solved(x, y)[0].cost
    monkeypatch.setattr(level_matching, "MAX_VISITS", 0)
    assert solved(x, y)[0].cost == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("weighted", [False, True])
def test_memory_does_not_grow_with_the_matrix(rng, weighted):
    n = 4000
    x, y = cloud("square", n, rng)
    a, b = uneven(rng, n, n) if weighted else (None, None)
    solved(x[:300], y[:301] if weighted else y[:300])
    problem = transport_problem(ground_cost(x, y, "euclidean", 2), a, b, power=2)
    tracemalloc.start()
    try:
        flow = multiscale(problem)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4000 * n  # the matrix has 8 n bytes for each point: 32,000
    assert 0.3 * peak < flow.bytes < 3 * peak


def test_the_answer_does_not_depend_on_the_number_of_threads(rng):
    x, y = cloud("ring", 1500, rng)
    before = numba.get_num_threads()
    flows = []
    try:
        for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
            numba.set_num_threads(threads)
            flows.append(solved(x, y, p=2)[1])
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(flows[0].cols, flows[1].cols)
    np.testing.assert_array_equal(flows[0].g, flows[1].g)


def test_problems_may_be_solved_in_threads(rng):
    clouds = [cloud("square", 700, rng) for _ in range(6)]
    alone = [solved(x, y)[0].cost for x, y in clouds]
    with ThreadPoolExecutor(3) as pool:
        assert [one.cost for one, _ in pool.map(lambda pair: solved(*pair), clouds)] == alone


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("p", [1, 2])
def test_a_start_from_the_last_potentials_gives_the_same_answer(rng, weighted, p):
    x, y = cloud("shifted", 800, rng)
    a, b = uneven(rng, 800, 800) if weighted else (None, None)
    _, flow = solved(x, y, a, b, p=p)
    moved = x + 1e-3 * rng.normal(size=x.shape)
    cold, _ = solved(moved, y, a, b, p=p)
    warm, _ = solved(moved, y, a, b, p=p, start=flow)
    assert warm.cost == pytest.approx(cold.cost, rel=1e-12)


def unequal(n, rng):
    """Two clouds in tree order with unequal masses, and what a level of the descent knows of them at its start."""
    parts = []
    for count in (n, 3 * n // 4):
        points = rng.normal(size=(count, 2))
        points = points[ordered(points, np.empty(0, np.intp))]
        cuts = np.sort(rng.choice(10**9, count - 1, replace=False))
        mass = np.diff(cuts, prepend=0, append=10**9)
        parts.append(Cloud(points, mass, np.empty(0, np.intp), 0, 1.0, Watch()))
    return *parts, np.zeros(len(parts[1]))


def test_auction_of_masses_keeps_its_books_and_its_prices_within_eps(rng):
    x, y, v = unequal(400, rng)
    rows, cols = np.repeat(np.arange(400), 300), np.tile(np.arange(300), 400)
    graph, eps, flow = graph_of(x, y, rows, cols), 1e-3, np.zeros(len(rows), np.int64)
    row_left, col_left, u = x.mass.copy(), y.mass.copy(), graph.by_row[2].reshape(400, 300).min(axis=1)
    row_eps, col_eps = np.full(400, eps), np.full(300, eps)
    by_row, by_col = (*graph.by_row, np.arange(graph.arcs)), (*graph.by_col, graph.arc)
    bids = flow_auction.auction(by_row, by_col, x.mass, y.mass, flow, row_left, col_left, row_eps, col_eps, u, v, 10**7)
    sent = flow.reshape(400, 300)
    assert bids < 10**7 and (row_left == 0).all() and (col_left == 0).all() and (sent >= 0).all()
    np.testing.assert_array_equal(sent.sum(1), x.mass)
    np.testing.assert_array_equal(sent.sum(0), y.mass)
    reduced = graph.by_row[2].reshape(400, 300) - u[:, None] - v
    assert reduced.min() >= -2 * eps and reduced[sent > 0].max() <= 2 * eps


def test_breaking_cycles_leaves_a_forest_that_carries_the_same_masses(rng):
    rows, cols, sent = rng.integers(40, size=600), rng.integers(30, size=600), rng.integers(5, size=600)
    tree = np.zeros((70, network_simplex.FIELDS), np.int64)
    tree[:, network_simplex.PARENT] = tree[:, network_simplex.MARK] = -1
    network_simplex.plant(40, rows, cols, sent, tree, *np.empty((2, 70), np.int64))
    tails, heads, child = tree_arcs(tree, 40)
    mass = tree[child, network_simplex.FLOW]
    assert (mass > 0).all()
    for node in range(70):  # every path ends at a root
        for _ in range(70):
            node = tree[node, network_simplex.PARENT] if node >= 0 else node
        assert node == -1
    np.testing.assert_array_equal(np.bincount(tails, mass, 40), np.bincount(rows, sent, 40))
    np.testing.assert_array_equal(np.bincount(heads, mass, 30), np.bincount(cols, sent, 30))


def test_a_tree_in_preorder_has_each_subtree_in_one_run_and_goes_back(rng):
    nodes, kernel = 200, network_simplex
    tree = np.zeros((nodes, kernel.FIELDS), np.int64)
    name = rng.permutation(nodes)
    tree[name[0], kernel.PARENT] = -1
    for k in range(1, nodes):
        tree[name[k], kernel.PARENT] = name[rng.integers(k)]
    tree[:, kernel.FLOW] = rng.integers(9, size=nodes)
    potential = rng.integers(-9, 9, size=nodes)
    now = tree, np.arange(nodes, dtype=np.int32), potential
    arranged, at, moved = after = tuple(map(np.empty_like, now))
    place, below, order = np.empty((3, nodes), np.int32)
    kernel.arrange(*now, *after, place, below, np.empty((nodes, kernel.SPOT), np.int32), order)
    np.testing.assert_array_equal(place[at], np.arange(nodes))
    np.testing.assert_array_equal(moved, (potential - potential[name[0]])[at])
    parents = arranged[:, kernel.PARENT]
    for k in range(nodes):
        inside = np.arange(nodes) == k
        for j in range(k + 1, nodes):
            inside[j] = inside[parents[j]]
        assert (np.flatnonzero(inside) == np.arange(k, k + below[k])).all()
        children = below[parents == k]
        assert not len(children) or children[0] == children.max()
    back = np.zeros_like(tree)
    kernel.put_back(arranged, at, back)
    np.testing.assert_array_equal(back[:, : kernel.MARK], tree[:, : kernel.MARK])


def test_thin_clouds_are_taken_for_what_they_are(rng):
    x, y = rng.normal(size=(2, 700, 6)) * [1, 1e-6, 1e-6, 1e-6, 1e-6, 1e-6]
    a = rng.dirichlet(np.ones(700))
    assert solve(x, y, a).method == "multiscale"
    assert solve(x * [1, 1e6, 1e6, 1e6, 1e6, 1e6], y, a).method == "network_simplex"


@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize("step", [1e-4, 1e-9, 1e-12])
@pytest.mark.parametrize("few", [0, 3])
def test_clouds_that_nearly_coincide_are_solved(rng, p, step, few):
    x = rng.random((700, 2))
    x[:few] = x[:1] + step * rng.random((few, 2))  # these may share their nearest points
    y = x + step * rng.normal(size=(700, 2))
    found = solve(x, y[rng.permutation(700)], p=p, method="multiscale")
    assert found.cost == pytest.approx(solve(x, y, p=p, method="assignment").cost, rel=1e-9)
    if few == 0:
        assert found.upper - found.lower <= 1e-3 * found.cost


FORKED = """
import os
import threading
import numpy as np
from ot_distances import solve
from ot_distances.kernels.candidates import in_parallel

def found(d):
    x, y = np.random.default_rng(d).normal(size=(2, 300, d))
    return solve(x, y, method="multiscale").cost

before = [found(d) for d in (2, 9)]
with in_parallel.lock:  # as another thread may
    child = os.fork()
    if not child:
        threading.Timer(100, os._exit, (3,)).start()
        os._exit(0 if [found(d) for d in (2, 9)] == before else 2)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_solves_as_well():
    """GNU's OpenMP ends it by SIGTERM, and a pool of such workers waits, unless kernels run without threads."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", FORKED], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0"], done.stderr
