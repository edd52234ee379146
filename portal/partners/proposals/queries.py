"""Reads proposals: lists, one with its fields in words, how many wait."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Select, func, select

from portal.companies.models import Company, Location, Person
from portal.db import PortalSession
from portal.errors import NotFound
from portal.events.models import Event
from portal.partners import forms, queries
from portal.partners.actions import Area
from portal.partners.proposals import actions
from portal.partners.proposals.kinds import KINDS
from portal.partners.proposals.models import Proposal
from portal.partners.wording import area_words, country_name
from portal.sharing.models import Text
from portal.web.formatting import fmt
from portal.web.i18n import _, tr


@dataclass(frozen=True, slots=True)
class Line:
    """One field: what it read when proposed, what it shall be, and what it reads now when that is something else."""

    label: str
    before: str
    after: str
    now: str | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A proposal as both sides look at it."""

    row: Proposal
    company: str
    title: str
    place: str
    lines: list[Line]
    conflict: bool
    why: str
    answer: str
    told: list[Any]
    people: Mapping[int, str]


def table() -> Select[Any]:
    """One row per proposal that the reader may see."""
    return (
        select(
            Proposal.id, Proposal.kind, Proposal.state, Proposal.proposed_at, Proposal.decided_at,
            Proposal.company_id, Company.name.label("company"), Location.name.label("place"),
        )
        .join(Company, Company.id == Proposal.company_id)
        .outerjoin(Location, Location.id == Proposal.location_id)
    )  # fmt: skip


def waiting(session: PortalSession, limit: int = 5, company_id: int | None = None) -> list[Any]:
    """Open proposals, the oldest first."""
    query = table().where(Proposal.state == "open", Proposal.realm_id == session.context.realm_id)
    if company_id is not None:
        query = query.where(Proposal.company_id == company_id)
    return list(session.execute(query.order_by(Proposal.proposed_at, Proposal.id).limit(limit)))


def waiting_count(session: PortalSession, company_id: int | None = None, limit: int = 1000) -> int:
    """How many wait, counted up to a limit."""
    query = select(Proposal.id).where(Proposal.state == "open", Proposal.realm_id == session.context.realm_id)
    if company_id is not None:
        query = query.where(Proposal.company_id == company_id)
    return int(
        session.execute(select(func.count()).select_from(query.limit(limit + 1).subquery())).scalar_one()
    )


def shown(session: PortalSession, proposal_id: int) -> Shown:
    """One proposal; NotFound for a foreign one."""
    row = session.execute(select(Proposal).where(Proposal.id == proposal_id)).scalar_one_or_none()
    if row is None:
        raise NotFound
    changed = actions.conflicts(session, row) if row.state == "open" else {}
    words = Words(session)
    fields = list(row.after) + [name for name in row.before if name not in row.after]
    lines = [
        Line(
            label_of(row.kind, name),
            words.of(name, row.before.get(name)),
            words.of(name, row.after.get(name)),
            words.of(name, changed[name]) if name in changed else None,
        )
        for name in fields
        if row.before.get(name) != row.after.get(name) or name in changed
    ]
    found = session.execute(table().where(Proposal.id == row.id)).one()
    texts = {
        t.id: t.body or ""
        for t in session.execute(select(Text.id, Text.body).where(Text.id.in_(_texts(row))))
    }
    told = list(session.scalars(_events(row)))
    people = {e.person_id for e in told if e.person_id is not None}
    names = {
        p.id: p.name for p in session.execute(select(Person.id, Person.name).where(Person.id.in_(people)))
    }
    return Shown(
        row, found.company, tr(KINDS[row.kind].title), found.place or "", lines, bool(changed),
        texts.get(row.why_id or 0, ""), texts.get(row.answer_id or 0, ""), told, names,
    )  # fmt: skip


def _texts(row: Proposal) -> list[int]:
    return [number for number in (row.why_id, row.answer_id) if number is not None]


def _events(row: Proposal) -> Any:
    return (
        select(Event)
        .where(
            Event.subject_type == "company",
            Event.subject_id == row.company_id,
            Event.type.startswith("proposal."),
            Event.data["proposal"].astext == str(row.id),
        )
        .order_by(Event.id.desc())
    )


def label_of(kind: str, name: str) -> str:
    """A field's name in words, as its form has it."""
    model = KINDS[kind].form or forms.TerritoryForm
    info = model.model_fields.get(name)
    return tr(info.title) if info is not None else tr(_("Territory"))


class Words:
    """Values in words; the names of codes are read once."""

    def __init__(self, session: PortalSession) -> None:
        self.lines = dict(queries.product_lines(session))
        self.programmes = dict(queries.programmes(session))

    def of(self, name: str, value: Any) -> str:
        """A stored value as a reader wants to see it; '' for nothing."""
        if value is None or value == "":
            return ""
        match name:
            case "territory":
                return area_words(Area(**value))
            case "product_lines":
                return ", ".join(self.lines.get(code, code) for code in value) or tr(_("none"))
            case "product_line":
                return self.lines.get(value, str(value))
            case "programme":
                return self.programmes.get(value, str(value))
            case "country":
                return country_name(value)
            case "active":
                return tr(_("Yes")) if value else tr(_("No"))
            case "issued" | "expires":
                return fmt.day_text(date.fromisoformat(value))
            case _:
                return str(value)
