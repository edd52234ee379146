"""How a mapping reads one cell: each parser is a small model whose options are checked when the mapping is loaded.

A parser takes a filled cell and gives a value, or raises Wrong with what is the matter and the cure. What it had to
guess it notes. To add one: write the class, add it to `Parser` below.
"""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit, urlunsplit
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from portal.imports.cells import CASES, Case, Cell, Options, Wrong, cleaned

MAX_TEXT = 20_000
ISO = "iso"
_EMAIL = re.compile(r"[^\s@<>(),;:\"\[\]]{1,64}@(?:[^\s@.<>(),;:\"\[\]]+\.)+[^\s@.<>(),;:\"\[\]\d]{2,}")
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}", re.IGNORECASE)


class Text(Options):
    """Words. `lines` keeps line breaks; `case` changes capitals; `matches` is a regular expression for the whole."""

    as_: Literal["text"] = Field("text", alias="as")
    lines: bool = False
    case: Case = "as_is"
    most: int = Field(MAX_TEXT, ge=1)
    matches: re.Pattern[str] | None = None

    def __call__(self, value: Any, cell: Cell) -> str:
        text = CASES[self.case](cleaned(value, lines=self.lines))
        if len(text) > self.most:
            raise Wrong(f"has {len(text)} characters", f"Shorten it to {self.most}.")
        if self.matches and not self.matches.fullmatch(text):
            raise Wrong("has another form than expected", f"Write it as {self.matches.pattern}.")
        return text


class Number(Options):
    """A number such as -76.5; with `as: integer` a whole one. `least` and `most` are allowed themselves."""

    as_: Literal["number", "integer"] = Field("number", alias="as")
    least: float | None = None
    most: float | None = None

    def __call__(self, value: Any, cell: Cell) -> float | int:
        text = cleaned(value)
        pattern = (
            r"[+-]?\d{1,15}" if self.as_ == "integer" else r"[+-]?\d{1,15}(\.\d{1,17})?([eE][+-]?\d{1,2})?"
        )
        # Spreadsheets and data frames write whole numbers as 17850.0.
        text = re.sub(r"\.0+$", "", text) if self.as_ == "integer" else text
        if isinstance(value, bool) or not re.fullmatch(pattern, text):
            raise Wrong(
                "is not a number", "Write digits such as 12." if self.as_ == "integer" else "Write 12.5."
            )
        number = int(text) if self.as_ == "integer" else float(text)
        low, high = self.least, self.most
        if (low is not None and number < low) or (high is not None and number > high):
            raise Wrong("is out of range", f"Give a number from {low} to {high}.")
        return number


class Money(Options):
    """An amount with at most two decimals, with or without a sign of the currency and separated thousands."""

    as_: Literal["money"] = Field("money", alias="as")
    decimal: Literal[".", ","] = "."
    signs: str = "$€£"
    negative: bool = False

    def __call__(self, value: Any, cell: Cell) -> Decimal:
        text = cleaned(value).strip(self.signs).strip()
        thousands = "," if self.decimal == "." else "."
        group = re.escape(thousands)
        pattern = (
            rf"-?(?:\d{{1,16}}|\d{{1,3}}(?:{group}\d{{3}}){{1,5}})(?:{re.escape(self.decimal)}\d{{1,2}})?"
        )
        example = f"12{thousands}500{self.decimal}00"
        if letters := "".join(character for character in text if character.isalpha()):
            raise Wrong(
                f"is not an amount: {letters!r} are letters", f"Write digits only, such as {example}."
            )
        if not re.fullmatch(pattern, text):
            raise Wrong("is not an amount", f"Write it as {example}.")
        amount = Decimal(text.replace(thousands, "").replace(self.decimal, "."))
        if amount < 0 and not self.negative:
            raise Wrong("is below zero", "Give an amount of zero or more.")
        return amount.quantize(Decimal("0.01"))


class Moment(Options):
    """A date and time as UTC. `formats` are "iso" or strptime forms; `time_zone` is for those that name none."""

    as_: Literal["datetime"] = Field("datetime", alias="as")
    formats: tuple[str, ...] = (ISO,)
    time_zone: str = "UTC"

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, name: str) -> str:
        return _known_zone(name)

    def __call__(self, value: Any, cell: Cell) -> datetime:
        found = _read_date(cleaned(value), self.formats)
        if found.tzinfo is None:
            zone = ZoneInfo(self.time_zone)
            local = found.replace(tzinfo=zone)
            if local.utcoffset() != local.replace(fold=1).utcoffset():
                cell.note(value, f"falls into a change of the clocks in {self.time_zone}", sure=False)
            found = local
        return found.astimezone(UTC)


class Day(Options):
    """A day; a time in the cell is left out."""

    as_: Literal["date"] = Field("date", alias="as")
    formats: tuple[str, ...] = (ISO,)

    def __call__(self, value: Any, cell: Cell) -> date:
        return _read_date(cleaned(value), self.formats).date()


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError("there is no such time zone; use a name such as Europe/Vienna") from error
    return name


def _read_date(text: str, formats: tuple[str, ...]) -> datetime:
    for form in formats:
        try:
            found = datetime.fromisoformat(text) if form == ISO else datetime.strptime(text, form)  # noqa: DTZ007
        except ValueError:
            continue
        if not 1900 <= found.year <= 2199:
            raise Wrong(f"is in the year {found.year}", "Give a year from 1900 to 2199.")
        return found
    examples = [
        "2026-11-22T15:07:00Z" if form == ISO else datetime(2026, 11, 22, 15, 7, tzinfo=UTC).strftime(form)
        for form in formats
    ]
    raise Wrong("is not a date we can read", f"Write it as {' or '.join(examples)}.")


class UsZip(Options):
    """A ZIP code as 20769 or 20769-1234. The options name columns to compare with: state, city, country.

    Four digits have lost their leading zero (a spreadsheet's doing), six have one too many: both are understood when
    the state and the town say so. Where `country` is not the US the cell is taken as it is.
    """

    as_: Literal["us_zip"] = Field("us_zip", alias="as")
    state: str | None = None
    city: str | None = None
    country: str | None = None

    def __call__(self, value: Any, cell: Cell) -> str:
        text = cleaned(value).upper()
        if self.country and cell.beside(self.country).upper() not in ("", "US", "USA"):
            return text
        code, dash, more = text.partition("-")
        code, more = code.strip(), more.strip()
        if not (code + more).isdigit():
            raise Wrong("is not a ZIP code", "Write 20769 or 20769-1234.")
        if not dash and len(code) in (8, 9):
            code, more = code[:-4], code[-4:]
        code = self._five(code, value, cell)
        if more and len(more) != 4:
            cell.note(
                value, f"has {len(more)} digits after the dash instead of 4; {code} is used", sure=False
            )
            more = ""
        return f"{code}-{more}" if more else code

    def _five(self, code: str, value: Any, cell: Cell) -> str:
        from integrations.geo import find_zip

        state, city = cell.beside(self.state).upper(), cell.beside(self.city)
        if len(code) == 5:
            found = find_zip(code)
            if found is None:
                cell.note(value, f"there is no ZIP code {code} that we know", sure=False)
            elif state and found.state != state:
                cell.note(value, f"{code} is in {found.state}, the row says {state}", sure=False)
            return code
        if len(code) == 4:
            found = find_zip(f"0{code}")
            if found and (not state or found.state == state):
                cell.note(value, f"lost its leading zero; 0{code} is {found.city}, {found.state}")
                return f"0{code}"
        elif len(code) == 6:
            found = _one_digit_less(code, state, city)
            if found:
                cell.note(value, f"has a digit too many; taken for {found.code}, {found.city}", sure=False)
                return str(found.code)
        raise Wrong(f"has {len(code)} digits", "A ZIP code has 5: 20769, or 20769-1234.")


def _one_digit_less(code: str, state: str, city: str) -> Any:
    """The only ZIP code of that state and town that comes of leaving out one digit; None when there is not just one."""
    from integrations.geo import find_zip

    if not state:
        return None
    candidates = {code[:n] + code[n + 1 :] for n in range(len(code))}
    known = [found for found in map(find_zip, sorted(candidates)) if found and found.state == state]
    in_town = [found for found in known if city and found.is_town(city)]
    best = in_town or known
    return best[0] if len(best) == 1 else None


class Country(Options):
    """A country by code or name, as ISO 3166-1 alpha-2."""

    as_: Literal["country"] = Field("country", alias="as")

    def __call__(self, value: Any, cell: Cell) -> str:
        from integrations.geo import country

        found = country(cleaned(value))
        if found is None:
            raise Wrong("is not a country", "Use its two letters (ISO 3166-1), such as US or AT.")
        return found


class Subdivision(Options):
    """A state or region by code or name, as ISO 3166-2; of `country`, or of the country in column `country_from`."""

    as_: Literal["subdivision"] = Field("subdivision", alias="as")
    country: str | None = None
    country_from: str | None = None

    def __call__(self, value: Any, cell: Cell) -> str:
        from integrations.geo import country, subdivision

        code = self.country or country(cell.beside(self.country_from) or "?")
        found = subdivision(code, cleaned(value)) if code else None
        if found is None:
            raise Wrong(
                f"is not a state or region of {code or 'an unknown country'}", "Use a code such as US-MD."
            )
        return found


class Language(Options):
    """A language as ISO 639-1, from "en", "EN" or "en-GB"."""

    as_: Literal["language"] = Field("language", alias="as")

    def __call__(self, value: Any, cell: Cell) -> str:
        code = re.split(r"[-_]", cleaned(value).lower())[0]
        if not _is_language(code):
            raise Wrong("is not a language", "Use its two letters (ISO 639-1), such as en or es.")
        return code


@lru_cache(maxsize=512)
def _is_language(code: str) -> bool:
    import pycountry

    return len(code) == 2 and pycountry.languages.get(alpha_2=code) is not None


class Phone(Options):
    """A telephone number as E.164 (+14105550118); `region` is the country of numbers that name none."""

    as_: Literal["phone"] = Field("phone", alias="as")
    region: str | None = None

    def __call__(self, value: Any, cell: Cell) -> str:
        text = cleaned(value)
        number, certain = _phone(text, self.region)
        if number is None:
            raise Wrong("is not a telephone number", "Write it as +1 410 555 0118.")
        if not certain:
            cell.note(value, "is in no range that is in use", sure=False)
        return number


@lru_cache(maxsize=8192)
def _phone(text: str, region: str | None) -> tuple[str | None, bool]:
    import phonenumbers

    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None, False
    if not phonenumbers.is_possible_number(number):
        return None, False
    form = phonenumbers.PhoneNumberFormat.E164
    return phonenumbers.format_number(number, form), phonenumbers.is_valid_number(number)


class Email(Options):
    """One e-mail address; the part after the @ in small letters."""

    as_: Literal["email"] = Field("email", alias="as")

    def __call__(self, value: Any, cell: Cell) -> str:
        text = cleaned(value).removeprefix("mailto:")
        if len(text) > 254 or not _EMAIL.fullmatch(text):
            raise Wrong("is not one e-mail address", "Write it as name@example.com.")
        name, _, host = text.rpartition("@")
        return f"{name}@{host.lower()}"


class Url(Options):
    """An address of a web page; http is assumed where none is named, the host is written in small letters."""

    as_: Literal["url"] = Field("url", alias="as")

    def __call__(self, value: Any, cell: Cell) -> str:
        text = cleaned(value)
        if "://" not in text:
            text = f"http://{text}"
        try:
            parts = urlsplit(text)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise Wrong("is not a web address", "Write it as https://www.example.com.") from error
        if "@" in parts.netloc:
            raise Wrong(
                "looks like an e-mail address, not a web address", "Write it as https://www.example.com."
            )
        if parts.scheme.lower() not in ("http", "https") or not _HOST.fullmatch(host):
            raise Wrong("is not a web address", "Write it as https://www.example.com.")
        netloc = host.lower() + (f":{port}" if port else "")
        return urlunsplit((parts.scheme.lower(), netloc, parts.path, parts.query, ""))


class Codes(Options):
    """Several codes in one cell, cut at any character of `between`; each once, in their order."""

    as_: Literal["codes"] = Field("codes", alias="as")
    between: str = Field("/,;", min_length=1)
    case: Case = "upper"
    matches: re.Pattern[str] | None = None

    def __call__(self, value: Any, cell: Cell) -> list[str]:
        parts = re.split(f"[{re.escape(self.between)}]", cleaned(value))
        codes = list(dict.fromkeys(CASES[self.case](part.strip()) for part in parts if part.strip()))
        for code in codes:
            if self.matches and not self.matches.fullmatch(code):
                raise Wrong(f"holds {code!r}", f"Write codes as {self.matches.pattern}.")
        return codes


Parser = Annotated[
    Text
    | Number
    | Money
    | Moment
    | Day
    | UsZip
    | Country
    | Subdivision
    | Language
    | Phone
    | Email
    | Url
    | Codes,
    Field(discriminator="as_"),
]
