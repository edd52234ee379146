"""Requests of one client that come together: one transaction, and to each the answer it would have had alone."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import text
from webtest import TestApp

from portal.connections import clients, together
from portal.leads import api as leads_api
from tests.portal.connections.test_leads_api import LEAD
from tests.portal.site import api_client, site, system, token
from tests.world import World

WAIT_S = 10


class Crowd:
    """Requests sent at the same time: the first is held in its view until as many others wait for it."""

    def __init__(self, app: TestApp, monkeypatch: pytest.MonkeyPatch) -> None:
        self.app = app
        self.asked: list[int] = []  # how many were acted for at a time
        self._inside, self._go, self._queued = threading.Event(), threading.Event(), threading.Semaphore(0)
        wait, taken, create = together.Together._wait, together.taken_along, leads_api.receive_all

        def waiting(one: Any, *place: Any) -> None:
            self._queued.release()
            wait(one, *place)

        def held(request: Any) -> Any:
            if not self._inside.is_set():
                self._inside.set()
                assert self._go.wait(WAIT_S)
            return taken(request)

        def asked(session: Any, records: Any, **more: Any) -> Any:
            self.asked.append(len(records))
            return create(session, records, **more)

        monkeypatch.setattr(together.Together, "_wait", waiting)
        monkeypatch.setattr("portal.connections.api.taken_along", held)
        monkeypatch.setattr(leads_api, "receive_all", asked)

    def send(self, *bodies: Any, keys: tuple[str | None, ...] = ()) -> list[Any]:
        """The answers to `bodies`, in their order; the first leads."""
        with self.sending(*bodies, keys=keys) as answers:
            pass
        return [answers[n] for n in range(len(bodies))]

    @contextmanager
    def sending(self, *bodies: Any, keys: tuple[str | None, ...] = ()) -> Iterator[dict[int, Any]]:
        """The same; the block runs while all wait."""
        answers: dict[int, Any] = {}

        def one(n: int) -> None:
            app = TestApp(self.app.app)
            app.authorization = self.app.authorization
            headers = {"Idempotency-Key": keys[n]} if keys and keys[n] else {}
            answers[n] = app.post_json("/api/v1/leads", bodies[n], headers=headers, status="*")

        threads = [threading.Thread(target=one, args=(n,)) for n in range(len(bodies))]
        threads[0].start()
        assert self._inside.wait(WAIT_S)
        for thread in threads[1:]:
            thread.start()
            assert self._queued.acquire(timeout=WAIT_S)
        try:
            yield answers
        finally:
            self._go.set()
            for thread in threads:
                thread.join(WAIT_S)
        assert len(answers) == len(bodies)


@pytest.fixture
def crowd(world: World, monkeypatch: pytest.MonkeyPatch) -> Crowd:
    """Of the vendor's system."""
    return Crowd(system(world, world.vendor_id, "leads:write"), monkeypatch)


def lead(n: int, **changes: Any) -> dict[str, Any]:
    """Of another customer each."""
    contact = {"name": f"Buyer {n}", "email": f"buyer{n}@customer.example"}
    return (
        LEAD
        | {"external_key": f"key-{n}", "account": {"name": f"Customer {n}"}, "contact": contact}
        | changes
    )


def rows(world: World, query: str) -> list[Any]:
    with world.system() as session:
        return list(session.execute(text(query)))


def transactions(world: World) -> int:
    return len({row.xmin for row in rows(world, "select xmin::text from leads")})


def test_leads_that_come_together_are_taken_in_together(world: World, crowd: Crowd) -> None:
    answers = crowd.send(*(lead(n, message=f"word {n}") for n in range(4)))
    assert [a.status_int for a in answers] == [201] * 4 and transactions(world) == 1 and crowd.asked == [4]
    for n, answer in enumerate(answers):
        found = rows(world, f"select * from leads where id = {int(answer.json['id'])}")[0]
        assert (found.external_key, found.number) == (f"key-{n}", answer.json["number"]), (
            "each its own answer"
        )
        assert answer.headers["Location"] == answer.json["url"] and found.assignment == "offered"
        (raw,) = rows(world, f"select body from texts where subject_id = {found.id}")
        assert f"word {n}" in raw.body
        assert answer.headers["RateLimit"] and answer.headers["X-Request-Id"]
    assert len({a.headers["X-Request-Id"] for a in answers}) == 4
    assert len(rows(world, "select from offers")) == 4 and len({a.headers["RateLimit"] for a in answers}) == 4


def test_what_is_wrong_with_one_is_told_to_it_alone(world: World, crowd: Crowd) -> None:
    wrong = lead(1, amount={"amount": "84,000", "currency": "EUR"})
    first, second, third = crowd.send(lead(0), wrong, lead(2))
    assert (first.status_int, second.status_int, third.status_int) == (201, 422, 201)
    assert second.json["errors"][0]["field"] == "amount.amount" and crowd.asked == [2]
    assert {row.external_key for row in rows(world, "select external_key from leads")} == {"key-0", "key-2"}


def test_a_wrong_one_that_leads_harms_nobody(world: World, crowd: Crowd) -> None:
    crowd._inside.set()  # a wrong body is refused before anybody is taken along: nothing to hold
    answers = []

    def one(body: Any) -> None:
        app = TestApp(crowd.app.app)
        app.authorization = crowd.app.authorization
        answers.append(app.post_json("/api/v1/leads", body, status="*").status_int)

    threads = [threading.Thread(target=one, args=(lead(n, title=12 if n % 2 else "T"),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert sorted(answers) == [201] * 4 + [422] * 4 and len(rows(world, "select from leads")) == 4


def failing(times: int, fail: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have requests for more than one lead fail."""
    create = leads_api.receive_all

    def some(session: Any, records: Any, **more: Any) -> Any:
        received = create(session, records, **more)
        if len(records) >= times:
            fail(session)
        return received

    monkeypatch.setattr(leads_api, "receive_all", some)


def fault(_session: Any) -> None:
    raise RuntimeError("all at once is too much")


def at_commit(session: Any) -> None:
    session.joins.transaction_manager.get().addBeforeCommitHook(fault, (None,))


def test_where_together_fails_each_goes_alone(
    world: World, crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who leads too: the fault may be another's."""
    failing(2, fault, monkeypatch)
    answers = crowd.send(*(lead(n) for n in range(4)))
    assert [a.status_int for a in answers] == [201] * 4 and transactions(world) == 4
    found = rows(world, "select external_key from leads order by 1")
    assert [row.external_key for row in found] == ["key-0", "key-1", "key-2", "key-3"]
    assert sorted(crowd.asked) == [1, 1, 1, 1, 4], "and none of them twice"


def test_where_the_commit_fails_the_others_go_alone(
    world: World, crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(2, at_commit, monkeypatch)
    leading, *others = crowd.send(*(lead(n) for n in range(4)))
    assert leading.status_int == 500, "its own transaction has failed"
    assert [a.status_int for a in others] == [201] * 3 and transactions(world) == 3
    found = rows(world, "select external_key from leads order by 1")
    assert [row.external_key for row in found] == ["key-1", "key-2", "key-3"]
    assert crowd.asked == [4, 1, 1, 1], "and none of them twice"


def test_one_idempotency_key_is_one_lead(world: World, crowd: Crowd) -> None:
    first = lead(1)
    same = crowd.send(lead(0), first, first, lead(3), keys=(None, "k-1", "k-1", "k-3"))
    assert [a.status_int for a in same] == [201] * 4 and same[1].body == same[2].body
    assert sum("Idempotent-Replayed" in a.headers for a in same) in (0, 1)
    assert len(rows(world, "select from leads")) == 3
    kept = rows(world, "select key from idempotent_answers order by key")
    assert [row.key for row in kept] == ["k-1", "k-3"]


def test_a_used_idempotency_key_is_replayed_or_refused_in_company_too(world: World, crowd: Crowd) -> None:
    app = crowd.app
    crowd._inside.set()
    known = app.post_json("/api/v1/leads", lead(1), headers={"Idempotency-Key": "k-1"}, status=201)
    crowd._inside.clear()
    answers = crowd.send(lead(0), lead(1), lead(2), keys=("k-0", "k-1", "k-1"))
    assert [a.status_int for a in answers] == [201, 201, 422]
    assert answers[1].body == known.body and answers[1].headers["Idempotent-Replayed"] == "true"
    assert answers[2].json["errors"][0]["code"] == "idempotency_key_reused"


def test_clients_do_not_meet(world: World, crowd: Crowd) -> None:
    other = TestApp(crowd.app.app)
    other.authorization = (
        "Bearer",
        token(site(world.database), api_client(world, world.vendor_id, "leads:write")),
    )
    with crowd.sending(lead(0), lead(1)):
        assert other.post_json("/api/v1/leads", lead(2)).status_int == 201, "answered while the others wait"
    assert crowd.asked == [1, 2]
    with world.system() as session:
        of = "select client_id, count(*) from events where type = 'lead.received' group by 1 order by 2"
        assert [row.count for row in session.execute(text(of))] == [1, 2]


def test_whoever_leads_is_asked_for_its_credential(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    number, secret = api_client(world, world.vendor_id, "leads:write")
    app = site(world.database)
    app.authorization = ("Bearer", token(app, (number, secret)))
    crowd = Crowd(app, monkeypatch)
    with crowd.sending(lead(0), lead(1)) as answers, world.system() as session:
        clients.revoke(session, int(number))
    # Who leads had been let in before; both were committed by the transaction that was.
    assert {a.status_int for a in answers.values()} == {201}
    crowd._inside.set()
    assert app.post_json("/api/v1/leads", lead(2), status="*").status_int == 401


def test_who_waits_too_long_goes_alone(world: World, crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "PATIENCE_S", 0.1)
    with crowd.sending(lead(0), lead(1)) as answers:
        for _ in range(100):
            if 1 in answers:
                break
            threading.Event().wait(0.05)
        assert answers[1].status_int == 201 and 0 not in answers
    assert answers[0].status_int == 201 and crowd.asked == [1, 1]


def test_a_turn_is_given_back_while_waiting() -> None:
    turns = threading.BoundedSemaphore(1)
    request = type("Request", (), {"environ": {together.TURNS: turns}})()
    with turns:
        with together._turn_given_back(request):
            assert turns.acquire(blocking=False), "another may work"
            turns.release()
        assert not turns.acquire(blocking=False)
