"""Rule sets as people change them: drafts, review, publishing, and the pages for it."""

from typing import Any


def includeme(config: Any) -> None:
    """The pages under /rules."""
    config.include("portal.routing.rulesets.views")
    config.include("portal.routing.rulesets.editing")
    config.include("portal.routing.rulesets.publishing")
    config.include("portal.routing.rulesets.settings")
    config.include("portal.routing.rulesets.files")
    config.include("portal.routing.rulesets.trying")
    config.include("portal.routing.rulesets.rehearsal_views")
