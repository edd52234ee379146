"""Changes of a profile that a partner proposes and the vendor approves: what decides who is offered which lead."""

from typing import Any


def includeme(config: Any) -> None:
    """The partner's pages under /company/proposals and the vendor's under /proposals."""
    config.include("portal.partners.proposals.views")
