"""Imports every room's work handlers, so that a worker knows them all."""

from portal.imports import tasks as imports
from portal.leads import mails as lead_mails
from portal.leads import tasks as leads
from portal.security import tasks as security
from portal.sharing import tasks as sharing

__all__ = ["imports", "lead_mails", "leads", "security", "sharing"]
