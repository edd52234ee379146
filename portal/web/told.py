"""What each error page says: what happened, what was kept, what to do. One place for all codes."""

from __future__ import annotations

from dataclasses import dataclass

from portal.web.i18n import _


@dataclass(frozen=True, slots=True)
class Told:
    """Words of one error page."""

    title: str
    kept: str
    cure: str
    signed_out: str = ""
    """The cure for who is not signed in, where the other one names what only pages within have."""
    button: str = _("Go to the first page")
    tone: str = "warn"
    icon: str = "alert-triangle"


NOTHING_CHANGED = _("Nothing was changed.")

TOLD: dict[int, Told] = {
    400: Told(_("This address or form has a value we cannot use"), NOTHING_CHANGED, _("Go back and choose it again.")),
    404: Told(
        _("There is nothing here for you"),
        _("The page does not exist, or it is not shared with your company."),
        _("Check the address, or look for it by its number in the search at the top."),
        signed_out=_("Check the address, or sign in and open it again."),
        icon="search", tone="neutral",
    ),
    405: Told(_("This page cannot be used that way"), NOTHING_CHANGED, _("Open it again and use its buttons.")),
    409: Told(
        _("Somebody was faster"),
        _("It changed since you opened the page. Your change was not made."),
        _("Open it again, look at what is new, and decide then."),
        icon="refresh",
    ),
    413: Told(_("That is too large"), NOTHING_CHANGED, _("Send less at once: fewer files, or smaller ones.")),
    422: Told(_("Something in the form is missing or wrong"), NOTHING_CHANGED, _("Go back: what you typed is still there.")),
    429: Told(_("Too many tries"), NOTHING_CHANGED, _("Wait a minute, then try again."), icon="clock"),
    500: Told(
        _("That went wrong on our side"),
        _("Nothing was changed half: the whole step was taken back."),
        _("Try again. If it happens once more, write to us with the reference below."),
        tone="bad",
    ),
    503: Told(
        _("Interline is busy or being updated"),
        _("Nothing is lost. What was accepted stays accepted."),
        _("Try again in a minute."),
        icon="clock",
    ),
}  # fmt: skip

AGAIN = Told(
    _("This was not sent yet"),
    NOTHING_CHANGED,
    _("Leave this page open until it is sent."),
    tone="warn",
    icon="refresh",
)
"""For a form that is given back because its sender's session ended meanwhile."""

FORBIDDEN_BY_RULE = Told(
    _("This cannot be done"), NOTHING_CHANGED, _("Go back to the page you came from."), tone="warn"
)


def told(code: int | str, by_rule: bool = False) -> Told:
    """Words for a code; 401 and 403 read as 404, so that nobody learns what exists. `by_rule`: a conflict that is not
    about a page that was out of date. 'again': a form given back."""
    if isinstance(code, str):
        return AGAIN
    if code == 409 and by_rule:
        return FORBIDDEN_BY_RULE
    if code in (401, 403):
        code = 404
    return TOLD.get(code) or TOLD[500 if code >= 500 else 400]
