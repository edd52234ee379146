"""Box algebra over many boxes at once: which overlap, and which lie within which.

Sets of boxes are integers with one bit per box, kept per atom and per value, so a question about thousands of boxes is
a few operations on long integers.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from .axes import bits
from .space import ANY, Box, Point, Space, Wanted

Key = TypeVar("Key", bound=Hashable)


class Index:
    """Boxes of one space, by atom and by what they want."""

    def __init__(self, space: Space, boxes: Sequence[Box]) -> None:
        self.space, self.boxes = space, boxes
        self.all = (1 << len(boxes)) - 1
        self.free: list[int] = []  # per axis: the boxes that contain all of it
        self.by_atom: list[list[int]] = []  # per axis and atom: the boxes that contain it
        for at, full in enumerate(space.full):
            alike = _alike(box.masks[at] for box in boxes)
            free = alike.pop(full, 0)
            self.free.append(free)
            self.by_atom.append(_spread(alike, full.bit_length(), free))
        self.many = [
            _Many(len(values), _alike(box.many[at] for box in boxes))
            for at, values in enumerate(space.values)
        ]
        self._touching: dict[tuple[int, int], int] = {}
        self._holding: dict[tuple[int, int], int] = {}

    def touching(self, at: int, mask: int) -> int:
        """The boxes that have an atom of the mask on that axis."""
        if mask == self.space.full[at]:
            return self.all
        found = self._touching.get((at, mask))
        if found is None:
            found = self.free[at]
            for atom in bits(mask):
                found |= self.by_atom[at][atom]
            self._touching[at, mask] = found
        return found

    def holding(self, at: int, mask: int) -> int:
        """The boxes that have every atom of the mask on that axis."""
        if mask == self.space.full[at]:
            return self.free[at]
        found = self._holding.get((at, mask))
        if found is None:
            found = self.all
            for atom in bits(mask):
                found &= self.by_atom[at][atom]
            self._holding[at, mask] = found
        return found

    def overlapping(self, box: Box, asks_request: bool | None = None) -> int:
        """The boxes that overlap this one; on all axes, or on those of the request or of the candidate alone."""
        found, space = self.all, self.space
        for at, mask in enumerate(box.masks):
            if mask != space.full[at] and asks_request in (None, space.asks_request[at]):
                found &= self.touching(at, mask)
        for at, wanted in enumerate(box.many):
            if wanted != ANY and asks_request in (None, space.many_asks_request[at]):
                found &= self.many[at].touching(wanted)
        return found

    def containing(self, box: Box, asks_request: bool | None = None) -> int:
        """The boxes that contain this one; on all axes, or on those of the request or of the candidate alone."""
        found, space = self.all, self.space
        for at, mask in enumerate(box.masks):
            if asks_request in (None, space.asks_request[at]):
                found &= self.holding(at, mask)
        for at, wanted in enumerate(box.many):
            if asks_request in (None, space.many_asks_request[at]):
                found &= self.many[at].holding(wanted)
        return found


class _Many:
    """What boxes want on one axis with many values. The plain ones want one of a set, or none of a set."""

    def __init__(self, size: int, wanting: dict[Wanted, int]) -> None:
        self.free = wanting.get(ANY, 0)
        one_of = {hits[0]: boxes for (none, hits), boxes in wanting.items() if not none and len(hits) == 1}
        none_of = {none: boxes for (none, hits), boxes in wanting.items() if none and not hits}
        self.one_of, self.none_of = _spread(one_of, size, 0), _spread(none_of, size, 0)  # by value
        self.has_one_of, self.has_none_of = _union(one_of.values()), _union(none_of.values())
        self.mixed = {
            wanted: boxes for wanted, boxes in wanting.items() if wanted[1][1:] or (wanted[0] and wanted[1])
        }
        self._touching: dict[Wanted, int] = {}
        self._holding: dict[Wanted, int] = {}

    def touching(self, own: Wanted) -> int:
        """The boxes that want a set of values that `own` wants too."""
        found = self._touching.get(own)
        if found is None:
            none, hits = own
            found = self.free | self.has_none_of | self.has_one_of
            for hit in hits:  # all of it is what they want none of
                found &= ~self._all_in(self.none_of, self.has_none_of, hit & ~none)
            if none:  # all of what they want one of is in it
                found &= ~(
                    self.has_one_of & ~_union(at for n, at in enumerate(self.one_of) if not none >> n & 1)
                )
            found |= self._mixed(lambda other: compatible(own, other))
            self._touching[own] = found
        return found

    def holding(self, own: Wanted) -> int:
        """The boxes that want every set of values that `own` wants."""
        found = self._holding.get(own)
        if found is None:
            none, hits = own
            found = self.free
            for hit in hits:
                found |= self._all_in(self.one_of, self.has_one_of, hit & ~none)
            if none:
                found |= self.has_none_of & ~_union(
                    at for n, at in enumerate(self.none_of) if not none >> n & 1
                )
            found |= self._mixed(lambda other: implies(own, other))
            self._holding[own] = found
        return found

    @staticmethod
    def _all_in(by_value: Sequence[int], start: int, values: int) -> int:
        for value in bits(values):
            start &= by_value[value]
        return start

    def _mixed(self, test: Callable[[Wanted], bool]) -> int:
        return _union(boxes for other, boxes in self.mixed.items() if test(other))


def _alike(items: Iterable[Key]) -> dict[Key, int]:
    """The positions of equal items, as bits."""
    found: dict[Key, int] = {}
    for n, item in enumerate(items):
        found[item] = found.get(item, 0) | 1 << n
    return found


def _spread(alike: dict[int, int], size: int, start: int) -> list[int]:
    """Per bit of the keys the union of their boxes, and of `start`."""
    found = [start] * size
    for mask, boxes in alike.items():
        for n in bits(mask):
            found[n] |= boxes
    return found


def _union(sets: Iterable[int]) -> int:
    found = 0
    for one in sets:
        found |= one
    return found


def compatible(one: Wanted, other: Wanted) -> bool:
    """Whether some set of values is wanted by both."""
    none = one[0] | other[0]
    return all(hit & ~none for hit in (*one[1], *other[1]))


def implies(one: Wanted, other: Wanted) -> bool:
    """Whether every set of values that `one` wants is wanted by `other` too; `one` wants some."""
    none, hits = one
    return not other[0] & ~none and all(any(not hit & ~none & ~wider for hit in hits) for wider in other[1])


def meet(one: Box, other: Box) -> Box:
    """The box of what lies in both; it may be empty."""
    masks = tuple(a & b for a, b in zip(one.masks, other.masks, strict=True))
    pairs = zip(one.many, other.many, strict=True)
    return Box(masks, tuple((a[0] | b[0], (*a[1], *b[1])) for a, b in pairs))


def some_point(box: Box) -> Point:
    """A point of a box that is not empty: the first atoms, no value more than is wanted."""
    return Point(tuple((mask & -mask).bit_length() - 1 for mask in box.masks), tuple(map(fewest, box.many)))


def fewest(wanted: Wanted) -> int:
    """A set of values that is wanted, with one value for each want that is not met already."""
    none, hits = wanted
    present = 0
    for hit in hits:
        if not hit & present:
            left = hit & ~none
            present |= left & -left
    return present
