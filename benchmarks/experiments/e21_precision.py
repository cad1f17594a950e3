"""E21: the same matching in float32 and in float64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import ot_distances as ot

from .base import Claim, Criterion, Experiment, Part, Record, Results, Table, column, spread

POINTS, OFFSETS, STEP = 256, (0.0, 100.0, 10000.0), 1e-3


def run(seed: int) -> Record:
    """Two clouds close together, moved away from the origin."""
    import torch

    rng = np.random.default_rng(seed)
    start = rng.random((POINTS, 2))
    close = start + STEP * rng.normal(size=(POINTS, 2))
    found: Record = {}
    for offset in OFFSETS:
        x, y = start + offset, close + offset
        exact = ot.linear_assignment(cost(x, y))
        rounded = [points.astype(np.float32) for points in (x, y)]
        direct = ot.linear_assignment(cost(*rounded))  # differences of float32 points, which are exact near each other
        left, right = map(torch.from_numpy, rounded)
        product = torch.cdist(left, right).numpy()  # torch's default above 25 points: a matrix product
        shortcut = ot.linear_assignment(product.astype(np.float64))
        tensor = left.clone().requires_grad_()
        ot.wasserstein(tensor, right).backward()
        found[f"{offset:g}"] = {
            "differences": abs(direct.cost / exact.cost - 1),
            "otherwise matched": float((direct.cols != exact.cols).mean()),
            "product": abs(shortcut.cost / exact.cost - 1),
            "product matched": float((shortcut.cols != exact.cols).mean()),
            "gradient": float((tensor.grad.norm(dim=1) * POINTS - 1).abs().max()),
        }
    same = torch.rand(POINTS, 2, generator=torch.Generator().manual_seed(seed)).requires_grad_()
    ot.wasserstein(same, same.detach().clone()).backward()
    found["at zero"] = float(same.grad.abs().max())
    return found


def cost(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.sqrt(np.square(x[:, None] - y).sum(-1, dtype=np.float64))


def worst(offset: str, name: str, edge: Any = max) -> Any:
    return lambda results: edge(column(results["e21/precision"], offset, name))


def tables(results: Results) -> Iterator[tuple[str, Table]]:
    rows = []
    for offset in OFFSETS:
        names = ("differences", "otherwise matched", "product", "product matched")
        found = (column(results["e21/precision"], f"{offset:g}", name) for name in names)
        rows.append([f"{offset:,g}", *(spread(values, 2) for values in found)])
    head = ["offset", "error of W₁", "otherwise matched", "error, matrix product", "otherwise matched, matrix product"]
    yield f"{POINTS} points of the unit square and the same points moved by {STEP:g}, far from the origin", (head, rows)


EXPERIMENT = Experiment(
    name="e21-precision",
    title="float32 against float64",
    method=(
        f"{POINTS} points and copies of them moved by about {STEP:g}, at a distance from the origin. In float64; "
        "rounded to float32, with costs from differences; and in float32 with `torch.cdist` as it is by default, a "
        "matrix product. The share of points matched otherwise, and the relative error of W₁."
    ),
    parts=(Part("e21/precision", run),),
    claims=(
        Claim(
            "beyond the texts",
            "float32 points are good enough for the primal loss",
            (
                Criterion("error of W₁ at the origin", worst("0", "differences"), "<", 1e-4),
                Criterion("error of W₁ at offset 100", worst("100", "differences"), "<", 1e-2),
                Criterion("otherwise matched at offset 100", worst("100", "otherwise matched"), "<", 0.05),
                Criterion("gradient's length less 1, offset 100", worst("100", "gradient"), "<", 1e-5),
                Criterion(
                    "gradient where points coincide", lambda r: max(column(r["e21/precision"], "at zero")), "=", 0
                ),
            ),
            "reproduced",
            "If distances are taken from differences and matched in float64, as the library does.",
        ),
        Claim(
            "beyond the texts",
            "so are float32 distances by a matrix product",
            (Criterion("error of W₁ at offset 100, least", worst("100", "product", min), ">", 1),),
            "wrong",
            "The product cancels what the points have in common: away from the origin it returns noise, and a "
            "matching of it.",
        ),
    ),
    tables=tables,
)
