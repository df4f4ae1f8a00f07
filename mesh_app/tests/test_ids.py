"""Identifiers are UUIDs of version 7 whose order is the order of time."""

from __future__ import annotations

import time

import pytest

from mesh.storage.ids import new_id

NOON = 1_795_867_200_000_000_000


def test_an_identifier_is_a_version_7_uuid_of_now() -> None:
    before = time.time_ns() // 1_000_000
    made = new_id()
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000


def test_identifiers_of_one_millisecond_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for nanoseconds in range(0, 1_000_000, 500):
        monkeypatch.setattr(time, "time_ns", lambda at=NOON + nanoseconds: at)
        made.append(new_id())
    assert made == sorted(made)
    assert len({one.int >> 80 for one in made}) == 1


def test_identifiers_of_one_instant_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: NOON + 999_999)
    assert len({new_id() for _ in range(1000)}) == 1000
