"""Schemas that objects of the chart and its values are held against: Kubernetes' own, and the chart's."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import jsonschema
from kubernetes_objects import CHART, ROOT, Object

SCHEMAS = sorted((ROOT / "third_party" / "kubernetes").glob("v*.json"))
VERSIONS = tuple(path.stem for path in SCHEMAS)
"""Lines of Kubernetes that the chart is for."""


@cache
def _schema(version: str) -> dict[str, Any]:
    path = next(path for path in SCHEMAS if path.stem == version)
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def schema_errors(version: str, thing: Object) -> list[str]:
    """What that line of Kubernetes has against an object, unknown keys included."""
    document = _schema(version)
    name = document["kinds"].get(f"{thing['apiVersion']}/{thing['kind']}")
    if name is None:
        return [f"{thing['apiVersion']} {thing['kind']} is not known"]
    schema = {"$ref": f"#/definitions/{name}", "definitions": document["definitions"]}
    validator = jsonschema.Draft7Validator(schema)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(thing)]


def value_errors(values: dict[str, Any]) -> list[str]:
    """What the chart's own schema has against values."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    return [f"{error.json_path}: {error.message}" for error in jsonschema.Draft7Validator(schema).iter_errors(values)]
