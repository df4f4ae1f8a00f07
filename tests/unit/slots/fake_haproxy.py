"""HAProxy's runtime socket, as 2.6 and 3.0 answer on it; a small fake with two servers."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass
from pathlib import Path

STAT_HEADER = "# pxname,svname,qcur,qmax,scur,smax,status,\n"
STATE_HEADER = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight\n"
BITS = {"ready": 0, "maint": 1, "drain": 8}


@dataclass
class FakeServer:
    admin: str = "ready"
    healthy: bool = True
    sessions: int = 0
    looks_until_end: int = -1
    """Its sessions end after so many looks; never when it is negative."""

    @property
    def status(self) -> str:
        if self.admin == "maint":
            return "MAINT"
        if not self.healthy:
            return "DOWN"
        return "DRAIN" if self.admin == "drain" else "UP"


class FakeHaproxy:
    def __init__(self, path: str) -> None:
        self.path = path
        self.servers = {"registry/vm1-a": FakeServer(), "registry/vm1-b": FakeServer("maint")}
        self.worker = 1000
        self.commands: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(path)
        self._socket.listen(16)
        threading.Thread(target=self._serve, daemon=True).start()

    def set(self, name: str, **fields: object) -> None:
        for field, value in fields.items():
            setattr(self.servers[name], field, value)

    def reload(self) -> str:
        """A new worker, which knows only the configuration: the spare is in maintenance again."""
        self.worker += 1
        self.servers["registry/vm1-a"].admin = "ready"
        self.servers["registry/vm1-b"].admin = "maint"
        return ""

    def close(self) -> None:
        self._socket.close()
        with contextlib.suppress(FileNotFoundError):
            Path(self.path).unlink()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                command = connection.recv(4096).decode().strip()
                connection.sendall(self._answer(command).encode())

    def _answer(self, command: str) -> str:
        self.commands.append(command)
        if command.startswith("show stat"):
            return self._stat()
        if command == "show servers state":
            rows = (
                f"3 {name.split('/')[0]} {n} {name.split('/')[1]} 127.0.0.1 2 {BITS[server.admin]} 1\n"
                for n, (name, server) in enumerate(self.servers.items(), start=1)
            )
            return STATE_HEADER + "".join(rows) + "\n"
        if command == "show info":
            return f"Name: HAProxy\nPid: {self.worker}\n\n"
        words = command.split()
        if words[:2] == ["set", "server"] and words[2] in self.servers:
            self.servers[words[2]].admin = words[4]
            return "\n"
        return "No such server.\n\n"

    def _stat(self) -> str:
        rows = []
        for name, server in self.servers.items():
            if server.looks_until_end == 0:
                server.sessions = 0
            server.looks_until_end -= 1
            backend, own = name.split("/")
            rows.append(f"{backend},{own},0,0,{server.sessions},9,{server.status},\n")
        return STAT_HEADER + "".join(rows) + "\n"
