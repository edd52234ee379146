"""The one form component: fields come from a pydantic model, what was typed is kept, errors say what to do.

class NewPartner(BaseModel):
    name: str = Field(title=_("Name"), max_length=200)
    country: Literal["AT", "CZ"] = Field(title=_("Country"), json_schema_extra={"labels": {"AT": _("Austria"), ...}})

form = Form(NewPartner)
data = form.parse(request.POST)      # NewPartner or None; form.errors then hold the messages
"""

from __future__ import annotations

import enum
import re
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Generic, Literal, TypeVar, Union, get_args, get_origin

from babel import dates, numbers
from pydantic import BaseModel, EmailStr, ValidationError
from pydantic.fields import FieldInfo

from portal.web.i18n import _, localizer, tr

M = TypeVar("M", bound=BaseModel)
MANY = ("multiselect",)
MAX_LENGTH = 100_000
"""Longest text of one field; longer is refused before pydantic sees it."""


@dataclass(slots=True)
class FormField:
    """One field as the macro shows it. value: what was typed (text, list of texts for multiselect, bool for checkbox)."""

    name: str
    label: str
    help: str
    widget: str
    required: bool
    value: Any
    error: str = ""
    choices: Sequence[tuple[str, str]] = ()
    unit: str = ""
    attrs: dict[str, Any] = field(default_factory=dict)
    divider: str = ""
    """Where the label of a choice parts into its group and its own word: a long list is shown in groups."""
    suggest: Sequence[str] = ()
    """What a text field offers while somebody types; anything else may be typed too."""
    always: bool = False
    """A choice that begins with a value and cannot be none: neither marked as optional nor offered empty."""

    @property
    def id(self) -> str:
        """Element id; the error summary links to it."""
        return "f-" + self.name

    @property
    def grouped(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """(group, its choices): '' for those without one, which stand first, then each group in the order it appears."""
        found: dict[str, list[tuple[str, str]]] = {"": []}
        for value, label in self.choices:
            group, _divider, word = str(label).partition(self.divider) if self.divider else ("", "", label)
            found.setdefault(group if word else "", []).append((value, word or label))
        return [(group, choices) for group, choices in found.items() if choices]

    @property
    def described(self) -> str:
        """aria-describedby: help and error."""
        return " ".join([*([f"{self.id}-h"] if self.help else []), *([f"{self.id}-e"] if self.error else [])])


class Form(Generic[M]):
    """A model's fields with their values and errors.

    values: a model, mapping or object to start from. choices: name -> (value, label) pairs known only at run time; they
    turn the field into a select (or multiselect) and refuse any other value. only: the fields to show, in this order.
    """

    def __init__(
        self,
        model: type[M],
        values: Any = None,
        choices: Mapping[str, Iterable[tuple[Any, str]]] | None = None,
        only: Sequence[str] | None = None,
    ) -> None:
        self.model = model
        self.errors: dict[str, str] = {}
        self._choices = {k: tuple((str(v), w) for v, w in pairs) for k, pairs in (choices or {}).items()}
        self.fields = [self._field(name, info) for name, info in self._infos(only)]
        for f in self.fields:
            f.value = _shown(_start(values, f.name, model.model_fields[f.name]), f.widget)

    def _infos(self, only: Sequence[str] | None) -> list[tuple[str, FieldInfo]]:
        infos = self.model.model_fields
        return [(name, infos[name]) for name in (only or infos)]

    def _field(self, name: str, info: FieldInfo) -> FormField:
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        kind, optional, many = _unwrap(info.annotation)
        choices = self._choices.get(name) or _fixed_choices(kind, extra)
        attrs: dict[str, Any] = dict(extra.get("attrs", {}))  # type: ignore[call-overload]
        suggest: Any = extra.get("suggest")
        for rule in info.metadata:
            if getattr(rule, "max_length", None):
                attrs["maxlength"] = rule.max_length
        widget = str(extra.get("widget") or _widget(kind, many, bool(choices)))
        always = (
            widget in ("select", "radio") and not optional and not info.is_required() and bool(info.default)
        )
        return FormField(
            name, info.title or name.replace("_", " ").capitalize(), info.description or "", widget,
            info.is_required() and not optional and widget != "checkbox", "", "", choices, str(extra.get("unit", "")), attrs,
            str(extra.get("divider", "")), tuple(suggest()) if callable(suggest) else (), always,
        )  # fmt: skip

    def __getitem__(self, name: str) -> FormField:
        return next(f for f in self.fields if f.name == name)

    def parse(self, post: Any) -> M | None:
        """Take what was sent; the model when all is right, else None with `errors` filled. Keeps everything typed."""
        self.errors = {}
        raw: dict[str, Any] = {}
        for f in self.fields:
            f.error = ""
            f.value = _sent(post, f)
            if f.widget == "file":
                f.value, raw[f.name] = "", f.value
                continue
            value, problem = _clean(f)
            if problem:
                self.errors[f.name] = problem
            elif value is not None:
                raw[f.name] = value
            elif (
                not self.model.model_fields[f.name].is_required()
                or _unwrap(self.model.model_fields[f.name].annotation)[1]
            ):
                raw[f.name] = _emptied(self.model.model_fields[f.name])
        model = self._validate(raw)
        for f in self.fields:
            f.error = self.errors.get(f.name, "")
        return None if self.errors else model

    def _validate(self, raw: dict[str, Any]) -> M | None:
        try:
            return self.model.model_validate(raw)
        except ValidationError as failure:
            for problem in failure.errors():
                name = str(problem["loc"][0]) if problem["loc"] else ""
                self.errors.setdefault(name, self._said(name, problem))
        return None

    def _said(self, name: str, problem: Any) -> str:
        widget = next((f.widget for f in self.fields if f.name == name), "")
        if widget == "email" and problem["type"] in ("string_pattern_mismatch", "value_error"):
            return tr(_("Write it as name@company.example"))
        return words(problem)

    def fail(self, name: str, message: str) -> None:
        """Add an error that only the action could find ('' = of the whole form)."""
        self.errors[name] = tr(message)
        for f in self.fields:
            if f.name == name:
                f.error = self.errors[name]

    @property
    def summary(self) -> list[tuple[str, str, str]]:
        """(element id or '', label, message) in the order of the fields, those of the whole form first."""
        known = {f.name: f for f in self.fields}
        whole = [("", "", message) for name, message in self.errors.items() if name not in known]
        return whole + [(f.id, f.label, self.errors[f.name]) for f in self.fields if f.name in self.errors]


def words(problem: Any) -> str:
    """A pydantic error in plain words that say what to do."""
    kind, ctx = problem["type"], problem.get("ctx") or {}
    if kind in _WORDS:
        text = _WORDS[kind]
        return tr(_(text, mapping={k: str(v) for k, v in ctx.items()}))
    if kind in ("value_error", "assertion_error"):
        return tr(str(problem["msg"]).split(", ", 1)[-1])
    return str(problem["msg"])


_WORDS: dict[str, Any] = {
    "missing": _("Fill this in"),
    "string_too_long": _("Use at most ${max_length} characters"),
    "string_too_short": _("Use at least ${min_length} characters"),
    "too_short": _("Choose at least ${min_length}"),
    "string_pattern_mismatch": _("This does not have the form we can read"),
    "int_parsing": _("Write a whole number, for example 50"),
    "int_from_float": _("Write a whole number, for example 50"),
    "decimal_parsing": _("Write a number, for example 25000 or 25000.50"),
    "float_parsing": _("Write a number, for example 25000 or 0.5"),
    "decimal_max_places": _("Use at most ${decimal_places} decimals"),
    "decimal_max_digits": _("Use at most ${max_digits} digits"),
    "greater_than": _("Must be more than ${gt}"),
    "greater_than_equal": _("Must be at least ${ge}"),
    "less_than": _("Must be less than ${lt}"),
    "less_than_equal": _("Must be at most ${le}"),
    "date_from_datetime_parsing": _("Write the date as 2026-11-23"),
    "date_parsing": _("Write the date as 2026-11-23"),
    "literal_error": _("Choose one of the list"),
    "enum": _("Choose one of the list"),
    "bool_parsing": _("Tick it or leave it"),
}


def _unwrap(annotation: Any) -> tuple[Any, bool, bool]:
    """(inner type, may be None, is a list) of an annotation such as list[str] | None."""
    optional = False
    if get_origin(annotation) in (Union, types.UnionType):
        inner = [a for a in get_args(annotation) if a is not type(None)]
        optional = len(inner) < len(get_args(annotation))
        annotation = inner[0] if len(inner) == 1 else str
    many = get_origin(annotation) in (list, tuple, set, frozenset)
    if many:
        annotation = next((a for a in get_args(annotation) if a is not Ellipsis), str)
    return annotation, optional, many


def _fixed_choices(kind: Any, extra: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    labels = extra.get("labels", {})
    if get_origin(kind) is Literal:
        values = [str(v) for v in get_args(kind)]
    elif isinstance(kind, type) and issubclass(kind, enum.Enum):
        values = [str(m.value) for m in kind]
    else:
        return tuple((str(v), w) for v, w in labels.items())
    return tuple((v, labels.get(v, v.replace("_", " ").capitalize())) for v in values)


def _widget(kind: Any, many: bool, has_choices: bool) -> str:
    if many:
        return "multiselect" if has_choices else "textarea"
    if has_choices:
        return "select"
    by_type = {
        bool: "checkbox",
        int: "number",
        float: "number",
        Decimal: "number",
        date: "date",
        EmailStr: "email",
    }
    return by_type.get(kind, "text")


def _start(values: Any, name: str, info: FieldInfo) -> Any:
    """Value to begin with: from values, else the model's default."""
    if values is not None:
        found = values.get(name) if isinstance(values, Mapping) else getattr(values, name, None)
        if found is not None:
            return found
    return (
        None
        if info.is_required()
        else info.get_default(call_default_factory=not info.default_factory_takes_validated_data)
    )


def _shown(value: Any, widget: str) -> Any:
    """A value as its field holds it."""
    if widget == "checkbox":
        return bool(value)
    if widget in MANY:
        return [str(getattr(v, "value", v)) for v in value or ()]
    if value is None:
        return ""
    if isinstance(value, (list, tuple)):
        return "\n".join(str(v) for v in value)
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    return str(getattr(value, "value", value))


def _sent(post: Any, f: FormField) -> Any:
    if f.widget in MANY:
        found = post.getall(f.name) if hasattr(post, "getall") else post.get(f.name, [])
        return [found] if isinstance(found, str) else [str(v) for v in found]
    if f.widget == "checkbox":
        return post.get(f.name) not in (None, "", "0", "false")
    if f.widget == "file":
        return post.get(f.name)
    value = post.get(f.name)
    return value if isinstance(value, str) else ""


def _clean(f: FormField) -> tuple[Any, str]:
    """Typed text made ready for pydantic, or what is wrong with it. None means left empty."""
    value = f.value
    if f.widget == "checkbox":
        return value, ""
    allowed = {v for v, _label in f.choices}
    if f.widget in MANY:
        wrong = [v for v in value if allowed and v not in allowed]
        return value, tr(_("Choose one of the list")) if wrong else ""
    if "\x00" in value or len(value) > MAX_LENGTH:
        return None, tr(_("Remove the characters we cannot store, or shorten it"))
    text = value if f.widget in ("password", "textarea") else value.strip()
    if text == "":
        return (None, tr(_("Fill this in"))) if f.required else (None, "")
    if allowed and text not in allowed:
        return None, tr(_("Choose one of the list"))
    if f.widget == "money":
        return money(text)
    if f.widget == "number":
        # No grouping here: latitudes and longitudes often have three decimals.
        bare = text.replace("\u00a0", "").replace(" ", "")
        return bare.replace(",", ".") if comma_is_decimal() and "." not in bare else bare, ""
    if f.widget == "date" and _DOTTED.fullmatch(text):
        try:
            return read_day(text).isoformat(), ""
        except ValueError:
            return None, tr(_WORDS["date_parsing"])
    if f.widget == "textarea" and f.attrs.get("lines"):
        return [line.strip() for line in text.splitlines() if line.strip()], ""
    return text, ""


THOUSANDS = 3
SWAPPED = str.maketrans(",.", ".,")


def comma_is_decimal() -> bool:
    """Whether the reader's language writes 0,5 rather than 0.5."""
    return numbers.get_decimal_symbol(localizer().locale_name) == ","


_DOTTED = re.compile(r"(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4})")


def read_day(text: str) -> date:
    """A day written 2026-11-23 or 23.11.2026, which nobody reads in another way. Raises ValueError."""
    dotted = _DOTTED.fullmatch(text.strip())
    return (
        date(int(dotted[3]), int(dotted[2]), int(dotted[1])) if dotted else date.fromisoformat(text.strip())
    )


def written_day(day: date) -> str:
    """A day as `read_day` takes it and the reader writes it: 23.11.2026 where that is the custom, else 2026-11-23."""
    short = str(dates.get_date_format("short", locale=localizer().locale_name).pattern)
    return day.strftime("%d.%m.%Y") if short.startswith("d") and "." in short else day.isoformat()


def plain_number(text: str) -> str:
    """A number as typed, spaces and the reader's way of writing it taken out; what is none stays wrong."""
    bare = text
    for space in ("\u00a0", "\u202f", " ", "'", "’"):
        bare = bare.replace(space, "")
    if comma_is_decimal() and (
        "," in bare or len(bare.partition(".")[2]) == THOUSANDS or bare.count(".") > 1
    ):
        bare = bare.translate(SWAPPED)
    whole, point, rest = bare.partition(".")
    groups = whole.removeprefix("-").split(",")
    if len(groups) > 1 and all(len(g) == THOUSANDS for g in groups[1:]) and 1 <= len(groups[0]) <= THOUSANDS:
        whole = whole.replace(",", "")
    return whole + point + rest


def money(text: str) -> tuple[str | None, str]:
    """'84 000', "84'000", '84,000' and '84000.50' are read; '25.000,-' is not guessed at.

    Where the reader's language writes 25.000,50, that is read, and 25.000 is twenty-five thousand.
    """
    whole, _point, cents = plain_number(text).partition(".")
    if whole.isascii() and whole.isdigit() and len(cents) <= 3 and (cents.isdigit() or not cents):
        return f"{whole}.{cents}" if cents else whole, ""
    return None, tr(_("Write the amount as 25000 or 25,000.50"))


def _emptied(info: FieldInfo) -> Any:
    """What an empty field means: None where allowed, else the default."""
    if _unwrap(info.annotation)[1]:
        return None
    return info.get_default(call_default_factory=not info.default_factory_takes_validated_data)
