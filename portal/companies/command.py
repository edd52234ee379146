"""`interline person add` and `person reset-factor`: people who may sign in."""

import json
import sys

import click
from sqlalchemy import text

from portal.bootstrap import worker_url
from portal.companies import actions
from portal.connections.command import company_id
from portal.db import make_engine, transaction
from portal.errors import Refusal
from portal.security import signin
from portal.security.context import Acting
from portal.security.passwords import password_fault
from portal.settings import load


@click.group()
def person() -> None:
    """People who may sign in."""


@person.command()
@click.argument("email")
@click.option("--name", required=True, help="How the person is called.")
@click.option("--company", required=True, help="Name or key of the company, or 'vendor'.")
@click.option("--role", "roles", multiple=True, required=True, help="Role in that company; may be repeated.")
@click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input instead of mailing a link."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line.")
def add(
    email: str, name: str, company: str, roles: tuple[str, ...], password_stdin: bool, as_json: bool
) -> None:
    """Give the person with EMAIL a role, and a link by mail (or a password) to sign in with."""
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else None
    if password is not None:
        fault = password_fault(password, email, name)
        if fault:
            raise click.ClickException(f"Password: {fault}")
    wanted = [role for given in roles for role in given.replace(",", " ").split()]
    try:
        with transaction(make_engine(worker_url(load()), pool_size=1), Acting()) as session:
            number = signin.invite(
                session, email, name, company_id(session, company), wanted, mail=password is None
            )
            if password is not None:
                signin.set_password_directly(session, number, password)
    except Refusal as error:
        raise click.ClickException(error.message) from error
    how = "may sign in now" if password is not None else "gets a mail with a link"
    click.echo(
        json.dumps({"person_id": str(number), "mailed": password is None}) if as_json else f"{email} {how}."
    )


@person.command("reset-factor")
@click.argument("email")
def reset_factor(email: str) -> None:
    """Take the second factor from the person with EMAIL, who has lost it and has no administrator to ask."""
    with transaction(make_engine(worker_url(load()), pool_size=1), Acting()) as session:
        query = text("""
            select p.id, m.company_id from people p join memberships m on m.person_id = p.id
            where p.realm_id = :realm and p.email_key = :key order by m.created_at, m.id limit 1
        """)
        key = {"realm": session.context.realm_id, "key": signin.email_key(email)}
        found = session.execute(query, key).first()
        if found is None:
            raise click.ClickException(f"Nobody signs in with {email}.")
        try:
            actions.reset_factor(session, found.company_id, found.id)
        except Refusal as error:
            raise click.ClickException(error.message) from error
    click.echo(f"{email} signs in with the password alone now, and is told by mail.")
