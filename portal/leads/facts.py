"""The offer view in words: what mails and the confirm page say of a lead before it is accepted. Nothing else may."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from babel import Locale
from sqlalchemy import text

from portal.db import PortalSession
from portal.web.formatting import Formatter
from portal.web.i18n import _
from rules import minor_per_major

Translate = Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Names:
    """Code -> name of what an offer speaks of: product lines, certification programmes, programme levels."""

    lines: Mapping[str, str]
    programmes: Mapping[str, str]
    levels: Mapping[str, str]

    def level(self, code: str) -> str:
        """A level's name; an unknown code with a large first letter."""
        return self.levels.get(code, code.capitalize())


def names(session: PortalSession) -> Names:
    """The names of the realm; one statement, fit for a link's context and for `system`."""
    found: dict[str, dict[str, str]] = {"line": {}, "programme": {}, "level": {}}
    for row in session.execute(NAMES, {"realm": session.context.realm_id}):
        found[row.kind][row.code] = row.name
    return Names(found["line"], found["programme"], found["level"])


NAMES = text("""
    select 'line' as kind, code, name from product_lines where realm_id = :realm
    union all select 'programme', code, name from programmes where realm_id = :realm
    union all select 'level', code, name from levels where realm_id = :realm
""")


def place(brief: Mapping[str, Any], reader: str) -> str:
    """'4020 Linz, Austria', as far as known and as the reader calls the country."""
    town = " ".join(part for part in (brief.get("postal"), brief.get("city")) if part)
    return ", ".join(part for part in (town, country(brief.get("country"), reader)) if part)


def headline(number: str, brief: Mapping[str, Any], tr: Translate) -> str:
    """'Lead L-10482: Pump service contract, Linz'."""
    title = one_line(str(brief.get("title") or ""))
    city = brief.get("city")
    where = f", {city}" if city and city.casefold() not in title.casefold() else ""
    return tr(_("Lead ${number}: ${title}", mapping={"number": number, "title": title + where}))


def one_line(words: str, limit: int = 90) -> str:
    """Words of a customer as one short line, fit for a subject."""
    line = " ".join(words.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def facts(brief: Mapping[str, Any], names: Names, fmt: Formatter, tr: Translate) -> list[tuple[str, str]]:
    """(label, value) pairs of the offer view; what was not said is left out."""
    band, distance = brief.get("band"), brief.get("distance_m")
    products = [names.lines.get(code, code) for code in brief.get("product_lines") or ()]
    certified = [names.programmes.get(code, code) for code in brief.get("certifications") or ()]
    start = brief.get("start_on")
    rows = (
        (_("Need"), brief.get("need")),
        (_("Place"), place(brief, fmt.locale)),
        (_("Distance"), fmt.km(distance) if distance is not None else None),
        (_("Product lines"), ", ".join(products)),
        (_("Certifications"), ", ".join(certified)),
        (_("Worth"), worth(band, fmt) if band else None),
        (_("Industry"), brief.get("industry")),
        (_("Language"), language(brief.get("language"), fmt.locale)),
        (_("Start"), fmt.long_day(date.fromisoformat(start)) if start else None),
        (_("Preferred hours"), brief.get("hours")),
        (_("Files"), str(brief.get("files") or tr(_("none")))),
    )
    return [(tr(label), " ".join(str(value).split())) for label, value in rows if value]


def country(code: str | None, reader: str) -> str | None:
    """A country's name as the reader calls it; an unknown code reads as itself."""
    if not code:
        return None
    return str(Locale.parse(reader.replace("-", "_")).territories.get(code.upper(), code))


def language(code: str | None, reader: str) -> str | None:
    """A language's name as the reader calls it; an unknown code reads as itself."""
    if not code:
        return None
    name = Locale.parse(reader.replace("-", "_")).languages.get(code.lower(), code)
    return name[:1].upper() + name[1:]


def worth(band: Mapping[str, Any], fmt: Formatter) -> str:
    """The amount band, its edges in whole units of the currency."""
    unit = minor_per_major(band["currency"])
    low, high = (None if edge is None else edge * unit for edge in (band["low"], band["high"]))
    return fmt.band(low, high, band["currency"])


def why(brief: Mapping[str, Any], names: Names, fmt: Formatter, tr: Translate) -> str:
    """Why this company was chosen: its own line of the decision."""
    line = brief.get("why") or {}
    if line.get("by_hand"):
        return tr(_("The channel manager chose you for it."))
    parts = []
    if line.get("level"):
        parts.append(tr(_("your level is ${level}", mapping={"level": names.level(line["level"])})))
    for held in line.get("certified") or ():
        until = held.get("until")
        name = names.programmes.get(held["programme"], held["programme"])
        said = _("you hold ${name}", mapping={"name": name})
        if until:
            day = fmt.day_text(date.fromisoformat(until))
            said = _("you hold ${name} until ${day}", mapping={"name": name, "day": day})
        parts.append(tr(said))
    if line.get("distance_m") is not None:
        parts.append(tr(_("you are ${km} away", mapping={"km": fmt.km(line["distance_m"])})))
    words = ", ".join(parts)
    return words[:1].upper() + words[1:] + "." if words else ""
