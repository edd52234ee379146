"""API clients: a company's systems, each with an id, a secret (kept hashed) and scopes. And their tokens."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import text

from portal.db import PortalSession, new_id
from portal.errors import Fault, Invalid, NotFound
from portal.security.context import digest
from portal.security.signin import new_secret

# scope -> who may have it
SCOPES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "leads:read": ("vendor", "partner", "distributor"),
        "leads:write": ("vendor",),
        "files:write": ("vendor", "partner", "distributor"),
        "events:read": ("vendor", "partner", "distributor"),
    }
)
MAX_ID = 2**63


def add(session: PortalSession, company_id: int, name: str, scopes: Iterable[str]) -> tuple[int, str]:
    """Make a client; its id and its secret, which is shown this once. The worker login only. Raises Invalid."""
    wanted = sorted(set(scopes))
    kind = session.execute(text("select kind from companies where id = :id"), {"id": company_id}).scalar()
    if kind is None:
        raise NotFound()
    wrong = [scope for scope in wanted if kind not in SCOPES.get(scope, ())]
    if wrong or not wanted:
        known = ", ".join(scope for scope, kinds in SCOPES.items() if kind in kinds)
        raise Invalid(Fault("scope", " ".join(wrong), f"A {kind}'s client may have: {known}.", "scope"))
    number, secret = new_id(), new_secret()
    session.execute(
        text("""
            insert into api_clients (id, realm_id, company_id, name, secret_hash, scopes, created_at)
            values (:id, :realm, :company, :name, :hash, :scopes, :now)
        """),
        {
            "id": number,
            "realm": session.context.realm_id,
            "company": company_id,
            "name": name.strip() or "API client",
            "hash": digest(secret),
            "scopes": wanted,
            "now": session.context.now,
        },
    )
    return number, secret


def every(session: PortalSession) -> list[dict[str, Any]]:
    """All clients with their companies, without secrets. The worker login only."""
    rows = session.execute(
        text("""
            select a.id, a.name, c.name as company, a.scopes, a.created_at, a.revoked_at
            from api_clients a join companies c on c.id = a.company_id order by a.created_at, a.id
        """)
    )
    return [{**row._mapping, "id": str(row.id)} for row in rows]


def revoke(session: PortalSession, client_id: int) -> None:
    """End a client and every token of it at once. The worker login only. Raises NotFound."""
    found = session.execute(
        text("update api_clients set revoked_at = coalesce(revoked_at, :now) where id = :id returning id"),
        {"id": client_id, "now": session.context.now},
    ).first()
    if found is None:
        raise NotFound(f"There is no client {client_id}.")
    session.execute(text("delete from credentials where client_id = :id"), {"id": client_id})


@dataclass(frozen=True, slots=True)
class ClientStore:
    """integrations.oauth.Store on the database's own functions: secrets and tokens are compared and kept hashed."""

    session: PortalSession

    def scopes_of(self, client_id: str, secret: str) -> frozenset[str] | None:
        """See integrations.oauth.Store."""
        number = _number(client_id)
        if number is None:
            return None
        row = self.session.execute(
            text("select * from app.client_of(:client, :secret)"),
            {"client": number, "secret": digest(secret)},
        ).first()
        return frozenset(row.scopes) if row else None

    def save(self, client_id: str, secret: str, token: str, scopes: Sequence[str], seconds: int) -> bool:
        """See integrations.oauth.Store."""
        return bool(
            self.session.execute(
                text("select app.open_token(:client, :secret, :token, :scopes, :seconds)"),
                {
                    "client": _number(client_id),
                    "secret": digest(secret),
                    "token": digest(token),
                    "scopes": list(scopes),
                    "seconds": seconds,
                },
            ).scalar_one()
        )


def _number(client_id: str) -> int | None:
    plain = client_id.isascii() and client_id.isdigit() and len(client_id) <= len(str(MAX_ID))
    return int(client_id) if plain and int(client_id) < MAX_ID else None
