"""The life of a rule set: who may do which step when, that two never overwrite each other, and that nothing published
ever changes."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from portal.companies.models import Membership
from portal.db import PortalSession, new_id, transaction
from portal.errors import Conflict, Invalid, NotFound
from portal.events import work
from portal.routing.rulesets import actions
from portal.routing.snapshot import plan
from portal.security.context import Acting
from rules import RuleSet, default_ruleset
from tests.world import World

INGRID, ANNA = "ingrid@halden.example", "anna@halden.example"


def act(world: World, do: Callable[[PortalSession], Any], email: str = INGRID) -> Any:
    with world.acting(email) as session:
        return do(session)


def state(world: World, version: int) -> tuple[str, int]:
    with world.system() as session:
        row = actions.find(session, version)
        return row.state, row.revision


def body(**changes: Any) -> RuleSet:
    return RuleSet.parse(default_ruleset().to_json() | changes)


ROW = {
    "id": "gold",
    "when": {"country": ["AT"]},
    "who": {"level": ["gold"]},
    "effect": {"kind": "boost", "points": 1},
}
FAILS = {
    "name": "Nobody is eligible", "request": {"as_of": "2026-11-23T09:47:00Z"},
    "candidates": [{"name": "one"}], "expect": {"order": []},
}  # fmt: skip


@pytest.fixture
def second(world: World) -> int:
    """A draft, version 2, of the one in force."""
    return int(act(world, lambda s: actions.draft(s).version))


def told(world: World) -> list[str]:
    with world.system() as session:
        query = "select type from events where type like 'rule_set.%' order by id"
        return [row.type.removeprefix("rule_set.") for row in session.execute(text(query))]


def test_a_draft_decides_nothing_and_a_published_one_everything(world: World, second: int) -> None:
    act(world, lambda s: actions.save(s, second, 1, body(rules=[ROW])))
    with world.system() as session:
        before = plan(session)
        assert (before.rule_set_version, before.rules.rules) == (1, ())
    act(world, lambda s: actions.publish(s, second, 2))
    vendor = Acting(kind="vendor", company_id=world.vendor_id)
    with transaction(world.database.worker, vendor) as session:
        after = plan(session)
        assert after.rule_set_version == second
        assert [row.id for row in after.rules.rules] == ["gold"] and after.rules.version == second
    assert state(world, 1)[0] == "retired" and state(world, second) == ("published", 3)
    assert told(world) == ["drafted", "changed", "retired", "published"]


def test_only_what_is_in_force_makes_processes_read_the_directory_anew(world: World, second: int) -> None:
    def version(session: PortalSession) -> int:
        return int(session.execute(text("select version from directory_versions")).scalar_one())

    with world.system() as session:
        before = version(session)
    act(world, lambda s: actions.save(s, second, 1, body(rules=[ROW])))
    with world.system() as session:
        assert version(session) == before
    act(world, lambda s: actions.publish(s, second, 2))
    with world.system() as session:
        assert version(session) > before


def test_two_editors_never_overwrite_each_other(world: World, second: int) -> None:
    act(world, lambda s: actions.save(s, second, 1, body(rules=[ROW])))
    with pytest.raises(Conflict, match="Ingrid Hall changed it") as refused:
        act(world, lambda s: actions.save(s, second, 1, body(note="mine")))
    assert refused.value.overtaken
    with world.system() as session:
        assert [row["id"] for row in actions.find(session, second).body["rules"]] == ["gold"]


def test_saving_the_same_is_no_change(world: World, second: int) -> None:
    act(world, lambda s: actions.save(s, second, 1, body()))
    assert state(world, second) == ("draft", 1) and told(world) == ["drafted"]


def test_the_log_keeps_each_row_before_and_after(world: World, second: int) -> None:
    act(world, lambda s: actions.save(s, second, 1, body(rules=[ROW])))
    changed = ROW | {"who": {"level": ["silver"]}}
    act(world, lambda s: actions.save(s, second, 2, body(rules=[changed])))
    with world.system() as session:
        query = "select person_id, data from events where type = 'rule_set.changed' order by id desc limit 1"
        person, data = session.execute(text(query)).one()
    assert person == world.people[INGRID]
    (row,) = data["rows"]
    assert (row["kind"], row["before"]["who"], row["after"]["who"]) == (
        "changed", {"level": ["gold"]}, {"level": ["silver"]},
    )  # fmt: skip


@pytest.mark.parametrize("version", [1])
def test_what_is_published_is_refused_by_every_step_and_by_the_database(world: World, version: int) -> None:
    steps: tuple[Callable[[PortalSession], Any], ...] = (
        lambda s: actions.save(s, version, 1, body(note="x")),
        lambda s: actions.submit(s, version, 1),
        lambda s: actions.take_back(s, version, 1),
        lambda s: actions.publish(s, version, 1),
        lambda s: actions.drop(s, version, 1),
        lambda s: actions.acknowledge(s, version, 1, {"x": True}),
    )
    for step in steps:
        with pytest.raises(Conflict):
            act(world, step)
    for change in (
        'update rule_sets set body = body || \'{"note": "x"}\'',
        "update rule_sets set hash = 'x'",
        "update rule_sets set state = 'draft'",
        "update rule_sets set version = 9",
        "update rule_sets set published_at = now()",
        "delete from rule_sets",
    ):
        with pytest.raises(ProgrammingError, match=r"rule set|draft"), world.system() as session:
            session.execute(text(change))


def test_a_retired_one_never_comes_back_but_by_a_copy(world: World, second: int) -> None:
    act(world, lambda s: actions.publish(s, second, 1))
    with pytest.raises(ProgrammingError, match="only be retired"), world.system() as session:
        session.execute(text("update rule_sets set state = 'published' where version = 1"))
    made = act(world, lambda s: actions.roll_back(s, 1).version)
    assert made == 3 and state(world, 3)[0] == "published" and state(world, 2)[0] == "retired"
    with world.system() as session:
        first, third = actions.find(session, 1).body, actions.find(session, 3).body
    assert {**first, "version": 3} == third
    assert told(world)[-2:] == ["retired", "rolled_back"]
    with pytest.raises(Conflict, match="in force before"):
        act(world, lambda s: actions.roll_back(s, 3))


def test_a_draft_that_was_put_aside_was_never_in_force(world: World, second: int) -> None:
    act(world, lambda s: actions.drop(s, second, 1))
    assert state(world, second)[0] == "retired"
    with pytest.raises(Conflict, match="in force before"):
        act(world, lambda s: actions.roll_back(s, second))
    assert act(world, lambda s: actions.draft(s, second).version) == 3


def test_it_is_not_published_while_an_example_fails(world: World, second: int) -> None:
    act(world, lambda s: actions.save(s, second, 1, body(examples=[FAILS])))
    with pytest.raises(Conflict, match="Nobody is eligible") as refused:
        act(world, lambda s: actions.publish(s, second, 2))
    assert refused.value.code == "examples"


@pytest.mark.parametrize(
    "effect", [{"kind": "house", "rep": "Ingrid"}, {"kind": "fallback", "rep": "Ingrid"}]
)
def test_what_nothing_acts_on_yet_is_not_published(world: World, second: int, effect: dict[str, str]) -> None:
    rows = [{"id": "kept", "when": {}, "who": {}, "effect": effect}]
    later = body(schema="interline.rule-set/2", rules=rows)
    act(world, lambda s: actions.save(s, second, 1, later))
    with pytest.raises(Conflict, match=effect["kind"]) as refused:
        act(world, lambda s: actions.publish(s, second, 2))
    assert refused.value.code == "effects"


def test_findings_are_acknowledged_by_name_and_by_whom(world: World, second: int) -> None:
    third = act(world, lambda s: actions.draft(s).version)
    act(world, lambda s: actions.publish(s, second, 1))
    with pytest.raises(Conflict, match="Version 2 would be undone") as refused:
        act(world, lambda s: actions.publish(s, third, 1))
    assert refused.value.code == "findings"
    act(world, lambda s: actions.acknowledge(s, third, 1, {"another": True}))
    with pytest.raises(Conflict, match="would be undone"):
        act(world, lambda s: actions.publish(s, third, 2))
    act(world, lambda s: actions.acknowledge(s, third, 2, {"overtaken:2": True, "another": False}))
    with world.system() as session:
        kept = actions.find(session, third).acknowledged
    assert list(kept) == ["overtaken:2"] and kept["overtaken:2"]["by"] == str(world.people[INGRID])
    act(world, lambda s: actions.publish(s, third, 3))
    assert state(world, third)[0] == "published"


# -- review ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def reviewed(world: World) -> World:
    """The vendor asks for a second person; Anna is a channel manager too."""
    with world.system() as session:
        row = {"id": new_id(), "realm_id": 1, "company_id": world.vendor_id, "person_id": world.people[ANNA]}
        session.add(Membership(**row, role="channel_manager", location_ids=None, created_at=world.now))
    act(world, lambda s: actions.require_review(s, True), "operator@halden.example")
    return world


def test_a_second_person_approves(reviewed: World) -> None:
    version = act(reviewed, lambda s: actions.draft(s).version)
    with pytest.raises(Conflict, match="second person"):
        act(reviewed, lambda s: actions.publish(s, version, 1))
    act(reviewed, lambda s: actions.submit(s, version, 1))
    with pytest.raises(Conflict, match="It is in review"):
        act(reviewed, lambda s: actions.save(s, version, 2, body(note="late")))
    with pytest.raises(Conflict, match="Another person"):
        act(reviewed, lambda s: actions.approve(s, version, 2))
    with pytest.raises(Conflict, match="second person"):
        act(reviewed, lambda s: actions.publish(s, version, 2))
    act(reviewed, lambda s: actions.approve(s, version, 2), ANNA)
    act(reviewed, lambda s: actions.publish(s, version, 3))
    assert state(reviewed, version)[0] == "published"


def test_a_refusal_has_a_reason_and_approval_ends_with_an_edit(reviewed: World) -> None:
    version = act(reviewed, lambda s: actions.draft(s).version)
    act(reviewed, lambda s: actions.submit(s, version, 1))
    with pytest.raises(Invalid):
        act(reviewed, lambda s: actions.refuse(s, version, 2, " "), ANNA)
    act(reviewed, lambda s: actions.refuse(s, version, 2, "Row 4 is too strict"), ANNA)
    assert state(reviewed, version) == ("draft", 3)
    act(reviewed, lambda s: actions.submit(s, version, 3))
    act(reviewed, lambda s: actions.approve(s, version, 4), ANNA)
    act(reviewed, lambda s: actions.take_back(s, version, 5))
    act(reviewed, lambda s: actions.save(s, version, 6, body(note="more")))
    with pytest.raises(Conflict, match="second person"):
        act(reviewed, lambda s: actions.publish(s, version, 7))


# -- a moment to come --------------------------------------------------------------------------------------------------


def test_it_is_published_at_its_moment_on_the_realms_clock(world: World, second: int) -> None:
    when = world.now + timedelta(hours=3)
    with pytest.raises(Invalid, match="still to come"):
        act(world, lambda s: actions.schedule(s, second, 1, world.now - timedelta(hours=1)))
    act(world, lambda s: actions.schedule(s, second, 1, when))
    work.run_due(world.database.worker, now=when - timedelta(minutes=1))
    assert state(world, second)[0] == "scheduled"
    work.run_due(world.database.worker, now=when + timedelta(minutes=1))
    assert state(world, second)[0] == "published" and state(world, 1)[0] == "retired"


def test_nobody_can_have_it_published_before_its_moment(world: World, second: int) -> None:
    act(world, lambda s: actions.schedule(s, second, 1, world.now + timedelta(hours=3)))
    with world.system() as session:
        actions.publish_scheduled(session, actions.find(session, second).id, 2)
    assert state(world, second)[0] == "scheduled"


def test_what_was_taken_back_is_not_published(world: World, second: int) -> None:
    when = world.now + timedelta(hours=3)
    act(world, lambda s: actions.schedule(s, second, 1, when))
    act(world, lambda s: actions.take_back(s, second, 2))
    work.run_due(world.database.worker, now=when + timedelta(minutes=1))
    assert state(world, second) == ("draft", 3) and state(world, 1)[0] == "published"


def test_what_was_overtaken_by_then_is_a_draft_again_and_says_so(world: World, second: int) -> None:
    when = world.now + timedelta(hours=3)
    third = act(world, lambda s: actions.draft(s).version)
    act(world, lambda s: actions.schedule(s, second, 1, when))
    act(world, lambda s: actions.publish(s, third, 1))
    work.run_due(world.database.worker, now=when + timedelta(minutes=1))
    assert state(world, second)[0] == "draft" and state(world, third)[0] == "published"
    assert told(world)[-1] == "not_published"


def test_there_is_nothing_to_draft_from_a_version_that_is_not(world: World) -> None:
    with pytest.raises(NotFound):
        act(world, lambda s: actions.draft(s, 99))
