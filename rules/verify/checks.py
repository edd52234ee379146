"""The checks on a draft: what never fires, what makes no difference, what contradicts, what nobody meets.

A candidate is refused by a `require` row where the row applies and its `who` is not met, by an `exclude` row where it
is; so refusals are boxes in the space of requests times candidates. A row makes no difference when the refusals of
others cover its own (or, for a boost, everything it would raise or lower). Requests are taken as consistent: who knows
a subdivision knows its country, and the one lies in the other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import islice

from ..axes import Asked
from ..model import Snapshot
from ..money import Rates
from ..rows import Row
from ..ruleset import RuleSet
from .axes import bits
from .boxes import Index, meet, some_point
from .examples import Example
from .findings import CODES, CONFLICT, NEVER_FIRES, SHADOWED, WHO_UNMET, Finding, Report, Witness, name
from .people import People
from .search import Search, TooHard
from .space import Box, Space

MOST_PAIRS = 10  # conflicts listed per row
MOST_LISTED = 500  # findings listed per code; all are counted
# Effects of which the first row decides: for the request, or for each candidate it means.
FIRST_FOR_REQUEST = ("house", "parallel_offers", "via_distributor")
FIRST_FOR_CANDIDATE = ("pool", "deadline", "co_sell", "fallback")

Known = Mapping[str, Collection[str]]


def verify(ruleset: RuleSet, snapshot: Snapshot, today: date, known: Known | None = None) -> Report:
    """Check the rows of a draft as they stand from `today` on.

    `known`: by path of a `when` cell (`when.product_lines`) the values that exist; what is not named is not asked.
    """
    checks = _Checks(ruleset, today, snapshot.rates)
    checks.never_fires(known or {})
    checks.shadowed()
    checks.behind()
    checks.conflicts()
    checks.who_unmet(snapshot)
    found = sorted(checks.found, key=lambda one: (CODES.index(one[1].code), one[0]))
    return Report(
        findings=tuple(finding for _number, finding in found),
        counts={code: checks.counts.get(code, 0) for code in CODES},
        unchecked=tuple(ruleset.rules[n].id for n in sorted(checks.unchecked)),
        opaque=tuple(row.id for n, row in enumerate(ruleset.rules) if checks.space.opaque(n)),
    )


@dataclass
class _Checks:
    """One pass over the rows; `found` holds (number of the row, finding)."""

    ruleset: RuleSet
    today: date
    rates: Rates
    found: list[tuple[int, Finding]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    listed: dict[str, int] = field(default_factory=dict)
    unchecked: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.rows: Sequence[Row] = self.ruleset.rules
        self.space = Space(self.rows, self.today, bool(self.rates.rates))
        self.boxes = [self.space.box(n) for n in range(len(self.rows))]
        self.live: list[int] = []  # the rows that may fire, by number

    def add(
        self,
        number: int,
        code: str,
        reason: str,
        cell: str | None = None,
        others: Sequence[int] = (),
        witness: Witness | None = None,
    ) -> None:
        """Note a finding; for a conflict the other row is part of its name."""
        self.listed[code] = self.listed.get(code, 0) + 1
        rows = [self.rows[number], *(self.rows[n] for n in others if code == CONFLICT)]
        others_ids = tuple(self.rows[n].id for n in others)
        exact = code != CONFLICT or witness is not None
        named = name(code, reason, *((row.id, row.to_json(self.ruleset.words)) for row in rows))
        self.found.append(
            (number, Finding(code, reason, self.rows[number].id, cell, others_ids, witness, exact, named))
        )

    def more(self, code: str, count: int = 1) -> bool:
        """Count findings; whether there is still room to list one of them."""
        self.counts[code] = self.counts.get(code, 0) + count
        return self.listed.get(code, 0) < MOST_LISTED

    def witness(self, box: Box, *numbers: int, meets: int | None = None) -> Witness | None:
        """An example in the box to which the rows apply; None when it cannot be made of what is understood."""
        example = Example(self.space, some_point(box))
        request = example.request()
        asked = Asked(request, self.rates)
        if not all(self.rows[n].applies(asked) for n in numbers):
            return None
        if meets is None:
            return Witness(request)
        candidate = example.candidate()
        return Witness(request, candidate) if self.rows[meets].meets(candidate, asked, 0) else None

    def never_fires(self, known: Known) -> None:
        for number in range(len(self.rows)):
            reason, cell = self._why_never(number, known)
            if not reason:
                self.live.append(number)
            elif self.more(NEVER_FIRES):
                self.add(number, NEVER_FIRES, reason, cell, witness=self._never_shown(number, reason))

    def _why_never(self, number: int, known: Known) -> tuple[str, str | None]:
        """The reason and the cell; no reason when it may fire."""
        box, given = self.boxes[number], self.space.terms[number]
        if not box.masks[self.space.days]:
            return "expired", "valid_to"
        if box.empty and (self.rows[number].effect != "require" or self.space.box(number, "when.").empty):
            empty = {self.space.names[at] for at, mask in enumerate(box.masks) if not mask}
            # The last cell on the axis on which nothing is left.
            return "contradiction", [
                term.path for term in given if not empty or self.space.axis(term) in empty
            ][-1]
        for term in given:
            if term.path in known and not term.negated and not term.words & set(known[term.path]):
                return "unknown_values", term.path
        return "", None

    def _never_shown(self, number: int, reason: str) -> Witness | None:
        """A request of today that the row would be for, were it not for the reason."""
        when, days = self.space.box(number, "when."), self.space.days
        if reason == "unknown_values":
            return self.witness(when, number)
        free = Box((*when.masks[:days], self.space.full[days], *when.masks[days + 1 :]), when.many)
        return None if free.empty else Witness(Example(self.space, some_point(free)).request())

    def shadowed(self) -> None:
        """Rows that could all be left out together: of rows that make each other superfluous the last ones."""
        boxes: list[Box] = []
        owner: list[int] = []
        own: dict[int, int] = {}
        for number in self.live:
            refused = self._refused(number)
            own[number] = ((1 << len(refused)) - 1) << len(boxes)
            boxes += refused
            owner += [number] * len(refused)
        index = Index(self.space, boxes)
        alive = index.all
        for number in reversed(self.live):
            if own[number] and self._covered(
                index, [boxes[n] for n in bits(own[number])], owner, number, alive & ~own[number]
            ):
                alive &= ~own[number]
        # A fallback waives the rows, and what is refused may be raised after all.
        waived = any(self.rows[number].effect == "fallback" for number in self.live)
        for number in self.live:
            if self.rows[number].effect != "boost":
                continue
            if not self.rows[number].points:
                if self.more(SHADOWED):
                    shown = self._shown(self.boxes[number], number)
                    self.add(number, SHADOWED, "no_points", "effect.points", witness=shown)
            elif not waived:
                self._covered(index, [self.boxes[number]], owner, number, alive)

    def behind(self) -> None:
        """Rows of an effect of which the first decides, that earlier ones leave nothing to decide."""
        for effect in (*FIRST_FOR_REQUEST, *FIRST_FOR_CANDIDATE):
            own = [number for number in self.live if self.rows[number].effect == effect]
            side = "when." if effect in FIRST_FOR_REQUEST else ""
            boxes = [self.space.box(number, side) for number in own]
            index = Index(self.space, boxes)
            # Where a rep takes what is left, whoever else may be meant; nobody else takes all.
            reps = sum(1 << at for at, number in enumerate(own) if self.rows[number].terms.rep)
            for at, number in enumerate(own):
                among = (1 << at) - 1
                if effect == "fallback" and self.rows[number].terms.rep:
                    among &= reps
                self._covered(index, [boxes[at]], own, number, among, "earlier_row")

    def _refused(self, number: int) -> list[Box]:
        """Whom the row refuses."""
        effect = self.rows[number].effect
        if effect == "require":
            return self.space.outside(number)
        return [self.boxes[number]] if effect == "exclude" else []

    def _covered(
        self,
        index: Index,
        boxes: Sequence[Box],
        owner: Sequence[int],
        number: int,
        among: int,
        reason: str = "covered",
    ) -> bool:
        """Whether every box lies in `among`; notes the finding."""
        used = 0
        for box in boxes:
            search = Search(index, box, among)
            try:
                if search.hole() is not None:
                    return False
            except TooHard:
                self.unchecked.add(number)
                return False
            used |= search.used
        if self.more(SHADOWED):
            others = sorted({owner[n] for n in bits(used)})
            self.add(number, SHADOWED, reason, None, others, self._shown(boxes[0], number))
        return True

    def _shown(self, box: Box, number: int) -> Witness | None:
        """A request and a candidate whom the row would refuse or raise, had others not refused it already."""
        example = Example(self.space, some_point(box))
        request, candidate = example.request(), example.candidate()
        row, asked = self.rows[number], Asked(request, self.rates)
        if row.applies(asked) and row.meets(candidate, asked, 0) is (row.effect != "require"):
            return Witness(request, candidate)
        return None

    def conflicts(self) -> None:
        """Pairs of rows that contradict each other where both apply."""
        live = self.live
        index = Index(self.space, [self.boxes[n] for n in live])
        effects = {"require": 0, "exclude": 0, "raise": 0, "lower": 0}
        kinds: list[str] = []
        alike: dict[object, int] = {}
        for at, number in enumerate(live):
            row = self.rows[number]
            kind = row.effect
            if kind == "boost":
                kind = "raise" if row.points > 0 else "lower" if row.points < 0 else ""
            kinds.append(kind)
            if kind in effects:
                effects[kind] |= 1 << at
            alike[row.who] = alike.get(row.who, 0) | 1 << at
        for at, number in enumerate(live):
            box, kind = self.boxes[number], kinds[at]
            later = index.all >> (at + 1) << (at + 1)
            pairs: list[tuple[str, int]] = []
            if kind == "require":
                same = index.overlapping(box, True)
                apart = effects["require"] & later & same
                pairs.append(("disjoint_requires", apart and apart & ~index.overlapping(box, False)))
                struck = effects["exclude"] & same
                pairs.append(("requires_excluded", struck and struck & index.containing(box, False)))
            elif kind in ("raise", "lower"):
                other = (
                    effects["lower" if kind == "raise" else "raise"] & later & alike[self.rows[number].who]
                )
                pairs.append(("opposite_boosts", other and other & index.overlapping(box, True)))
            for reason, with_whom in pairs:
                self.more(CONFLICT, with_whom.bit_count())
                for other_at in islice(bits(with_whom), MOST_PAIRS):
                    if self.more(CONFLICT, 0):
                        self._conflict(number, live[other_at], reason)

    def _conflict(self, number: int, other: int, reason: str) -> None:
        both = meet(self.boxes[number], self.space.box(other, "when."))
        cell = "effect.points" if reason == "opposite_boosts" else self._who_cell(number)
        self.add(number, CONFLICT, reason, cell, (other,), self.witness(both, number, other, meets=number))

    def _who_cell(self, number: int) -> str:
        cells = [term.path for term in self.space.terms[number] if term.path.startswith("who.")]
        return cells[0] if len(cells) == 1 else "who"

    def who_unmet(self, snapshot: Snapshot) -> None:
        people = People(snapshot, self.today)
        for number in self.live:
            row = self.rows[number]
            if row.who and not people.anybody(row.who):
                blocks = row.effect == "require" or (row.effect == "exclusive" and row.terms.hard)
                reason = "blocks" if blocks else "idle"
                if self.more(WHO_UNMET):
                    shown = self.witness(self.space.box(number, "when."), number)
                    self.add(number, WHO_UNMET, reason, self._who_cell(number), witness=shown)
