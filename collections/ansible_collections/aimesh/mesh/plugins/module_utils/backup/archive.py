"""The WAL in a repository: what `pgbackrest repo-ls` lists and the timelines' history files say."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from .command import BackupError


@dataclass(frozen=True)
class Archive:
    name: str
    """`15-1`: major version and pgBackRest's number of the cluster; empty when there is none."""
    segments: tuple[str, ...]
    """Names of whole segments (24 hex digits), sorted."""
    histories: dict[int, str]
    """Timeline → text of its history file."""
    size_bytes: int
    newest_at: float
    """When the newest segment came into the repository, in seconds since the epoch; 0 without one."""


EMPTY = Archive("", (), {}, 0, 0.0)


def parse_listing(text: str) -> dict[str, Archive]:
    """Archives by name out of `repo-ls --recurse --output=json archive/<stanza>`; histories are still empty texts.

    Raises BackupError when it is no such list.
    """
    try:
        entries = json.loads(text)
        files = [(name, entry) for name, entry in entries.items() if entry.get("type") == "file"]
        names = sorted({match.group(1) for name in entries if (match := _FOLDER.match(name))})
        return {
            name: _archive(name, [(path[len(name) + 1 :], e) for path, e in files if path.startswith(f"{name}/")])
            for name in names
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackupError(f"What pgbackrest repo-ls lists cannot be understood ({type(error).__name__}).") from None


def newest_archive(archives: dict[str, Archive]) -> Archive:
    """The one of the cluster that is backed up now: pgBackRest numbers them upwards."""
    return max(archives.values(), key=lambda each: int(each.name.rpartition("-")[2]), default=EMPTY)


def _archive(name: str, files: list[tuple[str, dict[str, Any]]]) -> Archive:
    segments: dict[str, float] = {}
    histories: dict[int, str] = {}
    size = 0
    for path, entry in files:
        size += int(entry["size"])
        base = path.rpartition("/")[2]
        if match := _SEGMENT.fullmatch(base):
            segments[match.group(1)] = max(float(entry["time"]), segments.get(match.group(1), 0.0))
        elif match := _HISTORY.fullmatch(base):
            histories[int(match.group(1), 16)] = ""
    newest = max(segments, default="")
    return Archive(name, tuple(sorted(segments)), histories, size, segments.get(newest, 0.0))


_FOLDER = re.compile(r"(\d+(?:\.\d+)?-\d+)(?:/|$)")
_SEGMENT = re.compile(r"([0-9A-F]{24})-[0-9a-f]{40}(?:\.[a-z0-9]+)?")
"""Not `….partial-…`, which recovery does not use by itself, and not `….backup`."""
_HISTORY = re.compile(r"([0-9A-F]{8})\.history")
