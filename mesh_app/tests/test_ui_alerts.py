"""The page of alerts, with the real alert receiver: what fires, and never "nothing" when nobody knows."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from support.alerts import ReceiverProcess, alert, receiver_process, remember_watchdog, settings_of, watched_ui
from support.mesh import Answer, Mesh, http
from test_doctor import answering, doctor, written
from test_ui import page

from mesh.ui.alerts import MOST, Report, seen

NOTHING_FIRES = "No alert fires."


@pytest.fixture(scope="module")
def ui(open_mesh: Mesh, scratch: Path) -> Iterator[tuple[Mesh, ReceiverProcess]]:
    receiver = ReceiverProcess(scratch / "receiver")
    receiver.start()
    with watched_ui(open_mesh, receiver):
        yield open_mesh, receiver
    receiver.stop()


@pytest.fixture
def receiver(ui: tuple[Mesh, ReceiverProcess]) -> Iterator[ReceiverProcess]:
    """Begins each test with an empty ledger and the right token."""
    _, receiver = ui
    receiver.stop()
    for file in receiver.ledger.iterdir():
        file.unlink()
    receiver.token_file.write_text(receiver_process.TOKEN)
    receiver.token_file.chmod(0o600)
    receiver.start()
    yield receiver


@pytest.fixture
def mesh(ui: tuple[Mesh, ReceiverProcess]) -> Mesh:
    return ui[0]


def shown(mesh: Mesh, path: str = "/alerts") -> Answer:
    return http("GET", mesh.url("ui-b", path))


def card(mesh: Mesh) -> str:
    """What the overview says of alerts; its status is 200 whatever that is."""
    answer = shown(mesh, "/")
    assert answer.status == 200, answer.text
    return answer.text.split("<dt>Alerts</dt>")[1].split("</dd>")[0].rpartition('"/alerts">')[2].split("<")[0].strip()


def test_an_alert_is_shown_with_all_that_one_has_to_know(mesh: Mesh, receiver: ReceiverProcess) -> None:
    down = alert("ServiceDown", severity="critical", service="registry", host="vm1", summary="registry is <b>down</b>")
    down["annotations"]["runbook_url"] = "https://docs.example/runbooks/service-down.md"
    receiver.deliver(alert("Watchdog", severity="none"), alert("DrillStale", severity="ticket"), down)
    answer = shown(mesh)
    assert answer.status == 200
    for text in ("Firing: 2 alerts", "critical", "registry", "vm1", "2026-01-31 12:00:00 UTC", " d ago"):
        assert text in answer.text
    assert "registry is &lt;b&gt;down&lt;/b&gt;" in answer.text
    assert 'href="https://docs.example/runbooks/service-down.md"' in answer.text
    assert answer.text.index("ServiceDown") < answer.text.index("DrillStale"), "the most urgent comes first"
    assert "The alerting path works" in answer.text
    assert card(mesh) == "2"


def test_an_alert_that_is_resolved_or_of_a_drill_is_not_shown(mesh: Mesh, receiver: ReceiverProcess) -> None:
    receiver.deliver(alert("Watchdog"), alert("ServiceDown"), alert("Rehearsed", drill="true"))
    receiver.deliver(alert("ServiceDown", "resolved"))
    text = shown(mesh).text
    assert NOTHING_FIRES in text
    assert "ServiceDown" not in text
    assert "Rehearsed" not in text
    assert card(mesh) == "0"


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", "//elsewhere.example", ""])
def test_a_runbook_that_is_no_web_page_is_no_link(mesh: Mesh, receiver: ReceiverProcess, address: str) -> None:
    receiver.deliver(alert("ServiceDown") | {"annotations": {"runbook_url": address}, "startsAt": "yesterday"})
    text = shown(mesh).text
    assert "ServiceDown" in text
    assert "Runbook of" not in text


@pytest.mark.parametrize("alerts", [[], [alert("ServiceDown")]])
def test_a_silent_watchdog_is_said_even_when_nothing_fires(
    mesh: Mesh, receiver: ReceiverProcess, alerts: list[dict[str, object]]
) -> None:
    receiver.deliver(*alerts)
    remember_watchdog(receiver, 301)
    text = shown(mesh).text
    assert "The alerting path is silent since " in text
    assert "5 min ago" in text
    assert NOTHING_FIRES not in text
    assert ("ServiceDown" in text) == ("1 alert fired before the silence" in text) == bool(alerts)
    assert "Firing:" not in text
    assert card(mesh) == ("1 silent" if alerts else "silent")


def test_a_watchdog_that_never_came_is_silence_too(mesh: Mesh, receiver: ReceiverProcess) -> None:
    text = shown(mesh).text
    assert "The alerting path is silent, and always was" in text
    assert NOTHING_FIRES not in text
    assert card(mesh) == "silent"


def test_a_watchdog_of_four_minutes_ago_is_not_silence(mesh: Mesh, receiver: ReceiverProcess) -> None:
    remember_watchdog(receiver, 240)
    text = shown(mesh).text
    assert NOTHING_FIRES in text
    assert "silent" not in text


def test_a_receiver_that_is_down_makes_alerts_unknown_and_no_other_page_worse(
    mesh: Mesh, receiver: ReceiverProcess
) -> None:
    receiver.deliver(alert("Watchdog"))
    receiver.stop()
    answer = shown(mesh)
    assert answer.status == 502
    assert "Alerts are unknown: the alert receiver does not answer" in answer.text
    assert NOTHING_FIRES not in answer.text
    assert card(mesh) == "unknown"
    receiver.start()
    assert NOTHING_FIRES in shown(mesh).text


def test_a_receiver_that_hangs_costs_two_seconds(mesh: Mesh, receiver: ReceiverProcess) -> None:
    assert receiver.process
    receiver.process.send_signal(signal.SIGSTOP)
    for path in ("/alerts", "/"):
        started = time.monotonic()
        assert ("does not answer" if path == "/alerts" else "unknown") in shown(mesh, path).text
        assert time.monotonic() - started < 3
    receiver.process.send_signal(signal.SIGCONT)


def test_a_token_that_the_receiver_does_not_know_makes_alerts_unknown(mesh: Mesh, receiver: ReceiverProcess) -> None:
    ours = receiver.token_file
    receiver.stop()
    receiver.token_file = ours.with_name("theirs")
    receiver.token_file.write_text("quite-another-token-1b2cf535f27731c974343645a3985328")
    receiver.start()
    receiver.token_file = ours
    answer = shown(mesh)
    assert answer.status == 502
    assert "Alerts are unknown: the alert receiver refuses this service&#39;s token" in answer.text
    assert NOTHING_FIRES not in answer.text
    assert receiver_process.TOKEN not in answer.text


def test_a_token_file_that_has_gone_makes_alerts_unknown_and_a_new_token_is_taken(
    mesh: Mesh, receiver: ReceiverProcess
) -> None:
    receiver.token_file.unlink()
    assert "Alerts are unknown: MESH_ALERT_TOKEN_FILE names" in shown(mesh).text
    receiver.token_file.write_text("the-next-token-6f8f57715090da2632453988d9a1501b")
    assert shown(mesh).status == 200


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b"<html>", b'{"active": []}', b'{"watchdog_received": 1e300, "active": []}']
)
def test_an_answer_of_something_else_makes_alerts_unknown(
    open_mesh: Mesh, receiver: ReceiverProcess, body: bytes
) -> None:
    with answering(body) as url:
        env = settings_of(receiver) | {"MESH_ALERTS_URL": url}
        open_mesh.start_as("ui-c", "ui", env)
        answer = http("GET", open_mesh.url("ui-c", "/alerts"))
        open_mesh.stop("ui-c")
    assert answer.status == 502
    assert "gives no list of alerts (status 200)" in answer.text
    assert NOTHING_FIRES not in answer.text


def test_without_monitoring_the_page_says_so_and_the_overview_nothing(open_mesh: Mesh) -> None:
    answer = page(open_mesh, "/alerts")
    assert answer.status == 200
    assert "Monitoring is not part of this mesh" in answer.text
    assert NOTHING_FIRES not in answer.text
    assert "<dt>Alerts</dt>" not in page(open_mesh, "/").text


def test_a_storm_of_alerts_is_one_page_that_has_the_most_urgent() -> None:
    told = [
        {"labels": {"alertname": f"A{n}", "severity": "ticket"}, "annotations": {}, "since": ""} for n in range(999)
    ]
    told.append({"labels": {"alertname": "Urgent", "severity": "critical"}, "annotations": {}, "since": "9999999"})
    look = seen(msgspec.convert({"watchdog_received": None, "active": told}, Report))
    assert (look.total, len(look.alerts), look.alerts[0].name) == (1000, MOST, "Urgent")
    assert look.alerts[0].since is None


def test_the_log_of_the_ui_never_holds_the_token(mesh: Mesh, receiver: ReceiverProcess) -> None:
    shown(mesh)
    receiver.stop()
    shown(mesh)
    mesh.wait_for_log("ui-b", "upstream unreachable")
    assert receiver_process.TOKEN not in mesh.log("ui-b").read_text()


def test_the_doctor_says_whether_the_receiver_takes_our_token(
    mesh: Mesh, receiver: ReceiverProcess, tmp_path: Path
) -> None:
    env = settings_of(receiver)
    assert "alert receiver" not in doctor(mesh)
    level, text = doctor(mesh, env)["alert receiver"]
    assert (level, "no Watchdog has arrived for 5 minutes" in text) == ("WARN", True)
    long = [alert("Long", number=str(number), summary="x" * 200) for number in range(500)]
    receiver.deliver(alert("Watchdog"), *long)
    assert doctor(mesh, env)["alert receiver"] == ("ok", "takes the token; alerts that fire: 500")
    assert doctor(mesh, env)["MESH_ALERT_TOKEN_FILE"][0] == "ok"
    wrong = {"MESH_ALERT_TOKEN_FILE": written(tmp_path, "quite-another-token-1b2cf535f27731c974343645a3985328")}
    level, text = doctor(mesh, env | wrong)["alert receiver"]
    assert (level, "deploy both together" in text) == ("FAIL", True)
    with answering(b"{}") as url:
        level, text = doctor(mesh, env | {"MESH_ALERTS_URL": url})["alert receiver"]
    assert (level, "is no alert receiver" in text) == ("FAIL", True)
    receiver.stop()
    level, text = doctor(mesh, env)["alert receiver"]
    assert (level, "correct MESH_ALERTS_URL" in text) == ("FAIL", True)
