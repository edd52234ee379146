"""The demo company: real towns, invented people, and the real actions under an advanced clock."""

from portal.settings import Settings

# One password for everybody in the demo, which only runs on a machine of one's own.
PASSWORD = "pumps-and-partners"  # noqa: S105 - no secret
PERSONAS = (
    ("Channel manager", "ingrid.hall@halden.example"),
    ("Sales representative", "tomas.berg@halden.example"),
    ("Account manager", "anna.lund@halden.example"),
    ("Operator", "olga.horn@halden.example"),
    ("Partner, sales", "katrin.moser@danubia-technik.example"),
    ("Partner, administrator", "lukas.huber@danubia-technik.example"),
)


def personas(_settings: Settings) -> list[tuple[str, str, str]]:
    """(title, e-mail, password) of the people one signs in as."""
    return [(title, email, PASSWORD) for title, email in PERSONAS]
