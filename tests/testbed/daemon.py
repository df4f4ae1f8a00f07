"""The Docker Engine of the machine: started when none runs, and stopped only by the run that started it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from .command import TestbedError, docker
from .paths import CACHE

RECORD = CACHE / "dockerd.json"
LOG = CACHE / "dockerd.log"
PACKAGES = ("docker.io", "iptables", "mmdebstrap", "debian-archive-keyring", "openssh-client")
"""Debian packages that the testbed needs on the machine."""


def missing_packages() -> list[str]:
    """Names of the Debian packages whose programs are not there."""
    programs = {"docker.io": "dockerd", "iptables": "iptables", "mmdebstrap": "mmdebstrap", "openssh-client": "ssh"}
    missing = [name for name, program in programs.items() if shutil.which(program, path=_PATH) is None]
    if shutil.which("docker", path=_PATH) is None:
        # Debian 13 packages the client apart from the engine.
        missing.append("docker-cli")
    if not Path("/usr/share/keyrings/debian-archive-keyring.gpg").exists():
        missing.append("debian-archive-keyring")
    return missing


_PATH = os.environ.get("PATH", "") + os.pathsep + "/usr/sbin" + os.pathsep + "/sbin"


def answers() -> bool:
    """True when a Docker Engine answers on this machine."""
    try:
        return bool(docker("version", "--format", "{{.Server.Version}}", timeout=20, check=False).strip())
    except TestbedError:
        return False


def ensure(owner: str) -> bool:
    """Start the engine for `owner` unless one answers. Returns True when this call started it."""
    if answers():
        return False
    program = shutil.which("dockerd", path=_PATH)
    if os.geteuid() != 0 or program is None:
        raise TestbedError(
            "No Docker Engine answers on this machine; as root, install docker.io and iptables, then run this again."
        )
    CACHE.mkdir(parents=True, exist_ok=True)
    with LOG.open("ab") as log:
        engine = subprocess.Popen([program], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    RECORD.write_text(json.dumps({"owner": owner, "pid": engine.pid}))
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if answers():
            return True
        if engine.poll() is not None:
            RECORD.unlink(missing_ok=True)
            raise TestbedError(f"dockerd ended with exit code {engine.returncode}; its log is {LOG}.")
        time.sleep(0.3)
    _stop(engine.pid)
    RECORD.unlink(missing_ok=True)
    raise TestbedError(f"dockerd did not answer within 60 s; its log is {LOG}.")


def release(owner: str) -> bool:
    """Stop the engine when `owner` started it. Returns True when it was stopped."""
    try:
        record = json.loads(RECORD.read_text())
    except (FileNotFoundError, ValueError):
        return False
    if record["owner"] != owner:
        return False
    _stop(int(record["pid"]))
    RECORD.unlink(missing_ok=True)
    return True


def _is_dockerd(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == "dockerd"
    except FileNotFoundError:
        return False


def _stop(pid: int) -> None:
    if not _is_dockerd(pid):
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 30
    while _is_dockerd(pid) and time.monotonic() < deadline:
        time.sleep(0.2)
