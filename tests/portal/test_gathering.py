"""Rows written together: one statement, in any order, all or none, and nothing lost on the way through JSON."""

from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import event, text

from portal.accounts.models import Account, Contact
from portal.db import gathering, new_id, put
from portal.events.models import Event
from portal.sharing.models import Text
from tests.world import World

NOW = datetime(2026, 11, 23, 10, 0, 0, 123456, tzinfo=UTC)


def account(**more: Any) -> dict[str, Any]:
    return {
        "id": new_id(),
        "realm_id": 1,
        "name": "Ölmühle „Grün“",
        "name_key": "olmuhle",
        "created_at": NOW,
    } | more


def count(session: Any, table: str) -> int:
    return int(session.execute(text(f"select count(*) from {table}")).scalar_one())


def test_what_refers_to_another_may_come_first_and_one_statement_is_sent(world: World) -> None:
    sent: list[str] = []
    event.listen(world.database.worker, "before_cursor_execute", lambda *given: sent.append(given[2]))
    with world.system() as session:
        before = count(session, "accounts")
        sent.clear()
        with gathering(session, Contact, Account):
            made = account()
            put(
                session, Contact, {"id": new_id(), "realm_id": 1, "account_id": made["id"], "created_at": NOW}
            )
            put(session, Account, made, account(name="Other", country="AT"))
        assert len(sent) == 1, sent
        assert count(session, "accounts") == before + 2


def test_values_arrive_as_they_were_given(world: World) -> None:
    body, blob = 'Line\nwith "quotes" and \\u0041 100 %', bytes(range(256))
    row = {
        "id": new_id(),
        "realm_id": 1,
        "company_id": world.vendor_id,
        "kind": "note",
        "body": body,
        "blob": blob,
    }
    row |= {"audience": [1, 2**62], "created_at": NOW}
    with world.system() as session:
        with gathering(session, Text, Event):
            put(session, Text, row)
            data = {"deep": [1, {"a": None}], "text": "x", "amount": str(Decimal("1.10"))}
            told = {
                "realm_id": 1,
                "at": NOW,
                "kind": "system",
                "subject_type": "t",
                "subject_id": 7,
                "type": "t.t",
            }
            put(session, Event, told | {"data": data, "audience": []})
        found = session.execute(text("select * from texts where id = :id"), {"id": row["id"]}).one()
        assert (found.body, bytes(found.blob), found.audience) == (body, blob, row["audience"])
        assert found.created_at == NOW and found.content_type == "text/plain", (
            "what is not given has its default"
        )
        event_ = session.execute(text("select * from events where type = 't.t'")).one()
        assert event_.data == data and event_.audience == []


@pytest.mark.parametrize("good", [True, False])
def test_the_last_step_comes_after_the_rows_and_takes_them_back(world: World, good: bool) -> None:
    with world.system() as session:
        before = count(session, "accounts")

        def step() -> bool:
            assert count(session, "accounts") == before + 1
            return good

        with gathering(session, Account) as rows:
            put(session, Account, account())
            rows.last(step)
        assert rows.written is good
        assert count(session, "accounts") == before + int(good)


def test_the_outer_one_takes_over_what_it_gathers_when_the_inner_one_is_written(world: World) -> None:
    with world.system() as session, gathering(session, Contact) as outer:
        made = account()
        with gathering(session, Account, Contact) as refused:
            put(
                session, Contact, {"id": new_id(), "realm_id": 1, "account_id": made["id"], "created_at": NOW}
            )
            refused.last(lambda: False)
        with gathering(session, Account, Contact):
            put(session, Account, made)
            put(
                session, Contact, {"id": new_id(), "realm_id": 1, "account_id": made["id"], "created_at": NOW}
            )
        assert len(outer.rows[Contact]) == 1, "not those of the refused one"
        assert (
            session.execute(text("select 1 from accounts where id = :id"), {"id": made["id"]}).scalar() == 1
        )


def test_what_fails_leaves_nothing_behind(world: World) -> None:
    with world.system() as session:
        with suppress(ValueError), gathering(session, Account):
            put(session, Account, account(name="Never written"))
            raise ValueError
        put(session, Account, account(name="Written at once"))
        names = session.scalars(text("select name from accounts where name like '%ritten%'"))
        assert list(names) == ["Written at once"]
