"""`Transport.peak_bytes` is what a solve takes, and what cannot be taken is refused before it is."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy.spatial.distance import cdist

import ot_distances as ot
from ot_distances import costs

N = 1200


def weighted(rng, n):
    w = rng.random((2, n))
    return w / w.sum(axis=1, keepdims=True)


def in_space(d, options, weights=False, n=N):
    def call(rng):
        x, y = rng.normal(size=(n, d)), rng.normal(size=(n, d)) + 1
        pair = weighted(rng, n) if weights else ()
        return lambda: ot.solve(x, y, *pair, **options)

    return call


def matrix(rng, weights, m=N):
    cost, pair = rng.random((N, m)), (rng.dirichlet(np.ones(N)), rng.dirichlet(np.ones(m))) if weights else ()
    return lambda: ot.solve_cost(cost, *pair)


CALLS = {
    "clusters, plane": in_space(2, {"p": 2, "method": "multiscale"}, n=4000),
    "clusters, plane, weights": in_space(2, {"p": 2, "method": "multiscale"}, True, n=4000),
    "clusters, 16-D": in_space(16, {"p": 2, "method": "multiscale"}),
    "clusters, 16-D, weights": in_space(16, {"p": 2, "method": "multiscale"}, True),
    "clusters, function": in_space(2, {"metric": cdist, "method": "multiscale"}),
    "assignment": in_space(2, {"method": "assignment"}),
    "network simplex": in_space(2, {"method": "network_simplex"}, True),
    "high order": in_space(2, {"p": 12, "method": "network_simplex"}),
    "linear program": in_space(2, {"method": "lp"}, n=150),
    "bottleneck": in_space(2, {"p": np.inf}, True),
    "line": in_space(1, {}, True, n=50_000),
    "matrix": lambda rng: matrix(rng, False),
    "matrix, weights": lambda rng: matrix(rng, True),
    "long matrix, weights": lambda rng: matrix(rng, True, 3 * N),
}


@pytest.mark.parametrize("name", CALLS)
def test_peak_bytes_is_what_is_taken(rng, name):
    call = CALLS[name](rng)
    call()  # compiled, and imported
    tracemalloc.start()
    try:
        told = call().peak_bytes
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 0.55 * taken <= told <= 1.8 * taken


def test_the_sample_of_a_long_matrix_takes_no_more_than_it(rng):
    n, m = 520, 8000
    cost = rng.random((n, m))
    assert ot.solve_cost(cost, rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))).peak_bytes <= 1.2 * cost.nbytes


@pytest.mark.parametrize(
    ("options", "factor"),
    [({"method": "assignment"}, 1), ({"method": "network_simplex"}, 1), ({"method": "lp"}, 40), ({"p": np.inf}, 1 / 8)],
)
def test_what_does_not_fit_is_refused_before_it_is_taken(monkeypatch, options, factor):
    """On a machine with just less than it takes."""
    n, asked = 3000, []

    def require(size, what, cure):
        asked.append(size)
        raise MemoryError(f"{what} needs {size:,} bytes. {cure}")

    for module in ("costs", "solvers.network_simplex", "solvers.linear_program", "solvers.bottleneck"):
        monkeypatch.setattr(f"ot_distances.{module}.require_memory", require)
    points = np.zeros((n, 2)), np.ones((n, 2))
    tracemalloc.start()
    try:
        with pytest.raises(MemoryError, match=r"needs [\d,]+ bytes"):
            ot.solve(*points, **options)
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert asked[0] >= factor * 8 * n * n
    assert taken < 4 * 2**20


def test_the_refusal_knows_what_is_free():
    costs.require_memory(10**6, "A little", "None needed.")
    with pytest.raises(
        MemoryError, match=r"The constraint matrix of 1000000 x 1000000 pairs needs 64,000,000,000,000 byte"
    ):
        ot.lp_constraints(10**6, 10**6)
    with pytest.raises(MemoryError, match=r"Very much needs 1,000,000,000,000,000,000 bytes, but [\d,]+ are available"):
        costs.require_memory(10**18, "Very much", "Take less.")
