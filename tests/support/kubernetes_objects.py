"""The chart's objects in tests: found, read and changed, and what a restricted pod may be."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "ai-agent-mesh"
MANIFESTS = ROOT / "k8s"
Object = dict[str, Any]


def objects_of(text: str) -> list[Object]:
    """The documents of a YAML text, without empty ones."""
    return [each for each in yaml.safe_load_all(text) if each]


def manifests() -> list[Object]:
    """All objects of `k8s/`."""
    return [each for path in sorted(MANIFESTS.glob("*.yaml")) for each in objects_of(path.read_text(encoding="utf-8"))]


def find(objects: Iterable[Object], kind: str, name: str) -> Object:
    """The one object of that kind and name."""
    (found,) = (each for each in objects if each["kind"] == kind and each["metadata"]["name"] == name)
    return found


def of_kind(objects: Iterable[Object], kind: str) -> list[Object]:
    return [each for each in objects if each["kind"] == kind]


def pod_of(thing: Object) -> dict[str, Any] | None:
    """The specification of the pods that an object has or makes."""
    if thing["kind"] == "Pod":
        return dict(thing["spec"])
    template = thing.get("spec", {}).get("template")
    return dict(template["spec"]) if template else None


def pods(objects: Iterable[Object]) -> Iterator[tuple[str, dict[str, Any]]]:
    """`(Kind/name, specification)` of everything that has pods."""
    for each in objects:
        pod = pod_of(each)
        if pod:
            yield f"{each['kind']}/{each['metadata']['name']}", pod


VOLUMES = {"configMap", "secret", "emptyDir", "persistentVolumeClaim", "projected", "downwardAPI", "ephemeral", "csi"}
HOST = ("hostNetwork", "hostPID", "hostIPC")


def rights(pod: dict[str, Any]) -> list[str]:
    """What a pod has that the Pod Security Standard `restricted`, a read-only root or our own rules do not allow."""
    found = [name for name in HOST if pod.get(name)]
    if pod.get("automountServiceAccountToken") is not False:
        found.append("a token of the API")
    found += [f"volume {volume['name']}" for volume in pod.get("volumes", []) if not VOLUMES & volume.keys()]
    whole = pod.get("securityContext", {})
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        own, name = {**whole, **container.get("securityContext", {})}, container["name"]
        wanted = {
            "no privileges": own.get("privileged") is not True,
            "runAsNonRoot": own.get("runAsNonRoot") is True and own.get("runAsUser", 1) != 0,
            "no escalation": own.get("allowPrivilegeEscalation") is False,
            "capabilities dropped": own.get("capabilities", {}).get("drop") == ["ALL"],
            "no capability added": not own.get("capabilities", {}).get("add"),
            "seccomp": own.get("seccompProfile", {}).get("type") in ("RuntimeDefault", "Localhost"),
            "read-only root": own.get("readOnlyRootFilesystem") is True,
            "no port of the host": not any("hostPort" in port for port in container.get("ports", [])),
        }
        found += [f"{name}: without {rule}" for rule, kept in wanted.items() if not kept]
    return found


def changed(thing: Object, **changes: Any) -> Object:
    """A copy with other values, for negative controls: `spec__replicas="two"`."""
    result = copy.deepcopy(thing)
    for path, value in changes.items():
        *parents, key = path.split("__")
        place = result
        for parent in parents:
            place = place[parent]
        place[key] = value
    return result
