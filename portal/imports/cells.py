"""What parsers share: the cell they read, what they note, how they refuse, and text made clean."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

_NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


class Wrong(ValueError):
    """A cell that cannot be used: what is the matter with it, and what to write instead."""

    def __init__(self, message: str, cure: str) -> None:
        super().__init__(message)
        self.message, self.cure = message, cure


@dataclass(frozen=True, slots=True)
class Note:
    """Something understood that was not quite said; `sure` is False for a guess a person should look at."""

    field: str
    value: str
    message: str
    sure: bool = True


@dataclass(slots=True)
class Cell:
    """Where a parser stands: the column's name, the whole row for those that compare, and its notes."""

    column: str
    row: Mapping[str, Any]
    notes: list[Note] = field(default_factory=list)

    def beside(self, column: str | None) -> str:
        """The text of another column of the same row; "" when it has none."""
        value = self.row.get(column) if column else None
        return "" if value is None else str(value).strip()

    def note(self, value: object, message: str, *, sure: bool = True) -> None:
        """Remember something for the report."""
        self.notes.append(Note(self.column, str(value), message, sure))


class Options(BaseModel):
    """Base of all parsers: options are fixed and unknown ones refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def __call__(self, value: Any, cell: Cell) -> Any:
        """The value of a filled cell; raises Wrong."""
        raise NotImplementedError


Case = Literal["as_is", "lower", "upper", "title", "sentence"]
CASES: dict[str, Callable[[str], str]] = {
    "as_is": str,
    "lower": str.lower,
    "upper": str.upper,
    "title": lambda text: re.sub(r"[^\W\d_]+(?:['’][^\W\d_]+)*", lambda word: word[0].capitalize(), text),
    "sentence": lambda text: text[:1].upper() + text[1:].lower(),
}


def cleaned(value: Any, *, lines: bool = False) -> str:
    """Text without invisible characters and surrounding blanks, composed (NFC), in one line unless `lines`."""
    text = str(value)
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    text = _NO_TEXT.sub("", text)
    if not lines:
        return " ".join(text.split())
    return "\n".join(
        line.rstrip() for line in text.replace("\r\n", "\n").replace("\r", "\n").strip().split("\n")
    )
