"""From the bytes of a file to records: rows as they stand, and each row mapped and placed on the map.

reader = Reader(Mapping.load("maryland", "leads"), gateways.geocoder(settings))
for number, row in reader.rows(content):
    record = reader.record(row)         # raises RowError, whose text is the reason
"""

from collections import Counter
from collections.abc import Iterator
from collections.abc import Mapping as Row
from typing import Any

from integrations.geo import Geocoder
from integrations.tables import TableError, sniffed, table
from portal.imports.cells import Note
from portal.imports.mapping import Mapped, Mapping

UNPLACED = "none"


class RowError(ValueError):
    """A row that cannot be used; its text is the reason for the file of wrong rows, `mapped` holds the details."""

    def __init__(self, mapped: Mapped) -> None:
        super().__init__(mapped.reason)
        self.mapped = mapped


class Reader:
    """Reads files of one mapping. `precisions` counts how the places were found, `notes` what was guessed."""

    def __init__(self, mapping: Mapping, geocoder: Geocoder) -> None:
        self.mapping, self.geocoder = mapping, geocoder
        self.precisions: Counter[str] = Counter()
        self.ignored = 0
        self.notes: list[Note] = []

    def rows(self, content: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
        """(number, original columns) of each row that no rule leaves out; TableError when the file cannot be read."""
        form = self.mapping.format
        rows = table(content, format=form.as_, encoding=form.encoding, delimiter=form.delimiter)
        first = True
        for number, row in rows:
            if first and self._is_csv(content):
                self._check_header(row)
            first = False
            if any(rule.meets(row) for rule in self.mapping.unless):
                self.ignored += 1
                continue
            yield number, row

    def record(self, row: Row[str, Any]) -> Any:
        """The PartnerRecord or LeadRecord of a row, placed; RowError with the reason when it cannot be used."""
        return self.mapped(row).record

    def mapped(self, row: Row[str, Any]) -> Mapped:
        """As `record`, with the notes."""
        mapped = self.mapping.apply(row)
        if mapped.errors:
            raise RowError(mapped)
        if self.mapping.kind == "partners":
            for location in mapped.record.get("locations", ()):
                self._place(location)
        else:
            self._place(mapped.record.setdefault("place", {}))
        self.notes += mapped.notes
        return mapped

    def _is_csv(self, content: bytes) -> bool:
        form = self.mapping.format
        return sniffed(content, format=form.as_, encoding=form.encoding).format == "csv"

    def _check_header(self, row: Row[str, Any]) -> None:
        missing = [name for name in self.mapping.needed if name not in row]
        if missing:
            cure = f"The file has: {', '.join(row)}. Rename the column, or choose another mapping."
            raise TableError(f"There is no column {', '.join(missing)}.", cure)

    def _place(self, place: Any) -> None:
        """Coordinates by postal code, town, area or country where the file gives none; 0.0 is a coordinate."""
        place.update(located(self.geocoder, place))
        self.precisions[place.get("precision", UNPLACED)] += 1


def located(geocoder: Geocoder, place: Row[str, Any]) -> dict[str, Any]:
    """What the geocoder adds to a place: lat, lon, precision, and the subdivision when it was not said.

    Also for leads that come by other wires than files. {} when nothing is known.
    """
    if place.get("lat") is not None and place.get("lon") is not None:
        return {} if place.get("precision") else {"precision": "exact"}
    if not place.get("country"):
        return {}
    found = geocoder.locate(
        place["country"], place.get("postal"), place.get("city"), place.get("subdivision")
    )
    if found is None:
        return {}
    added: dict[str, Any] = {"lat": found.lat, "lon": found.lon, "precision": found.precision}
    if not place.get("subdivision") and found.subdivision:
        added["subdivision"] = found.subdivision
    return added
