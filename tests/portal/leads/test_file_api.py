"""Files by the API: sent, listed and read by a company's system, with the levels of the page."""

from typing import Any

import pytest
from webtest import TestApp

from integrations.storage import Storage
from portal.leads import actions
from tests.portal.leads.test_flow import intake, offers_of
from tests.portal.leads.test_views import KATRIN
from tests.portal.site import system
from tests.world import DANUBIA, TRAUN, World

PDF = b"%PDF-1.7\ncanary-inside"
SCOPES = ("leads:read", "files:write")


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch) -> Storage:
    """An empty storage of this test."""
    made = Storage("memory:")
    monkeypatch.setattr("portal.leads.file_views.storage", lambda _settings: made)
    monkeypatch.setattr("portal.sharing.sending.storage", lambda _settings: made)
    return made


@pytest.fixture
def lead(world: World) -> Any:
    """A lead offered to Danubia Technik."""
    return intake(world)


@pytest.fixture
def crm(world: World) -> TestApp:
    """The vendor's system."""
    return system(world, world.vendor_id, *SCOPES)


def files(lead: Any, rest: str = "") -> str:
    return f"/api/v1/leads/{lead.number}/files{rest}"


def send(app: TestApp, lead: Any, *given: tuple[str, bytes], audience: str = "own", **more: Any) -> Any:
    uploads = [("file", name, content) for name, content in given]
    return app.post(files(lead), {"audience": audience}, upload_files=uploads, **more)


def test_a_partners_system_sees_the_number_then_the_files_then_nothing(
    world: World, lead: Any, crm: TestApp
) -> None:
    answer = send(crm, lead, ("Plan ü.pdf", PDF), ("b.exe", b"MZ"), audience="accepted", status=201)
    (made,), (refused,) = answer.json["new"], answer.json["refused"]
    assert (made["name"], made["type"], made["size"], made["audience"]) == (
        "Plan ü.pdf", "application/pdf", len(PDF), "accepted",
    )  # fmt: skip
    assert refused == {"name": "b.exe", "code": "program", "message": "Programs and scripts are not taken."}
    path = made["url"].removeprefix("http://localhost:6543")
    assert crm.get(path).body == PDF

    erp = system(world, world.company(DANUBIA), *SCOPES)
    assert erp.get(files(lead)).json == {"files": [], "waiting": 1}
    erp.get(path, status=404)
    with world.acting(KATRIN) as session:
        actions.accept(session, offers_of(world, lead.lead_id)[0].id)
    listed = erp.get(files(lead)).json
    assert [f["id"] for f in listed["files"]] == [made["id"]] and listed["waiting"] == 0
    got = erp.get(path)
    assert got.body == PDF and got.headers["Content-Disposition"].startswith("attachment")
    assert erp.get(path, headers={"If-None-Match": got.headers["ETag"]}, status=304)
    with world.acting(KATRIN) as session:
        actions.hand_back(session, lead.lead_id, "dates")
    erp.get(path, status=404)
    stranger = system(world, world.company(TRAUN), *SCOPES)
    assert (
        stranger.get(files(lead), status=404).json == stranger.get("/api/v1/leads/L-9/files", status=404).json
    )
    stranger.get(path, status=404)
    assert send(stranger, lead, ("a.txt", b"a"), status=404)


def test_a_partners_system_adds_files_for_its_company_or_the_vendor(
    world: World, lead: Any, crm: TestApp
) -> None:
    erp = system(world, world.company(DANUBIA), *SCOPES)
    send(erp, lead, ("canary-own.txt", b"own"), status=201)
    send(erp, lead, ("question.txt", b"which pump"), audience="shared", status=201)
    assert [f["name"] for f in crm.get(files(lead)).json["files"]] == ["question.txt"]
    refused = send(erp, lead, ("x.txt", b"x"), audience="accepted", status=422)
    assert refused.json["errors"][0]["field"] == "audience"


def test_what_is_refused_and_how(world: World, lead: Any, crm: TestApp) -> None:
    answer = send(crm, lead, ("x.pdf", b"<html>"), ("y.pdf", b""), status=422)
    assert [e["code"] for e in answer.json["errors"]] == ["markup", "empty"]
    assert crm.post(files(lead), {"audience": "own"}, content_type="multipart/form-data", status="4*")
    assert crm.post_json(files(lead), {}, status=415)
    assert send(crm, lead, ("x.pdf", PDF), audience="everybody", status=422)
    only_reads = system(world, world.vendor_id, "leads:read")
    assert send(only_reads, lead, ("x.pdf", PDF), status=403).json["detail"].endswith("files:write.")
    for wrong in ("/0", "/99999999999999999999", "/x", "/-1", "/%00"):
        crm.get(files(lead, wrong), status=404)
    large = crm.post(
        files(lead),
        upload_files=[("file", "x.txt", b"x" * 34_000_000)],
        params={"audience": "own"},
        status=413,
    )
    assert large.content_type == "application/problem+json"
    assert large.json["detail"].startswith("Send at most 32 MB in one request. Split")


def test_the_same_key_is_the_same_files_whatever_stands_between_the_parts(lead: Any, crm: TestApp) -> None:
    def post(content: bytes, boundary: str, status: int) -> Any:
        body = b"".join(
            (
                f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'.encode(),
                content,
                f"\r\n--{boundary}--\r\n".encode(),
            )
        )
        kind = f"multipart/form-data; boundary={boundary}"
        headers = {"Idempotency-Key": "k1", "Content-Type": kind}
        return crm.post(files(lead), body, headers=headers, status=status)

    first = post(b"same", "one", 201)
    again = post(b"same", "two", 201)
    assert again.json == first.json and again.headers["Idempotent-Replayed"] == "true"
    post(b"other", "one", 422)
    assert len(crm.get(files(lead)).json["files"]) == 1


def test_the_document_describes_the_form(crm: TestApp) -> None:
    post = crm.get("/openapi.json").json["paths"]["/api/v1/leads/{number}/files"]["post"]
    form = post["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["required"] == ["file"] and form["examples"] and "audience" in form["properties"]
    assert post["security"] == [{"oauth": ["files:write"]}]
