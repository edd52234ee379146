"""The pull feed over the one log: a cursor `epoch.position`, and the page of events after it for one company.

Positions are stamped after commit (sequencer), so that a cursor never skips; the epoch changes with every restore, so
that no reader trusts a position that was undone. A page is told for the session's company only: row-level security
says so, and the query repeats it, which lets the index on the audience answer.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, bindparam, text
from sqlalchemy.engine import Connection, Row

from portal.db import PortalSession
from portal.errors import Fault, Gone, Invalid

MAX_EVENTS = 100
# A reader for whom nothing came within so many positions gets a new cursor, so that asking again stays cheap.
STRETCH = 200
CURSOR = re.compile(r"([0-9]{1,18})\.([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the log: all events up to `position` have been read."""

    epoch: int
    position: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.position}"


@dataclass(frozen=True, slots=True)
class Page:
    """Events after a cursor, where to go on, and whether more were there already."""

    rows: list[Row[Any]]
    after: Cursor
    next: Cursor
    more: bool


def parse(given: str) -> Cursor:
    """A cursor as it was handed out. Raises Invalid."""
    found = CURSOR.fullmatch(given)
    if found is None:
        cure = (
            "Send back the cursor of an answer as it stands, or leave `after` out to begin at the beginning."
        )
        raise Invalid(Fault("after", None, cure, "cursor"))
    return Cursor(int(found[1]), int(found[2]))


# Written into the statement, so that it is planned for this company each time: an audience that stands in every event
# and one that stands in a dozen want opposite plans, and a kept plan is right for neither.
PAGE = text("""
    select id, pos, at, company_id, subject_type, subject_id, type, version, data from events
    where pos > :after and pos <= :tip and audience @> array[cast(:company as bigint)] order by pos limit :limit
""").bindparams(
    *(bindparam(name, type_=BigInteger, literal_execute=True) for name in ("after", "tip", "company"))
)
TIP = text("select epoch, pos from app.feed_tip()")


def page(session: PortalSession, after: Cursor | None, limit: int) -> Page:
    """Up to `limit` events after the cursor (None: from the beginning). Raises Gone for a cursor of another epoch."""
    tip = session.execute(TIP).one()
    begin = after or Cursor(tip.epoch, 0)
    # A position that was never handed out comes from a log that a restore has replaced.
    if begin.epoch != tip.epoch or begin.position > tip.pos:
        raise Gone(
            Fault(
                "after",
                None,
                "This cursor is from before the log was restored. Read anew what you keep, and begin without `after`;"
                " an event that you know already has the same id.",
                "epoch_gone",
            )
        )
    given = {"after": begin.position, "tip": tip.pos, "company": session.context.company_id}
    rows = list(session.execute(PAGE, {**given, "limit": limit + 1}))
    more = len(rows) > limit
    rows = rows[:limit]
    # At the end of the log the cursor passes over what was for others: all of it had committed when we looked.
    ends = rows[-1].pos if more else tip.pos
    return Page(rows, begin, Cursor(tip.epoch, ends), more)


EPOCHS = text("select id, after_position from feed_epochs order by id desc")


def event_ids(session: PortalSession, rows: list[Row[Any]]) -> dict[int, str]:
    """Position -> the event's id outside, `epoch.position` of its stamping: a restore never gives it to another."""
    epochs = session.execute(EPOCHS).all() if rows else []
    first = epochs[-1].id if epochs else 0
    return {
        row.pos: f"{next((e.id for e in epochs if e.after_position < row.pos), first)}.{row.pos}"
        for row in rows
    }


# -- nothing new ---------------------------------------------------------------------------------------------------


def tag(company: int, after: Cursor | None, limit: int, next_: Cursor) -> str:
    """The ETag of a page: where it ends, in clear, and what it is a page of, so that no other page is taken for it."""
    of = hashlib.sha256(f"{company}|{after or ''}|{limit}|{next_}".encode()).hexdigest()[:16]
    return f"{next_}-{of}"


POLL = "select epoch, news, company_id, client_id, scopes from app.feed_poll(%s, %s, %s)"


def nothing_new(
    connection: Connection, token: bytes, after: Cursor | None, limit: int, given: str
) -> Row[Any] | None:
    """Who asks (company, client, scopes) when the ETag `given` is this page's and still true, else None.

    One statement outside a transaction: it looks the token up and along the few positions since.
    """
    ends = CURSOR.match(given)
    if ends is None:
        return None
    seen = Cursor(int(ends[1]), int(ends[2]))
    row = connection.exec_driver_sql(POLL, (token, seen.position, STRETCH)).one()
    if row.company_id is None or row.news or row.epoch != seen.epoch:
        return None
    return row if given == tag(row.company_id, after, limit, seen) else None
