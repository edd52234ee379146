"""Rows in and out as files: CSV and XLSX; of a file with some bad rows the good ones are taken and the bad ones returned."""

import io
import json
from collections.abc import Mapping
from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response

from integrations.tables import EXTRA, Limits, TableError, table, write_sheet, write_wrong_rows
from integrations.tables.sheets import is_sheet, sheet_rows
from portal.companies.pages import add_pages
from portal.errors import Conflict, Fault, Invalid, NotFound
from portal.routing.models import RuleSetRow
from portal.routing.rulesets import actions
from portal.routing.rulesets.cells import written
from portal.routing.rulesets.columns import Column, columns, shown
from portal.routing.rulesets.sheet import Checked, Typed, check
from portal.routing.rulesets.views import BASE, VERSION, revision_of, version_of
from portal.routing.rulesets.vocabulary import vocabulary
from portal.web.downloads import SANDBOX
from portal.web.i18n import _, tr
from portal.web.tables import EXPORTS

LIMITS = Limits(size=8 * 1024 * 1024, rows=6_000, columns=200, cell=30_000)
MOST_WRONG = 2_000


def heads(chosen: tuple[Column, ...]) -> dict[str, str]:
    """Column key -> its head in a file: the label, or the key where two are called alike."""
    labels = [one.label for one in chosen]
    return {one.key: one.label if labels.count(one.label) == 1 else one.key for one in chosen}


def download(request: Request) -> Response:
    """GET /rules/{version}/rows.csv or .xlsx: codes rather than names, numbers as such."""
    kind = str(request.matchdict["format"])
    if kind not in EXPORTS:
        raise NotFound()
    found = actions.find(request.db, version_of(request))
    rows = found.body["rules"]
    chosen = shown(rows)
    file = io.BytesIO()
    write_sheet(
        file,
        kind,
        list(heads(chosen).values()),
        ([written(one, one.of(row)) for one in chosen] for row in rows),
    )
    return _file(file.getvalue(), kind, f"rules-{found.version}.{kind}")


def _file(content: bytes, kind: str, name: str) -> Response:
    response = Response(content, content_type=EXPORTS[kind])
    if kind == "csv":
        response.charset = "utf-8"
    response.headers["Content-Security-Policy"] = SANDBOX
    response.content_disposition = f'attachment; filename="{name}"'
    return response


def upload(request: Request) -> Any:
    """GET: the form. POST: take the rows of a file into a draft, in place of its rows or after them."""
    session = request.db
    found = actions.find(session, version_of(request))
    if found.state != "draft":
        raise Conflict(tr(actions.WRONG_STATE[found.state]), "state")
    page: dict[str, Any] = {
        "set": found,
        "url": f"{BASE}/{found.version}",
        "refusal": "",
        "taken": None,
        "wrong": [],
    }
    if request.method == "GET":
        return page
    try:
        with session.begin_nested():
            taken, wrong = _taken(request, found)
    except (Invalid, Conflict) as error:
        request.tm.doom()
        request.response.status_int = 422 if isinstance(error, Invalid) else 409
        return page | {"refusal": error.faults[0].message if isinstance(error, Invalid) else error.message}
    page["set"] = actions.find(session, found.version)
    return page | {"taken": taken, "wrong": wrong, "packed": json.dumps(wrong, ensure_ascii=False)}


def _taken(request: Request, found: RuleSetRow) -> tuple[int, list[tuple[dict[str, str], str]]]:
    """How many rows of the file were saved, and the others with what is wrong."""
    given = request.POST.get("file")
    if not hasattr(given, "file"):
        raise Invalid(Fault("file", None, tr(_("Choose a file.")), "missing"))
    rows = _read(given.file.read(LIMITS.size + 1))
    known = _by_head()
    strange = [
        head for head in next(iter(rows.values()), {}) if head != "reason" and head.casefold() not in known
    ]
    if strange:
        names = ", ".join(one.label for one in columns())
        values = {"head": strange[0], "names": names}
        raise Invalid(
            Fault(
                "file",
                strange[0],
                tr(_("There is no column “${head}”. Known are: ${names}", mapping=values)),
                "column",
            )
        )
    typed = [
        Typed(
            str(number),
            "",
            {known[head.casefold()]: str(text) for head, text in row.items() if head != "reason"},
        )
        for number, row in rows.items()
    ]
    instead = request.POST.get("mode") != "after"
    first, count = (0, len(found.body["rules"])) if instead else (len(found.body["rules"]), 0)
    words = vocabulary(request.db, found.body["rules"])
    wrong: dict[str, str] = {}
    while True:
        good = [one for one in typed if one.key not in wrong]
        checked = check(found.body, first, count, good, words)
        if checked.rules is not None:
            break
        reasons = _reasons(checked)
        if "" in reasons or not reasons:
            raise Invalid(Fault("file", None, reasons.get("", tr(_("The file cannot be read."))), "file"))
        wrong |= reasons
    if good:
        actions.save(request.db, found.version, revision_of(request), checked.rules)
    return len([one for one in good if not one.blank]), [
        ({head: str(text) for head, text in rows[int(key)].items()}, why)
        for key, why in list(wrong.items())[:MOST_WRONG]
    ]


def _read(content: bytes) -> Mapping[int, Mapping[str, Any]]:
    if len(content) > LIMITS.size:
        raise Invalid(Fault("file", None, tr(_("The file is too large.")), "size"))
    try:
        rows = dict(sheet_rows(content, LIMITS) if is_sheet(content) else table(content, limits=LIMITS))
    except TableError as error:
        raise Invalid(Fault("file", None, f"{error.message} {error.cure}", "file")) from error
    if not rows:
        raise Invalid(Fault("file", None, tr(_("The file has no rows.")), "empty"))
    return {n: {head: text for head, text in row.items() if head != EXTRA or text} for n, row in rows.items()}


def _by_head() -> dict[str, str]:
    """Heads that a file may have -> column key: keys, and labels in the reader's language that mean one column."""
    named = {head.casefold(): key for key, head in heads(columns()).items()}
    return {one.key: one.key for one in columns()} | named


def _reasons(checked: Checked) -> dict[str, str]:
    """Row -> everything that is wrong with it."""
    found: dict[str, list[str]] = {}
    labels = {one.key: one.label for one in columns()}
    for fault in checked.faults:
        label = labels.get(fault.column, "")
        found.setdefault(fault.row, []).append(f"{label}: {fault.message}" if label else fault.message)
    return {row: "; ".join(reasons) for row, reasons in found.items()}


def wrong_rows(request: Request) -> Response:
    """POST: the bad rows of the file just read, as a file to be mended and given again."""
    try:
        rows = [(dict(row), str(why)) for row, why in json.loads(request.POST.get("packed", ""))]
    except (ValueError, TypeError) as error:
        raise Invalid(Fault("packed", None, tr(_("Give the file once more.")), "packed")) from error
    out = io.StringIO(newline="")
    write_wrong_rows(out, rows)
    return _file(b"\xef\xbb\xbf" + out.getvalue().encode(), "csv", "wrong-rows.csv")


FILE = "rulesets/file.jinja2"
PAGES = [
    ("rules_file", f"{BASE}/{VERSION}/rows.{{format}}", download, "GET", "rules.read", FILE),
    ("rules_upload", f"{BASE}/{VERSION}/file", upload, "GET POST", "rules.edit", FILE),
    ("rules_wrong", f"{BASE}/wrong", wrong_rows, "POST", "rules.edit", FILE),
]


def includeme(config: Configurator) -> None:
    """Routes and views."""
    add_pages(config, FILE, PAGES)
