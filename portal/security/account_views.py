"""Pages of the own account: /me with profile, sessions and last sign-ins; password, address, second factor."""

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, Field
from pyramid.config import Configurator
from pyramid.request import Request

from portal.companies.pages import add_pages, done, see_other
from portal.errors import Conflict, Invalid
from portal.security import account, factor, log, steps
from portal.security.cookie import key_of, set_key
from portal.security.devices import device_words
from portal.security.passwords import PASSWORD_MAX
from portal.security.throttle import address_of
from portal.security.views import CODE, NewFactor, Welcome, enrolment, refuse
from portal.web.flash import flash
from portal.web.formatting import zone_names
from portal.web.forms import Form
from portal.web.i18n import _, languages, ntr
from portal.web.language import speak
from portal.web.shell import ROLE_WORDS

ME = [(_("Your profile"), "/me")]
OF_COMPANY = "company"
WRONG = _("The password is not right.")
WRONG_EITHER = _("Password or code is not right.")


class Profile(BaseModel):
    """How somebody is called and reads."""

    name: str = Field(
        title=_("Name"), max_length=account.NAME_MAX, json_schema_extra={"attrs": {"autocomplete": "name"}}
    )
    language: str = Field("en", title=_("Language"), description=_("Of pages and mails."))
    time_zone: str = Field(OF_COMPANY, title=_("Time zone"), json_schema_extra={"divider": "/"})


class Proof(BaseModel):
    """What is asked again before something about signing in is changed; the code only where there is one."""

    password: str = Field(
        title=_("Your password"),
        max_length=PASSWORD_MAX,
        json_schema_extra={"widget": "password", "attrs": {"autocomplete": "current-password"}},
    )
    code: str = Field("", **CODE)


class NewPassword(Proof):
    """Another password."""

    new: str = Welcome.model_fields["password"]


class NewAddress(Proof):
    """Another address to sign in with."""

    email: str = Field(
        title=_("New e-mail"),
        max_length=254,
        json_schema_extra={"widget": "email", "attrs": {"autocomplete": "email", "autocapitalize": "none"}},
    )


class Enrolment(Proof, NewFactor):
    """A second factor, or another one."""


def form_of(request: Request, model: type[Any], *first: str) -> Form[Any]:
    """The form with the fields `first`, then what proves who it is: the code only where there is a second factor."""
    form: Form[Any] = Form(model, only=[*first, "password", "code"])
    if factor.holds(request.db):
        form["code"].required = True
    else:
        form.fields.remove(form["code"])
    return form


def changed(request: Request, form: Form[Any], act: Callable[[Any, account.Proof], Any]) -> bool:
    """On POST: check who it is and run `act`; True when it was done. A wrong proof is counted, so it is returned."""
    if request.method != "POST":
        return False
    held = factor.holds(request.db) is not None
    given = form.parse(request.POST)
    if given is None:
        request.response.status_int = 422
        return False
    try:
        with request.db.begin_nested():
            proof = account.prove(
                request.db, request.registry.portal, given.password, given.code, address_of(request)
            )
            if proof.hash is not None:
                act(given, proof)
                return True
    except Invalid as error:
        request.response.status_int = 422
        form.fail(error.faults[0].field, error.faults[0].message)
    except Conflict as error:
        request.response.status_int = 409
        form.fail("", error.message)
    else:
        refuse(request, form, proof.retry_after, WRONG_EITHER if held else WRONG)
    return False


# -- the overview --------------------------------------------------------------------------------------------------


def me(request: Request) -> Any:
    """Who the reader is here, how they sign in, where they are signed in, and what happened lately."""
    ctx, db = request.ctx, request.db
    person = account.me(db)
    zones = [(OF_COMPANY, _("As in the company")), *zone_names().items()]
    form = Form(Profile, person, choices={"language": languages().items(), "time_zone": zones})

    def act(given: Profile) -> None:
        zone = None if given.time_zone == OF_COMPANY else given.time_zone
        account.change_profile(db, given.name, given.language, zone)

    if done(request, form, act):
        flash(request, _("Saved."))
        return see_other("/me")
    return {
        "form": form,
        "person": person,
        "company": ctx.company_name,
        "roles": [ROLE_WORDS.get(role, role) for role in sorted(ctx.roles)],
        "several": ctx.companies > 1,
        "factor": factor.holds(db),
        "factor_stays": account.why_factor_stays(db),
        "sessions": account.sessions(db, key_of(request)),
        "events": [log.own(row) for row in account.last_sign_ins(db)],
        "device_words": device_words,
        "idle_hours": steps.SESSION_IDLE_S // 3600,
    }


def end_session(request: Request) -> Any:
    """End one of the own sessions, or (field `others`) every one but this."""
    if request.POST.get("others"):
        ended = account.end_others(request.db, key_of(request))
        flash(request, ntr("One other session has ended.", "${n} other sessions have ended.", ended))
    else:
        account.end_session(request.db, request.POST.get("mark", ""))
        flash(request, _("That session has ended."))
    return see_other("/me#sessions")


# -- password and address ------------------------------------------------------------------------------------------


def password(request: Request) -> Any:
    """Another password; every other session ends."""
    form = form_of(request, NewPassword, "new")
    if changed(
        request,
        form,
        lambda given, proof: account.change_password(request.db, proof, given.new, key_of(request)),
    ):
        flash(request, _("Your password is changed."), more=_("Every other session has ended."))
        return see_other("/me")
    return _page(_("Change your password"), form, "/me/password", _("Change password"))


def address(request: Request) -> Any:
    """Ask for another address; it counts once its reader confirms."""
    form = form_of(request, NewAddress, "email")
    if changed(request, form, lambda given, _proof: account.ask_address(request.db, given.email)):
        flash(
            request, _("Look into the mail of the new address."), more=_("Its link works for a day and once.")
        )
        return see_other("/me")
    return _page(_("Change your address"), form, "/me/address", _("Send me a link"))


def forget_address(request: Request) -> Any:
    """Stay with the present address."""
    account.forget_address(request.db)
    flash(request, _("Your address stays as it is."))
    return see_other("/me")


def address_link(request: Request) -> Any:
    """Behind the links to the new and to the old address. Following one changes nothing."""
    token = request.matchdict["token"]
    found = account.address_link(request.db, token)
    if found is None:
        request.response.status_int = 404
        return {"link": None, "outcome": "gone"}
    speak(request, found.language)
    if request.method == "GET":
        return {"link": found, "outcome": "", "token": token}
    use = account.keep_address if found.purpose == "keep" else account.change_address
    outcome = use(request.db, token, found.bound_to)
    if outcome in ("changed", "kept"):
        set_key(request, request.response, None)
    return {"link": found, "outcome": outcome}


def _page(title: Any, form: Form[Any], url: str, submit: Any) -> dict[str, Any]:
    return {"title": title, "f": form, "url": url, "submit": submit, "cancel": "/me", "crumbs": ME}


# -- second factor -------------------------------------------------------------------------------------------------


def factor_new(request: Request) -> Any:
    """Set the second factor up, or move it to another app."""
    form = form_of(request, Enrolment, "new_code")
    secret = factor.offered(request.registry.portal, request.db, key_of(request))
    held = factor.holds(request.db)
    made: list[str] = []

    def act(given: Enrolment, _proof: account.Proof) -> None:
        codes = factor.confirm(request.db, request.registry.portal, secret, given.new_code)
        if codes is None:
            raise Invalid(account.wrong_code())
        made.extend(codes)
        account.tell(request.db, "factor_added")
        if held is None:
            account.end_others(request.db, key_of(request))

    if changed(request, form, act):
        return {"codes": made, "crumbs": ME}
    return {**enrolment(request, secret), "form": form, "held": held, "crumbs": ME}


def factor_codes(request: Request) -> Any:
    """Ten new recovery codes."""
    if factor.holds(request.db) is None:
        return see_other("/me/factor/new")
    form = form_of(request, Proof)
    made: list[str] = []
    if changed(
        request,
        form,
        lambda _given, _proof: made.extend(factor.renew_codes(request.db, request.registry.portal)),
    ):
        return {"codes": made, "crumbs": ME}
    return {"codes": None, "form": form, "url": "/me/factor/codes", "crumbs": ME, "off": False}


def factor_off(request: Request) -> Any:
    """Turn the second factor off, where no company asks for it."""
    if factor.holds(request.db) is None:
        return see_other("/me")
    stays = account.why_factor_stays(request.db)
    if stays and request.method == "GET":
        flash(request, stays, "info")
        return see_other("/me")
    form = form_of(request, Proof)

    def act(_given: Proof, _proof: account.Proof) -> None:
        account.factor_off(request.db)

    if changed(request, form, act):
        flash(request, _("Your second factor is off."), "info")
        return see_other("/me")
    return {"codes": None, "form": form, "url": "/me/factor/off", "crumbs": ME, "off": True}


FORM = "partners/form.jinja2"
OWN = "profile.own"
PAGES = [
    ("me", "/me", me, "GET POST", OWN, "security/me.jinja2"),
    ("me_sessions", "/me/sessions", end_session, "POST", OWN, ""),
    ("me_password", "/me/password", password, "GET POST", OWN, ""),
    ("me_address", "/me/address", address, "GET POST", OWN, ""),
    ("me_address_forget", "/me/address/forget", forget_address, "POST", OWN, ""),
    ("me_factor_new", "/me/factor/new", factor_new, "GET POST", OWN, "security/factor_new.jinja2"),
    ("me_factor_codes", "/me/factor/codes", factor_codes, "GET POST", OWN, "security/factor.jinja2"),
    ("me_factor_off", "/me/factor/off", factor_off, "GET POST", OWN, "security/factor.jinja2"),
    ("address_link", "/address/{token}", address_link, "GET POST", "public", "security/address.jinja2"),
]


def includeme(config: Configurator) -> None:
    """Routes and views of the own account."""
    add_pages(config, FORM, PAGES)
