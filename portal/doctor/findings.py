"""What a check says."""

from dataclasses import dataclass
from typing import Literal

from portal.settings import SettingsError

State = Literal["ok", "off", "wrong"]


@dataclass(frozen=True)
class Finding:
    """One thing looked at: fine, off (the rest works without it) or wrong (the portal cannot run so)."""

    part: str
    state: State
    detail: str
    cure: str = ""


def judged(part: str, fine: bool, detail: str, cure: str, otherwise: State = "wrong") -> Finding:
    """Fine or not; the cure is named when it is not."""
    return Finding(part, "ok" if fine else otherwise, detail, "" if fine else cure)


def of_setting(error: SettingsError) -> Finding:
    """A setting that cannot be used, said the same way by every check that needs it."""
    part = "secret" if error.name == "INTERLINE_SECRET" else "settings"
    said = (
        f"{error.name} is not set"
        if error.value is None
        else f"{error.name} = {error.value!r} cannot be used"
    )
    return Finding(part, "wrong", said, error.cure)
