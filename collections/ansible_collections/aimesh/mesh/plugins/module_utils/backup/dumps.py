"""The daily dump: pg_dump's own format, encrypted as it is written, for people and for moving elsewhere."""

from __future__ import annotations

from typing import IO

from .live import ask
from .pipeline import pipe
from .sealed import Sealed, demand_recipients, demand_room, encrypt, rotate, seal
from .spec import BackupSpec


def dump_name(spec: BackupSpec) -> str:
    """What the file names begin with; `-<UTC>.age` follows."""
    return f"{spec.database}.dump"


def make_dump(spec: BackupSpec) -> Sealed:
    """A new dump, the older ones beyond `dump.keep` removed. Raises BackupError; then nothing is left of it."""
    demand_recipients(spec)
    size = int(ask(spec, "SELECT pg_database_size(current_database())", "Asking for the size of the database"))
    demand_room(spec.dump.folder, size, "The dump")
    command = [
        *spec.commands.postgres,
        "pg_dump",
        "--format=custom",
        "--no-password",
        f"--host={spec.socket_dir}",
        f"--port={spec.port}",
        spec.database,
    ]

    def write(stream: IO[bytes]) -> None:
        pipe(command, encrypt(spec), stream)

    made = seal(spec.dump.folder, dump_name(spec), write)
    rotate(spec.dump.folder, dump_name(spec), spec.dump.keep)
    return made
