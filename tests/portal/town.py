"""A small world in which everything of one partner carries a canary, and everybody who may try to find it.

Danubia is the partner whose things nobody else may meet. Traun has leads of its own, one that Danubia declined and one
that it handed back and Danubia works now; Alpenhydro is suspended.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert, text
from webtest import TestApp

from portal.companies.models import Membership, Person
from portal.db import PortalSession, new_id
from portal.events import work
from portal.leads import actions
from portal.leads.intake import receive
from portal.partners import actions as partners
from portal.security import signin
from portal.security.context import digest
from tests.portal.site import ADDRESS, api_client, application, token
from tests.portal.test_rls import LINZ, _request
from tests.world import ALPENHYDRO, DANUBIA, NOW, REALM, TRAUN, World, build_world

MANAGER = "ingrid@halden.example"
SELLERS = {DANUBIA: "katrin@danubia.example", TRAUN: "sales@traun.example"}
# Words that only Danubia and the vendor may read; of leads that Danubia holds or is asked about.
OF_DANUBIA = (
    DANUBIA, "danubia.example", "Katrin Moser", "Lukas Huber", "Haider Straße", "canary-website", "canary-description",
    "+43 000 CANARY", "ATEX-4052", "Customer held", "held@customer.example", "Person of held", "key-held",
    "canary-own-note", "canary-note-to-all", "canary-step", "canary-decline-note", "canary-title-open",
    "canary-note-after-hand-back",
)  # fmt: skip
# Words that no partner at all may read.
OF_VENDOR = ("secret of", "canary-vendor-note", "canary-assign-reason", "key-ours")
# Words of a lead that Traun had and gave back: of the customer nothing is left to it.
OF_PAST = ("Customer past", "past@customer.example", "Person of past")


@dataclass
class Town:
    """The application, its principals as clients, and the ids of Danubia's things."""

    world: World
    app: Any
    visitors: dict[str, TestApp] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    foreign: dict[str, str] = field(default_factory=dict)
    company: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, str] = field(default_factory=dict)

    def client(self) -> TestApp:
        """A client without a credential."""
        made = TestApp(self.app, extra_environ=dict(ADDRESS))
        made.interline = self.app
        return made

    def add(self, name: str, role: str, cookie: str | None = None, bearer: str | None = None) -> None:
        """A principal: what it is called, the role the table knows it by, and its credential."""
        visitor = self.client()
        if cookie:
            visitor.set_cookie("interline", cookie)
        if bearer:
            visitor.authorization = ("Bearer", bearer)
        self.visitors[name], self.roles[name] = visitor, role
        page = visitor.get("/companies/choose" if role not in ("stranger", "system") else "/sign-in")
        self.tokens[name] = str(page.forms[0]["csrf_token"].value)


@contextmanager
def built(database: Any) -> Iterator[Town]:
    """The town in a fresh database."""
    world = build_world(database)
    made = Town(world, application(database.settings))
    _companies(world)
    _leads(made)
    _ids(made)
    _people(made)
    _systems(made)
    yield made


def _companies(world: World) -> None:
    with world.system() as session:
        session.execute(
            text("""
                update companies set website = 'https://canary-website.example', description = 'canary-description',
                    phone = '+43 000 CANARY' where id = :id
            """),
            {"id": world.company(DANUBIA)},
        )


def _lead(town: Town, key: str, to: str, **changes: Any) -> int:
    """A lead offered to `to` whatever the rules would say; the offer's id."""
    world = town.world
    with world.acting(MANAGER) as session:
        received = receive(session, _request(key, LINZ) | changes | {"certifications": ["NONE"]})
        actions.assign(session, received.lead_id, world.location(to), "canary-assign-reason")
        actions.comment(session, received.lead_id, "canary-vendor-note", to_all=False)
    town.numbers[key] = received.number
    with world.system() as session:
        query = text("select offer_id from leads where id = :i")
        return int(session.execute(query, {"i": received.lead_id}).scalar_one())


def _as(world: World, name: str, act: Callable[[PortalSession], Any]) -> Any:
    with world.acting(SELLERS[name]) as session:
        return act(session)


def _leads(town: Town) -> None:
    world = town.world
    held = _lead(town, "held", DANUBIA)
    lead = _as(world, DANUBIA, lambda s: actions.accept(s, held))
    _as(world, DANUBIA, lambda s: actions.comment(s, lead, "canary-own-note", to_all=False))
    _as(world, DANUBIA, lambda s: actions.comment(s, lead, "canary-note-to-all", to_all=True))
    _as(world, DANUBIA, lambda s: actions.plan_step(s, lead, "canary-step", world.now.date()))
    _lead(town, "open", DANUBIA, title="canary-title-open")
    ours = _lead(town, "ours", TRAUN)
    _as(world, TRAUN, lambda s: actions.accept(s, ours))
    _hand_on(town, "declined", DANUBIA, TRAUN)
    past = _hand_on(town, "past", TRAUN, DANUBIA)
    again = _as(world, DANUBIA, lambda s: actions.accept(s, past))
    _as(world, DANUBIA, lambda s: actions.comment(s, again, "canary-note-after-hand-back", to_all=True))
    _lead(town, "asked", TRAUN)


def _hand_on(town: Town, key: str, first: str, second: str) -> int:
    """A lead that `first` declined (Danubia, with a note) or handed back (Traun), and `second` is asked about now."""
    world = town.world
    offer = _lead(town, key, first)
    if first == DANUBIA:
        lead = _as(world, first, lambda s: actions.decline(s, offer, "other", "canary-decline-note"))
    else:
        lead = _as(world, first, lambda s: actions.accept(s, offer))
        _as(world, first, lambda s: actions.hand_back(s, lead, "no_capacity"))
    with world.system() as session:
        session.execute(text("delete from work_items where kind = 'offer.mail'"))
    work.run_due(world.database.worker, now=world.now + timedelta(minutes=1))
    with world.acting(MANAGER) as session:
        actions.assign(session, lead, world.location(second), "canary-assign-reason")
    with world.system() as session:
        query = text("select offer_id from leads where id = :i")
        return int(session.execute(query, {"i": lead}).scalar_one())


def _ids(town: Town) -> None:
    """Real ids of Danubia's things, by the name of their part in addresses; `id` is an offer, a company for partners."""
    world = town.world
    mine = {"c": world.company(DANUBIA)}
    with world.system() as session:

        def one(query: str) -> str:
            return str(session.execute(text(query), mine).scalars().first())

        town.foreign = {
            "number": town.numbers["held"],
            "id": one("select id from offers where company_id = :c and state = 'offered'"),
            "location": str(world.location(DANUBIA)),
            "person": str(world.people["katrin@danubia.example"]),
            "certification": one("select id from certifications where company_id = :c"),
            "territory": one("select id from territories where company_id = :c"),
        }
    town.company = town.foreign | {"id": str(world.company(DANUBIA))}


def _person(world: World, email: str, company: int, role: str) -> str:
    """A new person and the cookie of its session."""
    person = new_id()
    with world.database.worker.begin() as connection:
        row = {
            "realm_id": REALM,
            "id": person,
            "email": email,
            "email_key": email,
            "name": f"Somebody in {role}",
        }
        connection.execute(
            insert(Person).values(row | {"language": "en", "status": "active", "created_at": NOW})
        )
        row = {"realm_id": REALM, "id": new_id(), "company_id": company, "person_id": person, "role": role}
        connection.execute(insert(Membership).values(row | {"location_ids": None, "created_at": NOW}))
    with world.system() as session:
        return signin.open_session_directly(session, person, company)


def _people(town: Town) -> None:
    world = town.world
    town.add("stranger", "stranger")
    town.add("a cookie that was never given", "stranger", secrets.token_urlsafe(32))
    town.add("an expired session", "stranger", _expired(world))
    for email, role in (
        ("operator@halden.example", "operator"),
        (MANAGER, "channel_manager"),
        ("anna@halden.example", "account_manager"),
        ("tomas@halden.example", "sales_rep"),
        (SELLERS[TRAUN], "sales"),
        ("admin@traun.example", "administrator"),
        ("sales@alpenhydro.example", "sales"),
        ("admin@alpenhydro.example", "administrator"),
    ):
        town.add(email, role, world.sessions[email])
    traun = world.company(TRAUN)
    town.add(
        "service@halden.example",
        "service_agent",
        _person(world, "service@halden.example", world.vendor_id, "service_agent"),
    )
    town.add("service@traun.example", "service", _person(world, "service@traun.example", traun, "service"))
    with world.acting(MANAGER) as session:
        partners.set_standing(
            session, world.company(ALPENHYDRO), status="suspended", level="gold", reason="test"
        )


def _expired(world: World) -> str:
    """A session of Katrin's that has run out."""
    company, person = world.company(DANUBIA), world.people["katrin@danubia.example"]
    with world.system() as session:
        secret = signin.open_session_directly(session, person, company)
        before = datetime.now(UTC) - timedelta(seconds=1)
        session.execute(
            text("update credentials set expires_at = :t where hash = :h"), {"t": before, "h": digest(secret)}
        )
    return secret


def _systems(town: Town) -> None:
    world = town.world
    for name, company, scopes in (
        ("vendor's system that reads", world.vendor_id, ("leads:read",)),
        ("vendor's system that writes", world.vendor_id, ("leads:write",)),
        ("Traun's system", world.company(TRAUN), ("leads:read",)),
        ("Alpenhydro's system", world.company(ALPENHYDRO), ("leads:read",)),
    ):
        client = town.client()
        town.add(name, "system", bearer=token(client, api_client(world, company, *scopes)))
