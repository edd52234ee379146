"""Where a location is: coordinates found for what was typed, and looked for again when it moves."""

from typing import Any

from portal import gateways
from portal.imports.reader import located

ADDRESS = ("postal", "city", "subdivision", "country")


def placed(given: dict[str, Any]) -> dict[str, Any]:
    """`given` with coordinates found by postal code or town where none were typed, and how precise they are."""
    typed = {name: value for name, value in given.items() if value is not None}
    if typed.get("country"):
        typed["country"] = typed["country"].upper()
    if "lat" in typed or "lon" in typed:
        return {**given, "precision": "exact"}
    return {**given, "precision": None, **located(gateways.geocoder(), typed)}


def moved(given: dict[str, Any], fact: Any) -> dict[str, Any]:
    """`given` for a location that has been at `fact`: its coordinates stay, or follow the address when they were its."""
    same = (given["lat"], given["lon"]) == (fact.lat, fact.lon)
    elsewhere = any(given[name] != getattr(fact, name) for name in ADDRESS)
    if same and elsewhere and fact.precision != "exact":
        # These coordinates were only the middle of the old postal code or town, the region perhaps found by it.
        given = given | {"lat": None, "lon": None}
        if given["subdivision"] == fact.subdivision:
            given["subdivision"] = None
    return placed(given) if not same or elsewhere else given
