"""Rows that the mesh has acknowledged to callers outside of it, and how many of them a restored database still has.

The judge of the stories about disasters: independent of what the product measures of itself.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .database import psql
from .vm import Vm

NAMESPACE = "acknowledged"
_THERE = "SELECT name FROM agents WHERE namespace = 'acknowledged' AND deleted_at IS NULL"


@dataclass
class Ledger:
    """Acknowledged names with the moment of the answer, in the order of the answers."""

    url: str
    """Address and port of the gateway, `172.18.0.2:3000`."""
    token: str = field(repr=False)
    rows: list[tuple[str, float]] = field(default_factory=list)
    refused: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _run: str = field(default_factory=lambda: secrets.token_hex(4))
    """Another ledger's names are taken already."""
    _made: int = 0

    @classmethod
    def of(cls, vm: Vm, plan: dict[str, Any]) -> Ledger:
        gateway = next(endpoint for endpoint in plan["endpoints"] if endpoint["service"] == "api-gateway")
        token = vm.run(f"cat {plan['mesh']['paths']['config']}/credentials/service_token").strip()
        return cls(f"{vm.address}:{gateway['port']}", token)

    def write(self, connection: http.client.HTTPConnection | None = None) -> bool:
        """Register one agent; True when the mesh has acknowledged it."""
        with self._lock:
            self._made += 1
            name = f"{self._run}-{self._made:06d}"
        body = {"name": name, "namespace": NAMESPACE, "type": "chatbot", "vendor": "openai", "model": "gpt-4"}
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        connection = connection or self.connect()
        try:
            connection.request("POST", "/api/v1/agents", json.dumps(body), headers)
            answer = connection.getresponse()
            answer.read()
            acknowledged = answer.status == 201
        except (OSError, http.client.HTTPException):
            connection.close()
            acknowledged = False
        with self._lock:
            if acknowledged:
                self.rows.append((name, time.time()))
            else:
                self.refused += 1
        return acknowledged

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.url, timeout=5)

    @contextlib.contextmanager
    def load(self, writers: int = 4, pause_s: float = 0.05) -> Iterator[None]:
        """Rows are written by several callers while the block runs."""
        over = threading.Event()

        def work() -> None:
            connection = self.connect()
            while not over.wait(pause_s):
                self.write(connection)

        threads = [threading.Thread(target=work, daemon=True) for _ in range(writers)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join(10)

    def lost(self, vm: Vm, plan: dict[str, Any], before: float) -> list[tuple[str, float]]:
        """Rows acknowledged before a moment that the database does not have, oldest first: where they begin, trust
        ends, whatever is there after them."""
        there = set(vm.run(psql(plan, _THERE)).split())
        return sorted(
            ((name, at) for name, at in self.rows if at <= before and name not in there), key=lambda row: row[1]
        )
