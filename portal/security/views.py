"""Pages of signing in and out: sign-in, choosing a company, invitation, forgotten password."""

from typing import Any

from pydantic import BaseModel, Field
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPFound
from pyramid.request import Request
from pyramid.response import Response

from portal.errors import Invalid, NotFound
from portal.security import signin
from portal.security.passwords import PASSWORD_MAX
from portal.security.policy import COMPANY_COOKIE, SESSION_COOKIE
from portal.security.throttle import address_of
from portal.web.flash import flash
from portal.web.forms import Form
from portal.web.i18n import _, tr

COMPANY_COOKIE_S = 365 * 24 * 3600
FAILED = _("E-mail or password is not right. Check both; after ten tries you have to wait.")
ROLES = {
    "operator": _("Operator"),
    "channel_manager": _("Channel manager"),
    "account_manager": _("Partner account manager"),
    "sales_rep": _("Sales"),
    "service_agent": _("Service"),
    "administrator": _("Administrator"),
    "sales": _("Sales"),
    "service": _("Service"),
}
WAIT = _("Too many tries. Wait ${minutes} minutes, then try again.")


class SignIn(BaseModel):
    """The form of the sign-in page."""

    email: str = Field(
        title=_("Work e-mail"),
        max_length=254,
        json_schema_extra={
            "widget": "email",
            "attrs": {"autocomplete": "username", "autocapitalize": "none"},
        },
    )
    password: str = Field(
        title=_("Password"),
        max_length=PASSWORD_MAX,
        json_schema_extra={"widget": "password", "attrs": {"autocomplete": "current-password"}},
    )


class Forgotten(BaseModel):
    """The form that asks for a link."""

    email: str = Field(
        title=_("Work e-mail"),
        max_length=254,
        json_schema_extra={
            "widget": "email",
            "attrs": {"autocomplete": "username", "autocapitalize": "none"},
        },
    )


class Welcome(BaseModel):
    """The form behind an invitation or reset link."""

    password: str = Field(
        title=_("New password"),
        description=_("At least 10 characters. Several words are easier to remember than signs."),
        json_schema_extra={
            "widget": "password",
            "attrs": {"autocomplete": "new-password", "minlength": "10"},
        },
    )


def local_path(given: str | None) -> str:
    """`given` if it is a path of this site, else "/": browsers read // and /\\ as another host."""
    path = given or "/"
    if not path.startswith("/") or path[1:2] in ("/", "\\") or not path.isascii() or not path.isprintable():
        return "/"
    return path


# -- sign in -----------------------------------------------------------------------------------------------------


def sign_in_page(request: Request) -> Any:
    """The empty form; who is signed in already goes where they wanted."""
    target = local_path(request.GET.get("next"))
    if request.ctx.person_id is not None and request.ctx.kind != "link":
        return HTTPFound(target)
    return {"form": Form(SignIn), "next": target}


def sign_in(request: Request) -> Any:
    """Try; the refusal is returned, not raised, so that the count of attempts is kept."""
    form = Form(SignIn)
    target = local_path(request.POST.get("next"))
    data = form.parse(request.POST)
    if data is None:
        return _again(request, form, target, 422)
    attempt = signin.sign_in(
        request.db, data.email, data.password, address_of(request), request.cookies.get(SESSION_COOKIE)
    )
    if attempt.secret is None:
        return _refused(request, form, target, attempt.retry_after)
    return _signed_in(request, attempt, target)


def _refused(request: Request, form: Form[SignIn], target: str, wait: int) -> dict[str, Any]:
    if wait:
        form.fail("", tr(_(WAIT, mapping={"minutes": str(max(1, wait // 60))})))
        request.response.headers["Retry-After"] = str(wait)
        return _again(request, form, target, 429)
    form.fail("", tr(FAILED))
    return _again(request, form, target, 422)


def _again(request: Request, form: Form[Any], target: str, status: int) -> dict[str, Any]:
    request.response.status_int = status
    return {"form": form, "next": target}


def _signed_in(request: Request, attempt: signin.Attempt, target: str) -> Response:
    """Set the new key, begin a new flash and CSRF session, and ask for the company where there are several."""
    assert attempt.secret is not None
    assert attempt.context is not None
    request.session.invalidate()
    several = attempt.context.companies > 1
    where = request.route_path("choose_company", _query={"next": target}) if several else target
    response = HTTPFound(where)
    response.set_cookie(
        SESSION_COOKIE, attempt.secret, httponly=True, secure=_https(request), samesite="Lax", overwrite=True
    )
    return response


def _https(request: Request) -> bool:
    return bool(request.registry.portal.site_url.startswith("https"))


# -- sign out ----------------------------------------------------------------------------------------------------


def sign_out(request: Request) -> Response:
    """End this session, or every one of this person (field `everywhere`)."""
    secret = request.cookies.get(SESSION_COOKIE)
    everywhere = bool(request.POST.get("everywhere"))
    if secret:
        signin.sign_out(request.db, secret, everywhere)
    request.session.invalidate()
    flash(request, _("You are signed out everywhere.") if everywhere else _("You are signed out."), "info")
    response = HTTPFound(request.route_path("sign_in"))
    response.delete_cookie(SESSION_COOKIE)
    return response


def me(request: Request) -> dict[str, Any]:
    """The reader's own account."""
    ctx = request.ctx
    return {
        "person": signin.me(request.db),
        "company": ctx.company_name,
        "roles": [ROLES.get(role, role) for role in sorted(ctx.roles)],
        "several": ctx.companies > 1,
        "idle_hours": signin.SESSION_IDLE_S // 3600,
    }


# -- which company -----------------------------------------------------------------------------------------------


def choose_company_page(request: Request) -> dict[str, Any]:
    """The companies this person works for, as buttons."""
    secret = request.cookies.get(SESSION_COOKIE, "")
    found = signin.choices(request.db, secret)
    return {"companies": found, "here": request.ctx.company_id, "next": local_path(request.GET.get("next"))}


def choose_company(request: Request) -> Response:
    """Remember the choice in a cookie; what it opens is checked by the database on every request."""
    chosen = request.POST.get("company", "")
    ids = {
        str(number) for number, _name in signin.choices(request.db, request.cookies.get(SESSION_COOKIE, ""))
    }
    if chosen not in ids:
        raise NotFound()
    response = HTTPFound(local_path(request.POST.get("next")))
    response.set_cookie(
        COMPANY_COOKIE,
        chosen,
        max_age=COMPANY_COOKIE_S,
        httponly=True,
        secure=_https(request),
        samesite="Lax",
    )
    return response


# -- invitation and reset ----------------------------------------------------------------------------------------


def welcome_page(request: Request) -> dict[str, Any]:
    """Whom the link is for, and the form. Following the link changes nothing."""
    found = signin.invitation(request.db, request.matchdict["token"])
    if found is None:
        return _used_up(request)
    return {"form": Form(Welcome), "person": found, "token": request.matchdict["token"]}


def welcome(request: Request) -> Any:
    """Set the password and sign in."""
    token = request.matchdict["token"]
    found = signin.invitation(request.db, token)
    if found is None:
        return _used_up(request)
    form = Form(Welcome)
    data = form.parse(request.POST)
    if data is not None:
        try:
            attempt = signin.accept(request.db, token, data.password, request.cookies.get(SESSION_COOKIE))
        except Invalid as error:
            form.fail("password", error.faults[0].message)
        else:
            if attempt.secret is None:
                return HTTPFound(request.route_path("sign_in"))
            return _signed_in(request, attempt, "/")
    request.response.status_int = 422
    return {"form": form, "person": found, "token": token}


def _used_up(request: Request) -> dict[str, Any]:
    request.response.status_int = 404
    return {"form": None, "person": None, "token": ""}


def forgotten_page(_request: Request) -> dict[str, Any]:
    """Ask for the address."""
    return {"form": Form(Forgotten), "sent": False}


def forgotten(request: Request) -> dict[str, Any]:
    """Say the same whether or not the address is known."""
    form = Form(Forgotten)
    data = form.parse(request.POST)
    if data is None:
        request.response.status_int = 422
        return {"form": form, "sent": False}
    wait = signin.ask_reset(request.db, data.email, address_of(request))
    if wait:
        form.fail("", tr(_(WAIT, mapping={"minutes": str(max(1, wait // 60))})))
        request.response.status_int = 429
        request.response.headers["Retry-After"] = str(wait)
        return {"form": form, "sent": False}
    return {"form": form, "sent": True}


def includeme(config: Configurator) -> None:
    """Routes and views; all are public but choosing a company, since who comes is nobody yet."""
    pages = (
        ("sign_in", "/sign-in", sign_in_page, sign_in, "public"),
        ("sign_out", "/sign-out", None, sign_out, "public"),
        ("choose_company", "/companies/choose", choose_company_page, choose_company, "profile.own"),
        ("welcome", "/welcome/{token}", welcome_page, welcome, "public"),
        ("forgotten", "/forgotten", forgotten_page, forgotten, "public"),
    )
    config.add_route("me", "/me")
    config.add_view(
        me,
        route_name="me",
        request_method="GET",
        renderer="security/me.jinja2",
        permission="profile.own",
    )
    for name, path, shown, done, permission in pages:
        config.add_route(name, path)
        template = f"security/{name}.jinja2"
        if shown is not None:
            config.add_view(
                shown, route_name=name, request_method="GET", renderer=template, permission=permission
            )
        config.add_view(
            done, route_name=name, request_method="POST", renderer=template, permission=permission
        )
