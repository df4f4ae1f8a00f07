"""Six services of a mesh over one small HTTP server, which can misbehave in the ways that an update can."""

from __future__ import annotations

import json
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

SERVICES = ("api-gateway", "registry", "telemetry", "policy", "federation", "ui")
OLD, NEW = "1.0.0+aaaaaaaa", "1.1.0+bbbbbbbb"


@dataclass
class Faults:
    """Each is used once for each number that it holds, or as long as it is true."""

    unanswered: dict[str, int] = field(default_factory=dict)
    """`METHOD path` → how many requests are read, worked on, and never answered."""
    refused: dict[str, int] = field(default_factory=dict)
    """`METHOD path` → how many are answered with 503."""
    stored_twice: int = 0
    stored_never: int = 0
    sample_twice: int = 0
    events_skipped: int = 0
    export_cut: int = 0
    no_streams: bool = False
    stall_until: float = 0.0


class FakeMesh:
    """`endpoints` {service: URL}; `versions` {service: version}; `agents` and `samples` are what is stored."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.lock = threading.Condition()
        self.versions = dict.fromkeys(SERVICES, OLD)
        self.agents: list[dict[str, Any]] = []
        self.samples: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.keys: dict[str, dict[str, Any]] = {}
        self.tokens: set[str] = set()
        self.purged: set[str] = set()
        self.closed = False
        self.stream_ends = 0
        self._servers = [self._serve(service) for service in SERVICES]
        self.endpoints = {
            service: f"http://127.0.0.1:{server.server_port}"
            for service, server in zip(SERVICES, self._servers, strict=True)
        }

    def _serve(self, service: str) -> ThreadingHTTPServer:
        handler = type("Handler", (_Handler,), {"mesh": self, "service": service})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server

    def close(self) -> None:
        with self.lock:
            self.closed = True
            self.lock.notify_all()
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def update(self, version: str = NEW) -> None:
        """All services at once; event streams end, as those of a drained slot do."""
        with self.lock:
            self.versions = dict.fromkeys(SERVICES, version)
            self.stream_ends += 1
            self.lock.notify_all()

    def create(self, body: dict[str, Any], key: str) -> tuple[int, dict[str, Any]]:
        with self.lock:
            if key in self.keys:
                return 201, self.keys[key]
            agent = {"id": str(uuid.uuid4()), **body}
            self.keys[key] = agent
            copies = 1 + _used(self.faults, "stored_twice") - _used(self.faults, "stored_never")
            self.agents += [agent] * copies
            if not _used(self.faults, "events_skipped"):
                self.events.append(agent)
            self.lock.notify_all()
            return 201, agent


def _used(faults: Faults, name: str) -> int:
    left = getattr(faults, name)
    setattr(faults, name, max(0, left - 1))
    return min(1, left)


UNWELL = {
    "status": "unavailable",
    "checks": {"postgresql": {"ok": False, "error": "It did not answer."}, "redis": {"ok": True, "error": None}},
}
"""What a service says at /health that cannot reach its database."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    mesh: FakeMesh
    service: str

    def log_message(self, *_: Any) -> None:
        pass

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def do_GET(self) -> None:
        self._handle("GET")

    def do_POST(self) -> None:
        self._handle("POST")

    def do_DELETE(self) -> None:
        self._handle("DELETE")

    def _handle(self, method: str) -> None:
        parts = urlsplit(self.path)
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"null")
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.mesh.tokens.add(self.headers.get("Authorization", ""))
        faults, what = self.mesh.faults, f"{method} {parts.path}"
        time.sleep(max(0.0, faults.stall_until - time.monotonic()))
        with self.mesh.lock:
            refused = faults.refused.get(what, 0)
            faults.refused[what] = refused - 1
            unanswered = faults.unanswered.get(what, 0)
            faults.unanswered[what] = unanswered - 1
        if refused > 0:
            self._json(503, UNWELL if parts.path == "/health" else {"detail": "This slot is going."})
            return
        if parts.path in ("/api/v1/events", "/api/v1/agents/export"):
            self._stream(parts.path, query)
            return
        status, answer = self._answer(method, parts.path, query, body)
        if unanswered > 0:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self._json(status, answer)

    def _answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        mesh = self.mesh
        if path == "/health":
            return 200, {"status": "ok", "version": mesh.versions[self.service], "instance": f"{self.service}@a"}
        if path == "/api/v1/verify-records" and method == "DELETE":
            mesh.purged.add(f"{self.service} {query['run_id']}")
            return 200, {"deleted": 1}
        routes: dict[tuple[str, str], Callable[[], tuple[int, Any]]] = {
            ("POST", "/api/v1/agents"): lambda: mesh.create(body, self.headers.get("Idempotency-Key", "")),
            ("GET", "/api/v1/agents"): lambda: _page(
                [each for each in mesh.agents if query.get("model") in (None, each["model"])], query
            ),
            ("GET", "/api/v1/agents/count"): lambda: (200, {"count": len(mesh.agents)}),
            ("POST", "/api/v1/metrics"): lambda: self._sample(body),
            ("GET", "/api/v1/metrics"): lambda: _page(mesh.samples, query),
            ("GET", "/api/v1/metrics/aggregate"): lambda: (200, {"count": len(mesh.samples)}),
            ("POST", "/api/v1/evaluate"): lambda: (200, {"decision": "allow", "decision_id": "d-1"}),
            ("GET", "/api/v1/decisions"): lambda: (200, {"items": []}),
            ("GET", "/api/v1/peers"): lambda: (200, {"items": []}),
        }
        if (method, path) in routes:
            return routes[method, path]()
        known = path.startswith("/api/v1/agents/") and any(
            each["id"] == path.rpartition("/")[2] for each in mesh.agents
        )
        return (200, {}) if known else (404, {"detail": "There is nothing here."})

    def _sample(self, body: dict[str, Any]) -> tuple[int, Any]:
        with self.mesh.lock:
            self.mesh.samples += [body] * (1 + _used(self.mesh.faults, "sample_twice"))
        return 202, {"accepted": 1, "rejected": 0}

    def _json(self, status: int, answer: Any) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, path: str, query: dict[str, str]) -> None:
        if self.mesh.faults.no_streams:
            self._json(404, {"detail": "There is nothing here."})
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        pieces = self._events() if path.endswith("events") else self._export(query)
        try:
            for piece in pieces:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
        except (OSError, EOFError):
            self.close_connection = True
            self.connection.close()

    def _export(self, query: dict[str, str]) -> Iterator[bytes]:
        rows = [each for each in self.mesh.agents if query["tag"] in each["tags"]]
        if _used(self.mesh.faults, "export_cut"):
            yield b'{"name": "half'
            raise EOFError
        for row in rows:
            yield json.dumps(row).encode() + b"\n"
        yield json.dumps({"count": len(rows)}).encode() + b"\n"

    def _events(self) -> Iterator[bytes]:
        mesh = self.mesh
        yield b"retry: 50\n\n"
        given = self.headers.get("Last-Event-ID")
        at, ends = int(given) if given else len(mesh.events), mesh.stream_ends
        while True:
            with mesh.lock:
                while not (mesh.closed or mesh.stream_ends != ends or len(mesh.events) > at):
                    mesh.lock.wait(5)
                if mesh.closed or mesh.stream_ends != ends:
                    return
                fresh = mesh.events[at:]
            for agent in fresh:
                at += 1
                yield f"id: {at}\nevent: agent\ndata: {json.dumps(agent)}\n\n".encode()


def _page(rows: list[dict[str, Any]], query: dict[str, str]) -> tuple[int, Any]:
    limit, at = int(query.get("limit", 50)), int(query.get("cursor", 0))
    rest = len(rows) > at + limit
    return 200, {"items": rows[at : at + limit], "next_cursor": str(at + limit) if rest else None}
