"""XML-RPC over a unix socket, as supervisord speaks it."""

from __future__ import annotations

import http.client
import socket
import xmlrpc.client
from typing import Any


class UnixTransport(xmlrpc.client.Transport):
    """Connects to the socket at `path`; a call that takes longer than `timeout_s` seconds raises TimeoutError."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__()
        self._path = path
        self._timeout_s = timeout_s

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        del host  # the peer is the socket
        return _UnixConnection(self._path, self._timeout_s)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
