"""A dump of the whole database just before an update: what people go back to when even a rollback would not do."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import sync_directory
from ansible_collections.aimesh.mesh.plugins.module_utils.postgres_programs import last_line
from ansible_collections.aimesh.mesh.plugins.module_utils.session import HostChangeError

KEEP = 3
PREFIX, SUFFIX = "pre-update-", ".dump"
PROGRAM = "pg_dump"
SPARE_BYTES = 64 * 1024 * 1024
"""What must stay free on the file system besides the dump."""
LOOK_TIMEOUT_S = 60.0


def dump_path(folder: str, rollout: str) -> str:
    return str(Path(folder) / f"{PREFIX}{rollout}{SUFFIX}")


def make(command: Sequence[str], folder: str, rollout: str, timeout_s: float) -> tuple[bool, str]:
    """(whether a dump was made now, what was seen). One of this rollout that is whole already is left as it is.

    `command` ends with the database's name and writes an archive of pg_dump to its standard output, whoever it becomes
    for that and wherever it runs. The dump is 0600, checked with pg_restore, and the last KEEP stay.
    Raises HostChangeError.
    """
    path = Path(dump_path(folder, rollout))
    if path.exists():
        return False, f"{path} is there already, {_size(path.stat().st_size)}"
    Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    for stale in Path(folder).glob(f"{PREFIX}*{SUFFIX}.part"):
        stale.unlink()
    _demand_room(command, folder)
    part = path.with_name(path.name + ".part")
    try:
        _dump(command, part, timeout_s)
        entries = _listed(command, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    sync_directory(folder)
    dumps = sorted(Path(folder).glob(f"{PREFIX}*{SUFFIX}"), key=lambda each: each.stat().st_mtime)
    for old in dumps[:-KEEP]:
        old.unlink()
    return True, f"{path}, {_size(path.stat().st_size)}, {entries} entries"


def sibling(command: Sequence[str], program: str, options: Sequence[str]) -> list[str]:
    """The command that runs another of PostgreSQL's programs where and as whom `command` runs pg_dump.

    Raises HostChangeError when `command` names no pg_dump.
    """
    for position, word in enumerate(command):
        if Path(word).name == PROGRAM:
            return [*command[:position], str(Path(word).with_name(program)) if "/" in word else program, *options]
    raise HostChangeError(f"The command for the backup point names no {PROGRAM}: {' '.join(command)}.")


def connection_options(command: Sequence[str]) -> list[str]:
    """The options of pg_dump's command that psql takes alike."""
    return [word for word in command if word.startswith(("--host=", "--port=", "--username=", "--no-password"))]


def _demand_room(command: Sequence[str], folder: str) -> None:
    """A dump is compressed, so the size of the database bounds it."""
    query = "SELECT pg_database_size(current_database())"
    options = [*connection_options(command), "--no-psqlrc", "--tuples-only", "--no-align", f"--command={query}"]
    done = _run(sibling(command, "psql", [*options, f"--dbname={command[-1]}"]), LOOK_TIMEOUT_S)
    if done.returncode != 0:
        raise HostChangeError(f"The size of the database cannot be read: {last_line(done.stderr)}.")
    need, free = int(done.stdout.strip() or 0) + SPARE_BYTES, shutil.disk_usage(folder).free
    if free < need:
        raise HostChangeError(
            f"The backup point needs up to {_size(need)} in {folder} and {_size(free)} are free; make room there."
        )


def _dump(command: Sequence[str], part: Path, timeout_s: float) -> None:
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        done = _run(list(command), timeout_s, output=stream.fileno())
        if done.returncode != 0:
            raise HostChangeError(f"The backup point failed, {PROGRAM} says: {last_line(done.stderr)}.")
        os.fsync(stream.fileno())


def _listed(command: Sequence[str], part: Path) -> int:
    """How many entries the archive has. Raises HostChangeError when pg_restore cannot read it."""
    with part.open("rb") as stream:
        done = _run(sibling(command, "pg_restore", ["--list"]), LOOK_TIMEOUT_S, source=stream.fileno())
    if done.returncode != 0:
        raise HostChangeError(f"The backup point cannot be read back, pg_restore says: {last_line(done.stderr)}.")
    return sum(1 for line in done.stdout.splitlines() if line and not line.startswith(";"))


def _run(
    command: list[str], timeout_s: float, *, output: int = subprocess.PIPE, source: int = subprocess.DEVNULL
) -> subprocess.CompletedProcess[str]:
    try:
        process = subprocess.Popen(
            command,
            stdin=source,
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            cwd="/",
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            start_new_session=True,
        )
    except FileNotFoundError:
        raise HostChangeError(f"There is no {command[0]} on this host, which the backup point needs.") from None
    with process:
        try:
            told, complaint = process.communicate(timeout=timeout_s)
        except BaseException as error:
            # Whoever becomes another user waits for the program as a child: that would go on, into a file of no name.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise HostChangeError(f"The backup point did not end within {timeout_s:g} s.") from None
            raise
    return subprocess.CompletedProcess(command, process.returncode, told or "", complaint)


def _size(count: int) -> str:
    return f"{count / 1024 / 1024:.1f} MB"
