"""A small world for tests: a vendor, three partners, people with sessions, a published rule set.

Written as rows, in few statements, so that it costs a test next to nothing and needs no action to work.
The realm's clock is set so that business time is `NOW` on every login.
"""

import itertools
import secrets
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import insert, text
from sqlalchemy.engine import Connection

from portal.clocks.calendars import office_hours
from portal.companies.models import Company, Location, LocationFact, Membership, Person
from portal.db import PortalSession, new_id, session_for, sort_key, transaction
from portal.partners.models import (
    Agreement,
    Authorisation,
    Certification,
    Level,
    ProductLine,
    Programme,
    Standing,
    Territory,
)
from portal.routing.models import RoutingState, RuleSetRow
from portal.security.context import Acting, Credential, digest
from portal.security.models import CredentialRow
from rules import default_ruleset

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)  # a Monday, 11:00 in Vienna
SINCE = NOW - timedelta(days=90)
REALM = 1

DANUBIA, TRAUN, ALPENHYDRO = "Danubia Technik", "Traun Pumpenservice", "Alpenhydro"
# name, e-mail domain, level, street, city, postal, subdivision, lat, lon
PARTNERS = (
    (DANUBIA, "danubia.example", "gold", "Haider Straße 12", "Ansfelden", "4052", "AT-4", 48.2097, 14.2903),
    (TRAUN, "traun.example", "silver", "Linzer Straße 3", "Traun", "4050", "AT-4", 48.2217, 14.2397),
    (ALPENHYDRO, "alpenhydro.example", "gold", "Moosstraße 60", "Salzburg", "5020", "AT-5", 47.7952, 13.0218),
)
# e-mail, name, company, role
PEOPLE = (
    ("operator@halden.example", "Olga Horn", None, "operator"),
    ("ingrid@halden.example", "Ingrid Hall", None, "channel_manager"),
    ("anna@halden.example", "Anna Lund", None, "account_manager"),
    ("tomas@halden.example", "Tomas Berg", None, "sales_rep"),
    ("katrin@danubia.example", "Katrin Moser", DANUBIA, "sales"),
    ("lukas@danubia.example", "Lukas Huber", DANUBIA, "administrator"),
    ("sales@traun.example", "Eva Wimmer", TRAUN, "sales"),
    ("admin@traun.example", "Georg Wimmer", TRAUN, "administrator"),
    ("sales@alpenhydro.example", "Maria Egger", ALPENHYDRO, "sales"),
    ("admin@alpenhydro.example", "Josef Egger", ALPENHYDRO, "administrator"),
)


@dataclass
class World:
    """Ids by name. `partners` maps name to (company id, location id); `sessions` maps e-mail to cookie secret."""

    database: Any
    vendor_id: int = 0
    partners: dict[str, tuple[int, int]] = field(default_factory=dict)
    people: dict[str, int] = field(default_factory=dict)
    sessions: dict[str, str] = field(default_factory=dict)
    now: datetime = NOW

    def system(self, now: datetime | None = None) -> Any:
        """A transaction of `system` on the worker login, at `now` (default the world's)."""
        return transaction(self.database.worker, Acting(now=now or self.now))

    def acting(self, email: str) -> Any:
        """A transaction on the app login as the person with `email`, by its real session."""
        return transaction(self.database.app, Credential("session", digest(self.sessions[email])))

    def session(self, email: str) -> PortalSession:
        """An open session on the app login as the person with `email`."""
        return session_for(self.database.app, Credential("session", digest(self.sessions[email])))

    def company(self, name: str) -> int:
        """The company id of a partner by name."""
        return self.partners[name][0]

    def location(self, name: str) -> int:
        """The location id of a partner by name."""
        return self.partners[name][1]


def build_world(database: Any) -> World:
    """Fill a fresh database; ids rise in the order of PARTNERS and PEOPLE."""
    world = World(database)
    ids = itertools.count(new_id())
    world.vendor_id = next(ids)
    world.partners = {row[0]: (next(ids), next(ids)) for row in PARTNERS}
    world.people = {row[0]: next(ids) for row in PEOPLE}
    world.sessions = {row[0]: secrets.token_urlsafe(32) for row in PEOPLE}
    with database.worker.begin() as connection:
        _clock(connection)
        _put(connection, Company, _companies(world))
        _catalogue(connection, ids)
        _partners(connection, world, ids)
        _people(connection, world, ids)
        _rules(connection, world, next(ids))
    return world


def _put(connection: Connection, table: Any, rows: list[dict[str, Any]]) -> None:
    """One INSERT of many rows (a literal VALUES list: one round trip)."""
    connection.execute(insert(table).values([{"realm_id": REALM, **row} for row in rows]))


def _clock(connection: Connection) -> None:
    connection.execute(
        text(
            "update realms set clock_offset_seconds = extract(epoch from cast(:now as timestamptz) - now())"
        ),
        {"now": NOW},
    )


def _companies(world: World) -> list[dict[str, Any]]:
    def row(id_: int, kind: str, name: str, language: str) -> dict[str, Any]:
        return {
            "id": id_,
            "kind": kind,
            "name": name,
            "name_key": sort_key(name),
            "external_key": None,
            "language": language,
            "time_zone": "Europe/Vienna",
            "created_at": SINCE,
            "updated_at": SINCE,
        }

    partners = [row(company, "partner", name, "en") for name, (company, _) in world.partners.items()]
    return [row(world.vendor_id, "vendor", "Halden Pumps", "en"), *partners]


def _catalogue(connection: Connection, ids: Any) -> None:
    lines = (("HX", "Heat exchangers HX"), ("SENTINEL", "Sentinel pumps"))
    _put(connection, ProductLine, [{"id": next(ids), "code": c, "name": n} for c, n in lines])
    _put(connection, Programme, [{"id": next(ids), "code": "ATEX", "name": "ATEX explosion protection"}])
    levels = (("gold", "Gold", 3), ("silver", "Silver", 2), ("registered", "Registered", 1))
    _put(connection, Level, [{"id": next(ids), "code": c, "name": n, "rank": r} for c, n, r in levels])


def _partners(connection: Connection, world: World, ids: Any) -> None:
    dated = {"valid_from": SINCE, "valid_to": None}
    places, facts, standings, certificates, rights, areas, agreements, states = ([] for _ in range(8))
    for name, _, level, street, city, postal, subdivision, lat, lon in PARTNERS:
        company, location = world.partners[name]
        mine = {"company_id": company, **dated}
        here = {"location_id": location, **mine}
        places.append(
            {
                "id": location,
                "company_id": company,
                "key": "main",
                "name": city,
                "added_version": 1,
                "created_at": SINCE,
            }
        )
        facts.append(
            {
                **here,
                "id": next(ids),
                "street": street,
                "city": city,
                "postal": postal,
                "subdivision": subdivision,
                "country": "AT",
                "lat": lat,
                "lon": lon,
                "precision": "exact",
                "phone": None,
                "capacity": 10,
                "calendar": office_hours("Europe/Vienna"),
                "active": True,
            }
        )
        standings.append({**mine, "id": next(ids), "status": "active", "level": level})
        certificates.append(
            {
                **mine,
                "id": next(ids),
                "programme": "ATEX",
                "level": None,
                "number": f"ATEX-{postal}",
                "issued": date(2024, 1, 15),
                "expires": date(2027, 12, 31),
                "product_line": None,
            }
        )
        rights += [{**mine, "id": next(ids), "product_line": line} for line in ("HX", "SENTINEL")]
        areas.append({**here, "id": next(ids), "kind": "country", "country": "AT"})
        agreements.append({**mine, "id": next(ids), "version": "1", "how": "import"})
        states.append({"company_id": company, "location_id": location, "open": 0, "credit": 0})
    _put(connection, Location, places)
    _put(connection, LocationFact, facts)
    _put(connection, Standing, standings)
    _put(connection, Certification, certificates)
    _put(connection, Authorisation, rights)
    _put(connection, Territory, areas)
    _put(connection, Agreement, agreements)
    _put(connection, RoutingState, states)


def _people(connection: Connection, world: World, ids: Any) -> None:
    real = datetime.now(UTC)  # sessions live in real time
    people, memberships, sessions = [], [], []
    for email, name, company_name, role in PEOPLE:
        person = world.people[email]
        company = world.company(company_name) if company_name else world.vendor_id
        people.append(
            {
                "id": person,
                "email": email,
                "email_key": email,
                "name": name,
                "language": "en",
                "status": "active",
                "created_at": SINCE,
            }
        )
        memberships.append(
            {
                "id": next(ids),
                "company_id": company,
                "person_id": person,
                "role": role,
                "location_ids": None,
                "created_at": SINCE,
            }
        )
        sessions.append(
            {
                "hash": digest(world.sessions[email]),
                "purpose": "session",
                "kind": "person",
                "company_id": company,
                "person_id": person,
                "scopes": [],
                "created_at": real,
                "seen_at": real,
                "idle_seconds": 43_200,
                "expires_at": real + timedelta(hours=12),
            }
        )
    _put(connection, Person, people)
    _put(connection, Membership, memberships)
    _put(connection, CredentialRow, sessions)


def _rules(connection: Connection, world: World, id_: int) -> None:
    rules = default_ruleset()
    row = {
        "id": id_,
        "company_id": world.vendor_id,
        "subject_type": "lead",
        "name": "First rules",
        "version": 1,
        "state": "published",
        "body": rules.to_json(),
        "hash": rules.hash,
        "published_at": SINCE,
        "created_at": SINCE,
    }
    _put(connection, RuleSetRow, [row])
