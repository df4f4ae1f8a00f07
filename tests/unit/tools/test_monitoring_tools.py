"""The programs of Prometheus are there for the tests, of both Debian releases, without being installed."""

from __future__ import annotations

import re
import subprocess

import monitoring_tools
import pytest
from monitoring_tools import MonitoringToolsError, tool


@pytest.mark.parametrize("name", monitoring_tools.PACKAGES)
def test_a_program_is_there_and_says_its_version(name):
    done = subprocess.run([tool(name), "--version"], text=True, capture_output=True, check=True)
    assert re.search(r"\d+\.\d+\.\d+", done.stdout + done.stderr)


def test_a_package_that_cannot_be_had_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(monitoring_tools, "CACHE", tmp_path)
    monkeypatch.setattr(monitoring_tools, "PACKAGES", {"promtool": "no-such-package"})
    monkeypatch.setattr(monitoring_tools, "MOVED", {})
    with pytest.raises(MonitoringToolsError, match="need Debian's package no-such-package") as found:
        tool("promtool")
    assert "\n" not in str(found.value)


def test_a_fetched_package_is_not_fetched_again(monkeypatch):
    tool("promtool")
    monkeypatch.setattr(monitoring_tools, "_download", lambda *_: pytest.fail("fetched again"))
    assert tool("promtool").exists()
