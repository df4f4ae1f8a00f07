"""What `pgbackrest info --output=json` tells, in our words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .command import BackupError, passphrase_clause

KINDS = {"full": "full", "diff": "differential", "incr": "incremental"}
"""pgBackRest's words and ours."""


@dataclass(frozen=True)
class Backup:
    label: str
    kind: str
    """full, differential or incremental."""
    repository: int
    archive: str
    """Which archive its WAL is in (`15-1`)."""
    start: float
    stop: float
    """Seconds since the epoch."""
    wal_start: str
    wal_stop: str
    """Names of segments."""
    size_bytes: int
    """Of the database when it was backed up."""
    repo_bytes: int
    """What this backup takes in the repository, besides those that it builds on."""
    error: bool
    """Whether pgBackRest found broken pages while it was made."""
    prior: str
    """Label of the backup that it builds on, or empty."""


@dataclass(frozen=True)
class RepositoryState:
    number: int
    code: int
    """0 is good; 1 no stanza there, 2 no backup yet, 99 cannot be read (see `message`)."""
    message: str
    cipher: str
    """`aes-256-cbc`, or `none`."""
    system_id: str
    """System identifier of the cluster that the stanza there is for; empty without a stanza."""


@dataclass(frozen=True)
class Info:
    status: int
    message: str
    cipher: str
    """Of all repositories, or `mixed`."""
    system_id: str
    """System identifier of the cluster that the stanza is for now; empty without a stanza."""
    backups: tuple[Backup, ...]
    """Oldest first, of every repository."""
    repositories: tuple[RepositoryState, ...]

    def of(self, repository: int) -> tuple[Backup, ...]:
        return tuple(each for each in self.backups if each.repository == repository)

    def newest(self, kinds: tuple[str, ...] = tuple(KINDS.values()), repository: int = 0) -> Backup | None:
        """The backup that ended last among those of `kinds` without an error; `repository` 0 is any."""
        good = [
            each
            for each in self.backups
            if each.kind in kinds and not each.error and repository in (0, each.repository)
        ]
        return max(good, key=lambda each: each.stop, default=None)


def parse_info(text: str) -> Info:
    """Raises BackupError when it is not what pgBackRest says."""
    try:
        # 2.45 quotes what it decrypted with a wrong passphrase, control characters and all.
        stanzas = json.loads(text, strict=False)
        if stanzas == []:
            return Info(1, "missing stanza path", "none", "", (), ())
        return _info(stanzas[0])
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        told = type(error).__name__
        raise BackupError(
            f"What pgbackrest info tells cannot be understood ({told}: {error}); versions 2.45 to 2.55 are known."
        ) from None


def _info(stanza: Mapping[str, Any]) -> Info:
    archives = {(each["database"]["repo-key"], each["database"]["id"]): each["id"] for each in stanza["archive"]}
    systems = {
        each["repo-key"]: str(each["system-id"]) for each in sorted(stanza["db"], key=lambda each: int(each["id"]))
    }
    return Info(
        status=int(stanza["status"]["code"]),
        message=_reason(stanza["status"]["message"]),
        cipher=str(stanza["cipher"]),
        system_id=next(iter(systems.values()), ""),
        backups=tuple(sorted((_backup(each, archives) for each in stanza["backup"]), key=lambda each: each.stop)),
        repositories=tuple(
            RepositoryState(
                int(each["key"]),
                int(each["status"]["code"]),
                _reason(each["status"]["message"]),
                str(each["cipher"]),
                systems.get(each["key"], ""),
            )
            for each in stanza["repo"]
        ),
    )


def _backup(raw: Mapping[str, Any], archives: Mapping[tuple[int, int], str]) -> Backup:
    repository = int(raw["database"]["repo-key"])
    return Backup(
        label=str(raw["label"]),
        kind=KINDS[raw["type"]],
        repository=repository,
        archive=archives.get((repository, raw["database"]["id"]), ""),
        start=float(raw["timestamp"]["start"]),
        stop=float(raw["timestamp"]["stop"]),
        wal_start=str(raw["archive"]["start"] or ""),
        wal_stop=str(raw["archive"]["stop"] or ""),
        size_bytes=int(raw["info"]["size"]),
        repo_bytes=int(raw["info"]["repository"]["delta"]),
        error=bool(raw.get("error")),
        prior=str(raw["prior"] or ""),
    )


def _reason(text: str) -> str:
    """With a wrong passphrase pgBackRest quotes what it decrypted: bytes that nobody wants in a message."""
    first = next((line.strip().rstrip(":") for line in str(text).splitlines() if line.strip()), "")
    return first + passphrase_clause(str(text))
