"""The forms of leads: what may be typed, and how it becomes what the actions take."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, Field
from sqlalchemy import select

from portal.companies.models import Company, Location, LocationFact
from portal.db import PortalSession, sort_key
from portal.errors import Fault, Invalid
from portal.gateways import geocoder
from portal.imports.reader import located as find_place
from portal.leads import words
from portal.leads.queries import Catalogue
from portal.partners.models import Standing
from portal.web.forms import Form, money, read_day
from portal.web.i18n import _, tr

MAX_AMOUNT = Decimal(10) ** 12
COUNTRIES = (
    "AT", "BE", "BG", "CA", "CH", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GB", "GR", "HR", "HU", "IE", "IS",
    "IT", "LI", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "RS", "SE", "SI", "SK", "TR", "UA", "US",
)  # fmt: skip
CURRENCIES = ("EUR", "CZK", "CHF", "PLN", "HUF", "RON", "GBP", "USD", "SEK", "DKK", "NOK", "JPY")
LANGUAGES = (
    "de",
    "en",
    "cs",
    "sk",
    "hu",
    "pl",
    "sl",
    "hr",
    "it",
    "fr",
    "es",
    "nl",
    "ro",
    "bg",
    "sv",
    "da",
    "pt",
)
Channel = Literal["phone", "email", "visit", "post"]
Source = Literal["web_form", "phone", "email", "fair", "partner", "other"]
Basis = Literal["contract", "consent", "legitimate_interest"]


class NewLead(BaseModel):
    """A request as somebody of the vendor writes it down."""

    title: str = Field(
        title=_("What is it about?"),
        max_length=200,
        description=_(
            "A line that names it, without the customer's name: partners read it before they accept."
        ),
    )
    need: str | None = Field(
        None,
        title=_("Need"),
        max_length=1000,
        description=_("What is needed, in a line or two. Partners read it before they accept."),
        json_schema_extra={"widget": "textarea", "attrs": {"rows": 2}},
    )
    account: str = Field(
        title=_("Company"), max_length=200, json_schema_extra={"attrs": {"autocomplete": "organization"}}
    )
    industry: str | None = Field(None, title=_("Industry"), max_length=100)
    contact: str | None = Field(
        None, title=_("Contact"), max_length=200, json_schema_extra={"attrs": {"autocomplete": "off"}}
    )
    email: str | None = Field(
        None,
        title=_("E-mail"),
        max_length=254,
        pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
        json_schema_extra={"widget": "email"},
    )
    phone: str | None = Field(None, title=_("Telephone"), max_length=50, json_schema_extra={"widget": "tel"})
    street: str | None = Field(None, title=_("Street"), max_length=200)
    postal: str | None = Field(None, title=_("Postcode"), max_length=20)
    city: str | None = Field(None, title=_("Town"), max_length=100)
    country: str = Field(title=_("Country"))
    subdivision: str | None = Field(
        None,
        title=_("Region"),
        max_length=6,
        pattern=r"^[A-Z]{2}-[A-Z0-9]{1,3}$",
        description=_("ISO code such as AT-4; found from postcode or town when left empty."),
    )
    product_lines: list[str] = Field(default_factory=list, title=_("Product lines"))
    certifications: list[str] = Field(default_factory=list, title=_("Certifications needed"))
    amount: Decimal | None = Field(
        None,
        title=_("Worth"),
        ge=0,
        le=MAX_AMOUNT,
        decimal_places=2,
        description=_("Partners see a band until they accept."),
        json_schema_extra={"widget": "money"},
    )
    currency: str = Field("EUR", title=_("Currency"))
    language: str | None = Field(None, title=_("Language"))
    start_on: date | None = Field(None, title=_("Start"))
    source: Source = Field("phone", title=_("How it came in"), json_schema_extra={"labels": words.SOURCES})
    channel: Channel | None = Field(
        None, title=_("Prefers to be met by"), json_schema_extra={"labels": words.CHANNELS}
    )
    hours: str | None = Field(
        None, title=_("Best hours"), max_length=100, description=_("For example 08:00 to 11:00")
    )
    legal_basis: Basis = Field(
        "contract",
        title=_("Legal basis"),
        description=_("Why we may keep these personal data."),
        json_schema_extra={"labels": words.LEGAL},
    )
    message: str | None = Field(
        None,
        title=_("The request as it came"),
        max_length=10_000,
        description=_("Only your own people see it; it is deleted after 30 days."),
        json_schema_extra={"widget": "textarea", "attrs": {"rows": 6}},
    )


class EditLead(BaseModel):
    """What the vendor may correct: the lead's own fields and the customer's; the raw request stays as it came."""

    title: str = NewLead.model_fields["title"]  # type: ignore[assignment]
    need: str | None = NewLead.model_fields["need"]  # type: ignore[assignment]
    postal: str | None = NewLead.model_fields["postal"]  # type: ignore[assignment]
    city: str | None = NewLead.model_fields["city"]  # type: ignore[assignment]
    country: str = NewLead.model_fields["country"]  # type: ignore[assignment]
    subdivision: str | None = NewLead.model_fields["subdivision"]  # type: ignore[assignment]
    product_lines: list[str] = NewLead.model_fields["product_lines"]  # type: ignore[assignment]
    certifications: list[str] = NewLead.model_fields["certifications"]  # type: ignore[assignment]
    amount: Decimal | None = NewLead.model_fields["amount"]  # type: ignore[assignment]
    currency: str = NewLead.model_fields["currency"]  # type: ignore[assignment]
    language: str | None = NewLead.model_fields["language"]  # type: ignore[assignment]
    industry: str | None = NewLead.model_fields["industry"]  # type: ignore[assignment]
    start_on: date | None = NewLead.model_fields["start_on"]  # type: ignore[assignment]
    channel: Channel | None = NewLead.model_fields["channel"]  # type: ignore[assignment]
    hours: str | None = NewLead.model_fields["hours"]  # type: ignore[assignment]
    account: str = NewLead.model_fields["account"]  # type: ignore[assignment]
    contact: str | None = NewLead.model_fields["contact"]  # type: ignore[assignment]
    email: str | None = NewLead.model_fields["email"]  # type: ignore[assignment]
    phone: str | None = NewLead.model_fields["phone"]  # type: ignore[assignment]
    street: str | None = NewLead.model_fields["street"]  # type: ignore[assignment]


CUSTOMER_FIELDS = ("account", "contact", "email", "phone", "street")


def choices(catalogue: Catalogue) -> dict[str, list[tuple[str, str]]]:
    """The lists a lead's fields choose from."""
    return {
        "product_lines": list(catalogue.lines.items()),
        "certifications": list(catalogue.programmes.items()),
        "country": sorted(
            ((code, words.country(code)) for code in COUNTRIES), key=lambda pair: sort_key(pair[1])
        ),
        "currency": [(code, code) for code in CURRENCIES],
        "language": [(code, words.language(code)) for code in LANGUAGES],
    }


def _choices_with(catalogue: Catalogue, lead: Mapping[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """As choices(), and whatever the lead holds already, so that saving never drops it."""
    found = choices(catalogue)
    for field in ("product_lines", "certifications"):
        known = {code for code, _name in found[field]}
        found[field] += [(code, code) for code in lead[field] if code not in known]
    for field in ("country", "currency", "language"):
        if lead[field] and lead[field] not in {code for code, _name in found[field]}:
            found[field].append((lead[field], lead[field]))
    return found


def new_form(catalogue: Catalogue) -> Form[NewLead]:
    """The form of a new lead."""
    return Form(NewLead, choices=choices(catalogue))


def edit_form(
    catalogue: Catalogue,
    lead: Mapping[str, Any],
    account: Mapping[Any, Any] | None,
    contact: Mapping[Any, Any] | None,
) -> Form[EditLead]:
    """The form of a lead's own fields and of its customer's."""
    values = {**lead, "currency": lead["currency"] or "EUR", "account": account["name"] if account else ""}
    if contact is not None:
        values |= {key: contact[key] for key in CUSTOMER_FIELDS[1:]}
    if lead["amount"] is not None and lead["amount"] == lead["amount"].to_integral_value():
        values["amount"] = int(lead["amount"])
    return Form(EditLead, values, choices=_choices_with(catalogue, lead))


PLACE_FIELDS = ("street", "postal", "city", "country", "subdivision")


def record_of(data: NewLead, place: Mapping[str, Any]) -> dict[str, Any]:
    """What intake takes, of a valid form and its place."""
    contact = {"name": data.contact, "email": data.email, "phone": data.phone, "language": data.language}
    kept = (
        "title",
        "need",
        "amount",
        "language",
        "start_on",
        "source",
        "channel",
        "hours",
        "legal_basis",
        "message",
    )
    return {key: getattr(data, key) for key in kept} | {
        "product_lines": tuple(data.product_lines),
        "certifications": tuple(data.certifications),
        "currency": data.currency if data.amount is not None else None,
        "account": {"name": data.account, "industry": data.industry},
        "contact": contact,
        "place": {**place, "street": data.street},
        "external_key": None,
    }


def located(given: Mapping[str, Any]) -> dict[str, Any]:
    """The place with coordinates and how precise they are, found offline; as typed when nothing is found."""
    place = {key: given.get(key) for key in PLACE_FIELDS}
    return place | find_place(geocoder(), place)


def read_move(post: Mapping[str, Any]) -> dict[str, Any]:
    """Reason, amount, day and note of a stage move; Invalid for what cannot be read."""
    amount_text, day_text = (post.get("won_amount") or "").strip(), (post.get("won_on") or "").strip()
    amount, day = None, None
    faults = []
    if amount_text:
        plain, message = money(amount_text)
        amount = Decimal(plain) if plain is not None else None
        if amount is not None and amount > MAX_AMOUNT:
            amount, message = None, tr(_("This is more than can be kept; check the digits."))
        if amount is None:
            faults.append(Fault("won_amount", amount_text, message, "parse"))
    if day_text:
        try:
            day = read_day(day_text)
        except ValueError:
            faults.append(Fault("won_on", day_text, tr(_("Write the day as 2026-11-23.")), "parse"))
    if faults:
        raise Invalid(*faults)
    return {
        "reason": post.get("reason") or None,
        "won_amount": amount,
        "won_on": day,
        "note": post.get("note"),
    }


def read_step(post: Mapping[str, Any]) -> tuple[str, date]:
    """The next step and its day."""
    try:
        return post.get("step", ""), read_day(post.get("on") or "")
    except ValueError:
        message = tr(_("Say by which day, as 2026-11-30."))
        raise Invalid(Fault("on", post.get("on"), message, "parse")) from None


def read_assign(session: PortalSession, post: Mapping[str, Any]) -> tuple[int, str]:
    """Location and reason of an assignment by hand. The location comes as its id, or as its label from the list."""
    reason, given = (post.get("why") or "").strip(), (post.get("location") or "").strip()
    faults = []
    if not 3 <= len(reason) <= 500:
        faults.append(Fault("why", reason, tr(_("Say in 3 to 500 characters why this partner.")), "length"))
    location = int(given) if given.isascii() and given.isdigit() and len(given) < 19 else None
    if location is None:
        found = [row for row in partner_locations(session, given) if label_of(row) == given]
        location = found[0].id if len(found) == 1 else None
    if location is None:
        unknown = _(
            "Choose a partner from the list: ${given} is not one of them.", mapping={"given": given[:80]}
        )
        message = tr(unknown if given else _("Choose a partner from the list."))
        faults.append(Fault("location", given, message, "choice"))
    if faults:
        raise Invalid(*faults)
    assert location is not None
    return location, reason


def label_of(row: Any) -> str:
    """'Danubia Technik, Ansfelden' as the list of partners shows a location."""
    return f"{row.name}, {row.city}" if row.city else str(row.name)


def partner_locations(session: PortalSession, q: str = "", limit: int = 500) -> Sequence[Any]:
    """Active partners' locations by name, for choosing one."""
    query = (
        select(Location.id, Company.name, LocationFact.city)
        .join(Company, Company.id == Location.company_id)
        .join(LocationFact, (LocationFact.location_id == Location.id) & LocationFact.valid_to.is_(None))
        .join(Standing, (Standing.company_id == Company.id) & Standing.valid_to.is_(None))
        .where(
            Location.realm_id == session.context.realm_id, Company.kind != "vendor",
            Standing.status == "active", LocationFact.active,
        )
        .order_by(Company.name_key, LocationFact.city, Location.id)
        .limit(limit)
    )  # fmt: skip
    if q:
        query = query.where(Company.name_key.contains(sort_key(q.split(",")[0]), autoescape=True))
    return list(session.execute(query))


def assign_form(session: PortalSession, params: Mapping[str, Any]) -> dict[str, Any]:
    """What the form for assigning by hand offers and keeps."""
    rows = partner_locations(session)
    return {
        "labels": [label_of(row) for row in rows],
        "location": params.get("location") or "",
        "why": params.get("why") or "",
    }
