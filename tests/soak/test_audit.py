"""The comparison can fail: a sound installation is damaged in every way the audit knows, and each damage is named."""

import time

import pytest

from tests.soak import audit
from tests.soak.conftest import Story
from tests.soak.ledger import Clients, Entry
from tests.soak.place import place

AN_OFFER = "(select id from offers where state = 'accepted' and ended_at is null order by id limit 1)"
# What is damaged -> (SQL, what the audit must say).
DAMAGE = {
    "a lead lost": (
        "set session_replication_role = replica; delete from leads where id = (select min(id) from leads)",
        "has 0 effects",
    ),
    "a lead made twice": (
        "insert into leads select (jsonb_populate_record(x, '{\"id\": 7, \"number\": \"L-7\", \"external_key\": null}')).*"
        " from leads x order by id limit 1",
        "has 2 effects",
    ),
    "an event lost": (
        "delete from events where id = (select id from events where type = 'lead.offered' limit 1)",
        "an offer without its event",
    ),
    "an event told twice": (
        "insert into events (realm_id, pos, at, kind, subject_type, subject_id, type, data, audience)"
        " select realm_id, null, at, kind, subject_type, subject_id, type, data, audience from events"
        " where type = 'lead.received' limit 1",
        "received twice",
    ),
    "an answer undone": (
        f"update offers set state = 'declined' where id = {AN_OFFER}",
        "was acknowledged and is declined",
    ),
    "an answer nobody gave": (
        "update offers set state = 'accepted', answered_at = now() where id ="
        " (select min(id) from offers where state = 'offered')",
        "answered by nobody in the ledger",
    ),
    "a counter off by one": ("update routing_states set open = open + 1", "a counter that is not"),
    "a share left open": ("update shares set level = 'full'", "a share that is not"),
    "a lead nowhere": (
        "update leads set assignment = 'unrouted', offer_id = null where id = (select min(id) from leads)",
        "nowhere",
    ),
    "work stuck": (
        "insert into work_items (id, realm_id, queue, kind, payload, state, run_at, lease_until, lease, created_at)"
        " values (8, 1, 'default', 't', '{}', 'running', now(), now() - interval '1 hour', 1, now())",
        "neither done nor parked",
    ),
    "work parked in silence": (
        "insert into work_items (id, realm_id, queue, kind, payload, state, run_at, created_at)"
        " values (9, 1, 'default', 't', '{}', 'parked', now(), now())",
        "without a reason",
    ),
    "a position skipped": ("update events set pos = pos + 1 where pos = (select max(pos) from events)", "a hole"),
    "a kept answer gone": (
        "delete from idempotent_answers where key = (select min(key) from idempotent_answers)",
        "no kept answer",
    ),
}  # fmt: skip


def test_every_damage_is_named(story: Story, seed: int) -> None:
    """A few seconds of load, one sound comparison, then each damage in a copy of the database that is taken back."""
    with place() as town:
        town.up()
        with Clients(town, seed) as clients:
            time.sleep(12)
            clients.stop()
        audit.rest(town)
        assert audit.compare(town, clients.ledger) == []
        clients.ledger.followed.append(clients.ledger.followed[-1])
        assert any("a follower of the feed" in fault for fault in audit.compare(town, clients.ledger))
        clients.ledger.catch_up = None  # nobody will answer
        town.down()
        with pytest.MonkeyPatch.context() as patch, town.held():
            missed = []
            for what, (damage, said) in DAMAGE.items():
                with town.database() as connection:
                    connection.autocommit = False
                    connection.execute(damage)
                    patch.setattr(town, "database", lambda connection=connection: Borrowed(connection))
                    faults = audit.compare(town, clients.ledger)
                    connection.rollback()
                    patch.undo()
                if not any(said in fault for fault in faults):
                    missed.append(f"{what}: {faults}")
            clients.ledger.entries.append(Entry("lead", "never sent", effect="L-1"))
            if not any(
                "never sent was acknowledged as L-1" in f for f in audit.compare(town, clients.ledger)
            ):
                missed.append("an acknowledged request without effect")
        story.row(damages=len(DAMAGE) + 1, missed=len(missed))
        assert not missed, "\n".join(missed)


class Borrowed:
    """A connection lent for a comparison: leaving its block does not end the transaction of the damage."""

    def __init__(self, connection: object) -> None:
        self.connection = connection

    def __enter__(self) -> object:
        return self.connection

    def __exit__(self, *_: object) -> None:
        return None
