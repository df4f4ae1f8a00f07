from __future__ import annotations

import json

import bootstrap
import pytest


def test_an_environment_that_holds_more_than_wanted_is_left_alone(tmp_path, monkeypatch):
    base, dev = tmp_path / "base.lock", tmp_path / "dev.lock"
    base.write_text("a")
    dev.write_text("b")
    target = tmp_path / "venv"
    target.mkdir()
    (target / bootstrap.MARKER).write_text(json.dumps(bootstrap.wanted_marker([base, dev])))
    monkeypatch.setattr(bootstrap, "install", lambda *_: pytest.fail("nothing was to be installed"))
    bootstrap.main([str(target), str(base)])


def test_a_changed_lock_makes_the_environment_anew(tmp_path, monkeypatch):
    lock = tmp_path / "base.lock"
    lock.write_text("old")
    target = tmp_path / "venv"
    target.mkdir()
    (target / bootstrap.MARKER).write_text(json.dumps(bootstrap.wanted_marker([lock])))
    lock.write_text("new")
    fresh = []
    monkeypatch.setattr(bootstrap, "install", lambda path, _: fresh.append((path / bootstrap.MARKER).exists()))
    bootstrap.main([str(target), str(lock)])
    assert fresh == [False]
    assert bootstrap.found_marker(target) == bootstrap.wanted_marker([lock])


def test_another_pip_wheel_is_refused(tmp_path, monkeypatch):
    forged = bootstrap.ROOT / "third_party" / "no-such-wheel.whl"
    monkeypatch.setattr(bootstrap, "PIP_WHEEL", forged)
    with pytest.raises(SystemExit, match=r"has SHA-256 no file, expected [0-9a-f]{64}"):
        bootstrap.check_pip_wheel()


def test_the_dev_lock_pins_everything_in_the_base_lock_alike():
    def pins(name: str) -> set[str]:
        lines = (bootstrap.ROOT / name).read_text().splitlines()
        return {line.partition(" ")[0] for line in lines if "==" in line and not line.startswith(" ")}

    assert pins("requirements.lock") <= pins("requirements-dev.lock")


def test_both_lines_of_ansible_core_are_in_the_lock():
    lock = (bootstrap.ROOT / "requirements.lock").read_text()
    assert "ansible-core==2.19" in lock
    assert "ansible-core==2.21" in lock
