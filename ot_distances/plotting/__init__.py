"""Results in, Axes out, in one look. Nothing here solves, shows or saves."""

from .bounds import plot_bounds, plot_gaps
from .embedding import embed, plot_embedding
from .look import BLUE, COLUMN, GREEN, GREY, LOOK, PURPLE, SQUARE, VERMILION
from .motion import animate_displacement, displacement, plot_displacement
from .plan import plot_plan
from .potentials import plot_potentials
from .theta_shift import plot_theta_shift
from .training import plot_images, plot_log, plot_samples

__all__ = [
    "BLUE",
    "COLUMN",
    "GREEN",
    "GREY",
    "LOOK",
    "PURPLE",
    "SQUARE",
    "VERMILION",
    "animate_displacement",
    "displacement",
    "embed",
    "plot_bounds",
    "plot_displacement",
    "plot_embedding",
    "plot_gaps",
    "plot_images",
    "plot_log",
    "plot_plan",
    "plot_potentials",
    "plot_samples",
    "plot_theta_shift",
]
