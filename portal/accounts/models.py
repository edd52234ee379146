"""The customer's master data: accounts and contacts. Personal data live in contacts, people and texts only."""

from datetime import datetime

from sqlalchemy import ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped

from portal.db import Base, InRealm


class Account(InRealm, Base):
    """A customer's organisation."""

    __tablename__ = "accounts"
    __table_args__ = (
        UniqueConstraint("realm_id", "id"),
        UniqueConstraint("realm_id", "external_key"),
        Index(None, "realm_id", "name_key", "postal"),
    )

    name: Mapped[str]
    name_key: Mapped[str]
    external_key: Mapped[str | None]
    industry: Mapped[str | None]
    website: Mapped[str | None]
    country: Mapped[str | None]
    subdivision: Mapped[str | None]
    postal: Mapped[str | None]
    city: Mapped[str | None]
    created_at: Mapped[datetime]


class Contact(InRealm, Base):
    """A person at an account, and where they are to be met."""

    __tablename__ = "contacts"
    __table_args__ = (
        ForeignKeyConstraint(["realm_id", "account_id"], ["accounts.realm_id", "accounts.id"]),
        UniqueConstraint("realm_id", "id"),
        Index(None, "realm_id", "email_key"),
        Index(None, "account_id"),
    )

    account_id: Mapped[int]
    name: Mapped[str | None]
    email: Mapped[str | None]
    email_key: Mapped[str | None]
    phone: Mapped[str | None]
    street: Mapped[str | None]
    language: Mapped[str | None]
    created_at: Mapped[datetime]
