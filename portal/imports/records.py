"""What a mapping makes of a row, and what importers take: plain typed dictionaries, nothing in them but data.

A key that is absent was not said and changes nothing; `erase` lists the paths of values that the file takes away
on purpose. Amounts are Decimal, moments are aware UTC datetimes, days are dates, degrees are WGS 84 floats.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Literal, TypedDict

Precision = Literal["exact", "postal", "city", "subdivision", "country"]


class CalendarRecord(TypedDict, total=False):
    """Working hours as stored (portal/clocks/calendars.py): minutes of the local day, Monday first, ISO days."""

    time_zone: str
    weekly: list[list[list[int]]]
    holidays: list[str]


class TerritoryRecord(TypedDict, total=False):
    """kind: country, subdivision, postal_prefix, circle or nationwide; code: ISO 3166-2 or the prefix; km."""

    kind: str
    country: str
    code: str
    lat: float
    lon: float
    radius_km: float


class LocationRecord(TypedDict, total=False):
    """A place of a partner; `key` tells the places of one partner apart ("main" when there is one)."""

    key: str
    name: str
    street: str
    city: str
    postal: str
    subdivision: str
    country: str
    lat: float
    lon: float
    precision: Precision
    phone: str
    capacity: int
    calendar: CalendarRecord
    territories: list[TerritoryRecord]


class ProductLineRecord(TypedDict, total=False):
    """A product line the partner is authorised for; `name` when the file or a table of the mapping says it."""

    code: str
    name: str


class CertificationRecord(TypedDict, total=False):
    """A certification; without `expires` it does not expire, without `product_line` it covers all."""

    programme: str
    level: str
    number: str
    issued: date
    expires: date
    product_line: str


class AgreementRecord(TypedDict, total=False):
    """The agreement the partner works under: the current one, accepted when the import runs, where nothing else is said."""

    version: str
    accepted_on: date


class PartnerRecord(TypedDict, total=False):
    """A partner company with all that makes it eligible. Always has `external_key`; the mapping decides the rest."""

    external_key: str
    name: str
    legal_name: str
    registration_number: str
    vat_number: str
    website: str
    phone: str
    email: str
    description: str
    level: str
    status: str
    locations: list[LocationRecord]
    product_lines: list[ProductLineRecord]
    certifications: list[CertificationRecord]
    agreement: AgreementRecord
    erase: list[str]


class AccountRecord(TypedDict, total=False):
    """The customer's company."""

    external_key: str
    name: str
    industry: str
    website: str


class ContactRecord(TypedDict, total=False):
    """The person who asks; phone in E.164, language ISO 639-1."""

    name: str
    email: str
    phone: str
    language: str


class PlaceRecord(TypedDict, total=False):
    """Where the customer is; subdivision ISO 3166-2, country ISO 3166-1."""

    street: str
    city: str
    postal: str
    subdivision: str
    country: str
    lat: float
    lon: float
    precision: Precision


class LeadRecord(TypedDict, total=False):
    """A request. `need` is a neutral line; `message` is what the customer wrote and may hold personal data."""

    external_key: str
    received_at: datetime
    account: AccountRecord
    contact: ContactRecord
    place: PlaceRecord
    product_lines: list[str]
    certifications: list[str]
    amount: Decimal
    currency: str
    language: str
    need: str
    title: str
    start_on: date
    source: str
    channel: str
    hours: str
    legal_basis: str
    message: str
    erase: list[str]


RECORDS = {"partners": PartnerRecord, "leads": LeadRecord}
