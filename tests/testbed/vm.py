"""One VM: a container with systemd as its first process."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from .command import TestbedError, docker, run
from .image import USER, Image, volume_arguments
from .kernel_limits import why_no_boot

# `--privileged` is refused on machines that miss one capability; these are what systemd and its sandboxes need.
SYSTEMD_ARGUMENTS = (
    "--cap-add=SYS_ADMIN", "--cap-add=NET_ADMIN", "--cap-add=SYS_PTRACE",
    "--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined", "--security-opt=systempaths=unconfined",
    "--cgroupns=host", "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw",
    "--tmpfs=/run", "--tmpfs=/run/lock", "--tmpfs=/tmp:exec", "--stop-signal=SIGRTMIN+3",
)  # fmt: skip


OS_LABEL = "aimesh.testbed.os"

INIT = "mount --make-rshared / && exec /lib/systemd/systemd"
"""On a real machine systemd shares its mounts itself; without that no unit gets its credentials."""


@dataclass(frozen=True)
class Vm:
    name: str
    container: str
    os: str
    address: str
    key: Path
    known_hosts: Path

    def run(self, command: str, *, check: bool = True, timeout: float = 120) -> str:
        """Standard output of a shell command run as root inside."""
        return docker("exec", self.container, "/bin/sh", "-c", command, check=check, timeout=timeout)

    def pause(self) -> None:
        docker("pause", self.container)

    def unpause(self) -> None:
        docker("unpause", self.container)

    def restart(self) -> None:
        """Restart the machine: systemd shuts down and starts again, addresses and disks stay."""
        docker("restart", "--time", "60", self.container, timeout=120)
        _await_boot(self)
        _await_ssh(self)

    @property
    def ssh_options(self) -> str:
        return f"-o UserKnownHostsFile={self.known_hosts} -o IdentitiesOnly=yes"

    def variables(self) -> dict[str, str]:
        """What an inventory says of this host, besides its groups."""
        return {
            "ansible_host": self.address,
            "ansible_user": USER,
            "ansible_ssh_private_key_file": str(self.key),
            "ansible_ssh_common_args": self.ssh_options,
        }


def found(container: str, name: str, key: Path, known_hosts: Path) -> Vm:
    """The VM in a container that is there. Raises TestbedError when it is not."""
    os = docker("inspect", "--format", f'{{{{index .Config.Labels "{OS_LABEL}"}}}}', container).strip()
    networks = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    address = docker("inspect", "--format", networks, container).strip()
    return Vm(name=name, container=container, os=os, address=address, key=key, known_hosts=known_hosts)


def start(*, container: str, name: str, image: Image, network: str, labels: dict[str, str], key: Path,
          known_hosts: Path, engine_volume: str = "") -> Vm:  # fmt: skip
    """Start a VM and wait until it takes logins (a few seconds).

    With an `engine_volume` it can run a Docker Engine of its own: overlayfs cannot lie on overlayfs.
    """
    engine = [f"--volume={engine_volume}:/var/lib/docker"] if engine_volume else []
    marks = [argument for label, value in labels.items() for argument in ("--label", f"{label}={value}")]
    docker(
        "run", "--detach", "--name", container, "--hostname", name, "--network", network,
        "--label", f"{OS_LABEL}={image.os}", *marks,
        *SYSTEMD_ARGUMENTS, *volume_arguments(), *engine, image.ensure(), "/bin/sh", "-c", INIT, timeout=180,
    )  # fmt: skip
    vm = found(container, name, key, known_hosts)
    address = vm.address
    _await_boot(vm)
    home = f"/home/{USER}/.ssh"
    docker(
        "exec", "--interactive", container, "/bin/sh", "-c",
        f"install -d -m 0700 -o {USER} -g {USER} {home} && cat > {home}/authorized_keys"
        f" && chown {USER}: {home}/authorized_keys",
        stdin=key.with_suffix(".pub").read_text(),
    )  # fmt: skip
    host_key = vm.run("cat /etc/ssh/ssh_host_ed25519_key.pub").split()
    with known_hosts.open("a") as lines:
        lines.write(f"{address} {host_key[0]} {host_key[1]}\n")
    _await_ssh(vm)
    return vm


def _await_boot(vm: Vm, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    state = ""
    while time.monotonic() < deadline:
        state = vm.run("systemctl is-system-running 2>&1", check=False).strip()
        if state == "running":
            return
        if state == "degraded":
            failed = vm.run("systemctl --failed --plain --no-legend").strip()
            raise TestbedError(f"VM {vm.name} started with failed units: {failed}.")
        time.sleep(0.25)
    raise TestbedError(
        f"VM {vm.name} was not up after {seconds:.0f} s; systemd says {state or 'nothing'}.{why_no_boot()}"
    )


def _await_ssh(vm: Vm) -> None:
    run(
        "ssh", "-i", str(vm.key), *vm.ssh_options.split(), "-o", "BatchMode=yes", "-o", "ConnectTimeout=10",
        f"{USER}@{vm.address}", "true", timeout=30,
    )  # fmt: skip
