"""The timeline: a lead's events as sentences for this reader. Row-level security has left out what is not for it.

Four statements whatever the length: events, words, people, companies.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from portal.companies.queries import vendor_id
from portal.db import PortalSession
from portal.events.models import Event
from portal.leads import words
from portal.leads.queries import Catalogue, Seen, company_names, people_names
from portal.sharing.models import Text
from portal.web.formatting import fmt
from portal.web.i18n import _, inside, ntr, tr
from portal.web.parts import Entry
from portal.web.status import status_label

MOST = 300
"""Events told on one page; older ones stay in the log."""
CHOSEN = _("You were chosen")
FIELD_WORDS = {
    "title": _("title"),
    "need": _("need"),
    "product_lines": _("product lines"),
    "certifications": _("certifications"),
    "amount": _("worth"),
    "currency": _("currency"),
    "language": _("language"),
    "start_on": _("start"),
    "source": _("source"),
    "channel": _("channel"),
    "hours": _("hours"),
    "industry": _("industry"),
    "legal_basis": _("legal basis"),
    "country": _("country"),
    "subdivision": _("region"),
    "postal": _("postcode"),
    "city": _("town"),
    "lat": _("place on the map"),
    "lon": _("place on the map"),
    "precision": _("place on the map"),
    "account": _("company"),
    "contact": _("contact"),
    "email": _("e-mail"),
    "phone": _("telephone"),
    "street": _("street"),
}


@dataclass(frozen=True, slots=True)
class Teller:
    """What sentences are made of: who reads, and the names behind the ids."""

    seen: Seen
    me: int | None
    person: int | None
    own: str
    vendor: tuple[int, str]
    names: Mapping[int, str]
    people: Mapping[int, str]
    texts: Mapping[int, tuple[str, list[int]]]
    catalogue: Catalogue

    def company(self, company_id: int | None) -> str:
        """A company's name; 'a partner' for one this reader may not know."""
        return self.names.get(company_id or 0) or tr(_("a partner"))

    def actor(self, event: Any) -> str:
        """'You', 'Lukas Huber', 'Tomas Berg, Halden Pumps' or the company."""
        if event.person_id is not None and event.person_id == self.person:
            return tr(_("You"))
        name = self.people.get(event.person_id or 0)
        company = self.company(event.company_id)
        if name and event.company_id != self.me:
            return f"{name}, {company}"
        return name or company

    def said(self, event: Any) -> str:
        """The words kept for an event, while the reader may see them."""
        key = event.data.get("text")
        return self.texts.get(int(key), ("", []))[0] if key else ""


def timeline(session: PortalSession, seen: Seen, catalogue: Catalogue) -> list[Entry]:
    """The entries, newest first."""
    query = (
        select(Event)
        .where(Event.subject_type == "lead", Event.subject_id == seen.id)
        .order_by(Event.id.desc())
        .limit(MOST)
    )
    events = list(session.scalars(query))
    teller = _teller(session, seen, catalogue, events)
    entries: list[Entry] = []
    for event in events:
        tell = TELL.get(event.type)
        if tell is not None:
            found = tell(teller, event)
            entries += [found] if isinstance(found, Entry) else found
    return entries


def _teller(session: PortalSession, seen: Seen, catalogue: Catalogue, events: list[Event]) -> Teller:
    ctx = session.context
    vendor = vendor_id(session)
    keys = [int(e.data["text"]) for e in events if e.data.get("text")]
    texts: dict[int, tuple[str, list[int]]] = {}
    if keys:
        rows = session.execute(select(Text.id, Text.body, Text.audience).where(Text.id.in_(keys)))
        texts = {row.id: (row.body or "", list(row.audience)) for row in rows}
    companies = {vendor, ctx.company_id, *(e.company_id for e in events)}
    companies |= {int(e.data["company"]) for e in events if e.data.get("company")}
    names = company_names(session, companies)
    people = people_names(session, (e.person_id for e in events))
    return Teller(
        seen, ctx.company_id, ctx.person_id, ctx.company_name or "", (vendor, names.get(vendor, "")), names, people,
        texts, catalogue,
    )  # fmt: skip


def _received(t: Teller, e: Event) -> Entry:
    source = words.word(words.SOURCES, e.data.get("source"))
    text = (
        _("received the request from: ${source}", mapping={"source": source})
        if source
        else _("received the request")
    )
    return Entry(e.at, t.actor(e), tr(text), icon="ticket")


def _suspected(t: Teller, e: Event) -> Entry:
    return Entry(
        e.at, t.vendor[1], tr(_("holds it back: it may be the same request as another one")), "", "copy", "warn",
        url=f"/leads/{t.seen.number}/duplicate", url_label=_("See both"),
    )  # fmt: skip


def _changed(t: Teller, e: Event) -> Entry:
    fields = list(dict.fromkeys(tr(FIELD_WORDS.get(f, f)) for f in e.data.get("fields", ())))
    return Entry(
        e.at, t.actor(e), tr(_("changed ${fields}", mapping={"fields": ", ".join(fields)})), icon="pencil"
    )


def _decided(t: Teller, e: Event) -> Entry:
    n = e.data.get("eligible") or 0
    text = ntr("found one partner that could take it", "found ${n} partners that could take it", n)
    url = f"/leads/{t.seen.number}/decision?decision={e.data.get('decision')}"
    return Entry(
        e.at, tr(_("Routing")), text, "", "arrows-split", "accent", url=url, url_label=_("How it was decided")
    )


def _offered(t: Teller, e: Event) -> Entry | list[Entry]:
    to = t.company(int(e.data["company"]))
    until = tr(
        _("Answer by ${when}.", mapping={"when": fmt.when_text(datetime.fromisoformat(e.data["until"]))})
    )
    own = t.me == int(e.data["company"])
    text = _("offered the lead to ${company}", mapping={"company": to})
    by_hand = e.data.get("by_hand")
    if by_hand:
        text = _("assigned the lead by hand to ${company}", mapping={"company": to})
    say = until if own or not by_hand else f"{until} {t.said(e)}"
    entry = Entry(e.at, t.vendor[1] if own else t.actor(e), tr(text), say, "send", "info")
    if (
        not own
        or by_hand
        or not t.seen.brief.get("why")
        or str(t.seen.offer and t.seen.offer["id"]) != e.data["offer"]
    ):
        return entry
    return [entry, _chosen(t, e)]


def _chosen(t: Teller, e: Event) -> Entry:
    """The partner's own line; how many others could have taken the lead is the vendor's alone to know."""
    url = f"/leads/{t.seen.number}/decision"
    return Entry(
        e.at,
        tr(CHOSEN),
        tr(_("by the vendor's routing")),
        why_you(t.seen.brief["why"], t.catalogue),
        "arrows-split",
        "accent",
        url=url,
        url_label=_("Why you"),
    )


def why_you(why: Mapping[str, Any], catalogue: Catalogue) -> str:
    """'12 km, Gold, ATEX until 31 Mar 2027': the partner's own line in short."""
    parts = [fmt.km(why.get("distance_m")), catalogue.level(why.get("level"))]
    for held in why.get("certified") or ():
        name = catalogue.programme_names([held["programme"]])
        if held.get("until"):
            day = fmt.day_text(datetime.fromisoformat(held["until"]).date())
            parts.append(tr(_("${name} valid until ${day}", mapping={"name": name, "day": day})))
        else:
            parts.append(tr(_("${name} valid", mapping={"name": name})))
    if why.get("by_hand"):
        parts.append(tr(_("chosen by hand")))
    return ", ".join(part for part in parts if part)


def _plain(text: str, icon: str, tone: str = "neutral") -> Callable[[Teller, Event], Entry]:
    return lambda t, e: Entry(e.at, t.actor(e), tr(text), t.said(e), icon, tone)


def _because(
    text: Any, icon: str, tone: str = "neutral", as_vendor: bool = False
) -> Callable[[Teller, Event], Entry]:
    """'Danubia Technik declined: no capacity'."""

    def tell(t: Teller, e: Event) -> Entry:
        code = e.data.get("reason")
        why = words.reason(code)
        line = tr(text) + (f": {why}" if why else "")
        return Entry(e.at, t.vendor[1] if as_vendor else t.actor(e), line, t.said(e), icon, tone)

    return tell


def _expired(t: Teller, e: Event) -> Entry:
    return Entry(e.at, tr(_("The offer")), tr(_("lapsed without an answer")), "", "clock-off", "warn")


def _unroutable(t: Teller, e: Event) -> Entry:
    why, cure = words.queue_reason(e.data.get("reason"))
    url = f"/leads/{t.seen.number}/decision?decision={e.data.get('decision')}"
    return Entry(
        e.at,
        tr(_("Routing")),
        tr(_("found nobody")),
        f"{why} {cure}",
        "route-off",
        "bad",
        url=url,
        url_label=_("How it was decided"),
    )


def _moved(t: Teller, e: Event) -> Entry:
    to = e.data["to"]
    text = tr(_("moved it to ${stage}", mapping={"stage": inside(status_label("stage", to))}))
    why = words.reason(e.data.get("reason"))
    icon = {"won": "trophy", "lost": "circle-x", "nurture": "seedling", "invalid": "circle-minus"}.get(
        to, "player-play"
    )
    return Entry(
        e.at,
        t.actor(e),
        f"{text}: {why}" if why else text,
        t.said(e),
        icon,
        "good" if to == "won" else "info",
    )


def _planned(t: Teller, e: Event) -> Entry:
    day = fmt.day_text(datetime.fromisoformat(e.data["on"]).date(), weekday=True)
    return Entry(
        e.at,
        t.actor(e),
        tr(_("planned the next step for ${day}", mapping={"day": day})),
        icon="calendar-event",
    )


def _commented(t: Teller, e: Event) -> Entry:
    key = int(e.data.get("text") or 0)
    if key and key not in t.texts:
        return Entry(
            e.at, t.actor(e), tr(_("wrote something that is no longer open to you")), icon="message-circle"
        )
    if not e.data.get("to_all"):
        return Entry(e.at, t.actor(e), tr(_("wrote a note")), t.said(e), private=t.own)
    return Entry(e.at, t.actor(e), tr(_("wrote")), t.said(e), "message-circle", "info")


def _file_added(t: Teller, e: Event) -> Entry:
    """The name only to who may open it, and while it is there."""
    key = int(e.data["text"])
    name = t.said(e)
    text = tr(
        _("added a file that opens on acceptance") if e.data["opens"] == "accepted" else _("added a file")
    )
    url = f"/leads/{t.seen.number}/files/{key}" if name else None
    private = t.own if e.data["opens"] == "own" else None
    return Entry(e.at, t.actor(e), text, "", "paperclip", private=private, url=url, url_label=name)


def _duplicate(t: Teller, e: Event) -> Entry:
    return Entry(
        e.at, t.actor(e), tr(_("decided that it is the same request as another one")), icon="circle-minus"
    )


TELL: dict[str, Callable[[Teller, Event], Entry | list[Entry]]] = {
    "lead.received": _received,
    "lead.suspected_duplicate": _suspected,
    "lead.changed": _changed,
    "lead.customer_corrected": _changed,
    "lead.decided": _decided,
    "lead.offered": _offered,
    "lead.opened": _plain(_("opened the offer"), "eye"),
    "lead.accepted": _plain(_("accepted the lead"), "circle-check", "good"),
    "lead.declined": _because(_("declined"), "hand-stop"),
    "lead.expired": _expired,
    "lead.withdrawn": _because(_("took the lead back"), "arrow-back-up", as_vendor=True),
    "lead.handed_back": _because(_("handed the lead back"), "arrow-back-up"),
    "lead.unroutable": _unroutable,
    "lead.moved": _moved,
    "lead.step_planned": _planned,
    "lead.commented": _commented,
    "file.added": _file_added,
    "file.removed": _plain(_("removed a file"), "paperclip"),
    "lead.duplicate": _duplicate,
    "lead.not_duplicate": _plain(_("decided that it is a request of its own"), "check"),
}
