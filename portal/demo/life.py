"""Plays the demo's days: requests come in, partners answer, sell or fail, all through the real actions.

Business time is the moment of each step (`Context.now`), many steps share a transaction. Work items are run where
they fall due, by their own handlers, in the same transaction; mails of the past are dropped, nobody is to get them.
"""

import heapq
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from sqlalchemy import text

from portal.db import PortalSession, gathering
from portal.demo import catalogue
from portal.demo.customers import Request
from portal.demo.partners import House
from portal.errors import Conflict
from portal.events.models import Event, WorkItem
from portal.events.work import HANDLERS, Item
from portal.leads import actions, stages
from portal.leads.intake import receive
from portal.partners.actions import set_standing
from portal.routing.models import Decision
from portal.routing.snapshot import plan
from portal.security.context import Acting, Kind, enter
from portal.sharing.models import Text, TextContact
from rules import CalendarError, add_working

# Mails younger than this are kept and really sent when the demo is ready, so that /dev/mail is not empty.
MAILS_KEPT = timedelta(hours=30)
# The personas' company answers nothing for so long before the end, so that its inbox holds offers.
PERSONA_PAUSE = timedelta(days=3)
# Suspected duplicates of the last days wait in the queue.
UNDECIDED = timedelta(days=8)

DUE_ROWS = 50
DUE = text("""
    delete from work_items where id in (
        select id from work_items where run_at <= :now and state = 'ready' and (kind <> 'offer.mail' or run_at < :mails)
        order by run_at, id limit :rows)
    returning id, realm_id, kind, lane, payload, attempts, coalesce(lease, 0) as lease, run_at
""")
OFFER = text("""
    select o.id, o.lead_id, o.company_id, o.location_id, o.offered_at, o.deadline_at
    from leads l join offers o on o.id = l.offer_id where l.id = :lead and l.assignment = 'offered'
""")
HELD = text("select amount, assignment, stage, country, lat, lon from leads where id = :lead")

Step = Callable[[datetime], None]


class Habits:
    """How one partner behaves, the same in every run: speed in working minutes, and shares of 1."""

    def __init__(self, key: object, seed: int, *, good: bool) -> None:
        chance = random.Random(f"habits {seed} {key}")
        self.minutes = chance.choice((25, 45, 90, 150, 240))
        self.silent = chance.choice((0.02, 0.05, 0.1, 0.25)) if not good else 0.02
        self.declines = chance.uniform(0.04, 0.28) if not good else 0.08
        self.wins = chance.uniform(0.2, 0.6) if not good else 0.55
        self.days = chance.uniform(1.0, 4.5)


class Life:
    """The running demo: a heap of steps ahead, played in order of business time by `play`."""

    def __init__(
        self, session: PortalSession, house: House, seed: int, end: datetime, named: frozenset[int]
    ) -> None:
        self.session, self.house, self.end, self.named = session, house, end, named
        self.chance = random.Random(f"life {seed}")
        self.habits = {
            company: Habits(staffed.name, seed, good=company in named)
            for company, staffed in house.partners.items()
        }
        self.ahead: list[tuple[datetime, int, Step]] = []
        self.order = count()
        self.system: Any = None
        self.planned: set[int] = set()
        self.answered: set[str] = set()

    def at(self, moment: datetime, step: Step) -> None:
        """Play `step` at `moment`; what lies beyond the end never happens."""
        if moment < self.end:
            heapq.heappush(self.ahead, (moment, next(self.order), step))

    def bring(self, requests: list[Request]) -> None:
        """Put the requests on the heap."""
        for moment, record in requests:
            self.at(moment, lambda now, given=record: self._receive(now, given))

    def play(self, session: PortalSession, steps: int) -> int:
        """Play up to `steps` steps in the open transaction; how many were played (0: the end is reached)."""
        self.session = session
        self.system = session.context
        played = 0
        with gathering(session, Decision, Event, Text, TextContact, WorkItem) as self.gathered:
            while self.ahead and played < steps:
                moment, _, step = heapq.heappop(self.ahead)
                with suppress(
                    Conflict
                ):  # somebody else has acted meanwhile: as on a page, nothing was changed
                    step(moment)
                played += 1
        return played

    # -- who acts --------------------------------------------------------------------------------------------------

    def _be(self, now: datetime, kind: Kind, company: int | None = None, person: int | None = None) -> None:
        """Act as that principal at `now`. The worker login may; the database hears of it where it asks (`_sign`)."""
        self.session.ctx = replace(self.system, kind=kind, company_id=company, person_id=person, now=now)

    def _sign(self, company: int) -> None:
        """Have the database name `company` as the principal, as app.open_offer asks; still as `system`."""
        enter(self.session.connection(), Acting(company_id=company))

    def _vendor(self, now: datetime, role: str = "channel_manager") -> None:
        self._be(now, "vendor", self.house.vendor_id, self.house.people[role])

    def _partner(self, now: datetime, company: int) -> None:
        self._be(now, "partner", company, self.house.partners[company].sales[0])

    def work(self, until: datetime) -> None:
        """Run what is due up to `until`, each item at its own time, by its own handler, in this transaction."""
        busy = True
        while busy:
            self.gathered.write(WorkItem)
            rows = self.session.execute(
                DUE, {"now": until, "mails": self.end - MAILS_KEPT, "rows": DUE_ROWS}
            ).all()
            self.session.info.pop("wake", None)
            for row in sorted(rows, key=lambda row: (row.run_at, row.id)):
                if row.kind == "offer.mail":  # of the past: nobody is to get it
                    continue
                if row.kind == "offer.expire" and row.payload["offer"] in self.answered:
                    continue
                self._be(row.run_at, "system")
                HANDLERS[row.kind].run(self.session, Item(*row[:7]))
                if row.kind == "lead.route":
                    self._offered(row.run_at, int(row.payload["lead"]))
            # What the handlers have asked for in their turn falls due at the same moment.
            busy = len(rows) == DUE_ROWS or bool(self.session.info.pop("wake", False))

    # -- a request and its offers ----------------------------------------------------------------------------------

    def _receive(self, now: datetime, record: dict[str, Any]) -> None:
        """By the web form (the vendor's system) or typed in by its people."""
        if record["source"] in ("phone", "fair"):
            self._vendor(now, "sales_rep")
        else:
            self._be(now, "vendor", self.house.vendor_id)
        received = receive(self.session, record)
        if received.outcome == "suspected_duplicate":
            later = now + timedelta(hours=self.chance.uniform(2, 60))
            if now > self.end - UNDECIDED:
                return
            self.at(later, lambda at: self._settle_duplicate(at, received.lead_id))
            return
        self._offered(now, received.lead_id)

    def _settle_duplicate(self, now: datetime, lead_id: int) -> None:
        self._vendor(now)
        actions.settle_duplicate(self.session, lead_id, is_duplicate=self.chance.random() < 0.7)
        self._offered(now, lead_id)

    def _offered(self, now: datetime, lead_id: int) -> None:
        """Decide what becomes of the lead's offer, or who looks after a lead that nobody can take."""
        offer = self.session.execute(OFFER, {"lead": lead_id}).first()
        if offer is None:
            later = now + timedelta(hours=self.chance.uniform(6, 80))
            if self.chance.random() < 0.9:
                self.at(later, lambda at: self._by_hand(at, lead_id))
            return
        company = offer.company_id
        habits, chance = self.habits[company], self.chance
        if company in self.named and now > self.end - PERSONA_PAUSE:
            self.at(offer.deadline_at, self.work)
            return
        if chance.random() < habits.silent:
            self.at(offer.deadline_at, self.work)
            return
        minutes = max(3, int(habits.minutes * chance.lognormvariate(0, 0.7)))
        answer = self._working(offer.location_id, now, minutes)
        if answer >= offer.deadline_at:
            self.at(offer.deadline_at, self.work)
            return
        if chance.random() < 0.25:
            self.at(now + (answer - now) * 0.8, lambda at: self._seen(at, offer.id, company))
        self.at(answer, lambda at: self._answer(at, offer.id, lead_id, company))

    def _working(self, location: int, start: datetime, minutes: int) -> datetime:
        """`minutes` of the location's working time later."""
        current = plan(self.session)
        position = current.snapshot.position(location)
        assert position is not None
        try:
            return add_working(current.snapshot.candidates[position].calendar, start, minutes).astimezone(UTC)
        except CalendarError:
            return start + timedelta(days=9)

    def _seen(self, now: datetime, offer_id: int, company: int) -> None:
        self._partner(now, company)
        actions.mark_seen(self.session, offer_id)

    def _answer(self, now: datetime, offer_id: int, lead_id: int, company: int) -> None:
        if self.chance.random() < self.habits[company].declines:
            self._partner(now, company)
            reason = self.chance.choices(stages.DECLINE_REASONS, (6, 4, 3, 1, 2, 1))[0]
            note = "We are moving our workshop that week." if reason == "other" else None
            actions.decline(self.session, offer_id, reason, note)
            self.work(now)
            return
        self._sign(company)
        self._partner(now, company)
        actions.accept(self.session, offer_id)
        self.answered.add(str(offer_id))
        self._later(now, company, lambda at: self._begin(at, lead_id, company))

    def _by_hand(self, now: datetime, lead_id: int) -> None:
        """The channel manager gives an unroutable lead to the nearest partner of a good level, if it still waits."""
        self._vendor(now)
        lead = self.session.execute(HELD, {"lead": lead_id}).one()
        if lead.assignment != "unroutable" or lead.stage != "new":
            return
        if lead.country not in catalogue.SERVED or now > self.end - timedelta(days=4):
            return
        near = [
            c
            for c in plan(self.session).snapshot.candidates
            if c.active and c.agreement_accepted and c.country == lead.country and c.lat is not None
        ]
        if near:
            best = min(near, key=lambda c: (c.lat - lead.lat) ** 2 + (c.lon - lead.lon) ** 2)
            actions.assign(self.session, lead_id, best.id, self.chance.choice(catalogue.HAND_REASONS))
            self._offered(now, lead_id)

    # -- after acceptance ------------------------------------------------------------------------------------------

    def _later(self, now: datetime, company: int, step: Step, share: float = 1.0) -> datetime:
        """Play `step` some days later by the partner's pace, in daytime; when."""
        days = self.habits[company].days * share * self.chance.lognormvariate(0, 0.6)
        moment = now + timedelta(days=days)
        if moment.weekday() >= 5:
            moment += timedelta(days=7 - moment.weekday())
        hour = moment.hour if 6 <= moment.hour <= 16 else self.chance.randint(7, 15)
        moment = max(now + timedelta(minutes=20), moment.replace(hour=hour))
        self.at(moment, step)
        return moment

    def _move(self, now: datetime, lead_id: int, company: int, to: str, **given: Any) -> None:
        """Move the stage as the holder; Conflict, and so the end of this thread, when it holds the lead no more."""
        self._partner(now, company)
        actions.move(self.session, lead_id, to, **given)

    def _begin(self, now: datetime, lead_id: int, company: int) -> None:
        """First contact: working, invalid, or handed back."""
        luck = self.chance.random()
        if luck < 0.03:
            self._partner(now, company)
            reason = self.chance.choice(("no_capacity", "not_reachable", "dates"))
            actions.hand_back(self.session, lead_id, reason)
            self.work(now)
        elif luck < 0.09:
            reason = self.chance.choice(("no_need", "not_reachable", "spam"))
            self._move(now, lead_id, company, "invalid", reason=reason)
        else:
            self._move(now, lead_id, company, "working")
            then = self._later(now, company, lambda at: self._qualify(at, lead_id, company), 1.4)
            self._words(now, lead_id, then, 0.35)

    def _words(self, now: datetime, lead_id: int, then: datetime, plans: float) -> None:
        """A next step for when the lead moves on, notes, now and then a word of the vendor."""
        chance = self.chance
        if chance.random() < (plans if lead_id not in self.planned else 0.9):
            self.planned.add(lead_id)
            on = then.date() - timedelta(days=1 if chance.random() < 0.1 else 0)
            actions.plan_step(self.session, lead_id, chance.choice(catalogue.STEPS), max(on, now.date()))
        if chance.random() < 0.3 * plans / 0.4:
            note = chance.choice(catalogue.PARTNER_NOTES)
            actions.comment(self.session, lead_id, note, to_all=chance.random() < 0.6)
        if chance.random() < 0.06:
            self._vendor(now, "account_manager")
            note = chance.choice(catalogue.VENDOR_NOTES)
            actions.comment(self.session, lead_id, note, to_all=chance.random() < 0.5)

    def _qualify(self, now: datetime, lead_id: int, company: int) -> None:
        luck = self.chance.random()
        if luck < 0.06:
            reason = self.chance.choice(stages.NURTURE_REASONS[:2])
            self._move(now, lead_id, company, "nurture", reason=reason)
        elif luck < 0.3:
            reason = self.chance.choice(("no_budget", "no_answer", "timing"))
            self._move(now, lead_id, company, "lost", reason=reason)
        else:
            self._move(now, lead_id, company, "qualified")
            step = self._propose if self.chance.random() < 0.6 else self._close
            then = self._later(now, company, lambda at: step(at, lead_id, company), 1.5)
            self._words(now, lead_id, then, 0.1)

    def _propose(self, now: datetime, lead_id: int, company: int) -> None:
        self._move(now, lead_id, company, "proposed")
        then = self._later(now, company, lambda at: self._close(at, lead_id, company), 3.0)
        self._words(now, lead_id, then, 0.2)

    def _close(self, now: datetime, lead_id: int, company: int) -> None:
        if self.chance.random() < self.habits[company].wins:
            lead = self.session.execute(HELD, {"lead": lead_id}).one()
            amount = Decimal(lead.amount or 20_000) * Decimal(round(self.chance.uniform(0.7, 1.15), 2))
            won = (amount / 100).quantize(Decimal(1)) * 100
            self._move(now, lead_id, company, "won", won_amount=won, won_on=now.date())
        else:
            reason = self.chance.choices(stages.LOST_REASONS[:5], (4, 4, 2, 2, 2))[0]
            self._move(now, lead_id, company, "lost", reason=reason)

    # -- the vendor's own doings -----------------------------------------------------------------------------------

    def suspend(self, now: datetime, company: int) -> None:
        """A partner is suspended: its open leads are pulled back and go on to others."""
        self._vendor(now)
        level = self.session.execute(
            text("select level from standings where company_id = :c and valid_to is null"), {"c": company}
        ).scalar_one()
        set_standing(self.session, company, status="suspended", level=level, reason="unpaid invoices")
        self.work(now)

    def withdraw_one(self, now: datetime) -> None:
        """A customer asks for somebody else: the vendor takes a held lead back and offers it on."""
        self._vendor(now)
        lead = self.session.execute(
            text("select id from leads where assignment = 'held' and stage = 'new' order by id limit 1")
        ).scalar()
        if lead is not None:
            actions.withdraw(self.session, lead, "customer_asked")
            self.work(now)
