"""What an earlier run left in the cluster that applying the same objects again does not mend."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster, Object
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.drill_fault import record_of, scale
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.pods import condition
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.status import INSTANCE, SERVED

JOB = "Job"
KINDS = {JOB: "batch/v1", **SERVED}


@dataclass(frozen=True)
class Leftover:
    """A live object, with `row` for people."""

    row: str
    found: Object


def leftovers(cluster: Cluster, release: str, wanted: Iterable[Object]) -> list[Leftover]:
    """Jobs among the wanted that have failed for good, and workloads that a drill has stopped and not started again.

    A Job that has given up is tried no more, whatever becomes of what it needs; where an autoscaler sets the number of
    pods no manifest says it, and an autoscaler leaves zero alone. Raises ClusterError.
    """
    names = {(each["kind"], each["metadata"]["name"]) for each in wanted}
    there = [
        {"apiVersion": api, "kind": kind, **each}
        for kind, api in KINDS.items()
        if any(kind == known for known, _ in names)
        for each in cluster.list(kind, api=api, labels=f"{INSTANCE}={release}")
    ]
    rows = [(_row(each), each) for each in there if (each["kind"], each["metadata"]["name"]) in names]
    return [Leftover(row, each) for row, each in rows if row]


def mend(cluster: Cluster, found: Iterable[Leftover], before_change: Callable[[], None]) -> None:
    """Take the failed Jobs away, so that they are made anew, and start what was stopped. Raises ClusterError."""
    for each in found:
        before_change()
        record = record_of(each.found)
        if record is not None:
            scale(cluster, each.found, int(record["replicas"]), None)
        else:
            cluster.delete(JOB, each.found["metadata"]["name"], api=KINDS[JOB])


def _row(each: Object) -> str:
    name = f"{each['kind']} {each['metadata']['name']}"
    if each["kind"] == JOB:
        return (
            f"~ {name} (it has failed, and is made anew)" if condition(each, "Failed").get("status") == "True" else ""
        )
    return f"~ {name} (a drill has stopped it, and did not end)" if record_of(each) is not None else ""
