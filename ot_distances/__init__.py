"""Exact optimal transport in which every answer carries its proof, with KL, JS and total variation beside it."""

from .divergences import js_distance, js_divergence, kl_divergence, total_variation
from .problem import Assignment, Certificate, Estimate, NotConverged, Transport
from .theta_shift import ThetaShift, theta_shift
from .wasserstein import solve, solve_cost, wasserstein

__all__ = [
    "Assignment",
    "Certificate",
    "Estimate",
    "NotConverged",
    "ThetaShift",
    "Transport",
    "js_distance",
    "js_divergence",
    "kl_divergence",
    "solve",
    "solve_cost",
    "theta_shift",
    "total_variation",
    "wasserstein",
]
