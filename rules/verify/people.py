"""Whether anybody of a snapshot meets the `who` of a row on a day."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time

from ..axes import WHO, Asked
from ..cells import Cell, OneOf
from ..model import Candidate, Place, Request, Snapshot
from .axes import bits

# Words by which candidates are found without asking each; the cells of other axes are asked of those who are left.
WORDS: Mapping[str, Callable[[Candidate, date], Iterable[str]]] = {
    "level": lambda one, day: [one.level.casefold()] if one.level else [],
    "certification": lambda one, day: [held.programme for held in one.certifications if held.valid_on(day)],
    "country": lambda one, day: [one.country] if one.country else [],
    "authorised": lambda one, day: one.product_lines,
    "tags": lambda one, day: one.tags or (),
}


class People:
    """The candidates that can be routed to at all: active, agreement accepted.

    Cells that depend on the request or on what a candidate has open are taken as met: somebody may, on some day.
    """

    def __init__(self, snapshot: Snapshot, day: date) -> None:
        self.day = day
        noon = datetime.combine(day, time(12), UTC)
        nothing = Request(0, Place(), (), (), None, None, None, None, None, noon, 0)
        self._asked = Asked(nothing, snapshot.rates)
        self.able = [one for one in snapshot.candidates if one.active and one.agreement_accepted]
        self._having: dict[str, dict[str, int]] = {}
        self._answers: dict[tuple[Cell, ...], bool] = {}

    def having(self, axis: str, word: str) -> int:
        """The positions (in `able`) of those who have the word, as bits."""
        if axis not in self._having:
            lists: dict[str, list[int]] = {}
            words = WORDS[axis]
            for position, one in enumerate(self.able):
                for each in words(one, self.day):
                    lists.setdefault(each, []).append(position)
            self._having[axis] = {each: bitmap(found, len(self.able)) for each, found in lists.items()}
        return self._having[axis].get(word, 0)

    def meeting(self, who: tuple[Cell, ...]) -> int:
        """The positions (in `able`) of those who meet the cells, as bits."""
        left, ask = (1 << len(self.able)) - 1, []
        for cell in who:
            if isinstance(cell.test, OneOf) and not cell.test.negated and cell.axis in WORDS:
                found = 0
                for word in cell.test.values:
                    found |= self.having(cell.axis, word)
                left &= found
            elif WHO[cell.axis].needs in ("candidate", "day"):
                ask.append(cell)
        if ask:
            met = [n for n in bits(left) if all(self._holds(cell, self.able[n]) for cell in ask)]
            left = bitmap(met, len(self.able))
        return left

    def _holds(self, cell: Cell, one: Candidate) -> bool:
        return cell.test.holds(WHO[cell.axis].fact(one, self._asked, 0, cell.key))

    def anybody(self, who: tuple[Cell, ...]) -> bool:
        """Whether anybody meets the cells."""
        if who not in self._answers:
            self._answers[who] = bool(self.meeting(who))
        return self._answers[who]


def bitmap(positions: Iterable[int], size: int) -> int:
    """The positions as bits; all below `size`."""
    held = bytearray(size // 8 + 1)
    for position in positions:
        held[position >> 3] |= 1 << (position & 7)
    return int.from_bytes(held, "little")
