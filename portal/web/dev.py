"""/dev/mail: what would have been mailed, for people and tests on this machine. Included only when the site is local."""

from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response

from integrations.mail import Kept, listed, read
from portal.errors import NotFound

SHOWN = 200
# The message's own styles may show; it loads nothing, runs nothing, and its links open outside the frame.
MESSAGE_CSP = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; frame-ancestors 'none';"
    " sandbox allow-popups allow-popups-to-escape-sandbox"
)


def mails(request: Request) -> dict[str, Any]:
    """The newest messages first."""
    settings = request.registry.portal
    kept = listed(settings.var_dir / "mail", SHOWN) if settings.mail_backend == "folder" else []
    return {"mails": kept, "folder": settings.var_dir / "mail", "how": settings.mail_backend}


def mail(request: Request) -> dict[str, Any]:
    """One message: its headers and its text; its HTML is a page of its own."""
    return {"mail": _kept(request)}


def mail_html(request: Request) -> Response:
    """The HTML part alone, sandboxed by its own policy, so that a message is never this site's page."""
    html = _kept(request).html
    if html is None:
        raise NotFound
    response = Response(html.replace("<head>", '<head><base target="_blank">', 1), charset="utf-8")
    response.headers["Content-Security-Policy"] = MESSAGE_CSP
    return response


def _kept(request: Request) -> Kept:
    found = read(request.registry.portal.var_dir / "mail", request.matchdict["name"])
    if found is None:
        raise NotFound
    return found


def includeme(config: Configurator) -> None:
    """The list, one message, and its HTML; nobody signs in to read mail on their own machine."""
    config.add_route("dev_mails", "/dev/mail")
    config.add_route("dev_mail_html", "/dev/mail/{name}/html")
    config.add_route("dev_mail", "/dev/mail/{name}")
    config.add_view(mails, route_name="dev_mails", renderer="dev/mails.jinja2", permission="public")
    config.add_view(mail, route_name="dev_mail", renderer="dev/mail.jinja2", permission="public")
    config.add_view(mail_html, route_name="dev_mail_html", permission="public")
