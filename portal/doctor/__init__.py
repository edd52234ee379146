"""`interline doctor`: what works, what is off, and the cure for each; changes nothing."""

from portal.doctor.command import doctor
from portal.doctor.machine import find_chromium

__all__ = ["doctor", "find_chromium"]
