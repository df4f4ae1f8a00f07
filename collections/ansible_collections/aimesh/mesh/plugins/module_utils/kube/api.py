"""The API server of a cluster, in plain dictionaries: what it sends is what pure functions judge."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.connection import api_client
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.errors import ClusterError, ConflictError

Object = dict[str, Any]
MANAGER = "aimesh"
"""Field manager of what we apply ourselves."""
REQUEST_S = 30.0
JSON, APPLY, MERGE = "application/json", "application/apply-patch+yaml", "application/merge-patch+json"
_PLURALS = {
    "Endpoints": "endpoints",
    "Ingress": "ingresses",
    "NetworkPolicy": "networkpolicies",
    "PodSecurityPolicy": "podsecuritypolicies",
    "StorageClass": "storageclasses",
}
CLUSTER_WIDE = ("Namespace", "Node", "PersistentVolume", "StorageClass", "ClusterRole", "ClusterRoleBinding")


class Cluster:
    """One namespace of a cluster. Everything raises ClusterError with one sentence."""

    def __init__(self, client: Any, namespace: str) -> None:
        self.client = client
        self.namespace = namespace

    @classmethod
    def of(cls, cluster: Mapping[str, Any]) -> Cluster:
        """The cluster of a module's option `cluster`."""
        return cls(api_client(cluster), str(cluster["namespace"]))

    @property
    def server(self) -> str:
        return str(self.client.configuration.host)

    def version(self) -> str:
        """Of Kubernetes, as `v1.35.4`."""
        return str(self.request("GET", "/version")["gitVersion"])

    def get(self, kind: str, name: str, *, api: str = "v1") -> Object | None:
        """One object, None when there is none."""
        return self.maybe("GET", self.path(kind, name, api=api))

    def list(self, kind: str, *, api: str = "v1", labels: str = "", fields: str = "") -> list[Object]:
        """Objects of the namespace; an empty list where the cluster has no such kind."""
        selectors = {"labelSelector": labels, "fieldSelector": fields}
        answer = self.maybe("GET", self.path(kind, api=api), {key: value for key, value in selectors.items() if value})
        found = (answer or {}).get("items") or []
        # Items of a list carry neither.
        return [{"apiVersion": api, "kind": kind, **each} for each in found]

    def create(self, wanted: Object) -> Object:
        return self.request("POST", self.path(wanted["kind"], api=wanted["apiVersion"]), body=wanted)

    def replace(self, wanted: Object) -> Object:
        """Put the object in place of the one with its resourceVersion. Raises ConflictError when that is gone."""
        return self.request("PUT", self.path_of(wanted), body=wanted)

    def apply(self, wanted: Object, *, dry_run: bool = False, manager: str = MANAGER) -> Object:
        """Server-side apply; what others have set on the same fields is ours then."""
        query = {"fieldManager": manager, "force": "true"} | ({"dryRun": "All"} if dry_run else {})
        return self.request("PATCH", self.path_of(wanted), query, wanted, APPLY)

    def delete(self, kind: str, name: str, *, api: str = "v1") -> bool:
        """Whether there was one. What it owns goes in the background."""
        options = {"propagationPolicy": "Background"}
        return self.maybe("DELETE", self.path(kind, name, api=api), options) is not None

    def logs(self, pod: str, container: str, *, lines: int = 20, previous: bool = False) -> str:
        """The last lines of a container's log, empty when there is none."""
        query = {"container": container, "tailLines": str(lines)} | ({"previous": "true"} if previous else {})
        try:
            return self._send("GET", f"{self.path('Pod', pod)}/log", query, None, JSON).decode("utf-8", "replace")
        except ClusterError:
            return ""

    def path_of(self, each: Object) -> str:
        return self.path(each["kind"], each["metadata"]["name"], api=each["apiVersion"])

    def path(self, kind: str, name: str = "", *, api: str = "v1") -> str:
        root = f"/api/{api}" if "/" not in api else f"/apis/{api}"
        where = "" if kind in CLUSTER_WIDE else f"/namespaces/{quote(self.namespace)}"
        plural = _PLURALS.get(kind, f"{kind.lower()}s")
        return f"{root}{where}/{plural}" + (f"/{quote(name)}" if name else "")

    def maybe(self, method: str, path: str, query: Mapping[str, str] | None = None) -> Object | None:
        """The answer, None for 404."""
        try:
            return self.request(method, path, query)
        except ClusterError as error:
            if error.status == 404:
                return None
            raise

    def request(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None, content: str = JSON
    ) -> Object:
        told = self._send(method, path, query, body, content) or b"{}"
        try:
            answer: Object = json.loads(told)
        except ValueError:
            raise ClusterError(
                f"What answers at {self.server} is no API server of Kubernetes ({method} {path} gives no JSON); "
                "see that the kubeconfig points to the cluster itself."
            ) from None
        return answer

    def _send(self, method: str, path: str, query: Mapping[str, str] | None, body: Any, content: str) -> bytes:
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        address = f"{self.client.configuration.host}{path}" + (f"?{urlencode(query)}" if query else "")
        headers = {"Accept": JSON, "Content-Type": content, "User-Agent": "aimesh"}
        self.client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        try:
            answer = self.client.rest_client.request(
                method, address, headers=headers, body=body, _request_timeout=REQUEST_S
            )
            content_seen = bytes(answer.read() or b"")
        except ApiException as error:
            raise ClusterError(f"The API server {self.server} gives no answer: {reason(error)}.") from None
        except (HTTPError, OSError) as error:
            raise ClusterError(
                f"The API server {self.server} gives no answer: {reason(error)}; "
                "see that the cluster runs and that the kubeconfig points to it."
            ) from None
        if answer.status >= 400:
            raise refusal(method, path, int(answer.status), content_seen)
        return content_seen


def reason(error: BaseException) -> str:
    """The innermost cause of a connection that failed, without addresses of objects."""
    cause: BaseException = getattr(error, "reason", None) or error
    text = str(cause if isinstance(cause, BaseException) else error)
    return re.sub(r"<[^>]*>:? ?", "", text).rstrip(".")


def refusal(method: str, path: str, status: int, body: bytes) -> ClusterError:
    """Status and message of the API server; its messages name fields and never values of a Secret."""
    try:
        message = str(json.loads(body)["message"])
    except (TypeError, ValueError, KeyError):
        message = f"status {status}"
    if status == 401:
        return ClusterError("The API server does not know this login; log in again, or use another context.", status)
    kind = ConflictError if status == 409 else ClusterError
    return kind(f"The API server refuses {method} {path}: {message.rstrip('.')}.", status)
