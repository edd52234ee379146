"""Publishing at the moment that was set."""

from portal.db import PortalSession
from portal.events.work import Item, handler
from portal.routing.rulesets.actions import publish_scheduled


@handler("rule_set.publish")
def publish_at(session: PortalSession, item: Item) -> None:
    """Publish the rule set if it still waits for this moment."""
    publish_scheduled(session, int(item.payload["rule_set"]), int(item.payload["revision"]))
