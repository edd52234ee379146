"""The one map of status words: axis and value -> word, tone and icon. Nothing else in the product colours a status."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from markupsafe import Markup

from portal.web.i18n import _, localizer, tr
from portal.web.icons import icon


@dataclass(frozen=True, slots=True)
class Status:
    """How one value looks. Tones: neutral resting, info moving, good kept, warn runs out, bad broken, accent chosen."""

    label: str
    tone: str
    icon: str


STATUS: dict[str, dict[str, Status]] = {
    "assignment": {
        "unrouted": Status(_("Unrouted"), "neutral", "circle-dashed"),
        "offered": Status(_("Offered"), "info", "send"),
        "held": Status(_("Held"), "good", "circle-check"),
        "handed_back": Status(_("Handed back"), "neutral", "arrow-back-up"),
        "pulled_back": Status(_("Pulled back"), "neutral", "arrow-back-up"),
        "house": Status(_("House account"), "neutral", "home"),
        "unroutable": Status(_("Unroutable"), "bad", "route-off"),
    },
    "stage": {
        "new": Status(_("New"), "neutral", "circle-dashed"),
        "working": Status(_("Working"), "info", "player-play"),
        "qualified": Status(_("Qualified"), "info", "list-check"),
        "proposed": Status(_("Proposed"), "info", "file-text"),
        "won": Status(_("Won"), "good", "trophy"),
        "lost": Status(_("Lost"), "neutral", "circle-x"),
        "nurture": Status(_("Nurture"), "neutral", "seedling"),
        "invalid": Status(_("Invalid"), "neutral", "circle-minus"),
        "duplicate": Status(_("Duplicate"), "neutral", "circle-minus"),
    },
    "offer": {
        "offered": Status(_("Offered"), "info", "send"),
        "accepted": Status(_("Accepted"), "good", "circle-check"),
        "declined": Status(_("Declined"), "neutral", "hand-stop"),
        "expired": Status(_("Expired"), "warn", "clock-off"),
        "withdrawn": Status(_("Withdrawn"), "neutral", "arrow-back-up"),
    },
    "delivery": {
        "delivered": Status(_("Delivered"), "good", "circle-check"),
        "retrying": Status(_("Retrying"), "warn", "refresh"),
        "failed": Status(_("Failed"), "bad", "alert-triangle"),
        "parked": Status(_("Parked"), "neutral", "player-pause"),
    },
    "certificate": {
        "valid": Status(_("Valid"), "good", "certificate"),
        "lapsing": Status(_("Lapsing"), "warn", "clock-hour-4"),
        "lapsed": Status(_("Lapsed"), "bad", "certificate-off"),
    },
    "ruleset": {
        "draft": Status(_("Draft"), "neutral", "pencil"),
        "in_review": Status(_("In review"), "info", "eye"),
        "approved": Status(_("Approved"), "good", "circle-check"),
        "scheduled": Status(_("Scheduled"), "info", "clock"),
        "published": Status(_("Published"), "good", "circle-check"),
        "retired": Status(_("Retired"), "neutral", "history"),
        "dropped": Status(_("Put aside"), "neutral", "circle-minus"),
    },
    "rehearsal": {
        "waiting": Status(_("Waits"), "neutral", "clock"),
        "running": Status(_("Running"), "info", "player-play"),
        "stopping": Status(_("Stopping"), "warn", "player-pause"),
        "done": Status(_("Done"), "good", "circle-check"),
        "stopped": Status(_("Stopped"), "neutral", "circle-minus"),
        "failed": Status(_("Failed"), "bad", "alert-triangle"),
    },
    "move": {
        "moved": Status(_("Somebody else"), "info", "arrows-split"),
        "unroutable": Status(_("Nobody any more"), "bad", "route-off"),
        "routable": Status(_("Somebody at last"), "good", "plus"),
    },
    "candidate": {
        "chosen": Status(_("Chosen"), "accent", "circle-check"),
        "ranked": Status(_("Ranked lower"), "neutral", "arrow-down"),
        "short": Status(_("One gate short"), "warn", "ban"),
        "refused": Status(_("Refused"), "warn", "ban"),
        "excluded": Status(_("Left out"), "neutral", "hand-stop"),
    },
    "row": {
        "new": Status(_("New"), "good", "plus"),
        "changed": Status(_("Changed"), "info", "pencil"),
        "same": Status(_("Same"), "neutral", "equal"),
        "wrong": Status(_("Wrong"), "bad", "alert-triangle"),
    },
    "company": {
        "active": Status(_("Active"), "good", "circle-check"),
        "invited": Status(_("Invited"), "info", "mail"),
        "suspended": Status(_("Suspended"), "warn", "player-pause"),
        "ended": Status(_("Ended"), "neutral", "circle-minus"),
    },
    "person": {
        "active": Status(_("Active"), "good", "circle-check"),
        "invited": Status(_("Invited"), "info", "mail"),
        "disabled": Status(_("Disabled"), "neutral", "player-pause"),
    },
    "factor": {
        "on": Status(_("Turned on"), "good", "shield-check"),
        "off": Status(_("Off"), "neutral", "circle-dashed"),
    },
    "work": {
        "due": Status(_("Due"), "neutral", "clock"),
        "claimed": Status(_("Running"), "info", "player-play"),
        "done": Status(_("Done"), "good", "circle-check"),
        "retrying": Status(_("Retrying"), "warn", "refresh"),
        "parked": Status(_("Parked"), "bad", "player-pause"),
    },
    "clock": {
        "kept": Status(_("Kept"), "good", "circle-check"),
        "running": Status(_("Running"), "info", "clock"),
        "missed": Status(_("Missed"), "warn", "clock-off"),
    },
    "proposal": {
        "open": Status(_("Waits for a decision"), "info", "clock"),
        "approved": Status(_("Approved"), "good", "circle-check"),
        "rejected": Status(_("Not approved"), "neutral", "circle-minus"),
        "withdrawn": Status(_("Taken back"), "neutral", "arrow-back-up"),
    },
    "import": {
        "preview": Status(_("Preview"), "neutral", "eye"),
        "running": Status(_("Running"), "info", "player-play"),
        "done": Status(_("Done"), "good", "circle-check"),
        "undone": Status(_("Undone"), "neutral", "arrow-back-up"),
        "failed": Status(_("Failed"), "bad", "alert-triangle"),
    },
}


def look(axis: str, value: object) -> Status:
    """The look of a value; an unknown value shows its own word in grey rather than failing the page."""
    key = str(getattr(value, "value", value) or "").replace(" ", "_").replace("-", "_")
    found = STATUS[axis].get(key)
    return found or Status(key.replace("_", " ").capitalize(), "neutral", "point")


def status(axis: str, value: object, plain: bool = False, word: str | None = None) -> Markup:
    """Icon and word. The tinted badge stands once per header; in a column of statuses use plain=True."""
    return _drawn(axis, str(getattr(value, "value", value) or ""), plain, word, localizer().locale_name)


@lru_cache(maxsize=1024)
def _drawn(axis: str, value: str, plain: bool, word: str | None, _language: str) -> Markup:
    s = look(axis, value)
    css = f"status t-{s.tone} plain" if plain else f"status {s.tone}"
    return Markup('<span class="{}">{}{}</span>').format(css, icon(s.icon), word or tr(s.label))


def status_label(axis: str, value: object) -> str:
    """The word alone, for exports, mails and titles."""
    return tr(look(axis, value).label)


def choices(axis: str) -> tuple[tuple[str, str], ...]:
    """(value, word) pairs of an axis, for filters and selects."""
    return tuple((value, s.label) for value, s in STATUS[axis].items())
