"""Changes that a partner proposes: nothing counts before approval, who may do what, conflicts, mails, sentences."""

import io
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from webtest import Upload

import portal.tasks
from integrations.storage import Storage
from portal.companies import actions as companies
from portal.errors import Conflict, Invalid, NotFound
from portal.events import work
from portal.partners import actions as partners
from portal.partners.proposals import actions, tasks, telling
from portal.partners.proposals.kinds import KINDS, Target
from tests.portal.leads.test_flow import intake, offers_of
from tests.portal.pages import main_form
from tests.portal.security.test_tasks import Outbox
from tests.portal.visitors import visitor
from tests.world import DANUBIA, World

assert portal.tasks
INGRID, ANNA, TOMAS = "ingrid@halden.example", "anna@halden.example", "tomas@halden.example"
LUKAS, KATRIN = "lukas@danubia.example", "katrin@danubia.example"
STEYR = {
    "name": "Steyr", "street": "Werkstraße 1", "postal": "4400", "city": "Steyr", "country": "AT", "subdivision": None,
    "active": True,
}  # fmt: skip
ATEX = {
    "programme": "ATEX", "level": None, "number": "A-99", "issued": None, "expires": None, "product_line": None,
}  # fmt: skip
STYRIA = {"kind": "subdivision", "country": None, "code": "AT-6", "lat": None, "lon": None, "radius_km": None}


def target(world: World, location: bool = False) -> Target:
    return Target(world.company(DANUBIA), world.location(DANUBIA) if location else None)


def propose(world: World, kind: str, given: dict[str, Any], why: str = "", location: bool = False) -> int:
    with world.acting(LUKAS) as session:
        return actions.propose(session, kind, target(world, location), given, why)


def approve(world: World, number: int, email: str = INGRID) -> None:
    with world.acting(email) as session:
        actions.approve(session, number)


def rows(world: World, query: str) -> list[Any]:
    with world.system() as session:
        return list(session.execute(text(query), {"c": world.company(DANUBIA), "l": world.location(DANUBIA)}))


def one(world: World, query: str) -> Any:
    (found,) = rows(world, query)
    return found[0]


NAME = "select name from companies where id = :c"
STATE = "select state from proposals where company_id = :c"


# -- approval goes through the directory -------------------------------------------------------------------------------


def test_a_name_counts_when_it_is_approved_and_not_before(world: World) -> None:
    number = propose(world, "name", {"name": "Danubia Fluid"})
    assert one(world, NAME) == DANUBIA
    approve(world, number, ANNA)
    assert one(world, NAME) == "Danubia Fluid" and one(world, STATE) == "approved"


def test_decisions_are_unaffected_until_approval_and_changed_after(world: World) -> None:
    moved = {**STEYR, "name": "Ansfelden", "active": False}
    number = propose(world, "address", moved, location=True)
    got = intake(world)
    assert offers_of(world, got.lead_id)[0].company_id == world.company(DANUBIA)
    before = one(
        world, "select directory_version from (select version as directory_version from directory_versions) v"
    )
    approve(world, number)
    assert one(world, "select version from directory_versions") > before
    again = intake(world, contact={"name": "B", "email": "b@x.example"}, account={"name": "Another"})
    assert offers_of(world, again.lead_id)[0].company_id != world.company(DANUBIA)


def test_an_address_is_dated_from_the_approval_and_found_on_the_map(world: World) -> None:
    number = propose(world, "address", STEYR | {"name": "Ansfelden"}, location=True)
    approve(world, number)
    facts = rows(
        world,
        "select * from location_facts where location_id = :l order by id",
    )
    old, new = facts[-2:]
    assert (old.city, new.city) == ("Ansfelden", "Steyr") and old.valid_to == new.valid_from is not None
    assert abs(new.lat - 48.04) < 0.1, "the old coordinates were another town's"
    assert new.capacity == old.capacity, "what was not proposed stays"


def test_territories_lines_certificates_and_places(world: World) -> None:
    approve(world, propose(world, "territory", STYRIA, location=True))
    held = rows(world, "select id, code from territories where location_id = :l and valid_to is null")
    assert "AT-6" in {row.code for row in held}
    (area,) = [row.id for row in held if row.code == "AT-6"]
    with world.acting(LUKAS) as session:
        end = actions.propose(
            session, "territory-end", Target(world.company(DANUBIA), world.location(DANUBIA), area), {}
        )
    approve(world, end)
    assert rows(world, "select 1 from territories where code = 'AT-6' and valid_to is null") == []
    approve(world, propose(world, "lines", {"product_lines": ["HX"]}))
    lines = "select product_line from authorisations where company_id = :c and valid_to is null"
    assert [row[0] for row in rows(world, lines)] == ["HX"]
    until = world.now.date() + timedelta(days=400)
    approve(world, propose(world, "certification", ATEX | {"expires": until}))
    found = rows(world, "select expires from certifications where number = 'A-99' and valid_to is null")
    assert [row.expires for row in found] == [until]
    approve(world, propose(world, "place", STEYR))
    assert "Steyr" in {row[0] for row in rows(world, "select name from locations where company_id = :c")}


# -- refusals ----------------------------------------------------------------------------------------------------------


def test_what_the_directory_would_refuse_is_refused_at_once(world: World) -> None:
    for kind, given, location in (
        ("name", {"name": "  "}, False),
        ("address", STEYR | {"country": "XX"}, True),
        ("territory", STYRIA | {"code": "nowhere"}, True),
        ("certification", ATEX | {"programme": "NONE"}, False),
    ):
        with pytest.raises(Invalid):
            propose(world, kind, given, location=location)
    with pytest.raises(Invalid, match="as it stands"):
        propose(world, "name", {"name": DANUBIA})
    assert rows(world, STATE) == []


def test_the_same_thing_is_not_proposed_twice(world: World) -> None:
    propose(world, "name", {"name": "One"})
    with pytest.raises(Conflict):
        propose(world, "name", {"name": "Two"})
    propose(world, "territory", STYRIA, location=True)
    propose(world, "territory", STYRIA | {"code": "AT-2"}, location=True)
    with pytest.raises(Conflict):
        propose(world, "territory", STYRIA, location=True)


def test_what_changed_meanwhile_is_a_conflict(world: World) -> None:
    number = propose(world, "name", {"name": "Danubia Fluid"})
    with world.acting(INGRID) as session:
        companies.change_company(session, world.company(DANUBIA), name="Danubia Holding")
    with pytest.raises(Conflict, match="changed since"):
        approve(world, number)
    page = visitor(world, INGRID).get(f"/proposals/{number}")
    assert "This changed since it was proposed." in page and "Danubia Holding" in page
    assert "Approve</button>" not in page and "Reject</button>" in page
    assert one(world, NAME) == "Danubia Holding" and one(world, STATE) == "open"


def test_another_field_may_change_meanwhile(world: World) -> None:
    number = propose(world, "address", {**STEYR, "name": "Ansfelden"}, location=True)
    with world.acting(LUKAS) as session:
        companies.change_location(session, world.location(DANUBIA), capacity=3)
    approve(world, number)
    assert one(world, "select capacity from location_facts where location_id = :l and valid_to is null") == 3


def test_a_removed_territory_cannot_be_ended_again(world: World) -> None:
    area = one(world, "select id from territories where location_id = :l and valid_to is null limit 1")
    about = Target(world.company(DANUBIA), world.location(DANUBIA), area)
    with world.acting(LUKAS) as session:
        number = actions.propose(session, "territory-end", about, {})
    with world.acting(INGRID) as session:
        partners.remove_territory(session, world.company(DANUBIA), area)
    with pytest.raises(Conflict):
        approve(world, number)


def test_a_decided_one_stays_decided(world: World) -> None:
    number = propose(world, "name", {"name": "Danubia Fluid"})
    with world.acting(LUKAS) as session:
        actions.withdraw(session, number)
    for act in (actions.approve, lambda s, n: actions.reject(s, n, "no")):
        with pytest.raises(Conflict), world.acting(INGRID) as session:
            act(session, number)
    assert one(world, STATE) == "withdrawn" and one(world, NAME) == DANUBIA


def test_a_rejection_needs_a_reason(world: World) -> None:
    number = propose(world, "name", {"name": "Danubia Fluid"})
    with pytest.raises(Invalid), world.acting(INGRID) as session:
        actions.reject(session, number, " ")


def test_a_partner_decides_nothing(world: World) -> None:
    number = propose(world, "name", {"name": "Danubia Fluid"})
    for email in (LUKAS, "admin@traun.example"):
        with pytest.raises(Exception), world.acting(email) as session:  # noqa: B017, PT011 - NotFound or the database
            actions.approve(session, number)
    with pytest.raises(NotFound), world.acting("admin@traun.example") as session:
        actions.withdraw(session, number)
    assert one(world, STATE) == "open" and one(world, NAME) == DANUBIA


# -- pages -------------------------------------------------------------------------------------------------------------


def test_the_way_from_profile_to_approval_over_pages(world: World) -> None:
    lukas, anna = visitor(world, LUKAS), visitor(world, ANNA)
    profile = lukas.get("/company")
    location = world.location(DANUBIA)
    for link in (
        "/company/propose/name",
        f"/company/locations/{location}/propose/address",
        "/company/propose/lines",
    ):
        assert f'href="{link}"' in profile
    form = main_form(lukas.get(f"/company/locations/{location}/propose/address"))
    assert form["city"].value == "Ansfelden"
    form["city"], form["postal"], form["why"] = "Linz", "4020", "We moved in May"
    page = form.submit(status=302).follow()
    assert "Waits for a decision" in page and "We moved in May" in page and "Take it back" in page
    home = anna.get("/")
    assert f"{DANUBIA} proposes: Address of a location" in home
    number = one(world, "select id from proposals")
    detail = anna.get(f"/proposals/{number}")
    assert "<del>Ansfelden</del>" in detail and "<ins>Linz</ins>" in detail and "We moved in May" in detail
    assert "waits for a decision" in anna.get(f"/partners/{world.company(DANUBIA)}")
    decided = main_form(detail).submit(status=302).follow()
    assert "Approved" in decided and "it counts from then on" in decided
    assert "Linz" in lukas.get("/company")
    seen = lukas.get(f"/company/proposals/{number}")
    assert "Approved" in seen and "Anna Lund" not in seen, (
        "people of the vendor are not the partner's to know"
    )


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Storage:
    """An empty storage of this test."""
    made = Storage("memory:")
    monkeypatch.setattr("portal.partners.proposals.views.storage", lambda _settings: made)
    monkeypatch.setattr("portal.sharing.sending.storage", lambda _settings: made)
    return made


PDF = b"%PDF-1.7\n1 0 obj <<>> endobj\ntrailer <<>>\n%%EOF\n"


def test_a_certificate_is_proposed_with_its_document_which_only_who_decides_can_open(
    world: World, place: Storage
) -> None:
    lukas = visitor(world, LUKAS)
    form = main_form(lukas.get("/company/propose/certification"))
    form["programme"], form["number"], form["file"] = "ATEX", "A-99", Upload("Certificate.pdf", PDF)
    page = form.submit(status=302).follow()
    (own,) = [a["href"] for a in page.html.select("ul.files a")]
    assert "Certificate.pdf" in page and lukas.get(own).body == PDF
    number, file = one(world, "select id from proposals"), own.rpartition("/")[2]
    theirs = f"/proposals/{number}/files/{file}"
    for email in (ANNA, INGRID):
        assert f'href="{theirs}"' in visitor(world, email).get(f"/proposals/{number}")
        answer = visitor(world, email).get(theirs)
        assert answer.body == PDF and "sandbox" in answer.headers["Content-Security-Policy"]
    seen = visitor(world, KATRIN).get(f"/company/proposals/{number}")
    assert "Certificate.pdf" not in seen, "a colleague in sales sees the proposal, not its document"
    for email in (KATRIN, TOMAS, "admin@traun.example", "sales@traun.example"):
        for address in (own, theirs):
            visitor(world, email).get(address, status=404)
    other = propose(world, "name", {"name": "Danubia Fluid"})
    lukas.get(f"/company/proposals/{other}/files/{file}", status=404)
    decided = main_form(visitor(world, ANNA).get(f"/proposals/{number}")).submit(status=302).follow()
    assert "Certificate.pdf" in decided, "it stays with the decision"


FORGED = """
    insert into texts (id, realm_id, company_id, kind, subject_type, subject_id, body, audience, created_at)
    values (:id, 1, app.principal(), 'file', 'proposal', :proposal, 'x', array[app.principal(), :vendor], now())
"""


def test_the_database_lets_only_who_proposed_a_certification_add_a_document(world: World) -> None:
    theirs, name = propose(world, "certification", ATEX), propose(world, "name", {"name": "Danubia Fluid"})
    withdrawn = propose(world, "certification", ATEX | {"number": "A-1"})
    with world.acting(LUKAS) as session:
        actions.withdraw(session, withdrawn)
    asked = {"vendor": world.vendor_id}
    for email, number in (("admin@traun.example", theirs), (LUKAS, name), (LUKAS, withdrawn)):
        with pytest.raises(ProgrammingError), world.acting(email) as session:
            session.execute(text(FORGED), asked | {"id": number + 1, "proposal": number})
    with world.acting(LUKAS) as session:
        session.execute(text(FORGED), asked | {"id": theirs + 1, "proposal": theirs})


def test_a_document_that_cannot_be_taken_is_told_at_its_field_and_nothing_is_proposed(
    world: World, place: Storage
) -> None:
    form = main_form(visitor(world, LUKAS).get("/company/propose/certification"))
    form["programme"], form["number"], form["file"] = "ATEX", "A-99", Upload("run.exe", b"MZ" + b"\0" * 200)
    page = form.submit(status=422)
    field = page.html.find("input", {"name": "file"})
    assert field["aria-invalid"] == "true"
    said = " ".join(page.html.find(id=one).get_text(" ") for one in field["aria-describedby"].split())
    assert "Programs and scripts are not taken." in said and 'value="A-99"' in page
    assert rows(world, "select 1 from proposals") == [] and list(place.list()) == []
    number = propose(world, "name", {"name": "B"})
    with pytest.raises(Invalid), world.acting(LUKAS) as session:
        actions.attach(session, world.database.settings, place, number, ("a.pdf", io.BytesIO(PDF)))


def test_a_refused_decision_keeps_what_was_typed(world: World) -> None:
    number = propose(world, "name", {"name": "Danubia Fluid"})
    app = visitor(world, INGRID)
    token = main_form(app.get(f"/proposals/{number}"))["csrf_token"].value
    answer = app.post(f"/proposals/{number}/reject", {"csrf_token": token, "reason": "x" * 2001}, status=422)
    assert "Nothing was changed." in answer and "x" * 2001 in answer
    with world.acting(INGRID) as session:
        companies.change_company(session, world.company(DANUBIA), name="Other")
    stale = app.post(f"/proposals/{number}/approve", {"csrf_token": token, "reason": "fine"}, status=409)
    assert "changed since it was proposed" in stale and ">fine</textarea>" in stale


def test_forms_keep_what_was_typed_and_name_the_field(world: World) -> None:
    app = visitor(world, LUKAS)
    form = main_form(app.get("/company/propose/name"))
    form["name"], form["why"] = "", "because"
    again = form.submit(status=422)
    assert "because</textarea>" in again and "invalid-feedback" in again
    same = main_form(app.get("/company/propose/name")).submit(status=422)
    assert "This is as it stands." in same
    assert app.get("/company/propose/address", status=404) and app.get("/company/propose/nothing", status=404)


def test_lists_hold_ones_own_and_the_vendor_sees_what_waits(world: World) -> None:
    propose(world, "name", {"name": "Danubia Fluid"})
    assert "Name of the company" in visitor(world, KATRIN).get("/company/proposals")
    theirs = visitor(world, "admin@traun.example")
    assert "Nothing is proposed." in theirs.get("/company/proposals")
    number = one(world, "select id from proposals")
    assert theirs.get(f"/company/proposals/{number}", status=404)
    vendor = visitor(world, INGRID)
    assert DANUBIA in vendor.get("/proposals")
    assert (
        "Nothing waits" not in vendor.get("/proposals")
        and vendor.get("/proposals?tab=decided").text.count("<tr data-row") == 0
    )
    assert visitor(world, TOMAS).get("/proposals", status=404)
    assert "Name of the company" in vendor.get("/proposals?export=csv").text


# -- told --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["approved", "rejected"])
def test_who_proposed_it_is_mailed(world: World, monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    box = Outbox()
    monkeypatch.setattr(tasks, "load", lambda: world.database.settings)
    monkeypatch.setattr(tasks, "mailer", lambda _settings: box)
    number = propose(world, "name", {"name": "Danubia Fluid"})
    with world.acting(INGRID) as session:
        if state == "approved":
            actions.approve(session, number)
        else:
            actions.reject(session, number, "Send us the register <extract>.")
    work.run_due(world.database.worker, now=world.now + timedelta(minutes=1))
    (mail,) = box.sent
    assert mail.to == LUKAS and f"/company/proposals/{number}" in mail.text
    assert ("approved" if state == "approved" else "did not approve") in mail.text
    if state == "rejected":
        assert "register <extract>" in mail.text and "&lt;extract&gt;" in (mail.html or "")


def test_nobody_is_mailed_who_has_left(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    box = Outbox()
    monkeypatch.setattr(tasks, "load", lambda: world.database.settings)
    monkeypatch.setattr(tasks, "mailer", lambda _settings: box)
    approve(world, propose(world, "name", {"name": "Danubia Fluid"}))
    with world.system() as session:
        session.execute(text("delete from memberships where person_id = :p"), {"p": world.people[LUKAS]})
    work.run_due(world.database.worker, now=world.now + timedelta(minutes=1))
    assert box.sent == []


def test_every_event_has_its_sentence_and_both_sides_know(world: World) -> None:
    approve(world, propose(world, "name", {"name": "A"}))
    for kind, act in (("lines", "reject"), ("certification", "withdraw")):
        number = propose(world, kind, {"product_lines": ["HX"]} if kind == "lines" else ATEX)
        with world.acting(LUKAS if act == "withdraw" else INGRID) as session:
            actions.withdraw(session, number) if act == "withdraw" else actions.reject(session, number, "no")
    found = rows(world, "select distinct type, audience, data from events where type like 'proposal.%'")
    assert {row.type for row in found} == set(telling.SENTENCES)
    for row in found:
        assert set(row.audience) == {world.vendor_id, world.company(DANUBIA)}
        assert "Danubia" not in str(row.data), "references only"


def test_every_kind_has_a_form_or_asks_only_why() -> None:
    assert {code for code, kind in KINDS.items() if kind.form is None} == {"territory-end"}
