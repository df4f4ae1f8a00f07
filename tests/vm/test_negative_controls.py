"""What the verifier must say when something is wrong, asked with `bin/mesh-verify` as an operator does."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.testbed.site import Site

REGISTRY = "aimesh-registry@a.service"
PAUSED_S = 60
"""A paused host may cost the time-outs of the connection, and no more."""


def failed_checks(site: Site) -> set[str]:
    return {check["id"] for check in site.report()["checks"] if check["status"] == "fail"}


@pytest.fixture(autouse=True)
def whole_again(small: Site) -> Iterator[None]:
    yield
    assert small.verify().returncode == 0, "the test did not leave the mesh as it found it"


def test_a_whole_mesh_is_exit_code_0(small: Site) -> None:
    done = small.verify()
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_a_stopped_registry_is_exit_code_1_and_named_with_what_to_look_at(small: Site) -> None:
    vm = small.vms[0]
    vm.run(f"systemctl stop {REGISTRY}")
    try:
        done = small.verify()
    finally:
        vm.run(f"systemctl start {REGISTRY}")
        wait_ready(small)
    assert done.returncode == 1, done.stdout[-3000:]
    assert any("registry" in name for name in failed_checks(small))
    assert "aimesh-registry@a" in done.stdout
    assert "journalctl" in done.stdout


def test_a_frozen_registry_is_seen_within_seconds(small: Site) -> None:
    vm = small.vms[0]
    whole = timed(small)
    vm.run(f"systemctl kill -s STOP {REGISTRY}")
    try:
        began = time.monotonic()
        done = small.verify()
        took = time.monotonic() - began
    finally:
        vm.run(f"systemctl kill -s CONT {REGISTRY}")
        wait_ready(small)
    assert done.returncode == 1, done.stdout[-3000:]
    assert any("registry" in name for name in failed_checks(small))
    assert took < whole + 30


def test_a_paused_host_is_exit_code_2_and_no_hang(small: Site) -> None:
    vm = small.vms[0]
    vm.pause()
    try:
        began = time.monotonic()
        done = small.verify()
        took = time.monotonic() - began
    finally:
        vm.unpause()
    assert done.returncode == 2, done.stdout[-3000:] + done.stderr[-1000:]
    assert took < PAUSED_S


def test_an_inventory_that_was_not_deployed_is_red(small: Site) -> None:
    done = small.verify("-e", '{"mesh_services": {"registry": {"memory_mb": 600}}}')
    assert done.returncode == 1, done.stdout[-3000:]
    assert "plan.applied" in failed_checks(small)


def test_a_wrong_database_password_is_one_clear_error(small: Site) -> None:
    vm = small.vms[0]
    path = "/etc/aimesh/credentials/db_app_a_password"
    vm.run(f"cp -p {path} /root/kept && printf wrong-wrong-wrong-wrong-wrong-wrong-wrong > {path}")
    try:
        vm.run(f"systemctl restart {REGISTRY}")
        time.sleep(2)
        done = small.verify()
    finally:
        vm.run(f"cp -p /root/kept {path}; rm /root/kept; systemctl restart {REGISTRY}")
        wait_ready(small)
    assert done.returncode == 1
    assert "password" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def timed(site: Site) -> float:
    began = time.monotonic()
    site.verify()
    return time.monotonic() - began


def wait_ready(site: Site) -> None:
    site.vms[0].run(
        "for i in $(seq 30); do python3 -c \"import urllib.request as u; u.urlopen('http://127.0.0.1:3001/health')\""
        " 2>/dev/null && exit 0; sleep 1; done; exit 1"
    )
