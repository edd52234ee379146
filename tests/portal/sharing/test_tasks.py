"""Raw input is forgotten after 30 days, by the realm's clock; notes stay."""

from datetime import timedelta

from sqlalchemy import text

from portal.events import work
from portal.leads import actions
from portal.sharing import tasks
from tests.portal.leads.test_flow import intake
from tests.world import World


def bodies(world: World) -> set[str]:
    with world.system() as session:
        return set(session.scalars(text("select kind from texts")))


def test_raw_words_go_after_thirty_days_and_notes_stay(world: World, monkeypatch) -> None:
    monkeypatch.setattr(tasks, "BATCH", 1)  # more than one batch must go too
    for n in range(3):
        got = intake(world, contact={"name": "B", "email": f"b{n}@x.example"})
    with world.acting("ingrid@halden.example") as session:
        actions.comment(session, got.lead_id, "a note", to_all=False)
    assert bodies(world) == {"request", "note"}

    def sweep() -> None:
        with world.system() as session:
            session.execute(text("delete from work_items"))
            work.enqueue(session, "texts.expire", {})
        work.run_due(world.database.worker)

    sweep()
    assert bodies(world) == {"request", "note"}
    with world.system() as session:
        days = timedelta(days=31).total_seconds()
        session.execute(
            text("update realms set clock_offset_seconds = clock_offset_seconds + :s"), {"s": days}
        )
    sweep()
    assert bodies(world) == {"note"}
    with world.system() as session:
        assert session.execute(text("select count(*) from text_contacts")).scalar() == 0
