"""What a partner may propose, one entry for each kind: its form, what holds now, what is stored, how it is applied.

Everything here decides who is offered which lead. What a partner changes alone stands in portal.companies.views: its
website, phone, description and time zone; a location's phone, capacity and hours.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from pydantic import BaseModel, Field, create_model
from sqlalchemy import select

from portal.companies import actions as companies
from portal.companies import facts
from portal.companies import queries as company_queries
from portal.db import PortalSession
from portal.errors import NotFound
from portal.partners import actions, forms, places, queries
from portal.partners.models import Authorisation, Certification
from portal.web.i18n import _

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """What a proposal is about: the company, and its location or dated row where the kind has one."""

    company_id: int
    location_id: int | None = None
    row_id: int | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of proposal. now: what holds in the fields of `after`; clean: typed values to stored ones (Invalid);
    apply: the directory action that makes it so. document: whether a file may prove it."""

    code: str
    title: Any
    form: type[BaseModel] | None
    now: Callable[[PortalSession, Target, Values], dict[str, Any]]
    clean: Callable[[PortalSession, Target, dict[str, Any]], dict[str, Any]]
    apply: Callable[[PortalSession, Target, Values], Any]
    on: str = "company"
    document: bool = False


class WhyForm(BaseModel):
    """Why the partner wants it, for whoever decides."""

    why: str | None = Field(
        None,
        title=_("Why"),
        description=_("Whoever decides reads it."),
        max_length=2000,
        json_schema_extra={"widget": "textarea", "attrs": {"rows": 2}},
    )


class DocumentForm(WhyForm):
    """The document that proves it, for whoever decides."""

    file: Any = Field(
        None,
        title=_("The document"),
        description=_(
            "As a PDF or a picture. Whoever decides can open it. Choose it again if this form comes back."
        ),
        json_schema_extra={"widget": "file"},
    )


def with_why(kind: Kind) -> type[BaseModel]:
    """The kind's form with the fields for its document and for why at its end."""
    more = DocumentForm if kind.document else WhyForm
    return create_model(f"{kind.code}_proposal", __base__=(more, kind.form)) if kind.form else more


class NameForm(BaseModel):
    """The company's name."""

    name: str = Field(title=_("Name"), max_length=200)


class AddressForm(BaseModel):
    """What decides about a location: where it is and whether it takes offers."""

    name: str = forms.LocationForm.model_fields["name"]  # type: ignore[assignment]
    street: str | None = forms.LocationForm.model_fields["street"]  # type: ignore[assignment]
    postal: str | None = forms.LocationForm.model_fields["postal"]  # type: ignore[assignment]
    city: str | None = forms.LocationForm.model_fields["city"]  # type: ignore[assignment]
    country: str | None = forms.LocationForm.model_fields["country"]  # type: ignore[assignment]
    subdivision: str | None = forms.LocationForm.model_fields["subdivision"]  # type: ignore[assignment]
    active: bool = forms.LocationForm.model_fields["active"]  # type: ignore[assignment]


class LinesForm(BaseModel):
    """What the company would sell."""

    product_lines: list[str] = Field(default_factory=list, title=_("Product lines we may sell"))


# -- name --------------------------------------------------------------------------------------------------------------


def _name_now(session: PortalSession, target: Target, _after: Values) -> dict[str, Any]:
    return {"name": company_queries.company(session, target.company_id).name}


def _name_clean(_session: PortalSession, _target: Target, given: dict[str, Any]) -> dict[str, Any]:
    return facts.company({"name": given["name"]})


def _name_apply(session: PortalSession, target: Target, after: Values) -> Any:
    return companies.change_company(session, target.company_id, name=after["name"])


# -- locations ---------------------------------------------------------------------------------------------------------


def _address_now(session: PortalSession, target: Target, after: Values) -> dict[str, Any]:
    if target.location_id is None:
        return {}
    place = queries.place(session, target.company_id, target.location_id)
    return {name: place.location.name if name == "name" else getattr(place.fact, name) for name in after}


def _address_clean(_session: PortalSession, _target: Target, given: dict[str, Any]) -> dict[str, Any]:
    name = facts.company({"name": given["name"]})
    return name | facts.location({key: value for key, value in given.items() if key != "name"})


def _address_apply(session: PortalSession, target: Target, after: Values) -> Any:
    assert target.location_id is not None
    place = queries.place(session, target.company_id, target.location_id)
    given = dict(after)
    if any(name in after for name in places.ADDRESS):
        # Nobody proposes coordinates: those of the old place, and the region found by it, are looked for again.
        kept = {name: getattr(place.fact, name) for name in places.ADDRESS if name != "subdivision"}
        given = places.placed({"subdivision": None, "lat": None, "lon": None, **kept, **after})
    return companies.change_location(session, target.location_id, **given)


def _place_apply(session: PortalSession, target: Target, after: Values) -> Any:
    return companies.add_location(session, target.company_id, **places.placed(dict(after)))


# -- territories -------------------------------------------------------------------------------------------------------


def _area(values: Values) -> dict[str, Any]:
    return {"territory": {name: values.get(name) for name in actions.Area.__dataclass_fields__}}


def _area_now(session: PortalSession, target: Target, after: Values) -> dict[str, Any]:
    if target.location_id is None:
        raise NotFound
    place = queries.place(session, target.company_id, target.location_id)
    held = [
        _area({name: getattr(row, name) for name in actions.Area.__dataclass_fields__})
        for row in place.territories
    ]
    return dict(after) if after in held else {"territory": None}


def _area_clean(_session: PortalSession, _target: Target, given: dict[str, Any]) -> dict[str, Any]:
    return _area(asdict(actions.checked_area(actions.Area(**given))))


def _area_apply(session: PortalSession, target: Target, after: Values) -> Any:
    assert target.location_id is not None
    return actions.add_territory(session, target.location_id, actions.Area(**after["territory"]))


def _area_end_now(session: PortalSession, target: Target, _after: Values) -> dict[str, Any]:
    try:
        row = queries.territory(session, target.company_id, target.row_id or 0)
    except NotFound:
        return {"territory": None}
    return _area({name: getattr(row, name) for name in actions.Area.__dataclass_fields__})


def _area_end_clean(_session: PortalSession, _target: Target, _given: dict[str, Any]) -> dict[str, Any]:
    return {"territory": None}


def _area_end_apply(session: PortalSession, target: Target, _after: Values) -> Any:
    return actions.remove_territory(session, target.company_id, target.row_id or 0)


# -- product lines and certifications ----------------------------------------------------------------------------------


def _lines_now(session: PortalSession, target: Target, _after: Values) -> dict[str, Any]:
    query = select(Authorisation.product_line).where(
        Authorisation.company_id == target.company_id, Authorisation.valid_to.is_(None)
    )
    return {"product_lines": sorted(session.scalars(query))}


def _lines_clean(_session: PortalSession, _target: Target, given: dict[str, Any]) -> dict[str, Any]:
    return {"product_lines": sorted(set(given["product_lines"]))}


def _lines_apply(session: PortalSession, target: Target, after: Values) -> None:
    held, wanted = set(_lines_now(session, target, after)["product_lines"]), set(after["product_lines"])
    for code in sorted(wanted - held):
        actions.authorise(session, target.company_id, code)
    for code in sorted(held - wanted):
        actions.end_authorisation(session, target.company_id, code)


CERTIFICATE_KEY = ("programme", "product_line", "number")


def _certificate_now(session: PortalSession, target: Target, after: Values) -> dict[str, Any]:
    """The certification with the same programme, line and number: what a renewal would replace."""
    conditions = [getattr(Certification, name).is_not_distinct_from(after[name]) for name in CERTIFICATE_KEY]
    query = select(Certification).where(
        Certification.company_id == target.company_id, Certification.valid_to.is_(None), *conditions
    )
    row = session.execute(query).scalar_one_or_none()
    return {name: _stored(getattr(row, name)) if row else None for name in after}


def _certificate_clean(session: PortalSession, _target: Target, given: dict[str, Any]) -> dict[str, Any]:
    actions.check_certificate(session, actions.Certificate(**given))
    return {name: _stored(value) for name, value in given.items()}


def _certificate_apply(session: PortalSession, target: Target, after: Values) -> Any:
    days = {name: date.fromisoformat(after[name]) if after[name] else None for name in ("issued", "expires")}
    return actions.add_certification(session, target.company_id, actions.Certificate(**{**after, **days}))


def _stored(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _nothing(_session: PortalSession, _target: Target, _after: Values) -> dict[str, Any]:
    return {}


KINDS: dict[str, Kind] = {
    kind.code: kind
    for kind in (
        Kind("name", _("Name of the company"), NameForm, _name_now, _name_clean, _name_apply),
        Kind("place", _("New location"), AddressForm, _nothing, _address_clean, _place_apply),
        Kind("address", _("Address of a location"), AddressForm, _address_now, _address_clean, _address_apply, "location"),
        Kind("territory", _("New territory"), forms.TerritoryForm, _area_now, _area_clean, _area_apply, "location"),
        Kind("territory-end", _("Territory no longer served"), None, _area_end_now, _area_end_clean, _area_end_apply, "row"),
        Kind("lines", _("Product lines"), LinesForm, _lines_now, _lines_clean, _lines_apply),
        Kind("certification", _("Certification"), forms.CertificationForm, _certificate_now, _certificate_clean,
             _certificate_apply, document=True),
    )
}  # fmt: skip
