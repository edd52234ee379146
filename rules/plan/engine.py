"""The compiled engine: a rule set over a snapshot, prepared so that one request touches only what could matter to it.

Everything known beforehand stands in bitmaps and columns: who covers an area, who is certified on a day, whom a row
means. A decision intersects a few bitmaps, reads the rows of bits of those who are left, and ranks them in columns.
`Reference` is the specification: the same shortlist, gates, counts, ranking, credits and hash, for any input.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..answers import Decision, Shortlist, State
from ..axes import Asked
from ..case import Case
from ..judging import BYTE, Judged, conclude, judge
from ..model import (
    ELIGIBLE,
    EXCLUDED,
    GATES,
    RANKED_MOST,
    Request,
)
from ..ranking import Ranking, rank
from ..record import hash_of, head, result_hash
from .bits import (
    Slots,
    Words,
    count,
    flags_of,
    nothing,
    of_flags,
    of_slots,
    slots_of,
    without_slot,
)
from .days import Day
from .later import Later
from .matrix import Line, Matrix
from .openings import microseconds
from .prepared import Prepared
from .scoring import Contender, Integers, RankedRows, TooLarge, scored, scored_few
from .who import holds

FEW_CALENDARS = 64  # so many different calendars have a bitmap each
FEW = 16  # a shortlist so short is judged one by one: numpy's calls would take longer


_Ask = tuple[int, int, int]  # byte and bit in a candidate's row, points


def _id_of(contender: Contender) -> int:
    return contender.candidate.id


@dataclass(frozen=True, slots=True)
class Narrowed:
    """A shortlist as slots, with the bitmaps it went through; what the static gates left stands in `left`."""

    slots: Slots
    unordered: Integers  # the ids of the slots
    covered: Words
    certified: Words
    left: tuple[int, ...]

    @property
    def ids(self) -> tuple[int, ...]:
        """Ids, rising."""
        return tuple(sorted(self.unordered.tolist()))


@dataclass(frozen=True, slots=True)
class _Survivors:
    """Who is left after each later gate, as slots; `load` of the last."""

    free: Slots
    open: Slots
    kept: Slots
    eligible: Slots
    load: Integers
    boost: Integers | None


class Plan(Prepared):
    """One rule set over one snapshot. Nothing a plan holds changes, so threads may share it."""

    # Static gates ------------------------------------------------------------------------------------------------------

    def shortlist(self, request: Request) -> Shortlist:
        """Who passes the gates that need no state: active, agreement, territory, certified, authorised."""
        return self._narrowed(request)

    def _narrowed(self, request: Request) -> Narrowed:
        able, counts = self._able, list(self._counts)
        for one in request.excluded:
            position = self.snapshot.position(one)
            if position is not None:
                candidate = self.snapshot.candidates[position]
                able = without_slot(able, int(self._slot_of[position]))
                counts[0] -= 1
                counts[1] -= candidate.active
                counts[2] -= candidate.active and candidate.agreement_accepted
        covered = self._territories.covering(request.place)
        covered &= able
        left = [counts[1], counts[2], count(covered)]
        certified = covered
        if request.certifications:
            day = self._day(request.day)
            for programme in request.certifications:
                held = day.certified(programme, request.product_lines)
                certified = nothing(len(covered)) if held is None else certified & held
            left.append(count(certified))
        else:
            left.append(left[-1])
        found = certified
        for line in request.product_lines:
            sold = self._lines.get(line)
            found = nothing(len(covered)) if sold is None else found & sold
        slots = slots_of(found)
        left.append(len(slots))
        return Narrowed(slots, self._columns.ids[slots], covered, certified, tuple(left))

    def _own(self, request: Request, shortlist: Shortlist) -> Narrowed:
        return shortlist if isinstance(shortlist, Narrowed) else self._narrowed(request)

    # State and rows ----------------------------------------------------------------------------------------------------

    def _judge(self, asked: Asked, shortlist: Narrowed, state: State) -> _Survivors:
        """Who passes the gates that need state, and then the rows."""
        columns, slots = self._columns, shortlist.slots
        load = self._loads(shortlist, state)
        free = columns.capacity[slots] > load
        slots, load = slots[free], load[free]
        open_ = columns.openings.opens(columns.calendar[slots], asked.request.as_of)
        opened, load = slots[open_], load[open_]
        found = self._when.rows(asked)
        if not found:
            return _Survivors(slots, opened, opened, opened, load, None)
        rows = self._numbers(found)
        met = self._meeting(asked, opened, load, rows)
        requires = (found & self._excluding).bit_count()
        boosts = requires + (found & self._requiring).bit_count()
        kept, passed = opened, opened
        if requires:
            stay = ~np.logical_or.reduce(met[:, :requires], axis=1)
            kept = passed = opened[stay]
            load, met = load[stay], met[stay]
        if boosts > requires:
            stay = np.logical_and.reduce(met[:, requires:boosts], axis=1)
            passed, load, met = kept[stay], load[stay], met[stay]
        boost = met[:, boosts:] @ self._points[rows[boosts:]] if boosts < len(rows) else None
        return _Survivors(slots, opened, kept, passed, load, boost)

    def _loads(self, shortlist: Narrowed, state: State) -> Integers:
        known = state.load
        if not known:
            return np.zeros(len(shortlist.slots), np.int64)
        return np.array([known.get(one, 0) for one in shortlist.unordered.tolist()], np.int64)

    def _numbers(self, found: int) -> Slots:
        """The numbers of the rows of a set, rising."""
        packed = np.frombuffer(found.to_bytes(self._row_bytes, "little"), np.uint8)
        return np.unpackbits(packed, bitorder="little").nonzero()[0]

    def _meeting(self, asked: Asked, slots: Slots, load: Integers, rows: Slots) -> NDArray[np.bool_]:
        """Which of the candidates each of these rows means: shape (slots, rows)."""
        bits = self._day(asked.day).bits[slots]
        met: NDArray[np.bool_] = (bits[:, self._byte[rows]] & self._bit[rows]) != 0
        if self._asking:
            for index, row in enumerate(rows.tolist()):
                for at in met[:, index].nonzero()[0].tolist() if row in self._asking else ():
                    one = self._columns.candidates[slots[at]]
                    met[at, index] = all(holds(c, one, asked, int(load[at])) for c in self._asking[row])
        return met

    def decide(self, request: Request, shortlist: Shortlist, state: State) -> Decision:
        """The gates that need state, the rows, and the ranking of everybody who is left."""
        narrowed = self._own(request, shortlist)
        if self._later is not None:
            judged = self._judge_each(self._later, request, narrowed, state)[0]
            return conclude(self.snapshot.version, judged, self._counts_of(narrowed, judged.gates))
        asked = Asked(request, self.snapshot.rates)
        few = len(narrowed.slots) <= FEW and not self._asking
        if few:
            later, contenders = self._judge_few(asked, narrowed, state)
        else:
            found = self._judge(asked, narrowed, state)
            later = (len(found.free), len(found.open), len(found.kept), len(found.eligible))
        left = (*narrowed.left, *later)
        counts = tuple([one for one in zip(ALL_LEFT, left, strict=True) if one[0] in self._counted])
        version, ruleset = self.snapshot.version, self.ruleset
        if not left[-1]:
            return Decision((), 0, counts, {}, result_hash(ruleset.hash, version, counts, (), {}))
        try:
            if few:
                made = scored_few(ruleset, request, contenders, state)
            else:
                made = scored(ruleset, self._columns, request, found.eligible, found.load, found.boost, state)
        except (TooLarge, OverflowError):
            slots = self._judge(asked, narrowed, state).eligible
            return self._decide_exactly(asked, slots, state, counts)
        owed = np.array((made.running, made.credits)).T
        hashed = hash_of(head(ruleset.hash, version, counts, made.terms), made.rows.tobytes(), owed.tobytes())
        credits = dict(zip(made.running.tolist(), made.credits.tolist(), strict=True))
        return Decision(RankedRows(made.rows, made.terms), left[-1], counts, credits, hashed)

    def _judge_each(
        self, later: Later, request: Request, shortlist: Narrowed, state: State
    ) -> tuple[Judged, Slots]:
        """What rows of every effect say of the shortlist, and its slots in id order."""
        columns = self._columns
        slots: Slots = shortlist.slots[shortlist.unordered.argsort()]
        candidates = [columns.candidates[slot] for slot in slots.tolist()]
        everybody = later.claimants(self.snapshot, request)
        case = later.case(self.snapshot, request, state)
        return judge(case, candidates, columns.calendar[slots].tolist(), everybody), slots

    def _counts_of(self, shortlist: Narrowed, gates: bytes) -> tuple[tuple[str, int], ...]:
        """How many are left after each gate, of which the last ones stopped those with these bytes."""
        counts, left = list(zip(GATES, shortlist.left, strict=False)), len(gates)
        for gate in self._counted[len(counts) :]:
            left -= gates.count(BYTE[gate])
            counts.append((gate, left))
        return tuple(counts)

    def _judge_few(
        self, asked: Asked, shortlist: Narrowed, state: State
    ) -> tuple[tuple[int, int, int, int], list[Contender]]:
        """`_judge` for a few, one after the other: how many each gate leaves, and the eligible in id order."""
        if not len(shortlist.slots):
            return (0, 0, 0, 0), []
        columns, bits, load_of = self._columns, self._day(asked.day).bits, state.load
        at, calendars = microseconds(asked.request.as_of), columns.calendar[shortlist.slots].tolist()
        free = opened = kept = 0
        rows = None
        found: list[Contender] = []
        for slot, calendar in zip(shortlist.slots.tolist(), calendars, strict=True):
            candidate = columns.candidates[slot]
            load = load_of.get(candidate.id, 0)
            if load >= candidate.capacity:
                continue
            free += 1
            if not columns.openings.opens_one(calendar, at):
                continue
            opened += 1
            if rows is None:
                rows = self._rows_of(asked)
            row = bits[slot].tobytes()
            if any(row[byte] & bit for byte, bit, _points in rows[0]):
                continue
            kept += 1
            if not all(row[byte] & bit for byte, bit, _points in rows[1]):
                continue
            boost = sum([points for byte, bit, points in rows[2] if row[byte] & bit]) if rows[2] else None
            found.append(Contender(candidate, int(columns.level[slot]), load, boost))
        found.sort(key=_id_of)
        return (free, opened, kept, len(found)), found

    def _rows_of(self, asked: Asked) -> tuple[list[_Ask], list[_Ask], list[_Ask]]:
        """What the rows in force ask: those that exclude, require, and boost."""
        found = self._when.rows(asked)
        if not found:
            return [], [], []
        asks = [self._asks[n] for n in self._numbers(found).tolist()]
        requires = (found & self._excluding).bit_count()
        boosts = requires + (found & self._requiring).bit_count()
        return asks[:requires], asks[requires:boosts], asks[boosts:]

    def _decide_exactly(
        self, asked: Asked, slots: Slots, state: State, counts: tuple[tuple[str, int], ...]
    ) -> Decision:
        """With numbers of any size."""
        eligible = sorted((self._columns.candidates[slot] for slot in slots.tolist()), key=lambda one: one.id)
        ranking: Ranking = rank(Case.of(self.ruleset, self.snapshot, asked.request, state), eligible)
        ranked = ranking.ranked[:RANKED_MOST]
        hashed = result_hash(self.ruleset.hash, self.snapshot.version, counts, ranked, ranking.credits)
        return Decision(ranked, len(eligible), counts, ranking.credits, hashed)

    def matrix(self, request: Request, state: State) -> Matrix:
        """Everything that was asked of everybody. ValueError for rules that do more than require, exclude and boost."""
        if self._later is not None:
            raise ValueError("the matrix knows rows that require, exclude and boost")
        columns, words, asked = self._columns, self._columns.words, Asked(request, self.snapshot.rates)
        day = self._day(request.day)
        lines = [
            (Line("active"), self._active),
            (Line("agreement"), self._agreed),
            (Line("territory"), self._territories.covering(request.place)),
        ]
        for programme in request.certifications:
            held = day.certified(programme, request.product_lines)
            lines.append((Line("certified", programme), nothing(words) if held is None else held))
        for line in request.product_lines:
            lines.append((Line("authorised", line), self._lines.get(line, nothing(words))))
        lines += [(Line("capacity"), self._free(state)), (Line("opens"), self._opening(request))]
        lines += [
            self._row_line(n, asked, day, state) for n in self._numbers(self._stopping_rows(asked)).tolist()
        ]
        barred = of_slots([at for one in request.excluded for at in self._slots_with(one)], words)
        return Matrix(lines, self._present, self._ids, self._slot_of, barred, columns.ids)

    def _stopping_rows(self, asked: Asked) -> int:
        return self._when.rows(asked) & (self._excluding | self._requiring)

    def _slots_with(self, candidate_id: int) -> list[int]:
        """The slot of a candidate, none for a stranger."""
        at = self.snapshot.position(candidate_id)
        return [] if at is None else [int(self._slot_of[at])]

    def _free(self, state: State) -> Words:
        """Who has room: nobody's load is known but those of the state."""
        if self._roomy is None:
            self._roomy = of_flags(self._columns.capacity > 0)
        free = self._roomy.copy()
        for candidate_id, load in state.load.items():
            for slot in self._slots_with(candidate_id):
                if load >= self._columns.capacity[slot]:
                    free[slot >> 6] &= ~np.uint64(1 << (slot & 63))
        return free

    def _opening(self, request: Request) -> Words:
        """Whose calendar opens in time."""
        columns = self._columns
        open_now = columns.openings.open_now(request.as_of)
        if len(open_now) > FEW_CALENDARS:
            return of_flags(open_now[columns.calendar])
        if self._by_calendar is None:
            self._by_calendar = [of_flags(columns.calendar == n) for n in range(len(open_now))]
        found = nothing(columns.words)
        for number in open_now.nonzero()[0].tolist():
            found |= self._by_calendar[number]
        return found

    def _row_line(self, row: int, asked: Asked, day: Day, state: State) -> tuple[Line, Words]:
        """Whom a row in force lets pass."""
        met = day.columns[self._who.of_rows[row].column]
        rest = self._asking.get(row)
        if rest:
            slots = []
            for slot in slots_of(met & self._present).tolist():
                one = self._columns.candidates[slot]
                if all(holds(cell, one, asked, state.load.get(one.id, 0)) for cell in rest):
                    slots.append(slot)
            met = of_slots(slots, self._columns.words)
        one_row = self._rows[row]
        if one_row.effect == "exclude":
            return Line("excludes", one_row.id), ~met
        return Line("requires", one_row.id), met

    def gates(self, request: Request, shortlist: Shortlist, state: State) -> bytes:
        """The first gate that stops each candidate, one byte each, by id."""
        narrowed = self._own(request, shortlist)
        stopped = self._columns.rest.copy()
        stopped[flags_of(narrowed.covered)] = BYTE["certified"]
        stopped[flags_of(narrowed.certified)] = BYTE["authorised"]
        if self._later is not None:
            judged, slots = self._judge_each(self._later, request, narrowed, state)
            stopped[slots] = np.frombuffer(judged.gates, np.uint8)
        else:
            found = self._judge(Asked(request, self.snapshot.rates), narrowed, state)
            for slots, gate in (
                (narrowed.slots, "capacity"),
                (found.free, "opens"),
                (found.open, "excludes"),
                (found.kept, "requires"),
            ):
                stopped[slots] = BYTE[gate]
            stopped[found.eligible] = ELIGIBLE
        by_id = stopped[self._slot_of]
        for one in request.excluded:
            position = self.snapshot.position(one)
            if position is not None:
                by_id[position] = EXCLUDED
        return by_id.tobytes()


ALL_LEFT = (*GATES, "excludes", "requires")
