"""View models of the shared parts: what a page hands to the macros. All text is ready to show, times are aware datetimes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class NavItem:
    """One entry of the navigation; `count` is what waits there, `on` marks the present room."""

    label: str
    url: str
    count: int | None = None
    on: bool = False


@dataclass(frozen=True, slots=True)
class Me:
    """The signed-in reader as the top bar shows them; `line` is the company (partner) or the role (vendor)."""

    name: str
    line: str = ""

    @property
    def initials(self) -> str:
        """At most two letters: first of the first and last name."""
        return initials(self.name)


@dataclass(frozen=True, slots=True)
class Site:
    """The vendor's brand. accent: '#rrggbb' (light theme only) or None; logo: a same-origin address or None."""

    name: str = "Interline"
    logo: str | None = None
    accent: str | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """A button. A POST action becomes its own small form with the CSRF token; GET is a link."""

    label: str
    url: str
    method: str = "post"
    primary: bool = False
    danger: bool = False
    icon: str | None = None
    fields: Sequence[tuple[str, str]] = ()
    reasons: Sequence[tuple[str, str]] = ()
    """(code, word): asks one reason in place before it posts `reason=code`; code 'other' adds a text field `note`."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A company on the way. state: past, now (has it) or next. lines: at most two short lines beneath the name."""

    name: str
    state: str
    lines: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Waybill:
    """The header of a lead, cart or incident page.

    axis, status: as in portal.web.status. turn: whose turn in words ("Your turn", "Their turn"); until/started: deadline
    and start of the running clock (started draws the bar); by: words before the deadline ("Answer by"); calendar: what
    the clock follows, shown on hover and focus. sentence stands in place of buttons for a reader who cannot act.
    """

    number: str
    title: str
    axis: str
    status: str
    stops: Sequence[Stop]
    url: str = ""
    turn: str = ""
    yours: bool = False
    until: datetime | None = None
    started: datetime | None = None
    by: str = ""
    calendar: str = ""
    calendar_note: str = ""
    actions: Sequence[Action] = ()
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the timeline. actor is bold, then text; say: a second paragraph; private: name of the only company
    that sees it (draws the violet note)."""

    at: datetime
    actor: str
    text: str
    say: str = ""
    icon: str = "point"
    tone: str = "neutral"
    private: str | None = None
    url: str | None = None
    url_label: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact: a value (text or Markup), or withheld=True with an optional visible rest ("4020 Linz")."""

    label: str
    value: Any = None
    withheld: bool = False
    rest: str = ""


@dataclass(frozen=True, slots=True)
class FactGroup:
    """Facts under a heading; `opens` says in one sentence when the withheld ones open."""

    title: str
    facts: Sequence[Fact]
    opens: str = ""


@dataclass(frozen=True, slots=True)
class Need:
    """One row of "what needs me now": sorted by deadline; those `first` stand above. more: how many things a row
    stands for that only leads to them."""

    title: str
    cause: str
    icon: str
    tone: str
    action: Action
    url: str | None = None
    worth: str = ""
    until: datetime | None = None
    until_word: str = ""
    first: bool = False
    more: int = 1


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer as the partner sees it before acceptance (the offer view): nothing here may be withheld data."""

    number: str
    title: str
    url: str
    place: str
    distance: str
    worth: str
    until: datetime
    started: datetime
    why: str
    opens: str
    start: str = ""
    new: bool = False
    accept: Action | None = None
    decline: Action | None = None
    place_from: str = ""
    focused: bool = False
    files: int = 0


@dataclass(frozen=True, slots=True)
class Gate:
    """A bar of the funnel: how many are left after it, how many it dropped, and the link to those."""

    label: str
    left: int
    dropped: str = ""
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Term:
    """A part of a score, 0 to 100 points; c: colour 1 to 5 for level, distance, win rate, capacity, fairness."""

    label: str
    points: float
    c: int


@dataclass(frozen=True, slots=True)
class Pin:
    """A mark on the map. kind: first, ranked, short, refused or customer. text: what stands in the ring."""

    lat: float
    lon: float
    kind: str
    label: str = ""
    text: str = ""
    url: str | None = None
    show_label: bool = True


@dataclass(frozen=True, slots=True)
class Tab:
    """A tab or a segment of a segmented filter: a link with an optional count."""

    label: str
    url: str
    on: bool = False
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Empty:
    """An empty list: one sentence, one button."""

    text: str
    action: Action | None = None


@dataclass(frozen=True, slots=True)
class Confirm:
    """A page that asks before something final: says what will happen; `name` asks to type the name of the thing."""

    title: str
    happens: Sequence[str]
    action: Action
    cancel_url: str
    name: str | None = None
    fields: Sequence[tuple[str, str]] = field(default_factory=tuple)


def initials(name: str) -> str:
    """At most two letters: first of the first and last word ('Katrin Moser' -> 'KM')."""
    words = [w for w in name.split() if w[:1].isalpha()]
    return "".join(w[0] for w in (words[:1] + words[-1:] if len(words) > 1 else words)).upper()
