"""Regions by ISO 3166-2 code as our map names them, for charts; other codes stand for themselves."""

MAPPED = {
    "AT": {
        "AT-1": "Burgenland", "AT-2": "Kärnten", "AT-3": "Niederösterreich", "AT-4": "Oberösterreich", "AT-5": "Salzburg",
        "AT-6": "Steiermark", "AT-7": "Tirol", "AT-8": "Vorarlberg", "AT-9": "Wien",
    },
    "CZ": {
        "CZ-10": "Prague", "CZ-20": "Středočeský", "CZ-31": "Jihočeský", "CZ-32": "Plzeňský", "CZ-41": "Karlovarský",
        "CZ-42": "Ústecký", "CZ-51": "Liberecký", "CZ-52": "Královéhradecký", "CZ-53": "Pardubický", "CZ-63": "Vysočina",
        "CZ-64": "Jihomoravský", "CZ-71": "Olomoucký", "CZ-72": "Zlínský", "CZ-80": "Moravskoslezský",
    },
    "DE": {
        "DE-BW": "Baden-Württemberg", "DE-BY": "Bayern", "DE-BE": "Berlin", "DE-BB": "Brandenburg", "DE-HB": "Bremen",
        "DE-HH": "Hamburg", "DE-HE": "Hessen", "DE-MV": "Mecklenburg-Vorpommern", "DE-NI": "Niedersachsen",
        "DE-NW": "Nordrhein-Westfalen", "DE-RP": "Rheinland-Pfalz", "DE-SL": "Saarland", "DE-SN": "Sachsen",
        "DE-ST": "Sachsen-Anhalt", "DE-SH": "Schleswig-Holstein", "DE-TH": "Thüringen",
    },
}  # fmt: skip
ALPHA3 = {"AT": "aut", "CZ": "cze", "DE": "deu"}
NAMES = {code: name for regions in MAPPED.values() for code, name in regions.items()}


def region_name(code: str | None) -> str:
    """'Salzburg' for 'AT-5'; an unknown code as it is."""
    return NAMES.get(code or "", code or "")
