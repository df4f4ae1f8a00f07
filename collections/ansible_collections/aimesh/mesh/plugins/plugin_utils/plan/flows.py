"""Who of the mesh calls whom, and on which port: what a network has to let through, and no more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

Flow = dict[str, Any]
"""`{"from", "to", "port"}`: names of parts, or of what lies outside the mesh (`OUTSIDE`)."""

GATEWAY = "api-gateway"
CALLS: dict[str, tuple[str, ...]] = {
    GATEWAY: ("registry", "telemetry", "policy", "federation"),
    "ui": ("api-gateway", "registry", "telemetry", "policy", "federation", "ui"),
}
"""Service → those that it calls; the others reach each other through PostgreSQL alone."""
MIGRATE, TEST, LOAD, POSTGRESQL, REDIS = "migrate", "test", "load", "postgresql", "redis"
VERIFICATION = "verification"
DRILL = "drill"
"""The second Prometheus and Alertmanager of an alert drill."""
RESTORE = "restore"
"""The pod that brings the database back."""
ANYWHERE, MONITORING, PEERS, IDENTITY, API = "anywhere", "monitoring", "peers", "identity", "api"
RECEIVERS, REPOSITORY = "receivers", "repository"
"""Those who are told of alerts, and where backups are kept outside."""
OUTSIDE = (ANYWHERE, MONITORING, PEERS, IDENTITY, API, RECEIVERS, REPOSITORY)
HTTPS, HTTP = 443, 80
API_PORTS = (HTTPS, 6443)
"""Of the Service of the API server, and where it itself listens: some networks look at the one, some at the other."""


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
    # What a rollout is proven with comes in as callers do.
    yield LOAD, GATEWAY, ports[GATEWAY]
    if document["kubernetes"]["verification"]:
        for port in API_PORTS:
            yield VERIFICATION, API, port
    stored = document["backup"].get("repositories", ())
    for port in sorted({each["port"] for each in stored if each["kind"] != "local"}):
        yield POSTGRESQL, REPOSITORY, port
        yield RESTORE, REPOSITORY, port
    for port in sorted({port_of(peer["url"]) for peer in document["federation"]["peers"]}):
        yield "federation", PEERS, port
    if document["monitoring"]:
        yield from _watching(document, ports, stores)


def _watching(
    document: Mapping[str, Any], services: Mapping[str, int], stores: Mapping[str, int]
) -> Iterator[tuple[str, str, int]]:
    """Prometheus asks everything, exporters what they watch, and an alert goes from one to the next."""
    parts = {part["part"]: part["port"] for part in document["monitoring"]["parts"]}
    for source in ("prometheus", DRILL):
        for target, port in {**services, **parts}.items():
            yield source, target, port
        if "backups" in document["monitoring"]:
            yield source, POSTGRESQL, document["monitoring"]["backups"]["port"]
    for endpoint in document["endpoints"]:
        if endpoint["exposure"] == "edge":
            yield "blackbox-exporter", endpoint["service"], endpoint["port"]
    for exporter, store in (("postgres-exporter", POSTGRESQL), ("redis-exporter", REDIS)):
        yield exporter, store, stores[store]
    for source in ("alertmanager", "ui"):
        yield source, "alert-receiver", parts["alert-receiver"]
    for port in sorted({receiver_port(each) for each in document["monitoring"]["alerting"]["receivers"]}):
        yield "alertmanager", RECEIVERS, port


def receiver_port(receiver: Mapping[str, Any]) -> int:
    """Where a receiver is told; the URL of a webhook is a secret, and nothing but HTTPS is let out to it."""
    if "smarthost" in receiver:
        return int(receiver["smarthost"].rpartition(":")[2])
    return port_of(str(receiver.get("url", "https:")))


def port_of(url: str) -> int:
    """The port that a URL names, or that of its scheme."""
    parts = urlsplit(url)
    return parts.port or (HTTPS if parts.scheme == "https" else HTTP)
