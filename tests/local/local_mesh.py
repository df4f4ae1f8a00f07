"""A mesh of local processes for a test: ports and a state directory of its own, so that it stands beside any other."""

from __future__ import annotations

import contextlib
import grp
import http.client
import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.testbed import playbook
from tests.testbed.paths import REPOSITORY
from tests.testbed.playbook import Outcome

SERVICES = ("api-gateway", "registry", "telemetry", "policy", "federation", "ui")
FIRST_PORT = 23000
POSTGRESQL_PORT = 25432
REDIS_PORT = 26379
INVENTORY = REPOSITORY / "inventories" / "local"


@dataclass(frozen=True)
class LocalMesh:
    name: str
    base: Path
    shift: int = 0
    """Added to every port, so that two meshes of a test session stand side by side."""

    @property
    def socket(self) -> str:
        return str(self.base / "run" / "supervisor.sock")

    def variables(self, **more: Any) -> list[str]:
        """Extra variables on the command line: what makes this mesh another one than inventories/local."""
        given = {
            "mesh_name": self.name,
            "mesh_state_dir": str(self.base),
            "mesh_services": ports(self.shift),
            "mesh_postgresql": {"port": POSTGRESQL_PORT + self.shift},
            "mesh_redis": {"port": REDIS_PORT + self.shift},
        }
        return ["-e", json.dumps(given | more)]

    def deploy(self, *arguments: str, **more: Any) -> Outcome:
        return playbook.run("playbooks/deploy.yml", INVENTORY, *self.variables(**more), *arguments)

    def begin_deploy(self) -> subprocess.Popen[str]:
        """A deploy under way, in a session of its own; its output comes through `stdout`."""
        return subprocess.Popen(
            playbook.command("playbooks/deploy.yml", INVENTORY, *self.variables()),
            cwd=REPOSITORY,
            env=playbook.environment({"PYTHONUNBUFFERED": "1"}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def destroy(self, *, data: bool = True) -> Outcome:
        confirmed = {"mesh_remove_data": self.name, "mesh_remove_backups": self.name} if data else {}
        return playbook.run("playbooks/destroy.yml", INVENTORY, *self.variables(**confirmed))

    def health(self, service: str) -> tuple[int, dict[str, Any]]:
        """Status and document of `/health`; status 0 when nobody answers."""
        return ask(FIRST_PORT + self.shift + SERVICES.index(service), "/health")

    def healthy(self) -> dict[str, int]:
        return {service: self.health(service)[0] for service in SERVICES}

    def processes(self) -> dict[str, str]:
        """Program → its pid and the moment that process started, for supervisord and everything it runs."""
        from ansible_collections.aimesh.mesh.plugins.module_utils.supervisor import Supervisor, alive

        if alive(self.socket) is None:
            return {}
        found = {name: program.pid for name, program in Supervisor(self.socket).programs().items()}
        found["supervisord"] = int((self.base / "run" / "supervisord.pid").read_text())
        return {name: f"{pid} since {kernel_start(pid)}" for name, pid in found.items()}

    def pid(self, program: str) -> int:
        return int(self.processes()[program].split()[0])


def ports(shift: int = 0) -> dict[str, dict[str, int]]:
    """The variable mesh_services of a test mesh."""
    return {service: {"port": FIRST_PORT + shift + n} for n, service in enumerate(SERVICES)}


@contextlib.contextmanager
def new_mesh(label: str, shift: int = 100) -> Iterator[LocalMesh]:
    """A place for a mesh, taken away in the end with everything that still runs there."""
    name = f"t{os.getpid() % 10000}-{label}"
    base = Path(tempfile.mkdtemp(prefix="aimesh-local-")) / "mesh"
    base.parent.chmod(0o755)  # the mesh's own user passes through
    mesh = LocalMesh(name, base, shift)
    try:
        yield mesh
    finally:
        if base.exists():
            mesh.destroy()
        kill_all_below(base)
        shutil.rmtree(base.parent, ignore_errors=True)
        shutil.rmtree(REPOSITORY / "build" / name, ignore_errors=True)


def accounts() -> set[str]:
    """Every user and group of the machine."""
    return {entry.pw_name for entry in pwd.getpwall()} | {f"group {entry.gr_name}" for entry in grp.getgrall()}


def ask(port: int, path: str) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    except OSError:
        return 0, {}
    finally:
        connection.close()


def kernel_start(pid: int) -> str:
    """When a process started, in kernel ticks; `never` for one that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return "never"


def below(base: Path) -> dict[int, str]:
    """Living processes that run a program below `base`, or were given it on their command line: pid → command."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z":
                continue
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            if f"{base}/" in f"{(entry / 'exe').readlink()} {command}" and "ansible" not in command:
                found[int(entry.name)] = command
    return found


def kill_all_below(base: Path) -> None:
    for pid in below(base):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def descendants(pid: int) -> list[int]:
    """The process and everything that it started and that has not been given to init."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for parent in found:
        found += [child for child, its in parents.items() if its == parent]
    return found


def wait_for(what: Callable[[], bool], timeout_s: float = 20.0) -> bool:
    """Whether `what()` becomes true in time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if what():
            return True
        time.sleep(0.05)
    return False
