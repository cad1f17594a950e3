"""p = inf: the least radius within which all mass can move, by maximum flows at radii that close in on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..costs import require_memory
from ..problem import Array, Flow, TransportProblem
from .basis import north_west

# Radii tried on one pass over the costs: each takes a bit of memory for every pair, and all three bits of the search.
RADII = 7

# Costs looked at to choose the radii, and pairs in doubt that are few enough to be listed.
SAMPLE, LISTED = 2**18, 2**20


def bottleneck(problem: TransportProblem) -> Flow:
    """The plan whose largest cost is least, with Hall's violators at the next lower cost as proof.

    Notes
    -----
    Costs are only compared: a pass over them yields one bit a pair for each of a few radii, and a maximum flow along
    the pairs within a radius says whether all mass can move there. Once few pairs are in doubt they are listed, and the
    search ends among their costs. Where mass is stuck, the rows that it can reach hold more than the columns within
    their reach take. n m bytes of memory; a handful of passes over all pairs.

    References
    ----------
    P. Hall, On representatives of subsets, J. London Math. Soc. 10, 1935.
    E. A. Dinic, Algorithm for solution of a problem of maximum flow, Soviet Math. Dokl. 11, 1970.
    J. E. Hopcroft and R. M. Karp, An n^(5/2) algorithm for maximum matchings, SIAM J. Comput. 2, 1973.
    """
    n, m = problem.shape
    require_memory((RADII + 2) * n * m // 8, f"The largest move between {n} and {m} points", "Pass fewer points.")
    search = _Search(problem)
    problem.watch.reached = search.flow
    search.narrow()
    search.finish()
    return search.flow()


@dataclass
class _Sent:
    """What has been sent: mass left over, and the arcs with flow."""

    row_left: Array  # (n,)
    col_left: Array  # (m,)
    first: Array  # (m,) an arc of each column, -1 where it has none
    arcs: tuple[Array, Array, Array]  # row, next arc of the same column, flow
    count: Array  # (1,) arcs in use

    @classmethod
    def nothing(cls, row_mass: Array, col_mass: Array) -> _Sent:
        size = 4 * (len(row_mass) + len(col_mass))
        arcs = np.empty(size, np.intp), np.empty(size, np.intp), np.empty(size, np.int64)
        return cls(row_mass.copy(), col_mass.copy(), np.full(len(col_mass), -1), arcs, np.zeros(1, np.intp))

    def copy(self) -> _Sent:
        row, after, flow = (array.copy() for array in self.arcs)
        return _Sent(
            self.row_left.copy(), self.col_left.copy(), self.first.copy(), (row, after, flow), self.count.copy()
        )

    def enlarge(self) -> None:
        row, after, flow = (np.concatenate((array, np.empty_like(array))) for array in self.arcs)
        self.arcs = row, after, flow


class _Search:
    """The radius lies in (low, high]: nothing less than all mass can move within `high`, less than all within `low`."""

    def __init__(self, problem: TransportProblem) -> None:
        self.problem, self.check = problem, problem.watch.check
        n, m = problem.shape
        self.shape, self.words = (n, m), -(-m // 64)
        cost = problem.cost
        # Within less than the least cost of some row or column nothing leaves it.
        floor = max(cost.row_transform(np.zeros(m)).max(), cost.T.row_transform(np.zeros(n)).max())
        self.low = float(np.nextafter(floor, -np.inf))
        self.sent = _Sent.nothing(problem.row_mass, problem.col_mass)  # within `low`
        self.proof: tuple[Array, Array] | None = None  # that `low` is too little
        rows, cols = north_west(problem.row_mass, problem.col_mass)
        ends = np.minimum(np.cumsum(problem.row_mass)[rows], np.cumsum(problem.col_mass)[cols])
        self.plan = rows, cols, np.diff(ends, prepend=0)
        self.high = self._largest()
        self.bytes = (RADII + 1) * n * self.words * 8

    def flow(self) -> Flow:
        f, g = self.proof or (None, np.zeros(self.shape[1]))
        return Flow(*self.plan, g, f, self.bytes)

    def narrow(self) -> None:
        """Radii from a sample of the costs, until few pairs are in doubt."""
        n, m = self.shape
        rng = np.random.default_rng(0)
        rows, cols = rng.integers(n, size=SAMPLE), rng.integers(m, size=SAMPLE)
        sample = np.sort(self.problem.cost.entries(rows, cols))
        while n * m > LISTED:
            inside = sample[(sample > self.low) & (sample < self.high)]
            if len(inside) <= SAMPLE * LISTED // (n * m):
                return
            at = np.linspace(0, len(inside) - 1, RADII + 2)[1:-1].astype(np.intp)
            self._bisect(np.unique(inside[at]))

    def _bisect(self, radii: Array) -> None:
        masks = np.zeros((len(radii), self.shape[0], 8 * self.words), np.uint8)
        for rows, entries in self.problem.cost.blocks():
            for mask, radius in zip(masks, radii):
                self._pack(entries <= radius, mask[rows])
            self.check(f"costs from {self.low:.6g} to {self.high:.6g} in doubt")
        first, last = 0, len(radii)
        while first < last:
            middle = (first + last) // 2
            if self._fits(masks[middle].view(np.uint64), float(radii[middle])):
                last = middle
            else:
                first = middle + 1
            last = min(last, int(np.searchsorted(radii, self.high)))

    def finish(self) -> None:
        """List the pairs in doubt, and search among their costs."""
        from ..kernels import bipartite_flow as kernel

        base = np.zeros((self.shape[0], 8 * self.words), np.uint8)
        pairs = []
        for rows, entries in self.problem.cost.blocks():
            self._pack(entries <= self.low, base[rows])
            i, j = np.nonzero((entries > self.low) & (entries < self.high))
            pairs.append((i + rows.start, j, entries[i, j]))
            self.check()
        i, j, cost = map(np.concatenate, zip(*pairs))
        self.bytes = max(self.bytes, 2 * base.nbytes + 4 * (i.nbytes + j.nbytes + cost.nbytes))
        near, radii = base.view(np.uint64), np.unique(cost)
        while len(radii):
            middle = len(radii) // 2
            mask = near.copy()
            listed = cost <= radii[middle]
            kernel.allow(mask, i[listed], j[listed])
            if self._fits(mask, float(radii[middle])):
                radii = radii[: min(middle, np.searchsorted(radii, self.high))]
            else:
                radii = radii[middle + 1 :]
        if self.proof is None:
            self._fits(near, self.low)

    def _pack(self, allowed: Array, words: Array) -> None:
        bits = np.packbits(allowed, axis=1, bitorder="little")
        words[:, : bits.shape[1]] = bits

    def _fits(self, near: Array, radius: float) -> bool:
        """Can all mass move along these pairs? Takes the plan, or the proof that it cannot."""
        from ..kernels import bipartite_flow as kernel

        n, m = self.shape
        sent = self.sent.copy()
        row_level, unseen, col_level = np.empty(n, np.intp), np.empty(self.words, np.uint64), np.empty(m, np.intp)
        queue, path = np.empty(n, np.intp), np.empty((4, n + 1), np.intp)
        status = kernel.WORKING
        while status in (kernel.WORKING, kernel.FULL):
            self.check()
            if status == kernel.FULL:
                sent.enlarge()
            status = kernel.phase(
                near, sent.row_left, sent.col_left, sent.first, *sent.arcs, sent.count, row_level, unseen, col_level,
                queue, path,
            )  # fmt: skip
        if status == kernel.STUCK:
            beyond = np.unpackbits(unseen.view(np.uint8), bitorder="little")[:m]
            self.proof = np.where(row_level >= 0, 0.0, -1.0), beyond.astype(np.float64)
            self.low, self.sent = radius, sent
            return False
        self.plan = self._listed(sent)
        self.high = self._largest()
        return True

    def _listed(self, sent: _Sent) -> tuple[Array, Array, Array]:
        """The plan in at most n + m - 1 entries."""
        from ..kernels import bipartite_flow as kernel

        n, m = self.shape
        sent.count[0] = kernel.compact(sent.first, *sent.arcs, sent.count[0])
        rows, after, flow = (array[: sent.count[0]] for array in sent.arcs)
        cols = np.full(len(rows), -1, np.intp)
        at = sent.first.copy()
        while (at >= 0).any():
            some = np.flatnonzero(at >= 0)
            cols[at[some]] = some
            at[some] = after[at[some]]
        kernel.cancel_cycles(rows, cols, flow, n, m)
        held = flow > 0
        return rows[held], cols[held], flow[held]

    def _largest(self) -> float:
        rows, cols, _ = self.plan
        return float(self.problem.cost.entries(rows, cols).max())
