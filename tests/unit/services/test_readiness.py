from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils import readiness
from ansible_collections.aimesh.mesh.plugins.module_utils.readiness import Gate, gate_of, judge_answer, wait_until_ready


@contextmanager
def server(status: int, document: Any, before: Callable[[], object] = lambda: None) -> Iterator[str]:
    """A service that answers so; `before` is called before each answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            before()
            body = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            return

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{httpd.server_address[1]}/health"
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def hope(_name: str) -> str | None:
    return None


def test_a_gate_opens_at_200_with_the_wanted_version() -> None:
    with server(200, {"status": "ok", "version": "1.0.0+ab"}) as url:
        (outcome,) = wait_until_ready([Gate("u", url=url, version="1.0.0+ab", timeout_s=2)], hope)
    assert outcome.ready and outcome.seen == "status 200 with version 1.0.0+ab"


def test_another_version_keeps_the_gate_shut_and_is_named() -> None:
    with server(200, {"version": "0.9.0+ff"}) as url:
        (outcome,) = wait_until_ready([Gate("u", url=url, version="1.0.0+ab", timeout_s=0.3)], hope)
    assert not outcome.ready and outcome.seen == "status 200 with version 0.9.0+ff"


def test_a_process_that_accepts_but_never_answers_ends_at_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        url = f"http://127.0.0.1:{frozen.getsockname()[1]}/health"
        (outcome,) = wait_until_ready([Gate("u", url=url, timeout_s=0.5)], hope)
    assert not outcome.ready and outcome.seen == "no answer within 0.5 s"


def test_what_a_unit_answered_is_told_when_the_last_attempt_has_too_little_time_for_an_answer() -> None:
    asked: list[float] = []

    def slower() -> None:
        asked.append(time.monotonic())
        if len(asked) > 1:
            time.sleep(1.0)

    with server(503, {"detail": "This build is never ready"}, before=slower) as url:
        (outcome,) = wait_until_ready([Gate("u", url=url, timeout_s=0.7)], hope)
    assert not outcome.ready
    assert len(asked) > 1, "there was no attempt that was cut short"
    assert outcome.seen == "status 503 (This build is never ready)"


def test_all_gates_are_awaited_at_the_same_time() -> None:
    together = threading.Barrier(8)
    with server(200, {"version": "v"}, before=lambda: together.wait(readiness.ATTEMPT_TIMEOUT_S)) as url:
        outcomes = wait_until_ready([Gate(f"u{n}", url=url, version="v", timeout_s=2) for n in range(8)], hope)
    assert all(outcome.ready for outcome in outcomes)
    assert [outcome.gate.name for outcome in outcomes] == [f"u{n}" for n in range(8)]


def test_trouble_ends_the_wait_long_before_the_timeout() -> None:
    gate, asked = Gate("u", tcp=("127.0.0.1", closed_port()), timeout_s=60), []

    def trouble(name: str) -> str:
        asked.append(name)
        return f"{name} crashed 3 times"

    (outcome,) = wait_until_ready([gate], trouble)
    assert not outcome.ready and asked == ["u"]
    assert outcome.seen == "u crashed 3 times; connection refused"


def test_a_foreign_process_on_the_port_does_not_make_a_dead_unit_ready() -> None:
    with socket.create_server(("127.0.0.1", 0)) as foreign:
        gate = Gate("u", tcp=("127.0.0.1", foreign.getsockname()[1]), timeout_s=5)
        (outcome,) = wait_until_ready([gate], lambda _name: "failed (Result: exit-code)")
    assert not outcome.ready


def test_an_open_tcp_port_opens_its_gate_and_a_closed_one_does_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        open_gate = Gate("open", tcp=("127.0.0.1", listener.getsockname()[1]), timeout_s=2)
        shut_gate = Gate("shut", tcp=("127.0.0.1", closed_port()), timeout_s=0.3)
        opened, shut = wait_until_ready([open_gate, shut_gate], hope)
    assert opened.ready
    assert not shut.ready and shut.seen == "connection refused"


def test_a_unit_without_a_gate_must_stay_up_for_a_while() -> None:
    (good,) = wait_until_ready([Gate("u")], hope)
    assert good.ready and good.seconds >= readiness.SETTLE_S
    answers = iter([None, None, "exited with 1"])
    (bad,) = wait_until_ready([Gate("u")], lambda _name: next(answers))
    assert not bad.ready and bad.seen == "exited with 1"


def test_no_gates_need_no_waiting() -> None:
    assert wait_until_ready([], hope) == []


@pytest.mark.parametrize(
    ("status", "body", "version", "expected"),
    [
        (200, b"{}", None, (True, "status 200")),
        (200, b"not json", None, (True, "status 200")),
        (200, b"not json", "v", (False, "status 200 without a version")),
        (200, b"[1]", "v", (False, "status 200 without a version")),
        (404, b"", "v", (False, "status 404")),
        (
            503,
            b'{"checks": {"redis": {"ok": true}, "postgresql": {"ok": false, "error": "wrong password"}}}',
            "v",
            (False, "status 503 (postgresql: wrong password)"),
        ),
        (
            503,
            b'{"schema": {"have": 2, "want": 3, "compatible_from": 1}, "checks": {}}',
            "v",
            (False, "status 503 (schema: has 2, wants 3)"),
        ),
        (500, b'{"detail": "broken"}', "v", (False, "status 500 (broken)")),
        (503, b'{"checks": "odd", "schema": 7}', "v", (False, "status 503")),
    ],
)
def test_an_answer_is_judged_by_status_and_version_and_says_what_is_wrong(
    status: int, body: bytes, version: str | None, expected: tuple[bool, str]
) -> None:
    assert judge_answer(status, body, version) == expected


def test_the_failure_message_names_unit_gate_observation_and_log_lines_of_the_failed_ones_only() -> None:
    gate = Gate("aimesh-registry@a", url="http://127.0.0.1:1/health", version="v1", timeout_s=60)
    outcomes = [
        readiness.Outcome(Gate("fine"), True, "up", 1.0),
        readiness.Outcome(gate, False, "connection refused", 60.2),
    ]
    message = readiness.failure_message(outcomes, lambda name: [f"{name} says no"])
    assert message == (
        "aimesh-registry@a is not ready after 60 s: wanted http://127.0.0.1:1/health answers 200 with version v1, "
        "seen: connection refused.\nLast log lines of aimesh-registry@a:\n  aimesh-registry@a says no"
    )
    assert readiness.failure_message(outcomes, lambda _name: []).endswith("It has logged nothing.")


def test_gates_are_read_from_the_units_option() -> None:
    assert gate_of("u", None) == Gate("u")
    assert gate_of("u", {"url": "http://h/", "version": "v", "tcp": None, "timeout_s": 5}) == Gate(
        "u", url="http://h/", version="v", timeout_s=5.0
    )
    assert gate_of("u", {"tcp": ["127.0.0.1", "6379"]}) == Gate("u", tcp=("127.0.0.1", 6379))
