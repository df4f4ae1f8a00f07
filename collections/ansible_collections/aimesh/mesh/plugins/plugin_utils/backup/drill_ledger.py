"""Rows that the mesh acknowledges to the controller while a restore drill waits for its disaster."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

PAUSE_S = 0.2
TIMEOUT_S = 5.0
FIRST_S = 20.0


class LedgerError(Exception):
    """The mesh acknowledges nothing; the message is one sentence for the operator."""


class Ledger:
    """One writer; what it was told is on the disk before it counts."""

    def __init__(self, url: str, token: str | None, namespace: str, run_id: str, path: Path) -> None:
        self._url, self._token = urlsplit(url), token
        self.namespace, self.run_id, self.prefix = namespace, run_id, f"drill-{run_id}-"
        self._path = path
        self.rows: list[tuple[str, float]] = []
        self._ids: list[str] = []
        self._last = "no answer"
        self._over, self._first = threading.Event(), threading.Event()

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Rows are written while the block runs, the first is acknowledged. Raises LedgerError when none is."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        worker = threading.Thread(target=self._work, daemon=True)
        worker.start()
        try:
            if not self._first.wait(FIRST_S):
                raise LedgerError(
                    f"The mesh acknowledged no row at {self._url.geturl()} in {FIRST_S:g} s ({self._last}), and a "
                    "drill needs rows to look for; see playbooks/verify.yml for what is wrong."
                )
            yield
        finally:
            self._over.set()
            worker.join(2 * TIMEOUT_S)

    def sweep(self) -> int:
        """Remove the rows from the live mesh again; how many could not be."""
        connection, left = self._connect(), 0
        for each in self._ids:
            path = f"/api/v1/agents/{quote(each)}?namespace={quote(self.namespace)}"
            left += self._ask(connection, "DELETE", path, None)[0] not in (200, 202, 204, 404)
        connection.close()
        return left

    def _work(self) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        connection, number = self._connect(), 0
        try:
            while not self._over.wait(PAUSE_S):
                number += 1
                self._write(connection, f"{self.prefix}{number:06d}", descriptor)
        except OSError as error:
            self._last = str(error)
        finally:
            connection.close()
            os.close(descriptor)

    def _write(self, connection: http.client.HTTPConnection, name: str, descriptor: int) -> None:
        body = {
            "name": name, "namespace": self.namespace, "run_id": self.run_id, "type": "chatbot", "vendor": "aimesh",
            "model": self.run_id,
        }  # fmt: skip
        status, answer = self._ask(connection, "POST", "/api/v1/agents", body)
        if status != http.client.CREATED:
            self._last = f"status {status}" if status else self._last
            return
        at = time.time()
        os.write(descriptor, (json.dumps({"name": name, "at": at}) + "\n").encode())
        os.fsync(descriptor)
        self.rows.append((name, at))
        if isinstance(answer, dict) and "id" in answer:
            self._ids.append(str(answer["id"]))
        self._first.set()

    def _ask(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: dict[str, Any] | None
    ) -> tuple[int, Any]:
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            content = answer.read()
            return answer.status, json.loads(content) if content else None
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._last = str(error) or type(error).__name__
            connection.close()
            return 0, None

    def _connect(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._url.scheme == "https" else http.client.HTTPConnection
        return kind(self._url.netloc, timeout=TIMEOUT_S)
