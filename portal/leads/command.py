"""`interline route`: routes leads that wait, e.g. after an import with --no-route or a change of the directory."""

import json

import click
from rich.progress import Progress
from sqlalchemy import text

from portal.bootstrap import worker_url
from portal.companies.queries import vendor_id
from portal.db import make_engine, transaction
from portal.leads.offering import route as route_lead
from portal.security.context import Acting
from portal.settings import load

# One transaction per lead: a failure leaves the others routed, and no lock is held for long.
WAITING = text("""
    select id from leads where realm_id = :realm and assignment = any(:states) and suspected_duplicate_of is null
      and stage not in ('won', 'lost', 'invalid', 'duplicate') order by received_at, id
""")


@click.command()
@click.option("--unroutable", is_flag=True, help="Also those that nobody could take before.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line.")
def route(unroutable: bool, as_json: bool) -> None:
    """Route every lead that waits; says how many were offered and how many nobody can take."""
    engine = make_engine(worker_url(load()), pool_size=1)
    states = ["unrouted", "handed_back", *(["unroutable"] if unroutable else [])]
    with transaction(engine, Acting()) as session:
        vendor = vendor_id(session)
        waiting = list(session.scalars(WAITING, {"realm": session.context.realm_id, "states": states}))
    found = {"offered": 0, "unroutable": 0}
    with Progress(disable=as_json) as progress:
        for lead_id in progress.track(waiting, description="Routing"):
            with transaction(engine, Acting(kind="vendor", company_id=vendor)) as session:
                offer = route_lead(session, lead_id)
            found["offered" if offer else "unroutable"] += 1
    if as_json:
        click.echo(json.dumps(found))
    else:
        click.echo(f"{found['offered']} offered to partners, {found['unroutable']} that nobody can take.")
