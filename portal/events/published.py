"""What leaves the log: for each event type the data that its audience may read outside, in feeds and webhooks.

A room publishes its types and how its subjects are called; what no room has published leaves without data. Nothing
personal and nothing that the offer view withholds may be published: data are references, codes and dates.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import text

from portal.db import PortalSession

# Ids of one type of subject -> their public numbers, as far as the reader may know them.
Names = Callable[[PortalSession, Collection[int]], Mapping[int, str]]

_data: dict[str, tuple[str, ...]] = {}
_names: dict[str, Names] = {}


def publish(types: Mapping[str, Iterable[str]]) -> None:
    """Event type -> the keys of its data that leave the house."""
    _data.update({type_: tuple(keys) for type_, keys in types.items()})


def name_subjects(subject_type: str, names: Names) -> None:
    """Where the public numbers of this type of subject are looked up; types without one have none outside."""
    _names[subject_type] = names


def data_of(type_: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """The published part of an event's data."""
    return {key: data[key] for key in _data.get(type_, ()) if data.get(key) is not None}


def types() -> Mapping[str, tuple[str, ...]]:
    """Every published type with its keys, for documents and tests."""
    return dict(sorted(_data.items()))


def numbers(session: PortalSession, subjects: Iterable[tuple[str, int]]) -> dict[tuple[str, int], str]:
    """(type, id) -> public number, as far as the session's reader may know it; one statement a type."""
    wanted: dict[str, set[int]] = {}
    for type_, id_ in subjects:
        wanted.setdefault(type_, set()).add(id_)
    found: dict[tuple[str, int], str] = {}
    for type_, ids in wanted.items():
        if type_ in _names:
            found |= {(type_, id_): name for id_, name in _names[type_](session, ids).items()}
    return found


COMPANIES = text("select id, name from companies where id = any(:ids)")


def company_names(session: PortalSession, ids: Collection[int]) -> Mapping[int, str]:
    """The companies that the reader may know: a partner its vendor and itself, the vendor all."""
    return {row.id: row.name for row in session.execute(COMPANIES, {"ids": sorted(ids)})}
