"""Copies of what is sealed on this host in the repositories that are elsewhere, as they are (they are encrypted)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO

from .command import RUN_TIMEOUT_S, BackupError, run
from .engine import Engine
from .spec import BackupSpec

ROOT = "aimesh"
"""Beside pgBackRest's own `archive` and `backup`."""
KINDS = ("configuration", "escrow")


def listed(engine: Engine, repository: int, kind: str, *, offline: bool = False) -> dict[str, int]:
    """Name → size in bytes of the copies in a repository. Raises BackupError."""
    argv = engine.argv("repo-ls", "--output=json", f"{ROOT}/{kind}", offline=offline, repository=repository)
    done = run(argv, timeout_s=RUN_TIMEOUT_S)
    if done.returncode != 0:
        raise BackupError(f"Listing the copies in repository {repository} failed, pgbackrest says: {done.complaint}.")
    try:
        entries = json.loads(done.stdout)
        return {name: int(each["size"]) for name, each in entries.items() if each["type"] == "file"}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BackupError(f"What pgbackrest lists in repository {repository} cannot be understood.") from None


def copy_out(spec: BackupSpec, kind: str, path: str) -> list[int]:
    """Put the file into every repository that is elsewhere; returns their numbers. Raises BackupError."""
    engine, name = Engine(spec), Path(path).name
    for number in spec.remote_repositories:
        argv = engine.argv("repo-put", "--raw", f"{ROOT}/{kind}/{name}", repository=number)
        with Path(path).open("rb") as stream:
            done = run(argv, stdin=stream, timeout_s=RUN_TIMEOUT_S)
        if done.returncode != 0:
            raise BackupError(f"Copying {name} into repository {number} failed, pgbackrest says: {done.complaint}.")
        size = listed(engine, number, kind).get(name)
        if size != Path(path).stat().st_size:
            raise BackupError(f"The copy of {name} in repository {number} has {size} bytes, not all; run it again.")
    return list(spec.remote_repositories)


def prune(spec: BackupSpec, kind: str, keep: int) -> None:
    """Remove all but the newest `keep` copies everywhere: their names tell the time. Raises BackupError."""
    engine = Engine(spec)
    for number in spec.remote_repositories:
        for name in sorted(listed(engine, number, kind))[:-keep]:
            done = run(engine.argv("repo-rm", f"{ROOT}/{kind}/{name}", repository=number))
            if done.returncode != 0:
                raise BackupError(f"Removing {name} from repository {number} failed: {done.complaint}.")


def fetch(spec: BackupSpec, repository: int, kind: str, name: str, target: IO[bytes]) -> int:
    """Write a copy into `target`; returns its size in bytes. Raises BackupError."""
    engine = Engine(spec)
    argv = engine.argv("repo-get", "--raw", f"{ROOT}/{kind}/{name}", offline=True, repository=repository)
    done = run(argv, timeout_s=RUN_TIMEOUT_S, output=target)
    if done.returncode != 0:
        raise BackupError(f"Fetching {name} from repository {repository} failed, pgbackrest says: {done.complaint}.")
    target.flush()
    return target.tell()
