"""Invents the demo's requests: who asks, where, for what, and when; some twice, some that nobody can take."""

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from portal.demo.catalogue import CUSTOMERS, FIRST, LAST, MESSAGES, SOURCES, WISHES, Wish
from portal.demo.towns import COUNTRIES, Town, load, pick, slug

# Requests by weekday, Monday first, and by hour of the day (UTC).
WEEKDAYS = (20, 19, 19, 18, 15, 5, 4)
HOURS = (1, 1, 0, 0, 1, 3, 8, 12, 14, 13, 11, 9, 10, 11, 10, 9, 7, 5, 4, 4, 3, 3, 2, 1)
TWICE = 0.016  # share that asks again under another key
NOWHERE = 0.007  # share from places that no partner covers
HOME, FRESH = "Linz", 9
WARSAW = Town("PL", "PL-14", "Warszawa", "00-001", 52.2297, 21.0122, 1_700_000)
OSLO = Town("NO", "NO-03", "Oslo", "0150", 59.9139, 10.7522, 700_000)

Request = tuple[datetime, dict[str, Any]]


def requests(count: int, start: datetime, end: datetime, seed: int) -> list[Request]:
    """`count` requests between `start` and `end` in order of time; growing a little over it."""
    chance = random.Random(f"requests {seed}")
    towns = load()
    moments = sorted(_moment(chance, start, end) for _ in range(count))
    near = next(town for town in towns["AT"] if town.city == HOME)
    found: list[Request] = []
    for number, moment in enumerate(moments, 1):
        if number > count - FRESH:
            # The last ones come in the last hours, near the personas' company, so that its inbox is not empty.
            moment = end - timedelta(minutes=20 * (count - number) + 7)
            wish = WISHES[(count - number) * 2 % len(WISHES)]
            found.append((moment, _request(chance, near, number, moment, wish)))
            continue
        recent = [old for old in found[-200:] if moment - old[0] < timedelta(days=12)]
        if recent and chance.random() < TWICE:
            found.append((moment, _again(chance, chance.choice(recent)[1], number)))
        else:
            found.append((moment, _request(chance, _town(chance, towns), number, moment)))
    return found


def _moment(chance: random.Random, start: datetime, end: datetime) -> datetime:
    """An instant, more of them on working days, in office hours and lately."""
    days = (end - start).days + 1
    while True:
        day = int(days * chance.random() ** 0.85)
        moment = start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(
            days=day
        )
        if chance.random() * max(WEEKDAYS) > WEEKDAYS[moment.weekday()]:
            continue
        hour = chance.choices(range(24), HOURS)[0]
        moment += timedelta(hours=hour, minutes=chance.randrange(60), seconds=chance.randrange(60))
        if start <= moment < end:
            return moment


def _town(chance: random.Random, towns: dict[str, list[Town]]) -> Town:
    if chance.random() < NOWHERE:
        return chance.choice((WARSAW, OSLO))
    code = chance.choices(list(COUNTRIES), [country.leads for country in COUNTRIES.values()])[0]
    return pick(chance, towns[code])


def _request(
    chance: random.Random, town: Town, number: int, moment: datetime, wish: Wish | None = None
) -> dict[str, Any]:
    """A request as a wire hands it to intake (portal.leads.intake.LeadRecord)."""
    country = COUNTRIES.get(town.country, COUNTRIES["DE"])
    language = town.language
    wish = wish or chance.choices(WISHES, [wish.often for wish in WISHES])[0]
    industry = chance.choice(list(CUSTOMERS[language]))
    surname = chance.choice(LAST[language])
    name = chance.choice(CUSTOMERS[language][industry]).format(t=town.city, s=surname)
    person = f"{chance.choice(FIRST[language])} {chance.choice(LAST[language])}"
    need = wish.need.format(n=chance.randint(2, 9))
    start = moment.date() + timedelta(days=chance.randint(14, 160)) if chance.random() < 0.6 else None
    return {
        "external_key": f"WEB-{number:05}",
        "title": wish.title,
        "need": need,
        "account": {"name": name, "external_key": None, "industry": industry, "website": None},
        "contact": _contact(chance, person, name, number, country.phone, language),
        "place": _place(chance, town, country.street.format(s=surname, n=chance.randint(1, 120))),
        "product_lines": wish.lines,
        "certifications": wish.certifications,
        "amount": _worth(chance, wish, country.rate),
        "currency": country.currency,
        "language": language,
        "source": chance.choices([code for code, _ in SOURCES], [often for _, often in SOURCES])[0],
        "channel": chance.choice(("phone", "email", None)),
        "hours": chance.choice(("mornings", "afternoons, not Friday", None, None)),
        "start_on": _monday(start),
        "legal_basis": "consent",
        "message": MESSAGES[language].format(need=need, name=person),
    }


def _contact(
    chance: random.Random, person: str, company: str, number: int, phone: str, language: str
) -> dict[str, Any]:
    # The number keeps two firms of one name apart, as their real domains would.
    address = f"{slug(person).replace('-', '.')}@{slug(company)}-{number}.example"
    return {
        "name": person,
        "email": address,
        "phone": f"{phone} {chance.randint(200, 799)} {chance.randint(10_000, 999_999)}",
        "language": language,
    }


def _place(chance: random.Random, town: Town, street: str) -> dict[str, Any]:
    return {
        "street": street,
        "city": town.city,
        "postal": town.postal,
        "subdivision": town.subdivision,
        "country": town.country,
        "lat": round(town.lat + chance.uniform(-0.05, 0.05), 5),
        "lon": round(town.lon + chance.uniform(-0.05, 0.05), 5),
        "precision": "postal",
    }


def _worth(chance: random.Random, wish: Wish, rate: float) -> Decimal | None:
    """About the median, to two digits, in the currency of the place; a tenth does not say."""
    if chance.random() < 0.1:
        return None
    value = wish.worth * rate * chance.lognormvariate(0, 0.55)
    step = 10 ** max(2, len(str(int(value))) - 2)
    return Decimal(max(step, round(value / step) * step))


def _monday(day: date | None) -> date | None:
    return None if day is None else day - timedelta(days=day.weekday())


def _again(chance: random.Random, first: dict[str, Any], number: int) -> dict[str, Any]:
    """The same person for the same lines under another key, through another channel."""
    return {
        **first,
        "external_key": f"TEL-{number:05}",
        "source": "phone",
        "hours": chance.choice(("mornings", None)),
    }
