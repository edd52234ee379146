"""Editing a draft: the grid as a plain form, checked as it is typed; ranking and deadlines; rows in and out as files."""

from collections.abc import Mapping
from typing import Any

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.renderers import render
from pyramid.request import Request

from portal.companies.pages import add_pages
from portal.errors import Conflict
from portal.routing.models import RuleSetRow
from portal.routing.rulesets import actions, checks, telling
from portal.routing.rulesets.cells import Vocabulary, effect_list
from portal.routing.rulesets.columns import GROUPS, Column, column, columns, shown
from portal.routing.rulesets.sheet import Checked, Fault, Typed, check, typed_of
from portal.routing.rulesets.views import BASE, VERSION, revision_of, version_of
from portal.routing.rulesets.vocabulary import listed, vocabulary
from portal.web.flash import flash
from portal.web.i18n import _, ntr, tr
from rules import RuleSet

PAGE = 100
"""Rows in one form; a rule set may have thousands."""
MOST_TYPED = 400
"""Rows that one form may bring: a page, and what was pasted into it."""


def edit(request: Request) -> Any:
    """GET /rules/{version}/edit: the grid. POST: save it, or move, add or remove a row of the form."""
    session = request.db
    found = actions.find(session, version_of(request))
    if found.state != "draft":
        raise Conflict(tr(actions.WRONG_STATE[found.state]), "state")
    words = vocabulary(session, found.body["rules"])
    if request.method == "GET":
        first = _number(request.GET.get("from"), len(found.body["rules"]))
        rows = found.body["rules"][first : first + PAGE]
        chosen = shown(rows, request.GET.getall("col"))
        typed = [typed_of(row, str(n), chosen, words) for n, row in enumerate(rows)]
        checked = check(found.body, first, len(rows), typed, words)
        return _grid(request, found, typed, chosen, (first, len(rows)), checked, words)
    first, count, chosen, typed = _sent(request, found)
    do, _colon, key = request.POST.get("do", "save").partition(":")
    if do != "save":
        typed = _rearranged(typed, do, key, chosen)
        checked = check(found.body, first, count, typed, words)
        return _grid(request, found, typed, chosen, (first, count), checked, words, unsaved=True)
    checked = check(found.body, first, count, typed, words)
    refusal = ""
    if checked.rules is not None:
        try:
            with session.begin_nested():
                actions.save(session, found.version, revision_of(request), checked.rules)
        except Conflict as error:
            request.tm.doom()
            request.response.status_int, refusal = 409, error.message
        else:
            flash(request, _("Saved."))
            more = "".join(f"&col={one.key}" for one in chosen if one.axis)
            return HTTPSeeOther(f"{BASE}/{found.version}/edit?from={first}{more}")
    else:
        request.response.status_int = 422
    return _grid(request, found, typed, chosen, (first, count), checked, words, refusal, unsaved=True)


def _number(given: Any, total: int) -> int:
    text = str(given or "")
    first = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    return first - first % PAGE if first < total else 0


def _sent(request: Request, found: RuleSetRow) -> tuple[int, int, tuple[Column, ...], list[Typed]]:
    """Which rows of the set the form stands for, the columns it shows, and its rows in their order."""
    post = request.POST
    total = len(found.body["rules"])
    first, count = (
        min(int(text), total) if text.isascii() and text.isdigit() and len(text) < 6 else 0
        for text in (post.get("first", ""), post.get("count", ""))
    )
    wanted = set(post.getall("col"))
    chosen = tuple(one for one in columns() if one.key in wanted or not one.axis)
    typed = []
    for key in dict.fromkeys(post.getall("row")[:MOST_TYPED]):
        cells = {
            one.key: str(post.get(f"{key}.{one.key}", ""))[:20_000].replace("\x00", "") for one in chosen
        }
        typed.append(Typed(key[:12], str(post.get(f"{key}.was", ""))[:64], cells))
    return first, min(count, total - first), chosen, typed


def _rearranged(typed: list[Typed], do: str, key: str, chosen: tuple[Column, ...]) -> list[Typed]:
    """The rows after up, down, remove or add; what names no row changes nothing."""
    at = next((n for n, one in enumerate(typed) if one.key == key), None)
    rows = list(typed)
    if at is None:
        return rows
    if do == "remove":
        rows.pop(at)
    elif do == "add":
        free = next(
            str(n) for n in range(len(typed) + MOST_TYPED) if str(n) not in {one.key for one in typed}
        )
        rows.insert(at + 1, Typed(free, "", dict.fromkeys((one.key for one in chosen), "")))
    elif do in ("up", "down"):
        to = at + (1 if do == "down" else -1)
        if 0 <= to < len(rows) and not rows[to].blank:
            rows.insert(to, rows.pop(at))
    return rows


def _grid(
    request: Request, found: RuleSetRow, typed: list[Typed], chosen: tuple[Column, ...], window: tuple[int, int],
    checked: Checked, words: Vocabulary, refusal: str = "", unsaved: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """What the template needs; a blank row stands at the end."""
    if not typed or not typed[-1].blank:
        free = max((int(one.key) for one in typed if one.key.isdigit()), default=-1) + 1
        typed = [*typed, Typed(str(free), "", dict.fromkeys((one.key for one in chosen), ""))]
    rules = checked.rules or RuleSet.parse(found.body)
    return {
        "set": found,
        "url": f"{BASE}/{found.version}",
        "columns": chosen,
        "groups": _groups(chosen),
        "more": [one for one in columns() if one not in chosen],
        "typed": typed,
        "first": window[0],
        "count": window[1],
        "total": len(found.body["rules"]),
        "page": PAGE,
        "faults": _by_row(checked.faults),
        "summary": [(fault, _label(fault), _place(typed, fault.row, window[0])) for fault in checked.faults],
        "readings": {key: telling.reading(row, words) for key, row in checked.rows.items()},
        "words": listed(words, (one.key for one in chosen)),
        "effects": effect_list(),
        "results": checks.examples(rules),
        "refusal": refusal,
        "unsaved": unsaved,
    }


def _groups(chosen: tuple[Column, ...]) -> list[tuple[str, int]]:
    sides = [one.side for one in chosen]
    return [(tr(word), sides.count(side)) for side, word in GROUPS.items() if side in sides]


def _by_row(faults: list[Fault]) -> Mapping[str, Mapping[str, Fault]]:
    found: dict[str, dict[str, Fault]] = {}
    for fault in faults:
        found.setdefault(fault.row, {}).setdefault(fault.column, fault)
    return found


def _label(fault: Fault) -> str:
    found = column(fault.column)
    return found.label if found else ""


def _place(typed: list[Typed], key: str, first: int) -> int:
    """The number of the row as the page shows it; 0 for none."""
    return next((n for n, one in enumerate(typed, first + 1) if one.key == key), 0)


def check_typed(request: Request) -> dict[str, Any]:
    """POST /rules/{version}/check: what `edit` would say to this form, as JSON; nothing is saved."""
    session = request.db
    found = actions.find(session, version_of(request))
    words = vocabulary(session, found.body["rules"])
    first, count, _chosen, typed = _sent(request, found)
    checked = check(found.body, first, count, typed, words)
    results = checks.examples(checked.rules) if checked.rules else ()
    return {
        "faults": [
            {"row": one.row, "column": one.column, "label": _label(one), "message": one.message,
             "suggestion": one.suggestion}
            for one in checked.faults
        ],
        "readings": {key: str(telling.reading(row, words)) for key, row in checked.rows.items()},
        "examples": render("rulesets/strip.jinja2", {"results": results}, request=request),
        "sound": checked.rules is not None,
        "said": _said(checked, results),
    }  # fmt: skip


def _said(checked: Checked, results: Any) -> str:
    """The state of the sheet in one sentence, read out when it changes."""
    if checked.faults:
        return ntr("One cell needs a change", "${n} cells need a change", len(checked.faults))
    failing = sum(not one.passed for one in results)
    if failing:
        return ntr("One example fails", "${n} examples fail", failing)
    return tr(_("Everything can be read"))


PAGES = [
    ("rules_edit", f"{BASE}/{VERSION}/edit", edit, "GET POST", "rules.edit", "rulesets/edit.jinja2"),
    ("rules_check", f"{BASE}/{VERSION}/check", check_typed, "POST", "rules.edit", "json"),
]  # fmt: skip


def includeme(config: Configurator) -> None:
    """Routes and views."""
    add_pages(config, "rulesets/edit.jinja2", PAGES)
