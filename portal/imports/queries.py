"""Reads runs of imports and the files they keep."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from portal.companies.models import Person
from portal.db import PortalSession
from portal.errors import NotFound
from portal.imports.models import Import
from portal.sharing.models import Text


def table() -> Any:
    """One row per run with who started it."""
    return select(
        Import.id,
        Import.kind,
        Import.mapping,
        Import.file_name,
        Import.state,
        Import.new,
        Import.changed,
        Import.same,
        Import.wrong,
        Import.started_at,
        Import.finished_at,
        Person.name.label("person"),
    ).outerjoin(Person, Person.id == Import.person_id)


def run(session: PortalSession, import_id: int) -> Import:
    """One run; NotFound when the reader may not know it."""
    found = session.get(Import, import_id)
    if found is None:
        raise NotFound
    return found


def file_of(session: PortalSession, import_id: int, kind: str) -> Text:
    """The file kept with a run: kind import.file or import.wrong; NotFound when there is none (any more)."""
    query = select(Text).where(Text.subject_type == "import", Text.subject_id == import_id, Text.kind == kind)
    found = session.execute(query.order_by(Text.id.desc())).scalars().first()
    if found is None or found.blob is None:
        raise NotFound
    return found


def recent(session: PortalSession, limit: int = 5) -> Sequence[Any]:
    """The newest runs."""
    return session.execute(table().order_by(Import.started_at.desc(), Import.id.desc()).limit(limit)).all()
