"""Every container that a plan gives is locked down; each rule is shown to find what breaks it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.compose import render
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

from .conftest import project, secret_value, site

Service = dict[str, Any]
IDS = {"10001:10001", "10011:10011", "10012:10012", "10013:10013", "10014:10014"}
JOBS = ("migrate", "admin")

RULES: dict[str, Callable[[str, Service], bool]] = {
    "its root cannot be written": lambda _, s: s["read_only"] is True,
    "it has no capability": lambda _, s: s["cap_drop"] == ["ALL"] and "cap_add" not in s,
    "it cannot raise its rights": lambda _, s: s["security_opt"] == ["no-new-privileges:true"],
    "it is not privileged": lambda _, s: not s.get("privileged") and not {"pid", "ipc", "network_mode"} & set(s),
    "it runs as a fixed id that is not root": lambda _, s: s["user"] in IDS,
    "its processes are counted": lambda _, s: 0 < s["pids_limit"] <= 1024,
    "its memory is limited, without swap": lambda _, s: s["mem_limit"] == s["memswap_limit"] and s["mem_limit"] != "0m",
    "it leaves no core file": lambda _, s: s["ulimits"]["core"] == 0,
    "nothing runs from /tmp": lambda _, s: {"noexec", "nosuid", "nodev"} <= set(tmp_options(s)),
    "its log is rotated": lambda _, s: (
        s["logging"]
        == {
            "driver": "json-file",
            "options": {"max-size": "10m", "max-file": "5"},
        }
    ),
    "its image is pinned and never fetched": lambda _, s: (
        s["pull_policy"] == "never" and not s["image"].endswith(":latest") and ":" in s["image"]
    ),
    "it comes back by itself, or is a job": lambda name, s: (
        s["restart"] == ("no" if name in JOBS else "unless-stopped") and (name in JOBS) == ("profiles" in s)
    ),
    "it says whether it is healthy, or is a job": lambda name, s: (name in JOBS) != ("healthcheck" in s),
    "it is marked as the mesh's": lambda _, s: s["labels"]["aimesh.mesh"] == "acme",
    "it does not see the Docker socket": lambda _, s: not any("docker" in m["source"] for m in s["volumes"]),
    "what it mounts is there, and read-only but for its data": lambda _, s: all(
        m["type"] == "bind" and not m["bind"]["create_host_path"] and (m.get("read_only") or is_data(m["target"]))
        for m in s["volumes"]
    ),
}


def tmp_options(service: Service) -> list[str]:
    (options,) = [line.partition(":")[2].split(",") for line in service["tmpfs"] if line.startswith("/tmp:")]
    found: list[str] = options
    return found


def is_data(path: str) -> bool:
    kept = ("prometheus", "alertmanager", "alert-receiver")
    stores = ("/var/lib/aimesh/postgresql/", "/var/lib/aimesh/redis", "/var/lib/aimesh-backup/", "/run/aimesh/haproxy")
    return path.startswith(stores) or path in [f"/var/lib/aimesh-{part}" for part in kept]


def broken(services: dict[str, Service]) -> set[str]:
    return {rule for rule, holds in RULES.items() if not all(holds(name, each) for name, each in services.items())}


def test_every_container_keeps_every_rule(services: dict[str, Service]) -> None:
    assert len(services) == 11 + 7
    assert broken(services) == set()


def test_the_containers_of_two_hosts_keep_every_rule(two_hosts: Plan) -> None:
    two_hosts["mesh"]["name"] = "acme"
    assert broken(project(two_hosts, "node1")["services"]) == set()
    assert broken(project(two_hosts, "node2")["services"]) == set()


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("its root cannot be written", {"read_only": False}),
        ("it has no capability", {"cap_add": ["NET_ADMIN"]}),
        ("it has no capability", {"cap_drop": ["NET_RAW"]}),
        ("it cannot raise its rights", {"security_opt": []}),
        ("it is not privileged", {"privileged": True}),
        ("it is not privileged", {"pid": "host"}),
        ("it runs as a fixed id that is not root", {"user": "0:0"}),
        ("its processes are counted", {"pids_limit": -1}),
        ("its memory is limited, without swap", {"memswap_limit": "9999m"}),
        ("it leaves no core file", {"ulimits": {"core": -1}}),
        ("nothing runs from /tmp", {"tmpfs": ["/tmp:size=64m"]}),
        ("its log is rotated", {"logging": {"driver": "json-file"}}),
        ("its image is pinned and never fetched", {"image": "aimesh/mesh-app:latest"}),
        ("its image is pinned and never fetched", {"pull_policy": "always"}),
        ("it comes back by itself, or is a job", {"restart": "no"}),
        ("it is marked as the mesh's", {"labels": {"aimesh.mesh": "other"}}),
        (
            "it does not see the Docker socket",
            {
                "volumes": [
                    {
                        "type": "bind",
                        "source": "/var/run/docker.sock",
                        "target": "/run/docker.sock",
                        "read_only": True,
                        "bind": {"create_host_path": False},
                    }
                ]
            },
        ),
        (
            "what it mounts is there, and read-only but for its data",
            {"volumes": [{"type": "bind", "source": "/etc", "target": "/etc", "bind": {"create_host_path": False}}]},
        ),
    ],
)
def test_each_rule_finds_the_container_that_breaks_it(services: dict[str, Service], rule: str, change: Service) -> None:
    changed = copy.deepcopy(services)
    changed["registry-a"] |= change
    assert broken(changed) == {rule}


def test_a_container_without_a_healthcheck_is_found(services: dict[str, Service]) -> None:
    del services["registry-a"]["healthcheck"]
    assert broken(services) == {"it says whether it is healthy, or is a job"}


def test_limits_and_drain_come_from_the_plan(tmp_path: Path) -> None:
    plan = site(tmp_path, "mesh_services: {registry: {memory_mb: 300, cpus: 1.5, drain_s: 20}}")
    registry = project(plan, "vm1")["services"]["registry-a"]
    assert (registry["mem_limit"], registry["cpus"], registry["stop_grace_period"]) == ("300m", 1.5, "25s")


def test_the_database_may_have_the_memory_that_it_is_tuned_for(plan: Plan) -> None:
    plan["postgresql"]["settings"] |= {
        "effective_cache_size": "1GB",
        "work_mem": "4MB",
        "max_connections": "100",
        "maintenance_work_mem": "64MB",
    }
    database = project(plan, "vm1")["services"]["postgresql"]
    assert database["mem_limit"] == f"{1024 + 400 + 64 + 256}m"
    assert database["pids_limit"] == 100 + 64 + 32, "and the processes of backups"


def test_no_secret_s_value_is_in_a_compose_file(plan: Plan, services: dict[str, Service]) -> None:
    text = str(services)
    assert "/run/secrets/" in text
    assert [name for name in plan["secrets"] if secret_value(name) in text] == []


def test_images_of_a_registry_are_named_by_digest_and_fetched_when_missing(plan: Plan) -> None:
    digest = f"sha256:{'d' * 64}"
    for name, image in plan["release"]["images"].items():
        image |= {"reference": f"registry.example/aimesh/{name}@{digest}", "pull": True}
    services = project(plan, "vm1")["services"]
    assert all(each["image"].endswith(f"@{digest}") and each["pull_policy"] == "missing" for each in services.values())


def test_a_program_that_checks_a_file_is_as_locked_down_and_its_image_is_never_fetched(tmp_path: Path) -> None:
    checks = [file.validate for file in render(site(tmp_path), "vm1").files if file.validate]
    assert [command[:2] for command in checks] == [("docker", "run")] * 5
    locks = {
        "--rm",
        "--pull=never",
        "--network=none",
        "--read-only",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
    }
    for command in checks:
        assert locks <= set(command)
        assert all(word.endswith(",readonly") for word in command if word.startswith("--mount"))
