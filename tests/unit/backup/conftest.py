from __future__ import annotations

import os
from pathlib import Path

import pytest

from . import host as hosts


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> hosts.Host:
    monkeypatch.setenv("PATH", os.environ["PATH"])
    return hosts.make(tmp_path)
