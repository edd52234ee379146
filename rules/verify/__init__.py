"""Verification of a draft: rows that never fire or make no difference, contradictions, a `who` that nobody meets."""

from .checks import verify
from .findings import CODES, CONFLICT, NEVER_FIRES, SHADOWED, WHO_UNMET, Finding, Report, Witness

__all__ = [
    "CODES",
    "CONFLICT",
    "NEVER_FIRES",
    "SHADOWED",
    "WHO_UNMET",
    "Finding",
    "Report",
    "Witness",
    "verify",
]
