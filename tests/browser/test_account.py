"""The own account and signing in with a second factor, with and without scripts."""

import base64
import time
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert

from portal.security.context import digest
from portal.security.models import CredentialRow
from tests.browser.stage import OPERATOR, PASSWORD, Stage
from tests.portal.security.codes import code_for
from tests.world import DANUBIA, TRAUN

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("width", [1280, 390])]


@pytest.fixture
def person(stage: Stage, width: int) -> Any:
    """Somebody of Danubia with a password and no other tie; gone afterwards."""
    from portal.security import signin

    email = f"nora{width}.{time.monotonic_ns()}@danubia.example"
    with stage.world.system() as session:
        number = signin.invite(
            session, email, "Nora Neu", stage.world.company(DANUBIA), ["sales"], mail=False
        )
        signin.set_password_directly(session, number, PASSWORD)
    yield email, number
    with stage.world.system() as session:
        session.execute(text("delete from memberships where person_id = :p"), {"p": number})


def sign_in(walker: Any, email: str, path: str = "/sign-in") -> None:
    """Fill in the first page."""
    page = walker.go(path)
    page.get_by_label("Work e-mail").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    walker.press("Sign in")


def shown_secret(page: Any) -> bytes:
    """The key as the page shows it for typing."""
    typed = page.locator("code.key").inner_text().replace(" ", "")
    return base64.b32decode(typed + "=" * (-len(typed) % 8))


def test_a_second_factor_is_set_up_and_asked_for(walk, stage: Stage, width: int, person: Any) -> None:
    email, _number = person
    w = walk(width)
    sign_in(w, email)
    page = w.go("/me", "me")
    w.go("/me/password", "me-password")
    w.go("/me/address", "me-address")
    w.go("/me/factor/new", "me-factor-new")
    secret = shown_secret(page)
    page.get_by_label("Code of the app").fill("000000")
    page.get_by_label("Your password").fill(PASSWORD)
    w.expected = 1
    w.press("Turn on")
    w.look("me-factor-wrong")
    page.get_by_label("Code of the app").fill(code_for(secret, -1))
    page.get_by_label("Your password").fill(PASSWORD)
    w.press("Turn on")
    w.look("me-factor-recovery")
    kept = page.locator(".codes code").all_inner_texts()
    assert len(kept) == 10
    page.get_by_role("link", name="I have kept them").click()
    w.look("me-with-factor")
    w.go("/me/factor/codes", "me-factor-codes")
    w.go("/me/factor/off", "me-factor-off")
    other = walk(width)
    sign_in(other, email, "/sign-in?next=/leads")
    other.look("sign-in-code")
    other.page.get_by_label("Code").fill("123456")
    other.expected = 1
    other.press("Go on")
    other.look("sign-in-code-wrong")
    other.page.get_by_label("Code").fill(kept[0].lower())
    other.press("Go on")
    assert other.page.url.endswith("/leads")
    w.go("/me")
    w.press("End all others")
    assert "ended" in w.flash()
    other.go("/sign-in")


@pytest.fixture
def sessions(stage: Stage) -> Any:
    """Everybody's sessions are as before afterwards: a company that requires a second factor ends those without one."""
    table = CredentialRow.__table__
    with stage.world.system() as session:
        kept = [dict(row) for row in session.execute(select(table)).mappings()]
    yield
    with stage.world.system() as session:
        session.execute(insert(table).on_conflict_do_nothing(), kept)


def test_a_company_requires_a_second_factor(
    walk, stage: Stage, width: int, person: Any, sessions: Any
) -> None:
    from portal.security import signin

    email, _number = person
    chief = f"chief{width}.{time.monotonic_ns()}@danubia.example"
    with stage.world.system() as session:
        number = signin.invite(
            session, chief, "Carla Chef", stage.world.company(DANUBIA), ["administrator"], mail=False
        )
        signin.set_password_directly(session, number, PASSWORD)
    w = walk(width)
    sign_in(w, chief)
    w.go("/company/people", "company-people")
    w.press("Require a second factor")
    w.look("company-requires-enrol")
    w.page.get_by_label("Code of the app").fill(code_for(shown_secret(w.page)))
    w.press("Turn on")
    w.page.get_by_role("link", name="I have kept them").click()
    w.go("/company/people", "company-people-required")
    try:
        new = walk(width, script=False)
        sign_in(new, email, "/sign-in?next=/leads")
        new.look("sign-in-enrol")
        new.page.get_by_label("Code of the app").fill(code_for(shown_secret(new.page)))
        new.press("Turn on")
        new.look("sign-in-enrol-codes")
        new.page.get_by_role("link", name="I have kept them").click()
        assert new.page.url.endswith("/leads")
    finally:
        w.go("/company/people")
        w.press("No longer require it")
    w.go("/company/log", "company-log")
    w.go(f"/company/people/{_number}/factor", "company-person-factor")
    w.go(f"/company/people/{_number}/roles", "company-person-roles")
    vendor = walk(width, OPERATOR)
    vendor.go(f"/partners/{stage.world.company(DANUBIA)}/people", "partner-people")
    vendor.go("/company/people", "vendor-people")
    with stage.world.system() as session:
        session.execute(text("delete from memberships where person_id = :p"), {"p": number})


def test_somebody_of_two_companies_chooses(walk, stage: Stage, width: int, person: Any) -> None:
    from portal.security import signin

    email, _number = person
    with stage.world.system() as session:
        signin.invite(session, email, "Nora Neu", stage.world.company(TRAUN), ["sales"], mail=False)
    w = walk(width)
    sign_in(w, email, "/sign-in?next=/leads")
    w.look("choose-company")
    w.press(TRAUN)
    assert w.page.url.endswith("/leads")
    w.go("/")
    w.page.locator("summary.who").click()
    w.page.get_by_role("link", name="Another company").click()
    w.press(DANUBIA)
    assert w.page.url.rstrip("/") == stage.url


def test_links_of_mails(walk, stage: Stage, width: int, person: Any) -> None:
    email, number = person
    w = walk(width)
    with stage.world.system() as session:
        session.execute(
            text("update people set pending_email = 'new@danubia.example' where id = :p"), {"p": number}
        )
        for purpose, bound_to in (("address", "new@danubia.example"), ("keep", email), ("join", email)):
            session.execute(
                text("""
                    insert into credentials (hash, purpose, realm_id, kind, company_id, person_id, bound_to, scopes,
                        created_at, seen_at, expires_at)
                    values (:h, :purpose, 1, 'person', :c, :p, :bound, '{}', now(), now(), now() + interval '1 hour')
                """),
                {
                    "h": digest(f"{purpose}{number}"),
                    "purpose": purpose,
                    "c": stage.world.company(DANUBIA),
                    "p": number,
                    "bound": bound_to,
                },
            )
    w.go(f"/address/address{number}", "address-new")
    w.go(f"/address/keep{number}", "address-keep")
    w.go(f"/welcome/join{number}", "welcome-join")
    w.go(f"/address/keep{number}")
    w.press("Keep this address")
    w.look("address-kept")
