"""Questions every reader of the plan has, so that nobody searches the document by hand.

A plan is the JSON document of `tests/fixtures/plan_*.json`, as plain dictionaries and lists.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SCHEMA = 1
ROLES = ("edge", "app", "data", "cache", "monitoring")
ANY_ADDRESS = str(ipaddress.IPv4Address(0))
LOOPBACK = "127.0.0.1"

RUN_SCOPED = ("digest", "wishes", "rollout", "verify")
"""Sections that say what one run wants."""

API_ACCESS = ("kubeconfig", "context", "timeout_s")
"""Of the section `kubernetes`: how this machine reaches the cluster."""

Plan = dict[str, Any]


class PlanError(ValueError):
    """One or more reasons why there is no usable plan; each is one sentence an operator can act on."""

    def __init__(self, errors: list[str] | str) -> None:
        self.errors = [errors] if isinstance(errors, str) else list(errors)
        super().__init__("\n".join(self.errors))


def canonical_bytes(document: Any) -> bytes:
    """Canonical JSON: sorted keys, no spaces, UTF-8."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest_of(plan: Plan) -> str:
    """`sha256:<hex>` over the canonical JSON of what the mesh is.

    What one run wants (`wishes`, `rollout`, `verify`, `mesh.preflight`) is left out: a wish changes the mesh through
    the sections it is merged into, and verifying without writes does not make another mesh. So is by which way a
    machine reaches the cluster's API, and how long it waits.
    """
    body = {key: value for key, value in plan.items() if key not in RUN_SCOPED}
    body["mesh"] = {key: value for key, value in plan["mesh"].items() if key != "preflight"}
    if "kubernetes" in plan:
        body["kubernetes"] = {key: value for key, value in plan["kubernetes"].items() if key not in API_ACCESS}
    return f"sha256:{hashlib.sha256(canonical_bytes(body)).hexdigest()}"


def check_schema(plan: Any, where: str) -> Plan:
    """The plan itself when this code can read it.

    Raises PlanError for anything that is not a plan, or one of a schema that this code does not know.
    """
    if not isinstance(plan, dict) or "schema" not in plan or "mesh" not in plan:
        raise PlanError(f"{where} is not a plan: it has no 'schema' and 'mesh'; run the deploy again to write it anew.")
    if plan["schema"] != SCHEMA:
        raise PlanError(
            f"{where} has plan schema {plan['schema']!r}, and this release reads schema {SCHEMA} only; "
            "use the release of aimesh that wrote it, or deploy again with this one."
        )
    return plan


def load_plan(path: str | Path) -> Plan:
    """The plan in a file. Raises PlanError when it is missing, unreadable, not JSON, or of another schema."""
    file = Path(path)
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PlanError(f"There is no plan at {file}; run the aimesh.mesh.plan task first.") from None
    except OSError as error:
        raise PlanError(f"The plan {file} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise PlanError(f"The plan {file} is not JSON ({error}); run the aimesh.mesh.plan task again.") from None
    return check_schema(document, f"The file {file}")


def host_names(plan: Plan) -> list[str]:
    """Every host of the mesh, in the plan's order."""
    return list(plan["hosts"])


def hosts_with_role(plan: Plan, role: str) -> list[str]:
    """Hosts that have a role (one of ROLES), in the plan's order."""
    if role not in ROLES:
        raise ValueError(f"unknown role {role!r}; roles are {', '.join(ROLES)}")
    return [name for name, host in plan["hosts"].items() if role in host["roles"]]


def has_role(plan: Plan, host: str, role: str) -> bool:
    return host in hosts_with_role(plan, role)


def instances_on(plan: Plan, host: str) -> list[dict[str, Any]]:
    """Instances that run on a host, in start order."""
    return [instance for instance in plan["instances"] if instance["host"] == host]


def instances_of(plan: Plan, service: str) -> list[dict[str, Any]]:
    """Instances of a service on all hosts."""
    return [instance for instance in plan["instances"] if instance["service"] == service]


def spares_of(plan: Plan, service: str) -> list[dict[str, Any]]:
    """Slots of a service that run only during an update; a plan of an earlier aimesh has none."""
    return [spare for spare in plan.get("spares", []) if spare["service"] == service]


def all_slots(plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Instances and spares of all hosts; a plan of an earlier aimesh has no spares, and none at all has no slots."""
    return [*plan.get("instances", []), *plan.get("spares", [])]


def slots_on(plan: Plan, host: str) -> list[dict[str, Any]]:
    """Instances and spares of a host: everything that may ever run there."""
    return [slot for slot in all_slots(plan) if slot["host"] == host]


def server_name(slot: dict[str, Any]) -> str:
    """HAProxy's `backend/server` of an instance or a spare: `registry/vm1-b`."""
    return f"{slot['service']}/{slot['host']}-{slot['slot']}"


def endpoints_on(plan: Plan, host: str) -> list[dict[str, Any]]:
    """Endpoints that a host offers."""
    return [endpoint for endpoint in plan["endpoints"] if endpoint["host"] == host]


def endpoints_of(plan: Plan, service: str) -> list[dict[str, Any]]:
    """Endpoints of a service on all hosts."""
    return [endpoint for endpoint in plan["endpoints"] if endpoint["service"] == service]


def published_at(listener: dict[str, Any]) -> list[str]:
    """Addresses of its host on which an instance, an endpoint or a store listens, without those of containers."""
    if "published" in listener:
        return [listener["published"]] if listener["published"] else []
    return list(listener["listen"]) if "listen" in listener else [listener["bind"]]


def url_on_host(endpoint: dict[str, Any]) -> str:
    """The endpoint's URL as seen from its own host: the container's address, or loopback whenever it listens there."""
    if "published" in endpoint:
        return f"http://{endpoint['bind']}:{endpoint['port']}"
    if endpoint["bind"] in (ANY_ADDRESS, LOOPBACK):
        return f"http://{LOOPBACK}:{endpoint['port']}"
    return str(endpoint["url"])


def endpoint_url(plan: Plan, service: str, from_host: str) -> str:
    """The URL by which `from_host` calls a service: its own host's endpoint if there is one, else the first.

    Raises PlanError when the plan has no endpoint of the service that `from_host` can reach.
    """
    candidates = endpoints_of(plan, service)
    for endpoint in candidates:
        if endpoint["host"] == from_host:
            return url_on_host(endpoint)
    for endpoint in candidates:
        if published_at(endpoint) not in ([], [LOOPBACK]):
            return str(endpoint["url"])
    raise PlanError(f"The plan has no endpoint of {service} that host {from_host} can reach.")


def postgresql_host(plan: Plan) -> str:
    return str(plan["postgresql"]["host"])


def redis_host(plan: Plan) -> str:
    return str(plan["redis"]["host"])


def postgresql_address(plan: Plan, from_host: str) -> str:
    """Where `from_host` reaches PostgreSQL: loopback, or the container, on the database's own host."""
    return _address(plan["postgresql"], from_host)


def redis_address(plan: Plan, from_host: str) -> str:
    """Where `from_host` reaches Redis: loopback, or the container, on Redis's own host."""
    return _address(plan["redis"], from_host)


def _address(part: dict[str, Any], from_host: str) -> str:
    return str(part["listen"][0] if part["host"] == from_host else part["address"])


def is_state_host(plan: Plan, host: str) -> bool:
    return bool(plan["mesh"]["state_home"]["host"] == host)


def public_urls(plan: Plan) -> dict[str, str]:
    """Service → the URL an operator opens: the first edge endpoint, or the host-only one where there is no edge."""
    urls: dict[str, str] = {}
    for endpoint in plan["endpoints"]:
        if endpoint["exposure"] in ("edge", "host"):
            urls.setdefault(endpoint["service"], endpoint["url"])
    return urls
