"""Files in: reading, mapping, writing in chunks, wrong rows back. Used by every room."""

from typing import Any


def includeme(config: Any) -> None:
    """Pages under /imports."""
    config.include("portal.imports.views")
