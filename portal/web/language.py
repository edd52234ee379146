"""Which language a page is in, and the reader's choice of it.

Who is signed in reads what the own profile says; anybody else what they chose on this device, else what the browser
asks for, else English. A page behind a mailed link speaks as the mail did.
"""

from __future__ import annotations

from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from sqlalchemy import text

from portal.db import PortalSession
from portal.web.i18n import SOURCE, languages
from portal.web.shell import known_context
from portal.web.theme import YEAR_S, same_site_path

COOKIE = "language"


def negotiate(request: Any) -> str:
    """The language of this answer: one of `languages()`."""
    ctx = known_context(request)
    known = languages()
    own = ctx.language if ctx is not None and ctx.person_id is not None else request.cookies.get(COOKIE)
    if own in known:
        return str(own)
    return (
        str(request.accept_language.lookup(list(known), default=SOURCE))
        if request.accept_language
        else SOURCE
    )


def speak(request: Any, language: str | None) -> None:
    """Go on in the language of whom a mailed link is for: nobody is signed in, and the mail spoke it too. What the
    reader chose on this device still counts, or the switch on the page would do nothing."""
    if request.cookies.get(COOKIE) in languages() or language not in languages():
        return
    request.locale_name = language
    for made in ("localizer", "fmt"):  # what was made for another language
        request.__dict__.pop(made, None)


def keep(session: PortalSession, language: str) -> None:
    """Remember the language with the person, so that mails and other devices follow."""
    session.execute(
        text("update people set language = :language where id = :me and language <> :language"),
        {"language": language, "me": session.context.person_id},
    )


def choose(request: Any) -> Any:
    """POST language=de, back=path."""
    language = request.POST.get("language")
    response = HTTPSeeOther(location=same_site_path(request.POST.get("back")))
    if language in languages():
        if request.ctx.person_id is not None:
            keep(request.db, language)
        response.set_cookie(
            COOKIE,
            language,
            max_age=YEAR_S,
            httponly=True,
            samesite="Lax",
            secure=request.registry.portal.over_https,
        )
    return response


def includeme(config: Any) -> None:
    """The negotiator, and one small route."""
    config.set_locale_negotiator(negotiate)
    config.add_route("language", "/language", request_method="POST")
    config.add_view(choose, route_name="language", permission="public")
