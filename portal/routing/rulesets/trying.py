"""Try a request: typed in, or one of the past, decided by this rule set and by the one in force, side by side."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import BaseModel, Field
from pyramid.config import Configurator
from pyramid.request import Request
from sqlalchemy import select

from portal.companies.pages import add_pages
from portal.db import PortalSession
from portal.errors import Conflict, NotFound
from portal.events import published
from portal.partners import places
from portal.routing.actions import read_state
from portal.routing.models import Decision as DecisionRow
from portal.routing.models import RuleSetRow
from portal.routing.rulesets import actions, telling
from portal.routing.rulesets.cells import Vocabulary
from portal.routing.rulesets.views import BASE, VERSION, version_of
from portal.routing.rulesets.vocabulary import vocabulary
from portal.routing.snapshot import NoRuleSet, plan
from portal.routing.words import COLOURS, GATE_WORDS, TERM_WORDS
from portal.web.formatting import fmt
from portal.web.forms import Form
from portal.web.i18n import _, ntr, tr
from portal.web.parts import Gate, Term
from rules import POINT, Decision, Reference, RuleSet, Snapshot, explain, minor_per_major
from rules import Request as Asked

RANKED = 5
CURRENCIES = ("EUR", "CHF", "CZK", "GBP", "PLN", "USD")
PAST = 60
"""Past leads to choose from."""
TOP_ID = 2**63 - 1


class TryForm(BaseModel):
    """What decides about a request."""

    country: str | None = Field(None, title=_("Country"))
    postal: str | None = Field(None, title=_("Postcode"), max_length=20)
    city: str | None = Field(None, title=_("Town"), max_length=100)
    subdivision: str | None = Field(None, title=_("Region"), max_length=10)
    product_lines: list[str] = Field(default_factory=list, title=_("Product lines"))
    certifications: list[str] = Field(default_factory=list, title=_("Certificates"))
    amount: str | None = Field(None, title=_("Worth"), json_schema_extra={"widget": "money"})
    currency: Literal["EUR", "CHF", "CZK", "GBP", "PLN", "USD"] = Field(
        "EUR", title=_("Currency"), json_schema_extra={"labels": {one: one for one in CURRENCIES}}
    )
    language: str | None = Field(None, title=_("Language"))
    industry: str | None = Field(None, title=_("Industry"), max_length=100)
    source: str | None = Field(None, title=_("Source"), max_length=100)


@dataclass(frozen=True, slots=True)
class Side:
    """One rule set's answer. gates: bars; rows: (number, reading) of those that applied; ranked: name, score, terms."""

    title: str
    sentence: str
    gates: list[Gate]
    ranked: list[tuple[str, str, list[Term]]]
    of: int
    rows: list[tuple[int, Any]]
    chosen: int | None


def page(request: Request) -> dict[str, Any]:
    """GET /rules/{version}/try, with a past decision (`past`) or the fields of the form (`ask`)."""
    session = request.db
    found = actions.find(session, version_of(request))
    words = vocabulary(session, found.body["rules"])
    form = Form(TryForm, choices=_choices(words))
    past = _past(session)
    asked, chosen = None, request.GET.get("past", "")
    if chosen:
        asked = _of_the_past(session, chosen)
    elif "ask" in request.GET:
        data = form.parse(request.GET)
        asked = _request(request, data) if data is not None else None
    sides = _sides(session, found, asked, words) if asked is not None else []
    return {
        "set": found,
        "url": f"{BASE}/{found.version}",
        "f": form,
        "past": past,
        "chosen": chosen,
        "sides": sides,
        "same": len({side.chosen for side in sides}) == 1,
        "asked": asked,
    }


def _choices(words: Vocabulary) -> dict[str, Any]:
    return {
        "country": words.words["when.country"].items(),
        "language": words.words["when.language"].items(),
        "product_lines": words.words["when.product_lines"].items(),
        "certifications": words.words["who.certification"].items(),
    }


def _past(session: PortalSession) -> list[tuple[int, str]]:
    """(decision id, words) of the last decisions, newest first."""
    query = (
        select(DecisionRow.id, DecisionRow.subject_id, DecisionRow.as_of, DecisionRow.request)
        .where(DecisionRow.realm_id == session.context.realm_id, DecisionRow.subject_type == actions.LEADS)
        .order_by(DecisionRow.id.desc())
        .limit(PAST)
    )
    rows = list(session.execute(query))
    numbers = published.numbers(session, [(actions.LEADS, row.subject_id) for row in rows])
    return [(row.id, _past_words(row, numbers.get((actions.LEADS, row.subject_id), ""))) for row in rows]


def _past_words(row: Any, number: str) -> str:
    place = row.request.get("place") or {}
    parts = [
        number,
        fmt.when_text(row.as_of),
        place.get("city") or place.get("postal") or "",
        *row.request["product_lines"],
    ]
    return ", ".join(part for part in parts if part)


def _of_the_past(session: PortalSession, chosen: str) -> Asked:
    """A request as it was stored, asked as if it came now and nobody had had it."""
    if not (chosen.isascii() and chosen.isdigit() and len(chosen) < 20 and int(chosen) <= TOP_ID):
        raise NotFound
    query = select(DecisionRow.request).where(
        DecisionRow.id == int(chosen),
        DecisionRow.realm_id == session.context.realm_id,
        DecisionRow.subject_type == actions.LEADS,
    )
    stored = session.execute(query).scalar_one_or_none()
    if stored is None:
        raise NotFound
    return replace(Asked.from_json(stored), as_of=session.context.now, excluded=frozenset())


def _request(request: Request, data: TryForm) -> Asked:
    """What was typed, with the place found as for a lead."""
    typed = {name: getattr(data, name) for name in places.ADDRESS} | {"lat": None, "lon": None}
    place = places.placed(typed)
    minor = None
    if data.amount is not None:
        whole, _point, cents = data.amount.partition(".")
        unit = minor_per_major(data.currency)
        minor = int(whole) * unit + int((cents + "00")[: len(str(unit)) - 1] or 0)
    return Asked.from_json(
        {
            "place": {
                name: place.get(name) for name in ("country", "subdivision", "postal", "city", "lat", "lon")
            },
            "product_lines": data.product_lines,
            "certifications": data.certifications,
            "amount_minor": minor,
            "currency": data.currency if minor is not None else None,
            "language": data.language,
            "industry": data.industry,
            "source": data.source,
            "as_of": request.now.isoformat(),
        }
    )


def _sides(session: PortalSession, found: RuleSetRow, asked: Asked, words: Vocabulary) -> list[Side]:
    """The one in force first, then this one; one alone where they are the same."""
    try:
        current = plan(session)
    except NoRuleSet as error:
        raise Conflict(
            tr(_("No rule set is published, so there is no directory to try it on.")), "no_rule_set"
        ) from error
    sets = {current.rule_set_version: current.rules, found.version: RuleSet.parse(found.body)}
    return [
        _side(session, version, rules, current.snapshot, asked, words, version == current.rule_set_version)
        for version, rules in sets.items()
    ]


def _side(
    session: PortalSession, version: int, rules: RuleSet, snapshot: Snapshot, asked: Asked, words: Vocabulary, force: bool
) -> Side:  # fmt: skip
    engine = Reference(rules, snapshot)
    shortlist = engine.shortlist(asked)
    state = read_state(session, shortlist.ids)
    decision = engine.decide(asked, shortlist, state)
    names = {one.id: one.name for one in snapshot.candidates}
    ids = set()
    if snapshot.candidates:
        told = explain(rules, snapshot, asked, state, snapshot.candidates[0].id, engine)
        ids = {one.id for one in told.rows}
    title = (
        _("Version ${n}, in force", mapping={"n": version})
        if force
        else _("Draft ${n}", mapping={"n": version})
    )
    ranked = [(names[one.id], _points(one.score), _terms(one.terms)) for one in decision.ranked[:RANKED]]
    return Side(
        tr(title), _sentence(decision, names), _gates(decision, len(snapshot.candidates)), ranked, rules.score.total,
        [(n, telling.reading(row.to_json(rules.words), words)) for n, row in enumerate(rules.rules, 1) if row.id in ids],
        decision.ranked[0].id if decision.ranked else None,
    )  # fmt: skip


def _sentence(decision: Decision, names: Mapping[int, str]) -> str:
    if not decision.ranked:
        return tr(_("Nobody could take it."))
    values = {"name": names[decision.ranked[0].id]}
    return ntr(
        "${name} gets it: the only one that could take it.", "${name} gets it: the best of ${n} that could take it.",
        len(decision.ranked), **values,
    )  # fmt: skip


def _gates(decision: Decision, everybody: int) -> list[Gate]:
    before, bars = everybody, [Gate(tr(_("Partner locations")), everybody)]
    for name, left in decision.counts:
        dropped = ntr("${n} fewer", "${n} fewer", before - left) if before > left else ""
        label = tr(_("Cover the place")) if name == "territory" else tr(GATE_WORDS.get(name, name))
        bars.append(Gate(label, left, dropped))
        before = left
    return bars


def _terms(pairs: Any) -> list[Term]:
    return [Term(tr(TERM_WORDS.get(n, n)), round(v / POINT, 1), COLOURS.get(n, 3)) for n, v in pairs]


def _points(score: int) -> str:
    return str(fmt.num(round(score / POINT)))


TEMPLATE = "rulesets/try.jinja2"
PAGES = [("rules_try", f"{BASE}/{VERSION}/try", page, "GET", "rules.read", TEMPLATE)]


def includeme(config: Configurator) -> None:
    """Route and view."""
    add_pages(config, TEMPLATE, PAGES)
