"""Sets up Jinja2: search path of every room, globals and filters that templates and macros rely on."""

from __future__ import annotations

import hashlib
from functools import cache, partial
from pathlib import Path
from typing import Any

from markupsafe import Markup
from pyramid.csrf import get_csrf_token
from pyramid.interfaces import IRoutesMapper
from pyramid.threadlocal import get_current_request

from portal.web import cells, formatting, keys, maps, parts, rendering
from portal.web.flash import flashes
from portal.web.i18n import Said, languages, ntr, tr
from portal.web.icons import icon
from portal.web.sent import sent, sent_form
from portal.web.status import status, status_label
from portal.web.told import told

STATIC = Path(__file__).parent / "static"
THEMES = ("light", "dark", "auto")
CSRF = Markup('<input type="hidden" name="csrf_token" value="{}">')


@cache
def asset(path: str) -> str:
    """Address of a static file with its content's hash, so that browsers may keep it for a year."""
    file = STATIC / path
    mark = hashlib.sha256(file.read_bytes()).hexdigest()[:10] if file.exists() else "0"
    return f"/static/{path}?v={mark}"


def csrf() -> Markup:
    """The hidden field every POST form carries; made once for a page, which may have a hundred forms."""
    request = get_current_request()
    if request is None:
        return CSRF.format("")
    made: Markup | None = request.__dict__.get("csrf_field")
    if made is None:
        made = request.__dict__["csrf_field"] = CSRF.format(get_csrf_token(request))
    return made


def nonce() -> str:
    """This response's CSP nonce, for script and style tags."""
    return str(getattr(get_current_request(), "csp_nonce", "") or "")


def theme() -> str:
    """light, dark or auto: the reader's choice from the cookie."""
    request = get_current_request()
    chosen = "auto" if request is None else request.cookies.get("theme", "auto")
    return chosen if chosen in THEMES else "auto"


def path_qs() -> str:
    """Path and query of the current page, for 'come back here' fields."""
    request = get_current_request()
    return "/" if request is None else str(request.path_qs)


def has_route(name: str) -> bool:
    """Whether the application has a route of that name, so that the layout never links to a page that is not there."""
    request = get_current_request()
    mapper = None if request is None else request.registry.queryUtility(IRoutesMapper)
    return mapper is None or mapper.get_route(name) is not None


def find_url() -> str | None:
    """Where the search box of the top bar leads: the search page, else the list of leads."""
    return next((url for name, url in (("search", "/search"), ("leads", "/leads")) if has_route(name)), None)


def setup(env: Any) -> None:
    """Globals and filters; used by the application and by the preview alike."""
    env.globals.update(
        asset=asset,
        csrf=csrf,
        nonce=nonce,
        theme=theme,
        languages=languages,
        path_qs=path_qs,
        icon=icon,
        status=status,
        status_label=status_label,
        errors_told=told,
        fmt=formatting.fmt,
        flashes=flashes,
        tr=tr,
        ntr=ntr,
        parts=parts,
        has_route=has_route,
        keys=keys.keys,
        goes=keys.goes,
        find_url=find_url,
        sent=sent,
        sent_form=sent_form,
        list_rows=cells.body,
        list_bar=cells.bar,
        once=rendering.once,
        region_map=maps.region_map,
        journey_map=maps.journey_map,
        pin_map=maps.pin_map,
    )
    env.filters.update(tr=tr, initials=parts.initials, tuple_=tuple)
    env.trim_blocks = env.lstrip_blocks = True
    env.context_class = rendering.PageContext


def search_path() -> list[str]:
    """portal/*/templates, portal/web first; each room's own templates lie in a folder of its name."""
    portal = Path(__file__).parent.parent
    rooms = sorted(p for p in portal.glob("*/templates") if p.parent.name != "web")
    return [str(portal / "web" / "templates"), *(str(p) for p in rooms)]


def includeme(config: Any) -> None:
    """pyramid_jinja2 with our path and globals, request.fmt, and the static files under /static."""
    config.add_settings(
        {"jinja2.i18n.domain": "interline", "jinja2.i18n.gettext": Said, "jinja2.filters": {}}
    )
    config.include("pyramid_jinja2")
    # Said here, not in an include of its own, it wins over the one that pyramid_jinja2 has just said.
    config.add_renderer(".jinja2", partial(rendering.PageRenderer, config.get_jinja2_environment))
    for folder in reversed(search_path()):
        config.add_jinja2_search_path(folder, prepend=True)
    config.add_translation_dirs("portal:locale")
    config.add_request_method(formatting.formatter, "fmt", reify=True)
    config.add_static_view("static", "portal.web:static", cache_max_age=31_536_000)
    config.action(None, lambda: setup(config.get_jinja2_environment()), order=999)
