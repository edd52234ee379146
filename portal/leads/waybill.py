"""The header and the facts of a lead page, for each way of seeing a lead: who has it, whose turn, what may be done."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from portal.leads import stages, words
from portal.leads.queries import CLOSED, Catalogue, Seen
from portal.web.formatting import fmt
from portal.web.i18n import _, inside, ntr, tr
from portal.web.parts import Action, Fact, FactGroup, Stop, Waybill
from portal.web.status import status_label
from rules import minor_per_major

Mapped = Mapping[str, Any]
YOURS, THEIRS = _("Your turn"), _("Their turn")


def money(amount: Decimal | None, currency: str | None) -> str:
    """A stored amount (major units) as 'EUR 84,000'."""
    if amount is None:
        return ""
    value = Decimal(amount)
    shown = fmt.num(value, 0) if value == value.to_integral_value() else fmt.num(value, 2)
    return f"{currency or 'EUR'}\u00a0{shown}"


def band(view: Mapped | None) -> str:
    """The amount band of an offer view, whose edges are whole units of the currency."""
    if not view:
        return ""
    unit = minor_per_major(view["currency"])
    low, high = (None if edge is None else edge * unit for edge in (view["low"], view["high"]))
    return str(fmt.band(low, high, view["currency"]))


def decline_action(offer: Mapped) -> Action:
    """Decline with its reasons in place."""
    reasons = words.chips(stages.DECLINE_REASONS)
    return Action(tr(_("Decline")), f"/offers/{offer['id']}/decline", reasons=reasons)


def accept_action(offer: Mapped, label: str, primary: bool = False) -> Action:
    """Accept, in one tap."""
    return Action(label, f"/offers/{offer['id']}/accept", primary=primary)


def vendor_waybill(
    seen: Seen, customer: str, partner: str, vendor: str, may: Mapping[str, bool], original: str = ""
) -> Waybill:
    """The vendor's header: who has the lead, since when, until when. original: number of the lead it repeats."""
    lead, offer = seen.lead, seen.offer
    assert lead is not None
    state, url = lead["assignment"], f"/leads/{seen.number}"
    lines = [tr(_("received ${at}", mapping={"at": fmt.when_text(lead["received_at"])}))]
    closed = lead["stage"] in CLOSED
    here = Stop(vendor, "now" if not closed and state not in ("offered", "held") else "past", lines)
    place = words.place(lead)
    there = Stop(customer, "past" if lead["stage"] == "won" else "next", [place])
    axis, value = header_status(lead)
    common: dict[str, Any] = {"url": url}
    if state == "offered" and offer:
        lines.append(tr(_("offered ${at}", mapping={"at": fmt.when_text(offer["offered_at"])})))
        opened = (
            _("opened ${at}", mapping={"at": fmt.when_text(offer["seen_at"])})
            if offer["seen_at"]
            else _("not opened yet")
        )
        middle = Stop(
            partner,
            "now",
            [
                tr(_("has the offer since ${at}", mapping={"at": fmt.when_text(offer["offered_at"])})),
                tr(opened),
            ],
        )
        common |= {
            "turn": THEIRS, "until": offer["deadline_at"], "started": offer["offered_at"],
            "by": _("They answer by"), "calendar": _("their working hours"),
            "calendar_note": _("Working hours and holidays of the place it was offered to, at most four days"),
            "actions": _withdraw(url, may),
        }  # fmt: skip
    elif state == "held":
        middle = _holder_stop(partner, offer, lead)
        common |= _held_turn(lead, url, may)
    else:
        middle = Stop(tr(_("No partner")), "next", [_middle_words(lead)])
        common |= _waiting(seen, lead, may, original)
    return Waybill(seen.number, seen.title, axis, value, [here, middle, there], **common)


def header_status(lead: Mapped) -> tuple[str, str]:
    """One badge: the stage once somebody works on it or it is closed, else the assignment."""
    if lead["stage"] in CLOSED or (lead["assignment"] == "held" and lead["stage"] != "new"):
        return "stage", lead["stage"]
    return "assignment", lead["assignment"]


def _holder_stop(partner: str, offer: Mapped | None, lead: Mapped) -> Stop:
    since = offer["answered_at"] if offer and offer["answered_at"] else lead["updated_at"]
    lines = [tr(_("holds it since ${at}", mapping={"at": fmt.when_text(since)}))]
    if lead["stage"] in CLOSED:
        lines.append(inside(status_label("stage", lead["stage"])))
    return Stop(partner, "past" if lead["stage"] in CLOSED else "now", lines)


def _withdraw(url: str, may: Mapping[str, bool]) -> list[Action]:
    if not may["assign"]:
        return []
    reasons = words.chips(stages.WITHDRAW_REASONS)
    return [Action(tr(_("Withdraw")), f"{url}/withdraw", reasons=reasons)]


def _held_turn(lead: Mapped, url: str, may: Mapping[str, bool]) -> dict[str, Any]:
    if lead["stage"] in CLOSED:
        return {"sentence": closed_sentence(lead)}
    sentence = _("No next step is planned yet.")
    if lead["next_step"]:
        mapping = {"step": lead["next_step"], "day": fmt.day_text(lead["next_step_on"], weekday=True)}
        sentence = _("Next step, ${day}: ${step}", mapping=mapping)
    return {"turn": THEIRS, "sentence": tr(sentence), "actions": _withdraw(url, may)}


def closed_sentence(lead: Mapped) -> str:
    """How a closed lead ended: 'Won EUR 12,000 on 3 Nov.'"""
    if lead["stage"] == "won":
        mapping = {"amount": money(lead["won_amount"], lead["currency"]), "day": fmt.day_text(lead["won_on"])}
        return tr(_("Won: ${amount} on ${day}.", mapping=mapping))
    why = words.reason(lead["stage_reason"])
    label = status_label("stage", lead["stage"])
    return f"{label}: {why}." if why else f"{label}."


def _middle_words(lead: Mapped) -> str:
    if lead["stage"] in CLOSED:
        return ""
    if lead["suspected_duplicate_of"] is not None:
        return tr(_("waits for a decision on the repeat"))
    if lead["assignment"] == "unrouted":
        return tr(_("being routed"))
    return inside(status_label("assignment", lead["assignment"]))


def _waiting(seen: Seen, lead: Mapped, may: Mapping[str, bool], original: str) -> dict[str, Any]:
    """Nobody has it: the channel manager's turn, with why and what helps."""
    url = f"/leads/{seen.number}"
    if lead["stage"] == "duplicate":
        label = tr(_("Open the original, ${number}", mapping={"number": original}))
        actions = [Action(label, f"/leads/{original}", "get")] if original else []
        return {"sentence": closed_sentence(lead), "actions": actions}
    if lead["stage"] in CLOSED:
        return {"sentence": closed_sentence(lead)}
    if lead["suspected_duplicate_of"] is not None:
        actions = [Action(tr(_("See both")), f"{url}/duplicate", "get", True)] if may["assign"] else []
        turn = YOURS if may["assign"] else _("A channel manager's turn")
        held = _(
            "It may be the same request as another one, so it is offered to nobody until a person decides."
        )
        return {"turn": turn, "yours": may["assign"], "actions": actions, "sentence": tr(held)}
    why = tr(_("It is being offered to the next partner."))
    if lead["assignment"] == "unroutable":
        why = " ".join(words.queue_reason(lead["assignment_reason"]))
    if not may["assign"]:
        return {"turn": _("A channel manager's turn"), "sentence": why}
    actions = [
        Action(tr(_("Assign by hand")), "#assign", "get", True),
        Action(tr(_("Re-route")), f"{url}/route"),
    ]
    return {"turn": YOURS, "yours": True, "actions": actions, "sentence": why}


def partner_waybill(
    seen: Seen, own: str, vendor: str, customer: str, now: datetime, may: Mapping[str, bool]
) -> Waybill:
    """The partner's header at its level of sight."""
    offer = seen.offer
    assert offer is not None
    offered = tr(_("offered ${at}", mapping={"at": fmt.when_text(offer["offered_at"])}))
    past = Stop(vendor, "past", [offered])
    if seen.view == "offer" and offer["state"] == "offered" and offer["deadline_at"] > now:
        return _offer_waybill(seen, offer, own, past, may)
    if seen.view == "full" and seen.lead is not None:
        return _held_waybill(seen, offer, own, past, customer, may)
    return _past_waybill(seen, offer, own, past)


def _offer_waybill(seen: Seen, offer: Mapped, own: str, past: Stop, may: Mapping[str, bool]) -> Waybill:
    brief = seen.brief
    who = ", ".join(part for part in (brief.get("industry"), brief.get("city")) if part) or words.place(brief)
    stops = [
        past,
        Stop(
            own,
            "now",
            [tr(_("has the offer since ${at}", mapping={"at": fmt.when_text(offer["offered_at"])}))],
        ),
        Stop(tr(_("Customer")), "next", [who, tr(_("contact opens when you accept"))]),
    ]
    actions = (
        [accept_action(offer, tr(_("Accept lead")), True), decline_action(offer)] if may["answer"] else []
    )
    return Waybill(
        seen.number, seen.title, "assignment", "offered", stops, f"/leads/{seen.number}", YOURS, may["answer"],
        offer["deadline_at"], offer["offered_at"], _("Answer by"), _("your working hours"),
        _("Working hours and holidays of your location, at most four days"), actions,
        "" if may["answer"] else tr(_("Somebody with the sales role answers.")),
    )  # fmt: skip


STEP_WORDS = {
    "working": _("Start working"),
    "qualified": _("It is qualified"),
    "proposed": _("Proposal sent"),
    "won": _("Won"),
}
FORWARD = {"new": "working", "working": "qualified", "qualified": "proposed", "nurture": "working"}


def _held_waybill(
    seen: Seen, offer: Mapped, own: str, past: Stop, customer: str, may: Mapping[str, bool]
) -> Waybill:
    lead = seen.lead
    assert lead is not None
    url, stage = f"/leads/{seen.number}", lead["stage"]
    closed = stage in CLOSED
    stops = [
        past,
        _holder_stop(own, offer, lead),
        Stop(customer, "past" if stage == "won" else "next", [words.place(lead)]),
    ]
    axis, value = header_status(lead)
    if closed:
        return Waybill(seen.number, seen.title, axis, value, stops, url, sentence=closed_sentence(lead))
    actions: list[Action] = []
    if may["progress"]:
        to = FORWARD.get(stage)
        if to:
            actions.append(Action(tr(STEP_WORDS[to]), f"{url}/stage", primary=True, fields=[("to", to)]))
        else:
            actions.append(Action(tr(_("Won or lost")), "#move", "get", True))
        actions.append(
            Action(tr(_("Hand back")), f"{url}/hand-back", reasons=words.chips(stages.HAND_BACK_REASONS))
        )
    sentence = _("Plan the next step, so that everybody knows what happens.")
    if lead["next_step"]:
        day = fmt.day_text(lead["next_step_on"], weekday=True)
        sentence = _("Next step, ${day}: ${step}", mapping={"step": lead["next_step"], "day": day})
    return Waybill(
        seen.number,
        seen.title,
        axis,
        value,
        stops,
        url,
        YOURS,
        may["progress"],
        actions=actions,
        sentence=tr(sentence),
    )


def ended(offer: Mapped) -> str:
    """How an offer or a holding ended, for the one who had it."""
    at = fmt.when_text(offer["ended_at"] or offer["answered_at"] or offer["deadline_at"])
    why = words.reason(offer["ended_reason"] or offer["reason"])
    if offer["state"] == "declined":
        return tr(_("You declined it ${at}: ${why}.", mapping={"at": at, "why": why}))
    if offer["state"] == "expired" or (offer["state"] == "offered"):
        return tr(_("The answer ran out ${at}, and it went to another partner.", mapping={"at": at}))
    if offer["state"] == "withdrawn":
        return tr(_("The offer was withdrawn ${at}.", mapping={"at": at}))
    if offer["ended_reason"] in stages.HAND_BACK_REASONS:
        return tr(
            _("Your company had this lead until ${at}. It ended: ${why}.", mapping={"at": at, "why": why})
        )
    return tr(_("Your company had this lead until ${at}.", mapping={"at": at}))


def _past_waybill(seen: Seen, offer: Mapped, own: str, past: Stop) -> Waybill:
    stops = [
        past,
        Stop(own, "past", [ended(offer)]),
        Stop(tr(_("Customer")), "next", [words.place(seen.brief)]),
    ]
    axis, value = "offer", offer["state"] if offer["state"] != "offered" else "expired"
    if offer["ended_at"] and offer["state"] == "accepted":
        state = (seen.share or {}).get("state")
        axis, value = "assignment", "handed_back" if state == "handed_back" else "pulled_back"
    return Waybill(
        seen.number, seen.title, axis, value, stops, f"/leads/{seen.number}",
        sentence=tr(_("What you saw of the customer is closed again. This is your own line only.")),
    )  # fmt: skip


def what(seen: Mapped, catalogue: Catalogue, worth: str, distance: str = "") -> FactGroup:
    """The group 'What': of a lead row or an offer view, whose keys are the same."""
    start = seen.get("start_on")
    if isinstance(start, str):
        start = date.fromisoformat(start)
    where = ", ".join(
        part for part in (words.place(seen), words.country(seen.get("country")), distance) if part
    )
    facts = [
        Fact(_("Need"), seen.get("need")),
        Fact(_("Where"), where),
        Fact(_("Product lines"), catalogue.line_names(seen.get("product_lines"))),
        Fact(
            _("Certifications"),
            catalogue.programme_names(seen.get("certifications")) or tr(_("none asked for")),
        ),
        Fact(_("Worth"), worth),
        Fact(_("Start"), fmt.date(start) if start else None),
    ]
    if "files" in seen:  # an offer view; who sees the lead itself sees the files
        n = int(seen["files"] or 0)
        opens = ntr("one, opens on acceptance", "${n}, open on acceptance", n) if n else tr(_("none"))
        facts.append(Fact(_("Files"), opens))
    return FactGroup(_("What"), facts)


def _prefers(seen: Mapped) -> str:
    parts = (
        words.word(words.CHANNELS, seen.get("channel")),
        seen.get("hours"),
        words.language(seen.get("language")),
    )
    return words.first_up(", ".join(part for part in parts if part))


def customer_withheld(brief: Mapped, vendor: str, over: bool) -> FactGroup:
    """The customer before acceptance (or afterwards): hatched, but for what the offer shows."""
    opens = _(
        "Name and contact open when you accept. Until then only ${vendor} sees them.",
        mapping={"vendor": vendor},
    )
    place = words.place(brief)
    facts = [
        Fact(_("Company"), withheld=True),
        Fact(_("Contact"), withheld=True),
        Fact(_("Phone, e-mail"), withheld=True),
        Fact(_("Street"), withheld=True, rest=place),
        Fact(_("Industry"), brief.get("industry")),
        Fact(_("Prefers"), _prefers(brief)),
    ]
    return FactGroup(_("Customer"), facts, tr(_("Closed to you.")) if over else tr(opens))


def customer_open(lead: Mapped, account: Mapped | None, contact: Mapped | None) -> FactGroup:
    """The customer as vendor and holder see it."""
    has: Mapped = contact or {}
    street = ", ".join(part for part in (has.get("street"), words.place(lead)) if part)
    facts = [
        Fact(_("Company"), account and account["name"]),
        Fact(_("Contact"), has.get("contact")),
        Fact(_("Phone"), has.get("phone")),
        Fact(_("E-mail"), has.get("email")),
        Fact(_("Street"), street),
        Fact(_("Industry"), lead["industry"]),
        Fact(_("Prefers"), _prefers(lead)),
    ]
    return FactGroup(_("Customer"), facts)


def vendor_facts(lead: Mapped) -> FactGroup:
    """What only the vendor's people care about."""
    facts = [
        Fact(_("Source"), words.first_up(words.word(words.SOURCES, lead["source"]))),
        Fact(_("Received"), fmt.when(lead["received_at"])),
        Fact(_("Legal basis"), words.word(words.LEGAL, lead["legal_basis"])),
        Fact(_("External key"), lead["external_key"]),
    ]
    return FactGroup(_("Intake"), facts)


def deal(lead: Mapped) -> FactGroup | None:
    """Stage and outcome of a held lead."""
    if lead["assignment"] != "held":
        return None
    facts: list[Fact] = [Fact(_("Stage"), status_label("stage", lead["stage"]))]
    if lead["stage"] in CLOSED or lead["stage"] == "nurture":
        facts.append(Fact(_("Outcome"), closed_sentence(lead)))
    if lead["next_step"]:
        day = fmt.day_text(lead["next_step_on"], weekday=True)
        facts.append(Fact(_("Next step"), f"{lead['next_step']}, {day}"))
    return FactGroup(_("Progress"), facts)


def next_strip(offer: Mapped | None, own: bool) -> Sequence[tuple[datetime, str]]:
    """What the clock does by itself: reminder and lapse of an open offer."""
    if offer is None or offer["state"] != "offered":
        return ()
    out = []
    remind = offer["remind_at"]
    if remind is not None and remind > fmt.now and remind < offer["deadline_at"]:
        out.append((remind, tr(_("reminder to you by e-mail") if own else _("reminder to them by e-mail"))))
    out.append(
        (offer["deadline_at"], tr(_("without an answer the offer lapses and goes to another partner")))
    )
    return out
