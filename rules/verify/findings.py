"""What verification finds: structured, named, with an example that shows it. Pages word it.

| code          | reason             | says                                                                          |
|---------------|--------------------|-------------------------------------------------------------------------------|
| never_fires   | expired            | its last day is over                                                          |
|               | contradiction      | its cells exclude each other                                                  |
|               | unknown_values     | no value of the cell is one that exists                                       |
| shadowed      | covered            | leaving it out lets nobody in and changes no order, because of `others`         |
|               | earlier_row        | the first row decides, and `others` always come before it                     |
|               | no_points          | a boost of nothing                                                            |
| conflict      | disjoint_requires  | where both apply nobody can meet both                                         |
|               | requires_excluded  | where both apply, whom the one requires the other excludes                    |
|               | opposite_boosts    | both apply to the same `who`, one raises, one lowers                          |
| who_unmet     | blocks             | nobody meets a required `who` today: what the row applies to is unroutable    |
|               | idle               | nobody meets the `who` of an exclusion or a boost today                       |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..canonical import digest
from ..model import Candidate, Request

NEVER_FIRES, SHADOWED, CONFLICT, WHO_UNMET = "never_fires", "shadowed", "conflict", "who_unmet"
CODES = (NEVER_FIRES, SHADOWED, CONFLICT, WHO_UNMET)


@dataclass(frozen=True, slots=True)
class Witness:
    """An example that shows a finding: what would be asked, and a candidate where one is part of it."""

    request: Request
    candidate: Candidate | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about one row. `cell` is a path in the row; `others` the ids of the rows it is about besides.

    `name` stays the same for as long as the rows it is about say the same (`shadowed` and `who_unmet`: the row itself),
    whatever else is edited, so that it can be acknowledged by name. `exact` is False for a conflict of which no
    example could be made: it is one only if some request meets the cells of both rows that are not understood.
    """

    code: str
    reason: str
    row: str
    cell: str | None
    others: tuple[str, ...]
    witness: Witness | None
    exact: bool
    name: str


@dataclass(frozen=True, slots=True)
class Report:
    """`findings` by code in the order of the rows; `counts` of all of them, of which some codes list the first only.

    `unchecked`: rows for which it was too much work to tell whether they are shadowed. `opaque`: rows with cells that
    are not understood: of those, what was found is certain, and there may be more.
    """

    findings: tuple[Finding, ...]
    counts: Mapping[str, int]
    unchecked: tuple[str, ...]
    opaque: tuple[str, ...]


def name(code: str, reason: str, *rows: tuple[str, Mapping[str, object]]) -> str:
    """The name of a finding about rows, given as (id, JSON); what their notes say is no part of it."""
    said = [code, reason]
    for row_id, form in rows:
        said += [row_id, digest({key: value for key, value in form.items() if key != "note"})[:12]]
    return ":".join(said)
