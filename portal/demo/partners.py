"""Makes the demo's vendor and partners, mostly through the partner import, as they stood when the demo's time begins."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import holidays
from sqlalchemy import insert, select, text

from portal.clocks.calendars import office_hours
from portal.companies import actions as companies
from portal.companies.models import Company, Membership, Person
from portal.db import PortalSession, new_id
from portal.demo import PASSWORD, PERSONAS, catalogue
from portal.demo.towns import COUNTRIES, Town, load, pick, slug
from portal.partners import actions as partners
from portal.partners.importing import PartnerImport
from portal.routing.rulesets.actions import publish_default
from portal.security.signin import hash_password

CHUNK = 100
UNSIGNED = 0.02  # share of partners that have not accepted the agreement
BRANCHES = 12  # every how many partners has a second location
NAMED = (
    # name, town, level, people: (name, role)
    ("Danubia Technik", "Linz", "gold", (("Katrin Moser", "sales"), ("Lukas Huber", "administrator"))),
    ("Traun Pumpenservice", "Traun", "silver", (("Eva Wimmer", "sales"), ("Georg Wimmer", "administrator"))),
    ("Alpenhydro", "Salzburg", "gold", (("Maria Egger", "sales"), ("Josef Egger", "administrator"))),
)
VENDOR_PEOPLE = (
    ("Ingrid Hall", "channel_manager"),
    ("Tomas Berg", "sales_rep"),
    ("Olga Horn", "operator"),
    ("Anna Lund", "account_manager"),
)


@dataclass(frozen=True, slots=True)
class Staffed:
    """A partner of the demo: ids, the towns of its locations, and its people who answer."""

    company_id: int
    name: str
    country: str
    sales: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class House:
    """Everybody in the demo: the vendor, its people by role, and the partners by company id."""

    vendor_id: int
    people: dict[str, int]
    partners: dict[int, Staffed]


def make_vendor(session: PortalSession) -> int:
    """The vendor's company, as `system`. Its id."""
    return companies.ensure_vendor(session, catalogue.VENDOR, catalogue.VENDOR_ZONE)


def make_directory(session: PortalSession, vendor_id: int, count: int, seed: int) -> House:
    """Catalogue, rule set, partners and people, as the vendor at the session's business time."""
    chance = random.Random(f"partners {seed}")
    for code, name in catalogue.PRODUCT_LINES.items():
        partners.put_product_line(session, code, name)
    for code, name in catalogue.PROGRAMMES.items():
        partners.put_programme(session, code, name)
    for code, name, rank, _ in catalogue.LEVELS:
        partners.put_level(session, code, name, rank)
    publish_default(session, vendor_id)
    drafts = list(_drafts(chance, count, session.context.now))
    towns = load()
    for draft in [draft for draft in drafts if not draft["people"]][::BRANCHES]:
        _add_branch(chance, draft, towns)
    importer = PartnerImport()
    rows = list(enumerate((draft["record"] for draft in drafts), 1))
    for start in range(0, len(rows), CHUNK):
        wrong = [o for o in importer.apply(session, rows[start : start + CHUNK]) if o.result != "new"]
        assert not wrong, wrong
    return _people(session, vendor_id, drafts, chance)


# -- partners ------------------------------------------------------------------------------------------------------


def _drafts(chance: random.Random, count: int, now: datetime) -> Iterator[dict[str, Any]]:
    """The partners to be: the named ones, then invented ones over the countries by their share."""
    towns, taken = load(), set()
    for name, city, level, people in NAMED:
        town = next(town for town in towns["AT"] if town.city == city)
        taken.add(name)
        yield _draft(chance, name, town, level, now, people)
    shares = [country.partners for country in COUNTRIES.values()]
    levels = [level[3] for level in catalogue.LEVELS]
    while len(taken) < count:
        code = chance.choices(list(COUNTRIES), shares)[0]
        town = pick(chance, towns[code])
        pattern = chance.choice(catalogue.PARTNERS[town.language])
        name = pattern.format(s=chance.choice(catalogue.LAST[town.language]), t=town.city)
        if name in taken:
            continue
        taken.add(name)
        level = chance.choices([level[0] for level in catalogue.LEVELS], levels)[0]
        yield _draft(chance, name, town, level, now, ())


def _draft(
    chance: random.Random,
    name: str,
    town: Town,
    level: str,
    now: datetime,
    people: tuple[tuple[str, str], ...],
) -> dict[str, Any]:
    country = COUNTRIES[town.country]
    lines = chance.sample(list(catalogue.PRODUCT_LINES), 6 if people else chance.randint(2, 5))
    record: dict[str, Any] = {
        "external_key": f"P-{slug(name)}",
        "name": name,
        "website": f"https://www.{slug(name)}.example",
        "phone": _phone(chance, town),
        "locations": [
            {
                "key": "main",
                "name": town.city,
                "street": country.street.format(
                    s=chance.choice(catalogue.LAST[town.language]), n=chance.randint(1, 90)
                ),
                "city": town.city,
                "postal": town.postal,
                "subdivision": town.subdivision,
                "country": town.country,
                "lat": round(town.lat + chance.uniform(-0.02, 0.02), 5),
                "lon": round(town.lon + chance.uniform(-0.02, 0.02), 5),
                "precision": "exact",
                "capacity": 40 if people else chance.choice((8, 10, 12, 15, 20, 30)),
                "calendar": calendar(chance, town, now.date()),
                "territories": _areas(chance, town, bool(people)),
            }
        ],
        "certifications": _certificates(chance, lines, now.date(), bool(people)),
        "product_lines": [{"code": line, "name": catalogue.PRODUCT_LINES[line]} for line in lines],
        "status": "active",
        "level": level,
    }
    if people or chance.random() > UNSIGNED:
        record["agreement"] = {"version": "1"}
    return {"record": record, "town": town, "people": people}


def _phone(chance: random.Random, town: Town) -> str:
    return f"{COUNTRIES[town.country].phone} {chance.randint(200, 799)} {chance.randint(100_000, 999_999)}"


def calendar(chance: random.Random, town: Town, since: date) -> dict[str, Any]:
    """Office hours of the country with the public holidays of the region, this year and next."""
    years = range(since.year, since.year + 2)
    region = town.subdivision.partition("-")[2]
    try:
        days = holidays.country_holidays(town.country, subdiv=region, years=years)
    except NotImplementedError:  # the package knows the country, not its regions
        days = holidays.country_holidays(town.country, years=years)
    start = chance.choice((7 * 60, 7 * 60 + 30, 8 * 60, 9 * 60))
    return office_hours(COUNTRIES[town.country].zone, start, start + 9 * 60, holidays=days)


def _areas(chance: random.Random, town: Town, named: bool) -> list[dict[str, Any]]:
    """Where it works: its region, a circle, postal prefixes, or the whole country."""
    circle = {"kind": "circle", "lat": town.lat, "lon": town.lon, "radius_km": 160.0 if named else 90.0}
    region = {"kind": "subdivision", "country": town.country, "code": town.subdivision}
    if named:
        return [region, circle]
    kind = chance.choices(("region", "circle", "postal", "country", "nationwide"), (34, 34, 14, 16, 2))[0]
    if kind == "region":
        return [region]
    if kind == "circle":
        return [circle | {"radius_km": float(chance.choice((50, 80, 120, 180)))}]
    if kind == "postal":
        return [{"kind": "postal_prefix", "country": town.country, "code": town.postal[:2]}, region]
    return [{"kind": kind, "country": town.country}]


def _certificates(chance: random.Random, lines: list[str], since: date, named: bool) -> list[dict[str, Any]]:
    """Programmes it holds: most for years, some lapsed lately, some about to, some for one line only."""
    found = []
    for programme in catalogue.PROGRAMMES:
        if not named and chance.random() > 0.48:
            continue
        end = chance.choices(("years", "soon", "lapsed"), (80, 10, 0 if named else 10))[0]
        today = since + timedelta(days=95)
        expires = {
            "years": today + timedelta(days=chance.randint(120, 1000)),
            "soon": today + timedelta(days=chance.randint(3, 45)),
            "lapsed": today - timedelta(days=chance.randint(2, 80)),
        }[end]
        limited = chance.choice(lines) if chance.random() < 0.15 and not named else None
        number = f"{programme[:2]}-{chance.randint(10_000, 99_999)}"
        issued = expires.replace(day=min(expires.day, 28), year=expires.year - 3)
        found.append(
            {
                "programme": programme,
                "number": number,
                "issued": issued,
                "expires": expires,
            }
            | ({"product_line": limited} if limited else {})
        )
    return found


def _add_branch(chance: random.Random, draft: dict[str, Any], towns: dict[str, list[Town]]) -> None:
    """A second location in another town of the country."""
    town = pick(chance, towns[draft["town"].country])
    draft["record"]["locations"].append(
        {
            "key": "branch",
            "name": town.city,
            "city": town.city,
            "postal": town.postal,
            "subdivision": town.subdivision,
            "country": town.country,
            "lat": town.lat,
            "lon": town.lon,
            "precision": "city",
            "capacity": 8,
            "calendar": draft["record"]["locations"][0]["calendar"],
            "territories": [{"kind": "circle", "lat": town.lat, "lon": town.lon, "radius_km": 60.0}],
        }
    )


def _ids(session: PortalSession) -> dict[str, int]:
    rows = session.execute(select(Company.external_key, Company.id).where(Company.kind == "partner"))
    return {str(row.external_key): int(row.id) for row in rows}


# -- people --------------------------------------------------------------------------------------------------------


class _Staff:
    """Collects people, memberships and passwords; everybody has the demo's one password, hashed once."""

    def __init__(self, session: PortalSession) -> None:
        ctx = session.context
        self.session, self.realm, self.now = session, ctx.realm_id, ctx.now
        self.people: list[dict[str, Any]] = []
        self.roles: list[dict[str, Any]] = []

    def add(
        self,
        company: int,
        name: str,
        domain: str,
        role: str,
        language: str,
        zone: str,
        at: list[int] | None = None,
    ) -> int:
        """One person with one role; its id."""
        person = new_id()
        email = f"{slug(name).replace('-', '.')}@{domain}"
        common = {"realm_id": self.realm, "created_at": self.now}
        given = {"name": name, "email": email, "email_key": email, "language": language, "time_zone": zone}
        self.people.append({**common, **given, "id": person, "status": "active"})
        member = {"company_id": company, "person_id": person, "role": role, "location_ids": at}
        self.roles.append({**common, **member, "id": new_id()})
        return person

    def write(self) -> None:
        """Insert them all."""
        self.session.execute(insert(Person), self.people)
        self.session.execute(insert(Membership), self.roles)
        self.session.execute(
            text(
                "insert into passwords select id, realm_id, :hash, created_at from people where realm_id = :r"
            ),
            {"hash": hash_password(PASSWORD), "r": self.realm},
        )


def _people(
    session: PortalSession, vendor_id: int, drafts: list[dict[str, Any]], chance: random.Random
) -> House:
    staff, ids = _Staff(session), _ids(session)
    own = {
        role: staff.add(vendor_id, name, catalogue.VENDOR_DOMAIN, role, "en", catalogue.VENDOR_ZONE)
        for name, role in VENDOR_PEOPLE
    }
    found, languages = {}, []
    for draft in drafts:
        record, town = draft["record"], draft["town"]
        company, domain = ids[record["external_key"]], f"{slug(record['name'])}.example"
        given = draft["people"] or _invented(chance, town)
        zone = record["locations"][0]["calendar"]["time_zone"]
        language = "en" if draft["people"] else town.language
        sales = [staff.add(company, name, domain, role, language, zone) for name, role in given]
        found[company] = Staffed(company, record["name"], town.country, tuple(sales))
        languages.append({"company": company, "language": language})
    staff.write()
    session.execute(text("update companies set language = :language where id = :company"), languages)
    known = {person["email"] for person in staff.people}
    assert known.issuperset(email for _, email in PERSONAS)
    return House(vendor_id, own, found)


def _invented(chance: random.Random, town: Town) -> list[tuple[str, str]]:
    first = chance.sample(catalogue.FIRST[town.language], 2)
    last = chance.sample(catalogue.LAST[town.language], 2)
    return [(f"{first[0]} {last[0]}", "sales"), (f"{first[1]} {last[1]}", "administrator")]
