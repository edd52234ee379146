"""Shares (the one way to see), texts (raw words, the third place for personal data) and the files among them."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import BigInteger, LargeBinary

from portal.companies.models import of_company
from portal.db import Base, InRealm


class Share(Base):
    """Lets a company see a subject: at level `offer` its offer view, `full` all, `past` its own line only.

    Carries the list keys (`state`, `at`), kept by the action that changes the subject, so that lists are limited
    here first and joined after.
    """

    __tablename__ = "shares"
    __table_args__ = (
        of_company(),
        CheckConstraint("level in ('offer', 'full', 'past')", name="level"),
        Index(
            "shares_of_level", "company_id", "subject_type", "level", text("at desc"), text("subject_id desc")
        ),
        Index(
            "shares_of_state",
            "company_id",
            "subject_type",
            "level",
            "state",
            text("at desc"),
            text("subject_id desc"),
        ),
        Index(None, "subject_type", "subject_id"),
    )

    company_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    subject_type: Mapped[str] = mapped_column(primary_key=True)
    subject_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    realm_id: Mapped[int]
    level: Mapped[str]
    state: Mapped[str]
    at: Mapped[datetime]


# No company's id: in an audience, whoever holds the subject, from acceptance until it leaves them.
HOLDER = 0


class Text(InRealm, Base):
    """Words or bytes that may hold personal data: raw input, wrong rows, notes, answers, names of files (kind `file`).

    `audience` sees them; HOLDER in it stands for whoever holds the subject. Rows with `expires_at` are deleted then
    (raw input after 30 days).
    """

    __tablename__ = "texts"
    __table_args__ = (
        of_company(),
        Index(None, "subject_type", "subject_id"),
        Index(None, "expires_at"),
    )

    company_id: Mapped[int]
    kind: Mapped[str]
    subject_type: Mapped[str | None]
    subject_id: Mapped[int | None]
    person_id: Mapped[int | None]
    body: Mapped[str | None]
    blob: Mapped[bytes | None] = mapped_column(LargeBinary)
    content_type: Mapped[str] = mapped_column(server_default="text/plain")
    audience: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]


class TextContact(Base):
    """Which contacts a text speaks of, so that erasing a contact finds its raw words too."""

    __tablename__ = "text_contacts"
    __table_args__ = (
        ForeignKeyConstraint(["text_id"], ["texts.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(["realm_id", "contact_id"], ["contacts.realm_id", "contacts.id"]),
        Index(None, "contact_id"),
    )

    text_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    contact_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    realm_id: Mapped[int]


class File(Base):
    """What the storage keeps of a text of kind `file`: its bytes under their SHA-256, shared by all who added the same.

    Goes with its text; the bytes go when no row names them any more (work item `files.sweep`).
    """

    __tablename__ = "files"
    __table_args__ = (
        ForeignKeyConstraint(["text_id"], ["texts.id"], ondelete="CASCADE"),
        Index(None, "sha256"),
    )

    text_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    realm_id: Mapped[int]
    sha256: Mapped[bytes] = mapped_column(LargeBinary)
    size: Mapped[int]
