"""What judges backups on real hosts can itself be wrong: it sees what it has to see."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from backed_site import _forms

from tests.testbed import acknowledged_rows, bulk_rows, disaster
from tests.testbed.acknowledged_rows import Ledger

SECRET = "correct-horse-battery-staple"


@pytest.mark.parametrize("before", [b"", b"a", b"ab", b"abc"])
@pytest.mark.parametrize("after", [b"", b"\n", b"zz", b"zzz"])
def test_a_secret_is_found_in_base64_wherever_it_stands(before: bytes, after: bytes) -> None:
    coded = base64.b64encode(before + SECRET.encode() + after).decode()
    assert any(form in coded for form in _forms(SECRET))
    assert not any(form in base64.b64encode(b"nothing of the kind " * 9).decode() for form in _forms(SECRET))


class Machine:
    """Answers every command with the same text."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def run(self, command: str, **_options: object) -> str:
        self.asked.append(command)
        return self.answers.pop(0)


PLAN: dict[str, Any] = {"mesh": {"platform": "systemd"}}


def test_rows_acknowledged_before_the_disaster_that_are_not_there_are_lost_oldest_first() -> None:
    ledger = Ledger("gateway", "token", rows=[("c", 30.0), ("a", 10.0), ("b", 20.0), ("later", 99.0)])
    assert ledger.lost(Machine("a\n"), PLAN, 50.0) == [("b", 20.0), ("c", 30.0)]
    assert ledger.lost(Machine("a b c"), PLAN, 50.0) == []


def test_a_refused_row_is_not_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        def __getattr__(self, _name: str) -> Any:
            raise OSError

        def close(self) -> None:
            return

    ledger = Ledger("gateway", "token")
    monkeypatch.setattr(acknowledged_rows.http.client, "HTTPConnection", lambda *_a, **_k: Refusing())
    assert not ledger.write()
    assert (ledger.rows, ledger.refused) == ([], 1)


def test_rows_are_added_until_the_database_is_as_large_as_wanted() -> None:
    vm = Machine("400000000", "", "1100000000", "", "1100000001")
    assert bulk_rows.fill(vm, PLAN, 1000) == 1_100_000_001
    assert "generate_series(0, 99999)" in vm.asked[1]


def test_what_disasters_cost_is_kept_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disaster, "REPOSITORY", tmp_path)
    held = disaster.Held("idle", 10**9, 5, 1, 4.0, 30.0, 60.0, 8.0, 2.0)
    for _ in range(2):
        disaster._keep("acme", held)
    assert disaster.kept("acme") == [held, held]
    assert held.ratio == 3.0
    assert "3.0 × raw copy" in held.line
