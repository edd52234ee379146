"""`interline demo`: fills an empty database with a vendor, partners in six countries and ninety days of leads."""

from collections.abc import Callable
from datetime import datetime, timedelta

import click
from sqlalchemy import text
from sqlalchemy.engine import Engine

from portal.bootstrap import worker_url
from portal.db import make_engine, transaction
from portal.demo import personas
from portal.demo.customers import requests
from portal.demo.life import Life
from portal.demo.partners import NAMED, House, make_directory, make_vendor
from portal.events.work import run_due
from portal.security.context import Acting
from portal.settings import Settings, load

PARTNERS, LEADS, DAYS, SEED = 220, 2_000, 90, 20_261_122
STEPS = 250  # steps of business in one transaction
LOOK = timedelta(hours=12)
BEFORE = timedelta(days=5)  # the directory stands before the first request comes

Told = Callable[[str, int, int], None]


@click.command()
def demo() -> None:
    """Fill an empty database with the demo company."""
    settings = load()
    fill(settings)
    for title, email, password in personas(settings):
        click.echo(f"{title:24} {email:46} {password}")


def fill(
    settings: Settings,
    progress: Told | None = None,
    *,
    partners: int = PARTNERS,
    leads: int = LEADS,
    days: int = DAYS,
    seed: int = SEED,
) -> None:
    """Make the demo; refuses a database that holds a company. Ends with nothing due and the clock at real time.

    `progress` is told (what, done, of); without one it is said in plain lines.
    """
    progress = progress or Lines()
    import portal.tasks

    assert portal.tasks  # the handlers of work items
    engine = make_engine(worker_url(settings))
    try:
        refuse_unless_empty(engine)
        _fill(engine, progress, partners, leads, days, seed)
    finally:
        engine.dispose()


def refuse_unless_empty(engine: Engine) -> None:
    """Raise when there is anything that the demo would mix with."""
    with transaction(engine, Acting()) as session:
        found = session.execute(text("select count(*) from companies")).scalar_one()
    if found:
        raise click.ClickException(
            f"This database holds {found:,} companies already; the demo fills an empty one only."
            " Name another with DATABASE_URL, or remove VAR_DIR to begin anew."
        )


def _fill(engine: Engine, progress: Told, partners: int, leads: int, days: int, seed: int) -> None:
    with transaction(engine, Acting()) as session:
        end = session.context.now
    start = end - timedelta(days=days)
    progress("Partners", 0, partners)
    house = _directory(engine, start - BEFORE, partners, seed)
    progress("Partners", partners, partners)
    _live(engine, house, progress, leads, start, end, seed)
    progress("Mails and what else is due", 0, 1)
    # What fell due while this ran, and the mails of the last day, the ordinary way at the real clock.
    run_due(engine)
    progress("Mails and what else is due", 1, 1)


def _directory(engine: Engine, at: datetime, partners: int, seed: int) -> House:
    with transaction(engine, Acting(now=at)) as session:
        vendor_id = make_vendor(session)
    with transaction(engine, Acting(kind="vendor", company_id=vendor_id, now=at)) as session:
        return make_directory(session, vendor_id, partners, seed)


def _live(
    engine: Engine, house: House, progress: Told, leads: int, start: datetime, end: datetime, seed: int
) -> None:
    """All that happens from `start` to `end`, in transactions of STEPS steps."""
    names = {name for name, *_ in NAMED}
    named = frozenset(c for c, staffed in house.partners.items() if staffed.name in names)
    others = [company for company in house.partners if company not in named]
    life: Life | None = None
    span = (end - start).total_seconds()
    played = 1
    while played:
        with transaction(engine, Acting()) as session:
            if life is None:
                life = Life(session, house, seed, end, named)
                life.bring(requests(leads, start, end, seed))
                _incidents(life, start, end, others)
            # The tables were empty a moment ago and nobody has counted them since: plans made now would scan them.
            session.execute(text("set local enable_seqscan = off"))
            played = life.play(session, STEPS)
            now = life.ahead[0][0] if life.ahead else end
        progress("Leads of the last days", int(leads * (now - start).total_seconds() / span), leads)


def _incidents(life: Life, start: datetime, end: datetime, others: list[int]) -> None:
    """Two suspensions and a few withdrawals on the way; what others wait for is looked at twice a day."""
    span = end - start
    for half_days in range(int(span / LOOK)):
        life.at(start + LOOK * half_days, life.work)
    life.at(end - timedelta(seconds=1), life.work)
    for share, company in zip((0.4, 0.8), others[3:], strict=False):
        life.at(start + span * share, lambda now, c=company: life.suspend(now, c))
    for share in (0.2, 0.45, 0.6, 0.7, 0.85, 0.95):
        life.at(start + span * share, life.withdraw_one)


class Lines:
    """Plain lines on standard error, told by calling it: at the beginning of each step, at each tenth, at its end."""

    def __init__(self) -> None:
        self.said: dict[str, int] = {}

    def __call__(self, what: str, done: int, of: int) -> None:
        """Say that `done` of `of` are made, unless hardly more than said before."""
        tenth = 10 * done // max(1, of)
        if self.said.get(what) != tenth:
            self.said[what] = tenth
            click.echo(f"  {what}: {done:,} of {of:,}", err=True)
