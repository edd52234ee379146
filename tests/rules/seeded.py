"""A large world from a seed, for the equality of engines and for measurements: many countries, few of them large."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from rules import (
    ALWAYS_OPEN,
    Calendar,
    Candidate,
    Certification,
    Place,
    Request,
    RuleSet,
    Snapshot,
    State,
    Territory,
    default_ruleset,
)

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)  # a Monday
TODAY = NOW.date()
COUNTRIES = [f"{a}{b}" for a in "ABCDEFGH" for b in "KLMNO"]
REGIONS = 10
LINES = [f"line-{n}" for n in range(24)]
PROGRAMMES = [f"programme-{n}" for n in range(48)]
LEVELS = ["Registered", "Silver", "Gold", "Platinum", None]
INDUSTRIES = [f"industry-{n}" for n in range(20)]
LANGUAGES = [f"l{n}" for n in range(10)]
SOURCES = ["web", "fair", "partner", "phone"]
OFFICE = ((540, 720), (780, 1020))
CALENDARS = [ALWAYS_OPEN] + [
    Calendar(zone, (spans,) * 5 + ((), ()), frozenset({date(2026, 12, 25)}))
    for zone in ("Europe/Vienna", "America/New_York", "Asia/Tokyo", "Australia/Sydney", "Africa/Nairobi")
    for spans in (OFFICE, ((480, 1080),), ((420, 900),))
]


@dataclass(frozen=True)
class World:
    """Requests come from `requests`; the same seed gives the same world."""

    centres: list[tuple[float, float]]
    weights: list[float]
    snapshot: Snapshot

    def requests(self, count: int, seed: int = 3) -> list[Request]:
        draw = random.Random(seed)
        return [self._request(draw, number) for number in range(1, count + 1)]

    def _request(self, draw: random.Random, number: int) -> Request:
        at = draw.choices(range(len(COUNTRIES)), self.weights)[0]
        lat, lon = (c + draw.gauss(0, 2) for c in self.centres[at])
        place = Place(
            COUNTRIES[at],
            f"{COUNTRIES[at]}-{draw.randrange(REGIONS)}",
            f"{draw.randrange(100_000):05d}",
            None,
            *((lat, lon) if draw.random() < 0.9 else (None, None)),
        )
        return Request(
            id=number,
            place=place,
            product_lines=tuple(draw.sample(LINES, draw.choices([1, 2, 3], [6, 3, 1])[0])),
            certifications=tuple(draw.sample(PROGRAMMES, draw.choices([0, 1, 2], [3, 6, 1])[0])),
            amount_minor=int(10 ** draw.uniform(5, 8)),
            currency="EUR",
            language=draw.choice(LANGUAGES),
            industry=draw.choice(INDUSTRIES),
            source=draw.choice(SOURCES),
            as_of=NOW + timedelta(seconds=draw.randrange(8 * 3600)),
            seed=number,
            excluded=frozenset(
                draw.sample(range(1, len(self.snapshot.candidates)), draw.choice([0, 0, 0, 2]))
            ),
        )


def world(partners: int, seed: int = 1, most_lines: int = 7) -> World:
    """So many locations that sell up to so many lines; a quarter work in a country, others in regions or circles."""
    draw = random.Random(seed)
    weights = [1 / (n + 1) ** 0.8 for n in range(len(COUNTRIES))]
    centres = [(draw.uniform(-45, 60), draw.uniform(-120, 140)) for _ in COUNTRIES]
    people = tuple(
        _candidate(draw, number, weights, centres, most_lines) for number in range(1, partners + 1)
    )
    return World(centres, weights, Snapshot(1, people))


def _candidate(
    draw: random.Random,
    number: int,
    weights: list[float],
    centres: list[tuple[float, float]],
    most_lines: int,
) -> Candidate:
    at = draw.choices(range(len(COUNTRIES)), weights)[0]
    country = COUNTRIES[at]
    lat, lon = (c + draw.gauss(0, 2) for c in centres[at])
    return Candidate(
        id=number,
        company_id=number // 2,
        name=f"partner-{number}",
        active=draw.random() < 0.95,
        agreement_accepted=draw.random() < 0.95,
        level=draw.choices(LEVELS, [3, 3, 2, 1, 1])[0],
        lat=lat,
        lon=lon,
        country=country,
        territories=_territories(draw, country, lat, lon),
        certifications=tuple(
            Certification(
                programme,
                None,
                TODAY - timedelta(days=draw.randrange(30, 900)),
                draw.choice([None, TODAY + timedelta(days=draw.randrange(-60, 700))]),
                draw.choice([None, None, None, draw.choice(LINES)]),
            )
            for programme in draw.sample(PROGRAMMES, draw.randint(2, 14))
        ),
        product_lines=frozenset(draw.sample(LINES, draw.randint(1, most_lines))),
        capacity=draw.randint(0, 40),
        calendar=draw.choice(CALENDARS),
    )


def _territories(draw: random.Random, country: str, lat: float, lon: float) -> tuple[Territory, ...]:
    kind = draw.random()
    if kind < 0.001:
        return (Territory("nationwide"),)
    if kind < 0.25:
        return (Territory("country", country),)
    if kind < 0.6:
        codes = draw.sample(range(REGIONS), draw.randint(1, 4))
        return tuple(Territory("subdivision", country, f"{country}-{code}") for code in codes)
    if kind < 0.8:
        codes = draw.sample(range(100), draw.randint(3, 10))
        return tuple(Territory("postal_prefix", country, f"{code:02d}") for code in codes)
    return (Territory("circle", lat=lat, lon=lon, radius_km=draw.choice([30, 50, 100, 300])),)


def rule_set(rows: int, seed: int = 2) -> RuleSet:
    """So many rows: a tenth require, a fifth exclude, the others boost; one to four tests on the request each."""
    draw = random.Random(seed)
    form = default_ruleset().to_json() | {"rules": [_row(draw, n) for n in range(rows)], "examples": []}
    return RuleSet.parse(form)


def _row(draw: random.Random, number: int) -> dict[str, object]:
    when: dict[str, object] = {}
    if draw.random() < 0.7:
        when["country"] = draw.sample(COUNTRIES, draw.randint(1, 3))
    if draw.random() < 0.6:
        when["product_lines"] = draw.sample(LINES, draw.randint(1, 3))
    if draw.random() < 0.4:
        when["industry"] = draw.sample(INDUSTRIES, draw.randint(1, 5))
    if draw.random() < 0.2:
        when["source"] = draw.sample(SOURCES, draw.randint(1, 2))
    if draw.random() < 0.1:
        when["postal_prefix"] = [f"{code:02d}" for code in draw.sample(range(100), 10)]
    if draw.random() < 0.4 or not when:
        low = draw.choice([0, 5_000, 20_000, 100_000])
        when["amount"] = {"currency": "EUR", "from": low, "below": low + draw.choice([15_000, 80_000, 10**9])}
    kind = draw.choices(["require", "exclude", "boost"], [1, 2, 7])[0]
    who: dict[str, object]
    if kind == "require":
        who = {"level": draw.choice([["Silver", "Gold", "Platinum"], ["Registered", "Silver", "Gold"]])}
    elif kind == "exclude":
        who = {"certification": [draw.choice(PROGRAMMES)], "level": ["Registered"]}
    else:
        who = draw.choice(
            [
                {"certification": draw.sample(PROGRAMMES, draw.randint(1, 4))},
                {"level": draw.sample(["Registered", "Silver", "Gold", "Platinum"], 2)},
                {"country": draw.sample(COUNTRIES, 5), "certification": [draw.choice(PROGRAMMES)]},
            ]
        )
    effect: dict[str, object] = {"kind": kind}
    if kind == "boost":
        effect["points"] = draw.randint(-20, 40)
    return {"id": f"row-{number}", "when": when, "who": who, "effect": effect}


def state_for(ids: tuple[int, ...], seed: int) -> State:
    """Loads and credits of a shortlist, as the database would give them."""
    draw = random.Random(seed)
    load = {i: draw.randint(0, 30) for i in ids}
    return State(load, {i: draw.randint(-(1 << 33), 1 << 33) for i in ids if draw.random() < 0.7})
