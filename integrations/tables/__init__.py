"""Tables on the wire: CSV and JSON files in, as a stream of rows; CSV and XLSX out that no spreadsheet will run."""

from integrations.tables.reading import EXTRA, Limits, TableError, sniffed, table
from integrations.tables.writing import (
    cell_text,
    neutralise,
    restored,
    write_csv,
    write_sheet,
    write_wrong_rows,
)

__all__ = [
    "EXTRA",
    "Limits",
    "TableError",
    "cell_text",
    "neutralise",
    "restored",
    "sniffed",
    "table",
    "write_csv",
    "write_sheet",
    "write_wrong_rows",
]
