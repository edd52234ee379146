"""The small world of the tests is itself right: people act as themselves, time is the world's."""

from sqlalchemy import text

from tests.world import DANUBIA, World


def test_people_act_as_themselves_at_the_worlds_time(world: World) -> None:
    with world.acting("ingrid@halden.example") as session:
        assert session.context.kind == "vendor"
        assert session.context.roles == {"channel_manager"}
        assert abs((session.context.now - world.now).total_seconds()) < 60
    with world.acting("katrin@danubia.example") as session:
        assert session.context.kind == "partner"
        assert session.context.company_id == world.company(DANUBIA)
        assert session.execute(text("select count(*) from locations")).scalar_one() == 1


def test_the_system_sees_three_partners_with_published_rules(world: World) -> None:
    with world.system() as session:
        assert session.context.now == world.now
        assert session.execute(text("select count(*) from locations")).scalar_one() == 3
        assert (
            session.execute(text("select count(*) from rule_sets where state = 'published'")).scalar_one()
            == 1
        )
