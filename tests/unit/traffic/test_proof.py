"""The arithmetic of a proof: what counts, in which phase, in which order, and what the verdict is."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.traffic import ledger
from ansible_collections.aimesh.mesh.plugins.module_utils.traffic.comparison import Stored
from ansible_collections.aimesh.mesh.plugins.module_utils.traffic.events import EventParser, Seen
from ansible_collections.aimesh.mesh.plugins.module_utils.traffic.generator import CYCLE, Observed
from ansible_collections.aimesh.mesh.plugins.module_utils.traffic.ledger import Entry, Ledger, read_entries
from ansible_collections.aimesh.mesh.plugins.module_utils.traffic.proof import Marks, prove, sentence, summary
from ansible_collections.aimesh.mesh.plugins.module_utils.traffic.requests import wrong_export

OLD, NEW = "1.0.0+a", "1.1.0+b"
MARKS = Marks(during=10.0, after=20.0, release=NEW)


def health(t: float, version: str, instance: str = "registry@a", ms: float = 5.0) -> Entry:
    return Entry(t, "health", "registry", "/health", 200, ms, version=version, instance=instance)


def agent(t: float, name: str, **values: Any) -> Entry:
    return replace(Entry(t, "agent", "api-gateway", "/api/v1/agents", 201, 5.0, id=name), **values)


COURSE = [health(1, OLD), health(9, OLD), health(15, NEW), health(25, NEW)]


def proof(entries: list[Entry], observed: Observed | None = None, marks: Marks = MARKS) -> dict[str, Any]:
    return prove("r", entries, marks, observed or Observed([], Stored()), 2.0)


def stored(*names: str) -> Observed:
    return Observed([], Stored(agents=Counter(names)))


def test_a_course_from_old_to_new_passes() -> None:
    told = proof(COURSE)
    assert (told["verdict"], told["reasons"], told["versions_in_order"]) == ("pass", [], True)
    assert told["versions"]["registry"] == [
        {"version": OLD, "first": 1.005, "last": 9.005, "count": 2},
        {"version": NEW, "first": 15.005, "last": 25.005, "count": 2},
    ]


def test_a_rollback_is_in_order_too() -> None:
    there_and_back = [health(1, NEW), health(15, OLD), health(25, OLD)]
    assert proof(there_and_back, marks=replace(MARKS, release=OLD))["verdict"] == "pass"


def test_instances_change_one_after_the_other_and_that_is_in_order() -> None:
    told = proof([health(1, OLD), health(12, NEW, "registry@b"), health(13, OLD), health(14, NEW), health(25, NEW)])
    assert told["versions_in_order"]


def test_an_instance_that_goes_back_is_out_of_order() -> None:
    told = proof([health(11, OLD), health(12, NEW), health(13, OLD), health(25, NEW)])
    assert told["reasons"] == [f"registry@a went back to a version it had left: {OLD} → {NEW} → {OLD} → {NEW}."]
    assert told["verdict"] == "fail"


def test_order_is_that_of_the_ends_of_answers() -> None:
    slow = health(11, OLD, ms=900.0)
    assert proof([health(12, NEW), slow, health(25, NEW)])["versions_in_order"]


def test_without_a_mark_after_no_version_is_late() -> None:
    assert proof(COURSE[:2], marks=Marks(during=10.0))["versions_in_order"]


def test_what_was_in_hand_when_the_rollout_began_counts_as_during() -> None:
    told = proof([*COURSE, health(9.9, OLD, ms=400.0)])
    assert told["p99_ms"] == {"before": 5.0, "during": 400.0, "after": 5.0}


def test_percentiles_are_values_that_were_measured() -> None:
    told = proof([health(1 + n / 100, OLD, ms=float(n + 1)) for n in range(100)])
    assert (told["p50_ms"]["before"], told["p99_ms"]["before"]) == (50.0, 99.0)
    assert told["p99_ms"]["during"] is None


def test_latency_far_beyond_its_factor_is_reported_and_no_verdict() -> None:
    told = proof([*COURSE, health(16, NEW, ms=500.0)])
    assert (told["p99_ratio"], told["verdict"]) == (100.0, "pass")


@pytest.mark.parametrize(
    ("entries", "observed", "numbers"),
    [
        ([agent(11, "x")], stored("x"), {"acknowledged": 1, "duplicated": 0, "lost": 0, "never_sent": 0}),
        ([agent(11, "x")], stored("x", "x"), {"duplicated": 1}),
        ([agent(11, "x")], stored(), {"lost": 1}),
        ([agent(11, "x")], stored("x", "y"), {"never_sent": 1}),
        ([agent(11, "x", status=0, what="cut")], stored("x"), {"acknowledged": 0, "lost": 0, "failed": 1}),
        (
            [agent(11, "x", status=0, what="cut"), agent(12, "x", again=True)],
            stored("x"),
            {"acknowledged": 1, "failed": 1, "repeated": 1, "sent": 5},
        ),
        ([agent(11, "x", status=0, what="cut"), agent(12, "x", again=True)], stored(), {"lost": 1}),
    ],
)
def test_what_was_acknowledged_is_compared_with_what_is_stored(
    entries: list[Entry], observed: Observed, numbers: dict[str, int]
) -> None:
    told = proof([*COURSE, *entries], observed)
    assert {name: told[name] for name in numbers} == numbers
    clean = not any(told[name] for name in ("failed", "duplicated", "lost", "never_sent"))
    assert (told["verdict"] == "pass") == clean


def test_a_store_that_cannot_be_asked_is_no_pass() -> None:
    told = proof(COURSE, Observed([], Stored(problem="What the mesh stored cannot be asked: refused.")))
    assert told["reasons"] == ["What the mesh stored cannot be asked: refused."]


@pytest.mark.parametrize(
    ("seen", "missed"),
    [
        (Seen("registry", {"x"}, connected=5.0), 0),
        (Seen("registry", set(), connected=5.0), 1),
        (Seen("registry", set(), connected=None), 0),
        (Seen("registry", set(), connected=11.5), 0),
        (Seen("registry", set(), connected=5.0, left=30.0), 1),
        (Seen("registry", set(), connected=5.0, left=12.0), 0),
    ],
)
def test_events_are_owed_from_the_first_stream_to_the_last(seen: Seen, missed: int) -> None:
    told = proof([*COURSE, agent(11, "x")], Observed([seen], Stored(agents=Counter(["x"]))))
    assert told["missed_events"] == missed
    assert (told["verdict"] == "pass") == (missed == 0)


def test_a_load_that_died_or_sent_nothing_proves_nothing() -> None:
    assert prove("r", COURSE, MARKS, None, 2.0)["verdict"] == "fail"
    assert "No request was sent." in proof([])["reasons"]


def test_a_kind_that_is_not_offered_is_neither_sent_nor_failed() -> None:
    told = proof([*COURSE, Entry(11, "export", "api-gateway", "/x", 404, 1.0, unavailable=True)])
    assert (told["sent"], told["failed"], told["by_kind"]["export"]["not_offered"]) == (4, 0, 1)


def test_summary_and_sentence_say_the_verdict() -> None:
    told = proof([*COURSE, agent(11, "x", status=503, what="status 503")], stored())
    assert summary(told)["failed"] == 1
    assert sentence(told) == (
        "5 requests: 1 failed, 0 duplicated, 0 lost; p99 5 ms before, 5 ms during, 5 ms after; "
        "fail: 1 of 5 requests failed; the first: agent at api-gateway, status 503."
    )


def test_a_ledger_reads_back_but_for_a_line_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    written = Ledger(path)
    for entry in COURSE:
        written.add(entry)
    written.close()
    with path.open("a") as stream:
        stream.write('{"t": 1, "ki')
    assert list(read_entries(path)) == COURSE
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_ledger_stops_at_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "BYTES_LIMIT", 300)
    written = Ledger(tmp_path / "ledger.jsonl")
    for _ in range(10):
        written.add(COURSE[0])
    assert written.problem == "its ledger reached its bound"
    assert (tmp_path / "ledger.jsonl").stat().st_size <= 300


def test_a_ledger_on_a_full_disk_holds_whole_lines_only_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, write, room = tmp_path / "ledger.jsonl", os.write, [1000, 20]
    written = Ledger(path)
    monkeypatch.setattr(ledger.os, "write", lambda file, line: write(file, line[: room.pop(0)]))
    for entry in COURSE[:3]:
        written.add(entry)
    assert written.problem == "its ledger cannot be written: No space left on device"
    assert list(read_entries(path)) == COURSE[:1]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"name": "x"}\n{"count": 1}\n', ""),
        (b'{"count": 0}\n', "lacks 1 acknowledged agents, the first is x"),
        (b'{"name": "x"}\n', "without its count"),
        (b"", "without its count"),
        (b'{"name": "x"}\n{"count": 2}\n', "counts 2 agents and holds 1"),
        (b'{"name": "x"}\n{"name": "x"}\n{"count": 2}\n', "twice"),
        (b'{"name": "x"}\n{"cou', "not JSON"),
    ],
)
def test_a_streamed_list_has_to_be_whole(body: bytes, says: str) -> None:
    wrong = wrong_export(body, {"x"})
    assert (says in wrong) if says else wrong == ""


def test_events_are_read_in_whatever_pieces_they_come() -> None:
    text = b'retry: 250\n\n: alive\n\nid: 7\r\nevent: agent\r\ndata: {"a":\r\ndata: 1}\r\n\r\nid: 8\ndata: x\n\n'
    for size in (1, 7, len(text)):
        parser = EventParser()
        events = [event for at in range(0, len(text), size) for event in parser.feed(text[at : at + size])]
        assert events == [("7", "agent", '{"a":\n1}'), ("8", "", "x")]
        assert parser.retry_s == 0.25


def test_every_kind_has_its_share_of_the_rate() -> None:
    assert Counter(CYCLE) == {"health": 6, "read": 5, "agent": 3, "evaluate": 2, "sample": 3, "export": 1}
