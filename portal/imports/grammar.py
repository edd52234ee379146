"""The parts of a mapping: the file's form, columns, splits, rules that leave rows out, tables and names of codes."""

import re
from collections.abc import Mapping as Row
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from portal.imports.parsers import Parser, Text
from portal.imports.templating import Filter, value_at

FOLDER = Path(__file__).parent / "mappings"


class Part(BaseModel):
    """Base of the parts of a mapping: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FileFormat(Part):
    """How the file is written; what is not said is found out."""

    as_: Literal["auto", "csv", "json"] = Field("auto", alias="as")
    encoding: str | None = None
    delimiter: str | None = Field(None, min_length=1, max_length=1)


class Column(Part):
    """How one field is read. "zip" alone means {from: zip}.

    from: column, path into JSON, or several (the first filled one; all of them with `join`); parse: a parser's name
    or {as: name, options}; map: words of the file -> ours (checked before parsing); when_empty: keep what is known,
    erase it, or error; default: value for an empty cell; when_wrong: error, or leave_out with a note.
    """

    from_: tuple[str, ...] = Field(alias="from", min_length=1)
    join: str | None = None
    parse: Parser = Text()  # type: ignore[call-arg]
    map_: dict[str, Any] | None = Field(None, alias="map")
    otherwise: Literal["keep", "error"] = "keep"
    default: Any = None
    when_empty: Literal["keep", "erase", "error"] = "keep"
    when_wrong: Literal["error", "leave_out"] = "error"

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"from": value} if isinstance(value, str | list) else value

    @field_validator("from_", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("parse", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        return {"as": value} if isinstance(value, str) else value

    def raw(self, row: Row[str, Any]) -> Any:
        """The cell or cells, None when empty."""
        values = [value for name in self.from_ if filled(value := value_at(row, name))]
        if not values:
            return None
        return values[0] if self.join is None else self.join.join(str(value).strip() for value in values)


class Make(Part):
    """One item made of each piece of a split cell: `to` a list of the record, `values` its fields.

    With `each` (a group of the pattern) one item is made for each code in that group, which `values` call "item".
    """

    to: str
    values: dict[str, Column]
    each: str | None = None
    between: str = Field("/", min_length=1)
    name_from: str | None = None


class Split(Part):
    """One cell into many items: cut at `between`, each piece matched by `pattern`, whose named groups act as columns."""

    from_: str = Field(alias="from")
    between: str = Field(",", min_length=1)
    pattern: re.Pattern[str]
    make: tuple[Make, ...] = Field(min_length=1)
    when_empty: Literal["keep", "error"] = "keep"


class Unless(Part):
    """A row is left out when the column holds one of `is` (case does not count), matches, or is empty."""

    column: str
    is_: tuple[str, ...] | None = Field(None, alias="is")
    matches: re.Pattern[str] | None = None
    empty: bool = False

    def meets(self, row: Row[str, Any]) -> bool:
        """True when the row is to be left out."""
        value = value_at(row, self.column)
        text = str(value).strip() if filled(value) else ""
        if not text:
            return self.empty
        if self.is_ and text.casefold() in {word.casefold() for word in self.is_}:
            return True
        return bool(self.matches and self.matches.fullmatch(text))


class Table(Part):
    """A list of code TAB title beside the mappings; `otherwise` is what an unknown code is called."""

    file: str = Field(pattern=r"^[a-z0-9_-]+\.tsv$")
    otherwise: str = "{value}"

    def filter(self) -> Filter:
        """The function that gives a code's title."""
        titles: dict[str, str] = {}
        for line in (FOLDER / self.file).read_text("utf-8").splitlines():
            code, tab, title = line.partition("\t")
            if tab and not line.startswith("#"):
                titles[code] = title
        return lambda code: titles.get(code) or self.otherwise.replace("{value}", code)


class LevelName(Part):
    """A programme level: its name and its rank, the highest is the best."""

    name: str
    rank: int


class Catalogue(Part):
    """Names of the codes that records use, for importers to add where they are not known yet."""

    programmes: dict[str, str] = Field(default_factory=dict)
    levels: dict[str, LevelName] = Field(default_factory=dict)


def filled(value: Any) -> bool:
    """True when a cell holds something."""
    return (
        value is not None
        and value != []
        and value != {}
        and (not isinstance(value, str) or bool(value.strip()))
    )
