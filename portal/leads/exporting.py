"""Every lead, and every decision on one, as flat rows, streamed, for files; readers see what their context sees."""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import text

from portal.db import PortalSession
from portal.leads import words

STREAM_ROWS = 500
POINTS = 1000  # scores are stored in thousandths

LEADS = text("""
    select l.number, l.external_key, l.received_at, l.title, a.name as account, c.name as contact, c.email, c.phone,
           l.postal, l.city, l.subdivision, l.country, l.product_lines, l.certifications, l.amount, l.currency,
           l.language, l.industry, l.source, l.assignment, l.assignment_reason, l.stage, l.stage_reason,
           h.name as partner, l.next_step, l.next_step_on, l.won_amount, l.won_on, l.updated_at
    from leads l
    join accounts a on a.id = l.account_id
    left join contacts c on c.id = l.contact_id
    left join companies h on h.id = l.holder_company_id
    order by l.received_at, l.id
""")


def export(session: PortalSession) -> Iterator[Mapping[str, Any]]:
    """One mapping per lead, oldest first; lists joined with commas, times in ISO 8601."""
    rows = session.execute(LEADS, execution_options={"yield_per": STREAM_ROWS})
    for row in rows.mappings():
        yield {name: _cell(value) for name, value in row.items()}


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return ", ".join(value)
    return value.isoformat() if hasattr(value, "isoformat") else value


# -- decisions ------------------------------------------------------------------------------------------------------

# The last decision of every lead; one that waits (suspected duplicate, not routed) has none and says so.
DECISIONS = text("""
    select l.number, l.external_key, l.received_at, l.assignment, l.assignment_reason, l.suspected_duplicate_of,
           twin.number as twin_number, d.id as decision_id, d.as_of, d.eligible, d.candidates, d.counts, d.top,
           d.rule_set_version, c.name as partner, loc.name as location, o.brief, o.state as offer_state, o.by_hand
    from leads l
    left join lateral (
        select * from decisions x where x.subject_type = 'lead' and x.subject_id = l.id order by x.id desc limit 1
    ) d on true
    left join lateral (
        select y.*, (y.brief -> 'why' ->> 'by_hand')::boolean as by_hand from offers y
        where y.id = l.offer_id
    ) o on true
    left join locations loc on loc.id = coalesce(o.location_id, d.chosen_location_id)
    left join companies c on c.id = loc.company_id
    left join leads twin on twin.id = l.suspected_duplicate_of
    order by l.received_at, l.id
""")


def decisions(session: PortalSession) -> Iterator[Mapping[str, Any]]:
    """For each lead who got it and why: one mapping, oldest first, all with the same keys."""
    rows = session.execute(DECISIONS, execution_options={"yield_per": STREAM_ROWS})
    for row in rows:
        given = row.partner is not None and row.assignment in ("offered", "held")
        why = (row.brief or {}).get("why") or {} if given else {}
        distance = why.get("distance_m")
        yield {
            "number": row.number,
            "external_key": row.external_key,
            "received": row.received_at.isoformat(),
            "outcome": outcome(row),
            "partner": row.partner if given else None,
            "location": row.location if given else None,
            "distance_km": round(distance / 1000, 1) if distance is not None else None,
            "level": why.get("level"),
            "certified_until": certified(why),
            "eligible": row.eligible,
            "candidates": row.candidates,
            "reason": reason(row, why) if given else waiting(row),
            "decided": row.as_of.isoformat() if row.as_of else None,
            "rule_set_version": row.rule_set_version,
        }


def outcome(row: Any) -> str:
    """offered, held, unroutable and so on; suspected_duplicate for one that waits for a person."""
    if row.suspected_duplicate_of is not None and row.decision_id is None:
        return "suspected_duplicate"
    return str(row.assignment)


def certified(why: Mapping[str, Any]) -> str | None:
    """'MBE, SBE until 2027-12-31' for each certification asked for."""
    held = why.get("certified") or ()
    return ", ".join(f"{c['programme']} until {c['until'] or 'recalled'}" for c in held) or None


def reason(row: Any, why: Mapping[str, Any]) -> str:
    """Why this one, in a sentence."""
    if row.by_hand:
        return "Assigned by hand."
    parts = []
    if why.get("level"):
        parts.append(f"level {why['level']}")
    if why.get("distance_m") is not None:
        parts.append(f"{why['distance_m'] / 1000:,.1f} km away")
    if why.get("certified"):
        parts.append("certified for " + ", ".join(c["programme"] for c in why["certified"]))
    terms = ", ".join(f"{name} {points / POINTS:.1f}" for name, points in why.get("terms") or ())
    share = f"First of {row.eligible:,} that could take it, out of {row.candidates:,}"
    score = f"; {why['score'] / POINTS:.1f} points ({terms})" if why.get("score") is not None else ""
    return f"{share}: {', '.join(parts) or 'best score'}{score}."


def waiting(row: Any) -> str:
    """Why nobody has it."""
    if row.suspected_duplicate_of is not None and row.decision_id is None:
        return f"Looks like the same request as {row.twin_number}; waits for a person."
    if row.assignment == "unroutable":
        return words.queue_reason(row.assignment_reason)[0]
    return {"house": "Kept by the vendor."}.get(row.assignment, "Not routed yet.")
