"""Bytes on a connection as they are, where an HTTP client would not send them."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterable


def send_raw(port: int, pieces: Iterable[bytes]) -> bytes:
    """What comes back, b"" where the connection is only closed; raises TimeoutError after 5 s without either."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
                if select.select([connection], [], [], 0)[0]:
                    break
            return connection.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            return b""
