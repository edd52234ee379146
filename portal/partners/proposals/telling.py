"""A proposal's events as sentences."""

from collections.abc import Mapping
from typing import Any

from portal.web.i18n import _, tr
from portal.web.parts import Entry

SENTENCES = {
    "proposal.made": (_("proposed this change"), "pencil", "info"),
    "proposal.withdrawn": (_("took the proposal back"), "arrow-back-up", "neutral"),
    "proposal.approved": (_("approved it: it counts from then on"), "circle-check", "good"),
    "proposal.rejected": (_("did not approve it: everything stays as it was"), "circle-minus", "warn"),
}


def entries(
    events: list[Any], names: Mapping[int, str], companies: Mapping[int, str], words: Mapping[str, str]
) -> list[Entry]:
    """The timeline, newest first; `words` are what was said, by the type of event."""
    found = []
    for event in events:
        sentence, icon, tone = SENTENCES[event.type]
        who = ", ".join(
            part for part in (names.get(event.person_id or 0), companies.get(event.company_id or 0)) if part
        )
        found.append(Entry(event.at, who, tr(sentence), words.get(event.type, ""), icon, tone))
    return found
