"""A small world in which everything of one partner carries a canary, and everybody who may try to find it.

Danubia is the partner whose things nobody else may meet. Traun has leads of its own, one that Danubia declined and one
that it handed back and Danubia works now; Alpenhydro is suspended; Inn has nothing. Nothing that is asked of the town
is kept: each transaction is rolled back, so that every question finds it alike.
"""

import io
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import structlog
from sqlalchemy import insert, text
from sqlalchemy.exc import ProgrammingError
from webtest import TestApp

from integrations.mail import MemorySender
from portal.companies import actions as companies
from portal.companies.models import Membership, Person
from portal.db import PortalSession, new_id, transaction
from portal.events import work
from portal.events.sequencer import stamp
from portal.gateways import storage
from portal.leads import actions, files, mails
from portal.leads.intake import receive
from portal.partners import actions as partners
from portal.partners.proposals import actions as proposals
from portal.partners.proposals.kinds import Target
from portal.routing import blocks
from portal.routing.rulesets import rehearsals
from portal.security import signin, tasks
from portal.security.context import Acting, digest
from portal.web import remembered
from tests.portal.absent import believed, columns_of
from tests.portal.asking import Principal, ask, harmless, meet
from tests.portal.furniture import furnish
from tests.portal.house import LINZ, request_of
from tests.portal.site import ADDRESS, api_client, application, token
from tests.world import ALPENHYDRO, DANUBIA, NOW, REALM, TRAUN, World, build_world

MANAGER = "ingrid@halden.example"
SELLERS = {DANUBIA: "katrin@danubia.example", TRAUN: "sales@traun.example"}
# Words that only Danubia and the vendor may read; of leads that Danubia holds or is asked about.
OF_DANUBIA = (
    DANUBIA, "danubia.example", "Katrin Moser", "Lukas Huber", "Haider Straße", "canary-website", "canary-description",
    "+43 000 CANARY", "ATEX-4052", "Customer held", "held@customer.example", "Person of held", "key-held",
    "canary-own-note", "canary-note-to-all", "canary-step", "canary-decline-note", "canary-title-open",
    "canary-note-after-hand-back", "canary-filter of katrin",
    "canary-own-file", "canary-shared-file", "canary-spec", "canary-new-name", "canary-why",
)  # fmt: skip
# Words that no partner at all may read.
OF_VENDOR = (
    "canary-file.csv",
    "canary-vendor-file",
    "secret of",
    "canary-vendor-note",
    "canary-assign-reason",
    "key-ours",
)
# Words of a lead that Traun had and gave back: of the customer nothing is left to it.
OF_PAST = ("Customer past", "past@customer.example", "Person of past")


@dataclass
class Town:
    """The application, its principals, and the ids of things: Danubia's, the vendor's, Traun's own."""

    world: World
    app: Any
    people: dict[str, Principal] = field(default_factory=dict)
    numbers: dict[str, str] = field(default_factory=dict)
    companies: dict[str, int] = field(default_factory=dict)
    believed: dict[tuple[int, frozenset[int]], Any] = field(default_factory=dict)
    parts: dict[tuple[int, frozenset[int]], Any] = field(default_factory=dict)
    known: frozenset[str] = frozenset()
    mails: list[tuple[str, str]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    _things: dict[tuple[str, int], str | None] = field(default_factory=dict)

    def add(self, name: str, role: str, company: int | None = None, **more: Any) -> Principal:
        """A principal; `session` is its cookie's secret."""
        session = more.pop("session", None)
        sees = more.pop("sees", frozenset({company} if company is not None else ()))
        made = self.people[name] = Principal(name, role, sees, company=company, **more)
        if session:
            made.cookies["interline"] = session
        meet(self.app, made)
        return made

    @property
    def interline(self) -> Any:
        """As a WebTest client names its application (site.views_of)."""
        return self.app

    def inner(self, query: str, **values: Any) -> tuple[Any, ...]:
        """One row, as `system` sees it."""
        with self.world.system() as session:
            return tuple(session.execute(text(query), values).one())

    def thing(self, table: str, company: int) -> str | None:
        """The id by which addresses name some row of `table` that is this company's (a lead by its number)."""
        if (table, company) not in self._things:
            self._things[table, company] = self._found(table, company)
        return self._things[table, company]

    def _found(self, table: str, company: int) -> str | None:
        asked = {
            "companies": "select :c",
            "people": "select person_id from memberships where company_id = :c order by id limit 1",
            "leads": """select number from leads l join shares s on s.subject_id = l.id
                where s.company_id = :c and s.level = 'full' order by l.id limit 1""",
            "files": """select id from texts where company_id = :c and kind = 'file'
                order by cardinality(audience) desc, id limit 1""",
            "rule_sets": "select version from rule_sets where company_id = :c order by version limit 1",
            "offers": "select id from offers where company_id = :c order by state <> 'offered', id limit 1",
        }
        query = asked.get(table, f"select id from {table} where company_id = :c order by 1 limit 1")
        try:
            with self.world.system() as session:
                found = session.execute(text(query), {"c": company}).scalar()
        except ProgrammingError as unknown:
            raise AssertionError(
                f"which table holds the {table} of an address? tests/portal/asking.py: parts_of"
            ) from unknown
        return None if found is None else str(found)


def peopled(database: Any, *, furnished: bool = False) -> Town:
    """The town in a fresh database, its clock stopped; nothing that is asked of it is kept. `furnished`: with rows in
    every table."""
    world = build_world(database)
    made = Town(world, application(database.settings))
    _companies(world)
    _leads(made)
    _proposals(world)
    _sandbox(made)
    _people(made)
    _systems(made)
    _links(made)
    _others(made)
    _mail(made)
    blocks.write(database.worker, Acting(now=world.now), settled_s=-1)
    if furnished:
        keepers = {DANUBIA: "katrin@danubia.example", TRAUN: "admin@traun.example"}
        furnish(made, {made.companies[name]: email for name, email in keepers.items()})
    _settle(made)
    made.app = harmless(database.settings)
    return made


@contextmanager
def built(server_url: str, database: Any, *, furnished: bool = False) -> Iterator[Town]:
    """The town, and beside it a copy for each kind of reader with only what that one may know."""
    made = peopled(database, furnished=furnished)
    with ExitStack() as stack:
        made.app.registry.app_engine.dispose()  # what is connected cannot be copied
        for (realm, sees), _ in {who.group: None for who in made.people.values()}.items():
            vendor = made.world.vendor_id in sees
            companies = list(made.companies.values()) if vendor else list(sees)
            copy = stack.enter_context(
                believed(server_url, database, realm, companies, [made.world.vendor_id] if vendor else None)
            )
            made.parts[realm, sees] = copy
            made.believed[realm, sees] = harmless(copy.settings)
        for app in (made.app, *made.believed.values()):
            ask(app, made.people["stranger"], "GET", "/sign-in")  # whose site it is, the process then knows
        stack.enter_context(_listening(made.log))
        yield made
        made.app.registry.app_engine.dispose()
        for app in made.believed.values():
            app.registry.app_engine.dispose()


def _others(town: Town) -> None:
    """One of each thing that no story above leaves behind: saved filters, an import and its wrong rows."""
    world = town.world
    for email in (*SELLERS.values(), "admin@traun.example"):
        with world.acting(email) as session:
            remembered.save(session, "leads", f"canary-filter of {email}", "q=canary-query", shared=True)
    with world.system() as session:
        session.execute(
            text("""
                insert into imports (id, realm_id, company_id, kind, mapping, file_name, sha256, state, started_at)
                values (:id, 1, :company, 'leads', 'maryland', 'canary-file.csv', '', 'done', now())
            """),
            {"id": new_id(), "company": world.vendor_id},
        )
    with world.acting("ingrid@halden.example") as session:
        rehearsals.start(session, 1, 90)


def _mail(town: Town) -> None:
    """Send what waits, into `mails`: recipient and everything the mail holds."""
    sender = MemorySender()
    database = town.world.database
    with (
        mock.patch.multiple(mails, mailer=lambda _s: sender, load=lambda: database.settings),
        mock.patch.multiple(tasks, mailer=lambda _s: sender, load=lambda: database.settings),
    ):
        with town.world.acting("admin@traun.example") as session:
            signin.invite(session, "new@traun.example", "New Colleague", town.companies[TRAUN], ["sales"])
        work.run_due(database.worker, now=town.world.now + timedelta(minutes=5))
    town.mails = [(m.to, f"{m.subject}\n{m.text}\n{m.html}") for m in sender.sent]


@contextmanager
def _listening(lines: list[str]) -> Iterator[None]:
    """Every line of the log, as it is written, into `lines`."""
    processors = structlog.get_config()["processors"]
    before = list(processors)

    def keep(_logger: Any, _method: str, entry: Any) -> Any:
        lines.append(str(entry))
        return entry

    processors.insert(len(processors) - 1, keep)
    yield
    processors[:] = before


def _settle(town: Town) -> None:
    """Number the events for the feed, stop the realm's clock, note every id, and let go of the database to copy it."""
    database = town.world.database
    stamp(database.worker)
    still = (town.world.now + timedelta(minutes=10)).isoformat()
    admin = database.admin()
    with admin.connect() as connection:
        connection.execute(
            text(f"""
                create or replace function app.clock(p_realm bigint) returns timestamptz language sql stable
                security definer set search_path = pg_catalog as $$ select timestamptz '{still}' $$
            """)
        )
        ids: set[str] = set()
        for table, columns in columns_of(connection).items():
            for column in sorted(columns & {"id", "number", "company_id"}):
                ids |= {
                    str(value)
                    for value in connection.execute(text(f"select distinct {column} from {table}")).scalars()
                }
    admin.dispose()
    town.known = frozenset(ids)
    town.app.registry.app_engine.dispose()
    database.dispose()


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
        received = receive(session, request_of(key, LINZ) | changes | {"certifications": ["NONE"]})
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
    _file(town, SELLERS[DANUBIA], lead, "canary-own-file", "own")
    _file(town, SELLERS[DANUBIA], lead, "canary-shared-file", "shared")
    _file(town, MANAGER, lead, "canary-spec", "accepted")
    _lead(town, "open", DANUBIA, title="canary-title-open")
    ours = _lead(town, "ours", TRAUN)
    own = _as(world, TRAUN, lambda s: actions.accept(s, ours))
    _file(town, MANAGER, own, "canary-vendor-file", "own")
    _file(town, MANAGER, own, "spec-for-whoever-holds-it", "accepted")
    _hand_on(town, "declined", DANUBIA, TRAUN)
    past = _hand_on(town, "past", TRAUN, DANUBIA)
    _file(town, MANAGER, _lead_of(world, past), "canary-spec-later", "accepted")
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


def _lead_of(world: World, offer: int) -> int:
    with world.system() as session:
        query = text("select lead_id from offers where id = :o")
        return int(session.execute(query, {"o": offer}).scalar_one())


def _file(town: Town, email: str, lead: int, name: str, opens: str) -> None:
    """A text file whose name and words are `name`."""
    world = town.world
    with world.acting(email) as session:
        given = (f"{name}.txt", io.BytesIO(f"words of {name}".encode()))
        place = storage(world.database.settings)
        files.add_file(session, world.database.settings, place, lead, given, opens)


def _proposals(world: World) -> None:
    """A change that Danubia wants, which no other partner may learn of."""
    with world.acting("lukas@danubia.example") as session:
        target = Target(world.company(DANUBIA))
        proposals.propose(session, "name", target, {"name": "canary-new-name"}, "canary-why")
        asked = dict.fromkeys(("level", "number", "issued", "expires", "product_line")) | {
            "programme": "ATEX"
        }
        number = proposals.propose(session, "certification", target, asked | {"number": "canary-certificate"})
        settings = world.database.settings
        proof = ("canary-proof.txt", io.BytesIO(b"words of canary-proof"))
        proposals.attach(session, settings, storage(settings), number, proof)


def _person(world: World, email: str, companies: Sequence[int], role: str) -> str:
    """A new person of these companies and the cookie of its session in the first."""
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
        for company in companies:
            row = {
                "realm_id": REALM,
                "id": new_id(),
                "company_id": company,
                "person_id": person,
                "role": role,
            }
            connection.execute(insert(Membership).values(row | {"location_ids": None, "created_at": NOW}))
    return _session(world, email, companies[0])


def _session(world: World, email: str, company: int) -> str:
    """A session of that person's in one of its companies."""
    with world.system() as session:
        query = text("select id from people where email_key = :email and realm_id = :realm")
        person = session.execute(query, {"email": email, "realm": REALM}).scalar_one()
        return signin.open_session_directly(session, person, company)


def _people(town: Town) -> None:
    world = town.world
    vendor, danubia, traun, alpen, inn = town.companies.values()
    town.add("stranger", "stranger")
    town.add("a cookie that was never given", "stranger", session=secrets.token_urlsafe(32))
    town.add("an expired session", "stranger", session=_expired(world))
    for email, role, company in (
        ("operator@halden.example", "operator", vendor),
        (MANAGER, "channel_manager", vendor),
        ("anna@halden.example", "account_manager", vendor),
        ("tomas@halden.example", "sales_rep", vendor),
        (SELLERS[TRAUN], "sales", traun),
        ("admin@traun.example", "administrator", traun),
        ("sales@alpenhydro.example", "sales", alpen),
        ("admin@alpenhydro.example", "administrator", alpen),
    ):
        town.add(email, role, company, session=world.sessions[email])
    for email, role, company in (
        ("service@halden.example", "service_agent", vendor),
        ("service@traun.example", "service", traun),
        ("sales@inn.example", "sales", inn),
        ("admin@inn.example", "administrator", inn),
    ):
        town.add(email, role, company, session=_person(world, email, [company], role))
    _person(world, "both@traun.example", [traun, inn], "administrator")
    for name, company in (("in two companies, at Traun", traun), ("in two companies, at Inn", inn)):
        there = _session(world, "both@traun.example", company)
        town.add(name, "administrator", company, session=there, sees=frozenset({traun, inn}))
    forged = {"interline_company": str(danubia)}
    town.add(
        "choosing a company of others", "sales", traun, session=world.sessions[SELLERS[TRAUN]], cookies=forged
    )
    gone = _person(world, "gone@danubia.example", [danubia], "administrator")
    with world.system() as session:
        session.execute(
            text("""
            delete from memberships where person_id = (select id from people where email = 'gone@danubia.example')
        """)
        )
        partners.set_standing(session, alpen, status="suspended", level="gold", reason="test")
    town.add("a removed person", "stranger", session=gone)


def _sandbox(town: Town) -> None:
    """A second realm with a vendor and an operator of its own; and a partner without anything."""
    world = town.world
    with world.system() as session:
        inn = partners.create_partner(session, name="Inn Hydraulik", level="silver")
        session.execute(
            text("""
            insert into realms (id, kind, name, clock_offset_seconds, created_at) values (2, 'sandbox', 'Sandbox', 0, now());
            insert into directory_versions (realm_id) values (2);
        """)
        )
    town.companies = {
        "vendor": world.vendor_id, DANUBIA: world.company(DANUBIA), TRAUN: world.company(TRAUN),
        ALPENHYDRO: world.company(ALPENHYDRO), "Inn": inn,
    }  # fmt: skip
    with transaction(world.database.worker, Acting(realm_id=2)) as session:
        other = companies.ensure_vendor(session, "Sandbox vendor")
        person, member = new_id(), new_id()
        session.execute(
            text("""
            insert into people (id, realm_id, email, email_key, name, language, status, created_at)
            values (:p, 2, 'op@sandbox.example', 'op@sandbox.example', 'Sandy', 'en', 'active', now());
            """),
            {"p": person},
        )
        session.execute(
            text("""
            insert into memberships (id, realm_id, company_id, person_id, role, created_at)
            values (:m, 2, :c, :p, 'operator', now())
            """),
            {"m": member, "c": other, "p": person},
        )
        secret = signin.open_session_directly(session, person, other)
    town.add("an operator of another realm", "operator", other, session=secret, realm=2)


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
    vendor, danubia, traun, alpen, _inn = town.companies.values()
    reads = ("leads:read", "events:read")
    client = TestApp(town.app, extra_environ=dict(ADDRESS))
    for name, company, scopes in (
        ("vendor's system that reads", vendor, reads),
        ("vendor's system that writes", vendor, ("leads:write",)),
        ("Traun's system", traun, reads),
        ("Alpenhydro's system", alpen, reads),
    ):
        bearer = token(client, api_client(world, company, *scopes))
        town.add(name, "system", company, bearer=bearer)
    without = token(client, api_client(world, traun, *reads))
    ended = token(client, api_client(world, danubia, *reads))
    with world.system() as session:
        session.execute(text("update credentials set scopes = '{}' where hash = :h"), {"h": digest(without)})
        session.execute(
            text("update credentials set expires_at = now() where hash = :h"), {"h": digest(ended)}
        )
    town.add("Traun's system without a scope", "system", traun, bearer=without)
    town.add("a token that has run out", "stranger", bearer=ended)
    town.add("a session as token", "stranger", bearer=world.sessions[SELLERS[DANUBIA]])
    town.add("a token as session", "stranger", session=without)


def _links(town: Town) -> None:
    """Who holds a mail's link to an offer: a live one of Traun's, a used one of Danubia's."""
    world = town.world
    for name, company, role, lives in (
        ("who holds a link", town.companies[TRAUN], "link", "1 hour"),
        ("who holds an old link", town.companies[DANUBIA], "stranger", "-1 hour"),
    ):
        secret = secrets.token_urlsafe(32)
        with world.system() as session:
            session.execute(
                text("""
                    insert into credentials (hash, purpose, realm_id, kind, company_id, subject_id, scopes, created_at,
                        seen_at, expires_at)
                    values (:hash, 'offer', 1, 'link', :company, (select id from offers where company_id = :company
                        and state = 'offered' limit 1), '{}', now(), now(), now() + cast(:lives as interval))
                """),
                {"hash": digest(secret), "company": company, "lives": lives},
            )
        town.add(name, role, company if role == "link" else None, link=secret)
