"""What the engine refuses, and how it says so.

    RoutingError                 anything this package refuses
    +- RuleError                 a fault in a rule set, at one place
    |  +- MissingError           a key that must be there is not
    |  +- UnknownError           a key or a name nobody knows
    |  |  +- NotInThisVersion    known, but this version of the engine cannot run it yet
    |  +- KindError              a value of the wrong JSON type
    |  +- RangeError             a value outside its bounds or not in its pattern
    |  +- ConflictError          values that contradict each other (dates backwards, the same id twice)
    |  +- RuleSetError           all faults of one rule set, in `faults`
    +- RequestError              a stored request, state or candidate that cannot be read
    +- CalendarError             a calendar that makes no sense
       +- NeverOpens             working time was asked of a calendar that never opens

Every error carries `path` (where: `score.level.weight`, `rules[3].who.level[0]`), `value` (what stood there) and
`cure` (what to write instead).
"""

from __future__ import annotations

from collections.abc import Sequence

_SHOWN = 80  # characters of a bad value that a message repeats: enough to find it, not enough to fill a page


def shown(value: object) -> str:
    """The value as a person may see it in a message: its repr, cut to `_SHOWN` characters."""
    if isinstance(value, str):
        value = value[: _SHOWN * 2]
    elif isinstance(value, (list, tuple)):
        value = list(value[:8])
    elif isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 256:
        return "a number of more than 77 digits"
    elif isinstance(value, dict):
        return (
            f"an object with {', '.join(str(key)[:20] for key in list(value)[:5])}"
            if value
            else "an empty object"
        )
    try:
        text = repr(value)
    except ValueError:  # an integer too long to print, inside a list
        return f"a {type(value).__name__} of a huge number"
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


class RoutingError(Exception):
    """Base of everything this package refuses; `str()` reads "path: value is wrong; cure"."""

    def __init__(self, path: str, value: object, cure: str) -> None:
        self.path, self.value, self.cure = path, value, cure
        super().__init__(f"{path or 'rule set'}: {shown(value)} {cure}")

    def to_json(self) -> dict[str, str]:
        """The three parts as text, for a page or an API answer."""
        return {"path": self.path, "value": shown(self.value), "cure": self.cure}


class RuleError(RoutingError):
    """One fault of a rule set, at one place."""


class MissingError(RuleError):
    """A required key is absent."""

    def __init__(self, path: str, cure: str) -> None:
        super().__init__(path, None, cure)
        self.args = (f"{path}: is missing; {cure}",)


class UnknownError(RuleError):
    """A key or a name that nobody knows."""


class NotInThisVersion(UnknownError):
    """A key or an effect that later versions run; this one refuses it rather than ignore it."""

    def __init__(self, path: str, value: object) -> None:
        super().__init__(path, value, "is not in this version of the rules; remove it or upgrade")


class KindError(RuleError):
    """A value of the wrong JSON type."""


class RangeError(RuleError):
    """A value outside its bounds or its pattern."""


class ConflictError(RuleError):
    """Values that contradict each other."""


class RuleSetError(RuleError):
    """Everything that is wrong with one rule set, in document order; `faults` is never empty."""

    def __init__(self, faults: Sequence[RuleError]) -> None:
        self.faults = tuple(faults)
        first = self.faults[0]
        super().__init__(first.path, first.value, first.cure)
        more = f" (and {len(self.faults) - 1} more)" if len(self.faults) > 1 else ""
        self.args = (f"{first}{more}",)


class RequestError(RoutingError):
    """A stored request, state or candidate that cannot be read back."""


class CalendarError(RoutingError):
    """A calendar that makes no sense: unknown time zone, not seven days, hours that overlap."""


class NeverOpens(CalendarError):
    """Working time was asked of a calendar that has no opening in the next `HORIZON_DAYS` days."""
