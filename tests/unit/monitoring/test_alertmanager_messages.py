"""A real Alertmanager tells Slack, PagerDuty, mail, webhooks and the ledger, all of them local: firing and resolved."""

from __future__ import annotations

import copy
import json
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from tests.unit.monitoring.alerting_plans import HOOK, LIFELINE, MAIL, PAGER, SLACK, SUITES, plan_with, route, written
from tests.unit.monitoring.http_catcher import Catcher, Message, http_catcher
from tests.unit.monitoring.mail_server import MailServer, mail_server
from tests.unit.monitoring.running_alertmanager import firing, resolved, running_alertmanager, wait_until
from tests.unit.monitoring.vendor_shapes import email_problems, pagerduty_problems, slack_problems, webhook_problems

ARRIVAL_S = 20.0
ODD_PATH = """x"y'$z{{.a}}\\"""
PAGER_KEY = "R0{{ .x }}'\"\\$HOME%d\n".ljust(32, "k")
PASSWORD = 'it\'s "odd" {{ .x }} \\n $HOME\nsecond line'
TOKEN = "token\"'{{ .x }}\\$HOME"
RUNBOOKS = "https://acme.example/docs/runbooks"

LATE, DOWN, STALE, FULL = "HighLatencyP95", "ServiceDown", "RestoreDrillStale", "DiskFull"
HEARTBEAT, DRILL, CONSEQUENCE = "Watchdog", "AlertDrill", "ReplicaMissing"


def alert(name: str, severity: str, service: str, **more: str) -> dict[str, Any]:
    labels = {"alertname": name, "severity": severity, "service": service, "mesh": "acme"} | more
    annotations = {
        "summary": f"{name} of {service}: 13 % > 5 %",
        "description": f"<b>{service}</b> & 'others' fail.",
        "runbook_url": f"{RUNBOOKS}/{name.lower()}.md",
    }
    return firing(labels, annotations)


@dataclass(frozen=True)
class Story:
    """What arrived where, when alerts had fired and been resolved."""

    catcher: Catcher
    server: MailServer
    posted: float

    def slack(self) -> list[dict[str, Any]]:
        return [message.body for message in self.catcher.messages if message.path.startswith("/services/")]

    def pagerduty(self) -> list[dict[str, Any]]:
        return [message.body for message in self.catcher.at("/v2/enqueue")]

    def webhook(self, path: str) -> list[dict[str, Any]]:
        return [message.body for message in self.catcher.messages if message.path.startswith(path)]

    def mails(self) -> list[EmailMessage]:
        found = [message_from_bytes(mail.content, policy=policy.default) for mail in self.server.mails]
        return [mail for mail in found if isinstance(mail, EmailMessage)]

    def ledger(self, name: str) -> list[Message]:
        return [each for each in self.catcher.at("/webhook") if each.body["commonLabels"]["alertname"] == name]

    def heartbeats(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Of the Watchdog, at the ledger and at the dead man's receiver."""
        return [message.body for message in self.ledger(HEARTBEAT)], self.webhook("/lifeline")

    def told(self, name: str) -> set[str]:
        """Channels that anything of this alert came to, without the ledger."""
        of = {
            "slack": json.dumps(self.slack()),
            "pagerduty": json.dumps(self.pagerduty()),
            "hook": json.dumps(self.webhook("/hook")),
            "lifeline": json.dumps(self.webhook("/lifeline")),
            "mail": " ".join(str(mail["Subject"]) for mail in self.mails()),
        }
        return {channel for channel, text in of.items() if name in text}

    def states(self) -> dict[str, set[str]]:
        """Channel → firing, resolved or both, as the vendor's own words say."""
        colors = {"good": "resolved", "warning": "firing", "danger": "firing"}
        actions = {"trigger": "firing", "resolve": "resolved"}
        return {
            "slack": {
                colors[message["attachments"][0]["color"]] for message in self.slack() if LATE in json.dumps(message)
            },
            "pagerduty": {actions[event["event_action"]] for event in self.pagerduty()},
            "hook": {message["status"] for message in self.webhook("/hook")},
            "mail": {str(mail["Subject"])[1:].partition(" ")[0].strip("]").lower() for mail in self.mails()},
            "ledger of a drill": {message.body["status"] for message in self.ledger(DRILL)},
        }


@pytest.fixture(scope="module", params=SUITES)
def story(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("alertmanager")
    with http_catcher() as catcher, mail_server(folder) as server:
        config = _config(catcher, server, folder)
        with running_alertmanager(config, request.param, server.certificate) as alertmanager:
            story = Story(catcher, server, time.time())
            _tell(story, alertmanager.post, lambda: f"{story.states()}\n{alertmanager.log.read_text()[-6000:]}")
        yield story


def _tell(story: Story, post: Callable[..., None], why: Callable[[], str]) -> None:
    ending = [
        alert(LATE, "warning", "policy", host="vm1", instance="policy@a"),
        alert(DOWN, "critical", "registry"),
        alert(STALE, "ticket", "postgresql", host="vm1", team="data"),
        alert(FULL, "critical", "ui", host="vm1", team="front"),
        alert(DRILL, "critical", "policy", drill="true"),
    ]
    post(*ending, alert(HEARTBEAT, "none", "prometheus"), alert(CONSEQUENCE, "warning", "registry"))
    wait_until(lambda: all(state == {"firing"} for state in story.states().values()), ARRIVAL_S, why)
    assert story.ledger(CONSEQUENCE) == [], "ServiceDown does not inhibit what follows from it"
    post(*(resolved(each) for each in ending))
    wait_until(lambda: all(state == {"firing", "resolved"} for state in story.states().values()), ARRIVAL_S, why)
    wait_until(lambda: all(len(each) >= 2 for each in story.heartbeats()), ARRIVAL_S, why)
    # Nothing inhibits it any more, which shows that something did.
    wait_until(lambda: story.told(CONSEQUENCE) == {"slack"} and bool(story.ledger(CONSEQUENCE)), ARRIVAL_S, why)


def _config(catcher: Catcher, server: MailServer, folder: Path) -> Path:
    plan = plan_with(
        SLACK,
        PAGER | {"url": f"{catcher.url}/v2/enqueue"},
        MAIL | {"smarthost": server.smarthost},
        HOOK,
        LIFELINE,
        routes=(
            route("hook", (), ("front",)),
            route("pager", ("critical",)),
            route("ops-slack", ("warning",)),
            route("mail", ("ticket",)),
        ),
        deadman="lifeline",
        ledger=catcher.url.removeprefix("http://"),
    )
    plan["monitoring"]["alerting"]["group_interval_s"] = 60
    values = {
        "alert_token": TOKEN,
        "receiver_ops_slack": f"{catcher.url}/services/{ODD_PATH}",
        "receiver_pager": PAGER_KEY,
        "receiver_mail": PASSWORD,
        "receiver_hook": f"{catcher.url}/hook/{ODD_PATH}",
        "receiver_lifeline": f"{catcher.url}/lifeline",
    }
    return written(plan, folder, values, scale=1 / 60)


def test_every_alert_comes_to_its_own_channel_and_to_no_other(story: Story) -> None:
    told = {name: story.told(name) for name in (LATE, DOWN, STALE, FULL, HEARTBEAT)}
    assert told == {LATE: {"slack"}, DOWN: {"pagerduty"}, STALE: {"mail"}, FULL: {"hook"}, HEARTBEAT: {"lifeline"}}


def test_a_drill_comes_to_no_channel_of_people(story: Story) -> None:
    assert story.told(DRILL) == set()


def test_everything_comes_to_the_ledger_within_seconds_with_the_token(story: Story) -> None:
    for name in (LATE, DOWN, STALE, FULL, HEARTBEAT, DRILL):
        messages = story.ledger(name)
        assert messages[0].received - story.posted < 5.0
        assert {message.headers["Authorization"] for message in messages} == {f"Bearer {TOKEN}"}
        assert [problem for message in messages for problem in webhook_problems(message.body)] == []
        assert {len(message.body["alerts"]) for message in messages} == {1}


def test_the_heartbeat_repeats_at_the_ledger_and_at_the_dead_man_s(story: Story) -> None:
    for heartbeats in story.heartbeats():
        assert len(heartbeats) >= 2
        assert {message["status"] for message in heartbeats} == {"firing"}


def test_slack_gets_what_its_webhooks_take(story: Story) -> None:
    assert [problem for message in story.slack() for problem in slack_problems(message)] == []
    fired, ended = (message["attachments"][0] for message in story.slack() if LATE in json.dumps(message))
    assert fired["title"] == "[FIRING 1] HighLatencyP95 policy on vm1 (warning, mesh acme)"
    assert ended["title"] == "[RESOLVED] HighLatencyP95 policy on vm1 (warning, mesh acme)"
    assert (fired["color"], ended["color"]) == ("warning", "good")
    assert fired["title_link"] == f"{RUNBOOKS}/highlatencyp95.md"
    assert fired["text"].splitlines()[0].startswith("*FIRING* HighLatencyP95 on vm1 (policy@a), since 20")
    assert fired["text"].splitlines()[1:] == [
        "HighLatencyP95 of policy: 13 % &gt; 5 %",
        "&lt;b&gt;policy&lt;/b&gt; &amp; 'others' fail.",
        f"<{RUNBOOKS}/highlatencyp95.md|Runbook>",
    ]
    assert {field["title"]: field["value"] for field in fired["fields"]} == {
        "Severity": "warning",
        "Service": "policy",
        "Mesh": "acme",
    }
    assert {(message["channel"], message["username"]) for message in story.slack()} == {("#ops", "aimesh acme")}


def test_pagerduty_gets_one_incident_that_is_triggered_and_resolved(story: Story) -> None:
    assert [problem for event in story.pagerduty() for problem in pagerduty_problems(event)] == []
    fired, ended = story.pagerduty()
    assert (fired["event_action"], ended["event_action"]) == ("trigger", "resolve")
    assert fired["dedup_key"] == ended["dedup_key"]
    assert fired["routing_key"] == PAGER_KEY
    payload = fired["payload"]
    assert payload["summary"] == "ServiceDown of registry: 13 % > 5 % (mesh acme)"
    assert (payload["source"], payload["severity"]) == ("aimesh acme", "critical")
    assert (payload["class"], payload["component"], payload["group"]) == ("ServiceDown", "registry", "acme")
    details = payload["custom_details"]
    assert {name: details[name] for name in ("mesh", "severity", "service", "runbook")} == {
        "mesh": "acme",
        "severity": "critical",
        "service": "registry",
        "runbook": f"{RUNBOOKS}/servicedown.md",
    }
    assert "<b>registry</b> & 'others' fail." in details["alerts"]
    assert fired["links"] == [{"href": f"{RUNBOOKS}/servicedown.md", "text": "Runbook"}]
    assert fired["client_url"] == "http://192.0.2.10:3005"


def test_mail_goes_encrypted_with_its_password_to_everybody(story: Story) -> None:
    assert {(mail.encrypted, mail.login) for mail in story.server.mails} == {(True, ("mesh", PASSWORD))}
    assert {(mail.sender, mail.recipients) for mail in story.server.mails} == {
        ("mesh@acme.example", ("ops@acme.example", "second@acme.example"))
    }


def test_mail_is_text_and_html_with_the_same_content(story: Story) -> None:
    assert [problem for mail in story.server.mails for problem in email_problems(mail.content)] == []
    fired, ended = story.mails()
    assert fired["Subject"] == "[FIRING 1] RestoreDrillStale postgresql on vm1 (ticket, mesh acme)"
    assert ended["Subject"] == "[RESOLVED] RestoreDrillStale postgresql on vm1 (ticket, mesh acme)"
    text, html = (part.get_content() for part in fired.iter_parts())
    for wanted in ("Mesh acme, postgresql, severity ticket, team data", "FIRING: RestoreDrillStale on vm1, since 20"):
        assert wanted in text
    assert "<b>postgresql</b> & 'others' fail." in text
    assert f"Runbook: {RUNBOOKS}/restoredrillstale.md" in text
    assert "&lt;b&gt;postgresql&lt;/b&gt; &amp; &#39;others&#39; fail." in html
    assert f'<a href="{RUNBOOKS}/restoredrillstale.md">Runbook</a>' in html


def test_webhooks_get_alertmanager_s_own_payload_at_the_secret_s_url(story: Story) -> None:
    messages = story.webhook("/hook")
    assert [problem for message in messages for problem in webhook_problems(message)] == []
    assert [message["status"] for message in messages] == ["firing", "resolved"]
    assert messages[0]["alerts"][0]["labels"]["alertname"] == FULL
    paths = {urllib.parse.unquote(message.path) for message in story.catcher.messages}
    assert {f"/hook/{ODD_PATH}", f"/services/{ODD_PATH}"} <= paths


SPOILT: dict[str, tuple[Callable[[Any], list[str]], Callable[[Any], None], str]] = {
    "slack without attachments": (slack_problems, lambda m: m.pop("attachments"), "attachments is missing"),
    "slack with a colour of its own": (slack_problems, lambda m: m["attachments"][0].update(color="red"), "color is"),
    "slack with a template that gave nothing": (
        slack_problems,
        lambda m: m["attachments"][0].update(title="<no value>"),
        "title is",
    ),
    "slack with markup": (slack_problems, lambda m: m["attachments"][0].update(text="13 > 5"), "text is"),
    "slack without a link": (slack_problems, lambda m: m["attachments"][0].update(title_link=""), "title_link is"),
    "pagerduty with an action of its own": (
        pagerduty_problems,
        lambda m: m.update(event_action="fire"),
        "event_action is",
    ),
    "pagerduty with our severity": (
        pagerduty_problems,
        lambda m: m["payload"].update(severity="ticket"),
        "severity is",
    ),
    "pagerduty without a source": (
        pagerduty_problems,
        lambda m: m["payload"].pop("source"),
        "payload.source is missing",
    ),
    "pagerduty with a short key": (pagerduty_problems, lambda m: m.update(routing_key="short"), "routing_key is"),
    "pagerduty with an empty link": (pagerduty_problems, lambda m: m["links"][0].update(href=""), "links.href is"),
    "webhook of another version": (webhook_problems, lambda m: m.update(version="3"), "version is"),
    "webhook without alerts": (webhook_problems, lambda m: m.update(alerts=[]), "alerts is"),
    "webhook without a time": (webhook_problems, lambda m: m["alerts"][0].update(startsAt="now"), "startsAt is"),
}


@pytest.mark.parametrize("case", SPOILT)
def test_a_spoilt_message_is_refused(case: str, story: Story) -> None:
    """The negative control of the vendors' shapes."""
    problems, spoil, reason = SPOILT[case]
    message = {
        slack_problems: story.slack,
        pagerduty_problems: story.pagerduty,
        webhook_problems: lambda: story.webhook("/hook"),
    }[problems]()[0]
    doctored = copy.deepcopy(message)
    spoil(doctored)
    assert problems(message) == []
    assert any(reason in problem for problem in problems(doctored)), problems(doctored)


def test_a_spoilt_mail_is_refused(story: Story) -> None:
    raw = story.server.mails[0].content
    assert email_problems(raw.replace(b"Date:", b"Dated:")) == ["Date is missing"]
    assert email_problems(raw.replace(b"text/html", b"text/htm")) != []
    assert email_problems(b"Subject: x\r\n\r\nhello\r\n") != []
