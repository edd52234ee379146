"""Countries (ISO 3166-1) and their first-level areas (ISO 3166-2) from what people write."""

from functools import lru_cache
from typing import Any

from integrations.geo.names import folded
from integrations.geo.us import STATES

# What people write for a country besides its ISO names.
_ALSO = {
    "usa": "US", "u s a": "US", "united states": "US", "united states of america": "US", "america": "US",
    "uk": "GB", "great britain": "GB", "england": "GB", "scotland": "GB", "wales": "GB", "eire": "IE", "rsa": "ZA",
    "deutschland": "DE", "osterreich": "AT", "oesterreich": "AT", "schweiz": "CH", "suisse": "CH", "italia": "IT",
    "espana": "ES", "brasil": "BR", "holland": "NL", "the netherlands": "NL", "czech republic": "CZ", "polska": "PL",
    "south korea": "KR", "russia": "RU", "vietnam": "VN", "turkey": "TR",
}  # fmt: skip


@lru_cache(maxsize=4096)
def country(text: str) -> str | None:
    """The two letters (ISO 3166-1) of a country given by two or three letters or by name; None for no country."""
    import pycountry

    given = text.strip()
    if len(given) == 2 and given.isascii():
        found = pycountry.countries.get(alpha_2=given.upper())
        return found.alpha_2 if found else _ALSO.get(given.casefold())
    if known := _ALSO.get(folded(given)):
        return known
    if len(given) == 3 and (found := pycountry.countries.get(alpha_3=given.upper())):
        return str(found.alpha_2)
    for candidate in pycountry.countries:
        names = (
            candidate.name,
            getattr(candidate, "common_name", ""),
            getattr(candidate, "official_name", ""),
        )
        if folded(given) in {folded(name) for name in names if name}:
            return str(candidate.alpha_2)
    return None


@lru_cache(maxsize=16_384)
def subdivision(country_code: str, text: str) -> str | None:
    """The ISO 3166-2 code of an area given by code ("US-MD", "MD") or name ("Maryland"); None for no such area."""
    given = text.strip()
    code = given.upper()
    if not code.startswith(f"{country_code}-"):
        code = f"{country_code}-{code}"
    if country_code == "US" and code[3:] in STATES:
        return code
    import pycountry

    known: Any = pycountry.subdivisions
    if known.get(code=code):
        return code
    areas = known.get(country_code=country_code) or ()
    # Areas of the first level last, so that Valencia is found before the province of the same name.
    matches = [area for area in areas if folded(area.name) == folded(given)]
    matches.sort(key=lambda area: (area.parent_code is not None, area.code))
    return str(matches[0].code) if matches else None
