"""Addresses and images of containers: where each is on its host's own network, and what of it the host publishes."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.applied import version_key
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.inputs import Releases
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.problems import Problems
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import LOOPBACK
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.services import PRIVATE_BASE
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.settings import Settings

GATEWAY, EDGE, POSTGRESQL, REDIS = 1, 2, 3, 4
MONITORING = {
    "prometheus": 5,
    "alertmanager": 6,
    "blackbox-exporter": 7,
    "alert-receiver": 8,
    "node-exporter": 9,
    "postgres-exporter": 16,
    "redis-exporter": 17,
}
"""Slots end in 0 to 5, so these are free."""
FIRST_SLOT = 10
FIRST_DYNAMIC = 240
"""From here on Docker gives addresses to containers that have none of their own, a /28."""
MOST_REPLICAS = (FIRST_DYNAMIC - FIRST_SLOT) // 10
IMAGES = ("mesh-app", "haproxy", "postgresql", "redis", "monitoring")
WATCHING = "monitoring"
"""The image that a mesh which nothing watches does not need."""
SHARED = (WATCHING, "verification")
"""Images whose content no release of the mesh is tied to."""
DATA = "/var/lib/aimesh"


def host_containers(subnet: str) -> dict[str, str]:
    """The plan's `hosts.<h>.containers`."""
    return {
        "subnet": subnet,
        "gateway": _address(subnet, GATEWAY),
        "dynamic": f"{_address(subnet, FIRST_DYNAMIC)}/28",
        "edge": _address(subnet, EDGE),
        "postgresql": _address(subnet, POSTGRESQL),
        "redis": _address(subnet, REDIS),
    }


def put_in_containers(document: dict[str, Any]) -> None:
    """Give everything that listens its container's address; `published` is the host's address it has besides, or None.

    What the plan bound to loopback is reached inside the containers' network alone. Changes `document`.
    """
    hosts = document["hosts"]
    for slot in [*document["instances"], *document["spares"]]:
        slot["published"] = _beyond_loopback(slot["bind"])
        slot["bind"] = _address(hosts[slot["host"]]["containers"]["subnet"], slot["port"] - PRIVATE_BASE + FIRST_SLOT)
        slot["unit"] = slot["unit"].replace("@", "-")
    for endpoint in document["endpoints"]:
        on_host = endpoint["exposure"] == "host"
        endpoint["published"] = LOOPBACK if on_host else _beyond_loopback(endpoint["bind"])
        endpoint["bind"] = hosts[endpoint["host"]]["containers"]["edge"]
        if endpoint["published"] is None:
            endpoint["url"] = f"http://{endpoint['bind']}:{endpoint['port']}"
    for name in ("postgresql", "redis"):
        store = document[name]
        containers = hosts[store["host"]]["containers"]
        store["published"] = _beyond_loopback(store["address"])
        store["listen"] = [containers[name]]
        store["address"] = store["published"] or containers[name]
    for part in (document["monitoring"] or {"parts": []})["parts"]:
        part["published"] = _beyond_loopback(part["bind"])
        part["bind"] = _address(hosts[part["host"]]["containers"]["subnet"], MONITORING[part["part"]])
        if part["published"] is None:
            part["address"] = f"{part['bind']}:{part['port']}"
    database = document["postgresql"]
    others = [block for block in database["allow"] if not block.startswith(LOOPBACK)]
    database["allow"] = [hosts[database["host"]]["containers"]["subnet"], *others]
    database["data_dir"] = f"{DATA}/postgresql/{database['version']}"
    document["redis"]["data_dir"] = f"{DATA}/redis"


def plan_images(
    document: Mapping[str, Any],
    releases: Releases,
    applied: Mapping[str, Any] | None,
    registry: str | None,
    problems: Problems,
    wanted: tuple[str, ...] = IMAGES,
) -> dict[str, dict[str, Any]]:
    """The plan's `release.images`: name → reference, id, whether it is pulled.

    A release that runs already, or that a rollback goes to, needs no images on the controller: the applied plan or the
    release history knows them. A release that was built before there was an image of `SHARED` takes that of another.
    """
    if releases.any_version:
        # A removal goes by what the host has recorded.
        return {name: {"reference": f"aimesh/{name}:none", "id": "", "pull": False} for name in wanted}
    release = document["release"]
    names = wanted if document["monitoring"] else tuple(name for name in wanted if name != WATCHING)
    systems = {name: str(host["os"]["id"]) for name, host in document["hosts"].items()}
    rows = releases.images.get(release["id"], {})
    known = release.get("images") or (None if rows else _applied_images(applied, release["id"]))
    found = {name: dict(image) for name, image in (known or {}).items()}
    rows = {} if known else {name: rows[name] for name in names if name in rows}
    missing = [name for name in names if name not in found and name not in rows]
    borrowed = {name: image for name in missing if (image := _borrowed(name, releases, applied, systems, registry))}
    if missing and (found or rows):
        missing = [name for name in missing if name not in borrowed]
    if missing:
        problems.tell(
            f"The release {release['id']} has no container image {', '.join(missing)}; "
            "build them with: make images BASE=<a slim Debian image>"
        )
        return {}
    _check_systems(release["id"], rows, systems, problems)
    unpushed = [name for name, row in rows.items() if not row.get("digest")] if registry else []
    if unpushed:
        problems.tell(
            f"The release {release['id']} has no digest in a registry of {', '.join(unpushed)}; "
            f"push its images to {registry} with: make images BASE=<the same> REGISTRY={registry}"
        )
        return {}
    return {**found, **{name: _image(row, registry) for name, row in rows.items()}, **borrowed}


def _applied_images(applied: Mapping[str, Any] | None, release: str) -> Mapping[str, Any] | None:
    """Images of the release that runs, when it is this one."""
    runs = applied["release"] if applied else {}
    return runs.get("images") if runs.get("id") == release else None


def _borrowed(
    name: str,
    releases: Releases,
    applied: Mapping[str, Any] | None,
    systems: Mapping[str, str],
    registry: str | None,
) -> dict[str, Any] | None:
    """An image that no release is tied to: the one that runs, else the newest on the controller that the hosts take."""
    if name not in SHARED:
        return None
    runs = (applied["release"].get("images") or {}) if applied else {}
    if name in runs:
        return dict(runs[name])
    for release in sorted(releases.images, key=version_key, reverse=True):
        row = releases.images[release].get(name)
        if row and {str(row["os"])} == set(systems.values()) and (row.get("digest") or not registry):
            return _image(row, registry)
    return None


def _check_systems(
    release: str, rows: Mapping[str, Mapping[str, Any]], systems: Mapping[str, str], problems: Problems
) -> None:
    for host, system in systems.items():
        others = sorted({str(row["os"]) for row in rows.values()} - {system})
        if others:
            problems.tell(
                f"The images of the release {release} are {', '.join(others)} and {host} has mesh_os {system}; "
                f"set mesh_os: {others[0]} for it, or build images on a base of {system}"
            )


def _image(row: Mapping[str, Any], registry: str | None) -> dict[str, Any]:
    tag = str(row["tag"])
    reference = f"{registry}/{tag.rpartition(':')[0]}@{row['digest']}" if registry else tag
    return {"reference": reference, "id": str(row["id"]), "pull": bool(registry)}


def check_containers(document: dict[str, Any], settings: Settings, problems: Problems) -> None:
    """Networks that hold no host of the mesh, and no more replicas than there are addresses."""
    at_site = problems.at(settings.origins)
    addresses = {name: host["address"] for name, host in document["hosts"].items()}
    subnets = dict.fromkeys(host["containers"]["subnet"] for host in document["hosts"].values())
    for subnet in subnets:
        inside = [name for name, address in addresses.items() if _is_in(address, subnet)]
        if inside:
            at_site.say(
                "mesh_container_subnet",
                f"is {subnet}, which holds the address of {_names(inside, addresses)}; "
                "give a private network with prefix 24 that holds no host of the mesh",
            )
    for service, planned in document["services"].items():
        if planned["replicas"] > MOST_REPLICAS:
            wish = service in settings.site["mesh_scale"]
            at_site.wrong(
                f"mesh_scale.{service}" if wish else f"mesh_services.{service}.replicas",
                planned["replicas"],
                f"1 to {MOST_REPLICAS}, since containers have fixed addresses in a network of 256",
                "lower it",
            )


def _names(names: Iterable[str], addresses: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({addresses[name]})" for name in names)


def _beyond_loopback(bind: str) -> str | None:
    return None if bind == LOOPBACK else bind


def _address(subnet: str, number: int) -> str:
    return str(ipaddress.IPv4Network(subnet).network_address + number)


def _is_in(address: str, subnet: str) -> bool:
    return ipaddress.IPv4Address(address) in ipaddress.IPv4Network(subnet)
