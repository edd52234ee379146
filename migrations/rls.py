"""How a migration puts a table under row-level security: FORCE, one named policy per login, and the grants.

`owner` (using true) replaces BYPASSRLS, so that data migrations and SECURITY DEFINER functions work on managed
databases too; `worker` sees all and never serves a request; `app` gets one policy per command that it needs.
"""

from alembic import op

from portal.security.logins import Logins

VENDOR = "realm_id = (select app.vendor_realm())"
OWN = "company_id = (select app.company())"
VENDOR_OR_OWN = f"({VENDOR} or {OWN})"
REALM = "realm_id = (select app.realm())"


def logins() -> Logins:
    """The logins this run of the migrations is for."""
    names: Logins = op.get_context().opts["logins"]
    return names


def protect(
    table: str,
    *,
    select: str | None = None,
    insert: str | None = None,
    update: str | None = None,
    update_check: str | None = None,
    delete: str | None = None,
) -> None:
    """Enable and force row-level security on `table`; each condition given opens that command to the app login."""
    names = logins()
    op.execute(f"alter table {table} enable row level security")
    op.execute(f"alter table {table} force row level security")
    op.execute(f'create policy owner on {table} to "{names.owner}" using (true) with check (true)')
    op.execute(f'create policy worker on {table} to "{names.worker}" using (true) with check (true)')
    op.execute(f'grant select, insert, update, delete on {table} to "{names.worker}"')
    if select:
        op.execute(f'create policy app_select on {table} for select to "{names.app}" using ({select})')
        op.execute(f'grant select on {table} to "{names.app}"')
    if insert:
        op.execute(f'create policy app_insert on {table} for insert to "{names.app}" with check ({insert})')
        op.execute(f'grant insert on {table} to "{names.app}"')
    if update:
        check = update_check or update
        op.execute(
            f'create policy app_update on {table} for update to "{names.app}" using ({update}) with check ({check})'
        )
        op.execute(f'grant update on {table} to "{names.app}"')
    if delete:
        op.execute(f'create policy app_delete on {table} for delete to "{names.app}" using ({delete})')
        op.execute(f'grant delete on {table} to "{names.app}"')
