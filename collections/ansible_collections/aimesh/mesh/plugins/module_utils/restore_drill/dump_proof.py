"""The newest dump in a database of its own, beside the one that a drill has restored: what is in it."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import IO, Any, Protocol

from ansible_collections.aimesh.mesh.plugins.module_utils.backup.command import BackupError
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.dumps import dump_name
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.pipeline import BrokenReaderError, through
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.sealed import archives, decrypt
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.spec import BackupSpec

DATABASE = "aimesh_dump"
COUNT = """
SELECT count(*), coalesce(sum((xpath('/row/rows/text()', query_to_xml(
  format('SELECT count(*) AS rows FROM %I.%I', schemaname, tablename), false, true, '')))[1]::text::bigint), 0)
FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
"""


class Server(Protocol):
    """The scratch cluster, as far as a dump needs it. Methods raise BackupError."""

    def client(self, program: str, *options: str, database: str = "") -> list[str]:
        """A command that asks the cluster."""

    def ask(self, query: str, what: str, *, database: str = "") -> str:
        """The answer to one query."""


def try_dump(spec: BackupSpec, server: Server, identity: str) -> dict[str, Any] | None:
    """`{path, at, size_bytes, tables, rows, seconds, message}` of the newest dump; None when none was made yet.

    `message` is a sentence on why it does not restore, or empty. The identity goes through a pipe and is not kept.
    """
    found = archives(spec.dump.folder, dump_name(spec))
    if not found:
        return None
    newest, begun = found[-1], time.monotonic()
    state = newest.stat()
    told: dict[str, Any] = {
        "path": str(newest), "at": state.st_mtime, "size_bytes": state.st_size, "tables": None, "rows": None,
        "seconds": None, "message": "",
    }  # fmt: skip
    try:
        told |= _counted(server, newest, spec, identity)
    except BackupError as error:
        told["message"] = f"The dump {newest} does not restore: {error}"
    return told | {"seconds": round(time.monotonic() - begun, 2)}


def _counted(server: Server, dump: Path, spec: BackupSpec, identity: str) -> dict[str, int]:
    server.ask(f"CREATE DATABASE {DATABASE}", "Making a database for the dump")
    restore = server.client("pg_restore", "--exit-on-error", database=DATABASE)

    def feed(stdin: IO[bytes]) -> None:
        try:
            through(lambda age: _sealed(dump, identity, age), decrypt(spec), stdin)
        except BackupError as error:
            if isinstance(error.__context__, BrokenPipeError):
                raise BrokenReaderError(str(error)) from None
            raise

    with Path(os.devnull).open("wb") as nowhere:
        through(feed, restore, nowhere)
    tables, _, rows = server.ask(COUNT, "Counting what the dump holds", database=DATABASE).partition("|")
    if not int(rows):
        raise BackupError(f"it has {tables} tables and no row in them.")
    return {"tables": int(tables), "rows": int(rows)}


def _sealed(dump: Path, identity: str, age: IO[bytes]) -> None:
    age.write(f"{identity}\n".encode())
    with dump.open("rb") as stream:
        shutil.copyfileobj(stream, age)
