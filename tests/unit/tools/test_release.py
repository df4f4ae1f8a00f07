from __future__ import annotations

import release


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
