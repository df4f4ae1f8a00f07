"""The hosts of one run: a network, a key and VMs, all carrying the run's name, all gone afterwards."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from . import cgroups, daemon, vm
from .command import TestbedError, docker, run
from .image import COMPOSE_HOST, IMAGES, Image
from .paths import CACHE

LABEL = "aimesh.testbed.run"


class Testbed:
    """VMs on a network of their own, named after `run`. Use as a context manager, or call `up` … `down`."""

    __test__ = False

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.network = f"aimesh-{run_id}"
        self.folder: Path = CACHE / run_id
        self.key = self.folder / "id"
        self.known_hosts = self.folder / "known_hosts"
        self.vms: dict[str, vm.Vm] = {}

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def up(self) -> None:
        """Network and key of the run; starts the Docker Engine when none runs."""
        missing = daemon.missing_packages()
        if missing:
            raise TestbedError(f"The testbed lacks packages: apt-get install {' '.join(missing)}")
        daemon.ensure(self.run_id)
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.key.exists():
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"aimesh-{self.run_id}", "-f", str(self.key))
        self.known_hosts.touch(mode=0o600)
        if self.network not in docker("network", "ls", "--format", "{{.Name}}").split():
            docker("network", "create", "--label", f"{LABEL}={self.run_id}", self.network)

    def start(self, name: str, os: str = "debian-13") -> vm.Vm:
        """A new VM, up and reachable over ssh."""
        if os not in IMAGES:
            raise TestbedError(f"There is no image for {os}; known are {', '.join(IMAGES)}.")
        return self._start(name, IMAGES[os])

    def start_compose_host(self, name: str, *, bare: bool = False) -> vm.Vm:
        """A new VM that can run a Docker Engine, with its images on a volume of the run; a `bare` one has no engine."""
        volume = f"{self._container(name)}-engine"
        docker("volume", "create", "--label", f"{LABEL}={self.run_id}", volume)
        return self._start(name, IMAGES[COMPOSE_HOST.os] if bare else COMPOSE_HOST, volume)

    def _start(self, name: str, image: Image, engine_volume: str = "") -> vm.Vm:
        made = vm.start(
            container=self._container(name), name=name, image=image, network=self.network,
            labels={LABEL: self.run_id}, key=self.key, known_hosts=self.known_hosts, engine_volume=engine_volume,
        )  # fmt: skip
        self.vms[name] = made
        return made

    def lose(self, name: str) -> None:
        """A VM is gone with everything on it."""
        container = docker("inspect", "--format", "{{.Id}}", self._container(name)).strip()
        docker("rm", "--force", "--volumes", container)
        cgroups.remove(cgroups.of_container(container))
        del self.vms[name]

    def existing(self, name: str) -> vm.Vm:
        """A VM that an earlier process of the same run started."""
        return vm.found(self._container(name), name, self.key, self.known_hosts)

    def _container(self, name: str) -> str:
        return f"aimesh-{self.run_id}-{name}"

    def write_inventory(self, path: Path, groups: dict[str, list[str]] | None = None) -> None:
        """The VMs as an inventory file: group `mesh`, or the given child groups of it (group → names)."""
        hosts = {name: {**made.variables(), "mesh_os": made.os} for name, made in self.vms.items()}
        mesh: dict[str, Any] = {"hosts": hosts}
        if groups:
            mesh["children"] = {group: {"hosts": {name: {} for name in names}} for group, names in groups.items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        # JSON is YAML, and needs no library.
        path.write_text(json.dumps({"mesh": mesh}, indent=2) + "\n")

    def down(self) -> None:
        """Take away all that carries the run's name, whoever made it; harmless when there is nothing."""
        if daemon.answers():
            label = f"label={LABEL}={self.run_id}"
            containers = docker("ps", "--all", "--quiet", "--no-trunc", "--filter", label).split()
            if containers:
                # A paused container cannot be killed.
                docker("unpause", *containers, check=False)
                docker("rm", "--force", "--volumes", *containers)
                for container in containers:
                    cgroups.remove(cgroups.of_container(container))
            networks = docker("network", "ls", "--quiet", "--filter", label).split()
            if networks:
                docker("network", "rm", *networks)
            for volume in docker("volume", "ls", "--quiet", "--filter", label).split():
                _remove_engine_volume(volume)
        self.vms.clear()
        shutil.rmtree(self.folder, ignore_errors=True)
        daemon.release(self.run_id)


def _remove_engine_volume(volume: str) -> None:
    """The volume, and the control groups of the containers that an engine inside a VM had."""
    data = Path(docker("volume", "inspect", "--format", "{{.Mountpoint}}", volume).strip())
    inner = [folder.name for folder in data.glob("containers/*")]
    docker("volume", "rm", volume)
    for container in inner:
        cgroups.remove(cgroups.of_container(container))
