"""Whether the host has a Docker Engine with Compose that can run the mesh, and what to do where it has not."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from ansible_collections.aimesh.mesh.plugins.module_utils.docker_client import complaint
from ansible_collections.aimesh.mesh.plugins.module_utils.session import HostChangeError

ENGINE_LEAST, COMPOSE_LEAST = (25, 0), (2, 20)
"""The first versions that know a health check's `start_interval`."""
SERVICE = "docker.service"
DEBIAN_ENGINE = "docker.io"
ANSWER_TIMEOUT_S = 60.0
START_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Engine:
    """What answers on this host: `client` whether there is a docker client, versions empty where nothing answers."""

    client: bool
    engine: str = ""
    compose: str = ""
    complaint: str = ""


class Need(StrEnum):
    """What has to happen before there is an engine that serves."""

    NOTHING = "nothing"
    START = "start"
    INSTALL = "install"


def look() -> Engine:
    """Ask the client, the engine and Compose. Never raises."""
    client, engine, refusal = _ask("docker", "version", "--format", "{{.Server.Version}}")
    if not client:
        return Engine(False)
    _, compose, _ = _ask("docker", "compose", "version", "--short")
    return Engine(True, engine, compose, refusal)


def need(seen: Engine, packages: Collection[str]) -> Need:
    """What to do, given the packages that are installed. Raises HostChangeError where it is the operator's to do."""
    ours = DEBIAN_ENGINE in packages
    if not seen.client:
        return Need.INSTALL
    if not seen.engine:
        if ours:
            return Need.START
        raise HostChangeError(
            f"This host has a docker client and its engine does not answer ({seen.complaint}): start it, or remove the "
            "client and deploy again."
        )
    if not seen.compose:
        if ours and "docker-compose" not in packages:
            return Need.INSTALL
        raise HostChangeError(
            f"The Docker Engine {seen.engine} of this host has no Compose v2, that is, `docker compose version` fails: "
            "install docker-compose-plugin from Docker's package repository, or use Debian 13."
        )
    check_versions(seen)
    return Need.NOTHING


def check_versions(seen: Engine) -> None:
    """Raises HostChangeError for an engine or a Compose that is too old for the mesh's files."""
    for name, version, least in (
        ("Docker Engine", seen.engine, ENGINE_LEAST),
        ("Docker Compose", seen.compose, COMPOSE_LEAST),
    ):
        if parsed(version) < least:
            raise HostChangeError(
                f"This host has {name} {version}; the mesh needs {least[0]}.{least[1]} or later: upgrade it."
            )


def parsed(version: str) -> tuple[int, int]:
    """`v2.26.1-4` → (2, 26); (0, 0) for what is no version."""
    match = re.match(r"v?(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def start() -> None:
    """Have the engine run, now and after a reboot, and wait until it answers. Raises HostChangeError."""
    _, _, refusal = _ask("systemctl", "enable", "--now", SERVICE)
    deadline = time.monotonic() + START_TIMEOUT_S
    seen = look()
    while not seen.engine and not refusal and time.monotonic() < deadline:
        time.sleep(0.5)
        seen = look()
    if not seen.engine:
        raise HostChangeError(
            f"The Docker Engine does not start: {refusal or seen.complaint}; see journalctl -u {SERVICE}."
        )
    if not seen.compose:
        raise HostChangeError(
            "The packages of this Debian bring no Compose v2: `docker compose version` fails. Install "
            "docker-compose-plugin from Docker's package repository, or use Debian 13."
        )
    check_versions(seen)


def _ask(*command: str) -> tuple[bool, str, str]:
    """Whether the program is there, what it printed when it ended well, else its last line."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=ANSWER_TIMEOUT_S, check=False, cwd="/"
        )
    except FileNotFoundError:
        return False, "", f"there is no {command[0]}"
    except subprocess.TimeoutExpired:
        return True, "", f"{command[0]} did not end within {ANSWER_TIMEOUT_S:g} s"
    if done.returncode != 0:
        return True, "", complaint(done.stderr or done.stdout)
    return True, done.stdout.strip(), ""
