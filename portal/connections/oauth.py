"""POST /oauth/token and the document that describes it. Authlib decides (integrations/oauth), the database keeps."""

import base64
import binascii
import json
from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response

from integrations.oauth import TokenRequest, metadata, token_answer
from portal.connections.clients import SCOPES, ClientStore
from portal.security import throttle
from portal.security.throttle import address_of

MAX_FORM_BYTES = 16_384


def token(request: Request) -> Response:
    """One token request. Answers are returned, never raised: the count of attempts and the token are committed."""
    if request.content_type != "application/x-www-form-urlencoded":
        return _answer(400, _error("invalid_request", "Send a form: application/x-www-form-urlencoded."))
    if (request.content_length or 0) > MAX_FORM_BYTES:
        return _answer(413, _error("invalid_request", "The form is too large."))
    try:
        form = [(str(key), str(value)) for key, value in request.POST.items()]
    except (UnicodeError, ValueError):
        return _answer(400, _error("invalid_request", "The form is not UTF-8."))
    given = TokenRequest(request.headers.get("Authorization", ""), form)
    wait = throttle.count(
        request.db,
        (throttle.TOKEN_ADDRESS, address_of(request)),
        (throttle.TOKEN_CLIENT, _client_named(given)),
    )
    if wait:
        response = _answer(
            429, _error("temporarily_unavailable", f"Too many requests; try again in {wait} s.")
        )
        response.headers["Retry-After"] = str(wait)
        return response
    answer = token_answer(given, ClientStore(request.db))
    response = _answer(answer.status, dict(answer.body))
    response.headers.update({k: v for k, v in answer.headers.items() if k != "Content-Type"})
    return response


def _client_named(given: TokenRequest) -> str:
    """The client id as claimed, for counting only."""
    claimed = dict(given.form).get("client_id")
    if claimed:
        return claimed
    try:
        return base64.b64decode(given.authorization.partition(" ")[2]).partition(b":")[0].decode("latin-1")
    except (binascii.Error, ValueError):
        return ""


def _error(code: str, words: str) -> dict[str, str]:
    return {"error": code, "error_description": words}


def _answer(status: int, body: dict[str, Any]) -> Response:
    response = Response(json.dumps(body).encode(), status=status, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    response.headers["Pragma"] = "no-cache"
    return response


def authorization_server(request: Request) -> Response:
    """RFC 8414."""
    body = json.dumps(metadata(request.registry.portal.site_url, list(SCOPES)))
    response = Response(body.encode(), content_type="application/json")
    response.headers["Cache-Control"] = "public, max-age=3600"
    return response


def includeme(config: Configurator) -> None:
    """Two routes, open to all, without CSRF: no cookie counts here."""
    config.add_route("oauth_token", "/oauth/token")
    config.add_view(
        token, route_name="oauth_token", request_method="POST", permission="public", require_csrf=False
    )
    config.add_route("oauth_metadata", "/.well-known/oauth-authorization-server")
    config.add_view(
        authorization_server, route_name="oauth_metadata", request_method="GET", permission="public"
    )
