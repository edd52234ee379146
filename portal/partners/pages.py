"""What the pages of partners and companies share: the form and the question, and where they lead back to."""

from typing import Any

from pyramid.request import Request

from portal.companies.models import Company
from portal.companies.pages import record_id, see_other
from portal.partners import queries
from portal.web import parts
from portal.web.flash import flash
from portal.web.forms import Form
from portal.web.i18n import _

FORM, CONFIRM = "partners/form.jinja2", "partners/confirm.jinja2"
BOTH = "GET POST"
ID, LOCATION = r"{id:\d+}", r"{location:\d+}"


class Back:
    """Where a form of a partner leads back to, and the crumbs above it."""

    def __init__(self, company: Company) -> None:
        self.url = f"/partners/{company.id}"
        self.crumbs = [(_("Partners"), "/partners"), (company.name, self.url)]


def owned(request: Request) -> Company:
    """The partner named in the address; NotFound for the vendor and for unknown ids."""
    return queries.partner(request.db, record_id(request))


def page(title: Any, form: Form[Any], url: str, submit: Any, cancel: str, crumbs: Any) -> dict[str, Any]:
    """What the form template needs."""
    return {"title": title, "f": form, "url": url, "submit": submit, "cancel": cancel, "crumbs": crumbs}


def ask(title: Any, happens: list[Any], action: parts.Action, back: Back) -> dict[str, Any]:
    """What the confirmation template needs."""
    return {"title": title, "confirm": parts.Confirm(title, happens, action, back.url), "crumbs": back.crumbs}


def saved(request: Request, url: str, undo: str | None = None) -> Any:
    """Say so, with a way back into the form, and go on."""
    flash(request, _("Saved."), url=undo, label=_("Change it again") if undo else "")
    return see_other(url)


def columns(row: Any, model: Any) -> dict[str, Any]:
    """The values of `row` that `model` asks for."""
    return {name: getattr(row, name) for name in model.model_fields if hasattr(row, name)}


def drop_empty(given: dict[str, Any]) -> dict[str, str]:
    """Values as query parameters, empty ones left out."""
    return {name: str(value) for name, value in given.items() if value is not None}
