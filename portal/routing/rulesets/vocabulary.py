"""The words that may stand in the cells of a rule table: codes of the catalogue and of the world, with their names."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import pycountry
from babel import Locale
from sqlalchemy import select

from portal.companies.models import LocationFact
from portal.db import PortalSession
from portal.partners import queries as partners
from portal.routing.rulesets.cells import Vocabulary, Words
from portal.web.i18n import localizer

# Nothing but a known word may stand there: what nobody has would silently never apply.
CLOSED = (
    "when.country", "when.subdivision", "when.product_lines", "who.country", "who.level", "who.certification",
    "who.authorised",
)  # fmt: skip
LANGUAGES = (
    "de",
    "en",
    "fr",
    "it",
    "es",
    "nl",
    "pl",
    "cs",
    "sk",
    "hu",
    "sl",
    "hr",
    "ro",
    "pt",
    "sv",
    "da",
    "nb",
    "fi",
)


def vocabulary(session: PortalSession, rows: Iterable[Mapping[str, Any]] = ()) -> Vocabulary:
    """Words by column; a word that one of `rows` uses already stays allowed, whatever became of it since."""
    locale = localizer().locale_name.replace("-", "_")
    countries = _countries(locale)
    lines, programmes = dict(partners.product_lines(session)), dict(partners.programmes(session))
    words: dict[str, dict[str, str]] = {
        "when.country": dict(countries),
        "when.subdivision": _subdivisions(session),
        "when.product_lines": lines,
        "when.language": dict(_languages(locale)),
        "who.country": dict(countries),
        "who.level": dict(partners.levels(session)),
        "who.certification": programmes,
        "who.authorised": lines,
    }
    for row in rows:
        for side in ("when", "who"):
            for axis, value in row.get(side, {}).items():
                for word in _words(value):
                    words.setdefault(f"{side}.{axis}", {}).setdefault(word, word)
    return Vocabulary(words, frozenset(CLOSED))


def _words(value: Any) -> list[str]:
    if isinstance(value, dict):
        value = value.get("not")
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


@cache
def _countries(locale: str) -> dict[str, str]:
    territories = Locale.parse(locale).territories
    found = {one.alpha_2: str(territories.get(one.alpha_2, one.name)) for one in pycountry.countries}
    return dict(sorted(found.items(), key=lambda pair: pair[1]))


@cache
def _languages(locale: str) -> dict[str, str]:
    spoken = Locale.parse(locale).languages
    return {code: str(spoken.get(code, code)) for code in LANGUAGES}


@cache
def _regions() -> dict[str, str]:
    return {one.code: one.name for one in pycountry.subdivisions}


def _subdivisions(session: PortalSession) -> dict[str, str]:
    """Regions by name where partners are; of other countries the codes alone."""
    query = select(LocationFact.country).where(LocationFact.realm_id == session.context.realm_id).distinct()
    present = {country for country in session.scalars(query) if country}
    return {code: name if code[:2] in present else code for code, name in _regions().items()}


def listed(words: Vocabulary, keys: Iterable[str]) -> dict[str, Words]:
    """What a page offers for completion: of each column the words that have a name of their own."""
    return {
        key: {code: name for code, name in words.words[key].items() if name != code or key not in CLOSED}
        for key in keys
        if words.words.get(key)
    }
