from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.host_lock import HostLockedError, host_lock
from ansible_collections.aimesh.mesh.plugins.module_utils.release_install import superfluous
from ansible_collections.aimesh.mesh.plugins.plugin_utils.release_bundle import (
    Bundle,
    ReleaseError,
    read_bundle,
    write_archive,
)
from fake_release import PYTHON, RELEASE_ID, make_release
from module_runner import begin_module, run_module


def bundle_of(folder: Path, release_id: str = RELEASE_ID) -> Bundle:
    return read_bundle(folder, release_id, PYTHON, "x86_64")


def arguments(tmp_path: Path, bundle: Bundle, **changes: Any) -> dict[str, Any]:
    return {
        "state_dir": str(tmp_path / "state"),
        "id": bundle.id,
        "root": str(tmp_path / "opt/releases"),
        "digest": bundle.digest,
        "python": PYTHON,
        "interpreter": sys.executable,
        "files": [{"name": name, "sha256": digest} for _, name, digest in bundle.files()],
    } | changes


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return bundle_of(make_release(tmp_path / "dist"))


@pytest.fixture
def archive(tmp_path: Path, bundle: Bundle) -> str:
    path = tmp_path / "release.tar"
    write_archive(bundle, path)
    return str(path)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the release has been installed once, for tests that begin with that; nobody changes it."""
    folder = tmp_path_factory.mktemp("installed")
    made = bundle_of(make_release(folder / "dist"))
    write_archive(made, folder / "release.tar")
    done = run_module("release", arguments(folder, made, archive=str(folder / "release.tar")))
    assert done["changed"], done
    return folder


@pytest.fixture
def installed(tmp_path: Path, installation: Path) -> Path:
    """`tmp_path` as the installation left it; returns the release's folder."""
    for name in ("opt", "state"):
        shutil.copytree(installation / name, tmp_path / name, symlinks=True)
    return tmp_path / "opt/releases" / RELEASE_ID


def test_check_then_run_then_check_then_run_tells_the_truth(tmp_path: Path, bundle: Bundle, archive: str) -> None:
    args = arguments(tmp_path, bundle)
    predicted = run_module("release", args, check=True, diff=True)
    assert predicted["changed"]
    assert predicted["diff"]["after"] == f"{RELEASE_ID}\n"
    assert not (tmp_path / "opt").exists()

    asked = run_module("release", args)
    assert (asked["changed"], asked["needs_archive"]) == (False, True)
    done = run_module("release", args | {"archive": archive})
    assert done["changed"]
    program = tmp_path / "opt/releases" / RELEASE_ID / "venv/bin/mesh"
    assert subprocess.run([program], capture_output=True, text=True, check=True).stdout == "mesh 42\n"

    for check in (True, False):
        again = run_module("release", args, check=check)
        assert (again["changed"], again.get("needs_archive")) == (False, None)


def test_the_installation_has_its_bytecode_and_leaves_nothing_beside_it(installation: Path) -> None:
    root = installation / "opt/releases"
    assert [path.name for path in root.iterdir()] == [RELEASE_ID]
    assert list(root.rglob("mesh_app.cpython-*.pyc")), "no bytecode was compiled"
    assert json.loads((root / RELEASE_ID / "release.json").read_text())["id"] == RELEASE_ID
    assert not list(root.rglob("pip-*.dist-info")), "pip is not part of the installation"
    assert (root / RELEASE_ID).stat().st_mode & 0o777 == 0o755


def test_a_folder_without_marker_is_rebuilt_from_nothing(
    tmp_path: Path, bundle: Bundle, archive: str, installed: Path
) -> None:
    """What a killed installation leaves: files, but not the marker that is written last."""
    args = arguments(tmp_path, bundle)
    assert not run_module("release", args)["changed"]
    (installed / ".installed").unlink()
    (installed / "venv/half-written").write_text("")
    assert run_module("release", args)["needs_archive"]
    assert run_module("release", args | {"archive": archive})["changed"]
    assert not (installed / "venv/half-written").exists()


@pytest.mark.usefixtures("installed")
def test_an_installation_for_another_python_is_rebuilt(tmp_path: Path, bundle: Bundle) -> None:
    assert "needs_archive" not in run_module("release", arguments(tmp_path, bundle))
    assert run_module("release", arguments(tmp_path, bundle, digest="sha256:other"))["needs_archive"]


def test_a_damaged_wheel_on_the_way_is_refused_and_nothing_counts_as_installed(
    tmp_path: Path, bundle: Bundle, archive: str
) -> None:
    args = arguments(tmp_path, bundle, archive=archive)
    args["files"][0]["sha256"] = "0" * 64
    refused = run_module("release", args)
    assert refused["msg"] == f"The file {args['files'][0]['name']} of the release {RELEASE_ID} came damaged; run again."
    assert run_module("release", arguments(tmp_path, bundle))["needs_archive"]
    assert not list((tmp_path / "opt/releases").glob(".*incoming"))


def test_an_installation_that_outlives_its_killed_module_keeps_the_next_one_out(
    tmp_path: Path, bundle: Bundle, archive: str
) -> None:
    """Else it would go on writing into the folder that the next run removes and builds anew."""
    started = tmp_path / "started"
    slow = tmp_path / "slow-python"
    slow.write_text(f'#!/bin/sh\n[ "$1" = -m ] || exec {sys.executable} "$@"\necho $$ > {started}\nexec sleep 60\n')
    slow.chmod(0o755)
    args = arguments(tmp_path, bundle, archive=archive, interpreter=str(slow))
    module = begin_module("release", args)
    try:
        deadline = time.monotonic() + 30
        while not (started.exists() and started.read_text().endswith("\n")):
            assert module.poll() is None, module.stdout and module.stdout.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        module.kill()
        module.wait()
        with pytest.raises(HostLockedError), host_lock(args["state_dir"], "x", timeout_s=0.5):
            pytest.fail("the installation could still write")
    finally:
        module.kill()
        if started.exists():
            os.kill(int(started.read_text()), signal.SIGKILL)
    assert run_module("release", args | {"interpreter": sys.executable})["changed"]


def test_a_missing_dependency_fails_without_a_network(tmp_path: Path, bundle: Bundle, archive: str) -> None:
    args = arguments(tmp_path, bundle, archive=archive)
    args["files"] = [row for row in args["files"] if "tiny_dependency" not in row["name"]]
    refused = run_module("release", args)
    assert refused["failed"]
    assert "tiny-dependency==2.0" in refused["msg"]
    assert "\n" not in refused["msg"]


def test_another_python_than_the_wheels_are_for_is_refused(tmp_path: Path, bundle: Bundle, archive: str) -> None:
    refused = run_module("release", arguments(tmp_path, bundle, archive=archive, python="cp27"))
    assert "comes for Python cp27" in refused["msg"]
    assert f"is {PYTHON}" in refused["msg"]


@pytest.mark.usefixtures("installed")
def test_a_new_release_leaves_the_older_ones_for_a_rollback(tmp_path: Path) -> None:
    second = bundle_of(make_release(tmp_path / "dist", "1.0.0+89abcdef"), "1.0.0+89abcdef")
    write_archive(second, tmp_path / "second.tar")
    done = run_module("release", arguments(tmp_path, second, archive=str(tmp_path / "second.tar")))
    assert done["removed"] == []
    assert sorted(path.name for path in (tmp_path / "opt/releases").iterdir()) == [RELEASE_ID, "1.0.0+89abcdef"]


def test_old_releases_go_and_the_applied_one_never_does() -> None:
    found = {name: float(number) for number, name in enumerate("abcdefgh")}
    assert superfluous(found, wanted="h", applied="a", history=["a", "b", "c", "d", "e"]) == ["b", "f", "g"]
    assert superfluous(found, wanted="h", applied="a", history=[]) == ["b", "c", "d"]
    assert superfluous({"a": 1.0}, wanted="a", applied=None, history=[]) == []


def test_two_builds_of_one_content_have_one_digest(tmp_path: Path, bundle: Bundle) -> None:
    """Otherwise a deploy from another controller would rebuild a release that is running."""
    path = bundle.folder / "release.json"
    document = json.loads(path.read_text())
    document["wheels"][bundle.key][0]["sha256"] = "1" * 64
    document["created"] = "2027-01-01T00:00:00Z"
    path.write_text(json.dumps(document))
    assert bundle_of(bundle.folder).digest == bundle.digest
    document["wheels"][bundle.key][0]["file"] = "tiny_dependency-3.0-py3-none-any.whl"
    path.write_text(json.dumps(document))
    assert bundle_of(bundle.folder).digest != bundle.digest


def test_a_release_that_was_never_built_says_how_to_build_it(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="build it with: make release"):
        bundle_of(tmp_path / "nowhere")


def test_wheels_for_another_python_only_say_how_to_build_them(bundle: Bundle) -> None:
    with pytest.raises(ReleaseError, match="has no wheels for cp399-riscv64, it has"):
        read_bundle(bundle.folder, RELEASE_ID, "cp399", "riscv64")


def test_a_wheel_changed_on_the_controller_is_not_sent(tmp_path: Path, bundle: Bundle) -> None:
    bundle.files()[0][0].write_bytes(b"tampered")
    with pytest.raises(ReleaseError, match=r"is not the one that release\.json names"):
        write_archive(bundle, tmp_path / "release.tar")
