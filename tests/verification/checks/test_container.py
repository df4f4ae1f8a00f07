"""Containers are as hardened and as limited as the plan says: by the engine's own word, and by the kernel's."""

from __future__ import annotations

from typing import Any

from vocabulary.check import Target, check
from vocabulary.mesh import Mesh
from vocabulary.outcome import MismatchError, NotCheckedError, require, require_none
from vocabulary.targets import each_container

MIB = 1024**2
ROTATING = {"json-file": ("max-size", "max-file"), "local": (), "journald": ()}
"""Log drivers that cannot fill the disk, with the options that they need for it."""
ENGINE_SOCKETS = ("docker.sock", "containerd.sock")


def look(mesh: Mesh, target: Target) -> dict[str, Any]:
    """What is observed of a container. Raises MismatchError where there is none."""
    name = mesh.container_name(target)
    seen = mesh.host(target.host).containers().get(name)
    if seen is None:
        raise MismatchError(expected=f"a container {name}", actual="the engine knows no such container")
    return seen


def running(mesh: Mesh, target: Target) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same with what the kernel says of it. Raises MismatchError for one that does not run."""
    seen = look(mesh, target)
    if not seen["live"] or not seen["live"]["processes"]:
        name = mesh.container_name(target)
        if seen["live"] is None and seen["state"] == "running" and mesh.in_cluster:
            raise NotCheckedError(f"not checked: {name} runs, and has no shell that could look from inside")
        raise MismatchError(expected=f"processes of {name}", actual=f"it is {seen['state']}")
    return seen, seen["live"]


@check(
    "container.{subject}.unprivileged",
    "The container of {subject} has no privilege, and none of its processes has any",
    targets=each_container,
    capability="containers",
    hint="container",
)
def test_container_has_no_privileges(mesh: Mesh, target: Target) -> None:
    seen, live = running(mesh, target)
    wrong = ["it is privileged"] if seen["privileged"] else []
    wrong += [f"capability {name} was added" for name in seen["capabilities_added"]]
    wrong += [] if "ALL" in seen["capabilities_dropped"] else ["not all capabilities were dropped"]
    wrong += [f"device {name} was given" for name in seen["devices"]]
    wrong += [f"{name} is the host's" for name in seen["host_namespaces"]]
    wrong += [f"security option {name}" for name in seen["security_options"] if "unconfined" in name]
    for process in live["processes"]:
        who = f"process {process['pid']}"
        wrong += [f"{who} has capabilities {process['capabilities']}"] if int(process["capabilities"], 16) else []
        wrong += [f"{who} runs as root"] if process["uid"] == 0 else []
        wrong += [] if process["no_new_privileges"] else [f"{who} may gain privileges"]
        wrong += [] if process["seccomp"] else [f"{who} has no system call filter"]
    require_none(wrong, "no capability, no root, no way to gain privileges")


@check(
    "container.{subject}.read_only",
    "The root file system of the container of {subject} cannot be written to",
    targets=each_container,
    capability="containers",
    hint="container",
)
def test_root_is_read_only(mesh: Mesh, target: Target) -> None:
    seen, live = running(mesh, target)
    require("read-only root by the engine", seen["read_only"], True)
    require("root writable by the kernel", live["root_writable"], False)


@check(
    "container.{subject}.mounts",
    "The container of {subject} sees of the host what the plan names, and not the Docker Engine",
    targets=each_container,
    capability="containers",
    hint="container",
)
def test_mounts_are_the_planned_ones(mesh: Mesh, target: Target) -> None:
    seen = look(mesh, target)
    planned = {(each["source"], each["target"], each["writable"]) for each in mesh.container_vars(target)["mounts"]}
    found = {(each["source"], each["target"], each["rw"]) for each in seen["mounts"] if each["type"] == "bind"}
    wrong = [f"the engine's socket {source}" for source, _, _ in found if source.endswith(ENGINE_SOCKETS)]
    wrong += [f"{each['type']} {each['target']}" for each in seen["mounts"] if each["type"] not in ("bind", "tmpfs")]
    wrong += [f"{source} at {at}{' for writing' if rw else ''}" for source, at, rw in sorted(found - planned)]
    wrong += [f"{source} is not mounted as planned" for source, _, _ in sorted(planned - found)]
    require_none(wrong, f"{len(planned)} planned mounts and no other")


@check(
    "container.{subject}.limited",
    "Memory, processors and number of processes of the container of {subject} are limited as planned",
    targets=each_container,
    capability="containers",
    hint="container",
)
def test_limits_are_the_planned_ones(mesh: Mesh, target: Target) -> None:
    seen, live = running(mesh, target)
    planned = mesh.container_vars(target)
    memory = int(planned["memory_mb"]) * MIB
    require("memory by the engine", seen["memory"], memory)
    require("memory and swap by the engine", seen["memory_and_swap"], memory)
    require("memory by the kernel", live["memory"], memory)
    if planned["pids"]:
        require("processes by the engine", seen["pids"], int(planned["pids"]))
        require("processes by the kernel", live["pids"], int(planned["pids"]))
    require("processors", seen["cpus"], float(planned["cpus"] or 0))


@check(
    "container.{subject}.image",
    "The container of {subject} runs the image of the release",
    targets=each_container,
    capability="containers",
    hint="container",
)
def test_image_is_the_releases(mesh: Mesh, target: Target) -> None:
    seen, reference = look(mesh, target), mesh.container_vars(target)["image"]
    require("image", seen["image"], reference)
    if seen.get("image_digest"):
        # The node knows the image by its digest alone; a reference without one carries its content in the tag.
        digest = reference.partition("@")[2]
        require("digest of the image", seen["image_digest"], digest or seen["image_digest"])
        return
    images = mesh.image_ids(target.host)
    # One that is no part of the release is known by the digest in its reference alone.
    wanted = images.get(reference)
    require("id of the image", seen["image_id"], seen["image_id"] if wanted == "" else wanted)


@check(
    "container.{subject}.networks",
    "The container of {subject} is in the planned networks, and no other port of the host leads to it",
    targets=each_container,
    capability="containers",
    hint="container",
)
def test_networks_and_ports_are_the_planned_ones(mesh: Mesh, target: Target) -> None:
    seen, planned = look(mesh, target), mesh.container_vars(target)
    require("networks", sorted(seen["networks"]), mesh.networks_on(target))
    if planned["address"]:
        require("address", planned["address"] in seen["networks"].values(), True)
    wanted = {(address, port) for address, port in planned["ports"]}
    found = {(each["address"], each["port"]) for each in seen["published"]}
    wrong = [f"{address}:{port} is published" for address, port in sorted(found - wanted)]
    wrong += [f"{address}:{port} is not published" for address, port in sorted(wanted - found)]
    require_none(wrong, f"{len(wanted)} planned ports and no other")


@check(
    "container.{subject}.healthy",
    "The container of {subject} has a health check, and it passes",
    targets=each_container,
    capability="containers",
    hint="unit",
)
def test_container_is_healthy(mesh: Mesh, target: Target) -> None:
    seen = look(mesh, target)
    if seen["health_test"][:1] in ([], ["NONE"]):
        raise MismatchError(expected="a health check", actual=f"{mesh.container_name(target)} has none")
    require("health", seen["health"], "healthy")


@check(
    "container.{subject}.log_rotated",
    "The log of the container of {subject} cannot fill the disk",
    targets=each_container,
    capability="container_logs",
    hint="container",
)
def test_log_is_rotated(mesh: Mesh, target: Target) -> None:
    seen = look(mesh, target)
    if seen["log_driver"] not in ROTATING:
        raise MismatchError(expected=f"one of {', '.join(ROTATING)}", actual=f"log driver {seen['log_driver']}")
    missing = [name for name in ROTATING[seen["log_driver"]] if not seen["log_options"].get(name)]
    require_none([f"no {name}" for name in missing], "a log of limited size")
