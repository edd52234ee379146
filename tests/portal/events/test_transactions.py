"""One transaction per request: returning commits, raising rolls back, a serialisation failure is simply tried again."""

from typing import Any
from unittest.mock import Mock

import psycopg
import pytest
from pyramid.httpexceptions import HTTPBadRequest, HTTPFound
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from portal.db import transaction, wait_until_up
from portal.errors import Conflict
from portal.security.context import Acting
from tests.portal.site import signed_in
from tests.world import World

KATRIN = "katrin@danubia.example"
RENAME = text("update people set name = :name where id = :person")


def name_of(world: World) -> str:
    """Katrin's name as committed."""
    with world.system() as session:
        return str(
            session.execute(
                text("select name from people where id = :p"), {"p": world.people[KATRIN]}
            ).scalar()
        )


def rename(request: Any) -> None:
    """Write as the request's own person, in plain SQL."""
    request.db.execute(RENAME, {"name": "Renamed", "person": request.ctx.person_id})


def ends(how: str) -> Any:
    """A view that renames the reader and then ends in one of the ways a view can end."""

    def view(request: Any) -> Any:
        rename(request)
        match how:
            case "returns":
                return {"done": True}
            case "returns a redirect":
                return HTTPFound("/")
            case "returns an error":
                request.response.status_int = 422
                return {"done": False}
            case "raises a redirect":
                raise HTTPFound("/")
            case "raises an http error":
                raise HTTPBadRequest("no")
            case "raises a refusal":
                raise Conflict("no")
            case "raises":
                raise RuntimeError("no")
        raise AssertionError(how)

    def extra(config: Any) -> None:
        config.add_route("ends_page", "/ends-for-this-test")
        config.add_view(view, route_name="ends_page", renderer="json", permission="profile.own")

    return extra


@pytest.mark.parametrize(
    ("how", "status", "kept"),
    [
        ("returns", 200, True),
        ("returns a redirect", 302, True),
        ("returns an error", 422, True),
        ("raises a redirect", 302, False),
        ("raises an http error", 400, False),
        ("raises a refusal", 409, False),
        ("raises", 500, False),
    ],
)
def test_returning_commits_raising_rolls_back(world: World, how: str, status: int, kept: bool) -> None:
    app = signed_in(world, KATRIN, ends(how))
    assert app.get("/ends-for-this-test", status="*").status_int == status
    assert name_of(world) == ("Renamed" if kept else "Katrin Moser")


class Clash:
    """A view whose first `failures` attempts meet a real serialisation failure (SQLSTATE 40001)."""

    def __init__(self, world: World, failures: int) -> None:
        self.world, self.failures = world, failures
        self.attempts: list[Any] = []

    def __call__(self, request: Any) -> Any:
        connection = request.db.connection()
        level = connection.execute(text("show transaction_isolation")).scalar_one()
        person = request.ctx.person_id
        seen = connection.execute(text("select name from people where id = :p"), {"p": person}).scalar_one()
        self.attempts.append((request.environ["retry.attempt"], level, seen, id(request.db)))
        if len(self.attempts) <= self.failures:
            with transaction(self.world.database.worker, Acting()) as other:
                other.execute(RENAME, {"name": f"Other {len(self.attempts)}", "person": person})
        request.db.execute(RENAME, {"name": f"{seen}, seen", "person": person})
        return {"attempts": len(self.attempts)}

    def include(self, config: Any) -> None:
        """Serve it on REPEATABLE READ, where a concurrent change of the row is a 40001."""
        strict = config.registry.app_engine.execution_options(isolation_level="REPEATABLE READ")
        config.registry.app_engine = strict
        config.add_route("clash", "/clash-for-this-test")
        config.add_view(self, route_name="clash", renderer="json", permission="profile.own")


def test_a_real_serialisation_failure_is_tried_again_through_the_whole_stack(world: World) -> None:
    clash = Clash(world, failures=1)
    answer = signed_in(world, KATRIN, clash.include).get("/clash-for-this-test")
    assert answer.json == {"attempts": 2}
    (first, second) = clash.attempts
    assert (first[0], second[0]) == (0, 1)
    assert first[1] == "repeatable read"
    assert second[2] == "Other 1", "the second attempt reads anew"
    assert first[3] != second[3], "in a session of its own"
    assert name_of(world) == "Other 1, seen"


def test_failures_without_end_become_an_error_page_and_change_nothing(world: World) -> None:
    clash = Clash(world, failures=99)
    answer = signed_in(world, KATRIN, clash.include).get("/clash-for-this-test", status="*")
    assert answer.status_int in (500, 503)
    assert len(clash.attempts) == 3
    assert name_of(world) == "Other 3"


def cut(world: World, request: Any) -> None:
    """End the request's own connection, as a server that is stopped does."""
    pid = request.db.connection().execute(text("select pg_backend_pid()")).scalar_one()
    admin = world.database.admin()
    with admin.connect() as connection:
        connection.execute(text("select pg_terminate_backend(:pid, 10000)"), {"pid": pid})
    admin.dispose()


@pytest.mark.parametrize(
    ("then", "said"), [("works on", "Nothing was changed"), ("commits", "not known whether this was done")]
)
def test_a_lost_database_is_a_503_that_says_what_is_known(world: World, then: str, said: str) -> None:
    def view(request: Any) -> Any:
        rename(request)
        cut(world, request)
        if then == "works on":
            rename(request)
        return {}

    def extra(config: Any) -> None:
        config.add_route("cut", "/cut-for-this-test")
        config.add_view(view, route_name="cut", renderer="json", permission="profile.own", require_csrf=False)

    app = signed_in(world, KATRIN, extra)
    answer = app.post("/cut-for-this-test", status=503)
    assert int(answer.headers["Retry-After"]) > 0
    assert said in answer.text
    assert name_of(world) == "Katrin Moser"
    assert app.get("/", status=200), "and the next request has a new connection"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (psycopg.errors.DiskFull, "no room"),
        (psycopg.errors.ReadOnlySqlTransaction, "cannot reach its database"),
        (psycopg.errors.IdleInTransactionSessionTimeout, "cannot reach its database"),
        (None, "cannot reach its database"),
    ],
)
def test_a_database_that_cannot_serve_just_now_is_a_503(
    world: World, error: type[psycopg.Error] | None, said: str
) -> None:
    def view(_request: Any) -> Any:
        raise DBAPIError.instance("", {}, error("x"), psycopg.Error) if error else PoolTimeout("all taken")

    def extra(config: Any) -> None:
        config.add_route("away", "/away-for-this-test")
        config.add_view(view, route_name="away", renderer="json", permission="profile.own")

    answer = signed_in(world, KATRIN, extra).get("/away-for-this-test", status=503)
    assert said in answer.text and int(answer.headers["Retry-After"]) > 0


def test_a_process_that_starts_during_a_restart_waits_for_the_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refusals = [OperationalError("", {}, psycopg.OperationalError("refused")) for _ in range(3)]
    engine = Mock(**{"connect.side_effect": [*refusals, Mock()]})
    monkeypatch.setattr("portal.db.time.sleep", lambda _: None)
    wait_until_up(engine)
    assert engine.connect.call_count == 4
    wrong = OperationalError("", {}, psycopg.errors.InvalidPassword("no"))
    engine = Mock(**{"connect.side_effect": wrong})
    with pytest.raises(OperationalError):
        wait_until_up(engine)
    assert engine.connect.call_count == 1, "a wrong password is not waited for"


def test_a_session_is_closed_with_its_request(world: World) -> None:
    app = signed_in(world, KATRIN, ends("raises"))
    for _ in range(20):
        app.get("/ends-for-this-test", status=500)
    assert app.interline.registry.app_engine.pool.checkedout() == 0
