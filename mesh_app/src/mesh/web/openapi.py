"""The OpenAPI 3.1 document of a service, made from the same table of endpoints that answers its requests."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from mesh.access.identity import Access

if TYPE_CHECKING:
    from mesh.web.http import Endpoint, Parameter

_PLACEHOLDER = re.compile(r"{(\w+)(?::\w+)?}")
_TEMPLATE = "#/components/schemas/{name}"
_BODILESS = (204, 303, 304)


class Problem(msgspec.Struct):
    """An error as RFC 9457 describes it; `detail` says what is wrong and what to do."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str


def document(service: str, release: str, endpoints: Sequence[Endpoint]) -> bytes:
    """The document as JSON; every type that an endpoint names must be one that msgspec has a schema for."""
    types: dict[str, Any] = {"problem": Problem}
    for endpoint in endpoints:
        key = f"{endpoint.method} {endpoint.path}"
        types |= {f"{key} {part}": shape for part, shape in _shapes(endpoint)}
    schemas, components = msgspec.json.schema_components(types.values(), ref_template=_TEMPLATE)
    by_use = dict(zip(types, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        path = _PLACEHOLDER.sub(r"{\1}", endpoint.path)
        paths.setdefault(path, {})[endpoint.method.lower()] = _operation(endpoint, by_use)
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {"title": f"aimesh {service}", "version": release},
            "paths": paths,
            "components": {
                "schemas": components,
                "securitySchemes": {
                    "bearer": {"type": "http", "scheme": "bearer"},
                    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                },
            },
        }
    )


def error_statuses(endpoint: Endpoint) -> list[int]:
    """The statuses that come as a problem: those of every endpoint of this kind, and the endpoint's own."""
    statuses = {403, *endpoint.errors}
    if endpoint.access is not Access.OPEN:
        statuses |= {400, 401, 429, 503}
    if endpoint.parameters:
        statuses.add(400)
    if _PLACEHOLDER.search(endpoint.path):
        statuses.add(404)
    if endpoint.body is not None:
        statuses |= {400, 413, 422}
    return sorted(statuses)


def _shapes(endpoint: Endpoint) -> list[tuple[str, Any]]:
    given = [("body", endpoint.body), ("answer", endpoint.answer)]
    given += [(f"{parameter.place} {parameter.name}", parameter.type) for parameter in endpoint.parameters]
    return [(part, shape) for part, shape in given if shape is not None]


def _operation(endpoint: Endpoint, schemas: dict[str, Any]) -> dict[str, Any]:
    key = f"{endpoint.method} {endpoint.path}"
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _PLACEHOLDER.findall(endpoint.path)
    ]
    parameters += [_parameter(one, schemas[f"{key} {one.place} {one.name}"]) for one in endpoint.parameters]
    operation: dict[str, Any] = {
        "operationId": _operation_id(endpoint),
        "summary": endpoint.summary,
        "parameters": parameters,
        "responses": _responses(endpoint, schemas.get(f"{key} answer"), schemas["problem"]),
    }
    if endpoint.body is not None:
        content = {endpoint.takes: {"schema": schemas[f"{key} body"]}}
        operation["requestBody"] = {"required": True, "content": content}
    if endpoint.access is not Access.OPEN:
        roles = ", ".join(endpoint.access.value)
        operation |= {"security": [{"bearer": []}, {"key": []}], "description": f"Roles: {roles}."}
    return operation


def _operation_id(endpoint: Endpoint) -> str:
    words = [word for word in re.split(r"\W+", endpoint.path) if word not in ("", "api")]
    return "_".join([endpoint.method.lower(), *(word.replace("-", "_") for word in words)])


def _parameter(parameter: Parameter, schema: Any) -> dict[str, Any]:
    shown = {"name": parameter.name, "in": parameter.place, "required": False, "schema": schema}
    return {**shown, "description": parameter.description} if parameter.description else shown


def _responses(endpoint: Endpoint, answer: Any, problem: Any) -> dict[str, Any]:
    contents: dict[int, dict[str, Any]] = {}
    for status in (endpoint.success, *endpoint.also):
        content = {} if status in _BODILESS else {endpoint.content: {"schema": answer} if answer else {}}
        contents.setdefault(status, {}).update(content)
    for status in error_statuses(endpoint):
        contents.setdefault(status, {})["application/problem+json"] = {"schema": problem}
    return {
        str(status): {"description": HTTPStatus(status).phrase, **({"content": content} if content else {})}
        for status, content in sorted(contents.items())
    }
