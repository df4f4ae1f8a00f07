"""Two listeners of one host on one port: found before anything starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.problems import Problems
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.settings import Settings

FIXED = "mesh_monitoring.port"
"""No variable: what watches the mesh stays where everybody looks for it, and others move."""


@dataclass(frozen=True)
class Claim:
    host: str
    port: int
    owner: str
    path: str
    """Variable that moves the port."""


def check_ports(document: dict[str, Any], settings: Settings, problems: Problems) -> None:
    """Say every clash, naming the variable that the inventory sets where only one of the two is set."""
    at_site = problems.at(settings.origins)
    taken: dict[tuple[str, int], Claim] = {}
    for claim in _claims(document):
        other = taken.setdefault((claim.host, claim.port), claim)
        if other is claim or other.owner == claim.owner:
            continue
        mover, stays = (claim, other) if _is_set(claim.path, settings) else (other, claim)
        at_site.say(
            mover.path,
            f"is {mover.port}, which {stays.owner} uses on {mover.host} already; give {mover.owner} another port",
        )


def _claims(document: dict[str, Any]) -> list[Claim]:
    claims = [
        Claim(endpoint["host"], endpoint["port"], endpoint["service"], f"mesh_services.{endpoint['service']}.port")
        for endpoint in document["endpoints"]
    ]
    own = {(claim.host, claim.port, claim.owner) for claim in claims}
    for instance in [*document["instances"], *document["spares"]]:
        path = f"mesh_services.{instance['service']}.port"
        if (instance["host"], instance["port"], instance["service"]) not in own:
            claims.append(Claim(instance["host"], instance["port"], instance["id"], path))
    for store, owner in (("postgresql", "PostgreSQL"), ("redis", "Redis")):
        claims.append(Claim(document[store]["host"], document[store]["port"], owner, f"mesh_{store}.port"))
    parts = (document["monitoring"] or {"parts": []})["parts"]
    return claims + [Claim(part["host"], part["port"], part["part"], FIXED) for part in parts]


def _is_set(path: str, settings: Settings) -> bool:
    value: Any = settings.site
    for key in path.split("."):
        if not isinstance(value, dict) or key not in value:
            return False
        value = value[key]
    return True
