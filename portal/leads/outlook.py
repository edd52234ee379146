"""What routing needs to know of leads to come, read in the statement that reads what else is known of them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from sqlalchemy.engine import Row

from portal.db import PortalSession
from portal.leads import mails
from portal.routing import actions as routing
from portal.routing.snapshot import NoRuleSet
from rules import Request, State


@dataclass(slots=True)
class Outlook:
    """Who may be chosen for some leads, their counters, and where somebody reads mail."""

    COLUMNS: ClassVar[str] = f"{routing.COUNTERS} as counters, {mails.STAFFED} as staffed"
    shortlists: routing.Shortlists
    state: State = field(default_factory=State)
    staffed: frozenset[int] = frozenset()

    def parameters(self) -> dict[str, Any]:
        """Of COLUMNS."""
        ids = self.shortlists.ids
        return {"shortlist": routing.array(ids), "unseen": routing.array(mails.unseen(ids))}

    def read(self, row: Row[Any]) -> None:
        """Take what COLUMNS answered."""
        self.state = routing.state_of(row.counters or ())
        self.staffed = mails.staffed_of(self.shortlists.ids, row.staffed)


NOTHING = {"shortlist": None, "unseen": None}


def outlook(session: PortalSession, requests: Iterable[Request]) -> Outlook | None:
    """Of requests that are to be routed, not read yet; None while nothing can be decided."""
    try:
        return Outlook(routing.shortlists(session, requests))
    except NoRuleSet:
        return None
