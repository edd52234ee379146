"""A second realm: its own clock, its own vendor, and nothing of the first to be seen in it."""

from datetime import timedelta

from sqlalchemy import text

from portal.companies import actions as companies
from portal.db import transaction
from portal.routing.rulesets.actions import publish_default
from portal.security.context import Acting
from tests.portal.leads.test_flow import intake
from tests.world import World

SANDBOX = 2


def test_a_sandbox_has_its_own_clock_and_sees_nothing_of_the_live_realm(world: World) -> None:
    intake(world)
    with world.system() as session:
        session.execute(
            text("""
                insert into realms (id, kind, name, clock_offset_seconds, created_at)
                values (:id, 'sandbox', 'Sandbox', 86400, now())
            """),
            {"id": SANDBOX},
        )
        session.execute(text("insert into directory_versions (realm_id) values (:id)"), {"id": SANDBOX})
    with transaction(world.database.worker, Acting(realm_id=SANDBOX)) as session:
        vendor = companies.ensure_vendor(session, "Sandbox vendor")
    acting = Acting(realm_id=SANDBOX, kind="vendor", company_id=vendor)
    with transaction(world.database.worker, acting) as session:
        publish_default(session, vendor)
        real = session.execute(text("select now()")).scalar_one()
        assert abs((session.context.now - real) - timedelta(days=1)) < timedelta(seconds=1)
        assert session.execute(text("select app.vendor_realm()")).scalar() == SANDBOX


def test_on_the_app_login_a_vendor_of_one_realm_reads_nothing_of_the_other(world: World) -> None:
    test_a_sandbox_has_its_own_clock_and_sees_nothing_of_the_live_realm(world)
    with world.acting("ingrid@halden.example") as session:
        for table in ("companies", "rule_sets", "realms", "directory_versions"):
            realm = "id" if table == "realms" else "realm_id"
            found = set(session.scalars(text(f"select distinct {realm} from {table}")))
            assert found == {1}, table
