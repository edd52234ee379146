"""The demo company's words: its product lines and programmes, and what people of six countries ask for and are called."""

from dataclasses import dataclass

VENDOR = "Halden Pumps"
VENDOR_DOMAIN = "halden.example"
VENDOR_ZONE = "Europe/Vienna"

# code -> name
PRODUCT_LINES = {
    "SENTINEL": "Sentinel process pumps",
    "BOOST": "Boost pressure systems",
    "FLOWMATE": "Flowmate sewage pumps",
    "HX": "Heat exchangers HX",
    "CLARIS": "Claris drinking water",
    "CONTROL": "Control and telemetry",
}
PROGRAMMES = {
    "ATEX": "ATEX explosion protection",
    "HYGIENE": "Drinking water hygiene",
    "HEATPUMP": "Heat pump technician",
    "SERVICE": "Authorised service workshop",
}
# code, name, rank, share of partners
LEVELS = (
    ("platinum", "Platinum", 4, 0.08),
    ("gold", "Gold", 3, 0.24),
    ("silver", "Silver", 2, 0.38),
    ("registered", "Registered", 1, 0.30),
)


def _words(names: str) -> list[str]:
    return names.split()


@dataclass(frozen=True, slots=True)
class Wish:
    """Something customers ask for: title, need, lines, certifications, median worth in EUR and relative frequency."""

    title: str
    need: str
    lines: tuple[str, ...]
    worth: int
    often: int = 4
    certifications: tuple[str, ...] = ()


# fmt: off
WISHES = (
    Wish("Pump service contract",
         "Yearly service of {n} pumps, two visits a year", ("SENTINEL",), 18_000, 7, ("SERVICE",)),
    Wish("Replacement of process pumps",
         "Replace {n} process pumps during the next shutdown", ("SENTINEL",), 62_000, 7),
    Wish("Pumps for a solvent store",
         "{n} pumps for zone 1, with certificates", ("SENTINEL",), 88_000, 4, ("ATEX",)),
    Wish("Pressure booster for a hotel",
         "Booster set for {n}0 rooms, quiet operation", ("BOOST",), 21_000, 6),
    Wish("Pressure booster for a tower block",
         "Booster set for {n} floors, redundant", ("BOOST",), 34_000, 5),
    Wish("Fire water booster",
         "Fire water booster, {n}0 m3/h, tested on site", ("BOOST", "CONTROL"), 71_000, 3),
    Wish("Sewage lifting station",
         "Lifting station for {n}00 inhabitants, civil works by others", ("FLOWMATE",), 96_000, 5),
    Wish("Sewage pump repair",
         "Pump {n} of the lifting station trips, wants a repair this month", ("FLOWMATE",), 9_000, 6),
    Wish("Digester sludge pumps",
         "{n} sludge pumps beside the digester, gas area", ("FLOWMATE",), 74_000, 2, ("ATEX",)),
    Wish("Heat exchangers for a brewery", "{n} plate heat exchangers, food grade", ("HX",), 47_000, 4),
    Wish("Heat recovery from cooling water",
         "Recover heat of {n}0 kW from cooling water", ("HX", "CONTROL"), 128_000, 3),
    Wish("Heat pump source circuit",
         "Source circuit for a heat pump of {n}0 kW", ("HX",), 54_000, 4, ("HEATPUMP",)),
    Wish("Drinking water pumping station",
         "Renewal of a pumping station, {n} pumps", ("CLARIS",), 154_000, 4, ("HYGIENE",)),
    Wish("UV treatment for a spring",
         "UV treatment for {n} l/s with recording", ("CLARIS", "CONTROL"), 38_000, 3, ("HYGIENE",)),
    Wish("Telemetry for pumping stations",
         "Telemetry for {n} stations, alarms by telephone", ("CONTROL",), 42_000, 5),
    Wish("Energy check of pumps",
         "Measure {n} pumps and say which are worth replacing", ("SENTINEL", "CONTROL"), 12_000, 5),
    Wish("Pumps for a dairy", "{n} hygienic pumps for a new filling line", ("SENTINEL", "HX"), 83_000, 3),
    Wish("Spare parts and seals", "Seals and impellers for {n} older pumps", ("SENTINEL",), 5_500, 6),
)
# fmt: on
# industry -> how its companies are called; {t} town, {s} surname
CUSTOMERS = {
    "de": {
        "Food and drink": ("Brauerei {t}", "Molkerei {t}", "{s} Fruchtsäfte", "Schlossbrauerei {s}"),
        "Chemicals": ("{s} Chemie", "Lackwerk {t}", "{s} Kunststoffe"),
        "Water and sewage": ("Stadtwerke {t}", "Wasserverband {t}", "Abwasserverband {t}"),
        "Hotels": ("Hotel {s}", "Parkhotel {t}", "Gasthof zur Post {t}"),
        "Paper and wood": ("Papierfabrik {t}", "{s} Holzwerke"),
        "Metal": ("{s} Maschinenbau", "Gießerei {t}", "{s} Metalltechnik"),
        "Buildings": ("Wohnbau {t}", "{s} Immobilien", "Klinikum {t}"),
    },
    "fr": {
        "Food and drink": ("Brasserie de {t}", "Laiterie {s}"),
        "Chemicals": ("{s} Chimie", "Résines de {t}"),
        "Water and sewage": ("Régie des eaux de {t}", "Syndicat des eaux de {t}"),
        "Hotels": ("Hôtel {s}", "Grand Hôtel de {t}"),
        "Metal": ("Fonderie de {t}", "Ateliers {s}"),
        "Buildings": ("Habitat {t}", "Clinique {s}"),
    },
    "it": {
        "Food and drink": ("Birrificio {s}", "Caseificio di {t}"),
        "Chemicals": ("{s} Vernici", "Resine {t}"),
        "Water and sewage": ("Acquedotto di {t}", "Consorzio idrico {t}"),
        "Hotels": ("Albergo {s}", "Hotel Terme {t}"),
        "Paper and wood": ("Cartiera di {t}",),
        "Metal": ("Officine {s}", "Fonderia {t}"),
        "Buildings": ("Condomini {t}", "Casa di cura {s}"),
    },
    "cs": {
        "Food and drink": ("Pivovar {t}", "Mlékárna {t}"),
        "Chemicals": ("{s} Chemie", "Barvy {t}"),
        "Water and sewage": ("Vodovody {t}", "Vodárna {t}"),
        "Hotels": ("Hotel {s}", "Hotel Slavie {t}"),
        "Paper and wood": ("Papírna {t}",),
        "Metal": ("Strojírny {t}", "Slévárna {s}"),
        "Buildings": ("Bytový dům {t}", "Nemocnice {t}"),
    },
}
MESSAGES = {
    "de": "Guten Tag, wir benötigen: {need}. Bitte um Rückruf. {name}",
    "fr": "Bonjour, notre besoin : {need}. Merci de nous rappeler. {name}",
    "it": "Buongiorno, ci serve: {need}. Attendiamo una vostra chiamata. {name}",
    "cs": "Dobrý den, potřebujeme: {need}. Prosím o zavolání. {name}",
}
FIRST = {
    "de": _words(
        "Anna Eva Julia Sabine Petra Monika Lena Thomas Stefan Michael Andreas Markus Florian Georg"
    ),
    "fr": _words("Claire Julie Sophie Camille Nathalie Pierre Luc Antoine Julien Thierry"),
    "it": _words("Chiara Giulia Elena Paola Francesca Marco Luca Andrea Paolo Davide"),
    "cs": _words("Jana Eva Lenka Petra Tereza Jan Petr Tomáš Martin Jiří"),
}
LAST = {
    "de": _words(
        "Gruber Huber Bauer Wagner Pichler Steiner Moser Mayer Hofer Leitner Berger Fuchs Eder Fischer "
        "Schmid Winkler Weber Schwarz Maier Schneider Reiter Brunner Lang Baumgartner Auer Keller Vogel "
        "Brandt Krüger Lorenz"
    ),
    "fr": _words(
        "Martin Bernard Dubois Moreau Laurent Lefebvre Roux Fournier Girard Mercier Blanc Garnier Faure "
        "Rochat"
    ),
    "it": _words(
        "Rossi Ferrari Bianchi Romano Colombo Ricci Marino Greco Conti Gallo Costa Fontana Rinaldi Moretti"
    ),
    "cs": _words(
        "Novák Svoboda Dvořák Černý Procházka Kučera Veselý Horák Němec Marek Pokorný Král Růžička Beneš"
    ),
}
# How partners call themselves.
PARTNERS = {
    "de": (
        "{s} Pumpentechnik", "{t} Wassertechnik", "{s} & Söhne Hydraulik", "Aqua {t}", "{s} Anlagenbau",
        "Pumpenservice {t}", "{s} Fluidtechnik", "{s} Wärmetechnik", "Hydrowerk {t}",
    ),
    "fr": ("Hydraulique {s}", "Pompes {t} Service", "{s} Fluides", "Eaux & Énergie {t}", "Thermique {s}"),
    "it": ("{s} Pompe", "Idraulica {t}", "{s} Impianti", "Termotecnica {s}", "Acque {t} Servizi"),
    "cs": ("{s} Čerpadla", "Hydro {t}", "Vodní technika {t}", "{s} Servis", "Tepelná technika {s}"),
}  # fmt: skip
STEPS = (
    "Call and arrange a visit", "Visit the site", "Measure flow and head", "Send the offer", "Follow up the offer",
    "Clarify the delivery date", "Check the drawings", "Meet the plant manager",
)  # fmt: skip
PARTNER_NOTES = (
    "Spoke with the plant manager, wants a visit next week.",
    "Drawings received, they are good enough for an offer.",
    "Existing pumps are from 1998, parts are hard to get.",
    "Budget is there, the decision falls at the end of the month.",
    "They compare with one other supplier.",
    "Civil works are done by the town.",
)
VENDOR_NOTES = (
    "Customer called us too: please be quick on this one.",
    "The list price for this series changes next month.",
    "Let us know if you need the factory for commissioning.",
)
SOURCES = (("web_form", 9), ("phone", 4), ("fair", 2), ("email", 4))
HAND_REASONS = ("Nearest workshop that can do it", "Knows this customer", "Offered to help out in the region")
SERVED = ("AT", "DE", "CH", "CZ", "IT", "FR")
