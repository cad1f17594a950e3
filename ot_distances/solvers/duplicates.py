"""Points that coincide, merged into one of their joint mass, and the flow between them handed out again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from ..costs import FunctionCost, PointCost
from ..problem import Array, Flow, TransportProblem
from .basis import north_west

# Fewer different points than this share on one side: it pays to merge, though equal weights become unequal.
DIFFERENT = 0.9


@dataclass(frozen=True)
class Merged:
    """A problem whose points are all different, and the group of each original atom."""

    problem: TransportProblem
    row_group: Array  # (n,)
    col_group: Array  # (m,)


def merged(problem: TransportProblem) -> Merged | None:
    """The problem with duplicates merged; None where there are few."""
    cost = cast(PointCost | FunctionCost, problem.cost)
    if all(_seem_different(points) for points in (cost.x, cost.y)):
        return None
    (rows, row_group), (cols, col_group) = _groups(cost.x), _groups(cost.y)
    if len(rows) >= DIFFERENT * len(cost.x) and len(cols) >= DIFFERENT * len(cost.y):
        return None
    start = problem.start
    smaller = replace(
        problem.between(rows, cols),
        a=np.bincount(row_group, problem.a),
        b=np.bincount(col_group, problem.b),
        row_mass=_sums(row_group, problem.row_mass, len(rows)),
        col_mass=_sums(col_group, problem.col_mass, len(cols)),
        start=start and replace(start, rows=row_group[start.rows], cols=col_group[start.cols], g=start.g[cols]),
    )
    return Merged(smaller, row_group, col_group)


def _seem_different(points: Array) -> bool:
    """Equal points have equal keys, so few equal keys mean few equal points: a sort of numbers, not of rows."""
    key = np.zeros(len(points))
    for k in range(points.shape[1]):
        key += points[:, k] * np.sqrt(k + 2)
    key.sort()
    return bool(1 + np.count_nonzero(np.diff(key)) >= DIFFERENT * len(key))


def _groups(points: Array) -> tuple[Array, Array]:
    """(a member of each group of equal points, the group of each point)."""
    _, first, group = np.unique(points, axis=0, return_index=True, return_inverse=True)
    return first, group.ravel()


def _sums(group: Array, mass: Array, count: int) -> Array:
    total = np.zeros(count, np.int64)
    np.add.at(total, group, mass)
    return total


def split(flow: Flow, merged: Merged, problem: TransportProblem) -> Flow:
    """The flow between the atoms of the original problem."""
    carried = flow.mass > 0
    rows, cols, mass = flow.rows[carried], flow.cols[carried], flow.mass[carried]
    entry, rows, mass = _hand_out(rows, mass, merged.row_group, problem.row_mass)
    entry, cols, mass = _hand_out(cols[entry], mass, merged.col_group, problem.col_mass)
    return Flow(rows[entry], cols, mass, flow.g[merged.col_group], None, flow.bytes)


def _hand_out(keys: Array, mass: Array, group: Array, member_mass: Array) -> tuple[Array, Array, Array]:
    """Cut entries that belong to groups so that each piece belongs to a member: (entry, member, mass) of the pieces."""
    by_key, by_group = np.argsort(keys, kind="stable"), np.argsort(group, kind="stable")
    mass, member_mass = mass[by_key], member_mass[by_group]
    entry, member = north_west(mass, member_mass)
    ends = np.minimum(np.cumsum(mass)[entry], np.cumsum(member_mass)[member])
    pieces = np.diff(ends, prepend=0)
    some = pieces > 0
    return by_key[entry[some]], by_group[member[some]], pieces[some]
