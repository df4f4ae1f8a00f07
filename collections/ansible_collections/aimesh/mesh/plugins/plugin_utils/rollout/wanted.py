"""Where a rollout goes: slots with their fingerprints, edges and the migration, as plan and driver have them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import File, Rollout, Slot
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.targets import parts_on
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import (
    Plan,
    all_slots,
    hosts_with_role,
    instances_of,
    postgresql_host,
    server_name,
    spares_of,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rendering import render_files, unit_fingerprint
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.driver import Driver
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.planner import (
    Wanted,
    WantedEdge,
    WantedMigration,
    WantedService,
    WantedSlot,
    dependency_order,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.possible import possible_slots
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice

GRAFANA = ("grafana-server", "aimesh-grafana")
"""Its unit under systemd, and its container."""
Slices = Callable[[str], Slice]
"""A host's slice of the wanted plan, by the host's name."""


def slot_fingerprint(part: Slice, slot: Slot) -> str:
    """The fingerprint that `aimesh.mesh.units` would record for the slot."""
    own = {file.path: file.identity for file in _identified(part, slot.files)}
    return unit_fingerprint(slot.unit, part.identities() | own)


def wanted_slot(plan: Plan, driver: Driver, slices: Slices, instance: Mapping[str, Any]) -> WantedSlot:
    slot = driver.slot(instance)
    return _slot(plan, instance, slot.unit.name, slot_fingerprint(slices(instance["host"]), slot))


def leaving_slots(
    plan: Plan, applied: Mapping[str, Any] | None, found: Collection[tuple[str, str]] = ()
) -> list[WantedSlot]:
    """Slots of the applied plan that the wanted one does not have, on hosts that it still has.

    `found`: host and unit of what is there; of these, a slot that a run which was cut off has added goes as well.
    """
    known = {(slot["host"], slot["unit"]) for slot in all_slots(plan)}
    gone = [slot for slot in all_slots(applied or {}) if (slot["host"], slot["unit"]) not in known]
    known |= {(slot["host"], slot["unit"]) for slot in gone}
    possible = [slot for host in plan["hosts"] for slot in possible_slots(plan, host)] if found else []
    gone += [slot for slot in possible if (place := (slot["host"], slot["unit"])) in found and place not in known]
    return [_slot(plan, slot, slot["unit"], "") for slot in gone if slot["host"] in plan["hosts"]]


def wanted_rollout(
    plan: Plan,
    applied: Mapping[str, Any] | None,
    slices: Slices,
    *,
    releases: bool,
    backup: bool,
    found: Collection[tuple[str, str]] = (),
) -> Wanted:
    """Everything that the planner needs of the plan. `releases`: whether the release may change (not so for scale).

    `found`: host and unit of what is there.
    """
    driver = Driver(plan)
    leaving = leaving_slots(plan, applied, found)
    services = tuple(_service(plan, driver, slices, name, leaving) for name in dependency_order(plan["services"]))
    return Wanted(
        release=plan["release"]["id"],
        services=services,
        edges=tuple(_edge(driver.rollout(), slices, host) for host in hosts_with_role(plan, "edge")),
        migration=_migration(plan, driver, slices) if releases else None,
        backup_host=postgresql_host(plan) if releases and backup and plan["rollout"]["backup"] else None,
        soak_s=int(plan["rollout"]["soak_s"]),
        ready_timeout_s=float(plan["rollout"]["ready_timeout_s"]),
    )


def shared_units(plan: Plan, part: Slice) -> dict[str, str]:
    """Fingerprints of a host's units that no rollout touches and that have no second slot: a restart is an outage.

    What watches the mesh is not among them: nothing waits for it, and a rollout leaves it as it is.
    """
    rollout = Driver(plan).rollout()
    left = {slot["unit"] for slot in all_slots(plan)} | {*watching_units(plan, part.host), *GRAFANA}
    return {
        unit.name: part.unit_fingerprints()[unit.name]
        for unit in part.state.units
        if unit.name not in left and not unit.oneshot and unit.name != rollout.haproxy_unit
    }


def watching_units(plan: Plan, host: str) -> list[str]:
    """Units of monitoring on a host. A rollout writes files for them, and so needs them to be installed."""
    return [part["unit"] for part in parts_on(plan, host)]


def _service(plan: Plan, driver: Driver, slices: Slices, name: str, leaving: Iterable[WantedSlot]) -> WantedService:
    planned = tuple(wanted_slot(plan, driver, slices, each) for each in instances_of(plan, name))
    spares = [wanted_slot(plan, driver, slices, each) for each in spares_of(plan, name)]
    gone = tuple(slot for slot in leaving if slot.service == name)
    return WantedService(name, planned, spares[0] if spares else None, gone)


def _slot(plan: Plan, instance: Mapping[str, Any], unit: str, fingerprint: str) -> WantedSlot:
    return WantedSlot(
        unit=unit,
        service=instance["service"],
        host=instance["host"],
        server=server_name(dict(instance)),
        fingerprint=fingerprint,
        drain_s=float(plan["services"][instance["service"]]["drain_s"]),
        instance=dict(instance),
    )


def _edge(rollout: Rollout, slices: Slices, host: str) -> WantedEdge:
    part = slices(host)
    file = next(each for each in part.state.files if each.path == rollout.haproxy_config)
    content = _identified(part, [file])[0].content or ""
    return WantedEdge(host, rollout.haproxy_unit, hashlib.sha256(content.encode()).hexdigest())


def _migration(plan: Plan, driver: Driver, slices: Slices) -> WantedMigration:
    host = hosts_with_role(plan, "app")[0]
    slot = driver.migration()
    level = int(plan["release"]["schema"]["level"])
    return WantedMigration(host, slot.unit.name, slot_fingerprint(slices(host), slot), level)


def _identified(part: Slice, files: Iterable[File]) -> list[Any]:
    """Files as they are rendered without any secret."""
    return render_files(list(files), part.plan, part.host, part.templates, None)
