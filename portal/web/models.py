"""What a person's lists remember, and the filters people have saved under a name."""

from datetime import datetime

from sqlalchemy import ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import BigInteger

from portal.companies.models import of_company
from portal.db import Base, InRealm


def _of_person() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["realm_id", "person_id"], ["people.realm_id", "people.id"])


class ListMemory(Base):
    """How a person left a list: columns in their order (null: the built-in ones), filter and sort as a query string,
    and the saved filter it opens with."""

    __tablename__ = "list_memories"
    __table_args__ = (of_company(), _of_person())

    realm_id: Mapped[int]
    company_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    person_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    list: Mapped[str] = mapped_column(primary_key=True)
    columns: Mapped[str | None]
    query: Mapped[str] = mapped_column(server_default="")
    default_id: Mapped[int | None]


class SavedFilter(InRealm, Base):
    """A filter and sort order under a name; `shared` ones are seen by the owner's whole company."""

    __tablename__ = "saved_filters"
    __table_args__ = (
        of_company(),
        _of_person(),
        UniqueConstraint("company_id", "person_id", "list", "name"),
        Index(None, "company_id", "list"),
    )

    company_id: Mapped[int]
    person_id: Mapped[int]
    list: Mapped[str]
    name: Mapped[str]
    query: Mapped[str]
    shared: Mapped[bool]
    created_at: Mapped[datetime]
