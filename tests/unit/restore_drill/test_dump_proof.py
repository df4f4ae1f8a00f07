"""A dump is opened with an identity that only passes through, restored whole, counted; and each break is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.spec import BackupSpec, parse_spec
from ansible_collections.aimesh.mesh.plugins.module_utils.restore_drill.dump_proof import DATABASE, try_dump
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store.age import new_identity, seal

from tests.unit.backup.host import document

PLAIN = b"PGDMP" + bytes(range(256)) * 3000
PAIR = json.loads(new_identity())


class Server:
    """A cluster whose pg_restore keeps what it reads, and fails for what is no dump."""

    def __init__(self, folder: Path, rows: str) -> None:
        self.folder, self.rows, self.asked = folder, rows, list[str]()

    def client(self, program: str, *_options: str, database: str = "") -> list[str]:
        assert (program, database) == ("pg_restore", DATABASE)
        complain = "echo pg_restore: error: input file is too short >&2; exit 1"
        read = f'head -c 5 > {self.folder}/head; [ "$(cat {self.folder}/head)" = PGDMP ] || {{ {complain}; }}'
        return ["sh", "-c", f"{read}; cat {self.folder}/head - > {self.folder}/restored", "pg_restore"]

    def ask(self, query: str, _what: str, *, database: str = "") -> str:
        self.asked.append(f"{database}: {query.strip()[:15]}")
        return self.rows


@pytest.fixture
def spec(tmp_path: Path) -> BackupSpec:
    made = parse_spec(document(tmp_path))
    Path(made.dump.folder).mkdir()
    return made


Lay = Callable[[bytes], Path]


@pytest.fixture
def lay(spec: BackupSpec) -> Lay:
    def laid(content: bytes) -> Path:
        path = Path(spec.dump.folder, "mesh.dump-20260101T020000Z.age")
        path.write_bytes(content)
        return path

    return laid


def test_the_newest_dump_is_restored_and_counted(spec: BackupSpec, lay: Lay, tmp_path: Path) -> None:
    path = lay(seal(PLAIN, [PAIR["recipient"]]))
    server = Server(tmp_path, "20|900")
    told = try_dump(spec, server, PAIR["identity"])
    assert told is not None
    assert (told["path"], told["tables"], told["rows"], told["message"]) == (str(path), 20, 900, "")
    assert (tmp_path / "restored").read_bytes() == PLAIN
    assert server.asked == [": CREATE DATABASE", f"{DATABASE}: SELECT count(*)"]


def test_without_a_dump_nothing_is_said(spec: BackupSpec, tmp_path: Path) -> None:
    assert try_dump(spec, Server(tmp_path, "0|0"), PAIR["identity"]) is None


@pytest.mark.parametrize(
    ("content", "identity", "rows", "words"),
    [
        (seal(PLAIN, [PAIR["recipient"]])[:-5000], PAIR["identity"], "20|900", "age failed"),
        (seal(PLAIN, [PAIR["recipient"]]), json.loads(new_identity())["identity"], "20|900", "age failed"),
        (seal(b"nothing", [PAIR["recipient"]]), PAIR["identity"], "20|900", "pg_restore failed: input file is too"),
        (seal(b"X" * 3_000_000, [PAIR["recipient"]]), PAIR["identity"], "20|900", "pg_restore failed: input file"),
        (seal(PLAIN, [PAIR["recipient"]]), PAIR["identity"], "20|0", "it has 20 tables and no row"),
    ],
    ids=["truncated", "another key", "no dump", "a long file that is no dump", "empty"],
)
def test_a_dump_that_does_not_restore_is_told(
    spec: BackupSpec, lay: Lay, tmp_path: Path, content: bytes, identity: str, rows: str, words: str
) -> None:
    """Negative controls."""
    path = lay(content)
    told = try_dump(spec, Server(tmp_path, rows), identity)
    assert told is not None
    assert told["message"].startswith(f"The dump {path} does not restore: ")
    assert words in told["message"]
    assert identity not in json.dumps(told)
