"""A local server in the place of Slack, PagerDuty and webhooks: it keeps every message and answers as they do."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Message:
    received: float
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Catcher:
    url: str
    messages: list[Message] = field(default_factory=list)

    def at(self, path: str) -> list[Message]:
        """Messages to a path, in the order of their arrival."""
        return [message for message in list(self.messages) if message.path == path]


@contextmanager
def http_catcher() -> Iterator[Catcher]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            catcher.messages.append(Message(time.time(), self.path, dict(self.headers), body))
            accepted = self.path == "/v2/enqueue"
            self.send_response(202 if accepted else 200)
            self.end_headers()
            self.wfile.write(b'{"status": "success"}' if accepted else b"ok")

        def log_message(self, *_: Any) -> None:
            """Nothing: the messages themselves are kept."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    catcher = Catcher(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield catcher
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
