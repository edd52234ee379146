"""The second factor: codes as RFC 6238 gives them, what is stored, what opens, what is spent, who must have one."""

import base64
import re
from typing import Any
from unittest import mock

import pytest
from sqlalchemy import text
from webtest import TestApp

from portal.companies import actions
from portal.errors import Conflict
from portal.events import work
from portal.security import factor, mails, signin, steps, tasks, throttle
from portal.security.context import digest
from tests.portal.security.codes import code_for
from tests.portal.security.test_signin import KATRIN, PASSWORD, try_to_sign_in
from tests.portal.site import site
from tests.portal.visitors import visitor
from tests.world import DANUBIA, TRAUN, World

LUKAS = "lukas@danubia.example"
# RFC 6238, appendix B: SHA-1, the last six of the eight digits.
RFC_SECRET = b"12345678901234567890"
RFC_CODES = (
    (59, "287082"),
    (1111111109, "081804"),
    (1111111111, "050471"),
    (1234567890, "005924"),
    (2000000000, "279037"),
    (20000000000, "353130"),
)


@pytest.fixture
def people(world: World) -> World:
    """The small world; some have a password."""
    with world.system() as session:
        for email in (KATRIN, LUKAS, "operator@halden.example"):
            signin.set_password_directly(session, world.people[email], PASSWORD)
    return world


def enrol(world: World, email: str = KATRIN) -> tuple[bytes, list[str]]:
    """Give somebody a second factor by the own action; its secret and recovery codes. The step before this is spent."""
    settings = world.database.settings
    with world.acting(email) as session:
        secret = factor.offered(settings, session, world.sessions[email])
        codes = factor.confirm(session, settings, secret, code_for(secret, -1))
    assert codes is not None
    return secret, codes


def enter_code(answer: Any, code: str) -> Any:
    """Fill in the second page of signing in."""
    form = answer.follow().forms[0] if answer.status_int in (302, 303) else answer.forms[0]
    form["code"] = code
    return form.submit(status="*")


def events(world: World, type_: str) -> list[Any]:
    with world.system() as session:
        query = text("select * from events where type = :type order by id")
        return list(session.execute(query, {"type": type_}))


# -- codes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("moment", "code"), RFC_CODES)
def test_codes_are_those_of_the_standard(moment: int, code: str) -> None:
    assert factor.step_of(RFC_SECRET, code, moment) == moment // 30


def test_the_window_is_one_step_to_either_side() -> None:
    now = 1_900_000_000.0
    found = [factor.step_of(RFC_SECRET, code_for(RFC_SECRET, n, now), now) for n in (-2, -1, 0, 1, 2)]
    here = int(now // 30)
    assert found == [None, here - 1, here, here + 1, None]


def test_the_secret_is_encrypted_for_its_person_and_codes_are_hashed(people: World) -> None:
    secret, codes = enrol(people)
    settings = people.database.settings
    with people.system() as session:
        row = session.execute(text("select * from second_factors")).one()
        hashes = [bytes(h) for h in session.scalars(text("select hash from recovery_codes"))]
    assert len(codes) == len(set(codes)) == len(hashes) == 10
    assert secret not in bytes(row.secret) and base64.b32encode(secret) not in bytes(row.secret)
    assert factor._open(settings, row.person_id, row.secret) == secret
    assert factor._open(settings, row.person_id + 1, row.secret) is None, "bound to its person"
    other = settings.model_copy(update={"interline_secret": mock.Mock(get_secret_value=lambda: "x" * 40)})
    del other.__dict__["secret"]
    assert factor._open(other, row.person_id, row.secret) is None, "under INTERLINE_SECRET"
    assert digest(codes[0]) not in hashes and digest(factor.bare(codes[0])) not in hashes, "keyed"


# -- signing in ----------------------------------------------------------------------------------------------------


def test_the_password_alone_opens_nothing(people: World) -> None:
    secret, _codes = enrol(people)
    app = site(people.database)
    answer = try_to_sign_in(app, KATRIN, PASSWORD, "?next=/leads%3Fq%3D1")
    assert answer.location == "http://localhost/sign-in/code?next=%2Fleads%3Fq%3D1"
    half = app.cookies["interline"]
    for path in ("/", "/me", "/leads", "/companies/choose", "/sign-in/enrol", "/me/factor/off"):
        assert "/sign-in" in app.get(path, status=302).location, path
    done = enter_code(answer, code_for(secret))
    assert done.location == "http://localhost/leads?q=1", "the deep link is kept"
    assert app.cookies["interline"] != half, "a new key"
    assert app.get("/me").status_int == 200
    app.set_cookie("interline", half)
    assert app.get("/me").status_int == 302


def test_a_code_counts_once(people: World) -> None:
    secret, _codes = enrol(people)
    code = code_for(secret)
    assert enter_code(try_to_sign_in(site(people.database), KATRIN, PASSWORD), code).status_int == 302
    again = enter_code(try_to_sign_in(site(people.database), KATRIN, PASSWORD), code)
    assert again.status_int == 422 and "used already" in again.text
    earlier = enter_code(try_to_sign_in(site(people.database), KATRIN, PASSWORD), code_for(secret, -1))
    assert earlier.status_int == 422, "nor one before it"
    later = enter_code(try_to_sign_in(site(people.database), KATRIN, PASSWORD), code_for(secret, 1))
    assert later.status_int == 302


def test_a_recovery_code_counts_once_however_it_is_typed(people: World) -> None:
    _secret, codes = enrol(people)
    typed = f" {codes[3].lower().replace('-', ' ')} "
    assert enter_code(try_to_sign_in(site(people.database), KATRIN, PASSWORD), typed).status_int == 302
    assert enter_code(try_to_sign_in(site(people.database), KATRIN, PASSWORD), codes[3]).status_int == 422
    with people.system() as session:
        assert session.scalar(text("select count(*) from recovery_codes")) == 9


def test_tries_of_codes_are_counted_over_all_servers(people: World) -> None:
    secret, _codes = enrol(people)
    for n in range(throttle.CODE_ACCOUNT.attempts):
        with mock.patch.object(throttle, "SIGN_IN_ACCOUNT", throttle.Limit("many", 100, 60)):
            answer = enter_code(try_to_sign_in(site(people.database), KATRIN, PASSWORD), f"{n:06}")
        assert answer.status_int == 422
    with mock.patch.object(throttle, "SIGN_IN_ACCOUNT", throttle.Limit("more", 100, 60)):
        answer = enter_code(try_to_sign_in(site(people.database), KATRIN, PASSWORD), code_for(secret))
    assert answer.status_int == 429
    assert 0 < int(answer.headers["Retry-After"]) <= throttle.CODE_ACCOUNT.seconds


def test_a_half_sign_in_ends_by_itself_and_by_hand(people: World) -> None:
    secret, _codes = enrol(people)
    app = site(people.database)
    answer = try_to_sign_in(app, KATRIN, PASSWORD)
    with people.system() as session:
        row = session.execute(text("select * from credentials where purpose = 'half'")).one()
        assert (row.expires_at - row.created_at).total_seconds() == steps.HALF_S
        session.execute(text("update credentials set expires_at = now() where purpose = 'half'"))
    assert "/sign-in?" in enter_code_late(app, answer, code_for(secret)).location
    page = try_to_sign_in(app, KATRIN, PASSWORD).follow()
    page.forms[1].submit(status=302)
    with people.system() as session:
        assert session.scalar(text("select count(*) from credentials where purpose = 'half'")) == 0


def enter_code_late(app: TestApp, answer: Any, code: str) -> Any:
    """The form was open while the sign-in ended."""
    token = app.get("/sign-in").forms[0]["csrf_token"].value
    return app.post("/sign-in/code", {"code": code, "next": "/", "csrf_token": token}, status="*")


def test_a_mailed_link_does_not_replace_the_code(people: World) -> None:
    enrol(people)
    token = "a-link-of-the-test"
    with people.system() as session:
        session.execute(
            text("""
                insert into credentials (hash, purpose, realm_id, kind, company_id, person_id, scopes, created_at,
                    seen_at, expires_at)
                values (:h, 'reset', 1, 'person', :c, :p, '{}', now(), now(), now() + interval '1 hour')
            """),
            {"h": digest(token), "c": people.company(DANUBIA), "p": people.people[KATRIN]},
        )
    app = site(people.database)
    form = app.get(f"/welcome/{token}").forms[0]
    form["password"] = "another four quiet words"
    assert form.submit(status=302).location.startswith("http://localhost/sign-in/code")
    assert app.get("/me").status_int == 302


# -- the own pages -------------------------------------------------------------------------------------------------


def secret_of(page: Any) -> bytes:
    """The key that a page shows for typing."""
    typed = page.html.select_one("code.key").text.replace(" ", "")
    return base64.b32decode(typed + "=" * (-len(typed) % 8))


def token_of(page: Any) -> str:
    """The CSRF token of an own page."""
    return str(page.html.select_one("input[name=csrf_token]")["value"])


def submit(page: Any, **fields: str) -> Any:
    """Fill in the form of an own page."""
    form = next(f for f in page.forms.values() if "password" in f.fields)
    for name, value in fields.items():
        form[name] = value
    return form.submit(status="*")


def test_setting_up_asks_for_the_password_and_a_first_code(people: World) -> None:
    app = visitor(people, KATRIN)
    page = app.get("/me/factor/new")
    secret = secret_of(page)
    assert secret_of(app.get("/me/factor/new")) == secret, "the same at every look"
    assert (
        "<svg" in page.text and "qrline" in page.text and "style=" not in page.html.select_one(".qr").decode()
    )
    assert submit(page, new_code=code_for(secret), password="wrong").status_int == 422
    assert submit(page, new_code=code_for(secret, 9), password=PASSWORD).status_int == 422
    with people.system() as session:
        assert session.scalar(text("select count(*) from second_factors")) == 0
    codes = submit(page, new_code=code_for(secret), password=PASSWORD)
    assert len(codes.html.select(".codes code")) == 10
    assert codes.html.select_one(".codes code").text not in app.get("/me").text, "shown once"
    assert "10 recovery codes are left" in app.get("/me").text
    (event,) = events(people, "factor.added")
    assert event.audience == [people.company(DANUBIA)] and event.person_id == people.people[KATRIN]
    assert secret_of(app.get("/me/factor/new")) != secret, "another one next time"


def test_moving_renewing_and_turning_off_ask_for_password_and_code(people: World) -> None:
    secret, codes = enrol(people)
    app = visitor(people, KATRIN)
    for path in ("/me/factor/codes", "/me/factor/off"):
        for wrong in ({"password": "wrong", "code": codes[0]}, {"password": PASSWORD, "code": "000000"}):
            answer = submit(app.get(path), **wrong)
            assert answer.status_int == 422 and "Password or code" in answer.text
    new = submit(app.get("/me/factor/codes"), password=PASSWORD, code=codes[0])
    renewed = [c.text for c in new.html.select(".codes code")]
    assert len(renewed) == 10 and not set(renewed) & set(codes)
    page = app.get("/me/factor/new")
    moved = secret_of(page)
    answer = submit(page, password=PASSWORD, code=code_for(secret), new_code=code_for(moved))
    assert len(answer.html.select(".codes code")) == 10
    off = submit(app.get("/me/factor/off"), password=PASSWORD, code=code_for(moved, 1))
    assert off.location == "http://localhost/me"
    assert try_to_sign_in(site(people.database), KATRIN, PASSWORD).location == "http://localhost/"
    assert [len(events(people, f"factor.{what}")) for what in ("codes_renewed", "added", "removed")] == [
        1,
        2,
        1,
    ]


def test_proofs_are_counted(people: World) -> None:
    app = visitor(people, KATRIN)
    for _ in range(throttle.PROOF_ACCOUNT.attempts):
        assert (
            submit(app.get("/me/password"), password="wrong", new="four quiet river stones").status_int == 422
        )
    answer = submit(app.get("/me/password"), password=PASSWORD, new="four quiet river stones")
    assert answer.status_int == 429


# -- what a company asks for ---------------------------------------------------------------------------------------


def require(world: World, email: str = LUKAS, company: int | None = None) -> None:
    with world.acting(email) as session:
        actions.require_factor(session, company or world.company(DANUBIA), True)


def test_who_has_none_sets_it_up_before_anything_else_opens(people: World) -> None:
    require(people)
    app = site(people.database)
    answer = try_to_sign_in(app, KATRIN, PASSWORD, "?next=/offers")
    assert answer.location == "http://localhost/sign-in/enrol?next=%2Foffers"
    for path in ("/", "/offers", "/me", "/me/factor/new", "/companies/choose?x=1"):
        got = app.get(path, status="*")
        assert (got.status_int == 302 and "/sign-in" in got.location) or path.startswith("/companies"), path
    page = answer.follow()
    form = page.forms[0]
    form["new_code"] = "000000"
    assert form.submit(status=422)
    form["new_code"] = code_for(secret_of(page))
    codes = form.submit(status=200)
    assert len(codes.html.select(".codes code")) == 10
    assert codes.html.select_one("a.btn-primary")["href"] == "/offers"
    assert app.get("/offers").status_int == 200
    assert events(people, "signin.succeeded")[-1].person_id == people.people[KATRIN]


def test_when_it_is_newly_required_sessions_without_one_end(people: World) -> None:
    enrol(people)
    katrin, lukas, other = (
        visitor(people, KATRIN),
        visitor(people, LUKAS),
        visitor(people, "admin@traun.example"),
    )
    with people.system() as session:
        person = signin.invite(
            session, "n@danubia.example", "N", people.company(DANUBIA), ["sales"], mail=False
        )
        without = signin.open_session_directly(session, person, people.company(DANUBIA))
    newcomer = site(people.database)
    newcomer.set_cookie("interline", without)
    assert newcomer.get("/me").status_int == 200
    page = lukas.get("/company/people")
    assert "Sessions of people without one end at once" in page.text
    form = next(f for f in page.forms.values() if f.action == "/company/factor")
    answer = form.submit("required", value="1", status=302)
    assert newcomer.get("/sign-in").status_int == 200 and newcomer.get("/me").status_int == 302
    assert katrin.get("/me").status_int == 200 and other.get("/me").status_int == 200
    led = answer.follow()
    assert led.status_int == 302 and "/sign-in" in led.location
    led = led.follow()
    assert led.status_int == 302 and "/sign-in/enrol" in led.location
    assert "Set up your second factor" in led.follow().text


def test_a_company_that_asks_is_entered_only_with_one(people: World) -> None:
    with people.system() as session:
        signin.invite(session, KATRIN, "Katrin Moser", people.company(TRAUN), ["sales"], mail=False)
    require(people, "admin@traun.example", people.company(TRAUN))
    app = site(people.database)
    choose(try_to_sign_in(app, KATRIN, PASSWORD).follow(), DANUBIA)
    assert app.get("/me").status_int == 200
    led = choose(app.get("/companies/choose"), TRAUN)
    assert "/sign-in/enrol" in led.location
    assert app.get("/me").status_int == 302, "until then nothing opens"
    back = choose(app.get("/companies/choose"), DANUBIA)
    assert back.location == "http://localhost/" and app.get("/me").status_int == 200


def choose(page: Any, company: str) -> Any:
    """Click a company's button."""
    button = next(b for b in page.html.select("button[name=company]") if b.text.strip() == company)
    form = next(f for f in page.forms.values() if f.action == "/companies/choose")
    return form.submit("company", value=button["value"], status="*")


def test_it_cannot_be_turned_off_where_it_is_required(people: World) -> None:
    _secret, codes = enrol(people)
    require(people)
    app = visitor(people, KATRIN)
    page = app.get("/me")
    assert "/me/factor/off" not in page.text and "asks for a second factor" in page.text
    assert "asks for a second factor" in app.get("/me/factor/off", status=302).follow().text
    fields = {"password": PASSWORD, "code": codes[0], "csrf_token": token_of(page)}
    answer = app.post("/me/factor/off", fields, status="*")
    assert answer.status_int == 409 and "asks for a second factor" in answer.text
    with people.system() as session:
        assert session.scalar(text("select count(*) from recovery_codes")) == 10, (
            "the code is not spent either"
        )


def test_only_administrators_and_the_vendors_operator_require_it(people: World) -> None:
    enrol(people, LUKAS)
    page = visitor(people, LUKAS).get("/company/people")
    form = next(f for f in page.forms.values() if f.action == "/company/factor")
    form.submit("required", value="1", status=302)
    assert "No longer require it" in visitor(people, LUKAS).get("/company/people").text
    (event,) = events(people, "company.factor_required")
    assert sorted(event.audience) == sorted([people.vendor_id, people.company(DANUBIA)])
    assert "/company/factor" not in visitor(people, "ingrid@halden.example").get("/company/people").text
    assert "/company/factor" in visitor(people, "operator@halden.example").get("/company/people").text
    with people.system() as session:
        required = dict(session.execute(text("select name, factor_required from companies")).all())
    assert required == {DANUBIA: True, TRAUN: False, "Alpenhydro": False, "Halden Pumps": False}


# -- reset by an administrator -------------------------------------------------------------------------------------


def test_an_administrator_resets_a_members_second_factor(people: World) -> None:
    enrol(people)
    lukas = visitor(people, LUKAS)
    page = lukas.get("/company/people")
    assert "Reset the second factor of Katrin Moser" in page.text
    asked = lukas.get(f"/company/people/{people.people[KATRIN]}/factor")
    next(f for f in asked.forms.values() if f.action.endswith("/factor")).submit(status=302)
    assert visitor(people, KATRIN).get("/me").status_int == 302, "sessions end"
    assert try_to_sign_in(site(people.database), KATRIN, PASSWORD).location == "http://localhost/"
    (event,) = events(people, "factor.reset")
    assert event.subject_id == people.people[KATRIN] and event.person_id == people.people[LUKAS]
    with people.system() as session:
        payload = session.scalar(text("select payload from work_items where kind = 'person.told'"))
    assert payload["what"] == "factor_reset" and payload["person_id"] == str(people.people[KATRIN])


def test_where_it_is_required_a_reset_says_that_it_is_set_up_again(people: World) -> None:
    enrol(people)
    asked = f"/company/people/{people.people[KATRIN]}/factor"
    assert "password alone" in visitor(people, LUKAS).get(asked).text
    enrol(people, LUKAS)
    require(people)
    page = visitor(people, LUKAS).get(asked).text
    assert "password alone" not in page and "set it up again at the next sign-in" in page


def test_setting_up_ends_the_other_sessions(people: World) -> None:
    app, other = visitor(people, KATRIN), site(people.database)
    assert try_to_sign_in(other, KATRIN, PASSWORD).location == "http://localhost/"
    page = app.get("/me/factor/new")
    assert "Your other sessions end" in page.text
    answer = submit(page, new_code=code_for(secret_of(page)), password=PASSWORD)
    assert len(answer.html.select(".codes code")) == 10
    assert app.get("/me").status_int == 200 and other.get("/me").status_int == 302


def test_a_recovery_code_is_told_in_the_log_and_by_mail(people: World) -> None:
    _secret, codes = enrol(people)
    app = site(people.database)
    enter_code(try_to_sign_in(app, KATRIN, PASSWORD), codes[0])
    assert events(people, "signin.succeeded")[-1].data["how"] == "recovery"
    assert "with a recovery code" in app.get("/me").text
    with people.system() as session:
        item = session.execute(text("select id, payload from work_items where kind = 'person.told'")).one()
        assert item.payload["what"] == "recovery_used"
        who = session.execute(tasks.PERSON, {"person": people.people[KATRIN], "company": None}).one()
    mail = mails.compose(people.database.settings, who, "recovery_used", item.id, at=people.now)
    assert "Recovery codes left: 9." in mail.text


def test_the_log_says_so_too_when_the_company_is_chosen_after_the_code(people: World) -> None:
    with people.system() as session:
        signin.invite(session, KATRIN, "Katrin Moser", people.company(TRAUN), ["sales"], mail=False)
    _secret, codes = enrol(people)
    app = site(people.database)
    choose(enter_code(try_to_sign_in(app, KATRIN, PASSWORD), codes[0]).follow(), DANUBIA)
    assert events(people, "signin.succeeded")[-1].data["how"] == "recovery"


def test_nobody_resets_the_own_one_or_a_strangers(people: World) -> None:
    enrol(people, LUKAS)
    enrol(people, KATRIN)
    with pytest.raises(Conflict), people.acting(LUKAS) as session:
        actions.reset_factor(session, people.company(DANUBIA), people.people[LUKAS])
    for who, company in (("admin@traun.example", DANUBIA), ("admin@traun.example", TRAUN)):
        with pytest.raises(Conflict), people.acting(who) as session:
            actions.reset_factor(session, people.company(company), people.people[KATRIN])
    with people.system() as session:
        assert session.scalar(text("select count(*) from second_factors")) == 2
    with people.acting("ingrid@halden.example") as session:
        actions.reset_factor(session, people.company(DANUBIA), people.people[LUKAS])


def test_wrong_codes_of_a_factor_that_was_reset_do_not_count_for_the_next(people: World) -> None:
    enrol(people, LUKAS)
    tried = throttle.CODE_ACCOUNT, str(people.people[LUKAS])
    with people.system() as session:
        assert [throttle.count(session, tried) > 0 for _ in range(12)] == [False] * 10 + [True] * 2
    with people.acting("ingrid@halden.example") as session:
        actions.reset_factor(session, people.company(DANUBIA), people.people[LUKAS])
    with people.system() as session:
        assert throttle.count(session, tried) == 0


def test_rows_of_others_are_out_of_reach(people: World) -> None:
    enrol(people, KATRIN)
    for email in (LUKAS, "ingrid@halden.example", "admin@traun.example"):
        with people.acting(email) as session:
            for table in ("second_factors", "recovery_codes"):
                assert session.scalar(text(f"select count(*) from {table}")) == 0
                assert session.execute(text(f"delete from {table}")).rowcount == 0
    with people.acting(KATRIN) as session:
        assert session.scalar(text("select count(*) from recovery_codes")) == 10


def test_while_the_code_is_missing_the_own_rows_cannot_be_changed(people: World) -> None:
    """Whoever has only the password must not take the second factor away, not even by injected SQL."""
    enrol(people)
    app = site(people.database)
    try_to_sign_in(app, KATRIN, PASSWORD)
    with people.acting("sales@traun.example") as session:
        steps.step_down(session)
        assert steps.enter_half(session, app.cookies["interline"]) == "code"
        assert session.context.kind == "code"
        for statement in (
            "delete from second_factors",
            "delete from recovery_codes",
            "update second_factors set last_step = 0",
        ):
            assert session.execute(text(statement)).rowcount == 0
        assert session.execute(text("select * from app.own_companies()")).all() == []
        assert session.execute(text("select count(*) from leads")).scalar() == 0


# -- failures ------------------------------------------------------------------------------------------------------


def test_failures_are_told_to_the_companies_at_most_ten_an_hour(people: World) -> None:
    app = site(people.database)
    with mock.patch.object(throttle, "SIGN_IN_ACCOUNT", throttle.Limit("many", 100, 60)):
        for _ in range(12):
            try_to_sign_in(app, KATRIN, "wrong password")
        try_to_sign_in(app, "nobody@danubia.example", "wrong password")
    with people.system() as session:
        kinds = session.scalars(text("select kind from work_items")).all()
    assert kinds.count("signin.failed") == 13, "the same work for a name that nobody has"
    work.run_due(people.database.worker, now=people.now.replace(year=2027))
    told = events(people, "signin.failed")
    assert len(told) == 10
    assert {e.subject_id for e in told} == {people.people[KATRIN]}
    assert all(e.audience == [people.company(DANUBIA)] and e.data == {"what": "password"} for e in told)
    assert not re.search(r"@|example", str([(e.data, e.type) for e in told]))
