"""Signing in and out through the whole application: what is said, what is set, what is counted, what ends."""

from typing import Any
from unittest import mock

import pytest
from sqlalchemy import text
from webtest import TestApp

from portal.errors import Invalid
from portal.security import passwords, signin, steps, throttle
from portal.security.context import digest
from portal.security.views import local_path
from tests.portal.site import site
from tests.world import DANUBIA, TRAUN, World

PASSWORD = "correct horse battery"
KATRIN = "katrin@danubia.example"


@pytest.fixture
def people(world: World) -> World:
    """The small world; Katrin and the operator have a password."""
    with world.system() as session:
        for email in (KATRIN, "operator@halden.example"):
            signin.set_password_directly(session, world.people[email], PASSWORD)
    return world


def try_to_sign_in(app: TestApp, email: str, password: str, query: str = "") -> Any:
    """Fill in the form as a person does."""
    form = app.get(f"/sign-in{query}").forms[0]
    form["email"], form["password"] = email, password
    return form.submit(status="*")


def cookie_of(answer: Any) -> str:
    """The Set-Cookie line of the session."""
    return next(line for line in answer.headers.getall("Set-Cookie") if line.startswith("interline="))


def test_the_right_password_opens_a_session(people: World) -> None:
    app = site(people.database)
    answer = try_to_sign_in(app, " Katrin@Danubia.example ", PASSWORD, "?next=/me%3Ftab%3D2")
    assert answer.status_int == 302 and answer.location == "http://localhost/me?tab=2"
    line = cookie_of(answer)
    assert "HttpOnly" in line and "SameSite=Lax" in line and "Path=/" in line
    assert "secure" not in line.lower(), "served over http on this machine"
    with people.system() as session:
        row = session.execute(
            text("select * from credentials where hash = :h"), {"h": digest(app.cookies["interline"])}
        ).one()
    assert row.person_id == people.people[KATRIN] and row.company_id == people.company(DANUBIA)
    assert (row.expires_at - row.created_at).total_seconds() == steps.SESSION_MAX_S
    assert row.idle_seconds == steps.SESSION_IDLE_S


def test_over_https_the_cookie_is_of_this_host_alone(people: World) -> None:
    """`__Host-`: a browser takes and clears it only with Secure, Path=/ and no Domain, and from no other host."""
    public = people.database.settings.model_copy(update={"public_url": "https://partners.example.com"})
    people.database.settings = public
    app = site(people.database)
    app.extra_environ |= {"wsgi.url_scheme": "https", "HTTP_HOST": "partners.example.com"}
    form = app.get("/sign-in").forms[0]
    form["email"], form["password"] = KATRIN, PASSWORD
    answer = form.submit(headers={"Referer": "https://partners.example.com/sign-in"})
    given = next(c for c in answer.headers.getall("Set-Cookie") if c.startswith("__Host-interline="))
    assert_host_only(given)
    assert "max-age" in answer.headers["Strict-Transport-Security"]
    assert not [c for c in answer.headers.getall("Set-Cookie") if c.startswith("interline")]
    secret = given.partition("=")[2].partition(";")[0]
    me = app.get("/me", status=200)
    plain = site(people.database)
    plain.extra_environ |= {"HTTP_COOKIE": f"interline={secret}"}
    assert plain.get("/me", status=302).location.startswith("http://localhost/sign-in"), (
        "not the name it has here"
    )
    out = next(f for f in me.forms.values() if f.action == "/sign-out")
    done = out.submit(headers={"Referer": "https://partners.example.com/me"})
    cleared = next(c for c in done.headers.getall("Set-Cookie") if c.startswith("__Host-interline=;"))
    assert_host_only(cleared)
    assert "max-age=0" in cleared.lower()
    assert app.get("/me", status=302)


def assert_host_only(line: str) -> None:
    """What RFC 6265bis asks of a cookie whose name begins with __Host-."""
    words = [word.strip().lower() for word in line.split(";")]
    assert "secure" in words and "path=/" in words and "httponly" in words
    assert not [word for word in words if word.startswith("domain")]


def test_what_was_wrong_is_not_told(people: World) -> None:
    app = site(people.database)
    pages = []
    for email, password in (
        (KATRIN, "another password"),
        ("nobody@danubia.example", PASSWORD),
        ("lukas@danubia.example", PASSWORD),  # known, but without a password
        (KATRIN, "x" * 201),
    ):
        answer = try_to_sign_in(app, email, password)
        assert answer.status_int == 422
        assert "interline=" not in str(answer.headers.getall("Set-Cookie"))
        assert password not in answer.text
        pages.append(answer.lxml.xpath("string(//*[@id='errors'])"))
    assert len(set(pages[:3])) == 1 and "not right" in pages[0]


def test_unknown_names_cost_the_same_work(people: World) -> None:
    """Every attempt verifies one hash of the same parameters; time itself is not measured."""
    assert not passwords.HASHER.check_needs_rehash(passwords.NOBODY)
    for email in (KATRIN, "nobody@danubia.example", "lukas@danubia.example"):
        app = site(people.database)
        with mock.patch.object(signin, "verify", wraps=signin.verify) as verify:
            try_to_sign_in(app, email, "wrong password")
        assert verify.call_count == 1
        assert verify.call_args.args[0].startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_attempts_are_counted_before_anything_is_hashed(people: World) -> None:
    app = site(people.database)
    for _ in range(throttle.SIGN_IN_ACCOUNT.attempts):
        assert try_to_sign_in(app, KATRIN, "wrong password").status_int == 422
    with mock.patch.object(signin, "verify") as verify:
        answer = try_to_sign_in(app, KATRIN, PASSWORD)
    assert answer.status_int == 429 and verify.call_count == 0
    assert 0 < int(answer.headers["Retry-After"]) <= throttle.SIGN_IN_ACCOUNT.seconds
    assert try_to_sign_in(app, "operator@halden.example", PASSWORD).status_int == 302, (
        "others are not held up"
    )
    app.reset()
    with people.system() as session:
        session.execute(text("update throttles set window_start = window_start - interval '1 hour'"))
    assert try_to_sign_in(app, KATRIN, PASSWORD).status_int == 302


def test_right_passwords_are_no_tries(people: World) -> None:
    app = site(people.database)
    for _ in range(throttle.SIGN_IN_ACCOUNT.attempts + 2):
        app.reset()
        assert try_to_sign_in(app, KATRIN, PASSWORD).status_int == 302
    app.reset()
    for _ in range(throttle.SIGN_IN_ACCOUNT.attempts - 1):
        assert try_to_sign_in(app, KATRIN, "wrong password").status_int == 422
    assert try_to_sign_in(app, KATRIN, PASSWORD).status_int == 302
    app.reset()
    assert try_to_sign_in(app, KATRIN, "wrong password").status_int == 422, "the earlier ones are forgotten"
    assert try_to_sign_in(app, KATRIN, PASSWORD).status_int == 302


def test_strangers_do_not_lock_out_where_the_account_has_signed_in(people: World) -> None:
    home, stranger = site(people.database), site(people.database)
    assert try_to_sign_in(home, KATRIN, PASSWORD).status_int == 302
    home.reset()
    with mock.patch.object(throttle, "SIGN_IN_ANYWHERE", throttle.Limit("few", 3, 60)):
        for number in range(3):
            stranger.extra_environ["REMOTE_ADDR"] = f"192.0.2.{number}"
            assert try_to_sign_in(stranger, KATRIN, "wrong password").status_int == 422
        stranger.extra_environ["REMOTE_ADDR"] = "192.0.2.77"
        with mock.patch.object(signin, "verify") as verify:
            assert try_to_sign_in(stranger, KATRIN, PASSWORD).status_int == 429
        assert verify.call_count == 0
        assert try_to_sign_in(home, KATRIN, PASSWORD).status_int == 302
    for name, app in (("home", home), ("stranger", stranger)):
        app.reset()
        answer = try_to_sign_in(app, KATRIN, PASSWORD)
        assert answer.status_int == 302, name


def test_the_wait_told_is_what_is_left(people: World) -> None:
    app = site(people.database)
    for _ in range(throttle.SIGN_IN_ACCOUNT.attempts):
        try_to_sign_in(app, KATRIN, "wrong password")
    with people.system() as session:
        session.execute(text("update throttles set window_start = window_start - interval '10 minutes'"))
    answer = try_to_sign_in(app, KATRIN, PASSWORD)
    assert answer.status_int == 429 and "Wait 5 minutes" in answer.text
    assert 200 < int(answer.headers["Retry-After"]) <= 300


def test_an_address_is_counted_over_all_accounts(people: World) -> None:
    app = site(people.database)
    with mock.patch.object(throttle, "SIGN_IN_ADDRESS", throttle.Limit("few", 2, 60)):
        for number in range(2):
            assert try_to_sign_in(app, f"p{number}@x.example", "wrong password").status_int == 422
        assert try_to_sign_in(app, KATRIN, PASSWORD).status_int == 429
        app.extra_environ["REMOTE_ADDR"] = "192.0.2.99"
        assert try_to_sign_in(app, KATRIN, PASSWORD).status_int == 302


def test_signing_in_again_ends_the_old_session_and_takes_a_new_key(people: World) -> None:
    app = site(people.database)
    try_to_sign_in(app, KATRIN, PASSWORD)
    first = app.cookies["interline"]
    page = app.get("/companies/choose")
    token = page.forms[0]["csrf_token"].value
    fields = {"email": KATRIN, "password": PASSWORD, "next": "/", "csrf_token": token}
    assert app.post("/sign-in", fields).status_int == 302
    assert app.cookies["interline"] != first
    with people.system() as session:
        rows = session.execute(
            text("select hash from credentials where person_id = :p and purpose = 'session'"),
            {"p": people.people[KATRIN]},
        ).all()
    assert digest(first) not in {bytes(row.hash) for row in rows}


def test_a_planted_key_is_never_taken_over(people: World) -> None:
    app = site(people.database)
    app.set_cookie("interline", "planted-by-somebody-else")
    assert try_to_sign_in(app, KATRIN, PASSWORD).status_int == 302
    assert app.cookies["interline"] != "planted-by-somebody-else"


def test_sign_out_ends_this_session_and_everywhere_ends_all(people: World) -> None:
    phone, desk, other = (site(people.database) for _ in range(3))
    for app in (phone, desk, other):
        try_to_sign_in(app, KATRIN, PASSWORD)
    sign_out(phone)
    assert phone.get("/companies/choose").location.startswith("http://localhost/sign-in")
    assert desk.get("/companies/choose").status_int == 200
    assert other.get("/companies/choose").status_int == 200
    sign_out(desk, everywhere="1")
    assert other.get("/companies/choose").status_int == 302


def sign_out(app: TestApp, **fields: str) -> None:
    """Post the sign-out form."""
    form = next(f for f in app.get("/companies/choose").forms.values() if f.action == "/sign-out")
    answer = app.post("/sign-out", {"csrf_token": form["csrf_token"].value, **fields})
    assert answer.location == "http://localhost/sign-in"
    assert "interline" not in app.cookies


def test_the_own_profile_offers_to_sign_out_everywhere(people: World) -> None:
    desk, other = site(people.database), site(people.database)
    for app in (desk, other):
        try_to_sign_in(app, KATRIN, PASSWORD)
    page = desk.get("/me")
    assert "Katrin Moser" in page.text and DANUBIA in page.text and "Sales" in page.text
    form = next(f for f in page.forms.values() if "everywhere" in f.fields)
    form.submit(status=302)
    assert other.get("/me").location.startswith("http://localhost/sign-in")


def test_only_paths_of_this_site_follow_sign_in() -> None:
    for given in (
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "evil",
        "",
        None,
        "/a\r\nb",
        "/ä",
    ):
        assert local_path(given) == "/"
    assert local_path("/leads?q=a%20b&page=2") == "/leads?q=a%20b&page=2"


def test_a_person_of_two_companies_chooses(people: World) -> None:
    with people.system() as session:
        signin.invite(session, KATRIN, "Katrin Moser", people.company(TRAUN), ["sales"], mail=False)
    app = site(people.database)
    answer = try_to_sign_in(app, KATRIN, PASSWORD, "?next=/me")
    assert answer.location == "http://localhost/companies/choose?next=%2Fme"
    page = answer.follow()
    assert [b.text.strip() for b in page.html.select("button[name=company]")] == [DANUBIA, TRAUN]
    form = page.forms[0]
    chosen = form.submit("company", value=str(people.company(TRAUN)))
    assert chosen.location == "http://localhost/me"
    with people.system() as session:
        query = text("select company_id from credentials where hash = :h")
        assert session.scalar(query, {"h": digest(app.cookies["interline"])}) == people.company(TRAUN)
    here = app.get("/companies/choose").html.select_one("button.btn-primary")
    assert here.text.strip() == TRAUN
    token = app.get("/companies/choose").forms[0]["csrf_token"].value
    foreign = {"company": str(people.vendor_id), "csrf_token": token}
    assert app.post("/companies/choose", foreign, status=404)


# -- passwords ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "password123",
        "katrin@danubia.example",
        "Katrin Moser",
        "aaaaaaaaaaaa",
        "x" * 201,
        "abababababab",
        "passwordpassword",
        "Password Password1",
        "1234512345",
    ],
)
def test_poor_passwords_are_refused_with_the_cure(password: str) -> None:
    fault = passwords.password_fault(password, KATRIN, "Katrin Moser")
    assert fault and ("characters" in fault or "longer" in fault)


def test_good_passwords_are_taken_however_they_are_typed() -> None:
    assert passwords.password_fault("vier Wörter ohne Sinn", KATRIN) is None
    composed, decomposed = "caf\u00e9 am Fluss", "cafe\u0301 am Fluss"
    assert passwords.verify(passwords.hash_password(composed), decomposed)
    assert not passwords.verify("not a hash", composed)


# -- invitations -------------------------------------------------------------------------------------------------


def test_an_administrator_invites_into_the_own_company_only(world: World) -> None:
    with world.acting("lukas@danubia.example") as session:
        person = signin.invite(
            session, "New@Danubia.example", "New Person", world.company(DANUBIA), ["sales"]
        )
    with world.system() as session:
        row = session.execute(text("select * from people where id = :p"), {"p": person}).one()
        items = session.execute(text("select kind, payload from work_items")).all()
    assert row.email_key == "new@danubia.example" and row.status == "invited"
    (item,) = items
    assert item.kind == "person.invite" and "@" not in str(item.payload), "a work item holds no personal data"
    with (
        pytest.raises(Exception, match=r"nothing here|policy"),
        world.acting("lukas@danubia.example") as session,
    ):
        signin.invite(session, "x@y.example", "X", world.company(TRAUN), ["sales"])


def test_inviting_twice_adds_roles_and_no_second_person(world: World) -> None:
    with world.acting("ingrid@halden.example") as session:
        one = signin.invite(session, "n@danubia.example", "N", world.company(DANUBIA), ["sales"])
        two = signin.invite(session, "N@danubia.example", "N", world.company(DANUBIA), ["sales", "service"])
    assert one == two
    with world.system() as session:
        roles = session.scalars(text("select role from memberships where person_id = :p"), {"p": one}).all()
    assert sorted(roles) == ["sales", "service"]


@pytest.mark.parametrize(
    ("email", "name", "roles", "field"),
    [
        ("no-at", "N", ["sales"], "email"),
        ("a b@x.example", "N", ["sales"], "email"),
        ("a@x.example", " ", ["sales"], "name"),
        ("a@x.example", "N", ["operator"], "roles"),
        ("a@x.example", "N", [], "roles"),
    ],
)
def test_invitations_name_the_wrong_field(
    world: World, email: str, name: str, roles: list[str], field: str
) -> None:
    with pytest.raises(Invalid) as caught, world.acting("ingrid@halden.example") as session:
        signin.invite(session, email, name, world.company(DANUBIA), roles)
    assert [fault.field for fault in caught.value.faults] == [field]


def test_only_an_operator_makes_an_operator(world: World) -> None:
    with pytest.raises(Invalid, match="operator"), world.acting("ingrid@halden.example") as session:
        signin.invite(session, "new@halden.example", "New", world.vendor_id, ["operator"])
    with world.acting("operator@halden.example") as session:
        signin.invite(session, "new@halden.example", "New", world.vendor_id, ["operator"])
