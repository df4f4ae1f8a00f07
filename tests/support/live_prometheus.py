"""A real Prometheus on loopback that scrapes a mesh whose parts answer as recorded, and a real node exporter."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitoring_tools import tool
from recorded_exporters import recorded_exporters

SERVICES = ("api-gateway", "registry", "telemetry", "policy", "federation", "ui")
SUITES = {"debian-12": "bookworm", "debian-13": "trixie"}
SCRAPES = 3
"""A rate needs two."""
DEADLINE_S = 30
PARTS = {
    "postgresql": ("postgres-exporter", "postgresql"),
    "redis": ("redis-exporter", "redis"),
    "blackbox": ("blackbox-exporter", "monitoring"),
    "alertmanager": ("alertmanager", "monitoring"),
}
"""Job → recording and the label `service`."""
OTHERS = ("aimesh-alert-receiver", "aimesh-probe", "aimesh-node", "aimesh-prometheus")
TARGETS = len(SERVICES) + len(PARTS) + len(OTHERS)
"""That are up."""
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
WATCHDOG = {"groups": [{"name": "watchdog", "rules": [{"alert": "Watchdog", "expr": "vector(1)"}]}]}


@dataclass(frozen=True)
class LivePrometheus:
    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def wait(self) -> None:
        """Until everything that is up was scraped often enough for a rate; some seconds after the start."""
        until = time.monotonic() + DEADLINE_S
        while self.process.poll() is None and time.monotonic() < until:
            # Not there yet is no answer; nothing scraped yet is an answer of no series.
            with suppress(OSError, ValueError):
                scraped = self.query(f"count(sum_over_time(up[1m]) >= {SCRAPES})")
                if scraped and int(scraped[0]["value"][1]) == TARGETS:
                    return
            time.sleep(0.1)
        last = "\n".join(self.log.read_text(errors="replace").splitlines()[-10:])
        raise AssertionError(f"Prometheus did not scrape its {TARGETS} targets:\n{last}")

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The series of an instant query. Raises ValueError with Prometheus' own words when it refuses."""
        found: list[dict[str, Any]] = self._get("query", query=expr)["result"]
        return found

    def label_values(self, label: str, metric: str = "") -> list[str]:
        match = {"match[]": metric} if metric else {}
        values: list[str] = self._get(f"label/{label}/values", **match)
        return values

    def _get(self, path: str, **parameters: str) -> Any:
        address = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with _OPENER.open(address, timeout=DEADLINE_S) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(json.load(error)["error"]) from None


@contextmanager
def live_prometheus(folder: Path, debian: str) -> Iterator[LivePrometheus]:
    """Prometheus and node exporter of a Debian release, and the recordings of the same one; just started."""
    with ExitStack() as stack:
        recorded = stack.enter_context(recorded_exporters())
        node = f"127.0.0.1:{_free_port()}"
        node_exporter = str(tool("prometheus-node-exporter", SUITES[debian]))
        stack.enter_context(_running([node_exporter, f"--web.listen-address={node}"], folder / "node-exporter.log"))
        own = f"127.0.0.1:{_free_port()}"
        config = folder / "prometheus.json"
        config.write_text(json.dumps(_configuration(debian, recorded, node, own, folder)))
        command = [
            str(tool("prometheus", SUITES[debian])),
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={own}",
        ]
        log = folder / "prometheus.log"
        process = stack.enter_context(_running(command, log))
        yield LivePrometheus(f"http://{own}", process, log)


def _configuration(debian: str, recorded: str, node: str, own: str, folder: Path) -> dict[str, Any]:
    rules = folder / "rules.json"
    rules.write_text(json.dumps(WATCHDOG))
    services = [
        _job(f"aimesh-{service}", recorded, f"{service}@a", f"/mesh/{service}", planned="yes") for service in SERVICES
    ]
    exporters = [
        _job(f"aimesh-{name}", recorded, f"{part}@vm1", f"/{debian}/{part}", service=service)
        for name, (part, service) in PARTS.items()
    ]
    # A slot that runs during updates only: nobody answers there.
    services[1]["static_configs"].append(_target("127.0.0.1:1", "registry@b", planned="no"))
    return {
        "global": {"scrape_interval": "500ms", "evaluation_interval": "500ms"},
        "rule_files": [str(rules)],
        "scrape_configs": [
            *services,
            *exporters,
            _job("aimesh-alert-receiver", recorded, "alert-receiver@vm1", "/alert-receiver", service="monitoring"),
            _job(
                "aimesh-probe",
                recorded,
                "http://192.0.2.10:3000/health/ready",
                f"/{debian}/blackbox-probe",
                service="api-gateway",
            ),
            _job("aimesh-node", node, "node-exporter@vm1", "/metrics", service="host"),
            _job("aimesh-prometheus", own, "prometheus@vm1", "/metrics", service="monitoring"),
        ],
    }


def _job(name: str, address: str, instance: str, path: str, **labels: str) -> dict[str, Any]:
    return {"job_name": name, "metrics_path": path, "static_configs": [_target(address, instance, **labels)]}


def _target(address: str, instance: str, **labels: str) -> dict[str, Any]:
    return {"targets": [address], "labels": {"mesh": "acme", "host": "vm1", "instance": instance, **labels}}


@contextmanager
def _running(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            yield process
        finally:
            process.kill()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
