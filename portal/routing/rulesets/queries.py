"""Reads rule sets: the list, one with who did what to it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, String, case, cast, func, select
from sqlalchemy.orm import aliased

from portal.companies.models import Person
from portal.db import PortalSession
from portal.events.models import Event
from portal.routing.models import RuleSetRow
from portal.routing.rulesets.actions import LEADS, SUBJECT
from portal.sharing.models import Text

MOST_EVENTS = 500


def table(session: PortalSession) -> Select[Any]:
    """One row per rule set; bodies are not read, they are large."""
    editor = aliased(Person)
    return (
        select(
            RuleSetRow.id, RuleSetRow.version, RuleSetRow.name, look().label("look"), RuleSetRow.based_on,
            RuleSetRow.updated_at, RuleSetRow.created_at, RuleSetRow.published_at, RuleSetRow.publish_at,
            func.jsonb_array_length(RuleSetRow.body["rules"]).label("rows"), editor.name.label("editor"),
        )
        .outerjoin(editor, editor.id == RuleSetRow.updated_by)
        .where(RuleSetRow.realm_id == session.context.realm_id, RuleSetRow.subject_type == LEADS)
    )  # fmt: skip


def look() -> Any:
    """The state as a page says it: what is in review and approved says so, what was never in force is dropped."""
    return case(
        ((RuleSetRow.state == "in_review") & RuleSetRow.approved_by.is_not(None), "approved"),
        ((RuleSetRow.state == "retired") & RuleSetRow.published_at.is_(None), "dropped"),
        else_=cast(RuleSetRow.state, String),
    )


def look_of(row: RuleSetRow) -> str:
    """The same of one."""
    if row.state == "in_review" and row.approved_by is not None:
        return "approved"
    return "dropped" if row.state == "retired" and row.published_at is None else str(row.state)


@dataclass(frozen=True, slots=True)
class History:
    """Events of a rule set, newest first, with the names and texts they refer to."""

    events: Sequence[Any]
    people: Mapping[int, str]
    said: Mapping[int, str]


def history(session: PortalSession, rule_set_id: int) -> History:
    """Who did what to it when."""
    query = (
        select(Event)
        .where(Event.subject_type == SUBJECT, Event.subject_id == rule_set_id)
        .order_by(Event.id.desc())
        .limit(MOST_EVENTS)
    )
    events = list(session.scalars(query))
    texts = [int(event.data["text"]) for event in events if event.data.get("text")]
    said = select(Text.id, Text.body).where(Text.id.in_(texts))
    return History(
        events,
        people(session, (event.person_id for event in events)),
        {row.id: row.body or "" for row in session.execute(said)} if texts else {},
    )


def people(session: PortalSession, ids: Iterable[int | None]) -> dict[int, str]:
    """Person id -> name."""
    wanted = {one for one in ids if one is not None}
    if not wanted:
        return {}
    return {
        row.id: row.name
        for row in session.execute(select(Person.id, Person.name).where(Person.id.in_(wanted)))
    }


def versions(session: PortalSession) -> list[tuple[int, str, str]]:
    """(version, name, look) of all, newest first."""
    query = table(session).with_only_columns(RuleSetRow.version, RuleSetRow.name, look())
    return [tuple(row) for row in session.execute(query.order_by(RuleSetRow.version.desc()).limit(500))]
