"""Files of a lead: who sees which at each level, what is refused, what is sent and how, and when the bytes go."""

import io
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import text
from webtest import TestApp, Upload

from integrations.storage import Storage
from portal.db import PortalSession
from portal.errors import Conflict, Invalid
from portal.gateways import storage
from portal.leads import actions, files
from portal.sharing import files as sharing
from portal.sharing import tasks
from tests.portal.leads.test_flow import intake, offers_of, run
from tests.portal.leads.test_views import EVA, KATRIN, LUKAS, MANAGER, SALES_REP, accept, post, url
from tests.portal.visitors import visitor
from tests.world import TRAUN, World

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 50


@pytest.fixture(autouse=True)
def place(world: World, monkeypatch: pytest.MonkeyPatch) -> Storage:
    """An empty storage of this test, for pages and workers alike."""
    made = Storage("memory:")
    monkeypatch.setattr("portal.leads.file_views.storage", lambda _settings: made)
    monkeypatch.setattr("portal.sharing.sending.storage", lambda _settings: made)
    monkeypatch.setattr(tasks, "storage", lambda _settings: made)
    monkeypatch.setattr(tasks, "load", lambda: world.database.settings)
    return made


@pytest.fixture
def lead(world: World) -> Any:
    """A lead offered to Danubia Technik."""
    return intake(world)


def upload(app: TestApp, lead: Any, name: str, content: bytes, opens: str = "own", **more: Any) -> Any:
    page = app.get(url(lead))
    return post(app, page, url(lead, "/files"), {"file": Upload(name, content), "audience": opens}, **more)


def links(page: Any) -> dict[str, str]:
    """Name -> address of the files on a lead's page."""
    card = page.html.find(id="files")
    return {a.text: a["href"] for a in card.select("ul.files a")} if card else {}


def blobs(place: Storage) -> int:
    return len(list(place.list()))


# -- by level --------------------------------------------------------------------------------------------------------


def test_a_file_opens_on_acceptance_and_closes_with_the_lead(world: World, lead: Any) -> None:
    vendor, katrin = visitor(world, MANAGER), visitor(world, KATRIN)
    upload(vendor, lead, "canary-spec.txt", b"canary-inside", "accepted", status=303)
    upload(vendor, lead, "canary-ours.txt", b"canary-margin", "own", status=303)
    (address,) = (href for name, href in links(vendor.get(url(lead))).items() if name == "canary-spec.txt")

    page = katrin.get(url(lead))
    assert "One file opens when you accept." in page.text and "canary" not in page.text
    assert "canary" not in katrin.get("/offers").text and "canary" not in katrin.get("/").text
    katrin.get(address, status=404)

    accept(world, lead)
    page = katrin.get(url(lead))
    assert list(links(page)) == ["canary-spec.txt"] and "canary-ours" not in page.text
    assert katrin.get(address).text == "canary-inside"

    post(katrin, page, url(lead, "/hand-back"), {"reason": "no_capacity"}, status=303)
    katrin.get(address, status=404)
    assert "canary" not in katrin.get(url(lead)).text
    visitor(world, EVA).get(address, status=404)


def test_the_next_holder_sees_what_opens_on_acceptance_and_nothing_that_was_shared_before(
    world: World, lead: Any
) -> None:
    vendor = visitor(world, MANAGER)
    upload(vendor, lead, "spec.txt", b"for whoever holds it", "accepted", status=303)
    katrin = accept(world, lead)
    upload(katrin, lead, "canary-quote.txt", b"canary of Danubia", "shared", status=303)
    upload(vendor, lead, "canary-terms.txt", b"canary for Danubia", "shared", status=303)
    assert set(links(vendor.get(url(lead)))) == {"spec.txt", "canary-quote.txt", "canary-terms.txt"}
    assert set(links(katrin.get(url(lead)))) == {"spec.txt", "canary-quote.txt", "canary-terms.txt"}
    both = list(links(vendor.get(url(lead))).values())
    post(katrin, katrin.get(url(lead)), url(lead, "/hand-back"), {"reason": "no_capacity"}, status=303)
    run(world)

    offer = offers_of(world, lead.lead_id)[-1]
    assert offer.brief["files"] == 1
    name = next(n for n in (TRAUN, "Alpenhydro") if world.company(n) == offer.company_id)
    email = {TRAUN: EVA, "Alpenhydro": "sales@alpenhydro.example"}[name]
    successor = accept(world, lead, email)
    page = successor.get(url(lead))
    assert list(links(page)) == ["spec.txt"] and "canary" not in page.text
    assert [successor.get(a, status="*").status_int for a in both].count(404) == 2
    # Its own stays its own, as its words do; the vendor's for it are closed.
    assert list(links(katrin.get(url(lead)))) == ["canary-quote.txt"]


def test_own_files_stay_in_the_house(world: World, lead: Any) -> None:
    katrin = accept(world, lead)
    upload(katrin, lead, "canary-costs.txt", b"canary", "own", status=303)
    page = visitor(world, LUKAS).get(url(lead))
    assert list(links(page)) == ["canary-costs.txt"] and "Only Danubia Technik sees this" in page.text
    address = links(page)["canary-costs.txt"]
    for email in (MANAGER, SALES_REP, EVA):
        app = visitor(world, email)
        app.get(address, status=404)
        assert "canary" not in app.get(url(lead), status="*").text


def test_an_offered_partner_adds_for_itself_or_the_vendor_and_a_former_one_does_not(
    world: World, lead: Any
) -> None:
    katrin, vendor = visitor(world, KATRIN), visitor(world, MANAGER)
    upload(katrin, lead, "question.txt", b"which pump?", "shared", status=303)
    assert list(links(katrin.get(url(lead)))) == list(links(vendor.get(url(lead)))) == ["question.txt"]
    assert offers_of(world, lead.lead_id)[0].brief["files"] == 0, "its own is no surprise"
    upload(katrin, lead, "a.txt", b"mine for all", "accepted", status=422)
    accept(world, lead)
    post(katrin, katrin.get(url(lead)), url(lead, "/hand-back"), {"reason": "dates"}, status=303)
    assert "Add files" not in katrin.get(url(lead)).text
    assert upload(katrin, lead, "late.txt", b"late", "shared", status="*").status_int == 409


def test_the_timeline_tells_of_files_to_those_they_are_for(world: World, lead: Any) -> None:
    vendor, katrin = visitor(world, MANAGER), accept(world, lead)
    upload(vendor, lead, "plan.txt", b"plan", "accepted", status=303)
    upload(vendor, lead, "ours.txt", b"ours", "own", status=303)
    told = katrin.get(url(lead)).text
    assert "added a file that opens on acceptance" in told and "plan.txt" in told and "ours.txt" not in told
    address = links(katrin.get(url(lead)))["plan.txt"]
    post(vendor, vendor.get(url(lead)), address + "/remove", status=303)
    told = katrin.get(url(lead)).text
    assert "removed a file" in told and "plan.txt" not in told
    with world.system() as session:
        rows = session.execute(text("select data::text from events where type like 'file.%'")).scalars()
        assert not [row for row in rows if "plan" in row or "ours" in row], "no names in the log"


# -- what is taken ---------------------------------------------------------------------------------------------------


def test_several_at_once_and_what_is_wrong_with_one_keeps_no_other_out(
    world: World, lead: Any, place: Storage
) -> None:
    app = visitor(world, MANAGER)
    page = app.get(url(lead))
    form = page.forms[next(i for i, f in page.forms.items() if str(f.action).endswith("/files"))]
    form["file"] = [
        Upload("a.png", PNG),
        Upload("b.exe", b"MZ\x00"),
        Upload("c.svg", b"<svg/>"),
        Upload("d.txt", b""),
    ]
    answer = form.submit(status=303).follow()
    assert "One file added." in answer.text and "b.exe: Programs and scripts are not taken." in answer.text
    assert "c.svg: Web pages and SVG" in answer.text and "d.txt: The file is empty." in answer.text
    assert list(links(answer)) == ["a.png"] and blobs(place) == 1


def test_files_come_with_a_new_lead_and_the_offer_counts_them(world: World, place: Storage) -> None:
    app = visitor(world, MANAGER)
    fields = {"account": "Lenau Papier", "title": "Pump", "need": "Service", "postal": "4020", "city": "Linz"}
    fields |= {
        "country": "AT",
        "source": "phone",
        "email": "eva@lenau.example",
        "product_lines": "HX",
        "currency": "EUR",
    }
    given = [("file", "plan.pdf", b"%PDF-1.7 plan"), ("file", "run.exe", b"MZ")]
    page = post(app, app.get("/leads/new"), "/leads/new", fields, upload_files=given, status=303).follow()
    assert "is saved." in page.text and "One file added." in page.text and "run.exe: Programs" in page.text
    assert list(links(page)) == ["plan.pdf"] and blobs(place) == 1
    with world.system() as session:
        assert session.execute(text("select brief ->> 'files' from offers")).scalar_one() == "1"


def test_all_wrong_changes_nothing_and_says_why(world: World, lead: Any, place: Storage) -> None:
    answer = upload(visitor(world, MANAGER), lead, "x.pdf", b"<html><script>", status=422)
    assert "x.pdf: Web pages" in answer.text and blobs(place) == 0
    none = visitor(world, MANAGER)
    assert (
        "Choose a file."
        in post(none, none.get(url(lead)), url(lead, "/files"), {"file": ""}, status=422).text
    )


def test_names_and_types_that_came_with_a_file_are_not_believed(world: World, lead: Any) -> None:
    app = visitor(world, MANAGER)
    upload(app, lead, "..\\..\\invoice\u202efdp.html", PNG, status=303)
    page = app.get(url(lead))
    ((name, address),) = links(page).items()
    assert name == "invoicefdp.html.png"
    assert app.get(address).content_type == "image/png"


def test_the_same_bytes_again_are_the_file_that_is_there(world: World, lead: Any, place: Storage) -> None:
    app, other = visitor(world, MANAGER), intake(world, contact={"name": "B", "email": "b@x.example"})
    upload(app, lead, "plan.png", PNG, status=303)
    answer = upload(app, lead, "again.png", PNG, status=303).follow()
    assert "Already there: plan.png." in answer.text and list(links(answer)) == ["plan.png"]
    upload(app, other, "elsewhere.png", PNG, status=303)
    assert list(links(app.get(url(other)))) == ["elsewhere.png"] and blobs(place) == 1
    # A partner learns nothing of what others have: to it the bytes are new.
    katrin = accept(world, lead)
    upload(katrin, lead, "mine.png", PNG, status=303)
    assert list(links(katrin.get(url(lead)))) == ["mine.png"]


def test_caps_of_a_file_and_of_a_lead(world: World, lead: Any, place: Storage) -> None:
    tight = world.database.settings.model_copy(update={"max_file_mb": 1, "max_files_mb": 2})

    def add(size: int, first: bytes = b"a") -> Any:
        with world.acting(MANAGER) as session:
            given = ("x.txt", io.BytesIO(first + b"x" * (size - 1)))
            return files.add_file(session, tight, place, lead.lead_id, given, "own")

    with pytest.raises(Invalid, match="larger than 1 MB"):
        add(sharing.MB + 1)
    assert blobs(place) == 0, "what is too large never reaches the storage"
    add(sharing.MB, b"1")
    add(sharing.MB, b"2")
    with pytest.raises(Invalid, match="more than 2 MB"):
        add(10, b"3")


# -- how it is sent ----------------------------------------------------------------------------------------------------


def test_a_file_is_sent_so_that_no_browser_runs_it(world: World, lead: Any) -> None:
    app = visitor(world, MANAGER)
    upload(app, lead, 'Größe "3".txt', "Größe".encode(), status=303)
    ((_, address),) = links(app.get(url(lead))).items()
    answer = app.get(address)
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert answer.headers["Cache-Control"] == "private, no-cache"
    told = answer.headers["Content-Disposition"]
    assert told.startswith("attachment; ") and f"filename*=UTF-8''{quote('Größe _3_.txt')}" in told
    assert answer.headers["Content-Length"] == "7"
    etag = answer.headers["ETag"]
    assert app.get(address, headers={"If-None-Match": etag}, status=304).body == b""
    part = app.get(address, headers={"Range": "bytes=2-3"}, status=206)
    assert part.body == "Größe".encode()[2:4] and part.headers["Content-Range"] == "bytes 2-3/7"
    assert app.head(address).headers["Content-Length"] == "7"


def test_a_storage_that_fails_is_told_and_changes_nothing(
    world: World, lead: Any, place: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from integrations.storage import StorageError

    app = visitor(world, MANAGER)
    upload(app, lead, "plan.png", PNG, status=303)
    ((_, address),) = links(app.get(url(lead))).items()

    def fail(*_given: Any) -> None:
        raise StorageError("the storage failed: Timeout")

    for what in ("put", "stream", "has"):
        monkeypatch.setattr(place, what, fail)
    assert "Nothing was changed" in upload(app, lead, "b.txt", b"b", status=503).text
    app.get(address, status=503)
    assert list(links(app.get(url(lead)))) == ["plan.png"]


# -- going -----------------------------------------------------------------------------------------------------------


def test_who_may_remove_a_file(world: World, lead: Any) -> None:
    katrin = accept(world, lead)
    upload(katrin, lead, "hers.txt", b"hers", "shared", status=303)
    upload(visitor(world, SALES_REP), lead, "his.txt", b"his", "shared", status=303)
    on = links(katrin.get(url(lead)))
    for email, name, status in (
        (SALES_REP, "hers.txt", 409),
        (KATRIN, "his.txt", 409),
        ("anna@halden.example", "his.txt", 409),
        (EVA, "his.txt", 404),
        (LUKAS, "hers.txt", 303),  # the company's administrator
        (MANAGER, "his.txt", 303),
    ):
        app = visitor(world, email)
        token = app.get("/me")
        assert post(app, token, on[name] + "/remove", status="*").status_int == status, (email, name)
    assert links(katrin.get(url(lead))) == {}


def test_the_bytes_go_with_the_last_name_they_have(world: World, lead: Any, place: Storage) -> None:
    app, other = visitor(world, MANAGER), intake(world, contact={"name": "B", "email": "b@x.example"})
    for one in (lead, other):
        upload(app, one, "plan.png", PNG, status=303)
    for one, left in ((lead, 1), (other, 0)):
        ((_, address),) = links(app.get(url(one))).items()
        post(app, app.get(url(one)), address + "/remove", status=303)
        run(world)
        assert blobs(place) == left


def test_the_sweep_takes_what_nobody_names_and_leaves_what_is_being_added(
    world: World, lead: Any, place: Storage
) -> None:
    upload(visitor(world, MANAGER), lead, "plan.png", PNG, status=303)
    orphans = [b"\x01" * 32, b"\x02" * 32]
    for digest in orphans:
        place.put(sharing.blob_key(digest), b"left by a crash")
    place.put("backups/1", b"not ours")
    with world.acting(MANAGER) as adding:
        lock = text("select pg_advisory_xact_lock_shared(:k)")
        adding.execute(lock, {"k": sharing.lock_key(orphans[0])})
        with world.system() as session:
            assert sharing.sweep(session, place, sharing.kept(place)) == 1
    assert place.has(sharing.blob_key(orphans[0])) and place.has("backups/1")
    with world.system() as session:
        assert sharing.sweep(session, place, sharing.kept(place)) == 1
    assert blobs(place) == 2


def test_files_are_erased_with_the_lead_and_found_by_its_contact(
    world: World, lead: Any, place: Storage
) -> None:
    katrin = accept(world, lead)
    upload(katrin, lead, "own.txt", b"own", status=303)
    upload(visitor(world, MANAGER), lead, "spec.txt", b"spec", "accepted", status=303)
    run(world)
    with world.system() as session:
        linked = "select count(*) from text_contacts c join texts t on t.id = c.text_id where t.kind = 'file'"
        assert session.execute(text(linked)).scalar_one() == 2
        files.forget_files(session, [lead.lead_id])
    run(world)
    with world.system() as session:
        assert session.execute(text("select count(*) from files")).scalar_one() == 0
    assert blobs(place) == 0 and links(katrin.get(url(lead))) == {}


def test_what_came_raw_expires_with_the_texts(world: World, lead: Any, place: Storage) -> None:
    with world.acting(MANAGER) as session:
        settings, until = world.database.settings, world.now
        given = ("request.txt", io.BytesIO(b"as it came"))
        sharing.keep_file(session, settings, place, ("lead", lead.lead_id), given, [], expires_at=until)
    with world.system() as session:
        session.execute(
            text("update texts set expires_at = app.clock(1) - interval '1 s' where kind = 'file'")
        )
        tasks.expire_texts(session, None)  # type: ignore[arg-type]
        assert session.execute(text("select count(*) from files")).scalar_one() == 0
        assert sharing.sweep(session, place, sharing.kept(place)) == 1


def test_the_offer_that_is_out_counts_with_the_vendors_files(world: World, lead: Any, place: Storage) -> None:
    def act(do: Any) -> Any:
        with world.acting(MANAGER) as session:
            return do(session)

    def add(session: PortalSession, name: bytes, opens: str) -> Any:
        settings = world.database.settings
        return files.add_file(session, settings, place, lead.lead_id, ("x.txt", io.BytesIO(name)), opens)[0]

    first = act(lambda s: add(s, b"1", "accepted"))
    act(lambda s: add(s, b"2", "accepted"))
    act(lambda s: add(s, b"3", "own"))
    assert offers_of(world, lead.lead_id)[0].brief["files"] == 2
    act(lambda s: files.remove_file(s, lead.lead_id, first.id))
    assert offers_of(world, lead.lead_id)[0].brief["files"] == 1
    with pytest.raises(Invalid, match="No partner holds"):
        act(lambda s: add(s, b"4", "shared"))
    with world.acting(KATRIN) as session:
        actions.accept(session, offers_of(world, lead.lead_id)[0].id)
    with pytest.raises(Conflict), world.acting(EVA) as session:
        add(session, b"5", "own")
    assert storage(world.database.settings) is storage(world.database.settings), "one per process"
