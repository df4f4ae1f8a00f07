"""Negative controls of the checks of containers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from control_kit import Control, answer_of, extra, files, listeners
from healthy import Change, Unable

REGISTRY = "aimesh-registry-a"


def container(name: str = REGISTRY, **values: Any) -> Change:
    return answer_of("containers", lambda rows: rows[name].update(values))


def live(**values: Any) -> Change:
    return answer_of("containers", lambda rows: rows[REGISTRY]["live"].update(values))


def process(**values: Any) -> Change:
    return answer_of("containers", lambda rows: rows[REGISTRY]["live"]["processes"][0].update(values))


def more(key: str, entry: Any, name: str = REGISTRY) -> Change:
    return answer_of("containers", lambda rows: rows[name][key].append(entry))


def _control(check: str) -> Callable[[str, Change, str], Control]:
    return lambda broken, change, says: Control(check, broken, change, says, plan="compose")


SUPERVISED = _control("process.{subject}.supervised")
UNPRIVILEGED = _control("container.{subject}.unprivileged")
READ_ONLY = _control("container.{subject}.read_only")
MOUNTS = _control("container.{subject}.mounts")
LIMITED = _control("container.{subject}.limited")
IMAGE = _control("container.{subject}.image")
NETWORKS = _control("container.{subject}.networks")
HEALTHY = _control("container.{subject}.healthy")
ROTATED = _control("container.{subject}.log_rotated")


def data_opened(path: str, seen: dict[str, Any]) -> None:
    if "postgresql" in path and seen["kind"] == "directory":
        seen["mode"] = "0755"


CONTROLS = [
    Control("files.secrets.private", "data of a server", files(data_opened), "postgresql/17/data", plan="compose"),
    Control(
        "network.ports.open",
        "not published",
        listeners(lambda rows: [row for row in rows if row["address"] != "0.0.0.0"]),
        "0.0.0.0:3000",
        plan="compose",
    ),
    Control(
        "network.stores.private",
        "PostgreSQL for all, by hand",
        listeners(extra(port=5432, unit="aimesh-postgresql", lineage=[1000, 1])),
        "PostgreSQL",
        plan="compose",
    ),
    SUPERVISED("stopped", container(state="exited", exit_code=137, pid=0, live=None), "exit code 137"),
    SUPERVISED("paused", container(state="paused"), "paused"),
    SUPERVISED("gone", answer_of("containers", lambda rows: rows.pop(REGISTRY)), "unknown to the supervisor"),
    SUPERVISED("no restart", container(restart_policy="no"), "reboot"),
    SUPERVISED("no engine", answer_of("containers", lambda _: Unable("docker ps failed")), "docker ps failed"),
    Control(
        "process.{subject}.steady",
        "another container",
        answer_of("containers", lambda rows: rows[REGISTRY].update(pid=4711), "'sample': 2"),
        "4711",
        plan="compose",
    ),
    Control(
        "network.ports.closed",
        "published by hand",
        listeners(extra(port=15432, unit="aimesh-postgresql", lineage=[1000, 1])),
        "15432",
        plan="compose",
    ),
    Control(
        "secrets.processes.hidden",
        "in an environment of a container",
        answer_of(
            "exposure",
            lambda a: a["processes"].append(
                {"secret": "admin_token", "pid": 9, "comm": REGISTRY, "where": "docker inspect of the container"}
            ),
        ),
        "docker inspect of the container",
        plan="compose",
    ),
    UNPRIVILEGED("privileged", container(privileged=True), "privileged"),
    UNPRIVILEGED("capability added", more("capabilities_added", "NET_ADMIN"), "NET_ADMIN"),
    UNPRIVILEGED("nothing dropped", container(capabilities_dropped=[]), "not all"),
    UNPRIVILEGED("device", more("devices", "/dev/kmsg"), "/dev/kmsg"),
    UNPRIVILEGED("the host's processes", more("host_namespaces", "PidMode"), "PidMode"),
    UNPRIVILEGED("no filter by the engine", more("security_options", "seccomp=unconfined"), "unconfined"),
    UNPRIVILEGED("capability in force", process(capabilities="2000"), "2000"),
    UNPRIVILEGED("root", process(uid=0), "root"),
    UNPRIVILEGED("may gain", process(no_new_privileges=False), "gain privileges"),
    UNPRIVILEGED("no filter in force", process(seccomp=False), "filter"),
    UNPRIVILEGED("not running", container(live=None, state="exited"), "exited"),
    READ_ONLY("by the engine", container(read_only=False), "engine"),
    READ_ONLY("by the kernel", live(root_writable=True), "kernel"),
    READ_ONLY("not to be told", live(root_writable=None), "None"),
    MOUNTS(
        "the engine's socket",
        more("mounts", {"type": "bind", "source": "/run/docker.sock", "target": "/run/docker.sock", "rw": True}),
        "socket /run/docker.sock",
    ),
    MOUNTS(
        "a folder of the host",
        more("mounts", {"type": "bind", "source": "/etc", "target": "/host", "rw": False}),
        "/etc at /host",
    ),
    MOUNTS("a volume", more("mounts", {"type": "volume", "source": "v", "target": "/v", "rw": True}), "volume /v"),
    MOUNTS("nothing", container(mounts=[]), "not mounted"),
    LIMITED("no memory limit", container(memory=0), "memory by the engine"),
    LIMITED("swap", container(memory_and_swap=-1), "swap"),
    LIMITED("none in force", live(memory=None), "memory by the kernel"),
    LIMITED("no limit of processes", container(pids=0), "processes by the engine"),
    LIMITED("no limit of processes in force", live(pids=None), "processes by the kernel"),
    LIMITED("processors", container(cpus=0.0), "processors"),
    IMAGE("another tag", container(image="aimesh/mesh-app:latest"), "latest"),
    IMAGE("another id under the tag", container(image_id="sha256:99"), "sha256:99"),
    NETWORKS("one more", answer_of("containers", lambda r: r[REGISTRY]["networks"].update(bridge="")), "bridge"),
    NETWORKS("another address", container(networks={"aimesh-mesh": "172.29.64.99"}), "address"),
    NETWORKS("published", more("published", {"address": "0.0.0.0", "port": 13001, "inside": 13001}), "13001"),
    NETWORKS("not published", container("aimesh-haproxy", published=[]), "0.0.0.0:3000"),
    HEALTHY("unhealthy", container(health="unhealthy"), "unhealthy"),
    HEALTHY("no check", container(health_test=[], health="none"), "none"),
    HEALTHY("check disabled", container(health_test=["NONE"], health="none"), "none"),
    ROTATED("no rotation", container(log_options={}), "max-size"),
    ROTATED("another driver", container(log_driver="none"), "none"),
]
