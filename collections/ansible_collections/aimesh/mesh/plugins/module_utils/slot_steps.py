"""The steps of a rollout on one host: each does its action, waits for its gate, and may be done again at any time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.aimesh.mesh.plugins.module_utils import slot_files, unit_records
from ansible_collections.aimesh.mesh.plugins.module_utils.backup_point import make as make_backup_point
from ansible_collections.aimesh.mesh.plugins.module_utils.convergence import RecordedUnit
from ansible_collections.aimesh.mesh.plugins.module_utils.edge_reload import load_config
from ansible_collections.aimesh.mesh.plugins.module_utils.edge_servers import EdgeServers
from ansible_collections.aimesh.mesh.plugins.module_utils.readiness import (
    Gate,
    answered_version,
    log_excerpt,
    probe,
    wait_until_ready,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.rollout_supervisor import SlotState, SlotSupervisor
from ansible_collections.aimesh.mesh.plugins.module_utils.session import HostChangeError
from ansible_collections.aimesh.mesh.plugins.module_utils.slot_spec import GateError, Seen, SlotSpec, StepSpec
from ansible_collections.aimesh.mesh.plugins.module_utils.steady import stays_ready


@dataclass(frozen=True)
class Steps:
    """Executes steps on this host. Raises HostChangeError, GateError for a gate that does not hold."""

    state_dir: str
    rollout: str
    slots: Mapping[str, SlotSpec]
    supervisor: SlotSupervisor
    edge: EdgeServers | None
    """None on a host that has no HAProxy."""
    backup_command: tuple[str, ...] = ()
    backup_dir: str = ""

    def execute(self, step: StepSpec) -> Seen:
        actions = {
            "backup_point": self._backup_point,
            "migrate": self._migrate,
            "edge": self._edge,
            "drain": self._drain,
            "stop": self._stop,
            "start": self._start,
            "enable": self._enable,
            "soak": self._soak,
            "remove": self._remove,
        }
        return actions[step.action](step)

    def slot(self, unit: str) -> SlotSpec:
        if unit not in self.slots:
            raise HostChangeError(f"The step is about {unit}, of which the call says nothing; this is a defect.")
        return self.slots[unit]

    def _backup_point(self, step: StepSpec) -> Seen:
        if not self.backup_command:
            raise HostChangeError("The call has no backup_command, which the step backup_point needs.")
        made, seen = make_backup_point(self.backup_command, self.backup_dir, self.rollout, step.timeout_s)
        return Seen(seen, changed=made)

    def _migrate(self, step: StepSpec) -> Seen:
        slot = self.slot(step.unit)
        record = unit_records.read_records(self.state_dir).get(slot.unit)
        if record is not None and record.fingerprint == slot.fingerprint:
            return Seen("has succeeded before", changed=False)
        self._save(slot, running=False, release=None)
        unit_records.forget(self.state_dir, slot.unit)
        self._write(slot)
        ended = self.supervisor.run(slot.unit)
        if ended:
            raise self._failure(step, f"{slot.unit} did not succeed: {ended}", ended)
        unit_records.record(self.state_dir, RecordedUnit(slot.unit, slot.fingerprint, oneshot=True))
        slot_files.forget(self.state_dir, slot.unit)
        lines = self.supervisor.journal(slot.unit)
        return Seen(f"succeeded: {lines[-1]}" if lines else "succeeded")

    def _edge(self, step: StepSpec) -> Seen:
        if self.edge is None:
            raise HostChangeError("The step edge is for a host with HAProxy, and the call names no socket of one.")
        return Seen(*load_config(self.state_dir, self.slot(step.unit), self.supervisor, self.edge, step.timeout_s))

    def _drain(self, step: StepSpec) -> Seen:
        edge = self._server(step)
        if not step.last and edge.api.server(step.server).admin != "maint":
            alone = edge.await_other(step.server, step.timeout_s)
            if alone:
                text = f"no other server than {step.server} takes its calls after {step.timeout_s:g} s"
                raise GateError(f"Gate other_slot_ready failed: {text}, seen: {alone}.", alone)
        left = edge.drain(step.server, step.timeout_s, int(step.limit or 0))
        if not left:
            return Seen("0 sessions")
        return Seen(f"{left} sessions after {step.timeout_s:g} s; the stop ends them", cut=left)

    def _enable(self, step: StepSpec) -> Seen:
        up, seen = self._server(step).enable(step.server, step.timeout_s)
        if not up:
            raise self._failure(step, f"HAProxy does not see {step.server} up within {step.timeout_s:g} s", seen)
        return Seen(seen)

    def _stop(self, step: StepSpec) -> Seen:
        slot = self.slot(step.unit)
        before = self.supervisor.state(slot.unit)
        self._save(slot, running=before.running, release=self._release(slot, before))
        if not before.present:
            return Seen("is not there", changed=False)
        begin = time.monotonic()
        how = self.supervisor.stop(slot.unit, slot.stop_s)
        if not before.running:
            return Seen(how, changed=False)
        return Seen(f"{how} in {time.monotonic() - begin:.1f} s")

    def _start(self, step: StepSpec) -> Seen:
        slot = self.slot(step.unit)
        gate = slot.ready(step.limit or None, step.timeout_s)
        before = self.supervisor.state(slot.unit)
        if before.running and self._runs_as_wanted(slot, before) and probe(gate)[0]:
            return Seen(f"ran already: {gate.text}", changed=False)
        self._save(slot, running=before.running, release=self._release(slot, before))
        unit_records.forget(self.state_dir, slot.unit)
        self._down(slot, before)
        self._write(slot)
        self.supervisor.start(slot.unit)
        seen = self._await(step, slot, gate)
        self._record(slot.unit, slot.fingerprint)
        return Seen(seen)

    def _soak(self, step: StepSpec) -> Seen:
        slot = self.slot(step.unit)
        seconds = float(step.limit or 0)
        trouble, seen = stays_ready(self.supervisor, slot.unit, slot.ready(), seconds)
        if trouble:
            raise self._failure(step, f"{slot.unit} did not stay ready for {seconds:g} s", seen)
        slot_files.forget(self.state_dir, slot.unit)
        return Seen(seen, changed=False)

    def _remove(self, step: StepSpec) -> Seen:
        slot = self.slot(step.unit)
        changed = self.take_away(slot)
        server = step.server or slot.server
        if server and self.edge is not None and server in self.edge.servers():
            self.edge.set_maintenance(server)
        slot_files.forget(self.state_dir, slot.unit)
        return Seen("gone" if changed else "was gone already", changed=changed)

    def take_away(self, slot: SlotSpec) -> bool:
        """The slot does not run, does not come back after a reboot, and its files and record are gone."""
        state = self.supervisor.state(slot.unit)
        unit_records.forget(self.state_dir, slot.unit)
        self._down(slot, state)
        if state.present:
            self.supervisor.discard(slot.unit)
        removed = slot_files.remove(self.state_dir, slot.paths)
        if state.present or removed:
            self.supervisor.load([slot.unit])
        return state.present or bool(removed)

    def put_back(self, slot: SlotSpec, saved: slot_files.Saved) -> str:
        """The slot runs as it was saved, and is ready. Raises GateError."""
        before = self.supervisor.state(slot.unit)
        unit_records.forget(self.state_dir, slot.unit)
        self._down(slot, before)
        slot_files.restore(self.state_dir, saved)
        self.supervisor.load([slot.unit])
        self.supervisor.start(slot.unit)
        # The release that a call names is the new one; where the old one did not say, any that is ready will do.
        gate = slot.ready(saved.release or "")
        step = StepSpec(0, "undo", slot.unit, gate="ready_on_release", limit=saved.release or "")
        seen = self._await(step, slot, gate)
        if saved.record is not None:
            self._record(slot.unit, saved.record.fingerprint)
        return seen

    def _save(self, slot: SlotSpec, *, running: bool, release: str | None) -> None:
        record = unit_records.read_records(self.state_dir).get(slot.unit)
        slot_files.save(self.state_dir, slot.unit, slot.paths, running=running, release=release, record=record)

    def _write(self, slot: SlotSpec) -> None:
        slot_files.write(self.state_dir, slot.files)
        self.supervisor.load([slot.unit])

    def _down(self, slot: SlotSpec, state: SlotState) -> None:
        """A unit that waits for its next automatic restart is not running, and must not come up between two acts."""
        if state.present:
            self.supervisor.stop(slot.unit, slot.stop_s)

    def _await(self, step: StepSpec, slot: SlotSpec, gate: Gate) -> str:
        outcome = wait_until_ready([gate], self.supervisor.trouble)[0]
        if not outcome.ready:
            text = f"{slot.unit} is not ready after {outcome.seconds:.0f} s: wanted {gate.text}"
            raise self._failure(step, text, outcome.seen)
        return outcome.seen

    def _record(self, unit: str, fingerprint: str) -> None:
        state = self.supervisor.state(unit)
        unit_records.record(self.state_dir, RecordedUnit(unit, fingerprint, pid=state.pid, started=state.started))

    def _runs_as_wanted(self, slot: SlotSpec, state: SlotState) -> bool:
        record = unit_records.read_records(self.state_dir).get(slot.unit)
        return (
            record is not None
            and record.fingerprint == slot.fingerprint
            and (record.pid, record.started) == (state.pid, state.started)
            and not slot_files.differing(self.state_dir, slot.files)
        )

    def _release(self, slot: SlotSpec, state: SlotState) -> str | None:
        """What a running slot says it is, so that going back can wait for just that."""
        if not state.running or slot.gate is None or slot.gate.url is None:
            return None
        return answered_version(slot.gate.url)

    def _server(self, step: StepSpec) -> EdgeServers:
        if self.edge is None:
            raise HostChangeError(f"The step {step.action} is for a host with HAProxy, and the call names no socket.")
        return self.edge

    def _failure(self, step: StepSpec, what: str, seen: str) -> GateError:
        slot = self.slots.get(step.unit)
        log = ""
        if slot is not None and step.action != "enable":
            log = f" Its log on this host: {self.supervisor.log_command(step.unit)}."
            log += log_excerpt(step.unit, self.supervisor.journal)
        return GateError(f"Gate {step.gate_text} failed: {what}, seen: {seen}.{log}", seen)
