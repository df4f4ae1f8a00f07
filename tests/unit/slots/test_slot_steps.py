from __future__ import annotations

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils import edge_reload, slot_files, unit_records
from ansible_collections.aimesh.mesh.plugins.module_utils.haproxy_runtime import RuntimeApiError
from ansible_collections.aimesh.mesh.plugins.module_utils.manifest import load_manifest
from ansible_collections.aimesh.mesh.plugins.module_utils.session import HostChangeError
from ansible_collections.aimesh.mesh.plugins.module_utils.slot_spec import GateError, StepSpec
from ansible_collections.aimesh.mesh.plugins.module_utils.slot_undo import undo

from .conftest import Host

A, B = "registry@a", "registry@b"


def fingerprint(host: Host, unit: str) -> str | None:
    record = unit_records.read_records(host.state_dir).get(unit)
    return record.fingerprint if record else None


def test_a_start_writes_the_files_waits_for_the_release_and_records_what_runs(host: Host) -> None:
    assert host.do("start", B).text == "status 200 with version new"
    state = host.supervisor.state(B)
    record = unit_records.read_records(host.state_dir)[B]
    assert (record.fingerprint, record.pid, record.started) == ("sha256:new", state.pid, state.started)
    assert host.path(B).read_text() == "new" and host.path(B).stat().st_mode & 0o777 == 0o640
    assert str(host.path(B)) in load_manifest(host.state_dir).files
    assert B in host.supervisor.enabled


def test_a_start_that_is_repeated_restarts_nothing(host: Host) -> None:
    host.do("start", B)
    host.supervisor.log.clear()
    again = host.do("start", B)
    assert not again.changed and host.supervisor.log == []


def test_a_slot_that_runs_but_was_never_recorded_as_ready_is_started_anew(host: Host) -> None:
    host.do("start", B)
    unit_records.forget(host.state_dir, B)
    assert host.do("start", B).changed
    assert host.supervisor.log[-3:] == [f"stop {B}", f"load {B}", f"start {B}"]


def test_a_start_that_never_becomes_ready_names_gate_what_was_seen_and_the_log(host: Host) -> None:
    host.do("stop")
    with pytest.raises(GateError) as failed:
        host.do("start", version="never")
    message = str(failed.value)
    assert message.startswith("Gate ready_on_release never failed: registry@a is not ready after 1 s: wanted http://")
    assert "seen: status 503" in message and "journalctl -u registry@a" in message and "registry@a said this" in message
    assert failed.value.seen.startswith("status 503") and fingerprint(host, A) is None


def test_a_wrong_release_on_the_right_port_is_not_ready(host: Host) -> None:
    step = StepSpec(1, "start", B, "", "ready_on_release", "newer", 0.3)
    with pytest.raises(GateError, match=r"with version newer, seen: status 200 with version new\."):
        host.steps().execute(step)


def test_drain_waits_until_no_session_is_left(host: Host) -> None:
    host.haproxy.set("registry/vm1-b", admin="ready")
    host.haproxy.set("registry/vm1-a", sessions=3, looks_until_end=6)
    seen = host.do("drain")
    assert (seen.text, seen.cut) == ("0 sessions", 0)
    states = [command for command in host.haproxy.commands if command.startswith("set")]
    assert states == ["set server registry/vm1-a state drain", "set server registry/vm1-a state maint"]


def test_sessions_that_outlive_the_drain_are_counted_and_left_to_the_stop(host: Host) -> None:
    host.haproxy.set("registry/vm1-b", admin="ready")
    host.haproxy.set("registry/vm1-a", sessions=2)
    seen = host.do("drain", timeout_s=0.1)
    assert seen.cut == 2 and seen.text == "2 sessions after 0.1 s; the stop ends them"
    assert host.haproxy.servers["registry/vm1-a"].admin == "maint"


def test_the_only_server_that_takes_calls_is_not_drained(host: Host) -> None:
    with pytest.raises(GateError, match=r"other_slot_ready failed: no other .* seen: registry/vm1-b is MAINT \(maint"):
        host.do("drain", timeout_s=0.1)
    assert host.haproxy.servers["registry/vm1-a"].admin == "ready"
    assert host.do("drain", timeout_s=0.1, last=True).text == "0 sessions"


def test_enable_waits_until_the_edge_sees_the_server_up(host: Host) -> None:
    assert host.do("enable", B).text == "registry/vm1-b is UP"
    host.haproxy.set("registry/vm1-b", healthy=False)
    with pytest.raises(GateError, match=r"does not see registry/vm1-b up within 0\.1 s, seen: registry/vm1-b is DOWN"):
        host.do("enable", B, timeout_s=0.1)


def test_a_stop_saves_what_served_and_a_soak_forgets_it(host: Host) -> None:
    host.do("stop")
    saved = slot_files.read_saved(host.state_dir, A)
    assert saved is not None and saved.running and saved.release == "old"
    assert saved.record is not None and saved.record.fingerprint == "sha256:old"
    host.do("start")
    assert slot_files.saved_units(host.state_dir) == [A]
    host.do("soak")
    assert slot_files.saved_units(host.state_dir) == []


def test_a_second_attempt_keeps_the_save_of_the_first(host: Host) -> None:
    host.do("stop")
    with pytest.raises(GateError):
        host.do("start", version="never")
    host.do("start", version="new")
    saved = slot_files.read_saved(host.state_dir, A)
    assert saved is not None and saved.release == "old"


def test_a_soak_sees_a_crash_although_the_unit_is_ready_again(host: Host) -> None:
    host.do("start", B)
    host.supervisor.crash(B, restarted=True)
    with pytest.raises(GateError, match=r"steady_seconds 0\.2 failed: .* seen: restarted by its supervisor 1 times"):
        host.do("soak", B)
    assert slot_files.saved_units(host.state_dir) == [B]


def test_a_soak_sees_a_unit_that_ended(host: Host) -> None:
    host.do("start", B)
    host.supervisor.crash(B, restarted=False)
    with pytest.raises(GateError, match="seen: failed after"):
        host.do("soak", B)


def test_remove_leaves_nothing_of_the_slot_and_may_be_repeated(host: Host) -> None:
    host.do("start", B)
    host.do("enable", B)
    assert host.do("remove", B).text == "gone"
    assert not host.path(B).exists() and fingerprint(host, B) is None and B not in host.supervisor.enabled
    assert str(host.path(B)) not in load_manifest(host.state_dir).files
    assert slot_files.saved_units(host.state_dir) == []
    assert host.haproxy.servers["registry/vm1-b"].admin == "maint"
    assert host.do("remove", B).text == "was gone already"


def test_a_migration_runs_once_per_fingerprint(host: Host) -> None:
    assert host.do("migrate", "migrate").text == "succeeded: migrate said this"
    record = unit_records.read_records(host.state_dir)["migrate"]
    assert record.oneshot and record.fingerprint == "sha256:new"
    assert not host.do("migrate", "migrate").changed and host.supervisor.log.count("run migrate") == 1


def test_a_migration_that_fails_is_not_recorded_and_its_old_files_come_back(host: Host) -> None:
    host.do("migrate", "migrate", version="old")
    host.supervisor.job_ends = "failed (exit-code, status 3)"
    with pytest.raises(GateError, match=r"migrate did not succeed: failed \(exit-code, status 3\)"):
        host.do("migrate", "migrate")
    assert fingerprint(host, "migrate") is None
    assert undo(host.steps(), "migrate", 1.0).outcome == "restored"
    assert host.path("migrate").read_text() == "old" and fingerprint(host, "migrate") == "sha256:old"


def test_a_new_configuration_is_loaded_and_runtime_states_are_set_again(host: Host) -> None:
    host.haproxy.set("registry/vm1-a", admin="maint")
    host.haproxy.set("registry/vm1-b", admin="ready")
    host.supervisor.on_reload = host.haproxy.reload
    seen = host.do("edge", "haproxy")
    assert seen.changed and "set again: registry/vm1-a, registry/vm1-b" in seen.text
    assert {name: each.admin for name, each in host.haproxy.servers.items()} == {
        "registry/vm1-a": "maint",
        "registry/vm1-b": "ready",
    }
    assert fingerprint(host, "haproxy") == "sha256:new" and host.path("haproxy").read_text() == "new"
    assert not host.do("edge", "haproxy").changed and host.supervisor.log.count("reload haproxy") == 1


def test_a_configuration_whose_worker_never_comes_is_put_back(host: Host) -> None:
    host.supervisor.on_reload = host.haproxy.reload
    host.do("edge", "haproxy", version="old")
    host.supervisor.on_reload = lambda: ""
    with pytest.raises(GateError, match=r"config_loaded failed: .* the worker 1001 still answers after 0\.1 s"):
        host.do("edge", "haproxy", timeout_s=0.1)
    assert host.path("haproxy").read_text() == "old" and fingerprint(host, "haproxy") == "sha256:old"
    assert slot_files.saved_units(host.state_dir) == []


def test_a_configuration_that_haproxy_refuses_is_never_in_place(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.supervisor.on_reload = host.haproxy.reload
    host.do("edge", "haproxy", version="old")

    def refuse(*_args: object) -> list[str]:
        raise HostChangeError("haproxy.cfg was not put in place.")

    monkeypatch.setattr(edge_reload.slot_files, "write", refuse)
    with pytest.raises(HostChangeError, match="was not put in place"):
        host.do("edge", "haproxy")
    assert host.path("haproxy").read_text() == "old" and fingerprint(host, "haproxy") == "sha256:old"
    assert host.supervisor.log.count("reload haproxy") == 1


def test_steps_for_the_edge_say_so_on_a_host_without_one(host: Host) -> None:
    host.acts_as_edge = False
    for action in ("edge", "drain", "enable"):
        with pytest.raises(HostChangeError, match="HAProxy, and the call names no socket"):
            host.do(action, "haproxy")


def test_an_edge_that_does_not_answer_is_one_sentence(host: Host) -> None:
    host.haproxy.close()
    with pytest.raises(RuntimeApiError, match=r"^HAProxy cannot be asked on .*is it running\?$"):
        host.do("enable", B)


def test_nothing_is_left_behind_when_a_call_dies_between_save_and_start(host: Host) -> None:
    host.do("stop")
    host.path(A).write_text("half")
    assert host.do("start").text == "status 200 with version new"
    host.do("stop", version="never")
    assert undo(host.steps("never"), A, 1.0).release == "old"
    assert host.path(A).read_text() == "old"


def test_a_server_that_takes_no_calls_may_be_drained_with_nobody_else_there(host: Host) -> None:
    host.haproxy.set("registry/vm1-a", healthy=False)
    assert host.do("drain", B, timeout_s=0.2).text == "0 sessions"


def test_a_configuration_that_somebody_changed_by_hand_is_written_again(host: Host) -> None:
    host.supervisor.on_reload = host.haproxy.reload
    host.do("edge", "haproxy")
    host.path("haproxy").write_text("by hand")
    assert host.do("edge", "haproxy").changed and host.path("haproxy").read_text() == "new"
