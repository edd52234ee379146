"""Small contested worlds for the engine's tests: few values, so that requests and candidates meet often."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from hypothesis import strategies as st

from rules import (
    ALWAYS_OPEN,
    EFFECTS,
    FORMS,
    NEVER_OPEN,
    Calendar,
    Candidate,
    Certification,
    Place,
    Reference,
    Request,
    RuleSet,
    Snapshot,
    State,
    Territory,
    default_ruleset,
)

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)  # a Monday
TODAY = NOON.date()
OFFICE = Calendar(
    "Europe/Vienna", (((540, 720), (780, 1020)),) * 5 + ((), ()), frozenset({date(2026, 12, 8)})
)
SUNDAYS = Calendar("America/New_York", ((), (), (), (), (), (), ((600, 720),)))
LINES = ("pumps", "valves")
PROGRAMMES = ("ATEX", "SBE")
LEVELS = (None, "Gold", "silver", "Unheard of")


def candidate(number: int = 1, **facts: object) -> Candidate:
    """A candidate that passes every gate of `request()`, but for `facts`."""
    base = Candidate(
        id=number,
        company_id=number,
        name=f"partner-{number}",
        territories=(Territory("nationwide"),),
        certifications=(Certification("ATEX", None, date(2020, 1, 1)),),
        product_lines=frozenset(LINES),
        capacity=10,
    )
    return replace(base, **facts)  # type: ignore[arg-type]


def request(**facts: object) -> Request:
    base = Request(
        id=77,
        place=Place("AT", "AT-4", "4020", "Linz", 48.3069, 14.2858),
        product_lines=("pumps",),
        certifications=("ATEX",),
        amount_minor=1_250_000,
        currency="EUR",
        language="de",
        industry="paper",
        source="web",
        as_of=NOON,
        seed=4,
    )
    return replace(base, **facts)  # type: ignore[arg-type]


def gates_of(rules: RuleSet, snapshot: Snapshot, asked: Request, state: State) -> bytes:
    """Which gate stops each candidate."""
    engine = Reference(rules, snapshot)
    return engine.gates(asked, engine.shortlist(asked), state)


def rule_set(*rows: dict[str, object], **parts: object) -> RuleSet:
    """The first rule set with these rows and these top-level parts."""
    form = default_ruleset().to_json() | {"rules": list(rows), "examples": []} | parts
    return RuleSet.parse(form)


def row(
    number: int, kind: str, when: dict[str, object], who: dict[str, object], **more: object
) -> dict[str, object]:
    effect: dict[str, object] = {"kind": kind} | ({"points": more.pop("points")} if "points" in more else {})
    return {"id": f"row-{number}", "when": when, "who": who, "effect": effect, **more}


# Hypothesis strategies ------------------------------------------------------------------------------------------------

_coordinates = st.sampled_from(
    [(None, None), (0.0, 0.0), (48.3, 14.3), (48.2, 16.4), (-17.7, 179.9), (-17.7, -179.9)]
)
territories = st.one_of(
    st.just(Territory("nationwide")),
    st.builds(Territory, st.just("nationwide"), st.sampled_from(["AT", "FJ"])),
    st.builds(Territory, st.just("country"), st.sampled_from([None, "AT", "FJ"])),
    st.builds(
        Territory, st.just("subdivision"), st.sampled_from([None, "AT"]), st.sampled_from(["AT-4", "4", "9"])
    ),
    st.builds(
        Territory,
        st.just("postal_prefix"),
        st.sampled_from([None, "AT"]),
        st.sampled_from(["4", "402", "1 0", ""]),
    ),
    st.builds(
        lambda at, km: Territory("circle", lat=at[0], lon=at[1], radius_km=km),
        _coordinates,
        st.sampled_from([None, 0.0, 30.0, 200.0]),
    ),
)
certifications = st.builds(
    Certification,
    st.sampled_from(PROGRAMMES),
    st.none(),
    st.sampled_from([date(2020, 1, 1), TODAY, TODAY + timedelta(days=1)]),
    st.sampled_from([None, TODAY - timedelta(days=1), TODAY]),
    st.sampled_from([None, *LINES]),
)
_some_territories = st.lists(territories, min_size=1, max_size=3).map(tuple)
_some_certifications = st.lists(certifications, min_size=1, max_size=4).map(tuple)
_BOTH = tuple(Certification(programme, None, date(2020, 1, 1)) for programme in PROGRAMMES)
_mostly = st.sampled_from([True] * 9 + [False])


@st.composite
def candidates(draw: st.DrawFn, number: int) -> Candidate:
    lat, lon = draw(_coordinates)
    return Candidate(
        id=number,
        company_id=number // 2,
        name=f"partner-{number}",
        active=draw(_mostly),
        agreement_accepted=draw(_mostly),
        level=draw(st.sampled_from(LEVELS)),
        lat=lat,
        lon=lon,
        country=draw(st.sampled_from([None, "AT", "DE"])),
        territories=draw(st.one_of(st.just((Territory("nationwide"),)), _some_territories)),
        certifications=draw(st.one_of(st.just(_BOTH), _some_certifications)),
        product_lines=frozenset(draw(st.sampled_from([LINES, LINES, ("pumps",), ()]))),
        capacity=draw(st.sampled_from([0, 2, 5, 5, 5])),
        # By number, not drawn: what is drawn stays as varied for the rule sets that do not ask for it.
        tags=(None, frozenset(), frozenset({"a"}), frozenset({"a", "b"}))[number % 4],
        accounts=frozenset(("acme",) if number % 4 == 3 else ()),
        distributor_of=frozenset(((), (), (1, 2), (3, 4, 5))[number % 5 % 4]),
        figures=({}, {"win_rate": 100}, {"win_rate": 300})[number % 3],
        calendar=draw(st.sampled_from([ALWAYS_OPEN, OFFICE, OFFICE, OFFICE, OFFICE, SUNDAYS, NEVER_OPEN])),
    )


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    size = draw(st.integers(4, 12))
    return Snapshot(draw(st.integers(1, 9)), tuple(draw(candidates(number)) for number in range(1, size + 1)))


@st.composite
def requests(draw: st.DrawFn) -> Request:
    lat, lon = draw(_coordinates)
    country, seed = draw(st.sampled_from(["AT", "AT", "AT", "FJ", None])), draw(st.integers(0, 3))
    place = Place(
        country,
        draw(st.sampled_from([None, "AT-4", "4"])),
        draw(st.sampled_from([None, "4020", "40-20", "1010"])),
        None,
        lat,
        lon,
    )
    return request(
        place=place,
        product_lines=draw(st.sampled_from([(), ("pumps",), ("pumps",), LINES])),
        certifications=draw(st.sampled_from([(), ("ATEX",), ("ATEX", "SBE")])),
        amount_minor=draw(st.sampled_from([None, 0, 999_999, 1_000_000])),
        currency=draw(st.sampled_from([None, "EUR", "USD"])),
        seed=seed,
        excluded=frozenset(draw(st.sets(st.integers(1, 14), max_size=2))),
        account="acme" if seed % 2 else None,
        relationships=(None, frozenset(), frozenset({1, 3}), frozenset({2}))[seed],
        segment="key" if seed > 1 else None,
    )


_loads = st.dictionaries(st.integers(1, 12), st.integers(0, 3))
_credits = st.dictionaries(st.integers(1, 12), st.integers(-(1 << 34), 1 << 34))
states = st.builds(
    lambda load, credit: State(load, credit, {f"row-{n}": load for n in range(4)}, {"south": credit}),
    _loads,
    _credits,
)
_whens = st.sampled_from(
    [{}, {"country": ["AT"]}, {"product_lines": ["valves"]}, {"amount": {"currency": "EUR", "from": 10_000}}]
)
_whos = st.sampled_from([{"level": ["GOLD"]}, {"certification": ["SBE"]}, {"country": ["AT", "DE"]}])


@st.composite
def rule_sets(draw: st.DrawFn) -> RuleSet:
    rows = []
    for number in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(["require", "exclude", "boost"]))
        more: dict[str, object] = {"points": draw(st.sampled_from([-30, 1, 30]))} if kind == "boost" else {}
        rows.append(row(number, kind, draw(_whens), draw(_whos), **more))
    return rule_set(*rows)


_later_whens = st.sampled_from(
    [
        *({}, {}, {"country": {"not": ["FJ"]}}, {"segment": ["key"]}, {"relationship": True}),
        {"inside": [{"lat": 48.0, "lon": 15.0, "radius_m": 200_000}]},
    ]
)
_later_whos = st.sampled_from(
    [
        *({"tags": ["a"]}, {"tags": {"not": ["b"]}}, {"level": ["gold"]}, {"distance": {"below": 200}}),
        *({"performance": {"win_rate": {"from": 200}}}, {"capacity": {"from": 2}}, {"open_now": True}),
    ]
)
_TERMS: dict[str, dict[str, object]] = {
    "boost": {"points": 7},
    "cap": {"most": 1, "per": "month"},
    "pool": {"name": "south", "order": "turns"},
    "deadline": {"answer_within_minutes": 5, "cap_minutes": 60},
    "parallel_offers": {"most": 2},
    "house": {"rep": "Ana"},
    "co_sell": {"rep": "Ben"},
}
_policies = st.sampled_from(["off", "off", "soft", "hard"])


@st.composite
def later_rule_sets(draw: st.DrawFn) -> RuleSet:
    """Of the second form, with every effect."""
    rows = []
    for number in range(draw(st.integers(1, 4))):
        kind = draw(
            st.sampled_from([*EFFECTS, *["house", "pool", "exclusive", "cap"] * 3, "via_distributor"])
        )
        terms = {"kind": kind, **_TERMS.get(kind, {})}
        if kind == "cap":
            terms["most"] = draw(st.sampled_from([0, 1]))
        if kind == "exclusive":
            terms["hard"] = draw(st.booleans())
        who = {} if EFFECTS[kind].who == "none" else draw(_later_whos)
        rows.append({"id": f"row-{number}", "when": draw(_later_whens), "who": who, "effect": terms})
    claims = {"named_account": draw(_policies), "relationship": draw(_policies)}
    bands = draw(st.sampled_from([[], [{"name": "first", "who": {"tags": ["b"]}}]]))
    score = default_ruleset().to_json()["score"] | {  # type: ignore[operator]
        "order": draw(st.sampled_from(["score", "turns", "load"])),
        "bands": bands,
    }
    return rule_set(*rows, schema=FORMS[1], claims=claims, score=score)
