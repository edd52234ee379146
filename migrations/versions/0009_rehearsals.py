"""A rule set tried on the leads of the last days, kept with what it would have moved; and decisions found by their time."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.rls import VENDOR, protect

revision = "0009"
down_revision = "0008"

STATES = ("waiting", "running", "stopping", "done", "stopped", "failed")


def _owned(table: str) -> tuple[sa.Column, ...]:
    return (
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
        sa.ForeignKeyConstraint(
            ["realm_id", "company_id"],
            ["companies.realm_id", "companies.id"],
            name=op.f(f"fk_{table}_realm_id_company_id"),
        ),
    )


def upgrade() -> None:
    """Tables that the vendor alone reads and writes."""
    states = ", ".join(f"'{state}'" for state in STATES)
    op.create_table(
        "rehearsals",
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("against", sa.BigInteger(), nullable=True),
        sa.Column("against_hash", sa.String(), nullable=True),
        sa.Column("days", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("phase", sa.String(), server_default="rules", nullable=False),
        sa.Column("done", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("effects", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("started_by", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        *_owned("rehearsals"),
        sa.UniqueConstraint("realm_id", "id", name=op.f("uq_rehearsals_realm_id_id")),
        sa.CheckConstraint(f"state in ({states})", name=op.f("ck_rehearsals_state")),
    )
    op.create_index(
        op.f("ix_rehearsals_realm_id_version_id"), "rehearsals", ["realm_id", "version", "id"], unique=False
    )
    protect("rehearsals", select=VENDOR, insert=VENDOR, update=VENDOR)
    op.create_table(
        "rehearsal_moves",
        sa.Column("rehearsal_id", sa.BigInteger(), nullable=False),
        sa.Column("effect", sa.String(), nullable=False),
        sa.Column("lead_id", sa.BigInteger(), nullable=False),
        sa.Column("from_company", sa.BigInteger(), nullable=True),
        sa.Column("from_location", sa.BigInteger(), nullable=True),
        sa.Column("from_rep", sa.String(), nullable=True),
        sa.Column("to_company", sa.BigInteger(), nullable=True),
        sa.Column("to_location", sa.BigInteger(), nullable=True),
        sa.Column("to_rep", sa.String(), nullable=True),
        *_owned("rehearsal_moves"),
        sa.ForeignKeyConstraint(
            ["realm_id", "rehearsal_id"],
            ["rehearsals.realm_id", "rehearsals.id"],
            name=op.f("fk_rehearsal_moves_realm_id_rehearsal_id"),
            ondelete="CASCADE",
        ),
        sa.CheckConstraint("effect in ('rules', 'full')", name=op.f("ck_rehearsal_moves_effect")),
    )
    op.create_index(
        op.f("ix_rehearsal_moves_rehearsal_id_effect_id"),
        "rehearsal_moves",
        ["rehearsal_id", "effect", "id"],
        unique=False,
    )
    protect("rehearsal_moves", select=VENDOR, insert=VENDOR)
    op.create_index("decisions_time", "decisions", ["realm_id", "as_of", "id"], unique=False)


def downgrade() -> None:
    """What was rehearsed is lost; it can be rehearsed again."""
    op.drop_index("decisions_time", table_name="decisions")
    op.drop_table("rehearsal_moves")
    op.drop_table("rehearsals")
