"""What a desk remembers and proposes: saved filters, columns, proposed changes of a profile."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.rls import OWN, REALM, VENDOR, VENDOR_OR_OWN, protect

revision = "0004"
down_revision = "0003"

PERSON = "person_id = (select app.person())"
MINE = f"{REALM} and {OWN} and {PERSON}"


def upgrade() -> None:
    """Three tables, and whether a person wants single keys to act."""
    # A constant default: no row is rewritten.
    op.add_column("people", sa.Column("shortcuts", sa.Boolean(), server_default="true", nullable=False))
    create_lists()
    create_proposals()
    protect("list_memories", select=MINE, insert=MINE, update=MINE, delete=MINE)
    protect(
        "saved_filters",
        select=f"{REALM} and {OWN} and ({PERSON} or shared)",
        insert=MINE,
        update=MINE,
        delete=MINE,
    )
    # A partner writes its own proposal and may only take it back: what decides is the vendor's.
    protect(
        "proposals",
        select=VENDOR_OR_OWN,
        insert=f"{REALM} and {OWN} and (select app.kind()) = 'partner' and state = 'open' and decided_by is null",
        update=f"{VENDOR} or ({OWN} and state = 'open')",
        update_check=f"{VENDOR} or ({REALM} and {OWN} and state = 'withdrawn')",
    )


def create_lists() -> None:
    """What each person's lists remember."""
    op.create_table(
        "list_memories",
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.Column("company_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("person_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("list", sa.String(), nullable=False),
        sa.Column("columns", sa.String(), nullable=True),
        sa.Column("query", sa.String(), server_default="", nullable=False),
        sa.Column("default_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["realm_id", "company_id"],
            ["companies.realm_id", "companies.id"],
            name=op.f("fk_list_memories_realm_id_company_id"),
        ),
        sa.ForeignKeyConstraint(
            ["realm_id", "person_id"],
            ["people.realm_id", "people.id"],
            name=op.f("fk_list_memories_realm_id_person_id"),
        ),
        sa.PrimaryKeyConstraint("company_id", "person_id", "list", name=op.f("pk_list_memories")),
    )
    op.create_table(
        "saved_filters",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("list", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("query", sa.String(), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["realm_id", "company_id"],
            ["companies.realm_id", "companies.id"],
            name=op.f("fk_saved_filters_realm_id_company_id"),
        ),
        sa.ForeignKeyConstraint(
            ["realm_id", "person_id"],
            ["people.realm_id", "people.id"],
            name=op.f("fk_saved_filters_realm_id_person_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_filters")),
        sa.UniqueConstraint(
            "company_id",
            "person_id",
            "list",
            "name",
            name=op.f("uq_saved_filters_company_id_person_id_list_name"),
        ),
    )
    op.create_index(op.f("ix_saved_filters_company_id_list"), "saved_filters", ["company_id", "list"])


def create_proposals() -> None:
    """Changes of a profile that wait for the vendor."""
    op.create_table(
        "proposals",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("location_id", sa.BigInteger(), nullable=True),
        sa.Column("row_id", sa.BigInteger(), nullable=True),
        sa.Column("before", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("after", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("proposed_by", sa.BigInteger(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.BigInteger(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("why_id", sa.BigInteger(), nullable=True),
        sa.Column("answer_id", sa.BigInteger(), nullable=True),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "state in ('open', 'approved', 'rejected', 'withdrawn')", name=op.f("ck_proposals_state")
        ),
        sa.ForeignKeyConstraint(
            ["realm_id", "company_id"],
            ["companies.realm_id", "companies.id"],
            name=op.f("fk_proposals_realm_id_company_id"),
        ),
        sa.ForeignKeyConstraint(
            ["realm_id", "company_id", "location_id"],
            ["locations.realm_id", "locations.company_id", "locations.id"],
            name=op.f("fk_proposals_realm_id_company_id_location_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proposals")),
    )
    op.create_index("proposals_of_company", "proposals", ["company_id", sa.text("id desc")])
    op.create_index(
        "proposals_open", "proposals", ["realm_id", "proposed_at"], postgresql_where=sa.text("state = 'open'")
    )


def downgrade() -> None:
    """Without them again."""
    op.drop_table("proposals")
    op.drop_table("saved_filters")
    op.drop_table("list_memories")
    op.drop_column("people", "shortcuts")
