"""What a pod's container is like: by the API server's word, and by the kernel's from inside."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.aimesh.mesh.plugins.module_utils.kube.pods import ending, is_ready

_QUANTITY = re.compile(r"^([0-9.]+)([a-zA-Z]*)$")
_FACTORS = {"": 1.0, "m": 0.001, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12} | {
    f"{letter}i": 1024.0**power for power, letter in enumerate("KMGTP", 1)
}
INSIDE = r"""
for path in /proc/[0-9]*/status; do
  [ -r "$path" ] || continue
  echo process
  while IFS= read -r line; do
    case "$line" in Uid:*|Pid:*|Cap*|NoNewPrivs:*|Seccomp:*) echo "$line" ;; esac
  done < "$path" 2>/dev/null
done
echo container
while read -r _ where _ options _; do
  if [ "$where" = / ]; then echo "root: $options"; fi
done < /proc/mounts
for name in memory pids; do
  for path in /sys/fs/cgroup/$name.max /sys/fs/cgroup/$name/$name.max /sys/fs/cgroup/$name/$name.limit_in_bytes; do
    if [ -r "$path" ]; then read -r value < "$path"; echo "$name: $value"; break; fi
  done
done
"""
"""Program of a shell, which every image has, that tells what is in force in the container that it runs in."""
_SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
_UNLIMITED = 1 << 60


def quantity(text: object) -> float:
    """A quantity of Kubernetes as a number: `512Mi` in bytes, `500m` in cores; 0 where there is none.

    Raises ValueError for what is none.
    """
    if text is None:
        return 0.0
    found = _QUANTITY.match(str(text))
    if not found or found.group(2) not in _FACTORS:
        raise ValueError(f"{text!r} is no quantity")
    return float(found.group(1)) * _FACTORS[found.group(2)]


def describe(pod: Mapping[str, Any], container: str) -> dict[str, Any]:
    """One container of a pod, without values of its environment. Memory in bytes, `cpus` in cores, 0 without limit."""
    spec = pod["spec"]
    planned = next((each for each in spec["containers"] if each["name"] == container), spec["containers"][0])
    statuses = pod.get("status", {}).get("containerStatuses") or []
    status: Mapping[str, Any] = next((each for each in statuses if each["name"] == planned["name"]), {})
    own, shared = planned.get("securityContext") or {}, spec.get("securityContext") or {}
    limits = planned.get("resources", {}).get("limits") or {}
    capabilities = own.get("capabilities") or {}
    return {
        "pod": pod["metadata"]["name"],
        "container": planned["name"],
        "uid": pod["metadata"].get("uid", ""),
        "labels": pod["metadata"].get("labels") or {},
        "node": spec.get("nodeName", ""),
        "image": planned["image"],
        **_image_of(str(status.get("imageID", ""))),
        "running": "running" in status.get("state", {}),
        "state": next(iter(status.get("state", {})), "unknown"),
        "restart_policy": spec.get("restartPolicy", "Always") if pod["metadata"].get("ownerReferences") else "Never",
        "ready": is_ready(pod),
        "phase": pod.get("status", {}).get("phase", "Unknown"),
        "started": (status.get("state", {}).get("running") or {}).get("startedAt", ""),
        "restarts": int(status.get("restartCount", 0)),
        "ended": ending(status),
        "privileged": bool(own.get("privileged")),
        "escalation": own.get("allowPrivilegeEscalation") is not False,
        "capabilities_added": sorted(capabilities.get("add") or []),
        "capabilities_dropped": sorted(capabilities.get("drop") or []),
        "non_root": bool(own.get("runAsNonRoot", shared.get("runAsNonRoot"))),
        "seccomp": (own.get("seccompProfile") or shared.get("seccompProfile") or {}).get("type", ""),
        "read_only": bool(own.get("readOnlyRootFilesystem")),
        "host_namespaces": sorted(key for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)),
        "devices": [],
        "security_options": _unconfined(own, shared),
        "mounts": [
            {"type": "bind", "source": each["hostPath"]["path"], "target": each["name"], "rw": True}
            for each in spec.get("volumes") or []
            if "hostPath" in each
        ],
        "networks": {},
        "published": [
            {"address": port.get("hostIP", ""), "port": int(port["hostPort"])}
            for port in planned.get("ports") or []
            if port.get("hostPort")
        ],
        "token": spec.get("automountServiceAccountToken") is not False,
        "memory": int(quantity(limits.get("memory"))),
        "memory_and_swap": int(quantity(limits.get("memory"))),
        "pids": 0,
        "cpus": round(quantity(limits.get("cpu")), 3),
        "health_test": [key.removesuffix("Probe") for key in ("livenessProbe", "readinessProbe") if planned.get(key)],
        "health": "healthy" if is_ready(pod) else "not ready",
    }


def _image_of(told: str) -> dict[str, str]:
    """What a node calls the image: the digest by which a registry knows it, else the id that its builder gave it."""
    name, _, digest = told.rpartition("@")
    return {"image_id": "", "image_digest": digest} if name else {"image_id": digest, "image_digest": ""}


def _unconfined(own: Mapping[str, Any], shared: Mapping[str, Any]) -> list[str]:
    profiles = {
        kind: own.get(f"{kind}Profile") or shared.get(f"{kind}Profile") or {} for kind in ("seccomp", "appArmor")
    }
    return [f"{kind}=unconfined" for kind, profile in profiles.items() if profile.get("type") == "Unconfined"]


def live_of(told: str) -> dict[str, Any]:
    """What `INSIDE` printed, in the words of a container's `live` on other platforms."""
    processes: list[dict[str, str]] = []
    own: dict[str, str] = {}
    row = own
    for line in told.splitlines():
        key, _, value = line.partition(":")
        if line == "process":
            row = {}
            processes.append(row)
        elif line == "container":
            row = own
        else:
            row[key] = value.strip()
    return {
        # One that ended while it was looked at has told nothing.
        "processes": [_rights(each) for each in processes if "Uid" in each],
        "root_writable": "ro" not in own.get("root", "").split(","),
        "memory": _limit(own.get("memory")),
        "pids": _limit(own.get("pids")),
    }


def _rights(row: Mapping[str, str]) -> dict[str, Any]:
    capabilities = 0
    for name in _SETS:
        capabilities |= int(row.get(name) or "0", 16)
    return {
        "pid": int(row.get("Pid", "0")),
        "uid": min(int(word) for word in row.get("Uid", "0").split()),
        "capabilities": f"{capabilities:x}",
        "no_new_privileges": row.get("NoNewPrivs") == "1",
        "seccomp": row.get("Seccomp") == "2",
    }


def _limit(text: object) -> int | None:
    if text in (None, "max"):
        return None
    number = int(str(text))
    return None if number >= _UNLIMITED else number
