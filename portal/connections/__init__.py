"""Systems of other companies: API clients and their tokens, what every API call shares, the OpenAPI document."""

from pyramid.config import Configurator


def includeme(config: Configurator) -> None:
    """Tokens and the document; the endpoints themselves are declared by the rooms (portal/leads/api.py)."""
    config.include("portal.connections.oauth")
    config.include("portal.leads.api")
    config.include("portal.connections.openapi")
