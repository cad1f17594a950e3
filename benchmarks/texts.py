"""The examples of the four source texts, computed: `python -m benchmarks.texts` writes docs/texts.md and its figure."""

# ruff: noqa: RUF001 (a page of mathematics is written in its own signs)

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import ot_distances as ot

DOCS = Path(__file__).parents[1] / "docs"
FIGURE = "figures/texts-batches.png"

Array = np.ndarray[Any, Any]

# Moving blocks: where they lie, how many, where they are to go.
SOURCES, BLOCKS = np.array([1, 2, 3]), np.array([3, 1, 2])
TARGETS, ROOM = np.array([7, 8, 9, 10]), np.array([1, 1, 2, 2])
GAMMA_1 = np.array([[1, 0, 0, 2], [0, 1, 0, 0], [0, 0, 2, 0]])
GAMMA_2 = np.array([[1, 0, 0, 2], [0, 0, 1, 0], [0, 1, 1, 0]])

GROUND_COSTS: dict[str, Callable[[Array, Array], Array]] = {
    "cityblock": lambda x, y: np.abs(x[:, None] - y).sum(-1),
    "euclidean": lambda x, y: np.sqrt(np.square(x[:, None] - y).sum(-1)),
    "sqeuclidean": lambda x, y: np.square(x[:, None] - y).sum(-1),
}


def table(head: list[str], rows: list[list[Any]]) -> list[str]:
    """Markdown lines."""
    cells = [[f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    return ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *cells)] + [""]


def prose(text: str) -> list[str]:
    """A paragraph."""
    return [*textwrap.wrap(text, 118, break_long_words=False, break_on_hyphens=False), ""]


def below(value: float, limit: float) -> str:
    """The limit, once it is known to hold: residuals differ from machine to machine, their bounds do not."""
    if not abs(value) <= limit:
        raise ArithmeticError(f"a residual of {value:.1e} exceeds its limit {limit:.0e}")
    return f"≤ {limit:.0e}"


def distances(x: Array, y: Array) -> Array:
    """|x_i - y_j| on a line."""
    return np.abs(np.subtract.outer(x, y)).astype(float)


def blocks() -> Iterator[str]:
    cost = distances(SOURCES, TARGETS)
    least, dual = ot.lp_primal(cost, BLOCKS, ROOM), ot.lp_dual(cost, BLOCKS, ROOM)
    most = -ot.lp_primal(-cost, BLOCKS, ROOM).cost
    constraints = ot.lp_constraints(3, 4).toarray().astype(int)
    yield "## Moving blocks"
    yield ""
    yield from prose(
        "3, 1, 2 blocks at #1, #2, #3 go to 1, 1, 2, 2 places at #7, #8, #9, #10; moving one block costs its way."
    )
    yield from table(
        ["plan", "cost"],
        [
            ["γ1 of the text", f"{(GAMMA_1 * cost).sum():g}"],
            ["γ2 of the text", f"{(GAMMA_2 * cost).sum():g}"],
            ["cheapest (primal program)", f"{least.cost:g}"],
            ["best bound (dual program)", f"{BLOCKS @ dual.f + ROOM @ dual.g:g}"],
            ["**dearest**", f"{most:g}"],
            ["W₁ of the normalised measures", f"{ot.wasserstein(SOURCES, TARGETS, BLOCKS / 6, ROOM / 6):g}"],
        ],
    )
    yield from prose(
        "Every plan costs 42: all targets lie to the right of all "
        "sources, so a plan costs Σy − Σx = 53 − 11, whoever "
        "goes where. The example cannot show that plans differ. Sources {1, 3} and targets {2, 4} can:"
    )
    small = distances(np.array([1, 3]), np.array([2, 4]))
    yield from table(
        ["plan", "cost"],
        [
            ["1→2, 3→4", f"{ot.linear_assignment(small).cost:g}"],
            ["1→4, 3→2", f"{ot.linear_assignment(small, maximize=True).cost:g}"],
        ],
    )
    rank = np.linalg.matrix_rank(constraints)
    size = " × ".join(map(str, constraints.shape))
    yield from prose(
        f"The constraints A Γ = b as the text stacks them: A is {size} of rank {rank} "
        "(the row sums and the column sums have one total), and A Γ = b for γ1, γ2 and the solver's plan."
    )
    yield "```"
    yield from ("  ".join(map(str, row)) for row in constraints)
    yield "```"
    yield ""


def random_problems(rng: np.random.Generator, ground: Any, instances: int) -> Iterator[tuple[Any, Any, Any]]:
    """Cost matrices between a few random points, with random weights."""
    for _ in range(instances):
        n, m = rng.integers(2, 9, 2)
        cost = ground(rng.random((n, 3)), rng.random((m, 3)))
        yield cost, rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))


def residuals(cost: Any, a: Any, b: Any) -> tuple[float, float, float]:
    """Of the linear program and its dual: |primal - dual|, f_i + g_j - C_ij and slack on the plan, all relative."""
    primal, dual = ot.lp_primal(cost, a, b), ot.lp_dual(cost, a, b)
    reduced = cost - dual.f[:, None] - dual.g
    gap = abs(primal.cost - (a @ dual.f + b @ dual.g)) / primal.cost
    return gap, -reduced.min() / cost.max(), np.abs(reduced[primal.plan.coords]).max() / cost.max()


def duality_residuals(instances: int = 100) -> dict[str, list[float]]:
    """For each ground cost the largest residuals of random problems."""
    rng = np.random.default_rng(1)
    return {
        name: np.max([residuals(*one) for one in random_problems(rng, ground, instances)], axis=0, initial=0.0).tolist()
        for name, ground in GROUND_COSTS.items()
    }


def duality() -> Iterator[str]:
    yield "## Primal and dual"
    yield ""
    yield from prose(
        "100 random problems for each of the three costs that the "
        "text names: min ⟨Γ, D⟩ = max ⟨b, F⟩ under AᵀF ≤ D, "
        "f(x) + g(y) ≤ d(x, y) for all pairs, with equality wherever "
        "the plan moves mass (complementary slackness)."
    )
    signs = {"cityblock": "‖x − y‖₁", "euclidean": "‖x − y‖₂", "sqeuclidean": "‖x − y‖₂²"}
    rows = [[signs[name], *(below(value, 1e-12) for value in values)] for name, values in duality_residuals().items()]
    yield from table(["cost", "primal − dual", "f + g − d", "slack on the plan"], rows)


def reduced_dual(cost: Array, p: Array, q: Array, constant: float = 1.0) -> float:
    """max Σ f (p − q) over f(x) − f(y) ≤ K d(x, y): the dual with g = −f put in, whatever the cost."""
    from scipy.optimize import linprog

    k = len(p)
    pairs = [(i, j) for i in range(k) for j in range(k) if i != j]
    rows = np.array([np.eye(k)[i] - np.eye(k)[j] for i, j in pairs])
    limits = [constant * cost[i, j] for i, j in pairs]
    answer = linprog(q - p, A_ub=rows, b_ub=limits, bounds=[(0, 0)] + [(None, None)] * (k - 1), method="highs")
    return float(-answer.fun)


def reduction() -> Iterator[str]:
    line = np.array([0, 1, 2])
    p, q = np.array([1.0, 0, 0]), np.array([0, 0, 1.0])
    yield "## Where g = −f, and where not"
    yield ""
    yield from prose("All mass at 0, to be moved to 2, on the support {0, 1, 2}:")
    rows = []
    for name, cost in (
        ("&#124;x − y&#124;", distances(line, line)),
        ("&#124;x − y&#124;²", distances(line, line) ** 2),
    ):
        rows.append([name, ot.solve_cost(cost, p, q).cost, reduced_dual(cost, p, q)])
    yield from table(["cost", "W = max over f, g", "max with g = −f"], rows)
    yield from prose(
        "g(x) ≤ −f(x) holds for every cost, but −f in the place of g "
        "need not be feasible: 0 → 1 → 2 costs 1 + 1 < 4 "
        "under the square. The triangle inequality is what the step "
        "needs, and `kantorovich_rubinstein` asks for it:"
    )
    try:
        ot.kantorovich_rubinstein(distances(line, line) ** 2, p, q)
    except ValueError as refusal:
        yield f"> {refusal}"
    yield ""
    yield from prose("A K-Lipschitz critic, fully trained, reports K·W (40 points, Euclidean distance):")
    rng = np.random.default_rng(2)
    points = rng.random((40, 2))
    cost = GROUND_COSTS["euclidean"](points, points)
    p, q = rng.dirichlet(np.ones(40)), rng.dirichlet(np.ones(40))
    exact = ot.kantorovich_rubinstein(cost, p, q).value
    rows = [[f"{k:g}", f"{reduced_dual(cost, p, q, k) / exact:.10f}"] for k in (0.5, 1, 2, 5)]
    yield from table(["K", "max over K-Lipschitz f, in units of W"], rows)


def corner_slopes() -> tuple[float, float]:
    """Steepest slope of an optimal potential of the L1 distance: along the axes, and per Euclidean length."""
    axis = np.arange(4)
    points = np.array([[i, j] for i in axis for j in axis], float)
    cost = GROUND_COSTS["cityblock"](points, points)
    start, end = np.eye(16)[0], np.eye(16)[15]
    f = ot.kantorovich_rubinstein(cost, start, end).f
    rise = np.abs(f[:, None] - f)
    apart = np.sqrt(np.square(points[:, None] - points).sum(-1))
    return float((rise[cost == 1]).max()), float((rise[apart > 0] / apart[apart > 0]).max())


def dual_norm() -> Iterator[str]:
    along, steepest = corner_slopes()
    yield from prose(
        "The gradient of a Lipschitz function is bounded in the "
        "*dual* norm. For the L1 distance that is ‖∇f‖_∞ ≤ 1, "
        "not ‖∇f‖₁ ≤ 1 nor ‖∇f‖₂ ≤ 1: the potential that carries a "
        "corner of a 4 × 4 grid to the other rises by "
        f"{along:g} along an axis, and by {steepest:.6f} per unit of "
        f"Euclidean length (√2 = {math.sqrt(2):.6f})."
    )


def gan_loss(p: Array, q: Array, critic: Array) -> float:
    """Σ p log D + q log(1 − D), atoms without mass left out."""
    real, fake = p > 0, q > 0
    return math.fsum(p[real] * np.log(critic[real])) + math.fsum(q[fake] * np.log1p(-critic[fake]))


def best_critic(p: Array, q: Array) -> Array:
    """D* = p / (p + q)."""
    return p / (p + q)


def gan() -> Iterator[str]:
    rng = np.random.default_rng(3)
    residual, least_drop = 0.0, math.inf
    for _ in range(1000):
        p, q = rng.dirichlet(np.full(8, 0.5)), rng.dirichlet(np.full(8, 0.5))
        critic = best_critic(p, q)
        value = gan_loss(p, q, critic)
        residual = max(residual, abs(value - (2 * ot.js_divergence(p, q) - 2 * math.log(2))))
        other = np.clip(critic + 0.01 * rng.choice([-1, 1], 8), 1e-9, 1 - 1e-9)
        least_drop = min(least_drop, value - gan_loss(p, q, other))
    p, q = np.array([0.5, 0.5, 0.0, 0.0]), np.array([0.0, 0.0, 0.5, 0.5])
    yield "## The GAN loss"
    yield ""
    yield from prose(
        "L(G, D*) = 2 JS(p ‖ q) − 2 log 2 with D* = p / (p + q), "
        "over 1,000 random pairs; moving D* by 0.01 always "
        "lowers L."
    )
    yield from table(
        ["what", "value"],
        [
            ["largest difference of the two sides", below(residual, 1e-12)],
            ["least loss from moving D*", "> 0" if least_drop > 0 else f"{least_drop:.1e}"],
            ["L at p = q, D* = ½ (−2 log 2)", f"{gan_loss(p, p, np.full(4, 0.5)):.6f}"],
            ["JS of disjoint laws (log 2)", f"{ot.js_divergence(p, q):.6f}"],
            ["2 JS − 2 log 2 of disjoint laws", f"{2 * ot.js_divergence(p, q) - 2 * math.log(2):g}"],
            ["JS of disjoint laws without the two ½ (2 log 2)", f"{2 * ot.js_divergence(p, q):.6f}"],
        ],
    )


def shift() -> Iterator[str]:
    yield "## Two segments at distance θ"
    yield ""
    yield from prose("P on {0} × [0, 1] and Q on {θ} × [0, 1]: exact values, and from 128 points each.")
    result = ot.theta_shift([-1, -0.1, 0, 0.1, 0.5, 1, 2], n=128)
    rows = []
    for k, theta in enumerate(result.theta):
        exact = [result.kl[k], result.js[k], result.tv[k], result.w1[k], result.dw_dtheta[k]]
        rows.append([f"{theta:g}", *(f"{value:.6g}" for value in (*exact, result.w1_sampled[k], result.dw_sampled[k]))])
    yield from table(["θ", "KL", "JS", "TV", "W₁", "dW₁/dθ", "W₁, sampled", "dW₁/dθ, sampled"], rows)
    yield from prose("W₁ = |θ|, not θ: continuous everywhere, differentiable everywhere but at 0.")


def batch_bias(x: Array, y: Array, batches: list[tuple[Array, Array]], ground: Callable[[Array, Array], Array]) -> Any:
    """(EWD, B_M = MBWD − EWD, the article's sum of absolute values, its bound) of a partition into batches."""
    n, cost, between = len(x), ground(x, y), ground(y, y)
    full = ot.linear_assignment(cost)
    inside = np.empty(n, dtype=int)
    for rows, cols in batches:
        match = ot.linear_assignment(cost[np.ix_(rows, cols)])
        inside[rows[match.rows]] = cols[match.cols]
    here, best = cost[np.arange(n), inside], cost[np.arange(n), full.cols]
    terms = here - best
    return best.mean(), math.fsum(terms) / n, math.fsum(np.abs(terms)) / n, between[inside, full.cols].sum() / n


def random_batches(rng: np.random.Generator, n: int, m: int) -> list[tuple[Array, Array]]:
    """n / m batches of m, drawn without replacement on either side."""
    return list(zip(rng.permutation(n).reshape(-1, m), rng.permutation(n).reshape(-1, m)))


def strata(points: Array, count: int) -> list[Array]:
    """Equal parts by halving at the median of the widest axis."""
    parts = [np.arange(len(points))]
    while len(parts) < count:
        halves = []
        for part in parts:
            axis = np.ptp(points[part], axis=0).argmax()
            halves += np.split(part[np.argsort(points[part, axis], kind="stable")], 2)
        parts = halves
    return parts


def stratified_batches(rng: np.random.Generator, x: Array, y: Array, m: int) -> list[tuple[Array, Array]]:
    """Batches that follow the data: each holds one point of each of m strata, on both sides."""
    sides = [np.stack([rng.permutation(part) for part in strata(points, m)], 1) for points in (x, y)]
    return list(zip(*sides))


def aligned_batches(x: Array, y: Array, m: int, ground: Callable[[Array, Array], Array]) -> list[tuple[Array, Array]]:
    """Batches cut along the optimal matching itself."""
    cols = ot.linear_assignment(ground(x, y)).cols
    return list(zip(np.arange(len(x)).reshape(-1, m), cols.reshape(-1, m)))


def mini_batches() -> Iterator[str]:
    euclidean, squared = GROUND_COSTS["euclidean"], GROUND_COSTS["sqeuclidean"]
    rng = np.random.default_rng(4)
    yield "## The bias of mini-batches"
    yield ""
    yield from prose(
        "B_M = MBWD − EWD: the mean distance of batches of m, less "
        "the distance of all n = 512. Uniform on a cube against "
        "the same cube moved by 1 along its first axis. The article "
        "writes |B_M| as a sum of absolute values, and bounds "
        "that sum by Σ c(y, y′)/n:"
    )
    rows = []  # one digit of the sums: on a line the optimal matching is not unique, and they depend on it
    for d, name, ground in ((1, "euclidean", euclidean), (2, "euclidean", euclidean), (1, "sqeuclidean", squared)):
        x, y = rng.random((512, d)), rng.random((512, d)) + np.eye(d)[0]
        value, bias, absolute, limit = batch_bias(x, y, random_batches(rng, 512, 8), ground)
        rows.append([d, name, f"{value:.4f}", f"{abs(bias):.4f}", f"{absolute:.1g}", f"{limit:.1g}"])
    yield from table(["d", "cost", "EWD", "B_M, m = 8", "sum of absolute values", "the article's bound"], rows)
    yield from prose(
        "The sum is an upper bound of B_M, far from an equality "
        "(first row: B_M is 0); and the article's bound on it uses "
        "the triangle inequality, so it fails for the squared cost (last row)."
    )
    yield from prose("Batches that follow the data (one point of each of m strata on both sides) against random ones:")
    rows = []
    for d in (2, 10):
        x, y = rng.random((512, d)), rng.random((512, d)) + np.eye(d)[0]
        for m in (8, 32, 128):
            drawn = batch_bias(x, y, random_batches(rng, 512, m), euclidean)[1]
            follow = batch_bias(x, y, stratified_batches(rng, x, y, m), euclidean)[1]
            aligned = batch_bias(x, y, aligned_batches(x, y, m, euclidean), euclidean)[1]
            rows.append([d, m, f"{drawn:.4f}", f"{follow:.4f}", below(aligned, 1e-13)])
    yield from table(["d", "m", "B_M, random", "B_M, stratified", "B_M, cut along π*"], rows)
    yield from prose(
        "B_M tends to 0 as m grows, faster for batches that follow "
        "the data; in ten dimensions 128 strata are few, and "
        "following the data helps little. Only batches cut along the optimal matching have none."
    )
    yield f"![The matching of eight points to eight, and of two batches of four]({FIGURE})"
    yield ""
    yield from prose(
        "The picture that the article announces and does not show: eight matched to eight, and two batches of four."
    )


def page() -> str:
    """docs/texts.md."""
    head = [
        "# The texts' own examples, computed",
        "",
        "Written by `python -m benchmarks.texts`; `tests/test_texts.py` proves each statement. What the texts get",
        "wrong stands in [errata.md](errata.md), what they claim of training in the [gallery](gallery/README.md).",
        "",
    ]
    sections = (blocks, duality, reduction, dual_norm, gan, shift, mini_batches)
    return "\n".join([*head, *(line for section in sections for line in section())]).rstrip() + "\n"


def draw_matchings(figure: Any) -> None:
    """Eight points matched to eight, at once and in two batches of four."""
    rng = np.random.default_rng(6)
    x, y = rng.random((8, 2)), rng.random((8, 2)) + np.array([0.4, 0])
    cost = GROUND_COSTS["euclidean"](x, y)
    whole = ot.linear_assignment(cost)
    halves = [ot.linear_assignment(cost[k : k + 4, k : k + 4]) for k in (0, 4)]
    matchings = {
        f"all eight: W₁ = {whole.cost / 8:.3f}": whole.cols,
        f"two batches of four: mean W₁ = {sum(half.cost for half in halves) / 8:.3f}": np.concatenate(
            [half.cols + k for half, k in zip(halves, (0, 4))]
        ),
    }
    for axes, (title, cols) in zip(figure.subplots(1, 2), matchings.items()):
        filled = np.zeros((8, 8))
        filled[cols, np.arange(8)] = 1
        axes.imshow(filled, cmap="Greys", vmin=0, vmax=1)
        axes.set(title=title, xlabel="real sample x", ylabel="generated sample y")
        axes.set_xticks(range(8), range(1, 9))
        axes.set_yticks(range(8), range(1, 9))
        axes.set_xticks(np.arange(7) + 0.5, minor=True)
        axes.set_yticks(np.arange(7) + 0.5, minor=True)
        axes.grid(which="minor", color="0.8")
        axes.tick_params(which="both", length=0)
        if "batches" in title:
            axes.axhline(3.5, color="tab:red")
            axes.axvline(3.5, color="tab:red")


def draw(path: Path) -> None:
    """The figure of the page."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.6), layout="constrained")
    draw_matchings(figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def main() -> None:
    (DOCS / "texts.md").write_text(page(), encoding="utf-8")
    draw(DOCS / FIGURE)
    print(f"wrote {DOCS / 'texts.md'} and {DOCS / FIGURE}")


if __name__ == "__main__":
    main()
