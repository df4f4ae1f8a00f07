from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils import slot_files, unit_records
from ansible_collections.aimesh.mesh.plugins.module_utils.manifest import load_manifest
from ansible_collections.aimesh.mesh.plugins.module_utils.slot_spec import GateError
from ansible_collections.aimesh.mesh.plugins.module_utils.slot_undo import undo

from .conftest import Host

A, B = "registry@a", "registry@b"


def test_a_slot_that_fails_its_gate_gets_its_old_files_back_and_takes_calls(host: Host) -> None:
    before = load_manifest(host.state_dir).files[str(host.path(A))]
    host.haproxy.set("registry/vm1-b", admin="ready")
    host.do("drain")
    host.do("stop")
    with pytest.raises(GateError):
        host.do("start", version="never")
    undone = undo(host.steps("never"), A, 1.0)
    assert (undone.outcome, undone.release) == ("restored", "old")
    assert host.path(A).read_text() == "old" and host.supervisor.serving[A] == "old"
    assert unit_records.read_records(host.state_dir)[A].fingerprint == "sha256:old"
    assert load_manifest(host.state_dir).files[str(host.path(A))] == before
    assert host.haproxy.servers["registry/vm1-a"].admin == "ready"
    assert slot_files.saved_units(host.state_dir) == []


def test_the_other_slot_is_never_touched(host: Host) -> None:
    host.do("start", B)
    host.do("enable", B)
    host.do("drain")
    host.do("stop")
    host.supervisor.log.clear()
    undo(host.steps(), A, 1.0)
    assert not [line for line in host.supervisor.log if B in line]
    assert host.haproxy.servers["registry/vm1-b"].admin == "ready" and host.supervisor.serving[B] == "new"


def test_a_spare_that_was_not_there_is_taken_away(host: Host) -> None:
    with pytest.raises(GateError):
        host.do("start", B, version="never")
    assert undo(host.steps("never"), B, 1.0).outcome == "removed"
    assert not host.path(B).exists() and not host.supervisor.state(B).running
    assert host.haproxy.servers["registry/vm1-b"].admin == "maint"


def test_a_slot_that_was_only_drained_takes_calls_again(host: Host) -> None:
    host.haproxy.set("registry/vm1-b", admin="ready")
    host.do("drain")
    pid = host.supervisor.state(A).pid
    assert undo(host.steps(), A, 1.0).outcome == "enabled"
    assert host.haproxy.servers["registry/vm1-a"].admin == "ready" and host.supervisor.state(A).pid == pid


def test_undo_may_be_repeated(host: Host) -> None:
    host.do("stop")
    undo(host.steps(), A, 1.0)
    pid = host.supervisor.state(A).pid
    assert undo(host.steps(), A, 1.0).outcome == "enabled" and host.supervisor.state(A).pid == pid


def test_an_old_slot_that_does_not_come_back_keeps_its_save_for_the_next_attempt(host: Host) -> None:
    host.do("stop")
    saved = slot_files.read_saved(host.state_dir, A)
    blob = host.folder / "state/slots" / A / "0"
    blob.write_text("never")
    with pytest.raises(GateError, match="ready_on_release old failed"):
        undo(host.steps(), A, 1.0)
    assert slot_files.read_saved(host.state_dir, A) == saved
    blob.write_text("old")
    assert undo(host.steps(), A, 1.0).outcome == "restored"


def test_nothing_is_done_to_what_was_never_there(host: Host) -> None:
    assert undo(host.steps(), B, 1.0).outcome == "nothing"
    assert host.supervisor.log == []


def test_a_spare_goes_although_it_has_soaked(host: Host) -> None:
    host.do("start", B)
    host.do("soak", B)
    steps = host.steps()
    spare = replace(steps.slots[B], spare=True)
    assert undo(replace(steps, slots={B: spare}), B, 1.0).outcome == "removed"
    assert not host.path(B).exists() and host.haproxy.servers["registry/vm1-b"].admin == "maint"


def test_an_old_slot_that_did_not_say_its_release_only_has_to_be_ready(host: Host) -> None:
    host.supervisor.serving[A] = ""
    host.do("stop")
    assert undo(host.steps(), A, 1.0).outcome == "restored"
