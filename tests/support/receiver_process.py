"""The alert receiver as a process on loopback, as a unit or a container runs it."""

from __future__ import annotations

import hashlib
import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = (
    Path(__file__).resolve().parents[2]
    / "collections/ansible_collections/aimesh/mesh/plugins/plugin_utils/monitoring/alert_receiver.py"
)
TOKEN = "alert-token-5d41402abc4b2a76b9719d911017c592"


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The sentence of a refusal."""
        found: str = self.json["error"]
        return found


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def alert(name: str, status: str = "firing", summary: str = "", **labels: str) -> dict[str, Any]:
    """One alert of a webhook message; the same labels are the same alert."""
    given = {"alertname": name, **labels}
    return {
        "status": status,
        "labels": given,
        "annotations": {"summary": summary or f"{name} happened"},
        "startsAt": "2026-01-31T12:00:00.123Z",
        "endsAt": "0001-01-01T00:00:00Z" if status == "firing" else "2026-01-31T12:30:00Z",
        "generatorURL": "http://prometheus.invalid/graph",
        "fingerprint": hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()[:16],
    }


def message(*alerts: dict[str, Any]) -> dict[str, Any]:
    """A webhook message of Alertmanager."""
    return {
        "version": "4",
        "receiver": "ledger",
        "status": "firing",
        "groupKey": '{}:{alertname="x"}',
        "truncatedAlerts": 0,
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.invalid",
        "alerts": list(alerts),
    }


class ReceiverProcess:
    """A receiver with a folder of its own, which may be ended and started again on the same port and ledger."""

    def __init__(self, directory: Path, *options: str, prepare: Callable[[], None] | None = None) -> None:
        self.ledger = directory / "ledger"
        self.ledger.mkdir(parents=True)
        self.token_file = directory / "token"
        self.token_file.write_text(TOKEN + "\n")
        self.token_file.chmod(0o600)
        self.log = directory / "log"
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._options = options
        self._prepare = prepare

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, str(PROGRAM), "--listen", f"127.0.0.1:{self.port}", "--ledger", str(self.ledger)]
        command += ["--token-file", str(self.token_file), *self._options]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=self._prepare)
        deadline = time.monotonic() + 20
        while True:
            try:
                self.call("GET", "/health")
                return
            except OSError:
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < deadline, "the alert receiver did not start in 20 s"
                time.sleep(0.05)

    def stop(self, how: int = signal.SIGTERM) -> int:
        """Its exit code."""
        if self.process is None:
            return 0
        # One that a test has frozen would not hear the signal.
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(how)
        code = self.process.wait(10)
        self.process = None
        return code

    def call(
        self, method: str, path: str, body: bytes | None = None, *, token: str | None = TOKEN, **headers: str
    ) -> Reply:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            named["Authorization"] = f"Bearer {token}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def deliver(self, *alerts: dict[str, Any]) -> Reply:
        return self.call("POST", "/webhook", json.dumps(message(*alerts)).encode())

    def alerts(self) -> Any:
        answer = self.call("GET", "/alerts")
        assert answer.status == 200, answer.body
        return answer.json

    def active(self) -> list[str]:
        """Names of the alerts that fire."""
        return [found["labels"]["alertname"] for found in self.alerts()["active"]]

    def deliveries(self, query: str = "") -> list[dict[str, Any]]:
        answer = self.call("GET", f"/deliveries{query}")
        assert answer.status == 200, answer.body
        return [json.loads(line) for line in answer.body.splitlines()]

    def metric(self, series: str) -> float:
        for line in self.call("GET", "/metrics", token=None).body.decode().splitlines():
            name, _, value = line.rpartition(" ")
            if name == series:
                return float(value)
        raise AssertionError(f"/metrics has no {series}")
