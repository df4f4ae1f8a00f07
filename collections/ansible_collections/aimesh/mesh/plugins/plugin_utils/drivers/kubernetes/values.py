"""The plan as values of the chart: every number that a template uses. Pure, and without a secret."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_spec import BASELINE
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.app_environment import (
    TOKEN_SUBJECTS,
    TOKENS,
    credential_names,
    login_secret,
    migration_environment,
    service_credentials,
    service_environment,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.app_files import DOCUMENTS
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.host_layout import STOP_MARGIN_S
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.backup import backup_values
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.layout import (
    BACKUP,
    CREDENTIALS,
    MONITORING,
    REDIS_USERS,
    credential,
    pod_locations,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.monitoring import part_values, parts_of
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.rules import service_rules
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.secrets import OWNER_PASSWORD, monitors
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.verification import verification_values
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.postgresql_container import (
    SHARED_MB,
    STOP_S,
    memory_mb,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.redis_files import memory_mb as redis_memory_mb
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.flows import ANYWHERE
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan, instances_of

Values = dict[str, Any]

DOCUMENT_FILES = {"policy": "policy.json", "peers": "peers.json", "mcp_servers": "mcp_registry.json"}
WITHDRAW_S = 5
"""A pod serves on for so long after it was told to end, until every node knows that it is to get no new calls."""
HASH_LENGTH = 16


def chart_values(plan: Plan) -> Values:
    """Values of `charts/ai-agent-mesh`, complete: the chart's own defaults are those of an example."""
    cluster = plan["kubernetes"]
    return {
        "mesh": {
            "name": plan["mesh"]["name"],
            "size": plan["mesh"]["size"],
            "release": plan["release"]["id"],
            "version": plan["release"]["version"],
        },
        "images": {
            "mesh": _image(plan, "mesh-app"),
            "postgresql": _image(plan, "postgresql"),
            "redis": _image(plan, "redis"),
            # A release of before there was one watches nothing.
            "monitoring": _image(plan, "monitoring" if plan["monitoring"] else "mesh-app"),
        },
        "imagePullSecrets": [cluster["image_pull_secret"]] if cluster["image_pull_secret"] else [],
        "secrets": {
            "credentials": CREDENTIALS,
            "redisUsers": REDIS_USERS,
            "monitoring": MONITORING,
            "backup": BACKUP,
        },
        "documents": _documents(plan),
        "services": {name: _service(plan, name) for name in plan["services"]},
        "rollout": {
            "soakSeconds": plan["rollout"]["soak_s"],
            "timeoutSeconds": cluster["timeout_s"],
            "withdrawSeconds": WITHDRAW_S,
        },
        "migration": {
            "waitSeconds": cluster["timeout_s"] // 2,
            "credential": OWNER_PASSWORD,
            "environment": _migration_environment(plan),
        },
        "postgresql": _postgresql(plan),
        "redis": _redis(plan),
        "backups": backup_values(plan),
        "network": {
            "flows": [dict(flow) for flow in cluster["flows"]],
            "ingressNamespace": (cluster["ingress"] or {}).get("namespace") or "",
            "monitoringNamespace": cluster["monitoring_namespace"] or "",
            "databaseNetworks": list(cluster["database"]["networks"]),
            "cacheNetworks": list(cluster["cache"]["networks"]),
        },
        "ingress": _ingress(plan),
        "monitoring": _monitoring(plan),
        "verification": verification_values(plan),
    }


def credentials_hash(plan: Plan, names: Iterable[str]) -> str:
    """Changes with every version of a secret that one of the credentials is made of; tells nothing of its value."""
    parts = {part for name in names for part in _parts(name)}
    known = {part: plan["secrets"][part] for part in sorted(parts)}
    rows = [[name, reference["version"], reference["fingerprint"]] for name, reference in known.items()]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:HASH_LENGTH]


def _parts(name: str) -> list[str]:
    return [f"{subject}_token" for subject in TOKEN_SUBJECTS] if name == TOKENS else [name]


def _monitoring(plan: Plan) -> Values:
    """Lists, since Helm would merge a mapping with that of the example."""
    discovered = (plan["monitoring"] or {}).get("discovered", {})
    return {
        "intervalSeconds": 15,
        "rules": service_rules(plan),
        "pods": [{"service": service, "name": name} for service, name in discovered.items()],
        "parts": [_part(plan, part) for part in parts_of(plan)],
    }


def _part(plan: Plan, part: Values) -> Values:
    asked, memory = plan["monitoring"]["requests"], part["memory_mb"]
    found = part_values(plan, part, lambda names: credentials_hash(plan, names))
    storage = {"gb": found.pop("storageGb"), "className": plan["kubernetes"]["storage_class"] or ""}
    return found | {
        "storage": storage,
        "resources": {
            "requests": {"cpu": _millicores(asked["cpus"]), "memory": f"{round(memory * asked['memory_share'])}Mi"},
            "limits": {"memory": f"{memory}Mi"},
        },
    }


def _image(plan: Plan, name: str) -> Values:
    """Without a registry nodes have the image already, and its name is nobody's in a public one."""
    image = plan["release"]["images"][name]
    return {"reference": image["reference"], "pullPolicy": "IfNotPresent" if image["pull"] else "Never"}


def _documents(plan: Plan) -> dict[str, str]:
    contents = {
        "policy": plan["policy"],
        "peers": plan["federation"]["peers"],
        "mcp_servers": plan["registry"]["mcp_servers"],
    }
    # A plan that comes back from the state home has its keys in another order.
    return {file: json.dumps(contents[name], indent=2, sort_keys=True) + "\n" for name, file in DOCUMENT_FILES.items()}


def _service(plan: Plan, name: str) -> Values:
    service, cluster = plan["services"][name], plan["kubernetes"]
    names = sorted(credential_names(service_credentials(plan, name)))
    scaled = service["autoscale"]
    return {
        "port": service["port"],
        "type": cluster["service_type"] if service["exposure"] == "edge" else "ClusterIP",
        "replicas": service["replicas"],
        "autoscaling": {"maxReplicas": scaled["max"], "cpuPercent": scaled["cpu_percent"]} if scaled else {},
        "resources": _resources(plan, service["limits"]["memory_mb"], service["limits"]["cpus"]),
        "drainSeconds": service["drain_s"],
        "graceSeconds": WITHDRAW_S + service["drain_s"] + STOP_MARGIN_S,
        "environment": _environment(plan, name),
        "credentials": names,
        "credentialsHash": credentials_hash(plan, names),
        "documents": [DOCUMENT_FILES[DOCUMENTS[name]]] if name in DOCUMENTS else [],
    }


def _environment(plan: Plan, name: str) -> dict[str, str]:
    """Without MESH_INSTANCE, which is the name of the pod."""
    environment = service_environment(plan, instances_of(plan, name)[0], pod_locations(plan))
    del environment["MESH_INSTANCE"]
    environment["MESH_DATABASE_URL"] = _with_sslmode(plan, environment["MESH_DATABASE_URL"])
    if plan["kubernetes"]["cache"]["tls"]:
        environment["MESH_REDIS_URL"] = urlsplit(environment["MESH_REDIS_URL"])._replace(scheme="rediss").geturl()
    hosts = (plan["kubernetes"]["ingress"] or {"hosts": {}})["hosts"]
    if "api-gateway" in hosts:
        environment["MESH_PUBLIC_URL"] = f"https://{hosts['api-gateway']}"
    return environment


def _migration_environment(plan: Plan) -> dict[str, str]:
    environment = migration_environment(plan, plan["postgresql"]["host"], credential)
    url = "MESH_MIGRATION_DATABASE_URL"
    return environment | {url: _with_sslmode(plan, environment[url])}


def _with_sslmode(plan: Plan, url: str) -> str:
    mode = plan["kubernetes"]["database"]["sslmode"]
    return f"{url}?sslmode={mode}" if mode else url


def _postgresql(plan: Plan) -> Values:
    database, chosen = plan["postgresql"], plan["kubernetes"]["database"]
    memory = memory_mb(database["settings"])
    return {
        "kind": chosen["kind"],
        "version": database["version"],
        "port": database["port"],
        "database": database["database"],
        "owner": {"name": database["owner"], "credential": OWNER_PASSWORD},
        "logins": [{"name": name, "credential": login_secret(name)} for name in database["logins"]],
        "monitors": [{"name": name, "credential": login_secret(name)} for name in monitors(plan)],
        # Helm fills up what is missing with the example's, and that archives.
        "settings": {**BASELINE, "archive_command": "", **database["settings"]},
        "instances": chosen["instances"],
        "storage": _storage(plan, chosen),
        "resources": _resources(plan, memory, None, requested_cpus=chosen["cpus"]),
        "sharedMemoryMb": SHARED_MB,
        "stopSeconds": STOP_S,
    }


def _redis(plan: Plan) -> Values:
    redis, chosen = plan["redis"], plan["kubernetes"]["cache"]
    return {
        "kind": chosen["kind"],
        "port": redis["port"],
        "maxmemoryMb": redis["maxmemory_mb"],
        "policy": redis["policy"],
        "persistent": redis["persistence"] == "aof",
        "storage": _storage(plan, chosen),
        "resources": _resources(plan, redis_memory_mb(plan), None, requested_cpus=chosen["cpus"]),
        "credentialsHash": credentials_hash(plan, _redis_passwords(plan)),
    }


def _redis_passwords(plan: Plan) -> list[str]:
    return ["redis_password", *(["redis_monitor_password"] if plan["monitoring"] else [])]


def _storage(plan: Plan, chosen: Mapping[str, Any]) -> Values:
    return {"gb": chosen["storage_gb"], "className": plan["kubernetes"]["storage_class"] or ""}


def _resources(plan: Plan, memory: int, cpus: float | None, requested_cpus: float | None = None) -> Values:
    """Requests and limits in Kubernetes' words. A store has no limit of CPU: it would be held up in the middle."""
    share = plan["kubernetes"]["requests"]
    asked = requested_cpus if cpus is None else cpus * share["cpu_share"]
    limits = {"memory": f"{memory}Mi"} | ({"cpu": _millicores(cpus)} if cpus is not None else {})
    return {
        "requests": {"cpu": _millicores(asked or 0), "memory": f"{round(memory * share['memory_share'])}Mi"},
        "limits": limits,
    }


def _millicores(cpus: float) -> str:
    return f"{round(cpus * 1000)}m"


def _ingress(plan: Plan) -> Values:
    """Empty where there is none: Helm takes a null for a key that is to be dropped."""
    ingress = plan["kubernetes"]["ingress"]
    if not ingress:
        return {}
    reachable = {flow["to"] for flow in plan["kubernetes"]["flows"] if flow["from"] == ANYWHERE}
    return {
        "className": ingress["class"],
        "tlsSecret": ingress["tls_secret"],
        "annotations": dict(ingress["annotations"]),
        "hosts": {service: host for service, host in ingress["hosts"].items() if service in reachable},
    }
