"""The moment of the disaster: which segment was the last."""

from __future__ import annotations

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.command import BackupError
from ansible_collections.aimesh.mesh.plugins.module_utils.backup.live import Live
from ansible_collections.aimesh.mesh.plugins.module_utils.restore_drill.moment import NOW, WORST, choose

SEGMENTS = [f"0000000100000000000000{number:02X}" for number in range(16)]


class Cluster:
    """Archives a segment every `every` seconds of its own clock."""

    def __init__(self, every: float, failed_at: float = 0.0) -> None:
        self.now, self._every, self._failed_at = 1000.0, every, failed_at

    def look(self) -> Live:
        number = int((self.now - 1000) // self._every) if self._every else 0
        at = 1000 + number * self._every
        return Live("1", 1 << 24, "on", False, "", SEGMENTS[number], at, "broken", self._failed_at, 0, 1, 1, self.now)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def choose(self, moment: str) -> str:
        return choose(moment, 30.0, self.look, clock=lambda: self.now, sleep=self.sleep)


def test_now_waits_for_nothing() -> None:
    cluster = Cluster(30)
    assert cluster.choose(NOW) == SEGMENTS[0]
    assert cluster.now == 1000


def test_the_worst_moment_is_just_before_the_next_segment() -> None:
    cluster = Cluster(30)
    assert cluster.choose(WORST) == SEGMENTS[1]
    assert 1059 <= cluster.now < 1060


def test_an_archive_that_stands_still_ends_the_wait() -> None:
    with pytest.raises(BackupError, match=r"In 150 s PostgreSQL archived nothing at the pace"):
        Cluster(0).choose(WORST)


@pytest.mark.parametrize("moment", [NOW, WORST])
def test_an_archive_that_fails_is_named_at_once(moment: str) -> None:
    with pytest.raises(BackupError, match="could not archive broken"):
        Cluster(30, failed_at=2000.0).choose(moment)
