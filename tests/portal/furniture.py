"""Rows for the tables of which no story of the town (tests/portal/town.py) leaves any, so that there is something to steal
in each: of Danubia, of the vendor, of the other realm; and something to give away of those who try."""

from typing import Any

from sqlalchemy import text

from portal.db import new_id

PARTNERS_OWN = """
    insert into idempotent_answers (company_id, client_id, route, key, realm_id, request_hash, status, answer, created_at)
    values (:company, coalesce((select min(id) from api_clients where company_id = :company), 1), 'leads',
        'canary-answer', 1, 'x', 200, '{"canary": "answer"}', now());
    insert into list_memories (realm_id, company_id, person_id, list) values (1, :company, :person, 'leads')
    on conflict do nothing;
    insert into second_factors (person_id, realm_id, secret, confirmed_at) values (:person, 1, 'canary-factor', now());
    insert into recovery_codes (person_id, hash, realm_id) values (:person, 'canary-code', 1);
    insert into passwords values (:person, 1, 'canary-password', now());
    insert into proposals (id, realm_id, company_id, kind, before, after, state, proposed_by, proposed_at)
    values (:id, 1, :company, 'name', '{"name": "canary"}', '{"name": "canary"}', 'open', :person, now());
"""
VENDORS = """
    insert into text_contacts (text_id, contact_id, realm_id)
    select (select min(id) from texts where realm_id = 1), min(id), 1 from contacts where realm_id = 1
    on conflict do nothing;
"""
ANOTHER_REALM = """
    insert into levels (id, realm_id, code, name, rank) values (:id, 2, 'canary-level', 'Canary', 1);
    insert into product_lines (id, realm_id, code, name) values (:id, 2, 'canary-line', 'Canary');
    insert into programmes (id, realm_id, code, name) values (:id, 2, 'canary-programme', 'Canary');
"""


def furnish(town: Any, partners: dict[int, str]) -> None:
    """`partners`: company -> the address of its person who owns what is put there."""
    with town.world.system() as session:
        for company, email in partners.items():
            query = text("select id from people where email = :email")
            person = session.execute(query, {"email": email}).scalar_one()
            values = {"company": company, "person": person, "id": new_id()}
            _run(session, PARTNERS_OWN, values)
        _run(session, VENDORS, {})
        _run(session, ANOTHER_REALM, {"id": new_id()})


def _run(session: Any, statements: str, values: dict[str, Any]) -> None:
    for statement in filter(str.strip, statements.split(";")):
        used = {name: value for name, value in values.items() if f":{name}" in statement}
        session.execute(text(statement), used)
