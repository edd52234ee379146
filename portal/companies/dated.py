"""Dated rows: a fact holds from `valid_from` (included) to `valid_to` (not included, or null: still holds).

A change closes the row that holds and opens a new one at the same instant, so that any past moment is a query.
Equal values change nothing. Callers lock the company's row first, so that two changes of one fact stand in order.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, insert, select, update
from sqlalchemy.orm import InstrumentedAttribute

from portal.db import PortalSession, new_id

OWN = ("id", "realm_id", "valid_from", "valid_to")


def put(session: PortalSession, model: Any, key: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Make `values` the ones that hold for `key` from now on; False when they already did.

    Columns not named keep what held before (null when nothing did).
    """
    names = [column.name for column in model.__table__.columns if column.name not in OWN]
    found = session.execute(_holding(model, key)).mappings().first()
    wanted = {name: found[name] if found else None for name in names} | dict(key) | dict(values)
    if found and all(found[name] == wanted[name] for name in names):
        return False
    if found:
        _close(session, model, [found["id"]])
    _open(session, model, [{name: value for name, value in wanted.items() if value is not None}])
    return True


def end(session: PortalSession, model: Any, key: Mapping[str, Any]) -> bool:
    """Close what holds for `key`; False when nothing did."""
    ids = [row["id"] for row in session.execute(_holding(model, key)).mappings()]
    if ids:
        _close(session, model, ids)
    return bool(ids)


def put_all(
    session: PortalSession,
    model: Any,
    scope: InstrumentedAttribute[int],
    scopes: Sequence[int],
    wanted: Iterable[Mapping[str, Any]],
    *,
    keep: Iterable[str] = (),
    within: ColumnElement[bool] | None = None,
) -> set[int]:
    """Make `wanted` all that holds for `scopes` (values of column `scope`); which scopes changed.

    For files: two statements however many rows. Columns in `keep` are taken over from what holds when they are not
    given; rows are matched as whole values, so that nothing is closed that is still wanted. Rows that hold outside
    the condition `within` are none of the caller's business and stay.
    """
    if not scopes:
        return set()
    names = [column.name for column in model.__table__.columns if column.name not in OWN]
    table = model.__table__
    query = select(table).where(scope.in_(scopes), table.c.valid_to.is_(None))
    held = session.execute(query if within is None else query.where(within)).mappings().all()
    before = {row[scope.key]: row for row in held}
    left = {_value(dict(row), names): row["id"] for row in held}
    opened, changed = [], set()
    for given in wanted:
        row = dict(given)
        old = before.get(row[scope.key])
        row |= {name: old[name] for name in keep if old is not None and name not in given}
        value = _value(row, names)
        if left.pop(value, None) is None:
            opened.append({name: row.get(name) for name in names})
            changed.add(row[scope.key])
    closed = set(left.values())
    changed |= {row[scope.key] for row in held if row["id"] in closed}
    _close(session, model, sorted(closed))
    _open(session, model, opened)
    return changed


def open_rows(session: PortalSession, model: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that hold from now on, where nothing held before."""
    _open(session, model, rows)


def _holding(model: Any, key: Mapping[str, Any]) -> Any:
    table = model.__table__
    conditions = [table.c[name].is_not_distinct_from(value) for name, value in key.items()]
    return select(table).where(*conditions, table.c.valid_to.is_(None)).with_for_update()


def _close(session: PortalSession, model: Any, ids: Sequence[int]) -> None:
    if ids:
        table = model.__table__
        session.execute(update(table).where(table.c.id.in_(ids)).values(valid_to=session.context.now))


def _open(session: PortalSession, model: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        ctx = session.context
        stamp = {"realm_id": ctx.realm_id, "valid_from": ctx.now, "valid_to": None}
        session.execute(insert(model.__table__), [{**stamp, **row, "id": new_id()} for row in rows])


def _value(row: Mapping[str, Any], names: Sequence[str]) -> tuple[Any, ...]:
    """A row as one comparable value; objects in canonical form, since JSONB keeps no order of keys."""
    return tuple(
        json.dumps(value, sort_keys=True) if isinstance(value := row.get(name), dict) else value
        for name in names
    )
