"""Who listens on which TCP port of this host: from /proc alone, without any program of the distribution."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.module_utils.proc import as_owner_of, pids, sockets_of

LISTENING = "0A"
EVERY_ADDRESS = (str(IPv4Address(0)), str(IPv6Address(0)))
UNIT = re.compile(r"/([^/]+)\.service(?:/|$)", re.MULTILINE)


@dataclass(frozen=True)
class Listener:
    address: str
    port: int
    inode: str


@dataclass(frozen=True)
class Owner:
    """A process that listens. `unit` is its systemd unit without `.service`, empty where it has none."""

    pid: int
    program: str
    command: tuple[str, ...]
    unit: str


def parse_tcp(text: str) -> list[Listener]:
    """Listening sockets in the text of /proc/net/tcp or /proc/net/tcp6."""
    found = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == LISTENING:
            address, port = fields[1].split(":")
            found.append(Listener(_address(address), int(port, 16), fields[9]))
    return found


def listeners(proc: str = "/proc") -> list[Listener]:
    """Every listening TCP socket of this network namespace."""
    found = []
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(FileNotFoundError):
            found += parse_tcp(Path(proc, "net", name).read_text(encoding="ascii"))
    return found


def overlaps(one: str, other: str) -> bool:
    """Whether two listening addresses cannot share a port: they are equal, or one of them is every address."""
    return one == other or one in EVERY_ADDRESS or other in EVERY_ADDRESS


def owners(inodes: Iterable[str], proc: str = "/proc") -> dict[str, Owner]:
    """Socket inode → a process that has it open, as far as we may look."""
    wanted = set(inodes)
    found: dict[str, Owner] = {}
    if not wanted:
        return found
    for pid in pids(proc):
        for inode in sockets_of(pid, proc) & wanted:
            found.setdefault(inode, owner_of(pid, proc))
    return found


def owner_of(pid: int, proc: str = "/proc") -> Owner:
    """What is known of a process; a process that is gone by now has no program."""
    folder = Path(proc, str(pid))
    command: tuple[str, ...] = ()
    program = unit = ""
    with contextlib.suppress(OSError):
        program = (folder / "comm").read_text(encoding="utf-8", errors="replace").strip()
        command = tuple((folder / "cmdline").read_text(encoding="utf-8", errors="replace").split("\0"))
        named = UNIT.findall((folder / "cgroup").read_text(encoding="utf-8", errors="replace"))
        unit = _plain(named[-1]) if named else ""
    with contextlib.suppress(OSError), as_owner_of(pid, proc):
        command = (str((folder / "exe").readlink()), *command)
    return Owner(pid, program, command, unit)


def _address(text: str) -> str:
    """The kernel writes addresses as hexadecimal words in the machine's byte order."""
    words = [bytes.fromhex(text[at : at + 8])[::-1] for at in range(0, len(text), 8)]
    if len(words) == 1:
        return str(IPv4Address(words[0]))
    address = IPv6Address(b"".join(words))
    return str(address.ipv4_mapped or address)


def _plain(unit: str) -> str:
    """A unit's name without systemd's escapes of bytes, as in `a\\x2db`."""
    return re.sub(r"\\x([0-9a-f]{2})", lambda match: chr(int(match.group(1), 16)), unit)
