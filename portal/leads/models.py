"""Leads and the offers made of them."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import BigInteger, Text

from portal.companies.models import Money, of_company
from portal.db import Base, InRealm

ASSIGNMENTS = ("unrouted", "offered", "held", "handed_back", "pulled_back", "house", "unroutable")
STAGES = ("new", "working", "qualified", "proposed", "won", "lost", "invalid", "duplicate", "nurture")

OPEN_STEP = text("next_step_on is not null and stage not in ('won', 'lost', 'invalid', 'duplicate')")


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    return CheckConstraint(f"{column} in ({', '.join(repr(v) for v in values)})", name=column)


class Lead(InRealm, Base):
    """A request from a customer. `company_id` is the vendor that owns it; the holder is who accepted it."""

    __tablename__ = "leads"
    __table_args__ = (
        of_company(),
        ForeignKeyConstraint(["realm_id", "account_id"], ["accounts.realm_id", "accounts.id"]),
        ForeignKeyConstraint(["realm_id", "contact_id"], ["contacts.realm_id", "contacts.id"]),
        UniqueConstraint("realm_id", "id"),
        UniqueConstraint("realm_id", "company_id", "number"),
        UniqueConstraint("realm_id", "company_id", "external_key"),
        _one_of("assignment", ASSIGNMENTS),
        _one_of("stage", STAGES),
        Index("leads_list", "realm_id", text("updated_at desc"), text("id desc")),
        Index("leads_queue", "realm_id", "assignment", text("updated_at desc"), text("id desc")),
        Index(None, "contact_id"),
        Index(None, "account_id"),
        Index("leads_same", "realm_id", "fingerprint"),
        Index("leads_received", "realm_id", text("received_at desc"), text("id desc")),
        Index("leads_stage", "realm_id", "stage", text("received_at desc"), text("id desc")),
        Index("leads_source", "realm_id", "source"),
        Index("leads_country", "realm_id", "country"),
        Index(
            "leads_won",
            "realm_id",
            "won_on",
            postgresql_where=text("stage = 'won'"),
            postgresql_include=["won_amount", "currency", "subdivision", "country", "id"],
        ),
        Index("leads_steps", "realm_id", "next_step_on", "id", postgresql_where=OPEN_STEP),
        Index("leads_own_steps", "holder_company_id", "next_step_on", "id", postgresql_where=OPEN_STEP),
        Index("leads_pipeline", "holder_company_id", "stage", postgresql_include=["currency", "amount"]),
    )

    company_id: Mapped[int]
    number: Mapped[str]
    external_key: Mapped[str | None]
    title: Mapped[str]
    account_id: Mapped[int]
    contact_id: Mapped[int | None]
    country: Mapped[str | None]
    subdivision: Mapped[str | None]
    postal: Mapped[str | None]
    city: Mapped[str | None]
    lat: Mapped[float | None]
    lon: Mapped[float | None]
    precision: Mapped[str | None]
    product_lines: Mapped[list[str]] = mapped_column(ARRAY(Text))
    certifications: Mapped[list[str]] = mapped_column(ARRAY(Text))
    amount: Mapped[Decimal | None] = mapped_column(Money)
    currency: Mapped[str | None]
    language: Mapped[str | None]
    need: Mapped[str | None]
    industry: Mapped[str | None]
    start_on: Mapped[date | None]
    source: Mapped[str | None]
    channel: Mapped[str | None]
    hours: Mapped[str | None]
    legal_basis: Mapped[str | None]
    received_at: Mapped[datetime]
    # What makes two requests the same one: account, contact, product lines, amount; a hash, never the words.
    fingerprint: Mapped[str]
    suspected_duplicate_of: Mapped[int | None] = mapped_column(BigInteger)
    assignment: Mapped[str]
    assignment_reason: Mapped[str | None]
    stage: Mapped[str] = mapped_column(server_default="new")
    stage_reason: Mapped[str | None]
    holder_company_id: Mapped[int | None]
    holder_location_id: Mapped[int | None]
    holder_person_id: Mapped[int | None]
    offer_id: Mapped[int | None]
    next_step: Mapped[str | None]
    next_step_on: Mapped[date | None]
    won_amount: Mapped[Decimal | None] = mapped_column(Money)
    won_on: Mapped[date | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Offer(InRealm, Base):
    """A lead offered to one location until `deadline_at` (its working hours, capped by `cap_at` on the wall clock).

    `brief` is the offer view, fixed when offered: all that the partner may see before it accepts.
    """

    __tablename__ = "offers"
    __table_args__ = (
        ForeignKeyConstraint(["realm_id", "lead_id"], ["leads.realm_id", "leads.id"]),
        ForeignKeyConstraint(
            ["realm_id", "company_id", "location_id"],
            ["locations.realm_id", "locations.company_id", "locations.id"],
        ),
        _one_of("state", ("offered", "accepted", "declined", "expired", "withdrawn")),
        Index("one_open_offer", "lead_id", unique=True, postgresql_where=text("state = 'offered'")),
        Index("offers_inbox", "company_id", "state", "deadline_at"),
        Index("offers_answers", "company_id", "state", text("offered_at desc")),
        Index(None, "lead_id", "id"),
        Index("offers_due", "realm_id", "deadline_at", postgresql_where=text("state = 'offered'")),
    )

    lead_id: Mapped[int]
    lead_number: Mapped[str]
    company_id: Mapped[int]
    location_id: Mapped[int]
    decision_id: Mapped[int | None] = mapped_column(BigInteger)
    state: Mapped[str]
    brief: Mapped[dict[str, Any]] = mapped_column(JSONB)
    distance_m: Mapped[int | None]
    offered_at: Mapped[datetime]
    remind_at: Mapped[datetime | None]
    deadline_at: Mapped[datetime]
    cap_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]
    answered_by: Mapped[int | None] = mapped_column(BigInteger)
    reason: Mapped[str | None]
    seen_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    ended_reason: Mapped[str | None]
