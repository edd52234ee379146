"""The foundation: every table, the signed context, row-level security, and the live realm."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.rls import OWN, REALM, VENDOR, VENDOR_OR_OWN, logins, protect

revision = "0001"
down_revision = None

ME = "(select app.company())"
OPEN_LEAD = (
    "exists (select 1 from shares s where s.company_id = (select app.company()) and s.subject_type = 'lead'"
    " and s.subject_id = {id} and s.level = 'full')"
)
IN_LEAD = OPEN_LEAD.replace("s.level = 'full'", "s.level in ('offer', 'full')")
REALM_AND_ME = f"realm_id = (select app.realm()) and audience @> array[{ME}]"
DIRECTORY = (
    "rule_sets",
    "standings",
    "locations",
    "location_facts",
    "territories",
    "certifications",
    "authorisations",
    "agreements",
)


def upgrade() -> None:
    """Tables, then the functions that read them, then the policies that call those."""
    create_tables()
    op.execute("create sequence lead_numbers start 10001")
    # Straight to the driver, without parameters: the file holds colons and percent signs of its own.
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute((Path(__file__).parent / "0001_functions.sql").read_text(encoding="utf-8"))
    grant_functions()
    protect_tables()
    add_triggers()
    op.execute(
        "insert into realms (id, kind, name, created_at) values (1, 'live', 'Live', now());"
        "insert into directory_versions (realm_id) values (1);"
        "insert into feed_epochs (id, started_at) values (1, now())"
    )


def grant_functions() -> None:
    """Who may call what: the app login enters contexts, only the worker acts as others."""
    names = logins()
    app, worker = f'"{names.app}"', f'"{names.worker}"'
    op.execute("revoke all on all tables in schema app from public")
    op.execute("revoke all on all functions in schema app from public")
    op.execute(f"grant usage on schema app to {app}, {worker}")
    for function in (
        "field(int)",
        "realm()",
        "kind()",
        "company()",
        "principal()",
        "person()",
        "subject()",
        "client()",
        "vendor_realm()",
        "may_act()",
        "clock(bigint)",
        "enter(text, bytea, bigint)",
        "password_of(text)",
        "open_session(bigint, bigint, bytea, text, int, int)",
        "close_session(bytea, boolean)",
        "invitation(bytea)",
        "set_password(bytea, text)",
        "client_of(bigint, bytea)",
        "open_token(bigint, bytea, bytea, text[], int)",
        "throttle(bytea, int, int)",
        "parked_work()",
        "open_offer(bigint, bigint, timestamptz)",
        "use_link()",
        "next_directory_version(bigint)",
    ):
        op.execute(f"grant execute on function app.{function} to {app}, {worker}")
    op.execute(f"grant execute on function app.act(bigint, text, bigint, bigint, bigint) to {worker}")
    op.execute(f"grant usage on sequence lead_numbers to {app}, {worker}")
    op.execute(f"grant select on alembic_version to {app}, {worker}")


def protect_tables() -> None:
    """Every table: whose rows a context may read and write."""
    protect("realms", select="id = (select app.realm())")
    protect("directory_versions", select=REALM)
    protect("feed_epochs", select="true")
    protect("heartbeats", select="true")
    for table in ("credentials", "passwords", "throttles", "api_clients"):
        protect(table)
    protect(
        "companies",
        select=f"{VENDOR} or id = {ME} or id = (select app.principal()) or (kind = 'vendor' and {REALM})",
        insert=VENDOR,
        update=f"{VENDOR} or id = {ME}",
        update_check=f"{VENDOR} or (id = {ME} and {REALM} and kind <> 'vendor')",
    )
    for table in ("programmes", "levels", "product_lines"):
        protect(table, select=REALM, insert=VENDOR, update=VENDOR, delete=VENDOR)
    for table in ("standings", "locations", "territories", "certifications", "authorisations"):
        protect(table, select=VENDOR_OR_OWN, insert=VENDOR, update=VENDOR)
    protect(
        "location_facts", select=VENDOR_OR_OWN, insert=f"{VENDOR_OR_OWN} and {REALM}", update=VENDOR_OR_OWN
    )
    protect("agreements", select=VENDOR_OR_OWN, insert=f"{VENDOR_OR_OWN} and {REALM}", update=VENDOR)
    protect(
        "people",
        select=f"{VENDOR} or id = (select app.person()) or ({REALM} and exists (select 1 from memberships m"
        f" where m.person_id = people.id and m.company_id = {ME}))",
        insert=f"{VENDOR} or ({REALM} and (select app.kind()) = 'partner')",
        update=f"{VENDOR} or id = (select app.person())",
    )
    protect(
        "memberships",
        select=f"{VENDOR_OR_OWN} or person_id = (select app.person())",
        insert=f"{VENDOR_OR_OWN} and {REALM}",
        update=VENDOR_OR_OWN,
        delete=VENDOR_OR_OWN,
    )
    lead = OPEN_LEAD.format(id="leads.id")
    protect(
        "leads",
        select=f"{VENDOR} or {lead}",
        insert=VENDOR,
        update=f"{VENDOR} or (holder_company_id = {ME} and {lead})",
        update_check=f"{VENDOR} or {REALM}",
    )
    for table, key in (("accounts", "account_id"), ("contacts", "contact_id")):
        protect(
            table,
            select=f"{VENDOR} or ((select app.kind()) = 'partner' and exists"
            f" (select 1 from leads l where l.{key} = {table}.id))",
            insert=VENDOR,
            update=VENDOR,
        )
    offer = f"{VENDOR_OR_OWN} or id = (select app.subject())"
    protect("offers", select=offer, insert=VENDOR, update=offer)
    protect("decisions", select=VENDOR, insert=VENDOR)
    protect("rule_sets", select=VENDOR, insert=VENDOR, update=VENDOR)
    protect("routing_states", select=VENDOR_OR_OWN, insert=VENDOR, update=VENDOR)
    protect("shares", select=VENDOR_OR_OWN, insert=VENDOR, update=VENDOR_OR_OWN, delete=VENDOR)
    protect(
        "texts",
        select=f"{REALM_AND_ME} and (company_id = {ME} or (select app.kind()) = 'vendor' or subject_type <> 'lead' or "
        + IN_LEAD.format(id="texts.subject_id")
        + ")",
        insert=f"{REALM} and company_id = (select app.principal())",
        delete=f"{REALM} and {OWN}",
    )
    protect("text_contacts", select=VENDOR, insert=VENDOR, delete=VENDOR)
    protect("imports", select=VENDOR, insert=VENDOR, update=VENDOR)
    protect(
        "events",
        select=f"audience @> array[{ME}]",
        insert=f"{REALM} and company_id = (select app.principal())",
    )
    protect("work_items", insert=REALM)
    mine = f"{OWN} and client_id = (select app.client())"
    protect("idempotent_answers", select=mine, insert=f"{mine} and {REALM}")


def add_triggers() -> None:
    """The guards of shares and offers, and the directory's version."""
    op.execute("create trigger guard before update on shares for each row execute function app.guard_share()")
    op.execute("create trigger guard before update on offers for each row execute function app.guard_offer()")
    for table in DIRECTORY:
        for command, rows in (("insert", "new"), ("update", "new"), ("delete", "old")):
            op.execute(
                f"create trigger bump_{command} after {command} on {table} referencing {rows} table as changed"
                " for each statement execute function app.bump()"
            )
    op.execute(
        "alter table work_items set (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0)"
    )


def downgrade() -> None:
    """Back to an empty database."""
    op.execute("drop trigger guard on shares; drop trigger guard on offers")
    for table in reversed(sa.inspect(op.get_bind()).get_sorted_table_and_fkc_names()):
        name = table[0]
        if name and name != "alembic_version":
            op.execute(f"drop table {name} cascade")
    op.execute("drop sequence lead_numbers; drop schema app cascade")


def create_tables() -> None:
    """As autogenerated from the models."""
    op.create_table(
        "accounts",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("name_key", sa.String(), nullable=False),
        sa.Column("external_key", sa.String(), nullable=True),
        sa.Column("industry", sa.String(), nullable=True),
        sa.Column("website", sa.String(), nullable=True),
        sa.Column("country", sa.String(), nullable=True),
        sa.Column("subdivision", sa.String(), nullable=True),
        sa.Column("postal", sa.String(), nullable=True),
        sa.Column("city", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("realm_id", "external_key", name=op.f("uq_accounts_realm_id_external_key")),
        sa.UniqueConstraint("realm_id", "id", name=op.f("uq_accounts_realm_id_id")),
    )
    op.create_index(
        op.f("ix_accounts_realm_id_name_key_postal"),
        "accounts",
        ["realm_id", "name_key", "postal"],
        unique=False,
    )
    op.create_table(
        "companies",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("name_key", sa.String(), nullable=False),
        sa.Column("external_key", sa.String(), nullable=True),
        sa.Column("website", sa.String(), nullable=True),
        sa.Column("phone", sa.String(), nullable=True),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("language", sa.String(), server_default="en", nullable=False),
        sa.Column("time_zone", sa.String(), server_default="UTC", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("kind in ('vendor', 'partner', 'distributor')", name=op.f("ck_companies_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_companies")),
        sa.UniqueConstraint("realm_id", "id", name=op.f("uq_companies_realm_id_id")),
        sa.UniqueConstraint(
            "realm_id", "kind", "external_key", name=op.f("uq_companies_realm_id_kind_external_key")
        ),
    )
    op.create_index(
        op.f("ix_companies_realm_id_name_key"), "companies", ["realm_id", "name_key"], unique=False
    )
    op.create_index(
        "one_vendor", "companies", ["realm_id"], unique=True, postgresql_where=sa.text("kind = 'vendor'")
    )
    op.create_table(
        "directory_versions",
        sa.Column("realm_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("realm_id", name=op.f("pk_directory_versions")),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.Column("pos", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("company_id", sa.BigInteger(), nullable=True),
        sa.Column("person_id", sa.BigInteger(), nullable=True),
        sa.Column("client_id", sa.BigInteger(), nullable=True),
        sa.Column("subject_type", sa.String(), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("audience", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index(op.f("ix_events_audience"), "events", ["audience"], unique=False, postgresql_using="gin")
    op.create_index(op.f("ix_events_pos"), "events", ["pos"], unique=True)
    op.create_index(
        op.f("ix_events_subject_type_subject_id_id"),
        "events",
        ["subject_type", "subject_id", "id"],
        unique=False,
    )
    op.create_index(
        "unsequenced_event", "events", ["id"], unique=False, postgresql_where=sa.text("pos is null")
    )
    op.create_table(
        "feed_epochs",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feed_epochs")),
    )
    op.create_table(
        "heartbeats",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_heartbeats")),
    )
    op.create_table(
        "idempotent_answers",
        sa.Column("company_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("client_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.BigInteger(), nullable=False),
        sa.Column("answer", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "company_id", "client_id", "route", "key", name=op.f("pk_idempotent_answers")
        ),
    )
    op.create_index(
        op.f("ix_idempotent_answers_created_at"), "idempotent_answers", ["created_at"], unique=False
    )
    op.create_table(
        "levels",
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("rank", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_levels")),
        sa.UniqueConstraint("realm_id", "code", name=op.f("uq_levels_realm_id_code")),
    )
    op.create_table(
        "passwords",
        sa.Column("person_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_passwords")),
    )
    op.create_table(
        "people",
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("email_key", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("language", sa.String(), server_default="en", nullable=False),
        sa.Column("time_zone", sa.String(), nullable=True),
        sa.Column("status", sa.String(), server_default="invited", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people")),
        sa.UniqueConstraint("realm_id", "email_key", name=op.f("uq_people_realm_id_email_key")),
        sa.UniqueConstraint("realm_id", "id", name=op.f("uq_people_realm_id_id")),
    )
    op.create_table(
        "product_lines",
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_product_lines")),
        sa.UniqueConstraint("realm_id", "code", name=op.f("uq_product_lines_realm_id_code")),
    )
    op.create_table(
        "programmes",
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_programmes")),
        sa.UniqueConstraint("realm_id", "code", name=op.f("uq_programmes_realm_id_code")),
    )
    op.create_table(
        "realms",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("clock_offset_seconds", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("agreement_version", sa.String(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind in ('live', 'sandbox')", name=op.f("ck_realms_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_realms")),
    )
    op.create_table(
        "throttles",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("window_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_throttles")),
    )
    op.create_table(
        "work_items",
        sa.Column("queue", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("lane", sa.String(), nullable=True),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.String(), server_default="ready", nullable=False),
        sa.Column("attempts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("run_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease", sa.BigInteger(), nullable=True),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.Column("schedule", sa.String(), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state in ('ready', 'running', 'parked')", name=op.f("ck_work_items_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work_items")),
        sa.UniqueConstraint("schedule", "due_at", name=op.f("uq_work_items_schedule_due_at")),
    )
    op.create_index(
        "due_work",
        "work_items",
        ["queue", "run_at", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'ready'"),
    )
    op.create_index(
        "lane_work",
        "work_items",
        ["lane", "id"],
        unique=False,
        postgresql_where=sa.text("lane is not null and state <> 'parked'"),
    )
    op.create_index(
        "leased_work",
        "work_items",
        ["lease_until"],
        unique=False,
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_table(
        "agreements",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("how", sa.String(), nullable=False),
        sa.Column("accepted_by", sa.BigInteger(), nullable=True),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["realm_id", "company_id"],
            ["companies.realm_id", "companies.id"],
            name=op.f("fk_agreements_realm_id_company_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agreements")),
    )
    op.create_index(
        "current_agreement",
        "agreements",
        ["company_id", "version"],
        unique=True,
        postgresql_where=sa.text("valid_to is null"),
    )
    op.create_table(
        "api_clients",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["realm_id", "company_id"],
            ["companies.realm_id", "companies.id"],
            name=op.f("fk_api_clients_realm_id_company_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_clients")),
    )
    op.create_table(
        "authorisations",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("product_line", sa.String(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["realm_id", "company_id"],
            ["companies.realm_id", "companies.id"],
            name=op.f("fk_authorisations_realm_id_company_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_authorisations")),
    )
    op.create_index(
        "current_authorisation",
        "authorisations",
        ["company_id", "product_line"],
        unique=True,
        postgresql_where=sa.text("valid_to is null"),
    )
    op.create_table(
        "certifications",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("programme", sa.String(), nullable=False),
        sa.Column("level", sa.String(), nullable=True),
        sa.Column("number", sa.String(), nullable=True),
        sa.Column("issued", sa.Date(), nullable=True),
        sa.Column("expires", sa.Date(), nullable=True),
        sa.Column("product_line", sa.String(), nullable=True),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "expires is null or issued is null or expires >= issued", name=op.f("ck_certifications_dates")
        ),
        sa.ForeignKeyConstraint(
            ["realm_id", "company_id"],
            ["companies.realm_id", "companies.id"],
            name=op.f("fk_certifications_realm_id_company_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certifications")),
    )
    op.create_index(
        "current_certification",
        "certifications",
        ["company_id", "programme", "product_line", "number"],
        unique=True,
        postgresql_where=sa.text("valid_to is null"),
        postgresql_nulls_not_distinct=True,
    )
    op.create_index(
        op.f("ix_certifications_realm_id_expires"), "certifications", ["realm_id", "expires"], unique=False
    )
    op.create_table(
        "contacts",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("email", sa.String(), nullable=True),
        sa.Column("email_key", sa.String(), nullable=True),
        sa.Column("phone", sa.String(), nullable=True),
        sa.Column("street", sa.String(), nullable=True),
        sa.Column("language", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["realm_id", "account_id"],
            ["accounts.realm_id", "accounts.id"],
            name=op.f("fk_contacts_realm_id_account_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contacts")),
        sa.UniqueConstraint("realm_id", "id", name=op.f("uq_contacts_realm_id_id")),
    )
    op.create_index(op.f("ix_contacts_account_id"), "contacts", ["account_id"], unique=False)
    op.create_index(
        op.f("ix_contacts_realm_id_email_key"), "contacts", ["realm_id", "email_key"], unique=False
    )
    op.create_table(
        "credentials",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("company_id", sa.BigInteger(), nullable=True),
        sa.Column("person_id", sa.BigInteger(), nullable=True),
        sa.Column("client_id", sa.BigInteger(), nullable=True),
        sa.Column("subject_id", sa.BigInteger(), nullable=True),
        sa.Column("bound_to", sa.String(), nullable=True),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("idle_seconds", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "purpose in ('session', 'api', 'offer', 'invite', 'reset')", name=op.f("ck_credentials_purpose")
        ),
        sa.ForeignKeyConstraint(
            ["realm_id", "company_id"],
            ["companies.realm_id", "companies.id"],
            name=op.f("fk_credentials_realm_id_company_id"),
        ),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_credentials")),
    )
    op.create_index(op.f("ix_credentials_expires_at"), "credentials", ["expires_at"], unique=False)
    op.create_index(op.f("ix_credentials_person_id"), "credentials", ["person_id"], unique=False)
    op.create_index(op.f("ix_credentials_subject_id"), "credentials", ["subject_id"], unique=False)
    op.create_table(
        "decisions",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("subject_type", sa.String(), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), nullable=False),
        sa.Column("request", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("rule_set_version", sa.BigInteger(), nullable=False),
        sa.Column("rule_set_hash", sa.String(), nullable=False),
        sa.Column("directory_version", sa.BigInteger(), nullable=False),
        sa.Column("state", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("counts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("top", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("gates", sa.LargeBinary(), nullable=False),
        sa.Column("candidates", sa.BigInteger(), nullable=False),
        sa.Column("eligible", sa.BigInteger(), nullable=False),
        sa.Column("chosen_location_id", sa.BigInteger(), nullable=True),
        sa.Column("result_hash", sa.String(), nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["realm_id", "company_id"],
            ["companies.realm_id", "companies.id"],
            name=op.f("fk_decisions_realm_id_company_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
    )
    op.create_index(
        op.f("ix_decisions_subject_type_subject_id_id"),
        "decisions",
        ["subject_type", "subject_id", "id"],
        unique=False,
    )
    op.create_table(
        "imports",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("mapping", sa.String(), nullable=False),
        sa.Column("file_name", sa.String(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("new", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("changed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("same", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("wrong", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state in ('running', 'done', 'failed')", name=op.f("ck_imports_state")),
        sa.ForeignKeyConstraint(
            ["realm_id", "company_id"],
            ["companies.realm_id", "companies.id"],
            name=op.f("fk_imports_realm_id_company_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imports")),
    )
    op.create_index(
        op.f("ix_imports_realm_id_started_at"), "imports", ["realm_id", "started_at"], unique=False
    )
    op.create_table(
        "locations",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("added_version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["realm_id", "company_id"],
            ["companies.realm_id", "companies.id"],
            name=op.f("fk_locations_realm_id_company_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_locations")),
        sa.UniqueConstraint("company_id", "key", name=op.f("uq_locations_company_id_key")),
        sa.UniqueConstraint("realm_id", "company_id", "id", name=op.f("uq_locations_realm_id_company_id_id")),
    )
    op.create_index(
        op.f("ix_locations_realm_id_added_version_id"),
        "locations",
        ["realm_id", "added_version", "id"],
        unique=False,
    )
    op.create_table(
        "memberships",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("location_ids", postgresql.ARRAY(sa.BigInteger()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "role in ('operator', 'channel_manager', 'account_manager', 'sales_rep', 'service_agent',"
            " 'administrator', 'sales', 'service')",
            name=op.f("ck_memberships_role"),
        ),
        sa.ForeignKeyConstraint(
            ["realm_id", "company_id"],
            ["companies.realm_id", "companies.id"],
            name=op.f("fk_memberships_realm_id_company_id"),
        ),
        sa.ForeignKeyConstraint(
            ["realm_id", "person_id"],
            ["people.realm_id", "people.id"],
            name=op.f("fk_memberships_realm_id_person_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_memberships")),
        sa.UniqueConstraint(
            "realm_id",
            "company_id",
            "person_id",
            "role",
            name=op.f("uq_memberships_realm_id_company_id_person_id_role"),
        ),
    )
    op.create_index(op.f("ix_memberships_person_id"), "memberships", ["person_id"], unique=False)
    op.create_table(
        "rule_sets",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("subject_type", sa.String(), server_default="lead", nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state in ('draft', 'published', 'retired')", name=op.f("ck_rule_sets_state")),
        sa.ForeignKeyConstraint(
            ["realm_id", "company_id"],
            ["companies.realm_id", "companies.id"],
            name=op.f("fk_rule_sets_realm_id_company_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rule_sets")),
        sa.UniqueConstraint(
            "realm_id", "subject_type", "version", name=op.f("uq_rule_sets_realm_id_subject_type_version")
        ),
    )
    op.create_index(
        "published_rule_set",
        "rule_sets",
        ["realm_id", "subject_type"],
        unique=True,
        postgresql_where=sa.text("state = 'published'"),
    )
    op.create_table(
        "shares",
        sa.Column("company_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("subject_type", sa.String(), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.Column("level", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("level in ('offer', 'full', 'past')", name=op.f("ck_shares_level")),
        sa.ForeignKeyConstraint(
            ["realm_id", "company_id"],
            ["companies.realm_id", "companies.id"],
            name=op.f("fk_shares_realm_id_company_id"),
        ),
        sa.PrimaryKeyConstraint("company_id", "subject_type", "subject_id", name=op.f("pk_shares")),
    )
    op.create_index(
        op.f("ix_shares_subject_type_subject_id"), "shares", ["subject_type", "subject_id"], unique=False
    )
    op.create_index(
        "shares_list",
        "shares",
        ["company_id", "subject_type", sa.literal_column("at desc"), sa.literal_column("subject_id desc")],
        unique=False,
    )
    op.create_index(
        "shares_state",
        "shares",
        [
            "company_id",
            "subject_type",
            "state",
            sa.literal_column("at desc"),
            sa.literal_column("subject_id desc"),
        ],
        unique=False,
    )
    op.create_table(
        "standings",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("level", sa.String(), nullable=True),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "status in ('prospect', 'active', 'suspended', 'ended')", name=op.f("ck_standings_status")
        ),
        sa.ForeignKeyConstraint(
            ["realm_id", "company_id"],
            ["companies.realm_id", "companies.id"],
            name=op.f("fk_standings_realm_id_company_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_standings")),
    )
    op.create_index(
        "current_standing",
        "standings",
        ["company_id"],
        unique=True,
        postgresql_where=sa.text("valid_to is null"),
    )
    op.create_table(
        "texts",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject_type", sa.String(), nullable=True),
        sa.Column("subject_id", sa.BigInteger(), nullable=True),
        sa.Column("person_id", sa.BigInteger(), nullable=True),
        sa.Column("body", sa.String(), nullable=True),
        sa.Column("blob", sa.LargeBinary(), nullable=True),
        sa.Column("content_type", sa.String(), server_default="text/plain", nullable=False),
        sa.Column("audience", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["realm_id", "company_id"],
            ["companies.realm_id", "companies.id"],
            name=op.f("fk_texts_realm_id_company_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_texts")),
    )
    op.create_index(op.f("ix_texts_expires_at"), "texts", ["expires_at"], unique=False)
    op.create_index(
        op.f("ix_texts_subject_type_subject_id"), "texts", ["subject_type", "subject_id"], unique=False
    )
    op.create_table(
        "leads",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("external_key", sa.String(), nullable=True),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("contact_id", sa.BigInteger(), nullable=True),
        sa.Column("country", sa.String(), nullable=True),
        sa.Column("subdivision", sa.String(), nullable=True),
        sa.Column("postal", sa.String(), nullable=True),
        sa.Column("city", sa.String(), nullable=True),
        sa.Column("lat", sa.Double(), nullable=True),
        sa.Column("lon", sa.Double(), nullable=True),
        sa.Column("precision", sa.String(), nullable=True),
        sa.Column("product_lines", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("certifications", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("amount", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("currency", sa.String(), nullable=True),
        sa.Column("language", sa.String(), nullable=True),
        sa.Column("need", sa.String(), nullable=True),
        sa.Column("industry", sa.String(), nullable=True),
        sa.Column("start_on", sa.Date(), nullable=True),
        sa.Column("source", sa.String(), nullable=True),
        sa.Column("channel", sa.String(), nullable=True),
        sa.Column("hours", sa.String(), nullable=True),
        sa.Column("legal_basis", sa.String(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("suspected_duplicate_of", sa.BigInteger(), nullable=True),
        sa.Column("assignment", sa.String(), nullable=False),
        sa.Column("assignment_reason", sa.String(), nullable=True),
        sa.Column("stage", sa.String(), server_default="new", nullable=False),
        sa.Column("stage_reason", sa.String(), nullable=True),
        sa.Column("holder_company_id", sa.BigInteger(), nullable=True),
        sa.Column("holder_location_id", sa.BigInteger(), nullable=True),
        sa.Column("holder_person_id", sa.BigInteger(), nullable=True),
        sa.Column("offer_id", sa.BigInteger(), nullable=True),
        sa.Column("next_step", sa.String(), nullable=True),
        sa.Column("next_step_on", sa.Date(), nullable=True),
        sa.Column("won_amount", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("won_on", sa.Date(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "assignment in ('unrouted', 'offered', 'held', 'handed_back', 'pulled_back', 'house', 'unroutable')",
            name=op.f("ck_leads_assignment"),
        ),
        sa.CheckConstraint(
            "stage in ('new', 'working', 'qualified', 'proposed', 'won', 'lost', 'invalid', 'duplicate', 'nurture')",
            name=op.f("ck_leads_stage"),
        ),
        sa.ForeignKeyConstraint(
            ["realm_id", "account_id"],
            ["accounts.realm_id", "accounts.id"],
            name=op.f("fk_leads_realm_id_account_id"),
        ),
        sa.ForeignKeyConstraint(
            ["realm_id", "company_id"],
            ["companies.realm_id", "companies.id"],
            name=op.f("fk_leads_realm_id_company_id"),
        ),
        sa.ForeignKeyConstraint(
            ["realm_id", "contact_id"],
            ["contacts.realm_id", "contacts.id"],
            name=op.f("fk_leads_realm_id_contact_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leads")),
        sa.UniqueConstraint(
            "realm_id", "company_id", "external_key", name=op.f("uq_leads_realm_id_company_id_external_key")
        ),
        sa.UniqueConstraint(
            "realm_id", "company_id", "number", name=op.f("uq_leads_realm_id_company_id_number")
        ),
        sa.UniqueConstraint("realm_id", "id", name=op.f("uq_leads_realm_id_id")),
    )
    op.create_index(op.f("ix_leads_account_id"), "leads", ["account_id"], unique=False)
    op.create_index(op.f("ix_leads_contact_id"), "leads", ["contact_id"], unique=False)
    op.create_index(
        op.f("ix_leads_holder_company_id_stage"), "leads", ["holder_company_id", "stage"], unique=False
    )
    op.create_index(
        "leads_list",
        "leads",
        ["realm_id", sa.literal_column("updated_at desc"), sa.literal_column("id desc")],
        unique=False,
    )
    op.create_index(
        "leads_queue",
        "leads",
        ["realm_id", "assignment", sa.literal_column("updated_at desc"), sa.literal_column("id desc")],
        unique=False,
    )
    op.create_index("leads_same", "leads", ["realm_id", "fingerprint"], unique=False)
    op.create_table(
        "location_facts",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("location_id", sa.BigInteger(), nullable=False),
        sa.Column("street", sa.String(), nullable=True),
        sa.Column("city", sa.String(), nullable=True),
        sa.Column("postal", sa.String(), nullable=True),
        sa.Column("subdivision", sa.String(), nullable=True),
        sa.Column("country", sa.String(), nullable=True),
        sa.Column("lat", sa.Double(), nullable=True),
        sa.Column("lon", sa.Double(), nullable=True),
        sa.Column("precision", sa.String(), nullable=True),
        sa.Column("phone", sa.String(), nullable=True),
        sa.Column("capacity", sa.BigInteger(), nullable=False),
        sa.Column("calendar", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("active", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("capacity >= 0", name=op.f("ck_location_facts_capacity")),
        sa.CheckConstraint(
            "lat between -90 and 90 and lon between -180 and 180", name=op.f("ck_location_facts_coordinates")
        ),
        sa.ForeignKeyConstraint(
            ["realm_id", "company_id", "location_id"],
            ["locations.realm_id", "locations.company_id", "locations.id"],
            name=op.f("fk_location_facts_realm_id_company_id_location_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_location_facts")),
    )
    op.create_index(
        "current_location_fact",
        "location_facts",
        ["location_id"],
        unique=True,
        postgresql_where=sa.text("valid_to is null"),
    )
    op.create_table(
        "routing_states",
        sa.Column("location_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("open", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("credit", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint("open >= 0", name=op.f("ck_routing_states_open")),
        sa.ForeignKeyConstraint(
            ["realm_id", "company_id", "location_id"],
            ["locations.realm_id", "locations.company_id", "locations.id"],
            name=op.f("fk_routing_states_realm_id_company_id_location_id"),
        ),
        sa.PrimaryKeyConstraint("location_id", name=op.f("pk_routing_states")),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_table(
        "territories",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("location_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("country", sa.String(), nullable=True),
        sa.Column("code", sa.String(), nullable=True),
        sa.Column("lat", sa.Double(), nullable=True),
        sa.Column("lon", sa.Double(), nullable=True),
        sa.Column("radius_km", sa.Double(), nullable=True),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "kind in ('country', 'subdivision', 'postal_prefix', 'circle', 'nationwide')",
            name=op.f("ck_territories_kind"),
        ),
        sa.ForeignKeyConstraint(
            ["realm_id", "company_id", "location_id"],
            ["locations.realm_id", "locations.company_id", "locations.id"],
            name=op.f("fk_territories_realm_id_company_id_location_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_territories")),
    )
    op.create_index(op.f("ix_territories_location_id"), "territories", ["location_id"], unique=False)
    op.create_table(
        "text_contacts",
        sa.Column("text_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("contact_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["realm_id", "contact_id"],
            ["contacts.realm_id", "contacts.id"],
            name=op.f("fk_text_contacts_realm_id_contact_id"),
        ),
        sa.ForeignKeyConstraint(
            ["text_id"], ["texts.id"], name=op.f("fk_text_contacts_text_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("text_id", "contact_id", name=op.f("pk_text_contacts")),
    )
    op.create_index(op.f("ix_text_contacts_contact_id"), "text_contacts", ["contact_id"], unique=False)
    op.create_table(
        "offers",
        sa.Column("lead_id", sa.BigInteger(), nullable=False),
        sa.Column("lead_number", sa.String(), nullable=False),
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("location_id", sa.BigInteger(), nullable=False),
        sa.Column("decision_id", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("brief", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("distance_m", sa.BigInteger(), nullable=True),
        sa.Column("offered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("remind_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cap_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_by", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_reason", sa.String(), nullable=True),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("realm_id", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "state in ('offered', 'accepted', 'declined', 'expired', 'withdrawn')",
            name=op.f("ck_offers_state"),
        ),
        sa.ForeignKeyConstraint(
            ["realm_id", "company_id", "location_id"],
            ["locations.realm_id", "locations.company_id", "locations.id"],
            name=op.f("fk_offers_realm_id_company_id_location_id"),
        ),
        sa.ForeignKeyConstraint(
            ["realm_id", "lead_id"], ["leads.realm_id", "leads.id"], name=op.f("fk_offers_realm_id_lead_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offers")),
    )
    op.create_index(op.f("ix_offers_lead_id_id"), "offers", ["lead_id", "id"], unique=False)
    op.create_index(
        "offers_due",
        "offers",
        ["realm_id", "deadline_at"],
        unique=False,
        postgresql_where=sa.text("state = 'offered'"),
    )
    op.create_index("offers_inbox", "offers", ["company_id", "state", "deadline_at"], unique=False)
    op.create_index(
        "one_open_offer", "offers", ["lead_id"], unique=True, postgresql_where=sa.text("state = 'offered'")
    )
