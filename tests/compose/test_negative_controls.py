"""What the verifier must say when a container is not as planned, asked with `bin/mesh-verify` as an operator does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.testbed.site import Site

REGISTRY = "aimesh-registry-a"
FOLDER = "/etc/aimesh/compose"
FILES = {"registry-a": f"{FOLDER}/slots/registry-a.yaml", "haproxy": f"{FOLDER}/parts/haproxy.yaml"}
HEALTHY = (
    f"for i in $(seq 60); do docker inspect --format '{{{{.State.Health.Status}}}}' {REGISTRY} | grep -qx healthy"
    " && exit 0; sleep 1; done; exit 1"
)
"""Awaits the next health check: `docker compose up --wait` gives up at once on what the last one called unhealthy."""
OTHERWISE = "/root/otherwise.yaml"


def up(service: str, *more: str) -> str:
    """The command that makes a container what its file says, with settings that somebody adds in further files."""
    files = " ".join(f"--file {path}" for path in (f"{FOLDER}/compose.yaml", FILES[service], *more))
    return f"docker compose --progress quiet --project-name aimesh {files} up --detach --no-deps --wait {service} 2>&1"


@pytest.fixture
def whole_again(compose: Site) -> Iterator[None]:
    yield
    for service in FILES:
        compose.vms[0].run(up(service))


def failed_checks(site: Site) -> set[str]:
    done = site.verify()
    assert done.returncode == 1, done.stdout[-3000:]
    return {check["id"] for check in site.report()["checks"] if check["status"] == "fail"}


def test_a_whole_mesh_is_exit_code_0(compose: Site) -> None:
    done = compose.verify()
    assert done.returncode == 0, done.stdout[-4000:]


@pytest.mark.parametrize(("stop", "start"), [("stop", "start"), ("pause", "unpause")])
def test_a_container_that_does_not_run_is_named(compose: Site, stop: str, start: str) -> None:
    vm = compose.vms[0]
    vm.run(f"docker {stop} {REGISTRY}")
    try:
        assert "process.registry.supervised" in failed_checks(compose)
    finally:
        vm.run(f"docker {start} {REGISTRY}")
        vm.run(HEALTHY)


@pytest.mark.parametrize(
    ("service", "setting", "check"),
    [
        ("registry-a", "cap_drop: !reset []", "container.registry.unprivileged"),
        ("registry-a", "cap_add: [NET_RAW]", "container.registry.unprivileged"),
        ("registry-a", "read_only: false", "container.registry.read_only"),
        ("registry-a", "networks: {outside: {}}", "container.registry.networks"),
        ("haproxy", "ports: [0.0.0.0:13001:3001]", "container.edge.networks"),
    ],
)
@pytest.mark.usefixtures("whole_again")
def test_a_container_that_somebody_made_otherwise_is_red(compose: Site, service: str, setting: str, check: str) -> None:
    vm = compose.vms[0]
    vm.run(f"echo 'services: {{{service}: {{{setting}}}}}' > {OTHERWISE}")
    vm.run(up(service, OTHERWISE))
    assert {name for name in failed_checks(compose) if name.startswith("container.")} == {check}
