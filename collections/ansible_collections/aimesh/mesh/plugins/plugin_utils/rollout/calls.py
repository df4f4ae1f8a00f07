"""A host's slots as `aimesh.mesh.rollout` takes them: what the driver renders, with content and fingerprints."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import File, Rollout, Slot
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import (
    Plan,
    all_slots,
    has_role,
    hosts_with_role,
    slots_on,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rendering import render_files, unit_fingerprint
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.driver import Driver
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.possible import possible_slots
from ansible_collections.aimesh.mesh.plugins.plugin_utils.slice_action import Slice, SliceError
from ansible_collections.aimesh.mesh.plugins.plugin_utils.unit_options import container_args

Options = dict[str, Any]


def host_options(part: Slice) -> Options:
    """What every call of the module on this host says: supervisor, HAProxy, and how the database is dumped."""
    platform = Driver(part.plan).rollout()
    edge = has_role(part.plan, part.host, "edge")
    return {
        "host": part.host,
        "supervisor": platform.supervisor,
        "haproxy_socket": platform.haproxy_socket if edge else "",
        "haproxy_config": platform.haproxy_config if edge else "",
        "backup_command": list(platform.backup_command),
        "backup_dir": platform.backup_dir,
        "record_here": part.is_state_host,
    }


def slot_options(part: Slice, units: Iterable[str], applied: Plan | None = None) -> list[Options]:
    """The named units of this host, each once; one that the plan no longer has comes from the applied plan.

    Raises SliceError for a unit that neither has.
    """
    return [_options(part, unit, applied) for unit in dict.fromkeys(units)]


def units_on(plan: Plan, host: str) -> list[str]:
    """Units of a host that a rollout may touch: instances, spares, the migration and HAProxy."""
    driver = Driver(plan)
    units = [slot["unit"] for slot in slots_on(plan, host)]
    if hosts_with_role(plan, "app")[0] == host:
        units.append(driver.migration().unit.name)
    if has_role(plan, host, "edge"):
        units.append(driver.rollout().haproxy_unit)
    return units


def _options(part: Slice, unit: str, applied: Plan | None) -> Options:
    driver = Driver(part.plan)
    platform = driver.rollout()
    if unit == platform.haproxy_unit:
        return _haproxy(part, platform)
    migration = driver.migration()
    if unit == migration.unit.name:
        return _slot(part, part.plan, migration)
    for plan in (part.plan, applied):
        for slot in all_slots(plan) if plan is not None else []:
            if plan is not None and (slot["host"], slot["unit"]) == (part.host, unit):
                spare = slot in part.plan.get("spares", [])
                return _slot(part, plan, Driver(plan).slot(slot)) | {"spare": spare}
    for slot in possible_slots(part.plan, part.host):
        if slot["unit"] == unit:
            return _slot(part, dict(part.plan), driver.slot(slot)) | {"spare": False}
    raise SliceError(f"Neither the plan nor the applied one has a unit {unit} on {part.host}.")


def _slot(part: Slice, plan: Plan, slot: Slot) -> Options:
    leaving = plan is not part.plan
    files = render_files(list(slot.files), plan, part.host, part.templates, {})
    identities = part.identities() | {file.path: file.identity for file in files}
    return {
        "name": slot.unit.name,
        "instance": slot.instance,
        "server": slot.server,
        # One that goes is never started, and the plan may no longer have what it loads.
        "fingerprint": "" if leaving else unit_fingerprint(slot.unit, identities),
        "files": [file.as_module_args() for file in files],
        "ready": asdict(slot.unit.ready) if slot.unit.ready is not None else None,
        "stop_s": slot.stop_s,
        "oneshot": slot.unit.oneshot,
        "container": container_args(slot.unit.container),
    }


def _haproxy(part: Slice, platform: Rollout) -> Options:
    unit = next((each for each in part.state.units if each.name == platform.haproxy_unit), None)
    if unit is None:
        raise SliceError(f"{part.host} has no {platform.haproxy_unit}; the step edge belongs to a host with role edge.")
    files: list[File] = [file for file in part.state.files if file.path == platform.haproxy_config]
    return {
        "name": unit.name,
        "fingerprint": part.unit_fingerprints()[unit.name],
        "files": [file.as_module_args() for file in part.rendered(files)],
        "reload": True,
        "container": container_args(unit.container),
    }
