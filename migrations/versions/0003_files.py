"""Files of a lead: a text of kind `file` names it, a row of `files` points to its bytes in the storage. And what a new
holder may know of the time before it."""

import sqlalchemy as sa
from alembic import op

from migrations.rls import OWN, REALM, VENDOR, logins, protect

revision = "0003"
down_revision = "0002"

ME = "(select app.company())"
SHARED = (
    "exists (select 1 from shares s where s.company_id = (select app.company()) and s.subject_type = 'lead'"
    " and s.subject_id = texts.subject_id and s.level in ({levels}))"
)
IN_LEAD, HOLDS = SHARED.format(levels="'offer', 'full'"), SHARED.format(levels="'full'")
VISIBLE = "exists (select 1 from texts t where t.id = files.text_id)"

# Own words always; others' by audience while in the lead. Files open on acceptance (level full), never before.
SELECT = (
    f"{REALM} and ((audience @> array[{ME}] and (company_id = {ME} or (select app.kind()) = 'vendor'"
    f" or subject_type <> 'lead' or (kind <> 'file' and {IN_LEAD}) or {HOLDS}))"
    f" or (kind = 'file' and audience @> array[0::bigint] and subject_type = 'lead' and {HOLDS}))"
)
# A partner adds files only where it takes part. (Migration 0006 adds whom it may name as its audience.)
INSERT = (
    f"{REALM} and company_id = (select app.principal()) and (kind <> 'file' or (select app.kind()) = 'vendor'"
    f" or (subject_type = 'lead' and {IN_LEAD}))"
)
DELETE = f"{REALM} and ({OWN} or (kind = 'file' and {VENDOR}))"
SELECT_BEFORE = (
    f"{REALM} and audience @> array[{ME}] and (company_id = {ME} or (select app.kind()) = 'vendor'"
    f" or subject_type <> 'lead' or {IN_LEAD})"
)

# Facts of a lead's life before its holder took it: when and what, never who, no words, no ids. Only the holder asks.
BEFORE = """
create function app.before_holder(p_lead bigint) returns table (
    at timestamptz, type text, mine boolean, stage text, reason text, day date
) language plpgsql stable security definer set search_path = pg_catalog as $$
declare me bigint := app.company(); since bigint;
begin
    if app.kind() is distinct from 'partner' or not exists (
        select 1 from public.shares s where s.company_id = me and s.subject_type = 'lead' and s.subject_id = p_lead
            and s.level = 'full' and s.realm_id = app.realm()) then
        return;
    end if;
    select max(e.id) into since from public.events e where e.subject_type = 'lead' and e.subject_id = p_lead
        and e.type = 'lead.accepted' and e.company_id = me;
    return query
    select e.at, e.type::text, e.company_id = me,
        case when e.type = 'lead.moved' then e.data ->> 'to' end,
        -- Why somebody else was suspended, or said no, is not the successor's business.
        case when e.type in ('lead.moved', 'lead.handed_back', 'lead.withdrawn')
            then nullif(e.data ->> 'reason', 'suspended') end,
        case when e.type = 'lead.step_planned' then (e.data ->> 'on')::date end
    from public.events e
    where e.subject_type = 'lead' and e.subject_id = p_lead and e.realm_id = app.realm() and e.id < since
        and (e.type in ('lead.received', 'lead.accepted', 'lead.declined', 'lead.expired', 'lead.moved',
                'lead.step_planned', 'lead.handed_back', 'lead.withdrawn')
            or (e.type = 'lead.commented' and (e.data ->> 'to_all')::boolean)
            or (e.type = 'file.added' and e.data ->> 'opens' = 'shared'))
    order by e.id;
end $$;
"""


def upgrade() -> None:
    """The table, and what a file adds to the policies of texts."""
    op.create_table(
        "files",
        sa.Column("text_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["text_id"], ["texts.id"], name=op.f("fk_files_text_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("text_id", name=op.f("pk_files")),
    )
    op.create_index(op.f("ix_files_sha256"), "files", ["sha256"], unique=False)
    protect(
        "files",
        select=f"{REALM} and {VISIBLE}",
        insert=f"{REALM} and exists (select 1 from texts t where t.id = files.text_id"
        " and t.company_id = (select app.principal()))",
    )
    policies(SELECT, INSERT, DELETE)
    op.execute(BEFORE)
    names = logins()
    op.execute("revoke all on function app.before_holder(bigint) from public")
    op.execute(f'grant execute on function app.before_holder(bigint) to "{names.app}", "{names.worker}"')


def downgrade() -> None:
    """The policies as they were. The names of files go with the table; the storage keeps their bytes."""
    op.execute("drop function app.before_holder(bigint)")
    op.execute("delete from texts where kind = 'file'")
    op.drop_table("files")
    policies(SELECT_BEFORE, f"{REALM} and company_id = (select app.principal())", f"{REALM} and {OWN}")


def policies(select: str, insert: str, delete: str) -> None:
    """Replace the app login's policies of texts."""
    app = logins().app
    for name, command, clause in (
        ("app_select", "select", f"using ({select})"),
        ("app_insert", "insert", f"with check ({insert})"),
        ("app_delete", "delete", f"using ({delete})"),
    ):
        op.execute(f"drop policy {name} on texts")
        op.execute(f'create policy {name} on texts for {command} to "{app}" {clause}')
