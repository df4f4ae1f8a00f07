from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.systemd import render
from ansible_collections.aimesh.mesh.plugins.plugin_utils.host_state import HostState
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.backup import IDENTITY
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rendering import RenderedFile, render_files

REPOSITORY = Path(__file__).resolve().parents[3]
TEMPLATES = REPOSITORY / "roles/platform_systemd/templates"
SMALL = json.loads((REPOSITORY / "tests/fixtures/plan_small.json").read_text())


def secret_value(name: str) -> str:
    return f"canary-{name}-0123456789abcdef0123456789abcdef"


def rendered(plan: dict[str, Any], host: str) -> dict[str, RenderedFile]:
    """Path → file, with a recognisable value for each secret."""
    state = render(plan, host)
    values = {name: secret_value(name) for name in plan["secrets"]}
    values[IDENTITY] = json.dumps({"identity": values[IDENTITY], "recipient": "age1public"})
    files = render_files([*state.package_files, *state.files], plan, host, TEMPLATES, values)
    return {file.path: file for file in files}


@pytest.fixture
def plan() -> dict[str, Any]:
    return copy.deepcopy(SMALL)


@pytest.fixture
def state(plan: dict[str, Any]) -> HostState:
    return render(plan, "vm1")


@pytest.fixture
def files(plan: dict[str, Any]) -> dict[str, RenderedFile]:
    return rendered(plan, "vm1")


@pytest.fixture
def two_hosts(plan: dict[str, Any]) -> dict[str, Any]:
    """The same mesh with edge and app on node1, data and cache on node2."""
    os = plan["hosts"].pop("vm1")["os"]
    plan["hosts"] = {
        "node1": {"address": "192.0.2.11", "roles": ["edge", "app"], "os": os},
        "node2": {"address": "192.0.2.12", "roles": ["data", "cache", "monitoring"], "os": os},
    }
    for entry in [*plan["endpoints"], *plan["instances"], *plan["spares"]]:
        entry["host"] = "node1"
    plan["postgresql"] |= {"host": "node2", "address": "192.0.2.12", "listen": ["127.0.0.1", "192.0.2.12"]}
    plan["redis"] |= {"host": "node2", "address": "192.0.2.12", "listen": ["127.0.0.1", "192.0.2.12"]}
    watch_from(plan, "node2")
    return plan


@pytest.fixture
def three_hosts(two_hosts: dict[str, Any]) -> dict[str, Any]:
    """The two hosts, watched from a third one that does nothing else."""
    two_hosts["hosts"]["node2"]["roles"].remove("monitoring")
    two_hosts["hosts"]["node3"] = {**two_hosts["hosts"]["node2"], "address": "192.0.2.13", "roles": ["monitoring"]}
    watch_from(two_hosts, "node3")
    return two_hosts


def watch_from(plan: dict[str, Any], home: str) -> None:
    """Deal out the parts of monitoring as the plan does: beyond Prometheus's own host they listen with TLS."""
    monitoring = plan["monitoring"]
    places = {"node-exporter": list(plan["hosts"])}
    places |= {"postgres-exporter": [plan["postgresql"]["host"]], "redis-exporter": [plan["redis"]["host"]]}
    kinds = {part["part"]: part for part in monitoring["parts"]}
    monitoring["host"], monitoring["parts"] = home, []
    for name, part in kinds.items():
        for host in places.get(name, [home]):
            bind = "127.0.0.1" if host == home else plan["hosts"][host]["address"]
            there = {"host": host, "bind": bind, "address": f"{bind}:{part['port']}", "tls": host != home}
            monitoring["parts"].append(part | there)
