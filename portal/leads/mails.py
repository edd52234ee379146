"""The mails of an offer: offered, reminder, expired, accepted; one per person of the location, in their own terms.

A mail holds the offer view and no more, so it never carries a customer's personal data; after acceptance it links to
the lead's page. Each mail of an open offer has its own link (portal.leads.link): the token follows from the work
item and the recipient, so that a second attempt sends the same link under the same Message-ID.
"""

import base64
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import structlog
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.engine import Row

from portal.db import PortalSession
from portal.events.work import Effect, Item, handler
from portal.gateways import Message, mailer
from portal.leads import facts
from portal.security.context import digest
from portal.security.models import CredentialRow
from portal.settings import Settings, load
from portal.web.formatting import Formatter
from portal.web.i18n import _, localizer_of, spoken

log = structlog.get_logger(__name__)

TEMPLATES = Path(__file__).parent / "templates" / "mail"
# Business time that lies this far behind the realm's clock is a replay (the demo's past): nobody is told of it.
REPLAYED = timedelta(minutes=10)
WITHIN_A_WEEK = 7
OPEN = ("offered", "reminder")

OFFER = text("""
    select o.*, l.number, l.assignment, vendor.name as vendor_name, loc.name as location_name,
           app.clock(o.realm_id) as real_now, r.clock_offset_seconds as offset_seconds,
           taker.name as taken_by
    from offers o
    join leads l on l.id = o.lead_id
    join realms r on r.id = o.realm_id
    join companies vendor on vendor.id = l.company_id
    join locations loc on loc.id = o.location_id
    left join people taker on taker.id = o.answered_by
    where o.id = :id
""")
SERVING = """
    from locations l
    join memberships m on m.realm_id = l.realm_id and m.company_id = l.company_id
        and m.role in ('sales', 'administrator') and (m.location_ids is null or l.id = any(m.location_ids))
    join people p on p.id = m.person_id and p.status in ('active', 'invited')
"""
RECIPIENTS = text(f"""
    select distinct p.id, p.email, p.name, p.language, coalesce(p.time_zone, c.time_zone) as time_zone
    {SERVING} join companies c on c.id = l.company_id where l.id = :location order by p.id
""")
# Those of the locations `unseen` that have anybody to mail; an array of ids.
STAFFED = f"array(select distinct l.id {SERVING} where l.id = any(cast(:unseen as bigint[])))"
ASK_STAFFED = text(f"select {STAFFED}")


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads a mail: address, name, and how to write times and words for them."""

    person_id: int
    email: str
    name: str
    fmt: Formatter


@handler("offer.mail", outside=True)
def offer_mail(session: PortalSession, item: Item) -> Effect | None:
    """Mail the people of the offer's location; nothing when the moment for it has passed."""
    what = item.payload["what"]
    offer = session.execute(OFFER, {"id": int(item.payload["offer"])}).first()
    if offer is None or not still_true(offer, what, session.context.now):
        return None
    settings = load()
    names = facts.names(session)
    readers = recipients(session, offer)
    if not readers:
        log.debug("nobody to mail at the location", offer=offer.id, location=offer.location_id)
    messages = []
    for reader in readers:
        url = f"{settings.site_url}/leads/{offer.number}"
        if what in OPEN:
            token = link_token(settings, item.id, reader.email)
            _open_link(session, offer, reader, token)
            url = f"{settings.site_url}/o/{token}"
        identity = _identity(settings, item.id, reader.email)
        messages.append(compose(settings, offer, what, reader, names, url, identity))

    def send() -> None:
        sender = mailer(settings)
        for message in messages:
            sender.send(message)

    return send


def still_true(offer: Row[Any], what: str, now: datetime) -> bool:
    """Whether the mail still says what is so."""
    if now < offer.real_now - REPLAYED:
        return False
    if what in OPEN:
        return bool(offer.state == "offered" and offer.deadline_at > now)
    return bool(offer.state == what)


def recipients(session: PortalSession, offer: Row[Any]) -> list[Reader]:
    """Sales and administrators of the company who serve the offer's location."""
    rows = session.execute(RECIPIENTS, {"location": offer.location_id})
    now = session.context.now
    found = []
    for row in rows:
        fmt = Formatter(now, row.time_zone, spoken(row.language))
        found.append(Reader(row.id, row.email, row.name, fmt))
    return found


# Locations seen with somebody to mail. One that has lost its last reader since costs a mail to nobody, nothing more.
_seen_staffed: set[int] = set()


def staffed(session: PortalSession, locations: Iterable[int]) -> frozenset[int]:
    """Those of the locations that have anybody to mail now."""
    wanted = frozenset(locations)
    unknown = unseen(wanted)
    found = session.connection().execute(ASK_STAFFED, {"unseen": unknown}).scalar_one() if unknown else ()
    return staffed_of(wanted, found)


def unseen(locations: Iterable[int]) -> list[int]:
    """Those that are to be asked about (STAFFED)."""
    return [i for i in locations if i not in _seen_staffed]


def staffed_of(locations: Iterable[int], found: Iterable[int]) -> frozenset[int]:
    """Those of the locations that have anybody to mail, after STAFFED has `found` some of the unseen."""
    _seen_staffed.update(found)
    return frozenset(_seen_staffed.intersection(locations))


def link_token(settings: Settings, item_id: int, email: str) -> str:
    """256 bits that nobody without INTERLINE_SECRET can make; the same for every attempt of one work item."""
    key = settings.derive("offer link")
    made = hmac.new(key, f"{item_id}\0{email}".encode(), "sha256").digest()
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


def _identity(settings: Settings, item_id: int, email: str) -> str:
    """Message-ID without brackets: what lets a mail system drop a repeated attempt."""
    mark = hmac.new(settings.derive("mail identity"), f"{item_id}\0{email}".encode(), "sha256").hexdigest()
    return f"offer.{item_id}.{mark[:16]}@{settings.mail_from.rpartition('@')[2].rstrip('>') or 'localhost'}"


def _open_link(session: PortalSession, offer: Row[Any], reader: Reader, token: str) -> None:
    """Store the link's hash, bound to offer, company, person and address; credentials end in real time."""
    real = offer.real_now - timedelta(seconds=offer.offset_seconds)
    row = {
        "hash": digest(token),
        "purpose": "offer",
        "realm_id": offer.realm_id,
        "kind": "link",
        "company_id": offer.company_id,
        "person_id": reader.person_id,
        "subject_id": offer.id,
        "bound_to": reader.email,
        "scopes": [],
        "created_at": real,
        "seen_at": real,
        "expires_at": offer.deadline_at - timedelta(seconds=offer.offset_seconds),
    }
    session.execute(upsert(CredentialRow).values(row).on_conflict_do_nothing())


# -- words ---------------------------------------------------------------------------------------------------------


def compose(
    settings: Settings,
    offer: Row[Any],
    what: str,
    reader: Reader,
    names: facts.Names,
    url: str,
    identity: str,
) -> Message:
    """One mail, as text and as plain HTML."""
    fmt, tr = reader.fmt, reader.fmt.tr
    headline = facts.headline(offer.number, offer.brief, tr)
    by = answer_by(offer.deadline_at, fmt, tr)
    values = {
        "what": what,
        "headline": headline,
        "subject": subject(what, headline, by, tr),
        "name": reader.name,
        "vendor": offer.vendor_name,
        "location": offer.location_name,
        "taken_by": offer.taken_by,
        "by": by,
        "until": fmt.full_text(offer.deadline_at),
        "left": fmt.left_text(offer.deadline_at),
        "facts": facts.facts(offer.brief, names, fmt, tr),
        "why": facts.why(offer.brief, names, fmt, tr),
        "url": url,
        "site": settings.site_url,
        "language": fmt.locale,
    }
    return Message(
        to=reader.email,
        subject=values["subject"],
        text=_render("offer.txt.jinja2", reader, values),
        html=_render("offer.html.jinja2", reader, values),
        message_id=identity,
        zone=fmt.tz,
    )


def answer_by(until: datetime, fmt: Formatter, tr: facts.Translate) -> str:
    """'Mon 16:00' within a week, else 'Mon 7 Dec, 16:00', in the reader's time zone."""
    local = fmt.local(until)
    if 0 <= (local.date() - fmt.today).days < WITHIN_A_WEEK:
        return f"{fmt.day_text(local.date(), weekday=True).split()[0].rstrip(',')} {local:%H:%M}"
    return f"{fmt.day_text(local.date(), weekday=True)}, {local:%H:%M}"


def subject(what: str, headline: str, by: str, tr: facts.Translate) -> str:
    """The one line that must do on a phone's lock screen."""
    words = {
        "offered": _("${lead} - answer by ${by}", mapping={"lead": headline, "by": by}),
        "reminder": _("Reminder: ${lead} - answer by ${by}", mapping={"lead": headline, "by": by}),
        "expired": _("${lead} - lapsed, nobody answered in time", mapping={"lead": headline}),
        "accepted": _("${lead} - it is yours", mapping={"lead": headline}),
    }
    return tr(words[what])


@lru_cache(maxsize=32)
def _environment(language: str) -> Environment:
    """Templates with `_()` in one language; HTML is escaped, text is not."""
    env = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html.jinja2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    found = localizer_of(language)
    env.install_gettext_callables(  # type: ignore[attr-defined]
        lambda words: found.translate(words, domain="interline"),
        lambda one, many, n: found.pluralize(one, many, n, domain="interline"),
        newstyle=True,
    )
    return env


def _render(name: str, reader: Reader, values: Mapping[str, Any]) -> str:
    return _environment(reader.fmt.locale).get_template(name).render(values)
