"""Refusals and exceptions as answers: pages for people, RFC 9457 problems for systems. The one place for status codes."""

from typing import Any
from urllib.parse import quote

import structlog
from pyramid.config import Configurator
from pyramid.exceptions import BadCSRFToken
from pyramid.httpexceptions import HTTPException, HTTPForbidden, HTTPFound, HTTPNotFound
from pyramid.renderers import render, render_to_response
from pyramid.request import Request
from pyramid.response import Response
from pyramid_retry import mark_error_retryable
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from portal import errors
from portal.db import plans_outlived, session_for
from portal.gateways import StorageError
from portal.security.context import Credential, digest
from portal.security.cookie import key_of
from portal.web.filters import BadParameter
from portal.web.i18n import SOURCE, _, languages, localizer_of, tr
from portal.web.limits import SYSTEMS
from portal.web.told import TOLD

log = structlog.get_logger(__name__)

PROBLEM = "application/problem+json"
RETRY_AFTER_S = 3
AWAY = _("The service cannot reach its database. Nothing was changed; try again in a moment.")
FULL = _("The service has no room to keep anything just now. Nothing was changed; try again later.")
SIGNED_OUT = _("You are signed out. Sign in in another tab, then send this again.")
FOREIGN = _("This form is too old. Go back, reload the page and send it again.")
NO_STORAGE = _("Files cannot be read or added at the moment. Nothing was changed; try again in a moment.")
NOT_UTF8 = _("The form holds characters that are not UTF-8.")
NO_FORM = _("The form cannot be read. Send it as multipart/form-data or application/x-www-form-urlencoded.")
NUL = _("A field holds a character that cannot be kept (NUL). Type it again.")
TOO_OLD = _("The form was older than your session. Look at what you sent, then send it again.")
UNSURE = _(
    "The service lost its database while it was finishing, so it is not known whether this was done. Look before you"
    " repeat it; a system repeats the request with the same Idempotency-Key."
)


def wants_problem(request: Request) -> bool:
    """Systems get JSON problems, people get pages."""
    return bool(request.path_info.startswith(SYSTEMS))


def answer(
    request: Request, status: int, message: str, faults: tuple[errors.Fault, ...] = (), by_rule: bool = False
) -> Response:
    """The error as a page or a problem, its status set."""
    if wants_problem(request):
        body: dict[str, Any] = {"type": "about:blank", "title": TITLES.get(status, "Error"), "status": status}
        body["detail"] = message
        if status >= 500:
            body["instance"] = f"urn:interline:request:{request.request_id}"
        if faults:
            body["errors"] = [{"field": f.field, "code": f.code, "message": f.message} for f in faults]
        response = Response(json_body=body, status=status)
        response.content_type = PROBLEM
        return response
    values: dict[str, Any] = {"status": status, "message": message, "faults": faults, "by_rule": by_rule}
    if status >= 500:
        values |= {"reference": request.request_id, "kept": kept(request), "again": request.path_qs}
    response = render_to_response("error.jinja2", values, request=request)
    response.status_int = status
    return response


MAX_KEPT = 100_000
"""Characters of a form that an error page gives back."""
SECRETS = ("password", "code", "secret", "token")
"""A form with a field of such a name is not given back: its value must not be written into a page."""


def kept(request: Request) -> list[tuple[str, str]]:
    """What was sent by a form that failed, so that it can be sent again; [] where it must not or cannot be."""
    if request.method != "POST":
        return []
    sent = [(name, value) for name, value in request.POST.items() if name != "csrf_token"]
    if any(not isinstance(value, str) or "\x00" in value for _name, value in sent):
        return []  # a file is not given back
    if any(word in name for name, _value in sent for word in SECRETS):
        return []
    return sent if sum(len(value) for _name, value in sent) <= MAX_KEPT else []


def own_form(request: Request) -> bool:
    """Whether a page of this site sent the form: what another site wrote must not come back with a token that counts."""
    site = request.headers.get("Sec-Fetch-Site")
    return site == "same-origin" if site else request.headers.get("Origin") == request.host_url


def returnable(request: Request) -> list[tuple[str, str]]:
    """What may be given back of a form that was refused before anything read it."""
    if wants_problem(request) or not own_form(request) or sent_fault(request):
        return []
    return kept(request)


def given_back(request: Request, status: int, message: str, sent: list[tuple[str, str]]) -> Response:
    """A form that was not taken because of who sent it or when; it holds what the sender sent and nothing else."""
    values = {
        "status": status,
        "message": message,
        "kept": sent,
        "again": request.path_qs,
        "given_back": True,
    }
    response = render_to_response("error.jinja2", values, request=request)
    response.status_int = status
    response.headers["X-Given-Back"] = "1"  # the page's script puts it in the place of the content
    return response


def away(request: Request, happened: Any) -> Response:
    """The page for when the database is away. What may have been done already is not offered to be sent again."""
    told, sent = TOLD[503], [] if happened is UNSURE else kept(request)
    words = {
        "title": told.title,
        "happened": happened,
        "kept": "" if happened is UNSURE else told.kept,
        "again": _("Send it again") if sent else _("Try again"),
        "typed": _("What you typed is kept on this page.") if sent else "",
    }
    url = request.path_qs if sent or request.method == "GET" else "/"
    return bare(request, 503, words, sent=sent, url=url, sign=told.icon)


def illegible(request: Request) -> Response:
    """For an address that is not UTF-8, which other pages would name; nothing behind this has seen the request."""
    if request.environ.get("PATH_INFO", "").startswith(SYSTEMS):
        detail = "The address holds characters that are not UTF-8. Send them as UTF-8, percent-encoded."
        body = {"type": "about:blank", "title": TITLES[400], "status": 400, "detail": detail}
        return Response(json_body=body, status=400, content_type=PROBLEM)
    told = TOLD[400]
    words = {"title": told.title, "happened": told.kept, "kept": told.cure, "again": told.button, "typed": ""}
    return bare(request, 400, words, own_language(request), sent=[], url="/", sign=told.icon)


def own_language(request: Request) -> str:
    """Of the account that is signed in, '' where nobody is or the database cannot say: for what no view has seen."""
    key = key_of(request)
    if not key:
        return ""
    try:
        with session_for(request.registry.app_engine, Credential("session", digest(key))) as session:
            ctx = session.context
            return ctx.language if ctx.person_id is not None else ""
    except Exception:  # the page is drawn all the same
        return ""


def bare(request: Request, status: int, words: dict[str, Any], language: str = "", **more: Any) -> Response:
    """A page that asks nothing of the database, not even who reads or, unless it is given, in which language."""
    known = list(languages())
    language = language or request.cookies.get("language", "")
    if language not in known:
        language = (
            request.accept_language.lookup(known, default=SOURCE) if request.accept_language else SOURCE
        )
    tr = localizer_of(language).translate
    spoken = {name: tr(word) if word else "" for name, word in words.items()}
    page = render("away.jinja2", {"language": language, "words": spoken, **more})
    return Response(page, status=status, charset="utf-8")


TITLES = {
    400: "Bad request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    410: "Gone",
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
        case errors.Gone():
            return answer(request, 410, error.message, error.faults)
        case errors.Throttled():
            response = answer(request, 429, error.message)
            response.headers["Retry-After"] = str(error.retry_after)
            return response
        case errors.Conflict() if error.overtaken:
            return answer(request, 409, error.message)
        case _:
            return answer(request, 409, error.message, by_rule=True)


def bad_parameter(error: BadParameter, request: Request) -> Response:
    """A wrong parameter in an address."""
    response = answer(request, 400, str(error) if wants_problem(request) else error.said)
    response.headers["X-Field"] = quote(error.field)  # the page's script says it there
    return response


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
    sent = returnable(request)
    if sent:
        return given_back(request, 401, SIGNED_OUT, sent)
    where = request.path_qs if request.method == "GET" else "/"
    return HTTPFound(request.route_path("sign_in", _query={"next": where} if where != "/" else {}))


def bad_csrf(_error: BadCSRFToken, request: Request) -> Response:
    """A form that is too old or not ours. One of this site comes back with the token of this session."""
    sent = returnable(request)
    if sent:
        return given_back(request, 400, TOO_OLD, sent)
    return answer(request, 400, FOREIGN)


def http_error(error: HTTPException, request: Request) -> Response:
    """Redirects pass; other HTTP errors get our page."""
    if error.status_int < 400:
        return error
    return answer(request, error.status_int, error.detail or TITLES.get(error.status_int, error.title))


def sent_fault(request: Request) -> str:
    """Why what came cannot be used, whichever page it was for; nothing when the failure is ours."""
    try:
        given = [*request.GET.values(), *request.POST.values()]
    except UnicodeDecodeError:
        return NOT_UTF8
    except (
        Exception
    ):  # the parser of multipart forms has no error of its own for all that can be wrong with one
        return NO_FORM
    if any(
        isinstance(value, str) and "\x00" in value for value in given
    ):  # PostgreSQL keeps all but this one
        return NUL
    return ""


# Besides PostgreSQL's own operational errors: our transaction timed out while idle, the server only reads (failover).
AWAY_STATES = ("25P03", "25P04", "25006")
DISK_FULL = "53100"


def is_away(error: Exception) -> bool:
    """Whether the database could not do its part just now, so that the same request may work in a moment."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, PoolTimeout)
    state = getattr(error.orig, "sqlstate", None)
    return isinstance(error, OperationalError) or error.connection_invalidated or state in AWAY_STATES


def database_down(error: Exception, request: Request) -> Response:
    """The database cannot be reached or is full: say so, and whether anything was done."""
    if isinstance(error, DBAPIError) and plans_outlived(error.orig):
        mark_error_retryable(error)
    if not is_away(error):
        return unexpected(error, request)
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    log.warning("database unavailable", error=type(getattr(error, "orig", error)).__name__, state=state)
    # pyramid_tm has left by then: the connection broke on COMMIT, so the database may or may not have done it.
    unsure = "tm.active" not in request.environ and request.method not in ("GET", "HEAD")
    said = UNSURE if unsure else FULL if state == DISK_FULL else AWAY
    response = answer(request, 503, tr(said)) if wants_problem(request) else away(request, said)
    response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def storage_down(error: StorageError, request: Request) -> Response:
    """Files cannot be kept or read; the rest of the site goes on."""
    log.warning("storage unavailable", error=str(error))
    response = answer(request, 503, NO_STORAGE)
    response.headers["Retry-After"] = "5"
    return response


def unexpected(error: Exception, request: Request) -> Response:
    """Our mistake, unless what was sent cannot be read at all. The log has the frames, not the values."""
    fault = sent_fault(request)
    if fault:
        return answer(request, 400, fault)
    route = request.matched_route
    log.error(
        "unexpected error", route=route.pattern if route else "-", method=request.method, exc_info=error
    )
    return answer(request, 500, "Something went wrong on our side. Nothing was changed.")


def includeme(config: Configurator) -> None:
    """Register all of them."""
    config.add_exception_view(refused, context=errors.Refusal)
    config.add_exception_view(bad_parameter, context=BadParameter)
    config.add_exception_view(bad_csrf, context=BadCSRFToken)
    config.add_exception_view(http_error, context=HTTPException)
    config.add_exception_view(database_down, context=DBAPIError)
    config.add_exception_view(storage_down, context=StorageError)
    config.add_exception_view(database_down, context=PoolTimeout)
    config.add_exception_view(unexpected, context=Exception)
    config.add_notfound_view(not_found, append_slash=False)
    config.add_forbidden_view(forbidden)
