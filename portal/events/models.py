"""The one log, and the work that must happen outside, under other eyes, or later."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Identity, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import BigInteger

from portal.db import Base, InRealm


class Event(Base):
    """One thing that happened. `id` orders events of one subject (its row is locked); `pos`, stamped after commit by
    the sequencer, orders the feed. `audience`: companies that may know. `data` refers, it holds no personal data."""

    __tablename__ = "events"
    __table_args__ = (
        Index(None, "audience", postgresql_using="gin"),
        Index("unsequenced_event", "id", postgresql_where=text("pos is null")),
        Index(None, "subject_type", "subject_id", "id"),
        Index(None, "pos", unique=True),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    realm_id: Mapped[int]
    pos: Mapped[int | None]
    at: Mapped[datetime]
    kind: Mapped[str]
    company_id: Mapped[int | None]
    person_id: Mapped[int | None]
    client_id: Mapped[int | None]
    subject_type: Mapped[str]
    subject_id: Mapped[int]
    type: Mapped[str]
    version: Mapped[int] = mapped_column(server_default="1")
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
    audience: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))


class FeedEpoch(Base):
    """The epoch of feed cursors; a restore begins a new one, so that no reader trusts a position that was undone."""

    __tablename__ = "feed_epochs"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    started_at: Mapped[datetime]


class WorkItem(InRealm, Base):
    """A piece of work: claimed with SKIP LOCKED under a lease, deleted when done, parked with its reason when not."""

    __tablename__ = "work_items"
    __table_args__ = (
        UniqueConstraint("schedule", "due_at"),
        CheckConstraint("state in ('ready', 'running', 'parked')", name="state"),
        Index("due_work", "queue", "run_at", "id", postgresql_where=text("state = 'ready'")),
        Index("leased_work", "lease_until", postgresql_where=text("state = 'running'")),
        Index("lane_work", "lane", "id", postgresql_where=text("lane is not null and state <> 'parked'")),
    )

    queue: Mapped[str]
    kind: Mapped[str]
    lane: Mapped[str | None]
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    state: Mapped[str] = mapped_column(server_default="ready")
    attempts: Mapped[int] = mapped_column(server_default="0")
    run_at: Mapped[datetime]
    lease_until: Mapped[datetime | None]
    lease: Mapped[int | None]
    last_error: Mapped[str | None]
    schedule: Mapped[str | None]
    due_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class Heartbeat(Base):
    """When each long-running process was last seen, in real time; /readyz reads it."""

    __tablename__ = "heartbeats"

    name: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]
