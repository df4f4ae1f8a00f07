"""From where Services can be reached: by their name inside the cluster, or from anywhere. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Object = Mapping[str, Any]
ANYWHERE = "0.0.0.0"  # noqa: S104 - where something is reached, nothing is bound


def reached_at(services: Iterable[Object], ingresses: Iterable[Object]) -> list[dict[str, Any]]:
    """`{"address", "port"}` for each port of each Service; one that lets others in is there with ANYWHERE, too."""
    fronts = {name for each in ingresses for name in _backends(each)}
    rows = []
    for each in services:
        name, spec = str(each["metadata"]["name"]), each["spec"]
        outside = spec.get("type", "ClusterIP") != "ClusterIP" or spec.get("externalIPs") or name in fronts
        for port in spec.get("ports") or []:
            rows += [{"address": address, "port": port["port"]} for address in [name, *([ANYWHERE] if outside else [])]]
    return rows


def _backends(ingress: Object) -> list[str]:
    """Names of the Services that an Ingress leads to."""
    spec = ingress.get("spec") or {}
    paths = [path for rule in spec.get("rules") or [] for path in (rule.get("http") or {}).get("paths") or []]
    backends = [path["backend"] for path in paths] + [spec[key] for key in ("defaultBackend",) if key in spec]
    return [str(each["service"]["name"]) for each in backends if "service" in each]
