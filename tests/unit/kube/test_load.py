"""The load of a rollout as a pod: made, told, asked, brought home and taken away, against a mesh that answers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.action.traffic import load_of
from ansible_collections.aimesh.mesh.plugins.module_utils.kube import load as kube_load
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.load import LoadPod
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.load_objects import (
    KINDS,
    command,
    image_of,
    load_name,
    load_objects,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.state_map import pack
from ansible_collections.aimesh.mesh.plugins.module_utils.traffic.background import LoadFiles
from ansible_collections.aimesh.mesh.plugins.module_utils.traffic.settings import Settings, TrafficError
from ansible_collections.aimesh.mesh.plugins.modules import traffic
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.load_program import FOLDER, program
from fake_kubelet import FakeKubelet
from fake_mesh import NEW, FakeMesh

from tests.unit.kubernetes.plans import fixture

TOKEN = "verify-token-7d793037a0760186574b0282f2f435e7"
RUN = "run-1"
NAME = load_name(RUN)


@pytest.fixture
def mesh() -> Iterator[FakeMesh]:
    fake = FakeMesh()
    yield fake
    fake.close()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[FakeKubelet]:
    fake = FakeKubelet(tmp_path / "pods")
    home = {"applied-plan.json": json.dumps(fixture()).encode()}
    fake.put(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "acme-state-home", "namespace": "acme"}}
        | pack(home)
    )
    yield fake
    fake.close()


@pytest.fixture
def files(tmp_path: Path) -> LoadFiles:
    return LoadFiles(str(tmp_path / "state"), RUN)


class Module(SimpleNamespace):
    """As much of an AnsibleModule as the verbs use."""

    check_mode = False

    def warn(self, text: str) -> None:
        self.warnings.append(text)


Verb = Callable[..., dict[str, Any]]


@pytest.fixture
def verb(mesh: FakeMesh, cluster: FakeKubelet, files: LoadFiles, monkeypatch: pytest.MonkeyPatch) -> Verb:
    """Calls a verb of the module as the action plugin does, without Ansible around it; `warnings` are in the result."""
    Path(files.state_dir).mkdir()
    monkeypatch.setattr(LoadPod, "of", lambda _cluster, _where, run: pod_of(cluster, run))

    def call(name: str, **more: Any) -> dict[str, Any]:
        params = {
            "state_dir": files.state_dir, "run_id": RUN, "lease_path": None, "traffic_id": RUN, "verb": name,
            "cluster": {"namespace": "acme"}, "where": {}, "program": program(), "p99_factor": 2.0,
            "endpoints": mesh.endpoints, "requests_per_second": 60.0, "token": TOKEN, "namespace": "aimesh-verify",
            "writes": True, "lifetime_s": 60.0, "baseline_s": 0.5, "after_s": 0.3, "release": "", **more,
        }  # fmt: skip
        module = Module(params=params, warnings=[])
        return {**traffic.VERBS[name](module, files), "warnings": module.warnings}

    return call


def pod_of(cluster: FakeKubelet, traffic_id: str = RUN) -> LoadPod:
    services = {"registry": "registry", "telemetry": "telemetry", "policy": "policy", "api-gateway": "api-gateway"}
    return LoadPod(cluster, "acme", "acme", services, traffic_id, cluster.execute, pause_s=0.05)


def left(cluster: FakeKubelet) -> list[str]:
    """Objects of any load."""
    return [kind for kind in KINDS for each in cluster.list(kind, labels="app.kubernetes.io/component=load")]


def settings(**more: Any) -> Settings:
    return Settings(**{"run_id": RUN, "endpoints": {"api-gateway": "http://api-gateway:3000"}, "token": TOKEN,
                       "requests_per_second": 20.0} | more)  # fmt: skip


def objects(**more: Any) -> list[dict[str, Any]]:
    return load_objects("acme", "acme", settings(**more), program(), 2.0, fixture())


def test_a_rollout_under_load_leaves_its_proof_and_nothing_in_the_cluster(
    verb: Verb, mesh: FakeMesh, cluster: FakeKubelet, files: LoadFiles
) -> None:
    started = verb("start")
    assert (started["baseline"]["failed"], started["warnings"]) == (0, [])
    assert started["baseline"]["sent"] > 5
    verb("mark", phase="during")
    mesh.update()
    verb("mark", phase="after", release=NEW)
    ended = verb("stop")
    assert ended["summary"]["verdict"] == "pass", ended["proof"]
    assert ended["proof"]["acknowledged"] > 0
    assert json.loads(files.proof.read_text()) == ended["proof"]
    assert files.ledger.read_text().count("\n") > started["baseline"]["sent"]
    # It asked the gateway alone, and its records went by another way.
    assert set(ended["proof"]["versions"]) == {"api-gateway"}
    assert mesh.purged and not ended["proof"]["left_behind"]
    assert mesh.tokens == {f"Bearer {TOKEN}"}
    assert left(cluster) == [] and not cluster.processes


def test_the_token_is_in_its_secret_and_nowhere_else(verb: Verb, cluster: FakeKubelet, files: LoadFiles) -> None:
    verb("start")
    told = json.dumps([objects()[0], objects()[2], cluster.commands])
    result = json.dumps(verb("stop"))
    kept = b"".join(path.read_bytes() for path in Path(files.state_dir).rglob("*") if path.is_file())
    assert TOKEN not in told + result and TOKEN.encode() not in kept
    assert {path.stat().st_mode & 0o777 for path in files.folder.iterdir()} == {0o600}


def test_a_request_that_fails_is_in_the_proof(verb: Verb, mesh: FakeMesh) -> None:
    verb("start")
    verb("mark", phase="during")
    mesh.faults.refused["POST /api/v1/agents"] = 2
    verb("mark", phase="after", release=mesh.versions["api-gateway"])
    time.sleep(1.0)
    ended = verb("stop")
    assert (ended["summary"]["verdict"], ended["summary"]["failed"]) == ("fail", 2)


def test_the_way_to_the_pod_may_break_for_a_while(verb: Verb, cluster: FakeKubelet) -> None:
    verb("start")
    cluster.cut = 3
    assert verb("mark", phase="during")["warnings"] == []
    cluster.cut = 3
    assert verb("stop")["warnings"] == []


def test_a_load_that_died_stops_the_run_before_the_rollout(verb: Verb, cluster: FakeKubelet) -> None:
    verb("start")
    cluster.kill(NAME)
    with pytest.raises(TrafficError, match=f"The pod {NAME} of the load has ended: log of {NAME}/load"):
        verb("mark", phase="during")


def test_a_load_that_died_during_the_rollout_is_no_reason_to_go_back_and_proves_nothing(
    verb: Verb, cluster: FakeKubelet
) -> None:
    verb("start")
    verb("mark", phase="during")
    cluster.kill(NAME)
    (warning,) = verb("mark", phase="after", release=NEW)["warnings"]
    assert "has ended" in warning
    ended = verb("stop")
    assert ended["summary"]["verdict"] == "fail"
    assert "did not live to its end" in ended["sentence"]
    assert left(cluster) == []


def test_a_generator_without_a_word_of_its_run_has_ended_by_the_mark(verb: Verb, cluster: FakeKubelet) -> None:
    verb("start", lifetime_s=4)
    load = pod_of(cluster)
    deadline = time.monotonic() + 20
    while not load.look()["ended"] and time.monotonic() < deadline:
        time.sleep(0.1)
    with pytest.raises(TrafficError):
        verb("mark", phase="during")


def test_a_pod_that_is_gone_leaves_a_proof_that_says_so(verb: Verb, cluster: FakeKubelet) -> None:
    verb("start")
    cluster.delete("Pod", NAME)
    ended = verb("stop")
    assert ended["summary"]["verdict"] == "fail"
    assert any("is gone" in warning for warning in ended["warnings"])
    assert left(cluster) == []


def test_a_run_takes_away_what_a_dead_one_left(verb: Verb, cluster: FakeKubelet) -> None:
    for each in load_objects("acme", "acme", settings(run_id="dead"), program(), 2.0, fixture()):
        cluster.put(each)
    other = {**objects()[2]["metadata"], "name": "others", "labels": {"app.kubernetes.io/instance": "other"}}
    cluster.put({"apiVersion": "v1", "kind": "Pod", "metadata": other})
    (warning,) = verb("start")["warnings"]
    assert load_name("dead") in warning
    assert left(cluster) == list(KINDS)
    assert cluster.get("Pod", "others") is not None


def test_a_second_load_of_the_same_run_is_refused_and_the_first_lives(verb: Verb, cluster: FakeKubelet) -> None:
    verb("start")
    with pytest.raises(TrafficError, match="runs already; stop it first"):
        verb("start")
    assert pod_of(cluster).look()["begun"]


def test_a_pod_that_does_not_start_is_said_and_taken_away(
    verb: Verb, cluster: FakeKubelet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kube_load, "BEGIN_S", 0.1)
    cluster.stuck = True
    with pytest.raises(TrafficError, match="did not begin within"):
        verb("start")
    assert left(cluster) == []
    with pytest.raises(TrafficError, match="No load was started for the rollout run-1 here"):
        verb("stop")


def test_what_the_cluster_refuses_leaves_nothing(verb: Verb, cluster: FakeKubelet) -> None:
    cluster.forbidden.add(("POST", cluster.path("Pod")))
    with pytest.raises(ClusterError, match="forbidden"):
        verb("start")
    assert left(cluster) == []


def test_records_that_cannot_be_deleted_are_said(verb: Verb, cluster: FakeKubelet) -> None:
    del cluster
    verb("start")
    # A name of the cluster, behind which there is no Service.
    ended = verb("stop", endpoints={"api-gateway": "http://api-gateway:3000", "registry": "http://registry:3001"})
    assert ended["proof"]["left_behind"].startswith("Records of the load remain; a verification sweeps them")
    assert "There is no Service registry" in ended["proof"]["left_behind"]


def test_an_answer_in_pieces_is_not_taken_for_the_ledger(files: LoadFiles, cluster: FakeKubelet) -> None:
    load = pod_of(cluster)
    load._ask = lambda _timeout, *_words: "H4sI"  # type: ignore[method-assign]
    with pytest.raises(TrafficError, match=r"ledger.jsonl of the load came in pieces"):
        load.bring(files)


def test_the_pod_is_as_restricted_as_any_other() -> None:
    *_, pod = objects()
    spec, (container,) = pod["spec"], pod["spec"]["containers"]
    assert spec["automountServiceAccountToken"] is False and spec["restartPolicy"] == "Never"
    assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["seccompProfile"]
    confined = container["securityContext"]
    assert confined["readOnlyRootFilesystem"] and not confined["allowPrivilegeEscalation"]
    assert confined["capabilities"] == {"drop": ["ALL"]}
    assert "env" not in container and "hostNetwork" not in spec
    assert {next(iter(set(each) - {"name"})) for each in spec["volumes"]} == {"configMap", "emptyDir", "secret"}
    assert pod["metadata"]["labels"] == {
        "app.kubernetes.io/name": "ai-agent-mesh", "app.kubernetes.io/instance": "acme",
        "app.kubernetes.io/component": "load",
    }  # fmt: skip


def test_a_mesh_without_tokens_has_no_secret_for_its_load() -> None:
    kinds = [each["kind"] for each in objects(token="")]
    assert kinds == ["ConfigMap", "Pod"]
    assert all("secret" not in each for each in objects(token="")[-1]["spec"]["volumes"])


def test_the_image_is_that_of_the_release_that_runs() -> None:
    plan = fixture()
    assert image_of(plan) == {"image": "aimesh/mesh-app:1.0.0-11111111", "imagePullPolicy": "Never"}
    plan["release"]["images"]["mesh-app"]["pull"] = True
    plan["kubernetes"]["image_pull_secret"] = "registry-login"
    *_, pod = load_objects("acme", "acme", settings(), program(), 2.0, plan)
    assert pod["spec"]["containers"][0]["imagePullPolicy"] == "IfNotPresent"
    assert pod["spec"]["imagePullSecrets"] == [{"name": "registry-login"}]
    with pytest.raises(TrafficError, match="has no applied plan"):
        image_of(None)


def test_an_id_with_any_letters_is_a_name_of_kubernetes() -> None:
    name = load_name("AWX_17.Run-")
    assert name == name.lower() and name.replace("-", "").isalnum() and name != load_name("awx_17.run-")


def test_the_program_asks_for_nothing_that_an_image_lacks() -> None:
    for name, text in program().items():
        assert "ansible" not in text, name
    assert "ansible" in (FOLDER / "background.py").read_text()


def test_the_plan_says_where_the_services_are_for_a_pod() -> None:
    plan = fixture()
    load = load_of(plan, "localhost")
    # Whatever an Ingress in front of it is called.
    assert load["endpoints"]["api-gateway"] == "http://api-gateway:3000"
    assert load["endpoints"]["registry"] == "http://registry:3001"
    assert command("look")[-1] == "look"
