"""GET /openapi.json: the OpenAPI 3.1 document, made from the endpoints' pydantic models when the process starts."""

import json
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response

from integrations.oauth import TOKEN_LIFETIME_S
from portal.connections.api import Endpoint, endpoints
from portal.connections.clients import SCOPES

REF = "#/components/schemas/{model}"
VERSION = "1.0.0"
PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457 problem.",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "code", "message"],
                "properties": {
                    "field": {"type": "string"},
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                },
            },
        },
    },
}
READ_REFUSALS = {
    401: "No valid access token",
    403: "The token does not carry the scope",
    404: "Nothing here for this client",
    422: "A parameter of the address that is not known",
    429: "Too many calls; see Retry-After",
}
WRITE_REFUSALS = {
    400: "The body is not JSON",
    401: "No valid access token",
    403: "The token does not carry the scope",
    404: "Nothing here for this client",
    409: "The state does not allow it (any more)",
    413: "The body is too large",
    415: "The body is not declared as JSON",
    422: "Fields that cannot be used, each with its cure; or a used Idempotency-Key",
    429: "Too many calls; see Retry-After",
}
KEY_PARAMETER: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Repeats with this key get the first answer again, for 30 days.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
}


def document(found: list[Endpoint], site_url: str) -> dict[str, Any]:
    """The whole document."""
    schemas: dict[str, Any] = {"Problem": PROBLEM}
    paths: dict[str, Any] = {}
    for endpoint in found:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, schemas)
    flow = {"tokenUrl": f"{site_url}/oauth/token", "scopes": {scope: scope for scope in SCOPES}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Interline",
            "version": VERSION,
            "description": f"Tokens live {TOKEN_LIFETIME_S} s. Unknown fields of a body are ignored, unknown parameters"
            " of an address refused; v1 only grows.",
        },
        "servers": [{"url": site_url}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {
                "oauth": {"type": "oauth2", "flows": {"clientCredentials": flow}},
            },
        },
    }


def _operation(endpoint: Endpoint, schemas: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "description": endpoint.description,
        "security": [{"oauth": [endpoint.scope]}],
        "responses": {},
    }
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "description": words, "schema": {"type": "string"}}
        for name, words in endpoint.parameters.items()
    ]
    if endpoint.query is not None:
        parameters += _query(endpoint.query)
    if endpoint.method != "GET":
        parameters.append(KEY_PARAMETER)
    if parameters:
        made["parameters"] = parameters
    if endpoint.body is not None:
        schema = _schema(endpoint.body, schemas, "validation")
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    if endpoint.form is not None:
        form = {"multipart/form-data": {"schema": dict(endpoint.form)}}
        made["requestBody"] = {"required": True, "content": form}
    for status, (words, model) in endpoint.answers.items():
        content = {"application/json": {"schema": _schema(model, schemas, "serialization")}}
        if model is bytes:
            content = {"*/*": {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}}
        made["responses"][str(status)] = {"description": words, "content": content}
    problem = {"application/problem+json": {"schema": {"$ref": REF.format(model="Problem")}}}
    for status, words in (READ_REFUSALS if endpoint.method == "GET" else WRITE_REFUSALS).items():
        made["responses"].setdefault(str(status), {"description": words, "content": problem})
    for status, words in endpoint.refusals.items():
        made["responses"][str(status)] = {"description": words, "content": problem}
    if endpoint.method == "GET":
        made["responses"]["304"] = {"description": "Not modified since the ETag in If-None-Match"}
    return made


def _query(model: type[BaseModel]) -> list[dict[str, Any]]:
    """Parameters of the address, one for each field of the model."""
    schema = model.model_json_schema(mode="validation")
    made = []
    for name, field in schema["properties"].items():
        words = field.pop("description", "")
        kept = {"name": name, "in": "query", "required": name in schema.get("required", ())}
        made.append({**kept, "description": words, "schema": field})
    return made


def _schema(model: Any, schemas: dict[str, Any], mode: Any) -> dict[str, Any]:
    """The model's JSON schema with its parts moved into `schemas`."""
    made = TypeAdapter(model).json_schema(ref_template=REF, mode=mode)
    schemas.update(made.pop("$defs", {}))
    if "title" in made and made.get("type") == "object":
        schemas[made["title"]] = made
        return {"$ref": REF.format(model=made["title"])}
    return made


def openapi(request: Request) -> Response:
    """The document, made once per process."""
    registry = request.registry
    if not hasattr(registry, "openapi_bytes"):
        made = document(registry.api_endpoints, registry.portal.site_url)
        registry.openapi_bytes = json.dumps(made, indent=1).encode()
    response = Response(registry.openapi_bytes, content_type="application/json")
    response.headers["Cache-Control"] = "public, max-age=300"
    response.md5_etag()
    response.conditional_response = True
    return response


def includeme(config: Configurator) -> None:
    """Open to all: it says nothing about anybody's data."""
    endpoints(config)
    config.add_route("openapi", "/openapi.json")
    config.add_view(openapi, route_name="openapi", request_method="GET", permission="public")
