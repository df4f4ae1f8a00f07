"""Secrets, manifests, removal and pods of a mesh in a cluster, as decisions over objects."""

from __future__ import annotations

import base64
import json
import subprocess
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.addresses import Addresses, pod_of
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster, refusal
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError, ConflictError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.manifest import changes, diff_text, settled
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.observing import ClusterProbes
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.pod_view import INSIDE, describe, live_of, quantity
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.pods import complaints
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.preflight import (
    OLDEST,
    of_the_cluster,
    offered,
    old_version,
    shortcomings,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.removal_choice import Held, decide
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.removing import held, take_away
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.secret_objects import differing, secret_object, write
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.status import pod_lines, workload_line
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.verification_rights import needed_rules
from ansible_collections.aimesh.mesh.plugins.module_utils.observations.base import Environment
from ansible_collections.aimesh.mesh.plugins.module_utils.removal_plan import Confirmed
from fake_cluster import FakeCluster
from kube_objects import deployment, pod
from kubernetes_objects import CHART

CANARY = "canary-5kZq8Wm2"
INSTANCE = {"app.kubernetes.io/instance": "acme"}


def wanted_secret(value: str = CANARY, **more: Any) -> dict[str, Any]:
    return secret_object({"name": "mesh-credentials", "data": {"token": value}, **more}, "acme")


def put(cluster: FakeCluster, kind: str, name: str, api: str = "v1", **more: Any) -> None:
    labels = more.pop("labels", INSTANCE)
    cluster.put({"apiVersion": api, "kind": kind, "metadata": {"name": name, "labels": labels}, **more})


def test_a_secret_is_written_once() -> None:
    cluster = FakeCluster()
    write(cluster, differing(cluster, [wanted_secret()], "acme"))
    made = cluster.get("Secret", "mesh-credentials")
    assert made is not None
    assert base64.b64decode(made["data"]["token"]).decode() == CANARY
    assert differing(cluster, [wanted_secret()], "acme").write == []


def test_no_value_is_in_a_diff() -> None:
    cluster = FakeCluster()
    write(cluster, differing(cluster, [wanted_secret("other-value-00")], "acme"))
    shown = str(differing(cluster, [wanted_secret()], "acme").as_diff())
    for value in (CANARY, "other-value-00"):
        assert value not in shown
        assert base64.b64encode(value.encode()).decode() not in shown
    assert "token" in shown


def test_a_key_that_is_no_longer_wanted_goes_and_a_strangers_label_stays() -> None:
    cluster = FakeCluster()
    old = wanted_secret()
    old["data"]["gone"] = "AAAA"
    old["metadata"]["labels"]["team"] = "blue"
    cluster.put(old)
    write(cluster, differing(cluster, [wanted_secret()], "acme"))
    made = cluster.get("Secret", "mesh-credentials")
    assert made is not None
    assert list(made["data"]) == ["token"]
    assert made["metadata"]["labels"]["team"] == "blue"


def test_a_secret_of_another_type_is_made_anew() -> None:
    cluster = FakeCluster()
    cluster.put(wanted_secret(type="kubernetes.io/tls"))
    write(cluster, differing(cluster, [wanted_secret()], "acme"))
    assert ("DELETE", "/api/v1/namespaces/acme/secrets/mesh-credentials") in cluster.calls


def test_pruning_takes_our_old_secrets_and_leaves_those_of_others() -> None:
    cluster = FakeCluster()
    cluster.put(secret_object({"name": "old", "data": {}}, "acme"))
    put(cluster, "Secret", "of-helm", labels={**INSTANCE, "app.kubernetes.io/managed-by": "Helm"}, type="Opaque")
    assert differing(cluster, [wanted_secret()], "acme").remove == []
    found = differing(cluster, [wanted_secret()], "acme", prune=True)
    assert found.remove == ["old"]


def test_changes_between_manifests_have_a_line_each() -> None:
    one = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}}
    two = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "b"}, "spec": 1}
    assert changes([one, two], [two | {"spec": 2}]) == ["~ Deployment b", "- Service a"]
    assert changes([], [one]) == ["+ Service a"]


def test_a_secret_in_a_diff_shows_its_keys_alone() -> None:
    assert CANARY not in diff_text([wanted_secret() | {"stringData": {"x": CANARY}}])


def test_what_controllers_write_is_no_change() -> None:
    plain = {"kind": "Service", "metadata": {"name": "a", "labels": {}}, "spec": {}}
    noisy = {
        "kind": "Service",
        "metadata": {
            "name": "a",
            "labels": {},
            "resourceVersion": "7",
            "managedFields": [],
            "annotations": {"deployment.kubernetes.io/revision": "3"},
        },
        "spec": {},
        "status": {"x": 1},
    }
    assert settled(noisy) == settled(plain)


def claims(*names: str, **labels: str) -> list[dict[str, Any]]:
    size = {"resources": {"requests": {"storage": "20Gi"}}}
    return [{"metadata": {"name": name, "labels": labels}, "spec": size} for name in names]


def test_a_removal_keeps_data_and_what_remembers_it() -> None:
    objects = {"Secret": [{"metadata": {"name": "s"}}], "PersistentVolumeClaim": claims("data-0")}
    choice = decide(Held(True, objects, state=True, namespace=True), Confirmed(), "acme")
    assert choice.objects == [("Secret", "s")]
    assert (choice.release, choice.state, choice.namespace) == (True, False, False)
    assert "stays: data data-0, 20Gi (remove it with mesh_remove_data: acme)" in choice.lines
    assert "stays: the namespace (it holds what is kept)" in choice.lines


def test_what_goes_is_counted_by_kind() -> None:
    two = [{"metadata": {"name": name}} for name in "ab"]
    lines = decide(Held(False, {"NetworkPolicy": two, "Ingress": two}, False, False), Confirmed(), "acme").lines
    assert lines == ["goes: 2 Ingresses", "goes: 2 NetworkPolicies"]


def test_a_confirmed_removal_leaves_nothing() -> None:
    objects = {"PersistentVolumeClaim": claims("data-0")}
    choice = decide(Held(True, objects, state=True, namespace=True), Confirmed(data=True), "acme")
    assert (choice.kept, choice.state, choice.namespace) == ([], True, True)


def test_backups_need_a_word_of_their_own() -> None:
    volumes = claims("repository", **{"app.kubernetes.io/component": "backup"})
    found = Held(True, {"PersistentVolumeClaim": volumes}, state=True, namespace=True)
    assert decide(found, Confirmed(data=True), "acme").kept == [("PersistentVolumeClaim", "repository")]
    assert decide(found, Confirmed(data=True, backups=True), "acme").kept == []


def test_a_namespace_that_is_not_ours_or_not_only_ours_stays() -> None:
    not_ours = decide(Held(True, {}, state=True, namespace=False), Confirmed(data=True), "acme")
    shared = decide(Held(True, {}, True, True, strangers=("Pod x",)), Confirmed(data=True), "acme")
    assert (not_ours.namespace, shared.namespace) == (False, False)
    assert "stays: the namespace (it holds what is not ours: Pod x)" in shared.lines


CNPG = "postgresql.cnpg.io/v1"


def operated() -> FakeCluster:
    """A mesh whose database an operator runs: its pods and volumes belong to the Cluster."""
    cluster = FakeCluster()
    put(cluster, "Namespace", "acme", labels={"aimesh.io/created-for": "acme"})
    put(cluster, "Cluster", "postgresql", CNPG, spec={"storage": {"size": "40Gi"}})
    for kind in ("Pod", "PersistentVolumeClaim", "Secret", "Service"):
        put(cluster, kind, "postgresql-1")
        cluster.objects[cluster.path(kind, "postgresql-1")]["metadata"]["ownerReferences"] = [{"kind": "Cluster"}]
    return cluster


def test_a_database_of_an_operator_stays_with_its_volumes_and_its_pods_are_not_waited_for() -> None:
    cluster = operated()
    choice = decide(held(cluster, None, "acme", "acme"), Confirmed(), "acme")
    assert choice.kept == [("Cluster", "postgresql"), ("PersistentVolumeClaim", "postgresql-1")]
    assert "stays: data postgresql, 40Gi (remove it with mesh_remove_data: acme)" in choice.lines
    take_away(cluster, None, choice, "acme", "acme", lambda: None)
    assert cluster.get("Cluster", "postgresql", api=CNPG) is not None
    assert "stays: the namespace (it holds what is kept)" in choice.lines


def test_a_database_of_an_operator_goes_where_that_is_said() -> None:
    cluster = operated()
    choice = decide(held(cluster, None, "acme", "acme"), Confirmed(data=True), "acme")
    assert choice.objects == [("Cluster", "postgresql"), ("PersistentVolumeClaim", "postgresql-1")]
    # What the operator has made goes with it.
    for kind in ("Pod", "Secret", "Service"):
        del cluster.objects[cluster.path(kind, "postgresql-1")]
    take_away(cluster, None, choice, "acme", "acme", lambda: None)
    assert cluster.objects == {}


@pytest.mark.parametrize(("policy", "goes"), [("", False), ("keep", True)])
def test_helm_is_not_asked_to_remove_what_its_own_record_does_not_keep(policy: str, goes: bool) -> None:
    """The listing says that the database stays; Helm goes by the revision that is installed, not by the chart."""
    manifest = {"apiVersion": CNPG, "kind": "Cluster", "metadata": {"name": "postgresql"}}
    manifest["metadata"]["annotations"] = {"helm.sh/resource-policy": policy} if policy else {}
    asked: list[str] = []
    helm: Any = SimpleNamespace(
        history=lambda: [{"revision": 1}],
        record=lambda: SimpleNamespace(manifest=json.dumps(manifest)),
        uninstall=lambda: asked.append("uninstall"),
    )
    cluster = operated()
    choice = decide(held(cluster, helm, "acme", "acme"), Confirmed(), "acme")
    if goes:
        take_away(cluster, helm, choice, "acme", "acme", lambda: None)
    else:
        before = dict(cluster.objects)
        with pytest.raises(ClusterError, match="Helm would delete the Cluster postgresql with its data"):
            take_away(cluster, helm, choice, "acme", "acme", lambda: None)
        assert cluster.objects == before
    assert asked == (["uninstall"] if goes else [])


@pytest.mark.parametrize(("kind", "status"), [("clusters", 404), ("roles", 403), ("rolebindings", 403)])
def test_kinds_that_few_meshes_have_need_no_right_to_list_them(kind: str, status: int) -> None:
    cluster = Refusing(kind, status)
    put(cluster, "Namespace", "acme", labels={"aimesh.io/created-for": "acme"})
    put(cluster, "Deployment", "registry", "apps/v1")
    assert decide(held(cluster, None, "acme", "acme"), Confirmed(), "acme").objects == [("Deployment", "registry")]


@pytest.mark.parametrize(("kind", "status"), [("secrets", 403), ("clusters", 500)])
def test_what_every_mesh_has_is_not_called_absent_because_it_may_not_be_seen(kind: str, status: int) -> None:
    cluster = Refusing(kind, status)
    put(cluster, "Namespace", "acme", labels={"aimesh.io/created-for": "acme"})
    with pytest.raises(ClusterError, match="refused"):
        held(cluster, None, "acme", "acme")


class Refusing(FakeCluster):
    """Lists one kind for nobody."""

    def __init__(self, kind: str, status: int) -> None:
        super().__init__()
        self.kind, self.status = kind, status

    def request(self, method: str, path: str, *given: Any, **more: Any) -> dict[str, Any]:
        if (method, path.rpartition("/")[2]) == ("GET", self.kind):
            raise ClusterError("refused", self.status)
        return super().request(method, path, *given, **more)


def test_what_is_not_there_is_nothing_to_remove() -> None:
    choice = decide(held(FakeCluster(), None, "acme", "acme"), Confirmed(data=True), "acme")
    assert choice.nothing
    assert choice.lines[0].startswith("goes: nothing")


def test_a_removal_takes_what_was_chosen_and_no_more() -> None:
    cluster = FakeCluster()
    put(cluster, "Namespace", "acme", labels={"aimesh.io/created-for": "acme"})
    put(cluster, "Deployment", "registry", "apps/v1")
    put(cluster, "ConfigMap", "acme-state-home", labels={})
    put(cluster, "ConfigMap", "of-another-team", labels={})
    found = held(cluster, None, "acme", "acme")
    assert found.strangers == ("ConfigMap of-another-team",)
    take_away(cluster, None, decide(found, Confirmed(data=True), "acme"), "acme", "acme", lambda: None)
    assert sorted(path.rpartition("/")[2] for path in cluster.objects) == ["acme", "of-another-team"]


def test_a_pod_that_nobody_looks_after_goes_by_itself_and_others_with_their_owner() -> None:
    cluster = FakeCluster()
    put(cluster, "Pod", "load-0123456789ab")
    put(cluster, "Pod", "registry-x")
    owned = cluster.objects[cluster.path("Pod", "registry-x")]
    owned["metadata"]["ownerReferences"] = [{"uid": "replicaset-registry"}]
    choice = decide(held(cluster, None, "acme", "acme"), Confirmed(), "acme")
    assert choice.objects == []  # without a namespace nothing is looked for
    put(cluster, "Namespace", "acme")
    choice = decide(held(cluster, None, "acme", "acme"), Confirmed(), "acme")
    assert choice.objects == [("Pod", "load-0123456789ab")]
    assert "goes: 1 Pod" in choice.lines


@pytest.mark.parametrize(
    ("text", "number"), [("512Mi", 512 * 1024**2), ("500m", 0.5), ("2", 2.0), ("1G", 1e9), (None, 0.0)]
)
def test_quantities_are_numbers(text: str | None, number: float) -> None:
    assert quantity(text) == number


def test_what_is_no_quantity_is_refused() -> None:
    with pytest.raises(ValueError, match="'much' is no quantity"):
        quantity("much")


def seen_pod(**more: Any) -> dict[str, Any]:
    made = pod(
        {"metadata": {"uid": "u"}, "kind": "ReplicaSet"} | {"metadata": {"uid": "u", "name": "rs"}}, "registry-1"
    )
    made["spec"]["containers"][0] |= more
    return made


def test_a_container_is_described_by_its_words() -> None:
    hard = {
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "resources": {"limits": {"memory": "512Mi", "cpu": "500m"}},
        "readinessProbe": {},
    }
    row = describe(seen_pod(**hard), "app")
    assert (row["read_only"], row["capabilities_dropped"], row["memory"], row["cpus"]) == (
        True,
        ["ALL"],
        536870912,
        0.5,
    )
    assert (row["privileged"], row["escalation"], row["mounts"], row["published"]) == (False, False, [], [])
    assert row["restart_policy"] == "Always"


@pytest.mark.parametrize(
    ("told", "seen"),
    [
        ("sha256:11", ("sha256:11", "")),
        ("docker.io/aimesh/mesh-app@sha256:22", ("", "sha256:22")),
        ("", ("", "")),
    ],
)
def test_an_image_has_an_id_or_a_digest(told: str, seen: tuple[str, str]) -> None:
    made = seen_pod()
    made["status"]["containerStatuses"][0]["imageID"] = told
    row = describe(made, "app")
    assert (row["image_id"], row["image_digest"]) == seen


def test_what_a_container_may_do_too_much_is_seen() -> None:
    soft = seen_pod(
        securityContext={"privileged": True, "seccompProfile": {"type": "Unconfined"}}, ports=[{"hostPort": 80}]
    )
    soft["spec"] |= {"hostNetwork": True, "volumes": [{"name": "v", "hostPath": {"path": "/"}}]}
    row = describe(soft, "app")
    assert row["privileged"] and row["escalation"] and not row["read_only"]
    assert (row["host_namespaces"], row["security_options"]) == (["hostNetwork"], ["seccomp=unconfined"])
    assert (row["mounts"][0]["source"], row["published"]) == ("/", [{"address": "", "port": 80}])


TOLD = """\
process
Pid:\t1
Uid:\t10001\t10001\t10001\t10001
CapEff:\t00000000a80425fb
NoNewPrivs:\t1
Seccomp:\t2
process
container
root: ro,relatime
memory: 9223372036854771712
pids: max
"""


def test_the_kernels_word_is_read_as_on_other_platforms() -> None:
    live = live_of(TOLD)
    assert live["processes"] == [
        {"pid": 1, "uid": 10001, "capabilities": "a80425fb", "no_new_privileges": True, "seccomp": True}
    ]
    assert (live["root_writable"], live["memory"], live["pids"]) == (False, None, None)


def test_a_root_that_can_be_written_to_is_seen() -> None:
    assert live_of(TOLD.replace("ro,relatime", "rw,errors=remount-ro"))["root_writable"] is True
    assert live_of("")["root_writable"] is True, "who was not told does not know"


def test_the_program_from_inside_tells_of_this_machine_too() -> None:
    told = subprocess.run(["/bin/sh", "-c", INSIDE], capture_output=True, text=True, check=True).stdout
    live = live_of(told)
    assert len(live["processes"]) > 1
    assert isinstance(live["root_writable"], bool)


def ready_pod(name: str, created: str, **more: Any) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": more.pop("ready", "True")}]
    made = pod({"metadata": {"uid": "u", "name": "x"}}, name, created=created, conditions=conditions, phase="Running")
    made["metadata"] |= more
    return made


def test_instances_are_pods_by_readiness_and_age() -> None:
    pods = [
        ready_pod("new", "2026-01-02T00:00:00Z"),
        ready_pod("old", "2026-01-01T00:00:00Z"),
        ready_pod("starting", "2025-01-01T00:00:00Z", ready="False"),
        ready_pod("leaving", "2024-01-01T00:00:00Z", deletionTimestamp="2026-01-03T00:00:00Z"),
    ]
    assert [pod_of(pods, slot) for slot in "abcd"] == ["old", "new", "starting", ""]


def test_a_pod_that_serves_or_is_on_its_way_has_no_complaint() -> None:
    created = "2026-01-01T00:00:00Z"
    now = datetime.fromisoformat(created).timestamp()
    assert complaints(ready_pod("ready", created), now + 9999) == []
    assert complaints(ready_pod("starting", created, ready="False"), now + 60) == []
    late = ready_pod("late", created, ready="False")
    assert complaints(late, now + 600) == ["The pod late is not ready after 10 minutes"]
    late["status"]["containerStatuses"][0]["restartCount"] = 2
    assert complaints(late, now + 60) == ["The pod late has restarted 2 times, and is not ready"]
    late["status"]["containerStatuses"][0]["state"] = {"waiting": {"reason": "ImagePullBackOff"}}
    (told,) = complaints(late, now + 60)
    assert told.startswith("The image mesh-app:1 of pod late cannot be had")
    late["status"]["conditions"].append({"type": "PodScheduled", "reason": "Unschedulable", "message": "0/2 nodes"})
    assert complaints(late, now + 60)[1] == "The pod late finds no node: 0/2 nodes"


def test_a_pod_more_than_planned_that_does_not_come_up_is_told_of_with_those_that_serve() -> None:
    """Two old ones serve on while a rollout is stuck; each of them alone looks well."""
    cluster = FakeCluster()
    for name, ready in (("old-1", "True"), ("old-2", "True"), ("new", "False")):
        made = ready_pod(name, "2026-01-01T00:00:00Z", ready=ready)
        made["metadata"] |= {"namespace": "acme", "labels": INSTANCE | {"app.kubernetes.io/component": "registry"}}
        cluster.put({"apiVersion": "v1", "kind": "Pod", **made})
    probes = ClusterProbes(cluster, "acme", Addresses(cluster, "acme", {}), "state")
    components = {"registry": {"container": "app", "unit": "registry@{slot}"}}
    found = probes._pods({"components": components}, Environment({}, 1.0))
    assert [row["pod"] for row in found.values()] == ["old-1", "old-2", "new"]
    for row in found.values():
        assert "The pod new is not ready after" in row["complaints"][0]


def test_what_is_no_api_server_is_one_sentence() -> None:
    class Proxy(FakeCluster):
        request = Cluster.request

        def _send(self, *_: Any) -> bytes:
            return b"<html>log in</html>"

    with pytest.raises(ClusterError, match="is no API server of Kubernetes"):
        Proxy().get("ConfigMap", "x")


def test_secrets_with_values_that_are_to_come_are_not_called_unwanted() -> None:
    cluster = FakeCluster()
    write(cluster, differing(cluster, [wanted_secret()], "acme"))
    assert differing(cluster, [], "acme", prune=True).remove == ["mesh-credentials"]
    assert differing(cluster, [], "acme", prune=True, unknown=["mesh-credentials"]).remove == []


def test_an_address_outside_of_the_cluster_stays_as_it_is() -> None:
    addresses = Addresses(FakeCluster(), "acme", {"registry": "registry"})
    assert addresses.url("https://mesh.acme.example/health") == "https://mesh.acme.example/health"
    with pytest.raises(ClusterError, match="There is no Service registry"):
        addresses.url("http://registry.acme.svc:3001/health")
    with pytest.raises(ClusterError, match="registry has no pod for its instance b"):
        addresses.url("http://b.registry.pod:3001/health")


def test_old_clusters_are_refused() -> None:
    assert "needs 1.33 or later" in old_version("v1.32.9")
    assert old_version("v1.35.4") == ""
    assert old_version("v1.33.2-eks-1234") == ""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["kubeVersion"] == f">={OLDEST[0]}.{OLDEST[1]}.0-0", "Helm would refuse in the middle of a deploy"


def test_nodes_offer_what_they_may_give_away() -> None:
    def node(**spec: Any) -> dict[str, Any]:
        return {"spec": spec, "status": {"allocatable": {"cpu": "1900m", "memory": "4194304Ki"}}}

    taint = [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]
    assert offered([node(), node(), node(unschedulable=True), node(taints=taint)]) == {
        "vcpus": 3.8,
        "memory_mb": 8192,
        "nodes": 2,
    }


class Reviewed(FakeCluster):
    """Allows everything but what it is told."""

    refused: tuple[str, ...] = ()

    def request(self, method: str, path: str, query: Any = None, body: Any = None, *_: Any) -> dict[str, Any]:
        if path.endswith("selfsubjectaccessreviews"):
            return {"status": {"allowed": body["spec"]["resourceAttributes"]["resource"] not in self.refused}}
        if path.endswith("/storageclasses"):
            return {"items": [{"metadata": {"name": "slow"}}]}
        return super().request(method, path, query, body)


def test_what_a_login_may_not_do_is_said_before_anything_changes() -> None:
    cluster = Reviewed()
    cluster.refused = ("secrets",)
    assert shortcomings(cluster, "v1.35.0", volumes=False, storage="") == [
        "This login may not get, list, create, patch, update, delete secrets in the namespace acme: "
        "have it granted, or use another context."
    ]


@pytest.mark.parametrize(
    ("lacking", "says"),
    [
        ("rolebindings", "create rolebindings in the namespace acme, so it cannot grant that to the Job of a"),
        ("roles", "create roles in the namespace acme"),
    ],
)
def test_a_login_hands_on_no_right_that_it_lacks(lacking: str, says: str) -> None:
    cluster = Reviewed()
    assert shortcomings(cluster, "v1.35.0", volumes=False, storage="", grants=needed_rules("acme", ["ui"])) == []
    cluster.refused = (lacking,)
    (told,) = shortcomings(cluster, "v1.35.0", volumes=False, storage="", grants=needed_rules("acme", ["ui"]))
    assert says in told and told.endswith("or remove mesh_kubernetes_verification.")
    assert shortcomings(cluster, "v1.35.0", volumes=False, storage="") == []


@pytest.mark.parametrize("kind", ["Node", "StorageClass"])
def test_a_login_of_one_namespace_is_told_what_it_lacks_and_what_to_do(kind: str) -> None:
    cluster = Refusing(f"{kind.lower()}{'es' if kind.endswith('s') else 's'}", 403)
    with pytest.raises(
        ClusterError, match=rf"may not list objects of kind {kind} .* log in otherwise with mesh_kubernetes_context"
    ):
        of_the_cluster(cluster, kind)
    cluster.status = 500
    with pytest.raises(ClusterError, match=r"^refused$"):
        of_the_cluster(cluster, kind)


def test_a_missing_storage_class_is_said() -> None:
    assert "has no default storage class, it has slow" in shortcomings(Reviewed(), "v1.35", volumes=True, storage="")[0]
    assert "has no storage class fast" in shortcomings(Reviewed(), "v1.35", volumes=True, storage="fast")[0]
    assert shortcomings(Reviewed(), "v1.35", volumes=True, storage="slow") == []


def test_what_the_api_server_refuses_is_a_sentence() -> None:
    assert str(refusal("GET", "/x", 403, b'{"message": "no."}')) == "The API server refuses GET /x: no."
    assert isinstance(refusal("PUT", "/x", 409, b"{}"), ConflictError)
    assert "log in again" in str(refusal("GET", "/x", 401, b""))
    assert str(refusal("GET", "/x", 500, b"<html>")) == "The API server refuses GET /x: status 500."


def test_status_lines_tell_what_runs() -> None:
    row = deployment(availableReplicas=1)
    row["spec"]["template"] = {"spec": {"containers": [{"image": "mesh-app:1"}]}}
    assert workload_line(row) == "Deployment registry: 1 of 2 available, image mesh-app:1"
    crashed = ready_pod("registry-x", "2026-01-01T00:00:00Z", ready="False")
    crashed["status"]["containerStatuses"][0] |= {
        "restartCount": 2,
        "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}},
    }
    assert pod_lines([crashed]) == ["  Pod registry-x: running, not ready, 2 restarts (exit code 1), on no node"]
