"""Decisions over columns: a company's outcomes of a thousand decisions are one row, and it reads its own lines alone."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.rls import VENDOR, logins, protect

revision = "0010"
down_revision = "0009"

SIGNATURE = "app.own_decisions(date, date, integer[], bigint)"
# What a partner held on a past day says what would have helped it then.
HISTORIES = ("certifications", "authorisations")

# Lines of the own company, newest first, with these outcomes (null: all), block by block until there are p_most: the
# best of its locations in each decision in which one of them covered the place (codes of rules.ALL_GATES after
# 'territory'; 0 could take it, 253 was chosen). The number of the lead is told to whom it was offered; nothing else
# here leads back to a decision, so that nobody counts what it took no part in.
OWN = """
create function app.own_decisions(p_from date, p_to date, p_codes integer[], p_most bigint)
returns table (place bigint, day date, location_id bigint, outcome integer, fact jsonb)
language plpgsql stable security definer set search_path = pg_catalog as $$
declare
    b record;
    mine bigint := app.company();
    before bigint := 0;
    found_now bigint;
begin
    if mine is null then return; end if;
    for b in
        select k.id, k.facts from public.decision_blocks k
        where k.realm_id = app.realm() and k.last_at >= p_from and k.first_at < p_to + 1
          and exists (select 1 from public.decision_columns c where c.company_id = mine and c.block_id = k.id)
        order by k.last_id desc
    loop
        return query
        with own as materialized (
            select c.location_id as at, c.outcomes || ''::bytea as codes from public.decision_columns c
            where c.company_id = mine and c.block_id = b.id
        ), facts as (
            select e.value as said, e.ordinality::integer as n from jsonb_array_elements(b.facts) with ordinality e
        ), best as (
            select f.said, f.n, o.at, o.code from facts f cross join lateral (
                select own.at, get_byte(own.codes, f.n - 1) as code from own
                order by case get_byte(own.codes, f.n - 1) when 253 then 300 when 0 then 299
                    else case when get_byte(own.codes, f.n - 1) between 4 and 100
                         then get_byte(own.codes, f.n - 1) else -1 end end desc, own.at
                limit 1) o
            where (o.code = 0 or o.code = 253 or o.code between 4 and 100)
              and (p_codes is null or o.code = any(p_codes))
              and (f.said ->> 'day')::date between p_from and p_to
        )
        select before + row_number() over (order by best.n desc), (best.said ->> 'day')::date, best.at, best.code,
               case when best.code = 253 then best.said else best.said - 'number' end
        from best order by best.n desc;
        get diagnostics found_now = row_count;
        before := before + found_now;
        exit when before >= p_most;
    end loop;
end $$;
"""


def upgrade() -> None:
    """The vendor searches them, `system` writes them; a partner asks the function."""
    op.create_table(
        "decision_blocks",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("first_id", sa.BigInteger(), nullable=False),
        sa.Column("last_id", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decisions", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["realm_id", "company_id"],
            ["companies.realm_id", "companies.id"],
            name=op.f("fk_decision_blocks_realm_id_company_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decision_blocks")),
        sa.UniqueConstraint("realm_id", "id", name=op.f("uq_decision_blocks_realm_id_id")),
    )
    op.create_index(
        op.f("ix_decision_blocks_realm_id_last_id"), "decision_blocks", ["realm_id", "last_id"], unique=False
    )
    protect("decision_blocks", select=VENDOR)
    op.create_table(
        "decision_columns",
        sa.Column("block_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("location_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("outcomes", sa.LargeBinary(), nullable=False),
        sa.Column("shares", postgresql.JSONB(astext_type=sa.Text(), none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["realm_id", "block_id"],
            ["decision_blocks.realm_id", "decision_blocks.id"],
            name=op.f("fk_decision_columns_realm_id_block_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["realm_id", "company_id", "location_id"],
            ["locations.realm_id", "locations.company_id", "locations.id"],
            name=op.f("fk_decision_columns_realm_id_company_id_location_id"),
        ),
        sa.PrimaryKeyConstraint("block_id", "location_id", name=op.f("pk_decision_columns")),
    )
    op.create_index(
        op.f("ix_decision_columns_company_id_block_id"),
        "decision_columns",
        ["company_id", "block_id"],
        unique=False,
    )
    op.create_index(
        "decision_shares",
        "decision_columns",
        ["block_id"],
        unique=False,
        postgresql_where=sa.text("shares is not null"),
    )
    protect("decision_columns", select=VENDOR)
    for table in HISTORIES:
        op.create_index(op.f(f"ix_{table}_company_id"), table, ["company_id"], unique=False)
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute(OWN)
    names = logins()
    op.execute(f"revoke all on function {SIGNATURE} from public")
    op.execute(f'grant execute on function {SIGNATURE} to "{names.app}", "{names.worker}"')


def downgrade() -> None:
    """They are written anew from the decisions."""
    op.execute(f"drop function {SIGNATURE}")
    for table in HISTORIES:
        op.drop_index(op.f(f"ix_{table}_company_id"), table_name=table)
    op.drop_table("decision_columns")
    op.drop_table("decision_blocks")
