"""Dumps and configuration archives: whole and encrypted, or not there."""

from __future__ import annotations

import base64
import io
import tarfile
from pathlib import Path
from typing import IO

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.command import BackupError
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.configuration import CANARY, make_configuration
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.dumps import make_dump
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.pipeline import pipe
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.redis_files import redis_files
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.sealed import (
    MAGIC,
    demand_room,
    demand_sealed,
    rotate,
    seal,
)

from .host import AGE, Host

SWAP = bytes([*range(128, 256), *range(128)])


def opened(path: str) -> bytes:
    """What the age of these tests made illegible."""
    return Path(path).read_bytes().removeprefix(MAGIC).translate(SWAP)


def members(path: str) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(opened(path))) as archive:
        return archive.getnames()


def left_in(folder: str) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir()) if Path(folder).exists() else []


def test_a_dump_is_what_pg_dump_wrote_and_only_we_may_read_the_file(host: Host) -> None:
    made = make_dump(host.spec)
    assert opened(made.path) == b"PGDMP of the database\n"
    assert Path(made.path).stat().st_mode & 0o777 == 0o600
    assert host.calls("pg_dump")[0].startswith("postgres --format=custom")


@pytest.mark.parametrize(
    ("program", "script", "told"),
    [
        ("pg_dump", "echo half; echo 'pg_dump: error: the connection is lost' >&2; exit 1", "pg_dump failed: the conn"),
        ("pg_dump", "echo half; kill -9 $$", "failed"),
        ("age", f"{AGE}; echo 'age: error: no space left on device' >&2; exit 1", "age failed: no space left on dev"),
        ("age", "echo 'age: error: malformed recipient' >&2; exit 1", "age failed: malformed recipient"),
        ("age", "cat", "is not encrypted: it begins with b'PGDMP of the'"),
    ],
)
def test_a_dump_that_fails_in_either_half_leaves_nothing_behind(
    host: Host, program: str, script: str, told: str
) -> None:
    host.program(program, script)
    with pytest.raises(BackupError, match=told):
        make_dump(host.spec)
    assert left_in(host.spec.dump.folder) == []


def test_a_full_disk_is_the_reason_and_not_the_pipe_that_it_broke(host: Host) -> None:
    host.program("pg_dump", "head -c 5000000 /dev/zero")
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(BackupError) as caught:
        pipe(["pg_dump"], ["age"], full, timeout_s=20)
    assert str(caught.value) == "/dev/full cannot be written: No space left on device."


def test_a_pipe_that_hangs_is_stopped(host: Host) -> None:
    host.program("pg_dump", "sleep 60")
    with (host.root / "out").open("wb") as out, pytest.raises(BackupError, match=r"did not end within 0\.5 s"):
        pipe(["pg_dump"], ["age"], out, timeout_s=0.5)


def test_space_is_demanded_before_anything_is_written(host: Host) -> None:
    with pytest.raises(BackupError, match=r"^The dump needs up to 10\.0 MB and a reserve of 256\.0 MB in .*make room"):
        demand_room(host.spec.dump.folder, 10 << 20, "The dump", free=lambda _: 265 << 20)
    demand_room(host.spec.dump.folder, 10 << 20, "The dump", free=lambda _: 266 << 20)
    host.psql(database_bytes=1 << 62)
    with pytest.raises(BackupError, match="make room there"):
        make_dump(host.spec)
    assert host.calls("pg_dump") == []


def test_nothing_is_encrypted_to_nobody(host: Host) -> None:
    (host.root / "recipients").write_text("# nobody yet\n", encoding="utf-8")
    for work in (make_dump, make_configuration):
        with pytest.raises(BackupError, match="names no age recipient"):
            work(host.spec)


def test_rotation_keeps_the_newest_and_touches_nothing_else(host: Host) -> None:
    folder = str(host.root / "dumps")

    def write(stream: IO[bytes]) -> None:
        stream.write(MAGIC)

    for second in (10, 30, 20):
        seal(folder, "mesh.dump", write, now=float(second))
    other = seal(folder, "other.dump", write, now=1.0)
    assert rotate(folder, "mesh.dump", 2) == ["mesh.dump-19700101T000010Z.age"]
    assert len(left_in(folder)) == 3
    assert Path(other.path).exists()


def test_what_an_interrupted_run_left_goes_away_with_the_next(host: Host) -> None:
    folder = host.root / "dumps"
    folder.mkdir()
    (folder / ".mesh.dump-20261128T000000Z.age.part").write_bytes(b"torn")
    made = make_dump(host.spec)
    assert left_in(str(folder)) == [Path(made.path).name]


def test_the_configuration_archive_has_the_files_and_tells_what_is_missing(host: Host) -> None:
    made = make_configuration(host.spec)
    names = members(made.sealed.path)
    assert names[0] == CANARY
    assert f"{host.root}/etc/mesh.conf".lstrip("/") in names
    assert (made.files, made.missing) == (1, (f"{host.root}/nothing",))
    assert made.redis == "no Redis on this host"


@pytest.mark.parametrize(
    "fake", ["printf 'age-encryption.org/v1\\n'; cat", "printf 'age-encryption.org/v1\\n'; base64 -w0"]
)
def test_an_archive_that_only_looks_encrypted_is_found_by_its_canary(host: Host, fake: str) -> None:
    host.program("age", fake)
    with pytest.raises(BackupError, match="the canary is legible in it"):
        make_configuration(host.spec)
    assert left_in(host.spec.configuration.folder) == []


@pytest.mark.parametrize("shift", range(5))
def test_base64_is_seen_at_every_alignment_and_over_the_edge_of_a_chunk(tmp_path: Path, shift: int) -> None:
    canary = b"0123456789abcdef" * 4
    body = b"x" * ((1 << 20) * 3 // 4 - 20 - shift) + canary
    path = tmp_path / "a.age"
    path.write_bytes(MAGIC + base64.b64encode(body))
    with pytest.raises(BackupError, match="canary"):
        demand_sealed(str(path), [canary])
    demand_sealed(str(path), [b"fedcba9876543210" * 4])


def test_a_host_with_none_of_the_paths_fails(host: Host) -> None:
    spec = host.specify(configuration={"folder": f"{host.root}/configuration", "keep": 1, "paths": ["/none/such"]})
    with pytest.raises(BackupError, match=r"is here \(/none/such\); deploy the mesh again"):
        make_configuration(spec)


def append_only(host: Host) -> Path:
    folder = host.root / "redis" / "appendonlydir"
    folder.mkdir(parents=True)
    (folder / "a.aof.1.base.rdb").write_bytes(b"base")
    (folder / "a.aof.1.incr.aof").write_bytes(b"increment")
    (folder / "a.aof.manifest").write_text(
        "file a.aof.0.incr.aof seq 0 type h\nfile a.aof.1.base.rdb seq 1 type b\nfile a.aof.1.incr.aof seq 1 type i\n",
        encoding="utf-8",
    )
    return folder


def test_redis_that_holds_state_is_in_the_archive_and_a_cache_is_not(host: Host) -> None:
    folder = append_only(host)
    for role, files in (("state", 3), ("cache", 0)):
        made = make_configuration(host.specify(redis={"role": role, "data_dir": f"{host.root}/redis"}))
        names = members(made.sealed.path)
        assert len([name for name in names if name.startswith(str(folder).lstrip("/"))]) == files
        assert role in made.redis
        Path(made.sealed.path).unlink()


def test_files_of_redis_fit_together_although_it_rewrites_them(host: Host) -> None:
    folder = append_only(host)
    with redis_files(f"{host.root}/redis") as files:
        with (folder / "a.aof.1.incr.aof").open("ab") as stream:
            stream.write(b" and more")
        (folder / "a.aof.1.base.rdb").unlink()
        assert [each.stream.read(each.size) for each in files[1:]] == [b"base", b"increment"]


def test_redis_without_its_files_fails(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    append_only(host).joinpath("a.aof.1.base.rdb").unlink()
    with (
        pytest.raises(BackupError, match=r"cannot be taken: .*base\.rdb is not there\."),
        redis_files(f"{host.root}/redis"),
    ):
        pass
