"""Batches of small assignment problems on a device: matchings, duals and proof of all of them in one launch."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._device import Backend
from ..certificate import POTENTIAL_SHARE, SUM_SLACK

# Up to this many rows a team of one block does well; a wide problem's columns must fit its shared memory.
MOST_ROWS, MOST_COLUMNS = 512, 2048

# Bytes of a block's shared memory that are not for problems: where its warps meet.
RESERVED = 1024

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
