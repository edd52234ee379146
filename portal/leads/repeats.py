"""A lead that is known already: what a repeat of its request fills or changes; an empty value never erases."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

PLACE = ("country", "subdivision", "postal", "city", "lat", "lon", "precision")
PLAIN = (
    "title", "product_lines", "certifications", "amount", "currency", "language", "need", "start_on",
    "source", "channel", "hours", "legal_basis",
)  # fmt: skip
# What routing reads: a change of these routes a lead again that nobody could take.
ROUTED_BY = frozenset(
    (*PLACE, "product_lines", "certifications", "amount", "currency", "language", "industry")
)

# What a source may take away on purpose: the record's path -> the lead's column.
ERASABLE = {name: name for name in PLAIN if name != "title"} | {f"place.{name}": name for name in PLACE}
ERASABLE["account.industry"] = "industry"


def differences(known: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Columns that `given` fills or changes; None, "" and empty lists in it mean "not said", `erase` takes away."""
    place = given.get("place") or {}
    said = {key: given.get(key) for key in PLAIN} | {key: place.get(key) for key in PLACE}
    said["industry"] = (given.get("account") or {}).get("industry")
    changes: dict[str, Any] = {}
    for column, value in said.items():
        if value is None or value == "" or (isinstance(value, list | tuple) and not value):
            continue
        if _comparable(value) != _comparable(known[column]):
            changes[column] = list(value) if isinstance(value, tuple) else value
    for path in given.get("erase") or ():
        column = ERASABLE.get(path)
        if column and column not in changes and known[column]:
            changes[column] = [] if isinstance(known[column], list) else None
    if _place_is_coarser(known, changes, place):
        for column in ("lat", "lon", "precision"):
            changes.pop(column, None)
    return changes


# A place found from less (the town, because the postal code is missing this time) does not replace a better one.
PRECISION = ("country", "subdivision", "city", "postal", "exact")


def _place_is_coarser(known: Mapping[str, Any], changes: Mapping[str, Any], place: Mapping[str, Any]) -> bool:
    if "precision" not in changes or known["precision"] is None or known["precision"] not in PRECISION:
        return False
    new = place.get("precision")
    return new in PRECISION and PRECISION.index(new) < PRECISION.index(known["precision"])


def _comparable(value: Any) -> Any:
    match value:
        case Decimal() | float() | int():
            return round(float(value), 6)
        case list() | tuple():
            return sorted(value)
        case datetime() | date():
            return value
        case None:
            return None
        case _:
            return str(value).strip()
