"""What only the database's own functions may read: credentials, passwords and throttles (migration 0001)."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import BigInteger, LargeBinary, Text

from portal.db import Base


class CredentialRow(Base):
    """The hash of a secret and the principal it opens: a session, an API token, a mail link, an invitation.

    `half` is a sign-in that still lacks something (migration 0002); `factor_at`: when the second factor was proved.
    """

    __tablename__ = "credentials"
    __table_args__ = (
        CheckConstraint(
            "purpose in ('session', 'api', 'offer', 'invite', 'reset', 'half', 'join', 'address', 'keep')",
            name="purpose",
        ),
        ForeignKeyConstraint(["realm_id", "company_id"], ["companies.realm_id", "companies.id"]),
        Index(None, "expires_at"),
        Index(None, "person_id"),
        Index(None, "subject_id"),
    )

    hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    purpose: Mapped[str]
    realm_id: Mapped[int]
    kind: Mapped[str]
    company_id: Mapped[int | None]
    person_id: Mapped[int | None]
    client_id: Mapped[int | None]
    subject_id: Mapped[int | None]
    bound_to: Mapped[str | None]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    idle_seconds: Mapped[int | None]
    expires_at: Mapped[datetime]
    device: Mapped[str | None]
    factor_at: Mapped[datetime | None]


class Password(Base):
    """argon2id hash of a person's password."""

    __tablename__ = "passwords"

    person_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    realm_id: Mapped[int]
    hash: Mapped[str]
    changed_at: Mapped[datetime]


class SecondFactor(Base):
    """A person's TOTP secret, encrypted (portal.security.factor), and the last step of 30 s that a code was used for."""

    __tablename__ = "second_factors"

    person_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    realm_id: Mapped[int]
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    confirmed_at: Mapped[datetime]
    last_step: Mapped[int | None]


class RecoveryCode(Base):
    """Keyed hash of a recovery code that has not been used yet."""

    __tablename__ = "recovery_codes"

    person_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    realm_id: Mapped[int]


class Throttle(Base):
    """Attempts counted per key (a hash of account or address) and window."""

    __tablename__ = "throttles"

    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    window_start: Mapped[datetime]
    count: Mapped[int]


class ApiClient(Base):
    """A partner's or the vendor's system: client id, hashed secret, scopes."""

    __tablename__ = "api_clients"
    __table_args__ = (
        ForeignKeyConstraint(["realm_id", "company_id"], ["companies.realm_id", "companies.id"]),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    realm_id: Mapped[int]
    company_id: Mapped[int]
    name: Mapped[str]
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
