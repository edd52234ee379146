"""The log of sign-in and permissions: for a company's administrators its people's, for everybody their own."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Select, and_, case, cast, or_, select
from sqlalchemy.engine import Row
from sqlalchemy.orm import aliased

from portal.companies.models import Person
from portal.events.models import Event
from portal.security.devices import device_words
from portal.web.i18n import _, ntr, tr
from portal.web.shell import ROLE_WORDS
from portal.web.tables import Column, ListSpec

# type -> what happened, in a word for the filter. The sentence is made by `sentence`.
WORDS = {
    "signin.succeeded": _("Signed in"),
    "signin.failed": _("Failed to sign in"),
    "signin.company_chosen": _("Changed to this company"),
    "signin.signed_out": _("Signed out"),
    "password.changed": _("Password changed"),
    "address.change_asked": _("Another address asked for"),
    "address.changed": _("Address changed"),
    "address.kept": _("Change of address stopped"),
    "factor.added": _("Second factor set up"),
    "factor.removed": _("Second factor turned off"),
    "factor.codes_renewed": _("Recovery codes renewed"),
    "factor.reset": _("Second factor reset"),
    "member.invited": _("Invited"),
    "member.added": _("Added"),
    "member.roles_changed": _("Roles changed"),
    "member.removed": _("Removed"),
    "company.factor_required": _("Second factor required"),
    "company.factor_optional": _("Second factor no longer required"),
}
ICONS = {
    "signin.succeeded": ("login-2", "good"),
    "signin.failed": ("alert-triangle", "warn"),
    "signin.signed_out": ("logout", "neutral"),
}
OF_COMPANY = tuple(type_ for type_ in WORDS if type_.startswith(("member.", "company.")))
FAILURES = {"password": _("wrong password"), "code": _("wrong code")}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the own log: what happened, more about it, when, where."""

    at: datetime
    what: str
    more: str
    icon: str
    tone: str
    company: str


def what(type_: str) -> str:
    """'Signed in'."""
    return tr(WORDS.get(type_, type_))


def more(type_: str, data: dict[str, Any]) -> str:
    """What else is known: 'Firefox on Windows', 'wrong password', 'Sales, Service'."""
    said = []
    if data.get("what"):
        said.append(tr(FAILURES.get(data["what"], data["what"])))
    if data.get("device"):
        said.append(device_words(data["device"]))
    if data.get("everywhere"):
        said.append(tr(_("everywhere")))
    if data.get("others"):
        n = int(data["others"])
        said.append(ntr("one other session", "${n} other sessions", n))
    if data.get("how") == "link":
        said.append(tr(_("by a mailed link")))
    if data.get("how") == "recovery":
        said.append(tr(_("with a recovery code")))
    if data.get("roles"):
        said.append(", ".join(tr(ROLE_WORDS.get(role, role)) for role in data["roles"]))
    return ", ".join(said)


def own(row: Row[Any]) -> Line:
    """One row of account.last_sign_ins."""
    icon, tone = ICONS.get(row.type, ("shield-check", "neutral"))
    return Line(row.at, what(row.type), more(row.type, row.data), icon, tone, row.company)


# -- a company's log -----------------------------------------------------------------------------------------------

SUBJECT, ACTOR = aliased(Person), aliased(Person)
WHOM = case(
    (Event.subject_type == "person", Event.subject_id),
    else_=cast(Event.data["person_id"].astext, BigInteger),
)


def entries(company_id: int) -> Select[Any]:
    """What happened to the accounts of the company's people, and who gave or took which role."""
    accounts = and_(Event.subject_type == "person", Event.company_id == company_id)
    members = and_(
        Event.subject_type == "company", Event.subject_id == company_id, Event.type.in_(OF_COMPANY)
    )
    return (
        select(
            Event.id,
            Event.at,
            Event.type,
            Event.data,
            Event.subject_type,
            Event.company_id,
            Event.person_id,
            WHOM.label("whom"),
            SUBJECT.name.label("subject"),
            ACTOR.name.label("actor"),
        )
        .outerjoin(SUBJECT, SUBJECT.id == WHOM)
        .outerjoin(ACTOR, ACTOR.id == Event.person_id)
        .where(or_(accounts, members), Event.audience.contains([company_id]))
    )


def spec(company_id: int) -> ListSpec:
    """The columns of the list. A name stands for whom the reader's company knows; who left it is 'a former member'."""

    def subject(row: Any) -> str:
        if row.whom is None:
            return ""
        return row.subject or tr(_("a former member"))

    def actor(row: Any) -> str:
        if row.person_id is None:
            return tr(_("somebody")) if row.type == "signin.failed" else ""
        if row.person_id == row.whom:
            return tr(_("themselves"))
        if row.company_id != company_id:
            return row.actor or tr(_("the vendor"))
        return row.actor or tr(_("a former member"))

    return ListSpec(
        [
            Column("at", _("When"), "when", expr=Event.at, sort=True, filter="date"),
            Column("whom", _("Whose account"), value=subject),
            Column(
                "type",
                _("What happened"),
                expr=Event.type,
                filter="choice",
                choices=tuple(WORDS.items()),
                value=lambda row: what(row.type),
            ),
            Column("more", _("More"), value=lambda row: more(row.type, row.data)),
            Column("by", _("By"), value=actor),
        ],
        default_sort="-at",
        search=[SUBJECT.name, SUBJECT.email],
        tiebreak=Event.id.desc(),
        name="sign-in-log",
        search_label=_("Search a person"),
    )
