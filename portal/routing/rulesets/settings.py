"""Ranking and deadlines of a draft as a form: what stands around its rows."""

from copy import deepcopy
from typing import Any, Literal

from pydantic import BaseModel, Field
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request

from portal.companies.pages import add_pages, done
from portal.errors import Conflict, Fault, Invalid
from portal.routing.rulesets import actions
from portal.routing.rulesets.telling import SETTINGS
from portal.routing.rulesets.views import BASE, SHARES, VERSION, revision_of, version_of
from portal.web.flash import flash
from portal.web.forms import Form
from portal.web.i18n import _, tr
from rules import RuleSet, RuleSetError

# Field of the form -> its path in a rule set.
PATHS = {
    "name": "name",
    "note": "note",
    "level": "score.level.weight",
    "other": "score.level.default",
    "distance": "score.distance.weight",
    "full_km": "score.distance.full_km",
    "zero_km": "score.distance.zero_km",
    "capacity": "score.capacity.weight",
    "fairness": "score.fairness.weight",
    "share": "score.fairness.share",
    "answer": "offer.answer_within_minutes",
    "cap": "offer.cap_minutes",
}
LINES = {"widget": "textarea", "attrs": {"rows": 5}}


class SettingsForm(BaseModel):
    """The numbers of the ranking and of the deadlines."""

    name: str = Field(title=SETTINGS["name"], max_length=200)
    note: str | None = Field(
        None, title=SETTINGS["note"], max_length=2000, json_schema_extra={"widget": "textarea"}
    )
    level: int = Field(title=SETTINGS["score.level.weight"])
    points: str = Field(
        title=_("Percent by level"),
        description=_("One level a line, for example gold 90"),
        json_schema_extra=LINES,
    )
    other: int = Field(title=SETTINGS["score.level.default"])
    distance: int = Field(title=SETTINGS["score.distance.weight"])
    full_km: int = Field(title=SETTINGS["score.distance.full_km"])
    zero_km: int = Field(title=SETTINGS["score.distance.zero_km"])
    capacity: int = Field(title=SETTINGS["score.capacity.weight"])
    fairness: int = Field(title=SETTINGS["score.fairness.weight"])
    share: Literal["equal", "capacity"] = Field(
        "equal", title=SETTINGS["score.fairness.share"], json_schema_extra={"labels": SHARES}
    )
    answer: int = Field(title=SETTINGS["offer.answer_within_minutes"])
    cap: int = Field(title=SETTINGS["offer.cap_minutes"])


def page(request: Request) -> Any:
    """GET and POST /rules/{version}/settings."""
    session = request.db
    found = actions.find(session, version_of(request))
    if found.state != "draft":
        raise Conflict(tr(actions.WRONG_STATE[found.state]), "state")
    values = {field: _at(found.body, path) for field, path in PATHS.items()}
    levels = found.body["score"]["level"]["points"]
    values["points"] = "\n".join(
        f"{name} {percent}" for name, percent in sorted(levels.items(), key=lambda one: -one[1])
    )
    form = Form(SettingsForm, values)

    def act(data: SettingsForm) -> None:
        actions.save(session, found.version, revision_of(request), changed(found.body, data))

    url = f"{BASE}/{found.version}"
    if done(request, form, act):
        flash(request, _("Saved."))
        return HTTPSeeOther(f"{url}?tab=settings")
    return {"set": found, "url": url, "f": form}


def _at(body: Any, path: str) -> Any:
    for key in path.split("."):
        body = body.get(key)
    return body


def changed(body: dict[str, Any], data: SettingsForm) -> RuleSet:
    """The rule set with what the form says; Invalid with the fields that the engine refuses."""
    new: dict[str, Any] = deepcopy(body)
    for field, path in PATHS.items():
        *way, last = path.split(".")
        place = new
        for key in way:
            place = place[key]
        place[last] = getattr(data, field) or ("" if field == "note" else getattr(data, field))
    new["score"]["level"]["points"] = _points(data.points)
    try:
        return RuleSet.parse(new)
    except RuleSetError as error:
        fields = {path: field for field, path in PATHS.items()}
        raise Invalid(*(_fault(one, fields) for one in error.faults)) from error


def _fault(error: Any, fields: dict[str, str]) -> Fault:
    field = fields.get(error.path, "points" if error.path.startswith("score.level.points") else "")
    message = _(
        "“${value}” cannot stand here: it ${cure}",
        mapping={"value": str(error.value)[:80], "cure": error.cure},
    )
    return Fault(field, error.value, tr(message), "range")


def _points(text: str) -> dict[str, int]:
    """Lines such as 'gold 90'."""
    found: dict[str, int] = {}
    for line in filter(str.strip, text.splitlines()):
        name, _space, percent = line.strip().rpartition(" ")
        if not name or not percent.isascii() or not percent.isdigit() or len(percent) > 3:
            values = {"line": line[:60]}
            message = _(
                "Write a level and its percent on each line, for example gold 90; not “${line}”",
                mapping=values,
            )
            raise Invalid(Fault("points", line, tr(message), "form"))
        found[name.strip()] = int(percent)
    return found


TEMPLATE = "rulesets/settings.jinja2"
PAGES = [("rules_settings", f"{BASE}/{VERSION}/settings", page, "GET POST", "rules.edit", TEMPLATE)]


def includeme(config: Configurator) -> None:
    """Route and view."""
    add_pages(config, TEMPLATE, PAGES)
