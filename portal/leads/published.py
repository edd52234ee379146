"""What other systems read of leads' events: references, codes and dates; no customer, no words, no reasons in prose."""

from collections.abc import Collection, Mapping

from sqlalchemy import text

from portal.db import PortalSession
from portal.events.published import name_subjects, publish

publish(
    {
        "lead.received": ("source",),
        "lead.suspected_duplicate": ("of",),
        "lead.changed": ("fields",),
        "lead.customer_corrected": ("fields",),
        "lead.decided": ("decision", "eligible"),
        "lead.offered": ("offer", "company", "location", "until"),
        "lead.opened": ("offer",),
        "lead.accepted": ("offer",),
        "lead.declined": ("offer", "reason"),
        "lead.expired": ("offer",),
        "lead.withdrawn": ("offer", "reason"),
        "lead.handed_back": ("offer", "reason"),
        "lead.unroutable": ("decision", "reason"),
        "lead.moved": ("from", "to", "reason"),
        "lead.step_planned": ("on",),
        "lead.commented": ("to_all",),
        "lead.duplicate": ("of",),
        "lead.not_duplicate": ("of",),
    }
)

# A partner's offer carries the number, so that it can still be told when the lead itself is closed to it.
NUMBERS = text("""
    select id, number from leads where id = any(:ids)
    union select lead_id, lead_number from offers where lead_id = any(:ids)
""")


def numbers(session: PortalSession, ids: Collection[int]) -> Mapping[int, str]:
    """Lead id -> its number, L-10482."""
    return {row.id: row.number for row in session.execute(NUMBERS, {"ids": sorted(ids)})}


name_subjects("lead", numbers)
