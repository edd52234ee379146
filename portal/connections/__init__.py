"""Systems of other companies: API clients and their tokens, what every API call shares, the OpenAPI document."""

from typing import Any


def includeme(config: Any) -> None:
    """Tokens and the document; the endpoints themselves are declared by the rooms (portal/leads/api.py)."""
    config.include("portal.connections.oauth")
    config.include("portal.connections.together")
    config.include("portal.connections.openapi")
