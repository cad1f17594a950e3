"""Training runs: a config and a seed in, the curves and what was generated out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ot_distances import gan

from .base import Record, pack

SHOWN = 400  # points kept for the picture of a cloud
IMAGES = 32  # images kept for the picture of a run
DIGITS = 5  # significant ones, in a result


def train(
    seed: int,
    *,
    steps: int,
    objective: str,
    options: dict[str, Any] | None = None,
    shots: Sequence[int] = (),
    **settings: Any,
) -> Record:
    """Train a `gan.RunConfig` with these settings, and an objective with these options.

    Returns
    -------
    dict
        summary, curve (each measure at each evaluation), and of the first seed samples (at the steps `shots`, which
        must be evaluated) and walk; or only `diverged`, the text of the error.
    """
    config = gan.RunConfig(
        objective=gan.objective_of(objective, **(options or {})),
        seed=seed,
        save_every=10 * steps,
        log_every=steps,
        **settings,
    )
    with TemporaryDirectory() as folder:
        out = Path(folder)
        try:
            summary = gan.train(config, out, steps=steps)
        except gan.Diverged as error:
            return {"diverged": str(error).partition(".")[0]}
        rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text("utf-8").splitlines()]
        rows = [row for row in rows if "w1" in row]
        record: Record = {
            "summary": {name: short(value) for name, value in summary.items() if name != "seconds"},
            "curve": {name: [short(row[name]) for row in rows] for name in CURVES if name in rows[0]},
        }
        if seed == 0 and shots:
            kept = SHOWN if config.data in ("ring8", "grid25") else IMAGES
            clouds = {step: np.load(out / "samples" / f"{step:08d}.npy")[:kept] for step in shots}
            record["samples"] = {step: pack(points) for step, points in clouds.items()}
            record |= {"walk": pack(np.load(out / "walk.npy"))} if (out / "walk.npy").exists() else {}
    return record


CURVES = ("step", "w1", "w2", "w_estimate", "js_estimate", "high_quality", "rarest", "entropy", "spread")


def short(value: float) -> float:
    """To a few digits: the rest is noise, and every digit is kept in git."""
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
