"""The reader's choice of light, dark or as the device, kept in a cookie so that it works without scripts."""

from __future__ import annotations

from typing import Any

from pyramid.httpexceptions import HTTPSeeOther

from portal.web.jinja import THEMES

YEAR_S = 365 * 24 * 3600


def same_site_path(path: str | None) -> str:
    """A path of ours to go back to; anything that could lead elsewhere becomes the first page."""
    if not path or not path.startswith("/") or path[1:2] in ("/", "\\") or any(ord(c) < 32 for c in path):
        return "/"
    return path


def choose(request: Any) -> Any:
    """POST theme=light|dark|auto, back=path."""
    theme = request.POST.get("theme")
    response = HTTPSeeOther(location=same_site_path(request.POST.get("back")))
    if theme in THEMES:
        response.set_cookie(
            "theme",
            theme,
            max_age=YEAR_S,
            httponly=True,
            samesite="Lax",
            secure=request.registry.portal.over_https,
        )
    return response


def includeme(config: Any) -> None:
    """One small route."""
    config.add_route("theme", "/theme", request_method="POST")
    config.add_view(choose, route_name="theme", permission="public")
