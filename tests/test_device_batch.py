"""Small assignments on a device: the numba twin's answers, with proof, in any order of the threads.

Without a GPU the kernel runs as fibers on the CPU; with one, the same bodies run there too (pytest -m gpu).
"""

from __future__ import annotations

import numpy as np
import pytest
from fibers import DEVICES, Fibers
from naive import brute_force_rectangular
from test_assignment import FAMILIES

from ot_distances._arrays import to_numpy
from ot_distances._device import Cuda
from ot_distances.solvers import device_batch
from ot_distances.solvers.device_batch import match_batch
from ot_distances.solvers.small_assignment import SLOTS, match_small

TEAMS = {1: "adversarial", 4: "backward", 8: "round robin"}


@pytest.fixture(params=DEVICES)
def device(request):
    """What runs the kernel: adversarial fibers, or a GPU."""
    return Fibers() if request.param == "fibers" else Cuda()


@pytest.fixture(params=TEAMS)
def backend(request, device, monkeypatch):
    """The same with a team of each size, whatever the problem; fibers in one of the orders."""
    monkeypatch.setattr(device_batch, "team_size", lambda *sizes: request.param)
    return Fibers(TEAMS[request.param]) if isinstance(device, Fibers) else device


def matched(backend, costs, sign=1.0):
    """Everything that comes out, on the host."""
    return [to_numpy(array) for array in match_batch(backend, backend.xp.asarray(costs), sign)]


def proven(costs, found, sign=1.0):
    """The sums, after everything else that comes with them was checked."""
    cols, u, v, bounds, status = found
    count, n, m = costs.shape
    costs = costs.astype(float)
    assert (status == 0).all()
    totals = np.array([costs[k, np.arange(n), cols[k]].sum() for k in range(count)])
    for k in range(count):
        assert len(set(cols[k])) == n
        size = np.abs(costs[k][np.isfinite(costs[k])]).max() + np.abs(u[k]).max() + np.abs(v[k]).max()
        assert (sign * (u[k][:, None] + v[k] - costs[k])).max() <= 8 * np.spacing(size)
        free = np.delete(v[k], cols[k])
        assert (free == 0).all() and (n == m or (sign * v[k]).max() <= 0)
        cost, lower, upper, gap = bounds[k]
        assert lower <= cost <= upper and 0 <= gap <= 1e-12
        assert abs(cost - totals[k]) <= 8 * n * np.spacing(size)
    return totals


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (5, 5), (4, 7)])
@pytest.mark.parametrize("family", FAMILIES)
def test_tiny_batches_meet_brute_force(family, shape, backend, rng):
    costs = np.stack([FAMILIES[family](*shape, rng) for _ in range(3)])
    best = np.array([brute_force_rectangular(one) for one in costs])
    found = matched(backend, costs)
    assert ((found[-1] == 1) == np.isinf(best)).all()
    solvable = np.isfinite(best)
    if solvable.any():
        totals = proven(costs[solvable], [array[solvable] for array in found])
        assert totals == pytest.approx(best[solvable], rel=1e-14, abs=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(36, 36), (33, 40)])
@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"forbidden"}))
def test_batches_meet_the_numba_twin(family, shape, dtype, device, rng):
    costs = np.stack([FAMILIES[family](*shape, rng) for _ in range(2)]).astype(dtype)
    for sign in (1.0, -1.0):
        totals = proven(costs, matched(device, costs, sign), sign)
        _, numbers, gap = match_small(costs, sign)
        assert gap < 1e-9
        assert totals == pytest.approx(numbers[:, 0], rel=1e-13, abs=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(130, 130), (128, 270), (40, 2048)])
@pytest.mark.parametrize("family", FAMILIES)
def test_large_problems_of_a_batch(family, shape, device, rng):
    costs = np.stack([FAMILIES[family](*shape, rng) for _ in range(2)])
    totals = proven(costs, matched(device, costs))
    if np.isfinite(costs).all():
        assert totals == pytest.approx(match_small(costs, 1.0)[1][:, 0], rel=1e-13, abs=1e-13)


@pytest.mark.parametrize("room", [0, 227 * 1024])
@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_costs_in_shared_memory_change_nothing(room, count, device, rng):
    """Nor does a block that has no problem for its last teams."""
    device.shared_memory = min(room, device.shared_memory)
    costs = rng.random((count, 20, 23))
    totals = proven(costs, matched(device, costs))
    assert totals == pytest.approx(match_small(costs, 1.0)[1][:, 0], rel=1e-14)


def test_one_bad_problem_leaves_the_others_alone(backend, rng):
    costs = rng.random((7, 6, 6))
    costs[0, 2] = np.inf
    costs[1, :, 3] = np.inf
    costs[2, 4, 4] = np.nan
    costs[3, 0, 0] = -np.inf
    costs[4] *= 1e305
    costs[5] *= 1e-305
    assert matched(backend, costs)[-1].tolist() == [1, 1, 2, 2, 2, 2, 0]
    costs[6, :3, :4] = np.inf  # three rows, two columns
    assert matched(backend, costs)[-1].tolist() == [1, 1, 2, 2, 2, 2, 1]


def test_forbidden_pairs_are_negative_when_maximising(backend):
    costs = np.array([[[5.0, -np.inf, 1.0], [-np.inf, 2.0, 7.0], [3.0, 1.0, -np.inf]]])
    assert proven(costs, matched(backend, costs, -1.0), -1.0) == [13.0]
    assert SLOTS == 4  # bounds are laid out as in the twin


@pytest.mark.parametrize(
    ("count", "m", "warps"), [(1, 2, 1), (1, 64, 1), (1, 65, 4), (10**4, 128, 1), (10**4, 129, 4), (1, 257, 8)]
)
def test_team_grows_with_the_problem_where_problems_are_few(count, m, warps):
    assert device_batch.team_size(Fibers(), count, m) == warps
