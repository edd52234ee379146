"""What belongs to others does not exist: every route, asked by everybody it is not for, answers a foreign id and an
id that never was with the same status and, to the byte, the same page."""

import re
from typing import Any

import pytest
from sqlalchemy import text
from webtest import TestApp

from portal.leads import actions
from portal.leads.intake import receive
from portal.security.permissions import PERMISSIONS
from tests.portal.site import filled, signed_in, site, system, views_of
from tests.portal.test_rls import LINZ, _request
from tests.world import DANUBIA, World

OTHERS = (
    "sales@traun.example",
    "admin@traun.example",
    "sales@alpenhydro.example",
    "admin@alpenhydro.example",
)
# Parts of addresses whose foreign values we know, and the length of what replaces them in the comparison.
CHANGING = re.compile(
    r'(nonce="[^"]*"|name="csrf_token" value="[^"]*"|"?csrf_token"?: ?"[^"]*"|\d{1,2}:\d{2}(:\d{2})?)'
)


@pytest.fixture
def foreign(world: World) -> dict[str, str]:
    """Real ids of Danubia and of a lead that it holds, by the name of their part in addresses."""
    with world.acting("ingrid@halden.example") as session:
        got = receive(session, _request("held", LINZ))
    with world.acting("katrin@danubia.example") as session:
        offer = session.execute(text("select id from offers")).scalar_one()
        actions.accept(session, offer)
    with world.system() as session:
        certificate = session.execute(
            text("select id from certifications where company_id = :c"), {"c": world.company(DANUBIA)}
        ).scalar_one()
        territory = session.execute(
            text("select id from territories where company_id = :c"), {"c": world.company(DANUBIA)}
        ).scalar_one()
    return {
        "number": got.number,
        "id": str(offer),
        "location": str(world.location(DANUBIA)),
        "person": str(world.people["katrin@danubia.example"]),
        "certification": str(certificate),
        "territory": str(territory),
    }


def told(answer: Any, known: dict[str, str], nothing: str) -> tuple[int, str]:
    """Status and page, without what changes from request to request and without the id that was asked for."""
    page = answer.text if answer.content_type.startswith(("text/", "application/")) else ""
    page = CHANGING.sub("", page)
    for value in (*known.values(), "L-99999999", "99999999"):
        page = page.replace(value, "ID")
    where = answer.headers.get("Location", "")
    return answer.status_int, f"{where}\n{page}".replace(nothing, "ID")


def form_token(app: TestApp) -> str:
    """A valid token for forms, so that nothing is refused for the lack of one."""
    return str(app.get("/companies/choose").forms[0]["csrf_token"].value)


def ids_of(path: str, world: World, foreign: dict[str, str]) -> dict[str, str]:
    """`id` means a company on the vendor's partner pages and an offer elsewhere."""
    return foreign | {"id": str(world.company(DANUBIA))} if path.startswith("/partners/") else foreign


@pytest.mark.parametrize("email", OTHERS)
def test_foreign_is_the_same_as_never_was(world: World, foreign: dict[str, str], email: str) -> None:
    app = signed_in(world, email)
    token, before = form_token(app), state(world)
    compared = 0
    for path, views in views_of(app).items():
        if "{" not in path or path.startswith(("/api/", "/dev/", "/help/", "/o/", "/welcome/")):
            continue
        known = ids_of(path, world, foreign)
        for method in views:
            theirs, never = (ask(app, method, filled(path, **ids), token) for ids in (known, {}))
            assert theirs.status_int == 404, (method, path)
            assert told(theirs, known, "ID") == told(never, known, "ID"), (method, path)
            compared += 1
    assert compared > 30, "not vacuous"
    assert state(world) == before, "and nothing was changed"


def state(world: World) -> list[Any]:
    """All that the routes could change, as committed."""
    tables = ("leads", "offers", "shares", "memberships", "certifications", "territories", "location_facts")
    with world.system() as session:
        return [session.execute(text(f"select t::text from {table} t order by 1")).all() for table in tables]


def ask(app: TestApp, method: str, path: str, token: str) -> Any:
    """One request with all that a form would send."""
    if method == "POST":
        return app.post(path, {"csrf_token": token, "reason": "other", "text": "x"}, status="*")
    return app.get(path, status="*")


def test_the_holder_does_see_it(world: World, foreign: dict[str, str]) -> None:
    page = signed_in(world, "katrin@danubia.example").get(f"/leads/{foreign['number']}", status=200)
    assert "Customer held" in page.text


def test_systems_and_strangers_learn_nothing_either(world: World, foreign: dict[str, str]) -> None:
    for name in ("Traun Pumpenservice", "Alpenhydro"):
        app = system(world, world.company(name), "leads:read")
        theirs = app.get(f"/api/v1/leads/{foreign['number']}", status=404)
        assert theirs.body == app.get("/api/v1/leads/L-99999999", status=404).body
    stranger = site(world.database)
    for path, views in views_of(stranger).items():
        if (
            "{" in path
            and "GET" in views
            and "public" not in PERMISSIONS.get(views["GET"], ())
            and views["GET"] != "public"
        ):
            known = ids_of(path, world, foreign)
            assert stranger.get(filled(path, **known), status="*").status_int in (302, 401, 404), path
