"""Slow obvious twins: each function here is short enough to be believed by reading it, and imports nothing of ours.

Those that return a `Fraction` are exact: a float is a rational number, so the optimum of a transport problem whose
costs and masses are floats is a rational number too, and bounds can be held against it without any tolerance.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np

METRICS = {
    "euclidean": lambda s, t: math.dist(s, t),
    "sqeuclidean": lambda s, t: sum((u - v) ** 2 for u, v in zip(s, t)),
    "cityblock": lambda s, t: sum(abs(u - v) for u, v in zip(s, t)),
    "chebyshev": lambda s, t: max(abs(u - v) for u, v in zip(s, t)),
}


def points(x):
    """A list of coordinate lists, of points (n, d) or (n,)."""
    return [[float(u) for u in np.atleast_1d(row)] for row in np.asarray(x, dtype=float)]


def ground_cost(x, y, p=1.0, metric="euclidean"):
    """d(x_i, y_j)^p in floats, one pair at a time; d itself for p = inf."""
    distance = METRICS[metric]
    power = 1.0 if math.isinf(p) else p
    return np.array([[distance(s, t) ** power for t in points(y)] for s in points(x)])


def exact_ground_cost(x, y, p=1, metric="euclidean"):
    """d(x_i, y_j)^p as fractions, for an integer p; the Euclidean distance wants an even p."""
    rows = [[Fraction(u) for u in s] for s in points(x)]
    cols = [[Fraction(u) for u in t] for t in points(y)]
    if metric == "euclidean":
        if p % 2:
            raise ValueError("an odd power of a Euclidean distance is irrational")
        metric, p = "sqeuclidean", p // 2
    distance = METRICS[metric]
    return [[distance(s, t) ** p for t in cols] for s in rows]


def brute_force_assignment(cost):
    """The least sum of C[i, perm(i)] over all permutations, n <= 7 or so."""
    n = len(cost)
    return min(math.fsum(cost[i][perm[i]] for i in range(n)) for perm in itertools.permutations(range(n)))


def brute_force_rectangular(cost, maximize=False):
    """The best matching of all rows to distinct columns (n <= m), forbidden pairs included; inf if there is none."""
    n, m = np.shape(cost)
    sums = (math.fsum(cost[i][cols[i]] for i in range(n)) for cols in itertools.permutations(range(m), n))
    return max(sums) if maximize else min(sums)


def constraint_matrix(n, m):
    """A with A vec(P) = (row sums; column sums), P read row by row."""
    matrix = np.zeros((n + m, n * m))
    for i in range(n):
        for j in range(m):
            matrix[i, i * m + j] = 1
            matrix[n + j, i * m + j] = 1
    return matrix


def linear_program(cost, a, b, sense=1):
    """min (sense=1) or max (sense=-1) of <P, C> over all plans, by HiGHS on the textbook's matrix."""
    from scipy.optimize import linprog

    cost = np.asarray(cost, dtype=float)
    scale = np.abs(cost).max() or 1.0
    mass = math.fsum(a)
    marginals = np.concatenate([np.asarray(a, float) / mass, np.asarray(b, float) / math.fsum(b)])
    answer = linprog(sense * cost.ravel() / scale, A_eq=constraint_matrix(*cost.shape), b_eq=marginals, method="highs")
    if answer.status != 0:
        raise ValueError(answer.message)
    return sense * answer.fun * scale * mass


def lipschitz_dual(distance, p, q, constant=1.0):
    """max sum_i f_i (p_i - q_i) over f with f_i - f_j <= constant * D_ij: the reduced dual of the WGAN, g = -f."""
    from scipy.optimize import linprog

    k = len(p)
    rows, limits = [], []
    for i, j in itertools.permutations(range(k), 2):
        row = np.zeros(k)
        row[i], row[j] = 1, -1
        rows.append(row)
        limits.append(constant * distance[i][j])
    objective = np.asarray(q, float) - np.asarray(p, float)
    bounds = [(0, 0)] + [(None, None)] * (k - 1)  # f is free up to a constant
    answer = linprog(objective, A_ub=np.array(rows), b_ub=limits, bounds=bounds, method="highs")
    if answer.status != 0:
        raise ValueError(answer.message)
    return -answer.fun


def _integers(numbers):
    """Fractions with one common denominator: (integers, denominator)."""
    fractions = [Fraction(number) for number in numbers]
    denominator = math.lcm(*(fraction.denominator for fraction in fractions))
    return [int(fraction * denominator) for fraction in fractions], denominator


def exact_cost(cost, a, b):
    """The exact optimum of the transport problem, with b scaled to the sum of a: a Fraction.

    Successive shortest paths (Bellman-Ford on the residual graph) in unbounded integers.
    """
    n, m = len(cost), len(cost[0])
    flat, cost_unit = _integers(entry for row in cost for entry in row)
    price = [flat[i * m : (i + 1) * m] for i in range(n)]
    rows, mass_unit = _integers(a)
    cols, _ = _integers(b)
    row_sum, col_sum = sum(rows), sum(cols)
    supply = [mass * col_sum for mass in rows]
    demand = [mass * row_sum for mass in cols]
    flow = [[0] * m for _ in range(n)]
    far = 4 * (n + m) * (1 + max(map(abs, flat)))  # beyond every path; an integer, because the prices may be huge

    while any(supply):
        to_row = [0 if supply[i] else far for i in range(n)]
        to_col = [far] * m
        row_from, col_from = [None] * n, [None] * m
        changed = True
        while changed:
            changed = False
            for i in range(n):
                for j in range(m):
                    if to_row[i] + price[i][j] < to_col[j]:
                        to_col[j], col_from[j], changed = to_row[i] + price[i][j], i, True
                    if flow[i][j] and to_col[j] - price[i][j] < to_row[i]:
                        to_row[i], row_from[i], changed = to_col[j] - price[i][j], j, True
        end = min((j for j in range(m) if demand[j]), key=lambda j: to_col[j])
        forward, backward, j = [], [], end
        while True:
            i = col_from[j]
            forward.append((i, j))
            if row_from[i] is None:
                break
            j = row_from[i]
            backward.append((i, j))
        amount = min([supply[i], demand[end], *(flow[r][c] for r, c in backward)])
        supply[i] -= amount
        demand[end] -= amount
        for r, c in forward:
            flow[r][c] += amount
        for r, c in backward:
            flow[r][c] -= amount

    total = sum(flow[i][j] * price[i][j] for i in range(n) for j in range(m))
    return Fraction(total, cost_unit * mass_unit * col_sum)


def quantile_cost(x, y, a, b, p):
    """The one-dimensional formula: the integral over t in [0, 1] of |F^-1(t) - G^-1(t)|^p, times the mass.

    The levels t are exact fractions; for p = inf it is the largest |F^-1 - G^-1|.
    """

    def steps(positions, weights):
        order = sorted(range(len(positions)), key=lambda i: positions[i])
        total = sum(Fraction(w) for w in weights)
        return [(positions[i], Fraction(weights[i]) / total) for i in order if weights[i]]

    left = steps([float(u) for u in np.ravel(x)], [float(w) for w in a])
    right = steps([float(u) for u in np.ravel(y)], [float(w) for w in b])
    terms, i, j = [], 0, 0
    here, there = left[0][1], right[0][1]
    while True:
        step = min(here, there)
        terms.append((abs(left[i][0] - right[j][0]), step))
        here, there = here - step, there - step
        if here == 0:
            i += 1
            if i == len(left):
                break
            here = left[i][1]
        if there == 0:
            j += 1
            there = right[j][1]
    if math.isinf(p):
        return max(distance for distance, _ in terms)
    return math.fsum(distance**p * float(step) for distance, step in terms) * math.fsum(a)


def bottleneck(distance, a, b):
    """The least r such that all mass can move along pairs with d_ij <= r: thresholds tried in ascending order."""
    for threshold in sorted({entry for row in distance for entry in row}):
        dear = [[0 if entry <= threshold else 1 for entry in row] for row in distance]
        if exact_cost(dear, a, b) == 0:
            return threshold
    raise AssertionError("the largest distance always allows every plan")


def total_variation(p, q):
    """sup over all events |P(A) - Q(A)|, all 2^k of them."""
    k = len(p)
    events = itertools.chain.from_iterable(itertools.combinations(range(k), size) for size in range(k + 1))
    return max(abs(math.fsum(p[i] for i in event) - math.fsum(q[i] for i in event)) for event in events)


def sliced(x, y, a, b, p, directions):
    """(mean over the directions of W_p^p of the projections)^(1/p)."""
    costs = [quantile_cost(np.asarray(x) @ u, np.asarray(y) @ u, a, b, p) for u in directions]
    return (math.fsum(costs) / len(costs)) ** (1 / p)


def bures(mean_x, cov_x, mean_y, cov_y, digits=60):
    """W_2 between Gaussians by the closed form |m - n|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2), in many digits."""
    import mpmath

    with mpmath.workdps(digits):

        def root(matrix):
            values, vectors = mpmath.eigsy(matrix)
            return vectors * mpmath.diag([mpmath.sqrt(max(v, 0)) for v in values]) * vectors.T

        a, b = mpmath.matrix(np.asarray(cov_x).tolist()), mpmath.matrix(np.asarray(cov_y).tolist())
        half = root(a)
        cross = root(half * b * half)
        shift = sum((mpmath.mpf(float(u)) - mpmath.mpf(float(v))) ** 2 for u, v in zip(mean_x, mean_y))
        trace = sum(a[i, i] + b[i, i] - 2 * cross[i, i] for i in range(a.rows))
        return float(mpmath.sqrt(max(shift + trace, 0)))
