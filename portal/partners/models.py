"""What makes a partner eligible: standing, certifications, authorisations, territories, agreement. All dated rows."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import BigInteger

from portal.companies.models import of_company
from portal.db import Base, InRealm

CURRENT = text("valid_to is null")


class Programme(InRealm, Base):
    """A certification programme of the vendor, by code."""

    __tablename__ = "programmes"
    __table_args__ = (UniqueConstraint("realm_id", "code"),)

    code: Mapped[str]
    name: Mapped[str]


class Level(InRealm, Base):
    """A programme level (Gold, Silver); the highest rank is the best."""

    __tablename__ = "levels"
    __table_args__ = (UniqueConstraint("realm_id", "code"),)

    code: Mapped[str]
    name: Mapped[str]
    rank: Mapped[int]


class ProductLine(InRealm, Base):
    """A product line or line of business that a partner may be authorised for."""

    __tablename__ = "product_lines"
    __table_args__ = (UniqueConstraint("realm_id", "code"),)

    code: Mapped[str]
    name: Mapped[str]


class Standing(InRealm, Base):
    """Status and level of a partner from `valid_from` on."""

    __tablename__ = "standings"
    __table_args__ = (
        of_company(),
        CheckConstraint("status in ('prospect', 'active', 'suspended', 'ended')", name="status"),
        Index("current_standing", "company_id", unique=True, postgresql_where=CURRENT),
    )

    company_id: Mapped[int]
    status: Mapped[str]
    level: Mapped[str | None]
    valid_from: Mapped[datetime]
    valid_to: Mapped[datetime | None]


class Certification(InRealm, Base):
    """A certification of a company: issued and expiring on days; for one product line or (null) for all."""

    __tablename__ = "certifications"
    __table_args__ = (
        of_company(),
        CheckConstraint("expires is null or issued is null or expires >= issued", name="dates"),
        Index(
            "current_certification",
            "company_id",
            "programme",
            "product_line",
            "number",
            unique=True,
            postgresql_where=CURRENT,
            postgresql_nulls_not_distinct=True,
        ),
        Index(None, "company_id"),
        Index(None, "realm_id", "expires"),
    )

    company_id: Mapped[int]
    programme: Mapped[str]
    level: Mapped[str | None]
    number: Mapped[str | None]
    issued: Mapped[date | None]
    expires: Mapped[date | None]
    product_line: Mapped[str | None]
    valid_from: Mapped[datetime]
    valid_to: Mapped[datetime | None]


class Authorisation(InRealm, Base):
    """The right to sell a product line."""

    __tablename__ = "authorisations"
    __table_args__ = (
        of_company(),
        Index("current_authorisation", "company_id", "product_line", unique=True, postgresql_where=CURRENT),
        Index(None, "company_id"),
    )

    company_id: Mapped[int]
    product_line: Mapped[str]
    valid_from: Mapped[datetime]
    valid_to: Mapped[datetime | None]


class Territory(InRealm, Base):
    """Where a location works: a country, an ISO 3166-2 subdivision, a postal prefix, a circle (km) or nationwide."""

    __tablename__ = "territories"
    __table_args__ = (
        Index(None, "company_id"),
        ForeignKeyConstraint(
            ["realm_id", "company_id", "location_id"],
            ["locations.realm_id", "locations.company_id", "locations.id"],
        ),
        CheckConstraint(
            "kind in ('country', 'subdivision', 'postal_prefix', 'circle', 'nationwide')", name="kind"
        ),
        Index(None, "location_id"),
    )

    company_id: Mapped[int]
    location_id: Mapped[int]
    kind: Mapped[str]
    country: Mapped[str | None]
    code: Mapped[str | None]
    lat: Mapped[float | None]
    lon: Mapped[float | None]
    radius_km: Mapped[float | None]
    valid_from: Mapped[datetime]
    valid_to: Mapped[datetime | None]


class Agreement(InRealm, Base):
    """An agreement accepted by version: who, when and how (`page`, `import`)."""

    __tablename__ = "agreements"
    __table_args__ = (
        of_company(),
        Index("current_agreement", "company_id", "version", unique=True, postgresql_where=CURRENT),
    )

    company_id: Mapped[int]
    version: Mapped[str]
    how: Mapped[str]
    accepted_by: Mapped[int | None] = mapped_column(BigInteger)
    valid_from: Mapped[datetime]
    valid_to: Mapped[datetime | None]
