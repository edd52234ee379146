"""The pull feed: nothing skipped, nothing foreign, nothing personal; cursors, tags and what is refused."""

import json
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.engine import Engine
from webtest import TestApp

from portal.connections import api
from portal.db import new_id, transaction
from portal.events import feed, published, sequencer
from portal.events.log import record
from portal.leads import actions
from portal.security.context import Acting
from tests.portal.connections.test_leads_api import LEAD
from tests.portal.site import api_client, site, system, token
from tests.world import DANUBIA, TRAUN, World

FEED = "/api/v1/events"


@pytest.fixture
def crm(world: World) -> TestApp:
    """The vendor's system."""
    return system(world, world.vendor_id, "leads:write", "events:read")


@pytest.fixture
def statements(world: World) -> Iterator[list[str]]:
    """Statements that any engine sends from now on."""
    sent: list[str] = []

    def keep(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(Engine, "before_cursor_execute", keep)
    yield sent
    event.remove(Engine, "before_cursor_execute", keep)


def stamp(world: World) -> None:
    while sequencer.stamp(world.database.worker):
        pass


def tell(world: World, audience: list[int], times: int = 1, data: dict[str, Any] | None = None) -> None:
    """Events for these companies, stamped."""
    with world.system() as session:
        for _ in range(times):
            record(session, "lead.accepted", ("lead", new_id()), audience, data)
    stamp(world)


def all_pages(app: TestApp, limit: int = 100) -> Iterator[dict[str, Any]]:
    """Every event, followed by rel=next."""
    url = f"{FEED}?limit={limit}"
    while True:
        answer = app.get(url)
        yield from answer.json["events"]
        if not answer.json["more"]:
            return
        link = answer.headers["Link"]
        assert link.endswith('; rel="next"') and answer.json["next"] in link
        url = link.partition(">")[0].partition("http://localhost:6543")[2]


def test_a_lead_is_told_to_vendor_and_partner_each_in_its_measure(world: World, crm: TestApp) -> None:
    sent = crm.post_json("/api/v1/leads", LEAD, status=201).json
    stamp(world)
    told = {event["type"]: event for event in all_pages(crm)}
    assert set(told) == {"lead.received", "lead.decided", "lead.offered"}
    offered = told["lead.offered"]
    assert offered["subject"] == {"type": "lead", "id": sent["id"], "number": sent["number"]}
    assert offered["company"] == {"id": str(world.vendor_id), "name": "Halden Pumps"}
    assert offered["version"] == 1 and offered["at"].startswith(("2026-11-23T10:0", "2026-11-23T09:59:59"))
    assert set(offered["data"]) == {"offer", "company", "location", "until"}
    assert told["lead.received"]["data"] == {"source": "crm"}
    chosen = int(offered["data"]["company"])
    theirs = system(world, chosen, "events:read")
    seen = list(all_pages(theirs))
    assert [event["type"] for event in seen] == ["lead.offered"]
    assert seen[0] == offered, "the partner knows the vendor, and the number before it accepts"
    text_ = re.sub(r"\b\d{16,19}\b", "an id", json.dumps([*told.values(), *seen]))
    for word in ("Lenau", "eva@", "Hafenstrasse", "number 0660", "84000"):
        assert word not in text_
    other = system(world, next(c for c, _ in world.partners.values() if c != chosen), "events:read")
    assert list(all_pages(other)) == []


def test_who_declined_is_told_to_who_may_know(world: World, crm: TestApp) -> None:
    crm.post_json("/api/v1/leads", LEAD, status=201)
    stamp(world)
    offer = next(e for e in all_pages(crm) if e["type"] == "lead.offered")["data"]
    name = next(n for n, (company, _) in world.partners.items() if str(company) == offer["company"])
    seller = {DANUBIA: "katrin@danubia.example", TRAUN: "sales@traun.example"}[name]
    with world.acting(seller) as session:
        actions.decline(session, int(offer["offer"]), "no_capacity", "our Eva is ill")
    stamp(world)
    declined = next(e for e in all_pages(crm) if e["type"] == "lead.declined")
    assert declined["company"]["name"] == name
    assert declined["data"] == {"offer": offer["offer"], "reason": "no_capacity"}, (
        "reasons as codes, no words"
    )
    theirs = system(world, world.company(name), "events:read")
    assert next(e for e in all_pages(theirs) if e["type"] == "lead.declined") == declined


def test_an_actor_the_reader_may_not_know_is_left_out(world: World) -> None:
    mine, other = world.company(TRAUN), world.company(DANUBIA)
    with world.system() as session:
        record(session, "lead.opened", ("lead", 1), [mine], company_id=other)
        record(
            session, "of.a.later.version", ("thing", 2), [mine], {"who": "Eva"}, company_id=world.vendor_id
        )
    stamp(world)
    first, second = all_pages(system(world, mine, "events:read"))
    assert "company" not in first and "number" not in first["subject"]
    assert second["data"] == {}, "what no room published stays inside"


def test_a_company_has_no_number(world: World) -> None:
    mine = world.company(TRAUN)
    with world.system() as session:
        record(session, "partner.changed", ("company", mine), [mine], {"fields": ["city"]})
    stamp(world)
    (event,) = all_pages(system(world, mine, "events:read"))
    assert event["subject"] == {"type": "company", "id": str(mine)}


def test_an_unknown_parameter_is_named_not_passed_over(world: World, crm: TestApp) -> None:
    problem = crm.get(f"{FEED}?sort=zzz&limit=none", status=422).json
    (sort, limit) = problem["errors"]
    assert sort["field"] == "sort" and "after, limit" in sort["message"]
    assert limit["field"] == "limit" and "zzz" not in str(problem)
    reader = system(world, world.vendor_id, "leads:read")
    (nameless,) = crm.get(f"{FEED}?=", status=422).json["errors"]
    assert nameless["field"] == "=" and "after, limit" in nameless["message"]
    assert "none" in reader.get("/api/v1/leads/L-1?fields=x", status=422).json["errors"][0]["message"]


def test_pages_are_complete_and_in_order(world: World) -> None:
    mine, other = world.company(TRAUN), world.company(DANUBIA)
    for number in range(1, 251):
        with world.system() as session:
            whose = [mine] if number % 2 else [other]
            record(session, "lead.accepted", ("lead", number), whose, {"offer": str(number)})
    stamp(world)
    app = system(world, mine, "events:read")
    seen = [int(event["data"]["offer"]) for event in all_pages(app, limit=7)]
    assert seen == list(range(1, 251, 2))
    assert len(app.get(FEED).json["events"]) == 100 == len(app.get(f"{FEED}?limit=5000").json["events"])
    assert len(app.get(f"{FEED}?limit=1").json["events"]) == 1
    last = app.get(f"{FEED}?after=1.250").json
    assert last == {"events": [], "next": "1.250", "more": False}


def test_a_reader_misses_nothing_while_eight_write(world: World) -> None:
    writers, each = 8, 12
    done = threading.Event()
    mine = world.company(TRAUN)

    def write(number: int) -> None:
        for n in range(each):
            with transaction(world.database.worker, Acting()) as session:
                data = {"offer": str(number * 1000 + n)}
                record(session, "lead.opened", ("lead", number), [mine], data)

    def stamps() -> None:
        while not done.is_set():
            sequencer.stamp(world.database.worker, batch=5)

    app = system(world, mine, "events:read")
    threads = [threading.Thread(target=write, args=(n,)) for n in range(writers)]
    stamper = threading.Thread(target=stamps)
    for thread in (stamper, *threads):
        thread.start()
    seen: list[str] = []
    url = f"{FEED}?limit=5"
    tag = ""
    while True:
        busy = any(thread.is_alive() for thread in threads)
        answer = app.get(url, headers={"If-None-Match": tag} if tag else {}, status="*")
        if answer.status_int == 200:
            seen += [event["data"]["offer"] for event in answer.json["events"]]
            url, tag = f"{FEED}?limit=5&after={answer.json['next']}", ""
            if not answer.json["events"]:
                tag = answer.headers["ETag"]
                url = answer.request.path_qs
        if not busy and len(seen) >= writers * each:
            break
    done.set()
    stamper.join()
    assert sorted(seen) == sorted(str(w * 1000 + n) for w in range(writers) for n in range(each))


# -- nothing new -------------------------------------------------------------------------------------------------


def test_nothing_new_is_304_in_one_statement(world: World, statements: list[str]) -> None:
    mine, other = world.company(TRAUN), world.company(DANUBIA)
    tell(world, [mine], 3)
    app = system(world, mine, "events:read")
    first = app.get(f"{FEED}?limit=50")
    tag = {"If-None-Match": first.headers["ETag"]}
    assert first.headers["Cache-Control"] == "private, no-cache"
    statements.clear()
    again = app.get(f"{FEED}?limit=50", headers=tag, status=304)
    asked = [statement for statement in statements if "app.meter" not in statement]  # told once a second
    assert len(asked) == 1, statements
    assert again.headers["ETag"] == first.headers["ETag"] and not again.body
    assert again.headers["Cache-Control"] == "private, no-cache" and "RateLimit" in again.headers
    assert "Content-Security-Policy" in again.headers, "inside the headers all answers get"
    tell(world, [other], 3)
    assert app.get(f"{FEED}?limit=50", headers=tag, status=304)
    assert app.get(f"{FEED}?limit=49", headers=tag, status=200), "a tag is of one address"
    assert app.get(f"{FEED}?limit=50&after=1.1", headers=tag, status=200)
    tell(world, [mine])
    assert len(app.get(f"{FEED}?limit=50", headers=tag, status=200).json["events"]) == 4


def test_a_full_page_is_304_too_for_it_never_changes(world: World) -> None:
    tell(world, [world.vendor_id], 5)
    app = system(world, world.vendor_id, "events:read")
    first = app.get(f"{FEED}?limit=2")
    assert first.json["more"] is True
    assert app.get(f"{FEED}?limit=2", headers={"If-None-Match": first.headers["ETag"]}, status=304)
    assert app.get(f"{FEED}?limit=2", headers={"If-None-Match": f"W/{first.headers['ETag']}"}, status=304)


def test_who_hears_nothing_for_long_gets_a_new_cursor(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "STRETCH", 3)
    app = system(world, world.company(TRAUN), "events:read")
    first = app.get(FEED)
    assert first.json["next"] == "1.0"
    tag = {"If-None-Match": first.headers["ETag"]}
    tell(world, [world.company(DANUBIA)], 3)
    assert app.get(FEED, headers=tag, status=304)
    tell(world, [world.company(DANUBIA)])
    assert app.get(FEED, headers=tag, status=200).json == {"events": [], "next": "1.4", "more": False}


def test_a_tag_opens_nothing(world: World) -> None:
    """The short cut answers only who would be answered the long way."""
    tell(world, [world.company(TRAUN)])
    app = system(world, world.company(TRAUN), "events:read")
    tag = {"If-None-Match": app.get(FEED).headers["ETag"]}
    without = system(world, world.company(TRAUN), "leads:read")
    assert without.get(FEED, headers=tag, status="*").status_int == without.get(FEED, status="*").status_int
    assert system(world, world.company(DANUBIA), "events:read").get(FEED, headers=tag, status=200)
    stranger = site(world.database)
    assert stranger.get(FEED, headers=tag, status=401)
    stranger.authorization = ("Bearer", "x" * 43)
    assert stranger.get(FEED, headers=tag, status=401)
    with world.system() as session:
        session.execute(
            text("update credentials set expires_at = now() - interval '1 s' where purpose = 'api'")
        )
    assert app.get(FEED, headers=tag, status=401)


# -- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    ["after=x", "after=1", "after=-1.0", "after=1.-1", "after=1.2.3", "after=%00", "after=1." + "9" * 30,
     "after=' or 1=1", "limit=0", "limit=-1", "limit=x", "limit=1.5", "limit=", "after=1.0%0a", "after=%EF%BC%91.0"],
)  # fmt: skip
def test_rubbish_is_refused_by_name(crm: TestApp, query: str) -> None:
    answer = crm.get(f"{FEED}?{query}", status=422)
    assert answer.content_type == "application/problem+json"
    assert answer.json["errors"][0]["field"] == query.partition("=")[0]


def test_a_cursor_of_another_epoch_is_gone(world: World, crm: TestApp) -> None:
    tell(world, [world.vendor_id], 2)
    first = crm.get(FEED)
    old, tag = first.json["next"], first.headers["ETag"]
    ids = [event["id"] for event in first.json["events"]]
    assert ids == ["1.1", "1.2"]
    with world.system() as session:
        session.execute(text("insert into feed_epochs values (77, now(), 2)"))
    for headers in ({}, {"If-None-Match": tag}):
        gone = crm.get(f"{FEED}?after={old}", headers=headers, status=410)
        assert gone.content_type == "application/problem+json" and gone.json["status"] == 410
        assert gone.json["errors"][0]["code"] == "epoch_gone" and "without `after`" in gone.json["detail"]
    assert crm.get(f"{FEED}?after=77.3", status=410), "a position nobody was given"
    tell(world, [world.vendor_id])
    anew = crm.get(FEED, headers={"If-None-Match": tag}, status=200).json
    assert [event["id"] for event in anew["events"]] == [*ids, "77.3"], "known events keep their ids"
    assert anew["next"] == "77.3"


def test_calls_are_metered_also_when_nothing_is_new(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    app = site(world.database)
    client = api_client(world, world.vendor_id, "events:read")
    app.authorization = ("Bearer", token(app, client))
    tag = {"If-None-Match": app.get(FEED).headers["ETag"]}
    meter = api.Meter(calls=3)  # the call above was counted for all processes
    monkeypatch.setattr(api, "METER", meter)
    monkeypatch.setattr("portal.events.api.METER", meter)
    assert "r=1" in app.get(FEED, headers=tag, status=304).headers["RateLimit"]
    assert "r=0" in app.get(FEED, headers=tag, status=304).headers["RateLimit"]
    assert app.get(FEED, headers=tag, status=429).headers["Retry-After"]


def test_what_is_published_is_small_and_known() -> None:
    personal = {
        "name",
        "email",
        "phone",
        "note",
        "text",
        "person",
        "person_id",
        "contact",
        "account",
        "amount",
    }
    types = published.types()
    assert len(types) > 20
    assert {type_: set(keys) & personal for type_, keys in types.items() if set(keys) & personal} == {}
