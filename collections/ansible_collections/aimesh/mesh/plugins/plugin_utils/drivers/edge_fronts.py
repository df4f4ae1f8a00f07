"""What HAProxy listens on and where it sends calls: the values of its configuration, the same on every platform."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.host_layout import reachable
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import (
    ANY_ADDRESS,
    LOOPBACK,
    Plan,
    endpoints_on,
    instances_of,
    server_name,
    spares_of,
)


def fronts(plan: Plan, host: str) -> list[dict[str, Any]]:
    """One front per endpoint of the host: `service`, `bind`, `public`, `servers`; of these, spares are `disabled`."""
    return [
        {
            "service": each["service"],
            "bind": f"{_bind(each)}:{each['port']}",
            "public": each["exposure"] == "edge",
            "servers": [
                *(_server(plan, instance, host) for instance in instances_of(plan, each["service"])),
                *(_server(plan, spare, host) | {"disabled": True} for spare in spares_of(plan, each["service"])),
            ],
        }
        for each in endpoints_on(plan, host)
    ]


def _bind(endpoint: dict[str, Any]) -> str:
    """A published port reaches the container at another address than that of the mesh's own network."""
    return ANY_ADDRESS if endpoint.get("published") else str(endpoint["bind"])


def _server(plan: Plan, slot: dict[str, Any], host: str) -> dict[str, Any]:
    return {
        "name": server_name(slot).partition("/")[2],
        "address": f"{_address(plan, slot, host)}:{slot['port']}",
        "disabled": False,
    }


def _address(plan: Plan, slot: dict[str, str], host: str) -> str:
    """Where HAProxy on `host` reaches a slot."""
    if slot["host"] == host or slot["bind"] == LOOPBACK:
        return reachable(slot["bind"])
    return str(plan["hosts"][slot["host"]]["address"])
