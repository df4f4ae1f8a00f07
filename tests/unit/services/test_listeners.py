from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.listeners import (
    UNIT,
    listeners,
    overlaps,
    owner_of,
    owners,
    parse_tcp,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.machine import describe, disks, memory_mb, os_id

from .conftest import RunModule

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000   104        0 4242 1 0 100 0 0 10 0
   1: 0100007F:C350 0100007F:1538 01 00000000:00000000 00:00000000 00000000     0        0 4243 1 0 20 4 30 10 -1
   2: 00000000:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4244 1 0 100 0 0 10 0
"""
TCP6 = """\
  sl  local_address                         remote_address                        st ...
   0: 00000000000000000000000000000000:0BB8 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 4245 1 0 100
   1: 0000000000000000FFFF00000100007F:0BB9 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 4246 1 0 100
"""


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_listening_sockets_are_read_and_others_are_not() -> None:
    assert [(found.address, found.port, found.inode) for found in parse_tcp(TCP)] == [
        ("127.0.0.1", 5432, "4242"),
        ("0.0.0.0", 3000, "4244"),
    ]


def test_addresses_of_the_new_family_are_read_and_mapped_ones_are_the_old_ones() -> None:
    assert [(found.address, found.port) for found in parse_tcp(TCP6)] == [("::", 3000), ("127.0.0.1", 3001)]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "192.0.2.1", False),
        ("0.0.0.0", "192.0.2.1", True),
        ("192.0.2.1", "::", True),
    ],
)
def test_addresses_clash_when_they_are_equal_or_one_is_all(one: str, other: str, expected: bool) -> None:
    assert overlaps(one, other) is expected


def test_the_process_behind_a_real_listener_is_named(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        mine = [found for found in listeners() if found.port == port]
        assert [found.address for found in mine] == ["127.0.0.1"]
        owner = owners([mine[0].inode])[mine[0].inode]
    assert owner.pid == os.getpid() and owner.program == owner_of(os.getpid()).program
    assert [found for found in listeners() if found.port == port] == []


def test_root_of_a_container_who_may_trace_nobody_still_sees_who_listens() -> None:
    listen = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); input()"
    look = (
        "import sys; from ansible_collections.aimesh.mesh.plugins.module_utils.listeners import listeners, owners; "
        "(inode,) = [each.inode for each in listeners() if each.port == int(sys.argv[1])]; "
        "print(owners([inode])[inode].pid)"
    )
    is_root = os.geteuid() == 0
    # Anybody else has only their own processes to look at, which takes no capability.
    other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if is_root else []
    plain = ["setpriv", "--bounding-set=-sys_ptrace"] if is_root else []
    system_python = os.path.realpath("/usr/bin/python3")
    with subprocess.Popen(
        [*other, system_python, "-c", listen], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as listener:
        assert listener.stdin and listener.stdout
        port = listener.stdout.readline().strip()
        try:
            unaided = subprocess.run([*plain, "readlink", f"/proc/{listener.pid}/fd/0"], check=False)
            environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
            seen = subprocess.run(
                [*plain, sys.executable, "-c", look, port], env=environment, text=True, capture_output=True, check=False
            )
        finally:
            listener.stdin.close()
    assert unaided.returncode == (1 if is_root else 0)
    assert (seen.stdout.strip(), seen.stderr) == (str(listener.pid), "")


def test_a_process_that_is_gone_has_no_name() -> None:
    assert owner_of(2**22 + 1).program == ""


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/system-aimesh\\x2dregistry.slice/aimesh-registry@a.service\n", "aimesh-registry@a"),
        ("1:name=systemd:/docker/abc/system.slice/redis-server.service\n", "redis-server"),
        ("0::/user.slice/user-0.slice/session-1.scope\n", None),
    ],
)
def test_a_unit_is_read_from_its_control_group(cgroup: str, unit: str | None) -> None:
    found = UNIT.findall(cgroup)
    assert (found[-1] if found else None) == unit


def preflight(run_module: RunModule, state: Path, port: int, **extra: object) -> list[dict[str, object]]:
    ports = [{"address": "127.0.0.1", "port": port, "purpose": "registry@a"}]
    result = run_module("preflight", state_dir=str(state), paths=[str(state)], ports=ports, **extra)
    found: list[dict[str, object]] = result["held_ports"]
    return found


def test_a_planned_port_held_by_a_stranger_is_reported_with_pid_and_program(
    run_module: RunModule, tmp_path: Path, port: int
) -> None:
    with socket.create_server(("0.0.0.0", port)):
        (held,) = preflight(run_module, tmp_path, port)
    assert held["pid"] == os.getpid() and held["port"] == port and held["address"] == "0.0.0.0"
    assert held["purpose"] == "registry@a" and held["program"]
    assert preflight(run_module, tmp_path, port) == []


def test_a_planned_port_held_by_the_mesh_itself_is_fine(run_module: RunModule, tmp_path: Path, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        executable = str(Path("/proc/self/exe").readlink().parent)
        assert preflight(run_module, tmp_path, port, own_paths=[executable]) == []
        assert len(preflight(run_module, tmp_path, port, own_paths=[executable[:-1]])) == 1
        (tmp_path / "units").mkdir()
        record = f'{{"name": "u", "fingerprint": "f", "pid": {os.getpid()}}}'
        (tmp_path / "units" / "u.json").write_text(record)
        assert preflight(run_module, tmp_path, port) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('PRETTY_NAME="Debian GNU/Linux 13"\nID=debian\nVERSION_ID="13"\n', "debian-13"),
        ('ID="rocky"\nVERSION_ID="9.4"\n', "rocky-9.4"),
        ("ID=arch\n", "arch"),
        ("", "unknown"),
    ],
)
def test_a_system_is_named_by_id_and_version(text: str, expected: str) -> None:
    assert os_id(text) == expected


def test_memory_is_read_in_mebibytes() -> None:
    assert memory_mb("MemTotal:       16384000 kB\nMemFree: 1 kB\n") == 16000
    assert memory_mb("") == 0


def test_one_file_system_counts_once_and_a_path_to_come_counts_for_its_parent(tmp_path: Path) -> None:
    (disk,) = disks([str(tmp_path), str(tmp_path / "not" / "there")])
    assert disk["paths"] == [str(tmp_path), str(tmp_path / "not" / "there")]
    assert disk["size_gb"] >= disk["free_gb"] > 0


def test_this_machine_can_be_described(tmp_path: Path) -> None:
    found = describe([str(tmp_path)])
    assert found["vcpus"] >= 1 and found["memory_mb"] > 0 and found["python"].startswith("cp3")
