"""Every request has an id, is timed and logged in one line; /metrics shows the figures on this machine."""

import ipaddress
import time
from collections.abc import Callable
from typing import Any

import structlog
from prometheus_client import CONTENT_TYPE_LATEST
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPNotFound
from pyramid.request import Request
from pyramid.response import Response
from pyramid_retry import is_error_retryable
from structlog.contextvars import bind_contextvars, clear_contextvars

from portal import metrics
from portal.logs import request_id

log = structlog.get_logger(__name__)

# Asked by machines every few seconds: counted, not told.
QUIET_ROUTES = frozenset({"healthz", "readyz", "metrics"})
ALONG = "interline.along"
"""In the environ: context and id of the request whose transaction this one went along with."""


def observe_tween(handler: Callable[[Request], Response], _registry: Any) -> Callable[[Request], Response]:
    """Around everything else, so that errors and retries count as what the caller got."""

    def tween(request: Request) -> Response:
        began = time.perf_counter()
        clear_contextvars()
        bind_contextvars(request=request.request_id)
        response = handler(request)
        seconds = time.perf_counter() - began
        if is_error_retryable(request, request.exception):
            log.info("request begins again", error=type(request.exception).__name__)
            return response
        response.headers["X-Request-Id"] = request.request_id
        name, pattern = _route(request)
        metrics.REQUESTS.labels(pattern, _method(request), str(response.status_int)).observe(seconds)
        if name not in QUIET_ROUTES:
            # The pattern, not the address: addresses hold tokens of mail links and what people search for.
            log.info(
                "request",
                method=_method(request),
                route=pattern,
                status=response.status_int,
                ms=round(seconds * 1000, 1),
                **_who(request),
            )
        return response

    return tween


METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _method(request: Request) -> str:
    return request.method if request.method in METHODS else "other"


def _route(request: Request) -> tuple[str, str]:
    """Name and pattern of the route; '-' for none, so that strangers cannot make new labels."""
    route = getattr(request, "matched_route", None)
    if route is not None:
        return str(route.name), str(route.pattern)
    return "", "static" if request.environ.get("PATH_INFO", "").startswith("/static/") else "-"


def _who(request: Request) -> dict[str, int | str]:
    """Company and person by id, when the request was told apart from a stranger's, and whose transaction it shared."""
    ctx, along = request.environ.get(ALONG) or (getattr(request.__dict__.get("db"), "ctx", None), None)
    found = {"company": ctx.company_id, "person": ctx.person_id, "client": ctx.client_id} if ctx else {}
    found["along"] = along
    return {name: value for name, value in found.items() if value is not None}


def _request_id(request: Request) -> str:
    # Kept in the environ so that a retried request and its error page share one.
    environ = request.environ
    if "interline.request_id" not in environ:
        environ["interline.request_id"] = request_id(environ.get("HTTP_X_REQUEST_ID"))
    return str(environ["interline.request_id"])


def show(request: Request) -> Response:
    """GET /metrics, for a Prometheus on this machine: any other caller, also through a proxy, finds nothing here."""
    forwarded = any(name in request.headers for name in ("X-Forwarded-For", "Forwarded", "Via"))
    try:
        local = ipaddress.ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        local = False
    if forwarded or not local:
        raise HTTPNotFound()
    body = metrics.exposition(request.registry.app_engine)
    return Response(body, headerlist=[("Content-Type", CONTENT_TYPE_LATEST)])


def includeme(config: Configurator) -> None:
    """The tween above all others, request.request_id, and the route."""
    config.add_request_method(_request_id, "request_id", property=True)
    config.add_tween("portal.web.observe.observe_tween")
    config.add_route("metrics", "/metrics", request_method="GET")
    config.add_view(show, route_name="metrics", permission="public")
