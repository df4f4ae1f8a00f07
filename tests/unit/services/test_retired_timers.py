"""Timers of backups that nobody wants any more are ended."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils import cluster_backup
from ansible_collections.aimesh.mesh.plugins.module_utils.cluster_backup import WantedBackup, retire

WANTED = WantedBackup("/p", True, ("aimesh-backup-full.timer",), "/r", False, "/e", False, "", "")


@pytest.fixture
def wants(tmp_path: Path) -> Path:
    for name in ("aimesh-backup-full.timer", "aimesh-backup-check.timer", "fstrim.timer"):
        (tmp_path / name).symlink_to(f"/etc/systemd/system/{name}")
    return tmp_path


def ended(wanted: WantedBackup | None, wants: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was said to be done; systemctl is told nothing."""
    told: list[str] = []
    monkeypatch.setattr(cluster_backup, "_systemctl", lambda *words: told.append(" ".join(words)) or "")
    retire(wanted, lambda _what, act: act(), wants)
    return told


def test_every_timer_goes_with_the_engine(wants: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = ended(None, wants, monkeypatch)
    assert told == ["stop aimesh-backup-check.timer aimesh-backup-full.timer", "daemon-reload"]
    assert [each.name for each in wants.iterdir()] == ["fstrim.timer"]


def test_a_timer_that_is_wanted_stays(wants: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ended(WANTED, wants, monkeypatch)[0] == "stop aimesh-backup-check.timer"
    assert ended(WANTED, wants, monkeypatch) == []


def test_a_host_without_systemd_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ended(None, tmp_path / "missing", monkeypatch) == []
