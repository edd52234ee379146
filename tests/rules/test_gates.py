"""Each gate lets pass and stops for its own reason, and says why."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from rules import (
    ALL_GATES,
    EXCLUDED,
    GATES,
    NEVER_OPEN,
    Certification,
    Place,
    Reference,
    RequestError,
    Snapshot,
    State,
    Territory,
    covers,
    decide,
    default_ruleset,
    explain,
    one_short,
)
from tests.rules.worlds import NOON, OFFICE, SUNDAYS, TODAY, candidate, gates_of, request, row, rule_set

LINZ = request().place
OLD = date(2020, 1, 1)
YESTERDAY, TOMORROW = TODAY - timedelta(days=1), TODAY + timedelta(days=1)

FAILS = [
    ("active", {"active": False}, {}),
    ("agreement", {"agreement_accepted": False}, {}),
    ("territory", {"territories": ()}, {}),
    ("territory", {"territories": (Territory("country", "DE"),)}, {}),
    ("certified", {"certifications": ()}, {}),
    ("certified", {"certifications": (Certification("ATEX", None, OLD, YESTERDAY),)}, {}),
    ("certified", {"certifications": (Certification("ATEX", None, TOMORROW),)}, {}),
    ("certified", {"certifications": (Certification("ATEX", None, OLD, None, "valves"),)}, {}),
    ("authorised", {"product_lines": frozenset({"valves"})}, {}),
    ("capacity", {"capacity": 0}, {}),
    ("capacity", {"capacity": 2}, {1: 2}),
    ("opens", {"calendar": NEVER_OPEN}, {}),
    ("opens", {"calendar": SUNDAYS}, {}),
]


@pytest.mark.parametrize(("gate", "facts", "load"), FAILS)
def test_each_gate_stops_for_its_own_reason(
    gate: str, facts: dict[str, object], load: dict[int, int]
) -> None:
    rules, snapshot, state = default_ruleset(), Snapshot(1, (candidate(**facts),)), State(load)
    decision = decide(rules, snapshot, request(), state)
    assert decision.ranked == ()
    assert decision.credits == {}
    assert gates_of(rules, snapshot, request(), state) == bytes([1 + GATES.index(gate)])
    why = explain(rules, snapshot, request(), state, 1)
    assert (why.first_failing, why.failing, why.eligible, why.one_short) == (gate, (gate,), False, True)
    assert one_short(rules, snapshot, request(), state) == {1: gate}
    assert dict(decision.counts)[gate] == 0


def test_a_candidate_that_fits_passes_all_seven() -> None:
    snapshot = Snapshot(1, (candidate(),))
    decision = decide(default_ruleset(), snapshot, request(), State())
    assert gates_of(default_ruleset(), snapshot, request(), State()) == b"\x00"
    assert decision.counts == tuple((gate, 1) for gate in GATES)


@pytest.mark.parametrize(
    "held",
    [
        (Certification("ATEX", None, TODAY, TODAY),),
        (Certification("ATEX", None, OLD, None, "pumps"),),
        (Certification("ATEX", None, OLD, YESTERDAY), Certification("ATEX", None, TODAY)),
    ],
)
def test_certified_on_the_day_itself_for_the_line_or_all_lines(held: tuple[Certification, ...]) -> None:
    assert decide(
        default_ruleset(), Snapshot(1, (candidate(certifications=held),)), request(), State()
    ).ranked


def test_every_certification_is_needed_for_every_line() -> None:
    needs = request(product_lines=("pumps", "valves"), certifications=("ATEX", "SBE"))
    held = (Certification("ATEX", None, OLD), Certification("SBE", None, OLD, None, "pumps"))
    why = explain(default_ruleset(), Snapshot(1, (candidate(certifications=held),)), needs, State(), 1)
    missing = why.gates[ALL_GATES.index("certified")].facts["missing"]
    assert missing == [
        {
            "programme": "SBE",
            "product_line": "valves",
            "reason": "other_line",
            "issued": None,
            "expires": None,
            "held_for": ["pumps"],
        }
    ]


def test_without_product_lines_any_line_of_the_programme_will_do() -> None:
    held = (Certification("ATEX", None, OLD, None, "valves"),)
    snapshot = Snapshot(1, (candidate(certifications=held),))
    assert decide(default_ruleset(), snapshot, request(product_lines=()), State()).ranked


def test_an_expired_certificate_is_named_with_its_day() -> None:
    held = (
        Certification("ATEX", None, OLD, date(2021, 1, 1)),
        Certification("ATEX", None, OLD, date(2026, 10, 31)),
    )
    why = explain(default_ruleset(), Snapshot(1, (candidate(certifications=held),)), request(), State(), 1)
    (missing,) = why.gates[ALL_GATES.index("certified")].facts["missing"]  # type: ignore[misc]
    assert (missing["reason"], missing["expires"]) == ("expired", "2026-10-31")


@pytest.mark.parametrize(
    ("territory", "place", "expected"),
    [
        (Territory("nationwide"), Place(), True),
        (Territory("nationwide", "AT"), Place(), False),
        (Territory("nationwide", "AT"), LINZ, True),
        (Territory("country", "AT"), LINZ, True),
        (Territory("country", "DE"), LINZ, False),
        (Territory("country", None), LINZ, False),
        (Territory("country", None), Place(), False),
        (Territory("subdivision", "AT", "AT-4"), LINZ, True),
        (Territory("subdivision", "AT", "4"), LINZ, True),
        (Territory("subdivision", "AT", "AT-9"), LINZ, False),
        (Territory("subdivision", None, None), Place(), False),
        (Territory("postal_prefix", "AT", "40"), LINZ, True),
        (Territory("postal_prefix", "AT", "41"), LINZ, False),
        (Territory("postal_prefix", "DE", "40"), LINZ, False),
        (Territory("postal_prefix", "AT", ""), LINZ, False),
        (Territory("postal_prefix", "GB", "sw1a"), Place("GB", postal="SW1A 1AA"), True),
        (Territory("circle", lat=48.31, lon=14.29, radius_km=1), LINZ, True),
        (Territory("circle", lat=48.31, lon=14.29, radius_km=0.1), LINZ, False),
        (Territory("circle", lat=48.31, lon=14.29, radius_km=1), Place("AT"), False),
        (Territory("circle", lat=0.0, lon=0.0, radius_km=1), Place(lat=0.0, lon=0.0), True),
        (Territory("circle", lat=-17.7, lon=179.9, radius_km=50), Place(lat=-17.7, lon=-179.9), True),
    ],
)
def test_what_a_territory_covers(territory: Territory, place: Place, expected: bool) -> None:
    assert covers(territory, place) is expected
    decision = decide(
        default_ruleset(), Snapshot(1, (candidate(territories=(territory,)),)), request(place=place), State()
    )
    assert bool(decision.ranked) is expected


def test_opens_looks_as_far_as_the_cap_of_the_rule_set() -> None:
    friday = request(as_of=NOON + timedelta(days=4, hours=6))
    snapshot = Snapshot(1, (candidate(calendar=OFFICE),))
    offer = {"answer_within_minutes": 60, "reminder_at": 0.5}
    assert not decide(rule_set(offer=offer | {"cap_minutes": 1440}), snapshot, friday, State()).ranked
    assert decide(rule_set(offer=offer | {"cap_minutes": 5760}), snapshot, friday, State()).ranked


def test_a_refuser_is_out_and_counted_apart() -> None:
    snapshot = Snapshot(1, (candidate(1), candidate(2)))
    asked = request(excluded=frozenset({1, 999}))
    decision = decide(default_ruleset(), snapshot, asked, State())
    assert gates_of(default_ruleset(), snapshot, asked, State()) == bytes([EXCLUDED, 0])
    assert decision.counts[0] == ("active", 1)
    why = explain(default_ruleset(), snapshot, request(excluded=frozenset({1})), State(), 1)
    assert (why.excluded, why.eligible, why.failing, why.one_short) == (True, False, (), False)
    assert why.standing.hypothetical


def test_a_stranger_cannot_be_explained() -> None:
    with pytest.raises(RequestError, match="not in this snapshot"):
        explain(default_ruleset(), Snapshot(1, ()), request(), State(), 5)


def test_nobody_at_all_is_an_answer() -> None:
    decision = decide(default_ruleset(), Snapshot(1, ()), request(), State())
    assert (decision.ranked, decision.eligible, decision.counts[-1]) == ((), 0, ("opens", 0))
    assert gates_of(default_ruleset(), Snapshot(1, ()), request(), State()) == b""


WHEN_HELD = [
    ({}, True),
    ({"country": ["DE", "AT"]}, True),
    ({"country": ["DE"]}, False),
    ({"subdivision": ["AT-4"]}, True),
    ({"postal_prefix": ["40"]}, True),
    ({"postal_prefix": ["41", "5"]}, False),
    ({"product_lines": ["valves", "pumps"]}, True),
    ({"product_lines": ["valves"]}, False),
    ({"language": ["de"], "industry": ["paper"], "source": ["web"]}, True),
    ({"language": ["de"], "industry": ["steel"]}, False),
    ({"amount": {"currency": "EUR", "from": 12_500}}, True),
    ({"amount": {"currency": "EUR", "below": 12_500}}, False),
    ({"amount": {"currency": "USD", "from": 1}}, False),
]


@pytest.mark.parametrize(("when", "held"), WHEN_HELD)
def test_a_row_acts_exactly_when_its_cells_hold(when: dict[str, object], held: bool) -> None:
    snapshot = Snapshot(1, (candidate(level="Gold"),))
    for kind, stops in (("exclude", {"level": ["gold"]}), ("require", {"level": ["silver"]})):
        decision = decide(rule_set(row(1, kind, when, stops)), snapshot, request(), State())
        assert bool(decision.ranked) is not held
        assert decision.counts[-1] == (f"{kind}s", 0 if held else 1)
    boosted = decide(
        rule_set(row(1, "boost", when, {"level": ["gold"]}, points=7)), snapshot, request(), State()
    )
    assert dict(boosted.ranked[0].terms).get("boost", 0) == (7_000 if held else 0)


@pytest.mark.parametrize(
    ("valid_from", "valid_to", "held"),
    [
        ("2026-11-23", None, True),
        ("2026-11-24", None, False),
        (None, "2026-11-23", True),
        (None, "2026-11-22", False),
    ],
)
def test_a_row_is_valid_from_day_to_day(valid_from: str | None, valid_to: str | None, held: bool) -> None:
    rules = rule_set(row(1, "exclude", {}, {"country": ["AT"]}, valid_from=valid_from, valid_to=valid_to))
    decision = decide(rules, Snapshot(1, (candidate(country="AT"),)), request(), State())
    assert bool(decision.ranked) is not held


def test_a_who_cell_asks_for_a_certificate_valid_that_day() -> None:
    rules = rule_set(row(1, "require", {}, {"certification": ["SBE"]}))
    held = (*candidate().certifications, Certification("SBE", None, OLD, TODAY))
    snapshot = Snapshot(1, (candidate(certifications=held),))
    assert decide(rules, snapshot, request(), State()).ranked
    late = request(as_of=NOON + timedelta(days=1))
    assert gates_of(rules, snapshot, late, State()) == bytes([1 + ALL_GATES.index("requires")])


def test_one_engine_answers_for_many_days() -> None:
    engine = Reference(
        default_ruleset(),
        Snapshot(1, (candidate(certifications=(Certification("ATEX", None, TODAY, TODAY),)),)),
    )
    for days, passes in ((-1, False), (0, True), (1, False), (5, False), (9, False), (0, True)):
        asked = request(as_of=NOON + timedelta(days=days))
        assert bool(engine.shortlist(asked).ids) is passes


def test_explain_ranks_a_refused_candidate_as_if_it_had_passed() -> None:
    near = candidate(2, level="Gold", lat=48.31, lon=14.29, certifications=())
    snapshot = Snapshot(1, (candidate(1, level="silver", lat=48.2, lon=16.4), near))
    why = explain(default_ruleset(), snapshot, request(), State(), 2)
    assert (why.standing.rank, why.standing.behind, why.standing.hypothetical) == (1, 0, True)
    other = explain(default_ruleset(), replace(snapshot, version=2), request(), State(), 1)
    assert (other.standing.rank, other.standing.hypothetical) == (1, False)
