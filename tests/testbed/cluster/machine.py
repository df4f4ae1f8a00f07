"""A node as a machine: a container with systemd and all its files, that boots into the cluster by itself."""

from __future__ import annotations

import io
import subprocess
import tarfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..bed import LABEL
from ..command import TestbedError, docker, run
from ..vm import INIT, OS_LABEL, SYSTEMD_ARGUMENTS
from .image_names import reference, repository
from .images import NODE
from .layout import Node
from .node_files import PROGRAMS

# A kubelet needs more than systemd does; without SYS_RESOURCE it does not try what the machine would refuse anyway.
NODE_ARGUMENTS = ("--cap-add=ALL", "--cap-drop=SYS_RESOURCE", "--device=/dev/kmsg")
MASKED = ("etcd.service",)
"""Units of Debian's packages that a node starts in another way."""
BOOT_S = 60
CONTAINERD = "ctr --namespace k8s.io"


def make(node: Node, run_id: str, network: str, files: Mapping[str, str], programs: Mapping[str, Path]) -> None:
    """The node with its disks and files, not started. `programs` are mounted, not copied."""
    label = f"--label={LABEL}={run_id}"
    volumes = [f"--volume={volume}:{folder}" for volume, folder in node.volumes.items()]
    mounted = [f"--volume={path.resolve()}:{PROGRAMS}/{name}:ro" for name, path in programs.items()]
    for volume in node.volumes:
        docker("volume", "create", label, volume)
    docker(
        "create", "--name", node.name, "--hostname", node.name, "--network", network, "--ip", str(node.address),
        label, "--label", f"{OS_LABEL}={NODE.os}", *SYSTEMD_ARGUMENTS, *NODE_ARGUMENTS, *volumes, *mounted,
        NODE.tag, "/bin/sh", "-c", INIT,
    )  # fmt: skip
    _feed(["docker", "cp", "-", f"{node.name}:/"], archive(files))


def start(node: Node) -> None:
    docker("start", node.name)


def kill(node: Node) -> None:
    """The power goes: nothing on the node gets to say goodbye."""
    docker("kill", node.name)


def await_containerd(node: Node) -> None:
    """Wait until images can be brought. Raises TestbedError."""
    deadline = time.monotonic() + BOOT_S
    while shell(node, f"{CONTAINERD} version >/dev/null 2>&1 && echo up", check=False).strip() != "up":
        if time.monotonic() > deadline:
            raise TestbedError(f"containerd on {node.name} did not answer within {BOOT_S} s: {last_words(node)}")
        time.sleep(0.3)


def shell(node: Node, command: str, *, check: bool = True, timeout: float = 120) -> str:
    """Standard output of a shell command run as root on the node."""
    return docker("exec", node.name, "/bin/sh", "-c", command, check=check, timeout=timeout)


def import_images(node: Node, saved: Path, names: Iterable[str]) -> None:
    """Give the node the images of a `docker save` file, known by tag and by digest."""
    for base in sorted({repository(name) for name in names}):
        words = [*CONTAINERD.split(), "images", "import", "--digests", "--base-name", base, "-"]
        _feed(["docker", "exec", "--interactive", node.name, *words], saved)


def digest(node: Node, name: str) -> str:
    """Digest under which the node knows an image, as `sha256:…`. Raises TestbedError when it does not."""
    full = reference(name)
    for line in shell(node, f"{CONTAINERD} images ls name=={full}").splitlines():
        words = line.split()
        if words and words[0] == full:
            return words[2]
    raise TestbedError(f"Node {node.name} has no image {name}; load it first.")


def last_words(node: Node, unit: str = "") -> str:
    """The newest line of a unit's log, or of the whole log; of a node that did not boot, what its container says."""
    only = f"--unit={unit}" if unit else ""
    logged = shell(node, f"journalctl --no-pager --lines=1 --output=cat {only}", check=False).strip()
    if logged:
        return logged
    state = docker("inspect", "--format", "{{.State.Status}} {{.State.Error}}", node.name, check=False).strip()
    console = run("sh", "-c", f"docker logs --tail 1 {node.name} 2>&1", check=False).strip()
    return f"it logs nothing, its container is {state}, its console says {console or 'nothing'}"


def archive(files: Mapping[str, str]) -> bytes:
    """A tar archive of a node's files: units started at boot, private keys and what holds them for root alone."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        for path, text in sorted(files.items()):
            content = text.encode()
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content), _mode(path)
            tar.addfile(entry, io.BytesIO(content))
            if path.endswith(".service"):
                name = path.rpartition("/")[2]
                _link(tar, f"etc/systemd/system/multi-user.target.wants/{name}", path)
        for name in MASKED:
            _link(tar, f"etc/systemd/system/{name}", "/dev/null")
    return written.getvalue()


def _mode(path: str) -> int:
    if path.startswith(f"{PROGRAMS}/"):
        return 0o755
    return 0o600 if path.endswith((".key", ".kubeconfig")) else 0o644


def _link(tar: tarfile.TarFile, path: str, target: str) -> None:
    entry = tarfile.TarInfo(path)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    tar.addfile(entry)


def _feed(command: list[str], source: bytes | Path, timeout: float = 300) -> None:
    """Run a command with bytes, or a file, as its standard input."""
    if isinstance(source, Path):
        with source.open("rb") as stream:
            done = subprocess.run(command, stdin=stream, capture_output=True, timeout=timeout, check=False)
    else:
        done = subprocess.run(command, input=source, capture_output=True, timeout=timeout, check=False)
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no output"]
        raise TestbedError(f"`{' '.join(command)}` failed with exit code {done.returncode}: {lines[-1]}")
