"""Several people on one site: the application of a test's database is built once, however many look at it."""

from typing import Any

from webtest import TestApp

from tests.portal.site import ADDRESS, application
from tests.world import World


def visitor(world: World, email: str) -> TestApp:
    """A client with the session of a person of the small world, on the one application of its database."""
    kept: dict[str, Any] = world.database.__dict__
    if "application" not in kept:
        kept["application"] = application(world.database.settings)
    made = TestApp(kept["application"], extra_environ=dict(ADDRESS))
    made.interline = kept["application"]
    made.set_cookie("interline", world.sessions[email])
    return made
