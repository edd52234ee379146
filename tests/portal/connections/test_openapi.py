"""The OpenAPI document, and schemathesis asking whether the API is as the document says."""

import os
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS

from portal.connections import api
from tests.portal.site import site, system
from tests.world import World

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "40"))
# A year outside 2000 to 2100 or a country that does not exist is refused with 422, which a schema cannot say.
NOT_SAID = {"positive_data_acceptance"}


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


def test_the_api_is_as_the_document_says(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "METER", api.Meter(calls=10_000_000))
    app = system(world, world.vendor_id, "leads:read", "leads:write")
    schema = schemathesis.openapi.from_wsgi("/openapi.json", app.interline)
    bearer = {"Authorization": f"Bearer {app.authorization[1]}"}
    chosen = [check for check in CHECKS.get_all() if check.__name__ not in NOT_SAID]
    asked = []
    for result in schema.get_all_operations():
        operation = result.ok()

        @operation_test(operation)
        def ask(case: Any) -> None:
            response = case.call(headers=bearer)
            asked.append((case.operation.label, response.status_code))
            case.validate_response(response, checks=chosen, headers=bearer)

        ask()
    assert {label for label, _ in asked} == {"POST /api/v1/leads", "GET /api/v1/leads/{number}"}
    assert {201, 422} <= {status for label, status in asked if label.startswith("POST")}, "not vacuous"


def operation_test(operation: Any) -> Any:
    """Run a function with generated cases of one operation, a bounded number of times, the same ones every time."""

    def decorate(function: Any) -> Any:
        from hypothesis import given

        return settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )(given(case=operation.as_strategy())(function))

    return decorate
