"""Answers kept for repeated requests (Idempotency-Key)."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import BigInteger, LargeBinary

from portal.db import Base


class IdempotentAnswer(Base):
    """The answer to a request, inserted complete in the transaction of its effect and kept 30 days."""

    __tablename__ = "idempotent_answers"
    __table_args__ = (Index(None, "created_at"),)

    company_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    client_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    route: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    realm_id: Mapped[int]
    request_hash: Mapped[bytes] = mapped_column(LargeBinary)
    status: Mapped[int]
    answer: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime]
