"""Places on the wire: an offline geocoder, ISO codes of countries and areas, ZIP codes. Data load at first use only."""

from integrations.geo.codes import country, subdivision
from integrations.geo.names import folded
from integrations.geo.offline import FakeGeocoder, Geocoder, Located, OfflineGeocoder, Precision
from integrations.geo.us import Zip
from integrations.geo.us import find as find_zip

__all__ = [
    "FakeGeocoder",
    "Geocoder",
    "Located",
    "OfflineGeocoder",
    "Precision",
    "Zip",
    "country",
    "find_zip",
    "folded",
    "subdivision",
]
