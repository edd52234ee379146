"""Imports every room's work handlers, so that a worker knows them all."""

from portal.imports import tasks as imports
from portal.leads import files as lead_files
from portal.leads import mails as lead_mails
from portal.leads import tasks as leads
from portal.partners.proposals import tasks as proposals
from portal.routing.rulesets import tasks as rulesets
from portal.security import tasks as security
from portal.sharing import tasks as sharing

__all__ = ["imports", "lead_files", "lead_mails", "leads", "proposals", "rulesets", "security", "sharing"]
