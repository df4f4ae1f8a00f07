"""Objects as an API server has them, as short as a test can read."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]


def deployment(name: str = "registry", wanted: int = 2, **status: Any) -> Object:
    """A Deployment that is through, but for what `status` says."""
    through = {
        "observedGeneration": 3,
        "replicas": wanted,
        "updatedReplicas": wanted,
        "availableReplicas": wanted,
        "conditions": [{"type": "Available", "status": "True"}],
    }
    return {
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "uid": f"deployment-{name}",
            "generation": 3,
            "annotations": {"deployment.kubernetes.io/revision": "2"},
        },
        "spec": {"replicas": wanted},
        "status": through | status,
    }


def replica_set(owner: Object, revision: str = "2") -> Object:
    return {
        "metadata": {
            "name": f"{owner['metadata']['name']}-{revision}",
            "uid": f"replicaset-{owner['metadata']['name']}-{revision}",
            "annotations": {"deployment.kubernetes.io/revision": revision},
            "ownerReferences": [{"uid": owner["metadata"]["uid"]}],
        }
    }


def stateful_set(name: str = "postgresql", wanted: int = 1, **status: Any) -> Object:
    through = {
        "observedGeneration": 1,
        "replicas": wanted,
        "currentRevision": "r1",
        "updateRevision": "r1",
        "updatedReplicas": wanted,
        "currentReplicas": wanted,
        "readyReplicas": wanted,
        "availableReplicas": wanted,
    }
    return {
        "kind": "StatefulSet",
        "metadata": {"name": name, "uid": f"statefulset-{name}", "generation": 1},
        "spec": {"replicas": wanted},
        "status": through | status,
    }


def job(name: str = "migrate", condition: str = "Complete", message: str = "", **status: Any) -> Object:
    conditions = [{"type": condition, "status": "True", "message": message}] if condition else []
    return {
        "kind": "Job",
        "metadata": {"name": name, "uid": f"job-{name}"},
        "spec": {},
        "status": {"conditions": conditions, **status},
    }


def pod(owner: Object, name: str = "", state: Object | None = None, **more: Any) -> Object:
    """A pod of an owner with one container, `app`, whose status is `state`."""
    own = name or f"{owner['metadata']['name']}-x"
    image = more.pop("image", "mesh-app:1")
    return {
        "metadata": {
            "name": own,
            "ownerReferences": [{"uid": owner["metadata"]["uid"]}],
            "labels": more.pop("labels", {}),
            "creationTimestamp": more.pop("created", "2026-01-01T00:00:00Z"),
        },
        "spec": {"containers": [{"name": "app", "image": image}]},
        "status": {
            "containerStatuses": [{"name": "app", "image": image, "restartCount": 0, "state": {"running": {}}}]
            if state is None
            else [{"name": "app", "image": image, "restartCount": 0, **state}],
            **more,
        },
    }


def waits(reason: str, message: str = "", restarts: int = 0, exit_code: int = 0) -> Object:
    """A container status that waits for a reason."""
    last = {"lastState": {"terminated": {"exitCode": exit_code, "reason": "Error"}}} if exit_code else {}
    return {"state": {"waiting": {"reason": reason, "message": message}}, "restartCount": restarts, **last}
