"""Rule sets have a life: drafts that two people may edit, a review, a moment to be published, and no change afterwards."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"

STATES = ("draft", "in_review", "scheduled", "published", "retired")
BEFORE = ("draft", "published", "retired")
COLUMNS = (
    ("revision", sa.BigInteger(), "1"),
    ("acknowledged", postgresql.JSONB(astext_type=sa.Text()), "{}"),
    ("based_on", sa.BigInteger(), None),
    ("created_by", sa.BigInteger(), None),
    ("updated_by", sa.BigInteger(), None),
    ("approved_by", sa.BigInteger(), None),
    ("published_by", sa.BigInteger(), None),
    ("submitted_by", sa.BigInteger(), None),
    ("updated_at", sa.DateTime(timezone=True), None),
    ("publish_at", sa.DateTime(timezone=True), None),
)

# Whoever writes: what was published is what decisions name, and what is reviewed or waits is what was approved.
GUARD = """
create function app.guard_rule_set() returns trigger language plpgsql set search_path = pg_catalog as $$
begin
    if tg_op = 'DELETE' then
        if old.state in ('published', 'retired') then
            raise exception 'a published rule set stays' using errcode = '42501';
        end if;
        return old;
    end if;
    if row(new.body, new.hash, new.name) is distinct from row(old.body, old.hash, old.name)
        and not (old.state = 'draft' and new.state = 'draft') then
        raise exception 'only a draft can be edited' using errcode = '42501';
    end if;
    if row(new.version, new.company_id, new.realm_id, new.subject_type)
        is distinct from row(old.version, old.company_id, old.realm_id, old.subject_type) then
        raise exception 'a rule set keeps its version' using errcode = '42501';
    end if;
    if old.state = 'retired' and new.state <> 'retired'
        or old.state = 'published' and new.state not in ('published', 'retired')
        or old.state in ('published', 'retired') and new.published_at is distinct from old.published_at then
        raise exception 'a published rule set can only be retired' using errcode = '42501';
    end if;
    return new;
end $$;

-- Only what is in force matters to routing: who edits a draft makes no process read the directory anew.
create function app.bump_rule_sets() returns trigger language plpgsql security definer set search_path = pg_catalog as $$
begin
    update public.directory_versions set version = version + 1
    where realm_id in (select distinct realm_id from changed where state in ('published', 'retired'));
    return null;
end $$;
"""


def upgrade() -> None:
    """Columns, states, the guard; and drafts no longer count as changes of what routing reads."""
    for name, type_, default in COLUMNS:
        op.add_column("rule_sets", sa.Column(name, type_, server_default=default, nullable=default is None))
    op.add_column(
        "companies", sa.Column("rules_reviewed", sa.Boolean(), server_default="false", nullable=False)
    )
    _states(STATES)
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute(GUARD)
    _bump("bump_rule_sets")
    op.execute(
        "create trigger guard before update or delete on rule_sets for each row execute function app.guard_rule_set()"
    )


def _states(states: tuple[str, ...]) -> None:
    op.drop_constraint(op.f("ck_rule_sets_state"), "rule_sets", type_="check")
    allowed = ", ".join(f"'{state}'" for state in states)
    op.create_check_constraint(op.f("ck_rule_sets_state"), "rule_sets", f"state in ({allowed})")


def _bump(function: str) -> None:
    for command, rows in (("insert", "new"), ("update", "new"), ("delete", "old")):
        op.execute(f"drop trigger bump_{command} on rule_sets")
        op.execute(
            f"create trigger bump_{command} after {command} on rule_sets referencing {rows} table as changed"
            f" for each statement execute function app.{function}()"
        )


def downgrade() -> None:
    """As it was; what is reviewed or waits becomes a draft again."""
    op.execute("drop trigger guard on rule_sets")
    op.execute("update rule_sets set state = 'draft' where state in ('in_review', 'scheduled')")
    _bump("bump")
    op.execute("drop function app.bump_rule_sets(); drop function app.guard_rule_set()")
    _states(BEFORE)
    op.drop_column("companies", "rules_reviewed")
    for name, _type, _default in COLUMNS:
        op.drop_column("rule_sets", name)
