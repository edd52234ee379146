"""SQL of one's own on the app login, as every kind of context: others' rows are neither read nor touched nor planted."""

from collections.abc import Iterator

import pytest

from tests.conftest import fresh_database
from tests.portal.absent import columns_of
from tests.portal.rows import HIDDEN, complaints, sight, strange_rows
from tests.portal.town import Town, built

ATTACKERS = (
    "stranger",
    "admin@traun.example",
    "Traun's system",
    "who holds a link",
    "an operator of another realm",
)
MORE = (
    "a removed person", "an expired session", "sales@traun.example", "service@traun.example", "in two companies, at Inn",
    "choosing a company of others", "sales@alpenhydro.example", "sales@inn.example", "Traun's system without a scope",
    "who holds an old link", "a session as token",
)  # fmt: skip
VENDORS = ("tomas@halden.example",)
ALL = [*ATTACKERS, *VENDORS, *(pytest.param(name, marks=pytest.mark.soak) for name in MORE)]


@pytest.fixture(scope="module")
def town(server_url: str, template: str) -> Iterator[Town]:
    """One town for all tests here."""
    with (
        fresh_database(server_url, template) as database,
        built(server_url, database, furnished=True) as made,
    ):
        yield made


@pytest.mark.parametrize("name", ALL)
def test_others_are_neither_met_nor_given_anything(town: Town, name: str) -> None:
    who = town.people[name]
    with town.world.database.worker.connect() as connection:
        tables = columns_of(connection)
    given = strange_rows(town, who)
    assert complaints(town, who, tables, given) == {}
    readable = sight(town.world.database.app, who, tables)
    assert sum(1 for seen in readable.values() if seen[0] not in (HIDDEN, [])) > 2, "not vacuous"
    assert len(given) > 15 or name in VENDORS, "not vacuous"
