"""Rules over every template: strings can be translated, nothing the CSP refuses, forms carry their token; and every sample
page renders."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from jinja2 import Environment

from jinja2.lexer import TOKEN_DATA, TOKEN_BLOCK_BEGIN, TOKEN_BLOCK_END, TOKEN_NAME  # isort: skip

from portal.leads import telling
from portal.web import jinja
from portal.web.icons import _sprite
from portal.web.status import STATUS, look, status
from tests.portal.web import samples
from tests.portal.web.sheets import environment, reader

EVERY = sorted(Path(jinja.STATIC).parent.parent.glob("*/templates/**/*.jinja2"))
TEMPLATES = [p for p in EVERY if "mail" not in p.parts]
"""Pages. Mail bodies are shown by mail programs, which need inline styles; what is said there is tested with the mails."""
NOT_WORDS = re.compile(r"&\w+;|<[^>]*>|<!doctype[^>]*>", re.I)
TOLERATED = {"·", "kbd", "j", "k", "a", "d", "Enter"}
"""Names of keys are printed on the keyboard, not translated."""


def bare_words(source: str) -> list[str]:
    """Letters that stand in a template outside of {% trans %} and outside of tags."""
    env = Environment(extensions=["jinja2.ext.i18n"], autoescape=True)
    source = re.sub(r"{% block (size|wrap_class) %}.*?{% endblock %}", "", source)  # class names, not words
    text, inside, block = "", False, []
    for _line, kind, value in env.lex(source):
        if kind == TOKEN_BLOCK_BEGIN:
            block = []
        elif kind == TOKEN_NAME:
            block.append(value)
        elif kind == TOKEN_BLOCK_END:
            inside = True if block[:1] == ["trans"] else False if block[:1] == ["endtrans"] else inside
            block = []
        elif kind == TOKEN_DATA and not inside:
            text += value
        if kind != TOKEN_DATA:
            text += "" if inside else "\x01"
    text = re.sub(r"<(script|style|svg)\b.*?</\1>", " ", text, flags=re.S)
    text = re.sub(r"<[^>]*>", "\n", text.replace("\x01", ""))
    text = re.sub(r'\s[a-z-]+="[^"]*"', " ", text)  # attributes that a macro writes
    return [
        w
        for w in (line.strip() for line in text.splitlines())
        if re.search(r"[^\W\d_]{2,}", w) and w not in TOLERATED
    ]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda p: "/".join(p.parts[-3:]))
def test_every_string_can_be_translated(path):
    assert bare_words(path.read_text(encoding="utf-8")) == []


def test_the_lint_finds_a_bare_word():
    assert bare_words("<p>{% trans %}fine{% endtrans %} bare {{ x }}</p>") == ["bare"]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda p: "/".join(p.parts[-3:]))
def test_nothing_the_content_security_policy_refuses(path):
    source = path.read_text(encoding="utf-8")
    assert not re.search(r"<[a-z][^>]*\son[a-z]+=", source), "inline handler"
    assert not re.search(r'<[a-z][^>]*\sstyle="', source), "style attribute"
    for tag in re.findall(r"<(?:script|style)\b[^>]*>", source):
        assert "nonce" in tag


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda p: "/".join(p.parts[-3:]))
def test_every_posting_form_carries_the_token(path):
    source = path.read_text(encoding="utf-8")
    for form in re.findall(r"<form\b[^>]*method=\"post\".*?</form>", source, flags=re.S | re.I):
        assert "csrf()" in form or "csrf_token" in form


@pytest.mark.parametrize("name", list(samples.pages()))
def test_sample_pages_render_with_one_heading_and_unique_ids(name):
    source, values = samples.pages()[name]
    with reader("dark") as request:
        page = environment().from_string(source).render(request=request, **values())
    assert 'data-bs-theme="dark"' in page
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert "style=" not in page


def test_an_unknown_status_shows_its_own_word():
    assert look("stage", "brand_new").label == "Brand new"
    assert "Brand new" in status("stage", "brand_new")


@pytest.mark.skipif(not _sprite(), reason="browser assets are not installed")
def test_every_status_icon_is_in_the_sprite():
    missing = {s.icon for axis in STATUS.values() for s in axis.values()} - _sprite().keys()
    assert missing == set()


@pytest.mark.skipif(not _sprite(), reason="browser assets are not installed")
def test_every_icon_named_in_a_template_exists():
    for path in EVERY:
        for name in re.findall(r"icon\('([^']+)'", path.read_text(encoding="utf-8")):
            assert name in _sprite(), f"{path.name} asks for {name}"


def icons_told() -> set[str]:
    """Icons that telling.py names: of an Entry, of _plain and _because, and those chosen from by a variable `icon`."""
    places = {"Entry": 4, "_plain": 1, "_because": 1}
    given: list[ast.AST] = []
    for node in ast.walk(ast.parse(Path(telling.__file__).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in places:
            given += node.args[places[node.func.id] :][:1]
            given += [keyword.value for keyword in node.keywords if keyword.arg == "icon"]
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "icon":
            given += [part for d in ast.walk(node.value) if isinstance(d, ast.Dict) for part in d.values]
            given += node.value.args[1:] if isinstance(node.value, ast.Call) else [node.value]
    parts = (part for one in given for part in ast.walk(one))
    return {part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)}


@pytest.mark.skipif(not _sprite(), reason="browser assets are not installed")
def test_every_icon_of_the_timeline_is_in_the_sprite():
    named = icons_told()
    assert {"trophy", "player-play", "clock-off", "calendar-event"} <= named and len(named) > 15
    assert named - _sprite().keys() == set()


def test_one_page_weighs_less_than_its_budget():
    import gzip

    files = [
        f
        for f in ("css/interline.css", "js/interline.js", "vendor/htmx.min.js")
        if (jinja.STATIC / f).exists()
    ]
    assert sum(len(gzip.compress((jinja.STATIC / f).read_bytes())) for f in files) <= 160_000
    assert len(gzip.compress((jinja.STATIC / "css/interline.css").read_bytes())) <= 20_000, (
        "public pages: 50 KB in all"
    )


def test_help_pages_render_and_link_to_pages_that_exist():
    from portal.web.help import page, pages

    names = {p.name for p in pages()} | {"index"}
    assert {"channel-manager", "partner-sales", "partner-admin"} <= names
    for name in names:
        found = page(name)
        assert found is not None
        for target in re.findall(r'href="/help/([^"]+)"', found.body):
            assert target in names
    assert page("../settings") is None
    assert page("nothing") is None


def test_back_addresses_stay_on_this_site():
    from portal.web.theme import same_site_path

    assert same_site_path("/leads?q=1") == "/leads?q=1"
    for evil in ("//evil.example", "https://evil.example", "/\\evil", "", None, "/a\r\nSet-Cookie: x"):
        assert same_site_path(evil) == "/"
