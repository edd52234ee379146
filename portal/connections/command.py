"""`interline client add|list|revoke`: API clients of the vendor and of partners."""

import json

import click
from sqlalchemy import text

from portal.bootstrap import worker_url
from portal.connections import clients
from portal.db import PortalSession, make_engine, sort_key, transaction
from portal.errors import Refusal
from portal.security.context import Acting
from portal.settings import load

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line.")


@click.group()
def client() -> None:
    """API clients: add, list, revoke."""


@client.command()
@click.option("--company", required=True, help="Name or key of the company, or 'vendor'.")
@click.option("--scope", "scopes", multiple=True, required=True, help=f"One of: {', '.join(clients.SCOPES)}.")
@click.option("--name", default="", help="What the system is called, for people.")
@AS_JSON
def add(company: str, scopes: tuple[str, ...], name: str, as_json: bool) -> None:
    """Make a client and print its id and, this once, its secret."""
    wanted = [scope for given in scopes for scope in given.replace(",", " ").split()]
    try:
        with transaction(make_engine(worker_url(load()), pool_size=1), Acting()) as session:
            number, secret = clients.add(session, company_id(session, company), name or "API client", wanted)
    except Refusal as error:
        raise click.ClickException(error.message) from error
    if as_json:
        click.echo(
            json.dumps({"client_id": str(number), "client_secret": secret, "scopes": sorted(set(wanted))})
        )
        return
    click.echo(
        f"client id      {number}\nclient secret  {secret}\nThe secret is shown this once; only its hash is kept."
    )


@client.command("list")
@AS_JSON
def list_(as_json: bool) -> None:
    """Show all clients, without secrets."""
    with transaction(make_engine(worker_url(load()), pool_size=1), Acting()) as session:
        rows = clients.every(session)
    if as_json:
        click.echo(json.dumps({"clients": rows}, default=str))
        return
    for row in rows:
        state = f"revoked {row['revoked_at']:%Y-%m-%d}" if row["revoked_at"] else "active"
        click.echo(f"{row['id']}  {row['company']}  {row['name']}  {' '.join(row['scopes'])}  {state}")


@client.command()
@click.argument("client_id", type=int)
@AS_JSON
def revoke(client_id: int, as_json: bool) -> None:
    """End a client and its tokens."""
    try:
        with transaction(make_engine(worker_url(load()), pool_size=1), Acting()) as session:
            clients.revoke(session, client_id)
    except Refusal as error:
        raise click.ClickException(error.message) from error
    click.echo(json.dumps({"revoked": str(client_id)}) if as_json else f"Revoked {client_id}.")


def company_id(session: PortalSession, wanted: str) -> int:
    """The company named by 'vendor', its external key or its exact name; a ClickException says what is ambiguous."""
    if wanted.casefold() == "vendor":
        rows = session.execute(text("select id, name from companies where kind = 'vendor'")).all()
    else:
        rows = session.execute(
            text("select id, name from companies where external_key = :key or name_key = :name order by id"),
            {"key": wanted, "name": sort_key(wanted)},
        ).all()
    if len(rows) != 1:
        what = "No company" if not rows else f"{len(rows)} companies"
        raise click.ClickException(
            f"{what} with the key or name {wanted!r}. Give its key, its exact name, or 'vendor'."
        )
    return int(rows[0].id)
