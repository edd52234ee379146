"""Narrower policies for what everybody may write: the log, words, and work that `system` does.

Row-level security lets a partner's context insert here, so a forged row must harm nobody else: it names no other
company as its audience, takes no place in the feed or in a schedule, and asks for work on its own things only.
"""

from alembic import op

from migrations.rls import OWN, REALM, VENDOR, VENDOR_OR_OWN, logins

FUNCTIONS = """
create function app.vendor_company() returns bigint language sql stable security definer
set search_path = pg_catalog as $$
    select c.id from public.companies c where c.realm_id = app.realm() and c.kind = 'vendor'
$$;

-- Whom a row of this context may name as its audience: the vendor anybody, others themselves and the vendor.
create function app.may_tell(p_audience bigint[]) returns boolean language sql stable
set search_path = pg_catalog as $$
    select app.kind() = 'vendor' or p_audience <@ array[app.principal(), app.vendor_company()]
$$;

-- Whether this context may ask `system` for work: what the payload names must be its own. A payload key that names a
-- record is listed here (tests/portal/test_harms.py compares); the policies of the tables do the looking.
create function app.may_ask(p_payload jsonb) returns boolean language plpgsql stable
set search_path = pg_catalog as $$
declare mine bigint := app.principal();
begin
    if app.kind() = 'vendor' then return true; end if;
    if p_payload ? 'import_id' then return false; end if;
    if p_payload ? 'offer' and not exists (select 1 from public.offers o
        where o.id = (p_payload->>'offer')::bigint and o.company_id = mine) then return false; end if;
    if p_payload ? 'lead' and not exists (select 1 from public.shares s where s.subject_type = 'lead'
        and s.subject_id = (p_payload->>'lead')::bigint and s.company_id = mine) then return false; end if;
    if p_payload ? 'location' and not exists (select 1 from public.locations l
        where l.id = (p_payload->>'location')::bigint and l.company_id = mine) then return false; end if;
    if p_payload ? 'proposal' and not exists (select 1 from public.proposals p
        where p.id = (p_payload->>'proposal')::bigint and p.company_id = mine) then return false; end if;
    -- Who is nobody yet may ask for a new password: the mail goes to that person's own address.
    if mine is not null and (coalesce((p_payload->>'company_id')::bigint, mine) <> mine
        or coalesce((p_payload->>'company')::bigint, mine) <> mine) then return false; end if;
    return true;
end $$;
"""
SIGNATURES = ("vendor_company()", "may_tell(bigint[])", "may_ask(jsonb)")
MINE = f"{REALM} and company_id = (select app.principal())"
# As migration 0003 left it: files are added only by who is in the lead.
WORDS = (
    f"{MINE} and (kind <> 'file' or (select app.kind()) = 'vendor' or (subject_type = 'lead' and exists (select 1"
    " from shares s where s.company_id = (select app.company()) and s.subject_type = 'lead'"
    " and s.subject_id = texts.subject_id and s.level in ('offer', 'full'))))"
)
# Asked once per statement, before the functions, which are asked of every row.
BY_VENDOR = "(select app.kind()) = 'vendor'"
NEW_WORK = "state = 'ready' and attempts = 0 and lease is null and lease_until is null and schedule is null"
INSERTS = {
    "events": (MINE, f"{MINE} and pos is null and ({BY_VENDOR} or app.may_tell(audience))"),
    "texts": (WORDS, f"{WORDS} and ({BY_VENDOR} or app.may_tell(audience))"),
    "work_items": (REALM, f"{REALM} and {NEW_WORK} and ({BY_VENDOR} or app.may_ask(payload))"),
    # Its unique key is the location alone: without this a duplicate key would tell of others' locations.
    "location_facts": (
        f"{VENDOR_OR_OWN} and {REALM}",
        f"{VENDOR} or ({OWN} and {REALM} and exists (select 1 from locations l"
        " where l.id = location_id and l.company_id = (select app.company())))",
    ),
}

# Nobody takes a row of its own into another realm: foreign keys alone stopped that.
OF_SUBJECT = "id = (select app.subject())"
MYSELF = "id = (select app.person())"
UPDATES = {
    # A holder may give its lead back, not to somebody else, and it stays the vendor's.
    "leads": (
        f"{VENDOR} or {REALM}",
        f"{VENDOR} or ({REALM} and company_id = (select app.vendor_company())"
        " and (holder_company_id is null or holder_company_id = (select app.company())))",
    ),
    **dict.fromkeys(
        ("location_facts", "memberships", "shares"), (VENDOR_OR_OWN, f"({VENDOR} or ({REALM} and {OWN}))")
    ),
    "offers": (
        f"{VENDOR} or {OWN} or {OF_SUBJECT}",
        f"{VENDOR} or ({REALM} and ({OWN} or {OF_SUBJECT}))",
    ),
    "people": (f"{VENDOR} or {MYSELF}", f"{VENDOR} or ({REALM} and {MYSELF})"),
}

# The vendor takes away files that it may read; a statement without a condition would take every partner's own, too.
FILES_GONE = (
    f"{REALM} and ({OWN} or (kind = 'file' and {VENDOR}))",
    f"{REALM} and ({OWN} or (kind = 'file' and {VENDOR} and audience @> array[(select app.company())]))",
)


def narrow() -> None:
    """Put the narrower conditions in force."""
    op.execute(FUNCTIONS)
    names = logins()
    for signature in SIGNATURES:
        op.execute(f"revoke all on function app.{signature} from public")
        op.execute(f'grant execute on function app.{signature} to "{names.app}", "{names.worker}"')
    for table, (_, now) in INSERTS.items():
        op.execute(f"alter policy app_insert on {table} with check ({now})")
    for table, (_, now) in UPDATES.items():
        op.execute(f"alter policy app_update on {table} with check ({now})")
    op.execute(f"alter policy app_delete on texts using ({FILES_GONE[1]})")


def widen() -> None:
    """As it was."""
    op.execute(f"alter policy app_delete on texts using ({FILES_GONE[0]})")
    for table, (before, _) in UPDATES.items():
        op.execute(f"alter policy app_update on {table} with check ({before})")
    for table, (before, _) in INSERTS.items():
        op.execute(f"alter policy app_insert on {table} with check ({before})")
    for signature in reversed(SIGNATURES):
        op.execute(f"drop function app.{signature}")
