"""Compares a ledger with the database: every acknowledged request has exactly one effect, and nothing is left over.

Each check returns sentences; no sentence, no fault. The SQL runs as the superuser, on an installation that has come
to rest (`rest`).
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg

from tests.soak.ledger import Ledger
from tests.soak.place import Place

REST_S = 60.0
SHOWN = 5
Rows = list[tuple[Any, ...]]

OPEN_STAGES = "('new', 'working', 'qualified', 'proposed')"
UNRESTED = """
    select (select count(*) from events where pos is null),
           (select count(*) from work_items where state <> 'parked' and run_at < now()
            and (schedule is null or run_at < now() - interval '20 s'))
"""
# sentence -> rows that should not be; the first column names the thing.
NEVER = {
    "a lead was received twice or not told of": """
        select l.number, count(e.id) from leads l left join events e
          on e.subject_type = 'lead' and e.subject_id = l.id and e.type = 'lead.received'
        where l.source = 'soak' group by l.number having count(e.id) <> 1""",
    "an offer without its event, or an event without its offer": """
        select o.id, count(e.id) from offers o left join events e
          on e.subject_id = o.lead_id and e.type = 'lead.offered' and e.data ->> 'offer' = o.id::text
        group by o.id having count(e.id) <> 1""",
    "an event of an offer that does not exist": """
        select e.id, e.type from events e where e.data ? 'offer'
          and not exists (select 1 from offers o where o.id = (e.data ->> 'offer')::bigint)""",
    "an answer told twice or not at all": """
        select o.id, o.state, count(e.id) from offers o left join events e
          on e.subject_id = o.lead_id and e.data ->> 'offer' = o.id::text
          and e.type = case o.state when 'accepted' then 'lead.accepted' when 'declined' then 'lead.declined'
                       when 'expired' then 'lead.expired' else 'lead.withdrawn' end
        where o.state <> 'offered' group by o.id having count(e.id) <> 1""",
    "a hand-back told twice or not at all": """
        select o.id, count(e.id) from offers o left join events e
          on e.subject_id = o.lead_id and e.data ->> 'offer' = o.id::text and e.type = 'lead.handed_back'
        where o.state = 'accepted' and o.ended_at is not null group by o.id having count(e.id) <> 1""",
    "a lead with two open offers, or whose offer is not its own": """
        select l.number, l.assignment, count(o.id) from leads l left join offers o
          on o.lead_id = l.id and (o.state = 'offered' or (o.state = 'accepted' and o.ended_at is null))
        group by l.id
        having count(o.id) <> case when l.assignment in ('offered', 'held') then 1 else 0 end
            or (count(o.id) = 1 and min(o.id) is distinct from l.offer_id)""",
    "a lead that is nowhere": """
        select l.number, l.assignment from leads l
        where l.assignment in ('unrouted', 'handed_back', 'pulled_back') and l.suspected_duplicate_of is null
          and not exists (select 1 from work_items w where w.payload ->> 'lead' = l.id::text)
          and not exists (select 1 from work_items w join offers o on w.payload ->> 'offer' = o.id::text
                          where o.lead_id = l.id and w.kind = 'offer.settle')""",
    "a decision that is told of twice or never": """
        select l.number, count(distinct d.id), count(distinct e.id) from leads l
          left join decisions d on d.subject_id = l.id and d.subject_type = 'lead'
          left join events e on e.subject_id = l.id and e.type in ('lead.decided', 'lead.unroutable')
        group by l.number having count(distinct d.id) <> count(distinct e.id)""",
    "a counter that is not the open offers and holdings": f"""
        select r.location_id, r.open, count(o.id) from routing_states r
          left join offers o join leads l on l.id = o.lead_id on o.location_id = r.location_id
            and (o.state = 'offered' or (o.state = 'accepted' and o.ended_at is null and l.stage in {OPEN_STAGES}))
        group by r.location_id, r.open having r.open <> count(o.id)""",
    "a share that is not what the lead's state opens": """
        select s.subject_id, s.company_id, s.level, o.state from shares s
          join lateral (select state, ended_at from offers where lead_id = s.subject_id and company_id = s.company_id
                        order by id desc limit 1) o on true
        where s.subject_type = 'lead' and s.level <> case when o.state = 'offered' then 'offer'
          when o.state = 'accepted' and o.ended_at is null then 'full' else 'past' end""",
    "work that is neither done nor parked": """
        select id, kind, state, attempts, last_error from work_items
        where (state = 'running' and lease_until < now())
           or (state = 'ready' and run_at < now() and schedule is null)""",
    "work parked without a reason": """
        select id, kind from work_items where state = 'parked' and coalesce(last_error, '') = ''""",
    "an event without its position": "select id, type from events where pos is null",
    "a hole in the feed": """
        select pos, before from (select pos, lag(pos, 1, 0::bigint) over (order by pos) as before from events
        where pos is not null) p where pos <> before + 1""",
    "events of one lead out of order": """
        select subject_id, id, pos from (select subject_id, id, pos, lag(pos) over
          (partition by subject_type, subject_id order by id) as before from events) e where pos < before""",
    "an answer kept twice": """
        select key, count(*) from idempotent_answers group by company_id, client_id, route, key having count(*) > 1""",
}


def rest(place: Place, patience_s: float = REST_S) -> float:
    """Wait until nothing is due any more; seconds it took. What remains is for the audit to name."""
    began = time.monotonic()
    quiet = 0
    while time.monotonic() - began < patience_s:
        try:
            with place.database() as connection:
                row = connection.execute(UNRESTED).fetchone()
            quiet = quiet + 1 if row == (0, 0) else 0
        except psycopg.Error:
            quiet = 0
        if quiet == 3:
            break
        time.sleep(0.25)
    return time.monotonic() - began


def compare(place: Place, ledger: Ledger) -> list[str]:
    """All faults of the ledger against the database, and of the database against itself."""
    if ledger.catch_up is not None:
        ledger.catch_up()
    with place.database() as connection:
        checks: list[Callable[[psycopg.Connection[Any], Ledger], Iterator[str]]] = [_leads, _answers, _feed]
        faults = list(ledger.faults)
        for check in checks:
            faults += check(connection, ledger)
        for sentence, query in NEVER.items():
            rows = connection.execute(query).fetchall()  # type: ignore[call-overload]
            if rows:
                faults.append(f"{sentence}: {len(rows)}, {rows[:SHOWN]}")
    return faults


def parked(place: Place) -> Rows:
    """(kind, reason, how many) of what was parked."""
    with place.database() as connection:
        return connection.execute(
            "select kind, last_error, count(*) from work_items where state = 'parked' group by 1, 2"
        ).fetchall()


def _leads(connection: psycopg.Connection[Any], ledger: Ledger) -> Iterator[str]:
    """One lead for each key, with the number that every answer named; no lead that nobody sent."""
    rows = connection.execute("select substr(title, 6), number from leads where source = 'soak'").fetchall()
    found: dict[str, list[str]] = {}
    for key, number in rows:
        found.setdefault(key, []).append(number)
    kept = dict(connection.execute("select key, status from idempotent_answers").fetchall())
    wanted = {entry.key: entry for entry in ledger.entries if entry.kind == "lead"}
    for key, entry in wanted.items():
        have = found.get(key, [])
        if entry.effect is None and len(have) <= 1:
            yield f"{key} was never acknowledged ({entry.tries} tries)"
        elif len(have) != 1:
            yield f"{key} was acknowledged as {entry.effect} and has {len(have)} effects: {have}"
        elif have != [entry.effect]:
            yield f"{key} was acknowledged as {entry.effect} and is {have[0]}"
        if key not in kept:
            yield f"{key} has no kept answer"
    for key in found.keys() - wanted.keys():
        yield f"{key} is a lead that nobody sent"


def _answers(connection: psycopg.Connection[Any], ledger: Ledger) -> Iterator[str]:
    """Each acknowledged yes, no and hand-back stands as it was said."""
    rows = connection.execute("select id, state, ended_at is not null, ended_reason from offers").fetchall()
    offers = {str(row[0]): row[1:] for row in rows}
    back = {entry.key for entry in ledger.acknowledged("hand back")}
    for entry in ledger.acknowledged():
        if entry.kind == "lead":
            continue
        state, ended, why = offers.get(entry.key, (None, None, None))
        right = {
            "accept": state == "accepted" and (not ended or entry.key in back),
            "decline": state == "declined",
            "hand back": state == "accepted" and ended and why == "no_capacity",
        }[entry.kind]
        if not right:
            yield f"{entry.kind} of offer {entry.key} was acknowledged and is {state}, ended {ended}, {why}"
    told = {entry.key for entry in ledger.acknowledged()}
    unsaid = {key for key, (state, _, _) in offers.items() if state in ("accepted", "declined")} - told
    for key in sorted(unsaid)[:SHOWN]:
        yield f"offer {key} was answered by nobody in the ledger"


def _feed(connection: psycopg.Connection[Any], ledger: Ledger) -> Iterator[str]:
    """Whoever followed the feed by its cursor was told each event of the vendor once, in order."""
    rows = connection.execute("""
        select pos from events
        where pos is not null and audience @> array(select id from companies where kind = 'vendor') order by pos
    """).fetchall()
    told, due = ledger.followed, [row[0] for row in rows]
    if ledger.catch_up is not None and told != due:
        missed, extra = sorted(set(due) - set(told)), sorted(set(told) - set(due))
        yield (
            f"a follower of the feed was told {len(told)} events ({len(set(told))} different) of {len(due)};"
            f" missed {missed[:SHOWN]}, not its own {extra[:SHOWN]}"
        )
