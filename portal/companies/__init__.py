"""Companies, locations, people and their roles; the pages by which a partner keeps its own facts."""

from typing import Any


def includeme(config: Any) -> None:
    """Pages under /company."""
    config.include("portal.companies.views")
