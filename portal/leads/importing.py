"""Writes leads from a file: each row goes through the same intake as a form or an API call, in its own savepoint.

A line of business that no partner has is no mistake of the row: the lead is kept and becomes unroutable with that
reason. A row under an external key seen before (in the file or in an earlier run) fills what is empty and changes what
differs; the same request under another key is new, counted in `duplicates`, and waits for a person.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.exc import DBAPIError

from portal.db import PortalSession
from portal.errors import Invalid
from portal.imports.actions import Outcome, Result
from portal.leads.intake import Received, receive, receive_all
from rules import RequestError

RESULTS: dict[str, Result] = {
    "new": "new",
    "suspected_duplicate": "new",
    "changed": "changed",
    "same": "same",
}
REFUSALS = (Invalid, RequestError, DBAPIError)
DATA_EXCEPTION = "22"  # class of SQLSTATE, PostgreSQL Appendix A


class LeadImport:
    """Imports LeadRecords; `routed` False leaves them to `interline route`. Counts suspected duplicates of the run."""

    def __init__(self, *, routed: bool = True) -> None:
        self.routed = routed
        self.duplicates = 0

    def apply(self, session: PortalSession, records: list[tuple[int, Any]]) -> list[Outcome]:
        """Take in a chunk; one outcome per record, in order. One bad row costs itself only.

        All of them at once under one savepoint; only when one is refused, one by one under a savepoint each.
        """
        point = session.begin_nested()
        try:
            received = receive_all(session, [record for _, record in records], routed=self.routed)
            point.commit()
        except REFUSALS as error:
            point.rollback()
            _reason(error)
            return [self._one(session, number, record) for number, record in records]
        return [self._outcome(number, one) for (number, _), one in zip(records, received, strict=True)]

    def _one(self, session: PortalSession, number: int, record: Mapping[str, Any]) -> Outcome:
        point = session.begin_nested()
        try:
            received = receive(session, record, routed=self.routed)
            point.commit()
        except REFUSALS as error:
            point.rollback()
            return Outcome(number, "wrong", _reason(error))
        return self._outcome(number, received)

    def _outcome(self, number: int, received: Received) -> Outcome:
        self.duplicates += received.outcome == "suspected_duplicate"
        return Outcome(number, RESULTS[received.outcome])


def _reason(error: Exception) -> str:
    """Why a row was refused. A deadlock or a lost connection is no fault of a row: it is raised again."""
    if isinstance(error, Invalid):
        return str(error)
    if isinstance(error, DBAPIError):
        state = getattr(error.orig, "sqlstate", None) or ""
        if error.connection_invalidated or not state.startswith(DATA_EXCEPTION):
            raise error
    return "a value does not fit its column (too long, or out of range)"
