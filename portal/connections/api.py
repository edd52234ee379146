"""What every API call shares: the registry of endpoints, reading the body, idempotency, rate limits, ETags.

A room declares an Endpoint and calls `add_endpoint(config, endpoint)`; route, view and OpenAPI entry follow from it.
The endpoint's `act` takes the request and the parsed body and returns an Answer, or raises a portal.errors.Refusal.
"""

import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError
from pyramid.config import Configurator
from pyramid.httpexceptions import (
    HTTPBadRequest,
    HTTPException,
    HTTPRequestEntityTooLarge,
    HTTPUnsupportedMediaType,
)
from pyramid.request import Request
from pyramid.response import Response
from pyramid_retry import mark_error_retryable
from sqlalchemy import text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError, IntegrityError

from portal.connections.clients import SCOPES
from portal.connections.together import ALONE, taken_along
from portal.errors import Fault, Invalid, Refusal, Throttled
from portal.web.errors import answer as refusal
from portal.web.errors import forbidden
from portal.web.limits import too_large_for_system
from portal.web.observe import ALONG

MAX_BODY_BYTES = 1_048_576
# Per client; generous, it stops loops rather than meters use.
RATE_CALLS, RATE_WINDOW_S = 30_000, 60
METERED_CLIENTS = 10_000
SHARE_S = 1.0
UNIQUE_VIOLATION = "23505"
IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,200}")
MOST_NAME = 80
"""Of an unknown parameter's name this much is repeated."""
NAMELESS = "="
"""What a parameter without a name is called: what stands in the address."""
PRIVATE = "private, no-cache"


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON answer; `headers` are kept with it for repeats of the request."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one address. `answers`: status -> (description, model); the usual refusals are added by
    the document, `refusals` are those of this endpoint alone. `query`: the model of the address's parameters.
    `form`: the JSON schema of a multipart form in place of a JSON body. An answer's model `bytes` is a file; to a GET
    `act` may return such a Response itself. `act_together`, in place of `act`, takes several calls of one client at once,
    in the transaction of the one that leads (portal.connections.together)."""

    name: str
    method: str
    path: str
    permission: str
    scope: str
    summary: str
    answers: Mapping[int, tuple[str, Any]]
    act: Callable[[Request, Any], Answer | Response] | None = None
    act_together: Callable[[Request, Sequence["Call"]], list[Answer]] | None = None
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    form: Mapping[str, Any] | None = None
    description: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    refusals: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A request whose body has been read: `data` is the endpoint's model, `key` its Idempotency-Key."""

    request: Request
    data: Any
    key: str | None
    hashed: bytes = b""


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
        config.add_forbidden_view(_refuse_scope(known, endpoint.path), route_name=route)
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


def _refuse_scope(known: list[Endpoint], path: str) -> Callable[[Any, Request], Response]:
    """A good token without the scope is told which one is missing (RFC 6750, 3.1), where its company may have it. It
    says nothing of any record: none was looked for. Where not, there is nothing here, as everywhere."""

    def refuse(error: Any, request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        scope = next(e.scope for e in known if e.path == path and e.method == method)
        if request.ctx.kind not in SCOPES[scope]:
            return forbidden(error, request)
        response = refusal(request, 403, f"This client's token does not carry the scope {scope}.")
        challenge = f'Bearer realm="interline", error="insufficient_scope", scope="{scope}"'
        response.headers["WWW-Authenticate"] = challenge
        return response

    return refuse


def _view(endpoint: Endpoint) -> Callable[[Request], Response]:
    def view(request: Request) -> Response:
        METER.take(request, request.ctx.client_id)
        if endpoint.method == "GET":
            found = endpoint.act(request, read_query(request, endpoint.query or NoQuery))
            return _conditional(found) if isinstance(found, Answer) else found
        call = read_call(request, endpoint)
        along = {
            one: read for one in taken_along(request) if (read := _read_along(call, endpoint, one.request))
        }
        try:
            response, *others = _once(request, endpoint, [call, *along.values()])
        except Exception as error:
            if along:  # the fault may be another's: once more, alone
                request.environ[ALONE] = True
                mark_error_retryable(error)
            # The twin of this request was faster: once more, and its answer is found.
            elif (
                isinstance(error, IntegrityError)
                and getattr(error.orig, "sqlstate", None) == UNIQUE_VIOLATION
            ):
                mark_error_retryable(error)
            raise
        for one, answered in zip(along, others, strict=True):
            one.response = answered
        return response

    view.__name__ = endpoint.name
    return view


def read_call(request: Request, endpoint: Endpoint) -> Call:
    """What the request asks for; raises the refusal of what it cannot ask."""
    data = read_body(request, endpoint.body) if endpoint.body is not None else None
    if endpoint.form is not None and request.content_type != "multipart/form-data":
        raise HTTPUnsupportedMediaType("Send a form with Content-Type: multipart/form-data.")
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return Call(request, data, None)
    if not IDEMPOTENCY_KEY.fullmatch(key):
        cure = "Send 1 to 200 visible ASCII characters, for example a UUID."
        raise Invalid(Fault("Idempotency-Key", None, cure, "key"))
    return Call(request, data, key, _fingerprint(request, endpoint))


def _read_along(first: Call, endpoint: Endpoint, request: Request) -> Call | None:
    """The same of a request that `first` takes along; None for one that is refused, which it is told alone."""
    try:
        METER.take(request, first.request.ctx.client_id)
        call = read_call(request, endpoint)
    except (HTTPException, Refusal):
        return None
    request.matched_route = first.request.matched_route  # for log and figures
    request.environ[ALONG] = (first.request.ctx, first.request.request_id)
    return call


def _conditional(answer: Answer) -> Response:
    response = _respond(answer)
    if response.etag is None:
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
        raise HTTPRequestEntityTooLarge(too_large_for_system(MAX_BODY_BYTES))
    body = request.body
    if len(body) > MAX_BODY_BYTES:
        raise HTTPRequestEntityTooLarge(too_large_for_system(MAX_BODY_BYTES))
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        if problems and problems[0]["type"] == "json_invalid":
            raise HTTPBadRequest(f"The body is not JSON: {problems[0]['msg']}.") from None
        raise Invalid(*(fault(problem) for problem in problems)) from None


class NoQuery(BaseModel):
    """Of an address that takes no parameters."""


def read_query(request: Request, model: type[BaseModel]) -> BaseModel:
    """The address's parameters as `model`; Invalid (422) naming every wrong one. An unknown one is wrong: who sends
    it counts on what it would do."""
    known = ", ".join(model.model_fields) or "none"
    cure = f"There is no such parameter; this address takes: {known}."
    unknown = [key for key in request.GET if key not in model.model_fields]
    faults = [Fault(key[:MOST_NAME] or NAMELESS, None, cure, "unknown_parameter") for key in unknown]
    try:
        found = model.model_validate_strings(dict(request.GET))
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        faults += [fault(problem) for problem in problems]
    if faults:
        raise Invalid(*faults)
    return found


def fault(problem: Any) -> Fault:
    """A pydantic error as a fault: `account.name`, never the value, which may be personal."""
    where = ".".join(str(part) for part in problem["loc"]) or "body"
    return Fault(where, None, str(problem["msg"]).removeprefix("Value error, "), str(problem["type"]))


# -- once --------------------------------------------------------------------------------------------------------

FIND = text("""
    select key, request_hash, status, answer from idempotent_answers
    where company_id = :company and client_id = :client and route = :route and key = any(:keys)
""")
KEEP = text("""
    insert into idempotent_answers
        (company_id, client_id, route, key, realm_id, request_hash, status, answer, created_at)
    values (:company, :client, :route, :key, :realm, :hash, :status,
        jsonb_build_object('body', cast(:body as text), 'headers', cast(:headers as jsonb)), :now)
""")


def _once(request: Request, endpoint: Endpoint, calls: Sequence[Call]) -> list[Response | None]:
    """Act, or with a known Idempotency-Key answer as before. Effects and answers stand in one transaction; the rows
    come last, so that a twin waits for as short a time as possible. None: a call after the first that is to come again
    alone."""
    ctx = request.ctx
    where = {"company": ctx.company_id, "client": ctx.client_id, "route": endpoint.name}
    keys = [call.key for call in calls if call.key is not None]
    known = {row.key: row for row in request.db.execute(FIND, {**where, "keys": keys})} if keys else {}
    responses: dict[Call, Response] = {}
    fresh: dict[str | Call, Call] = {}
    for call in calls:
        if call.key in known:
            found = known[call.key]
            if bytes(found.request_hash) == call.hashed:
                responses[call] = _replay(found)
            elif call is calls[0]:
                raise Invalid(Fault("Idempotency-Key", None, USED, "idempotency_key_reused"))
        else:
            fresh.setdefault(call.key or call, call)
    answers = _answers(request, endpoint, list(fresh.values()))
    kept = []
    for call, answer in zip(fresh.values(), answers, strict=True):
        responses[call] = _respond(answer)
        if call.key is not None:
            row = {"key": call.key, "realm": ctx.realm_id, "hash": call.hashed, "status": answer.status}
            row |= {"body": answer.body.decode(), "headers": json.dumps(dict(answer.headers)), "now": ctx.now}
            kept.append(where | row)
    if kept:
        request.db.execute(KEEP, kept)
    return [responses.get(call) for call in calls]


def _answers(request: Request, endpoint: Endpoint, calls: Sequence[Call]) -> list[Answer]:
    if endpoint.act_together is not None:
        return endpoint.act_together(request, calls) if calls else []
    found = [endpoint.act(call.request, call.data) for call in calls]
    assert all(isinstance(one, Answer) for one in found), "only a GET sends a file"
    return found  # type: ignore[return-value]


def _fingerprint(request: Request, endpoint: Endpoint) -> bytes:
    """What makes two requests the same. Of a form its parts, piece by piece: the lines between them differ each time."""
    hashed = hashlib.sha256(f"{request.path_qs}\n".encode())
    if endpoint.form is None:
        hashed.update(request.body)
        return hashed.digest()
    for name, part in request.POST.items():
        file = getattr(part, "file", None)
        hashed.update(f"{name}\n{getattr(part, 'filename', '')}\n".encode())
        hashed.update(hashlib.file_digest(file, "sha256").digest() if file else str(part).encode())
        if file:
            file.seek(0)
    return hashed.digest()


USED = "This key was used with another request. Use a new key for a new request."


def _replay(found: Any) -> Response:
    answer = Answer(found.status, found.answer["body"].encode(), found.answer["headers"])
    response = _respond(answer)
    response.headers["Idempotent-Replayed"] = "true"
    return response


# -- rate limits -------------------------------------------------------------------------------------------------


METERED = text("select used, left_s from app.meter(:key, :calls, :seconds)")


@dataclass(slots=True)
class Count:
    """One client's calls: `used` in this window by all processes as far as known, `unsaid` not yet told the others."""

    used: int = 0
    unsaid: int = 0
    until: float = 0.0
    told: float = float("-inf")


class Meter:
    """Calls of each client in the current window, of all processes together: each tells the others once in SHARE_S, so
    that a call costs no statement and the limit is exceeded by what comes within that time at most."""

    def __init__(self, calls: int = RATE_CALLS, window_s: int = RATE_WINDOW_S) -> None:
        self.calls, self.window_s = calls, window_s
        self._lock = threading.Lock()
        self._counts: dict[int, Count] = {}

    def take(self, request: Request, client_id: int | None) -> None:
        """Count this call and tell what is left (draft-ietf-httpapi-ratelimit-headers); Throttled when nothing is."""
        client = client_id or 0
        now = time.monotonic()
        with self._lock:
            if len(self._counts) > METERED_CLIENTS:
                self._counts = {}
            count = self._counts.setdefault(client, Count())
            if now >= count.until:
                count.used, count.until = 0, now + self.window_s
            count.used, count.unsaid = count.used + 1, count.unsaid + 1
            due = now - count.told >= SHARE_S
            if due:
                count.told = now
        if due:
            self._share(request.registry.app_engine, client, count)
        left, reset = max(0, self.calls - count.used), max(1, round(count.until - now))

        def tell(_request: Request, response: Response) -> None:
            response.headers["RateLimit-Policy"] = f'"client";q={self.calls};w={self.window_s:.0f}'
            response.headers["RateLimit"] = f'"client";r={left};t={reset}'

        request.add_response_callback(tell)
        if count.used > self.calls:
            raise Throttled(f"More than {self.calls} calls in {self.window_s:.0f} s.", reset)

    def _share(self, engine: Engine, client: int, count: Count) -> None:
        """Add what is unsaid to the sum of all processes and take that over; outside of the request's transaction."""
        with self._lock:
            saying, count.unsaid = count.unsaid, 0
        key = hashlib.sha256(f"api client|{client}".encode()).digest()
        try:
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                given = {"key": key, "calls": saying, "seconds": self.window_s}
                row = connection.execute(METERED, given).one()
        except DBAPIError:
            with self._lock:
                count.unsaid += saying
            return  # the request itself will say what is wrong with the database
        with self._lock:
            count.used, count.until = row.used + count.unsaid, time.monotonic() + row.left_s


METER = Meter()
