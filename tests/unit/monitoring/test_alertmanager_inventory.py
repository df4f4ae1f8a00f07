"""From the inventory of docs/alerting.md to a configuration that Alertmanager takes, through the plan itself."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.routes import CONSEQUENCES_OF_DOWN
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules import alert_names, rule_groups
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.inputs import SecretState

from tests.unit.monitoring.alerting_plans import SUITES, amtool, receivers_for, written
from tests.unit.plan.sites import ROOT, TWO_HOSTS, plan_of

DOCUMENT = (ROOT / "docs/alerting.md").read_text()
EXAMPLE = DOCUMENT.partition("    mesh_alerting:\n")[2].partition("\n\n")[0]
VALUES = {
    "receiver_ops_slack": "https://hooks.slack.example/services/T0/B0/xyz",
    "receiver_pager": "0123456789abcdef0123456789abcdef",
    "receiver_mail": "password",
    "receiver_lifeline": "https://lifeline.example/ping",
}


@pytest.fixture
def plan(tmp_path: Path) -> dict[str, Any]:
    inventory = yaml.safe_load(TWO_HOSTS)
    inventory["mesh"]["vars"]["mesh_alerting"] = yaml.safe_load(textwrap.dedent(EXAMPLE))
    known = {name: SecretState(1, "00112233445566aa", exists=True) for name in VALUES}
    return plan_of(tmp_path / "site", yaml.safe_dump(inventory), secrets=known)


def test_the_document_names_the_secrets_that_the_plan_wants(plan: dict[str, Any]) -> None:
    wanted = {receiver["secret"] for receiver in plan["monitoring"]["alerting"]["receivers"]}
    assert wanted == VALUES.keys() == set(re.findall(r"`(receiver_\w+)`", DOCUMENT))
    assert wanted <= plan["secrets"].keys()


@pytest.mark.parametrize("suite", SUITES)
def test_the_document_s_inventory_is_a_configuration(plan: dict[str, Any], suite: str, tmp_path: Path) -> None:
    path = written(plan, tmp_path, VALUES)
    done = amtool("check-config", str(path), suite=suite)
    assert done.returncode == 0, done.stdout + done.stderr
    for labels, receiver in (
        ({"severity": "critical", "team": "data"}, "pager"),
        ({"severity": "warning", "team": "data"}, "mail"),
        ({"severity": "warning", "team": "platform"}, "ops-slack"),
        ({"severity": "none", "alertname": "Watchdog"}, "lifeline"),
    ):
        assert receivers_for(path, labels, suite) == ["aimesh-ledger", receiver]


def test_what_is_held_back_and_what_is_routed_by_is_what_the_rules_have(plan: dict[str, Any]) -> None:
    names = alert_names(plan)
    held_back = [name for name in names if re.fullmatch(CONSEQUENCES_OF_DOWN, name)]
    assert held_back == ["ReplicaMissing", "HighErrorRate", "HighLatencyP95"]
    assert {"ServiceDown", "Watchdog"} <= set(names)
    rules = [rule for group in rule_groups(plan)["groups"] for rule in group["rules"] if "alert" in rule]
    assert [
        rule["alert"] for rule in rules if not {"severity", "service", "team", "mesh"} <= rule["labels"].keys()
    ] == []
    assert {rule["labels"]["severity"] for rule in rules} <= {"critical", "warning", "ticket", "none"}
