"""My leads as a board: a column for each stage, a card for each lead that the company holds. Driven from shares.

Which moves there are and what they need stands in stages.py; the board only asks for it and calls the same action.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.renderers import render_to_response
from pyramid.request import Request
from pyramid.response import Response
from sqlalchemy import Select, func, or_, select, union_all

from portal.db import PortalSession
from portal.errors import Conflict, Invalid, NotFound
from portal.leads import actions, forms, lists, queries, stages, waybill, words
from portal.leads.models import Lead
from portal.sharing.models import Share
from portal.web import remembered
from portal.web.exports import export_response, stream
from portal.web.filters import one_of
from portal.web.flash import flash
from portal.web.formatting import fmt
from portal.web.i18n import _, tr
from portal.web.parts import Action, Empty
from portal.web.sent import refused
from portal.web.status import status_label
from portal.web.tables import COUNT_LIMIT, Listing, ListSpec, ListState, cut, filtered

COLUMNS = (*stages.OPEN, "won", "lost")
CLOSED = ("won", "lost")
MOST_CARDS = 20
"""Cards of one column; the others are one link away, in the list."""
PERIODS = (30, 90, 365)
"""Days for which won and lost leads stay on the board."""


@dataclass(frozen=True, slots=True)
class Column:
    """One stage: its newest cards, how many there are (COUNT_LIMIT + 1: more), what they are worth by currency."""

    stage: str
    cards: Sequence[Mapping[str, Any]]
    count: int
    worth: str
    url: str
    on: bool

    @property
    def label(self) -> str:
        """The stage in words."""
        return status_label("stage", self.stage)


def spec(catalogue: queries.Catalogue) -> ListSpec:
    """Filters as the list of one's leads has them, but for states that no column stands for."""
    listed = lists.partner_spec(catalogue)
    choices = [(state, word) for state, word in listed.column("state").choices if state in COLUMNS]
    columns = [replace(c, choices=choices) if c.key == "state" else c for c in listed.columns]
    return replace(listed, columns=columns, name="board", keep=("days", "col"))


def board(request: Request) -> Response:
    """GET /leads/board; with ask and to it asks for what that move needs, with export it is a file."""
    if request.GET.get("export"):
        return _file(request)
    asked = None
    if request.GET.get("ask"):
        asked = queries.find(request.db, request.GET["ask"]), request.GET.get("to", "")
    return show(request, asked)


def show(
    request: Request,
    asked: tuple[queries.Seen, str] | None = None,
    refusal: Invalid | Conflict | None = None,
) -> Response:
    """The page; `asked` is a move that needs a reason or an amount, a refusal stands above the board."""
    session, catalogue = request.db, queries.catalogue(request.db)
    state = _sent_from(request, catalogue) if refusal else remembered.state_of(request, spec(catalogue))
    days = _days(state)
    columns = columns_of(session, state, request.now - timedelta(days=days), _shown(state))
    total = min(sum(column.count for column in columns), COUNT_LIMIT + 1)
    ask = _asking(asked) if asked and not isinstance(refusal, Conflict) else None
    values = {
        "listing": Listing(state, (), total, noun=_("leads")),
        "columns": columns,
        "days": days,
        "periods": [(n, _kept(state, days=n)) for n in PERIODS],
        "tabs": lists.partner_tabs("board"),
        "targets": lambda stage: [(to, status_label("stage", to)) for to in stages.moves(stage, "holder")],
        "may_move": request.may("lead.progress"),
        "may_export": request.may("lead.export"),
        "ask": ask,
        "back": urlencode(state.params()),
        "refusal": refusal and refused(request, refusal, tr(_("Nothing was moved."))),
        "today": fmt.today.isoformat(),
        "place": words.place,
        "money": waybill.money,
        "band": waybill.band,
        "end_of": _end_of,
        "empty": Empty(
            _("No lead is on the board. What you accept stands here."),
            Action(tr(_("Offers")), "/offers", "get"),
        ),
    }
    return render_to_response("leads/board.jinja2", values, request=request)


def _sent_from(request: Request, catalogue: queries.Catalogue) -> ListState:
    """The board that a move was sent from: its form names it, the address is that of the move."""
    back = request.POST.get("back", "")
    return remembered.sent_from(request, spec(catalogue), "/leads/board", back)


def _file(request: Request) -> Response:
    """The leads of the columns shown, more than the cards too, with the columns and in the order of the list."""
    if not request.may("lead.export"):
        raise NotFound
    session, catalogue = request.db, queries.catalogue(request.db)
    state = remembered.state_of(request, spec(catalogue))
    since = request.now - timedelta(days=_days(state))
    wanted = state.filters.get("state") or COLUMNS
    on_board = lists.own_shares(request.ctx.company_id, past=False).where(
        Share.state.in_(wanted), or_(Share.state.not_in(CLOSED), Share.at >= since)
    )
    page = queries.shared(*cut(on_board, state), request.ctx.company_id)
    return export_response(state, stream(session, page, queries.shared_rows))


def _days(state: ListState) -> int:
    return int(one_of(dict(state.kept), "days", map(str, PERIODS), str(PERIODS[0])))


def _shown(state: ListState) -> str:
    """The column that a phone shows; the others are a tap away."""
    return one_of(dict(state.kept), "col", COLUMNS)


def _kept(state: ListState, **changes: Any) -> str:
    """The board's address with another period or column."""
    kept = dict(state.kept) | {key: str(value) for key, value in changes.items()}
    return state.url(kept=tuple(kept.items()))


def _end_of(day: Any) -> datetime:
    return datetime.combine(day, datetime.max.time().replace(microsecond=0), tzinfo=fmt.tz)


# -- what is on it -------------------------------------------------------------------------------------------------


def columns_of(session: PortalSession, state: ListState, since: datetime, shown: str) -> list[Column]:
    """The columns with their newest cards; three statements however many leads there are."""
    wanted = state.filters.get("state") or COLUMNS
    names = [stage for stage in COLUMNS if stage in wanted]
    page = _newest(session, state, names, since, MOST_CARDS).subquery("page")
    order = [page.c.at.desc(), page.c.subject_id.desc()]
    rows = queries.shared_rows(session.execute(queries.shared(page, order, session.context.company_id)))
    sums = _sums(session, state, names, since)
    filled = [stage for stage in names if sums.get(stage)]
    first = shown if shown in names else next(iter(filled), names[0])
    found = []
    for stage in names:
        cards = [row for row in rows if row["state"] == stage]
        worth = sums.get(stage, {})
        count = min(sum(n for n, _sum in worth.values()), COUNT_LIMIT + 1)
        url = state.url(filters={**state.filters, "state": (stage,)}, kept=(), view="")
        url = url.replace(state.path, "/leads", 1)
        found.append(Column(stage, cards, count, _worth(worth, count), url, stage == first))
    return found


def _of_stage(session: PortalSession, state: ListState, stage: str, since: datetime) -> Select[Any]:
    query = select(Share.subject_id, Share.level, Share.state, Share.at).where(
        Share.company_id == session.context.company_id,
        Share.subject_type == "lead",
        Share.level == "full",
        Share.state == stage,
    )
    if stage in CLOSED:
        query = query.where(Share.at >= since)
    kept = {key: value for key, value in state.filters.items() if key != "state"}
    return filtered(query, replace(state, filters=kept))


def _newest(session: PortalSession, state: ListState, names: Sequence[str], since: datetime, n: int) -> Any:
    """The newest shares of each stage, in one statement; each part walks the index of one state."""
    parts = [
        _of_stage(session, state, stage, since)
        .order_by(Share.at.desc(), Share.subject_id.desc())
        .limit(n)
        .subquery()
        for stage in names
    ]
    return union_all(*(select(part) for part in parts))


def _sums(
    session: PortalSession, state: ListState, names: Sequence[str], since: datetime
) -> dict[str, dict[str, tuple[int, Decimal]]]:
    """Stage -> currency -> (how many, worth), of the newest COUNT_LIMIT + 1 of each stage."""
    shares = _newest(session, state, names, since, COUNT_LIMIT + 1).subquery()
    worth = func.coalesce(Lead.won_amount, Lead.amount, 0)
    query = (
        select(shares.c.state, func.coalesce(Lead.currency, ""), func.count(), func.sum(worth))
        .join(Lead, Lead.id == shares.c.subject_id)
        .group_by(shares.c.state, Lead.currency)
        .order_by(func.sum(worth).desc())
    )
    found: dict[str, dict[str, tuple[int, Decimal]]] = {}
    for stage, currency, n, amount in session.execute(query):
        found.setdefault(stage, {})[currency] = (n, amount)
    return found


def _worth(sums: Mapping[str, tuple[int, Decimal]], count: int) -> str:
    """'EUR 340,000, CZK 20,000'; 'over' where not all were added up."""
    said = ", ".join(
        waybill.money(amount, currency) for currency, (_n, amount) in sums.items() if currency and amount
    )
    return tr(_("over ${a}", mapping={"a": said})) if said and count > COUNT_LIMIT else said


# -- moving a card -------------------------------------------------------------------------------------------------


def _asking(asked: tuple[queries.Seen, str]) -> dict[str, Any] | None:
    """What the move asked about needs; None when there is no such move."""
    seen, to = asked
    move = stages.moves(seen.lead["stage"], "holder").get(to) if seen.lead else None
    if move is None or not (move.reasons or move.needs):
        return None
    return {
        "number": seen.number,
        "title": seen.title,
        "to": to,
        "stage": status_label("stage", to),
        "reasons": words.chips(move.reasons),
        "won": bool(move.needs),
        "currency": seen.lead["currency"] or "EUR",  # type: ignore[index]
    }


def move(request: Request) -> Any:
    """POST /leads/board/move: a card to another column; asks first for what the move needs."""
    post = request.POST
    seen = queries.find(request.db, post.get("number", ""))
    to = post.get("to", "")
    if "asked" not in post and _asking((seen, to)):
        asking = urlencode({"ask": seen.number, "to": to})
        return HTTPSeeOther(_back(request, asking))
    try:
        if seen.lead is None:
            raise Conflict(
                tr(_("${number} is no longer with your company.", mapping={"number": seen.number})), "gone"
            )
        with request.db.begin_nested():
            actions.move(request.db, seen.id, to, **forms.read_move(post))
    except (Invalid, Conflict) as refusal:
        request.tm.doom()
        response = show(request, (seen, to), refusal)
        response.status_int = 422 if isinstance(refusal, Invalid) else 409
        return response
    said = {"number": seen.number, "stage": actions.word(to)}
    flash(request, _("${number} is now ${stage}.", mapping=said))
    return HTTPSeeOther(f"{_back(request)}#card-{seen.number}")


def _back(request: Request, more: str = "") -> str:
    """The board as it was shown; what does not read as a query of the board is refused there, in words."""
    given = request.POST.get("back", "")
    query = "&".join(part for part in (given if "\n" not in given else "", more) if part)
    return f"/leads/board?{query or 'view=all'}"


def includeme(config: Any) -> None:
    """The board and its one action."""
    config.add_route("board", "/leads/board")
    config.add_view(board, route_name="board", request_method="GET", permission="lead.board")
    config.add_route("board.move", "/leads/board/move")
    config.add_view(move, route_name="board.move", request_method="POST", permission="lead.board")
