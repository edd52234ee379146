"""The gates, one plain function each: passed or not, and the facts a page needs to say why.

This is the specification. `reference.py` answers the same questions for a whole snapshot at once from prepared
sets; a test holds the two together byte by byte. Facts are JSON values: codes, days, numbers, never prose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from .calendars import next_opening
from .canonical import utc_text
from .geo import between_m
from .model import Candidate, Certification, Place, Request, Snapshot, State, Territory
from .rows import Row, full_subdivision, plain_postal
from .ruleset import RuleSet

Json = object  # whatever json.dumps writes; a precise type would say less than the docstrings


@dataclass(frozen=True, slots=True)
class GateOutcome:
    """One gate for one candidate: whether it let it pass, and what it looked at."""

    gate: str
    passed: bool
    facts: Mapping[str, Json]


def covers(territory: Territory, place: Place) -> bool:
    """Whether a territory covers a place. What is not known never matches what is asked for.

    A request without a country is covered only by a nationwide territory without a country, or, when it has
    coordinates, by a circle. A subdivision or a postal prefix needs the country on both sides.
    """
    if territory.kind == "circle":
        metres = between_m(territory.lat, territory.lon, place.lat, place.lon)
        return metres is not None and territory.radius_km is not None and metres <= territory.radius_km * 1000
    if territory.kind == "nationwide" and territory.country is None:
        return True
    if territory.kind == "subdivision":
        wanted = full_subdivision(territory.code, territory.country)
        return wanted is not None and wanted == full_subdivision(place.subdivision, place.country)
    if territory.country is None or territory.country != place.country:
        return False
    if territory.kind == "postal_prefix":
        prefix = plain_postal(territory.code)
        return prefix != "" and plain_postal(place.postal).startswith(prefix)
    return True  # country, or nationwide of this country


def certified(held: Sequence[Certification], programme: str, line: str | None, day: date) -> bool:
    """Whether one of `held` is of the programme, valid that day, for the line or all lines; line None: for any line."""
    return any(
        one.programme == programme
        and one.valid_on(day)
        and (line is None or one.product_line is None or one.product_line == line)
        for one in held
    )


def _active(rules: RuleSet, request: Request, candidate: Candidate, state: State) -> GateOutcome:
    return GateOutcome("active", candidate.active, {"active": candidate.active})


def _agreement(rules: RuleSet, request: Request, candidate: Candidate, state: State) -> GateOutcome:
    return GateOutcome("agreement", candidate.agreement_accepted, {"accepted": candidate.agreement_accepted})


def _territory_facts(territory: Territory, place: Place) -> dict[str, Json]:
    return {
        "kind": territory.kind,
        "country": territory.country,
        "code": territory.code,
        "radius_km": territory.radius_km,
        "centre_m": between_m(territory.lat, territory.lon, place.lat, place.lon),
    }


def _territory(rules: RuleSet, request: Request, candidate: Candidate, state: State) -> GateOutcome:
    place = request.place
    covering = [one for one in candidate.territories if covers(one, place)]
    facts: dict[str, Json] = {
        "place_known": place.country is not None,
        "distance_m": between_m(candidate.lat, candidate.lon, place.lat, place.lon),
        "covering": [_territory_facts(one, place) for one in covering],
        "declared": [_territory_facts(one, place) for one in candidate.territories],
    }
    return GateOutcome("territory", bool(covering), facts)


def _why_not_certified(
    held: Sequence[Certification], programme: str, line: str | None, day: date
) -> dict[str, Json]:
    """The nearest miss: an expired or a future certificate, one for another line, or none at all."""
    own = [one for one in held if one.programme == programme]
    fitting = [one for one in own if line is None or one.product_line in (None, line)]
    expired = sorted(
        (one for one in fitting if one.issued <= day), key=lambda one: (one.expires or day, one.issued)
    )
    future = sorted((one for one in fitting if one.issued > day), key=lambda one: one.issued)
    nearest = expired[-1] if expired else future[0] if future else None
    reason = "expired" if expired else "not_yet" if future else "other_line" if own else "never"
    return {
        "programme": programme,
        "product_line": line,
        "reason": reason,
        "issued": nearest.issued.isoformat() if nearest else None,
        "expires": nearest.expires.isoformat() if nearest and nearest.expires else None,
        "held_for": sorted(one.product_line or "" for one in own) if reason == "other_line" else [],
    }


def _certified(rules: RuleSet, request: Request, candidate: Candidate, state: State) -> GateOutcome:
    day, held = request.day, candidate.certifications
    lines: Sequence[str | None] = request.product_lines or (None,)
    missing = [
        _why_not_certified(held, programme, line, day)
        for programme in request.certifications
        for line in lines
        if not certified(held, programme, line, day)
    ]
    facts: dict[str, Json] = {
        "day": day.isoformat(),
        "required": list(request.certifications),
        "missing": missing,
    }
    return GateOutcome("certified", not missing, facts)


def _authorised(rules: RuleSet, request: Request, candidate: Candidate, state: State) -> GateOutcome:
    missing = [line for line in request.product_lines if line not in candidate.product_lines]
    return GateOutcome(
        "authorised", not missing, {"required": list(request.product_lines), "missing": missing}
    )


def _capacity(rules: RuleSet, request: Request, candidate: Candidate, state: State) -> GateOutcome:
    load = state.load.get(candidate.id, 0)
    facts: dict[str, Json] = {
        "load": load,
        "capacity": candidate.capacity,
        "free": max(0, candidate.capacity - load),
    }
    return GateOutcome("capacity", load < candidate.capacity, facts)


def _opens(rules: RuleSet, request: Request, candidate: Candidate, state: State) -> GateOutcome:
    opening = next_opening(candidate.calendar, request.as_of)
    before = request.as_of + timedelta(minutes=rules.offer.cap_minutes)
    facts: dict[str, Json] = {
        "opens_at": utc_text(opening) if opening else None,
        "before": utc_text(before),
        "time_zone": candidate.calendar.time_zone,
    }
    return GateOutcome("opens", opening is not None and opening < before, facts)


def rows_in_force(rules: RuleSet, request: Request, effect: str) -> tuple[Row, ...]:
    """The rows of one effect whose `when` holds for this request on its day, in the order of the rule set."""
    return tuple(row for row in rules.rules if row.effect == effect and row.applies(request))


def _excludes(rules: RuleSet, request: Request, candidate: Candidate, state: State) -> GateOutcome:
    rows = rows_in_force(rules, request, "exclude")
    hit = [row.id for row in rows if row.meets(candidate, request.day)]
    return GateOutcome("excludes", not hit, {"rows": [row.id for row in rows], "hit": hit})


def _requires(rules: RuleSet, request: Request, candidate: Candidate, state: State) -> GateOutcome:
    rows = rows_in_force(rules, request, "require")
    unmet = [row.id for row in rows if not row.meets(candidate, request.day)]
    return GateOutcome("requires", not unmet, {"rows": [row.id for row in rows], "unmet": unmet})


_Gate = Callable[[RuleSet, Request, Candidate, State], GateOutcome]
_GATES: tuple[_Gate, ...] = (
    *(_active, _agreement, _territory, _certified, _authorised, _capacity, _opens, _excludes, _requires),
)


def all_outcomes(
    rules: RuleSet, request: Request, candidate: Candidate, state: State
) -> tuple[GateOutcome, ...]:
    """Every gate for one candidate, in the order of ALL_GATES, whether an earlier one failed or not."""
    return tuple(gate(rules, request, candidate, state) for gate in _GATES)


def one_short(rules: RuleSet, snapshot: Snapshot, request: Request, state: State) -> dict[int, str]:
    """The near misses: id and gate of every candidate that exactly one gate stopped; the excluded are none."""
    found: dict[int, str] = {}
    for candidate in snapshot.candidates:
        if candidate.id in request.excluded:
            continue
        failed: list[str] = []
        for gate in _GATES:
            outcome = gate(rules, request, candidate, state)
            if not outcome.passed:
                failed.append(outcome.gate)
                if len(failed) == 2:
                    break
        if len(failed) == 1:
            found[candidate.id] = failed[0]
    return found
