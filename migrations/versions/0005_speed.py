"""Functions and indexes of the hot paths: the context is verified in one call, a place is reserved in one round trip,
and no list, count or figure of a page reads more rows than it shows.

A function in SQL is parsed and planned anew in every statement that calls it; one in PL/pgSQL keeps its plans for the
connection. Policies call them in every statement, so this was half of what the database did for a lead.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from alembic import op

from migrations.rls import logins

revision = "0005"
down_revision = "0004"

HERE = Path(__file__).parent
# One field of the verified context each: name -> (type, what is answered from the verified text `m`).
READERS = {
    "realm": ("bigint", "split_part(m, '|', 1)::bigint"),
    "kind": ("text", "nullif(split_part(m, '|', 2), '')"),
    "company": (
        "bigint",
        "case when split_part(m, '|', 2) in ('vendor', 'partner') then nullif(split_part(m, '|', 3), '')::bigint end",
    ),
    "principal": ("bigint", "nullif(split_part(m, '|', 3), '')::bigint"),
    "person": ("bigint", "nullif(split_part(m, '|', 4), '')::bigint"),
    "subject": (
        "bigint",
        "case when split_part(m, '|', 2) = 'link' then nullif(split_part(m, '|', 5), '')::bigint end",
    ),
    "client": ("bigint", "nullif(split_part(m, '|', 6), '')::bigint"),
    "vendor_realm": (
        "bigint",
        "case when split_part(m, '|', 2) = 'vendor' then split_part(m, '|', 1)::bigint end",
    ),
}
# Verified as app.field does: the text before the last 65 characters, by the MAC in the last 64.
READER = """
create or replace function app.{name}() returns {type} language plpgsql stable security definer parallel restricted
set search_path = pg_catalog as $$
declare
    v text := current_setting('app.ctx', true);
    m text := left(v, -65);
    s app.secret%rowtype;
begin
    if m is null or m = '' then return null; end if;
    select * into s from app.secret;
    if right(v, 64) <> encode(sha256(s.key_out || sha256(s.key_in || convert_to(
        m || '|' || pg_backend_pid() || '|' || extract(epoch from now()), 'utf8'))), 'hex') then
        return null;
    end if;
    return {answer};
end $$;
"""
REPLACED = (*READERS, "mac", "sign", "clock", "act")
# Index -> what it is on. Made and dropped without a lock that writers wait for.
OPEN = "stage not in ('won', 'lost', 'invalid', 'duplicate')"
COMMENTS = "type = 'lead.commented'"
INDEXES = {
    "leads_received": "leads (realm_id, received_at desc, id desc)",
    "leads_stage": "leads (realm_id, stage, received_at desc, id desc)",
    "leads_source": "leads (realm_id, source)",
    "leads_country": "leads (realm_id, country)",
    "leads_won": "leads (realm_id, won_on) include (won_amount, currency, subdivision, country, id) where stage = 'won'",
    "leads_steps": f"leads (realm_id, next_step_on, id) where next_step_on is not null and {OPEN}",
    "leads_own_steps": f"leads (holder_company_id, next_step_on, id) where next_step_on is not null and {OPEN}",
    "leads_pipeline": "leads (holder_company_id, stage) include (currency, amount)",
    "offers_answers": "offers (company_id, state, offered_at desc)",
    "ix_territories_company_id": "territories (company_id)",
    "ix_routing_states_company_id": "routing_states (company_id)",
    "shares_of_level": "shares (company_id, subject_type, level, at desc, subject_id desc)",
    "shares_of_state": "shares (company_id, subject_type, level, state, at desc, subject_id desc)",
    "comments": f"events (id) where {COMMENTS}",
    "comments_to": f"events using gin (audience) where {COMMENTS}",
}
REPLACED_INDEXES = {
    "ix_leads_holder_company_id_stage": "leads (holder_company_id, stage)",
    "shares_list": "shares (company_id, subject_type, at desc, subject_id desc)",
    "shares_state": "shares (company_id, subject_type, state, at desc, subject_id desc)",
}
# Reference words that pages keep as long as the directory's version stands.
WORDS = ("product_lines", "programmes", "levels")
PIPELINE = "app.pipeline()"
RESERVE = "app.reserve(bigint, bigint[], bigint[], bigint[], bigint[], bigint)"


def upgrade() -> None:
    """Indexes; then replace the readers of the context and what signs it, and add the reservation."""
    # First, because it stands outside the transaction of the rest: an interrupted run begins again.
    _replace(REPLACED_INDEXES, INDEXES)
    for name, (type_, answer) in READERS.items():
        _run(READER.format(name=name, type=type_, answer=answer))
    _run((HERE / "0005_functions.sql").read_text(encoding="utf-8"))
    names = logins()
    for function in (RESERVE, PIPELINE):
        op.execute(f"revoke all on function {function} from public")
        op.execute(f'grant execute on function {function} to "{names.app}", "{names.worker}"')
    for table in WORDS:
        for command, rows in (("insert", "new"), ("update", "new"), ("delete", "old")):
            op.execute(
                f"create trigger bump_{command} after {command} on {table} referencing {rows} table as changed"
                " for each statement execute function app.bump()"
            )


def downgrade() -> None:
    """The functions and indexes as the foundation made them."""
    _replace(INDEXES, REPLACED_INDEXES)
    for table in WORDS:
        for command in ("insert", "update", "delete"):
            op.execute(f"drop trigger bump_{command} on {table}")
    op.execute(f"drop function {RESERVE}; drop function {PIPELINE}")
    before = (HERE / "0001_functions.sql").read_text(encoding="utf-8")
    for name in REPLACED:
        found = re.search(rf"^create (function app\.{name}\(.*?\$\$;)$", before, re.MULTILINE | re.DOTALL)
        assert found, name
        _run(f"create or replace {found[1]}")


def _replace(old: Mapping[str, str], new: Mapping[str, str]) -> None:
    """Make the new indexes, then drop the old ones, outside a transaction: nobody who writes has to wait."""
    with op.get_context().autocommit_block():
        for name, on in new.items():
            op.execute(
                f"drop index concurrently if exists {name}"
            )  # left invalid by a run that was broken off
            op.execute(f"create index concurrently {name} on {on}")
        for name in old:
            op.execute(f"drop index concurrently if exists {name}")


def _run(sql: str) -> None:
    """Straight to the driver, without parameters: the text holds colons and percent signs of its own."""
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute(sql)
