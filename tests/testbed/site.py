"""A site of the repository on VMs of a testbed: a copy of its inventory with the addresses replaced, nothing else."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from . import footprint, playbook
from .bed import Testbed
from .paths import REPOSITORY
from .vm import Vm

# The machine of a test is smaller than a site; that and the addresses are all that a test changes.
SMALLER_MACHINE = ("-e", "mesh_preflight=warn")


class Site:
    """`inventory` is the copy; secrets and vault password lie beside it and go with it."""

    def __init__(self, name: str, bed: Testbed, folder: Path, addresses: dict[str, Vm]) -> None:
        self.name = name
        self.vms = list(addresses.values())
        self.inventory = folder / name
        password = folder / "vault-password"
        # A site that an earlier process made is taken as it is: its hosts know its secrets.
        if not password.exists():
            self._make(addresses)
            password.touch(mode=0o600)
            password.write_text(secrets.token_urlsafe(24) + "\n")
        self.env = {
            "ANSIBLE_VAULT_PASSWORD_FILE": str(password),
            "ANSIBLE_PRIVATE_KEY_FILE": str(bed.key),
            "ANSIBLE_SSH_COMMON_ARGS": self.vms[0].ssh_options,
        }

    def _make(self, addresses: dict[str, Vm]) -> None:
        shutil.copytree(REPOSITORY / "inventories" / self.name, self.inventory)
        hosts = self.inventory / "hosts.yml"
        text = hosts.read_text()
        for address, vm in addresses.items():
            if address not in text:
                raise ValueError(f"inventories/{self.name}/hosts.yml does not name {address}")
            text = text.replace(address, vm.address)
        hosts.write_text(text)

    def move(self, old: Vm, new: Vm) -> None:
        """The inventory names another machine where one is lost."""
        hosts = self.inventory / "hosts.yml"
        hosts.write_text(hosts.read_text().replace(old.address, new.address))
        self.vms = [new if vm is old else vm for vm in self.vms]

    def add_secret(self, name: str, value: str) -> None:
        """What an operator brings along, written with ansible-vault."""
        store = self.inventory / "secrets.yml"
        before = self._vault("view", str(store)) if store.exists() else "---\n"
        self._vault("encrypt", "--output", str(store), "-", text=f"{before}{name}: {json.dumps(value)}\n")

    def _vault(self, *words: str, text: str = "") -> str:
        program = str(Path(sys.executable).parent / "ansible-vault")
        environment = playbook.environment(self.env | {"PAGER": "cat"})
        done = subprocess.run(
            [program, *words], input=text, env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    def run(self, name: str, *arguments: str, timeout: float = 900) -> playbook.Outcome:
        return playbook.run(name, self.inventory, *SMALLER_MACHINE, *arguments, env=self.env, timeout=timeout)

    def deploy(self, *arguments: str) -> playbook.Outcome:
        return self.run("playbooks/deploy.yml", *arguments)

    def begin_deploy(self) -> subprocess.Popen[str]:
        return self.begin("playbooks/deploy.yml")

    def begin(self, name: str, *arguments: str) -> subprocess.Popen[str]:
        """A run in a session of its own, for tests that interrupt it; its output can be read line by line."""
        return subprocess.Popen(
            playbook.command(name, self.inventory, *SMALLER_MACHINE, *arguments),
            cwd=REPOSITORY, env=playbook.environment(self.env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip

    def verify(self, *arguments: str, timeout: float = 180) -> subprocess.CompletedProcess[str]:
        """`bin/mesh-verify` on the site. Raises subprocess.TimeoutExpired when it hangs."""
        program = [sys.executable, str(REPOSITORY / "bin/mesh-verify")]
        return subprocess.run(
            [*program, "-i", str(self.inventory), *SMALLER_MACHINE, *arguments],
            cwd=REPOSITORY, env=playbook.environment(self.env), stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=timeout, check=False,
        )  # fmt: skip

    def report(self) -> dict[str, Any]:
        """What the last verification of the site wrote."""
        report: dict[str, Any] = json.loads((REPOSITORY / "build" / self.name / "report.json").read_text())
        return report

    def starts(self) -> dict[str, str]:
        return {f"{vm.name} {unit}": start for vm in self.vms for unit, start in footprint.starts(vm).items()}
