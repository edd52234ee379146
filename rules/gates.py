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
from .case import Case
from .geo import between_m
from .model import ALL_GATES, Candidate, Certification, Place, Territory
from .places import full_subdivision, plain_postal
from .precedence import claims

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


def _active(case: Case, candidate: Candidate) -> GateOutcome:
    return GateOutcome("active", candidate.active, {"active": candidate.active})


def _agreement(case: Case, candidate: Candidate) -> GateOutcome:
    return GateOutcome("agreement", candidate.agreement_accepted, {"accepted": candidate.agreement_accepted})


def _territory_facts(territory: Territory, place: Place) -> dict[str, Json]:
    return {
        "kind": territory.kind,
        "country": territory.country,
        "code": territory.code,
        "radius_km": territory.radius_km,
        "centre_m": between_m(territory.lat, territory.lon, place.lat, place.lon),
    }


def _territory(case: Case, candidate: Candidate) -> GateOutcome:
    place = case.request.place
    covering = [one for one in candidate.territories if covers(one, place)]
    facts: dict[str, Json] = {
        "place_known": place.country is not None,
        "distance_m": between_m(candidate.lat, candidate.lon, place.lat, place.lon),
        "covering": [_territory_facts(one, place) for one in covering],
        "declared": [_territory_facts(one, place) for one in candidate.territories],
    }
    return GateOutcome("territory", bool(covering), facts)


def why_not_certified(
    held: Sequence[Certification], programme: str, line: str | None, day: date
) -> dict[str, Json]:
    """The nearest miss of who is not certified: an expired or a future certificate, one for another line, or none at all."""
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


def _certified(case: Case, candidate: Candidate) -> GateOutcome:
    request, day, held = case.request, case.asked.day, candidate.certifications
    lines: Sequence[str | None] = request.product_lines or (None,)
    missing = [
        why_not_certified(held, programme, line, day)
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


def _authorised(case: Case, candidate: Candidate) -> GateOutcome:
    request = case.request
    missing = [line for line in request.product_lines if line not in candidate.product_lines]
    return GateOutcome(
        "authorised", not missing, {"required": list(request.product_lines), "missing": missing}
    )


def _capacity(case: Case, candidate: Candidate) -> GateOutcome:
    load = case.load(candidate)
    facts: dict[str, Json] = {
        "load": load,
        "capacity": candidate.capacity,
        "free": max(0, candidate.capacity - load),
    }
    return GateOutcome("capacity", load < candidate.capacity, facts)


def _opens(case: Case, candidate: Candidate) -> GateOutcome:
    request = case.request
    opening = next_opening(candidate.calendar, request.as_of)
    before = request.as_of + timedelta(minutes=case.offer_to(candidate).cap_minutes)
    facts: dict[str, Json] = {
        "opens_at": utc_text(opening) if opening else None,
        "before": utc_text(before),
        "time_zone": candidate.calendar.time_zone,
    }
    return GateOutcome("opens", opening is not None and opening < before, facts)


def _waiver(case: Case, candidate: Candidate) -> str | None:
    """The fallback row that lets the candidate through the rules."""
    row = case.named(case.handling.fallback, "fallback")
    return row.id if row is not None and row.who and case.meets(row, candidate) else None


def _rule(gate: str, case: Case, candidate: Candidate, passed: bool, facts: dict[str, Json]) -> GateOutcome:
    """A rule's gate, which a fallback waives."""
    waived = None if passed else _waiver(case, candidate)
    return GateOutcome(gate, passed or waived is not None, facts | ({"waived": waived} if waived else {}))


def _excludes(case: Case, candidate: Candidate) -> GateOutcome:
    rows = case.in_force("exclude")
    hit = [row.id for row in rows if case.meets(row, candidate)]
    return _rule("excludes", case, candidate, not hit, {"rows": [row.id for row in rows], "hit": hit})


def _requires(case: Case, candidate: Candidate) -> GateOutcome:
    rows = case.in_force("require")
    unmet = [row.id for row in rows if not case.meets(row, candidate)]
    return _rule("requires", case, candidate, not unmet, {"rows": [row.id for row in rows], "unmet": unmet})


def _cap(case: Case, candidate: Candidate) -> GateOutcome:
    caps: list[dict[str, Json]] = []
    full = False
    for row in case.in_force("cap"):
        if case.meets(row, candidate):
            taken = case.state.taken.get(row.id, {}).get(candidate.id, 0)
            full = full or taken >= row.terms.most
            caps.append({"row": row.id, "taken": taken, "most": row.terms.most, "per": row.terms.per})
    return _rule("cap", case, candidate, not full, {"caps": caps})


def _claimed(case: Case, candidate: Candidate) -> GateOutcome:
    claim = case.handling.claim
    passed = claim is None or claims(claim, candidate, case.request)
    return _rule("claimed", case, candidate, passed, {"claim": claim})


def _house(case: Case, candidate: Candidate) -> GateOutcome:
    row = case.named(case.handling.house, "house")
    facts: dict[str, Json] = {"row": row.id if row else None, "rep": row.terms.rep if row else None}
    return _rule("house", case, candidate, row is None, facts)


def _exclusive(case: Case, candidate: Candidate) -> GateOutcome:
    rows = [row for row in case.in_force("exclusive") if row.id in case.handling.exclusive]
    met = {row.id for row in rows if case.meets(row, candidate)}
    hard = [row for row in rows if row.terms.hard]
    passed = all(row.id in met for row in rows if not row.terms.hard)
    passed = passed and (not hard or any(row.id in met for row in hard))
    facts: dict[str, Json] = {"rows": [row.id for row in rows], "hard": [row.id for row in hard]}
    return _rule("exclusive", case, candidate, passed, facts | {"met": sorted(met)})


def _pool(case: Case, candidate: Candidate) -> GateOutcome:
    row = case.named(case.handling.pool, "pool")
    passed = row is None or case.meets(row, candidate)
    facts: dict[str, Json] = {"row": row.id if row else None, "name": row.terms.name if row else None}
    return _rule("pool", case, candidate, passed, facts)


def _distributor(case: Case, candidate: Candidate) -> GateOutcome:
    via = case.handling.via
    passed = via is None or candidate.id in case.handling.distributors
    facts: dict[str, Json] = {"row": via, "supplies": [str(i) for i in sorted(candidate.distributor_of)]}
    return _rule("distributor", case, candidate, passed, facts)


_Gate = Callable[[Case, Candidate], GateOutcome]
_GATES: tuple[_Gate, ...] = (
    *(_active, _agreement, _territory, _certified, _authorised, _capacity, _opens, _excludes, _requires),
    *(_cap, _claimed, _house, _exclusive, _pool, _distributor),
)
_ALWAYS = 9  # gates that every explanation tells
_NARROWING = _GATES[len(_GATES) - 5 :]


def all_outcomes(case: Case, candidate: Candidate) -> tuple[GateOutcome, ...]:
    """Every gate for one candidate, in the order of ALL_GATES, whether an earlier one failed or not.

    Those after excludes and requires only where the rule set has such rules.
    """
    used = case.rules.gates_used
    return tuple(
        gate(case, candidate)
        for name, gate in zip(ALL_GATES, _GATES, strict=True)
        if name in ALL_GATES[:_ALWAYS] or name in used
    )


def narrowed_by(case: Case, candidate: Candidate) -> str | None:
    """The first gate of those that depend on the whole field which stops the candidate."""
    return next((found.gate for gate in _NARROWING if not (found := gate(case, candidate)).passed), None)


def failing(case: Case, candidate: Candidate, most: int) -> list[str]:
    """The first `most` gates that stop the candidate."""
    found: list[str] = []
    for gate in _GATES:
        outcome = gate(case, candidate)
        if not outcome.passed:
            found.append(outcome.gate)
            if len(found) == most:
                break
    return found
