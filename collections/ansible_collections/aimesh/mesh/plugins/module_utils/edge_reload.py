"""A new configuration for HAProxy, loaded without dropping a connection, or the old one kept."""

from __future__ import annotations

import contextlib
import time

from ansible_collections.aimesh.mesh.plugins.module_utils import slot_files, unit_records
from ansible_collections.aimesh.mesh.plugins.module_utils.convergence import RecordedUnit
from ansible_collections.aimesh.mesh.plugins.module_utils.edge_servers import EdgeServers
from ansible_collections.aimesh.mesh.plugins.module_utils.haproxy_runtime import RuntimeApiError
from ansible_collections.aimesh.mesh.plugins.module_utils.readiness import log_excerpt
from ansible_collections.aimesh.mesh.plugins.module_utils.rollout_supervisor import SlotSupervisor
from ansible_collections.aimesh.mesh.plugins.module_utils.session import HostChangeError
from ansible_collections.aimesh.mesh.plugins.module_utils.slot_spec import GateError, SlotSpec


def load_config(
    state_dir: str, slot: SlotSpec, supervisor: SlotSupervisor, edge: EdgeServers, timeout_s: float
) -> tuple[str, bool]:
    """Write `slot.files`, checked by HAProxy itself, and have a new worker load them. (What was seen, whether changed).

    States set through the runtime API are given to the new worker again. When it does not come, the old file is put
    back and the old worker goes on. Raises HostChangeError, GateError.
    """
    record = unit_records.read_records(state_dir).get(slot.unit)
    saved = slot_files.read_saved(state_dir, slot.unit)
    loaded = saved is None and record is not None and record.fingerprint == slot.fingerprint
    if loaded and not slot_files.differing(state_dir, slot.files):
        return "loaded already", False
    states = edge.servers()
    slot_files.save(state_dir, slot.unit, slot.paths, running=True, release=None, record=record)
    unit_records.forget(state_dir, slot.unit)
    try:
        slot_files.write(state_dir, slot.files)
        seen = _reload(slot, supervisor, edge, timeout_s)
        differed = edge.reapply(states)
    except HostChangeError:
        put_back(state_dir, slot, supervisor, edge, timeout_s)
        raise
    _record(state_dir, slot.unit, slot.fingerprint, supervisor)
    slot_files.forget(state_dir, slot.unit)
    return seen + (f"; set again: {', '.join(differed)}" if differed else ""), True


def put_back(
    state_dir: str, slot: SlotSpec, supervisor: SlotSupervisor, edge: EdgeServers, timeout_s: float
) -> list[str]:
    """Give HAProxy its saved configuration again; the files that differed. Raises HostChangeError."""
    saved = slot_files.read_saved(state_dir, slot.unit)
    if saved is None:
        return []
    changed = slot_files.restore(state_dir, saved)
    if changed:
        states = edge.servers()
        # A master whose new worker did not come keeps the old one; a reload ends that waiting.
        with contextlib.suppress(GateError):
            _reload(slot, supervisor, edge, timeout_s)
        edge.reapply(states)
    if saved.record is not None:
        _record(state_dir, slot.unit, saved.record.fingerprint, supervisor)
    slot_files.forget(state_dir, slot.unit)
    return changed


def _reload(slot: SlotSpec, supervisor: SlotSupervisor, edge: EdgeServers, timeout_s: float) -> str:
    begin, before = time.monotonic(), edge.api.worker()
    refusal = supervisor.reload(slot.unit)
    if not refusal:
        try:
            if edge.await_new_worker(before, timeout_s):
                return f"a new worker answers after {time.monotonic() - begin:.1f} s"
            refusal = f"the worker {before} still answers after {timeout_s:g} s"
        except RuntimeApiError as error:
            refusal = str(error).rstrip(".")
    log = f" Its log on this host: {supervisor.log_command(slot.unit)}." + log_excerpt(slot.unit, supervisor.journal)
    raise GateError(f"Gate config_loaded failed: reload of {slot.unit}, seen: {refusal}.{log}", refusal)


def _record(state_dir: str, unit: str, fingerprint: str, supervisor: SlotSupervisor) -> None:
    state = supervisor.state(unit)
    unit_records.record(state_dir, RecordedUnit(unit, fingerprint, pid=state.pid, started=state.started))
