"""Rule sets in all their states, what each decision saw and said, and the counters of every location."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import BigInteger, LargeBinary

from portal.companies.models import of_company
from portal.db import Base, InRealm


class RuleSetRow(InRealm, Base):
    """A version of a rule set in the JSON form of rules/schema.py. Only a draft can be edited (trigger guard).

    `revision` counts its edits and steps; `acknowledged` maps the name of a finding to {"by": person, "at": time}.
    """

    __tablename__ = "rule_sets"
    __table_args__ = (
        of_company(),
        UniqueConstraint("realm_id", "subject_type", "version"),
        CheckConstraint("state in ('draft', 'in_review', 'scheduled', 'published', 'retired')", name="state"),
        Index(
            "published_rule_set",
            "realm_id",
            "subject_type",
            unique=True,
            postgresql_where=text("state = 'published'"),
        ),
    )

    company_id: Mapped[int]
    subject_type: Mapped[str] = mapped_column(server_default="lead")
    name: Mapped[str]
    version: Mapped[int]
    state: Mapped[str]
    body: Mapped[dict[str, Any]] = mapped_column(JSONB)
    hash: Mapped[str]
    revision: Mapped[int] = mapped_column(server_default="1")
    based_on: Mapped[int | None]
    acknowledged: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    created_by: Mapped[int | None]
    updated_by: Mapped[int | None]
    submitted_by: Mapped[int | None]
    approved_by: Mapped[int | None]
    published_by: Mapped[int | None]
    publish_at: Mapped[datetime | None]
    published_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime | None]


class Decision(InRealm, Base):
    """One routing decision, replayable: request without personal data, rule set, directory version, state, answer.

    `gates` is zlib of one byte per candidate (locations with added_version <= directory_version, by id): 0 could take
    it, 255 was excluded by the request, else 1 + the index of its first failing gate.
    """

    __tablename__ = "decisions"
    __table_args__ = (
        of_company(),
        Index(None, "subject_type", "subject_id", "id"),
        Index("decisions_time", "realm_id", "as_of", "id"),
    )

    company_id: Mapped[int]
    subject_type: Mapped[str]
    subject_id: Mapped[int]
    request: Mapped[dict[str, Any]] = mapped_column(JSONB)
    as_of: Mapped[datetime]
    seed: Mapped[int]
    rule_set_version: Mapped[int]
    rule_set_hash: Mapped[str]
    directory_version: Mapped[int]
    state: Mapped[dict[str, Any]] = mapped_column(JSONB)
    counts: Mapped[list[Any]] = mapped_column(JSONB)
    top: Mapped[list[Any]] = mapped_column(JSONB)
    gates: Mapped[bytes] = mapped_column(LargeBinary)
    candidates: Mapped[int]
    eligible: Mapped[int]
    chosen_location_id: Mapped[int | None]
    result_hash: Mapped[str]


class RoutingState(Base):
    """Open work and fairness credit (fixed point, 2**-32) of a location: the rows locked, in id order, on offer."""

    __tablename__ = "routing_states"
    __table_args__ = (
        Index(None, "company_id"),
        ForeignKeyConstraint(
            ["realm_id", "company_id", "location_id"],
            ["locations.realm_id", "locations.company_id", "locations.id"],
        ),
        CheckConstraint("open >= 0", name="open"),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    location_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    realm_id: Mapped[int]
    company_id: Mapped[int]
    open: Mapped[int] = mapped_column(server_default="0")
    credit: Mapped[int] = mapped_column(server_default="0")


REHEARSAL_STATES = ("waiting", "running", "stopping", "done", "stopped", "failed")


class Rehearsal(InRealm, Base):
    """A rule set tried on the leads of the last `days`. `hash` is what was tried, `against` the version in force then.

    `effects` holds for 'rules' and 'full' what portal.routing.rehearsing.stored says; the moves are rows of their own.
    """

    __tablename__ = "rehearsals"
    __table_args__ = (
        of_company(),
        UniqueConstraint("realm_id", "id"),
        CheckConstraint(f"state in ({', '.join(repr(s) for s in REHEARSAL_STATES)})", name="state"),
        Index(None, "realm_id", "version", "id"),
    )

    company_id: Mapped[int]
    version: Mapped[int]
    hash: Mapped[str]
    against: Mapped[int | None]
    against_hash: Mapped[str | None]
    days: Mapped[int]
    state: Mapped[str]
    phase: Mapped[str] = mapped_column(server_default="rules")
    done: Mapped[int] = mapped_column(server_default="0")
    total: Mapped[int] = mapped_column(server_default="0")
    effects: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    started_by: Mapped[int | None]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class RehearsalMove(InRealm, Base):
    """A lead that a rehearsal would have moved. A location is null for nobody, or for a rep of the vendor."""

    __tablename__ = "rehearsal_moves"
    __table_args__ = (
        of_company(),
        ForeignKeyConstraint(
            ["realm_id", "rehearsal_id"], ["rehearsals.realm_id", "rehearsals.id"], ondelete="CASCADE"
        ),
        CheckConstraint("effect in ('rules', 'full')", name="effect"),
        Index(None, "rehearsal_id", "effect", "id"),
    )

    company_id: Mapped[int]
    rehearsal_id: Mapped[int]
    effect: Mapped[str]
    lead_id: Mapped[int]
    from_company: Mapped[int | None]
    from_location: Mapped[int | None]
    from_rep: Mapped[str | None]
    to_company: Mapped[int | None]
    to_location: Mapped[int | None]
    to_rep: Mapped[str | None]


class DecisionBlock(InRealm, Base):
    """Consecutive decisions by id, written over columns after the fact (portal/routing/blocks.py): `decisions` are their
    ids, `facts` what a partner that took part may know of each. The last block is open until it is full."""

    __tablename__ = "decision_blocks"
    __table_args__ = (of_company(), UniqueConstraint("realm_id", "id"), Index(None, "realm_id", "last_id"))

    company_id: Mapped[int]
    first_id: Mapped[int]
    last_id: Mapped[int]
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    decisions: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    facts: Mapped[list[Any]] = mapped_column(JSONB)
    closed: Mapped[bool]


class DecisionColumn(Base):
    """What became of one location in each decision of a block: a byte each, as in Decision.gates, but CHOSEN and ABSENT
    of portal/routing/blocks.py. A block is large enough for PostgreSQL to compress it. `shares`: day -> the turns that
    were its due as one of those in the running, in millionths; null for none."""

    __tablename__ = "decision_columns"
    __table_args__ = (
        ForeignKeyConstraint(
            ["realm_id", "block_id"], ["decision_blocks.realm_id", "decision_blocks.id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(
            ["realm_id", "company_id", "location_id"],
            ["locations.realm_id", "locations.company_id", "locations.id"],
        ),
        Index(None, "company_id", "block_id"),
        Index("decision_shares", "block_id", postgresql_where=text("shares is not null")),
    )

    block_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    location_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    realm_id: Mapped[int]
    company_id: Mapped[int]
    outcomes: Mapped[bytes] = mapped_column(LargeBinary)
    shares: Mapped[dict[str, int] | None] = mapped_column(JSONB(none_as_null=True))
