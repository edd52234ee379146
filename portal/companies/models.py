"""Realms, companies, locations, people and roles."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, Numeric, UniqueConstraint, false, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import BigInteger

from portal.db import Base, InRealm

VENDOR_ROLES = ("operator", "channel_manager", "account_manager", "sales_rep", "service_agent")
PARTNER_ROLES = ("administrator", "sales", "service")


def of_company(table: str = "companies") -> ForeignKeyConstraint:
    """The composite key that keeps a row inside its realm: (realm_id, company_id) -> companies."""
    return ForeignKeyConstraint(["realm_id", "company_id"], [f"{table}.realm_id", f"{table}.id"])


class Realm(Base):
    """A world of its own with its own clock: `live`, or a partner's `sandbox`. Offset in seconds from real time."""

    __tablename__ = "realms"
    __table_args__ = (CheckConstraint("kind in ('live', 'sandbox')", name="kind"),)

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[str]
    name: Mapped[str]
    clock_offset_seconds: Mapped[int] = mapped_column(server_default="0")
    agreement_version: Mapped[str] = mapped_column(server_default="1")
    created_at: Mapped[datetime]


class DirectoryVersion(Base):
    """Counts every change of what routing reads; snapshots in processes compare it once per transaction."""

    __tablename__ = "directory_versions"

    realm_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(server_default="1")


class Company(InRealm, Base):
    """The vendor, a partner or a distributor. What may change and matters to routing is in Standing."""

    __tablename__ = "companies"
    __table_args__ = (
        UniqueConstraint("realm_id", "id"),
        UniqueConstraint("realm_id", "kind", "external_key"),
        CheckConstraint("kind in ('vendor', 'partner', 'distributor')", name="kind"),
        Index("one_vendor", "realm_id", unique=True, postgresql_where=text("kind = 'vendor'")),
        Index(None, "realm_id", "name_key"),
    )

    kind: Mapped[str]
    name: Mapped[str]
    name_key: Mapped[str]
    external_key: Mapped[str | None]
    website: Mapped[str | None]
    phone: Mapped[str | None]
    description: Mapped[str | None]
    language: Mapped[str] = mapped_column(server_default="en")
    time_zone: Mapped[str] = mapped_column(server_default="UTC")
    # Who works for the company signs in with a second factor (portal/security).
    factor_required: Mapped[bool] = mapped_column(server_default=false())
    # Of the vendor: a rule set is published only after a second person has approved it (portal/routing/rulesets).
    rules_reviewed: Mapped[bool] = mapped_column(server_default=false())
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Location(InRealm, Base):
    """A place from which a company works: what a lead is offered to. Its facts are dated rows in LocationFact."""

    __tablename__ = "locations"
    __table_args__ = (
        of_company(),
        UniqueConstraint("realm_id", "company_id", "id"),
        UniqueConstraint("company_id", "key"),
        Index(None, "realm_id", "added_version", "id"),
    )

    company_id: Mapped[int]
    key: Mapped[str]
    name: Mapped[str]
    # The directory version that first held it: candidates of a past decision are those with added_version <= its.
    added_version: Mapped[int]
    created_at: Mapped[datetime]


class LocationFact(InRealm, Base):
    """Address, coordinates with their precision, capacity and calendar of a location from `valid_from` on."""

    __tablename__ = "location_facts"
    __table_args__ = (
        ForeignKeyConstraint(
            ["realm_id", "company_id", "location_id"],
            ["locations.realm_id", "locations.company_id", "locations.id"],
        ),
        CheckConstraint("capacity >= 0", name="capacity"),
        CheckConstraint("lat between -90 and 90 and lon between -180 and 180", name="coordinates"),
        Index("current_location_fact", "location_id", unique=True, postgresql_where=text("valid_to is null")),
    )

    company_id: Mapped[int]
    location_id: Mapped[int]
    street: Mapped[str | None]
    city: Mapped[str | None]
    postal: Mapped[str | None]
    subdivision: Mapped[str | None]
    country: Mapped[str | None]
    lat: Mapped[float | None]
    lon: Mapped[float | None]
    precision: Mapped[str | None]
    phone: Mapped[str | None]
    capacity: Mapped[int]
    calendar: Mapped[dict[str, Any]] = mapped_column(JSONB)
    active: Mapped[bool] = mapped_column(server_default="true")
    valid_from: Mapped[datetime]
    valid_to: Mapped[datetime | None]


class Person(InRealm, Base):
    """Somebody who may sign in; one of the three places for personal data. The password is kept elsewhere."""

    __tablename__ = "people"
    __table_args__ = (UniqueConstraint("realm_id", "id"), UniqueConstraint("realm_id", "email_key"))

    email: Mapped[str]
    email_key: Mapped[str]
    name: Mapped[str]
    language: Mapped[str] = mapped_column(server_default="en")
    time_zone: Mapped[str | None]
    # The address asked for, until whoever reads it confirms.
    pending_email: Mapped[str | None]
    status: Mapped[str] = mapped_column(server_default="invited")
    # Whether single keys act on pages (WCAG 2.1.4: whoever speaks to the computer can turn them off).
    shortcuts: Mapped[bool] = mapped_column(server_default="true")
    created_at: Mapped[datetime]


class Membership(InRealm, Base):
    """A person's role in a company, for all its locations or for those named."""

    __tablename__ = "memberships"
    __table_args__ = (
        of_company(),
        ForeignKeyConstraint(["realm_id", "person_id"], ["people.realm_id", "people.id"]),
        UniqueConstraint("realm_id", "company_id", "person_id", "role"),
        Index(None, "person_id"),
        CheckConstraint(
            "role in ('operator', 'channel_manager', 'account_manager', 'sales_rep', 'service_agent',"
            " 'administrator', 'sales', 'service')",
            name="role",
        ),
    )

    company_id: Mapped[int]
    person_id: Mapped[int]
    role: Mapped[str]
    location_ids: Mapped[list[int] | None] = mapped_column(ARRAY(BigInteger))
    created_at: Mapped[datetime]


Money = Numeric(18, 2)
