"""What runs before have left: Jobs that have given up, workloads that a drill has stopped."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.drill_fault import ANNOTATION
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.leftovers import leftovers, mend
from fake_cluster import FakeCluster
from kube_objects import deployment, job, stateful_set

LABELS = {"app.kubernetes.io/instance": "acme"}
APIS = {"Job": "batch/v1", "Deployment": "apps/v1", "StatefulSet": "apps/v1"}
STOPPED = json.dumps({"replicas": 2, "until": 1.0})


def cluster(*objects: dict[str, Any], drilled: str = "") -> tuple[FakeCluster, list[dict[str, Any]]]:
    """A cluster with the objects, one of them stopped by a drill, and the objects as they are wanted."""
    made, wanted = FakeCluster(), []
    for each in objects:
        metadata = each["metadata"] | {"namespace": "acme", "labels": LABELS}
        metadata["annotations"] = {ANNOTATION: STOPPED} if metadata["name"] == drilled else {}
        live = {"apiVersion": APIS[each["kind"]], **each, "metadata": metadata}
        made.put(live)
        wanted.append({"apiVersion": APIS[each["kind"]], "kind": each["kind"], "metadata": {"name": metadata["name"]}})
    return made, wanted


def rows(made: FakeCluster, wanted: list[dict[str, Any]]) -> list[str]:
    return [each.row for each in leftovers(made, "acme", wanted)]


def test_what_is_well_is_left_alone() -> None:
    assert rows(*cluster(job(), job("other", ""), deployment(), stateful_set())) == []


def test_a_job_that_has_given_up_is_made_anew() -> None:
    made, wanted = cluster(job("migrate-1", "Failed"), deployment())
    assert rows(made, wanted) == ["~ Job migrate-1 (it has failed, and is made anew)"]
    asked: list[None] = []
    mend(made, leftovers(made, "acme", wanted), lambda: asked.append(None))
    assert made.get("Job", "migrate-1", api="batch/v1") is None
    assert made.get("Deployment", "registry", api="apps/v1") is not None
    assert len(asked) == 1


def test_a_job_of_an_earlier_release_is_no_difference() -> None:
    made, _ = cluster(job("migrate-1", "Failed"))
    assert rows(made, [{"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "migrate-2"}}]) == []


def test_a_job_of_somebody_else_with_that_name_is_not_ours_to_take_away() -> None:
    made, wanted = cluster(job("migrate-1", "Failed"))
    for each in made.objects.values():
        each["metadata"]["labels"] = {}
    assert rows(made, wanted) == []


@pytest.mark.parametrize("each", [deployment(wanted=0), stateful_set(wanted=0)], ids=["Deployment", "StatefulSet"])
def test_what_a_drill_has_stopped_is_started_again(each: dict[str, Any]) -> None:
    """Also where an autoscaler sets the number of pods: no manifest says it, and zero is left alone."""
    made, wanted = cluster(each, drilled=each["metadata"]["name"])
    (row,) = rows(made, wanted)
    assert row.endswith("(a drill has stopped it, and did not end)")
    mend(made, leftovers(made, "acme", wanted), lambda: None)
    found = made.get(each["kind"], each["metadata"]["name"], api="apps/v1") or {}
    assert found["spec"]["replicas"] == 2
    assert rows(made, wanted) == []


def test_without_the_lease_nothing_is_mended() -> None:
    def lost() -> None:
        raise RuntimeError("the lease is lost")

    made, wanted = cluster(job("migrate-1", "Failed"))
    with pytest.raises(RuntimeError, match="the lease is lost"):
        mend(made, leftovers(made, "acme", wanted), lost)
    assert made.get("Job", "migrate-1", api="batch/v1") is not None
