"""Imports what every room publishes of its events, so that feeds and webhooks tell them all."""

from portal.leads import published as leads
from portal.partners import published as partners

__all__ = ["leads", "partners"]
