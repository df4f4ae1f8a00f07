"""Addresses and images of containers: where each is on its host's own network, and what of it the host publishes."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.inputs import Releases
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.problems import Problems
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import LOOPBACK
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.services import PRIVATE_BASE
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.settings import Settings

GATEWAY, EDGE, POSTGRESQL, REDIS = 1, 2, 3, 4
FIRST_SLOT = 10
FIRST_DYNAMIC = 240
"""From here on Docker gives addresses to containers that have none of their own, a /28."""
MOST_REPLICAS = (FIRST_DYNAMIC - FIRST_SLOT) // 10
IMAGES = ("mesh-app", "haproxy", "postgresql", "redis")
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
    database = document["postgresql"]
    others = [block for block in database["allow"] if not block.startswith(LOOPBACK)]
    database["allow"] = [hosts[database["host"]]["containers"]["subnet"], *others]
    database["data_dir"] = f"{DATA}/postgresql/{database['version']}"
    document["redis"]["data_dir"] = f"{DATA}/redis"


def plan_images(
    release: str,
    releases: Releases,
    applied: Mapping[str, Any] | None,
    systems: Mapping[str, str],
    registry: str | None,
    problems: Problems,
) -> dict[str, dict[str, Any]]:
    """The plan's `release.images`: name → reference, id, whether it is pulled. `systems`: host → id of its system.

    A release that runs already needs no images on the controller: the applied plan knows them.
    """
    rows = releases.images.get(release, {})
    if releases.any_version:
        # A removal goes by what the host has recorded.
        return {name: {"reference": f"aimesh/{name}:none", "id": "", "pull": False} for name in IMAGES}
    if not rows and applied and applied["release"]["id"] == release and "images" in applied["release"]:
        return {name: dict(image) for name, image in applied["release"]["images"].items()}
    missing = [name for name in IMAGES if name not in rows]
    if missing:
        problems.tell(
            f"The release {release} has no container image {', '.join(missing)}; "
            "build them with: make images BASE=<a slim Debian image>"
        )
        return {}
    for host, system in systems.items():
        others = sorted({str(rows[name]["os"]) for name in IMAGES} - {system})
        if others:
            problems.tell(
                f"The images of the release {release} are {', '.join(others)} and {host} has mesh_os {system}; "
                f"set mesh_os: {others[0]} for it, or build images on a base of {system}"
            )
    unpushed = [name for name in IMAGES if not rows[name].get("digest")] if registry else []
    if unpushed:
        problems.tell(
            f"The release {release} has no digest in a registry of {', '.join(unpushed)}; "
            f"push its images to {registry} with: make images BASE=<the same> REGISTRY={registry}"
        )
        return {}
    return {name: _image(rows[name], registry) for name in IMAGES}


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
