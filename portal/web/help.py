"""Help pages: Markdown files of portal/help, rendered once and cleaned, at /help and /help/{page}."""

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


@cache
def page(name: str) -> HelpPage | None:
    """A page by name, None when there is none. The first heading is the title, the paragraph after it says what it is."""
    file = FOLDER / f"{name}.md"
    if not PAGE.fullmatch(name) or not file.is_file():
        return None
    text = file.read_text(encoding="utf-8")
    order = re.search(r"\A<!-- order: (\d+) -->\n", text)
    text = text[order.end() :] if order else text
    title, _newline, rest = text.removeprefix("# ").partition("\n")
    about = rest.strip().split("\n\n", 1)[0].replace("\n", " ").replace("`", "")
    html = MarkdownIt("commonmark").enable("table").render(rest)
    body = Markup(nh3.clean(html, tags=TAGS, url_schemes={"https", "mailto"}))
    return HelpPage(name, title.strip(), about, body, int(order[1]) if order else 99)


@cache
def pages() -> list[HelpPage]:
    """All pages but the index, in order."""
    found = [page(f.stem) for f in FOLDER.glob("*.md") if f.stem != INDEX]
    return sorted((p for p in found if p), key=lambda p: (p.order, p.title))


def show(request: Any) -> dict[str, Any]:
    """GET /help and /help/{page}."""
    found = page(request.matchdict.get("page", INDEX))
    if found is None:
        raise HTTPNotFound()
    return {"help": found, "pages": pages()}


def includeme(config: Any) -> None:
    """Both routes; help is public, it says nothing about anybody."""
    config.add_route("help", "/help", request_method="GET")
    config.add_route("help_page", "/help/{page}", request_method="GET")
    for route in ("help", "help_page"):
        config.add_view(show, route_name=route, renderer="help.jinja2", permission="public")
