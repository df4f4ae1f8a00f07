"""aimesh.mesh.containers on a real Compose host: check, run, check, run; what is not ours; what does not come up."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from container_modules import ContainerModules

from tests.testbed import Testbed
from tests.testbed.image import BASES

STATE, FOLDER, IMAGE = "/var/lib/aimesh-test", "/etc/aimesh-test", "aimesh-test/base:1"
NAME = "aimesh-registry-a"


@pytest.fixture(scope="module")
def host(bed: Testbed) -> Iterator[ContainerModules]:
    """A Compose host with one image, the smallest Debian."""
    container = bed.start_compose_host("modules").container
    with subprocess.Popen(["docker", "save", BASES["debian-13"].ensure()], stdout=subprocess.PIPE) as saved:
        loaded = subprocess.run(
            ["docker", "exec", "-i", container, "docker", "load"],
            stdin=saved.stdout, capture_output=True, text=True, check=True,
        )  # fmt: skip
    modules = ContainerModules(container)
    modules.shell(f"docker tag {loaded.stdout.split()[-1]} {IMAGE} && mkdir -p {FOLDER}")
    yield modules
    modules.shell("docker ps -aq | xargs -r docker rm -f", check=False)


def write(host: ContainerModules, command: str) -> None:
    """The Compose file of the one container, whose first process is a shell with `command`."""
    service = {
        "container_name": NAME, "image": IMAGE, "command": ["sh", "-c", command], "pull_policy": "never",
        "restart": "unless-stopped", "stop_grace_period": "1s", "network_mode": "none",
    }  # fmt: skip
    text = json.dumps({"services": {"registry-a": service}})
    subprocess.run(
        ["docker", "exec", "-i", host.container, "sh", "-c", f"cat > {FOLDER}/compose.yaml"],
        input=text, text=True, check=True,
    )  # fmt: skip


def call(
    host: ContainerModules, fingerprint: str, *, check: bool = False, port: int = 0, alone: bool = False
) -> dict[str, Any]:
    path = f"{FOLDER}/compose.yaml"
    unit: dict[str, Any] = {
        "name": NAME, "fingerprint": fingerprint, "files": [path],
        "container": {"service": "registry-a", "files": [path]},
    }  # fmt: skip
    if port:
        unit["ready"] = {"tcp": ["127.0.0.1", port], "timeout_s": 60}
    args = {
        "state_dir": STATE, "units": [unit] if fingerprint else [],
        "project": {"name": "aimesh", "folder": FOLDER}, "alone": alone,
    }  # fmt: skip
    return host.run("containers", args, check=check)


def container_id(host: ContainerModules) -> str:
    return host.shell("docker container inspect --format '{{.Id}}' " + NAME).strip()


def test_check_run_check_run_tell_the_truth(host: ContainerModules) -> None:
    write(host, "exec sleep 1000")
    assert [step["action"] for step in call(host, "sha256:1", check=True)["steps"]] == ["start"]
    assert host.shell("docker ps -aq").strip() == ""
    assert call(host, "sha256:1")["units"][NAME]["recorded"] == "sha256:1"
    made = container_id(host)
    assert not call(host, "sha256:1", check=True)["changed"]
    assert not call(host, "sha256:1")["changed"]
    assert container_id(host) == made
    assert [step["action"] for step in call(host, "sha256:2")["steps"]] == ["restart"]
    assert container_id(host) != made


def test_a_container_that_crashes_again_and_again_is_named_with_its_last_lines(host: ContainerModules) -> None:
    write(host, "echo no such setting; exit 3")
    result = call(host, "sha256:broken", port=9)
    assert result["failed"]
    assert f"{NAME} is not ready" in result["msg"]
    assert "crashes again and again" in result["msg"]
    assert "no such setting" in result["msg"]
    write(host, "exec sleep 1000")
    assert call(host, "sha256:mended")["units"][NAME]["recorded"] == "sha256:mended"


def test_what_is_no_longer_wanted_goes_and_what_is_not_ours_stays(host: ContainerModules) -> None:
    host.shell(f"docker run -d --name foreign --network none {IMAGE} sleep 1000")
    # A call that is about other containers leaves it.
    assert not call(host, "", alone=True)["changed"]
    assert call(host, "", check=True)["changed"]
    assert call(host, "")["changed"]
    assert host.shell("docker ps -a --format '{{.Names}}'").split() == ["foreign"]
    host.shell(f"docker run -d --name {NAME} --network none {IMAGE} sleep 1000")
    assert "it is not ours to touch" in call(host, "sha256:1")["msg"]
    assert "running" in host.shell("docker container inspect --format '{{.State.Status}}' " + NAME)
