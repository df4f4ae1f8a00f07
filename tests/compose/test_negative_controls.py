"""What the verifier must say when a container is not as planned, asked with `bin/mesh-verify` as an operator does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.testbed.site import Site

REGISTRY = "aimesh-registry-a"
SLOT = "/etc/aimesh/compose/slots/registry-a.yaml"
UP = (
    "docker compose --progress quiet --project-name aimesh --file /etc/aimesh/compose/compose.yaml"
    " --file {file} up --detach --no-deps --wait registry-a 2>&1"
)


@pytest.fixture
def whole_again(compose: Site) -> Iterator[None]:
    yield
    compose.vms[0].run(UP.format(file=SLOT))


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
        vm.run(UP.format(file=SLOT))


@pytest.mark.parametrize(
    ("line", "instead", "check"),
    [
        ("cap_drop: [ALL]", "cap_drop: []", "container.registry.unprivileged"),
        ("read_only: true", "read_only: false", "container.registry.read_only"),
        ("pull_policy: never", "ports: ['0.0.0.0:13001:13001']", "container.registry.networks"),
    ],
)
@pytest.mark.usefixtures("whole_again")
def test_a_container_that_somebody_made_otherwise_is_red(compose: Site, line: str, instead: str, check: str) -> None:
    vm = compose.vms[0]
    vm.run(f"sed '0,/{line.translate(ESCAPED)}/s||{instead}|' {SLOT} > /root/otherwise.yaml")
    vm.run(f"! cmp -s {SLOT} /root/otherwise.yaml")
    vm.run(UP.format(file="/root/otherwise.yaml"))
    assert check in failed_checks(compose)


ESCAPED = str.maketrans({"[": "\\[", "]": "\\]"})
