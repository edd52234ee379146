"""Mixed pages as people open them, partners four times as often as the vendor, among a million leads."""

from collections.abc import Callable

from tests.bench.harness import Result, figures, http, insert_yardstick, rounds
from tests.bench.lists import asking
from tests.bench.seed import LIGHT, seeded

# DESIGN, section 9.
RATE, P99_MS = 500.0, 100.0
MIXED = "mixed pages"
PARTNER = ("/", "/leads?view=all", "/offers", "/leads?page=2&view=all", "/company")


def run() -> list[Result]:
    """The mix, each page by itself, and a static file that the browser has already."""
    seeds = seeded()
    light = [f"light{n}" for n in LIGHT]
    numbers = seeds.numbers[:8]
    vendor = (
        "/",
        "/leads?view=all",
        "/leads/queue?view=all",
        "/partners?view=all",
        *(f"/leads/{n}" for n in numbers),
    )
    decisions = tuple(f"/leads/{n}/decision" for n in numbers)
    asked: dict[str, Callable[[int], bytes]] = {
        MIXED: mix(
            asking(seeds, light, PARTNER),
            asking(seeds, ["heavy"], PARTNER),
            asking(seeds, ["vendor"], vendor + decisions),
        ),
        "partner's home": asking(seeds, light, ("/",)),
        "partner's home, 15,000 leads": asking(seeds, ["heavy"], ("/",)),
        "partner's offers": asking(seeds, light, ("/offers",)),
        "partner's company": asking(seeds, light, ("/company",)),
        "vendor's home": asking(seeds, ["vendor"], ("/",)),
        "a lead, vendor": asking(seeds, ["vendor"], tuple(f"/leads/{n}" for n in numbers)),
        "a decision": asking(seeds, ["vendor"], decisions),
        "partners": asking(seeds, ["vendor"], ("/partners?view=all",)),
        "sign-in page": lambda _: http("GET", "/sign-in"),
    }
    found = rounds(seeds.made, asked, seconds=2.0)
    return [*figures(found, {MIXED: P99_MS}, {MIXED: RATE}), insert_yardstick(seeds.made.env["VAR_DIR"])]


def mix(
    light: Callable[[int], bytes], heavy: Callable[[int], bytes], vendor: Callable[[int], bytes]
) -> Callable[[int], bytes]:
    """Of ten pages seven go to partners of the usual size, one to the largest, two to the vendor."""

    def message(n: int) -> bytes:
        turn, lap = n % 10, n // 10
        if turn < 7:
            return light(lap * 7 + turn)
        return heavy(lap) if turn == 7 else vendor(lap * 2 + turn - 8)

    return message
