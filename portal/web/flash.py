"""One-time messages after an action: kept in the session, shown on the next page, read out politely."""

from __future__ import annotations

from typing import Any

from pyramid.threadlocal import get_current_request

from portal.web.i18n import tr

ICONS = {"good": "circle-check", "info": "info-circle", "warn": "alert-triangle", "bad": "alert-triangle"}


def flash(
    request: Any, text: str, tone: str = "good", url: str | None = None, label: str = "", more: str = ""
) -> None:
    """Queue a message: `text` bold, `more` plain after it, and one link."""
    request.session.flash({"text": tr(text), "more": tr(more), "tone": tone, "url": url, "label": tr(label)})


def flashes() -> list[dict[str, Any]]:
    """Take the waiting messages of the current request."""
    session = getattr(get_current_request(), "session", None)
    if session is None:
        return []
    return [as_message(m) for m in session.pop_flash()]


def as_message(message: Any) -> dict[str, Any]:
    """A plain string becomes an information message."""
    given = message if isinstance(message, dict) else {"text": str(message), "tone": "info"}
    tone = given.get("tone", "good")
    return {
        "url": None,
        "label": "",
        "more": "",
        **given,
        "tone": tone,
        "icon": ICONS.get(tone, "info-circle"),
    }
