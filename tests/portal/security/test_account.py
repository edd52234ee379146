"""The own account: profile, password, address, sessions; and what leaving a company or another role means at once."""

import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from webtest import TestApp

from integrations.mail import Message, mime
from portal.companies import actions
from portal.errors import Conflict, Invalid
from portal.security import account, devices, signin
from portal.security.context import digest
from tests.portal.security.test_factor import enrol, events, submit
from tests.portal.security.test_signin import KATRIN, PASSWORD, try_to_sign_in
from tests.portal.security.test_tasks import Outbox, outbox, run
from tests.portal.site import site
from tests.portal.visitors import visitor
from tests.world import DANUBIA, TRAUN, World

assert outbox
LUKAS, EVA = "lukas@danubia.example", "sales@traun.example"
NEW = "katrin.moser@danubia.example"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0) Gecko/20100101 Firefox/130.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
    " Version/18.0 Mobile/15E148 Safari/604.1"
)


@pytest.fixture
def people(world: World) -> World:
    """The small world; some have a password."""
    with world.system() as session:
        for email in (KATRIN, EVA):
            signin.set_password_directly(session, world.people[email], PASSWORD)
    return world


def sign_in(world: World, agent: str = FIREFOX, email: str = KATRIN) -> TestApp:
    """A browser that is signed in."""
    app = site(world.database)
    app.extra_environ["HTTP_USER_AGENT"] = agent
    assert try_to_sign_in(app, email, PASSWORD).status_int == 302
    return app


def token_of(page: Any) -> str:
    """The form token of a page."""
    return str(page.html.select_one("input[name=csrf_token]")["value"])


# -- profile -------------------------------------------------------------------------------------------------------


def test_name_and_time_zone_are_kept_and_used(people: World) -> None:
    app = visitor(people, KATRIN)
    form = app.get("/me").forms[next(n for n, f in app.get("/me").forms.items() if "time_zone" in f.fields)]
    assert form["time_zone"].value == "company"
    groups = app.get("/me").html.find("select", {"name": "time_zone"}).find_all("optgroup")
    europe = next(g for g in groups if g["label"] == "Europe").find_all("option")
    assert {o["value"]: o.text for o in europe}["Europe/Vienna"] == "Vienna", "typing V leads there"
    assert len(groups) < 15 and sum(len(g.find_all("option")) for g in groups) > 300
    form["name"], form["time_zone"] = "Katrin Moser-Huber", "America/New_York"
    form.submit(status=302)
    page = app.get("/me")
    assert "Katrin Moser-Huber" in page.text and "New York (EST)" in page.text
    form = next(f for f in page.forms.values() if "time_zone" in f.fields)
    form["time_zone"] = "company"
    form.submit(status=302)
    assert "Vienna (CET)" in app.get("/me").text
    form["name"] = " "
    assert "Name" in form.submit(status=422).text


@pytest.mark.parametrize(("language", "zone"), [("xx", None), ("en", "Mars/Base")])
def test_profiles_take_only_what_there_is(people: World, language: str, zone: str | None) -> None:
    with pytest.raises(Invalid), people.acting(KATRIN) as session:
        account.change_profile(session, "Katrin", language, zone)


# -- sessions ------------------------------------------------------------------------------------------------------


def test_devices_in_words() -> None:
    assert devices.device_words(devices.device(FIREFOX)) == "Firefox on Windows"
    assert devices.device_words(devices.device(IPHONE)) == "Safari on iPhone"
    assert devices.device_words(devices.device("curl/8")) == "Unknown device"
    assert devices.device(FIREFOX) == "firefox windows" and devices.device(None) == "- -"


def test_sessions_are_listed_and_ended_one_by_one(people: World) -> None:
    desk, phone = sign_in(people), sign_in(people, IPHONE)
    page = desk.get("/me")
    rows = [" ".join(li.text.split()) for li in page.html.select("#sessions .rows li")]
    assert len(rows) == 3, "the two, and the one of the small world"
    assert rows[0].startswith("Firefox on Windows This one") and "Signed in today" in rows[0]
    assert DANUBIA in rows[1] and any("Safari on iPhone" in row for row in rows[1:])
    assert desk.cookies["interline"] not in page.text
    assert digest(phone.cookies["interline"]).hex() not in page.text, (
        "no page shows what the table is keyed by"
    )
    button = page.html.find("button", attrs={"aria-label": re.compile("Safari on iPhone")})
    desk.post("/me/sessions", {"mark": button["value"], "csrf_token": token_of(page)}, status=302)
    assert phone.get("/me").status_int == 302 and desk.get("/me").status_int == 200


def test_a_strangers_session_cannot_be_ended(people: World) -> None:
    katrin, eva = sign_in(people), sign_in(people, email=EVA)
    mark = eva.get("/me").html.select_one("#sessions button[name=mark]")["value"]
    fields = {"mark": mark, "csrf_token": token_of(katrin.get("/me"))}
    katrin.post("/me/sessions", fields, status=404)
    assert eva.get("/me").status_int == 200


def test_all_others_end_and_everywhere_ends_this_one_too(people: World) -> None:
    apps = [sign_in(people) for _ in range(3)]
    form = next(f for f in apps[0].get("/me").forms.values() if "others" in f.fields)
    form.submit("others", status=302)
    assert [app.get("/me").status_int for app in apps] == [200, 302, 302]
    assert [e.data.get("others") for e in events(people, "signin.signed_out")] == [3]
    form = next(f for f in apps[0].get("/me").forms.values() if "everywhere" in f.fields)
    form.submit(status=302)
    assert apps[0].get("/me").status_int == 302


def test_the_own_last_sign_ins_are_told(people: World, outbox: Outbox) -> None:
    try_to_sign_in(site(people.database), KATRIN, "wrong password")
    run(people)
    app = sign_in(people, IPHONE)
    text_ = " ".join(app.get("/me").text.split())
    assert "Failed to sign in" in text_ and "wrong password" in text_
    assert 'Signed in</span><span class="l2">Safari on iPhone' in text_
    assert "Failed to sign in" not in sign_in(people, email=EVA).get("/me").text


# -- password ------------------------------------------------------------------------------------------------------


def test_another_password_ends_every_other_session(people: World, outbox: Outbox) -> None:
    app, other = sign_in(people), sign_in(people)
    page = app.get("/me/password")
    for password, said in (("short", "at least 10"), ("aaaaaaaaaaaa", "easy to guess")):
        answer = submit(page, password=PASSWORD, new=password)
        assert answer.status_int == 422 and said in answer.text
    assert "not right" in submit(page, password="wrong", new="four quiet river stones").text
    assert submit(page, password=PASSWORD, new="four quiet river stones").location == "http://localhost/me"
    assert app.get("/me").status_int == 200 and other.get("/me").status_int == 302
    assert try_to_sign_in(site(people.database), KATRIN, PASSWORD).status_int == 422
    (event,) = events(people, "password.changed")
    assert event.data == {"how": "page"} and event.audience == [people.company(DANUBIA)]
    run(people)
    assert "was changed" in outbox.sent[0].subject


# -- address -------------------------------------------------------------------------------------------------------


def ask(world: World, email: str = NEW, **fields: str) -> Any:
    return submit(visitor(world, KATRIN).get("/me/address"), email=email, password=PASSWORD, **fields)


def mailed(outbox: Outbox) -> dict[str, Message]:
    """Mails by the address they went to."""
    return {message.to: message for message in outbox.sent}


def path_in(message: Message) -> str:
    found = re.search(r"http://localhost:6543(/(?:address|welcome)/[\w-]+)", message.text)
    assert found, message.text
    return found[1]


def test_another_address_counts_once_its_reader_confirms(people: World, outbox: Outbox) -> None:
    assert ask(people).status_int == 302
    assert NEW in visitor(people, KATRIN).get("/me").text
    run(people)
    mails = mailed(outbox)
    assert set(mails) == {KATRIN, NEW}
    assert NEW not in mails[KATRIN].text, "the old mailbox is not told the new address"
    app = site(people.database)
    page = app.get(path_in(mails[NEW]))
    assert try_to_sign_in(site(people.database), NEW, PASSWORD).status_int == 422, (
        "opening it changes nothing"
    )
    done = page.forms[0].submit(status=200)
    assert "is changed" in done.text
    assert visitor(people, KATRIN).get("/me").status_int == 302, "every session ends"
    assert try_to_sign_in(site(people.database), NEW, PASSWORD).status_int == 302
    assert try_to_sign_in(site(people.database), KATRIN, PASSWORD).status_int == 422
    assert app.get(path_in(mails[NEW]), status=404)
    (event,) = events(people, "address.changed")
    assert event.subject_id == people.people[KATRIN] and "@" not in str(event.data)


def test_it_asks_for_password_and_second_factor(people: World) -> None:
    assert ask(people, email="not an address").status_int == 422
    page = visitor(people, KATRIN).get("/me/address")
    assert submit(page, email=NEW, password="wrong").status_int == 422
    _secret, codes = enrol(people)
    page = visitor(people, KATRIN).get("/me/address")
    assert submit(page, email=NEW, password=PASSWORD, code="000000").status_int == 422
    with people.system() as session:
        assert session.scalar(text("select count(*) from people where pending_email is not null")) == 0
    assert submit(page, email=NEW, password=PASSWORD, code=codes[0]).status_int == 302


def test_an_address_with_an_account_is_not_told_apart(people: World, outbox: Outbox) -> None:
    assert ask(people, email=EVA).location == ask(people, email=NEW).location
    with people.system() as session:
        session.execute(
            text("update people set pending_email = :e where email = :k"), {"e": EVA, "k": KATRIN}
        )
    run(people)
    told = [m for m in outbox.sent if m.to == EVA]
    assert told and "/address/" not in told[0].text and "has one already" in told[0].text
    with people.system() as session:
        assert (
            session.scalar(text("select email from people where id = :p"), {"p": people.people[EVA]}) == EVA
        )


def test_an_address_taken_meanwhile_is_refused(people: World, outbox: Outbox) -> None:
    ask(people)
    run(people)
    with people.system() as session:
        signin.invite(session, NEW, "Somebody", people.company(TRAUN), ["sales"], mail=False)
    page = site(people.database).get(path_in(mailed(outbox)[NEW]))
    assert "cannot be used" in page.forms[0].submit().text
    assert visitor(people, KATRIN).get("/me").status_int == 200


def test_the_old_address_stops_it_before(people: World, outbox: Outbox) -> None:
    ask(people)
    run(people)
    mails = mailed(outbox)
    kept = site(people.database).get(path_in(mails[KATRIN])).forms[0].submit(status=200)
    assert "stays" in kept.text
    assert site(people.database).get(path_in(mails[NEW]), status=404)
    assert visitor(people, KATRIN).get("/me").status_int == 302
    assert try_to_sign_in(site(people.database), KATRIN, PASSWORD).status_int == 422, "the password was known"
    outbox.sent.clear()
    run(people, timedelta(minutes=2))
    link = path_in(mailed(outbox)[KATRIN])
    form = site(people.database).get(link).forms[0]
    form["password"] = "four quiet river stones"
    assert form.submit(status=302).location == "http://localhost/"


def test_the_old_address_takes_it_back_after(people: World, outbox: Outbox) -> None:
    ask(people)
    run(people)
    mails = mailed(outbox)
    site(people.database).get(path_in(mails[NEW])).forms[0].submit()
    thief = try_to_sign_in(site(people.database), NEW, PASSWORD)
    assert thief.status_int == 302
    page = site(people.database).get(path_in(mails[KATRIN]))
    assert "Stop the change" in page.text
    assert "stays" in page.forms[0].submit().text
    with people.system() as session:
        row = session.execute(
            text("select email, email_key from people where id = :p"), {"p": people.people[KATRIN]}
        ).one()
        left = (
            "select count(*) from credentials where person_id = :p and purpose in ('session', 'half', 'keep')"
        )
        assert session.scalar(text(left), {"p": people.people[KATRIN]}) == 0
    assert (row.email, row.email_key) == (KATRIN, KATRIN)
    assert [e.type for e in events(people, "address.kept")] == ["address.kept"]


def test_a_wish_can_be_dropped(people: World) -> None:
    ask(people)
    app = visitor(people, KATRIN)
    next(f for f in app.get("/me").forms.values() if f.action == "/me/address/forget").submit(status=302)
    assert NEW not in app.get("/me").text


# -- mails ---------------------------------------------------------------------------------------------------------


def test_mails_speak_the_readers_time(people: World, outbox: Outbox) -> None:
    with people.system() as session:
        session.execute(
            text("update people set time_zone = 'Asia/Tokyo' where email_key = :k"), {"k": KATRIN}
        )
    form = site(people.database).get("/forgotten").forms[0]
    form["email"] = KATRIN
    form.submit(status=200)
    run(people)
    (message,) = outbox.sent
    asked, until = (60 * int(h) + int(m) for h, m in re.findall(r"(\d\d):(\d\d) JST", message.text))
    assert abs(asked - 19 * 60) < 30, "ten o'clock of the realm"
    assert until - asked == 120
    assert mime(message, "Interline <no-reply@localhost>")["Date"].endswith("+0900")


# -- at once -------------------------------------------------------------------------------------------------------


def test_who_leaves_is_out_at_the_next_request(people: World) -> None:
    katrin = sign_in(people)
    assert katrin.get("/leads").status_int == 200
    with people.acting(LUKAS) as session:
        actions.remove_member(session, people.company(DANUBIA), people.people[KATRIN])
    assert "/sign-in" in katrin.get("/leads", status=302).location
    assert try_to_sign_in(site(people.database), KATRIN, PASSWORD).status_int == 422
    with people.system() as session:
        query = text("select count(*) from credentials where person_id = :p")
        assert session.scalar(query, {"p": people.people[KATRIN]}) == 0
    (event,) = events(people, "member.removed")
    assert event.data == {"person_id": str(people.people[KATRIN]), "roles": ["sales"]}


def test_who_leaves_one_of_two_companies_chooses_again(people: World) -> None:
    with people.system() as session:
        signin.invite(session, KATRIN, "Katrin", people.company(TRAUN), ["service"], mail=False)
    katrin = visitor(people, KATRIN)
    assert "Another company" in katrin.get("/me").text
    with people.acting(LUKAS) as session:
        actions.remove_member(session, people.company(DANUBIA), people.people[KATRIN])
    led = katrin.get("/me", status=302).follow(status=302).follow()
    assert [b.text.strip() for b in led.html.select("button[name=company]")] == [TRAUN]
    led.forms[0].submit("company", status=302)
    page = katrin.get("/me")
    assert TRAUN in page.text and "Another company" not in page.text


def test_another_role_counts_at_the_next_request(people: World) -> None:
    katrin = visitor(people, KATRIN)
    katrin.get("/company/edit", status=404)
    lukas = visitor(people, LUKAS)
    form = lukas.get(f"/company/people/{people.people[KATRIN]}/roles").forms
    roles = next(f for f in form.values() if f.action.endswith("/roles"))
    roles["roles"] = ["administrator"]
    roles.submit(status=302)
    assert katrin.get("/company/edit").status_int == 200
    katrin.get(f"/company/people/{people.people[LUKAS]}/roles")
    with people.acting(KATRIN) as session:
        actions.set_roles(session, people.company(DANUBIA), people.people[LUKAS], ["service"])
    lukas.get("/company/edit", status=404)
    lukas.get("/leads", status=404)
    changes = [(e.data["before"], e.data["roles"]) for e in events(people, "member.roles_changed")]
    assert changes == [(["sales"], ["administrator"]), (["administrator"], ["service"])]


def test_roles_are_refused_that_a_company_cannot_give(people: World) -> None:
    katrin = people.people[KATRIN]
    for roles in ([], ["operator"], ["sales", "nonsense"]):
        with pytest.raises(Invalid), people.acting(LUKAS) as session:
            actions.set_roles(session, people.company(DANUBIA), katrin, roles)
    with pytest.raises(Conflict, match="last one"), people.acting(LUKAS) as session:
        actions.set_roles(session, people.company(DANUBIA), people.people[LUKAS], ["sales"])
    with pytest.raises(Invalid, match="operator"), people.acting("ingrid@halden.example") as session:
        actions.set_roles(session, people.vendor_id, people.people["tomas@halden.example"], ["operator"])


@pytest.mark.parametrize("asked", [{}, {"Accept-Language": "en"}])
def test_pages_behind_a_mailed_link_speak_as_the_mail_did(
    people: World, outbox: Outbox, asked: dict[str, str]
) -> None:
    with people.system() as session:
        session.execute(text("update people set language = 'de' where email = :e"), {"e": KATRIN})
    ask(people)
    forgotten = site(people.database).get("/forgotten").forms
    form = next(form for form in forgotten.values() if "email" in form.fields)
    form["email"] = KATRIN
    form.submit()
    run(people)
    paths = [path_in(message) for message in outbox.sent]
    assert {path.split("/")[1] for path in paths} == {"address", "welcome"}
    for path in paths:
        page = site(people.database).get(path, headers=asked)
        assert '<html lang="de"' in page, path
        if "/welcome/" in path:
            form = page.forms[0]
            form["password"] = "short"
            assert '<html lang="de"' in form.submit(headers=asked, status=422), "refused in the same language"
        chosen = site(people.database)
        chosen.set_cookie("language", "en")
        assert '<html lang="en"' in chosen.get(path), "what was chosen on this device counts"
