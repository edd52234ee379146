"""Facts of a partner in words: territories, hours, precision, roles."""

from typing import Any

import pycountry

from portal.clocks import calendars
from portal.companies.models import LocationFact
from portal.web.formatting import fmt
from portal.web.i18n import _, tr
from portal.web.shell import ROLE_WORDS

DAYS = (_("Mon"), _("Tue"), _("Wed"), _("Thu"), _("Fri"), _("Sat"), _("Sun"))


def words() -> dict[str, Any]:
    """The functions by which the profile puts facts into words."""
    return {
        "address": address,
        "area": area_words,
        "hours": hours_words,
        "precision": precision_words,
        "role_words": role_words,
    }


def hours_words(stored: dict[str, Any]) -> str:
    """Working hours, days with equal hours taken together: 'Mon to Fri 09:00-17:00'."""
    days = [calendars.day_text(spans) for spans in stored["weekly"]]
    runs: list[tuple[int, int, str]] = []
    for day, hours in enumerate(days):
        if runs and runs[-1][2] == hours:
            runs[-1] = (runs[-1][0], day, hours)
        else:
            runs.append((day, day, hours))
    said = [
        (tr(_("${a} to ${b}", mapping={"a": tr(DAYS[a]), "b": tr(DAYS[b])})) if a != b else tr(DAYS[a]))
        + f" {hours}"
        for a, b, hours in runs
        if hours
    ]
    return ", ".join(said) or tr(_("Never open"))


def precision_words(fact: Any) -> str:
    """How well the coordinates are known."""
    if fact.lat is None:
        return tr(_("unknown: distance does not count"))
    found = {
        "exact": _("the building"),
        "postal": _("the middle of the postal code"),
        "city": _("the middle of the town"),
        "subdivision": _("the middle of the region"),
        "country": _("the middle of the country"),
    }.get(fact.precision or "")
    return tr(found) if found else tr(_("as given"))


def role_words(roles: list[str]) -> str:
    """Roles in words."""
    return ", ".join(tr(ROLE_WORDS.get(role, role)) for role in roles)


def area_words(area: Any) -> str:
    """A territory in words."""
    match area.kind:
        case "country":
            return country_name(area.country)
        case "subdivision":
            return tr(
                _(
                    "${area}, ${country}",
                    mapping={"area": area_name(area.code), "country": country_name(area.country)},
                )
            )
        case "postal_prefix":
            given = {"country": country_name(area.country), "code": area.code}
            return tr(_("${country}, codes ${code}…", mapping=given))
        case "circle":
            km, lat, lon = f"{area.radius_km:g}", f"{area.lat:.3f}", f"{area.lon:.3f}"
            return tr(_("${km} km around ${lat}, ${lon}", mapping={"km": km, "lat": lat, "lon": lon}))
        case _:
            named = country_name(area.country)
            return tr(_("Everywhere in ${country}", mapping={"country": named})) if named else tr(EVERYWHERE)


EVERYWHERE = _("Everywhere")


def address(fact: LocationFact) -> str:
    """'Haider Straße 12, 4052 Ansfelden, Austria'."""
    town = " ".join(part for part in (fact.postal, fact.city) if part)
    return ", ".join(part for part in (fact.street, town, country_name(fact.country)) if part)


def country_name(code: str | None) -> str:
    """'Austria' for AT in the reader's language; an unknown code as it is, '' for none."""
    return str(fmt.country(code))


def area_name(code: str | None) -> str:
    """'Oberösterreich' for AT-4; an unknown code as it is."""
    found: Any = pycountry.subdivisions.get(code=code) if code else None
    return str(found.name) if found else code or ""
