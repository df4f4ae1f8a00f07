"""When a run is due in a pod: what systemd and cron would say of the same words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.backup_pod.calendar_times import times_of
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.data import backup_defaults
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.kinds import Calendar, Cron
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.problems import Problems

SATURDAY = datetime(2026, 11, 28, 10, 7, 30, tzinfo=UTC)
CASES = {
    "Sun *-*-* 03:00:00": "2026-11-29 03:00",
    "Mon..Sat *-*-* 03:00:00": "2026-11-30 03:00",
    "Fri..Mon 03:00": "2026-11-29 03:00",
    "Mon,Wed *-*-* 03:00": "2026-11-30 03:00",
    "*-*-* 00/6:30:00": "2026-11-28 12:30",
    "*-*-* *:00/15:00": "2026-11-28 10:15",
    "*-*-* *:05,40": "2026-11-28 10:40",
    "*-12-24 18,20:00": "2026-12-24 18:00",
    "*-02-29 00:00": "2028-02-29 00:00",
    "03:40": "2026-11-29 03:40",
    "hourly": "2026-11-28 11:00",
    "daily": "2026-11-29 00:00",
    "weekly": "2026-11-30 00:00",
    "0 2 * * *": "2026-11-29 02:00",
    "*/10 * * * *": "2026-11-28 10:10",
    "5-20/5 10 * * *": "2026-11-28 10:10",
    "0 2 * * 7": "2026-11-29 02:00",
    "0 2 * * 1-5": "2026-11-30 02:00",
    "0 2 30 * 0": "2026-11-29 02:00",
    "0 2 1 1 *": "2027-01-01 02:00",
}


@pytest.mark.parametrize(("text", "wanted"), CASES.items(), ids=list(CASES))
def test_the_next_time_is_the_one_that_the_words_say(text: str, wanted: str) -> None:
    kind = Cron() if len(text.split()) == 5 else Calendar()
    problems = Problems()
    kind.check(text, "mesh_backup", problems, "")
    assert not problems, "an inventory may say so"
    found = times_of(text).after(SATURDAY.timestamp())
    assert found is not None
    assert datetime.fromtimestamp(found, UTC).strftime("%Y-%m-%d %H:%M") == wanted


def test_a_time_is_not_due_twice() -> None:
    times = times_of("0 2 * * *")
    first = times.after(SATURDAY.timestamp())
    assert first is not None
    assert times.after(first) == first + 86400


def test_a_day_that_never_comes_is_never_due() -> None:
    assert times_of("0 2 30 2 *").after(SATURDAY.timestamp()) is None


def test_every_default_is_understood() -> None:
    for text in backup_defaults()["timers"].values():
        assert times_of(text).after(0.0)


@pytest.mark.parametrize("text", ["", "every sunday", "61 * * * *", "*-*-* 25:00", "a b c d e"])
def test_what_is_neither_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        times_of(text)
