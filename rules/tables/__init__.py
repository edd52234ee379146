"""Decision tables in the shape of DMN: rows of unary tests under a hit policy, lowered to rows of the rule set."""

from .form import POLICIES, Column, Policy, Table, TableExample, acting, acting_rows
from .unary import CellTextError, cell_text, parse_cell

__all__ = [
    "POLICIES",
    "CellTextError",
    "Column",
    "Policy",
    "Table",
    "TableExample",
    "acting",
    "acting_rows",
    "cell_text",
    "parse_cell",
]
