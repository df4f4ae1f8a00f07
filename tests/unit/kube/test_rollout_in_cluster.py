"""A rollout on Kubernetes is one step; a rollback takes a whole earlier plan; manifests say what needs Helm."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube import expected
from ansible_collections.aimesh.mesh.plugins.plugin_utils.kube.mesh_cluster import cluster_arguments, in_cluster
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import PlanError, digest_of
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.earlier_plan import gone_back_to
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.in_cluster import (
    executed,
    method_objections,
    restart_objections,
    rollout_batches,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rollout.target import rollback_entry

FIXTURES = Path(__file__).parents[2] / "fixtures"


def plan_of(name: str = "kubernetes") -> dict[str, Any]:
    plan: dict[str, Any] = json.loads((FIXTURES / f"plan_{name}.json").read_text(encoding="utf-8"))
    return plan


def entry(release: str, digest: str, verb: str = "deploy") -> dict[str, Any]:
    document = {"id": release, "version": release.partition("+")[0]}
    return {"release": release, "digest": digest, "document": document, "verb": verb}


def test_where_a_mesh_is_comes_from_the_plan() -> None:
    told = cluster_arguments(plan_of())
    assert told["cluster"] == {"kubeconfig": "", "context": "", "namespace": "acme"}
    assert told["where"]["services"]["postgresql"] == "postgresql"
    assert cluster_arguments(plan_of("small")) == {}
    assert not in_cluster(plan_of("compose"))


def test_a_rollout_is_one_call_and_none_when_nothing_differs() -> None:
    batches = rollout_batches(plan_of(), "localhost", ["~ Deployment registry"])
    assert [(batch["host"], len(batch["steps"]), batch["undo"]) for batch in batches] == [("localhost", 1, [])]
    assert rollout_batches(plan_of(), "localhost", []) == []


def test_what_the_call_did_is_a_step_of_the_record() -> None:
    batch = rollout_batches(plan_of(), "localhost", ["x"])[0]
    assert executed(batch, {"revision": 4, "seconds": 31.5})["done"][0]["seen"] == "revision 4"
    failed = executed(batch, {"failed": True, "msg": "No image.\n  | log"})
    assert (failed["done"], failed["failed_step"]["seen"]) == ([], "No image.")


@pytest.mark.parametrize(("verb", "refused"), [("update", True), ("scale", True), ("rollback", False)])
def test_manifests_say_which_verbs_need_helm(verb: str, refused: bool) -> None:
    plan = plan_of()
    assert method_objections(plan, verb) == []
    plan["kubernetes"]["method"] = "manifests"
    told = method_objections(plan, verb)
    assert bool(told) is refused
    assert not refused or told[0].startswith(f"mesh_kubernetes_method is manifests, and {verb} needs Helm")


def test_a_rollout_that_would_restart_a_store_is_refused() -> None:
    assert restart_objections([]) == []
    assert restart_objections(["prometheus", "alertmanager"]) == []
    assert restart_objections(["postgresql"])[0].startswith("postgresql would have to restart, and there is no second")


def test_a_rollback_brings_the_configuration_back_and_no_old_secret() -> None:
    earlier = plan_of()
    earlier["services"]["registry"]["replicas"] = 5
    earlier["digest"] = digest_of(earlier)
    today = copy.deepcopy(plan_of())
    today["kubernetes"]["kubeconfig"] = "/elsewhere"
    today["secrets"]["redis_password"]["version"] = 2
    plan = gone_back_to(today, {earlier["digest"]: earlier}, earlier["digest"])
    assert plan["services"]["registry"]["replicas"] == 5
    assert plan["kubernetes"]["kubeconfig"] == "/elsewhere"
    assert plan["secrets"]["redis_password"]["version"] == 2
    assert plan["digest"] == digest_of(plan)


def test_a_rollback_without_other_changes_is_the_earlier_plan_again() -> None:
    earlier = plan_of()
    earlier["digest"] = digest_of(earlier)
    assert gone_back_to(plan_of(), {earlier["digest"]: earlier}, earlier["digest"])["digest"] == earlier["digest"]


def test_a_plan_that_is_no_longer_kept_is_that_of_today() -> None:
    today = plan_of()
    assert gone_back_to(today, {}, "sha256:gone") is today


def test_a_rollback_by_plan_goes_to_the_one_before_be_it_of_the_same_release() -> None:
    history = [entry("1.0.0+a", "d1"), entry("1.1.0+b", "d2"), entry("1.1.0+b", "d3")]
    assert rollback_entry(history, None, by="digest")["digest"] == "d2"
    assert rollback_entry(history, None)["digest"] == "d1"
    again = [*history, entry("1.1.0+b", "d2", "rollback")]
    assert rollback_entry(again, None, by="digest")["digest"] == "d1"
    with pytest.raises(PlanError, match="ran no plan before"):
        rollback_entry(history[:1], None, by="digest")


def test_the_harness_expects_every_service_and_bundled_store() -> None:
    plan = plan_of()
    parts = {part["part"] for part in plan["monitoring"]["parts"]}
    assert set(expected.components(plan)) == {*plan["services"], "postgresql", "redis", *parts}
    assert expected.container(plan, "prometheus")["image"].startswith("aimesh/monitoring:")
    plan["kubernetes"]["database"]["kind"] = "external"
    assert "postgresql" not in expected.components(plan)
    assert expected.container(plan, "registry")["memory_mb"] == plan["services"]["registry"]["limits"]["memory_mb"]
    assert "registry.acme.svc" in expected.inside_names(plan, "registry")
