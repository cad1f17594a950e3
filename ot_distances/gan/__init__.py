"""A thin harness: one loop that trains a generator by any objective, and measures it against held-out points."""

from .._arrays import require

try:
    import torch  # noqa: F401
except ImportError:
    require("torch", "`ot_distances.gan`")  # says how to get it
    raise

from ..datasets import DatasetMissing
from .config import PRESETS, RunConfig, objective_of, wgan_paper
from .data import DATASETS, Dataset, load
from .objectives import JS, KL, OBJECTIVES, TV, WGAN, WGANGP, Objective, Primal, SemiDual, Sliced, Vanilla
from .trainer import Diverged, Trainer, restore, resume, train

__all__ = [
    "DATASETS", "JS", "KL", "OBJECTIVES", "PRESETS", "TV", "WGAN", "WGANGP", "Dataset", "DatasetMissing", "Diverged",
    "Objective", "Primal", "RunConfig", "SemiDual", "Sliced", "Trainer", "Vanilla", "load", "objective_of", "restore",
    "resume", "train", "wgan_paper",
]  # fmt: skip
