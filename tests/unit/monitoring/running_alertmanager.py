"""A real Alertmanager on loopback, on a port of its own, and alerts for it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from monitoring_tools import tool

START_S = 20.0


@dataclass(frozen=True)
class Alertmanager:
    url: str
    log: Path

    def post(self, *alerts: dict[str, Any]) -> None:
        request = urllib.request.Request(  # noqa: S310  # loopback
            f"{self.url}/api/v2/alerts", json.dumps(alerts).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310  # loopback
            assert answer.status == 200


def firing(labels: dict[str, str], annotations: dict[str, str]) -> dict[str, Any]:
    """An alert as Prometheus posts it."""
    now = datetime.now(UTC)
    ends = now + timedelta(minutes=10)
    return {
        "labels": labels,
        "annotations": annotations,
        "startsAt": now.isoformat(),
        "endsAt": ends.isoformat(),
        "generatorURL": "http://127.0.0.1:9090/graph",
    }


def resolved(alert: dict[str, Any]) -> dict[str, Any]:
    return alert | {"endsAt": datetime.now(UTC).isoformat()}


@contextmanager
def running_alertmanager(config: Path, suite: str, trusted: Path) -> Iterator[Alertmanager]:
    """Alertmanager of a Debian suite; `trusted` is a certificate that it takes for an authority."""
    address, log = f"127.0.0.1:{_free_port()}", config.parent / "alertmanager.log"
    command = [
        str(tool("alertmanager", suite)),
        f"--config.file={config}",
        f"--storage.path={config.parent / 'data'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
        "--log.level=debug",
    ]
    with log.open("w") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env=os.environ | {"SSL_CERT_FILE": str(trusted)}
        )
    try:
        wait_until(lambda: _ready(f"http://{address}/-/ready", process), START_S, lambda: log.read_text())
        yield Alertmanager(f"http://{address}", log)
    finally:
        process.terminate()
        process.wait(timeout=10)


def wait_until(done: Callable[[], bool], seconds: float, what: Callable[[], str]) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, what()
        time.sleep(0.05)


def _ready(url: str, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "Alertmanager ended"
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310  # loopback
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
