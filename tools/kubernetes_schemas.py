#!/usr/bin/env python3
"""Writes third_party/kubernetes/v1.<minor>.json: what one line of Kubernetes says of the kinds that the chart uses.

    python tools/kubernetes_schemas.py k8s.io/kubernetes@<version>/api/openapi-spec/swagger.json

The file is in the Go module of that version (`go mod download -json k8s.io/kubernetes@<version>` names its folder).
Kept are the definitions of our kinds and all that they refer to, without the descriptions.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "third_party" / "kubernetes"
KINDS = (
    "ConfigMap",
    "CronJob",
    "Deployment",
    "HorizontalPodAutoscaler",
    "Ingress",
    "Job",
    "Namespace",
    "NetworkPolicy",
    "PersistentVolumeClaim",
    "Pod",
    "PodDisruptionBudget",
    "Role",
    "RoleBinding",
    "Secret",
    "Service",
    "ServiceAccount",
    "StatefulSet",
)
REFERENCE = "#/definitions/"
KEPT = ("type", "format", "properties", "items", "additionalProperties", "required", "enum", "$ref")
INTEGER_OR_TEXT = "int-or-string"


def schemas(version: str, swagger: dict[str, Any]) -> dict[str, Any]:
    """`{"kinds": {"apps/v1/Deployment": name}, "definitions"}`; every object knows its keys and takes no other."""
    definitions: dict[str, Any] = swagger["definitions"]
    kinds = {
        "/".join(filter(None, (each["group"], each["version"], each["kind"]))): name
        for name, definition in definitions.items()
        for each in definition.get("x-kubernetes-group-version-kind", [])
        if each["kind"] in KINDS and re.fullmatch(r"v\d", each["version"])
    }
    found: dict[str, Any] = {}
    waiting = sorted(kinds.values())
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = _reduced(definitions[name])
            waiting += re.findall(rf'"{REFERENCE}([^"]+)"', json.dumps(found[name]))
    return {
        "version": version,
        "kinds": dict(sorted(kinds.items())),
        "definitions": dict(sorted(found.items())),
    }


def _reduced(definition: Any) -> Any:
    if isinstance(definition, list):
        return [_reduced(each) for each in definition]
    if not isinstance(definition, dict):
        return definition
    if definition.get("format") == INTEGER_OR_TEXT:
        return {"type": ["integer", "string"]}
    kept = {key: value for key, value in definition.items() if key in KEPT}
    kept = {key: _properties(value) if key == "properties" else _reduced(value) for key, value in kept.items()}
    if "properties" in kept:
        kept["additionalProperties"] = False
    return kept


def _properties(properties: dict[str, Any]) -> dict[str, Any]:
    return {name: _reduced(value) for name, value in properties.items()}


def main(arguments: list[str]) -> int:
    if not arguments:
        sys.stderr.write(__doc__ or "")
        return 2
    for path in arguments:
        named = re.search(r"@v(1[.]\d+)[.]\d+/", path)
        if not named:
            sys.stderr.write(f"{path} is in no folder that names its version, as kubernetes@v1.35.4/; name it so\n")
            return 2
        found = schemas(named[0].strip("@/"), json.loads(Path(path).read_text(encoding="utf-8")))
        target = FOLDER / f"v{named[1]}.json"
        target.write_text(json.dumps(found, separators=(",", ":")) + "\n", encoding="utf-8")
        print(f"{target.relative_to(ROOT)}: {found['version']}, {len(found['definitions'])} definitions")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
