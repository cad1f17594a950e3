"""Exact optimal transport in which every answer carries its proof, with KL, JS and total variation beside it."""

from .assignment import linear_assignment
from .divergences import js_distance, js_divergence, kl_divergence, total_variation
from .gaussian import gaussian_wasserstein
from .pairwise import pairwise
from .problem import Assignment, Certificate, Estimate, NotConverged, Transport
from .sliced import sliced_wasserstein
from .textbook import kantorovich_rubinstein, lp_constraints, lp_dual, lp_primal
from .theta_shift import ThetaShift, theta_shift
from .verification import verify
from .wasserstein import solve, solve_cost, wasserstein

__all__ = [
    "Assignment",
    "Certificate",
    "Estimate",
    "NotConverged",
    "ThetaShift",
    "Transport",
    "gaussian_wasserstein",
    "js_distance",
    "js_divergence",
    "kantorovich_rubinstein",
    "kl_divergence",
    "linear_assignment",
    "lp_constraints",
    "lp_dual",
    "lp_primal",
    "pairwise",
    "sliced_wasserstein",
    "solve",
    "solve_cost",
    "theta_shift",
    "total_variation",
    "verify",
    "wasserstein",
]
