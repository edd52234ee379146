"""The decision page: who got a lead and why, and why nobody else did."""

from typing import Any


def includeme(config: Any) -> None:
    """GET /leads/{number}/decision."""
