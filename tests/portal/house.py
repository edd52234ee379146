"""A crowded house: the small world with something of everything in it, and the keys of everybody who may try its doors."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import DBAPIError

from portal.connections import clients
from portal.db import PortalSession, new_id, session_for
from portal.leads import actions
from portal.leads.intake import receive
from portal.security import steps
from portal.security.context import PUBLIC, Credential, digest
from portal.security.models import CredentialRow
from tests.world import ALPENHYDRO, DANUBIA, TRAUN, World

SALZBURG = {"country": "AT", "postal": "5020", "city": "Salzburg", "lat": 47.8, "lon": 13.04}


LINZ = {"country": "AT", "postal": "4020", "city": "Linz", "lat": 48.306, "lon": 14.286}


@dataclass
class House:
    """The small world with something of everything in it."""

    world: World
    leads: dict[str, int]
    offers: dict[str, int]
    token: str
    api: str

    def everything_of(self, name: str) -> set[str]:
        """Ids and words that only this partner (and the vendor) may meet."""
        company, location = self.world.partners[name]
        domain = {DANUBIA: "danubia", TRAUN: "traun", ALPENHYDRO: "alpenhydro"}[name]
        people = {str(i) for email, i in self.world.people.items() if f"@{domain}." in email}
        return {str(company), str(location), name, f"@{domain}.example", *people}

    def lead_words(self, key: str) -> set[str]:
        """Ids and words of one lead's customer."""
        return {f"Customer {key}", f"{key}@customer.example", f"secret of {key}"}


@pytest.fixture
def house(world: World) -> House:
    """One lead held by Danubia, one offered to Danubia, one held by Alpenhydro; notes, passwords, tokens, a link."""
    leads, offers = {}, {}
    for key, place in (("held", LINZ), ("open", LINZ), ("theirs", SALZBURG)):
        with world.acting("ingrid@halden.example") as session:
            leads[key] = receive(session, request_of(key, place)).lead_id
        with world.system() as session:
            offers[key] = session.execute(
                text("select id from offers where lead_id = :lead"), {"lead": leads[key]}
            ).scalar_one()
    for key, email in (("held", "katrin@danubia.example"), ("theirs", "sales@alpenhydro.example")):
        with world.acting(email) as session:
            actions.accept(session, offers[key])
    token = steps.new_secret()
    with world.system() as session:
        _plant(session, world, offers["open"], token)
        number, secret = clients.add(session, world.company(ALPENHYDRO), "erp", ["leads:read"])
        clients.add(session, world.vendor_id, "crm", ["leads:read", "leads:write"])
        api = steps.new_secret()
        assert clients.ClientStore(session).save(str(number), secret, api, ["leads:read"], 3600)
    return House(world, leads, offers, token, api)


# Who has saved filters, a memory of a list, and proposed a change.
DESKS = {
    DANUBIA: "lukas@danubia.example",
    ALPENHYDRO: "admin@alpenhydro.example",
    TRAUN: "admin@traun.example",
}


def request_of(key: str, place: dict[str, Any]) -> dict[str, Any]:
    return {
        "external_key": f"key-{key}",
        "account": {"name": f"Customer {key}"},
        "contact": {"name": f"Person of {key}", "email": f"{key}@customer.example"},
        "place": place,
        "product_lines": ["HX"],
        "certifications": ["ATEX"],
        "message": f"secret of {key}",
    }


def _plant(session: PortalSession, world: World, offer: int, token: str) -> None:
    real = datetime.now(UTC)
    row = {
        "hash": digest(token),
        "purpose": "offer",
        "realm_id": 1,
        "kind": "link",
        "company_id": world.company(DANUBIA),
        "subject_id": offer,
        "bound_to": "katrin@danubia.example",
        "scopes": [],
        "created_at": real,
        "seen_at": real,
        "expires_at": real + timedelta(hours=1),
    }
    session.execute(insert(CredentialRow).values(row))
    for email in ("katrin@danubia.example", "sales@alpenhydro.example", "operator@halden.example"):
        session.execute(
            text("insert into passwords values (:person, 1, :hash, now())"),
            {"person": world.people[email], "hash": f"hash of {email}"},
        )
    for name, email in DESKS.items():
        ids = {
            "company": world.company(name),
            "person": world.people[email],
            "id": new_id(),
            "private": new_id(),
            "name": f"of {name}",
        }
        session.execute(
            text(
                """
                insert into list_memories (realm_id, company_id, person_id, list) values (1, :company, :person, :name);
                insert into saved_filters (id, realm_id, company_id, person_id, list, name, query, shared, created_at)
                values (:id, 1, :company, :person, 'my-leads', 'shared ' || :name, '', true, now()),
                       (:private, 1, :company, :person, 'my-leads', 'private ' || :name, '', false, now());
                insert into proposals (id, realm_id, company_id, kind, before, after, state, proposed_by, proposed_at)
                values (:id, 1, :company, 'company', '{}', '{"name": "Better"}', 'open', :person, now())
            """.replace(":id", str(ids["id"]))
                .replace(":private", str(ids["private"]))
                .replace(":company", str(ids["company"]))
                .replace(":person", str(ids["person"]))
                .replace(":name", f"'{ids['name']}'")
            )
        )


def principals(house: House) -> dict[str, tuple[Credential, set[str]]]:
    """Who tries, and the ids and words it may not meet in any row of any table."""
    world = house.world
    of = {name: house.everything_of(name) for name in (DANUBIA, TRAUN, ALPENHYDRO)}
    words = {key: house.lead_words(key) for key in house.leads}
    offers = {key: {str(number)} for key, number in house.offers.items()}
    ids = {key: {str(number)} for key, number in house.leads.items()}
    everything = set().union(*of.values(), *words.values(), *offers.values(), *ids.values())

    def person(email: str) -> Credential:
        return Credential("session", digest(world.sessions[email]))

    theirs = of[TRAUN] | words["open"]
    danubia = theirs | of[ALPENHYDRO] | words["theirs"] | offers["theirs"] | ids["theirs"]
    alpen = theirs | of[DANUBIA] | words["held"] | offers["held"] | offers["open"] | ids["held"] | ids["open"]
    own = {str(world.company(DANUBIA)), str(world.location(DANUBIA)), DANUBIA}
    stranger = everything - of[TRAUN]
    return {
        "danubia sales": (person("katrin@danubia.example"), danubia),
        "danubia administrator": (person("lukas@danubia.example"), danubia),
        "traun sales": (person("sales@traun.example"), stranger),
        "traun administrator": (person("admin@traun.example"), stranger),
        "alpenhydro sales": (person("sales@alpenhydro.example"), alpen),
        "alpenhydro system": (Credential("api", digest(house.api)), alpen),
        "link": (Credential("offer", digest(house.token)), everything - own - offers["open"] - ids["open"]),
        "public": (PUBLIC, everything),
        "session as token": (Credential("api", digest(world.sessions["katrin@danubia.example"])), everything),
        "link as session": (Credential("session", digest(house.token)), everything),
        "token as session": (Credential("session", digest(house.api)), everything),
        "unknown": (Credential("session", digest("nobody's")), everything),
    }


@contextmanager
def raw(house: House) -> Iterator[psycopg.Connection[Any]]:
    """A connection of the app login that has entered no context."""
    url = house.world.database.app.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def katrin(house: House) -> Credential:
    return Credential("session", digest(house.world.sessions["katrin@danubia.example"]))


def refused(house: House, credential: Credential, statement: str, **values: Any) -> str | None:
    """The SQLSTATE with which the statement is refused, None when it runs (and is rolled back)."""
    with session_for(house.world.database.app, credential) as session:
        try:
            session.execute(text(statement), values)
        except DBAPIError as error:
            return getattr(error.orig, "sqlstate", None) or "?"
        finally:
            session.rollback()
    return None


def changed(house: House, credential: Credential, statement: str, **values: Any) -> int | str:
    """How many rows the statement changed (then rolled back), or the SQLSTATE that refused it."""
    with session_for(house.world.database.app, credential) as session:
        try:
            return int(session.execute(text(statement), values).rowcount)  # type: ignore[attr-defined]
        except DBAPIError as error:
            return str(getattr(error.orig, "sqlstate", "?"))
        finally:
            session.rollback()


NOTHING = (0, "42501")


def credential_of(house: House, email: str) -> Credential:
    return Credential("session", digest(house.world.sessions[email]))
