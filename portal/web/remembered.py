"""What a person's lists remember (columns, last filter and sort) and the filters saved under a name.

Nothing here changes what anybody else works with, so it writes no event. The address always wins: the memory fills in
only what an address leaves open, and the bare address of a list leads to the list as it was left.
"""

from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlencode

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from sqlalchemy import (
    delete,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from webob.multidict import MultiDict

from portal.db import PortalSession, new_id
from portal.errors import Conflict, Fault, Invalid, NotFound
from portal.web.filters import BadParameter
from portal.web.i18n import _, tr
from portal.web.models import ListMemory, SavedFilter
from portal.web.tables import ALL, REMEMBER_COLS, ListSpec, ListState, Memory, SavedView

MOST_FILTERS = 50
"""Saved filters of one person and list."""
MAX_NAME, MAX_QUERY = 60, 2000


def state_of(request: Request, spec: ListSpec) -> ListState:
    """The request's list state with what the reader's list remembers; redirects a bare address to the list as left.

    Raises BadParameter for an address that cannot be used, as ListSpec.parse does; of a saved filter only what can be
    used is taken, and the state says what was left out. Columns of an address hold for that view; those chosen in the
    columns form are kept.
    """
    if request.ctx.person_id is None:
        return spec.parse(request.GET, request.path)
    session, name = request.db, memory_name(spec, request.GET)
    memory = remembered(session, name)
    if not any(key not in spec.keep for key in request.GET):
        _as_left(request, spec, memory)
    params, saved = _with_columns(request.GET, spec, memory), request.GET.get("view", "") not in ("", ALL)
    parse = partial(_usable, spec) if saved else spec.parse
    state = parse(params, request.path, memory)
    if not state.export:
        chosen = all(request.GET.get(key) == value for key, value in REMEMBER_COLS.items())
        _remember(session, memory, state, chosen=chosen)
        if chosen:
            # Passed on, the address of the answer must not change what others have chosen. Raising takes back what is
            # not committed.
            request.tm.commit()
            request.tm.begin()
            raise HTTPSeeOther(state.url(page=state.page))
    return state


def sent_from(request: Request, spec: ListSpec, path: str, query: str) -> ListState:
    """The state of the list at `path` that a form was sent from, `query` its address without the path; for drawing that
    page again with a refusal. Nothing is remembered of it and nothing redirects. Raises as `state_of` does."""
    params = MultiDict(parse_qsl(query))
    if request.ctx.person_id is None:
        return spec.parse(params, path)
    memory = remembered(request.db, memory_name(spec, params))
    parse = partial(_usable, spec) if params.get("view", "") not in ("", ALL) else spec.parse
    return parse(params, path, memory)


def memory_name(spec: ListSpec, params: Any) -> str:
    """The name a list is remembered under: each of its tabs is a list of its own."""
    tab = params.get("tab")
    return f"{spec.name}-{tab}" if tab in spec.tabs else spec.name


# What one list remembers beside each saved filter the reader may apply; one row at least.
REMEMBERED = text("""
    select own.columns, own.query, own.default_id, saved.id, saved.name, saved.query as saved, saved.shared, saved.person_id
    from (select 1) as one
    left join list_memories own on own.company_id = :company and own.person_id = :person and own.list = :list
    left join saved_filters saved on saved.company_id = :company and saved.list = :list
    order by lower(saved.name), saved.id
""")
# Not worth waiting for the disk: whoever lost power finds the list as it was a moment before.
WRITTEN = text("""
    with written as (
        insert into list_memories (realm_id, company_id, person_id, list, columns, query)
        values (:realm, :company, :person, :list, :columns, :query)
        on conflict (company_id, person_id, list) do update set columns = excluded.columns, query = excluded.query
    )
    select set_config('synchronous_commit', 'off', true)
""")


def remembered(session: PortalSession, name: str) -> Memory:
    """What the reader's list of this name remembers, with the saved filters that the reader may apply."""
    ctx = session.context
    values = {"company": ctx.company_id, "person": ctx.person_id, "list": name}
    rows = session.read(REMEMBERED, values).all()
    views = [
        SavedView(row.id, row.name, row.saved, row.shared, row.person_id == ctx.person_id)
        for row in rows
        if row.id is not None
    ]
    first = rows[0]
    columns = tuple(first.columns.split(",")) if first.columns else None
    return Memory(name, columns, first.query or "", views, first.default_id)


def _as_left(request: Request, spec: ListSpec, memory: Memory) -> None:
    """Redirect to the default filter, else to the last one used; a last one that no longer reads is passed over."""
    default = next((view for view in memory.views if view.id == memory.default_id), None)
    query = f"view={default.id}&{default.query}".rstrip("&") if default else memory.query
    if not query:
        return
    try:
        if default is None:
            spec.parse(MultiDict(parse_qsl(query)), request.path)
    except BadParameter:
        return
    kept = urlencode([(key, value) for key, value in request.GET.items() if value])
    raise HTTPSeeOther(f"{request.path}?{'&'.join(part for part in (kept, query) if part)}")


def _usable(spec: ListSpec, params: Any, path: str, memory: Memory) -> ListState:
    """What can be used of a saved filter: a value that was taken out of the list since is left out, and told."""
    kept, left_out = MultiDict(params), []
    while True:
        try:
            return replace(spec.parse(kept, path, memory), left_out=tuple(dict.fromkeys(left_out)))
        except BadParameter as wrong:
            fewer = _without(kept, wrong)
            if wrong.field == "view" or not wrong.value or list(fewer.items()) == list(kept.items()):
                raise
            left_out.append(f"{wrong.label or wrong.field}: {wrong.value}")
            kept = fewer


def _without(params: Any, wrong: BadParameter) -> Any:
    """The parameters but for the value that is wrong; of columns and of several values the others stay."""
    found = []
    for key, value in params.items():
        if key == wrong.field == "cols":
            value = ",".join(one for one in value.split(",") if one[: len(wrong.value)] != wrong.value)
        elif key == wrong.field and value.strip()[: len(wrong.value)] == wrong.value:
            continue
        found.append((key, value))
    return MultiDict(found)


def _with_columns(params: Any, spec: ListSpec, memory: Memory) -> Any:
    known = {column.key for column in spec.columns}
    columns = [key for key in memory.columns or () if key in known]
    if not columns or params.get("cols"):
        return params
    filled = MultiDict(params)
    filled["cols"] = ",".join(columns)
    return filled


def _remember(session: PortalSession, memory: Memory, state: ListState, *, chosen: bool) -> None:
    """Write what changed, nothing when nothing did."""
    columns = memory.columns
    if chosen:
        columns = None if state.cols == state.spec.default_cols else state.cols
    query = state.query()
    if (columns, query) != (memory.columns, memory.query) and len(query) <= MAX_QUERY:
        ctx = session.context
        values = {
            "realm": ctx.realm_id,
            "company": ctx.company_id,
            "person": ctx.person_id,
            "list": memory.name,
        }
        session.read(WRITTEN, {**values, "columns": ",".join(columns) if columns else None, "query": query})


def _write(session: PortalSession, name: str, **values: Any) -> None:
    ctx = session.context
    key = {"company_id": ctx.company_id, "person_id": ctx.person_id, "list": name}
    statement = upsert(ListMemory.__table__).values({"realm_id": ctx.realm_id, "query": "", **key, **values})
    session.execute(statement.on_conflict_do_update(index_elements=list(key), set_=values))


# -- saved filters -------------------------------------------------------------------------------------------------


def save(session: PortalSession, name: str, title: str, query: str, *, shared: bool) -> int:
    """Keep `query` of the list `name` under `title`, for the reader or (shared) the whole company. Its id."""
    ctx = session.context
    title = _title(session, name, title)
    if len(query) > MAX_QUERY:
        raise Invalid(Fault("name", len(query), tr(_("This filter is too long to be saved.")), "length"))
    count = select(func.count()).where(*_mine(session), SavedFilter.list == name)
    if session.execute(count).scalar_one() >= MOST_FILTERS:
        raise Conflict(
            tr(_("You have ${n} filters here. Delete one first.", mapping={"n": MOST_FILTERS})), "full"
        )
    row = {
        "id": new_id(), "realm_id": ctx.realm_id, "company_id": ctx.company_id, "person_id": ctx.person_id,
        "list": name, "name": title, "query": query, "shared": shared, "created_at": ctx.now,
    }  # fmt: skip
    session.execute(insert(SavedFilter), [row])
    return int(row["id"])


def change(session: PortalSession, filter_id: int, title: str, *, shared: bool) -> None:
    """Rename one's own filter, or share it."""
    found = own_filter(session, filter_id)
    values = {"name": _title(session, found.list, title, but=filter_id), "shared": shared}
    session.execute(update(SavedFilter).where(SavedFilter.id == filter_id).values(**values))
    session.expire(found)


def remove(session: PortalSession, filter_id: int) -> None:
    """Delete one's own filter; who had a shared one as default sees the list as built."""
    found = own_filter(session, filter_id)
    session.execute(delete(SavedFilter).where(SavedFilter.id == filter_id))
    session.expunge(found)


def open_with(session: PortalSession, name: str, filter_id: int, *, first: bool = True) -> None:
    """The list opens with this filter from now on, or (first=False) as it was left."""
    if filter_id not in {view.id for view in remembered(session, name).views}:
        raise NotFound
    _write(session, name, default_id=filter_id if first else None)


def own_filter(session: PortalSession, filter_id: int) -> SavedFilter:
    """One of the reader's own filters; NotFound for a colleague's shared one too."""
    query = select(SavedFilter).where(SavedFilter.id == filter_id, *_mine(session))
    found = session.execute(query).scalar_one_or_none()
    if found is None:
        raise NotFound
    return found


def _mine(session: PortalSession) -> tuple[Any, ...]:
    ctx = session.context
    return SavedFilter.company_id == ctx.company_id, SavedFilter.person_id == ctx.person_id


def _title(session: PortalSession, name: str, given: str, but: int = 0) -> str:
    title = given.strip()
    if not title or len(title) > MAX_NAME:
        message = _("Give it a name of 1 to ${n} characters.", mapping={"n": MAX_NAME})
        raise Invalid(Fault("name", title[:MAX_NAME], tr(message), "length"))
    same = select(SavedFilter.id).where(
        *_mine(session), SavedFilter.list == name, SavedFilter.name == title, SavedFilter.id != but
    )
    if session.execute(same).first():
        raise Invalid(Fault("name", title, tr(_("You have a filter of this name. Choose another.")), "taken"))
    return title
