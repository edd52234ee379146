"""Runs an import of any kind: stores the file, streams its rows through a mapping, writes in chunks, returns the wrong.

Every chunk is a transaction of its own, so that a long file never holds the directory's version or the log's order
for more than a moment; running the same file again changes nothing, so a run that was cut off is simply run again.
"""

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from sqlalchemy import func, insert, update
from sqlalchemy.engine import Engine

from integrations.tables import write_wrong_rows
from portal.db import PortalSession, new_id, transaction
from portal.errors import Fault, Invalid
from portal.events.log import record
from portal.events.work import enqueue
from portal.imports.models import Import
from portal.security.context import Acting
from portal.sharing.models import Text
from portal.web.limits import in_mb

CHUNK = 200
RAW_KEPT = timedelta(days=30)
MAX_FILE = 200 * 1024 * 1024

Result = Literal["new", "changed", "same", "wrong"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one row of the file (`row` counts from 1); a wrong one says why."""

    row: int
    result: Result
    reason: str | None = None


class Importer(Protocol):
    """Writes records of one kind. One object per run, called chunk by chunk, each in a transaction of its own."""

    def apply(self, session: PortalSession, records: list[tuple[int, Any]]) -> list[Outcome]:
        """Write (row number, record) pairs and answer one outcome each, in the same order."""
        ...


@runtime_checkable
class Prepared(Protocol):
    """An importer that wants to see the mapping before the first chunk."""

    def prepare(self, mapping: Any) -> None:
        """Take from the mapping what is needed."""
        ...


# kind -> the importer's class, imported when it is used. Other rooms add their line here.
KINDS: dict[str, str] = {
    "partners": "portal.partners.importing:PartnerImport",
    "leads": "portal.leads.importing:LeadImport",
}
# kind -> function (session) -> Iterator[Mapping]: one mapping per row, all with the same keys.
EXPORTS: dict[str, str] = {
    "partners": "portal.partners.queries:export",
    "leads": "portal.leads.exporting:export",
    "decisions": "portal.leads.exporting:decisions",
}


@dataclass(slots=True)
class Report:
    """Counts of a run; `duplicates` of the new ones wait for a person.

    `wrong_rows` are (original columns, reason) in the order of the file.
    """

    import_id: int
    new: int = 0
    changed: int = 0
    same: int = 0
    wrong: int = 0
    duplicates: int = 0
    wrong_rows: list[tuple[Mapping[str, Any], str]] = field(default_factory=list)

    @property
    def done(self) -> int:
        """Rows looked at so far."""
        return self.new + self.changed + self.same + self.wrong


@dataclass(frozen=True, slots=True)
class Source:
    """A file to import: its name, its bytes, and what reads and maps its rows.

    `rows` yields (row number, original columns); `apply` makes a record of one, raises ValueError with the reason, or
    answers None for a row that the mapping leaves out. `declared` is the mapping, for importers that look at it.
    """

    kind: str
    mapping: str
    file_name: str
    content: bytes
    rows: Callable[[], Iterable[tuple[int, Mapping[str, Any]]]]
    apply: Callable[[Mapping[str, Any]], Any]
    declared: Any = None


def found(registry: Mapping[str, str], kind: str) -> Any:
    """What the registry names for `kind`; Invalid lists the kinds there are."""
    if kind not in registry:
        raise Invalid(Fault("kind", kind, f"choose one of: {', '.join(sorted(registry))}"))
    module, _, attribute = registry[kind].partition(":")
    return getattr(import_module(module), attribute)


def run(
    engine: Engine,
    source: Source,
    vendor_id: int,
    *,
    person_id: int | None = None,
    progress: Callable[[Report], None] = lambda report: None,
    options: Mapping[str, Any] | None = None,
) -> Report:
    """Import `source` for the vendor, on the worker login; the report. A failure is recorded before it is raised.

    `options` are handed to the importer (leads: routed=False).
    """
    acting = Acting(kind="vendor", company_id=vendor_id, person_id=person_id)
    with transaction(engine, acting) as session:
        import_id = begin(session, source)
    return run_stored(engine, source, acting, import_id, progress=progress, options=options)


def run_stored(
    engine: Engine,
    source: Source,
    acting: Acting,
    import_id: int,
    *,
    progress: Callable[[Report], None] = lambda report: None,
    options: Mapping[str, Any] | None = None,
) -> Report:
    """Import `source` under the run `import_id`, whose file is stored; its counts start again from nothing."""
    importer: Importer = found(KINDS, source.kind)(**(options or {}))
    if isinstance(importer, Prepared) and source.declared is not None:
        importer.prepare(source.declared)
    report = Report(import_id)
    with transaction(engine, acting) as session:
        reset(session, import_id)
    try:
        for chunk in chunks(source.rows(), CHUNK):
            part = Report(import_id)
            with transaction(engine, acting) as session:
                outcomes = apply_chunk(session, importer, source, chunk)
                rows = dict(chunk)
                for outcome in outcomes:
                    count(part, outcome, rows[outcome.row])
                save_counts(session, part)
            add(report, part)
            report.duplicates = getattr(importer, "duplicates", 0)
            progress(report)
    except BaseException:
        with transaction(engine, acting) as session:
            finish(session, report, "failed")
        raise
    with transaction(engine, acting) as session:
        finish(session, report, "done")
    return report


def accept_upload(session: PortalSession, kind: str, mapping: str, file_name: str, content: bytes) -> int:
    """Store an uploaded file and have a worker import it. The run's id."""
    found(KINDS, kind)
    import_id = begin(session, Source(kind, mapping, file_name, content, list, dict))
    enqueue(session, "imports.run", {"import_id": str(import_id)})
    return import_id


def begin(session: PortalSession, source: Source) -> int:
    """The row of this run, with the raw file (kept 30 days). Its id."""
    ctx = session.context
    if len(source.content) > MAX_FILE:
        message = f"has {in_mb(len(source.content))} MB; split it into files of at most {in_mb(MAX_FILE)} MB"
        raise Invalid(Fault("file", source.file_name, message))
    import_id = new_id()
    row = {
        "id": import_id,
        "realm_id": ctx.realm_id,
        "company_id": ctx.company_id,
        "kind": source.kind,
        "mapping": source.mapping,
        "file_name": source.file_name,
        "sha256": hashlib.sha256(source.content).digest(),
        "state": "running",
        "person_id": ctx.person_id,
        "started_at": ctx.now,
    }
    session.execute(insert(Import), [row])
    _keep(session, import_id, "import.file", source.content, "application/octet-stream")
    return import_id


def apply_chunk(
    session: PortalSession,
    importer: Importer,
    source: Source,
    chunk: Sequence[tuple[int, Mapping[str, Any]]],
) -> list[Outcome]:
    """Map and write some rows in this transaction; one outcome for each that is not left out, in their order."""
    good: list[tuple[int, Any]] = []
    made: dict[int, Outcome] = {}
    for number, row in chunk:
        try:
            record = source.apply(row)
        except ValueError as error:
            made[number] = Outcome(number, "wrong", str(error))
        else:
            if record is not None:
                good.append((number, record))
    if good:
        made |= {outcome.row: outcome for outcome in importer.apply(session, good)}
    return [made[number] for number, _ in chunk if number in made]


def count(report: Report, outcome: Outcome, row: Mapping[str, Any]) -> None:
    """Add one outcome to `report`."""
    setattr(report, outcome.result, getattr(report, outcome.result) + 1)
    if outcome.result == "wrong":
        report.wrong_rows.append((row, f"row {outcome.row}: {outcome.reason}"))


def add(report: Report, part: Report) -> None:
    """Add the counts of a committed chunk."""
    for name in ("new", "changed", "same", "wrong"):
        setattr(report, name, getattr(report, name) + getattr(part, name))
    report.wrong_rows += part.wrong_rows


def reset(session: PortalSession, import_id: int) -> None:
    """Counts from nothing, for a first or a repeated attempt."""
    zero = dict.fromkeys(("new", "changed", "same", "wrong"), 0)
    session.execute(
        update(Import)
        .where(Import.id == import_id)
        .values(state="running", finished_at=None, **zero)
        .execution_options(synchronize_session=False)
    )


def save_counts(session: PortalSession, part: Report) -> None:
    """Add a chunk's counts to the stored ones."""
    session.execute(
        update(Import)
        .where(Import.id == part.import_id)
        .values(
            {
                name: getattr(Import, name) + getattr(part, name)
                for name in ("new", "changed", "same", "wrong")
            }
        )
        .execution_options(synchronize_session=False)
    )


def finish(session: PortalSession, report: Report, state: str) -> None:
    """Close the run, keep its wrong rows as a file, tell the vendor."""
    ctx = session.context
    session.execute(
        update(Import)
        .where(Import.id == report.import_id)
        .values(state=state, finished_at=func.greatest(ctx.now, Import.started_at))
        .execution_options(synchronize_session=False)
    )
    if report.wrong_rows:
        _keep(session, report.import_id, "import.wrong", wrong_file(report.wrong_rows), "text/csv")
    counts = {name: getattr(report, name) for name in ("new", "changed", "same", "wrong")}
    record(session, f"import.{state}", ("import", report.import_id), [ctx.company_id], counts)


def wrong_file(rows: Sequence[tuple[Mapping[str, Any], str]]) -> bytes:
    """The wrong rows as CSV (UTF-8 with BOM): the columns as they stood in the file, then the reason."""
    out = io.StringIO(newline="")
    write_wrong_rows(out, rows)
    return out.getvalue().encode("utf-8-sig")


def write_wrong(report: Report, path: Path) -> Path | None:
    """Write the wrong rows to `path`; None when there are none."""
    if not report.wrong_rows:
        return None
    path.write_bytes(wrong_file(report.wrong_rows))
    return path


def chunks(rows: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """`rows` in lists of at most `size`."""
    iterator = iter(rows)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _keep(session: PortalSession, import_id: int, kind: str, content: bytes, content_type: str) -> None:
    ctx = session.context
    row = {
        "id": new_id(),
        "realm_id": ctx.realm_id,
        "company_id": ctx.company_id,
        "kind": kind,
        "subject_type": "import",
        "subject_id": import_id,
        "person_id": ctx.person_id,
        "body": None,
        "blob": content,
        "content_type": content_type,
        "audience": [ctx.company_id],
        "created_at": ctx.now,
        "expires_at": ctx.now + RAW_KEPT,
    }
    session.execute(insert(Text), [row])
