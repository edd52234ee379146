"""A page of several forms after one of them was refused: what was typed stays in that form, what is wrong stands at
its field.

A view says what came of the form (`refused`), and each form of the page asks for its own with `sent(url, to)`; its
address tells forms apart, and `to`, a hidden field, those of one address.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyramid.request import Request
from pyramid.threadlocal import get_current_request

from portal.errors import Invalid, Refusal
from portal.web.parts import Action


@dataclass(frozen=True, slots=True)
class Sent:
    """One form of a page. typed, errors: by name of the input, empty for every form but the one that was refused."""

    key: str
    typed: Mapping[str, Any] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)

    def id(self, name: str) -> str:
        """Element id of an input; the summary above the page links to it."""
        return f"{self.key}-{name}"

    def value(self, name: str, default: Any = "") -> Any:
        """What was typed, else what the form begins with."""
        return self.typed.get(name, default)

    def error(self, name: str) -> str:
        """What to do about an input; '' when it is right."""
        return self.errors.get(name, "")

    def first(self, name: str) -> bool:
        """Whether this is the input to look at first."""
        return name == next(iter(self.errors), None)

    @property
    def open(self) -> bool:
        """Whether this is the form that was refused: a folded one is shown open."""
        return bool(self.typed or self.errors)


@dataclass(frozen=True, slots=True)
class Refused:
    """The box above the page: that nothing was done, and why; `wrong`: (element id, what to do) of each input."""

    strong: str
    text: str = ""
    wrong: Sequence[tuple[str, str]] = ()


def refused(
    request: Request, refusal: Refusal, strong: str, inputs: Mapping[str, str] | None = None
) -> Refused:
    """Keep what a refused form held for the page that is shown again. inputs: field of a fault -> name of its input."""
    errors: dict[str, str] = {}
    for fault in refusal.faults if isinstance(refusal, Invalid) else ():
        name = (inputs or {}).get(fault.field, fault.field)
        errors[name] = f"{errors[name]} {fault.message}" if name in errors else fault.message
    form = Sent(_key(request.path, request.POST.get("to", "")), request.POST, errors)
    request.sent = form
    text = "" if errors else refusal.message
    return Refused(strong, text, [(form.id(name), message) for name, message in errors.items()])


def sent(url: str, to: str = "") -> Sent:
    """The form with this address, filled in when it is the one that was refused."""
    key = _key(url, to)
    last = getattr(get_current_request(), "sent", None)
    return last if last is not None and last.key == key else Sent(key)


def sent_form(action: Action) -> Sent:
    """The form of an action that asks for a reason."""
    return sent(action.url, dict(action.fields).get("to", ""))


def _key(url: str, to: str) -> str:
    return re.sub(r"\W+", "-", f"{url} {to}").strip("-")
