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
    the sequencer, orders the feed. `audience`: companies that may know. `data` refers, it holds no personal data;
    `request_id` leads to the lines of the log."""

    __tablename__ = "events"
    __table_args__ = (
        Index(None, "audience", postgresql_using="gin"),
        Index("unsequenced_event", "id", postgresql_where=text("pos is null")),
        Index(None, "subject_type", "subject_id", "id"),
        Index(None, "pos", unique=True),
        # What happened to accounts, as each company may read it (portal/security).
        Index("account_event", "company_id", "id", postgresql_where=text("subject_type = 'person'")),
        Index("comments", "id", postgresql_where=text("type = 'lead.commented'")),
        Index(
            "comments_to",
            "audience",
            postgresql_using="gin",
            postgresql_where=text("type = 'lead.commented'"),
        ),
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
    request_id: Mapped[str | None]


class FeedEpoch(Base):
    """The epoch of feed cursors; a restore begins a new one, so that no reader trusts a position that was undone.

    Positions above `after_position` (and not above a later epoch's) were stamped in it."""

    __tablename__ = "feed_epochs"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    started_at: Mapped[datetime]
    after_position: Mapped[int] = mapped_column(server_default="0")


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
