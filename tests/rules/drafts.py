"""Small drafts over few values, and every request and candidate that can tell their rows apart."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from itertools import product

import numpy as np
from hypothesis import strategies as st

from rules import Asked, Candidate, Certification, Place, Request, Row, RuleSet
from tests.rules.test_second_form import second
from tests.rules.worlds import TODAY, candidate, request, row, rule_set

PLACES = ((None, None), ("AT", None), ("AT", "AT-4"), ("DE", None), ("DE", "DE-BY"), ("FR", None))
POSTALS = (None, "4", "40", "5")
LINES = ((), ("pumps",), ("valves",), ("pumps", "valves"))
AMOUNTS = ((None, None), (999_900, "EUR"), (1_000_000, "EUR"), (2_000_000, "EUR"), (1_000_000, "USD"))
LANGUAGES = (None, "de", "fr")
DAYS = (TODAY, TODAY + timedelta(days=3), TODAY + timedelta(days=5))
LEVELS = (None, "gold", "silver", "bronze")
HELD = ((), ("ATEX",), ("SBE",), ("ATEX", "SBE"))
COUNTRIES = (None, "AT", "DE", "FR")
TAGS = (None, frozenset[str](), frozenset({"a"}), frozenset({"b"}), frozenset({"a", "b"}))


@cache
def all_requests() -> tuple[Request, ...]:
    """Every request that rows drawn by `drafts()` may tell from another, from today on."""
    return tuple(
        request(
            place=Place(country, subdivision, postal),
            product_lines=lines,
            certifications=(),
            amount_minor=amount[0],
            currency=amount[1],
            language=language,
            as_of=datetime.combine(day, time(12), UTC),
        )
        for (country, subdivision), postal, lines, amount, language, day in product(
            PLACES, POSTALS, LINES, AMOUNTS, LANGUAGES, DAYS
        )
    )


@cache
def all_candidates() -> tuple[Candidate, ...]:
    return tuple(
        candidate(
            number,
            level=level,
            country=country,
            tags=tags,
            certifications=tuple(Certification(one, None, date(2020, 1, 1)) for one in held),
        )
        for number, (level, held, country, tags) in enumerate(product(LEVELS, HELD, COUNTRIES, TAGS), 1)
    )


@cache
def all_asked() -> tuple[Asked, ...]:
    return tuple(Asked(one) for one in all_requests())


@lru_cache(512)
def applies(one: Row) -> np.ndarray:
    """Whether the row applies, for each of all requests."""
    return np.array([one.applies(asked) for asked in all_asked()])


@lru_cache(512)
def meets(one: Row) -> np.ndarray:
    """Whether the row's `who` is met, for each of all candidates."""
    return np.array([one.meets(other, all_asked()[0], 0) for other in all_candidates()])


def refused(one: Row) -> np.ndarray:
    """Whom the row refuses, for all requests times all candidates."""
    met = meets(one) if one.effect == "exclude" else ~meets(one)
    return np.outer(applies(one), met) if one.effect != "boost" else np.outer(applies(one), met & ~met)


def refused_by(rows: Sequence[Row]) -> np.ndarray:
    """Whom any of the rows refuses."""
    found = np.zeros((len(all_requests()), len(all_candidates())), bool)
    for one in rows:
        found |= refused(one)
    return found


def _some(*values: str) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=3, unique=True)


def _negated(words: list[str]) -> object:
    return {"not": words}


_amounts = st.sampled_from(
    [
        {"currency": "EUR", "from": 10_000},
        {"currency": "EUR", "below": 10_000},
        {"currency": "EUR", "from": 10_000, "below": 20_000},
        {"currency": "EUR", "from": 0},
        {"currency": "USD", "from": 10_000},
    ]
)
_WHEN: dict[str, st.SearchStrategy[object]] = {
    "country": _some("AT", "DE"),
    "subdivision": _some("AT-4", "DE-BY"),
    "postal_prefix": _some("4", "40"),
    "product_lines": _some("pumps", "valves"),
    "amount": _amounts,
    "language": _some("de"),
}
_WHO: dict[str, st.SearchStrategy[object]] = {
    "level": _some("Gold", "silver"),
    "certification": _some("ATEX", "SBE"),
    "country": _some("AT", "DE"),
}
_DAYS = st.sampled_from(
    [{}] * 5
    + [
        {"valid_to": (TODAY - timedelta(days=1)).isoformat()},
        {"valid_to": (TODAY + timedelta(days=3)).isoformat()},
        {"valid_from": (TODAY + timedelta(days=3)).isoformat()},
    ]
)


_LATER_WHEN = _WHEN | {
    "country": st.one_of(_some("AT", "DE"), _some("AT", "DE").map(_negated)),
    "product_lines": st.one_of(_some("pumps", "valves"), _some("pumps", "valves").map(_negated)),
    "postal_prefix": st.one_of(_some("4", "40"), _some("4", "40").map(_negated)),
}
_LATER_WHO = _WHO | {
    "level": st.one_of(_some("Gold", "silver"), _some("Gold").map(_negated)),
    "certification": st.one_of(_some("ATEX", "SBE"), _some("ATEX", "SBE").map(_negated)),
    "tags": st.one_of(_some("a", "b"), _some("a", "b").map(_negated)),
}
Table = dict[str, st.SearchStrategy[object]]


@st.composite
def _cells(draw: st.DrawFn, table: Table, least: int) -> dict[str, object]:
    names = draw(st.lists(st.sampled_from(sorted(table)), min_size=least, max_size=2, unique=True))
    return {name: draw(table[name]) for name in names}


@st.composite
def drafts(draw: st.DrawFn) -> RuleSet:
    """Of either form; the second one asks for what is not, and for tags that nobody may have said."""
    later, rows = draw(st.booleans()), []
    for number in range(draw(st.integers(2, 7))):
        kind = draw(st.sampled_from(["require", "require", "exclude", "exclude", "boost", "boost"]))
        more: dict[str, object] = dict(draw(_DAYS))
        if kind == "boost":
            more["points"] = draw(st.sampled_from([-5, -5, 0, 5, 5]))
        when = draw(_cells(_LATER_WHEN if later else _WHEN, 0))
        if not later and draw(st.integers(0, 4)) == 0:  # a region may be of another country
            when |= {name: draw(_WHEN[name]) for name in ("country", "subdivision")}
        if later and "subdivision" in when:  # this form refuses a region of another country itself
            when.pop("country", None)
        who = draw(_cells(_LATER_WHO if later else _WHO, 0 if kind == "boost" else 1))
        if rows and draw(st.booleans()):  # as people write them: of the same partners as another row
            who = draw(st.sampled_from(rows)).get("who") or who
        rows.append(row(number, kind, when, who, **more))
    return RuleSet.parse(second(*rows)) if later else rule_set(*rows)
