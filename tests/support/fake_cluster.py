"""An API server of a few lines: objects by path, resource versions, conflicts. It says what was asked of it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.api import APPLY, JSON, MERGE, Cluster
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError, ConflictError

Object = dict[str, Any]


class FakeCluster(Cluster):
    """`calls` holds `(method, path)`; `before_write` is called before each write, as another client would come in."""

    def __init__(self, namespace: str = "acme", objects: Mapping[str, Object] | None = None) -> None:
        super().__init__(None, namespace)
        self.objects: dict[str, Object] = dict(objects or {})
        self.calls: list[tuple[str, str]] = []
        self.bodies: list[Any] = []
        self.forbidden: set[tuple[str, str]] = set()
        self.before_write: Callable[[], None] | None = None
        self.writes = 0

    @property
    def server(self) -> str:
        return "https://fake"

    def put(self, each: Object) -> None:
        """Make an object as if it had always been there."""
        self.writes += 1
        self.objects[self.path_of(each)] = copy.deepcopy(each) | {
            "metadata": {**each["metadata"], "resourceVersion": str(self.writes), "uid": f"uid-{self.writes}"}
        }

    def logs(self, pod: str, container: str, *, lines: int = 20, previous: bool = False) -> str:
        del lines
        return f"log of {pod}/{container}{' before' if previous else ''}\n"

    def request(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None, content: str = JSON
    ) -> Object:
        self.calls.append((method, path))
        if (method, path) in self.forbidden:
            raise ClusterError(f"The API server refuses {method} {path}: forbidden.", 403)
        if method != "GET" and self.before_write is not None:
            hook, self.before_write = self.before_write, None
            hook()
        if method != "GET":
            self.bodies.append(copy.deepcopy(body))
        dry = bool((query or {}).get("dryRun"))
        if method == "GET":
            return self._get(path, query or {})
        if method == "DELETE":
            return self._gone(path)
        if method == "POST":
            path = f"{path}/{body['metadata']['name']}"
            if path in self.objects:
                raise ConflictError(f"The API server refuses POST {path}: already exists.", 409)
        if method == "PUT" and path not in self.objects:
            raise ClusterError(f"The API server refuses PUT {path}: not found.", 404)
        if method == "PUT":
            held = self.objects[path]["metadata"]["resourceVersion"]
            if body["metadata"].get("resourceVersion") not in (None, held):
                raise ConflictError(f"The API server refuses PUT {path}: the object has been modified.", 409)
        merged = merge(self.objects.get(path, {}), body) if method == "PATCH" else copy.deepcopy(body)
        if content == MERGE:
            merged = without_nulls(merged)
        if dry:
            return merged
        if content == APPLY:
            merged["metadata"]["managedFields"] = [{"manager": (query or {})["fieldManager"], "operation": "Apply"}]
        self.put(merged)
        return copy.deepcopy(self.objects[path])

    def _get(self, path: str, query: Mapping[str, str]) -> Object:
        if path in self.objects:
            return copy.deepcopy(self.objects[path])
        below = [each for key, each in sorted(self.objects.items()) if key.rpartition("/")[0] == path]
        if not below and path.rpartition("/")[2] not in PLURALS:
            raise ClusterError(f"The API server refuses GET {path}: not found.", 404)
        wanted = dict(pair.split("=") for pair in query.get("labelSelector", "").split(",") if pair)
        return {
            "items": [
                copy.deepcopy(each)
                for each in below
                if wanted.items() <= (each["metadata"].get("labels") or {}).items()
            ]
        }

    def _gone(self, path: str) -> Object:
        if path not in self.objects:
            raise ClusterError(f"The API server refuses DELETE {path}: not found.", 404)
        return self.objects.pop(path)


PLURALS = (
    *(
        "clusters",
        "configmaps",
        "cronjobs",
        "deployments",
        "endpointslices",
        "events",
        "horizontalpodautoscalers",
        "ingresses",
    ),
    *("jobs", "networkpolicies", "persistentvolumeclaims", "poddisruptionbudgets", "pods", "replicasets", "secrets"),
    *("serviceaccounts", "services", "statefulsets"),
)


def without_nulls(each: Object) -> Object:
    """What a merge patch leaves: null takes a field away."""
    return {
        key: without_nulls(value) if isinstance(value, dict) else value
        for key, value in each.items()
        if value is not None
    }


def merge(before: Object, wanted: Object) -> Object:
    """What server-side apply, or a merge patch, makes of an object, near enough: maps merged, all else replaced."""
    found = copy.deepcopy(before)
    for key, value in wanted.items():
        found[key] = merge(found[key], value) if isinstance(value, dict) and isinstance(found.get(key), dict) else value
    return found
