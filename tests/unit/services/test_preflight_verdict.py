from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.action.preflight import _said, data_paths, planned_ports
from ansible_collections.aimesh.mesh.plugins.plugin_utils.preflight_verdict import judge, table

FIXTURES = Path(__file__).parents[2] / "fixtures"
SMALL = json.loads((FIXTURES / "plan_small.json").read_text())
LOCAL = json.loads((FIXTURES / "plan_local.json").read_text())
HOST = {
    "os": "debian-13",
    "python": "cp313",
    "arch": "x86_64",
    "systemd": True,
    "vcpus": 8,
    "memory_mb": 15990,
    "disks": [{"paths": ["/"], "size_gb": 98.0, "free_gb": 1.0}],
}


def answer(held: list[dict[str, Any]] | None = None, **host: Any) -> dict[str, Any]:
    return {"host": HOST | host, "held_ports": held or []}


def two_hosts() -> dict[str, Any]:
    plan: dict[str, Any] = copy.deepcopy(SMALL)
    plan["hosts"]["vm2"] = copy.deepcopy(plan["hosts"]["vm1"])
    return plan


def test_a_host_as_planned_passes_although_firmware_and_file_system_take_their_share() -> None:
    verdict = judge(SMALL, {"vm1": answer()})
    assert (verdict.problems, verdict.shortfalls, verdict.unseen) == ((), (), ())


@pytest.mark.parametrize(
    ("host", "message"),
    [
        (
            {"os": "debian-12", "python": "cp311"},
            "vm1 runs debian-12, the plan is for debian-13: set mesh_os: debian-12",
        ),
        ({"python": "cp311"}, "vm1 answers with Python cp311, the plan is for cp313: leave ansible_python_interpreter"),
        ({"arch": "aarch64"}, "vm1 is aarch64, the plan is for x86_64"),
        ({"systemd": False}, "vm1 does not run systemd"),
    ],
)
def test_a_host_that_differs_is_refused_in_one_sentence(host: dict[str, Any], message: str) -> None:
    (problem,) = judge(SMALL, {"vm1": answer(**host)}).problems
    assert problem.startswith(message)


def test_a_local_mesh_takes_any_system_and_needs_no_systemd() -> None:
    verdict = judge(LOCAL, {"localhost": answer(os="ubuntu-24.04", python="cp312", systemd=False)})
    assert verdict.problems == ()


def test_a_held_port_names_host_port_purpose_pid_program_and_unit() -> None:
    held = {"port": 3000, "address": "0.0.0.0", "purpose": "the endpoint of api-gateway"}
    known = held | {"pid": 812, "program": "nginx", "unit": "nginx"}
    verdict = judge(SMALL, {"vm1": answer([known, held | {"pid": 0}])})
    assert verdict.problems == (
        "vm1: port 3000 is planned for the endpoint of api-gateway, and nginx (pid 812, unit nginx) listens on "
        "0.0.0.0:3000: stop it, or plan another port.",
        "vm1: port 3000 is planned for the endpoint of api-gateway, and a process of another user (run as root to see "
        "which) listens on 0.0.0.0:3000: stop it, or plan another port.",
    )


def test_every_problem_of_every_host_is_said_at_once() -> None:
    verdict = judge(two_hosts(), {"vm1": answer(arch="armv7l"), "vm2": answer(os="debian-12", systemd=False)})
    assert len(verdict.problems) == 3


def test_minima_are_those_of_the_whole_mesh() -> None:
    half = answer(vcpus=4, memory_mb=8192, disks=[{"size_gb": 50.0}])
    assert judge(two_hosts(), {"vm1": half, "vm2": half}).shortfalls == ()
    assert len(judge(SMALL, {"vm1": half}).shortfalls) == 3


def test_every_shortfall_is_in_one_table() -> None:
    small = answer(vcpus=2, memory_mb=2048, disks=[{"size_gb": 20.0}, {"size_gb": 10.5}])
    verdict = judge(SMALL, {"vm1": small})
    assert table(SMALL, verdict.shortfalls) == (
        "The hosts of acme have less than size small needs for the whole mesh:\n"
        "  what           found    minimum  on\n"
        "  vCPUs          2        8        vm1: 2\n"
        "  memory         2 GB     16 GB    vm1: 2 GB\n"
        "  disk for data  30.5 GB  100 GB   vm1: 30.5 GB\n"
        "Add to the hosts or choose a smaller mesh_size; mesh_preflight: warn would go on all the same."
    )


def test_strict_fails_on_a_shortfall_and_warn_says_it_and_goes_on() -> None:
    verdict = judge(SMALL, {"vm1": answer(vcpus=2)})
    strict = _said(SMALL, verdict)
    assert strict["failed"] and "vCPUs" in strict["msg"] and "warnings" not in strict
    lenient: dict[str, Any] = copy.deepcopy(SMALL)
    lenient["mesh"]["preflight"] = "warn"
    warned = _said(lenient, verdict)
    assert "failed" not in warned and "vCPUs" in warned["warnings"][0]
    assert warned["warnings"][0].endswith("mesh_preflight: warn goes on all the same.")


def test_warn_does_not_excuse_another_system() -> None:
    lenient: dict[str, Any] = copy.deepcopy(SMALL)
    lenient["mesh"]["preflight"] = "warn"
    assert _said(lenient, judge(lenient, {"vm1": answer(os="debian-11")}))["failed"]


def test_minima_are_not_judged_when_a_host_was_left_out_and_that_is_said() -> None:
    verdict = judge(two_hosts(), {"vm1": answer(vcpus=1)})
    assert verdict.shortfalls == () and verdict.unseen == ("vm2",)
    assert "vm2 did not take part" in _said(two_hosts(), verdict)["warnings"][0]


def test_planned_ports_are_those_of_endpoints_slots_stores_and_monitoring_each_once() -> None:
    ports = {(entry["address"], entry["port"]): entry["purpose"] for entry in planned_ports(SMALL, "vm1")}
    assert ports["0.0.0.0", 3000] == "the endpoint of api-gateway" and ports["127.0.0.1", 13001] == "registry@a"
    assert ports["127.0.0.1", 13011] == "registry@b"
    assert ports["127.0.0.1", 5432] == "postgresql" and ports["127.0.0.1", 6379] == "redis"
    assert ports["127.0.0.1", 9090] == "prometheus" and len(ports) == 27
    assert len(planned_ports(LOCAL, "localhost")) == 8


def test_data_lies_in_the_state_directory_in_the_stores_and_with_what_watches_them() -> None:
    watching = [f"/var/lib/aimesh-{part}" for part in ("alert-receiver", "alertmanager", "prometheus")]
    stores = ["/var/lib/postgresql/17/mesh", "/var/lib/redis-mesh"]
    assert data_paths(SMALL, "vm1") == ["/var/lib/aimesh", *stores, *watching]
