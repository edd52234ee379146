"""Reads leads, offers and their lists as the session's context sees them. A number of statements that no row adds to."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Literal
from weakref import WeakKeyDictionary

from sqlalchemy import (
    Select,
    Subquery,
    TextClause,
    case,
    func,
    literal,
    select,
    text,
    true,
)
from sqlalchemy.engine import Engine, Row
from sqlalchemy.orm import aliased

from portal.accounts.models import Account
from portal.clocks import calendars
from portal.companies.models import Company
from portal.companies.queries import vendor_id
from portal.db import PortalSession
from portal.errors import NotFound
from portal.leads.models import Lead, Offer
from portal.partners.models import Level, ProductLine, Programme
from rules import Calendar

OFFER_COLUMNS = Offer.__table__.c.keys()
_OFFER = ", ".join(OFFER_COLUMNS)
View = Literal["vendor", "full", "offer", "past"]
Mapped = Mapping[Any, Any]  # RowMapping is one; its keys are names of columns
# Waits for a person of the vendor: nobody could take it, given back without a successor yet, or maybe a repeat.
QUEUE_ASSIGNMENTS = ("unroutable", "handed_back", "pulled_back")
CLOSED = ("won", "lost", "invalid", "duplicate")


@dataclass(frozen=True, slots=True)
class Seen:
    """A lead as this reader sees it. lead: its row (None before acceptance and afterwards); offer: the reader's own
    latest offer (a partner's) or the current one (the vendor's)."""

    view: View
    id: int
    number: str
    lead: Mapped | None
    offer: Mapped | None
    share: Mapped | None = None

    @property
    def brief(self) -> Mapped:
        """The offer view; empty when it was never offered."""
        return dict(self.offer["brief"]) if self.offer else {}

    @property
    def title(self) -> str:
        """The lead's title, from whatever the reader sees of it."""
        return str(self.lead["title"] if self.lead else self.brief.get("title", ""))


def find(session: PortalSession, number: str) -> Seen:
    """The lead with this number; NotFound for a foreign or unknown one alike."""
    if session.context.kind == "partner":
        return _partners_view(session, number)
    row = _by_number(session, number)
    if row is None:
        raise NotFound
    offer = session.read(LATEST, {"lead": row["id"]}).mappings().first()
    return Seen("vendor", row["id"], number, row, offer)


_LEAD = ", ".join(Lead.__table__.c.keys())
LEAD = text(
    f"select {_LEAD} from leads where realm_id = :realm and company_id = :vendor and number = :number"  # noqa: S608 - ours
)
LATEST = text(f"select {_OFFER} from offers where lead_id = :lead order by id desc limit 1")  # noqa: S608 - our own columns
SHARED = text(f"""
    select {", ".join(f"o.{name}" for name in OFFER_COLUMNS)},
           s.level as share_level, s.state as share_state, s.at
    from offers o join shares s on s.company_id = :me and s.subject_type = 'lead' and s.subject_id = o.lead_id
    where o.company_id = :me and o.lead_number = :number order by o.id desc limit 1
""")  # noqa: S608 - our own columns


def _by_number(session: PortalSession, number: str) -> Mapped | None:
    values = {"realm": session.context.realm_id, "vendor": vendor_id(session), "number": number}
    return session.read(LEAD, values).mappings().first()


def _partners_view(session: PortalSession, number: str) -> Seen:
    """What the partner's share lets it see: the offer view, all, or its own line."""
    values = {"me": session.context.company_id, "number": number}
    row = session.read(SHARED, values).mappings().first()
    if row is None:
        raise NotFound
    share = {"level": row["share_level"], "state": row["share_state"], "at": row["at"]}
    level: View = row["share_level"]
    lead = _by_number(session, number) if level == "full" else None
    return Seen(level, row["lead_id"], number, lead, row, share)


def by_id(session: PortalSession, lead_id: int) -> Mapped | None:
    """A lead's row by id, None when this context does not see it."""
    return session.execute(select(*Lead.__table__.c).where(Lead.id == lead_id)).mappings().first()


def number_of_offer(session: PortalSession, offer_id: int) -> str:
    """The number of the lead that an own offer is about; NotFound for a foreign one."""
    found = session.execute(
        select(Offer.lead_number).where(Offer.id == offer_id, Offer.company_id == session.context.company_id)
    ).scalar()
    if found is None:
        raise NotFound
    return str(found)


CUSTOMER = text("""
    select a.name, a.industry, a.website, a.external_key, c.name as contact, c.email, c.phone, c.street, c.language
    from accounts a left join contacts c on c.id = :contact where a.id = :account
""")


def customer(session: PortalSession, lead: Mapped) -> tuple[Mapped | None, Mapped | None]:
    """(account, contact) of an open lead."""
    values = {"account": lead["account_id"], "contact": lead["contact_id"]}
    row = session.read(CUSTOMER, values).mappings().first()
    if row is None:
        return None, None
    return row, row if lead["contact_id"] is not None else None


RAW = text("""
    select body, created_at, expires_at from texts
    where subject_type = 'lead' and subject_id = :lead and kind = 'request' and (expires_at is null or expires_at > :now)
    order by id desc limit 1
""")


def raw_request(session: PortalSession, lead_id: int) -> Mapped | None:
    """The request as it came, while it is kept; only the vendor's people see it."""
    return session.read(RAW, {"lead": lead_id, "now": session.context.now}).mappings().first()


def _named(table: str) -> TextClause:
    return text(f"select id, name from {table} where id = any(cast(:ids as bigint[]))")  # noqa: S608 - our own


COMPANY_NAMES, PEOPLE_NAMES = _named("companies"), _named("people")


def _names(session: PortalSession, query: TextClause, ids: Iterable[int | None]) -> dict[int, str]:
    wanted = {i for i in ids if i is not None}
    return {row.id: row.name for row in session.read(query, {"ids": list(wanted)})} if wanted else {}


def company_names(session: PortalSession, ids: Iterable[int | None]) -> dict[int, str]:
    """Names of companies the reader may know."""
    return _names(session, COMPANY_NAMES, ids)


def people_names(session: PortalSession, ids: Iterable[int | None]) -> dict[int, str]:
    """Names of people the reader may know (a partner: its own)."""
    return _names(session, PEOPLE_NAMES, ids)


PLACE = text("""
    select l.name, f.city, f.lat, f.lon, f.calendar from locations l
    join location_facts f on f.location_id = l.id and f.valid_to is null where l.id = :location
""")


def place_of(session: PortalSession, location_id: int) -> Mapped | None:
    """Town, coordinates and calendar of a location that the reader may know."""
    return session.read(PLACE, {"location": location_id}).mappings().first()


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """The reference words: code -> name. Each one read is itself: what is made of it is kept beside it."""

    lines: Mapping[str, str]
    programmes: Mapping[str, str]
    levels: Mapping[str, str]

    def line_names(self, codes: Iterable[str] | None) -> str:
        """Names of product lines, in one line."""
        return ", ".join(self.lines.get(code, code) for code in codes or ())

    def programme_names(self, codes: Iterable[str] | None) -> str:
        """Names of certification programmes, in one line."""
        return ", ".join(self.programmes.get(code, code) for code in codes or ())

    def level(self, code: str | None) -> str:
        """A programme level's name."""
        return self.levels.get(code, code.capitalize()) if code else ""


_catalogues: WeakKeyDictionary[Engine, dict[int, tuple[int, Catalogue]]] = WeakKeyDictionary()


def catalogue(session: PortalSession) -> Catalogue:
    """Product lines, programmes and levels of the realm, by name; kept until the directory's version moves."""
    ctx = session.context
    kept = _catalogues.setdefault(session.get_bind().engine, {})
    found = kept.get(ctx.realm_id)
    if found is None or found[0] < ctx.directory_version:
        found = kept[ctx.realm_id] = (ctx.directory_version, _read_catalogue(session))
    return found[1]


def _read_catalogue(session: PortalSession) -> Catalogue:
    parts = [
        select(literal(kind).label("kind"), table.code, table.name).where(
            table.realm_id == session.context.realm_id
        )
        for kind, table in (("line", ProductLine), ("programme", Programme), ("level", Level))
    ]
    found: dict[str, dict[str, str]] = {"line": {}, "programme": {}, "level": {}}
    for row in session.execute(parts[0].union_all(*parts[1:]).order_by(text("3, 2"))):
        found[row.kind][row.code] = row.name
    return Catalogue(found["line"], found["programme"], found["level"])


def named(page: Subquery, order: Sequence[Any]) -> Select[Any]:
    """A page of leads with `account` and `partner` (who holds it or has the offer) named."""
    holder, asked, offer = aliased(Company), aliased(Company), aliased(Offer)
    return (
        select(
            *page.c, Account.name.label("account"), func.coalesce(holder.name, asked.name).label("partner")
        )
        .select_from(page)
        .outerjoin(Account, Account.id == page.c.account_id)
        .outerjoin(holder, holder.id == page.c.holder_company_id)
        .outerjoin(offer, (offer.id == page.c.offer_id) & (page.c.assignment == "offered"))
        .outerjoin(asked, asked.id == offer.company_id)
        .order_by(*order)
    )


def offered_companies(session: PortalSession, offer_ids: Iterable[int | None]) -> dict[int, str]:
    """Offer id -> name of the partner it was made to; the vendor's view."""
    wanted = {i for i in offer_ids if i is not None}
    if not wanted:
        return {}
    query = (
        select(Offer.id, Company.name)
        .join(Company, Company.id == Offer.company_id)
        .where(Offer.id.in_(wanted))
    )
    return {row.id: row.name for row in session.execute(query)}


def queue_condition() -> Any:
    """Leads that wait for a person of the vendor."""
    suspected = Lead.suspected_duplicate_of.is_not(None) & (Lead.assignment == "unrouted")
    return Lead.stage.not_in(CLOSED) & (Lead.assignment.in_(QUEUE_ASSIGNMENTS) | suspected)


OPEN = text(f"""
    select {_OFFER} from offers where company_id = :me and state = 'offered' and deadline_at > :now
    order by deadline_at, id limit :n
""")  # noqa: S608 - our own columns


def open_offers(session: PortalSession, limit: int = 100) -> list[Mapped]:
    """The own company's offers that wait for an answer, the first deadline first."""
    ctx = session.context
    return list(session.read(OPEN, {"me": ctx.company_id, "now": ctx.now, "n": limit}).mappings())


def past_offers(session: PortalSession, states: Sequence[str], limit: int = 200) -> list[Mapped]:
    """The own company's answered or missed offers, newest first; each state is read no further than the limit."""
    values = {"me": session.context.company_id, "n": limit}
    return list(session.read(_past(tuple(states)), values).mappings())


@cache
def _past(states: tuple[str, ...]) -> TextClause:
    one = (
        f"(select {_OFFER} from offers where company_id = :me and state = '{state}'"  # noqa: S608 - our own words
        " order by offered_at desc limit :n)"
        for state in states
    )
    both = " union all ".join(one)
    return text(f"select * from ({both}) as found order by offered_at desc, id desc limit :n")  # noqa: S608 - ours


@dataclass(frozen=True, slots=True)
class OfferCounts:
    """How many of the own company's offers wait, were accepted, were missed."""

    waiting: int
    accepted: int
    missed: int


MISSED = ("declined", "expired", "withdrawn")


# Counted no further than is shown ("1,000+").
COUNTS = text("""
    select
      (select count(*) from (select 1 from offers where company_id = :me and state = 'offered' and deadline_at > :now
                             limit 1001) as a),
      (select count(*) from (select 1 from offers where company_id = :me and state = 'accepted' limit 1001) as b),
      (select count(*) from (select 1 from offers where company_id = :me and state in ('declined', 'expired', 'withdrawn')
                             limit 1001) as c)
""")


def offer_counts(session: PortalSession) -> OfferCounts:
    """Counts for the tabs of the inbox; one statement."""
    ctx = session.context
    found = session.read(COUNTS, {"me": ctx.company_id, "now": ctx.now}).one()
    return OfferCounts(*(int(n) for n in found))


ANSWERS = text("""
    select offered_at, answered_at, deadline_at, state, lead_number, location_id from offers
    where company_id = :me and offered_at >= :since and state in ('accepted', 'declined', 'expired')
    order by offered_at desc limit 500
""")


def answers_since(session: PortalSession, since: datetime) -> list[Mapped]:
    """Own offers answered, or lapsed, since a moment: times, state, and the location asked."""
    return list(session.read(ANSWERS, {"me": session.context.company_id, "since": since}).mappings())


CALENDARS = text("""
    select location_id, calendar from location_facts
    where location_id = any(cast(:ids as bigint[])) and valid_to is null
""")


def calendars_of(session: PortalSession, location_ids: Iterable[int]) -> dict[int, Calendar]:
    """The business calendars of locations, each read once."""
    wanted = set(location_ids)
    if not wanted:
        return {}
    found = session.read(CALENDARS, {"ids": list(wanted)})
    return {row.location_id: calendars.load(row.calendar) for row in found}


# Written out, so that every plan of it may use the index of open steps.
STEPS_DUE = text("""
    select number, title, city, next_step, next_step_on, amount, currency, stage from leads
    where holder_company_id = :me and next_step_on is not null and stage not in ('won', 'lost', 'invalid', 'duplicate')
    order by next_step_on, id limit :n
""")


def steps_due(session: PortalSession, limit: int = 5) -> list[Mapped]:
    """Leads the own company holds with a next step, the nearest day first."""
    values = {"me": session.context.company_id, "n": limit}
    return list(session.read(STEPS_DUE, values).mappings())


ENDED = ("won", "lost", "invalid", "duplicate")
"""Stages in which no next step is due."""

# What a partner's list shows of a lead it holds; before and afterwards the same keys are in the offer view.
SHOWN = (
    "title",
    "country",
    "postal",
    "city",
    "amount",
    "currency",
    "won_amount",
    "next_step",
    "next_step_on",
    "product_lines",
)


def shared(page: Subquery, order: Sequence[Any], company_id: Any) -> Select[Any]:
    """A page of shares with what the reader sees of each lead: all of it, or the offer view (`brief`)."""
    latest = (
        select(Offer.lead_number, Offer.brief)
        .where(Offer.lead_id == page.c.subject_id, Offer.company_id == company_id)
        .order_by(Offer.id.desc())
        .limit(1)
        .lateral("latest")
    )
    return (
        select(*page.c, *(getattr(Lead, key) for key in SHOWN), Account.name.label("account"))
        .add_columns(latest.c.lead_number.label("number"))
        .add_columns(case((Lead.id.is_(None), latest.c.brief)).label("brief"))
        .select_from(page)
        .outerjoin(Lead, Lead.id == page.c.subject_id)
        .outerjoin(Account, Account.id == Lead.account_id)
        .outerjoin(latest, true())
        .order_by(*order)
    )


def as_dicts(found: Iterable[Row[Any]]) -> list[dict[str, Any]]:
    """Rows by the names of their columns, as lists and files show them."""
    return [row._asdict() for row in found]


def shared_rows(found: Iterable[Row[Any]]) -> list[dict[str, Any]]:
    """Rows of `shared` as the list shows them."""
    return [_shared_row(row) for row in found]


def _shared_row(row: Row[Any]) -> dict[str, Any]:
    shown = row._asdict()
    brief = shown["brief"]
    shown["id"], shown["band"], shown["number"] = shown["subject_id"], None, shown["number"] or ""
    if shown["state"] in ENDED:  # what was planned before it ended is due no more
        shown["next_step"] = shown["next_step_on"] = None
    if brief is not None:
        for key in ("title", "country", "postal", "city", "band", "product_lines"):
            shown[key] = brief.get(key)
    shown["product_lines"] = shown["product_lines"] or ()
    return shown
