"""Routing: snapshots, decisions, and the page that explains them."""

from typing import Any


def includeme(config: Any) -> None:
    """The decision page."""
    config.include("portal.routing.views")
