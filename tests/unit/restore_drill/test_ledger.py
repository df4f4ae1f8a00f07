"""What the mesh has acknowledged is on the disk; what it refuses is nothing."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup import drill_ledger
from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup.drill_ledger import Ledger, LedgerError

TOKEN = "canary-token"  # of no mesh


class Gateway(http.server.ThreadingHTTPServer):
    status = 201
    asked: list[tuple[str, str]]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Gateway

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.command, self.headers["Authorization"]))
        deleted = self.command == "DELETE" and self.server.status == 201
        body = b"" if deleted else json.dumps({"id": f"id-{len(self.server.asked)}"}).encode()
        self.send_response(204 if deleted else self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_DELETE = _answer  # noqa: N815

    def log_message(self, *_words: Any) -> None:
        return


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    monkeypatch.setattr(drill_ledger, "PAUSE_S", 0.01)
    monkeypatch.setattr(drill_ledger, "FIRST_S", 0.5)
    server = Gateway(("127.0.0.1", 0), Handler)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def ledger_of(gateway: Gateway, tmp_path: Path) -> Ledger:
    url = f"http://127.0.0.1:{gateway.server_address[1]}"
    return Ledger(url, TOKEN, "aimesh-verify", "run-1", tmp_path / "drills" / "ledger.jsonl")


def test_acknowledged_rows_are_on_the_disk_and_swept(gateway: Gateway, tmp_path: Path) -> None:
    ledger = ledger_of(gateway, tmp_path)
    with ledger.writing():
        time.sleep(0.2)
    written = [json.loads(line) for line in (tmp_path / "drills/ledger.jsonl").read_text().splitlines()]
    assert [(row["name"], row["at"]) for row in written] == ledger.rows
    assert ledger.rows[0][0] == "drill-run-1-000001"
    assert ledger.sweep() == 0
    assert [method for method, _ in gateway.asked].count("DELETE") == len(ledger.rows)
    assert {token for _, token in gateway.asked} == {f"Bearer {TOKEN}"}


def test_a_mesh_that_acknowledges_nothing_ends_the_drill(gateway: Gateway, tmp_path: Path) -> None:
    gateway.status = 503
    ledger = ledger_of(gateway, tmp_path)
    with pytest.raises(LedgerError, match=r"acknowledged no row at .* \(status 503\)"), ledger.writing():
        pytest.fail("the block began")
    assert ledger.rows == []


def test_what_cannot_be_swept_is_counted(gateway: Gateway, tmp_path: Path) -> None:
    ledger = ledger_of(gateway, tmp_path)
    with ledger.writing():
        pass
    gateway.status = 500
    assert ledger.sweep() == len(ledger.rows) > 0
