"""What the Docker Engine says of a project's containers, and what the kernel says of their processes."""

from __future__ import annotations

import datetime
from typing import Any

from .base import Environment, Question
from .container_processes import look_at
from .docker_inspect import containers_of

_HOST_MODES = ("NetworkMode", "PidMode", "IpcMode", "UTSMode", "UsernsMode")


def answer_containers(question: Question, environment: Environment) -> dict[str, dict[str, Any]]:
    """`project` → {container name: what `describe` says of it}; a running one also has `live`, see `look_at`."""
    described = {}
    for seen in containers_of(str(question["project"]), environment):
        row = describe(seen)
        row["live"] = look_at(row["pid"]) if row["pid"] else None
        described[str(seen["Name"]).lstrip("/")] = row
    return described


def describe(seen: dict[str, Any]) -> dict[str, Any]:
    """One container's `docker inspect`, without values of its environment.

    `memory` in bytes and `cpus` in cores, 0 where there is no limit; `started` as wall-clock time in seconds.
    """
    state, host, config = seen["State"], seen["HostConfig"], seen["Config"]
    network = seen["NetworkSettings"]
    health = state.get("Health") or {}
    return {
        "id": seen["Id"],
        "image": config["Image"],
        "image_id": seen["Image"],
        "labels": config.get("Labels") or {},
        "state": state["Status"],
        "exit_code": state["ExitCode"],
        "oom_killed": bool(state.get("OOMKilled")),
        "error": state.get("Error") or "",
        "pid": int(state["Pid"]),
        "started": seconds(state["StartedAt"]),
        "restarts": int(seen["RestartCount"]),
        "restart_policy": host["RestartPolicy"]["Name"],
        "health": health.get("Status", "none"),
        "health_test": [str(word) for word in (config.get("Healthcheck") or {}).get("Test") or []],
        "user": config.get("User") or "",
        "privileged": bool(host["Privileged"]),
        "capabilities_added": sorted(host.get("CapAdd") or []),
        "capabilities_dropped": sorted(host.get("CapDrop") or []),
        "security_options": sorted(host.get("SecurityOpt") or []),
        "devices": sorted(str(each.get("PathOnHost")) for each in host.get("Devices") or []),
        "host_namespaces": sorted(mode for mode in _HOST_MODES if host.get(mode) == "host"),
        "read_only": bool(host["ReadonlyRootfs"]),
        "tmpfs": sorted(host.get("Tmpfs") or {}),
        "mounts": [
            {"type": each["Type"], "source": each.get("Source", ""), "target": each["Destination"], "rw": each["RW"]}
            for each in seen.get("Mounts") or []
        ],
        "memory": int(host.get("Memory") or 0),
        "memory_and_swap": int(host.get("MemorySwap") or 0),
        "cpus": int(host.get("NanoCpus") or 0) / 1e9,
        "pids": int(host.get("PidsLimit") or 0),
        "log_driver": host["LogConfig"]["Type"],
        "log_options": host["LogConfig"].get("Config") or {},
        "networks": {name: each.get("IPAddress", "") for name, each in (network.get("Networks") or {}).items()},
        "published": published(network),
    }


def published(network: dict[str, Any]) -> list[dict[str, Any]]:
    """Ports of the host that lead into the container: `[{"address", "port", "inside"}]`."""
    return sorted(
        (
            {"address": each["HostIp"], "port": int(each["HostPort"]), "inside": int(inside.partition("/")[0])}
            for inside, bindings in (network.get("Ports") or {}).items()
            for each in bindings or []
        ),
        key=lambda each: (each["port"], each["address"]),
    )


def seconds(text: str) -> float:
    """Docker's time stamps have nanoseconds, which Python's parser does not take."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    moment = datetime.datetime.fromisoformat(f"{whole}+00:00")
    return round(moment.timestamp() + (float(f"0.{fraction[:6]}") if fraction[:6].isdigit() else 0.0), 2)
