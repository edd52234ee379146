"""Pyramid's security policy: the credential a request shows, the context it opens, and what that permits."""

from typing import Any

from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationError
from pyramid.request import Request
from pyramid.security import Allowed, Denied

from portal.db import session_for
from portal.security.context import PUBLIC, Context, Credential, digest
from portal.security.cookie import key_of
from portal.security.permissions import PERMISSIONS, anybody, permits

BEARER = "bearer "


class Policy:
    """One policy for people and systems: the context says who they are."""

    def identity(self, request: Request) -> Context | None:
        """The context, or None for a stranger."""
        ctx: Context = request.ctx
        return None if ctx.kind == "public" else ctx

    def authenticated_userid(self, request: Request) -> str | None:
        """For logs only: person or client."""
        ctx: Context = request.ctx
        found = ctx.person_id or ctx.client_id
        return str(found) if found else None

    def permits(self, request: Request, _context: Any, permission: str) -> Allowed | Denied:
        """The table decides; what anybody may do is not worth asking the database who it is."""
        if anybody in PERMISSIONS.get(permission, ()) or permits(request.ctx, permission):
            return Allowed("%s", permission)
        return Denied("%s", permission)

    def remember(self, _request: Request, _userid: str, **_: Any) -> list[tuple[str, str]]:
        """Sessions are opened by portal.security.signin."""
        return []

    def forget(self, _request: Request, **_: Any) -> list[tuple[str, str]]:
        """Sessions are closed by portal.security.signin."""
        return []


def credential_of(request: Request) -> Credential:
    """What the request shows. A bearer token counts on the API only, a session cookie on pages only, and a mail
    link's token on its own route: no wire can borrow another's credential."""
    if request.path_info.startswith("/api/"):
        token = bearer_of(request)
        return Credential("api", digest(token)) if token else PUBLIC
    if request.path_info.startswith("/o/"):
        token = request.path_info.removeprefix("/o/").strip("/").partition("/")[0]
        return Credential("offer", digest(token))
    key = key_of(request)
    if key:
        return Credential("session", digest(key))
    return PUBLIC


def bearer_of(request: Request) -> str:
    """The bearer token of the Authorization header, or nothing."""
    header: str = request.headers.get("Authorization", "")
    return header[len(BEARER) :].strip() if header[: len(BEARER)].lower() == BEARER else ""


def _db(request: Request) -> Any:
    session = session_for(request.registry.app_engine, credential_of(request), request.tm)
    request.add_finished_callback(lambda _: session.close())
    return session


def _ctx(request: Request) -> Context:
    # A property, not reified: a retried request must not see a stale context.
    return request.db.context  # type: ignore[no-any-return]


def permission_required(view: Any, info: Any) -> Any:
    """A view that declares no permission of the table does not boot."""
    permission = info.options.get("permission")
    if info.exception_only or info.options.get("context") is not None or info.original_view is None:
        return view
    name = getattr(info.original_view, "__name__", "")
    if name == "static_view" or info.original_view.__class__.__name__ == "static_view":
        return view
    if permission not in PERMISSIONS:
        raise ConfigurationError(
            f"{info.original_view!r} declares permission {permission!r}, which portal/security/permissions.py does"
            " not list. Give it one that is listed (public pages: 'public')."
        )
    return view


permission_required.options = ("permission", "context")  # type: ignore[attr-defined]


def includeme(config: Configurator) -> None:
    """Install the policy, request.db and request.ctx, and the rail that every view declares a permission."""
    config.set_security_policy(Policy())
    config.add_request_method(_db, "db", reify=True)
    config.add_request_method(_ctx, "ctx", property=True)
    config.add_request_method(lambda request: request.ctx.now, "now", property=True)
    config.add_request_method(lambda request, permission: permits(request.ctx, permission), "may")
    config.add_view_deriver(permission_required)
