"""Both lines of Helm with the chart in a real cluster: what is recorded, mended, taken back, over, and away.

The namespace admits no pod: this is about objects, and needs no room for a mesh.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster as Api
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.applying import has_manifests
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.helm import Helm, HelmError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.helm_release import Wanted, difference
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.manifest import objects_of
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.kubernetes import chart_values
from kubernetes_objects import CHART

from tests.testbed.cluster import Cluster, binaries
from tests.unit.kubernetes.plans import fixture

HELMS = {3: binaries.PROGRAMS["helm"], 4: binaries.HELM_4}


@dataclass(frozen=True)
class Room:
    """A namespace of its own, and Helm for the release `acme` in it."""

    cluster: Cluster
    name: str
    helm: Helm

    @property
    def api(self) -> Api:
        return Api.of(self.helm.cluster)

    def kubectl(self, *words: str) -> str:
        return self.cluster.kubectl("--namespace", self.name, *words)

    def registry(self) -> dict[str, Any]:
        return self.cluster.get("--namespace", self.name, "deployment", "registry")


@pytest.fixture(params=HELMS)
def room(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[Room]:
    name = f"helm-{request.param}-{os.getpid()}-{secrets.token_hex(2)}"
    cluster.kubectl("create", "namespace", name)
    where = {"kubeconfig": str(cluster.kubeconfig), "context": "", "namespace": name}
    made = Room(cluster, name, Helm(where, "acme", str(binaries.ensure_one(HELMS[request.param]))).checked())
    made.kubectl("create", "quota", "no-pods", "--hard=pods=0")
    assert made.helm.major == request.param
    yield made
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def values(**replicas: int) -> dict[str, Any]:
    plan = fixture()
    for service, count in replicas.items():
        plan["services"][service]["replicas"] = count
    return chart_values(plan)


def rows(room: Room) -> tuple[str, ...]:
    return difference(room.api, room.helm, room.helm.record(), Wanted(str(CHART), values()))[0].rows


def edited(room: Room) -> None:
    room.kubectl("set", "resources", "deployment/ui", "--limits=memory=299Mi")
    room.kubectl("delete", "service", "federation")


def test_a_release_is_made_mended_taken_back_and_taken_away(room: Room) -> None:
    helm = room.helm
    helm.upgrade(str(CHART), values(), "first")
    record = helm.record()
    assert record is not None
    assert (record.revision, record.status, record.values) == (1, "deployed", values())
    assert rows(room) == ()
    edited(room)
    assert rows(room) == (
        "- Service federation (changed by somebody else)",
        "~ Deployment ui (changed by somebody else)",
    )
    helm.upgrade(str(CHART), values(), "second")
    assert rows(room) == ()
    helm.upgrade(str(CHART), values(registry=3), "third")
    # Somebody else owns the field now, and a rollback takes it back all the same.
    room.kubectl("scale", "deployment/registry", "--replicas=5")
    helm.rollback(2)
    assert room.registry()["spec"]["replicas"] == 2
    assert rows(room) == ()
    assert helm.uninstall() is True
    assert (helm.history(), helm.uninstall()) == ([], False)


def test_what_is_there_by_manifests_is_taken_over_as_it_is_and_only_when_asked_for(room: Room) -> None:
    api, helm = room.api, room.helm
    for each in objects_of(helm.template(str(CHART), values(), api.version())):
        api.apply(each)
    before = room.registry()["metadata"]["uid"]
    assert has_manifests(api, "acme")
    with pytest.raises(HelmError, match="exists and cannot be imported into the current release"):
        helm.rendered(str(CHART), values())
    replace(helm, adopts=True).upgrade(str(CHART), values(), "taken over")
    assert room.registry()["metadata"]["uid"] == before
    assert rows(room) == ()
    assert not has_manifests(api, "acme")


def test_helm_4_by_its_own_way_would_not_take_an_edited_field_back(room: Room) -> None:
    as_it_comes = replace(room.helm, major=3)
    as_it_comes.upgrade(str(CHART), values(), "first")
    edited(room)
    if room.helm.major == 3:
        as_it_comes.upgrade(str(CHART), values(), "second")
        return
    with pytest.raises(HelmError, match="conflict"):
        as_it_comes.upgrade(str(CHART), values(), "second")
