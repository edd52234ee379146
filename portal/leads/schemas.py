"""Leads as systems send and read them: the pydantic models of the API. v1 only grows; unknown fields are ignored."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from portal.companies.facts import is_country, is_subdivision

# What PostgreSQL cannot store (NUL) and what no reader should meet: control characters but tab and line ends.
PLAIN = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"
# Business dates outside these years are slips of the keyboard, and near the calendar's ends arithmetic fails.
FIRST_YEAR, LAST_YEAR = 2000, 2100


def _in_range(value: Any) -> Any:
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise ValueError(f"Use a year from {FIRST_YEAR} to {LAST_YEAR}")
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def _country(value: str) -> str:
    if not is_country(value):
        raise ValueError("Use an ISO 3166-1 code of a country, for example AT")
    return value


def _subdivision(value: str) -> str:
    if not is_subdivision(value):
        raise ValueError("Use an ISO 3166-2 code, for example AT-4")
    return value


Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=PLAIN)]
Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=PLAIN)]
Sentence = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500, pattern=PLAIN)]
Letter = Annotated[str, StringConstraints(strip_whitespace=True, max_length=100_000, pattern=PLAIN)]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$"), AfterValidator(_country)]
Subdivision = Annotated[
    str, StringConstraints(pattern=r"^[A-Z]{2}-[A-Z0-9]{1,3}$"), AfterValidator(_subdivision)
]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$")]
Email = Annotated[
    str, StringConstraints(max_length=254, pattern=r"^[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+\.[^@\s\x00-\x1f]+$")
]
Day = Annotated[date, AfterValidator(_in_range)]
Moment = Annotated[AwareDatetime, AfterValidator(_in_range)]


class Model(BaseModel):
    """Strict types, so that "12" is not taken for 12; unknown fields are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore")


class Money(Model):
    """An amount as text, so that no reader rounds it, and its ISO 4217 currency."""

    amount: Annotated[str, StringConstraints(pattern=r"^(0|[1-9][0-9]{0,15})(\.[0-9]{1,2})?$")] = Field(
        examples=["84000.00"]
    )
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] = Field(examples=["EUR"])


class AccountIn(Model):
    """The customer's company (or household)."""

    name: Line = Field(examples=["Stadtwerke Linz"])
    external_key: Line | None = Field(None, description="Your key of this customer.")
    industry: Word | None = Field(None, examples=["water supply"])
    website: Line | None = None


class ContactIn(Model):
    """Whom to talk to. Withheld from partners until one accepts."""

    name: Line | None = None
    email: Email | None = None
    phone: Word | None = None
    language: Language | None = None
    street: Line | None = None


class PlaceIn(Model):
    """Where the work is. The postal code or the town is enough to route; coordinates are used when given."""

    country: Country | None = Field(None, examples=["AT"])
    subdivision: Subdivision | None = Field(None, examples=["AT-4"])
    postal: Annotated[str, StringConstraints(max_length=12, pattern=PLAIN)] | None = Field(
        None, examples=["4020"]
    )
    city: Word | None = Field(None, examples=["Linz"])
    lat: float | None = Field(None, ge=-90, le=90)
    lon: float | None = Field(None, ge=-180, le=180)

    @model_validator(mode="after")
    def _both_coordinates(self) -> "PlaceIn":
        if (self.lat is None) != (self.lon is None):
            raise ValueError("Send lat and lon together")
        return self


class LeadIn(Model):
    """A request of a customer. Sending the same `external_key` again changes the lead; what is left out stays."""

    external_key: Line | None = Field(None, description="Your key; the same key is the same lead.")
    account: AccountIn
    contact: ContactIn | None = None
    place: PlaceIn | None = None
    product_lines: list[Word] = Field(default_factory=list, max_length=50)
    certifications: list[Word] = Field(
        default_factory=list, max_length=20, description="Programmes asked for."
    )
    amount: Money | None = None
    language: Language | None = Field(None, description="Language the customer wants to be served in.")
    need: Sentence | None = Field(None, description="One line for partners; no personal data.")
    title: Line | None = None
    start_on: Day | None = None
    source: Word | None = Field(None, examples=["website"])
    channel: Word | None = Field(None, description="How the customer wants to be reached.")
    hours: Word | None = Field(None, description="When the customer wants to be reached.")
    legal_basis: Word | None = Field(None, examples=["consent"])
    received_at: Moment | None = None
    message: Letter | None = Field(None, description="The customer's words; kept 30 days.")


class LeadReceipt(Model):
    """What came of it. `suspected_duplicate` waits until a person of the vendor has compared the two."""

    id: str
    number: str = Field(examples=["L-10482"])
    outcome: Literal["new", "changed", "same", "suspected_duplicate"]
    url: str


class AccountOut(Model):
    """The customer's company."""

    name: str
    industry: str | None = None
    website: str | None = None


class ContactOut(Model):
    """Whom to talk to."""

    name: str | None = None
    email: str | None = None
    phone: str | None = None
    language: str | None = None
    street: str | None = None


class PlaceOut(Model):
    """Where the work is; `precision` says from what the coordinates were found."""

    country: str | None = None
    subdivision: str | None = None
    postal: str | None = None
    city: str | None = None
    lat: float | None = None
    lon: float | None = None
    precision: str | None = None


class LeadOut(Model):
    """A lead, to the vendor and to the partner that holds it."""

    level: Literal["full"] = "full"
    id: str
    number: str
    external_key: str | None = Field(None, description="To the vendor only.")
    title: str
    assignment: str
    stage: str
    account: AccountOut
    contact: ContactOut | None = None
    place: PlaceOut
    product_lines: list[str]
    certifications: list[str]
    amount: Money | None = None
    language: str | None = None
    need: str | None = None
    start_on: date | None = None
    source: str | None = None
    channel: str | None = None
    hours: str | None = None
    received_at: datetime
    updated_at: datetime


class OfferOut(Model):
    """A lead as a partner sees it before it accepts, and after it has gone to somebody else."""

    level: Literal["offer"] = "offer"
    id: str
    number: str
    state: str = Field(description="offered, declined, expired, withdrawn, or accepted and closed since")
    offered_at: datetime
    deadline_at: datetime
    brief: dict[str, Any]

    @field_validator("brief")
    @classmethod
    def _own_line_only(cls, brief: dict[str, Any]) -> dict[str, Any]:
        """Offers of earlier versions have stored how many could have taken the lead: the vendor's alone to know."""
        if "why" not in brief:
            return brief
        return brief | {"why": {key: value for key, value in brief["why"].items() if key != "eligible"}}


def to_record(data: LeadIn) -> dict[str, Any]:
    """The model as portal.leads.intake.receive takes it."""
    record = data.model_dump()
    money = record.pop("amount")
    record["amount"] = Decimal(money["amount"]) if money else None
    record["currency"] = money["currency"] if money else None
    record["contact"] = record["contact"] or {}
    place = record["place"] or {}
    place["street"] = record["contact"].pop("street", None)
    record["place"] = place
    return record
