"""Refusals and exceptions as answers: pages for people, RFC 9457 problems for systems. The one place for status codes."""

from typing import Any

import structlog
from pyramid.config import Configurator
from pyramid.exceptions import BadCSRFToken
from pyramid.httpexceptions import HTTPException, HTTPForbidden, HTTPFound, HTTPNotFound
from pyramid.renderers import render_to_response
from pyramid.request import Request
from pyramid.response import Response
from sqlalchemy.exc import DBAPIError, OperationalError

from portal import errors
from portal.web.tables import BadParameter

log = structlog.get_logger(__name__)

PROBLEM = "application/problem+json"


def wants_problem(request: Request) -> bool:
    """Systems get JSON problems, people get pages."""
    path = request.path_info
    return path.startswith(("/api/", "/oauth/"))


def answer(request: Request, status: int, message: str, faults: tuple[errors.Fault, ...] = ()) -> Response:
    """The error as a page or a problem, its status set."""
    if wants_problem(request):
        body: dict[str, Any] = {"type": "about:blank", "title": TITLES.get(status, "Error"), "status": status}
        body["detail"] = message
        if faults:
            body["errors"] = [{"field": f.field, "code": f.code, "message": f.message} for f in faults]
        response = Response(json_body=body, status=status)
        response.content_type = PROBLEM
        return response
    response = render_to_response(
        "error.jinja2", {"status": status, "message": message, "faults": faults}, request=request
    )
    response.status_int = status
    return response


TITLES = {
    400: "Bad request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    412: "Precondition failed",
    413: "Content too large",
    415: "Unsupported media type",
    422: "Unprocessable content",
    429: "Too many requests",
    500: "Internal server error",
    503: "Service unavailable",
}


def refused(error: errors.Refusal, request: Request) -> Response:
    """A domain refusal."""
    match error:
        case errors.NotFound():
            return answer(request, 404, error.message)
        case errors.Invalid():
            return answer(request, 422, error.message, error.faults)
        case errors.Throttled():
            response = answer(request, 429, error.message)
            response.headers["Retry-After"] = str(error.retry_after)
            return response
        case _:
            return answer(request, 409, error.message)


def bad_parameter(error: BadParameter, request: Request) -> Response:
    """A wrong parameter in an address."""
    return answer(request, 400, str(error))


def not_found(_error: HTTPNotFound, request: Request) -> Response:
    """Nothing here; the same words as for what is not yours."""
    return answer(request, 404, errors.NotFound().message)


def forbidden(_error: HTTPForbidden, request: Request) -> Response:
    """Strangers are sent to sign in (or challenged); for everybody else what is not theirs does not exist."""
    if request.identity is not None:
        return answer(request, 404, errors.NotFound().message)
    if wants_problem(request):
        response = answer(
            request, 401, "Send a valid access token as 'Authorization: Bearer ...'; get one at /oauth/token."
        )
        response.headers["WWW-Authenticate"] = 'Bearer realm="interline"'
        return response
    if request.path_info.startswith("/o/"):
        return answer(request, 404, "This link is no longer valid. Sign in to see your offers.")
    where = request.path_qs if request.method == "GET" else "/"
    return HTTPFound(request.route_path("sign_in", _query={"next": where} if where != "/" else {}))


def bad_csrf(_error: BadCSRFToken, request: Request) -> Response:
    """A form that is too old or not ours."""
    return answer(request, 400, "This form is too old. Go back, reload the page and send it again.")


def http_error(error: HTTPException, request: Request) -> Response:
    """Redirects pass; other HTTP errors get our page."""
    if error.status_int < 400:
        return error
    return answer(request, error.status_int, error.detail or TITLES.get(error.status_int, error.title))


def unreadable(error: UnicodeDecodeError, request: Request) -> Response:
    """A form that is not UTF-8 is its sender's mistake; bytes that we misread ourselves are ours."""
    try:
        _given = request.POST
    except UnicodeDecodeError:
        return answer(request, 400, "The form holds characters that are not UTF-8.")
    return unexpected(error, request)


def database_down(error: DBAPIError, request: Request) -> Response:
    """The database cannot be reached: say so and that nothing was done."""
    if not isinstance(error, OperationalError):
        return unexpected(error, request)
    log.warning("database unavailable", error=type(error.orig).__name__)
    response = answer(
        request, 503, "The service cannot reach its database. Nothing was changed; try again in a moment."
    )
    response.headers["Retry-After"] = "5"
    return response


def unexpected(error: Exception, request: Request) -> Response:
    """Our mistake. The log has the frames, not the values."""
    log.error("unexpected error", path=request.path_info, method=request.method, exc_info=error)
    return answer(request, 500, "Something went wrong on our side. Nothing was changed.")


def includeme(config: Configurator) -> None:
    """Register all of them."""
    config.add_exception_view(refused, context=errors.Refusal)
    config.add_exception_view(bad_parameter, context=BadParameter)
    config.add_exception_view(bad_csrf, context=BadCSRFToken)
    config.add_exception_view(http_error, context=HTTPException)
    config.add_exception_view(unreadable, context=UnicodeDecodeError)
    config.add_exception_view(database_down, context=DBAPIError)
    config.add_exception_view(unexpected, context=Exception)
    config.add_notfound_view(not_found, append_slash=False)
    config.add_forbidden_view(forbidden)
