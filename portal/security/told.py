"""What happens to accounts, in the one log: subject is the person, audience the company concerned and no other.

Nothing here holds personal data: a device is "firefox windows", a person is an id.
"""

import json
from typing import Any

from sqlalchemy import text

from portal.db import PortalSession
from portal.events.log import record


def here(session: PortalSession, type_: str, **data: Any) -> None:
    """One event of the acting person, for the company it acts for."""
    ctx = session.context
    assert ctx.person_id is not None
    # Locked, so that the events of one person stand in order.
    session.execute(
        text("select 1 from people where id = :person for no key update"), {"person": ctx.person_id}
    )
    record(session, type_, ("person", ctx.person_id), [ctx.company_id], data)


def account(session: PortalSession, type_: str, **data: Any) -> None:
    """One event of the acting person for each company it belongs to: the account is one."""
    session.execute(
        text("select app.tell_own(:type, cast(:data as jsonb))"), {"type": type_, "data": json.dumps(data)}
    )


def about(session: PortalSession, person_id: int, type_: str, **data: Any) -> None:
    """The same about another person, by `system` on the worker login."""
    session.execute(
        text("select app.tell(:person, :type, cast(:data as jsonb))"),
        {"person": person_id, "type": type_, "data": json.dumps(data)},
    )
