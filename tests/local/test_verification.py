"""`bin/mesh-verify` on a mesh of local processes: it can say yes, and it can say no."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

from local_mesh import INVENTORY, POSTGRESQL_PORT, LocalMesh, wait_for

from tests.testbed import playbook
from tests.testbed.paths import REPOSITORY

REGISTRY = "aimesh-registry@a"


def verify(mesh: LocalMesh, *arguments: str, **more: Any) -> tuple[int, str, dict[str, dict[str, Any]]]:
    """Exit code, output, and the checks of the report by id (the worst of each id)."""
    words = [str(REPOSITORY / "bin" / "mesh-verify"), "-i", str(INVENTORY), *mesh.variables(**more), *arguments]
    done = subprocess.run(
        [sys.executable, *words], cwd=REPOSITORY, env=playbook.environment(), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    report = json.loads((REPOSITORY / "build" / mesh.name / "report.json").read_text())
    order = ("pass", "not_applicable", "skip", "error", "fail")
    checks = sorted(report["checks"], key=lambda check: order.index(check["status"]))
    return done.returncode, done.stdout + done.stderr, {check["id"]: check for check in checks}


def failed(checks: dict[str, dict[str, Any]]) -> set[str]:
    return {name for name, check in checks.items() if check["status"] == "fail"}


def test_a_whole_mesh_is_proven(mesh: LocalMesh) -> None:
    code, output, checks = verify(mesh)
    assert code == 0, output[-4000:]
    assert checks["smoke.agents.counted"]["status"] == "pass"
    assert checks["access.registry.refuses_anonymous"]["status"] == "not_applicable"
    assert "PROVEN" in output
    assert "http://127.0.0.1:" in output


def test_a_frozen_service_is_named_within_seconds_and_the_way_to_its_log(mesh: LocalMesh) -> None:
    began = time.monotonic()
    verify(mesh)
    whole = time.monotonic() - began
    pid = mesh.pid(REGISTRY)
    os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        code, output, checks = verify(mesh)
        took = time.monotonic() - began
    finally:
        os.kill(pid, signal.SIGCONT)
        wait_for(lambda: mesh.health("registry")[0] == 200)
    assert code == 1, output[-4000:]
    assert {"process.registry.supervised", "health.registry.instance"} <= failed(checks)
    assert f"{REGISTRY}.log" in output
    assert took < whole + 30


def test_an_inventory_that_was_not_deployed_is_red_and_named(mesh: LocalMesh) -> None:
    code, _, checks = verify(mesh, mesh_postgresql={"port": POSTGRESQL_PORT, "settings": {"work_mem": "5MB"}})
    assert code == 1
    assert failed(checks) == {"plan.applied"}
    assert "postgresql.settings.work_mem (4MB → 5MB)" in checks["plan.applied"]["actual"]


def test_writes_can_be_forbidden_and_then_nothing_is_called_proven(mesh: LocalMesh) -> None:
    code, output, checks = verify(mesh, mesh_verify_writes=False)
    assert code == 2, output[-4000:]
    assert failed(checks) == set()
    assert "mesh_verify_writes" in checks["smoke.agents.registered"]["actual"]


def test_a_mesh_that_was_never_deployed_is_red_without_a_traceback(mesh: LocalMesh) -> None:
    nowhere = LocalMesh(f"{mesh.name}-never", mesh.base.parent / "never")
    try:
        code, output, checks = verify(nowhere)
    finally:
        shutil.rmtree(REPOSITORY / "build" / nowhere.name, ignore_errors=True)
    assert code == 1
    assert "nothing was ever deployed here" in checks["plan.applied"]["actual"]
    assert "Traceback" not in output
