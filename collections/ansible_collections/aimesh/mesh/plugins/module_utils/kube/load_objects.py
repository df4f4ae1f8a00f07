"""The objects that make the load of a rollout: a pod, its program and settings, its token. Pure."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.confined import CONTAINER, confined_spec
from ansible_collections.aimesh.mesh.plugins.module_utils.kube.status import COMPONENT, INSTANCE
from ansible_collections.aimesh.mesh.plugins.module_utils.traffic.inside import SETTINGS, TOKEN
from ansible_collections.aimesh.mesh.plugins.module_utils.traffic.requests import GATEWAY
from ansible_collections.aimesh.mesh.plugins.module_utils.traffic.settings import Settings, TrafficError

Object = dict[str, Any]

LOAD = "load"
"""The component, and the name of the container."""
KINDS = ("Pod", "Secret", "ConfigMap")
"""What a load consists of, in the order in which it goes."""
RUN = "aimesh.io/run"
PYTHON = "/opt/mesh/bin/python"
CODE, SECRET, DATA = "/run/aimesh/load", "/run/secrets/load", "/tmp"  # noqa: S108 - a folder of the pod alone
PACKAGE = "traffic"
BOOT = f"import sys; sys.path.insert(0, sys.argv[1]); from {PACKAGE}.inside import main; main(sys.argv[1:])"
USER = 10001
LEAVE_S = 5
RESOURCES = {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}}
"""Without a limit of CPU: a generator that is held up would be taken for a mesh that is slow."""
ROOM = "256Mi"
"""For the ledger at its bound, and what is made of it."""


def load_name(traffic_id: str) -> str:
    """Of all objects of one load; an id may have letters that a name may not."""
    return f"{LOAD}-{hashlib.sha256(traffic_id.encode()).hexdigest()[:12]}"


def command(*words: str) -> list[str]:
    """What runs in the pod: the program itself, or a word to it. No secret is among `words`."""
    return [PYTHON, "-I", "-S", "-B", "-c", BOOT, CODE, SECRET, DATA, *words]


def image_of(applied: Mapping[str, Any] | None) -> Object:
    """`{"image", "imagePullPolicy"}` of the release that runs: that of the wanted one may not be had.

    Raises TrafficError.
    """
    if applied is None:
        raise TrafficError("The state home has no applied plan, so there is no release to take the load's image from.")
    image = applied["release"]["images"]["mesh-app"]
    return {"image": image["reference"], "imagePullPolicy": "IfNotPresent" if image["pull"] else "Never"}


def load_objects(
    release: str,
    namespace: str,
    settings: Settings,
    program: Mapping[str, str],
    p99_factor: float,
    applied: Mapping[str, Any] | None,
) -> list[Object]:
    """ConfigMap, Secret where there is a token, and Pod, in the order in which they are made. Raises TrafficError.

    `program` is the text of each file of the package. The load asks the gateway alone, as callers do.
    """
    given = {key: value for key, value in asdict(settings).items() if key != "token"}
    given["endpoints"] = {GATEWAY: settings.endpoints[GATEWAY]}
    data = {**program, SETTINGS: json.dumps({"settings": given, "p99_factor": p99_factor})}
    metadata = {
        "name": load_name(settings.run_id),
        "namespace": namespace,
        "labels": {"app.kubernetes.io/name": "ai-agent-mesh", INSTANCE: release, COMPONENT: LOAD},
        "annotations": {RUN: settings.run_id},
    }
    found: list[Object] = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}]
    if settings.token:
        hidden = {TOKEN: base64.b64encode(settings.token.encode()).decode()}
        found.append({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": hidden})
    pull_secret = (applied or {}).get("kubernetes", {}).get("image_pull_secret")
    spec = _spec(metadata["name"], sorted(program), image_of(applied), pull_secret, secret=bool(settings.token))
    return [*found, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}]


def _spec(name: Any, program: list[str], image: Object, pull_secret: str | None, *, secret: bool) -> Object:
    items = [{"key": file, "path": f"{PACKAGE}/{file}"} for file in program] + [{"key": SETTINGS, "path": SETTINGS}]
    volumes: list[Object] = [
        {"name": "program", "configMap": {"name": name, "items": items}},
        {"name": "data", "emptyDir": {"sizeLimit": ROOM}},
    ]
    mounts: list[Object] = [
        {"name": "program", "mountPath": CODE, "readOnly": True},
        {"name": "data", "mountPath": DATA},
    ]
    if secret:
        volumes.append({"name": "token", "secret": {"secretName": name, "defaultMode": 0o440}})
        mounts.append({"name": "token", "mountPath": SECRET, "readOnly": True})
    container = {
        "name": LOAD,
        **image,
        "command": command("run"),
        "resources": RESOURCES,
        "securityContext": CONTAINER,
        "volumeMounts": mounts,
    }
    return {
        **confined_spec(USER, [pull_secret] if pull_secret else []),
        "terminationGracePeriodSeconds": LEAVE_S,
        "containers": [container],
        "volumes": volumes,
    }
