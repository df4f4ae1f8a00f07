"""Small plans, where they lead, and meshes to which they have been applied."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import server_name
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.planner import (
    Wanted,
    WantedEdge,
    WantedMigration,
    WantedService,
    WantedSlot,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.wanted import leaving_slots

from .simulator import HAPROXY, MIGRATION_UNIT, Mesh, Place, Unit

SERVICES = ("registry", "gateway")


@dataclass(frozen=True)
class Target:
    """What an operator may want: a release, replicas per service, a limit, on given hosts."""

    release: str = "1"
    replicas: tuple[int, int] = (1, 1)
    memory_mb: int = 512
    """Of the registry alone."""
    app: tuple[str, ...] = ("vm1",)
    edge: tuple[str, ...] = ("vm1",)
    edge_option: str = ""

    @cached_property
    def plan(self) -> dict[str, Any]:
        """The sections that `leaving_slots` reads, as the planner of plans deals them out."""
        instances = [
            self._slot(service, number, self.app[number % len(self.app)])
            for service, replicas in zip(SERVICES, self.replicas, strict=True)
            for number in range(replicas)
        ]
        spares = [
            self._slot(service, 1, self.app[0])
            for service, replicas in zip(SERVICES, self.replicas, strict=True)
            if replicas == 1
        ]
        return {
            "instances": instances,
            "spares": spares,
            "services": {service: {"drain_s": 10} for service in SERVICES},
            "hosts": {host: {"roles": ["app"] if host in self.app else []} for host in (*self.app, *self.edge)},
        }

    def fingerprint(self, slot: Mapping[str, Any]) -> str:
        limit = self.memory_mb if slot["service"] == "registry" else 0
        return f"{self.release}:{limit}:{slot['unit']}"

    @cached_property
    def config(self) -> dict[str, str]:
        plan = self.plan
        return {
            **{server_name(slot): "ready" for slot in plan["instances"]},
            **{server_name(slot): "maint" for slot in plan["spares"]},
        }

    @cached_property
    def config_sha256(self) -> str:
        return hashlib.sha256(repr((sorted(self.config.items()), self.edge_option)).encode()).hexdigest()

    @staticmethod
    def _slot(service: str, number: int, host: str) -> dict[str, Any]:
        slot = "abc"[number]
        return {
            "id": f"{service}@{slot}",
            "service": service,
            "host": host,
            "slot": slot,
            "unit": f"aimesh-{service}@{slot}",
        }


@cache
def wanted(
    target: Target, applied: Target | None = None, names: frozenset[Place] = frozenset(), *, backup: bool = True
) -> Wanted:
    plan = target.plan
    leaving = leaving_slots(plan, applied.plan if applied else None, names)

    def slots(section: str, service: str) -> tuple[WantedSlot, ...]:
        found = [slot for slot in plan[section] if slot["service"] == service]
        return tuple(
            WantedSlot(slot["unit"], service, slot["host"], server_name(slot), target.fingerprint(slot), 10.0, slot)
            for slot in found
        )

    return Wanted(
        release=target.release,
        services=tuple(
            WantedService(
                service,
                slots("instances", service),
                next(iter(slots("spares", service)), None),
                tuple(slot for slot in leaving if slot.service == service),
            )
            for service in SERVICES
        ),
        edges=tuple(WantedEdge(edge, HAPROXY, target.config_sha256) for edge in target.edge),
        migration=WantedMigration("vm1", MIGRATION_UNIT, f"migrates to {target.release}", 1),
        backup_host="vm1" if backup else None,
        soak_s=15,
        ready_timeout_s=120.0,
    )


def applied_mesh(target: Target, others: Sequence[Target] = ()) -> Mesh:
    """The mesh as `site.yml` leaves it; `others` are targets that it may be rolled to."""
    units = {
        (slot["host"], slot["unit"]): Unit(True, True, target.fingerprint(slot), target.fingerprint(slot))
        for slot in target.plan["instances"]
    }
    return Mesh(
        edges={edge: dict(target.config) for edge in target.edge},
        configs=dict.fromkeys(target.edge, target.config_sha256),
        contents={each.config_sha256: each.config for each in (target, *others)},
        units=units,
        migrated=f"migrates to {target.release}",
    )


def aim(mesh: Mesh, target: Target) -> None:
    """What the calls of a rollout to this target bring with them."""
    plan = target.plan
    slots = [*plan["instances"], *plan["spares"]]
    places: dict[Place, str] = {(slot["host"], slot["unit"]): target.fingerprint(slot) for slot in slots}
    mesh.fingerprints = {**places, ("vm1", MIGRATION_UNIT): f"migrates to {target.release}"}
    mesh.spares = frozenset((slot["host"], slot["unit"]) for slot in plan["spares"])


def shortcomings(mesh: Mesh, target: Target) -> list[str]:
    """In what a mesh differs from what `site.yml` would leave."""
    there = applied_mesh(target)
    places = sorted({*there.units, *mesh.units})
    return [
        *(f"{place} is {mesh.units.get(place)}" for place in places if mesh.units.get(place) != there.units.get(place)),
        *(f"{edge} has {mesh.edges[edge]}" for edge in target.edge if mesh.edges[edge] != there.edges[edge]),
        *([] if mesh.configs == there.configs else [f"configurations are {mesh.configs}"]),
        *([] if mesh.migrated == there.migrated else [f"the migration is {mesh.migrated}"]),
        *(f"what {unit} was before is kept" for _, unit in sorted(mesh.saves)),
    ]
