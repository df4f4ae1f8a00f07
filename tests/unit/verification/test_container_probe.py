"""What is read of containers, from texts of the engine and of the kernel."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.observations import container_processes
from ansible_collections.aimesh.mesh.plugins.module_utils.observations.container_processes import (
    cgroup_paths,
    look_at,
    settled,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.observations.containers_probe import published, seconds

STATUS = "Name:\tmesh\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\nCapEff:\t{caps}\nNoNewPrivs:\t1\nSeccomp:\t{seccomp}\n"
FIRST = "9:pids:/docker/c1\n4:memory:/docker/c1\n0::/\n"
SECOND = "0::/system.slice/docker-c1.scope\n"


def process(proc: Path, pid: int, *, uid: int = 10001, caps: str = "0", seccomp: int = 2, cgroup: str = FIRST) -> None:
    folder = proc / str(pid)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "status").write_text(STATUS.format(uid=uid, caps=caps, seccomp=seccomp))
    (folder / "cgroup").write_text(cgroup)


def test_limits_and_processes_are_read_from_the_first_version_of_control_groups(tmp_path: Path) -> None:
    process(tmp_path / "proc", 7)
    process(tmp_path / "proc", 8)
    for controller, name, text in (("memory", "memory.limit_in_bytes", "1048576"), ("pids", "pids.max", "64")):
        (tmp_path / "cg" / controller / "docker/c1").mkdir(parents=True)
        (tmp_path / "cg" / controller / "docker/c1" / name).write_text(text + "\n")
    (tmp_path / "cg/pids/docker/c1/cgroup.procs").write_text("7\n8\n")
    seen = look_at(7, str(tmp_path / "proc"), str(tmp_path / "cg"))
    assert seen is not None
    assert (seen["memory"], seen["pids"]) == (1048576, 64)
    assert [each["pid"] for each in seen["processes"]] == [7, 8]
    assert seen["processes"][0] == {
        "pid": 7, "uid": 10001, "capabilities": "0", "no_new_privileges": True, "seccomp": True,
    }  # fmt: skip


def test_limits_are_read_from_the_second_version_too_and_none_is_none(tmp_path: Path) -> None:
    process(tmp_path / "proc", 7, cgroup=SECOND)
    group = tmp_path / "cg/system.slice/docker-c1.scope"
    group.mkdir(parents=True)
    for name, text in (("memory.max", "max"), ("pids.max", "64"), ("cgroup.procs", "7")):
        (group / name).write_text(text + "\n")
    seen = look_at(7, str(tmp_path / "proc"), str(tmp_path / "cg"))
    assert seen is not None
    assert (seen["memory"], seen["pids"]) == (None, 64)


def test_a_container_that_ended_meanwhile_is_told_as_gone(tmp_path: Path) -> None:
    assert look_at(7, str(tmp_path)) is None


@pytest.mark.parametrize("begins", [{"uid": 0, "caps": "a82c35fb"}, {"seccomp": 0}])
def test_a_process_that_is_bounded_in_a_moment_counts_as_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begins: dict[str, Any]
) -> None:
    process(tmp_path, 7, **begins)
    monkeypatch.setattr(container_processes.time, "sleep", lambda _: process(tmp_path, 7))
    seen = [(each["uid"], each["capabilities"], each["seccomp"]) for each in settled([7], str(tmp_path))]
    assert seen == [(10001, "0", True)]


@pytest.mark.parametrize("stays", [{"uid": 0, "caps": "a82c35fb"}, {"seccomp": 0}])
def test_a_process_that_keeps_its_rights_is_told_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stays: dict[str, Any]
) -> None:
    """Negative control."""
    process(tmp_path, 7, **stays)
    monkeypatch.setattr(container_processes, "PAUSE_S", 0.0)
    seen = [(each["uid"], each["capabilities"], each["seccomp"]) for each in settled([7], str(tmp_path))]
    assert seen == [(stays.get("uid", 10001), stays.get("caps", "0"), stays.get("seccomp") != 0)]


@pytest.mark.parametrize(
    ("name", "age", "told"),
    [("runc:[2:INIT]", 1.0, False), ("runc:[2:INIT]", 30.0, True), ("sh", 1.0, True)],
)
def test_the_engines_program_on_its_way_in_is_no_process_of_the_container_and_soon_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, age: float, told: bool
) -> None:
    """With its negative controls: the same name for long, and another name."""
    process(tmp_path, 7, uid=0, caps="a82c35fb")
    (tmp_path / "7" / "comm").write_text(f"{name}\n")
    ticks = int((time.clock_gettime(time.CLOCK_BOOTTIME) - age) * os.sysconf("SC_CLK_TCK"))
    (tmp_path / "7" / "stat").write_text(f"7 ({name}) S 1 " + "0 " * 17 + f"{ticks} 0 0\n")
    monkeypatch.setattr(container_processes, "PAUSE_S", 0.0)
    assert bool(settled([7], str(tmp_path))) is told


def test_controllers_that_share_a_hierarchy_share_the_path() -> None:
    assert cgroup_paths("1:cpu,cpuacct:/docker/c1\n0::/\n") == {"cpu": "/docker/c1", "cpuacct": "/docker/c1", "": "/"}


def test_published_ports_are_those_with_a_binding() -> None:
    ports = {"3000/tcp": [{"HostIp": "0.0.0.0", "HostPort": "3000"}], "3001/tcp": None}
    assert published({"Ports": ports}) == [{"address": "0.0.0.0", "port": 3000, "inside": 3000}]
    assert published({"Ports": None}) == []


def test_times_of_the_engine_have_nanoseconds() -> None:
    assert seconds("2026-01-02T03:04:05.678901234Z") - seconds("2026-01-02T03:04:05Z") == pytest.approx(0.68)
    assert seconds("0001-01-01T00:00:00Z") < 0
