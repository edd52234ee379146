"""Who a transaction works for: the credential that opens it and the context the database signed for it.

The database looks the credential's hash up itself (function app.enter, migration 0001) and signs the context for
this one transaction of this one back end, so that injected SQL can neither forge nor replay it.
"""

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from sqlalchemy.engine import Connection

# 'code' and 'half': somebody whose sign-in still lacks something; they see the own rows alone (migration 0002).
Kind = Literal["vendor", "partner", "link", "public", "system", "code", "half"]

# In the driver's own words: they open every transaction.
ENTER = "select * from app.enter(%s, %s, null)"
ENTER_HALF = "select * from app.enter_half(%s)"
ACT = "select * from app.act(%s, %s, %s, %s, %s)"


@dataclass(frozen=True, slots=True)
class Credential:
    """What a caller shows: the SHA-256 of a secret and what it is used for."""

    purpose: Literal["session", "half", "api", "offer", "public"]
    hash: bytes = b""


@dataclass(frozen=True, slots=True)
class Acting(Credential):
    """On the worker login only: act as this principal (kind `system` sees the whole realm)."""

    purpose: Literal["session", "half", "api", "offer", "public"] = "public"
    realm_id: int = 1
    kind: Kind = "system"
    company_id: int | None = None
    person_id: int | None = None
    subject_id: int | None = None
    now: datetime | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """The principal of one transaction; `now` is the realm's clock when it began (never SQL now())."""

    realm_id: int
    kind: Kind
    company_id: int | None
    person_id: int | None
    now: datetime
    client_id: int | None = None
    subject_id: int | None = None
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    person_name: str | None = None
    company_name: str | None = None
    language: str = "en"
    time_zone: str = "UTC"
    directory_version: int = 0
    companies: int = field(default=1, compare=False)

    @property
    def is_vendor(self) -> bool:
        """True for the vendor's people and systems, and for `system` work done on the vendor's behalf."""
        return self.kind in ("vendor", "system")

    def at(self, now: datetime) -> "Context":
        """The same principal at another business time (sandbox clocks, demo, tests)."""
        return replace(self, now=now)


PUBLIC = Credential("public")


def digest(secret: str) -> bytes:
    """SHA-256 of a random secret; what is stored and looked up (secrets are 256-bit, so no slow hash is needed)."""
    return hashlib.sha256(secret.encode()).digest()


def enter(connection: Connection, credential: Credential) -> Context:
    """Open the context on `connection`; an unknown, expired or revoked credential becomes kind `public`."""
    if isinstance(credential, Acting):
        who = (credential.realm_id, credential.kind, credential.company_id, credential.person_id)
        row = connection.exec_driver_sql(ACT, (*who, credential.subject_id)).one()
    elif credential.purpose == "half":
        row = connection.exec_driver_sql(ENTER_HALF, (credential.hash,)).one()
    else:
        row = connection.exec_driver_sql(ENTER, (credential.purpose, credential.hash)).one()
    now = credential.now if isinstance(credential, Acting) and credential.now else row.now
    return Context(
        realm_id=row.realm_id,
        kind=row.kind,
        company_id=row.company_id,
        person_id=row.person_id,
        client_id=row.client_id,
        subject_id=row.subject_id,
        now=now,
        roles=frozenset(row.roles or ()),
        scopes=frozenset(row.scopes or ()),
        person_name=row.person_name,
        company_name=row.company_name,
        language=row.language or "en",
        time_zone=row.time_zone or "UTC",
        directory_version=row.directory_version,
        companies=row.companies,
    )
