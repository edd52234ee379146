"""The columns of a plan: what ranking and the last gates read of a candidate, one slot per candidate.

A slot is written once. A changed candidate takes the next free slot, and the old one is left out of the bitmap of those
who are there; so plans of successive versions share their columns, and a decision under way sees its own version.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

import numpy as np

from ..calendars import Calendar
from ..judging import BYTE
from ..model import Candidate
from ..ranking import POINT
from ..ruleset import RuleSet
from .bits import words_for
from .openings import Openings

SPARE = 256  # free slots at least, for changes; then the plan is compiled anew


class Columns:
    """Arrays by slot. `used` slots hold a candidate; `take` gives out the next ones to one plan after the other."""

    def __init__(self, ruleset: RuleSet, candidates: Sequence[Candidate]) -> None:
        self.words = words_for(len(candidates) + max(SPARE, len(candidates) // 32))
        room = self.words * 64
        self._ruleset = ruleset
        self.lock = Lock()  # held while candidates are added: by one plan at a time
        self.candidates: list[Candidate] = []
        self.ids = np.zeros(room, np.int64)
        self.capacity = np.zeros(room, np.int64)
        self.level = np.zeros(room, np.int64)
        self.rest = np.zeros(room, np.uint8)
        self.latitude = np.full(room, np.nan)
        self.longitude = np.full(room, np.nan)
        self.somewhere = True  # every candidate has coordinates
        self.phi = np.full(room, np.nan)
        self.cos_phi = np.full(room, np.nan)
        self.calendar = np.zeros(room, np.int64)
        self._calendars: dict[Calendar, int] = {}
        self.openings = Openings(ruleset.offer.cap_minutes)
        self._levels: dict[str | None, int] = {}
        self.append(candidates)

    def take(self, candidates: Sequence[Candidate]) -> int | None:
        """Put candidates into free slots (the lock is held); the first slot, None when there is no room left."""
        first = len(self.candidates)
        if first + len(candidates) > len(self.ids):
            return None
        self.append(candidates)
        return first

    def append(self, candidates: Sequence[Candidate]) -> None:
        """Fill the next slots."""
        slots = slice(len(self.candidates), len(self.candidates) + len(candidates))
        self.ids[slots] = [one.id for one in candidates]
        self.capacity[slots] = [one.capacity for one in candidates]
        self.level[slots] = [self._level(one.level) for one in candidates]
        self.rest[slots] = [at_rest(one) for one in candidates]
        self.latitude[slots] = [
            np.nan if one.lat is None or one.lon is None else one.lat for one in candidates
        ]
        self.longitude[slots] = [
            np.nan if one.lat is None or one.lon is None else one.lon for one in candidates
        ]
        self.phi[slots] = np.radians(self.latitude[slots])
        self.cos_phi[slots] = np.cos(self.phi[slots])
        self.somewhere = not bool(np.isnan(self.phi[: slots.stop]).any())
        numbers = self._calendars
        self.calendar[slots] = [numbers.setdefault(one.calendar, len(numbers)) for one in candidates]
        self.openings.know(list(numbers))
        self.candidates.extend(candidates)

    def _level(self, level: str | None) -> int:
        if level not in self._levels:
            term = self._ruleset.score.level
            self._levels[level] = term.weight * POINT * term.percent(level) // 100
        return self._levels[level]


def at_rest(candidate: Candidate) -> int:
    """The byte of a candidate whose territory nobody has asked for: the first gate it fails whatever is asked."""
    if not candidate.active:
        return BYTE["active"]
    return BYTE["territory"] if candidate.agreement_accepted else BYTE["agreement"]
