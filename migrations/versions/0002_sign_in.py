"""People sign in with a second factor, choose a company, and end their sessions."""

import re
from pathlib import Path

import sqlalchemy as sa
from alembic import op

from migrations.rls import REALM, logins, protect

revision = "0002"
down_revision = "0001"

HERE = Path(__file__).parent
PURPOSES = ("session", "api", "offer", "invite", "reset")
MORE_PURPOSES = (*PURPOSES, "half", "join", "address", "keep")
OF_0001 = ("password_of", "open_session", "close_session", "invitation", "set_password")
REPLACED = (
    "password_of(text)",
    "open_session(bigint, bigint, bytea, text, int, int)",
    "close_session(bytea, boolean)",
    "invitation(bytea)",
    "set_password(bytea, text)",
)
# Who may call them beside the owner: the app login (and the worker, which runs the same code for commands and tests).
FOR_APP = (
    "tell_own(text, jsonb)",
    "password_of(text)",
    "open_session(bigint, bytea, text, text, int)",
    "half(bytea)",
    "enter_half(bytea)",
    "complete_session(bytea, bytea, int, int)",
    "choose_company(bytea, bigint)",
    "spend_code(bigint, bytea, bytea)",
    "close_session(bytea, boolean)",
    "own_sessions(bytea)",
    "end_sessions(text, bytea)",
    "own_companies()",
    "own_sign_ins(int)",
    "invitation(bytea)",
    "set_password(bytea, text)",
    "change_password(text, text, bytea)",
    "address_link(bytea)",
    "change_address(bytea, text)",
    "keep_address(bytea, text)",
    "invited(bigint, text, text, text, text, bigint)",
    "join_company(bytea)",
    "factor_holders(bigint)",
    "reset_factor(bigint, bigint)",
)
FOR_WORKER = ("tell(bigint, text, jsonb)",)
INTERNAL = ("stage(bigint, bigint, boolean)", "left_company()", "factor_asked()")
# A mail link has a person too, but is nobody who signed in.
MINE = "person_id = (select app.person()) and (select app.kind()) in ({kinds})"
SEEN = MINE.format(kinds="'vendor', 'partner', 'half', 'code'")
CHANGED = MINE.format(kinds="'vendor', 'partner', 'half'")


def upgrade() -> None:
    """The index of the log, without holding up who writes to it; then columns, tables, functions, policies."""
    # First, because it stands outside the transaction of the rest: an interrupted run begins again.
    with op.get_context().autocommit_block():
        op.execute("drop index concurrently if exists account_event")
        op.create_index(
            "account_event",
            "events",
            ["company_id", "id"],
            postgresql_where=sa.text("subject_type = 'person'"),
            postgresql_concurrently=True,
        )
    op.add_column("credentials", sa.Column("device", sa.String(), nullable=True))
    op.add_column("credentials", sa.Column("factor_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("people", sa.Column("pending_email", sa.String(), nullable=True))
    op.add_column(
        "companies", sa.Column("factor_required", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    purposes(MORE_PURPOSES)
    create_tables()
    for function in REPLACED:
        op.execute(f"drop function app.{function}")
    run_sql((HERE / "0002_functions.sql").read_text(encoding="utf-8"))
    names = logins()
    for function in (*FOR_APP, *FOR_WORKER, *INTERNAL):
        op.execute(f"revoke all on function app.{function} from public")
    for function in FOR_APP:
        op.execute(f'grant execute on function app.{function} to "{names.app}", "{names.worker}"')
    for function in FOR_WORKER:
        op.execute(f'grant execute on function app.{function} to "{names.worker}"')
    for table in ("second_factors", "recovery_codes"):
        insert = f"{CHANGED} and {REALM}"
        protect(table, select=SEEN, insert=insert, update=CHANGED, update_check=insert, delete=CHANGED)
    op.execute(
        "create trigger left_company after delete on memberships for each row execute function app.left_company()"
    )
    op.execute(
        "create trigger factor_asked after update of factor_required on companies for each row"
        " when (new.factor_required and not old.factor_required) execute function app.factor_asked()"
    )


def downgrade() -> None:
    """As 0001 left it; whoever was half signed in signs in again, stand-ins of open invitations stay as people."""
    op.drop_index("account_event", table_name="events")
    op.execute("drop trigger factor_asked on companies")
    op.execute("drop trigger left_company on memberships")
    for function in (*FOR_APP, *FOR_WORKER, *INTERNAL):
        op.execute(f"drop function app.{function}")
    op.drop_table("recovery_codes")
    op.drop_table("second_factors")
    op.execute("delete from credentials where purpose in ('half', 'join', 'address', 'keep')")
    purposes(PURPOSES)
    op.drop_column("companies", "factor_required")
    op.drop_column("people", "pending_email")
    op.drop_column("credentials", "factor_at")
    op.drop_column("credentials", "device")
    before = (HERE / "0001_functions.sql").read_text(encoding="utf-8")
    for name in OF_0001:
        found = re.search(rf"^create function app\.{name}\(.*?\$\$.*?\$\$;", before, re.S | re.M)
        assert found, name
        run_sql(found[0])
    names = logins()
    for function in REPLACED:
        op.execute(f"revoke all on function app.{function} from public")
        op.execute(f'grant execute on function app.{function} to "{names.app}", "{names.worker}"')


def create_tables() -> None:
    """The second factor of a person and its recovery codes."""
    op.create_table(
        "second_factors",
        sa.Column("person_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_second_factors")),
    )
    op.create_table(
        "recovery_codes",
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("person_id", "hash", name=op.f("pk_recovery_codes")),
    )


def purposes(known: tuple[str, ...]) -> None:
    """What a credential may be for."""
    op.execute("alter table credentials drop constraint ck_credentials_purpose")
    words = ", ".join(f"'{word}'" for word in known)
    op.execute(
        f"alter table credentials add constraint ck_credentials_purpose check (purpose in ({words})) not valid"
    )
    op.execute("alter table credentials validate constraint ck_credentials_purpose")


def run_sql(statements: str) -> None:
    """Straight to the driver, without parameters: the text holds colons and percent signs of its own."""
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute(statements)
