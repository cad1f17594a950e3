"""Exact optimal transport in which every answer carries its proof, with KL, JS and total variation beside it."""

from .assignment import linear_assignment
from .divergences import js_distance, js_divergence, kl_divergence, total_variation
from .estimators import js_from_samples, kl_from_samples, tv_from_samples
from .gaussian import gaussian_wasserstein
from .inference import TestResult, confidence_interval, two_sample_test
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
    "TestResult",
    "ThetaShift",
    "Transport",
    "confidence_interval",
    "gaussian_wasserstein",
    "js_distance",
    "js_divergence",
    "js_from_samples",
    "kantorovich_rubinstein",
    "kl_divergence",
    "kl_from_samples",
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
    "tv_from_samples",
    "two_sample_test",
    "verify",
    "wasserstein",
]
