"""Whether boxes together cover another: a search for a hole, axis by axis.

Of the atoms of an axis only those matter that leave the fewest boxes, so a hole is found or ruled out in few steps. It
is exact; a search that would take too long says so.
"""

from __future__ import annotations

from collections.abc import Sequence

from .axes import bits
from .boxes import Index, fewest, some_point
from .space import Box, Point, Wanted

MOST_STEPS = 2_000  # of one search: far more than rule sets written by people need

Option = tuple[
    int, int, int
]  # axis; values of which one must be present, or 0; values that must be absent, or 0


class TooHard(Exception):
    """The search for a hole was given up after MOST_STEPS."""


class Search:
    """One question: is there a point of `box` in none of `among` (a set of boxes of the index)?

    `hole()` answers with such a point or None; then `used` holds boxes that together cover the box.
    """

    def __init__(self, index: Index, box: Box, among: int) -> None:
        self.index, self.box, self.steps = index, box, MOST_STEPS
        self.used = 0
        self._among = among & index.overlapping(box)
        # What is one of many: an axis of which boxes want one of some values, never none of them, is an axis with one
        # value, since a second value only adds boxes.
        simple = [
            at
            for at, (none, hits) in enumerate(box.many)
            if not none
            and len(hits) < 2
            and not (self._among & ~(index.many[at].free | index.many[at].has_one_of))
        ]
        width = [mask.bit_count() for mask in box.masks] + [
            sum(hit.bit_count() for hit in hits) for _none, hits in box.many
        ]
        self._simple = {at + len(box.masks) for at in simple}
        # Axes with the fewest atoms to choose from first: they take boxes away without a choice.
        self._order = sorted([*range(len(box.masks)), *self._simple], key=lambda at: width[at])
        self._rest = [index.all] * (
            len(self._order) + 1
        )  # the boxes that contain this one on all axes to come
        self._hard = [at for at in range(len(box.many)) if at not in simple]
        for at in self._hard:
            self._rest[-1] &= index.many[at].holding(box.many[at])
        for depth in range(len(self._order) - 1, -1, -1):
            self._rest[depth] = self._rest[depth + 1] & self._containing(self._order[depth])

    def _containing(self, at: int) -> int:
        if at in self._simple:
            return self.index.many[at - len(self.box.masks)].holding(self.box.many[at - len(self.box.masks)])
        return self.index.holding(at, self.box.masks[at])

    def hole(self) -> Point | None:
        """The answer; TooHard after too many steps."""
        chosen = list(some_point(self.box).atoms)
        many = self._walk(0, self._among, chosen, list(self.box.many))
        return None if many is None else Point(tuple(chosen), tuple(map(fewest, many)))

    def _choices(self, at: int, left: int) -> dict[int, int]:
        """What is left after each atom of the axis, and the first atom that leaves it."""
        if at in self._simple:
            axis = self.index.many[at - len(self.box.masks)]
            _none, hits = self.box.many[at - len(self.box.masks)]
            least, by_atom, atoms = left & axis.free, axis.one_of, hits[0] if hits else 0
        else:
            least, by_atom, atoms = left & self.index.free[at], self.index.by_atom[at], self.box.masks[at]
        if not atoms:
            return {least: -1}
        found: dict[int, int] = {}
        for atom in bits(atoms):
            after = least | (left & by_atom[atom])
            if after == least:  # no atom leaves fewer
                return {after: atom}
            found.setdefault(after, atom)
        return found

    def _walk(self, depth: int, left: int, chosen: list[int], many: list[Wanted]) -> list[Wanted] | None:
        """Choose from this depth on; `left` are the boxes that contain every choice so far."""
        self.steps -= 1
        if self.steps < 0:
            raise TooHard
        if not left:
            return many
        whole = left & self._rest[depth]
        if whole:
            self.used |= whole & -whole
            return None
        if depth == len(self._order):
            return self._escape(left, many)
        at = self._order[depth]
        covered: list[int] = []
        choices = self._choices(at, left)
        for after, atom in sorted(choices.items(), key=lambda choice: (choice[0].bit_count(), choice[1])):
            # More boxes are no easier to get out of.
            if any(not less & ~after for less in covered):
                continue
            then = many
            if at not in self._simple:
                chosen[at] = atom
            elif atom >= 0:
                axis = at - len(self.box.masks)
                then = [*many[:axis], (0, (1 << atom,)), *many[axis + 1 :]]
            found = self._walk(depth + 1, after, chosen, then)
            if found is not None:
                return found
            covered.append(after)
        return None

    def _escape(self, left: int, many: list[Wanted]) -> list[Wanted] | None:
        """Values on the other axes with many, so that the point lies in none of the boxes that are left."""
        if not self._hard:
            self.used |= left
            return None
        if len(self._hard) == 1 and not any(
            left & boxes for boxes in self.index.many[self._hard[0]].mixed.values()
        ):
            found = self._escape_one(left, many, self._hard[0])
        else:
            found = self._escape_any(left, many)
        if found is None:
            self.used |= left
        return found

    def _escape_one(self, left: int, many: list[Wanted], at: int) -> list[Wanted] | None:
        """As there is one way out of each box: have none of what they want one of, one of what they want none of."""
        axis, (none, hits) = self.index.many[at], many[at]
        for value, boxes in enumerate(axis.one_of):
            if boxes & left:
                none |= 1 << value
        present = ~none & ((1 << len(axis.one_of)) - 1)
        kept = left & axis.has_none_of
        for value in bits(present):
            kept &= ~axis.none_of[value]
        if kept or left & axis.free or any(not hit & present for hit in hits):
            return None
        # Everything that need not be absent is present: a point that is as good as any with less.
        return [*many[:at], (none, (*hits, *(1 << value for value in bits(present)))), *many[at + 1 :]]

    def _escape_any(self, left: int, many: list[Wanted]) -> list[Wanted] | None:
        ways: dict[tuple[Option, ...], int] = {}
        for number in bits(left):
            options: list[Option] = []
            for at in self._hard:
                none, hits = self.index.boxes[number].many[at]
                options += [(at, none, 0)] if none else []
                options += [(at, 0, hit) for hit in hits]
            ways.setdefault(tuple(options), number)
        ordered = sorted(ways, key=lambda options: (len(options), ways[options]))
        return self._choose(ordered, 0, many)

    def _choose(self, ways: Sequence[tuple[Option, ...]], at: int, many: list[Wanted]) -> list[Wanted] | None:
        self.steps -= 1
        if self.steps < 0:
            raise TooHard
        if at == len(ways):
            return many
        for axis, present, absent in ways[at]:
            none, hits = many[axis]
            after: Wanted = (none | absent, (*hits, present) if present else hits)
            if all(hit & ~after[0] for hit in after[1]):
                found = self._choose(ways, at + 1, [*many[:axis], after, *many[axis + 1 :]])
                if found is not None:
                    return found
        return None
