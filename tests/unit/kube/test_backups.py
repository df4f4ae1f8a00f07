"""Backups asked for through the API server, and a restore that stops, waits and starts again."""

from __future__ import annotations

import json
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.backup_program import ProgramError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube import (
    backup_map,
    backup_pod,
    restore_pod,
    stopping,
    streams,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.backup_pod import RESUMED, BackupPod
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.restore_pod import RestorePod, refuse_running, sweep
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.streams import Ended, execute
from ansible_collections.aimesh.mesh.plugins.modules import k8s_backup
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.backup import configuration_map
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes.restore import restore_pod as pod_of
from fake_cluster import FakeCluster

from tests.unit.kubernetes.plans import fixture

IDENTITY = "AGE-SECRET-KEY-1QQQQ"


class Program:
    """Stands for `streams.execute`: what was called, and what the program answers, one after the other."""

    def __init__(self, *answers: Ended | dict[str, Any]) -> None:
        self.answers = list(answers)
        self.argv: list[list[str]] = []
        self.stdin: list[str] = []

    def __call__(
        self, _cluster: Any, pod: str, container: str, argv: list[str], _timeout_s: float, stdin: str = ""
    ) -> Ended:
        assert (pod, container) == ("postgresql-0", "backup")
        self.argv.append(argv)
        self.stdin.append(stdin)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer if isinstance(answer, Ended) else Ended(0 if answer["ok"] else 1, json.dumps(answer), "")


def asked(program: Program) -> BackupPod:
    return BackupPod(FakeCluster(), run=program, pause_s=0.0)


def test_a_secret_goes_through_the_pipe_and_is_in_no_argument() -> None:
    program = Program({"ok": True, "message": ""})
    asked(program).ask("drill", given={"identity": IDENTITY})
    assert program.argv == [["aimesh-backup", "drill"]]
    assert json.loads(program.stdin[0]) == {"identity": IDENTITY}
    assert program.stdin[0].endswith("\n")


def test_what_the_program_complains_of_is_the_error() -> None:
    with pytest.raises(ProgramError, match=r"^There is no room[.]$"):
        asked(Program({"ok": False, "message": "There is no room."})).ask("full", "--json")


def test_a_pod_that_has_no_program_yet_is_told_of() -> None:
    with pytest.raises(ProgramError, match="deploy the mesh first"):
        asked(Program(Ended(127, "", "sh: not found"))).ask("status")


def test_a_way_that_breaks_in_the_middle_is_no_success() -> None:
    with pytest.raises(ProgramError, match="says nothing, with exit code 0"):
        asked(Program(Ended(0, "", ""))).ask("full")


def test_a_deploy_waits_until_the_pod_has_the_new_files(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = ({"ok": True, "message": "", "files": {"backup.json": digest}} for digest in ("old", "new"))
    asked(Program(old, old, new)).await_files({"backup.json": "new"})
    monkeypatch.setattr(backup_pod, "SEEN_S", 0.0)
    with pytest.raises(ClusterError, match=r"of backup[.]json it has other ones"):
        asked(Program(old)).await_files({"backup.json": "new"})


def test_the_map_is_written_once_and_says_that_nothing_made_backups_before() -> None:
    cluster, wanted = FakeCluster(), configuration_map(fixture())
    assert backup_map.difference(cluster, wanted) == "+ ConfigMap backup"
    backup_map.bring(cluster, wanted)
    assert backup_map.difference(cluster, wanted) == ""
    assert backup_map.is_resumed(cluster)
    backup_map.settled(cluster)
    assert not backup_map.is_resumed(cluster)
    changed = {**wanted, "binaryData": {**wanted["binaryData"], "backup.json": "e30K"}}
    assert backup_map.difference(cluster, changed) == "~ ConfigMap backup"
    backup_map.bring(cluster, changed)
    assert not backup_map.is_resumed(cluster), "a change is no new beginning"
    assert backup_map.difference(cluster, changed) == ""


def test_where_nothing_makes_backups_any_more_the_map_goes_and_a_stranger_s_stays() -> None:
    cluster = FakeCluster()
    backup_map.bring(cluster, configuration_map(fixture()))
    assert backup_map.difference(cluster, {}) == "- ConfigMap backup"
    backup_map.bring(cluster, {})
    assert cluster.get("ConfigMap", "backup") is None
    cluster.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "backup"}, "data": {}})
    assert backup_map.difference(cluster, {}) == ""
    assert RESUMED not in json.dumps(cluster.objects)


def workload(kind: str, name: str, replicas: int) -> dict[str, Any]:
    labels = {stopping.INSTANCE: "acme", stopping.COMPONENT: name}
    metadata = {"name": name, "namespace": "acme", "labels": labels}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": {"replicas": replicas}}


def replicas(cluster: FakeCluster, kind: str, name: str) -> int:
    found = cluster.get(kind, name, api="apps/v1")
    assert found is not None
    return int(found["spec"]["replicas"])


def test_what_is_stopped_comes_back_with_as_many_pods_as_before() -> None:
    cluster = FakeCluster()
    for name, number in (("registry", 3), ("ui", 2)):
        cluster.put(workload("Deployment", name, number))
    cluster.put(workload("StatefulSet", "postgresql", 1))
    assert stopping.stop(cluster, "acme", "Deployment", ["registry", "ui"]) == ["registry", "ui"]
    assert stopping.stop(cluster, "acme", "Deployment", ["registry", "ui"]) == [], "a second time remembers the first"
    assert stopping.stop(cluster, "acme", "StatefulSet", ["postgresql"]) == ["postgresql"]
    assert [replicas(cluster, "Deployment", name) for name in ("registry", "ui")] == [0, 0]
    assert stopping.stopped(cluster, "acme") == ["registry", "ui", "postgresql"]
    assert stopping.start(cluster, "acme", "StatefulSet") == ["postgresql"]
    assert replicas(cluster, "Deployment", "registry") == 0
    assert stopping.start(cluster, "acme") == ["registry", "ui"]
    assert [replicas(cluster, "Deployment", name) for name in ("registry", "ui")] == [3, 2]
    assert stopping.stopped(cluster, "acme") == []


@pytest.mark.parametrize(("start", "check_mode", "pods"), [(True, False, 3), (True, True, 0), (False, False, 0)])
def test_another_restore_starts_nothing_of_what_it_is_about_to_replace(
    start: bool, check_mode: bool, pods: int
) -> None:
    cluster = FakeCluster()
    cluster.put(workload("Deployment", "registry", 3))
    stopping.stop(cluster, "acme", "Deployment", ["registry"])
    params = {"release": "acme", "mesh": "acme", "run_id": "run-1", "map": {}, "start": start}
    told = k8s_backup.present(SimpleNamespace(params=params, check_mode=check_mode), cluster)
    assert told == {"changed": start, "lines": ["started registry again"] if start else []}
    assert replicas(cluster, "Deployment", "registry") == pods


def test_what_somebody_has_started_meanwhile_stays_as_it_is() -> None:
    cluster = FakeCluster()
    cluster.put(workload("Deployment", "registry", 3))
    stopping.stop(cluster, "acme", "Deployment", ["registry"])
    stopping._scale(cluster, "Deployment", "registry", 1, "3")
    assert stopping.start(cluster, "acme") == []
    assert replicas(cluster, "Deployment", "registry") == 1


def test_pods_that_do_not_end_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = FakeCluster()
    cluster.put({**workload("Pod", "registry", 1), "apiVersion": "v1"})
    monkeypatch.setattr(stopping, "GONE_S", 0.0)
    with pytest.raises(ClusterError, match="Pods of registry have not ended"):
        stopping.stop(cluster, "acme", "Deployment", ["registry"])


class Ending(FakeCluster):
    """Pods end as soon as they are looked at, with this phase and this log."""

    def __init__(self, phase: str, log: str) -> None:
        super().__init__("acme")
        self.phase, self.log = phase, log

    def get(self, kind: str, name: str, *, api: str = "v1") -> dict[str, Any] | None:
        found = super().get(kind, name, api=api)
        return found and {**found, "status": {"phase": self.phase}}

    def logs(self, pod: str, container: str, *, lines: int = 20, previous: bool = False) -> str:
        del pod, container, lines, previous
        return self.log


def run(cluster: FakeCluster) -> dict[str, Any]:
    return RestorePod(cluster, pod_of(fixture()), "restore-run-1", pause_s=0.0).run("restore-database", {"a": 1}, 5.0)


def test_a_restore_answers_with_the_last_line_of_its_log_and_its_pod_goes() -> None:
    done = {"ok": True, "message": "restored", "stages": {"replay": 2.0}}
    cluster = Ending("Succeeded", f"the replay goes on since 30 s\n{json.dumps(done)}\n")
    assert run(cluster)["stages"] == {"replay": 2.0}
    (pod,) = [body for body in cluster.bodies if body and body.get("kind") == "Pod"]
    assert pod["spec"]["containers"][0]["command"] == ["aimesh-backup", "restore-database", '{"a": 1}']
    assert cluster.get("Pod", "restore-run-1") is None


def test_a_restore_that_fails_says_why() -> None:
    refused = {"ok": False, "message": "Of what mesh_restore_to asks for, no repository has one."}
    with pytest.raises(ProgramError, match="no repository has one"):
        run(Ending("Failed", json.dumps(refused)))
    with pytest.raises(ProgramError, match="Killed"):
        run(Ending("Failed", "Killed\n"))


def test_a_restore_whose_pod_never_runs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restore_pod, "BEGIN_S", -1.0)
    cluster = Ending("Pending", "")
    with pytest.raises(ClusterError, match="did not start within"):
        run(cluster)
    assert not [path for path in cluster.objects if "/pods/" in path]


def test_nobody_comes_between_a_restore_that_is_at_work() -> None:
    cluster = FakeCluster()
    pod = {**pod_of(fixture()), "status": {"phase": "Running"}}
    pod["metadata"]["name"] = "restore-run-1"
    cluster.put(pod)
    for guard in (refuse_running, sweep):
        with pytest.raises(ClusterError, match="A restore is at work in the pod restore-run-1"):
            guard(cluster, "acme")
    cluster.put({**pod, "status": {"phase": "Failed"}})
    sweep(cluster, "acme")
    assert cluster.get("Pod", "restore-run-1") is None


def test_a_connection_that_breaks_under_a_command_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    class WebSocketError(Exception):
        """As the package websocket names what ends without a farewell."""

    class Broken:
        def run_forever(self, timeout: float) -> None:
            del timeout
            raise WebSocketError("Connection to remote host was lost.")

    class ApiError(Exception):
        """As the package kubernetes raises it."""

    contents: dict[str, dict[str, Any]] = {
        "kubernetes": {"client": SimpleNamespace(CoreV1Api=lambda _: Any, ApiClient=lambda _: None)},
        "kubernetes.client": {},
        "kubernetes.client.exceptions": {"ApiException": ApiError},
        "kubernetes.stream": {"stream": lambda *_, **__: Broken()},
        "websocket": {"WebSocketException": WebSocketError},
    }
    for name, members in contents.items():
        module = ModuleType(name)
        module.__dict__.update(members)
        monkeypatch.setitem(sys.modules, name, module)
    core = SimpleNamespace(connect_get_namespaced_pod_exec=None)
    monkeypatch.setattr(streams, "_core", lambda _: core)
    with pytest.raises(ClusterError, match="aimesh-backup cannot be run in postgresql-0: Connection to remote"):
        execute(FakeCluster(), "postgresql-0", "backup", ["aimesh-backup", "full"], 5.0)
