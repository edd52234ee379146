"""The columns of a rule table, from the engine's own table of axes: what a row may test, its effect, its days."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from portal.web.i18n import _, tr
from rules import FORMS, SCHEMAS, WHEN, WHO

# Words for axes, in the order of reading; an axis without one shows its name in the rule set.
LABELS: Mapping[str, Any] = {
    "when.country": _("Country"),
    "when.subdivision": _("Region"),
    "when.postal_prefix": _("Postcode begins"),
    "when.product_lines": _("Product line"),
    "when.language": _("Language"),
    "when.industry": _("Industry"),
    "when.source": _("Source"),
    "when.amount": _("Worth"),
    "when.inside": _("Inside the area"),
    "when.segment": _("Segment"),
    "when.named_account": _("Named account"),
    "when.relationship": _("Has a partner already"),
    "when.open_now": _("We are open"),
    "when.custom": _("Lead's own fields"),
    "who.level": _("Level"),
    "who.certification": _("Certificate"),
    "who.country": _("Partner's country"),
    "who.certified_at": _("Certificate and its level"),
    "who.authorised": _("May sell"),
    "who.tags": _("Tag"),
    "who.capacity": _("Free places"),
    "who.distance": _("Distance, km"),
    "who.open_now": _("Is open"),
    "who.performance": _("Figures"),
    "who.distributor_of": _("Distributor of"),
    "who.custom": _("Partner's own fields"),
    "effect": _("Effect"),
    "valid_from": _("From"),
    "valid_to": _("To"),
    "note": _("Note"),
    "id": _("Name"),
}
GROUPS: Mapping[str, Any] = {
    "when": _("When the lead is"),
    "who": _("the partner"),
    "then": _("and then"),
}
REST = ("effect", "valid_from", "valid_to", "note", "id")
# Shown before any row uses them: the first axes of each side.
FIRST = {"when": 4, "who": 2}


@dataclass(frozen=True, slots=True)
class Column:
    """One column. key: "when.country" or a field of the row; kind: of test (rules/cells.py), effect, day, text, name;
    writing: how its cells are written (plain, money, keyed, custom)."""

    key: str
    kind: str
    writing: str = "plain"

    @property
    def side(self) -> str:
        """when, who or then."""
        return self.key.partition(".")[0] if "." in self.key else "then"

    @property
    def axis(self) -> str:
        """The axis within its side."""
        return self.key.partition(".")[2]

    @property
    def label(self) -> str:
        """Its head."""
        said = LABELS.get(self.key)
        return tr(said) if said else self.axis.replace("_", " ").capitalize()

    def of(self, row: Mapping[str, Any]) -> Any:
        """The row's value; None when it has none."""
        return row.get(self.side, {}).get(self.axis) if self.axis else row.get(self.key)


@cache
def columns() -> tuple[Column, ...]:
    """Every column there is, in the order of the axes."""
    found = []
    for side, axes in (("when", WHEN), ("who", WHO)):
        for axis in axes.values():
            found.append(Column(f"{side}.{axis.name}", axis.kind, axis.writing))
    kinds = {"effect": "effect", "valid_from": "day", "valid_to": "day", "note": "text", "id": "name"}
    return (*found, *(Column(key, kinds[key]) for key in REST))


def column(key: str) -> Column | None:
    """A column by key; None for none."""
    return next((one for one in columns() if one.key == key), None)


def shown(rows: Iterable[Mapping[str, Any]], more: Iterable[str] = ()) -> tuple[Column, ...]:
    """The columns that these rows use, the first axes of each side, and those asked for."""
    used = {f"{side}.{axis}" for row in rows for side in ("when", "who") for axis in row.get(side, {})}
    used |= set(more)
    for side, first in FIRST.items():
        used |= {one.key for one in [c for c in columns() if c.side == side][:first]}
    return tuple(one for one in columns() if one.key in used or one.key in REST)


@cache
def effects() -> Mapping[str, Mapping[str, Any]]:
    """Kinds of effect and what each is given besides: name -> its schema."""
    row = SCHEMAS[FORMS[-1]]["properties"]["rules"]["items"]["properties"]
    found = {}
    for option in row["effect"]["oneOf"]:
        properties = option["properties"]
        found[str(properties["kind"]["const"])] = {
            name: given for name, given in properties.items() if name != "kind"
        }
    return found
