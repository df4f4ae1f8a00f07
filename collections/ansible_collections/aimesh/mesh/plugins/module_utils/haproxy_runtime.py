"""HAProxy's runtime API on its unix socket: what it thinks of its servers, and which of them take calls.

Commands and columns: HAProxy's management guide, "Unix Socket commands" (the same in 2.6 and 3.0).
"""

from __future__ import annotations

import csv
import io
import socket
from dataclasses import dataclass

from ansible_collections.aimesh.mesh.plugins.module_utils.session import HostChangeError

TIMEOUT_S = 5.0
SERVERS_ONLY = "show stat -1 4 -1"
FORCED_MAINT, FORCED_DRAIN = 0x01, 0x08
"""Bits of `srv_admin_state`: put into maintenance, or drained, by its administrator."""


class RuntimeApiError(HostChangeError):
    """HAProxy does not answer, or refuses; the message is one sentence for the operator."""


@dataclass(frozen=True)
class Server:
    """One server of one backend. `name` is `backend/server`."""

    name: str
    admin: str
    """What its administrator wants: `ready`, `drain` or `maint`."""
    status: str
    """What HAProxy thinks: `UP`, `UP 1/2` (going down or coming up), `DOWN`, `DRAIN`, `MAINT`, `no check`."""
    sessions: int
    """Calls under way on it, and calls that wait for it."""

    @property
    def backend(self) -> str:
        return self.name.split("/", 1)[0]

    @property
    def takes_calls(self) -> bool:
        return self.admin == "ready" and self.status in ("UP", "no check")


class RuntimeApi:
    """Talks to the HAProxy whose socket lies at `path`. Methods raise RuntimeApiError."""

    def __init__(self, path: str, timeout_s: float = TIMEOUT_S) -> None:
        self._path = path
        self._timeout_s = timeout_s

    def servers(self) -> dict[str, Server]:
        """Every server by `backend/server`."""
        admin = parse_admin_states(self._ask("show servers state"))
        return {
            name: Server(name, admin.get(name, "ready"), status, sessions)
            for name, status, sessions in parse_stat(self._ask(SERVERS_ONLY))
        }

    def server(self, name: str) -> Server:
        """One server, by `backend/server`."""
        found = self.servers()
        if name not in found:
            raise RuntimeApiError(
                f"HAProxy knows no server {name}, it has {', '.join(found) or 'none'}; its configuration is not the "
                "plan's: run site.yml."
            )
        return found[name]

    def set_state(self, name: str, state: str) -> None:
        """`ready`, `drain` or `maint`; no effect on one that is in that state."""
        said = self._ask(f"set server {name} state {state}").strip()
        if said:
            raise RuntimeApiError(f"HAProxy refuses to set the server {name} to {state}: {said.rstrip('.')}.")

    def worker(self) -> int:
        """Process id of the worker that answers."""
        said = self._ask("show info")
        for line in said.splitlines():
            if line.startswith("Pid:"):
                return int(line.split(":", 1)[1])
        raise RuntimeApiError(f"HAProxy at {self._path} does not say which process it is.")

    def _ask(self, command: str) -> str:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(self._timeout_s)
                connection.connect(self._path)
                connection.sendall(command.encode() + b"\n")
                received = []
                while chunk := connection.recv(65536):
                    received.append(chunk)
        except TimeoutError:
            raise RuntimeApiError(f"HAProxy does not answer on {self._path} within {self._timeout_s:g} s.") from None
        except OSError as error:
            raise RuntimeApiError(
                f"HAProxy cannot be asked on {self._path} ({(error.strerror or str(error)).lower()}); is it running?"
            ) from None
        return b"".join(received).decode(errors="replace")


def parse_stat(text: str) -> list[tuple[str, str, int]]:
    """(`backend/server`, status, sessions) out of `show stat`. Raises RuntimeApiError for anything else."""
    rows = list(csv.DictReader(io.StringIO(text.lstrip("# "))))
    if not rows and not text.lstrip("# ").startswith("pxname,"):
        raise RuntimeApiError(f"HAProxy answered something that is no statistics: {text.strip()[:80]!r}.")
    return [
        (f"{row['pxname']}/{row['svname']}", row["status"], int(row["scur"] or 0) + int(row["qcur"] or 0))
        for row in rows
        if row["svname"] not in ("FRONTEND", "BACKEND")
    ]


def parse_admin_states(text: str) -> dict[str, str]:
    """`backend/server` → `ready`, `drain` or `maint` out of `show servers state`."""
    found: dict[str, str] = {}
    columns: list[str] = []
    for line in text.splitlines():
        if line.startswith("# "):
            columns = line[2:].split()
            continue
        fields = dict(zip(columns, line.split(), strict=False))
        if "srv_admin_state" not in fields:
            continue
        bits = int(fields["srv_admin_state"])
        state = "maint" if bits & FORCED_MAINT else "drain" if bits & FORCED_DRAIN else "ready"
        found[f"{fields['be_name']}/{fields['srv_name']}"] = state
    return found
