"""Who of the mesh calls whom, and on which port: what a network has to let through, and no more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

Flow = dict[str, Any]
"""`{"from", "to", "port"}`: names of parts, or of what lies outside the mesh (`OUTSIDE`)."""

CALLS: dict[str, tuple[str, ...]] = {
    "api-gateway": ("registry", "telemetry", "policy", "federation"),
    "ui": ("api-gateway", "registry", "telemetry", "policy", "federation", "ui"),
}
"""Service → those that it calls; the others reach each other through PostgreSQL alone."""
MIGRATE, TEST, POSTGRESQL, REDIS = "migrate", "test", "postgresql", "redis"
ANYWHERE, MONITORING, PEERS, IDENTITY = "anywhere", "monitoring", "peers", "identity"
OUTSIDE = (ANYWHERE, MONITORING, PEERS, IDENTITY)
HTTPS, HTTP = 443, 80


def plan_flows(document: Mapping[str, Any], *, scraped: bool) -> list[Flow]:
    """Every flow of the mesh, in the order of its services. `scraped`: a Prometheus of the cluster asks for metrics."""
    return [{"from": source, "to": target, "port": port} for source, target, port in _flows(document, scraped)]


def _flows(document: Mapping[str, Any], scraped: bool) -> Iterator[tuple[str, str, int]]:
    services = document["services"]
    ports = {name: service["port"] for name, service in services.items()}
    stores = {POSTGRESQL: document["postgresql"]["port"], REDIS: document["redis"]["port"]}
    for name, service in services.items():
        if service["exposure"] == "edge":
            yield ANYWHERE, name, ports[name]
        if scraped:
            yield MONITORING, name, ports[name]
        yield TEST, name, ports[name]
        for called in CALLS.get(name, ()):
            yield name, called, ports[called]
        for store, port in stores.items():
            yield name, store, port
        if document["access"]["oidc"]:
            yield name, IDENTITY, port_of(document["access"]["oidc"]["issuer"])
    yield MIGRATE, POSTGRESQL, stores[POSTGRESQL]
    for port in sorted({port_of(peer["url"]) for peer in document["federation"]["peers"]}):
        yield "federation", PEERS, port


def port_of(url: str) -> int:
    """The port that a URL names, or that of its scheme."""
    parts = urlsplit(url)
    return parts.port or (HTTPS if parts.scheme == "https" else HTTP)
