"""A proposed change of a partner's profile."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from portal.companies.models import of_company
from portal.db import Base, InRealm

STATES = ("open", "approved", "rejected", "withdrawn")


class Proposal(InRealm, Base):
    """What a partner wants changed: per field what it read (`before`) and what it shall be (`after`).

    `kind` names the form and the action (portal.partners.proposals.kinds); `row_id` the dated row it takes away.
    Words of people are texts: `why_id` of who proposed, `answer_id` of who decided.
    """

    __tablename__ = "proposals"
    __table_args__ = (
        of_company(),
        ForeignKeyConstraint(
            ["realm_id", "company_id", "location_id"],
            ["locations.realm_id", "locations.company_id", "locations.id"],
        ),
        CheckConstraint("state in ('open', 'approved', 'rejected', 'withdrawn')", name="state"),
        Index("proposals_of_company", "company_id", text("id desc")),
        Index("proposals_open", "realm_id", "proposed_at", postgresql_where=text("state = 'open'")),
    )

    company_id: Mapped[int]
    kind: Mapped[str]
    location_id: Mapped[int | None]
    row_id: Mapped[int | None]
    before: Mapped[dict[str, Any]] = mapped_column(JSONB)
    after: Mapped[dict[str, Any]] = mapped_column(JSONB)
    state: Mapped[str]
    proposed_by: Mapped[int]
    proposed_at: Mapped[datetime]
    decided_by: Mapped[int | None]
    decided_at: Mapped[datetime | None]
    why_id: Mapped[int | None]
    answer_id: Mapped[int | None]
