"""Matchings of every route through the solver: equal to brute force and to SciPy, with duals that prove them."""

from __future__ import annotations

import copy
import dataclasses
import os
import pickle
import signal
import threading
import time

import numpy as np
import pytest
from naive import brute_force_rectangular
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

import ot_distances.assignment as doors
from ot_distances import linear_assignment
from ot_distances.solvers import assignment, market
from ot_distances.solvers.assignment import match

ROUTES = {
    "small": {},
    "middle": {"SMALL": 0},
    "lists": {"SMALL": 0, "MIDDLE": 0},
    "close": {
        "SMALL": 0,
        "MIDDLE": 0,
        "HOPELESS": 1.1,
        "FREE": 1.1,
        "TRIAL": (0.01, 0.01),
        "REST": 0,
        "PROMISING": -1.0,
    },
    "auction": {
        "SMALL": 0,
        "MIDDLE": 0,
        "HOPELESS": -1.0,
        "WIDE": (0, 0),
        "DENSE_WIDE": 0,
        "_by_ties": lambda market: False,
    },
}


@pytest.fixture(params=ROUTES)
def route(request, monkeypatch):
    """Send problems of any size down one of the ways through the solver."""
    for name, value in ROUTES[request.param].items():
        monkeypatch.setattr(assignment if name == "SMALL" else market, name, value)
    return request.param


def clouds(n, m, rng, d=2, shift=0.0, spread=1.0):
    return rng.standard_normal((n, d)), spread * rng.standard_normal((m, d)) + shift


def lattice(n):
    return np.stack(np.divmod(np.arange(n), 9), axis=1).astype(float)


FAMILIES = {
    "uniform": lambda n, m, rng: rng.random((n, m)),
    "exponential": lambda n, m, rng: rng.exponential(size=(n, m)),
    "few integers": lambda n, m, rng: rng.integers(0, 4, (n, m)).astype(float),
    "integers": lambda n, m, rng: rng.integers(1, n + m, (n, m)).astype(float),
    "zero-one, few zeros": lambda n, m, rng: (rng.random((n, m)) > 2 / m).astype(float),
    "zero-one, half": lambda n, m, rng: (rng.random((n, m)) > 0.5).astype(float),
    "constant": lambda n, m, rng: np.full((n, m), -3.25),
    "two equal columns": lambda n, m, rng: np.repeat(rng.random((n, (m + 1) // 2)), 2, axis=1)[:, :m],
    "Machol-Wien": lambda n, m, rng: np.outer(np.arange(1.0, n + 1), np.arange(1.0, m + 1)),
    "low rank": lambda n, m, rng: rng.random((n, 2)) @ rng.random((2, m)),
    "negative": lambda n, m, rng: -rng.random((n, m)) * 100,
    "plane, squared": lambda n, m, rng: cdist(*clouds(n, m, rng), "sqeuclidean"),
    "plane, far apart": lambda n, m, rng: cdist(*clouds(n, m, rng, shift=4.0, spread=0.3)),
    "collapsed": lambda n, m, rng: cdist(*clouds(n, m, rng, shift=0.3, spread=1e-3), "sqeuclidean"),
    "grid": lambda n, m, rng: cdist(lattice(n), lattice(m) + 0.5),
    "16 dimensions": lambda n, m, rng: cdist(*clouds(n, m, rng, d=16)),
    "one dear row": lambda n, m, rng: rng.random((n, m)) + 1e12 * (np.arange(n) == n // 2)[:, None],
    "one dear column": lambda n, m, rng: rng.random((n, m)) + 1e12 * (np.arange(m) == m // 2),
    "blocks": lambda n, m, rng: rng.random((n, m)) + 10 * (np.arange(n)[:, None] % 4 != np.arange(m) % 3),
    "forbidden": lambda n, m, rng: np.where(rng.random((n, m)) < 0.2 + 3 / m, rng.random((n, m)), np.inf),
}  # fmt: skip


def check(cost, found, sign=1.0):
    """A matching of all that can be matched, feasible duals that are tight on it, and the same sum on both sides."""
    n, m = cost.shape
    cost = sign * cost.astype(float)
    rows = np.flatnonzero(found.col_of_row >= 0)
    cols = found.col_of_row[rows]
    assert len(rows) == min(n, m) == len(set(cols.tolist()))
    total = cost[rows, cols].sum()
    size = np.abs(cost[np.isfinite(cost)]).max() + np.abs(found.u).max() + np.abs(found.v).max()
    assert (found.u[:, None] + found.v - cost).max() <= 8 * np.spacing(size)
    assert abs(found.u.sum() + found.v.sum() - total) <= 8 * (n + m) * np.spacing(size)
    if n != m:
        free = np.delete(found.u, rows) if n > m else np.delete(found.v, cols)
        assert (free == 0).all() and (found.u if n > m else found.v).max() <= 0
    return total


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (6, 1), (4, 4), (3, 6), (6, 4), (6, 6)])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_route_finds_the_brute_force_optimum(family, shape, route, rng):
    cost = FAMILIES[family](*shape, rng)
    best = brute_force_rectangular(cost if len(cost) <= cost.shape[1] else cost.T)
    if np.isinf(best):
        with pytest.raises(ValueError, match="must allow a matching"):
            match(cost)
    else:
        assert check(cost, match(cost)) == pytest.approx(best, rel=1e-14, abs=1e-14)


@pytest.mark.parametrize("shape", [(130, 130), (90, 140), (150, 149), (97, 300)])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_route_agrees_with_scipy(family, shape, route, rng):
    cost = FAMILIES[family](*shape, rng)
    rows, cols = linear_sum_assignment(cost)
    assert check(cost, match(cost)) == pytest.approx(cost[rows, cols].sum(), rel=1e-13, abs=1e-13)


@pytest.mark.parametrize("family", FAMILIES)
def test_larger_problems_agree_with_scipy(family, rng):
    cost = FAMILIES[family](700, 700, rng)
    rows, cols = linear_sum_assignment(cost)
    assert check(cost, match(cost)) == pytest.approx(cost[rows, cols].sum(), rel=1e-13, abs=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "uint16", "int32", "int64", "bool"])
def test_every_dtype_is_read_exactly(dtype, route, rng):
    cost = (rng.random((60, 70)) * 100).astype(dtype)
    rows, cols = linear_sum_assignment(cost.astype(float))
    assert check(cost, match(cost)) == cost.astype(float)[rows, cols].sum()


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("shape", [(60, 60), (50, 70), (70, 50)])
def test_memory_order_and_sign_change_nothing(shape, sign, route, rng):
    base = rng.random(shape)
    wanted = check(base, match(base, sign=sign), sign)
    padded = np.zeros((2 * shape[0], 3 * shape[1]))
    padded[::2, ::3] = base
    for view in (np.asfortranarray(base), padded[::2, ::3], base[::-1, ::-1]):
        view.setflags(write=False)
        assert check(view, match(view, sign=sign), sign) == pytest.approx(wanted, rel=1e-14)


def test_forbidden_pairs_are_negative_when_maximising(route):
    cost = np.array([[5.0, -np.inf, 1.0], [-np.inf, 2.0, 7.0], [3.0, 1.0, -np.inf]])
    assert check(cost, match(cost, sign=-1.0), -1.0) == -13.0


@pytest.mark.parametrize("magnitude", [1e-300, 1e-150, 1e-12, 1e12, 1e150, 1e300])
@pytest.mark.parametrize("family", ["uniform", "plane, far apart", "few integers", "low rank"])
def test_the_unit_of_the_costs_does_not_matter(family, magnitude, route, rng):
    cost = FAMILIES[family](90, 90, rng)
    rows, cols = linear_sum_assignment(cost)
    scaled = cost * magnitude
    assert check(scaled, match(scaled)) == pytest.approx(scaled[rows, cols].sum(), rel=1e-12)


def test_rows_of_one_small_range_do_not_starve_each_other(rng):
    """Three zeros a row and ones elsewhere: lists of the same few free columns once cost half a minute at n = 4000."""
    cost = np.ones((1500, 1500))
    for row in cost:
        row[rng.choice(1500, 3, replace=False)] = 0
    rows, cols = linear_sum_assignment(cost)
    started = time.thread_time()
    assert check(cost, match(cost, threads=1)) == cost[rows, cols].sum()
    assert time.thread_time() - started < 5


@pytest.mark.parametrize(
    ("cost", "text"),
    [
        ([[np.inf, np.inf], [1, 1]], r"rows \[0\] are allowed no columns at all"),
        ([[1, np.inf], [1, np.inf]], r"columns \[1\] are allowed no rows at all"),
        (
            [[1, np.inf, np.inf], [1, np.inf, np.inf], [1, 1, 1]],
            r"(rows \[0, 1\] are allowed only columns \[0\])|columns",
        ),
        ([[np.inf, 1, np.inf], [np.inf, 2, np.inf]], r"rows \[0, 1\] are allowed only columns \[1\]"),
    ],
)
def test_rows_that_compete_for_too_few_columns_are_named(cost, text, route):
    cost = np.array(cost, dtype=float)
    with pytest.raises(ValueError, match=text) as caught:
        match(cost)
    assert "`cost_matrix` must allow a matching of" in str(caught.value)
    assert "Make some of the infinite entries there finite" in str(caught.value)


def test_hall_violators_of_a_random_matrix_are_true(route, rng):
    """Thirty rows that share twenty columns: the error names rows that have fewer columns than they are."""
    cost = rng.random((120, 120))
    cost[:30, 20:] = np.inf
    with pytest.raises(
        ValueError, match=r"must allow a matching of 120 pairs, but rows .* are allowed only columns"
    ) as caught:
        match(cost)
    assert "in all)" in str(caught.value)


@pytest.mark.parametrize("shape", [(40, 12, 12), (9, 30, 41), (9, 41, 30), (1, 5, 5), (3, 140, 140)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("maximize", [False, True])
def test_a_batch_is_its_problems(shape, dtype, maximize, rng):
    costs = (100 * rng.random(shape)).astype(dtype)
    found = linear_assignment(costs, maximize=maximize)
    for k, cost in enumerate(costs):
        one = linear_assignment(cost, maximize=maximize)
        assert found.cost[k] == pytest.approx(one.cost, rel=1e-12)
        assert found.lower[k] <= one.upper and one.lower <= found.upper[k]
        assert cost[found.rows[k], found.cols[k]].sum(dtype=float) == pytest.approx(found.cost[k], rel=1e-12)
        slack = cost - found.u[k][:, None] - found.v[k]
        assert (-slack if maximize else slack).min() >= -1e-10


def test_a_ragged_batch_is_its_problems(rng):
    costs = [rng.random(rng.integers(1, 40, 2)) for _ in range(60)]
    for cost, found in zip(costs, linear_assignment(costs), strict=True):
        assert found.cost == pytest.approx(linear_assignment(cost).cost, rel=1e-12)


@pytest.mark.parametrize("forbidden", [np.inf, -np.inf])
def test_either_infinity_forbids_when_maximising(forbidden):
    assert linear_assignment([[forbidden, 1], [1, 1]], maximize=True).cost == 2
    assert linear_assignment([[forbidden, 1, 2], [1, 5, 3], [1, 2, 3]], maximize=True).cost == 8
    with pytest.raises(ValueError, match="must allow a matching of 1 pairs"):
        linear_assignment([[forbidden]], maximize=True)


def test_one_forbidden_pair_is_no_matching():
    with pytest.raises(ValueError, match="must allow a matching of 1 pairs"):
        linear_assignment([[np.inf]])


def test_forbidden_pairs_in_a_batch(rng):
    costs = rng.random((6, 7, 7))
    costs[2, 0, 1:] = np.inf
    found = linear_assignment(costs)
    assert found.cols[2, 0] == 0
    costs[4, :2, 1:] = np.inf
    with pytest.raises(ValueError, match=r"Problem 4 of the batch: `cost_matrix` must allow"):
        linear_assignment(costs)


def test_columns_that_repeat_each_other_do_not_wait_for_ever(rng):
    """Copies at a distance of 64 share a lane of the auction's minima: no list of the lanes' best columns has two."""
    angle = 2 * np.pi * (np.arange(1344) % 8) / 8
    x = np.c_[np.cos(angle), np.sin(angle)] + 0.01 * rng.normal(size=(1344, 2))
    centres = x[rng.permutation(1344)[:64]]
    cost = np.tile(((x[:, None] - centres) ** 2).sum(-1), (1, 21))
    rows, cols = linear_sum_assignment(cost)
    assert linear_assignment(cost).cost == pytest.approx(cost[rows, cols].sum(), rel=1e-10)


@pytest.mark.parametrize("family", ["uniform", "few integers", "plane, far apart", "low rank", "grid"])
def test_threads_do_not_change_the_answer(family, monkeypatch, rng):
    monkeypatch.setattr(assignment, "PARALLEL", 1)
    monkeypatch.setattr(market, "MIDDLE", 0)
    monkeypatch.setattr(market, "MANY", 0)
    monkeypatch.setattr(market, "AHEAD", 50)
    cost = FAMILIES[family](420, 420, rng)
    one = match(cost, threads=1)
    for threads in (2, 3, 8):
        many = match(cost, threads=threads)
        for name in ("col_of_row", "u", "v"):
            np.testing.assert_array_equal(getattr(many, name), getattr(one, name))


def test_the_matrix_is_neither_changed_nor_copied(route, rng):
    for dtype in (np.float32, np.float64):
        cost = rng.random((310, 310)).astype(dtype)
        before = cost.copy()
        found = match(cost)
        np.testing.assert_array_equal(cost, before)
        assert route == "small" or found.bytes < 310 * 1000


@pytest.mark.parametrize("family, phases", [("plane, squared", [True]), ("plane, far apart", [False, True])])
def test_the_auction_goes_on_from_prices_of_the_searches_unless_these_mislead(family, phases, monkeypatch, rng):
    for name, value in ROUTES["close"].items():
        monkeypatch.setattr(assignment if name == "SMALL" else market, name, value)
    succeeded, work = [], market.Lists._phases
    monkeypatch.setattr(market.Lists, "_phases", lambda *args: succeeded.append(work(*args)) or succeeded[-1])
    cost = FAMILIES[family](500, 500, rng)
    check(cost, match(cost))
    assert succeeded == phases


@pytest.mark.parametrize("family", ["Machol-Wien", "plane, far apart", "uniform"])
def test_ctrl_c_stops_the_solver_at_once(family, rng):
    cost = FAMILIES[family](3000, 3000, rng)
    match(FAMILIES[family](700, 700, rng))  # compiled, and the kernel cache read
    sent = []

    def interrupt():
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(0.02, interrupt)
    with pytest.raises(KeyboardInterrupt):
        timer.start()
        while True:  # however fast the machine
            match(cost)
    assert time.monotonic() - sent[0] < 2


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (31, 31), (40, 40), (30, 77), (77, 30), (129, 130)])
@pytest.mark.parametrize("family", FAMILIES)
def test_problems_of_any_size_may_go_without_the_compiled_shortcut(family, shape, sign, monkeypatch, rng):
    """What large problems go through, from the survey to the proof, on small ones."""
    monkeypatch.setattr(doors, "SMALL", 0)
    cost = sign * FAMILIES[family](*shape, rng)
    n, m = shape
    try:
        wanted = cost[linear_sum_assignment(cost, maximize=sign < 0)].sum()
    except ValueError:
        with pytest.raises(ValueError, match="must allow a matching"):
            linear_assignment(cost, maximize=sign < 0)
        return
    found = linear_assignment(cost, maximize=sign < 0)
    assert found.cost == pytest.approx(wanted, rel=1e-13, abs=1e-13)
    assert found.lower <= found.cost <= found.upper
    assert (np.diff(found.rows) > 0).all() and len(set(found.cols.tolist())) == min(n, m)
    with np.errstate(invalid="ignore"):
        slack = sign * (cost - found.u[:, None] - found.v)
    assert np.nanmin(slack) >= -4 * np.spacing(np.abs(found.u).max() + np.abs(found.v).max())


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_sorted_points_on_a_line_are_matched_in_order(sign, reverse, rng):
    x, y = (np.sort(rng.integers(0, 10_000, 400).astype(float)) for _ in range(2))
    cost = (x[:, None] - (y[::-1] if reverse else y)) ** 2
    by = assignment.market_of(cost, sign)
    assert market.solve(by) == market.MONGE
    found = linear_assignment(cost, maximize=sign < 0)
    assert found.cost == cost[linear_sum_assignment(cost, maximize=sign < 0)].sum()
    assert found.gap <= 1e-12


def test_one_pair_out_of_order_is_seen():
    cost = np.outer(np.arange(400.0), np.arange(400.0))
    cost[399, 399] = -1.0
    by = assignment.market_of(cost, 1.0)
    assert market.solve(by) != market.MONGE
    assert linear_assignment(cost).cost == cost[linear_sum_assignment(cost)].sum()


def test_a_survey_sees_what_is_no_number(rng):
    for shape in ((301, 301), (302, 301), (301, 900)):
        for bad in (np.nan, -np.inf):
            for place in ((0, 0), (shape[0] - 1, shape[1] - 1), (17, 200)):
                cost = rng.random(shape)
                cost[place] = bad
                with pytest.raises(ValueError, match=rf"cost_matrix\[{place[0]}, {place[1]}\] = "):
                    linear_assignment(cost)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("shape", [(1, 2), (3, 17), (40, 40), (45, 64), (60, 77), (700, 1003)])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_survey_tells_the_least_entries_and_the_range(family, shape, sign, rng):
    signed = FAMILIES[family](*shape, rng)
    found, known = assignment.market_of(sign * signed, sign).survey, signed[np.isfinite(signed)]
    assert (found.low, found.high) == (known.min(), known.max())
    assert found.finite == (known.size == signed.size) and found.numbers
    if shape[0] == shape[1]:
        assert (found.least == signed.min(axis=0)).all()
        assert not found.finite or found.sums == pytest.approx(signed.sum(axis=0), rel=1e-12, abs=1e-10)
        return
    assert (found.least[:, 0] == signed.min(axis=1)).all()
    for row, cols, least in zip(signed, found.choice, found.least, strict=True):
        listed = cols[cols >= 0]
        assert (row[listed] == least[:2][cols >= 0]).all() and (least[:2][cols < 0] == np.inf).all()
        assert least[2] <= np.delete(row, listed).min(initial=np.inf)
        assert len(set(listed.tolist())) == len(listed)


def test_sums_that_overflow_are_not_taken_for_nan():
    cost = np.full((302, 302), 1.5e308)
    cost[:, ::2] = -1.5e308
    cost[3, 5] = np.inf
    found = linear_assignment(cost)
    assert abs(found.cost) <= 1e295


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("shape", [(1, 24), (2, 2), (23, 24), (24, 24), (24, 25), (33, 33), (26, 24), (20, 97)])
@pytest.mark.parametrize("family", FAMILIES)
def test_both_ways_of_the_compiled_call_agree_with_scipy(family, shape, sign, rng):
    cost = FAMILIES[family](*shape, rng)
    given = sign * cost
    try:
        best = given[linear_sum_assignment(cost)].sum()
    except ValueError:
        with pytest.raises(ValueError, match="must allow a matching"):
            linear_assignment(given, maximize=sign < 0)
        return
    found = linear_assignment(given, maximize=sign < 0)
    assert found.rows.tolist() == sorted(set(found.rows.tolist())) and len(set(found.cols.tolist())) == min(shape)
    assert given[found.rows, found.cols].sum() == pytest.approx(best, rel=1e-13, abs=1e-13)
    assert found.lower <= found.cost <= found.upper and found.gap <= 1e-12
    allowed = np.isfinite(given)
    slack = (sign * (given - found.u[:, None] - found.v))[allowed]
    assert slack.min() >= -1e-13 * np.abs(given[allowed]).max()
    assert sign * found.u.sum() + sign * found.v.sum() >= sign * best - 1e-9 * max(1, np.abs(given[allowed]).max())


@pytest.mark.parametrize("kind", ["int64", "bool", "float16", ">f8", "longdouble", "read-only", "by columns", "tall"])
def test_small_problems_of_any_kind_take_one_compiled_call(kind, monkeypatch, rng):
    monkeypatch.setattr(doors, "market_of", lambda *_: pytest.fail("the way for large problems"))
    cost = rng.integers(0, 2 if kind == "bool" else 50, (30, 20) if kind == "tall" else (20, 30)).astype(float)
    given = cost.astype(kind) if kind not in ("read-only", "by columns", "tall") else cost.copy()
    given = np.asfortranarray(given) if kind == "by columns" else given
    given.flags.writeable = kind != "read-only"
    found = linear_assignment(given)
    assert found.cost == cost[linear_sum_assignment(cost)].sum() == cost[found.rows, found.cols].sum()
    assert found.u.shape == (len(cost),) and (found.u[:, None] + found.v <= cost + 1e-12).all()


def test_a_result_keeps_its_fields_however_it_travels(rng):
    cost = rng.random((5, 7))
    for found in (linear_assignment(cost), pickle.loads(pickle.dumps(linear_assignment(cost)))):
        for one in (found, copy.copy(found), copy.deepcopy(found), dataclasses.replace(linear_assignment(cost))):
            fields = dataclasses.asdict(one)
            assert list(fields) == ["rows", "cols", "cost", "u", "v", "lower", "upper", "gap"]
            assert fields["cost"] == found.cost == pytest.approx(cost[found.rows, found.cols].sum(), rel=1e-15)
            assert fields["u"].shape == (5,) and fields["v"].shape == (7,) and fields["rows"].tolist() == [*range(5)]
    fresh = linear_assignment(cost)
    with pytest.raises(AttributeError, match="no attribute 'columns'"):
        _ = fresh.columns
    with pytest.raises(dataclasses.FrozenInstanceError):
        fresh.cost = 0.0
