"""Reading JSON with all its faults: a node knows its value and path, and writes what is wrong into one shared list.

A reader method never raises: it notes the fault and returns a harmless value, so that one pass finds everything.
Whoever started the pass raises at the end when the list is not empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from math import isfinite

from .errors import (
    ConflictError,
    KindError,
    MissingError,
    NotInThisVersion,
    RangeError,
    RuleError,
    UnknownError,
)

MAX_FAULTS = 100  # nobody mends more than a page of faults at once; the rest would cost time and memory
MAX_INT = 1 << 63

TEXT = re.compile(r"[^\x00-\x1f\x7f]+")
COUNTRY = re.compile(r"[A-Z]{2}")
SUBDIVISION = re.compile(r"[A-Z]{2}-[A-Z0-9]{1,3}")
POSTAL = re.compile(r"[A-Z0-9]{1,10}")
CURRENCY = re.compile(r"[A-Z]{3}")
DIGITS = re.compile(r"[0-9]{1,19}")
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ABSENT = object()


class Node:
    """One value of a JSON document with its path and the list of faults of the whole pass."""

    __slots__ = ("faults", "path", "value")

    def __init__(self, value: object, path: str = "", faults: list[RuleError] | None = None) -> None:
        self.value, self.path = value, path
        self.faults: list[RuleError] = [] if faults is None else faults

    def fault(self, error: RuleError) -> None:
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(error)

    @property
    def full(self) -> bool:
        """Enough faults are noted; loops over long lists may stop."""
        return len(self.faults) >= MAX_FAULTS

    @property
    def absent(self) -> bool:
        """The key is not there, or null."""
        return self.value is _ABSENT or self.value is None

    def keys(self, required: Sequence[str], optional: Sequence[str] = (), later: Sequence[str] = ()) -> bool:
        """Check that this is an object with these keys; False when it is no object. `later`: keys of later versions."""
        if self.value is _ABSENT:  # whoever holds the object has said that it is missing
            return False
        if not isinstance(self.value, Mapping):
            self.fault(KindError(self.path, self.value, "must be an object"))
            return False
        for key in required:
            if key not in self.value:
                self.fault(MissingError(self._at(key), f"add {key!r}"))
        for key in self.value:
            if key in later:
                self.fault(NotInThisVersion(self._at(key), key))
            elif key not in required and key not in optional:
                known = ", ".join([*required, *optional])
                self.fault(UnknownError(self._at(str(key)), key, f"is not known here; use one of: {known}"))
        return True

    def __getitem__(self, key: str) -> Node:
        value = self.value.get(key, _ABSENT) if isinstance(self.value, Mapping) else _ABSENT
        return Node(value, self._at(key), self.faults)

    def members(self) -> Iterator[tuple[str, Node]]:
        """Keys and values of an object, in the order of the document."""
        if isinstance(self.value, Mapping):
            for key, value in self.value.items():
                yield str(key), Node(value, self._at(str(key)), self.faults)
        elif self.value is not _ABSENT:
            self.fault(KindError(self.path, self.value, "must be an object"))

    def items(self, most: int, least: int = 0) -> list[Node]:
        """The members of a list of `least` to `most` values; absent counts as empty."""
        if self.value is _ABSENT:
            return []
        if not isinstance(self.value, (list, tuple)):
            self.fault(KindError(self.path, self.value, "must be a list"))
            return []
        if not least <= len(self.value) <= most:
            self.fault(
                RangeError(
                    self.path, self.value, f"must hold {least} to {most} values, not {len(self.value)}"
                )
            )
            return []
        return [Node(value, f"{self.path}[{index}]", self.faults) for index, value in enumerate(self.value)]

    def text(self, pattern: re.Pattern[str] = TEXT, most: int = 200) -> str:
        """A string of at most `most` characters that matches `pattern` as a whole, no blanks around it."""
        if self.value is _ABSENT:
            return ""
        if not isinstance(self.value, str):
            self.fault(KindError(self.path, self.value, "must be text"))
            return ""
        if len(self.value) > most:
            self.fault(RangeError(self.path, self.value, f"must be at most {most} characters"))
            return ""
        if self.value != self.value.strip() or not pattern.fullmatch(self.value):
            wanted = (
                "must be text without blanks around it"
                if pattern is TEXT
                else f"must match {pattern.pattern}"
            )
            self.fault(RangeError(self.path, self.value, wanted))
            return ""
        return self.value

    def text_or_none(self, pattern: re.Pattern[str] = TEXT, most: int = 200) -> str | None:
        return None if self.absent else self.text(pattern, most)

    def plain_or_none(self) -> str | None:
        """Any string, or nothing: for values that were checked where they came in."""
        return None if self.absent else self.plain()

    def plain(self) -> str:
        """Any string."""
        if isinstance(self.value, str):
            return self.value
        self.fault(KindError(self.path, self.value, "must be text"))
        return ""

    def integer(self, least: int, most: int, default: int | None = None) -> int:
        """A whole number in [least, most]; absent gives the default when there is one."""
        if self.value is _ABSENT:
            return least if default is None else default
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            self.fault(KindError(self.path, self.value, "must be a whole number"))
            return least
        if not least <= self.value <= most:
            self.fault(RangeError(self.path, self.value, f"must be from {least} to {most}"))
            return least
        return self.value

    def number(self, least: float, most: float, default: float | None = None) -> float:
        """A finite number in [least, most]."""
        if self.value is _ABSENT:
            return least if default is None else default
        if isinstance(self.value, bool) or not isinstance(self.value, (int, float)):
            self.fault(KindError(self.path, self.value, "must be a number"))
            return least
        # Compare before turning into a float: a huge integer would overflow.
        if not least <= self.value <= most or not isfinite(self.value):
            self.fault(RangeError(self.path, self.value, f"must be from {least:g} to {most:g}"))
            return least
        return float(self.value)

    def scaled(self, decimals: int, most: int) -> int:
        """A number with at most so many decimals, as an integer of its smallest unit; at most `most` either way."""
        number = self.number(-most, most)
        if isinstance(self.value, bool) or not isinstance(self.value, (int, float)):
            return 0
        if not -most <= self.value <= most:
            return 0
        # repr gives the shortest decimal that reads back as the same float: the one that was written.
        exact = Decimal(repr(self.value) if isinstance(self.value, float) else number).scaleb(decimals)
        if exact != exact.to_integral_value():
            self.fault(RangeError(self.path, self.value, f"must have at most {decimals} decimals"))
            return 0
        return int(exact)

    def number_or_none(self, least: float, most: float) -> float | None:
        return None if self.absent else self.number(least, most)

    def boolean(self, default: bool) -> bool:
        if self.value is _ABSENT:
            return default
        if not isinstance(self.value, bool):
            self.fault(KindError(self.path, self.value, "must be true or false"))
            return default
        return self.value

    def choice(self, options: Sequence[str], default: str | None = None, later: Sequence[str] = ()) -> str:
        """One of `options`; one of `later` is refused as not in this version."""
        if self.value is _ABSENT:
            return options[0] if default is None else default
        if isinstance(self.value, str) and self.value in options:
            return self.value
        if isinstance(self.value, str) and self.value in later:
            self.fault(NotInThisVersion(self.path, self.value))
        else:
            kind = UnknownError if isinstance(self.value, str) else KindError
            self.fault(kind(self.path, self.value, f"must be one of: {', '.join(options)}"))
        return options[0]

    def words(self, pattern: re.Pattern[str] = TEXT, most: int = 10_000, least: int = 0) -> tuple[str, ...]:
        """A list of different strings, in the order of the document."""
        seen: dict[str, None] = {}
        for node in self.items(most, least):
            if self.full:
                break
            word = node.text(pattern)
            if word and word in seen:
                node.fault(ConflictError(node.path, word, "stands twice; remove one"))
            seen[word] = None
        return tuple(word for word in seen if word)

    def day(self) -> date | None:
        """An ISO date such as 2026-11-23, or nothing."""
        if self.absent:
            return None
        try:
            if isinstance(self.value, str) and _DAY.fullmatch(self.value):
                return date.fromisoformat(self.value)
        except ValueError:
            pass
        self.fault(RangeError(self.path, self.value, "must be a date such as 2026-11-23"))
        return None

    def moment(self) -> datetime:
        """An RFC 3339 time with an offset, as UTC."""
        try:
            if isinstance(self.value, str):
                moment = datetime.fromisoformat(self.value)
                if moment.tzinfo is not None:
                    return moment.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        if self.value is not _ABSENT:
            self.fault(RangeError(self.path, self.value, "must be a time such as 2026-11-23T09:47:00Z"))
        return datetime(1970, 1, 1, tzinfo=UTC)

    def id(self) -> int:
        """A 63-bit id, written as a string of digits (a bare number is read too)."""
        value = self.value
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,19}", value):
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_INT:
            return value
        if value is not _ABSENT:
            self.fault(RangeError(self.path, self.value, "must be an id: a string of digits below 2**63"))
        return 0

    def _at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key
