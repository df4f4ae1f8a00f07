"""Images of the cluster: that of a node, and those that its own pods run, each a compiled program and nothing else."""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from pathlib import Path

from ..command import TestbedError, docker
from ..image import Image
from . import binaries

NODE = Image(
    os="debian-13",
    suite="trixie",
    purpose="kubernetes",
    extra=(
        "containerd", "containernetworking-plugins", "runc", "nftables", "ipset", "iptables", "conntrack", "socat",
        "kmod", "ethtool", "etcd-server", "busybox-static",
    ),
)  # fmt: skip
"""A machine that can be a node; Kubernetes itself is put onto it when it starts."""

POD_PROGRAMS = ("coredns", "metrics-server", "local-path-provisioner")
"""Programs that run in pods."""


def program_tag(name: str) -> str:
    return f"aimesh/testbed:{binaries.PROGRAMS[name].key}"


def busybox_tag() -> str:
    """A shell and Debian's small tools in one static program; it holds the network of every pod, too."""
    return f"aimesh/testbed:busybox-{NODE.tag.rpartition('-')[2]}"


def ensure_program(name: str, path: Path) -> str:
    """The image of a compiled program, made when it is not there. Returns its tag."""
    tag = program_tag(name)
    if not _exists(tag):
        with tempfile.NamedTemporaryFile(suffix=".tar") as file, tarfile.open(fileobj=file, mode="w") as tar:
            tar.add(path, arcname=name, filter=_plain)
            tar.close()
            file.flush()
            _import(Path(file.name), tag, f'ENTRYPOINT ["/{name}"]')
    return tag


def ensure_busybox() -> str:
    """The image of the small tools, made when it is not there. Returns its tag."""
    tag = busybox_tag()
    if not _exists(tag):
        program = _from_node("cat", "/usr/bin/busybox")
        applets = _from_node("busybox", "--list").decode().split()
        with tempfile.NamedTemporaryFile(suffix=".tar") as file:
            file.write(busybox_layer(program, applets))
            file.flush()
            # Nothing but the pod's network lives in the container that only waits.
            _import(Path(file.name), tag, 'CMD ["/bin/sleep", "2147483647"]', "ENV PATH=/bin")
    return tag


def busybox_layer(program: bytes, applets: list[str]) -> bytes:
    """A tar archive with the program under its name and a link for each applet."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        for folder, mode in (("bin", 0o755), ("etc", 0o755), ("tmp", 0o1777)):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            tar.addfile(entry)
        entry = tarfile.TarInfo("bin/busybox")
        entry.size, entry.mode = len(program), 0o755
        tar.addfile(entry, io.BytesIO(program))
        for applet in sorted(set(applets) - {"busybox"}):
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
    return written.getvalue()


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o755
    return entry


def _exists(tag: str) -> bool:
    return bool(docker("image", "ls", "--quiet", tag).strip())


def _import(archive: Path, tag: str, *changes: str) -> None:
    docker("import", *(f"--change={change}" for change in changes), str(archive), tag, timeout=300)


def _from_node(*words: str) -> bytes:
    command = ["docker", "run", "--rm", "--network=none", NODE.ensure(), *words]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    if done.returncode:
        raise TestbedError(f"`{' '.join(command)}` failed with exit code {done.returncode}.")
    return done.stdout
