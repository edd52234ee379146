"""Pages of signing in and out: password, code, company, setting up a second factor; invitation, forgotten password."""

from typing import Any

from pydantic import BaseModel, Field
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPFound
from pyramid.request import Request
from pyramid.response import Response

from portal.companies.pages import see_other
from portal.errors import Invalid, NotFound
from portal.security import account, factor, signin, steps, throttle
from portal.security.context import digest
from portal.security.cookie import key_of, set_key
from portal.security.devices import device
from portal.security.passwords import PASSWORD_MAX
from portal.security.throttle import address_of
from portal.web.flash import flash
from portal.web.forms import Form
from portal.web.i18n import _, tr
from portal.web.language import speak

FAILED = _("E-mail or password is not right. Check both; after ten tries you have to wait.")
WRONG_CODE = _("This code is not right, or it was used already. Wait for the next one.")
# The page of each step that a sign-in may still lack (steps.stage_of).
STEPS = {"code": "sign_in_code", "choose": "choose_company", "enrol": "sign_in_enrol"}
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


CODE: dict[str, Any] = {
    "title": _("Code"),
    "description": _("Six digits from your authenticator app, or one of your recovery codes."),
    "max_length": 40,
    "json_schema_extra": {
        "attrs": {"autocomplete": "one-time-code", "autocapitalize": "characters", "spellcheck": "false"}
    },
}


class Code(BaseModel):
    """The form that asks for the second factor."""

    code: str = Field(**CODE)


class NewFactor(BaseModel):
    """The form that shows that an authenticator app has the secret."""

    new_code: str = Field(
        title=_("Code of the app"),
        description=_("The six digits that the app shows now."),
        max_length=40,
        json_schema_extra={"attrs": {"autocomplete": "one-time-code", "inputmode": "numeric"}},
    )


class Forgotten(BaseModel):
    """The form that asks for a link."""

    email: str = SignIn.model_fields["email"]


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
    """The empty form; who is signed in already goes where they wanted, who is half way goes on."""
    target = local_path(request.GET.get("next"))
    if request.ctx.person_id is not None and request.ctx.kind != "link":
        return HTTPFound(target)
    stage = steps.stage_of(request.db, key_of(request))
    if stage in STEPS:
        return HTTPFound(request.route_path(STEPS[stage], _query={"next": target}))
    return {"form": Form(SignIn), "next": target}


def sign_in(request: Request) -> Any:
    """Try; the refusal is returned, not raised, so that the count of attempts is kept."""
    form = Form(SignIn)
    target = local_path(request.POST.get("next"))
    data = form.parse(request.POST)
    if data is None:
        return _again(request, form, target, 422)
    attempt = signin.sign_in(
        request.db,
        data.email,
        data.password,
        address_of(request),
        key_of(request),
        device(request.user_agent),
    )
    if attempt.secret is None:
        return _refused(request, form, target, attempt.retry_after)
    return _go_on(request, attempt, target)


def refuse(request: Request, form: Form[Any], wait: int, why: Any) -> None:
    """Say in the form that it was wrong, or how long to wait."""
    request.response.status_int = 429 if wait else 422
    if wait:
        why = _(WAIT, mapping={"minutes": str(-(-wait // 60))})
        request.response.headers["Retry-After"] = str(wait)
    form.fail("", tr(why))


def _refused(request: Request, form: Form[SignIn], target: str, wait: int) -> dict[str, Any]:
    refuse(request, form, wait, FAILED)
    return {"form": form, "next": target}


def _again(request: Request, form: Form[Any], target: str, status: int) -> dict[str, Any]:
    request.response.status_int = status
    return {"form": form, "next": target}


def _go_on(request: Request, attempt: steps.Attempt, target: str) -> Response:
    """Set the new key, begin a new flash and CSRF session, and go to the next step or where it all was to lead."""
    if attempt.secret is None:
        return HTTPFound(request.route_path("sign_in", _query={"next": target}))
    step = STEPS.get(attempt.stage)
    response = see_other(request.route_path(step, _query={"next": target}) if step else target)
    if attempt.secret != key_of(request):
        request.session.invalidate()
        set_key(request, response, attempt.secret)
    return response


# -- the second factor ---------------------------------------------------------------------------------------------


def _elsewhere(request: Request, *stages: str) -> Response | None:
    """Where to go instead when the sign-in is at none of these steps; else become who is signing in."""
    target = local_path(request.params.get("next"))
    stage = steps.enter_half(request.db, key_of(request))
    if stage in stages:
        return None
    if stage == "open":
        return _go_on(request, steps.advance(request.db, key_of(request)), target)
    return HTTPFound(request.route_path(STEPS.get(stage, "sign_in"), _query={"next": target}))


def code(request: Request) -> Any:
    """Ask for the code; tries are counted for the account whatever browser or server they come from."""
    form, target = Form(Code), local_path(request.params.get("next"))
    other = _elsewhere(request, "code")
    if other is not None or request.method == "GET":
        return other or {"form": form, "next": target}
    data = form.parse(request.POST)
    if data is None:
        return _again(request, form, target, 422)
    person, settings = request.db.context.person_id, request.registry.portal
    address = address_of(request)
    counted = (throttle.SIGN_IN_ADDRESS, address), (throttle.CODE_ACCOUNT, str(person))
    wait = throttle.count(request.db, *counted)
    if not wait and factor.check(request.db, settings, data.code, digest(key_of(request))):
        throttle.uncount(request.db, *counted)
        how = "recovery" if factor.is_recovery(data.code) else ""
        if how:
            account.tell(request.db, "recovery_used")
        attempt = steps.advance(request.db, key_of(request), how)
        if attempt.context is None:
            request.session["how"] = how  # the company is chosen first, and then it is logged
        else:
            throttle.know(request.db, signin.email_key(account.me(request.db).email), address)
        return _go_on(request, attempt, target)
    if not wait:
        signin.failed(request.db, person, "code")
    refuse(request, form, wait, WRONG_CODE)
    return {"form": form, "next": target}


def enrol(request: Request) -> Any:
    """Set up the second factor that the company asks for; nothing else opens before."""
    form, target = Form(NewFactor), local_path(request.params.get("next"))
    other = _elsewhere(request, "enrol")
    if other is not None:
        return other
    settings, key = request.registry.portal, key_of(request)
    secret = factor.offered(settings, request.db, key)
    data = form.parse(request.POST) if request.method == "POST" else None
    if data is not None:
        codes = factor.confirm(request.db, settings, secret, data.new_code, digest(key))
        if codes is not None:
            account.tell(request.db, "factor_added")
            attempt = steps.advance(request.db, key)
            if attempt.secret and attempt.context is not None:
                account.end_others(request.db, attempt.secret)
            request.session.invalidate()
            set_key(request, request.response, attempt.secret or "")
            return {"codes": codes, "next": target}
        form.fail("new_code", tr(WRONG_CODE))
    if request.method == "POST":
        request.response.status_int = 422
    several = len(steps.choices(request.db)) > 1
    return {**enrolment(request, secret), "form": form, "next": target, "several": several}


def enrolment(request: Request, secret: bytes) -> dict[str, Any]:
    """What the page shows for an authenticator app: the picture, and the secret for typing."""
    email = account.me(request.db).email
    return {
        "picture": factor.picture(secret, email, request.shell.site.name),
        "secret": factor.shown(secret),
        "codes": None,
    }


# -- sign out ----------------------------------------------------------------------------------------------------


def sign_out(request: Request) -> Response:
    """End this session, or every one of this person (field `everywhere`)."""
    everywhere = bool(request.POST.get("everywhere"))
    if key_of(request):
        steps.sign_out(request.db, key_of(request), everywhere)
    request.session.invalidate()
    flash(request, _("You are signed out everywhere.") if everywhere else _("You are signed out."), "info")
    response = HTTPFound(request.route_path("sign_in"))
    set_key(request, response, None)
    return response


# -- which company -----------------------------------------------------------------------------------------------


def choose_company(request: Request) -> Any:
    """The companies this person works for, as buttons: while signing in, and at any time after."""
    target = local_path(request.params.get("next"))
    if request.ctx.person_id is None or request.ctx.kind == "link":
        other = _elsewhere(request, "choose", "enrol")
        if other is not None:
            return other
    if request.method == "GET":
        found = steps.choices(request.db)
        return {"companies": found, "here": request.db.context.company_id, "next": target}
    chosen = request.POST.get("company", "")
    if chosen not in {str(number) for number, _name in steps.choices(request.db)}:
        raise NotFound()
    how = str(request.session.pop("how", ""))
    attempt = steps.choose(request.db, key_of(request), int(chosen), how)
    return _go_on(request, attempt, target)


# -- invitation and reset ----------------------------------------------------------------------------------------


def welcome(request: Request) -> Any:
    """Behind an invitation or reset link: whom it is for, and the form. Following the link changes nothing; POST sets
    the password and signs in, or accepts to work for one more company."""
    token = request.matchdict["token"]
    found = signin.invitation(request.db, token)
    if found is None:
        return _used_up(request)
    speak(request, found.language)
    form = Form(Welcome)
    page = {"form": form, "person": found, "token": token}
    if request.method == "GET":
        return page
    if found.purpose == "join":
        if not signin.join(request.db, token):
            return _used_up(request)
        flash(request, _("You can now work for ${company}.", mapping={"company": found.company}))
        return see_other(request.route_path("choose_company"))
    data = form.parse(request.POST)
    if data is not None:
        try:
            attempt = signin.accept(
                request.db, token, data.password, key_of(request), device(request.user_agent)
            )
        except Invalid as error:
            form.fail("password", error.faults[0].message)
        else:
            return _go_on(request, attempt, "/")
    request.response.status_int = 422
    return page


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
        refuse(request, form, wait, "")
        return {"form": form, "sent": False}
    return {"form": form, "sent": True}


def includeme(config: Configurator) -> None:
    """Routes and views; all are public, since who comes is nobody yet, or is known half."""
    config.include("portal.security.account_views")
    pages: tuple[tuple[str, str, Any, Any], ...] = (
        ("sign_in", "/sign-in", sign_in_page, sign_in),
        ("sign_in_code", "/sign-in/code", code, code),
        ("sign_in_enrol", "/sign-in/enrol", enrol, enrol),
        ("sign_out", "/sign-out", None, sign_out),
        ("choose_company", "/companies/choose", choose_company, choose_company),
        ("welcome", "/welcome/{token}", welcome, welcome),
        ("forgotten", "/forgotten", forgotten_page, forgotten),
    )
    for name, path, shown, done in pages:
        config.add_route(name, path)
        for method, view in (("GET", shown), ("POST", done)):
            if view is not None:
                template = f"security/{name}.jinja2"
                config.add_view(
                    view, route_name=name, request_method=method, renderer=template, permission="public"
                )
