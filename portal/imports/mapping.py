"""A mapping: data in YAML that says how a row of somebody's file becomes a record of ours.

    name, kind        found as mappings/<name>_<kind>.yaml; kind is partners or leads
    title, about      for people
    format            {as: csv | json | auto, encoding, delimiter}
    key               the external key: one template or several, the first whose columns are all filled counts
    unless            rows to leave out: [{column: status, is: [closed]}]
    columns           path in the record -> how it is read (Column)
    split             one cell that holds several things -> items of lists in the record (Split)
    declare           path -> what the file does not say
    derive            path -> a template over the finished record
    tables            name -> {file: naics.tsv, otherwise: "Line of business {value}"}, used as a template filter
    catalogue         names of codes the file uses: programmes, levels

Paths are fields of PartnerRecord or LeadRecord (records.py) joined by dots, a number for an item of a list.
Whatever is wrong in a mapping is one MappingError that lists path, value and cure; later keys may be added, none
changes its meaning.
"""

import difflib
import re
import typing
from collections.abc import Mapping as Row
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import Field, PrivateAttr, ValidationError, field_validator, model_validator

from integrations.tables import EXTRA
from portal.imports.cells import Cell, Note, Wrong
from portal.imports.declared import expanded
from portal.imports.grammar import (
    FOLDER,
    Catalogue,
    Column,
    FileFormat,
    Make,
    Part,
    Split,
    Table,
    Unless,
    filled,
)
from portal.imports.records import RECORDS
from portal.imports.templating import Filter, Template, value_at

Kind = Literal["partners", "leads"]
Path_ = str


class MappingError(ValueError):
    """A mapping that cannot be used; `problems` are (path, value, cure)."""

    def __init__(self, name: str, problems: list[tuple[str, object, str]]) -> None:
        lines = [f"{path}: {value!r} cannot be used. {cure}" for path, value, cure in problems]
        super().__init__(f"Mapping {name}: " + "; ".join(lines))
        self.name, self.problems = name, problems


@dataclass(frozen=True, slots=True)
class FieldError:
    """A cell that makes its row wrong: the column as the file calls it, what stands there, why not, and the cure."""

    field: str
    value: str
    message: str
    cure: str

    def __str__(self) -> str:
        shown = f'"{self.value}" ' if self.value else ""
        return f"{self.field}: {shown}{self.message}. {self.cure}"


@dataclass(slots=True)
class Mapped:
    """A row after mapping. With `errors` the record is not to be stored; `ignored` says which rule left it out."""

    record: dict[str, Any]
    notes: list[Note] = field(default_factory=list)
    errors: list[FieldError] = field(default_factory=list)
    ignored: str | None = None

    @property
    def reason(self) -> str:
        """All errors in one line, for the file of wrong rows."""
        return " ".join(str(error) for error in self.errors)


class Mapping(Part):
    """See the top of this file."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")
    kind: Kind
    title: str
    about: str = ""
    format: FileFormat = FileFormat()  # type: ignore[call-arg]
    key: tuple[str, ...] = Field(min_length=1)
    unless: tuple[Unless, ...] = ()
    columns: dict[Path_, Column] = Field(min_length=1)
    split: tuple[Split, ...] = ()
    declare: dict[Path_, Any] = Field(default_factory=dict)
    derive: dict[Path_, str] = Field(default_factory=dict)
    tables: dict[str, Table] = Field(default_factory=dict)
    catalogue: Catalogue = Catalogue()
    _filters: dict[str, Filter] = PrivateAttr(default_factory=dict)
    _keys: list[Template] = PrivateAttr(default_factory=list)
    _derived: list[tuple[str, Template]] = PrivateAttr(default_factory=list)

    @classmethod
    def load(cls, name: str, kind: str, folder: Path = FOLDER) -> Self:
        """The mapping of that name and kind; MappingError when there is none or it cannot be used."""
        path = folder / f"{name}_{kind}.yaml"
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or not path.exists():
            known = sorted(p.stem.removesuffix(f"_{kind}") for p in folder.glob(f"*_{kind}.yaml"))
            cure = f"Use one of: {', '.join(known)}." if known else f"There are no mappings for {kind} yet."
            raise MappingError(f"{name}_{kind}", [("name", name, cure)])
        return cls.parse(path.read_text("utf-8"), path.stem)

    @staticmethod
    def available(kind: str | None = None, folder: Path = FOLDER) -> list[tuple[str, str, str]]:
        """(kind, name, title) of the mappings there are, sorted; those of one kind when it is given."""
        found = []
        for path in sorted(folder.glob(f"*_{kind or '*'}.yaml")):
            given = yaml.safe_load(path.read_text("utf-8"))
            found.append((given["kind"], given["name"], given["title"]))
        return found

    @classmethod
    def parse(cls, text: str, name: str = "given") -> Self:
        """A mapping from YAML text; MappingError lists all that is wrong with it."""
        try:
            return cls.model_validate(yaml.safe_load(text))
        except yaml.YAMLError as error:
            raise MappingError(name, [("file", str(error).splitlines()[0], "Write it as YAML.")]) from error
        except ValidationError as error:
            raise MappingError(name, [_problem(one) for one in error.errors()]) from error

    @field_validator("key", mode="before")
    @classmethod
    def _keys_too(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check(self) -> Self:
        record = RECORDS[self.kind]
        targets = [*self.columns, *self.declare, *self.derive]
        targets += [
            f"{make.to}.0.{name}" for split in self.split for make in split.make for name in make.values
        ]
        for path in targets:
            _check_path(record, path)
        self._filters.update({name: table.filter() for name, table in self.tables.items()})
        self._keys.extend(Template(text, self._filters) for text in self.key)
        self._derived.extend((path, Template(text, self._filters)) for path, text in self.derive.items())
        for path, value in self.declare.items():
            self.declare[path] = expanded(path, value)
        return self

    @cached_property
    def needed(self) -> tuple[str, ...]:
        """Columns without which every row would be wrong, for a check of the header."""
        lists = [column.from_ for column in self.columns.values() if column.when_empty == "error"]
        single = [names[0] for names in lists if len(names) == 1]
        return tuple(dict.fromkeys([*single, *(s.from_ for s in self.split if s.when_empty == "error")]))

    @cached_property
    def used(self) -> frozenset[str]:
        """All columns the mapping reads."""
        names = {name for column in self.columns.values() for name in column.from_}
        names |= {name for template in self._keys for name in template.fields}
        return frozenset(
            names | {split.from_ for split in self.split} | {rule.column for rule in self.unless}
        )

    def apply(self, row: Row[str, Any]) -> Mapped:
        """One row as a record, with what was guessed and what is wrong. Pure: the same row gives the same answer."""
        made = Mapped({})
        for rule in self.unless:
            if rule.meets(row):
                made.ignored = f"{rule.column}: {value_at(row, rule.column)}"
                return made
        if EXTRA in row:
            cure = "Put cells that hold the delimiter in quotes."
            made.errors.append(FieldError(EXTRA, str(row[EXTRA]), "stands beyond the last column", cure))
        for path, value in self.declare.items():
            _put(made.record, path, _copy(value))
        key = next((text for template in self._keys if (text := template.fill(row, all_needed=True))), None)
        if key is None:
            names = ", ".join(self._keys[0].fields)
            made.errors.append(
                FieldError(names, "", "is empty, and without a key it would come in twice", "Fill it.")
            )
        else:
            made.record["external_key"] = key
        for path, column in self.columns.items():
            _read(made, path, column, row)
        for split in self.split:
            self._split(made, split, row)
        for path, template in self._derived:
            if value_at(made.record, path) is None and (text := template.fill(made.record)):
                _put(made.record, path, text)
        return made

    def _split(self, made: Mapped, split: Split, row: Row[str, Any]) -> None:
        cell = value_at(row, split.from_)
        if not filled(cell):
            if split.when_empty == "error":
                made.errors.append(FieldError(split.from_, "", "is empty", "Fill it."))
            return
        pieces = re.split(f"[{re.escape(split.between)}]", str(cell))
        for piece in filter(None, (text.strip() for text in pieces)):
            match = split.pattern.fullmatch(piece)
            if match is None:
                cure = f"Write each part as {split.pattern.pattern}."
                made.errors.append(FieldError(split.from_, piece, "has another form than expected", cure))
                continue
            for make in split.make:
                self._make(made, make, {**row, **match.groupdict()})

    def _make(self, made: Mapped, make: Make, row: dict[str, Any]) -> None:
        codes: list[str | None] = [None]
        if make.each:
            codes = [
                code.strip()
                for code in re.split(f"[{re.escape(make.between)}]", str(row.get(make.each) or ""))
            ]
        items = made.record.setdefault(make.to, [])
        for code in codes:
            if code == "":
                continue
            part = Mapped({})
            for name, column in make.values.items():
                _read(part, name, column, {**row, "item": code})
            made.notes += part.notes
            made.errors += [error for error in part.errors if error not in made.errors]
            if make.name_from and (title := self._filters[make.name_from](str(part.record.get("code", "")))):
                part.record["name"] = title
            if part.record and part.record not in items:
                items.append(part.record)


def _read(made: Mapped, path: str, column: Column, row: Row[str, Any]) -> None:
    """Read one field into the record, or add a note or an error."""
    value = column.raw(row)
    name = column.from_[0]
    if value is None:
        if column.default is not None:
            _put(made.record, path, _copy(column.default))
        elif column.when_empty == "erase":
            made.record.setdefault("erase", []).append(path)
        elif column.when_empty == "error":
            made.errors.append(FieldError(name, "", "is empty", "Fill it."))
        return
    cell = Cell(name, row)
    try:
        value = _mapped_word(column, value)
        _put(made.record, path, column.parse(value, cell))
    except Wrong as wrong:
        if column.when_wrong == "leave_out":
            cell.note(value, f"{wrong.message}; left out", sure=False)
        else:
            error = FieldError(name, str(value), wrong.message, wrong.cure)
            # Two fields may read one column; its fault is told once.
            made.errors += [] if error in made.errors else [error]
    made.notes += [note for note in cell.notes if note not in made.notes]


def _mapped_word(column: Column, value: Any) -> Any:
    if column.map_ is None:
        return value
    words = {word.casefold(): ours for word, ours in column.map_.items()}
    word = str(value).strip().casefold()
    if word in words:
        return words[word]
    if column.otherwise == "error":
        raise Wrong("is not a word the mapping knows", f"Use one of: {', '.join(column.map_)}.")
    return value


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(one) for key, one in value.items()}
    return [_copy(one) for one in value] if isinstance(value, list) else value


def _put(record: dict[str, Any], path: str, value: Any) -> None:
    """Set a value at a path, making the dictionaries and lists on the way."""
    *parents, last = path.split(".")
    place: Any = record
    for part, following in zip(parents, [*parents[1:], last], strict=False):
        fresh: Any = [] if following.isdigit() else {}
        if isinstance(place, list):
            while len(place) <= int(part):
                place.append({})
            place = place[int(part)]
        else:
            place = place.setdefault(part, fresh)
    if isinstance(place, list):
        place[int(last) :] = [value]
    else:
        place[last] = value


def _check_path(record: Any, path: str) -> None:
    """ValueError with the nearest known field when a record has no such path."""
    here: Any = record
    for part in path.split("."):
        if typing.get_origin(here) is list:
            here = typing.get_args(here)[0]
            if part.isdigit():
                continue
            raise ValueError(f"{path}: write the number of the item, such as 0, before {part!r}")
        fields = typing.get_type_hints(here) if isinstance(here, type) and hasattr(here, "__total__") else {}
        if part not in fields:
            near = difflib.get_close_matches(part, fields, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are: {', '.join(fields) or 'none'}"
            raise ValueError(f"{path}: there is no field {part!r}; {hint}")
        here = fields[part]


def _problem(error: Any) -> tuple[str, object, str]:
    path = ".".join(str(part) for part in error["loc"]) or "mapping"
    value = (
        error["input"]
        if isinstance(error["input"], str | int | float | None)
        else type(error["input"]).__name__
    )
    if error["type"] == "extra_forbidden":
        return (
            path,
            path.rpartition(".")[2],
            "There is no such key; see the top of portal/imports/mapping.py.",
        )
    message = error["msg"].removeprefix("Value error, ")
    return path, value, message[:1].upper() + message[1:] + "."
