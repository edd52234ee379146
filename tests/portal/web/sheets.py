"""Renders templates without the application: an environment as pyramid_jinja2 makes it, and a request with a fixed clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import jinja2
from pyramid import testing
from pyramid.i18n import get_localizer
from pyramid.threadlocal import get_current_request

from portal.web import jinja
from portal.web.formatting import Formatter
from portal.web.parts import Me, NavItem, Site

NOW = datetime(2026, 11, 23, 11, 48, tzinfo=UTC)
"""Monday, 23 November 2026, 12:48 in Vienna: the readers' clock in the comps."""


class _Translations:
    """Same bridge as pyramid_jinja2's: the localizer of the current request."""

    def gettext(self, message: str) -> str:
        return str(get_localizer(get_current_request()).translate(message, domain="interline"))

    def ngettext(self, one: str, many: str, n: int) -> str:
        return str(get_localizer(get_current_request()).pluralize(one, many, n, domain="interline"))


def environment() -> jinja2.Environment:
    """Strict: an undefined name fails the test."""
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(jinja.search_path()),
        extensions=["jinja2.ext.i18n"],
        autoescape=True,
        undefined=jinja2.Undefined,
    )
    bridge = _Translations()
    env.install_gettext_callables(bridge.gettext, bridge.ngettext, newstyle=True)  # type: ignore[attr-defined]
    jinja.setup(env)
    return env


@contextmanager
def reader(theme: str = "light", language: str = "en", **values: Any) -> Iterator[Any]:
    """A request of a reader in Vienna as the current one."""
    request = testing.DummyRequest(cookies={"theme": theme}, path="/leads", locale_name=language, **values)
    request.csp_nonce = "n0nce"
    request.path_qs = "/leads"
    request.fmt = Formatter(NOW, "Europe/Vienna", language)
    with testing.testConfig(request=request) as config:
        config.add_translation_dirs("portal:locale")
        yield request


def vendor_page() -> dict[str, Any]:
    """Globals of a channel manager's page."""
    names = ["Home", "Leads", "Incidents", "Carts", "Partners", "Routing", "Connections"]
    nav = [NavItem(n, "/" + n.lower(), on=n == "Home") for n in names]
    return {"site": Site("Halden Pumps"), "me": Me("Ingrid Solberg", "Channel manager"), "nav": nav}


def partner_page() -> dict[str, Any]:
    """Globals of a partner salesperson's page."""
    names = ["Home", "Offers", "Leads", "Incidents", "Carts", "News", "Our company"]
    nav = [NavItem(n, "/" + n.lower(), 4 if n == "Offers" else None, n == "Offers") for n in names]
    return {"site": Site("Halden Pumps"), "me": Me("Katrin Moser", "Danubia Technik"), "nav": nav}
