"""Alertmanager's own tool takes every configuration that a plan gives, and sees what is wrong with a broken one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.alertmanager import (
    alertmanager_config,
    alertmanager_files,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.durations import duration
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.messages import message_templates

from tests.unit.monitoring.alerting_plans import (
    EACH_KIND,
    HOOK,
    MAIL,
    PAGER,
    SLACK,
    SUITES,
    amtool,
    plan_with,
    receivers_for,
    route,
    written,
)

ALL = (SLACK, PAGER, MAIL, HOOK)
RELAY = {
    "name": "relay",
    "kind": "email",
    "to": ["a@b.example"],
    "from": "c@d.example",
    "smarthost": "relay.example:25",
}
SETS = {"none": (), **{kind: (receiver,) for kind, receiver in EACH_KIND.items()}, "all": ALL, "relay": (RELAY,)}


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("receivers", SETS.values(), ids=SETS.keys())
def test_amtool_takes_every_set_of_receivers(receivers: tuple[dict[str, Any], ...], suite: str, tmp_path: Path) -> None:
    routes = tuple(route(receiver["name"], ("critical",)) for receiver in receivers)
    done = amtool("check-config", str(written(plan_with(*receivers, routes=routes), tmp_path)), suite=suite)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 templates" in done.stdout
    assert "new parser" not in done.stdout + done.stderr, "a matcher is read by the old rules only"


@pytest.mark.parametrize("suite", SUITES)
def test_amtool_takes_a_drill_s_timings_and_a_ledger_with_tls(suite: str, tmp_path: Path) -> None:
    plan = plan_with(*ALL, routes=(route("pager", ("critical",), ("platform",)),), deadman="hook", tls=True)
    done = amtool("check-config", str(written(plan, tmp_path, scale=1 / 60)), suite=suite)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda document: document["route"]["routes"][0].update(receiver="nobody"), "undefined receiver"),
        (lambda document: document["route"].pop("receiver"), "root route must specify a default receiver"),
        (lambda document: document["route"]["routes"][0].update(matchers=["severity is bad"]), "matcher"),
        (lambda document: document["route"]["routes"][0].update(matchers=['severity=~"("']), "missing closing"),
        (lambda document: document["route"]["routes"][0].update(group_wait="soon"), "duration"),
        (lambda document: document["receivers"].append({"name": "pager"}), "not unique"),
        (lambda document: document["inhibit_rules"][0].update(equals=["mesh"]), "not found in type"),
    ],
)
@pytest.mark.parametrize("suite", SUITES)
def test_amtool_refuses_a_broken_configuration(broken: Any, said: str, suite: str, tmp_path: Path) -> None:
    path = written(plan_with(*ALL), tmp_path)
    document = json.loads(path.read_text())
    broken(document)
    path.write_text(json.dumps(document))
    done = amtool("check-config", str(path), suite=suite)
    assert done.returncode != 0
    assert said in done.stdout + done.stderr


@pytest.mark.parametrize("suite", SUITES)
def test_amtool_refuses_a_route_to_a_receiver_that_the_plan_lacks(suite: str, tmp_path: Path) -> None:
    done = amtool("check-config", str(written(plan_with(SLACK, routes=(route("pager"),)), tmp_path)), suite=suite)
    assert done.returncode != 0
    assert 'undefined receiver "pager"' in done.stdout + done.stderr


@pytest.mark.parametrize("suite", SUITES)
def test_amtool_refuses_message_templates_that_do_not_parse(suite: str, tmp_path: Path) -> None:
    path = written(plan_with(*ALL), tmp_path)
    (tmp_path / "aimesh.tmpl").write_text('{{ define "aimesh.title" }}{{ .Status ')
    assert amtool("check-config", str(path), suite=suite).returncode != 0


def test_every_template_that_a_receiver_calls_is_defined() -> None:
    plan = plan_with(*ALL)
    config, messages = alertmanager_config(plan).inline, message_templates(plan)
    defined = set(re.findall(r'define "([^"]+)"', messages))
    called = set(re.findall(r'template \\?"([^"\\]+)', config + messages))
    assert called - defined == set()
    assert {"aimesh.title", "aimesh.slack.text", "aimesh.email.html", "aimesh.mesh"} <= called


def test_secrets_are_named_and_never_in_the_text() -> None:
    made = alertmanager_config(plan_with(*ALL))
    assert made.secrets == ("alert_token", "receiver_ops_slack", "receiver_pager", "receiver_mail", "receiver_hook")
    assert [name for name in made.secrets if f"secrets.{name} " not in made.inline] == []


def test_a_mail_server_without_a_login_needs_no_secret() -> None:
    made = alertmanager_config(plan_with(MAIL | {"username": None, "secret": None}))
    assert made.secrets == ("alert_token",)
    assert "auth_" not in made.inline


@pytest.mark.parametrize(
    ("receiver", "starttls"),
    [
        (MAIL, True),
        (MAIL | {"smarthost": "mail.acme.example:465"}, False),
        (MAIL | {"smarthost": "relay:25", "require_tls": False}, False),
    ],
)
def test_mail_is_encrypted_by_starttls_or_from_the_first_byte(
    receiver: dict[str, Any], starttls: bool, tmp_path: Path
) -> None:
    (config,) = _receiver(written(plan_with(receiver), tmp_path), "mail")["email_configs"]
    assert config["require_tls"] is starttls


def test_pagerduty_s_european_region_is_called_when_the_plan_says_so(tmp_path: Path) -> None:
    europe = "https://events.eu.pagerduty.com/v2/enqueue"
    (config,) = _receiver(written(plan_with(PAGER | {"url": europe}), tmp_path), "pager")["pagerduty_configs"]
    assert config["url"] == europe


@pytest.mark.parametrize(("tls", "url"), [(False, "http://192.0.2.10:9096"), (True, "https://192.0.2.10:9096")])
def test_the_ledger_is_told_at_its_own_address(tls: bool, url: str, tmp_path: Path) -> None:
    (config,) = _receiver(written(plan_with(ledger="192.0.2.10:9096", tls=tls), tmp_path), "aimesh-ledger")[
        "webhook_configs"
    ]
    assert config["url"] == f"{url}/webhook"
    assert ("tls_config" in config["http_config"]) is tls
    assert config["http_config"]["authorization"] == {"type": "Bearer", "credentials": "token-of-the-ledger"}


def test_a_drill_scales_every_duration_and_none_below_a_second(tmp_path: Path) -> None:
    plan = plan_with(*ALL, routes=(route("pager", ("critical",)),), deadman="hook")
    real, drill = (_durations(written(plan, tmp_path, scale=scale)) for scale in (1.0, 1 / 60))
    assert (len(real), len(set(real))) == (len(drill), 8)
    pairs = dict(zip(real, drill, strict=True))
    assert pairs == {"30s": "1s", "5m": "5s", "4h": "4m", "1s": "1s", "5s": "1s", "1h": "1m", "10s": "1s", "1m": "1s"}


@pytest.mark.parametrize(
    ("seconds", "scale", "text"),
    [
        (30, 1, "30s"),
        (300, 1, "5m"),
        (90, 1, "90s"),
        (14400, 1, "4h"),
        (86400, 1, "1d"),
        (100, 1 / 60, "1667ms"),
        (1, 0, "1s"),
    ],
)
def test_durations_are_written_in_the_largest_unit(seconds: float, scale: float, text: str) -> None:
    assert duration(seconds, scale) == text


def test_a_driver_gets_both_files_and_only_one_of_them_is_secret() -> None:
    messages, config = alertmanager_files(plan_with(*ALL), group="aimesh-alertmanager", validate=("true",))
    assert messages.path == "/etc/aimesh/alertmanager/templates/aimesh.tmpl"
    assert (messages.secrets, messages.mode) == ((), "0644")
    assert config.path == "/etc/aimesh/alertmanager/alertmanager.yml"
    assert (config.group, config.mode, config.validate) == ("aimesh-alertmanager", "0640", ("true",))
    assert "/etc/aimesh/alertmanager/templates/*.tmpl" in (config.inline or "")


@pytest.mark.parametrize("suite", SUITES)
def test_names_of_teams_mean_themselves_in_matchers(suite: str, tmp_path: Path) -> None:
    odd = ['a"b', "a.b", "a|b", "a\\b", "größe", "a b"]
    path = written(plan_with(SLACK, PAGER, routes=(route("pager", (), tuple(odd)),)), tmp_path)
    assert amtool("check-config", str(path), suite=suite).returncode == 0
    for team, receiver in (*((name, "pager") for name in odd), ("axb", "ops-slack"), ("", "ops-slack")):
        assert receivers_for(path, {"severity": "critical", "team": team}, suite) == ["aimesh-ledger", receiver], team


def _receiver(path: Path, name: str) -> dict[str, Any]:
    return next(receiver for receiver in json.loads(path.read_text())["receivers"] if receiver["name"] == name)


def _durations(path: Path) -> list[str]:
    return re.findall(r'"(?:group_wait|group_interval|repeat_interval|resolve_timeout)": "(\w+)"', path.read_text())
