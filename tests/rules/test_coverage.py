"""Coverage counts whom the gates and rows let through, cell by cell and day by day, and says who leaves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

from hypothesis import Phase, given, settings

from rules import Certification, Place, RuleSet, Snapshot, State, Territory
from rules.case import Case
from rules.coverage import AHEAD, Coverage, coverage
from rules.gates import all_outcomes
from tests.rules.drafts import drafts
from tests.rules.worlds import LINES, TODAY, candidate, request, row, rule_set, snapshots

PLACES = (
    Place("AT"),
    Place("AT", "AT-4"),
    Place("AT", "AT-4", "4020", None, 48.3, 14.3),
    Place("FJ", None, None, None, -17.7, 179.9),
    Place(),
)
NEEDS = {"pumps": ("ATEX",), "valves": ()}
BEFORE_ROWS = ("active", "agreement", "territory", "certified", "authorised", "excludes", "requires")
enough = settings(max_examples=30, deadline=None)


def brute(rules: RuleSet, snapshot: Snapshot, place: Place, line: str, day: date) -> int:
    """Ask every candidate every gate but those of the moment."""
    asked = request(
        place=place,
        product_lines=(line,),
        certifications=NEEDS[line],
        amount_minor=None,
        currency=None,
        language=None,
        industry=None,
        source=None,
        as_of=datetime.combine(day, time(12), UTC),
    )
    case = Case.of(rules, snapshot, asked, State())
    return sum(
        all(one.passed for one in all_outcomes(case, c) if one.gate in BEFORE_ROWS)
        for c in snapshot.candidates
    )


def covered(rules: RuleSet, snapshot: Snapshot, least: int = 2, ahead: Sequence[int] = AHEAD) -> Coverage:
    return coverage(rules, snapshot, PLACES, LINES, TODAY, least, ahead, NEEDS)


@enough
@given(drafts(), snapshots())
def test_every_cell_counts_whom_the_gates_let_through(rules: RuleSet, snapshot: Snapshot) -> None:
    found = covered(rules, snapshot, ahead=(1, 5))
    for n, day in enumerate(found.days):
        for at, place in enumerate(PLACES):
            for column, line in enumerate(LINES):
                assert found.qualified[n, at, column] == brute(rules, snapshot, place, line, day)
    thin = {(one.place, one.line) for one in found.gaps}
    assert thin == {
        (place, line)
        for at, place in enumerate(PLACES)
        for column, line in enumerate(LINES)
        if found.qualified[:, at, column].min() < 2
    }
    assert len({one.name for one in found.gaps}) == len(found.gaps)
    for gap in found.gaps:
        first = found.days.index(gap.day)
        assert gap.qualified[first] < 2 <= min((*gap.qualified[:first], 2))
        assert bool(first) is gap.name.startswith("coverage_gap:coming")
        assert len(gap.leaving) >= (gap.qualified[0] - gap.qualified[first] if first else 0)


def test_the_cells_are_worth_counting() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=60, deadline=None, database=None, phases=[Phase.generate], derandomize=True)
    @given(drafts(), snapshots())
    def draw(rules: RuleSet, snapshot: Snapshot) -> None:
        found = covered(rules, snapshot, ahead=(1, 5))
        without = covered(replace(rules, rules=()), snapshot, ahead=(1, 5))
        seen["all"] += 1
        seen["some"] += bool(found.qualified.any())
        seen["rows"] += bool((found.qualified != without.qualified).any())
        seen["coming"] += any(one.day != TODAY for one in found.gaps)

    draw()
    assert seen["some"] > 0.5 * seen["all"], seen
    assert seen["rows"] > 0.05 * seen["all"], seen
    assert seen["coming"] > 0.01 * seen["all"], seen


def test_a_gap_to_come_names_the_certificate_that_ends() -> None:
    ends = TODAY + timedelta(days=40)
    people = (
        candidate(1, certifications=(Certification("ATEX", None, date(2020, 1, 1), ends),)),
        candidate(2),
    )
    (gap,) = coverage(rule_set(), Snapshot(1, people), [Place("AT")], ["pumps"], TODAY, 2, needs=NEEDS).gaps
    assert (gap.day, gap.qualified) == (TODAY + timedelta(days=60), (2, 2, 1, 1))
    assert [(one.candidate_id, one.programme, one.expires) for one in gap.leaving] == [(1, "ATEX", ends)]
    assert gap.name == "coverage_gap:coming:AT///pumps"


def test_so_does_one_that_a_row_makes() -> None:
    ends = TODAY + timedelta(days=10)
    people = (candidate(1, certifications=(Certification("SBE", "Gold", date(2020, 1, 1), ends),)),)
    rules = rule_set(row(1, "require", {"country": ["AT"]}, {"certification": ["SBE"]}))
    (gap,) = coverage(rules, Snapshot(1, people), [Place("AT")], ["pumps"], TODAY, 1).gaps
    assert (gap.qualified, gap.leaving[0].programme, gap.leaving[0].expires) == ((1, 0, 0, 0), "SBE", ends)


def test_who_covers_only_a_part_is_counted_apart() -> None:
    people = (
        candidate(1, territories=(Territory("postal_prefix", "AT", "40"),)),
        candidate(2, territories=(Territory("circle", lat=48.3, lon=14.3, radius_km=30.0),), country="AT"),
        candidate(3, territories=(Territory("postal_prefix", "DE", "8"),)),
    )
    whole, point = coverage(
        rule_set(),
        Snapshot(1, people),
        [Place("AT"), Place("AT", "AT-4", "4020", None, 48.3, 14.3)],
        ["pumps"],
        TODAY,
        3,
    ).gaps
    assert (whole.qualified[0], whole.partly) == (0, 2)
    assert (point.qualified[0], point.partly) == (2, 0)
