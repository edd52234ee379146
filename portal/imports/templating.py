"""Short lines made of fields: "{product_lines.0|naics}, {place.city}".

A field in braces is a column of the row or a path into a record; after | come filters: a table of the mapping, or key,
lower, upper, title, sentence. A field without a value leaves no gap: ", " and the like around it go with it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from integrations.geo import folded
from portal.imports.cells import CASES

_FIELD = re.compile(r"\{([^{}|]+)((?:\|[a-z_]+)*)\}")
_EDGES = " ,;:-/·"
Filter = Callable[[str], str]
# `key` makes a stable key of a name: "LAVAN ENTERPRISES, INC." is lavan-enterprises-inc.
FILTERS: dict[str, Filter] = {
    "key": lambda text: folded(text).replace(" ", "-"),
    **{name: CASES[name] for name in ("lower", "upper", "title", "sentence")},
}


def value_at(source: Any, path: str) -> Any:
    """The value at a path such as geocoded_location.coordinates.1; None where there is none.

    A column whose name holds dots is found by its whole name first.
    """
    if isinstance(source, Mapping) and path in source:
        return source[path]
    for part in path.split("."):
        if isinstance(source, Mapping):
            source = source.get(part)
        elif isinstance(source, Sequence) and not isinstance(source, str):
            source = source[int(part)] if part.isdigit() and int(part) < len(source) else None
        else:
            return None
    return source


class Template:
    """A compiled line; `fields` are the names it reads."""

    def __init__(self, text: str, tables: Mapping[str, Filter]) -> None:
        self.text = text
        self.parts: list[tuple[str, str, list[Filter]]] = []
        position = 0
        for match in _FIELD.finditer(text):
            names = match[2].split("|")[1:]
            unknown = [name for name in names if name not in FILTERS and name not in tables]
            if unknown:
                known = ", ".join(sorted([*FILTERS, *tables]))
                raise ValueError(f"there is no filter {unknown[0]!r}; use one of: {known}")
            filters = [tables.get(name) or FILTERS[name] for name in names]
            self.parts.append((text[position : match.start()], match[1].strip(), filters))
            position = match.end()
        self.tail = text[position:]
        if "{" in self.tail or any("{" in before for before, _, _ in self.parts):
            raise ValueError("a brace is not closed; write {column} or {column|filter}")
        if not self.parts:
            raise ValueError("it names no field; write {column}")
        self.fields = [name for _, name, _ in self.parts]

    def fill(self, source: Mapping[str, Any], *, all_needed: bool = False) -> str | None:
        """The line; None when no field has a value, or (`all_needed`) when one has none."""
        out = ""
        for before, name, filters in self.parts:
            value = value_at(source, name)
            text = "" if value is None else str(value).strip()
            if not text:
                if all_needed:
                    return None
                continue
            for apply in filters:
                text = apply(text)
            out += (before if out or before.strip(_EDGES) else before.lstrip(_EDGES)) + text
        return (out + self.tail).strip(_EDGES) or None if out else None
