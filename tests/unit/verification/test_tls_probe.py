"""Who is let in to a real exporter that leaves its host."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.observations.engine import answer_all
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store.certificate import (
    SERVER_NAME,
    metrics_certificate,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.verification.needs import secrets_needed
from healthy import HealthyMesh
from monitoring_tools import tool
from receiver_process import free_port

SECRET = metrics_certificate()


class Exporter:
    """Debian's node exporter with its certificate, which asks its clients for the same one, or for none."""

    def __init__(self, directory: Path, client_auth: str | None, suite: str | None = None) -> None:
        self.port = free_port()
        pem = directory / "metrics.pem"
        pem.write_bytes(base64.b64decode(SECRET))
        pem.chmod(0o600)
        served = {"cert_file": str(pem), "key_file": str(pem)}
        served |= {"client_auth_type": client_auth, "client_ca_file": str(pem)} if client_auth != "NoClientCert" else {}
        web = directory / "web.json"
        web.write_text(json.dumps({"tls_server_config": served} if client_auth else {}))
        argv = [str(tool("prometheus-node-exporter", suite)), f"--web.listen-address=127.0.0.1:{self.port}"]
        argv += [f"--web.config.file={web}", "--collector.disable-defaults", "--collector.loadavg"]
        self.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def ask(self) -> dict[str, Any]:
        question = {"kind": "tls", "host": "127.0.0.1", "port": self.port, "path": "/metrics"}
        question |= {"server_name": SERVER_NAME, "certificate": "metrics_tls"}
        assert secrets_needed([question]) == ["metrics_tls"]
        deadline = time.monotonic() + 15
        while True:
            answer = answer_all({"q": question}, {"metrics_tls": SECRET}, 3)["q"]
            if "nothing listens" not in answer.get("error", "") or time.monotonic() > deadline:
                return answer
            time.sleep(0.1)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture
def exporters(tmp_path: Path) -> Iterator[Any]:
    started: list[Exporter] = []

    def start(*args: Any) -> Exporter:
        started.append(Exporter(tmp_path, *args))
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_an_exporter_that_asks_for_the_certificate_lets_in_nobody_else(exporters: Any, suite: str) -> None:
    answer = exporters("RequireAndVerifyClientCert", suite).ask()
    seen = answer["value"]
    assert seen["member"] == 200
    assert "alert" in seen["stranger"]
    assert "certificate" in seen["stranger"]
    assert seen["plain"] == 400
    assert {name: type(each) for name, each in seen.items()} == {
        name: type(each) for name, each in HealthyMesh._tls(HealthyMesh.__new__(HealthyMesh), "", {}).items()
    }
    assert "PRIVATE" not in str(answer)


def test_an_exporter_that_asks_for_no_certificate_answers_a_stranger(exporters: Any) -> None:
    assert exporters("NoClientCert").ask()["value"]["stranger"] == 200


def test_an_exporter_without_tls_answers_everybody(exporters: Any) -> None:
    seen = exporters(None).ask()["value"]
    assert seen["plain"] == 200
    assert "SSLError" in seen["member"]


def test_the_certificate_of_another_mesh_is_not_taken_for_ours(exporters: Any) -> None:
    exporter = exporters("RequireAndVerifyClientCert")
    assert exporter.ask()["value"]["member"] == 200
    question = {"kind": "tls", "host": "127.0.0.1", "port": exporter.port, "path": "/metrics"}
    question |= {"server_name": SERVER_NAME, "certificate": "metrics_tls"}
    seen = answer_all({"q": question}, {"metrics_tls": metrics_certificate()}, 3)["q"]["value"]
    assert "CERTIFICATE_VERIFY_FAILED" in seen["member"]


def test_nothing_that_listens_is_no_refusal() -> None:
    question = {
        "kind": "tls",
        "host": "127.0.0.1",
        "port": 1,
        "path": "/",
        "server_name": "x",
        "certificate": "metrics_tls",
    }
    answer = answer_all({"q": question}, {"metrics_tls": SECRET}, 3)["q"]
    assert answer["error"] == "connection refused: nothing listens at 127.0.0.1:1"
    assert answer_all({"q": question}, {}, 3)["q"]["asked"] is False
