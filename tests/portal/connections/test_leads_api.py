"""POST and GET /api/v1/leads: what is taken, what is refused and how, repeats, and who sees how much."""

import json
import threading
from typing import Any

import pytest
from sqlalchemy import text
from webtest import TestApp

from portal.connections import api
from portal.leads import actions
from tests.portal.site import system
from tests.world import ALPENHYDRO, DANUBIA, TRAUN, World

LEAD: dict[str, Any] = {
    "external_key": "crm-1",
    "account": {"name": "Lenau Papier", "industry": "paper"},
    "contact": {
        "name": "Eva Lenau",
        "email": "eva@lenau.example",
        "phone": "+43 732 1",
        "street": "Hafenstrasse 1",
    },
    "place": {"country": "AT", "subdivision": "AT-4", "postal": "4020", "city": "Linz"},
    "product_lines": ["HX"],
    "certifications": ["ATEX"],
    "amount": {"amount": "84000.00", "currency": "EUR"},
    "language": "de",
    "need": "Pump service contract",
    "start_on": "2027-01-15",
    "source": "crm",
    "message": "Call Eva, private number 0660",
}


@pytest.fixture
def crm(world: World) -> TestApp:
    """The vendor's system."""
    return system(world, world.vendor_id, "leads:read", "leads:write")


def one(world: World, query: str, **values: Any) -> Any:
    with world.system() as session:
        return session.execute(text(query), values).one()


def test_a_lead_is_stored_routed_and_answered(world: World, crm: TestApp) -> None:
    answer = crm.post_json("/api/v1/leads", LEAD, status=201)
    assert answer.json["outcome"] == "new" and answer.json["number"].startswith("L-")
    assert answer.headers["Location"] == answer.json["url"] and answer.json["id"].isdigit()
    lead = one(world, "select * from leads where id = :id", id=int(answer.json["id"]))
    assert lead.assignment == "offered" and lead.amount == 84000 and lead.external_key == "crm-1"
    assert lead.lat is not None and lead.precision in ("city", "postal"), "found offline from the town"
    assert one(world, "select street from contacts").street == "Hafenstrasse 1"
    raw = one(world, "select body, expires_at from texts where subject_id = :id", id=lead.id)
    assert json.loads(raw.body)["message"] == LEAD["message"] and raw.expires_at is not None
    event = one(world, "select * from events where type = 'lead.received'")
    assert event.client_id is not None and event.kind == "vendor"


def test_the_same_key_is_the_same_lead(world: World, crm: TestApp) -> None:
    first = crm.post_json("/api/v1/leads", LEAD, status=201)
    again = crm.post_json("/api/v1/leads", LEAD, status=200)
    assert again.json["outcome"] == "same" and again.json["id"] == first.json["id"]
    changed = crm.post_json("/api/v1/leads", {**LEAD, "title": "Two pumps"}, status=200)
    assert changed.json["outcome"] == "changed"
    less = {"external_key": "crm-1", "account": {"name": "Lenau Papier"}}
    assert crm.post_json("/api/v1/leads", less, status=200).json["outcome"] == "same"
    lead = one(world, "select * from leads")
    assert lead.title == "Two pumps" and lead.need == LEAD["need"], "what is left out stays"
    twin = crm.post_json("/api/v1/leads", {**LEAD, "external_key": "crm-2"}, status=201)
    assert twin.json["outcome"] == "suspected_duplicate"


def test_unknown_fields_are_tolerated(crm: TestApp) -> None:
    assert crm.post_json("/api/v1/leads", {**LEAD, "of_a_later_version": {"x": 1}}, status=201)


# -- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"account": None}, "account", "model_type"),
        ({"account": {}}, "account.name", "missing"),
        ({"account": {"name": "  "}}, "account.name", "string_too_short"),
        ({"account": {"name": "x\u0000y"}}, "account.name", "string_pattern_mismatch"),
        ({"title": "x" * 201}, "title", "string_too_long"),
        ({"title": 12}, "title", "string_type"),
        ({"place": {"country": "XX"}}, "place.country", "value_error"),
        ({"place": {"country": "Austria"}}, "place.country", "string_pattern_mismatch"),
        ({"place": {"lat": 91, "lon": 0}}, "place.lat", "less_than_equal"),
        ({"place": {"lat": 0}}, "place", "value_error"),
        ({"amount": {"amount": 84000, "currency": "EUR"}}, "amount.amount", "string_type"),
        ({"amount": {"amount": "84,000", "currency": "EUR"}}, "amount.amount", "string_pattern_mismatch"),
        (
            {"amount": {"amount": "99999999999999999", "currency": "EUR"}},
            "amount.amount",
            "string_pattern_mismatch",
        ),
        ({"amount": {"amount": "1"}}, "amount.currency", "missing"),
        ({"contact": {"email": "no"}}, "contact.email", "string_pattern_mismatch"),
        ({"start_on": "15.01.2027"}, "start_on", "date_parsing"),
        ({"start_on": "0001-01-01"}, "start_on", "value_error"),
        ({"received_at": "2026-11-23T10:00:00"}, "received_at", "timezone_aware"),
        ({"received_at": "9999-12-31T23:59:59-12:00"}, "received_at", "value_error"),
        ({"product_lines": "HX"}, "product_lines", "list_type"),
        ({"language": "German"}, "language", "string_pattern_mismatch"),
    ],
)
def test_wrong_fields_are_named_and_nothing_is_kept(
    world: World, crm: TestApp, change: dict[str, Any], field: str, code: str
) -> None:
    answer = crm.post_json("/api/v1/leads", {**LEAD, **change}, status=422)
    assert answer.content_type == "application/problem+json" and answer.json["status"] == 422
    assert [(e["field"], e["code"]) for e in answer.json["errors"]] == [(field, code)]
    assert answer.json["errors"][0]["message"]
    assert one(world, "select count(*) from leads").count == 0


def test_zero_is_a_coordinate(world: World, crm: TestApp) -> None:
    crm.post_json("/api/v1/leads", {**LEAD, "place": {"lat": 0.0, "lon": 0.0}}, status=201)
    lead = one(world, "select lat, lon, precision from leads")
    assert (lead.lat, lead.lon, lead.precision) == (0.0, 0.0, "exact")


def test_what_is_no_json_of_ours(crm: TestApp) -> None:
    json_type = {"Content-Type": "application/json"}
    for body in (b"", b"{", b"\xff", b"[1,"):
        answer = crm.post("/api/v1/leads", body, headers=json_type, status=400)
        assert answer.content_type == "application/problem+json"
    assert (
        crm.post("/api/v1/leads", b"[]", headers=json_type, status=422).json["errors"][0]["field"] == "body"
    )
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
    ):
        assert crm.post("/api/v1/leads", b"{}", headers={"Content-Type": kind}, status=415)
    big = json.dumps({**LEAD, "message": "x" * api.MAX_BODY_BYTES}).encode()
    told = crm.post("/api/v1/leads", big, headers=json_type, status=413).json["detail"]
    assert told == "Send at most 1 MB in one request. Split what you send over several requests."
    deep = b'{"account": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert crm.post("/api/v1/leads", deep, headers=json_type, status="*").status_int in (400, 422)


def test_other_methods_are_told_which_to_use(crm: TestApp) -> None:
    for method in ("get", "put_json", "patch_json", "delete"):
        answer = getattr(crm, method)("/api/v1/leads", status=405)
        assert answer.headers["Allow"] == "POST" and answer.content_type == "application/problem+json"
    assert crm.post_json("/api/v1/leads/L-1", {}, status=405).headers["Allow"] == "GET"
    assert crm.get("/api/v1/nothing", status=404).content_type == "application/problem+json"


def test_scopes_open_what_they_say_and_partners_write_nothing(world: World) -> None:
    reader = system(world, world.vendor_id, "leads:read")
    refused = reader.post_json("/api/v1/leads", LEAD, status=403)
    assert refused.content_type == "application/problem+json"
    told = 'Bearer realm="interline", error="insufficient_scope", scope="leads:write"'
    assert refused.headers["WWW-Authenticate"] == told
    partner = system(world, world.company(DANUBIA), "leads:read")
    assert partner.post_json("/api/v1/leads", LEAD, status=404), "no partner may have that scope"
    writer = system(world, world.vendor_id, "leads:write")
    number = writer.post_json("/api/v1/leads", LEAD, status=201).json["number"]
    assert (
        writer.get(f"/api/v1/leads/{number}", status=403).body
        == writer.get("/api/v1/leads/L-1", status=403).body
    )
    assert reader.get(f"/api/v1/leads/{number}", status=200)


# -- once --------------------------------------------------------------------------------------------------------


def keyed(app: TestApp, body: dict[str, Any], key: str = "key-1", status: int | str = "*") -> Any:
    return app.post_json("/api/v1/leads", body, headers={"Idempotency-Key": key}, status=status)


def test_a_repeat_gets_the_first_answer_to_the_byte(world: World, crm: TestApp) -> None:
    body = {k: v for k, v in LEAD.items() if k != "external_key"}
    first = keyed(crm, body, status=201)
    again = keyed(crm, body, status=201)
    assert again.body == first.body and again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotent-Replayed"] == "true" and "Idempotent-Replayed" not in first.headers
    assert one(world, "select count(*) from leads").count == 1
    kept = one(world, "select answer::text as told from idempotent_answers").told
    assert "Lenau" not in kept and "@" not in kept, "stored answers hold no personal data"
    assert keyed(crm, body, "key-2", 201).json["outcome"] == "suspected_duplicate"


def test_a_used_key_with_another_body_is_refused(crm: TestApp) -> None:
    keyed(crm, LEAD, status=201)
    answer = keyed(crm, {**LEAD, "title": "Other"}, status=422)
    assert answer.json["errors"][0]["code"] == "idempotency_key_reused"


def test_keys_of_other_clients_are_other_keys(world: World, crm: TestApp) -> None:
    body = {k: v for k, v in LEAD.items() if k != "external_key"}
    first = keyed(crm, body, status=201)
    other = system(world, world.vendor_id, "leads:write")
    assert keyed(other, body, status=201).json["id"] != first.json["id"]


def test_a_refused_request_leaves_its_key_free(crm: TestApp) -> None:
    keyed(crm, {**LEAD, "title": 1}, status=422)
    keyed(crm, LEAD, status=201)
    for key in ("", "ä", "x" * 201, "a b"):
        assert crm.post_json("/api/v1/leads", LEAD, headers={"Idempotency-Key": key}, status=422)


def test_twins_at_the_same_time_make_one_lead_and_get_one_answer(world: World) -> None:
    body = {k: v for k, v in LEAD.items() if k != "external_key"}
    first = system(world, world.vendor_id, "leads:write")
    barrier = threading.Barrier(4)
    answers: list[Any] = []

    def send() -> None:
        app = TestApp(first.app)
        app.authorization = first.authorization
        barrier.wait()
        answers.append(keyed(app, body))

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {(a.status_int, a.body) for a in answers} == {(201, answers[0].body)}
    assert one(world, "select count(*) from leads").count == 1
    assert one(world, "select count(*) from offers").count == 1


def test_the_same_external_key_at_the_same_time_makes_one_lead(world: World) -> None:
    first = system(world, world.vendor_id, "leads:write")
    barrier = threading.Barrier(4)
    answers: list[Any] = []

    def send() -> None:
        app = TestApp(first.app)
        app.authorization = first.authorization
        barrier.wait()
        answers.append(app.post_json("/api/v1/leads", LEAD, status="*"))

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(a.status_int for a in answers) == [200, 200, 200, 201]
    assert len({a.json["id"] for a in answers}) == 1
    assert one(world, "select count(*) from leads").count == 1


# -- limits ------------------------------------------------------------------------------------------------------


def test_calls_are_metered_and_the_rest_is_told(crm: TestApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "METER", api.Meter(calls=3, window_s=60))
    answers = [crm.get("/api/v1/leads/L-1", status="*") for _ in range(4)]
    assert [a.status_int for a in answers] == [404, 404, 404, 429]
    assert answers[0].headers["RateLimit-Policy"] == '"client";q=3;w=60'
    assert answers[0].headers["RateLimit"].startswith('"client";r=2;t=')
    assert 1 <= int(answers[3].headers["Retry-After"]) <= 60
    assert answers[3].content_type == "application/problem+json"


# -- reading -----------------------------------------------------------------------------------------------------


def test_the_vendor_reads_all_and_is_spared_what_it_knows(world: World, crm: TestApp) -> None:
    number = crm.post_json("/api/v1/leads", LEAD).json["number"]
    answer = crm.get(f"/api/v1/leads/{number}", status=200)
    assert answer.json["level"] == "full" and answer.json["external_key"] == "crm-1"
    assert answer.json["contact"]["email"] == "eva@lenau.example"
    assert answer.json["amount"] == {"amount": "84000.00", "currency": "EUR"}
    assert answer.json["received_at"].endswith("Z")
    tag = answer.headers["ETag"]
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert crm.get(f"/api/v1/leads/{number}", headers={"If-None-Match": tag}, status=304).body == b""
    crm.post_json("/api/v1/leads", {**LEAD, "title": "Changed"})
    assert (
        crm.get(f"/api/v1/leads/{number}", headers={"If-None-Match": tag}, status=200).headers["ETag"] != tag
    )


def test_a_partners_system_sees_the_offer_then_the_lead(world: World, crm: TestApp) -> None:
    number = crm.post_json("/api/v1/leads", LEAD).json["number"]
    danubia = system(world, world.company(DANUBIA), "leads:read")
    offered = danubia.get(f"/api/v1/leads/{number}", status=200)
    assert offered.json["level"] == "offer" and offered.json["state"] == "offered"
    assert "Lenau" not in offered.text and "Hafen" not in offered.text and "number 0660" not in offered.text
    with world.acting("katrin@danubia.example") as session:
        offer = session.execute(text("select id from offers")).scalar_one()
        actions.accept(session, offer)
    full = danubia.get(f"/api/v1/leads/{number}", status=200)
    assert full.json["level"] == "full" and full.json["contact"]["name"] == "Eva Lenau"
    assert "external_key" not in full.json and "number 0660" not in full.text
    for name in (TRAUN, ALPENHYDRO):
        other = system(world, world.company(name), "leads:read")
        foreign = other.get(f"/api/v1/leads/{number}", status=404)
        assert foreign.body == other.get("/api/v1/leads/L-99999999", status=404).body, (
            "same as for what does not exist"
        )


@pytest.mark.parametrize("number", ["L-1", "x", "L-%00", "L-" + "9" * 300, "%2F..%2F", "L-1'--", "%C3%BC"])
def test_odd_numbers_are_simply_not_there(crm: TestApp, number: str) -> None:
    assert crm.get(f"/api/v1/leads/{number}", status=404)
