"""Batches of small assignment problems on a device: matchings, duals and proof of all of them in one launch."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._arrays import to_numpy
from .._device import Backend
from ..certificate import POTENTIAL_SHARE, SUM_SLACK, root, unscale, unscale_array
from ..costs import METRICS, UNIT_ROUNDOFF, VANISHING, PointCost
from ..problem import Array, Transport
from .cloud import folding
from .device_costs import UNROLLED

# Up to this many rows a team of one block does well; a wide problem's columns must fit its shared memory.
MOST_ROWS, MOST_COLUMNS = 512, 2048

# Bytes of a block's shared memory that are not for problems: where its warps meet.
RESERVED = 1024

# Costs of points that are made and matched together, and threads that make a row of them.
COSTS_AT_ONCE, COST_THREADS = 2**27, 128

# Warps of a block that solves its problems one warp each, and the problems per multiprocessor that make that pay.
TEAMS, CROWD = 4, 16


def match_batch(backend: Backend, costs: Any, sign: float) -> tuple[Any, Any, Any, Any, Any]:
    """(cols, u, v, bounds, status) for costs (B, n, m), n <= m, C-ordered float32 or float64 of `backend.xp`.

    `bounds` is (B, 4): cost, lower and upper bound, gap. Where `status` (B,) is not 0 nothing else is filled: there is
    no matching, or the entries would have to be scaled first.
    """
    count, n, m = costs.shape
    xp = backend.xp
    cols, status = xp.empty((count, n), np.int64), xp.empty(count, np.int32)
    u, v, bounds = (xp.empty((count, k), np.float64) for k in (n, m, 4))
    warps = team_size(backend, count, m)
    teams = TEAMS if warps == 1 else 1
    staged, size = _memory(backend, count, n, m, costs.dtype.itemsize, teams)
    kernel = f"lap_batch<{'float' if costs.dtype == np.float32 else 'double'}, {warps}>"
    shape = *map(np.int32, (count, n, m)), np.float64(SUM_SLACK), np.float64(POTENTIAL_SHARE)
    args = costs, np.float64(sign), *shape, np.int32(staged), np.int32(size), cols, u, v, bounds, status
    backend.launch("lap_batch", kernel, -(-count // teams), 32 * warps * teams, args, shared=size * teams)
    return cols, u, v, bounds, status


def team_size(backend: Backend, count: int, m: int) -> int:
    """Warps that work on one problem: one where problems are small, or so many that all warps have one anyway."""
    if m <= 64 or (m <= 128 and count >= CROWD * backend.multiprocessors):
        return 1
    return 4 if m <= 256 else 8


def _memory(backend: Backend, count: int, n: int, m: int, itemsize: int, teams: int) -> tuple[bool, int]:
    """Whether the costs are copied to shared memory, and the bytes of a team.

    They are where all problems still run at once: each step then waits for tens of cycles instead of hundreds.
    """
    state = 8 * ((7 * m + 3 * n + 1) // 2)
    staged = state + -(-n * m * itemsize // 8) * 8
    at_once = teams * ((backend.shared_memory - RESERVED) // (teams * staged)) * backend.multiprocessors
    return (True, staged) if count <= at_once else (False, state)


@dataclass(frozen=True)
class MatchedClouds:
    """Matchings of B pairs of n points each, of mass 1 / n, with their proof; all in units of 2**exponent."""

    cols: Array  # (B, n)
    f: Array  # (B, n)
    g: Array  # (B, n)
    cost: Array  # (B,)
    lower: Array  # (B,)
    upper: Array  # (B,)
    gap: Array  # (B,)
    exponent: float
    seconds: float

    def values(self, power: float) -> Array:
        return np.array([root(one, self.exponent, power) for one in self.cost.tolist()])

    def transports(self, power: float) -> list[Transport]:
        return [self._transport(k, power) for k in range(len(self.cols))]

    def _transport(self, k: int, power: float) -> Transport:
        from scipy.sparse import coo_array

        n = self.cols.shape[1]
        cost = unscale(self.cost[k], self.exponent)
        return Transport(
            value=root(self.cost[k], self.exponent, power),
            cost=cost,
            lower=min(unscale(self.lower[k], self.exponent, -1), cost),
            upper=max(unscale(self.upper[k], self.exponent, +1), cost),
            gap=float(self.gap[k]),
            plan=coo_array((np.full(n, 1.0 / n), (np.arange(n), self.cols[k])), shape=(n, n)),
            f=unscale_array(self.f[k], self.exponent),
            g=unscale_array(self.g[k], self.exponent),
            method="device",
            seconds=self.seconds / len(self.cols),
            peak_bytes=8 * 3 * n,
        )


def match_clouds(
    backend: Backend, points: PointCost, count: int, check: Callable[[], None] = lambda: None
) -> MatchedClouds | None:
    """Match `count` pairs of clouds, whose points, on the device, follow each other in `points`.

    None where one of them has no matching that is proven there. `check` is called between slices of work.
    """
    started = time.perf_counter()
    n, parts = len(points.x) // count, []
    step = max(1, COSTS_AT_ONCE // (n * n))
    for first in range(0, count, step):
        check()
        some = slice(first * n, min(first + step, count) * n)
        x, y = points.x[some], points.y[some]
        cols, *numbers, status = match_batch(backend, _costs(backend, points, x, y, n), 1.0)
        if to_numpy(status).any() or _lost(backend.xp, points, x, y, cols):
            return None
        parts.append([to_numpy(part) for part in (cols, *numbers)])
    cols, f, g, bounds = map(np.concatenate, zip(*parts))
    cost, lower, upper = bounds[:, :3].T / n
    relative = points.relative_error * 1.01 + 8 * UNIT_ROUNDOFF
    lower, upper = np.maximum(lower - np.abs(lower) * relative, 0.0), upper + np.abs(upper) * relative
    gap = np.divide(upper - lower, upper, out=np.zeros(count), where=upper > lower)
    cost = np.clip(cost, lower, upper)
    return MatchedClouds(cols, f, g, cost, lower, upper, gap, points.exponent, time.perf_counter() - started)


def _costs(backend: Backend, points: PointCost, x: Any, y: Any, n: int) -> Any:
    """(B, n, n)"""
    xp, d, (fold, power) = backend.xp, x.shape[1], folding(points)
    count = len(x) // n
    costs = xp.empty((count, n, n))
    by_coordinate = xp.ascontiguousarray(y.reshape(count, n, d).transpose(0, 2, 1))
    backend.launch(
        "candidate_lists", f"cost_matrices<Cloud<{d if d in UNROLLED else 0}>>", len(x), COST_THREADS,
        (x, by_coordinate, np.int64(len(x)), *map(np.int32, (n, n, d, fold)), np.float64(power), costs),
    )  # fmt: skip
    return costs


def _lost(xp: Any, points: PointCost, x: Any, y: Any, cols: Any) -> bool:
    """Whether different points are so close that their cost, or a square on its way, has lost digits."""
    count, n = cols.shape
    partners = xp.arange(count)[:, None] * n + cols
    away = abs(x - y[partners.ravel()]).max(axis=1)
    least = VANISHING ** (1 / max(2.0, METRICS[points.metric].degree * points.p))
    return points.rounded or bool(((away > 0) & (away < least)).any())
