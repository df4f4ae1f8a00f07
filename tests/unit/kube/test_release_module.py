"""Where nothing differs from the plan, what is there has to run all the same."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.helm_release import Ended, Wanted, note_of
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.release_module import still_available, unavailable
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.rollout_watch import KINDS, Watched
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.state_map import pack, state_map_name
from ansible_collections.aimesh.mesh.plugins.module_utils.state_home import PLAN_NAME
from ansible_collections.aimesh.mesh.plugins.modules import k8s_helm, k8s_manifests
from fake_cluster import FakeCluster
from kube_objects import deployment, pod, replica_set, waits

SAYS = r"^Nothing had to be changed, and not everything is available\. The image mesh-app:1 of pod registry-new cannot"


class EndedError(Exception):
    """As a module ends."""


class Module(SimpleNamespace):
    def fail_json(self, **told: Any) -> None:
        raise EndedError(told["msg"])


def module() -> Any:
    return Module(params={"timeout_s": 5.0, "grace_s": 1.0})


def compared(by: Any, api: FakeCluster) -> dict[str, Any]:
    """What a module answers where the objects are as the chart renders them."""
    params = {"release": "acme", "verb": "compare", "chart": "", "values": {}, "note": ""}
    text = json.dumps(wanted_of(api))
    record = SimpleNamespace(manifest=text, is_pending=False, status="deployed", revision=1)
    helm: Any = SimpleNamespace(
        release="acme", record=lambda: record, rendered=lambda *_: text, template=lambda *_: text
    )
    api.version = lambda: "v1.35.0"  # type: ignore[method-assign]
    told: dict[str, Any] = by.present(Module(params=params, check_mode=False), api, helm)
    return told


def wanted_of(api: FakeCluster) -> dict[str, Any]:
    """The Deployment as a manifest, which says nothing of its status."""
    (whole,) = (each for each in api.objects.values() if each["kind"] == "Deployment")
    return {key: whole[key] for key in ("apiVersion", "kind", "metadata", "spec")}


def cluster(**objects: dict[str, Any]) -> FakeCluster:
    """Kind → its one object, with the identities that it came with."""
    made = FakeCluster()
    for kind, each in objects.items():
        whole = {"apiVersion": KINDS[kind], "kind": kind, **each}
        whole["metadata"] = {"namespace": "acme", **each["metadata"]}
        made.objects[made.path_of(whole)] = whole
    return made


def test_what_runs_is_looked_at_once_and_no_more() -> None:
    owner = deployment()
    api = cluster(Deployment=owner, ReplicaSet=replica_set(owner))
    assert still_available(module(), api, [owner])["seconds"] < 1
    assert {method for method, _ in api.calls} == {"GET"}


def test_what_was_installed_and_never_ran_is_no_success() -> None:
    owner = deployment(updatedReplicas=1, availableReplicas=0)
    newest = replica_set(owner)
    waiting = pod(newest, "registry-new", waits("ErrImageNeverPull"))
    api = cluster(Deployment=owner, ReplicaSet=newest, Pod=waiting)
    with pytest.raises(EndedError, match=SAYS):
        still_available(module(), api, [owner])


def test_a_rollout_whose_end_nobody_saw_is_not_called_done() -> None:
    """The manifests are those of the plan, so nothing else differs; an update has to see it through, or go back."""
    owner = deployment(updatedReplicas=1, availableReplicas=1)
    api = cluster(Deployment=owner, ReplicaSet=replica_set(owner))
    (row,) = unavailable(api, "acme", [owner])
    assert row.startswith("~ release acme (not everything is available: ") and "1 of 2 replicas" in row
    whole = deployment()
    assert unavailable(cluster(Deployment=whole, ReplicaSet=replica_set(whole)), "acme", [whole]) == []


@pytest.mark.parametrize("by", [k8s_helm, k8s_manifests], ids=["helm", "manifests"])
@pytest.mark.parametrize(("available", "rows"), [(2, 0), (1, 1)])
def test_an_update_asks_whether_everything_is_available_before_it_says_that_nothing_is_to_do(
    by: Any, available: int, rows: int
) -> None:
    owner = deployment(availableReplicas=available)
    told = compared(by, cluster(Deployment=owner, ReplicaSet=replica_set(owner)))
    assert (told["changed"], len(told["differences"])) == (False, rows)


@pytest.mark.parametrize(
    "applied", [{"schema": 1, "release": {"id": "1.0.0+abc"}, "digest": "sha256:0123"}, None], ids=["applied", "none"]
)
def test_an_upgrade_that_fails_is_to_go_back_to_the_applied_plan(
    applied: dict[str, Any] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = cluster(Deployment=deployment())
    if applied is not None:
        files = pack({PLAN_NAME: json.dumps(applied).encode()})
        api.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": state_map_name("acme")}, **files})
    given: list[Wanted] = []

    def bring(_cluster: Any, _helm: Any, wanted: Wanted, *_: Any) -> Ended:
        given.append(wanted)
        return Ended(Watched(True, "", (), 1.0), 2)

    monkeypatch.setattr(k8s_helm, "bring", bring)
    other = json.dumps(wanted_of(api)).replace("registry", "policy")
    record = SimpleNamespace(manifest="", is_pending=False, status="deployed", revision=1)
    helm: Any = SimpleNamespace(release="acme", record=lambda: record, rendered=lambda *_: other)
    params = {"release": "acme", "mesh": "acme", "verb": "present", "chart": "", "values": {}, "note": "2.0.0"}
    k8s_helm.present(Module(params=params | {"timeout_s": 5.0, "grace_s": 1.0}, check_mode=False), api, helm)
    assert given[0].seen == (note_of(applied) if applied else "")
