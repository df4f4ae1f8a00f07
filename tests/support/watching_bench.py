"""Prometheus, Alertmanager and the alert receiver as real processes on loopback, configured from a plan.

Everything else that Prometheus asks is one server that says what every service and exporter says when all is well.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ansible.plugins.filter.core import to_json
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.alertmanager import alertmanager_config
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.prometheus_config import (
    Paths,
    prometheus_config,
    target_files,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules import rule_file
from jinja2 import Environment, StrictUndefined
from monitoring_tools import tool
from receiver_process import TOKEN, ReceiverProcess, free_port

PARTS = ("alert-receiver", "alertmanager", "prometheus")
RECEIVER_SECRET = "https://hooks.example/the-secret-of-a-receiver"
WELL = b"""\
ai_mesh_requests_total{route="/"} 1
ai_mesh_errors_total{route="/"} 0
ai_mesh_latency_seconds_bucket{le="+Inf"} 1
ai_mesh_agents_total 1
ai_mesh_policy_violations_total 0
pg_up 1
redis_up 1
probe_success 1
"""


class WellServer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        # A Prometheus that is stopped asks and goes.
        with contextlib.suppress(ConnectionError):
            self.wfile.write(WELL)

    def log_message(self, *_: object) -> None:
        return


class WatchingBench:
    """`plan` gets the addresses; its intervals are the ones used. Each of PARTS can be stopped and started again."""

    def __init__(self, directory: Path, plan: dict[str, Any], suite: str | None = None, resend: str = "1s") -> None:
        self.plan = plan
        self.directory = directory
        self._suite = suite
        self._resend = resend
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.receiver = ReceiverProcess(directory / "receiver")
        self.ports = {"prometheus": free_port(), "alertmanager": free_port(), "alert-receiver": self.receiver.port}
        for part in plan["monitoring"]["parts"]:
            if part["part"] in PARTS:
                part["port"] = self.ports[part["part"]]
                part["address"] = f"127.0.0.1:{part['port']}"
        self._well = ThreadingHTTPServer(("127.0.0.1", 0), WellServer)
        threading.Thread(target=self._well.serve_forever, daemon=True).start()
        self.well = f"127.0.0.1:{self._well.server_port}"
        self.write_alertmanager(plan)
        self.write_rules(rule_file(plan))
        (directory / "targets").mkdir()
        for name in target_files(plan, ""):
            self.write_targets(Path(name).stem)
        paths = Paths((str(directory / "rules.yml"),), str(directory / "targets"), "none.pem", blackbox=self.well)
        (directory / "prometheus.yml").write_text(prometheus_config(plan, paths), encoding="utf-8")

    def write_targets(self, job: str, address: str = "") -> None:
        """Prometheus reads it again by itself. What the bench does not run is at `address`, or where all is well."""
        groups = json.loads(target_files(self.plan, "")[f"/{job}.json"])
        ours = [f"127.0.0.1:{port}" for port in self.ports.values()]
        for group in groups:
            if not set(group["targets"]) & set(ours) and job != "aimesh-probe":
                group["targets"] = [address or self.well]
        (self.directory / "targets" / f"{job}.json").write_text(json.dumps(groups), encoding="utf-8")

    def write_rules(self, text: str) -> None:
        (self.directory / "rules.yml").write_text(text, encoding="utf-8")

    def write_alertmanager(self, plan: dict[str, Any]) -> None:
        """As `plan` says, which may be another one than the bench's."""
        made = alertmanager_config(plan, templates=str(self.directory / "none" / "*.tmpl"))
        environment = Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)  # noqa: S701
        environment.filters["to_json"] = to_json
        secrets = dict.fromkeys(made.secrets, RECEIVER_SECRET) | {"alert_token": TOKEN}
        text = environment.from_string(made.inline).render(secrets=secrets)
        (self.directory / "alertmanager.yml").write_text(text, encoding="utf-8")

    def start(self, *names: str) -> None:
        for name in names or PARTS:
            if name == "alert-receiver":
                self.receiver.start()
                continue
            with (self.directory / f"{name}.log").open("ab") as log:
                self._running[name] = subprocess.Popen(self._command(name), stdout=log, stderr=log)
            self._wait(name)

    def stop(self, *names: str) -> None:
        for name in names or PARTS:
            if name == "alert-receiver":
                self.receiver.stop()
            elif process := self._running.pop(name, None):
                process.send_signal(signal.SIGTERM)
                process.wait(20)

    def reload(self, name: str) -> None:
        """Let it read its configuration again, and return once it is asked to."""
        self._running[name].send_signal(signal.SIGHUP)
        time.sleep(0.3)

    def close(self) -> None:
        self.stop()
        self._well.shutdown()
        self._well.server_close()

    def _command(self, name: str) -> list[str]:
        listen = f"--web.listen-address=127.0.0.1:{self.ports[name]}"
        program, data = str(tool(name, self._suite)), self.directory / f"{name}-data"
        if name == "alertmanager":
            own = [f"--config.file={self.directory}/alertmanager.yml", "--cluster.listen-address="]
            return [program, listen, f"--storage.path={data}", *own]
        monitoring = self.plan["monitoring"]
        kept = [f"--storage.tsdb.retention.time={monitoring['retention_days']}d"]
        kept += [f"--storage.tsdb.retention.size={monitoring['retention_mb']}MB", f"--storage.tsdb.path={data}"]
        kept += [f"--config.file={self.directory}/prometheus.yml", f"--rules.alert.resend-delay={self._resend}"]
        return [program, listen, *kept]

    def call(self, name: str, method: str, path: str, document: Any = None) -> int:
        """The status of the answer of one of PARTS. Raises OSError."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[name], timeout=5)
        try:
            connection.request(method, path, json.dumps(document), {"Content-Type": "application/json"})
            return connection.getresponse().status
        finally:
            connection.close()

    def _wait(self, name: str) -> None:
        deadline = time.monotonic() + 30
        while not self._is_ready(name):
            log = (self.directory / f"{name}.log").read_text()
            assert self._running[name].poll() is None, log
            assert time.monotonic() < deadline, f"{name} was not ready in 30 s: {log}"
            time.sleep(0.05)

    def _is_ready(self, name: str) -> bool:
        try:
            return self.call(name, "GET", "/-/ready") == 200
        except OSError:
            return False
