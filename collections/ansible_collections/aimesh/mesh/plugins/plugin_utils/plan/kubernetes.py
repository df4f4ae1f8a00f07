"""The mesh in a cluster of Kubernetes: where its API is, what stores the data, who gets in, how far it scales."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.data import (
    SizeProfile,
    backup_defaults,
    cluster_defaults,
    platforms,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.flows import plan_flows
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.problems import Problems
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import ANY_ADDRESS
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.settings import Settings
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.variables import BUNDLED, EXTERNAL, VARIABLES

PLATFORM = "kubernetes"
SURGE = 1
"""Pods that a rollout starts beside those that serve."""
POSTGRESQL, REDIS = "postgresql", "redis"
PRIMARY = "postgresql-rw"
"""Service of CloudNativePG that leads to the primary of a cluster of ours."""
ONLY_EXTERNAL = {"database": ("host", "networks", "sslmode"), "cache": ("host", "networks", "tls")}
IMAGES = ("mesh-app", "postgresql", "redis", "monitoring")
VERIFICATION = "verification"
"""The image that a mesh with `mesh_kubernetes_verification` runs besides."""
MANUAL, NEVER = "manual", "0 0 31 2 *"
"""No schedule, and a time that never comes: a CronJob has to have one."""
FROM_CLUSTER = "cluster"


def is_outside(settings: Settings, part: str) -> bool:
    """Whether a store (`database` or `cache`) is not a StatefulSet of the mesh, so that others replicate it."""
    return bool(settings.site[f"mesh_kubernetes_{part}"].get("kind", BUNDLED) != BUNDLED)


def plan_autoscale(
    settings: Settings, profile: SizeProfile, services: dict[str, dict[str, Any]], problems: Problems
) -> None:
    """Give each service its `autoscale`: `{"max", "cpu_percent"}` above its replicas, None where they are fixed.

    And its `most_replicas`, the bound within which a scale changes nothing but the service itself.
    """
    defaults, at_site = cluster_defaults(), problems.at(settings.origins)
    size = defaults["sizes"][profile.size]
    by_size = size["autoscale"]
    for name, service in services.items():
        own, path = settings.site["mesh_autoscale"].get(name, {}), f"mesh_autoscale.{name}"
        most = own.get("max", max(by_size.get(name, 0), service["replicas"]))
        if most < service["replicas"]:
            at_site.wrong(
                f"{path}.max",
                most,
                f"{service['replicas']}, the replicas of {name} at least, or more",
                f"raise it, or lower mesh_services.{name}.replicas",
            )
        percent = own.get("cpu_percent", defaults["cpu_percent"])
        service["autoscale"] = {"max": most, "cpu_percent": percent} if most > service["replicas"] else None
        by_inventory = settings.site["mesh_services"].get(name, {}).get("replicas", 0)
        service["most_replicas"] = max(most, size["most_replicas"], by_inventory)


def images_of(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the images that pods of the mesh run."""
    return (*IMAGES, VERIFICATION) if document["kubernetes"]["verification"] else IMAGES


def most_pods(service: dict[str, Any]) -> int:
    """How many pods of a service there may be at once, those of a later scale and of a rollout included."""
    return int(service["most_replicas"]) + SURGE


def check_kubernetes(settings: Settings, problems: Problems) -> None:
    """Rules between the variables of a cluster, and that no other platform is told of one."""
    site, at_site = settings.site, problems.at(settings.origins)
    name = site["mesh_platform"]
    if not platforms()[name].cluster:
        for variable in VARIABLES:
            if variable.name in settings.given and variable.name.startswith(("mesh_kubernetes_", "mesh_autoscale")):
                at_site.wrong(
                    variable.name,
                    site[variable.name],
                    f"nothing on platform {name}, which runs in no cluster",
                    "remove it, or set mesh_platform: kubernetes",
                )
        if site["mesh_verify_from"] == FROM_CLUSTER:
            at_site.wrong(
                "mesh_verify_from",
                FROM_CLUSTER,
                f"controller on platform {name}, which runs in no cluster",
                "remove it, or set mesh_platform: kubernetes",
            )
        return
    if site["mesh_verify_from"] == FROM_CLUSTER and not site["mesh_kubernetes_verification"]:
        at_site.say(
            "mesh_verify_from",
            "is cluster, and no Job for it is planned; add mesh_kubernetes_verification: {schedule: manual}, or set it "
            "to controller",
        )
    for part, keys in ONLY_EXTERNAL.items():
        own, path = site[f"mesh_kubernetes_{part}"], f"mesh_kubernetes_{part}"
        kind = own.get("kind", BUNDLED)
        if kind == EXTERNAL and "host" not in own:
            at_site.say(path, f"has kind {kind} and no host; add the host name of the server")
        if kind == EXTERNAL and "storage_gb" in own:
            at_site.wrong(
                f"{path}.storage_gb", own["storage_gb"], f"nothing with kind {kind}, which keeps its data", "remove it"
            )
        if kind != BUNDLED and "backup_gb" in own:
            why = f"nothing with kind {kind}, whose backups are its own"
            at_site.wrong(f"{path}.backup_gb", own["backup_gb"], why, "remove it")
        for key in keys:
            if key in own and kind != EXTERNAL:
                at_site.wrong(
                    f"{path}.{key}", own[key], f"nothing with kind {kind}", f"remove it, or set {path}.kind: external"
                )
    if site["mesh_kubernetes_ingress"] and not site["mesh_domain"]:
        at_site.say(
            "mesh_kubernetes_ingress", "is set without mesh_domain; set the name that the Ingress is to answer to"
        )


def put_in_cluster(document: dict[str, Any], settings: Settings, profile: SizeProfile, problems: Problems) -> None:
    """Turn the plan of a mesh on a host into that of one in a cluster; names of Services take the place of addresses.

    A pod has an address of its own, so its service listens on its public port. Changes `document`.
    """
    cluster = _cluster(settings, profile, document)
    if cluster["ingress"] and not cluster["ingress"]["hosts"]:
        problems.at(settings.origins).say(
            "mesh_kubernetes_ingress",
            "is set and no service has exposure edge; remove it, or give one of mesh_services that exposure",
        )
    port = document[POSTGRESQL]["port"]
    if document["backup"]["engine"] and port == backup_defaults()["metrics_port"]:
        taken = "which the container of backups in the same pod listens on"
        problems.at(settings.origins).say("mesh_postgresql.port", f"is {port}, {taken}; give PostgreSQL another port")
    document["kubernetes"] = cluster
    for instance in document["instances"]:
        service = instance["service"]
        instance |= {
            "bind": ANY_ADDRESS,
            "port": document["services"][service]["port"],
            "unit": service,
            "published": None,
        }
    hosts = (cluster["ingress"] or {"hosts": {}})["hosts"]
    for endpoint in document["endpoints"]:
        service = endpoint["service"]
        inside = f"http://{service}.{cluster['namespace']}.svc:{endpoint['port']}"
        endpoint |= {"bind": service, "published": None}
        endpoint["url"] = f"https://{hosts[service]}" if service in hosts else inside
    for name, part in ((POSTGRESQL, "database"), (REDIS, "cache")):
        store, chosen = document[name], cluster[part]
        store |= {"mode": chosen["kind"], "address": chosen["host"], "listen": [chosen["host"]], "published": None}
    document[POSTGRESQL]["data_dir"] = f"/var/lib/postgresql/{document[POSTGRESQL]['version']}/mesh"
    document[POSTGRESQL]["allow"] = []
    document[REDIS]["data_dir"] = "/var/lib/redis"
    _put_monitoring_in_cluster(document, profile)
    cluster["flows"] = plan_flows(document, scraped=bool(cluster["monitoring_namespace"]))


def _put_monitoring_in_cluster(document: dict[str, Any], profile: SizeProfile) -> None:
    """A part is where the Service of its name leads to, and Prometheus finds the pods of a service by a name for all.

    `discovered`: service → the name of DNS that has the addresses of its pods. `requests`: of a part, in cores and as a
    share of its memory. `backups`: where the pod that makes them tells of them, since no node exporter does.
    """
    monitoring = document["monitoring"]
    if monitoring is None:
        return
    for part in monitoring["parts"]:
        name = part["part"]
        part |= {"bind": name, "address": f"{name}:{part['port']}", "unit": name, "published": None}
    monitoring["discovered"] = {service: f"{service}-pods" for service in document["services"]}
    if document["backup"]["engine"]:
        port = backup_defaults()["metrics_port"]
        monitoring["backups"] = {"address": f"{POSTGRESQL}:{port}", "port": port}
    monitoring["requests"] = dict(cluster_defaults()["sizes"][profile.size]["monitoring"])


def _cluster(settings: Settings, profile: SizeProfile, document: dict[str, Any]) -> dict[str, Any]:
    """The plan's `kubernetes`, without its flows."""
    site, size = settings.site, cluster_defaults()["sizes"][profile.size]
    name = document["mesh"]["name"]
    replicas = site["mesh_postgresql"].get("replicas", profile.postgresql["replicas"])
    return {
        "kubeconfig": site["mesh_kubernetes_kubeconfig"],
        "context": site["mesh_kubernetes_context"],
        "namespace": site["mesh_kubernetes_namespace"] or name,
        "release": name,
        "method": site["mesh_kubernetes_method"],
        "timeout_s": site["mesh_kubernetes_timeout_s"],
        "image_pull_secret": site["mesh_kubernetes_image_pull_secret"],
        "storage_class": site["mesh_kubernetes_storage_class"],
        "service_type": site["mesh_kubernetes_service_type"],
        "ingress": _ingress(settings, document),
        "monitoring_namespace": site["mesh_kubernetes_monitoring_namespace"],
        "verification": _verification(site["mesh_kubernetes_verification"]),
        "database": _database(site["mesh_kubernetes_database"], size, replicas),
        "cache": _cache(site["mesh_kubernetes_cache"], size),
        "requests": {key: size[key] for key in ("cpu_share", "memory_share")},
        "backup": {"memory_mb": size["backup_mb"], "cpus": size["backup_cpus"]},
    }


def _ingress(settings: Settings, document: dict[str, Any]) -> dict[str, Any] | None:
    own = settings.site["mesh_kubernetes_ingress"]
    if not own:
        return None
    domain, services = document["mesh"]["domain"], document["services"]
    edge = [name for name, service in services.items() if service["exposure"] == "edge"]
    hosts = {name: domain if name == "api-gateway" else f"{name}.{domain}" for name in edge}
    return {
        "class": own["class"],
        "tls_secret": own["tls_secret"],
        "namespace": own.get("namespace"),
        "annotations": own.get("annotations", {}),
        "hosts": hosts,
    }


def _verification(own: dict[str, Any] | None) -> dict[str, Any] | None:
    """When a Job verifies the mesh by itself, None for never by itself, and where the API server is."""
    if not own:
        return None
    schedule = None if own["schedule"] == MANUAL else own["schedule"]
    return {"schedule": schedule, "networks": own.get("networks", [])}


def _database(own: dict[str, Any], size: dict[str, Any], replicas: int) -> dict[str, Any]:
    kind = own.get("kind", BUNDLED)
    host = {BUNDLED: POSTGRESQL, EXTERNAL: own.get("host", "")}.get(kind, PRIMARY)
    gigabytes = 0 if kind == EXTERNAL else own.get("storage_gb", size["postgresql_gb"])
    return {
        "kind": kind,
        "host": host,
        "networks": own.get("networks", []),
        "sslmode": own.get("sslmode"),
        "instances": {BUNDLED: 1, EXTERNAL: 0}.get(kind, replicas + 1),
        "storage_gb": gigabytes,
        # Full backups with the log between them, and room for a restore drill.
        "backup_gb": own.get("backup_gb", 2 * gigabytes) if kind == BUNDLED else 0,
        "cpus": size["postgresql_cpus"],
    }


def _cache(own: dict[str, Any], size: dict[str, Any]) -> dict[str, Any]:
    kind = own.get("kind", BUNDLED)
    return {
        "kind": kind,
        "host": REDIS if kind == BUNDLED else own.get("host", ""),
        "networks": own.get("networks", []),
        "tls": own.get("tls", False),
        "storage_gb": 0 if kind == EXTERNAL else own.get("storage_gb", size["redis_gb"]),
        "cpus": size["redis_cpus"],
    }
