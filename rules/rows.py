"""Rows of a rule set: `when` a request is such, an effect means the candidates `who` are such.

All cells of a side must hold; an empty side always holds. Predicates and effects of a later form are known by name, so
that they are refused clearly in an older one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from .axes import WHEN, WHO, Asked
from .cellform import Vocabulary, read_cells, write_cells
from .cells import Cell
from .effects import NO_TERMS, Terms, read_effect, write_effect
from .errors import ConflictError
from .model import Candidate
from .reading import NAME, Node

MAX_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `when` and `who` are tests on axes; `terms` the effect's parameters; validity days are included.

    `table` is the id of the decision table it comes from, if any.
    """

    id: str
    when: tuple[Cell, ...] = ()
    who: tuple[Cell, ...] = ()
    effect: str = "require"
    terms: Terms = NO_TERMS
    valid_from: date | None = None
    valid_to: date | None = None
    note: str = field(default="")
    table: str = ""

    @staticmethod
    def read(node: Node, words: Vocabulary) -> Row:
        """Read one row; faults go into the node's list."""
        if not node.keys(("id", "when", "who", "effect"), ("valid_from", "valid_to", "note")):
            return Row("")
        when, who, effect = node["when"], node["who"], node["effect"]
        kind, terms = read_effect(effect, who, words.form)
        valid_from, valid_to, note = read_validity(node)
        return Row(
            id=node["id"].text(NAME, 64),
            when=read_cells(when, WHEN, words),
            who=read_cells(who, WHO, words),
            effect=kind,
            terms=terms,
            valid_from=valid_from,
            valid_to=valid_to,
            note=note,
        )

    def to_json(self, words: Vocabulary) -> dict[str, object]:
        return {
            "id": self.id,
            "when": write_cells(self.when, WHEN, words),
            "who": write_cells(self.who, WHO, words),
            "effect": write_effect(self.effect, self.terms),
            **self.validity_json(),
        }

    def validity_json(self) -> dict[str, object]:
        """When it is in force, and its note."""
        return {
            "valid_from": self.valid_from.isoformat() if self.valid_from else None,
            "valid_to": self.valid_to.isoformat() if self.valid_to else None,
            "note": self.note,
        }

    @property
    def points(self) -> int:
        """What a boost adds; 0 for every other effect."""
        return self.terms.points

    def valid_on(self, day: date) -> bool:
        """Whether the day is one of the row's days."""
        return not ((self.valid_from and day < self.valid_from) or (self.valid_to and self.valid_to < day))

    def applies(self, asked: Asked) -> bool:
        """Whether the row is valid on the request's day and its `when` holds."""
        return self.valid_on(asked.day) and all(
            cell.test.holds(asked.fact(cell.axis, cell.key)) for cell in self.when
        )

    def meets(self, candidate: Candidate, asked: Asked, load: int) -> bool:
        """Whether the candidate, with `load` of its capacity taken, is one of those in `who`."""
        return meets(self.who, candidate, asked, load)


def read_validity(node: Node) -> tuple[date | None, date | None, str]:
    """First and last day, and the note."""
    valid_from, valid_to = node["valid_from"].day(), node["valid_to"].day()
    if valid_from and valid_to and valid_to < valid_from:
        node.fault(ConflictError(node["valid_to"].path, node["valid_to"].value, f"is before {valid_from}"))
    return valid_from, valid_to, "" if node["note"].value == "" else node["note"].text(most=2_000)


def meets(who: tuple[Cell, ...], candidate: Candidate, asked: Asked, load: int) -> bool:
    """Whether all cells of a `who` hold of a candidate."""
    return all(cell.test.holds(WHO[cell.axis].fact(candidate, asked, load, cell.key)) for cell in who)
