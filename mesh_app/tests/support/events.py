"""A client of server-sent events that comes back with the id of the last event, as a browser does."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from mesh.web.stream import LAST_COMMENT


@dataclass
class EventClient:
    """Goes through `ports` one after the other, each time the stream ends or breaks off."""

    ports: list[int]
    path: str = "/api/v1/events"
    headers: dict[str, str] = field(default_factory=dict)
    records: list[dict[str, Any]] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    """How each stream ended: clean, broken or refused."""
    last_id: str = ""
    connected: int = 0
    connection: socket.socket | None = None

    def run_once(self, stop: threading.Event, port: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            again = {"Last-Event-ID": self.last_id} if self.last_id else {}
            connection.request("GET", self.path, headers={**self.headers, **again})
            self.connection = connection.sock
            answer = connection.getresponse()
            if answer.status != 200:
                self.ends.append(f"refused {answer.status}")
                return
            assert answer.headers["content-type"].startswith("text/event-stream"), answer.headers
            self._blocks(answer, stop)
        except (http.client.IncompleteRead, ConnectionError, TimeoutError):
            self.ends.append("broken")
        finally:
            connection.close()

    def _blocks(self, answer: http.client.HTTPResponse, stop: threading.Event) -> None:
        block: dict[str, str] = {}
        last = ""
        while not stop.is_set():
            line = answer.readline()
            if not line:
                # http.client does not tell a body without an end from a whole one here; the last comment does.
                self.ends.append("clean" if last == LAST_COMMENT.decode().strip() else "broken")
                return
            text = line.decode().rstrip("\n")
            if text.startswith(":"):
                last = text
            elif text:
                last = ""
                name, _, value = text.partition(": ")
                block[name] = value
            elif block:
                self.last_id = block.get("id", self.last_id)
                if block.get("event") == "agent":
                    self.records.append(json.loads(block["data"]))
                else:
                    self.connected += 1
                block = {}

    def versions(self) -> dict[str, list[int]]:
        """By agent, the versions in the order they came."""
        seen: dict[str, list[int]] = {}
        for record in self.records:
            seen.setdefault(record["id"], []).append(record["version"])
        return seen


@contextmanager
def following(client: EventClient) -> Iterator[EventClient]:
    """The client at work in a thread until the block ends; it is connected when the block begins."""
    stop = threading.Event()

    def work() -> None:
        turn = 0
        while not stop.is_set():
            client.run_once(stop, client.ports[turn % len(client.ports)])
            turn += 1
            stop.wait(0.1)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not client.connected:
        assert time.monotonic() < deadline, f"no stream of events: {client.ends[-3:]}"
        time.sleep(0.02)
    try:
        yield client
    finally:
        stop.set()
        if client.connection is not None:
            with suppress(OSError):
                client.connection.shutdown(socket.SHUT_RDWR)
        thread.join(15)
