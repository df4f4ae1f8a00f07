"""Archives that only the holders of age identities can read, and none of those identities is on this host."""

from __future__ import annotations

import base64
import os
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ansible_collections.aimesh.mesh.plugins.module_utils.atomic import sync_directory

from .command import BackupError
from .spec import BackupSpec

MAGIC = b"age-encryption.org/v1\n"
SUFFIX = ".age"
RESERVE_BYTES = 256 * 1024 * 1024
"""What must stay free on the file system besides the archive."""


@dataclass(frozen=True)
class Sealed:
    path: str
    size_bytes: int


def encrypt(spec: BackupSpec) -> list[str]:
    """age from standard input to standard output."""
    return [*spec.commands.age, "age", "--encrypt", "--recipients-file", spec.recipients]


def decrypt(spec: BackupSpec) -> list[str]:
    """age from standard input, whose first line is the identity, to standard output: the host keeps no identity."""
    return [*spec.commands.age, "sh", "-c", _DECRYPT, "age"]


_DECRYPT = """\
IFS= read -r identity
exec age --decrypt --identity /dev/fd/3 3<<END
$identity
END
"""
"""`read` takes one byte at a time from a pipe, so what follows is left for age; a short document is a pipe, no file."""


def seal(
    folder: str,
    name: str,
    write: Callable[[IO[bytes]], None],
    *,
    absent: Iterable[bytes] = (),
    now: float | None = None,
) -> Sealed:
    """A new archive `<name>-<UTC>.age` in `folder`, 0600: whole, synced and checked before it has its name.

    `write` gets the file. `absent` are texts of what was archived, which a reader without an identity must not find,
    plain or as base64. Raises BackupError; then nothing is left behind.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    path = Path(folder, f"{name}-{stamp}{SUFFIX}")
    part = path.with_name(f".{path.name}.part")
    try:
        Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        for stale in Path(folder).glob(f".{name}-*.part"):
            stale.unlink()
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        demand_sealed(str(part), absent)
        size = part.stat().st_size
        part.replace(path)
        sync_directory(folder)
    except OSError as error:
        raise BackupError(f"The archive {path} cannot be written: {error.strerror}.") from None
    finally:
        part.unlink(missing_ok=True)
    return Sealed(str(path), size)


def demand_sealed(path: str, absent: Iterable[bytes] = ()) -> None:
    """Raises BackupError unless the file begins as age's do and holds none of the texts, plain or as base64."""
    wanted = [form for text in absent for form in _forms(text)]
    overlap = max((len(form) for form in wanted), default=1)
    with Path(path).open("rb") as stream:
        head = stream.read(len(MAGIC))
        if head != MAGIC:
            raise BackupError(f"What age made of {Path(path).name} is not encrypted: it begins with {head[:12]!r}.")
        tail = head
        while chunk := stream.read(1 << 20):
            window = tail + chunk
            if any(form in window for form in wanted):
                raise BackupError(f"What age made of {Path(path).name} is not encrypted: the canary is legible in it.")
            tail = window[-overlap:]


def rotate(folder: str, name: str, keep: int) -> list[str]:
    """Remove all but the newest `keep` archives of this name; returns the names of the removed."""
    removed = []
    for old in archives(folder, name)[:-keep]:
        old.unlink()
        removed.append(old.name)
    if removed:
        sync_directory(folder)
    return removed


def archives(folder: str, name: str) -> list[Path]:
    """Whole archives of this name, oldest first: the name tells the time."""
    return sorted(path for path in Path(folder).glob(f"{name}-*{SUFFIX}") if path.is_file())


def demand_recipients(spec: BackupSpec) -> int:
    """How many can read what is sealed. Raises BackupError when nobody can."""
    try:
        lines = Path(spec.recipients).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BackupError(
            f"The recipients {spec.recipients} cannot be read ({error}); deploy the mesh again."
        ) from None
    found = [line for line in lines if line.startswith("age1") or line.startswith("ssh-")]
    if not found:
        raise BackupError(f"The file {spec.recipients} names no age recipient (age1…); deploy the mesh again.")
    return len(found)


def demand_room(folder: str, need_bytes: int, what: str, *, free: Callable[[str], int] | None = None) -> None:
    """Raises BackupError when `need_bytes` and the reserve are not free in `folder`."""
    Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    there = free(folder) if free else shutil.disk_usage(folder).free
    if there < need_bytes + RESERVE_BYTES:
        raise BackupError(
            f"{what} needs up to {megabytes(need_bytes)} and a reserve of {megabytes(RESERVE_BYTES)} in {folder}, "
            f"and {megabytes(there)} are free; make room there."
        )


def megabytes(count: float) -> str:
    return f"{count / 1024 / 1024:.1f} MB"


def _forms(text: bytes) -> list[bytes]:
    """The text itself and the middle of its base64 at each of the three alignments."""
    encoded = [base64.b64encode(b"\0" * shift + text)[4:-4] for shift in range(3)]
    return [text, *encoded]
