"""The keyboard map, in one place: the dialog behind `?`, the help page and the script all read this table.

Single keys can be turned off in the profile (WCAG 2.1.4); they never act while somebody types.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from sqlalchemy import update

from portal.companies.models import Person
from portal.db import PortalSession
from portal.security.context import Context
from portal.security.permissions import permits
from portal.web.flash import flash
from portal.web.i18n import _, tr
from portal.web.shell import PARTNER_NAV, VENDOR_NAV

ROWS = "[data-card], tr[data-row]"


@dataclass(frozen=True, slots=True)
class Key:
    """One key. does: what the script calls it; where: it works on pages on which this selector finds something."""

    press: str
    words: Any
    does: str
    where: str = ""


@dataclass(frozen=True, slots=True)
class Go:
    """`g`, then `press`: to a page, for whom the permission opens it; '' is what the navigation asks for it."""

    press: str
    words: Any
    url: str
    permission: str = ""


KEYS = (
    Key("?", _("these keys"), "help"),
    Key("/", _("search"), "search", '[data-key="/"], .t-bar [name=q]'),
    Key("j", _("next row or card"), "next", ROWS),
    Key("k", _("previous row or card"), "previous", ROWS),
    Key("Enter", _("open the row or card"), "open", ROWS),
    Key("x", _("tick the row"), "tick", "td.chk input"),
    Key("a", _("accept the offer in focus"), "accept", '[data-key="a"]'),
    Key("d", _("decline the offer in focus, with a reason"), "decline", "[data-key-open=d]"),
    Key("h", _("to the column on the left"), "left", "[data-board]"),
    Key("l", _("to the column on the right"), "right", "[data-board]"),
    Key("m", _("move the card to another column"), "move", "[data-move]"),
)
IN_NAVIGATION = {url: permission for _label, url, permission, _waits in (*VENDOR_NAV, *PARTNER_NAV)}
GOES = (
    Go("h", _("home"), "/"),
    Go("l", _("leads"), "/leads"),
    Go("b", _("the board"), "/leads/board", "lead.board"),
    Go("o", _("offers"), "/offers"),
    Go("q", _("the queue"), "/leads/queue"),
    Go("d", _("decisions"), "/decisions"),
    Go("w", _("why"), "/why"),
    Go("p", _("partners"), "/partners"),
    Go("r", _("proposed changes to review"), "/proposals", "partner.edit"),
    Go("u", _("rules"), "/rules"),
    Go("i", _("imports"), "/imports"),
    Go("c", _("our company"), "/company"),
    Go("m", _("your profile"), "/me", "profile.own"),
)


def keys() -> Sequence[Key]:
    """For templates."""
    return KEYS


def goes(ctx: Context | None) -> tuple[Go, ...]:
    """The pages that this reader may go to; None: nobody."""
    return tuple(
        go for go in GOES if ctx is not None and permits(ctx, go.permission or IN_NAVIGATION[go.url])
    )


def help_body() -> Markup:
    """The whole map as a table, for the help page; pages that not everybody has are said to be so."""
    rows = [(f"<kbd>{key.press}</kbd>", tr(key.words)) for key in KEYS]
    rows += [
        (f"<kbd>g</kbd> <kbd>{go.press}</kbd>", tr(_("go to: ${page}", mapping={"page": tr(go.words)})))
        for go in GOES
    ]
    head = Markup("<table><thead><tr><th>{}</th><th>{}</th></tr></thead><tbody>").format(
        tr(_("Press this")), tr(_("Does"))
    )
    lines = [Markup("<tr><td>{}</td><td>{}</td></tr>").format(Markup(press), words) for press, words in rows]  # nosec
    after = (
        _(
            "Keys do nothing while you type in a field, and only what a page has works on it: press ? there to see which."
        ),
        _("Whoever uses speech input, or presses keys by accident, can turn them off under Your profile."),
        _("Everything works without them: Tab walks through a page, and every button is a plain button."),
    )
    said = Markup("").join(Markup("<p>{}</p>").format(tr(line)) for line in after)
    return head + Markup("").join(lines) + Markup("</tbody></table>") + said


def turn(session: PortalSession, *, on: bool) -> None:
    """Single keys act, or not, for this person on every device."""
    session.execute(update(Person).where(Person.id == session.context.person_id).values(shortcuts=on))


def choose(request: Request) -> HTTPSeeOther:
    """POST on=1 or nothing."""
    on = request.POST.get("on") == "1"
    turn(request.db, on=on)
    flash(request, _("Single keys act on pages.") if on else _("Single keys are off."))
    return HTTPSeeOther("/me#keys-h2")


def includeme(config: Any) -> None:
    """The switch of the profile."""
    config.add_route("keys", "/me/keys")
    config.add_view(choose, route_name="keys", request_method="POST", permission="profile.own")
