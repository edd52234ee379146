"""Pages in the reader's language: who gets which, the switch, complete catalogues, amounts as the reader writes them."""

from __future__ import annotations

import html
import re
import subprocess
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from babel.messages.pofile import read_po
from pyramid import testing
from sqlalchemy import text

from integrations.mail import MemorySender
from portal.events import work
from portal.gateways import Message
from portal.leads import actions as offer_actions
from portal.leads import mails as offer_mails
from portal.partners.wording import hours_words
from portal.security.mails import LETTERS, compose
from portal.settings import Settings
from portal.web.formatting import Formatter
from portal.web.forms import money
from portal.web.help import FOLDER
from portal.web.help import page as help_page
from portal.web.i18n import LOCALE, languages, localizer_of
from tests.portal.leads.test_flow import intake
from tests.portal.site import signed_in, site
from tests.world import World

ROOT = Path(__file__).resolve().parent.parent.parent.parent
PLACEHOLDER = re.compile(r"\$\{\w+\}|%\(\w+\)s")
CATALOGUES = sorted(LOCALE.glob("*/LC_MESSAGES/interline.po"))


@pytest.fixture(scope="session")
def strings(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """All strings of pages and code as they are now."""
    pot = tmp_path_factory.mktemp("pot") / "interline.pot"
    subprocess.run(["make", "-s", "pot", f"POT={pot}"], cwd=ROOT, check=True, capture_output=True)
    with pot.open("rb") as file:
        return read_po(file)


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda p: p.parent.parent.name)
def test_every_string_is_translated_with_its_placeholders(path: Path, strings: Any) -> None:
    with path.open("rb") as file:
        catalogue = read_po(file)
    wanted = {m.id for m in strings if m.id}
    assert len(wanted) > 1000
    missing = [m for m in wanted if not _said(catalogue.get(m if isinstance(m, str) else m[0]))]
    assert missing == [], "run `make messages`, then translate these"
    assert [m.id for m in catalogue if m.id and m.id not in wanted] == [], (
        "run `make messages`: these are gone"
    )
    for message in catalogue:
        if not message.id:
            continue
        originals = message.id if isinstance(message.id, list | tuple) else (message.id,)
        allowed = {name for one in originals for name in PLACEHOLDER.findall(one)}
        for one in message.string if isinstance(message.string, list | tuple) else (message.string,):
            found = set(PLACEHOLDER.findall(one))
            assert found <= allowed, f"{message.id!r} -> {one!r}"
            assert found >= allowed - {"${n}", "%(n)s"}, f"{message.id!r} -> {one!r}"


def _said(message: Any) -> bool:
    if message is None or not message.string or message.fuzzy:
        return False
    return all(message.string) if isinstance(message.string, list | tuple) else True


def test_who_is_not_signed_in_gets_what_the_browser_asks_for(world: World) -> None:
    app = site(world.database)
    german = app.get("/sign-in", headers={"Accept-Language": "fr, de-AT;q=0.8, en;q=0.5"})
    assert '<html lang="de"' in german and "Anmelden" in german
    assert '<html lang="en"' in app.get("/sign-in", headers={"Accept-Language": "fr"})
    assert '<html lang="en"' in app.get("/sign-in")
    assert '<html lang="en"' in app.get("/sign-in", headers={"Accept-Language": "\x7f;;q=x"})


def test_the_switch_is_kept_on_this_device_and_with_the_person(world: World) -> None:
    app = site(world.database)
    _choose(app, "/sign-in", "de")
    assert '<html lang="de"' in app.get("/sign-in", headers={"Accept-Language": "en"})

    person = "ingrid@halden.example"
    mine = signed_in(world, person)
    assert '<html lang="en"' in mine.get("/")
    answer = _choose(mine, "/leads?assignment=held", "de")
    assert answer.location.endswith("/leads?assignment=held")
    page = mine.get("/leads/new")
    assert '<html lang="de"' in page and "Neuer Lead" in page
    elsewhere = signed_in(world, person)
    assert '<html lang="de"' in elsewhere.get("/"), "it goes with the person"
    with world.database.admin().connect() as connection:
        others = text("select count(*) from people where language = 'de'")
        assert connection.execute(others).scalar() == 1


def _choose(app: Any, page: str, language: str) -> Any:
    form = app.get(page).forms
    found = next(f for f in form.values() if f.action == "/language")
    return found.submit("language", value=language, status=303)


def test_a_language_we_do_not_have_changes_nothing(world: World) -> None:
    app = site(world.database)
    form = next(f for f in app.get("/sign-in").forms.values() if f.action == "/language")
    token = form["csrf_token"].value
    for wrong in ("fr", "../../etc", "", "de\x00"):
        answer = app.post(
            "/language", {"language": wrong, "back": "//evil.example", "csrf_token": token}, status=303
        )
        assert "language=" not in answer.headers.get("Set-Cookie", "")
        assert answer.location == "http://localhost/"
    app.post("/language", {"language": "de"}, status=400)


def test_numbers_dates_and_times_follow_the_language() -> None:
    now = datetime(2026, 11, 23, 11, 48, tzinfo=UTC)
    fmt = Formatter(now, "Europe/Vienna", "de")
    assert fmt.num(1234567.5, 1) == "1.234.567,5"
    assert fmt.money(8_400_050, "EUR") == "EUR\u00a084.000,50"
    assert fmt.day_text(now.date(), weekday=True) == "Mo., 23. Nov"
    assert fmt.full_text(now) == "Montag, 23. November 2026, 12:48 CET"


@pytest.mark.parametrize(
    ("language", "written", "read"),
    [
        ("de", "25.000,50", "25000.50"),
        ("de", "25.000", "25000"),
        ("de", "1.250.000", "1250000"),
        ("de", "25000,5", "25000.5"),
        ("de", "25000.50", "25000.50"),
        ("de", "2.50.0", None),
        ("en", "25,000.50", "25000.50"),
        ("en", "25.000,50", None),
        ("en", "84 000", "84000"),
    ],
)
def test_amounts_are_read_as_the_reader_writes_them(language: str, written: str, read: str | None) -> None:
    request = testing.DummyRequest(locale_name=language)
    with testing.testConfig(request=request) as config:
        config.add_translation_dirs("portal:locale")
        value, problem = money(written)
    assert value == read and bool(problem) == (read is None)


def test_working_hours_name_the_days_in_the_readers_language() -> None:
    weekly = [[[540, 1020]]] * 5 + [[], []]
    with testing.testConfig(request=testing.DummyRequest(locale_name="de")) as config:
        config.add_translation_dirs("portal:locale")
        assert hours_words({"weekly": weekly}).startswith("Mo bis Fr 09:00")


def test_mails_have_the_languages_of_the_pages() -> None:
    assert {"en", "de"} <= set(languages())
    assert localizer_of("de-AT").locale_name == "de"
    assert localizer_of("xx").locale_name == "en"


WORD = re.compile(r"[A-Za-zÄÖÜäöüß]+")


def _words(*texts: Any) -> set[str]:
    """Words of texts, placeholders and addresses left out, in small letters."""
    plain = (re.sub(r"https?://\S+|<[^>]*>|\S+@\S+", " ", PLACEHOLDER.sub(" ", str(one))) for one in texts)
    return {word.lower() for one in plain for word in WORD.findall(one)}


def _english_only() -> set[str]:
    """Words of the English strings that no German string has."""
    with (LOCALE / "de" / "LC_MESSAGES" / "interline.po").open("rb") as file:
        catalogue = [message for message in read_po(file) if message.id]

    def every(said: Any) -> tuple[str, ...]:
        return tuple(said) if isinstance(said, list | tuple) else (said,)

    english = _words(*(one for message in catalogue for one in every(message.id)))
    return english - _words(*(one for message in catalogue for one in every(message.string)))


# What a person wrote or is called, and what stays English in a German mail.
NAMES = _words(
    "Halden Pumps Danubia Technik Linz Lead Katrin Moser Lukas Gruber ATEX HX Papier Partner Interline"
)


def _untranslated(mail: Message) -> set[str]:
    return (_words(mail.subject, mail.text, mail.html or "") & _english_only()) - NAMES


def test_mails_of_offers_are_german_to_the_last_word(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sender = MemorySender()
    monkeypatch.setattr(offer_mails, "mailer", lambda settings: sender)
    monkeypatch.setattr(offer_mails, "load", lambda: world.database.settings)
    with world.database.worker.begin() as connection:
        connection.execute(text("update people set language = 'de'"))
    lapsing, taken = (
        intake(
            world,
            title="Wartung der Pumpen",
            need="Wartung",
            start_on=date(2027, 3, 1),
            account={"name": name},
            contact={"name": "Karl Huber", "email": f"{name}@x.example"},
        )
        for name in ("Erste", "Zweite")
    )
    assert lapsing.number != taken.number
    for hours in (0, 7):
        work.run_due(world.database.worker, now=world.now + timedelta(hours=hours, minutes=1))
    with world.system() as session:
        offer = session.execute(
            text("select max(id) from offers where lead_id = :i"), {"i": taken.lead_id}
        ).scalar_one()
    with world.acting("katrin@danubia.example") as session:
        offer_actions.accept(session, offer)
    work.run_due(world.database.worker, now=world.now + timedelta(minutes=1))
    work.run_due(world.database.worker, now=world.now + timedelta(days=2))
    told = {re.sub(r"L-\d+|\d\d:\d\d", "", mail.subject): mail for mail in sender.sent}
    assert len(told) >= 4, "offered, reminder, lapsed, accepted"
    for mail in told.values():
        assert _untranslated(mail) == set(), mail.text
    assert any("(noch " in mail.text for mail in told.values())
    assert any(" bis " in mail.text for mail in told.values())


@pytest.mark.parametrize("purpose", sorted(LETTERS))
def test_letters_of_sign_in_are_german_to_the_last_word(world: World, purpose: str) -> None:
    now = world.now
    who = SimpleNamespace(language="de", now=now, time_zone="Europe/Vienna", name="Katrin Moser",
                          company="Danubia Technik", vendor="Halden Pumps", email="k@x.example", codes_left=9)  # fmt: skip
    mail = compose(world.database.settings, who, purpose, 1, url="http://x.example/y", until=now, at=now)
    assert _untranslated(mail) == set(), mail.text


def _code(body: str) -> list[str]:
    """What is typed as it stands on a help page: its indented lines, without the comments that say what they do."""
    lines = (
        html.unescape(block).splitlines()
        for block in re.findall(r"<pre><code>(.*?)</code></pre>", body, re.DOTALL)
    )
    return [line.partition("  # ")[0].rstrip() for block in lines for line in block]


def _rows(body: str) -> list[tuple[str, str, str]]:
    """Name, default and meaning of each setting on its page."""
    cells = r"<tr>\s*<td><code>(.*?)</code></td>\s*<td>(.*?)</td>\s*<td>(.*?)</td>\s*</tr>"
    return re.findall(cells, body, re.DOTALL)


HELP = sorted(file.stem for file in FOLDER.glob("*.md"))


@pytest.mark.parametrize("name", HELP)
@pytest.mark.parametrize("language", sorted(set(languages()) - {"en"}))
def test_every_help_page_is_there_in_every_language(language: str, name: str) -> None:
    english, translated = help_page(name), help_page(name, language)
    assert english is not None and translated is not None
    assert translated.language == language, f"write portal/help/{language}/{name}.md"
    assert translated.order == english.order
    for tag in ("h2", "li", "tr", "p"):
        found = translated.body.count(f"<{tag}>"), english.body.count(f"<{tag}>")
        assert found[0] == found[1], f"{name}: as many <{tag}> in {language} as in English"
    assert _code(translated.body) == _code(english.body), f"{name}: what is typed is the same in {language}"
    links = [re.findall(r'href="([^"]*)"', one.body) for one in (translated, english)]
    assert links[0] == links[1], f"{name}: the same links in {language}"


@pytest.mark.parametrize("language", sorted(set(languages()) - {"en"}))
def test_every_setting_is_told_in_every_language(language: str) -> None:
    english, translated = help_page("settings"), help_page("settings", language)
    assert english is not None and translated is not None
    told, wanted = _rows(translated.body), _rows(english.body)
    assert [name for name, _default, _meaning in wanted] == [name.upper() for name in Settings.model_fields]
    assert [row[:2] for row in told] == [row[:2] for row in wanted], f"see portal/help/{language}/settings.md"
    assert [row for row in told if not row[2] or row in wanted] == [], f"not in {language}"


@pytest.mark.parametrize("language", languages())
def test_no_help_page_stands_in_one_language_only(language: str) -> None:
    folder = FOLDER if language == "en" else FOLDER / language
    assert sorted(file.stem for file in folder.glob("*.md")) == HELP


def test_a_list_filters_by_numbers_as_the_reader_writes_them(world: World) -> None:
    mine = signed_in(world, "ingrid@halden.example")
    _choose(mine, "/leads/new", "de")
    for typed, chip in (
        ("25.000", "25.000"),
        ("25.000,50", "25.000,5"),
        ("1.000.000", "1.000.000"),
        ("25,5", "25,5"),
    ):
        page = mine.get("/leads", {"worth.from": typed})
        assert f"≥ {chip}" in page, typed
    wrong = mine.get("/leads", {"worth.from": "abc"}, status=400)
    assert "Zahl" in wrong
