"""The small server that tells a Prometheus what the jobs of backups leave behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.backup_pod import exporting, main, scheduler
from ansible_collections.aimesh.mesh.plugins.module_utils.backup_pod.exporting import TYPE, export
from receiver_process import free_port


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    port = free_port()
    server = export(str(tmp_path / "backup.prom"), port)
    yield tmp_path / "backup.prom", f"http://127.0.0.1:{port}"
    server.shutdown()
    server.server_close()


def asked(url: str) -> tuple[int, str, str]:
    """Status, type and body."""
    address, _, path = url.removeprefix("http://").partition("/")
    connection = HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", f"/{path}")
        answer = connection.getresponse()
        return answer.status, str(answer.headers["Content-Type"]), answer.read().decode()
    finally:
        connection.close()


def test_what_the_last_job_left_is_told_and_before_that_nothing(served: tuple[Path, str]) -> None:
    path, url = served
    assert asked(f"{url}/metrics") == (200, TYPE, "")
    for value in (1, 2):
        path.write_text(f"aimesh_backup_last_run_failed {value}\n")
        assert asked(f"{url}/metrics") == (200, TYPE, f"aimesh_backup_last_run_failed {value}\n")


@pytest.mark.parametrize("path", ["/", "/metrics/../backup.json", "/etc/passwd"])
def test_nothing_else_is_told(served: tuple[Path, str], path: str) -> None:
    assert asked(f"{served[1]}{path}")[0] == 404


def test_a_file_that_cannot_be_read_is_an_error_and_not_silence(served: tuple[Path, str]) -> None:
    path, url = served
    path.mkdir()
    assert asked(f"{url}/metrics")[0] == 500
    path.rmdir()
    assert asked(f"{url}/metrics") == (200, TYPE, "")


def test_a_port_that_is_taken_is_told_at_once(served: tuple[Path, str]) -> None:
    with pytest.raises(OSError, match="in use"):
        export(str(served[0]), int(served[1].rpartition(":")[2]))


@pytest.mark.parametrize(
    ("words", "ports"), [([], []), (['{"metrics_port": 0}'], []), (['{"metrics_port": 9753}'], [9753])]
)
def test_a_scheduler_runs_in_a_pod_that_was_not_told_the_port_yet(
    monkeypatch: pytest.MonkeyPatch, words: list[str], ports: list[int]
) -> None:
    """A deploy writes the program first, and the pod that runs it may be of the release before."""
    told: list[int] = []
    monkeypatch.setattr(main, "load_spec", lambda: SimpleNamespace(metrics="backup.prom", state="state"))
    monkeypatch.setattr(main, "Waker", lambda _: None)
    monkeypatch.setattr(exporting, "export", lambda _, port: told.append(port))
    masks: list[int] = []
    monkeypatch.setattr(scheduler, "serve", lambda *_: masks.append(os.umask(0o077)))
    before = os.umask(0o022)
    try:
        assert main.main(["schedule", *words]) == 0
        masks.append(os.umask(before))
    finally:
        os.umask(before)
    assert told == ports
    assert masks == [0o077, 0o022], "what it writes is its own, and what its caller writes is not"
