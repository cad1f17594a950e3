"""Transport rays: found where there are any, along the first axis, without a change of any distance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

import ot_distances as ot
from ot_distances.solvers.rays import STRAIGHT, WIDER, straightened


def shifted(rng, n, m, shift):
    return rng.normal(size=(n, 2)), rng.normal(size=(m, 2)) + shift


def masses(n, m):
    return np.full(n, m), np.full(m, n)


@pytest.mark.parametrize("shift", [(3.0, 0.0), (-3.0, 0.0), (0.0, -3.0), (2.0, 2.0), (-1.0, 4.0)])
def test_rays_run_along_the_first_axis(rng, shift):
    x, y = shifted(rng, 700, 500, shift)
    x, y = x + 1e6, y + 1e6
    turned_x, turned_y, bend = straightened(x, y, *masses(700, 500))
    assert 0 < bend < WIDER * STRAIGHT
    np.testing.assert_allclose(cdist(turned_x, turned_y), cdist(x, y), rtol=1e-13)
    moved = turned_y.mean(axis=0) - turned_x.mean(axis=0)
    assert abs(moved[0]) == pytest.approx(np.linalg.norm(y.mean(axis=0) - x.mean(axis=0)))
    assert abs(moved[1]) < 1e-7


def test_points_on_a_line_make_straight_rays(rng):
    along = np.array([0.6, 0.8])
    x, y = rng.random((400, 1)) * along, (rng.random((400, 1)) + 2) * along
    assert straightened(x, y, *masses(400, 400))[2] == pytest.approx(WIDER / 400)


def test_bend_is_the_spread_of_directions(rng):
    """Two bundles of rays, at an angle of .1 to either side."""
    x = rng.random((1000, 2))
    tilt = np.where(x[:, :1] < 0.5, -0.1, 0.1)
    z = 5 * np.hstack([np.sin(tilt), np.cos(tilt)])
    assert straightened(x, x + z, *masses(1000, 1000))[2] == pytest.approx(WIDER * 0.1, rel=0.2)


@pytest.mark.parametrize("shift", [0.0, 1e-9, 0.02])
def test_without_a_shift_nothing_changes(rng, shift):
    x = rng.normal(size=(500, 2))
    y = x + shift
    turned_x, turned_y, bend = straightened(x, y, *masses(500, 500))
    assert turned_x is x and turned_y is y and bend == 1


def test_rays_in_all_directions_are_left_alone(rng):
    angle = rng.random(600) * np.pi
    x = 0.1 * rng.normal(size=(600, 2))
    y = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    assert straightened(x, y, *masses(600, 600))[2] == 1


@pytest.mark.parametrize("weighted", [False, True])
def test_plans_along_rays_are_optimal(rng, weighted):
    x, y = shifted(rng, 900, 900, (1.0, 1.0))
    pair = [w / w.sum() for w in rng.random((2, 900))] if weighted else ()
    found = ot.solve(x, y, *pair, p=1, method="multiscale")
    truth = ot.solve(x, y, *pair, p=1, method="network_simplex")
    assert found.cost == pytest.approx(truth.cost, rel=1e-12) and found.gap < 1e-12
    assert found.g.shape == (900,)
