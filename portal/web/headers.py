"""Security headers on every response, and the CSP nonce of each request."""

import secrets
from collections.abc import Callable
from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response

from portal.web.errors import illegible

CSP = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:;"
    " font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def headers_tween(handler: Callable[[Request], Response], registry: Any) -> Callable[[Request], Response]:
    """Add the headers; a view may set its own Content-Security-Policy (downloads are sandboxed)."""
    https = registry.portal.over_https

    def tween(request: Request) -> Response:
        response = handler(request) if legible(request) else illegible(request)
        headers = response.headers
        headers.setdefault("Content-Security-Policy", CSP.format(nonce=request.csp_nonce))
        headers["Server"] = "interline"  # else the web server names itself
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "same-origin"
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
        headers["Cross-Origin-Resource-Policy"] = "same-origin"
        if not request.environ.get("PATH_INFO", "").startswith("/static/"):
            headers.setdefault("Cache-Control", "no-store")
        if https:
            headers["Strict-Transport-Security"] = "max-age=31536000"
        return response

    return tween


def legible(request: Request) -> bool:
    """Whether path and query are UTF-8; nothing behind this tween needs to ask again."""
    try:
        _read = (request.path_info, request.GET)
    except UnicodeDecodeError:
        return False
    return True


def _nonce(request: Request) -> str:
    # Kept in the environ so that a retried request and its error page share one.
    return request.environ.setdefault("interline.nonce", secrets.token_urlsafe(16))  # type: ignore[no-any-return]


def includeme(config: Configurator) -> None:
    """Install the tween above everything else."""
    config.add_request_method(_nonce, "csp_nonce", property=True)
    config.add_tween("portal.web.headers.headers_tween")
