"""The configuration archive: the files that make this host, and Redis' where it holds state, encrypted on the way."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .command import BackupError
from .pipeline import through
from .redis_files import OpenFile, redis_files
from .sealed import Sealed, demand_recipients, demand_room, encrypt, rotate, seal
from .spec import BackupSpec

NAME = "configuration"
CANARY = "aimesh-canary"
"""A member whose random text must not be found in the archive."""


@dataclass(frozen=True)
class ConfigurationArchive:
    sealed: Sealed
    files: int
    missing: tuple[str, ...]
    """Paths of the specification that are not on this host."""
    redis: str
    """What was done about Redis, as a clause."""


def make_configuration(spec: BackupSpec) -> ConfigurationArchive:
    """A new archive, the older ones beyond `configuration.keep` removed. Raises BackupError; nothing is left then."""
    demand_recipients(spec)
    found = [path for path in spec.configuration.paths if os.path.lexists(path)]
    missing = tuple(path for path in spec.configuration.paths if path not in found)
    if not found:
        lacking = ", ".join(missing) or "no paths"
        raise BackupError(
            f"Nothing of what belongs into the configuration archive is here ({lacking}); deploy the mesh again."
        )
    canary = secrets.token_hex(32).encode()
    with contextlib.ExitStack() as stack:
        state = spec.redis is not None and spec.redis.role == "state"
        files = stack.enter_context(redis_files(spec.redis.data_dir)) if spec.redis and state else []
        size = sum(_size(path) for path in found) + sum(each.size for each in files)
        demand_room(spec.configuration.folder, size, "The configuration archive")
        counted: list[int] = []

        def feed(stdin: IO[bytes]) -> None:
            counted.append(_write_tar(stdin, found, files, canary))

        def write(stream: IO[bytes]) -> None:
            through(feed, encrypt(spec), stream)

        made = seal(spec.configuration.folder, NAME, write, absent=[canary])
    rotate(spec.configuration.folder, NAME, spec.configuration.keep)
    return ConfigurationArchive(made, counted[0], missing, _redis_clause(spec, len(files)))


def _write_tar(stream: IO[bytes], paths: list[str], redis: list[OpenFile], canary: bytes) -> int:
    """How many files are in it. Not compressed: the canary would then be hidden by that and not by the encryption."""
    files = 0

    def count(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        nonlocal files
        files += member.isfile()
        return member if member.isfile() or member.isdir() or member.issym() else None

    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(_member(CANARY, len(canary)), io.BytesIO(canary))
        for path in paths:
            try:
                archive.add(path, arcname=path.lstrip("/"), filter=count)
            except BrokenPipeError:
                raise
            except OSError as error:
                raise BackupError(f"{path} changed or cannot be read while it was archived: {error}.") from None
        for each in redis:
            archive.addfile(_member(each.path.lstrip("/"), each.size), each.stream)
            files += 1
    return files


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member


def _size(path: str) -> int:
    return sum(size for size in _sizes(path))


def _sizes(path: str) -> Iterator[int]:
    root = Path(path)
    for each in [root, *(root.rglob("*") if root.is_dir() else [])]:
        with contextlib.suppress(OSError):
            yield each.lstat().st_size


def _redis_clause(spec: BackupSpec, files: int) -> str:
    if spec.redis is None:
        return "no Redis on this host"
    if spec.redis.role == "state":
        return f"{files} files of Redis, which holds state"
    return "without Redis, which is a cache"
