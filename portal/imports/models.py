"""One run of an import: its file, its mapping and what came of it."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import LargeBinary

from portal.companies.models import of_company
from portal.db import Base, InRealm


class Import(InRealm, Base):
    """Counts of an import. The raw file and the wrong rows are texts that point here; sha256 is the file's."""

    __tablename__ = "imports"
    __table_args__ = (
        of_company(),
        CheckConstraint("state in ('running', 'done', 'failed')", name="state"),
        Index(None, "realm_id", "started_at"),
    )

    company_id: Mapped[int]
    kind: Mapped[str]
    mapping: Mapped[str]
    file_name: Mapped[str]
    sha256: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[str]
    new: Mapped[int] = mapped_column(server_default="0")
    changed: Mapped[int] = mapped_column(server_default="0")
    same: Mapped[int] = mapped_column(server_default="0")
    wrong: Mapped[int] = mapped_column(server_default="0")
    person_id: Mapped[int | None]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
