"""Whether the WAL that the retained backups need is all there, across timelines. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .command import BackupError
from .info import Backup

SEGMENT_BYTES = 16 * 1024 * 1024
_LOG_BYTES = 1 << 32
_NAME = re.compile(r"[0-9A-F]{24}")
_FORK = re.compile(r"\s*(\d+)\s+([0-9A-F]+)/([0-9A-F]+)\b")


@dataclass(frozen=True)
class Gap:
    first: str
    last: str
    """Names of the first and the last missing segment, or of a timeline's history file."""
    count: int
    labels: tuple[str, ...]
    """Backups from which recovery does not get past this gap, oldest first."""
    unusable: tuple[str, ...]
    """Those of them that cannot be restored at all: the gap is between their start and their end."""

    @property
    def sentence(self) -> str:
        what = self.first if self.count == 1 else f"{self.first} to {self.last} ({self.count} segments)"
        reach = f"recovery from {_listed(self.labels)} stops before it"
        if self.unusable:
            beyond = tuple(label for label in self.labels if label not in self.unusable)
            reach = f"{_listed(self.unusable)} cannot be restored"
            reach += f" and recovery from {_listed(beyond)} stops before it" if beyond else ""
        return f"The archive lacks {what}: {reach}."

    def belongs_before(self, begun: str, segment_bytes: int = SEGMENT_BYTES) -> bool:
        """Whether it only ends the reach of backups from before the segment with which a repository began anew."""
        if not begun or self.unusable or not _NAME.fullmatch(self.last):
            return False
        return split(self.last, segment_bytes) < split(begun, segment_bytes)


def gaps(
    segments: Iterable[str],
    backups: Sequence[Backup],
    *,
    histories: Mapping[int, str] | None = None,
    newest: str = "",
    segment_bytes: int = SEGMENT_BYTES,
) -> list[Gap]:
    """Missing ranges of WAL, oldest first; empty means unbroken from the oldest retained backup to now.

    `histories` are the texts of timelines' history files; `newest` is the last segment that PostgreSQL says it has
    archived (empty: the newest one in the archive). Without backups nothing is needed. A backup whose timeline was
    left before it ended needs only its own WAL. Raises BackupError for a history file that is none.
    """
    there = {split(name, segment_bytes) for name in segments}
    told = dict(histories or {})
    ends = list(there) + ([split(newest, segment_bytes)] if newest else [])
    line = max([timeline for timeline, _ in ends] + list(told), default=0)
    path = _path(line, told, segment_bytes)
    end = max((number for timeline, number in ends if _on(path, timeline, number)), default=-1)
    # The segment of the fork is the new timeline's current one until that has archived something.
    reached = max((number for timeline, number in ends if timeline == line), default=-1)
    if line > 1 and line not in told:
        # Where a repository begins on a later timeline, no backup in it has to come from an earlier one.
        labels = tuple(each.label for each in _by_age(backups) if _begins_before(each, line, segment_bytes))
        lost = f"{line:08X}.history"
        if labels:
            return [Gap(lost, lost, 1, labels, ())]

    missing: dict[tuple[int, int], tuple[list[str], list[str]]] = {}
    for backup in _by_age(backups):
        if not backup.wal_start or not backup.wal_stop:
            continue
        timeline, first = split(backup.wal_start, segment_bytes)
        own, stop = split(backup.wal_stop, segment_bytes)
        for needed in [(own if number == stop else timeline, number) for number in range(first, stop + 1)]:
            if needed not in there:
                for concerned in missing.setdefault(needed, ([], [])):
                    concerned.append(backup.label)
        if not _on(path, own, stop):
            continue
        for number in range(stop + 1, end + 1):
            needed = (_timeline_at(path, number), number)
            if needed not in there and (needed[0] != line or number <= reached):
                concerned = missing.setdefault(needed, ([], []))[0]
                if backup.label not in concerned:
                    concerned.append(backup.label)
    return _ranges(missing, segment_bytes)


def split(name: str, segment_bytes: int = SEGMENT_BYTES) -> tuple[int, int]:
    """(timeline, number of the segment since the beginning of WAL). Raises BackupError for another name."""
    if not _NAME.fullmatch(name):
        raise BackupError(f"{name!r} is no name of a WAL segment, which has 24 hexadecimal digits.")
    per_log = _LOG_BYTES // segment_bytes
    return int(name[:8], 16), int(name[8:16], 16) * per_log + int(name[16:], 16)


def name_of(timeline: int, number: int, segment_bytes: int = SEGMENT_BYTES) -> str:
    """The inverse of `split`."""
    log, rest = divmod(number, _LOG_BYTES // segment_bytes)
    return f"{timeline:08X}{log:08X}{rest:08X}"


def forks(text: str, segment_bytes: int = SEGMENT_BYTES) -> list[tuple[int, int]]:
    """(timeline that was left, number of the segment in which) out of a history file, oldest first.

    Raises BackupError when a line is no fork.
    """
    found = []
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _FORK.match(line)
        if match is None:
            raise BackupError(f"A timeline's history file has the line {line.strip()!r}, which names no fork.")
        position = (int(match.group(2), 16) << 32) + int(match.group(3), 16)
        found.append((int(match.group(1)), position // segment_bytes))
    return found


_Path = list[tuple[int, int, int | None]]
"""(timeline, first segment on it, first segment of the next timeline or None), oldest first."""


def _path(line: int, histories: Mapping[int, str], segment_bytes: int) -> _Path:
    path: _Path = []
    begin = 0
    for timeline, at in forks(histories.get(line, ""), segment_bytes):
        # The new timeline begins with a copy of the segment that it forks in, so recovery needs only the copy.
        path.append((timeline, begin, at))
        begin = at
    return [*path, (line, begin, None)]


def _on(path: _Path, timeline: int, number: int) -> bool:
    """Whether a recovery to now passes through the segment; the one of the fork counts on both of its timelines."""
    return any(each == timeline and begin <= number and (end is None or number <= end) for each, begin, end in path)


def _timeline_at(path: _Path, number: int) -> int:
    return next(timeline for timeline, begin, end in reversed(path) if number >= begin)


def _begins_before(backup: Backup, timeline: int, segment_bytes: int) -> bool:
    return not backup.wal_start or split(backup.wal_start, segment_bytes)[0] < timeline


def _by_age(backups: Sequence[Backup]) -> list[Backup]:
    return sorted((each for each in backups if not each.error), key=lambda each: each.stop)


def _ranges(missing: Mapping[tuple[int, int], tuple[list[str], list[str]]], segment_bytes: int) -> list[Gap]:
    found: list[Gap] = []
    previous: tuple[int, int] | None = None
    for timeline, number in sorted(missing):
        labels, unusable = (tuple(each) for each in missing[timeline, number])
        name = name_of(timeline, number, segment_bytes)
        last = found[-1] if found else None
        if last and previous == (timeline, number - 1) and (last.labels, last.unusable) == (labels, unusable):
            found[-1] = Gap(last.first, name, last.count + 1, labels, unusable)
        else:
            found.append(Gap(name, name, 1, labels, unusable))
        previous = timeline, number
    return found


def _listed(labels: Sequence[str]) -> str:
    """A gap can concern months of backups: the oldest and the newest tell which."""
    if len(labels) > 3:
        return f"{len(labels)} backups ({labels[0]} to {labels[-1]})"
    return " and ".join(filter(None, [", ".join(labels[:-1]), labels[-1] if labels else ""]))
