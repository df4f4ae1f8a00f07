"""Brings a Helm release to what the plan says: look, change what differs, watch, and go back when it will not run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import Cluster
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.drift import drifted
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.helm import (
    DEPLOYED,
    PENDING,
    SUPERSEDED,
    Helm,
    HelmError,
    Record,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.manifest import (
    Key,
    Object,
    changes,
    diff_text,
    key_of,
    objects_of,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.rollout_watch import (
    Patience,
    Watched,
    watch,
    workloads_of,
)

HELM_RECORDS = "owner=helm,name={release}"


@dataclass(frozen=True)
class Difference:
    """What a run would change. `rows` are lines for people; `before` and `after` the text of a diff."""

    rows: tuple[str, ...] = ()
    before: str = ""
    after: str = ""
    restarts: tuple[str, ...] = ()
    """StatefulSets whose pods would be made anew: they have no second one that serves meanwhile."""
    changed: tuple[Object, ...] = ()
    """Objects that are wanted otherwise than the last revision had them, or that it did not have."""


@dataclass(frozen=True)
class Wanted:
    """The chart (folder or archive), its values, and what Helm's history says of the revision.

    `seen` is what it says of the revision of the applied plan, the last one that a run saw running.
    """

    chart: str
    values: Mapping[str, Any]
    description: str = ""
    seen: str = ""


@dataclass(frozen=True)
class Ended:
    """How bringing it there ended. `went_back` is the revision whose objects are back, 0 when none is."""

    watched: Watched
    revision: int = 0
    went_back: int = 0
    why: tuple[str, ...] = field(default=())


def note_of(plan: Mapping[str, Any]) -> str:
    """What Helm's history says of the revision that a plan made."""
    return f"{plan['release']['id']}, plan {plan['digest'][:19]}"


def difference(cluster: Cluster, helm: Helm, record: Record | None, wanted: Wanted) -> tuple[Difference, list[Object]]:
    """What differs from the plan, in Helm's record and in the cluster itself, and the objects that are wanted."""
    if record is not None and record.is_pending:
        # Helm renders nothing beside an operation that died; a run that may change anything has forgotten it.
        objects = objects_of(helm.template(wanted.chart, wanted.values, cluster.version()))
    else:
        objects = objects_of(helm.rendered(wanted.chart, wanted.values))
    recorded = objects_of(record.manifest) if record is not None else []
    rows = changes(recorded, objects)
    if record is not None and record.status != DEPLOYED:
        rows.append(f"~ release {helm.release} (Helm calls it {record.status})")
    if record is not None and not rows:
        rows = [f"{each.row} (changed by somebody else)" for each in drifted(cluster, objects)]
    old, new = ({key_of(each): each for each in side} for side in (recorded, objects))
    touched: list[Key] = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    restarts = tuple(key[2] for key in touched if _restarts(old.get(key), new.get(key)))
    changed = tuple(new[key] for key in touched if key in new)
    before, after = (diff_text(side, touched) for side in (recorded, objects))
    return Difference(tuple(rows), before, after, restarts, changed), objects


def _restarts(before: Object | None, after: Object | None) -> bool:
    """Whether a StatefulSet that is there would make its pods anew."""
    if before is None or after is None or after["kind"] != "StatefulSet":
        return False
    return bool(before["spec"]["template"] != after["spec"]["template"])


def bring(
    cluster: Cluster,
    helm: Helm,
    wanted: Wanted,
    objects: list[Object],
    patience: Patience,
    before_change: Callable[[], None],
) -> Ended:
    """Upgrade, watch, and go back to the last revision that ran when it fails. Raises ClusterError.

    `before_change` is called before each change, and stops it by raising. A first install that fails stays as it is,
    to be looked at; the next deploy goes on from there.
    """
    before_change()
    good = last_good(helm.history(), wanted.seen)
    try:
        helm.upgrade(wanted.chart, wanted.values, wanted.description)
    except HelmError as error:
        return _back(cluster, helm, good, Watched(False, str(error)), patience, before_change)
    watched = watch(cluster, workloads_of(objects), patience)
    if watched.ready:
        newest = helm.record()
        return Ended(watched, newest.revision if newest else 0)
    return _back(cluster, helm, good, watched, patience, before_change)


def last_good(rows: list[dict[str, Any]], seen: str = "") -> int:
    """The revision to go back to: the newest that is described as `seen`, else the newest that Helm calls deployed.

    0 when there is neither. Helm calls a revision deployed as well whose run died before anybody saw it running.
    """
    ran = [row for row in rows if row["status"] in (DEPLOYED, SUPERSEDED) and seen and row.get("description") == seen]
    good = ran or [row for row in rows if row["status"] == DEPLOYED]
    return max((int(row["revision"]) for row in good), default=0)


def forget_pending(cluster: Cluster, helm: Helm, record: Record | None, before_change: Callable[[], None]) -> bool:
    """Remove Helm's record of an operation that died with its process; the run lease says that nobody is at it.

    Whether there was one; Helm does nothing else before.
    """
    if record is None or not record.is_pending:
        return False
    before_change()
    for secret in cluster.list("Secret", labels=HELM_RECORDS.format(release=helm.release)):
        if secret["metadata"].get("labels", {}).get("status", "").startswith(PENDING):
            cluster.delete("Secret", secret["metadata"]["name"])
    return True


def _back(
    cluster: Cluster, helm: Helm, good: int, failed: Watched, patience: Patience, before_change: Callable[[], None]
) -> Ended:
    if not good:
        return Ended(failed, why=("Nothing was deployed before, so it stays as it is, to be looked at.",))
    try:
        before_change()
        helm.rollback(good)
        record = helm.record()
        back = watch(cluster, workloads_of(objects_of(record.manifest if record else "")), patience)
    except ClusterError as error:
        return Ended(failed, why=(f"Going back to revision {good} failed, too: {error}",))
    if not back.ready:
        return Ended(failed, went_back=good, why=(f"Revision {good} is back and does not run either: {back.message}",))
    return Ended(failed, went_back=good, why=(f"Revision {good} is back, and runs.",))
