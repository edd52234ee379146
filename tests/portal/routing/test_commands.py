"""`interline replay` and `interline rehearse`: what is equal, what differs and why, what a draft moves, Ctrl-C."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from portal.routing import command, rehearsing, replaying
from tests.portal.leads.test_flow import intake
from tests.portal.routing.test_pages import draft
from tests.world import DANUBIA, World

PLATINUM = {
    "id": "top",
    "when": {"country": ["AT"]},
    "who": {"level": ["platinum"]},
    "effect": {"kind": "require"},
}


@pytest.fixture(autouse=True)
def _here(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "load", lambda: world.database.settings)


def leads(world: World, n: int = 3) -> None:
    for i in range(n):
        who = {"name": f"Customer {i}"}, {"name": "A", "email": f"a{i}@b.example"}
        intake(world, external_key=f"K{i}", account=who[0], contact=who[1])


def invoked(what: Any, *arguments: str) -> tuple[int, Any, str]:
    done = CliRunner().invoke(what, [*arguments, "--json"])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, json.loads(done.stdout.splitlines()[-1]), done.output


def changed(world: World, sql: str) -> None:
    with world.system() as session:
        session.execute(text(sql))


def test_what_was_decided_is_decided_again(world: World) -> None:
    leads(world)
    code, said, _ = invoked(command.replay)
    assert (
        code == 0 and said["decisions"] == said["equal"] == 3 and said["different"] == [] and said["complete"]
    )
    assert invoked(command.replay, "--last", "2")[1]["decisions"] == 2
    plain = CliRunner().invoke(command.replay)
    assert plain.exit_code == 0 and "3 of 3 decisions are the same again." in plain.stdout


def test_a_change_of_the_directory_since_makes_no_difference(world: World) -> None:
    leads(world, 1)
    later = "app.clock(1) + interval '1 day'"
    changed(world, f"update certifications set valid_to = {later}")
    changed(world, f"update standings set valid_to = {later} where company_id = {world.company(DANUBIA)}")
    assert invoked(command.replay)[:1] == (0,)


def test_decisions_of_one_state_of_the_directory_may_be_months_apart(world: World) -> None:
    """A fact that ended between them, and was written down after both, was known to neither."""
    leads(world, 2)
    changed(world, "update standings set valid_to = app.clock(1) - interval '20 days'")
    assert invoked(command.replay)[1]["equal"] == 0
    earlier = "to_char(as_of - interval '40 days', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
    changed(
        world,
        f"""update decisions set as_of = as_of - interval '40 days',
            request = jsonb_set(request, '{{as_of}}', to_jsonb({earlier}))
            where id = (select min(id) from decisions)""",
    )
    code, said, _ = invoked(command.replay)
    assert code == 0 and said["equal"] == 2, said


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("update location_facts set valid_from = now() + interval '9 years'", "candidates: stored 3, now 0"),
        ("update standings set status = 'suspended'", "was eligible, is active"),
        ("update decisions set counts = counts - 0", "counts: stored"),
        ("update decisions set top = jsonb_set(top, '{0,score}', '1')", "place 1: score 1 is now"),
        ("update decisions set top = '[]'", "place 1: stored nobody"),
        ("update decisions set gates = '\\x00'", "the stored gates cannot be read"),
        ("update decisions set rule_set_hash = 'x'", "has another content"),
        ("update decisions set rule_set_version = 77", "rule set version 77 is not there any more"),
        ("update decisions set result_hash = '2:00'", "result hash: stored 2:00"),
        ("update decisions set request = request - 'as_of'", "cannot be read"),
        ("update decisions set directory_version = directory_version + 1", "result hash"),
    ],
)
def test_what_differs_is_named_and_fails(world: World, sql: str, reason: str) -> None:
    leads(world, 2)
    changed(world, sql)
    code, said, _ = invoked(command.replay)
    assert code == 1 and said["equal"] == 0 and len(said["different"]) == 2
    assert all(reason in one["why"][0] + "; ".join(one["why"]) for one in said["different"]), said
    plain = CliRunner().invoke(command.replay)
    assert (
        plain.exit_code == 1
        and reason in plain.stdout
        and "0 of 2 decisions are the same again." in plain.stdout
    )


def test_a_replay_that_is_stopped_says_what_it_has(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    leads(world)

    def two(session: Any, last: int) -> Iterator[Any]:
        found = all_of_them(session, last)
        yield next(found)
        yield next(found)
        raise KeyboardInterrupt

    all_of_them = replaying.replayed
    monkeypatch.setattr(replaying, "replayed", two)
    code, said, _ = invoked(command.replay)
    assert code == 130 and said["decisions"] == 2 and not said["complete"]


def test_a_draft_is_rehearsed(world: World) -> None:
    leads(world)
    version = draft(world, rows=[PLATINUM], examples=[])
    code, said, _ = invoked(command.rehearse, "--draft", str(version), "--days", "7")
    assert code == 0 and said["leads"] == 3 and said["complete"] and said["against"] == 1
    for name in ("rules", "full"):
        assert said[name]["moved"] == said[name]["unroutable"] == 3 and said[name]["routable"] == 0
        assert said[name]["companies"][""]["gained"] == 3
        assert said[name]["minor"] == {"EUR": 3 * 8_400_000}, said[name]["minor"]
    plain = CliRunner().invoke(command.rehearse, ["--draft", str(version)])
    assert "3 of 3 leads would move, 3 would find no partner" in plain.stdout and DANUBIA in plain.stdout


def test_the_same_rules_move_nothing_and_older_leads_are_left_out(world: World) -> None:
    leads(world)
    assert invoked(command.rehearse, "--draft", "1")[1]["full"]["moved"] == 0
    changed(world, "update decisions set as_of = as_of - interval '30 days'")
    assert invoked(command.rehearse, "--draft", "1", "--days", "29")[1]["leads"] == 0


def test_a_version_that_there_is_not_is_refused(world: World) -> None:
    done = CliRunner().invoke(command.rehearse, ["--draft", "9"])
    assert done.exit_code == 1 and "--draft 9: there is no rule set of that version." in done.output


def test_a_rehearsal_that_is_stopped_prints_what_it_has(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    leads(world)
    version = draft(world, rows=[PLATINUM], examples=[])

    def rules_only(given: Any) -> Iterator[Any]:
        for name, progress in everything(given):
            if name == "full":
                raise KeyboardInterrupt
            yield name, progress

    everything = rehearsing.rehearsed
    monkeypatch.setattr(rehearsing, "rehearsed", rules_only)
    code, said, _ = invoked(command.rehearse, "--draft", str(version))
    assert code == 130 and not said["complete"] and said["rules"]["moved"] == 3 and "full" not in said


def test_places_and_turns_begin_as_they_were(world: World) -> None:
    leads(world, 4)
    with world.system() as session:
        session.execute(text("update offers set offered_at = offered_at - interval '40 days'"))
        given = rehearsing.material(session, rehearsing.RuleSet.parse(_rules(session)), 30)
    assert sum(given.start.load.values()) == 4 and given.held == []
    with world.system() as session:
        session.execute(
            text("update offers set state = 'declined', answered_at = app.clock(1) - interval '1 day'")
        )
        given = rehearsing.material(session, rehearsing.RuleSet.parse(_rules(session)), 30)
    assert sum(given.start.load.values()) == len(given.held) == 4


def _rules(session: Any) -> Any:
    return session.execute(text("select body from rule_sets where state = 'published'")).scalar_one()
