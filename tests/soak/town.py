"""Fills the empty database of an installation with a vendor, partners with room for everything, and an API client.

Run with the installation's environment: `python -m tests.soak.town`; the last line it prints is one JSON object.
"""

import json

from sqlalchemy import text

from portal.bootstrap import worker_url
from portal.connections import clients
from portal.db import make_engine, transaction
from portal.demo import PASSWORD
from portal.demo.partners import make_directory, make_vendor
from portal.security.context import Acting
from portal.settings import load
from portal.supervisor.embedded import running

PARTNERS, ANSWERING, SEED = 24, 6, 1
ROOM = 1_000_000  # places at each location: the run is about losing nothing, not about who is full


def build() -> dict[str, object]:
    """Make everything; what a client needs to know."""
    settings = load()
    with running(settings):
        engine = make_engine(worker_url(settings), pool_size=1)
        with transaction(engine, Acting()) as session:
            vendor = make_vendor(session)
        with transaction(engine, Acting(kind="vendor", company_id=vendor)) as session:
            house = make_directory(session, vendor, PARTNERS, SEED)
        with transaction(engine, Acting()) as session:
            session.execute(text("update location_facts set capacity = :room"), {"room": ROOM})
            session.execute(text("update directory_versions set version = version + 1"))
            people = session.execute(
                text("""
                    select p.email, l.country, l.postal, l.city, l.subdivision
                    from memberships m join people p on p.id = m.person_id
                    join location_facts l on l.company_id = m.company_id
                    where m.company_id = any(:companies) and m.role = 'sales' order by p.id limit :n
                """),
                {"companies": sorted(house.partners), "n": ANSWERING},
            ).all()
            scopes = ["leads:write", "leads:read", "events:read"]
            client_id, secret = clients.add(session, vendor, "Soak", scopes)
        engine.dispose()
    places = [
        {"country": p.country, "postal": p.postal, "city": p.city, "subdivision": p.subdivision}
        for p in people
    ]
    return {
        "client_id": str(client_id),
        "client_secret": secret,
        "people": sorted({p.email for p in people}),
        "password": PASSWORD,
        "places": places,
    }


if __name__ == "__main__":
    print(json.dumps(build()))
