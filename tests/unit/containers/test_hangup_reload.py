"""Reload by SIGHUP: the program is believed when its own metrics say that it has loaded something new."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest
from ansible_collections.aimesh.mesh.plugins.module_utils.hangup_reload import (
    Loaded,
    ask,
    hang_up,
    hangup_of,
    loaded_of,
    option_of,
)

COMMAND = ["/usr/bin/prometheus", "--config.file=/etc/prometheus.yml", "--web.listen-address=192.0.2.5:9090"]
METRICS = """\
# TYPE prometheus_config_last_reload_success_timestamp_seconds gauge
prometheus_config_last_reload_success_timestamp_seconds 1.7958365e+09
# TYPE prometheus_config_last_reload_successful gauge
prometheus_config_last_reload_successful 1
"""
OLD, NEW, REFUSED = Loaded(100.0, well=True), Loaded(200.0, well=True), Loaded(100.0, well=False)


class Program:
    """What the program says, look after look; the last answer stays. An exception is one that does not answer."""

    def __init__(self, *answers: Loaded | Exception) -> None:
        self.answers = list(answers)
        self.signals = 0

    def look(self) -> Loaded:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def signal(self) -> None:
        self.signals += 1

    def reload(self) -> str:
        return hang_up(self.signal, self.look, timeout_s=0.2, every_s=0.01)


def test_prometheus_and_alertmanager_reload_by_signal_and_haproxy_does_not() -> None:
    found = hangup_of(COMMAND)
    assert found is not None
    assert found.check == ("promtool", "check", "config")
    other = hangup_of(["/usr/bin/prometheus-alertmanager"])
    assert other is not None
    assert other.name == "alertmanager"
    assert hangup_of(["haproxy", "-W"]) is None
    assert hangup_of([]) is None


def test_options_are_read_out_of_the_container_s_command() -> None:
    assert option_of(COMMAND, "config.file") == "/etc/prometheus.yml"
    assert option_of(COMMAND, "web.listen-address") == "192.0.2.5:9090"
    with pytest.raises(LookupError, match=r"its command has no --storage\.path"):
        option_of(COMMAND, "storage.path")


def test_metrics_say_when_a_configuration_was_loaded_and_whether_the_last_one_was() -> None:
    assert loaded_of(METRICS, "prometheus") == Loaded(1795836500.0, well=True)
    assert not loaded_of(METRICS.replace("successful 1", "successful 0"), "prometheus").well
    with pytest.raises(LookupError, match="its metrics have no 'alertmanager_config"):
        loaded_of(METRICS, "alertmanager")


def test_a_reload_ends_when_something_new_is_loaded() -> None:
    program = Program(OLD, OLD, NEW)
    assert program.reload() == ""
    assert program.signals == 1


def test_a_program_that_refuses_what_it_was_given_is_named_at_once() -> None:
    assert "it refuses the new configuration" in Program(OLD, REFUSED).reload()


def test_one_that_goes_on_with_the_old_is_waited_for_and_then_named() -> None:
    assert "it goes on with the old configuration" in Program(OLD).reload()


def test_one_that_had_refused_before_may_take_this_one() -> None:
    assert Program(REFUSED, REFUSED, NEW).reload() == ""


def test_one_that_does_not_answer_for_a_moment_is_asked_again() -> None:
    assert Program(OLD, ConnectionRefusedError("refused"), NEW).reload() == ""


def test_one_that_never_answers_gets_no_signal() -> None:
    program = Program(ConnectionRefusedError("refused"))
    assert "it cannot be asked what it has loaded" in program.reload()
    assert program.signals == 0


@pytest.fixture
def listener() -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(METRICS.encode())

        def log_message(self, *_: object) -> None:
            """Tests are quiet."""

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_it_is_asked_over_http(listener: str) -> None:
    assert ask(listener, "prometheus").at == 1795836500.0
