"""What verification understands of a row: its cells as terms, and what is known of the facts they test.

What a test means is said in `cells.py` and holds for any axis. `FORMS` adds what is known of single axes, a line each;
an axis without a line is taken as loosely as its tests allow (any set of words, any number, or unknown), and a test
that is not understood as one that holds, fails or meets the unknown whatever the other cells say. So nothing is claimed
that is not certain.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from ..cells import Is, OneOf, Prefixes, Test, Within
from ..rows import Row

# place: a country and a subdivision in it. one: at most one word. many: any words, or unknown. sure: any words, known.
# prefix: at most one text. span: at most one number. amount: a number in one currency. always: a number from 0 on,
# known. days: a day, known. flag: yes, no or unknown. opaque: not understood.
Form = Literal["place", "one", "many", "sure", "prefix", "span", "amount", "always", "days", "flag", "opaque"]

FORMS: Mapping[str, Form] = {
    "when.country": "place",
    "when.subdivision": "place",
    "when.product_lines": "sure",
    "when.language": "one",
    "when.industry": "one",
    "when.source": "one",
    "when.amount": "amount",
    "when.segment": "one",
    "when.named_account": "one",
    "when.days": "days",
    "who.level": "one",
    "who.certification": "sure",
    "who.certified_at": "sure",
    "who.country": "one",
    "who.authorised": "sure",
    "who.distributor_of": "sure",
    "who.capacity": "always",
}
PLACE = "when.place"  # the axis that country and subdivision share
DAYS = "when.days"  # the axis of the days on which a row is valid


@dataclass(frozen=True, slots=True)
class Term:
    """One cell: `path` is its place in a row, `key` which fact of the axis it tests."""

    path: str
    key: str
    test: Test

    @property
    def form(self) -> Form:
        """What the axis is, as far as this test can tell."""
        given = FORMS.get(self.path)
        if given == "opaque":
            return "opaque"
        if isinstance(self.test, OneOf):
            return given or "many"
        if isinstance(self.test, Prefixes):
            return "prefix"
        if isinstance(self.test, Within):
            return given or "span"
        return "flag" if isinstance(self.test, Is) else "opaque"

    @property
    def words(self) -> frozenset[str]:
        """The words of a set or of prefixes; none for other tests."""
        return self.test.values if isinstance(self.test, (OneOf, Prefixes)) else frozenset()

    @property
    def negated(self) -> bool:
        """Whether it asks for what is known and none of its words."""
        return isinstance(self.test, (OneOf, Prefixes)) and self.test.negated

    @property
    def said(self) -> str:
        """The test in words that are the same in every process."""
        if isinstance(self.test, (OneOf, Prefixes)):
            return f"{type(self.test).__name__} {sorted(self.test.values)} {self.test.negated}"
        return repr(self.test)


def terms(row: Row) -> Iterator[Term]:
    """The cells of a row, its days last."""
    for side, cells in (("when", row.when), ("who", row.who)):
        for cell in cells:
            yield Term(f"{side}.{cell.axis}", cell.key, cell.test)
    if row.valid_from or row.valid_to:
        yield Term(DAYS, "", Within((_days(row.valid_from, row.valid_to),)))


def _days(first: date | None, last: date | None) -> tuple[int | None, int | None]:
    """Days, both included, as a span of ordinals."""
    return (first.toordinal() if first else None, last.toordinal() + 1 if last else None)
