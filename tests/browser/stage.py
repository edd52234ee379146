"""What the browser walks through: a real server over a small world, and leads made by the real actions when a test asks."""

import itertools
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import text
from waitress.server import create_server

from portal.app import main
from portal.events import work
from portal.leads import actions
from portal.leads.intake import receive
from portal.partners import actions as partners
from portal.security.context import digest
from portal.security.signin import hash_password
from tests.world import ALPENHYDRO, DANUBIA, TRAUN, World, build_world

PASSWORD = "seven green pumps in a row"
MANAGER, OPERATOR = "ingrid@halden.example", "operator@halden.example"
SELLER, ADMINISTRATOR = "katrin@danubia.example", "lukas@danubia.example"
LINZ = {"country": "AT", "subdivision": "AT-4", "postal": "4020", "city": "Linz", "lat": 48.306, "lon": 14.286,
        "precision": "postal"}  # fmt: skip
BRNO = {"country": "CZ", "subdivision": "CZ-64", "postal": "602 00", "city": "Brno", "lat": 49.195, "lon": 16.608,
        "precision": "postal"}  # fmt: skip
CUSTOMERS = ("Lenau Papier", "Voest Kaltwalzwerk", "Stadtwerke Enns", "Molkerei Gmunden", "Brauerei Zipf",
             "Kraftwerk Asten", "Zellstoff Steyrermühl", "Klinikum Wels")  # fmt: skip
_numbers = itertools.count()


@dataclass
class Made:
    """A lead and its offer, if one is out."""

    number: str
    lead_id: int
    customer: str
    offer_id: int | None = None


@dataclass
class Stage:
    """The server's address, its world, and the ways to put leads into it."""

    url: str
    world: World
    settled: dict[str, Made] = field(default_factory=dict)

    def lead(self, **changes: Any) -> Made:
        """A lead that only Danubia may take (it alone is authorised for SENTINEL), so it is offered to Danubia."""
        n = next(_numbers)
        customer = f"{CUSTOMERS[n % len(CUSTOMERS)]} {n}"
        record = {
            "external_key": None,
            "title": f"Pump service contract {n}",
            "account": {"name": customer, "industry": "Paper"},
            "contact": {"name": "Eva Lenau", "email": f"eva{n}@lenau.example", "phone": f"+43 732 {n:04}"},
            "place": LINZ | {"street": f"Hafenstraße {n}"},
            "product_lines": ["SENTINEL"],
            "certifications": ["ATEX"],
            "amount": 84_000 + n,
            "currency": "EUR",
            "language": "de",
            "need": "Yearly service of six pumps, two of them in the ATEX zone",
            "source": "phone",
            "message": "Call Eva in the morning, her private number is 0660 1234567",
        }
        with self.world.acting(MANAGER) as session:
            received = receive(session, record | changes)
        with self.world.system() as session:
            offer = session.execute(
                text("select offer_id from leads where id = :i"), {"i": received.lead_id}
            ).scalar_one()
        return Made(received.number, received.lead_id, customer, offer)

    def unroutable(self) -> Made:
        """A lead outside every territory: it waits in the queue."""
        return self.lead(place=dict(BRNO))

    def repeat(self) -> Made:
        """A lead that may be the same request as one before."""
        account, contact = (
            {"name": "Papierfabrik Laakirchen"},
            {"name": "Jo Rot", "email": "jo@laakirchen.example"},
        )
        self.lead(account=account, contact=contact)
        return self.lead(account=account, contact=contact)

    def held(self, email: str = SELLER) -> Made:
        """A lead that a person of Danubia has accepted."""
        made = self.lead()
        with self.world.acting(email) as session:
            actions.accept(session, made.offer_id or 0)
        return made

    def run_work(self) -> None:
        """What is due, without the mails."""
        self._drop_mails()
        work.run_due(self.world.database.worker, now=self.world.now + timedelta(minutes=30))
        self._drop_mails()

    def _drop_mails(self) -> None:
        with self.world.system() as session:
            session.execute(text("delete from work_items where kind = 'offer.mail'"))

    def link(self, made: Made, email: str = SELLER) -> str:
        """The path that the mail of an offer holds for one person."""
        token = secrets.token_urlsafe(32)
        with self.world.system() as session:
            session.execute(
                text("""
                    insert into credentials (hash, purpose, realm_id, kind, company_id, person_id, subject_id, bound_to,
                        scopes, created_at, seen_at, expires_at)
                    values (:hash, 'offer', 1, 'link', :company, :person, :offer, :email, '{}', now(), now(),
                        now() + interval '4 hours')
                """),
                {
                    "hash": digest(token),
                    "company": self.world.company(DANUBIA),
                    "person": self.world.people[email],
                    "offer": made.offer_id,
                    "email": email,
                },
            )
        return f"/o/{token}"


def furnish(stage: Stage) -> None:
    """Passwords, room for many leads, and a history: won, lost, declined, handed back, unroutable, suspected repeat."""
    world = stage.world
    with world.system() as session:
        session.execute(text("update location_facts set capacity = 200"))
        session.execute(
            text(
                "insert into passwords (person_id, realm_id, hash, changed_at) select id, 1, :hash, now() from people"
            ),
            {"hash": hash_password(PASSWORD)},
        )
    with world.acting(MANAGER) as session:
        for name in (TRAUN, ALPENHYDRO):
            partners.end_authorisation(session, world.company(name), "SENTINEL")
    won, lost = stage.held(), stage.held()
    with world.acting(SELLER) as session:
        for stage_name in ("working", "qualified", "proposed"):
            actions.move(session, won.lead_id, stage_name)
        actions.move(session, won.lead_id, "won", won_amount=81_500, won_on=world.now.date())
        actions.move(session, lost.lead_id, "working")
        actions.comment(session, lost.lead_id, "Customer wants an offer by Friday.", to_all=True)
        actions.comment(session, lost.lead_id, "Our margin here is thin.", to_all=False)
        actions.plan_step(session, lost.lead_id, "Call the plant manager", world.now.date())
        actions.decline(session, stage.lead().offer_id or 0, "too_far")
    stage.settled |= {"won": won, "working": lost, "unroutable": stage.unroutable(), "repeat": stage.repeat()}
    stage.lead(product_lines=["HX"])
    stage.lead()
    stage.run_work()


@contextmanager
def served(database: Any) -> Iterator[Stage]:
    """The application on a free port of this machine for the length of the block."""
    world = build_world(database)
    server = create_server(main(database.settings), host="127.0.0.1", port=0, threads=4)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    stage = Stage(f"http://127.0.0.1:{server.effective_port}", world)
    try:
        furnish(stage)
        yield stage
    finally:
        server.close()
        thread.join(timeout=10)
