"""What a manager waits for before publishing a draft: verification, coverage, rehearsal. In process, no database."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from rules import Place, RuleSet, State
from rules.coverage import coverage
from rules.rehearsal import Past, Progress, rehearse_rules, rehearse_sequence
from rules.verify import verify
from tests.bench.harness import Result, median, result
from tests.rules.seeded import COUNTRIES, LINES, PROGRAMMES, REGIONS, TODAY, rule_set, world

PARTNERS = 10_000
REQUESTS = 100_000
DAYS = 30
EDITED = (3, 17, 42, 60, 77)


def run() -> list[Result]:
    """Verify 5,000 rows, cover 9,600 cells, rehearse 100,000 requests twice."""
    made = world(PARTNERS)
    many, rules = rule_set(5_000), rule_set(1_000)
    places = [Place(country, f"{country}-{n}") for country in COUNTRIES for n in range(REGIONS)]
    needs = {line: (PROGRAMMES[n % len(PROGRAMMES)],) for n, line in enumerate(LINES)}

    def cover() -> object:
        return coverage(rules, made.snapshot, places, LINES, TODAY, 3, needs=needs)

    verifying = seconds(lambda: verify(many, made.snapshot, TODAY))
    covering = seconds(cover)
    past = []
    for one in made.requests(REQUESTS):
        at = one.as_of - timedelta(days=one.id % DAYS)
        past.append(Past(replace(one, as_of=at), freed=at + timedelta(days=5)))
    after = draft(rules)
    return [
        result("verify 5,000 rows", "seconds", verifying, "s", 1.0),
        result(f"cover {len(places) * len(LINES):,} cells on 4 days", "milliseconds", covering * 1000, "ms"),
        rehearsal("rule effect", lambda: list(rehearse_rules(rules, after, made.snapshot, past))),
        rehearsal("full effect", lambda: list(rehearse_sequence(rules, after, made.snapshot, past, State()))),
    ]


def draft(rules: RuleSet) -> RuleSet:
    """Five rows turned into boosts."""
    form = rules.to_json()
    rows = list(form["rules"])  # type: ignore[call-overload]
    for n in EDITED:
        rows[n] = rows[n] | {"effect": {"kind": "boost", "points": 15}}
    return RuleSet.parse(form | {"rules": rows, "version": 2})


def seconds(work: Callable[[], object], rounds: int = 3) -> float:
    """The middle of a few rounds."""
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return median(took)


def rehearsal(case: str, work: Callable[[], list[Progress]]) -> Result:
    """One rehearsal of all requests, both versions."""
    took = seconds(work, 1)
    return result(f"rehearse {REQUESTS:,} x 2, {case}", "seconds", took, "s", 20.0)
