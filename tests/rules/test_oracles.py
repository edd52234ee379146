"""Postal prefixes, intervals and sets against plain SQL over the same rows (sqlite3), which knows nothing of ours."""

from __future__ import annotations

import sqlite3
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rules import Asked, Place, Request, RuleSet
from tests.rules.test_second_form import second
from tests.rules.worlds import request

COUNTRIES = ("AT", "DE", "FR")
_prefixes = st.lists(st.text("0129A", min_size=1, max_size=4), min_size=1, max_size=4, unique=True)
_span = st.tuples(st.none() | st.integers(0, 40), st.none() | st.integers(0, 40)).filter(
    lambda span: span != (None, None) and (None in span or span[0] < span[1])  # type: ignore[operator]
)
_rows = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "country": st.tuples(
                st.lists(st.sampled_from(COUNTRIES), min_size=1, unique=True), st.booleans()
            ),
            "postal_prefix": st.tuples(_prefixes, st.booleans()),
            "amount": _span,
            "employees": _span,
        },
    ),
    min_size=1,
    max_size=6,
)
_requests = st.lists(
    st.fixed_dictionaries(
        {
            "country": st.sampled_from([None, *COUNTRIES]),
            "postal": st.none() | st.text("0129A -", min_size=1, max_size=6),
            "amount": st.none() | st.integers(0, 4_500),
            "employees": st.none() | st.integers(0, 45),
        }
    ),
    min_size=1,
    max_size=8,
)


def rule(number: int, row: dict[str, Any]) -> dict[str, Any]:
    when: dict[str, Any] = {}
    for name in ("country", "postal_prefix"):
        if name in row:
            values, negated = row[name]
            when[name] = {"not": values} if negated else values
    if "amount" in row:
        when["amount"] = {"currency": "EUR", "from": row["amount"][0], "below": row["amount"][1]}
    if "employees" in row:
        when["custom"] = {"employees": {"from": row["employees"][0], "below": row["employees"][1]}}
    return {"id": f"r{number}", "when": when, "who": {}, "effect": {"kind": "boost", "points": 1}}


def asked(number: int, facts: dict[str, Any]) -> Request:
    return request(
        id=number,
        place=Place(facts["country"], None, facts["postal"]),
        amount_minor=facts["amount"],
        currency="EUR",
        custom={} if facts["employees"] is None else {"employees": facts["employees"]},
    )


SCHEMA = """
    create table requests (id integer, country text, postal text, amount integer, employees integer);
    create table rules (id text, country_not integer, postal_not integer, amount_from integer, amount_below integer,
                        employees_from integer, employees_below integer);
    create table countries (rule text, country text);
    create table prefixes (rule text, prefix text);
"""
# What SQL says of NULL is what we say of the unknown: a condition on it does not hold, turned around or not.
HOLDING = """
    select q.id, r.id from requests q, rules r
    where (r.country_not is null
           or (q.country in (select country from countries where rule = r.id)) <> r.country_not)
      and (r.postal_not is null or q.postal is not null and
           exists (select 1 from prefixes p where p.rule = r.id and substr(q.postal, 1, length(p.prefix)) = p.prefix)
           <> r.postal_not)
      and (r.amount_from is null or q.amount >= 100 * r.amount_from)
      and (r.amount_below is null or q.amount < 100 * r.amount_below)
      and (r.employees_from is null or q.employees >= r.employees_from)
      and (r.employees_below is null or q.employees < r.employees_below)
"""


def holding(rows: list[dict[str, Any]], requests: list[dict[str, Any]]) -> tuple[set[Any], set[Any]]:
    """(request, row) pairs that hold: ours, and SQL's."""
    rules = RuleSet.parse(second(*(rule(n, row) for n, row in enumerate(rows)), examples=[]))
    database = sqlite3.connect(":memory:")
    database.executescript(SCHEMA)
    for number, row in enumerate(rows):
        name = f"r{number}"
        negated = [row[key][1] if key in row else None for key in ("country", "postal_prefix")]
        limits = [*row.get("amount", (None, None)), *row.get("employees", (None, None))]
        database.execute("insert into rules values (?, ?, ?, ?, ?, ?, ?)", (name, *negated, *limits))
        database.executemany(
            "insert into countries values (?, ?)", [(name, c) for c in row.get("country", ([],))[0]]
        )
        database.executemany(
            "insert into prefixes values (?, ?)", [(name, p) for p in row.get("postal_prefix", ([],))[0]]
        )
    for number, facts in enumerate(requests):
        postal = "".join(char for char in facts["postal"] or "" if char not in " -") or None
        values = (number, facts["country"], postal, facts["amount"], facts["employees"])
        database.execute("insert into requests values (?, ?, ?, ?, ?)", values)
    ours = {
        (number, row.id)
        for number, facts in enumerate(requests)
        for row in rules.rules
        if row.applies(Asked(asked(number, facts)))
    }
    return ours, set(database.execute(HOLDING))


def test_rows_hold_where_sql_says_so() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=200, deadline=None, database=None)
    @given(_rows, _requests)
    def draw(rows: list[dict[str, Any]], requests: list[dict[str, Any]]) -> None:
        ours, theirs = holding(rows, requests)
        assert ours == theirs
        seen["pairs"] += len(rows) * len(requests)
        seen["held"] += len(ours)

    draw()
    assert 0.1 * seen["pairs"] < seen["held"] < 0.9 * seen["pairs"], seen
