"""What actions refuse, independent of any wire.

    Refusal
    +-- NotFound       there is no such thing, or it is not yours: the same answer
    +-- Invalid        fields that cannot be used: field, value, message, cure
    +-- Conflict       the thing is no longer in a state that allows this
    +-- Gone           what the reader refers to was undone by a restore; it has to begin anew
    +-- Throttled      too many attempts; retry_after seconds

The web layer turns them into status codes in one place (portal/web/errors.py), the API into RFC 9457 problems.
"""

from dataclasses import dataclass


class Refusal(Exception):
    """An action that was not done; nothing changed. `message` is for people."""

    def __init__(self, message: str, code: str = "refused") -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class NotFound(Refusal):
    """No such thing for this reader."""

    def __init__(self, message: str = "There is nothing here for you.") -> None:
        super().__init__(message, "not_found")


# Codes of conflicts that came about because somebody else acted since the page was opened.
OVERTAKEN = frozenset({"stale", "decided", "gone", "not_suspected"})


class Conflict(Refusal):
    """The state does not allow it (any more)."""

    def __init__(self, message: str, code: str = "conflict") -> None:
        super().__init__(message, code)

    @property
    def overtaken(self) -> bool:
        """Whether the page was out of date; else a rule forbids it, and looking again would not help."""
        return self.code in OVERTAKEN or self.code.startswith("offer_")


class Gone(Refusal):
    """It was here once and will not be again: `faults` say what to do."""

    def __init__(self, *faults: "Fault") -> None:
        super().__init__("; ".join(fault.message for fault in faults), "gone")
        self.faults = faults


class Throttled(Refusal):
    """Too many attempts."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message, "throttled")
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Fault:
    """One field that cannot be used, and the cure."""

    field: str
    value: object
    message: str
    code: str = "invalid"


class Invalid(Refusal):
    """One or more faulty fields."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__("; ".join(f"{f.field}: {f.message}" for f in faults), "invalid")
        self.faults = faults
