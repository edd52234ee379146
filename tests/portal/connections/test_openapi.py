"""The OpenAPI document, and schemathesis asking whether the API is as the document says."""

import os
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS
from sqlalchemy import text

from portal.connections import api
from portal.security.context import digest
from tests.portal.site import site, system
from tests.world import DANUBIA, World

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "40"))
# A year outside 2000 to 2100 or a country that does not exist is refused with 422, which a schema cannot say.
NOT_SAID = {"positive_data_acceptance"}
# Who may not is refused before anything sent is looked at.
REFUSED = {"negative_data_rejection", "missing_required_header", "unsupported_method"}


def test_the_document_describes_every_endpoint(world: World) -> None:
    app = site(world.database)
    document = app.get("/openapi.json").json
    assert document["openapi"].startswith("3.1")
    described = {(path, method.upper()) for path, item in document["paths"].items() for method in item}
    assert described == {(e.path, e.method) for e in app.interline.registry.api_endpoints}
    lead = document["components"]["schemas"]["LeadIn"]
    assert lead["required"] == ["account"] and lead["properties"]["amount"]["anyOf"][0]["$ref"].endswith(
        "/Money"
    )
    flow = document["components"]["securitySchemes"]["oauth"]["flows"]["clientCredentials"]
    assert flow["tokenUrl"].endswith("/oauth/token") and "leads:write" in flow["scopes"]


def test_references_lead_somewhere(world: World) -> None:
    document = site(world.database).get("/openapi.json").json

    def check(node: Any) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                name = node["$ref"].rpartition("/")[2]
                assert name in document["components"]["schemas"], node
            for value in node.values():
                check(value)
        elif isinstance(node, list):
            for value in node:
                check(value)

    check(document)


def test_the_document_is_cached_by_its_tag(world: World) -> None:
    app = site(world.database)
    tag = app.get("/openapi.json").headers["ETag"]
    assert app.get("/openapi.json", headers={"If-None-Match": tag}, status=304)


SCOPES = ("leads:read", "leads:write", "files:write", "events:read")
OF_PARTNERS = ("leads:read", "files:write", "events:read")
ASKING: dict[str, tuple[str | None, tuple[str, ...]]] = {
    "the vendor's system": ("the vendor", SCOPES),
    "a partner's system": (DANUBIA, OF_PARTNERS),
    "a system without scopes": (DANUBIA, OF_PARTNERS),
    "a stranger": (None, ()),
}


def bearer_of(world: World, who: str) -> dict[str, str]:
    """The Authorization header of one of them."""
    name, scopes = ASKING[who]
    if name is None:
        return {}
    company = world.company(name) if name == DANUBIA else world.vendor_id
    bearer = str(system(world, company, *scopes).authorization[1])
    if who == "a system without scopes":
        with world.system() as session:
            session.execute(
                text("update credentials set scopes = '{}' where hash = :h"), {"h": digest(bearer)}
            )
    return {"Authorization": f"Bearer {bearer}"}


@pytest.mark.parametrize("who", ASKING)
def test_the_api_is_as_the_document_says(world: World, monkeypatch: pytest.MonkeyPatch, who: str) -> None:
    monkeypatch.setattr(api, "METER", api.Meter(calls=10_000_000))
    bearer, app = bearer_of(world, who), site(world.database)
    schema = schemathesis.openapi.from_wsgi("/openapi.json", app.interline)
    vendor = who == "the vendor's system"
    unsaid = NOT_SAID if vendor else NOT_SAID | REFUSED
    chosen = [check for check in CHECKS.get_all() if check.__name__ not in unsaid]
    asked = []
    for result in schema.get_all_operations():
        operation = result.ok()

        @operation_test(operation, EXAMPLES if vendor else max(5, EXAMPLES // 4))
        def ask(case: Any) -> None:
            response = case.call(headers=bearer)
            asked.append((case.operation.label, response.status_code))
            case.validate_response(response, checks=chosen, headers=bearer)

        ask()
    described = {(e.method, e.path) for e in app.interline.registry.api_endpoints}
    assert {label for label, _ in asked} == {f"{method} {path}" for method, path in described}
    statuses = {status for _label, status in asked}
    if vendor:
        assert {201, 422} <= {status for label, status in asked if label.startswith("POST")}, "not vacuous"
    elif who == "a stranger":
        assert statuses <= {401, 404, 405}
    elif who == "a system without scopes":
        assert statuses <= {401, 403, 404, 405} and 403 in statuses
    else:
        assert {200, 404} <= statuses


def operation_test(operation: Any, examples: int) -> Any:
    """Run a function with generated cases of one operation, a bounded number of times, the same ones every time."""

    def decorate(function: Any) -> Any:
        from hypothesis import given

        return settings(
            max_examples=examples,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )(given(case=operation.as_strategy())(function))

    return decorate
