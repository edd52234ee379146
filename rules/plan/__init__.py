"""The compiled engine: `Plan(ruleset, snapshot)` answers what `Reference` answers, byte for byte, in microseconds."""

from .engine import Plan
from .matrix import Line, Matrix

__all__ = ["Line", "Matrix", "Plan"]
