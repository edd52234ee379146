"""What every API call shares: the registry of endpoints, reading the body, idempotency, rate limits, ETags.

A room declares an Endpoint and calls `add_endpoint(config, endpoint)`; route, view and OpenAPI entry follow from it.
The endpoint's `act` takes the request and the parsed body and returns an Answer, or raises a portal.errors.Refusal.
"""

import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPBadRequest, HTTPRequestEntityTooLarge, HTTPUnsupportedMediaType
from pyramid.request import Request
from pyramid.response import Response
from pyramid_retry import mark_error_retryable
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from portal.errors import Fault, Invalid, Throttled
from portal.web.errors import answer as refusal

MAX_BODY_BYTES = 1_048_576
# Per client and web process; generous, it stops loops rather than meters use. Counted in memory: no round trip.
RATE_CALLS, RATE_WINDOW_S = 30_000, 60
METERED_CLIENTS = 10_000
UNIQUE_VIOLATION = "23505"
IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,200}")
PRIVATE = "private, no-cache"


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON answer; `headers` are kept with it for repeats of the request."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one address. `answers`: status -> (description, model); refusals are added by the document."""

    name: str
    method: str
    path: str
    permission: str
    scope: str
    summary: str
    act: Callable[[Request, Any], Answer]
    answers: Mapping[int, tuple[str, Any]]
    body: type[BaseModel] | None = None
    description: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


def endpoints(config: Configurator) -> list[Endpoint]:
    """The registry, in the order of declaration."""
    if not hasattr(config.registry, "api_endpoints"):
        config.registry.api_endpoints = []
    found: list[Endpoint] = config.registry.api_endpoints
    return found


def add_endpoint(config: Configurator, endpoint: Endpoint) -> None:
    """Route, view and OpenAPI entry of one endpoint; other methods of its address answer 405."""
    known = endpoints(config)
    first = all(other.path != endpoint.path for other in known)
    known.append(endpoint)
    route = route_name(endpoint.path)
    if first:
        config.add_route(route, endpoint.path)
        allowed = _refuse_method(known, endpoint.path)
        config.add_view(allowed, route_name=route, permission="public", require_csrf=False)
    config.add_view(
        _view(endpoint),
        route_name=route,
        request_method=endpoint.method,
        permission=endpoint.permission,
        require_csrf=False,
    )


def route_name(path: str) -> str:
    """The route of an address: all its methods share it."""
    return f"api {path}"


def _refuse_method(known: list[Endpoint], path: str) -> Callable[[Request], Response]:
    def refuse(request: Request) -> Response:
        methods = sorted({e.method for e in known if e.path == path})
        response = refusal(request, 405, f"Use {' or '.join(methods)} here.")
        response.headers["Allow"] = ", ".join(methods)
        return response

    return refuse


def _view(endpoint: Endpoint) -> Callable[[Request], Response]:
    def view(request: Request) -> Response:
        METER.take(request)
        data = read_body(request, endpoint.body) if endpoint.body is not None else None
        if endpoint.method == "GET":
            return _conditional(endpoint.act(request, data))
        try:
            return _once(request, endpoint, data)
        except IntegrityError as error:
            # The twin of this request was faster: once more, and its answer is found.
            if getattr(error.orig, "sqlstate", None) == UNIQUE_VIOLATION:
                mark_error_retryable(error)
            raise

    view.__name__ = endpoint.name
    return view


def _conditional(answer: Answer) -> Response:
    response = _respond(answer)
    response.etag = hashlib.sha256(answer.body).hexdigest()[:32]
    response.headers["Cache-Control"] = PRIVATE
    response.conditional_response = True
    return response


def _respond(answer: Answer) -> Response:
    response = Response(answer.body, status=answer.status, content_type="application/json")
    response.headers.update(answer.headers)
    return response


# -- the body ----------------------------------------------------------------------------------------------------


def read_body(request: Request, model: type[BaseModel]) -> BaseModel:
    """The body as `model`. 415, 413 and 400 for what is no JSON of ours, Invalid (422) naming every wrong field."""
    kind = request.content_type or ""
    if kind != "application/json" and not kind.endswith("+json"):
        raise HTTPUnsupportedMediaType("Send JSON with Content-Type: application/json.")
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise HTTPRequestEntityTooLarge(f"Send at most {MAX_BODY_BYTES} bytes.")
    body = request.body
    if len(body) > MAX_BODY_BYTES:
        raise HTTPRequestEntityTooLarge(f"Send at most {MAX_BODY_BYTES} bytes.")
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        if problems and problems[0]["type"] == "json_invalid":
            raise HTTPBadRequest(f"The body is not JSON: {problems[0]['msg']}.") from None
        raise Invalid(*(fault(problem) for problem in problems)) from None


def fault(problem: Any) -> Fault:
    """A pydantic error as a fault: `account.name`, never the value, which may be personal."""
    where = ".".join(str(part) for part in problem["loc"]) or "body"
    return Fault(where, None, str(problem["msg"]).removeprefix("Value error, "), str(problem["type"]))


# -- once --------------------------------------------------------------------------------------------------------

FIND = text("""
    select request_hash, status, answer from idempotent_answers
    where company_id = :company and client_id = :client and route = :route and key = :key
""")
KEEP = text("""
    insert into idempotent_answers
        (company_id, client_id, route, key, realm_id, request_hash, status, answer, created_at)
    values (:company, :client, :route, :key, :realm, :hash, :status,
        jsonb_build_object('body', cast(:body as text), 'headers', cast(:headers as jsonb)), :now)
""")


def _once(request: Request, endpoint: Endpoint, data: Any) -> Response:
    """Act, or with a known Idempotency-Key answer as before. Effect and answer stand in one transaction; the row
    comes last, so that a twin waits for as short a time as possible."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return _respond(endpoint.act(request, data))
    if not IDEMPOTENCY_KEY.fullmatch(key):
        raise Invalid(
            Fault(
                "Idempotency-Key", None, "Send 1 to 200 visible ASCII characters, for example a UUID.", "key"
            )
        )
    ctx = request.ctx
    hashed = hashlib.sha256(f"{request.path_qs}\n".encode() + request.body).digest()
    where = {"company": ctx.company_id, "client": ctx.client_id, "route": endpoint.name, "key": key}
    found = request.db.execute(FIND, where).first()
    if found is not None:
        return _replay(found, hashed)
    answer = endpoint.act(request, data)
    row = {
        **where,
        "realm": ctx.realm_id,
        "hash": hashed,
        "status": answer.status,
        "body": answer.body.decode(),
        "headers": json.dumps(dict(answer.headers)),
        "now": ctx.now,
    }
    request.db.execute(KEEP, row)
    return _respond(answer)


def _replay(found: Any, hashed: bytes) -> Response:
    if bytes(found.request_hash) != hashed:
        raise Invalid(
            Fault(
                "Idempotency-Key",
                None,
                "This key was used with another request. Use a new key for a new request.",
                "idempotency_key_reused",
            )
        )
    answer = Answer(found.status, found.answer["body"].encode(), found.answer["headers"])
    response = _respond(answer)
    response.headers["Idempotent-Replayed"] = "true"
    return response


# -- rate limits -------------------------------------------------------------------------------------------------


class Meter:
    """Calls of each client in this process's current window."""

    def __init__(self, calls: int = RATE_CALLS, window_s: float = RATE_WINDOW_S) -> None:
        self.calls, self.window_s = calls, window_s
        self._lock = threading.Lock()
        self._begun = 0.0
        self._counts: dict[int, int] = {}

    def take(self, request: Request) -> None:
        """Count this call and tell what is left (draft-ietf-httpapi-ratelimit-headers); Throttled when nothing is."""
        client = request.ctx.client_id or 0
        now = time.monotonic()
        with self._lock:
            if now - self._begun >= self.window_s or len(self._counts) > METERED_CLIENTS:
                self._begun, self._counts = now, {}
            used = self._counts[client] = self._counts.get(client, 0) + 1
        left, reset = max(0, self.calls - used), max(1, round(self._begun + self.window_s - now))

        def tell(_request: Request, response: Response) -> None:
            response.headers["RateLimit-Policy"] = f'"client";q={self.calls};w={self.window_s:.0f}'
            response.headers["RateLimit"] = f'"client";r={left};t={reset}'

        request.add_response_callback(tell)
        if used > self.calls:
            raise Throttled(f"More than {self.calls} calls in {self.window_s:.0f} s.", reset)


METER = Meter()
