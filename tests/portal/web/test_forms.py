"""The form component: typed values, kept input, plain errors, and markup that assistive technology understands."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Literal

import pytest
from pydantic import BaseModel, Field, field_validator
from webob.multidict import MultiDict

from portal.web.forms import Form
from tests.portal.web.samples import NewPartner, bad_form
from tests.portal.web.sheets import environment, reader

GOOD = {
    "name": "Danubia",
    "country": "AT",
    "capacity": "50",
    "worth": "84,000.50",
    "since": "2026-01-31",
    "active": "1",
}


class Deal(BaseModel):
    worth: Decimal | None = Field(None, title="Worth", ge=0, json_schema_extra={"widget": "money"})
    email: str | None = Field(None, title="E-mail")
    lines: list[str] = Field(default_factory=list, title="Lines")

    @field_validator("email")
    @classmethod
    def with_at(cls, value: str | None) -> str | None:
        if value and "@" not in value:
            raise ValueError("write it as name@company.example")
        return value


def test_a_good_form_gives_the_model():
    form = Form(NewPartner)
    data = form.parse(MultiDict([*GOOD.items(), ("worth", "84000"), ("lines", "hx"), ("lines", "dosing")]))
    assert form.errors == {}
    assert data is not None
    assert (data.capacity, data.since, data.lines, data.active) == (
        50,
        date(2026, 1, 31),
        ["hx", "dosing"],
        True,
    )


def test_errors_are_plain_and_everything_typed_is_kept():
    form = bad_form()
    assert form.errors == {"name": "Fill this in", "capacity": "Write a whole number, for example 50"}
    assert form["capacity"].value == "fifty"
    assert form["note"].value == "typed text stays"
    assert form["active"].value is False
    assert [s[0] for s in form.summary] == ["f-name", "f-capacity"]


@pytest.mark.parametrize(
    ("text", "value"),
    [("84000", "84000"), ("84,000", "84000"), ("84 000", "84000"), ("84'000", "84000"), ("84000.50", "84000.50"),
     ("1,234,567.8", "1234567.8"), ("84\u00a0000", "84000")],
)  # fmt: skip
def test_money_reads_grouped_numbers(text, value):
    form = Form(Deal)
    assert form.parse({"worth": text}).worth == Decimal(value)


@pytest.mark.parametrize("text", ["25.000,-", "1,2", "12,34,567", "abc", "-5", "1e5", "5.5.5", "٥"])
def test_money_does_not_guess(text):
    form = Form(Deal)
    assert form.parse({"worth": text}) is None
    assert "25000" in form.errors["worth"]
    assert form["worth"].value == text


def test_own_validator_speaks_and_empty_means_none():
    form = Form(Deal)
    assert form.parse({"email": "nobody"}) is None
    assert form.errors["email"] == "write it as name@company.example"
    assert form.parse({"email": " "}).email is None


def test_choices_known_at_run_time_refuse_others():
    form = Form(Deal, choices={"lines": [(7, "HX"), (8, "Vario")]})
    assert form["lines"].widget == "multiselect"
    assert form.parse(MultiDict([("lines", "7"), ("lines", "9")])) is None
    assert form.parse(MultiDict([("lines", "7")])).lines == ["7"]


def test_values_to_start_from_and_only_some_fields():
    form = Form(
        NewPartner,
        {"name": "Danubia", "lines": ["hx"], "since": date(2026, 1, 1)},
        only=["since", "name", "lines"],
    )
    assert [f.name for f in form.fields] == ["since", "name", "lines"]
    assert (form["since"].value, form["lines"].value) == ("2026-01-01", ["hx"])


def test_nul_and_endless_text_are_refused_before_the_database():
    form = Form(Deal)
    assert form.parse({"email": "a\x00@b"}) is None
    assert form.parse({"email": "a" * 100_001}) is None


def test_an_error_of_the_action_lands_on_its_field_or_on_top():
    form = Form(Deal)
    form.parse({})
    form.fail("email", "Already there")
    form.fail("", "Try again")
    assert form["email"].error == "Already there"
    assert form.summary[0] == ("", "", "Try again")


def test_markup_links_errors_and_escapes():
    form = bad_form()
    form["note"].value = "</textarea><script>"
    with reader() as request:
        page = (
            environment()
            .from_string('{% from "macros/form.jinja2" import form as f %}{{ f(form, "/x", "Save") }}')
            .render(request=request, form=form)
        )
    assert 'href="#f-name"' in page
    assert 'aria-describedby="f-name-h f-name-e" aria-invalid="true"' in page
    assert 'name="csrf_token"' in page
    assert "<script>" not in page
    assert 'role="alert"' in page


def test_literal_may_be_a_radio_with_a_required_answer():
    class Answer(BaseModel):
        crane: Literal["yes", "no"] = Field(title="Crane?", json_schema_extra={"widget": "radio"})

    form = Form(Answer)
    assert form.parse({}) is None
    assert form.errors == {"crane": "Fill this in"}
    assert form.parse({"crane": "yes"}).crane == "yes"


@pytest.mark.parametrize(
    ("written", "read"),
    [("2026-11-23", True), ("23.11.2026", True), ("31.2.2026", False), ("11/23/26", False)],
)
def test_a_day_is_read_as_iso_or_as_german_readers_write_it(written, read):
    class Dated(BaseModel):
        """One day."""

        day: date = Field(title="Day")

    form = Form(Dated)
    found = form.parse({"day": written})
    assert (found is not None and found.day == date(2026, 11, 23)) is read
    assert ("Write the date as" in form.errors.get("day", "")) is not read
