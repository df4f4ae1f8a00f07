"""Another mesh's federation endpoint whose answers a test decides, signed as a real one signs."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from mesh.federation.signature import HEADER, Signer

from .mesh import FEDERATION_KEY

AGENT = {"type": "chatbot", "vendor": "openai", "model": "gpt-4"}


class FakePeer:
    """Sends `items` at every visit. While `hanging` is set it takes requests and answers none."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.items: list[Any] = []
        self.asked: list[float] = []
        self.cursors: list[str] = []
        self.refuse_cursors = False
        self.broken = False
        self.detail = ""
        self.hanging = threading.Event()
        self._signer = Signer(FEDERATION_KEY, name)
        peer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                peer._answer(self)

            def log_message(self, *_arguments: Any) -> None:
                return None

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.hanging.clear()
        self._server.shutdown()
        self._server.server_close()

    def record(self, **values: Any) -> dict[str, Any]:
        """A record of this mesh as it goes over the wire."""
        now = "2026-01-01T00:00:00Z"
        base = {**AGENT, "origin": self.name, "id": str(uuid4()), "namespace": "default", "name": f"agent-{uuid4()}"}
        rest = {"description": "", "tags": [], "endpoint": None, "version": 1, "deleted_at": None}
        return {**base, **rest, "created_at": now, "updated_at": now, **values}

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        cursor = parse_qs(urlsplit(handler.path).query).get("cursor", [""])[0]
        self.asked.append(time.monotonic())
        self.cursors.append(cursor)
        while self.hanging.is_set():
            time.sleep(0.05)
        status = 500 if self.broken else 400 if self.refuse_cursors and cursor else 200
        page = {"mesh": self.name, "items": self.items, "next_cursor": "somewhere", "more": False}
        body = json.dumps({"detail": self.detail} if self.broken else page).encode()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.send_header(HEADER, self._signer.sign_response(handler.headers.get(HEADER, ""), body))
        handler.end_headers()
        handler.wfile.write(body)
