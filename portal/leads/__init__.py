"""Leads: intake, routing and offering, answers, stages, and their pages."""

from typing import Any


def includeme(config: Any) -> None:
    """Fixed addresses before those with a number in them."""
    config.include("portal.leads.lists")
    config.include("portal.leads.board")
    config.include("portal.leads.queue")
    config.include("portal.leads.intake_views")
    config.include("portal.leads.inbox")
    config.include("portal.leads.api")
    config.include("portal.leads.file_api")
    config.include("portal.leads.link")  # the page behind a mail's link
    config.include("portal.leads.views")
    config.include("portal.leads.file_views")
    config.include("portal.leads.sheet")
    config.include("portal.leads.decision.views")
    config.include("portal.leads.decision.search")
    config.include("portal.leads.decision.load")
    config.include("portal.leads.decision.cover")
    config.include("portal.leads.decision.ours")
