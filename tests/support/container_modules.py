"""Modules of ours inside a container: their code and Ansible's own go in as one archive, as Ansible would send them."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import ansible
from module_runner import COLLECTIONS, LAUNCHER, module_call, parse_result

PLACE = "/opt/module-test"
PLUGINS = "ansible_collections/aimesh/mesh/plugins"


def archive() -> bytes:
    """A tar of `ansible/module_utils` and our `modules` and `module_utils`."""
    buffer = io.BytesIO()
    core = Path(ansible.__file__).parent
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        # Ansible's own package file wants more of Ansible than a host gets; there it is empty too.
        tar.addfile(tarfile.TarInfo("ansible/__init__.py"))
        for name in ("release.py", "module_utils"):
            tar.add(core / name, f"ansible/{name}", filter=_no_bytecode)
        for name in ("modules", "module_utils"):
            tar.add(COLLECTIONS / PLUGINS / name, f"{PLUGINS}/{name}", filter=_no_bytecode)
    return buffer.getvalue()


def _no_bytecode(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if entry.name.endswith("__pycache__") else entry


class ContainerModules:
    """Runs modules in one running container, as root."""

    def __init__(self, container: str) -> None:
        self.container = container
        self.shell(f"mkdir -p {PLACE}")
        subprocess.run(
            ["docker", "exec", "-i", container, "tar", "-x", "-C", PLACE, "-f", "-"], input=archive(), check=True
        )

    def shell(self, command: str, *, check: bool = True) -> str:
        done = subprocess.run(
            ["docker", "exec", self.container, "sh", "-c", command], capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, f"`{command}` failed: {done.stdout}{done.stderr}"
        return done.stdout

    def run(self, name: str, args: dict[str, Any], *, check: bool = False, diff: bool = False) -> dict[str, Any]:
        done = subprocess.run(
            ["docker", "exec", "-i", "-e", f"PYTHONPATH={PLACE}", self.container, "python3", "-c", LAUNCHER],
            input=module_call(name, args, check=check, diff=diff),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        return parse_result(done.stdout, done.stderr, done.returncode)
