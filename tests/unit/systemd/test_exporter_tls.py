"""The exporters of both Debians, started as their units start them: who has the mesh's certificate is let in."""

from __future__ import annotations

import base64
import http.client
import json
import re
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.drivers.systemd import render
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.prometheus_config import (
    Paths,
    prometheus_config,
    target_files,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.rendering import render_files
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store.certificate import (
    SERVER_NAME,
    metrics_certificate,
)
from monitoring_tools import tool

from .conftest import TEMPLATES, secret_value

SUITES = ("bookworm", "trixie")
EXPORTERS = ("node-exporter", "postgres-exporter", "redis-exporter")

Plan = dict[str, Any]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def far(three_hosts: Plan) -> Plan:
    """The exporters of node2, watched from node3, on ports of this machine."""
    for part in three_hosts["monitoring"]["parts"]:
        if part["host"] == "node2":
            port = free_port()
            part |= {"bind": "127.0.0.1", "port": port, "address": f"127.0.0.1:{port}"}
    return three_hosts


Start = Callable[[str, str], int]


@pytest.fixture
def pem(far: Plan, tmp_path: Path) -> Path:
    """The mesh's certificate as a host has it."""
    written(far, tmp_path)
    return tmp_path / "metrics_tls"


def written(plan: Plan, folder: Path) -> None:
    """The credentials of node2's units, as systemd puts them into a unit's folder."""
    values = {name: secret_value(name) for name in plan["secrets"]} | {"metrics_tls": metrics_certificate()}
    for file in render_files(render(plan, "node2").files, plan, "node2", TEMPLATES, values):
        (folder / Path(file.path).name).write_text(file.content or "")


@pytest.fixture
def start(far: Plan, pem: Path) -> Iterator[Start]:
    """`start(part, suite)`: run the unit's command with that Debian's program; its port."""
    with ExitStack() as stack:

        def started(name: str, suite: str) -> int:
            (part,) = [p for p in far["monitoring"]["parts"] if p["part"] == name and p["host"] == "node2"]
            text = (pem.parent / f"{part['unit']}.service").read_text()
            (line,) = re.findall(r"^ExecStart=(.+)$", text, re.MULTILINE)
            words = [word.replace("$$", "$") for word in re.findall(r'"([^"]*)"', line)]
            program, *flags = [word.replace("%d", str(pem.parent)) for word in words]
            lines = [text.replace("%d", str(pem.parent)) for text in re.findall(r'^Environment="(.+)"$', text, re.M)]
            process = subprocess.Popen(
                [tool(Path(program).name, suite), *flags],
                env=dict(line.split("=", 1) for line in lines),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
            return int(part["port"])

        yield started


def context(certificate: Path | None, authority: Path) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(authority))
    if certificate is not None:
        made.load_cert_chain(certificate)
    return made


def status(port: int, tls: ssl.SSLContext | None) -> int | None:
    """What /metrics answers; None when the connection is refused by TLS."""
    deadline = time.monotonic() + 10
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
                stream = tls.wrap_socket(raw, server_hostname=SERVER_NAME) if tls else raw
                stream.sendall(b"GET /metrics HTTP/1.0\r\nHost: aimesh-metrics\r\n\r\n")
                response = http.client.HTTPResponse(stream)
                response.begin()
                return response.status
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        except (ssl.SSLError, ConnectionResetError):
            return None


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("exporter", EXPORTERS)
def test_who_has_the_certificate_is_let_in_and_nobody_else(
    start: Start, pem: Path, tmp_path: Path, exporter: str, suite: str
) -> None:
    port = start(exporter, suite)
    assert status(port, context(pem, pem)) == 200
    assert status(port, context(None, pem)) is None
    stranger = tmp_path / "stranger.pem"
    stranger.write_bytes(base64.b64decode(metrics_certificate()))
    assert status(port, context(stranger, pem)) is None
    assert status(port, None) == 400


@pytest.mark.parametrize("suite", SUITES)
def test_prometheus_gets_in_with_the_configuration_of_its_host(
    far: Plan, start: Start, pem: Path, tmp_path: Path, suite: str
) -> None:
    for exporter in EXPORTERS:
        start(exporter, suite)
    targets = tmp_path / "targets"
    targets.mkdir()
    for path, text in target_files(far, str(targets)).items():
        Path(path).write_text(text)
    conf, port = tmp_path / "prometheus.yml", free_port()
    # The exporter of a PostgreSQL that is not there tries for a second before it says so.
    conf.write_text(prometheus_config(far, Paths((), str(targets), str(pem)), scale=1 / 5))
    flags = [
        f"--config.file={conf}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    prometheus = subprocess.Popen(
        [tool("prometheus", suite), *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wanted = {f"{exporter}@node2" for exporter in EXPORTERS}
        assert wanted <= eventually_up(port, wanted)
    finally:
        prometheus.terminate()
        prometheus.wait()


def eventually_up(port: int, wanted: set[str]) -> set[str]:
    """Instances that Prometheus reaches, once they are those that are wanted or half a minute has passed."""
    deadline, up = time.monotonic() + 30, set[str]()
    while time.monotonic() < deadline and not wanted <= up:
        time.sleep(0.2)
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/api/v1/targets?state=active")
            found = json.loads(connection.getresponse().read())["data"]["activeTargets"]
        except (OSError, ValueError):
            continue
        up = {target["labels"]["instance"] for target in found if target["health"] == "up"}
    return up
