"""The alert receiver, as a real process: what it keeps, what it refuses, and what it outlives."""

from __future__ import annotations

import http.client
import json
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from monitoring_tools import tool
from receiver_process import PROGRAM, TOKEN, ReceiverProcess, alert, free_port, message

MAKES = Callable[..., ReceiverProcess]
DRILL_PASSED = "aimesh_drill_alerts_last_success_timestamp_seconds"
FILES_LIMIT = 4 * 1024 * 1024
EX_CONFIG = 78
POST = b"POST /webhook HTTP/1.1\r\nAuthorization: Bearer " + TOKEN.encode() + b"\r\n"


@pytest.fixture
def make(tmp_path: Path) -> Iterator[MAKES]:
    made: list[ReceiverProcess] = []

    def started(*options: str, prepare: Callable[[], None] | None = None) -> ReceiverProcess:
        made.append(ReceiverProcess(tmp_path / f"receiver-{len(made)}", *options, prepare=prepare))
        made[-1].start()
        return made[-1]

    yield started
    for receiver in made:
        receiver.stop()


@pytest.fixture
def receiver(make: MAKES) -> ReceiverProcess:
    return make()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceiverProcess]:
    """One that is asked only what it refuses; at the end it still serves."""
    made = ReceiverProcess(tmp_path_factory.mktemp("shared"))
    made.start()
    yield made
    assert made.deliver(alert("ServiceDown")).status == 200
    assert made.active() == ["ServiceDown"]
    assert made.stop() == 0
    assert "Traceback" not in made.log.read_text()


def eventually(claim: Callable[[], bool], timeout: float = 20.0) -> None:
    deadline = time.monotonic() + timeout
    while not claim():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


def test_what_fires_is_active_until_it_is_resolved(receiver: ReceiverProcess) -> None:
    before = time.time()
    first, second = alert("ServiceDown", service="registry", severity="critical"), alert("DiskFull", severity="ticket")
    assert receiver.deliver(first, second).json == {"stored": 2}
    found = receiver.alerts()
    assert [each["labels"] for each in found["active"]] == [first["labels"], second["labels"]]
    assert found["active"][0]["annotations"] == {"summary": "ServiceDown happened"}
    assert found["active"][0]["since"] == "2026-01-31T12:00:00.123Z"
    assert before - 0.01 <= found["active"][0]["received"] <= time.time()
    receiver.deliver(alert("ServiceDown", "resolved", service="registry", severity="critical"))
    assert receiver.active() == ["DiskFull"]


def test_the_end_of_another_alert_of_that_name_ends_nothing(receiver: ReceiverProcess) -> None:
    receiver.deliver(alert("ServiceDown", service="registry"))
    receiver.deliver(alert("ServiceDown", "resolved", service="policy"))
    assert receiver.active() == ["ServiceDown"]


def test_an_alert_that_is_told_again_is_one_alert_received_later(receiver: ReceiverProcess) -> None:
    receiver.deliver(alert("ServiceDown"))
    before = receiver.alerts()["active"][0]["received"]
    time.sleep(0.01)
    receiver.deliver(alert("ServiceDown"))
    (again,) = receiver.alerts()["active"]
    assert again["received"] > before
    assert len(receiver.deliveries()) == 2


def test_the_watchdog_is_not_among_the_active_and_its_time_is_kept(receiver: ReceiverProcess) -> None:
    assert receiver.alerts() == {"watchdog_received": None, "active": []}
    assert receiver.metric("aimesh_alert_watchdog_received_timestamp_seconds") == 0
    receiver.deliver(alert("Watchdog", severity="none"))
    found = receiver.alerts()
    assert found["active"] == []
    assert time.time() - 10 < found["watchdog_received"] <= time.time()
    assert receiver.metric("aimesh_alert_watchdog_received_timestamp_seconds") == found["watchdog_received"]


@pytest.mark.parametrize(
    "impostor", [alert("Watchdog", "resolved"), alert("Watchdog", drill="true"), alert("watchdog")]
)
def test_a_watchdog_that_ends_or_is_part_of_a_drill_is_no_sign_of_life(
    receiver: ReceiverProcess, impostor: dict[str, object]
) -> None:
    receiver.deliver(impostor)
    assert receiver.alerts()["watchdog_received"] is None


def test_a_drill_is_in_the_ledger_and_not_among_the_active(receiver: ReceiverProcess) -> None:
    receiver.deliver(alert("ServiceDown", drill="true", drill_id="d-1"), alert("ServiceDown"))
    receiver.deliver(alert("ServiceDown", "resolved", drill="true", drill_id="d-1"))
    receiver.deliver(alert("ServiceDown", drill="true", drill_id="d-2"))
    assert receiver.active() == ["ServiceDown"]
    assert [line["status"] for line in receiver.deliveries("?drill=d-1")] == ["firing", "resolved"]
    assert receiver.deliveries("?drill=d-3") == []
    assert receiver.deliveries("?drill=") == []
    assert len(receiver.deliveries()) == 4


def test_a_ledger_line_has_what_was_told_and_when(receiver: ReceiverProcess) -> None:
    given = alert("ServiceDown", service="registry")
    receiver.deliver(given)
    (line,) = receiver.deliveries()
    kept = ("status", "labels", "annotations", "startsAt", "endsAt", "fingerprint")
    assert line == {
        "received": line["received"],
        **{name: given[name] for name in kept},
        "receiver": "ledger",
        "groupKey": message()["groupKey"],
    }
    assert abs(line["received"] - time.time()) < 10


def test_deliveries_are_chosen_by_time(receiver: ReceiverProcess) -> None:
    receiver.deliver(alert("First"))
    time.sleep(0.01)
    receiver.deliver(alert("Second"))
    first, second = receiver.deliveries()
    assert receiver.deliveries(f"?since={second['received']}") == [second]
    assert receiver.deliveries(f"?since={first['received']}") == [first, second]
    assert receiver.deliveries(f"?since={time.time() + 60}") == []


@pytest.mark.parametrize("since", ["yesterday", "nan", "inf", ""])
def test_a_time_that_is_none_is_refused(shared: ReceiverProcess, since: str) -> None:
    answer = shared.call("GET", f"/deliveries?since={since}")
    assert (answer.status, answer.error) == (400, "since is not a Unix time in seconds.")


@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN[:-1], TOKEN + "x", "é"])
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/webhook"), ("GET", "/alerts"), ("GET", "/deliveries"), ("GET", "/x")]
)
def test_without_the_token_nothing_is_told_and_nothing_is_taken(
    shared: ReceiverProcess, method: str, path: str, token: str | None
) -> None:
    body = json.dumps(message(alert("Forged"))).encode() if method == "POST" else None
    answer = shared.call(method, path, body, token=token)
    assert (answer.status, answer.error) == (401, "The bearer token is missing or wrong.")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert shared.active() == []


def test_health_and_metrics_need_no_token(shared: ReceiverProcess) -> None:
    health = shared.call("GET", "/health", token=None)
    assert (health.status, health.json["status"]) == (200, "ok")
    assert shared.call("GET", "/metrics", token=None).status == 200


def test_a_token_file_that_changes_is_read_again(receiver: ReceiverProcess) -> None:
    fresh = "another-token-7d793037a0760186574b0282f2f435e7"
    receiver.token_file.write_text(fresh)
    assert receiver.call("GET", "/alerts", token=TOKEN).status == 401
    assert receiver.call("GET", "/alerts", token=fresh).status == 200
    receiver.token_file.write_text("")
    assert receiver.call("GET", "/alerts", token=fresh).status == 200, "an empty file is no token"
    assert receiver.call("GET", "/alerts", token="").status == 401
    receiver.token_file.unlink()
    assert receiver.call("GET", "/alerts", token=fresh).status == 200


FAULTS: dict[str, tuple[object, str]] = {
    "no JSON": (b"{", "is not JSON"),
    "not UTF-8": (b'{"alerts": ["\xff"]}', "is not JSON"),
    "too deep": (b"[" * 200_000, "is not JSON"),
    "a list": ([], "no list of alerts"),
    "no alerts": ({"version": "4"}, "no list of alerts"),
    "alerts no list": (message() | {"alerts": {}}, "no list of alerts"),
    "an alert that is none": (message() | {"alerts": ["x"]}, "is not an object"),
    "an unknown status": (message(alert("A", "pending")), "firing or resolved"),
    "a status that is none": (message(alert("A") | {"status": {}}), "firing or resolved"),
    "no labels": (message(alert("A") | {"labels": None}), "labels of an alert"),
    "labels that are none": (message(alert("A") | {"labels": {"a": 1}}), "labels of an alert"),
    "annotations that are none": (message(alert("A") | {"annotations": [1]}), "annotations of an alert"),
    "a time that is none": (message(alert("A") | {"startsAt": 5}), "startsAt"),
    "a group that is none": (message(alert("A")) | {"groupKey": []}, "groupKey"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_message_that_is_none_is_refused_as_a_whole(shared: ReceiverProcess, fault: str) -> None:
    body, words = FAULTS[fault]
    answer = shared.call("POST", "/webhook", body if isinstance(body, bytes) else json.dumps(body).encode())
    assert answer.status == 400
    assert words in answer.error
    assert answer.error.count(".") == 1
    assert shared.deliveries() == []


def test_one_bad_alert_of_a_message_leaves_none_of_it(shared: ReceiverProcess) -> None:
    assert shared.deliver(alert("Good"), alert("Bad") | {"labels": 7}).status == 400
    assert shared.deliveries() == []


def test_a_body_beyond_the_limit_is_refused_and_one_at_the_limit_is_not(make: MAKES) -> None:
    receiver = make()
    body = json.dumps(message(alert("Long"))).encode()
    assert receiver.call("POST", "/webhook", body.ljust(1024 * 1024)).status == 200
    answer = receiver.call("POST", "/webhook", body.ljust(1024 * 1024 + 1))
    assert (answer.status, answer.error) == (413, "The body is larger than 1048576 bytes.")
    assert len(receiver.deliveries()) == 1


@pytest.mark.parametrize(("token", "status"), [(TOKEN, 413), ("wrong", 401)])
def test_a_refusal_reaches_a_client_that_still_sends(shared: ReceiverProcess, token: str, status: int) -> None:
    assert shared.call("POST", "/webhook", b" " * 16 * 1024 * 1024, token=token).status == status


def test_a_message_that_would_fill_the_ledger_alone_is_refused(shared: ReceiverProcess) -> None:
    group = message(*[{"status": "firing", "labels": {}} for _ in range(2000)]) | {"groupKey": "k" * 4000}
    assert shared.call("POST", "/webhook", json.dumps(group).encode()).status == 413
    assert shared.deliveries() == []


@pytest.mark.parametrize(
    ("method", "path", "status", "allowed"),
    [
        ("GET", "/nowhere", 404, None),
        ("GET", "/", 404, None),
        ("GET", "/webhook", 405, "POST"),
        ("POST", "/alerts", 405, "GET"),
        ("DELETE", "/deliveries", 405, "GET"),
        ("POST", "/health", 405, "GET"),
        ("PUT", "/metrics", 405, "GET"),
    ],
)
def test_another_path_or_method_is_refused(
    shared: ReceiverProcess, method: str, path: str, status: int, allowed: str | None
) -> None:
    answer = shared.call(method, path)
    assert (answer.status, answer.headers.get("allow")) == (status, allowed)
    assert answer.error.endswith(".")


@pytest.mark.parametrize(
    "raw",
    [
        b"\r\n\r\n",
        b"HELLO\r\n\r\n",
        b"\x16\x03\x01\x02\x00\r\n\r\n",
        b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\n\r\n",
        POST + b"\r\n",
        POST + b"Content-Length: -1\r\n\r\n",
        POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused(shared: ReceiverProcess, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", shared.port), timeout=10) as client:
        client.sendall(raw)
        assert client.recv(65536).startswith(b"HTTP/1.1 400 ")


def test_a_client_that_leaves_in_the_middle_harms_nobody(shared: ReceiverProcess) -> None:
    for sent in (b"", b"POST /web", POST + b"Content-Length: 9\r\n\r\n{"):
        with socket.create_connection(("127.0.0.1", shared.port), timeout=10) as client:
            client.sendall(sent)
    assert shared.deliveries() == []


def test_slow_clients_are_sent_away_and_keep_nobody_else_waiting(shared: ReceiverProcess) -> None:
    slow = [socket.create_connection(("127.0.0.1", shared.port), timeout=10) for _ in range(30)]
    started = time.monotonic()
    for client in slow:
        client.sendall(b"POST /webhook HTTP/1.1\r\n")
    assert shared.call("GET", "/health").status == 200
    assert time.monotonic() - started < 2
    for client in slow:
        assert client.recv(1) == b""
        client.close()
    assert 4 < time.monotonic() - started < 8


def test_more_clients_than_it_serves_are_sent_away_at_once(make: MAKES) -> None:
    receiver = make()
    held = [socket.create_connection(("127.0.0.1", receiver.port), timeout=10) for _ in range(64)]
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=10) as surplus:
        assert surplus.recv(1) == b""
    assert time.monotonic() - started < 2
    for client in held:
        client.close()
    eventually(lambda: answers(receiver))


def answers(receiver: ReceiverProcess) -> bool:
    try:
        return receiver.call("GET", "/health").status == 200
    except OSError:
        return False


def test_only_a_drill_that_passed_moves_the_metric_of_drills(receiver: ReceiverProcess) -> None:
    receiver.deliver(alert("AimeshDrill", drill="true"), alert("AimeshDrillPassed"))
    receiver.deliver(alert("AimeshDrillPassed", "resolved", drill="true"))
    assert receiver.metric(DRILL_PASSED) == 0
    receiver.deliver(alert("AimeshDrillPassed", drill="true"))
    assert time.time() - 10 < receiver.metric(DRILL_PASSED) <= time.time()
    assert receiver.active() == ["AimeshDrillPassed"]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_keeps_what_fires_and_when_the_watchdog_came(receiver: ReceiverProcess, how: int) -> None:
    receiver.deliver(alert("ServiceDown", service="registry"), alert("Watchdog"), alert("DiskFull"))
    receiver.deliver(alert("DiskFull", "resolved"), alert("Drill", drill="true"))
    before, ledger = receiver.alerts(), receiver.deliveries()
    receiver.stop(how)
    receiver.start()
    assert receiver.alerts() == before
    assert receiver.active() == ["ServiceDown"]
    assert receiver.deliveries() == ledger


def test_a_torn_last_line_and_lines_of_rubbish_cost_nothing_else(receiver: ReceiverProcess) -> None:
    receiver.deliver(alert("ServiceDown"))
    receiver.stop()
    with (receiver.ledger / "deliveries.jsonl").open("ab") as file:
        file.write(b'\x00\x00\n[1]\n{"received": 1}\n{"received": 2, "labels": {"a')
    receiver.start()
    assert receiver.active() == ["ServiceDown"]
    receiver.deliver(alert("DiskFull"))
    receiver.stop()
    receiver.start()
    assert receiver.active() == ["ServiceDown", "DiskFull"]
    assert len(receiver.deliveries("?since=100")) == 2


def test_the_ledger_is_bounded_and_a_full_file_forgets_nobody_who_fires(receiver: ReceiverProcess) -> None:
    receiver.deliver(alert("ServiceDown", service="registry"), alert("Watchdog"))
    receiver.deliver(alert("AimeshDrillPassed", drill="true"))
    before, passed = receiver.alerts(), receiver.metric(DRILL_PASSED)
    padding = "x" * 900_000
    for number in range(12):
        receiver.deliver(alert("Long", "resolved", padding, number=str(number)))
        assert all(path.stat().st_size <= FILES_LIMIT for path in receiver.ledger.iterdir())
    assert {path.name for path in receiver.ledger.iterdir()} == {"deliveries.jsonl", "deliveries.1.jsonl"}
    kept = [line["labels"].get("number") for line in receiver.deliveries()]
    assert kept == [str(number) for number in range(4, 12)], "two full files, without the line of ServiceDown"
    assert receiver.alerts() == before
    receiver.stop()
    receiver.start()
    assert receiver.alerts() == before
    assert receiver.metric(DRILL_PASSED) == passed
    receiver.deliver(alert("ServiceDown", "resolved", service="registry"))
    receiver.stop()
    receiver.start()
    assert receiver.active() == []


def test_a_full_ledger_fits_into_the_memory_of_its_unit(receiver: ReceiverProcess) -> None:
    receiver.deliver(alert("ServiceDown", service="registry"))
    receiver.stop()
    newer, older = receiver.ledger / "deliveries.jsonl", receiver.ledger / "deliveries.1.jsonl"
    line = newer.read_bytes()
    for path in (newer, older):
        path.write_bytes(line * (FILES_LIMIT // len(line)))
    receiver.start()
    assert len(receiver.call("GET", "/deliveries").body) == newer.stat().st_size + older.stat().st_size
    assert receiver.process
    status = Path(f"/proc/{receiver.process.pid}/status").read_text()
    peak_kb = next(int(row.split()[1]) for row in status.splitlines() if row.startswith("VmHWM:"))
    assert peak_kb < 56 * 1024, "the plan gives it 64 MB"


def test_a_disk_that_is_full_is_said_and_hides_no_alert(make: MAKES) -> None:
    receiver = make(prepare=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)))
    assert receiver.deliver(alert("First")).status == 200
    size = (receiver.ledger / "deliveries.jsonl").stat().st_size
    answer = receiver.deliver(alert("DiskFull", summary="x" * 3000))
    assert answer.status == 503
    assert "cannot be written" in answer.error
    assert receiver.active() == ["First", "DiskFull"]
    assert (receiver.ledger / "deliveries.jsonl").stat().st_size == size, "half a line stayed"
    assert receiver.metric('aimesh_alert_deliveries_total{status="firing"}') == 1
    assert receiver.deliver(alert("Third")).status == 200


def test_what_nobody_speaks_of_any_more_fires_no_more(make: MAKES) -> None:
    receiver = make("--forget-after", "1")
    receiver.deliver(alert("Muted", severity="critical"))
    assert receiver.active() == ["Muted"]
    eventually(lambda: receiver.active() == [])
    assert receiver.metric('aimesh_alert_active{severity="critical"}') == 0


def test_metrics_count_what_fires_and_what_was_delivered(receiver: ReceiverProcess) -> None:
    for severity in ("critical", "warning", "ticket", "other"):
        assert receiver.metric(f'aimesh_alert_active{{severity="{severity}"}}') == 0
    receiver.deliver(
        alert("A", severity="critical"), alert("B", severity="critical"), alert("C", severity='"}\n'), alert("D")
    )
    receiver.deliver(alert("A", "resolved", severity="critical"), alert("E", severity="critical", drill="true"))
    assert receiver.metric('aimesh_alert_active{severity="critical"}') == 1
    assert receiver.metric('aimesh_alert_active{severity="other"}') == 2
    assert receiver.metric('aimesh_alert_deliveries_total{status="firing"}') == 5
    assert receiver.metric('aimesh_alert_deliveries_total{status="resolved"}') == 1


def test_promtool_has_no_complaint_about_the_metrics(receiver: ReceiverProcess) -> None:
    receiver.deliver(alert("A", severity="critical"), alert("Watchdog"))
    text = receiver.call("GET", "/metrics", token=None).body
    command = [tool("promtool"), "check", "metrics"]
    done = subprocess.run(command, input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")
    lacking = text.replace(b"# HELP", b"# NO")
    assert subprocess.run(command, input=lacking, capture_output=True, check=False).returncode != 0


def test_the_log_has_one_line_for_a_delivery_and_no_secret(receiver: ReceiverProcess) -> None:
    receiver.deliver(alert("A\nB", summary="what the customer is called"), alert("Watchdog"))
    receiver.deliver(alert("A\nB", "resolved"))
    receiver.call("POST", "/webhook", b"{")
    receiver.call("GET", "/alerts")
    text = receiver.log.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [{key: value for key, value in line.items() if key != "ts"} for line in lines] == [
        {"msg": "delivery", "status": 200, "alerts": ["A\nB", "Watchdog"], "firing": 2},
        {"msg": "delivery", "status": 200, "alerts": ["A\nB"], "resolved": 1},
        {"msg": "delivery", "status": 400, "error": "The body is not JSON."},
    ]
    assert TOKEN not in text
    assert "customer" not in text


def test_sigterm_ends_it_within_a_second_even_with_clients(receiver: ReceiverProcess) -> None:
    held = [socket.create_connection(("127.0.0.1", receiver.port), timeout=10) for _ in range(5)]
    receiver.call("GET", "/health")
    started = time.monotonic()
    assert receiver.stop() == 0
    assert time.monotonic() - started < 1
    for client in held:
        client.close()
    assert "Traceback" not in receiver.log.read_text()


def run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, PROGRAM, *options], text=True, capture_output=True, timeout=20, check=False)


def test_the_version_and_the_options_are_told(tmp_path: Path) -> None:
    assert run("--version").stdout.startswith("alert-receiver ")
    shown = run("--help")
    assert shown.returncode == 0
    assert all(option in shown.stdout for option in ("--listen", "--ledger", "--token-file", "--forget-after"))
    assert run("--listen", "nowhere", "--ledger", str(tmp_path), "--token-file", "/dev/null").returncode == 2


@pytest.mark.parametrize(
    ("ledger", "token", "words"),
    [
        ("/proc", "token", "/proc cannot be written"),
        ("missing", "token", "missing cannot be written"),
        ("token", "token", "token cannot be written"),
        (".", "missing", "missing cannot be read"),
        (".", "/dev/null", "/dev/null cannot be read (it is empty)"),
    ],
)
def test_what_a_restart_would_not_mend_is_one_sentence_and_exit_78(
    tmp_path: Path, ledger: str, token: str, words: str
) -> None:
    (tmp_path / "token").write_text(TOKEN)
    paths = ("--ledger", str(tmp_path / ledger), "--token-file", str(tmp_path / token))
    done = run("--listen", f"127.0.0.1:{free_port()}", *paths)
    assert (done.returncode, done.stdout) == (EX_CONFIG, "")
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_port_that_is_taken_is_one_sentence(receiver: ReceiverProcess) -> None:
    paths = ("--ledger", str(receiver.ledger), "--token-file", str(receiver.token_file))
    done = run("--listen", f"127.0.0.1:{receiver.port}", *paths)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "cannot listen on" in done.stderr


def test_it_is_one_file_that_imports_the_standard_library_alone(tmp_path: Path) -> None:
    copy = tmp_path / "copy.py"
    copy.write_text(PROGRAM.read_text())
    command = [sys.executable, "-I", "-S", str(copy), "--version"]
    assert subprocess.run(command, capture_output=True, check=False, env={}).returncode == 0


@pytest.fixture
def alertmanager(tmp_path: Path, receiver: ReceiverProcess) -> Iterator[int]:
    """The port of a real Alertmanager that sends everything to the receiver."""
    webhook = {"url": f"{receiver.url}/webhook", "send_resolved": True}
    webhook["http_config"] = {"authorization": {"credentials_file": str(receiver.token_file)}}
    config = {
        "route": {"receiver": "ledger", "group_wait": "0s", "group_interval": "1s", "repeat_interval": "1h"},
        "receivers": [{"name": "ledger", "webhook_configs": [webhook]}],
    }
    path, port = tmp_path / "alertmanager.yml", free_port()
    path.write_text(json.dumps(config))
    command = [tool("alertmanager"), f"--config.file={path}", f"--storage.path={tmp_path / 'alertmanager'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="]
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        yield port
        process.terminate()


def test_a_real_alertmanager_is_understood(receiver: ReceiverProcess, alertmanager: int) -> None:
    text = {"summary": "registry is down"}
    firing = {"labels": {"alertname": "ServiceDown", "severity": "critical"}, "annotations": text}
    watchdog = {"labels": {"alertname": "Watchdog"}}
    eventually(lambda: posted(alertmanager, [firing, watchdog]))
    eventually(lambda: receiver.active() == ["ServiceDown"] and receiver.alerts()["watchdog_received"] is not None)
    assert receiver.alerts()["active"][0]["annotations"] == text
    ended = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 1))
    assert posted(alertmanager, [firing | {"startsAt": "2026-01-01T00:00:00Z", "endsAt": ended}])
    eventually(lambda: receiver.active() == [])
    assert [line["status"] for line in receiver.deliveries() if line["labels"]["alertname"] == "ServiceDown"] == [
        "firing",
        "resolved",
    ]


def posted(port: int, alerts: list[dict[str, object]]) -> bool:
    """Whether Alertmanager took them."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("POST", "/api/v2/alerts", json.dumps(alerts), {"Content-Type": "application/json"})
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
