"""GET /api/v1/events: what happened, for a company's own systems to fetch at their own pace."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field
from pyramid.config import Configurator
from pyramid.interfaces import IRoutesMapper
from pyramid.request import Request
from pyramid.response import Response
from sqlalchemy.engine import Connection, Row
from sqlalchemy.exc import DBAPIError

from portal.bootstrap import app_url
from portal.connections.api import METER, PRIVATE, Answer, Endpoint, add_endpoint, read_query, route_name
from portal.db import PortalSession, make_engine
from portal.errors import Refusal
from portal.events import feed, published
from portal.security.context import digest
from portal.security.policy import bearer_of
from portal.web.errors import refused

PATH = "/api/v1/events"
SCOPE = "events:read"


class EventsQuery(BaseModel):
    """Where to begin and how many."""

    after: str | None = Field(
        None,
        pattern=r"^[0-9]{1,18}\.[0-9]{1,18}$",
        description="The `next` of an earlier answer, as it stands. Left out: from the beginning.",
    )
    limit: int = Field(
        feed.MAX_EVENTS, ge=1, description=f"Events in one answer; more than {feed.MAX_EVENTS} count as that."
    )


class SubjectOut(BaseModel):
    """What it happened to."""

    type: str = Field(examples=["lead"])
    id: str
    number: str | None = Field(
        None, description="The number people use, of subjects that have one.", examples=["L-10482"]
    )


class CompanyOut(BaseModel):
    """A company that the reader knows."""

    id: str
    name: str


class EventOut(BaseModel):
    """One thing that happened. New types and new keys of `data` may come; ignore what you do not know."""

    id: str = Field(description="The same event always has the same id; drop what you have seen.")
    type: str = Field(examples=["lead.offered"])
    version: int = Field(description="Of the type's data; it rises only when a key changes its meaning.")
    at: datetime
    subject: SubjectOut
    company: CompanyOut | None = Field(None, description="Who did it, where the reader may know.")
    data: dict[str, Any] = Field(description="References, codes and dates; fetch the subject for the rest.")


class EventsOut(BaseModel):
    """A page of the feed, oldest first."""

    events: list[EventOut]
    next: str = Field(description="Send it as `after` next time.", examples=["1.10482"])
    more: bool = Field(description="True when more events are there already.")


def events(request: Request, query: EventsQuery) -> Answer:
    """The page after a cursor."""
    after, limit = asked(query)
    page = feed.page(request.db, after, limit)
    body = EventsOut(events=told(request.db, page.rows), next=str(page.next), more=page.more)
    url = f"{request.registry.portal.site_url}{PATH}?after={page.next}&limit={limit}"
    headers = {
        "Link": f'<{url}>; rel="next"',
        "ETag": f'"{feed.tag(request.ctx.company_id, after, limit, page.next)}"',
    }
    return Answer(200, body.model_dump_json(exclude_none=True).encode(), headers)


def asked(query: EventsQuery) -> tuple[feed.Cursor | None, int]:
    """Cursor and number of events."""
    return (feed.parse(query.after) if query.after else None), min(query.limit, feed.MAX_EVENTS)


def told(session: PortalSession, rows: list[Row[Any]]) -> list[EventOut]:
    """Events as systems read them; used for every way out of the log."""
    ids = feed.event_ids(session, rows)
    numbers = published.numbers(session, ((row.subject_type, row.subject_id) for row in rows))
    companies = published.company_names(session, {row.company_id for row in rows} - {None})
    return [
        EventOut(
            id=ids[row.pos],
            type=row.type,
            version=row.version,
            at=row.at,
            subject=SubjectOut(
                type=row.subject_type,
                id=str(row.subject_id),
                number=numbers.get((row.subject_type, row.subject_id)),
            ),
            company=CompanyOut(id=str(row.company_id), name=companies[row.company_id])
            if row.company_id in companies
            else None,
            data=published.data_of(row.type, row.data),
        )
        for row in rows
    ]


def not_modified_tween(
    handler: Callable[[Request], Response], registry: Any
) -> Callable[[Request], Response]:
    """Answers 304 to a poll that brings nothing new, before a transaction is begun for it: one statement.

    It only ever says 304, and only to a token with the scope; everything else goes the ordinary way.
    """
    # Connections of its own, which are not asked whether they live: one that has died sends the poll the ordinary way.
    plain = {"pool_pre_ping": False, "pool_reset_on_return": None, "isolation_level": "AUTOCOMMIT"}
    engine = make_engine(app_url(registry.portal), pool_size=registry.portal.web_threads, **plain)
    idle: list[
        Connection
    ] = []  # taken and put back by hand: the pool's own way costs as much as the statement

    def nothing_new(token: str, after: feed.Cursor | None, limit: int, known: str) -> Row[Any] | None:
        try:
            connection = idle.pop()
        except IndexError:
            connection = engine.connect()
        try:
            reader = feed.nothing_new(connection, digest(token), after, limit, known)
        except BaseException:
            connection.invalidate()
            connection.close()
            raise
        idle.append(connection)
        return reader

    def tween(request: Request) -> Response:
        known = request.environ.get("HTTP_IF_NONE_MATCH", "").removeprefix("W/").strip('"')
        if not known or request.path_info != PATH or request.method != "GET":
            return handler(request)
        token = bearer_of(request)
        try:
            after, limit = asked(read_query(request, EventsQuery))  # type: ignore[arg-type]
            reader = nothing_new(token, after, limit, known) if token else None
        except (Refusal, DBAPIError):
            return handler(request)
        if reader is None or SCOPE not in (reader.scopes or ()):
            return handler(request)
        try:
            METER.take(request, reader.client_id)
        except Refusal as error:
            return refused(error, request)
        request.matched_route = registry.queryUtility(IRoutesMapper).get_route(
            route_name(PATH)
        )  # for the figures
        response = Response(status=304)
        response.etag = known
        response.headers["Cache-Control"] = PRIVATE
        return response

    return tween


def includeme(config: Configurator) -> None:
    """The endpoint and its short cut."""
    add_endpoint(
        config,
        Endpoint(
            name="list_events",
            method="GET",
            path=PATH,
            permission="api.events.read",
            scope=SCOPE,
            summary="What happened since",
            description="The feed of your company: every event that concerns it, in one order that never changes."
            " Keep `next` and send it as `after`; with the `ETag` as `If-None-Match` a poll that brings nothing costs"
            " next to nothing. An event may reach you twice, never not at all.",
            act=events,
            query=EventsQuery,
            answers={200: ("Events after the cursor, oldest first", EventsOut)},
            refusals={
                410: "The cursor is from before a restore: read anew what you keep and begin without `after`",
                422: "A parameter cannot be used: each with its cure",
            },
        ),
    )
    config.add_tween(
        "portal.events.api.not_modified_tween",
        under="portal.web.headers.headers_tween",
        over="pyramid_tm.tm_tween_factory",
    )
