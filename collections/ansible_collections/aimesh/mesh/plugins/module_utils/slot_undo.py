"""A slot goes back to what it was before a rollout touched it."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.aimesh.mesh.plugins.module_utils import slot_files, unit_records
from ansible_collections.aimesh.mesh.plugins.module_utils.edge_reload import put_back as put_back_config
from ansible_collections.aimesh.mesh.plugins.module_utils.session import HostChangeError
from ansible_collections.aimesh.mesh.plugins.module_utils.slot_spec import SlotSpec
from ansible_collections.aimesh.mesh.plugins.module_utils.slot_steps import Steps


@dataclass(frozen=True)
class Undone:
    """What happened: `restored`, `removed`, `enabled` (it had not been stopped yet) or `nothing`."""

    unit: str
    outcome: str
    seen: str
    release: str | None = None


def undo(steps: Steps, unit: str, timeout_s: float) -> Undone:
    """Undo what steps did to one slot of this host; its save goes when that succeeded. May be repeated.

    A slot that served before runs its old files again, is ready, and takes calls at this host's edge; one that was not
    there is taken away. Edges on other hosts are for the caller. Raises HostChangeError, GateError.
    """
    slot = steps.slot(unit)
    saved = slot_files.read_saved(steps.state_dir, unit)
    if slot.reload:
        return _config(steps, slot, timeout_s)
    if saved is not None and slot.oneshot:
        return _oneshot(steps, slot, saved)
    if slot.spare or (saved is not None and not saved.existed):
        _rest(steps, slot, timeout_s)
        steps.take_away(slot)
        slot_files.forget(steps.state_dir, unit)
        return Undone(unit, "removed", "it is a spare" if slot.spare else "it was not there before")
    if saved is not None:
        seen = steps.put_back(slot, saved)
        seen += _enable(steps, slot, timeout_s)
        slot_files.forget(steps.state_dir, unit)
        return Undone(unit, "restored", seen, saved.release)
    return _untouched(steps, slot, timeout_s)


def _config(steps: Steps, slot: SlotSpec, timeout_s: float) -> Undone:
    if steps.edge is None:
        raise HostChangeError(f"{slot.unit} can only be undone where HAProxy runs, and the call names no socket.")
    changed = put_back_config(steps.state_dir, slot, steps.supervisor, steps.edge, timeout_s)
    return Undone(slot.unit, "restored" if changed else "nothing", ", ".join(changed) or "its files are the old ones")


def _oneshot(steps: Steps, slot: SlotSpec, saved: slot_files.Saved) -> Undone:
    """What a job did is not undone by running another; its files and its record are."""
    slot_files.restore(steps.state_dir, saved)
    steps.supervisor.load([slot.unit])
    if saved.record is not None:
        unit_records.record(steps.state_dir, saved.record)
    slot_files.forget(steps.state_dir, slot.unit)
    return Undone(slot.unit, "restored", "its old files are back; what it did stays done")


def _untouched(steps: Steps, slot: SlotSpec, timeout_s: float) -> Undone:
    if slot.oneshot or not steps.supervisor.state(slot.unit).running:
        return Undone(slot.unit, "nothing", "nothing had been done to it")
    # A failed drain or enable leaves it up and out of the edge's rotation.
    return Undone(slot.unit, "enabled", "it had not been stopped" + _enable(steps, slot, timeout_s))


def _enable(steps: Steps, slot: SlotSpec, timeout_s: float) -> str:
    if steps.edge is None or slot.server not in steps.edge.servers():
        return ""
    up, seen = steps.edge.enable(slot.server, timeout_s)
    if not up:
        raise HostChangeError(
            f"{slot.unit} is back as it was, but HAProxy does not see it up within {timeout_s:g} s: {seen}."
        )
    return f"; {seen}"


def _rest(steps: Steps, slot: SlotSpec, timeout_s: float) -> None:
    """Calls that are under way end first; what is longer than a slot may take to stop is cut with it."""
    if steps.edge is not None and slot.server in steps.edge.servers():
        steps.edge.drain(slot.server, min(timeout_s, slot.stop_s))
