"""Help pages: Markdown files of portal/help, rendered once and cleaned, at /help and /help/{page}.

`portal/help/de/` holds the same pages in German. A test names a page that is missing; it would be shown in English.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup
from pyramid.httpexceptions import HTTPNotFound

from portal.web import keys
from portal.web.i18n import SOURCE, _, spoken, tr

FOLDER = Path(__file__).parent.parent / "help"
PAGE = re.compile(r"[a-z0-9-]{1,60}")
TAGS = {
    "a",
    "p",
    "h2",
    "h3",
    "ul",
    "ol",
    "li",
    "strong",
    "em",
    "code",
    "pre",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "kbd",
    "hr",
}
KEYBOARD = "keyboard"  # made from the table that the script reads, not from a file
INDEX = "index"
"""The page shown at /help; the others are listed beneath it in the order of their file's `order:` line."""


@dataclass(frozen=True, slots=True)
class HelpPage:
    """One page: its name in the address, title, one line about it, and its body."""

    name: str
    title: str
    about: str
    body: Markup
    order: int = 99
    language: str = SOURCE


@cache
def page(name: str, language: str = SOURCE) -> HelpPage | None:
    """A page by name, None when there is none. The first heading is the title, the paragraph after it says what it is."""
    if not PAGE.fullmatch(name):
        return None
    file = FOLDER / language / f"{name}.md"
    if language == SOURCE or not file.is_file():
        language, file = SOURCE, FOLDER / f"{name}.md"
    if not file.is_file():
        return None
    text = file.read_text(encoding="utf-8")
    order = re.search(r"\A<!-- order: (\d+) -->\n", text)
    text = text[order.end() :] if order else text
    title, _newline, rest = text.removeprefix("# ").partition("\n")
    about = rest.strip().split("\n\n", 1)[0].replace("\n", " ").replace("`", "")
    html = MarkdownIt("commonmark").enable("table").render(rest)
    body = Markup(nh3.clean(html, tags=TAGS, url_schemes={"https", "mailto"}))  # nosec
    return HelpPage(name, title.strip(), about, body, int(order[1]) if order else 99, language)


@cache
def pages(language: str = SOURCE) -> list[HelpPage]:
    """All pages but the index, in order."""
    found = [page(f.stem, language) for f in FOLDER.glob("*.md") if f.stem != INDEX]
    return sorted((p for p in found if p), key=lambda p: (p.order, p.title))


def show(request: Any) -> dict[str, Any]:
    """GET /help and /help/{page}."""
    language = spoken(request.locale_name)
    name = request.matchdict.get("page", INDEX)
    about = tr(_("Every key that acts on pages."))
    keyboard = HelpPage(KEYBOARD, tr(_("Keyboard")), about, keys.help_body(), 6)
    found = keyboard if name == KEYBOARD else page(name, language)
    if found is None:
        raise HTTPNotFound()
    return {"help": found, "pages": sorted([*pages(language), keyboard], key=lambda one: one.order)}


def includeme(config: Any) -> None:
    """Both routes; help is public, it says nothing about anybody."""
    config.add_route("help", "/help", request_method="GET")
    config.add_route("help_page", "/help/{page}", request_method="GET")
    for route in ("help", "help_page"):
        config.add_view(show, route_name=route, renderer="help.jinja2", permission="public")
