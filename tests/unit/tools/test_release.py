from __future__ import annotations

import release

LOCK = """\
aiohttp==3.14.5 \\
    --hash=sha256:aa
backport==1.0 ; python_full_version < '3.12' \\
    --hash=sha256:bb \\
    --hash=sha256:cc
winonly==2.0 ; sys_platform == 'win32' \\
    --hash=sha256:dd
"""


def test_target_lock_judges_markers_by_the_target_not_by_the_controller():
    old, new = release.target_lock(LOCK, "cp311-x86_64"), release.target_lock(LOCK, "cp313-x86_64")
    assert "backport==1.0" in old
    assert "backport" not in new
    assert "winonly" not in old + new


def test_target_lock_keeps_every_hash_of_an_entry():
    assert release.target_lock(LOCK, "cp311-x86_64").count("--hash") == 3


def test_every_pin_of_the_real_lock_is_understood():
    lock = release.LOCK.read_text()
    pins = [line for line in lock.splitlines() if "==" in line and not line.startswith((" ", "#"))]
    assert len(list(release.lock_entries(lock))) == len(pins) > 10


def test_content_changes_when_one_byte_of_the_app_changes(tmp_path, monkeypatch):
    app = tmp_path / "mesh_app"
    (app / "src").mkdir(parents=True)
    (app / "pyproject.toml").write_text("[project]")
    (app / "requirements.lock").write_text("")
    source = app / "src" / "service.py"
    source.write_text("a = 1")
    monkeypatch.setattr(release, "APP", app)
    monkeypatch.setattr(release, "LOCK", app / "requirements.lock")
    before = release.content_digest()
    assert release.content_digest() == before
    source.write_text("a = 2")
    assert release.content_digest() != before


def test_bill_of_materials_names_each_wheel_once():
    row = {"file": "aiohttp-3.14.5-cp313-cp313-manylinux.whl", "sha256": "aa"}
    bill = release.bill_of_materials("1.0.0+01234567", {"cp313-x86_64": [row], "cp311-x86_64": [row]})
    assert [part["purl"] for part in bill["components"]] == ["pkg:pypi/aiohttp@3.14.5"]


def test_a_folder_that_lacks_a_wheel_is_not_a_complete_release(tmp_path):
    folder = tmp_path / "1.0.0+01234567"
    wheels = folder / "wheels" / "cp313-x86_64"
    wheels.mkdir(parents=True)
    (wheels / "a-1.whl").write_text("")
    (folder / "release.json").write_text('{"wheels": {"cp313-x86_64": [{"file": "a-1.whl", "sha256": ""}]}}')
    assert release.is_complete(folder, ["cp313-x86_64"])
    assert not release.is_complete(folder, ["cp311-x86_64", "cp313-x86_64"])
    (wheels / "a-1.whl").unlink()
    assert not release.is_complete(folder, ["cp313-x86_64"])
