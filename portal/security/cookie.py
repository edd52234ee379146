"""The cookie of a session: its name, who may send it, how it is set and cleared."""

from pyramid.request import Request
from pyramid.response import Response

from portal.settings import Settings

NAME = "interline"


def host_only(name: str, settings: Settings) -> str:
    """The name under which a cookie is kept. Over https a browser takes `__Host-` from this host alone, with Secure, for
    every path: no other host of the domain can put one of its own in its place (RFC 6265bis, 4.1.3.2)."""
    return f"__Host-{name}" if settings.over_https else name


def key_of(request: Request) -> str:
    """The secret of the session's cookie, '' without one."""
    return str(request.cookies.get(host_only(NAME, request.registry.portal), ""))


def set_key(request: Request, response: Response, secret: str | None) -> None:
    """Give the browser a secret, or (None) take it away; a browser heeds neither for `__Host-` without Secure."""
    settings = request.registry.portal
    response.set_cookie(
        host_only(NAME, settings),
        secret,
        httponly=True,
        secure=settings.over_https,
        samesite="Lax",
        overwrite=True,
    )
