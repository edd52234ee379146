"""The token endpoint's side of RFC 6749 on Authlib: who asks, for what, and the answer or error in its words.

Knows neither the database nor HTTP: a Store checks secrets and keeps tokens, the caller makes the response.
"""

import logging
import secrets
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from authlib.oauth2.rfc6749 import AuthorizationServer, ClientMixin, OAuth2Request
from authlib.oauth2.rfc6749.errors import InvalidClientError, InvalidRequestError, OAuth2Error
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc6749.requests import OAuth2Payload
from authlib.oauth2.rfc6750 import BearerTokenGenerator

# Authlib's own default for this grant is ten days.
TOKEN_LIFETIME_S = 3600
TOKEN_BYTES = 32
METHODS = ["client_secret_basic", "client_secret_post"]
# RFC 6749, 5.1: no cache may keep a token.
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}

# At level debug Authlib writes tokens into the log.
logging.getLogger("authlib").setLevel(logging.INFO)


class Store(Protocol):
    """Where clients and tokens are kept."""

    def scopes_of(self, client_id: str, secret: str) -> frozenset[str] | None:
        """The scopes granted to the client, or None when it does not exist or the secret is another."""

    def save(self, client_id: str, secret: str, token: str, scopes: Sequence[str], seconds: int) -> bool:
        """Keep a token (hashed) for `seconds`; False when the client was revoked meanwhile."""


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What came in: the header Authorization and the decoded form, repeated parameters included."""

    authorization: str
    form: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """What goes out, as JSON."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str]


class _Client(ClientMixin):  # type: ignore[misc]
    """A client on its way through Authlib; it is real once `check_client_secret` has said so."""

    def __init__(self, client_id: str, store: Store) -> None:
        self.client_id = client_id
        self.secret = ""
        self.scopes: frozenset[str] = frozenset()
        self._store = store

    def check_client_secret(self, secret: str) -> bool:
        """Whether the secret is this client's."""
        found = self._store.scopes_of(self.client_id, secret)
        if found is None:
            return False
        self.secret, self.scopes = secret, found
        return True

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        """Secret in the header or in the form, never none."""
        return method in METHODS

    def check_grant_type(self, grant_type: str) -> bool:
        """Systems only: client credentials."""
        return bool(grant_type == ClientCredentialsGrant.GRANT_TYPE)

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """All its scopes when none is asked for (RFC 6749, 3.3); None, an error, when it asks for another's."""
        asked = frozenset((scope or "").split()) or self.scopes
        return " ".join(sorted(asked)) if asked <= self.scopes else None


class _Form(OAuth2Payload):  # type: ignore[misc]
    def __init__(self, form: Sequence[tuple[str, str]]) -> None:
        self._list: defaultdict[str, list[str]] = defaultdict(list)
        for key, value in form:
            self._list[key].append(value)

    @property
    def data(self) -> dict[str, str]:
        return {key: values[0] for key, values in self._list.items()}

    @property
    def datalist(self) -> defaultdict[str, list[str]]:
        return self._list


class _Request(OAuth2Request):  # type: ignore[misc]
    def __init__(self, given: TokenRequest) -> None:
        # Whether the line is encrypted is the concern of the proxy in front, which Authlib cannot see.
        headers = {"Authorization": given.authorization} if given.authorization else {}
        super().__init__("POST", "https://localhost/oauth/token", headers=headers)
        self.payload = _Form(given.form)

    @property
    def form(self) -> dict[str, str]:
        return self.payload.data


class _Grant(ClientCredentialsGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = METHODS


class _Server(AuthorizationServer):  # type: ignore[misc]
    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self.register_grant(_Grant)
        self.register_token_generator(
            "default",
            BearerTokenGenerator(
                lambda **_: secrets.token_urlsafe(TOKEN_BYTES), expires_generator=TOKEN_LIFETIME_S
            ),
        )

    def query_client(self, client_id: str) -> _Client:
        return _Client(client_id, self._store)

    def save_token(self, token: Mapping[str, Any], request: OAuth2Request) -> None:
        client = request.client
        scopes = str(token.get("scope", "")).split()
        if not self._store.save(
            client.client_id, client.secret, token["access_token"], scopes, token["expires_in"]
        ):
            raise InvalidClientError(status_code=401)

    def create_oauth2_request(self, request: _Request) -> _Request:
        return request

    def handle_response(self, status: int, body: Any, headers: Any) -> TokenAnswer:
        return TokenAnswer(status, body, {**dict(headers), **NO_STORE})

    def send_signal(self, name: str, *_: Any, **__: Any) -> None:
        return None


def token_answer(given: TokenRequest, store: Store) -> TokenAnswer:
    """Answer one token request; errors are answers too (RFC 6749, 5.2)."""
    server, request = _Server(store), _Request(given)
    try:
        _refuse_ambiguous(request)
        answer: TokenAnswer = server.create_token_response(request)
    except OAuth2Error as error:
        answer = server.handle_error_response(request, error)
    except (UnicodeError, ValueError):  # a header Authorization that is not base64 of text
        answer = server.handle_error_response(request, InvalidClientError(status_code=401))
    return _challenged(answer)


def _refuse_ambiguous(request: _Request) -> None:
    if any(len(values) > 1 for values in request.payload.datalist.values()):
        raise InvalidRequestError("A parameter is repeated.")
    if request.headers.get("Authorization") and "client_secret" in request.payload.data:
        raise InvalidRequestError("Send the client's secret in the header or in the form, not in both.")


def _challenged(answer: TokenAnswer) -> TokenAnswer:
    """An unknown client is always 401 with the challenge that RFC 6749, 5.2 asks for."""
    if answer.body.get("error") != "invalid_client":
        return answer
    headers = {**answer.headers, "WWW-Authenticate": 'Basic realm="interline", charset="UTF-8"'}
    return TokenAnswer(401, {"error": "invalid_client", "error_description": NOT_KNOWN}, headers)


NOT_KNOWN = "Client id and secret do not belong together, or the client was revoked."


def metadata(issuer: str, scopes: Sequence[str]) -> dict[str, Any]:
    """The document of RFC 8414 for a server that knows client credentials only; `issuer` without a trailing slash."""
    return {
        "issuer": issuer,
        "token_endpoint": f"{issuer}/oauth/token",
        "token_endpoint_auth_methods_supported": METHODS,
        "grant_types_supported": [ClientCredentialsGrant.GRANT_TYPE],
        "response_types_supported": [],
        "scopes_supported": list(scopes),
        "service_documentation": f"{issuer}/help/api",
    }
