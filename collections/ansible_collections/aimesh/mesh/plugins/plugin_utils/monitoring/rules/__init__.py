"""The plan → Prometheus' rules, as data and as the text of a rule file. Pure; the same plan gives the same text.

    rule_groups(plan, scale)   the rule file as data
    rule_file(plan, scale)     its text
    alert_names(plan)          every alert, in the file's order

`scale` multiplies every duration (windows, `for`, offsets): 1.0 is real, a drill takes 1/60. Thresholds stay.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules import (
    backups,
    burn_rates,
    certificates,
    exporters,
    hosts,
    meta,
    policies,
    postgresql,
    redis,
    refusals,
    restarts,
    services,
)
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules.context import Context
from ansible_collections.aimesh.mesh.plugins.plugin_utils.monitoring.rules.model import Alert, Group, Recording
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.query import Plan

MAKERS = (
    meta.watchdog,
    burn_rates.ratios,
    services.group,
    burn_rates.burns,
    refusals.group,
    policies.group,
    postgresql.group,
    redis.group,
    backups.group,
    certificates.group,
    hosts.group,
    restarts.group,
    exporters.group,
    meta.prometheus,
    meta.alerting,
)
HEADING = "# Made by aimesh from the plan; the next deploy writes it anew.\n"


def rule_groups(plan: Plan, scale: float = 1.0) -> dict[str, Any]:
    """Prometheus' rule file as data: `{"groups": [{"name", "rules"}]}`. The plan must have monitoring."""
    context = Context(plan, scale)
    return {
        "groups": [
            {"name": f"aimesh-{group.name}", "rules": [_rule(context, rule) for rule in group.rules]}
            for group in _groups(context)
        ]
    }


def rule_file(plan: Plan, scale: float = 1.0) -> str:
    """The same as YAML. It has Prometheus' own `{{ … }}`, which Ansible must not take for its own."""
    lines = [HEADING, "groups:\n"]
    for group in rule_groups(plan, scale)["groups"]:
        lines.append(f"  - name: {group['name']}\n    rules:\n")
        for rule in group["rules"]:
            lines += _yaml(rule)
    return "".join(lines)


def alert_names(plan: Plan) -> list[str]:
    """Every alert that the plan's rules can raise, in the order of the file."""
    return [rule.name for group in _groups(Context(plan)) for rule in group.rules if isinstance(rule, Alert)]


def runbook_page(alert: str) -> str:
    """File of an alert's runbook: `HighLatencyP95` → `high-latency-p95.md`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", alert).lower() + ".md"


def _groups(context: Context) -> list[Group]:
    """Groups that have a rule for this plan."""
    return [group for make in MAKERS if (group := make(context)).rules]


def _rule(context: Context, rule: Alert | Recording) -> dict[str, Any]:
    if isinstance(rule, Recording):
        return {"record": rule.record, "expr": rule.expr}
    runbooks = context.plan["monitoring"]["alerting"]["runbook_url"]
    held = {"for": context.window(rule.held)} if rule.held else {}
    return {
        "alert": rule.name,
        "expr": rule.expr,
        **held,
        "labels": {
            "severity": rule.severity,
            "service": rule.service,
            "team": context.team(rule.service),
            # Of the sums, too, which have no label of a target.
            "mesh": context.mesh,
        },
        "annotations": {
            "summary": rule.summary,
            "description": rule.description,
            "runbook_url": f"{runbooks}/{runbook_page(rule.name)}",
        },
    }


def _yaml(rule: dict[str, Any]) -> list[str]:
    """One rule, its expression as people wrote it; every other text quoted as JSON, which is YAML."""
    lines: list[str] = []
    for key, value in rule.items():
        lead = "      - " if not lines else "        "
        if key == "expr":
            body = "".join(f"          {line}\n" for line in value.splitlines())
            lines.append(f"{lead}expr: |-\n{body}")
        elif isinstance(value, dict):
            entries = "".join(f"          {name}: {_quoted(text)}\n" for name, text in value.items())
            lines.append(f"{lead}{key}:\n{entries}")
        else:
            lines.append(f"{lead}{key}: {_quoted(value)}\n")
    return lines


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
