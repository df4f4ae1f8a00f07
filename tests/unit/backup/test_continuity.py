"""The archive is unbroken or it is not: every polarity of a gap."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.archive import newest_archive, parse_listing
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.command import BackupError
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.continuity import (
    SEGMENT_BYTES,
    Gap,
    forks,
    gaps,
    name_of,
    split,
)
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.info import Backup, parse_info

from .host import VERSIONS, recorded, without

FORK = {2: "1\t0/D0000A8\tbefore 2026-11-28 07:29:55+00\n"}
OLD, NEW = "20261101-030000F", "20261108-030000F"


def backup(label: str, start: int, stop: int, *, timeline: int = 1, stop_at: float = 0.0) -> Backup:
    names = name_of(timeline, start), name_of(timeline, stop)
    return Backup(label, "full", 1, "15-1", 0.0, stop_at or float(stop), *names, 1, 1, False, "")


def line(first: int, last: int, timeline: int = 1) -> list[str]:
    return [name_of(timeline, number) for number in range(first, last + 1)]


BACKUPS = [backup(OLD, 2, 3), backup(NEW, 8, 9)]


def test_an_unbroken_archive_has_no_gap() -> None:
    assert gaps(line(1, 12), BACKUPS) == []


@pytest.mark.parametrize(
    ("lost", "labels", "unusable"),
    [
        (12, (OLD, NEW), ()),
        (5, (OLD,), ()),
        (2, (OLD,), (OLD,)),
        (3, (OLD,), (OLD,)),
        (8, (OLD, NEW), (NEW,)),
        (10, (OLD, NEW), ()),
    ],
)
def test_a_lost_segment_is_found_and_names_the_backups_that_it_concerns(
    lost: int, labels: tuple[str, ...], unusable: tuple[str, ...]
) -> None:
    there = [name for name in line(1, 12) if name != name_of(1, lost)]
    name = name_of(1, lost)
    assert gaps(there, BACKUPS, newest=name_of(1, 12)) == [Gap(name, name, 1, labels, unusable)]


def test_what_is_lost_before_the_oldest_backup_is_needed_by_nobody() -> None:
    assert gaps(line(2, 12), BACKUPS) == []


def test_without_what_postgresql_says_a_lost_newest_segment_looks_like_the_end() -> None:
    assert gaps(line(1, 11), BACKUPS) == []
    assert [gap.first for gap in gaps(line(1, 11), BACKUPS, newest=name_of(1, 12))] == [name_of(1, 12)]


def test_neighbours_are_one_range() -> None:
    (gap,) = gaps([*line(1, 4), *line(7, 12)], BACKUPS)
    assert (gap.first, gap.last, gap.count) == (name_of(1, 5), name_of(1, 6), 2)
    assert gap.sentence == (
        f"The archive lacks {name_of(1, 5)} to {name_of(1, 6)} (2 segments): recovery from {OLD} stops before it."
    )


def test_sentences_tell_what_cannot_be_restored_and_what_stops_early() -> None:
    (gap,) = gaps([*line(1, 7), *line(9, 12)], BACKUPS)
    assert gap.sentence == (
        f"The archive lacks {name_of(1, 8)}: {NEW} cannot be restored and recovery from {OLD} stops before it."
    )


def test_without_backups_nothing_is_needed() -> None:
    assert gaps([name_of(1, 1), name_of(1, 9)], []) == []


def test_recovery_goes_through_the_fork() -> None:
    whole = [*line(1, 0xD), *line(0xD, 0xF, 2)]
    assert gaps(whole, BACKUPS, histories=FORK) == []
    for lost, needed in [(name_of(2, 0xD), True), (name_of(1, 0xC), True), (name_of(1, 0xD), False)]:
        found = gaps([name for name in whole if name != lost], BACKUPS, histories=FORK)
        assert [gap.first for gap in found] == ([lost] if needed else [])


def test_a_new_timeline_needs_its_first_segment_once_it_has_archived_one() -> None:
    before = line(1, 14)
    assert gaps(before, BACKUPS, histories=FORK, newest=name_of(1, 14)) == []
    later = gaps([*before, *line(14, 15, 2)], BACKUPS, histories=FORK)
    assert [each.first for each in later] == [name_of(2, 13)]


def test_what_a_parent_archived_after_the_fork_is_not_needed() -> None:
    assert gaps([*line(1, 0xC), *line(0xD, 0xF, 2)], BACKUPS, histories=FORK, newest=name_of(1, 0x20)) == []


def test_a_backup_of_a_timeline_that_was_left_needs_only_its_own_segments() -> None:
    left = backup("20261109-030000F", 0x10, 0x11)
    whole = [*line(1, 0x12), *line(0xD, 0x20, 2)]
    assert gaps(whole, [left], histories=FORK) == []
    lost = [name for name in whole if name != name_of(1, 0x11)]
    assert [gap.unusable for gap in gaps(lost, [left], histories=FORK)] == [("20261109-030000F",)]


def test_a_new_timeline_without_its_history_file_is_a_gap() -> None:
    (gap,) = gaps([*line(1, 0xD), *line(0xD, 0xF, 2)], BACKUPS)
    assert gap.first == "00000002.history"


def test_a_repository_that_begins_on_a_later_timeline_needs_no_history_of_it() -> None:
    late = dataclasses.replace(BACKUPS[-1], wal_start=name_of(2, 0xD), wal_stop=name_of(2, 0xD))
    assert gaps(line(0xD, 0xF, 2), [late]) == []
    (gap,) = gaps([*line(0xD, 0xD, 2), *line(0xF, 0xF, 2)], [late])
    assert gap.first == name_of(2, 0xE)


def test_segments_are_counted_over_logs_and_in_their_size() -> None:
    assert split("0000000100000001000000FF") == (1, 511)
    assert name_of(1, 512) == "000000010000000200000000"
    assert gaps(["0000000100000000000000FF", "000000010000000100000000"], [backup(OLD, 255, 255)]) == []
    big = 64 * 1024 * 1024
    assert split("00000001000000010000003F", big) == (1, 127)
    assert name_of(1, 128, big) == "000000010000000200000000"
    assert forks("1\t1/4000000\tno reason\n", big) == [(1, 65)]
    assert SEGMENT_BYTES == 16 * 1024 * 1024


@pytest.mark.parametrize("name", ["", "00000001000000000000000g", "00000002.history"])
def test_another_name_is_refused(name: str) -> None:
    with pytest.raises(BackupError, match="is no name of a WAL segment"):
        split(name)


def test_a_history_file_that_is_none_is_refused() -> None:
    with pytest.raises(BackupError, match="names no fork"):
        gaps(line(1, 3), BACKUPS, histories={2: "garbage\n"})


@pytest.mark.parametrize("version", VERSIONS)
def test_what_pgbackrest_really_says_is_continuous_until_a_segment_is_deleted(version: str) -> None:
    info = parse_info(recorded(f"info-{version}.json"))
    listing = recorded(f"archive-{version}.json")
    newest = "00000002000000000000000E"

    def first_lost(*deleted: str) -> list[str]:
        archive = newest_archive(parse_listing(without(listing, *deleted)))
        found = gaps(archive.segments, info.of(1), histories=dict.fromkeys(archive.histories, FORK[2]), newest=newest)
        return [gap.first for gap in found]

    assert first_lost() == []
    assert first_lost("000000010000000000000001") == []
    for deleted in ("000000010000000000000002", "00000001000000000000000B", newest, "00000002.history"):
        assert first_lost(deleted) == [deleted]


def test_a_gap_from_before_a_new_beginning_only_ends_the_reach_of_older_backups() -> None:
    (gap,) = gaps([*line(1, 4), *line(8, 12)], BACKUPS)
    assert gap.belongs_before(name_of(1, 8))
    # Negative controls: no beginning, one before the gap, and a gap in a backup itself.
    assert not gap.belongs_before("")
    assert not gap.belongs_before(name_of(1, 6))
    (broken,) = gaps([*line(1, 2), *line(4, 12)], BACKUPS)
    assert not broken.belongs_before(name_of(1, 8))
