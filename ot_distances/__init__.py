"""Exact optimal transport in which every answer carries its proof, with KL, JS and total variation beside it."""

from .problem import Assignment, Certificate, Estimate, NotConverged, Transport

__all__ = [
    "Assignment",
    "Certificate",
    "Estimate",
    "NotConverged",
    "Transport",
]
