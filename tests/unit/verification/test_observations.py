"""Probes against real sockets, processes and files."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.observations.engine import PROBES, answer_all
from ansible_collections.aimesh.mesh.plugins.module_utils.observations.http_probe import field, metric_sum
from ansible_collections.aimesh.mesh.plugins.module_utils.restore_record import record_done
from ansible_collections.aimesh.mesh.plugins.plugin_utils.secret_store.certificate import metrics_certificate

CANARY = "canary-0123456789abcdef0123456789abcdef-0123"


class Counting(BaseHTTPRequestHandler):
    """POST adds one; GET /metrics tells the number of a moment ago, as a service with a cache does."""

    number: ClassVar[list[float]] = [0.0]
    seen: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        late = [since for since in self.number[1:] if time.monotonic() - since > 0.4]
        self._answer(200, f'things_total{{a="1"}} {len(late)}\nthings_total{{a="2"}} 1\nother 7\n'.encode())

    def do_POST(self) -> None:
        self.number.append(time.monotonic())
        self.seen.append(str(self.headers.get("Authorization")))
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer(201, json.dumps({"id": "x-1", "deep": [{"n": 5}]}).encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


class Server(ThreadingHTTPServer):
    request_queue_size = 64


@pytest.fixture
def server() -> Iterator[str]:
    http = ThreadingHTTPServer(("127.0.0.1", 0), Counting)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    http.server_close()


@pytest.fixture
def frozen() -> Iterator[int]:
    """A port that accepts connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield listener.getsockname()[1]


def ask(question: dict[str, Any], timeout: float = 2.0, **secrets: str) -> dict[str, Any]:
    return answer_all({"q": question}, secrets, timeout)["q"]


def test_a_frozen_service_is_asked_one_step_of_a_story_and_every_question_ends_at_its_timeout(frozen: int) -> None:
    url = f"http://127.0.0.1:{frozen}/health"
    questions: dict[str, dict[str, Any]] = {f"h{at}": {"kind": "http", "url": f"{url}?{at}"} for at in range(40)}
    steps = [{"name": f"s{at}", "url": url} for at in range(5)]
    questions["story"] = {"kind": "scenario", "steps": steps, "step_timeout": 0.5, "timeout": 1.5}
    questions["redis"] = {"kind": "redis", "host": "127.0.0.1", "port": frozen, "commands": {"p": ["PING"]}}
    answers = answer_all(questions, {}, 0.5)
    assert all(
        "within" in answers[key]["error"] or "no answer" in answers[key]["error"] for key in answers if key != "story"
    )
    assert list(answers["story"]["value"]["steps"]) == ["s0"]


def test_all_questions_of_a_host_are_put_at_the_same_time() -> None:
    """Each request is answered only once all of them are there."""
    together = threading.Barrier(40)

    class Gathering(Counting):
        def do_GET(self) -> None:
            together.wait(10)
            self._answer(200, b"{}")

    http = Server(("127.0.0.1", 0), Gathering)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{http.server_port}"
    answers = answer_all({f"h{at}": {"kind": "http", "url": url} for at in range(40)}, {}, 10)
    http.shutdown()
    http.server_close()
    assert [key for key, answer in answers.items() if "error" in answer] == []


def test_a_refused_connection_says_that_nothing_listens() -> None:
    assert "nothing listens at 127.0.0.1:1" in ask({"kind": "http", "url": "http://127.0.0.1:1/health"})["error"]


def test_a_story_uses_what_earlier_steps_answered_and_waits_out_a_cache(server: str) -> None:
    metric = {"url": f"{server}/metrics", "metric": "things_total"}
    steps = [
        {"name": "before", **metric},
        {"name": "create", "method": "POST", "url": f"{server}/things", "json": {"a": 1}, "token": "verify_token"},
        {"name": "again", "method": "POST", "url": f"{server}/things/${{create.json.deep.0.n}}", "json": {}},
        {"name": "lost", "url": f"{server}/${{create.json.nothing}}"},
        {"name": "after", "until_above": "before", **metric},
    ]
    question = {"kind": "scenario", "steps": steps, "timeout": 6}
    told = ask(question, verify_token=CANARY)["value"]["steps"]
    assert told["create"]["status"] == told["again"]["status"] == 201
    assert "not sent" in told["lost"]["error"]
    assert told["after"]["value"] > told["before"]["value"]
    assert f"Bearer {CANARY}" in Counting.seen
    assert CANARY not in json.dumps(told)


def test_a_secret_that_is_not_there_means_not_asked_rather_than_failed(server: str) -> None:
    for question in (
        {"kind": "http", "url": server, "token": "verify_token"},
        {"kind": "scenario", "steps": [{"name": "a", "url": server, "token": "verify_token"}]},
    ):
        answer = ask(question)
        assert answer["asked"] is False
        assert "verify_token" in answer["error"]


@pytest.mark.parametrize(
    ("path", "value"), [("a.b", 1), ("l.1", "y"), ("l.9", None), ("a.c", None), ("", {"a": {"b": 1}, "l": ["x", "y"]})]
)
def test_fields_are_found_by_dotted_path(path: str, value: object) -> None:
    assert field({"a": {"b": 1}, "l": ["x", "y"]}, path) == value


def test_samples_of_one_metric_are_summed_and_no_other() -> None:
    assert metric_sum('a_total 1\na_total{x="1"} 2.5\na_total_created 9\n# a_total 7\n', "a_total") == 3.5
    assert metric_sum("b 1\n", "a_total") is None


def test_a_command_that_hangs_is_killed_with_its_children() -> None:
    answer = ask({"kind": "command", "command": "sleep 61 & sleep 61"}, timeout=0.3)
    assert "did not end within" in answer["error"]
    assert ask({"kind": "command", "command": "echo out; echo err >&2; exit 3"})["value"] == {
        "rc": 3, "stdout": "out\n", "stderr": "err\n",
    }  # fmt: skip


def test_a_secret_in_an_environment_or_command_line_is_found_and_not_told() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)", CANARY], env={"X": f"a{CANARY}b"}
    ) as process:
        try:
            question = {"kind": "exposure", "secrets": ["canary", "short"], "trees": []}
            answer = ask(question, canary=CANARY, short="sleep")
            found = {
                (each["where"], each["secret"]) for each in answer["value"]["processes"] if each["pid"] == process.pid
            }
        finally:
            process.send_signal(signal.SIGKILL)
    assert found == {("environ", "canary"), ("cmdline", "canary")}
    assert answer["value"]["searched"] == ["canary"]
    assert CANARY not in json.dumps(answer)


def test_a_secret_is_found_only_in_files_that_others_can_reach() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        (root / "room").mkdir(mode=0o700)
        for path, mode in (("open.log", 0o644), ("closed.log", 0o640), ("room/open.log", 0o644)):
            (root / path).write_text(f"password={CANARY}\n", encoding="utf-8")
            (root / path).chmod(mode)
        seen = ask({"kind": "exposure", "secrets": ["canary"], "trees": [name]}, canary=CANARY)["value"]
    assert seen["files"] == [{"secret": "canary", "path": f"{name}/open.log"}]


@pytest.mark.parametrize("form", ["stored", "written"])
def test_a_key_is_found_as_it_is_stored_and_as_it_is_written_to_hosts(form: str) -> None:
    stored = metrics_certificate()
    pem = base64.b64decode(stored).decode()
    public = pem[pem.index("-----BEGIN CERTIFICATE") :]
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        (root / "open.pem").write_text(stored if form == "stored" else pem, encoding="utf-8")
        (root / "certificate.pem").write_text(public, encoding="utf-8")
        for path in root.iterdir():
            path.chmod(0o644)
        seen = ask({"kind": "exposure", "secrets": ["metrics_tls"], "trees": [name]}, metrics_tls=stored)["value"]
    assert seen["files"] == [{"secret": "metrics_tls", "path": f"{name}/open.pem"}]


@pytest.mark.parametrize(
    ("text", "drill"), [(None, None), ('{"verdict": "pass", "finished": 1}', {"verdict": "pass", "finished": 1})]
)
def test_the_last_alert_drill_is_told_with_the_time_of_the_host(tmp_path: Path, text: str | None, drill: Any) -> None:
    (tmp_path / "drills").mkdir()
    if text:
        (tmp_path / "drills" / "alerts.json").write_text(text, encoding="utf-8")
    seen = ask({"kind": "drills", "state": str(tmp_path)})["value"]
    assert seen["alerts"] == drill
    assert abs(seen["at"] - time.time()) < 5


def test_a_record_of_a_drill_that_is_no_json_is_not_called_absent(tmp_path: Path) -> None:
    (tmp_path / "drills").mkdir()
    (tmp_path / "drills" / "alerts.json").write_text("{", encoding="utf-8")
    assert "not valid JSON" in ask({"kind": "drills", "state": str(tmp_path)})["error"]


def test_the_last_restore_is_told_with_its_end(tmp_path: Path) -> None:
    question = {"kind": "drills", "state": str(tmp_path)}
    assert ask(question)["value"]["restored"] is None
    record_done(str(tmp_path), "run-1", "latest")
    seen = ask(question)["value"]
    assert 0 <= seen["at"] - seen["restored"] < 5
    (tmp_path / "last-restore.json").write_text('{"finished": "soon"}', encoding="utf-8")
    assert "tells no time; remove it" in ask(question)["error"]


def test_a_listener_is_found_with_its_owner_and_the_owner_with_its_start() -> None:
    with socket.socket() as listener, socket.socket(socket.AF_INET6) as other:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        other.bind(("::1", 0))
        other.listen()
        rows = ask({"kind": "listeners"})["value"]
        mine = {(row["address"], row["port"]) for row in rows if row["pid"] == os.getpid()}
        assert mine >= {("127.0.0.1", listener.getsockname()[1]), ("::1", other.getsockname()[1])}
        assert all(row["lineage"][0] == os.getpid() for row in rows if row["pid"] == os.getpid())
    me = ask({"kind": "processes"})["value"][str(os.getpid())]
    assert me["user"] == os.getuid()
    assert 0 < time.time() - me["started"] < 3600


def test_files_are_told_as_they_are_and_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x", encoding="utf-8")
    (tmp_path / "f").chmod(0o640)
    (tmp_path / "l").symlink_to("/etc/passwd")
    question = {"kind": "files", "paths": [str(tmp_path / "f"), str(tmp_path / "gone")], "trees": [str(tmp_path)]}
    seen = ask(question)["value"]
    assert seen[str(tmp_path / "f")]["mode"] == "0640"
    assert seen[str(tmp_path / "l")]["kind"] == "link"
    assert seen[str(tmp_path / "gone")] is None


def test_records_of_a_bare_host_are_empty_and_broken_ones_are_an_error(tmp_path: Path) -> None:
    question = {"kind": "records", "state": str(tmp_path)}
    assert ask(question)["value"] == {"applied_plan": None, "units": {}}
    (tmp_path / "applied-plan.json").write_text("{", encoding="utf-8")
    assert "is not JSON" in ask(question)["error"]


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ({"kind": "supervisor", "socket": "/nonexistent/supervisor.sock"}, "supervisord is not running"),
        ({"kind": "redis", "host": "127.0.0.1", "port": 1, "commands": {"p": ["PING"]}}, "no Redis listens"),
        (
            {"kind": "postgresql", "program": "/nonexistent/psql", "queries": {}, "run_as": "root", "login": "x",
             "socket_dir": "/nonexistent", "port": 1, "database": "d"},
            "/nonexistent/psql cannot be run",
        ),
        ({"kind": "crystal ball"}, "no probe of kind 'crystal ball'"),
        ({"kind": "http"}, "KeyError"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_said_in_one_sentence(question: dict[str, Any], says: str) -> None:
    error = ask(question)["error"]
    assert says in error
    assert "\n" not in error


def test_the_checks_ask_only_what_hosts_can_answer() -> None:
    from healthy import HealthyMesh

    answered = {name.removeprefix("_") for name in vars(HealthyMesh) if name.removeprefix("_") in PROBES}
    assert answered <= set(PROBES)
    assert {"http", "scenario", "units", "supervisor", "listeners"} <= answered


def test_the_last_rollout_that_was_done_is_told_with_its_proof_and_without_its_steps(tmp_path: Path) -> None:
    question = {"q": {"kind": "rollouts", "state": str(tmp_path)}}
    assert answer_all(question, {}, 3)["q"]["value"] == {"open": None, "last": None, "proof": None}
    folder = tmp_path / "rollouts"
    folder.mkdir()
    for number, status in enumerate(("done", "done", "interrupted")):
        record = {"id": f"r{number}", "status": status, "finished": 100.0 + number, "steps": [{"n": 1}]}
        (folder / f"r{number}.json").write_text(json.dumps(record))
        (folder / f"r{number}.traffic.json").write_text(json.dumps({"rollout": f"r{number}"}))
    (tmp_path / "rollout.json").write_text(json.dumps({"schema": 1, "id": "r3", "status": "failed", "steps": []}))
    seen = answer_all(question, {}, 3)["q"]["value"]
    assert seen["last"] == {"id": "r1", "status": "done", "finished": 101.0}
    assert seen["proof"] == {"rollout": "r1"}
    assert seen["open"] == {"schema": 1, "id": "r3", "status": "failed"}


def test_a_record_of_a_rollout_that_cannot_be_read_is_an_error_and_no_absence(tmp_path: Path) -> None:
    (tmp_path / "rollout.json").write_text("{")
    answer = answer_all({"q": {"kind": "rollouts", "state": str(tmp_path)}}, {}, 3)["q"]
    assert "rollout.json is not valid JSON" in answer["error"]
