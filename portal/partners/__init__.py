"""What makes a partner eligible, and the vendor's pages of partners."""

from typing import Any


def includeme(config: Any) -> None:
    """Pages under /partners."""
    config.include("portal.partners.views")
    config.include("portal.partners.proposals")
